"""People who sign in: their passwords, their second factor, and the browsers that they are signed in with."""

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from urllib.parse import quote

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from core.errors import InvalidRequest
from core.ids import AccountId, SignInId, UserId

SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 1024
_LONGEST_EMAIL = 254
# One @ with something on both sides and no blanks: whether it is real, only a message to it could tell.
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")

# Source: OWASP Password Storage Cheat Sheet, Argon2id, 19 MiB. About 25 ms of one core.
_MEMORY_KIB, _ITERATIONS, _LANES = 19 * 1024, 2, 1
_SALT_BYTES, _HASH_BYTES = 16, 32

CODE_DIGITS, CODE_SECONDS = 6, 30
_SECRET_BYTES = 20  # as long as the digest. Source: RFC 4226, section 4.
_DRIFT_STEPS = (0, -1, 1)
_RECOVERY_CODES, _RECOVERY_CHARACTERS, _RECOVERY_PART = 8, 16, 4  # about 79 bits: no digest of one is guessed

TOKEN_BYTES = 32
NEW_AFTER_SHARE = 24
"""A sign-in is noted as seen when this share of its lifetime has passed since it was noted last."""


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in for an account.

    `password_hash` is empty until a password was set. `code_secret` is the shared secret of the second factor, empty
    without one; `code_step` is the time step of the last code that was accepted, so that none is accepted twice.
    `recovery` are the digests of the codes that stand in for it, each once. One who `must_change` a password that
    somebody else has set can do nothing else first.
    """

    id: UserId
    account_id: AccountId
    email: str
    password_hash: str = field(repr=False)
    created_at: datetime
    is_operator: bool = False
    is_enabled: bool = True
    must_change: bool = False
    code_secret: str = field(default="", repr=False)
    code_step: int = 0
    recovery: tuple[str, ...] = field(default=(), repr=False)

    @property
    def has_second_factor(self) -> bool:
        """Whether a password alone is not enough."""
        return bool(self.code_secret)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A browser in which somebody is signed in; until its second factor is given, it `awaits_code`.

    The browser holds a token, we its digest alone. An operator may act for another account, `acting_for`.
    """

    id: SignInId
    user_id: UserId
    digest: str = field(repr=False)
    address: str
    agent: str
    began_at: datetime
    seen_at: datetime
    ends_at: datetime
    awaits_code: bool = False
    acting_for: AccountId | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether it has expired."""
        return now >= self.ends_at


def check_email(text: str) -> str:
    """Return an e-mail address in the spelling by which we know people.

    Raises:
        InvalidRequest: it is none.
    """
    email = text.strip().lower()
    if len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email) or not email.isprintable():
        raise InvalidRequest("email", text, "an e-mail address, such as ann@example.com")
    return email


def check_password(password: str, email: str = "") -> str:
    """Return the password if it may be somebody's.

    Raises:
        InvalidRequest: it is too short, too long, or the e-mail address. The message does not repeat it.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidRequest("password", "what you typed", f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if email and password.strip().lower() == email:
        raise InvalidRequest("password", "what you typed", "something else than your e-mail address")
    return password


def hash_password(password: str) -> str:
    """Return what is kept of a password. It takes some 25 ms: call it in a thread."""
    kdf = Argon2id(
        salt=secrets.token_bytes(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_ITERATIONS,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )
    return kdf.derive_phc_encoded(_bytes_of(password))


def is_password(password: str, password_hash: str) -> bool:
    """Whether it is the password. It takes some 25 ms, also where there is none: call it in a thread."""
    try:
        Argon2id.verify_phc_encoded(_bytes_of(password), password_hash or _nobodys_hash())
    except InvalidKey:
        return False
    return bool(password_hash)


def _bytes_of(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


@cache
def _nobodys_hash() -> str:
    """Return what is compared with where there is nobody, so that this takes as long."""
    return hash_password(secrets.token_hex())


# --- the second factor


def new_code_secret() -> str:
    """Return a fresh shared secret, in base32, as authenticator apps want it typed."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def check_code_secret(text: str) -> str:
    """Return the text if it may be the shared secret of a second factor, such as `new_code_secret` makes.

    Raises:
        InvalidRequest: it is no such secret. The message does not repeat it.
    """
    try:
        length = len(base64.b32decode(text))
    except (binascii.Error, ValueError):
        length = 0
    if length != _SECRET_BYTES:
        raise InvalidRequest("secret", "what came back", "the secret that was shown, unchanged")
    return text


def code_uri(secret: str, email: str, issuer: str) -> str:
    """Return what an authenticator app reads off a QR code. Source: the otpauth URI format of Google Authenticator."""
    label = f"{quote(issuer, safe='')}:{quote(email, safe='')}"
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer, safe='')}&digits={CODE_DIGITS}"


def step_of_code(secret: str, code: str, now: datetime, last_step: int) -> int | None:
    """Return the time step that a code is of, one later than the last that was accepted; None if it is no such code.

    A clock may be half a minute off.
    """
    totp = TOTP(base64.b32decode(secret), CODE_DIGITS, SHA1(), CODE_SECONDS)  # noqa: S303  RFC 6238, as all apps do it
    seconds = int(now.timestamp())
    digits = code.replace(" ", "").encode("ascii", "replace")
    for drift in _DRIFT_STEPS:
        step = seconds // CODE_SECONDS + drift
        if step > last_step and _is_code(totp, digits, step):
            return step
    return None


def _is_code(totp: TOTP, digits: bytes, step: int) -> bool:
    try:
        totp.verify(digits, step * CODE_SECONDS)
    except InvalidToken:
        return False
    return True


def new_recovery_codes() -> tuple[str, ...]:
    """Return fresh codes that each stand in for the second factor once."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    codes = ("".join(secrets.choice(alphabet) for _ in range(_RECOVERY_CHARACTERS)) for _ in range(_RECOVERY_CODES))
    parts = range(0, _RECOVERY_CHARACTERS, _RECOVERY_PART)
    return tuple("-".join(code[part : part + _RECOVERY_PART] for part in parts) for code in codes)


def digest_of_recovery(code: str) -> str:
    """Return what is kept of a recovery code, however it is typed."""
    return digest_of("".join(filter(str.isalnum, code.lower())))


def digest_of(secret: str) -> str:
    """Return what is kept of a token: it is too long to be guessed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def after_code(user: User, code: str, now: datetime) -> User | None:
    """Return the user once a code, or recovery code, was accepted, which it will not be again; None if it is wrong."""
    if not user.has_second_factor:
        return None
    step = step_of_code(user.code_secret, code, now, user.code_step)
    if step is not None:
        return replace(user, code_step=step)
    digest = digest_of_recovery(code)
    if digest in user.recovery:
        return replace(user, recovery=tuple(each for each in user.recovery if each != digest))
    return None


# --- signed-in browsers


def after_seeing(sign_in: SignIn, now: datetime, lifetime: timedelta) -> SignIn:
    """Return the sign-in once it was used; the same object if it was noted as seen not long ago."""
    if sign_in.awaits_code or now - sign_in.seen_at < lifetime / NEW_AFTER_SHARE:
        return sign_in
    return replace(sign_in, seen_at=now, ends_at=now + lifetime)
