import ast
import base64
import json
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import parse_qsl

import botocore.auth
import botocore.session
import pytest
from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.ec2 import model
from protocols.ec2.app import ACTIONS
from protocols.ec2.decode import Decoder, InvalidValue, MissingParameter
from protocols.ec2.explorable import Ec2Explorable, tool_name
from protocols.ec2.extensions import EXTENSIONS
from protocols.ec2.settings import Ec2Settings
from protocols.ec2.signatures import SignedRequest, read_claim, verify
from protocols.explorable import FieldKind, Origin, Signer, Unfit

KEY, SECRET, REGION = "AKOFEXAMPLE", "secret/+of=the key", "sgp1"
NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
SIGNER = Signer(KEY, SECRET, REGION, NOON, "nonce")
ORIGIN = Origin("https", "cloud.example:8443")
EC2 = Ec2Explorable(Ec2Settings())
MODELS = model.load(EXTENSIONS)
OPERATIONS = {operation.name: operation for operation in EC2.operations()}

# What a person may type, and a shell pass on.
typed = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1)


def prepared(operation, values=None, extra=(), ec2=EC2, origin=ORIGIN):
    return ec2.prepare(operation, values or {}, extra, origin=origin, signer=SIGNER)


def sent(operation, values=None, extra=(), **options):
    """Return the parameters that are sent, but for Action and Version."""
    pairs = parse_qsl(prepared(operation, values, extra, **options).body.decode(), keep_blank_values=True)
    assert pairs[0] == ("Action", operation)
    assert pairs[1][0] == "Version"
    return pairs[2:]


def spelled(operation, values=None, extra=(), ec2=EC2):
    told = ec2.spell(operation, values or {}, extra, origin=ORIGIN, region=REGION, access_key=KEY)
    return {spelling.language: spelling.text for spelling in told}


# --- operations


def test_every_action_is_an_operation():
    assert set(OPERATIONS) == set(ACTIONS)


def test_every_operation_tells_what_it_does():
    assert [operation.name for operation in EC2.operations() if not operation.summary.endswith(".")] == []


@pytest.mark.parametrize(
    ("name", "is_reading"), [("DescribeInstances", True), ("GetSessionToken", False), ("TerminateInstances", False)]
)
def test_only_what_changes_nothing_is_reading(name, is_reading):
    assert OPERATIONS[name].is_reading == is_reading


def test_fields_are_of_the_kind_of_their_parameter():
    kinds = {field.name: field.kind for field in OPERATIONS["RunInstances"].fields}
    assert kinds["MinCount"] is FieldKind.NUMBER
    assert kinds["SecurityGroupId"] is FieldKind.LIST
    assert kinds["UserData"] is FieldKind.LONG_TEXT
    assert kinds["DryRun"] is FieldKind.FLAG
    assert kinds["InstanceInitiatedShutdownBehavior"] is FieldKind.CHOICE


def test_required_fields_come_first():
    assert [field.name for field in OPERATIONS["CreateTags"].fields if field.is_required] == ["ResourceId", "Tag"]
    assert [field.name for field in OPERATIONS["CreateTags"].fields] == ["ResourceId", "Tag", "DryRun"]


def test_what_has_parts_is_named_part_by_part():
    assert "TagSpecification.1.Tag.1.Key" in OPERATIONS["RunInstances"].more
    assert "IpPermissions.1.IpRanges.1.CidrIp" in OPERATIONS["AuthorizeSecurityGroupIngress"].more


_TYPED = {FieldKind.FILTERS: "name=a,b", FieldKind.TAGS: "key=value", FieldKind.FLAG: "true"}


@pytest.mark.parametrize("operation", EC2.operations(), ids=lambda operation: operation.name)
def test_all_that_can_be_filled_in_is_understood(operation):
    values = {field.name: [_TYPED.get(field.kind, "1")] for field in operation.fields}
    pairs = sent(operation.name, values)
    assert len(pairs) >= len(operation.fields)
    service = "ec2" if operation.name in MODELS["ec2"].actions else "sts"
    for pair in [*pairs, *[(name, "1") for name in operation.more]]:
        with suppress(MissingParameter, InvalidValue):  # known, but alone, or not of its kind
            Decoder(MODELS[service]).decode(operation.name, [pair])


# --- what is sent


