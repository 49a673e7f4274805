"""Graphs of what a machine used, as pictures that take on the colours of the page, and the same in numbers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, floor, log10

from markupsafe import Markup

from core.usage import RINGS, Span, Usage

WIDTH, HEIGHT = 560, 200
_LEFT, _TOP, _RIGHT, _BOTTOM = 104, 10, 24, 28
_PLOT_WIDTH, _PLOT_HEIGHT = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
_TICKS = 4
_GAP = 2.5
"""Points further apart than so many steps of their ring are not joined: nobody knows what was between them."""
_KIB = 1024
_UNITS = ("B/s", "KiB/s", "MiB/s", "GiB/s")
_STEPS = (1, 2, 2.5, 5, 10)

Value = Callable[[Usage], float | None]
Point = tuple[datetime, float | None]

# How the time axis is labelled: how far its marks are apart, and how they are written.
_SCALES: Mapping[Span, tuple[timedelta, str]] = {
    Span.HOUR: (timedelta(minutes=10), "%H:%M"),
    Span.DAY: (timedelta(hours=4), "%H:%M"),
    Span.WEEK: (timedelta(days=1), "%d %b"),
    Span.MONTH: (timedelta(days=5), "%d %b"),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """A line of a graph in numbers, as text: the least, the mean, the most and the last of it."""

    name: str
    least: str
    mean: str
    most: str
    last: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph: what it is about, the picture, and its lines in numbers; no lines where nothing is known."""

    title: str
    picture: Markup
    figures: Sequence[Figures]


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a graph is about: its lines, how its values are written, and how far its axis goes up at least."""

    title: str
    lines: Mapping[str, Value]
    write: Callable[[float], str]
    least_top: float
    base: int = 10


def draw(usages: Sequence[Usage], span: Span, now: datetime, vcpus: int, memory_mib: int) -> Sequence[Graph]:
    """Return the graphs of a machine with so many processors and so much memory, over a span that ends now."""
    subjects = (
        _Subject("Processors", {"busy": _share(lambda usage: usage.cpus, vcpus)}, _percent, 100),
        _Subject("Memory", {"used": _share(lambda usage: usage.memory_mib, memory_mib)}, _percent, 100),
        _Subject(
            "Disk",
            {"read": lambda usage: usage.disk_read_bytes, "written": lambda usage: usage.disk_written_bytes},
            _rate,
            _KIB,
            2,
        ),
        _Subject(
            "Network",
            {"received": lambda usage: usage.received_bytes, "sent": lambda usage: usage.sent_bytes},
            _rate,
            _KIB,
            2,
        ),
    )
    return [_graph(subject, usages, span, now) for subject in subjects]


def _graph(subject: _Subject, usages: Sequence[Usage], span: Span, now: datetime) -> Graph:
    lines = {name: [(usage.at, value(usage)) for usage in usages] for name, value in subject.lines.items()}
    figures = [_figures(name, points, subject.write) for name, points in lines.items() if _known(points)]
    return Graph(subject.title, _picture(subject, lines, span, now), figures)


def _figures(name: str, points: Sequence[Point], write: Callable[[float], str]) -> Figures:
    values = [value for _, value in _known(points)]
    least, mean, most = min(values), sum(values) / len(values), max(values)
    return Figures(name, write(least), write(mean), write(most), write(values[-1]))


def _known(points: Iterable[Point]) -> Sequence[tuple[datetime, float]]:
    return [(at, value) for at, value in points if value is not None]


# --- the picture


def _picture(subject: _Subject, lines: Mapping[str, Sequence[Point]], span: Span, now: datetime) -> Markup:
    most = max((value for points in lines.values() for _, value in _known(points)), default=0.0)
    top = _top(max(most, subject.least_top), subject.base)
    start = now - timedelta(seconds=RINGS[span].seconds)
    parts = [*_values(top, subject.write), *_times(start, now, span)]
    for number, points in enumerate(lines.values(), start=1):
        for run in _runs(points, _GAP * RINGS[span].step_seconds):
            parts.extend(_line(number, [_place(at, value, start, now, top) for at, value in run]))
    if not any(map(_known, lines.values())):
        middle = Markup('<text x="{}" y="{}" text-anchor="middle">nothing is known yet</text>')
        parts.append(middle.format(_LEFT + _PLOT_WIDTH // 2, _TOP + _PLOT_HEIGHT // 2))
    frame = Markup('<svg class="graph" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    told = f"{subject.title} over the last {span.value}; the table below has it in numbers"
    return frame.format(WIDTH, HEIGHT, told, Markup("").join(parts))


def _values(top: float, write: Callable[[float], str]) -> Iterator[Markup]:
    for tick in range(_TICKS + 1):
        y = _TOP + _PLOT_HEIGHT - _PLOT_HEIGHT * tick / _TICKS
        mark = Markup('<path class="grid" d="M{} {:g}H{}"/><text x="{}" y="{:g}" text-anchor="end">{}</text>')
        yield mark.format(_LEFT, y, WIDTH - _RIGHT, _LEFT - 6, y + 4, write(top * tick / _TICKS))


def _times(start: datetime, end: datetime, span: Span) -> Iterator[Markup]:
    step, form = _SCALES[span]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moment = epoch + ceil((start - epoch) / step) * step
    while moment <= end:
        x = _x(moment, start, end)
        mark = Markup('<path class="grid" d="M{:g} {}v{}"/><text x="{:g}" y="{}" text-anchor="middle">{}</text>')
        yield mark.format(x, _TOP, _PLOT_HEIGHT + 4, x, HEIGHT - 6, f"{moment:{form}}")
        moment += step


def _line(number: int, places: Sequence[tuple[float, float]]) -> Iterator[Markup]:
    """Yield an unbroken line, the first line of a graph with its area; a lone point is a dash."""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    bottom = _TOP + _PLOT_HEIGHT
    if number == 1:
        area = Markup('<path class="area-1" d="M{:.1f} {}L{}V{}Z"/>')
        yield area.format(places[0][0], bottom, path, bottom)
    yield Markup('<path class="line-{}" d="M{}h{}"/>').format(number, path, 2 if len(places) == 1 else 0)


def _runs(points: Iterable[Point], longest_seconds: float) -> Iterator[Sequence[tuple[datetime, float]]]:
    """Yield the points that have values, those together that are to be joined."""
    run: list[tuple[datetime, float]] = []
    for at, value in points:
        is_gap = bool(run) and (value is None or (at - run[-1][0]).total_seconds() > longest_seconds)
        if is_gap:
            yield run
            run = []
        if value is not None:
            run.append((at, value))
    if run:
        yield run


def _place(at: datetime, value: float, start: datetime, end: datetime, top: float) -> tuple[float, float]:
    return _x(at, start, end), _TOP + _PLOT_HEIGHT * (1 - min(1.0, value / top))


def _x(moment: datetime, start: datetime, end: datetime) -> float:
    return _LEFT + _PLOT_WIDTH * min(1.0, max(0.0, (moment - start) / (end - start)))


def _top(most: float, base: int) -> float:
    """Return the end of an axis that holds the value: a round number."""
    if base == 2:  # noqa: PLR2004  units of bytes go by powers of 1024
        unit = float(_KIB) ** max(0, floor(log10(most) / log10(_KIB)))
        return _top(most / unit, 10) * unit
    scale = 10.0 ** floor(log10(most))
    return next(step for step in _STEPS if step * scale >= most) * scale


# --- how values are written


def _share(value: Value, whole: float) -> Value:
    def share(usage: Usage) -> float | None:
        part = value(usage)
        return None if part is None else min(100.0, part * 100 / whole)

    return share


def _percent(value: float) -> str:
    return f"{value:.3g} %"


def _rate(value: float) -> str:
    units = list(_UNITS)
    while value >= _KIB and len(units) > 1:
        value, units = value / _KIB, units[1:]
    return f"{value:.3g} {units[0]}" if value < 1000 else f"{value:.0f} {units[0]}"  # noqa: PLR2004  else 1e+03
