"""The reconciler with machines that were changed: what drivers are told, how often, and what is left of machines."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from core.compute.simulated import SimulatedDriver, SimulatedSettings
from core.compute.site import Site
from core.errors import LimitReached
from core.instances import (
    STANDARD_OPTIONS,
    Cause,
    MetadataService,
    Options,
    Power,
    ShutdownBehaviour,
    State,
    Wanted,
    absorb,
    after_reinstall,
    with_news,
)
from core.limits import Limits
from core.networks import block_of
from core.ports import DriverCode, DriverError
from core.reconciler import Step, step_for
from core.securitygroups import Traffic, spelled
from core.service.addresses import Wish
from core.service.groups import WantedRule
from core.tags import Resource, ResourceKind
from tests.builders import a_launch_spec, an_instance
from tests.clocks import NOON, eventually
from tests.yard import AT_ONCE, open_yard

PASSING = [DriverCode.UNAVAILABLE, DriverCode.TIMEOUT]
FINAL = [code for code in DriverCode if code not in (*PASSING, DriverCode.PORT)]
HTTP = Traffic(is_egress=False, protocol="tcp", first_port=80, last_port=80, block="0.0.0.0/0")
KEPT = replace(STANDARD_OPTIONS, keeps_disk=True)


class Noting(SimulatedDriver):
    """Notes with which specs it was told to update and to rebuild machines."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.updates, self.rebuilds = [], []

    async def update(self, spec):
        self.updates.append(spec)
        return await super().update(spec)

    async def rebuild(self, spec):
        self.rebuilds.append(spec)
        return await super().rebuild(spec)


@pytest.fixture
async def yard(tmp_path):
    async with open_yard(tmp_path, driver=Noting(AT_ONCE, Site(tmp_path))) as yard:
        yield yard


def named(name):
    return lambda options: replace(options, hostname=name)


async def rename(yard, id_, name):
    await yard.core.machines.set_options(yard.caller, id_, named(name))


async def default_group(yard):
    (group,) = (await yard.state()).security_groups.values()
    return group


async def image_named(yard, name):
    return next(image.id for image in (await yard.state()).images.values() if image.name == name)


async def large(yard):
    return next(product.id for product in (await yard.state()).products.values() if product.slug == "large")


# --- what a driver is told


async def new_group(yard, id_):
    group = await yard.core.groups.create(yard.caller, "web", "", {})
    await yard.core.machines.set_groups(yard.caller, id_, [group.id])


async def bind_address(yard, id_):
    address = await yard.core.addresses.allocate(yard.caller, Wish())
    await yard.core.addresses.associate(yard.caller, address.id, id_, may_move=False)


async def authorize(yard, _):
    await yard.core.groups.authorize(yard.caller, (await default_group(yard)).id, [WantedRule(HTTP)], {})


