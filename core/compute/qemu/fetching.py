"""Fetches files of images over HTTP, going on where an earlier attempt has ended.

What has come so far is kept in a file, beside notes of what it is the beginning of, so that not even a killed process
has fetched in vain. The server says by ETag or Last-Modified whether the rest still belongs to it.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from socket import gaierror
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from core.compute.qemu.diskimage import Tick, UnusableImage
from core.errors import CoreError

_BLOCK_BYTES = 256 * 1024
_LISTING_BYTES = 4 * 1024**2
_MIB = 1024**2
_STALE_SECONDS = 7 * 86400
_ALGORITHMS = {64: "sha256", 128: "sha512"}
_SHA256 = "sha256"


class NotFetched(CoreError):
    """A file could not be fetched; the text says why and what to do."""


class WrongChecksum(NotFetched):
    """What has come is not what was announced; it has been thrown away."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a file must hash to; `algorithm` is sha256 or sha512, `digits` are hexadecimal and in lower case."""

    algorithm: str
    digits: str

    @classmethod
    def read(cls, text: str) -> "Checksum":
        """Return the checksum that is written so.

        Raises:
            NotFetched: it is none.
        """
        digits = text.strip().lower()
        if len(digits) not in _ALGORITHMS or not re.fullmatch("[0-9a-f]+", digits):
            raise NotFetched(f"{text!r} is no checksum: SHA-256 has 64 hexadecimal digits, SHA-512 has 128")
        return cls(_ALGORITHMS[len(digits)], digits)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long nothing may come, how often in a row to try again in vain, and how long to wait before that."""

    silence_seconds: float = 30.0
    tries: int = 5
    pause_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole file, and what it hashes to."""

    path: Path
    sha256: str


# --- names of what is fetched


def is_url(source: str) -> bool:
    """Return whether this is a URL and not the name of a file."""
    return "://" in source


