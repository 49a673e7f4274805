"""How machines are on the network: alone behind QEMU's user-mode network, or each on a wire of its own to the host.

A wire is a tap that the host routes to. No two machines share one, so that all they send one another, the host and the
world passes the host's firewall, and none can pass for another. To a machine its zone looks like one network
nevertheless, because the host answers for the others.
"""

import errno
import fcntl
import json
import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

from core.compute.qemu.firewall import WIRE, lets_everybody_in, lets_somebody_in, wire_name
from core.compute.qemu.hostcommand import run
from core.compute.qemu.machine import METADATA
from core.ids import InstanceId
from core.ports import DriverCode, DriverError, LaunchSpec
from core.securitygroups import SecurityGroup

METADATA_ADDRESS = "169.254.169.254"
"""Where a machine asks about itself."""

_SSH_PORT = 22
_ZONE_PREFIX = 16
_SERVICE_NETWORK = "net=169.254.0.0/16,host=169.254.0.2,dhcpstart=169.254.0.50"
_SERVICE_ADDRESS = "169.254.0.50"
_SERVICE_OCTET = "06"


@dataclass(frozen=True, slots=True)
class StaticAddress:
    """What a machine on a wire must be told of its network, where nobody answers DHCP."""

    address: str
    prefix: int
    gateway: str
    name_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traffic:
    """What has gone over a wire since it was laid, as the machine sees it, bytes."""

    received_bytes: int
    sent_bytes: int


# --- the words that QEMU is told


def user_mode(spec: LaunchSpec, listening: str, *, is_ssh_open: bool) -> tuple[str, ...]:
    """Return the first network card of a machine without a wire. It has its address by DHCP, and no way out.

    If `is_ssh_open`, the machine's ssh answers on its ssh port of the host's address `listening`.
    """
    options = [
        "user,id=n0,restrict=on,ipv6=off",
        f"net={IPv4Interface(f'{spec.private_address}/{_ZONE_PREFIX}').network}",
        f"dhcpstart={spec.private_address}",
        *_forward(spec, listening, spec.private_address, is_open=is_ssh_open),
    ]
    return "-netdev", ",".join(options), "-device", _card("n0", spec.hardware_address)


def routed(spec: LaunchSpec, descriptor: int) -> tuple[str, ...]:
    """Return the first network card of a machine on a wire, which is open at a descriptor that QEMU is handed."""
    return "-netdev", f"tap,id=n0,fd={descriptor}", "-device", _card("n0", spec.hardware_address)


def service_nic(spec: LaunchSpec, listening: str = "", *, is_ssh_open: bool = False) -> tuple[str, ...]:
    """Return the second network card of a machine, by which it asks about itself, and nothing else.

    It carries its ssh too where the first cannot, that is on a wire.
    """
    call = f"guestfwd=tcp:{METADATA_ADDRESS}:80-cmd:socat -t 60 - UNIX-CONNECT:{METADATA}"
    options = [
        "user,id=n1,restrict=on,ipv6=off",
        _SERVICE_NETWORK,
        *([call] if spec.metadata.is_enabled else []),
        *_forward(spec, listening, _SERVICE_ADDRESS, is_open=is_ssh_open),
    ]
    return "-netdev", ",".join(options), "-device", _card("n1", service_hardware_address(spec.hardware_address))


def service_hardware_address(hardware_address: str) -> str:
    """Return the MAC address of a machine's second network card, by that of its first."""
    return _SERVICE_OCTET + hardware_address[2:]


def is_ssh_open(groups: Iterable[SecurityGroup], *, is_guarded: bool) -> bool:
    """Whether the host's ssh port for a machine is to be open.

    Only a firewall can tell callers apart there: behind QEMU's user-mode network all look the same. Unless the port
    `is_guarded` by one, a rule for some callers therefore lets nobody in.
    """
    return lets_somebody_in(groups) if is_guarded else lets_everybody_in(groups)


def _forward(spec: LaunchSpec, listening: str, address: str, *, is_open: bool) -> Iterator[str]:
    if is_open:
        yield f"hostfwd=tcp:{listening}:{spec.ssh_port}-{address}:{_SSH_PORT}"


