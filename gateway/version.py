"""Which Onefleet this is, and which file it was started from."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

_HOME = Path(__file__).resolve().parent
_BUILD_FILE = _HOME / "build.json"
"""What `make dist` writes into what it builds. A working tree has none."""

_PROGRAM_VARIABLE = "ONEFLEET_PROGRAM"
"""What the single file's launcher tells of itself."""

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Build:
    """A version, the commit that it was made of, and that commit's time in UTC, by which builds can be repeated."""

    version: str
    commit: str
    built_at: str

    def __str__(self) -> str:
        return f"{self.version} (commit {self.commit[:12]}, {self.built_at})"


def version() -> str:
    """Return the version, such as 0.1.0."""
    if _BUILD_FILE.exists():
        return build().version
    try:
        return installed("onefleet")
    except PackageNotFoundError:
        return "(not installed)"


def build() -> Build:
    """Return what this was built of; of a working tree, what it stands on."""
    if _BUILD_FILE.exists():
        return Build(**json.loads(_BUILD_FILE.read_bytes()))
    commit = _told_by_git("rev-parse", "HEAD") or _UNKNOWN
    return Build(version(), commit, "a working tree")


def program() -> Path:
    """Return the file that was started as `onefleet`: absolute, with symbolic links as they were named."""
    called = shutil.which(sys.argv[0]) or sys.argv[0]
    single = os.environ.get(_PROGRAM_VARIABLE) if getattr(sys, "frozen", False) else None
    if single and not (Path(called).exists() and Path(called).samefile(single)):
        return Path(single)
    return Path(called).absolute()


def _told_by_git(*words: str) -> str:
    if not (_HOME.parent / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(_HOME.parent), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  words of ours
    except OSError:
        return ""
    return done.stdout.strip()
