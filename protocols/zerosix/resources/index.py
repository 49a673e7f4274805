"""What WordPress's clients read first: the site, and the routes that it has."""

import re
from collections.abc import Iterable

from protocols.zerosix.routes import Answer, Route, Visit, public_url

_VARIABLE = re.compile(r"\{(\w+)\}")


async def site(visit: Visit) -> Answer:
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


async def namespace(visit: Visit) -> Answer:
    """Answer with the index of the API, as `/wp-json/api/v1` has it."""
    up = public_url(visit.exchange, visit.settings.root)
    return Answer({"namespace": visit.settings.namespace, "routes": _routes(visit), "_links": {"up": [{"href": up}]}})


def _routes(visit: Visit) -> dict[str, object]:
    """Return the routes as WordPress lists them: by a regular expression of their path."""
    name = visit.settings.namespace
    folder = public_url(visit.exchange, visit.settings.path)
    return {
        _pattern(name, route): {
            "namespace": name,
            "methods": _listed(route),
            "endpoints": [{"methods": _listed(route), "args": {}}],
            **({} if "{" in route.template else {"_links": {"self": [{"href": f"{folder}{route.template}"}]}}),
        }
        for route in visit.routes.all
    }


def _pattern(name: str, route: Route) -> str:
    path = "/".join(part for part in ("", name, route.template) if part)
    return "/" + _VARIABLE.sub(r"(?P<\1>[\\w-]+)", path)


def _listed(route: Route) -> Iterable[str]:
    return [method for method in route.methods if method != "HEAD"]


ROUTES = (Route("", GET=namespace),)
SITE = Route("", GET=site)
