from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum

import pytest
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from protocols.ec2.encode import Encoder, Envelope, UnknownKey, encode_error, encode_sts_error
from tests.protocols.ec2.oracle import (
    ACTIONS,
    MODELS,
    REQUEST_ID,
    canonical,
    comparable,
    examples,
    operation,
    parsed,
    suites,
    typed,
    values,
    whole,
    without_empty_lists_besides,
)
from tests.vectors import VECTORS, need_vectors

VERSION = "2016-11-15"
ENCODERS = {service: Encoder(model) for service, model in MODELS.items()}

# Protocol tests that say nothing about a server of EC2 and STS, by suite.
NO_MAPS = "neither EC2 nor STS has maps"
NO_FLATTENED_LISTS = "neither EC2 nor STS has flattened lists in results"
NOT_APPLICABLE = {
    "Test cases for FlattenedXmlMap operation": NO_MAPS,
    "Test cases for FlattenedXmlMapWithXmlName operation": NO_MAPS,
    "Test cases for FlattenedXmlMapWithXmlNamespace operation": NO_MAPS,
    "Test cases for XmlEmptyMaps operation": NO_MAPS,
    "Test cases for XmlMaps operation": NO_MAPS,
    "Test cases for XmlMapsXmlName operation": NO_MAPS,
    "Normal map": NO_MAPS,
    "Flattened map": NO_MAPS,
    "Flattened map in shape definition": NO_MAPS,
    "Named map": NO_MAPS,
    "Flattened List": NO_FLATTENED_LISTS,
    "Flattened single element list": NO_FLATTENED_LISTS,
    "Flattened list of structures": NO_FLATTENED_LISTS,
    "Flattened list with location name": NO_FLATTENED_LISTS,
}
# Tests whose documents mean what ours mean, and look otherwise, by suite or by test.
WE_WRITE_EMPTY_LISTS = "we write every list at the top of a result"
WE_WRITE_ISO_UTC = "no time in EC2 or STS has a format: we write ISO 8601, in UTC"
SPELT_OTHERWISE = {
    "Test cases for DatetimeOffsets operation": WE_WRITE_ISO_UTC,
    "Ec2XmlTimestampsWithEpochSecondsFormat": WE_WRITE_ISO_UTC,
    "Ec2XmlTimestampsWithEpochSecondsOnTargetFormat": WE_WRITE_ISO_UTC,
    "Ec2XmlTimestampsWithHttpDateFormat": WE_WRITE_ISO_UTC,
    "Ec2XmlTimestampsWithHttpDateOnTargetFormat": WE_WRITE_ISO_UTC,
    "QueryXmlTimestampsWithEpochSecondsFormat": WE_WRITE_ISO_UTC,
    "QueryXmlTimestampsWithEpochSecondsOnTargetFormat": WE_WRITE_ISO_UTC,
    "QueryXmlTimestampsWithHttpDateFormat": WE_WRITE_ISO_UTC,
    "QueryXmlTimestampsWithHttpDateOnTargetFormat": WE_WRITE_ISO_UTC,
    "Timestamp members": WE_WRITE_ISO_UTC,
    "Test cases for XmlEmptyLists operation": WE_WRITE_EMPTY_LISTS,
    "Test cases for XmlEnums operation": NO_MAPS,
    "Test cases for XmlIntEnums operation": NO_MAPS,
    "Test cases for XmlLists operation": NO_FLATTENED_LISTS,
}
OUTPUTS = [
    pytest.param(suite, case, id=name)
    for path in (["output"], ["legacy", "output"])
    for file in ("ec2.json", "query.json")
    for name, suite, case in suites(*path, file)
    if "result" in case and suite.description not in NOT_APPLICABLE
]
DOCUMENTS = [
    pytest.param(*output.values, id=output.id)
    for output in OUTPUTS
    if not {output.id, output.values[0].description} & SPELT_OTHERWISE.keys() and "body" in output.values[1]["response"]
]
# Not the cases with a BodyMember or a Nested: our errors have a code and a message, as all of EC2's do.
ERRORS = [
    pytest.param(encode, case, id=name)
    for encode, file in ((encode_error, "ec2.json"), (encode_sts_error, "query.json"))
    for name, _, case in suites("output", file)
    if "errorMessage" in case
]


