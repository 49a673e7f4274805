"""What is sold, and how much of it is left."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.commands.command import JSON, Command, examples, operate
from gateway.tables import sheet, table

_MIB_PER_GIB = 1024
_NO_PRODUCTS = "No products yet. `onefleet serve` takes those of config.toml into the database."


def _tell_products(products: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            product["product"],
            product["instance_type"],
            _price(product),
            str(product["vcpus"]),
            _memory(product),
            f"{product['disk_gib']} GiB",
            _gpu(product),
            f"{product['free']} of {product['capacity']}",
        )
        for product in products
    ]
    return table(("PRODUCT", "TYPE", "PRICE", "VCPUS", "MEMORY", "DISK", "GPU", "FREE"), rows, empty=_NO_PRODUCTS)


def _tell_product(product: Mapping[str, Any]) -> str:
    facts = [
        ("product", product["product"]),
        ("type", product["instance_type"]),
        ("title", product["title"]),
        ("about", product["description"]),
        ("price", f"{_price(product)} a machine"),
        ("vcpus", str(product["vcpus"])),
        ("memory", _memory(product)),
        ("disk", f"{product['disk_gib']} GiB"),
        ("gpu", _gpu(product).rstrip("-")),
        ("image", f"{product['image']} ({product['architecture']})"),
        ("metadata", "" if product["has_metadata"] else "its machines cannot ask about themselves"),
        *((f"zone {zone['zone']}", f"{zone['free']} of {zone['capacity']} free") for zone in product["zones"]),
    ]
    return sheet(facts)


def _tell_zones(zones: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            zone["zone"],
            zone["region"],
            zone["state"],
            product["product"],
            str(product["capacity"]),
            str(product["taken"]),
            str(product["free"]),
        )
        for zone in zones
        for product in zone["products"] or [{"product": "-", "capacity": 0, "taken": 0, "free": 0}]
    ]
    head = ("ZONE", "REGION", "STATE", "PRODUCT", "CAPACITY", "TAKEN", "FREE")
    return table(head, rows, empty="No zones yet. `onefleet serve` takes those of config.toml into the database.")


def _price(product: Mapping[str, Any]) -> str:
    return f"{product['hourly_price']} {product['currency']}/h"


def _memory(product: Mapping[str, Any]) -> str:
    mib = product["memory_mib"]
    return f"{mib} MiB" if mib % _MIB_PER_GIB else f"{mib // _MIB_PER_GIB} GiB"


def _gpu(product: Mapping[str, Any]) -> str:
    gpu = product["gpu"]
    return f"{gpu['count']} x {gpu['manufacturer']} {gpu['name']}" if gpu else "-"


COMMANDS: Sequence[Command] = (
    Command(
        "product list",
        "list what is sold",
        "List the products that can be booked, with their price and how many are free in all zones together.",
        operate(_tell_products),
        examples("product list"),
        JSON,
    ),
    Command(
        "product show",
        "tell all about one product",
        "Tell all about one product, and how many are free in each zone.",
        operate(_tell_product),
        examples("product show gcl.1"),
        {"product": {"metavar": "PRODUCT", "help": "its name in config.toml (slug), or its instance type"}, **JSON},
    ),
    Command(
        "zone list",
        "list zones: capacity, taken, free",
        "List the zones with how many machines of each product they hold, how many are taken, and how many are free."
        " An open zone takes new bookings.",
        operate(_tell_zones),
        examples("zone list"),
        JSON,
    ),
)
