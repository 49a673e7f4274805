"""What machines write to their consoles, as plain text that can stand on a page."""

import re

# Escape sequences: with parameters, with a string up to its end, and of one or two characters. Source: ECMA-48.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)
_BACKSPACE = re.compile("[^\n\x08]\x08")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plain(written: bytes) -> str:
    """Return the text without what would move a terminal's cursor or colour it, and without other control characters.

    What was typed over is left out: the end of a line after a carriage return stands for all of it.
    """
    text = _ESCAPES.sub("", written.decode("utf-8", "replace")).replace("\r\n", "\n")
    text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    while (shorter := _BACKSPACE.sub("", text)) != text:
        text = shorter
    return _CONTROLS.sub("", text)
