from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.billing import (
    TERMS_HOURS,
    charged_hours,
    charged_hours_at,
    cost,
    cost_at,
    first_charge,
    price_at,
    repriced,
    started_hours,
)
from core.instances import Cause, State, after_failure, after_stop
from tests.builders import an_instance
from tests.clocks import NOON

HOUR, MINUTE, MOMENT = timedelta(hours=1), timedelta(minutes=1), timedelta(microseconds=1)
DURATIONS = st.timedeltas(timedelta(0), timedelta(days=3650))
TERMS = st.sampled_from(TERMS_HOURS)
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


# --- terms


@pytest.mark.parametrize(
    ("term", "rented", "hours"),
    [
        (730, timedelta(0), 730),
        (730, 730 * HOUR, 730),
        (730, 730 * HOUR + MOMENT, 1460),
        (2190, HOUR, 2190),
        (2190, 2190 * HOUR + MOMENT, 4380),
        (1, 5 * HOUR, 5),
    ],
)
def test_a_term_that_has_started_is_charged_whole(term, rented, hours):
    assert charged_hours(an_instance(term_hours=term), NOON + rented) == hours


@given(DURATIONS, TERMS)
def test_the_terms_charged_cover_the_hours_rented_and_not_a_term_more(rented, term):
    machine, now = an_instance(term_hours=term), NOON + rented
    charged, started = charged_hours(machine, now), started_hours(machine, now)
    assert charged % term == 0
    assert charged - term < started <= charged


@given(DURATIONS, DURATIONS, TERMS)
def test_what_ended_within_a_term_costs_the_whole_term_and_never_more(rented, since, term):
    ended = an_instance(State.SHUTTING_DOWN, ended_at=NOON + rented, term_hours=term)
    assert cost(ended, NOON + rented + since) == cost(ended, NOON + rented)
    assert cost(ended, NOON + rented) == ended.hourly_price * charged_hours(ended, NOON + rented)


def test_a_launch_that_failed_costs_nothing_whatever_its_term():
    failed = after_failure(an_instance(State.PENDING, term_hours=730), NOON + HOUR, Cause.LAUNCH_FAILED, "")
    assert (charged_hours(failed, NOON + HOUR), cost(failed, NOON + HOUR)) == (0, Decimal(0))


# --- other prices


def resized(machine, changes):
    """Return the machine after prices changed, each so long after the one before, and when the last did."""
    now = NOON
    for after, price in changes:
        now += after
        machine = repriced(machine, price, now)
    return machine, now


def charged_before(machine):
    """Return what was charged when the price last changed."""
    return machine.checkpoints[-1].cost if machine.checkpoints else 0


CHANGES = st.lists(st.tuples(st.timedeltas(timedelta(0), timedelta(days=400)), PRICES), max_size=6)


def test_the_hour_that_has_begun_stays_at_its_price_and_the_next_has_the_new_one():
    machine = repriced(an_instance(hourly_price=Decimal(1)), Decimal(10), NOON + 90 * MINUTE)
    assert cost(machine, NOON + 90 * MINUTE) == 2
    assert cost(machine, NOON + 2 * HOUR) == 2
    assert cost(machine, NOON + 2 * HOUR + MOMENT) == 12


def test_going_to_and_fro_within_an_hour_costs_nothing_extra():
    machine = an_instance(hourly_price=Decimal(1))
    machine, _ = resized(machine, [(MINUTE, Decimal(10)), (MINUTE, Decimal(1))])
    assert cost(machine, NOON + 5 * HOUR) == 5


@given(CHANGES, st.integers(1, 500))
def test_every_hour_is_charged_once_at_the_price_at_which_it_began(changes, hours_more):
    machine, now = resized(an_instance(hourly_price=Decimal(1)), changes)
    turns, at = [(0, Decimal(1))], NOON
    for after, price in changes:
        at += after
        turns.append((started_hours(an_instance(), at), price))
    end = now + hours_more * HOUR
    ends = [begun for begun, _ in turns[1:]] + [started_hours(an_instance(), end)]
    assert cost(machine, end) == sum((until - begun) * price for (begun, price), until in zip(turns, ends, strict=True))


