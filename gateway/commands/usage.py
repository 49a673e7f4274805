"""What accounts spend."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.commands.command import JSON, Command, examples, operate
from gateway.tables import printable, table


def _tell(accounts: Sequence[Mapping[str, Any]]) -> str:
    if len(accounts) == 1 and "instances" in accounts[0]:
        return _tell_machines(accounts[0])
    rows = [
        (each["account_id"], each["month"], str(each["machines"]), str(each["hours"]), _totals(each), each["name"])
        for each in accounts
    ]
    return table(("ACCOUNT", "MONTH", "MACHINES", "HOURS", "COST", "NAME"), rows, empty="There are no accounts.")


def _tell_machines(account: Mapping[str, Any]) -> str:
    rows = [
        (
            str(line["number"]),
            line["instance_id"],
            line["product"],
            line["zone"],
            str(line["hours"]),
            f"{line['amount']} {line['currency']}",
            line["name"],
        )
        for line in account["instances"]
    ]
    head = ("MACHINE", "INSTANCE", "PRODUCT", "ZONE", "HOURS", "COST", "NAME")
    told = table(head, rows, empty="No machine was rented in this month.")
    far = "" if account["is_over"] else " so far"
    return f"{told}{printable(account['name'])}, {account['month']}{far}: {_totals(account)}\n"


def _totals(account: Mapping[str, Any]) -> str:
    return " + ".join(f"{amount} {currency}" for currency, amount in account["totals"].items()) or "nothing"


COMMANDS: Sequence[Command] = (
    Command(
        "usage",
        "tell what accounts spend in a month",
        "Tell what each account spends in a calendar month (UTC); of one account, machine by machine. A month that is"
        " not over grows.",
        operate(_tell),
        examples("usage", "usage --account 100000000001 --month 2026-11 --json"),
        {
            "--account": {"metavar": "ID", "help": "only this account, machine by machine"},
            "--month": {"metavar": "YYYY-MM", "help": "default: this month"},
            **JSON,
        },
    ),
)
