"""An app that shows codes, as people have on their phones."""

import base64
import hashlib
import hmac
import struct

STEP_SECONDS = 30
"""For how long a code is shown."""


def code_of(secret: str, moment: float) -> str:
    """Return what is shown at a moment, in seconds since 1970, for a secret in base32. Source: RFC 6238."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(moment) // STEP_SECONDS), hashlib.sha1)
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"
