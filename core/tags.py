"""Tags: a customer's own names and values on the things that are theirs to use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from core.errors import InvalidTag, TooManyTags
from core.ids import AccountId
from core.kinds import ResourceKind

__all__ = ["ResourceKind"]  # what tags are put on, told by whoever puts them

MOST_TAGS = 50
KEY_LENGTH, VALUE_LENGTH = 128, 256
RESERVED_PREFIX = "aws:"

# No XML document could carry them, so one such tag would spoil every answer it is in. Source: XML 1.0, Char.
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Resource:
    """One taggable thing; several accounts may each have tags of their own on a shared one, such as an image."""

    account_id: AccountId
    kind: ResourceKind
    id: int


@dataclass(frozen=True, slots=True)
class TagSet:
    """All tags of one resource, by key."""

    resource: Resource
    values: Mapping[str, str]


def with_tags(tags: TagSet, added: Mapping[str, str]) -> TagSet:
    """Return the tags with some added or replaced.

    Raises:
        InvalidTag: a key or value breaks the rules.
        TooManyTags: there would be more than `MOST_TAGS`.
    """
    for key, value in added.items():
        _check(key, value)
    values = {**tags.values, **added}
    if len(values) > MOST_TAGS:
        raise TooManyTags(MOST_TAGS)
    return TagSet(tags.resource, values)


def without_tags(tags: TagSet, removed: Mapping[str, str | None]) -> TagSet:
    """Return the tags without some: a key alone goes whatever its value, a key with a value only if both match."""
    kept = {key: value for key, value in tags.values.items() if key not in removed or _differs(removed[key], value)}
    return TagSet(tags.resource, kept)


def _differs(asked: str | None, found: str) -> bool:
    return asked is not None and asked != found


@lru_cache(maxsize=1024)  # a thousand machines are often given the same tags at once
def _check(key: str, value: str) -> None:
    if not 1 <= len(key) <= KEY_LENGTH:
        raise InvalidTag(f"Tag key of {len(key)} characters: 1 to {KEY_LENGTH} are allowed.")
    if len(value) > VALUE_LENGTH:
        raise InvalidTag(f"Tag value of {len(value)} characters: at most {VALUE_LENGTH} are allowed.")
    if key.lower().startswith(RESERVED_PREFIX):
        raise InvalidTag(f"Tag keys starting with '{RESERVED_PREFIX}' are reserved for internal use")
    if _UNSPEAKABLE.search(key) or _UNSPEAKABLE.search(value):
        raise InvalidTag("Tag keys and values cannot hold control characters.")
