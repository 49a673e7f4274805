"""Machines: looking at them, and their power."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.commands.accounts import ACCOUNT
from gateway.commands.command import JSON, Argument, Command, examples, operate
from gateway.tables import sheet, table

NO_MACHINES = "Customers book machines with their API keys: onefleet key add --help"
STATES = ("pending", "running", "stopping", "stopped", "shutting-down", "terminated")

_ID = "its number, or its instance id: 17 or i-…"
_ONE: Mapping[str, Argument] = {"instance": {"metavar": "INSTANCE", "help": _ID}}
_SOME: Mapping[str, Argument] = {
    "instances": {"metavar": "INSTANCE", "nargs": "+", "help": f"{_ID}; several are taken"},
}


def tell_instances(instances: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of machines."""
    rows = [
        (
            str(machine["number"]),
            machine["instance_id"],
            machine["account_id"],
            machine["state"],
            machine["product"],
            machine["zone"],
            machine["public_address"] or "-",
            machine["launched_at"],
            machine["tags"].get("Name", ""),
        )
        for machine in instances
    ]
    head = ("NUMBER", "INSTANCE", "ACCOUNT", "STATE", "PRODUCT", "ZONE", "ADDRESS", "LAUNCHED", "NAME")
    return table(head, rows, empty=f"No such machines. {NO_MACHINES}")


def _tell_instance(machine: Mapping[str, Any]) -> str:
    why = f" ({machine['cause']})" if machine["cause"] else ""
    facts = [
        ("instance", f"{machine['number']} ({machine['instance_id']})"),
        ("order", f"{machine['order_number']} ({machine['order_id']})"),
        ("account", machine["account_id"]),
        ("state", f"{machine['state']}{why}"),
        ("because", machine["detail"]),
        ("product", f"{machine['product']} in {machine['zone']}, of {machine['image']}"),
        ("host name", machine["hostname"]),
        ("log in", machine["ssh"]),
        ("address", " ".join(filter(None, (machine["public_address"], machine["private_address"])))),
        ("groups", " ".join(machine["groups"])),
        ("price", f"{machine['hourly_price']} {machine['currency']}/h"),
        ("cost so far", f"{machine['cost']} {machine['currency']}"),
        ("launched", f"{machine['launched_at']} through {machine['protocol']}"),
        ("ended", machine["ended_at"] or ""),
        ("tags", " ".join(f"{key}={value}" for key, value in machine["tags"].items())),
    ]
    return sheet(facts)


def _tell_changes(changes: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{each['number']} ({each['instance_id']}) {_course(each)}\n" for each in changes)


def _course(change: Mapping[str, Any]) -> str:
    is_moved = change["was"] != change["state"]
    return f"was {change['was']} and is {change['state']}" if is_moved else f"is {change['state']}"


def _tell_console(console: Mapping[str, str]) -> str:
    """Return what the machine wrote as it is, but for a terminal without what would command that."""
    text = console["text"]
    if not sys.stdout.isatty():
        return text
    return "".join(each for each in text.replace("\r\n", "\n") if each.isprintable() or each in "\n\t")


COMMANDS: Sequence[Command] = (
    Command(
        "instance list",
        "list machines",
        "List the machines that live, and those that ended within the hour. Filters must all fit.",
        operate(tell_instances),
        examples("instance list --state running --zone ord1a", "instance list --tag role=web --tag Name --json"),
        {
            **ACCOUNT,
            "--state": {"choices": STATES, "metavar": "STATE", "help": ", ".join(STATES)},
            "--zone": {"metavar": "ZONE", "help": "only in this zone"},
            "--product": {"metavar": "PRODUCT", "help": "only of this product or instance type"},
            "--tag": {
                "metavar": "KEY[=VALUE]",
                "action": "append",
                "default": [],
                "help": "only with this tag; may be repeated",
            },
            **JSON,
        },
    ),
    Command(
        "instance show",
        "tell all about one machine",
        "Tell all about one machine.",
        operate(_tell_instance),
        examples("instance show 17", "instance show i-00000000000000011"),
        {**_ONE, **JSON},
    ),
    Command(
        "instance start",
        "start stopped machines",
        "Start machines that are stopped. Of one account's, all or none.",
        operate(_tell_changes),
        examples("instance start 17 18"),
        {**_SOME, **JSON},
    ),
    Command(
        "instance stop",
        "stop machines",
        "Shut machines down. They keep their disks and their places, and are charged. Of one account's, all or none.",
        operate(_tell_changes),
        examples("instance stop 17", "instance stop --force 17"),
        {
            **_SOME,
            "--force": {"action": "store_true", "help": "at once, without letting them shut down"},
            **JSON,
        },
    ),
    Command(
        "instance reboot",
        "restart running machines",
        "Restart the system of machines that run. Of one account's, all or none.",
        operate(_tell_changes),
        examples("instance reboot 17"),
        {**_SOME, **JSON},
    ),
    Command(
        "instance terminate",
        "end machines, with all that is on them",
        "End the rental of machines: they are removed with their disks, and cannot be had back. You are not asked"
        " again. Of one account's, all or none; those that are protected are refused.",
        operate(_tell_changes),
        examples("instance terminate 17"),
        {**_SOME, **JSON},
    ),
    Command(
        "instance console",
        "print what a machine wrote to its console",
        "Print the end of what a machine wrote to its console, 64 KiB at most. On a terminal, what would command that"
        " is left out; elsewhere it is printed as it is. Needs the running gateway.",
        operate(_tell_console),
        examples("instance console 17", "instance console 17 >console.log"),
        {**_ONE, **JSON},
    ),
)
