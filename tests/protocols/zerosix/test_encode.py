"""Money and time on the wire."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.zerosix import encode

ZONES = st.sampled_from(["UTC", "America/Los_Angeles", "Asia/Kathmandu", "Australia/Lord_Howe"]).map(ZoneInfo)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.25", "0.25"),
        ("0.50", "0.5"),
        ("1.00", "1"),
        ("1", "1"),
        ("0", "0"),
        ("0.000", "0"),
        ("100", "100"),
        ("1E+2", "100"),
        ("1E-7", "0.0000001"),
        ("10.10", "10.1"),
        ("123456789012345678901234567890.10", "123456789012345678901234567890.1"),
    ],
)
def test_money_has_no_exponent_and_no_needless_zero(amount, text):
    assert encode.money(Decimal(amount)) == text


@given(st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False))
def test_money_loses_nothing(amount):
    text = encode.money(amount)
    assert Decimal(text) == amount
    assert set(text) <= set("0123456789.")
    assert not ("." in text and text[-1] in "0.")


@given(st.integers(946_800_000_000_000, 4_102_444_800_000_000), ZONES)
def test_a_time_is_that_of_the_zone_without_its_offset(microseconds, zone):
    at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
    told = encode.moment(at, zone)
    assert (told["timezone_type"], told["timezone"]) == (3, zone.key)
    local = datetime.fromisoformat(told["time"])
    assert len(told["time"]) == len("2019-01-01T04:20:00")
    whole = at.replace(microsecond=0)
    assert whole in {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    assert local.tzinfo is None
