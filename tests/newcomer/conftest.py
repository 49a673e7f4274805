"""What takes minutes and a whole Debian: `make newcomer` asks for it, `make test` does not."""

import os
import shutil
from pathlib import Path

import pytest

from tests.newcomer.fresh import FreshDebian, debootstrap

collect_ignore_glob = [] if os.environ.get("ONEFLEET_NEWCOMER") else ["*"]


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """A Debian as it comes, which nobody changes."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("a fresh Debian is made by root, with mmdebstrap")
    return debootstrap(tmp_path_factory.mktemp("pristine") / "root")


@pytest.fixture
def debian(pristine, tmp_path):
    """A fresh Debian of the test's own: no Python, no compiler, no git."""
    with FreshDebian(pristine, tmp_path / "root") as fresh:
        yield fresh


@pytest.fixture
def repository():
    return Path(__file__).resolve().parents[2]
