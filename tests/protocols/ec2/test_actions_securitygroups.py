"""Security groups, as boto3 makes them, and in the flat form of old clients."""

import asyncio

import pytest

from tests.protocols.ec2.served import served

ANYWHERE, WIDE = "0.0.0.0/0", "::/0"
NOWHERE, NO_RULE = "sg-0123456789abcdef0", "sgr-0123456789abcdef0"
RULE_TAGS = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "a", "Value": "b"}]}]


def ssh(*blocks, **more):
    """Return the permission of ssh from blocks."""
    return {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": each} for each in blocks]} | more


@pytest.fixture
async def group(ours):
    """The id of a group called web."""
    return (await ours.create_security_group(GroupName="web", Description="what it is for"))["GroupId"]


async def groups(customer, **asked):
    return (await customer.describe_security_groups(**asked))["SecurityGroups"]


async def the_group(customer, group):
    [shown] = await groups(customer, GroupIds=[group])
    return shown


async def rules(customer, group, *, is_egress=False):
    wanted = [{"Name": "group-id", "Values": [group]}]
    shown = (await customer.describe_security_group_rules(Filters=wanted))["SecurityGroupRules"]
    return [rule for rule in shown if rule["IsEgress"] is is_egress]


# --- groups


async def test_a_new_group_lets_everything_out_and_nothing_in(ours):
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = await ours.create_security_group(GroupName="web", Description="it", TagSpecifications=tags)
    shown = await the_group(ours, made["GroupId"])
    assert made["GroupId"].startswith("sg-")
    assert made["SecurityGroupArn"] == shown["SecurityGroupArn"]
    assert made["SecurityGroupArn"] == f"arn:aws:ec2:eu-1:{shown['OwnerId']}:security-group/{made['GroupId']}"
    assert made["Tags"] == shown["Tags"] == [{"Key": "a", "Value": "b"}]
    assert (shown["GroupName"], shown["Description"], shown["IpPermissions"]) == ("web", "it", [])
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANYWHERE}]}
    nobody = {"UserIdGroupPairs": [], "Ipv6Ranges": [], "PrefixListIds": []}
    assert shown["IpPermissionsEgress"] == [everything | nobody]


async def test_everyone_has_a_default_group(ours):
    [shown] = await groups(ours)
    assert (shown["GroupName"], shown["VpcId"]) == ("default", "vpc-00000000000000001")
    assert (await groups(ours, GroupNames=["default"])) == [shown]


async def test_a_group_may_name_its_network(ours):
    [default] = await groups(ours)
    made = await ours.create_security_group(GroupName="web", Description="it", VpcId=default["VpcId"])
    assert (await the_group(ours, made["GroupId"]))["VpcId"] == default["VpcId"]
    asked = {"GroupName": "db", "Description": "it"}
    assert await ours.code("create_security_group", VpcId="vpc-0123456789abcdef0", **asked) == "InvalidVpcID.NotFound"
    assert await ours.code("create_security_group", VpcId="vpc-x", **asked) == "InvalidVpcID.Malformed"


@pytest.mark.parametrize("name", ["w", "w" * 255, "a b._-:/()#,@[]+=&;{}!$*Z9"])
async def test_names_that_ec2_takes_are_taken(ours, name):
    made = await ours.create_security_group(GroupName=name, Description=name)
    assert (await the_group(ours, made["GroupId"]))["GroupName"] == name


@pytest.mark.parametrize(
    ("name", "description", "code"),
    [
        ("w" * 256, "it", "InvalidParameterValue"),
        ("w\xfc", "it", "InvalidParameterValue"),
        ("sg-web", "it", "InvalidParameterValue"),
        ("default", "it", "InvalidParameterValue"),
        ("", "it", "MissingParameter"),
        ("db", "", "MissingParameter"),
        ("db", "i" * 256, "InvalidParameterValue"),
        ("db", "it\n", "InvalidParameterValue"),
        ("web", "it", "InvalidGroup.Duplicate"),
    ],
)
async def test_a_group_that_cannot_be_is_refused(ours, group, name, description, code):
    assert await ours.code("create_security_group", GroupName=name, Description=description) == code
    assert len(await groups(ours)) == 2


