"""The catalogue, the form to order by, and what comes of it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from core.accounts import Protocol
from core.keypairs import KeyKind
from core.kinds import ResourceKind
from core.orders import Booking
from gateway.catalogue import RANKS
from protocols.ids import spell
from tests.protocols.console.served import SETTINGS, serve

EVIL = '"><script>alert(1)</script>'


@pytest.fixture
async def shop(house):
    """A browser of ours in a console that knows ZeroSix's ranks."""
    async with serve(house, settings=replace(SETTINGS, ranks=RANKS)) as site:
        yield await site.signed_in(await house.person("carl@example.com"))


async def orders(house):
    return (await house.store.view()).orders


def shown(page):
    return page.texts("main li h2")


async def book(console, slug, **fields):
    """Return what comes of an order that is reviewed and then booked, as a browser sends it."""
    review = await console.post(f"order/{slug}", fields)
    assert review.status == 200, review.problems
    return await console.post(f"order/{slug}", sent(review))


def sent(review, step="book"):
    """Return what the form of the review sends."""
    hidden = review.all("main form input[type='hidden']")
    return {each.get("name"): each.get("value") for each in hidden if each.get("name") != "form_token"} | {"step": step}


# --- the catalogue


async def test_every_product_is_shown_with_its_prices_and_stock(shop):
    page = await shop.get("order")
    assert shown(page) == ["Nvidia 1060", "Nvidia 1080Ti", "Nvidia Titanxp", "Anywhere", "Plain"]
    assert "0.70 USD an hour, 504.00 USD in 30 days" in page.visible
    assert "eu-1a: 2 free" in page.visible
    assert "eu-1b: 3 free" in page.visible


async def test_what_is_sold_out_is_shown_but_cannot_be_ordered(shop, house):
    product = await house.product("nvidia-1060")
    await house.core.book(house.caller(house.theirs), Booking(product.id, 4, 4))
    page = await shop.get("order")
    assert "ap-1a: sold out" in page.visible
    assert not page.all("a[href$='order/nvidia-1060']")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cpu=intel-i5&cpu-relation=at+least", ["Nvidia Titanxp", "Anywhere"]),
        ("cpu=intel-i5&cpu-relation=exactly", ["Anywhere"]),
        ("cpu=intel-i5&cpu-relation=at+most", ["Nvidia 1060", "Nvidia 1080Ti", "Anywhere"]),
        ("geo=asia-pacific", ["Nvidia 1060", "Anywhere"]),
        ("ram=16gb&cpu=intel-i5&cpu-relation=at+most", ["Anywhere"]),
        ("least=0.5&most=0.7", ["Nvidia 1080Ti", "Nvidia Titanxp"]),
        ("category=cpu", ["Plain"]),
        ("category=gpu&most=0.25", ["Nvidia 1060"]),
        ("least=2", []),
    ],
)
async def test_products_are_filtered_as_the_api_does_each_attribute_by_itself(shop, query, expected):
    assert shown(await shop.get(f"order?{query}")) == expected
    part = await shop.get(f"order?part=products&{query}")
    assert part.texts("li h2") == expected
    assert "<html" not in part.text


@pytest.mark.parametrize(
    ("query", "name"),
    [("least=x", "least"), ("least=2&most=1", "most"), ("geo=moon", "geo"), (f"category={EVIL}", "category")],
)
async def test_a_filter_that_makes_no_sense_is_told_at_its_field(shop, query, name):
    page = await shop.get(f"order?{query}")
    assert page.status == 422
    assert page.problem(name)
    assert EVIL not in page.text


# --- the form and the review


async def test_the_form_tells_the_price_before_anything_is_booked(console):
    page = await console.get("order/plain")
    assert "0.01 USD for the first hour" in page.text_of("#price")
    part = await console.get("order/plain?part=price&count=3&term=730")
    assert "3 \N{MULTIPLICATION SIGN} 0.01 USD an hour" in part.text_of("dl")
    assert "21.60 USD" in part.text_of("dl")
    assert "21.90 USD for the first 730 hours" in part.text_of("dl")


async def test_nothing_is_booked_before_the_order_is_reviewed(console, house):
    review = await console.post("order/plain", {"count": 2, "zone": "eu-1b", "name": EVIL, "tags": "a=b\n\nrole = web"})
    assert "2 \N{MULTIPLICATION SIGN} Plain" in review.visible
    assert "role=web" in review.visible
    assert "<script>alert" not in review.text
    assert not await orders(house)


async def test_the_review_leads_back_to_the_form_with_all_that_was_typed(console):
    review = await console.post("order/plain", {"count": 2, "user_data": "#!/bin/sh\n\necho <b>\n", "password": "yes"})
    page = await console.post("order/plain", sent(review, "change"))
    assert page.value("count") == "2"
    assert page.value("user_data").lstrip("\n") == "#!/bin/sh\n\necho <b>\n"
    assert page.value("password") == "yes"


