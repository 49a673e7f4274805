"""The settings that count now, and those who follow them."""

from collections.abc import Callable
from typing import TypeVar

from gateway.config import Settings

S = TypeVar("S")


class Current:
    """The settings that count now. Who follows them is told when they change, and must neither fail nor take long."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._followers: list[Callable[[Settings], None]] = []

    def follow(self, keep_up: Callable[[Settings], None]) -> None:
        """Call this with every change."""
        self._followers.append(keep_up)

    def follow_part(self, keep_up: Callable[[S], None], part_of: Callable[[Settings], S | None]) -> None:
        """Call this with what `part_of` makes of every change, unless that is None."""

        def follow(settings: Settings) -> None:
            if (part := part_of(settings)) is not None:
                keep_up(part)

        self.follow(follow)

    def change(self, settings: Settings) -> None:
        """Let these count: whatever happens next sees all of them."""
        self.settings = settings
        for keep_up in self._followers:
            keep_up(settings)
