"""Completion of commands in the shell."""

from argparse import Action, ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.commands.command import DONE, Command, Options, say

SHELLS = ("bash", "zsh", "fish", "tcsh")

_EPILOG = """\
examples:
  onefleet completion bash >/etc/bash_completion.d/onefleet
  onefleet completion zsh >"${fpath[1]}/_onefleet"
  onefleet completion fish >~/.config/fish/completions/onefleet.fish
  onefleet completion tcsh >/etc/profile.d/onefleet.completion.csh
"""


def _complete(options: Options) -> int:
    import shtab  # noqa: PLC0415

    from gateway.cli import parser  # noqa: PLC0415  it imports this module

    top = parser()
    for action in _actions(top):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    say(f"{shtab.complete(top, options.shell)}\n")
    return DONE


def _actions(parser: ArgumentParser) -> Iterator[Action]:
    """Yield what can be typed, for the parser and for the commands below it."""
    for action in parser._actions:  # noqa: SLF001  argparse tells it nowhere else
        yield action
        if isinstance(action.choices, dict):
            for below in action.choices.values():
                yield from _actions(below)


COMMANDS: Sequence[Command] = (
    Command(
        "completion",
        "what a shell needs to complete commands",
        "Print what a shell needs to complete Onefleet's commands and options. A new shell knows it then.",
        _complete,
        _EPILOG,
        {"shell": {"choices": SHELLS, "help": ", ".join(SHELLS)}},
    ),
)
