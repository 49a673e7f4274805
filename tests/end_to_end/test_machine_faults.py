"""What the world does to real machines and their gateway: it is killed at every step, they are killed, disks are full.

In each case the customer is told what is so, exactly one machine is there for each that was booked, and nothing is left
of those that ended.
"""

import os
import shutil
import signal
import socket
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from core.compute.qemu.driver import MACHINES
from core.compute.qemu.machine import MONITOR, RUN, opened
from tests.end_to_end.customer import REGION, Customer, boto3_client, number_of
from tests.machines import (
    ON_SALE,
    ZONE,
    a_gateway,
    ending,
    folders,
    guests,
    login_to,
    micro_image,
    own_host,
    processes,
    sections,
)
from tests.running import RunningGateway, eventually
from tests.smalldisk import mounted
from tests.ssh import new_key

__all__ = ["micro_image"]

MIB = 2**20
SMALL_MIB, RESERVE_MIB, LEFT_MIB = 192, 32, 16


class DyingGateway(RunningGateway):
    """A gateway that is killed when it comes to a point, as long as it has one."""

    point = ""

    def _command(self, *words):
        command = super()._command(*words)
        if self.point and words == ("serve",):
            command[command.index("gateway")] = "tests.end_to_end.dying"
            command.insert(command.index("serve"), self.point)
        return command

    def start_to_die(self, point):
        """Start it; it will die at the point."""
        self.point = point
        return self.start()

    def has_died(self):
        """Return once it has died there; from then on it has no point."""
        assert self.wait() == -signal.SIGKILL, self.stderr
        self.point = ""


@pytest.fixture
def gateway(tmp_path, micro_image):
    with a_gateway(tmp_path, micro_image) as running:
        yield running


@pytest.fixture
def dying(tmp_path, micro_image):
    with ending(DyingGateway(tmp_path, **sections(micro_image))) as gateway:
        yield gateway


@contextmanager
def the_first(gateway):
    """Yield the customer whose keys the gateway's first start made."""
    with closing(boto3_client("ec2", gateway, gateway.keys, region=REGION)) as ec2:
        yield Customer(gateway, gateway.keys, ec2)


def state_of(customer, machine):
    return customer.described(machine)[0]["State"]["Name"]


def reason_of(customer, machine):
    """Return why a machine is where it is, as EC2 spells it: a code, a colon and a sentence."""
    return customer.described(machine)[0]["StateReason"]["Message"]


def occupied(gateway):
    return sum(gateway.metric("onefleet_occupied", product=name, zone=ZONE) for name in ON_SALE)


def assert_there_are(gateway, *machines):
    """Check that these machines have a folder and a process each, and nothing else has."""
    assert folders(gateway.data) == {str(number_of(each)) for each in machines}
    assert len(guests(gateway.data)) == len(machines)
    assert occupied(gateway) == len(machines)


def terminate(customer, machine):
    """End a machine, and check that nothing of it is left."""
    customer.ec2.terminate_instances(InstanceIds=[machine])
    customer.until("terminated", machine)
    eventually(lambda: not processes(customer.gateway.data), what="the end of the machine's processes")
    assert_there_are(customer.gateway)


# --- the gateway is killed in the middle of something


def in_short(point):
    return point.replace("core.compute.qemu.", "")


LAUNCHING = (
    "before core.compute.qemu.driver:QemuDriver.ensure",
    "before core.compute.qemu.boot:make",
    "before core.compute.qemu.disks:make",
    "after core.compute.qemu.disks:make",
    "after core.compute.qemu.boot:make",
    "before core.compute.qemu.machine:write",
    "after core.compute.qemu.machine:write",
    "after core.compute.qemu.driver:QemuDriver._settle",
    "before core.compute.qemu.driver:QemuDriver.start",
    "before core.compute.qemu.process:start",
    "after core.compute.qemu.process:start",
    "before core.compute.qemu.qmp:Qmp.connect",
    "after core.compute.qemu.qmp:Qmp.connect",
    "after core.compute.qemu.guest:Guest._write",
    "after core.compute.qemu.driver:QemuDriver.start",
    "before core.reconciler:log_change",
)


@pytest.mark.parametrize("point", LAUNCHING, ids=in_short)
def test_a_launch_that_a_kill_interrupts_leads_to_one_machine_and_its_end_leaves_nothing(dying, point):
    dying.start_to_die(point)
    with the_first(dying) as customer:
        with suppress(HTTPClientError):  # it may die before it answers: who was not told asks again
            customer.book(ClientToken="once")
        dying.has_died()
        dying.start()
        [machine] = customer.book(ClientToken="once")
        customer.until("running", machine)
        assert_there_are(dying, machine)
        terminate(customer, machine)


