"""People who sign in to the console."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.commands.accounts import ACCOUNT
from gateway.commands.command import JSON, Argument, Command, examples, operate
from gateway.tables import printable, table

_EMAIL: Mapping[str, Argument] = {"email": {"metavar": "EMAIL", "help": "the address that they sign in with"}}
_OF_ACCOUNT: Mapping[str, Argument] = {
    "--account": {"metavar": "ID", "required": True, "help": "whose it is; `onefleet account list` tells the ids"},
}


def _tell_password(user: Mapping[str, Any]) -> str:
    advice = "They choose another one when they sign in with it; it is not shown again."
    return f"e-mail    {printable(user['email'])}\npassword  {user['password']}\n{advice}\n"


def _tell_users(users: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            user["email"],
            user["account_id"],
            _state(user),
            "operator" if user["is_operator"] else "customer",
            "on" if user["has_second_factor"] else "off",
            user["created_at"],
        )
        for user in users
    ]
    head = ("E-MAIL", "ACCOUNT", "STATE", "IS", "SECOND FACTOR", "CREATED")
    return table(head, rows, empty="Nobody signs in yet. Add somebody: onefleet user add --account ID EMAIL")


def _tell_state(user: Mapping[str, Any]) -> str:
    return f"{printable(user['email'])} is {_state(user)}, and was signed out everywhere\n"


def _tell_second_factor(user: Mapping[str, Any]) -> str:
    return f"{printable(user['email'])} signs in with the password alone, and was signed out everywhere\n"


def _tell_operator(user: Mapping[str, Any]) -> str:
    told = "is an operator" if user["is_operator"] else "is no operator"
    return f"{printable(user['email'])} {told}, and was signed out everywhere\n"


def _state(user: Mapping[str, Any]) -> str:
    return "enabled" if user["is_enabled"] else "disabled"


COMMANDS: Sequence[Command] = (
    Command(
        "user add",
        "let somebody sign in",
        "Let somebody sign in to the console for an account, with a password that is made up and told once.",
        operate(_tell_password),
        examples(
            "user add --account 100000000001 ann@example.com",
            "user add --account 100000000001 --operator root@example.com",
        ),
        {
            **_EMAIL,
            **_OF_ACCOUNT,
            "--operator": {"action": "store_true", "help": "make them an operator, who sees to all accounts"},
            **JSON,
        },
    ),
    Command(
        "user list",
        "list who can sign in",
        "List who can sign in to the console, the oldest first.",
        operate(_tell_users),
        examples("user list", "user list --account 100000000001 --json"),
        {**ACCOUNT, **JSON},
    ),
    Command(
        "user password",
        "give somebody another password",
        "Give somebody another password, which is made up and told once; they are signed out everywhere.",
        operate(_tell_password),
        examples("user password ann@example.com"),
        {**_EMAIL, **JSON},
    ),
    Command(
        "user reset-second-factor",
        "switch somebody's second factor off",
        "Let somebody who has lost the second factor sign in without it. Make sure that it is they who ask.",
        operate(_tell_second_factor),
        examples("user reset-second-factor ann@example.com"),
        {**_EMAIL, **JSON},
    ),
    Command(
        "user disable",
        "keep somebody out",
        "Keep somebody from signing in, and sign them out everywhere; `enable` lets them in again.",
        operate(_tell_state),
        examples("user disable ann@example.com"),
        {**_EMAIL, **JSON},
    ),
    Command(
        "user enable",
        "let somebody in again",
        "Let somebody who was disabled sign in again.",
        operate(_tell_state),
        examples("user enable ann@example.com"),
        {**_EMAIL, **JSON},
    ),
    Command(
        "user operator",
        "make somebody an operator, or no longer",
        "Make somebody an operator, who sees to all accounts in the console; with --revoke, no longer. The last"
        " operator stays one.",
        operate(_tell_operator),
        examples("user operator ann@example.com", "user operator ann@example.com --revoke"),
        {**_EMAIL, "--revoke": {"action": "store_true", "help": "no longer"}, **JSON},
    ),
)
