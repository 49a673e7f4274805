"""The console against those who mean harm: a running gateway is asked as no browser would ask it."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookies import SimpleCookie
from itertools import count
from posixpath import normpath
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

import pytest
from aiohttp import ClientSession, CookieJar, WSMsgType, WSServerHandshakeError
from lxml import html

from protocols.console.app import SUBJECTS
from protocols.console.rendering import POLICY
from protocols.console.routes import Audience, Route, Table
from tests.authenticator import STEP_SECONDS, code_of
from tests.browser import CONSOLE, PASSWORD, open_to_all, operator_of
from tests.protocols.console.served import Browser
from tests.running import Keys
from tests.showroom import PAGES, SECTIONS, Clients, Showroom, everything_in, filled, furnish, keys_of

ROUTES: Sequence[Route] = Table(SUBJECTS).all()
POSTS = [route for route in ROUTES if route.method == "POST"]
SESSION = "onefleet-session"

_NUMBERS = count(1)
# What passes without anybody's having changed anything: what was seen and refused is written down.
_PASSING = ("audit", "sequences", "sqlite_sequence")


def name_of(route: Route) -> str:
    return f"{route.method} {route.template}"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with open_to_all(tmp_path_factory.mktemp("console"), **SECTIONS, server={"max_body_kib": 256}) as running:
        yield running


@dataclass(frozen=True)
class Resident:
    """Somebody with one of everything; `names` is what each variable of a path is for it."""

    email: str
    room: Showroom
    names: Mapping[str, str]


def moved_in(gateway, email):
    fields = urlencode({"name": email, "email": email, "password": PASSWORD})
    assert gateway.request("POST", f"{CONSOLE}sign-up", body=fields.encode()).status == 200
    room = furnish(Clients(gateway, keys_of(gateway, email)))
    return Resident(email, room, room.names)


@pytest.fixture(scope="module")
def victim(gateway):
    return moved_in(gateway, "victim@example.com")


@pytest.fixture(scope="module")
def accomplice(gateway):
    return moved_in(gateway, "accomplice@example.com")


class Guest(Browser):
    """A browser, and the e-mail address of whoever has signed up with it."""

    email = ""


class Visitors:
    """Browsers that ask the gateway, each from an address of its own."""

    def __init__(self, gateway):
        self.gateway = gateway
        self._sessions = []

    def anybody(self, address="", **cookies: str) -> Guest:
        number = next(_NUMBERS)
        headers = {"X-Forwarded-For": address or f"198.19.{number >> 8}.{number & 255}"}
        self._sessions.append(ClientSession(cookie_jar=CookieJar(unsafe=True), headers=headers, cookies=cookies))
        return Guest(self._sessions[-1], self.gateway.endpoint)

    async def customer(self, email="") -> Guest:
        browser = self.anybody()
        browser.email = email or f"customer{next(_NUMBERS)}@example.com"
        fields = {"name": browser.email, "email": browser.email, "password": PASSWORD}
        assert (await browser.post("sign-up", fields, token="none")).leads_to == ""
        return browser

    async def operator(self) -> Guest:
        browser, (email, password) = self.anybody(), operator_of(self.gateway)
        page = await browser.post("sign-in", {"email": email, "password": password}, token="none")
        if page.status != 303:
            return await browser.sign_in(email, PASSWORD)
        await browser.post("profile/password", {"old": password, "new": PASSWORD, "again": PASSWORD})
        return browser

    async def close(self):
        for session in self._sessions:
            await session.close()


@pytest.fixture
async def visitors(gateway):
    all_of_them = Visitors(gateway)
    yield all_of_them
    await all_of_them.close()


@pytest.fixture
async def ann(visitors):
    return await visitors.customer()


@pytest.fixture
async def bob(visitors):
    return await visitors.customer()


def rows(gateway) -> Mapping[str, Sequence[tuple]]:
    """Return everything that is remembered but for what passes, and who is signed in."""
    everything = everything_in(gateway)
    kept = {name: found for name, found in everything.items() if name not in _PASSING}
    return kept | {"sign_ins": [row[:3] for row in everything["sign_ins"]]}


async def settle(browser: Browser) -> None:
    """Have all that made that an account has from the first look on: its application for the console, its networks."""
    await browser.get("security-groups")
    await browser.form_token()


# --- forms that other sites send


FOREIGN = {
    "another site": {"Origin": "https://evil.example"},
    "a page without an origin": {"Origin": "null"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "another scheme": {"Origin": "https://HOST"},
    "a browser that tells the site alone": {"Sec-Fetch-Site": "cross-site"},
    "a neighbouring host": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("route", POSTS, ids=name_of)
async def test_no_form_is_taken_from_elsewhere(visitors, gateway, ann, route):
    token, before = await ann.form_token(), rows(gateway)
    for told in FOREIGN.values():
        headers = {name: value.replace("HOST", gateway.endpoint.split("//")[1]) for name, value in told.items()}
        session = ann._session
        data = {"form_token": token, "confirmed": "yes"}
        async with session.post(
            ann.url(filled(route.template)), data=data, headers=headers, allow_redirects=False
        ) as it:
            assert it.status == (404 if route.audience is Audience.OPERATORS else 403), headers
    assert rows(gateway) == before
    assert (await ann.get("profile")).status == 200, "still signed in"


@pytest.mark.parametrize("route", [route for route in POSTS if route.audience is not Audience.ANYBODY], ids=name_of)
async def test_no_form_is_taken_without_the_token_of_its_own_session(visitors, gateway, bob, route):
    someone = await (visitors.operator() if route.audience is Audience.OPERATORS else visitors.customer())
    own = await someone.form_token()
    nonce, _, signature = own.partition(".")
    tokens = ["none", ".", f"{nonce}.", f".{signature}", f"{nonce}x.{signature}", f"{own}x", await bob.form_token()]
    before = rows(gateway)
    for token in tokens:
        page = await someone.post(filled(route.template), {"confirmed": "yes"}, token=token)
        assert page.status == 403, token
    assert rows(gateway) == before


async def test_a_form_of_the_session_before_is_not_taken(visitors, ann):
    old = await ann.form_token()
    await ann.sign_in(ann.email)
    assert (await ann.post("profile/sign-out-everywhere", token=old)).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_is_changed_but_by_post(gateway, ann, method):
    await settle(ann)
    before = rows(gateway)
    for route in POSTS:
        async with ann._session.request(method, ann.url(filled(route.template)), allow_redirects=False) as it:
            assert it.status < 500
    assert rows(gateway) == before
    assert (await ann.get("profile")).status == 200


# --- sessions


async def test_a_session_that_somebody_has_planted_is_not_taken_over_at_the_sign_in(visitors, ann):
    planted = "planted-by-somebody-else-0123456789"
    victim = visitors.anybody(**{SESSION: planted})
    await victim.sign_in(ann.email)
    assert victim.cookies[SESSION] != planted
    thief = visitors.anybody(**{SESSION: planted})
    assert (await thief.get("profile")).leads_to.startswith("sign-in")


async def test_each_sign_in_has_a_token_of_its_own_and_ends_the_one_before(visitors, ann):
    first = ann.cookies[SESSION]
    await ann.sign_in(ann.email)
    assert ann.cookies[SESSION] != first
    assert (await visitors.anybody(**{SESSION: first}).get("profile")).leads_to.startswith("sign-in")


async def test_what_the_password_alone_gives_opens_no_page_and_dies_with_the_code(visitors, ann):
    page = await ann.get("profile/second-factor")
    secret = page.value("secret")

    now = time.time()
    given = {"secret": secret, "code": code_of(secret, now), "password": PASSWORD}
    assert (await ann.post("profile/second-factor", given)).status == 200
    halfway = visitors.anybody()
    await halfway.sign_in(ann.email)
    token = halfway.cookies[SESSION]
    for route in ROUTES:
        if route.method == "GET" and route.audience is not Audience.ANYBODY:
            assert (await halfway.get(filled(route.template))).leads_to.startswith("sign-in"), route.template
    page = await halfway.post("sign-in/code", {"code": code_of(secret, now + STEP_SECONDS)}, token="none")
    assert page.leads_to == ""
    assert halfway.cookies[SESSION] != token
    assert (await visitors.anybody(**{SESSION: token}).get("sign-in/code")).leads_to == "sign-in"


async def test_signing_out_kills_the_token_and_not_only_the_cookie(visitors, ann):
    token = ann.cookies[SESSION]
    await ann.post("sign-out")
    assert SESSION not in ann.cookies
    assert (await visitors.anybody(**{SESSION: token}).get("profile")).leads_to.startswith("sign-in")


async def test_no_script_reads_the_cookies_and_no_other_site_sends_them(ann):
    page = await ann.post("sign-in", {"email": ann.email, "password": PASSWORD})
    morsel = SimpleCookie(page.headers["Set-Cookie"])[SESSION]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Lax", CONSOLE)
    assert (morsel["secure"], morsel["domain"]) == ("", "")
    assert len(morsel.value) >= 43, "256 bits"


async def test_over_tls_the_cookies_stay_with_tls(ann):
    secure = {"X-Forwarded-Proto": "https", "Origin": ann._origin.replace("http:", "https:")}
    page = await ann.post("sign-in", {"email": ann.email, "password": PASSWORD}, headers=secure)
    [(name, morsel)] = SimpleCookie(page.headers["Set-Cookie"]).items()
    assert name == f"__Secure-{SESSION}"
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, "Lax")


# --- being led astray


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https://evil.example",
        "HtTpS:/evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "%2f%2fevil.example",
        "%5cevil.example",
        "\tjavascript:alert(1)",
        "\t//evil.example",
        "..//evil.example",
        "../../evil",
        "machines/../../../evil",
        "%2e%2e/evil",
        ".%2e/evil",
        "x\r\nSet-Cookie: evil=1",
        "x\nLocation: https://evil.example",
        "\x00//evil.example",
        "?x=//evil.example",
        "@evil.example",
        "\u2028//evil.example",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "a" * 5000,
    ],
)
async def test_nobody_is_led_out_of_the_console(ann, wanted):
    signing_in = await ann.post("sign-in", {"email": ann.email, "password": PASSWORD, "next": wanted})
    signed_in = await ann.get(f"sign-in?next={wanted}" if wanted.isascii() and wanted.isprintable() else "sign-in")
    for page in (signing_in, signed_in):
        assert page.status == 303
        # As a browser does: tabs and line ends are dropped, a backslash is a slash. Source: the URL standard.
        told = re.sub(r"[\t\r\n]", "", page.headers["Location"]).replace("\\", "/")
        target = urlsplit(urljoin(ann.url("sign-in"), told))
        assert f"{target.scheme}://{target.netloc}" == ann._origin, told
        assert normpath(unquote(target.path)).startswith(CONSOLE.rstrip("/")), told
        assert {"evil", "evil.example"}.isdisjoint(SimpleCookie(page.headers.get("Set-Cookie", ""))), told


# --- guessing


async def test_whoever_guesses_has_to_wait_also_with_the_right_password_and_nobody_else_has(visitors, ann):
    guesser, friend = visitors.anybody(), await visitors.customer()
    for _ in range(5):
        page = await guesser.post("sign-in", {"email": ann.email, "password": "a wrong one"}, token="none")
        assert (page.status, page.problem("password")) == (422, page.problems[0])
    for password in ("a wrong one", PASSWORD):
        page = await guesser.post("sign-in", {"email": ann.email, "password": password}, token="none")
        assert page.status == 429
        assert SESSION not in guesser.cookies
    assert "try again in" in page.visible
    assert (await ann.get("profile")).status == 200, "whoever is signed in stays so"
    await visitors.anybody().sign_in(friend.email)


async def test_guessing_at_many_people_from_one_address_is_slowed_down_as_well(visitors, ann):
    guesser = visitors.anybody()
    statuses = [
        (await guesser.post("sign-in", {"email": f"nobody{n}@example.com", "password": "x"}, token="none")).status
        for n in range(6)
    ]
    assert statuses == [422] * 5 + [429]
    assert (await visitors.anybody().sign_in(ann.email)).cookies[SESSION]


async def test_somebody_who_is_not_known_is_refused_as_somebody_who_is(visitors, ann):
    def page_of(email):
        return visitors.anybody().post("sign-in", {"email": email, "password": "a wrong one"}, token="none")

    known, unknown = await page_of(ann.email), await page_of("nobody-at-all@example.com")
    assert known.status == unknown.status
    assert known.visible == unknown.visible


async def test_the_password_cannot_be_guessed_from_within_either(ann):
    tries = [
        (await ann.post("profile/password", {"old": f"wrong {n}", "new": "x" * 10, "again": "x" * 10})).status
        for n in range(6)
    ]
    assert (tries[0], tries[-1]) == (422, 429)
    assert (await ann.post("profile/password", {"old": PASSWORD, "new": "x" * 10, "again": "x" * 10})).status == 429


# --- what every page says of itself


def assert_is_guarded(page):
    assert page.headers["Content-Security-Policy"].startswith(POLICY.partition("style-src")[0])
    told = {name: page.headers.get(name) for name in ("X-Frame-Options", "X-Content-Type-Options", "Cache-Control")}
    assert told == {"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    assert page.headers["Referrer-Policy"] in ("same-origin", "no-referrer")
    if page.text.lstrip().lower().startswith("<!doctype"):
        assert harmful_in(page.text) == []


def harmful_in(text: str) -> list[str]:
    """Return what of a page the policy would have to stop: scripts and styles inside it, and other people's."""
    found = []
    for element in html.document_fromstring(text).iter():
        if not isinstance(element.tag, str):
            continue
        attributes = {name.lower(): value for name, value in element.attrib.items()}
        found += [f"<{element.tag} {name}>" for name in attributes if name.startswith("on") or name == "style"]
        found += [f"<{element.tag} {name}>" for name in attributes if name.startswith(("hx-on", "data-hx-on"))]
        if element.tag == "style" or (element.tag == "script" and (element.text or "").strip()):
            found.append(f"<{element.tag}> {element.text}")
        if element.tag in ("base", "object", "embed", "iframe", "frame", "applet"):
            found.append(f"<{element.tag}>")
        for name in ("src", "href", "action", "formaction", "data", "poster"):
            where = attributes.get(name, "")
            is_picture = element.tag == "img" and where.startswith("data:image/")
            if where and not is_picture and not where.startswith(("/console/", "#", "?", "/wp-json/")):
                found.append(f"<{element.tag} {name}={where}>")
    return found


