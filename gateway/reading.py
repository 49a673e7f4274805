"""Reads a TOML document table by table, and gathers everything that is wrong with it before anyone is told.

A kind is a function that turns a TOML value into what the program uses, or raises a ValueError that says what the value
is not. Reading goes on after a problem with a default in the value's place; what was read that way never gets out.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TypeAlias, TypeVar, Union

from gateway.environment import BETWEEN, PREFIX, SILENCE, Override, word

T = TypeVar("T")
Kind = Callable[[object], T]

DEFAULT = "default"
"""The origin of what nobody has written."""

ABSENT = object()
"""The value of what nobody has written, and that has no default."""

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""A key that needs no quotes in TOML."""

_SHOWN_LENGTH = 60
_SHOWN_BITS = 128
_NO_KEYS: Mapping[str, object] = {}


class ConfigError(Exception):
    """The configuration cannot be used. The text is one problem a line, each starting with the culprit.

    That is the dotted path of a key, the name of a variable, or a file.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Written:
    """A value as it is written in TOML, and where that is: in a file, in a variable, or nowhere, by default.

    `said` is what the environment says about the keys of a table, or the elements of a list.
    """

    value: object
    origin: str
    said: Override = SILENCE


Values: TypeAlias = dict[str, Union[Written, "Values", list["Values"]]]
"""What a table holds in the end: values, tables, and lists of tables. A list of anything else is a value."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a document: its problems, and the dotted path of every key that was looked for.

    `variables` are those that were taken in place of the document's values, by dotted path.
    """

    problems: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def refuse(self, path: str, problem: str) -> None:
        """Note what is wrong with the value at a path, or within it."""
        self.problems.append(f"{self.culprit(path)}: {problem}".replace("\n", "\\n"))

    def culprit(self, path: str) -> str:
        """Return the path as whoever wrote the value would call it: by the variable, if it comes from one."""
        within = [each for each in self.variables if path == each or path.startswith((f"{each}.", f"{each}["))]
        nearest = max(within, key=len, default="")
        return self.variables[nearest] + path.removeprefix(nearest) if nearest else path


class Table:
    """A table of the document, to take values from; a key that nobody takes is reported as unknown.

    `values` is what was taken, defaults included.
    """

    def __init__(self, path: str, written: Written, reading: Reading) -> None:
        self._path, self._origin, self._said, self._reading = path, written.origin, written.said, reading
        self._given = mapping(written.value)
        self._known: dict[str, None] = {}
        self.values: Values = {}

    def __contains__(self, key: str) -> bool:
        return key in self._given or not self._said.at(key).is_silent

    # --- values

    def get(self, key: str, kind: Kind[T], default: object) -> T:
        """Return the value, by default what the kind makes of one that is given as it would be written."""
        value = self.maybe(key, kind)
        if key not in self:
            self.values[key] = Written(default, DEFAULT)
        return kind(default) if value is None else value

    def follow(self, key: str, kind: Kind[T], other: T) -> T:
        """Return the value, by default that of another key, which is written as it is."""
        value = self.maybe(key, kind)
        if key not in self:
            self.values[key] = Written(other, DEFAULT)
        return other if value is None else value

    def need(self, key: str, kind: Kind[T], stand_in: T) -> T:
        """Return the value, which must be there; the stand-in keeps the reading going if it is not."""
        if key not in self:
            self.refuse(key, "is missing")
        value = self.maybe(key, kind)
        return stand_in if value is None else value

    def maybe(self, key: str, kind: Kind[T]) -> T | None:
        """Return the value, or None if it is absent or wrong."""
        written = self._find(key, kind)
        for said in written.said.below.values():
            self._refuse_variables(said, f"{self._dotted(key)} has no keys of its own")
        self.values[key] = written
        return None if written.value is ABSENT else self._read(key, kind, written.value)

    def each(self, key: str, kind: Kind[T], default: Sequence[object] = ()) -> tuple[T, ...]:
        """Return the elements of a list; the default ones are given as they would be written."""
        elements, origin = self._elements(key, kind, default)
        origins = dict.fromkeys([origin, *(element.origin for element in elements)])
        self.values[key] = Written([element.value for element in elements], ", ".join(origins))
        read = (self._read(f"{key}[{index}]", kind, element.value) for index, element in enumerate(elements))
        return tuple(value for value in read if value is not None)

    def entries(self, names: Collection[str], name: Kind[str], kind: Kind[T], stand_in: T) -> Mapping[str, T]:
        """Return all that is in a table whose keys are names: those there are, of which `name` is the kind."""
        self._known |= dict.fromkeys(names)
        for key in self._given:
            self._read(_as_written(key), name, key)
        said = [key for key in names if key in self and key not in self._given]
        return {key: self.need(key, kind, stand_in) for key in [*self._given, *said]}

    # --- tables

    def section(self, key: str, read: Callable[["Table"], T]) -> T:
        """Return what `read` makes of the table under the key; an absent one is read as empty."""
        written = self._find(key, mapping)
        self.values[key], result = self._enter(key, written, read)
        return result

    def optional(self, key: str, read: Callable[["Table"], T]) -> T | None:
        """Return what `read` makes of the table under the key, or None if there is none."""
        if key in self:
            return self.section(key, read)
        self.values[key] = self._find(key, mapping)
        return None

    def sections(self, key: str, read: Callable[["Table"], T]) -> tuple[T, ...]:
        """Return what `read` makes of each table of a list of tables."""
        elements, origin = self._elements(key, mapping, ())
        tables = [self._enter(f"{key}[{index}]", element, read) for index, element in enumerate(elements)]
        self.values[key] = [values for values, _ in tables] or Written([], origin)
        return tuple(result for _, result in tables)

    def one_or_many(self, key: str, read: Callable[["Table"], T]) -> tuple[T, ...]:
        """Return what `read` makes of the table under the key, or of each of a list of tables; () for none."""
        if isinstance(self._given.get(key), list | tuple):
            return self.sections(key, read)
        only = self.optional(key, read)
        return () if only is None else (only,)

    # --- problems

    def refuse(self, key: str, problem: str) -> None:
        """Note what is wrong with the value under a key, which may be a dotted path from here."""
        self._reading.refuse(self._dotted(key), problem)

    def forbid(self, key: str, reason: str) -> None:
        """Note a key that must not be there, for a better reason than that it is unknown."""
        if key in self:
            self._find(key, mapping)
            self.refuse(key, reason)

    def require_distinct(self, place: str, values: Iterable[str]) -> None:
        """Note every value that is there before; its place is the path with the index in it as `{}`."""
        first: dict[str, int] = {}
        for index, value in enumerate(values):
            if value and first.setdefault(value, index) != index:
                taken_by = self._reading.culprit(self._dotted(place.format(first[value])))
                self.refuse(place.format(index), f"{shown(value)} is taken by {taken_by}")

    def refuse_the_rest(self) -> None:
        """Note every key that was not taken, in the document and in the environment."""
        for key in self._given:
            if key not in self._known:
                near = get_close_matches(key, self._known, n=1)
                self.refuse(_as_written(key), f"unknown key; {f'did you mean {near[0]}?' if near else self._listing}")
        known = [word(key) for key in self._known]
        for name, said in self._said.below.items():
            if name not in known:
                self._refuse_unknown(said, get_close_matches(name, known, n=1))

    def _refuse_unknown(self, said: Override, near: Sequence[str]) -> None:
        depth = len(said.words)
        for each in said.all():
            meant = BETWEEN.join([*said.words[:-1], *near, *each.words[depth:]])
            advice = f"did you mean {PREFIX}{meant}?" if near else self._listing
            self._refuse_variables(each, f"unknown key; {advice}")

    def _refuse_variables(self, said: Override, problem: str) -> None:
        for each in said.all():
            self._reading.refuse(each.variable, problem)

    @property
    def _listing(self) -> str:
        return f"known: {', '.join(self._known) or 'none'}"

    # --- how it is done

    def _find(self, key: str, kind: Kind[T]) -> Written:
        """Return the value of a key, of that kind if the environment gives it, with nothing for one that is absent."""
        self._known[key] = None
        self._reading.keys.append(self._dotted(key))
        present = Written(self._given[key], self._origin) if key in self._given else Written(ABSENT, DEFAULT)
        return self._overridden(key, kind, present, self._said.at(key))

    def _overridden(self, key: str, kind: Kind[T], present: Written, said: Override) -> Written:
        if said.is_silent:
            return present
        if said.text is None:
            return replace(present, said=said)
        self._reading.variables[self._dotted(key)] = said.variable
        return Written(said.value(kind), said.variable, said)

    def _elements(self, key: str, kind: Kind[T], default: Sequence[object]) -> tuple[Sequence[Written], str]:
        """Return the elements of a list, and where the list comes from."""
        written = self._find(key, sequence)
        listed = default if written.value is ABSENT else self._read(key, sequence, written.value) or ()
        indexes = {str(index): index for index in range(len(listed))}
        for index, said in written.said.below.items():
            if index not in indexes:
                self._refuse_variables(said, _no_element(self._dotted(key), len(listed), written.said))
        elements = [
            self._overridden(f"{key}[{index}]", kind, Written(value, written.origin), written.said.at(index))
            for value, index in zip(listed, indexes, strict=True)
        ]
        return elements, written.origin

    def _read(self, key: str, kind: Kind[T], value: object) -> T | None:
        try:
            return kind(value)
        except ValueError as error:
            self.refuse(key, str(error))
            return None

    def _enter(self, key: str, written: Written, read: Callable[["Table"], T]) -> tuple[Values, T]:
        given = _NO_KEYS if written.value is ABSENT else self._read(key, mapping, written.value) or _NO_KEYS
        table = Table(self._dotted(key), Written(given, written.origin, written.said), self._reading)
        result = read(table)
        table.refuse_the_rest()
        return table.values, result

    def _dotted(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def read_document(document: Written, read: Callable[[Table], T]) -> tuple[T, Values]:
    """Return what `read` makes of the whole document, and all values that it took.

    Raises:
        ConfigError: anything is wrong; it tells all of it.
    """
    reading = Reading()
    top = Table("", document, reading)
    result = read(top)
    top.refuse_the_rest()
    if reading.problems:
        raise ConfigError(*reading.problems)
    return result, top.values


def _no_element(path: str, length: int, said: Override) -> str:
    """Return why there is no such element of a list, and what to do."""
    found = f"{path} is a list of {length}, counted from 0"
    if len(said.words) == 1:
        return f"{found}; add more in the file"  # a variable without two underscores in a row would be none of ours
    return f"{found}; set all of it: {said.variable}='[...]'"


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
    return key if BARE_KEY.fullmatch(key) else shown(key)


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
