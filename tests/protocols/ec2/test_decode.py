import json
import re
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ec2.decode import (
    BadEncoding,
    BadParameter,
    Decoder,
    DuplicateParameter,
    InvalidValue,
    MissingParameter,
    UnknownParameter,
    parse_form,
)
from tests.protocols.ec2.oracle import (
    ACTIONS,
    MODELS,
    comparable,
    examples,
    operation,
    serialized,
    suites,
    typed,
    values,
    whole,
    without_empty,
)
from tests.vectors import VECTORS, need_vectors

# Protocol tests that say nothing about a server of EC2 and STS, by test or by suite.
NOT_APPLICABLE = {
    "Test cases for PutWithContentEncoding operation": "a compressed body is the transport's to unpack",
    "Ec2ProtocolIdempotencyTokenAutoFill": "the client fills the token in",
    "QueryProtocolIdempotencyTokenAutoFill": "the client fills the token in",
    "legacy-input-ec2.json: Idempotency token auto fill 1": "the client fills the token in",
    "legacy-input-query.json: Idempotency token auto fill 1": "the client fills the token in",
    "Test cases for QueryMaps operation": "neither EC2 nor STS has maps",
    "legacy-input-query.json: Serialize flattened map type 0": "neither EC2 nor STS has maps",
    "legacy-input-query.json: Serialize map type 0": "neither EC2 nor STS has maps",
    "legacy-input-query.json: Serialize map type with locationName 0": "neither EC2 nor STS has maps",
    "legacy-input-query.json: Recursive shapes 5": "neither EC2 nor STS has maps",
    "FlattenedQueryLists": "STS has no flattened lists",
    "QueryFlattenedListArgWithXmlName": "STS has no flattened lists",
    "legacy-input-query.json: Flattened list 0": "STS has no flattened lists",
    "legacy-input-query.json: Flattened list 1": "STS has no flattened lists",
    "legacy-input-query.json: Flattened list with LocationName 0": "STS has no flattened lists",
}
INPUTS = [
    pytest.param(suite, case, id=name)
    for path in (["input"], ["legacy", "input"])
    for file in ("ec2.json", "query.json")
    for name, suite, case in suites(*path, file)
    if not {name, suite.description} & NOT_APPLICABLE.keys()
]


DECODERS = {service: Decoder(model) for service, model in MODELS.items()}


def decode(action, query, service="ec2"):
    return DECODERS[service].decode(action, parse_form(query))


def test_the_vectors_are_there():
    need_vectors()


@pytest.mark.parametrize(("suite", "case"), INPUTS)
def test_the_body_of_a_protocol_test_decodes_to_its_parameters(suite, case):
    shape = suite.operation(case).input_shape
    expected = typed(case["params"], shape) if shape else {}
    if suite.service["metadata"]["protocol"] == "ec2":
        expected = without_empty(expected)
    assert comparable(suite.decode(case)) == comparable(expected)


@pytest.mark.parametrize(("service", "action", "request_"), [*examples("input")])
def test_an_example_of_aws_survives_botocores_serialiser(service, action, request_):
    aws = operation(service, action)
    expected = without_empty(typed(request_, aws.input_shape))
    assert Decoder(whole(service)).decode(action, parse_form(serialized(aws, expected))) == expected


ANY_TIME = st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  Hypothesis adds the zone


@pytest.mark.parametrize(("service", "action"), ACTIONS)
@given(data=st.data())
def test_any_request_survives_botocores_serialiser(service, action, data):
    aws = operation(service, action)
    request = data.draw(values(aws.input_shape, st.characters(exclude_categories=["Cs"]), ANY_TIME))
    assert decode(action, serialized(aws, request), service) == request


