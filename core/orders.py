"""A booking of one or more equal machines: an order to ZeroSix, a reservation to EC2."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from urllib.parse import urlsplit

from core.accounts import Protocol
from core.billing import TERMS_HOURS
from core.errors import InvalidRequest
from core.ids import AccountId, ApplicationId, ImageId, OrderId, ProductId, RegionId, SecurityGroupId, SubnetId, ZoneId
from core.instances import STANDARD_OPTIONS, Instance, Options, ShutdownBehaviour, State, Wanted
from core.kinds import OF_A_MACHINE, ResourceKind

MOST_MACHINES = 1000
"""The most machines of one order."""

MOST_EXTRA_ADDRESSES = 8
"""The most public addresses that one machine can hold."""

USER_DATA_LIMIT_BYTES = 16 * 1024
LONGEST_URL = 2048
_SCHEMES = frozenset({"http", "https"})
_MADE_BY_BOOKING = frozenset({ResourceKind.ORDER}) | OF_A_MACHINE


class Status(StrEnum):
    """How an order, or one of its machines, stands."""

    PENDING = "pending"  # booked; no driver has accepted it yet
    PROCESSING = "processing"  # being made ready
    UNLIMITED = "unlimited"  # rented without an end
    ON_HOLD = "on-hold"  # stopped
    COMPLETED = "completed"
    FAILED = "failed"  # could not be made


@dataclass(frozen=True, slots=True)
class Order:
    """A booking as it was made; how it stands follows from its instances (`order_status`).

    `key_name` and `public_key` are those of the customer's key pair, or the order's own public key, whose private
    half is kept sealed apart, as its user data is kept apart. `closed_at` is set once every machine of it is gone.
    """

    id: OrderId
    account_id: AccountId
    application_id: ApplicationId
    protocol: Protocol
    order_key: str
    product_id: ProductId
    zone_id: ZoneId
    image_id: ImageId
    hourly_price: Decimal
    currency: str
    created_at: datetime
    key_name: str = ""
    public_key: str = ""
    has_own_key: bool = False
    has_user_data: bool = False
    file_url: str = ""
    script_url: str = ""
    client_token: str = ""
    request_digest: str = ""
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """What a caller asks to rent: between `least` and `most` machines of a product, all in one zone.

    Without a zone, any zone of the region (or of all regions) will do; without an image, the product's own; without
    groups, the network's default group. With `wants_own_key` the order gets a key pair of its own; with
    `wants_password` every machine gets a root password, and `extra_addresses` public addresses besides its own.
    """

    product_id: ProductId
    least: int = 1
    most: int = 1
    zone_id: ZoneId | None = None
    region_id: RegionId | None = None
    subnet_id: SubnetId | None = None
    image_id: ImageId | None = None
    key_name: str = ""
    wants_own_key: bool = False
    wants_password: bool = False
    user_data: bytes = field(default=b"", repr=False)
    file_url: str = ""
    script_url: str = ""
    shutdown_behaviour: ShutdownBehaviour = ShutdownBehaviour.STOP
    group_ids: tuple[SecurityGroupId, ...] = ()
    options: Options = STANDARD_OPTIONS
    extra_addresses: int = 0
    private_address: str = ""
    term_hours: int = 1
    client_token: str = ""
    tags: Mapping[ResourceKind, Mapping[str, str]] = field(default_factory=dict)

    def check(self) -> None:
        """Return if the request makes sense by itself.

        Raises:
            InvalidRequest: a count, the user data or the term is out of bounds, a private address is wanted for more
                than one machine, or a tag is for what a booking does not make.
        """
        if not 1 <= self.least <= self.most <= MOST_MACHINES:
            expected = f"1 <= least <= most <= {MOST_MACHINES}"
            raise InvalidRequest("count", f"{self.least}..{self.most}", expected)
        if len(self.user_data) > USER_DATA_LIMIT_BYTES:
            raise InvalidRequest("user data", f"{len(self.user_data)} bytes", f"at most {USER_DATA_LIMIT_BYTES} bytes")
        if self.term_hours not in TERMS_HOURS:
            raise InvalidRequest("billing term", self.term_hours, " or ".join(map(str, TERMS_HOURS)))
        if not 0 <= self.extra_addresses <= MOST_EXTRA_ADDRESSES:
            raise InvalidRequest("public addresses", self.extra_addresses, f"at most {MOST_EXTRA_ADDRESSES} a machine")
        if self.private_address and self.most > 1:
            raise InvalidRequest("private address", self.private_address, "none, as more than one machine is asked for")
        for kind in self.tags.keys() - _MADE_BY_BOOKING:
            raise InvalidRequest("tags", kind.value, " or ".join(sorted(_MADE_BY_BOOKING)))

    def digest(self) -> str:
        """Return a fingerprint of all but the client token: equal for equal requests."""
        bare = replace(self, client_token="", tags={})
        tags = sorted((kind, sorted(values.items())) for kind, values in self.tags.items())
        return hashlib.sha256(repr((bare, self.user_data, tags)).encode()).hexdigest()


def is_download(url: str) -> bool:
    """Whether machines can be told to download from there at their first boot."""
    if len(url) > LONGEST_URL or " " in url or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that enclose no address, a port that is no number
        return False


def new_order_key() -> str:
    """Return a fresh order key, unguessable, in WooCommerce's form."""
    return f"wc_order_{secrets.token_urlsafe(18).replace('-', 'x').replace('_', 'y')}"


def instance_status(instance: Instance) -> Status:
    """Return how a machine stands in the words of orders."""
    state = instance.state
    if instance.has_failed:
        return Status.FAILED
    if state is State.PENDING:
        return Status.PENDING if instance.observed is None else Status.PROCESSING
    return _STATUS_OF[state]


_STATUS_OF = {
    State.RUNNING: Status.UNLIMITED,
    State.STOPPING: Status.ON_HOLD,
    State.STOPPED: Status.ON_HOLD,
    State.SHUTTING_DOWN: Status.COMPLETED,
    State.TERMINATED: Status.COMPLETED,
}

# The first that any machine has is the order's. A failure counts only where nothing else is left to tell.
_PRECEDENCE = (
    Status.UNLIMITED,
    Status.PROCESSING,
    Status.PENDING,
    Status.ON_HOLD,
    Status.COMPLETED,
    Status.FAILED,
)


def order_status(instances: Iterable[Instance]) -> Status:
    """Return how an order stands, given all its machines (at least one)."""
    found = {instance_status(instance) for instance in instances}
    return next(status for status in _PRECEDENCE if status in found)


def has_ended(instances: Iterable[Instance]) -> bool:
    """Whether no machine of the order is rented any longer."""
    return all(instance.wanted is Wanted.TERMINATED for instance in instances)