@pytest.mark.parametrize(
    "point", ["after core.compute.qemu.disks:make", "after core.compute.qemu.process:start"], ids=in_short
)
def test_a_machine_whose_launch_was_interrupted_by_a_kill_lets_its_renter_in_and_shuts_down_when_asked(
    dying, point, tmp_path
):
    dying.start_to_die(point)
    with the_first(dying) as customer:
        customer.ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=new_key(tmp_path / "key").encode())
        [machine] = customer.book(KeyName="mine", UserData="#!/bin/sh\ntouch /home/renter/told\n")
        dying.has_died()
        dying.start()
        customer.until("running", machine)
        login = login_to(customer, machine, tmp_path / "key")
        assert login.run("while [ ! -e told ]; do sleep 0.1; done; ls") == "told"
        customer.ec2.stop_instances(InstanceIds=[machine])
        assert state_of(customer, machine) == "stopping"
        dying.kill()
        dying.start()
        customer.until("stopped", machine)
        assert not processes(dying.data)


STOPPING = (
    "before core.compute.qemu.driver:QemuDriver.stop",
    "before core.compute.qemu.guest:Guest._turn_off",
    "before core.compute.qemu.guest:Guest._gone",
    "after core.compute.qemu.guest:Guest._gone",
    "after core.compute.qemu.driver:QemuDriver.stop",
)


@pytest.mark.parametrize("point", STOPPING, ids=in_short)
def test_a_stop_that_a_kill_interrupts_ends_in_a_stopped_machine_that_can_be_started(dying, point):
    with interrupted(dying, point) as (customer, machine):
        customer.ec2.stop_instances(InstanceIds=[machine], Force=True)
    with the_first(dying) as customer:
        customer.until("stopped", machine)
        assert reason_of(customer, machine).startswith("Client.UserInitiatedShutdown: ")
        assert not processes(dying.data)
        customer.ec2.start_instances(InstanceIds=[machine])
        customer.until("running", machine)
        assert_there_are(dying, machine)


REBUILDING = (
    "before core.compute.qemu.driver:QemuDriver.rebuild",
    "after core.compute.qemu.disks:make",
    "after core.compute.qemu.boot:make",
    "before core.compute.qemu.guest:Guest._gone",
    "after core.compute.qemu.guest:Guest._turn_off",
    "after 2 core.compute.qemu.machine:write",
    "before core.compute.qemu.process:start",
    "after core.compute.qemu.process:start",
    "after core.compute.qemu.driver:QemuDriver.rebuild",
)


@pytest.mark.parametrize("point", REBUILDING, ids=in_short)
def test_a_reinstallation_that_a_kill_interrupts_ends_in_a_running_machine_on_its_new_disk(dying, point):
    with interrupted(dying, point) as (customer, machine):
        customer.ec2.reset_instance_attribute(InstanceId=machine, Attribute="operatingSystem")
    with the_first(dying) as customer:
        eventually(lambda: disks_of(dying, machine) == {"1"}, what="the new disk's being the only one")
        eventually(lambda: len(guests(dying.data)) == 1, what="the start on the new disk")
        customer.until("running", machine)
        assert_there_are(dying, machine)
        terminate(customer, machine)


ENDING = (
    "before core.compute.qemu.driver:QemuDriver.destroy",
    "after core.compute.qemu.guest:Guest._turn_off",
    "after core.compute.qemu.guest:Guest.end",
    "after core.compute.qemu.driver:QemuDriver._remove",
    "after core.compute.qemu.driver:QemuDriver.destroy",
)


@pytest.mark.parametrize("point", ENDING, ids=in_short)
def test_an_end_that_a_kill_interrupts_is_carried_out_and_leaves_nothing(dying, point):
    with interrupted(dying, point) as (customer, machine):
        customer.ec2.terminate_instances(InstanceIds=[machine])
    with the_first(dying) as customer:
        customer.until("terminated", machine)
        eventually(lambda: not processes(dying.data), what="the end of the machine's processes")
        assert_there_are(dying)


