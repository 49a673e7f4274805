from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.billing import cost, started_hours
from core.instances import Cause, State, after_failure, after_stop
from tests.builders import an_instance
from tests.clocks import NOON

HOUR, MOMENT = timedelta(hours=1), timedelta(microseconds=1)
DURATIONS = st.timedeltas(timedelta(0), timedelta(days=3650))
PRICES = st.decimals(Decimal("0.0001"), Decimal(1000), places=4)


@pytest.mark.parametrize(
    ("rented", "hours"),
    [
        (timedelta(0), 1),
        (MOMENT, 1),
        (HOUR - MOMENT, 1),
        (HOUR, 1),
        (HOUR + MOMENT, 2),
        (2 * HOUR, 2),
        (2 * HOUR + MOMENT, 3),
        (-HOUR, 1),  # the clock was put back
    ],
)
def test_every_started_hour_is_charged_and_never_less_than_one(rented, hours):
    assert started_hours(an_instance(), NOON + rented) == hours


@given(DURATIONS)
def test_the_hours_charged_cover_the_rental_and_not_an_hour_more(rented):
    hours = started_hours(an_instance(), NOON + rented)
    assert hours * HOUR >= rented
    assert (hours - 1) * HOUR <= rented


@given(DURATIONS, DURATIONS)
def test_time_after_the_end_is_not_charged(rented, since):
    ended = an_instance(State.SHUTTING_DOWN, ended_at=NOON + rented)
    assert started_hours(ended, NOON + rented + since) == started_hours(an_instance(), NOON + rented)


@given(DURATIONS, DURATIONS)
def test_the_cost_never_falls(earlier, more):
    machine = an_instance()
    assert cost(machine, NOON + earlier) <= cost(machine, NOON + earlier + more)


@given(DURATIONS, PRICES)
def test_the_cost_is_exactly_hours_times_price(rented, price):
    machine = an_instance(hourly_price=price)
    total = cost(machine, NOON + rented)
    assert isinstance(total, Decimal)
    assert total / price == started_hours(machine, NOON + rented)


def test_a_price_without_an_exact_binary_fraction_adds_up():
    assert str(cost(an_instance(hourly_price=Decimal("0.10")), NOON + 3 * HOUR)) == "0.30"


def test_a_stopped_machine_is_charged_since_it_keeps_its_place_and_disk():
    assert started_hours(after_stop(an_instance(), NOON), NOON + 5 * HOUR) == 5


def test_a_launch_that_failed_costs_nothing():
    failed = after_failure(an_instance(State.PENDING), NOON + HOUR, Cause.LAUNCH_FAILED, "")
    assert (started_hours(failed, NOON + 5 * HOUR), cost(failed, NOON + 5 * HOUR)) == (0, Decimal(0))
