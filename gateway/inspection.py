"""What `onefleet check` and `onefleet migrate` do: look at everything that `serve` would use, without serving."""

import asyncio
import os
import socket
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from core.clock import SystemClock
from core.compute.drivers import DRIVERS
from core.compute.site import Sight
from core.storage.migrate import migrations
from core.storage.sqlite import open_sqlite
from gateway.config import Settings
from gateway.datadir import DataDirectory, holder_of, key_problem
from gateway.tls import load_certificate
from gateway.trouble import Trouble


class Problem(Trouble):
    """Something that would keep the gateway from starting."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is."""

    part: str
    is_ok: bool
    text: str


def inspect(settings: Settings, file: Path) -> Sequence[Finding]:
    """Return how every part is. Nothing is changed, whether a gateway runs or not."""
    found = [Finding("config", is_ok=True, text=str(file))]
    found += [_find(part, look, settings) for part, look in _PARTS.items()]
    return found + [Finding("driver", sight.is_ok, sight.text) for sight in _driver(settings)]


def migrate(settings: Settings) -> Sequence[str]:
    """Apply the migrations that the database lacks and return their names.

    Raises:
        Trouble, IncompatibleDatabase: it cannot be done.
    """
    with DataDirectory.open(settings.server.data_dir, settings.storage.path, settings.storage.key_file) as directory:
        before = _schema(directory.database)
        asyncio.run(_open_and_close(directory))
        return [f"{step.number:04}_{step.name}" for step in migrations()[before:]]


async def _open_and_close(directory: DataDirectory) -> None:
    store = await open_sqlite(directory.database, directory.vault, SystemClock())
    await store.close()


def _find(part: str, look: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(part, is_ok=True, text=look(settings))
    except Trouble as problem:
        return Finding(part, is_ok=False, text=str(problem))


def _data(settings: Settings) -> str:
    path = settings.server.data_dir
    if not path.exists():
        return f"{path} will be made at the first start"
    if not path.is_dir():
        raise Problem(f"{path} is not a directory")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise Problem(f"{path} cannot be written by this user")
    pid = holder_of(path)
    return f"{path} is in use by the onefleet with pid {pid}" if pid else f"{path}"


def _key_file(settings: Settings) -> str:
    if problem := key_problem(settings.server.data_dir, settings.storage.path, settings.storage.key_file):
        raise Problem(problem)
    return f"{settings.storage.key_file}"


def _database(settings: Settings) -> str:
    path, known = settings.storage.path, len(migrations())
    if not path.exists():
        return f"{path} will be made at the first start"
    version = _schema(path)
    if version > known:
        raise Problem(f"{path} has schema {version} and this program knows {known}: install the newer onefleet")
    missing = f"; the start, or `onefleet migrate`, brings it to {known}" if version < known else ""
    return f"{path} has schema {version}{missing}"


def _schema(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise Problem(f"{path}: {error}") from error
    return version


def _driver(settings: Settings) -> Sequence[Sight]:
    compute = settings.compute
    return [
        Sight(is_ok=True, text=compute.driver),
        *DRIVERS[compute.driver].look(compute.driver_settings, settings.site),
    ]


def _address(settings: Settings) -> str:
    listen = settings.server.listen
    if listen.port == 0:
        return f"{listen}: any free port"
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            _try_to_bind(socket.socket(family, kind, protocol), address)
    except OSError as error:
        if holder_of(settings.server.data_dir):
            return f"{listen} is taken, and a onefleet with this data directory runs"
        raise Problem(f"{listen}: {error.strerror or error}") from error
    return f"{listen} is free"


def _try_to_bind(probe: socket.socket, address: object) -> None:
    with probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if probe.family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)  # type: ignore[arg-type]  # as getaddrinfo gave it


def _tls(settings: Settings) -> str:
    tls = settings.server.tls
    if tls is None:
        return "off: plain HTTP"
    load_certificate(tls)
    return f"{tls.certificate} and {tls.key} fit"


_PARTS: Mapping[str, Callable[[Settings], str]] = {
    "data": _data,
    "key file": _key_file,
    "database": _database,
    "address": _address,
    "tls": _tls,
}
