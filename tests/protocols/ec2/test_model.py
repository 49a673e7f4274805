import json
from pathlib import Path

import pytest
from botocore.parsers import create_parser
from botocore.serialize import SERIALIZERS

from protocols.ec2 import model, shapes
from protocols.ec2.model import MODEL_PATH, Kind, List, Scalar, Structure, merged
from protocols.ec2.scripts import make_model
from tests.protocols.ec2.oracle import ACTIONS, MODELS, operation

DOCUMENT = json.loads(MODEL_PATH.read_bytes())


def members_in_parallel(service, ours, theirs, seen):
    """Every member of our shape beside botocore's of the same name, however deep."""
    shape = MODELS[service].shapes[ours]
    if ours in seen:
        return
    seen.add(ours)
    if isinstance(shape, List):
        yield from members_in_parallel(service, shape.item, theirs.member, seen)
    if isinstance(shape, Structure):
        for member in shape.members:
            yield shape, member, theirs
            yield from members_in_parallel(service, member.shape, theirs.members[member.name], seen)


def all_members(service, action, end):
    ours = getattr(MODELS[service].actions[action], end)
    model = operation(service, action)
    theirs = {"request": model.input_shape, "result": model.output_shape}[end]
    assert (ours is None) == (theirs is None)
    return members_in_parallel(service, ours, theirs, set()) if ours else ()


@pytest.mark.parametrize(("service", "action"), ACTIONS)
def test_every_request_member_has_botocores_name_on_the_wire(service, action):
    serializer = SERIALIZERS[MODELS[service].protocol]()
    for _, member, theirs in all_members(service, action, "request"):
        assert member.wire == serializer._get_serialized_name(theirs.members[member.name], member.name)


@pytest.mark.parametrize(("service", "action"), ACTIONS)
def test_every_result_member_has_botocores_element(service, action):
    parser = create_parser(MODELS[service].protocol)
    for _, member, theirs in all_members(service, action, "result"):
        assert member.element == parser._member_key_name(theirs.members[member.name], member.name)


@pytest.mark.parametrize("end", ["request", "result"])
@pytest.mark.parametrize(("service", "action"), ACTIONS)
def test_every_member_is_of_botocores_kind_and_as_required(service, action, end):
    for _, member, theirs in all_members(service, action, end):
        shape, their_shape = MODELS[service].shapes[member.shape], theirs.members[member.name]
        kind = {Structure: "structure", List: "list"}.get(type(shape)) or shape.kind
        assert (kind, member.is_required) == (their_shape.type_name, member.name in theirs.required_members), (
            member.name
        )
        if isinstance(shape, List):
            assert shape.element == their_shape.member.serialization.get("name", "member")
        if not isinstance(shape, Structure):
            assert (shape.minimum, shape.maximum) == (their_shape.metadata.get("min"), their_shape.metadata.get("max"))


@pytest.mark.parametrize(("service", "action"), ACTIONS)
def test_a_result_keeps_botocores_order(service, action):
    for shape, _, theirs in all_members(service, action, "result"):
        names = [member.name for member in shape.members]
        assert names == [name for name in theirs.members if name in names]


def test_an_action_that_aws_has_and_we_lack_is_known():
    ec2 = MODELS["ec2"]
    assert "CreateFleet" in ec2.known
    assert "CreateFleet" not in ec2.actions
    assert "CreateYacht" not in ec2.known
    assert "AssumeRole" in MODELS["sts"].known


@pytest.mark.parametrize("service", MODELS)
def test_every_action_of_ours_is_known(service):
    assert MODELS[service].actions.keys() <= MODELS[service].known


def test_a_small_enum_keeps_its_values_and_a_catalogue_does_not():
    ec2 = MODELS["ec2"]
    assert "running" in ec2.shapes["InstanceStateName"].enum
    instance_type = next(m for m in ec2.shapes["RunInstancesRequest"].members if m.name == "InstanceType")
    assert ec2.shapes[instance_type.shape] == Scalar("string", Kind.STRING)


def test_the_files_are_what_the_script_writes():
    assert make_model.render(DOCUMENT) == MODEL_PATH.read_text()
    assert make_model.typed_dicts(DOCUMENT) == Path(shapes.__file__).read_text()


def test_the_script_refuses_a_trait_that_the_codec_does_not_know():
    shapes = {
        "In": {"type": "structure", "members": {"When": {"shape": "T", "timestampFormat": "rfc822"}}},
        "T": {"type": "timestamp"},
    }
    service = {
        "metadata": {"protocol": "ec2", "apiVersion": "1"},
        "operations": {"Act": {"input": {"shape": "In"}}},
        "shapes": shapes,
    }
    with pytest.raises(make_model.UnsupportedModel, match="timestampFormat"):
        make_model.compact(service, ["Act"])


OVERLAY = {
    "ec2": {
        "actions": {"DescribeVmTypes": ["DescribeInstanceTypesRequest", "DescribeVmTypesResult"]},
        "shapes": {
            "DescribeVmTypesResult": {"members": {"VmTypes": "VmTypeList instanceTypeSet"}},
            "VmTypeList": {"list": "VmType", "item": "item"},
            "VmType": {"members": {"Cores": "integer cores"}},
            "RunInstancesRequest": {"members": {"BillingTerm": "integer", "MinCount": "long"}, "required": []},
        },
    }
}


def test_an_overlay_adds_actions_and_shapes():
    ec2 = model.load(OVERLAY)["ec2"]
    assert ec2.actions["DescribeVmTypes"].result == "DescribeVmTypesResult"
    assert "DescribeVmTypes" in ec2.known
    assert ec2.shapes["VmType"].members[0].element == "cores"
    assert ec2.actions.keys() > MODELS["ec2"].actions.keys()


def test_an_overlay_adds_and_replaces_members_of_a_structure():
    before = MODELS["ec2"].shapes["RunInstancesRequest"].members
    after = {member.name: member for member in model.load(OVERLAY)["ec2"].shapes["RunInstancesRequest"].members}
    assert list(after) == [member.name for member in before] + ["BillingTerm"]
    assert after["MinCount"].shape == "long"
    assert not any(member.is_required for member in after.values())


def test_an_overlay_leaves_the_other_service_and_the_document_alone():
    untouched = json.dumps(DOCUMENT)
    assert merged(DOCUMENT, OVERLAY)["sts"] == DOCUMENT["sts"]
    assert json.dumps(DOCUMENT) == untouched
