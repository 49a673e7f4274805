"""A command of the command line, and the two ways to carry one out that most have."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Options = argparse.Namespace
Argument = Mapping[str, Any]

DONE, REFUSED, WRONG = 0, 1, 2
"""Exit codes: carried out; refused, or something is not in order; a wrong command line or configuration."""

JSON: Mapping[str, Argument] = {"--json": {"action": "store_true", "help": "answer in JSON, for programs"}}


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed for a command, what its help says, and what carries it out and returns the exit code.

    `hint` is for lists of commands; `text` tells all, and `epilog` shows an example at least.
    """

    words: str
    hint: str
    text: str
    carry_out: Callable[[Options], int]
    epilog: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)


def examples(*lines: str) -> str:
    """Return the end of a command's help: each line is an example without the `onefleet` that it begins with."""
    title = "example:" if len(lines) == 1 else "examples:"
    return "\n".join([title, *(f"  onefleet {line}" for line in lines)]) + "\n"


def say(text: str) -> None:
    """Write to standard output, to be seen at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def say_json(answer: object) -> None:
    """Write a document to standard output, on one line."""
    say(json.dumps(answer, ensure_ascii=False) + "\n")


def operate(tell: Callable[[Any], str]) -> Callable[[Options], int]:
    """Return what carries out the operator's verb of the command's words, and tells the answer.

    The verb is told all of the command line but what is about the telling; see `gateway.verbs`.
    """

    def carry_out(options: Options) -> int:
        from gateway import config, control, log  # noqa: PLC0415

        log.configure("console", "warning")
        said = {name: value for name, value in vars(options).items() if name not in _NOT_SAID}
        answer = control.carry_out(config.load(options.config), options.command.words, said)
        if options.json:
            say_json(answer)
        else:
            say(tell(answer))
        return DONE

    return carry_out


_NOT_SAID = frozenset({"command", "config", "json"})
