"""What RunInstances can be asked for besides a type and an image: groups, a subnet, addresses, the disk, options."""

import pytest

from core.instances import Power
from tests.protocols.ec2.served import instance_ids

PLAIN = {"ImageId": "debian-12", "InstanceType": "plain", "MinCount": 1, "MaxCount": 1}
RAW = {name: str(value) for name, value in PLAIN.items()}
DISK = "/dev/sda1"


async def booked(ours, **parameters):
    """Return a machine that was booked, as the booking answered."""
    (machine,) = (await ours.run_instances(**(PLAIN | parameters)))["Instances"]
    return machine


async def refusal(ec2, **parameters):
    """Return the code and text with which a booking is refused; nothing may be booked by it."""
    refused = await ec2.customer().refusal("run_instances", **(PLAIN | parameters))
    assert not await ec2.house.machines()
    return refused[1:]


async def with_group(ours, name):
    return (await ours.create_security_group(GroupName=name, Description=name))["GroupId"]


async def subnets(ours):
    """Return the ids of the subnets by the zone's name."""
    return {each["AvailabilityZone"]: each["SubnetId"] for each in (await ours.describe_subnets())["Subnets"]}


def names_of(machine):
    return [group["GroupName"] for group in machine["SecurityGroups"]]


# --- security groups


async def test_without_groups_a_machine_is_in_the_default_one(ours):
    machine = await booked(ours)
    assert names_of(machine) == ["default"]


async def test_groups_are_given_by_id_or_by_name_or_both(ours):
    one = await with_group(ours, "one")
    await with_group(ours, "two")
    assert names_of(await booked(ours, SecurityGroupIds=[one])) == ["one"]
    assert names_of(await booked(ours, SecurityGroups=["two"])) == ["two"]
    assert names_of(await booked(ours, SecurityGroupIds=[one], SecurityGroups=["two", "default"])) == [
        "one",
        "two",
        "default",
    ]
    assert names_of(await booked(ours, SecurityGroupIds=[one, one], SecurityGroups=["one"])) == ["one"]


async def test_the_default_group_can_be_named_by_an_account_that_has_booked_nothing_yet(theirs):
    assert names_of(await booked(theirs, SecurityGroups=["default"])) == ["default"]


async def test_groups_of_the_interface_are_those_of_the_machine(ours):
    one = await with_group(ours, "one")
    machine = await booked(ours, NetworkInterfaces=[{"DeviceIndex": 0, "Groups": [one]}])
    assert names_of(machine) == names_of({"SecurityGroups": machine["NetworkInterfaces"][0]["Groups"]}) == ["one"]


@pytest.mark.parametrize(
    ("groups", "code", "text"),
    [
        (
            {"SecurityGroupIds": ["sg-0123456789abcdef0"]},
            "InvalidGroup.NotFound",
            "The security group 'sg-0123456789abcdef0' does not exist",
        ),
        ({"SecurityGroups": ["no-such"]}, "InvalidGroup.NotFound", "The security group 'no-such' does not exist"),
        ({"SecurityGroups": ["default", ""]}, "InvalidGroup.NotFound", "The security group '' does not exist"),
        ({"SecurityGroupIds": ["default"]}, "InvalidGroupId.Malformed", 'Invalid id: "default" (expecting "sg-...")'),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["vpc-12345678"]}]},
            "InvalidGroupId.Malformed",
            'Invalid id: "vpc-12345678" (expecting "sg-...")',
        ),
    ],
)
async def test_a_group_that_is_not_there_is_refused(ec2, groups, code, text):
    assert await refusal(ec2, **groups) == (code, text)


async def test_a_group_of_others_is_not_there(ec2, theirs):
    foreign = await with_group(theirs, "theirs")
    assert (await refusal(ec2, SecurityGroupIds=[foreign]))[0] == "InvalidGroup.NotFound"
    assert (await refusal(ec2, SecurityGroups=["theirs"]))[0] == "InvalidGroup.NotFound"


async def test_a_machine_is_booked_into_at_most_five_groups(ec2, ours):
    groups = [await with_group(ours, f"g{number}") for number in range(6)]
    assert (await refusal(ec2, SecurityGroupIds=groups))[0] == "SecurityGroupsPerInterfaceLimitExceeded"
    assert len((await booked(ours, SecurityGroupIds=groups[:5]))["SecurityGroups"]) == 5


