"""Core: every verb that a front-end may call. One verb is one transaction of the store."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from core import booking, instances, orders, sessions, sshkeys
from core.accounts import Application, Caller, Protocol, check_name
from core.booking import House, Placed
from core.catalogue import Region
from core.clock import Clock
from core.errors import (
    AccountSuspended,
    ForeignOrder,
    InvalidRequest,
    KeyPairExists,
    NonceUsed,
    OrderEnded,
    UnknownKey,
    UnknownKeyPairs,
    UnknownOrder,
    UnknownRegion,
)
from core.fleet import Fleet
from core.ids import ApiKeyId, InstanceId, KeyPairId, OrderId, RegionId
from core.instances import Instance
from core.journal import named
from core.keypairs import KeyKind, KeyPair
from core.limits import Limits, Pace
from core.orders import Booking, Order
from core.ports import SampleStore, Store, Transaction
from core.provision import is_provided, provide
from core.sampling import NoSamples
from core.service.access import Access
from core.service.addresses import Addresses
from core.service.groups import SecurityGroups
from core.service.history import History
from core.service.machines import Machines
from core.service.people import STANDARD_PEOPLE, People, PeopleSettings
from core.service.selfview import SelfViews
from core.service.serial import OpenConsole, SerialConsoles, no_console
from core.service.spending import Spending
from core.service.transactor import Change, Transactor, fleet_of, home_of, moved
from core.sessions import Session
from core.tags import Resource, ResourceKind, TagSet, with_tags, without_tags
from core.vault import Vault

_LINK_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request signed with this access key must have been signed with, and who may use it."""

    access_key: str
    secret_key: str = field(repr=False)
    application: Application
    key_id: ApiKeyId
    is_suspended: bool = False


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with its machines in launch order."""

    order: Order
    instances: Sequence[Instance]


@dataclass(frozen=True, slots=True)
class CreatedKeyPair:
    """A new key pair; the private half is not kept."""

    pair: KeyPair
    private_pem: str = field(repr=False)


class Core:
    """The one way to the fleet.

    `wake` is told the ids of machines whose row now asks for something else than what runs; `console` tells what a
    machine wrote to its console, `screen` what its screen shows, and `samples` what it used, where that is kept;
    `serial` opens its serial console. Verbs about addresses, security groups and single machines are in `addresses`,
    `groups` and `machines`, those about serial consoles in `serial`; what a machine asks about itself is in
    `selfviews`. People sign in by `people`, and see to their API keys by `access`; `history` tells what was done, and
    `spending` what it costs.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        clock: Clock,
        house: House,
        *,
        wake: Callable[[Iterable[InstanceId]], None],
        console: Callable[[InstanceId], Awaitable[bytes]],
        screen: Callable[[InstanceId], Awaitable[bytes]],
        pace: Pace | None = None,
        samples: SampleStore | None = None,
        people: PeopleSettings = STANDARD_PEOPLE,
        serial: OpenConsole = no_console,
    ) -> None:
        self._store, self._vault, self._clock, self._house = store, vault, clock, house
        self._pace = pace
        self._transactor = transactor = Transactor(store, clock, wake)
        self.addresses = Addresses(transactor, house)
        self.groups = SecurityGroups(transactor, house)
        self.machines = Machines(
            transactor, store, house, console=console, screen=screen, samples=samples or NoSamples()
        )
        self.serial = SerialConsoles(transactor, store, serial)
        self.selfviews = SelfViews(store, clock)
        self.access = Access(transactor, store)
        self.people = People(store, clock, people)
        self.history = History(transactor, store)
        self.spending = Spending(transactor, store)

    @property
    def limits(self) -> Limits:
        """The most that one account may have."""
        return self._house.limits

    def now(self) -> datetime:
        """Return the present moment, for signatures and answers alike."""
        return self._clock.now()

    # --- who is calling

    async def credential(self, access_key: str) -> Credential:
        """Return what belongs to a long-lived access key.

        Raises:
            UnknownKey: there is none, or it, its application, or its account's API access is not enabled.
        """
        state = await self._store.view()
        key = state.keys.get(access_key)
        application = state.applications[key.application_id] if key else None
        if key is None or application is None or not (key.is_enabled and application.is_enabled):
            raise UnknownKey(access_key)
        account = state.accounts[application.account_id]
        if not account.has_api:
            raise UnknownKey(access_key)
        return Credential(key.access_key, key.secret_key, application, key.id, is_suspended=account.is_suspended)

    async def session_credential(self, access_key: str, token: str) -> Credential:
        """Return what belongs to a session's access key; it ends when its parent key does.

        Raises:
            InvalidSession, SessionExpired: the token does not stand for this access key now.
            UnknownKey: the key that the session was made from is gone or not enabled.
        """
        parent, secret_key = sessions.read_session(self._vault, access_key, token, self.now())
        credential = await self.credential(parent)
        return replace(credential, access_key=access_key, secret_key=secret_key)

    def admit(
        self,
        credential: Credential,
        address: str,
        protocol: Protocol,
        request_id: str,
        *,
        region_id: RegionId | None = None,
        sees_all_regions: bool = False,
    ) -> Caller:
        """Return the caller of a request whose signature has been verified; it counts as one of its key's requests.

        Raises:
            AddressNotAllowed: the application may not be used from this client address.
            AccountSuspended: the operator has suspended the account.
            TooManyRequests: the key asks more often than it may.
        """
        application = credential.application
        application.admit(address)
        if credential.is_suspended:
            raise AccountSuspended(application.account_id)
        if self._pace is not None:
            self._pace.take(str(credential.key_id))  # of a session, its parent key's: it may have many
        self.access.note_use(credential.key_id, address, protocol)
        return Caller(
            application.account_id,
            application.id,
            credential.access_key,
            protocol,
            request_id,
            region_id=region_id,
            sees_all_regions=sees_all_regions,
            address=address,
        )

    def open_session(self, caller: Caller, seconds: int) -> Session:
        """Return temporary credentials that act as the caller.

        Raises:
            InvalidRequest: the duration is out of bounds, or the caller's are temporary themselves.
        """
        if caller.access_key.startswith(sessions.ACCESS_KEY_PREFIX):
            raise InvalidRequest("credentials", "a session's", "an API key, since a session cannot open another")
        return sessions.open_session(self._vault, caller.access_key, seconds, self.now())

    async def claim_nonce(self, access_key: str, timestamp: int, nonce: str) -> None:
        """Return if the triple has not come before; it is remembered, also across a restart.

        Raises:
            NonceUsed: it has.
        """
        if not await self._store.claim_nonce(access_key, timestamp, nonce):
            raise NonceUsed

    def sign(self, purpose: str, text: str) -> str:
        """Return a signature of something a client is to bring back, such as the token of a page."""
        return self._vault.sign(purpose, text)

    def is_signed(self, purpose: str, text: str, signature: str) -> bool:
        """Whether we signed the text for the purpose."""
        return self._vault.is_signed(purpose, text, signature)

    # --- looking

    async def find_region(self, name: str) -> Region | None:
        """Return the region of a name, or None if there is none, or no longer."""
        region = (await self._store.view()).regions_by_name.get(name)
        return None if region is None or region.is_retired else region

    async def region_names(self) -> Sequence[str]:
        """Return the names of all regions, the first configured first."""
        state = await self._store.view()
        return [region.name for region in state.regions.values() if not region.is_retired]

    async def region(self, name: str) -> Region:
        """Return the region of a name; of an empty name, the first.

        Raises:
            UnknownRegion: there is none, or no longer.
        """
        names = await self.region_names()
        region = await self.find_region(name or next(iter(names), ""))
        if region is None:
            raise UnknownRegion(name, names)
        return region

    async def home(self, caller: Caller) -> Region:
        """Return the region in which what the caller makes is made."""
        state = await self._store.view()
        return state.regions[home_of(state, caller)]

    async def fleet(self, caller: Caller) -> Fleet:
        """Return what the caller can see now."""
        return Fleet(await self._store.view(), caller.account_id, self.now(), caller.seen_region_id)

    async def networked_fleet(self, caller: Caller) -> Fleet:
        """Return what the caller can see now, the networks of the account included, which may have to be made first."""
        state = await self._store.view()
        missing = [
            region_id
            for region_id, region in state.regions.items()
            if not region.is_retired
            and caller.seen_region_id in (None, region_id)
            and not is_provided(state, caller.account_id, region_id)
        ]
        if missing:
            now = self.now()
            await self._store.transact(lambda tx: [provide(tx, caller.account_id, each, now) for each in missing])
        return await self.fleet(caller)

    async def order(self, caller: Caller, order_id: OrderId) -> OrderView:
        """Return an order of the account, however long ago it closed.

        Raises:
            UnknownOrder: there is none.
            ForeignOrder: it is another account's.
        """
        found = await self._find_order(order_id)
        if found.order.account_id != caller.account_id:
            raise ForeignOrder(order_id)
        return found

    async def orders(self, caller: Caller) -> Sequence[OrderView]:
        """Return every order of the account, newest first."""
        archived = [OrderView(old.order, old.instances) for old in await self._store.archived_orders(caller.account_id)]
        state = await self._store.view()
        live = state.orders_of.get(caller.account_id, {})
        views = [OrderView(order, list(state.machines_of[order.id].values())) for order in live.values()]
        known = {view.order.id for view in views}
        views.extend(view for view in archived if view.order.id not in known)
        return sorted(views, key=lambda view: view.order.id, reverse=True)

    async def order_by_key(self, caller: Caller, order_key: str) -> OrderView:
        """Return the account's order with this order key.

        Raises:
            UnknownOrder: there is none, or it is another account's.
        """
        found = await self._find_order_by_key(order_key)
        if found.order.account_id != caller.account_id:
            raise UnknownOrder(order_key)
        return found

    # --- the order's own private key, behind a link that needs no credentials for a while

    def key_link_query(self, order: Order) -> str:
        """Return the query that makes a link to the order's private key valid for an hour."""
        expires = int((self.now() + _LINK_LIFETIME).timestamp())
        return f"expires={expires}&signature={self._vault.sign('order-key', f'{order.order_key}:{expires}')}"

    async def private_key_by_link(self, order_key: str, expires: str, signature: str) -> str:
        """Return the order's private key as PEM, for a link made by `key_link_query`.

        Raises:
            UnknownOrder: the link is not ours, has expired, or the order has no key of its own.
            OrderEnded: the order is completed.
        """
        is_signed = self._vault.is_signed("order-key", f"{order_key}:{expires}", signature)
        if not (is_signed and expires.isdecimal() and int(expires) > self.now().timestamp()):
            raise UnknownOrder(order_key)
        return await self._private_key(await self._find_order_by_key(order_key))

    async def private_key(self, caller: Caller, order_key: str) -> str:
        """Return the private key of the account's order as PEM.

        Raises:
            UnknownOrder: there is no such order of the account, or it has no key of its own.
            OrderEnded: the order is completed.
        """
        return await self._private_key(await self.order_by_key(caller, order_key))

    # --- booking and its end

    async def book(self, caller: Caller, request: Booking) -> Placed:
        """Book machines; they are pending when this returns, and durable.

        Repeating it with the same client token returns the first outcome.

        Raises:
            InvalidRequest: the request makes no sense by itself.
            See also `core.booking.place`, and `Store.transact`.
        """
        request.check()
        own_key = sshkeys.generate(KeyKind.ED25519, "onefleet-order") if request.wants_own_key else None
        spent = await self.spending.counted_for_booking(caller)
        now = self.now()

        def work(tx: Transaction) -> Placed:
            return booking.place(tx, caller, request, now=now, house=self._house, own_key=own_key, spent=spent)

        placed = await self._transactor.transact(caller, "book", work, _booked)
        if placed.is_new:
            self._transactor.announce(caller, [Change(instance, instance) for instance in placed.instances])
        return placed

    async def complete(self, caller: Caller, order_id: OrderId) -> None:
        """End the rental of every machine of an order.

        Raises:
            UnknownOrder: there is none.
            ForeignOrder: it is another account's.
            OrderEnded: every machine of it has ended before.
            Protected: a machine of it is protected from being terminated.
        """
        view = await self.order(caller, order_id)
        now = self.now()

        def work(tx: Transaction) -> list[Change]:
            machines = tx.state.machines_of.get(view.order.id, {})
            if orders.has_ended(machines.values()):
                raise OrderEnded(order_id)
            return moved(tx, caller, list(machines), instances.after_terminate, now)

        changes = await self._transactor.transact(caller, "complete", work, f"order {order_id}")
        self._transactor.announce(caller, changes)

    async def terminate(self, caller: Caller, ids: Sequence[InstanceId]) -> Sequence[Change]:
        """End the rental of machines; all or none. Ending the last machine of an order completes it.

        Raises:
            UnknownInstances: some are not there.
            Protected: some are protected from it.
        """
        return await self._transactor.move(caller, "terminate", ids, instances.after_terminate)

    async def start(self, caller: Caller, ids: Sequence[InstanceId]) -> Sequence[Change]:
        """Start machines; all or none.

        Raises:
            UnknownInstances: some are not there.
            IncorrectState: some are stopping or have ended.
        """
        return await self._transactor.move(caller, "start", ids, instances.after_start)

    async def stop(self, caller: Caller, ids: Sequence[InstanceId], *, is_forced: bool) -> Sequence[Change]:
        """Stop machines; all or none. Forced, they are not given the time to shut down.

        Raises:
            UnknownInstances: some are not there.
            IncorrectState: some are not up yet or have ended.
            Protected: some are protected from it.
        """

        def move(instance: Instance, now: datetime) -> Instance:
            return instances.after_stop(instance, now, is_forced=is_forced)

        return await self._transactor.move(caller, "force stop" if is_forced else "stop", ids, move)

    async def reboot(self, caller: Caller, ids: Sequence[InstanceId]) -> Sequence[Change]:
        """Ask for a restart of running machines; all or none.

        Raises:
            UnknownInstances: some are not there.
            IncorrectState: some do not run.
        """

        def move(instance: Instance, _: datetime) -> Instance:
            return instances.after_reboot(instance)

        return await self._transactor.move(caller, "reboot", ids, move)

    # --- key pairs and tags

    async def create_key_pair(
        self, caller: Caller, name: str, kind: KeyKind, tags: Mapping[str, str]
    ) -> CreatedKeyPair:
        """Return a fresh key pair; its private half is given out here and nowhere else.

        Raises:
            KeyPairExists: the name is taken in the region.
            LimitReached: the account may not have more.
            InvalidRequest: the name is empty, too long or unprintable.
        """
        name = check_name("KeyName", name)
        new = await asyncio.to_thread(sshkeys.generate, kind, name)
        return CreatedKeyPair(await self._keep_key_pair(caller, name, new.public, tags), new.private_pem)

    async def import_key_pair(self, caller: Caller, name: str, material: bytes, tags: Mapping[str, str]) -> KeyPair:
        """Keep a public key that the customer made.

        Raises:
            InvalidKeyMaterial: it cannot be used.
            KeyPairExists, LimitReached, InvalidRequest: see `create_key_pair`.
        """
        name = check_name("KeyName", name)
        return await self._keep_key_pair(caller, name, sshkeys.read_public(material), tags)

    async def delete_key_pair(self, caller: Caller, pair: KeyPair) -> None:
        """Forget a key pair of the account, with its tags. Machines that it opens stay as they are.

        Raises:
            UnknownKeyPairs: it is another account's, in another region, or was deleted before.
        """
        now = self.now()

        def work(tx: Transaction) -> None:
            if not fleet_of(tx, caller, now).has(ResourceKind.KEY_PAIR, pair.id):
                raise UnknownKeyPairs([pair.name])
            tx.drop(pair)
            tx.drop(TagSet(_resource_of(pair), {}))

        await self._transactor.transact(caller, "delete key pair", work, f"key pair {pair.name}")

    async def tag(self, caller: Caller, resources: Sequence[Resource], values: Mapping[str, str]) -> None:
        """Add or replace tags on resources that the account can see; all or none.

        Raises:
            InvalidTag, TooManyTags: the tags break the rules.
            See `Fleet.require`: a resource is not there, or another's.
        """
        now = self.now()

        def work(tx: Transaction) -> None:
            fleet = fleet_of(tx, caller, now)
            for resource in resources:
                fleet.require(resource)
                tx.put(with_tags(_tags_on(tx, resource), values))

        await self._transactor.transact(caller, "tag", work, _in_words(resources))

    async def untag(
        self, caller: Caller, resources: Sequence[Resource], values: Mapping[str, str | None] | None
    ) -> None:
        """Remove tags from resources, all of them where `values` is None; removing a tag that is not there is fine.

        Raises:
            See `Fleet.require`: a resource is not there, or another's.
        """
        now = self.now()

        def work(tx: Transaction) -> None:
            fleet = fleet_of(tx, caller, now)
            for resource in resources:
                fleet.require(resource)
                left = without_tags(_tags_on(tx, resource), values) if values is not None else TagSet(resource, {})
                if left.values:
                    tx.put(left)
                else:
                    tx.drop(left)

        await self._transactor.transact(caller, "untag", work, _in_words(resources))

    # --- how it is done

    async def _find_order(self, order_id: OrderId) -> OrderView:
        state = await self._store.view()
        if (order := state.orders.get(order_id)) is not None:
            return OrderView(order, list(state.machines_of[order_id].values()))
        if (old := await self._store.archived_order(order_id)) is None:
            raise UnknownOrder(str(order_id))
        return OrderView(old.order, old.instances)

    async def _find_order_by_key(self, order_key: str) -> OrderView:
        state = await self._store.view()
        if (order_id := state.orders_by_key.get(order_key)) is not None:
            return OrderView(state.orders[order_id], list(state.machines_of[order_id].values()))
        if (old := await self._store.archived_order_by_key(order_key)) is None:
            raise UnknownOrder(order_key)
        return OrderView(old.order, old.instances)

    async def _private_key(self, view: OrderView) -> str:
        if orders.has_ended(view.instances):
            raise OrderEnded(view.order.id)
        if not view.order.has_own_key:
            raise UnknownOrder(view.order.order_key)
        return (await self._store.material(view.order.id)).private_key

    async def _keep_key_pair(
        self, caller: Caller, name: str, public: sshkeys.PublicKey, tags: Mapping[str, str]
    ) -> KeyPair:
        now = self.now()

        def work(tx: Transaction) -> KeyPair:
            region_id = home_of(tx.state, caller)
            if (caller.account_id, region_id, name) in tx.state.key_pairs_by_name:
                raise KeyPairExists(name)
            self._house.limits.require_room("key_pairs", len(tx.state.key_pairs_of.get(caller.account_id, ())))
            pair = KeyPair(
                KeyPairId(tx.next_id(KeyPair)),
                caller.account_id,
                region_id,
                name,
                public.kind,
                public.fingerprint,
                public.line,
                now,
            )
            tx.put(pair)
            if tags:
                tx.put(with_tags(TagSet(_resource_of(pair), {}), tags))
            return pair

        return await self._transactor.transact(caller, "keep key pair", work, f"key pair {name}")


def _tags_on(tx: Transaction, resource: Resource) -> TagSet:
    return tx.state.tag_sets.get(resource) or TagSet(resource, {})


def _resource_of(pair: KeyPair) -> Resource:
    return Resource(pair.account_id, ResourceKind.KEY_PAIR, pair.id)


def _booked(placed: Placed) -> str:
    return f"order {placed.order.id}, {named('machine', [each.id for each in placed.instances])}"


def _in_words(resources: Sequence[Resource]) -> str:
    return ", ".join(named(_word_for(kind), [each.id for each in same]) for kind, same in _by_kind(resources).items())


def _word_for(kind: ResourceKind) -> str:
    return "machine" if kind is ResourceKind.INSTANCE else kind.value.replace("-", " ")


def _by_kind(resources: Sequence[Resource]) -> Mapping[ResourceKind, Sequence[Resource]]:
    by_kind: dict[ResourceKind, list[Resource]] = {}
    for resource in resources:
        by_kind.setdefault(resource.kind, []).append(resource)
    return by_kind
