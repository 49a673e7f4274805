"""The file in which simulated machines outlast the gateway, also one that is killed.

It is written in the event loop: one row costs some tens of microseconds, which is less than handing it to a thread.
`synchronous = OFF` is right here: what a killed process has written, the operating system still has, and a machine that
is lost with the power of its host is no more than true to life.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import Any

import orjson

from core.ids import InstanceId
from core.instances import Power
from core.ports import DriverCode, DriverError

_SCHEMA = """CREATE TABLE IF NOT EXISTS simulated (
    id INTEGER PRIMARY KEY, document TEXT NOT NULL, console TEXT NOT NULL
) STRICT"""
CONSOLE_LIMIT = 16 * 1024
"""How much of the end of a machine's console is kept, characters."""

_PUT = f"""INSERT INTO simulated VALUES (?, ?, ?) ON CONFLICT (id)
    DO UPDATE SET document = excluded.document, console = substr(console || excluded.console, -{CONSOLE_LIMIT})"""  # noqa: S608  a number of our own
_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF")

# The file of the first version had a table of another form.
_HAS_OLD = "SELECT 1 FROM sqlite_master WHERE name = 'machines'"
_MOVE_OLD = (
    """INSERT OR IGNORE INTO simulated SELECT id,
    json_object('id', id, 'power', power, 'ssh_port', ssh_port, 'reboots', reboots), '' FROM machines""",
    "DROP TABLE machines",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A simulated machine: how it stands, and what it was told to be.

    `firewall` are the rules of its groups in words. `started_at` are seconds since the epoch, 0 while it is down. One
    that is absent is a disk that was kept.
    """

    id: InstanceId
    power: Power
    ssh_port: int
    reboots: int = 0
    hostname: str = ""
    image: str = ""
    vcpus: int = 1
    memory_mib: int = 0
    disk_gib: int = 0
    generation: int = 0
    private_address: str = ""
    public_addresses: tuple[str, ...] = ()
    firewall: tuple[str, ...] = ()
    started_at: float = 0.0


class MachineFile:
    """One row a machine. Every method raises `DriverError` (UNAVAILABLE) if the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def open(self) -> Sequence[Machine]:
        """Return the machines that are in the file, which is made if it does not exist."""
        with _refusing():
            # Nobody else writes this file; if somebody does, the event loop must not wait for them.
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=0)
            for statement in (*_PRAGMAS, _SCHEMA):
                self._db.execute(statement)
            if self._db.execute(_HAS_OLD).fetchone():
                for statement in ("BEGIN", *_MOVE_OLD, "COMMIT"):
                    self._db.execute(statement)
            # One by one, so that a large file never lies in memory whole.
            return [_machine(document) for (document,) in self._db.execute("SELECT document FROM simulated")]

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()

    def put(self, machine: Machine, said: str = "") -> None:
        """Write a machine's row, in place of the one it has; what it said besides goes to the end of its console."""
        self._execute(_PUT, (machine.id, orjson.dumps(machine).decode(), said))

    def console(self, instance_id: InstanceId) -> str:
        """Return the end of what a machine has said; nothing if it has no row."""
        [(said,)] = self._execute("SELECT coalesce(max(console), '') FROM simulated WHERE id = ?", (instance_id,))
        return str(said)

    def drop(self, instance_id: InstanceId) -> None:
        """Remove a machine's row, if it has one."""
        self._execute("DELETE FROM simulated WHERE id = ?", (instance_id,))

    def _execute(self, statement: str, values: Sequence[object]) -> Sequence[Any]:
        with _refusing():
            if self._db is None:
                raise sqlite3.ProgrammingError("the file is not open")
            return self._db.execute(statement, tuple(values)).fetchall()


def _machine(document: str) -> Machine:
    fields = orjson.loads(document)
    for name in ("public_addresses", "firewall"):
        fields[name] = same(tuple(fields.get(name, ())))
    return Machine(**{**fields, "image": intern(fields.get("image", "")), "power": Power(fields["power"])})


@lru_cache(maxsize=4096)
def same(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words as one object for all machines that have the same: there may be many machines."""
    return words


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        message = "The file of the simulated machines cannot be used now."
        raise DriverError(DriverCode.UNAVAILABLE, message, detail=str(error)) from error