def without_secrets(url: str) -> str:
    """Return the URL as it may be shown and kept: without its credentials, its query and its fragment."""
    parts = _split(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def file_name(source: str) -> str:
    """Return the last part of a URL's path, or of a file's."""
    path = unquote(_split(source).path) if is_url(source) else source
    return Path(path).name


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise NotFetched(f"{url!r} is no URL: {error}") from error


# --- listings of checksums

_PLAIN_LINE = re.compile(r"\\?(?P<digits>[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128}) [ *](?P<name>\S.*)")
_BSD_LINE = re.compile(r"SHA(?:256|512) ?\((?P<name>.+)\) ?= ?(?P<digits>[0-9A-Fa-f]{64,128})")


def find_checksum(listing: str, name: str) -> Checksum:
    """Return the checksum of a file in a listing such as SHA256SUMS or SHA512SUMS, plain or in the BSD way.

    Raises:
        NotFetched: the file is not in it.
    """
    lines = [_PLAIN_LINE.fullmatch(line) or _BSD_LINE.fullmatch(line) for line in map(str.strip, listing.splitlines())]
    named = {Path(line["name"]).name: line["digits"] for line in lines if line}
    if name not in named:
        has = ", ".join(list(named)[:5]) or "no checksum at all"
        raise NotFetched(f"the listing of checksums does not have {name}; it has {has}")
    return Checksum.read(named[name])


def read_listing(source: str, patience: Patience = Patience()) -> str:
    """Return the text of a listing at a URL or in a file.

    Raises:
        NotFetched: it cannot be read.
    """
    if not is_url(source):
        try:
            return Path(source).read_text(errors="replace")
        except OSError as error:
            raise NotFetched(f"{source}: {error.strerror}") from error
    with _telling(source, patience), _open(source, {}, patience) as answer:
        return answer.read(_LISTING_BYTES).decode(errors="replace")


# --- the beginning of a file


class _Part:
    """What has come of a URL's file, with the hash of it, and notes of what the server said that it is."""

    def __init__(self, folder: Path, url: str, algorithm: str) -> None:
        key = hashlib.sha256(url.encode()).hexdigest()[:24]
        self.path, self._notes_file = folder / f"{key}.part", folder / f"{key}.json"
        self._algorithms = {_SHA256, algorithm}
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise NotFetched(f"{without_secrets(url)} is being fetched by another command already") from None
        self._hashes, self.size = self._no_hashes(), 0
        self.notes: Mapping[str, str] = self._read_notes()
        while block := self._file.read(_BLOCK_BYTES):
            self._take(block)

    def append(self, block: bytes) -> None:
        """Add what comes next."""
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._take(block)

    def begin(self, notes: Mapping[str, str]) -> None:
        """Forget what has come; what comes next is the beginning of what the notes tell."""
        self._file.seek(0)
        self._file.truncate()
        self._hashes, self.size, self.notes = self._no_hashes(), 0, notes
        self._notes_file.write_text(json.dumps(notes))

    def digest(self, algorithm: str = _SHA256) -> str:
        """Return what it hashes to, in hexadecimal digits."""
        return self._hashes[algorithm].hexdigest()

    def drop(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
        self._notes_file.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it; what has come stays."""
        self._file.close()

    def _no_hashes(self) -> "Mapping[str, hashlib._Hash]":
        return {name: hashlib.new(name) for name in self._algorithms}

    def _take(self, block: bytes) -> None:
        self.size += len(block)
        for digest in self._hashes.values():
            digest.update(block)

    def _read_notes(self) -> Mapping[str, str]:
        try:
            notes: Mapping[str, str] = json.loads(self._notes_file.read_text())
        except (OSError, ValueError):
            return {}
        return notes


@contextmanager
def fetched(
    url: str,
    folder: Path,
    tick: Tick,
    *,
    checksum: Checksum | None = None,
    patience: Patience = Patience(),
) -> Iterator[Fetched]:
    """Yield the whole file that is at a URL, in the folder; it may be moved away, else it is removed in the end.

    If the block fails, or this is killed, what has come stays for the next attempt, but not if the checksum was wrong
    or the block raises `UnusableImage`. Another week later it is removed.

    Raises:
        NotFetched: it cannot be fetched, or not now.
        WrongChecksum: it is not what it should be.
        OSError: the folder cannot be written.
    """
    folder.mkdir(exist_ok=True)
    _remove_stale(folder)
    part = _Part(folder, url, checksum.algorithm if checksum else _SHA256)
    try:
        _fill(part, url, tick, patience)
        _require(part, url, checksum)
        yield Fetched(part.path, part.digest())
        part.drop()
    except (WrongChecksum, UnusableImage):
        part.drop()
        raise
    finally:
        if not part.size:
            part.drop()
        part.close()


def _remove_stale(folder: Path) -> None:
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # another command may be doing the same
            if time.time() - file.stat().st_mtime > _STALE_SECONDS:
                file.unlink()


def _require(part: _Part, url: str, checksum: Checksum | None) -> None:
    if checksum is not None and (found := part.digest(checksum.algorithm)) != checksum.digits:
        raise WrongChecksum(
            f"{without_secrets(url)} is not what it should be: its {checksum.algorithm} is {found}, and"
            f" {checksum.digits} was expected. Nothing is registered, and what was fetched is thrown away: look whether"
            " the checksum is that of this very file"
        )


# --- fetching


class _Interrupted(Exception):
    """The connection ended before the file did."""


def _fill(part: _Part, url: str, tick: Tick, patience: Patience) -> None:
    """Fetch what is missing. A connection that breaks is made anew as long as that brings something."""
    had, in_vain = part.size, 0
    while True:
        before = part.size
        try:
            _go_on(part, url, tick, patience)
        except (NotFetched, _Interrupted) as error:
            in_vain = 0 if part.size > before else in_vain + 1
            if part.size <= had or in_vain > patience.tries:
                raise NotFetched(_with_advice(str(error), part.size)) from error
            time.sleep(patience.pause_seconds)
        else:
            return


def _with_advice(reason: str, size: int) -> str:
    kept = f". {size / _MIB:.1f} MiB of it are here: the same command goes on from there" if size else ""
    return f"{reason}{kept}"


def _go_on(part: _Part, url: str, tick: Tick, patience: Patience) -> None:
    answer = _ask_for_the_rest(part, url, patience)
    if answer is None:
        return
    with answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            part.begin(_notes_of(answer.headers))
        elif not _is_the_rest(answer, part):
            part.begin({})
            raise _Interrupted(
                f"{without_secrets(url)}: the server sent something else than the rest that was asked for"
            )
        total = part.size + (answer.length or 0)
        _require_room(part, total)
        tick(part.size, total)
        while block := _next_block(answer, url, patience):
            part.append(block)
            tick(part.size, total)
    if part.size < total:
        raise _Interrupted(f"{without_secrets(url)} ended after {part.size} of {total} bytes")


def _ask_for_the_rest(part: _Part, url: str, patience: Patience) -> HTTPResponse | None:
    """Return the answer that has what is missing, or all; None if nothing is missing."""
    with _telling(url, patience):
        try:
            return _open(url, _range_wanted(part), patience)
        except HTTPError as error:
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not part.size:
                raise
            error.close()
            if _is_whole(error, part):
                return None
    part.begin({})  # the file there has become shorter than what is here
    return _ask_for_the_rest(part, url, patience)


def _next_block(answer: HTTPResponse, url: str, patience: Patience) -> bytes:
    with _telling(url, patience):
        return answer.read1(_BLOCK_BYTES)


def _range_wanted(part: _Part) -> Mapping[str, str]:
    """Return the headers that ask for the rest only, if the server has a way to tell whether it still fits."""
    proof = part.notes.get("proof", "")
    return {"Range": f"bytes={part.size}-", "If-Range": proof} if part.size and proof else {}


def _notes_of(headers: HTTPMessage) -> Mapping[str, str]:
    # A weak ETag is not good enough. Source: RFC 9110, 13.1.5.
    etag = headers.get("ETag", "")
    return {"proof": etag if etag.startswith('"') else headers.get("Last-Modified", "")}


def _is_the_rest(answer: HTTPResponse, part: _Part) -> bool:
    is_where_we_are = answer.headers.get("Content-Range", "").startswith(f"bytes {part.size}-")
    return is_where_we_are and _notes_of(answer.headers)["proof"] in {"", part.notes["proof"]}


def _is_whole(refusal: HTTPError, part: _Part) -> bool:
    return bool(refusal.headers.get("Content-Range", "") == f"bytes */{part.size}")


def _require_room(part: _Part, total: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if total - part.size > free:
        raise NotFetched(
            f"{(total - part.size) / _MIB:.1f} MiB are to come, and {part.path.parent} has room for {free / _MIB:.1f}"
        )


# --- the client


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, but not from a connection that nobody can tamper with to one that anybody can."""

    def redirect_request(  # noqa: PLR0917  urllib's
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise NotFetched(
                f"{without_secrets(req.full_url)} leads to {without_secrets(newurl)}, which is not encrypted; give that"
                " URL itself, with a checksum, if you want it all the same"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


# Not build_opener's, which would also open ftp:, file: and data:.
_HANDLERS: Sequence[Callable[[], object]] = (
    ProxyHandler,
    HTTPHandler,
    HTTPSHandler,
    _Redirects,
    HTTPErrorProcessor,
    HTTPDefaultErrorHandler,
)


def _open(url: str, headers: Mapping[str, str], patience: Patience) -> HTTPResponse:
    opener = OpenerDirector()
    for handler in _HANDLERS:
        opener.add_handler(handler())  # type: ignore[arg-type]  # each is a handler
    answer: HTTPResponse = opener.open(_request(url, headers), timeout=patience.silence_seconds)
    return answer


def _request(url: str, headers: Mapping[str, str]) -> Request:
    parts = _split(url)
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        raise NotFetched(f"{without_secrets(url)} cannot be fetched: only http:// and https:// can")
    credentials, _, place = parts.netloc.rpartition("@")
    request = Request(  # noqa: S310  http or https, as was just seen
        urlunsplit(parts._replace(netloc=place, fragment="")), headers={"User-Agent": "onefleet", **headers}
    )
    if credentials:
        # Unredirected: another host must not be told them.
        basic = b64encode(unquote(credentials).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    return request


@contextmanager
def _telling(url: str, patience: Patience) -> Iterator[None]:
    """Turn whatever can go wrong on the way into a refusal in words."""
    shown = without_secrets(url)
    try:
        yield
    except HTTPError as error:
        error.close()
        raise NotFetched(f"{shown}: the server answers {error.code} {error.reason}") from error
    except (OSError, HTTPException, UnicodeError, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        raise NotFetched(f"{shown}: {_in_words(cause, patience)}") from error


def _in_words(cause: object, patience: Patience) -> str:
    for kind, words in _WORDS.items():
        if isinstance(cause, kind):
            return words
    if isinstance(cause, TimeoutError):
        return f"nothing has come for {patience.silence_seconds:g} seconds"
    if isinstance(cause, ssl.SSLError):
        return f"no encrypted connection: {getattr(cause, 'verify_message', '') or cause.reason}"
    return str(cause) or type(cause).__name__


_WORDS: Mapping[type[Exception], str] = {
    gaierror: "there is no such host, or its name cannot be looked up now",
    ConnectionRefusedError: "nobody answers there: the connection was refused",
}
