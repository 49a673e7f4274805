"""The store on SQLite: rows in one file, everything live in memory, one commit shared by all who write at once.

Verbs run one after the other, each at once, against `_head`: all records including those still being written. What
they put is queued; a single writer takes all that is queued, writes it in one transaction, and only then moves
`_committed`, which readers see, and lets the verbs return. If the commit fails, `_head` goes back to what is
committed and every verb that was waiting is told so.

If it is one verb's rows that cannot be written (a fault of ours), the batch is written verb by verb: those before it
succeed, it is told what was wrong, and those after it, which may have built on it, are told to try again.
"""

import asyncio
import errno
import os
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Container, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import structlog

from core.clock import Clock
from core.errors import StoreUnavailable
from core.ids import AccountId, InstanceId, OrderId
from core.instances import Instance
from core.journal import Deed, DeedQuery, Event
from core.kinds import OF_A_MACHINE
from core.orders import Order
from core.ports import ArchivedOrder, LaunchMaterial, MachineMaterial, Transaction
from core.state import Record, State, key_of
from core.storage.changes import Changes, Key, Seals, statements_for
from core.storage.journal import SELECT_EVENTS, deed_of_row, event_of_row, search
from core.storage.migrate import IncompatibleDatabase, check_ours, migrate
from core.storage.nonces import NonceLog
from core.storage.rows import Row, Table, from_micros, sealed, tables, to_micros
from core.tags import Resource, ResourceKind, TagSet
from core.vault import BrokenSeal, Vault

T = TypeVar("T")

_BUSY_SECONDS = 2.0
_LIVE_FOR = timedelta(hours=24)
"""How long a closed order stays in memory after a restart, as `Reconciler` keeps it while running."""

_ROWS_AT_A_TIME = 1000
"""So that a large table never lies in memory twice."""

_YIELD_EVERY = 200
"""Rows that are read into records before others have their turn: some three milliseconds' worth."""

_SEAL = "key-check"
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Fewer, larger checkpoints: cuts the slowest commits to a quarter. Source: reference/performance.md.
    "PRAGMA wal_autocheckpoint = 16000",
)

# It is the rows, not the database, that these find wrong; so does whatever is not SQLite's at all.
_FAULTS_OF_ROWS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
# What a column raises that holds none of our values.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, BrokenSeal)


Pending = tuple[Changes, asyncio.Future[None]]