@contextmanager
def interrupted(gateway, point):
    """Yield a customer and a running machine; what is done to it in the block leads the gateway to the point."""
    gateway.start()
    with the_first(gateway) as customer:
        [machine] = customer.book()
        customer.until("running", machine)
        assert gateway.stop() == 0
        gateway.start_to_die(point)
        with suppress(HTTPClientError):
            yield customer, machine
        gateway.has_died()
    gateway.start()


def disks_of(gateway, machine):
    """Return the generations of disks that a machine has files of."""
    return {each.name for each in folder_of(gateway, machine).iterdir() if each.name.isdecimal()}


def folder_of(gateway, machine):
    return gateway.data / MACHINES / str(number_of(machine))


# --- the gateway is gone for a while


@pytest.mark.parametrize("leave", [RunningGateway.stop, RunningGateway.kill], ids=["stopped", "killed"])
def test_machines_run_on_without_the_gateway_and_are_its_again(gateway, leave):
    with the_first(gateway) as customer:
        machines = customer.book(2)
        customer.until("running", *machines)
        before = set(guests(gateway.data))
        leave(gateway)
        gateway.start()
        assert {state_of(customer, machine) for machine in machines} == {"running"}
        assert set(guests(gateway.data)) == before
        customer.ec2.stop_instances(InstanceIds=machines, Force=True)
        customer.until("stopped", *machines)
        assert not guests(gateway.data)


def test_a_machine_whose_monitor_somebody_holds_is_told_as_running_and_can_be_ended(gateway):
    with the_first(gateway) as customer, socket.socket(socket.AF_UNIX) as other:
        [machine] = customer.book()
        customer.until("running", machine)
        gateway.stop()
        with opened(folder_of(gateway, machine) / RUN) as run:
            other.connect(f"/proc/self/fd/{run}/{MONITOR}")
        other.recv(1)
        gateway.start()
        assert state_of(customer, machine) == "running"
        with pytest.raises(ClientError, match="does not answer its host"):
            customer.ec2.get_console_screenshot(InstanceId=machine)
        terminate(customer, machine)


# --- a machine is killed


def test_a_machine_that_is_killed_is_told_as_stopped_and_why_and_can_be_started(gateway, tmp_path):
    with the_first(gateway) as customer:
        customer.ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=new_key(tmp_path / "key").encode())
        [machine] = customer.book(KeyName="mine")
        customer.until("running", machine)
        # What QEMU has started for a call to the metadata service may outlive it, and must not pass for it.
        login = login_to(customer, machine, tmp_path / "key")
        login.run("(sleep 60 | nc 169.254.169.254 80) >/dev/null 2>&1 </dev/null &")
        running = partial(processes, gateway.data)
        eventually(
            lambda: "socat" in {words[0] for words in running().values()}, what="the open call to the metadata service"
        )
        [pid] = guests(gateway.data)
        os.kill(pid, signal.SIGKILL)
        customer.until("stopped", machine)
        assert reason_of(customer, machine) == "Server.InternalError: Its process was killed on its host."
        assert occupied(gateway) == 1
        customer.ec2.start_instances(InstanceIds=[machine])
        customer.until("running", machine)
        assert_there_are(gateway, machine)
        terminate(customer, machine)


# --- its renter is quicker than it is


def test_a_machine_that_is_ended_as_soon_as_it_is_booked_leaves_nothing(gateway):
    with the_first(gateway) as customer:
        for _ in range(3):
            terminate(customer, customer.book()[0])


def test_a_machine_that_is_ended_while_it_shuts_down_leaves_nothing(gateway):
    with the_first(gateway) as customer:
        [machine] = customer.book()
        customer.until("running", machine)
        customer.ec2.stop_instances(InstanceIds=[machine])
        assert state_of(customer, machine) == "stopping"
        terminate(customer, machine)


# --- the host has no room


@pytest.fixture
def cramped(tmp_path, micro_image):
    """A gateway whose data lies on a small file system, of which machines are to leave a part free."""
    with mounted(tmp_path / "data", f"{SMALL_MIB}m"):
        (tmp_path / "data").chmod(0o700)
        with a_gateway(tmp_path, micro_image, qemu={"reserve_disk_mib": RESERVE_MIB}) as running:
            yield running


@contextmanager
def little_room(gateway):
    """Leave little room on the gateway's file system until the block ends."""
    filler = gateway.data / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(gateway.data).free - LEFT_MIB * MIB))
    try:
        yield
    finally:
        filler.unlink()


