"""What an account may spend, and whether it may do anything at all, as ZeroSix's clients are told."""

from decimal import Decimal

import pytest

from core.journal import DeedQuery
from core.spending import Month
from tests.contracts.store_contract import contents


@pytest.fixture
def limit(house):
    """Limits what we may spend in a month."""

    async def limit(amount):
        await house.core.spending.set_limits(house.caller(), Decimal(amount), None)

    return limit


@pytest.fixture
async def two(house):
    """What books two machines of 0.01 USD an hour each."""
    return {"product_id": (await house.product("plain")).id, "instances": 2}


async def test_a_booking_over_the_limit_is_refused_in_plain_words_and_changes_nothing(site, house, limit, two):
    await site.book("plain", 2)
    await limit("0.03")
    before, deeds = contents(await house.store.view()), await house.store.deeds(DeedQuery())
    answer = await site.ask("PUT", "orders", two)
    assert answer.refusal == (403, "onefleet_spending_limit")
    assert answer.json()["message"] == (
        "This booking begins with 0.02 USD, and the account has spent 0.02 of the 0.03 USD that it may spend this month."
        " Book less, have the limit raised, or wait for the next month (UTC)."
    )
    assert contents(await house.store.view()) == before
    assert await house.store.deeds(DeedQuery()) == deeds


async def test_once_the_limit_was_raised_the_same_booking_succeeds(site, limit, two):
    await limit("0.01")
    assert (await site.ask("PUT", "orders", two)).refusal == (403, "onefleet_spending_limit")
    await limit("0.02")
    assert (await site.ask("PUT", "orders", two)).status == 200


async def test_once_the_month_has_turned_the_same_booking_succeeds(site, house, limit, two):
    await limit("0.02")
    await site.ended(instances=2)
    assert (await site.ask("PUT", "orders", two)).refusal == (403, "onefleet_spending_limit")
    house.clock.advance(Month.of(house.clock.now()).end - house.clock.now())
    assert (await site.ask("PUT", "orders", two)).status == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "products"), ("GET", "orders"), ("PUT", "orders"), ("GET", "orders/{id}"), ("DELETE", "orders/{id}")],
)
async def test_every_request_of_a_suspended_account_is_refused_and_changes_nothing(site, house, two, method, target):
    order = await site.book()
    await house.administration.suspend(house.ours.account.id)
    before = contents(await house.store.view())
    answer = await site.ask(method, target.format(id=order["order_id"]), two if method == "PUT" else None)
    assert answer.refusal == (403, "onefleet_account_suspended")
    assert "is suspended; ask the operator" in answer.json()["message"]
    assert contents(await house.store.view()) == before


async def test_a_suspended_account_goes_on_where_it_was_once_it_is_resumed(site, house):
    order = await site.book()
    await house.administration.suspend(house.ours.account.id)
    await house.administration.resume(house.ours.account.id)
    assert (await site.ask("GET", f"orders/{order['order_id']}")).status == 200


async def test_the_suspension_of_one_account_is_not_anothers(site, house):
    await house.administration.suspend(house.theirs.account.id)
    assert (await site.ask("GET", "orders")).status == 200


@pytest.mark.parametrize("ask", ["ask", "signed"])
async def test_no_key_works_while_api_access_is_off_and_each_does_once_it_is_on(site, house, ask):
    await house.core.access.turn(house.caller(), is_on=False)
    assert (await getattr(site, ask)("GET", "orders")).refusal == (401, "woocommerce_rest_authentication_error")
    await house.core.access.turn(house.caller(), is_on=True)
    assert (await getattr(site, ask)("GET", "orders")).status == 200
