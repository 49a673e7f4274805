"""Rules of security groups: read from what a request asks for, and written as EC2 tells them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.errors import InvalidRule
from core.fleet import Fleet
from core.ids import SecurityGroupId
from core.securitygroups import ANY_PORT, TEXT, TEXT_IN_WORDS, Rule, SecurityGroup, Traffic
from core.service.groups import WantedRule
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.errors import Ec2Refusal, invalid_combination, missing_either, not_found, unsupported_parameter
from protocols.ec2.registry import Call

if TYPE_CHECKING:
    from protocols.ec2 import shapes

Asked = Mapping[str, Any]
"""A request about rules: four actions have nearly the same one, and each a type of its own."""

TEXT_ALLOWED = f"Expected {TEXT_IN_WORDS}"
"""What is told to who gave another name or description."""


# --- the groups that rules are of, and name


def asked_group(call: Call, fleet: Fleet, request: Asked) -> SecurityGroup:
    """Return the group that a request names by its id, or by its name.

    Raises:
        Ec2Refusal: it names none, or two, or there is none such.
        MalformedId: it is not of the form.
    """
    text, name = request.get("GroupId", ""), request.get("GroupName", "")
    if text and name:
        raise invalid_combination("GroupId", "GroupName")
    if text:
        return _of_id(fleet, text)
    if not name:
        raise missing_either("GroupId", "GroupName")
    return group_named(call, fleet, name)


def _of_id(fleet: Fleet, text: str) -> SecurityGroup:
    number = SecurityGroupId(ids.read(ResourceKind.SECURITY_GROUP, text))
    if not fleet.has(ResourceKind.SECURITY_GROUP, number):
        raise not_found(ResourceKind.SECURITY_GROUP, text)
    return fleet.security_group(number)


def group_named(call: Call, fleet: Fleet, name: str) -> SecurityGroup:
    """Return the group of a name. Where several regions are seen, the caller's own goes first.

    Raises:
        Ec2Refusal: there is none.
    """
    groups = [group for group in fleet.security_groups() if group.name == name]
    home = [group for group in groups if fleet.network(group.network_id).region_id == call.caller.region_id]
    if not groups:
        network = ids.spell(ResourceKind.NETWORK, fleet.networks()[0].id)
        text = f"The security group '{name}' does not exist in default VPC '{network}'"
        raise Ec2Refusal("InvalidGroup.NotFound", text)
    return (home or groups)[0]


def group_text(number: SecurityGroupId) -> str:
    """Return the id of a group as EC2 spells it."""
    return ids.spell(ResourceKind.SECURITY_GROUP, number)


def network_text(group: SecurityGroup) -> str:
    """Return the id of the network that a group is in."""
    return ids.spell(ResourceKind.NETWORK, group.network_id)


# --- reading


FLAT = ("IpProtocol", "FromPort", "ToPort", "CidrIp", "SourceSecurityGroupName", "SourceSecurityGroupOwnerId")
"""A single rule as EC2 had it before there were networks. boto 2, libcloud and scripts send it still."""


@dataclass(frozen=True, slots=True)
class PermissionReader:
    """Reads the permissions of a request to an action, about one direction of a group."""

    call: Call
    fleet: Fleet
    group: SecurityGroup
    action: str
    is_egress: bool

    def wanted(self, request: Asked) -> list[WantedRule]:
        """Return the rules that a request asks for, in the order given.

        Raises:
            Ec2Refusal: there are none, one comes twice, or one makes no sense.
            InvalidRule: one makes no sense.
        """
        permissions, flat = request.get("IpPermissions") or [], [name for name in FLAT if name in request]
        if permissions and flat:
            raise invalid_combination("IpPermissions", flat[0])
        if not permissions and not flat:
            raise Ec2Refusal("MissingParameter", "The request must contain the parameter IpPermissions")
        rules = [rule for each in permissions or _unfolded(request) for rule in self._rules(each)]
        if len({rule.traffic for rule in rules}) < len(rules):
            raise Ec2Refusal("InvalidParameterValue", "The same permission must not appear multiple times")
        return rules

    def _rules(self, permission: shapes.IpPermission) -> Iterator[WantedRule]:
        if not (protocol := permission.get("IpProtocol", "")):
            raise Ec2Refusal("MissingParameter", "The request must contain the parameter IpProtocol")
        ports = permission.get("FromPort"), permission.get("ToPort")
        base = _on_ports(protocol, *ports, is_egress=self.is_egress)
        ends = list(self._ends(base, permission))
        if not ends:
            text = "The request must contain IpRanges, Ipv6Ranges or UserIdGroupPairs in each of its IpPermissions"
            raise Ec2Refusal("MissingParameter", text)
        for traffic, description in ends:
            yield WantedRule(traffic.checked(), rule_description(description))

    def _ends(self, base: Traffic, permission: shapes.IpPermission) -> Iterator[tuple[Traffic, str]]:
        if permission.get("PrefixListIds"):
            raise unsupported_parameter(self.action, "IpPermissions.PrefixListIds")
        for narrow in permission.get("IpRanges") or []:
            block = _block(narrow.get("CidrIp", ""), is_ipv6=False)
            yield replace(base, block=block), narrow.get("Description", "")
        for wide in permission.get("Ipv6Ranges") or []:
            block = _block(wide.get("CidrIpv6", ""), is_ipv6=True)
            yield replace(base, block=block), wide.get("Description", "")
        for pair in permission.get("UserIdGroupPairs") or []:
            yield replace(base, group_id=self._other(pair).id), pair.get("Description", "")

    def _other(self, pair: shapes.UserIdGroupPair) -> SecurityGroup:
        """Return the group at the other end. Another account's is none that could be named."""
        if pair.get("VpcPeeringConnectionId"):
            raise unsupported_parameter(self.action, "IpPermissions.UserIdGroupPairs.VpcPeeringConnectionId")
        text, name = pair.get("GroupId", ""), pair.get("GroupName", "")
        if not text and not name:
            raise Ec2Refusal("MissingParameter", "Source group ID missing.")
        owner, network = ids.owner_id(self.group.account_id), network_text(self.group)
        if pair.get("UserId") not in (None, "", owner) or pair.get("VpcId") not in (None, "", network):
            raise not_found(ResourceKind.SECURITY_GROUP, text or name)
        if text:
            return _of_id(self.fleet, text)
        beside = (each for each in self.fleet.security_groups() if each.network_id == self.group.network_id)
        found = next((each for each in beside if each.name == name), None)
        return found or group_named(self.call, self.fleet, name)


