import asyncio
import os
import re
import signal
import socket
from contextlib import closing
from dataclasses import astuple, replace
from pathlib import Path

import orjson
import pytest

from core.compute.qemu import guest as guests
from core.compute.qemu import machine
from core.compute.qemu.driver import MACHINES, QemuDriver
from core.compute.qemu.qmp import Qmp
from core.compute.site import ImageFiles, Site
from core.instances import STANDARD_METADATA, Power
from core.ports import DriverCode, Observation
from core.securitygroups import Rule, Traffic
from tests.builders import a_security_group
from tests.contracts.driver_contract import DriverContract
from tests.qemu import FROM_ANYWHERE, ONE, PATIENCE_SECONDS, SETTINGS, pid_of, reach, refusal, up

FROM_SOME = a_security_group(
    rules=(Rule(1, Traffic(is_egress=False, protocol="tcp", first_port=22, last_port=22, block="203.0.113.7/32")),)
)


class TestQemuDriver(DriverContract):
    patience_seconds = PATIENCE_SECONDS

    @pytest.fixture
    def driver_factory(self, opened):
        return opened


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def names(folder):
    return {each.name for each in folder.iterdir()}


# --- what it is made into


async def test_a_machine_knows_at_its_first_boot_what_it_was_told(opened, small, login):
    driver = await opened()
    user_data = b"#!/bin/sh\nhostname > /home/renter/told\n"
    await up(driver, replace(small, hostname="web-1", user_data=user_data))
    wait = "for i in $(seq 100); do [ -s told ] && break; sleep 0.1; done; cat told"
    assert await login.does(wait) == "web-1"
    assert await login.does("id -un") == "renter"
    gibibytes = int(await login.does("cat /sys/block/vda/size")) * 512 / 2**30
    assert gibibytes == 1
    assert "10.1.0.1/16" in await login.does("/sbin/ip -4 address show dev eth0")
    assert b"BEGIN SSH HOST KEY KEYS" in await driver.console_log(ONE)


async def test_a_machine_reaches_neither_the_gateway_nor_what_the_host_keeps_to_itself(opened, small, login, ssh_host):
    driver = await opened()
    await up(driver, small)
    await login.does("true")
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as inner,
        closing(socket.create_server((ssh_host, 0))) as outer,
    ):
        for port, addresses in (
            (inner.getsockname()[1], ("10.1.0.2", "169.254.0.2", "127.0.0.1", "10.1.0.1")),
            (outer.getsockname()[1], (ssh_host, "10.1.0.2", "169.254.0.2")),
        ):
            for address in addresses:
                tried = await login.does(f"nc -w 2 {address} {port} </dev/null >/dev/null 2>&1; echo $?")
                assert tried != "0", f"a guest reached port {port} by {address}"
        for listening in (inner, outer):
            listening.setblocking(False)
            with pytest.raises(BlockingIOError):
                listening.accept()


async def test_its_process_has_no_rights(opened, small, tmp_path):
    driver = await opened()
    await up(driver, small)
    status = status_of(pid_of(tmp_path))
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert status["Uid"].split() == ["65534"] * 4
        assert status["CapEff"] == "0000000000000000"


async def test_a_machine_with_a_screen_shows_it_while_it_is_up(opened, small):
    driver = await opened()
    await driver.ensure(small)
    assert await driver.screenshot(ONE) == b""
    await driver.start(ONE)
    assert (await driver.screenshot(ONE)).startswith(b"\x89PNG\r\n")


# --- what it stands on


async def test_the_host_tells_all_about_itself(opened, small):
    driver = await opened()
    await driver.ensure(small)
    [host] = await driver.hosts()
    assert None not in astuple(host)
    assert (host.name, host.machines, host.accelerator) == (os.uname().nodename, 1, "tcg")
    assert host.memory_mib > host.memory_free_mib > small.memory_mib


@pytest.mark.parametrize("reserve", ["reserve_disk_mib", "reserve_memory_mib"])
async def test_a_host_that_has_no_room_says_so(opened, reserve):
    driver = await opened(replace(SETTINGS, **{reserve: 2**30}))
    [host] = await driver.hosts()
    assert re.search(r"The host has no (disk space|memory) left\. .* are free.*\.$", host.detail)


# --- its disk


async def test_what_is_on_its_disk_outlasts_a_stop_and_not_a_reinstallation(opened, small, login):
    driver = await opened()
    await up(driver, replace(small, user_data=b"#!/bin/sh\necho again >> /home/renter/boots\n"))
    await login.does("for i in $(seq 300); do [ -s boots ] && break; sleep 0.1; done; echo kept > kept; sync")
    await driver.stop(ONE, force=False)
    await reach(driver, Power.STOPPED)
    await driver.start(ONE)
    assert await login.does("cat kept boots") == "kept\nagain"
    await driver.rebuild(replace(small, generation=1))
    assert await login.does("ls") == ""


