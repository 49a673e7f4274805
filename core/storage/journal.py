"""How the journal stands in its two tables, which are only ever added to and searched."""

from collections.abc import Sequence
from typing import Any

from core.accounts import Protocol
from core.ids import AccountId, InstanceId
from core.journal import Author, Deed, DeedQuery, Event
from core.storage.rows import Row, from_micros, to_micros

INSERT_DEED = (
    "INSERT INTO audit (at, account_id, actor, address, protocol, request_id, operator, verb, subject, detail)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_EVENT = "INSERT INTO events (instance_id, at, text, reason, actor) VALUES (?, ?, ?, ?, ?)"

SELECT_EVENTS = "SELECT at, text, reason, actor FROM events WHERE instance_id = ? ORDER BY id DESC LIMIT ?"

_SELECT_DEEDS = (
    "SELECT id, at, account_id, actor, address, protocol, request_id, operator, verb, subject, detail FROM audit"
)
_SEARCHED = ("actor", "operator", "verb", "subject", "detail", "address")
_HAS_TEXT = "(" + " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in _SEARCHED) + ")"


def row_of_deed(deed: Deed) -> Row:
    """Return a deed as its table's columns."""
    author = deed.author
    return (
        to_micros(deed.at),
        deed.account_id,
        author.actor,
        author.address,
        author.protocol.value,
        author.request_id,
        author.operator,
        deed.verb,
        deed.subject,
        deed.detail,
    )


def row_of_event(event: Event) -> Row:
    """Return an event as its table's columns."""
    return event.instance_id, to_micros(event.at), event.text, event.reason, event.actor


def deed_of_row(row: Row) -> Deed:
    """Return the deed that a selected row says."""
    id_, at, account_id, actor, address, protocol, request_id, operator, verb, subject, detail = row
    author = Author(actor, address, Protocol(protocol), request_id, operator)
    whose = None if account_id is None else AccountId(account_id)
    return Deed(from_micros(at), whose, author, verb, subject, detail, id_)


def event_of_row(instance_id: InstanceId, row: Row) -> Event:
    """Return the event of a machine that a selected row says."""
    at, text, reason, actor = row
    return Event(from_micros(at), instance_id, text, reason, actor)


def search(query: DeedQuery) -> tuple[str, Sequence[Any]]:
    """Return the statement that finds deeds, newest first, and its values."""
    conditions: list[tuple[str, Sequence[Any]]] = []
    if query.account_id is not None:
        conditions.append(("account_id = ?", [query.account_id]))
    if query.text:
        conditions.append((_HAS_TEXT, [_containing(query.text)] * len(_SEARCHED)))
    if query.verb:
        conditions.append(("verb = ?", [query.verb]))
    if query.protocol is not None:
        conditions.append(("protocol = ?", [query.protocol.value]))
    if query.since is not None:
        conditions.append(("at >= ?", [to_micros(query.since)]))
    if query.until is not None:
        conditions.append(("at < ?", [to_micros(query.until)]))
    if query.before is not None:
        conditions.append(("id < ?", [query.before]))
    chosen = " WHERE " + " AND ".join(condition for condition, _ in conditions) if conditions else ""
    values = [value for _, each in conditions for value in each]
    return f"{_SELECT_DEEDS}{chosen} ORDER BY id DESC LIMIT ?", [*values, query.most]


def _containing(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
