"""The default network, as tools read it, and the network interfaces of machines."""

import pytest

from core.instances import Power

NETWORK, SUBNET_A, SUBNET_B = "vpc-00000000000000001", "subnet-00000000000000001", "subnet-00000000000000002"
MACHINE, INTERFACE = "i-00000000000000001", "eni-00000000000000001"
LISTS = {
    "describe_vpcs": ("Vpcs", "VpcIds", "vpc-", "InvalidVpcID"),
    "describe_subnets": ("Subnets", "SubnetIds", "subnet-", "InvalidSubnetID"),
    "describe_route_tables": ("RouteTables", "RouteTableIds", "rtb-", "InvalidRouteTableID"),
    "describe_internet_gateways": ("InternetGateways", "InternetGatewayIds", "igw-", "InvalidInternetGatewayID"),
    "describe_network_acls": ("NetworkAcls", "NetworkAclIds", "acl-", "InvalidNetworkAclID"),
}


@pytest.fixture
async def machine(ours, house):
    """A machine that runs, and is reached at the address that its host gave it."""
    [machine] = await ours.run()
    await house.seen(Power.RUNNING, public_address="192.0.2.1")
    return machine


async def listed(customer, operation, **asked):
    return (await getattr(customer, operation)(**asked))[LISTS[operation][0]]


def only(name, *values):
    return {"Filters": [{"Name": name, "Values": [*values]}]}


# --- what everyone has


async def test_everyone_has_one_network_which_is_the_default_one(ours, theirs):
    [mine] = await listed(ours, "describe_vpcs")
    [other] = await listed(theirs, "describe_vpcs")
    assert (mine["VpcId"], mine["IsDefault"], mine["State"]) == (NETWORK, True, "available")
    assert mine["CidrBlockAssociationSet"][0]["CidrBlock"] == mine["CidrBlock"]
    assert other["VpcId"] != mine["VpcId"]
    assert other["OwnerId"] != mine["OwnerId"]


async def test_every_zone_of_the_region_has_a_subnet(ours):
    shown = await listed(ours, "describe_subnets")
    assert [(each["SubnetId"], each["AvailabilityZone"]) for each in shown] == [
        (SUBNET_A, "eu-1a"),
        (SUBNET_B, "eu-1b"),
    ]
    assert {each["VpcId"] for each in shown} == {NETWORK}
    assert all(each["DefaultForAz"] and each["MapPublicIpOnLaunch"] for each in shown)
    assert shown[0]["SubnetArn"] == f"arn:aws:ec2:eu-1:{shown[0]['OwnerId']}:subnet/{SUBNET_A}"


async def test_each_machine_takes_one_address_of_its_subnet_until_it_is_gone(ours, house):
    before = {each["SubnetId"]: each["AvailableIpAddressCount"] for each in await listed(ours, "describe_subnets")}
    machines = await ours.run(3)
    left = {each["SubnetId"]: each["AvailableIpAddressCount"] for each in await listed(ours, "describe_subnets")}
    assert left == before | {SUBNET_B: before[SUBNET_B] - 3}
    await ours.terminate_instances(InstanceIds=machines)
    await house.seen(Power.ABSENT)
    again = {each["SubnetId"]: each["AvailableIpAddressCount"] for each in await listed(ours, "describe_subnets")}
    assert again == before


async def test_machines_reach_one_another_and_everyone_else(ours):
    [table] = await listed(ours, "describe_route_tables")
    [gateway] = await listed(ours, "describe_internet_gateways")
    [vpc] = await listed(ours, "describe_vpcs")
    assert [(each["DestinationCidrBlock"], each["GatewayId"]) for each in table["Routes"]] == [
        (vpc["CidrBlock"], "local"),
        ("0.0.0.0/0", gateway["InternetGatewayId"]),
    ]
    assert [each["Main"] for each in table["Associations"]] == [True]
    assert gateway["Attachments"] == [{"State": "available", "VpcId": NETWORK}]