async def test_every_page_is_guarded_and_holds_no_script_or_style_of_its_own(visitors, ann):
    operator = await visitors.operator()
    for browser in (visitors.anybody(), ann, operator):
        for route in ROUTES:
            if route.template.endswith(("/stream", "/socket", ".csv", ".png")):
                continue
            for page in (
                await browser.get(filled(route.template)),
                await browser.post(filled(route.template), token="x"),
            ):
                assert page.status < 500, route.template
                assert_is_guarded(page)


# --- other people's

# What each page of customers is about: nothing that could be somebody else's, or one of the things that its path or its
# form names. Whoever adds a page says here which; the form is such that its owner would be obeyed.
NOBODYS = None
SOCKET = None  # a ticket is needed besides; see below
OWNED: Mapping[str, Mapping[str, str] | None] = {
    "GET ": NOBODYS,
    "GET api": NOBODYS,
    "POST api/on": NOBODYS,
    "POST api/off": NOBODYS,
    "POST api/applications": NOBODYS,
    "GET api/applications/{application}": {},
    "POST api/applications/{application}": {"name": "stolen", "networks": ""},
    "POST api/applications/{application}/switch": {"is_enabled": ""},
    "POST api/applications/{application}/keys/{key}": {"is_enabled": ""},
    "POST api/applications/{application}/update-key": {"replaces": "{key}"},
    "GET addresses": NOBODYS,
    "POST addresses": NOBODYS,
    "GET addresses/{address}/bind": {},
    "POST addresses/{address}/bind": {"machine": "{machine}"},
    "POST addresses/{address}/unbind": {},
    "POST addresses/{address}/release": {},
    "GET explorer": NOBODYS,
    "POST explorer": NOBODYS,
    "GET history": NOBODYS,
    "GET key-pairs": NOBODYS,
    "GET key-pairs/new": NOBODYS,
    "POST key-pairs/new": NOBODYS,
    "GET key-pairs/import": NOBODYS,
    "POST key-pairs/import": NOBODYS,
    "POST key-pairs/{pair}/delete": {},
    "GET machines": NOBODYS,
    "POST machines/power": {"verb": "terminate", "machine": "{machine}"},
    "GET machines/stream": NOBODYS,
    "GET machines/{machine}": {},
    "POST machines/{machine}/power": {"verb": "terminate"},
    "GET machines/{machine}/console": {},
    "GET machines/{machine}/graphs": {},
    "GET machines/{machine}/groups": {},
    "POST machines/{machine}/groups": {"group": "{group}"},
    "GET machines/{machine}/name": {},
    "POST machines/{machine}/name": {"name": "stolen", "hostname": "stolen"},
    "GET machines/{machine}/options": {},
    "POST machines/{machine}/options": {"behaviour": "terminate"},
    "GET machines/{machine}/password": {},
    "POST machines/{machine}/password": {},
    "GET machines/{machine}/reinstall": {},
    "POST machines/{machine}/reinstall": {"image": "ami-00000000000000001"},
    "GET machines/{machine}/resize": {},
    "POST machines/{machine}/resize": {"product": "gcl.2"},
    "GET machines/{machine}/screenshot": {},
    "GET machines/{machine}/screenshot.png": {},
    "GET machines/{machine}/serial": {},
    "POST machines/{machine}/serial": {},
    "GET machines/{machine}/serial/socket": SOCKET,
    "GET machines/{machine}/tags": {},
    "POST machines/{machine}/tags": {"key-0": "stolen", "value-0": "yes"},
    "GET machines/{machine}/user-data": {},
    "POST machines/{machine}/user-data": {"user_data": "stolen"},
    "GET order": NOBODYS,
    "GET order/{slug}": NOBODYS,
    "POST order/{slug}": NOBODYS,
    "GET orders": NOBODYS,
    "GET orders/{order}": {},
    "POST orders/{order}/complete": {},
    "GET orders/{order}/private-key": {},
    "GET profile": NOBODYS,
    "GET profile/password": NOBODYS,
    "POST profile/password": NOBODYS,
    "GET profile/second-factor": NOBODYS,
    "POST profile/second-factor": NOBODYS,
    "POST profile/second-factor/off": NOBODYS,
    "POST profile/sign-ins/{sign_in}": {},
    "POST profile/sign-out-everywhere": NOBODYS,
    "GET security-groups": NOBODYS,
    "GET security-groups/new": NOBODYS,
    "POST security-groups/new": NOBODYS,
    "GET security-groups/{group}": {},
    "POST security-groups/{group}/delete": {},
    "POST security-groups/{group}/rules": {"direction": "in", "traffic": "ssh", "block": "198.18.0.0/24"},
    "POST security-groups/{group}/rules/{rule}/remove": {},
    "GET spending": NOBODYS,
    "POST spending": NOBODYS,
    "GET usage": NOBODYS,
    "GET usage/{month}": NOBODYS,
    "GET usage/{month}/invoice": NOBODYS,
}
# Forms about what is one's own that also name what may be somebody else's; that is `their_…`.
NAMED = {
    "addresses/{address}/bind": {"machine": "{their_machine}"},
    "explorer": {
        "protocol": "EC2",
        "operation": "DescribeInstances",
        "key": "{their_key}",
        "region": "ord1",
        "do": "send",
    },
    "machines/{machine}/groups": {"group": "{their_group}"},
    "order/{slug}": {
        "count": "1",
        "zone": "",
        "term": "1",
        "image": "",
        "key": "{their_pair}",
        "step": "book",
        "token": "x",
    },
    "order/gcl.1": {"count": "1", "term": "1", "groups": "{their_group}", "step": "book", "token": "x"},
    "security-groups/{group}/rules": {"direction": "in", "traffic": "ssh", "peer": "{their_group}"},
}
MISSING = {
    "account": "199999999999",
    "address": "eipalloc-0000000000000ffff",
    "application": "99999",
    "group": "sg-0000000000000ffff",
    "key": "AKNOBODYHASTHISONE00",
    "machine": "i-0000000000000ffff",
    "month": "2026-11",
    "order": "99999",
    "pair": "key-0000000000000ffff",
    "person": "99999",
    "rule": "sgr-0000000000000ffff",
    "sign_in": "99999",
    "slug": "no-such",
    "treatment": "disable",
}
CUSTOMERS = [route for route in ROUTES if route.audience is Audience.CUSTOMERS]
OPERATORS = [route for route in ROUTES if route.audience is Audience.OPERATORS]