# boto 2's own tests that ask for what today's model refuses.
BOTO2_REFUSED = {
    "TestCopyImage 0": "Name is required now",
    "TestCopyImage 2": "Name is required now",
    "TestCopyImage 3": "Name is required now",
    "TestCopyImage 4": "Name is required now",
    "TestCopyImage 5": "Name is required now",
    "TestReplaceNetworkAclEntry 1": "Egress is required now",
    "TestSTSConnection 0": "arn:role is too short for an ARN",
    "TestSTSConnection 1": "arn:role is too short for an ARN",
}


def boto2_requests():
    file = VECTORS / "ec2-responses" / "boto2" / "boto2-ec2-vpc-sts-cases.json"
    cases = json.loads(file.read_text()) if file.exists() else []
    named = [
        (f"{case['test_class']} {number}", parameters)
        for case in cases
        for number, parameters in enumerate(case["expected_request_params"])
    ]
    return [pytest.param(parameters, id=name) for name, parameters in named if name not in BOTO2_REFUSED]


def without_indices(parameters):
    return sorted((re.sub(r"\.[0-9]+", "", name), str(value)) for name, value in parameters)


@pytest.mark.parametrize("parameters", boto2_requests())
def test_what_boto2_sends_decodes_to_what_botocore_sends_so(parameters):
    action = parameters["Action"]
    pairs = [(name, str(value)) for name, value in parameters.items()]
    request = Decoder(whole("ec2")).decode(action, pairs)
    sent = [pair for pair in parse_form(serialized(operation("ec2", action), request)) if pair[0] != "Version"]
    # Without indices, since boto 2 counts some lists from 0 and sends some lists of one without.
    assert without_indices(sent) == without_indices(pairs)


def recordings():
    file = VECTORS / "ec2-requests" / "client-recordings.jsonl"
    for line in file.read_text().splitlines() if file.exists() else ():
        record = json.loads(line)
        _, target, _ = record["raw_head"].split("\r\n", 1)[0].split(" ")
        yield pytest.param(target.partition("?")[2], record["body"], id=record["case"])


@pytest.mark.parametrize(("query", "body"), [*recordings()])
def test_what_real_clients_sent_decodes_without_loss(query, body):
    pairs = parse_form(query) + parse_form(body)
    parameters = dict(pairs)
    service = "sts" if parameters["Version"] == "2011-06-15" else "ec2"
    request = Decoder(whole(service)).decode(parameters["Action"], pairs)
    sent = parse_form(serialized(operation(service, parameters["Action"]), request))
    own = [pair for pair in pairs if not re.match("AWSAccessKeyId|Signature|Timestamp|SecurityToken|X-Amz-", pair[0])]
    ignored = {"Version", "MaxCount"}  # libcloud's version differs
    assert without_indices(p for p in sent if p[0] not in ignored) == without_indices(
        p for p in own if p[0] not in ignored
    )


def test_a_list_is_ordered_by_its_indices_as_numbers():
    request = decode("DescribeInstances", "InstanceId.10=c&InstanceId.2=b&InstanceId.0=a&InstanceId.999999999=d")
    assert request == {"InstanceIds": ["a", "b", "c", "d"]}


@pytest.mark.parametrize(
    "query", ["InstanceId.member.1=a&InstanceId.member.2=b", "InstanceId.InstanceId.1=a&InstanceId.InstanceId.2=b"]
)
def test_a_list_may_be_spelt_as_in_the_other_protocol(query):
    assert decode("DescribeInstances", query) == {"InstanceIds": ["a", "b"]}


def test_a_list_of_one_may_go_without_its_index():
    assert decode("DescribeInstances", "InstanceId=a") == {"InstanceIds": ["a"]}


def test_an_empty_list_of_the_query_protocol_is_an_empty_list():
    assert decode("DescribeInstances", "InstanceId=") == {"InstanceIds": []}


def test_a_single_value_may_have_an_index():
    assert decode("DeleteKeyPair", "KeyName.1=mine") == {"KeyName": "mine"}


