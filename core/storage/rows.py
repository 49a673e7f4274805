"""How records stand in tables: one `Table` per kind of record, one column per field, in the field's order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_network
from operator import attrgetter
from typing import Any

import orjson

from core import accounts
from core.accounts import Account, ApiKey, Application, KeyUse, Protocol
from core.addresses import Address
from core.catalogue import Gpu, Image, Product, Region, Zone
from core.disks import KeptDisk
from core.instances import (
    STANDARD_OPTIONS,
    Cause,
    Checkpoint,
    Instance,
    MetadataService,
    Options,
    Power,
    ShutdownBehaviour,
    Wanted,
)
from core.keypairs import KeyKind, KeyPair
from core.networks import Network, Subnet
from core.orders import Order
from core.people import SignIn, User
from core.securitygroups import Rule, SecurityGroup, Traffic
from core.vault import Vault

Row = Sequence[Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Codec:
    """How a field's value is written to a column and read back. Nothing is written as NULL but None."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def to_micros(moment: datetime) -> int:
    """Return unix microseconds."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware moment."""
    return _EPOCH + timedelta(microseconds=micros)


def _enum(kind: type[StrEnum]) -> Codec:
    return Codec(lambda value: value.value, {member.value: member for member in kind}.__getitem__)


def _json(read: Callable[[Any], Any], write: Callable[[Any], Any] = dict) -> Codec:
    return Codec(lambda value: orjson.dumps(write(value)).decode(), lambda text: read(orjson.loads(text)))


def _write_networks(networks: tuple[accounts.Network, ...]) -> str:
    return " ".join(map(str, networks))


def _read_networks(text: str) -> tuple[accounts.Network, ...]:
    return tuple(map(ip_network, text.split()))


def _read_words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@lru_cache(maxsize=4096)  # most machines are in the same group
def _write_numbers(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))


@lru_cache(maxsize=4096)
def _read_numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _write_options(options: Options) -> str:
    return "" if options is STANDARD_OPTIONS else orjson.dumps(asdict(options)).decode()


@lru_cache(maxsize=4096)
def _read_options(text: str) -> Options:
    if not text:
        return STANDARD_OPTIONS
    fields_ = orjson.loads(text)
    return Options(**{**fields_, "metadata": MetadataService(**fields_["metadata"])})


def _write_rules(rules: tuple[Rule, ...]) -> str:
    return orjson.dumps([asdict(rule) for rule in rules]).decode()


def _read_rules(text: str) -> tuple[Rule, ...]:
    return tuple(Rule(**{**rule, "traffic": Traffic(**rule["traffic"])}) for rule in orjson.loads(text))


def _write_checkpoints(checkpoints: tuple[Checkpoint, ...]) -> str:
    return orjson.dumps([[each.hours, str(each.cost)] for each in checkpoints]).decode() if checkpoints else ""


def _read_checkpoints(text: str) -> tuple[Checkpoint, ...]:
    return tuple(Checkpoint(hours, Decimal(cost)) for hours, cost in orjson.loads(text)) if text else ()


def _read_capacity(counts: Mapping[str, int]) -> dict[int, int]:
    return {int(zone_id): count for zone_id, count in counts.items()}


def _write_capacity(capacity: Mapping[int, int]) -> dict[str, int]:
    return {str(zone_id): count for zone_id, count in capacity.items()}


def sealed(vault: Vault, purpose: str) -> Codec:
    """Return the codec of text that must not lie open."""
    return Codec(lambda clear: vault.seal(purpose, clear.encode()), lambda stored: vault.open(purpose, stored).decode())


_MOMENT = Codec(to_micros, from_micros)
_BOOLEAN = Codec(int, bool)
_MONEY = Codec(str, lru_cache(maxsize=1024)(Decimal))  # there are few prices
_WORDS = Codec(" ".join, _read_words)


class Table:
    """One kind of record: its statements, and its rows both ways."""

    def __init__(self, kind: type, name: str, codecs: Mapping[str, Codec]) -> None:
        names = [field.name for field in fields(kind)]
        unknown = set(codecs) - set(names)
        if unknown:
            raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
        self.kind, self.name = kind, name
        self._values = attrgetter(*names)
        self._codecs = [(names.index(field), codec) for field, codec in codecs.items()]
        columns, marks = ", ".join(names), ", ".join("?" * len(names))
        updates = ", ".join(f"{column} = excluded.{column}" for column in names[1:])
        self.columns = columns
        # Names of tables and columns are this module's own: nothing of a request is in these statements.
        self.upsert = f"INSERT INTO {name} ({columns}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {updates}"  # noqa: S608
        self.delete = f"DELETE FROM {name} WHERE id = ?"  # noqa: S608
        self.select = f"SELECT {columns} FROM {name}"  # noqa: S608

    def row_of(self, record: object) -> Row:
        """Return the record as its table's columns."""
        row = list(self._values(record))
        for index, codec in self._codecs:
            if row[index] is not None:
                row[index] = codec.write(row[index])
        return row

    def record_of(self, row: Row) -> Any:
        """Return the record that a selected row says."""
        values = list(row)
        for index, codec in self._codecs:
            if values[index] is not None:
                values[index] = codec.read(values[index])
        return self.kind(*values)