CHANGES = {
    "hostname": lambda yard, id_: rename(yard, id_, "web"),
    "metadata": lambda yard, id_: yard.core.machines.set_options(
        yard.caller, id_, lambda options: replace(options, metadata=MetadataService(needs_token=True))
    ),
    "is_source_checked": lambda yard, id_: yard.core.machines.set_options(
        yard.caller, id_, lambda options: replace(options, is_source_checked=False)
    ),
    "password": lambda yard, id_: yard.core.machines.set_password(yard.caller, id_),
    "groups": authorize,
    "groups of the machine": new_group,
    "public_addresses": bind_address,
    "public_addresses of the zone": lambda yard, id_: yard.core.addresses.assign(yard.caller, id_),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_driver_is_told_of_a_change_once(yard, change):
    (id_,) = await yard.launched()
    await CHANGES[change](yard, id_)
    await yard.reconciler.settle()
    await yard.look_at(id_)
    (spec,) = yard.driver.updates
    name = change.split(" ")[0]
    assert getattr(spec, name) != getattr(a_launch_spec(id_, groups=(await original(yard),)), name)
    machine = await yard.machine(id_)
    assert (machine.state, machine.needs_work) == (State.RUNNING, False)


async def original(yard):
    """Return the default group as it was before anything was changed."""
    group = next(group for group in (await yard.state()).security_groups.values() if group.is_default)
    return replace(group, rules=tuple(rule for rule in group.rules if rule.traffic != HTTP))


async def test_a_change_that_concerns_no_driver_is_told_to_none(yard):
    (id_,) = await yard.launched()
    await yard.core.machines.set_options(yard.caller, id_, lambda _: Options(is_protected=True, is_monitored=True))
    await yard.core.machines.set_shutdown_behaviour(yard.caller, id_, ShutdownBehaviour.TERMINATE)
    await yard.look_at(id_)
    assert yard.driver.updates == []


async def test_user_data_of_a_machines_own_takes_the_place_of_its_orders(yard):
    first, second = await yard.launched(2, user_data=b"data")
    await yard.stop(first, second)
    await yard.core.machines.set_user_data(yard.caller, first, b"own")
    await rename(yard, second, "web")
    await yard.reconciler.settle()
    assert {spec.id: spec.user_data for spec in yard.driver.updates} == {first: b"own", second: b"data"}


async def test_the_password_that_a_driver_is_told_is_the_one_that_the_renter_reads(yard):
    (id_,) = await yard.launched()
    await yard.core.machines.set_password(yard.caller, id_)
    await yard.reconciler.settle()
    assert [spec.password for spec in yard.driver.updates] == [await yard.core.machines.password(yard.caller, id_)]


async def test_a_resized_machine_comes_up_in_its_new_size(yard):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    await yard.core.machines.resize(yard.caller, id_, await large(yard))
    await yard.reconciler.settle()
    assert (await yard.machine(id_)).state is State.STOPPED
    await yard.start(id_)
    machine = yard.driver.machine(id_)
    assert (machine.power, machine.vcpus, machine.memory_mib, machine.disk_gib) == (Power.RUNNING, 2, 2048, 20)


async def test_a_machine_that_is_resized_and_started_at_once_comes_up_in_its_new_size(yard):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    yard.driver.go_silent(True)
    await yard.core.machines.resize(yard.caller, id_, await large(yard))
    await yard.start(id_)
    yard.driver.go_silent(False)
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.RUNNING
    assert yard.driver.machine(id_).vcpus == 2


async def test_what_was_changed_before_a_machine_was_made_needs_no_telling_afterwards(yard):
    yard.driver.go_silent(True)
    (id_,) = await yard.launched()
    await rename(yard, id_, "web")
    yard.driver.go_silent(False)
    await yard.look_at(id_)
    assert yard.driver.machine(id_).hostname == "web"
    assert (await yard.machine(id_)).state is State.RUNNING
    assert yard.driver.updates == []


async def test_a_machine_is_told_of_a_change_when_it_has_come_up(tmp_path):
    async with open_yard(tmp_path, driver=Noting(SimulatedSettings(boot_seconds=0.02), Site(tmp_path))) as yard:
        (id_,) = await yard.launched()
        await rename(yard, id_, "web")
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.RUNNING and not state.instances[id_].needs_work)
        assert [spec.hostname for spec in yard.driver.updates] == ["web"]


async def test_every_machine_in_a_group_is_told_of_its_rules_once(yard):
    ids = await yard.launched(30)
    await authorize(yard, None)
    await yard.reconciler.settle()
    assert Counter(spec.id for spec in yard.driver.updates) == dict.fromkeys(ids, 1)
    assert all(spelled(HTTP) in yard.driver.machine(id_).firewall for id_ in ids)


async def test_a_machine_that_loses_its_address_to_another_is_told_as_well(yard):
    first, second = await yard.launched(2)
    address = await yard.core.addresses.allocate(yard.caller, Wish())
    for id_ in (first, second):
        await yard.core.addresses.associate(yard.caller, address.id, id_, may_move=True)
    await yard.reconciler.settle()
    assert yard.driver.machine(first).public_addresses == ()
    assert yard.driver.machine(second).public_addresses == (address.address,)


async def test_machines_from_before_groups_are_told_of_theirs_after_the_upgrade(tmp_path):
    async with open_yard(tmp_path) as yard:
        (id_,) = await yard.launched()
        await yard.driver.update(a_launch_spec(id_))
        bare = replace(await yard.machine(id_), group_ids=())
        await yard.store.transact(lambda tx: tx.put(bare))
    async with open_yard(tmp_path) as yard:
        await eventually(lambda: yard.driver.machine(id_).firewall != ())


