"""Looking for what is wrong."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from gateway.commands.command import DONE, JSON, REFUSED, Command, Options, examples, say, say_json
from gateway.tables import table

if TYPE_CHECKING:
    from gateway.doctor import Diagnosis


def _diagnose(options: Options) -> int:
    from gateway import config  # noqa: PLC0415
    from gateway.doctor import Grade, diagnose  # noqa: PLC0415

    found = diagnose(config.load(options.config), config.locate(options.config).absolute())
    if options.json:
        say_json([{**asdict(each), "grade": each.grade.lower()} for each in found])
    else:
        say(_tell(found))
    return REFUSED if any(each.grade is Grade.PROBLEM for each in found) else DONE


def _tell(found: "Sequence[Diagnosis]") -> str:
    if sys.stdout.isatty():
        rows = [(each.grade, each.part, each.text, each.advice) for each in found]
        return table(("STATE", "PART", "FOUND", "WHAT TO DO"), rows)
    return "".join(f"{each.grade:7}  {each.part:9}  {each.text}\n{_advice(each)}" for each in found)


def _advice(found: "Diagnosis") -> str:
    return f"{'':18}  -> {found.advice}\n" if found.advice else ""


COMMANDS: Sequence[Command] = (
    Command(
        "doctor",
        "what is wrong, and what to do about it?",
        "Look at everything that could keep the gateway from its work: configuration, data, key file, database, disk,"
        " clock, certificate, ports, driver, and the gateway that runs. Nothing is changed. The exit code is 1 if there"
        " is a problem; warnings do not count.",
        _diagnose,
        examples("doctor", "doctor --json"),
        JSON,
    ),
)
