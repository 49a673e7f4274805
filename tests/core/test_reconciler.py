import asyncio
import time
from datetime import timedelta
from decimal import Decimal

import pytest

from core.billing import cost
from core.compute.simulated import SimulatedDriver, SimulatedSettings
from core.compute.site import Site
from core.errors import StoreUnavailable
from core.ids import InstanceId
from core.instances import (
    Cause,
    MetadataService,
    Options,
    Power,
    ShutdownBehaviour,
    State,
    Wanted,
    absorb,
    after_failure,
)
from core.networks import hardware_address
from core.orders import Status
from core.ports import DriverCode, LaunchSpec
from core.reconciler import Step, step_for
from tests.builders import a_launch_spec, an_instance
from tests.clocks import NOON, eventually
from tests.yard import AT_ONCE, NEVER, open_yard, running

SLOW_STOP = SimulatedSettings(boot_seconds=0, stop_seconds=3600)
PASSING = [DriverCode.UNAVAILABLE, DriverCode.TIMEOUT]
FINAL = [code for code in DriverCode if code not in (*PASSING, DriverCode.PORT)]
FOREIGN = InstanceId(999_999)


@pytest.fixture
async def yard(tmp_path):
    async with open_yard(tmp_path) as yard:
        yield yard


@pytest.fixture
async def slow_yard(tmp_path):
    """Nothing boots or shuts down by itself here."""
    async with open_yard(tmp_path, NEVER) as yard:
        yield yard


# --- launching


async def test_a_booked_machine_comes_up_with_its_addresses(yard):
    (id_,) = await yard.launched()
    machine = await yard.machine(id_)
    assert machine.state is State.RUNNING
    assert (machine.private_address, machine.public_address) == ("10.1.0.5", "127.0.0.1")
    assert await yard.status_of(id_) is Status.UNLIMITED


async def test_an_accepted_launch_shows_as_processing_until_it_has_booted(slow_yard):
    (id_,) = await slow_yard.launched()
    assert (await slow_yard.machine(id_)).state is State.PENDING
    assert await slow_yard.status_of(id_) is Status.PROCESSING


async def test_the_end_of_a_boot_is_noticed_by_its_event(tmp_path):
    async with open_yard(tmp_path, SimulatedSettings(boot_seconds=0.02)) as yard:
        (id_,) = await yard.book()
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.RUNNING)


async def test_every_machine_of_many_orders_comes_up(yard):
    ids = [id_ for _ in range(20) for id_ in await yard.book(10)]
    await yard.reconciler.settle()
    assert {(await yard.machine(id_)).state for id_ in ids} == {State.RUNNING}
    assert len(await yard.driver.observe_all()) == 200


async def test_a_machine_is_made_as_it_was_booked(tmp_path):
    specs = []

    class Noting(SimulatedDriver):
        async def ensure(self, spec):
            specs.append(spec)
            return await super().ensure(spec)

    async with open_yard(tmp_path, driver=Noting(AT_ONCE, Site(tmp_path))) as yard:
        (id_,) = await yard.launched(
            user_data=b"#!/bin/sh\n",
            wants_own_key=True,
            file_url="https://a.example/f",
            script_url="https://a.example/s",
            wants_password=True,
            private_address="10.1.0.77",
            extra_addresses=2,
            options=Options(hostname="web", is_source_checked=False, metadata=MetadataService(needs_token=True)),
        )
        order, machine, rows = await yard.order_of(id_), await yard.machine(id_), await yard.state()
        password = await yard.core.machines.password(yard.caller, id_)
        assert specs == [
            LaunchSpec(
                id=id_,
                hostname="web",
                image="debian-12",
                default_user="renter",
                vcpus=1,
                memory_mib=1024,
                disk_gib=10,
                ssh_port=machine.ssh_port,
                ssh_keys=(order.public_key,),
                user_data=b"#!/bin/sh\n",
                file_url="https://a.example/f",
                script_url="https://a.example/s",
                password=password,
                private_address="10.1.0.77",
                hardware_address=hardware_address(id_),
                public_addresses=tuple(address.address for address in rows.bound_to(id_)),
                groups=tuple(rows.security_groups.values()),
                is_source_checked=False,
                metadata=MetadataService(needs_token=True),
            )
        ]
        assert len(specs[0].public_addresses) == 2
        assert password


