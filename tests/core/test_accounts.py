import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.accounts import check_name, new_access_key, new_secret_key, parse_network
from core.errors import AddressNotAllowed, InvalidRequest
from tests.builders import an_api_key, an_application


def admits(networks, address):
    """Whether an application with these networks may be used from an address."""
    application = an_application(networks=tuple(map(parse_network, networks)))
    try:
        application.admit(address)
    except AddressNotAllowed:
        return False
    return True


@pytest.mark.parametrize(
    ("networks", "address"),
    [
        (["203.0.113.0/24"], "203.0.113.0"),
        (["203.0.113.0/24"], "203.0.113.255"),
        (["203.0.113.7"], "203.0.113.7"),
        (["203.0.113.0/24"], "::ffff:203.0.113.7"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["::ffff:203.0.113.0/120"], "::ffff:203.0.113.7"),
        (["2001:db8::/32"], "2001:db8:ffff::1"),
        (["2001:db8::1"], "2001:0DB8:0::1"),
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1"),
        (["0.0.0.0/0"], "198.51.100.1"),
        (["fe80::/10"], "fe80::1%eth0"),
    ],
)
def test_an_address_within_a_network_is_admitted(networks, address):
    assert admits(networks, address)


@pytest.mark.parametrize(
    ("networks", "address"),
    [
        (["203.0.113.0/24"], "203.0.114.0"),
        (["203.0.113.7"], "203.0.113.8"),
        (["203.0.113.0/24"], "::ffff:203.0.114.1"),
        (["203.0.113.0/24"], "2001:db8::1"),
        (["2001:db8::/32"], "2001:db9::1"),
        (["2001:db8::/32"], "203.0.113.7"),
        (["0.0.0.0/0"], "2001:db8::1"),
        (["::/0"], "198.51.100.1"),
        (["::/96"], "203.0.113.7"),
    ],
)
def test_an_address_outside_of_every_network_is_refused(networks, address):
    assert not admits(networks, address)


GARBAGE = [
    "",
    "unknown",
    "203.0.113",
    "203.0.113.7:443",
    "203.0.113.07",
    "[2001:db8::1]",
    "203.0.113.0/24",
    " ",
    "\ud800",
]


@pytest.mark.parametrize("address", GARBAGE)
def test_what_is_no_address_is_refused_where_addresses_matter(address):
    assert not admits(["0.0.0.0/0", "::/0"], address)


@pytest.mark.parametrize("address", [*GARBAGE, "203.0.113.7", "2001:db8::1"])
def test_without_networks_any_address_is_admitted(address):
    assert admits([], address)


@given(st.text())
def test_no_address_is_a_fault_of_ours(address):
    assert admits(["10.0.0.0/8"], address) in {True, False}


@pytest.mark.parametrize("text", ["", "everywhere", "203.0.113.7/24", "203.0.113.0/33", "::1/129", "203.0.113.0 /24"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(InvalidRequest):
        parse_network(text)


# --- names and keys


def test_a_name_loses_the_blanks_around_it():
    assert check_name("name", "  my laptop ") == "my laptop"


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "two\nlines", "\0", "\x1b[31m", "\ud800", "a\u2028b"])
def test_an_unusable_name_is_refused_by_the_name_of_its_field(name):
    with pytest.raises(InvalidRequest) as caught:
        check_name("KeyName", name)
    assert caught.value.field == "KeyName"


def test_keys_are_not_guessed_and_need_no_escaping():
    access_keys, secret_keys = {new_access_key() for _ in range(500)}, {new_secret_key() for _ in range(500)}
    assert len(access_keys) == len(secret_keys) == 500
    assert all(re.fullmatch("AKOF[A-Z2-7]{16}", key) for key in access_keys)
    assert all(re.fullmatch("[A-Za-z0-9]{40}", key) for key in secret_keys)


def test_a_secret_is_not_shown_by_accident():
    assert "hidden" not in repr(an_api_key(secret_key="hidden"))
