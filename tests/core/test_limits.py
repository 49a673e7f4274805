from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LimitReached, TooManyRequests
from core.limits import Limits, Pace

KINDS = [field.name for field in fields(Limits)]


class Stopwatch:
    """Seconds that go on when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch():
    return Stopwatch()


def taken(pace, times, key="key"):
    """Return how many of so many requests are let through."""
    return sum(is_let_through(pace, key) for _ in range(times))


def is_let_through(pace, key="key"):
    try:
        pace.take(key)
    except TooManyRequests:
        return False
    return True


# --- what an account may have


@pytest.mark.parametrize("kind", KINDS)
def test_an_account_may_have_as_many_as_the_limit_and_not_one_more(kind):
    limits = Limits(**{kind: 3})
    limits.require_room(kind, 2)
    limits.require_room(kind, 0, 3)
    with pytest.raises(LimitReached) as caught:
        limits.require_room(kind, 2, 2)
    assert (caught.value.kind, caught.value.most, caught.value.have, caught.value.more) == (kind, 3, 2, 2)


def test_a_limit_of_nothing_lets_nothing_through():
    with pytest.raises(LimitReached):
        Limits(addresses=0).require_room("addresses", 0)


@pytest.mark.parametrize(("least", "most", "granted"), [(1, 1, 1), (1, 9, 4), (4, 4, 4), (2, 3, 3)])
def test_as_many_are_granted_as_there_is_room_for(least, most, granted):
    assert Limits(machines=10).clip("machines", 6, least, most) == granted


def test_nothing_is_granted_where_the_least_does_not_fit():
    with pytest.raises(LimitReached):
        Limits(machines=10).clip("machines", 6, 5, 9)


# --- how often a key may ask


def test_without_a_pace_nobody_is_held_up(watch):
    assert taken(Pace(0, 1, watch), 1000) == 1000


def test_after_a_rest_a_key_may_ask_so_many_times_at_once(watch):
    assert taken(Pace(1, 5, watch), 10) == 5


def test_a_key_may_ask_so_often_a_second(watch):
    pace = Pace(2, 5, watch)
    taken(pace, 5)
    for _ in range(10):
        watch.seconds += 1
        assert taken(pace, 5) == 2


def test_a_long_rest_is_worth_no_more_than_a_full_bucket(watch):
    pace = Pace(2, 5, watch)
    taken(pace, 5)
    watch.seconds += 3600
    assert taken(pace, 10) == 5


def test_being_refused_does_not_cost_another_turn(watch):
    pace = Pace(1, 1, watch)
    taken(pace, 100)
    watch.seconds += 1
    assert is_let_through(pace)


def test_each_key_has_a_bucket_of_its_own(watch):
    pace = Pace(1, 1, watch)
    assert is_let_through(pace, "one")
    assert is_let_through(pace, "other")
    assert not is_let_through(pace, "one")


def test_who_is_refused_is_told_how_long_to_wait(watch):
    pace = Pace(0.5, 1, watch)
    pace.take("key")
    with pytest.raises(TooManyRequests) as caught:
        pace.take("key")
    assert caught.value.wait_seconds == pytest.approx(2)


def test_who_waits_as_long_as_told_is_let_through(watch):
    pace = Pace(3, 1, watch)
    for _ in range(100):
        pace.take("key")
        with pytest.raises(TooManyRequests) as caught:
            pace.take("key")
        watch.seconds += caught.value.wait_seconds + 1e-9
    assert is_let_through(pace)


@given(st.lists(st.floats(0, 5), max_size=50), st.sampled_from([0.5, 1, 7]), st.integers(1, 10))
def test_no_key_ever_asks_more_often_than_its_pace_and_its_bucket_allow(pauses, per_second, burst):
    watch = Stopwatch()
    pace, count = Pace(per_second, burst, watch), 0
    for pause in pauses:
        watch.seconds += pause
        count += taken(pace, 3)
    assert count <= burst + per_second * sum(pauses) + 1e-6


def test_the_buckets_of_keys_that_no_longer_ask_are_not_kept_for_ever(watch):
    pace = Pace(1, 1, watch)
    for number in range(10_000):
        pace.take(f"key {number}")
    assert len(pace._buckets) <= 4096


# --- a pace that changes


def test_what_a_key_has_left_it_keeps(watch):
    pace = Pace(1, 10, watch)
    taken(pace, 8)
    pace.change(1, 5)
    assert taken(pace, 10) == 2


def test_no_key_has_more_left_than_its_bucket_holds_by_now(watch):
    pace = Pace(1, 10, watch)
    taken(pace, 1)
    pace.change(1, 5)
    assert taken(pace, 10) == 5


def test_time_that_has_passed_counts_at_the_former_pace(watch):
    pace = Pace(1, 10, watch)
    taken(pace, 10)
    watch.seconds += 2
    pace.change(100, 10)
    assert taken(pace, 10) == 2
    watch.seconds += 0.0625
    assert taken(pace, 10) == 6


def test_a_pace_may_be_set_where_there_was_none_and_taken_away_again(watch):
    pace = Pace(0, 1, watch)
    taken(pace, 100)
    pace.change(1, 3)
    assert taken(pace, 10) == 3
    pace.change(0, 1)
    assert taken(pace, 100) == 100
    pace.change(1, 3)
    assert taken(pace, 10) == 3
