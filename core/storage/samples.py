"""Keeps what machines used, in a file of its own beside the database: no booking waits for it.

It has one thread and one connection, and flushes nothing: a killed process loses no round, a power cut maybe the file,
which is then begun afresh. It is opened when it is first used, and again after a fault.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from core.errors import StoreUnavailable
from core.ids import InstanceId
from core.usage import RINGS, Span, Usage

T = TypeVar("T")

FILE_NAME = "samples.db"

_BUSY_SECONDS = 1.0
_SCHEMA = 1
_SPANS = list(RINGS)
_VALUES = ("cpus", "memory_mib", "disk_read_bytes", "disk_written_bytes", "received_bytes", "sent_bytes")
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_CREATE = f"""
BEGIN IMMEDIATE;
DROP TABLE IF EXISTS points;
DROP TABLE IF EXISTS machines;
CREATE TABLE machines (instance_id INTEGER PRIMARY KEY);
CREATE TABLE points (
    instance_id INTEGER NOT NULL,
    span INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    at INTEGER NOT NULL,
    seconds REAL NOT NULL,
    {", ".join(f"{name} REAL" for name in _VALUES)},
    PRIMARY KEY (instance_id, span, slot)
) WITHOUT ROWID;
PRAGMA user_version = {_SCHEMA};
COMMIT;
"""


def _merged(name: str) -> str:
    """Return how a value is changed by one more of the same point: the mean of both by time; by one of another: new."""
    mean = f"({name} * seconds + excluded.{name} * excluded.seconds) / (seconds + excluded.seconds)"
    return (
        f"{name} = CASE WHEN at <> excluded.at THEN excluded.{name} ELSE coalesce({mean}, {name}, excluded.{name}) END"
    )


_COLUMNS = ("instance_id", "span", "slot", "at", "seconds", *_VALUES)
_KEEP = (
    f"INSERT INTO points ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608  our own names
    f" ON CONFLICT (instance_id, span, slot) DO UPDATE SET {', '.join(map(_merged, _VALUES))},"
    " seconds = excluded.seconds + CASE WHEN at = excluded.at THEN seconds ELSE 0 END, at = excluded.at"
)
_READ = (
    f"SELECT at, {', '.join(_VALUES)} FROM points"  # noqa: S608  our own names
    " WHERE instance_id = ? AND span = ? AND at > ? AND at <= ? ORDER BY at"
)


class SampleFile:
    """See `core.ports.SampleStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="samples")
        self._db: sqlite3.Connection | None = None

    async def keep(self, usages: Sequence[Usage], seconds: float, living: Collection[InstanceId]) -> None:
        """See `SampleStore.keep`."""
        await self._do(lambda db: _keep(db, usages, seconds, living))

    async def usage(self, instance_id: InstanceId, span: Span, now: datetime) -> Sequence[Usage]:
        """See `SampleStore.usage`."""
        return await self._do(lambda db: _usage(db, instance_id, span, now))

    async def close(self) -> None:
        """See `SampleStore.close`. Closing twice is as good as once."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._db is not None:
            self._db.close()
            self._db = None

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable from error

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._db is None:
                self._db = self._opened()
            return work(self._db)
        except sqlite3.DatabaseError as error:
            self._let_go()
            if error.sqlite_errorcode & 0xFF in _BROKEN:
                self._begin_afresh()
            raise

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")
            if db.execute("PRAGMA user_version").fetchone() != (_SCHEMA,):
                db.executescript(_CREATE)
        except BaseException:
            db.close()
            raise
        return db

    def _let_go(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _begin_afresh(self) -> None:
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)


def _keep(db: sqlite3.Connection, usages: Sequence[Usage], seconds: float, living: Collection[InstanceId]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        known = {instance_id for (instance_id,) in db.execute("SELECT instance_id FROM machines")}
        gone = [(instance_id,) for instance_id in known.difference(living)]
        db.executemany("DELETE FROM points WHERE instance_id = ?", gone)
        db.executemany("DELETE FROM machines WHERE instance_id = ?", gone)
        new = {usage.instance_id for usage in usages} - known
        db.executemany("INSERT INTO machines VALUES (?)", [(instance_id,) for instance_id in new])
        db.executemany(_KEEP, _rows(usages, seconds))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _rows(usages: Sequence[Usage], seconds: float) -> Iterator[tuple[object, ...]]:
    for usage in usages:
        began = int(usage.at.timestamp())
        values = [getattr(usage, name) for name in _VALUES]
        for number, span in enumerate(_SPANS):
            ring = RINGS[span]
            point = began // ring.step_seconds
            yield usage.instance_id, number, point % ring.points, point * ring.step_seconds, seconds, *values


def _usage(db: sqlite3.Connection, instance_id: InstanceId, span: Span, now: datetime) -> Sequence[Usage]:
    until = int(now.timestamp())
    rows = db.execute(_READ, (instance_id, _SPANS.index(span), until - RINGS[span].seconds, until))
    return [Usage(instance_id, datetime.fromtimestamp(at, UTC), *values) for at, *values in rows]