# --- changes and rounds


async def test_a_change_made_while_a_round_runs_is_told_after_it(tmp_path):
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Halting(Noting):
        async def update(self, spec):
            reached.set()
            await go_on.wait()
            return await super().update(spec)

    async with open_yard(tmp_path, driver=Halting(AT_ONCE, Site(tmp_path))) as yard:
        (id_,) = await yard.launched()
        await rename(yard, id_, "first")
        await reached.wait()
        await rename(yard, id_, "second")
        go_on.set()
        await yard.reconciler.settle()
        assert [spec.hostname for spec in yard.driver.updates] == ["first", "second"]
        assert not (await yard.machine(id_)).needs_work


@pytest.mark.parametrize("verb", ["update", "rebuild"])
async def test_what_was_told_but_not_written_down_is_told_again(yard, verb):
    (id_,) = await yard.launched()
    if verb == "update":
        await rename(yard, id_, "web")
    else:
        await yard.core.machines.reinstall(yard.caller, id_, None)
    async with yard.unwritable():
        await yard.reconciler.settle()
        assert (await yard.machine(id_)).needs_work
    await yard.look_at(id_)
    machine = await yard.machine(id_)
    assert (machine.state, machine.needs_work) == (State.RUNNING, False)
    assert len(yard.driver.updates if verb == "update" else yard.driver.rebuilds) == 2


@pytest.mark.parametrize("verb", ["update", "rebuild"])
@pytest.mark.parametrize("code", FINAL)
async def test_a_driver_that_refuses_a_change_is_not_asked_for_ever(yard, verb, code):
    (id_,) = await yard.launched()
    yard.driver.fail_next(verb, code)
    if verb == "update":
        await rename(yard, id_, "web")
    else:
        await yard.core.machines.reinstall(yard.caller, id_, None)
    await yard.look_at(id_)
    await yard.look_at(id_)
    assert len(yard.driver.updates + yard.driver.rebuilds) == 1
    machine = await yard.machine(id_)
    assert (machine.state, machine.needs_work) == (State.RUNNING, False)
    assert yard.reconciler.lag_seconds() == 0


async def test_the_renter_is_told_once_that_a_change_could_not_be_made_and_why(yard):
    (id_,) = await yard.launched()
    yard.driver.fail_next("update", DriverCode.UNSUPPORTED)
    await rename(yard, id_, "web")
    await yard.look_at(id_)
    told = [each for each in await yard.core.history.events(yard.caller, id_) if "could not be made" in each.text]
    assert [each.reason for each in told] == ["The simulated backend refused this."]


@pytest.mark.parametrize("code", PASSING)
async def test_a_change_waits_for_trouble_that_passes(yard, code):
    (id_,) = await yard.launched()
    yard.driver.fail_next("update", code, times=2)
    await rename(yard, id_, "web")
    await yard.reconciler.settle()
    await yard.look_at(id_)
    assert (await yard.machine(id_)).needs_work
    await yard.look_at(id_)
    assert not (await yard.machine(id_)).needs_work
    assert yard.driver.machine(id_).hostname == "web"


async def test_a_change_that_the_gateway_did_not_live_to_tell_is_told_after_its_restart(tmp_path):
    async with open_yard(tmp_path) as yard:
        (id_,) = await yard.launched()
    async with open_yard(tmp_path, is_running=False) as yard:
        await rename(yard, id_, "web")
    async with open_yard(tmp_path) as yard:
        await eventually(lambda: yard.driver.machine(id_).hostname == "web")


async def test_a_refused_change_does_not_keep_a_later_one_from_being_told(yard):
    (id_,) = await yard.launched()
    yard.driver.fail_next("update", DriverCode.UNSUPPORTED)
    await rename(yard, id_, "first")
    await yard.reconciler.settle()
    await rename(yard, id_, "second")
    await yard.reconciler.settle()
    assert yard.driver.machine(id_).hostname == "second"


