"""The data directory: one process at a time, closed to everybody else, with the key file that opens the database."""

import base64
import binascii
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from core.vault import KEY_BYTES, Vault
from gateway.credentials import advice_on_missing, is_handed
from gateway.swap import Swap, finish, sync_folder
from gateway.trouble import Trouble

KEY_FILE, LOCK_FILE = "onefleet.key", "lock"
_OTHERS, _GROUP_READS = 0o077, 0o040
_PATIENCE_SECONDS = 0.01
_MAKE_KEY = "(umask 077; head -c 32 /dev/urandom | base64 >{file})"


class UnusableDataDirectory(Trouble):
    """The data directory cannot be used; the text says why and what to do."""


class DirectoryInUse(UnusableDataDirectory):
    """Another process works in the data directory; `pid` is its id, or 0 if it does not tell."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(
            f"another onefleet (pid {pid or 'unknown'}) is using the data directory {path}; stop it first, or give this"
            " one another [server] data_dir"
        )
        self.pid = pid


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A data directory that this process has to itself."""

    path: Path
    database: Path
    vault: Vault = field(repr=False)

    @classmethod
    @contextmanager
    def open(cls, path: Path, database: Path, key_file: Path | None = None) -> Iterator[Self]:
        """Take the directory until the block ends. It is made if it does not exist.

        Its key file, which may be elsewhere, is made in it if neither that nor the database exists.

        Raises:
            DirectoryInUse: another process has it.
            UnusableDataDirectory: it is open to others, cannot be written, or its key file is missing or broken.
        """
        with held(path):
            yield cls(path, database, Vault(_key_of(path, database, key_file or path / KEY_FILE)))


@contextmanager
def held(path: Path) -> Iterator[Swap | None]:
    """Take the directory until the block ends, whatever is in it. A swap of files that was begun in it is finished.

    Yields that swap, if there was one.

    Raises:
        DirectoryInUse: another process has it.
        UnusableDataDirectory: it is open to others, or cannot be written.
    """
    try:
        make_private(path)
        with _locked(path):
            yield finish(path)
    except PermissionError as error:
        raise UnusableDataDirectory(
            f"{error.filename or path}: {error.strerror}; run onefleet as the owner of the data directory"
        ) from error


def make_private(path: Path) -> None:
    """Make the directory, or close it to others if it is ours; somebody else's is left alone.

    Raises:
        UnusableDataDirectory: it cannot be ours.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UnusableDataDirectory(f"{path}: the data directory's place is taken by a file") from None
    if not path.stat().st_mode & _OTHERS:
        return
    if any(path.iterdir()) and not (path / LOCK_FILE).exists():
        raise UnusableDataDirectory(
            f"{path} has files that are not Onefleet's and is open to other users; name an empty or new directory as"
            f" [server] data_dir, or close it: chmod 700 {path}"
        )
    path.chmod(0o700)


def key_problem(path: Path, database: Path, key_file: Path | None = None) -> str:
    """Return what is wrong with the directory's key file, without making one; empty if nothing is."""
    file = key_file or path / KEY_FILE
    try:
        if not _is_to_be_made(file, path, database):
            _read_key(file, database)
    except UnusableDataDirectory as error:
        return str(error)
    except OSError as error:
        return f"{file}: {error.strerror}"
    return ""


def holder_of(path: Path) -> int:
    """Return the id of the process that has the directory, or 0 if none has. It changes nothing."""
    try:
        file = os.open(path / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return 0
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(file)
    finally:
        os.close(file)
    return 0


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock. The file stays afterwards: removing it would let two processes lock two files of one name."""
    file = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(path, file)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


def _lock(path: Path, file: int) -> None:
    for patience in (True, True, False):  # somebody may just be having a look, as `holder_of` does
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not patience:
                raise DirectoryInUse(path, _pid_in(file)) from None
            time.sleep(_PATIENCE_SECONDS)
        else:
            return


def _pid_in(file: int) -> int:
    text = os.pread(file, 20, 0).strip()
    return int(text) if text.isdigit() else 0


def _key_of(path: Path, database: Path, file: Path) -> bytes:
    if _is_to_be_made(file, path, database):
        make_key(file)
    return _read_key(file, database)


def _is_to_be_made(file: Path, path: Path, database: Path) -> bool:
    """Whether this is the first start. A key elsewhere is somebody's care: it might only be away for now."""
    return file.parent == path and not is_handed(file) and not file.exists() and not database.exists()


def make_key(file: Path) -> None:
    """Write a new key so that after a crash there is a whole key file or none, and never in place of another."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.link(draft, file)
    draft.unlink()
    sync_folder(file.parent)


def _read_key(file: Path, database: Path) -> bytes:
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise UnusableDataDirectory(_missing(file, database)) from None
    if not is_handed(file) and (mode := _open_mode(file.stat())):
        raise UnusableDataDirectory(
            f"the key file {file} can be read by other users (mode {mode:04o}): chmod 600 {file}, and renew the"
            " API keys if somebody may have copied it"
        )
    return key_in(content, file)


def _open_mode(status: os.stat_result) -> int:
    """Return the mode of a file that is open to others, else 0. Somebody else's we may read by way of our group."""
    others = _OTHERS if status.st_uid == os.geteuid() else _OTHERS & ~_GROUP_READS
    return status.st_mode & 0o777 if status.st_mode & others else 0


def _missing(file: Path, database: Path) -> str:
    missing = f"the key file {file} is missing"
    if advice := advice_on_missing(file):
        return f"{missing}: {advice}"
    if not database.exists():
        return f"{missing}: it is made only in the data directory; make it yourself: {_MAKE_KEY.format(file=file)}"
    return (
        f"{missing}, and without it the secrets in {database} cannot be read: put it back from your backup. To start"
        " afresh instead, name a new [server] data_dir"
    )


def key_in(content: bytes, file: Path) -> bytes:
    """Return the key that a key file with this content holds.

    Raises:
        UnusableDataDirectory: it holds none.
    """
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise UnusableDataDirectory(
            f"the key file {file} is damaged: it must hold {KEY_BYTES} bytes in base64; put it back from your backup"
        )
    return key
