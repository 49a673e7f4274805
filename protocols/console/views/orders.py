"""What was ordered: the list, one order with its machines, its private key, and its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from aiohttp import web

from core import billing
from core.errors import OrderEnded, Protected, UnknownOrder
from core.fleet import Fleet
from core.ids import OrderId
from core.instances import Instance
from core.kinds import ResourceKind
from core.orders import Order, Status, has_ended, order_status
from core.service import OrderView
from protocols import ids
from protocols.console import rendering
from protocols.console.forms import Form
from protocols.console.listing import PROTOCOLS, named
from protocols.console.paging import leaf
from protocols.console.routes import Pages, Visit

pages = Pages()

_LONGEST_NUMBER = 15
_MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Line:
    """An order as lists show it."""

    order: Order
    machines: int
    status: Status
    title: str
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of an order. `login` is what one types to log in; empty once it has ended."""

    machine: Instance
    name: str
    cost: Decimal
    login: str
    is_visible: bool


# --- the list


@pages.get("orders")
async def show(visit: Visit) -> web.StreamResponse:
    """Return the account's orders, newest first."""
    visit.form = Form(list(visit.query.items()), is_sent=True)
    text, status = visit.query.get("text", ""), visit.query.get("status", "")
    everything = await visit.core.orders(visit.calling)
    fleet = await visit.core.fleet(visit.calling)
    found = [view for view in everything if _is_wanted(view, fleet, text.strip().casefold(), status)]
    page = leaf(found, visit.query)
    query = visit.query_of(text=text, status=status)
    values = {
        "leaf": page,
        "lines": [_line(view, fleet) for view in page.items],
        "query": f"{query[1:]}&" if query else "",
        "statuses": [("", "any"), *((each.value, each.value) for each in Status)],
        "protocols": PROTOCOLS,
        "is_newcomer": not everything,
    }
    return await visit.page("orders.html", **values)


def _is_wanted(view: OrderView, fleet: Fleet, text: str, status: str) -> bool:
    if status and order_status(view.instances) != status:
        return False
    return not text or text in _searched(view.order, fleet)


def _searched(order: Order, fleet: Fleet) -> str:
    product = fleet.product(order.product_id)
    said = (f"{order.id}", ids.reservation_id(order.id), order.order_key, product.title, product.slug)
    return " ".join(said).casefold()


def _line(view: OrderView, fleet: Fleet) -> Line:
    title = fleet.product(view.order.product_id).title
    return Line(view.order, len(view.instances), order_status(view.instances), title, _cost(view.instances, fleet))


def _cost(machines: Sequence[Instance], fleet: Fleet) -> Decimal:
    return sum((billing.cost(machine, fleet.now) for machine in machines), Decimal())


# --- one order


@pages.get("orders/{order}")
async def show_order(visit: Visit) -> web.StreamResponse:
    """Return one order with its machines."""
    view = await _order(visit)
    fleet = await visit.core.fleet(visit.calling)
    page = leaf(view.instances, visit.query)
    values = {
        "order": view.order,
        "status": order_status(view.instances),
        "has_ended": has_ended(view.instances),
        "is_new": all(machine.is_launching for machine in view.instances),
        "machines": [_machine(visit, view.order, machine, fleet) for machine in page.items],
        "leaf": page,
        "count": len(view.instances),
        "cost": _cost(view.instances, fleet),
    }
    if visit.query.get("part"):
        return await visit.part("order_machines.html", **values)
    return await visit.page(
        "order_one.html",
        product=fleet.product(view.order.product_id),
        zone=fleet.zone(view.order.zone_id),
        image=fleet.image(view.order.image_id),
        term_hours=view.instances[0].term_hours,
        key_file=_key_file(view.order),
        protocols=PROTOCOLS,
        **values,
    )


@pages.get("orders/{order}/private-key")
async def download_private_key(visit: Visit) -> web.StreamResponse:
    """Return the order's private key as a file."""
    view = await _order(visit)
    pem = await visit.core.private_key(visit.calling, view.order.order_key)
    headers = {
        **rendering.HEADERS,
        "Content-Type": "application/x-pem-file",
        "Content-Disposition": f'attachment; filename="{_key_file(view.order)}"',
    }
    return web.Response(body=pem.encode(), headers=headers)


@pages.post("orders/{order}/complete", again=show_order, fields={OrderEnded: "", Protected: ""})
async def complete(visit: Visit) -> web.StreamResponse:
    """End every machine of an order, once that is confirmed."""
    view = await _order(visit)
    number = view.order.id
    if not visit.form.flag("confirmed"):
        return await _ask(visit, view)
    await visit.core.complete(visit.calling, number)
    return visit.go(f"orders/{number}", f"Order {number} is completed; its machines are shutting down.")


async def _ask(visit: Visit, view: OrderView) -> web.StreamResponse:
    fleet, number = await visit.core.fleet(visit.calling), view.order.id
    living = [machine for machine in view.instances if not machine.has_ended]
    lost = [f"{named(fleet, machine)} ({ids.instance_id(machine.id)})" for machine in living[:_MOST_NAMED]]
    more = [f"and {len(living) - _MOST_NAMED} more"] if len(living) > _MOST_NAMED else []
    return await visit.page(
        "confirm.html",
        title=f"Complete order {number}?",
        text="These machines end, and everything on their disks is lost. What they cost so far stays charged.",
        lost=[*lost, *more],
        path=f"orders/{number}/complete",
        values=[],
        label="End all of them",
        back=f"orders/{number}",
    )


async def _order(visit: Visit) -> OrderView:
    """Return the order that the path names.

    Raises:
        UnknownOrder, ForeignOrder: it names none of the account's.
    """
    text = visit.variables["order"]
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
        raise UnknownOrder(text)
    return await visit.core.order(visit.calling, OrderId(int(text)))


def _machine(visit: Visit, order: Order, machine: Instance, fleet: Fleet) -> Machine:
    return Machine(
        machine,
        named(fleet, machine),
        billing.cost(machine, fleet.now),
        "" if machine.has_ended else _login(visit, order, machine, fleet),
        is_visible=fleet.has(ResourceKind.INSTANCE, machine.id),
    )


def _login(visit: Visit, order: Order, machine: Instance, fleet: Fleet) -> str:
    way = fleet.way_in(machine)
    key = f"-i {_key_file(order)} " if order.has_own_key else ""
    return f"ssh {key}-p {way.port} {way.user}@{way.host or visit.settings.ssh_host}"


def _key_file(order: Order) -> str:
    return f"onefleet-order-{order.id}.pem"
