from dataclasses import replace

import pytest

from core.booking import House, PortRange
from core.errors import (
    AddressBound,
    AddressInUse,
    IncorrectState,
    InvalidRequest,
    InvalidTag,
    LimitReached,
    NoAddressLeft,
    UnknownInstances,
    UnknownResource,
    UnknownZone,
)
from core.ids import AddressId, InstanceId, ZoneId
from core.instances import Power
from core.limits import Limits
from core.orders import MOST_EXTRA_ADDRESSES, Booking
from core.service.addresses import Addresses, Wish
from core.service.transactor import Transactor
from core.tags import ResourceKind
from tests.contracts.store_contract import contents

ROOM = 8  # addresses of each zone of the fixture


@pytest.fixture
def addresses(house):
    return house.core.addresses


@pytest.fixture
async def zones(house):
    return {zone.name: zone.id for zone in (await house.store.view()).zones.values()}


async def held(house, tenant):
    return list((await house.core.fleet(tenant.caller)).addresses())


async def on(house, tenant, index=0):
    """Return the addresses that one of the tenant's machines has."""
    return [each.address for each in (await house.store.view()).bound_to(tenant.ids[index])]


async def version(tenant, index=0):
    return (await tenant.machine(index)).version


async def test_an_address_of_another_region_cannot_be_bound_even_by_who_sees_both(house, ours, addresses, zones):
    before = await on(house, ours)
    address = await addresses.allocate(ours.caller, Wish(zone_id=zones["ap-1a"]))
    with pytest.raises(InvalidRequest, match="one of the machine's region, eu-1"):
        await addresses.associate(ours.caller, address.id, ours.ids[0], may_move=True)
    assert await on(house, ours) == before


# --- holding


async def test_an_address_is_of_the_pool_of_a_zone_of_the_region(house, ours, addresses):
    caller = replace(ours.caller, region_id=(await house.core.region("ap-1")).id)
    address = await addresses.allocate(caller, Wish())
    assert address.address.startswith("203.0.113.1")
    assert (await house.core.fleet(caller)).addresses() == [address]


async def test_the_zone_that_is_wanted_is_the_one(ours, addresses, zones):
    assert (await addresses.allocate(ours.caller, Wish(zone_id=zones["eu-1b"]))).zone_id == zones["eu-1b"]


async def test_the_next_zone_of_the_region_helps_out(ours, addresses, zones):
    for _ in range(ROOM - 1):  # one is held already
        await addresses.allocate(ours.caller, Wish())
    assert (await addresses.allocate(ours.caller, Wish())).zone_id == zones["eu-1b"]
    with pytest.raises(NoAddressLeft):
        await addresses.allocate(ours.caller, Wish(zone_id=zones["eu-1a"]))


async def test_the_address_that_is_wanted_is_the_one(ours, addresses):
    assert (await addresses.allocate(ours.caller, Wish(address="203.0.113.5"))).address == "203.0.113.5"
    for wanted in ("203.0.113.5", "203.0.113.16", "192.0.2.1", "nonsense"):
        with pytest.raises(NoAddressLeft):
            await addresses.allocate(ours.caller, Wish(address=wanted))


async def test_an_unknown_zone_is_refused(ours, addresses, zones):
    caller = replace(ours.caller, region_id=ours.region_id)
    for zone_id in (ZoneId(999), zones["ap-1a"]):
        with pytest.raises(UnknownZone):
            await addresses.allocate(caller, Wish(zone_id=zone_id))


async def test_no_two_accounts_hold_the_same_address(house, ours, theirs, addresses):
    for tenant in (ours, theirs) * 3:
        await addresses.allocate(tenant.caller, Wish())
    every = [each.address for tenant in (ours, theirs) for each in await held(house, tenant)]
    assert len(set(every)) == len(every) == 8


async def test_an_account_may_hold_only_so_many(house, ours):
    few = Addresses(
        Transactor(house.store, house.clock, house.woken.extend),
        House(PortRange(20_000, 39_999), Limits(addresses=2)),
    )
    await few.allocate(ours.caller, Wish())
    with pytest.raises(LimitReached):
        await few.allocate(ours.caller, Wish())


