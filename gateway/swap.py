"""Files put in the place of others: all of them or none, whenever the power goes.

What is to happen is written down in the data directory first. From that moment on it will happen: whoever takes the
directory next carries out what is left of it, and repeating what was done changes nothing.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PLAN_FILE = "swap.json"
_LOGS = ("-wal", "-shm")
"""What SQLite keeps beside a database, which is of no use to another one, and harmful."""


@dataclass(frozen=True, slots=True)
class Swap:
    """What takes the place of what: by the place of a file, the one that is ready to be moved there.

    Former files keep their names with `mark` behind. `purpose` is for whoever begins it, to know it again.
    """

    files: Mapping[Path, Path]
    mark: str
    purpose: str

    def aside(self, place: Path) -> Path:
        """Return where the former file of a place is kept."""
        return place.with_name(f"{place.name}.{self.mark}")


def swap(folder: Path, wanted: Swap) -> None:
    """Put the files in place. The caller must have the data directory; what is ready must be on disk.

    Files and their places must be on one file system each.
    """
    draft = folder / f"{PLAN_FILE}.new"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(_document(folder, wanted), file)
        file.flush()
        os.fsync(file.fileno())
    for ready in wanted.files.values():
        sync_folder(ready.parent)
    draft.rename(folder / PLAN_FILE)
    sync_folder(folder)
    finish(folder)


def finish(folder: Path) -> Swap | None:
    """Carry out the swap that was begun in the data directory, if one was; return it."""
    try:
        text = (folder / PLAN_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    begun = _read(folder, json.loads(text))
    for place, ready in begun.files.items():
        if ready.exists():
            _put_aside(begun, place)
            ready.rename(place)
        sync_folder(place.parent)
    (folder / PLAN_FILE).unlink()
    sync_folder(folder)
    return begun


def sync_folder(path: Path) -> None:
    """Return once the names in the folder are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_aside(begun: Swap, place: Path) -> None:
    for end in (*_LOGS, ""):
        former = place.with_name(place.name + end)
        if former.exists():
            aside = begun.aside(place)
            former.rename(aside.with_name(aside.name + end))
    sync_folder(place.parent)


def _document(folder: Path, wanted: Swap) -> Mapping[str, object]:
    files = {os.path.relpath(place, folder): os.path.relpath(ready, folder) for place, ready in wanted.files.items()}
    return {"files": files, "mark": wanted.mark, "purpose": wanted.purpose}


def _read(folder: Path, document: Mapping[str, object]) -> Swap:
    files = document["files"]
    assert isinstance(files, dict)
    named = {_under(folder, place): _under(folder, ready) for place, ready in files.items()}
    return Swap(named, str(document["mark"]), str(document["purpose"]))


def _under(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder / name))
