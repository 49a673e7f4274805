"""What an account may spend, and whether it may do anything at all, as EC2's clients are told."""

from decimal import Decimal

import pytest

from core.administration import MachinePolicy
from core.journal import DeedQuery
from core.spending import Month
from tests.protocols.ec2.stage import GOOD, STS, rows, set_stage

PLAIN = {"ImageId": "debian-12", "InstanceType": "plain"}  # 0.01 USD an hour


@pytest.fixture
def limit(house):
    """Limits what we may spend in a month."""

    async def limit(amount):
        await house.core.spending.set_limits(house.caller(), Decimal(amount), None)

    return limit


async def test_a_booking_over_the_limit_is_refused_in_plain_words_and_changes_nothing(house, ours, limit):
    await ours.run(2)
    await limit("0.03")
    before, deeds = await rows(house), await house.store.deeds(DeedQuery())
    assert await ours.refusal("run_instances", **PLAIN, MinCount=2, MaxCount=2) == (
        400,
        "InstanceLimitExceeded",
        (
            "This booking begins with 0.02 USD, and the account has spent 0.02 of the 0.03 USD that it may spend this"
            " month. Book less, have the limit raised, or wait for the next month (UTC)."
        ),
    )
    assert await rows(house) == before
    assert await house.store.deeds(DeedQuery()) == deeds


async def test_once_the_limit_was_raised_the_same_booking_succeeds(ours, limit):
    await limit("0.01")
    assert await ours.code("run_instances", **PLAIN, MinCount=2, MaxCount=2) == "InstanceLimitExceeded"
    await limit("0.02")
    assert len(await ours.run(2)) == 2


async def test_once_the_month_has_turned_the_same_booking_succeeds(house, ours, limit):
    await limit("0.02")
    await ours.terminate_instances(InstanceIds=await ours.run(2))
    assert await ours.code("run_instances", **PLAIN, MinCount=1, MaxCount=1) == "InstanceLimitExceeded"
    house.clock.advance(Month.of(house.clock.now()).end - house.clock.now())
    assert len(await ours.run(2)) == 2


async def test_as_many_as_the_limit_allows_are_booked_where_fewer_will_do(ours, limit):
    await limit("0.03")
    assert len((await ours.run_instances(**PLAIN, MinCount=1, MaxCount=9))["Instances"]) == 3


async def test_what_may_not_be_spent_stops_nothing_that_is_rented(house, ours, limit):
    ids = await ours.run()
    await limit("0")
    await ours.create_tags(Resources=ids, Tags=[{"Key": "k", "Value": "v"}])
    assert (await ours.terminate_instances(InstanceIds=ids))["TerminatingInstances"]


@pytest.mark.parametrize("action", GOOD)
async def test_every_action_of_a_suspended_account_is_refused_and_changes_nothing(ec2, house, action):
    await set_stage(house)
    await house.administration.suspend(house.ours.account.id)
    before = await rows(house)
    answer = await ec2.ask(action, GOOD[action])
    assert (answer.status, answer.sts_code if action in STS else answer.code) == (403, "Blocked")
    assert "is suspended; ask the operator" in answer.message
    assert await rows(house) == before


async def test_a_suspended_account_goes_on_where_it_was_once_it_is_resumed(house, ours):
    ids = await ours.run()
    await house.administration.suspend(house.ours.account.id, MachinePolicy.STOP)
    assert await ours.code("describe_instances") == "Blocked"
    await house.administration.resume(house.ours.account.id)
    assert [
        machine["InstanceId"] for machine in (await ours.describe_instances())["Reservations"][0]["Instances"]
    ] == ids


async def test_a_session_of_a_suspended_account_is_refused_too(ec2, house):
    session = house.core.open_session(house.caller(), 900)
    await house.administration.suspend(house.ours.account.id)
    keys = {"access_key": session.access_key, "secret": session.secret_key, "token": session.token}
    assert (await ec2.ask("DescribeInstances", **keys)).code == "Blocked"


async def test_the_suspension_of_one_account_is_not_anothers(house, theirs):
    await house.administration.suspend(house.ours.account.id)
    assert (await theirs.describe_instances())["Reservations"] == []


async def test_no_key_works_while_api_access_is_off_and_each_does_once_it_is_on(house, ours):
    await house.core.access.turn(house.caller(), is_on=False)
    assert await ours.code("describe_instances") == "AuthFailure"
    await house.core.access.turn(house.caller(), is_on=True)
    assert (await ours.describe_instances())["Reservations"] == []
