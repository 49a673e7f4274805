from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.billing import TERMS_HOURS, charged_hours, cost, repriced
from core.errors import InvalidRequest
from core.instances import Cause, State, after_failure
from core.spending import Allowance, Month, Outlook, amount_in, check_amount, forecast_in, hours_in, price_in
from tests.builders import an_instance
from tests.clocks import NOON

MAY, JUNE = Month(2026, 5), Month(2026, 6)  # noon is in May
HOUR, MOMENT = timedelta(hours=1), timedelta(microseconds=1)
PRICES = st.decimals(Decimal("0.0001"), Decimal(1000), places=4)
SPANS = st.timedeltas(timedelta(0), timedelta(days=200))
CHANGES = st.lists(st.tuples(SPANS, PRICES), max_size=5)


# --- months


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        (datetime(2026, 11, 1, tzinfo=UTC), Month(2026, 11)),
        (datetime(2026, 11, 1, tzinfo=UTC) - MOMENT, Month(2026, 10)),
        (datetime(2026, 11, 1, 0, 30, tzinfo=timezone(HOUR)), Month(2026, 10)),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), Month(2026, 12)),
    ],
)
def test_a_moment_is_in_its_month_of_utc(moment, month):
    assert Month.of(moment) == month


@given(st.timedeltas(timedelta(0), timedelta(days=365 * 500)))
def test_every_moment_is_in_one_month(since_the_epoch):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + since_the_epoch
    month = Month.of(moment)
    assert month.start <= moment < month.end
    assert month.end == month.next.start
    assert month.start == month.previous.end
    assert Month.parse(str(month)) == month


def test_months_are_spelled_and_sorted_by_the_calendar():
    months = [Month(2025, 12), Month(2026, 1), Month(2026, 11)]
    assert [str(month) for month in months] == ["2025-12", "2026-01", "2026-11"]
    assert sorted(months, reverse=True) == months[::-1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-13",
        "2026-00",
        "2026-1",
        "26-01",
        "2026-11 ",
        "2026-11\n",
        "1969-12",
        "9999-01",
        "\u0662026-01",
    ],
)
def test_what_is_no_month_is_refused_with_an_example(text):
    with pytest.raises(InvalidRequest, match="such as 2026-11"):
        Month.parse(text)


# --- what a machine costs in each


def lived(changes, term, *, until=None):
    """Return a machine whose price changed, and perhaps ended after that, and when that was over."""
    machine, now = an_instance(term_hours=term), NOON
    for after, price in changes:
        now += after
        machine = repriced(machine, price, now)
    if until is not None:
        now += until
        machine = replace(machine, ended_at=now)
    return machine, now


def months_to(now):
    month, months = MAY, [MAY]
    while month.end <= now:
        months.append(month := month.next)
    return months


@given(CHANGES, st.sampled_from(TERMS_HOURS), st.none() | SPANS, SPANS)
def test_all_months_add_up_to_what_a_machine_has_cost(changes, term, until, since):
    machine, now = lived(changes, term, until=until)
    now += since
    months = [MAY.previous, *months_to(now), Month.of(now).next]
    assert sum(amount_in(machine, month, now) for month in months) == cost(machine, now)
    assert sum(hours_in(machine, month, now) for month in months) == charged_hours(machine, now)


@given(CHANGES, CHANGES, st.sampled_from(TERMS_HOURS), SPANS, SPANS)
def test_a_month_that_is_over_never_changes_by_what_comes_later(changes, later, term, until, since):
    machine, now = lived(changes, term)
    over = months_to(now)[:-1]
    told = [
        (amount_in(machine, month, now), hours_in(machine, month, now), price_in(machine, month, now)) for month in over
    ]
    for after, price in later:
        now += after
        machine = repriced(machine, price, now)
    now += until
    machine, now = replace(machine, ended_at=now), now + since
    assert told == [
        (amount_in(machine, month, now), hours_in(machine, month, now), price_in(machine, month, now)) for month in over
    ]


@given(CHANGES, st.sampled_from(TERMS_HOURS), st.none() | SPANS)
def test_the_forecast_is_what_comes_true_if_nothing_changes(changes, term, until):
    machine, now = lived(changes, term, until=until)
    month = Month.of(now)
    assert forecast_in(machine, month) == amount_in(machine, month, month.end)


