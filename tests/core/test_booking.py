import asyncio
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from core.accounts import Protocol
from core.booking import House, PortRange
from core.errors import (
    DoesNotFit,
    InsufficientCapacity,
    InvalidRequest,
    InvalidTag,
    KeyPairExists,
    LimitReached,
    NoAddressLeft,
    NotOfferedInRegion,
    NotOfferedInZone,
    PrivateAddressTaken,
    TokenReused,
    TooManyGroups,
    UnfitImage,
    UnknownImage,
    UnknownKeyPairs,
    UnknownProduct,
    UnknownResource,
    UnknownZone,
)
from core.ids import ImageId, ProductId, SecurityGroupId, SubnetId, ZoneId
from core.instances import Options, Power, ShutdownBehaviour, State
from core.keypairs import KeyKind
from core.limits import Limits
from core.networks import block_of, is_host, private_address
from core.orders import Booking
from core.ports import LaunchMaterial
from core.securitygroups import MOST_GROUPS
from core.service import Core
from core.sshkeys import read_public
from core.tags import Resource, ResourceKind
from core.vault import KEY_BYTES, Vault
from tests.clocks import NOON
from tests.contracts.store_contract import contents
from tests.fleetfixture import CATALOGUE, nothing_said, open_house

MACHINE, ORDER = ResourceKind.INSTANCE, ResourceKind.ORDER
PORTS = PortRange(20_000, 39_999)


@pytest.fixture
def book(house):
    """Books a product by its name for us, through a core of one's choice."""

    async def book(slug="plain", least=1, most=None, *, core=house.core, **options):
        product = await house.product(slug)
        return await core.book(house.caller(), Booking(product.id, least, most or least, **options))

    return book


@pytest.fixture
def with_ports(house):
    """Makes cores upon the same store with another range of ssh ports."""
    return lambda first, last: a_core(house, PortRange(first, last))


def a_core(house, ports=PORTS, limits=Limits()):  # noqa: B008  it is frozen
    """Return a core upon the same store with other bounds."""
    return Core(
        house.store,
        Vault(bytes(KEY_BYTES)),
        house.clock,
        House(ports, limits),
        wake=house.woken.extend,
        console=nothing_said,
        screen=nothing_said,
    )


async def zone_id(house, name):
    return next(zone.id for zone in (await house.store.view()).zones.values() if zone.name == name)


async def close_zones(house, *names):
    zones = [replace(zone, is_available=zone.name not in names) for zone in CATALOGUE.zones]
    await house.administration.set_catalogue(replace(CATALOGUE, zones=zones))


async def zone_of(house, placed):
    (name,) = {(await house.store.view()).zones[machine.zone_id].name for machine in placed.instances}
    return name


# --- what a booking writes


async def test_a_booking_is_an_order_with_pending_machines(house, book):
    placed = await book("nvidia-1060", 2)
    rows, product = await house.store.view(), await house.product("nvidia-1060")
    assert placed.is_new
    assert rows.orders == {placed.order.id: placed.order}
    assert tuple(rows.machines_of[placed.order.id].values()) == placed.instances
    assert (placed.order.product_id, placed.order.image_id) == (product.id, product.image_id)
    assert (placed.order.hourly_price, placed.order.currency) == (Decimal("0.25"), "USD")
    assert (placed.order.created_at, placed.order.protocol, placed.order.closed_at) == (NOON, Protocol.EC2, None)
    for index, machine in enumerate(placed.instances):
        assert (machine.state, machine.launch_index, machine.launched_at) == (State.PENDING, index, NOON)
        assert (machine.zone_id, machine.hourly_price) == (placed.order.zone_id, placed.order.hourly_price)
        assert machine.account_id == placed.order.account_id == house.ours.account.id


async def test_the_options_of_a_booking_are_kept(house, book):
    placed = await book(
        user_data=b"data",
        file_url="https://files.example/a",
        script_url="https://files.example/b",
        shutdown_behaviour=ShutdownBehaviour.TERMINATE,
        tags={MACHINE: {"role": "web"}, ORDER: {"team": "a"}},
    )
    (machine,) = placed.instances
    assert (placed.order.file_url, placed.order.script_url) == ("https://files.example/a", "https://files.example/b")
    assert machine.shutdown_behaviour is ShutdownBehaviour.TERMINATE
    assert await house.store.material(placed.order.id) == LaunchMaterial(placed.order.id, b"data")
    fleet = await house.core.fleet(house.caller())
    assert [fleet.tags(MACHINE, machine.id), fleet.tags(ORDER, placed.order.id)] == [{"role": "web"}, {"team": "a"}]


