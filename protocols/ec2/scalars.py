"""Readers of single values, one maker per kind. A reader gives the value of a parameter, or raises InvalidValue."""

import base64
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from protocols.ec2.model import Kind, List, Scalar
from protocols.ec2.parameters import InvalidValue, Pair

Reader = Callable[[Pair], Any]

# ASCII only, and nothing that int() and float() would take besides: 1_000, " 5", other scripts' digits.
INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?|NaN|-?Infinity")
EPOCH = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?")

BOUND = {Kind.INTEGER: 2**31, Kind.LONG: 2**63}
BOOLEANS = {"true": True, "false": False, "True": True, "False": False, "1": True, "0": False}


def limits(shape: Scalar | List) -> tuple[float, float]:
    """The least and the greatest that the model allows of a number, or of a length."""
    least = -math.inf if shape.minimum is None else shape.minimum
    return least, math.inf if shape.maximum is None else shape.maximum


def span(shape: Scalar | List) -> str:
    """The limits in words; empty if there are none."""
    match shape.minimum, shape.maximum:
        case None, None:
            return ""
        case least, None:
            return f"{least} or more"
        case None, greatest:
            return f"{greatest} or less"
        case least, greatest:
            return f"{least} to {greatest}"


def _string(shape: Scalar) -> Reader:
    if not span(shape):
        return itemgetter(1)
    least, greatest = limits(shape)
    expected = f"{span(shape)} characters"

    def read(pair: Pair) -> str:
        name, value = pair
        if least <= len(value) <= greatest:
            return value
        raise InvalidValue(name, value, expected)

    return read


def _integer(shape: Scalar) -> Reader:
    bound = BOUND[shape.kind]
    least, greatest = limits(shape)
    least, greatest = max(least, -bound), min(greatest, bound - 1)
    expected = f"an integer, {span(shape)}" if span(shape) else "an integer"

    def read(pair: Pair) -> int:
        name, value = pair
        if INTEGER.fullmatch(value) and least <= (number := int(value)) <= greatest:
            return number
        raise InvalidValue(name, value, expected)

    return read


def _real(_shape: Scalar) -> Reader:
    def read(pair: Pair) -> float:
        name, value = pair
        if REAL.fullmatch(value):
            return float(value)
        raise InvalidValue(name, value, "a number")

    return read


def _boolean(_shape: Scalar) -> Reader:
    def read(pair: Pair) -> bool:
        name, value = pair
        try:
            return BOOLEANS[value]
        except KeyError:
            raise InvalidValue(name, value, "true or false") from None

    return read


def _timestamp(_shape: Scalar) -> Reader:
    def read(pair: Pair) -> datetime:
        name, value = pair
        try:
            if EPOCH.fullmatch(value):
                return datetime.fromtimestamp(float(value), UTC)
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            raise InvalidValue(name, value, "a time such as 2026-01-02T03:04:05Z") from None

    return read


def _blob(_shape: Scalar) -> Reader:
    def read(pair: Pair) -> bytes:
        name, value = pair
        try:
            # openssl and base64(1) break lines.
            return base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
        except ValueError:
            raise InvalidValue(name, value, "base64") from None

    return read


MAKERS: Mapping[Kind, Callable[[Scalar], Reader]] = {
    Kind.STRING: _string,
    Kind.INTEGER: _integer,
    Kind.LONG: _integer,
    Kind.FLOAT: _real,
    Kind.DOUBLE: _real,
    Kind.BOOLEAN: _boolean,
    Kind.TIMESTAMP: _timestamp,
    Kind.BLOB: _blob,
}
