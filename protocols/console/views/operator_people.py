"""People, as the operator sees to them: who signs in for an account, with which rights."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from core.administration import Administration
from core.errors import EmailTaken, InvalidRequest, UnknownUser
from core.journal import Author
from core.people import User
from protocols.console.errors import PageNotFound
from protocols.console.routes import Audience, Pages, Visit
from protocols.console.views.operator_accounts import account_of, show_account

pages = Pages(Audience.OPERATORS)


@dataclass(frozen=True, slots=True)
class Treatment:
    """Something that an operator can do to a person. With a question, they are asked it first."""

    do: Callable[[Administration, str, Author], Awaitable[object]]
    done: str
    question: str = ""


async def _disable(administration: Administration, email: str, by: Author) -> None:
    await administration.set_user_enabled(email, is_enabled=False, by=by)


async def _enable(administration: Administration, email: str, by: Author) -> None:
    await administration.set_user_enabled(email, is_enabled=True, by=by)


async def _make_operator(administration: Administration, email: str, by: Author) -> None:
    await administration.set_operator(email, is_operator=True, by=by)


async def _unmake_operator(administration: Administration, email: str, by: Author) -> None:
    await administration.set_operator(email, is_operator=False, by=by)


TREATMENTS: Mapping[str, Treatment] = {
    "reset-second-factor": Treatment(
        Administration.reset_second_factor,
        "{} signs in with the password alone, until they switch a second factor on again.",
        "Make sure that it is really {} who asks: from then on, whoever has the password can sign in.",
    ),
    "disable": Treatment(_disable, "{} can no longer sign in."),
    "enable": Treatment(_enable, "{} can sign in again."),
    "make-operator": Treatment(
        _make_operator,
        "{} is an operator.",
        "{} will see all accounts, act in their place, suspend them, and make other operators.",
    ),
    "unmake-operator": Treatment(_unmake_operator, "{} is no operator any more."),
}
"""What can be done by the last part of the path."""


@pages.post(
    "operator/accounts/{account}/people", again=show_account, fields={InvalidRequest: "email", EmailTaken: "email"}
)
async def add_person(visit: Visit) -> web.StreamResponse:
    """Add a person to an account, and tell the password that was made up for them."""
    email = visit.form.text("email", what="an e-mail address")
    visit.form.require()
    added = await visit.administration.add_user(account_of(visit), email, by=visit.author)
    return await visit.page("operator_password.html", user=added.user, password=added.password, is_new=True)


@pages.post("operator/accounts/{account}/people/{person}/reset-password", again=show_account)
async def reset_password(visit: Visit) -> web.StreamResponse:
    """Give a person another password, and tell it, once that is confirmed."""
    person = await _person(visit)
    if not visit.form.flag("confirmed"):
        question = "{} is signed out everywhere, and can sign in only with the password that you will be told."
        return await _ask(visit, person, question)
    reset = await visit.administration.reset_password(person.email, visit.author)
    return await visit.page("operator_password.html", user=reset.user, password=reset.password, is_new=False)


@pages.post("operator/accounts/{account}/people/{person}/{treatment}", again=show_account)
async def treat(visit: Visit) -> web.StreamResponse:
    """Do something else to a person, if need be once it is confirmed."""
    person, treatment = await _person(visit), TREATMENTS.get(visit.variables["treatment"])
    if treatment is None:
        raise PageNotFound
    if treatment.question and not visit.form.flag("confirmed"):
        return await _ask(visit, person, treatment.question)
    await treatment.do(visit.administration, person.email, visit.author)
    return visit.go(_account_path(visit), treatment.done.format(person.email))


async def _person(visit: Visit) -> User:
    text, people = visit.variables["person"], await visit.administration.users(account_of(visit))
    found = [user for user in people if str(user.id) == text]
    if not found:
        raise UnknownUser(text)
    return found[0]


async def _ask(visit: Visit, person: User, question: str) -> web.StreamResponse:
    path = visit.route.template.format_map(visit.variables)
    what = path.rpartition("/")[2].replace("-", " ").capitalize()
    return await visit.page(
        "confirm.html",
        title=f"{what}: {person.email}",
        text=question.format(person.email),
        lost=[],
        path=path,
        values=[],
        label=what,
        back=_account_path(visit),
    )


def _account_path(visit: Visit) -> str:
    return f"operator/accounts/{visit.variables['account']}"