@pytest.mark.parametrize("named", [{"GroupName": "web"}, {"GroupId": "GROUP"}])
async def test_a_group_is_deleted_by_either_name(ours, group, named):
    asked = {name: group if value == "GROUP" else value for name, value in named.items()}
    deleted = await ours.delete_security_group(**asked)
    assert (deleted["Return"], deleted["GroupId"]) == (True, group)
    assert await ours.code("describe_security_groups", GroupIds=[group]) == "InvalidGroup.NotFound"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"GroupId": NOWHERE}, "InvalidGroup.NotFound"),
        ({"GroupId": "web"}, "InvalidGroupId.Malformed"),
        ({"GroupName": "db"}, "InvalidGroup.NotFound"),
        ({"GroupName": "default"}, "CannotDelete"),
        ({"GroupId": NOWHERE, "GroupName": "web"}, "InvalidParameterCombination"),
    ],
)
async def test_what_cannot_be_deleted_is_not(ours, group, asked, code):
    assert await ours.code("delete_security_group", **asked) == code
    assert len(await groups(ours)) == 2


async def test_a_group_that_another_names_is_not_deleted(ours, group):
    other = (await ours.create_security_group(GroupName="db", Description="it"))["GroupId"]
    pair = {"UserIdGroupPairs": [{"GroupId": group}]}
    await ours.authorize_security_group_ingress(GroupId=other, IpPermissions=[ssh(**pair)])
    assert await ours.code("delete_security_group", GroupId=group) == "DependencyViolation"
    await ours.delete_security_group(GroupId=other)
    await ours.delete_security_group(GroupId=group)


async def test_the_default_group_is_not_deleted_with_machines_in_it_or_without(ours):
    await ours.run()
    [default] = await groups(ours)
    assert await ours.code("delete_security_group", GroupId=default["GroupId"]) == "CannotDelete"


# --- rules


async def test_a_rule_is_told_by_its_making_and_by_both_descriptions(ours, group):
    asked = {"GroupId": group, "TagSpecifications": RULE_TAGS}
    permission = ssh(IpRanges=[{"CidrIp": "192.0.2.7/24", "Description": "the office"}])
    made = await ours.authorize_security_group_ingress(IpPermissions=[permission], **asked)
    [rule] = made["SecurityGroupRules"]
    shown = await the_group(ours, group)
    assert made["Return"] is True
    assert rule == {
        "SecurityGroupRuleId": rule["SecurityGroupRuleId"],
        "SecurityGroupRuleArn": (
            f"arn:aws:ec2:eu-1:{shown['OwnerId']}:security-group-rule/{rule['SecurityGroupRuleId']}"
        ),
        "GroupId": group,
        "GroupOwnerId": shown["OwnerId"],
        "IsEgress": False,
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "CidrIpv4": "192.0.2.0/24",
        "Description": "the office",
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    assert await rules(ours, group) == [rule]
    [told] = shown["IpPermissions"]
    assert told["IpRanges"] == [{"CidrIp": "192.0.2.0/24", "Description": "the office"}]


async def test_rules_that_differ_in_their_ends_only_are_told_together(ours, group):
    [default] = await groups(ours, GroupNames=["default"])
    pairs = [{"GroupId": group, "Description": "itself"}, {"GroupName": "default", "UserId": default["OwnerId"]}]
    permission = ssh("192.0.2.0/24", "198.51.100.0/24", Ipv6Ranges=[{"CidrIpv6": WIDE}], UserIdGroupPairs=pairs)
    web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "IpRanges": [{"CidrIp": ANYWHERE}]}
    await ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission, web])
    await ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh("203.0.113.0/24")])
    first, second = (await the_group(ours, group))["IpPermissions"]
    blocks = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]
    assert first == {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": block} for block in blocks],
        "Ipv6Ranges": [{"CidrIpv6": WIDE}],
        "PrefixListIds": [],
        "UserIdGroupPairs": [
            {"GroupId": group, "UserId": default["OwnerId"], "Description": "itself"},
            {"GroupId": default["GroupId"], "UserId": default["OwnerId"]},
        ],
    }
    assert (second["FromPort"], second["ToPort"]) == (80, 81)


