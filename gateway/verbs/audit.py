"""Looking into the audit log."""

from collections.abc import Mapping

from core.accounts import Protocol
from core.errors import InvalidRequest
from core.journal import Deed, DeedQuery
from gateway.control import Arguments, Document
from gateway.office import Office, Verb
from gateway.verbs.spelling import account_id_or_none, moment, moment_of, whole
from protocols.ids import owner_id

_MOST, _MOST_AT_ONCE = 50, 10_000


async def _audit(office: Office, said: Arguments) -> Document:
    query = DeedQuery(
        account_id=account_id_or_none(said.get("account")),
        text=said.get("text") or "",
        verb=said.get("what") or "",
        protocol=_protocol(said.get("protocol") or ""),
        since=moment_of("since", said.get("since")),
        until=moment_of("until", said.get("until"), is_end=True),
        before=whole("before", said.get("before"), 2**62) or None,
        most=whole("most", said.get("most"), _MOST_AT_ONCE) or _MOST,
    )
    return [_deed(deed) for deed in await office.administration.deeds(query)]


def _protocol(text: str) -> Protocol | None:
    try:
        return Protocol(text) if text else None
    except ValueError:
        raise InvalidRequest("protocol", text, f"one of {', '.join(Protocol)}") from None


def _deed(deed: Deed) -> Document:
    author = deed.author
    return {
        "number": deed.id,
        "at": moment(deed.at),
        "account_id": None if deed.account_id is None else owner_id(deed.account_id),
        "actor": author.actor,
        "operator": author.operator,
        "address": author.address,
        "protocol": author.protocol.value,
        "request_id": author.request_id,
        "verb": deed.verb,
        "subject": deed.subject,
        "about": deed.about,
        "detail": deed.detail,
    }


VERBS: Mapping[str, Verb] = {"audit": _audit}
