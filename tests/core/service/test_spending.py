import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.billing import cost
from core.errors import DryRunPassed, InvalidRequest, SpendingLimitReached, UnknownAccount
from core.ids import AccountId, InstanceId
from core.instances import Options, Power, State
from core.journal import DeedQuery
from core.orders import Booking
from core.spending import Month
from core.tags import ResourceKind
from tests.builders import an_instance
from tests.contracts.store_contract import contents, put_all
from tests.fleetfixture import CATALOGUE, a_ware

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MAY, JUNE, JULY = Month(2026, 5), Month(2026, 6), Month(2026, 7)  # it is noon of the first of May


@pytest.fixture
def spending(house):
    return house.core.spending


@pytest.fixture
def us(house):
    return house.caller()


@pytest.fixture
async def rent(house, us):
    """Rents machines by their product's name, by default one of 0.50 USD an hour, and returns what was placed."""
    wares = [
        *CATALOGUE.products,
        a_ware("euros", "2", {"eu-1a": 99}, currency="EUR"),
        a_ware("gift", "0", {"eu-1a": 9}),
    ]
    await house.administration.set_catalogue(replace(CATALOGUE, products=wares))

    async def rent(slug="nvidia-1080ti", least=1, most=None, *, caller=us, **options):
        product = await house.product(slug)
        return await house.core.book(caller, Booking(product.id, least, most or least, **options))

    return rent


@pytest.fixture
def limit(spending, us):
    """Limits what we may spend in a month."""

    async def limit(amount):
        await spending.set_limits(us, None if amount is None else Decimal(amount), None)

    return limit


async def end(house, placed):
    """End the rental of what was placed; its machines are gone at once."""
    await house.core.complete(house.caller(), placed.order.id)
    await house.seen(Power.ABSENT, [machine.id for machine in placed.instances])
    order = (await house.store.view()).orders[placed.order.id]
    await house.store.transact(put_all(replace(order, closed_at=house.clock.now())))


def until(house, month):
    """Let the time come at which a month begins."""
    house.clock.advance(month.start - house.clock.now())


# --- what was used


async def test_a_machine_is_told_with_all_that_an_invoice_needs(house, spending, us, rent):
    launched = house.clock.now()
    placed = await rent(options=Options(hostname="web-1"))
    until(house, JUNE)
    usage = await spending.usage(us, MAY)
    [line] = usage.lines
    hours = 30 * 24 + 12
    assert (line.instance_id, line.order_id) == (placed.instances[0].id, placed.order.id)
    assert (line.product, line.title, line.zone, line.name) == ("nvidia-1080ti", "Nvidia 1080Ti", "eu-1a", "web-1")
    assert (line.launched_at, line.ended_at) == (launched, None)
    assert (line.hours, line.hourly_price, line.amount, line.currency) == (hours, Decimal("0.50"), hours / 2, "USD")
    assert (usage.account_id, usage.month, usage.totals, usage.is_over) == (
        us.account_id,
        MAY,
        {"USD": hours / 2},
        True,
    )


async def test_a_machine_is_called_by_its_name_tag_first(spending, us, rent):
    await rent(options=Options(hostname="web-1"), tags={ResourceKind.INSTANCE: {"Name": "the shop"}})
    assert [line.name for line in (await spending.usage(us, MAY)).lines] == ["the shop"]


async def test_a_month_that_goes_on_grows_until_it_is_over(house, spending, us, rent):
    await rent()
    assert (await spending.usage(us, MAY)).totals == {"USD": Decimal("0.50")}
    house.clock.advance(2 * HOUR)
    usage = await spending.usage(us, MAY)
    assert (usage.totals, usage.is_over) == ({"USD": Decimal("1.00")}, False)


async def test_nothing_was_used_before_the_first_machine_and_nothing_is_to_come(spending, us, rent):
    await rent()
    for month in (MAY.previous, JUNE):
        assert list((await spending.usage(us, month)).lines) == []


async def test_the_end_of_a_rental_is_told_of_the_month_in_which_it_was(house, spending, us, rent):
    placed = await rent()
    until(house, JUNE)
    await house.core.complete(us, placed.order.id)
    house.clock.advance(DAY)
    assert [line.ended_at for line in (await spending.usage(us, MAY)).lines] == [None]
    assert [line.ended_at for line in (await spending.usage(us, JUNE)).lines] == []  # it ended as June began