def encoded(action, result=None, service="ec2", version=VERSION):
    return ENCODERS[service].encode_response(action, result, version=version, request_id=REQUEST_ID)


def body_of(action, result=None, service="ec2"):
    """What stands between the request id and the end of the response."""
    text = encoded(action, result, service).decode()
    return text.partition(f"<requestId>{REQUEST_ID}</requestId>")[2].removesuffix(f"</{action}Response>")


def test_the_vectors_are_there():
    need_vectors()


def expected_of(suite, case):
    shape = suite.operation(case).output_shape
    return typed(case["result"], shape) if shape else None


@pytest.mark.parametrize(("suite", "case"), OUTPUTS)
def test_botocore_reads_the_result_of_a_protocol_test(suite, case):
    expected = expected_of(suite, case)
    result = parsed(suite.operation(case), suite.encode(case, expected))
    assert comparable(without_empty_lists_besides(result, expected or {})) == comparable(expected or {})


@pytest.mark.parametrize(("suite", "case"), DOCUMENTS)
def test_the_result_of_a_protocol_test_is_its_document(suite, case):
    assert canonical(suite.encode(case, expected_of(suite, case))) == canonical(case["response"]["body"].encode())


@pytest.mark.parametrize(("encode", "case"), ERRORS)
def test_the_error_of_a_protocol_test_is_its_document(encode, case):
    words = [case["errorCode"], case["errorMessage"], "foo-id"]
    document = encode(*words) if encode is encode_error else encode("Sender", *words)
    assert canonical(document) == canonical(case["response"]["body"].encode())


@pytest.mark.parametrize(("service", "action", "result"), [*examples("output")])
def test_botocore_reads_an_example_of_aws(service, action, result):
    aws = operation(service, action)
    expected = typed(result, aws.output_shape)
    document = Encoder(whole(service)).encode_response(action, expected, version=VERSION, request_id=REQUEST_ID)
    found = without_empty_lists_besides(parsed(aws, document), expected)
    assert comparable(found) == comparable({"Return": True} | expected if "Return" in found else expected)


# Recorded responses hold placeholders, and one a time without a zone.
TIMES = {b"YYYY-MM-DDTHH:MM:SS": b"2014-06-15T00:00:00", b"2009-10-24 15:00:00": b"2009-10-24T15:00:00Z"}


def recorded_responses():
    for file in sorted(VECTORS.glob("ec2-responses/botocore/*.xml")):
        service = file.name.partition("-")[0]
        document = file.read_bytes()
        for placeholder, time in TIMES.items():
            document = document.replace(placeholder, time)
        action = etree.QName(etree.fromstring(document)).localname.removesuffix("Response")
        if service in MODELS:
            yield pytest.param(service, action, document, id=file.stem)


@pytest.mark.parametrize(("service", "action", "document"), [*recorded_responses()])
def test_botocore_reads_the_same_from_a_recorded_response_and_from_ours(service, action, document):
    aws = operation(service, action)
    result = parsed(aws, document) if aws.output_shape else None
    again = Encoder(whole(service)).encode_response(action, result, version="2014-06-15", request_id=REQUEST_ID)
    found = without_empty_lists_besides(parsed(aws, again), result or {})
    assert comparable(found) == comparable(result or {})


LEGAL = st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\n\r", exclude_characters="\ufffe\uffff")
MILLISECONDS = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001  Hypothesis adds the zone
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


@pytest.mark.parametrize(("service", "action"), [pair for pair in ACTIONS if MODELS[pair[0]].actions[pair[1]].result])
@given(data=st.data())
def test_botocore_reads_any_result(service, action, data):
    aws = operation(service, action)
    result = data.draw(values(aws.output_shape, LEGAL, MILLISECONDS))
    found = without_empty_lists_besides(parsed(aws, encoded(action, result, service)), result)
    assert comparable(found) == comparable({"Return": True} | result if "Return" in found else result)


@given(text=st.text())
def test_any_text_makes_a_well_formed_document(text):
    for document in (
        encoded("CreateKeyPair", {"KeyName": text}),
        ENCODERS["ec2"].encode_response("CreateTags", version=text, request_id=text),
        encode_error(text, text, text),
        encode_sts_error("Sender", text, text, text),
    ):
        assert etree.fromstring(document) is not None


