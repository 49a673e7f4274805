"""EC2 and STS for the API explorer. See `protocols.explorable.Explorable`."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pprint import pformat
from shlex import quote as shell
from typing import Any
from urllib.parse import quote, urlencode

from protocols.ec2 import model, sigv4
from protocols.ec2.app import FAMILIES
from protocols.ec2.decode import PROTOCOL_PARAMETERS, BadParameter, Decoder
from protocols.ec2.dialects import AWS, DIALECTS
from protocols.ec2.extensions import EXTENSIONS
from protocols.ec2.filters import BY_ACTION
from protocols.ec2.model import Kind, List, Model, Scalar, Shape, Structure
from protocols.ec2.registry import Action
from protocols.ec2.scalars import span
from protocols.ec2.settings import Ec2Settings
from protocols.explorable import (
    Extra,
    Field,
    FieldKind,
    Operation,
    Origin,
    Prepared,
    Signer,
    Spelling,
    Unfit,
    Values,
    halves,
    lines,
    sendable,
    single,
)

_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_USER_DATA = "UserData"  # a string to the model, in base64 on the wire, as it is to the tools
_DRY_RUN = "DryRun"
_READING = ("Describe", "Get", "List")
_MAKING = frozenset({"GetSessionToken"})
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SECRET = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  a variable's name

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Served:
    """An operation, and the service and version by which it is called."""

    operation: Operation
    service: str
    version: str


class Ec2Explorable:
    """One endpoint for the API explorer. See `protocols.explorable.Explorable`."""

    has_regions = True

    def __init__(self, settings: Ec2Settings) -> None:
        dialect = DIALECTS[settings.dialect]
        self.name = "EC2" if dialect is AWS else f"EC2 ({dialect.name})"
        self._settings, self._is_aws = settings, dialect is AWS
        models = {name: each for name, each in model.load(EXTENSIONS).items() if name == "ec2" or dialect.knows_sts}
        self._served = {each.operation.name: each for each in _served(models)}
        self._operations = tuple([each.operation for each in self._served.values()])
        # What AWS's own tools know: nothing of what GigeNET adds.
        self._decoders = {name: Decoder(each) for name, each in model.load().items()}

    def operations(self) -> Sequence[Operation]:
        """See `Explorable.operations`."""
        return self._operations

    def prepare(self, operation: str, values: Values, extra: Extra, *, origin: Origin, signer: Signer) -> Prepared:
        """See `Explorable.prepare`. The request is a form, signed with Signature Version 4."""
        served = self._served[operation]
        body = urlencode(_pairs(served, values, extra), quote_via=quote).encode()
        moment = f"{signer.now:%Y%m%dT%H%M%SZ}"
        headers = {"Content-Type": _FORM, "Host": origin.called(self._settings.host).host, "X-Amz-Date": moment}
        authorization = _authorization(served.service, self._settings.path, headers, body, signer)
        return Prepared("POST", self._settings.path, (*headers.items(), ("Authorization", authorization)), body)

    def spell(
        self, operation: str, values: Values, extra: Extra, *, origin: Origin, region: str, access_key: str
    ) -> Sequence[Spelling]:
        """See `Explorable.spell`. AWS's own tools are left out where they would refuse to send it."""
        served = self._served[operation]
        pairs = _pairs(served, values, extra)
        target = _Target(served, f"{origin.called(self._settings.host).url}{self._settings.path}", region, access_key)
        request = self._request(served, pairs)
        by_tools = [] if request is None else [*_cli(target, request), Spelling("boto3", _boto3(target, request))]
        return [*by_tools, Spelling("curl", _curl(target, pairs))]

    def _request(self, served: _Served, pairs: Pairs) -> dict[str, Any] | None:
        """Return the request as AWS's tools are told it; None if they do not know the like."""
        if not self._is_aws:
            return None
        try:
            request = self._decoders[served.service].decode(served.operation.name, pairs)
            if _USER_DATA in request and isinstance(request[_USER_DATA], str):
                request[_USER_DATA] = base64.b64decode(request[_USER_DATA], validate=True).decode()
        except (KeyError, BadParameter, ValueError):
            return None
        return request


# --- operations


def _served(models: Mapping[str, Model]) -> Iterator[_Served]:
    for group, family in FAMILIES.items():
        for name, action in family.actions.items():
            for service, shapes in models.items():
                if name in shapes.actions:
                    yield _Served(_operation(group, action, shapes), service, shapes.version)