async def test_the_reconciler_is_told_of_every_new_machine(house, book):
    placed = await book(least=3)
    assert house.woken == [machine.id for machine in placed.instances]


async def test_without_an_image_the_products_own_is_used(house, book):
    (image,) = [image for image in (await house.store.view()).images.values() if image.name == "debian-12"]
    assert (await book("plain")).order.image_id != image.id
    assert (await book("plain", image_id=image.id)).order.image_id == image.id


# --- what cannot be booked


async def test_what_is_not_there_cannot_be_booked(house, book):
    with pytest.raises(UnknownProduct):
        await house.core.book(house.caller(), Booking(ProductId(999)))
    with pytest.raises(UnknownImage):
        await book(image_id=ImageId(999))
    with pytest.raises(UnknownZone):
        await book(zone_id=ZoneId(999))
    with pytest.raises(UnknownKeyPairs):
        await book(key_name="unknown")


async def test_what_is_retired_cannot_be_booked(house, book):
    rows, plain = await house.store.view(), await house.product("plain")
    ubuntu = next(image for image in rows.images.values() if image.name == "ubuntu-24")
    zone = await zone_id(house, "eu-1b")
    kept = [ware for ware in CATALOGUE.products if ware.slug in {"nvidia-1060", "nvidia-1080ti"}]
    zones = [each for each in CATALOGUE.zones if each.name != "eu-1b"]
    await house.administration.set_catalogue(
        replace(CATALOGUE, zones=zones, images=CATALOGUE.images[:1], products=kept)
    )
    with pytest.raises(UnknownProduct):
        await house.core.book(house.caller(), Booking(plain.id))
    with pytest.raises(UnknownImage):
        await book("nvidia-1060", image_id=ubuntu.id)
    with pytest.raises(UnknownZone):
        await book("nvidia-1060", zone_id=zone)


async def test_a_refused_booking_leaves_nothing(house, book):
    before = contents(await house.store.view())
    for options in ({"key_name": "unknown"}, {"tags": {MACHINE: {"aws:x": ""}}}, {"tags": {ORDER: {"": ""}}}):
        with pytest.raises((UnknownKeyPairs, InvalidTag)):
            await book(user_data=b"data", **options)
    with pytest.raises(InsufficientCapacity):
        await book("nvidia-1060", 5)
    assert contents(await house.store.view()) == before
    assert house.woken == []


async def test_a_booking_that_makes_no_sense_is_refused_before_anything_else(house):
    with pytest.raises(InvalidRequest):
        await house.core.book(house.caller(), Booking(ProductId(999), 0, 0))


# --- where machines go


@pytest.mark.parametrize(
    ("least", "most", "zone", "quantity"),
    [(1, 1, "eu-1a", 1), (2, 2, "eu-1a", 2), (3, 3, "eu-1b", 3), (1, 3, "eu-1b", 3), (1, 9, "eu-1b", 3)],
)
async def test_machines_go_to_the_first_zone_with_room_for_all_or_else_the_roomiest(  # noqa: PLR0917  fixtures
    house, book, least, most, zone, quantity
):
    placed = await book("nvidia-titanxp", least, most)
    assert (await zone_of(house, placed), len(placed.instances)) == (zone, quantity)


async def test_machines_of_one_order_are_never_split_between_zones(book):
    with pytest.raises(InsufficientCapacity) as caught:
        await book("nvidia-titanxp", 4, 5)
    assert (caught.value.wanted, caught.value.free) == (4, 3)


async def test_the_zone_that_was_asked_for_is_the_one(house, book):
    assert await zone_of(house, await book("nvidia-titanxp", zone_id=await zone_id(house, "eu-1b"))) == "eu-1b"
    with pytest.raises(InsufficientCapacity):
        await book("nvidia-titanxp", 3, zone_id=await zone_id(house, "eu-1a"))


async def test_the_region_that_was_asked_for_is_the_one(house, book):
    (region,) = [region.id for region in (await house.store.view()).regions.values() if region.name == "ap-1"]
    assert await zone_of(house, await book("anywhere", region_id=region)) == "ap-1a"
    with pytest.raises(NotOfferedInRegion):
        await book("plain", region_id=region)


