from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRule, RuleExists, TooManyRules, UnknownRule
from core.ids import RuleId, SecurityGroupId
from core.securitygroups import (
    ANY_PORT,
    ANY_PROTOCOL,
    MOST_RULES,
    Rule,
    Traffic,
    initial_traffic,
    refers_to,
    rule_of,
    spelled,
    with_changed,
    with_rules,
    without_rules,
    without_traffic,
)
from tests.builders import a_security_group

GROUP = SecurityGroupId(7)
EMPTY = a_security_group(rules=())


def into(protocol="tcp", first=80, last=80, block="192.0.2.0/24", **options):
    """Return traffic into the machines of a group."""
    return Traffic(False, protocol, first, last, block, **options)


def rules(*traffic, first_id=1):
    return [Rule(RuleId(number), each) for number, each in enumerate(traffic, first_id)]


# --- the one spelling


@pytest.mark.parametrize(
    ("given_as", "protocol"),
    [
        ("tcp", "tcp"),
        ("TCP", "tcp"),
        ("6", "tcp"),
        ("006", "tcp"),
        ("Udp", "udp"),
        ("17", "udp"),
        ("icmp", "icmp"),
        ("1", "icmp"),
        ("icmpv6", "icmpv6"),
        ("58", "icmpv6"),
        ("-1", ANY_PROTOCOL),
        ("all", ANY_PROTOCOL),
        ("ALL", ANY_PROTOCOL),
        ("47", "47"),
        ("047", "47"),
        ("0", "0"),
        ("000", "0"),
        ("255", "255"),
    ],
)
def test_a_protocol_has_one_spelling(given_as, protocol):
    assert into(given_as).checked().protocol == protocol


@pytest.mark.parametrize("protocol", ["", "256", "-2", "+6", "6.0", "sctp", "٦", "²", "tcp ", "9" * 5000])
def test_what_is_no_protocol_is_refused(protocol):
    with pytest.raises(InvalidRule):
        into(protocol).checked()


@pytest.mark.parametrize(
    ("given_as", "block"),
    [
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("192.0.2.7/32", "192.0.2.7/32"),
        ("2001:DB8::7/32", "2001:db8::/32"),
        ("::/0", "::/0"),
        ("2001:0db8:0000::1/128", "2001:db8::1/128"),
    ],
)
def test_a_block_has_one_spelling_without_the_bits_beyond_its_prefix(given_as, block):
    assert into(block=given_as).checked().block == block


@pytest.mark.parametrize("block", ["192.0.2.7", "::1", "192.0.2.0/33", "192.0.2/24", "/24", "everybody", "192.0.2.0/"])
def test_what_is_no_block_is_refused(block):
    with pytest.raises(InvalidRule, match="malformed"):
        into(block=block).checked()


def test_a_block_of_ipv6_is_told_from_one_of_ipv4():
    assert into(block="2001:db8::/32").is_ipv6
    assert not into().is_ipv6
    assert not into(block="", group_id=GROUP).is_ipv6


@pytest.mark.parametrize(("block", "group_id"), [("", None), ("192.0.2.0/24", GROUP)])
def test_a_rule_is_about_a_block_or_a_group_and_never_both_or_neither(block, group_id):
    with pytest.raises(InvalidRule):
        into(block=block, group_id=group_id).checked()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_without_ports_all_ports_are_meant(protocol):
    checked = into(protocol, ANY_PORT, ANY_PORT).checked()
    assert (checked.first_port, checked.last_port) == (0, 65535)


@pytest.mark.parametrize(("first", "last"), [(81, 80), (-1, 80), (80, -1), (-2, 80), (0, 65536), (65536, 65536)])
def test_what_is_no_range_of_ports_is_refused(first, last):
    with pytest.raises(InvalidRule):
        into("tcp", first, last).checked()


@pytest.mark.parametrize("protocol", ["icmp", "icmpv6"])
@pytest.mark.parametrize(("kind", "code"), [(-1, -1), (8, -1), (3, 4), (255, 255)])
def test_icmp_has_a_type_and_a_code(protocol, kind, code):
    checked = into(protocol, kind, code).checked()
    assert (checked.first_port, checked.last_port) == (kind, code)


@pytest.mark.parametrize(("kind", "code"), [(256, 0), (0, 256), (-2, 0), (0, -2)])
def test_what_is_no_type_and_code_of_icmp_is_refused(kind, code):
    with pytest.raises(InvalidRule):
        into("icmp", kind, code).checked()


@pytest.mark.parametrize("protocol", [ANY_PROTOCOL, "47"])
def test_what_has_no_ports_forgets_those_that_it_was_given(protocol):
    checked = into(protocol, 22, 23).checked()
    assert (checked.first_port, checked.last_port) == (ANY_PORT, ANY_PORT)


TRAFFIC = st.builds(
    Traffic,
    st.booleans(),
    st.sampled_from(["tcp", "6", "UDP", "icmp", "58", "-1", "all", "47", "nonsense"]),
    st.integers(-2, 70000),
    st.integers(-2, 70000),
    st.sampled_from(["", "192.0.2.7/24", "2001:db8::7/32", "192.0.2.7", "x"]),
    st.none() | st.just(GROUP),
)


@given(TRAFFIC)
def test_what_was_checked_is_checked_again_without_a_change(traffic):
    try:
        checked = traffic.checked()
    except InvalidRule:
        return
    assert checked.checked() == checked


