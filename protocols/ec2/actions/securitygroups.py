"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import UnknownRule
from core.fleet import Fleet
from core.ids import NetworkId, RuleId, SecurityGroupId
from core.securitygroups import DEFAULT_NAME, TEXT, Rule, SecurityGroup, Traffic, spelled
from core.service.groups import WantedRule
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.actions.permissions import (
    FLAT,
    TEXT_ALLOWED,
    Asked,
    PermissionReader,
    asked_group,
    described_rule,
    group_named,
    group_text,
    has_ports,
    network_text,
    permissions_of,
    replacement,
    revoked_rule,
    rule_description,
)
from protocols.ec2.actions.tags import specified_tags
from protocols.ec2.errors import Ec2Refusal, invalid_combination, invalid_value, not_found
from protocols.ec2.filters import Filters, Reader, present
from protocols.ec2.listings import Listing
from protocols.ec2.pages import Paging
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

# --- groups


@family.action("CreateSecurityGroup", reads=("GroupName", "Description", "VpcId", "TagSpecifications"))
async def create_security_group(
    call: Call, request: shapes.CreateSecurityGroupRequest
) -> shapes.CreateSecurityGroupResult:
    """Make a group, which lets its machines reach everything and nobody reach them."""
    name, description = _group_name(request["GroupName"]), request["Description"]
    if not description:
        raise Ec2Refusal("MissingParameter", "The request must contain the parameter GroupDescription")
    if not TEXT.fullmatch(description):
        raise invalid_value("GroupDescription", description[:255], TEXT_ALLOWED)
    network_id = None
    if text := request.get("VpcId", ""):
        network_id = _network_id(await call.networked(), text)
    tags = specified_tags(request.get("TagSpecifications") or [], {ResourceKind.SECURITY_GROUP})
    values = tags.get(ResourceKind.SECURITY_GROUP, {})
    group = await call.core.groups.create(call.caller, name, description, values, network_id)
    fleet = await call.refreshed()
    return {"GroupId": group_text(group.id), "SecurityGroupArn": _arn(fleet, group), "Tags": render.tags(values)}


def _group_name(name: str) -> str:
    if not name:
        raise Ec2Refusal("MissingParameter", "The request must contain the parameter GroupName")
    if not TEXT.fullmatch(name):
        raise invalid_value("GroupName", name[:255], TEXT_ALLOWED)
    if name.lower().startswith("sg-"):
        raise invalid_value("GroupName", name, "Group names may not be in the format sg-*.")
    if name.lower() == DEFAULT_NAME:
        raise Ec2Refusal("InvalidParameterValue", f"Cannot use reserved security group name: {name}")
    return name


def _network_id(fleet: Fleet, text: str) -> NetworkId:
    number = NetworkId(ids.read(ResourceKind.NETWORK, text))
    if not fleet.has(ResourceKind.NETWORK, number):
        raise not_found(ResourceKind.NETWORK, text)
    return number


@family.action("DeleteSecurityGroup", reads=("GroupId", "GroupName"))
async def delete_security_group(
    call: Call, request: shapes.DeleteSecurityGroupRequest
) -> shapes.DeleteSecurityGroupResult:
    """Remove a group that nothing uses."""
    group = asked_group(call, await call.networked(), request)
    await call.core.groups.delete(call.caller, group.id)
    return {"GroupId": group_text(group.id)}


# --- rules made and removed


@family.action(
    "AuthorizeSecurityGroupIngress", reads=("GroupId", "GroupName", "IpPermissions", "TagSpecifications", *FLAT)
)
async def authorize_security_group_ingress(
    call: Call, request: shapes.AuthorizeSecurityGroupIngressRequest
) -> shapes.AuthorizeSecurityGroupIngressResult:
    """Let others reach the machines of a group."""
    rules = await _authorize(call, request, "AuthorizeSecurityGroupIngress", is_egress=False)
    return {"SecurityGroupRules": rules}


@family.action("AuthorizeSecurityGroupEgress", reads=("GroupId", "IpPermissions", "TagSpecifications", *FLAT))
async def authorize_security_group_egress(
    call: Call, request: shapes.AuthorizeSecurityGroupEgressRequest
) -> shapes.AuthorizeSecurityGroupEgressResult:
    """Let the machines of a group reach others."""
    rules = await _authorize(call, request, "AuthorizeSecurityGroupEgress", is_egress=True)
    return {"SecurityGroupRules": rules}


