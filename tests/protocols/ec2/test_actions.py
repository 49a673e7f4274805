"""What is so for every action."""

import pytest

from protocols.ec2 import model
from protocols.ec2.app import ACTIONS
from protocols.ec2.extensions import EXTENSIONS
from protocols.ec2.model import Kind, List, Structure
from tests.protocols.ec2.served import WAYS
from tests.protocols.ec2.stage import BOUND, GOOD, GROUP, IMAGE, MACHINE, NEVER_GOOD, PAIR, STS, rows, set_stage

DESCRIBING = sorted(name for name in GOOD if name.startswith(("Describe", "Get")))
CHANGING = sorted(GOOD.keys() - {*DESCRIBING})


@pytest.fixture
async def stage(house):
    await set_stage(house)


def test_the_stage_has_a_request_of_every_action_that_is_not_always_refused():
    assert GOOD.keys() | NEVER_GOOD == ACTIONS.keys()
    assert not GOOD.keys() & NEVER_GOOD


@pytest.mark.parametrize("how", WAYS)
async def test_every_action_is_answered_however_it_is_sent_and_signed(ec2, stage, how):
    statuses = {action: (await ec2.ask(action, parameters, how=how)).status for action, parameters in GOOD.items()}
    assert statuses == dict.fromkeys(GOOD, 200)


@pytest.mark.parametrize("action", GOOD)
async def test_an_answer_says_what_was_asked_in_the_version_that_was_asked_for(ec2, stage, action):
    answer = await ec2.ask(action, GOOD[action])
    host, version = ("https://sts", "2011-06-15") if action in STS else ("http://ec2", "2016-11-15")
    assert answer.root.tag == f"{{{host}.amazonaws.com/doc/{version}/}}{action}Response"
    assert answer.headers["content-type"] == "text/xml;charset=UTF-8"
    (request_id,) = {node.text for node in answer.root.iter("{*}requestId", "{*}RequestId")}
    assert request_id == answer.headers["x-amzn-requestid"]


@pytest.mark.parametrize("action", sorted(GOOD.keys() - STS))
async def test_a_dry_run_that_would_succeed_says_so_and_changes_nothing(ec2, house, stage, action):
    before, woken = await rows(house), list(house.woken)
    answer = await ec2.ask(action, GOOD[action] | {"DryRun": "true"})
    assert (answer.status, answer.code) == (412, "DryRunOperation")
    assert answer.message == "Request would have succeeded, but DryRun flag is set."
    assert (await rows(house), house.woken) == (before, woken)
    assert (await ec2.ask(action, GOOD[action] | {"DryRun": "false"})).code == ""


@pytest.mark.parametrize("action", sorted(STS))
async def test_sts_knows_no_dry_run(ec2, action):
    answer = await ec2.ask(action, {"DryRun": "true"})
    assert (answer.status, answer.sts_code) == (400, "UnknownParameter")


