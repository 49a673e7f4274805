"""The audit log: who did what, when, from where, through which protocol."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.commands.accounts import ACCOUNT
from gateway.commands.command import JSON, Command, examples, operate
from gateway.tables import table


def _tell(deeds: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            str(deed["number"]),
            deed["at"],
            deed["account_id"] or "",
            _who(deed),
            deed["protocol"],
            deed["address"],
            " ".join(filter(None, [deed["verb"], deed["about"], deed["detail"] and f"({deed['detail']})"])),
        )
        for deed in deeds
    ]
    head = ("NUMBER", "WHEN", "ACCOUNT", "WHO", "THROUGH", "FROM", "WHAT")
    return table(head, rows, empty="Nothing in the audit log fits all of that.")


def _who(deed: Mapping[str, Any]) -> str:
    operator = deed["operator"]
    return deed["actor"] if operator in ("", deed["actor"]) else f"{deed['actor']} by {operator}"


COMMANDS: Sequence[Command] = (
    Command(
        "audit",
        "look into the audit log",
        "Tell who did what, when, from where, through which protocol: the newest first, and what fits all that is"
        " asked for.",
        operate(_tell),
        examples(
            "audit --account 100000000001 --since 2026-11-01",
            "audit --text 203.0.113.7 --most 1000 --json",
        ),
        {
            **ACCOUNT,
            "--text": {"metavar": "TEXT", "help": "a part of who, what, to what, or from where"},
            "--what": {"metavar": "WORDS", "help": "exactly this was done, such as terminate"},
            "--protocol": {"metavar": "NAME", "help": "ec2, zerosix, console or cli"},
            "--since": {"metavar": "TIME", "help": "a day or a time (UTC), such as 2026-11-22 or 2026-11-22T10:00:00Z"},
            "--until": {"metavar": "TIME", "help": "a day, which is included, or a time"},
            "--before": {"metavar": "NUMBER", "help": "only what is older than the line of this number"},
            "--most": {"metavar": "COUNT", "help": "so many lines at most; default 50"},
            **JSON,
        },
    ),
)