async def test_a_stopped_machine_that_becomes_larger_has_a_larger_disk(opened, small, login):
    driver = await opened()
    await driver.ensure(small)
    await driver.update(replace(small, disk_gib=3, vcpus=2))
    await driver.start(ONE)
    assert int(await login.does("cat /sys/block/vda/size")) * 512 == 3 * 2**30
    assert await login.does("nproc") == "2"


# --- how it ends


async def test_a_machine_that_still_boots_is_asked_again_until_it_shuts_down(opened, small, tmp_path):
    driver = await opened()
    await up(driver, small)
    assert (await driver.stop(ONE, force=False)).power is Power.STOPPING
    seen = await reach(driver, Power.STOPPED)
    assert seen.detail == ""
    assert not (tmp_path / MACHINES / "1" / machine.RUN / machine.MONITOR).exists()


async def test_a_machine_that_does_not_heed_its_button_is_turned_off_when_the_grace_is_over(opened, small, monkeypatch):
    monkeypatch.setattr(guests, "PRESS_SECONDS", 0.05)
    driver = await opened(replace(SETTINGS, stop_seconds=0.2))
    await up(driver, small)
    await driver.stop(ONE, force=False)  # it boots for seconds yet
    assert (await reach(driver, Power.STOPPED)).detail == ""


async def test_a_machine_that_shuts_itself_down_is_stopped(opened, small, root):
    driver = await opened()
    await up(driver, small)
    await root.does("poweroff")
    assert (await reach(driver, Power.STOPPED)).detail == ""


async def test_a_machine_whose_system_panics_has_crashed_and_says_why(opened, small, root):
    driver = await opened()
    await up(driver, small)
    await root.does("(sleep 0.2; echo c > /proc/sysrq-trigger) >/dev/null 2>&1 &")
    assert (await reach(driver, Power.CRASHED)).detail == "The machine's system panicked."
    await driver.start(ONE)
    assert await driver.observe(ONE) == replace(await reach(driver, Power.RUNNING), detail="")


async def test_a_machine_whose_process_is_killed_has_crashed_and_says_why(opened, small, tmp_path):
    driver = await opened()
    await up(driver, small)
    os.kill(pid_of(tmp_path), signal.SIGKILL)
    assert (await reach(driver, Power.CRASHED)).detail == "Its process was killed on its host."


async def test_a_machine_is_restarted_by_its_own_system(opened, small, login):
    driver = await opened()
    await up(driver, small)
    before = await login.does("cat /proc/sys/kernel/random/boot_id")
    await driver.reboot(ONE)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await login.does("cat /proc/sys/kernel/random/boot_id") == before:  # noqa: ASYNC110  a guest's, not ours
            await asyncio.sleep(0.2)
    assert (await driver.observe(ONE)).power is Power.RUNNING


# --- while the gateway is away


async def until_down_unseen(data_dir):
    """Return once the guest is down, of which QEMU, waiting to be asked why, is the only witness."""
    with machine.opened(data_dir / MACHINES / "1" / machine.RUN) as run:
        async with asyncio.timeout(PATIENCE_SECONDS):
            witness = await Qmp.connect(Path(f"/proc/self/fd/{run}/{machine.MONITOR}"), lambda _: None, lambda: None)
            while (await witness.execute("query-status"))["status"] != "shutdown":  # noqa: ASYNC110  another process
                await asyncio.sleep(0.05)
    witness.close()


async def test_a_machine_that_shut_down_meanwhile_is_found_stopped(opened, small, root, tmp_path):
    first = await opened()
    await up(first, small)
    await root.does("(sleep 1; poweroff) >/dev/null 2>&1 &")
    await first.close()
    await until_down_unseen(tmp_path)
    second = await opened()
    assert (await reach(second, Power.STOPPED)).detail == ""


async def test_a_machine_that_was_killed_meanwhile_is_found_crashed(opened, small, tmp_path):
    first = await opened()
    await up(first, small)
    await first.close()
    os.kill(pid_of(tmp_path), signal.SIGKILL)
    await asyncio.to_thread(os.waitpid, pid_of(tmp_path), 0)
    second = await opened()
    assert (await second.observe(ONE)).power is Power.CRASHED