async def test_a_launch_does_not_wait_for_a_change_for_ever(tmp_path):
    async with open_yard(tmp_path, launch_timeout_seconds=0.05, backoff_seconds=(3600,)) as yard:
        yard.driver.fail_next("start", DriverCode.UNAVAILABLE)
        (id_,) = await yard.launched()
        yard.driver.fail_next("update", DriverCode.UNAVAILABLE, times=2)
        await rename(yard, id_, "web")
        await yard.reconciler.settle()
        tried_at = time.monotonic()
        await eventually(lambda: time.monotonic() - tried_at > 0.05)
        await yard.look_at(id_)
        assert (await yard.machine(id_)).state is State.RUNNING


async def test_what_is_no_longer_rented_is_not_changed(yard):
    (id_,) = await yard.launched()
    yard.driver.go_silent(True)
    await rename(yard, id_, "web")
    await yard.terminate(id_)
    yard.driver.go_silent(False)
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.TERMINATED
    assert yard.driver.updates == []


# --- reinstalling


async def test_a_reinstalled_machine_comes_up_with_its_new_image(yard):
    (id_,) = await yard.launched()
    before = await yard.machine(id_)
    await yard.core.machines.reinstall(yard.caller, id_, await image_named(yard, "ubuntu-24"))
    await yard.reconciler.settle()
    machine, after = yard.driver.machine(id_), await yard.machine(id_)
    assert (machine.image, machine.power, machine.generation) == ("ubuntu-24", Power.RUNNING, 1)
    assert (after.state, after.private_address) == (State.RUNNING, before.private_address)
    (spec,) = yard.driver.rebuilds
    assert (spec.image, spec.default_user, spec.generation) == ("ubuntu-24", "ubuntu", 1)


async def test_a_machine_that_is_reinstalled_twice_at_once_has_one_new_disk(yard):
    (id_,) = await yard.launched()
    yard.driver.go_silent(True)
    for _ in range(2):
        await yard.core.machines.reinstall(yard.caller, id_, None)
    yard.driver.go_silent(False)
    await yard.look_at(id_)
    assert [spec.generation for spec in yard.driver.rebuilds] == [2]


async def test_reinstalling_takes_over_every_other_change(yard):
    (id_,) = await yard.launched()
    yard.driver.go_silent(True)
    await rename(yard, id_, "web")
    await yard.core.machines.reinstall(yard.caller, id_, None)
    yard.driver.go_silent(False)
    await yard.look_at(id_)
    assert yard.driver.machine(id_).hostname == "web"
    assert yard.driver.updates == []


async def test_a_stopped_machine_that_is_reinstalled_stays_stopped(yard):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    await yard.core.machines.reinstall(yard.caller, id_, None)
    await yard.reconciler.settle()
    assert (await yard.machine(id_)).state is State.STOPPED
    assert yard.driver.machine(id_).power is Power.STOPPED


@pytest.mark.parametrize("behaviour", ShutdownBehaviour)
async def test_a_reinstallation_that_was_cut_short_is_not_taken_for_a_shutdown(tmp_path, behaviour):
    class Dying(Noting):
        async def rebuild(self, spec):
            is_first = not self.rebuilds
            seen = await super().rebuild(spec)
            if not is_first:
                return seen
            await self.stop(spec.id, force=True)  # it had the new disk, but did not come to start
            raise DriverError(DriverCode.TIMEOUT, "The backend died.")

    async with open_yard(tmp_path, driver=Dying(AT_ONCE, Site(tmp_path))) as yard:
        (id_,) = await yard.launched(shutdown_behaviour=behaviour)
        await yard.core.machines.reinstall(yard.caller, id_, None)
        await yard.reconciler.settle()
        assert yard.driver.machine(id_).power is Power.STOPPED
        await yard.look_at(id_)
        machine = await yard.machine(id_)
        assert (machine.state, machine.needs_work) == (State.RUNNING, False)
        assert yard.driver.machine(id_).power is Power.RUNNING