async def _authorize(call: Call, request: Asked, action: str, *, is_egress: bool) -> Sequence[shapes.SecurityGroupRule]:
    fleet = await call.networked()
    group = asked_group(call, fleet, request)
    tags = specified_tags(request.get("TagSpecifications") or [], {ResourceKind.RULE}).get(ResourceKind.RULE, {})
    wanted = PermissionReader(call, fleet, group, action, is_egress).wanted(request)
    made = await call.core.groups.authorize(call.caller, group.id, wanted, tags)
    fleet = await call.refreshed()
    return [described_rule(fleet, group, rule) for rule in made]


@family.action(
    "RevokeSecurityGroupIngress", reads=("GroupId", "GroupName", "IpPermissions", "SecurityGroupRuleIds", *FLAT)
)
async def revoke_security_group_ingress(
    call: Call, request: shapes.RevokeSecurityGroupIngressRequest
) -> shapes.RevokeSecurityGroupIngressResult:
    """Let others reach the machines of a group no longer."""
    revoked = await _revoke(call, request, "RevokeSecurityGroupIngress", is_egress=False)
    return {"RevokedSecurityGroupRules": revoked.rules, "UnknownIpPermissions": revoked.unknown}


@family.action("RevokeSecurityGroupEgress", reads=("GroupId", "IpPermissions", "SecurityGroupRuleIds", *FLAT))
async def revoke_security_group_egress(
    call: Call, request: shapes.RevokeSecurityGroupEgressRequest
) -> shapes.RevokeSecurityGroupEgressResult:
    """Let the machines of a group reach others no longer."""
    revoked = await _revoke(call, request, "RevokeSecurityGroupEgress", is_egress=True)
    return {"RevokedSecurityGroupRules": revoked.rules, "UnknownIpPermissions": revoked.unknown}


@dataclass(frozen=True, slots=True)
class _Revoked:
    """Which rules are gone, and what was asked for and there was no rule for."""

    rules: Sequence[shapes.RevokedSecurityGroupRule]
    unknown: Sequence[shapes.IpPermission]


async def _revoke(call: Call, request: Asked, action: str, *, is_egress: bool) -> _Revoked:
    fleet = await call.networked()
    group = asked_group(call, fleet, request)
    groups, caller = call.core.groups, call.caller
    if texts := request.get("SecurityGroupRuleIds"):
        if request.get("IpPermissions"):
            raise invalid_combination("SecurityGroupRuleIds", "IpPermissions")
        rules = [_rule_of_id(group, text, is_egress=is_egress) for text in dict.fromkeys(texts)]
        gone = await groups.revoke_rules(caller, group.id, [rule.id for rule in rules])
        return _Revoked([revoked_rule(group, rule) for rule in gone], [])
    wanted = [rule.traffic for rule in PermissionReader(call, fleet, group, action, is_egress).wanted(request)]
    known = {rule.traffic for rule in group.rules}
    # In a default network there is no refusal for rules that are not there: they are listed. Source:
    # RevokeSecurityGroupIngress reference.
    gone = await groups.revoke(caller, group.id, [traffic for traffic in wanted if traffic in known])
    strange = [Rule(RuleId(0), traffic) for traffic in wanted if traffic not in known]
    return _Revoked([revoked_rule(group, rule) for rule in gone], permissions_of(group, strange))


def _rule_of_id(group: SecurityGroup, text: str, *, is_egress: bool | None = None) -> Rule:
    number = ids.read(ResourceKind.RULE, text)
    for rule in group.rules:
        if rule.id == number and is_egress in (None, rule.traffic.is_egress):
            return rule
    raise not_found(ResourceKind.RULE, text)


# --- rules changed


@family.action("ModifySecurityGroupRules", reads=("GroupId", "SecurityGroupRules"))
async def modify_security_group_rules(
    call: Call, request: shapes.ModifySecurityGroupRulesRequest
) -> shapes.ModifySecurityGroupRulesResult:
    """Put other rules in place of some, under the same ids."""
    fleet = await call.networked()
    group = asked_group(call, fleet, request)
    wanted: dict[RuleId, WantedRule] = {}
    for update in request["SecurityGroupRules"]:
        rule = _rule_of_id(group, update["SecurityGroupRuleId"])
        if rule.id in wanted:
            raise invalid_value("SecurityGroupRuleId", update["SecurityGroupRuleId"], "Expected each rule once.")
        wanted[rule.id] = replacement(fleet, rule, update.get("SecurityGroupRule", {}))
    await call.core.groups.modify_rules(call.caller, group.id, wanted)
    return {}


