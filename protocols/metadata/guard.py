"""Which addresses may be fetched from: those that anybody could reach, and none that only we can.

It is asked when a socket is made, with the address that this socket will connect to. So it does not matter how a URL
spells it, what a name resolved to a moment before, or which redirect led there.
"""

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from core.accounts import Network

IpAddress = IPv4Address | IPv6Address
AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA gives out. Outside are, among others, the ways to spell an IPv4 address: ::/96 and 64:ff9b::/96."""

_TUNNELS = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))
"""Teredo and 6to4: what is reached by them is an IPv4 address, which could be anything."""

_ANY_PORT = 9


class AddressRefused(OSError):
    """An address that may not be fetched from."""

    def __init__(self) -> None:
        # The same words for all, so that a connection that was refused at several addresses still says why.
        super().__init__("the address may not be fetched from")


def guarded(allowed: Sequence[Network]) -> Callable[[AddressInfo], socket.socket]:
    """Return what makes sockets for addresses that may be fetched from: public ones, and those allowed besides.

    It raises `AddressRefused` for every other.
    """

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, (host, *_) = info
        address = plain(host)
        if not any(address in network for network in allowed) and (not is_public(address) or is_own(address)):
            raise AddressRefused
        return socket.socket(family, kind, protocol)

    return make


def plain(host: str) -> IpAddress:
    """Return an address as a number; an IPv4 address that is written as an IPv6 one is an IPv4 address."""
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_public(address: IpAddress) -> bool:
    """Whether the address is one machine's, anywhere on the Internet."""
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return True
    return address in _GLOBAL_UNICAST and not any(address in tunnel for tunnel in _TUNNELS)


def is_own(address: IpAddress) -> bool:
    """Whether this host answers to the address: then the kernel would take it for the sender's as well."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), _ANY_PORT))  # sends nothing
        except OSError:
            return False  # there is no way there
        return plain(probe.getsockname()[0]) == address
