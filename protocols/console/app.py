"""The front-end: finds the page, who is there, and whether a form is ours; then lets the view answer."""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qsl, quote, unquote

from aiohttp import web

from core.administration import Administration
from core.errors import CoreError, NotSignedIn
from core.service import Core
from core.service.people import Visitor
from protocols.boundary import BodyBroken, Boundary, Exchange
from protocols.console import auth, rendering
from protocols.console.errors import MethodNotAllowed, PageNotFound, fault_of
from protocols.console.forms import Form, FormRefused
from protocols.console.house import House
from protocols.console.routes import Audience, Pages, Route, Table, Visit
from protocols.console.settings import ConsoleSettings
from protocols.console.views import VIEWS

SUBJECTS: Sequence[Pages] = VIEWS

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 2000
_SERVER_FAULTS = 500
_UNPROCESSABLE = 422
_OPEN_TO_WHO_MUST_CHANGE = frozenset({"profile/password", "sign-out", "profile"})
_NOWHERE = Route("GET", "error", lambda _: _nothing(), Audience.ANYBODY)


class ConsoleFrontEnd:
    """See `protocols.boundary.FrontEnd`."""

    name = "console"

    def __init__(
        self, core: Core, administration: Administration, boundary: Boundary, settings: ConsoleSettings, house: House
    ) -> None:
        self._core, self._administration, self._boundary = core, administration, boundary
        self._settings, self._house = settings, house
        self._table = Table(SUBJECTS)
        self._pages = rendering.Pages(core, settings)

    def change(self, settings: ConsoleSettings) -> None:
        """Answer by these settings from now on; the path must be the same. What is being answered is not touched."""
        self._settings = settings

    def mount(self, app: web.Application, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        """Let the handler, which wraps this front-end, answer for everything under its path."""
        app.router.add_route("*", self._settings.path.rstrip("/"), handler)
        app.router.add_route("*", f"{self._settings.path}{{rest:(?s:.*)}}", handler)

    async def answer(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        """See `FrontEnd.answer`."""
        raw, _, query = request.raw_path.partition("?")
        if raw == self._settings.path.rstrip("/"):
            return web.Response(status=308, headers={"Location": self._settings.path})
        if raw.startswith(f"{self._settings.path}static/"):
            exchange.action = "static"
            if (file := self._pages.files.answer(request, unquote(raw))) is None:
                raise PageNotFound
            return file
        visit = await self._visit(request, exchange, unquote(raw[len(self._settings.path) :]), query)
        exchange.action = f"{visit.route.method} {visit.route.template or 'overview'}"
        try:
            return await self._answer(visit)
        except NotSignedIn:
            return self._to_sign_in(visit, raw, query)
        except (CoreError, PageNotFound, MethodNotAllowed, auth.NotFromHere) as error:
            if fault_of(error).status >= _SERVER_FAULTS:
                self._boundary.report(error, exchange)
            return await self._refusal(visit, error)

    def refuse(self, error: Exception, exchange: Exchange) -> web.Response:
        """See `FrontEnd.refuse`. Without the navigation, since nobody knows what of the page can still be trusted."""
        fault = fault_of(error)
        exchange.code = fault.code
        text = f"{fault.text(error)}\nRequest id: {exchange.request_id}\n"
        return web.Response(status=fault.status, text=text, headers=rendering.HEADERS)

    # --- who asks for what

    async def _visit(self, request: web.Request, exchange: Exchange, path: str, query: str) -> Visit:
        routes, variables = self._table.find(path)
        pairs = _pairs(query)
        route = routes.get(_meant(request)) or next(iter(routes.values()), _NOWHERE)
        visit = Visit(
            core=self._core,
            administration=self._administration,
            settings=self._settings,
            templates=self._pages,
            exchange=exchange,
            request=request,
            route=route,
            variables=variables,
            query=dict(reversed(pairs)),
            visitor=Visitor(exchange.address, request.headers.get("User-Agent", ""), exchange.request_id),
            token=self._pages.cookies.token(request, exchange),
            house=self._house,
        )
        visit.message = self._pages.cookies.message(request, exchange, self._core)
        return visit

    async def _answer(self, visit: Visit) -> web.StreamResponse:
        await self._recognise(visit)
        if visit.route is _NOWHERE:
            raise PageNotFound
        if _meant(visit.request) != visit.route.method:
            raise MethodNotAllowed
        self._admit(visit)
        if (
            visit.who is not None
            and visit.who.user.must_change
            and visit.route.template not in _OPEN_TO_WHO_MUST_CHANGE
        ):
            return visit.go("profile/password", "Choose a password of your own first.")
        if visit.route.method == "POST":
            return await self._do(visit)
        return await visit.route.view(visit)

    async def _recognise(self, visit: Visit) -> None:
        """Note who is signed in, if somebody is."""
        try:
            # Parts are asked for by pages that are open, whether or not anybody looks at them.
            is_use = "part" not in visit.query
            visit.who = await self._core.people.signed_in(visit.token, is_use=is_use) if visit.token else None
        except NotSignedIn:
            return
        if visit.who is not None:
            visit.caller = await self._core.people.caller(visit.who, visit.visitor)
            visit.revision = (await self._core.fleet(visit.caller)).revision
            visit.exchange.account_id = visit.who.account.id

    def _admit(self, visit: Visit) -> None:
        audience = visit.route.audience
        if audience is not Audience.ANYBODY and visit.who is None:
            raise NotSignedIn
        if audience is Audience.OPERATORS and not (visit.who and visit.who.user.is_operator):
            raise PageNotFound

    async def _do(self, visit: Visit) -> web.StreamResponse:
        """Do what a form says. One that is refused is shown again, with everything that was typed."""
        body = await self._boundary.read_body(visit.request)
        kind = visit.request.headers.get("Content-Type", _FORM).partition(";")[0].strip().lower()
        visit.form = Form(_pairs(body.decode("utf-8", "replace")) if kind == _FORM else [], is_sent=True)
        # A page that everybody can see may have been shown before somebody signed in, in another tab.
        is_open = visit.route.audience is Audience.ANYBODY or visit.who is None
        session = "" if is_open else visit.me.sign_in.digest
        auth.require_own_form(self._core, visit.request, visit.exchange, visit.form.value("form_token"), session)
        try:
            return await visit.route.view(visit)
        except FormRefused:
            return await self._again(visit, _UNPROCESSABLE)
        except CoreError as error:
            fault = fault_of(error)
            if visit.route.again is None or isinstance(error, NotSignedIn) or fault.status >= _SERVER_FAULTS:
                raise
            name = next((visit.route.fields[kind] for kind in type(error).__mro__ if kind in visit.route.fields), "")
            visit.form.refuse(name, str(error))
            visit.exchange.code = type(error).__name__
            return await self._again(visit, fault.status)

    async def _again(self, visit: Visit, status: int) -> web.StreamResponse:
        assert visit.route.again is not None, f"{visit.route.template} has no form to show again"
        visit.status = status
        return await visit.route.again(visit)

    # --- refusing

    def _to_sign_in(self, visit: Visit, raw: str, query: str) -> web.StreamResponse:
        """Return what leads to the sign-in and back again; a part of a page is told so, and reloads."""
        visit.exchange.code = NotSignedIn.__name__
        if "HX-Request" in visit.request.headers:
            return web.Response(status=401, headers={**rendering.HEADERS, "HX-Refresh": "true"})
        came_from = raw[len(self._settings.path) :] + (f"?{query}" if query else "")
        back = f"?next={quote(came_from, safe='')}" if visit.request.method == "GET" and came_from else ""
        return visit.go(f"sign-in{back}")

    async def _refusal(self, visit: Visit, error: Exception) -> web.StreamResponse:
        fault = fault_of(error)
        visit.exchange.code, visit.status = fault.code, fault.status
        return await visit.page("error.html", status=fault.status, text=fault.text(error))


def _meant(request: web.Request) -> str:
    return "GET" if request.method == "HEAD" else request.method


def _pairs(text: str) -> Sequence[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise BodyBroken(f"it has more than {_MOST_FIELDS} fields") from error


async def _nothing() -> web.StreamResponse:
    raise PageNotFound
