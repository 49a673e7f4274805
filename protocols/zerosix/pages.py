"""Long lists: a page of them, what tells of the other pages, and how they are gone through.

Source: wordpress-conventions.md; WooCommerce, class-wc-rest-crud-controller.php.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

from protocols.zerosix.parameters import Parameter, Schema, whole_number
from protocols.zerosix.routes import Call, public_url

T = TypeVar("T")

_BATCH = 250
"""How many items are looked at or written at a time: a few milliseconds' work."""

PAGE = Parameter("page", whole_number(1), "Current page of the list.", default=1)
PER_PAGE = Parameter("per_page", whole_number(1, 100), "Most items on a page.", default=10)
OFFSET = Parameter("offset", whole_number(0), "Leave out this many items, whatever the page.")
PAGING = (PAGE, PER_PAGE, OFFSET)
"""Without any of these a list is whole. Source: seed-zerosix-api.md, List all Orders."""

_COUNT: Schema = {"type": "integer", "minimum": 0}
PAGE_HEADERS: Mapping[str, tuple[str, Schema]] = {
    "X-WP-Total": ("How many items all pages have together.", _COUNT),
    "X-WP-TotalPages": ("How many pages there are.", _COUNT),
    "Link": ("The site, and where they exist the previous and the next page.", {"type": "string"}),
}

_CREDENTIALS = frozenset({"consumer_key", "consumer_secret"})


def cut(call: Call, found: Sequence[T], template: str) -> tuple[Sequence[T], Mapping[str, str]]:
    """Return the page that the call asks for of what was found, and the headers that tell of the others.

    A page after the last one is empty, as WooCommerce has it.
    """
    values, total = call.values, len(found)
    if not any(parameter in values for parameter in PAGING):
        return found, _totals(total, 1 if total else 0)
    number, size, offset = values[PAGE], values[PER_PAGE], values.get(OFFSET)
    pages = -(-total // size)
    start = (number - 1) * size if offset is None else offset
    headers = _totals(total, pages)
    # Where the offset counts instead of the page, the next page would be the same one again, for ever.
    links = [] if offset is not None else [_link(call, template, *page) for page in _neighbours(number, pages)]
    return found[start : start + size], {**headers, "Link": ", ".join(links)} if links else headers


async def in_batches(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Yield the items, some at a time; a long list must not keep everybody else waiting.

    What was read of the fleet before may have changed after any of them.
    """
    for start in range(0, len(items), _BATCH):
        if start:
            await asyncio.sleep(0)
        yield items[start : start + _BATCH]


def _totals(total: int, pages: int) -> dict[str, str]:
    return {"X-WP-Total": str(total), "X-WP-TotalPages": str(pages)}


def _neighbours(number: int, pages: int) -> Iterator[tuple[int, str]]:
    if number > 1 and pages:
        yield min(number - 1, pages), "prev"
    if number < pages:
        yield number + 1, "next"


def _link(call: Call, template: str, page: int, relation: str) -> str:
    kept = [(name, value) for name, value in call.asked if name != PAGE.name and name not in _CREDENTIALS]
    query = urlencode([*kept, (PAGE.name, page)], quote_via=quote)
    return f'<{public_url(call.exchange, call.settings.path)}{template}?{query}>; rel="{relation}"'