async def test_a_launch_costs_two_commits_and_a_boot_without_delay_one(tmp_path):
    async with open_yard(tmp_path) as yard:
        before = (await yard.state()).revision
        await yard.launched()
        assert (await yard.state()).revision == before + 2  # the booking, and RUNNING


async def test_looking_at_a_machine_at_rest_commits_nothing(yard):
    ids = await yard.launched(3)
    before = (await yard.state()).revision
    await yard.look_at(*ids)
    assert (await yard.state()).revision == before


# --- a launch that fails


@pytest.mark.parametrize("verb", ["ensure", "start"])
@pytest.mark.parametrize("code", FINAL)
async def test_a_launch_that_cannot_succeed_ends_and_frees_what_it_took(yard, verb, code):
    yard.driver.fail_next(verb, code)
    (id_,) = await yard.launched()
    machine = await yard.machine(id_)
    assert machine.state is State.TERMINATED
    assert machine.cause is (Cause.NO_CAPACITY if code is DriverCode.CAPACITY else Cause.LAUNCH_FAILED)
    assert await yard.status_of(id_) is Status.FAILED
    assert await yard.occupied() == 0
    assert (await yard.order_of(id_)).closed_at is not None
    assert await yard.driver.observe_all() == {}


async def test_the_renter_of_a_failed_launch_reads_a_reason_but_no_internals(yard):
    yard.driver.fail_next("ensure", DriverCode.INTERNAL)
    (id_,) = await yard.launched()
    assert (await yard.machine(id_)).detail == "The simulated backend refused this."


async def test_a_failed_launch_costs_nothing(yard):
    yard.driver.fail_next("ensure", DriverCode.INVALID)
    (id_,) = await yard.launched()
    assert cost(await yard.machine(id_), yard.clock.now()) == Decimal(0)


@pytest.mark.parametrize("verb", ["ensure", "start"])
@pytest.mark.parametrize("code", PASSING)
async def test_a_launch_survives_trouble_that_passes(yard, verb, code):
    yard.driver.fail_next(verb, code, times=2)
    (id_,) = await yard.launched()
    assert (await yard.machine(id_)).state is State.PENDING
    await yard.look_at(id_)
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.RUNNING
    assert len(await yard.driver.observe_all()) == 1


@pytest.mark.parametrize("verb", ["ensure", "start"])
@pytest.mark.parametrize("code", PASSING)
async def test_a_launch_is_given_up_when_trouble_lasts_too_long(tmp_path, verb, code):
    async with open_yard(tmp_path, launch_timeout_seconds=0) as yard:
        yard.driver.fail_next(verb, code)
        (id_,) = await yard.launched()
        assert (await yard.machine(id_)).has_failed
        assert await yard.occupied() == 0
        assert await yard.driver.observe_all() == {}


async def test_a_boot_that_never_ends_is_given_up(tmp_path):
    async with open_yard(tmp_path, NEVER, launch_timeout_seconds=0) as yard:
        (id_,) = await yard.launched()
        await yard.look_at(id_)
        machine = await yard.machine(id_)
        assert (machine.state, machine.cause) == (State.TERMINATED, Cause.LAUNCH_FAILED)
        assert machine.detail == "The machine did not come up within 0 seconds."


@pytest.mark.parametrize("boot_seconds", [0, 0.01])
async def test_a_crash_during_the_first_boot_is_a_failed_launch(tmp_path, boot_seconds):
    async with open_yard(tmp_path, SimulatedSettings(boot_seconds=boot_seconds, crash_rate=1)) as yard:
        (id_,) = await yard.book()
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.TERMINATED)
        assert (await yard.machine(id_)).cause is Cause.LAUNCH_FAILED
        assert await yard.status_of(id_) is Status.FAILED
        assert await yard.occupied() == 0


async def test_a_machine_that_vanishes_during_its_first_boot_is_a_failed_launch(slow_yard):
    (id_,) = await slow_yard.launched()
    slow_yard.driver.lose(id_)
    await slow_yard.look_at(id_)
    machine = await slow_yard.machine(id_)
    assert (machine.state, machine.cause, machine.has_failed) == (State.TERMINATED, Cause.LAUNCH_FAILED, True)


async def test_one_failed_machine_does_not_fail_its_order(yard):
    yard.driver.fail_next("ensure", DriverCode.CAPACITY)
    ids = await yard.launched(3)
    states = sorted([(await yard.machine(id_)).state for id_ in ids])
    assert states == [State.RUNNING, State.RUNNING, State.TERMINATED]
    assert await yard.status_of(ids[0]) is Status.UNLIMITED
    assert (await yard.order_of(ids[0])).closed_at is None
    assert await yard.occupied() == 2


