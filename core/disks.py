"""Disks. A machine has one and it ends with it, unless its renter said that it is to be kept."""

from dataclasses import dataclass
from datetime import datetime

from core.ids import AccountId, ImageId, InstanceId, ZoneId


@dataclass(frozen=True, slots=True)
class KeptDisk:
    """A disk that has outlived its machine, and bears its number. `is_unwanted` once its owner deleted it."""

    id: InstanceId
    account_id: AccountId
    zone_id: ZoneId
    image_id: ImageId
    size_gib: int
    created_at: datetime
    is_unwanted: bool = False
