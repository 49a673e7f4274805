"""The tokens of version 2 of the service. They are not kept: each bears its own end, and proves itself."""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from core.ids import InstanceId
from protocols.mac import keyed

_END_BYTES = 8


class Tokens:
    """Tokens under one key. A token is good for the machine that asked for it, and for no other."""

    def __init__(self, key: bytes) -> None:
        self._mac = keyed(key, "sha256")

    def issue(self, instance_id: InstanceId, now: datetime, seconds: int) -> str:
        """Return a token that is good for so many seconds; 56 characters, as EC2's."""
        return self._token(instance_id, (int(now.timestamp()) + seconds).to_bytes(_END_BYTES, "big")).decode()

    def is_good(self, token: str, instance_id: InstanceId, now: datetime) -> bool:
        """Whether the token was issued to the machine, and has not ended."""
        try:
            given = token.encode("ascii")
            end = urlsafe_b64decode(given)[:_END_BYTES]
        except (UnicodeEncodeError, binascii.Error):
            return False
        is_ours = hmac.compare_digest(given, self._token(instance_id, end))
        return is_ours and now.timestamp() < int.from_bytes(end, "big")

    def _token(self, instance_id: InstanceId, end: bytes) -> bytes:
        return urlsafe_b64encode(end + self._mac(instance_id.to_bytes(_END_BYTES, "big") + end))
