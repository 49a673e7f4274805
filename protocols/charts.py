"""Draws what was measured over time as a PNG, for pages and answers of any protocol.

Pillow would do it too, for 20 MB of a single-file gateway that is to have less than 30; this needs zlib alone.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

WIDTH, HEIGHT = 720, 280

_LEFT, _TOP, _RIGHT, _BOTTOM = 84, 40, 16, 44
_PLOT_WIDTH, _PLOT_HEIGHT = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
_TICKS = 5
_LONGEST_TITLE = 51
_LONE_WIDTH = 3
_GAP = 2.5
"""Points further apart than so many times the usual distance are not joined: nobody knows what was between them."""

Colour = int
Dot = tuple[int, int]
_PAPER, _INK, _GRID, _FIRST, _SECOND, _FIRST_TINT, _FAINT = range(7)
_PALETTE = ("ffffff", "333333", "e3e3e3", "1764ab", "d9601a", "dbe8f4", "767676")
_SERIES_COLOURS = (_FIRST, _SECOND)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart. A point without a value breaks it."""

    name: str
    points: Sequence[tuple[datetime, float | None]]


@dataclass(frozen=True, slots=True)
class TimeScale:
    """How the time axis is labelled: at which moments, each the multiple of a step in hours, and how they are written.

    Steps of 0 stand for the first of each month.
    """

    step: timedelta
    form: str


@dataclass(frozen=True, slots=True)
class Chart:
    """At most two lines over a stretch of time in UTC. The axis goes up to `least_top` at least.

    `unit` follows each label of the axis; values of a unit in bytes are written with kilo, mega and so on.
    """

    title: str
    unit: str
    series: Sequence[Series]
    start: datetime
    end: datetime
    scale: TimeScale
    least_top: float = 1.0


def png(chart: Chart) -> bytes:
    """Return the chart as a picture of `WIDTH` by `HEIGHT`; without any value it says so."""
    canvas = _Canvas()
    canvas.text(_LEFT, 10, chart.title[:_LONGEST_TITLE], _INK, scale=2)
    values = [value for series in chart.series for _, value in series.points if value is not None]
    top = _top(max([*values, chart.least_top]))
    _draw_values(canvas, chart, top)
    _draw_times(canvas, chart)
    lines = [list(_lines(chart, series, top)) for series in chart.series]
    for line in lines[0]:
        _fill(canvas, line)
    for number in reversed(range(len(lines))):
        for line in lines[number]:
            _draw(canvas, line, _SERIES_COLOURS[number])
    canvas.box(_LEFT, _TOP + _PLOT_HEIGHT, _PLOT_WIDTH, 1, _INK)
    if values:
        _draw_legend(canvas, chart)
    else:
        canvas.text(
            _LEFT + _PLOT_WIDTH // 2, _TOP + _PLOT_HEIGHT // 2 - 7, "no samples yet", _FAINT, scale=2, align=0.5
        )
    return canvas.png()


# --- its parts


def _draw_values(canvas: "_Canvas", chart: Chart, top: float) -> None:
    for tick in range(_TICKS + 1):
        y = _TOP + _PLOT_HEIGHT - round(_PLOT_HEIGHT * tick / _TICKS)
        canvas.box(_LEFT, y, _PLOT_WIDTH, 1, _GRID)
        canvas.text(_LEFT - 8, y - 4, _label(top * tick / _TICKS, top, chart.unit), _INK, align=1)


def _draw_times(canvas: "_Canvas", chart: Chart) -> None:
    for moment in _moments(chart):
        x = _x(chart, moment)
        canvas.box(x, _TOP, 1, _PLOT_HEIGHT + 4, _GRID)
        canvas.text(x, _TOP + _PLOT_HEIGHT + 8, f"{moment:{chart.scale.form}}", _INK, align=0.5)


def _fill(canvas: "_Canvas", line: Iterable[Dot]) -> None:
    for x, y in line:
        canvas.box(x, y, 1, _TOP + _PLOT_HEIGHT - y, _FIRST_TINT)


def _draw(canvas: "_Canvas", line: Sequence[Dot], colour: Colour) -> None:
    before = line[0][1]
    for x, y in line:
        canvas.box(x, min(y, before) - 1, 2, abs(y - before) + 2, colour)
        before = y


def _draw_legend(canvas: "_Canvas", chart: Chart) -> None:
    x, y = _LEFT, HEIGHT - 16
    for series, colour in zip(chart.series, _SERIES_COLOURS, strict=False):
        values = [value for _, value in series.points if value is not None]
        if not values:
            continue
        last, most = (_label(value, value, chart.unit) for value in (values[-1], max(values)))
        canvas.box(x, y, 10, 7, colour)
        x = canvas.text(x + 16, y, f"{series.name}: last {last}, most {most}", _INK) + 24
    canvas.text(WIDTH - _RIGHT, y, "UTC", _FAINT, align=1)


def _lines(chart: Chart, series: Series, top: float) -> Iterator[Sequence[Dot]]:
    """Yield each unbroken line of a series, with one dot in each column of pixels."""
    for run in _runs(series.points):
        yield list(_columns([(_x(chart, at), _y(value, top)) for at, value in run]))


