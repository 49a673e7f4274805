import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest

from core.accounts import Protocol
from core.billing import cost
from core.instances import STANDARD_OPTIONS, Checkpoint, MetadataService, Options
from core.journal import DeedQuery
from core.keypairs import KeyPair
from core.ports import MachineMaterial
from core.storage import migrate as module
from core.storage.migrate import IncompatibleDatabase, Migration, migrations
from core.storage.sqlite import _SEAL
from core.tags import Resource, ResourceKind
from core.vault import KEY_BYTES, Vault

STEPS = migrations()


def _sealed(purpose, clear):
    """Return the SQL of a sealed value."""
    return f"x'{Vault(bytes(KEY_BYTES)).seal(purpose, clear).hex()}'"


# What a database of each schema may hold, as the program of that time wrote it: one row in each table at least. A new
# step brings a new entry; those before it stay as they are.
ROWS_AT = {
    0: "",
    1: f"""
INSERT INTO sequences VALUES ('Account', 1), ('Instance', 1);
INSERT INTO seals VALUES ('{_SEAL}', {_sealed(_SEAL, b"onefleet")});
INSERT INTO accounts VALUES (1, 'tests', 1777636800000000);
INSERT INTO applications VALUES (1, 1, 'default', '203.0.113.0/24 ::1/128', 1);
INSERT INTO api_keys VALUES (1, 1, 'AKOF', {_sealed("api_keys.secret_key", b"secret")}, 1777636800000000, 1);
INSERT INTO regions VALUES (1, 'eu-1', 'europe', 0);
INSERT INTO zones VALUES (1, 'eu-1a', 1, 1, 0);
INSERT INTO images VALUES (1, 'debian-12', 'Debian 12', '', 'x86_64', 'linux', 'renter', 1, 0);
INSERT INTO products VALUES (
    1, 'small', 'Small', '', 'small', '0.50', 'USD', '{{"ram":"8gb"}}', 'europe', 1, 1024, 10,
    '{{"manufacturer":"NVIDIA","name":"1080 Ti","count":1,"memory_mib":11264}}', 'x86_64', 1, '{{"1":10}}', 0
);
INSERT INTO key_pairs VALUES (1, 1, 'laptop', 'ed25519', 'print', 'ssh-ed25519 AAAA', 1777636800000000);
INSERT INTO orders VALUES (
    1, 1, 1, 'ec2', 'wc_order_1', 1, 1, 1, '0.50', 'USD', 1777636800000000,
    'laptop', 'ssh-ed25519 AAAA', 0, 1, '', '', 'token', 'digest', NULL
);
INSERT INTO order_materials VALUES (1, x'00ff', {_sealed("order_materials.private_key", b"PEM")});
INSERT INTO instances VALUES (
    1, 1, 1, 1, 1, 1, 0, '0.50', 20001, 'stop', 1777636800000000,
    'running', 'running', 0, 0, 0, NULL, '', NULL, NULL, NULL, '10.0.0.1', ''
);
INSERT INTO tags VALUES (1, 'instance', 1, 'role', 'web');
""",
    2: f"""
INSERT INTO sequences VALUES ('Account', 1), ('Instance', 1), ('KeyPair', 1);
INSERT INTO seals VALUES ('{_SEAL}', {_sealed(_SEAL, b"onefleet")});
INSERT INTO accounts VALUES (1, 'tests', 1777636800000000);
INSERT INTO applications VALUES (1, 1, 'default', '203.0.113.0/24 ::1/128', 1);
INSERT INTO api_keys VALUES (1, 1, 'AKOF', {_sealed("api_keys.secret_key", b"secret")}, 1777636800000000, 1);
INSERT INTO regions VALUES (1, 'eu-1', 'europe', 0);
INSERT INTO zones VALUES (1, 'eu-1a', 1, 1, 0, '203.0.113.0/28 198.51.100.7');
INSERT INTO images VALUES (1, 'debian-12', 'Debian 12', '', 'x86_64', 'linux', 'renter', 1, 0, 512, 2);
INSERT INTO products VALUES (
    1, 'small', 'Small', '', 'small', '0.50', 'USD', '{{"ram":"8gb"}}', 'europe', 1, 1024, 10,
    '{{"manufacturer":"NVIDIA","name":"1080 Ti","count":1,"memory_mib":11264}}', 'x86_64', 1, '{{"1":10}}', 0
);
INSERT INTO key_pairs VALUES (1, 1, 1, 'laptop', 'ed25519', 'print', 'ssh-ed25519 AAAA', 1777636800000000);
INSERT INTO networks VALUES (1, 1, 1, '10.0.0.0/8', 1777636800000000);
INSERT INTO subnets VALUES (1, 1, 1, 1, '10.1.0.0/16');
INSERT INTO security_groups VALUES (
    1, 1, 1, 'default', 'the default', 1777636800000000,
    '[{{"id":1,"traffic":{{"is_egress":false,"protocol":"tcp","first_port":22,"last_port":22,"block":"0.0.0.0/0",'
    || '"group_id":null}},"description":"ssh"}}]'
);
INSERT INTO orders VALUES (
    1, 1, 1, 'ec2', 'wc_order_1', 1, 1, 1, '0.50', 'USD', 1777636800000000,
    'laptop', 'ssh-ed25519 AAAA', 0, 1, '', '', 'token', 'digest', NULL
);
INSERT INTO order_materials VALUES (1, x'00ff', {_sealed("order_materials.private_key", b"PEM")});
INSERT INTO instances VALUES (
    1, 1, 1, 1, 1, 1, 0, '0.50', 20001, 'stop', 1777636800000000,
    'running', 'running', 0, 0, 0, NULL, '', NULL, NULL, NULL, '10.1.0.5', '', '1',
    '{{"hostname":"web","is_protected":true,"is_stop_protected":false,"is_source_checked":true,"is_monitored":false,'
    || '"keeps_disk":true,"metadata":{{"is_enabled":true,"needs_token":true,"hop_limit":2,"shows_tags":false}}}}',
    3, 2, 1, 1, 730, 10, '5.00', 1, 1
);
INSERT INTO instance_materials VALUES (1, x'00ff', {_sealed("instance_materials.password", b"word")});
INSERT INTO addresses VALUES (1, 1, 1, '203.0.113.1', 1777636800000000, 1, 1, 1);
INSERT INTO kept_disks VALUES (9, 1, 1, 1, 10, 1777636800000000, 0);
INSERT INTO tags VALUES (1, 'instance', 1, 'role', 'web');
""",
}
# The third step is a column more.
ROWS_AT[3] = ROWS_AT[2].replace("""'{"1":10}', 0\n""", """'{"1":10}', 0, 1\n""")
# The fourth turns what was charged before the last price into a list, and what accounts may do into columns of theirs.
ROWS_AT[4] = (
    ROWS_AT[3]
    .replace(
        "1777636800000000);\nINSERT INTO applications",
        "1777636800000000, 1, 0, '100', '80.5', NULL);\nINSERT INTO applications",
    )
    .replace("730, 10, '5.00', 1, 1\n", """730, 1, 1, '[[10,"5.00"]]'\n""")
    + f"""
INSERT INTO key_uses VALUES (1, 1777636800000000, '203.0.113.1', 'zerosix');
INSERT INTO users VALUES (
    1, 1, 'ann@example.com', '$argon2id$', 1777636800000000, 1, 1, 0, {_sealed("users.code_secret", b"S3CRET")}, 7, 'a b'
);
INSERT INTO sign_ins VALUES (
    1, 1, 'digest', '192.0.2.1', 'a browser', 1777636800000000, 1777636800000000, 1777680000000000, 0, 1
);
INSERT INTO audit VALUES (
    5, 1777636800000000, 1, 'AKOF', '192.0.2.1', 'ec2', 'request', 'root@example.com', 'book', 'order 1', 'in words'
);
INSERT INTO events VALUES (1, 1, 1777636800000000, 'stopped', 'guest', 'AKOF');
"""
)
# Beside those rows: a second region, and key pairs of which the last made was deleted, as they were before regions.
KEYS_OF_SCHEMA_1 = """
INSERT INTO sequences VALUES ('KeyPair', 5);
INSERT INTO regions VALUES (2, 'ap-1', 'asia-pacific', 0), (3, 'us-1', 'united-states', 1);
INSERT INTO key_pairs VALUES (4, 1, 'desk', 'rsa', 'other', 'ssh-rsa BBBB', 1777636800000001);
INSERT INTO tags VALUES (1, 'key-pair', 1, 'role', 'web'), (1, 'key-pair', 1, 'team', 'a'), (1, 'key-pair', 4, 'x', '');
"""


