"""Results and errors to XML, with writers compiled once per shape of the model.

A result is a dict keyed as boto3 keys it. A key that is absent, or None, writes no element; the order is the model's.
"""

import base64
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from protocols.ec2.model import Kind, List, Member, Model, Protocol, Scalar, Structure

# What must not stand in XML 1.0 as it is. A carriage return may, but a parser would read it as a line feed.
UNSAFE = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
REPLACEMENT = "\ufffd"

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
# A version that is none of AWS's dates cannot stand in a namespace.
VERSION = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SUCCESS = "<return>true</return>"

# They tell the one attribute that was asked for, and an empty list would tell another. Source: the examples of
# DescribeInstanceAttribute; boto 2 shows every element that comes.
_ONE_AT_A_TIME = frozenset(
    {"DescribeNetworkInterfaceAttributeResult", "DescribeVolumeAttributeResult", "ImageAttribute", "InstanceAttribute"}
)

Writer = Callable[[Any], str]


class UnknownKey(KeyError):
    """A result holds keys that its shape lacks: a mistake of ours, not of a caller."""

    def __init__(self, shape: str, keys: set[str]) -> None:
        super().__init__(f"{shape} has no {', '.join(sorted(keys))}")
        self.shape = shape
        self.keys = keys


class Fragment(str):
    """The inside of a structure as XML already, written as it is wherever that structure's dict may stand."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """How a service or dialect wraps results: in which xmlns (empty for none), and where the request id goes."""

    namespace: str
    request_id_element: str = "requestId"
    has_result_wrapper: bool = False

    def wrap(self, action: str, body: str | None, version: str, request_id: str) -> str:
        """The whole document. A body of None is the result of an action that has none."""
        namespace = self.namespace.replace("{version}", version)
        start = f'<{action}Response xmlns="{namespace}">' if namespace else f"<{action}Response>"
        identity = f"<{self.request_id_element}>{escaped(request_id)}</{self.request_id_element}>"
        if self.has_result_wrapper:
            result = "" if body is None else f"<{action}Result>{body}</{action}Result>"
            return f"{DECLARATION}{start}{result}<ResponseMetadata>{identity}</ResponseMetadata></{action}Response>"
        return f"{DECLARATION}{start}{identity}{SUCCESS if body is None else body}</{action}Response>"


def aws_envelope(model: Model) -> Envelope:
    """The envelope that AWS uses for this service."""
    if model.protocol is Protocol.QUERY:
        return Envelope(model.namespace, "RequestId", has_result_wrapper=True)
    return Envelope(model.namespace)


class Encoder:
    """Writes the results of one service's actions, in AWS's envelope unless it is given another.

    `rewrites` changes what stands in a structure before it is written, by the name of its shape; `spellings` how a text
    is written, by the name of its member.
    """

    def __init__(
        self,
        model: Model,
        envelope: Envelope | None = None,
        rewrites: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] | None = None,
        spellings: Mapping[str, Callable[[str], str]] | None = None,
    ) -> None:
        self._model = model
        self._rewrites, self._spellings = rewrites or {}, spellings or {}
        self._envelope = envelope or aws_envelope(model)
        self._writers: dict[str, Writer] = {}
        self._defaults: dict[str, dict[str, Any]] = {}

    def encode_response(
        self, action: str, result: Mapping[str, Any] | Fragment | None = None, *, version: str, request_id: str
    ) -> bytes:
        """The document that answers an action.

        EC2 echoes the request's version in the namespace; what is no version stands for the model's.
        Lists at the top of a result are written even if absent, unless it tells one attribute of many; its <return>, if
        it has one, is true unless given.

        Raises:
            UnknownKey: the result holds a key that the model lacks, however deep.
            KeyError: the model lacks the action.
        """
        shape = self._model.actions[action].result
        if shape is None and result:
            raise UnknownKey(action, set(result))
        body = None if shape is None else self._result(shape, {} if result is None else result)
        if not VERSION.fullmatch(version):
            version = self._model.version
        return self._envelope.wrap(action, body, version, request_id).encode()

    def encode_fragment(self, shape: str, value: Mapping[str, Any]) -> Fragment:
        """The inside of a structure as XML, to be kept and given to `encode_response` in the structure's place."""
        return Fragment(self._writer(shape)(value))

    def _result(self, shape: str, result: Mapping[str, Any] | Fragment) -> str:
        if isinstance(result, Fragment):
            return result
        if shape not in self._defaults:
            self._defaults[shape] = self._defaults_of(shape)
        missing = {key: value for key, value in self._defaults[shape].items() if result.get(key) is None}
        return self._writer(shape)({**result, **missing})

    def _defaults_of(self, name: str) -> dict[str, Any]:
        structure = self._model.shapes[name]
        assert isinstance(structure, Structure)
        shapes = [(member, self._model.shapes[member.shape]) for member in structure.members]
        lists = {} if name in _ONE_AT_A_TIME else {m.name: () for m, shape in shapes if isinstance(shape, List)}
        # libcloud takes anything but <return>true</return> for a failure.
        returns = {m.name: True for m, shape in shapes if m.element == "return" and shape.name == Kind.BOOLEAN}
        return {**lists, **returns}

    def _writer(self, name: str) -> Writer:
        """What writes the inside of a structure."""
        if name not in self._writers:
            # A shape that holds itself finds this stand-in while it is being compiled.
            def compiled_later(value: Any) -> str:
                return self._writers[name](value)

            self._writers[name] = compiled_later
            self._writers[name] = self._structure(name)
        return self._writers[name]

    def _structure(self, name: str) -> Writer:
        structure = self._model.shapes[name]
        assert isinstance(structure, Structure)
        writers = [(member.name, self._member(member)) for member in structure.members]
        names = {member.name for member in structure.members}

        def write(value: Any) -> str:
            if value.__class__ is Fragment:
                return value
            get = value.get
            parts = []
            for key, writer in writers:
                item = get(key)
                if item is not None:
                    parts.append(writer(item))
            if len(parts) != len(value) and (unknown := value.keys() - names):
                raise UnknownKey(name, unknown)
            return "".join(parts)

        rewrite = self._rewrites.get(name)
        if rewrite is None:
            return write
        return lambda value: value if value.__class__ is Fragment else write(rewrite(value))

    def _member(self, member: Member) -> Writer:
        write = self._element(member.element, member.shape)
        spell = self._spellings.get(member.name)
        return write if spell is None else lambda value: write(spell(value))

    def _element(self, element: str, name: str) -> Writer:
        """What writes one value of that shape as an element."""
        match self._model.shapes[name]:
            case Scalar(kind=kind):
                return SCALARS[kind](f"<{element}>", f"</{element}>")
            case List(element=item_element, item=item):
                return _list(element, self._element(item_element, item))
            case Structure():
                return _structure(element, self._writer(name))


