"""What stays open for long: for how many at once, and until when."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from core.ids import SignInId

if TYPE_CHECKING:
    from protocols.console.routes import Visit

_LOOK_SECONDS = 1.0
_LOOK_ANYWAY_SECONDS = 20.0  # a sign-in also ends with time alone
_BREATH_SECONDS = 0.25


class TooManyOpen(Exception):
    """As many are open as may be, of one person or of all."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(f"There are {most} {what} open; close some of them, and try again.")


class Places:
    """How many of something one sign-in may have open at once, and all of them together."""

    def __init__(self, most_each: int, most: int, what: str) -> None:
        self._most_each, self._most, self._what = most_each, most, what
        self._taken: Counter[SignInId] = Counter()

    @property
    def taken(self) -> int:
        """How many are open."""
        return self._taken.total()

    @contextmanager
    def taking(self, sign_in_id: SignInId) -> Iterator[None]:
        """Have one more open until the block ends.

        Raises:
            TooManyOpen: there are enough.
        """
        if self._taken[sign_in_id] >= self._most_each:
            raise TooManyOpen(self._what, self._most_each)
        if self.taken >= self._most:
            raise TooManyOpen(self._what, self._most)
        self._taken[sign_in_id] += 1
        try:
            yield
        finally:
            self._taken[sign_in_id] -= 1
            self._taken += Counter()  # forgets whoever has none


async def while_there(visit: "Visit", *talks: Coroutine[Any, Any, None]) -> None:
    """Carry on until one of the talks has ended, the gateway is to stop, or the person has left or is signed out."""
    ends = (visit.house.stopping.wait(), _departure(visit), _sign_out(visit))
    tasks = [asyncio.ensure_future(each) for each in (*talks, *ends)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()  # raises what went wrong with it


async def _departure(visit: "Visit") -> None:
    """Return once the connection is gone."""
    # aiohttp tells a handler only by cancelling it, for all handlers or none, and most must not be torn.
    while (transport := visit.request.transport) is not None and not transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS)


async def _sign_out(visit: "Visit") -> None:
    """Return once the person is no longer signed in for the account that the visit is of."""
    core, revision = visit.core, 0
    while await core.people.is_still(visit.me, visit.token):
        try:
            async with asyncio.timeout(_LOOK_ANYWAY_SECONDS):
                revision = await core.history.news(revision)
        except TimeoutError:
            continue
        await asyncio.sleep(_BREATH_SECONDS)
