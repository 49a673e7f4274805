"""Lets other requests have their turn while a long answer is made."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

_HOLD_SECONDS = 0.004


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items; after every few milliseconds, let everyone else who waits go first.

    What was read of the fleet before may have changed after any of them.
    """
    until = time.perf_counter() + _HOLD_SECONDS
    for item in items:
        yield item
        if time.perf_counter() >= until:
            await asyncio.sleep(0)
            until = time.perf_counter() + _HOLD_SECONDS
