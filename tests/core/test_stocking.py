from dataclasses import replace
from decimal import Decimal

import pytest

from core.catalogue import ANYWHERE, Catalogue, Gpu, ImageEntry, RegionEntry, ZoneEntry, geo_of
from core.errors import InsufficientCapacity, UnknownProduct
from core.orders import Booking
from tests.contracts.store_contract import contents
from tests.fleetfixture import CATALOGUE, a_ware, open_house

SHELVES = ("regions", "zones", "images", "products")
FEWER = replace(CATALOGUE, images=CATALOGUE.images[:1], products=CATALOGUE.products[:1])


def name_of(ware):
    return getattr(ware, "slug", None) or ware.name


def changed(slug, **changes):
    """Return the catalogue with one product changed."""
    products = [replace(ware, **changes) if ware.slug == slug else ware for ware in CATALOGUE.products]
    return replace(CATALOGUE, products=products)


async def ids(house):
    """Return the ids of everything, retired or not, by kind and name."""
    rows = await house.store.view()
    return {(shelf, name_of(ware)): ware.id for shelf in SHELVES for ware in getattr(rows, shelf).values()}


async def retired(house):
    rows = await house.store.view()
    return {name_of(ware) for shelf in SHELVES for ware in getattr(rows, shelf).values() if ware.is_retired}


async def test_everything_configured_is_offered(house):
    rows = await house.store.view()
    for shelf in SHELVES:
        assert [name_of(ware) for ware in getattr(rows, shelf).values()] == list(
            map(name_of, getattr(CATALOGUE, shelf))
        )


async def test_a_product_says_what_its_entry_says(house):
    entry = CATALOGUE.products[2]
    product = await house.product(entry.slug)
    rows = await house.store.view()
    for name in ("slug", "title", "hourly_price", "currency", "attributes", "vcpus", "memory_mib", "disk_gib", "gpu"):
        assert getattr(product, name) == getattr(entry, name)
    assert {rows.zones[zone_id].name: count for zone_id, count in product.capacity.items()} == entry.capacity
    assert (rows.images[product.image_id].name, product.geo) == (entry.image, "europe")


async def test_stocking_up_again_writes_nothing(house):
    revision = (await house.store.view()).revision
    await house.administration.set_catalogue(CATALOGUE)
    assert (await house.store.view()).revision == revision


async def test_stocking_up_after_a_restart_writes_nothing(tmp_path):
    async with open_house(tmp_path):
        pass
    async with open_house(tmp_path) as house:
        assert (await house.store.view()).revision == 0


async def test_what_keeps_its_name_keeps_its_id_whatever_else_changes(house):
    before = await ids(house)
    await house.administration.set_catalogue(
        Catalogue(
            regions=[RegionEntry("ap-1", "oceania"), RegionEntry("eu-1", "africa")],
            zones=[replace(zone, is_available=False) for zone in reversed(CATALOGUE.zones)],
            images=[replace(image, title="Other") for image in reversed(CATALOGUE.images)],
            products=[
                replace(ware, hourly_price=Decimal(9), gpu=Gpu("AMD", "x", 1, 1))
                for ware in reversed(CATALOGUE.products)
            ],
        )
    )
    assert await ids(house) == before
    rows = await house.store.view()
    assert {region.name: region.geo for region in rows.regions.values()} == {"ap-1": "oceania", "eu-1": "africa"}
    assert {product.hourly_price for product in rows.products.values()} == {Decimal(9)}
    assert not any(zone.is_available for zone in rows.zones.values())


async def test_what_is_missing_is_retired_and_comes_back_as_it_was(house):
    before, stock = await ids(house), contents(await house.store.view())
    await house.administration.set_catalogue(FEWER)
    assert await retired(house) == {"ubuntu-24", "nvidia-1080ti", "nvidia-titanxp", "anywhere", "plain"}
    assert await ids(house) == before
    await house.administration.set_catalogue(CATALOGUE)
    assert contents(await house.store.view()) == stock


