"""Long lists, shown fifty at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

ON_A_PAGE = 50
_LONGEST = 6

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Leaf(Generic[T]):
    """One page of a list: its items, its number (from 1), and how many pages there are."""

    items: Sequence[T]
    page: int
    pages: int


def leaf(items: Sequence[T], query: Mapping[str, str]) -> Leaf[T]:
    """Return the page of a list that `page` in the address asks for, or else the nearest that there is."""
    pages = max(1, -(-len(items) // ON_A_PAGE))
    text = query.get("page", "")
    asked = int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST else 1
    page = min(max(1, asked), pages)
    return Leaf(items[(page - 1) * ON_A_PAGE : page * ON_A_PAGE], page, pages)
