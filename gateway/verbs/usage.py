"""Verbs about what accounts spend."""

from collections.abc import Mapping

from core.accounts import Account
from core.spending import Month, MonthlyUsage, UsageLine
from gateway.control import Arguments, Document
from gateway.office import Office, Verb
from gateway.verbs.spelling import account_id_or_none, moment, moment_or_none
from protocols import ids


async def _usage(office: Office, said: Arguments) -> Document:
    """Return each account's month; that of one account alone with its machines."""
    account = account_id_or_none(said.get("account"))
    month = Month.parse(said["month"]) if said.get("month") else Month.of(office.core.now())
    found = []
    for each in await office.accounts(account):
        usage = await office.core.spending.of_account(each.id, month)
        lines = {} if account is None else {"instances": [_line(line) for line in usage.lines]}
        found.append({**_of_account(each, usage), **lines})
    return found


def _of_account(account: Account, usage: MonthlyUsage) -> dict[str, object]:
    return {
        "account_id": ids.owner_id(account.id),
        "name": account.name,
        "month": str(usage.month),
        "is_over": usage.is_over,
        "machines": len(usage.lines),
        "hours": sum(line.hours for line in usage.lines),
        "totals": {currency: f"{amount:f}" for currency, amount in usage.totals.items()},
    }


def _line(line: UsageLine) -> Document:
    return {
        "instance_id": ids.instance_id(line.instance_id),
        "number": line.instance_id,
        "order_number": line.order_id,
        "name": line.name,
        "product": line.product,
        "zone": line.zone,
        "launched_at": moment(line.launched_at),
        "ended_at": moment_or_none(line.ended_at),
        "hours": line.hours,
        "hourly_price": f"{line.hourly_price:f}",
        "amount": f"{line.amount:f}",
        "currency": line.currency,
    }


VERBS: Mapping[str, Verb] = {"usage": _usage}
