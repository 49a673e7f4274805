"""The command line. What a command needs is imported when it runs, so that help and mistakes are told at once."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any

from gateway.reading import ConfigError
from gateway.trouble import Trouble

REFUSED, WRONG = 1, 2
_INTERRUPTED = 130

_HELP_WIDTH = 78

Options = argparse.Namespace

_ABOUT = "One fleet of rented machines behind the EC2 and the ZeroSix APIs."

_EPILOG = """\
a first hour:
  onefleet check                                 is the configuration in order?
  onefleet serve                                 start; the first time, an API key and examples are printed
  onefleet account add "Example Ltd"             make a customer
  onefleet key add --account 100000000002        give the customer an API key
  curl http://127.0.0.1:8080/readyz              does it work?

The account and key commands work whether the gateway runs or not, on the same machine.
Exit codes: 0 done, 1 refused, 2 wrong command line or configuration.
"""

_SERVE_EPILOG = """\
signals:
  SIGTERM, SIGINT  stop; a second one stops at once
  SIGHUP           read the TLS certificate again

pages beside the front-ends:
  /healthz         the process turns
  /readyz          it can do its work
  /metrics         for Prometheus
"""

_KEY_ADD_EPILOG = """\
examples:
  onefleet key add --account 100000000001
  onefleet key add --account 100000000001 --application shop --allow 203.0.113.0/24
"""

_IMAGE_ADD_EPILOG = """\
examples:
  onefleet image add https://cloud.example/noble-server-cloudimg-amd64.img --name ubuntu-24.04 \\
    --sha256sums https://cloud.example/SHA256SUMS
  onefleet image add disk.vmdk --name appliance >>config.toml
"""


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; return the exit code. What goes wrong as it may is told in one line."""
    os.umask(0o077)  # whatever is written, and wherever, is for this user only
    try:
        options = _parser().parse_args(arguments)
        command: _Command = options.command
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


@dataclass(frozen=True, slots=True)
class _Command:
    """What is typed for a command, what its help says, and what carries it out."""

    words: str
    hint: str
    text: str
    carry_out: Callable[[Options], int]
    epilog: str = ""
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="onefleet", description=_ABOUT, epilog=_EPILOG)
    parser.add_argument("--version", action=_Version)
    parser.add_argument("--config", **{**_CONFIG, "default": None})
    groups = {"": _commands_of(parser)}
    for name, hint in _GROUPS.items():
        group = groups[""].add_parser(name, help=hint, description=f"Work with {hint}.")
        group.add_argument("--config", **_CONFIG)
        groups[name] = _commands_of(group)
    for command in _commands():
        _add_command(groups, command)
    return parser


def _commands_of(parser: argparse.ArgumentParser) -> Any:
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _add_command(groups: Mapping[str, Any], command: _Command) -> None:
    group, _, name = command.words.rpartition(" ")
    text = fill(command.text, _HELP_WIDTH)
    parser = groups[group].add_parser(name, help=command.hint, description=text, epilog=command.epilog)
    for argument, settings in command.arguments.items():
        parser.add_argument(argument, **settings)
    parser.add_argument("--config", **_CONFIG)
    parser.set_defaults(command=command)


# Suppressed, so that a command without it leaves what was given before the command.
_CONFIG: Mapping[str, Any] = {
    "metavar": "FILE",
    "type": Path,
    "default": argparse.SUPPRESS,
    "help": "the configuration; default $ONEFLEET_CONFIG, or config.toml here",
}
_JSON: Mapping[str, Mapping[str, Any]] = {
    "--json": {"action": "store_true", "help": "answer in JSON, for programs"},
}
_ACCESS_KEY: Mapping[str, Mapping[str, Any]] = {
    "access_key": {"metavar": "ACCESS_KEY", "help": "as `onefleet key list` tells it"},
}
_GROUPS = {
    "account": "customers: add, list",
    "key": "API keys: add, list, renew, disable, enable",
    "image": "images that machines are made of: add, build, list, remove",
}
_IMAGE: Mapping[str, Mapping[str, Any]] = {
    "--name": {"metavar": "NAME", "help": "what it is called in [[images]]; default: as the file, or as what is built"},
    "--title": {"metavar": "TEXT", "help": "what customers read; default the name"},
    "--default-user": {"metavar": "USER", "default": "renter", "help": 'whom to ssh as; default "renter"'},
    "--architecture": {
        "choices": ("x86_64", "arm64", "i386"),
        "help": "default: as the file's name says, else x86_64",
    },
    "--platform": {"choices": ("linux", "windows"), "default": "linux", "help": "default linux"},
    "--replace": {"action": "store_true", "help": "in place of the image of this name; machines made of that keep it"},
}


