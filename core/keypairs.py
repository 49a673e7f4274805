"""Key pairs that customers log in with. The house keeps the public half only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.ids import AccountId, KeyPairId, RegionId


class KeyKind(StrEnum):
    """The algorithm of a key pair."""

    RSA = "rsa"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A customer's key in one region. `public_key` is a line of authorized_keys; `fingerprint` is spelled as in EC2."""

    id: KeyPairId
    account_id: AccountId
    region_id: RegionId
    name: str
    kind: KeyKind
    fingerprint: str
    public_key: str
    created_at: datetime