async def test_the_default_list_keeps_nothing_out_of_any_subnet(ours):
    [acl] = await listed(ours, "describe_network_acls")
    assert [each["SubnetId"] for each in acl["Associations"]] == [SUBNET_A, SUBNET_B]
    assert [(each["Egress"], each["RuleNumber"], each["RuleAction"]) for each in acl["Entries"]] == [
        (True, 100, "allow"),
        (True, 32767, "deny"),
        (False, 100, "allow"),
        (False, 32767, "deny"),
    ]


async def test_facts_stay_what_they_are(ours):
    first = [await listed(ours, operation) for operation in LISTS]
    assert [await listed(ours, operation) for operation in LISTS] == first


@pytest.mark.parametrize(
    ("attribute", "member", "value"),
    [
        ("enableDnsSupport", "EnableDnsSupport", True),
        ("enableDnsHostnames", "EnableDnsHostnames", True),
        ("enableNetworkAddressUsageMetrics", "EnableNetworkAddressUsageMetrics", False),
    ],
)
async def test_attributes_of_a_network_are_those_of_a_default_one(ours, attribute, member, value):
    shown = await ours.describe_vpc_attribute(VpcId=NETWORK, Attribute=attribute)
    assert (shown["VpcId"], shown[member]) == (NETWORK, {"Value": value})


async def test_other_attributes_are_refused(ours):
    assert await ours.code("describe_vpc_attribute", VpcId=NETWORK, Attribute="no-such") == "InvalidParameterValue"
    unknown = await ours.code("describe_vpc_attribute", VpcId="vpc-12345678", Attribute="enableDnsSupport")
    assert unknown == "InvalidVpcID.NotFound"


# --- naming and filtering them


@pytest.mark.parametrize("operation", LISTS)
async def test_things_are_described_by_id_and_those_of_others_are_unknown(ours, theirs, operation):
    _, asked, prefix, code = LISTS[operation]
    one = f"{prefix}00000000000000001"
    assert len(await listed(ours, operation, **{asked: [one, one]})) == 1
    assert await theirs.code(operation, **{asked: [one]}) == f"{code}.NotFound"
    assert await ours.code(operation, **{asked: [one, f"{prefix}12345678"]}) == f"{code}.NotFound"
    assert await ours.code(operation, **{asked: ["x"]}) == f"{code}.Malformed"


@pytest.mark.parametrize("operation", LISTS)
async def test_ids_and_a_size_go_together_as_in_ec2(ours, operation):
    # The SDK for Ruby asks so. Source: aws/aws-sdk-ruby#3028.
    _, asked, prefix, _ = LISTS[operation]
    assert len(await listed(ours, operation, **{asked: [f"{prefix}00000000000000001"], "MaxResults": 5})) == 1


@pytest.mark.parametrize("action", ["Vpcs", "Subnets", "RouteTables", "InternetGateways", "NetworkAcls"])
@pytest.mark.parametrize("size", ["4", "1001"])
async def test_a_page_has_its_bounds(ec2, action, size):
    assert (await ec2.ask(f"Describe{action}", {"MaxResults": size})).code == "InvalidParameterValue"


async def test_route_tables_come_in_pages_of_a_hundred(ec2):
    codes = [(await ec2.ask("DescribeRouteTables", {"MaxResults": size})).code for size in ("100", "101")]
    assert codes == ["", "InvalidParameterValue"]


@pytest.mark.parametrize("operation", LISTS)
async def test_tags_are_put_on_everything_and_found(ours, operation):
    one = f"{LISTS[operation][2]}00000000000000001"
    assert len(await listed(ours, operation)) >= 1
    await ours.create_tags(Resources=[one], Tags=[{"Key": "a", "Value": "b"}])
    for name, value in {"tag:a": "b", "tag-key": "a"}.items():
        [shown] = await listed(ours, operation, **only(name, value))
        assert shown["Tags"] == [{"Key": "a", "Value": "b"}]
    assert await listed(ours, operation, **only("tag:a", "c")) == []


