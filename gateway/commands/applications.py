"""Applications: what acts for accounts through API keys."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.commands.accounts import ACCOUNT
from gateway.commands.command import JSON, Command, examples, operate
from gateway.tables import sheet, table


def _tell_applications(applications: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            str(each["number"]),
            each["account_id"],
            _state(each),
            str(each["key_count"]),
            each["last_used_at"] or "never",
            _from(each),
            each["name"],
        )
        for each in applications
    ]
    head = ("APPLICATION", "ACCOUNT", "STATE", "KEYS", "LAST USED", "FROM", "NAME")
    return table(head, rows, empty="No applications yet. Make one with a key: onefleet key add --account ID")


def _tell_application(application: Mapping[str, Any]) -> str:
    facts = [
        ("application", f"{application['number']} ({application['name']})"),
        ("account", application["account_id"]),
        ("state", _state(application)),
        ("from", _from(application)),
    ]
    rows = [
        (key["access_key"], _state(key), key["created_at"], *_last_use(key["last_use"])) for key in application["keys"]
    ]
    keys = table(("ACCESS KEY", "STATE", "CREATED", "LAST USED", "FROM", "THROUGH"), rows, empty="It has no keys.")
    return f"{sheet(facts)}\n{keys}"


def _last_use(use: Mapping[str, str] | None) -> tuple[str, str, str]:
    return ("never", "", "") if use is None else (use["at"], use["address"], use["protocol"])


def _state(each: Mapping[str, Any]) -> str:
    return "enabled" if each["is_enabled"] else "disabled"


def _from(application: Mapping[str, Any]) -> str:
    return " ".join(application["allow"]) or "anywhere"


COMMANDS: Sequence[Command] = (
    Command(
        "app list",
        "list applications",
        "List the applications of all accounts, or of one, with the addresses they may call from.",
        operate(_tell_applications),
        examples("app list", "app list --account 100000000001 --json"),
        {**ACCOUNT, **JSON},
    ),
    Command(
        "app show",
        "tell all about one application",
        "Tell all about one application and its keys, with the time and the address each was used at last.",
        operate(_tell_application),
        examples("app show 3"),
        {"application": {"metavar": "APPLICATION", "help": "its number, as `onefleet app list` tells it"}, **JSON},
    ),
)