def test_lists_filters_and_tags_are_numbered():
    assert sent("DescribeInstances", {"InstanceId": ["i-1\ni-2"], "Filter": ["tag:Name = web, db\nvpc-id=v"]}) == [
        ("InstanceId.1", "i-1"),
        ("InstanceId.2", "i-2"),
        ("Filter.1.Name", "tag:Name"),
        ("Filter.1.Value.1", "web"),
        ("Filter.1.Value.2", "db"),
        ("Filter.2.Name", "vpc-id"),
        ("Filter.2.Value.1", "v"),
    ]
    assert sent("CreateTags", {"ResourceId": ["i-1"], "Tag": ["stage=test=1", "empty="]})[1:] == [
        ("Tag.1.Key", "stage"),
        ("Tag.1.Value", "test=1"),
        ("Tag.2.Key", "empty"),
        ("Tag.2.Value", ""),
    ]


def test_what_is_not_filled_in_is_not_sent():
    assert sent("DescribeInstances", {"InstanceId": ["", " "], "DryRun": [""]}) == []


def test_user_data_and_keys_are_sent_in_base64():
    [(name, value)] = sent("RunInstances", {"UserData": ["#!/bin/sh\r\ntrue"]})
    assert (name, base64.b64decode(value)) == ("UserData", b"#!/bin/sh\ntrue")


def test_parameters_without_a_field_follow():
    extra = [("Placement.AvailabilityZone", "sgp1a")]
    assert sent("RunInstances", {"MinCount": ["1"]}, extra) == [("MinCount", "1"), *extra]


@pytest.mark.parametrize("name", ["Action", "Version", "AWSAccessKeyId"])
def test_another_action_cannot_be_slipped_in(name):
    with pytest.raises(Unfit, match=f"extra: {name} "):
        prepared("DescribeInstances", {}, [(name, "TerminateInstances")])


