"""Key pairs that customers log in with. The house keeps the public half only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.ids import AccountId, KeyPairId


class KeyKind(StrEnum):
    """The algorithm of a key pair."""

    RSA = "rsa"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A customer's key. `public_key` is one line as in authorized_keys; `fingerprint` is spelled as EC2 does."""

    id: KeyPairId
    account_id: AccountId
    name: str
    kind: KeyKind
    fingerprint: str
    public_key: str
    created_at: datetime
