"""What verbs put into the rows: gathered over the state they see, and worded as statements for one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.journal import Deed, Entry, Event
from core.ports import LaunchMaterial, MachineMaterial
from core.state import Record, State, key_of
from core.storage.journal import INSERT_DEED, INSERT_EVENT, row_of_deed, row_of_event
from core.storage.rows import Codec, Row, Table
from core.tags import TagSet

Key = tuple[type, object]
Statement = tuple[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Seals:
    """How each secret column is written and read."""

    private_key: Codec
    password: Codec


class Changes:
    """What one transaction put, in order, over the state it sees."""

    def __init__(self, head: State, sequences: dict[str, int]) -> None:
        self.state = head
        self.records: dict[Key, Record | None] = {}
        self.materials: list[LaunchMaterial] = []
        self.machine_materials: list[MachineMaterial] = []
        self.entries: list[Entry] = []
        self.sequences: set[str] = set()
        self._sequences = sequences
        self._undo: list[tuple[Record, Record | None]] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.records or self.materials or self.machine_materials or self.entries or self.sequences)

    def put(self, record: Record) -> None:
        """See `Transaction.put`."""
        self._undo.append((record, self.state.put(record)))
        self.records[type(record), key_of(record)] = record

    def drop(self, record: Record) -> None:
        """See `Transaction.drop`."""
        before = self.state.find(type(record), key_of(record))
        if before is not None:
            self.state.drop(before)
            self._undo.append((before, before))
            self.records[type(before), key_of(before)] = None

    def put_material(self, material: LaunchMaterial) -> None:
        """See `Transaction.put_material`."""
        self.materials.append(material)

    def put_machine_material(self, material: MachineMaterial) -> None:
        """See `Transaction.put_machine_material`."""
        self.machine_materials.append(material)

    def note(self, entry: Entry) -> None:
        """See `Transaction.note`."""
        self.entries.append(entry)

    def next_id(self, kind: type) -> int:
        """See `Transaction.next_id`."""
        name = kind.__name__
        self._sequences[name] = value = self._sequences.get(name, 0) + 1
        self.sequences.add(name)
        return value

    def undo(self) -> None:
        """Put the state back to what it was, and forget all changes."""
        for record, before in reversed(self._undo):
            if before is not None:
                self.state.put(before)
            else:
                self.state.drop(record)
        notes = self.materials, self.machine_materials, self.entries
        for gathered in (self.records, *notes, self.sequences, self._undo):
            gathered.clear()


def statements_for(
    batch: Sequence[Changes],
    committed: State,
    tables: Mapping[type, Table],
    seals: Seals,
    sequences: Mapping[str, int],
) -> Sequence[Statement]:
    """Return what to execute to make all changes durable, removals first; of each record only its last version."""
    last: dict[Key, Record | None] = {}
    for changes in batch:
        last.update(changes.records)
    removals, upserts, tags = _sorted_out(committed, last)
    statements: list[Statement] = [
        (table.delete, [(record.id,) for record in removals[kind]]) for kind, table in tables.items() if removals[kind]
    ]
    statements.extend(
        (table.upsert, [table.row_of(record) for record in upserts[kind]])
        for kind, table in tables.items()
        if upserts[kind]
    )
    statements.extend(_tag_statements(tags))
    statements.extend(_material_statements(batch, seals))
    statements.extend(_journal_statements(batch))
    if advanced := {name for changes in batch for name in changes.sequences}:
        sql = "INSERT OR REPLACE INTO sequences (name, value) VALUES (?, ?)"
        statements.append((sql, [(name, sequences[name]) for name in advanced]))
    return statements


def _sorted_out(
    committed: State, last: Mapping[Key, Record | None]
) -> tuple[dict[type, list[Any]], dict[type, list[Any]], list[TagSet]]:
    """Return the records to remove and to write by kind, and the tag sets to write whole."""
    removals: dict[type, list[Any]] = defaultdict(list)
    upserts: dict[type, list[Any]] = defaultdict(list)
    tags: list[TagSet] = []
    for (kind, key), record in last.items():
        if kind is TagSet:
            tags.append(record if isinstance(record, TagSet) else TagSet(key, {}))  # type: ignore[arg-type]  # its key is a Resource
        elif record is not None:
            upserts[kind].append(record)
        elif (gone := committed.find(kind, key)) is not None:
            removals[kind].append(gone)
    return removals, upserts, tags


def _tag_statements(tags: Sequence[TagSet]) -> Iterable[Statement]:
    owners = [(each.resource.account_id, each.resource.kind.value, each.resource.id) for each in tags]
    rows: list[Row] = [
        (*owner, key, value) for owner, each in zip(owners, tags, strict=True) for key, value in each.values.items()
    ]
    if owners:
        yield "DELETE FROM tags WHERE account_id = ? AND kind = ? AND resource_id = ?", list(owners)
    if rows:
        yield "INSERT INTO tags (account_id, kind, resource_id, key, value) VALUES (?, ?, ?, ?, ?)", rows


def _material_statements(batch: Sequence[Changes], seals: Seals) -> Iterable[Statement]:
    own: list[Row] = [
        (material.instance_id, material.user_data, seals.password.write(material.password))
        for changes in batch
        for material in changes.machine_materials
    ]
    if own:
        yield "INSERT OR REPLACE INTO instance_materials (instance_id, user_data, password) VALUES (?, ?, ?)", own
    rows: list[Row] = [
        (material.order_id, material.user_data, seals.private_key.write(material.private_key))
        for changes in batch
        for material in changes.materials
    ]
    if rows:
        yield "INSERT OR REPLACE INTO order_materials (order_id, user_data, private_key) VALUES (?, ?, ?)", rows


def _journal_statements(batch: Sequence[Changes]) -> Iterable[Statement]:
    entries = [entry for changes in batch for entry in changes.entries]
    if deeds := [row_of_deed(entry) for entry in entries if isinstance(entry, Deed)]:
        yield INSERT_DEED, deeds
    if events := [row_of_event(entry) for entry in entries if isinstance(entry, Event)]:
        yield INSERT_EVENT, events
