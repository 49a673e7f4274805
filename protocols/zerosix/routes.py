"""The table of routes: which function answers what, and what such a function is given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from aiohttp import web

from core.accounts import Caller
from core.service import Core
from protocols.boundary import Exchange
from protocols.zerosix.decode import Arguments
from protocols.zerosix.errors import UNKNOWN_ROUTE, UNSUPPORTED_METHOD, Refusal
from protocols.zerosix.oauth1 import SignedRequest
from protocols.zerosix.settings import ZeroSixSettings


@dataclass(slots=True)
class Visit:
    """A request to a known route by somebody yet unknown; `document` is the text of its JSON body.

    `name` is the route's variable part, `order_key` in `credentials/{order_key}`.
    """

    core: Core
    settings: ZeroSixSettings
    exchange: Exchange
    routes: "Routes"
    name: str
    sent: SignedRequest
    document: bytes


@dataclass(slots=True)
class Call:
    """A request by a known caller. `arguments` are all that may be read of what it asks."""

    core: Core
    settings: ZeroSixSettings
    exchange: Exchange
    name: str
    caller: Caller
    arguments: Arguments


@dataclass(slots=True)
class Answer:
    """What a function answers with: a JSON document, or nothing for 204."""

    document: object
    status: int = 200


def path_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a path. Clients double slashes, and end a path with one or not."""
    return tuple([unquote(part) if "%" in part else part for part in path.split("/") if part])


def public_url(exchange: Exchange, path: str) -> str:
    """Return a URL of ours as clients reach it."""
    # The host is the client's own word and may hold anything; what is no host must not break the answer.
    return f"{exchange.scheme}://{quote(exchange.host, safe=':[]', errors='surrogateescape')}{path}"


Handler = Callable[[Visit], Awaitable[Answer | web.Response]]


class Route:
    """One path, as `orders/{id}`, and what answers each method. HEAD is GET without the body."""

    def __init__(self, template: str, **handlers: Handler) -> None:
        self.template = template
        self.methods = tuple(name for method in handlers for name in _IMPLIED.get(method, (method,)))
        self.allow = ", ".join(self.methods)
        self._handlers = {name: handlers[name if name in handlers else "GET"] for name in self.methods}

    def handler(self, method: str) -> Handler:
        """Return what answers the method.

        Raises:
            Refusal: nothing does.
        """
        try:
            return self._handlers[method]
        except KeyError:
            raise Refusal(UNSUPPORTED_METHOD, headers={"Allow": self.allow}) from None


class Routes:
    """All routes of the namespace. Only the second part of a path may be variable."""

    def __init__(self, *routes: Route) -> None:
        self.all = routes
        self._by_shape = {_shape(path_parts(route.template)): route for route in routes}

    def find(self, parts: tuple[str, ...]) -> tuple[Route, str]:
        """Return the route of a path, given in its parts, and what stands in the variable one.

        Raises:
            Refusal: there is none.
        """
        try:
            route = self._by_shape[_shape(parts)]
        except KeyError:
            raise Refusal(UNKNOWN_ROUTE) from None
        return route, parts[1] if len(parts) > 1 else ""


_IMPLIED = {"GET": ("GET", "HEAD")}


def _shape(parts: tuple[str, ...]) -> tuple[str, ...]:
    return (parts[0], "", *parts[2:]) if len(parts) > 1 else parts