def tables(vault: Vault) -> Sequence[Table]:
    """Return every table with a row per record, parents before children."""
    return (
        Table(
            Account,
            "accounts",
            {
                "created_at": _MOMENT,
                "has_api": _BOOLEAN,
                "is_suspended": _BOOLEAN,
                "spending_limit": _MONEY,
                "spending_warning": _MONEY,
                "credit_limit": _MONEY,
            },
        ),
        Table(
            Application,
            "applications",
            {"networks": Codec(_write_networks, _read_networks), "is_enabled": _BOOLEAN},
        ),
        Table(
            ApiKey,
            "api_keys",
            {"secret_key": sealed(vault, "api_keys.secret_key"), "created_at": _MOMENT, "is_enabled": _BOOLEAN},
        ),
        Table(KeyUse, "key_uses", {"at": _MOMENT, "protocol": _enum(Protocol)}),
        Table(
            User,
            "users",
            {
                "created_at": _MOMENT,
                "is_operator": _BOOLEAN,
                "is_enabled": _BOOLEAN,
                "must_change": _BOOLEAN,
                "code_secret": sealed(vault, "users.code_secret"),
                "recovery": _WORDS,
            },
        ),
        Table(
            SignIn,
            "sign_ins",
            {"began_at": _MOMENT, "seen_at": _MOMENT, "ends_at": _MOMENT, "awaits_code": _BOOLEAN},
        ),
        Table(Region, "regions", {"is_retired": _BOOLEAN}),
        Table(Zone, "zones", {"is_available": _BOOLEAN, "is_retired": _BOOLEAN, "pool": _WORDS}),
        Table(Image, "images", {"created_at": _MOMENT, "is_retired": _BOOLEAN}),
        Table(
            Product,
            "products",
            {
                "hourly_price": _MONEY,
                "attributes": _json(dict),
                "gpu": _json(lambda fields_: Gpu(**fields_), asdict),
                "capacity": _json(_read_capacity, _write_capacity),
                "is_retired": _BOOLEAN,
                "has_metadata": _BOOLEAN,
            },
        ),
        Table(KeyPair, "key_pairs", {"kind": _enum(KeyKind), "created_at": _MOMENT}),
        Table(Network, "networks", {"created_at": _MOMENT}),
        Table(Subnet, "subnets", {}),
        Table(
            SecurityGroup,
            "security_groups",
            {"created_at": _MOMENT, "rules": Codec(_write_rules, _read_rules)},
        ),
        Table(
            Order,
            "orders",
            {
                "protocol": _enum(Protocol),
                "hourly_price": _MONEY,
                "created_at": _MOMENT,
                "has_own_key": _BOOLEAN,
                "has_user_data": _BOOLEAN,
                "closed_at": _MOMENT,
            },
        ),
        Table(
            Instance,
            "instances",
            {
                "hourly_price": _MONEY,
                "shutdown_behaviour": _enum(ShutdownBehaviour),
                "launched_at": _MOMENT,
                "wanted": _enum(Wanted),
                "observed": _enum(Power),
                "is_forced": _BOOLEAN,
                "needs_reboot": _BOOLEAN,
                "has_failed": _BOOLEAN,
                "cause": _enum(Cause),
                "changed_at": _MOMENT,
                "ended_at": _MOMENT,
                "terminated_at": _MOMENT,
                "group_ids": Codec(_write_numbers, _read_numbers),
                "options": Codec(_write_options, _read_options),
                "checkpoints": Codec(_write_checkpoints, _read_checkpoints),
                "has_user_data": _BOOLEAN,
                "has_password": _BOOLEAN,
            },
        ),
        Table(Address, "addresses", {"created_at": _MOMENT, "goes_with_machine": _BOOLEAN}),
        Table(KeptDisk, "kept_disks", {"created_at": _MOMENT, "is_unwanted": _BOOLEAN}),
    )
