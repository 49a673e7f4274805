"""Verbs about applications: what acts for an account through its API keys."""

from collections.abc import Mapping

from core.errors import UnknownApplication
from core.service.access import ApplicationView, KeyView
from gateway.control import Arguments, Document
from gateway.office import Office, Verb
from gateway.verbs.spelling import account_id_or_none, application_id, moment, moment_or_none
from protocols.ids import owner_id


async def _list(office: Office, said: Arguments) -> Document:
    found = []
    for account in await office.accounts(account_id_or_none(said.get("account"))):
        views = await office.core.access.applications(office.caller(account.id))
        found += [_application(view) for view in views]
    return found


async def _show(office: Office, said: Arguments) -> Document:
    wanted = application_id(said["application"])
    owners = {each.id: each.account_id for each in await office.administration.applications()}
    if wanted not in owners:
        raise UnknownApplication(wanted)
    view = await office.core.access.application(office.caller(owners[wanted]), wanted)
    return {**_application(view), "keys": [_key(key) for key in view.keys]}


def _application(view: ApplicationView) -> Document:
    application = view.application
    uses = [key.use.at for key in view.keys if key.use is not None]
    return {
        "number": application.id,
        "name": application.name,
        "account_id": owner_id(application.account_id),
        "is_enabled": application.is_enabled,
        "allow": [str(network) for network in application.networks],
        "key_count": len(view.keys),
        "last_used_at": moment_or_none(max(uses, default=None)),
    }


def _key(key: KeyView) -> Document:
    use = key.use
    return {
        "access_key": key.access_key,
        "is_enabled": key.is_enabled,
        "created_at": moment(key.created_at),
        "last_use": None
        if use is None
        else {"at": moment(use.at), "address": use.address, "protocol": use.protocol.value},
    }


VERBS: Mapping[str, Verb] = {"app list": _list, "app show": _show}
