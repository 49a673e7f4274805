"""Real browsers: Debian's Chromium, driven by Playwright, and what people see and do of the console in one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.end_to_end.commands import need_command, need_tool
from tests.running import Keys, RunningGateway

CONSOLE = "/console/"
PASSWORD = "correct horse battery"
NARROW, WIDE = 360, 1280
PATIENCE_SECONDS = 20.0

_COMMAND = "chromium"
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Told through the console, where everything else that is wrong with a page is told too.
_TELL_OF_POLICY = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
# What a browser says of an answer with a status from 400; `_answered` judges those.
_STATUS_TOLD = "Failed to load resource: the server responded with a status of"
_GIVEN_UP = "net::ERR_ABORTED"  # the page was left, or it became a download
_FAULTS, _SERVER_FAULTS = 400, 500
_NUMBERS = count(1)

_SERIOUS = ("serious", "critical")
# axe looks at what is there once animations and fonts are; each violation is told with the elements that it concerns.
_ASK_AXE = """
async (rules) => (await axe.run(document, {resultTypes: ["violations"], ...(rules.length && {runOnly: rules})})).violations.map((violation) => ({
  id: violation.id, impact: violation.impact, nodes: violation.nodes.map((node) => `${node.target} ${node.failureSummary}`),
}))
"""
_OVERFLOW = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.scrollingElement.scrollWidth <= width) return [];
  const scrolls = (element) => element && (getComputedStyle(element).overflowX !== "visible" || scrolls(element.parentElement));
  return [...document.querySelectorAll("body *")]
    .filter((each) => !scrolls(each) && each.getBoundingClientRect().left + each.scrollWidth > width + 0.5)
    .map((each) => `${each.tagName}.${each.className} ${Math.round(each.getBoundingClientRect().right)}`)
    .concat(`scrollWidth ${document.scrollingElement.scrollWidth} > ${width}`);
}
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield Debian's Chromium without a window; skip the test where it is missing."""
    need_command(_COMMAND, _COMMAND)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=f"/usr/bin/{_COMMAND}", args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright keeps a loop in this thread while it runs: modules with asynchronous tests cannot have it.
    with chromium() as running:
        yield running


def open_to_all(folder: Path, **sections: Any) -> RunningGateway:
    """Return a gateway, not started, where anybody can sign up, and which knows people by the addresses they say."""
    server = {"trusted_proxies": ["127.0.0.1"]} | sections.pop("server", {})
    return RunningGateway(folder, console={"sign_up": True}, server=server, **sections)


