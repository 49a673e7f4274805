from hypothesis import given
from hypothesis import strategies as st

from core.ids import (
    AccountId,
    AddressId,
    AssociationId,
    InstanceId,
    KeyPairId,
    NetworkId,
    OrderId,
    RegionId,
    SecurityGroupId,
    SignInId,
    SubnetId,
    UserId,
    ZoneId,
)
from core.instances import State
from core.state import State as Rows
from core.state import key_of
from core.tags import Resource, ResourceKind
from tests.builders import (
    ACCOUNT,
    a_kept_disk,
    a_key_pair,
    a_network,
    a_product,
    a_region,
    a_security_group,
    a_sign_in,
    a_subnet,
    a_tag_set,
    a_user,
    a_zone,
    an_address,
    an_api_key,
    an_instance,
    an_order,
)
from tests.contracts.store_contract import contents, fresh

# Few ids, so that records meet. As in the domain, what tells two records of a kind apart is never shared by both.
SMALL = st.integers(1, 4)
INSTANCES = st.builds(
    lambda number, state: an_instance(
        state,
        id=InstanceId(number),
        order_id=OrderId(number % 2 + 1),
        ssh_port=20000 + number,
        private_address="" if number == 1 else f"10.1.0.{number}",
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
ZONES = st.builds(
    lambda number, region: a_zone(id=ZoneId(number), name=f"zone-{number}", region_id=RegionId(region)),
    SMALL,
    st.integers(1, 2),
)
REGIONS = st.builds(lambda number: a_region(id=RegionId(number), name=f"region-{number}"), SMALL)
NETWORKS = st.builds(lambda number: a_network(id=NetworkId(number), region_id=RegionId(number)), SMALL)
SUBNETS = st.builds(lambda number: a_subnet(id=SubnetId(number), zone_id=ZoneId(number)), SMALL)
GROUPS = st.builds(
    lambda number, network: a_security_group(
        id=SecurityGroupId(number), network_id=NetworkId(network), name=f"group-{number}", rules=()
    ),
    SMALL,
    SMALL,
)
ADDRESSES = st.builds(
    lambda number, machine: an_address(
        id=AddressId(number),
        address=f"203.0.113.{number}",
        instance_id=machine,
        association_id=None if machine is None else AssociationId(number),
    ),
    SMALL,
    st.none() | st.integers(1, 2).map(InstanceId),
)
DISKS = st.builds(lambda number, gone: a_kept_disk(id=InstanceId(number), is_unwanted=gone), SMALL, st.booleans())
USERS = st.builds(
    lambda number, turn: a_user(id=UserId(number), email=f"{number}-{turn}@example.com"), SMALL, st.booleans()
)
SIGN_INS = st.builds(lambda number: a_sign_in(id=SignInId(number), digest=f"digest-{number}"), SMALL)
TAGS = st.builds(lambda number, value: a_tag_set(id=number, role=value), SMALL, st.sampled_from(["web", "db"]))
RECORDS = st.one_of(
    INSTANCES,
    ORDERS,
    KEY_PAIRS,
    API_KEYS,
    USERS,
    SIGN_INS,
    TAGS,
    ZONES,
    REGIONS,
    NETWORKS,
    SUBNETS,
    GROUPS,
    ADDRESSES,
    DISKS,
)


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
    assert rows.key_pairs_by_name[ACCOUNT, a_region().id, "laptop"].id == 2


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


def test_a_zone_that_changes_keeps_its_place_among_those_of_its_region():
    rows = fresh([a_zone(id=ZoneId(number), name=f"zone-{number}") for number in (1, 2, 3)])
    rows.put(a_zone(id=ZoneId(2), name="zone-2", is_available=False))
    assert list(rows.zones_in[RegionId(1)]) == [1, 2, 3]


def test_a_zone_that_goes_over_to_another_region_is_in_that_one_alone():
    rows = fresh([a_zone()])
    rows.put(a_zone(region_id=RegionId(2)))
    assert {region: list(zones) for region, zones in rows.zones_in.items()} == {2: [1]}


def test_a_machine_has_its_private_address_to_itself_until_it_is_gone():
    rows = fresh([an_instance(private_address="10.1.0.5")])
    assert rows.private_addresses == {"10.1.0.5"}
    rows.put(an_instance(State.TERMINATED))
    assert rows.private_addresses == set()


def test_an_account_rents_a_machine_until_it_is_gone():
    rows = fresh([an_instance(State.SHUTTING_DOWN), an_instance(id=InstanceId(2), ssh_port=2)])
    assert rows.rented[ACCOUNT] == 2
    rows.put(an_instance(State.TERMINATED))
    assert rows.rented[ACCOUNT] == 1


def test_a_person_is_found_by_the_address_that_they_have_now():
    rows = fresh([a_user()])
    rows.put(a_user(email="ann@example.net"))
    assert rows.users_by_email == {"ann@example.net": a_user(email="ann@example.net")}


def test_the_addresses_of_a_machine_are_in_the_order_in_which_they_were_bound():
    one, two = (
        an_address(id=AddressId(n), address=str(n), instance_id=InstanceId(1), association_id=AssociationId(9 - n))
        for n in (1, 2)
    )
    assert fresh([one, two]).bound_to(InstanceId(1)) == (two, one)


def test_the_addresses_of_a_machine_are_the_same_object_while_they_stay_so():
    rows = fresh([an_address(instance_id=InstanceId(1), association_id=AssociationId(1))])
    before = rows.bound_to(InstanceId(1))
    rows.put(an_address(id=AddressId(2), address="203.0.113.2"))
    assert rows.bound_to(InstanceId(1)) is before
