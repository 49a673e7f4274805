"""What is so for every action."""

import pytest

from protocols.ec2.app import ACTIONS
from tests.protocols.ec2.served import WAYS
from tests.protocols.ec2.stage import GOOD, IMAGE, MACHINE, PAIR, STS, rows, set_stage

DESCRIBING = sorted(name for name in GOOD if name.startswith(("Describe", "Get")))
CHANGING = sorted(GOOD.keys() - {*DESCRIBING})


@pytest.fixture
async def stage(house):
    await set_stage(house)


def test_the_stage_has_a_request_of_every_action():
    assert GOOD.keys() == ACTIONS.keys()


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


# --- two accounts

OURS = (f">{MACHINE}<", PAIR, "ours-key", "ours-value", "ours-token", "192.0.2.1", ">mine<")
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
