"""API access, as a customer sees to it: whether it is on, applications, and their keys."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.accounts import (
    Account,
    ApiKey,
    Application,
    Caller,
    KeyUse,
    Network,
    Protocol,
    check_name,
    new_access_key,
    new_secret_key,
)
from core.errors import ApiAccessOff, ApplicationExists, NotInTheirPlace, UnknownApplication, UnknownKey
from core.ids import AccountId, ApiKeyId, ApplicationId
from core.ports import Store, Transaction
from core.service.transactor import Transactor
from core.state import State

CONSOLE_APPLICATION = "console"
"""The application that bookings in the console belong to. It has no keys, and is not shown."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key without its secret, and when it was used last, if it ever was."""

    access_key: str
    is_enabled: bool
    created_at: datetime
    use: KeyUse | None


@dataclass(frozen=True, slots=True)
class ApplicationView:
    """An application with its keys, the oldest first."""

    application: Application
    keys: Sequence[KeyView]


class Access:
    """API access of accounts. Keys that are made here are told with their secret once, in what the verb returns."""

    def __init__(self, transactor: Transactor, store: Store) -> None:
        self._transactor, self._store = transactor, store
        self._uses: dict[ApiKeyId, KeyUse] = {}

    # --- looking

    async def account(self, caller: Caller) -> Account:
        """Return the caller's account."""
        return (await self._store.view()).accounts[caller.account_id]

    async def applications(self, caller: Caller) -> Sequence[ApplicationView]:
        """Return the account's applications, the oldest first."""
        state = await self._store.view()
        mine = [each for each in state.applications.values() if each.account_id == caller.account_id]
        return [self._view(state, each) for each in mine if not is_consoles(each)]

    async def application(self, caller: Caller, application_id: ApplicationId) -> ApplicationView:
        """Return an application of the account.

        Raises:
            UnknownApplication: there is no such application.
        """
        for view in await self.applications(caller):
            if view.application.id == application_id:
                return view
        raise UnknownApplication(application_id)

    async def secret(self, caller: Caller, access_key: str) -> ApiKey:
        """Return a key of the account with its secret, for signing in its name; it must be enabled.

        Raises:
            UnknownKey: the account has no such key, or it cannot be used.
            ApiAccessOff: the account has not turned on API access.
            NotInTheirPlace: the caller is an operator who acts for the account.
        """
        _require_themselves(caller)
        state = await self._store.view()
        key = state.keys.get(access_key)
        application = state.applications[key.application_id] if key else None
        if key is None or application is None or application.account_id != caller.account_id:
            raise UnknownKey(access_key)
        if not state.accounts[caller.account_id].has_api:
            raise ApiAccessOff
        if not (key.is_enabled and application.is_enabled):
            raise UnknownKey(access_key)
        return key

    # --- changing

    async def turn(self, caller: Caller, *, is_on: bool) -> None:
        """Turn API access on or off. While it is off no key of the account works; each works again once it is on."""

        def work(tx: Transaction) -> None:
            tx.put(replace(tx.state.accounts[caller.account_id], has_api=is_on))

        await self._transactor.transact(caller, f"turn API access {'on' if is_on else 'off'}", work)

    async def create(self, caller: Caller, name: str, networks: tuple[Network, ...]) -> Application:
        """Return a new application, which may call from these addresses (none: from any).

        Raises:
            ApiAccessOff: the account has not turned on API access.
            ApplicationExists: the name is taken.
            InvalidRequest: the name is empty, too long or unprintable.
        """
        name = check_name("name", name)

        def work(tx: Transaction) -> Application:
            _require_on(tx, caller)
            _require_free(tx, caller, name)
            new_id = ApplicationId(tx.next_id(Application))
            application = Application(new_id, caller.account_id, name, networks, is_enabled=True)
            tx.put(application)
            return application

        return await self._transactor.transact(caller, "make application", work, f"application {name}")

    async def change(
        self,
        caller: Caller,
        application_id: ApplicationId,
        *,
        name: str,
        networks: tuple[Network, ...],
        is_enabled: bool,
    ) -> Application:
        """Return the application with another name, other addresses, switched on or off.

        Raises:
            UnknownApplication, ApplicationExists, InvalidRequest: see `create`.
        """
        name = check_name("name", name)

        def work(tx: Transaction) -> Application:
            before = _owned(tx, caller, application_id)
            if name != before.name:
                _require_free(tx, caller, name)
            after = replace(before, name=name, networks=networks, is_enabled=is_enabled)
            tx.put(after)
            return after

        return await self._transactor.transact(caller, "change application", work, f"application {name}")

    async def update_key(self, caller: Caller, application_id: ApplicationId) -> ApiKey:
        """Return a new key of the application, in place of the one that it made last, which stops working at once.

        Raises:
            UnknownApplication: there is no such application.
            ApiAccessOff: the account has not turned on API access.
            NotInTheirPlace: the caller is an operator who acts for the account.
        """
        _require_themselves(caller)
        now = self._transactor.now()

        def work(tx: Transaction) -> ApiKey:
            _require_on(tx, caller)
            application = _owned(tx, caller, application_id)
            keys = [key for key in tx.state.keys.values() if key.application_id == application.id]
            old = max(keys, key=lambda key: key.id, default=None)
            if old is not None:
                return put_renewed(tx, old, now)
            key_id = ApiKeyId(tx.next_id(ApiKey))
            key = ApiKey(key_id, application.id, new_access_key(), new_secret_key(), now, is_enabled=True)
            tx.put(key)
            return key

        return await self._transactor.transact(caller, "make API key", work, _told)

    async def set_key_enabled(self, caller: Caller, access_key: str, *, is_enabled: bool) -> None:
        """Let a key be used, or stop it at once, with all its sessions.

        Raises:
            UnknownKey: the account has no such key.
        """

        def work(tx: Transaction) -> None:
            key = tx.state.keys.get(access_key)
            if key is None or tx.state.applications[key.application_id].account_id != caller.account_id:
                raise UnknownKey(access_key)
            tx.put(replace(key, is_enabled=is_enabled))

        verb = f"{'enable' if is_enabled else 'disable'} API key"
        await self._transactor.transact(caller, verb, work, f"API key {access_key}")

    # --- when keys are used

    def note_use(self, key_id: ApiKeyId, address: str, protocol: Protocol) -> None:
        """Note that a key was used now; `keep_uses` writes it down."""
        self._uses[key_id] = KeyUse(key_id, self._transactor.now(), address, protocol)

    async def keep_uses(self) -> None:
        """Write down when keys were used since this was called last.

        Raises:
            StoreUnavailable: it cannot be written; it will be tried again with the next.
        """
        uses = dict(self._uses)
        if not uses:
            return

        def work(tx: Transaction) -> None:
            made_at = {key.id: key.created_at for key in tx.state.keys.values()}
            for use in uses.values():
                if use.id in made_at and use.at >= made_at[use.id]:  # else it was of the pair before this one
                    tx.put(use)

        await self._store.transact(work)
        for key_id, use in uses.items():
            if self._uses.get(key_id) is use:
                del self._uses[key_id]

    def _view(self, state: State, application: Application) -> ApplicationView:
        keys = sorted((key for key in state.keys.values() if key.application_id == application.id), key=_id_of)
        return ApplicationView(application, [self._view_of_key(state, key) for key in keys])

    def _view_of_key(self, state: State, key: ApiKey) -> KeyView:
        use = self._uses.get(key.id)
        if use is None or use.at < key.created_at:
            use = state.key_uses.get(key.id)
        return KeyView(key.access_key, key.is_enabled, key.created_at, use)


