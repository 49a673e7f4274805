"""Starts the processes of `storm.py`, and ends them."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[3]


@contextmanager
def storm(what: str, path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a process until the block has ended and it too."""
    command = [sys.executable, "-m", "tests.core.storage.storm", what, str(path)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process


def killed_during(what: str, path: Path) -> list[int]:
    """Return the numbers that a process told of before it was killed at some moment."""
    with storm(what, path) as process:
        told = [int(process.stdout.readline()) for _ in range(random.randint(1, 400))]
        time.sleep(random.random() / 1000)
        process.kill()
        return [*told, *map(int, process.stdout)]
