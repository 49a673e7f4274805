"""The console on a real socket over a real core, and browsers that ask it: with cookies, without scripts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from aiohttp import ClientResponse, ClientSession, CookieJar, web
from aiohttp.test_utils import TestServer
from lxml import html

from core.administration import KeyHolder
from core.people import User
from protocols.boundary import Boundary, Exchange, Limits
from protocols.console.app import ConsoleFrontEnd
from protocols.console.house import House as Lent
from protocols.console.settings import ConsoleSettings, Endpoint
from tests.fleetfixture import PASSWORD, House

PATH = "/console/"
LIMITS = Limits(body_bytes=256 * 1024, body_seconds=1)
SETTINGS = ConsoleSettings(
    PATH,
    "Onefleet",
    ("Example Ltd", "1 Road"),
    "198.51.100.9",
    (Endpoint("EC2", "/"), Endpoint("ZeroSix", "/wp-json/")),
)

Fields = Mapping[str, object | Sequence[object]]


@dataclass(frozen=True)
class Page:
    """What came back: a page, or a way to one."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def leads_to(self) -> str:
        """The page of the console, without its path, that the browser is led to; a refusal leads nowhere."""
        assert self.status == 303, f"{self.status}: {self.visible}"
        return self.headers["Location"].removeprefix(PATH)

    @cached_property
    def document(self) -> Any:
        return html.document_fromstring(self.text)

    @property
    def visible(self) -> str:
        """What stands on the page, with single blanks between the words; without its navigation."""
        return self.text_of("main")

    def text_of(self, selector: str) -> str:
        """Return the text of the first element, with single blanks between the words."""
        found = self.all(selector)
        assert found, f"there is no {selector} in {self.text[:2000]}"
        return " ".join(found[0].text_content().split())

    def texts(self, selector: str) -> list[str]:
        """Return the text of every element."""
        return [" ".join(each.text_content().split()) for each in self.all(selector)]

    def all(self, selector: str) -> list[Any]:
        """Return the elements that a simple selector finds: names, .classes, #ids, [attributes], one inside the other."""
        return list(self.document.cssselect(selector))

    def value(self, name: str) -> str | None:
        """Return what a field shows; None if there is no such field, or nothing is chosen."""
        for each in self.all(f"[name='{name}']"):
            if each.tag == "textarea":
                return each.text_content()
            if each.tag == "select":
                chosen = [option.get("value") for option in each.cssselect("option[selected]")]
                return chosen[0] if chosen else None
            if each.get("type") not in ("checkbox", "radio"):
                return each.get("value", "")
            if each.get("checked") is not None:
                return each.get("value", "on")
        return None

    @property
    def problems(self) -> list[str]:
        """What is wrong with the form, as its summary tells it."""
        return self.texts(".problems li")

    def problem(self, name: str) -> str:
        """Return what is told at a field; the field must say that it is wrong, and the summary must lead there."""
        [element] = [each for each in self.all("[aria-invalid='true']") if each.get("name") == name]
        where = element.get("id")
        assert self.all(f".problems a[href='#{where}']"), f"the summary does not lead to {where}"
        told = [each for each in element.get("aria-describedby").split() if each.startswith("wrong-")]
        return self.text_of(f"#{told[0]}")

    @property
    def message(self) -> str:
        """What the page before wanted to be told on this one; empty for nothing."""
        return "".join(self.texts(".message"))