class SqliteStore:
    """See `core.ports.Store`. Made by `open_sqlite`."""

    def __init__(
        self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, path: Path, vault: Vault, nonces: NonceLog
    ) -> None:
        self._writer, self._reader, self._nonces = writer, reader, nonces
        self._files = (path, Path(f"{path.resolve()}-wal"))
        self._identities = [_identity(file) for file in self._files]
        self._tables: dict[type, Table] = {table.kind: table for table in tables(vault)}
        self._seals = Seals(sealed(vault, "order_materials.private_key"), sealed(vault, "instance_materials.password"))
        self._committed, self._head = State(), State()
        self._sequences: dict[str, int] = {}
        self._queue: list[Pending] = []
        self._in_work: list[Pending] = []
        self._has_work = asyncio.Event()
        self._has_news = asyncio.Event()
        self._is_healthy = True
        self._log = structlog.get_logger("store")
        self._task: asyncio.Task[None] | None = None

    # --- the port

    async def view(self) -> State:
        """See `Store.view`. This process is the only writer, so what it committed last is current."""
        return self._committed

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """See `Store.transact`. If no row can hold what `work` put, that very fault is raised."""
        self._check_open()
        changes = Changes(self._head, self._sequences)
        try:
            result = work(changes)
        except BaseException:
            changes.undo()
            await self._make_durable(changes)
            raise
        await self._make_durable(changes)
        return result

    async def material(self, order_id: OrderId) -> LaunchMaterial:
        """See `Store.material`."""
        query = "SELECT user_data, private_key FROM order_materials WHERE order_id = ?"
        rows = await self._read(query, (order_id,))
        if not rows:
            return LaunchMaterial(order_id)
        user_data, private_key = rows[0]
        return LaunchMaterial(order_id, user_data, self._seals.private_key.read(private_key))

    async def machine_material(self, instance_id: InstanceId) -> MachineMaterial:
        """See `Store.machine_material`."""
        query = "SELECT user_data, password FROM instance_materials WHERE instance_id = ?"
        rows = await self._read(query, (instance_id,))
        if not rows:
            return MachineMaterial(instance_id)
        user_data, password = rows[0]
        return MachineMaterial(instance_id, user_data, self._seals.password.read(password))

    async def archived_order(self, order_id: OrderId) -> ArchivedOrder | None:
        """See `Store.archived_order`."""
        return _first(await self._archived("id = ?", order_id))

    async def archived_order_by_key(self, order_key: str) -> ArchivedOrder | None:
        """See `Store.archived_order_by_key`."""
        return _first(await self._archived("order_key = ?", order_key))

    async def archived_orders(
        self, account_id: AccountId, closed_since: datetime | None = None
    ) -> Sequence[ArchivedOrder]:
        """See `Store.archived_orders`."""
        since = 0 if closed_since is None else to_micros(closed_since)
        return await self._archived("closed_at >= ? AND account_id = ?", since, account_id)

    async def first_order_at(self, account_id: AccountId) -> datetime | None:
        """See `Store.first_order_at`."""
        rows = await self._read("SELECT created_at FROM orders WHERE account_id = ? ORDER BY id LIMIT 1", (account_id,))
        return from_micros(rows[0][0]) if rows else None

    async def deeds(self, query: DeedQuery) -> Sequence[Deed]:
        """See `Store.deeds`."""
        return [deed_of_row(row) for row in await self._read(*search(query))]

    async def events(self, instance_id: InstanceId, most: int) -> Sequence[Event]:
        """See `Store.events`."""
        return [event_of_row(instance_id, row) for row in await self._read(SELECT_EVENTS, (instance_id, most))]

    async def news(self, revision: int) -> int:
        """See `Store.news`."""
        while self._committed.revision <= revision:
            await self._has_news.wait()
        return self._committed.revision

    async def archive(self, closed_before: datetime) -> int:
        """See `Store.archive`. An order that is being written to stays until it is asked for again."""
        state, count = self._committed, 0
        old = [order for order in state.orders.values() if order.closed_at and order.closed_at < closed_before]
        busy = {key for changes, _ in (*self._in_work, *self._queue) for key in changes.records}
        for order in old:
            leaving = _with_tags(order, list(state.machines_of.get(order.id, {}).values()), state.kept_disks)
            if busy.isdisjoint((type(record), key_of(record)) for record in leaving):
                self._forget(leaving)
                count += 1
        if count:
            self._tell_news()
        return count

    async def claim_nonce(self, key: str, timestamp: int, nonce: str) -> bool:
        """See `Store.claim_nonce`."""
        return self._nonces.claim(key, timestamp, nonce)

    async def check(self) -> None:
        """See `Store.check`. After a failed commit, one is tried for the asking; else the file is looked at."""
        self._check_open()
        if self._is_healthy:
            try:
                self._check_files()
            except OSError as error:
                raise StoreUnavailable from error
            return
        probe = Changes(self._head, self._sequences)
        probe.next_id(SqliteStore)
        await self._enqueue(probe)

    async def close(self) -> None:
        """See `Store.close`. Closing twice is as good as once."""
        task, self._task = self._task, None
        if task is None:
            return
        while self._queue or self._in_work:
            with suppress(StoreUnavailable):
                await self._enqueue(Changes(self._head, self._sequences))
        task.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await task
        finally:
            await self._reader.close()
            await self._writer.close()
            self._nonces.close()

    # --- reading

    async def load(self, now: datetime) -> None:
        """Read every live row into memory and start to write. To be called once, before anything else.

        Raises:
            IncompatibleDatabase: a row says what none of ours can say.
        """
        select = self._writer.execute_fetchall
        self._sequences = dict(await select("SELECT name, value FROM sequences"))  # type: ignore[arg-type]  # rows of two
        horizon = to_micros(now - _LIVE_FOR)
        live = f"(SELECT id FROM orders WHERE closed_at IS NULL OR closed_at >= {horizon})"  # noqa: S608  an integer
        only = {Order: f" WHERE id IN {live}", Instance: f" WHERE order_id IN {live}"}
        for kind, table in self._tables.items():
            async with self._writer.execute(f"{table.select}{only.get(kind, '')} ORDER BY id") as cursor:
                while rows := await cursor.fetchmany(_ROWS_AT_A_TIME):
                    for row in rows:
                        self._hold(_record_of(table, row))
        await self._load_tags()
        self._task = asyncio.create_task(self._write_forever(), name="store writer")

    async def _load_tags(self) -> None:
        values: dict[Resource, dict[str, str]] = defaultdict(dict)
        query = "SELECT account_id, kind, resource_id, key, value FROM tags"
        for account_id, kind, resource_id, key, value in await self._writer.execute_fetchall(query):
            values[Resource(AccountId(account_id), _kind_of(kind), resource_id)][key] = value
        head = self._head
        live: dict[ResourceKind, Container[int]] = {
            ResourceKind.INSTANCE: head.instances.keys(),
            ResourceKind.INTERFACE: head.instances.keys(),
            ResourceKind.DISK: head.instances.keys() | head.kept_disks.keys(),
            ResourceKind.ORDER: head.orders.keys(),
        }
        for resource, tags in values.items():
            if resource.kind not in live or resource.id in live[resource.kind]:
                self._hold(TagSet(resource, tags))

    def _hold(self, record: Record) -> None:
        self._head.put(record)
        self._committed.put(record)

    def _forget(self, records: Iterable[Record]) -> None:
        for record in records:
            self._head.drop(record)
            self._committed.drop(record)

    async def _archived(self, condition: str, *values: object) -> Sequence[ArchivedOrder]:
        orders, instances = self._tables[Order], self._tables[Instance]
        found = [order async for order in self._records(orders, f"WHERE {condition} ORDER BY id DESC", values)]
        machines: dict[OrderId, list[Instance]] = defaultdict(list)
        chosen = f"SELECT id FROM orders WHERE {condition}"  # noqa: S608  the condition is ours
        async for machine in self._records(instances, f"WHERE order_id IN ({chosen}) ORDER BY id", values):
            machines[machine.order_id].append(machine)
        return [ArchivedOrder(order, tuple(machines[order.id])) for order in found]

    async def _records(self, table: Table, chosen: str, values: Row) -> AsyncIterator[Any]:
        """Give the records of a table that are chosen; others have their turns meanwhile."""
        for count, row in enumerate(await self._read(f"{table.select} {chosen}", values), start=1):
            yield table.record_of(row)
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _read(self, query: str, values: Row) -> Sequence[Any]:
        try:
            return list(await self._reader.execute_fetchall(query, values))
        except (OverflowError, UnicodeEncodeError):
            return []  # a value that no column can hold, and so no row has
        except (sqlite3.Error, ValueError) as error:
            self._log.error("the database cannot be read", error=str(error))
            raise StoreUnavailable from error

    # --- writing

    async def _make_durable(self, changes: Changes) -> None:
        """Return once the changes are on disk, and everything that their verb saw.

        Even a verb that changed nothing, or refused, waits: what it saw, and now answers with, may still be being
        written, and come to nothing.
        """
        if not changes.is_empty or self._queue or self._in_work:
            await self._enqueue(changes)

    async def _enqueue(self, changes: Changes) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((changes, future))
        self._has_work.set()
        await future

    async def _write_forever(self) -> None:
        try:
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                self._in_work, self._queue = self._queue, []
                await self._write()
        finally:
            if self._in_work or self._queue:  # nobody must wait for an answer that never comes
                self._fail(asyncio.CancelledError("the store was stopped"))

    async def _write(self) -> None:
        """Write what is in work, in one commit if that can be."""
        try:
            await self._commit(self._in_work)
        except Exception as error:  # noqa: BLE001  whatever one verb put, the others' writing must go on
            if _is_fault_of_rows(error):
                await self._write_one_by_one()
            else:
                self._fail(error)
        else:
            self._succeed(len(self._in_work))

    async def _write_one_by_one(self) -> None:
        while self._in_work:
            try:
                await self._commit(self._in_work[:1])
            except Exception as error:  # noqa: BLE001  see `_write`
                self._fail(error)
            else:
                self._succeed(1)

    def _succeed(self, count: int) -> None:
        """Show readers what the first verbs in work have put, and let these return."""
        done, self._in_work = self._in_work[:count], self._in_work[count:]
        self._is_healthy = True
        for changes, future in done:
            for (kind, key), record in changes.records.items():
                if record is not None:
                    self._committed.put(record)
                elif (gone := self._committed.find(kind, key)) is not None:
                    self._committed.drop(gone)
            if not future.done():
                future.set_result(None)
        self._tell_news()

    def _tell_news(self) -> None:
        self._committed.revision += 1
        self._has_news.set()
        self._has_news.clear()  # whoever waits has been woken by now

    def _fail(self, error: BaseException) -> None:
        """Put the head back to what is committed and tell all who wait: what they built on has failed.

        If the error is a fault of rows, they are the first verb's in work.
        """
        failed, self._in_work, self._queue = self._in_work + self._queue, [], []
        self._restore_head(dict.fromkeys(key for changes, _ in failed for key in changes.records))
        futures = [future for _, future in failed]
        if _is_fault_of_rows(error):
            self._log.error("no row can hold what a verb put", exc_info=error, verbs=len(failed))
            _tell(futures[:1], error)
        else:
            self._is_healthy = False
            self._log.error("the database cannot be written", error=str(error), verbs=len(failed))
        for future in futures:
            _tell([future], StoreUnavailable())

    def _restore_head(self, keys: Iterable[Key]) -> None:
        durable = {(kind, key): self._committed.find(kind, key) for kind, key in keys}
        # What is to go goes first: it may have the name or the port of something that is to come back.
        for (kind, key), record in durable.items():
            if record is None and (tentative := self._head.find(kind, key)) is not None:
                self._head.drop(tentative)
        for record in durable.values():
            if record is not None:
                self._head.put(record)

    def _check_open(self) -> None:
        if self._task is None or self._task.done():
            raise StoreUnavailable

    async def _commit(self, batch: Sequence[Pending]) -> None:
        """Write all changes in one transaction and return when it is durable."""
        statements = statements_for(
            [changes for changes, _ in batch], self._committed, self._tables, self._seals, self._sequences
        )
        if not statements:
            return
        self._check_files()
        db = self._writer
        await db.execute("BEGIN IMMEDIATE")
        try:
            for sql, rows in statements:
                await db.executemany(sql, rows)
            await db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                await db.execute("ROLLBACK")
            raise

    def _check_files(self) -> None:
        """Return if the files that are open are those on disk: commits to deleted ones would be lost silently.

        Raises:
            OSError: they are not.
        """
        for file, identity in zip(self._files, self._identities, strict=True):
            if _identity(file) != identity:
                raise OSError(f"{file} was replaced while in use; restart onefleet")


