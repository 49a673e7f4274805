"""Security groups: who may reach the machines in them, and whom these may reach, in words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from aiohttp import web

from core.catalogue import Region
from core.errors import (
    DefaultGroup,
    GroupExists,
    GroupInUse,
    InvalidRule,
    LimitReached,
    RuleExists,
    TooManyRules,
    UnknownResource,
    UnknownRule,
)
from core.fleet import Fleet
from core.ids import RuleId, SecurityGroupId
from core.kinds import ResourceKind
from core.securitygroups import (
    ANY_PORT,
    ANY_PROTOCOL,
    DEFAULT_NAME,
    TEXT,
    TEXT_IN_WORDS,
    Rule,
    SecurityGroup,
    Traffic,
)
from core.service.groups import WantedRule
from protocols import ids
from protocols.console.forms import Form
from protocols.console.listing import named
from protocols.console.paging import leaf
from protocols.console.routes import Pages, Visit

pages = Pages()

_MOST_SHOWN = 50
_LAST_PORT = 65535
_PORTS = re.compile(r"([0-9]{1,5})(?:\s*(?:-|to)\s*([0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Preset:
    """What a rule can be for, as it is offered. With `has_ports`, they are asked for."""

    words: str
    protocol: str
    first_port: int = ANY_PORT
    last_port: int = ANY_PORT
    has_ports: bool = False


_PRESETS: Mapping[str, Preset] = {
    "ssh": Preset("ssh (tcp 22)", "tcp", 22, 22),
    "http": Preset("http (tcp 80)", "tcp", 80, 80),
    "https": Preset("https (tcp 443)", "tcp", 443, 443),
    "rdp": Preset("Remote Desktop (tcp 3389)", "tcp", 3389, 3389),
    "tcp": Preset("tcp, ports below", "tcp", has_ports=True),
    "udp": Preset("udp, ports below", "udp", has_ports=True),
    "icmp": Preset("ping and all other ICMP (IPv4)", "icmp"),
    "icmpv6": Preset("ping and all other ICMP (IPv6)", "icmpv6"),
    "all": Preset("everything", ANY_PROTOCOL),
}
_DIRECTIONS = [("in", "in: who may reach these machines"), ("out", "out: whom these machines may reach")]
_KNOWN_PORTS = {preset.first_port: name for name, preset in _PRESETS.items() if preset.first_port != ANY_PORT}


@dataclass(frozen=True, slots=True)
class Line:
    """A group as lists show it."""

    group: SecurityGroup
    region: Region
    members: int


@dataclass(frozen=True, slots=True)
class RuleInWords:
    """A rule as people read it; `peer_id` is the group at the other end, if it is one."""

    rule: Rule
    traffic: str
    peer: str
    peer_id: SecurityGroupId | None


# --- the list


@pages.get("security-groups")
async def show(visit: Visit) -> web.StreamResponse:
    """Return the account's groups, region by region."""
    fleet = await visit.core.networked_fleet(visit.calling)
    groups = sorted(fleet.security_groups(), key=lambda group: (group.network_id, group.id))
    page = leaf(groups, visit.query)
    counts = _member_counts(fleet)
    lines = [Line(group, _region(fleet, group), counts.get(group.id, 0)) for group in page.items]
    return await visit.page("security_groups.html", leaf=page, lines=lines)


@pages.get("security-groups/new")
async def show_new(visit: Visit) -> web.StreamResponse:
    """Return the form to make a group."""
    fleet = await visit.core.networked_fleet(visit.calling)
    return await visit.page("security_group_new.html", regions=_regions(fleet))


@pages.post("security-groups/new", again=show_new, fields={GroupExists: "name", LimitReached: "name"})
async def make(visit: Visit) -> web.StreamResponse:
    """Make a group."""
    form, fleet = visit.form, await visit.core.networked_fleet(visit.calling)
    name, description = form.text("name", what="a name for the group"), _words(form, "description")
    if name and not TEXT.fullmatch(name):
        form.refuse("name", f"Use {TEXT_IN_WORDS}.")
    if name.lower() == DEFAULT_NAME or name.lower().startswith("sg-"):
        form.refuse("name", f"A group cannot be called {name}; neither sg-… nor default can be chosen.")
    region = form.choice("region", dict(_regions(fleet)))
    form.require()
    network = next(each for each in fleet.networks() if fleet.region(each.region_id).name == region)
    group = await visit.core.groups.create(visit.calling, name, description, {}, network.id)
    return visit.go(_path(group.id), f"The group {name} lets nobody in yet; add rules below.")


