import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from types import NoneType
from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.accounts import ApiKey, Application
from core.catalogue import Gpu, Product, Zone
from core.ids import SecurityGroupId, ZoneId
from core.instances import Checkpoint, Instance, MetadataService, Options
from core.people import User
from core.securitygroups import Rule, SecurityGroup, Traffic
from core.storage.migrate import migrations
from core.storage.rows import Table, from_micros, tables, to_micros
from core.tags import ResourceKind, TagSet
from core.vault import KEY_BYTES, BrokenSeal, Vault
from tests.builders import a_product, a_world, an_api_key, an_order

VAULT = Vault(bytes(KEY_BYTES))
TABLES = {table.kind: table for table in tables(VAULT)}

INTEGERS = st.integers(-(2**63), 2**63 - 1)
MONEY = st.decimals(allow_nan=False, allow_infinity=False)
NETWORKS = st.one_of(
    st.builds(IPv4Network, st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), st.just(False)),
    st.builds(IPv6Network, st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)), st.just(False)),
)
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0))
BY_TYPE = {int: INTEGERS, datetime: MOMENTS, Decimal: MONEY}
GPUS = st.none() | st.builds(Gpu, count=st.integers(0, 2**53), memory_mib=st.integers(0, 2**53))
TRAFFIC = st.builds(
    Traffic, first_port=INTEGERS, last_port=INTEGERS, group_id=st.none() | INTEGERS.map(SecurityGroupId)
)
RULES = st.builds(Rule, id=INTEGERS, traffic=TRAFFIC)
OPTIONS = st.builds(Options, metadata=st.builds(MetadataService, hop_limit=INTEGERS))
SPECIAL = {
    Application: {"networks": st.lists(NETWORKS).map(tuple)},
    Product: {
        "capacity": st.dictionaries(INTEGERS.map(ZoneId), st.integers(0, 2**53)),
        "attributes": st.dictionaries(st.text(), st.text()),
        "gpu": GPUS,
    },
    Zone: {"pool": st.lists(NETWORKS.map(str)).map(tuple)},
    SecurityGroup: {"rules": st.lists(RULES).map(tuple)},
    Instance: {
        "group_ids": st.lists(INTEGERS).map(tuple),
        "options": OPTIONS,
        "checkpoints": st.lists(st.builds(Checkpoint, hours=INTEGERS, cost=MONEY)).map(tuple),
    },
    User: {"recovery": st.lists(st.text("0123456789abcdef", min_size=1)).map(tuple)},
}


def values_of(hint):
    """Return the values that a field of this type can have in a row."""
    hint = getattr(hint, "__supertype__", hint)
    if NoneType in get_args(hint):
        return st.none() | values_of(get_args(hint)[0])
    return BY_TYPE[hint] if hint in BY_TYPE else st.from_type(hint)


def records_of(kind):
    """Return the records of a kind that there can be."""
    special = SPECIAL.get(kind, {})
    plain = {name: values_of(hint) for name, hint in get_type_hints(kind).items() if name not in special}
    return st.builds(kind, **plain, **special)


@pytest.fixture(scope="module")
def db():
    """An empty database of the current schema in which records need no parents."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for step in migrations():
            db.executescript(step.sql)
        yield db


def through(db: sqlite3.Connection, table: Table, record):
    """Return the record as it is read back."""
    db.execute("BEGIN")
    try:
        db.execute(table.upsert, table.row_of(record))
        ((*row,),) = db.execute(table.select)
        return table.record_of(row)
    finally:
        db.execute("ROLLBACK")


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_every_record_is_read_back_as_it_was_written(db, kind):
    @given(records_of(kind))
    def check(record):
        found = through(db, TABLES[kind], record)
        assert found == record
        assert repr(found) == repr(record)  # 1 equals True, and a word its enumeration's member

    check()


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_writing_again_replaces_every_column(db, kind):
    @settings(max_examples=25)
    @given(records_of(kind), records_of(kind))
    def check(before, after):
        after, table = replace(after, id=before.id), TABLES[kind]
        db.execute("BEGIN")
        try:
            db.execute(table.upsert, table.row_of(before))
            db.execute(table.upsert, table.row_of(after))
            assert [table.record_of(row) for row in db.execute(table.select)] == [after]
        finally:
            db.execute("ROLLBACK")

    check()


@given(MOMENTS)
def test_a_moment_keeps_its_microseconds(moment):
    assert from_micros(to_micros(moment)) == moment


@given(MONEY)
def test_money_keeps_every_digit_as_it_was_spelled(price):
    table = TABLES[type(an_order())]
    found = table.record_of(table.row_of(an_order(hourly_price=price)))
    assert str(found.hourly_price) == str(price)


def test_there_is_a_table_for_every_kind_of_record_but_tags():
    assert set(TABLES) == {type(record) for record in a_world()} - {TagSet}


def test_every_kind_of_resource_can_be_read_back_from_its_tags():
    assert {ResourceKind(kind.value) for kind in ResourceKind} == set(ResourceKind)


def test_a_table_for_fields_that_a_record_does_not_have_cannot_be_made():
    with pytest.raises(ValueError, match="Product has no colour, weight"):
        Table(Product, "products", {"weight": None, "colour": None})


def test_columns_are_named_as_fields(db):
    for kind, table in TABLES.items():
        columns = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table.name})")]
        assert columns == [field.name for field in fields(kind)]


def test_a_secret_is_not_in_its_row():
    row = TABLES[ApiKey].row_of(an_api_key(secret_key="an open secret"))
    assert not any(b"an open secret" in bytes(value) for value in row if isinstance(value, bytes))
    assert "an open secret" not in row


def test_a_secret_cannot_be_read_with_another_key():
    row = TABLES[ApiKey].row_of(an_api_key())
    others = {table.kind: table for table in tables(Vault(b"k" * KEY_BYTES))}
    with pytest.raises(BrokenSeal):
        others[ApiKey].record_of(row)


def test_a_product_without_a_gpu_has_none_when_read_back(db):
    assert through(db, TABLES[Product], a_product(gpu=None)).gpu is None
