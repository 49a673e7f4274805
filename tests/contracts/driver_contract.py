"""What every compute driver must do. A driver's test module subclasses `DriverContract` and provides `driver_factory`.

`driver_factory` is a fixture that returns an async function; each call opens a driver upon the same machines. Machines
1 to 3 are the contract's to make and destroy.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace

import pytest

from core.compute.drivers import DRIVERS
from core.ids import InstanceId
from core.instances import Power
from core.ports import ComputeDriver, DriverCode, DriverError, Observation, Sample, SerialConsole
from tests.builders import a_launch_spec, a_security_group

DriverFactory = Callable[[], Awaitable[ComputeDriver]]

ONE, TWO, THREE = InstanceId(1), InstanceId(2), InstanceId(3)

CONSOLE_LIMIT_BYTES = 64 * 1024
COUNTERS = [field.name for field in fields(Sample) if field.name not in {"id", "memory_used_mib"}]

# The first machine under another name, larger, and reachable by other ways; and with a new disk besides.
CHANGED = a_launch_spec(
    ONE,
    hostname="renamed",
    vcpus=2,
    memory_mib=2048,
    disk_gib=20,
    password="fresh",
    public_addresses=("203.0.113.1",),
    groups=(a_security_group(),),
    is_source_checked=False,
)
REBUILT = replace(CHANGED, generation=1)

_COMING_UP = {Power.STARTING, Power.RUNNING}
_GOING_DOWN = {Power.STOPPING, Power.STOPPED}


class DriverContract:
    """The suite. Give slow backends a larger `patience_seconds`."""

    patience_seconds = 10.0

    @pytest.fixture
    async def driver(self, driver_factory: DriverFactory) -> ComputeDriver:
        return await driver_factory()

    async def reach(self, driver: ComputeDriver, instance_id: InstanceId, power: Power) -> Observation:
        """Return the machine's observation once it is seen at the power."""
        async with asyncio.timeout(self.patience_seconds):
            while (seen := await driver.observe(instance_id)).power is not power:  # noqa: ASYNC110  events may be lost
                await asyncio.sleep(0.005)
        return seen

    async def stopped(self, driver: ComputeDriver, instance_id: InstanceId) -> Observation:
        """Return a fresh machine that was never started."""
        await driver.ensure(a_launch_spec(instance_id))
        return await self.reach(driver, instance_id, Power.STOPPED)

    async def running(self, driver: ComputeDriver, instance_id: InstanceId) -> Observation:
        """Return a fresh machine that runs."""
        await self.stopped(driver, instance_id)
        await driver.start(instance_id)
        return await self.reach(driver, instance_id, Power.RUNNING)

    def test_its_name_is_the_one_that_the_configuration_knows_it_by(self, driver):
        assert driver.name in DRIVERS

    # --- making

    async def test_a_machine_that_was_never_made_is_absent(self, driver):
        assert await driver.observe(ONE) == Observation(ONE, Power.ABSENT)

    async def test_a_new_machine_is_stopped(self, driver):
        seen = await driver.ensure(a_launch_spec(ONE))
        assert seen.power in {Power.CREATING, Power.STOPPED}
        assert (await self.reach(driver, ONE, Power.STOPPED)).id == ONE

    async def test_making_a_machine_again_leaves_it_as_it_is(self, driver):
        before = await self.running(driver, ONE)
        assert await driver.ensure(a_launch_spec(ONE)) == before
        assert await driver.observe(ONE) == before

    # --- starting

    async def test_a_started_machine_comes_up_with_the_address_that_it_was_given(self, driver):
        await self.stopped(driver, ONE)
        assert (await driver.start(ONE)).power in _COMING_UP
        seen = await self.reach(driver, ONE, Power.RUNNING)
        assert seen.private_address == a_launch_spec(ONE).private_address

    async def test_starting_twice_is_as_good_as_once(self, driver):
        await self.stopped(driver, ONE)
        await driver.start(ONE)
        assert (await driver.start(ONE)).power in _COMING_UP
        await self.reach(driver, ONE, Power.RUNNING)

    async def test_starting_what_runs_changes_nothing(self, driver):
        before = await self.running(driver, ONE)
        assert await driver.start(ONE) == before

    async def test_a_stopped_machine_can_be_started_again_under_its_address(self, driver):
        before = await self.running(driver, ONE)
        await driver.stop(ONE, force=True)
        await self.reach(driver, ONE, Power.STOPPED)
        await driver.start(ONE)
        after = await self.reach(driver, ONE, Power.RUNNING)
        assert after.private_address == before.private_address

    # --- stopping

    @pytest.mark.parametrize("force", [False, True])
    async def test_a_machine_that_is_stopped_goes_down(self, driver, force):
        await self.running(driver, ONE)
        assert (await driver.stop(ONE, force=force)).power in _GOING_DOWN
        await self.reach(driver, ONE, Power.STOPPED)

    @pytest.mark.parametrize("force", [False, True])
    async def test_stopping_what_is_stopped_changes_nothing(self, driver, force):
        before = await self.stopped(driver, ONE)
        assert await driver.stop(ONE, force=force) == before

    async def test_a_stop_under_way_may_be_repeated_and_forced(self, driver):
        await self.running(driver, ONE)
        await driver.stop(ONE, force=False)
        assert (await driver.stop(ONE, force=False)).power in _GOING_DOWN
        assert (await driver.stop(ONE, force=True)).power in _GOING_DOWN
        await self.reach(driver, ONE, Power.STOPPED)

    async def test_a_machine_that_is_coming_up_can_be_stopped(self, driver):
        await self.stopped(driver, ONE)
        await driver.start(ONE)
        await driver.stop(ONE, force=True)
        await self.reach(driver, ONE, Power.STOPPED)

    # --- rebooting

    async def test_a_rebooted_machine_runs_again(self, driver):
        await self.running(driver, ONE)
        assert (await driver.reboot(ONE)).power in _COMING_UP
        await self.reach(driver, ONE, Power.RUNNING)

    async def test_rebooting_what_is_stopped_does_not_start_it(self, driver):
        before = await self.stopped(driver, ONE)
        assert await driver.reboot(ONE) == before

    # --- destroying

    async def test_a_destroyed_machine_is_absent(self, driver):
        await self.running(driver, ONE)
        await driver.destroy(ONE)
        await self.reach(driver, ONE, Power.ABSENT)
        assert ONE not in await driver.observe_all()

    async def test_destroy_may_be_repeated(self, driver):
        await self.stopped(driver, ONE)
        await driver.destroy(ONE)
        await self.reach(driver, ONE, Power.ABSENT)
        assert (await driver.destroy(ONE)).power is Power.ABSENT

    async def test_a_machine_can_be_destroyed_before_it_is_up(self, driver):
        await driver.ensure(a_launch_spec(ONE))
        await driver.destroy(ONE)
        await self.reach(driver, ONE, Power.ABSENT)

    async def test_every_verb_reports_a_machine_that_is_not_there_as_absent(self, driver):
        absent = Observation(ONE, Power.ABSENT)
        assert await driver.start(ONE) == absent
        assert await driver.stop(ONE, force=False) == absent
        assert await driver.stop(ONE, force=True) == absent
        assert await driver.reboot(ONE) == absent
        assert await driver.update(CHANGED) == absent
        assert await driver.rebuild(REBUILT) == absent
        assert await driver.destroy(ONE, keeps_disk=True) == absent
        assert await driver.destroy(ONE) == absent

    # --- changing

    async def test_a_running_machine_that_is_changed_goes_on_running(self, driver):
        before = await self.running(driver, ONE)
        assert (await driver.update(CHANGED)).power is Power.RUNNING
        assert await driver.observe(ONE) == before

    async def test_a_stopped_machine_that_is_changed_stays_stopped_and_can_be_started(self, driver):
        await self.stopped(driver, ONE)
        assert (await driver.update(CHANGED)).power is Power.STOPPED
        await driver.start(ONE)
        await self.reach(driver, ONE, Power.RUNNING)

    async def test_a_machine_that_was_changed_while_it_ran_can_be_started_again(self, driver):
        await self.running(driver, ONE)
        await driver.update(CHANGED)
        await driver.stop(ONE, force=True)
        await self.reach(driver, ONE, Power.STOPPED)
        await driver.update(CHANGED)
        await driver.start(ONE)
        await self.reach(driver, ONE, Power.RUNNING)

    async def test_changing_again_changes_nothing(self, driver):
        await self.running(driver, ONE)
        before = await driver.update(CHANGED)
        assert await driver.update(CHANGED) == before

    async def test_a_change_of_one_machine_does_not_touch_another(self, driver):
        await self.stopped(driver, ONE)
        before = await self.running(driver, TWO)
        await driver.update(CHANGED)
        await driver.rebuild(REBUILT)
        assert await driver.observe(TWO) == before

    # --- giving it a new disk

    async def test_a_stopped_machine_that_is_rebuilt_stays_stopped_and_can_be_started(self, driver):
        await self.stopped(driver, ONE)
        await driver.rebuild(REBUILT)
        await self.reach(driver, ONE, Power.STOPPED)
        await driver.start(ONE)
        await self.reach(driver, ONE, Power.RUNNING)

    async def test_a_running_machine_that_is_rebuilt_comes_up_again_under_its_address(self, driver):
        before = await self.running(driver, ONE)
        await driver.rebuild(REBUILT)
        assert (await self.reach(driver, ONE, Power.RUNNING)).private_address == before.private_address

    async def test_rebuilding_again_for_the_same_generation_changes_nothing(self, driver):
        await self.running(driver, ONE)
        await driver.rebuild(REBUILT)
        before = await self.reach(driver, ONE, Power.RUNNING)
        assert await driver.rebuild(REBUILT) == before
        assert await driver.observe(ONE) == before

    async def test_a_machine_is_not_rebuilt_for_the_generation_that_it_was_made_for(self, driver):
        before = await self.running(driver, ONE)
        assert await driver.rebuild(a_launch_spec(ONE)) == before

    async def test_a_rebuild_is_remembered_when_the_driver_is_opened_anew(self, driver_factory):
        first = await driver_factory()
        await self.running(first, ONE)
        await first.rebuild(REBUILT)
        before = await self.reach(first, ONE, Power.RUNNING)
        await first.close()
        assert await (await driver_factory()).rebuild(REBUILT) == before

    # --- keeping the disk of what is destroyed

    async def test_a_machine_that_is_destroyed_but_for_its_disk_is_absent(self, driver):
        await self.running(driver, ONE)
        await driver.destroy(ONE, keeps_disk=True)
        await self.reach(driver, ONE, Power.ABSENT)
        assert ONE not in await driver.observe_all()

    async def test_destroying_all_but_the_disk_may_be_repeated(self, driver):
        await self.stopped(driver, ONE)
        await driver.destroy(ONE, keeps_disk=True)
        await self.reach(driver, ONE, Power.ABSENT)
        assert (await driver.destroy(ONE, keeps_disk=True)).power is Power.ABSENT

    async def test_a_disk_that_was_kept_can_be_removed_and_that_may_be_repeated(self, driver):
        await self.stopped(driver, ONE)
        await driver.destroy(ONE, keeps_disk=True)
        await self.reach(driver, ONE, Power.ABSENT)
        for _ in range(2):
            assert (await driver.destroy(ONE)).power is Power.ABSENT

    async def test_a_disk_that_was_kept_is_no_machine_when_the_driver_is_opened_anew(self, driver_factory):
        first = await driver_factory()
        await self.running(first, ONE)
        await first.destroy(ONE, keeps_disk=True)
        await self.reach(first, ONE, Power.ABSENT)
        await first.close()
        second = await driver_factory()
        assert await second.observe_all() == {}
        assert (await second.destroy(ONE)).power is Power.ABSENT

    # --- what it tells of machines

    async def test_a_machine_that_came_up_has_written_to_its_console(self, driver):
        await self.running(driver, ONE)
        async with asyncio.timeout(self.patience_seconds):
            while not (said := await driver.console_log(ONE)):  # noqa: ASYNC110  nothing announces it
                await asyncio.sleep(0.005)
        assert len(said) <= CONSOLE_LIMIT_BYTES

    async def test_the_console_of_a_machine_that_is_not_there_is_empty(self, driver):
        assert await driver.console_log(ONE) == b""

    async def test_only_machines_that_are_up_are_sampled(self, driver):
        await self.running(driver, ONE)
        await self.stopped(driver, TWO)
        assert [sample.id for sample in await driver.samples()] == [ONE]

    async def test_the_counters_of_a_machine_never_fall_while_it_is_up(self, driver):
        await self.running(driver, ONE)
        [before], [after] = await driver.samples(), await driver.samples()
        for name in COUNTERS:
            assert (getattr(after, name) or 0) >= (getattr(before, name) or 0)

    # --- its serial console, for drivers that have them

    async def open_console(self, driver: ComputeDriver, instance_id: InstanceId) -> SerialConsole | None:
        """Return an open console; None if the driver's machines have none."""
        try:
            return await driver.open_console(instance_id)
        except DriverError as error:
            if error.code is DriverCode.UNSUPPORTED:
                return None
            raise

    async def ends(self, console: SerialConsole) -> bool:
        """Whether the console ends, once all that is still to come has been read."""
        async with asyncio.timeout(self.patience_seconds):
            while await console.read():
                pass
        return await console.read() == b""

    async def test_the_console_of_a_machine_that_is_not_up_cannot_be_opened(self, driver):
        await self.stopped(driver, ONE)
        for instance_id in (ONE, TWO):
            with pytest.raises(DriverError) as caught:
                await driver.open_console(instance_id)
            assert caught.value.code in {DriverCode.CONFLICT, DriverCode.UNSUPPORTED}

    async def test_a_console_ends_with_its_machine(self, driver):
        await self.running(driver, ONE)
        if (console := await self.open_console(driver, ONE)) is not None:
            await driver.stop(ONE, force=True)
            assert await self.ends(console)
            await console.write(b"is anybody there?")
            await console.close()

    async def test_a_console_ends_with_the_driver_and_can_be_opened_through_the_next(self, driver_factory):
        first = await driver_factory()
        await self.running(first, ONE)
        if (before := await self.open_console(first, ONE)) is not None:
            await first.close()
            assert await self.ends(before)
            after = await (await driver_factory()).open_console(ONE)
            await after.close()

    async def test_a_console_that_was_closed_has_ended_and_may_be_closed_again(self, driver):
        await self.running(driver, ONE)
        if (console := await self.open_console(driver, ONE)) is not None:
            for _ in range(2):
                await console.close()
                assert await console.read() == b""

    # --- what they stand on

    async def test_every_machine_stands_on_a_host_that_is_up(self, driver):
        await self.running(driver, ONE)
        await self.stopped(driver, TWO)
        hosts = await driver.hosts()
        assert sum(host.machines for host in hosts) == len({ONE, TWO})
        assert all(host.is_up for host in hosts if host.machines)
        assert len({host.name for host in hosts}) == len(hosts)

    async def test_no_host_has_more_free_than_it_has(self, driver):
        for host in await driver.hosts():
            assert (host.memory_free_mib or 0) <= (host.memory_mib or 0)
            assert (host.disk_free_gib or 0) <= (host.disk_gib or 0)

    # --- all of them

    async def test_what_is_done_to_one_machine_does_not_touch_another(self, driver):
        await self.running(driver, ONE)
        before = await self.running(driver, TWO)
        await driver.stop(ONE, force=True)
        await driver.destroy(ONE)
        await self.reach(driver, ONE, Power.ABSENT)
        assert await driver.observe(TWO) == before

    async def test_machines_do_not_share_an_address(self, driver):
        seen = [await self.running(driver, instance_id) for instance_id in (ONE, TWO)]
        assert len({each.private_address for each in seen}) == len(seen)

    async def test_a_look_at_all_shows_what_a_look_at_each_shows(self, driver):
        await self.running(driver, ONE)
        await self.stopped(driver, TWO)
        assert await driver.observe_all() == {ONE: await driver.observe(ONE), TWO: await driver.observe(TWO)}

    async def test_machines_go_on_while_nobody_is_attached(self, driver_factory):
        first = await driver_factory()
        running, stopped = await self.running(first, ONE), await self.stopped(first, TWO)
        await first.close()
        second = await driver_factory()
        assert await second.observe_all() == {ONE: running, TWO: stopped}

    async def test_a_machine_on_its_way_arrives_although_the_driver_is_opened_anew(self, driver_factory):
        first = await driver_factory()
        await self.stopped(first, ONE)
        await first.start(ONE)
        await self.running(first, TWO)
        await first.stop(TWO, force=False)
        await first.close()
        second = await driver_factory()
        await self.reach(second, ONE, Power.RUNNING)
        await self.reach(second, TWO, Power.STOPPED)
