from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.addresses import bound, first_free, require_free, unbound
from core.errors import AddressBound, AddressInUse
from core.ids import AssociationId, InstanceId
from tests.builders import an_address

ONE, TWO = InstanceId(1), InstanceId(2)
FIRST, SECOND = AssociationId(1), AssociationId(2)
BOUND = an_address(instance_id=ONE, association_id=FIRST)


# --- binding


def test_an_address_is_bound_to_a_machine():
    assert bound(an_address(), ONE, FIRST, may_move=False) == BOUND


def test_binding_again_changes_nothing():
    assert bound(BOUND, ONE, SECOND, may_move=False) is BOUND


def test_an_address_is_not_taken_from_another_machine():
    with pytest.raises(AddressBound) as caught:
        bound(BOUND, TWO, SECOND, may_move=False)
    assert caught.value.instance_id == ONE


def test_an_address_that_may_move_does_under_a_new_association():
    assert bound(BOUND, TWO, SECOND, may_move=True) == an_address(instance_id=TWO, association_id=SECOND)


def test_an_unbound_address_belongs_to_no_machine_in_any_way():
    assert unbound(an_address(instance_id=ONE, association_id=FIRST, goes_with_machine=True)) == an_address()


def test_only_an_address_that_no_machine_has_is_free():
    require_free(an_address())
    with pytest.raises(AddressInUse):
        require_free(BOUND)


# --- pools


def test_every_address_of_a_block_can_be_had():
    assert first_free(["203.0.113.0/30"], {}) == "203.0.113.0"
    assert first_free(["203.0.113.0/30"], {f"203.0.113.{n}" for n in range(3)}) == "203.0.113.3"


def test_a_pool_is_used_up_in_its_order():
    pool, taken = ("203.0.113.8/31", "198.51.100.7", "2001:db8::/127"), set()
    while (address := first_free(pool, taken)) is not None:
        taken.add(address)
    assert taken == {"203.0.113.8", "203.0.113.9", "198.51.100.7", "2001:db8::", "2001:db8::1"}


def test_a_zone_without_a_pool_has_no_address():
    assert first_free((), {}) is None
    assert first_free((), {}, "203.0.113.1") is None


def test_the_address_that_is_wanted_is_the_one():
    assert first_free(["203.0.113.0/24"], {"203.0.113.0"}, "203.0.113.7") == "203.0.113.7"


@pytest.mark.parametrize(
    "wanted", ["203.0.113.7", "192.0.2.1", "2001:db8::1", "nonsense", "203.0.113.8/32", "0203.0.113.9"]
)
def test_an_address_that_is_taken_or_in_no_pool_is_not_to_be_had(wanted):
    assert first_free(["203.0.113.0/24"], {"203.0.113.7"}, wanted) is None


def test_a_wanted_address_is_told_in_its_one_spelling():
    pool = ["2001:db8::/64"]
    assert first_free(pool, {}, "2001:0DB8::0001") == "2001:db8::1"
    assert first_free(pool, {"2001:db8::1"}, "2001:0DB8::0001") is None


@given(st.sets(st.integers(0, 15)))
def test_the_first_free_address_is_free_and_none_before_it_is(taken):
    texts = [str(IPv4Address("203.0.113.0") + number) for number in range(16)]
    free = [text for number, text in enumerate(texts) if number not in taken]
    assert first_free(["203.0.113.0/28"], {texts[number] for number in taken}) == (free[0] if free else None)
