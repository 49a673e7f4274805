"""The default network that an account has in a region, with a subnet in every zone of it. Made when first needed."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network

from core.ids import AccountId, InstanceId, NetworkId, RegionId, SubnetId, ZoneId

BLOCK = "10.0.0.0/8"
"""The addresses of the house. Every zone has a sixteenth part of them to itself, whoever its machines belong to."""

MOST_ZONES = 255
_RESERVED = 4
"""The first addresses of a block are never a machine's, as in EC2: network, router, name server, one to spare."""
_HOSTS = 2**16 - _RESERVED - 1


@dataclass(frozen=True, slots=True)
class Network:
    """The one network of an account in a region."""

    id: NetworkId
    account_id: AccountId
    region_id: RegionId
    block: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Subnet:
    """The part of a network that lies in one zone."""

    id: SubnetId
    account_id: AccountId
    network_id: NetworkId
    zone_id: ZoneId
    block: str


def block_of(zone_id: ZoneId) -> str:
    """Return the addresses of a zone, the same for every account: machines of one zone share a wire.

    Raises:
        ValueError: there have been more zones than blocks.
    """
    if zone_id > MOST_ZONES:
        raise ValueError(f"zone number {zone_id}: the private addresses of {BLOCK} last for {MOST_ZONES} zones")
    return f"10.{zone_id}.0.0/16"


def private_address(zone_id: ZoneId, turn: int) -> str:
    """Return an address of the zone; consecutive turns give different ones until all had theirs."""
    low = _RESERVED + turn % _HOSTS
    return f"10.{zone_id}.{low >> 8}.{low & 255}"


def free_address(zone_id: ZoneId, first_turn: int, taken: Container[str]) -> str | None:
    """Return the first address of the zone that is not taken, from a turn on; None if there is none.

    Machines begin at their own numbers, so that an address is not soon another machine's.
    """
    turns = range(first_turn, first_turn + _HOSTS)
    return next((address for turn in turns if (address := private_address(zone_id, turn)) not in taken), None)


def hosts(block: str) -> int:
    """Return how many machines' addresses a block holds."""
    return IPv4Network(block).num_addresses - _RESERVED - 1


def hardware_address(instance_id: InstanceId) -> str:
    """Return the MAC address of a machine: locally administered, and no other machine's."""
    digits = f"{instance_id & 0xFF_FFFF_FFFF:010x}"
    return f"02:{digits[:2]}:{digits[2:4]}:{digits[4:6]}:{digits[6:8]}:{digits[8:]}"


def is_host(address: str, block: str) -> bool:
    """Whether a text is an address of a block that a machine can have."""
    network = IPv4Network(block)
    try:
        offset = int(IPv4Address(address)) - int(network.network_address)
    except ValueError:
        return False
    return _RESERVED <= offset < network.num_addresses - 1