def _with_tags(order: Order, machines: Sequence[Instance], kept: Container[InstanceId]) -> Sequence[Record]:
    """Return the records of an order: its machines, itself, and the tags of all of them but of disks that are kept."""
    resources = [
        Resource(order.account_id, kind, machine.id)
        for machine in machines
        for kind in OF_A_MACHINE
        if kind is not ResourceKind.DISK or machine.id not in kept
    ]
    resources.append(Resource(order.account_id, ResourceKind.ORDER, order.id))
    return [*machines, order, *(TagSet(resource, {}) for resource in resources)]


def _first(found: Sequence[ArchivedOrder]) -> ArchivedOrder | None:
    return found[0] if found else None


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino


def _is_fault_of_rows(error: BaseException) -> bool:
    """Whether it is the rows that cannot be written, and not the database."""
    if isinstance(error, sqlite3.Error):
        return isinstance(error, _FAULTS_OF_ROWS)
    return isinstance(error, Exception) and not isinstance(error, OSError)


def _tell(futures: Iterable[asyncio.Future[None]], error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)


def _record_of(table: Table, row: Row) -> Record:
    try:
        record: Record = table.record_of(row)
    except _UNREADABLE as error:
        raise IncompatibleDatabase(
            f"row {row[0]} of {table.name} cannot be read ({error!r}); put the database back from the backup"
        ) from error
    return record


