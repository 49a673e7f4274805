from dataclasses import replace

import pytest

from core.errors import UnknownInstances
from core.ids import InstanceId
from core.tags import Resource, ResourceKind
from tests.yard import open_yard


@pytest.fixture
async def yard(tmp_path):
    async with open_yard(tmp_path) as opened:
        yield opened


async def test_a_machine_sees_itself_and_all_that_belongs_to_it(yard):
    [machine] = await yard.launched()
    address = await yard.core.addresses.assign(yard.caller, machine)
    resource = Resource(yard.caller.account_id, ResourceKind.INSTANCE, machine)
    await yard.core.tag(yard.caller, [resource], {"role": "web"})
    view, state = await yard.core.selfviews.of(machine), await yard.state()
    assert view.instance == state.instances[machine]
    assert view.order == state.orders[view.instance.order_id]
    assert (view.product.slug, view.image.name) == ("small", "debian-12")
    assert (view.zone.name, view.region.name, view.subnet.block) == ("eu-1a", "eu-1", "10.1.0.0/16")
    assert view.network.id == view.subnet.network_id
    assert [group.name for group in view.groups] == ["default"]
    assert (view.addresses, view.public_address) == ((replace(address),), address.address)
    assert view.tags == {"role": "web"}


async def test_a_machine_without_an_address_of_its_own_is_reached_at_its_hosts(yard):
    [machine] = await yard.launched()
    assert (await yard.core.selfviews.of(machine)).public_address == (await yard.machine(machine)).public_address


@pytest.mark.parametrize("user_data", [b"", b"#!/bin/sh"])
async def test_a_machine_reads_its_orders_user_data_until_it_has_its_own(yard, user_data):
    [machine, other] = await yard.launched(2, user_data=user_data)
    assert await yard.core.selfviews.user_data(machine) == user_data
    assert (await yard.core.selfviews.of(machine)).has_user_data == bool(user_data)
    await yard.stop(machine)
    await yard.core.machines.set_user_data(yard.caller, machine, b"own")
    assert await yard.core.selfviews.user_data(machine) == b"own"
    assert await yard.core.selfviews.user_data(other) == user_data


async def test_a_machine_that_is_gone_or_never_was_sees_nothing(yard):
    [machine] = await yard.launched()
    await yard.terminate(machine)
    for unknown in (machine, InstanceId(4711)):
        with pytest.raises(UnknownInstances):
            await yard.core.selfviews.of(unknown)
        with pytest.raises(UnknownInstances):
            await yard.core.selfviews.user_data(unknown)
