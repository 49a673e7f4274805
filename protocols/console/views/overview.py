"""The first page: how everything stands, what happened last, and what to do next."""

from collections import Counter
from functools import partial

from aiohttp import web

from core.instances import State
from core.journal import DeedQuery
from protocols.console.routes import Pages, Visit

pages = Pages()

_LATEST = 8


@pages.get("")
async def show(visit: Visit) -> web.StreamResponse:
    """Return how everything stands, or only the part that is live."""
    caller, is_part = visit.calling, visit.query.get("part") == "live"
    running = await visit.core.spending.running(caller)
    allowance = await visit.core.spending.limits(caller)
    deeds = await visit.core.history.deeds(caller, DeedQuery(most=_LATEST))
    fleet = await visit.core.fleet(caller)
    counts = Counter(machine.state for machine in fleet.instances() if not machine.has_ended)
    show_it = partial(visit.part, "overview_part.html") if is_part else partial(visit.page, "overview.html")
    return await show_it(
        states=[(state.value, counts[state]) for state in State if counts[state]],
        machines=counts.total(),
        failed=[each for each in fleet.instances() if each.has_failed],
        running=running,
        allowance=allowance,
        deeds=deeds,
        account=await visit.core.access.account(caller),
        has_key_pair=bool(fleet.key_pairs()),
    )
