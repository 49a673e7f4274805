"""What the operator does: accounts, people, applications, API keys, and bringing the catalogue into the database."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

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
from core.errors import InvalidRequest, LastOperator, NotAnOperator, UnknownAccount, UnknownKey, UnknownUser
from core.estate import Estate
from core.ids import AccountId, ApiKeyId, ApplicationId, InstanceId
from core.instances import STOPPABLE, Instance, after_stop, after_terminate, changed
from core.journal import COMMAND_LINE, Author, Deed, DeedQuery, events_between
from core.passwords import new_password
from core.people import User, check_email, hash_password
from core.ports import Store, Transaction
from core.service.access import CONSOLE_APPLICATION, is_consoles, put_renewed
from core.service.people import SignedIn, end_sign_ins, new_account, new_user
from core.spending import check_amount
from core.state import State
from core.stocking import stock_up

DEFAULT_APPLICATION = "default"


class MachinePolicy(StrEnum):
    """What becomes of the machines of an account that is suspended."""

    LEAVE = "leave"
    STOP = "stop"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """An API key with what it belongs to."""

    key: ApiKey = field(repr=False)
    application: Application
    account: Account


@dataclass(frozen=True, slots=True)
class NewUser:
    """A person with the password that was made up for them; it is told once, and they must change it."""

    user: User
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Suspension:
    """An account that was suspended, the machines that were told to stop or end, and those that could not be."""

    account: Account
    touched: Sequence[InstanceId]
    untouched: Sequence[InstanceId]


class Administration:
    """The operator's verbs. Each is written into the audit log as its author's; `wake` is told of changed machines."""

    def __init__(self, store: Store, clock: Clock, wake: Callable[[Iterable[InstanceId]], None] | None = None) -> None:
        self._store, self._clock, self._wake = store, clock, wake or _nobody

    # --- accounts

    async def add_account(self, name: str, by: Author = COMMAND_LINE) -> Account:
        """Return a new account. Names need not be unique; ids are.

        Raises:
            InvalidRequest: the name is empty, too long or unprintable.
        """
        name, now = check_name("name", name), self._clock.now()

        def work(tx: Transaction) -> Account:
            account = new_account(tx, name, now)
            tx.note(Deed(now, account.id, by, "make account", f"account {account.id}", name))
            return account

        return await self._store.transact(work)

    async def add_account_with_key(self, name: str, by: Author = COMMAND_LINE) -> KeyHolder:
        """Return an API key of a new account, for whom nothing is there yet: there will be both or neither.

        Raises:
            InvalidRequest: the name is empty, too long or unprintable.
        """
        name, now = check_name("name", name), self._clock.now()

        def work(tx: Transaction) -> KeyHolder:
            account = new_account(tx, name, now)
            tx.note(Deed(now, account.id, by, "make account", f"account {account.id}", name))
            return _new_key(tx, account, DEFAULT_APPLICATION, (), now)

        return await self._store.transact(work)

    async def accounts(self) -> Sequence[Account]:
        """Return all accounts, oldest first."""
        return list((await self._store.view()).accounts.values())

    async def account(self, account_id: AccountId) -> Account:
        """Return an account.

        Raises:
            UnknownAccount: there is no such account.
        """
        return _found(await self._store.view(), account_id)

    async def suspend(
        self, account_id: AccountId, policy: MachinePolicy = MachinePolicy.LEAVE, by: Author = COMMAND_LINE
    ) -> Suspension:
        """Stop an account: its keys and its people are refused from now on; its machines go the way of the policy.

        What protects a machine from being stopped or ended is for its renter, and does not count here. Machines that
        are just starting cannot be stopped. Repeating it with a harsher policy is how to go further.

        Raises:
            UnknownAccount: there is no such account.
            LastOperator: the last operators who can sign in are of this account.
        """
        now = self._clock.now()

        def work(tx: Transaction) -> Suspension:
            account = replace(_found(tx.state, account_id), is_suspended=True)
            _put_sparing_operators(tx, account)
            for user in tx.state.users.values():
                if user.account_id == account_id:
                    end_sign_ins(tx, user.id)
            touched, untouched = _treat(tx, account_id, policy, by, now)
            detail = f"machines: {policy.value}"
            tx.note(Deed(now, account_id, by, "suspend account", f"account {account_id}", detail))
            return Suspension(account, touched, untouched)

        suspension = await self._store.transact(work)
        self._wake(suspension.touched)
        return suspension

    async def resume(self, account_id: AccountId, by: Author = COMMAND_LINE) -> Account:
        """Let a suspended account go on. Its machines stay as they are.

        Raises:
            UnknownAccount: there is no such account.
        """
        return await self._change_account(
            account_id, "resume account", by, lambda account: replace(account, is_suspended=False)
        )

    async def set_credit_limit(
        self, account_id: AccountId, amount: Decimal | None, by: Author = COMMAND_LINE
    ) -> Account:
        """Limit what an account may spend in a calendar month, in each currency; None: as much as it likes.

        Raises:
            UnknownAccount: there is no such account.
            InvalidRequest: see `core.spending.check_amount`.
        """
        check_amount("credit limit", amount)
        detail = "none" if amount is None else f"{amount:f}"
        return await self._change_account(
            account_id, "set credit limit", by, lambda account: replace(account, credit_limit=amount), detail
        )

    # --- people

    async def users(self, account_id: AccountId | None = None) -> Sequence[User]:
        """Return everybody who can sign in, or those of one account; the oldest first."""
        users = (await self._store.view()).users.values()
        return [user for user in users if account_id in (None, user.account_id)]

    async def user(self, email: str) -> User:
        """Return a person by their e-mail address.

        Raises:
            UnknownUser: nobody signs in so.
        """
        user = (await self._store.view()).users_by_email.get(email.strip().lower())
        if user is None:
            raise UnknownUser(email)
        return user

    async def add_user(
        self, account_id: AccountId, email: str, *, is_operator: bool = False, by: Author = COMMAND_LINE
    ) -> NewUser:
        """Return a new person of an account, with a password to change at the first sign-in.

        Raises:
            UnknownAccount: there is no such account.
            EmailTaken: somebody else signs in so.
            InvalidRequest: it is no e-mail address.
        """
        email, password, now = check_email(email), new_password(), self._clock.now()
        password_hash = await asyncio.to_thread(hash_password, password)

        def work(tx: Transaction) -> User:
            _found(tx.state, account_id)
            user = new_user(tx, account_id, email, password_hash, now, is_operator=is_operator, must_change=True)
            detail = "operator" if is_operator else ""
            tx.note(Deed(now, account_id, by, "make user", f"user {email}", detail))
            return user

        return NewUser(await self._store.transact(work), password)

    async def reset_password(self, email: str, by: Author = COMMAND_LINE) -> NewUser:
        """Return a person with a new password, to change at the next sign-in; every sign-in of theirs ends.

        Raises:
            UnknownUser: nobody signs in so.
        """
        password = new_password()
        password_hash = await asyncio.to_thread(hash_password, password)
        user = await self._change_user(
            email,
            "reset password",
            by,
            lambda user: replace(user, password_hash=password_hash, must_change=True),
        )
        return NewUser(user, password)

    async def reset_second_factor(self, email: str, by: Author = COMMAND_LINE) -> User:
        """Let a person who has lost the second factor sign in without it; every sign-in of theirs ends.

        Raises:
            UnknownUser: nobody signs in so.
        """
        return await self._change_user(
            email,
            "reset second factor",
            by,
            lambda user: replace(user, code_secret="", code_step=0, recovery=()),  # none is no secret
        )

    async def set_user_enabled(self, email: str, *, is_enabled: bool, by: Author = COMMAND_LINE) -> User:
        """Let a person sign in, or no longer; every sign-in of theirs ends.

        Raises:
            UnknownUser: nobody signs in so.
            LastOperator: no other operator could sign in.
        """
        verb = "enable user" if is_enabled else "disable user"
        return await self._change_user(email, verb, by, lambda user: replace(user, is_enabled=is_enabled))

    async def set_operator(self, email: str, *, is_operator: bool, by: Author = COMMAND_LINE) -> User:
        """Make a person an operator, or no longer; every sign-in of theirs ends.

        Raises:
            UnknownUser: nobody signs in so.
            LastOperator: no other operator could sign in.
        """
        verb = "make operator" if is_operator else "unmake operator"
        return await self._change_user(email, verb, by, lambda user: replace(user, is_operator=is_operator))

    # --- acting for somebody

    async def act_for(self, who: SignedIn, account_id: AccountId | None, by: Author) -> None:
        """Let an operator see and do everything as an account, in this browser; None: as their own again.

        Everything that is done meanwhile is written down with the operator's name.

        Raises:
            NotAnOperator: the person is none.
            UnknownAccount: there is no such account.
        """
        if not who.user.is_operator:
            raise NotAnOperator
        now = self._clock.now()
        target = None if account_id == who.home.id else account_id

        def work(tx: Transaction) -> None:
            before = tx.state.sign_ins.get(who.sign_in.id)
            if target is not None:
                _found(tx.state, target)
            if before is None or before.acting_for == target:
                return
            tx.put(replace(before, acting_for=target))
            about = before.acting_for if target is None else target
            verb = "stop acting for account" if target is None else "act for account"
            tx.note(Deed(now, about, by, verb, f"account {about}"))

        await self._store.transact(work)

    # --- applications and keys

    async def add_key(
        self,
        account_id: AccountId,
        application: str,
        networks: tuple[Network, ...],
        by: Author = COMMAND_LINE,
    ) -> KeyHolder:
        """Return a new API key of an application of the account, which is made if it does not exist.

        Networks given here become the application's; none given leaves them as they are. The account's API access is
        on from then on.

        Raises:
            UnknownAccount: there is no such account.
            InvalidRequest: the application's name is empty, too long, unprintable, or the console's.
        """
        name, now = check_name("application", application), self._clock.now()
        if name == CONSOLE_APPLICATION:
            raise InvalidRequest("application", name, "another name: this is what the console books as, without keys")

        def work(tx: Transaction) -> KeyHolder:
            holder = _new_key(tx, _found(tx.state, account_id), name, networks, now)
            tx.note(Deed(now, account_id, by, "make API key", f"API key {holder.key.access_key}"))
            return holder

        return await self._store.transact(work)

    async def applications(self, account_id: AccountId | None = None) -> Sequence[Application]:
        """Return all applications that can have keys, or those of one account; the oldest first."""
        applications = (await self._store.view()).applications.values()
        return [each for each in applications if account_id in (None, each.account_id) and not is_consoles(each)]

    async def keys(self, account_id: AccountId | None = None) -> Sequence[KeyHolder]:
        """Return all API keys, or those of one account."""
        state = await self._store.view()
        holders = []
        for key in state.keys.values():
            application = state.applications[key.application_id]
            if account_id in (None, application.account_id):
                holders.append(KeyHolder(key, application, state.accounts[application.account_id]))
        return holders

    async def renew_key(self, access_key: str, by: Author = COMMAND_LINE) -> KeyHolder:
        """Return a fresh pair in place of this one, which stops working at once, with all its sessions.

        Raises:
            UnknownKey: there is no such key.
        """
        now = self._clock.now()

        def work(tx: Transaction) -> KeyHolder:
            holder = _holder(tx, put_renewed(tx, _key(tx, access_key), now))
            subject = f"API key {holder.key.access_key}"
            tx.note(Deed(now, holder.account.id, by, "renew API key", subject, f"in place of {access_key}"))
            return holder

        return await self._store.transact(work)

    async def set_key_enabled(self, access_key: str, *, is_enabled: bool, by: Author = COMMAND_LINE) -> KeyHolder:
        """Let a key be used, or stop it at once, with all its sessions; return it.

        Raises:
            UnknownKey: there is no such key.
        """
        now = self._clock.now()

        def work(tx: Transaction) -> KeyHolder:
            key = replace(_key(tx, access_key), is_enabled=is_enabled)
            tx.put(key)
            holder = _holder(tx, key)
            verb = "enable API key" if is_enabled else "disable API key"
            tx.note(Deed(now, holder.account.id, by, verb, f"API key {access_key}"))
            return holder

        return await self._store.transact(work)

    # --- all that there is, the audit log, and the catalogue

    async def estate(self) -> Estate:
        """Return what there is of all accounts, at this moment."""
        return Estate(await self._store.view(), self._clock.now())

    async def deeds(self, query: DeedQuery) -> Sequence[Deed]:
        """Return the deeds that are looked for, of all accounts, newest first.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        return await self._store.deeds(query)

    async def set_catalogue(self, catalogue: Catalogue) -> None:
        """Make the database's catalogue say what the configuration says.

        What has the same name keeps its id; what is new gets one; what is missing is retired. Repeating it changes
        nothing.
        """
        now = self._clock.now()
        await self._store.transact(lambda tx: stock_up(tx, catalogue, now))

    # --- how it is done

    async def _change_account(
        self, account_id: AccountId, verb: str, by: Author, change: Callable[[Account], Account], detail: str = ""
    ) -> Account:
        now = self._clock.now()

        def work(tx: Transaction) -> Account:
            account = change(_found(tx.state, account_id))
            tx.put(account)
            tx.note(Deed(now, account_id, by, verb, f"account {account_id}", detail))
            return account

        return await self._store.transact(work)

    async def _change_user(self, email: str, verb: str, by: Author, change: Callable[[User], User]) -> User:
        email, now = email.strip().lower(), self._clock.now()

        def work(tx: Transaction) -> User:
            before = tx.state.users_by_email.get(email)
            if before is None:
                raise UnknownUser(email)
            after = change(before)
            _put_sparing_operators(tx, after)
            end_sign_ins(tx, after.id)
            tx.note(Deed(now, after.account_id, by, verb, f"user {email}"))
            return after

        return await self._store.transact(work)