def make_old(path, version):
    """Make a database as the program of an earlier schema left it."""
    with closing(sqlite3.connect(path)) as db:
        for step in STEPS[:version]:
            db.executescript(step.sql)
            db.execute(f"PRAGMA application_id = {module._APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {step.number}")
        db.executescript(ROWS_AT[version])


def ask(path, query):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def schema_of(path):
    """Return what the database is made of, as a set of statements, and its version."""
    return set(ask(path, "SELECT sql FROM sqlite_master")), ask(path, "PRAGMA user_version")


def counts_of(path):
    """Return how many rows each table has."""
    tables = [name for (name,) in ask(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {name: ask(path, f"SELECT count(*) FROM {name}")[0][0] for name in tables}


def test_steps_are_numbered_from_one_without_a_gap():
    assert [step.number for step in STEPS] == list(range(1, len(STEPS) + 1))


def test_there_are_rows_of_every_schema_to_try():
    assert list(ROWS_AT) == list(range(len(STEPS) + 1))


@pytest.mark.parametrize("files", [["0002_b.sql"], ["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "0001_b.sql"]])
def test_steps_with_a_gap_or_a_double_are_refused(tmp_path, monkeypatch, files):
    for name in files:
        (tmp_path / name).write_text("SELECT 1;")
    monkeypatch.setattr(module.resources, "files", lambda _: tmp_path)
    with pytest.raises(IncompatibleDatabase, match="reinstall"):
        migrations()


def test_only_numbered_sql_files_are_steps(tmp_path, monkeypatch):
    for name in ("0001_a.sql", "0002_b.sql~", "2_b.sql", "README", "__init__.py"):
        (tmp_path / name).write_text("SELECT 1;")
    monkeypatch.setattr(module.resources, "files", lambda _: tmp_path)
    assert migrations() == [Migration(1, "a", "SELECT 1;")]


@pytest.mark.parametrize("version", ROWS_AT)
def test_the_rows_to_try_fill_every_table_of_their_schema(path, version):
    make_old(path, version)
    assert 0 not in counts_of(path).values()
    assert ask(path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("version", ROWS_AT)
async def test_every_earlier_schema_comes_up_with_its_rows(path, store_factory, version):
    make_old(path, version)
    before = counts_of(path)
    store = await store_factory()
    rows = await store.view()
    found = {
        len(table) for table in (rows.instances, rows.orders, rows.keys, rows.key_pairs, rows.products, rows.tag_sets)
    }
    assert found == {min(version, 1)}
    await store.close()
    assert counts_of(path).items() >= before.items()
    assert ask(path, "PRAGMA foreign_key_check") == []
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("version", ROWS_AT)
async def test_every_earlier_schema_becomes_that_of_a_fresh_database(path, store_factory, version):
    await (await store_factory()).close()
    fresh = schema_of(path)
    path.unlink()
    make_old(path, version)
    await (await store_factory()).close()
    assert schema_of(path) == fresh


@pytest.fixture
async def upgraded(path, store_factory):
    """A store that had two key pairs with tags, and three regions, before regions had keys."""
    make_old(path, 1)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(KEYS_OF_SCHEMA_1)
    return await store_factory()


async def test_key_pairs_from_before_regions_are_in_each_of_them(upgraded):
    rows = await upgraded.view()
    found = {(pair.region_id, pair.name, pair.kind, pair.public_key) for pair in rows.key_pairs.values()}
    assert found == {
        (region_id, *pair)
        for region_id in (1, 2, 3)
        for pair in (("laptop", "ed25519", "ssh-ed25519 AAAA"), ("desk", "rsa", "ssh-rsa BBBB"))
    }


async def test_key_pairs_from_before_regions_keep_their_ids_in_the_first(upgraded):
    rows = await upgraded.view()
    assert {pair.name: pair.id for pair in rows.key_pairs.values() if pair.region_id == 1} == {"laptop": 1, "desk": 4}


async def test_the_copies_of_key_pairs_have_ids_that_no_key_pair_ever_had(upgraded):
    rows = await upgraded.view()
    assert len(rows.key_pairs) == 6
    assert all(pair.id > 5 for pair in rows.key_pairs.values() if pair.region_id != 1)


async def test_the_copies_of_key_pairs_have_their_tags(upgraded):
    rows = await upgraded.view()
    tags = {
        (pair.region_id, pair.name): rows.tags_of(Resource(pair.account_id, ResourceKind.KEY_PAIR, pair.id))
        for pair in rows.key_pairs.values()
    }
    expected = {"laptop": {"role": "web", "team": "a"}, "desk": {"x": ""}}
    assert tags == {(region_id, name): values for region_id in (1, 2, 3) for name, values in expected.items()}


async def test_the_next_key_pair_has_an_id_of_its_own_after_the_copies(upgraded):
    rows = await upgraded.view()
    assert await upgraded.transact(lambda tx: tx.next_id(KeyPair)) == max(rows.key_pairs) + 1


async def test_what_is_new_in_schema_2_has_its_defaults_after_a_migration(path, store_factory):
    make_old(path, 1)
    rows = await (await store_factory()).view()
    machine = rows.instances[1]
    assert (machine.group_ids, machine.options, machine.needs_work) == ((), STANDARD_OPTIONS, False)
    assert (machine.term_hours, machine.checkpoints) == (1, ())
    assert (rows.zones[1].pool, rows.images[1].least_memory_mib, rows.images[1].least_disk_gib) == ((), 0, 0)


async def test_rows_of_schema_2_say_what_was_written(path, store_factory):
    make_old(path, 2)
    store = await store_factory()
    rows = await store.view()
    machine = rows.instances[1]
    assert machine.options == Options(
        hostname="web", is_protected=True, keeps_disk=True, metadata=MetadataService(needs_token=True, hop_limit=2)
    )
    assert (machine.version, machine.applied, machine.generation, machine.built) == (3, 2, 1, 1)
    assert rows.bound_to(machine.id) == (rows.addresses[1],)
    assert await store.machine_material(machine.id) == MachineMaterial(machine.id, b"\x00\xff", "word")


@pytest.mark.parametrize("version", [2, 3])
async def test_what_was_charged_before_the_last_price_outlives_a_migration(path, store_factory, version):
    make_old(path, version)
    machine = (await (await store_factory()).view()).instances[1]
    assert machine.checkpoints == (Checkpoint(10, Decimal("5.00")),)
    assert cost(machine, machine.launched_at) == Decimal("5.00") + 720 * machine.hourly_price


async def test_accounts_that_had_keys_have_api_access_after_a_migration_and_others_have_not(path, store_factory):
    make_old(path, 3)
    with closing(sqlite3.connect(path)) as db:
        db.executescript("INSERT INTO accounts VALUES (2, 'without', 1777636800000000)")
    accounts = (await (await store_factory()).view()).accounts
    assert [accounts[number].has_api for number in (1, 2)] == [True, False]
    assert not any(account.is_suspended for account in accounts.values())
    assert accounts[1].most_to_spend is None


async def test_rows_of_schema_4_say_what_was_written(path, store_factory):
    make_old(path, 4)
    store = await store_factory()
    rows = await store.view()
    assert rows.accounts[1].spending_limit == 100
    assert rows.accounts[1].spending_warning == Decimal("80.5")
    assert rows.key_uses[1].protocol is Protocol.ZEROSIX
    assert (rows.users[1].code_secret, rows.users[1].recovery) == ("S3CRET", ("a", "b"))
    assert rows.sign_ins_by_digest["digest"].acting_for == 1
    assert rows.instances[1].checkpoints == (Checkpoint(10, Decimal("5.00")),)
    [deed], [event] = await store.deeds(DeedQuery()), await store.events(rows.instances[1].id, 9)
    assert (deed.id, deed.author.operator, deed.verb, deed.detail) == (5, "root@example.com", "book", "in words")
    assert (event.text, event.reason, event.actor) == ("stopped", "guest", "AKOF")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit WHERE id = 5",
        (
            "INSERT OR REPLACE INTO audit SELECT id, at, account_id, 'nobody', address, protocol, request_id, operator, verb,"
            " subject, detail FROM audit"
        ),
    ],
)
async def test_what_is_in_the_audit_log_stays_there_as_it_is(path, store_factory, statement):
    make_old(path, 4)
    store = await store_factory()
    before = await store.deeds(DeedQuery())
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
        db.execute(statement)
    assert await store.deeds(DeedQuery()) == before != []


async def test_opening_again_applies_nothing(path, store_factory):
    await (await store_factory()).close()
    before = path.read_bytes()
    await (await store_factory()).close()
    assert path.read_bytes() == before


async def test_a_step_that_fails_leaves_the_steps_before_it(path, monkeypatch, store_factory):
    await (await store_factory()).close()
    before = schema_of(path)
    bad = Migration(len(STEPS) + 1, "bad", "CREATE TABLE half (id INTEGER); INSERT INTO nowhere VALUES (1);")
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda: [*STEPS, bad])
        with pytest.raises(IncompatibleDatabase, match=f"migration {bad.number:04}_bad failed: no such table: nowhere"):
            await store_factory()
    assert schema_of(path) == before
    await store_factory()


async def test_a_key_pair_of_a_house_without_regions_is_not_lost(path, store_factory):
    make_old(path, 1)
    with closing(sqlite3.connect(path)) as db:
        for table in ("tags", "instances", "order_materials", "orders", "products", "zones", "regions"):
            db.execute(f"DELETE FROM {table}")
        db.execute("DELETE FROM sequences WHERE name = 'Region'")
        db.commit()
    store = await store_factory()
    rows = await store.view()
    [pair], [region] = rows.key_pairs.values(), rows.regions.values()
    assert (pair.region_id, region.is_retired) == (region.id, True)
    assert await store.transact(lambda tx: tx.next_id(type(region))) == region.id + 1
    await store.close()
