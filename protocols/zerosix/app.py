"""The ZeroSix front-end: JSON over the routes of WordPress's REST API."""

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from http import HTTPStatus

import orjson
from aiohttp import web
from multidict import CIMultiDict

from core.service import Core
from protocols.boundary import Boundary, Exchange
from protocols.reply import Reply
from protocols.zerosix import decode
from protocols.zerosix.conventions import (
    CONTENT_TYPE,
    ENVELOPE,
    OVERRIDE_HEADER,
    enveloped,
    meant_method,
    wants_envelope,
)
from protocols.zerosix.errors import REFUSALS, UNKNOWN_ROUTE, Refusal, document_of, fault_of
from protocols.zerosix.oauth1 import SignedRequest
from protocols.zerosix.resources import credentials, index, orders, products
from protocols.zerosix.routes import Answer, Route, Routes, Visit, origin, path_parts
from protocols.zerosix.settings import ZeroSixSettings

# What WordPress sends with every answer (wordpress-conventions.md); answers are one customer's own, so none is kept.
_HEADERS = {
    "Access-Control-Expose-Headers": "X-WP-Total, X-WP-TotalPages, Link",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store, private",
}


def all_routes(settings: ZeroSixSettings) -> Sequence[Route]:
    """Return the routes of the namespace."""
    declared = (*index.ROUTES, *products.ROUTES, *orders.ROUTES, *credentials.ROUTES)
    return (*declared, index.openapi_route(declared, settings))


class ZeroSixFrontEnd:
    """See `protocols.boundary.FrontEnd`."""

    name = "zerosix"

    def __init__(self, core: Core, settings: ZeroSixSettings, boundary: Boundary) -> None:
        self._core, self._settings, self._boundary = core, settings, boundary
        self._routes = Routes(*all_routes(settings))
        self._folder, self._root = path_parts(settings.path), path_parts(settings.root)
        self._headers = lru_cache(maxsize=1024)(self._make_headers)  # clients may call any host, so not for ever

    def change(self, settings: ZeroSixSettings) -> None:
        """Answer by these settings from now on; the path must be the same. What is being answered is not touched."""
        self._settings, self._routes = settings, Routes(*all_routes(settings))

    def mount(self, app: web.Application, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        """Let the handler, which wraps this front-end, answer for everything under its root."""
        root = self._settings.root
        if root != "/":
            app.router.add_route("*", root.rstrip("/"), handler)
        app.router.add_route("*", f"{root}{{rest:(?s:.*)}}", handler)  # a newline too

    async def answer(self, request: web.Request, exchange: Exchange) -> web.Response:
        """See `FrontEnd.answer`."""
        path, query = decode.split_target(request.raw_path)
        if ENVELOPE.name in query and wants_envelope(query, self._settings):
            return await self._answer_in_envelope(request, exchange, path, query)
        return await self._answer(request, exchange, path, query)

    async def _answer_in_envelope(
        self, request: web.Request, exchange: Exchange, path: str, query: str
    ) -> web.Response:
        try:
            response = await self._answer(request, exchange, path, query)
        except REFUSALS as error:
            if fault_of(error).status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise  # what is our fault is not dressed up as a success
            response = self.refuse(error, exchange)
        return enveloped(response)

    async def _answer(self, request: web.Request, exchange: Exchange, path: str, query: str) -> web.Response:
        route, name = self._find(path)
        method = meant_method(request.method, query, request.headers.get(OVERRIDE_HEADER))
        endpoint = index.DESCRIBE if method == "OPTIONS" else route.endpoint(method)
        exchange.action = f"{method} {route.template or 'index'}"
        body = await self._boundary.read_body(request)
        form, document = decode.read_body(request.headers.get("Content-Type", ""), body) if body else ((), b"")
        sent = SignedRequest(
            request.method, exchange.scheme, exchange.host, path, query, request.headers.get("Authorization"), form
        )
        visit = Visit(self._core, self._settings, exchange, self._routes, route, name, sent, document)
        answer = await endpoint.answer(visit)
        return self._response(route, answer, exchange)

    def refuse(self, error: Exception, exchange: Exchange) -> web.Response:
        """See `FrontEnd.refuse`."""
        fault = fault_of(error)
        exchange.code = fault.code
        body = orjson.dumps(document_of(fault, error, exchange.request_id))
        own = error.headers if isinstance(error, Refusal) else {}
        headers = {**self._common_headers(exchange.scheme, exchange.host), **own}
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

    def _response(self, route: Route, answer: Answer | web.Response, exchange: Exchange) -> web.Response:
        headers = self._headers(route, exchange.scheme, exchange.host)
        if isinstance(answer, web.Response):
            for name, value in headers.items():
                answer.headers.setdefault(name, value)
            return answer
        if answer.headers or answer.document is None:
            headers = headers.copy()
            headers.extend(answer.headers)
        if answer.document is None:
            del headers["Content-Type"]
            return web.Response(status=answer.status, headers=headers)
        return Reply(status=answer.status, body=orjson.dumps(answer.document), headers=headers)

    def _make_headers(self, route: Route, scheme: str, host: str) -> CIMultiDict[str]:
        return CIMultiDict({**self._common_headers(scheme, host), "Allow": route.allow})

    def _common_headers(self, scheme: str, host: str) -> dict[str, str]:
        site = f"{origin(scheme, host)}{self._settings.root}"
        return {**_HEADERS, "Content-Type": CONTENT_TYPE, "Link": f'<{site}>; rel="https://api.w.org/"'}


# Basic is not asked for where others could read along.
_CHALLENGES = {True: 'OAuth realm="Onefleet", Basic realm="Onefleet"', False: 'OAuth realm="Onefleet"'}
