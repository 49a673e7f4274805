"""Booking, looking at orders, and completing them."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from core.accounts import Protocol
from core.instances import Power
from core.orders import MOST_MACHINES, Booking
from tests.clocks import ManualClock
from tests.fleetfixture import CATALOGUE, open_house
from tests.protocols.zerosix.served import serve

FILE, SCRIPT = "https://ww.zerosix.ai/docker.tar.gz", "https://ww.zerosix.ai/script.tar.gz"
# 2026-05-01 12:00 UTC, the time at which every house opens
NOON = {"time": "2026-05-01T05:00:00", "timezone_type": 3, "timezone": "America/Los_Angeles"}


async def put(site, **arguments):
    return await site.ask("PUT", "orders", arguments)


async def retrieved(site, order):
    return (await site.ask("GET", f"orders/{order['order_id']}")).json()


async def status_of(site, order):
    told = await retrieved(site, order)
    return told["order_status"], [machine["status"] for machine in told["instances"]]


# --- booking


async def test_a_booking_is_answered_with_a_list_of_one_order(site):
    answer = await put(site, product_id=2, instances=2, file_url=FILE, script_url=SCRIPT)
    assert answer.status == 200
    (order,) = answer.json()
    assert re.fullmatch(r"wc_order_[A-Za-z0-9]{20,}", order.pop("order_key"))
    machine = {
        "status": "wc-pending",
        "start_date": NOON,
        "end_date": "",
        "rented_hours": "1",
        "hourly-price": "0.5",
        "product": {"id": 2, "name": "Nvidia 1080Ti"},
        "total_cost": "0.5",
    }
    assert order == {
        "order_id": 1,
        "order_status": "pending",
        "date_created": NOON,
        "hourly-price": "0.5",
        "currency": "USD",
        "product": {"id": 2, "name": "Nvidia 1080Ti"},
        "file_url": FILE,
        "script_url": SCRIPT,
        "total_cost": "1",
        "ec2_reservation_id": "r-00000000000000001",
        "instances": [
            {
                **machine,
                "instance_id": 1,
                "machine": "-p20001 renter@127.0.0.1",
                "ec2_instance_id": "i-00000000000000001",
            },
            {
                **machine,
                "instance_id": 2,
                "machine": "-p20002 renter@127.0.0.1",
                "ec2_instance_id": "i-00000000000000002",
            },
        ],
    }


async def test_a_booking_wakes_whoever_makes_machines(site):
    await site.book(instances=3)
    assert site.house.woken == [1, 2, 3]


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("place", ["query", "form", "json", "json texts"])
async def test_an_order_may_be_asked_for_in_every_way_that_clients_know(site, method, place):
    arguments = {"product_id": 2, "instances": 3, "file_url": FILE, "script_url": SCRIPT}
    texts = {name: str(value) for name, value in arguments.items()}
    if place == "query":
        answer = await site.ask(method, f"orders?{urlencode(texts)}")
    elif place == "form":
        kind = "application/x-www-form-urlencoded; charset=utf-8"
        answer = await site.ask(method, "orders/", body=urlencode(texts).encode(), kind=kind)
    else:
        answer = await site.ask(method, "orders", arguments if place == "json" else texts)
    (order,) = answer.json()
    assert (order["product"]["id"], len(order["instances"])) == (2, 3)
    assert (order["file_url"], order["script_url"]) == (FILE, SCRIPT)


async def test_urls_that_are_null_or_empty_are_absent(site):
    (order,) = (await put(site, product_id=2, instances=1, file_url=None, script_url="")).json()
    assert (order["file_url"], order["script_url"]) == ("", "")


@pytest.mark.parametrize(
    "product", [None, "", "x", 0, 999, "999", -1, 2.0, "2.0", True, [], {}, [2], "٢", "9" * 40, 10**30]
)
async def test_what_is_no_product_cannot_be_booked(site, product):
    answer = await put(site, product_id=product, instances=1)
    assert answer.refusal == (400, "order_invalid_product_id")
    assert answer.json()["message"] == "Invalid ProductID."


async def test_a_retired_product_cannot_be_booked(site, house):
    await house.administration.set_catalogue(replace(CATALOGUE, products=CATALOGUE.products[1:]))
    assert (await put(site, product_id=1, instances=1)).refusal == (400, "order_invalid_product_id")


@pytest.mark.parametrize(
    "instances",
    [None, "", "x", 0, "0", -1, 1.0, 1.5, "3.0", "1e1", " 1", True, [], {}, MOST_MACHINES + 1, "9" * 40, 10**30],
)
async def test_a_number_of_machines_is_a_whole_number_from_one(site, instances):
    answer = await put(site, product_id=5, instances=instances)
    assert answer.refusal == (400, "order_invalid_instances")
    assert answer.json()["message"] == "Invalid number of instances"
    assert await site.house.machines() == []


async def test_the_most_machines_that_an_order_may_have_can_be_booked(site):
    order = await site.book(instances=MOST_MACHINES)
    assert len(order["instances"]) == MOST_MACHINES


@pytest.mark.parametrize("name", ["file_url", "script_url"])
@pytest.mark.parametrize(
    "url",
    [
        "docker.tar.gz",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//example.com/x",
        "https://",
        "https:///x",
        "http://[::1",
        "http://a:port/",
        "http://a:99999/",
        "https://example.com/a b",
        " https://example.com/",
        "https://example.com/\n#cloud-config",
        "https://example.com/\x00",
        "https://example.com/\x85",
        "https://example.com/\u2028x",
        "https://example.com/" + "x" * 2048,
        0,
        False,
        [],
        ["https://example.com/x"],
        {},
    ],
)
async def test_what_is_no_url_is_not_downloaded(site, name, url):
    answer = await put(site, product_id=2, instances=1, **{name: url})
    assert answer.refusal == (400, f"order_invalid_{name}")
    assert await site.house.machines() == []


@pytest.mark.parametrize(
    "url",
    [
        "http://a",
        "HTTPS://example.com/x?y=1&z='2'#f",
        "https://user:secret@[2001:db8::1]:8443/ü.tar.gz",
        "https://example.com/" + "x" * 2028,
    ],
)
async def test_any_http_url_of_2048_characters_may_be_downloaded(site, url):
    (order,) = (await put(site, product_id=2, instances=1, file_url=url)).json()
    assert order["file_url"] == url


async def test_more_than_is_free_is_answered_with_200_and_books_nothing(site):
    await site.book("nvidia-1060", 3)
    answer = await put(site, product_id=1, instances=2)
    assert answer.refusal == (200, "order_not_available_resources")
    assert answer.json()["message"] == "Number of requested instances unavailable at this moment."
    assert len((await site.ask("GET", "orders")).json()) == 1
    assert len(await site.house.machines()) == 3


# --- looking


async def test_orders_are_listed_newest_first(site):
    booked = [await site.book(), await site.book("nvidia-1060", 2), await site.book()]
    listed = await site.ask("GET", "orders")
    assert listed.json() == booked[::-1]
    assert (await site.ask("GET", "orders/")).json() == booked[::-1]


async def test_a_long_list_is_whole_and_in_order(site, house):
    product = await house.product("plain")
    await asyncio.gather(*(house.core.book(house.caller(), Booking(product.id)) for _ in range(600)))
    listed = (await site.ask("GET", "orders")).json()
    assert [order["order_id"] for order in listed] == list(range(600, 0, -1))


async def test_no_orders_are_an_empty_list(site):
    assert (await site.ask("GET", "orders", [])).json() == []


async def test_an_order_is_retrieved_as_it_was_answered(site):
    order = await site.book("nvidia-1060", 2)
    for target in ("orders/1", "orders/1/", "/wp-json/api/v1//orders/1", "orders/0001", "orders/%31"):
        assert (await site.ask("GET", target)).json() == order


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "wanted", ["999", "0", "x", "-1", "+1", "1.0", "1e0", "%D9%A1", "%EF%BC%91", "9" * 18, "9" * 19, "9" * 5000, "%ff"]
)
async def test_what_is_no_orders_id_is_refused_as_documented(site, method, wanted):
    await site.book()
    answer = await site.ask(method, f"orders/{wanted}")
    assert answer.refusal == (400, "order_invalid_id")
    assert answer.json()["message"] == "Invalid Order ID."


async def test_an_order_that_was_booked_through_ec2_is_an_order(site, house):
    product = await house.product("plain")
    placed = await house.core.book(house.caller(protocol=Protocol.EC2), Booking(product.id))
    told = await retrieved(site, {"order_id": placed.order.id})
    assert (told["order_key"], told["product"]["name"]) == (placed.order.order_key, "Plain")
    assert told["instances"][0]["machine"] == "-p20001 ubuntu@127.0.0.1"  # as its image calls its user


async def test_statuses_follow_what_the_machines_do(site, house):
    order = await site.book(instances=2)
    told = [await status_of(site, order)]
    await house.seen(Power.STARTING)
    told.append(await status_of(site, order))
    await house.seen(Power.RUNNING, [1])
    told.append(await status_of(site, order))
    await house.seen(Power.RUNNING)
    await house.core.stop(house.caller(), [1, 2], is_forced=False)
    told.append(await status_of(site, order))
    await house.seen(Power.STOPPED)
    told.append(await status_of(site, order))
    await house.core.start(house.caller(), [2])
    await house.seen(Power.RUNNING, [2])
    await house.core.terminate(house.caller(), [1])
    told.append(await status_of(site, order))
    await house.core.terminate(house.caller(), [2])
    told.append(await status_of(site, order))
    assert told == [
        ("pending", ["wc-pending", "wc-pending"]),
        ("processing", ["wc-processing", "wc-processing"]),
        ("unlimited", ["wc-unlimited", "wc-processing"]),
        ("on-hold", ["wc-on-hold", "wc-on-hold"]),
        ("on-hold", ["wc-on-hold", "wc-on-hold"]),
        ("unlimited", ["wc-completed", "wc-unlimited"]),
        ("completed", ["wc-completed", "wc-completed"]),
    ]


async def test_a_launch_that_failed_has_an_end_and_costs_nothing(site, house):
    order = await site.book()
    await house.fail()
    told = await retrieved(site, order)
    (machine,) = told["instances"]
    assert (told["order_status"], machine["status"]) == ("failed", "wc-failed")
    assert (machine["end_date"], machine["rented_hours"], machine["total_cost"]) == (NOON, "0", "0")
    assert told["total_cost"] == "0"


async def test_a_machine_with_an_address_of_its_own_is_reached_there(site, house):
    order = await site.book()
    await house.seen(Power.RUNNING, public_address="203.0.113.7")
    assert (await retrieved(site, order))["instances"][0]["machine"] == "-p20001 ubuntu@203.0.113.7"


async def test_every_started_hour_is_counted_and_charged(site, house):
    order = await site.book("nvidia-titanxp", 2)
    told = []
    for step in (0, 3600, 1, 36000):
        house.clock.advance(timedelta(seconds=step))
        now = await retrieved(site, order)
        told.append((now["instances"][0]["rented_hours"], now["instances"][0]["total_cost"], now["total_cost"]))
    assert told == [("1", "0.7", "1.4"), ("1", "0.7", "1.4"), ("2", "1.4", "2.8"), ("12", "8.4", "16.8")]


async def test_times_are_told_in_the_sites_zone_summer_and_winter(tmp_path):
    clock = ManualClock(datetime(2026, 11, 1, 8, 59, 59, 999999, tzinfo=UTC))
    async with open_house(tmp_path, clock) as house, serve(house) as site:
        summer = await site.book()
        clock.advance(timedelta(hours=3))
        winter = await site.book()
        assert summer["date_created"]["time"] == "2026-11-01T01:59:59"
        assert winter["date_created"]["time"] == "2026-11-01T03:59:59"


# --- completing


async def test_completing_an_order_ends_every_machine_and_settles_the_cost(site, house):
    order = await site.book("nvidia-1080ti", 2)
    await house.seen(Power.RUNNING)
    house.clock.advance(timedelta(minutes=61))
    answer = await site.ask("DELETE", f"orders/{order['order_id']}", [])
    assert (answer.status, answer.body) == (204, b"")
    house.clock.advance(timedelta(days=3))
    told = await retrieved(site, order)
    assert told["order_status"] == "completed"
    assert told["total_cost"] == "2"
    for machine in told["instances"]:
        assert (machine["status"], machine["rented_hours"]) == ("wc-completed", "2")
        assert machine["end_date"] == NOON | {"time": "2026-05-01T06:01:00"}


async def test_completing_an_order_wakes_whoever_ends_machines(site):
    order = await site.book(instances=2)
    site.house.woken.clear()
    await site.ask("DELETE", f"orders/{order['order_id']}")
    assert site.house.woken == [1, 2]


async def test_an_order_is_completed_only_once(site):
    order = await site.ended()
    answer = await site.ask("DELETE", f"orders/{order['order_id']}")
    assert answer.refusal == (404, "order_invalid_status")
    assert answer.json()["message"] == "Order has been marked already as completed. You cant delete this order."


async def test_an_order_whose_last_machine_was_terminated_through_ec2_is_completed(site, house):
    order = await site.book()
    await house.core.terminate(house.caller(), [1])
    assert (await site.ask("DELETE", f"orders/{order['order_id']}")).refusal == (404, "order_invalid_status")


async def test_an_order_that_left_memory_long_ago_is_still_told_and_still_completed(site, house):
    order = await site.ended()
    await house.seen(Power.ABSENT)

    def close(tx):
        tx.put(replace(tx.state.orders[order["order_id"]], closed_at=house.clock.now()))

    await house.store.transact(close)
    house.clock.advance(timedelta(days=30))
    assert await house.store.archive(house.clock.now()) == 1
    told = await retrieved(site, order)
    assert (told["order_status"], told["order_key"]) == ("completed", order["order_key"])
    assert (await site.ask("GET", "orders")).json() == [told]
    assert (await site.ask("DELETE", f"orders/{order['order_id']}")).refusal == (404, "order_invalid_status")


# --- two customers


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_another_customers_order_may_not_be_touched(site, house, method):
    order = await site.book()
    answer = await site.ask(method, f"orders/{order['order_id']}", holder=house.theirs)
    assert answer.refusal == (401, "order_invalid_permissions")
    assert answer.json()["message"] == "You are not authorized to modify this order."
    assert (await retrieved(site, order))["order_status"] == "pending"


async def test_another_customers_orders_are_not_listed(site, house):
    await site.book()
    assert (await site.ask("GET", "orders", holder=house.theirs)).json() == []


async def test_an_order_belongs_to_the_account_whichever_key_is_used(site, house):
    order = await site.book()
    other = await house.administration.add_key(house.ours.account.id, "another application", ())
    answer = await site.ask("GET", f"orders/{order['order_id']}", holder=other)
    assert json.loads(answer.body) == order