@given(CHANGES, DURATIONS, PRICES, TERMS)
def test_what_was_charged_never_falls_as_time_goes_by(changes, more, price, term):
    machine, now = resized(an_instance(hourly_price=price, term_hours=term), changes)
    assert cost(machine, now) <= cost(machine, now + more)


@given(CHANGES, PRICES)
def test_another_price_by_itself_changes_nothing_of_what_the_hours_so_far_cost(changes, price):
    machine, now = resized(an_instance(), changes)
    assert cost(repriced(machine, price, now), now) == cost(machine, now)


@given(CHANGES, TERMS)
def test_the_dearer_product_never_makes_a_term_cheaper(changes, term):
    machine, now = resized(an_instance(term_hours=term), changes)
    assert cost(repriced(machine, machine.hourly_price + 1, now), now) >= cost(machine, now)


@given(CHANGES, DURATIONS, TERMS)
def test_no_hour_is_lost_between_prices(changes, more, term):
    machine, now = resized(
        an_instance(hourly_price=Decimal(1), term_hours=term), [(at, Decimal(1)) for at, _ in changes]
    )
    assert cost(machine, now + more) == charged_hours(an_instance(term_hours=term), now + more)


@given(CHANGES, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_a_clock_that_was_put_back_takes_nothing_off_the_bill(changes, back):
    machine, now = resized(an_instance(), changes)
    assert cost(machine, now - back) >= charged_before(machine)


@given(CHANGES.filter(bool), st.timedeltas(timedelta(0), timedelta(days=400)), PRICES)
def test_a_price_that_changes_while_the_clock_is_back_charges_no_hour_again(changes, back, price):
    machine, now = resized(an_instance(), changes)
    assert cost(repriced(machine, price, now - back), now) == charged_before(machine)


# --- as it was told then


@given(CHANGES, CHANGES, TERMS, st.floats(0, 1), DURATIONS)
def test_what_had_been_charged_by_a_moment_that_is_past_never_changes(changes, later, term, share, more):
    machine, now = resized(an_instance(term_hours=term), changes)
    past = NOON + (now - NOON) * share
    told = cost_at(machine, past), charged_hours_at(machine, past), price_at(machine, past)
    for after, price in later:
        now += after
        machine = repriced(machine, price, now)
        assert (cost_at(machine, past), charged_hours_at(machine, past), price_at(machine, past)) == told
    ended = replace(machine, ended_at=now + more)
    assert (cost_at(ended, past), charged_hours_at(ended, past), price_at(ended, past)) == told


@given(CHANGES, DURATIONS, TERMS)
def test_looking_back_says_what_was_said_then(changes, more, term):
    machine, now = resized(an_instance(term_hours=term), changes)
    then = now + HOUR + MOMENT + more  # an hour later, its price has begun for sure
    assert cost_at(machine, then) == cost(machine, then)
    assert charged_hours_at(machine, then) == charged_hours(machine, then)
    assert price_at(machine, then) == machine.hourly_price


@given(CHANGES, st.timedeltas(MOMENT, timedelta(days=400)), DURATIONS)
def test_after_its_end_a_machine_has_always_cost_the_same(changes, more, since):
    machine, now = resized(an_instance(), changes)
    ended = replace(machine, ended_at=now + more)
    assert cost_at(ended, now + more + since) == cost(ended, now + more) == cost_at(machine, now + more)


@given(CHANGES.filter(bool), TERMS)
def test_before_its_launch_a_machine_had_cost_nothing(changes, term):
    machine, _ = resized(an_instance(term_hours=term), changes)
    assert cost_at(machine, NOON) == cost_at(machine, NOON - HOUR) == 0
    assert charged_hours_at(machine, NOON) == 0


def test_a_launch_that_failed_had_never_cost_anything():
    failed = after_failure(an_instance(State.PENDING), NOON + HOUR, Cause.LAUNCH_FAILED, "")
    assert (cost_at(failed, NOON + HOUR), charged_hours_at(failed, NOON + HOUR)) == (0, 0)


@given(PRICES, TERMS, st.integers(1, 1000))
def test_a_booking_begins_with_what_its_machines_cost_at_once(price, term, machines):
    machine = an_instance(hourly_price=price, term_hours=term)
    assert first_charge(price, term, machines) == machines * cost(machine, NOON)
