"""Security groups and their rules in words."""

import pytest

from core.kinds import ResourceKind
from core.securitygroups import Traffic
from protocols.console.views.groups import _traffic
from protocols.ids import spell

EVIL = '"><script>alert(1)</script>'


def path_of(group):
    return f"security-groups/{spell(ResourceKind.SECURITY_GROUP, group.id)}"


async def rules(house, group):
    fleet = await house.core.networked_fleet(house.caller())
    return [rule.traffic for rule in fleet.security_group(group.id).rules if not rule.traffic.is_egress]


async def test_every_region_has_its_default_group(console):
    page = await console.get("security-groups")
    assert [row.startswith("default") for row in page.texts("tbody tr")] == [True, True]


async def test_a_group_is_made_in_a_region_and_deleted(console, house):
    page = await console.post("security-groups/new", {"name": "web", "description": "all of it", "region": "ap-1"})
    path = page.leads_to
    assert "in ap-1" in (await console.get(path)).visible
    assert "web" in (await console.post(f"{path}/delete")).visible
    assert (await console.post(f"{path}/delete", {"confirmed": "yes"})).leads_to == "security-groups"
    assert (await console.get(path)).status == 404


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"name": ""}, "name"),
        ({"name": "web"}, "name"),
        ({"name": "Default"}, "name"),
        ({"name": "sg-1"}, "name"),
        ({"name": EVIL}, "name"),
        ({"name": "fine", "description": EVIL}, "description"),
        ({"name": "fine", "region": "moon"}, "region"),
    ],
)
async def test_a_group_that_cannot_be_is_refused_at_its_field(console, ours, fields, name):
    page = await console.post("security-groups/new", {"region": "eu-1", **fields})
    assert page.status == 422
    assert page.problem(name)
    assert page.value("name") == fields["name"]
    assert "<script>alert" not in page.text


async def test_rules_are_told_in_words(console, house, ours):
    page = await console.get(path_of(ours.group))
    assert "tcp 80 (http) anywhere (IPv4)" in page.text_of("tbody tr")
    assert "everything anywhere (IPv4)" in page.texts("tbody")[1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"traffic": "ssh", "block": "198.51.100.7"}, Traffic(False, "tcp", 22, 22, "198.51.100.7/32")),
        ({"traffic": "https", "block": "2001:db8::/32"}, Traffic(False, "tcp", 443, 443, "2001:db8::/32")),
        ({"traffic": "udp", "ports": "53", "block": "0.0.0.0/0"}, Traffic(False, "udp", 53, 53, "0.0.0.0/0")),
        ({"traffic": "tcp", "ports": "1 - 9", "block": "::/0"}, Traffic(False, "tcp", 1, 9, "::/0")),
        ({"traffic": "tcp", "block": "::/0"}, Traffic(False, "tcp", 0, 65535, "::/0")),
        ({"traffic": "all", "block": "10.0.0.0/8"}, Traffic(False, "-1", -1, -1, "10.0.0.0/8")),
    ],
)
async def test_a_rule_is_added_and_removed(console, house, ours, fields, expected):
    path = path_of(ours.group)
    assert (await console.post(f"{path}/rules", {"direction": "in", **fields})).leads_to == path
    assert expected in await rules(house, ours.group)
    fleet = await house.core.networked_fleet(house.caller())
    [number] = [each.id for each in fleet.security_group(ours.group.id).rules if each.traffic == expected]
    await console.done(f"{path}/rules/{spell(ResourceKind.RULE, number)}/remove")
    assert expected not in await rules(house, ours.group)


async def test_a_rule_may_name_a_group_of_the_same_network(console, house, ours):
    path = path_of(ours.group)
    page = await console.done(
        f"{path}/rules",
        {"direction": "in", "traffic": "ssh", "peer": spell(ResourceKind.SECURITY_GROUP, ours.group.id)},
    )
    assert "machines in this group" in page.visible


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"traffic": "ssh"}, "block"),
        ({"traffic": "ssh", "block": "nowhere"}, "block"),
        ({"traffic": "ssh", "block": EVIL}, "block"),
        ({"traffic": "tcp", "ports": "70000", "block": "0.0.0.0/0"}, "ports"),
        ({"traffic": "tcp", "ports": "9-1", "block": "0.0.0.0/0"}, "ports"),
        ({"traffic": "icmp6", "block": "0.0.0.0/0"}, "traffic"),
        ({"traffic": "ssh", "block": "0.0.0.0/0", "direction": "up"}, "direction"),
        ({"traffic": "ssh", "peer": "sg-00000000000000fff"}, "peer"),
        ({"traffic": "ssh", "block": "0.0.0.0/0", "rule_description": EVIL}, "rule_description"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused_at_its_field(console, house, ours, fields, name):
    before = await rules(house, ours.group)
    page = await console.post(f"{path_of(ours.group)}/rules", {"direction": "in", **fields})
    assert page.status == 422
    assert page.problem(name)
    assert page.value("traffic") in (fields["traffic"], None)
    assert "<script>alert" not in page.text
    assert await rules(house, ours.group) == before


async def test_the_same_rule_twice_is_told(console, ours):
    page = await console.post(f"{path_of(ours.group)}/rules", {"traffic": "http", "block": "0.0.0.0/0"})
    assert "already exists" in page.problems[0]


async def test_a_group_in_use_and_the_default_one_stay(console, house, ours):
    fleet = await house.core.networked_fleet(ours.caller)
    default = next(each for each in fleet.security_groups() if each.is_default)
    page = await console.post(f"{path_of(default)}/delete", {"confirmed": "yes"})
    assert "default" in page.problems[0]
    assert "m1" in (await console.get(path_of(default))).visible


@pytest.mark.parametrize("route", ["", "/rules", "/delete", "/rules/sgr-1/remove"])
async def test_anothers_group_is_not_found(console, theirs, route):
    path, fields = f"{path_of(theirs.group)}{route}", {"traffic": "ssh", "block": "0.0.0.0/0", "confirmed": "yes"}
    if route == "":
        assert (await console.get(path)).status == 404
        assert (await console.get("security-groups/sg-0")).status == 404
    else:
        assert (await console.post(path, fields)).status == 404


@pytest.mark.parametrize(
    ("traffic", "words"),
    [
        (Traffic(False, "-1"), "everything"),
        (Traffic(False, "tcp", 22, 22), "tcp 22 (ssh)"),
        (Traffic(False, "udp", 22, 22), "udp 22"),
        (Traffic(False, "udp", 5000, 5100), "udp 5000 to 5100"),
        (Traffic(False, "tcp", 0, 65535), "tcp, all ports"),
        (Traffic(False, "icmp", 8, -1), "icmp type 8"),
        (Traffic(False, "icmp", 8, 0), "icmp type 8 code 0"),
        (Traffic(False, "47"), "protocol 47"),
    ],
)
def test_traffic_reads_as_people_say_it(traffic, words):
    assert _traffic(traffic) == words
