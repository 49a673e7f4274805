"""The reconciler with what it meets on hosts: strangers on ports, machines that no row knows of, and why some crash."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from core.booking import PortRange
from core.compute.simulated import SimulatedDriver, SimulatedSettings
from core.compute.site import Site
from core.ids import InstanceId
from core.instances import STANDARD_OPTIONS, Cause, Power, State
from core.ports import DriverCode, DriverError
from core.reconciler import MOST_PORTS_IN_A_ROW, OrphanPolicy
from tests.builders import a_launch_spec
from tests.clocks import eventually
from tests.yard import AT_ONCE, open_yard, running

FOREIGN = InstanceId(999_999)
EVERYBODY = range(65_536)

# --- strangers on ports


class Crowded(SimulatedDriver):
    """On its host strangers have some ports; `row_ports` are those that rows had whenever it was told another one."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.strangers, self.starts, self.told = set(), 0, []
        self.before_start = None

    async def start(self, instance_id):
        self.starts += 1
        if self.before_start is not None:
            await self.before_start()
        port = self.machine(instance_id).ssh_port
        if port in self.strangers:
            raise DriverError(DriverCode.PORT, f"Port {port} is taken.")
        return await super().start(instance_id)

    async def update(self, spec):
        self.told.append(spec.ssh_port)
        return await super().update(spec)


@asynccontextmanager
async def crowded(path, first=20_000, last=20_009, **options):
    """A yard of ten ports."""
    async with open_yard(path, driver=Crowded(AT_ONCE, Site(path)), ports=PortRange(first, last), **options) as yard:
        yield yard


async def test_a_launch_whose_port_is_a_strangers_comes_up_on_the_next(tmp_path):
    async with crowded(tmp_path) as yard:
        yard.driver.strangers = {20_001, 20_002}
        (id_,) = await yard.launched()
        machine = await yard.machine(id_)
        assert (machine.state, machine.ssh_port) == (State.RUNNING, 20_003)
        assert yard.driver.machine(id_).ssh_port == 20_003
        assert yard.driver.told == [20_002, 20_003]
        assert (await yard.state()).ssh_ports == {20_003}


async def test_a_port_of_another_machine_is_passed_over_and_the_range_gone_round(tmp_path):
    async with crowded(tmp_path, last=20_002) as yard:
        other, id_ = await yard.launched(2)
        await yard.stop(id_)
        yard.driver.strangers = {20_002}
        await yard.start(id_)
        assert (await yard.machine(id_)).ssh_port == 20_000
        assert (await yard.machine(other)).ssh_port == 20_001


async def test_the_row_has_the_new_port_before_the_driver_hears_of_it(tmp_path):
    seen = []

    class Comparing(Crowded):
        async def update(self, spec):
            seen.append((spec.ssh_port, (await yard.machine(spec.id)).ssh_port))
            return await super().update(spec)

    async with open_yard(tmp_path, driver=Comparing(AT_ONCE, Site(tmp_path)), ports=PortRange(1, 9)) as yard:
        yard.driver.strangers = {2}
        await yard.launched()
    assert seen == [(3, 3)]


async def test_the_operator_reads_both_ports(tmp_path):
    async with crowded(tmp_path) as yard:
        yard.driver.strangers = {20_001}
        with capture_logs() as lines:
            (id_,) = await yard.launched()
    (line,) = [line for line in lines if line["log_level"] == "warning"]
    assert line["event"] == "ssh port 20001 is taken on the host by something else; the machine gets 20002"
    assert line["instance_id"] == id_


async def test_a_launch_without_another_port_ends_for_want_of_room(tmp_path):
    async with crowded(tmp_path, last=20_002) as yard:
        yard.driver.strangers = EVERYBODY
        (id_,) = await yard.launched()
        machine = await yard.machine(id_)
        assert (machine.state, machine.cause) == (State.TERMINATED, Cause.NO_CAPACITY)
        assert machine.detail == "No ssh port was found that is free on the host."
        assert yard.driver.starts == 3
        assert await yard.occupied() == 0