@pytest.mark.parametrize("query", ["KeyName.1=a&KeyName.2=b", "KeyName.first=a", "KeyName.1.Name=a"])
def test_a_single_value_with_members_is_an_unknown_parameter(query):
    with pytest.raises(UnknownParameter):
        decode("DeleteKeyPair", query)


def test_a_missing_tag_value_differs_from_an_empty_one():
    request = decode("DeleteTags", "ResourceId.1=i-1&Tag.1.Key=a&Tag.2.Key=b&Tag.2.Value=")
    assert request["Tags"] == [{"Key": "a"}, {"Key": "b", "Value": ""}]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("Colour=red", "Colour"),
        ("instanceId.1=a", "instanceId.1"),
        ("InstanceId.one=a", "InstanceId.one"),
        ("InstanceId.-1=a", "InstanceId.-1"),
        ("InstanceId.1_0=a", "InstanceId.1_0"),
        ("InstanceId.\u0661=a", "InstanceId.\u0661"),
        ("InstanceId.99999999999=a", "InstanceId.99999999999"),
        ("InstanceId.=a", "InstanceId."),
        ("InstanceId.1.Id=a", "InstanceId.1.Id"),
        ("Filter.1.Name=a&Filter.1.Values.1=b", "Filter.1.Values.1"),
        ("Filter=a", "Filter"),
        ("Filter.1=a", "Filter.1"),
        (".=a", "."),
        ("=a", ""),
        ("Action.Version=a", "Action.Version"),
        ("Filter." * 5000 + "1=a", "Filter." * 5000 + "1"),
    ],
)
def test_an_unknown_parameter_is_named_as_it_was_sent(query, name):
    with pytest.raises(UnknownParameter, match=re.escape(f"The parameter {name} is not recognized")) as caught:
        decode("DescribeInstances", query)
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("action", "query", "name"),
    [
        ("RunInstances", "MaxCount=1", "MinCount"),
        ("StartInstances", "", "InstanceId"),
        ("StartInstances", "DryRun=true", "InstanceId"),
        (
            "RunInstances",
            "MinCount=1&MaxCount=1&ElasticInferenceAccelerator.7.Count=1",
            "ElasticInferenceAccelerator.7.Type",
        ),
    ],
)
def test_a_required_parameter_is_missed_by_its_full_name(action, query, name):
    with pytest.raises(MissingParameter, match=f"^The request must contain the parameter {name}$") as caught:
        decode(action, query)
    assert caught.value.name == name


@pytest.mark.parametrize(
    "query",
    [
        "InstanceId.1=a&InstanceId.1=a",
        "DryRun=true&DryRun=false",
        "Filter.1.Name=a&Filter.1.Name=b",
        "Filter.1=a&Filter.1.Name=b",
        "Filter.1.Name=b&Filter.1=a",
        "Version=2016-11-15&Version=2014-10-01",
    ],
)
def test_a_parameter_sent_twice_is_refused(query):
    with pytest.raises(DuplicateParameter):
        decode("DescribeInstances", query)


def test_parameters_of_the_protocol_are_not_the_actions():
    query = (
        "Action=StartInstances&Version=2016-11-15&AWSAccessKeyId=k&AWSKeyId=k&Signature=s&SignatureMethod=HmacSHA256"
        "&SignatureVersion=2&Timestamp=t&Expires=e&SecurityToken=t&X-Amz-Algorithm=a&X-Amz-Whatever=b&InstanceId.1=i-1"
    )
    assert decode("StartInstances", query) == {"InstanceIds": ["i-1"]}


def test_underscores_are_refused_unless_asked_for():
    with pytest.raises(UnknownParameter, match="Placement_AvailabilityZone"):
        decode("RunInstances", "MinCount=1&MaxCount=1&Placement_AvailabilityZone=ord1")


GIGENET = Decoder(MODELS["ec2"], underscores=True)


