"""Parameters to the request that boto3 was called with, by readers compiled once per shape of the model.

EC2 spells a list Tag.1, Tag.2 and STS Tags.member.1; both are read for either. Indices only order it: libcloud counts
from 0. What is absent stays absent; an empty string is an empty string.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from protocols.ec2.model import List, Model, Scalar, Structure
from protocols.ec2.parameters import (
    BadEncoding,
    BadParameter,
    DuplicateParameter,
    InvalidValue,
    MissingParameter,
    Pair,
    UnknownParameter,
    parse_form,
)
from protocols.ec2.scalars import MAKERS, limits, span

__all__ = [
    "BadEncoding",
    "BadParameter",
    "Decoder",
    "DuplicateParameter",
    "InvalidValue",
    "MissingParameter",
    "UnknownParameter",
    "parse_form",
]

# Parameters by the segments of their names: Tag.1.Key=a is {"Tag": {"1": {"Key": ("Tag.1.Key", "a")}}}.
Tree = dict[str, "Pair | Tree"]
Node = Pair | Tree
Reader = Callable[[Any], Any]

# Parameters of every action, read by those who find the action and the caller.
PROTOCOL_PARAMETERS = frozenset(
    {
        "Action",
        "Version",
        "AWSAccessKeyId",
        "AWSKeyId",  # so spelt by GigeNET's PHP sample
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "Timestamp",
        "Expires",
        "SecurityToken",
    }
)
PROTOCOL_PREFIX = "X-Amz-"
# No name in EC2's model has more than 11 segments. A longer one keeps its rest in the last, which nothing is called.
MAX_SPLITS = 20
MAX_INDEX_DIGITS = 10


class Reading(NamedTuple):
    """How a shape is read: the form of its node, tuple or dict; what reads that; what makes that of the other form."""

    form: type
    reader: Reader
    reshape: Callable[[Any], Node]


class Decoder:
    """Reads the requests of one service's actions.

    With `underscores` it takes Placement_AvailabilityZone for Placement.AvailabilityZone, as GigeNET documents.
    """

    def __init__(self, model: Model, *, underscores: bool = False) -> None:
        self._model = model
        self._underscores = underscores
        self._actions: dict[str, Reader] = {}
        self._structures: dict[str, Reader] = {}

    def decode(self, action: str, pairs: Iterable[Pair]) -> dict[str, Any]:
        """The action's request, keyed as boto3 keys it. Any string passes for an enum: our catalogue is not AWS's.

        Raises:
            UnknownParameter: the action has no parameter of that name.
            MissingParameter: a parameter that the model requires is absent.
            DuplicateParameter: a name was sent twice.
            InvalidValue: a value is not of its parameter's kind, or out of the model's bounds.
            KeyError: the model lacks the action.
        """
        reader = self._actions.get(action) or self._action(action)
        request: dict[str, Any] = reader(self._tree(pairs))
        return request

    def _tree(self, pairs: Iterable[Pair]) -> Tree:
        tree: Tree = {}
        for pair in pairs:
            name = pair[0].replace("_", ".") if self._underscores else pair[0]
            if "." in name:
                _plant(tree, name, pair)
            elif name in tree:
                raise DuplicateParameter(pair[0])
            else:
                tree[name] = pair
        return tree

    def _action(self, action: str) -> Reader:
        request = self._model.actions[action].request
        structure = self._model.shapes[request] if request else Structure(action, ())
        assert isinstance(structure, Structure)
        self._actions[action] = self._structure(structure, unknown=_unless_protocol)
        return self._actions[action]

    def _reading(self, name: str) -> Reading:
        match self._model.shapes[name]:
            case Scalar() as scalar:
                return Reading(tuple, MAKERS[scalar.kind](scalar), _from_single_index)
            case List() as list_:
                return Reading(dict, self._list(list_), _from_unindexed)
            case Structure() as structure:
                return Reading(dict, self._nested(structure), _refused)

    def _nested(self, structure: Structure) -> Reader:
        name = structure.name
        if name not in self._structures:
            # A shape that holds itself finds this stand-in while it is being compiled.
            def compiled_later(tree: Tree) -> Any:
                return self._structures[name](tree)

            self._structures[name] = compiled_later
            self._structures[name] = self._structure(structure, unknown=_refused)
        return self._structures[name]

    def _structure(self, structure: Structure, *, unknown: Callable[[Node], object]) -> Reader:
        members = {member.wire: (member.name, *self._reading(member.shape)) for member in structure.members}
        required = {member.name: member.wire for member in structure.members if member.is_required}

        def read(tree: Tree) -> dict[str, Any]:
            found = {}
            for segment, node in tree.items():
                member = members.get(segment)
                if member is None:
                    unknown(node)
                    continue
                key, form, reader, reshape = member
                found[key] = reader(node if node.__class__ is form else reshape(node))
            if required and not required.keys() <= found.keys():
                missing = next(wire for key, wire in required.items() if key not in found)
                raise MissingParameter(_prefix(tree) + missing)
            return found

        return read

    def _list(self, shape: List) -> Reader:
        form, reader, reshape = self._reading(shape.item)
        least, greatest = limits(shape)
        expected = f"{span(shape)} items"

        def read(tree: Tree) -> list[Any]:
            nodes = _in_order(tree, shape.element)
            if not least <= len(nodes) <= greatest:
                raise InvalidValue(_prefix(tree).rstrip("."), f"{len(nodes)} items", expected)
            return [reader(node if node.__class__ is form else reshape(node)) for node in nodes]

        return read


def _plant(tree: Tree, name: str, pair: Pair) -> None:
    *branches, leaf = name.split(".", MAX_SPLITS)
    for branch in branches:
        node = tree.setdefault(branch, {})
        if isinstance(node, tuple):
            raise DuplicateParameter(node[0])
        tree = node
    if leaf in tree:
        raise DuplicateParameter(pair[0])
    tree[leaf] = pair


def _name_in(node: Node) -> str:
    """The full name, as sent, of the first parameter in a node."""
    while isinstance(node, dict):
        node = next(iter(node.values()))
    return node[0]


def _prefix(tree: Tree) -> str:
    """What stands before a tree's own segments in its parameters' names: "Tag.1." for {"Key": ("Tag.1.Key", "a")}."""
    length = -1
    node: Node = tree
    while isinstance(node, dict):
        if not node:
            return ""
        segment, node = next(iter(node.items()))
        length += len(segment) + 1
    return node[0][:-length]


def _in_order(tree: Tree, element: str) -> list[Node]:
    """The items of a list, by their indices."""
    if len(tree) == 1:
        [(segment, node)] = tree.items()
        if _is_index(segment):
            return [node]
        if isinstance(node, dict) and segment in ("member", element):
            tree = node
    for index, node in tree.items():
        if not _is_index(index):
            raise UnknownParameter(_name_in(node))
    return [tree[index] for index in sorted(tree, key=int)]


def _is_index(segment: str) -> bool:
    return segment.isdecimal() and segment.isascii() and len(segment) <= MAX_INDEX_DIGITS


def _from_single_index(tree: Tree) -> Node:
    """InstanceId.1 where one InstanceId is asked for: boto2 sends GetConsoleOutput so."""
    if len(tree) == 1:
        [(index, node)] = tree.items()
        if isinstance(node, tuple) and _is_index(index):
            return node
    raise UnknownParameter(_name_in(tree))


def _from_unindexed(pair: Pair) -> Node:
    """InstanceId=i-1 where a list is asked for: a list of one; empty, the empty list that STS clients send."""
    return {"1": pair} if pair[1] else {}


def _refused(node: Node) -> Node:
    raise UnknownParameter(_name_in(node))


def _unless_protocol(node: Node) -> None:
    name = _name_in(node)
    if name not in PROTOCOL_PARAMETERS and not name.startswith(PROTOCOL_PREFIX):
        raise UnknownParameter(name)
