"""Customers and their API keys."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.commands.command import JSON, Argument, Command, examples, operate
from gateway.tables import printable, sheet, table

ACCOUNT: Mapping[str, Argument] = {"--account": {"metavar": "ID", "help": "only this account's"}}
_ONE_ACCOUNT: Mapping[str, Argument] = {
    "account": {"metavar": "ACCOUNT", "help": "its id, as `onefleet account list` tells it"},
}
_FATES: Mapping[str, str] = {"told to stop or end": "touched", "cannot be stopped yet": "untouched"}
_ACCESS_KEY: Mapping[str, Argument] = {
    "access_key": {"metavar": "ACCESS_KEY", "help": "as `onefleet key list` tells it"},
}


def _tell_account(account: Mapping[str, str]) -> str:
    account_id = account["account_id"]
    advice = f"Next, an API key for it: onefleet key add --account {account_id}"
    return f"account {account_id}  {account['name']}\n{advice}\n"


def _tell_accounts(accounts: Sequence[Mapping[str, str]]) -> str:
    rows = [(account["account_id"], account["state"], account["created_at"], account["name"]) for account in accounts]
    head = ("ACCOUNT", "STATE", "CREATED", "NAME")
    return table(head, rows, empty="No accounts yet. Make one: onefleet account add NAME")


def _tell_whole_account(account: Mapping[str, Any]) -> str:
    spent = " + ".join(f"{amount} {currency}" for currency, amount in account["spent"].items()) or "nothing"
    facts = [
        ("account", f"{account['account_id']} ({account['name']})"),
        ("state", account["state"]),
        ("created", account["created_at"]),
        ("API access", "on" if account["has_api"] else "off"),
        ("people", ", ".join(account["people"]) or "none"),
        ("machines", str(account["machines"])),
        ("spent", f"{spent} this month{', so that the limit is reached' if account['is_limit_reached'] else ''}"),
        ("own limit", account["spending_limit"] or "none"),
        ("credit limit", account["credit_limit"] or "none"),
    ]
    return sheet(facts)


def _tell_suspension(account: Mapping[str, Any]) -> str:
    text = _tell_state(account)
    for words, machines in _FATES.items():
        if account[machines]:
            text += f"{words}: {' '.join(account[machines])}\n"
    return text


def _tell_state(account: Mapping[str, str]) -> str:
    return f"account {account['account_id']} ({printable(account['name'])}) is {account['state']}\n"


def _tell_limit(account: Mapping[str, Any]) -> str:
    limit = account["credit_limit"]
    told = "has no credit limit" if limit is None else f"may spend {limit} a month in each currency"
    return f"account {account['account_id']} ({printable(account['name'])}) {told}\n"


def _tell_secret(key: Mapping[str, str]) -> str:
    return f"access key  {key['access_key']}\nsecret key  {key['secret_key']}\nThe secret is not shown again.\n"


def _tell_keys(keys: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            key["access_key"],
            key["account_id"],
            _state(key),
            key["created_at"],
            " ".join(key["allow"]) or "anywhere",
            key["application"],
        )
        for key in keys
    ]
    head = ("ACCESS KEY", "ACCOUNT", "STATE", "CREATED", "FROM", "APPLICATION")
    return table(head, rows, empty="No API keys yet. Make one: onefleet key add --account ID")


def _tell_key(key: Mapping[str, Any]) -> str:
    return f"{key['access_key']} is {_state(key)}\n"


def _state(key: Mapping[str, Any]) -> str:
    return "enabled" if key["is_enabled"] else "disabled"


COMMANDS: Sequence[Command] = (
    Command(
        "account add",
        "make an account",
        "Make an account: the owner of orders and machines. Names need not be unique; ids are.",
        operate(_tell_account),
        examples('account add "Example Ltd"', "account add demo --json"),
        {"name": {"metavar": "NAME", "help": "what you call it"}, **JSON},
    ),
    Command(
        "account list",
        "list all accounts",
        "List all accounts, the oldest first.",
        operate(_tell_accounts),
        examples("account list"),
        JSON,
    ),
    Command(
        "account show",
        "tell all about one account",
        "Tell all about one account: its people, its machines, and what it spends this month.",
        operate(_tell_whole_account),
        examples("account show 100000000001"),
        {**_ONE_ACCOUNT, **JSON},
    ),
    Command(
        "account suspend",
        "stop an account",
        "Stop an account: its API keys and its people are refused from now on. Its machines are left as they are,"
        " stopped, or terminated with all that is on their disks, protected or not. Repeat it to go further.",
        operate(_tell_suspension),
        examples("account suspend 100000000001", "account suspend 100000000001 --machines stop"),
        {
            **_ONE_ACCOUNT,
            "--machines": {"choices": ("leave", "stop", "terminate"), "help": "what becomes of them; default leave"},
            **JSON,
        },
    ),
    Command(
        "account resume",
        "let a suspended account go on",
        "Let a suspended account go on. Machines that were stopped stay so until they are started.",
        operate(_tell_state),
        examples("account resume 100000000001"),
        {**_ONE_ACCOUNT, **JSON},
    ),
    Command(
        "account limit",
        "limit what an account may spend",
        "Limit what an account may spend in a calendar month (UTC), in each currency. What is rented already goes on;"
        " bookings beyond it are refused.",
        operate(_tell_limit),
        examples("account limit 100000000001 250", "account limit 100000000001 none"),
        {**_ONE_ACCOUNT, "amount": {"metavar": "AMOUNT", "help": 'such as 250 or 99.50; "none" for no limit'}, **JSON},
    ),
    Command(
        "key add",
        "make an API key",
        "Make an API key: EC2's access key and secret key, ZeroSix's consumer key and secret. It belongs to an"
        " application of the account, which is made if need be.",
        operate(_tell_secret),
        examples(
            "key add --account 100000000001",
            "key add --account 100000000001 --application shop --allow 203.0.113.0/24",
        ),
        {
            "--account": {
                "metavar": "ID",
                "required": True,
                "help": "whose it is; `onefleet account list` tells the ids",
            },
            "--application": {"metavar": "NAME", "help": 'what will use it; default "default"'},
            "--allow": {
                "metavar": "CIDR",
                "action": "append",
                "default": [],
                "help": "where the application may call from; may be repeated. None: as before, at first anywhere",
            },
            **JSON,
        },
    ),
    Command(
        "key list",
        "list API keys",
        "List API keys, without their secrets: those are told once, when they are made.",
        operate(_tell_keys),
        examples("key list --account 100000000001"),
        {**ACCOUNT, **JSON},
    ),
    Command(
        "key renew",
        "replace an API key",
        "Make a new pair in place of this one, which stops working at once, with its sessions.",
        operate(_tell_secret),
        examples("key renew AKOFEXAMPLE"),
        {**_ACCESS_KEY, **JSON},
    ),
    Command(
        "key disable",
        "stop an API key",
        "Stop a key from being used, at once, with its sessions; `enable` lets it be used again.",
        operate(_tell_key),
        examples("key disable AKOFEXAMPLE"),
        {**_ACCESS_KEY, **JSON},
    ),
    Command(
        "key enable",
        "let an API key be used again",
        "Let a disabled key be used again.",
        operate(_tell_key),
        examples("key enable AKOFEXAMPLE"),
        {**_ACCESS_KEY, **JSON},
    ),
)