async def test_a_zone_where_the_product_is_not_offered_is_refused_with_those_where_it_is(house, book):
    with pytest.raises(NotOfferedInZone) as caught:
        await book("nvidia-titanxp", zone_id=await zone_id(house, "ap-1a"))
    assert caught.value.offered == ("eu-1a", "eu-1b")


async def test_only_zones_of_the_region_that_was_asked_for_are_named_instead(house, book):
    for name, offered in (("eu-1", ("eu-1a",)), ("ap-1", ())):
        region = (await house.core.region(name)).id
        zone = await zone_id(house, {"eu-1": "eu-1b", "ap-1": "ap-1a"}[name])
        with pytest.raises(NotOfferedInZone) as caught:
            await book("nvidia-1080ti", zone_id=zone, region_id=region)
        assert caught.value.offered == offered


async def test_an_unavailable_zone_takes_no_bookings(house, book):
    await close_zones(house, "eu-1a")
    assert await zone_of(house, await book("nvidia-titanxp")) == "eu-1b"
    with pytest.raises(InsufficientCapacity):
        await book("nvidia-titanxp", zone_id=await zone_id(house, "eu-1a"))
    with pytest.raises(NotOfferedInZone) as caught:
        await book("nvidia-titanxp", zone_id=await zone_id(house, "ap-1a"))
    assert caught.value.offered == ("eu-1b",)
    await close_zones(house, "eu-1a", "eu-1b")
    with pytest.raises(InsufficientCapacity) as nowhere:
        await book("nvidia-titanxp")
    assert nowhere.value.free == 0


# --- how many


async def test_what_is_rented_cannot_be_rented_again_until_it_is_gone(house, book):
    placed = await book("nvidia-1060", 4)
    with pytest.raises(InsufficientCapacity):
        await book("nvidia-1060")
    await house.core.complete(house.caller(), placed.order.id)
    with pytest.raises(InsufficientCapacity):  # they are still shutting down
        await book("nvidia-1060")
    await house.seen(Power.ABSENT)
    assert len((await book("nvidia-1060", 4)).instances) == 4


async def test_the_customers_share_the_capacity(house, book):
    product = await house.product("nvidia-1060")
    await house.core.book(house.caller(house.theirs), Booking(product.id, 3, 3))
    assert len((await book("nvidia-1060", 1, 4)).instances) == 1


async def test_products_do_not_take_room_from_one_another(book):
    await book("nvidia-1060", 4)
    assert len((await book("anywhere", 9)).instances) == 9


async def test_fifty_bookings_at_once_never_oversell(house):
    product = await house.product("nvidia-titanxp")
    bookings = [
        house.core.book(house.caller(holder), Booking(product.id, 1, 1 + number % 2))
        for number, holder in enumerate([house.ours, house.theirs] * 25)
    ]
    outcomes = await asyncio.gather(*bookings, return_exceptions=True)
    assert Counter(type(outcome).__name__ for outcome in outcomes).keys() == {"Placed", "InsufficientCapacity"}
    rows = await house.store.view()
    taken = Counter(rows.zones[machine.zone_id].name for machine in rows.instances.values())
    assert taken == {"eu-1a": 2, "eu-1b": 3}
    assert len({machine.ssh_port for machine in rows.instances.values()}) == 5


# --- ssh ports


async def test_no_two_living_machines_share_a_port(house, book, with_ports):
    core = with_ports(20_000, 20_009)
    placed = await book(least=10, core=core)
    assert {machine.ssh_port for machine in placed.instances} == set(range(20_000, 20_010))
    await house.core.terminate(house.caller(), [placed.instances[4].id])
    await house.seen(Power.ABSENT, [placed.instances[4].id])
    (again,) = (await book(core=core)).instances
    assert again.ssh_port == placed.instances[4].ssh_port


async def test_a_booking_takes_no_more_machines_than_there_are_ports(book, with_ports):
    core = with_ports(20_000, 20_004)
    assert len((await book(least=2, most=9, core=core)).instances) == 5


async def test_a_booking_is_refused_where_ports_do_not_suffice(house, book, with_ports):
    core = with_ports(20_000, 20_004)
    await book(least=3, core=core)
    before = contents(await house.store.view())
    with pytest.raises(InsufficientCapacity) as caught:
        await book(least=3, core=core)
    assert (caught.value.wanted, caught.value.free) == (3, 2)
    assert contents(await house.store.view()) == before


