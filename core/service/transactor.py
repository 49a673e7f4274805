"""How a verb is carried out: as one transaction, or as a trial of one; and what follows when machines have changed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from core.accounts import Caller
from core.clock import Clock
from core.errors import DryRunPassed
from core.fleet import Fleet
from core.ids import InstanceId, RegionId
from core.instances import Instance
from core.journal import author_of, deed_of, events_between, log_change, named
from core.ports import Store, Transaction
from core.state import State

T = TypeVar("T")
Move = Callable[[Instance, datetime], Instance]


@dataclass(frozen=True, slots=True)
class Change:
    """One machine before and after a verb."""

    before: Instance
    after: Instance


class Transactor:
    """What all verbs share. `wake` is told the ids of machines whose row asks for something else than what runs."""

    def __init__(self, store: Store, clock: Clock, wake: Callable[[Iterable[InstanceId]], None]) -> None:
        self._store, self._clock, self.wake = store, clock, wake
        self._log = structlog.get_logger("core")

    def now(self) -> datetime:
        """Return the present moment."""
        return self._clock.now()

    async def transact(
        self,
        caller: Caller,
        verb: str,
        work: Callable[[Transaction], T],
        subject: str | Callable[[T], str] = "",
    ) -> T:
        """Return what the work returns, durable and written down as the caller's deed; for a dry run, change nothing.

        `subject` is what the verb is about, or tells it from the work's result. What puts nothing is no deed.

        Raises:
            DryRunPassed: it was a dry run, and would have succeeded.
            See also `Store.transact`.
        """

        def deed(tx: Transaction) -> T:
            result = work(tx)
            if not tx.is_empty:
                about = subject if isinstance(subject, str) else subject(result)
                tx.note(deed_of(caller, verb, about, self.now()))
            return result

        if not caller.is_dry_run:
            return await self._store.transact(deed)

        def trial(tx: Transaction) -> T:
            work(tx)
            raise DryRunPassed

        return await self._store.transact(trial)

    async def move(self, caller: Caller, verb: str, ids: Sequence[InstanceId], move: Move) -> Sequence[Change]:
        """Return the caller's machines before and after the move, made for all or none.

        Raises:
            UnknownInstances: some are not there.
            See also the move.
        """
        now = self.now()

        def work(tx: Transaction) -> list[Change]:
            fleet_of(tx, caller, now).instances_by_id(ids)
            return moved(tx, caller, ids, move, now)

        changes = await self.transact(caller, verb, work, named("machine", ids))
        self.announce(caller, changes)
        return changes

    def announce(self, caller: Caller, changes: Sequence[Change]) -> None:
        """Wake the reconciler for what changed, and log each change of state."""
        for change in changes:
            log_change(self._log, change.before, change.after, request_id=caller.request_id)
        self.wake(change.after.id for change in changes)


def moved(tx: Transaction, caller: Caller, ids: Iterable[InstanceId], move: Move, now: datetime) -> list[Change]:
    """Return machines before and after the move, which is put into the rows."""
    changes = []
    for instance_id in ids:
        before = tx.state.instances[instance_id]
        after = move(before, now)
        put_changed(tx, caller, before, after, now)
        changes.append(Change(before, after))
    return changes


def put_changed(tx: Transaction, caller: Caller, before: Instance, after: Instance, now: datetime) -> None:
    """Put a machine that a caller has changed, if that is any news, and note what is to be told of it."""
    if after == before:
        return
    tx.put(after)
    for event in events_between(before, after, now, author_of(caller).actor):
        tx.note(event)


def fleet_of(tx: Transaction, caller: Caller, now: datetime) -> Fleet:
    """Return what the caller sees within a transaction."""
    return Fleet(tx.state, caller.account_id, now, caller.seen_region_id)


def home_of(state: State, caller: Caller) -> RegionId:
    """Return the region in which what the caller makes is made. There must be one."""
    if caller.region_id is not None:
        return caller.region_id
    return next(region.id for region in state.regions.values() if not region.is_retired)