# --- the subnet and the private address


async def test_a_subnet_chooses_the_zone(ours):
    both = {"InstanceType": "nvidia-titanxp"}
    for zone, subnet in (await subnets(ours)).items():
        for where in ({"SubnetId": subnet}, {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet}]}):
            machine = await booked(ours, **both, **where)
            assert (machine["Placement"]["AvailabilityZone"], machine["SubnetId"]) == (zone, subnet)


async def test_a_subnet_and_its_own_zone_go_together(ours):
    subnet = (await subnets(ours))["eu-1b"]
    machine = await booked(ours, SubnetId=subnet, Placement={"AvailabilityZone": "eu-1b"})
    assert machine["SubnetId"] == subnet


async def test_a_subnet_of_another_zone_than_the_one_that_is_asked_for_is_refused(ec2, ours):
    subnet = (await subnets(ours))["eu-1a"]
    code, text = await refusal(ec2, SubnetId=subnet, Placement={"AvailabilityZone": "eu-1b"})
    assert (code, text) == (
        "InvalidParameterValue",
        "zone: 'eu-1b' is not valid; expected eu-1a, that of the subnet.",
    )


async def test_a_subnet_in_whose_zone_the_type_is_not_offered_is_refused(ec2, ours):
    code, text = await refusal(ec2, SubnetId=(await subnets(ours))["eu-1a"])
    assert code == "Unsupported"
    assert text.endswith("(eu-1a). Please retry your request by choosing eu-1b.")


@pytest.mark.parametrize(
    ("subnet", "code", "text"),
    [
        (
            "subnet-0123456789abcdef0",
            "InvalidSubnetID.NotFound",
            "The subnet ID 'subnet-0123456789abcdef0' does not exist",
        ),
        ("sg-12345678", "InvalidSubnetID.Malformed", 'Invalid id: "sg-12345678" (expecting "subnet-...")'),
    ],
)
async def test_a_subnet_that_is_not_there_is_refused(ec2, subnet, code, text):
    assert await refusal(ec2, SubnetId=subnet) == (code, text)


async def test_a_subnet_of_others_is_not_there(ec2, ours, theirs):
    await ours.describe_subnets()
    foreign = (await subnets(theirs))["eu-1b"]
    assert (await refusal(ec2, SubnetId=foreign))[0] == "InvalidSubnetID.NotFound"


@pytest.mark.parametrize(
    "where",
    [
        {"PrivateIpAddress": "10.2.7.7"},
        {"NetworkInterfaces": [{"DeviceIndex": 0, "PrivateIpAddress": "10.2.7.7"}]},
    ],
)
async def test_a_private_address_may_be_chosen(ours, where):
    machine = await booked(ours, **where)
    (interface,) = machine["NetworkInterfaces"]
    assert (machine["PrivateIpAddress"], interface["PrivateIpAddress"]) == ("10.2.7.7", "10.2.7.7")


async def test_a_private_address_that_a_machine_has_is_in_use_until_that_is_gone(ours, theirs, house):
    machine = await booked(theirs, PrivateIpAddress="10.2.7.7")
    wanted = PLAIN | {"PrivateIpAddress": "10.2.7.7"}
    assert await ours.refusal("run_instances", **wanted) == (
        400,
        "InvalidIPAddress.InUse",
        "Address 10.2.7.7 is in use.",
    )
    await theirs.terminate_instances(InstanceIds=[machine["InstanceId"]])
    await house.seen(Power.ABSENT)
    assert await booked(ours, PrivateIpAddress="10.2.7.7")


@pytest.mark.parametrize("address", ["10.1.7.7", "10.2.0.1", "10.2.255.255", "192.0.2.1", "x", "10.2.7.7/32", "::1"])
async def test_a_private_address_that_no_machine_of_the_zone_can_have_is_refused(ec2, address):
    code, text = await refusal(ec2, PrivateIpAddress=address)
    assert code == "InvalidParameterValue"
    assert text == f"private address: {address!r} is not valid; expected one of 10.2.0.0/16 that a machine can have."


async def test_one_private_address_is_not_for_two_machines(ec2):
    code, text = await refusal(ec2, PrivateIpAddress="10.2.7.7", MaxCount=2)
    assert (code, text) == (
        "InvalidParameterCombination",
        "The parameter PrivateIpAddress cannot be used with the parameter MaxCount",
    )


# --- the network interface