async def test_what_is_told_of_a_group_can_be_sent_back_to_make_and_to_revoke_it(ours, group):
    permission = ssh("192.0.2.0/24", UserIdGroupPairs=[{"GroupId": group}], Ipv6Ranges=[{"CidrIpv6": WIDE}])
    await ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    told = (await the_group(ours, group))["IpPermissions"]
    other = (await ours.create_security_group(GroupName="db", Description="it"))["GroupId"]
    await ours.authorize_security_group_ingress(GroupId=other, IpPermissions=told)
    assert (await the_group(ours, other))["IpPermissions"] == told
    revoked = await ours.revoke_security_group_ingress(GroupId=other, IpPermissions=told)
    assert len(revoked["RevokedSecurityGroupRules"]) == 3
    assert (await the_group(ours, other))["IpPermissions"] == []


@pytest.mark.parametrize(
    ("permission", "protocol", "ports"),
    [
        ({"IpProtocol": "6", "FromPort": 1, "ToPort": 2}, "tcp", (1, 2)),
        ({"IpProtocol": "-1", "FromPort": 0, "ToPort": 0}, "-1", (None, None)),
        ({"IpProtocol": "50", "FromPort": 0, "ToPort": 0}, "50", (None, None)),
        ({"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1}, "icmp", (8, -1)),
        ({"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1}, "icmp", (-1, -1)),
        ({"IpProtocol": "icmpv6"}, "icmpv6", (-1, -1)),
        ({"IpProtocol": "UDP", "FromPort": 0, "ToPort": 65535}, "udp", (0, 65535)),
    ],
)
async def test_protocols_and_ports_are_told_in_one_spelling(ours, group, permission, protocol, ports):
    asked = {"GroupId": group, "IpPermissions": [permission | {"IpRanges": [{"CidrIp": ANYWHERE}]}]}
    [rule] = (await ours.authorize_security_group_ingress(**asked))["SecurityGroupRules"]
    [told] = (await the_group(ours, group))["IpPermissions"]
    assert (told["IpProtocol"], rule["IpProtocol"]) == (protocol, protocol)
    assert (told.get("FromPort"), told.get("ToPort")) == ports
    assert (rule["FromPort"], rule["ToPort"]) == tuple(-1 if port is None else port for port in ports)
    assert await ours.code("authorize_security_group_ingress", **asked) == "InvalidPermission.Duplicate"


BLOCK = {"IpRanges": [{"CidrIp": ANYWHERE}]}


@pytest.mark.parametrize(
    ("permission", "code"),
    [
        ({"IpProtocol": "tcp"} | BLOCK, "InvalidParameterValue"),
        ({"IpProtocol": "tcp", "FromPort": 1} | BLOCK, "InvalidParameterValue"),
        ({"IpProtocol": "tcp", "FromPort": 2, "ToPort": 1} | BLOCK, "InvalidParameterValue"),
        ({"IpProtocol": "tcp", "FromPort": -1, "ToPort": -1} | BLOCK, "InvalidParameterValue"),
        ({"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65536} | BLOCK, "InvalidParameterValue"),
        ({"IpProtocol": "no-such"} | BLOCK, "InvalidParameterValue"),
        ({"IpProtocol": "256"} | BLOCK, "InvalidParameterValue"),
        ({"FromPort": 1, "ToPort": 1} | BLOCK, "MissingParameter"),
        (ssh(), "MissingParameter"),
        (ssh("192.0.2.0"), "InvalidParameterValue"),
        (ssh("192.0.2.0/33"), "InvalidParameterValue"),
        (ssh(WIDE), "InvalidParameterValue"),
        (ssh(ANYWHERE, ANYWHERE), "InvalidParameterValue"),
        (ssh(Ipv6Ranges=[{"CidrIpv6": ANYWHERE}]), "InvalidParameterValue"),
        (ssh(IpRanges=[{"CidrIp": ANYWHERE, "Description": "\xfc"}]), "InvalidParameterValue"),
        (ssh(PrefixListIds=[{"PrefixListId": "pl-1"}]), "UnsupportedOperation"),
        (ssh(UserIdGroupPairs=[{"UserId": "100000000001"}]), "MissingParameter"),
        (ssh(UserIdGroupPairs=[{"GroupId": NOWHERE}]), "InvalidGroup.NotFound"),
        (ssh(UserIdGroupPairs=[{"GroupId": "web"}]), "InvalidGroupId.Malformed"),
        (ssh(UserIdGroupPairs=[{"GroupName": "no-such"}]), "InvalidGroup.NotFound"),
        (ssh(UserIdGroupPairs=[{"GroupName": "web", "UserId": "123456789012"}]), "InvalidGroup.NotFound"),
        (ssh(UserIdGroupPairs=[{"GroupName": "web", "VpcId": "vpc-12345678"}]), "InvalidGroup.NotFound"),
        (ssh(UserIdGroupPairs=[{"GroupName": "web", "VpcPeeringConnectionId": "pcx-1"}]), "UnsupportedOperation"),
    ],
)
@pytest.mark.parametrize("direction", ["ingress", "egress"])
async def test_a_rule_that_makes_no_sense_is_refused_and_so_are_those_beside_it(
    ours, group, permission, code, direction
):
    before = await the_group(ours, group)
    fine = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53} | BLOCK
    asked = {"GroupId": group, "IpPermissions": [fine, permission]}
    assert await ours.code(f"authorize_security_group_{direction}", **asked) == code
    assert await the_group(ours, group) == before


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"GroupId": "GROUP"}, "MissingParameter"),
        ({"IpPermissions": [ssh(ANYWHERE)]}, "MissingParameter"),
        ({"GroupId": NOWHERE, "IpPermissions": [ssh(ANYWHERE)]}, "InvalidGroup.NotFound"),
        ({"GroupName": "no-such", "IpPermissions": [ssh(ANYWHERE)]}, "InvalidGroup.NotFound"),
        ({"GroupId": "GROUP", "IpPermissions": [ssh(ANYWHERE)], "CidrIp": ANYWHERE}, "InvalidParameterCombination"),
    ],
)
async def test_making_a_rule_needs_a_group_and_a_rule(ours, group, asked, code):
    known = {name: group if value == "GROUP" else value for name, value in asked.items()}
    assert await ours.code("authorize_security_group_ingress", **known) == code


async def test_a_group_has_sixty_rules_in_a_direction_and_no_more(ours, group):
    blocks = [f"192.0.2.{number}/32" for number in range(60)]
    await ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh(*blocks)])
    asked = {"GroupId": group, "IpPermissions": [ssh("192.0.2.60/32")]}
    assert await ours.code("authorize_security_group_ingress", **asked) == "RulesPerSecurityGroupLimitExceeded"
    await ours.authorize_security_group_egress(**asked)