async def test_a_start_without_another_port_leaves_the_machine_stopped_and_may_be_asked_for_again(tmp_path):
    async with crowded(tmp_path, last=20_001) as yard:
        (id_,) = await yard.launched()
        await yard.stop(id_)
        yard.driver.strangers = EVERYBODY
        await yard.start(id_)
        machine = await yard.machine(id_)
        assert (machine.state, machine.cause) == (State.STOPPED, Cause.NO_CAPACITY)
        yard.driver.strangers = {machine.ssh_port}
        await yard.start(id_)
        assert (await yard.machine(id_)).state is State.RUNNING


async def test_ports_are_not_tried_for_ever(tmp_path):
    async with crowded(tmp_path, last=29_999) as yard:
        yard.driver.strangers = EVERYBODY
        (id_,) = await yard.launched()
        assert yard.driver.starts == MOST_PORTS_IN_A_ROW
        assert (await yard.machine(id_)).cause is Cause.NO_CAPACITY


async def test_a_machine_that_is_ended_while_its_port_is_refused_gets_no_other(tmp_path):
    async with crowded(tmp_path) as yard:
        yard.driver.strangers = EVERYBODY
        yard.driver.before_start = lambda: yard.core.terminate(yard.caller, [InstanceId(1)])
        (id_,) = await yard.launched()
        machine = await yard.machine(id_)
        assert (machine.state, machine.cause, machine.ssh_port) == (State.TERMINATED, Cause.USER, 20_001)


@pytest.mark.parametrize("verb", ["ensure", "rebuild", "update"])
async def test_a_port_may_be_refused_whenever_the_driver_hears_of_it(tmp_path, verb):
    async with crowded(tmp_path) as yard:
        yard.driver.fail_next(verb, DriverCode.PORT)
        (id_,) = await yard.launched()
        if verb == "rebuild":
            await yard.core.machines.reinstall(yard.caller, id_, None)
        if verb == "update":
            await yard.core.machines.configure_network(yard.caller, id_)
        await yard.reconciler.settle()
        machine = await yard.machine(id_)
        assert (machine.state, machine.ssh_port, machine.needs_work) == (State.RUNNING, 20_002, False)
        assert yard.driver.machine(id_).ssh_port == 20_002


# --- machines without rows


@asynccontextmanager
async def with_orphan(path, policy, spec=None):
    """A yard whose driver has a machine without a row; nothing is swept until it is run."""
    async with open_yard(path, is_running=False, sweep_seconds=3600, orphan_policy=policy) as yard:
        await yard.driver.ensure(spec or a_launch_spec(FOREIGN))
        yield yard


async def sweep(yard):
    """Sweep once, and do what comes of it."""
    async with running(yard.reconciler):
        await asyncio.sleep(0)  # it begins, and forgets that it has swept before
        await eventually(lambda: yard.reconciler.has_swept)
        await yard.reconciler.settle()


@pytest.mark.parametrize("policy", OrphanPolicy)
async def test_a_machine_without_a_row_is_left_alone_by_the_first_sweep_and_counted(tmp_path, policy):
    async with with_orphan(tmp_path, policy) as yard:
        with capture_logs() as lines:
            await sweep(yard)
        assert yard.driver.machine(FOREIGN) is not None
        assert yard.reconciler.orphans == 1
    assert [line["instance_id"] for line in lines] == [FOREIGN]


@pytest.mark.parametrize("policy", OrphanPolicy)
async def test_by_policy_it_is_removed_by_the_second_sweep(tmp_path, policy):
    async with with_orphan(tmp_path, policy) as yard:
        await sweep(yard)
        with capture_logs() as lines:
            await sweep(yard)
        is_removed = yard.driver.machine(FOREIGN) is None
        await sweep(yard)
        assert yard.reconciler.orphans == (0 if is_removed else 1)
    assert is_removed is (policy is OrphanPolicy.REMOVE)
    assert [line["event"] for line in lines] == (["a machine without a row was removed"] if is_removed else [])


