"""How to log in to the machines of an order, and the order's own private key."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from core.errors import OrderEnded, UnknownOrder
from core.orders import Order, has_ended
from protocols.zerosix import encode
from protocols.zerosix.auth import authenticated
from protocols.zerosix.decode import read_parameters
from protocols.zerosix.errors import ENDED_ORDER_KEY, MALFORMED_ORDER_KEY, UNKNOWN_ORDER_KEY, Refusal
from protocols.zerosix.routes import Answer, Call, Route, Visit, public_url

_ORDER_KEY = re.compile(r"wc_order_[A-Za-z0-9]{1,64}", re.ASCII)


async def _retrieve(call: Call) -> Answer:
    order_key = _order_key(call.name)
    with _as_told_of_keys():
        view = await call.core.order_by_key(call.caller, order_key)
    if has_ended(view.instances):
        raise Refusal(ENDED_ORDER_KEY)
    link = _link(call, view.order) if view.order.has_own_key else ""
    return Answer(encode.credentials(view, link, await call.core.fleet(call.caller), call.settings))


async def _download(visit: Visit) -> Answer | web.Response:
    """Answer with the private key: to whoever has a link that `_retrieve` made, else to the owner."""
    order_key = _order_key(visit.name)
    link = dict(read_parameters(visit.sent.raw_query))
    if "expires" not in link or "signature" not in link:
        return await _download_own(visit)
    with _as_told_of_keys():
        pem = await visit.core.private_key_by_link(order_key, link["expires"], link["signature"])
    return _key_file(order_key, pem)


@authenticated
async def _download_own(call: Call) -> web.Response:
    with _as_told_of_keys():
        pem = await call.core.private_key(call.caller, call.name)
    return _key_file(call.name, pem)


def _order_key(text: str) -> str:
    if not _ORDER_KEY.fullmatch(text):
        raise Refusal(MALFORMED_ORDER_KEY)
    return text


def _link(call: Call, order: Order) -> str:
    folder = public_url(call.exchange, call.settings.path)
    return f"{folder}credentials/{order.order_key}/ssh_key?{call.core.key_link_query(order)}"


def _key_file(order_key: str, pem: str) -> web.Response:
    headers = {
        "Content-Type": "application/x-pem-file",
        "Content-Disposition": f'attachment; filename="{order_key}.pem"',
    }
    return web.Response(body=pem.encode(), headers=headers)


@contextmanager
def _as_told_of_keys() -> Iterator[None]:
    """Turn core's refusals of an order into those documented for an order key."""
    try:
        yield
    except UnknownOrder as error:
        raise Refusal(UNKNOWN_ORDER_KEY) from error
    except OrderEnded as error:
        raise Refusal(ENDED_ORDER_KEY) from error


ROUTES = (
    Route("credentials/{order_key}", GET=authenticated(_retrieve)),
    Route("credentials/{order_key}/ssh_key", GET=_download),
)
