import os
import shutil
import socket
import subprocess
from contextlib import suppress

import pytest

from core.compute.qemu import network
from core.compute.qemu.accelerator import _EXIT_DEVICE, _SECTOR, _SECTOR_CODE
from core.compute.qemu.network import StaticAddress, is_ssh_open, routed, service_nic, static_address, user_mode
from core.ids import InstanceId, RuleId
from core.instances import MetadataService
from core.ports import DriverError
from core.securitygroups import Rule, Traffic
from tests.builders import a_launch_spec, a_security_group
from tests.clocks import eventually

SPEC = a_launch_spec(5)
NOBODY = 65534
VIRTIO_HEAD, ETHERNET_HEAD = bytes(10), bytes.fromhex("ffffffffffff 020000000005 0800")


# --- the words that QEMU is told


def test_a_machine_without_a_wire_has_its_own_address_and_no_way_out():
    netdev = user_mode(SPEC, "127.0.0.1", is_ssh_open=False)[1]
    assert netdev == "user,id=n0,restrict=on,ipv6=off,net=10.1.0.0/16,dhcpstart=10.1.0.5"


def test_ssh_is_forwarded_where_it_is_open_and_only_there():
    assert user_mode(SPEC, "127.0.0.1", is_ssh_open=True)[1].endswith(",hostfwd=tcp:127.0.0.1:20005-10.1.0.5:22")
    assert service_nic(SPEC, "127.0.0.1", is_ssh_open=True)[1].endswith(",hostfwd=tcp:127.0.0.1:20005-169.254.0.50:22")
    assert "hostfwd" not in service_nic(SPEC)[1]


def test_a_machine_that_may_not_ask_about_itself_has_nobody_to_ask():
    silent = a_launch_spec(5, metadata=MetadataService(is_enabled=False))
    assert "guestfwd" in service_nic(SPEC)[1]
    assert "guestfwd" not in service_nic(silent)[1]


def test_every_card_is_known_by_its_hardware_address():
    cards = [user_mode(SPEC, "", is_ssh_open=False)[3], routed(SPEC, 9)[3], service_nic(SPEC)[3]]
    assert [card.split("mac=")[1].split(",")[0] for card in cards] == ["02:00:00:00:00:05"] * 2 + ["06:00:00:00:00:05"]


def test_a_port_that_no_firewall_guards_is_open_only_if_everybody_is_let_in():
    everybody, somebody, nobody = (groups(block=block) for block in ("0.0.0.0/0", "192.0.2.0/24", "::/0"))
    assert is_ssh_open(everybody, is_guarded=False)
    assert not is_ssh_open(somebody, is_guarded=False)
    assert is_ssh_open(somebody, is_guarded=True)
    assert not is_ssh_open(nobody, is_guarded=True)


def groups(*, block):
    return [a_group(Traffic(False, "tcp", 22, 22, block=block))]


def a_group(*traffic):
    return a_security_group(rules=tuple(Rule(RuleId(at), each) for at, each in enumerate(traffic, 1)))


def test_a_machine_on_a_wire_is_told_its_network_and_no_public_address():
    spec = a_launch_spec(5, public_addresses=("203.0.113.1",))
    assert static_address(spec, ["192.0.2.53"]) == StaticAddress("10.1.0.5", 16, "10.1.0.1", ("192.0.2.53",))


# --- wires


def shown(what):
    return subprocess.run(["ip", *what.split()], capture_output=True, text=True, check=True).stdout


def refused():
    return pytest.raises(DriverError, match="network now")


async def test_laying_a_wire_again_changes_nothing_and_mends_what_is_missing(host):
    await network.lay(SPEC)
    before = [shown("route"), shown("neigh"), shown("addr show dev of-5")]
    await network.lay(SPEC)
    assert [shown("route"), shown("neigh"), shown("addr show dev of-5")] == before
    host.run("route del 10.1.0.5", "neigh del 10.1.0.5 dev of-5")
    await network.lay(SPEC)
    assert [shown("route"), shown("neigh"), shown("addr show dev of-5")] == before


async def test_a_wire_is_there_until_it_is_cut(host):
    await network.lay(SPEC)
    await network.lay(a_launch_spec(6))
    assert network.laid() == {5, 6}
    await network.cut(InstanceId(5))
    await network.cut(InstanceId(5))
    assert network.laid() == {6}


async def test_another_interface_is_nobodys_wire(host):
    host.run("link add of-fice type veth peer name roof-5")
    assert network.laid() == set()