def _runs(points: Iterable[tuple[datetime, float | None]]) -> Iterator[Sequence[tuple[datetime, float]]]:
    """Yield the points that have values, those together that are to be joined."""
    known = [(at, value) for at, value in points if value is not None]
    distances = [(later - earlier).total_seconds() for (earlier, _), (later, _) in pairwise(known)]
    longest = _GAP * median(distances) if distances else 0.0
    run = known[:1]
    for point, distance in zip(known[1:], distances, strict=True):
        if distance > longest:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _columns(dots: Sequence[Dot]) -> Iterator[Dot]:
    x, y = dots[0]
    # One that stands alone is as wide as a thick pen.
    yield from ((x + step, y) for step in range(1 if len(dots) > 1 else _LONE_WIDTH))
    for (x, y), (next_x, next_y) in pairwise(dots):
        for step in range(1, next_x - x + 1):
            yield x + step, y + round((next_y - y) * step / (next_x - x))


def _x(chart: Chart, at: datetime) -> int:
    share = (at - chart.start) / (chart.end - chart.start)
    return _LEFT + round(min(max(share, 0.0), 1.0) * (_PLOT_WIDTH - 2))


def _y(value: float, top: float) -> int:
    return _TOP + _PLOT_HEIGHT - round(min(max(value, 0.0), top) / top * _PLOT_HEIGHT)


# --- its labels

_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def _top(most: float) -> float:
    """Return the end of the axis: 1, 2, 2.5 or 5 times a power of ten, at least 1, and no less than the most."""
    power = 10.0 ** len(str(int(most)))
    return next(power * share for share in (0.1, 0.2, 0.25, 0.5, 1.0) if power * share >= most)


def _label(value: float, largest: float, unit: str) -> str:
    """Return a value with its unit, in the prefix that suits the largest of its kind."""
    factor, prefix = (1.0, "")
    if unit.startswith("B"):
        factor, prefix = next(((size, sign) for size, sign in _SCALES if largest >= size), (1.0, ""))
    return f"{value / factor:.3g} {prefix}{unit}"


def _moments(chart: Chart) -> Iterator[datetime]:
    step: Callable[[datetime], datetime] = _next_month if not chart.scale.step else lambda at: at + chart.scale.step
    day = chart.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moment = day.replace(day=1) if not chart.scale.step else day
    while moment <= chart.end:
        if moment >= chart.start:
            yield moment
        moment = step(moment)


def _next_month(moment: datetime) -> datetime:
    return (moment + timedelta(days=31)).replace(day=1)


# --- paper and ink

# Five columns a character from the blank on, the lowest bit on top, as small displays have them.
_FONT = bytes.fromhex(
    "000000000000005f00000007000700147f147f14242a7f2a12231308646236495522500005030000001c2241000041221c00"
    "14083e081408083e0808005030000008080808080060600000201008040"
    "23e5149453e00427f400042615149462141454b311814127f1027454545393c4a49493001710905033649494936064949291e"
    "00363600000056360000081422410014141414140041221408020151090632497941"
    "3e7e1111117e7f494949363e414141227f4141221c7f494949417f090909013e4149497a7f0808087f00417f41002040413f01"
    "7f081422417f404040407f020c027f7f0408107f3e4141413e7f090909063e4151215e7f0919294646494949310101"
    "7f01013f4040403f1f2040201f3f4038403f631408146307087008076151494543007f414100020408102000"
    "41417f0004020102044040404040000102040020545454787f484444383844444420384444487f3854545418"
    "087e0901020c5252523e7f0804047800447d40002040443d007f1028440000417f40007c041804787c08040478"
    "38444444387c14141408081414187c7c08040408485454542004"
    "3f4440203c4040207c1c2040201c3c4030403c44281028440c5050503c4464544c44"
    "000836410000007f000000413608001008081008"
)
_FIRST_CHARACTER, _GLYPH_WIDTH, _GLYPH_HEIGHT = 32, 5, 7


class _Canvas:
    """A picture of indexed colours."""

    def __init__(self) -> None:
        self._pixels = bytearray(WIDTH * HEIGHT)

    def box(self, x: int, y: int, width: int, height: int, colour: Colour) -> None:
        """Fill a rectangle, as far as it lies on the paper."""
        x, right = max(x, 0), min(x + width, WIDTH)
        y, bottom = max(y, 0), min(y + height, HEIGHT)
        if right - x < bottom - y:
            for column in range(x, right):
                self._pixels[y * WIDTH + column : bottom * WIDTH : WIDTH] = bytes([colour]) * (bottom - y)
        else:
            for row in range(y, bottom):
                self._pixels[row * WIDTH + x : row * WIDTH + right] = bytes([colour]) * (right - x)

    def text(self, x: int, y: int, text: str, colour: Colour, *, scale: int = 1, align: float = 0) -> int:
        """Write a text; 0 begins at x, 0.5 is around it, 1 ends there. Return where it ends."""
        advance = (_GLYPH_WIDTH + 1) * scale
        x -= round(align * len(text) * advance)
        for character in text:
            for column, bits in enumerate(_glyph(character)):
                for row in range(_GLYPH_HEIGHT):
                    if bits >> row & 1:
                        self.box(x + column * scale, y + row * scale, scale, scale, colour)
            x += advance
        return x

    def png(self) -> bytes:
        """Return it as a PNG."""
        rows = b"".join(b"\0" + self._pixels[start : start + WIDTH] for start in range(0, WIDTH * HEIGHT, WIDTH))
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
        parts = (
            (b"IHDR", header),
            (b"PLTE", bytes.fromhex("".join(_PALETTE))),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _glyph(character: str) -> bytes:
    start = (ord(character) - _FIRST_CHARACTER) * _GLYPH_WIDTH
    glyph = _FONT[start : start + _GLYPH_WIDTH] if start >= 0 else b""
    return glyph or _glyph("?")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
