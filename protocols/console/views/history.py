"""What was done in the account: by whom, when, from where, and how."""

from collections.abc import Mapping
from datetime import timedelta

from aiohttp import web

from core.accounts import Protocol
from core.journal import DeedQuery
from protocols.console.forms import Form
from protocols.console.listing import PROTOCOLS
from protocols.console.paging import ON_A_PAGE
from protocols.console.routes import Pages, Visit

pages = Pages()

_PROTOCOLS: Mapping[str, str] = {"": "any"} | {each.value: words for each, words in PROTOCOLS.items()}
_ASKED = ("text", "protocol", "since", "until")
_LARGEST_ID = 10**15 - 1
_DAY = timedelta(days=1)


@pages.get("history")
async def show(visit: Visit) -> web.StreamResponse:
    """Return the account's own audit log, newest first."""
    visit.form = Form(list(visit.query.items()), is_sent=True)
    query = _query(visit.form)
    if visit.form.is_wrong:
        visit.status = 422
        found = []
    else:
        found = list(await visit.core.history.deeds(visit.calling, query))
    same = {name: visit.query.get(name, "") for name in _ASKED}
    deeds = found[:ON_A_PAGE]
    return await visit.page(
        "history.html",
        deeds=deeds,
        protocols=_PROTOCOLS,
        newest=visit.query_of(**same),
        older=visit.query_of(**same, before=deeds[-1].id) if len(found) > ON_A_PAGE else "",
        is_searched=any(same.values()),
    )


def _query(form: Form) -> DeedQuery:
    """Return what is looked for; what is wrong with it is noted in the form. One more is asked for than is shown."""
    protocol, until = form.choice("protocol", _PROTOCOLS), form.day("until")
    before = form.whole("before", 1, _LARGEST_ID, default=0)
    return DeedQuery(
        text=form.text("text", is_required=False),
        protocol=Protocol(protocol) if protocol in tuple(Protocol) else None,
        since=form.day("since"),
        until=until + _DAY if until else None,
        before=before or None,
        most=ON_A_PAGE + 1,
    )
