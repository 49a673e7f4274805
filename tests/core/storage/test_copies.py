import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.storage.copies import copy_database, leap, require_sound, schema_of
from core.storage.migrate import IncompatibleDatabase, migrations
from core.storage.sqlite import open_sqlite
from core.vault import Vault

MIB = 1024**2


def nothing(done: int, total: int) -> None:
    pass


def execute(path: Path, sql: str, *values: object) -> list[tuple]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(sql, values).fetchall()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A database of twelve large rows, with a write-ahead log."""
    path = tmp_path / "large.db"
    execute(path, "PRAGMA journal_mode = WAL")
    execute(path, "CREATE TABLE rows (id INTEGER PRIMARY KEY, content BLOB)")
    for _ in range(12):
        execute(path, "INSERT INTO rows (content) VALUES (zeroblob(1048576))")
    return path


def test_a_copy_is_of_one_moment_whatever_is_written_meanwhile(large, tmp_path):
    told = []

    def write_on(done: int, total: int) -> None:
        told.append((done, total))
        execute(large, "INSERT INTO rows (content) VALUES (zeroblob(1048576))")

    copy_database(large, tmp_path / "copy.db", write_on)
    assert len(told) > 2
    assert told[-1][0] == told[-1][1] > 12 * MIB
    assert execute(tmp_path / "copy.db", "SELECT count(*) FROM rows") == [(12,)]
    assert execute(large, "SELECT count(*) FROM rows") == [(12 + len(told),)]


def test_a_copy_is_one_file(large, tmp_path):
    (tmp_path / "copies").mkdir()
    copy_database(large, tmp_path / "copies" / "copy.db", nothing)
    assert [file.name for file in (tmp_path / "copies").iterdir()] == ["copy.db"]


def test_what_is_no_database_cannot_be_copied(tmp_path):
    (tmp_path / "text.db").write_text("not a database" * 1000)
    with pytest.raises(IncompatibleDatabase, match=r"text\.db: file is not a database"):
        copy_database(tmp_path / "text.db", tmp_path / "copy.db", nothing)


def test_a_sound_database_passes(large):
    require_sound(large)
    require_sound(large, is_thorough=False)


@pytest.mark.parametrize("is_thorough", [True, False])
def test_a_damaged_database_is_told(tmp_path, is_thorough):
    path = tmp_path / "rows.db"
    execute(path, "CREATE TABLE rows (id INTEGER PRIMARY KEY, content TEXT)")
    for _ in range(200):
        execute(path, "INSERT INTO rows (content) VALUES (?)", "text" * 100)
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 4096)
    with pytest.raises(IncompatibleDatabase, match=r"rows\.db"):
        require_sound(path, is_thorough=is_thorough)


async def test_no_id_from_before_the_leap_is_given_out_after_it(tmp_path):
    path, vault = tmp_path / "onefleet.db", Vault(bytes(32))
    store = await open_sqlite(path, vault, SystemClock())
    before = await store.transact(lambda tx: tx.next_id(str))
    await store.close()
    leap(path)
    store = await open_sqlite(path, vault, SystemClock())
    after = await store.transact(lambda tx: tx.next_id(str))
    await store.close()
    assert (before, after) == (1, 1_000_002)
    assert schema_of(path) == len(migrations())
