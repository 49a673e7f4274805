"""Serial consoles of machines, each behind a ticket that lets one person in once, and soon."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.accounts import Caller
from core.errors import IncorrectState, TicketUsed
from core.fleet import Fleet
from core.ids import AccountId, InstanceId, UserId
from core.instances import State
from core.journal import deed_of, named
from core.people import digest_of
from core.ports import DriverCode, DriverError, SerialConsole, Store
from core.service.transactor import Transactor

TICKET_LIFETIME = timedelta(seconds=30)
_TICKET_BYTES = 24
_MOST_TICKETS = 1000

OpenConsole = Callable[[InstanceId], Awaitable[SerialConsole]]


@dataclass(frozen=True, slots=True)
class _Ticket:
    """Whom a ticket lets in, where, and until when."""

    user_id: UserId | None
    account_id: AccountId
    instance_id: InstanceId
    ends_at: datetime


class SerialConsoles:
    """The serial consoles of an account's machines. Tickets are kept in memory alone: a restart voids them."""

    def __init__(self, transactor: Transactor, store: Store, open_console: OpenConsole) -> None:
        self._transactor, self._store, self._open_console = transactor, store, open_console
        self._tickets: dict[str, _Ticket] = {}

    async def ticket(self, caller: Caller, instance_id: InstanceId) -> str:
        """Return a ticket for the console of a machine that runs; the console can be opened now.

        Raises:
            UnknownInstances: the machine is not there.
            IncorrectState: it does not run.
            DriverError: its console cannot be opened; see `ComputeDriver.open_console`.
        """
        await self._require_running(caller, instance_id)
        await (await self._open_console(instance_id)).close()  # whoever asks is told why not, not the socket later
        now = self._transactor.now()
        self._forget_old(now)
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        self._tickets[digest_of(ticket)] = _Ticket(
            caller.user_id, caller.account_id, instance_id, now + TICKET_LIFETIME
        )
        return ticket

    async def open(self, caller: Caller, instance_id: InstanceId, ticket: str) -> SerialConsole:
        """Return the console that the ticket was made for; it lets nobody in again. Whoever opens it closes it.

        Raises:
            TicketUsed: it is no ticket of this person for this machine, was used before, or is too old.
            UnknownInstances, IncorrectState, DriverError: see `ticket`.
        """
        found, now = self._tickets.pop(digest_of(ticket), None), self._transactor.now()
        if found is None or now >= found.ends_at or _bearer_of(found) != (caller.user_id, caller.account_id):
            raise TicketUsed
        if found.instance_id != instance_id:
            raise TicketUsed
        await self._require_running(caller, instance_id)
        deed = deed_of(caller, "open serial console", named("machine", [instance_id]), now)
        await self._store.transact(lambda tx: tx.note(deed))
        return await self._open_console(instance_id)

    async def _require_running(self, caller: Caller, instance_id: InstanceId) -> None:
        fleet = Fleet(await self._store.view(), caller.account_id, self._transactor.now(), caller.seen_region_id)
        [machine] = fleet.instances_by_id([instance_id])
        if machine.state is not State.RUNNING:
            raise IncorrectState(machine.id, machine.state, "open the serial console of")

    def _forget_old(self, now: datetime) -> None:
        self._tickets = {digest: each for digest, each in self._tickets.items() if now < each.ends_at}
        while len(self._tickets) >= _MOST_TICKETS:
            del self._tickets[next(iter(self._tickets))]


def _bearer_of(ticket: _Ticket) -> tuple[UserId | None, AccountId]:
    return ticket.user_id, ticket.account_id


async def no_console(_: InstanceId) -> SerialConsole:
    """Refuse to open a console: there are none.

    Raises:
        DriverError: UNSUPPORTED, always.
    """
    raise DriverError(DriverCode.UNSUPPORTED, "Machines have no serial console here.")
