"""The file in which simulated machines outlast the gateway, also one that is killed.

It is written in the event loop: one row costs some tens of microseconds, which is less than handing it to a thread.
`synchronous = OFF` is right here: what a killed process has written, the operating system still has, and a machine that
is lost with the power of its host is no more than true to life.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.ids import InstanceId
from core.instances import Power
from core.ports import DriverCode, DriverError

_SCHEMA = """CREATE TABLE IF NOT EXISTS machines (
    id INTEGER PRIMARY KEY, power TEXT NOT NULL, ssh_port INTEGER NOT NULL, reboots INTEGER NOT NULL
) STRICT"""
_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF")


@dataclass(frozen=True, slots=True)
class Machine:
    """A simulated machine. `reboots` counts what an observation does not show."""

    id: InstanceId
    power: Power
    ssh_port: int
    reboots: int = 0


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
            rows = self._db.execute("SELECT id, power, ssh_port, reboots FROM machines").fetchall()
        return [Machine(InstanceId(id_), Power(power), ssh_port, reboots) for id_, power, ssh_port, reboots in rows]

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()

    def put(self, machine: Machine) -> None:
        """Write a machine's row, in place of the one it has."""
        row = (machine.id, machine.power.value, machine.ssh_port, machine.reboots)
        self._write("INSERT OR REPLACE INTO machines VALUES (?, ?, ?, ?)", row)

    def drop(self, instance_id: InstanceId) -> None:
        """Remove a machine's row, if it has one."""
        self._write("DELETE FROM machines WHERE id = ?", (instance_id,))

    def _write(self, statement: str, values: Sequence[object]) -> None:
        with _refusing():
            if self._db is None:
                raise sqlite3.ProgrammingError("the file is not open")
            self._db.execute(statement, tuple(values))


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        message = "The file of the simulated machines cannot be used now."
        raise DriverError(DriverCode.UNAVAILABLE, message, detail=str(error)) from error