async def test_an_address_has_the_tags_that_it_was_wanted_with(house, ours, addresses):
    address = await addresses.allocate(ours.caller, Wish(tags=(("role", "web"),)))
    assert (await house.core.fleet(ours.caller)).tags(ResourceKind.ADDRESS, address.id) == {"role": "web"}


async def test_an_address_with_wrong_tags_is_not_held(house, ours, addresses):
    before = contents(await house.store.view())
    with pytest.raises(InvalidTag):
        await addresses.allocate(ours.caller, Wish(tags=(("aws:x", ""),)))
    assert contents(await house.store.view()) == before


# --- releasing


async def test_an_address_that_a_machine_has_cannot_be_released(ours, addresses):
    with pytest.raises(AddressInUse):
        await addresses.release(ours.caller, ours.address.id)


async def test_a_released_address_is_gone_with_its_tags_and_free_for_others(house, ours, theirs, addresses):
    await addresses.disassociate(ours.caller, ours.address.id)
    await addresses.release(ours.caller, ours.address.id)
    assert await held(house, ours) == []
    assert (await house.store.view()).tags_of(ours.resource(ResourceKind.ADDRESS)) == {}
    again = await addresses.allocate(theirs.caller, Wish(address=ours.address.address))
    assert again.id > theirs.address.id


async def test_releasing_twice_is_refused(ours, addresses):
    await addresses.disassociate(ours.caller, ours.address.id)
    await addresses.release(ours.caller, ours.address.id)
    with pytest.raises(UnknownResource):
        await addresses.release(ours.caller, ours.address.id)


# --- binding


async def test_a_bound_address_is_the_machines_and_its_driver_is_told(house, ours):
    assert await on(house, ours) == [ours.address.address]
    assert (await ours.machine()).needs_work


async def test_the_reconciler_is_woken_for_the_machine_that_loses_an_address_and_the_one_that_gets_it(
    house, ours, addresses
):
    before = [await version(ours, index) for index in (0, 1)]
    await addresses.associate(ours.caller, ours.address.id, ours.ids[1], may_move=True)
    assert [await on(house, ours, index) for index in (0, 1)] == [[], [ours.address.address]]
    assert set(house.woken) == set(ours.ids)
    assert [await version(ours, index) for index in (0, 1)] == [number + 1 for number in before]


async def test_an_address_does_not_move_unless_it_may(ours, addresses):
    with pytest.raises(AddressBound):
        await addresses.associate(ours.caller, ours.address.id, ours.ids[1], may_move=False)


async def test_associating_again_writes_nothing(house, ours, addresses):
    revision = (await house.store.view()).revision
    again = await addresses.associate(ours.caller, ours.address.id, ours.ids[0], may_move=False)
    assert again == ours.address
    assert (await house.store.view()).revision == revision


async def test_every_binding_has_an_association_of_its_own(ours, addresses):
    seen = {ours.address.association_id}
    for index in (1, 0, 1):
        moved = await addresses.associate(ours.caller, ours.address.id, ours.ids[index], may_move=True)
        seen.add(moved.association_id)
    assert len(seen) == 4


async def test_the_addresses_of_a_machine_are_in_the_order_in_which_they_were_bound(house, ours, addresses):
    first, second = [await addresses.allocate(ours.caller, Wish()) for _ in range(2)]
    for address in (second, first):
        await addresses.associate(ours.caller, address.id, ours.ids[1], may_move=False)
    assert await on(house, ours, 1) == [second.address, first.address]


async def test_a_disassociated_address_is_still_held(house, ours, addresses):
    await addresses.disassociate(ours.caller, ours.address.id)
    [address] = await held(house, ours)
    assert (address.address, address.instance_id, address.association_id) == (ours.address.address, None, None)
    assert await on(house, ours) == []
    assert house.woken == [ours.ids[0]]


