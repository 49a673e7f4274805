import asyncio
import itertools

import pytest
from lxml import etree

from core.instances import Power
from protocols.ec2 import turns
from protocols.ec2.turns import in_turns


@pytest.fixture
def no_patience(monkeypatch):
    """Let every turn be over after one item."""
    monkeypatch.setattr(turns, "_HOLD_SECONDS", 0)


async def walked_together():
    """The places, in time, of two walks over three items each."""
    place = itertools.count()

    async def walk():
        return [next(place) async for _ in in_turns(range(3))]

    return await asyncio.gather(walk(), walk())


@pytest.mark.usefixtures("no_patience")
async def test_others_have_their_turn_while_a_long_answer_is_made():
    assert await walked_together() == [[0, 2, 4], [1, 3, 5]]


async def test_a_short_answer_is_made_in_one_turn(monkeypatch):
    monkeypatch.setattr(turns, "_HOLD_SECONDS", 60)
    assert await walked_together() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize(
    ("action", "item"),
    [("DescribeInstances", "instanceId"), ("DescribeInstanceStatus", "instanceId"), ("DescribeTags", "resourceId")],
)
async def test_an_answer_stays_whole_while_the_fleet_changes_under_it(ec2, ours, action, item):
    ids = await ours.run(30)
    await ec2.house.seen(Power.RUNNING)
    await ours.create_tags(Resources=ids, Tags=[{"Key": "a", "Value": "b"}])
    wanted = {"Filter.1.Name": "tag:a", "Filter.1.Value.1": "b*"}
    numbered = {f"InstanceId.{number}": id_ for number, id_ in enumerate(ids)}
    booking = {"ImageId": "debian-12", "InstanceType": "plain", "MinCount": "9", "MaxCount": "9"}
    answer, *others = await asyncio.gather(
        ec2.ask(action, wanted),
        ec2.ask("RunInstances", booking),
        ec2.ask("DeleteTags", {"ResourceId.1": ids[0]}),
        ec2.ask("CreateTags", {"ResourceId.1": ids[1], "Tag.1.Key": "c", "Tag.1.Value": "d"}),
        ec2.ask("TerminateInstances", numbered),
        ec2.ask(action, wanted),
    )
    assert {other.status for other in (answer, *others)} == {200}
    told = [node.text for node in answer.root.iter() if etree.QName(node).localname == item]
    assert told == sorted(set(told))
    assert told
