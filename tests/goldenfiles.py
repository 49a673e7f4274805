"""Documents compared whole with files that were reviewed by eye; only --update-golden writes them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("golden")


@dataclass(frozen=True)
class Golden:
    """The files of tests/golden."""

    is_updating: bool

    def check(self, name: str, document: str) -> None:
        """Return if the document is the file's, or has been made the file's."""
        file = FOLDER / name
        if self.is_updating:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(document)
            return
        if not file.exists():
            pytest.fail(f"there is no {file}; write it with --update-golden and review it")
        assert document == file.read_text(), f"{name} has changed; if it should, write it with --update-golden"
