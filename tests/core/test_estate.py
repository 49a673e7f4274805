from dataclasses import replace
from decimal import Decimal

import pytest

from core.catalogue import Gpu, ImageEntry, RegionEntry, ZoneEntry
from core.drift import Drift, drift
from core.errors import UnknownAccount
from core.estate import Estate
from core.ids import AccountId
from core.instances import Power, State
from core.orders import Booking
from tests.clocks import NOON
from tests.contracts.store_contract import contents
from tests.fleetfixture import CATALOGUE, a_ware

FEWER = replace(CATALOGUE, images=CATALOGUE.images[:1], products=CATALOGUE.products[:1])


def with_product(slug, **changes):
    """Return the catalogue with one product changed."""
    products = [replace(ware, **changes) if ware.slug == slug else ware for ware in CATALOGUE.products]
    return replace(CATALOGUE, products=products)


async def drift_to(house, catalogue):
    return drift(await house.store.view(), catalogue, NOON)


def worded(difference):
    return [(each.name, each.was, each.will_be) for each in difference.changes]


# --- drift


async def test_what_is_sold_as_it_is_configured_differs_in_nothing(house):
    assert list(await drift_to(house, CATALOGUE)) == []


async def test_telling_the_drift_changes_nothing(house):
    before = contents(await house.store.view())
    await drift_to(house, FEWER)
    await drift_to(house, with_product("plain", hourly_price=Decimal(9), capacity={"eu-1a": 1}))
    assert contents(await house.store.view()) == before


async def test_after_taking_it_over_nothing_differs(house):
    for catalogue in (FEWER, with_product("plain", disk_gib=200), CATALOGUE):
        await house.administration.set_catalogue(catalogue)
        assert list(await drift_to(house, catalogue)) == []


async def test_every_value_that_changes_is_told_before_and_after(house):
    changes = {
        "hourly_price": Decimal("0.80"),
        "capacity": {"eu-1a": 5, "ap-1a": 1},
        "attributes": {"cpu": "intel-i7"},
        "gpu": None,
        "image": "ubuntu-24",
        "has_metadata": False,
    }
    [difference] = await drift_to(house, with_product("nvidia-titanxp", **changes))
    assert (difference.kind, difference.name, difference.drift) == ("product", "nvidia-titanxp", Drift.CHANGED)
    assert sorted(worded(difference)) == [
        ("attributes gpu", "nvidia-titan-xp", ""),
        ("attributes network-speed", "50mbps", ""),
        ("attributes ram", "16gb", ""),
        ("capacity in ap-1a", "", "1"),
        ("capacity in eu-1a", "2", "5"),
        ("capacity in eu-1b", "3", ""),
        ("geo", "europe", "global"),
        ("gpu", "1 x NVIDIA Titan Xp, 12288 MiB", ""),
        ("has metadata", "yes", "no"),
        ("hourly price", "0.7", "0.8"),
        ("image", "debian-12", "ubuntu-24"),
    ]


async def test_what_is_new_refers_to_what_is_new(house):
    catalogue = replace(
        CATALOGUE,
        regions=[*CATALOGUE.regions, RegionEntry("us-1", "united-states")],
        zones=[*CATALOGUE.zones, ZoneEntry("us-1a", "us-1", is_available=True)],
        images=[*CATALOGUE.images, ImageEntry("bare", "Bare", "", "x86_64", "linux", "renter")],
        products=[*CATALOGUE.products, a_ware("fresh", "1", {"us-1a": 1}, image="bare", gpu=Gpu("AMD", "x", 1, 1))],
    )
    found = [(each.kind, each.name, each.drift) for each in await drift_to(house, catalogue)]
    assert found == [
        ("region", "us-1", Drift.NEW),
        ("zone", "us-1a", Drift.NEW),
        ("image", "bare", Drift.NEW),
        ("product", "fresh", Drift.NEW),
    ]


async def test_what_is_missing_is_retired_and_may_come_back_changed(house):
    retired = [(each.name, each.drift) for each in await drift_to(house, FEWER)]
    assert ("ubuntu-24", Drift.RETIRED) in retired
    assert {drift for _, drift in retired} == {Drift.RETIRED}
    await house.administration.set_catalogue(FEWER)
    back = {each.name: each for each in await drift_to(house, with_product("plain", vcpus=8))}
    assert back["plain"].drift is Drift.RETURNED
    assert worded(back["plain"]) == [("vcpus", "4", "8")]


async def test_a_zone_tells_its_region_and_its_addresses(house):
    zones = [replace(CATALOGUE.zones[0], region="ap-1", is_available=False, pool=()), *CATALOGUE.zones[1:]]
    zone, *_ = [each for each in await drift_to(house, replace(CATALOGUE, zones=zones)) if each.kind == "zone"]
    assert worded(zone) == [
        ("region", "eu-1", "ap-1"),
        ("is available", "yes", "no"),
        ("pool", "203.0.113.0/29", ""),
    ]


# --- the estate


async def book(house, slug, count=1):
    product = await house.product(slug)
    placed = await house.core.book(house.caller(), Booking(product_id=product.id, least=count, most=count))
    return [machine.id for machine in placed.instances]


async def stocks_of(house, slug):
    stocks = (await house.administration.estate()).stocks()
    return [(each.zone.name, each.capacity, each.taken, each.free) for each in stocks if each.product.slug == slug]


async def test_stocks_tell_what_is_taken_in_every_zone(house):
    await book(house, "nvidia-titanxp", 2)
    assert await stocks_of(house, "nvidia-titanxp") == [("eu-1a", 2, 2, 0), ("eu-1b", 3, 0, 3)]


async def test_what_is_retired_is_a_stock_only_while_it_is_rented(house):
    ids = await book(house, "nvidia-1080ti")
    await house.administration.set_catalogue(FEWER)
    assert await stocks_of(house, "nvidia-1080ti") == [("eu-1a", 0, 1, 0)]
    assert await stocks_of(house, "plain") == []
    await house.core.terminate(house.caller(), ids)
    await house.seen(Power.ABSENT)
    assert await stocks_of(house, "nvidia-1080ti") == []


async def test_stocks_by_another_catalogue_count_what_is_taken_now(house):
    await book(house, "nvidia-1080ti", 3)
    estate = await house.administration.estate()
    [stock] = [
        each for each in estate.stocks_by(with_product("nvidia-1080ti", capacity={"eu-1a": 2})) if each.is_overbooked
    ]
    assert (stock.product.slug, stock.zone.name, stock.capacity, stock.taken) == ("nvidia-1080ti", "eu-1a", 2, 3)


async def test_machines_that_are_gone_are_in_no_stage(house):
    first, _ = await book(house, "plain", 2)
    await house.core.terminate(house.caller(), [first])
    await house.seen(Power.ABSENT, [first])
    assert dict((await house.administration.estate()).stages()) == {State.PENDING: 1}


@pytest.mark.parametrize(
    ("text", "found"), [("", 2), (" OURS ", 1), ("00000000", 2), ("000001", 1), ("ann", 1), ("x", 1)]
)
async def test_accounts_are_found_by_name_id_and_people(house, text, found):
    await house.person()
    assert len((await house.administration.estate()).holdings(text)) == found


async def test_an_account_is_told_with_its_people_and_machines(house):
    person = await house.person()
    await book(house, "plain", 2)
    estate: Estate = await house.administration.estate()
    holding = estate.holding(house.ours.account.id)
    assert (holding.account, list(holding.people), holding.machines) == (house.ours.account, [person], 2)
    assert estate.holding(house.theirs.account.id).machines == 0
    with pytest.raises(UnknownAccount):
        estate.holding(AccountId(1))
