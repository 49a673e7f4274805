"""The two seams: where rows are kept, and where machines are made. Front-ends see neither; `core.service` sees both."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from core.errors import CoreError
from core.ids import AccountId, InstanceId, OrderId
from core.instances import STANDARD_METADATA, Instance, MetadataService, Power
from core.journal import Deed, DeedQuery, Entry, Event
from core.orders import Order
from core.securitygroups import SecurityGroup
from core.state import Record, State
from core.usage import Span, Usage

T = TypeVar("T")

# --- the store


@dataclass(frozen=True, slots=True)
class LaunchMaterial:
    """What the machines of an order are given at first boot, kept apart from the order because it is large or secret.

    `private_key` is the PEM of the order's own key, empty if it has none; it is sealed at rest.
    """

    order_id: OrderId
    user_data: bytes = field(default=b"", repr=False)
    private_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class MachineMaterial:
    """What one machine has of its own, kept apart from it: user data in place of its order's, and a root password.

    Empty where `Instance.has_user_data` or `has_password` says that it has none. The password is sealed at rest.
    """

    instance_id: InstanceId
    user_data: bytes = field(default=b"", repr=False)
    password: str = field(default="", repr=False)


class Transaction(Protocol):
    """The rows as one verb sees and changes them."""

    @property
    def state(self) -> State:
        """All records, with everything that this and earlier transactions have put."""
        ...

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write so far."""
        ...

    def put(self, record: Record) -> None:
        """Add the record, or replace the one with its key."""
        ...

    def drop(self, record: Record) -> None:
        """Remove the record with this one's key; removing what is absent changes nothing."""
        ...

    def put_material(self, material: LaunchMaterial) -> None:
        """Keep an order's launch material. Only `Store.material` reads it back."""
        ...

    def put_machine_material(self, material: MachineMaterial) -> None:
        """Keep a machine's own material, in place of what it has. Only `Store.machine_material` reads it back."""
        ...

    def note(self, entry: Entry) -> None:
        """Write down what this transaction means, if it is made. Only `Store.deeds` and `events` read it back."""
        ...

    def next_id(self, kind: type) -> int:
        """Return an integer never given out before for this kind of record, also across restarts."""
        ...


@dataclass(frozen=True, slots=True)
class ArchivedOrder:
    """An order that left the state some time after it closed, with its machines."""

    order: Order
    instances: tuple[Instance, ...]


