"""What values of the configuration can be. A kind turns a TOML value into what the program uses.

Each raises a ValueError that says what the value is not; `gateway.reading` puts the dotted path before it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from zoneinfo import ZoneInfo

from core.accounts import Network, parse_network
from core.booking import PortRange
from core.errors import InvalidRequest
from gateway.reading import Kind, shown, unfit

CONSOLE_PATH = "/console/"
OWN_PATHS = (CONSOLE_PATH, "/healthz/", "/metrics/", "/readyz/")
"""Where the gateway itself answers, or will."""

_MOST = 1_000_000_000
_MOST_PORT = 65535
_MOST_DECIMALS = 6

_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2, without \r
_HOST_NAME = re.compile(r"(?![0-9.]+\Z)[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_AUTHORITY = r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]/:@]+))(?::(?P<port>[0-9]{1,5}))"
_ENDPOINT = re.compile(_AUTHORITY)
_ORIGIN = re.compile(rf"(?P<origin>https?://{_AUTHORITY}?)/?", re.IGNORECASE)
_PORT_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_SQLITE_URL = re.compile(r"sqlite:(?:///)?(?!//|:memory:)(?P<file>[^?#]+)")
_CREDENTIAL = re.compile(r"credential:(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")
_URL_PATH = re.compile(r"(?=/)(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~-]+)*/?")
_PRICE = re.compile(r"(?P<sign>-?)[0-9]{1,9}(?:\.(?P<decimals>[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host, without brackets, and a port; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


# --- plain values


def flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise unfit(value, "true or false")
    return value


def text(value: object) -> str:
    """Read any text that can be shown and written to XML."""
    if not isinstance(value, str):
        raise unfit(value, "a text in quotes")
    if _NOT_XML.search(value):
        raise ValueError(f"{shown(value)} holds a control character")
    return value


def line(value: object) -> str:
    """Read one line of text that is not blank."""
    if not text(value).strip() or "\n" in text(value):
        raise unfit(value, "one line of text")
    return text(value)


def line_or_nothing(value: object) -> str:
    """Read one line of text, or an empty one."""
    return "" if value == "" else line(value)


def matching(pattern: str, expected: str) -> Kind[str]:
    """Return the kind of text that matches a pattern from end to end."""
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        if not compiled.fullmatch(text(value)):
            raise unfit(value, expected)
        return text(value)

    return read


def one_of(*words: str) -> Kind[str]:
    """Return the kind that is one of a few words."""

    def read(value: object) -> str:
        if value not in words:
            raise unfit(value, f"one of {', '.join(words)}")
        return text(value)

    return read


def known(what: str, names: Collection[str]) -> Kind[str]:
    """Return the kind that names one of the things there are."""

    def read(value: object) -> str:
        if text(value) not in names:
            raise ValueError(f"there is no {what} {shown(value)}; known: {', '.join(filter(None, names)) or 'none'}")
        return text(value)

    return read


def whole(least: int, most: int = _MOST) -> Kind[int]:
    """Return the kind of whole number between two limits, both included."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise unfit(value, f"a whole number from {least} to {most}")
        return value

    return read


