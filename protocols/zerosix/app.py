"""The ZeroSix front-end: JSON over the routes of WordPress's REST API."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import orjson
from aiohttp import web
from multidict import CIMultiDict

from core.service import Core
from protocols.boundary import Boundary, Exchange
from protocols.zerosix import decode
from protocols.zerosix.errors import UNKNOWN_ROUTE, Refusal, document_of, fault_of
from protocols.zerosix.oauth1 import SignedRequest
from protocols.zerosix.resources import credentials, index, orders, products
from protocols.zerosix.routes import Answer, Route, Routes, Visit, path_parts
from protocols.zerosix.settings import ZeroSixSettings

# What WordPress sends with every answer (wordpress-conventions.md); answers are one customer's own, so none is kept.
_HEADERS = {
    "Content-Type": "application/json; charset=UTF-8",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store, private",
}


class ZeroSixFrontEnd:
    """See `protocols.boundary.FrontEnd`."""

    name = "zerosix"

    def __init__(self, core: Core, settings: ZeroSixSettings, boundary: Boundary) -> None:
        self._core, self._settings, self._boundary = core, settings, boundary
        self._routes = Routes(*index.ROUTES, *products.ROUTES, *orders.ROUTES, *credentials.ROUTES)
        self._folder, self._root = path_parts(settings.path), path_parts(settings.root)
        self._headers = {
            route: CIMultiDict({**_HEADERS, "Allow": route.allow}) for route in (index.SITE, *self._routes.all)
        }

    def mount(self, app: web.Application, handler: Callable[[web.Request], Awaitable[web.Response]]) -> None:
        """Let the handler, which wraps this front-end, answer for everything under its root."""
        root = self._settings.root
        if root != "/":
            app.router.add_route("*", root.rstrip("/"), handler)
        app.router.add_route("*", f"{root}{{rest:.*}}", handler)

    async def answer(self, request: web.Request, exchange: Exchange) -> web.Response:
        """See `FrontEnd.answer`."""
        path, query = decode.split_target(request.raw_path)
        route, name = self._find(path)
        handler = route.handler(request.method)
        exchange.action = f"{request.method} {route.template or 'index'}"
        body = await self._boundary.read_body(request)
        form, document = decode.read_body(request.headers.get("Content-Type", ""), body) if body else ((), b"")
        sent = SignedRequest(
            request.method, exchange.scheme, exchange.host, path, query, request.headers.get("Authorization"), form
        )
        visit = Visit(self._core, self._settings, exchange, self._routes, name, sent, document)
        answer = await handler(visit)
        return self._response(route, answer)

    def refuse(self, error: Exception, exchange: Exchange) -> web.Response:
        """See `FrontEnd.refuse`."""
        fault = fault_of(error)
        exchange.code = fault.code
        body = orjson.dumps(document_of(fault, error, exchange.request_id))
        headers = {**_HEADERS, **(error.headers if isinstance(error, Refusal) else {})}
        if fault.status == HTTPStatus.UNAUTHORIZED:  # RFC 9110 wants a challenge with it
            headers["WWW-Authenticate"] = _CHALLENGES[exchange.is_private]
        return web.Response(status=fault.status, body=body, headers=headers)

    def _find(self, path: str) -> tuple[Route, str]:
        parts = path_parts(path)
        depth = len(self._folder)
        if parts[:depth] == self._folder:
            return self._routes.find(parts[depth:])
        if parts == self._root:
            return index.SITE, ""
        raise Refusal(UNKNOWN_ROUTE)

    def _response(self, route: Route, answer: Answer | web.Response) -> web.Response:
        headers = self._headers[route]
        if isinstance(answer, web.Response):
            for name, value in headers.items():
                answer.headers.setdefault(name, value)
            return answer
        if answer.document is None:
            return web.Response(status=answer.status, headers={"Allow": route.allow})
        return web.Response(status=answer.status, body=orjson.dumps(answer.document), headers=headers)


# Basic is not asked for where others could read along.
_CHALLENGES = {True: 'OAuth realm="Onefleet", Basic realm="Onefleet"', False: 'OAuth realm="Onefleet"'}