# --- one group


@pages.get("security-groups/{group}")
async def show_group(visit: Visit) -> web.StreamResponse:
    """Return a group with its rules and its machines."""
    fleet = await visit.core.networked_fleet(visit.calling)
    group = _group(visit, fleet)
    members = [each for each in fleet.instances() if group.id in each.group_ids and not each.has_ended]
    siblings = [each for each in fleet.security_groups() if each.network_id == group.network_id]
    return await visit.page(
        "security_group.html",
        group=group,
        region=_region(fleet, group),
        rules={way: _in_words(fleet, group, is_egress=way == "out") for way, _ in _DIRECTIONS},
        members=[(each, named(fleet, each)) for each in members[:_MOST_SHOWN]],
        more=len(members[_MOST_SHOWN:]),
        directions=_DIRECTIONS,
        presets=[(key, preset.words) for key, preset in _PRESETS.items()],
        groups=[("", "none"), *((_spelled(each.id), each.name) for each in siblings)],
    )


@pages.post(
    "security-groups/{group}/rules",
    again=show_group,
    fields={InvalidRule: "block", RuleExists: "", TooManyRules: "", UnknownResource: "peer"},
)
async def add_rule(visit: Visit) -> web.StreamResponse:
    """Add a rule to a group."""
    fleet = await visit.core.networked_fleet(visit.calling)
    group = _group(visit, fleet)
    wanted = _rule(visit.form, fleet, group)
    await visit.core.groups.authorize(visit.calling, group.id, [wanted], {})
    return visit.go(_path(group.id), "The rule is added, for every machine in the group.")


@pages.post("security-groups/{group}/rules/{rule}/remove", again=show_group, fields={UnknownRule: ""})
async def remove_rule(visit: Visit) -> web.StreamResponse:
    """Remove a rule from a group."""
    group = _group(visit, await visit.core.networked_fleet(visit.calling))
    await visit.core.groups.revoke_rules(visit.calling, group.id, [RuleId(visit.number("rule", "sgr-"))])
    return visit.go(_path(group.id), "The rule is removed.")


@pages.post("security-groups/{group}/delete", again=show_group, fields={DefaultGroup: "", GroupInUse: ""})
async def delete(visit: Visit) -> web.StreamResponse:
    """Delete a group, once that is confirmed."""
    group = _group(visit, await visit.core.networked_fleet(visit.calling))
    if not visit.form.flag("confirmed"):
        return await visit.page(
            "confirm.html",
            title=f"Delete the security group {group.name}?",
            text="It goes with all its rules.",
            lost=[f"{group.name}, {_spelled(group.id)}, with {len(group.rules)} rules"],
            path=f"{_path(group.id)}/delete",
            values=[],
            label="Delete it",
            back=_path(group.id),
        )
    await visit.core.groups.delete(visit.calling, group.id)
    return visit.go("security-groups", f"The group {group.name} is deleted.")


def _group(visit: Visit, fleet: Fleet) -> SecurityGroup:
    return fleet.security_group(SecurityGroupId(visit.number("group", "sg-")))


def _spelled(number: SecurityGroupId) -> str:
    return ids.spell(ResourceKind.SECURITY_GROUP, number)


def _path(number: SecurityGroupId) -> str:
    return f"security-groups/{_spelled(number)}"


def _region(fleet: Fleet, group: SecurityGroup) -> Region:
    return fleet.region(fleet.network(group.network_id).region_id)


def _regions(fleet: Fleet) -> Sequence[tuple[str, str]]:
    return [(region.name, f"{region.name} ({region.geo})") for region in fleet.regions()]