async def test_machines_outside_of_a_changed_range_take_no_ports_of_it(book, with_ports):
    await book(least=5, core=with_ports(30_000, 30_009))
    assert len((await book(least=5, core=with_ports(20_000, 20_004))).instances) == 5


async def test_a_port_is_not_soon_another_machines(house, book):
    first = await book()
    await house.core.complete(house.caller(), first.order.id)
    await house.seen(Power.ABSENT)
    assert (await book()).instances[0].ssh_port != first.instances[0].ssh_port


# --- client tokens


async def test_the_same_request_with_the_same_token_is_placed_once(book):
    first = await book(least=2, client_token="token")
    again = await book(least=2, client_token="token")
    assert (first.is_new, again.is_new) == (True, False)
    assert (again.order, again.instances) == (first.order, first.instances)


async def test_a_repeated_token_shows_how_the_machines_stand_by_now(house, book):
    first = await book(least=2, client_token="token")
    await house.core.complete(house.caller(), first.order.id)
    again = await book(least=2, client_token="token")
    assert [machine.state for machine in again.instances] == [State.SHUTTING_DOWN] * 2
    assert [machine.launch_index for machine in again.instances] == [0, 1]


async def test_many_requests_at_once_with_one_token_are_placed_once(house, book):
    placed = await asyncio.gather(*(book("nvidia-titanxp", 2, client_token="token") for _ in range(20)))
    assert sum(each.is_new for each in placed) == 1
    assert len({each.order.id for each in placed}) == 1
    assert len(await house.machines()) == 2


async def test_a_token_with_another_request_is_refused(book):
    await book(client_token="token")
    for options in ({"least": 2}, {"user_data": b"x"}, {"tags": {MACHINE: {"a": "b"}}}, {"slug": "nvidia-1060"}):
        with pytest.raises(TokenReused):
            await book(client_token="token", **options)


async def test_a_token_is_its_accounts_own(house, book):
    ours, product = await book(client_token="token"), await house.product("plain")
    theirs = await house.core.book(house.caller(house.theirs), Booking(product.id, client_token="token"))
    assert theirs.is_new
    assert theirs.order.id != ours.order.id


async def test_a_token_works_across_a_restart(tmp_path):
    async with open_house(tmp_path) as house:
        request = Booking((await house.product("plain")).id, client_token="token", tags={MACHINE: {"a": "1", "b": "2"}})
        first = await house.core.book(house.caller(), request)
    async with open_house(tmp_path) as house:
        again = await house.core.book(house.caller(), replace(request, tags={MACHINE: {"b": "2", "a": "1"}}))
    assert (again.is_new, again.order) == (False, first.order)


async def test_without_tokens_the_same_request_is_another_booking(book):
    assert (await book()).order.id != (await book()).order.id


# --- keys to log in with


async def test_a_key_pair_is_taken_by_its_name_and_outlives_it(house, book):
    created = await house.core.create_key_pair(house.caller(), "laptop", KeyKind.ED25519, {})
    order = (await book(key_name="laptop")).order
    assert (order.key_name, order.public_key, order.has_own_key) == ("laptop", created.pair.public_key, False)
    await house.core.delete_key_pair(house.caller(), created.pair)
    assert (await house.core.order(house.caller(), order.id)).order.public_key == created.pair.public_key


async def test_another_accounts_key_pair_cannot_be_named(house, book):
    await house.core.create_key_pair(house.caller(house.theirs), "theirs", KeyKind.ED25519, {})
    with pytest.raises(UnknownKeyPairs):
        await book(key_name="theirs")


async def test_an_order_may_have_a_key_of_its_own(house, book):
    order = (await book(wants_own_key=True)).order
    assert (order.key_name, order.has_own_key) == ("", True)
    assert read_public(order.public_key.encode()).kind is KeyKind.ED25519
    material = await house.store.material(order.id)
    assert material.private_key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")


async def test_no_two_orders_have_the_same_key_of_their_own(book):
    assert (await book(wants_own_key=True)).order.public_key != (await book(wants_own_key=True)).order.public_key


async def test_a_repeated_token_keeps_the_first_key(house, book):
    first = await book(wants_own_key=True, client_token="token")
    before = await house.store.material(first.order.id)
    again = await book(wants_own_key=True, client_token="token")
    assert again.order.public_key == first.order.public_key
    assert await house.store.material(first.order.id) == before


