from hypothesis import given
from hypothesis import strategies as st

from core.ids import AccountId, InstanceId, KeyPairId, OrderId
from core.instances import State
from core.state import State as Rows
from core.state import key_of
from core.tags import Resource, ResourceKind
from tests.builders import ACCOUNT, a_key_pair, a_product, a_tag_set, an_api_key, an_instance, an_order
from tests.contracts.store_contract import contents, fresh

# Few ids, so that records meet. As in the domain, what tells two records of a kind apart is never shared by both.
SMALL = st.integers(1, 4)
INSTANCES = st.builds(
    lambda number, state: an_instance(
        state, id=InstanceId(number), order_id=OrderId(number % 2 + 1), ssh_port=20000 + number
    ),
    SMALL,
    st.sampled_from(State),
)
ORDERS = st.builds(
    lambda number, token: an_order(id=OrderId(number), order_key=f"key-{number}", client_token=f"{number}" * token),
    st.integers(1, 2),
    st.just(1),
)
KEY_PAIRS = st.builds(lambda number: a_key_pair(id=KeyPairId(number), name=f"name-{number}"), SMALL)
API_KEYS = st.builds(lambda number: an_api_key(access_key=f"AKOF{number}"), SMALL)
TAGS = st.builds(lambda number, value: a_tag_set(id=number, role=value), SMALL, st.sampled_from(["web", "db"]))
RECORDS = st.one_of(INSTANCES, ORDERS, KEY_PAIRS, API_KEYS, TAGS)


@given(st.lists(st.tuples(RECORDS, st.booleans())))
def test_indexes_say_what_the_records_say_after_any_puts_and_drops(changes):
    rows, held = Rows(), {}
    for record, is_put in changes:
        key = type(record), key_of(record)
        if is_put:
            assert rows.put(record) == held.get(key)
            held[key] = record
        else:
            rows.drop(record)
            held.pop(key, None)
    assert contents(rows) == contents(fresh(list(held.values())))


def test_a_key_pair_that_has_a_deleted_ones_name_is_found_by_it():
    rows = fresh([a_key_pair()])
    rows.drop(a_key_pair())
    rows.put(a_key_pair(id=KeyPairId(2)))
    assert rows.key_pairs_by_name[ACCOUNT, "laptop"].id == 2


def test_a_machine_occupies_its_place_until_it_is_gone():
    rows = Rows()
    for state in (State.PENDING, State.RUNNING, State.STOPPED, State.SHUTTING_DOWN):
        rows.put(an_instance(state))
        assert rows.free(a_product(), an_instance().zone_id) == 9
        assert rows.ssh_ports == {an_instance().ssh_port}
    rows.put(an_instance(State.TERMINATED))
    assert rows.free(a_product(), an_instance().zone_id) == 10
    assert rows.ssh_ports == set()


def test_there_is_less_than_nothing_free_where_capacity_was_cut():
    rows = fresh([an_instance(id=InstanceId(number), ssh_port=number) for number in range(3)])
    assert rows.free(a_product(capacity={an_instance().zone_id: 1}), an_instance().zone_id) == -2


def test_the_tags_of_a_thing_are_the_same_object_while_they_do_not_change():
    rows, resource = fresh([a_tag_set(role="web")]), Resource(ACCOUNT, ResourceKind.INSTANCE, 1)
    assert rows.tags_of(resource) is rows.tags_of(resource)
    other = Resource(AccountId(1), ResourceKind.INSTANCE, 1)
    assert rows.tags_of(other) == {}
    assert rows.tags_of(other) is rows.tags_of(other)
