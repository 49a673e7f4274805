from dataclasses import replace

import pytest

from core.booking import House, PortRange
from core.errors import (
    DefaultGroup,
    GroupExists,
    GroupInUse,
    InvalidRule,
    InvalidTag,
    LimitReached,
    RuleExists,
    TooManyRules,
    TooManyTags,
    UnknownResource,
    UnknownRule,
)
from core.ids import NetworkId, RuleId, SecurityGroupId
from core.instances import Power
from core.limits import Limits
from core.securitygroups import ANY_PROTOCOL, DEFAULT_NAME, MOST_RULES, Rule, Traffic
from core.service.groups import SecurityGroups, WantedRule, members_of
from core.service.transactor import Transactor
from core.tags import MOST_TAGS, Resource, ResourceKind
from tests.contracts.store_contract import contents
from tests.tenants import WEB

HTTPS = replace(WEB, first_port=443, last_port=443)
NONE = {}


@pytest.fixture
def groups(house):
    return house.core.groups


async def group_of(house, tenant):
    """Return the tenant's group as it is now."""
    return (await house.core.fleet(tenant.caller)).security_group(tenant.group.id)


async def default_of(house, tenant):
    fleet = await house.core.fleet(tenant.caller)
    return next(group for group in fleet.security_groups() if group.is_default)


async def join(house, tenant, index=0):
    """Put a machine of the tenant into the group."""
    await house.core.machines.set_groups(tenant.caller, tenant.ids[index], [tenant.group.id])
    house.woken.clear()


def naming(group_id):
    return Traffic(is_egress=False, protocol=ANY_PROTOCOL, group_id=group_id)


# --- making


async def test_a_new_group_is_in_the_network_of_the_callers_region(house, ours, groups):
    caller = replace(ours.caller, region_id=(await house.core.region("ap-1")).id)
    group = await groups.create(caller, "new", "words", NONE)
    fleet = await house.core.fleet(caller)
    assert fleet.network(group.network_id).region_id == caller.region_id
    assert (group.name, group.description, group.is_default) == ("new", "words", False)


async def test_a_group_can_be_made_in_a_network_by_its_id(ours, groups):
    assert (await groups.create(ours.caller, "new", "", NONE, ours.network.id)).network_id == ours.network.id


async def test_a_group_cannot_be_made_in_a_network_that_is_not_there(ours, theirs, groups):
    for network_id in (NetworkId(999), theirs.network.id):
        with pytest.raises(UnknownResource) as caught:
            await groups.create(ours.caller, "new", "", NONE, network_id)
        assert caught.value.kind is ResourceKind.NETWORK


@pytest.mark.parametrize("name", ["web", DEFAULT_NAME])
async def test_a_network_has_one_group_of_a_name(ours, groups, name):
    with pytest.raises(GroupExists):
        await groups.create(ours.caller, name, "", NONE)


async def test_each_region_may_have_a_group_of_the_name(house, ours, groups):
    caller = replace(ours.caller, region_id=(await house.core.region("ap-1")).id)
    assert (await groups.create(caller, "web", "", NONE)).id != ours.group.id


async def test_an_account_may_have_only_so_many_groups(house, ours):
    few = SecurityGroups(
        Transactor(house.store, house.clock, house.woken.extend),
        House(PortRange(20_000, 39_999), Limits(security_groups=3)),
    )
    await few.create(ours.caller, "third", "", NONE)
    with pytest.raises(LimitReached) as caught:
        await few.create(ours.caller, "fourth", "", NONE)
    assert (caught.value.kind, caught.value.have) == ("security_groups", 3)


async def test_a_group_with_wrong_tags_is_not_made(house, ours, groups):
    before = contents(await house.store.view())
    with pytest.raises(InvalidTag):
        await groups.create(ours.caller, "new", "", {"aws:x": ""})
    with pytest.raises(TooManyTags):
        await groups.create(ours.caller, "new", "", {str(number): "" for number in range(MOST_TAGS + 1)})
    assert contents(await house.store.view()) == before


# --- deleting


async def test_a_deleted_group_is_gone_with_its_tags_and_its_name_is_free(house, ours, groups):
    await groups.delete(ours.caller, ours.group.id)
    rows = await house.store.view()
    assert ours.group.id not in rows.security_groups
    assert rows.tags_of(ours.resource(ResourceKind.SECURITY_GROUP)) == {}
    assert rows.tags_of(ours.resource(ResourceKind.RULE)) == {}
    assert (await groups.create(ours.caller, "web", "", NONE)).id > ours.group.id


