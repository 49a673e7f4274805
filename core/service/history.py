"""What was done, and what became of machines, as the journal has it."""

from collections.abc import Sequence
from dataclasses import replace

from core.accounts import Caller
from core.fleet import Fleet
from core.ids import InstanceId
from core.journal import Deed, DeedQuery, Event
from core.ports import Store
from core.service.transactor import Transactor

MOST_EVENTS = 100


class History:
    """What an account can read of the journal; the operator reads all of it by `Administration.deeds`."""

    def __init__(self, transactor: Transactor, store: Store) -> None:
        self._transactor, self._store = transactor, store

    async def deeds(self, caller: Caller, query: DeedQuery) -> Sequence[Deed]:
        """Return the deeds that are looked for among those to the caller's account, newest first.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        return await self._store.deeds(replace(query, account_id=caller.account_id))

    async def events(self, caller: Caller, instance_id: InstanceId, most: int = MOST_EVENTS) -> Sequence[Event]:
        """Return what became of a machine, newest first; its launch is told by the machine itself.

        Raises:
            UnknownInstances: it is not there.
            StoreUnavailable: they cannot be read.
        """
        fleet = Fleet(await self._store.view(), caller.account_id, self._transactor.now(), caller.seen_region_id)
        fleet.instances_by_id([instance_id])
        return await self._store.events(instance_id, most)

    async def news(self, revision: int) -> int:
        """Return the revision of all rows once it is later than this one; see `Fleet.revision`."""
        return await self._store.news(revision)
