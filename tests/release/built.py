"""dist/onefleet and what comes with it, of the last commit: made by whichever test asks first, as `make dist` makes it."""

import fcntl
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from zipfile import ZipFile

from tests.running import REPOSITORY

DIST = REPOSITORY / "dist"
PROGRAM = DIST / "onefleet"


@cache
def built() -> Path:
    """Return the folder with what `make dist` makes; makes it if it is not of the last commit."""
    with _alone():
        if not _is_of(_last_commit()):
            done = subprocess.run(["make", "dist"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"make dist failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return DIST


def _last_commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()


def _is_of(commit: str) -> bool:
    wheels = list(DIST.glob("*.whl"))
    if not PROGRAM.exists() or not wheels:
        return False
    with ZipFile(wheels[0]) as wheel:
        told: str = json.loads(wheel.read("gateway/build.json"))["commit"]
    return told == commit


@contextmanager
def _alone() -> Iterator[None]:
    (REPOSITORY / "build").mkdir(exist_ok=True)
    with (REPOSITORY / "build" / "dist.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
