"""docs/operating.md: its lists are whole."""

import os
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from core.instances import Cause
from protocols.ec2.render import _REASONS
from tests.commandline import Onefleet
from tests.running import REPOSITORY, RunningGateway

NOBODY = 65534
PAGE = (REPOSITORY / "docs" / "operating.md").read_text()


def first_cells(heading: str) -> list[str]:
    """Return the words in code of each first cell of the table under a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`(.+?)`", cell)]


def test_every_file_of_a_data_directory_is_told_of(gateway: RunningGateway) -> None:
    told = first_cells("What to keep")
    patterns = [f"onefleet.db{each}" if each.startswith("-") else f"{each.rstrip('/')}*" for each in told]
    found = [each.name for each in gateway.data.iterdir()]
    assert [name for name in found if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_every_cause_is_told_with_ec2s_code() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|.+\| `(\w+\.\w+)` \|$", PAGE, re.MULTILINE)
    assert dict(rows) == {cause.value: _REASONS[cause][0] for cause in Cause}


def test_what_root_restores_belongs_to_the_owner_of_the_data_directory(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files to others")
    onefleet, backup = Onefleet(tmp_path), tmp_path / "backup.tar"
    onefleet("account", "add", "one")
    onefleet("backup", backup, "--with-key")
    for path in (onefleet.data, *onefleet.data.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    onefleet("restore", backup, "--force")
    assert {path.name for path in onefleet.data.iterdir() if path.stat().st_uid != NOBODY} == set()
