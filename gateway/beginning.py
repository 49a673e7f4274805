"""What `onefleet init` makes: a configuration, a data directory and the key file in it, for a gateway to begin with."""

import os
from dataclasses import dataclass
from pathlib import Path

from gateway.config import FILE_NAME, reference
from gateway.datadir import KEY_FILE, make_key
from gateway.swap import sync_folder
from gateway.trouble import Trouble

_DATA = "data"
_LEFT_BEHIND = frozenset({KEY_FILE, Path(KEY_FILE).with_suffix(".new").name})
"""What an `init` that was interrupted may have left in the data directory."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What was made."""

    config: Path
    data: Path
    key_file: Path


def begin(folder: Path) -> Begun:
    """Make all that a gateway begins with in the folder, which is made too; nothing that is there is changed.

    The configuration comes last: without it, the same command completes what an interrupted one has begun.

    Raises:
        Trouble: there is a configuration or data already, or something cannot be made.
    """
    begun = Begun(folder / FILE_NAME, folder / _DATA, folder / _DATA / KEY_FILE)
    try:
        _require_nothing(folder, begun)
        begun.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        begun.data.chmod(0o700)
        if not begun.key_file.exists():
            make_key(begun.key_file)
        _write_new(begun.config, reference())
    except OSError as error:
        raise Trouble(f"{error.filename or folder}: {error.strerror}; name a folder that you may write to") from error
    return begun


def _require_nothing(folder: Path, begun: Begun) -> None:
    if folder.exists() and not folder.is_dir():
        raise Trouble(f"{folder} is a file; name a folder, which is made if there is none")
    if begun.config.exists():
        raise Trouble(f"{begun.config} exists, so nothing was changed: begin with that, or name another folder")
    if not begun.data.exists():
        return
    if not begun.data.is_dir() or {file.name for file in begun.data.iterdir()} - _LEFT_BEHIND:
        raise Trouble(f"{begun.data} exists and is not empty, so nothing was changed: name another folder")


def _write_new(file: Path, text: str) -> None:
    """Write a file that is whole or not there, and never in place of another."""
    draft = file.with_name(f"{file.name}.new")
    with draft.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.link(draft, file)
    draft.unlink()
    sync_folder(file.parent)
