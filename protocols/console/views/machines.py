"""The machines of an account: all of them, live, and what is done to many at once."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from core.accounts import Caller
from core.errors import CoreError, IncorrectState, Protected
from core.fleet import Fleet
from core.ids import InstanceId
from core.instances import REBOOTABLE, STARTABLE, STOPPABLE, Instance, State, Wanted
from core.service import Core
from core.tags import ResourceKind
from protocols import ids
from protocols.console import listing
from protocols.console.lasting import while_there
from protocols.console.listing import ORDERS
from protocols.console.paging import leaf
from protocols.console.rendering import HEADERS
from protocols.console.routes import Pages, Visit

pages = Pages()

_MOST_AT_ONCE = 1000
_ID = re.compile("i-[0-9a-f]{17}")

# --- what can be done to machines


@dataclass(frozen=True, slots=True)
class Power:
    """What a power button does. `question` is asked first where something is lost, and `loss` told of each machine."""

    label: str
    done: str
    act: Callable[[Core, Caller, Sequence[InstanceId]], Awaitable[object]]
    is_allowed: Callable[[Instance], bool]
    question: str = ""
    button: str = ""
    loss: Callable[[Instance], str] = lambda _: ""


def _disk_of(machine: Instance) -> str:
    return "its disk is kept" if machine.options.keeps_disk else "its disk is lost with all that is on it"


POWERS: Mapping[str, Power] = {
    "start": Power(
        "Start",
        "starting",
        Core.start,
        lambda machine: machine.state in STARTABLE and machine.wanted is not Wanted.RUNNING,
    ),
    "reboot": Power(
        "Reboot",
        "rebooting",
        Core.reboot,
        lambda machine: machine.state in REBOOTABLE,
    ),
    "stop": Power(
        "Stop",
        "stopping",
        partial(Core.stop, is_forced=False),
        lambda machine: machine.state in STOPPABLE and machine.wanted is not Wanted.STOPPED,
    ),
    "force-stop": Power(
        "Force off",
        "being switched off",
        partial(Core.stop, is_forced=True),
        lambda machine: machine.state in (State.RUNNING, State.STOPPING) and not machine.is_forced,
        "It is as if the power failed: what is not yet written to a disk is lost.",
        "Force off",
    ),
    "terminate": Power(
        "Terminate",
        "being terminated",
        Core.terminate,
        lambda machine: not machine.has_ended,
        "Their rental ends now, and nobody can bring them back.",
        "Terminate",
        _disk_of,
    ),
}
"""The power buttons by their names, in the order in which they stand."""


def allowed(machine: Instance) -> Sequence[tuple[str, Power]]:
    """Return the power buttons that can be pressed for a machine now."""
    return [(name, power) for name, power in POWERS.items() if power.is_allowed(machine)]


# --- the list


@pages.get("machines")
async def show(visit: Visit) -> web.StreamResponse:
    """Return the machines, or only the part that lists them."""
    fleet, query = await visit.core.fleet(visit.calling), visit.query
    names = ("text", "state", "zone", "type", "sort")
    wanted = listing.Wanted(**{name: query.get(name, "").strip() for name in names})
    every = list(fleet.instances())
    here = leaf(wanted.find(fleet), query)
    said = {name: getattr(wanted, name) for name in names}
    is_part = query.get("part") == "table"
    show_it = partial(visit.part, "machines_part.html") if is_part else partial(visit.page, "machines.html")
    return await show_it(
        machines=[listing.listed(fleet, each) for each in here.items],
        leaf=here,
        total=len(every),
        wanted=wanted,
        query=visit.query_of(**said).removeprefix("?"),
        states=[(each.value, each.value) for each in State],
        zones=_options({fleet.zone(each.zone_id).name for each in every}),
        types=_options({fleet.product(each.product_id).instance_type for each in every}),
        orders=list(ORDERS.items()),
        powers=POWERS,
    )


@pages.post("machines/power", again=show)
async def power(visit: Visit) -> web.StreamResponse:
    """Do to the machines that were ticked what a button says, after a question where something is lost."""
    form, back = visit.form, f"machines{visit.query_of(**visit.query)}"
    if (verb := form.value("verb")) not in POWERS:
        form.refuse("", "Choose what to do with them.")
    if not (wanted := _ids(form.each("machine"))):
        form.refuse("", "Tick the machines first.")
    form.require()
    return await carry_out(visit, POWERS[verb], wanted, f"machines/power{visit.query_of(**visit.query)}", back)


async def carry_out(
    visit: Visit, power: Power, wanted: Sequence[InstanceId], path: str, back: str
) -> web.StreamResponse:
    """Press a power button for machines and lead back; ask first, with a form that goes to `path`, where need be."""
    fleet = await visit.core.fleet(visit.calling)
    machines = fleet.instances_by_id(wanted)
    names = {machine.id: listing.named(fleet, machine) for machine in machines}
    if power.question and not visit.form.flag("confirmed"):
        return await visit.page(
            "confirm.html",
            title=f"{power.label} {_counted(names)}?",
            text=power.question,
            lost=[_told(names[machine.id], machine, power) for machine in machines],
            path=path,
            values=[("verb", visit.form.value("verb")), *(("machine", ids.instance_id(each)) for each in wanted)],
            label=power.button,
            back=back,
        )
    try:
        await power.act(visit.core, visit.calling, wanted)
    except (IncorrectState, Protected) as error:
        # In the words of lists: core knows machines by number alone.
        name = names[error.instance_id]
        visit.form.refuse("", f"{name} ({ids.instance_id(error.instance_id)}): {error} Nothing was changed.")
        visit.form.require()
    return visit.go(back, f"{_counted(names)} {'is' if len(names) == 1 else 'are'} {power.done}.")


def _options(names: set[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in sorted(names)]


def _ids(texts: Sequence[str]) -> list[InstanceId]:
    """Return the machines that boxes stand for; none for what is no id."""
    return [
        InstanceId(int(text.partition("-")[2], 16))
        for text in dict.fromkeys(texts[:_MOST_AT_ONCE])
        if _ID.fullmatch(text)
    ]


def _counted(names: Mapping[InstanceId, str]) -> str:
    return next(iter(names.values())) if len(names) == 1 else f"{len(names)} machines"


def _told(name: str, machine: Instance, power: Power) -> str:
    loss = power.loss(machine)
    return f"{name} ({ids.instance_id(machine.id)})" + (f": {loss}" if loss else "")


# --- what keeps pages up to date

_PAUSE_SECONDS = 1.0
_BREATH_SECONDS = 0.1
"""How long to let other accounts' changes gather before looking whether any is ours."""
_KEEP_ALIVE_SECONDS = 20.0
_CHANGED = b"event: changed\ndata: \n\n"
_STILL_HERE = b": still here\n\n"