def _card(netdev: str, hardware_address: str) -> str:
    return f"virtio-net-pci,netdev={netdev},mac={hardware_address},romfile="


# --- wires


_COUNTERS = Path("/proc/net/dev")
_RECEIVED_BYTES, _SENT_BYTES = 0, 8  # its columns
_SWITCHES = Path("/proc/sys/net")
_TUN = Path("/dev/net/tun")
_HELD = "lo:onefleet"
"""The label of the public addresses that the host answers for."""

# Source: linux/if_tun.h.
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_LONGEST_NAME = 15
_TAP = 0x0002 | 0x1000 | 0x4000  # a tap, without a head of its own, with virtio's

_SWITCHED: Mapping[str, str] = {
    "ipv6/conf/{wire}/disable_ipv6": "1",
    "ipv4/conf/{wire}/forwarding": "1",
    # The host answers for the rest of the zone, at once.
    "ipv4/conf/{wire}/proxy_arp": "1",
    "ipv4/neigh/{wire}/proxy_delay": "0",
    # Neighbours seem to be on one network and are not: nobody must be told of a shorter way, or believe of one.
    "ipv4/conf/{wire}/send_redirects": "0",
    "ipv4/conf/{wire}/accept_redirects": "0",
    # The firewall checks sources, and knows which machines need not be checked.
    "ipv4/conf/{wire}/rp_filter": "0",
}


_CLAIM = "\0onefleet-routed"
_claims: list[int] = []


def static_address(spec: LaunchSpec, name_servers: Sequence[str] = ()) -> StaticAddress:
    """Return what a machine on a wire is to be told. It knows no public address, as in EC2: the host exchanges them."""
    return StaticAddress(spec.private_address, _ZONE_PREFIX, _gateway(spec), tuple(name_servers))


def claim() -> None:
    """Make this process the only one whose machines are on wires of this host, for as long as it lives.

    Wires and rules are called the same whoever makes them. Repeating it changes nothing.

    Raises:
        DriverError: UNAVAILABLE, if another process has claimed them.
    """
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(_CLAIM)  # an abstract name: it is free again when its holder has ended, however that comes
    except OSError as error:
        name.close()
        if error.errno == errno.EADDRINUSE and not _claims:
            raise _refusal(
                "another gateway of this host has machines with compute.qemu.network set to routed"
            ) from error
        return
    _claims.append(name.detach())


async def lay(spec: LaunchSpec) -> None:
    """Lay the machine's wire, or mend it. The firewall must be loaded before: nothing else guards a wire.

    It outlasts the gateway and the machine's stops. Repeating it changes nothing.

    Raises:
        DriverError: UNAVAILABLE, if the host cannot; TIMEOUT.
    """
    wire = wire_name(spec.id)
    try:
        if not _exists(wire):
            _make(wire)
        for switch, value in _SWITCHED.items():
            _switch(_SWITCHES / switch.format(wire=wire), value)
    except OSError as error:
        raise _refusal(f"laying {wire}: {error}") from error
    await _ip(
        f"link set dev {wire} up",
        f"address replace {_gateway(spec)}/32 dev {wire}",
        f"route replace {spec.private_address}/32 dev {wire} src {_gateway(spec)}",
        # It is told for good, so that no answer of any machine can change it.
        f"neighbour replace {spec.private_address} lladdr {spec.hardware_address} dev {wire} nud permanent",
    )


def take_up(instance_id: InstanceId) -> int:
    """Return a descriptor of the machine's end of its wire. Whoever has handed it to QEMU closes it.

    Raises:
        DriverError: UNAVAILABLE, if there is no wire or somebody has its end already.
    """
    wire = wire_name(instance_id)
    if not _exists(wire):  # it would be made, and by nobody's rules
        raise _refusal(f"{wire} was never laid")
    try:
        return _attached(wire)
    except OSError as error:
        busy = "a process has it already" if error.errno == errno.EBUSY else str(error)
        raise _refusal(f"taking up {wire}: {busy}") from error


