"""docs/architecture.md draws what the code does; --update-golden makes it do so."""

import re
from pkgutil import resolve_name

from tests.docs.drawings import DRAWINGS, marked
from tests.running import REPOSITORY

PAGE = REPOSITORY / "docs" / "architecture.md"
# A drawing, or a table, ends where an empty line follows.
_DRAWN = re.compile(r"(?:```mermaid\n%%|<!--) made of the code: (\w+)\b.*?\n(?=\n)", re.DOTALL)
_NAMED = re.compile(r"`((?:core|gateway|protocols|tests)[./][\w./]+)`")


def test_the_page_draws_what_the_code_does(golden):
    written = PAGE.read_text()
    drawn = _DRAWN.sub(lambda found: marked(found[1]), written)
    if golden.is_updating:
        PAGE.write_text(drawn)
    else:
        assert written == drawn, "write it with --update-golden, and read what has changed"


def test_every_drawing_has_one_place_on_the_page():
    assert sorted(_DRAWN.findall(PAGE.read_text())) == sorted(DRAWINGS)


def test_everything_of_the_code_that_the_page_names_is_there():
    for name in set(_NAMED.findall(PAGE.read_text())):
        assert resolve_name(name) if "/" not in name else (REPOSITORY / name).exists(), name