@pages.get("machines/stream")
async def stream(visit: Visit) -> web.StreamResponse:
    """Tell an open page whenever something has changed of what the account can see: at most once a second.

    What has changed since the page was made is told at once, as its browser may come late, or come back after a while.
    """
    visit.exchange.is_long = True
    headers = {**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    with visit.house.streams.taking(visit.me.sign_in.id):
        try:
            await response.prepare(visit.request)
            await while_there(visit, _tell_changes(visit, response))
            await response.write(_CHANGED)  # whoever is signed out asks once more, and is led to the sign-in
        except (CoreError, ConnectionError):
            pass  # the browser has left, or asks again when it may
    return response


async def _tell_changes(visit: Visit, response: web.StreamResponse) -> None:
    fleet = await visit.core.fleet(visit.calling)
    seen, line = _seen(fleet), _STILL_HERE
    if visit.query.get("since", "") not in ("", str(fleet.revision)):
        line = _CHANGED
    while True:
        await response.write(line)
        await asyncio.sleep(_PAUSE_SECONDS)
        line = _STILL_HERE
        with suppress(TimeoutError):
            async with asyncio.timeout(_KEEP_ALIVE_SECONDS):
                seen, line = await _other_than(visit, seen), _CHANGED


async def _other_than(visit: Visit, seen: Sequence[object]) -> Sequence[object]:
    """Return what the account sees as soon as that is something else."""
    while True:
        fleet = await visit.core.fleet(visit.calling)
        now = _seen(fleet)
        if len(now) != len(seen) or any(one is not other for one, other in zip(now, seen, strict=True)):
            return now
        await visit.core.history.news(fleet.revision)
        await asyncio.sleep(_BREATH_SECONDS)


def _seen(fleet: Fleet) -> Sequence[object]:
    """Return what pages tell of an account: the rows themselves, as each change puts another one in place."""
    machines = list(fleet.instances())
    tags = (fleet.tags(ResourceKind.INSTANCE, machine.id) for machine in machines)
    return [*machines, *tags, *fleet.addresses(), *fleet.security_groups()]