async def test_the_default_group_cannot_be_deleted(house, ours, groups):
    with pytest.raises(DefaultGroup):
        await groups.delete(ours.caller, (await default_of(house, ours)).id)


async def test_a_group_is_in_use_until_its_last_machine_is_gone(house, ours, groups):
    await join(house, ours)
    with pytest.raises(GroupInUse):
        await groups.delete(ours.caller, ours.group.id)
    await house.core.terminate(ours.caller, ours.ids)
    with pytest.raises(GroupInUse):
        await groups.delete(ours.caller, ours.group.id)
    await house.seen(Power.ABSENT)
    await groups.delete(ours.caller, ours.group.id)


async def test_a_group_is_in_use_while_rules_of_others_name_it(house, ours, groups):
    other = await groups.create(ours.caller, "other", "", NONE)
    [rule] = await groups.authorize(ours.caller, other.id, [WantedRule(naming(ours.group.id))], NONE)
    with pytest.raises(GroupInUse, match="other"):
        await groups.delete(ours.caller, ours.group.id)
    await groups.revoke_rules(ours.caller, other.id, [rule.id])
    await groups.delete(ours.caller, ours.group.id)


async def test_a_group_whose_own_rules_name_it_can_be_deleted(ours, groups):
    await groups.authorize(ours.caller, ours.group.id, [WantedRule(naming(ours.group.id))], NONE)
    await groups.delete(ours.caller, ours.group.id)


# --- making rules


async def test_rules_are_kept_in_their_one_spelling(house, ours, groups):
    [rule] = await groups.authorize(
        ours.caller, ours.group.id, [WantedRule(Traffic(False, "6", 443, 443, "192.0.2.7/24"), "words")], NONE
    )
    assert rule.traffic == Traffic(False, "tcp", 443, 443, "192.0.2.0/24")
    assert (await group_of(house, ours)).rules[-1] == rule


async def test_each_new_rule_has_the_tags_that_were_given(house, ours, groups):
    made = await groups.authorize(
        ours.caller, ours.group.id, [WantedRule(HTTPS), WantedRule(replace(HTTPS, protocol="udp"))], {"a": "b"}
    )
    fleet = await house.core.fleet(ours.caller)
    assert [dict(fleet.tags(ResourceKind.RULE, rule.id)) for rule in made] == [{"a": "b"}] * 2


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        ([HTTPS, WEB], RuleExists),
        ([HTTPS, HTTPS], RuleExists),
        ([HTTPS, replace(HTTPS, block="nonsense")], InvalidRule),
        ([HTTPS, naming(SecurityGroupId(999))], UnknownResource),
        ([replace(HTTPS, first_port=port) for port in range(1, MOST_RULES + 1)], TooManyRules),
    ],
)
async def test_of_rules_one_of_which_cannot_be_made_none_is(house, ours, groups, wanted, refusal):
    before = contents(await house.store.view())
    with pytest.raises(refusal):
        await groups.authorize(ours.caller, ours.group.id, [WantedRule(traffic) for traffic in wanted], NONE)
    assert contents(await house.store.view()) == before


async def test_a_rule_with_wrong_tags_is_not_made(house, ours, groups):
    with pytest.raises(InvalidTag):
        await groups.authorize(ours.caller, ours.group.id, [WantedRule(HTTPS)], {"aws:x": ""})
    assert await group_of(house, ours) == ours.group


async def test_a_rule_cannot_name_a_group_of_another_account_or_region(house, ours, theirs, groups):
    caller = replace(ours.caller, region_id=(await house.core.region("ap-1")).id)
    elsewhere = await groups.create(caller, "elsewhere", "", NONE)
    for group_id in (theirs.group.id, elsewhere.id):
        with pytest.raises(UnknownResource) as caught:
            await groups.authorize(ours.caller, ours.group.id, [WantedRule(naming(group_id))], NONE)
        assert caught.value.name == group_id


# --- removing rules


async def test_a_rule_can_be_revoked_in_any_spelling(house, ours, groups):
    [gone] = await groups.revoke(ours.caller, ours.group.id, [replace(WEB, protocol="6", block="1.2.3.4/0")])
    assert gone == ours.group.rules[-1]
    assert gone not in (await group_of(house, ours)).rules


async def test_a_revoked_rule_is_gone_with_its_tags(house, ours, groups):
    await groups.revoke_rules(ours.caller, ours.group.id, [ours.group.rules[-1].id])
    assert (await house.store.view()).tags_of(ours.resource(ResourceKind.RULE)) == {}
    assert not (await house.core.fleet(ours.caller)).has(ResourceKind.RULE, ours.group.rules[-1].id)