async def test_amounts_in_each_currency_are_added_up_by_themselves(spending, us, rent):
    await rent("euros", 2)
    await rent("nvidia-1080ti")
    assert list((await spending.usage(us, MAY)).totals.items()) == [("EUR", 4), ("USD", Decimal("0.50"))]


async def test_machines_of_all_regions_count_wherever_one_looks(house, spending, us, rent):
    await rent("nvidia-1060")
    await rent("nvidia-1080ti")
    regions = (await house.store.view()).regions
    for region_id in (None, *regions):
        assert len((await spending.usage(replace(us, region_id=region_id), MAY)).lines) == 2


async def test_what_others_rent_is_not_ours(house, spending, us, rent):
    await rent(caller=house.caller(house.theirs))
    assert list((await spending.usage(us, MAY)).lines) == []
    assert len((await spending.of_account(house.theirs.account.id, MAY)).lines) == 1


async def test_there_is_no_usage_of_an_account_that_is_not_there(spending):
    with pytest.raises(UnknownAccount):
        await spending.of_account(AccountId(1), MAY)


async def test_orders_that_have_left_the_memory_still_count_and_only_once(house, spending, us, rent):
    ended, alive = await rent(least=2), await rent()
    house.clock.advance(10 * HOUR)
    await end(house, ended)
    house.clock.advance(20 * DAY)
    before = await spending.usage(us, MAY)
    assert [line.instance_id for line in before.lines] == [each.id for each in (*ended.instances, *alive.instances)]
    assert await house.store.archive(house.clock.now()) == 1
    assert await spending.usage(us, MAY) == before
    assert (await spending.limits(us)).spent == before.totals


async def test_an_order_that_closed_in_an_earlier_month_counts_in_that_one_alone(house, spending, us, rent):
    placed = await rent()
    await end(house, placed)
    until(house, JULY)
    await house.store.archive(house.clock.now())
    months = {month: len((await spending.usage(us, month)).lines) for month in (MAY, JUNE, JULY)}
    assert months == {MAY: 1, JUNE: 0, JULY: 0}


async def test_all_months_of_an_account_add_up_to_what_its_machines_cost(house, spending, us, rent):
    await rent(least=2, term_hours=730)
    house.clock.advance(3 * DAY)
    await end(house, await rent("euros"))
    until(house, JUNE)
    machine = (await rent("anywhere")).instances[0]
    house.clock.advance(5 * DAY)
    await house.core.terminate(us, [machine.id])
    until(house, JULY)
    whole = sum(cost(machine, house.clock.now()) for machine in await house.machines())
    months = [await spending.usage(us, month) for month in (MAY, JUNE, JULY)]
    assert sum(sum(month.totals.values()) for month in months) == whole


async def test_there_are_months_since_the_first_order_this_one_first(house, spending, us, rent):
    assert list(await spending.months(us)) == []
    await end(house, await rent())
    assert list(await spending.months(us)) == [MAY]
    until(house, JULY)
    await house.store.archive(house.clock.now())
    assert list(await spending.months(us)) == [JULY, JUNE, MAY]
    assert list(await spending.months(house.caller(house.theirs))) == []


# --- what runs


async def test_what_runs_is_told_by_the_hour_by_thirty_days_and_to_the_end_of_the_month(house, spending, us, rent):
    await rent(least=2)
    stopped = await rent()
    await house.seen(Power.RUNNING)
    await house.core.stop(us, [stopped.instances[0].id], is_forced=True)
    ended = await rent("anywhere", 1)
    await house.core.complete(us, ended.order.id)
    house.clock.advance(2 * HOUR)
    running = await spending.running(us)
    [outlook] = running.outlooks
    assert (running.machines_up, running.machines_stopped) == (2, 1)
    assert (outlook.currency, outlook.per_hour, outlook.per_30_days) == ("USD", Decimal("1.50"), 1080)
    assert (outlook.spent, outlook.forecast) == (4, Decimal("1.50") * (30 * 24 + 12) + 1)
    until(house, JUNE)
    assert (await spending.usage(us, MAY)).totals == {"USD": outlook.forecast}