FILTERS = {
    "describe_vpcs": {
        "cidr": "10.0.0.0/8",
        "cidr-block-association.association-id": "vpc-cidr-assoc-00000000000000001",
        "cidr-block-association.cidr-block": "10.*",
        "cidr-block-association.state": "associated",
        "dhcp-options-id": "dopt-00000000000000001",
        "is-default": "true",
        "isDefault": "true",
        "owner-id": "100000000001",
        "state": "available",
        "vpc-id": NETWORK,
    },
    "describe_subnets": {
        "availability-zone": "eu-1a",
        "availability-zone-id": "eu-1a",
        "availabilityZone": "eu-1a",
        "available-ip-address-count": "65531",
        "cidr-block": "10.1.0.0/16",
        "cidrBlock": "10.1.0.0/16",
        "default-for-az": "true",
        "defaultForAz": "true",
        "map-public-ip-on-launch": "true",
        "owner-id": "100000000001",
        "private-dns-name-options-on-launch.hostname-type": "ip-name",
        "state": "available",
        "subnet-arn": f"*/{SUBNET_A}",
        "subnet-id": SUBNET_A,
        "vpc-id": NETWORK,
    },
    "describe_route_tables": {
        "association.main": "true",
        "association.route-table-association-id": "rtbassoc-00000000000000001",
        "association.route-table-id": "rtb-00000000000000001",
        "owner-id": "100000000001",
        "route-table-id": "rtb-00000000000000001",
        "route.destination-cidr-block": "0.0.0.0/0",
        "route.gateway-id": "igw-00000000000000001",
        "route.origin": "CreateRoute",
        "route.state": "active",
        "vpc-id": NETWORK,
    },
    "describe_internet_gateways": {
        "attachment.state": "available",
        "attachment.vpc-id": NETWORK,
        "internet-gateway-id": "igw-00000000000000001",
        "owner-id": "100000000001",
    },
    "describe_network_acls": {
        "association.association-id": "aclassoc-00000000000000002",
        "association.network-acl-id": "acl-00000000000000001",
        "association.subnet-id": SUBNET_B,
        "default": "true",
        "entry.cidr": "0.0.0.0/0",
        "entry.egress": "false",
        "entry.protocol": "-1",
        "entry.rule-action": "deny",
        "entry.rule-number": "32767",
        "network-acl-id": "acl-00000000000000001",
        "owner-id": "100000000001",
        "vpc-id": NETWORK,
    },
}


@pytest.mark.parametrize(("operation", "name"), [(each, name) for each in FILTERS for name in FILTERS[each]])
async def test_a_filter_finds_what_it_describes_and_nothing_else(ours, operation, name):
    first = (await listed(ours, operation))[0]
    assert (await listed(ours, operation, **only(name, FILTERS[operation][name])))[0] == first
    assert await listed(ours, operation, **only(name, "no-such")) == []


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("describe_vpcs", "ipv6-cidr-block-association.state"),
        ("describe_subnets", "outpost-arn"),
        ("describe_route_tables", "route.nat-gateway-id"),
        ("describe_route_tables", "association.subnet-id"),
        ("describe_network_acls", "entry.ipv6-cidr"),
        ("describe_network_acls", "entry.icmp.code"),
    ],
)
async def test_what_nothing_here_has_is_found_nowhere(ours, operation, name):
    assert await listed(ours, operation, **only(name, "*")) == []


@pytest.mark.parametrize("operation", LISTS)
async def test_a_filter_that_ec2_does_not_have_is_refused(ours, operation):
    assert await ours.code(operation, **only("no-such", "x")) == "InvalidParameterValue"


# --- network interfaces


async def interface(customer, **asked):
    [shown] = (await customer.describe_network_interfaces(**asked))["NetworkInterfaces"]
    return shown


async def test_a_machine_has_an_interface_that_agrees_with_what_the_machine_says(ours, machine):
    shown, told = await interface(ours), await ours.machine(machine)
    [same] = told["NetworkInterfaces"]
    assert shown["NetworkInterfaceId"] == INTERFACE
    for name in (
        "NetworkInterfaceId",
        "MacAddress",
        "SubnetId",
        "VpcId",
        "OwnerId",
        "PrivateIpAddress",
        "PrivateDnsName",
        "Groups",
        "SourceDestCheck",
        "Status",
        "InterfaceType",
        "PrivateIpAddresses",
        "Association",
        "Description",
        "Ipv6Addresses",
    ):
        assert shown[name] == same[name], name
    assert shown["Attachment"]["AttachmentId"] == same["Attachment"]["AttachmentId"]
    assert shown["Attachment"]["InstanceId"] == machine
    assert shown["Association"]["PublicIp"] == told["PublicIpAddress"] == "192.0.2.1"
    assert "AllocationId" not in shown["Association"]