def _commands() -> Sequence[_Command]:
    return (
        _Command(
            "serve",
            "run the gateway",
            "Serve until SIGTERM or Ctrl+C; requests that are being answered are finished first.",
            _serve,
            _SERVE_EPILOG,
        ),
        _Command(
            "check",
            "is everything in order?",
            "Look whether the gateway could be started: configuration, data, driver, address, certificate."
            " Nothing is changed.",
            _check,
            arguments=_JSON,
        ),
        _Command(
            "migrate",
            "bring the database up to date",
            "Bring the database to the schema of this program. `serve` does the same when it starts.",
            _migrate,
            arguments=_JSON,
        ),
        _Command(
            "account add",
            "make an account",
            "Make an account: the owner of orders and machines. Names need not be unique; ids are.",
            _operate(_tell_account),
            'examples:\n  onefleet account add "Example Ltd"\n  onefleet account add demo --json\n',
            {"name": {"metavar": "NAME", "help": "what you call it"}, **_JSON},
        ),
        _Command("account list", "list all accounts", "List all accounts.", _operate(_tell_accounts), arguments=_JSON),
        _Command(
            "key add",
            "make an API key",
            "Make an API key: EC2's access key and secret key, ZeroSix's consumer key and secret. It belongs to an"
            " application of the account, which is made if need be.",
            _operate(_tell_secret),
            _KEY_ADD_EPILOG,
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
                **_JSON,
            },
        ),
        _Command(
            "key list",
            "list API keys",
            "List API keys, without their secrets: those are told once, when they are made.",
            _operate(_tell_keys),
            arguments={"--account": {"metavar": "ID", "help": "only this account's"}, **_JSON},
        ),
        _Command(
            "key renew",
            "replace an API key",
            "Make a new pair in place of this one, which stops working at once, with its sessions.",
            _operate(_tell_secret),
            arguments={**_ACCESS_KEY, **_JSON},
        ),
        _Command(
            "key disable",
            "stop an API key",
            "Stop a key from being used, at once, with its sessions; `enable` lets it be used again.",
            _operate(_tell_key),
            arguments={**_ACCESS_KEY, **_JSON},
        ),
        _Command(
            "key enable",
            "let an API key be used again",
            "Let a disabled key be used again.",
            _operate(_tell_key),
            arguments={**_ACCESS_KEY, **_JSON},
        ),
        _Command(
            "image add",
            "register a disk image from a URL or a file",
            "Fetch a disk image, look whether it is sound, and register it for the qemu driver. qcow2, raw, vmdk, vhdx"
            " and vdi are taken, also compressed with gzip, xz, bzip2 or zstd. A download that was interrupted goes on"
            " where it ended when the command is given again.",
            _manage_image("add"),
            _IMAGE_ADD_EPILOG,
            {
                "source": {"metavar": "URL|FILE", "help": "https://, http://, or a file here"},
                "--sha256": {"metavar": "HEX", "help": "what the file must hash to (SHA-512 is taken too)"},
                "--sha256sums": {
                    "metavar": "URL|FILE",
                    "help": "a listing that has the file's checksum, such as SHA256SUMS or SHA512SUMS",
                },
                **_IMAGE,
            },
        ),
        _Command(
            "image build",
            "build an image here, from Debian's packages",
            "Build an image and register it: micro, which boots in seconds and is made for trying things out, or"
            " debian, a whole Debian 12 with systemd, openssh and cloud-init. Needs no root.",
            _manage_image("build"),
            "examples:\n  onefleet image build micro\n  onefleet image build debian --name debian-12\n",
            {"recipe": {"choices": ("micro", "debian"), "help": "what to build"}, **_IMAGE},
        ),
        _Command(
            "image list",
            "list all images",
            "List the images that are registered or that the configuration names, and what is wrong with them.",
            _list_images,
            arguments=_JSON,
        ),
        _Command(
            "image remove",
            "remove a registered image",
            "Remove an image. Machines that were made of it keep it until they end.",
            _manage_image("remove"),
            arguments={"name": {"metavar": "NAME", "help": "as `onefleet image list` tells it"}},
        ),
    )


