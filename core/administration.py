"""What the operator does: accounts, applications, API keys, and bringing the catalogue into the database."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.accounts import (
    Account,
    ApiKey,
    Application,
    Network,
    check_name,
    new_access_key,
    new_secret_key,
)
from core.catalogue import Catalogue
from core.clock import Clock
from core.errors import UnknownAccount, UnknownKey
from core.ids import FIRST_ACCOUNT_ID, AccountId, ApiKeyId, ApplicationId
from core.ports import Store, Transaction
from core.stocking import stock_up

DEFAULT_APPLICATION = "default"


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """An API key with what it belongs to."""

    key: ApiKey = field(repr=False)
    application: Application
    account: Account


class Administration:
    """The operator's verbs."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def add_account(self, name: str) -> Account:
        """Return a new account. Names need not be unique; ids are.

        Raises:
            InvalidRequest: the name is empty, too long or unprintable.
        """
        name, now = check_name("name", name), self._clock.now()
        return await self._store.transact(lambda tx: _new_account(tx, name, now))

    async def add_account_with_key(self, name: str) -> KeyHolder:
        """Return an API key of a new account, for whom nothing is there yet: there will be both or neither.

        Raises:
            InvalidRequest: the name is empty, too long or unprintable.
        """
        name, now = check_name("name", name), self._clock.now()

        def work(tx: Transaction) -> KeyHolder:
            return _new_key(tx, _new_account(tx, name, now), DEFAULT_APPLICATION, (), now)

        return await self._store.transact(work)

    async def accounts(self) -> Sequence[Account]:
        """Return all accounts, oldest first."""
        return list((await self._store.view()).accounts.values())

    async def add_key(self, account_id: AccountId, application: str, networks: tuple[Network, ...]) -> KeyHolder:
        """Return a new API key of an application of the account, which is made if it does not exist.

        Networks given here become the application's; none given leaves them as they are.

        Raises:
            UnknownAccount: there is no such account.
            InvalidRequest: the application's name is empty, too long or unprintable.
        """
        name, now = check_name("application", application), self._clock.now()

        def work(tx: Transaction) -> KeyHolder:
            account = tx.state.accounts.get(account_id)
            if account is None:
                raise UnknownAccount(account_id)
            return _new_key(tx, account, name, networks, now)

        return await self._store.transact(work)

    async def keys(self, account_id: AccountId | None = None) -> Sequence[KeyHolder]:
        """Return all API keys, or those of one account."""
        state = await self._store.view()
        holders = []
        for key in state.keys.values():
            application = state.applications[key.application_id]
            if account_id in (None, application.account_id):
                holders.append(KeyHolder(key, application, state.accounts[application.account_id]))
        return holders

    async def renew_key(self, access_key: str) -> KeyHolder:
        """Return a fresh pair in place of this one, which stops working at once, with all its sessions.

        Raises:
            UnknownKey: there is no such key.
        """
        now = self._clock.now()

        def work(tx: Transaction) -> KeyHolder:
            old = _key(tx, access_key)
            new = replace(
                old, access_key=new_access_key(), secret_key=new_secret_key(), created_at=now, is_enabled=True
            )
            tx.drop(old)
            tx.put(new)
            return _holder(tx, new)

        return await self._store.transact(work)

    async def set_key_enabled(self, access_key: str, *, is_enabled: bool) -> KeyHolder:
        """Let a key be used, or stop it at once, with all its sessions; return it.

        Raises:
            UnknownKey: there is no such key.
        """

        def work(tx: Transaction) -> KeyHolder:
            key = replace(_key(tx, access_key), is_enabled=is_enabled)
            tx.put(key)
            return _holder(tx, key)

        return await self._store.transact(work)

    async def set_catalogue(self, catalogue: Catalogue) -> None:
        """Make the database's catalogue say what the configuration says.

        What has the same name keeps its id; what is new gets one; what is missing is retired. Repeating it changes
        nothing.
        """
        now = self._clock.now()
        await self._store.transact(lambda tx: stock_up(tx, catalogue, now))


def _new_account(tx: Transaction, name: str, now: datetime) -> Account:
    account = Account(AccountId(FIRST_ACCOUNT_ID - 1 + tx.next_id(Account)), name, now)
    tx.put(account)
    return account


def _new_key(
    tx: Transaction, account: Account, application: str, networks: tuple[Network, ...], now: datetime
) -> KeyHolder:
    owner = _application(tx, account, application, networks)
    key_id = ApiKeyId(tx.next_id(ApiKey))
    key = ApiKey(key_id, owner.id, new_access_key(), new_secret_key(), now, is_enabled=True)
    tx.put(key)
    return KeyHolder(key, owner, account)


def _application(tx: Transaction, account: Account, name: str, networks: tuple[Network, ...]) -> Application:
    owned = [app for app in tx.state.applications.values() if app.account_id == account.id and app.name == name]
    if owned:
        application = replace(owned[0], networks=networks or owned[0].networks)
    else:
        application_id = ApplicationId(tx.next_id(Application))
        application = Application(application_id, account.id, name, networks, is_enabled=True)
    tx.put(application)
    return application


def _key(tx: Transaction, access_key: str) -> ApiKey:
    key = tx.state.keys.get(access_key)
    if key is None:
        raise UnknownKey(access_key)
    return key


def _holder(tx: Transaction, key: ApiKey) -> KeyHolder:
    application = tx.state.applications[key.application_id]
    return KeyHolder(key, application, tx.state.accounts[application.account_id])