# --- the flat form


@pytest.mark.parametrize(
    ("action", "named"),
    [
        ("AuthorizeSecurityGroupIngress", "GroupId"),
        ("AuthorizeSecurityGroupIngress", "GroupName"),
        ("AuthorizeSecurityGroupEgress", "GroupId"),
    ],
)
async def test_a_rule_may_be_given_flat(ec2, ours, group, action, named):
    flat = {"IpProtocol": "tcp", "FromPort": "0", "ToPort": "22", "CidrIp": "192.0.2.0/24"}
    answer = await ec2.ask(action, {named: {"GroupId": group, "GroupName": "web"}[named]} | flat)
    assert answer.root.findtext("{*}return") == "true"
    made = (await rules(ours, group, is_egress=action.endswith("Egress")))[-1]
    assert (made["FromPort"], made["ToPort"], made["CidrIpv4"]) == (0, 22, "192.0.2.0/24")
    undo = action.replace("Authorize", "Revoke")
    assert (await ec2.ask(undo, {"GroupId": group} | flat)).root.findtext("{*}return") == "true"
    assert made not in await rules(ours, group, is_egress=action.endswith("Egress"))


async def test_a_group_given_flat_and_alone_means_every_port(ec2, ours, group):
    flat = {"GroupName": "web", "SourceSecurityGroupName": "default", "SourceSecurityGroupOwnerId": ""}
    assert (await ec2.ask("AuthorizeSecurityGroupIngress", flat)).code == ""
    shown = [(each["IpProtocol"], each["FromPort"], each["ToPort"]) for each in await rules(ours, group)]
    assert shown == [("tcp", 0, 65535), ("udp", 0, 65535), ("icmp", -1, -1)]
    assert (await ec2.ask("RevokeSecurityGroupIngress", flat)).code == ""
    assert await rules(ours, group) == []


