import struct
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from protocols import charts
from protocols.charts import HEIGHT, WIDTH, Chart, Series, TimeScale, png

END = datetime(2026, 5, 1, 12, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def a_chart(*series, **changes):
    return Chart(
        **{
            "title": "m1: CPU, last hour",
            "unit": "%",
            "series": series or (Series("CPU", ()),),
            "start": END - 60 * MINUTE,
            "end": END,
            "scale": TimeScale(10 * MINUTE, "%H:%M"),
            "least_top": 100,
            **changes,
        }
    )


def a_line(values, name="CPU"):
    return Series(name, [(END - (len(values) - number) * MINUTE, value) for number, value in enumerate(values)])


def pixels(picture):
    """Return the rows of a PNG of ours, each pixel the number of its colour, having checked each of its parts."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    parts, rest = {}, picture[8:]
    while rest:
        [length] = struct.unpack(">I", rest[:4])
        kind, content = rest[4:8], rest[8 : 8 + length]
        assert struct.unpack(">I", rest[8 + length : 12 + length]) == (zlib.crc32(kind + content),)
        parts[kind], rest = content, rest[12 + length :]
    assert list(parts) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", parts[b"IHDR"]) == (WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    raw = zlib.decompress(parts[b"IDAT"])
    assert len(raw) == HEIGHT * (WIDTH + 1)
    rows = [raw[start + 1 : start + 1 + WIDTH] for start in range(0, len(raw), WIDTH + 1)]
    assert max(map(max, rows)) < len(parts[b"PLTE"]) // 3
    return rows


def columns_with(rows, colour):
    """Return the columns of the plot that have a colour."""
    plot = rows[charts._TOP : charts._TOP + charts._PLOT_HEIGHT]
    return {column for row in plot for column, pixel in enumerate(row) if pixel == colour}


def test_a_line_goes_from_its_first_point_to_its_last():
    columns = columns_with(pixels(png(a_chart(a_line([10.0] * 60)))), charts._FIRST)
    assert (min(columns), max(columns)) == (charts._LEFT, charts._x(a_chart(), END - MINUTE) + 1)
    assert columns == set(range(min(columns), max(columns) + 1))


@pytest.mark.parametrize("hole", [[None] * 20, []])
def test_a_line_is_broken_where_nobody_looked(hole):
    points = a_line([10.0] * 60).points
    line = Series("CPU", [*points[:20], *((at, None) for at, _ in points[20:40] if hole), *points[40:]])
    columns = columns_with(pixels(png(a_chart(line))), charts._FIRST)
    middle = charts._x(a_chart(), points[30][0])
    assert middle not in columns


def test_one_lost_point_does_not_break_a_line():
    points = a_line([10.0] * 60).points
    columns = columns_with(pixels(png(a_chart(Series("CPU", [*points[:30], *points[31:]])))), charts._FIRST)
    assert columns == set(range(min(columns), max(columns) + 1))


def test_both_lines_are_seen_where_one_is_below_the_other():
    rows = pixels(png(a_chart(a_line([90.0] * 60, "read"), a_line([10.0] * 60, "written"))))
    assert len(columns_with(rows, charts._SECOND)) > 500


def test_without_a_value_it_says_so():
    empty, unknown = png(a_chart()), png(a_chart(a_line([None] * 60)))
    assert empty == unknown != png(a_chart(a_line([0.0] * 60)))


def test_the_higher_value_is_the_higher_dot():
    def dot(value):
        rows = pixels(png(a_chart(a_line([value] * 60))))
        return next(number for number, row in enumerate(rows[: charts._TOP + 200]) if charts._FIRST in row)

    assert dot(90.0) < dot(50.0) < dot(0.0)


@pytest.mark.parametrize(
    ("most", "top"),
    [(0.4, 1), (1, 1), (1.1, 2), (2.1, 2.5), (99, 100), (100, 100), (101, 200), (4.8e6, 5e6), (10, 10)],
)
def test_the_axis_ends_at_a_round_number_that_is_no_less(most, top):
    assert charts._top(most) == pytest.approx(top)


@pytest.mark.parametrize(
    ("value", "largest", "unit", "label"),
    [
        (60, 100, "%", "60 %"),
        (0, 5e6, "B/s", "0 MB/s"),
        (400, 1000, "B/s", "0.4 kB/s"),
        (999, 999, "B/s", "999 B/s"),
        (2.5e9, 5e9, "B/s", "2.5 GB/s"),
        (2000, 2000, "%", "2e+03 %"),
    ],
)
def test_labels_have_their_unit(value, largest, unit, label):
    assert charts._label(value, largest, unit) == label


def test_the_time_axis_is_labelled_at_round_moments():
    hours = list(charts._moments(a_chart()))
    assert [f"{at:%H:%M}" for at in hours] == ["11:10", "11:20", "11:30", "11:40", "11:50", "12:00"]
    year = a_chart(start=END - timedelta(days=365), scale=TimeScale(timedelta(0), "%b"))
    assert [at.day for at in charts._moments(year)] == [1] * 12


@pytest.mark.parametrize("title", ["x" * 1000, "Zürich ☃ \x00", ""])
def test_any_title_can_be_drawn(title):
    pixels(png(a_chart(a_line([1.0] * 60), title=title)))


@pytest.mark.parametrize("values", [[float(10**15)] * 3, [-5.0, 5.0], [0.0], [1e-9, 2e-9]])
def test_any_value_can_be_drawn(values):
    pixels(png(a_chart(a_line(values))))


def test_points_out_of_the_span_stay_on_the_paper():
    line = Series("CPU", [(END - timedelta(days=9), 1.0), (END + timedelta(days=9), 500.0)])
    pixels(png(a_chart(line)))


def test_every_character_of_the_font_has_a_shape_of_its_own():
    shapes = [charts._glyph(chr(number)) for number in range(32, 127)]
    assert len(set(shapes)) == len(shapes) == 95
    assert charts._glyph("ä") == charts._glyph("?")
