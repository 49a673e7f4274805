"""Places a booking: chooses the zone, takes the capacity, and writes the order with its pending machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.accounts import Caller
from core.catalogue import Product, Zone
from core.errors import (
    InsufficientCapacity,
    NotOfferedInZone,
    TokenReused,
    UnknownImage,
    UnknownKeyPairs,
    UnknownProduct,
    UnknownZone,
)
from core.ids import ImageId, InstanceId, OrderId
from core.instances import Instance
from core.orders import Booking, Order, new_order_key
from core.ports import LaunchMaterial, Transaction
from core.sshkeys import NewKey
from core.state import State
from core.tags import Resource, ResourceKind, TagSet, with_tags


@dataclass(frozen=True, slots=True)
class PortRange:
    """The ports of the gateway's host through which machines are reached by ssh, both ends included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Placed:
    """The outcome of a booking; `is_new` is false where its client token was seen before."""

    order: Order
    instances: tuple[Instance, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Login:
    """The key that machines will let in: its name, if it is the customer's, and its authorized_keys line."""

    name: str
    line: str


def place(
    tx: Transaction, caller: Caller, booking: Booking, *, now: datetime, ports: PortRange, own_key: NewKey | None
) -> Placed:
    """Write the order and its machines, or return those that the same client token made before.

    Raises:
        TokenReused: the client token came before with another request.
        UnknownProduct, UnknownImage, UnknownZone, UnknownKeyPairs: the booking names what is not there.
        NotOfferedInZone: the product has no place in the zone asked for.
        InsufficientCapacity: fewer than `booking.least` machines are free in one zone, or ssh ports.
        InvalidTag, TooManyTags: the tags break the rules.
    """
    state = tx.state
    if (earlier := _placed_before(state, caller, booking)) is not None:
        return earlier
    product = state.products.get(booking.product_id)
    if product is None or product.is_retired:
        raise UnknownProduct(str(booking.product_id))
    zone, room = _zone_for(state, booking, product)
    quantity = _reachable(state, booking, room, ports)
    login = _login_of(state, caller, booking, own_key)
    order = Order(
        id=OrderId(tx.next_id(Order)),
        account_id=caller.account_id,
        application_id=caller.application_id,
        protocol=caller.protocol,
        order_key=new_order_key(),
        product_id=product.id,
        zone_id=zone.id,
        image_id=_image_of(state, booking, product),
        hourly_price=product.hourly_price,
        currency=product.currency,
        created_at=now,
        key_name=login.name,
        public_key=login.line,
        has_own_key=own_key is not None,
        has_user_data=bool(booking.user_data),
        file_url=booking.file_url,
        script_url=booking.script_url,
        client_token=booking.client_token,
        request_digest=booking.digest() if booking.client_token else "",
    )
    tx.put(order)
    if booking.user_data or own_key is not None:
        tx.put_material(LaunchMaterial(order.id, booking.user_data, own_key.private_pem if own_key else ""))
    instances = tuple(_machines(tx, order, booking, quantity, ports))
    _tag(tx, order, instances, booking)
    return Placed(order, instances, is_new=True)


def _placed_before(state: State, caller: Caller, booking: Booking) -> Placed | None:
    order_id = state.orders_by_token.get((caller.account_id, booking.client_token)) if booking.client_token else None
    if order_id is None:
        return None
    order = state.orders[order_id]
    if order.request_digest != booking.digest():
        raise TokenReused
    return Placed(order, tuple(state.machines_of[order_id].values()), is_new=False)


def _image_of(state: State, booking: Booking, product: Product) -> ImageId:
    image_id = booking.image_id or product.image_id
    image = state.images.get(image_id)
    if image is None or image.is_retired:
        raise UnknownImage(str(image_id))
    return image_id


def _zone_for(state: State, booking: Booking, product: Product) -> tuple[Zone, int]:
    """Return the first zone that holds all, else the one that holds most, and how many machines it will get."""
    rooms = [(zone, state.free(product, zone.id)) for zone in _candidates(state, booking, product)]
    ample = next(((zone, booking.most) for zone, free in rooms if free >= booking.most), None)
    if ample is not None:
        return ample
    zone, free = max(rooms, key=lambda room: room[1], default=(None, 0))
    if zone is None or free < booking.least:
        raise InsufficientCapacity(product.instance_type, booking.least, max(0, free))
    return zone, free


def _reachable(state: State, booking: Booking, room: int, ports: PortRange) -> int:
    """Return how many of the machines that there is room for can have an ssh port."""
    if len(state.ssh_ports) + room <= len(ports):
        return room
    # Ports of machines from before the range was changed may lie outside of it.
    free = len(ports) - sum(ports.first <= port <= ports.last for port in state.ssh_ports)
    if free < booking.least:
        raise InsufficientCapacity("ssh ports", booking.least, free)
    return min(room, free)


def _candidates(state: State, booking: Booking, product: Product) -> Sequence[Zone]:
    if booking.zone_id is None:
        return [
            zone
            for zone in state.zones.values()
            if zone.id in product.capacity
            and _is_open(zone)
            and (booking.region_id is None or zone.region_id == booking.region_id)
        ]
    zone = state.zones.get(booking.zone_id)
    if zone is None or zone.is_retired:
        raise UnknownZone(str(booking.zone_id))
    if zone.id not in product.capacity:
        offered = [state.zones[zone_id].name for zone_id in product.capacity if _is_open(state.zones[zone_id])]
        raise NotOfferedInZone(product.instance_type, zone.name, offered)
    return [zone] if zone.is_available else []


def _is_open(zone: Zone) -> bool:
    return zone.is_available and not zone.is_retired


def _machines(tx: Transaction, order: Order, booking: Booking, quantity: int, ports: PortRange) -> Sequence[Instance]:
    machines = []
    for launch_index in range(quantity):
        instance_id = InstanceId(tx.next_id(Instance))
        machine = Instance(
            id=instance_id,
            order_id=order.id,
            account_id=order.account_id,
            product_id=order.product_id,
            zone_id=order.zone_id,
            image_id=order.image_id,
            launch_index=launch_index,
            hourly_price=order.hourly_price,
            ssh_port=_free_port(tx.state, instance_id, ports),
            shutdown_behaviour=booking.shutdown_behaviour,
            launched_at=order.created_at,
        )
        tx.put(machine)
        machines.append(machine)
    return machines


def _free_port(state: State, instance_id: InstanceId, ports: PortRange) -> int:
    """Return a port nobody has, going round the range, so that a port is not soon another machine's.

    There must be one (see `_reachable`).
    """
    size = len(ports)
    offset = instance_id % size
    while ports.first + offset in state.ssh_ports:
        offset = (offset + 1) % size
    return ports.first + offset


def _tag(tx: Transaction, order: Order, instances: Sequence[Instance], booking: Booking) -> None:
    owners: dict[ResourceKind, list[int]] = {
        ResourceKind.INSTANCE: [instance.id for instance in instances],
        ResourceKind.ORDER: [order.id],
    }
    for kind, values in booking.tags.items():
        for owner in owners[kind] if values else ():
            tx.put(with_tags(TagSet(Resource(order.account_id, kind, owner), {}), values))


def _login_of(state: State, caller: Caller, booking: Booking, own_key: NewKey | None) -> _Login:
    if own_key is not None:
        return _Login("", own_key.public.line)
    if not booking.key_name:
        return _Login("", "")
    pair = state.key_pairs_by_name.get((caller.account_id, booking.key_name))
    if pair is None:
        raise UnknownKeyPairs([booking.key_name])
    return _Login(pair.name, pair.public_key)
