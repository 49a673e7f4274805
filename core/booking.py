"""Places a booking: chooses the zone, takes the capacity, and writes the order with its pending machines."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.accounts import Caller
from core.catalogue import Image, Product, Zone
from core.errors import (
    DoesNotFit,
    InsufficientCapacity,
    InvalidRequest,
    NotOfferedInRegion,
    NotOfferedInZone,
    PrivateAddressTaken,
    TokenReused,
    TooManyGroups,
    UnfitImage,
    UnknownImage,
    UnknownKeyPairs,
    UnknownProduct,
    UnknownResource,
    UnknownZone,
)
from core.holding import bind, hold
from core.ids import AccountId, ImageId, InstanceId, NetworkId, OrderId, SecurityGroupId, ZoneId
from core.instances import Instance, Options
from core.keypairs import KeyPair
from core.kinds import OF_A_MACHINE
from core.limits import Limits
from core.networks import block_of, free_address, is_host
from core.orders import Booking, Order, new_order_key
from core.passwords import new_password
from core.ports import LaunchMaterial, MachineMaterial, Transaction
from core.provision import default_group, provide
from core.securitygroups import MOST_GROUPS
from core.spending import Spent, affordable
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


@dataclass(slots=True)
class House:
    """What the operator has set for all bookings. The limits may change: whoever needs them looks here."""

    ports: PortRange
    limits: Limits


def place(
    tx: Transaction,
    caller: Caller,
    booking: Booking,
    *,
    now: datetime,
    house: House,
    own_key: NewKey | None,
    spent: Spent | None,
) -> Placed:
    """Write the order and its machines, or return those that the same client token made before.

    `spent` is what the account has spent this month, if it may not spend as much as it likes.

    Raises:
        TokenReused: the client token came before with another request.
        UnknownProduct, UnknownImage, UnknownZone, UnknownKeyPairs, UnknownResource: it names what is not there.
        NotOfferedInZone, NotOfferedInRegion: the product has no place where it was asked for.
        DoesNotFit, UnfitImage: the product cannot run the image.
        InsufficientCapacity: fewer than `booking.least` machines are free in one zone, or ssh ports.
        LimitReached: the account may not have so many machines or addresses, or keep so many disks.
        SpendingLimitReached: the account may not spend so much this month.
        NoAddressLeft: the zone has no public address left.
        InvalidRequest: the subnet is in another zone, or the private address is none of the zone's.
        PrivateAddressTaken: another machine has it.
        TooManyGroups: a machine cannot be in so many.
        InvalidTag, TooManyTags: the tags break the rules.
    """
    state = tx.state
    if (earlier := _placed_before(state, caller, booking)) is not None:
        return earlier
    product = state.products.get(booking.product_id)
    if product is None or product.is_retired:
        raise UnknownProduct(str(booking.product_id))
    zone, room = _zone_for(state, caller, booking, product)
    quantity = _allowed(state, caller.account_id, booking, _reachable(state, booking, room, house.ports), house.limits)
    if spent is not None:
        quantity = affordable(state, caller.account_id, booking, product, spent=spent, room=quantity)
    login = _login_of(state, caller, booking, own_key, zone)
    network = provide(tx, caller.account_id, zone.region_id, now)
    group_ids = groups_in(state, network.id, booking.group_ids) or (default_group(state, network).id,)
    order = Order(
        id=OrderId(tx.next_id(Order)),
        account_id=caller.account_id,
        application_id=caller.application_id,
        protocol=caller.protocol,
        order_key=new_order_key(),
        product_id=product.id,
        zone_id=zone.id,
        image_id=_image_of(state, booking, product).id,
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
    instances = _machines(tx, order, booking, quantity, ports=house.ports, group_ids=group_ids)
    _equip(tx, booking, instances, zone, now=now, limits=house.limits)
    _tag(tx, order, instances, booking)
    return Placed(order, tuple(state.machines_of[order.id].values()), is_new=True)


def _placed_before(state: State, caller: Caller, booking: Booking) -> Placed | None:
    order_id = state.orders_by_token.get((caller.account_id, booking.client_token)) if booking.client_token else None
    if order_id is None:
        return None
    order = state.orders[order_id]
    if order.request_digest != booking.digest():
        raise TokenReused
    return Placed(order, tuple(state.machines_of[order_id].values()), is_new=False)


def free_port(ports: PortRange, turn: int, taken: Container[int]) -> int:
    """Return the first port that is not taken, going round the range from `turn` on.

    Machines begin at their own numbers, so that a port is not soon another machine's.

    Raises:
        InsufficientCapacity: all are taken.
    """
    size = len(ports)
    for step in range(turn - ports.first, turn - ports.first + size):
        if (port := ports.first + step % size) not in taken:
            return port
    raise InsufficientCapacity("ssh ports", 1, 0)


def image_for(state: State, image_id: ImageId, product: Product) -> Image:
    """Return an image that machines of the product can run.

    Raises:
        UnknownImage: it is not offered.
        DoesNotFit: the product is too small for it.
        UnfitImage: it is for other processors.
    """
    image = state.images.get(image_id)
    if image is None or image.is_retired:
        raise UnknownImage(str(image_id))
    require_fit(image, product)
    return image


def require_fit(image: Image, product: Product) -> None:
    """Return if machines of the product can run the image.

    Raises:
        DoesNotFit: the product is too small for it.
        UnfitImage: it is for other processors.
    """
    if image.architecture != product.architecture:
        raise UnfitImage(image.name, f"it is for {image.architecture} and the machine is {product.architecture}")
    if product.memory_mib < image.least_memory_mib:
        reason = f"{image.name} needs {image.least_memory_mib} MiB of memory and it has {product.memory_mib}"
        raise DoesNotFit(product.instance_type, reason)
    if product.disk_gib < image.least_disk_gib:
        reason = f"{image.name} needs {image.least_disk_gib} GiB of disk and it has {product.disk_gib}"
        raise DoesNotFit(product.instance_type, reason)


def fits(image: Image, product: Product) -> bool:
    """Whether machines of the product can run the image."""
    try:
        require_fit(image, product)
    except (DoesNotFit, UnfitImage):
        return False
    return True


def groups_in(state: State, network_id: NetworkId, ids: Sequence[SecurityGroupId]) -> tuple[SecurityGroupId, ...]:
    """Return the groups, each once; they must all be of this network.

    Raises:
        UnknownResource: one is not there.
        TooManyGroups: a machine cannot be in so many.
    """
    distinct = tuple(dict.fromkeys(ids))
    for group_id in distinct:
        group = state.security_groups.get(group_id)
        if group is None or group.network_id != network_id:
            raise UnknownResource(ResourceKind.SECURITY_GROUP, group_id)
    if len(distinct) > MOST_GROUPS:
        raise TooManyGroups(MOST_GROUPS)
    return distinct


def disks_to_keep(state: State, account_id: AccountId) -> int:
    """Return how many disks an account keeps, or will keep when the machines end that it has."""
    mine = state.instances_of.get(account_id, {}).values()
    to_be = sum(machine.options.keeps_disk and not machine.is_gone for machine in mine)
    return to_be + len(state.kept_disks_of.get(account_id, {}))


def _image_of(state: State, booking: Booking, product: Product) -> Image:
    return image_for(state, booking.image_id or product.image_id, product)


def _allowed(state: State, account_id: AccountId, booking: Booking, room: int, limits: Limits) -> int:
    """Return how many of the machines that there is room for the account may have."""
    room = limits.clip("machines", state.rented[account_id], booking.least, room)
    if not booking.options.keeps_disk:
        return room
    return limits.clip("kept_disks", disks_to_keep(state, account_id), booking.least, room)


def _zone_for(state: State, caller: Caller, booking: Booking, product: Product) -> tuple[Zone, int]:
    """Return the first zone that holds all, else the one that holds most, and how many machines it will get."""
    rooms = [(zone, state.free(product, zone.id)) for zone in _candidates(state, caller, booking, product)]
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


def _candidates(state: State, caller: Caller, booking: Booking, product: Product) -> Sequence[Zone]:
    zone_id = _zone_asked_for(state, caller, booking)
    if zone_id is None:
        return _zones_offering(state, booking, product)
    zone = state.zones.get(zone_id)
    if zone is None or zone.is_retired or booking.region_id not in (None, zone.region_id):
        raise UnknownZone(str(zone_id))
    if zone.id not in product.capacity:
        zones = [state.zones[zone_id] for zone_id in product.capacity]
        offered = [each.name for each in zones if _is_open(each) and booking.region_id in (None, each.region_id)]
        raise NotOfferedInZone(product.instance_type, zone.name, offered)
    return [zone] if zone.is_available else []


def _zone_asked_for(state: State, caller: Caller, booking: Booking) -> ZoneId | None:
    if booking.subnet_id is None:
        return booking.zone_id
    subnet = state.subnets.get(booking.subnet_id)
    if subnet is None or subnet.account_id != caller.account_id:
        raise UnknownResource(ResourceKind.SUBNET, booking.subnet_id)
    zone = state.zones[subnet.zone_id]
    if booking.region_id not in (None, zone.region_id):
        raise UnknownResource(ResourceKind.SUBNET, booking.subnet_id)
    if booking.zone_id not in (None, zone.id):
        asked = state.zones.get(booking.zone_id)
        raise InvalidRequest("zone", asked.name if asked else booking.zone_id, f"{zone.name}, that of the subnet")
    return zone.id


def _zones_offering(state: State, booking: Booking, product: Product) -> Sequence[Zone]:
    zones = state.zones if booking.region_id is None else state.zones_in.get(booking.region_id, {})
    offering = [zone for zone in zones.values() if zone.id in product.capacity and not zone.is_retired]
    if not offering and booking.region_id is not None:
        raise NotOfferedInRegion(product.instance_type, state.regions[booking.region_id].name)
    return [zone for zone in offering if zone.is_available]


def _is_open(zone: Zone) -> bool:
    return zone.is_available and not zone.is_retired


def _machines(
    tx: Transaction,
    order: Order,
    booking: Booking,
    quantity: int,
    *,
    ports: PortRange,
    group_ids: tuple[SecurityGroupId, ...],
) -> Sequence[Instance]:
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
            ssh_port=free_port(ports, ports.first + instance_id, tx.state.ssh_ports),
            shutdown_behaviour=booking.shutdown_behaviour,
            launched_at=order.created_at,
            private_address=_free_address(tx.state, instance_id, order.zone_id, booking.private_address),
            group_ids=group_ids,
            options=_options_of(tx.state.products[order.product_id], booking.options),
            term_hours=booking.term_hours,
            has_password=booking.wants_password,
        )
        tx.put(machine)
        machines.append(machine)
    return machines


def _options_of(product: Product, options: Options) -> Options:
    """Return the options that were booked, as far as the product has them."""
    if product.has_metadata or not options.metadata.is_enabled:
        return options
    return replace(options, metadata=replace(options.metadata, is_enabled=False))


def _free_address(state: State, instance_id: InstanceId, zone_id: ZoneId, wanted: str) -> str:
    """Return a private address nobody has, or the one that is wanted."""
    if wanted:
        if not is_host(wanted, block_of(zone_id)):
            raise InvalidRequest("private address", wanted, f"one of {block_of(zone_id)} that a machine can have")
        if wanted in state.private_addresses:
            raise PrivateAddressTaken(wanted)
        return wanted
    if (address := free_address(zone_id, instance_id, state.private_addresses)) is None:
        raise InsufficientCapacity("private addresses", 1, 0)
    return address


def _equip(
    tx: Transaction, booking: Booking, instances: Sequence[Instance], zone: Zone, *, now: datetime, limits: Limits
) -> None:
    """Give each machine what it asked for besides: a password, and public addresses that go with it."""
    for machine in instances:
        if booking.wants_password:
            tx.put_machine_material(MachineMaterial(machine.id, password=new_password()))
        for _ in range(booking.extra_addresses):
            address = hold(tx, machine.account_id, [zone], now=now, limits=limits)
            bind(tx, replace(address, goes_with_machine=True), machine, may_move=False)


def _tag(tx: Transaction, order: Order, instances: Sequence[Instance], booking: Booking) -> None:
    owners: dict[ResourceKind, list[int]] = {
        **{kind: [instance.id for instance in instances] for kind in OF_A_MACHINE},
        ResourceKind.ORDER: [order.id],
    }
    for kind, values in booking.tags.items():
        for owner in owners[kind] if values else ():
            tx.put(with_tags(TagSet(Resource(order.account_id, kind, owner), {}), values))


def _login_of(state: State, caller: Caller, booking: Booking, own_key: NewKey | None, zone: Zone) -> _Login:
    if own_key is not None:
        return _Login("", own_key.public.line)
    if not booking.key_name:
        return _Login("", "")
    pair = _key_pair_named(state, caller, booking.key_name, zone)
    if pair is None:
        raise UnknownKeyPairs([booking.key_name])
    return _Login(pair.name, pair.public_key)


def _key_pair_named(state: State, caller: Caller, name: str, zone: Zone) -> KeyPair | None:
    """Return the caller's key pair of a name in the zone's region, or in any other that the caller sees."""
    here = state.key_pairs_by_name.get((caller.account_id, zone.region_id, name))
    if here is not None or caller.seen_region_id is not None:
        return here
    mine = state.key_pairs_of.get(caller.account_id, {}).values()
    return next((pair for pair in mine if pair.name == name), None)