def seconds(least: float, most: float) -> Kind[float]:
    """Return the kind of time span in seconds between two limits, both included."""

    def read(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise unfit(value, f"a number of seconds from {least:g} to {most:g}")
        return float(value)

    return read


def seconds_or_never(least: float, most: float) -> Kind[float]:
    """Return the kind of time span in seconds between two limits, both included, or 0 for never."""
    read_seconds = seconds(least, most)

    def read(value: object) -> float:
        try:
            return 0.0 if value == 0 and not isinstance(value, bool) else read_seconds(value)
        except ValueError:
            raise unfit(value, f"a number of seconds from {least:g} to {most:g}, or 0 for never") from None

    return read


def rate(value: object) -> float:
    """Read how often something may happen, a second."""
    most = 1_000_000
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise unfit(value, f"a number from 0 to {most}")
    return float(value)


name = matching(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    "a name of 1 to 64 letters, digits and . _ - that starts with a letter or digit",
)
currency = matching(r"[A-Z]{3}", "a currency code such as USD")


def price(value: object) -> Decimal:
    """Read an amount of money. A TOML number counts as the digits that it is written with."""
    written = value if isinstance(value, str) else shown(value)
    found = _PRICE.fullmatch(written)
    if not found:
        raise unfit(value, "a decimal number such as 0.25")
    if found["sign"]:
        raise ValueError(f"{shown(value)} is below zero")
    if len(found["decimals"] or "") > _MOST_DECIMALS:
        raise ValueError(f"{shown(value)} has more than {_MOST_DECIMALS} decimals")
    return Decimal(written)


def timezone(value: object) -> ZoneInfo:
    """Read the name of a time zone."""
    try:
        return ZoneInfo(text(value))
    except (LookupError, OSError, ValueError):
        raise unfit(value, "a time zone such as UTC or Europe/Berlin") from None


# --- the network


def host(value: object) -> str:
    """Read a host name or an address, IPv6 without brackets."""
    if not _HOST_NAME.fullmatch(text(value)) and not _is_address(text(value)):
        raise unfit(value, "a host name or an address")
    return text(value)


def endpoint(value: object) -> Endpoint:
    """Read a host and a port, IPv6 in brackets."""
    found = _ENDPOINT.fullmatch(text(value))
    if not found:
        raise unfit(value, "a host and a port such as 127.0.0.1:8080 or [::1]:8080")
    return _endpoint(found)


def origin(value: object) -> str:
    """Read the scheme, host and port of a URL, or nothing; the answer is in lower case and has no slash at its end."""
    found = _ORIGIN.fullmatch(text(value))
    if value and not found:
        raise unfit(value, "a scheme, a host and maybe a port, and no path, such as https://cloud.example")
    if not found:
        return ""
    _endpoint(found)
    return found["origin"].lower()


def address_block(value: object) -> str:
    """Read a public IPv4 address or a block of them, in its one spelling."""
    try:
        return str(IPv4Network(text(value)))
    except ValueError:
        raise unfit(value, "an IPv4 address or a block such as 203.0.113.0/28") from None


def network(value: object) -> Network:
    """Read a CIDR or a single address."""
    try:
        return parse_network(text(value))
    except InvalidRequest as error:
        raise unfit(value, error.expected) from None


def port_range(value: object) -> PortRange:
    """Read the first and the last of a range of ports."""
    found = _PORT_RANGE.fullmatch(text(value))
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= last <= _MOST_PORT:
        raise unfit(value, f"a range of ports from 1 to {_MOST_PORT}, such as 20000-32767")
    return PortRange(first, last)


def url_path(value: object) -> str:
    """Read a path on the gateway that nothing of its own answers on."""
    if not _URL_PATH.fullmatch(text(value)):
        raise unfit(value, "a path such as /api/v1/")
    if as_folder(text(value)).startswith(OWN_PATHS):
        raise ValueError(f"{shown(value)} is the gateway's own; choose another")
    return text(value)


def console_path(value: object) -> str:
    """Read a path for the console: one that is free for it, its usual one included, but not everything there is."""
    if text(value).strip("/") == "":
        raise unfit(value, "a path such as /console/, not the root")
    return text(value) if as_folder(text(value)) == CONSOLE_PATH else url_path(value)


def as_folder(path: str) -> str:
    """Return the path with one slash at its end."""
    return path.rstrip("/") + "/"


def _endpoint(found: re.Match[str]) -> Endpoint:
    try:
        return Endpoint(host(found["v6"] or found["host"]), whole(0, _MOST_PORT)(int(found["port"] or 0)))
    except ValueError as error:
        raise ValueError(f"{shown(found[0])}: {error}") from None


def _is_address(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return False
    return True


# --- files


def file_in(folder: Path, credentials: Path) -> Kind[Path]:
    """Return the kind of file that lies in the folder, unless its path is absolute, or is a credential of systemd."""

    def read(value: object) -> Path:
        if found := _CREDENTIAL.fullmatch(line(value)):
            return credentials / found["name"]
        if line(value).startswith("credential:"):
            raise unfit(value, "a credential, such as credential:onefleet.key")
        return folder / line(value)

    return read


def sqlite_file(value: object) -> str:
    """Read the file name out of a database URL."""
    scheme, _, _ = text(value).partition(":")
    if scheme != "sqlite":
        raise ValueError(f"unknown scheme {shown(scheme)}; use sqlite")
    found = _SQLITE_URL.fullmatch(text(value))
    if not found:
        raise unfit(value, "a file such as sqlite:onefleet.db or sqlite:/var/lib/onefleet/onefleet.db")
    return found["file"]