_DESCRIBING = ("GroupId", "GroupName", "IpPermissions", "SecurityGroupRuleDescriptions")


@family.action("UpdateSecurityGroupRuleDescriptionsIngress", reads=_DESCRIBING)
async def update_security_group_rule_descriptions_ingress(
    call: Call, request: shapes.UpdateSecurityGroupRuleDescriptionsIngressRequest
) -> shapes.UpdateSecurityGroupRuleDescriptionsIngressResult:
    """Give ingress rules other descriptions; one that is left out is removed."""
    await _describe(call, request, "UpdateSecurityGroupRuleDescriptionsIngress", is_egress=False)
    return {}


@family.action("UpdateSecurityGroupRuleDescriptionsEgress", reads=_DESCRIBING)
async def update_security_group_rule_descriptions_egress(
    call: Call, request: shapes.UpdateSecurityGroupRuleDescriptionsEgressRequest
) -> shapes.UpdateSecurityGroupRuleDescriptionsEgressResult:
    """Give egress rules other descriptions; one that is left out is removed."""
    await _describe(call, request, "UpdateSecurityGroupRuleDescriptionsEgress", is_egress=True)
    return {}


async def _describe(call: Call, request: Asked, action: str, *, is_egress: bool) -> None:
    fleet = await call.networked()
    group = asked_group(call, fleet, request)
    if updates := request.get("SecurityGroupRuleDescriptions"):
        if request.get("IpPermissions"):
            raise invalid_combination("SecurityGroupRuleDescriptions", "IpPermissions")
        wanted = dict(_descriptions(group, updates, is_egress=is_egress))
    else:
        by_traffic = {rule.traffic: rule for rule in group.rules}
        wanted = {}
        for each in PermissionReader(call, fleet, group, action, is_egress).wanted(request):
            if each.traffic not in by_traffic:
                raise UnknownRule(spelled(each.traffic))
            wanted[by_traffic[each.traffic].id] = each.description
    await call.core.groups.describe_rules(call.caller, group.id, wanted)


def _descriptions(
    group: SecurityGroup, updates: Iterable[shapes.SecurityGroupRuleDescription], *, is_egress: bool
) -> Iterator[tuple[RuleId, str]]:
    for update in updates:
        if not (text := update.get("SecurityGroupRuleId", "")):
            raise Ec2Refusal("MissingParameter", "The request must contain the parameter SecurityGroupRuleId")
        yield _rule_of_id(group, text, is_egress=is_egress).id, rule_description(update.get("Description", ""))


# --- looking at groups


class _Described:
    """A group with what its filters read."""

    __slots__ = ("fleet", "group", "tags")

    def __init__(self, fleet: Fleet, group: SecurityGroup) -> None:
        self.fleet, self.group, self.tags = fleet, group, fleet.tags(ResourceKind.SECURITY_GROUP, group.id)

    def rules(self, *, is_egress: bool) -> list[Rule]:
        return [rule for rule in self.group.rules if rule.traffic.is_egress is is_egress]

    def names(self, number: SecurityGroupId) -> Iterable[str]:
        """The name of a group that a rule names."""
        if self.fleet.has(ResourceKind.SECURITY_GROUP, number):
            return (self.fleet.security_group(number).name,)
        return ()  # it has been deleted meanwhile, and the rule with it


def _rule_readers(prefix: str, *, is_egress: bool) -> Mapping[str, Reader[_Described]]:
    """Return the filters of a direction; any rule of it may match each."""

    def of_rules(read: Callable[[Traffic], Iterable[str]]) -> Reader[_Described]:
        return lambda item: [text for rule in item.rules(is_egress=is_egress) for text in read(rule.traffic)]

    def of_others(read: Callable[[_Described, SecurityGroupId], Iterable[str]]) -> Reader[_Described]:
        return lambda item: [
            text
            for rule in item.rules(is_egress=is_egress)
            if rule.traffic.group_id is not None
            for text in read(item, rule.traffic.group_id)
        ]

    return {
        f"{prefix}.cidr": of_rules(lambda traffic: () if traffic.is_ipv6 else present(traffic.block)),
        f"{prefix}.ipv6-cidr": of_rules(lambda traffic: (traffic.block,) if traffic.is_ipv6 else ()),
        f"{prefix}.from-port": of_rules(lambda traffic: (str(traffic.first_port),) if has_ports(traffic) else ()),
        f"{prefix}.to-port": of_rules(lambda traffic: (str(traffic.last_port),) if has_ports(traffic) else ()),
        f"{prefix}.protocol": of_rules(lambda traffic: (traffic.protocol,)),
        f"{prefix}.group-id": of_others(lambda _, number: (group_text(number),)),
        f"{prefix}.group-name": of_others(lambda item, number: item.names(number)),
        f"{prefix}.user-id": of_others(lambda item, _: (ids.owner_id(item.group.account_id),)),
    }


