"""The audit log of all accounts: who did what, when, from where, through which protocol."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

from aiohttp import web

from core.accounts import Protocol
from core.errors import UnknownAccount
from core.ids import AccountId
from core.journal import Deed, DeedQuery
from protocols.console.forms import Form, FormRefused
from protocols.console.routes import Audience, Pages, Visit
from protocols.console.spreadsheet import file_headers, lines_of
from protocols.console.views.backstage import account_id_of
from protocols.ids import owner_id

pages = Pages(Audience.OPERATORS)

_ON_A_PAGE, _IN_A_BATCH = 50, 1000
_LONGEST_ID = 15
_DAY = timedelta(days=1)
_HEAD = (
    "id", "at", "account_id", "actor", "operator", "address", "protocol", "request_id", "verb", "subject", "detail"
)  # fmt: skip


@pages.get("operator/audit")
async def show(visit: Visit) -> web.StreamResponse:
    """Return what is looked for in the log, newest first."""
    try:
        query = _asked(visit)
    except FormRefused:
        visit.status = 422
        return await _page(visit, [])
    return await _page(visit, await visit.administration.deeds(replace(query, most=_ON_A_PAGE + 1)))


async def _page(visit: Visit, deeds: Sequence[Deed]) -> web.StreamResponse:
    here, more = deeds[:_ON_A_PAGE], deeds[_ON_A_PAGE:]
    return await visit.page(
        "operator_audit.html",
        deeds=here,
        again=_again(visit),
        older=_again(visit, before=here[-1].id) if more else "",
        protocols=_PROTOCOLS,
    )


@pages.get("operator/audit.csv")
async def export(visit: Visit) -> web.StreamResponse:
    """Return all that is looked for, however much it is, for a spreadsheet."""
    try:
        query = _asked(visit)
    except FormRefused:
        return visit.go(f"operator/audit{_again(visit)}")
    visit.exchange.is_long = True
    response = web.StreamResponse(headers=file_headers("audit.csv"))
    await response.prepare(visit.request)
    if visit.request.method == "HEAD":
        return response
    await response.write(lines_of([_HEAD]).encode())
    async for deeds in _batches(visit, query):
        await response.write(lines_of(map(_row, deeds)).encode())
    await response.write_eof()
    return response


async def _batches(visit: Visit, query: DeedQuery) -> AsyncIterator[Sequence[Deed]]:
    query = replace(query, most=_IN_A_BATCH)
    while deeds := await visit.administration.deeds(query):
        yield deeds
        query = replace(query, before=deeds[-1].id)


def _row(deed: Deed) -> Sequence[object]:
    author, whose = deed.author, deed.account_id
    return (
        deed.id,
        f"{deed.at:%Y-%m-%dT%H:%M:%SZ}",
        "" if whose is None else owner_id(whose),
        author.actor,
        author.operator,
        author.address,
        author.protocol.value,
        author.request_id,
        deed.verb,
        deed.subject,
        deed.detail,
    )


# --- what is looked for

_PROTOCOLS = [("", "any"), *((each.value, each.value) for each in Protocol)]
_ASKED = ("text", "account", "protocol", "verb", "since", "until")


def _asked(visit: Visit) -> DeedQuery:
    """Return what the address asks for; it is also what the form shows again.

    Raises:
        FormRefused: something of it cannot be.
    """
    form = visit.form = Form(list(visit.query.items()), is_sent=True)
    protocol = form.choice("protocol", ("", *Protocol))
    account = form.text("account", is_required=False)
    before, until = form.whole("before", 1, 10**_LONGEST_ID - 1, default=0), form.day("until")
    query = DeedQuery(
        account_id=form.parsed("account", _account, account, None) if account else None,
        text=form.text("text", is_required=False),
        verb=form.text("verb", is_required=False),
        protocol=Protocol(protocol) if protocol in set(Protocol) else None,
        since=form.day("since"),
        until=until + _DAY if until is not None else None,
        before=before or None,
    )
    form.require()
    return query


def _account(text: str) -> AccountId | None:
    try:
        return account_id_of(text)
    except UnknownAccount:
        raise ValueError("Give an account's id: twelve digits, such as 100000000001.") from None


def _again(visit: Visit, **more: object) -> str:
    """Return the query that looks for the same."""
    return visit.query_of(**{name: visit.query.get(name, "") for name in _ASKED}, **more)
