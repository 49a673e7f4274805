"""Remembers OAuth nonces, in memory for speed and in a file for the next start.

A nonce is written with one small `write` before its request is answered: a killed process loses none, and no request
waits for a disk flush. (After a power cut the last seconds may be missing; their time stamps soon expire.)
"""

import errno
import hashlib
import os
from datetime import datetime, timedelta
from pathlib import Path

from core.clock import Clock
from core.errors import StoreUnavailable

_DIGEST_BYTES = 16
_GENERATION = timedelta(hours=1)
_NAMES = ("nonces", "nonces.previous", "nonces.next")


class NonceLog:
    """Two generations of nonces, the running hour and the one before: each is remembered for an hour at least."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self._current, self._previous, self._next = (folder / name for name in _NAMES)
        self._known, self._known_before = _load(self._current), _load(self._previous)
        self._file = _open(self._current)
        # A restart lengthens the running generation, never shortens it.
        self._started_at = clock.now()

    def claim(self, key: str, timestamp: int, nonce: str) -> bool:
        """Whether the triple comes for the first time.

        Raises:
            StoreUnavailable: it cannot be written down, so it must not be used.
        """
        # A client may send what is no text at all, such as half of a surrogate pair.
        triple = f"{key}\0{timestamp}\0{nonce}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(triple, digest_size=_DIGEST_BYTES).digest()
        try:
            return self._claim(digest)
        except OSError as error:
            raise StoreUnavailable from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _claim(self, digest: bytes) -> bool:
        now = self._clock.now()
        if now - self._started_at >= _GENERATION:
            self._turn(now)
        if digest in self._known or digest in self._known_before:
            return False
        self._append(digest)
        self._known.add(digest)
        return True

    def _append(self, digest: bytes) -> None:
        size = len(self._known) * _DIGEST_BYTES
        if os.write(self._file, digest) < _DIGEST_BYTES:  # the disk is full: leave no half entry behind
            os.ftruncate(self._file, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _turn(self, now: datetime) -> None:
        """Begin a new generation. If that fails, the running one goes on."""
        file = _open(self._next)
        try:
            self._current.replace(self._previous)
            self._next.replace(self._current)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file = file
        self._known, self._known_before = set(), self._known
        self._started_at = now


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _load(path: Path) -> set[bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return set()
    whole = len(content) - len(content) % _DIGEST_BYTES
    if whole < len(content):
        os.truncate(path, whole)
    return {content[start : start + _DIGEST_BYTES] for start in range(0, whole, _DIGEST_BYTES)}
