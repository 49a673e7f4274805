"""AWS Signature Version 2: the arithmetic, and the ways in which its clients write one request down.

Text is the wire's UTF-8 with surrogateescape, so that no byte of a request is lost or refused here.
Sources: vectors/sigv2; reference/seed-gigenet-introduction.md (the PHP sample without an SDK).
"""

import base64
import hmac
import re
from collections.abc import Iterable
from urllib.parse import quote

DIGESTS = {"HmacSHA256": "sha256", "HmacSHA1": "sha1"}

_PORT = re.compile(r":\d+$", re.ASCII)


def signature(secret_key: str, digest: str, *, method: str, host: str, path: str, query: str) -> str:
    """Return the signature of a request in its canonical parts, in base64."""
    to_sign = f"{method}\n{host}\n{path}\n{query}".encode("utf-8", "surrogateescape")
    return base64.b64encode(hmac.digest(secret_key.encode(), to_sign, digest)).decode()


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return decoded pairs sorted by name and encoded anew, without the signature."""
    return "&".join(f"{_quote(name)}={_quote(value)}" for name, value in sorted(pairs) if name != "Signature")


def query_as_sent(raw_query: str) -> str | None:
    """Return what stands before a signature that comes last, or None if it does not come last."""
    before, mark, after = raw_query.rpartition("&Signature=")
    return before if mark and "&" not in after else None


def hosts(host: str) -> Iterable[str]:
    """Return the Host header as the signer may have written it: with its port first, then without."""
    host = host.lower()
    return dict.fromkeys((host, _PORT.sub("", host)))


def _quote(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")