async def test_a_machine_whose_row_has_appeared_meanwhile_is_not_removed(tmp_path):
    async with with_orphan(tmp_path, OrphanPolicy.REMOVE) as yard:
        await sweep(yard)
        await appear(yard)
        await sweep(yard)
        assert yard.driver.machine(FOREIGN) is not None


async def test_a_machine_whose_row_appears_once_it_is_to_be_removed_is_not(tmp_path):
    async with with_orphan(tmp_path, OrphanPolicy.REMOVE) as yard:
        await sweep(yard)
        yard.driver.fail_next("destroy", DriverCode.UNAVAILABLE)
        await sweep(yard)
        await appear(yard)
        async with running(yard.reconciler):
            await yard.look_at(FOREIGN)
        assert yard.driver.machine(FOREIGN) is not None


async def appear(yard):
    """Give the foreign machine a row, as if a booking had made it."""
    (id_,) = await yard.book()
    row = replace(await yard.machine(id_), id=FOREIGN, launch_index=1, ssh_port=50_000, private_address="10.1.9.9")
    await yard.store.transact(lambda tx: tx.put(row))


async def test_a_removal_that_is_refused_is_tried_again(tmp_path):
    async with with_orphan(tmp_path, OrphanPolicy.REMOVE) as yard:
        await sweep(yard)
        yard.driver.fail_next("destroy", DriverCode.UNAVAILABLE)
        await sweep(yard)
        assert yard.driver.machine(FOREIGN) is not None
        await sweep(yard)
        assert yard.driver.machine(FOREIGN) is None


async def test_a_sweep_that_sees_nothing_removes_nothing(tmp_path):
    async with with_orphan(tmp_path, OrphanPolicy.REMOVE) as yard:
        await sweep(yard)
        yard.driver.go_silent(True)
        with capture_logs() as lines:
            async with running(yard.reconciler):
                await eventually(lambda: lines)
        yard.driver.go_silent(False)
        assert yard.driver.machine(FOREIGN) is not None


async def test_a_disk_that_was_kept_outlives_the_machine_that_came_back(tmp_path):
    async with open_yard(tmp_path, is_running=False, sweep_seconds=3600, orphan_policy=OrphanPolicy.REMOVE) as yard:
        async with running(yard.reconciler):
            (id_,) = await yard.launched(options=replace(STANDARD_OPTIONS, keeps_disk=True))
            await yard.terminate(id_)
        yard.clock.advance(timedelta(hours=25))
        await sweep(yard)
        assert id_ not in (await yard.state()).instances
        assert yard.reconciler.orphans == 0
        await yard.driver.ensure(a_launch_spec(id_))
        await sweep(yard)
        await sweep(yard)
        assert yard.driver.machine(id_) is None
        assert yard.driver.disk(id_) is not None


# --- why machines crash


class Telling(SimulatedDriver):
    """Knows why its machines crash."""

    async def observe(self, instance_id):
        seen = await super().observe(instance_id)
        return replace(seen, detail="Its system panicked.") if seen.power is Power.CRASHED else seen


async def test_a_machine_that_crashed_tells_why_if_its_driver_knows(tmp_path):
    async with open_yard(tmp_path, driver=Telling(AT_ONCE, Site(tmp_path))) as yard:
        (id_,) = await yard.launched()
        yard.driver.crash(id_)
        await yard.look_at(id_)
        machine = await yard.machine(id_)
        assert (machine.state, machine.cause, machine.detail) == (State.STOPPED, Cause.CRASH, "Its system panicked.")


async def test_a_launch_that_crashed_tells_why_if_its_driver_knows(tmp_path):
    settings = SimulatedSettings(boot_seconds=0.01, stop_seconds=0, crash_rate=1)
    async with open_yard(tmp_path, driver=Telling(settings, Site(tmp_path))) as yard:
        (id_,) = await yard.launched()
        state = await yard.state()
        await eventually(lambda: state.instances[id_].state is State.TERMINATED)
        machine = await yard.machine(id_)
        assert (machine.cause, machine.detail) == (Cause.LAUNCH_FAILED, "Its system panicked.")
