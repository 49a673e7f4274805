"""Message authentication codes under keys that are used again and again."""

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha1, sha256
from typing import Final

_BLOCK_BYTES: Final = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_HASHES: Final = {"sha1": sha1, "sha256": sha256}

Mac = Callable[[bytes], bytes]


@lru_cache(maxsize=1024)
def keyed(key: bytes, digest: str) -> Mac:
    """Return what computes HMAC under the key; `digest` is sha1 or sha256.

    `hmac.digest` looks up the algorithm and hashes the key anew each time, which costs three times as much.
    """
    new = _HASHES[digest]
    block = (new(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    inner, outer = new(block.translate(_INNER)), new(block.translate(_OUTER))

    def compute(message: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(message)
        second.update(first.digest())
        return second.digest()

    return compute
