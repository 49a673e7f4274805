"""Security groups: named sets of rules about who may reach the machines in them, and whom these may reach."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_network

from core.errors import InvalidRule, RuleExists, TooManyRules, UnknownRule
from core.ids import AccountId, NetworkId, RuleId, SecurityGroupId

DEFAULT_NAME = "default"
MOST_RULES = 60
"""The most rules of a group in each direction. Source: Amazon VPC quotas."""
MOST_GROUPS = 5
"""The most groups of one machine. Source: Amazon VPC quotas."""

TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}", re.ASCII)
"""What names and descriptions may be. Source: CreateSecurityGroup and IpRange references."""
TEXT_IN_WORDS = "1 to 255 of the characters a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*"

ANY_PROTOCOL, ANY_PORT = "-1", -1
_ANYWHERE = "0.0.0.0/0"
_SSH_PORT, _LAST_PORT, _MOST_TYPE, _LAST_PROTOCOL = 22, 65535, 255, 255
_WITH_PORTS, _WITH_TYPES = frozenset({"tcp", "udp"}), frozenset({"icmp", "icmpv6"})
_PROTOCOLS = _WITH_PORTS | _WITH_TYPES | {ANY_PROTOCOL}
_NUMBER = re.compile("[0-9]{1,3}")
_NAMED_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": ANY_PROTOCOL}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a rule lets through, in one direction, and the other end: a CIDR block, or the machines of a group.

    `protocol` is tcp, udp, icmp, icmpv6, a number, or -1 for all. The ports are the first and last of tcp and udp, type
    and code of ICMP, and -1 where any will do.
    """

    is_egress: bool
    protocol: str
    first_port: int = ANY_PORT
    last_port: int = ANY_PORT
    block: str = ""
    group_id: SecurityGroupId | None = None

    def checked(self) -> "Traffic":
        """Return the same in its one spelling.

        Raises:
            InvalidRule: it makes no sense.
        """
        protocol = _protocol(self.protocol.lower())
        first, last = _ports(protocol, self.first_port, self.last_port)
        if bool(self.block) is (self.group_id is not None):
            raise InvalidRule("A rule needs a CIDR block or a group, and not both.")
        return replace(self, protocol=protocol, first_port=first, last_port=last, block=_block(self.block))

    @property
    def is_ipv6(self) -> bool:
        """Whether the other end is a block of IPv6 addresses."""
        return ":" in self.block


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a group."""

    id: RuleId
    traffic: Traffic
    description: str = ""


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A group of an account's network; its rules are in the order in which they were made."""

    id: SecurityGroupId
    account_id: AccountId
    network_id: NetworkId
    name: str
    description: str
    created_at: datetime
    rules: tuple[Rule, ...] = ()

    @property
    def is_default(self) -> bool:
        """Whether machines are in it that were booked without naming any; it cannot be deleted."""
        return self.name == DEFAULT_NAME


def initial_traffic(group_id: SecurityGroupId, *, is_default: bool) -> Sequence[tuple[Traffic, str]]:
    """Return what the rules of a new group let through, each with its description.

    Every group lets its machines reach everything. The default group lets its machines reach one another, as EC2's
    does, and everyone reach their ssh: who books without knowing of groups, as through ZeroSix, must be able to log in.
    """
    out = (Traffic(is_egress=True, protocol=ANY_PROTOCOL, block=_ANYWHERE), "")
    if not is_default:
        return [out]
    ssh = Traffic(is_egress=False, protocol="tcp", first_port=_SSH_PORT, last_port=_SSH_PORT, block=_ANYWHERE)
    among = Traffic(is_egress=False, protocol=ANY_PROTOCOL, group_id=group_id)
    return [(among, ""), (ssh, "ssh from anywhere"), out]


def with_rules(group: SecurityGroup, added: Sequence[Rule]) -> SecurityGroup:
    """Return the group with more rules, whose traffic has been checked.

    Raises:
        RuleExists: it lets one of them through already, or one is given twice.
        TooManyRules: there would be more than `MOST_RULES` in a direction.
    """
    known = {rule.traffic for rule in group.rules}
    for rule in added:
        if rule.traffic in known:
            raise RuleExists(spelled(rule.traffic))
        known.add(rule.traffic)
    rules = (*group.rules, *added)
    for is_egress in (False, True):
        if sum(rule.traffic.is_egress is is_egress for rule in rules) > MOST_RULES:
            raise TooManyRules(MOST_RULES)
    return replace(group, rules=rules)


