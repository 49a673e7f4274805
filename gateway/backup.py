"""Backups: a copy of everything that only the data directory knows, made while the gateway runs, and its return."""

import asyncio
import errno
import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from core.clock import SystemClock
from core.storage.copies import copy_database, leap, require_sound, schema_of
from core.storage.migrate import IncompatibleDatabase, migrations
from core.storage.samples import FILE_NAME as SAMPLES
from core.storage.sqlite import open_sqlite
from core.vault import Vault
from gateway.archive import FORMAT, Archive, Manifest, describe, is_compressed, open_archive, write
from gateway.config import Settings
from gateway.credentials import is_handed
from gateway.datadir import KEY_FILE, held, key_in, key_problem
from gateway.progress import Progress
from gateway.swap import Swap, swap, sync_folder
from gateway.trouble import Trouble
from gateway.version import version

DATABASE = "onefleet.db"
"""What the database is called in an archive, whatever it is called here."""

_DATED = re.compile(r"onefleet-\d{8}T\d{6}\.\d{6}Z\.tar\.gz")
_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_UNPACKING = "restoring"
_ADVICE = {
    errno.ENOSPC: "free some space and give the same command again",
    errno.EACCES: "run onefleet as the owner of the data directory, and name a folder that it may write to",
}


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made."""

    path: Path
    size_bytes: int
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back, and the former files, which are kept."""

    manifest: Manifest
    aside: Sequence[Path]


# --- making one


def back_up(settings: Settings, target: Path, *, has_key: bool, is_forced: bool) -> Backup:
    """Make a backup of the data directory as it is at one moment, whether a gateway runs on it or not.

    It is whole or not there; the file in its place is replaced only if `is_forced`.

    Raises:
        Trouble, IncompatibleDatabase: it cannot be made.
    """
    _require_place(settings, target, is_forced=is_forced)
    with _telling(target), _draft(target) as (out, workshop):
        made_at = SystemClock().now()
        files = {**_copies(settings, workshop), **(_key_file(settings) if has_key else {})}
        manifest = _described(files, made_at)
        with _showing("writing", target.name) as tick:
            write(out, manifest, files, tick, is_compressed=is_compressed(target))
        Path(out.name).rename(target)
        sync_folder(target.absolute().parent)
    return Backup(target, target.stat().st_size, manifest)


def dated(folder: Path) -> Path:
    """Return the name, by the time, for a backup in the folder: names are in the order of their times.

    Two of one second, as the timer's and a person's may be, have names of their own.
    """
    return folder / f"onefleet-{SystemClock().now():%Y%m%dT%H%M%S.%fZ}.tar.gz"


def keep_newest(count: int, newest: Path) -> Sequence[Path]:
    """Remove all but so many backups of a folder, of which `newest` is one that stays; return what was removed.

    Only what is called as by `dated` is counted, and removed.

    Raises:
        Trouble: one cannot be removed.
    """
    older = [path for path in newest.parent.iterdir() if _DATED.fullmatch(path.name) and path != newest]
    excess = sorted(older, reverse=True)[count - 1 :]
    with _telling(newest.parent):
        for path in excess:
            path.unlink()
    return excess


def _require_place(settings: Settings, target: Path, *, is_forced: bool) -> None:
    if not target.name.endswith(_SUFFIXES):
        raise Trouble(f"{target}: the name of a backup ends in {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}")
    if target.resolve().is_relative_to(settings.server.data_dir.resolve()):
        raise Trouble(f"{target} would be lost with the data directory that it is a backup of: name a place elsewhere")
    if target.exists() and not is_forced:
        raise Trouble(f"{target} exists: name another file, or give --force to replace it")
    if not settings.storage.path.exists():
        raise Trouble(f"there is nothing to back up yet: {settings.storage.path} does not exist")


