"""Accounts, as the operator sees to them: limits, suspension, keys, and acting in their place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from aiohttp import web

from core.accounts import Account
from core.administration import MachinePolicy, Suspension
from core.errors import InvalidRequest
from core.estate import Holding
from core.fleet import Fleet
from core.ids import AccountId, ApplicationId
from core.instances import Instance
from core.journal import DeedQuery
from core.orders import Order, order_status
from core.service.core import OrderView
from core.spending import Month
from core.tags import ResourceKind
from protocols.console.errors import PageNotFound
from protocols.console.routes import Audience, Pages, Visit
from protocols.console.views.backstage import account_id_of, in_place_of
from protocols.ids import owner_id

pages = Pages(Audience.OPERATORS)

_ON_A_PAGE = 50
_MACHINES_SHOWN, _ORDERS_SHOWN, _DEEDS_SHOWN, _MACHINES_NAMED = 50, 20, 10, 50


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account with what it has, and what that costs this month by currency."""

    holding: Holding
    costs: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class MachineLine:
    """A machine of an account, with the words for what it refers to."""

    machine: Instance
    name: str
    product: str
    zone: str
    currency: str


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An order of an account, with the words for what it refers to."""

    order: Order
    status: str
    machines: int
    product: str


# --- all of them


@pages.get("operator/accounts")
async def show_accounts(visit: Visit) -> web.StreamResponse:
    """Return a page of the accounts, or of those that are looked for."""
    text, page = visit.query.get("text", ""), _page_number(visit)
    holdings = (await visit.administration.estate()).holdings(text)
    here = holdings[(page - 1) * _ON_A_PAGE : page * _ON_A_PAGE]
    return await visit.page(
        "operator_accounts.html",
        lines=[await _line(visit, holding) for holding in here],
        text=text,
        page=page,
        pages=max(1, -(-len(holdings) // _ON_A_PAGE)),
        count=len(holdings),
    )


@pages.post("operator/accounts", again=show_accounts, fields={InvalidRequest: "name"})
async def add_account(visit: Visit) -> web.StreamResponse:
    """Make an account."""
    name = visit.form.text("name", what="a name for the account")
    visit.form.require()
    account = await visit.administration.add_account(name, visit.author)
    return visit.go(f"operator/accounts/{owner_id(account.id)}", f"{account.name} is made. Add who signs in for it.")


async def _line(visit: Visit, holding: Holding) -> AccountLine:
    usage = await visit.core.spending.of_account(holding.account.id, Month.of(visit.now))
    return AccountLine(holding, usage.totals)


def _page_number(visit: Visit) -> int:
    text = visit.query.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 7 else 1  # noqa: PLR2004


# --- one of them


@pages.get("operator/accounts/{account}")
async def show_account(visit: Visit) -> web.StreamResponse:
    """Return all about an account, and what can be done about it."""
    account_id = account_of(visit)
    holding = (await visit.administration.estate()).holding(account_id)
    caller = in_place_of(visit, account_id)
    fleet = await visit.core.fleet(caller)
    machines = _machines(fleet)
    return await visit.page(
        "operator_account.html",
        holding=holding,
        account=holding.account,
        machines=machines[:_MACHINES_SHOWN],
        orders=[_order(fleet, view) for view in (await visit.core.orders(caller))[:_ORDERS_SHOWN]],
        applications=await visit.core.access.applications(caller),
        allowance=await visit.core.spending.limits(caller),
        deeds=await visit.administration.deeds(DeedQuery(account_id, most=_DEEDS_SHOWN)),
        policies=list(POLICIES.items()),
    )


def account_of(visit: Visit) -> AccountId:
    """Return the account that the path names.

    Raises:
        UnknownAccount: no account's id is spelled so.
    """
    return account_id_of(visit.variables["account"])


def _machines(fleet: Fleet) -> Sequence[MachineLine]:
    """Return the machines that live, the newest first."""
    living = [machine for machine in fleet.instances() if not machine.has_ended]
    return [
        MachineLine(
            machine,
            fleet.tags(ResourceKind.INSTANCE, machine.id).get("Name") or machine.hostname,
            fleet.product(machine.product_id).slug,
            fleet.zone(machine.zone_id).name,
            fleet.order(machine.order_id).currency,
        )
        for machine in reversed(living)
    ]


def _order(fleet: Fleet, view: OrderView) -> OrderLine:
    status = order_status(view.instances).value
    return OrderLine(view.order, status, len(view.instances), fleet.product(view.order.product_id).slug)


@pages.post("operator/accounts/{account}/limit", again=show_account, fields={InvalidRequest: "credit_limit"})
async def set_limit(visit: Visit) -> web.StreamResponse:
    """Limit what an account may spend in a month, or no longer."""
    account_id, amount = account_of(visit), visit.form.money("credit_limit")
    visit.form.require()
    await visit.administration.set_credit_limit(account_id, amount, visit.author)
    told = "There is no credit limit any more." if amount is None else f"The credit limit is {amount:f} a month."
    return _back(visit, told)


# --- suspending

POLICIES: Mapping[MachinePolicy, str] = {
    MachinePolicy.LEAVE: "leave them as they are",
    MachinePolicy.STOP: "stop them",
    MachinePolicy.TERMINATE: "terminate them",
}
_LOST: Mapping[MachinePolicy, str] = {
    MachinePolicy.LEAVE: "Its machines stay as they are, and go on costing.",
    MachinePolicy.STOP: "These machines are stopped; they keep their disks, and go on costing.",
    MachinePolicy.TERMINATE: "These machines end, protected or not, and all that is on their disks is lost.",
}


@pages.post("operator/accounts/{account}/suspend", again=show_account)
async def suspend(visit: Visit) -> web.StreamResponse:
    """Stop an account, once that is confirmed."""
    account_id = account_of(visit)
    choice = visit.form.choice("policy", list(MachinePolicy))
    visit.form.require()
    policy = MachinePolicy(choice)
    if not visit.form.flag("confirmed"):
        return await _ask_to_suspend(visit, await visit.administration.account(account_id), policy)
    suspension = await visit.administration.suspend(account_id, policy, visit.author)
    return _back(visit, _told(suspension, policy))


async def _ask_to_suspend(visit: Visit, account: Account, policy: MachinePolicy) -> web.StreamResponse:
    machines = _machines(await visit.core.fleet(in_place_of(visit, account.id)))
    named = [f"{line.name} (machine {line.machine.id}, {line.product} in {line.zone})" for line in machines]
    more = [f"and {len(named) - _MACHINES_NAMED} more"] if len(named) > _MACHINES_NAMED else []
    path = f"operator/accounts/{owner_id(account.id)}"
    return await visit.page(
        "confirm.html",
        title=f"Suspend {account.name}?",
        text=f"Its API keys and its people are refused from now on. {_LOST[policy]}",
        lost=[*named[:_MACHINES_NAMED], *more] if policy is not MachinePolicy.LEAVE else [],
        path=f"{path}/suspend",
        values=[("policy", policy.value)],
        label="Suspend it",
        back=path,
    )


def _told(suspension: Suspension, policy: MachinePolicy) -> str:
    text = f"{suspension.account.name} is suspended."
    if suspension.touched:
        text += f" Machines that {'stop' if policy is MachinePolicy.STOP else 'end'} now: {len(suspension.touched)}."
    if suspension.untouched:
        text += f" Machines that cannot be stopped yet: {len(suspension.untouched)}; suspend it again when they are up."
    return text


@pages.post("operator/accounts/{account}/resume", again=show_account)
async def resume(visit: Visit) -> web.StreamResponse:
    """Let a suspended account go on."""
    account = await visit.administration.resume(account_of(visit), visit.author)
    return _back(visit, f"{account.name} goes on. Machines that were stopped stay so until they are started.")


# --- its keys


@pages.post("operator/accounts/{account}/keys", again=show_account)
async def switch_key(visit: Visit) -> web.StreamResponse:
    """Disable or enable an API key."""
    access_key, is_enabled = visit.form.text("access_key"), visit.form.flag("enable")
    visit.form.require()
    caller = in_place_of(visit, account_of(visit))
    await visit.core.access.set_key_enabled(caller, access_key, is_enabled=is_enabled)
    return _back(visit, f"{access_key} is {'enabled' if is_enabled else 'disabled'}.")


@pages.post("operator/accounts/{account}/applications/{application}", again=show_account)
async def switch_application(visit: Visit) -> web.StreamResponse:
    """Disable or enable an application with all its keys."""
    caller, text = in_place_of(visit, account_of(visit)), visit.variables["application"]
    if not (text.isascii() and text.isdecimal() and len(text) < 16):  # noqa: PLR2004  more is no id of ours
        raise PageNotFound
    before = (await visit.core.access.application(caller, ApplicationId(int(text)))).application
    is_enabled = visit.form.flag("enable")
    await visit.core.access.change(caller, before.id, name=before.name, networks=before.networks, is_enabled=is_enabled)
    return _back(visit, f"The application {before.name} is {'enabled' if is_enabled else 'disabled'}.")


# --- in its place


@pages.post("operator/act")
async def act(visit: Visit) -> web.StreamResponse:
    """Act for an account from now on; without one, as oneself again."""
    text = visit.form.value("account")
    former = visit.me.account
    account_id = account_id_of(text) if text else None
    await visit.administration.act_for(visit.me, account_id, visit.author)
    if account_id is None:
        return visit.go(f"operator/accounts/{owner_id(former.id)}", f"You no longer act for {former.name}.")
    return visit.go("")


def _back(visit: Visit, message: str) -> web.StreamResponse:
    return visit.go(f"operator/accounts/{visit.variables['account']}", message)
