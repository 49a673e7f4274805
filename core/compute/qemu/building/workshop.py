"""What every build needs: other people's commands, and a folder that appears whole or not at all."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from core.errors import CoreError

_LAST_LINES = 8


class BuildFailed(CoreError):
    """An image could not be built; nothing of it is left. The text says what to do about it."""


def demand(package_of: Mapping[str, str]) -> None:
    """Return if these commands are installed; each is given with the Debian package that has it.

    Raises:
        BuildFailed: some are missing; the text says how they are installed.
    """
    missing = {command: package for command, package in package_of.items() if not _find(command)}
    if missing:
        raise BuildFailed(
            f"To build this image, {', '.join(missing)} must be installed."
            f" On Debian: sudo apt-get install {' '.join(sorted(set(missing.values())))}"
        )


def run(command: Sequence[str | Path], *, cwd: Path | None = None, text: str = "") -> str:
    """Return what a command writes, once it has ended; `text` is what it reads.

    Raises:
        BuildFailed: it failed; the text has the last that it said.
    """
    words = [_find(str(command[0])) or str(command[0]), *map(str, command[1:])]
    done = subprocess.run(  # noqa: S603  words of ours, and no shell
        words,
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
        umask=0o022,  # the files are a guest's, whatever ours may be like
        check=False,
    )
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:])
        raise BuildFailed(f"{command[0]} ended with {done.returncode}: {said}")
    return done.stdout


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Give a fresh folder to build in, which takes the name `folder` at the end, or is removed if the build fails.

    Raises:
        BuildFailed: there is such a folder already, and something in it: machines may live on an image of that name.
            Or the host has no room, or does not let us write there.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise BuildFailed(f"{folder} exists already. Remove it first, if no machine has its disk from there.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True) as draft:
            yield Path(draft)
            Path(draft).chmod(0o755)
            Path(draft).rename(folder)
    except OSError as error:
        raise BuildFailed(f"{folder} could not be built: {error.strerror or error}") from error


def _find(command: str) -> str | None:
    # An ordinary user's PATH lacks the folder where Debian keeps mke2fs and debugfs.
    return shutil.which(command, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