def _operation(group: str, action: Action, shapes: Model) -> Operation:
    request = shapes.actions[action.name].request
    structure = shapes.shapes[request] if request else None
    members = structure.members if isinstance(structure, Structure) else ()
    honoured = [member for member in members if member.name in action.reads]
    # The required ones first, and what every action takes last.
    honoured.sort(key=lambda member: (not member.is_required, member.name == _DRY_RUN))
    fields = {member.name: _field(member, action.name, shapes) for member in honoured}
    nested = [member for member in honoured if fields[member.name] is None]
    return Operation(
        action.name,
        group,
        (action.handler.__doc__ or "").strip().partition("\n")[0],
        action.name.startswith(_READING) and action.name not in _MAKING,
        tuple([field for field in fields.values() if field is not None]),
        tuple([leaf for member in nested for leaf in _leaves(member.shape, member.wire, shapes)]),
    )


_KINDS: Mapping[Kind, FieldKind] = {
    Kind.STRING: FieldKind.TEXT,
    Kind.INTEGER: FieldKind.NUMBER,
    Kind.LONG: FieldKind.NUMBER,
    Kind.FLOAT: FieldKind.NUMBER,
    Kind.DOUBLE: FieldKind.NUMBER,
    Kind.BOOLEAN: FieldKind.FLAG,
    Kind.TIMESTAMP: FieldKind.TEXT,
    Kind.BLOB: FieldKind.LONG_TEXT,
}


def _field(member: model.Member, action: str, shapes: Model) -> Field | None:
    """Return the field of a parameter; None for one that has parts and is left to `Operation.more`."""
    match shapes.shapes[member.shape]:
        case Scalar() as scalar:
            return _scalar_field(member.wire, scalar, is_required=member.is_required)
        case List(item="Filter"):
            names = tuple(sorted(BY_ACTION[action].names))
            return Field(member.wire, FieldKind.FILTERS, "", names, member.is_required)
        case List(item="Tag"):
            return Field(member.wire, FieldKind.TAGS, is_required=member.is_required)
        case List() as several:
            item_shape = shapes.shapes[several.item]
            if isinstance(item_shape, Scalar):
                return Field(member.wire, FieldKind.LIST, "", item_shape.enum, member.is_required)
        case Structure(members=(model.Member() as only,)):
            inner = shapes.shapes[only.shape]
            if isinstance(inner, Scalar) and inner.kind is not Kind.BLOB:
                return _scalar_field(f"{member.wire}.{only.wire}", inner, is_required=member.is_required)
    return None


def _scalar_field(name: str, scalar: Scalar, *, is_required: bool) -> Field:
    if name == _USER_DATA or scalar.kind is Kind.BLOB:
        return Field(name, FieldKind.LONG_TEXT, "As it is; it is sent in base64.", (), is_required)
    kind = FieldKind.CHOICE if scalar.enum else _KINDS[scalar.kind]
    unit = " characters" if scalar.kind is Kind.STRING else ""
    return Field(name, kind, f"{span(scalar)}{unit}." if span(scalar) else "", scalar.enum, is_required)