async def asked(browser: Browser, route: Route, names: Mapping[str, str]):
    """Return what comes of a route where its path and its form name these things."""
    path = filled(route.template, names)
    if route.method == "GET":
        return await browser.get(path)
    fields = {name: filled(value, names) for name, value in (OWNED.get(name_of(route)) or {}).items()}
    return await browser.post(path, {"confirmed": "yes", **fields})


def without_chance(page) -> str:
    """Return a page without what differs each time, tokens and the request's id, and without what was asked for."""
    return re.sub(r'value="[^"]*"|Request id [0-9a-f-]+|[0-9]+', "", page.text)


def test_it_is_known_of_every_page_whose_things_it_is_about():
    assert set(map(name_of, CUSTOMERS)) == set(OWNED)


@pytest.mark.parametrize("route", [each for each in CUSTOMERS if OWNED.get(name_of(each)) is not NOBODYS], ids=name_of)
async def test_what_is_somebody_elses_is_as_if_it_were_not_there(gateway, victim, bob, route):
    await settle(bob)
    before = rows(gateway)
    theirs, nobodys = await asked(bob, route, victim.names), await asked(bob, route, MISSING)
    refused = 303 if route.template == "profile/sign-ins/{sign_in}" else 404  # one that is out already is signed out
    assert (theirs.status, nobodys.status) == (refused, refused)
    assert without_chance(theirs) == without_chance(nobodys)
    assert rows(gateway) == before


