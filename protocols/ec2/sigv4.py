"""AWS Signature Version 4: the arithmetic, with no opinion on where a request keeps its signature.

Text is the wire's UTF-8 with surrogateescape, so that no byte of a request is lost or refused here.
Source: vectors/sigv4 (AWS's own test suites).
"""

import hmac
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, unquote

from protocols.mac import Mac, keyed

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"


@lru_cache(maxsize=1024)
def signer(secret_key: str, date: str, region: str, service: str) -> Mac:
    """Return what signs a day's requests to one service in one region."""
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, _bytes(part), "sha256")
    return keyed(key, "sha256")


def signature(sign: Mac, timestamp: str, scope: str, canonical_request: str) -> str:
    """Return the signature of a canonical request, in hex."""
    request_hash = sha256(_bytes(canonical_request)).hexdigest()
    return sign(_bytes(f"{ALGORITHM}\n{timestamp}\n{scope}\n{request_hash}")).hex()


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return decoded pairs encoded anew and sorted."""
    return "&".join(f"{name}={value}" for name, value in sorted((_quote(name), _quote(value)) for name, value in pairs))


def percent_decoded(raw_query: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a query in which '+' means itself."""
    for item in filter(None, raw_query.split("&")):
        name, _, value = item.partition("=")
        yield unquote(name, errors="surrogateescape"), unquote(value, errors="surrogateescape")


def canonical_paths(raw_path: str) -> Iterable[str]:
    """Return the path as the signer may have written it: normalised first, then as sent; encoded once more in both."""
    if raw_path in {"", "/"}:
        return ("/",)
    paths = (_normalised(raw_path), raw_path)
    return dict.fromkeys(quote(path, safe="/", errors="surrogateescape") for path in paths)


def _normalised(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/".join(("", *kept, "")) if kept and path.endswith("/") else "/" + "/".join(kept)


def _quote(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
