"""How the person at the terminal calls this program."""

import shlex
import shutil
import sys
from pathlib import Path

from gateway.version import program


def called() -> str:
    """Return what to type for this program: its name if the shell finds it by that, else the way to it."""
    path = program()
    if path.suffix == ".py":
        return shlex.join([_way_to(Path(sys.executable)), "-m", "onefleet"])
    found = shutil.which(path.name)
    return shlex.quote(path.name if found and Path(found).samefile(path) else _way_to(path))


def _way_to(path: Path) -> str:
    here = Path.cwd()
    return f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path)
