"""Brings a database to the schema of this program, one numbered step after the other, each in one transaction."""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import aiosqlite

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_APPLICATION_ID = 0x1F1EE700
"""Marks the file as ours in its header. Source: SQLite, PRAGMA application_id."""


class IncompatibleDatabase(Exception):
    """The database cannot be used by this program; its text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema. Steps are never changed or reordered once released; new ones are added."""

    number: int
    name: str
    sql: str


def migrations() -> Sequence[Migration]:
    """Return all steps in order, numbered from 1 without a gap."""
    files = ((file, _FILE.fullmatch(file.name)) for file in resources.files("core.storage.migrations").iterdir())
    found = [Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")) for file, match in files if match]
    found.sort(key=lambda step: step.number)
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise IncompatibleDatabase(
            "the program's migrations are not numbered 1, 2, 3, …: it is not whole; reinstall it"
        )
    return found


async def check_ours(db: aiosqlite.Connection) -> None:
    """Return if the database is one of ours, or an empty file.

    Raises:
        IncompatibleDatabase: some other program keeps its rows in it.
    """
    [(mark,)] = await db.execute_fetchall("PRAGMA application_id")
    [(things,)] = await db.execute_fetchall("SELECT count(*) FROM sqlite_master")
    if mark != _APPLICATION_ID and (mark or things):
        raise IncompatibleDatabase("this is another program's database; name a file of Onefleet's own")


async def migrate(db: aiosqlite.Connection) -> Sequence[Migration]:
    """Apply the steps that the database lacks and return them.

    Raises:
        IncompatibleDatabase: the database is newer than the program, or a step failed; earlier steps stay applied.
    """
    [(version,)] = await db.execute_fetchall("PRAGMA user_version")
    steps = migrations()
    if version > len(steps):
        raise IncompatibleDatabase(
            f"the database has schema {version} and this program knows {len(steps)}: install the newer onefleet"
        )
    applied = []
    for step in steps[version:]:
        header = f"PRAGMA application_id = {_APPLICATION_ID};\nPRAGMA user_version = {step.number};"
        script = f"BEGIN IMMEDIATE;\n{step.sql}\n{header}\nCOMMIT;"
        try:
            await db.executescript(script)
        except sqlite3.Error as error:
            if db.in_transaction:
                await db.execute("ROLLBACK")
            raise IncompatibleDatabase(f"migration {step.number:04}_{step.name} failed: {error}") from error
        applied.append(step)
    return applied
