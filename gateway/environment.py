"""What the environment says about the configuration: ONEFLEET_SERVER__LISTEN is said about server.listen."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

PREFIX, BETWEEN = "ONEFLEET_", "__"

_NOT_IN_VARIABLES = re.compile("[^A-Z0-9]")


@dataclass(frozen=True, slots=True)
class Override:
    """What variables say about a key of the configuration, and about the keys below it.

    `words` are the words of its own variable; `text` is what that holds, or None if it is not set.
    """

    words: tuple[str, ...] = ()
    text: str | None = None
    below: Mapping[str, Self] = field(default_factory=dict)

    @property
    def variable(self) -> str:
        """The name of its own variable."""
        return PREFIX + BETWEEN.join(self.words)

    @property
    def is_silent(self) -> bool:
        """Whether nothing is said, neither about the key nor about any below it."""
        return self.text is None and not self.below

    def at(self, key: str) -> "Override":
        """Return what is said about a key of this table."""
        return self.below.get(word(key), SILENCE) if self.below else SILENCE

    def value(self, kind: Callable[[object], object]) -> object:
        """Return the text as it is if the kind takes that, else as TOML; what fits neither way is left a text."""
        if self.text is None or _is_fit(kind, self.text):
            return self.text
        value = _toml(self.text)
        return value if _is_fit(kind, value) else self.text

    def all(self) -> Iterator["Override"]:
        """Yield it and all below, as far as their variables are set."""
        if self.text is not None:
            yield self
        for each in self.below.values():
            yield from each.all()


SILENCE = Override()


def overrides(environ: Mapping[str, str]) -> Override:
    """Return what is said about all keys. Variables without two underscores in a row are not about keys."""
    names = {name: name.removeprefix(PREFIX) for name in environ if name.startswith(PREFIX)}
    said = {tuple(rest.split(BETWEEN)): environ[name] for name, rest in names.items() if BETWEEN in rest}
    return _gathered((), said)


def word(key: str) -> str:
    """Return how a variable spells a key: in capitals, with `_` for all that is no letter and no digit."""
    return _NOT_IN_VARIABLES.sub("_", key.upper())


def _gathered(words: tuple[str, ...], said: Mapping[tuple[str, ...], str]) -> Override:
    depth = len(words)
    below = {longer[depth] for longer in said if len(longer) > depth and longer[:depth] == words}
    return Override(words, said.get(words), {each: _gathered((*words, each), said) for each in sorted(below)})


def _is_fit(kind: Callable[[object], object], value: object) -> bool:
    try:
        kind(value)
    except ValueError:
        return False
    return True


def _toml(text: str) -> object:
    """Return the value that the text is in TOML, or the text itself if it is none."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return document["value"] if len(document) == 1 else text
