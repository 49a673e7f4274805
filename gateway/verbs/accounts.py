"""Verbs about accounts and their API keys."""

from collections.abc import Mapping
from decimal import Decimal

from core.accounts import Account, parse_network
from core.administration import DEFAULT_APPLICATION, KeyHolder, MachinePolicy
from core.errors import InvalidRequest
from gateway.control import Arguments, Document
from gateway.office import Office, Verb
from gateway.verbs.spelling import account_id, account_id_or_none, amount_or_none, moment
from protocols.ids import instance_id, owner_id


async def _add_account(office: Office, said: Arguments) -> Document:
    account = await office.administration.add_account(said["name"])
    return {"account_id": owner_id(account.id), "name": account.name}


async def _list_accounts(office: Office, _: Arguments) -> Document:
    return [_account(account) for account in await office.administration.accounts()]


async def _show_account(office: Office, said: Arguments) -> Document:
    wanted = account_id(said["account"])
    holding = (await office.administration.estate()).holding(wanted)
    allowance = await office.core.spending.limits(office.caller(wanted))
    return {
        **_account(holding.account),
        "has_api": holding.account.has_api,
        "people": [user.email for user in holding.people],
        "machines": holding.machines,
        "spending_limit": _amount(allowance.limit),
        "credit_limit": _amount(allowance.credit_limit),
        "spent": {currency: _amount(amount) for currency, amount in allowance.spent.items()},
        "is_limit_reached": allowance.is_reached,
    }


async def _suspend_account(office: Office, said: Arguments) -> Document:
    policy = _policy(said.get("machines") or MachinePolicy.LEAVE)
    suspension = await office.administration.suspend(account_id(said["account"]), policy)
    return {
        **_account(suspension.account),
        "machines": policy.value,
        "touched": [instance_id(each) for each in suspension.touched],
        "untouched": [instance_id(each) for each in suspension.untouched],
    }


async def _resume_account(office: Office, said: Arguments) -> Document:
    return _account(await office.administration.resume(account_id(said["account"])))


async def _limit_account(office: Office, said: Arguments) -> Document:
    amount = amount_or_none("amount", said["amount"])
    account = await office.administration.set_credit_limit(account_id(said["account"]), amount)
    return {**_account(account), "credit_limit": _amount(account.credit_limit)}


def _policy(text: str) -> MachinePolicy:
    try:
        return MachinePolicy(text)
    except ValueError:
        raise InvalidRequest("machines", text, f"one of {', '.join(MachinePolicy)}") from None


async def _add_key(office: Office, said: Arguments) -> Document:
    networks = tuple(parse_network(text) for text in said.get("allow") or ())
    application = said.get("application") or DEFAULT_APPLICATION
    return _secret(await office.administration.add_key(account_id(said["account"]), application, networks))


async def _list_keys(office: Office, said: Arguments) -> Document:
    account = account_id_or_none(said.get("account"))
    return [_key(holder) for holder in await office.administration.keys(account)]


async def _renew_key(office: Office, said: Arguments) -> Document:
    return _secret(await office.administration.renew_key(said["access_key"]))


async def _disable_key(office: Office, said: Arguments) -> Document:
    return _key(await office.administration.set_key_enabled(said["access_key"], is_enabled=False))


async def _enable_key(office: Office, said: Arguments) -> Document:
    return _key(await office.administration.set_key_enabled(said["access_key"], is_enabled=True))


def _account(account: Account) -> Document:
    return {
        "account_id": owner_id(account.id),
        "name": account.name,
        "state": "suspended" if account.is_suspended else "open",
        "created_at": moment(account.created_at),
    }


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"


def _key(holder: KeyHolder) -> Document:
    return {
        "access_key": holder.key.access_key,
        "account_id": owner_id(holder.account.id),
        "account": holder.account.name,
        "application": holder.application.name,
        "allow": [str(network) for network in holder.application.networks],
        "is_enabled": holder.key.is_enabled and holder.application.is_enabled,
        "created_at": moment(holder.key.created_at),
    }


def _secret(holder: KeyHolder) -> Document:
    return {"access_key": holder.key.access_key, "secret_key": holder.key.secret_key}


VERBS: Mapping[str, Verb] = {
    "account add": _add_account,
    "account list": _list_accounts,
    "account show": _show_account,
    "account suspend": _suspend_account,
    "account resume": _resume_account,
    "account limit": _limit_account,
    "key add": _add_key,
    "key list": _list_keys,
    "key renew": _renew_key,
    "key disable": _disable_key,
    "key enable": _enable_key,
}