async def test_a_group_given_flat_with_ports_means_these(ec2, ours, group):
    flat = {"IpProtocol": "tcp", "FromPort": "22", "ToPort": "22", "SourceSecurityGroupName": "default"}
    assert (await ec2.ask("AuthorizeSecurityGroupIngress", {"GroupName": "web"} | flat)).code == ""
    [rule] = await rules(ours, group)
    assert (rule["FromPort"], "ReferencedGroupInfo" in rule) == (22, True)


@pytest.mark.parametrize(
    ("flat", "code"),
    [
        ({"IpProtocol": "tcp", "FromPort": "22", "ToPort": "22"}, "MissingParameter"),
        ({"CidrIp": ANYWHERE}, "MissingParameter"),
        ({"SourceSecurityGroupName": "default", "CidrIp": ANYWHERE}, "InvalidParameterCombination"),
        ({"SourceSecurityGroupName": "default", "SourceSecurityGroupOwnerId": "1"}, "InvalidGroup.NotFound"),
    ],
)
async def test_a_flat_rule_that_makes_no_sense_is_refused(ec2, ours, group, flat, code):
    assert (await ec2.ask("AuthorizeSecurityGroupIngress", {"GroupId": group} | flat)).code == code
    assert await rules(ours, group) == []


async def test_permissions_may_be_counted_from_anywhere_as_boto_2_and_libcloud_do(ec2, ours, group):
    # Sources: boto 2, EC2Connection.authorize_security_group; libcloud, _get_common_security_group_params.
    sent = {
        "GroupId": group,
        "IpPermissions.1.IpProtocol": "tcp",
        "IpPermissions.1.FromPort": "22",
        "IpPermissions.1.ToPort": "22",
        "IpPermissions.1.IpRanges.1.CidrIp": "192.0.2.0/24",
        "IpPermissions.1.Groups.1.GroupName": "web",
        "IpPermissions.1.Groups.1.UserId": f"{ec2.house.ours.account.id}",
    }
    assert (await ec2.ask("AuthorizeSecurityGroupIngress", sent)).root.findtext("{*}return") == "true"
    assert len(await rules(ours, group)) == 2


# --- rules removed


async def test_terraform_takes_away_what_a_new_group_lets_out(ours, group):
    everything = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0}
    first = {"GroupId": group, "IpPermissions": [everything | {"IpRanges": [{"CidrIp": ANYWHERE}]}]}
    second = {"GroupId": group, "IpPermissions": [everything | {"Ipv6Ranges": [{"CidrIpv6": WIDE}]}]}
    [gone] = (await ours.revoke_security_group_egress(**first))["RevokedSecurityGroupRules"]
    assert (gone["IpProtocol"], gone["CidrIpv4"], gone["IsEgress"]) == ("-1", ANYWHERE, True)
    unknown = await ours.revoke_security_group_egress(**second)
    assert unknown["Return"] is True
    assert unknown["RevokedSecurityGroupRules"] == []
    assert [each["Ipv6Ranges"] for each in unknown["UnknownIpPermissions"]] == [[{"CidrIpv6": WIDE}]]
    assert (await the_group(ours, group))["IpPermissionsEgress"] == []


