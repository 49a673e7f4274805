from dataclasses import replace

import pytest

from core.catalogue import RegionEntry, ZoneEntry
from core.errors import UnknownRegion
from core.instances import Power
from core.networks import block_of, is_host
from core.orders import Booking
from core.provision import is_provided, provide
from core.securitygroups import DEFAULT_NAME
from tests.contracts.store_contract import contents
from tests.fleetfixture import CATALOGUE

US = RegionEntry("us-1", "united-states")


async def ids_of(house):
    """Return the ids of regions and zones by name."""
    rows = await house.store.view()
    return {each.name: each.id for table in (rows.regions, rows.zones) for each in table.values()}


async def stock(house, **changes):
    await house.administration.set_catalogue(replace(CATALOGUE, **changes))


async def without_groups(house):
    """Let all machines be as they were before there were groups and networks."""
    rows = await house.store.view()
    made = [*rows.networks.values(), *rows.subnets.values(), *rows.security_groups.values()]

    def work(tx):
        for record in made:
            tx.drop(record)
        for machine in list(tx.state.instances.values()):
            tx.put(replace(machine, group_ids=(), private_address=""))

    await house.store.transact(work)


async def booked(house, slug="plain", **options):
    product = await house.product(slug)
    [machine] = (await house.core.book(house.caller(), Booking(product.id, **options))).instances
    return machine


# --- when it is made


async def test_an_account_has_no_network_before_it_needs_one(house):
    rows = await house.store.view()
    assert (rows.networks, rows.subnets, rows.security_groups) == ({}, {}, {})


async def test_looking_at_networks_makes_those_of_every_region(house):
    ids = await ids_of(house)
    fleet = await house.core.networked_fleet(house.caller())
    assert {network.region_id for network in fleet.networks()} == {ids["eu-1"], ids["ap-1"]}
    assert {subnet.zone_id for subnet in fleet.subnets()} == {ids["eu-1a"], ids["eu-1b"], ids["ap-1a"]}


async def test_looking_at_the_networks_of_a_region_makes_only_those(house):
    ids = await ids_of(house)
    caller = replace(house.caller(), region_id=ids["ap-1"])
    await house.core.networked_fleet(caller)
    rows = await house.store.view()
    assert [network.region_id for network in rows.networks.values()] == [ids["ap-1"]]


async def test_looking_again_commits_nothing(house):
    await house.core.networked_fleet(house.caller())
    before = (await house.store.view()).revision
    await house.core.networked_fleet(house.caller())
    assert (await house.store.view()).revision == before


async def test_a_booking_makes_the_network_of_its_region_alone(house):
    machine = await booked(house)
    rows = await house.store.view()
    assert {network.region_id for network in rows.networks.values()} == {rows.zones[machine.zone_id].region_id}


async def test_every_account_has_a_network_of_its_own(house):
    ours = await house.core.networked_fleet(house.caller())
    theirs = await house.core.networked_fleet(house.caller(house.theirs))
    assert {network.id for network in ours.networks()}.isdisjoint(network.id for network in theirs.networks())


# --- what is made


async def test_a_subnet_has_the_addresses_of_its_zone(house):
    fleet = await house.core.networked_fleet(house.caller())
    assert {subnet.block for subnet in fleet.subnets()} == {block_of(zone.id) for zone in fleet.zones()}


async def test_a_network_has_one_group_which_is_its_default(house):
    fleet = await house.core.networked_fleet(house.caller())
    assert [(group.name, group.is_default) for group in fleet.security_groups()] == [(DEFAULT_NAME, True)] * 2
    assert {group.network_id for group in fleet.security_groups()} == {network.id for network in fleet.networks()}


async def test_the_default_group_lets_its_own_machines_in(house):
    fleet = await house.core.networked_fleet(house.caller())
    for group in fleet.security_groups():
        assert any(rule.traffic.group_id == group.id for rule in group.rules)


async def test_no_two_rules_share_an_id(house):
    fleet = await house.core.networked_fleet(house.caller())
    ids = [rule.id for group in fleet.security_groups() for rule in group.rules]
    assert len(ids) == len(set(ids))


async def test_providing_again_changes_nothing(house):
    caller, ids = house.caller(), await ids_of(house)
    await house.core.networked_fleet(caller)
    before = contents(await house.store.view())
    network = await house.store.transact(lambda tx: provide(tx, caller.account_id, ids["eu-1"], house.clock.now()))
    assert network == before["networks"][network.id]
    assert contents(await house.store.view()) == before


# --- when the operator changes something