class Person:
    """Somebody with a browser of their own, with cookies of their own, who looks at one `page` of the console.

    They come from an address of their own, so that no one's failures hold up another; see `open_to_all`.
    `complaints` is what the browser found wrong: errors of scripts, violations of the policy, requests that failed.
    """

    def __init__(self, browser: Browser, gateway: RunningGateway, **context: Any) -> None:
        self.gateway = gateway
        self.email, self.password = "", PASSWORD
        self.complaints: list[str] = []
        number = next(_NUMBERS)
        self.address = f"198.18.{number >> 8 & 255}.{number & 255}"  # of the block for tests of networks
        options = {"viewport": {"width": WIDE, "height": 900}, "locale": "en-GB", "timezone_id": "UTC"}
        options["extra_http_headers"] = {"X-Forwarded-For": self.address}
        self.context: BrowserContext = browser.new_context(**(options | context))
        self.context.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.context.add_init_script(_TELL_OF_POLICY)
        self.page: Page = self._watched(self.context.new_page())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    # --- what they do

    def go(self, path: str = "") -> Response:
        """Open a page of the console by its address; return what came."""
        response = self.page.goto(self.url(path))
        assert response is not None, f"{path} is the page that was open already"
        return response

    def follow(self, link: str) -> None:
        """Follow a link by its words."""
        self.page.get_by_role("link", name=link, exact=True).first.click()

    def fill(self, label: str, text: str) -> None:
        """Type into a field, by its label's first words."""
        self.page.get_by_label(label).first.fill(text)

    def choose(self, label: str, option: str) -> None:
        """Choose of what is offered, by the words or the value."""
        self.page.get_by_label(label).first.select_option(option)

    def press(self, button: str, *, inside: str = "main") -> None:
        """Press a button, by its words, and wait for the page that it leads to."""
        with self.page.expect_navigation():
            self.page.locator(inside).get_by_role("button", name=button, exact=True).first.click()

    def sign_up(self, email: str, name: str = "") -> Self:
        """Make an account for themselves, which signs them in."""
        self.email = email
        self.go("sign-up")
        self.fill("Name of the account", name or email)
        self.fill("E-mail address", email)
        self.fill("Password", self.password)
        self.press("Make the account")
        assert self.at == "", self.text
        return self

    def sign_in(self, email: str = "", password: str = "") -> Self:
        """Give e-mail address and password; by default those that worked before."""
        self.email, self.password = email or self.email, password or self.password
        self.go("sign-in")
        self.fill("E-mail address", self.email)
        self.fill("Password", self.password)
        self.press("Sign in")
        return self

    def sign_out(self) -> None:
        """Sign out of this browser."""
        self.press("Sign out", inside="header")

    def turn_api_on(self) -> None:
        """Turn API access on, as its page asks."""
        self.go("api")
        self.press("Turn on API access")
        self.press("Turn on API access")  # once more: one is asked

    def make_key(self, application: str = "programs") -> Keys:
        """Turn API access on, make an application, and return its new key."""
        self.turn_api_on()
        self.fill("Name", application)
        self.press("Create application")
        self.press("Update API key and hash")
        access_key, secret_key = self.page.locator(".panel .copyable code").all_inner_texts()[:2]
        return Keys("", access_key, secret_key)

    def order(self, slug: str, **fields: str) -> str:
        """Order machines of a product, by the names of the form's fields; return the first one's id."""
        self.go(f"order/{slug}")
        for name, text in fields.items():
            self.page.locator(f"input[name='{name}'], textarea[name='{name}']").fill(text)
        self.press("Review the order")
        self.press("Book now")
        return self.page.locator("main a[href*='machines/i-']").first.get_attribute("href").rpartition("/")[2]  # type: ignore[union-attr]

    # --- what they see

    @property
    def at(self) -> str:
        """The page that is open: its path within the console, with its query."""
        return self.page.url.removeprefix(self.url(""))

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    @property
    def text(self) -> str:
        """The words of the page, without the navigation."""
        return self.page.locator("main").inner_text()

    @property
    def message(self) -> str:
        """What is told of what was just done."""
        return self.page.locator(".message").inner_text()

    def problem(self, field: str) -> str:
        """Return what is wrong with a field, as somebody who cannot see hears it."""
        box = self.page.locator(f"[name='{field}']").first
        assert box.get_attribute("aria-invalid") == "true", f"{field} is not told to be wrong"
        told = (box.get_attribute("aria-describedby") or "").split()
        return self.page.locator(f"#{told[-1]}").inner_text()

    def value(self, field: str) -> str:
        """Return what a field shows."""
        return self.page.locator(f"[name='{field}']").first.input_value()

    def overflowing(self) -> Sequence[str]:
        """Return what is wider than the window, so that one has to scroll sideways to read the page."""
        found: Sequence[str] = self.page.evaluate(_OVERFLOW)
        return found

    def barriers(self, *rules: str) -> Sequence[str]:
        """Return what axe-core finds to be a serious barrier on the page, by some of its rules, or by all."""
        # Evaluated from outside the page, where its policy says nothing.
        self.page.evaluate((need_tool("node_modules/axe-core") / "axe.min.js").read_text())
        found = self.page.evaluate(_ASK_AXE, list(rules))
        return [f"{each['id']}: {'; '.join(each['nodes'][:3])}" for each in found if each["impact"] in _SERIOUS]

    def url(self, path: str) -> str:
        return f"{self.gateway.endpoint}{CONSOLE}{path}"

    # --- what the browser says

    def _watched(self, page: Page) -> Page:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._complain(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_STATUS_TOLD):
            self._complain(f"{message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != _GIVEN_UP:
            self._complain(f"{request.failure}: {request.url}")

    def _answered(self, response: Response) -> None:
        """Complain of a fault, unless it is a page with a refusal, which tests look at themselves."""
        least = _SERVER_FAULTS if response.request.is_navigation_request() else _FAULTS
        if response.status >= least:
            self._complain(f"{response.status}: {response.url}")

    def _complain(self, text: str) -> None:
        self.complaints.append(f"{self.page.url}: {text}" if hasattr(self, "page") else text)


def operator_of(gateway: RunningGateway) -> tuple[str, str]:
    """Return the e-mail address and the password that the first start has printed for the operator."""
    lines = dict(line.split(maxsplit=1) for line in gateway.welcome.splitlines() if len(line.split(maxsplit=1)) > 1)
    return lines["e-mail"], lines["password"]


def become_operator(person: Person) -> Person:
    """Sign in as the operator of the first start, who is asked for another password at first."""
    email, password = operator_of(person.gateway)
    person.sign_in(email, password)
    assert person.at == "profile/password", person.text
    person.fill("The password you have", password)
    person.password = PASSWORD
    person.fill("New password", PASSWORD)
    person.fill("New password, once more", PASSWORD)
    person.press("Change it")
    return person
