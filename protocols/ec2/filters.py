r"""Filters of describe actions: values are ORed, filters ANDed; `*` and `?` are wildcards, `\` makes them literal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from protocols.ec2.documented import FILTERS
from protocols.ec2.errors import Ec2Refusal
from protocols.ec2.turns import in_turns

if TYPE_CHECKING:
    from protocols.ec2 import shapes

T = TypeVar("T")
Reader = Callable[[T], Iterable[str]]
Test = Callable[[str], bool]

# Source: EC2 user guide, "Filter resources using the CLI".
_MOST_FILTERS, _MOST_VALUES, _LONGEST_VALUE = 50, 200, 1024

_TOKENS = re.compile(r"\\(.)|([*?])|([^\\*?]+|\\$)", re.DOTALL)
_ANY_ONE = "."


BY_ACTION: dict[str, Filters[Any]] = {}
"""The filters of each action, for the reference."""


class Filters(Generic[T]):
    """The filters of one action: what each reads of an item. With `tags`, tag:KEY, tag-key and tag-value too.

    Those that EC2 documents for the `action` match nothing unless they are read: they are about what no item here has.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader[T]],
        *,
        action: str = "",
        tags: Callable[[T], Mapping[str, str]] | None = None,
    ) -> None:
        self._readers = dict(readers)
        if action:
            BY_ACTION[action] = self
        self._tags, self._documented = tags, frozenset(FILTERS.get(action, "").split())
        if tags is not None:
            self._readers["tag-key"] = lambda item: tags(item).keys()
            self._readers["tag-value"] = lambda item: tags(item).values()

    @property
    def names(self) -> Sequence[str]:
        """The names that may match something."""
        return sorted([*self._readers, *(["tag:KEY"] if self._tags else [])])

    async def apply(self, asked: Sequence[shapes.Filter] | None, items: Iterable[T]) -> list[T]:
        """Return the items that pass every filter, in their order. Others get their turn meanwhile.

        Raises:
            Ec2Refusal: a filter is not understood or has no values, or there are too many.
        """
        if not asked:
            return items if isinstance(items, list) else [item async for item in in_turns(items)]
        if len(asked) > _MOST_FILTERS:
            raise _too_many(f"{len(asked)} filters; at most {_MOST_FILTERS} are allowed")
        tests = [self._test(each.get("Name", ""), each.get("Values") or []) async for each in in_turns(asked)]
        return [item async for item in in_turns(items) if all(test(item) for test in tests)]

    def _test(self, name: str, values: Sequence[str]) -> Callable[[T], bool]:
        reader = self._reader(name)
        if not values:
            raise Ec2Refusal("InvalidParameterValue", f"The filter '{name}' has no values")
        if len(values) > _MOST_VALUES:
            raise _too_many(f"{len(values)} values for the filter '{name}'; at most {_MOST_VALUES} are allowed")
        if max(map(len, values)) > _LONGEST_VALUE:
            raise _too_many(f"a value for the filter '{name}' has more than {_LONGEST_VALUE} characters")
        matches = matcher(values)
        return lambda item: any(map(matches, reader(item)))

    def _reader(self, name: str) -> Reader[T]:
        if (reader := self._readers.get(name)) is not None:
            return reader
        tags = self._tags
        if tags is not None and name.startswith("tag:"):
            key = name.removeprefix("tag:")
            return lambda item: (tags(item)[key],) if key in tags(item) else ()
        if name in self._documented or (name.startswith("tag:") and "tag-key" in self._documented):
            return lambda _: ()
        raise Ec2Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")


def matcher(patterns: Sequence[str]) -> Test:
    """Return whether a text is one of the patterns, in time that grows no faster than text and patterns are long."""
    tokens = [_TOKENS.findall(pattern) for pattern in patterns]
    plain = frozenset("".join(text or escaped for escaped, _, text in each) for each in tokens if not _is_wild(each))
    wild = [_expression(each) for each in tokens if _is_wild(each)]
    if not wild:
        return plain.__contains__
    fits = re.compile("|".join(wild), re.DOTALL).fullmatch
    return lambda text: text in plain or fits(text) is not None


def boolean(value: object) -> tuple[str]:
    """Return a truth value as filters spell it."""
    return ("true" if value else "false",)


def present(value: str) -> tuple[str, ...]:
    """Return a value to match, or none where it is empty: an absent value matches nothing, not even `*`."""
    return (value,) if value else ()


def _is_wild(tokens: Iterable[tuple[str, str, str]]) -> bool:
    return any(wild for _, wild, _ in tokens)


def _expression(tokens: Iterable[tuple[str, str, str]]) -> str:
    """Return a regular expression that never tries the same `*` twice, which could take for ever.

    Between two stars the first place where a part fits is as good as any later one, so each is taken once for all.
    """
    parts = [""]
    for escaped, wild, text in tokens:
        if wild == "*":
            parts.append("")
        else:
            parts[-1] += _ANY_ONE if wild else re.escape(text or escaped)
    if len(parts) == 1:
        return parts[0]
    first, *between, last = parts
    return first + "".join(f"(?>.*?{part})" for part in between if part) + f".*{last}"


def _too_many(what: str) -> Ec2Refusal:
    return Ec2Refusal("FilterLimitExceeded", f"The request has {what}.")
