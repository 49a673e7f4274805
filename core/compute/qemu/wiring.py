"""How machines are connected: each alone with a way in by ssh, or on wires that the host routes and guards."""

import asyncio
import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from core.compute.qemu import firewall, network
from core.compute.qemu.firewall import Outside, guarded
from core.compute.qemu.network import StaticAddress, Traffic
from core.compute.qemu.settings import QemuSettings
from core.ids import InstanceId
from core.ports import LaunchSpec


@dataclass(frozen=True, slots=True)
class Cards:
    """The words that give QEMU a machine's network cards, and the descriptors that these name."""

    words: Sequence[str]
    descriptors: Sequence[int] = ()


class Wiring(Protocol):
    """How the machines of a host are connected. Every call may be repeated."""

    needs_relay: bool
    """Whether machines may have no way out, so that the gateway fetches for them."""

    def open(self) -> None:
        """Get to work. What was connected has stayed so while the gateway was away, and does until `refresh`.

        Raises:
            DriverError: UNAVAILABLE, if this host does not let us.
        """
        ...

    async def refresh(self) -> None:
        """Have the rules of all machines that there are.

        Raises:
            DriverError: UNAVAILABLE.
        """
        ...

    async def mend(self) -> None:
        """Put right what others have undone on the host meanwhile.

        Raises:
            DriverError: UNAVAILABLE.
        """
        ...

    def static_address(self, spec: LaunchSpec) -> StaticAddress | None:
        """Return what the machine's seed must say of its address; None: it learns it on the wire."""
        ...

    async def lay(self, spec: LaunchSpec) -> None:
        """Connect a machine that exists, or connect it as its spec says now.

        Raises:
            DriverError: UNAVAILABLE.
        """
        ...

    @contextmanager
    def plug(self, spec: LaunchSpec) -> Iterator[Cards]:
        """Yield the network cards that QEMU gives the machine, with what they name held open.

        Raises:
            DriverError: UNAVAILABLE.
        """
        ...

    def forward(self, spec: LaunchSpec) -> str:
        """Return the way in by ssh as QEMU's hostfwd_add and hostfwd_remove spell it; empty for none."""
        ...

    async def cut(self, instance_id: InstanceId) -> None:
        """Disconnect a machine that is no more.

        Raises:
            DriverError: UNAVAILABLE.
        """
        ...

    def traffic(self) -> Mapping[InstanceId, Traffic]:
        """Return what machines have received and sent; those are missing of which it cannot be told."""
        ...


class Alone:
    """See `Wiring`. Machines reach nobody, and nobody them, but for ssh through a port of the host."""

    needs_relay = True

    def __init__(self, ssh_host: str) -> None:
        self._listening = _listening(ssh_host)

    def open(self) -> None:
        """See `Wiring.open`: there is nothing to do."""

    async def refresh(self) -> None:
        """See `Wiring.refresh`: there are no rules."""

    async def mend(self) -> None:
        """See `Wiring.mend`: there is nothing to do."""

    def static_address(self, spec: LaunchSpec) -> StaticAddress | None:  # noqa: ARG002  all alike
        """See `Wiring.static_address`."""
        return None

    async def lay(self, spec: LaunchSpec) -> None:
        """See `Wiring.lay`: there is nothing to do."""

    @contextmanager
    def plug(self, spec: LaunchSpec) -> Iterator[Cards]:
        """See `Wiring.plug`."""
        is_open = network.is_ssh_open(spec.groups, is_guarded=False)
        yield Cards((*network.user_mode(spec, self._listening, is_ssh_open=is_open), *network.service_nic(spec)))

    def forward(self, spec: LaunchSpec) -> str:
        """See `Wiring.forward`."""
        is_open = network.is_ssh_open(spec.groups, is_guarded=False)
        return f"n0 tcp:{self._listening}:{spec.ssh_port}" if is_open else ""

    async def cut(self, instance_id: InstanceId) -> None:
        """See `Wiring.cut`: there is nothing to do."""

    def traffic(self) -> Mapping[InstanceId, Traffic]:
        """See `Wiring.traffic`: nobody counts."""
        return {}


class Routed:
    """See `Wiring`. `specs` returns every machine there is, for the rules are about all of them at once."""

    def __init__(self, settings: QemuSettings, ssh_host: str, specs: Callable[[], Collection[LaunchSpec]]) -> None:
        self._listening, self._specs = _listening(ssh_host), specs
        self.needs_relay = not settings.shared_address
        self._name_servers = settings.name_servers
        self._outside = Outside(settings.shared_address, settings.closed_to, settings.name_servers)
        self._loading = asyncio.Lock()
        self._wanted = self._loaded = 0

    def open(self) -> None:
        """See `Wiring.open`."""
        network.claim()

    async def refresh(self) -> None:
        """See `Wiring.refresh`."""
        await self._load()

    async def mend(self) -> None:
        """See `Wiring.mend`. Whoever restarts the host's own firewall flushes ours."""
        if not await firewall.is_loaded():
            await self._load()

    def static_address(self, spec: LaunchSpec) -> StaticAddress | None:
        """See `Wiring.static_address`."""
        return network.static_address(spec, self._name_servers)

    async def lay(self, spec: LaunchSpec) -> None:
        """See `Wiring.lay`. The guard stands before the wire is there."""
        await self._load()
        await network.lay(spec)

    @contextmanager
    def plug(self, spec: LaunchSpec) -> Iterator[Cards]:
        """See `Wiring.plug`."""
        is_open = network.is_ssh_open(spec.groups, is_guarded=True)
        service = network.service_nic(spec, self._listening, is_ssh_open=is_open)
        wire = network.take_up(spec.id)
        try:
            yield Cards((*network.routed(spec, wire), *service), (wire,))
        finally:
            os.close(wire)

    def forward(self, spec: LaunchSpec) -> str:
        """See `Wiring.forward`."""
        is_open = network.is_ssh_open(spec.groups, is_guarded=True)
        return f"n1 tcp:{self._listening}:{spec.ssh_port}" if is_open else ""

    async def cut(self, instance_id: InstanceId) -> None:
        """See `Wiring.cut`."""
        await network.cut(instance_id)
        await self._load()

    def traffic(self) -> Mapping[InstanceId, Traffic]:
        """See `Wiring.traffic`."""
        return network.traffic()

    async def _load(self) -> None:
        """Load the rules for all machines; callers that come while rules are loaded share the next loading."""
        self._wanted += 1
        mine = self._wanted
        async with self._loading:
            if self._loaded >= mine:
                return
            reached, specs = self._wanted, list(self._specs())
            machines = [guarded(spec, has_wire=True) for spec in specs]
            await firewall.load(await asyncio.to_thread(firewall.ruleset, machines, self._outside))
            await network.hold({address for spec in specs for address in spec.public_addresses})
            self._loaded = reached


def _listening(ssh_host: str) -> str:
    """Return the address of this host to listen on for ssh: the one that customers are told, if it is the host's own.

    It is not where they are told a name, or the address of something in front of this host; then it is all of them.
    """
    try:
        ip_address(ssh_host)
        with socket.socket() as probe:
            probe.bind((ssh_host, 0))
    except (ValueError, OSError):
        return "0.0.0.0"  # noqa: S104  customers come from everywhere
    return ssh_host