@given(text=st.text(LEGAL))
def test_text_that_xml_can_hold_arrives_unchanged(text):
    document = etree.fromstring(encoded("CreateKeyPair", {"KeyName": text}))
    assert (document.findtext("{*}keyName") or "") == text


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x1f", "\ufffe", "\uffff", "\ud800"])
def test_what_xml_cannot_hold_becomes_a_replacement_character(character):
    document = etree.fromstring(encoded("CreateKeyPair", {"KeyName": f"a{character}b"}))
    assert document.findtext("{*}keyName") == "a\ufffdb"


def test_a_response_stands_in_the_namespace_of_the_requests_version():
    assert encoded("CreateTags", version="2014-10-01").decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<CreateTagsResponse xmlns="http://ec2.amazonaws.com/doc/2014-10-01/">'
        f"<requestId>{REQUEST_ID}</requestId><return>true</return></CreateTagsResponse>"
    )


@pytest.mark.parametrize("version", ["", "latest", '2016-11-15"><x y="', "2016-11-15\n"])
def test_what_is_no_version_gets_the_models_namespace(version):
    assert b' xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">' in encoded("CreateTags", version=version)


def test_an_sts_response_wraps_its_result_and_keeps_its_own_namespace():
    caller = {"UserId": "AIDA", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/a"}
    assert encoded("GetCallerIdentity", caller, "sts", version="2014-10-01").decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<UserId>AIDA</UserId><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/a</Arn>"
        "</GetCallerIdentityResult>"
        f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


def test_another_envelope_may_do_without_a_namespace():
    encoder = Encoder(MODELS["ec2"], Envelope(namespace="", request_id_element="RequestID"))
    assert encoder.encode_response("CreateTags", version=VERSION, request_id="1").decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<CreateTagsResponse><RequestID>1</RequestID><return>true</return></CreateTagsResponse>"
    )


def test_a_result_that_has_a_return_returns_true_unless_it_says_otherwise():
    assert body_of("DeleteKeyPair") == "<return>true</return>"
    assert body_of("DeleteKeyPair", {"KeyPairId": "k-1"}) == "<return>true</return><keyPairId>k-1</keyPairId>"
    assert body_of("DeleteKeyPair", {"Return": False}) == "<return>false</return>"


@pytest.mark.parametrize("result", [None, {}, {"Reservations": []}, {"Reservations": None}])
def test_a_list_at_the_top_is_written_though_it_is_empty_or_absent(result):
    assert body_of("DescribeInstances", result) == "<reservationSet/>"


def test_what_is_none_or_absent_within_a_structure_is_not_written():
    result = {"Reservations": [{"ReservationId": "r-1", "OwnerId": None, "Groups": []}]}
    assert body_of("DescribeInstances", result) == (
        "<reservationSet><item><reservationId>r-1</reservationId><groupSet/></item></reservationSet>"
    )


def test_an_empty_string_is_an_empty_element():
    assert body_of("CreateKeyPair", {"KeyName": ""}) == "<tagSet/><keyName></keyName>"


def test_members_are_written_in_the_models_order():
    forward = {"State": {"Name": "running", "Code": 16}, "InstanceId": "i-1", "Architecture": "x86_64"}
    backward = dict(reversed(forward.items()))
    encode = ENCODERS["ec2"].encode_fragment
    assert encode("Instance", forward) == encode("Instance", backward)


@pytest.mark.parametrize(
    ("action", "result"),
    [
        ("DescribeInstances", {"Reservation": []}),
        ("DescribeInstances", {"Reservations": [{"Instances": [{"InstanceId": "i-1", "State": {"name": "on"}}]}]}),
        ("DescribeInstances", {"Reservations": [{"OwnerId": None, "Owner": "1"}]}),
        ("CreateTags", {"Return": True}),
        ("GetCallerIdentity", {"Id": "1"}),
    ],
)
def test_a_key_that_the_model_lacks_is_an_error(action, result):
    service = "sts" if action == "GetCallerIdentity" else "ec2"
    with pytest.raises(UnknownKey) as caught:
        encoded(action, result, service)
    assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ("InstanceState", {"Code": "<16>"}),
        ("InstanceState", {"Code": 16.5}),
        ("InstanceState", {"Name": 16}),
        ("Instance", {"EbsOptimized": "false"}),
        ("Instance", {"EbsOptimized": 0}),
        ("Instance", {"LaunchTime": datetime(2026, 1, 2)}),  # noqa: DTZ001  a time without a zone is the point
        ("Instance", {"LaunchTime": "2026-01-02T03:04:05Z"}),
        ("Instance", {"Placement": "<availabilityZone>a</availabilityZone>"}),
        ("Instance", {"Tags": "ab"}),
        ("GpuDeviceInfo", {"LogicalGpuCount": "<1>"}),
    ],
)
def test_a_value_of_another_kind_is_an_error(shape, value):
    with pytest.raises((TypeError, ValueError, AttributeError)):
        ENCODERS["ec2"].encode_fragment(shape, value)


