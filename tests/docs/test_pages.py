"""How blocks are found in a page."""

import pytest

from tests.docs.pages import NEWCOMERS, PAGES, blocks

PAGE = """\
# Page

```sh
first  # one
```

## Part

- In a list:

  <!-- refused -->

  ```sh
  if true; then
    second
  fi
  ```

<!-- from long ago -->
Something else.

```
bare
```
"""


@pytest.fixture
def found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    return blocks(page)


def test_a_block_is_told_with_its_place(found):
    assert [(block.language, block.line, block.section) for block in found] == [
        ("sh", 4, "1: # Page"),
        ("sh", 14, "7: ## Part"),
        ("", 23, "7: ## Part"),
    ]


def test_a_block_in_a_list_is_told_without_its_indent(found):
    assert found[1].text == "if true; then\n  second\nfi\n"


def test_the_note_is_that_of_the_comment_right_above(found):
    assert [block.note for block in found] == ["", "refused", ""]


def test_what_is_left_to_newcomers_is_what_they_run():
    left = {(page.name, block.note) for page in PAGES for block in blocks(page) if block.note in NEWCOMERS}
    assert left == {
        ("README.md", "by make newcomer: checkout"),
        ("images.md", "by make newcomer: debian"),
        ("machines.md", "by make newcomer: debian"),
        ("quickstart.md", "by make newcomer: debian"),
        ("service.md", "by make newcomer: container"),
    }
