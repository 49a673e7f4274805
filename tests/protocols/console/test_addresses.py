"""Public addresses: held, bound, given back."""

import pytest

from core.kinds import ResourceKind
from core.orders import Booking
from core.service.addresses import Wish
from core.tags import Resource
from protocols.ids import instance_id, spell

EVIL = '"><script>alert(1)</script>'


def path_of(address, verb):
    return f"addresses/{spell(ResourceKind.ADDRESS, address.id)}/{verb}"


async def held(house):
    return (await house.core.fleet(house.caller())).addresses()


async def test_an_address_is_held_in_a_zone_and_given_back(console, house):
    page = await console.done("addresses", {"zone": "ap-1a"})
    [address] = await held(house)
    assert address.address in page.text_of("tbody tr")
    asks = await console.post(path_of(address, "release"))
    assert address.address in asks.visible
    assert await held(house)
    await console.done(path_of(address, "release"), {"confirmed": "yes"})
    assert not await held(house)


@pytest.mark.parametrize("called", ["id", "number", "hostname", "name"])
async def test_an_address_is_bound_to_a_machine_however_that_is_called(console, house, ours, called):
    machine = await ours.machine(1)
    await house.core.tag(ours.caller, [Resource(machine.account_id, ResourceKind.INSTANCE, machine.id)], {"Name": "db"})
    words = {"id": instance_id(machine.id), "number": machine.id, "hostname": machine.hostname, "name": "db"}
    address = await house.core.addresses.allocate(ours.caller, Wish())
    page = await console.done(path_of(address, "bind"), {"machine": words[called]})
    assert "db" in page.message
    assert (await house.core.fleet(ours.caller)).address(address.id).instance_id == machine.id
    await console.done(path_of(address, "unbind"))
    assert (await house.core.fleet(ours.caller)).address(address.id).instance_id is None


async def test_a_bound_address_must_be_taken_off_first(console, ours):
    page = await console.post(path_of(ours.address, "release"), {"confirmed": "yes"})
    assert page.status == 422
    assert "bound to a machine" in page.problems[0]


async def test_a_machine_of_another_region_or_of_nobody_is_refused_at_the_field(console, house, ours):
    placed = await house.core.book(ours.caller, Booking((await house.product("nvidia-1060")).id))
    address = await house.core.addresses.allocate(ours.caller, Wish())
    for called in (instance_id(placed.instances[0].id), EVIL):
        page = await console.post(path_of(address, "bind"), {"machine": called})
        assert page.status == 422
        assert "eu-1" in page.problem("machine")
        assert page.value("machine") == called
        assert "<script>alert" not in page.text


async def test_two_machines_of_one_name_are_told_apart_by_id(console, house, ours):
    resources = [Resource(ours.caller.account_id, ResourceKind.INSTANCE, each) for each in ours.ids]
    await house.core.tag(ours.caller, resources, {"Name": "twin"})
    address = await house.core.addresses.allocate(ours.caller, Wish())
    page = await console.post(path_of(address, "bind"), {"machine": "twin"})
    assert "Several" in page.problem("machine")


async def test_a_zone_without_an_address_left_says_so(console, house):
    for _ in range(8):
        await console.done("addresses", {"zone": "ap-1a"})
    page = await console.post("addresses", {"zone": "ap-1a"})
    assert "no public address left" in page.problem("zone")
    assert (await console.post("addresses", {"zone": "moon"})).problem("zone")


@pytest.mark.parametrize("verb", ["bind", "unbind", "release"])
async def test_anothers_address_is_not_found(console, theirs, verb):
    fields = {"confirmed": "yes", "machine": "m1"}
    assert (await console.post(path_of(theirs.address, verb), fields)).status == 404
    assert (await console.post(f"addresses/eipalloc-0/{verb}", fields)).status == 404
    if verb == "bind":
        assert (await console.get(path_of(theirs.address, verb))).status == 404
    assert theirs.address.address not in (await console.get("addresses")).visible


async def test_anothers_machine_cannot_be_bound_to(console, house, ours, theirs):
    address = await house.core.addresses.allocate(ours.caller, Wish())
    assert (await console.post(path_of(address, "bind"), {"machine": instance_id(theirs.ids[0])})).problem("machine")