async def test_trouble_is_tried_again_without_being_asked(tmp_path):
    async with open_yard(tmp_path, backoff_seconds=(0.0, 0.001)) as yard:
        yard.driver.fail_next("ensure", DriverCode.UNAVAILABLE, times=5)
        (id_,) = await yard.book()
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.RUNNING)


@pytest.mark.parametrize("code", DriverCode)
async def test_a_refused_end_is_tried_again_without_being_asked(tmp_path, code):
    async with open_yard(tmp_path, backoff_seconds=(0.001,)) as yard:
        (id_,) = await yard.launched()
        yard.driver.fail_next("stop", code)
        await yard.stop(id_)
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.STOPPED)
        yard.driver.fail_next("destroy", code)
        await yard.terminate(id_)
        await eventually(lambda: state.instances[id_].state is State.TERMINATED)


async def test_a_machine_in_back_off_obeys_its_renter_at_once(tmp_path):
    async with open_yard(tmp_path, backoff_seconds=(3600,)) as yard:
        yard.driver.fail_next("ensure", DriverCode.UNAVAILABLE)
        (id_,) = await yard.launched()
        await yard.terminate(id_)
        assert (await yard.machine(id_)).state is State.TERMINATED


# --- stopping and starting


async def test_a_stopped_machine_keeps_its_place_and_loses_its_public_address(yard):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    machine = await yard.machine(id_)
    assert machine.state is State.STOPPED
    assert (machine.private_address, machine.public_address) == ("10.1.0.5", "")
    assert await yard.status_of(id_) is Status.ON_HOLD
    assert await yard.occupied() == 1


async def test_a_stopped_machine_starts_again(yard):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    await yard.start(id_)
    machine = await yard.machine(id_)
    assert machine.state is State.RUNNING
    assert machine.public_address == "127.0.0.1"


async def test_a_stop_under_way_can_be_forced(tmp_path):
    async with open_yard(tmp_path, SLOW_STOP) as yard:
        (id_,) = await yard.launched()
        await yard.stop(id_)
        assert (await yard.machine(id_)).state is State.STOPPING
        await yard.stop(id_, is_forced=True)
        assert (await yard.machine(id_)).state is State.STOPPED


@pytest.mark.parametrize("code", DriverCode)
async def test_a_stop_is_tried_until_it_succeeds(yard, code):
    (id_,) = await yard.launched()
    yard.driver.fail_next("stop", code)
    await yard.stop(id_)
    assert (await yard.machine(id_)).state is State.STOPPING
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.STOPPED


@pytest.mark.parametrize("code", FINAL)
async def test_a_machine_that_cannot_be_started_again_stays_stopped_with_its_disk(yard, code):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    yard.driver.fail_next("start", code)
    await yard.start(id_)
    machine = await yard.machine(id_)
    assert machine.state is State.STOPPED
    assert machine.cause is (Cause.NO_CAPACITY if code is DriverCode.CAPACITY else Cause.LAUNCH_FAILED)
    assert machine.detail == "The simulated backend refused this."
    assert yard.driver.machine(id_).power is Power.STOPPED
    assert await yard.occupied() == 1


@pytest.mark.parametrize("code", PASSING)
async def test_a_start_survives_trouble_that_passes(yard, code):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    yard.driver.fail_next("start", code)
    await yard.start(id_)
    assert (await yard.machine(id_)).state is State.PENDING
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.RUNNING


async def test_a_machine_whose_start_was_given_up_can_be_started_later(yard):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    yard.driver.fail_next("start", DriverCode.CAPACITY)
    await yard.start(id_)
    await yard.start(id_)
    assert (await yard.machine(id_)).state is State.RUNNING


@pytest.mark.parametrize("boot_seconds", [0, 0.01])
async def test_a_crash_during_a_later_boot_leaves_the_machine_stopped(tmp_path, boot_seconds):
    draws = iter([1.0, 1.0, 0.0])  # the launch, the first boot, the second
    settings = SimulatedSettings(boot_seconds=boot_seconds, stop_seconds=0, crash_rate=0.5)
    driver = SimulatedDriver(settings, Site(tmp_path), chance=draws.__next__)
    async with open_yard(tmp_path, driver=driver) as yard:
        (id_,) = await yard.book()
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.RUNNING)
        await yard.stop(id_)
        await yard.start(id_)
        await eventually(lambda: state.instances[id_].cause is Cause.CRASH)
        assert (await yard.machine(id_)).state is State.STOPPED
        assert driver.machine(id_).power is Power.CRASHED