@pytest.mark.parametrize("behaviour", ShutdownBehaviour)
@pytest.mark.parametrize("code", [DriverCode.CAPACITY, DriverCode.IMAGE])
async def test_a_reinstallation_that_was_given_up_with_the_machine_down_leaves_it_stopped(tmp_path, behaviour, code):
    class Failing(Noting):
        async def rebuild(self, spec):
            await self.stop(spec.id, force=True)
            raise DriverError(code, "There is no room.")

    async with open_yard(tmp_path, driver=Failing(AT_ONCE, Site(tmp_path))) as yard:
        (id_,) = await yard.launched(shutdown_behaviour=behaviour)
        await yard.core.machines.reinstall(yard.caller, id_, None)
        await yard.reconciler.settle()
        machine = await yard.machine(id_)
        assert (machine.state, machine.detail, machine.public_address) == (State.STOPPED, "There is no room.", "")
        assert machine.cause is (Cause.NO_CAPACITY if code is DriverCode.CAPACITY else Cause.LAUNCH_FAILED)
        await yard.start(id_)
        assert (await yard.machine(id_)).state is State.RUNNING


async def test_a_reinstallation_that_was_given_up_with_the_machine_up_leaves_it_running(yard):
    (id_,) = await yard.launched()
    yard.driver.fail_next("rebuild", DriverCode.IMAGE)
    await yard.core.machines.reinstall(yard.caller, id_, None)
    await yard.reconciler.settle()
    machine = await yard.machine(id_)
    assert (machine.state, machine.cause, machine.needs_work) == (State.RUNNING, None, False)


async def test_a_machine_that_is_stopped_while_it_is_reinstalled_is_stopped_afterwards(yard):
    (id_,) = await yard.launched()
    yard.driver.go_silent(True)
    await yard.core.machines.reinstall(yard.caller, id_, None)
    await yard.stop(id_)
    yard.driver.go_silent(False)
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.STOPPED
    assert yard.driver.machine(id_).generation == 1


# --- addresses of machines that end


async def test_a_machine_has_its_addresses_until_it_is_gone(yard):
    (id_,) = await yard.launched(extra_addresses=1)
    await bind_address(yard, id_)
    yard.driver.fail_next("destroy", DriverCode.UNAVAILABLE)
    await yard.terminate(id_)
    assert len((await yard.state()).bound_to(id_)) == 2
    await yard.look_at(id_)
    assert (await yard.state()).bound_to(id_) == ()


async def test_what_goes_with_a_machine_is_released_with_it_and_what_was_bound_is_held_still(yard):
    (id_,) = await yard.launched(extra_addresses=2)
    await bind_address(yard, id_)
    (_, _, held) = (await yard.state()).bound_to(id_)
    await yard.terminate(id_)
    rows = await yard.state()
    assert rows.addresses == {held.id: replace(held, instance_id=None, association_id=None)}
    assert rows.addresses_taken.keys() == {held.address}


async def test_a_failed_launch_gives_its_addresses_back(yard):
    yard.driver.fail_next("ensure", DriverCode.CAPACITY)
    await yard.launched(extra_addresses=2)
    assert (await yard.state()).addresses == {}


async def test_the_private_address_of_a_machine_is_free_once_it_is_gone(yard):
    (id_,) = await yard.launched()
    address = (await yard.machine(id_)).private_address
    await yard.terminate(id_)
    assert (await yard.state()).private_addresses == set()
    (again,) = await yard.launched(private_address=address)
    assert (await yard.machine(again)).private_address == address
    assert address.startswith(block_of((await yard.machine(again)).zone_id).removesuffix("0.0/16"))


# --- disks that are kept


async def test_a_disk_is_kept_if_its_renter_said_so(yard):
    (id_,) = await yard.launched(options=KEPT)
    await yard.terminate(id_)
    rows, machine = await yard.state(), await yard.machine(id_)
    disk = rows.kept_disks[id_]
    assert (disk.account_id, disk.zone_id, disk.image_id) == (machine.account_id, machine.zone_id, machine.image_id)
    assert (disk.size_gib, disk.is_unwanted) == (10, False)
    assert yard.driver.disk(id_) is not None
    assert machine.state is State.TERMINATED