async def test_an_order_books_all_that_was_chosen(console, house, ours):
    fleet = await house.core.fleet(ours.caller)
    pair = await house.core.create_key_pair(ours.caller, "work", KeyKind.ED25519, {})
    page = await book(
        console,
        "plain",
        count=2,
        zone="eu-1b",
        image="debian-12",
        key=f"pair:{pair.pair.name}",
        groups=spell(ResourceKind.SECURITY_GROUP, ours.group.id),
        user_data="#!/bin/sh\ntrue\n",
        file_url="https://example.com/f",
        script_url="https://example.com/s",
        term=730,
        name="web",
        tags="role=front",
        password="yes",
        addresses=1,
    )
    order = (await orders(house))[max(await orders(house))]
    assert page.leads_to == f"orders/{order.id}"
    assert (order.protocol, order.key_name, order.file_url) == (Protocol.CONSOLE, "work", "https://example.com/f")
    assert fleet.image(order.image_id).name == "debian-12"
    view = await house.core.order(ours.caller, order.id)
    fleet = await house.core.fleet(ours.caller)
    for machine in view.instances:
        assert machine.group_ids == (ours.group.id,)
        assert (machine.term_hours, machine.has_password) == (730, True)
        assert fleet.tags(ResourceKind.INSTANCE, machine.id) == {"Name": "web", "role": "front"}
        assert len(fleet.bound_to(machine.id)) == 1
    assert (await house.store.material(order.id)).user_data == b"#!/bin/sh\ntrue\n"


async def test_a_double_click_books_once(console, house):
    review = await console.post("order/plain", {"count": 1})
    first = await console.post("order/plain", sent(review))
    second = await console.post("order/plain", sent(review))
    assert first.leads_to == second.leads_to
    assert len(await orders(house)) == 1
    assert "once only" in (await console.get(second.leads_to)).message


async def test_the_same_order_can_be_placed_again_on_purpose(console, house):
    await book(console, "plain", count=1)
    await book(console, "plain", count=1)
    assert len(await orders(house)) == 2


async def test_groups_keep_the_machines_in_their_region(console, house, ours):
    theirs = spell(ResourceKind.SECURITY_GROUP, ours.group.id)  # in eu-1
    await book(console, "anywhere", count=1, groups=theirs)
    machine = max(await house.machines(), key=lambda each: each.id)
    assert (await house.core.fleet(ours.caller)).region_of(machine.zone_id).name == "eu-1"
    refused = await console.post("order/anywhere", {"count": 1, "groups": theirs, "zone": "ap-1a"})
    assert "eu-1" in refused.problem("groups")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"count": "0"}, "count"),
        ({"count": "many"}, "count"),
        ({"zone": "moon"}, "zone"),
        ({"image": "minix"}, "image"),
        ({"key": "pair:gone"}, "key"),
        ({"groups": "sg-99"}, "groups"),
        ({"file_url": "ftp://example.com/x"}, "file_url"),
        ({"script_url": "javascript:alert(1)"}, "script_url"),
        ({"user_data": "x" * 16385}, "user_data"),
        ({"term": "2"}, "term"),
        ({"tags": "novalue"}, "tags"),
        ({"hostname": "no spaces"}, "hostname"),
        ({"hostname": "fine", "count": "2"}, "hostname"),
        ({"addresses": "9"}, "addresses"),
    ],
)
async def test_what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(console, house, fields, name):
    page = await console.post("order/plain", {"count": 1, "name": EVIL, **fields})
    assert page.status == 422
    assert page.problem(name)
    assert page.value("name") == EVIL
    assert "<script>alert" not in page.text
    assert not await orders(house)


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"count": 6}, "count", "6 of nvidia-1080ti were asked for and 5 are free"),
        ({"addresses": 8}, "addresses", "no public address left"),
        ({"tags": "aws:x=1"}, "tags", "aws:"),
    ],
)
async def test_what_core_refuses_is_told_at_its_field(console, house, fields, name, words):
    page = await book(console, "nvidia-1080ti", **{"count": 2, "name": "kept", **fields})
    assert page.status == 422
    assert words in page.problem(name)
    assert page.value("name") == "kept"
    assert not await orders(house)


async def test_a_spending_limit_is_told_before_and_at_the_count(console, house):
    await house.core.spending.set_limits(house.caller(), Decimal("1.00"), None)
    assert "more than you may still spend" in (await console.get("order/plain?part=price&count=101")).text
    page = await book(console, "plain", count=101)
    assert page.status == 422
    assert "1.00 USD" in page.problem("count")


@pytest.mark.parametrize("path", ["order/none", "order/%3Cscript%3E"])
async def test_what_is_not_sold_has_no_page(console, path):
    assert (await console.get(path)).status == 404
    assert (await console.post(path, {"count": 1})).status == 404


async def test_others_key_pairs_and_groups_are_not_offered(console, theirs):
    page = await console.get("order/plain")
    assert "laptop" not in page.visible
    spelled = spell(ResourceKind.SECURITY_GROUP, theirs.group.id)
    assert spelled not in page.text
    assert (await console.post("order/plain", {"groups": spelled})).problem("groups")
    assert (await console.post("order/plain", {"key": "pair:laptop"})).problem("key")