def test_underscores_if_asked_for_stand_for_dots():
    pairs = parse_form("MinCount=1&MaxCount=1&Placement_AvailabilityZone=ord1&KeyName=my_key&Placement.Tenancy=default")
    request = GIGENET.decode("RunInstances", pairs)
    assert request["Placement"] == {"AvailabilityZone": "ord1", "Tenancy": "default"}
    assert request["KeyName"] == "my_key"


def test_with_underscores_a_refusal_names_the_parameter_as_sent():
    with pytest.raises(UnknownParameter) as caught:
        GIGENET.decode("RunInstances", parse_form("MinCount=1&MaxCount=1&Placement_Zone=ord1"))
    assert caught.value.name == "Placement_Zone"
    with pytest.raises(DuplicateParameter):
        GIGENET.decode("RunInstances", parse_form("Placement_Tenancy=a&Placement.Tenancy=b"))


@pytest.mark.parametrize("text", ["true", "True", "1"])
def test_true_may_be_spelt_so(text):
    assert decode("DescribeInstances", f"DryRun={text}") == {"DryRun": True}


@pytest.mark.parametrize("text", ["false", "False", "0"])
def test_false_may_be_spelt_so(text):
    assert decode("DescribeInstances", f"DryRun={text}") == {"DryRun": False}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2014-01-06T07:08:09Z", datetime(2014, 1, 6, 7, 8, 9, tzinfo=UTC)),
        ("2014-01-06T07:08:09.250000Z", datetime(2014, 1, 6, 7, 8, 9, 250000, tzinfo=UTC)),
        ("2014-01-06T07:08:09.000Z", datetime(2014, 1, 6, 7, 8, 9, tzinfo=UTC)),
        ("2014-01-06T07:08:09", datetime(2014, 1, 6, 7, 8, 9, tzinfo=UTC)),
        ("2014-01-06T08:08:09%2B01:00", datetime(2014, 1, 6, 7, 8, 9, tzinfo=UTC)),
        ("1388992089", datetime(2014, 1, 6, 7, 8, 9, tzinfo=UTC)),
        ("1388992089.25", datetime(2014, 1, 6, 7, 8, 9, 250000, tzinfo=UTC)),
    ],
)
def test_a_time_may_be_spelt_so(text, moment):
    found = Decoder(whole("ec2")).decode("DescribeSpotPriceHistory", parse_form(f"StartTime={text}"))["StartTime"]
    assert (found, found.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    ("action", "query", "message"),
    [
        ("DescribeInstances", "DryRun=yes", "Value (yes) for parameter DryRun is invalid. Expected true or false."),
        ("DescribeInstances", "DryRun=", "Value () for parameter DryRun is invalid. Expected true or false."),
        (
            "DescribeInstances",
            "MaxResults=many",
            "Value (many) for parameter MaxResults is invalid. Expected an integer.",
        ),
        (
            "DescribeInstances",
            "MaxResults=1_0",
            "Value (1_0) for parameter MaxResults is invalid. Expected an integer.",
        ),
        ("DescribeInstances", "MaxResults=+5", "Value ( 5) for parameter MaxResults is invalid. Expected an integer."),
        (
            "DescribeInstances",
            "MaxResults=2147483648",
            "Value (2147483648) for parameter MaxResults is invalid. Expected an integer.",
        ),
        (
            "DescribeInstanceTypes",
            "MaxResults=4",
            "Value (4) for parameter MaxResults is invalid. Expected an integer, 5 to 100.",
        ),
        (
            "DescribeInstanceTypes",
            "&".join(f"InstanceType.{number}=m" for number in range(101)),
            "Value (101 items) for parameter InstanceType is invalid. Expected 0 to 100 items.",
        ),
        (
            "ImportKeyPair",
            "KeyName=k&PublicKeyMaterial=%%%",
            "Value (%%%) for parameter PublicKeyMaterial is invalid. Expected base64.",
        ),
    ],
)
def test_a_value_that_is_not_one_says_what_would_be(action, query, message):
    with pytest.raises(InvalidValue) as caught:
        decode(action, query)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["", "yesterday", "2014-13-01", "9" * 12, "0001-01-01T00:00:00%2B10:00", "nan"])
