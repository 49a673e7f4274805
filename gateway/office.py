"""The operator's office: what verbs of the command line work with, in the running gateway or in its absence."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

from core.accounts import Account, Caller, Protocol
from core.administration import Administration
from core.booking import House
from core.clock import SystemClock
from core.errors import UnknownAccount
from core.fleet import Fleet
from core.ids import AccountId, ApplicationId, InstanceId
from core.journal import COMMAND_LINE
from core.ports import Store
from core.service import Core
from core.storage.sqlite import open_sqlite
from gateway.config import Settings
from gateway.control import Arguments, Document
from gateway.datadir import DataDirectory
from gateway.metrics import Health
from gateway.trouble import Trouble


class NotRunning(Trouble):
    """What was asked for needs the running gateway."""

    def __init__(self) -> None:
        super().__init__("the gateway does not run, and this needs it: start it with `onefleet serve`, and ask again")


@dataclass(frozen=True, slots=True)
class Office:
    """What verbs work with. They change things by core's verbs only; the store is for looking.

    Machines without an address of their own are reached on `ssh_host`. `health` tells how the running gateway is.
    """

    administration: Administration
    core: Core
    store: Store
    ssh_host: str
    health: Callable[[], Awaitable[Health]]

    def caller(self, account_id: AccountId) -> Caller:
        """Return the operator in the place of an account."""
        return Caller(account_id, ApplicationId(0), "", Protocol.CLI, actor=COMMAND_LINE.actor)

    async def fleet(self, account_id: AccountId) -> Fleet:
        """Return what an account has.

        Raises:
            UnknownAccount: there is no such account.
        """
        if account_id not in (await self.store.view()).accounts:
            raise UnknownAccount(account_id)
        return await self.core.fleet(self.caller(account_id))

    async def accounts(self, account_id: AccountId | None) -> Sequence[Account]:
        """Return the account, or for None all of them, the oldest first.

        Raises:
            UnknownAccount: there is no such account.
        """
        if account_id is not None:
            return [await self.administration.account(account_id)]
        return await self.administration.accounts()

    async def fleets(self, account_id: AccountId | None) -> Sequence[Fleet]:
        """Return what the account has, or for None what each account has, the oldest first.

        Raises:
            UnknownAccount: there is no such account.
        """
        return [await self.fleet(account.id) for account in await self.accounts(account_id)]


Verb = Callable[[Office, Arguments], Awaitable[Document]]


@asynccontextmanager
async def open_office(settings: Settings, directory: DataDirectory) -> AsyncIterator[Office]:
    """Yield an office for as long as no gateway runs: what it changes is carried out when the gateway starts.

    Raises:
        IncompatibleDatabase: the database cannot be used.
    """
    clock = SystemClock()
    store = await open_sqlite(directory.database, directory.vault, clock)
    house = House(settings.compute.ports, settings.limits.per_account)
    core = Core(store, directory.vault, clock, house, wake=_wake_nobody, console=_ask_nobody, screen=_ask_nobody)
    try:
        yield Office(Administration(store, clock), core, store, settings.compute.ssh_host, health=_no_health)
    finally:
        await store.close()


def _wake_nobody(_: Iterable[InstanceId]) -> None:
    """Leave the machines to the reconciler of the next start."""


async def _ask_nobody(_: InstanceId) -> NoReturn:
    raise NotRunning


async def _no_health() -> NoReturn:
    raise NotRunning