@pytest.mark.parametrize("path", NAMED)
async def test_no_form_reaches_what_is_somebody_elses_by_naming_it(gateway, victim, accomplice, visitors, path):
    browser = await visitors.anybody().sign_in(accomplice.email)
    await settle(browser)
    before, pages = rows(gateway), []
    for others in (victim.names, MISSING):
        names = accomplice.names | {f"their_{name}": value for name, value in others.items()}
        fields = {name: filled(value, names) for name, value in NAMED[path].items()}
        pages.append(await browser.post(filled(path, names), {"confirmed": "yes", **fields}))
    assert {page.status for page in pages} <= {404, 422}
    assert pages[0].status == pages[1].status
    assert rows(gateway) == before


@pytest.mark.parametrize("route", OPERATORS, ids=name_of)
async def test_the_pages_of_operators_are_not_there_for_customers(gateway, victim, bob, route):
    await settle(bob)
    before = rows(gateway)
    own = {**victim.names, "account": owner_of(gateway, bob)}
    for names in (victim.names, own):
        page = await asked(bob, route, names)
        assert page.status == 404
        assert without_chance(page) == without_chance(await bob.get("no-such-page"))
    assert rows(gateway) == before


def owner_of(gateway, browser):
    return next(f"{row[1]:012}" for row in rows(gateway)["users"] if row[2] == browser.email)