def test_what_is_not_a_time_is_refused(text):
    with pytest.raises(InvalidValue, match="2026-01-02T03:04:05Z"):
        Decoder(whole("ec2")).decode("DescribeSpotPriceHistory", parse_form(f"StartTime={text}"))


@pytest.mark.parametrize("text", ["", "1_0", "one", "0x10", "inf", "1e99999"])
def test_what_is_not_a_number_is_refused(text):
    query = f"ReservedInstancesOfferingId=r&InstanceCount=1&LimitPrice.Amount={text}"
    with pytest.raises(InvalidValue, match="a number"):
        Decoder(whole("ec2")).decode("PurchaseReservedInstancesOffering", parse_form(query))


def test_a_refusal_carries_the_value_and_shows_its_beginning():
    with pytest.raises(InvalidValue) as caught:
        decode("ImportKeyPair", f"KeyName=k&PublicKeyMaterial={'!' * 5000}")
    assert caught.value.value == "!" * 5000
    assert len(str(caught.value)) < 300


def test_line_breaks_in_base64_are_ignored():
    request = decode("ImportKeyPair", "KeyName=k&PublicKeyMaterial=c3No%0D%0ALXJz%0AYQ==%0A")
    assert request["PublicKeyMaterial"] == b"ssh-rsa"


def test_sts_parameters_decode():
    assert decode("GetSessionToken", "DurationSeconds=900", "sts") == {"DurationSeconds": 900}
    with pytest.raises(InvalidValue, match="900 to 129600"):
        decode("GetSessionToken", "DurationSeconds=899", "sts")


def test_an_action_without_parameters_takes_none():
    assert decode("GetCallerIdentity", "Action=GetCallerIdentity", "sts") == {}
    with pytest.raises(UnknownParameter):
        decode("GetCallerIdentity", "Id=1", "sts")


def test_an_action_that_the_model_lacks_is_a_key_error():
    with pytest.raises(KeyError):
        decode("CreateYacht", "")


@pytest.mark.parametrize("action", MODELS["ec2"].actions)
@given(data=st.data())
def test_whatever_is_sent_is_decoded_or_refused(action, data):
    names = [member.wire for member in MODELS["ec2"].shapes[MODELS["ec2"].actions[action].request].members]
    segment = st.sampled_from([*names, "1", "2", "member", "Key", "Value", "Name", "", "Ebs"])
    name = st.lists(segment, min_size=1, max_size=4).map(".".join)
    pairs = data.draw(st.lists(st.tuples(name, st.sampled_from(["", "1", "true", "a"])), max_size=6))
    try:
        assert isinstance(DECODERS["ec2"].decode(action, pairs), dict)
    except BadParameter as refusal:
        assert str(refusal)  # noqa: PT017  either outcome will do


@pytest.mark.parametrize("convert", [str, str.encode])
def test_a_form_decodes_in_the_order_sent(convert):
    form = convert("b=1+2%203&a=%C3%A9&&b=%2B&c&d==&%26=x")
    assert parse_form(form) == [("b", "1 2 3"), ("a", "\u00e9"), ("b", "+"), ("c", ""), ("d", "="), ("&", "x")]


@given(st.lists(st.tuples(st.text(), st.text())))
def test_a_form_decodes_to_what_was_encoded(pairs):
    assert parse_form(urlencode(pairs)) == pairs


@pytest.mark.parametrize("form", [b"a=%FF", b"a=\xff", b"%C3=a", b"\xff=a", "a=%ED%A0%80"])
def test_a_form_that_is_not_utf8_is_refused(form):
    with pytest.raises(BadEncoding):
        parse_form(form)
