"""The actions of EC2 and STS that we serve, and the shapes of their requests and results.

They are read from model.json, which scripts/make_model.py writes (see NOTICE). Its form, per service:

- actions: name -> [shape of the request, shape of the result], either may be null;
- known: every action that AWS has, ours or not;
- shapes: name -> {"members": {name: words}, "required": [names]}, or {"list": shape, "item": element, "min", "max"},
  or {"type": kind, "min", "max", "enum"}. A kind's own name is also the name of a shape.

A member's words are its shape, its element in a response if that is not its name, and its name in a request if that is
not the capitalised element: "InstanceIpv6AddressList ipv6AddressesSet Ipv6Addresses".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

MODEL_PATH = Path(__file__).with_name("model.json")


class Protocol(StrEnum):
    """How a service spells its requests and wraps its results."""

    EC2 = "ec2"
    QUERY = "query"


class Kind(StrEnum):
    """What a scalar is."""

    STRING = "string"
    INTEGER = "integer"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    BLOB = "blob"


@dataclass(frozen=True, slots=True)
class Member:
    """One value of a structure: its name as boto3 has it, in a response and in a request."""

    name: str
    shape: str
    element: str
    wire: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Structure:
    """A shape with named members, in the order of a response."""

    name: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class List:
    """A shape of many items of one shape."""

    name: str
    item: str
    element: str
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A shape of one value. The bounds are a number's, or a string's length's; enum is empty where any value goes."""

    name: str
    kind: Kind
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None


Shape = Structure | List | Scalar


@dataclass(frozen=True, slots=True)
class Action:
    """One action, and the names of the shapes of its request and of its result, if it has them."""

    name: str
    request: str | None
    result: str | None


@dataclass(frozen=True, slots=True)
class Model:
    """One service. A namespace may hold {version}, to be replaced by the version that the request asked for."""

    protocol: Protocol
    version: str
    namespace: str
    actions: Mapping[str, Action]
    shapes: Mapping[str, Shape]
    known: frozenset[str]


PLAIN_SHAPES = {kind.value: Scalar(kind.value, kind) for kind in Kind}


def load(*overlays: Mapping[str, Any]) -> dict[str, Model]:
    """The models by service, "ec2" and "sts", with each overlay laid over them (see `merged`)."""
    document = json.loads(MODEL_PATH.read_bytes())
    for overlay in overlays:
        document = merged(document, overlay)
    return {name: build(service) for name, service in document.items()}


def merged(document: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """A document in model.json's form with the overlay's actions, shapes and members added to it.

    An overlay may leave out whatever it does not change. Its actions, scalars and lists replace those of the same name;
    its structures add their members to, or replace single members of, those of the same name; a "required" replaces.
    """
    return {**document, **{name: _merged_service(document.get(name, {}), changes) for name, changes in overlay.items()}}


def _merged_service(service: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    shapes = dict(service.get("shapes", {}))
    for name, shape in changes.get("shapes", {}).items():
        shapes[name] = _merged_shape(shapes.get(name, {}), shape)
    actions = {**service.get("actions", {}), **changes.get("actions", {})}
    known = [*service.get("known", ()), *changes.get("known", ())]
    return {**service, **changes, "actions": actions, "shapes": shapes, "known": known}


def _merged_shape(shape: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    if "members" not in shape or "members" not in changes:
        return changes
    return {**shape, **changes, "members": {**shape["members"], **changes["members"]}}


def build(service: Mapping[str, Any]) -> Model:
    """One service of a document in model.json's form."""
    return Model(
        protocol=Protocol(service["protocol"]),
        version=service["version"],
        namespace=service["namespace"],
        actions={name: Action(name, request, result) for name, (request, result) in service["actions"].items()},
        shapes=PLAIN_SHAPES | {name: _shape(name, shape) for name, shape in service["shapes"].items()},
        known=frozenset(service["known"]) | service["actions"].keys(),
    )


def _shape(name: str, shape: Mapping[str, Any]) -> Shape:
    if "members" in shape:
        required = shape.get("required", ())
        return Structure(name, tuple([_member(key, words, key in required) for key, words in shape["members"].items()]))
    limits = (shape.get("min"), shape.get("max"))
    if "list" in shape:
        return List(name, shape["list"], shape["item"], *limits)
    return Scalar(name, Kind(shape["type"]), tuple(shape.get("enum", ())), *limits)


def _member(name: str, words: str, is_required: bool) -> Member:  # noqa: FBT001  positional for speed: 700 per start
    shape, *spellings = words.split()
    element = spellings[0] if spellings else name
    wire = spellings[1] if len(spellings) > 1 else element[0].upper() + element[1:]
    return Member(name, shape, element, wire, is_required)