async def test_a_restart_has_as_much_time_as_the_launch_had(tmp_path):
    async with open_yard(tmp_path, launch_timeout_seconds=0.05) as yard:
        (id_,) = await yard.launched()
        launched_at = time.monotonic()
        await eventually(lambda: time.monotonic() - launched_at > 0.05)
        await yard.stop(id_)
        yard.driver.fail_next("start", DriverCode.UNAVAILABLE)
        await yard.start(id_)
        assert (await yard.machine(id_)).state is State.PENDING


# --- rebooting


async def test_a_machine_is_rebooted_once_and_goes_on_running(yard):
    (id_,) = await yard.launched()
    await yard.reboot(id_)
    await yard.look_at(id_)
    machine = await yard.machine(id_)
    assert (machine.state, machine.needs_reboot) == (State.RUNNING, False)
    assert yard.driver.machine(id_).reboots == 1


async def test_a_reboot_that_the_gateway_did_not_live_to_see_happens_after_its_restart(tmp_path):
    async with open_yard(tmp_path) as yard:
        (id_,) = await yard.launched()
    async with open_yard(tmp_path, is_running=False) as yard:
        await yard.core.reboot(yard.caller, [id_])
    async with open_yard(tmp_path) as yard:
        await eventually(lambda: yard.driver.machine(id_).reboots == 1)
        await yard.look_at(id_)
        assert yard.driver.machine(id_).reboots == 1


async def test_a_reboot_that_was_not_written_down_is_done_again(yard):
    (id_,) = await yard.launched()
    yard.driver.fail_next("reboot", DriverCode.TIMEOUT)  # done, but the answer is lost
    await yard.reboot(id_)
    await yard.look_at(id_)
    assert yard.driver.machine(id_).reboots == 2
    assert not (await yard.machine(id_)).needs_reboot


@pytest.mark.parametrize("code", FINAL)
async def test_a_reboot_that_cannot_be_done_is_dropped(yard, code):
    (id_,) = await yard.launched()
    yard.driver.fail_next("reboot", code)
    await yard.reboot(id_)
    machine = await yard.machine(id_)
    assert (machine.state, machine.needs_reboot) == (State.RUNNING, False)
    assert yard.driver.machine(id_).reboots == 0


async def test_a_reboot_asked_for_while_the_backend_is_down_waits_for_it(yard):
    (id_,) = await yard.launched()
    yard.driver.fail_next("reboot", DriverCode.UNAVAILABLE)
    await yard.reboot(id_)
    assert (await yard.machine(id_)).needs_reboot
    await yard.look_at(id_)
    assert yard.driver.machine(id_).reboots == 1


async def test_a_machine_that_went_down_before_its_reboot_does_not_reboot_when_started(yard):
    (id_,) = await yard.launched()
    yard.driver.fail_next("reboot", DriverCode.UNAVAILABLE)
    await yard.reboot(id_)
    yard.driver.crash(id_)
    await yard.look_at(id_)
    await yard.start(id_)
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.RUNNING
    assert yard.driver.machine(id_).reboots == 0


# --- terminating


async def test_terminating_the_last_machine_closes_the_order(yard):
    first, last = await yard.launched(2)
    await yard.terminate(first)
    assert (await yard.order_of(first)).closed_at is None
    yard.clock.advance(timedelta(minutes=5))
    await yard.terminate(last)
    assert (await yard.order_of(first)).closed_at == NOON + timedelta(minutes=5)
    assert await yard.occupied() == 0
    assert await yard.driver.observe_all() == {}


async def test_a_machine_can_be_terminated_while_it_boots(slow_yard):
    (id_,) = await slow_yard.launched()
    await slow_yard.terminate(id_)
    machine = await slow_yard.machine(id_)
    assert (machine.state, machine.cause, machine.has_failed) == (State.TERMINATED, Cause.USER, False)
    assert await slow_yard.driver.observe_all() == {}


async def test_a_machine_can_be_terminated_while_it_shuts_down(tmp_path):
    async with open_yard(tmp_path, SLOW_STOP) as yard:
        (id_,) = await yard.launched()
        await yard.stop(id_)
        await yard.terminate(id_)
        assert (await yard.machine(id_)).state is State.TERMINATED


