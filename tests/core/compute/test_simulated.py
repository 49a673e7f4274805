import asyncio
import sqlite3
import sys
from contextlib import closing
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from core.compute.drivers import DRIVERS
from core.compute.simulated import FILE_NAME, VERBS, SimulatedDriver, SimulatedSettings, read_settings
from core.compute.site import Site
from core.ids import InstanceId
from core.instances import Power
from core.ports import DriverCode, DriverError, Host, Observation
from tests.builders import a_launch_spec, a_security_group
from tests.clocks import eventually
from tests.contracts.driver_contract import DriverContract

ROOT = Path(__file__).parents[3]
ONE, TWO, THREE, FOUR = (InstanceId(number) for number in range(1, 5))

AT_ONCE = SimulatedSettings(boot_seconds=0, stop_seconds=0)
SOON = SimulatedSettings(boot_seconds=0.02, stop_seconds=0.02)
NEVER = SimulatedSettings(boot_seconds=3600, stop_seconds=3600)


@pytest.fixture
async def opened(tmp_path):
    drivers = []

    async def open_driver(settings=AT_ONCE, ssh_host="127.0.0.1", **options):
        driver = SimulatedDriver(settings, Site(tmp_path, ssh_host), **options)
        drivers.append(driver)
        await driver.open()
        return driver

    yield open_driver
    for driver in drivers:
        await driver.close()


class TestSimulatedDriverAtOnce(DriverContract):
    @pytest.fixture
    def driver_factory(self, opened):
        return opened


class TestSimulatedDriverWithPassages(DriverContract):
    @pytest.fixture
    def driver_factory(self, opened):
        return lambda: opened(SOON)


async def call(driver, verb, instance_id=ONE):
    """Call a verb by its name."""
    if verb in {"ensure", "update", "rebuild"}:
        return await getattr(driver, verb)(a_launch_spec(instance_id, generation=verb == "rebuild"))
    options = {"force": False} if verb == "stop" else {}
    return await getattr(driver, verb)(instance_id, **options)


async def power_of(driver, instance_id=ONE):
    return (await driver.observe(instance_id)).power


async def running(driver, *ids):
    for instance_id in ids or (ONE,):
        await driver.ensure(a_launch_spec(instance_id))
        await driver.start(instance_id)


# --- what it says of itself


async def test_the_operator_is_told_that_nobody_can_log_in(opened):
    notice = (await opened()).notice
    assert "simulated" in notice
    assert "nobody can ssh" in notice


async def test_reboots_are_counted_once_each(opened):
    driver = await opened()
    await running(driver)
    await driver.reboot(ONE)
    await driver.reboot(ONE)
    assert driver.machine(ONE).reboots == 2


# --- addresses


async def test_a_running_machine_has_the_private_address_of_its_spec_and_the_hosts_public_one(opened):
    driver = await opened()
    await running(driver)
    seen = await driver.observe(ONE)
    assert (seen.private_address, seen.public_address) == (a_launch_spec(ONE).private_address, "127.0.0.1")


async def test_a_stopped_machine_keeps_its_private_address_only(opened):
    driver = await opened()
    await running(driver)
    assert await driver.stop(ONE, force=False) == Observation(
        ONE, Power.STOPPED, private_address=a_launch_spec(ONE).private_address
    )


async def test_a_host_that_is_only_a_name_is_no_public_address(opened):
    driver = await opened(ssh_host="fleet.example")
    await running(driver)
    assert (await driver.observe(ONE)).public_address == ""


# --- passages


async def test_a_boot_takes_its_time(opened):
    driver = await opened(NEVER)
    await running(driver)
    assert await power_of(driver) is Power.STARTING


async def test_a_shutdown_takes_its_time_unless_forced(opened):
    driver = await opened(SimulatedSettings(boot_seconds=0, stop_seconds=3600))
    await running(driver)
    assert (await driver.stop(ONE, force=False)).power is Power.STOPPING
    assert (await driver.stop(ONE, force=True)).power is Power.STOPPED


async def test_a_stop_leaves_no_boot_to_come(opened):
    driver = await opened(SimulatedSettings(boot_seconds=0.01, stop_seconds=0))
    await running(driver, ONE, TWO)
    await driver.stop(ONE, force=True)
    await driver.start(TWO)
    await eventually(lambda: driver.machine(TWO).power is Power.RUNNING)
    assert await power_of(driver, ONE) is Power.STOPPED


