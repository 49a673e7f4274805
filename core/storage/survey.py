"""What can be told of a database by looking at it, whether it is in use or not. Nothing is changed."""

import sqlite3
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.storage.migrate import IncompatibleDatabase
from core.storage.rows import from_micros

_NEWEST = """
SELECT max(at) FROM (
    SELECT max(created_at) AS at FROM orders
    UNION ALL SELECT max(launched_at) FROM instances
    UNION ALL SELECT max(changed_at) FROM instances
    UNION ALL SELECT max(created_at) FROM api_keys
)
"""
_PORTS = "SELECT ssh_port FROM instances WHERE terminated_at IS NULL"


@dataclass(frozen=True, slots=True)
class Survey:
    """When something was last written into the database, and the ssh ports of its machines."""

    newest: datetime | None
    ssh_ports: AbstractSet[int]


def survey(path: Path) -> Survey:
    """Return what can be told of a database of ours.

    Raises:
        IncompatibleDatabase: it cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            newest = db.execute(_NEWEST).fetchone()[0]
            ports = {port for (port,) in db.execute(_PORTS)}
    except sqlite3.Error as error:
        raise IncompatibleDatabase(f"{path}: {error}") from error
    return Survey(None if newest is None else from_micros(newest), ports)
