"""Public addresses within a transaction: taken out of the zones' pools, bound to machines, and given back."""

from collections.abc import Iterable
from datetime import datetime

from core.addresses import Address, bound, first_free, unbound
from core.catalogue import Zone
from core.errors import LimitReached, NoAddressLeft
from core.ids import AccountId, AddressId, AssociationId, InstanceId
from core.instances import Instance, with_news
from core.limits import Limits
from core.orders import MOST_EXTRA_ADDRESSES
from core.ports import Transaction
from core.tags import Resource, ResourceKind, TagSet


class Association:
    """What bindings are numbered as."""


def hold(
    tx: Transaction, account_id: AccountId, zones: Iterable[Zone], *, now: datetime, limits: Limits, wanted: str = ""
) -> Address:
    """Return an address that the account holds from now on: the first free one of the zones, or the one that is wanted.

    Raises:
        LimitReached: the account may not have more.
        NoAddressLeft: the zones have none left, or not the one that is wanted.
    """
    zones = list(zones)
    limits.require_room("addresses", len(tx.state.addresses_of.get(account_id, {})))
    for zone in zones:
        address = first_free(zone.pool, tx.state.addresses_taken, wanted)
        if address is not None:
            held = Address(AddressId(tx.next_id(Address)), account_id, zone.id, address, now)
            tx.put(held)
            return held
    raise NoAddressLeft(wanted or " or ".join(zone.name for zone in zones) or "this place")


def bind(tx: Transaction, address: Address, machine: Instance, *, may_move: bool) -> Address:
    """Return the address, bound to the machine; whichever machine had it before has it no longer.

    One that the machine has already is returned as it is.

    Raises:
        AddressBound: another machine has it, and it may not be taken away.
        LimitReached: the machine has as many as it can.
    """
    if address.instance_id == machine.id:
        return address
    after = bound(address, machine.id, AssociationId(tx.next_id(Association)), may_move=may_move)
    have = len(tx.state.bound_to(machine.id))
    if have >= MOST_EXTRA_ADDRESSES:
        raise LimitReached("addresses of a machine", MOST_EXTRA_ADDRESSES, have, 1)
    if address.instance_id is not None:
        _tell(tx, address.instance_id)
    tx.put(after)
    _tell(tx, machine.id)
    return after


def release(tx: Transaction, address: Address) -> None:
    """Give the address back to its zone's pool, with its tags; whichever machine had it has it no longer."""
    tx.drop(address)
    tx.drop(TagSet(Resource(address.account_id, ResourceKind.ADDRESS, address.id), {}))
    if address.instance_id is not None:
        _tell(tx, address.instance_id)


def unbind(tx: Transaction, address: Address) -> None:
    """Take the address from the machine that has it; the account goes on holding it."""
    if address.instance_id is not None:
        tx.put(unbound(address))
        _tell(tx, address.instance_id)


def let_go(tx: Transaction, gone: Instance) -> None:
    """Unbind what a machine had that is gone, and release what was made for it."""
    for address in tx.state.bound_to(gone.id):
        if address.goes_with_machine:
            release(tx, address)
        else:
            unbind(tx, address)


def _tell(tx: Transaction, instance_id: InstanceId) -> None:
    machine = tx.state.instances.get(instance_id)
    if machine is not None and not machine.has_ended:
        tx.put(with_news(machine))