async def test_tags_of_an_unknown_kind_of_thing_are_refused(book):
    with pytest.raises(InvalidRequest):
        await book(tags={ResourceKind.IMAGE: {"a": "b"}})


async def test_the_tags_of_machines_are_each_its_own(house, book):
    placed = await book(least=2, tags={MACHINE: {"role": "web"}})
    first, second = (Resource(house.ours.account.id, MACHINE, machine.id) for machine in placed.instances)
    await house.core.tag(house.caller(), [first], {"role": "db"})
    rows = await house.store.view()
    assert (rows.tags_of(first), rows.tags_of(second)) == ({"role": "db"}, {"role": "web"})


# --- networks and security groups


@pytest.fixture
def groups(house):
    """Makes security groups of a customer by their names, in the region of the product called plain."""

    async def make(*names, holder=None, region="eu-1"):
        caller = replace(house.caller(holder), region_id=(await house.core.region(region)).id)
        return tuple([(await house.core.groups.create(caller, name, "", {})).id for name in names])

    return make


async def subnet_in(house, zone, holder=None):
    fleet = await house.core.networked_fleet(house.caller(holder))
    return fleet.subnet_in(await zone_id(house, zone)).id


async def region_id(house, name):
    return (await house.core.region(name)).id


async def test_who_names_no_group_gets_the_default_one(house, book):
    [machine] = (await book()).instances
    fleet = await house.core.fleet(house.caller())
    assert [group.is_default for group in fleet.groups_of(machine)] == [True]


async def test_machines_are_in_the_groups_that_were_named_in_that_order(book, groups):
    one, two = await groups("one", "two")
    placed = await book(least=2, group_ids=(two, one, two))
    assert [machine.group_ids for machine in placed.instances] == [(two, one)] * 2


async def test_groups_that_are_not_there_are_refused(house, book, groups):
    elsewhere, theirs = await groups("a", region="ap-1"), await groups("b", holder=house.theirs)
    for group_ids in ((SecurityGroupId(999),), elsewhere, theirs):
        with pytest.raises(UnknownResource) as caught:
            await book(group_ids=group_ids)
        assert caught.value.kind is ResourceKind.SECURITY_GROUP


async def test_a_machine_can_be_in_only_so_many_groups(book, groups):
    many = await groups(*(f"group {number}" for number in range(MOST_GROUPS + 1)))
    await book(group_ids=many[:-1])
    with pytest.raises(TooManyGroups):
        await book(group_ids=many)


async def test_a_subnet_stands_for_its_zone(house, book):
    subnet = await subnet_in(house, "eu-1b")
    assert await zone_of(house, await book("nvidia-titanxp", subnet_id=subnet)) == "eu-1b"


async def test_a_subnet_that_is_not_there_is_refused(house, book):
    theirs = await subnet_in(house, "eu-1b", house.theirs)
    for subnet_id in (SubnetId(999), theirs):
        with pytest.raises(UnknownResource) as caught:
            await book(subnet_id=subnet_id)
        assert caught.value.kind is ResourceKind.SUBNET


async def test_a_subnet_of_another_region_is_unknown(house, book):
    subnet = await subnet_in(house, "eu-1b")
    with pytest.raises(UnknownResource):
        await book(subnet_id=subnet, region_id=await region_id(house, "ap-1"))


async def test_a_subnet_and_a_zone_must_agree(house, book):
    subnet = await subnet_in(house, "eu-1b")
    await book("nvidia-titanxp", subnet_id=subnet, zone_id=await zone_id(house, "eu-1b"))
    for zone in (await zone_id(house, "eu-1a"), ZoneId(999)):
        with pytest.raises(InvalidRequest, match="eu-1b"):
            await book("nvidia-titanxp", subnet_id=subnet, zone_id=zone)


async def test_a_zone_of_another_region_is_unknown(house, book):
    with pytest.raises(UnknownZone):
        await book(zone_id=await zone_id(house, "eu-1b"), region_id=await region_id(house, "ap-1"))


async def test_zones_of_a_region_are_tried_in_the_order_in_which_they_were_first_configured(house, book):
    await close_zones(house, "eu-1a")
    await close_zones(house)
    assert await zone_of(house, await book("nvidia-titanxp", region_id=await region_id(house, "eu-1"))) == "eu-1a"


# --- private addresses


