"""The list of products, its filters, and one product."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from tests.fleetfixture import CATALOGUE

TITAN = {
    "id": 3,
    "title": "Nvidia Titanxp",
    "slug": "nvidia-titanxp",
    "description": "A machine called nvidia-titanxp",
    "permalink": "product/nvidia-titanxp/",
    "hourly-price": "0.7",
    "currency": "USD",
    "attributes": {
        "cpu": "intel-i7",
        "gpu": "nvidia-titan-xp",
        "ram": "16gb",
        "network-speed": "50mbps",
        "geo": "europe",
    },
}
ALL = ["nvidia-1060", "nvidia-1080ti", "nvidia-titanxp", "anywhere", "plain"]


async def slugs(site, arguments):
    """Return the slugs that a filter lets through; it must do so from a body as from a query."""
    answer = await site.ask("GET", "products", arguments)
    assert answer.status == 200, answer.body
    found = [product["slug"] for product in answer.json()]
    flat = {name: value for name, value in arguments.items() if name != "attributes"}
    flat |= {f"attributes[{name}]": value for name, value in arguments.get("attributes", {}).items()}
    assert [product["slug"] for product in (await site.ask("GET", f"products?{urlencode(flat)}")).json()] == found
    return found


async def refusal(site, arguments):
    answer = await site.ask("GET", "products", arguments)
    assert answer.status == 400
    return answer.json()["code"], answer.json()["message"]


async def test_every_product_is_listed_in_the_operators_order(site):
    answer = await site.ask("GET", "products")
    assert [product["slug"] for product in answer.json()] == ALL
    assert answer.json()[2] == TITAN


@pytest.mark.parametrize("target", ["products/3", "products/3/", "/wp-json/api/v1//products//3", "products/003"])
async def test_a_product_is_retrieved_by_its_id(site, target):
    assert (await site.ask("GET", target)).json() == TITAN


@pytest.mark.parametrize(
    "wanted", ["999", "0", "-3", "+3", "3.0", "x", "%D9%A3", "%EF%BC%93", "9" * 40, "9" * 5000, "%ff", "3%2F"]
)
async def test_what_is_no_products_id_is_not_found(site, wanted):
    assert (await site.ask("GET", f"products/{wanted}")).refusal == (404, "products_invalid_id")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ALL),
        ({"attributes": {}}, ALL),
        ({"relation": "equal", "attributes": {"gpu": "nvidia-1080ti"}}, ["nvidia-1080ti"]),
        ({"attributes": {"gpu": "nvidia-1080ti"}}, ["nvidia-1080ti"]),
        ({"relation": "greater", "attributes": {"gpu": "nvidia-1080ti"}}, ["nvidia-1080ti", "nvidia-titanxp"]),
        ({"relation": "less", "attributes": {"gpu": "nvidia-1080ti"}}, ["nvidia-1060", "nvidia-1080ti", "anywhere"]),
        ({"relation": "greater", "attributes": {"ram": "16gb", "cpu": "intel-i5"}}, ["nvidia-titanxp", "anywhere"]),
        ({"relation": "greater", "attributes": {"ram": "192gb"}}, []),
        ({"attributes": {"network-speed": "50mbps"}}, ALL[:4]),
    ],
)
async def test_attributes_are_compared_by_their_rank(site, wanted, found):
    assert await slugs(site, wanted) == found


@pytest.mark.parametrize("relation", ["greater", "less", "equal"])
@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("europe", ["nvidia-1080ti", "nvidia-titanxp", "anywhere", "plain"]),
        ("asia-pacific", ["nvidia-1060", "anywhere"]),
        ("australia", ["anywhere"]),
        ("global", ["anywhere"]),
    ],
)
async def test_a_place_has_no_rank_and_what_is_everywhere_is_in_every_place(site, relation, place, found):
    assert await slugs(site, {"relation": relation, "attributes": {"geo": place}}) == found


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"min_price": 0.5}, ["nvidia-1080ti", "nvidia-titanxp", "anywhere"]),
        ({"max_price": 0.5}, ["nvidia-1060", "nvidia-1080ti", "plain"]),
        ({"min_price": 0.25, "max_price": 0.7}, ["nvidia-1060", "nvidia-1080ti", "nvidia-titanxp"]),
        ({"min_price": "0.50", "max_price": "5e-1"}, ["nvidia-1080ti"]),
        ({"min_price": -1, "max_price": 0.01}, ["plain"]),
        ({"min_price": 0.7, "max_price": 0.7}, ["nvidia-titanxp"]),
        ({"min_price": 1e300}, []),
        ({"min_price": 10**29}, []),
    ],
)
async def test_both_bounds_of_the_price_are_included(site, wanted, found):
    assert await slugs(site, wanted) == found


async def test_the_documented_filter_finds_what_is_documented(site):
    wanted = {"gpu": "nvidia-1070", "geo": "europe", "ram": "16gb"}
    wanted = {"relation": "greater", "attributes": wanted, "min_price": 0.3, "max_price": 0.8}
    assert await slugs(site, wanted) == ["nvidia-titanxp"]


@pytest.mark.parametrize("relation", ["bigger", "", "Greater", 1, [], {}, True, "greater "])
async def test_another_relation_is_refused_as_documented(site, relation):
    code, message = await refusal(site, {"relation": relation})
    assert code == "products_invalid_relation"
    assert message == "Invalid relation type. Please use: greater, equal or less."


@pytest.mark.parametrize("name", ["min_price", "max_price"])
@pytest.mark.parametrize(
    "price", ["cheap", "", "NaN", "Infinity", "-inf", "1_0", "٣", "0x10", "1e9999", "9" * 5000, True, [], {"a": 1}]
)
async def test_a_price_that_is_no_number_is_refused_as_documented(site, name, price):
    code, message = await refusal(site, {name: price})
    assert code == "products_invalid_prices"
    assert message == "Invalid min or max price type. Please valid your input to numbers only"


async def test_a_lowest_price_above_the_highest_is_refused_as_documented(site):
    refused = await refusal(site, {"min_price": 0.8, "max_price": "0.3"})
    assert refused == ("products_invalid_prices", "min price must be less than max price.")


@pytest.mark.parametrize(
    "attributes",
    [
        {"gpu": "nvidia-9090"},
        {"gpu": ""},
        {"gpu": 1080},
        {"gpu": ["nvidia-1080"]},
        {"gpu": {"nvidia-1080": 1}},
        {"gpu": True},
        {"colour": "red"},
        {"geo": "mars"},
        {"geo": []},
        {"": "8gb"},
        {"network_speed": "50mbps"},
        "gpu",
        ["gpu"],
        7,
        False,
    ],
)
async def test_an_attribute_out_of_the_table_is_refused_as_documented(site, attributes):
    code, message = await refusal(site, {"attributes": attributes})
    assert code == "products_invalid_attribute"
    assert message == "Please input valid attributes according to the attributes table."


@pytest.mark.parametrize(
    "query", ["attributes=gpu", "attributes[]=8gb", "attributes[gpu][]=nvidia-1060", "attributes[colour]=red"]
)
async def test_an_attribute_out_of_the_table_is_refused_in_the_query_too(site, query):
    assert (await site.ask("GET", f"products?{query}")).refusal == (400, "products_invalid_attribute")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        {"relation": None, "attributes": None, "min_price": None, "max_price": None},
        {"attributes": []},
        {"attributes": {"gpu": None}},
        {"page": 1, "unknown": [1]},
    ],
)
async def test_null_and_phps_empty_array_mean_nothing_was_asked(site, arguments):
    assert [product["slug"] for product in (await site.ask("GET", "products", arguments)).json()] == ALL


async def test_the_body_wins_over_the_query(site):
    answer = await site.ask("GET", "products?max_price=0.01&min_price=0", {"max_price": 0.25})
    assert [product["slug"] for product in answer.json()] == ["nvidia-1060", "plain"]


async def test_the_last_of_two_equal_names_in_the_query_wins(site):
    answer = await site.ask("GET", "products?max_price=100&attributes=x&max_price=0.01&attributes[geo]=europe")
    assert [product["slug"] for product in answer.json()] == ["plain"]


async def test_what_is_retired_is_neither_listed_nor_found(site, house):
    await house.administration.set_catalogue(replace(CATALOGUE, products=CATALOGUE.products[:2]))
    assert [product["slug"] for product in (await site.ask("GET", "products")).json()] == ALL[:2]
    assert (await site.ask("GET", "products/3")).refusal == (404, "products_invalid_id")