async def test_where_nothing_was_ever_rented_nothing_runs(spending, us):
    running = await spending.running(us)
    assert (list(running.outlooks), running.machines_up, running.machines_stopped) == ([], 0, 0)


async def test_others_have_their_turns_while_many_machines_are_counted(house, spending, us, rent):
    placed = await rent()
    many = [
        an_instance(
            State.TERMINATED, id=InstanceId(1000 + n), order_id=placed.order.id, account_id=us.account_id, ssh_port=n
        )
        for n in range(1000)
    ]
    await house.store.transact(put_all(*many))
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    try:
        assert len((await spending.usage(us, MAY)).lines) == 1001
        before = turns
        assert await spending.counted_for_booking(us) is None
        assert turns == before  # at no cost without a limit
    finally:
        counting.cancel()
    assert before >= 4


# --- limits


async def test_limits_are_kept_and_written_down(house, spending, us):
    await spending.set_limits(us, Decimal("100.50"), Decimal(80))
    await house.administration.set_credit_limit(us.account_id, Decimal(500))
    allowance = await spending.limits(us)
    assert (allowance.limit, allowance.warning, allowance.credit_limit) == (Decimal("100.50"), 80, 500)
    [deed] = await house.store.deeds(DeedQuery(verb="set spending limit"))
    assert (deed.account_id, deed.author.actor, deed.subject) == (
        us.account_id,
        us.access_key,
        "limit 100.50, warning 80",
    )
    await spending.set_limits(us, None, None)
    assert (await spending.limits(us)).limit is None


@pytest.mark.parametrize(("amount", "warning"), [("-1", None), (None, "-1"), ("NaN", None), ("10", "10.01")])
async def test_limits_that_make_no_sense_are_refused(house, spending, us, amount, warning):
    before = contents(await house.store.view())
    with pytest.raises(InvalidRequest):
        await spending.set_limits(us, amount and Decimal(amount), warning and Decimal(warning))
    assert contents(await house.store.view()) == before


async def test_an_account_is_warned_before_it_is_stopped(house, spending, us, rent):
    await spending.set_limits(us, Decimal(2), Decimal(1))
    await rent()
    seen = []
    for _ in range(4):
        allowance = await spending.limits(us)
        seen.append((allowance.is_warned, allowance.is_reached))
        house.clock.advance(HOUR + timedelta(seconds=1))
    assert seen == [(False, False), (True, False), (True, False), (True, True)]


# --- booking within them


async def test_a_booking_over_the_limit_is_refused_with_the_figures_and_changes_nothing(house, rent, limit):
    await rent(least=2)
    await limit("1.49")
    before, deeds = contents(await house.store.view()), await house.store.deeds(DeedQuery())
    with pytest.raises(SpendingLimitReached) as caught:
        await rent()
    error = caught.value
    assert (error.limit, error.spent, error.more, error.currency) == (Decimal("1.49"), 1, Decimal("0.50"), "USD")
    assert contents(await house.store.view()) == before
    assert await house.store.deeds(DeedQuery()) == deeds


async def test_a_booking_may_come_to_just_the_limit(rent, limit):
    await limit("1.50")
    await rent(least=3)
    with pytest.raises(SpendingLimitReached):
        await rent("plain")


async def test_a_limit_that_is_raised_or_lifted_counts_at_once(rent, limit):
    await limit("0.50")
    await rent()
    for more in ("1.00", None):
        with pytest.raises(SpendingLimitReached):
            await rent()
        await limit(more)
        await rent()
        await limit("1.00")


async def test_what_was_spent_last_month_counts_no_longer(house, rent, limit):
    await limit("2.00")
    placed = await rent("anywhere", 2)
    await house.core.complete(house.caller(), placed.order.id)
    house.clock.advance(JUNE.start - house.clock.now() - timedelta(microseconds=1))
    with pytest.raises(SpendingLimitReached):
        await rent("plain")
    until(house, JUNE)
    await rent("anywhere", 2)


