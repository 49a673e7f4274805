"""Stores on databases of tests' own, each a copy of one that was migrated once: to migrate takes longer than most tests."""

from pathlib import Path
from tempfile import TemporaryDirectory

import aiosqlite

from core.clock import Clock
from core.storage.migrate import migrate
from core.storage.sqlite import SqliteStore, open_sqlite
from core.vault import Vault

_made: list[bytes] = []


async def open_store(path: Path, vault: Vault, clock: Clock) -> SqliteStore:
    """See `open_sqlite`. Where there is no database, an empty one of today's schema is laid down first."""
    _lay_down(path, await _empty_database())
    return await open_sqlite(path, vault, clock)


def _lay_down(path: Path, database: bytes) -> None:
    if not path.exists():
        path.touch(0o600)
        path.write_bytes(database)


async def _empty_database() -> bytes:
    if not _made:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "empty.db"
            async with aiosqlite.connect(file, isolation_level=None) as db:
                await db.execute("PRAGMA journal_mode = WAL")
                await migrate(db)
            _made.append(file.read_bytes())
    return _made[0]
