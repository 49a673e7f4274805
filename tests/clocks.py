"""Time for tests: a clock that moves when told to, and waiting for what happens by itself."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

_PATIENCE_SECONDS = 10.0


class ManualClock:
    """See `core.clock.Clock`. Stands still until it is advanced."""

    def __init__(self, start: datetime = NOON) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> None:
        self._now += step


async def eventually(holds: Callable[[], bool], *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
    """Return as soon as it holds; raise TimeoutError if it does not come to that."""
    async with asyncio.timeout(patience_seconds):
        while not holds():  # noqa: ASYNC110  what is waited for may be in another process: there is no event to await
            await asyncio.sleep(0.001)
