"""Which products a customer's wishes let through."""

from decimal import Decimal

import pytest

from core.shopping import GEO, Demand, Filter, Relation
from tests.fleetfixture import House, open_house

RANKS = {"cpu": ["intel-i3", "intel-i5", "intel-i7"], "ram": ["8gb", "16gb", "32gb"]}


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path) as opened:
        yield opened


async def slugs(house: House, wanted: Filter) -> list[str]:
    products = (await house.core.fleet(house.caller())).products()
    return [product.slug for product in products if wanted.admits(product, RANKS)]


async def test_each_attribute_has_a_relation_of_its_own(house):
    wanted = Filter({"cpu": Demand("intel-i5", Relation.AT_MOST), "ram": Demand("16gb", Relation.AT_LEAST)})
    assert await slugs(house, wanted) == ["anywhere"]


async def test_a_place_is_that_place_or_everywhere_whatever_the_relation(house):
    for relation in Relation:
        wanted = Filter({GEO: Demand("asia-pacific", relation)})
        assert await slugs(house, wanted) == ["nvidia-1060", "anywhere"]


async def test_both_bounds_of_the_price_are_included(house):
    wanted = Filter(least=Decimal("0.50"), most=Decimal("0.7"))
    assert await slugs(house, wanted) == ["nvidia-1080ti", "nvidia-titanxp"]


async def test_what_lacks_an_attribute_has_no_rank_in_it(house):
    assert "plain" not in await slugs(house, Filter({"cpu": Demand("intel-i7", Relation.AT_MOST)}))
