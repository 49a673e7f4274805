"""Where the front-end answers, with which methods and headers, and what is logged of it."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from protocols.zerosix.resources.credentials import ROUTES as CREDENTIALS
from protocols.zerosix.resources.orders import ROUTES as ORDERS
from protocols.zerosix.resources.products import ROUTES as PRODUCTS
from tests.protocols.zerosix.served import PATH, SETTINGS, serve

ALLOWED = {
    "": "GET, HEAD, OPTIONS",
    "/wp-json/": "GET, HEAD, OPTIONS",
    "products": "GET, HEAD, OPTIONS",
    "products/1": "GET, HEAD, OPTIONS",
    "orders": "GET, HEAD, PUT, POST, OPTIONS",
    "orders/1": "GET, HEAD, DELETE, OPTIONS",
    "openapi.json": "GET, HEAD, OPTIONS",
    "credentials/wc_order_x": "GET, HEAD, OPTIONS",
    "credentials/wc_order_x/ssh_key": "GET, HEAD, OPTIONS",
}


@pytest.mark.parametrize(
    "target",
    [
        "/wp-json/wc/v3/products",
        "/wp-json/api/v2/products",
        "/wp-json/x",
        "product",
        "products/1/reviews",
        "orders/1/notes/2",
        "credentials",
        "credentials/x/ssh_key/x",
        "credentials/x/sshkey",
        "Orders",
        "orders%2F1",
        "../orders",
        "%ff",
        ".",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PROPFIND"])
async def test_an_unknown_route_is_not_found_in_wordpresss_words(site, method, target):
    answer = await site.send(method, target)
    assert answer.refusal == (404, "rest_no_route")
    assert answer.json()["message"] == "No route was found matching the URL and request method."


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(("target", "allowed"), ALLOWED.items())
async def test_a_method_that_a_route_does_not_have_is_a_400_that_names_those_it_has(site, method, target, allowed):
    answer = await site.ask(method, target)
    assert ((answer.status, answer.headers.get("allow")) == (400, allowed)) == (method not in allowed.split(", "))
    if method not in allowed:
        assert answer.refusal == (400, "rest_no_route")


async def test_head_answers_like_get_without_the_body(site):
    order = await site.book()
    for template in ALLOWED:
        target = template.replace("wc_order_x", order["order_key"])
        get, head = await site.ask("GET", target), await site.ask("HEAD", target)
        assert head.body == b""
        assert get.body
        told = [{name: value for name, value in answer.headers.items() if name != "date"} for answer in (get, head)]
        assert (head.status, told[1]) == (get.status, told[0]), target


async def test_every_answer_has_wordpresss_headers(site):
    order = await site.book()
    for target, allowed in ALLOWED.items():
        answer = await site.ask("GET", target.replace("wc_order_x", order["order_key"]))
        assert answer.status == 200
        assert answer.headers["allow"] == allowed
        assert answer.headers["link"].startswith(f'<http://{site.host}/wp-json/>; rel="https://api.w.org/"')
        assert answer.headers["access-control-expose-headers"] == "X-WP-Total, X-WP-TotalPages, Link"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["cache-control"] == "no-store, private"
        assert "ssh_key" in target or answer.headers["content-type"] == "application/json; charset=UTF-8"


async def test_a_204_has_neither_body_nor_type(site):
    await site.book()
    answer = await site.ask("DELETE", "orders/1/")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers


# --- indexes


@pytest.mark.parametrize("target", ["/wp-json", "/wp-json/", "/wp-json//", "/wp-json/?x=1"])
async def test_the_site_index_needs_no_credentials_and_lists_the_routes(site, target):
    index = (await site.send("GET", target)).json()
    assert index["namespaces"] == ["api/v1"]
    assert index["timezone_string"] == "America/Los_Angeles"
    assert index["gmt_offset"] == -7
    assert index["url"] == index["home"] == f"http://{site.host}"
    listed = {route: told["methods"] for route, told in index["routes"].items()}
    assert listed == {
        "/api/v1": ["GET"],
        "/api/v1/openapi.json": ["GET"],
        "/api/v1/products": ["GET"],
        r"/api/v1/products/(?P<id>[\w-]+)": ["GET"],
        "/api/v1/orders": ["GET", "PUT", "POST"],
        r"/api/v1/orders/(?P<id>[\w-]+)": ["GET", "DELETE"],
        r"/api/v1/credentials/(?P<order_key>[\w-]+)": ["GET"],
        r"/api/v1/credentials/(?P<order_key>[\w-]+)/ssh_key": ["GET"],
    }


@pytest.mark.parametrize("target", [PATH, PATH.rstrip("/")])
async def test_the_namespace_index_lists_the_same_routes(site, target):
    index = (await site.send("GET", target)).json()
    assert index["namespace"] == "api/v1"
    assert index["routes"] == (await site.send("GET", "/wp-json/")).json()["routes"]
    assert index["_links"]["up"] == [{"href": f"http://{site.host}/wp-json/"}]
    assert index["routes"]["/api/v1/orders"]["_links"]["self"] == [{"href": f"{site.url}orders"}]


@pytest.mark.parametrize(
    ("path", "index", "namespace"),
    [
        ("/shop/wp-json/zerosix/v2/", "/shop/wp-json", "zerosix/v2"),
        ("/rent/", "/rent", ""),
        ("/", "/", ""),
        ("/wp-json/", "/wp-json", ""),
    ],
)
async def test_the_front_end_can_be_mounted_elsewhere(house, path, index, namespace):
    async with serve(house, settings=replace(SETTINGS, path=path)) as site:
        order = (await site.ask("PUT", f"{path}orders", {"product_id": 5, "instances": 1})).json()[0]
        told = (await site.ask("GET", f"{path}credentials/{order['order_key']}")).json()
        assert f"{site.host}{path}credentials/" in told["ssh_key"]
        assert (await site.send("GET", told["ssh_key"].partition(site.host)[2])).status == 200
        listed = (await site.send("GET", index)).json()
        assert listed.get("namespace", namespace) == namespace
        prefix = f"/{namespace}" if namespace else ""
        assert f"{prefix}/orders" in listed["routes"]
        document = (await site.send("GET", f"{path}openapi.json")).json()
        assert document["servers"] == [{"url": path.rstrip("/") or "/"}]


async def test_a_site_in_utc_has_no_offset(house):
    async with serve(house, settings=replace(SETTINGS, timezone=ZoneInfo("UTC"))) as site:
        assert (await site.send("GET", "/wp-json/")).json()["gmt_offset"] == 0
        assert (await site.book())["date_created"]["time"] == "2026-05-01T12:00:00"


# --- what the log is told


async def test_actions_are_templates_so_that_there_are_few(site):
    await site.book()
    for method, target in [
        ("GET", "orders/1"),
        ("GET", "orders/2/"),
        ("DELETE", "//orders/1"),
        ("GET", "products?x=1"),
    ]:
        await site.ask(method, f"{PATH}{target}")
    await site.send("GET", "/wp-json/")
    assert [exchange.action for exchange, _ in site.records[1:]] == [
        "GET orders/{id}",
        "GET orders/{id}",
        "DELETE orders/{id}",
        "GET products",
        "GET index",
    ]


async def test_methods_and_routes_that_are_unknown_have_no_action_of_their_own(site):
    await site.send("PROPFIND", "orders")
    await site.send("GET", "tea")
    assert [exchange.action for exchange, _ in site.records] == ["unknown", "unknown"]


async def test_the_log_is_told_the_account_and_the_code(site, house):
    await site.book("nvidia-1060", 4)
    await site.ask("PUT", "orders", {"product_id": 1, "instances": 1})
    await site.send("GET", "orders")
    told = [(exchange.account_id, exchange.code, status) for exchange, status in site.records]
    assert told == [
        (house.ours.account.id, "", 200),
        (house.ours.account.id, "order_not_available_resources", 200),
        (None, "woocommerce_rest_cannot_view", 401),
    ]


def test_no_two_routes_have_the_same_template():
    templates = [route.template for route in (*PRODUCTS, *ORDERS, *CREDENTIALS)]
    assert len(set(templates)) == len(templates)
