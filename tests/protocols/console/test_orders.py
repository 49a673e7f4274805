"""The list of orders, and one order."""

import pytest

from core.instances import Power
from core.kinds import ResourceKind
from core.orders import Booking
from core.tags import Resource
from protocols.ids import instance_id, reservation_id

EVIL = '"><script>alert(1)</script>'
ROUTES = ["orders/{}", "orders/{}?part=machines", "orders/{}/private-key"]


async def test_newcomers_are_told_how_to_order(console):
    assert "You have ordered nothing yet" in (await console.get("orders")).visible


async def test_orders_are_listed_with_what_they_cost(console, ours):
    [row] = (await console.get("orders")).texts("tbody tr")
    assert f"{ours.order.id} {reservation_id(ours.order.id)} unlimited Plain 2 0.02 USD EC2" in row


async def test_a_completed_order_is_still_listed(console, ours):
    await ours.be_gone()
    assert "completed" in (await console.get("orders")).text_of("tbody tr")


@pytest.mark.parametrize(
    ("query", "count"),
    [("text=plain", 1), ("text=titan", 0), ("status=unlimited", 1), ("status=failed", 0), ("text=r-0000&page=9", 1)],
)
async def test_orders_are_searched(console, ours, query, count):
    assert len((await console.get(f"orders?{query}")).all("tbody tr")) == count


async def test_fifty_orders_are_shown_at_a_time(console, house):
    product = await house.product("plain")
    for _ in range(51):
        await house.core.book(house.caller(), Booking(product.id))
    page = await console.get("orders?text=plain")
    assert len(page.all("tbody tr")) == 50
    assert page.all("a[rel='next']")[0].get("href").endswith("orders?text=plain&page=2")
    assert len((await console.get("orders?text=plain&page=2")).all("tbody tr")) == 1


async def test_an_order_is_shown_in_both_spellings_with_the_way_in(console, ours):
    page = await console.get(f"orders/{ours.order.id}")
    assert reservation_id(ours.order.id) in page.visible
    assert ours.order.order_key in page.visible
    machine = await ours.machine(1)
    assert instance_id(machine.id) in page.visible
    key = f"onefleet-order-{ours.order.id}.pem"
    assert f"ssh -i {key} -p {machine.ssh_port} ubuntu@198.51.100.9" in page.visible
    assert f"ssh -i {key} -p 22 ubuntu@{ours.address.address}" in page.visible


async def test_a_new_order_tells_what_comes_next(console, house):
    placed = await house.core.book(house.caller(), Booking((await house.product("plain")).id, wants_own_key=True))
    assert "What comes next" in (await console.get(f"orders/{placed.order.id}")).visible
    await house.seen(Power.RUNNING)
    assert "What comes next" not in (await console.get(f"orders/{placed.order.id}")).visible


async def test_the_private_key_is_downloaded_as_long_as_a_machine_is_rented(console, house, ours):
    page = await console.get(f"orders/{ours.order.id}/private-key")
    assert page.text == await house.core.private_key(ours.caller, ours.order.order_key)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Content-Disposition"].startswith("attachment")
    await ours.be_gone()
    assert (await console.get(f"orders/{ours.order.id}/private-key")).status == 422


async def test_completing_asks_first_and_names_the_machines(console, ours):
    path = f"orders/{ours.order.id}/complete"
    page = await console.post(path)
    assert [instance_id(each) in page.visible for each in ours.ids] == [True, True]
    assert (await ours.status()).value == "unlimited"
    assert (await console.post(path, {"confirmed": "yes"})).leads_to == f"orders/{ours.order.id}"
    assert (await ours.status()).value == "completed"


async def test_completing_twice_is_told(console, ours):
    await ours.be_gone()
    page = await console.post(f"orders/{ours.order.id}/complete", {"confirmed": "yes"})
    assert page.status == 422
    assert "already completed" in page.problems[0]


@pytest.mark.parametrize("route", ROUTES)
async def test_anothers_order_is_no_other_than_none(console, theirs, route):
    foreign = await console.get(route.format(theirs.order.id))
    nothing = await console.get(route.format(999))
    assert (foreign.status, nothing.status) == (404, 404)
    assert foreign.text_of("main p") == nothing.text_of("main p")


@pytest.mark.parametrize("number", ["x", "0", "-1", "9" * 30, "r-1"])
async def test_what_is_no_orders_number_is_not_found(console, number):
    assert (await console.get(f"orders/{number}")).status == 404


async def test_anothers_order_cannot_be_completed(console, theirs):
    assert (await console.post(f"orders/{theirs.order.id}/complete", {"confirmed": "yes"})).status == 404
    assert (await theirs.status()).value == "unlimited"


async def test_names_of_machines_are_only_text(console, house, ours):
    await house.core.tag(
        ours.caller, [Resource(ours.caller.account_id, ResourceKind.INSTANCE, ours.ids[0])], {"Name": EVIL}
    )
    for page in (await console.get(f"orders/{ours.order.id}"), await console.post(f"orders/{ours.order.id}/complete")):
        assert EVIL in page.visible
        assert "<script>alert" not in page.text
