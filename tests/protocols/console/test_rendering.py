from decimal import Decimal

import pytest

from protocols.console.rendering import FILTERS


@pytest.mark.parametrize(
    ("amount", "told"),
    [("43.245", "43.25 USD"), ("43.244", "43.24 USD"), ("-0.005", "-0.01 USD"), ("1234.5", "1,234.50 USD")],
)
def test_sums_are_rounded_as_people_do_it(amount, told):
    assert FILTERS["cents"](Decimal(amount), "USD") == told


@pytest.mark.parametrize(
    ("amount", "told"), [("0.015", "0.015"), ("2", "2.00"), ("1E+3", "1,000.00"), ("0.10", "0.10")]
)
def test_prices_are_told_to_the_last_digit_and_to_the_cent_at_least(amount, told):
    assert FILTERS["money"](Decimal(amount)) == told