def _leaves(shape: str, name: str, shapes: Model, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the names of all values in a shape, of lists those of the first item."""
    found: Shape = shapes.shapes[shape]
    if shape in above:
        return
    match found:
        case Scalar():
            yield name
        case List():
            yield from _leaves(found.item, f"{name}.1", shapes, above | {shape})
        case Structure():
            for member in found.members:
                yield from _leaves(member.shape, f"{name}.{member.wire}", shapes, above | {shape})


# --- what is sent


def _pairs(served: _Served, values: Values, extra: Extra) -> Pairs:
    fields = served.operation.fields
    if own := [name for name, _ in extra if name in PROTOCOL_PARAMETERS]:
        raise Unfit("extra", f"{own[0]} is the explorer's own to send; leave it out.")
    typed = [pair for field in fields for pair in _WRITERS[field.kind](field.name, values.get(field.name, ()))]
    pairs = [("Action", served.operation.name), ("Version", served.version), *typed, *extra]
    return [(name, sendable(name, value)) for name, value in pairs]


def _one(name: str, typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    if value := single(typed):
        yield name, value


def _in_base64(name: str, typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    if value := single(typed):
        yield name, base64.b64encode(sendable(name, value).encode()).decode()


def _many(name: str, typed: Iterable[str]) -> Iterator[tuple[str, str]]:
    for index, value in enumerate(typed, start=1):
        yield f"{name}.{index}", value


def _list(name: str, typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    return _many(name, lines(typed))


def _filters(name: str, typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    for index, line in enumerate(lines(typed), start=1):
        asked, values = halves(name, line, "instance-state-name=running,stopped")
        yield f"{name}.{index}.Name", asked
        yield from _many(f"{name}.{index}.Value", [value.strip() for value in values.split(",")])


def _tags(name: str, typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    for index, line in enumerate(lines(typed), start=1):
        key, value = halves(name, line, "stage=test")
        yield f"{name}.{index}.Key", key
        yield f"{name}.{index}.Value", value


_WRITERS = {
    FieldKind.TEXT: _one,
    FieldKind.NUMBER: _one,
    FieldKind.FLAG: _one,
    FieldKind.CHOICE: _one,
    FieldKind.LONG_TEXT: _in_base64,
    FieldKind.LIST: _list,
    FieldKind.FILTERS: _filters,
    FieldKind.TAGS: _tags,
}


def _authorization(service: str, path: str, headers: Mapping[str, str], body: bytes, signer: Signer) -> str:
    """Return the header that signs the request. `headers` are in the order of their names."""
    moment = headers["X-Amz-Date"]
    scope = f"{moment[:8]}/{signer.region}/{service}/{sigv4.TERMINATOR}"
    names = ";".join(headers).lower()
    told = "".join([f"{name.lower()}:{value}\n" for name, value in headers.items()])
    [canonical_path, *_] = sigv4.canonical_paths(path)
    request = f"POST\n{canonical_path}\n\n{told}\n{names}\n{sha256(body).hexdigest()}"
    sign = sigv4.signer(signer.secret_key, moment[:8], signer.region, service)
    signature = sigv4.signature(sign, moment, scope, request)
    credential = f"Credential={signer.access_key}/{scope}"
    return f"{sigv4.ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"


# --- how people write it


@dataclass(frozen=True, slots=True)
class _Target:
    """What is called, where, and with which key."""

    served: _Served
    endpoint: str
    region: str
    access_key: str


def tool_name(name: str, separator: str = "_") -> str:
    """Return how AWS's tools call what EC2 writes as DescribeVpcs: `describe_vpcs`."""
    return _WORDS.sub(separator, name).lower()


def _cli(target: _Target, request: Mapping[str, Any]) -> Iterator[Spelling]:
    """Yield the call of the aws CLI, unless it could not be told what is binary."""
    try:
        files = {name: value.decode() for name, value in request.items() if isinstance(value, bytes)}
        document = json.dumps({name: value for name, value in request.items() if name not in files}, default=_as_json)
    except (TypeError, UnicodeDecodeError):
        return
    action = tool_name(target.served.operation.name, "-")
    words = [
        f"AWS_ACCESS_KEY_ID={shell(target.access_key)} aws {target.served.service} {action}",
        f"--endpoint-url {shell(target.endpoint)} --region {shell(target.region)}",
        *([f"--cli-input-json {shell(document)}"] if document != "{}" else []),
        # Version 1 takes binary parameters as they are, version 2 in base64, and both from a file.
        *[f"--{tool_name(name, '-')} fileb://<(printf %s {shell(value)})" for name, value in files.items()],
    ]
    yield Spelling("aws CLI", _continued(words))


def _as_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(value)


def _boto3(target: _Target, request: Mapping[str, Any]) -> str:
    service = target.served.service
    told = "".join([f"    {name}={_literal(value, 5 + len(name))},\n" for name, value in request.items()])
    return f"""\
import os

import boto3

{service} = boto3.client(
    {service!r},
    region_name={target.region!r},
    endpoint_url={target.endpoint!r},
    aws_access_key_id={target.access_key!r},
    aws_secret_access_key=os.environ[{_SECRET!r}],
)
answer = {service}.{tool_name(target.served.operation.name)}({f"{chr(10)}{told}" if told else ""})
print(answer)
"""


def _literal(value: Any, column: int) -> str:
    """Return a value as Python writes it, its further lines under its first one."""
    value = value.isoformat() if isinstance(value, datetime) else value
    return pformat(value, width=100 - column, sort_dicts=False).replace("\n", "\n" + " " * column)


def _curl(target: _Target, pairs: Pairs) -> str:
    signing = shell(f"aws:amz:{target.region}:{target.served.service}")
    return _continued(
        [
            f'curl --aws-sigv4 {signing} --user {shell(f"{target.access_key}:")}"${_SECRET}"',
            *[f"--data-urlencode {shell(f'{name}={value}')}" for name, value in pairs],
            shell(target.endpoint),
        ]
    )


def _continued(words: Sequence[str]) -> str:
    return " \\\n  ".join(words) + "\n"
