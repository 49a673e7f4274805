from dataclasses import replace

import pytest

from core.errors import UnknownInstances, UnknownResource
from core.fleet import Fleet
from core.ids import AddressId, KeyPairId, NetworkId, SecurityGroupId
from core.instances import VISIBLE_AFTER_END
from core.keypairs import KeyKind
from core.orders import Booking
from core.service.addresses import Wish
from core.tags import Resource, ResourceKind
from tests.builders import a_kept_disk

KINDS_OF_A_REGION = [kind for kind in ResourceKind if kind is not ResourceKind.IMAGE]


@pytest.fixture
async def regions(house):
    return {region.name: region.id for region in (await house.store.view()).regions.values()}


@pytest.fixture
async def elsewhere(house, ours, regions):
    """The tenant as it sees another region, in which it has one of most things too."""
    caller = replace(ours.caller, region_id=regions["ap-1"])
    product = await house.product("nvidia-1060")
    await house.core.book(caller, Booking(product.id, region_id=caller.region_id))
    await house.core.create_key_pair(caller, "laptop", KeyKind.ED25519, {})
    await house.core.addresses.allocate(caller, Wish())
    await house.core.groups.create(caller, "web", "", {})
    return caller


async def at(house, ours, region_id=None) -> Fleet:
    return await house.core.fleet(replace(ours.caller, region_id=region_id))


def things(fleet):
    """Return all that an account has, by kind."""
    return {
        "machines": {machine.id for machine in fleet.instances()},
        "networks": {network.id for network in fleet.networks()},
        "subnets": {subnet.id for subnet in fleet.subnets()},
        "groups": {group.id for group in fleet.security_groups()},
        "addresses": {address.id for address in fleet.addresses()},
        "disks": {disk.id for disk in fleet.kept_disks()},
        "key pairs": {pair.id for pair in fleet.key_pairs()},
    }


# --- regions


async def test_what_is_seen_of_all_regions_is_what_is_seen_of_each(house, ours, elsewhere, regions):
    every = things(await at(house, ours))
    here, there = [things(await at(house, ours, region_id)) for region_id in regions.values()]
    for kind, ids in every.items():
        assert ids == here[kind] | there[kind]
        assert not here[kind] & there[kind]
    assert all(here.values())
    assert all(ids for kind, ids in there.items() if kind != "disks")


@pytest.mark.parametrize("kind", KINDS_OF_A_REGION)
async def test_a_thing_is_there_in_its_own_region_only(house, ours, regions, kind):
    number = ours.numbers[kind]
    assert (await at(house, ours, ours.region_id)).has(kind, number)
    assert not (await at(house, ours, regions["ap-1"])).has(kind, number)


async def test_an_image_is_there_in_every_region(house, ours, regions):
    for region_id in regions.values():
        assert (await at(house, ours, region_id)).has(ResourceKind.IMAGE, ours.numbers[ResourceKind.IMAGE])


async def test_tags_are_listed_in_the_region_of_what_they_are_on(house, ours, regions):
    here = await at(house, ours, ours.region_id)
    assert {tags.resource.kind for tags in here.tag_sets()} == set(ResourceKind)
    there = await at(house, ours, regions["ap-1"])
    assert {tags.resource.kind for tags in there.tag_sets()} == {ResourceKind.IMAGE}


async def test_products_are_those_with_a_place_in_the_region(house, ours, regions):
    names = {product.slug for product in (await at(house, ours, regions["ap-1"])).products()}
    assert names == {"nvidia-1060", "anywhere"}
    assert len((await at(house, ours)).products()) == 5


async def test_regions_and_zones_are_seen_from_everywhere(house, ours, regions):
    fleet = await at(house, ours, regions["ap-1"])
    assert [region.name for region in fleet.regions()] == ["eu-1", "ap-1"]
    assert [zone.name for zone in fleet.zones()] == ["eu-1a", "eu-1b", "ap-1a"]