def _nobody(_: Iterable[InstanceId]) -> None:
    """Tell nobody: there is no reconciler."""


def _found(state: State, account_id: AccountId) -> Account:
    account = state.accounts.get(account_id)
    if account is None:
        raise UnknownAccount(account_id)
    return account


def _put_sparing_operators(tx: Transaction, record: Account | User) -> None:
    """Put a record, unless that shuts out the last operator who can sign in."""
    before = _has_operator(tx.state)
    tx.put(record)
    if before and not _has_operator(tx.state):
        raise LastOperator


def _has_operator(state: State) -> bool:
    return any(
        user.is_operator and user.is_enabled and not state.accounts[user.account_id].is_suspended
        for user in state.users.values()
    )


def _treat(
    tx: Transaction, account_id: AccountId, policy: MachinePolicy, by: Author, now: datetime
) -> tuple[list[InstanceId], list[InstanceId]]:
    """Stop or end an account's machines, by the policy; return those that were, and those that could not be."""
    touched, untouched = [], []
    living = [each for each in tx.state.instances_of.get(account_id, {}).values() if not each.has_ended]
    for machine in living if policy is not MachinePolicy.LEAVE else ():
        after = _treated(machine, policy, now)
        if after is None:
            untouched.append(machine.id)
        elif after != machine:
            tx.put(after)
            for event in events_between(machine, after, now, by.actor):
                tx.note(event)
            touched.append(machine.id)
    return touched, untouched


def _treated(machine: Instance, policy: MachinePolicy, now: datetime) -> Instance | None:
    options = machine.options
    bare = changed(machine, options=replace(options, is_protected=False, is_stop_protected=False))
    if policy is MachinePolicy.TERMINATE:
        return changed(after_terminate(bare, now), options=options)
    if machine.state not in STOPPABLE:
        return None
    return changed(after_stop(bare, now), options=options)


def _new_key(
    tx: Transaction, account: Account, application: str, networks: tuple[Network, ...], now: datetime
) -> KeyHolder:
    if not account.has_api:
        account = replace(account, has_api=True)
        tx.put(account)
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