def test_a_fragment_stands_for_its_structure():
    encode = ENCODERS["ec2"].encode_fragment
    instance = {"InstanceId": "i-1", "State": {"Code": 16, "Name": "a<b"}}
    reservation = {"ReservationId": "r-1", "Instances": [instance]}
    plain = body_of("DescribeInstances", {"Reservations": [reservation]})
    inner = {"InstanceId": "i-1", "State": encode("InstanceState", instance["State"])}
    outer = {"ReservationId": "r-1", "Instances": [encode("Instance", inner)]}
    assert body_of("DescribeInstances", {"Reservations": [outer]}) == plain
    assert body_of("DescribeInstances", {"Reservations": [encode("Reservation", reservation)]}) == plain
    assert body_of("RunInstances", encode("Reservation", reservation)) in plain


class Colour(StrEnum):
    RED = "red & blue"


def test_values_are_spelt_as_ec2_spells_them():
    encode = ENCODERS["ec2"].encode_fragment
    plus_two = timezone(timedelta(hours=2))
    assert encode("Instance", {"LaunchTime": datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)}) == (
        "<launchTime>2026-01-02T03:04:05.678Z</launchTime>"
    )
    assert encode("Instance", {"LaunchTime": datetime(2026, 1, 2, 3, 4, 5, tzinfo=plus_two)}) == (
        "<launchTime>2026-01-02T01:04:05.000Z</launchTime>"
    )
    assert encode("Instance", {"EbsOptimized": True}) == "<ebsOptimized>true</ebsOptimized>"
    assert encode("Tag", {"Key": Colour.RED}) == "<key>red &amp; blue</key>"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("0.0100"), "0.0100"),
        (Decimal("1E-7"), "0.0000001"),
        (2.5, "2.5"),
        (2, "2.0"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (Decimal("NaN"), "NaN"),
    ],
)
def test_a_real_number_is_spelt_so(number, text):
    found = ENCODERS["ec2"].encode_fragment("ProcessorInfo", {"SustainedClockSpeedInGhz": number})
    assert found == f"<sustainedClockSpeedInGhz>{text}</sustainedClockSpeedInGhz>"


def test_an_error_has_no_namespace_and_exactly_a_code_and_a_message():
    assert encode_error("InvalidKeyPair.NotFound", "The key pair 'a&b' does not exist", "1").decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<Response><Errors><Error><Code>InvalidKeyPair.NotFound</Code>"
        "<Message>The key pair 'a&amp;b' does not exist</Message></Error></Errors><RequestID>1</RequestID></Response>"
    )


def test_an_sts_error_says_whose_fault_it_is():
    assert encode_sts_error("Sender", "ValidationError", "1 < 2", "1").decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        "<Code>ValidationError</Code><Message>1 &lt; 2</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )


@pytest.mark.parametrize("service", ["ec2", "sts"])
def test_botocore_reads_an_error(service):
    document = encode_error("C", "M", "1") if service == "ec2" else encode_sts_error("Sender", "C", "M", "1")
    response = {"body": document, "headers": {}, "status_code": 400}
    found = create_parser(MODELS[service].protocol).parse(response, None)
    assert (found["Error"]["Code"], found["Error"]["Message"]) == ("C", "M")
    assert found["ResponseMetadata"]["RequestId"] == "1"


def test_an_action_that_the_model_lacks_is_a_key_error():
    with pytest.raises(KeyError):
        encoded("CreateYacht")
