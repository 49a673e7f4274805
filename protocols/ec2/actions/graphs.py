"""The attributes of machines that are pictures: what they used, drawn from what was sampled."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from core.instances import Instance
from core.usage import RINGS, Span, Usage
from protocols.charts import Chart, Series, TimeScale, png
from protocols.ec2.extensions import GRAPHS
from protocols.ec2.registry import Call

Reader = Callable[[Call, Instance], Awaitable[Mapping[str, Any]]]
Value = Callable[[Usage], float | None]

_SCALES = {
    Span.HOUR: TimeScale(timedelta(minutes=10), "%H:%M"),
    Span.DAY: TimeScale(timedelta(hours=3), "%H:%M"),
    Span.WEEK: TimeScale(timedelta(days=1), "%a %d %b"),
    Span.MONTH: TimeScale(timedelta(days=3), "%d %b"),
    Span.YEAR: TimeScale(timedelta(0), "%b"),
}


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a graph is about: its lines, and how far the axis goes up at least."""

    title: str
    unit: str
    least_top: float
    lines: Mapping[str, Value]


_SUBJECTS = {
    "cpu": _Subject("CPU", "%", 100, {"CPU": lambda usage: usage.cpus}),
    "disk": _Subject(
        "disk",
        "B/s",
        1000,
        {"read": lambda usage: usage.disk_read_bytes, "written": lambda usage: usage.disk_written_bytes},
    ),
    "network": _Subject(
        "network",
        "B/s",
        1000,
        {"received": lambda usage: usage.received_bytes, "sent": lambda usage: usage.sent_bytes},
    ),
}


def _reader(name: str) -> Reader:
    _, subject, span = name.split("_")

    async def read(call: Call, instance: Instance) -> Mapping[str, Any]:
        usages = await call.core.machines.usage(call.caller, instance.id, Span(span))
        drawn = _chart(call, instance, _SUBJECTS[subject], Span(span), usages)
        picture = await asyncio.to_thread(png, drawn)
        return {name: {"Value": base64.b64encode(picture).decode()}}

    return read


def _chart(call: Call, instance: Instance, subject: _Subject, span: Span, usages: Sequence[Usage]) -> Chart:
    # A share of all processors that it has now: nobody is told of more than 100 %.
    factor = 100 / call.fleet.product(instance.product_id).vcpus if subject.unit == "%" else 1
    return Chart(
        title=f"{instance.hostname}: {subject.title}, last {span}",
        unit=subject.unit,
        series=[Series(name, _points(usages, value, factor)) for name, value in subject.lines.items()],
        start=call.fleet.now - timedelta(seconds=RINGS[span].seconds),
        end=call.fleet.now,
        scale=_SCALES[span],
        least_top=subject.least_top,
    )


def _points(usages: Sequence[Usage], value: Value, factor: float) -> Sequence[tuple[Any, float | None]]:
    found = ((usage.at, value(usage)) for usage in usages)
    return [(at, None if known is None else known * factor) for at, known in found]


READERS: Mapping[str, Reader] = {name: _reader(name) for name in GRAPHS}
"""How each graph is read."""