async def test_a_passage_goes_on_once_the_file_can_be_written_again(opened, tmp_path, monkeypatch):
    monkeypatch.setattr("core.compute.simulated._WRITE_AGAIN_SECONDS", 0.01)
    driver = await opened(NEVER)
    await running(driver)
    with pinned(tmp_path):
        driver._arrive(ONE)
        assert await power_of(driver) is Power.STARTING
    await eventually(lambda: driver.machine(ONE).power is Power.RUNNING)


async def test_a_boot_ends_in_a_crash_as_often_as_told(opened):
    driver = await opened(SimulatedSettings(boot_seconds=0, crash_rate=0.3), chance=iter([0, 0.29, 0, 0.31]).__next__)
    await running(driver, ONE, TWO)
    assert [await power_of(driver, ONE), await power_of(driver, TWO)] == [Power.CRASHED, Power.RUNNING]


async def test_a_launch_is_refused_as_often_as_told(opened):
    driver = await opened(SimulatedSettings(boot_seconds=0, failure_rate=0.3), chance=iter([0.29, 0.31]).__next__)
    with pytest.raises(DriverError) as caught:
        await driver.ensure(a_launch_spec(ONE))
    assert caught.value.code is DriverCode.INTERNAL
    assert (await driver.ensure(a_launch_spec(TWO))).power is Power.STOPPED


# --- misfortunes


@pytest.mark.parametrize(
    ("misfortune", "power"),
    [("crash", Power.CRASHED), ("shut_down_inside", Power.STOPPED), ("lose", Power.ABSENT)],
)
async def test_a_misfortune_shows_and_is_announced(opened, misfortune, power):
    driver = await opened()
    await running(driver)
    getattr(driver, misfortune)(ONE)
    assert await power_of(driver) is power
    assert await asyncio.wait_for(anext(driver.events()), 5) == ONE


async def test_the_end_of_a_boot_is_announced(opened):
    driver = await opened(SOON)
    await running(driver)
    assert await asyncio.wait_for(anext(driver.events()), 5) == ONE
    assert await power_of(driver) is Power.RUNNING


async def test_what_a_verb_returns_is_not_announced_as_well(opened):
    driver = await opened()
    await running(driver)
    assert driver._events.empty()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("code", [code for code in DriverCode if code is not DriverCode.TIMEOUT])
async def test_a_verb_that_is_told_to_fail_changes_nothing_and_then_works(opened, verb, code):
    driver = await opened()
    await running(driver, TWO)
    target = ONE if verb == "ensure" else TWO
    before = await driver.observe_all()
    driver.fail_next(verb, code)
    with pytest.raises(DriverError) as caught:
        await call(driver, verb, target)
    assert caught.value.code is code
    assert await driver.observe_all() == before
    await call(driver, verb, target)


async def test_a_verb_whose_answer_times_out_has_been_carried_out(opened):
    driver = await opened()
    driver.fail_next("ensure", DriverCode.TIMEOUT)
    with pytest.raises(DriverError, match="refused"):
        await driver.ensure(a_launch_spec(ONE))
    assert await power_of(driver) is Power.STOPPED


async def test_only_verbs_can_be_told_to_fail(opened):
    driver = await opened()
    with pytest.raises(ValueError, match="ensure, start, stop, reboot, update, rebuild, destroy"):
        driver.fail_next("observe", DriverCode.INTERNAL)


async def test_a_silent_backend_says_nothing_and_does_nothing(opened):
    driver = await opened()
    await running(driver)
    driver.go_silent(True)
    assert await driver.observe(ONE) == Observation(ONE, Power.UNKNOWN)
    for verb in VERBS:
        with pytest.raises(DriverError) as caught:
            await call(driver, verb)
        assert caught.value.code is DriverCode.UNAVAILABLE
    with pytest.raises(DriverError):
        await driver.observe_all()
    driver.go_silent(False)
    assert await power_of(driver) is Power.RUNNING


# --- what it is told


CHANGED = a_launch_spec(
    ONE,
    hostname="web",
    vcpus=4,
    memory_mib=4096,
    disk_gib=40,
    public_addresses=("203.0.113.1",),
    groups=(a_security_group(),),
)


async def size_of(driver):
    machine = driver.machine(ONE)
    return machine.vcpus, machine.memory_mib, machine.disk_gib