async def test_what_a_caller_makes_is_made_in_its_region_also_if_it_sees_all(house, ours, regions):
    caller = replace(ours.caller, region_id=regions["ap-1"], sees_all_regions=True)
    assert (await house.core.home(caller)).name == "ap-1"
    pair = (await house.core.create_key_pair(caller, "there", KeyKind.ED25519, {})).pair
    assert pair.region_id == regions["ap-1"]
    assert set(things(await house.core.fleet(caller))["key pairs"]) == {ours.pair.id, pair.id}


async def test_who_names_no_region_makes_things_in_the_first(house, ours, regions):
    assert (await house.core.home(ours.caller)).name == "eu-1"
    assert ours.pair.region_id == regions["eu-1"]


# --- finding


async def test_what_is_not_there_is_not_found(house, ours, theirs):
    fleet = await at(house, ours)
    for find, ids in (
        (fleet.network, (NetworkId(999), theirs.network.id)),
        (fleet.security_group, (SecurityGroupId(999), theirs.group.id)),
        (fleet.address, (AddressId(999), theirs.address.id)),
    ):
        for id_ in ids:
            with pytest.raises(UnknownResource) as caught:
                find(id_)
            assert caught.value.name == id_


async def test_what_is_ones_own_is_found(house, ours):
    fleet = await at(house, ours, ours.region_id)
    assert fleet.network(ours.network.id) == ours.network
    assert fleet.security_group(ours.group.id) == ours.group
    assert fleet.address(ours.address.id) == ours.address
    assert fleet.network_in(ours.region_id) == ours.network
    assert fleet.subnet_in(ours.order.zone_id) == ours.subnet


async def test_what_is_in_another_region_is_not_found(house, ours, regions):
    fleet = await at(house, ours, regions["ap-1"])
    for find, id_ in (
        (fleet.network, ours.network.id),
        (fleet.security_group, ours.group.id),
        (fleet.address, ours.address.id),
    ):
        with pytest.raises(UnknownResource):
            find(id_)
    with pytest.raises(UnknownInstances):
        fleet.instances_by_id(ours.ids)


async def test_the_groups_of_a_machine_are_in_the_order_given_for_it(house, ours):
    default = next(group for group in (await at(house, ours)).security_groups() if group.is_default)
    for ids in ((ours.group.id, default.id), (default.id, ours.group.id)):
        await house.core.machines.set_groups(ours.caller, ours.ids[0], ids)
        assert tuple(group.id for group in (await at(house, ours)).groups_of(await ours.machine())) == ids


async def test_an_interface_and_a_disk_are_there_as_long_as_their_machine(house, ours):
    await ours.be_gone()
    fleet = await at(house, ours)
    assert fleet.has(ResourceKind.INSTANCE, ours.ids[0])
    assert not fleet.has(ResourceKind.INTERFACE, ours.ids[0])
    assert not fleet.has(ResourceKind.DISK, ours.ids[0])


async def test_a_disk_that_was_kept_outlives_its_machine(house, ours):
    await house.store.transact(
        lambda tx: tx.put(a_kept_disk(id=ours.ids[0], account_id=ours.caller.account_id, zone_id=ours.order.zone_id))
    )
    await ours.be_gone()
    house.clock.advance(2 * VISIBLE_AFTER_END)
    fleet = await at(house, ours)
    assert fleet.has(ResourceKind.DISK, ours.ids[0])
    assert [disk.id for disk in fleet.kept_disks()] == [ours.ids[0], ours.disk.id]
    assert not fleet.has(ResourceKind.INSTANCE, ours.ids[0])


@pytest.mark.parametrize("kind", ResourceKind)
async def test_what_cannot_be_seen_cannot_be_required_and_has_an_error_of_its_kind(house, ours, kind):
    fleet = await at(house, ours)
    fleet.require(ours.resource(kind))
    with pytest.raises(Exception, match="999") as caught:
        fleet.require(Resource(ours.caller.account_id, kind, 999))
    assert type(caught.value).__name__.startswith("Unknown")


async def test_key_pairs_come_in_order_of_id(house, ours, elsewhere):
    ids = [pair.id for pair in (await at(house, ours)).key_pairs()]
    assert ids == sorted(ids)
    assert KeyPairId(ours.pair.id) in ids
