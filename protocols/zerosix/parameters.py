"""The parameters of requests: each is declared once, and requests are read and documents are made by that."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar, cast

from protocols.faults import Fault
from protocols.zerosix.decode import Arguments
from protocols.zerosix.errors import Refusal, invalid_parameters, missing_parameters
from protocols.zerosix.settings import ZeroSixSettings

T = TypeVar("T")
Schema = Mapping[str, object]
"""A JSON Schema, draft 2020-12, which is what OpenAPI 3.1 has."""

LARGEST = 2**53 - 1
"""The largest number that every reader of JSON keeps exact."""

MOST_ITEMS = 1000
"""The most items of a list: to read and to compare more would keep everybody else waiting."""

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
# As PHP's is_numeric, but for blanks. Exponents are short, so that comparing is cheap.
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?")
# Source: WordPress, rest_parse_date.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_SEPARATORS = re.compile(r"[\s,]+")  # Source: WordPress, wp_parse_list
_FALSE = frozenset({"0", "false"})  # Source: WordPress, rest_sanitize_boolean


class Unfit(Exception):
    """A value is not of its parameter's kind; the code and, after the parameter's name, the words are WordPress's.

    `details` go into the answer where the parameter has a refusal of its own.
    """

    def __init__(self, code: str, words: str, details: Mapping[str, object] | None = None) -> None:
        super().__init__(words)
        self.code, self.words, self.details = code, words, details or {}


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What a parameter's values are: how one is read (else `Unfit`), and the schema that tells of it.

    The operator's settings have a say in both.
    """

    read: Callable[[object, ZeroSixSettings], T]
    schema: Callable[[ZeroSixSettings], Schema]


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(Generic[T]):
    """One parameter. `fault` is what refuses a value that does not fit, or is missing, if the seed names a code."""

    name: str
    kind: Kind[T]
    description: str
    default: T | None = None
    is_required: bool = False
    fault: Fault | None = None

    def read(self, value: object, settings: ZeroSixSettings) -> T:
        """Return the value that a request gives.

        Raises:
            Refusal: it does not fit, and the parameter has a refusal of its own.
            Unfit: it does not fit.
        """
        try:
            return self.kind.read(value, settings)
        except Unfit as unfit:
            if self.fault is None:
                raise
            raise Refusal(self.fault, details=unfit.details) from None

    def declaration(self, settings: ZeroSixSettings) -> dict[str, object]:
        """Return the parameter as WordPress lists the arguments of an endpoint."""
        told = {**self.kind.schema(settings), "description": self.description, "required": self.is_required}
        return told if self.default is None else {**told, "default": self.default}


class Values:
    """What a request gives for the parameters that its endpoint takes."""

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given

    def __contains__(self, parameter: Parameter[Any]) -> bool:
        return parameter.name in self._given

    def __getitem__(self, parameter: Parameter[T]) -> T:
        """Return the value of a parameter that is required or has a default."""
        value = self.get(parameter)
        assert value is not None
        return value

    def get(self, parameter: Parameter[T]) -> T | None:
        """Return the value of a parameter, else its default."""
        return cast("T | None", self._given.get(parameter.name, parameter.default))


NOTHING = Values({})
"""What most requests give."""


class Parameters:
    """The parameters of one endpoint, in the order in which they are read and told."""

    def __init__(self, *parameters: Parameter[Any]) -> None:
        self._all = parameters
        self._names = frozenset(parameter.name for parameter in parameters)
        self._required = [parameter for parameter in parameters if parameter.is_required]

    def __iter__(self) -> Iterator[Parameter[Any]]:
        return iter(self._all)

    def read(self, arguments: Arguments, settings: ZeroSixSettings) -> Values:
        """Return what the arguments give; those that the endpoint does not know are passed over, as WordPress does.

        Raises:
            Refusal: required ones are missing, or some do not fit.
        """
        if not self._required and self._names.isdisjoint(arguments):
            return NOTHING
        self._refuse_missing(arguments)
        given: dict[str, object] = {}
        unfit: dict[str, Unfit] = {}
        for parameter in [each for each in self._all if each.name in arguments]:
            try:
                given[parameter.name] = parameter.read(arguments[parameter.name], settings)
            except Unfit as reason:
                unfit[parameter.name] = reason
        if unfit:
            raise invalid_parameters({name: (reason.code, reason.words) for name, reason in unfit.items()})
        return Values(given)

    def _refuse_missing(self, arguments: Arguments) -> None:
        missing = [parameter for parameter in self._required if parameter.name not in arguments]
        for parameter in missing:
            if parameter.fault is not None:
                raise Refusal(parameter.fault)
        if missing:
            raise missing_parameters([parameter.name for parameter in missing])


