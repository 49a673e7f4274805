"""Verbs about people who sign in to the console."""

from collections.abc import Mapping

from core.administration import NewUser
from core.people import User
from gateway.control import Arguments, Document
from gateway.office import Office, Verb
from gateway.verbs.spelling import account_id, account_id_or_none, moment
from protocols.ids import owner_id


async def _add(office: Office, said: Arguments) -> Document:
    account, is_operator = account_id(said["account"]), bool(said.get("operator"))
    return _told_once(await office.administration.add_user(account, said["email"], is_operator=is_operator))


async def _list(office: Office, said: Arguments) -> Document:
    account = account_id_or_none(said.get("account"))
    return [_user(user) for user in await office.administration.users(account)]


async def _reset_password(office: Office, said: Arguments) -> Document:
    return _told_once(await office.administration.reset_password(said["email"]))


async def _reset_second_factor(office: Office, said: Arguments) -> Document:
    return _user(await office.administration.reset_second_factor(said["email"]))


async def _disable(office: Office, said: Arguments) -> Document:
    return _user(await office.administration.set_user_enabled(said["email"], is_enabled=False))


async def _enable(office: Office, said: Arguments) -> Document:
    return _user(await office.administration.set_user_enabled(said["email"], is_enabled=True))


async def _operator(office: Office, said: Arguments) -> Document:
    return _user(await office.administration.set_operator(said["email"], is_operator=not said.get("revoke")))


def _user(user: User) -> Document:
    return {
        "email": user.email,
        "number": user.id,
        "account_id": owner_id(user.account_id),
        "is_enabled": user.is_enabled,
        "is_operator": user.is_operator,
        "has_second_factor": user.has_second_factor,
        "must_change_password": user.must_change,
        "created_at": moment(user.created_at),
    }


def _told_once(new: NewUser) -> Document:
    return {**_user(new.user), "password": new.password}


VERBS: Mapping[str, Verb] = {
    "user add": _add,
    "user list": _list,
    "user password": _reset_password,
    "user reset-second-factor": _reset_second_factor,
    "user disable": _disable,
    "user enable": _enable,
    "user operator": _operator,
}
