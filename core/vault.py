"""Seals what must not lie open: API secrets and private keys at rest, session tokens and links on the wire."""

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
KEY_BYTES = 32


class BrokenSeal(Exception):
    """What was opened was not sealed with this key and purpose, or was altered."""


class Vault:
    """Authenticated encryption with one key; `purpose` binds a sealed value to its place, so that none can be moved."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key has {len(key)} bytes; {KEY_BYTES} are needed")
        self._cipher = AESGCM(key)
        self._mac_key = hmac.digest(key, b"onefleet/mac", hashlib.sha256)

    def seal(self, purpose: str, clear: bytes) -> bytes:
        """Return the value sealed; sealing twice gives two different results."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, clear, purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Return what was sealed for the purpose.

        Raises:
            BrokenSeal: it was not sealed here for this purpose.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError):
            raise BrokenSeal(purpose) from None

    def sign(self, purpose: str, text: str) -> str:
        """Return a signature of the text for the purpose: the same each time, safe in a URL."""
        # A client may bring back what is no text at all, such as half of a surrogate pair.
        signed = f"{purpose}\0{text}".encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._mac_key, signed, hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def is_signed(self, purpose: str, text: str, signature: str) -> bool:
        """Whether the signature is the text's, for the purpose."""
        return hmac.compare_digest(self.sign(purpose, text).encode(), signature.encode("utf-8", "replace"))