async def test_of_rules_one_of_which_is_not_there_none_is_removed(house, ours, groups):
    with pytest.raises(UnknownRule):
        await groups.revoke(ours.caller, ours.group.id, [WEB, HTTPS])
    with pytest.raises(UnknownRule):
        await groups.revoke_rules(ours.caller, ours.group.id, [ours.group.rules[-1].id, RuleId(999)])
    with pytest.raises(InvalidRule):
        await groups.revoke(ours.caller, ours.group.id, [replace(WEB, block="nonsense")])
    assert await group_of(house, ours) == ours.group


async def test_a_rule_of_another_group_is_not_this_ones(house, ours, groups):
    with pytest.raises(UnknownRule):
        await groups.revoke_rules(ours.caller, ours.group.id, [(await default_of(house, ours)).rules[0].id])


# --- changing rules


async def test_a_description_can_be_changed(house, ours, groups):
    rule = ours.group.rules[-1]
    await groups.describe_rules(ours.caller, ours.group.id, {rule.id: "http"})
    assert (await group_of(house, ours)).rules[-1] == replace(rule, description="http")


async def test_of_descriptions_one_of_which_is_of_no_rule_none_is_changed(house, ours, groups):
    with pytest.raises(UnknownRule):
        await groups.describe_rules(ours.caller, ours.group.id, {ours.group.rules[-1].id: "http", RuleId(999): "x"})
    assert await group_of(house, ours) == ours.group


async def test_a_changed_rule_keeps_its_id_and_place(house, ours, groups):
    first, last = ours.group.rules[0].id, ours.group.rules[-1].id
    await groups.modify_rules(ours.caller, ours.group.id, {last: WantedRule(HTTPS, "https")})
    assert (await group_of(house, ours)).rules == (ours.group.rules[0], Rule(last, HTTPS, "https"))
    assert first != last


@pytest.mark.parametrize(
    ("rule_id", "traffic", "refusal"),
    [
        (999, HTTPS, UnknownRule),
        (None, replace(HTTPS, block="nonsense"), InvalidRule),
        (None, naming(SecurityGroupId(999)), UnknownResource),
        (None, Traffic(is_egress=True, protocol=ANY_PROTOCOL, block="0.0.0.0/0"), RuleExists),
    ],
)
async def test_a_rule_cannot_be_changed_to_what_cannot_be(house, ours, groups, rule_id, traffic, refusal):  # noqa: PLR0917  fixtures
    wanted = {RuleId(rule_id or ours.group.rules[-1].id): WantedRule(traffic)}
    with pytest.raises(refusal):
        await groups.modify_rules(ours.caller, ours.group.id, wanted)
    assert await group_of(house, ours) == ours.group


# --- whom it concerns


async def test_the_drivers_of_all_machines_in_a_group_are_told_of_its_rules(house, ours, groups):
    await join(house, ours, 0)
    await join(house, ours, 1)
    before = [(await ours.machine(index)).version for index in (0, 1)]
    await groups.authorize(ours.caller, ours.group.id, [WantedRule(HTTPS)], NONE)
    assert sorted(house.woken) == ours.ids
    assert [(await ours.machine(index)).version for index in (0, 1)] == [number + 1 for number in before]


async def test_machines_outside_of_a_group_are_not_told(house, ours, groups):
    before = await ours.machine()
    await groups.authorize(ours.caller, ours.group.id, [WantedRule(HTTPS)], NONE)
    assert house.woken == []
    assert await ours.machine() == before


async def test_machines_that_have_ended_are_not_told(house, ours, groups):
    await join(house, ours)
    await house.core.terminate(ours.caller, ours.ids)
    house.woken.clear()
    await groups.authorize(ours.caller, ours.group.id, [WantedRule(HTTPS)], NONE)
    assert house.woken == []
    assert members_of(await house.store.view(), ours.group) == []


async def test_what_is_so_already_is_not_written_again(house, ours, groups):
    rule = ours.group.rules[-1]
    revision = (await house.store.view()).revision
    await groups.describe_rules(ours.caller, ours.group.id, {rule.id: rule.description})
    await groups.modify_rules(ours.caller, ours.group.id, {rule.id: WantedRule(rule.traffic, rule.description)})
    assert (await house.store.view()).revision == revision


async def test_tags_of_a_rule_are_its_accounts_own(house, ours, theirs):
    disguised = Resource(ours.caller.account_id, ResourceKind.RULE, theirs.group.rules[-1].id)
    with pytest.raises(UnknownResource):
        await house.core.tag(ours.caller, [disguised], {"a": "b"})