def is_consoles(application: Application) -> bool:
    """Whether it is the one that bookings in the console belong to."""
    return application.name == CONSOLE_APPLICATION


def find_console_application(state: State, account_id: AccountId) -> Application | None:
    """Return the application that bookings of people belong to, if there is one yet."""
    mine = (each for each in state.applications.values() if each.account_id == account_id)
    return next((each for each in mine if is_consoles(each)), None)


def console_application(tx: Transaction, account_id: AccountId) -> Application:
    """Return the application that bookings of people belong to, made if need be."""
    if (application := find_console_application(tx.state, account_id)) is not None:
        return application
    new_id = ApplicationId(tx.next_id(Application))
    application = Application(new_id, account_id, CONSOLE_APPLICATION, (), is_enabled=True)
    tx.put(application)
    return application


def put_renewed(tx: Transaction, old: ApiKey, now: datetime) -> ApiKey:
    """Put a fresh pair in place of a key, and return it. It has never been used."""
    new = replace(old, access_key=new_access_key(), secret_key=new_secret_key(), created_at=now, is_enabled=True)
    tx.drop(old)
    tx.put(new)
    if (use := tx.state.key_uses.get(old.id)) is not None:
        tx.drop(use)
    return new


def _id_of(key: ApiKey) -> ApiKeyId:
    return key.id


def _told(key: ApiKey) -> str:
    return f"API key {key.access_key}"


def _require_themselves(caller: Caller) -> None:
    if caller.operator:
        raise NotInTheirPlace


def _require_on(tx: Transaction, caller: Caller) -> None:
    if not tx.state.accounts[caller.account_id].has_api:
        raise ApiAccessOff


def _require_free(tx: Transaction, caller: Caller, name: str) -> None:
    taken = [each for each in tx.state.applications.values() if each.account_id == caller.account_id]
    if name == CONSOLE_APPLICATION or any(each.name == name for each in taken):
        raise ApplicationExists(name)


def _owned(tx: Transaction, caller: Caller, application_id: ApplicationId) -> Application:
    application = tx.state.applications.get(application_id)
    if application is None or application.account_id != caller.account_id or is_consoles(application):
        raise UnknownApplication(application_id)
    return application