async def test_a_machine_that_runs_takes_over_all_but_its_size(opened):
    driver = await opened()
    await running(driver)
    await driver.update(CHANGED)
    machine = driver.machine(ONE)
    assert (machine.hostname, machine.public_addresses) == ("web", ("203.0.113.1",))
    assert machine.firewall == ("peer: 0.0.0.0/0, TCP, ports 22 to 22, ingress",)
    assert await size_of(driver) == (1, 1024, 10)


async def test_a_machine_that_is_down_takes_over_its_size_too(opened):
    driver = await opened()
    await driver.ensure(a_launch_spec(ONE))
    await driver.update(CHANGED)
    assert await size_of(driver) == (4, 4096, 40)


async def test_a_machine_that_is_rebuilt_takes_over_its_size_too(opened):
    driver = await opened()
    await running(driver)
    await driver.rebuild(replace(CHANGED, generation=1))
    assert await size_of(driver) == (4, 4096, 40)


async def test_a_machine_that_is_rebuilt_while_it_runs_is_down_in_no_row(opened, tmp_path):
    driver = await opened(NEVER)
    await driver.ensure(a_launch_spec(ONE))
    await driver.start(ONE)
    written = []
    driver._file.put = lambda machine, _: written.append(machine.power)
    await driver.rebuild(replace(CHANGED, generation=1))
    assert written == [Power.STARTING]


async def test_a_console_tells_what_became_of_a_machine(opened):
    driver = await opened()
    await running(driver)
    await driver.reboot(ONE)
    lines = (await driver.console_log(ONE)).decode().splitlines()
    assert [line.split(": ")[1] for line in lines] == ["debian-12 installed", "running", "rebooted"]


async def test_a_console_goes_on_where_the_gateway_began_anew(opened):
    first = await opened()
    await running(first)
    before = await first.console_log(ONE)
    await first.close()
    assert await (await opened()).console_log(ONE) == before


async def test_a_console_keeps_the_end_of_what_was_said(opened):
    driver = await opened()
    await running(driver)
    for number in range(1000):
        await driver.update(a_launch_spec(ONE, hostname=f"name-{number}"))
        await driver.reboot(ONE)
    said = await driver.console_log(ONE)
    assert len(said) <= 64 * 1024
    assert said.endswith(b"name-999: rebooted\r\n")


async def test_a_silent_backend_tells_nothing_of_consoles_use_and_hosts(opened):
    driver = await opened()
    await running(driver)
    driver.go_silent(True)
    for attempt in (driver.console_log(ONE), driver.samples(), driver.hosts()):
        with pytest.raises(DriverError) as caught:
            await attempt
        assert caught.value.code is DriverCode.UNAVAILABLE


async def test_a_sample_says_everything(opened):
    driver = await opened()
    await running(driver)
    [sample] = await driver.samples()
    assert None not in astuple(sample)


async def test_a_renter_who_wants_a_serial_console_is_told_that_there_is_none(opened):
    driver = await opened()
    await running(driver)
    with pytest.raises(DriverError, match="have no serial console") as caught:
        await driver.open_console(ONE)
    assert caught.value.code is DriverCode.UNSUPPORTED


async def test_all_machines_stand_on_one_host_that_has_no_bounds(opened):
    driver = await opened()
    await running(driver, ONE, TWO)
    assert await driver.hosts() == [Host("simulated", machines=2)]


# --- disks that are kept


async def test_a_kept_disk_is_there_until_it_is_removed(opened):
    driver = await opened()
    await running(driver)
    await driver.destroy(ONE, keeps_disk=True)
    assert driver.disk(ONE).power is Power.ABSENT
    await driver.destroy(ONE, keeps_disk=True)
    assert driver.disk(ONE) is not None
    await driver.destroy(ONE)
    assert driver.disk(ONE) is None


async def test_a_kept_disk_outlasts_the_gateway_and_its_removal_does_too(opened):
    first = await opened()
    await running(first, ONE, TWO)
    for instance_id in (ONE, TWO):
        await first.destroy(instance_id, keeps_disk=True)
    await first.destroy(TWO)
    await first.close()
    second = await opened()
    assert second.disk(ONE) is not None
    assert second.disk(TWO) is None


async def test_a_machine_whose_disk_was_kept_and_that_came_back_can_be_destroyed_again(opened):
    driver = await opened()
    await running(driver)
    await driver.destroy(ONE, keeps_disk=True)
    await running(driver)
    assert (await driver.destroy(ONE, keeps_disk=True)).power is Power.ABSENT
    assert driver.disk(ONE) is not None


