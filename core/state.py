"""Every live record at one revision, in memory and indexed by what verbs and descriptions ask for.

A store keeps one of these true after each commit and hands it to readers, so that a read costs no disk and no thread.
Orders that closed long ago are not in it: a store answers for them one by one (`Store.archived_order`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeVar

from core.accounts import Account, ApiKey, Application, KeyUse
from core.addresses import Address
from core.catalogue import Image, Product, Region, Zone
from core.disks import KeptDisk
from core.ids import (
    AccountId,
    AddressId,
    ApiKeyId,
    ApplicationId,
    ImageId,
    InstanceId,
    KeyPairId,
    NetworkId,
    OrderId,
    ProductId,
    RegionId,
    SecurityGroupId,
    SignInId,
    SubnetId,
    UserId,
    ZoneId,
)
from core.instances import Instance
from core.keypairs import KeyPair
from core.networks import Network, Subnet
from core.orders import Order
from core.people import SignIn, User
from core.securitygroups import SecurityGroup
from core.tags import Resource, TagSet

Record = (
    Account
    | Application
    | ApiKey
    | KeyUse
    | User
    | SignIn
    | Region
    | Zone
    | Image
    | Product
    | KeyPair
    | Network
    | Subnet
    | SecurityGroup
    | Order
    | Instance
    | Address
    | KeptDisk
    | TagSet
)

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")

_NO_TAGS: Mapping[str, str] = {}


class State:
    """Records by id, and the indexes over them. Everything in it is immutable; only `put` and `drop` change it."""

    def __init__(self) -> None:
        self.revision = 0
        self.accounts: dict[AccountId, Account] = {}
        self.applications: dict[ApplicationId, Application] = {}
        self.keys: dict[str, ApiKey] = {}
        self.key_uses: dict[ApiKeyId, KeyUse] = {}
        self.users: dict[UserId, User] = {}
        self.sign_ins: dict[SignInId, SignIn] = {}
        self.regions: dict[RegionId, Region] = {}
        self.zones: dict[ZoneId, Zone] = {}
        self.images: dict[ImageId, Image] = {}
        self.products: dict[ProductId, Product] = {}
        self.key_pairs: dict[KeyPairId, KeyPair] = {}
        self.networks: dict[NetworkId, Network] = {}
        self.subnets: dict[SubnetId, Subnet] = {}
        self.security_groups: dict[SecurityGroupId, SecurityGroup] = {}
        self.orders: dict[OrderId, Order] = {}
        self.instances: dict[InstanceId, Instance] = {}
        self.addresses: dict[AddressId, Address] = {}
        self.kept_disks: dict[InstanceId, KeptDisk] = {}
        self.tag_sets: dict[Resource, TagSet] = {}

        self.users_by_email: dict[str, User] = {}
        self.sign_ins_by_digest: dict[str, SignIn] = {}
        self.regions_by_name: dict[str, Region] = {}
        self.zones_in: dict[RegionId, dict[ZoneId, Zone]] = {}
        self.networks_by_place: dict[tuple[AccountId, RegionId], Network] = {}
        self.subnets_by_place: dict[tuple[AccountId, ZoneId], Subnet] = {}
        self.groups_by_name: dict[tuple[NetworkId, str], SecurityGroup] = {}
        self.security_groups_of: dict[AccountId, dict[SecurityGroupId, SecurityGroup]] = {}
        self.addresses_of: dict[AccountId, dict[AddressId, Address]] = {}
        self.addresses_on: dict[InstanceId, tuple[Address, ...]] = {}
        self.addresses_taken: dict[str, Address] = {}
        self.kept_disks_of: dict[AccountId, dict[InstanceId, KeptDisk]] = {}
        self.key_pairs_of: dict[AccountId, dict[KeyPairId, KeyPair]] = {}
        self.tag_sets_of: dict[AccountId, dict[Resource, TagSet]] = {}
        self.key_pairs_by_name: dict[tuple[AccountId, RegionId, str], KeyPair] = {}
        self.orders_by_key: dict[str, OrderId] = {}
        self.orders_by_token: dict[tuple[AccountId, str], OrderId] = {}
        self.orders_of: dict[AccountId, dict[OrderId, Order]] = {}
        self.instances_of: dict[AccountId, dict[InstanceId, Instance]] = {}
        self.machines_of: dict[OrderId, dict[InstanceId, Instance]] = {}
        self.occupied: Counter[tuple[ProductId, ZoneId]] = Counter()
        self.rented: Counter[AccountId] = Counter()
        self.ssh_ports: set[int] = set()
        self.private_addresses: set[str] = set()

        self._tables: dict[type, dict[Any, Any]] = {
            Account: self.accounts,
            Application: self.applications,
            ApiKey: self.keys,
            KeyUse: self.key_uses,
            User: self.users,
            SignIn: self.sign_ins,
            Region: self.regions,
            Zone: self.zones,
            Image: self.images,
            Product: self.products,
            KeyPair: self.key_pairs,
            Network: self.networks,
            Subnet: self.subnets,
            SecurityGroup: self.security_groups,
            Order: self.orders,
            Instance: self.instances,
            Address: self.addresses,
            KeptDisk: self.kept_disks,
            TagSet: self.tag_sets,
        }
        self._index: dict[type, Callable[[Any, Any], None]] = {
            User: _found_in(self.users_by_email, attrgetter("email")),
            SignIn: _found_in(self.sign_ins_by_digest, attrgetter("digest")),
            Region: _found_in(self.regions_by_name, attrgetter("name")),
            Zone: self._index_zone,
            Network: self._index_network,
            Subnet: self._index_subnet,
            SecurityGroup: self._index_group,
            Address: self._index_address,
            KeptDisk: _owned_in(self.kept_disks_of),
            KeyPair: self._index_key_pair,
            Order: self._index_order,
            Instance: self._index_instance,
            TagSet: self._index_tag_set,
        }

    def tags_of(self, resource: Resource) -> Mapping[str, str]:
        """Return the resource's tags; the same object as long as they are unchanged."""
        found = self.tag_sets.get(resource)
        return found.values if found else _NO_TAGS

    def free(self, product: Product, zone_id: ZoneId) -> int:
        """Return how many more machines of the product the zone can hold; below zero if its capacity was cut."""
        return product.capacity.get(zone_id, 0) - self.occupied[product.id, zone_id]

    def bound_to(self, instance_id: InstanceId) -> tuple[Address, ...]:
        """Return the public addresses bound to a machine, the first bound first; the same object while they stay so."""
        return self.addresses_on.get(instance_id, ())

    def find(self, kind: type, key: object) -> Record | None:
        """Return the record of a kind under its key (`key_of`), or None."""
        found: Record | None = self._tables[kind].get(key)
        return found

    def put(self, record: Record) -> Record | None:
        """Hold the record in place of the one with its key; return that one, if there was one."""
        kind = type(record)
        table, key = self._tables[kind], key_of(record)
        before: Record | None = table.get(key)
        table[key] = record
        if (index := self._index.get(kind)) is not None:
            index(before, record)
        return before

    def drop(self, record: Record) -> None:
        """Forget the record with this one's key, if there is one."""
        before = self._tables[type(record)].pop(key_of(record), None)
        if before is not None and (index := self._index.get(type(record))) is not None:
            index(before, None)

    def _index_zone(self, old: Zone | None, new: Zone | None) -> None:
        # A zone that changes keeps its place among those of its region: bookings go to the first that will do.
        if old is not None and (new is None or new.region_id != old.region_id):
            _remove(self.zones_in, old.region_id, old.id)
        if new is not None:
            self.zones_in.setdefault(new.region_id, {})[new.id] = new

    def _index_network(self, old: Network | None, new: Network | None) -> None:
        if old is not None:
            self.networks_by_place.pop((old.account_id, old.region_id), None)
        if new is not None:
            self.networks_by_place[new.account_id, new.region_id] = new

    def _index_subnet(self, old: Subnet | None, new: Subnet | None) -> None:
        if old is not None:
            self.subnets_by_place.pop((old.account_id, old.zone_id), None)
        if new is not None:
            self.subnets_by_place[new.account_id, new.zone_id] = new

    def _index_group(self, old: SecurityGroup | None, new: SecurityGroup | None) -> None:
        if old is not None:
            self.groups_by_name.pop((old.network_id, old.name), None)
            _remove(self.security_groups_of, old.account_id, old.id)
        if new is not None:
            self.groups_by_name[new.network_id, new.name] = new
            self.security_groups_of.setdefault(new.account_id, {})[new.id] = new

    def _index_address(self, old: Address | None, new: Address | None) -> None:
        if old is not None:
            self.addresses_taken.pop(old.address, None)
            _remove(self.addresses_of, old.account_id, old.id)
            if old.instance_id is not None:
                self._index_bound(
                    old.instance_id, [each for each in self.bound_to(old.instance_id) if each.id != old.id]
                )
        if new is not None:
            self.addresses_taken[new.address] = new
            self.addresses_of.setdefault(new.account_id, {})[new.id] = new
            if new.instance_id is not None:
                self._index_bound(new.instance_id, [*self.bound_to(new.instance_id), new])

    def _index_bound(self, instance_id: InstanceId, addresses: Iterable[Address]) -> None:
        in_order = tuple(sorted(addresses, key=lambda address: address.association_id or 0))
        if in_order:
            self.addresses_on[instance_id] = in_order
        else:
            del self.addresses_on[instance_id]

    def _index_key_pair(self, old: KeyPair | None, new: KeyPair | None) -> None:
        if old is not None:
            self.key_pairs_by_name.pop((old.account_id, old.region_id, old.name), None)
            _remove(self.key_pairs_of, old.account_id, old.id)
        if new is not None:
            self.key_pairs_by_name[new.account_id, new.region_id, new.name] = new
            self.key_pairs_of.setdefault(new.account_id, {})[new.id] = new

    def _index_tag_set(self, old: TagSet | None, new: TagSet | None) -> None:
        if new is not None:
            self.tag_sets_of.setdefault(new.resource.account_id, {})[new.resource] = new
        elif old is not None:
            _remove(self.tag_sets_of, old.resource.account_id, old.resource)

    def _index_order(self, old: Order | None, new: Order | None) -> None:
        known = new or old
        if known is None:
            return
        if new is None:
            self.orders_by_key.pop(known.order_key, None)
            self.orders_by_token.pop((known.account_id, known.client_token), None)
            _remove(self.orders_of, known.account_id, known.id)
            return
        self.orders_by_key[new.order_key] = new.id
        self.orders_of.setdefault(new.account_id, {})[new.id] = new
        if new.client_token:
            self.orders_by_token[new.account_id, new.client_token] = new.id

    def _index_instance(self, old: Instance | None, new: Instance | None) -> None:
        if old is not None and not old.is_gone:
            self.occupied[old.product_id, old.zone_id] -= 1
            self.ssh_ports.discard(old.ssh_port)
            self.private_addresses.discard(old.private_address)
            self.rented[old.account_id] -= 1
        if new is not None:
            self.instances_of.setdefault(new.account_id, {})[new.id] = new
            self.machines_of.setdefault(new.order_id, {})[new.id] = new
            if not new.is_gone:
                self.occupied[new.product_id, new.zone_id] += 1
                self.ssh_ports.add(new.ssh_port)
                if new.private_address:
                    self.private_addresses.add(new.private_address)
                self.rented[new.account_id] += 1
        elif old is not None:
            _remove(self.instances_of, old.account_id, old.id)
            _remove(self.machines_of, old.order_id, old.id)


def _owned_in(index: dict[AccountId, dict[Any, Any]]) -> Callable[[Any, Any], None]:
    """Return what keeps an index of records by the account that they belong to."""

    def keep(old: Any, new: Any) -> None:
        if new is not None:
            index.setdefault(new.account_id, {})[new.id] = new
        elif old is not None:
            _remove(index, old.account_id, old.id)

    return keep


def _found_in(index: dict[str, Any], name_of: Callable[[Any], str]) -> Callable[[Any, Any], None]:
    """Return what keeps an index of records by a name that each has to itself."""

    def keep(old: Any, new: Any) -> None:
        if old is not None:
            index.pop(name_of(old), None)
        if new is not None:
            index[name_of(new)] = new

    return keep


def _remove(index: dict[K, dict[V, R]], owner: K, key: V) -> None:
    owned = index[owner]
    owned.pop(key, None)
    if not owned:
        del index[owner]


def key_of(record: Record) -> object:
    """Return what a record is held by: API keys by their access key, tags by their resource, all else by id."""
    if isinstance(record, ApiKey):
        return record.access_key
    return record.resource if isinstance(record, TagSet) else record.id
