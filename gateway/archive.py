"""The file that a backup is: a tar of a manifest, the files that it tells of, and the manifest's own checksum."""

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import orjson

from core.storage.copies import Tick
from gateway.trouble import Trouble

MANIFEST, SUM = "manifest.json", "manifest.sha256"
FORMAT = 1

_COMPRESSED = (".gz", ".tgz")
_MOST_MANIFEST_BYTES = 1024**2
_BLOCK_BYTES = 1024**2
_GZIP_LEVEL = 6
_BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, LookupError, TypeError, AttributeError)
"""What reading raises that was not written by us, or was changed since."""


class DamagedArchive(Trouble):
    """The file is not a backup, or not as it was written."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: not a whole backup: {problem}; take another one. Nothing was changed")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive has: when it was made, by which Onefleet, and its files by name."""

    format: int
    onefleet: str
    schema: int
    made_at: str
    files: Mapping[str, Member]

    @property
    def size_bytes(self) -> int:
        """How long all files are together."""
        return sum(member.size_bytes for member in self.files.values())


def describe(path: Path) -> Member:
    """Return what a manifest tells of the file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return Member(path.stat().st_size, digest.hexdigest())


def is_compressed(path: Path) -> bool:
    """Whether an archive of this name is to be compressed."""
    return path.suffix in _COMPRESSED


# --- writing


def write(out: IO[bytes], manifest: Manifest, files: Mapping[str, Path], tick: Tick, *, is_compressed: bool) -> None:
    """Write an archive of the files that the manifest tells of, and let it reach the disk."""
    at = datetime.fromisoformat(manifest.made_at).timestamp()
    told = orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    done = 0
    with _new_tar(out, is_compressed=is_compressed) as tar:
        _add(tar, MANIFEST, io.BytesIO(told), len(told), at)
        line = f"{hashlib.sha256(told).hexdigest()}  {MANIFEST}\n".encode()
        _add(tar, SUM, io.BytesIO(line), len(line), at)
        for name, path in files.items():
            with path.open("rb") as file:
                _add(tar, name, _Watched(file, done, manifest.size_bytes, tick), manifest.files[name].size_bytes, at)
                done += file.tell()
    out.flush()
    os.fsync(out.fileno())


def _new_tar(out: IO[bytes], *, is_compressed: bool) -> tarfile.TarFile:
    if is_compressed:
        return tarfile.open(fileobj=out, mode="w:gz", compresslevel=_GZIP_LEVEL)
    return tarfile.open(fileobj=out, mode="w")


def _add(tar: tarfile.TarFile, name: str, file: Any, size_bytes: int, at: float) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size_bytes, int(at), 0o600
    tar.addfile(entry, file)


class _Watched:
    """A file that tells how far it was read."""

    def __init__(self, file: IO[bytes], before: int, total: int, tick: Tick) -> None:
        self._file, self._before, self._total, self._tick = file, before, total, tick

    def read(self, count: int) -> bytes:
        """Read, and tell."""
        block = self._file.read(count)
        self._tick(self._before + self._file.tell(), self._total)
        return block


# --- reading


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that is open. Made by `open_archive`."""

    path: Path
    manifest: Manifest
    digest: str
    _tar: tarfile.TarFile

    def unpack(self, name: str, target: Path, before: int, tick: Tick) -> None:
        """Write a file of the archive to the target, if it is as the manifest tells, and let it reach the disk.

        `before` is how many bytes of all files are done.

        Raises:
            DamagedArchive: it is not.
        """
        with _judging(self.path), target.open("xb") as out:
            found = _copied(_member(self._tar, name), out, lambda done: tick(before + done, self.manifest.size_bytes))
            if found != self.manifest.files[name]:
                raise ValueError(f"{name} is not what the manifest tells")
            out.flush()
            os.fsync(out.fileno())


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Yield the archive, with a manifest that is as it was written.

    Raises:
        DamagedArchive: there is no such manifest in it.
        Trouble: there is no such file, or a newer Onefleet has made it.
    """
    try:
        tar = _opened(path)
    except FileNotFoundError:
        raise Trouble(f"{path}: there is no such file; name one that `onefleet backup` has made") from None
    with tar:
        with _judging(path):
            told = _content(tar, MANIFEST)
            digest = hashlib.sha256(told).hexdigest()
            if _content(tar, SUM) != f"{digest}  {MANIFEST}\n".encode():
                raise ValueError("the manifest is not what its checksum tells")
            document = orjson.loads(told)
            is_known = document["format"] == FORMAT
            manifest = _manifest(document) if is_known else None
        if manifest is None:
            raise Trouble(f"{path}: a newer onefleet has made this backup: install that")
        yield Archive(path, manifest, digest, tar)


def _opened(path: Path) -> tarfile.TarFile:
    with _judging(path):
        return tarfile.open(path, "r:*")


@contextmanager
def _judging(path: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DamagedArchive(path, str(error)) from error


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        file = tar.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise ValueError(f"there is no {name} in it")
    return file


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    return _member(tar, name).read(_MOST_MANIFEST_BYTES)


def _copied(file: IO[bytes], out: IO[bytes], tell: Any) -> Member:
    digest, done = hashlib.sha256(), 0
    while block := file.read(_BLOCK_BYTES):
        out.write(block)
        digest.update(block)
        done += len(block)
        tell(done)
    return Member(done, digest.hexdigest())


def _manifest(document: Mapping[str, Any]) -> Manifest:
    files = {
        name: Member(int(member["size_bytes"]), str(member["sha256"])) for name, member in document["files"].items()
    }
    return Manifest(
        int(document["format"]), str(document["onefleet"]), int(document["schema"]), str(document["made_at"]), files
    )