def _copies(settings: Settings, folder: Path) -> Mapping[str, Path]:
    """Return copies of the databases, with nothing wrong in them."""
    sources = {DATABASE: settings.storage.path, SAMPLES: settings.server.data_dir / SAMPLES}
    copies = {name: folder / name for name, source in sources.items() if source.exists()}
    for name, copy in copies.items():
        with _showing("copying", name) as tick:
            copy_database(sources[name], copy, tick)
        require_sound(copy)
    return copies


def _key_file(settings: Settings) -> Mapping[str, Path]:
    if problem := key_problem(settings.server.data_dir, settings.storage.path, settings.storage.key_file):
        raise Trouble(problem)
    return {KEY_FILE: settings.storage.key_file}


def _described(files: Mapping[str, Path], made_at: datetime) -> Manifest:
    told = {name: describe(path) for name, path in files.items()}
    return Manifest(FORMAT, version(), schema_of(files[DATABASE]), f"{made_at:%Y-%m-%dT%H:%M:%SZ}", told)


@contextmanager
def _draft(target: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Yield a file beside the target and a folder to work in, both ours alone and gone afterwards."""
    part = target.with_name(f"{target.name}.part")
    workshop = target.with_name(f"{target.name}.work")
    with part.open("ab") as out:
        _claim(out, part)
        out.truncate(0)
        shutil.rmtree(workshop, ignore_errors=True)  # left by one that was killed
        workshop.mkdir()
        try:
            yield out, workshop
        finally:
            shutil.rmtree(workshop)
            part.unlink(missing_ok=True)


def _claim(out: IO[bytes], part: Path) -> None:
    """Return if nobody else writes this backup."""
    try:
        fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.fstat(out.fileno()).st_ino == part.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        is_ours = False
    if not is_ours:
        raise Trouble(f"{part}: another backup is being written there: wait for it, or name another file")


# --- bringing one back


def restore(settings: Settings, source: Path, *, is_forced: bool) -> Restored:
    """Put a backup in the place of what is in the data directory, once it has proven whole; all of it or nothing.

    Former files are kept under other names; there may be some only if `is_forced`. An interrupted restore is completed
    by whoever takes the directory next. Ids that may have been given out since the backup are skipped.

    Raises:
        DirectoryInUse: a gateway runs on the data directory.
        Trouble, IncompatibleDatabase: it cannot be done; nothing was changed.
    """
    with _telling(source), open_archive(source) as archive:
        _require_known(archive)
        _require_key_to_stay(settings.storage.key_file, archive)
        with held(settings.server.data_dir) as finished:
            if finished is not None and finished.purpose == archive.digest:
                return Restored(archive.manifest, _asides(finished))
            places = _places(settings, archive.manifest)
            _require_free(settings, places, is_forced=is_forced)
            with _unpacked(archive, places) as ready:
                _make_fit(settings, archive, ready)
                wanted = _swap(places, ready, archive.digest)
                swap(settings.server.data_dir, wanted)
    return Restored(archive.manifest, _asides(wanted))


def _require_known(archive: Archive) -> None:
    manifest, known = archive.manifest, len(migrations())
    if manifest.schema > known:
        raise Trouble(
            f"{archive.path} has schema {manifest.schema} and this program knows {known}: install onefleet"
            f" {manifest.onefleet}, which made it, or a newer one"
        )
    if DATABASE not in manifest.files or not manifest.files.keys() <= {DATABASE, SAMPLES, KEY_FILE}:
        raise Trouble(f"{archive.path} has {', '.join(manifest.files)}, which is not what a backup has")


def _require_key_to_stay(key_file: Path, archive: Archive) -> None:
    """Return unless the backup has a key of its own, and the one here is not ours to replace by that."""
    key = archive.manifest.files.get(KEY_FILE)
    if key and is_handed(key_file) and not (key_file.exists() and describe(key_file) == key):
        raise Trouble(
            f"{archive.path} has a key, and {key_file}, which is another, is not this command's to replace: let whoever"
            f" hands it to Onefleet put that key there (tar -xOf {archive.path} {KEY_FILE}). Nothing was changed"
        )


def _places(settings: Settings, manifest: Manifest) -> Mapping[str, Path]:
    """Return where each file of the backup goes that is not there already."""
    key_file = settings.storage.key_file
    places = {DATABASE: settings.storage.path, SAMPLES: settings.server.data_dir / SAMPLES, KEY_FILE: key_file}
    return {name: places[name] for name in manifest.files if name != KEY_FILE or not is_handed(key_file)}


def _require_free(settings: Settings, places: Mapping[str, Path], *, is_forced: bool) -> None:
    there = [place for place in places.values() if place.exists()]
    if there and not is_forced:
        names = " and ".join(map(str, there))
        raise Trouble(f"{names} would be replaced: give --force for that, and they are kept under another name")
    key_file = settings.storage.key_file
    if KEY_FILE not in places and not key_file.exists():
        raise Trouble(
            "the backup has no key file, and without it the secrets in the database cannot be read: put the one that"
            f" goes with it at {key_file} (mode 0600), and give the same command again"
        )


@contextmanager
def _unpacked(archive: Archive, places: Mapping[str, Path]) -> Iterator[Mapping[str, Path]]:
    """Yield the files of the archive, each in a folder beside its place, as the manifest tells of them."""
    folders = {place.parent / _UNPACKING for place in places.values()}
    ready = {name: place.parent / _UNPACKING / place.name for name, place in places.items()}
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # left by one that was killed
        folder.mkdir()
    try:
        done = 0
        for name, path in ready.items():
            with _showing("unpacking", name) as tick:
                archive.unpack(name, path, done, tick)
            done += archive.manifest.files[name].size_bytes
        yield ready
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _make_fit(settings: Settings, archive: Archive, ready: Mapping[str, Path]) -> None:
    """Bring the database up to date and let it skip ids, if this program can open it with the key that it will have."""
    for name in ready.keys() - {KEY_FILE}:
        require_sound(ready[name])
    key_file = ready.get(KEY_FILE, settings.storage.key_file)
    vault = Vault(key_in(key_file.read_bytes(), key_file))
    try:
        asyncio.run(_try_out(ready[DATABASE], vault))
        leap(ready[DATABASE])
    except IncompatibleDatabase as error:
        raise Trouble(f"{archive.path} cannot be restored, and nothing was changed: {error}") from error
    _hand_over(ready.values(), settings.server.data_dir)
    with ready[DATABASE].open("rb") as file:
        os.fsync(file.fileno())


def _hand_over(files: Iterable[Path], folder: Path) -> None:
    """Let files belong to whoever the folder belongs to: root may restore for a service, which has to open them."""
    if os.geteuid() == 0:
        owner = folder.stat()
        for file in files:
            os.chown(file, owner.st_uid, owner.st_gid)


async def _try_out(database: Path, vault: Vault) -> None:
    """Return if the program can work with the database, which is brought to its schema."""
    store = await open_sqlite(database, vault, SystemClock())
    await store.close()


def _swap(places: Mapping[str, Path], ready: Mapping[str, Path], digest: str) -> Swap:
    files = {places[name]: ready[name] for name in places}
    return Swap(files, f"replaced-{SystemClock().now():%Y%m%dT%H%M%S.%fZ}", digest)


def _asides(done: Swap) -> Sequence[Path]:
    return [aside for place in done.files if (aside := done.aside(place)).exists()]


# --- what is told


@contextmanager
def _telling(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = f"; {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""
        raise Trouble(f"{error.filename or file}: {error.strerror}{advice}") from error


@contextmanager
def _showing(verb: str, name: str) -> Iterator[Progress]:
    progress = Progress(verb, name, sys.stderr, is_terminal=sys.stderr.isatty())
    try:
        yield progress
    finally:
        progress.end()