def _member_counts(fleet: Fleet) -> Mapping[SecurityGroupId, int]:
    counts: dict[SecurityGroupId, int] = {}
    for machine in fleet.instances():
        for group_id in () if machine.has_ended else machine.group_ids:
            counts[group_id] = counts.get(group_id, 0) + 1
    return counts


# --- rules read from a form


def _rule(form: Form, fleet: Fleet, group: SecurityGroup) -> WantedRule:
    """Return the rule that the form asks for.

    Raises:
        FormRefused: something in it is wrong.
    """
    way = form.choice("direction", dict(_DIRECTIONS), "in")
    preset = _PRESETS.get(form.choice("traffic", _PRESETS), _PRESETS["all"])
    first, last = _ports(form, preset)
    block, peer = _block(form.text("block", is_required=False)), form.value("peer")
    by_id = {_spelled(each.id): each.id for each in fleet.security_groups() if each.network_id == group.network_id}
    if peer and peer not in by_id:
        form.refuse("peer", "That security group is not there any more; choose another.")
    if bool(block) is bool(peer):
        form.refuse("block", "Give either addresses, such as 203.0.113.0/24, or a security group.")
    description = _words(form, "rule_description")
    form.require()
    traffic = Traffic(way == "out", preset.protocol, first, last, block, by_id.get(peer))
    return WantedRule(traffic, description)


def _ports(form: Form, preset: Preset) -> tuple[int, int]:
    if not preset.has_ports:
        return preset.first_port, preset.last_port
    text = form.text("ports", is_required=False)
    if not text:
        return ANY_PORT, ANY_PORT
    found = _PORTS.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (-1, -1)
    if not 0 <= first <= last <= _LAST_PORT:
        form.refuse("ports", "Give a port, such as 22, or several, such as 8000-8100; empty for all of them.")
    return first, last


def _block(text: str) -> str:
    """Return a block of addresses; a single address is a block of one."""
    try:
        return f"{text}/{ip_address(text).max_prefixlen}"
    except ValueError:
        return text


def _words(form: Form, name: str) -> str:
    text = form.text(name, is_required=False)
    if text and not TEXT.fullmatch(text):
        form.refuse(name, f"Use {TEXT_IN_WORDS}.")
    return text


# --- rules in words

_ANYWHERE = {"0.0.0.0/0": "anywhere (IPv4)", "::/0": "anywhere (IPv6)"}


def _in_words(fleet: Fleet, group: SecurityGroup, *, is_egress: bool) -> Sequence[RuleInWords]:
    rules = (rule for rule in group.rules if rule.traffic.is_egress is is_egress)
    return [RuleInWords(rule, _traffic(rule.traffic), *_peer(fleet, group, rule.traffic)) for rule in rules]


def _traffic(traffic: Traffic) -> str:
    """Return what is let through: "everything", "tcp 22 (ssh)", "udp 5000 to 5100", "tcp, all ports", "icmp"."""
    first, last = traffic.first_port, traffic.last_port
    if traffic.protocol == ANY_PROTOCOL:
        return "everything"
    if traffic.protocol.startswith("icmp"):
        kind = "" if first == ANY_PORT else f" type {first}"
        return f"{traffic.protocol}{kind}{'' if last == ANY_PORT else f' code {last}'}"
    if first == ANY_PORT:
        return f"protocol {traffic.protocol}"
    if (first, last) == (0, _LAST_PORT):
        return f"{traffic.protocol}, all ports"
    if first != last:
        return f"{traffic.protocol} {first} to {last}"
    known = _KNOWN_PORTS.get(first, "") if traffic.protocol == "tcp" else ""
    return f"{traffic.protocol} {first}{f' ({known})' if known else ''}"


def _peer(fleet: Fleet, group: SecurityGroup, traffic: Traffic) -> tuple[str, SecurityGroupId | None]:
    if traffic.group_id is None:
        return _ANYWHERE.get(traffic.block, traffic.block), None
    if traffic.group_id == group.id:
        return "machines in this group", group.id
    return f"machines in {fleet.security_group(traffic.group_id).name}", traffic.group_id