async def test_two_have_no_one_wire_at_a_time(host):
    await network.lay(SPEC)
    descriptor = network.take_up(SPEC.id)
    with refused() as caught:
        network.take_up(SPEC.id)
    assert "a process has it already" in caught.value.detail
    os.close(descriptor)
    os.close(network.take_up(SPEC.id))


async def test_a_wire_that_was_never_laid_cannot_be_taken_up(host):
    with refused() as caught:
        network.take_up(SPEC.id)
    assert "of-5 was never laid" in caught.value.detail
    assert network.laid() == set()


async def test_a_name_that_no_wire_can_have_is_told(host):
    with refused() as caught:
        await network.lay(a_launch_spec(10**13))
    assert "File name too long" in caught.value.detail
    assert network.laid() == set()


async def test_what_a_machine_sends_is_counted_as_sent(host):
    await network.lay(SPEC)
    descriptor = network.take_up(SPEC.id)
    before = network.traffic()[SPEC.id]
    os.write(descriptor, VIRTIO_HEAD + ETHERNET_HEAD + bytes(86))
    after = network.traffic()[SPEC.id]
    os.close(descriptor)
    assert after.sent_bytes - before.sent_bytes == 100
    assert after.received_bytes == before.received_bytes


async def test_what_a_machine_is_sent_is_counted_as_received(host):
    await network.lay(SPEC)
    descriptor = network.take_up(SPEC.id)
    os.set_blocking(descriptor, False)
    with host.open_socket(is_udp=True) as mouth:

        def has_counted():
            # What is sent before the wire has noticed that somebody has its end is lost.
            mouth.sendto(bytes(1000), ("10.1.0.5", 99))
            with suppress(BlockingIOError):
                os.read(descriptor, 2000)
            return network.traffic()[SPEC.id].received_bytes > 1000

        await eventually(has_counted)
    os.close(descriptor)
    assert network.traffic()[SPEC.id].sent_bytes == 0


async def test_the_host_answers_for_the_public_addresses_it_was_told_of_last_and_for_its_own(host):
    host.run("addr add 192.0.2.1/32 dev lo")
    await network.hold(["203.0.113.1", "203.0.113.2", "2001:db8::1"])
    await network.hold(["203.0.113.2", "203.0.113.3"])
    held = {line.split()[1] for line in shown("-4 -o addr show dev lo").replace("lo    inet", "").splitlines()}
    assert held == {"127.0.0.1/8", "192.0.2.1/32", "203.0.113.2/32", "203.0.113.3/32"}


def test_a_host_that_does_not_route_is_told_of(host):
    host.switch("net/ipv4/ip_forward", "0")
    assert any("net.ipv4.ip_forward=1" in sentence for sentence in network.shortcomings())
    host.switch("net/ipv4/ip_forward", "1")
    assert network.shortcomings() == []


# --- with QEMU itself: a boot sector that ends it shows that it has taken its words


@pytest.fixture
def sector(tmp_path):
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("there is no command qemu-system-x86_64; on Debian: apt-get install qemu-system-x86")
    file = tmp_path / "sector"
    file.write_bytes(_SECTOR)
    with file.open() as opened:
        yield opened.fileno()


def boot(words, sector, *descriptors, **identity):
    """Fail unless QEMU takes the words, shut in as machines are."""
    command = [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg,tb-size=16"),
        *("-sandbox", "on,obsolete=deny,resourcecontrol=deny,spawn=allow,elevateprivileges=allow", "-m", "16"),
        *("-machine", "pc", *_EXIT_DEVICE, "-drive", f"file=/dev/fd/{sector},format=raw,if=floppy,readonly=on"),
    ]
    options = {"pass_fds": (sector, *descriptors), "capture_output": True, "text": True, "timeout": 60, **identity}
    done = subprocess.run([*command, *words], check=False, **options)
    assert done.returncode == _SECTOR_CODE, done.stderr


def a_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_qemu_takes_the_cards_of_a_machine_without_a_wire(sector):
    spec = a_launch_spec(5, ssh_port=a_port())
    boot((*user_mode(spec, "127.0.0.1", is_ssh_open=True), *service_nic(spec)), sector)


def test_qemu_takes_a_service_card_that_carries_ssh(sector):
    spec = a_launch_spec(5, ssh_port=a_port())
    boot(service_nic(spec, "127.0.0.1", is_ssh_open=True), sector)


async def test_qemu_takes_a_wire_although_it_may_do_nothing_to_the_network(host, sector):
    await network.lay(SPEC)
    descriptor = network.take_up(SPEC.id)
    boot(routed(SPEC, descriptor), sector, descriptor, user=NOBODY, group=NOBODY, extra_groups=())
    os.close(descriptor)
    assert network.laid() == {5}