def _on_ports(protocol: str, first: int | None, last: int | None, *, is_egress: bool) -> Traffic:
    """Return traffic of a protocol on ports, from and to nowhere yet.

    Raises:
        InvalidRule: ports are missing or no ports at all.
    """
    if protocol.lower() in ("tcp", "udp", "6", "17"):
        if first is None or last is None:
            raise InvalidRule("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
        if ANY_PORT in (first, last):
            raise InvalidRule(f"TCP/UDP port ({ANY_PORT}) out of range")
    first, last = (ANY_PORT if port is None else port for port in (first, last))
    return Traffic(is_egress=is_egress, protocol=protocol, first_port=first, last_port=last)


def _block(text: str, *, is_ipv6: bool) -> str:
    if not text or (":" in text) is not is_ipv6:
        raise InvalidRule(f"CIDR block {text} is malformed")
    return text


def rule_description(text: str) -> str:
    """Return the description of a rule, which may be empty.

    Raises:
        Ec2Refusal: it is too long, or has other characters than it may.
    """
    if text and not TEXT.fullmatch(text):
        raise Ec2Refusal("InvalidParameterValue", f"Invalid rule description. {TEXT_ALLOWED}")
    return text


def _unfolded(request: Asked) -> Iterator[shapes.IpPermission]:
    """Yield the permissions that the flat form of a request stands for."""
    base: shapes.IpPermission = {}
    for name in ("IpProtocol", "FromPort", "ToPort"):
        if name in request:
            base[name] = request[name]
    if not (source := request.get("SourceSecurityGroupName", "")):
        yield {**base, "IpRanges": [{"CidrIp": request["CidrIp"]}] if request.get("CidrIp") else []}
        return
    if request.get("CidrIp"):
        raise invalid_combination("SourceSecurityGroupName", "CidrIp")
    pair: shapes.UserIdGroupPair = {"GroupName": source, "UserId": request.get("SourceSecurityGroupOwnerId", "")}
    # A group alone meant every port of these three. Source: AuthorizeSecurityGroupIngress reference.
    for each in [base] if base else _EVERYTHING:
        yield {**each, "UserIdGroupPairs": [pair]}


_EVERYTHING: Sequence[shapes.IpPermission] = (
    {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535},
    {"IpProtocol": "udp", "FromPort": 0, "ToPort": 65535},
    {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1},
)


def replacement(fleet: Fleet, rule: Rule, asked: shapes.SecurityGroupRuleRequest) -> WantedRule:
    """Return what a request asks to put in a rule's place.

    Raises:
        Ec2Refusal: its other end is of another type, it names a group that is not there, or it makes no sense.
        InvalidRule: it makes no sense.
    """
    if asked.get("PrefixListId"):
        raise unsupported_parameter("ModifySecurityGroupRules", "SecurityGroupRule.PrefixListId")
    given = [name for name in ("CidrIpv4", "CidrIpv6", "ReferencedGroupId") if asked.get(name)]
    if len(given) > 1:
        raise invalid_combination(given[0], given[1])
    if given != [_end(rule.traffic)]:
        text = f"The type of a security group rule cannot change; give {_end(rule.traffic)}, as this one has it."
        raise Ec2Refusal("InvalidParameterValue", text)
    if not (protocol := asked.get("IpProtocol", "")):
        raise Ec2Refusal("MissingParameter", "The request must contain the parameter IpProtocol")
    traffic = _on_ports(protocol, asked.get("FromPort"), asked.get("ToPort"), is_egress=rule.traffic.is_egress)
    if text := asked.get("ReferencedGroupId", ""):
        traffic = replace(traffic, group_id=_of_id(fleet, text).id)
    else:
        is_ipv6 = rule.traffic.is_ipv6
        traffic = replace(traffic, block=_block(asked["CidrIpv6" if is_ipv6 else "CidrIpv4"], is_ipv6=is_ipv6))
    return WantedRule(traffic.checked(), rule_description(asked.get("Description", "")))


def _end(traffic: Traffic) -> str:
    """Return what the other end of a rule is called."""
    if traffic.group_id is not None:
        return "ReferencedGroupId"
    return "CidrIpv6" if traffic.is_ipv6 else "CidrIpv4"


# --- writing


def permissions_of(group: SecurityGroup, rules: Iterable[Rule]) -> list[shapes.IpPermission]:
    """Return rules as EC2 tells them: together those that differ in their other ends only."""
    alike: dict[tuple[str, int, int], list[Rule]] = {}
    for rule in rules:
        traffic = rule.traffic
        alike.setdefault((traffic.protocol, traffic.first_port, traffic.last_port), []).append(rule)
    return [_permission(group, same) for same in alike.values()]


def _permission(group: SecurityGroup, rules: Sequence[Rule]) -> shapes.IpPermission:
    traffic = rules[0].traffic
    ranges: list[shapes.IpRange] = []
    wide_ranges: list[shapes.Ipv6Range] = []
    pairs: list[shapes.UserIdGroupPair] = []
    shape: shapes.IpPermission = {
        "IpProtocol": traffic.protocol,
        "UserIdGroupPairs": pairs,
        "IpRanges": ranges,
        "Ipv6Ranges": wide_ranges,
        "PrefixListIds": [],
    }
    if has_ports(traffic):
        shape["FromPort"], shape["ToPort"] = traffic.first_port, traffic.last_port
    for rule in rules:
        if rule.traffic.group_id is not None:
            pairs.append(_pair(group, rule.traffic.group_id, rule.description))
        elif rule.traffic.is_ipv6:
            wide_ranges.append(_wide_range(rule))
        else:
            ranges.append(_range(rule))
    return shape


def _pair(group: SecurityGroup, other: SecurityGroupId, description: str) -> shapes.UserIdGroupPair:
    shape: shapes.UserIdGroupPair = {"UserId": ids.owner_id(group.account_id), "GroupId": group_text(other)}
    if description:
        shape["Description"] = description
    return shape


def _range(rule: Rule) -> shapes.IpRange:
    shape: shapes.IpRange = {"CidrIp": rule.traffic.block}
    if rule.description:
        shape["Description"] = rule.description
    return shape


def _wide_range(rule: Rule) -> shapes.Ipv6Range:
    shape: shapes.Ipv6Range = {"CidrIpv6": rule.traffic.block}
    if rule.description:
        shape["Description"] = rule.description
    return shape


def has_ports(traffic: Traffic) -> bool:
    """Return whether ports, or types and codes of ICMP, are told of the traffic."""
    return traffic.protocol in ("tcp", "udp", "icmp", "icmpv6")


def described_rule(fleet: Fleet, group: SecurityGroup, rule: Rule) -> shapes.SecurityGroupRule:
    """Return a rule by itself, with its tags."""
    owner, region = ids.owner_id(group.account_id), fleet.region(fleet.network(group.network_id).region_id)
    traffic = rule.traffic
    shape: shapes.SecurityGroupRule = {
        "SecurityGroupRuleId": ids.spell(ResourceKind.RULE, rule.id),
        "SecurityGroupRuleArn": render.arn(region, group.account_id, ResourceKind.RULE, rule.id),
        "GroupId": group_text(group.id),
        "GroupOwnerId": owner,
        "IsEgress": traffic.is_egress,
        "IpProtocol": traffic.protocol,
        "FromPort": traffic.first_port,
        "ToPort": traffic.last_port,
        "Tags": render.tags(fleet.tags(ResourceKind.RULE, rule.id)),
    }
    if traffic.group_id is not None:
        shape["ReferencedGroupInfo"] = {"GroupId": group_text(traffic.group_id), "UserId": owner}
    elif traffic.is_ipv6:
        shape["CidrIpv6"] = traffic.block
    else:
        shape["CidrIpv4"] = traffic.block
    if rule.description:
        shape["Description"] = rule.description
    return shape


def revoked_rule(group: SecurityGroup, rule: Rule) -> shapes.RevokedSecurityGroupRule:
    """Return a rule as it was before it went."""
    traffic = rule.traffic
    shape: shapes.RevokedSecurityGroupRule = {
        "SecurityGroupRuleId": ids.spell(ResourceKind.RULE, rule.id),
        "GroupId": group_text(group.id),
        "IsEgress": traffic.is_egress,
        "IpProtocol": traffic.protocol,
        "FromPort": traffic.first_port,
        "ToPort": traffic.last_port,
    }
    if traffic.group_id is not None:
        shape["ReferencedGroupId"] = group_text(traffic.group_id)
    elif traffic.is_ipv6:
        shape["CidrIpv6"] = traffic.block
    else:
        shape["CidrIpv4"] = traffic.block
    if rule.description:
        shape["Description"] = rule.description
    return shape