@pytest.mark.parametrize("term", TERMS_HOURS)
def test_a_term_is_charged_in_the_month_in_which_it_begins(term):
    machine, later = an_instance(term_hours=term, launched_at=JUNE.start - HOUR), JUNE.end

    assert hours_in(machine, MAY, later) == term
    assert hours_in(machine, JUNE, later) == {1: 720, 730: 0, 2190: 0}[term]


def test_the_hour_in_which_a_month_turns_is_charged_in_the_month_in_which_it_begins():
    machine = an_instance(launched_at=JUNE.start - HOUR / 2)
    assert amount_in(machine, MAY, JUNE.start) == machine.hourly_price
    assert amount_in(machine, JUNE, JUNE.start + HOUR / 2) == 0
    assert amount_in(machine, JUNE, JUNE.start + HOUR / 2 + MOMENT) == machine.hourly_price


def test_a_machine_that_is_launched_as_the_month_turns_costs_nothing_in_the_one_before():
    machine = an_instance(launched_at=JUNE.start)
    assert (amount_in(machine, MAY, JUNE.start), amount_in(machine, JUNE, JUNE.start)) == (0, machine.hourly_price)


def test_a_cheaper_product_within_a_term_that_was_charged_last_month_is_credited():
    machine = an_instance(term_hours=2190, hourly_price=Decimal(2), launched_at=JUNE.start - HOUR)
    cheaper = repriced(machine, Decimal(1), JUNE.start + 9 * HOUR)
    assert amount_in(cheaper, MAY, JUNE.end) == 2 * 2190
    assert amount_in(cheaper, JUNE, JUNE.end) == -(2190 - 10)


def test_a_launch_that_failed_costs_nothing_in_any_month():
    failed = after_failure(an_instance(State.PENDING), JUNE.start, Cause.LAUNCH_FAILED, "")
    assert [amount_in(failed, month, JUNE.end) for month in (MAY, JUNE)] == [0, 0]


def test_the_price_of_a_month_is_the_one_at_its_end():
    machine = repriced(an_instance(hourly_price=Decimal(1)), Decimal(2), JUNE.start - HOUR)
    machine = repriced(machine, Decimal(3), JUNE.start + HOUR)
    assert [price_in(machine, month, JUNE.start + 2 * HOUR) for month in (MAY, JUNE)] == [2, 3]


# --- limits


@pytest.mark.parametrize(
    "amount", ["-0.01", "NaN", "Infinity", "-Infinity", "sNaN", "1E+12", "1E+999999", "1E-7", "1E-999999"]
)
def test_a_limit_is_an_amount_from_zero(amount):
    with pytest.raises(InvalidRequest, match=r"spending limit: .* expected 0 or more"):
        check_amount("spending limit", Decimal(amount))


@pytest.mark.parametrize("amount", [None, "0", "100", "1E+3", "99.999999", "999999999999.999999"])
def test_a_limit_may_be_none_at_all_or_any_amount_that_one_can_pay(amount):
    limit = amount and Decimal(amount)
    assert check_amount("spending limit", limit) is limit


@pytest.mark.parametrize(
    ("spent", "is_warned", "is_reached"),
    [({}, False, False), ({"EUR": 79}, False, False), ({"EUR": 80}, True, False), ({"EUR": 1, "USD": 100}, True, True)],
)
def test_an_account_is_warned_and_stopped_by_what_it_spends_in_any_one_currency(spent, is_warned, is_reached):
    amounts = {currency: Decimal(amount) for currency, amount in spent.items()}
    for limits in ((Decimal(100), None), (None, Decimal(100)), (Decimal(100), Decimal(200))):
        allowance = Allowance(limits[0], Decimal(80), limits[1], amounts)
        assert (allowance.is_warned, allowance.is_reached) == (is_warned, is_reached)


def test_without_limits_nothing_is_ever_reached():
    allowance = Allowance(None, None, None, {"EUR": Decimal(10**9)})
    assert (allowance.is_warned, allowance.is_reached) == (False, False)


def test_thirty_days_are_720_hours():
    assert Outlook("EUR", Decimal("0.10"), Decimal(), Decimal()).per_30_days == 72
