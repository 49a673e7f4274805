"""Whose work Onefleet is made of."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from gateway.commands.command import DONE, JSON, Command, Options, examples, say, say_json
from gateway.tables import table
from gateway.trouble import Trouble

if TYPE_CHECKING:
    from gateway.licences import Part

_ALL = ""
_NO_TEXT = "It comes without a text of its own, inside of {0}: see `onefleet licences --text {0}`.\n"


def _tell_licences(options: Options) -> int:
    from gateway.licences import parts  # noqa: PLC0415

    every = parts()
    told = _named(every, options.text) if options.text else every
    if options.json:
        say_json([_fields(part, has_texts=options.text is not None) for part in told])
    elif options.text is None:
        say(_tell(told))
    else:
        say("\n".join(_texts(part) for part in told))
    return DONE


def _named(every: "Sequence[Part]", name: str) -> "Sequence[Part]":
    found = [part for part in every if part.name.lower() == name.lower()]
    if not found:
        raise Trouble(f"licences: no part is named {name!r}; `onefleet licences` lists them all")
    return found


def _fields(part: "Part", *, has_texts: bool) -> dict[str, object]:
    return {name: value for name, value in asdict(part).items() if name != "texts" or has_texts}


def _tell(told: "Iterable[Part]") -> str:
    rows = [(part.name, part.version or "-", part.licence or "-", _what(part)) for part in told]
    return table(("NAME", "VERSION", "LICENCE", "WHAT"), rows)


def _what(part: "Part") -> str:
    return f"{part.kind} in {part.within}" if part.within else part.kind


def _texts(part: "Part") -> str:
    title = " ".join(filter(None, (part.name, part.version, f"({_what(part)})", part.licence)))
    texts = part.texts or [_NO_TEXT.format(part.within) if part.within else "No licence is told.\n"]
    return "\n".join([f"{title}\n{'=' * len(title)}\n", *texts])


COMMANDS: Sequence[Command] = (
    Command(
        "licences",
        "whose work is inside, and its licences",
        "List everything that is inside Onefleet: Python packages, the libraries inside of these, scripts and data that"
        " come with Onefleet, and in the single file also Python itself and all that it needs. Licences are SPDX"
        " expressions; a version is '-' where nothing tells it.",
        _tell_licences,
        examples("licences", "licences --text aiohttp", "licences --text | less"),
        {
            "--text": {
                "nargs": "?",
                "const": _ALL,
                "metavar": "NAME",
                "help": "print the licences' texts in full: of all parts, or of those of that name",
            },
            **JSON,
        },
    ),
)
