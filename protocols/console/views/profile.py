"""What people see to about themselves: password, second factor, where they are signed in."""

import segno
from aiohttp import web

from core.errors import InvalidRequest, WrongCode, WrongPassword
from core.ids import SignInId
from core.people import code_uri
from protocols.console.errors import PageNotFound
from protocols.console.routes import Pages, Visit

pages = Pages()


@pages.get("profile")
async def show(visit: Visit) -> web.StreamResponse:
    """Return what somebody can see to."""
    return await visit.page("profile.html", sign_ins=await visit.core.people.sign_ins(visit.me))


@pages.get("profile/password")
async def show_password(visit: Visit) -> web.StreamResponse:
    """Return the page to choose another password."""
    return await visit.page("password.html")


@pages.post("profile/password", again=show_password, fields={WrongPassword: "old", InvalidRequest: "new"})
async def change_password(visit: Visit) -> web.StreamResponse:
    """Set another password."""
    form = visit.form
    old, new, again = form.secret("old"), form.secret("new"), form.secret("again")
    if new != again:
        form.refuse("again", "This differs from the new password above; type it again.")
    form.require()
    await visit.core.people.change_password(visit.me, old, new, visit.visitor)
    return visit.go("profile", "Your password is changed; wherever else you were signed in, you no longer are.")


@pages.get("profile/second-factor")
async def show_second_factor(visit: Visit) -> web.StreamResponse:
    """Return the page to switch the second factor on, with a fresh secret, or off."""
    if visit.me.user.has_second_factor:
        return await visit.page("second_factor_off.html")
    secret = visit.form.value("secret") or visit.core.people.propose_second_factor()
    uri = code_uri(secret, visit.me.user.email, visit.settings.title)
    return await visit.page("second_factor.html", secret=secret, picture=_picture(uri))


@pages.post("profile/second-factor", again=show_second_factor, fields={WrongPassword: "password", WrongCode: "code"})
async def turn_on_second_factor(visit: Visit) -> web.StreamResponse:
    """Ask for codes from now on, and tell the recovery codes."""
    form = visit.form
    secret, code, password = form.text("secret"), form.secret("code"), form.secret("password")
    form.require()
    second = await visit.core.people.turn_on_second_factor(visit.me, secret, code, password, visit.visitor)
    return await visit.page("recovery_codes.html", codes=second.recovery_codes)


@pages.post("profile/second-factor/off", again=show_second_factor, fields={WrongPassword: "password"})
async def turn_off_second_factor(visit: Visit) -> web.StreamResponse:
    """Ask for the password alone from now on."""
    password = visit.form.secret("password")
    visit.form.require()
    await visit.core.people.turn_off_second_factor(visit.me, password, visit.visitor)
    return visit.go("profile", "The second factor is off.")


@pages.post("profile/sign-ins/{sign_in}")
async def end_sign_in(visit: Visit) -> web.StreamResponse:
    """Sign out of one other browser."""
    text = visit.variables["sign_in"]
    if not (text.isascii() and text.isdecimal() and len(text) < 16):  # noqa: PLR2004  more is no id of ours
        raise PageNotFound
    await visit.core.people.end(visit.me, SignInId(int(text)), visit.visitor)
    return visit.go("profile", "That browser is signed out.")


@pages.post("profile/sign-out-everywhere")
async def sign_out_everywhere(visit: Visit) -> web.StreamResponse:
    """Sign out of every browser, this one too."""
    await visit.core.people.sign_out_everywhere(visit.me, visit.visitor)
    response = visit.go("sign-in", "You are signed out everywhere.")
    visit.templates.cookies.give_token(response, visit.exchange, "")
    return response


def _picture(uri: str) -> str:
    """Return a QR code as the address of a picture."""
    return segno.make(uri, micro=False).svg_data_uri(scale=5, border=3, dark="#000", light="#fff")