async def test_what_is_there_is_revoked_and_what_is_not_is_told(ours, group):
    await ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh("192.0.2.0/24", "198.51.100.0/24")])
    asked = {"GroupName": "web", "IpPermissions": [ssh("192.0.2.0/24", ANYWHERE)]}
    revoked = await ours.revoke_security_group_ingress(**asked)
    assert [rule["CidrIpv4"] for rule in revoked["RevokedSecurityGroupRules"]] == ["192.0.2.0/24"]
    assert [each["IpRanges"] for each in revoked["UnknownIpPermissions"]] == [[{"CidrIp": ANYWHERE}]]
    assert [rule["CidrIpv4"] for rule in await rules(ours, group)] == ["198.51.100.0/24"]


async def test_rules_are_revoked_by_their_ids(ours, group):
    asked = {"GroupId": group, "IpPermissions": [ssh("192.0.2.0/24", "198.51.100.0/24")]}
    first, second = (await ours.authorize_security_group_ingress(**asked))["SecurityGroupRules"]
    named = [first["SecurityGroupRuleId"]]
    revoked = await ours.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=named)
    assert [rule["SecurityGroupRuleId"] for rule in revoked["RevokedSecurityGroupRules"]] == named
    assert await rules(ours, group) == [second]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"SecurityGroupRuleIds": ["KNOWN", NO_RULE]}, "InvalidSecurityGroupRuleId.NotFound"),
        ({"SecurityGroupRuleIds": ["sgr-x"]}, "InvalidSecurityGroupRuleId.Malformed"),
        ({"SecurityGroupRuleIds": ["KNOWN"], "IpPermissions": [ssh(ANYWHERE)]}, "InvalidParameterCombination"),
        ({}, "MissingParameter"),
    ],
)
async def test_a_revocation_that_makes_no_sense_is_refused_whole(ours, group, asked, code):
    made = await ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh(ANYWHERE)])
    known = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    if texts := asked.get("SecurityGroupRuleIds"):
        asked = asked | {"SecurityGroupRuleIds": [known if text == "KNOWN" else text for text in texts]}
    assert await ours.code("revoke_security_group_ingress", GroupId=group, **asked) == code
    assert len(await rules(ours, group)) == 1


async def test_an_egress_rule_is_none_of_the_ingress_rules(ours, group):
    [rule] = await rules(ours, group, is_egress=True)
    asked = {"GroupId": group, "SecurityGroupRuleIds": [rule["SecurityGroupRuleId"]]}
    assert await ours.code("revoke_security_group_ingress", **asked) == "InvalidSecurityGroupRuleId.NotFound"


async def test_the_tags_of_a_rule_go_with_it(ours, group):
    asked = {"GroupId": group, "IpPermissions": [ssh(ANYWHERE)]}
    await ours.authorize_security_group_ingress(TagSpecifications=RULE_TAGS, **asked)
    await ours.revoke_security_group_ingress(**asked)
    assert (await ours.describe_tags())["Tags"] == []


# --- rules changed


@pytest.fixture
async def rule(ours, group):
    """The id of the rule that lets ssh in."""
    permission = ssh(IpRanges=[{"CidrIp": ANYWHERE, "Description": "all"}])
    made = await ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]


async def test_a_rule_changes_and_keeps_its_id(ours, group, rule):
    other = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 54, "CidrIpv4": "192.0.2.0/24", "Description": "names"}
    update = {"SecurityGroupRuleId": rule, "SecurityGroupRule": other}
    assert (await ours.modify_security_group_rules(GroupId=group, SecurityGroupRules=[update]))["Return"] is True
    [shown] = await rules(ours, group)
    assert {name: shown[name] for name in other} == other
    assert shown["SecurityGroupRuleId"] == rule