async def test_an_interface_may_say_what_is_so_anyway(ours):
    interface = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": True,
        "DeleteOnTermination": True,
        "InterfaceType": "interface",
        "NetworkCardIndex": 0,
    }
    assert await booked(ours, NetworkInterfaces=[interface])


@pytest.mark.parametrize(
    ("interfaces", "named"),
    [
        ([{"DeviceIndex": 0}, {"DeviceIndex": 1}], "NetworkInterface.2"),
        ([{"DeviceIndex": 1}], "NetworkInterface.2"),
        ([{"DeviceIndex": 0, "AssociatePublicIpAddress": False}], "NetworkInterface.AssociatePublicIpAddress=false"),
        ([{"DeviceIndex": 0, "DeleteOnTermination": False}], "NetworkInterface.DeleteOnTermination=false"),
        ([{"DeviceIndex": 0, "InterfaceType": "efa"}], "NetworkInterface.InterfaceType=efa"),
        ([{"DeviceIndex": 0, "NetworkCardIndex": 1}], "NetworkInterface.NetworkCardIndex=1"),
        ([{"DeviceIndex": 0, "NetworkInterfaceId": "eni-12345678"}], "NetworkInterface.NetworkInterfaceId"),
        ([{"DeviceIndex": 0, "Ipv6AddressCount": 1}], "NetworkInterface.Ipv6AddressCount"),
        ([{"DeviceIndex": 0, "SecondaryPrivateIpAddressCount": 1}], "NetworkInterface.SecondaryPrivateIpAddressCount"),
    ],
)
async def test_another_interface_than_the_one_that_every_machine_has_is_refused_by_name(ec2, interfaces, named):
    code, text = await refusal(ec2, NetworkInterfaces=interfaces)
    assert code == "UnsupportedOperation"
    assert f"The parameter {named} of RunInstances is not supported here." in text


@pytest.mark.parametrize(
    ("parameter", "what"),
    [
        ({"SubnetId": "subnet-00000000000000001"}, "subnet ID"),
        ({"SecurityGroupIds": ["sg-00000000000000001"]}, "security groups"),
        ({"SecurityGroups": ["default"]}, "security groups"),
        ({"PrivateIpAddress": "10.2.7.7"}, "private IP address"),
    ],
)
async def test_what_is_said_of_the_interface_is_not_said_of_the_machine_too(ec2, parameter, what):
    text = f"Network interfaces and an instance-level {what} may not be specified on the same request"
    refused = await refusal(ec2, NetworkInterfaces=[{"DeviceIndex": 0}], **parameter)
    assert refused == ("InvalidParameterCombination", text)


# --- the disk


