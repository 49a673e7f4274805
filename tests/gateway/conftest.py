from pathlib import Path

import pytest

from tests.commandline import Onefleet


@pytest.fixture
def onefleet(tmp_path: Path) -> Onefleet:
    return Onefleet(tmp_path)