@pytest.mark.parametrize("code", DriverCode)
async def test_a_destroy_is_tried_until_it_succeeds_and_holds_its_place_meanwhile(yard, code):
    (id_,) = await yard.launched()
    yard.driver.fail_next("destroy", code)
    await yard.terminate(id_)
    assert (await yard.machine(id_)).state is State.SHUTTING_DOWN
    assert await yard.occupied() == 1
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.TERMINATED
    assert await yard.occupied() == 0


async def test_a_machine_that_was_never_made_ends_once_the_backend_answers(yard):
    yard.driver.go_silent(True)
    (id_,) = await yard.launched()
    await yard.terminate(id_)
    assert (await yard.machine(id_)).state is State.SHUTTING_DOWN
    assert await yard.occupied() == 1
    yard.driver.go_silent(False)
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.TERMINATED
    assert await yard.occupied() == 0


async def test_a_terminated_machine_has_no_addresses_left(yard):
    (id_,) = await yard.launched()
    await yard.terminate(id_)
    machine = await yard.machine(id_)
    assert (machine.private_address, machine.public_address) == ("", "")


# --- what machines do by themselves


async def test_a_crashed_machine_is_stopped_and_not_started_blindly(yard):
    (id_,) = await yard.launched()
    yard.driver.crash(id_)
    await yard.look_at(id_)
    machine = await yard.machine(id_)
    assert (machine.state, machine.cause) == (State.STOPPED, Cause.CRASH)
    assert yard.driver.machine(id_).power is Power.CRASHED
    assert await yard.occupied() == 1


async def test_a_crashed_machine_can_be_started(yard):
    (id_,) = await yard.launched()
    yard.driver.crash(id_)
    await yard.look_at(id_)
    await yard.start(id_)
    assert (await yard.machine(id_)).state is State.RUNNING


async def test_a_shutdown_from_inside_stops_a_machine_that_is_to_stop(yard):
    (id_,) = await yard.launched(shutdown_behaviour=ShutdownBehaviour.STOP)
    yard.driver.shut_down_inside(id_)
    await yard.look_at(id_)
    machine = await yard.machine(id_)
    assert (machine.state, machine.cause) == (State.STOPPED, Cause.GUEST)


async def test_a_shutdown_from_inside_ends_a_machine_that_is_to_terminate(yard):
    (id_,) = await yard.launched(shutdown_behaviour=ShutdownBehaviour.TERMINATE)
    yard.driver.shut_down_inside(id_)
    await yard.look_at(id_)
    machine = await yard.machine(id_)
    assert (machine.state, machine.cause, machine.has_failed) == (State.TERMINATED, Cause.GUEST, False)
    assert yard.driver.machine(id_) is None
    assert (await yard.order_of(id_)).closed_at is not None


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_a_lost_machine_ends_and_frees_what_it_took(yard, is_stopped):
    (id_,) = await yard.launched()
    if is_stopped:
        await yard.stop(id_)
    yard.driver.lose(id_)
    await yard.look_at(id_)
    machine = await yard.machine(id_)
    assert (machine.state, machine.cause, machine.has_failed) == (State.TERMINATED, Cause.LOST, False)
    assert await yard.occupied() == 0
    assert await yard.status_of(id_) is Status.COMPLETED


async def test_an_event_is_enough_to_notice_a_crash(yard):
    (id_,) = await yard.launched()
    yard.driver.crash(id_)
    state = await yard.state()
    await eventually(lambda: state.instances[id_].state is State.STOPPED)


async def test_a_machine_that_somebody_started_behind_our_back_is_stopped_again(yard):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    await yard.driver.start(id_)
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.STOPPED
    assert yard.driver.machine(id_).power is Power.STOPPED


# --- a silent backend


@pytest.mark.parametrize("state", [State.RUNNING, State.STOPPED])
async def test_a_silent_backend_changes_nothing(yard, state):
    (id_,) = await yard.launched()
    if state is State.STOPPED:
        await yard.stop(id_)
    before = await yard.machine(id_)
    yard.driver.go_silent(True)
    await yard.look_at(id_)
    assert await yard.machine(id_) == before
    assert await yard.occupied() == 1


async def test_a_machine_that_is_to_end_holds_its_place_while_the_backend_is_silent(yard):
    (id_,) = await yard.launched()
    yard.driver.go_silent(True)
    await yard.terminate(id_)
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.SHUTTING_DOWN
    assert await yard.occupied() == 1