async def test_every_machine_has_an_address_of_its_zone_that_no_other_has(house, book):
    placed = [*(await book(least=40)).instances, *(await book("nvidia-titanxp", 2)).instances]
    assert len({machine.private_address for machine in placed}) == 42
    for machine in placed:
        assert is_host(machine.private_address, block_of(machine.zone_id))


async def test_the_private_address_that_is_wanted_is_the_one(house, book):
    wanted = private_address(await zone_id(house, "eu-1b"), 70)
    assert (await book(private_address=wanted)).instances[0].private_address == wanted


async def test_a_private_address_that_is_not_to_be_had_is_refused(house, book):
    foreign = private_address(await zone_id(house, "eu-1a"), 70)
    reserved = block_of(await zone_id(house, "eu-1b")).removesuffix("0/16") + "1"
    for wanted in (foreign, reserved, "192.0.2.1", "nonsense"):
        with pytest.raises(InvalidRequest, match="private address"):
            await book(private_address=wanted)


async def test_a_private_address_that_a_machine_has_is_refused(book):
    taken = (await book()).instances[0].private_address
    with pytest.raises(PrivateAddressTaken) as refused:
        await book(private_address=taken)
    assert refused.value.address == taken


async def test_a_private_address_is_free_again_once_its_machine_is_gone(house, book):
    first = await book()
    wanted = first.instances[0].private_address
    await house.core.complete(house.caller(), first.order.id)
    with pytest.raises(PrivateAddressTaken):
        await book(private_address=wanted)
    await house.seen(Power.ABSENT)
    assert (await book(private_address=wanted)).instances[0].private_address == wanted


async def test_an_address_that_somebody_wanted_is_not_given_to_the_next(house, book):
    [first] = (await book()).instances
    following = private_address(first.zone_id, first.id + 2)
    await book(private_address=following)
    [machine] = (await book()).instances
    assert machine.private_address != following


# --- public addresses


async def test_machines_have_the_public_addresses_that_were_asked_for_besides(house, book):
    placed = await book(least=2, extra_addresses=2)
    rows = await house.store.view()
    bound = [rows.bound_to(machine.id) for machine in placed.instances]
    assert [len(each) for each in bound] == [2, 2]
    assert {address.zone_id for each in bound for address in each} == {placed.order.zone_id}
    assert all(address.goes_with_machine for each in bound for address in each)


async def test_what_a_booking_returns_is_what_is_in_the_rows(house, book):
    placed = await book(least=2, extra_addresses=1, wants_password=True)
    rows = await house.store.view()
    assert placed.instances == tuple(rows.machines_of[placed.order.id].values())


async def test_a_booking_is_refused_whole_where_public_addresses_do_not_suffice(house, book):
    before = contents(await house.store.view())
    with pytest.raises(NoAddressLeft):
        await book(least=3, extra_addresses=3)  # of the eight that the zone has
    assert contents(await house.store.view()) == before


# --- limits


async def test_an_account_may_rent_only_so_many_machines(house, book):
    core = a_core(house, limits=Limits(machines=3))
    await book(least=2, core=core)
    with pytest.raises(LimitReached) as caught:
        await book(least=2, core=core)
    assert (caught.value.kind, caught.value.most, caught.value.have) == ("machines", 3, 2)
    assert len((await book(least=1, most=5, core=core)).instances) == 1


async def test_the_limit_of_one_account_is_not_anothers(house, book):
    core, product = a_core(house, limits=Limits(machines=1)), await house.product("plain")
    await book(core=core)
    await core.book(house.caller(house.theirs), Booking(product.id))


async def test_what_is_gone_no_longer_counts(house, book):
    core = a_core(house, limits=Limits(machines=1))
    placed = await book(core=core)
    await core.complete(house.caller(), placed.order.id)
    with pytest.raises(LimitReached):
        await book(core=core)
    await house.seen(Power.ABSENT)
    await book(core=core)


async def test_an_account_may_hold_only_so_many_addresses(house, book):
    core = a_core(house, limits=Limits(addresses=3))
    await book(extra_addresses=2, core=core)
    with pytest.raises(LimitReached) as caught:
        await book(extra_addresses=2, core=core)
    assert caught.value.kind == "addresses"


