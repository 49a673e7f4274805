"""A customer with one of everything, for tests of verbs."""

from dataclasses import dataclass

from core.accounts import Caller
from core.addresses import Address
from core.administration import KeyHolder
from core.disks import KeptDisk
from core.ids import InstanceId, RegionId
from core.instances import Instance, Power, State
from core.keypairs import KeyKind, KeyPair
from core.networks import Network, Subnet
from core.orders import Booking, Order, Status, order_status
from core.securitygroups import SecurityGroup, Traffic
from core.service.addresses import Wish
from core.service.groups import WantedRule
from core.tags import Resource, ResourceKind
from tests.builders import a_kept_disk
from tests.fleetfixture import House

WEB = Traffic(is_egress=False, protocol="tcp", first_port=80, last_port=80, block="0.0.0.0/0")


@dataclass(frozen=True)
class Tenant:
    """An account with an order of two running machines with a key of its own, and one of everything else, with tags.

    The address is bound to the first machine, which is in the network's default group; `group` has no machines.
    """

    house: House
    caller: Caller
    order: Order
    ids: list[InstanceId]
    pair: KeyPair
    network: Network
    subnet: Subnet
    group: SecurityGroup
    address: Address
    disk: KeptDisk

    def resource(self, kind: ResourceKind) -> Resource:
        return Resource(self.caller.account_id, kind, self.numbers[kind])

    @property
    def numbers(self) -> dict[ResourceKind, int]:
        return {
            ResourceKind.INSTANCE: self.ids[0],
            ResourceKind.INTERFACE: self.ids[0],
            ResourceKind.DISK: self.ids[0],
            ResourceKind.ORDER: self.order.id,
            ResourceKind.KEY_PAIR: self.pair.id,
            ResourceKind.IMAGE: self.order.image_id,
            ResourceKind.NETWORK: self.network.id,
            ResourceKind.ROUTE_TABLE: self.network.id,
            ResourceKind.GATEWAY: self.network.id,
            ResourceKind.ACL: self.network.id,
            ResourceKind.SUBNET: self.subnet.id,
            ResourceKind.SECURITY_GROUP: self.group.id,
            ResourceKind.RULE: self.group.rules[-1].id,
            ResourceKind.ADDRESS: self.address.id,
        }

    @property
    def region_id(self) -> RegionId:
        """Where all of it is."""
        return self.network.region_id

    async def status(self) -> Status:
        return order_status((await self.house.core.order(self.caller, self.order.id)).instances)

    async def states(self) -> list[State]:
        return [each.state for each in (await self.house.core.order(self.caller, self.order.id)).instances]

    async def machine(self, index: int = 0) -> Instance:
        """Return one of the machines as it is now."""
        return (await self.house.store.view()).instances[self.ids[index]]

    async def stop(self) -> None:
        """Let all machines have shut themselves down."""
        await self.house.seen(Power.STOPPED, self.ids)

    async def be_gone(self) -> None:
        """End all machines and let the driver have confirmed it."""
        await self.house.core.terminate(self.caller, self.ids)
        await self.house.seen(Power.ABSENT, self.ids)


async def move_in(house: House, holder: KeyHolder) -> Tenant:
    """Let a customer of the house become a tenant."""
    core, caller, product = house.core, house.caller(holder), await house.product("plain")
    placed = await core.book(caller, Booking(product.id, 2, 2, wants_own_key=True, user_data=b"data"))
    ids = [machine.id for machine in placed.instances]
    await house.seen(Power.RUNNING, ids)
    pair = (await core.create_key_pair(caller, "laptop", KeyKind.ED25519, {"role": "pair"})).pair
    fleet = await core.fleet(caller)
    group = await core.groups.create(caller, "web", "web servers", {})
    await core.groups.authorize(caller, group.id, [WantedRule(WEB)], {})
    address = await core.addresses.allocate(caller, Wish())
    address = await core.addresses.associate(caller, address.id, ids[0], may_move=False)
    disk = a_kept_disk(
        id=InstanceId(1000 + caller.account_id % 1000),
        account_id=caller.account_id,
        zone_id=placed.order.zone_id,
        image_id=placed.order.image_id,
    )
    await house.store.transact(lambda tx: tx.put(disk))
    zone = fleet.zone(placed.order.zone_id)
    tenant = Tenant(
        house,
        caller,
        placed.order,
        ids,
        pair,
        fleet.network_in(zone.region_id),
        fleet.subnet_in(zone.id),
        (await core.fleet(caller)).security_group(group.id),
        address,
        disk,
    )
    for kind in ResourceKind:
        await core.tag(caller, [tenant.resource(kind)], {"owner": str(caller.account_id)})
    house.woken.clear()
    return tenant