@pytest.mark.parametrize(
    "disk",
    [
        {},
        {"VolumeSize": 100},
        {"VolumeType": "standard"},
        {"Encrypted": False},
        {"DeleteOnTermination": True, "VolumeSize": 100, "VolumeType": "standard"},
    ],
)
async def test_the_disk_may_be_described_as_it_is(ours, disk):
    machine = await booked(ours, BlockDeviceMappings=[{"DeviceName": DISK, "Ebs": disk}])
    assert machine["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is True


async def test_a_disk_may_outlive_its_machine_from_the_booking_on(ours):
    disk = {"DeviceName": DISK, "Ebs": {"DeleteOnTermination": False}}
    machine = await booked(ours, BlockDeviceMappings=[disk])
    assert machine["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is False


@pytest.mark.parametrize(
    ("mapping", "named"),
    [
        ({"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1}}, "BlockDeviceMapping.DeviceName=/dev/sdb"),
        ({"Ebs": {"VolumeSize": 100}}, "BlockDeviceMapping.DeviceName="),
        ({"DeviceName": DISK, "Ebs": {"VolumeSize": 101}}, "BlockDeviceMapping.Ebs.VolumeSize"),
        ({"DeviceName": DISK, "Ebs": {"VolumeType": "gp3"}}, "BlockDeviceMapping.Ebs.VolumeType"),
        ({"DeviceName": DISK, "Ebs": {"Encrypted": True}}, "BlockDeviceMapping.Ebs.Encrypted"),
        ({"DeviceName": DISK, "Ebs": {"SnapshotId": "snap-1"}}, "BlockDeviceMapping.Ebs.SnapshotId"),
        ({"DeviceName": DISK, "Ebs": {"Iops": 100}}, "BlockDeviceMapping.Ebs.Iops"),
        ({"DeviceName": DISK, "NoDevice": ""}, "BlockDeviceMapping.NoDevice"),
        ({"DeviceName": DISK, "VirtualName": "ephemeral0"}, "BlockDeviceMapping.VirtualName"),
    ],
)
async def test_another_disk_than_the_products_is_refused_by_name(ec2, mapping, named):
    code, text = await refusal(ec2, BlockDeviceMappings=[mapping])
    assert code == "UnsupportedOperation"
    assert f"The parameter {named} of RunInstances is not supported here." in text


# --- options


async def test_a_machine_can_be_protected_from_the_booking_on(ours, house):
    machine = await booked(ours, DisableApiTermination=True, DisableApiStop=True)
    await house.seen(Power.RUNNING)
    ids = [machine["InstanceId"]]
    assert await ours.code("terminate_instances", InstanceIds=ids) == "OperationNotPermitted"
    assert await ours.code("stop_instances", InstanceIds=ids) == "OperationNotPermitted"


async def test_a_machine_can_be_watched_from_the_booking_on(ours):
    machine = await booked(ours, Monitoring={"Enabled": True})
    assert machine["Monitoring"] == {"State": "enabled"}


async def test_metadata_options_hold_from_the_booking_on(ours):
    wanted = {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
        "HttpEndpoint": "enabled",
        "InstanceMetadataTags": "enabled",
    }
    machine = await booked(ours, MetadataOptions=wanted)
    assert machine["MetadataOptions"] == {"State": "applied", "HttpProtocolIpv6": "disabled", **wanted}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"HttpTokens": "maybe"}, "InvalidParameterValue"),
        ({"HttpPutResponseHopLimit": 65}, "InvalidParameterValue"),
        ({"HttpProtocolIpv6": "enabled"}, "UnsupportedOperation"),
    ],
)
async def test_metadata_options_that_are_not_to_be_had_are_refused(ec2, options, code):
    assert (await refusal(ec2, MetadataOptions=options))[0] == code


async def test_tags_are_put_on_each_kind_of_thing_that_a_booking_makes(ours):
    kinds = ["instance", "volume", "network-interface"]
    wanted = [{"ResourceType": kind, "Tags": [{"Key": "kind", "Value": kind}]} for kind in kinds]
    await ours.run(2, TagSpecifications=wanted)
    tags = (await ours.describe_tags(Filters=[{"Name": "key", "Values": ["kind"]}]))["Tags"]
    assert sorted((each["ResourceType"], each["Value"]) for each in tags) == sorted((kind, kind) for kind in kinds * 2)


@pytest.mark.parametrize(
    "change",
    [
        {"SecurityGroups": ["default"]},
        {"DisableApiTermination": True},
        {"Monitoring": {"Enabled": True}},
        {"MetadataOptions": {"HttpTokens": "required"}},
        {"PrivateIpAddress": "10.2.7.7"},
        {"BlockDeviceMappings": [{"DeviceName": DISK, "Ebs": {"DeleteOnTermination": False}}]},
    ],
)
async def test_a_client_token_with_other_options_is_refused(ours, house, change):
    await booked(ours, ClientToken="t")
    assert await ours.code("run_instances", **PLAIN | change, ClientToken="t") == "IdempotentParameterMismatch"
    assert len(await house.machines()) == 1


async def test_a_client_token_with_the_same_options_is_the_same_booking(ours):
    wanted = PLAIN | {"PrivateIpAddress": "10.2.7.7", "SecurityGroups": ["default"], "ClientToken": "t"}
    first, again = [instance_ids([await ours.run_instances(**wanted)]) for _ in range(2)]
    assert first == again


# --- an SDK of long ago


async def test_boto2s_spelling_of_groups_and_interfaces_is_understood(ec2, ours):
    one = await with_group(ours, "one")
    for asked in (
        {"SecurityGroupId.1": one},
        {"SecurityGroup.1": "one"},
        {"NetworkInterface.1.DeviceIndex": "0", "NetworkInterface.1.SecurityGroupId.1": one},
    ):
        answer = await ec2.ask("RunInstances", RAW | asked)
        assert answer.code == ""
        assert [
            node.text for node in answer.root.iterfind("{*}instancesSet/{*}item/{*}groupSet/{*}item/{*}groupName")
        ] == ["one"]