@pytest.mark.parametrize(
    ("operation", "values", "field"),
    [
        ("DescribeInstances", {"Filter": ["no value"]}, "Filter"),
        ("CreateTags", {"Tag": ["=value"]}, "Tag"),
        ("RunInstances", {"ImageId": ["half \ud83d"]}, "ImageId"),
        ("RunInstances", {"UserData": ["half \ud83d"]}, "UserData"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_its_field(operation, values, field):
    with pytest.raises(Unfit) as refusal:
        prepared(operation, values)
    assert refusal.value.field == field


def test_what_the_api_refuses_is_sent_all_the_same():
    assert sent("RunInstances", {"MinCount": ["many"]}) == [("MinCount", "many")]


# --- signatures


@given(typed)
def test_the_signature_is_the_one_that_botocore_makes(text):
    request = prepared("RunInstances", {"ImageId": [text]})
    headers = dict(request.headers)
    theirs = AWSRequest("POST", f"{ORIGIN.url}/", {"Content-Type": headers["Content-Type"]}, request.body)
    with pytest.MonkeyPatch.context() as patch:
        clock = SimpleNamespace(strftime=lambda *_: "", gmtime=lambda *_: NOON.utctimetuple())
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: NOON)
        patch.setattr(botocore.auth, "time", clock)
        SigV4Auth(Credentials(KEY, SECRET), "ec2", REGION).add_auth(theirs)
    assert headers["X-Amz-Date"] == theirs.headers["X-Amz-Date"]
    assert headers["Authorization"] == theirs.headers["Authorization"]


@pytest.mark.parametrize("settings", [Ec2Settings(), Ec2Settings(path="/ec2 here/"), Ec2Settings(host="ec2.test")])
@pytest.mark.parametrize("operation", ["RunInstances", "GetCallerIdentity"])
def test_our_own_front_end_believes_the_signature(settings, operation):
    request = prepared(operation, {"ImageId": ["ü&+ /~"]}, ec2=Ec2Explorable(settings))
    form = parse_qsl(request.body.decode())
    arrived = SignedRequest("POST", request.path_and_query, "", request.headers, request.body, (), form)
    verify(read_claim(arrived), arrived, SECRET, NOON)


def test_an_endpoint_with_a_host_of_its_own_is_called_by_it():
    request = prepared("DescribeRegions", ec2=Ec2Explorable(Ec2Settings(host="ec2.cloud.example")))
    assert dict(request.headers)["Host"] == "ec2.cloud.example:8443"


def test_neither_the_request_nor_a_spelling_tells_the_secret():
    assert SECRET not in repr(prepared("RunInstances"))
    assert all(SECRET not in text for text in spelled("RunInstances").values())


# --- as people write it

SESSION = botocore.session.get_session()


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_actions_and_parameters_are_called_as_awss_tools_call_them(name):
    assert tool_name(name) == xform_name(name)
    for service in MODELS.values():
        shape = service.shapes[service.actions[name].request] if name in service.actions else None
        for member in shape.members if isinstance(shape, model.Structure) else ():
            assert tool_name(member.name, "-") == xform_name(member.name, "-")


@pytest.mark.parametrize("name", sorted(set(ACTIONS) - EXTENSIONS["ec2"]["actions"].keys()))
def test_an_action_of_awss_is_told_in_every_language(name):
    required = [field for field in OPERATIONS[name].fields if field.is_required]
    values = {field.name: [_TYPED.get(field.kind, "1")] for field in required}
    extra = [("SecurityGroupRule.1.SecurityGroupRuleId", "1")] if name == "ModifySecurityGroupRules" else []
    assert set(spelled(name, values, extra)) == {"aws CLI", "boto3", "curl"}


@pytest.mark.parametrize(
    ("operation", "values"),
    [
        ("DescribeVmTypes", {}),
        ("RunInstances", {"MinCount": ["1"], "MaxCount": ["1"], "BillingTerm": ["30"]}),
        ("RunInstances", {"MinCount": ["many"], "MaxCount": ["1"]}),
        ("StartInstances", {}),
    ],
)
def test_what_awss_tools_would_not_send_is_told_for_curl_alone(operation, values):
    assert set(spelled(operation, values)) == {"curl"}


def test_where_answers_are_gigenets_awss_tools_are_not_told():
    gigenet = Ec2Explorable(Ec2Settings(dialect="gigenet"))
    assert set(spelled("DescribeInstances", ec2=gigenet)) == {"curl"}
    assert "GetCallerIdentity" not in {operation.name for operation in gigenet.operations()}


@settings(max_examples=25)
@given(typed)
def test_no_shell_reads_anything_into_what_was_typed(text):
    curl = spelled("RunInstances", {"ImageId": [text]})["curl"]
    words = words_of("curl", curl)
    told = [word.partition("=") for option, word in pairwise(words) if option == "--data-urlencode"]
    assert [(name, value) for name, _, value in told[2:]] == [("ImageId", text)]
    assert words[words.index("--user") + 1] == f"{KEY}:{SECRET}"


@settings(max_examples=25)
@given(typed)
def test_the_aws_cli_and_boto3_are_told_what_makes_them_send_the_same(text):
    values = {"ImageId": [text], "UserData": [text], "MinCount": ["1"], "MaxCount": ["2"], "DryRun": ["true"]}
    told = spelled("RunInstances", values)
    words = words_of("aws", told["aws CLI"])
    assert words[:2] == ["ec2", "run-instances"]
    assert serialized("RunInstances", json.loads(words[words.index("--cli-input-json") + 1])) == sent(
        "RunInstances", values
    )
    call = ast.parse(told["boto3"]).body[-2].value
    assert call.func.attr == "run_instances"
    arguments = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert serialized("RunInstances", arguments) == sent("RunInstances", values)


def words_of(command, text):
    """Return what a shell gives to a command."""
    script = f'{command}() {{ printf "%s\\0" "$@"; }}\n{text}'
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, env={"AWS_SECRET_ACCESS_KEY": SECRET}, check=True
    )
    return done.stdout.decode().removesuffix("\0").split("\0")


def serialized(operation, arguments):
    """Return the parameters that botocore sends, in our order, but for Action and Version."""
    if "UserData" in arguments:  # which a handler of botocore's does
        arguments |= {"UserData": base64.b64encode(arguments["UserData"].encode()).decode()}
    service = SESSION.get_service_model("ec2")
    body = create_serializer("ec2").serialize_to_request(arguments, service.operation_model(operation))["body"]
    names = [field.name for field in OPERATIONS[operation].fields]
    del body["Action"], body["Version"]
    return sorted([(name, str(value)) for name, value in body.items()], key=lambda pair: names.index(pair[0]))
