from dataclasses import fields, replace
from itertools import combinations_with_replacement, permutations
from types import MappingProxyType

import pytest

from core.errors import InvalidRequest
from core.ids import ImageId, ProductId, RegionId, SecurityGroupId, SubnetId, ZoneId
from core.instances import Cause, Options, Power, ShutdownBehaviour, State, after_failure
from core.orders import (
    MOST_EXTRA_ADDRESSES,
    MOST_MACHINES,
    USER_DATA_LIMIT_BYTES,
    Booking,
    Status,
    has_ended,
    instance_status,
    new_order_key,
    order_status,
)
from core.tags import ResourceKind
from tests.builders import an_instance
from tests.clocks import NOON

FAILED = after_failure(an_instance(State.PENDING), NOON, Cause.LAUNCH_FAILED, "")
ACCEPTED = an_instance(State.PENDING, observed=Power.CREATING)

# Source: seed-zerosix-api.md, Order properties, status.
WORDS = [
    (an_instance(State.PENDING), "pending"),
    (ACCEPTED, "processing"),
    (an_instance(State.RUNNING), "unlimited"),
    (an_instance(State.STOPPING), "on-hold"),
    (an_instance(State.STOPPED), "on-hold"),
    (an_instance(State.SHUTTING_DOWN), "completed"),
    (an_instance(State.TERMINATED), "completed"),
    (FAILED, "failed"),
    (replace(FAILED, observed=Power.ABSENT, terminated_at=NOON), "failed"),
]
RANKED = [
    (an_instance(State.RUNNING), Status.UNLIMITED),
    (ACCEPTED, Status.PROCESSING),
    (an_instance(State.PENDING), Status.PENDING),
    (an_instance(State.STOPPED), Status.ON_HOLD),
    (an_instance(State.TERMINATED), Status.COMPLETED),
    (FAILED, Status.FAILED),
]
EVERYTHING = Booking(
    product_id=ProductId(7),
    least=2,
    most=3,
    zone_id=ZoneId(7),
    region_id=RegionId(7),
    subnet_id=SubnetId(7),
    image_id=ImageId(7),
    key_name="laptop",
    wants_own_key=True,
    wants_password=True,
    user_data=b"data",
    file_url="https://files.example/a",
    script_url="https://files.example/b",
    shutdown_behaviour=ShutdownBehaviour.TERMINATE,
    group_ids=(SecurityGroupId(7),),
    options=Options(hostname="web"),
    extra_addresses=1,
    private_address="10.7.0.7",
    term_hours=730,
    client_token="token",
    tags={ResourceKind.INSTANCE: {"role": "web"}},
)
PLAIN = Booking(ProductId(1))


@pytest.mark.parametrize(("machine", "word"), WORDS)
def test_each_machine_has_zerosixs_word_for_how_it_stands(machine, word):
    assert instance_status(machine) == word


def test_every_status_is_some_machines():
    assert {word for _, word in WORDS} == set(Status)


@pytest.mark.parametrize("pair", list(combinations_with_replacement(RANKED, 2)))
def test_an_order_stands_as_its_machine_that_is_furthest_from_its_end(pair):
    (first, status), (second, _) = pair
    assert order_status([first, second]) is order_status([second, first]) is status


def test_the_order_of_machines_does_not_matter():
    machines = [machine for machine, _ in RANKED]
    assert {order_status(each) for each in permutations(machines)} == {Status.UNLIMITED}


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING, State.STOPPING, State.STOPPED])
def test_an_order_has_not_ended_while_one_machine_is_rented(state):
    assert not has_ended([an_instance(State.TERMINATED), an_instance(state)])


def test_an_order_has_ended_once_no_machine_is_rented():
    assert has_ended([an_instance(State.TERMINATED), an_instance(State.SHUTTING_DOWN), FAILED])


# --- what can be asked for


@pytest.mark.parametrize(
    ("least", "most"), [(0, 1), (-1, 1), (2, 1), (0, 0), (1, MOST_MACHINES + 1), (MOST_MACHINES + 1, MOST_MACHINES + 1)]
)
def test_a_count_out_of_bounds_is_refused(least, most):
    with pytest.raises(InvalidRequest):
        Booking(ProductId(1), least, most).check()


@pytest.mark.parametrize(("least", "most"), [(1, 1), (1, MOST_MACHINES), (MOST_MACHINES, MOST_MACHINES)])
def test_a_count_within_bounds_is_taken(least, most):
    Booking(ProductId(1), least, most).check()


def test_user_data_is_limited():
    Booking(ProductId(1), user_data=b"x" * USER_DATA_LIMIT_BYTES).check()
    with pytest.raises(InvalidRequest):
        Booking(ProductId(1), user_data=b"x" * (USER_DATA_LIMIT_BYTES + 1)).check()


@pytest.mark.parametrize("hours", [1, 730, 2190])
def test_a_term_is_an_hour_a_month_or_a_quarter(hours):
    Booking(ProductId(1), term_hours=hours).check()
    for other in (hours - 1, hours + 1):
        with pytest.raises(InvalidRequest, match="term"):
            Booking(ProductId(1), term_hours=other).check()


def test_a_machine_can_have_only_so_many_addresses_besides():
    Booking(ProductId(1), extra_addresses=MOST_EXTRA_ADDRESSES).check()
    for number in (-1, MOST_EXTRA_ADDRESSES + 1):
        with pytest.raises(InvalidRequest):
            Booking(ProductId(1), extra_addresses=number).check()


def test_a_private_address_can_be_wanted_for_one_machine_only():
    Booking(ProductId(1), private_address="10.1.0.5").check()
    with pytest.raises(InvalidRequest):
        Booking(ProductId(1), 1, 2, private_address="10.1.0.5").check()


@pytest.mark.parametrize("kind", [ResourceKind.IMAGE, ResourceKind.KEY_PAIR, ResourceKind.ADDRESS])
def test_only_what_a_booking_makes_can_be_tagged_by_it(kind):
    with pytest.raises(InvalidRequest):
        Booking(ProductId(1), tags={kind: {"role": "web"}}).check()


# --- telling requests apart


@pytest.mark.parametrize("name", [field.name for field in fields(Booking) if field.name != "client_token"])
def test_each_part_of_a_request_shows_in_its_digest(name):
    assert replace(PLAIN, **{name: getattr(EVERYTHING, name)}).digest() != PLAIN.digest()


def test_the_client_token_does_not_show_in_the_digest():
    assert replace(PLAIN, client_token="token").digest() == PLAIN.digest()


def test_tags_in_another_order_are_the_same_request():
    one = {ResourceKind.INSTANCE: {"a": "1", "b": "2"}, ResourceKind.ORDER: {"c": "3"}}
    other = {ResourceKind.ORDER: MappingProxyType({"c": "3"}), ResourceKind.INSTANCE: {"b": "2", "a": "1"}}
    assert replace(PLAIN, tags=one).digest() == replace(PLAIN, tags=other).digest()


@pytest.mark.parametrize("other", [{"a": "1, b=2"}, {"a": "1", "b": ""}, {"b": "2", "a": "2"}])
def test_other_tags_are_another_request(other):
    tags = {ResourceKind.INSTANCE: {"a": "1", "b": "2"}}
    assert replace(PLAIN, tags=tags).digest() != replace(PLAIN, tags={ResourceKind.INSTANCE: other}).digest()


def test_order_keys_are_not_guessed_and_need_no_escaping():
    keys = {new_order_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(key.startswith("wc_order_") and key.removeprefix("wc_order_").isalnum() for key in keys)
