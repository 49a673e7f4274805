"""Makes machines what their rows ask for, and writes into the rows what the driver sees of them.

It is level-triggered: a round compares one row with one observation, takes one step from a table, and writes down what
came of it. Nothing else is remembered, so a restart after a crash is just another round. Rounds of one machine never
overlap; those of different machines do, and so share the store's commits.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto

import structlog

from core.booking import PortRange, free_port
from core.clock import Clock
from core.disks import KeptDisk
from core.errors import InsufficientCapacity, StoreUnavailable
from core.holding import let_go
from core.ids import InstanceId, OrderId
from core.instances import (
    Cause,
    Instance,
    Power,
    Wanted,
    absorb,
    after_failed_rebuild,
    after_failure,
    after_moving_port,
    after_rebooting,
    after_work,
)
from core.journal import events_between, log_change
from core.networks import hardware_address
from core.ports import (
    ComputeDriver,
    DriverCode,
    DriverError,
    LaunchSpec,
    MachineMaterial,
    Observation,
    Store,
    Transaction,
)
from core.tags import Resource, ResourceKind, TagSet

Move = Callable[[Instance, datetime], Instance]

BACKOFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""How long to wait after each failure in a row; after the last, always as long as that."""

MOST_PORTS_IN_A_ROW = 16
"""How many ports of a machine may turn out to be somebody else's before it is given up."""

_YIELD_EVERY = 500
"""How many rows a sweep looks at before it lets others run: less than a millisecond's worth."""


class OrphanPolicy(StrEnum):
    """What becomes of a machine of the driver that no row knows of."""

    REPORT = "report"  # it is left alone
    REMOVE = "remove"  # once two sweeps in a row have seen it


class Step(Enum):
    """What a round can do to a machine."""

    MAKE = auto()
    START = auto()
    STOP = auto()
    REBOOT = auto()
    UPDATE = auto()
    REBUILD = auto()
    DESTROY = auto()


_STEPS: Mapping[tuple[Wanted, Power], Step] = {
    (Wanted.RUNNING, Power.ABSENT): Step.MAKE,
    (Wanted.RUNNING, Power.STOPPED): Step.START,
    (Wanted.RUNNING, Power.CRASHED): Step.START,
    (Wanted.STOPPED, Power.STARTING): Step.STOP,
    (Wanted.STOPPED, Power.RUNNING): Step.STOP,
    **{(Wanted.TERMINATED, power): Step.DESTROY for power in Power if power not in (Power.ABSENT, Power.UNKNOWN)},
}
_STEPS_TO_REBOOT: Mapping[tuple[Wanted, Power], Step] = {(Wanted.RUNNING, Power.RUNNING): Step.REBOOT}
_STEPS_TO_FORCE: Mapping[tuple[Wanted, Power], Step] = {(Wanted.STOPPED, Power.STOPPING): Step.STOP}

# What can be changed of a machine is changed before it goes anywhere else.
_STANDING = frozenset({Power.STOPPED, Power.CRASHED, Power.RUNNING})

_FATES: Mapping[OrphanPolicy, str] = {
    OrphanPolicy.REPORT: "it is left alone",
    OrphanPolicy.REMOVE: "it is removed if the next sweep sees it too",
}

_WITHOUT_DISK = frozenset({None, Power.CREATING, Power.ABSENT})

_STARTING_UP = frozenset({Step.MAKE, Step.START})
_CHANGING = frozenset({Step.UPDATE, Step.REBUILD})
_TAKING_OVER = _CHANGING | {Step.MAKE}
_NEVER_GIVEN_UP = frozenset({Step.STOP, Step.DESTROY})
_NEEDING_PORT = _STARTING_UP | _CHANGING
# A launch does not wait for room: a quick, clear answer is worth more to its renter than a place in a queue.
_PASSING_TROUBLE = frozenset({DriverCode.UNAVAILABLE, DriverCode.TIMEOUT})


