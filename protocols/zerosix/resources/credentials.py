"""How to log in to the machines of an order, and the order's own private key."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from core.errors import OrderEnded, UnknownOrder
from core.orders import Order, has_ended
from protocols.zerosix import encode, schemas
from protocols.zerosix.auth import authenticated, identified
from protocols.zerosix.decode import read_parameters
from protocols.zerosix.errors import (
    CALLER_FAULTS,
    ENDED_ORDER_KEY,
    MALFORMED_ORDER_KEY,
    REQUEST_FAULTS,
    UNKNOWN_ORDER_KEY,
    Refusal,
)
from protocols.zerosix.parameters import Parameter, Parameters, text
from protocols.zerosix.routes import Answer, Call, Endpoint, Result, Route, Visit, public_url

ORDER_KEY = Parameter("order_key", text("wc_order_[A-Za-z0-9]{1,64}"), "Order key.", fault=MALFORMED_ORDER_KEY)
_KEY_TYPE = "application/x-pem-file"

EXPIRES = Parameter("expires", text(), "When the link of ssh_key ends; with its signature no credentials are needed.")
SIGNATURE = Parameter("signature", text(), "The link's signature.")


async def _retrieve(call: Call) -> Answer:
    order_key = ORDER_KEY.read(call.name, call.settings)
    with _as_told_of_keys():
        view = await call.core.order_by_key(call.caller, order_key)
    if has_ended(view.instances):
        raise Refusal(ENDED_ORDER_KEY)
    link = _link(call, view.order) if view.order.has_own_key else ""
    return Answer(encode.credentials(view, link, await call.core.fleet(call.caller), call.settings))


async def _download(visit: Visit) -> Answer | web.Response:
    """Answer with the private key: to whoever has a link that `_retrieve` made, else to the owner."""
    order_key = ORDER_KEY.read(visit.name, visit.settings)
    link = dict(read_parameters(visit.sent.raw_query))
    if EXPIRES.name not in link or SIGNATURE.name not in link:
        return await _for_owner(visit)
    with _as_told_of_keys():
        pem = await visit.core.private_key_by_link(order_key, link[EXPIRES.name], link[SIGNATURE.name])
    return _key_file(order_key, pem)


async def _download_own(call: Call) -> web.Response:
    with _as_told_of_keys():
        pem = await call.core.private_key(call.caller, call.name)
    return _key_file(call.name, pem)


_for_owner = identified(_download_own, Parameters())


def _link(call: Call, order: Order) -> str:
    folder = public_url(call.exchange, call.settings.path)
    return f"{folder}credentials/{order.order_key}/ssh_key?{call.core.key_link_query(order)}"


def _key_file(order_key: str, pem: str) -> web.Response:
    headers = {
        "Content-Type": _KEY_TYPE,
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
    Route(
        "credentials/{order_key}",
        ORDER_KEY,
        GET=authenticated(
            _retrieve,
            "retrieveCredentials",
            "Receive the credentials of an order",
            gives=Result("How to log in.", schemas.CREDENTIALS),
            faults=(UNKNOWN_ORDER_KEY, ENDED_ORDER_KEY),
        ),
    ),
    Route(
        "credentials/{order_key}/ssh_key",
        ORDER_KEY,
        GET=Endpoint(
            _download,
            "downloadKey",
            "Download the private key of an order, as its owner or with the link that the credentials tell",
            Parameters(EXPIRES, SIGNATURE),
            Result("The key.", schemas.KEY_FILE, media_type=_KEY_TYPE),
            (UNKNOWN_ORDER_KEY, ENDED_ORDER_KEY, *REQUEST_FAULTS, *CALLER_FAULTS),
        ),
    ),
)