async def test_a_launch_waits_for_a_silent_backend_however_long(tmp_path):
    async with open_yard(tmp_path, launch_timeout_seconds=0) as yard:
        yard.driver.go_silent(True)
        (id_,) = await yard.launched()
        assert (await yard.machine(id_)).state is State.PENDING
        yard.driver.go_silent(False)
        await yard.look_at(id_)
        assert (await yard.machine(id_)).state is State.RUNNING


# --- a store that fails


async def test_a_launch_that_could_not_be_written_down_is_found_and_not_repeated(yard):
    (id_,) = await yard.book()
    async with yard.unwritable():
        await yard.reconciler.settle()
        assert yard.driver.machine(id_).power is Power.RUNNING
        assert (await yard.machine(id_)).observed is None
    await yard.look_at(id_)
    assert (await yard.machine(id_)).state is State.RUNNING
    assert len(await yard.driver.observe_all()) == 1


async def test_an_end_that_could_not_be_written_down_frees_nothing_until_it_is(yard):
    (id_,) = await yard.launched()
    await yard.core.terminate(yard.caller, [id_])
    async with yard.unwritable():
        await yard.reconciler.settle()
        assert yard.driver.machine(id_) is None
        assert await yard.occupied() == 1
    await yard.look_at(id_)
    assert await yard.occupied() == 0
    assert (await yard.machine(id_)).cause is Cause.USER


async def test_the_loop_goes_on_by_itself_once_the_store_can_be_written(tmp_path):
    async with open_yard(tmp_path, backoff_seconds=(0.001,)) as yard:
        async with yard.unwritable():
            with pytest.raises(StoreUnavailable):
                await yard.book()
            yard.driver.go_silent(True)
        (id_,) = await yard.book()
        async with yard.unwritable():
            yard.driver.go_silent(False)
            await eventually(lambda: yard.driver.machine(id_) is not None)
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.RUNNING)


# --- a restart of the gateway, and sweeps


async def test_what_was_booked_before_a_restart_comes_up_after_it(tmp_path):
    async with open_yard(tmp_path, is_running=False) as yard:
        ids = await yard.book(5)
    async with open_yard(tmp_path) as yard:
        state = await yard.state()
        await eventually(lambda: {state.instances[id_].state for id_ in ids} == {State.RUNNING})
        assert await yard.occupied() == 5


async def test_a_machine_made_just_before_the_gateway_died_is_adopted(tmp_path):
    async with open_yard(tmp_path, is_running=False) as yard:
        (id_,) = await yard.book()
        await yard.driver.ensure(a_launch_spec(id_))
    async with open_yard(tmp_path) as yard:
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.RUNNING)
        assert len(await yard.driver.observe_all()) == 1


@pytest.mark.parametrize(
    ("misfortune", "cause", "state_after"),
    [
        ("crash", Cause.CRASH, State.STOPPED),
        ("shut_down_inside", Cause.GUEST, State.STOPPED),
        ("lose", Cause.LOST, State.TERMINATED),
    ],
)
async def test_a_sweep_finds_what_happened_while_nobody_looked(tmp_path, misfortune, cause, state_after):
    async with open_yard(tmp_path) as yard:
        (id_,) = await yard.launched()
    async with open_yard(tmp_path, is_running=False) as yard:
        getattr(yard.driver, misfortune)(id_)
    async with open_yard(tmp_path) as yard:
        state = await yard.state()
        await eventually(lambda: state.instances[id_].cause is cause)
        assert (await yard.machine(id_)).state is state_after


async def test_sweeps_go_on(tmp_path):
    async with open_yard(tmp_path, sweep_seconds=0.01) as yard:
        (id_,) = await yard.launched()
        await yard.driver.stop(id_, force=True)  # a verb, so no event tells of it
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.STOPPED)


async def test_a_silent_backend_does_not_end_the_sweeps(tmp_path):
    class Counting(SimulatedDriver):
        looks = 0

        async def observe_all(self):
            self.looks += 1
            return await super().observe_all()

    async with open_yard(tmp_path, driver=Counting(AT_ONCE, Site(tmp_path)), sweep_seconds=0.001) as yard:
        yard.driver.go_silent(True)
        silent_from = yard.driver.looks
        await eventually(lambda: yard.driver.looks > silent_from + 2)