async def test_a_new_zone_completes_the_networks_of_its_region_when_they_are_needed(house):
    await house.core.networked_fleet(house.caller())
    before = await house.store.view()
    networks, subnets = dict(before.networks), dict(before.subnets)
    await stock(house, zones=[*CATALOGUE.zones, ZoneEntry("eu-1c", "eu-1", is_available=True)])
    ids, account_id = await ids_of(house), house.caller().account_id
    assert not is_provided(await house.store.view(), account_id, ids["eu-1"])
    fleet = await house.core.networked_fleet(house.caller())
    assert {subnet.zone_id for subnet in fleet.subnets()} - {each.zone_id for each in subnets.values()} == {
        ids["eu-1c"]
    }
    assert (await house.store.view()).networks == networks


async def test_a_new_region_has_a_network_when_it_is_needed(house):
    await house.core.networked_fleet(house.caller())
    zones = [*CATALOGUE.zones, ZoneEntry("us-1a", "us-1", is_available=True)]
    await stock(house, regions=[*CATALOGUE.regions, US], zones=zones)
    fleet = await house.core.networked_fleet(house.caller())
    assert [fleet.region_of(subnet.zone_id).name for subnet in fleet.subnets()].count("us-1") == 1


async def test_a_retired_zone_gets_no_subnet(house):
    await stock(house, zones=CATALOGUE.zones[:2], products=CATALOGUE.products[1:3])
    ids = await ids_of(house)
    fleet = await house.core.networked_fleet(house.caller())
    assert ids["ap-1a"] not in {subnet.zone_id for subnet in fleet.subnets()}


async def test_a_retired_region_gets_no_network_and_cannot_be_named(house):
    await stock(house, regions=CATALOGUE.regions[:1], zones=CATALOGUE.zones[:2], products=CATALOGUE.products[1:3])
    fleet = await house.core.networked_fleet(house.caller())
    assert len(fleet.networks()) == 1
    with pytest.raises(UnknownRegion) as caught:
        await house.core.region("ap-1")
    assert caught.value.known == ("eu-1",)


async def test_the_subnet_of_a_zone_outlives_it(house):
    machine = await booked(house, "nvidia-1060")
    await stock(house, zones=CATALOGUE.zones[:2], products=CATALOGUE.products[1:3])
    fleet = await house.core.networked_fleet(house.caller())
    assert fleet.subnet_in(machine.zone_id).zone_id == machine.zone_id


# --- machines from before there were groups


async def test_machines_from_before_groups_are_put_into_the_default_one(house):
    machine = await booked(house)
    await without_groups(house)
    await stock(house)
    rows = await house.store.view()
    group = rows.security_groups[rows.instances[machine.id].group_ids[0]]
    assert group.is_default
    assert rows.networks[group.network_id].region_id == rows.zones[machine.zone_id].region_id


async def test_machines_from_before_groups_have_private_addresses_of_their_zones(house):
    machines = [await booked(house) for _ in range(3)]
    await without_groups(house)
    await stock(house)
    found = [machine.private_address for machine in await house.machines()]
    assert len(set(found)) == 3
    assert all(is_host(address, block_of(machines[0].zone_id)) for address in found)


async def test_a_machine_from_before_groups_keeps_the_address_that_it_had(house):
    machine = await booked(house)
    await without_groups(house)
    await house.store.transact(lambda tx: tx.put(replace(tx.state.instances[machine.id], private_address="10.0.0.1")))
    await stock(house)
    assert [each.private_address for each in await house.machines()] == ["10.0.0.1"]


async def test_the_drivers_of_machines_from_before_groups_are_told(house):
    machine = await booked(house)
    await without_groups(house)
    await stock(house)
    assert (await house.store.view()).instances[machine.id].needs_work


async def test_a_machine_from_before_groups_has_a_subnet_although_its_zone_is_retired(house):
    machine = await booked(house, "nvidia-1060")
    await without_groups(house)
    await stock(house, zones=CATALOGUE.zones[:2], products=CATALOGUE.products[1:3])
    fleet = await house.core.fleet(house.caller())
    assert (
        fleet.subnet_in(machine.zone_id).network_id
        == fleet.groups_of(fleet.instances_by_id([machine.id])[0])[0].network_id
    )


async def test_machines_that_are_gone_are_left_as_they_were(house):
    machine = await booked(house)
    await without_groups(house)
    await house.core.terminate(house.caller(), [machine.id])
    await house.seen(Power.ABSENT)
    before = await house.machines()
    await stock(house)
    assert await house.machines() == before


async def test_stocking_up_again_changes_no_machine(house):
    await booked(house)
    before = contents(await house.store.view())
    await stock(house)
    assert contents(await house.store.view()) == before
