"""What WordPress's clients read first: the site, the routes that it has, and what each takes and answers."""

import re
from collections.abc import Iterable, Mapping, Sequence

from protocols.zerosix import schemas
from protocols.zerosix.auth import public
from protocols.zerosix.openapi import document_of
from protocols.zerosix.parameters import Schema
from protocols.zerosix.routes import Answer, Result, Route, Visit, public_url
from protocols.zerosix.settings import ZeroSixSettings

_VARIABLE = re.compile(r"\{(\w+)\}")
_NOT_LISTED = frozenset({"HEAD", "OPTIONS"})  # Source: WordPress, WP_REST_Server::get_route_options


async def _site(visit: Visit) -> Answer:
    """Answer with the index of the whole site, as `/wp-json/` has it."""
    settings = visit.settings
    home = public_url(visit.exchange, "")
    offset = visit.core.now().astimezone(settings.timezone).utcoffset()
    return Answer(
        {
            "name": "Onefleet",
            "description": "Rented machines through the ZeroSix API",
            "url": home,
            "home": home,
            "gmt_offset": offset.total_seconds() / 3600 if offset else 0,
            "timezone_string": settings.timezone.key,
            "namespaces": [settings.namespace],
            "authentication": {},
            "routes": _routes(visit),
            "_links": {"help": [{"href": "https://developer.wordpress.org/rest-api/"}]},
        }
    )


async def _namespace(visit: Visit) -> Answer:
    """Answer with the index of the API, as `/wp-json/api/v1` has it."""
    up = public_url(visit.exchange, visit.settings.root)
    return Answer({"namespace": visit.settings.namespace, "routes": _routes(visit), "_links": {"up": [{"href": up}]}})


async def _describe(visit: Visit) -> Answer:
    """Answer with what a route takes and answers, as WordPress does for OPTIONS."""
    return Answer({**_told(visit, visit.route), "schema": {"$schema": schemas.DIALECT, **_item(visit.route)}})


def _routes(visit: Visit) -> dict[str, object]:
    """Return the routes as WordPress lists them: by a regular expression of their path."""
    return {_pattern(visit.settings.namespace, route): _told(visit, route) for route in visit.routes.all}


def _told(visit: Visit, route: Route) -> dict[str, object]:
    url = f"{public_url(visit.exchange, visit.settings.path)}{route.template}"
    return {
        "namespace": visit.settings.namespace,
        "methods": _listed(route),
        "endpoints": [
            {"methods": [method], "args": {each.name: each.declaration(visit.settings) for each in endpoint.takes}}
            for method, endpoint in route.endpoints.items()
        ],
        **({} if route.variable else {"_links": {"self": [{"href": url}]}}),
    }


def _item(route: Route) -> Schema:
    """Return the schema of what the route is about: of a list, that of an item."""
    schema = route.endpoints["GET"].gives.schema or {}
    items = schema.get("items", schema)
    assert isinstance(items, Mapping)
    return items


def _pattern(name: str, route: Route) -> str:
    path = "/".join(part for part in ("", name, route.template) if part)
    return "/" + _VARIABLE.sub(r"(?P<\1>[\\w-]+)", path)


def _listed(route: Route) -> Iterable[str]:
    return [method for method in route.methods if method not in _NOT_LISTED]


DESCRIBE = public(
    _describe,
    "describeRoute",
    "Tell what a route takes and answers",
    gives=Result("The route.", schemas.DESCRIPTION),
)
SITE = Route(
    "",
    GET=public(_site, "readSite", "List the routes of the site", gives=Result("The site.", schemas.SITE)),
)
ROUTES = (
    Route(
        "",
        GET=public(_namespace, "readIndex", "List the routes", gives=Result("The routes.", schemas.NAMESPACE)),
    ),
)


def openapi_route(others: Sequence[Route], settings: ZeroSixSettings) -> Route:
    """Return the route of the OpenAPI document of all routes, itself among them. The document is made here, once."""

    async def answer(_: Visit) -> Answer:
        return Answer(document)

    gives = Result("The document.", schemas.OPENAPI)
    route = Route("openapi.json", GET=public(answer, "readOpenAPI", "Read this document", gives=gives))
    document = document_of([*others, route], DESCRIBE, settings)
    return route
