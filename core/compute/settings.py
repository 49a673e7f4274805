"""Reads a driver's own table of config.toml by a rule per key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be, and that in words."""

    is_fit: Callable[[object], bool]
    expected: str


def check(table: Mapping[str, object], rules: Mapping[str, Rule]) -> None:
    """Return if every key has a rule and every value is fit.

    Raises:
        ValueError: the text is "key: what is wrong".
    """
    for key, value in table.items():
        if key not in rules:
            raise ValueError(f"{key}: unknown key; known: {', '.join(rules)}")
        if not rules[key].is_fit(value):
            raise ValueError(f"{key}: {value!r} is not {rules[key].expected}")


def _is_number(value: object, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


_LONGEST_SECONDS = 86400
DURATION = Rule(lambda value: _is_number(value, _LONGEST_SECONDS), "a number of seconds from 0 to 86400")
SHARE = Rule(lambda value: _is_number(value, 1), "a number from 0 to 1")
