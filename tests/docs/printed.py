"""Whether what was printed is what a page says is printed, apart from what differs from one reader to the next."""

import re
from collections.abc import Sequence

_VARIES: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"\b([a-z]+)-[0-9a-f]{17}\b", r"\1-ID"),
        (r"\bAKOF\w+", "KEY"),
        (r"(?<=secret key  )\S+", "SECRET"),
        (r"(?<=password    )\S+", "PASSWORD"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", "TIME"),
        (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
        (r"(?<![\d.])\d+\.\d+\.\d+(?![\d.])", "VERSION"),
        (r"(?<![\d.])2\d{4}(?![\d.])", "PORT"),
        (r"\b\d+(\.\d+)? (ms|s|min|h|seconds)\b", r"DURATION"),
        (r"\b\d+(\.\d+)? ([KMG]i?B|bytes)\b", r"SIZE"),
        (r"[ \t]+", " "),  # the width of columns goes with what is in them
    )
]
_LINES, _REST = "…\n", "…"


def is_as_told(printed: str, told: str) -> bool:
    """Whether a page tells what was printed; `…` stands for anything in a line, on its own for any lines."""
    return re.fullmatch(_pattern(told), _plain(printed)) is not None


def _pattern(told: str) -> str:
    return "".join(_line_pattern(line) for line in _plain(told).splitlines(keepends=True))


def _line_pattern(line: str) -> str:
    return r"(?:.*\n)*" if line == _LINES else ".*".join(map(re.escape, line.split(_REST)))


def _plain(text: str) -> str:
    for pattern, name in _VARIES:
        text = pattern.sub(name, text)
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())
