from decimal import Decimal

from core.orders import Booking
from tests.protocols.console.served import PATH


async def test_newcomers_are_told_what_to_do_next(console):
    page = await console.get()
    assert "You have no machines yet" in page.visible
    assert page.all(f"main a[href='{PATH}order']")


async def test_it_counts_machines_by_state_and_what_they_cost(console, ours):
    await ours.house.core.stop(ours.caller, ours.ids[:1], is_forced=False)
    page = await console.get()
    assert "1 running 1 stopping" in page.visible
    assert "0.02 USD an hour" in page.visible


async def test_it_warns_when_as_much_is_spent_as_was_said(console, ours):
    await ours.house.core.spending.set_limits(ours.caller, None, Decimal("0.01"))
    assert "wanted to be warned" in (await console.get()).visible
    await ours.house.core.spending.set_limits(ours.caller, Decimal("0.01"), None)
    assert "nothing more can be booked" in (await console.get()).visible


async def test_a_machine_that_could_not_be_started_is_told_of(console, ours, house):
    placed = await house.core.book(ours.caller, Booking((await house.product("plain")).id))
    await house.fail([placed.instances[0].id])
    assert "could not be started, and costs nothing: The machine could not be made." in (await console.get()).visible


async def test_it_tells_what_was_done_last(console, ours):
    await ours.stop()
    await ours.house.core.start(ours.caller, ours.ids[:1])
    assert f"start machine {ours.ids[0]}" in (await console.get()).visible


async def test_an_open_page_asks_for_the_live_part_alone(console, ours):
    page = await console.get("?part=live")
    assert page.all(".cards")
    assert not page.all("header")


async def test_nothing_of_another_account_is_on_it(stranger, ours):
    page = await stranger.get()
    assert "You have no machines yet" in page.visible
    assert "tag" not in page.visible
