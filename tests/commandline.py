"""The command of a shell, in a folder of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests import forked
from tests.running import REPOSITORY, a_config, write_config


class Onefleet:
    """The command in a folder with a configuration; no gateway runs."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "config.toml"
        self.configure(**sections)
        self.program = [*forked.PROGRAM]
        self.environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}

    def configure(self, **sections: Any) -> None:
        """Write the configuration anew, with these sections laid over the usual ones."""
        write_config(self.config, a_config(self.folder, **sections))

    def __call__(self, *words: object, code: int = 0, **environ: str) -> "subprocess.CompletedProcess[str]":
        command = [*self.program, *map(str, words)]
        done = forked.outcome(command, environ=self.environ | environ, seconds=60, folder=self.folder)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: object, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code).stdout)