@given(TRAFFIC)
def test_the_direction_and_the_group_of_a_rule_are_left_as_they_are(traffic):
    try:
        checked = traffic.checked()
    except InvalidRule:
        return
    assert (checked.is_egress, checked.group_id) == (traffic.is_egress, traffic.group_id)


# --- the rules of a group


def test_rules_are_in_the_order_in_which_they_were_made():
    one, two = rules(into(first=80), into(first=79))
    assert with_rules(with_rules(EMPTY, [two]), [one]).rules == (two, one)


def test_a_rule_that_the_group_has_is_refused_whatever_its_description():
    group = with_rules(EMPTY, rules(into()))
    with pytest.raises(RuleExists):
        with_rules(group, [Rule(RuleId(2), into(), "another")])


def test_the_same_rule_twice_at_once_is_refused():
    with pytest.raises(RuleExists):
        with_rules(EMPTY, rules(into(), into()))


def test_rules_that_differ_in_any_part_are_different():
    different = [
        into(),
        into(first=79),
        into(last=81),
        into("udp"),
        into(block="192.0.2.0/25"),
        into(block="", group_id=GROUP),
        replace(into(), is_egress=True),
    ]
    assert len(with_rules(EMPTY, rules(*different)).rules) == len(different)


@pytest.mark.parametrize("is_egress", [False, True])
def test_each_direction_has_room_for_so_many_rules(is_egress):
    many = [replace(into(first=0, last=port), is_egress=is_egress) for port in range(MOST_RULES + 1)]
    full = with_rules(EMPTY, rules(*many[:-1]))
    other_way = [replace(traffic, is_egress=not is_egress) for traffic in many[:-1]]
    with_rules(full, rules(*other_way, first_id=1000))
    with pytest.raises(TooManyRules) as caught:
        with_rules(full, rules(many[-1], first_id=1000))
    assert caught.value.limit == MOST_RULES


def test_rules_are_removed_by_what_they_let_through():
    one, two, three = rules(into(first=1), into(first=2), into(first=3))
    group, gone = without_traffic(with_rules(EMPTY, [one, two, three]), [three.traffic, one.traffic])
    assert (group.rules, list(gone)) == ((two,), [three, one])


def test_rules_are_removed_by_their_ids():
    one, two, three = rules(into(first=1), into(first=2), into(first=3))
    group, gone = without_rules(with_rules(EMPTY, [one, two, three]), [three.id, one.id])
    assert (group.rules, list(gone)) == ((two,), [three, one])


def test_a_rule_that_the_group_does_not_have_cannot_be_removed():
    group = with_rules(EMPTY, rules(into()))
    with pytest.raises(UnknownRule):
        without_traffic(group, [into(), into(first=1)])
    with pytest.raises(UnknownRule):
        without_rules(group, [RuleId(1), RuleId(2)])


def test_a_rule_is_changed_in_its_place():
    one, two = rules(into(first=1), into(first=2))
    changed = replace(one, traffic=into(first=3), description="new")
    assert with_changed(with_rules(EMPTY, [one, two]), changed).rules == (changed, two)


def test_a_rule_may_be_changed_to_what_it_is():
    group = with_rules(EMPTY, rules(into()))
    assert with_changed(group, group.rules[0]) == group


def test_a_rule_cannot_be_changed_to_what_another_is():
    group = with_rules(EMPTY, rules(into(first=1), into(first=2)))
    with pytest.raises(RuleExists):
        with_changed(group, Rule(RuleId(1), into(first=2)))


def test_a_rule_that_the_group_does_not_have_cannot_be_changed():
    with pytest.raises(UnknownRule):
        with_changed(with_rules(EMPTY, rules(into())), Rule(RuleId(2), into(first=2)))


def test_a_rule_is_found_by_its_id():
    group = with_rules(EMPTY, rules(into(first=1), into(first=2)))
    assert rule_of(group, RuleId(2)) == group.rules[1]


def test_a_group_refers_to_the_groups_that_its_rules_name():
    group = with_rules(EMPTY, rules(into(), into(block="", group_id=GROUP)))
    assert refers_to(group, GROUP)
    assert not refers_to(group, SecurityGroupId(8))


# --- new groups


def test_a_new_group_lets_its_machines_out_and_nobody_in():
    [(traffic, _)] = initial_traffic(GROUP, is_default=False)
    assert traffic == Traffic(is_egress=True, protocol=ANY_PROTOCOL, block="0.0.0.0/0")


def test_the_default_group_lets_in_its_own_machines_and_everyone_by_ssh_besides():
    inward = [traffic for traffic, _ in initial_traffic(GROUP, is_default=True) if not traffic.is_egress]
    assert inward == [
        Traffic(is_egress=False, protocol=ANY_PROTOCOL, group_id=GROUP),
        into("tcp", 22, 22, "0.0.0.0/0"),
    ]


@pytest.mark.parametrize("is_default", [False, True])
def test_the_first_rules_of_a_group_are_in_their_one_spelling(is_default):
    for traffic, _ in initial_traffic(GROUP, is_default=is_default):
        assert traffic.checked() == traffic


@pytest.mark.parametrize(
    ("traffic", "words"),
    [
        (into(), "peer: 192.0.2.0/24, TCP, ports 80 to 80, ingress"),
        (Traffic(True, ANY_PROTOCOL, group_id=GROUP), "peer: group 7, ALL, egress"),
    ],
)
def test_traffic_is_told_in_words(traffic, words):
    assert spelled(traffic) == words
