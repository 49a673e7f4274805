"""Orders."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.commands.accounts import ACCOUNT
from gateway.commands.command import JSON, Command, examples, operate
from gateway.commands.instances import NO_MACHINES, tell_instances
from gateway.tables import sheet, table


def _tell_orders(orders: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            str(order["number"]),
            order["order_id"],
            order["account_id"],
            order["status"],
            f"{order['count']} x {order['product']}",
            order["zone"],
            order["created_at"],
            f"{order['cost']} {order['currency']}",
        )
        for order in orders
    ]
    head = ("ORDER", "RESERVATION", "ACCOUNT", "STATUS", "MACHINES", "ZONE", "CREATED", "COST SO FAR")
    return table(head, rows, empty=f"No open orders; --all lists those that have ended, too. {NO_MACHINES}")


def _tell_order(order: Mapping[str, Any]) -> str:
    facts = [
        ("order", f"{order['number']} ({order['order_id']})"),
        ("account", order["account_id"]),
        ("status", order["status"]),
        ("product", f"{order['count']} x {order['product']} in {order['zone']}, of {order['image']}"),
        ("price", f"{order['hourly_price']} {order['currency']}/h a machine"),
        ("cost so far", f"{order['cost']} {order['currency']}"),
        ("created", f"{order['created_at']} through {order['protocol']}"),
        ("closed", order["closed_at"] or ""),
        ("key pair", order["key_name"]),
        ("tags", " ".join(f"{key}={value}" for key, value in order["tags"].items())),
    ]
    return f"{sheet(facts)}\n{tell_instances(order['instances'])}"


COMMANDS: Sequence[Command] = (
    Command(
        "order list",
        "list orders",
        "List the orders that have machines, by account and newest first; with --all, those that have ended as well.",
        operate(_tell_orders),
        examples("order list", "order list --account 100000000001 --all --json"),
        {
            **ACCOUNT,
            "--all": {"action": "store_true", "help": "also those that have ended, however long ago"},
            **JSON,
        },
    ),
    Command(
        "order show",
        "tell all about one order",
        "Tell all about one order and its machines, however long ago it ended.",
        operate(_tell_order),
        examples("order show 5", "order show r-00000000000000005"),
        {"order": {"metavar": "ORDER", "help": "its number, or its reservation id: 5 or r-…"}, **JSON},
    ),
)
