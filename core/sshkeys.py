"""Makes and reads SSH keys, by the `cryptography` package."""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
    load_ssh_public_key,
)

from core.errors import InvalidKeyMaterial
from core.keypairs import KeyKind

_RSA_BITS = (1024, 2048, 3072, 4096, 8192, 16384)
_NEW_RSA_BITS = 2048
_LONGEST_MATERIAL = 16 * 1024
_SSH_KINDS = frozenset({b"ssh-rsa", b"ssh-ed25519"})
_OTHER_KIND = "only RSA and ED25519 keys are taken"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that machines can be given."""

    kind: KeyKind
    line: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """A fresh pair; `private_pem` is to be shown once or sealed."""

    public: PublicKey
    private_pem: str = field(repr=False)


def generate(kind: KeyKind, comment: str) -> NewKey:
    """Return a fresh key pair. RSA takes a tenth of a second of CPU: keep it out of the event loop."""
    return _new_rsa(comment) if kind is KeyKind.RSA else _new_ed25519(comment)


def read_public(material: bytes) -> PublicKey:
    """Return the key in an authorized_keys line, a PEM or a DER document (or base64 of one).

    Raises:
        InvalidKeyMaterial: it is none of these, or not RSA or ED25519.
    """
    key, comment = _load(material)
    if isinstance(key, RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            raise InvalidKeyMaterial(f"RSA keys of {key.key_size} bits are not taken")
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        # An imported RSA key is named by the MD5 of its DER. Source: EC2 user guide, "key fingerprints".
        return PublicKey(KeyKind.RSA, _line(key, comment), _hex(hashlib.md5(der, usedforsecurity=False).digest()))
    return PublicKey(KeyKind.ED25519, _line(key, comment), _sha256_of(key))


def sealed_for(line: str, secret: bytes) -> bytes:
    """Return the secret as only the key's private half reads it, by PKCS#1 v1.5; nothing if the key is not RSA."""
    key = load_ssh_public_key(line.encode()) if line else None
    return key.encrypt(secret, PKCS1v15()) if isinstance(key, RSAPublicKey) else b""


def _load(material: bytes) -> tuple[RSAPublicKey | Ed25519PublicKey, str]:
    if len(material) > _LONGEST_MATERIAL:
        raise InvalidKeyMaterial(f"it is longer than {_LONGEST_MATERIAL} bytes")
    material = material.strip()
    words = material.split(None, 2) if _is_ssh(material) else []
    # The library takes the key out of a certificate, and out of a hardware token's, which signs otherwise.
    if words and words[0] not in _SSH_KINDS:
        raise InvalidKeyMaterial(_OTHER_KIND)
    loaders = ((_is_ssh, load_ssh_public_key), (_is_pem, load_pem_public_key), (_is_any, _load_der))
    loader = next(loader for applies, loader in loaders if applies(material))
    try:
        key = loader(material)
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        raise InvalidKeyMaterial("it is not a public key in OpenSSH, PEM or DER form") from None
    if not isinstance(key, RSAPublicKey | Ed25519PublicKey):
        raise InvalidKeyMaterial(_OTHER_KIND)
    comment = words[2].decode("utf-8", "replace") if len(words) > 2 else ""  # noqa: PLR2004  type, key, comment
    return key, comment if comment.isprintable() else ""


def _is_ssh(material: bytes) -> bool:
    return material.startswith((b"ssh-", b"ecdsa-", b"sk-"))


def _is_pem(material: bytes) -> bool:
    return material.startswith(b"-----BEGIN")


def _is_any(_: bytes) -> bool:
    return True


def _load_der(material: bytes) -> object:
    try:
        return load_der_public_key(material)
    except ValueError:
        return load_der_public_key(base64.b64decode(material, validate=False))


def _new_rsa(comment: str) -> NewKey:
    key: RSAPrivateKey = generate_private_key(public_exponent=65537, key_size=_NEW_RSA_BITS)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    # A key made by EC2 is named by the SHA-1 of its private DER. Source: EC2 user guide, "key fingerprints".
    fingerprint = _hex(hashlib.sha1(der, usedforsecurity=False).digest())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return NewKey(PublicKey(KeyKind.RSA, _line(key.public_key(), comment), fingerprint), pem)


def _new_ed25519(comment: str) -> NewKey:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key()
    return NewKey(PublicKey(KeyKind.ED25519, _line(public, comment), _sha256_of(public)), pem)


def _line(key: RSAPublicKey | Ed25519PublicKey, comment: str) -> str:
    return f"{key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()} {comment}".strip()


def _sha256_of(key: Ed25519PublicKey) -> str:
    blob = base64.b64decode(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    return base64.b64encode(hashlib.sha256(blob).digest()).decode()


def _hex(digest: bytes) -> str:
    return digest.hex(":")
