"""Reads what clients send: query, form and JSON, with the liberties that known clients take."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import orjson

from protocols.zerosix.errors import INVALID_JSON, NOT_AN_OBJECT, UNREADABLE_PARAMETERS, Refusal
from protocols.zerosix.oauth1 import PARAMETERS_MAX, Pairs

Arguments = Mapping[str, object]
"""What a request asks for, by name: texts from query and form, any JSON value from a body, never None."""

_FORM = "application/x-www-form-urlencoded"
_AUTHORITY = re.compile(r"[^/]*//[^/?#]*")

# Strings are passed over (one that never ends, to the end); a comma that follows no value stays, and so stays wrong.
# No part gives back what it took, so that no body costs more than its length.
_TRAILING_COMMA = re.compile(rb'"(?:[^"\\]++|\\.)*+"?+|[\[{]\s*+,|(,)(?=\s*+[\]}])', re.DOTALL)


def split_target(raw: str) -> tuple[str, str]:
    """Return path and query of a request target as they were sent."""
    if not raw.startswith("/"):  # absolute form: a client that takes us for a proxy
        raw = _AUTHORITY.sub("", raw, count=1)
    path, _, query = raw.partition("?")
    return path, query


def read_body(content_type: str, body: bytes) -> tuple[Pairs, bytes]:
    """Sort out what a body is: the parameters of a form, or the text of a JSON document.

    What looks like JSON is JSON: `curl --data '{}'` calls it a form.

    Raises:
        Refusal: it is a form that cannot be read.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if body.lstrip()[:1] in (b"{", b"[") or kind not in ("", _FORM):
        return (), body
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refusal(UNREADABLE_PARAMETERS) from None
    return read_parameters(text), b""


def read_parameters(text: str) -> Pairs:
    """Return the parameters of a query or a form in their order.

    Raises:
        Refusal: they are too many, or not UTF-8.
    """
    try:
        text.encode()  # a byte that is not UTF-8 comes from aiohttp as a lone surrogate
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise Refusal(UNREADABLE_PARAMETERS) from None


def read_document(text: bytes) -> dict[str, object]:
    """Return the members of a JSON object that are not null; none for `[]`, which ZeroSix's PHP client sends.

    Raises:
        Refusal: it is not JSON, apart from trailing commas, or no object.
    """
    document = _parse(text)
    if document == []:
        return {}
    if not isinstance(document, dict):
        raise Refusal(NOT_AN_OBJECT)
    return {name: value for name, value in document.items() if value is not None}


def nested(parameters: Pairs) -> dict[str, object]:
    """Return the parameters by name, with PHP's `group[name]` gathered into a mapping for each group.

    Of a repeated name the last one counts; `group[]` gathers its texts in a list.
    """
    groups: dict[str, object] = {}
    for name, value in parameters:
        group, bracket, rest = name.partition("[")
        if bracket and group and rest.endswith("]"):
            _put(groups, group, rest[:-1], value)
        else:
            groups[name] = value
    return groups


def _put(groups: dict[str, object], group: str, member: str, value: str) -> None:
    members = groups.get(group)
    if not isinstance(members, dict):
        groups[group] = members = {}
    if member:
        members[member] = value
    else:
        members.setdefault("", []).append(value)


def _parse(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        strict = error
    # The documented curl call has a trailing comma. Source: seed-zerosix-api.md, Filter Products by attributes.
    try:
        return orjson.loads(_TRAILING_COMMA.sub(lambda found: b"" if found[1] else found[0], text))
    except orjson.JSONDecodeError:
        # 4 is PHP's JSON_ERROR_SYNTAX, which WordPress tells.
        details = {"json_error_code": 4, "json_error_message": str(strict)}
        raise Refusal(INVALID_JSON, details=details) from None
