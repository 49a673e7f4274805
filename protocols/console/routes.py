"""The table of pages: which view answers what, who may see it, and what a view is given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from urllib.parse import urlencode

from aiohttp import web

from core.accounts import Caller
from core.administration import Administration
from core.errors import CoreError, NotAnOperator, NotSignedIn, UnknownInstances
from core.ids import InstanceId
from core.journal import Author, author_of
from core.service import Core
from core.service.people import SignedIn, Visitor
from protocols.boundary import Exchange
from protocols.console.forms import Form
from protocols.console.house import House
from protocols.console.rendering import Pages as Templates
from protocols.console.settings import ConsoleSettings


class Audience(Enum):
    """Who may see a page."""

    ANYBODY = auto()
    CUSTOMERS = auto()  # whoever is signed in
    OPERATORS = auto()


@dataclass(slots=True)
class Visit:
    """One request of a page. `who` and `caller` are there where somebody is signed in; see `me`.

    `variables` are the variable parts of the path, `query` the first value of each parameter. What is shown is of
    `revision` (see `core.fleet.Fleet.revision`) or later.
    """

    core: Core
    administration: Administration
    settings: ConsoleSettings
    templates: Templates
    exchange: Exchange
    request: web.Request
    route: "Route"
    variables: Mapping[str, str]
    query: Mapping[str, str]
    visitor: Visitor
    token: str
    house: House
    form: Form = field(default_factory=Form)
    who: SignedIn | None = None
    caller: Caller | None = None
    revision: int = 0
    message: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self.core.now()

    @property
    def me(self) -> SignedIn:
        """Who is signed in.

        Raises:
            NotSignedIn: nobody is.
        """
        if self.who is None:
            raise NotSignedIn
        return self.who

    @property
    def calling(self) -> Caller:
        """The caller of core's verbs.

        Raises:
            NotSignedIn: nobody is signed in.
        """
        if self.caller is None:
            raise NotSignedIn
        return self.caller

    @property
    def author(self) -> Author:
        """Who the operator's deeds are written down as.

        Raises:
            NotAnOperator: it is none.
        """
        if self.who is None or not self.who.user.is_operator:
            raise NotAnOperator
        return author_of(self.calling)

    def url(self, path: str = "") -> str:
        """Return the URL of a page of the console."""
        return f"{self.settings.path}{path}"

    def query_of(self, **values: object) -> str:
        """Return a query of those values that say something, with its question mark; empty for none."""
        said = {name: str(value) for name, value in values.items() if value not in ("", None)}
        return f"?{urlencode(said)}" if said else ""

    async def page(self, template: str, **values: object) -> web.Response:
        """Return a page made of a template."""
        return await self.templates.page(self, template, values)

    async def part(self, template: str, **values: object) -> web.Response:
        """Return a part of a page, for one that is open."""
        return await self.templates.part(self, template, values)

    def go(self, path: str, message: str = "") -> web.Response:
        """Return what leads the browser to another page, which will show the message."""
        return self.templates.redirect(self, path, message)

    def number(self, name: str, prefix: str) -> int:
        """Return the number that a part of the path spells as EC2 does, by a prefix and hex digits; 0 for none."""
        text = self.variables[name].removeprefix(prefix)
        is_hex = text.isascii() and text.isalnum() and len(text) <= 17 and self.variables[name].startswith(prefix)  # noqa: PLR2004
        try:
            return int(text, 16) if is_hex else 0
        except ValueError:
            return 0

    def machine_id(self) -> InstanceId:
        """Return the machine that the path names.

        Raises:
            UnknownInstances: it names none.
        """
        number = self.number("machine", "i-")
        if not number:
            raise UnknownInstances([])
        return InstanceId(number)


View = Callable[[Visit], Awaitable[web.StreamResponse]]
FieldNames = Mapping[type[CoreError], str]


@dataclass(frozen=True, slots=True)
class Route:
    """A page. `template` is its path within the console, with variable parts in braces.

    A form that is refused is shown again by `again`, with the message of a refusal of core's at the field that `fields`
    names for it.
    """

    method: str
    template: str
    view: View
    audience: Audience
    again: View | None = None
    fields: FieldNames = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, ...]:
        """The path's parts."""
        return tuple(self.template.split("/"))


class Pages:
    """The pages of one subject, gathered as their views are declared."""

    def __init__(self, audience: Audience = Audience.CUSTOMERS) -> None:
        self.routes: list[Route] = []
        self._audience = audience

    def get(self, template: str) -> Callable[[View], View]:
        """Declare the view that shows a page."""

        def declare(view: View) -> View:
            self.routes.append(Route("GET", template, view, self._audience))
            return view

        return declare

    def post(
        self, template: str, *, again: View | None = None, fields: FieldNames | None = None
    ) -> Callable[[View], View]:
        """Declare the view that does what a form says; see `Route`."""

        def declare(view: View) -> View:
            self.routes.append(Route("POST", template, view, self._audience, again, fields or {}))
            return view

        return declare


class Table:
    """All routes, found by their parts."""

    def __init__(self, pages: Sequence[Pages]) -> None:
        self._routes: dict[int, list[Route]] = {}
        for each in pages:
            for route in each.routes:
                self._routes.setdefault(len(route.parts), []).append(route)
        for routes in self._routes.values():  # a plain part wins over a variable one
            routes.sort(key=lambda route: [part.startswith("{") for part in route.parts])

    def all(self) -> Sequence[Route]:
        """Return every route."""
        return [route for routes in self._routes.values() for route in routes]

    def find(self, path: str) -> tuple[Mapping[str, Route], Mapping[str, str]]:
        """Return the routes of a path by method, and its variable parts; no routes if there is no such page."""
        parts = path.split("/")
        for route in self._routes.get(len(parts), ()):
            if (variables := _fits(route.parts, parts)) is not None:
                same = [each for each in self._routes[len(parts)] if each.parts == route.parts]
                return {each.method: each for each in same}, variables
        return {}, {}


def _fits(pattern: Sequence[str], parts: Sequence[str]) -> Mapping[str, str] | None:
    variables = {}
    for expected, found in zip(pattern, parts, strict=True):
        if expected.startswith("{"):
            variables[expected.strip("{}")] = found
        elif expected != found:
            return None
    return variables