async def test_machines_that_go_on_count_in_every_month(house, rent, limit):
    await rent(least=2)
    await limit("100")
    until(house, JUNE)
    house.clock.advance(99 * HOUR)
    await rent(least=2)  # for the last of it
    with pytest.raises(SpendingLimitReached) as caught:
        await rent("plain")
    assert caught.value.spent == 100


async def test_as_many_machines_as_the_limit_allows_are_booked_where_fewer_will_do(rent, limit):
    await limit("1.99")
    assert len((await rent(least=2, most=5)).instances) == 3
    with pytest.raises(SpendingLimitReached) as caught:
        await rent(least=1, most=2)
    assert caught.value.more == Decimal("0.50")


async def test_a_term_counts_whole_from_its_beginning(rent, limit):
    await limit("364.99")
    with pytest.raises(SpendingLimitReached) as caught:
        await rent(term_hours=730)
    assert caught.value.more == 365
    await limit("365")
    await rent(term_hours=730)


@pytest.mark.parametrize("limits", [("1.00", "9"), ("9", "1.00"), (None, "1.00")])
async def test_the_lower_one_of_both_limits_counts(house, us, rent, limit, limits):
    own, operators = limits
    await limit(own)
    await house.administration.set_credit_limit(us.account_id, Decimal(operators))
    await rent(least=2)
    with pytest.raises(SpendingLimitReached) as caught:
        await rent()
    assert caught.value.limit == 1


async def test_the_limit_counts_in_each_currency_by_itself(rent, limit):
    await limit("2.00")
    await rent("euros")
    await rent(least=4)
    for slug in ("euros", "nvidia-1080ti"):
        with pytest.raises(SpendingLimitReached):
            await rent(slug)


async def test_what_costs_nothing_can_be_booked_whatever_was_spent(rent, limit):
    await rent(least=2)
    await limit("0")
    assert len((await rent("gift", 3)).instances) == 3


async def test_a_launch_that_failed_is_not_counted(house, rent, limit):
    await limit("0.50")
    placed = await rent()
    await house.fail([placed.instances[0].id])
    await rent()


async def test_the_limit_of_one_account_is_not_anothers(house, rent, limit):
    await limit("0")
    await rent(caller=house.caller(house.theirs))


async def test_bookings_at_once_do_not_slip_past_the_limit_together(house, us, rent, limit):
    await rent("plain")
    await limit("1.00")
    outcomes = await asyncio.gather(*(rent("plain") for _ in range(150)), return_exceptions=True)
    assert sum(isinstance(outcome, SpendingLimitReached) for outcome in outcomes) == 51
    assert (await house.core.spending.limits(us)).spent == {"USD": 1}


async def test_machines_booked_and_ended_while_it_is_counted_are_not_missed(house, us, rent, limit):
    await limit("0.51")

    async def rent_and_end():
        placed = await rent("plain")
        await end(house, placed)

    outcomes = await asyncio.gather(*(rent_and_end() for _ in range(60)), return_exceptions=True)
    assert sum(isinstance(outcome, SpendingLimitReached) for outcome in outcomes) == 9
    assert (await house.core.spending.limits(us)).spent == {"USD": Decimal("0.51")}


async def test_a_booking_that_was_made_before_is_told_again_whatever_was_spent(rent, limit):
    placed = await rent(client_token="token")
    await limit("0")
    again = await rent(client_token="token")
    assert (again.order.id, again.is_new) == (placed.order.id, False)


async def test_a_trial_of_a_booking_finds_the_limit(us, rent, limit):
    trial = replace(us, is_dry_run=True)
    await limit("0.50")
    with pytest.raises(DryRunPassed):
        await rent(caller=trial)
    with pytest.raises(SpendingLimitReached):
        await rent(least=2, caller=trial)


async def test_what_is_rented_may_be_given_to_a_bigger_product_whatever_the_limit(house, us, rent, limit):
    [machine] = (await rent("nvidia-1080ti")).instances
    await house.seen(Power.RUNNING)
    await house.core.stop(us, [machine.id], is_forced=True)
    await house.seen(Power.STOPPED)
    await limit("0")
    await house.core.machines.resize(us, machine.id, (await house.product("anywhere")).id)
    assert (await house.core.spending.running(us)).outlooks[0].per_hour == 1