class _Version(argparse.Action):
    """Prints the version, which takes a while to find, only when asked for it."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"onefleet {_version()}\n")
        parser.exit()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("onefleet")
    except PackageNotFoundError:
        return "(not installed)"


# --- serve, check, migrate


def _serve(options: Options) -> int:
    import asyncio  # noqa: PLC0415

    import uvloop  # noqa: PLC0415

    from gateway import config, log, server  # noqa: PLC0415
    from gateway.datadir import DataDirectory  # noqa: PLC0415

    settings = config.load(options.config)
    file = config.locate(options.config).absolute()
    with DataDirectory.open(settings.server.data_dir, settings.storage.path) as directory:
        lines = log.configure(settings.log.format, settings.log.level)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(server.serve(settings, directory, lines, file, _say))
        finally:
            lines.detach()
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _check(options: Options) -> int:
    from gateway import config, inspection  # noqa: PLC0415

    settings = config.load(options.config)
    findings = inspection.inspect(settings, config.locate(options.config).absolute())
    if options.json:
        _say_json([{"part": found.part, "ok": found.is_ok, "text": found.text} for found in findings])
    else:
        _say(
            "".join(f"{'ok     ' if found.is_ok else 'PROBLEM'}  {found.part:9}  {found.text}\n" for found in findings)
        )
    return 0 if all(found.is_ok for found in findings) else REFUSED


def _migrate(options: Options) -> int:
    from gateway import config, inspection, log  # noqa: PLC0415

    log.configure("console", "warning")
    applied = inspection.migrate(config.load(options.config))
    if options.json:
        _say_json({"applied": applied})
    else:
        _say("".join(f"applied {name}\n" for name in applied) or "the database is up to date\n")
    return 0


# --- the operator's verbs


def _operate(tell: Callable[[Any], str]) -> Callable[[Options], int]:
    """Return what carries out the verb that has the command's words, and tells the answer."""

    def carry_out(options: Options) -> int:
        from gateway import config, control, log  # noqa: PLC0415

        log.configure("console", "warning")
        said = {name: value for name, value in vars(options).items() if name not in _NOT_SAID}
        answer = control.carry_out(config.load(options.config), options.command.words, said)
        if options.json:
            _say_json(answer)
        else:
            _say(tell(answer))
        return 0

    return carry_out


def _manage_image(verb: str) -> Callable[[Options], int]:
    """Return what carries out a verb of `gateway.images`, and tells what is to be known of it."""

    def carry_out(options: Options) -> int:
        from gateway import config, images  # noqa: PLC0415

        _say(images.VERBS[verb](config.load(options.config), options))
        return 0

    return carry_out


def _list_images(options: Options) -> int:
    from gateway import config, images  # noqa: PLC0415

    found = images.listed(config.load(options.config))
    if options.json:
        _say_json(found)
    else:
        _say(_tell_images(found))
    return 0


_NOT_SAID = frozenset({"command", "config", "json"})


def _say_json(answer: object) -> None:
    _say(json.dumps(answer, ensure_ascii=False) + "\n")


def _tell_account(account: Mapping[str, str]) -> str:
    account_id = account["account_id"]
    advice = f"Next, an API key for it: onefleet key add --account {account_id}"
    return f"account {account_id}  {account['name']}\n{advice}\n"


def _tell_accounts(accounts: Sequence[Mapping[str, str]]) -> str:
    rows = [(account["account_id"], account["created_at"], account["name"]) for account in accounts]
    return _table(("ACCOUNT", "CREATED", "NAME"), rows)


def _tell_secret(key: Mapping[str, str]) -> str:
    return f"access key  {key['access_key']}\nsecret key  {key['secret_key']}\nThe secret is not shown again.\n"


def _tell_keys(keys: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            key["access_key"],
            key["account_id"],
            "enabled" if key["is_enabled"] else "disabled",
            key["created_at"],
            " ".join(key["allow"]) or "anywhere",
            key["application"],
        )
        for key in keys
    ]
    return _table(("ACCESS KEY", "ACCOUNT", "STATE", "CREATED", "FROM", "APPLICATION"), rows)


def _tell_key(key: Mapping[str, Any]) -> str:
    return f"{key['access_key']} is {'enabled' if key['is_enabled'] else 'disabled'}\n"


def _tell_images(images: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            image["name"],
            "yes" if image["is_configured"] else "no",
            f"{image['disk_bytes'] / 1024**3:.1f} GiB" if image["disk_bytes"] else "-",
            f"{image['used_bytes'] / 1024**2:.1f} MiB" if image["used_bytes"] else "-",
            image["added_at"][:10] or "-",
            image["trouble"] or image["source"] or image["disk"],
        )
        for image in images
    ]
    return _table(("IMAGE", "IN CONFIG", "DISK", "IN USE", "ADDED", "FROM, OR WHAT IS WRONG"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows))
    return "".join(f"{line.rstrip()}\n" for line in lines)