async def test_a_disk_that_nobody_wants_to_keep_ends_with_its_machine(yard):
    (id_,) = await yard.launched()
    await yard.terminate(id_)
    assert (await yard.state()).kept_disks == {}
    assert yard.driver.disk(id_) is None


async def test_what_was_last_said_about_a_disk_counts(yard):
    kept, gone = await yard.launched(2, options=KEPT)
    await yard.core.machines.set_options(yard.caller, gone, lambda _: STANDARD_OPTIONS)
    await yard.terminate(kept, gone)
    assert (await yard.state()).kept_disks.keys() == {kept}


async def test_an_end_that_was_not_written_down_keeps_the_disk_all_the_same(yard):
    (id_,) = await yard.launched(options=KEPT)
    await yard.core.terminate(yard.caller, [id_])
    async with yard.unwritable():
        await yard.reconciler.settle()
        assert yard.driver.machine(id_) is None
    await yard.look_at(id_)
    assert (await yard.state()).kept_disks.keys() == {id_}
    assert yard.driver.disk(id_) is not None


@pytest.mark.parametrize("end", ["fail", "lose", "never made"])
async def test_where_there_is_no_disk_none_is_kept(yard, end):
    if end == "fail":
        yard.driver.fail_next("start", DriverCode.INVALID)
    if end == "never made":
        yard.driver.go_silent(True)
    (id_,) = await yard.launched(options=KEPT)
    if end == "lose":
        yard.driver.lose(id_)
    if end == "never made":
        await yard.terminate(id_)
        yard.driver.go_silent(False)
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.TERMINATED
    assert (await yard.state()).kept_disks == {}
    assert yard.driver.disk(id_) is None


async def test_rows_and_driver_agree_about_the_disk_of_a_machine_whose_launch_was_not_written_down(yard):
    (id_,) = await yard.book(options=KEPT)
    async with yard.unwritable():
        await yard.reconciler.settle()
        assert yard.driver.machine(id_).power is Power.RUNNING
    await yard.terminate(id_)
    assert (id_ in (await yard.state()).kept_disks) is (yard.driver.disk(id_) is not None)


async def test_a_disk_that_is_kept_counts_once_before_and_after_the_end_of_its_machine(tmp_path):
    async with open_yard(tmp_path, limits=Limits(kept_disks=2)) as yard:
        (id_,) = await yard.launched(options=KEPT)
        await yard.terminate(id_)
        await yard.launched(options=KEPT)
        with pytest.raises(LimitReached) as caught:
            await yard.book(options=KEPT)
        assert caught.value.have == 2


async def test_a_deleted_disk_is_removed_at_the_driver_with_its_row_and_its_tags(yard):
    (id_,) = await yard.launched(options=KEPT)
    resource = Resource(yard.caller.account_id, ResourceKind.DISK, id_)
    await yard.core.tag(yard.caller, [resource], {"role": "data"})
    await yard.terminate(id_)
    await yard.core.machines.delete_disk(yard.caller, id_)
    await yard.reconciler.settle()
    rows = await yard.state()
    assert (rows.kept_disks, rows.tags_of(resource)) == ({}, {})
    assert yard.driver.disk(id_) is None


@pytest.mark.parametrize("code", DriverCode)
async def test_a_deleted_disk_is_removed_once_the_driver_does_it(yard, code):
    (id_,) = await yard.launched(options=KEPT)
    await yard.terminate(id_)
    yard.driver.fail_next("destroy", code)
    await yard.core.machines.delete_disk(yard.caller, id_)
    await yard.reconciler.settle()
    assert (await yard.state()).kept_disks.keys() == {id_}
    await yard.look_at(id_)
    assert (await yard.state()).kept_disks == {}


async def test_a_disk_can_be_deleted_long_after_its_order_left_the_state(tmp_path):
    async with open_yard(tmp_path, sweep_seconds=0.01) as yard:
        (id_,) = await yard.launched(options=KEPT)
        await yard.terminate(id_)
        yard.clock.advance(timedelta(hours=25))
        state = await yard.state()
        await eventually(lambda: id_ not in state.instances)
        await yard.core.machines.delete_disk(yard.caller, id_)
        await eventually(lambda: id_ not in state.kept_disks)
        assert yard.driver.disk(id_) is None


