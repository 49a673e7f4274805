"""The pages lead to one another, and docs/README.md to all of them."""

import re

import pytest

from tests.docs.pages import PAGES
from tests.running import REPOSITORY

INDEX = REPOSITORY / "docs" / "README.md"
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!\w+:)(?P<file>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _prose(page):
    return _FENCED.sub("", page.read_text())


def _anchors(page):
    """Return where one can link to in a page: its headings, as GitHub spells them."""
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in _HEADING.findall(_prose(page))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_of_it(page):
    for link in _LINK.finditer(_prose(page)):
        target = (page.parent / link["file"]).resolve() if link["file"] else page
        assert target.exists(), link[0]
        assert link["anchor"] is None or link["anchor"] in _anchors(target), link[0]


def test_the_index_leads_to_every_page():
    told = {(INDEX.parent / link["file"]).resolve() for link in _LINK.finditer(_prose(INDEX))}
    assert set(INDEX.parent.glob("*.md")) - told == {INDEX}
