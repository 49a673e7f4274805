"""Signing in, with a second factor where there is one, signing up, signing out."""

import re

from aiohttp import web

from core.errors import EmailTaken, InvalidRequest, SignUpClosed, WrongCode, WrongPassword
from core.service.people import SignedIn
from protocols.console.errors import PageNotFound
from protocols.console.routes import Audience, Pages, Visit

pages = Pages(Audience.ANYBODY)

_LONGEST_PATH = 1000
# Parts of plain letters, none of which is a dot or two; then anything as a query.
_PAGE = re.compile(r"(?:[\w-][\w.-]*(?:/[\w-][\w.-]*)*)?(?:\?[!-~]*)?", re.ASCII)


@pages.get("sign-in")
async def show_sign_in(visit: Visit) -> web.StreamResponse:
    """Return the page to sign in; whoever is signed in goes on to where they wanted."""
    if visit.who is not None:
        return visit.go(_next(visit))
    return await visit.page("sign_in.html", next=_next(visit), has_sign_up=visit.core.people.settings.has_sign_up)


@pages.post("sign-in", again=show_sign_in, fields={WrongPassword: "password"})
async def sign_in(visit: Visit) -> web.StreamResponse:
    """Sign in with e-mail address and password."""
    email, password = visit.form.text("email", what="your e-mail address"), visit.form.secret("password")
    visit.form.require()
    signed_in = await visit.core.people.sign_in(email, password, visit.visitor, former=visit.token)
    return _welcome(visit, signed_in)


@pages.get("sign-in/code")
async def show_code(visit: Visit) -> web.StreamResponse:
    """Return the page that asks for the second factor."""
    if not await visit.core.people.awaits_code(visit.token):
        return visit.go("sign-in")
    return await visit.page("sign_in_code.html", next=_next(visit))


@pages.post("sign-in/code", again=show_code, fields={WrongCode: "code"})
async def give_code(visit: Visit) -> web.StreamResponse:
    """Give the second factor."""
    code = visit.form.secret("code")
    visit.form.require()
    return _welcome(visit, await visit.core.people.give_code(visit.token, code, visit.visitor))


@pages.get("sign-up")
async def show_sign_up(visit: Visit) -> web.StreamResponse:
    """Return the page on which strangers make an account, where that is allowed."""
    if not visit.core.people.settings.has_sign_up:
        raise PageNotFound
    return visit.go("") if visit.who is not None else await visit.page("sign_up.html")


@pages.post("sign-up", again=show_sign_up, fields={EmailTaken: "email", InvalidRequest: "password", SignUpClosed: ""})
async def sign_up(visit: Visit) -> web.StreamResponse:
    """Make an account, and sign in."""
    form = visit.form
    name, email = form.text("name", what="a name for your account"), form.text("email", what="your e-mail address")
    password = form.secret("password")
    form.require()
    signed_in = await visit.core.people.sign_up(name, email, password, visit.visitor, former=visit.token)
    return _welcome(visit, signed_in)


@pages.post("sign-out")
async def sign_out(visit: Visit) -> web.StreamResponse:
    """Sign out of this browser."""
    if visit.who is not None:
        await visit.core.people.sign_out(visit.who, visit.visitor)
    response = visit.go("sign-in", "You are signed out.")
    visit.templates.cookies.give_token(response, visit.exchange, "")
    return response


def _welcome(visit: Visit, signed_in: SignedIn) -> web.StreamResponse:
    """Lead on whoever has just signed in, under a new token."""
    target = _next(visit)
    if signed_in.sign_in.awaits_code:
        response = visit.go(f"sign-in/code{visit.query_of(next=target)}")
    else:
        response = visit.go(target)
    visit.templates.cookies.give_token(response, visit.exchange, signed_in.token)
    return response


def _next(visit: Visit) -> str:
    """Return the page of ours that was wanted before; nothing outside of the console can be named by it."""
    wanted = visit.form.value("next") or visit.query.get("next", "")
    return wanted if _PAGE.fullmatch(wanted) and len(wanted) <= _LONGEST_PATH else ""
