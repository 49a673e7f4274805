"""Reads a TOML document table by table, and gathers everything that is wrong with it before anyone is told.

A kind is a function that turns a TOML value into what the program uses, or raises a ValueError that says what the value
is not. Reading goes on after a problem with a default in the value's place; what was read that way never gets out.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")
Kind = Callable[[object], T]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_LENGTH = 60
_SHOWN_BITS = 128
_NO_KEYS: Mapping[str, object] = {}
_NO_ELEMENTS: Sequence[object] = ()


class ConfigError(Exception):
    """The configuration cannot be used. The text is one problem a line, each starting with the dotted path of it."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a document: its problems, and the dotted path of every key that was looked for."""

    problems: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class Table:
    """A table of the document, to take values from; a key that nobody takes is reported as unknown."""

    def __init__(self, path: str, values: Mapping[str, object], reading: Reading) -> None:
        self._path, self._values, self._reading = path, values, reading
        self._known: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str, kind: Kind[T], default: T) -> T:
        """Return the value, or the default if it is absent or wrong."""
        self._known[key] = None
        self._reading.keys.append(self._dotted(key))
        return self._read(key, kind, self._values[key], default) if key in self._values else default

    def need(self, key: str, kind: Kind[T], stand_in: T) -> T:
        """Return the value, which must be there; the stand-in keeps the reading going if it is not."""
        if key not in self._values:
            self.refuse(key, "is missing")
        return self.get(key, kind, stand_in)

    def each(self, key: str, kind: Kind[T], default: Sequence[T] = ()) -> tuple[T, ...]:
        """Return the elements of a list."""
        values = self.get(key, sequence, None)
        if values is None:
            return tuple(default)
        read = (self._read(f"{key}[{index}]", kind, value, None) for index, value in enumerate(values))
        return tuple(value for value in read if value is not None)

    def raw(self, key: str) -> Mapping[str, object]:
        """Return the table under the key as it is, for a reader that knows its keys; an absent one is empty."""
        return self.get(key, mapping, _NO_KEYS)

    def section(self, key: str, read: Callable[["Table"], T]) -> T:
        """Return what `read` makes of the table under the key; an absent one is read as empty."""
        return self._enter(key, self.raw(key), read)

    def optional(self, key: str, read: Callable[["Table"], T]) -> T | None:
        """Return what `read` makes of the table under the key, or None if there is none."""
        values = self.get(key, mapping, None)
        return None if values is None else self._enter(key, values, read)

    def sections(self, key: str, read: Callable[["Table"], T]) -> tuple[T, ...]:
        """Return what `read` makes of each table of a list of tables."""
        elements = {f"{key}[{index}]": value for index, value in enumerate(self.get(key, sequence, _NO_ELEMENTS))}
        tables = {path: self._read(path, mapping, value, _NO_KEYS) for path, value in elements.items()}
        return tuple(self._enter(path, table, read) for path, table in tables.items())

    def one_or_many(self, key: str, read: Callable[["Table"], T]) -> tuple[T, ...]:
        """Return what `read` makes of the table under the key, or of each of a list of tables; () for none."""
        if isinstance(self._values.get(key), list | tuple):
            return self.sections(key, read)
        only = self.optional(key, read)
        return () if only is None else (only,)

    def entries(self, names: Kind[str], kind: Kind[T], stand_in: T) -> Mapping[str, T]:
        """Return all that is in a table whose keys are names."""
        for key in self._values:
            self._read(_as_written(key), names, key, key)
        return {key: self.get(key, kind, stand_in) for key in self._values}

    def refuse(self, key: str, problem: str) -> None:
        """Note what is wrong with the value under a key, which may be a dotted path from here."""
        self._reading.problems.append(f"{self._dotted(key)}: {problem}".replace("\n", "\\n"))

    def forbid(self, key: str, reason: str) -> None:
        """Note a key that must not be there, for a better reason than that it is unknown."""
        if key in self._values:
            self._known[key] = None
            self.refuse(key, reason)

    def require_distinct(self, place: str, values: Iterable[str]) -> None:
        """Note every value that is there before; its place is the path with the index in it as `{}`."""
        first: dict[str, int] = {}
        for index, value in enumerate(values):
            if value and first.setdefault(value, index) != index:
                taken_by = self._dotted(place.format(first[value]))
                self.refuse(place.format(index), f"{shown(value)} is taken by {taken_by}")

    def refuse_the_rest(self) -> None:
        """Note every key that was not taken."""
        for key in self._values:
            if key not in self._known:
                self.refuse(_as_written(key), f"unknown key; {self._advice(key)}")

    def _advice(self, key: str) -> str:
        if near := get_close_matches(key, self._known, n=1):
            return f"did you mean {near[0]}?"
        return f"known: {', '.join(self._known) or 'none'}"

    def _read(self, key: str, kind: Kind[T], value: object, default: T) -> T:
        try:
            return kind(value)
        except ValueError as error:
            self.refuse(key, str(error))
            return default

    def _enter(self, key: str, values: Mapping[str, object], read: Callable[["Table"], T]) -> T:
        table = Table(self._dotted(key), values, self._reading)
        result = read(table)
        table.refuse_the_rest()
        return result

    def _dotted(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def read_document(document: Mapping[str, object], read: Callable[[Table], T]) -> T:
    """Return what `read` makes of the whole document.

    Raises:
        ConfigError: anything is wrong; it tells all of it.
    """
    reading = Reading()
    top = Table("", document, reading)
    result = read(top)
    top.refuse_the_rest()
    if reading.problems:
        raise ConfigError(*reading.problems)
    return result


def shown(value: object) -> str:
    """Return a value as a message shows it: short, and on one line."""
    match value:
        case bool():
            return str(value).lower()
        case Mapping():
            return "a table"
        case list() | tuple():
            return "a list"
        case int() if value.bit_length() > _SHOWN_BITS:
            return "a huge number"
        case str() if len(value) > _SHOWN_LENGTH:
            return f"{value[:_SHOWN_LENGTH]!r}..."
        case str():
            return repr(value)
    return str(value)


def _as_written(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else shown(key)


def unfit(value: object, expected: str) -> ValueError:
    """Return the error for a value that is not what was expected."""
    return ValueError(f"{shown(value)} is not {expected}")


def mapping(value: object) -> Mapping[str, object]:
    """Read a table whose keys someone else knows."""
    if not isinstance(value, Mapping):
        raise unfit(value, "a table")
    return value


def sequence(value: object) -> Sequence[object]:
    """Read a list of anything."""
    if not isinstance(value, list | tuple):
        raise unfit(value, "a list; write [...], or [[...]] above each of several tables")
    return value
