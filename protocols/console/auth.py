"""How a browser is known again, and how we know that a form is ours: cookies, tokens, and who sends a request."""

import base64
import secrets

from aiohttp import web

from core.service import Core
from protocols.boundary import Exchange

_CSRF, _FLASH = "console-form", "console-message"
_NONCE_BYTES = 12
_MESSAGE_SECONDS = 60
_LONGEST_MESSAGE = 500
_COOKIE_SECONDS = 30 * 24 * 60 * 60


class NotFromHere(Exception):
    """The form does not come from a page of ours."""

    def __init__(self) -> None:
        super().__init__(
            "This form was not sent from a page of this console, or you have signed in anew since it was shown."
            " Go back, reload the page and try again."
        )


class Cookies:
    """The console's cookies: which browser it is, and what it is to be told on the next page."""

    def __init__(self, path: str) -> None:
        self._path = path

    def token(self, request: web.Request, exchange: Exchange) -> str:
        """Return the token that the browser brings; empty for none."""
        return request.cookies.get(_name("session", exchange), "")

    def give_token(self, response: web.StreamResponse, exchange: Exchange, token: str) -> None:
        """Have the browser bring the token from now on; an empty one: none."""
        self._set(response, exchange, "session", token, _COOKIE_SECONDS)

    def message(self, request: web.Request, exchange: Exchange, core: Core) -> str:
        """Return what the last page wanted to be told on this one; empty for nothing, or for what is not ours."""
        text, _, signature = request.cookies.get(_name("message", exchange), "").partition(".")
        if not text or not core.is_signed(_FLASH, text, signature):
            return ""
        return base64.urlsafe_b64decode(text).decode()

    def give_message(self, response: web.StreamResponse, exchange: Exchange, core: Core, message: str) -> None:
        """Have the browser show a message on the next page; an empty one: none."""
        if not message:
            self._set(response, exchange, "message", "", 0)
            return
        text = base64.urlsafe_b64encode(message[:_LONGEST_MESSAGE].encode()).decode()
        self._set(response, exchange, "message", f"{text}.{core.sign(_FLASH, text)}", _MESSAGE_SECONDS)

    def _set(self, response: web.StreamResponse, exchange: Exchange, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            _name(name, exchange),
            value,
            path=self._path,
            max_age=seconds if value else 0,
            secure=exchange.scheme == "https",
            httponly=True,
            samesite="Lax",
        )


def _name(name: str, exchange: Exchange) -> str:
    """Return a cookie's name; over TLS with the prefix that lets no page without TLS set it."""
    return f"__Secure-onefleet-{name}" if exchange.scheme == "https" else f"onefleet-{name}"


def form_token(core: Core, session: str) -> str:
    """Return a token for the forms of a page, for the session with this digest; another one each time, all as good."""
    # Never the same text twice, so that the length of a compressed page tells nothing about it (BREACH).
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    return f"{nonce}.{core.sign(_CSRF, f'{nonce}.{session}')}"


def require_own_form(core: Core, request: web.Request, exchange: Exchange, token: str, session: str) -> None:
    """Return if a form comes from a page of ours that was shown in this session; without one, if from our site.

    Raises:
        NotFromHere: it does not.
    """
    if not _is_from_here(request, exchange):
        raise NotFromHere
    nonce, _, signature = token.partition(".")
    if session and not core.is_signed(_CSRF, f"{nonce}.{session}", signature):
        raise NotFromHere


def _is_from_here(request: web.Request, exchange: Exchange) -> bool:
    """Whether the browser says that one of our own pages sends it. What says nothing is no browser of today."""
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin.lower() in {
            f"{exchange.scheme}://{exchange.host}".lower(),
            f"{exchange.called_scheme}://{exchange.called_host}".lower(),
        }
    return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")


def is_own_socket(request: web.Request, exchange: Exchange) -> bool:
    """Whether a WebSocket is opened by a page of ours: browsers let any page open one, and send our cookies along."""
    return "Origin" in request.headers and _is_from_here(request, exchange)