async def test_an_empty_catalogue_retires_everything(house):
    await house.administration.set_catalogue(Catalogue())
    assert await retired(house) == {name_of(ware) for shelf in SHELVES for ware in getattr(CATALOGUE, shelf)}
    fleet = await house.core.fleet(house.caller())
    assert [fleet.regions(), fleet.zones(), fleet.images(), fleet.products()] == [[], [], [], []]


async def test_retiring_again_writes_nothing(house):
    await house.administration.set_catalogue(FEWER)
    revision = (await house.store.view()).revision
    await house.administration.set_catalogue(FEWER)
    assert (await house.store.view()).revision == revision


async def test_ids_of_what_was_retired_are_not_given_to_what_is_new(house):
    before = await ids(house)
    await house.administration.set_catalogue(FEWER)
    new = [a_ware("new", "1.00", {"eu-1a": 1}), FEWER.products[0]]
    await house.administration.set_catalogue(replace(FEWER, products=new))
    assert (await house.product("new")).id not in before.values()


async def test_the_machines_of_a_retired_product_live_on(house):
    product = await house.product("plain")
    placed = await house.core.book(house.caller(), Booking(product.id))
    await house.administration.set_catalogue(FEWER)
    fleet = await house.core.fleet(house.caller())
    (machine,) = fleet.instances()
    assert fleet.product(machine.product_id).slug == "plain"
    assert fleet.image(machine.image_id).name == "ubuntu-24"
    await house.core.complete(house.caller(), placed.order.id)
    with pytest.raises(UnknownProduct):
        await house.core.book(house.caller(), Booking(product.id))


async def test_a_renamed_zone_is_a_new_one_and_its_machines_stay_in_the_old(house):
    product = await house.product("plain")
    placed = await house.core.book(house.caller(), Booking(product.id))
    zones = [*CATALOGUE.zones[:1], ZoneEntry("eu-1z", "eu-1", is_available=True), *CATALOGUE.zones[2:]]
    products = [a_ware("plain", "0.01", {"eu-1z": 3}, image="ubuntu-24")]
    await house.administration.set_catalogue(replace(CATALOGUE, zones=zones, products=products))
    rows = await house.store.view()
    assert rows.zones[placed.order.zone_id].name == "eu-1b"
    assert rows.zones[placed.order.zone_id].is_retired
    again = await house.core.book(house.caller(), Booking(product.id))
    assert rows.zones[again.order.zone_id].name == "eu-1z"


async def test_capacity_that_was_cut_below_what_is_rented_ends_nothing_and_sells_nothing(house):
    product = await house.product("nvidia-1060")
    placed = await house.core.book(house.caller(), Booking(product.id, 3, 3))
    await house.administration.set_catalogue(changed("nvidia-1060", capacity={"ap-1a": 1}))
    fleet = await house.core.fleet(house.caller())
    assert len(list(fleet.instances())) == 3
    assert fleet.free(await house.product("nvidia-1060"), placed.order.zone_id) == 0
    with pytest.raises(InsufficientCapacity) as caught:
        await house.core.book(house.caller(), Booking(product.id))
    assert caught.value.free == 0


async def test_the_price_of_a_running_rental_does_not_change(house):
    product = await house.product("plain")
    placed = await house.core.book(house.caller(), Booking(product.id))
    await house.administration.set_catalogue(changed("plain", hourly_price=Decimal(99)))
    (machine,) = await house.machines()
    assert machine.hourly_price == placed.order.hourly_price == Decimal("0.01")


async def test_a_new_image_can_become_a_products_own_in_one_go(house):
    image = ImageEntry("debian-13", "Debian 13", "", "x86_64", "linux", "renter")
    products = [replace(ware, image="debian-13") for ware in CATALOGUE.products]
    await house.administration.set_catalogue(replace(CATALOGUE, images=[*CATALOGUE.images, image], products=products))
    product, rows = await house.product("plain"), await house.store.view()
    assert rows.images[product.image_id].name == "debian-13"


@pytest.mark.parametrize(("geos", "geo"), [(["a"], "a"), (["a", "a"], "a"), (["a", "b"], ANYWHERE), ([], ANYWHERE)])
def test_a_product_in_several_geos_is_global(geos, geo):
    assert geo_of(geos) == geo
