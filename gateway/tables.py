"""Tables and sheets of facts: drawn to fit a terminal, in plain aligned columns for everything else."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

Row = Sequence[str]

_KIB, _MIB = 1024, 1024**2
_NAMES = 2
"""How many columns, from the first, are names that are copied: these are never broken into lines."""


_STATES = frozenset({"STATE", "STATUS"})
_COLOURS: Mapping[str, str] = {
    **dict.fromkeys(("ok", "enabled", "open", "running", "unlimited"), "green"),
    **dict.fromkeys(("warning", "pending", "processing", "stopping", "shutting-down", "on-hold"), "yellow"),
    **dict.fromkeys(("PROBLEM", "failed", "disabled", "closed", "suspended"), "red"),
    **dict.fromkeys(("stopped", "terminated", "completed"), "dim"),
}
"""How the words of states are coloured; the colour says nothing that the word does not."""


def table(head: Row, rows: Sequence[Row], *, empty: str = "") -> str:
    """Return a table as text for standard output, a line a row at least; on a terminal, `empty` if there are no rows.

    What is not printable is replaced in every cell, since much of it is written by customers.
    """
    clean = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        return _aligned([head, *clean])
    return _drawn(head, clean) if clean else f"{empty or 'There are none.'}\n"


def sheet(facts: Iterable[tuple[str, str]]) -> str:
    """Return facts as text, each on a line of its own after its name; those that say nothing are left out."""
    said = [(name, printable(value)) for name, value in facts if value]
    width = max(len(name) for name, _ in said)
    return "".join(f"{name:{width}}  {value}\n" for name, value in said)


def size(count: int) -> str:
    """Return a number of bytes in words."""
    return f"{count / _MIB:.1f} MiB" if count >= _MIB else f"{count / _KIB:.1f} KiB"


def printable(text: str) -> str:
    """Return the text on one line, without what could change the colours or the contents of a terminal."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def _aligned(rows: Sequence[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _drawn(head: Row, rows: Sequence[Row]) -> str:
    from rich.console import Console  # noqa: PLC0415  only a terminal needs it, and it takes longer than all else
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False)
    drawing = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for number, name in enumerate(head):
        drawing.add_column(name, overflow="fold", no_wrap=number < _NAMES)
    for row in rows:
        drawing.add_row(*(_cell(name, text) for name, text in zip(head, row, strict=True)))
    with console.capture() as drawn:
        console.print(drawing)
    return drawn.get()


def _cell(column: str, text: str) -> "Text":
    from rich.text import Text  # noqa: PLC0415  see above; and not markup: a name may look like that

    return Text(text, style=_COLOURS.get(text, "") if column in _STATES else "")