async def test_disassociating_again_changes_nothing(house, ours, addresses):
    await addresses.disassociate(ours.caller, ours.address.id)
    before = contents(await house.store.view())
    await addresses.disassociate(ours.caller, ours.address.id)
    assert contents(await house.store.view()) == before


async def test_nothing_is_bound_to_a_machine_that_has_ended(house, ours, addresses):
    address = await addresses.allocate(ours.caller, Wish())
    await house.core.terminate(ours.caller, ours.ids)
    with pytest.raises(IncorrectState):
        await addresses.associate(ours.caller, address.id, ours.ids[1], may_move=False)
    with pytest.raises(IncorrectState):
        await addresses.assign(ours.caller, ours.ids[1])


async def test_an_address_can_be_taken_from_a_machine_that_is_on_its_way_out(house, ours, addresses):
    await house.core.terminate(ours.caller, ours.ids)
    await addresses.disassociate(ours.caller, ours.address.id)
    assert await on(house, ours) == []


@pytest.mark.parametrize("state", [Power.STOPPED, Power.STOPPING])
async def test_a_machine_that_is_down_can_have_addresses(house, ours, addresses, state):
    await house.seen(state, ours.ids)
    address = await addresses.allocate(ours.caller, Wish())
    assert (await addresses.associate(ours.caller, address.id, ours.ids[1], may_move=False)).instance_id == ours.ids[1]


async def test_what_is_not_there_cannot_be_bound(ours, addresses):
    with pytest.raises(UnknownResource):
        await addresses.associate(ours.caller, AddressId(999), ours.ids[0], may_move=True)
    with pytest.raises(UnknownInstances):
        await addresses.associate(ours.caller, ours.address.id, InstanceId(999), may_move=True)


# --- addresses that go with a machine


async def test_an_assigned_address_is_of_the_machines_zone_and_goes_with_it(house, ours, addresses):
    address = await addresses.assign(ours.caller, ours.ids[0])
    assert (address.zone_id, address.instance_id) == ((await ours.machine()).zone_id, ours.ids[0])
    assert address.goes_with_machine
    assert await on(house, ours) == [ours.address.address, address.address]
    assert house.woken == [ours.ids[0]]


async def test_an_address_that_moves_from_its_machine_no_longer_goes_with_it(house, ours, addresses):
    address = await addresses.assign(ours.caller, ours.ids[0])
    await addresses.disassociate(ours.caller, address.id)
    [_, kept] = await held(house, ours)
    assert not kept.goes_with_machine


async def test_an_unassigned_address_is_given_back(house, ours, addresses):
    address = await addresses.assign(ours.caller, ours.ids[0])
    house.woken.clear()
    await addresses.unassign(ours.caller, address.id)
    assert await held(house, ours) == [ours.address]
    assert house.woken == [ours.ids[0]]


async def test_a_machine_can_have_only_so_many(house, ours, theirs, addresses):
    caller, product = ours.caller, await house.product("nvidia-titanxp")
    [machine] = (await house.core.book(caller, Booking(product.id))).instances
    for number in range(MOST_EXTRA_ADDRESSES):
        address = await addresses.allocate(caller, Wish(address=f"203.0.113.{8 + number}"))
        await addresses.associate(caller, address.id, machine.id, may_move=False)
    with pytest.raises(LimitReached) as caught:
        await addresses.assign(caller, machine.id)
    assert caught.value.most == MOST_EXTRA_ADDRESSES
    with pytest.raises(LimitReached):
        await addresses.associate(caller, ours.address.id, machine.id, may_move=True)


async def test_assigning_is_refused_where_the_zone_has_no_address_left(house, ours, addresses, zones):
    while True:
        try:
            await addresses.allocate(ours.caller, Wish(zone_id=zones["eu-1b"]))
        except NoAddressLeft:
            break
    before = contents(await house.store.view())
    with pytest.raises(NoAddressLeft):
        await addresses.assign(ours.caller, ours.ids[1])
    assert contents(await house.store.view()) == before
