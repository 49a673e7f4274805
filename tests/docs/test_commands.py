"""docs/cli.md names every command that there is, and no other."""

import re
from itertools import product

from gateway.cli import COMMANDS
from tests.running import REPOSITORY

PAGE = (REPOSITORY / "docs" / "cli.md").read_text()


def named():
    """Return the commands in the first column of the table, where `account add|list` is two."""
    cells = re.findall(r"^\| (`.*?) \|", PAGE.replace(r"\|", "/"), re.MULTILINE)
    spelled = [words.split() for cell in cells for words in re.findall(r"`([^`]+)`", cell)]
    return [" ".join(command) for words in spelled for command in product(*(word.split("/") for word in words))]


def test_the_table_names_every_command_once_and_no_other():
    assert sorted(named()) == sorted(command.words for command in COMMANDS)
