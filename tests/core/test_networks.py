from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import InstanceId, ZoneId
from core.networks import BLOCK, block_of, hardware_address, hosts, is_host, private_address

ZONES = st.integers(1, 255).map(ZoneId)


@given(ZONES)
def test_the_block_of_a_zone_is_part_of_the_house(zone_id):
    assert IPv4Network(block_of(zone_id)).subnet_of(IPv4Network(BLOCK))


def test_no_two_zones_share_an_address():
    blocks = [IPv4Network(block_of(ZoneId(number))) for number in range(1, 256)]
    assert not any(one.overlaps(other) for one, other in pairwise(blocks))
    assert len(set(blocks)) == 255


def test_there_is_no_block_for_more_zones():
    with pytest.raises(ValueError, match="255 zones"):
        block_of(ZoneId(256))


@given(ZONES, st.integers(0, 2**63))
def test_every_turn_gives_an_address_that_a_machine_of_the_zone_can_have(zone_id, turn):
    assert is_host(private_address(zone_id, turn), block_of(zone_id))


def test_turns_in_a_row_give_every_address_of_a_zone_once():
    count = hosts(block_of(ZoneId(1)))
    assert len({private_address(ZoneId(1), turn) for turn in range(7, 7 + count)}) == count


@pytest.mark.parametrize(
    "address",
    [
        "10.1.0.0",
        "10.1.0.1",
        "10.1.0.2",
        "10.1.0.3",
        "10.1.255.255",
        "10.2.0.4",
        "10.0.255.255",
        "",
        "::1",
        "10.1.0.04",
    ],
)
def test_reserved_addresses_and_those_of_other_zones_are_no_machines(address):
    assert not is_host(address, "10.1.0.0/16")


@pytest.mark.parametrize("address", ["10.1.0.4", "10.1.255.254", "10.1.1.0"])
def test_the_others_are(address):
    assert is_host(address, "10.1.0.0/16")


@pytest.mark.parametrize("block", ["10.1.0.0/16", "192.0.2.0/28"])
def test_as_many_machines_fit_into_a_block_as_it_has_addresses_for(block):
    assert hosts(block) == sum(is_host(str(address), block) for address in IPv4Network(block))


@given(st.integers(1, 2**40 - 1), st.integers(1, 2**40 - 1))
def test_machines_have_hardware_addresses_of_their_own(one, other):
    assert (hardware_address(InstanceId(one)) == hardware_address(InstanceId(other))) is (one == other)


@given(st.integers(1, 2**63 - 1))
def test_a_hardware_address_is_local_and_no_groups(number):
    octets = hardware_address(InstanceId(number)).split(":")
    assert len(octets) == 6
    assert int(octets[0], 16) & 0b11 == 0b10


def test_a_private_address_is_spelled_as_python_spells_it():
    assert private_address(ZoneId(3), 256) == str(IPv4Address("10.3.1.4"))
