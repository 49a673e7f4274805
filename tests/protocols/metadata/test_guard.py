import socket
from ipaddress import ip_network

import pytest

from protocols.metadata import guard
from protocols.metadata.guard import AddressRefused, guarded, is_own, is_public, plain

NOT_PUBLIC = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "::ffff:1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1"]


def info(address, port=80):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, 0, "", (address, port)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_only_we_can_reach_is_refused(address):
    with pytest.raises(AddressRefused):
        guarded(())(info(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_what_anybody_can_reach_is_not(address):
    assert is_public(plain(address))
    guarded(())(info(address)).close()


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_what_the_operator_allows_is_not(address):
    guarded([ip_network("10.1.0.0/16")])(info(address)).close()


def test_what_the_operator_allows_opens_nothing_else():
    with pytest.raises(AddressRefused):
        guarded([ip_network("10.1.0.0/16")])(info("10.2.0.1"))


def test_the_hosts_own_addresses_are_refused_although_they_are_public(monkeypatch):
    monkeypatch.setattr(guard, "is_public", lambda _: True)
    with pytest.raises(AddressRefused):
        guarded(())(info("127.0.0.1"))


@pytest.mark.parametrize(("address", "holds"), [("127.0.0.1", True), ("1.1.1.1", False), ("2606:4700::1", False)])
def test_an_address_is_own_if_the_host_answers_to_it(address, holds):
    assert is_own(plain(address)) is holds