async def test_a_disk_whose_deletion_the_gateway_did_not_live_to_see_is_removed_after_its_restart(tmp_path):
    async with open_yard(tmp_path) as yard:
        (id_,) = await yard.launched(options=KEPT)
        await yard.terminate(id_)
    async with open_yard(tmp_path, is_running=False) as yard:
        await yard.core.machines.delete_disk(yard.caller, id_)
    async with open_yard(tmp_path) as yard:
        await eventually(lambda: yard.driver.disk(id_) is None)


async def test_a_machine_that_comes_back_after_its_end_does_not_take_its_kept_disk_along(yard):
    (id_,) = await yard.launched(options=KEPT)
    await yard.terminate(id_)
    await yard.driver.ensure(a_launch_spec(id_))
    await yard.look_at(id_)
    assert yard.driver.machine(id_) is None
    assert yard.driver.disk(id_) is not None


async def test_a_kept_disk_is_no_orphan(tmp_path):
    async with open_yard(tmp_path, sweep_seconds=0.01) as yard:
        (id_,) = await yard.launched(options=KEPT)
        await yard.terminate(id_)
        yard.clock.advance(timedelta(hours=25))
        state = await yard.state()
        await eventually(lambda: id_ not in state.instances)
        yard.reconciler.has_swept = False
        await eventually(lambda: yard.reconciler.has_swept)
        assert yard.reconciler.orphans == 0


async def test_the_console_is_the_drivers(yard):
    (id_,) = await yard.launched()
    assert b"debian-12 installed" in await yard.core.machines.console_log(yard.caller, id_)


# --- the rules

CHANGED = with_news(an_instance())
REINSTALLED = after_reinstall(an_instance(), an_instance().image_id)


@pytest.mark.parametrize("power", [Power.STOPPED, Power.CRASHED, Power.RUNNING])
@pytest.mark.parametrize("wanted", [Wanted.RUNNING, Wanted.STOPPED])
def test_what_stands_is_changed_before_it_goes_anywhere_else(power, wanted):
    assert step_for(replace(CHANGED, wanted=wanted, needs_reboot=True), power) is Step.UPDATE
    assert step_for(replace(with_news(REINSTALLED), wanted=wanted), power) is Step.REBUILD


@pytest.mark.parametrize("power", [Power.CREATING, Power.STARTING, Power.STOPPING, Power.UNKNOWN])
def test_what_is_on_its_way_is_not_changed(power):
    for row in (CHANGED, REINSTALLED):
        assert step_for(row, power) not in {Step.UPDATE, Step.REBUILD}


@pytest.mark.parametrize("power", Power)
def test_what_has_ended_is_not_changed(power):
    for row in (CHANGED, REINSTALLED):
        assert step_for(replace(row, wanted=Wanted.TERMINATED), power) in {Step.DESTROY, None}


def test_what_is_to_be_made_is_made_and_not_changed():
    for row in (CHANGED, REINSTALLED):
        assert step_for(replace(row, observed=None), Power.ABSENT) is Step.MAKE


@pytest.mark.parametrize("power", [Power.STOPPING, Power.STOPPED, Power.CRASHED, Power.STARTING])
def test_a_machine_that_is_down_for_its_new_disk_goes_on_running_to_its_renter(power):
    assert absorb(REINSTALLED, power, NOON) is REINSTALLED


@pytest.mark.parametrize("power", [Power.STOPPED, Power.CRASHED])
def test_a_machine_that_has_its_new_disk_and_goes_down_has_gone_down(power):
    rebuilt = replace(REINSTALLED, built=REINSTALLED.generation)
    assert absorb(rebuilt, power, NOON).state is State.STOPPED


def test_a_machine_that_vanishes_while_it_is_reinstalled_has_ended():
    assert absorb(REINSTALLED, Power.ABSENT, NOON).state is State.TERMINATED


def test_a_machine_that_is_to_stop_is_seen_stopped_although_its_new_disk_is_to_come():
    stopping = replace(REINSTALLED, wanted=Wanted.STOPPED)
    assert absorb(stopping, Power.STOPPED, NOON).state is State.STOPPED
