"""The command line. What a command needs is imported when it runs, so that help and mistakes are told at once."""

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from gateway.commands import (
    accounts,
    applications,
    audit,
    backups,
    beginning,
    catalogue,
    completion,
    config,
    doctor,
    images,
    instances,
    licences,
    orders,
    people,
    process,
    service,
    usage,
)
from gateway.commands.command import REFUSED, WRONG, Argument, Command
from gateway.reading import ConfigError
from gateway.trouble import Trouble

_INTERRUPTED = 130
_HELP_WIDTH = 78

_ABOUT = "One fleet of rented machines behind the EC2 and the ZeroSix APIs."

_EPILOG = """\
a first hour:
  onefleet init                            make a configuration, here
  onefleet serve                           start; it tells the first API key
  onefleet account add "Example Ltd"       make a customer
  onefleet key add --account 100000000002  give the customer an API key
  onefleet instance list                   what is rented?

Commands about the fleet work on the gateway's host, whether it runs or not.
Exit codes: 0 done, 1 refused, 2 wrong command line or configuration.
"""

GROUPS: Mapping[str, str] = {
    "config": "the configuration: show, example",
    "service": "the gateway as a service of this host: install",
    "account": "customers: add, list, show, suspend, resume, limit",
    "user": "people who sign in: add, list, password, reset-second-factor, disable, enable, operator",
    "app": "what acts for accounts: list, show",
    "key": "API keys: add, list, renew, disable, enable",
    "product": "what is sold: list, show",
    "zone": "where it stands, and how much is free: list",
    "image": "what machines are made of: add, build, list, show, remove",
    "order": "orders: list, show",
    "instance": "machines: list, show, start, stop, reboot, terminate, console",
}
"""What each group of commands is about, and its commands."""

COMMANDS: Sequence[Command] = (
    *beginning.COMMANDS,
    *process.COMMANDS,
    *config.COMMANDS,
    *doctor.COMMANDS,
    *backups.COMMANDS,
    *service.COMMANDS,
    *completion.COMMANDS,
    *accounts.COMMANDS,
    *people.COMMANDS,
    *applications.COMMANDS,
    *catalogue.COMMANDS,
    *images.COMMANDS,
    *orders.COMMANDS,
    *instances.COMMANDS,
    *usage.COMMANDS,
    *audit.COMMANDS,
    *licences.COMMANDS,
)
"""Every command, as the help lists them."""


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; return the exit code. What goes wrong as it may is told in one line."""
    os.umask(0o077)  # whatever is written, and wherever, is for this user only
    try:
        options = parser().parse_args(arguments)
        command: Command = options.command
        return command.carry_out(options)
    except ConfigError as error:
        return _fail(WRONG, error.problems)
    except Trouble as error:
        return _fail(REFUSED, [str(error)])
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return REFUSED
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        # A driver's refusal keeps for the operator what renters must not see.
        detail = getattr(error, "detail", "")
        return _fail(REFUSED, [f"{error} ({detail})" if detail else str(error)])


def _expected() -> tuple[type[Exception], ...]:
    """Return what core says that a person can act on. Imported when something has gone wrong, which is early enough."""
    from core.errors import CoreError  # noqa: PLC0415
    from core.storage.migrate import IncompatibleDatabase  # noqa: PLC0415

    return CoreError, IncompatibleDatabase


def _fail(code: int, problems: Iterable[str]) -> int:
    for problem in problems:
        sys.stderr.write(f"onefleet: {problem}\n")
    return code


# --- what can be typed


class _Parser(argparse.ArgumentParser):
    """Shows help as it was written, and takes no abbreviations, which would break when an option is added."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**settings, allow_abbrev=False)


def parser() -> argparse.ArgumentParser:
    """Return what reads a command line: it leaves the `Command` in `command`."""
    top = _Parser(prog="onefleet", description=_ABOUT, epilog=_EPILOG)
    top.add_argument("--version", action=_Version)
    top.add_argument("--config", **{**_CONFIG, "default": None})
    groups = {"": _commands_of(top)}
    for command in COMMANDS:
        _add_command(groups, command)
    return top


def _commands_of(above: argparse.ArgumentParser) -> Any:
    return above.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _add_command(groups: dict[str, Any], command: Command) -> None:
    group, _, name = command.words.rpartition(" ")
    if group not in groups:
        groups[group] = _added_group(groups[""], group)
    text = fill(command.text, _HELP_WIDTH)
    added = groups[group].add_parser(name, help=command.hint, description=text, epilog=command.epilog)
    for argument, settings in command.arguments.items():
        added.add_argument(argument, **settings)
    added.add_argument("--config", **_CONFIG)
    added.set_defaults(command=command)


def _added_group(commands: Any, name: str) -> Any:
    group = commands.add_parser(name, help=GROUPS[name], description=f"Work with {GROUPS[name]}.")
    group.add_argument("--config", **_CONFIG)
    return _commands_of(group)


# Suppressed, so that a command without it leaves what was given before the command.
_CONFIG: Argument = {
    "metavar": "FILE",
    "type": Path,
    "default": argparse.SUPPRESS,
    "help": "the configuration; default $ONEFLEET_CONFIG, or config.toml here",
}


class _Version(argparse.Action):
    """Prints what this is, which takes a while to find, only when asked for it."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print version, commit and build date")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from gateway.version import build  # noqa: PLC0415

        sys.stdout.write(f"onefleet {build()}\n")
        parser.exit()
