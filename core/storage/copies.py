"""Copies of a SQLite file: made while others write to it, looked at, and made fit to go on from."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from core.storage.migrate import IncompatibleDatabase

Tick = Callable[[int, int], None]
"""Is told how many bytes of how many are done."""

_PAGES_AT_A_TIME = 1024
_LEAP = 1_000_000


def copy_database(source: Path, target: Path, tick: Tick) -> None:
    """Make a copy of a database as it is now, in one file, while others go on writing to it. `target` must not exist.

    Raises:
        IncompatibleDatabase: it cannot be read or written.
    """
    with _telling(source), closing(_open(source)) as db, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        # Held from here on, so that what is written meanwhile neither gets into the copy nor begins it anew.
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        page_bytes: int = db.execute("PRAGMA page_size").fetchone()[0]

        def tell(_: int, remaining: int, total: int) -> None:
            tick((total - remaining) * page_bytes, total * page_bytes)

        db.backup(copy, pages=_PAGES_AT_A_TIME, progress=tell)
        copy.execute("PRAGMA journal_mode = DELETE")  # what is in the log goes into the file, and the log goes away


def require_sound(path: Path, *, is_thorough: bool = True) -> None:
    """Return if nothing is wrong with the file; it is changed by nobody meanwhile, or in use by a gateway.

    Thorough or not, every page is looked at; only then are indexes held against their tables.

    Raises:
        IncompatibleDatabase: it is damaged, or no database at all.
    """
    with _telling(path), closing(_open(path)) as db:
        found = db.execute("PRAGMA integrity_check" if is_thorough else "PRAGMA quick_check").fetchone()[0]
    if found != "ok":
        raise IncompatibleDatabase(f"{path} is damaged ({found.splitlines()[-1]})")


def schema_of(path: Path) -> int:
    """Return the number of the last migration that was applied to a database.

    Raises:
        IncompatibleDatabase: it cannot be read.
    """
    with _telling(path), closing(_open(path)) as db:
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def leap(path: Path) -> None:
    """Let a database skip a million of the ids of every kind, so that none is given out twice.

    Between a backup and its return others were given out. A driver that still has a machine of such an id would take a
    new customer's for it, and let them into somebody else's.

    Raises:
        IncompatibleDatabase: it cannot be written.
    """
    with _telling(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE sequences SET value = value + ?", (_LEAP,))


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise IncompatibleDatabase(f"{path}: {error}") from error
