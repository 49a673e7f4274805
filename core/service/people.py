"""People: how they sign in, stay signed in and sign out, and what they see to about themselves."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address

from core.accounts import Account, Caller, Protocol, check_name
from core.clock import Clock
from core.errors import (
    AccountSuspended,
    EmailTaken,
    InvalidRequest,
    NotSignedIn,
    SignUpClosed,
    TooManyAttempts,
    WrongCode,
    WrongPassword,
)
from core.ids import FIRST_ACCOUNT_ID, AccountId, SignInId, UserId
from core.journal import Author, Deed
from core.people import (
    TOKEN_BYTES,
    SignIn,
    User,
    after_code,
    after_seeing,
    check_code_secret,
    check_email,
    check_password,
    digest_of,
    digest_of_recovery,
    hash_password,
    is_password,
    new_code_secret,
    new_recovery_codes,
    step_of_code,
)
from core.ports import Store, Transaction
from core.service.access import console_application, find_console_application
from core.state import State

CODE_LIFETIME = timedelta(minutes=5)
"""How long somebody may take to give the second factor after the password."""

_FREE_FAILURES = 5
_LONGEST_WAIT_SECONDS = {"email": 60.0, "address": 900.0}
"""An address is held up for longer than a person, who cannot help being guessed at."""
_MOST_DOUBLINGS = 10
_FORGOTTEN_SECONDS = 3600.0
_MOST_KEPT = 10_000
_NETWORK_BITS = 64  # of IPv6 a customer has at least so many to themselves
_LONGEST_TEXT = 200
_MOST_SIGN_INS = 50  # of one person: else whoever knows one password could fill the memory
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class PeopleSettings:
    """How long a sign-in lasts that is not used, and whether strangers may make accounts for themselves."""

    lifetime: timedelta = timedelta(hours=12)
    has_sign_up: bool = False


STANDARD_PEOPLE = PeopleSettings()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a request of a person's browser comes from, and what the browser calls itself."""

    address: str
    agent: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who is signed in. `account` is the one that they act for, and `home` their own.

    `token` is what the browser is to bring back; empty where it has it already.
    """

    sign_in: SignIn
    user: User
    account: Account
    home: Account
    token: str = field(default="", repr=False)

    @property
    def is_acting(self) -> bool:
        """Whether an operator acts for somebody else's account."""
        return self.account.id != self.home.id


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A second factor that has just been switched on; the recovery codes are told once."""

    recovery_codes: tuple[str, ...] = field(repr=False)


class Attempts:
    """Slows down whoever fails again and again: after some failures each further one doubles the wait.

    It is kept in memory alone: a restart forgives.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}

    def require_patience(self, *, email: str, address: str) -> None:
        """Return if another attempt will be looked at.

        Raises:
            TooManyAttempts: not yet.
        """
        waits = (self._wait_seconds(key) for key in _keys(email, address))
        if (wait := max(waits)) > 0:
            raise TooManyAttempts(wait)

    def note_failure(self, *, email: str, address: str) -> None:
        """Count a wrong attempt; an empty e-mail address is nobody's."""
        now = self._clock()
        for key in _keys(email, address):
            count, since = self._failures.pop(key, (0, now))
            self._failures[key] = (count + 1 if now - since < _FORGOTTEN_SECONDS else 1, now)
        while len(self._failures) > _MOST_KEPT:
            del self._failures[next(iter(self._failures))]

    def forgive(self, *, email: str) -> None:
        """Forget the failures of a person who has signed in. Those of an address are forgotten with time alone."""
        self._failures.pop(("email", digest_of(email)), None)

    def _wait_seconds(self, key: tuple[str, str]) -> float:
        count, since = self._failures.get(key, (0, 0.0))
        if count < _FREE_FAILURES:
            return 0.0
        doublings = min(count - _FREE_FAILURES, _MOST_DOUBLINGS)
        return since + min(2.0**doublings, _LONGEST_WAIT_SECONDS[key[0]]) - self._clock()


def _keys(email: str, address: str) -> list[tuple[str, str]]:
    # A digest is as short for whatever is typed in place of an e-mail address.
    keys = [("email", digest_of(email))] if email else []
    return [*keys, ("address", _held_up(address))]