class Browser:
    """A browser without scripts: it keeps cookies, follows nothing, and sends with each form the token of its page."""

    def __init__(self, session: ClientSession, origin: str) -> None:
        self._session, self._origin = session, origin
        self._token = ""

    async def get(self, path: str = "", *, headers: Mapping[str, str] | None = None) -> Page:
        """Return a page of the console."""
        async with self.open(path, headers=headers) as response:
            return await _page(response)

    async def post(
        self, path: str, fields: Fields | None = None, *, headers: Mapping[str, str] | None = None, token: str = ""
    ) -> Page:
        """Return what comes of a form; a field of many values is a list, and one that is None is left out."""
        pairs = [(name, str(each)) for name, value in (fields or {}).items() for each in _values(value)]
        pairs.append(("form_token", token or await self.form_token()))
        told = {"Origin": self._origin, **(headers or {})}
        async with self._session.post(self.url(path), data=pairs, headers=told, allow_redirects=False) as response:
            return await _page(response)

    async def done(self, path: str, fields: Fields | None = None) -> Page:
        """Return the page that a form leads to, which must have been accepted."""
        return await self.get((await self.post(path, fields)).leads_to)

    async def form_token(self) -> str:
        """Return a token for forms, as a page of this sign-in has it."""
        if not self._token:
            fields = (await self.get("profile")).all("[name='form_token']")
            self._token = fields[0].get("value") if fields else "none"
        return self._token

    async def sign_in(self, email: str, password: str = PASSWORD) -> Self:
        """Sign in."""
        page = await self.post("sign-in", {"email": email, "password": password}, token="none")
        assert page.status == 303, page.visible
        self._token = ""
        return self

    def url(self, path: str) -> str:
        return f"{self._origin}{PATH}{path}"

    def open(self, path: str, *, headers: Mapping[str, str] | None = None) -> Any:
        """Ask for a page, to be read as it comes."""
        return self._session.get(self.url(path), headers=headers, allow_redirects=False)

    def socket(self, path: str, *, origin: str = "") -> Any:
        """Open a WebSocket as a page of the console does, or one of another origin."""
        return self._session.ws_connect(self.url(path), origin=origin or self._origin)

    @property
    def cookies(self) -> Mapping[str, str]:
        return {cookie.key: cookie.value for cookie in self._session.cookie_jar}


def _values(value: object) -> Sequence[object]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) or not isinstance(value, Sequence) else value


async def _page(response: ClientResponse) -> Page:
    return Page(response.status, response.headers, await response.text(errors="replace"))


@dataclass
class Site:
    """The running console; `records` has an exchange and a status for every request that is over."""

    house: House
    lent: Lent
    origin: str
    front_end: ConsoleFrontEnd
    closing: AsyncExitStack
    records: list[tuple[Exchange, int]] = field(default_factory=list)

    async def browser(self) -> Browser:
        """Return a browser in which nobody is signed in."""
        session = ClientSession(cookie_jar=CookieJar(unsafe=True))
        return Browser(await self.closing.enter_async_context(session), self.origin)

    async def signed_in(self, person: User) -> Browser:
        """Return a browser in which a person is signed in."""
        return await (await self.browser()).sign_in(person.email)

    async def operator(self, email: str = "op@example.com") -> Browser:
        """Return a browser in which a new operator is signed in, who has an account of their own."""
        holder: KeyHolder = await self.house.administration.add_account_with_key(f"of {email}")
        return await self.signed_in(await self.house.person(email, holder, is_operator=True))


@asynccontextmanager
async def serve(house: House, *, settings: ConsoleSettings = SETTINGS, lent: Lent | None = None) -> AsyncIterator[Site]:
    """Serve the house's console on a free port."""
    records: list[tuple[Exchange, int]] = []

    def record(_name: str, exchange: Exchange, status: int, _seconds: float) -> None:
        records.append((exchange, status))

    boundary = Boundary(limits=LIMITS, proxies=(), public_url=None, record=record)
    lent = lent or Lent()
    front_end = ConsoleFrontEnd(house.core, house.administration, boundary, settings, lent)
    app = web.Application(client_max_size=LIMITS.body_bytes)
    front_end.mount(app, boundary.handler(front_end))
    server = TestServer(app)
    async with AsyncExitStack() as closing:
        await server.start_server()
        closing.push_async_callback(server.close)
        closing.callback(lent.stopping.set)  # what is open for long would hold up the closing
        yield Site(house, lent, f"http://{server.host}:{server.port}", front_end, closing, records)