class Store(Protocol):
    """Rows that survive `kill -9` once a call has returned."""

    async def view(self) -> State:
        """Return every live record as last committed.

        It is current when the call returns: a store that shares its database with other processes catches up first.
        Read what you need before you await anything else; do not keep it.
        """
        ...

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` as one transaction and return its result once all that it put is durable.

        `work` must be a plain function without side effects of its own: a store may run it again on a conflict. If it
        raises, nothing is changed and the exception goes on to the caller.

        Raises:
            StoreUnavailable: the commit failed; nothing was changed.
        """
        ...

    async def material(self, order_id: OrderId) -> LaunchMaterial:
        """Return an order's launch material; empty if it has none.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...

    async def machine_material(self, instance_id: InstanceId) -> MachineMaterial:
        """Return a machine's own material; empty if it has none.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...

    async def archived_order(self, order_id: OrderId) -> ArchivedOrder | None:
        """Return an order that is no longer in the state, or None.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...

    async def archived_order_by_key(self, order_key: str) -> ArchivedOrder | None:
        """Return an order that is no longer in the state by its order key, or None.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...

    async def archived_orders(
        self, account_id: AccountId, closed_since: datetime | None = None
    ) -> Sequence[ArchivedOrder]:
        """Return the account's orders that are no longer in the state, newest first; those closed since, or all.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...

    async def first_order_at(self, account_id: AccountId) -> datetime | None:
        """Return when the account made its first order, however long ago; None if it never made one.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...

    async def deeds(self, query: DeedQuery) -> Sequence[Deed]:
        """Return the deeds that are looked for, newest first.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...

    async def events(self, instance_id: InstanceId, most: int) -> Sequence[Event]:
        """Return the last events of a machine, newest first.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...

    async def news(self, revision: int) -> int:
        """Return the state's revision once it is a later one than this: at once, or after the next commit."""
        ...

    async def archive(self, closed_before: datetime) -> int:
        """Let orders that closed before then leave the state, with their machines; return how many did."""
        ...

    async def claim_nonce(self, key: str, timestamp: int, nonce: str) -> bool:
        """Whether this is the first time the triple comes; remembered across a restart for at least an hour."""
        ...

    async def check(self) -> None:
        """Return if rows can be written now.

        Raises:
            StoreUnavailable: they cannot.
        """
        ...

    async def close(self) -> None:
        """Finish what is being written and let go of the database."""
        ...


# --- the compute driver


class DriverCode(StrEnum):
    """Why a driver could not do as asked."""

    CONFLICT = "conflict"  # the name is owned by something else
    CAPACITY = "capacity"  # no room, no memory, no disk space
    PORT = "port"  # the ssh port is somebody else's on this host: with another one it may do
    IMAGE = "image"
    INVALID = "invalid"  # asking again is useless
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"  # the backend is down
    TIMEOUT = "timeout"  # the outcome is unknown: observe before anything else
    INTERNAL = "internal"


_RETRYABLE = frozenset({DriverCode.CAPACITY, DriverCode.UNAVAILABLE, DriverCode.TIMEOUT})


class DriverError(CoreError):
    """A driver's refusal. The message may be shown to the renter; `detail` is for the operator's log only."""

    def __init__(self, code: DriverCode, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.code, self.detail = code, detail

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in _RETRYABLE


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """A machine as it is to be. Its id is the backend's name for it, and so the key that makes repeating a call safe.

    `groups` are its security groups with their rules; a rule that names a group means the machines that were last told
    to be in it. `public_addresses` are bound to it and reach it on every port that the groups let through; over ssh
    everybody reaches it through `ssh_port` of the host besides, as far as the groups let them. `generation` is that of
    its disk: it goes up with each reinstallation. An empty `password` leaves root without one, or with the one it has.
    """

    id: InstanceId
    hostname: str
    image: str
    default_user: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    ssh_port: int
    ssh_keys: tuple[str, ...] = ()
    user_data: bytes = field(default=b"", repr=False)
    file_url: str = ""
    script_url: str = ""
    generation: int = 0
    password: str = field(default="", repr=False)
    private_address: str = ""
    hardware_address: str = ""
    public_addresses: tuple[str, ...] = ()
    groups: tuple[SecurityGroup, ...] = ()
    is_source_checked: bool = True
    metadata: MetadataService = STANDARD_METADATA
    architecture: str = "x86_64"
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What a machine has used: counters since it started, but for the memory. None: the driver cannot tell."""

    id: InstanceId
    cpu_seconds: float | None = None
    memory_used_mib: float | None = None
    disk_read_bytes: int | None = None
    disk_written_bytes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None


class SampleStore(Protocol):
    """What machines used, kept for a while. Nothing depends on it: what cannot be kept is lost, and no harm is done."""

    async def keep(self, usages: Sequence[Usage], seconds: float, living: Collection[InstanceId]) -> None:
        """Keep what machines used for so many seconds each, and forget every machine that does not live.

        Raises:
            StoreUnavailable: it cannot be kept.
        """
        ...

    async def usage(self, instance_id: InstanceId, span: Span, now: datetime) -> Sequence[Usage]:
        """Return the points of a machine that are kept of the span that ends now, the oldest first.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        ...

    async def close(self) -> None:
        """Finish what is being written and let go of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Observation:
    """What a driver sees of one machine. Empty addresses mean that it has none yet.

    `detail` is a sentence for the renter on why it crashed, where the driver can tell.
    """

    id: InstanceId
    power: Power
    private_address: str = ""
    public_address: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """What machines stand on. None: the driver cannot tell.

    `detail` is a sentence or two for the operator on why it is down, or not as it should be. `machines` counts those
    that stand there, up or not. `load` is how many processes wanted a processor, by the mean of the last minute.
    `accelerator` is "kvm", "tcg", or empty where that is unknown.
    """

    name: str
    is_up: bool = True
    detail: str = ""
    cpus: int | None = None
    memory_mib: int | None = None
    memory_free_mib: int | None = None
    disk_gib: int | None = None
    disk_free_gib: int | None = None
    load: float | None = None
    machines: int | None = None
    accelerator: str = ""


class SerialConsole(Protocol):
    """One who looks on at a machine's serial console, and types there. Of its past nothing is shown.

    All bytes go through as they are: a machine may write anything. Whoever opened it closes it.
    """

    async def read(self) -> bytes:
        """Return what the machine has written since the last call, some bytes; b"" once the connection has ended.

        It ends when the machine stops, and when the driver or the console is closed. Who reads too slowly misses the
        oldest of what was not read: the machine never waits for anybody.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Type at the machine; return once it is on its way. After the end nothing happens.

        Raises:
            DriverError: TIMEOUT, if the machine takes no keys; these are lost.
        """
        ...

    async def close(self) -> None:
        """Let go of the console, which the machine does not notice. Repeating it changes nothing."""
        ...


MetadataDoor = Callable[[InstanceId], asyncio.BaseProtocol]
"""Makes what talks with a machine that calls 169.254.169.254, port 80: the address to ask about itself."""


class ComputeDriver(Protocol):
    """Makes machines. Every verb may be repeated, also after an answer was lost; each returns what is seen afterwards.

    A verb raises `DriverError` and nothing else.
    """

    @property
    def name(self) -> str:
        """The name that config.toml knows the driver by."""
        ...

    @property
    def notice(self) -> str:
        """A sentence that the operator must know about this driver, or nothing."""
        ...

    async def open(self, metadata: MetadataDoor | None = None) -> None:
        """Connect and adopt the machines that live. A host that is down is no reason to fail.

        Each call of a machine to its metadata address is led to `metadata`, by which nobody can ask about another
        machine; without it, or where the spec's `metadata` is not enabled, nobody answers there.
        """
        ...

    async def close(self) -> None:
        """Detach. Machines go on running."""
        ...

    async def observe(self, instance_id: InstanceId) -> Observation:
        """Return what is seen now; `Power.ABSENT` for no such machine, `Power.UNKNOWN` if the backend is silent."""
        ...

    async def observe_all(self) -> Mapping[InstanceId, Observation]:
        """Return everything that bears our mark, orphans included."""
        ...

    def events(self) -> AsyncIterator[InstanceId]:
        """Yield the ids of machines worth looking at now: hints, which may be lost or doubled."""
        ...

    async def ensure(self, spec: LaunchSpec) -> Observation:
        """Make the machine, stopped; if it exists already, change nothing.

        Raises:
            DriverError: CAPACITY, IMAGE, INVALID, CONFLICT, UNAVAILABLE or TIMEOUT.
        """
        ...

    async def start(self, instance_id: InstanceId) -> Observation:
        """Start the machine; return once it is accepted, not booted. Starting what runs changes nothing.

        Raises:
            DriverError: CAPACITY, PORT, IMAGE, UNAVAILABLE or TIMEOUT; it is then as it was. After PORT, `update` tells
                the driver another one.
        """
        ...

    async def stop(self, instance_id: InstanceId, *, force: bool) -> Observation:
        """Shut the machine down; at once, without asking it, if forced. Stopping what is stopped changes nothing."""
        ...

    async def reboot(self, instance_id: InstanceId) -> Observation:
        """Restart the running machine's system, with the same disk."""
        ...

    async def update(self, spec: LaunchSpec) -> Observation:
        """Make the machine as the spec says in all but its disk's content: size, name, addresses, rules, password.

        A machine that runs takes over what it can at once, the rest when it starts next. Its size is changed only while
        it is stopped. Of a machine that is absent, nothing is changed.

        Raises:
            DriverError: CAPACITY, INVALID, UNSUPPORTED, UNAVAILABLE or TIMEOUT.
        """
        ...

    async def rebuild(self, spec: LaunchSpec) -> Observation:
        """Give the machine a new disk of the spec's image, and update it. One that was up is started again.

        Repeating it for the same `generation` changes nothing. All that was on the old disk is lost.

        Raises:
            DriverError: CAPACITY, IMAGE, INVALID, UNSUPPORTED, UNAVAILABLE or TIMEOUT.
        """
        ...

    async def destroy(self, instance_id: InstanceId, *, keeps_disk: bool = False) -> Observation:
        """Remove the machine, and its disk unless that is kept. Absent before is success.

        Called again for a machine that is gone, without `keeps_disk`, it removes the disk that was kept.
        """
        ...

    async def console_log(self, instance_id: InstanceId) -> bytes:
        """Return the end of what the machine wrote to its serial console, at most 64 KiB; nothing if it is absent.

        Raises:
            DriverError: UNAVAILABLE or TIMEOUT.
        """
        ...

    async def screenshot(self, instance_id: InstanceId) -> bytes:
        """Return what the machine's screen shows, a PNG; nothing if it is not up.

        Raises:
            DriverError: UNSUPPORTED for machines without a screen; UNAVAILABLE or TIMEOUT.
        """
        ...

    async def samples(self) -> Sequence[Sample]:
        """Return what each machine that is up has used.

        Raises:
            DriverError: UNAVAILABLE or TIMEOUT.
        """
        ...

    async def open_console(self, instance_id: InstanceId) -> SerialConsole:
        """Return a connection with the machine's serial console. Several may be open at once: all see the same.

        Raises:
            DriverError: UNSUPPORTED for machines without one; CONFLICT if the machine is not up, or somebody on its
                host has its console; UNAVAILABLE or TIMEOUT.
        """
        ...

    async def hosts(self) -> Sequence[Host]:
        """Return what the machines stand on.

        Raises:
            DriverError: UNAVAILABLE.
        """
        ...