def _kind_of(name: str) -> ResourceKind:
    try:
        return ResourceKind(name)
    except ValueError as error:
        raise IncompatibleDatabase(f"tags cannot be read ({error}); put the database back from the backup") from error


async def open_sqlite(path: Path, vault: Vault, clock: Clock) -> SqliteStore:
    """Return the store in this file, made and migrated as needed, with every live row in memory.

    Raises:
        IncompatibleDatabase: it is not a database of ours, is damaged, newer than the program, sealed with another key,
            or cannot be opened at all.
    """
    try:
        return await _open(path, vault, clock)
    except (sqlite3.Error, OSError, IncompatibleDatabase) as error:
        raise IncompatibleDatabase(f"{path}: {error}") from error


async def _open(path: Path, vault: Vault, clock: Clock) -> SqliteStore:
    _make_file(path)
    async with AsyncExitStack() as opened:
        writer = await opened.enter_async_context(_connection(path))
        await check_ours(writer)
        await _set_up(writer)
        await migrate(writer)
        await _check_seal(writer, vault)
        reader = await opened.enter_async_context(_connection(path))
        await reader.execute_fetchall("PRAGMA query_only = ON")
        nonces = NonceLog(path.parent, clock)
        opened.callback(nonces.close)
        store = SqliteStore(writer, reader, path, vault, nonces)
        await store.load(clock.now())
        opened.pop_all()
    return store


