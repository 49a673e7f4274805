"""Accounts, the applications that act for them, and the API keys that applications sign with."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from core.errors import AddressNotAllowed, InvalidRequest
from core.ids import AccountId, ApiKeyId, ApplicationId, RegionId, UserId

Network = IPv4Network | IPv6Network

_ACCESS_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_LETTERS_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ACCESS_KEY_LENGTH, _SECRET_LENGTH = 16, 40
_NAME_LENGTH = 255
_MAPPED_PREFIX = 96


class Protocol(StrEnum):
    """The way that a request came."""

    EC2 = "ec2"
    ZEROSIX = "zerosix"
    CONSOLE = "console"  # a person in a browser
    CLI = "cli"  # the operator's command line


@dataclass(frozen=True, slots=True)
class Account:
    """A customer: owner of orders, instances, key pairs and tags.

    Its API keys work only while it `has_api`. The three amounts are for what it may spend in a calendar month (UTC), in
    each currency by itself: what it has limited itself to, from where on it wants to be warned, and what its operator
    has limited it to.
    """

    id: AccountId
    name: str
    created_at: datetime
    has_api: bool = False
    is_suspended: bool = False
    spending_limit: Decimal | None = None
    spending_warning: Decimal | None = None
    credit_limit: Decimal | None = None

    @property
    def most_to_spend(self) -> Decimal | None:
        """What it may spend in a month: the lower of both limits; None for as much as it likes."""
        limits = [limit for limit in (self.spending_limit, self.credit_limit) if limit is not None]
        return min(limits, default=None)


@dataclass(frozen=True, slots=True)
class Application:
    """A program that acts for an account, and the client addresses it may call from (none listed: any)."""

    id: ApplicationId
    account_id: AccountId
    name: str
    networks: tuple[Network, ...]
    is_enabled: bool

    def admit(self, address: str) -> None:
        """Return if the client address may be used.

        Raises:
            AddressNotAllowed: it is outside every allowed network.
        """
        if self.networks and not any(_lies_in(address, network) for network in self.networks):
            raise AddressNotAllowed(address)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key pair of one credential: EC2 calls it access key and secret key, ZeroSix consumer key and secret."""

    id: ApiKeyId
    application_id: ApplicationId
    access_key: str
    secret_key: str = field(repr=False)
    created_at: datetime
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class KeyUse:
    """When an API key was used last, from where, and through which protocol; up to a minute behind."""

    id: ApiKeyId
    at: datetime
    address: str
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, through which protocol, in which request, and whether only to hear what would happen.

    What the caller makes is made in `region_id` (None: the first region), and only what is there is seen, unless the
    caller `sees_all_regions`. Without a region, all are seen.

    `access_key` is empty for a person, who is `user_id` then. `actor` is what the audit log calls them, and `operator`
    what it calls the operator who acts in their place, if one does.
    """

    account_id: AccountId
    application_id: ApplicationId
    access_key: str
    protocol: Protocol
    request_id: str = ""
    is_dry_run: bool = False
    region_id: RegionId | None = None
    sees_all_regions: bool = False
    address: str = ""
    actor: str = ""
    operator: str = ""
    user_id: UserId | None = None

    @property
    def seen_region_id(self) -> RegionId | None:
        """The one region that is seen; None for all."""
        return None if self.sees_all_regions else self.region_id


def new_access_key() -> str:
    """Return a fresh access key: twenty characters that need no escaping in any protocol."""
    return "AKOF" + "".join(secrets.choice(_ACCESS_KEY_ALPHABET) for _ in range(_ACCESS_KEY_LENGTH))


def new_secret_key() -> str:
    """Return a fresh secret of about 238 bits, letters and digits only (clients disagree on escaping the rest)."""
    return "".join(secrets.choice(_LETTERS_AND_DIGITS) for _ in range(_SECRET_LENGTH))


def parse_network(text: str) -> Network:
    """Return the network of a CIDR or of a single address.

    Raises:
        InvalidRequest: it is neither.
    """
    try:
        return _unmapped(ip_network(text))
    except ValueError:
        raise InvalidRequest("allow", text, "an address or a CIDR such as 203.0.113.0/24") from None


def check_name(field_name: str, name: str) -> str:
    """Return the name without surrounding blanks.

    Raises:
        InvalidRequest: it is empty, too long, or holds control characters.
    """
    name = name.strip()
    if not name or len(name) > _NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(field_name, name, f"1 to {_NAME_LENGTH} printable characters")
    return name


def _unmapped(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 one stands for, as logs of dual-stack sockets spell addresses."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_PREFIX:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))


def _lies_in(address: str, network: Network) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed) in network