WRONG = {
    "RunInstances": (
        {"InstanceType": "nvidia-1080ti", "MinCount": "6", "MaxCount": "6"},
        "InsufficientInstanceCapacity",
    ),
    "DescribeInstances": ({"InstanceId.1": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "DescribeInstanceStatus": ({"InstanceId.1": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "StartInstances": ({"InstanceId.2": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "StopInstances": ({"InstanceId.2": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "RebootInstances": ({"InstanceId.2": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "TerminateInstances": ({"InstanceId.2": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "DescribeInstanceTypes": ({"InstanceType.1": "no-such"}, "InvalidInstanceType"),
    "DescribeImages": ({"ImageId.1": "ami-12345678"}, "InvalidAMIID.NotFound"),
    "DescribeRegions": ({"RegionName.1": "no-such"}, "InvalidParameterValue"),
    "DescribeAvailabilityZones": ({"ZoneName.1": "no-such"}, "InvalidParameterValue"),
    "CreateKeyPair": ({"KeyName": "mine"}, "InvalidKeyPair.Duplicate"),
    "ImportKeyPair": ({"KeyName": "mine"}, "InvalidKeyPair.Duplicate"),
    "DescribeKeyPairs": ({"KeyName.1": "no-such"}, "InvalidKeyPair.NotFound"),
    "DeleteKeyPair": ({"KeyName": ""}, "MissingParameter"),
    "CreateTags": ({"ResourceId.2": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "DeleteTags": ({"ResourceId.2": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "DescribeTags": ({"NextToken": "x"}, "InvalidNextToken"),
    "AllocateAddress": ({"Domain": "no-such"}, "InvalidParameterValue"),
    "AssociateAddress": ({"AllocationId": "eipalloc-12345678"}, "InvalidAllocationID.NotFound"),
    "DescribeAddresses": ({"PublicIp.1": "198.51.100.1"}, "InvalidAddress.NotFound"),
    "DescribeAddressesAttribute": ({"AllocationId.2": "eipalloc-12345678"}, "InvalidAllocationID.NotFound"),
    "DisassociateAddress": ({"PublicIp": "198.51.100.1"}, "InvalidAddress.NotFound"),
    "ReleaseAddress": ({"AllocationId": "eipalloc-12345678"}, "InvalidAllocationID.NotFound"),
    "CreateSecurityGroup": ({"GroupName": "web"}, "InvalidGroup.Duplicate"),
    "AuthorizeSecurityGroupIngress": ({"IpPermissions.1.Groups.1.GroupName": "no-such"}, "InvalidGroup.NotFound"),
    "AuthorizeSecurityGroupEgress": ({"IpPermissions.1.IpProtocol": "no-such"}, "InvalidParameterValue"),
    "DescribeSecurityGroups": ({"GroupId.1": "sg-12345678"}, "InvalidGroup.NotFound"),
    "DescribeSecurityGroupRules": ({"SecurityGroupRuleId.1": "sgr-12345678"}, "InvalidSecurityGroupRuleId.NotFound"),
    "ModifySecurityGroupRules": (
        {"SecurityGroupRule.1.SecurityGroupRuleId": "sgr-12345678"},
        "InvalidSecurityGroupRuleId.NotFound",
    ),
    "UpdateSecurityGroupRuleDescriptionsIngress": ({"GroupId": "sg-12345678"}, "InvalidGroup.NotFound"),
    "UpdateSecurityGroupRuleDescriptionsEgress": ({"GroupId": "sg-12345678"}, "InvalidGroup.NotFound"),
    "RevokeSecurityGroupIngress": ({"SecurityGroupRuleId.2": "sgr-12345678"}, "InvalidSecurityGroupRuleId.NotFound"),
    "RevokeSecurityGroupEgress": ({"IpPermissions.1.IpRanges.1.CidrIp": "x"}, "InvalidParameterValue"),
    "DeleteSecurityGroup": ({"GroupId": "sg-00000000000000001"}, "CannotDelete"),
    "DescribeVpcs": ({"VpcId.1": "vpc-12345678"}, "InvalidVpcID.NotFound"),
    "DescribeVpcAttribute": ({"VpcId": "vpc-12345678"}, "InvalidVpcID.NotFound"),
    "DescribeSubnets": ({"SubnetId.1": "subnet-12345678"}, "InvalidSubnetID.NotFound"),
    "DescribeRouteTables": ({"RouteTableId.1": "rtb-12345678"}, "InvalidRouteTableID.NotFound"),
    "DescribeInternetGateways": ({"InternetGatewayId.1": "igw-12345678"}, "InvalidInternetGatewayID.NotFound"),
    "DescribeNetworkAcls": ({"NetworkAclId.1": "acl-12345678"}, "InvalidNetworkAclID.NotFound"),
    "DescribeNetworkInterfaces": ({"NetworkInterfaceId.1": "eni-12345678"}, "InvalidNetworkInterfaceID.NotFound"),
    "DescribeNetworkInterfaceAttribute": ({"Attribute": "no-such"}, "InvalidParameterValue"),
    "ModifyNetworkInterfaceAttribute": ({"SecurityGroupId.1": GROUP}, "InvalidParameterCombination"),
    "DescribeVolumes": ({"VolumeId.1": "vol-12345678"}, "InvalidVolume.NotFound"),
    "DescribeVolumeStatus": ({"VolumeId.1": "vol-12345678"}, "InvalidVolume.NotFound"),
    "DescribeVolumeAttribute": ({"Attribute": "no-such"}, "InvalidParameterValue"),
    "DeleteVolume": ({"VolumeId": "vol-00000000000000001"}, "VolumeInUse"),
    "DescribeInstanceAttribute": ({"Attribute": "no-such"}, "InvalidParameterValue"),
    "ModifyInstanceAttribute": ({"InstanceInitiatedShutdownBehavior.Value": "no-such"}, "InvalidParameterValue"),
    "ResetInstanceAttribute": ({"Attribute": "instanceType"}, "IncorrectInstanceState"),
    "ModifyInstanceMetadataOptions": ({"HttpPutResponseHopLimit": "65"}, "InvalidParameterValue"),
    "MonitorInstances": ({"InstanceId.2": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "UnmonitorInstances": ({"InstanceId.2": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "GetConsoleOutput": ({"InstanceId": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "GetConsoleScreenshot": ({"InstanceId": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "GetPasswordData": ({"InstanceId": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "DescribeInstanceCreditSpecifications": ({"InstanceId.1": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "DescribeReservedInstances": ({"ReservedInstancesId.1": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "AssignPublicIpAddress": ({"InstanceId": "i-12345678"}, "InvalidInstanceID.NotFound"),
    "UnassignPublicIpAddress": ({"PublicIp": "203.0.113.0"}, "InvalidParameterValue"),
    "DescribeInstanceTypeOfferings": ({"LocationType": "no-such"}, "InvalidParameterValue"),
    "DescribeVmTypes": ({"InstanceType.1": "no-such"}, "InvalidInstanceType"),
    "DescribeImageAttribute": ({"Attribute": "no-such"}, "InvalidParameterValue"),
    "DescribeAccountAttributes": ({"AttributeName.1": "no-such"}, "InvalidParameterValue"),
}


@pytest.mark.parametrize("action", sorted(GOOD.keys() - STS))
async def test_a_dry_run_that_would_fail_fails_as_it_would_and_changes_nothing(ec2, house, stage, action):
    changes, code = WRONG[action]
    before = await rows(house)
    for dry in ({"DryRun": "true"}, {}):
        answer = await ec2.ask(action, GOOD[action] | changes | dry)
        assert answer.code == code
    assert await rows(house) == before


@pytest.mark.parametrize("action", GOOD)
async def test_a_parameter_that_aws_does_not_know_is_refused_by_name_and_nothing_is_changed(ec2, house, stage, action):
    before = await rows(house)
    answer = await ec2.ask(action, GOOD[action] | {"Bogus.1.Name": "x"})
    assert (answer.status, answer.sts_code if action in STS else answer.code) == (400, "UnknownParameter")
    assert answer.message == "The parameter Bogus.1.Name is not recognized"
    assert await rows(house) == before


@pytest.mark.parametrize("action", GOOD)
async def test_a_parameter_that_comes_twice_is_refused_and_nothing_is_changed(ec2, house, stage, action):
    before = await rows(house)
    parameter = ("DurationSeconds", "900") if action == "GetSessionToken" else ("DryRun", "false")
    answer = await ec2.ask(action, [*GOOD[action].items(), parameter, parameter])
    code = answer.sts_code if action in STS else answer.code
    assert (answer.status, code) == (400, "InvalidParameterCombination")
    assert await rows(house) == before


# --- what AWS knows and we do not honour

SERVICES = model.load(EXTENSIONS)
OF_KIND = {Kind.BOOLEAN: "true", Kind.BLOB: "AAAA", Kind.TIMESTAMP: "2026-05-01T12:00:00Z", Kind.STRING: "x"}


def filled(shapes, name, path):
    """Return parameters that fill a shape with as little as it takes."""
    shape = shapes[name]
    if isinstance(shape, List):
        return filled(shapes, shape.item, f"{path}.1")
    if isinstance(shape, Structure):
        needed = [member for member in shape.members if member.is_required] or shape.members[:1]
        return {
            key: value
            for member in needed
            for key, value in filled(shapes, member.shape, f"{path}.{member.wire}").items()
        }
    return {path: shape.enum[0] if shape.enum else OF_KIND.get(shape.kind, "1")}


def members(action):
    """The parameters of an action by their names, each with a value."""
    service = next(service for service in SERVICES.values() if action in service.actions)
    request = service.actions[action].request
    found = service.shapes[request].members if request else ()
    return {member.name: filled(service.shapes, member.shape, member.wire) for member in found}


@pytest.mark.parametrize("action", sorted(GOOD.keys() - STS))
async def test_every_parameter_that_is_not_honoured_is_refused_by_name_and_changes_nothing(ec2, house, stage, action):
    ours = ACTIONS[action]
    strange = members(action).keys() - ours.reads - ours.ignores.keys() - ours.accepts.keys()
    before = await rows(house)
    for name in sorted(strange):
        answer = await ec2.ask(action, GOOD[action] | members(action)[name])
        assert (answer.status, answer.code) == (400, "UnsupportedOperation")
        assert answer.message == f"The parameter {name} of {action} is not supported here."
    assert await rows(house) == before


@pytest.mark.parametrize("action", sorted(name for name in GOOD if ACTIONS[name].ignores))
async def test_a_parameter_that_makes_no_difference_is_taken(ec2, stage, action):
    parameters = [members(action)[name] for name in ACTIONS[action].ignores]
    together = {key: value for each in parameters for key, value in each.items()}
    assert (await ec2.ask(action, GOOD[action] | together)).code == ""


# --- two accounts

OURS = (f">{MACHINE}<", PAIR, "ours-key", "ours-value", "ours-token", "192.0.2.1", f">{BOUND}<", ">mine<")
FOREIGN = {
    "RunInstances": "InvalidKeyPair.NotFound",
    "StartInstances": "InvalidInstanceID.NotFound",
    "StopInstances": "InvalidInstanceID.NotFound",
    "RebootInstances": "InvalidInstanceID.NotFound",
    "TerminateInstances": "InvalidInstanceID.NotFound",
    "CreateKeyPair": "",
    "ImportKeyPair": "",
    "DeleteKeyPair": "",
    "CreateTags": "InvalidInstanceID.NotFound",
    "DeleteTags": "InvalidInstanceID.NotFound",
    "AllocateAddress": "",
    "AssociateAddress": "InvalidAllocationID.NotFound",
    "DisassociateAddress": "InvalidAddress.NotFound",
    "ReleaseAddress": "InvalidAllocationID.NotFound",
    "CreateSecurityGroup": "",
    "AuthorizeSecurityGroupIngress": "InvalidGroup.NotFound",
    "AuthorizeSecurityGroupEgress": "InvalidGroup.NotFound",
    "ModifySecurityGroupRules": "InvalidGroup.NotFound",
    "UpdateSecurityGroupRuleDescriptionsIngress": "InvalidGroup.NotFound",
    "UpdateSecurityGroupRuleDescriptionsEgress": "InvalidGroup.NotFound",
    "RevokeSecurityGroupIngress": "InvalidGroup.NotFound",
    "RevokeSecurityGroupEgress": "InvalidGroup.NotFound",
    "DeleteSecurityGroup": "InvalidGroup.NotFound",
    "ModifyNetworkInterfaceAttribute": "InvalidNetworkInterfaceID.NotFound",
    "DeleteVolume": "InvalidVolume.NotFound",
    "ModifyInstanceAttribute": "InvalidInstanceID.NotFound",
    "ResetInstanceAttribute": "InvalidInstanceID.NotFound",
    "ModifyInstanceMetadataOptions": "InvalidInstanceID.NotFound",
    "MonitorInstances": "InvalidInstanceID.NotFound",
    "UnmonitorInstances": "InvalidInstanceID.NotFound",
    "AssignPublicIpAddress": "InvalidInstanceID.NotFound",
    "UnassignPublicIpAddress": "InvalidAddress.NotFound",
}


@pytest.mark.parametrize("action", DESCRIBING)
async def test_nothing_of_ours_shows_in_what_is_described_to_others(ec2, house, stage, action):
    body = (await ec2.ask(action, GOOD[action], holder=house.theirs)).body.decode()
    assert not [text for text in (*OURS, str(house.ours.account.id)) if text in body]


@pytest.mark.parametrize("action", CHANGING)
async def test_nothing_of_ours_is_changed_by_others_even_if_they_name_it(ec2, house, stage, action):
    before = await rows(house)
    assert (await ec2.ask(action, GOOD[action], holder=house.theirs)).code == FOREIGN[action]
    after = await rows(house)
    assert all(after[table][key] == record for table in before for key, record in before[table].items())


@pytest.mark.parametrize(
    ("action", "asked", "nobodys", "code"),
    [
        ("DescribeInstances", ("InstanceId.1", MACHINE), "i-00000000000009999", "InvalidInstanceID.NotFound"),
        ("DescribeInstances", ("InstanceId.1", "1"), "39321", "InvalidInstanceID.NotFound"),
        ("DescribeInstanceStatus", ("InstanceId.1", MACHINE), "i-00000000000009999", "InvalidInstanceID.NotFound"),
        ("DescribeKeyPairs", ("KeyName.1", "mine"), "nobodys", "InvalidKeyPair.NotFound"),
        ("DescribeKeyPairs", ("KeyPairId.1", PAIR), "key-00000000000009999", "InvalidKeyPair.NotFound"),
        ("DeleteTags", ("ResourceId.1", PAIR), "key-00000000000009999", "InvalidKeyPair.NotFound"),
    ],
)
@pytest.mark.usefixtures("stage")
async def test_what_is_ours_does_not_exist_for_others(ec2, action, asked, nobodys, code):
    name, value = asked
    theirs = ec2.house.theirs
    foreign, absent = [await ec2.ask(action, {name: each}, holder=theirs) for each in (value, nobodys)]
    assert (foreign.status, foreign.code) == (absent.status, absent.code) == (400, code)
    assert foreign.message.replace("0001'", "9999'").replace("'mine'", "'nobodys'") == absent.message


async def test_tags_on_a_shared_image_are_each_accounts_own(ec2, house, stage, theirs, ours):
    await theirs.create_tags(Resources=[IMAGE], Tags=[{"Key": "theirs", "Value": ""}])
    await ours.delete_tags(Resources=[IMAGE], Tags=[{"Key": "theirs"}])
    shown = [(await customer.describe_images(ImageIds=[IMAGE]))["Images"][0]["Tags"] for customer in (ours, theirs)]
    assert shown == [[{"Key": "ours-key", "Value": "ours-value"}], [{"Key": "theirs", "Value": ""}]]
    found = await theirs.describe_images(Filters=[{"Name": "tag:ours-key", "Values": ["*"]}])
    assert found["Images"] == []


@pytest.mark.parametrize("operation", ["describe_instances", "describe_tags"])
async def test_the_token_of_our_page_is_nothing_to_others(ours, theirs, operation):
    for customer in (ours, theirs):
        ids = await customer.run(9)
        await customer.create_tags(Resources=ids, Tags=[{"Key": "a", "Value": "b"}])
    token = (await getattr(ours, operation)(MaxResults=5))["NextToken"]
    assert (await theirs.refusal(operation, MaxResults=5, NextToken=token))[:2] == (400, "InvalidNextToken")
    assert await getattr(ours, operation)(MaxResults=5, NextToken=token)