def escaped(text: str) -> str:
    """Text fit for XML; a character that XML cannot hold becomes U+FFFD."""
    return UNSAFE.sub(_escape, text) if UNSAFE.search(text) else text


def _escape(match: re.Match[str]) -> str:
    return ESCAPES.get(match[0], REPLACEMENT)


def _structure(element: str, write: Writer) -> Writer:
    start, end = f"<{element}>", f"</{element}>"
    return lambda value: f"{start}{write(value)}{end}"


def _list(element: str, write: Writer) -> Writer:
    empty, start, end = f"<{element}/>", f"<{element}>", f"</{element}>"
    return lambda value: f"{start}{''.join([write(item) for item in value])}{end}" if value else empty


def _string(start: str, end: str) -> Writer:
    search = UNSAFE.search
    return lambda value: f"{start}{escaped(value) if search(value) else value}{end}"


def _integer(start: str, end: str) -> Writer:
    # The d refuses what is not a number: a string would go out unescaped.
    return lambda value: f"{start}{value:d}{end}"


def _real(start: str, end: str) -> Writer:
    return lambda value: f"{start}{real_text(value)}{end}"


def _boolean(start: str, end: str) -> Writer:
    true, false = f"{start}true{end}", f"{start}false{end}"

    def write(value: Any) -> str:
        # By identity: "false" is true, and must not pass for it.
        if value is True:
            return true
        if value is False:
            return false
        raise TypeError(f"{value!r} is not a boolean")

    return write


def _timestamp(start: str, end: str) -> Writer:
    return lambda value: f"{start}{timestamp_text(value)}{end}"


def _blob(start: str, end: str) -> Writer:
    return lambda value: f"{start}{base64.b64encode(value).decode()}{end}"


SCALARS: Mapping[Kind, Callable[[str, str], Writer]] = {
    Kind.STRING: _string,
    Kind.INTEGER: _integer,
    Kind.LONG: _integer,
    Kind.FLOAT: _real,
    Kind.DOUBLE: _real,
    Kind.BOOLEAN: _boolean,
    Kind.TIMESTAMP: _timestamp,
    Kind.BLOB: _blob,
}


def real_text(value: float | Decimal) -> str:
    """A number as XML Schema's double, or NaN, Infinity, -Infinity."""
    if math.isfinite(value):
        return f"{value:f}" if isinstance(value, Decimal) else repr(float(value))
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


@lru_cache(maxsize=4096)  # instances are described again and again, and their launch times do not change
def timestamp_text(moment: datetime) -> str:
    """2026-01-02T03:04:05.000Z.

    Raises:
        ValueError: the time has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode_error(code: str, message: str, request_id: str) -> bytes:
    """EC2's error document.

    It has no xmlns, and an Error has exactly these two children, in this order: libcloud unpacks them.
    RequestID is spelt so here, requestId in a result. Source: botocore, EC2QueryParser.
    """
    error = f"<Error><Code>{escaped(code)}</Code><Message>{escaped(message)}</Message></Error>"
    response = f"<Response><Errors>{error}</Errors><RequestID>{escaped(request_id)}</RequestID></Response>"
    return f"{DECLARATION}{response}".encode()


def encode_sts_error(error_type: str, code: str, message: str, request_id: str) -> bytes:
    """STS's error document; the type is Sender or Receiver."""
    cause = f"<Type>{escaped(error_type)}</Type><Code>{escaped(code)}</Code><Message>{escaped(message)}</Message>"
    start = f'{DECLARATION}<ErrorResponse xmlns="{STS_NAMESPACE}">'
    return f"{start}<Error>{cause}</Error><RequestId>{escaped(request_id)}</RequestId></ErrorResponse>".encode()
