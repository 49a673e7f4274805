"""One machine: what it is and does, what it wrote and shows, what it used, and its power buttons."""

from collections.abc import Mapping, Sequence
from functools import partial

from aiohttp import web

from core.errors import IncorrectState
from core.fleet import SSH_PORT, Fleet
from core.instances import RESIZABLE, Instance, State
from core.ports import DriverCode, DriverError
from core.tags import ResourceKind
from core.usage import Span
from protocols.console import graphs, listing
from protocols.console.errors import PageNotFound
from protocols.console.rendering import HEADERS
from protocols.console.routes import Pages, Visit
from protocols.console.terminal import plain
from protocols.console.views.machines import POWERS, allowed, carry_out

pages = Pages()

_SPANS = (Span.HOUR, Span.DAY, Span.WEEK, Span.MONTH)
_FAILURES_TO_TELL = 2

_REASONS: Mapping[str, str] = {
    "user": "you asked for it",
    "guest": "its operating system shut itself down",
    "crash": "it crashed",
    "launch-failed": "it could not be started",
    "no-capacity": "there was no room for it",
    "lost": "it no longer exists where it stood",
}


async def found(visit: Visit) -> tuple[Fleet, Instance]:
    """Return what the caller sees, and the machine of it that the path names.

    Raises:
        UnknownInstances: it is not there, or another's.
    """
    fleet = await visit.core.fleet(visit.calling)
    [machine] = fleet.instances_by_id([visit.machine_id()])
    return fleet, machine


async def page(visit: Visit, template: str, at: str = "", **values: object) -> web.Response:
    """Return a page about the machine that the path names; `at` is the tab that it belongs to."""
    fleet, machine = await found(visit)
    values = {"machine": machine, "name": listing.named(fleet, machine), "at": at, **values}
    return await visit.page(template, **values)


# --- the machine


@pages.get("machines/{machine}")
async def show(visit: Visit) -> web.StreamResponse:
    """Return the machine, or only what of it is live."""
    fleet, machine = await found(visit)
    events = await visit.core.history.events(visit.calling, machine.id)
    is_part = visit.query.get("part") == "live"
    show_it = partial(visit.part, "machine_part.html") if is_part else partial(visit.page, "machine.html")
    return await show_it(
        machine=machine,
        name=listing.named(fleet, machine),
        at="",
        each=listing.listed(fleet, machine),
        order=fleet.order(machine.order_id),
        image=fleet.image(machine.image_id),
        ssh=_ssh(visit, fleet, machine),
        bound=fleet.bound_to(machine.id),
        groups=fleet.groups_of(machine),
        tags=sorted(fleet.tags(ResourceKind.INSTANCE, machine.id).items()),
        powers=allowed(machine),
        reason=machine.detail or (_REASONS.get(machine.cause.value, "") if machine.cause else ""),
        trouble=_trouble(visit, machine),
        events=events,
        is_resizable=machine.state in RESIZABLE,
    )


@pages.post("machines/{machine}/power", again=show)
async def power(visit: Visit) -> web.StreamResponse:
    """Press a power button; see `machines.power`."""
    _, machine = await found(visit)
    verb, here = visit.form.value("verb"), f"machines/{visit.variables['machine']}"
    if verb not in POWERS:
        raise PageNotFound
    return await carry_out(visit, POWERS[verb], [machine.id], f"{here}/power", here)


def _ssh(visit: Visit, fleet: Fleet, machine: Instance) -> str:
    """Return the line that logs in to the machine; empty if it cannot be reached at all."""
    if machine.has_ended:
        return ""
    way = fleet.way_in(machine)
    host = way.host or visit.settings.ssh_host or visit.exchange.host.rsplit(":", 1)[0].strip("[]")
    return f"ssh {way.user}@{host}" if way.port == SSH_PORT else f"ssh -p {way.port} {way.user}@{host}"


def _trouble(visit: Visit, machine: Instance) -> str:
    """Return what holds up a machine that is not as it is to be; empty if nothing does."""
    if visit.house.backstage is None or machine.is_gone:
        return ""
    waiting = next((each for each in visit.house.backstage.backlog() if each.instance_id == machine.id), None)
    if waiting is None or waiting.failures < _FAILURES_TO_TELL:
        return ""
    times = f"{waiting.failures} attempts to do what was asked have failed"
    return f"Its host does not answer as it should: {times}. It is tried again by itself; nothing is lost."


# --- what it wrote, what it shows


@pages.get("machines/{machine}/console")
async def show_console(visit: Visit) -> web.StreamResponse:
    """Return the end of what the machine wrote to its console, and its screen."""
    _, machine = await found(visit)
    text, trouble = "", ""
    try:
        text = plain(await visit.core.machines.console_log(visit.calling, machine.id))
    except DriverError as error:
        trouble = str(error)
    return await page(
        visit, "machine_console.html", "/console", text=text, trouble=trouble, is_up=machine.state is State.RUNNING
    )


@pages.get("machines/{machine}/screenshot")
async def show_screen(visit: Visit) -> web.StreamResponse:
    """Return the page with the machine's screen, or why there is none."""
    trouble = ""
    try:
        await visit.core.machines.screenshot(visit.calling, visit.machine_id())
    except DriverError as error:
        is_none = error.code is DriverCode.UNSUPPORTED
        trouble = f"{error} Its console log tells what it writes." if is_none else str(error)
    except IncorrectState:
        trouble = "The machine is not up, so that its screen is dark. Start it to see what it shows."
    return await page(visit, "machine_screen.html", "/console", trouble=trouble)


@pages.get("machines/{machine}/screenshot.png")
async def screen(visit: Visit) -> web.StreamResponse:
    """Return what the machine's screen shows, a picture."""
    picture = await visit.core.machines.screenshot(visit.calling, visit.machine_id())
    return web.Response(body=picture, headers={**HEADERS, "Content-Type": "image/png"})


# --- what it used


@pages.get("machines/{machine}/graphs")
async def show_graphs(visit: Visit) -> web.StreamResponse:
    """Return graphs of what the machine used, with the same in numbers."""
    text = visit.query.get("span", Span.HOUR.value)
    span = next((each for each in _SPANS if each.value == text), Span.HOUR)
    usages = await visit.core.machines.usage(visit.calling, visit.machine_id(), span)
    fleet, machine = await found(visit)
    product = fleet.product(machine.product_id)
    drawn: Sequence[graphs.Graph] = graphs.draw(usages, span, visit.now, product.vcpus, product.memory_mib)
    return await page(
        visit, "machine_graphs.html", "/graphs", graphs=drawn, span=span, spans=_SPANS, has_any=bool(usages)
    )
