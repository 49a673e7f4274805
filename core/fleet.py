"""What one account can see of the state: the catalogue, and its own orders, machines, key pairs and tags."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.addresses import Address
from core.catalogue import Image, Product, Region, Zone
from core.disks import KeptDisk
from core.errors import CoreError, UnknownImage, UnknownInstances, UnknownKeyPairs, UnknownOrder, UnknownResource
from core.ids import (
    AccountId,
    AddressId,
    ImageId,
    InstanceId,
    KeyPairId,
    NetworkId,
    OrderId,
    ProductId,
    RegionId,
    SecurityGroupId,
    ZoneId,
)
from core.instances import Instance
from core.keypairs import KeyPair
from core.kinds import OF_A_NETWORK
from core.networks import Network, Subnet
from core.orders import Order
from core.securitygroups import SecurityGroup
from core.state import State
from core.tags import Resource, ResourceKind, TagSet

_UNKNOWN: Mapping[ResourceKind, Callable[[int], CoreError]] = {
    ResourceKind.INSTANCE: lambda number: UnknownInstances([InstanceId(number)]),
    ResourceKind.ORDER: lambda number: UnknownOrder(str(number)),
    ResourceKind.IMAGE: lambda number: UnknownImage(str(number)),
    ResourceKind.KEY_PAIR: lambda number: UnknownKeyPairs([str(number)], by_id=True),
}


SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class WayIn:
    """How to log in to a machine over ssh. An empty host stands for the one that all machines are reached by."""

    user: str
    host: str
    port: int


class Fleet:
    """A view of the state through one account's eyes, at one moment. Read it before awaiting anything else.

    With a region, only what is in that region is seen, of the account's own things and of the products.
    """

    def __init__(self, state: State, account_id: AccountId, now: datetime, region_id: RegionId | None = None) -> None:
        self._state = state
        self.account_id = account_id
        self.now = now
        self.region_id = region_id
        self._zones: Mapping[ZoneId, Zone] = state.zones if region_id is None else state.zones_in.get(region_id, {})

    @property
    def revision(self) -> int:
        """The number of commits that the view includes; equal revisions show equal rows."""
        return self._state.revision

    # --- the catalogue

    def regions(self) -> Sequence[Region]:
        """Return the regions in the order in which they were first configured."""
        return [region for region in self._state.regions.values() if not region.is_retired]

    def zones(self) -> Sequence[Zone]:
        """Return the zones of all regions in the order in which they were first configured."""
        return [zone for zone in self._state.zones.values() if not zone.is_retired]

    def images(self) -> Sequence[Image]:
        """Return the images in the order in which they were first configured."""
        return [image for image in self._state.images.values() if not image.is_retired]

    def products(self) -> Sequence[Product]:
        """Return the products that can be booked, in the order in which they were first configured."""
        offered = self.products_anywhere()
        if self.region_id is None:
            return offered
        return [product for product in offered if not self._zones.keys().isdisjoint(product.capacity)]

    def products_anywhere(self) -> Sequence[Product]:
        """Return the products that can be booked in any region, seen or not."""
        return [product for product in self._state.products.values() if not product.is_retired]

    def product(self, product_id: ProductId) -> Product:
        """Return a product, also a retired one. The id must come from a row."""
        return self._state.products[product_id]

    def zone(self, zone_id: ZoneId) -> Zone:
        """Return a zone, also a retired one. The id must come from a row."""
        return self._state.zones[zone_id]

    def region(self, region_id: RegionId) -> Region:
        """Return a region, also a retired one. The id must come from a row."""
        return self._state.regions[region_id]

    def region_of(self, zone_id: ZoneId) -> Region:
        """Return the region of a zone. The id must come from a row."""
        return self._state.regions[self._state.zones[zone_id].region_id]

    def image(self, image_id: ImageId) -> Image:
        """Return an image, also a retired one. The id must come from a row."""
        return self._state.images[image_id]

    def free(self, product: Product, zone_id: ZoneId) -> int:
        """Return how many more machines of the product can be booked in the zone."""
        return max(0, self._state.free(product, zone_id))

    # --- what is booked

    def instances(self) -> Iterable[Instance]:
        """Return the machines in order of id: those that live and those that ended within the hour."""
        mine, zones, now = self._state.instances_of.get(self.account_id, {}), self._zones, self.now
        return (instance for instance in mine.values() if instance.zone_id in zones and instance.is_visible(now))

    def instances_by_id(self, ids: Sequence[InstanceId]) -> Sequence[Instance]:
        """Return the machines in the order asked for.

        Raises:
            UnknownInstances: some do not exist, are another's, or ended more than an hour ago. It names all of these.
        """
        mine = self._state.instances_of.get(self.account_id, {})
        found = [mine.get(wanted) for wanted in ids]
        visible = [
            instance
            for instance in found
            if instance is not None and instance.zone_id in self._zones and instance.is_visible(self.now)
        ]
        if len(visible) < len(ids):
            known = {instance.id for instance in visible}
            raise UnknownInstances([wanted for wanted in ids if wanted not in known])
        return visible

    def order(self, order_id: OrderId) -> Order:
        """Return the order of a machine. The id must come from a row."""
        return self._state.orders[order_id]

    def machines(self, order_id: OrderId) -> Sequence[Instance]:
        """Return all machines of an order, in launch order. The id must come from a row."""
        return list(self._state.machines_of[order_id].values())

    # --- networks, security groups, addresses, disks

    def networks(self) -> Sequence[Network]:
        """Return the networks, at most one a region; see `Core.networked_fleet`."""
        by_place = self._state.networks_by_place
        places = (self.region_id,) if self.region_id is not None else self._state.regions
        return [by_place[self.account_id, each] for each in places if (self.account_id, each) in by_place]

    def network(self, network_id: NetworkId) -> Network:
        """Return a network.

        Raises:
            UnknownResource: it is not there.
        """
        network = self._state.networks.get(network_id)
        if network is None or network.account_id != self.account_id or not self._is_here(network.region_id):
            raise UnknownResource(ResourceKind.NETWORK, network_id)
        return network

    def network_in(self, region_id: RegionId) -> Network:
        """Return the network of a region in which something of the account is."""
        return self._state.networks_by_place[self.account_id, region_id]

    def subnets(self) -> Sequence[Subnet]:
        """Return the subnets, one a zone, retired zones included as long as they were ever used."""
        by_place = self._state.subnets_by_place
        return [by_place[self.account_id, each] for each in self._zones if (self.account_id, each) in by_place]

    def subnet_in(self, zone_id: ZoneId) -> Subnet:
        """Return the subnet of a zone in which something of the account is."""
        return self._state.subnets_by_place[self.account_id, zone_id]

    def security_groups(self) -> Sequence[SecurityGroup]:
        """Return the security groups in order of id."""
        mine = self._state.security_groups_of.get(self.account_id, {}).values()
        networks = {network.id for network in self.networks()}
        return sorted((group for group in mine if group.network_id in networks), key=lambda group: group.id)

    def security_group(self, group_id: SecurityGroupId) -> SecurityGroup:
        """Return a security group.

        Raises:
            UnknownResource: it is not there.
        """
        group = self._state.security_groups.get(group_id)
        if group is None or group.account_id != self.account_id or not self._is_network_here(group.network_id):
            raise UnknownResource(ResourceKind.SECURITY_GROUP, group_id)
        return group

    def groups_of(self, instance: Instance) -> Sequence[SecurityGroup]:
        """Return the groups that a machine of the account is in, in the order given for it."""
        groups = self._state.security_groups
        return [groups[group_id] for group_id in instance.group_ids if group_id in groups]

    def addresses(self) -> Sequence[Address]:
        """Return the public addresses that the account holds, in order of id."""
        mine = self._state.addresses_of.get(self.account_id, {}).values()
        return sorted((each for each in mine if each.zone_id in self._zones), key=lambda address: address.id)

    def address(self, address_id: AddressId) -> Address:
        """Return a public address.

        Raises:
            UnknownResource: the account does not hold it, or not here.
        """
        address = self._state.addresses.get(address_id)
        if address is None or address.account_id != self.account_id or address.zone_id not in self._zones:
            raise UnknownResource(ResourceKind.ADDRESS, address_id)
        return address

    def way_in(self, instance: Instance) -> WayIn:
        """Return how its renter logs in to a machine: by the first address bound to it, else by a port of its host."""
        user, bound = self.image(instance.image_id).default_user, self.bound_to(instance.id)
        if bound:
            return WayIn(user, bound[0].address, SSH_PORT)
        return WayIn(user, instance.public_address, instance.ssh_port)

    def bound_to(self, instance_id: InstanceId) -> tuple[Address, ...]:
        """Return the addresses bound to a machine, the first bound first; the same object while they stay so."""
        return self._state.bound_to(instance_id)

    def kept_disks(self) -> Sequence[KeptDisk]:
        """Return the disks that have outlived their machines and are wanted still, in order of id."""
        mine = self._state.kept_disks_of.get(self.account_id, {}).values()
        here = (disk for disk in mine if disk.zone_id in self._zones and not disk.is_unwanted)
        return sorted(here, key=lambda disk: disk.id)

    # --- key pairs and tags

    def key_pairs(self) -> Sequence[KeyPair]:
        """Return the key pairs in order of id."""
        mine = self._state.key_pairs_of.get(self.account_id, {}).values()
        return sorted((pair for pair in mine if self._is_here(pair.region_id)), key=lambda pair: pair.id)

    def tags(self, kind: ResourceKind, id: int) -> Mapping[str, str]:  # noqa: A002  it is an id
        """Return the account's tags on a thing; the same object as long as they are unchanged."""
        return self._state.tags_of(Resource(self.account_id, kind, id))

    def tag_sets(self) -> Sequence[TagSet]:
        """Return all tags of the account on things that can still be seen, by kind and id."""
        own = self._state.tag_sets_of.get(self.account_id, {}).values()
        mine = [tags for tags in own if tags.values and self._is_visible(tags.resource)]
        return sorted(mine, key=lambda tags: (tags.resource.kind, tags.resource.id))

    def has(self, kind: ResourceKind, id: int) -> bool:  # noqa: A002  it is an id
        """Whether the account can see a thing of this kind and id."""
        return self._is_visible(Resource(self.account_id, kind, id))

    def require(self, resource: Resource) -> None:
        """Return if the resource is the account's to tag, and can be seen.

        Raises:
            UnknownInstances, UnknownOrder, UnknownImage, UnknownKeyPairs, UnknownResource: it is not.
        """
        if resource.account_id != self.account_id or not self._is_visible(resource):
            if resource.kind in _UNKNOWN:
                raise _UNKNOWN[resource.kind](resource.id)
            raise UnknownResource(resource.kind, resource.id)

    def _is_visible(self, resource: Resource) -> bool:
        return _FINDERS[resource.kind](self, resource.id)

    def _has_image(self, number: int) -> bool:
        image = self._state.images.get(ImageId(number))
        return image is not None and not image.is_retired

    def _has_instance(self, number: int) -> bool:
        instance = self._state.instances.get(InstanceId(number))
        return (
            instance is not None
            and instance.account_id == self.account_id
            and instance.zone_id in self._zones
            and instance.is_visible(self.now)
        )

    def _has_living(self, number: int) -> bool:
        return self._has_instance(number) and not self._state.instances[InstanceId(number)].is_gone

    def _has_disk(self, number: int) -> bool:
        return self._has_living(number) or any(disk.id == number for disk in self.kept_disks())

    def _has_order(self, number: int) -> bool:
        order = self._state.orders_of.get(self.account_id, {}).get(OrderId(number))
        return order is not None and order.zone_id in self._zones

    def _has_key_pair(self, number: int) -> bool:
        pair = self._state.key_pairs.get(KeyPairId(number))
        return pair is not None and pair.account_id == self.account_id and self._is_here(pair.region_id)

    def _has_network(self, number: int) -> bool:
        return any(network.id == number for network in self.networks())

    def _has_subnet(self, number: int) -> bool:
        return any(subnet.id == number for subnet in self.subnets())

    def _has_group(self, number: int) -> bool:
        group = self._state.security_groups_of.get(self.account_id, {}).get(SecurityGroupId(number))
        return group is not None and self._is_network_here(group.network_id)

    def _has_rule(self, number: int) -> bool:
        return any(rule.id == number for group in self.security_groups() for rule in group.rules)

    def _has_address(self, number: int) -> bool:
        address = self._state.addresses_of.get(self.account_id, {}).get(AddressId(number))
        return address is not None and address.zone_id in self._zones

    def _is_here(self, region_id: RegionId) -> bool:
        return self.region_id in (None, region_id)

    def _is_network_here(self, network_id: NetworkId) -> bool:
        return self._is_here(self._state.networks[network_id].region_id)


_FINDERS: Mapping[ResourceKind, Callable[[Fleet, int], bool]] = {
    ResourceKind.INSTANCE: Fleet._has_instance,  # noqa: SLF001  a table of its own methods
    ResourceKind.INTERFACE: Fleet._has_living,  # noqa: SLF001
    ResourceKind.DISK: Fleet._has_disk,  # noqa: SLF001
    ResourceKind.ORDER: Fleet._has_order,  # noqa: SLF001
    ResourceKind.IMAGE: Fleet._has_image,  # noqa: SLF001
    ResourceKind.KEY_PAIR: Fleet._has_key_pair,  # noqa: SLF001
    **dict.fromkeys(OF_A_NETWORK, Fleet._has_network),  # noqa: SLF001
    ResourceKind.SUBNET: Fleet._has_subnet,  # noqa: SLF001
    ResourceKind.SECURITY_GROUP: Fleet._has_group,  # noqa: SLF001
    ResourceKind.RULE: Fleet._has_rule,  # noqa: SLF001
    ResourceKind.ADDRESS: Fleet._has_address,  # noqa: SLF001
}
