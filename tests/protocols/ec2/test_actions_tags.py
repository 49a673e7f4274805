from datetime import timedelta

import pytest

from core.instances import Power

MACHINE, OTHER, NOBODY = "i-00000000000000001", "i-00000000000000002", "i-0123456789abcdef0"
IMAGE = "ami-00000000000000001"
TAGS = {"a": "1", "b": "", "c": "x y&<é>"}


def listed(tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


async def tags_of(ours, resource=MACHINE):
    wanted = [{"Name": "resource-id", "Values": [resource]}]
    return {tag["Key"]: tag["Value"] for tag in (await ours.describe_tags(Filters=wanted))["Tags"]}


@pytest.fixture
async def tagged(ours):
    """A machine with `TAGS`."""
    await ours.run()
    await ours.create_tags(Resources=[MACHINE], Tags=listed(TAGS))


# --- adding


async def test_tags_are_added_and_replaced(ours, tagged):
    await ours.create_tags(Resources=[MACHINE], Tags=listed({"a": "2", "d": "3"}))
    assert await tags_of(ours) == TAGS | {"a": "2", "d": "3"}


async def test_tags_go_onto_everything_that_is_named(ours):
    await ours.run()
    pair = (await ours.create_key_pair(KeyName="mine", KeyType="ed25519"))["KeyPairId"]
    await ours.create_tags(Resources=[MACHINE, IMAGE, pair, MACHINE], Tags=listed({"a": "1"}))
    for resource in (MACHINE, IMAGE, pair):
        assert await tags_of(ours, resource) == {"a": "1"}
    assert (await ours.describe_images(ImageIds=[IMAGE]))["Images"][0]["Tags"] == listed({"a": "1"})
    assert (await ours.describe_key_pairs())["KeyPairs"][0]["Tags"] == listed({"a": "1"})
    assert (await ours.machine(MACHINE))["Tags"] == listed({"a": "1"})


async def test_a_machine_may_be_named_by_its_number(ours):
    await ours.run()
    await ours.create_tags(Resources=["1"], Tags=listed({"a": "1"}))
    assert await tags_of(ours) == {"a": "1"}


async def test_a_tag_without_a_value_has_an_empty_one(ec2, ours):
    # boto 2 sends no value for None. Source: reference/ec2-wire-rules.md, Requests.
    await ours.run()
    assert (await ec2.ask("CreateTags", {"ResourceId.1": MACHINE, "Tag.1.Key": "a"})).code == ""
    assert await tags_of(ours) == {"a": ""}


@pytest.mark.parametrize(
    ("resources", "tags", "code"),
    [
        ([NOBODY], TAGS, "InvalidInstanceID.NotFound"),
        (["i-x"], TAGS, "InvalidInstanceID.Malformed"),
        (["ami-0123456789abcdef0"], TAGS, "InvalidAMIID.NotFound"),
        (["key-0123456789abcdef0"], TAGS, "InvalidKeyPair.NotFound"),
        (["vol-0123456789abcdef0"], TAGS, "InvalidVolume.NotFound"),
        (["snap-0123456789abcdef0"], TAGS, "InvalidID"),
        (["sg-0123456789abcdef0"], TAGS, "InvalidGroup.NotFound"),
        (["sgr-0123456789abcdef0"], TAGS, "InvalidSecurityGroupRuleId.NotFound"),
        (["eipalloc-0123456789abcdef0"], TAGS, "InvalidAllocationID.NotFound"),
        (["vpc-0123456789abcdef0"], TAGS, "InvalidVpcID.NotFound"),
        (["eni-0123456789abcdef0"], TAGS, "InvalidNetworkInterfaceID.NotFound"),
        (["r-00000000000000001"], TAGS, "InvalidID"),
        ([""], TAGS, "InvalidID"),
        ([MACHINE], {"": "1"}, "InvalidParameterValue"),
        ([MACHINE], {"k" * 129: "1"}, "InvalidParameterValue"),
        ([MACHINE], {"k": "v" * 257}, "InvalidParameterValue"),
        ([MACHINE], {"aws:name": "1"}, "InvalidParameterValue"),
        ([MACHINE], {f"k{number}": "1" for number in range(48)}, "TagLimitExceeded"),
    ],
)
async def test_tags_that_make_no_sense_are_refused_and_change_nothing(ours, tagged, resources, tags, code):
    asked = {"Resources": [MACHINE, *resources], "Tags": listed(tags)}
    assert (await ours.refusal("create_tags", **asked))[:2] == (400, code)
    assert await tags_of(ours) == TAGS


async def test_a_tag_given_twice_is_refused(ours, tagged):
    asked = {"Resources": [MACHINE], "Tags": [*listed({"a": "1"}), *listed({"a": "2"})]}
    assert (await ours.refusal("create_tags", **asked))[1] == "InvalidParameterValue"
    assert await tags_of(ours) == TAGS


async def test_the_longest_and_the_most_tags_are_taken(ours):
    await ours.run()
    tags = {f"{number:02}" + "k" * 126: "é" * 256 for number in range(50)}
    await ours.create_tags(Resources=[MACHINE], Tags=listed(tags))
    assert await tags_of(ours) == tags


@pytest.mark.parametrize("missing", ["ResourceId.1", "Tag.1.Key"])
async def test_tagging_needs_a_resource_and_a_key(ec2, ours, missing):
    await ours.run()
    parameters = {"ResourceId.1": MACHINE, "Tag.1.Key": "a", "Tag.1.Value": "1"}
    del parameters[missing]
    assert (await ec2.ask("CreateTags", parameters)).code == "MissingParameter"
    assert await tags_of(ours) == {}


# --- removing


@pytest.mark.parametrize(
    ("tags", "left"),
    [
        ([{"Key": "a"}], {"b", "c"}),
        ([{"Key": "a", "Value": "1"}], {"b", "c"}),
        ([{"Key": "a", "Value": "2"}], {"a", "b", "c"}),
        ([{"Key": "a", "Value": ""}], {"a", "b", "c"}),
        ([{"Key": "b", "Value": ""}], {"a", "c"}),
        ([{"Key": "a"}, {"Key": "c"}], {"b"}),
        ([{"Key": "no-such"}], {"a", "b", "c"}),
        ([], set()),
    ],
)
async def test_tags_go_by_key_or_by_key_and_value_or_all(ours, tagged, tags, left):
    await ours.delete_tags(Resources=[MACHINE], **({"Tags": tags} if tags else {}))
    assert (await tags_of(ours)).keys() == left


async def test_untagging_touches_only_what_is_named(ours, tagged):
    await ours.run()
    await ours.create_tags(Resources=[OTHER, IMAGE], Tags=listed(TAGS))
    await ours.delete_tags(Resources=[MACHINE, IMAGE])
    assert [await tags_of(ours, resource) for resource in (MACHINE, OTHER, IMAGE)] == [{}, TAGS, {}]


async def test_untagging_what_does_not_exist_is_refused(ours, tagged):
    assert await ours.code("delete_tags", Resources=[MACHINE, NOBODY]) == "InvalidInstanceID.NotFound"
    assert await tags_of(ours) == TAGS


@pytest.mark.parametrize("action", ["CreateTags", "DeleteTags"])
async def test_tagging_and_untagging_answer_true(ec2, ours, tagged, action):
    answer = await ec2.ask(action, {"ResourceId.1": MACHINE, "Tag.1.Key": "a"})
    assert answer.root.findtext("{*}return") == "true"


# --- describing


async def test_tags_are_described_by_kind_id_and_key(ours, tagged):
    pair = (await ours.create_key_pair(KeyName="mine", KeyType="ed25519"))["KeyPairId"]
    await ours.run()
    await ours.create_tags(Resources=[pair, OTHER, IMAGE], Tags=listed({"z": "1", "a": "2"}))
    shown = [(tag["ResourceType"], tag["ResourceId"], tag["Key"]) for tag in (await ours.describe_tags())["Tags"]]
    assert shown == [
        *(("image", IMAGE, key) for key in "az"),
        *(("instance", MACHINE, key) for key in "abc"),
        *(("instance", OTHER, key) for key in "az"),
        *(("key-pair", pair, key) for key in "az"),
    ]


async def test_tags_of_a_machine_are_forgotten_an_hour_after_its_end(ours, house, tagged):
    await ours.terminate_instances(InstanceIds=[MACHINE])
    await house.seen(Power.ABSENT)
    assert await tags_of(ours) == TAGS
    house.clock.advance(timedelta(hours=1))
    assert await tags_of(ours) == {}
    assert await ours.code("create_tags", Resources=[MACHINE], Tags=listed(TAGS)) == "InvalidInstanceID.NotFound"


async def test_tags_come_in_pages(ours):
    await ours.run(4)
    await ours.create_tags(Resources=["1", "2", "3", "4"], Tags=listed(TAGS))
    pages = await ours.pages("describe_tags", PaginationConfig={"PageSize": 5})
    assert [len(page["Tags"]) for page in pages] == [5, 5, 2]
    assert len({(tag["ResourceId"], tag["Key"]) for page in pages for tag in page["Tags"]}) == 12


async def test_tags_that_come_and_go_between_pages_neither_double_nor_hide_the_others(ours):
    await ours.run(2)
    await ours.create_tags(Resources=["1", "2"], Tags=listed({"d": "", "e": "", "f": "", "g": ""}))
    first = await ours.describe_tags(MaxResults=5)
    await ours.create_tags(Resources=["1"], Tags=listed({"a": "", "b": "", "c": ""}))
    await ours.delete_tags(Resources=["2"], Tags=[{"Key": "d"}])
    second = await ours.describe_tags(MaxResults=5, NextToken=first["NextToken"])
    shown = [(tag["ResourceId"][-1], tag["Key"]) for page in (first, second) for tag in page["Tags"]]
    assert shown == [("1", "d"), ("1", "e"), ("1", "f"), ("1", "g"), ("2", "d"), ("2", "e"), ("2", "f"), ("2", "g")]
