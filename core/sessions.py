"""Session tokens: temporary credentials that carry their own proof, so that nothing about them is stored.

The token is a sealed note of the key it was made from, its own access key and its end; the secret follows from it.
Renewing or disabling the parent key ends its sessions with it.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson

from core.errors import InvalidRequest, InvalidSession, SessionExpired
from core.vault import BrokenSeal, Vault

SHORTEST_SECONDS, LONGEST_SECONDS, DEFAULT_SECONDS = 900, 129_600, 3_600
_PURPOSE = "session"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
ACCESS_KEY_PREFIX = "ASOF"


@dataclass(frozen=True, slots=True)
class Session:
    """Temporary credentials; all three parts travel together until `expires_at`."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: datetime


def open_session(vault: Vault, parent_access_key: str, seconds: int, now: datetime) -> Session:
    """Return fresh credentials that stand for the parent key until `seconds` from now.

    Raises:
        InvalidRequest: the duration is out of bounds.
    """
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise InvalidRequest("DurationSeconds", seconds, f"{SHORTEST_SECONDS} to {LONGEST_SECONDS}")
    access_key = ACCESS_KEY_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(16))
    expires_at = (now + timedelta(seconds=seconds)).replace(microsecond=0)
    note = orjson.dumps([parent_access_key, access_key, int(expires_at.timestamp())])
    token = base64.b64encode(vault.seal(_PURPOSE, note)).decode()
    return Session(access_key, _secret_of(vault, access_key, token), token, expires_at)


def read_session(vault: Vault, access_key: str, token: str, now: datetime) -> tuple[str, str]:
    """Return the parent's access key and the session's secret key.

    Raises:
        InvalidSession: the token was not issued here, or not together with this access key.
        SessionExpired: it is past its end.
    """
    try:
        note = vault.open(_PURPOSE, base64.b64decode(token, validate=True))
    except (BrokenSeal, binascii.Error, ValueError):
        raise InvalidSession from None
    parent, own, expires = orjson.loads(note)
    if own != access_key:
        raise InvalidSession
    expires_at = datetime.fromtimestamp(expires, UTC)
    if now >= expires_at:
        raise SessionExpired(expires_at)
    return parent, _secret_of(vault, access_key, token)


def _secret_of(vault: Vault, access_key: str, token: str) -> str:
    return vault.sign("session-secret", f"{access_key}\0{token}")[:40]
