import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import StoreUnavailable
from core.ids import InstanceId
from core.storage import samples as module
from core.storage.samples import SampleFile
from core.usage import RINGS, Span, Usage

ONE, TWO = InstanceId(1), InstanceId(2)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def file(tmp_path):
    opened = SampleFile(tmp_path / "samples.db")
    yield opened
    await opened.close()


async def keep(file, at, cpus, *, machine=ONE, seconds=60.0, living=(ONE, TWO), **values):
    await file.keep([Usage(machine, at, cpus, **values)], seconds, living)


async def cpus(file, span=Span.HOUR, now=NOW, machine=ONE):
    return [usage.cpus for usage in await file.usage(machine, span, now)]


async def test_a_point_of_the_hour_is_a_minute(file):
    for minute in range(3):
        await keep(file, NOW - (3 - minute) * MINUTE, float(minute))
    assert await cpus(file) == [0, 1, 2]
    first = (await file.usage(ONE, Span.HOUR, NOW))[0]
    assert first == Usage(ONE, NOW - 3 * MINUTE, 0.0)


async def test_rounds_of_one_point_are_averaged_by_their_time(file):
    await keep(file, NOW, 1.0, seconds=30, sent_bytes=100)
    await keep(file, NOW + timedelta(seconds=30), 0.25, seconds=15)
    [point] = await file.usage(ONE, Span.HOUR, NOW + MINUTE)
    assert point == Usage(ONE, NOW, 0.75, sent_bytes=100)


@pytest.mark.parametrize("span", Span)
async def test_a_span_holds_its_points_and_no_more(file, span):
    ring = RINGS[span]
    step = timedelta(seconds=ring.step_seconds)
    start = datetime.fromtimestamp(NOW.timestamp() // ring.step_seconds * ring.step_seconds, UTC)
    for number in range(ring.points + 10):
        await keep(file, start + number * step, float(number))
    told = await cpus(file, span, start + (ring.points + 9) * step)
    assert told == [float(number) for number in range(10, ring.points + 10)]


async def test_the_file_does_not_grow_with_time(file, tmp_path):
    for number in range(500):
        await keep(file, NOW + number * MINUTE, 1.0)
    with closing(sqlite3.connect(tmp_path / "samples.db")) as db:
        [(count,)] = db.execute("SELECT count(*) FROM points WHERE span = 0").fetchall()
    assert count == RINGS[Span.HOUR].points


async def test_what_is_too_old_is_not_told_even_if_nothing_took_its_place(file):
    await keep(file, NOW, 1.0)
    assert await cpus(file, now=NOW + timedelta(minutes=61)) == []
    assert await cpus(file, Span.DAY, NOW + timedelta(minutes=61)) == [1.0]


async def test_what_is_yet_to_come_is_not_told_after_the_clock_was_set_back(file):
    await keep(file, NOW + timedelta(days=1), 1.0)
    assert await cpus(file, Span.WEEK) == []


async def test_machines_do_not_see_one_another(file):
    await keep(file, NOW, 1.0)
    await keep(file, NOW, 2.0, machine=TWO)
    assert (await cpus(file), await cpus(file, machine=TWO)) == ([1.0], [2.0])


async def test_a_machine_that_no_longer_lives_is_forgotten(file, tmp_path):
    await keep(file, NOW, 1.0)
    await keep(file, NOW, 2.0, machine=TWO, living=[TWO])
    assert (await cpus(file), await cpus(file, machine=TWO)) == ([], [2.0])
    with closing(sqlite3.connect(tmp_path / "samples.db")) as db:
        assert db.execute("SELECT * FROM machines").fetchall() == [(TWO,)]


async def test_it_is_found_again_when_it_is_opened_again(file, tmp_path):
    await keep(file, NOW, 1.0)
    await file.close()
    again = SampleFile(tmp_path / "samples.db")
    assert await cpus(again) == [1.0]
    await again.close()


async def test_a_locked_file_is_trouble_for_one_round(file, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BUSY_SECONDS", 0.01)
    await keep(file, NOW, 1.0, living=[ONE])
    with closing(sqlite3.connect(tmp_path / "samples.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await keep(SampleFile(tmp_path / "samples.db"), NOW + MINUTE, 2.0)
        other.execute("ROLLBACK")
    await keep(file, NOW + 2 * MINUTE, 3.0)
    assert await cpus(file, now=NOW + 3 * MINUTE) == [1.0, 3.0]


async def test_a_place_where_there_can_be_no_file_is_trouble_and_no_more(tmp_path):
    file = SampleFile(tmp_path / "missing" / "samples.db")
    with pytest.raises(StoreUnavailable):
        await keep(file, NOW, 1.0)
    (tmp_path / "missing").mkdir()
    await keep(file, NOW, 1.0)
    assert await cpus(file) == [1.0]
    await file.close()


async def test_a_full_disk_loses_the_round_and_keeps_the_rest(file):
    await keep(file, NOW, 1.0)
    file._db.execute("PRAGMA max_page_count = 1")  # SQLite takes as few as it has
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        await keep_for_ever(file)
    assert (await cpus(file, Span.YEAR, NOW + timedelta(days=2)))[0] >= 1.0
    await keep(file, NOW + timedelta(days=3), 3.0)


async def keep_for_ever(file):
    for number in range(1, 2000):
        await keep(file, NOW + number * MINUTE, 2.0)


async def test_a_broken_file_is_begun_afresh(file, tmp_path):
    (tmp_path / "samples.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreUnavailable):
        await keep(file, NOW, 1.0)
    await keep(file, NOW, 1.0)
    assert await cpus(file) == [1.0]


async def test_a_file_of_another_schema_is_begun_afresh(tmp_path):
    with closing(sqlite3.connect(tmp_path / "samples.db")) as db:
        db.executescript("CREATE TABLE points (a); PRAGMA user_version = 99;")
    file = SampleFile(tmp_path / "samples.db")
    await keep(file, NOW, 1.0)
    assert await cpus(file) == [1.0]
    await file.close()


async def test_closing_twice_is_as_good_as_once(file):
    await file.close()
    await file.close()