TCP = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (TCP, "InvalidParameterValue"),
        (TCP | {"CidrIpv6": WIDE}, "InvalidParameterValue"),
        (TCP | {"ReferencedGroupId": NOWHERE}, "InvalidParameterValue"),
        (TCP | {"CidrIpv4": ANYWHERE, "CidrIpv6": WIDE}, "InvalidParameterCombination"),
        (TCP | {"PrefixListId": "pl-1"}, "UnsupportedOperation"),
        (TCP | {"CidrIpv4": "192.0.2.0"}, "InvalidParameterValue"),
        ({"CidrIpv4": ANYWHERE}, "MissingParameter"),
        ({"CidrIpv4": ANYWHERE, "IpProtocol": "tcp"}, "InvalidParameterValue"),
        ({}, "InvalidParameterValue"),
        (ssh() | {"CidrIpv4": "192.0.2.0/24"}, "InvalidPermission.Duplicate"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(ours, group, rule, change, code):
    await ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh("192.0.2.0/24")])
    before = await rules(ours, group)
    change = {name: value for name, value in change.items() if name != "IpRanges"}
    update = {"SecurityGroupRuleId": rule, "SecurityGroupRule": change}
    assert await ours.code("modify_security_group_rules", GroupId=group, SecurityGroupRules=[update]) == code
    assert await rules(ours, group) == before


async def test_only_rules_of_the_group_are_changed_and_each_once(ours, group, rule):
    fine = TCP | {"CidrIpv4": ANYWHERE}
    for names, code in (
        ([rule, rule], "InvalidParameterValue"),
        ([rule, NO_RULE], "InvalidSecurityGroupRuleId.NotFound"),
    ):
        updates = [{"SecurityGroupRuleId": name, "SecurityGroupRule": fine} for name in names]
        assert await ours.code("modify_security_group_rules", GroupId=group, SecurityGroupRules=updates) == code


async def test_descriptions_change_by_permission_and_by_id(ours, group, rule):
    change = ours.update_security_group_rule_descriptions_ingress
    permission = ssh(IpRanges=[{"CidrIp": ANYWHERE, "Description": "new"}])
    await change(GroupName="web", IpPermissions=[permission])
    assert (await rules(ours, group))[0]["Description"] == "new"
    named = {"SecurityGroupRuleId": rule, "Description": "newer"}
    await change(GroupId=group, SecurityGroupRuleDescriptions=[named])
    assert (await rules(ours, group))[0]["Description"] == "newer"
    await change(GroupId=group, IpPermissions=[ssh(ANYWHERE)])
    assert "Description" not in (await rules(ours, group))[0]


async def test_descriptions_of_egress_rules_change(ours, group):
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANYWHERE, "Description": "all"}]}
    await ours.update_security_group_rule_descriptions_egress(GroupId=group, IpPermissions=[everything])
    assert (await rules(ours, group, is_egress=True))[0]["Description"] == "all"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"IpPermissions": [ssh("192.0.2.0/24")]}, "InvalidPermission.NotFound"),
        ({"SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": NO_RULE}]}, "InvalidSecurityGroupRuleId.NotFound"),
        ({"SecurityGroupRuleDescriptions": [{"Description": "x"}]}, "MissingParameter"),
        (
            {"SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": NO_RULE}], "IpPermissions": [ssh(ANYWHERE)]},
            "InvalidParameterCombination",
        ),
        ({}, "MissingParameter"),
    ],
)
async def test_a_description_of_no_rule_is_refused(ours, group, rule, asked, code):
    assert await ours.code("update_security_group_rule_descriptions_ingress", GroupId=group, **asked) == code
    assert (await rules(ours, group))[0]["Description"] == "all"


# --- looking


async def test_groups_are_described_by_id_and_name_in_order(ours, group):
    [default, web] = await groups(ours)
    assert await groups(ours, GroupNames=["web"], GroupIds=[default["GroupId"], group]) == [default, web]
    assert await groups(ours, GroupNames=["web"]) == [web]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"GroupIds": [NOWHERE]}, "InvalidGroup.NotFound"),
        ({"GroupIds": ["x"]}, "InvalidGroupId.Malformed"),
        ({"GroupNames": ["no-such"]}, "InvalidGroup.NotFound"),
        ({"Filters": [{"Name": "no-such", "Values": ["x"]}]}, "InvalidParameterValue"),
    ],
)
async def test_groups_that_are_not_there_are_refused(ours, group, asked, code):
    assert await ours.code("describe_security_groups", **asked) == code