async def test_a_machine_without_a_row_is_counted_and_left_alone(tmp_path):
    async with open_yard(tmp_path, is_running=False) as yard:
        await yard.driver.ensure(a_launch_spec(FOREIGN))
    async with open_yard(tmp_path, sweep_seconds=0.01) as yard:
        await eventually(lambda: yard.reconciler.orphans == 1)
        assert yard.driver.machine(FOREIGN) is not None
        await yard.driver.destroy(FOREIGN)
        await eventually(lambda: yard.reconciler.orphans == 0)


async def test_a_machine_that_comes_to_be_after_its_end_is_destroyed(tmp_path):
    async with open_yard(tmp_path, sweep_seconds=0.01) as yard:
        (id_,) = await yard.launched()
        await yard.terminate(id_)
        before = await yard.machine(id_)
        await yard.driver.ensure(a_launch_spec(id_))
        await eventually(lambda: yard.driver.machine(id_) is None)
        assert await yard.machine(id_) == before


async def test_an_order_leaves_the_state_a_day_after_it_closed(tmp_path):
    async with open_yard(tmp_path, sweep_seconds=0.01) as yard:
        (gone, kept) = (*await yard.launched(), *await yard.launched())
        await yard.terminate(gone)
        yard.clock.advance(timedelta(hours=24, seconds=1))
        state = await yard.state()
        await eventually(lambda: gone not in state.instances)
        assert kept in state.instances


# --- the loop itself


async def test_waking_a_machine_twice_queues_it_once(tmp_path):
    async with open_yard(tmp_path, is_running=False) as yard:
        (id_,) = await yard.book()
        yard.reconciler.wake(iter([id_, id_]))
        assert yard.reconciler.queue_length == 1


async def test_the_lag_is_the_age_of_what_has_waited_longest(tmp_path):
    async with open_yard(tmp_path) as yard:
        await yard.launched()
        assert yard.reconciler.lag_seconds() == 0
        yard.driver.fail_next("ensure", DriverCode.UNAVAILABLE)
        (id_,) = await yard.launched()
        first = yard.reconciler.lag_seconds()
        await yard.launched()
        assert yard.reconciler.lag_seconds() > first > 0
        await yard.look_at(id_)
        assert yard.reconciler.lag_seconds() == 0


async def test_a_machine_is_never_in_two_rounds_at_once(tmp_path):
    at_once, most = set(), []

    class Watchful(SimulatedDriver):
        async def observe(self, instance_id):
            assert instance_id not in at_once
            at_once.add(instance_id)
            most.append(len(at_once))
            await asyncio.sleep(0)
            at_once.discard(instance_id)
            return await super().observe(instance_id)

    async with open_yard(tmp_path, driver=Watchful(AT_ONCE, Site(tmp_path)), workers=4) as yard:
        ids = await yard.book(20)
        for _ in range(50):
            yard.reconciler.wake(ids)
            await asyncio.sleep(0)
        await yard.reconciler.settle()
        assert {(await yard.machine(id_)).state for id_ in ids} == {State.RUNNING}
    assert max(most) == 4


async def test_what_is_asked_for_during_a_round_is_done_after_it(tmp_path):
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Halting(SimulatedDriver):
        async def start(self, instance_id):
            reached.set()
            await go_on.wait()
            return await super().start(instance_id)

    async with open_yard(tmp_path, driver=Halting(AT_ONCE, Site(tmp_path))) as yard:
        (id_,) = await yard.book()
        await reached.wait()
        await yard.core.terminate(yard.caller, [id_])
        go_on.set()
        await yard.reconciler.settle()
        assert (await yard.machine(id_)).state is State.TERMINATED
        assert yard.driver.machine(id_) is None


async def test_a_fault_in_one_machines_round_does_not_stop_the_others(tmp_path):
    class Faulty(SimulatedDriver):
        async def ensure(self, spec):
            if spec.id == 1:
                raise ZeroDivisionError
            return await super().ensure(spec)

    async with open_yard(tmp_path, driver=Faulty(AT_ONCE, Site(tmp_path)), workers=1) as yard:
        broken, sound = await yard.launched(2)
        assert (await yard.machine(broken)).state is State.PENDING
        assert (await yard.machine(sound)).state is State.RUNNING