async def test_a_machine_that_ran_when_its_host_went_down_is_brought_up_again(opened, small, tmp_path, login):
    first = await opened()
    await up(first, small)
    await first.close()
    os.kill(pid_of(tmp_path), signal.SIGKILL)
    await asyncio.to_thread(os.waitpid, pid_of(tmp_path), 0)
    record = tmp_path / MACHINES / "1" / machine.RECORD
    record.write_bytes(orjson.dumps(orjson.loads(record.read_bytes()) | {"boot": "an earlier one"}))
    second = await opened()
    assert (await second.observe(ONE)).power is Power.STARTING
    await reach(second, Power.RUNNING)
    assert await login.does("id -un") == "renter"


async def test_a_machine_is_never_started_twice(opened, small, tmp_path):
    first = await opened()
    await up(first, small)
    before = pid_of(tmp_path)
    second = await opened()
    await asyncio.gather(second.start(ONE), second.ensure(small), first.start(ONE))
    assert pid_of(tmp_path) == before


async def test_a_machine_whose_monitor_somebody_else_holds_can_be_stopped_and_removed(opened, small, tmp_path):
    first = await opened()
    await up(first, small)
    await first.close()
    with socket.socket(socket.AF_UNIX) as other, machine.opened(tmp_path / MACHINES / "1" / machine.RUN) as run:
        other.connect(f"/proc/self/fd/{run}/{machine.MONITOR}")
        await asyncio.to_thread(other.recv, 1)  # greeted: the monitor is ours
        second = await opened()
        assert (await second.observe(ONE)).power is Power.RUNNING
        assert (await second.stop(ONE, force=True)).power is Power.STOPPED
        await second.destroy(ONE)
    assert names(tmp_path / MACHINES) == set()


async def test_what_was_half_made_or_half_removed_is_cleared_away(opened, small, tmp_path):
    first = await opened()
    await first.ensure(small)
    await first.close()
    for name in (".new-7", ".gone-8"):
        (tmp_path / MACHINES / name / "0").mkdir(parents=True)
    second = await opened()
    assert names(tmp_path / MACHINES) == {"1"}
    assert set(await second.observe_all()) == {ONE}


async def test_a_folder_that_makes_no_sense_is_left_alone(opened, tmp_path):
    (tmp_path / MACHINES / "5").mkdir(parents=True)
    (tmp_path / MACHINES / "5" / machine.RECORD).write_text("{")
    driver = await opened()
    assert await driver.observe_all() == {}
    assert names(tmp_path / MACHINES) == {"5"}
    (tmp_path / MACHINES / "5" / machine.RECORD).unlink()


# --- what a renter says of the ways to it


async def test_ssh_is_closed_and_opened_while_it_runs(opened, small, login):
    driver = await opened()
    await up(driver, small)
    await login.does("true")
    await driver.update(replace(small, groups=(FROM_SOME,)))
    assert not await asyncio.to_thread(login.is_let_in)
    await driver.update(replace(small, groups=(FROM_ANYWHERE, FROM_SOME)))
    assert await asyncio.to_thread(login.is_let_in)


async def test_a_machine_asks_about_itself_and_is_known_by_the_socket(opened, small, login):
    def door(instance_id):
        return Telling(f"you are {instance_id}\n".encode())

    driver = await opened(metadata=door)
    await up(driver, small)
    assert await login.does("nc 169.254.169.254 80 </dev/null") == "you are 1"
    await driver.close()
    again = await opened(metadata=door)
    await reach(again, Power.RUNNING)
    assert await login.does("nc 169.254.169.254 80 </dev/null") == "you are 1"


async def test_nobody_answers_a_machine_that_may_not_ask_about_itself(opened, small, login):
    driver = await opened(metadata=lambda _: Telling(b"here"))
    await up(driver, replace(small, metadata=replace(STANDARD_METADATA, is_enabled=False)))
    assert await login.does("nc -w 3 169.254.169.254 80 </dev/null 2>/dev/null; echo $?") != "0"


class Telling(asyncio.Protocol):
    """Says its text to whoever calls, and hangs up."""

    def __init__(self, text):
        self._text = text

    def connection_made(self, transport):
        transport.write(self._text)
        transport.close()


# --- what it refuses, with nothing left behind


async def test_a_port_that_is_taken_is_told_and_another_one_will_do(opened, small, ssh_host, login, tmp_path):
    driver = await opened()
    await driver.ensure(small)
    with closing(socket.create_server((ssh_host, small.ssh_port))):
        assert (await refusal(driver.start(ONE))).code is DriverCode.PORT
        assert await driver.observe(ONE) == Observation(ONE, Power.STOPPED, private_address="10.1.0.1")
        with pytest.raises(ProcessLookupError):
            os.kill(pid_of(tmp_path), 0)
        await driver.update(replace(small, ssh_port=small.ssh_port + 1000))
        await driver.start(ONE)
        assert await replace(login, port=small.ssh_port + 1000).does("id -un") == "renter"