def test_a_launch_without_room_on_the_disk_ends_with_the_reason_and_gives_its_place_back(cramped):
    with the_first(cramped) as customer:
        with little_room(cramped):
            [refused] = customer.book()
            customer.until("terminated", refused)
            assert reason_of(customer, refused).startswith("Server.InsufficientInstanceCapacity: ")
            assert reason_of(customer, refused).endswith(" The host has no disk space left.")
            assert_there_are(cramped)
        [machine] = customer.book()
        customer.until("running", machine)
        assert_there_are(cramped, machine)


def test_a_machine_that_fills_the_hosts_disk_waits_and_goes_on_when_there_is_room(cramped, tmp_path):
    with the_first(cramped) as customer:
        customer.ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=new_key(tmp_path / "key").encode())
        [machine] = customer.book(KeyName="mine")
        customer.until("running", machine)
        login = login_to(customer, machine, tmp_path / "key")
        login.run("true")
        with ExitStack() as filled:
            filled.enter_context(little_room(cramped))
            login.run(f"(dd if=/dev/urandom of=large bs=1M count={2 * LEFT_MIB}; sync; touch done) >/dev/null 2>&1 &")
            cramped.wait_for_log(event="its disk cannot be written; it waits until that works again")
            assert state_of(customer, machine) == "running"
        wait = "for i in $(seq 300); do [ -e done ] && exit; sleep 0.1; done; exit 1"
        login.run(wait)
        assert int(login.run("wc -c < large")) == 2 * LEFT_MIB * MIB


# --- what it needs is somebody else's, or gone


def test_a_machine_whose_port_is_a_strangers_gets_another_one(gateway):
    with the_first(gateway) as customer, socket.create_server((own_host(), 20_001)):
        [machine] = customer.book()
        customer.until("running", machine)
        login = login_to(customer, machine, gateway.folder)
        assert login.port != 20_001
        with socket.create_connection((login.host, login.port)):
            terminate(customer, machine)


def test_a_stopped_machine_whose_port_a_stranger_has_taken_meanwhile_is_started_on_another_one(gateway):
    with the_first(gateway) as customer:
        [machine] = customer.book()
        customer.until("running", machine)
        customer.ec2.stop_instances(InstanceIds=[machine], Force=True)
        customer.until("stopped", machine)
        before = login_to(customer, machine, gateway.folder)
        with socket.create_server((before.host, before.port)):
            customer.ec2.start_instances(InstanceIds=[machine])
            customer.until("running", machine)
            after = login_to(customer, machine, gateway.folder)
            assert after.port != before.port
            socket.create_connection((after.host, after.port)).close()


def test_without_its_image_a_machine_is_not_launched_and_those_that_are_made_of_it_live_on(tmp_path, micro_image):
    disk = tmp_path / "own.qcow2"
    shutil.copy(micro_image.disk, disk)
    with a_gateway(tmp_path, replace(micro_image, disk=disk)) as gateway, the_first(gateway) as customer:
        [machine] = customer.book()
        customer.until("running", machine)
        disk.unlink()
        [refused] = customer.book()
        customer.until("terminated", refused)
        assert reason_of(customer, refused).endswith(" The image debian-12 cannot be used.")
        customer.ec2.reset_instance_attribute(InstanceId=machine, Attribute="operatingSystem")
        gateway.wait_for_log(event="gave up: The image debian-12 cannot be used.", step="REBUILD")
        assert disks_of(gateway, machine) == {"0"}
        customer.ec2.stop_instances(InstanceIds=[machine], Force=True)
        customer.until("stopped", machine)
        customer.ec2.start_instances(InstanceIds=[machine])
        customer.until("running", machine)
        assert_there_are(gateway, machine)


def test_without_qemu_neither_a_start_nor_a_check_leaves_the_operator_guessing(tmp_path, micro_image):
    gateway = RunningGateway(tmp_path, **sections(micro_image, qemu={"binary": "qemu-system-z80"}))
    said = "there is no qemu-system-z80 on this host; on Debian: apt-get install qemu-system-x86"
    assert said in gateway.cli("serve", code=1).stderr
    assert said in gateway.cli("check", code=1).stdout


def test_a_check_names_every_image_whose_files_are_missing(tmp_path, micro_image):
    gone = replace(micro_image, disk=tmp_path / "gone.qcow2")
    said = RunningGateway(tmp_path, **sections(gone)).cli("check", code=1).stdout
    for name in ("debian-12", "ubuntu-24.04"):
        assert f"PROBLEM  driver     Image {name}: {gone.disk} is missing; put it there, or correct" in said