def _make_file(path: Path) -> None:
    """Make an empty file that is its owner's alone, unless it exists. SQLite makes the files beside it likewise.

    A place where there can be none is found out here, since aiosqlite ends with a stray traceback there.
    """
    path = path.resolve()
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None


def _connection(path: Path) -> aiosqlite.Connection:
    return aiosqlite.connect(path, isolation_level=None, timeout=_BUSY_SECONDS, cached_statements=256)


async def _set_up(writer: aiosqlite.Connection) -> None:
    [(mode,)] = await writer.execute_fetchall("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise IncompatibleDatabase("its file system does not support SQLite's write-ahead log: use a local disk")
    for pragma in _PRAGMAS:
        await writer.execute_fetchall(pragma)


async def _check_seal(db: aiosqlite.Connection, vault: Vault) -> None:
    rows = list(await db.execute_fetchall("SELECT sealed FROM seals WHERE name = ?", (_SEAL,)))
    if not rows:
        await db.execute("INSERT INTO seals (name, sealed) VALUES (?, ?)", (_SEAL, vault.seal(_SEAL, b"onefleet")))
        return
    try:
        vault.open(_SEAL, rows[0][0])
    except BrokenSeal:
        raise IncompatibleDatabase(
            "the key file is not the one that this database was made with: put the right one back from the backup"
        ) from None