@pytest.mark.parametrize("route", [each for each in ROUTES if each.audience is not Audience.ANYBODY], ids=name_of)
async def test_whoever_is_not_signed_in_sees_nothing_and_changes_nothing(gateway, victim, visitors, route):
    before, stranger = rows(gateway), visitors.anybody()
    path = filled(route.template, victim.names)
    page = await (stranger.get(path) if route.method == "GET" else stranger.post(path, {"confirmed": "yes"}, token="x"))
    assert page.leads_to.partition("?")[0] == "sign-in"
    assert page.text == ""
    assert rows(gateway) == before


async def test_what_goes_on_for_long_is_for_whoever_it_is_about(victim, visitors, bob):
    socket = f"machines/{victim.names['machine']}/serial/socket?ticket=x"
    for path in ("machines/stream", socket):
        assert (await visitors.anybody().get(path)).leads_to.startswith("sign-in")
    statuses = [(await bob.get(socket, headers=told)).status for told in ({}, {"Origin": bob._origin})]
    assert statuses == [403, 405]
    with pytest.raises(WSServerHandshakeError, match="403"):
        await (await visitors.anybody().sign_in(victim.email)).socket(socket, origin="https://evil.example")
    async with bob.socket(socket) as opened:
        assert (await opened.receive()).type is WSMsgType.CLOSE


