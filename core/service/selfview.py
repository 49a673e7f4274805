"""What a machine may ask about itself. It shows no key: whatever leads a machine here knows which one it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.addresses import Address
from core.catalogue import Image, Product, Region, Zone
from core.clock import Clock
from core.errors import UnknownInstances
from core.fleet import Fleet
from core.ids import InstanceId
from core.instances import Instance
from core.networks import Network, Subnet
from core.orders import Order
from core.ports import Store
from core.securitygroups import SecurityGroup
from core.tags import ResourceKind


@dataclass(frozen=True, slots=True)
class SelfView:
    """A machine and all that belongs to it. `tags` are the machine's own, and `addresses` those bound to it."""

    instance: Instance
    order: Order
    product: Product
    image: Image
    zone: Zone
    region: Region
    network: Network
    subnet: Subnet
    groups: tuple[SecurityGroup, ...]
    addresses: tuple[Address, ...]
    tags: Mapping[str, str]

    @property
    def public_address(self) -> str:
        """Where the machine is reached: the first address bound to it, else the one that its host gives it, if any."""
        return self.addresses[0].address if self.addresses else self.instance.public_address

    @property
    def has_user_data(self) -> bool:
        """Whether it was given user data, which may be empty if it is its own."""
        return self.instance.has_user_data or self.order.has_user_data


class SelfViews:
    """Machines through their own eyes. Everything raises `UnknownInstances` for one that is gone, or never was."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def of(self, instance_id: InstanceId) -> SelfView:
        """Return the machine as it stands now."""
        state = await self._store.view()
        machine = state.instances.get(instance_id)
        if machine is None or machine.is_gone:
            raise UnknownInstances([instance_id])
        fleet = Fleet(state, machine.account_id, self._clock.now())
        subnet = fleet.subnet_in(machine.zone_id)
        return SelfView(
            instance=machine,
            order=fleet.order(machine.order_id),
            product=fleet.product(machine.product_id),
            image=fleet.image(machine.image_id),
            zone=fleet.zone(machine.zone_id),
            region=fleet.region_of(machine.zone_id),
            network=fleet.network(subnet.network_id),
            subnet=subnet,
            groups=tuple(fleet.groups_of(machine)),
            addresses=fleet.bound_to(machine.id),
            tags=fleet.tags(ResourceKind.INSTANCE, machine.id),
        )

    async def user_data(self, instance_id: InstanceId) -> bytes:
        """Return the user data that the machine was given, its own or its order's; empty for none.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        machine = (await self.of(instance_id)).instance
        if machine.has_user_data:
            return (await self._store.machine_material(instance_id)).user_data
        return (await self._store.material(machine.order_id)).user_data