@dataclass(frozen=True, slots=True)
class Backlog:
    """A machine that has not been dealt with yet: for how long, how often in a row that failed, and why it did last."""

    instance_id: InstanceId
    waits_seconds: float
    failures: int
    trouble: str


def step_for(row: Instance, power: Power) -> Step | None:
    """Return what to do about a machine that is seen at `power`, its row having absorbed that; None for nothing."""
    key = row.wanted, power
    if row.needs_work and power in _STANDING:
        return Step.UPDATE if row.generation == row.built else Step.REBUILD
    if row.needs_reboot and key in _STEPS_TO_REBOOT:
        return _STEPS_TO_REBOOT[key]
    if row.is_forced and key in _STEPS_TO_FORCE:
        return _STEPS_TO_FORCE[key]
    return _STEPS.get(key)


class Reconciler:
    """The loop between rows and machines. `run` is the loop; everything else may be called before it runs.

    `has_swept` tells whether the sweep that `run` begins with is done. `orphans` counts the driver's machines that have
    no row, as of the last sweep. A machine whose ssh port is a stranger's on its host gets another one of `ports`.
    """

    def __init__(
        self,
        store: Store,
        driver: ComputeDriver,
        clock: Clock,
        ports: PortRange,
        *,
        sweep_seconds: float = 30.0,
        workers: int = 16,
        launch_timeout_seconds: float = 600.0,
        retention: timedelta = timedelta(hours=24),
        backoff_seconds: Sequence[float] = BACKOFF_SECONDS,
        orphan_policy: OrphanPolicy = OrphanPolicy.REPORT,
    ) -> None:
        self._store, self._driver, self._clock, self._ports = store, driver, clock, ports
        self._sweep_seconds, self._workers, self._retention = sweep_seconds, workers, retention
        self._launch_timeout_seconds, self._backoff_seconds = launch_timeout_seconds, backoff_seconds
        self._take: Mapping[Step, Callable[[Instance], Awaitable[Observation]]] = {
            Step.MAKE: self._make,
            Step.START: lambda row: driver.start(row.id),
            Step.STOP: lambda row: driver.stop(row.id, force=row.is_forced),
            Step.REBOOT: lambda row: driver.reboot(row.id),
            Step.UPDATE: self._update,
            Step.REBUILD: self._rebuild,
            Step.DESTROY: self._destroy,
        }
        self._queue: asyncio.Queue[InstanceId] = asyncio.Queue()
        self._queued: set[InstanceId] = set()
        self._in_work: set[InstanceId] = set()
        self._again: set[InstanceId] = set()  # woken while in work
        self._timers: dict[InstanceId, asyncio.TimerHandle] = {}
        self._failures: Counter[InstanceId] = Counter()  # in a row
        self._troubles: dict[InstanceId, str] = {}  # what the last of them was
        self._woken_at: dict[InstanceId, float] = {}  # what no round has dealt with yet, oldest first
        self._tried_since: dict[InstanceId, float] = {}  # what is being brought up
        self._strange_ports: dict[InstanceId, set[int]] = {}  # that were tried in a row
        self._orphan_policy = orphan_policy
        self._orphans: set[InstanceId] = set()
        self._doomed: set[InstanceId] = set()  # the orphans that are to be removed
        self.has_swept = False
        self._log = structlog.get_logger("reconciler")

    # --- what others use

    async def run(self) -> None:
        """Keep machines and rows together until cancelled, beginning with a sweep. It may be run again after that."""
        self.has_swept = False
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat(self._sweep, self._sweep_seconds), name="reconciler sweep")
                group.create_task(self._repeat(self._listen, self._backoff_seconds[0]), name="reconciler events")
                for number in range(self._workers):
                    group.create_task(self._work(), name=f"reconciler {number}")
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    def wake(self, ids: Iterable[InstanceId]) -> None:
        """Have machines looked at soon. Cheap; telling it twice is as good as once."""
        now = time.monotonic()
        for instance_id in ids:
            self._woken_at.setdefault(instance_id, now)
            if instance_id in self._in_work:
                self._again.add(instance_id)
            elif instance_id not in self._queued:
                self._queued.add(instance_id)
                self._queue.put_nowait(instance_id)

    def lag_seconds(self) -> float:
        """Return for how long the machine that has waited longest has not been dealt with; 0 if none waits."""
        oldest = next(iter(self._woken_at.values()), None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    @property
    def queue_length(self) -> int:
        """How many machines wait to be looked at."""
        return self._queue.qsize()

    def backlog(self) -> Sequence[Backlog]:
        """Return what has not been dealt with, what waits longest first."""
        now = time.monotonic()
        return [
            Backlog(each, now - since, self._failures[each], self._troubles.get(each, ""))
            for each, since in self._woken_at.items()
        ]

    @property
    def orphan_ids(self) -> Sequence[InstanceId]:
        """Which machines of the driver had no row when it was last swept."""
        return sorted(self._orphans)

    @property
    def orphans(self) -> int:
        """How many machines of the driver had no row when it was last swept."""
        return len(self._orphans)

    async def settle(self) -> None:
        """Return once nothing is queued or in work; what waits for a better moment is neither."""
        await self._queue.join()

    # --- the loops

    async def _work(self) -> None:
        while True:
            instance_id = await self._queue.get()
            self._queued.discard(instance_id)
            self._in_work.add(instance_id)
            if (timer := self._timers.pop(instance_id, None)) is not None:
                timer.cancel()
            is_done = False
            try:
                is_done = await self._survives(self._round(instance_id), instance_id)
            finally:
                self._in_work.discard(instance_id)
                self._conclude(instance_id, is_done=is_done)
                self._queue.task_done()

    def _conclude(self, instance_id: InstanceId, *, is_done: bool) -> None:
        if is_done:
            self._failures.pop(instance_id, None)
            self._troubles.pop(instance_id, None)
            self._woken_at.pop(instance_id, None)
        else:
            seconds = self._backoff_seconds[min(self._failures[instance_id], len(self._backoff_seconds) - 1)]
            self._failures[instance_id] += 1
            self._timers[instance_id] = asyncio.get_running_loop().call_later(seconds, self.wake, (instance_id,))
        if instance_id in self._again:
            self._again.discard(instance_id)
            self.wake((instance_id,))

    async def _repeat(self, work: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
        while True:
            await self._survives(work())
            await asyncio.sleep(pause_seconds)

    async def _survives(self, work: Awaitable[None], instance_id: InstanceId | None = None) -> bool:
        """Whether the work was done. What stopped it is logged: no single machine may end the loop."""
        try:
            await work
        except DriverError as error:
            self._note_trouble(instance_id, f"{error} ({error.detail})" if error.detail else str(error))
            self._log.warning(
                "driver: %s", error, code=error.code.value, detail=error.detail or None, instance_id=instance_id
            )
        except StoreUnavailable as error:
            self._note_trouble(instance_id, str(error))
            self._log.warning("store: %s", error, instance_id=instance_id)
        except Exception as error:  # noqa: BLE001  a fault in one machine's round must not end everyone's
            self._note_trouble(instance_id, repr(error))
            self._log.exception("reconciling failed", instance_id=instance_id)
        else:
            return True
        return False

    def _note_trouble(self, instance_id: InstanceId | None, trouble: str) -> None:
        if instance_id is not None:
            self._troubles[instance_id] = trouble

    async def _listen(self) -> None:
        async for instance_id in self._driver.events():
            self.wake((instance_id,))

    async def _sweep(self) -> None:
        """Wake every machine that is not as its row asks or says; events may be lost, this is not."""
        state = await self._store.view()
        self.wake(disk.id for disk in state.kept_disks.values() if disk.is_unwanted)
        await self._wake_where(list(state.instances.values()), lambda row: not row.is_at_rest)
        await self._store.archive(self._clock.now() - self._retention)
        seen = await self._driver.observe_all()
        # Rows are read after machines: a machine is made after its row, so none is taken for an orphan.
        state = await self._store.view()
        rows = list(state.instances.values())
        self._note_orphans(seen.keys() - state.instances.keys())
        await self._wake_where(rows, lambda row: _differs(row, seen.get(row.id)))
        self.has_swept = True

    async def _wake_where(self, rows: Sequence[Instance], needs_a_look: Callable[[Instance], bool]) -> None:
        for first in range(0, len(rows), _YIELD_EVERY):
            self.wake(row.id for row in rows[first : first + _YIELD_EVERY] if needs_a_look(row))
            await asyncio.sleep(0)

    def _note_orphans(self, ids: set[InstanceId]) -> None:
        for instance_id in ids - self._orphans:
            self._log.warning("a machine has no row; %s", _FATES[self._orphan_policy], instance_id=instance_id)
        self._doomed = ids & self._orphans if self._orphan_policy is OrphanPolicy.REMOVE else set()
        self._orphans = ids
        self.wake(self._doomed)

    # --- one round

    async def _round(self, instance_id: InstanceId) -> None:
        state = await self._store.view()
        row = state.instances.get(instance_id)
        disk = state.kept_disks.get(instance_id)
        if row is None or row.is_gone:
            await self._clear_away(disk)
        if row is None:
            await self._remove_orphan(instance_id, keeps_disk=disk is not None and not disk.is_unwanted)
            return
        seen = await self._driver.observe(instance_id)
        if seen.power is Power.UNKNOWN:
            raise DriverError(DriverCode.UNAVAILABLE, "The backend does not say how the machine is.")
        absorbing = _absorbing(seen)
        known = absorbing(row, self._clock.now())
        step = step_for(known, seen.power)
        if known.wanted is not row.wanted:
            # What the machine did by itself is written down before anything is done about it.
            await self._record(row, absorbing)
        elif step is not None:
            await self._record(row, *await self._outcome(row, step))
        elif known.is_launching and self._is_late(known):
            await self._record(row, self._too_late)
        elif known is not row:
            await self._record(row, absorbing)

    async def _outcome(self, row: Instance, step: Step) -> tuple[Move, str]:
        """Take the step and return what it means for the row, and why it was given up, if it was.

        Raises:
            DriverError: it failed and is worth trying again.
        """
        is_late = (step in _STARTING_UP or row.is_launching) and self._is_late(row)
        try:
            seen = await self._take[step](row)
        except DriverError as error:
            if step in _NEVER_GIVEN_UP or (error.code in _PASSING_TROUBLE and not is_late):
                raise
            if error.code is DriverCode.PORT and step in _NEEDING_PORT:
                if await self._has_moved_port(row):
                    return _leave, ""
                error = _no_port(error)
            self._log.warning(
                "gave up: %s",
                error,
                step=step.name,
                code=error.code.value,
                detail=error.detail or None,
                instance_id=row.id,
            )
            left = await self._driver.observe(row.id) if step is Step.REBUILD else None
            return _given_up(step, row, error, left), str(error)
        return _taken(step, row, seen), ""

    async def _has_moved_port(self, row: Instance) -> bool:
        """Whether the machine, whose ssh port is a stranger's, has another one now."""
        strange = self._strange_ports.setdefault(row.id, set())
        strange.add(row.ssh_port)
        if len(strange) >= MOST_PORTS_IN_A_ROW:
            return False

        def work(tx: Transaction) -> int | None:
            before = tx.state.instances.get(row.id)
            if before is None or before.has_ended or before.ssh_port != row.ssh_port:
                return None  # it needs none, or has got one
            port = free_port(self._ports, row.ssh_port + 1, tx.state.ssh_ports | strange)
            tx.put(after_moving_port(before, port))
            return port

        try:
            port = await self._store.transact(work)
        except InsufficientCapacity:
            return False
        if port is not None:
            text = "ssh port %d is taken on the host by something else; the machine gets %d"
            self._log.warning(text, row.ssh_port, port, instance_id=row.id)
        return True

    async def _make(self, row: Instance) -> Observation:
        seen = await self._driver.ensure(await self._launch_spec(row))
        return await self._driver.start(row.id) if seen.power is Power.STOPPED else seen

    async def _update(self, row: Instance) -> Observation:
        return await self._driver.update(await self._launch_spec(row))

    async def _rebuild(self, row: Instance) -> Observation:
        seen = await self._driver.rebuild(await self._launch_spec(row))
        # If the gateway died after the first time of asking, the machine may have been left down.
        is_to_run = row.wanted is Wanted.RUNNING and seen.power in (Power.STOPPED, Power.CRASHED)
        return await self._driver.start(row.id) if is_to_run else seen

    async def _destroy(self, row: Instance) -> Observation:
        # A machine that came back after its end goes without the disk that was kept of it.
        has_kept = row.is_gone and row.id in (await self._store.view()).kept_disks
        return await self._driver.destroy(row.id, keeps_disk=has_kept or keeps_disk(row))

    async def _remove_orphan(self, instance_id: InstanceId, *, keeps_disk: bool) -> None:
        """Remove a machine that has no row, if that is to be done; a disk that was kept of it stays."""
        if instance_id not in self._doomed:
            return
        await self._driver.destroy(instance_id, keeps_disk=keeps_disk)
        self._doomed.discard(instance_id)
        self._log.warning("a machine without a row was removed", instance_id=instance_id)

    async def _clear_away(self, disk: KeptDisk | None) -> None:
        """Remove a disk that was kept and is no longer wanted."""
        if disk is None or not disk.is_unwanted:
            return
        await self._driver.destroy(disk.id)

        def work(tx: Transaction) -> None:
            tx.drop(disk)
            tx.drop(TagSet(Resource(disk.account_id, ResourceKind.DISK, disk.id), {}))

        await self._store.transact(work)

    async def _launch_spec(self, row: Instance) -> LaunchSpec:
        order = (await self._store.view()).orders[row.order_id]
        own, user_data = MachineMaterial(row.id), b""
        if row.has_user_data or row.has_password:
            own = await self._store.machine_material(row.id)
        if row.has_user_data:
            user_data = own.user_data
        elif order.has_user_data:
            user_data = (await self._store.material(row.order_id)).user_data
        state = await self._store.view()
        product, image = state.products[row.product_id], state.images[row.image_id]
        return LaunchSpec(
            id=row.id,
            hostname=row.hostname,
            image=image.name,
            default_user=image.default_user,
            vcpus=product.vcpus,
            memory_mib=product.memory_mib,
            disk_gib=product.disk_gib,
            ssh_port=row.ssh_port,
            ssh_keys=(order.public_key,) if order.public_key else (),
            user_data=user_data,
            file_url=order.file_url,
            script_url=order.script_url,
            generation=row.generation,
            password=own.password,
            private_address=row.private_address,
            hardware_address=hardware_address(row.id),
            public_addresses=tuple(address.address for address in state.bound_to(row.id)),
            groups=tuple(state.security_groups[each] for each in row.group_ids if each in state.security_groups),
            is_source_checked=row.options.is_source_checked,
            metadata=row.options.metadata,
            architecture=product.architecture,
            gpus=product.gpu.count if product.gpu else 0,
        )

    async def _record(self, acted_on: Instance, move: Move, refusal: str = "") -> None:
        """Write down what came of a round, and look again if the row now asks for something else."""
        now = self._clock.now()

        def work(tx: Transaction) -> tuple[Instance, Instance] | None:
            before = tx.state.instances.get(acted_on.id)
            if before is None:
                return None
            after = move(before, now)
            if after != before:
                tx.put(after)
                for event in events_between(before, after, now, refusal=refusal):
                    tx.note(event)
                if after.is_gone:
                    _settle(tx, before, after, now)
            return before, after

        change = await self._store.transact(work)
        if change is None:
            return
        before, after = change
        log_change(self._log, before, after)
        if after.is_at_rest:
            self._tried_since.pop(after.id, None)
            self._strange_ports.pop(after.id, None)
        if _asks(after) != _asks(acted_on):
            self.wake((after.id,))

    def _is_late(self, row: Instance) -> bool:
        """Whether the machine has been brought up for too long. A restart of the gateway begins the count anew."""
        now = time.monotonic()
        return now - self._tried_since.setdefault(row.id, now) >= self._launch_timeout_seconds

    def _too_late(self, row: Instance, now: datetime) -> Instance:
        detail = f"The machine did not come up within {self._launch_timeout_seconds:g} seconds."
        return after_failure(row, now, Cause.LAUNCH_FAILED, detail)


def _differs(row: Instance, seen: Observation | None) -> bool:
    """Whether a row and what a sweep saw (None: nothing) do not agree. A machine that is back after its end differs."""
    if seen is None:
        return not row.is_gone
    if seen.power is Power.UNKNOWN:
        return False
    return seen.power is not row.observed or seen.public_address not in ("", row.public_address)


def _asks(row: Instance) -> tuple[object, ...]:
    """Return what a row asks for; where a round has changed it, another is due."""
    return row.wanted, row.is_forced, row.needs_reboot, row.version, row.applied, row.generation, row.built


def _no_port(error: DriverError) -> DriverError:
    return DriverError(
        DriverCode.CAPACITY, "No ssh port was found that is free on the host.", detail=error.detail or str(error)
    )


def _leave(row: Instance, _: datetime) -> Instance:
    return row


def _absorbing(seen: Observation) -> Move:
    def move(row: Instance, now: datetime) -> Instance:
        return absorb(
            row,
            seen.power,
            now,
            private_address=seen.private_address,
            public_address=seen.public_address,
            detail=seen.detail,
        )

    return move


def _taken(step: Step, acted_on: Instance, seen: Observation) -> Move:
    def move(row: Instance, now: datetime) -> Instance:
        if step in _TAKING_OVER:
            row = after_work(row, acted_on.version, acted_on.generation)
        if step in _STARTING_UP:
            # It was up, however briefly: what is seen down now has gone down since, and is not to be started again.
            row = absorb(row, Power.STARTING, now)
        if step is Step.REBOOT:
            row = after_rebooting(row)
        return _absorbing(seen)(row, now)

    return move


def _given_up(step: Step, acted_on: Instance, error: DriverError, left: Observation | None) -> Move:
    """Return what it means for the row; `left` is how a refused rebuilding has left the machine."""
    cause = Cause.NO_CAPACITY if error.code is DriverCode.CAPACITY else Cause.LAUNCH_FAILED

    def move(row: Instance, now: datetime) -> Instance:
        if step is Step.REBOOT:
            return after_rebooting(row)
        if step in _CHANGING:  # the operator has been told; trying for ever would help nobody
            row = after_work(row, acted_on.version, acted_on.generation)
            return row if left is None else after_failed_rebuild(row, left.power, now, cause, str(error))
        return after_failure(row, now, cause, str(error))

    return move


def keeps_disk(row: Instance) -> bool:
    """Whether the disk of a machine is to outlive it; one that never came up has nothing worth keeping."""
    return row.options.keeps_disk and not row.has_failed and row.observed not in _WITHOUT_DISK


def _settle(tx: Transaction, before: Instance, gone: Instance, now: datetime) -> None:
    """Write down what follows from a machine's end: its addresses are free, its disk may stay, its order may close."""
    let_go(tx, gone)
    # By the row before, as the driver was asked to keep it; what vanished by itself took its disk along.
    if keeps_disk(before) and not gone.has_failed and gone.cause is not Cause.LOST:
        size_gib = tx.state.products[gone.product_id].disk_gib
        tx.put(KeptDisk(gone.id, gone.account_id, gone.zone_id, gone.image_id, size_gib, gone.launched_at))
    _close_order(tx, gone.order_id, now)


def _close_order(tx: Transaction, order_id: OrderId, now: datetime) -> None:
    order = tx.state.orders[order_id]
    if order.closed_at is None and all(machine.is_gone for machine in tx.state.machines_of[order_id].values()):
        tx.put(replace(order, closed_at=now))