def _held_up(address: str) -> str:
    """Return what is held up for the failures from an address: of IPv6, its whole network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address) or parsed.ipv4_mapped is not None:
        return str(getattr(parsed, "ipv4_mapped", None) or parsed)
    return str(IPv6Network((int(parsed), _NETWORK_BITS), strict=False))


def _shown(text: str) -> str:
    """Return what a browser has sent as it may be kept, and shown on a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text[:_LONGEST_TEXT])


class People:
    """People who sign in."""

    def __init__(self, store: Store, clock: Clock, settings: PeopleSettings, attempts: Attempts | None = None) -> None:
        self._store, self._clock, self.settings = store, clock, settings
        self._attempts = attempts or Attempts()
        self._hashing = asyncio.Semaphore(_AT_ONCE)  # each takes 19 MiB and a core

    # --- signing in and out

    async def sign_in(self, email: str, password: str, visitor: Visitor, *, former: str = "") -> SignedIn:
        """Return a fresh sign-in; it `awaits_code` if the password alone is not enough.

        `former` is the token that the browser came with: what it stood for ends.

        Raises:
            WrongPassword: it is not the person's, there is no such person, or they are switched off.
            TooManyAttempts: there were too many wrong ones, of the person's or from the address.
            AccountSuspended: the password is right.
        """
        email = email.strip().lower()
        user = (await self._store.view()).users_by_email.get(email)
        is_right = await self._guess(email, password, user if user is not None and user.is_enabled else None, visitor)
        if user is None or not is_right:
            is_off = user is not None and not user.is_enabled
            await self._note_refusal(user, email, visitor, "switched off" if is_off else "wrong password")
            raise WrongPassword
        if not user.has_second_factor:
            self._attempts.forgive(email=email)
        return await self._begin(user, visitor, former, awaits_code=user.has_second_factor)

    async def give_code(self, token: str, code: str, visitor: Visitor) -> SignedIn:
        """Return the sign-in once its second factor is given, under another token.

        Raises:
            WrongCode: it is wrong, or was used before.
            TooManyAttempts: there were too many wrong ones.
            NotSignedIn: the password was not given, or too long ago.
        """
        now, digest = self._clock.now(), digest_of(token)
        waiting = (await self._store.view()).sign_ins_by_digest.get(digest)
        if waiting is None or not waiting.awaits_code or waiting.is_over(now):
            raise NotSignedIn
        user = (await self._store.view()).users[waiting.user_id]

        def accept(tx: Transaction) -> bool:
            after = after_code(tx.state.users[user.id], code, now)
            if waiting.id not in tx.state.sign_ins or after is None:
                return False
            tx.put(after)
            tx.drop(waiting)
            return True

        # Nothing is awaited between these two: else many codes could be tried at once before the first is counted.
        self._attempts.require_patience(email=user.email, address=visitor.address)
        if after_code(user, code, now) is None:
            self._attempts.note_failure(email=user.email, address=visitor.address)
        elif await self._store.transact(accept):
            self._attempts.forgive(email=user.email)
            return await self._begin(user, visitor, "", awaits_code=False)
        await self._note_refusal(user, user.email, visitor, "wrong code")
        raise WrongCode

    async def signed_in(self, token: str, *, is_use: bool = True) -> SignedIn:
        """Return who is signed in with a token; that it was used is noted now and then, if it is a use.

        Raises:
            NotSignedIn: nobody is, or no longer, or the second factor is missing.
            AccountSuspended: the account was suspended meanwhile.
        """
        found = self._found(await self._store.view(), token)
        seen = after_seeing(found.sign_in, self._clock.now(), self.settings.lifetime)
        if seen is found.sign_in or not is_use:
            return found

        def work(tx: Transaction) -> None:
            if found.sign_in.id in tx.state.sign_ins:
                tx.put(replace(tx.state.sign_ins[seen.id], seen_at=seen.seen_at, ends_at=seen.ends_at))

        await self._store.transact(work)
        return replace(found, sign_in=seen)

    async def is_still(self, who: SignedIn, token: str) -> bool:
        """Whether who was signed in with a token is so still, for the same account; that it was asked is no use of it.

        For what stays open for long, so that it ends with the sign-in.
        """
        try:
            found = self._found(await self._store.view(), token)
        except (NotSignedIn, AccountSuspended):
            return False
        return found.sign_in.id == who.sign_in.id and found.account.id == who.account.id

    async def awaits_code(self, token: str) -> bool:
        """Whether the token stands for somebody who has yet to give the second factor."""
        sign_in = (await self._store.view()).sign_ins_by_digest.get(digest_of(token))
        return sign_in is not None and sign_in.awaits_code and not sign_in.is_over(self._clock.now())

    async def sign_out(self, who: SignedIn, visitor: Visitor) -> None:
        """End this sign-in. Repeating it changes nothing."""

        def work(tx: Transaction) -> None:
            if who.sign_in.id in tx.state.sign_ins:
                tx.drop(who.sign_in)
                tx.note(self._deed(who.user, visitor, "sign out"))

        await self._store.transact(work)

    async def sign_out_everywhere(self, who: SignedIn, visitor: Visitor, *, but_here: bool = False) -> None:
        """End every sign-in of the person, or all but this one."""

        def work(tx: Transaction) -> None:
            end_sign_ins(tx, who.user.id, but=who.sign_in.id if but_here else None)
            tx.note(self._deed(who.user, visitor, "sign out everywhere"))

        await self._store.transact(work)

    async def sign_ins(self, who: SignedIn) -> list[SignIn]:
        """Return where the person is signed in, the one used last first."""
        state, now = await self._store.view(), self._clock.now()
        mine = [
            each
            for each in state.sign_ins.values()
            if each.user_id == who.user.id and not each.awaits_code and not each.is_over(now)
        ]
        return sorted(mine, key=lambda each: each.seen_at, reverse=True)

    async def end(self, who: SignedIn, sign_in_id: SignInId, visitor: Visitor) -> None:
        """End one of the person's sign-ins. One that is not there, or somebody else's, is left alone."""

        def work(tx: Transaction) -> None:
            sign_in = tx.state.sign_ins.get(sign_in_id)
            if sign_in is not None and sign_in.user_id == who.user.id:
                tx.drop(sign_in)
                tx.note(self._deed(who.user, visitor, "sign out", f"sign-in {sign_in_id}"))

        await self._store.transact(work)

    async def sign_up(self, name: str, email: str, password: str, visitor: Visitor, *, former: str = "") -> SignedIn:
        """Return a sign-in of a new person with an account of their own.

        Raises:
            SignUpClosed: accounts are made by the operator.
            EmailTaken, InvalidRequest: the e-mail address, the name or the password cannot be used.
            TooManyAttempts: too many accounts were tried from the address.
        """
        if not self.settings.has_sign_up:
            raise SignUpClosed
        name, email = check_name("name", name), check_email(email)
        check_password(password, email)
        self._attempts.require_patience(email="", address=visitor.address)
        self._attempts.note_failure(email="", address=visitor.address)  # accounts are not to be had by the thousand
        password_hash, now = await self._hash(password), self._clock.now()

        def work(tx: Transaction) -> User:
            account = new_account(tx, name, now)
            user = new_user(tx, account.id, email, password_hash, now)
            tx.note(self._deed(user, visitor, "sign up", f"account {account.id}"))
            return user

        return await self._begin(await self._store.transact(work), visitor, former, awaits_code=False)

    # --- who calls core's verbs

    async def caller(self, who: SignedIn, visitor: Visitor) -> Caller:
        """Return the person as the caller of core's verbs, for the account that they act for; they see all regions."""
        state = await self._store.view()
        application = find_console_application(state, who.account.id)
        if application is None:
            application = await self._store.transact(lambda tx: console_application(tx, who.account.id))
        return Caller(
            who.account.id,
            application.id,
            "",
            Protocol.CONSOLE,
            visitor.request_id,
            address=visitor.address,
            actor=who.user.email,
            operator=who.user.email if who.is_acting else "",
            user_id=who.user.id,
        )

    # --- what a person sees to

    async def change_password(self, who: SignedIn, old: str, new: str, visitor: Visitor) -> None:
        """Set another password; every other sign-in of the person ends.

        Raises:
            WrongPassword: the old one is wrong.
            TooManyAttempts: it was too often.
            InvalidRequest: the new one cannot be used.
            NotSignedIn: the sign-in has ended meanwhile.
        """
        await self._require_password(who.user, old, visitor)
        check_password(new, who.user.email)
        if new == old:
            raise InvalidRequest("password", "what you typed", "another password than the one you have")
        password_hash = await self._hash(new)

        def work(tx: Transaction) -> None:
            user = _still_there(tx, who)
            tx.put(replace(user, password_hash=password_hash, must_change=False))
            end_sign_ins(tx, user.id, but=who.sign_in.id)
            tx.note(self._deed(user, visitor, "change password"))

        await self._store.transact(work)

    def propose_second_factor(self) -> str:
        """Return a fresh secret for an authenticator app; nothing is changed before `turn_on_second_factor`."""
        return new_code_secret()

    async def turn_on_second_factor(
        self, who: SignedIn, secret: str, code: str, password: str, visitor: Visitor
    ) -> SecondFactor:
        """Ask for codes of this secret from now on, once the person has shown to have one.

        Raises:
            WrongPassword, TooManyAttempts, NotSignedIn: see `change_password`.
            WrongCode: the code is not of the secret.
            InvalidRequest: the secret is none of ours.
        """
        await self._require_password(who.user, password, visitor)
        step = step_of_code(check_code_secret(secret), code, self._clock.now(), 0)
        if step is None:
            raise WrongCode
        codes = new_recovery_codes()
        digests = tuple(map(digest_of_recovery, codes))

        def work(tx: Transaction) -> None:
            user = _still_there(tx, who)
            tx.put(replace(user, code_secret=secret, code_step=step, recovery=digests))
            end_sign_ins(tx, user.id, but=who.sign_in.id)
            tx.note(self._deed(user, visitor, "turn on second factor"))

        await self._store.transact(work)
        return SecondFactor(codes)

    async def turn_off_second_factor(self, who: SignedIn, password: str, visitor: Visitor) -> None:
        """Ask for the password alone from now on; every other sign-in of the person ends.

        Raises:
            WrongPassword, TooManyAttempts, NotSignedIn: see `change_password`.
        """
        await self._require_password(who.user, password, visitor)

        def work(tx: Transaction) -> None:
            user = _still_there(tx, who)
            tx.put(replace(user, code_secret="", code_step=0, recovery=()))
            end_sign_ins(tx, user.id, but=who.sign_in.id)
            tx.note(self._deed(user, visitor, "turn off second factor"))

        await self._store.transact(work)

    # --- how it is done

    async def _begin(self, known: User, visitor: Visitor, former: str, *, awaits_code: bool) -> SignedIn:
        """Begin a sign-in of a person whose password was found right; meanwhile it may have become another."""
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self._clock.now()

        def work(tx: Transaction) -> SignIn:
            user = tx.state.users[known.id]
            if user.password_hash != known.password_hash or not user.is_enabled:
                raise WrongPassword
            if tx.state.accounts[user.account_id].is_suspended:
                raise AccountSuspended(user.account_id)
            _make_room(tx, user.id, now, digest_of(former) if former else "")
            sign_in = SignIn(
                SignInId(tx.next_id(SignIn)),
                user.id,
                digest_of(token),
                visitor.address,
                _shown(visitor.agent),
                now,
                now,
                now + (CODE_LIFETIME if awaits_code else self.settings.lifetime),
                awaits_code=awaits_code,
            )
            tx.put(sign_in)
            if not awaits_code:
                tx.note(self._deed(user, visitor, "sign in"))
            return sign_in

        sign_in = await self._store.transact(work)
        state = await self._store.view()
        account = state.accounts[known.account_id]
        return SignedIn(sign_in, state.users[known.id], account, account, token)

    def _found(self, state: State, token: str) -> SignedIn:
        sign_in = state.sign_ins_by_digest.get(digest_of(token)) if token else None
        if sign_in is None or sign_in.awaits_code or sign_in.is_over(self._clock.now()):
            raise NotSignedIn
        user = state.users[sign_in.user_id]
        if not user.is_enabled:
            raise NotSignedIn
        home = state.accounts[user.account_id]
        if home.is_suspended:
            raise AccountSuspended(home.id)
        account = home if sign_in.acting_for is None else state.accounts[sign_in.acting_for]
        return SignedIn(sign_in, user, account, home)

    async def _require_password(self, user: User, password: str, visitor: Visitor) -> None:
        if not await self._guess(user.email, password, user, visitor):
            raise WrongPassword
        self._attempts.forgive(email=user.email)

    async def _guess(self, email: str, password: str, user: User | None, visitor: Visitor) -> bool:
        """Whether the password is the person's; nobody has any. A wrong one is counted.

        Raises:
            TooManyAttempts: it was not looked at.
        """
        # It is counted before the next may be looked at, or as many could be tried at once as connections are open.
        async with self._hashing:
            self._attempts.require_patience(email=email, address=visitor.address)
            is_right = await asyncio.to_thread(is_password, password, user.password_hash if user is not None else "")
            if not is_right:
                self._attempts.note_failure(email=email, address=visitor.address)
            return is_right

    async def _hash(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(hash_password, password)

    async def _note_refusal(self, user: User | None, email: str, visitor: Visitor, why: str) -> None:
        deed = self._deed(user, visitor, "sign in refused", detail=why, email=email)
        await self._store.transact(lambda tx: tx.note(deed))

    def _deed(
        self, user: User | None, visitor: Visitor, verb: str, subject: str = "", *, detail: str = "", email: str = ""
    ) -> Deed:
        author = Author(user.email if user else _shown(email), visitor.address, Protocol.CONSOLE, visitor.request_id)
        return Deed(self._clock.now(), user.account_id if user else None, author, verb, subject, detail)


def _still_there(tx: Transaction, who: SignedIn) -> User:
    """Return who is signed in, as they are now.

    Raises:
        NotSignedIn: the sign-in has ended since it was looked at.
    """
    if who.sign_in.id not in tx.state.sign_ins:
        raise NotSignedIn
    return tx.state.users[who.user.id]


def new_account(tx: Transaction, name: str, now: datetime) -> Account:
    """Return a new account, put into the rows. Its API access is off."""
    account = Account(AccountId(FIRST_ACCOUNT_ID - 1 + tx.next_id(Account)), name, now)
    tx.put(account)
    return account


def new_user(
    tx: Transaction,
    account_id: AccountId,
    email: str,
    password_hash: str,
    now: datetime,
    *,
    is_operator: bool = False,
    must_change: bool = False,
) -> User:
    """Return a new person, put into the rows.

    Raises:
        EmailTaken: somebody else signs in with the e-mail address.
    """
    if email in tx.state.users_by_email:
        raise EmailTaken(email)
    user = User(
        UserId(tx.next_id(User)),
        account_id,
        email,
        password_hash,
        now,
        is_operator=is_operator,
        must_change=must_change,
    )
    tx.put(user)
    return user


def end_sign_ins(tx: Transaction, user_id: UserId, *, but: SignInId | None = None) -> None:
    """End every sign-in of a person, or all but one."""
    for sign_in in list(tx.state.sign_ins.values()):
        if sign_in.user_id == user_id and sign_in.id != but:
            tx.drop(sign_in)


def _make_room(tx: Transaction, user_id: UserId, now: datetime, former: str) -> None:
    """End sign-ins that have expired, the one that the browser had, and of too many those that were used least."""
    for sign_in in list(tx.state.sign_ins.values()):
        if sign_in.is_over(now) or sign_in.digest == former:
            tx.drop(sign_in)
    mine = [sign_in for sign_in in tx.state.sign_ins.values() if sign_in.user_id == user_id]
    for sign_in in sorted(mine, key=_worth)[: 1 - _MOST_SIGN_INS]:
        tx.drop(sign_in)


def _worth(sign_in: SignIn) -> tuple[bool, datetime]:
    """Return by what sign-ins are kept; who knows no more than the password puts nobody out who has given the code."""
    return not sign_in.awaits_code, sign_in.seen_at