async def test_an_address_that_is_bound_is_the_interfaces(ours, machine):
    held = await ours.allocate_address()
    bound = await ours.associate_address(NetworkInterfaceId=INTERFACE, AllocationId=held["AllocationId"])
    shown = await interface(ours)
    assert shown["Association"] == {
        "AllocationId": held["AllocationId"],
        "AssociationId": bound["AssociationId"],
        "IpOwnerId": shown["OwnerId"],
        "PublicDnsName": "",
        "PublicIp": held["PublicIp"],
    }
    for name, value in {
        "addresses.association.owner-id": shown["OwnerId"],
        "addresses.association.public-ip": held["PublicIp"],
        "association.allocation-id": held["AllocationId"],
        "association.association-id": bound["AssociationId"],
        "association.ip-owner-id": shown["OwnerId"],
        "association.public-ip": held["PublicIp"],
    }.items():
        assert await interface(ours, **only(name, value)) == shown, name


async def test_every_filter_finds_the_interface(ours, machine):
    shown = await interface(ours)
    await ours.create_tags(Resources=[INTERFACE], Tags=[{"Key": "a", "Value": "b"}])
    for name, value in {
        "addresses.primary": "true",
        "addresses.private-ip-address": shown["PrivateIpAddress"],
        "attachment.attach-time": shown["Attachment"]["AttachTime"].strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "attachment.attachment-id": shown["Attachment"]["AttachmentId"],
        "attachment.delete-on-termination": "true",
        "attachment.device-index": "0",
        "attachment.instance-id": machine,
        "attachment.instance-owner-id": shown["OwnerId"],
        "attachment.status": "attached",
        "availability-zone": "eu-1b",
        "availability-zone-id": "eu-1b",
        "group-id": shown["Groups"][0]["GroupId"],
        "group-name": "default",
        "interface-type": "interface",
        "mac-address": shown["MacAddress"],
        "network-interface-id": INTERFACE,
        "owner-id": shown["OwnerId"],
        "private-dns-name": shown["PrivateDnsName"],
        "private-ip-address": shown["PrivateIpAddress"],
        "requester-managed": "false",
        "source-dest-check": "true",
        "status": "in-use",
        "subnet-id": SUBNET_B,
        "vpc-id": NETWORK,
        "tag:a": "b",
    }.items():
        assert (await interface(ours, **only(name, value)))["NetworkInterfaceId"] == INTERFACE, name
        nothing = await ours.describe_network_interfaces(**only(name, "no-such"))
        assert nothing["NetworkInterfaces"] == [], name


async def test_the_interface_goes_with_its_machine(ours, house, machine):
    await ours.terminate_instances(InstanceIds=[machine])
    assert (await interface(ours))["NetworkInterfaceId"] == INTERFACE
    await house.seen(Power.ABSENT)
    assert (await ours.describe_network_interfaces())["NetworkInterfaces"] == []
    code = await ours.code("describe_network_interfaces", NetworkInterfaceIds=[INTERFACE])
    assert code == "InvalidNetworkInterfaceID.NotFound"


async def test_interfaces_come_in_pages_and_not_together_with_ids(ours):
    await ours.run(7)
    pages = await ours.pages("describe_network_interfaces", PaginationConfig={"PageSize": 5})
    assert [len(page["NetworkInterfaces"]) for page in pages] == [5, 2]
    asked = {"NetworkInterfaceIds": [INTERFACE], "MaxResults": 5}
    assert await ours.code("describe_network_interfaces", **asked) == "InvalidParameterCombination"


async def test_the_interfaces_of_others_are_unknown(theirs, machine):
    asked = {"NetworkInterfaceIds": [INTERFACE]}
    assert await theirs.code("describe_network_interfaces", **asked) == "InvalidNetworkInterfaceID.NotFound"