_FILTERS: Filters[_Described] = Filters(
    {
        "description": lambda item: (item.group.description,),
        "group-id": lambda item: (group_text(item.group.id),),
        "group-name": lambda item: (item.group.name,),
        "owner-id": lambda item: (ids.owner_id(item.group.account_id),),
        "vpc-id": lambda item: (network_text(item.group),),
        **_rule_readers("ip-permission", is_egress=False),
        **_rule_readers("egress.ip-permission", is_egress=True),
    },
    action="DescribeSecurityGroups",
    tags=lambda item: item.tags,
)


def _group(item: _Described) -> shapes.SecurityGroup:
    group = item.group
    return {
        "GroupId": group_text(group.id),
        "GroupName": group.name,
        "Description": group.description,
        "OwnerId": ids.owner_id(group.account_id),
        "VpcId": network_text(group),
        "SecurityGroupArn": _arn(item.fleet, group),
        "IpPermissions": permissions_of(group, item.rules(is_egress=False)),
        "IpPermissionsEgress": permissions_of(group, item.rules(is_egress=True)),
        "Tags": render.tags(item.tags),
    }


def _arn(fleet: Fleet, group: SecurityGroup) -> str:
    region = fleet.region(fleet.network(group.network_id).region_id)
    return render.arn(region, group.account_id, ResourceKind.SECURITY_GROUP, group.id)


_GROUPS: Listing[_Described] = Listing(
    Paging("DescribeSecurityGroups"),
    ResourceKind.SECURITY_GROUP,
    "GroupIds",
    "SecurityGroup",
    _FILTERS,
    number=lambda item: item.group.id,
    describe=_group,
)


@family.action("DescribeSecurityGroups", reads=("GroupIds", "GroupNames", "Filters", "MaxResults", "NextToken"))
async def describe_security_groups(
    call: Call, request: shapes.DescribeSecurityGroupsRequest
) -> shapes.DescribeSecurityGroupsResult:
    """Describe groups with their rules."""
    fleet = await call.networked()
    asked = dict(request)
    if names := request.get("GroupNames"):
        named = [group_text(group_named(call, fleet, name).id) for name in names]
        asked["GroupIds"] = [*(request.get("GroupIds") or []), *named]
    page = await _GROUPS.page(call, asked, (_Described(fleet, group) for group in fleet.security_groups()))
    result: shapes.DescribeSecurityGroupsResult = {"SecurityGroups": page.items}
    return page.end(result)


# --- looking at rules


class _DescribedRule:
    """A rule with what its filters read."""

    __slots__ = ("fleet", "group", "rule", "tags")

    def __init__(self, fleet: Fleet, group: SecurityGroup, rule: Rule) -> None:
        self.fleet, self.group, self.rule = fleet, group, rule
        self.tags = fleet.tags(ResourceKind.RULE, rule.id)


_RULES: Listing[_DescribedRule] = Listing(
    Paging("DescribeSecurityGroupRules"),
    ResourceKind.RULE,
    "SecurityGroupRuleIds",
    "SecurityGroupRule",
    Filters(
        {
            "group-id": lambda item: (group_text(item.group.id),),
            "security-group-rule-id": lambda item: (ids.spell(ResourceKind.RULE, item.rule.id),),
        },
        action="DescribeSecurityGroupRules",
        tags=lambda item: item.tags,
    ),
    number=lambda item: item.rule.id,
    describe=lambda item: described_rule(item.fleet, item.group, item.rule),
)


@family.action("DescribeSecurityGroupRules", reads=("SecurityGroupRuleIds", "Filters", "MaxResults", "NextToken"))
async def describe_security_group_rules(
    call: Call, request: shapes.DescribeSecurityGroupRulesRequest
) -> shapes.DescribeSecurityGroupRulesResult:
    """Describe the rules of all groups, each by itself."""
    fleet = await call.networked()
    rules = sorted(
        ((rule, group) for group in fleet.security_groups() for rule in group.rules), key=lambda pair: pair[0].id
    )
    page = await _RULES.page(call, request, (_DescribedRule(fleet, group, rule) for rule, group in rules))
    result: shapes.DescribeSecurityGroupRulesResult = {"SecurityGroupRules": page.items}
    return page.end(result)