async def test_a_machine_that_is_lost_leaves_no_disk(opened):
    driver = await opened()
    await running(driver)
    driver.lose(ONE)
    assert driver.disk(ONE) is None


# --- the file


async def test_machines_of_the_first_files_form_are_found_again(opened, tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        db.execute(
            "CREATE TABLE machines (id INTEGER PRIMARY KEY, power TEXT, ssh_port INTEGER, reboots INTEGER) STRICT"
        )
        db.execute("INSERT INTO machines VALUES (1, 'running', 20001, 2), (2, 'stopped', 20002, 0)")
    driver = await opened()
    assert await power_of(driver, ONE) is Power.RUNNING
    assert await power_of(driver, TWO) is Power.STOPPED
    assert (driver.machine(ONE).reboots, driver.machine(ONE).ssh_port) == (2, 20001)
    await driver.close()
    assert set(await (await opened()).observe_all()) == {ONE, TWO}


class pinned:  # noqa: N801  it reads as a state of the file: with pinned(...)
    """Keeps the machines' file from being written."""

    def __init__(self, data_dir):
        self._db = sqlite3.connect(data_dir / FILE_NAME, isolation_level=None)

    def __enter__(self):
        self._db.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *_):
        self._db.execute("ROLLBACK")
        self._db.close()


@pytest.mark.parametrize("verb", VERBS)
async def test_a_file_that_cannot_be_written_makes_every_verb_unavailable(opened, tmp_path, verb):
    driver = await opened()
    await running(driver, ONE, TWO)
    await driver.stop(TWO, force=True)
    target = {"ensure": THREE, "start": TWO}.get(verb, ONE)
    before = await driver.observe_all()
    with pinned(tmp_path), pytest.raises(DriverError) as caught:
        await call(driver, verb, target)
    assert caught.value.code is DriverCode.UNAVAILABLE
    assert await driver.observe_all() == before


async def test_a_file_that_is_no_database_is_refused(opened, tmp_path):
    (tmp_path / FILE_NAME).write_text("these are not the machines you are looking for" * 100)
    with pytest.raises(DriverError) as caught:
        await opened()
    assert caught.value.code is DriverCode.UNAVAILABLE


KILLED = """
import asyncio, sys
from pathlib import Path
from core.compute.simulated import SimulatedDriver, SimulatedSettings
from core.compute.site import Site
from core.compute.site import Site
from tests.builders import a_launch_spec

async def main():
    driver = SimulatedDriver(SimulatedSettings(boot_seconds=3600, stop_seconds=3600), Site(Path(sys.argv[1])))
    await driver.open()
    for number in range(1, 5):
        await driver.ensure(a_launch_spec(number))
    await driver.start(1)
    await driver.start(3)
    await driver.stop(3, force=False)
    await driver.destroy(4)
    print("ready", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_machines_outlast_a_gateway_that_is_killed(opened, tmp_path):
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(tmp_path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert await asyncio.wait_for(gateway.stdout.readline(), 20) == b"ready\n"
    gateway.kill()
    await gateway.wait()
    driver = await opened(SOON)
    assert set(await driver.observe_all()) == {ONE, TWO, THREE}
    await eventually(lambda: driver.machine(ONE).power is Power.RUNNING)
    await eventually(lambda: driver.machine(THREE).power is Power.STOPPED)
    assert await power_of(driver, TWO) is Power.STOPPED


# --- settings


def test_settings_that_are_left_out_have_their_defaults():
    assert read_settings({"boot_seconds": 5}) == SimulatedSettings(boot_seconds=5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"boot_second": 1}, "boot_second: unknown key; known: boot_seconds, stop_seconds"),
        ({"boot_seconds": -1}, "boot_seconds: -1 is not a number of seconds"),
        ({"stop_seconds": "1"}, "stop_seconds: '1' is not a number of seconds"),
        ({"stop_seconds": True}, "stop_seconds: True is not"),
        ({"boot_seconds": float("nan")}, "boot_seconds: nan is not"),
        ({"failure_rate": 1.1}, "failure_rate: 1.1 is not a number from 0 to 1"),
        ({"crash_rate": "often"}, "crash_rate: 'often' is not a number from 0 to 1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_its_key(table, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        read_settings(table)


def test_the_configuration_opens_the_driver_by_its_name(tmp_path):
    kind = DRIVERS["simulated"]
    assert kind.open_driver(kind.read_settings({}), Site(tmp_path)).name == "simulated"