def without_traffic(group: SecurityGroup, removed: Iterable[Traffic]) -> tuple[SecurityGroup, Sequence[Rule]]:
    """Return the group without the rules that let this through, and these rules.

    Raises:
        UnknownRule: no rule lets one of them through.
    """
    by_traffic = {rule.traffic: rule for rule in group.rules}
    gone = []
    for traffic in removed:
        if traffic not in by_traffic:
            raise UnknownRule(spelled(traffic))
        gone.append(by_traffic[traffic])
    return _without(group, gone), gone


def without_rules(group: SecurityGroup, ids: Iterable[RuleId]) -> tuple[SecurityGroup, Sequence[Rule]]:
    """Return the group without some rules, and these.

    Raises:
        UnknownRule: the group has no such rule.
    """
    gone = [rule_of(group, rule_id) for rule_id in ids]
    return _without(group, gone), gone


def rule_of(group: SecurityGroup, rule_id: RuleId) -> Rule:
    """Return one rule of the group.

    Raises:
        UnknownRule: it has no such rule.
    """
    found = next((rule for rule in group.rules if rule.id == rule_id), None)
    if found is None:
        raise UnknownRule(str(rule_id))
    return found


def with_changed(group: SecurityGroup, changed: Rule) -> SecurityGroup:
    """Return the group with one rule in place of the one of the same id.

    Raises:
        UnknownRule: it has no such rule.
        RuleExists: another rule lets the same through.
    """
    rule_of(group, changed.id)
    if any(rule.traffic == changed.traffic and rule.id != changed.id for rule in group.rules):
        raise RuleExists(spelled(changed.traffic))
    return replace(group, rules=tuple(changed if rule.id == changed.id else rule for rule in group.rules))


def refers_to(group: SecurityGroup, other: SecurityGroupId) -> bool:
    """Whether a rule of the group names another group, or itself."""
    return any(rule.traffic.group_id == other for rule in group.rules)


def spelled(traffic: Traffic) -> str:
    """Return the traffic in words, for messages."""
    peer = traffic.block or f"group {traffic.group_id}"
    protocol = "ALL" if traffic.protocol == ANY_PROTOCOL else traffic.protocol
    ports = "" if traffic.protocol == ANY_PROTOCOL else f", ports {traffic.first_port} to {traffic.last_port}"
    return f"peer: {peer}, {protocol.upper()}{ports}, {'egress' if traffic.is_egress else 'ingress'}"


def _without(group: SecurityGroup, gone: Sequence[Rule]) -> SecurityGroup:
    ids = {rule.id for rule in gone}
    return replace(group, rules=tuple(rule for rule in group.rules if rule.id not in ids))


def _protocol(name: str) -> str:
    """Return the protocol's one spelling: its name if it has one here, else its number."""
    known = _NAMED_NUMBERS.get(name, name)
    if known in _PROTOCOLS:
        return known
    if _NUMBER.fullmatch(name) and int(name) <= _LAST_PROTOCOL:
        number = str(int(name))
        return _NAMED_NUMBERS.get(number, number)
    raise InvalidRule(f"Protocol {name!r} is none of tcp, udp, icmp, icmpv6, -1 or a number up to {_LAST_PROTOCOL}.")


def _ports(protocol: str, first: int, last: int) -> tuple[int, int]:
    if protocol in _WITH_PORTS:
        if (first, last) == (ANY_PORT, ANY_PORT):
            return 0, _LAST_PORT
        if not 0 <= first <= last <= _LAST_PORT:
            raise InvalidRule(f"Ports {first} to {last} are no range of ports from 0 to {_LAST_PORT}.")
        return first, last
    if protocol in _WITH_TYPES:
        if not (ANY_PORT <= first <= _MOST_TYPE and ANY_PORT <= last <= _MOST_TYPE):
            raise InvalidRule(f"ICMP type {first} and code {last} must be from -1 to {_MOST_TYPE}.")
        return first, last
    return ANY_PORT, ANY_PORT  # whatever was given: the others have no ports


def _block(text: str) -> str:
    if not text:
        return ""
    try:
        # Bits beyond the prefix are cut off, as EC2 does it.
        block = ip_network(text, strict=False)
    except ValueError:
        raise InvalidRule(f"CIDR block {text} is malformed") from None
    if "/" not in text:
        raise InvalidRule(f"CIDR block {text} is malformed")
    return str(block)
