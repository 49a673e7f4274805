"""What machines use, and over which spans of time it is kept: the longer ago, the less exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.ids import InstanceId


class Span(StrEnum):
    """How far back one looks."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Ring:
    """The points that are kept of a span: so many, each of so many seconds; a new one takes the place of the oldest."""

    points: int
    step_seconds: int

    @property
    def seconds(self) -> int:
        """How long the whole span is."""
        return self.points * self.step_seconds


RINGS: Mapping[Span, Ring] = {
    Span.HOUR: Ring(60, 60),
    Span.DAY: Ring(288, 5 * 60),
    Span.WEEK: Ring(336, 30 * 60),
    Span.MONTH: Ring(360, 2 * 60 * 60),
    Span.YEAR: Ring(365, 24 * 60 * 60),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a machine used on average from `at` on, for as long as the point or the round that it is of.

    `cpus` counts processors that were busy all the time; the bytes are those of a second. None: it cannot be told.
    """

    instance_id: InstanceId
    at: datetime
    cpus: float | None = None
    memory_mib: float | None = None
    disk_read_bytes: float | None = None
    disk_written_bytes: float | None = None
    received_bytes: float | None = None
    sent_bytes: float | None = None


@dataclass(slots=True)
class Total:
    """What some machines used together, in the units of `Usage`. What cannot be told of one counts as nothing."""

    machines: int = 0
    cpus: float = 0.0
    memory_mib: float = 0.0
    disk_read_bytes: float = 0.0
    disk_written_bytes: float = 0.0
    received_bytes: float = 0.0
    sent_bytes: float = 0.0

    def add(self, usage: Usage) -> None:
        """Count one machine more."""
        self.machines += 1
        self.cpus += usage.cpus or 0.0
        self.memory_mib += usage.memory_mib or 0.0
        self.disk_read_bytes += usage.disk_read_bytes or 0.0
        self.disk_written_bytes += usage.disk_written_bytes or 0.0
        self.received_bytes += usage.received_bytes or 0.0
        self.sent_bytes += usage.sent_bytes or 0.0