# --- scripts in what people call things

BAIT = """"'><script>alert(1)</script><img src=x onerror=alert(2)><a href=javascript:alert(3)>{{7919*7919}}</a>"""
_GROUP_BAIT = "=1+1 {7*7} &lt;b&gt;"  # descriptions of groups cannot hold more


def baited(clients: Clients) -> str:
    """Fill an account with things whose names are scripts; return a machine."""
    ec2 = clients.ec2
    ec2.create_key_pair(KeyName=BAIT)
    group = ec2.create_security_group(GroupName="bait", Description=_GROUP_BAIT)["GroupId"]
    tags = [{"Key": "Name", "Value": BAIT}, {"Key": BAIT, "Value": BAIT}]
    [machine] = ec2.run_instances(
        ImageId="ami-00000000000000001",
        InstanceType="gcl.1",
        MinCount=1,
        MaxCount=1,
        KeyName=BAIT,
        SecurityGroupIds=[group],
        UserData=f"#!/bin/sh\n# {BAIT}\n",
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"]
    return str(machine["InstanceId"])


async def test_no_name_tag_or_description_becomes_part_of_a_page(gateway, visitors, ann):
    named = visitors.anybody()
    named.email = f'"<script>{next(_NUMBERS)}</script>"@evil.example'
    page = await named.post("sign-up", {"name": BAIT, "email": named.email, "password": PASSWORD}, token="none")
    assert page.leads_to == ""
    account = owner_of(gateway, named)
    key = gateway.cli_json("key", "add", "--account", account)
    machine = baited(Clients(gateway, Keys(account, key["access_key"], key["secret_key"])))
    await named.post("api/applications", {"name": BAIT[:60], "networks": ""})
    names = {**MISSING, "machine": machine, "account": account}
    names |= {"order": str(next(row[0] for row in rows(gateway)["orders"] if row[1] == int(account)))}
    names |= {"application": str(max(row[0] for row in rows(gateway)["applications"] if row[1] == int(account)))}
    operator, seen = await visitors.operator(), 0
    query = urlencode(
        dict.fromkeys(("text", "search", "q", "state", "zone", "type", "sort", "month", "next", "tag"), BAIT)
    )
    for route in PAGES:
        browser = operator if route.audience is Audience.OPERATORS else named
        path = filled(route.template, names)
        for address in (path, f"{path}?{query}"):
            page = await browser.get(address, headers={"Referer": BAIT.replace("\n", "")})
            assert harmful_in(page.text) == [] if page.text else page.status == 303, address
            assert "62710561" not in page.text
            seen += BAIT in page.text_of("html") if page.text else 0
    assert seen > 10, "it was not even looked at"
    for path in ("machines/power", f"machines/{machine}/power"):
        page = await named.post(path, {"machine": machine, "verb": "terminate"})
        assert BAIT in page.document.text_content()
        assert harmful_in(page.text) == []


async def test_what_is_typed_into_a_form_comes_back_as_text(visitors):
    typed = {"email": BAIT, "password": "wrong one here", "next": BAIT}
    page = await visitors.anybody().post("sign-in", typed, token="none")
    assert page.value("email") == BAIT
    assert harmful_in(page.text) == []


# --- what is strange


STRANGE = [
    "",
    " ",
    "0",
    "-1",
    "1" * 400,
    "i-",
    "i-0",
    "i-" + "f" * 17,
    "i-" + "f" * 400,
    "i-00000000000000001x",
    "%",
    "%00",
    "%ff%fe",
    "%2f",
    "%2e%2e",
    "..",
    "\u0661",
    "\u2028",
    "1;drop table users",
    "{{7*7}}",
    "<script>",
    "2026-13",
    "0000-00",
    "9999-12",
    "99999-01",
]


STRANGE_NAMES = (
    *("page", "text", "q", "state", "zone", "type", "tag", "sort", "part", "span", "before", "since", "until", "month"),
    *(
        "name",
        "count",
        "product",
        "image",
        "group",
        "key",
        "id",
        "ids",
        "machine",
        "machines",
        "amount",
        "limit",
        "networks",
    ),
    *("protocol", "operation", "action", "verb", "account", "policy", "next", "email", "ticket", "region", "category"),
)

SHORT = [route for route in ROUTES if route.template != "machines/stream"]  # that goes on while somebody listens


@pytest.mark.parametrize("route", SHORT, ids=name_of)
async def test_nothing_strange_in_an_address_or_a_form_is_a_fault(gateway, visitors, route):
    browser = await (visitors.operator() if route.audience is Audience.OPERATORS else visitors.customer())
    token, faults = await browser.form_token(), []
    for strange in STRANGE:
        said = quote(strange, safe="%")
        path = re.sub(r"{[^}]*}", lambda _, said=said: said, route.template)
        query = "&".join(f"{name}={said}" for name in STRANGE_NAMES)
        if route.method == "GET":
            page = await browser.get(f"{path}?{query}")
        else:
            page = await browser.post(path, dict.fromkeys(STRANGE_NAMES, unquote(strange)), token=token)
        if page.status >= 500:
            faults.append((strange, page.status))
        if "sign-out" in route.template:
            return  # from now on all leads to the sign-in
    assert faults == []


@pytest.mark.parametrize("audience", [Audience.CUSTOMERS, Audience.OPERATORS])
async def test_nothing_strange_in_any_field_of_any_form_is_a_fault(gateway, visitors, audience):
    resident = moved_in(gateway, f"{audience.name.lower()}@example.org")
    browser = await visitors.anybody().sign_in(resident.email)
    if audience is Audience.OPERATORS:
        browser = await visitors.operator()
    seen, faults = set(), []
    for route in PAGES:
        if route.audience is not audience:
            continue
        for action, names in forms_of(await browser.get(filled(route.template, resident.names))):
            if (action, names) not in seen and "sign-out" not in action:
                seen.add((action, names))
                for strange in STRANGE:
                    page = await browser.post(action, dict.fromkeys(names, unquote(strange)))
                    faults += [(action, strange)] if page.status >= 500 else []
    assert faults == []
    assert len(seen) >= 10, "hardly a form was found"


def forms_of(page) -> list[tuple[str, frozenset[str]]]:
    """Return where each form of a page goes, and its fields but for the token."""
    forms = [form for form in page.document.forms if form.method == "POST"]
    return [(form.action.removeprefix(CONSOLE), frozenset(form.fields.keys()) - {"form_token"}) for form in forms]


async def test_a_form_of_too_many_fields_or_of_too_many_bytes_is_refused(ann):
    assert (await ann.post("profile/password", {"x": ["y"] * 3000})).status == 400
    assert (await ann.post("profile/password", {"x": "y" * 300_000})).status == 413


async def test_a_body_that_is_no_form_changes_nothing(gateway, ann):
    token, before = await ann.form_token(), rows(gateway)
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", "\x80"):
        body, headers = f"form_token={token}&confirmed=yes", {"Content-Type": kind, "Origin": ann._origin}
        async with ann._session.post(ann.url("profile/sign-out-everywhere"), data=body, headers=headers) as it:
            assert it.status == 403, kind
    assert rows(gateway) == before


# --- what is told


async def test_the_log_and_the_database_hold_no_secret_that_anybody_typed_or_was_shown(gateway, visitors, ann):
    secret = (await ann.get("profile/second-factor")).value("secret")
    given = {"secret": secret, "code": code_of(secret, time.time()), "password": PASSWORD}
    recovery = (await ann.post("profile/second-factor", given)).text_of("pre").split()
    wrong = "a wrong one, but nearly right"
    await visitors.anybody().post("sign-in", {"email": ann.email, "password": wrong}, token="none")
    told = [ann.cookies[SESSION], await ann.form_token(), secret, *recovery, PASSWORD, wrong]
    files = [file.read_bytes() for file in gateway.data.glob("onefleet.db*")]
    assert [text for text in told if text in gateway.stderr] == []
    assert [text for text in told if any(text.encode() in file for file in files)] == []
