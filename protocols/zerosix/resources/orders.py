"""Booking machines, looking at what is booked, and ending it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.fleet import Fleet
from core.ids import OrderId, ProductId
from core.orders import LONGEST_URL, MOST_MACHINES, Booking, Status, is_download, order_status
from core.service import OrderView
from protocols.zerosix import encode, schemas
from protocols.zerosix.auth import authenticated
from protocols.zerosix.errors import (
    ENDED_ORDER,
    FOREIGN_ORDER,
    INVALID_INSTANCES,
    INVALID_ORDER_ID,
    INVALID_PRODUCT_ID,
    INVALID_URL,
    NO_ROOM,
    PROTECTED,
    TOO_DEAR,
    TOO_MUCH,
)
from protocols.zerosix.pages import PAGE_HEADERS, PAGING, cut, in_batches
from protocols.zerosix.parameters import Kind, Parameter, Unfit, Values, choice, list_of, moment, whole_number, words
from protocols.zerosix.routes import Answer, Call, Result, Route
from protocols.zerosix.settings import ZeroSixSettings

_TEMPLATE = "orders"
_ANY_STATUS = "any"
_NEVER = ("cancelled", "refunded", "trash")  # documented, but no order comes to stand so


def _read_url(value: object, _: ZeroSixSettings) -> str:
    if not isinstance(value, str) or not (value == "" or is_download(value)):
        raise Unfit("rest_invalid_param", "is not a URL that can be downloaded.")
    return value


_URL_SCHEMA = {"type": "string", "maxLength": LONGEST_URL, "pattern": "^([Hh][Tt][Tt][Pp][Ss]?://.+)?$"}
_URL = Kind(_read_url, lambda _: _URL_SCHEMA)

# --- what a booking takes

PRODUCT_ID = Parameter(
    "product_id", whole_number(1), "The product ID we want to book.", is_required=True, fault=INVALID_PRODUCT_ID
)
INSTANCES = Parameter(
    "instances",
    whole_number(1, MOST_MACHINES),
    "Number of instances to start with.",
    is_required=True,
    fault=INVALID_INSTANCES,
)
FILE_URL = Parameter("file_url", _URL, "URL of the file to be loaded on the machines.", fault=INVALID_URL["file_url"])
SCRIPT_URL = Parameter(
    "script_url", _URL, "URL of the script file to be executed on the machines.", fault=INVALID_URL["script_url"]
)
BOOKING = (PRODUCT_ID, INSTANCES, FILE_URL, SCRIPT_URL)

# --- what a list takes

STATUS = Parameter(
    "status",
    list_of(choice(_ANY_STATUS, *Status, *_NEVER)),
    "Limit the list to orders that stand in one of these ways.",
)
AFTER = Parameter("after", moment(), "Limit the list to orders created after this time.")
BEFORE = Parameter("before", moment(), "Limit the list to orders created before this time.")
INCLUDE = Parameter("include", list_of(whole_number(1)), "Limit the list to these orders.")
EXCLUDE = Parameter("exclude", list_of(whole_number(1)), "Leave these orders out.")
SEARCH = Parameter(
    "search", words(), "Limit the list to orders with this in their key or in the name of their product."
)
ORDER = Parameter("order", choice("asc", "desc"), "Order of the list, ascending or descending.", default="desc")
ORDER_BY = Parameter(
    "orderby",
    choice("date", "id", "include"),
    "What the list is ordered by; include is the order of that parameter.",
    default="date",
)
LISTING = (STATUS, AFTER, BEFORE, INCLUDE, EXCLUDE, SEARCH, ORDER, ORDER_BY, *PAGING)

ORDER_ID = Parameter("id", whole_number(1), "Unique identifier for the order.", fault=INVALID_ORDER_ID)


def read_booking(values: Values) -> Booking:
    """Return the booking that a request asks for."""
    return Booking(
        product_id=ProductId(values[PRODUCT_ID]),
        least=values[INSTANCES],
        most=values[INSTANCES],
        wants_own_key=True,
        file_url=values.get(FILE_URL) or "",
        script_url=values.get(SCRIPT_URL) or "",
    )


async def _list(call: Call) -> Answer:
    found = await _filtered(call, await call.core.orders(call.caller))
    views, headers = cut(call, _ordered(found, call.values), _TEMPLATE)
    documents: list[encode.Document] = []
    async for batch in in_batches(views):
        fleet = await call.core.fleet(call.caller)
        documents += [encode.order(view, fleet, call.settings) for view in batch]
    return Answer(documents, headers=headers)


async def _create(call: Call) -> Answer:
    placed = await call.core.book(call.caller, read_booking(call.values))
    fleet = await call.core.fleet(call.caller)
    # Documented so: a list, although a booking makes one order.
    return Answer([encode.order(OrderView(placed.order, placed.instances), fleet, call.settings)])


async def _retrieve(call: Call) -> Answer:
    view = await call.core.order(call.caller, _order_id(call))
    return Answer(encode.order(view, await call.core.fleet(call.caller), call.settings))


async def _complete(call: Call) -> Answer:
    await call.core.complete(call.caller, _order_id(call))
    return Answer(None, status=204)


def _order_id(call: Call) -> OrderId:
    return OrderId(ORDER_ID.read(call.name, call.settings))


# --- choosing and ordering


def _stands(view: OrderView, wanted: Mapping[str, int], _: Fleet) -> bool:
    return _ANY_STATUS in wanted or order_status(view.instances) in wanted


def _mentions(view: OrderView, wanted: str, fleet: Fleet) -> bool:
    order = view.order
    return wanted in f"{order.order_key} {fleet.product(order.product_id).title}".casefold()


def _created(view: OrderView) -> datetime:
    return view.order.created_at.replace(microsecond=0)  # as it is told: nobody can ask for more than they see


_FILTERS: Mapping[Parameter[Any], Callable[[OrderView, Any, Fleet], bool]] = {
    STATUS: _stands,
    AFTER: lambda view, bound, _: _created(view) > bound,
    BEFORE: lambda view, bound, _: _created(view) < bound,
    INCLUDE: lambda view, ids, _: view.order.id in ids,
    EXCLUDE: lambda view, ids, _: view.order.id not in ids,
    SEARCH: _mentions,
}


async def _filtered(call: Call, views: Sequence[OrderView]) -> Sequence[OrderView]:
    asked = [(admits, wanted) for parameter, admits in _FILTERS.items() if (wanted := call.values.get(parameter))]
    if not asked:
        return views
    found: list[OrderView] = []
    async for batch in in_batches(views):
        fleet = await call.core.fleet(call.caller)
        found += [view for view in batch if all(admits(view, wanted, fleet) for admits, wanted in asked)]
    return found


def _ordered(views: Sequence[OrderView], values: Values) -> Sequence[OrderView]:
    """Return the orders, which come newest first; their ids count upwards as they are placed."""
    places = values.get(INCLUDE) if values[ORDER_BY] == "include" else None
    if places:
        return sorted(views, key=lambda view: places[view.order.id])
    return views if values[ORDER] == "desc" else views[::-1]


_CREATE = authenticated(
    _create,
    "createOrder",
    "Book machines",
    takes=BOOKING,
    gives=Result("The machines are booked.", schemas.PLACED),
    faults=(NO_ROOM, TOO_MUCH, TOO_DEAR),
)
ROUTES = (
    Route(
        _TEMPLATE,
        GET=authenticated(
            _list,
            "listOrders",
            "List your orders, newest first",
            takes=LISTING,
            gives=Result("Your orders.", schemas.ORDERS, headers=PAGE_HEADERS),
        ),
        PUT=_CREATE,
        # WordPress's clients create by POST; the documented method is PUT.
        POST=replace(_CREATE, operation="createOrderByPost"),
    ),
    Route(
        f"{_TEMPLATE}/{{id}}",
        ORDER_ID,
        GET=authenticated(
            _retrieve,
            "retrieveOrder",
            "Retrieve an order",
            gives=Result("The order.", schemas.ORDER),
            faults=(FOREIGN_ORDER,),
        ),
        DELETE=authenticated(
            _complete,
            "completeOrder",
            "End the rental of all machines of an order",
            gives=Result("All machines end.", status=204),
            faults=(FOREIGN_ORDER, ENDED_ORDER, PROTECTED),
        ),
    ),
)
