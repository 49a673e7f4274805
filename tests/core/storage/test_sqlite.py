import asyncio
import sqlite3
import time
from contextlib import closing, contextmanager

import pytest

from core.errors import StoreUnavailable
from core.ids import AccountId, ApplicationId, InstanceId, OrderId
from core.ports import LaunchMaterial, MachineMaterial
from core.storage import sqlite
from core.storage.migrate import IncompatibleDatabase
from core.storage.sqlite import open_sqlite
from core.vault import KEY_BYTES, Vault
from tests.builders import a_world, an_account, an_api_key, an_application, an_instance
from tests.clocks import eventually
from tests.contracts.store_contract import StoreContract, contents, drop_all, put_all
from tests.core.storage.storms import killed_during, storm

BUSY_SECONDS = 0.2
ROUNDS = 3
SECRET, PEM = "4fXq-SECRET-9Zk2", "-----BEGIN PRIVATE KEY-----4fXq"
PASSWORD = "an open password"


@contextmanager
def moved_away(path):
    """Keep commits from succeeding: the store refuses to write to a file that is no longer where it was."""
    aside = path.with_suffix(".aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def outage(self, path):
        return lambda: moved_away(path)


@pytest.fixture
async def world(store):
    """A store with one record of each kind."""
    await store.transact(put_all(*a_world()))
    return store


def add(number):
    return put_all(an_account(id=AccountId(number)))


def run(path, script):
    """Do something to the database behind the store's back."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


# --- durability


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
async def test_commits_are_as_safe_as_sqlite_can_make_them(store, pragma, value):
    assert await store._writer.execute_fetchall(f"PRAGMA {pragma}") == [(value,)]


async def test_the_connection_for_reading_cannot_write(store):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store._reader.execute_fetchall("DELETE FROM accounts")


async def test_what_was_acknowledged_survives_a_kill_at_any_moment(path, store_factory):
    told = []
    for _ in range(ROUNDS):
        told += killed_during("accounts", path)
    rows = await (await store_factory()).view()
    assert rows.accounts.keys() >= set(told)
    assert len(told) == len(set(told)), "an id was given out twice"
    assert {each.account_id for each in rows.applications.values()} == rows.accounts.keys(), "a verb was half kept"


async def test_claimed_nonces_survive_a_kill_at_any_moment(path, store_factory):
    told = killed_during("nonces", path)
    store = await store_factory()
    assert not any([await store.claim_nonce("key", 0, str(number)) for number in told])
    assert await store.claim_nonce("key", 0, "another")


async def test_readers_see_only_what_is_durable(path, monkeypatch, store_factory):
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 60)
    store = await store_factory()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        adding = asyncio.create_task(store.transact(add(1)))
        await eventually(lambda: bool(store._in_work))
        assert (await store.view()).accounts == {}
        other.execute("ROLLBACK")
    await adding
    assert (await store.view()).accounts == {1: an_account(id=AccountId(1))}


async def test_verbs_that_run_at_once_share_commits(store):
    statements = []
    await store._writer.set_trace_callback(statements.append)
    await asyncio.gather(*(store.transact(add(number)) for number in range(1, 101)))
    assert 1 <= statements.count("COMMIT") <= 3


async def test_a_verb_that_changes_nothing_costs_no_commit(world):
    before = (await world.view()).revision
    statements = []
    await world._writer.set_trace_callback(statements.append)
    await world.transact(lambda tx: len(tx.state.instances))
    await world.transact(drop_all(an_instance(id=InstanceId(9))))
    assert statements == []
    assert (await world.view()).revision == before


# --- one verb's fault


def no_text(_tx):
    _tx.put(an_account(id=AccountId(2), name="half of a pair: \ud800"))


def too_large(tx):
    tx.put(an_instance(id=InstanceId(2), launch_index=2**63, ssh_port=20002))


def name_taken(tx):
    tx.put(an_application(id=ApplicationId(2)))


def no_parent(tx):
    tx.put(an_application(id=ApplicationId(2), account_id=AccountId(99)))


def wrong_type(tx):
    tx.put(an_account(id=AccountId(2), name=b"bytes"))


def unwritable_field(tx):
    tx.put(an_account(id=AccountId(2), created_at="noon"))


FAULTS = [no_text, too_large, name_taken, no_parent, wrong_type, unwritable_field]


@pytest.mark.parametrize("fault", FAULTS)
async def test_rows_that_cannot_be_written_are_their_verbs_own_fault(world, fault):
    before = contents(await world.view())
    with pytest.raises((sqlite3.Error, ValueError, TypeError, OverflowError)):
        await world.transact(fault)
    assert contents(await world.view()) == before
    assert await world.transact(lambda tx: contents(tx.state)) == before
    await world.check()
    await world.transact(add(7))


async def test_a_fault_fails_its_verb_and_those_after_it_but_none_before(world, store_factory):
    verbs = [add(7), add(8), no_text, add(9), lambda tx: AccountId(2) in tx.state.accounts]
    outcomes = await asyncio.gather(*map(world.transact, verbs), return_exceptions=True)
    expected = [type(None), type(None), UnicodeEncodeError, StoreUnavailable, StoreUnavailable]
    assert [type(outcome) for outcome in outcomes] == expected
    await world.transact(add(10))
    before = contents(await world.view())
    assert before["accounts"].keys() == {an_account().id, 7, 8, 10}
    assert await world.transact(lambda tx: contents(tx.state)) == before
    await world.close()
    assert contents(await (await store_factory()).view()) == before


async def test_nobody_waits_for_ever_once_writing_has_ended(path, store):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        verbs = [asyncio.create_task(store.transact(add(1)))]
        await eventually(lambda: bool(store._in_work))
        verbs.append(asyncio.create_task(store.transact(add(2))))
        await eventually(lambda: bool(store._queue))
        store._task.cancel()
        other.execute("ROLLBACK")
    assert [type(each) for each in await asyncio.gather(*verbs, return_exceptions=True)] == [StoreUnavailable] * 2
    with pytest.raises(StoreUnavailable):
        await store.transact(add(3))
    with pytest.raises(StoreUnavailable):
        await store.check()


# --- a database that cannot be written for a while


async def test_a_full_database_refuses_and_takes_again_once_there_is_room(world, store_factory):
    before = contents(await world.view())
    [(pages,)] = await world._writer.execute_fetchall("PRAGMA page_count")
    await world._writer.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    large = put_all(*(an_account(id=AccountId(number), name="x" * 4000) for number in range(1, 30)))
    with pytest.raises(StoreUnavailable):
        await world.transact(large)
    assert contents(await world.view()) == before
    assert await world.transact(lambda tx: contents(tx.state)) == before
    await world._writer.execute_fetchall(f"PRAGMA max_page_count = {pages + 100}")
    await world.transact(large)
    after = contents(await world.view())
    await world.close()
    assert contents(await (await store_factory()).view()) == after


async def test_a_full_disk_loses_nothing_that_was_acknowledged_and_takes_again_once_there_is_room(path, store_factory):
    with storm("full_disk", path) as process:
        *added, full, seen, last = [line.split() for line in process.stdout]
    assert process.returncode == 0
    assert (full[0], last[0]) == ("full", "added")
    acknowledged = [int(number) for _, number in added]
    assert [int(number) for number in seen[1:]] == acknowledged
    rows = await (await store_factory()).view()
    assert list(rows.accounts) == [*acknowledged, int(last[1])]


async def test_a_locked_database_is_waited_for_a_while_and_no_longer(path, monkeypatch, store_factory):
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", BUSY_SECONDS)
    store = await store_factory()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        asked_at = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.transact(add(1))
        assert BUSY_SECONDS * 0.9 <= time.monotonic() - asked_at < BUSY_SECONDS + 5
        other.execute("ROLLBACK")
    await store.transact(add(2))
    assert list((await store.view()).accounts) == [2]


@pytest.mark.parametrize("name", ["onefleet.db", "onefleet.db-wal"])
async def test_a_database_whose_file_was_removed_acknowledges_nothing(tmp_path, store, name):
    await store.transact(add(1))
    (tmp_path / name).unlink()
    with pytest.raises(StoreUnavailable):
        await store.check()
    with pytest.raises(StoreUnavailable):
        await store.transact(add(2))
    assert list((await store.view()).accounts) == [1]


async def test_a_database_whose_file_was_replaced_acknowledges_nothing(path, store):
    await store.transact(add(1))
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    with pytest.raises(StoreUnavailable):
        await store.check()
    with pytest.raises(StoreUnavailable):
        await store.transact(add(2))


async def test_a_database_that_is_reached_through_a_link_can_be_written(tmp_path, vault, clock):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "onefleet.db"
    link.symlink_to(tmp_path / "elsewhere" / "real.db")
    store = await open_sqlite(link, vault, clock)
    await store.transact(add(1))
    await store.close()


async def test_a_database_that_can_no_longer_be_read_says_so(path, world):
    await world._reader.close()
    with pytest.raises(StoreUnavailable):
        await world.material(OrderId(1))
    with pytest.raises(StoreUnavailable):
        await world.archived_order(OrderId(1))


# --- a database that cannot be used at all


async def expect_incompatible(path, vault, clock, match):
    with pytest.raises(IncompatibleDatabase, match=match) as caught:
        await open_sqlite(path, vault, clock)
    assert str(path) in str(caught.value)


async def test_what_is_not_a_database_is_refused(path, vault, clock):
    path.write_text("a" * 10_000)
    await expect_incompatible(path, vault, clock, "file is not a database")


async def test_a_damaged_database_is_refused(path, vault, clock, world):
    await world.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    await expect_incompatible(path, vault, clock, "malformed")


async def test_a_place_where_no_database_can_be_is_refused(tmp_path, vault, clock):
    await expect_incompatible(tmp_path, vault, clock, "Is a directory")
    await expect_incompatible(tmp_path / "missing" / "onefleet.db", vault, clock, "No such file or directory")


async def test_an_unusable_nonce_file_is_refused(path, vault, clock):
    (path.parent / "nonces").mkdir()
    await expect_incompatible(path, vault, clock, "nonces")


async def test_a_database_of_another_program_is_refused_and_left_as_it_is(path, vault, clock):
    run(path, "CREATE TABLE accounts (id INTEGER); PRAGMA user_version = 1")
    before = path.read_bytes()
    await expect_incompatible(path, vault, clock, "another program's database")
    assert path.read_bytes() == before


async def test_a_newer_database_is_refused_with_advice(path, vault, clock, store):
    await store.close()
    run(path, "PRAGMA user_version = 9999")
    await expect_incompatible(path, vault, clock, "schema 9999.*install the newer onefleet")


async def test_a_database_of_another_key_is_refused_with_advice(path, clock, store):
    await store.close()
    await expect_incompatible(path, Vault(b"k" * KEY_BYTES), clock, "key file is not the one .* from the backup")


@pytest.mark.parametrize(
    ("table", "nonsense"),
    [
        ("orders", "protocol = 'gopher'"),
        ("instances", "hourly_price = 'dear'"),
        ("applications", "networks = 'everywhere'"),
        ("products", "capacity = '{'"),
        ("products", "capacity = '[]'"),
        ("products", """gpu = '{"wings": 2}'"""),
        ("api_keys", "secret_key = x'00'"),
        ("accounts", "created_at = 9223372036854775807"),
    ],
)
async def test_a_row_that_says_nonsense_is_named(path, vault, clock, world, table, nonsense):  # noqa: PLR0917  fixtures
    await world.close()
    run(path, f"UPDATE {table} SET {nonsense}")
    await expect_incompatible(path, vault, clock, f"row [0-9]+ of {table} cannot be read")


async def test_tags_on_an_unknown_kind_of_thing_are_named(path, vault, clock, world):
    await world.close()
    run(path, "UPDATE tags SET kind = 'gopher'")
    await expect_incompatible(path, vault, clock, "tags cannot be read .*gopher")


async def test_a_store_that_could_not_be_opened_leaves_nothing_open(path, vault, clock, world, store_factory):
    await world.close()
    run(path, "UPDATE orders SET protocol = 'gopher'")
    await expect_incompatible(path, vault, clock, "gopher")
    run(path, "UPDATE orders SET protocol = 'ec2'")
    assert contents(await (await store_factory()).view()) == contents(await world.view())


# --- secrets


async def test_every_file_is_its_owners_alone(tmp_path, path, vault, clock):
    store = await open_sqlite(path, vault, clock)
    await store.transact(put_all(*a_world()))
    await store.claim_nonce("key", 0, "nonce")
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["onefleet.db", "onefleet.db-wal", "onefleet.db-shm", "nonces"], 0o600)
    await store.close()


async def test_secrets_never_lie_open_in_the_files(tmp_path, world, store_factory):
    await world.transact(put_all(an_api_key(secret_key=SECRET)))
    await world.transact(lambda tx: tx.put_material(LaunchMaterial(OrderId(1), b"user data", PEM)))
    await world.transact(lambda tx: tx.put_machine_material(MachineMaterial(InstanceId(1), b"user data", PASSWORD)))
    await world.claim_nonce("key", 0, SECRET)
    expect_closed(tmp_path)
    await world.close()
    expect_closed(tmp_path)
    again = await store_factory()
    assert (await again.view()).keys[an_api_key().access_key].secret_key == SECRET
    assert (await again.material(OrderId(1))).private_key == PEM
    assert (await again.machine_material(InstanceId(1))).password == PASSWORD


def expect_closed(folder):
    everything = b"".join(file.read_bytes() for file in folder.iterdir())
    assert an_api_key().access_key.encode() in everything, "the files were not looked at"
    assert SECRET.encode() not in everything
    assert PEM.encode() not in everything
    assert PASSWORD.encode() not in everything