async def test_an_account_may_book_only_so_many_machines_whose_disks_are_kept(house, book):
    core, keeping = a_core(house, limits=Limits(kept_disks=3)), Options(keeps_disk=True)
    await book(least=2, options=keeping, core=core)
    with pytest.raises(LimitReached) as caught:
        await book(least=2, options=keeping, core=core)
    assert (caught.value.kind, caught.value.have) == ("kept_disks", 2)
    await book(least=9, core=core)
    assert len((await book(least=1, most=9, options=keeping, core=core)).instances) == 1


# --- what goes with a machine


async def test_every_machine_has_a_password_of_its_own_if_one_was_asked_for(house, book):
    placed = await book(least=3, wants_password=True)
    passwords = {await house.core.machines.password(house.caller(), machine.id) for machine in placed.instances}
    assert len(passwords) == 3
    assert all(len(password) == 20 and password.isalnum() for password in passwords)


async def test_who_asks_for_no_password_gets_none(house, book):
    [machine] = (await book()).instances
    assert await house.core.machines.password(house.caller(), machine.id) == ""


async def test_options_and_term_are_the_machines(book):
    options = Options(hostname="web", is_protected=True, is_monitored=True)
    [machine] = (await book(options=options, term_hours=730)).instances
    assert (machine.options, machine.term_hours, machine.hostname) == (options, 730, "web")


async def test_a_new_machine_is_nothing_that_its_driver_has_yet_to_take_over(book):
    [machine] = (await book()).instances
    assert not machine.needs_work


async def test_the_tags_of_a_machines_disk_and_interface_are_their_own(house, book):
    tags = {ResourceKind.DISK: {"a": "disk"}, ResourceKind.INTERFACE: {"a": "interface"}}
    [machine] = (await book(tags=tags)).instances
    fleet = await house.core.fleet(house.caller())
    assert [dict(fleet.tags(kind, machine.id)) for kind in (MACHINE, *tags)] == [{}, {"a": "disk"}, {"a": "interface"}]


# --- what does not go together


@pytest.fixture
def stock_image(house):
    """Changes the image called debian-12."""

    async def stock(**changes):
        [image, other] = CATALOGUE.images
        await house.administration.set_catalogue(replace(CATALOGUE, images=[replace(image, **changes), other]))
        return next(each.id for each in (await house.store.view()).images.values() if each.name == image.name)

    return stock


@pytest.mark.parametrize(("field", "enough"), [("least_memory_mib", 8192), ("least_disk_gib", 100)])
async def test_an_image_needs_a_machine_that_is_large_enough(book, stock_image, field, enough):
    await book(image_id=await stock_image(**{field: enough}))
    image_id = await stock_image(**{field: enough + 1})
    with pytest.raises(DoesNotFit) as caught:
        await book(image_id=image_id)
    assert caught.value.product == "plain"


async def test_an_image_needs_a_machine_of_its_architecture(book, stock_image):
    image_id = await stock_image(architecture="arm64")
    with pytest.raises(UnfitImage, match="arm64"):
        await book(image_id=image_id)


# --- key pairs of regions


@pytest.fixture
def add_key(house):
    """Imports a key pair of ours in a region and returns it."""

    async def add(name, region):
        caller = replace(house.caller(), region_id=await region_id(house, region))
        return (await house.core.create_key_pair(caller, name, KeyKind.ED25519, {})).pair

    return add


async def test_the_key_pair_of_the_machines_region_is_the_one(house, book, add_key):
    there, here = await add_key("laptop", "ap-1"), await add_key("laptop", "eu-1")
    assert (await book(key_name="laptop")).order.public_key == here.public_key
    assert (await book("nvidia-1060", key_name="laptop")).order.public_key == there.public_key


async def test_who_sees_all_regions_may_name_a_key_pair_of_any(book, add_key):
    there = await add_key("laptop", "ap-1")
    assert (await book(key_name="laptop")).order.public_key == there.public_key


async def test_who_sees_one_region_cannot_name_a_key_pair_of_another(house, add_key):
    await add_key("laptop", "ap-1")
    caller = replace(house.caller(), region_id=await region_id(house, "eu-1"))
    with pytest.raises(UnknownKeyPairs):
        await house.core.book(caller, Booking((await house.product("plain")).id, key_name="laptop"))


async def test_a_key_name_can_be_had_once_in_every_region(add_key):
    assert (await add_key("laptop", "ap-1")).id != (await add_key("laptop", "eu-1")).id
    with pytest.raises(KeyPairExists):
        await add_key("laptop", "eu-1")
