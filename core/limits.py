"""What an account may have, and how often a key may ask."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import LimitReached, TooManyRequests

_MOST_BUCKETS = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of each kind that one account may have at a time."""

    machines: int = 20_000
    addresses: int = 100
    key_pairs: int = 5_000
    security_groups: int = 500
    kept_disks: int = 20

    def require_room(self, kind: str, have: int, more: int = 1) -> None:
        """Return if an account that has so many of a kind may have more.

        Raises:
            LimitReached: it may not.
        """
        most = self._most(kind)
        if have + more > most:
            raise LimitReached(kind, most, have, more)

    def clip(self, kind: str, have: int, least: int, most: int) -> int:
        """Return how many more of a kind an account may have that has so many, at least `least` and at most `most`.

        Raises:
            LimitReached: it may not have `least` more.
        """
        self.require_room(kind, have, least)
        return min(most, self._most(kind) - have)

    def _most(self, kind: str) -> int:
        most: int = getattr(self, kind)
        return most


class Pace:
    """A bucket of tokens for each API key: so many requests a second, and so many at once after a rest. 0: no limit."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, float(burst), clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def change(self, per_second: float, burst: int) -> None:
        """Let keys ask so often from now on. What a key has left it keeps, as far as that still fits its bucket."""
        now = self._clock()
        settled = {key: self._left(bucket, now) for key, bucket in self._buckets.items()}
        self._per_second, self._burst = per_second, float(burst)
        self._buckets = {key: (min(left, self._burst), now) for key, left in settled.items()} if per_second else {}

    def take(self, key: str) -> None:
        """Return if the key may ask now, which counts as asking.

        Raises:
            TooManyRequests: it has asked too often.
        """
        if not self._per_second:
            return
        now = self._clock()
        left = self._left(self._buckets.pop(key, (self._burst, now)), now)
        self._buckets[key] = (left - 1, now) if left >= 1 else (left, now)
        if len(self._buckets) > _MOST_BUCKETS:  # whoever has not asked for longest has a full bucket by now
            del self._buckets[next(iter(self._buckets))]
        if left < 1:
            raise TooManyRequests(self._per_second, (1 - left) / self._per_second)

    def _left(self, bucket: tuple[float, float], now: float) -> float:
        left, since = bucket
        return min(self._burst, left + (now - since) * self._per_second)
