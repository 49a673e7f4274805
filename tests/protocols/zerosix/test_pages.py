"""Pages, filters and orderings of lists; without any of them a list is whole, as the seed documents it."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import requests.utils

from core.instances import Power
from core.orders import Booking
from protocols.zerosix.pages import in_batches
from tests.protocols.zerosix.served import FORM, PATH, shown
from tests.protocols.zerosix.test_products import ALL

WHOLE = [5, 4, 3, 2, 1]


@pytest.fixture
async def shop(site):
    """A site with five orders, one placed every hour from 12:00 UTC, which is 05:00 at the site."""
    for slug in ("plain", "nvidia-1060", "plain", "nvidia-titanxp", "plain"):
        await site.book(slug)
        site.house.clock.advance(timedelta(hours=1))
    return site


async def ids(site, query, name="order_id", resource="orders"):
    answer = await site.ask("GET", f"{resource}?{query}")
    assert answer.status == 200, answer.body
    return [item[name] for item in answer.json()]


async def told(site, query, resource="orders"):
    """Return the totals, and the pages that are linked, by their relation."""
    headers = (await site.ask("GET", f"{resource}?{query}")).headers
    links = {link["rel"]: link["url"] for link in requests.utils.parse_header_links(headers["link"])}
    assert links.pop("https://api.w.org/") == f"http://{site.host}/wp-json/"
    return int(headers["x-wp-total"]), int(headers["x-wp-totalpages"]), links


# --- pages


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", WHOLE),
        ("per_page=2", [5, 4]),
        ("per_page=2&page=2", [3, 2]),
        ("per_page=2&page=3", [1]),
        ("per_page=2&page=4", []),
        ("page=1", WHOLE),
        ("page=2", []),
        ("page=9007199254740991&per_page=100", []),
        ("per_page=100", WHOLE),
        ("offset=3", [2, 1]),
        ("offset=1&per_page=2", [4, 3]),
        ("offset=1&per_page=2&page=2", [4, 3]),
        ("offset=99", []),
    ],
)
async def test_a_page_is_a_part_of_the_whole_list(shop, query, found):
    assert await ids(shop, query) == found


async def test_totals_are_those_of_the_whole_list_on_every_page(shop):
    for page in (1, 2, 3, 4):
        assert (await told(shop, f"per_page=2&page={page}"))[:2] == (5, 3)
    assert (await told(shop, ""))[:2] == (5, 1)
    assert (await told(shop, "status=completed"))[:2] == (0, 0)
    assert (await told(shop, "status=completed&page=3")) == (0, 0, {})


@pytest.mark.parametrize(
    ("page", "linked"),
    [
        (1, {"next": 2}),
        (2, {"prev": 1, "next": 3}),
        (3, {"prev": 2}),
        (4, {"prev": 3}),
        (99, {"prev": 3}),
    ],
)
async def test_the_pages_before_and_after_are_linked(shop, page, linked):
    _, _, links = await told(shop, f"per_page=2&page={page}")
    assert {relation: dict(parse_qsl(urlsplit(url).query))["page"] for relation, url in links.items()} == {
        relation: str(number) for relation, number in linked.items()
    }


async def test_a_link_keeps_what_else_was_asked_but_no_credentials(shop):
    query = f"_fields[]=order_id&_fields[]=order_key&search=a%26b&per_page=1&page=1&{shown(shop.house.ours)}"
    answer = await shop.send("GET", f"orders?{query.replace('search=a%26b&', '')}")
    [link] = [link for link in requests.utils.parse_header_links(answer.headers["link"]) if link["rel"] == "next"]
    asked = parse_qsl(urlsplit(link["url"]).query)
    assert asked == [("_fields[]", "order_id"), ("_fields[]", "order_key"), ("per_page", "1"), ("page", "2")]
    signed = await shop.signed("GET", "orders?per_page=1", signature_type="QUERY")
    assert "oauth" not in signed.headers["link"]


async def test_following_the_next_page_visits_every_order_once(shop):
    target, seen = "orders?per_page=2&order=asc", []
    while target:
        answer = await shop.signed("GET", target)
        seen += [order["order_id"] for order in answer.json()]
        links = {link["rel"]: link["url"] for link in requests.utils.parse_header_links(answer.headers["link"])}
        target = links.get("next", "").partition(PATH)[2]
    assert seen == WHOLE[::-1]


async def test_an_offset_links_no_pages_because_it_would_lead_to_itself(shop):
    assert (await told(shop, "offset=1&per_page=1"))[2] == {}


async def test_a_head_request_tells_the_totals(shop):
    answer = await shop.ask("HEAD", "orders?per_page=2")
    assert (answer.headers["x-wp-total"], answer.headers["x-wp-totalpages"], answer.body) == ("5", "3", b"")


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("page=0", {"page": "rest_out_of_bounds"}),
        ("page=-1", {"page": "rest_out_of_bounds"}),
        ("page=x", {"page": "rest_invalid_type"}),
        ("page=", {"page": "rest_invalid_type"}),
        ("page=1.5", {"page": "rest_invalid_type"}),
        ("page[]=1", {"page": "rest_invalid_type"}),
        ("per_page=0", {"per_page": "rest_out_of_bounds"}),
        ("per_page=101", {"per_page": "rest_out_of_bounds"}),
        ("offset=-1", {"offset": "rest_out_of_bounds"}),
        ("order=up", {"order": "rest_not_in_enum"}),
        ("orderby=luck", {"orderby": "rest_not_in_enum"}),
        ("include=1,x", {"include": "rest_invalid_type"}),
        ("include[a]=1", {"include": "rest_invalid_type"}),
        ("page=0&per_page=101", {"page": "rest_out_of_bounds", "per_page": "rest_out_of_bounds"}),
    ],
)
@pytest.mark.parametrize("resource", ["orders", "products"])
async def test_every_parameter_that_does_not_fit_is_named_as_wordpress_names_it(shop, resource, query, wrong):
    answer = await shop.ask("GET", f"{resource}?{query}")
    assert answer.refusal == (400, "rest_invalid_param")
    document = answer.json()
    assert document["message"] == f"Invalid parameter(s): {', '.join(wrong)}"
    assert {name: detail["code"] for name, detail in document["data"]["details"].items()} == wrong
    assert document["data"]["params"] == {name: document["data"]["details"][name]["message"] for name in wrong}


# --- orders


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("order=asc", WHOLE[::-1]),
        ("order=desc", WHOLE),
        ("orderby=date", WHOLE),
        ("orderby=id&order=asc&per_page=2", [1, 2]),
        ("include=2,4", [4, 2]),
        ("include=4,2,2,99&orderby=include", [4, 2]),
        ("include=2,4&orderby=include", [2, 4]),
        ("include[]=2&include[]=4", [4, 2]),
        ("include[0]=2&include[1]=4&orderby=include", [2, 4]),
        ("include=", WHOLE),
        ("orderby=include", WHOLE),
        ("exclude=2,4", [5, 3, 1]),
        ("exclude=2&include=2,4", [4]),
        ("include=99", []),
        ("search=PLAIN", [5, 3, 1]),
        ("search=titan", [4]),
        ("search=nothing", []),
        ("search=", WHOLE),
        ("unknown=1", WHOLE),
    ],
)
async def test_orders_are_chosen_and_ordered(shop, query, found):
    assert await ids(shop, query) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("after=2026-05-01T14:00:00Z", [5, 4]),
        ("before=2026-05-01T14:00:00Z", [2, 1]),
        ("after=2026-05-01T14:00:00%2B00:00", [5, 4]),
        ("after=2026-05-01T07:00:00", [5, 4]),
        ("after=2026-05-01T07:00:00-07:00", [5, 4]),
        ("after=2026-05-01T07:00:00-0700", [5, 4]),
        ("after=2026-05-01%2007:00:00", [5, 4]),
        ("after=2026-05-01T07:00:00.999", [5, 4]),
        ("after=2026-05-01T12:59:59Z&before=2026-05-01T14:00:01Z", [3, 2]),
        ("after=0001-01-01T00:00:00%2B14:00&before=9999-12-31T23:59:59-12:00", WHOLE),
        ("after=9999-12-31T23:59:59", []),
        ("before=0001-01-01T00:00:00", []),
    ],
)
async def test_orders_are_chosen_by_when_they_were_created_in_the_sites_zone_unless_another_is_given(
    shop, query, found
):
    assert await ids(shop, query) == found


@pytest.mark.parametrize(
    "moment",
    ["yesterday", "", "2026-05-01", "2026-13-01T00:00:00", "2026-05-01T24:00:00", "1", "2026-05-01T00:00:00 00:00"],
)
async def test_what_is_no_moment_is_refused(shop, moment):
    answer = await shop.ask("GET", f"orders?after={quote(moment)}")
    assert answer.refusal == (400, "rest_invalid_param")
    assert answer.json()["data"]["details"]["after"]["code"] == "rest_invalid_date"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=any", WHOLE),
        ("status=", WHOLE),
        ("status=pending", [4]),
        ("status=unlimited", [5, 2]),
        ("status=completed,pending", [4, 3, 1]),
        ("status[]=completed&status[]=pending", [4, 3, 1]),
        ("status=completed&per_page=1&page=2", [1]),
        ("status=cancelled", []),
        ("status=trash,refunded", []),
    ],
)
async def test_orders_are_chosen_by_how_they_stand(shop, query, found):
    await shop.house.seen(Power.RUNNING, [1, 2, 3, 5])
    for order in (1, 3):
        await shop.ask("DELETE", f"orders/{order}")
    assert await ids(shop, query) == found


async def test_parameters_of_a_list_may_stand_in_a_body(shop):
    answer = await shop.ask("GET", "orders", {"status": ["pending"], "include": [1, 2], "per_page": 1, "page": "2"})
    assert [order["order_id"] for order in answer.json()] == [1]
    answer = await shop.ask("GET", "orders", body=b"per_page=1&page=2", kind=FORM)
    assert [order["order_id"] for order in answer.json()] == [4]


async def test_what_an_unsigned_body_says_does_not_override_what_was_signed(shop):
    answer = await shop.signed("GET", "orders?per_page=1", body='{"per_page": 3, "page": 2}')
    assert [order["order_id"] for order in answer.json()] == [4]


async def test_a_first_copy_on_the_wire_that_was_not_signed_does_not_count(shop):
    method, target, headers, body = shop.sign("GET", "orders?include%5B%5D=1")
    path, _, query = target.partition("?")
    answer = await shop.send(method, f"{path}?include%5B%5D=2&{query}", headers, body)
    assert [order["order_id"] for order in answer.json()] == [1]


async def test_only_the_customers_own_orders_are_counted(shop):
    answer = await shop.ask("GET", "orders?page=1&include=1,2,3", holder=shop.house.theirs)
    assert (answer.json(), answer.headers["x-wp-total"]) == ([], "0")


async def test_between_the_batches_of_a_long_list_others_have_their_turn():
    turns = []

    async def other():
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    seen, turns_before = [], []
    async for batch in in_batches(range(1000)):
        seen += batch
        turns_before.append(len(turns))
    waiting.cancel()
    assert seen == list(range(1000))
    assert turns_before == [0, 1, 2, 3]


async def test_a_long_list_is_filtered_and_limited_whole(site, house):
    product = await house.product("plain")
    await asyncio.gather(*(house.core.book(house.caller(), Booking(product.id)) for _ in range(600)))
    found = (await site.ask("GET", "orders?status=pending&search=plain&exclude=300&_fields=order_id")).json()
    assert found == [{"order_id": number} for number in range(600, 0, -1) if number != 300]


# --- products


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("per_page=2", ALL[:2]),
        ("per_page=2&page=3", ALL[4:]),
        ("per_page=2&page=4", []),
        ("order=desc", ALL[::-1]),
        ("orderby=menu_order", ALL),
        ("orderby=id&order=desc", ALL[::-1]),
        ("orderby=slug", ["anywhere", "nvidia-1060", "nvidia-1080ti", "nvidia-titanxp", "plain"]),
        ("orderby=title&order=desc&per_page=1", ["plain"]),
        ("orderby=price", ["plain", "nvidia-1060", "nvidia-1080ti", "nvidia-titanxp", "anywhere"]),
        ("orderby=price&order=desc&per_page=1", ["anywhere"]),
        ("include=3,1", ["nvidia-1060", "nvidia-titanxp"]),
        ("include=3,1&orderby=include", ["nvidia-titanxp", "nvidia-1060"]),
        ("orderby=include", ALL),
        ("exclude=1,2,3,4", ["plain"]),
        ("search=NVIDIA", ALL[:3]),
        ("search=a machine called anywhere", ["anywhere"]),
        ("max_price=0.5&orderby=price&per_page=1&page=2", ["nvidia-1060"]),
        ("relation=greater&attributes[gpu]=nvidia-1080ti&order=desc", ["nvidia-titanxp", "nvidia-1080ti"]),
    ],
)
async def test_products_are_chosen_ordered_and_paged(site, query, found):
    assert await ids(site, quote(query, safe="=&[],"), "slug", "products") == found


async def test_totals_of_products_count_what_the_filter_lets_through(site):
    total, count, links = await told(site, "max_price=0.5&per_page=2", "products")
    assert (total, count, list(links)) == (3, 2, ["next"])


async def test_a_refusal_that_the_seed_documents_goes_before_wordpresss(site):
    assert (await site.ask("GET", "products?page=0&relation=x")).refusal == (400, "products_invalid_relation")
    assert (await site.ask("GET", "products?page=0&min_price=x")).refusal == (400, "products_invalid_prices")