async def cut(instance_id: InstanceId) -> None:
    """Remove the machine's wire. One that is not there is no error.

    Raises:
        DriverError: UNAVAILABLE, if the host cannot; TIMEOUT.
    """
    wire = wire_name(instance_id)
    try:
        if _exists(wire):
            await _ip(f"link delete dev {wire}")
    except DriverError:
        if _exists(wire):  # else somebody was faster
            raise


def laid() -> frozenset[InstanceId]:
    """Return the machines that have a wire."""
    return frozenset(machine for _, name in socket.if_nameindex() if (machine := _machine(name)) is not None)


def traffic() -> Mapping[InstanceId, Traffic]:
    """Return what has gone over each machine's wire."""
    counted = {}
    for line in _COUNTERS.read_text().splitlines():
        name, _, numbers = line.partition(":")
        if (machine := _machine(name.strip())) is not None:
            columns = numbers.split()
            # What the host sends, the machine receives.
            counted[machine] = Traffic(int(columns[_SENT_BYTES]), int(columns[_RECEIVED_BYTES]))
    return counted


async def hold(addresses: Collection[str]) -> None:
    """Have the host answer for these public addresses, and for no others that it was told of before.

    Whoever asks for them on any network of the host is told that they are here; the firewall passes them on to their
    machines. Of IPv6 addresses, nothing is done.

    Raises:
        DriverError: UNAVAILABLE, if the host cannot; TIMEOUT.
    """
    shown = json.loads(await run(["ip", "-json", "-4", "address", "show", "dev", "lo"], package=_PACKAGE))
    entries = [entry for link in shown for entry in link.get("addr_info", ())]
    held = {entry["local"] for entry in entries if entry.get("label") == _HELD}
    wanted = {address for address in addresses if ":" not in address}
    await _ip(
        *(f"address delete {address}/32 dev lo" for address in sorted(held - wanted)),
        *(f"address replace {address}/32 dev lo label {_HELD}" for address in sorted(wanted - held)),
    )


def shortcomings() -> Sequence[str]:
    """Return why wires would not work on this host, a sentence each that tells what to do; nothing if they would."""
    found = []
    if os.geteuid() != 0:
        found.append("Only root can lay wires: run the gateway as root, or set compute.qemu.network to user.")
    if not _TUN.exists():
        found.append(f"There is no {_TUN}: load the kernel's module tun.")
    if not _routes():
        found.append("This host does not route, so that machines reach only one another: sysctl net.ipv4.ip_forward=1.")
    return found


_PACKAGE = "iproute2"


def _routes() -> bool:
    try:
        return (_SWITCHES / "ipv4/ip_forward").read_text().strip() == "1"
    except OSError:
        return False


async def _ip(*commands: str) -> None:
    if commands:
        await run(["ip", "-batch", "-"], "\n".join([*commands, ""]), package=_PACKAGE)


def _exists(wire: str) -> bool:
    return any(name == wire for _, name in socket.if_nameindex())


def _machine(name: str) -> InstanceId | None:
    """Return the machine that an interface is the wire of; None if it is none."""
    ending = name.removeprefix(WIRE)
    return InstanceId(int(ending)) if name.startswith(WIRE) and ending.isdecimal() else None


def _gateway(spec: LaunchSpec) -> str:
    return str(IPv4Interface(f"{spec.private_address}/{_ZONE_PREFIX}").network[1])


def _switch(path: Path, value: str) -> None:
    # A host without IPv6 has no switch to turn it off.
    if path.exists() and path.read_text().strip() != value:
        path.write_text(value)


def _make(wire: str) -> None:
    descriptor = _attached(wire)
    with ExitStack() as closing:
        closing.callback(os.close, descriptor)
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)


def _attached(wire: str) -> int:
    if len(wire) > _LONGEST_NAME:  # the kernel would take the beginning of it
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), wire)
    descriptor = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
    with ExitStack() as closing:
        closing.callback(os.close, descriptor)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", wire.encode(), _TAP))
        closing.pop_all()
    return descriptor


def _refusal(detail: str) -> DriverError:
    return DriverError(DriverCode.UNAVAILABLE, "The host cannot put the machine on its network now.", detail=detail)
