"""Writes products, orders and credentials as ZeroSix does: money and counts as text, time in the site's zone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from core import billing, orders
from core.catalogue import Product
from core.fleet import Fleet
from core.instances import Instance
from core.service import OrderView
from protocols.zerosix.settings import ZeroSixSettings

Document = dict[str, object]

_PHP_NAMED_ZONE = 3
"""What PHP's DateTime calls a zone that is given by its name."""


def product(ware: Product) -> Document:
    """Return a product."""
    return {
        "id": ware.id,
        "title": ware.title,
        "slug": ware.slug,
        "description": ware.description,
        "permalink": f"product/{ware.slug}/",
        "hourly-price": money(ware.hourly_price),
        "currency": ware.currency,
        "attributes": attributes(ware),
    }


def attributes(ware: Product) -> Mapping[str, str]:
    """Return a product's attributes, its place among them."""
    return {**ware.attributes, "geo": ware.geo}


def order(view: OrderView, fleet: Fleet, settings: ZeroSixSettings) -> Document:
    """Return an order with its machines."""
    booked, now = view.order, fleet.now
    machines = [(instance, billing.cost(instance, now)) for instance in view.instances]
    return {
        "order_id": booked.id,
        "order_key": booked.order_key,
        "order_status": orders.order_status(view.instances),
        "date_created": moment(booked.created_at, settings.timezone),
        "hourly-price": money(booked.hourly_price),
        "currency": booked.currency,
        "product": {"id": booked.product_id, "name": fleet.product(booked.product_id).title},
        "file_url": booked.file_url,
        "script_url": booked.script_url,
        "total_cost": money(sum([cost for _, cost in machines], Decimal())),
        "ec2_reservation_id": f"r-{booked.id:017x}",
        "instances": [_instance(instance, cost, fleet, settings) for instance, cost in machines],
    }


def credentials(view: OrderView, ssh_key: str, fleet: Fleet, settings: ZeroSixSettings) -> Document:
    """Return how to log in to the machines of an order that are still rented.

    Those that ended are left out: their ports may be other customers' by now.
    """
    machines = [instance for instance in view.instances if not instance.has_ended]
    doors = [(instance, _door(instance, fleet, settings)) for instance in machines]
    return {
        "order_id": view.order.id,
        "order_key": view.order.order_key,
        "ssh_key": ssh_key,
        "instances": [
            {"instance_id": instance.id, "ssh_hostname": door.hostname, "ssh_port": str(door.port)}
            for instance, door in doors
        ],
    }


def money(amount: Decimal) -> str:
    """Return an amount as plain digits: no exponent, and no zeros at the end of a fraction."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@lru_cache(maxsize=4096)
def moment(at: datetime, zone: ZoneInfo) -> Mapping[str, object]:
    """Return a time as PHP's DateTime shows itself, to the second."""
    local = at.astimezone(zone).replace(tzinfo=None)
    return {"time": local.isoformat(timespec="seconds"), "timezone_type": _PHP_NAMED_ZONE, "timezone": zone.key}


@dataclass(slots=True)
class _Door:
    """Where one logs in to a machine, with the user's name before the host's."""

    hostname: str
    port: int


def _door(instance: Instance, fleet: Fleet, settings: ZeroSixSettings) -> _Door:
    way = fleet.way_in(instance)
    return _Door(f"{way.user}@{way.host or settings.ssh_host}", way.port)


def _instance(instance: Instance, cost: Decimal, fleet: Fleet, settings: ZeroSixSettings) -> Document:
    door, product = _door(instance, fleet, settings), fleet.product(instance.product_id)
    return {
        "instance_id": instance.id,
        "status": f"wc-{orders.instance_status(instance)}",
        "start_date": moment(instance.launched_at, settings.timezone),
        "end_date": moment(instance.ended_at, settings.timezone) if instance.ended_at else "",
        "machine": f"-p{door.port} {door.hostname}",
        "rented_hours": str(billing.started_hours(instance, fleet.now)),
        "hourly-price": money(instance.hourly_price),
        "product": {"id": product.id, "name": product.title},
        "total_cost": money(cost),
        "ec2_instance_id": f"i-{instance.id:017x}",
    }