# --- kinds


def whole_number(least: int, most: int = LARGEST) -> Kind[int]:
    """Return the kind of numbers without a fraction within both bounds, in digits or as JSON has them."""

    def read(value: object, _: ZeroSixSettings) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unfit("rest_invalid_type", "is not of type integer.")
        if not least <= value <= most:
            raise Unfit("rest_out_of_bounds", f"must be between {least} (inclusive) and {most} (inclusive)")
        return value

    return _kind(read, {"type": "integer", "minimum": least, "maximum": most})


def number() -> Kind[Decimal]:
    """Return the kind of finite numbers, as text or as JSON has them."""

    def read(value: object, _: ZeroSixSettings) -> Decimal:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            return Decimal(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return Decimal(str(value))
        raise Unfit("rest_invalid_type", "is not of type number.")

    return _kind(read, {"type": "number"})


def choice(*words: str) -> Kind[str]:
    """Return the kind of one of these words."""

    def read(value: object, _: ZeroSixSettings) -> str:
        text = _text(value)
        if text not in words:
            raise Unfit("rest_not_in_enum", f"is not one of {_listed(words)}.")
        return text

    return _kind(read, {"type": "string", "enum": list(words)})


def text(pattern: str = "") -> Kind[str]:
    """Return the kind of any text, or of that which a pattern describes from its beginning to its end."""
    form = re.compile(pattern, re.ASCII)

    def read(value: object, _: ZeroSixSettings) -> str:
        found = _text(value)
        if pattern and not form.fullmatch(found):
            raise Unfit("rest_invalid_pattern", f"does not match pattern {pattern}.")
        return found

    return _kind(read, {"type": "string", **({"pattern": f"^{pattern}$"} if pattern else {})})


def words() -> Kind[str]:
    """Return the kind of text that is looked for in any case, which it is read without."""

    def read(value: object, _: ZeroSixSettings) -> str:
        return _text(value).casefold()

    return _kind(read, {"type": "string"})


def flag() -> Kind[bool]:
    """Return the kind of yes and no; a name without a value is a yes."""

    def read(value: object, _: ZeroSixSettings) -> bool:
        return value is not False and str(value).lower() not in _FALSE

    return _kind(read, {"type": "boolean"})


def moment() -> Kind[datetime]:
    """Return the kind of times by ISO 8601; one without an offset is the site's."""

    def read(value: object, settings: ZeroSixSettings) -> datetime:
        at = _moment(_text(value))
        return at if at.tzinfo else at.replace(tzinfo=settings.timezone)

    return _kind(read, {"type": "string", "format": "date-time"})


def list_of(kind: Kind[T]) -> Kind[Mapping[T, int]]:
    """Return the kind of lists, with the place of each item; of two that are equal, the first counts.

    A list may be written with commas, as `name[]=…&name[]=…`, or as JSON has it.
    """

    def read(value: object, settings: ZeroSixSettings) -> Mapping[T, int]:
        given = _items(value)
        if len(given) > MOST_ITEMS:
            raise Unfit("rest_too_many_items", f"must contain at most {MOST_ITEMS} items.")
        items = dict.fromkeys(kind.read(item, settings) for item in given)
        return {item: place for place, item in enumerate(items)}

    return Kind(read, lambda settings: {"type": "array", "items": kind.schema(settings), "maxItems": MOST_ITEMS})


def _kind(read: Callable[[object, ZeroSixSettings], T], schema: Schema) -> Kind[T]:
    return Kind(read, lambda _: schema)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit("rest_invalid_type", "is not of type string.")
    return value


def _listed(words: Sequence[str]) -> str:
    comma = "," if len(words) > 2 else ""  # noqa: PLR2004  a pair has none. Source: WordPress, wp_sprintf_l
    return f"{', '.join(words[:-1])}{comma} and {words[-1]}"


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        at = None
    if at is None or not _MOMENT.fullmatch(text):
        raise Unfit("rest_invalid_date", "is not a date and time such as 2026-05-01T12:00:00.")
    return at


def _items(value: object) -> Sequence[object]:
    if isinstance(value, str):
        return [item for item in _SEPARATORS.split(value) if item]
    if isinstance(value, dict):
        return _numbered(value)
    return value if isinstance(value, list) else [value]


def _numbered(members: Mapping[str, object]) -> Sequence[object]:
    """Return the items of `name[0]=…&name[1]=…` and of `name[]=…&name[]=…`, in their order."""
    if not all(index == "" or index.isdecimal() for index in members):
        raise Unfit("rest_invalid_type", "is not of type array.")
    return [item for member in members.values() for item in (member if isinstance(member, list) else [member])]
