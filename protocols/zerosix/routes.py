"""The table of routes: what each takes and answers with, and what the function behind it is given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web

from core.accounts import Caller
from core.service import Core
from protocols.boundary import Exchange
from protocols.faults import Fault
from protocols.zerosix.errors import UNKNOWN_ROUTE, UNSUPPORTED_METHOD, Refusal
from protocols.zerosix.oauth1 import Pairs, SignedRequest
from protocols.zerosix.parameters import Parameter, Parameters, Schema, Values
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
    route: "Route"
    name: str
    sent: SignedRequest
    document: bytes


@dataclass(slots=True)
class Call:
    """A request by a known caller. `values` and, without JSON, `asked` are all that may be read of what it asks."""

    core: Core
    settings: ZeroSixSettings
    exchange: Exchange
    name: str
    caller: Caller
    values: Values
    asked: Pairs


@dataclass(slots=True)
class Answer:
    """What a function answers with: a JSON document, or nothing for 204. `headers` are sent besides those of others."""

    document: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def path_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a path. Clients double slashes, and end a path with one or not."""
    return tuple([unquote(part) if "%" in part else part for part in path.split("/") if part])


@lru_cache(maxsize=1024)
def origin(scheme: str, host: str) -> str:
    """Return the beginning of our URLs as clients reach them."""
    # The host is the client's own word and may hold anything; what is no host must not break the answer.
    return f"{scheme}://{quote(host, safe=':[]', errors='surrogateescape')}"


def public_url(exchange: Exchange, path: str) -> str:
    """Return a URL of ours as clients reach it."""
    return f"{origin(exchange.scheme, exchange.host)}{path}"


Handler = Callable[[Visit], Awaitable[Answer | web.Response]]


@dataclass(frozen=True, slots=True)
class Result:
    """What an endpoint answers with when nothing is refused: of the schema, or nothing.

    `headers` are those of this answer alone, each with what it tells.
    """

    description: str
    schema: Schema | None = None
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, tuple[str, Schema]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers one method of a route, and all that is declared of it. `operation` is its name in OpenAPI.

    `faults` are its refusals, but for those of the parameters.
    """

    answer: Handler
    operation: str
    summary: str
    takes: Parameters
    gives: Result
    faults: Sequence[Fault] = ()
    is_public: bool = False


class Route:
    """One path, as `orders/{id}`, and what answers each method. HEAD is GET without the body, OPTIONS tells of them."""

    def __init__(self, template: str, variable: Parameter[Any] | None = None, **endpoints: Endpoint) -> None:
        self.template, self.variable = template, variable
        self.endpoints: Mapping[str, Endpoint] = endpoints
        self.methods = (*[name for method in endpoints for name in _IMPLIED.get(method, (method,))], "OPTIONS")
        self.allow = ", ".join(self.methods)
        self._by_method = {name: endpoints[name if name in endpoints else "GET"] for name in self.methods[:-1]}

    def endpoint(self, method: str) -> Endpoint:
        """Return what answers a method other than OPTIONS.

        Raises:
            Refusal: nothing does.
        """
        try:
            return self._by_method[method]
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
