"""Machines as pages list them: each with its name, product, zone, addresses and costs; found by words, and sorted."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.accounts import Protocol
from core.billing import cost
from core.catalogue import Product
from core.fleet import Fleet
from core.instances import Instance
from core.tags import ResourceKind
from protocols import ids

PROTOCOLS: Mapping[Protocol, str] = {
    Protocol.EC2: "EC2",
    Protocol.ZEROSIX: "ZeroSix",
    Protocol.CONSOLE: "console",
    Protocol.CLI: "command line",
}
"""What pages call the ways to book."""

_TERM = re.compile(r'(?:[^\s"]|"[^"]*")+')
_TAG = "tag:"


@dataclass(frozen=True, slots=True)
class Listed:
    """A machine with what a list tells of it. `name` is its Name tag, else its host name."""

    machine: Instance
    name: str
    product: Product
    zone: str
    addresses: Sequence[str]
    currency: str
    cost: Decimal
    protocol: str


def named(fleet: Fleet, machine: Instance) -> str:
    """Return what its renter calls a machine: its Name tag, else its host name."""
    return fleet.tags(ResourceKind.INSTANCE, machine.id).get("Name") or machine.hostname


def listed(fleet: Fleet, machine: Instance) -> Listed:
    """Return a machine as a list tells of it."""
    order = fleet.order(machine.order_id)
    return Listed(
        machine=machine,
        name=named(fleet, machine),
        product=fleet.product(machine.product_id),
        zone=fleet.zone(machine.zone_id).name,
        addresses=_addresses(fleet, machine),
        currency=order.currency,
        cost=cost(machine, fleet.now),
        protocol=PROTOCOLS[order.protocol],
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which machines are looked for, and in which order; what is empty does not matter.

    Each word of `text` must be found in a name, an id, an address or a tag; `tag:key` and `tag:key=value` look at tags
    alone, and double quotes hold words together.
    """

    text: str = ""
    state: str = ""
    zone: str = ""
    type: str = ""
    sort: str = ""

    def find(self, fleet: Fleet) -> Sequence[Instance]:
        """Return the machines that are looked for."""
        found: Iterable[Instance] = fleet.instances()
        for wanted, value_of in ((self.state, _state), (self.zone, _zone), (self.type, _type)):
            if wanted:
                found = [each for each in found if value_of(fleet, each) == wanted]
        for term in _TERM.findall(self.text):
            fits = _tagged(term) if term.lower().startswith(_TAG) else _containing(term)
            found = [each for each in found if fits(fleet, each)]
        key, is_reverse = _ORDERS.get(self.sort, _ORDERS[""])
        return sorted(found, key=lambda each: key(fleet, each), reverse=is_reverse)


ORDERS: Mapping[str, str] = {
    "": "newest first",
    "oldest": "oldest first",
    "name": "name",
    "state": "state",
    "price": "price, highest first",
    "cost": "cost so far, highest first",
}
"""In which orders lists can be had, in words."""

_Key = Callable[[Fleet, Instance], Any]
_ORDERS: Mapping[str, tuple[_Key, bool]] = {
    "": (lambda _, machine: machine.id, True),
    "oldest": (lambda _, machine: machine.id, False),
    "name": (lambda fleet, machine: (named(fleet, machine).casefold(), machine.id), False),
    "state": (lambda _, machine: (machine.state.value, machine.id), False),
    "price": (lambda _, machine: (machine.hourly_price, machine.id), True),
    "cost": (lambda fleet, machine: (cost(machine, fleet.now), machine.id), True),
}


def _state(_: Fleet, machine: Instance) -> str:
    return machine.state.value


def _zone(fleet: Fleet, machine: Instance) -> str:
    return fleet.zone(machine.zone_id).name


def _type(fleet: Fleet, machine: Instance) -> str:
    return fleet.product(machine.product_id).instance_type


def _addresses(fleet: Fleet, machine: Instance) -> Sequence[str]:
    bound = [each.address for each in fleet.bound_to(machine.id)]
    return [each for each in (*bound, machine.public_address, machine.private_address) if each]


def _tagged(term: str) -> Callable[[Fleet, Instance], bool]:
    key, is_exact, value = term[len(_TAG) :].replace('"', "").partition("=")

    def fits(fleet: Fleet, machine: Instance) -> bool:
        found = fleet.tags(ResourceKind.INSTANCE, machine.id).get(key)
        return found is not None and (not is_exact or found == value)

    return fits


def _containing(term: str) -> Callable[[Fleet, Instance], bool]:
    word = term.replace('"', "").casefold()

    def fits(fleet: Fleet, machine: Instance) -> bool:
        tags = fleet.tags(ResourceKind.INSTANCE, machine.id)
        texts = (machine.hostname, ids.instance_id(machine.id), *_addresses(fleet, machine), *tags, *tags.values())
        return str(machine.id) == word or any(word in text.casefold() for text in texts)

    return fits
