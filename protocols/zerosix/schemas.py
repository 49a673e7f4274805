"""The schemas of the answers, each declared once: OPTIONS shows them, and the OpenAPI document is made of them.

A schema with a title is a component of that document. Members that are not listed may come with later versions.
"""

from collections.abc import Mapping

from core.orders import Status
from protocols.zerosix.parameters import Schema
from protocols.zerosix.settings import GEOS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXT: Schema = {"type": "string"}
_ANY: Schema = {}


def _object(title: str, description: str, members: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "title": title,
        "description": description,
        "type": "object",
        "properties": members,
        "required": [name for name in members if name not in optional],
    }


def _text(description: str, **more: object) -> Schema:
    return {"type": "string", "description": description, **more}


def _id(description: str) -> Schema:
    return {"type": "integer", "minimum": 1, "description": description}


def _list(items: Schema, description: str = "") -> Schema:
    return {"type": "array", "items": items, **({"description": description} if description else {})}


def _map(values: Schema, description: str) -> Schema:
    return {"type": "object", "additionalProperties": values, "description": description}


def _money(description: str) -> Schema:
    return _text(description, pattern=r"^[0-9]+(\.[0-9]+)?$")


# --- products

ATTRIBUTES = _object(
    "Attributes",
    "What a product is made of and where it is; attributes that it has not are left out.",
    {
        "cpu": _text("Processor."),
        "geo": _text("Place.", enum=list(GEOS)),
        "gpu": _text("Accelerator."),
        "network-speed": _text("Speed of its network."),
        "ram": _text("Memory."),
    },
    optional=("cpu", "gpu", "network-speed", "ram"),
)
PRODUCT = _object(
    "Product",
    "A kind of machine that can be rented.",
    {
        "id": _id("Unique identifier for the product."),
        "title": _text("Product name."),
        "slug": _text("Product slug."),
        "description": _text("Product description."),
        "permalink": _text("Product URL, relative to the site."),
        "hourly-price": _money("Price of one machine for an hour."),
        "currency": _text("Currency of the price."),
        "attributes": ATTRIBUTES,
    },
)
PRODUCTS = _list(PRODUCT)

# --- orders

MOMENT = _object(
    "DateTime",
    "A time in the site's time zone.",
    {
        "time": _text("YYYY-MM-DDTHH:MM:SS", pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"),
        "timezone_type": {"const": 3, "description": "PHP's number for a zone that is given by its name."},
        "timezone": _text("Name of the zone."),
    },
)
ORDERED_PRODUCT = _object(
    "OrderedProduct",
    "What was ordered, or what the machine has since been made.",
    {"id": _id("The ID of the product."), "name": _text("Name of the ordered product.")},
)
INSTANCE = _object(
    "Instance",
    "A rented machine.",
    {
        "instance_id": _id("Unique identifier for the instance."),
        "status": _text("Instance status.", enum=[f"wc-{status}" for status in Status]),
        "start_date": MOMENT,
        "end_date": {"anyOf": [MOMENT, {"const": ""}], "description": "Empty as long as the machine is rented."},
        "machine": _text("What to type after ssh."),
        "rented_hours": _text("Started hours of the rental.", pattern="^[0-9]+$"),
        "hourly-price": _money("Price of an hour, from now on."),
        "product": ORDERED_PRODUCT,
        "total_cost": _money("Price of the started hours, or of the started terms that it was booked by."),
        "ec2_instance_id": _text("The machine's id in the EC2 API.", pattern="^i-[0-9a-f]{17}$"),
    },
)
ORDER = _object(
    "Order",
    "A booking of one or more equal machines.",
    {
        "order_id": _id("Unique identifier for the order."),
        "order_key": _text("Order key.", pattern="^wc_order_[A-Za-z0-9]{1,64}$"),
        "order_status": _text("How the order stands, by its machines.", enum=[*Status]),
        "date_created": MOMENT,
        "hourly-price": _money("Price of one machine for an hour."),
        "currency": _text("Currency of the prices."),
        "product": ORDERED_PRODUCT,
        "file_url": _text("File that was loaded onto the machines, or empty."),
        "script_url": _text("Script that was executed on the machines, or empty."),
        "total_cost": _money("Price of the started hours of all machines."),
        "ec2_reservation_id": _text("The order's id in the EC2 API.", pattern="^r-[0-9a-f]{17}$"),
        "instances": _list(INSTANCE),
    },
)
ORDERS = _list(ORDER)
PLACED = {**_list(ORDER, "The new order, alone in a list."), "minItems": 1, "maxItems": 1}

# --- credentials

LOGIN = _object(
    "Login",
    "How to log in to a machine.",
    {
        "instance_id": _id("Unique identifier for the instance."),
        "ssh_hostname": _text("User and host."),
        "ssh_port": _text("Port.", pattern="^[0-9]+$"),
    },
)
CREDENTIALS = _object(
    "Credentials",
    "How to log in to the machines of an order that are still rented.",
    {
        "order_id": _id("Unique identifier for the order."),
        "order_key": _text("Order key."),
        "ssh_key": _text("URL of the order's private key for an hour; empty where the customer has it."),
        "instances": _list(LOGIN),
    },
)
KEY_FILE = _text("A private key as PEM.")

# --- the API itself

ERROR = _object(
    "Error",
    "A refusal.",
    {
        "code": _text("What is wrong, for programs."),
        "message": _text("What is wrong, for people."),
        "data": {
            "type": "object",
            "properties": {
                "status": {"type": "integer", "description": "The HTTP status."},
                "params": {"description": "Which parameters are wrong: their names, or what is wrong with each."},
                "details": _map(_ANY, "The code and the message for each parameter that is wrong."),
                "request_id": _text("What to tell the operator."),
            },
            "required": ["status"],
        },
    },
)
_LINKS = _map(_list({"type": "object", "properties": {"href": _TEXT}, "required": ["href"]}), "Related URLs.")
_ENDPOINT = _object(
    "Endpoint",
    "What some methods of a route take.",
    {"methods": _list(_TEXT), "args": _map({"type": "object"}, "The parameters by name, each with its schema.")},
)
_ROUTE = {"namespace": _TEXT, "methods": _list(_TEXT), "endpoints": _list(_ENDPOINT), "_links": _LINKS}
ROUTE = _object("Route", "A route in an index.", _ROUTE, optional=("_links",))
DESCRIPTION = _object(
    "RouteDescription",
    "A route with the schema of what it answers.",
    {**_ROUTE, "schema": {"type": "object"}},
    optional=("_links",),
)
_ROUTES = _map(ROUTE, "The routes, by a regular expression of their path.")
NAMESPACE = _object(
    "NamespaceIndex", "The routes of the API.", {"namespace": _TEXT, "routes": _ROUTES, "_links": _LINKS}
)
SITE = _object(
    "SiteIndex",
    "The site and the routes that it has.",
    {
        **dict.fromkeys(("name", "description", "url", "home"), _TEXT),
        "gmt_offset": {"type": "number"},
        "timezone_string": _TEXT,
        "namespaces": _list(_TEXT),
        "authentication": {"type": "object"},
        "routes": _ROUTES,
        "_links": _LINKS,
    },
)
OPENAPI = _object(
    "OpenAPI",
    "An OpenAPI 3.1 document.",
    {"openapi": _text("Its version.", pattern=r"^3\.1\."), "info": {"type": "object"}, "paths": {"type": "object"}},
)
