"""Booking machines, looking at what is booked, and ending it."""

import asyncio
from urllib.parse import urlsplit

from core.ids import OrderId, ProductId
from core.orders import MOST_MACHINES, Booking
from core.service import OrderView
from protocols.zerosix import encode
from protocols.zerosix.auth import authenticated
from protocols.zerosix.decode import Arguments, whole_number
from protocols.zerosix.errors import INVALID_INSTANCES, INVALID_ORDER_ID, INVALID_PRODUCT_ID, INVALID_URL, Refusal
from protocols.zerosix.routes import Answer, Call, Route

_BATCH = 250
"""How many orders are written at a time: a few milliseconds' work."""

_LONGEST_URL = 2048
_SCHEMES = frozenset({"http", "https"})


def read_booking(arguments: Arguments) -> Booking:
    """Return the booking that a request asks for.

    Raises:
        Refusal: the product's id, the number of machines or a URL is not valid.
    """
    product_id = whole_number(arguments.get("product_id"), otherwise=INVALID_PRODUCT_ID)
    quantity = whole_number(arguments.get("instances"), otherwise=INVALID_INSTANCES)
    if not 1 <= quantity <= MOST_MACHINES:
        raise Refusal(INVALID_INSTANCES)
    return Booking(
        product_id=ProductId(product_id),
        least=quantity,
        most=quantity,
        wants_own_key=True,
        file_url=_url(arguments, "file_url"),
        script_url=_url(arguments, "script_url"),
    )


async def _list(call: Call) -> Answer:
    views = await call.core.orders(call.caller)
    documents: list[encode.Document] = []
    for start in range(0, len(views), _BATCH):
        if start:  # a long list must not keep everybody else waiting
            await asyncio.sleep(0)
        fleet = await call.core.fleet(call.caller)
        documents += [encode.order(view, fleet, call.settings) for view in views[start : start + _BATCH]]
    return Answer(documents)


async def _create(call: Call) -> Answer:
    placed = await call.core.book(call.caller, read_booking(call.arguments))
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
    return OrderId(whole_number(call.name, otherwise=INVALID_ORDER_ID))


def _url(arguments: Arguments, name: str) -> str:
    given = arguments.get(name, "")
    if not isinstance(given, str) or not (given == "" or _is_download(given)):
        raise Refusal(INVALID_URL[name])
    return given


def _is_download(text: str) -> bool:
    if len(text) > _LONGEST_URL or " " in text or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that enclose no address, a port that is no number
        return False


ROUTES = (
    # WordPress's clients create by POST; the documented method is PUT.
    Route("orders", GET=authenticated(_list), PUT=authenticated(_create), POST=authenticated(_create)),
    Route("orders/{id}", GET=authenticated(_retrieve), DELETE=authenticated(_complete)),
)
