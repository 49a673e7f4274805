"""The code blocks of README.md and of the pages in docs/, and who runs those that the examples' test cannot."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.running import REPOSITORY

PAGES: Sequence[Path] = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))

NEWCOMERS: Mapping[str, str] = {
    "by make newcomer: checkout": "a clone in a fresh Debian, with what the page has apt-get install",
    "by make newcomer: debian": "the single file alone in a fresh Debian, as root",
    "by make newcomer: container": "the single file in a container",
}
"""The notes of blocks that take a whole system, and what `make newcomer` runs them on."""

OTHER_TEST = re.compile(r"by (?P<file>tests/\S+\.py)::(?P<test>\w+)")
"""The note of a block that another test takes out of the page by `blocks`, and runs."""

GOES_ON, INTERRUPTING, REFUSED, NOT_PRINTED = "goes on", "after Ctrl+C", "refused", "not printed"
"""What the notes of other blocks say; docs/architecture.md tells what they mean."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)$")
_HEADING = re.compile(r"^#+ ")
_NOTE = re.compile(r"^<!-- (?P<note>.+) -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, "" if none is named; its text; the number of the line where that begins; the note
    in the comment right above it, "" if there is none; and the heading that it stands under."""

    language: str
    text: str
    line: int
    note: str
    section: str

    @property
    def is_elsewhere(self) -> bool:
        """Whether `make newcomer` or another test runs it."""
        return self.note in NEWCOMERS or OTHER_TEST.fullmatch(self.note) is not None


def blocks(page: Path) -> Sequence[Block]:
    """Return the fenced blocks of a page, top to bottom."""
    return list(_blocks(page.read_text().splitlines()))


def _blocks(lines: Sequence[str]) -> Iterator[Block]:
    note = section = ""
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        if fence := _FENCE.match(line):
            inside = _until_closed(numbered, fence["indent"])
            yield Block(fence["language"], "".join(f"{each}\n" for each in inside), number + 1, note, section)
        elif _HEADING.match(line):
            section = f"{number}: {line}"
        if line.strip():
            note = found["note"] if (found := _NOTE.match(line.strip())) else ""


def _until_closed(numbered: Iterator[tuple[int, str]], indent: str) -> Iterator[str]:
    for _, line in numbered:
        if line == f"{indent}```":
            return
        yield line.removeprefix(indent)