async def test_every_filter_finds_the_group(ours, group):
    shown = await the_group(ours, group)
    await ours.create_tags(Resources=[group], Tags=[{"Key": "a", "Value": "b"}])
    permission = ssh("192.0.2.0/24", Ipv6Ranges=[{"CidrIpv6": WIDE}], UserIdGroupPairs=[{"GroupId": group}])
    for direction in (ours.authorize_security_group_ingress, ours.authorize_security_group_egress):
        await direction(GroupId=group, IpPermissions=[permission])
    of_rules = {
        "cidr": "192.0.2.0/24",
        "ipv6-cidr": WIDE,
        "from-port": "22",
        "to-port": "22",
        "protocol": "tcp",
        "group-id": group,
        "group-name": "web",
        "user-id": shown["OwnerId"],
    }
    filters = {"description": "what it*", "group-id": group, "group-name": "w?b", "tag:a": "b", "tag-key": "a"}
    filters |= {f"ip-permission.{name}": value for name, value in of_rules.items()}
    filters |= {f"egress.ip-permission.{name}": value for name, value in of_rules.items()}
    for name, value in filters.items():
        found = await groups(ours, Filters=[{"Name": name, "Values": [value]}])
        assert group in [each["GroupId"] for each in found], name
        assert await groups(ours, Filters=[{"Name": name, "Values": ["no-such"]}]) == [], name
    for name, value in {"owner-id": shown["OwnerId"], "vpc-id": shown["VpcId"]}.items():
        assert len(await groups(ours, Filters=[{"Name": name, "Values": [value]}])) == 2
    for name in ("ip-permission.prefix-list-id", "egress.ip-permission.prefix-list-id"):
        assert await groups(ours, Filters=[{"Name": name, "Values": ["*"]}]) == []


async def test_groups_and_rules_come_in_pages(ours):
    for number in range(6):
        await ours.create_security_group(GroupName=f"web{number}", Description="it")
    pages = await ours.pages("describe_security_groups", PaginationConfig={"PageSize": 5})
    assert [len(page["SecurityGroups"]) for page in pages] == [5, 2]
    pages = await ours.pages("describe_security_group_rules", PaginationConfig={"PageSize": 5})
    assert [len(page["SecurityGroupRules"]) for page in pages] == [5, 4]


async def test_rules_are_described_by_id_and_tag(ours, group):
    asked = {"GroupId": group, "IpPermissions": [ssh(ANYWHERE)], "TagSpecifications": RULE_TAGS}
    [made] = (await ours.authorize_security_group_ingress(**asked))["SecurityGroupRules"]
    name = made["SecurityGroupRuleId"]
    for wanted in (
        {"SecurityGroupRuleIds": [name]},
        {"Filters": [{"Name": "security-group-rule-id", "Values": [name]}]},
        {"Filters": [{"Name": "tag:a", "Values": ["b"]}]},
    ):
        assert (await ours.describe_security_group_rules(**wanted))["SecurityGroupRules"] == [made]
    code = await ours.code("describe_security_group_rules", SecurityGroupRuleIds=[NO_RULE])
    assert code == "InvalidSecurityGroupRuleId.NotFound"


async def test_groups_of_others_are_unknown(ours, theirs, group):
    assert [each["GroupName"] for each in await groups(theirs)] == ["default"]
    assert await theirs.code("describe_security_groups", GroupIds=[group]) == "InvalidGroup.NotFound"
    permission = ssh(UserIdGroupPairs=[{"GroupId": group}])
    asked = {"GroupName": "default", "IpPermissions": [permission]}
    assert await theirs.code("authorize_security_group_ingress", **asked) == "InvalidGroup.NotFound"


async def test_ten_rules_made_at_once_are_all_there(ours, group):
    made = [
        ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh(f"192.0.2.{number}/32")])
        for number in range(10)
    ]
    await asyncio.gather(*made)
    assert len(await rules(ours, group)) == 10


async def test_where_all_regions_are_seen_a_name_is_looked_for_at_home_first(house, ec2):
    async with served(house, dialect="gigenet") as running:
        shown = await running.ask("DescribeSecurityGroups", {"GroupName.1": "default"})
        assert len(shown.root.findall(".//securityGroupInfo/item")) == 1
        assert len((await running.ask("DescribeSecurityGroups")).root.findall(".//securityGroupInfo/item")) == 2