async def test_an_image_that_is_not_there_is_told(opened, small, tmp_path, micro_image):
    gone = ImageFiles(tmp_path / "gone.qcow2", micro_image.kernel, micro_image.initrd, micro_image.kernel_arguments)
    driver = await opened(images={"debian-12": gone})
    error = await refusal(driver.ensure(small))
    assert error.code is DriverCode.IMAGE
    assert "gone.qcow2" in error.detail
    assert "gone.qcow2" not in str(error)
    assert names(tmp_path / MACHINES) == set()


async def test_a_machine_keeps_the_image_that_it_was_made_of(opened, small, tmp_path, micro_image, login):
    own = tmp_path / "own.qcow2"
    own.write_bytes(micro_image.disk.read_bytes())
    driver = await opened(images={"debian-12": replace(micro_image, disk=own)})
    await driver.ensure(small)
    own.unlink()
    await driver.start(ONE)
    assert await login.does("id -un") == "renter"


async def test_a_machine_whose_image_was_changed_under_it_is_not_started(opened, small, tmp_path, micro_image):
    own = tmp_path / "own.qcow2"
    own.write_bytes(micro_image.disk.read_bytes())
    driver = await opened(images={"debian-12": replace(micro_image, disk=own)})
    await driver.ensure(small)
    with own.open("ab") as file:
        file.write(b"more")
    assert (await refusal(driver.start(ONE))).code is DriverCode.IMAGE
    assert (await driver.observe(ONE)).power is Power.STOPPED


async def test_a_machine_larger_than_the_hosts_memory_is_not_started(opened, small):
    driver = await opened()
    await driver.ensure(replace(small, memory_mib=2**24))
    error = await refusal(driver.start(ONE))
    assert error.code is DriverCode.CAPACITY
    assert "memory" in str(error)


async def test_a_host_without_disk_space_takes_no_machine_and_keeps_nothing_of_it(opened, small, tmp_path):
    driver = await opened(replace(SETTINGS, reserve_disk_mib=2**40))
    error = await refusal(driver.ensure(small))
    assert error.code is DriverCode.CAPACITY
    assert "disk" in str(error)
    assert names(tmp_path / MACHINES) == set()


@pytest.mark.parametrize("asked", [{"gpus": 1}, {"architecture": "arm64"}])
async def test_what_the_host_cannot_give_is_refused_by_name(opened, small, asked):
    driver = await opened()
    error = await refusal(driver.ensure(replace(small, **asked)))
    assert error.code is DriverCode.INVALID
    assert "GPU" in str(error) or "arm64" in str(error)


async def test_a_host_without_qemu_says_what_to_install(opened, tmp_path, micro_image):
    error = await refusal(QemuDriver(replace(SETTINGS, binary="qemu-system-z80"), Site(tmp_path)).open())
    assert error.detail == "there is no qemu-system-z80 on this host; on Debian: apt-get install qemu-system-x86"


async def test_addresses_that_machines_cannot_have_are_no_settings(tmp_path):
    error = await refusal(QemuDriver(SETTINGS, Site(tmp_path, pool=["203.0.113.0/29"])).open())
    assert error.detail.startswith("zones[].addresses: machines have no public addresses")


async def test_a_qemu_that_is_too_old_is_refused(tmp_path):
    old = tmp_path / "qemu-old"
    old.write_text("#!/bin/sh\necho QEMU emulator version 6.2.0\n")
    old.chmod(0o755)
    error = await refusal(QemuDriver(replace(SETTINGS, binary=str(old)), Site(tmp_path)).open())
    assert "6.2" in error.detail
    assert "7.1" in error.detail


# --- what it writes


async def test_its_console_takes_no_more_room_than_a_megabyte_or_so(opened, small, tmp_path):
    driver = await opened()
    await up(driver, small)
    folder = tmp_path / MACHINES / "1"
    with (folder / machine.RUN / machine.SERIAL_LOG).open("ab") as log:
        log.write(b"noise" * 500_000 + b"the end")
    await asyncio.to_thread(driver._guests[ONE].trim)
    assert (folder / machine.RUN / machine.SERIAL_LOG).stat().st_size < 2**20
    assert len(await driver.console_log(ONE)) <= 64 * 1024
    assert b"the end" in await driver.console_log(ONE)


async def test_what_a_guest_that_broke_out_leaves_in_its_folder_is_not_followed(opened, small, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not for renters")
    driver = await opened()
    await driver.ensure(small)
    log = tmp_path / MACHINES / "1" / machine.RUN / machine.SERIAL_LOG
    log.symlink_to(secret)
    assert await driver.console_log(ONE) == b""
    log.unlink()
    os.mkfifo(log)
    assert await driver.console_log(ONE) == b""