async def test_a_driver_whose_events_fail_is_listened_to_again(tmp_path):
    class Hoarse(SimulatedDriver):
        failures = 2

        def events(self):
            if self.failures:
                self.failures -= 1
                raise ConnectionResetError
            return super().events()

    async with open_yard(tmp_path, driver=Hoarse(AT_ONCE, Site(tmp_path)), backoff_seconds=(0.001,)) as yard:
        (id_,) = await yard.launched()
        yard.driver.crash(id_)
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.STOPPED)
        assert yard.driver.failures == 0


async def test_the_loop_can_be_run_again_after_it_was_ended_in_the_middle(tmp_path):
    reached = asyncio.Event()

    class Hanging(SimulatedDriver):
        async def start(self, instance_id):
            if not reached.is_set():
                reached.set()
                await asyncio.Event().wait()
            return await super().start(instance_id)

    async with open_yard(tmp_path, is_running=False, driver=Hanging(AT_ONCE, Site(tmp_path))) as yard:
        (id_,) = await yard.book()
        async with running(yard.reconciler):
            await reached.wait()
        state = await yard.state()
        async with running(yard.reconciler):
            await eventually(lambda: state.instances[id_].state is State.RUNNING)
            await yard.reconciler.settle()


async def test_a_row_that_left_the_state_is_no_trouble(yard):
    await yard.look_at(FOREIGN)
    assert yard.reconciler.lag_seconds() == 0


# --- the rules


def test_seeing_what_is_known_is_no_news():
    running = an_instance(State.RUNNING, private_address="10.0.0.1", public_address="192.0.2.1")
    assert absorb(running, Power.RUNNING, NOON, private_address="10.0.0.1", public_address="192.0.2.1") is running


def test_an_address_that_the_driver_does_not_repeat_is_kept_while_the_machine_is_up():
    running = an_instance(State.RUNNING, private_address="10.0.0.1", public_address="192.0.2.1")
    assert absorb(running, Power.RUNNING, NOON) is running


@pytest.mark.parametrize("state", [State.RUNNING, State.STOPPING, State.STOPPED, State.SHUTTING_DOWN])
def test_giving_up_a_start_does_nothing_to_a_machine_that_is_not_coming_up(state):
    instance = an_instance(state)
    assert after_failure(instance, NOON, Cause.LAUNCH_FAILED, "") is instance


@pytest.mark.parametrize("power", [power for power in Power if power not in (Power.ABSENT, Power.UNKNOWN)])
def test_a_machine_that_is_to_end_is_destroyed_wherever_it_stands(power):
    assert step_for(an_instance(State.SHUTTING_DOWN), power) is Step.DESTROY


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING, State.STOPPED, State.SHUTTING_DOWN])
def test_nothing_is_done_to_a_machine_that_cannot_be_seen(state):
    assert step_for(an_instance(state), Power.UNKNOWN) is None


def test_a_machine_in_the_middle_of_something_is_left_to_finish_it():
    assert step_for(an_instance(State.PENDING), Power.CREATING) is None
    assert step_for(an_instance(State.PENDING), Power.STARTING) is None
    assert step_for(an_instance(State.STOPPING), Power.STOPPING) is None


def test_a_running_machine_that_restarts_goes_on_running_to_its_renter():
    running = an_instance(State.RUNNING)
    assert absorb(running, Power.STARTING, NOON) is running


def test_a_crash_while_a_running_machine_restarts_is_no_failed_launch():
    restarting = absorb(an_instance(State.RUNNING), Power.STARTING, NOON)
    crashed = absorb(restarting, Power.CRASHED, NOON)
    assert (crashed.wanted, crashed.cause, crashed.has_failed) == (Wanted.STOPPED, Cause.CRASH, False)


def test_a_running_machine_seen_shutting_down_has_been_shut_down_from_inside():
    seen = absorb(an_instance(State.RUNNING), Power.STOPPING, NOON)
    assert (seen.state, seen.cause) == (State.STOPPING, Cause.GUEST)


@pytest.mark.parametrize("observed", [None, Power.CREATING])
def test_a_machine_that_is_still_to_be_made_is_not_lost(observed):
    pending = an_instance(State.PENDING, observed=observed)
    assert absorb(pending, Power.ABSENT, NOON) is pending
    assert step_for(pending, Power.ABSENT) is Step.MAKE


def test_a_machine_being_made_is_not_taken_for_one_that_went_down():
    making = an_instance(State.PENDING, observed=Power.CREATING)
    made = absorb(making, Power.STOPPED, NOON)
    assert made.state is State.PENDING
    assert step_for(made, Power.STOPPED) is Step.START