@pytest.mark.parametrize(
    ("attribute", "member"),
    [
        ("attachment", "Attachment"),
        ("groupSet", "Groups"),
        ("sourceDestCheck", "SourceDestCheck"),
        ("description", "Description"),
        ("associatePublicIpAddress", "AssociatePublicIpAddress"),
    ],
)
async def test_an_attribute_of_an_interface_is_told_alone(ours, machine, attribute, member):
    told = await ours.describe_network_interface_attribute(NetworkInterfaceId=INTERFACE, Attribute=attribute)
    assert told.keys() - {"ResponseMetadata"} == {"NetworkInterfaceId", member}
    shown = (await interface(ours)).get(member)
    same = {"SourceDestCheck": {"Value": shown}, "Description": {"Value": shown}, "AssociatePublicIpAddress": True}
    assert told[member] == same.get(member, shown)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "InvalidParameterCombination"),
        ({"Attribute": "no-such"}, "InvalidParameterValue"),
        ({"NetworkInterfaceId": "eni-12345678", "Attribute": "groupSet"}, "InvalidNetworkInterfaceID.NotFound"),
    ],
)
async def test_no_other_attribute_of_an_interface_is_told(ours, machine, asked, code):
    known = {"NetworkInterfaceId": INTERFACE} | asked
    assert await ours.code("describe_network_interface_attribute", **known) == code


async def test_the_groups_of_an_interface_are_its_machines(ours, house, machine):
    group = (await ours.create_security_group(GroupName="web", Description="it"))["GroupId"]
    house.woken.clear()
    await ours.modify_network_interface_attribute(NetworkInterfaceId=INTERFACE, Groups=[group])
    assert [each["GroupId"] for each in (await ours.machine(machine))["SecurityGroups"]] == [group]
    assert house.woken == [1]
    assert await ours.code("delete_security_group", GroupId=group) == "DependencyViolation"


async def test_a_machine_passes_on_what_is_not_for_it_if_allowed(ours, machine):
    change = {"NetworkInterfaceId": INTERFACE, "SourceDestCheck": {"Value": False}}
    await ours.modify_network_interface_attribute(**change)
    assert (await ours.machine(machine))["SourceDestCheck"] is False
    assert (await interface(ours))["SourceDestCheck"] is False


async def test_what_is_so_anyway_may_be_asked_for(ours, machine):
    attachment = {"AttachmentId": "eni-attach-00000000000000001", "DeleteOnTermination": True}
    await ours.modify_network_interface_attribute(NetworkInterfaceId=INTERFACE, Attachment=attachment)
    await ours.modify_network_interface_attribute(NetworkInterfaceId=INTERFACE, Description={"Value": ""})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "InvalidParameterCombination"),
        ({"Groups": ["GROUP"], "SourceDestCheck": {"Value": True}}, "InvalidParameterCombination"),
        ({"Groups": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"Groups": ["web"]}, "InvalidGroupId.Malformed"),
        ({"Description": {"Value": "mine"}}, "UnsupportedOperation"),
        (
            {"Attachment": {"AttachmentId": "eni-attach-00000000000000001", "DeleteOnTermination": False}},
            "UnsupportedOperation",
        ),
        ({"Attachment": {"AttachmentId": "eni-attach-1"}}, "InvalidAttachmentID.NotFound"),
        ({"AssociatePublicIpAddress": True}, "UnsupportedOperation"),
        ({"NetworkInterfaceId": "eni-12345678", "Groups": []}, "InvalidNetworkInterfaceID.NotFound"),
    ],
)
async def test_what_cannot_be_set_on_an_interface_is_refused(ours, machine, change, code):
    before = await interface(ours)
    assert await ours.code("modify_network_interface_attribute", **({"NetworkInterfaceId": INTERFACE} | change)) == code
    assert await interface(ours) == before


async def test_a_machine_is_in_five_groups_and_no_more(ours, machine):
    made = [
        (await ours.create_security_group(GroupName=f"web{number}", Description="it"))["GroupId"] for number in range(6)
    ]
    await ours.modify_network_interface_attribute(NetworkInterfaceId=INTERFACE, Groups=made[:5])
    code = await ours.code("modify_network_interface_attribute", NetworkInterfaceId=INTERFACE, Groups=made)
    assert code == "SecurityGroupsPerInterfaceLimitExceeded"
