"""Public addresses that customers hold, and bind to their machines as they like."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address, ip_network

from core.errors import AddressBound, AddressInUse
from core.ids import AccountId, AddressId, AssociationId, InstanceId, ZoneId


@dataclass(frozen=True, slots=True)
class Address:
    """A public address of a zone's pool, held by an account until it is released.

    `association_id` tells one binding from the next; it is there exactly as long as `instance_id` is. An address that
    `goes_with_machine` was made for it, and is released with it.
    """

    id: AddressId
    account_id: AccountId
    zone_id: ZoneId
    address: str
    created_at: datetime
    instance_id: InstanceId | None = None
    association_id: AssociationId | None = None
    goes_with_machine: bool = False


def bound(address: Address, instance_id: InstanceId, association_id: AssociationId, *, may_move: bool) -> Address:
    """Return the address bound to a machine; the same object if it is bound to it already.

    Raises:
        AddressBound: it is another machine's, and may not be taken from it.
    """
    if address.instance_id == instance_id:
        return address
    if address.instance_id is not None and not may_move:
        raise AddressBound(address.address, address.instance_id)
    return replace(address, instance_id=instance_id, association_id=association_id)


def unbound(address: Address) -> Address:
    """Return the address, bound to no machine."""
    return replace(address, instance_id=None, association_id=None, goes_with_machine=False)


def require_free(address: Address) -> None:
    """Return if the address may be released.

    Raises:
        AddressInUse: it is bound to a machine.
    """
    if address.instance_id is not None:
        raise AddressInUse(address.address)


def first_free(pool: Iterable[str], taken: Container[str], wanted: str = "") -> str | None:
    """Return the first address of a pool that is not taken, or the one that is wanted if the pool has it; else None.

    A pool is of blocks and single addresses. A block is a list of addresses to give away and not a wire, so that its
    first and last are as good as the others.
    """
    networks = map(ip_network, pool)
    if not wanted:
        return next((text for network in networks for text in map(str, network) if text not in taken), None)
    try:
        address = ip_address(wanted)
    except ValueError:
        return None
    is_to_be_had = str(address) not in taken and any(address in network for network in networks)
    return str(address) if is_to_be_had else None
