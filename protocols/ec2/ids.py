"""How EC2's clients spell what core numbers, read and written.

Plain integers are read as well: GigeNET's clients and the ZeroSix side call instances so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.ids import InstanceId
from core.tags import ResourceKind
from protocols.ids import (
    ASSOCIATION,
    ATTACHMENT,
    PREFIXES,
    ROOT_DEVICE,
    association_id,
    image_id,
    instance_id,
    key_pair_id,
    owner_id,
    reservation_id,
    spell,
)

__all__ = [
    "ASSOCIATION",
    "ATTACHMENT",
    "NAMES",
    "PREFIXES",
    "ROOT_DEVICE",
    "AnyId",
    "MalformedId",
    "UnknownIdKind",
    "association_id",
    "image_id",
    "instance_id",
    "key_pair_id",
    "owner_id",
    "plain_number",
    "read",
    "read_any",
    "read_association",
    "read_instances",
    "reservation_id",
    "spell",
]

_HEX = re.compile(r"[0-9a-f]{8}(?:[0-9a-f]{9})?", re.ASCII)
_INTEGER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


class MalformedId(Exception):
    """A text that cannot be an id of its kind."""

    def __init__(self, kind: ResourceKind, text: str) -> None:
        super().__init__(f'Invalid id: "{text}" (expecting "{PREFIXES[kind]}...")')
        self.kind, self.text = kind, text


class UnknownIdKind(Exception):
    """A text that is no id of anything that can be tagged."""

    def __init__(self, text: str) -> None:
        super().__init__(f"The ID '{text}' is not valid")
        self.text = text


@dataclass(frozen=True, slots=True)
class AnyId:
    """An id together with what it is the id of."""

    kind: ResourceKind
    number: int


NAMES = {
    ResourceKind.INSTANCE: "instance",
    ResourceKind.IMAGE: "image",
    ResourceKind.KEY_PAIR: "key-pair",
    ResourceKind.NETWORK: "vpc",
    ResourceKind.SUBNET: "subnet",
    ResourceKind.ROUTE_TABLE: "route-table",
    ResourceKind.GATEWAY: "internet-gateway",
    ResourceKind.ACL: "network-acl",
    ResourceKind.SECURITY_GROUP: "security-group",
    ResourceKind.RULE: "security-group-rule",
    ResourceKind.INTERFACE: "network-interface",
    ResourceKind.DISK: "volume",
    ResourceKind.ADDRESS: "elastic-ip",
}
"""What EC2 calls the kinds where tags are told. Reservations cannot be tagged there, so they have no name."""


def read(kind: ResourceKind, text: str) -> int:
    """Return the number that an id spells.

    Raises:
        MalformedId: it is not of the kind's form.
    """
    prefix = PREFIXES[kind]
    if text.startswith(prefix) and _HEX.fullmatch(text, len(prefix)):
        return int(text[len(prefix) :], 16)
    if kind is ResourceKind.INSTANCE and _INTEGER.fullmatch(text):
        return int(text)
    raise MalformedId(kind, text)


def plain_number(text: str) -> int | None:
    """Return the number of an instance that is called by it, and None for every other text."""
    return int(text) if _INTEGER.fullmatch(text) else None


def read_association(text: str) -> int:
    """Return the number that the id of an address's binding spells.

    Raises:
        MalformedId: it is not of the form.
    """
    if text.startswith(ASSOCIATION) and _HEX.fullmatch(text, len(ASSOCIATION)):
        return int(text[len(ASSOCIATION) :], 16)
    raise MalformedId(ResourceKind.ADDRESS, text)


def read_instances(texts: Sequence[str]) -> list[InstanceId]:
    """Return the numbers of instance ids, each once, in the order first given.

    Raises:
        MalformedId: one is not of the form.
    """
    return [InstanceId(number) for number in dict.fromkeys(read(ResourceKind.INSTANCE, text) for text in texts)]


def read_any(text: str) -> AnyId:
    """Return what an id of any taggable thing spells.

    Raises:
        MalformedId: its prefix is known and the rest is not of the form.
        UnknownIdKind: its prefix is not of anything that can be tagged.
    """
    for kind, prefix in PREFIXES.items():
        if text.startswith(prefix):
            return AnyId(kind, read(kind, text))
    if _INTEGER.fullmatch(text):
        return AnyId(ResourceKind.INSTANCE, int(text))
    raise UnknownIdKind(text)
