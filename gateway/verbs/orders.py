"""Verbs about orders."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from core.billing import cost
from core.errors import UnknownOrder
from core.fleet import Fleet
from core.ids import AccountId, OrderId
from core.orders import has_ended, order_status
from core.service.core import OrderView
from core.tags import ResourceKind
from gateway.control import Arguments, Document
from gateway.office import Office, Verb
from gateway.verbs import spelling
from gateway.verbs.instances import describe
from gateway.verbs.spelling import moment, moment_or_none
from protocols import ids


async def _list(office: Office, said: Arguments) -> Document:
    found = []
    for fleet in await office.fleets(spelling.account_id_or_none(said.get("account"))):
        views = await office.core.orders(office.caller(fleet.account_id))
        found += [_order(fleet, view) for view in views if said.get("all") or not has_ended(view.instances)]
    return found


async def _show(office: Office, said: Arguments) -> Document:
    order_id = spelling.order_id(said["order"])
    account_id = await _owner(office, order_id)
    fleet, view = await office.fleet(account_id), await office.core.order(office.caller(account_id), order_id)
    return {**_order(fleet, view), "instances": [describe(fleet, each, office.ssh_host) for each in view.instances]}


async def _owner(office: Office, order_id: OrderId) -> AccountId:
    order = (await office.store.view()).orders.get(order_id)
    if order is None and (archived := await office.store.archived_order(order_id)):
        order = archived.order
    if order is None:
        raise UnknownOrder(str(order_id))
    return order.account_id


def _order(fleet: Fleet, view: OrderView) -> Document:
    order = view.order
    return {
        "order_id": ids.reservation_id(order.id),
        "number": order.id,
        "account_id": ids.owner_id(order.account_id),
        "status": order_status(view.instances).value,
        "count": len(view.instances),
        "product": fleet.product(order.product_id).slug,
        "zone": fleet.zone(order.zone_id).name,
        "image": fleet.image(order.image_id).name,
        "hourly_price": str(order.hourly_price),
        "currency": order.currency,
        "cost": str(_sum(cost(machine, fleet.now) for machine in view.instances)),
        "protocol": order.protocol.value,
        "key_name": order.key_name,
        "created_at": moment(order.created_at),
        "closed_at": moment_or_none(order.closed_at),
        "tags": dict(fleet.tags(ResourceKind.ORDER, order.id)),
        "instance_ids": [ids.instance_id(machine.id) for machine in view.instances],
    }


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal())


VERBS: Mapping[str, Verb] = {"order list": _list, "order show": _show}
