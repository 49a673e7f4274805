"""boto3 and what there is around machines: addresses, groups, networks, disks, attributes, regions."""

from contextlib import closing

import boto3
import jmespath
import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.customer import CATALOGUE, IMAGE, REGION, boto3_client, boto3_words

_QUICKLY = {"Delay": 0.05, "MaxAttempts": 200}
_ANYWHERE = "0.0.0.0/0"


@pytest.fixture
def machine(customer):
    """The id of a machine that is up."""
    [machine] = customer.book(
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}]
    )
    customer.until("running", machine)
    return machine


def wait(customer, waiter, **names):
    customer.ec2.get_waiter(waiter).wait(**names, WaiterConfig=_QUICKLY)


def a_group(customer, name="web"):
    return customer.ec2.create_security_group(GroupName=name, Description="for the web")["GroupId"]


def a_rule(port=80, protocol="tcp", block=_ANYWHERE):
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": block}]}


# --- addresses


def test_an_address_moves_from_one_machine_to_another_and_both_orders_tell(customer):
    [first], [second] = customer.book(), customer.book()
    customer.until("running", first, second)
    before = customer.hosts()
    given = customer.ec2.allocate_address(Domain="vpc")
    its_id = given["AllocationId"]
    customer.ec2.associate_address(AllocationId=its_id, InstanceId=first)
    assert customer.hosts() == [given["PublicIp"], before[1]]
    with pytest.raises(ClientError, match=r"Resource\.AlreadyAssociated"):
        customer.ec2.associate_address(AllocationId=its_id, InstanceId=second, AllowReassociation=False)
    customer.ec2.associate_address(AllocationId=its_id, InstanceId=second, AllowReassociation=True)
    assert customer.hosts() == [before[0], given["PublicIp"]]


def test_an_address_stays_while_its_machine_is_stopped_and_is_free_again_when_it_ends(customer, machine):
    given = customer.ec2.allocate_address(Domain="vpc")
    customer.ec2.associate_address(AllocationId=given["AllocationId"], InstanceId=machine)
    customer.ec2.stop_instances(InstanceIds=[machine])
    customer.until("stopped", machine)
    assert [customer.described(machine)[0]["PublicIpAddress"]] == customer.hosts() == [given["PublicIp"]]
    with pytest.raises(ClientError, match=r"InvalidIPAddress\.InUse"):
        customer.ec2.release_address(AllocationId=given["AllocationId"])
    customer.ec2.terminate_instances(InstanceIds=[machine])
    customer.until("terminated", machine)
    [told] = customer.ec2.describe_addresses()["Addresses"]
    assert "InstanceId" not in told
    customer.ec2.release_address(AllocationId=given["AllocationId"])
    assert customer.ec2.describe_addresses()["Addresses"] == []


def test_nobody_else_has_or_gives_away_an_address(customer, stranger):
    given = customer.ec2.allocate_address(Domain="vpc")
    assert stranger.ec2.describe_addresses()["Addresses"] == []
    with pytest.raises(ClientError, match=r"InvalidAllocationID\.NotFound"):
        stranger.ec2.release_address(AllocationId=given["AllocationId"])


# --- groups


def test_rules_come_and_go_and_are_told_by_their_ids(customer):
    group = a_group(customer)
    made = customer.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[a_rule(80), a_rule(443)])
    ids = [rule["SecurityGroupRuleId"] for rule in made["SecurityGroupRules"]]
    with pytest.raises(ClientError, match=r"InvalidPermission\.Duplicate"):
        customer.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[a_rule(80)])
    customer.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids[:1])
    told = customer.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    rules = {(rule["IsEgress"], rule["FromPort"]): rule["SecurityGroupRuleId"] for rule in told["SecurityGroupRules"]}
    assert (rules.keys(), rules[False, 443]) == ({(False, 443), (True, -1)}, ids[1])


def test_a_group_cannot_be_deleted_while_a_machine_is_in_it(customer, machine):
    group = a_group(customer)
    customer.ec2.modify_instance_attribute(InstanceId=machine, Groups=[group])
    with pytest.raises(ClientError, match="DependencyViolation"):
        customer.ec2.delete_security_group(GroupId=group)
    customer.ask("DELETE", f"orders/{customer.orders()[0]['order_id']}")
    customer.until("terminated", machine)
    customer.ec2.delete_security_group(GroupId=group)
    assert [each["GroupName"] for each in customer.ec2.describe_security_groups()["SecurityGroups"]] == ["default"]


def test_what_zerosix_books_is_in_the_default_group(customer):
    customer.ask("PUT", "orders", {"product_id": customer.product_id(), "instances": 1})
    [default] = customer.ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert customer.described()[0]["SecurityGroups"] == [{"GroupId": default["GroupId"], "GroupName": "default"}]


# --- networks and disks


def test_a_machine_has_an_interface_in_the_subnet_of_its_zone_and_a_disk_of_its_product(customer, machine):
    [told] = customer.described(machine)
    its = [{"Name": "attachment.instance-id", "Values": [machine]}]
    [interface] = customer.ec2.describe_network_interfaces(Filters=its)["NetworkInterfaces"]
    [subnet] = customer.ec2.describe_subnets(SubnetIds=[told["SubnetId"]])["Subnets"]
    [network] = customer.ec2.describe_vpcs(VpcIds=[told["VpcId"]])["Vpcs"]
    [volume] = customer.ec2.describe_volumes(Filters=its)["Volumes"]
    assert (interface["SubnetId"], interface["PrivateIpAddress"]) == (subnet["SubnetId"], told["PrivateIpAddress"])
    assert subnet["AvailabilityZone"] == told["Placement"]["AvailabilityZone"] == volume["AvailabilityZone"]
    assert (subnet["VpcId"], network["IsDefault"]) == (network["VpcId"], True)
    assert (volume["Size"], told["RootDeviceName"]) == (30, volume["Attachments"][0]["Device"])


def test_resources_find_their_way_from_a_machine_to_all_around_it(customer, machine):
    ec2 = boto3.resource("ec2", **boto3_words(customer.gateway, customer.keys))
    with closing(ec2.meta.client):
        found = ec2.Instance(machine)
        assert [volume.size for volume in found.volumes.all()] == [30]
        assert found.vpc.is_default
        assert found.subnet in list(found.vpc.subnets.all())
        assert found.network_interfaces[0].private_ip_address == found.private_ip_address
        assert [group["GroupName"] for group in found.security_groups] == ["default"]
        assert found.console_output()["Output"]
        assert list(found.vpc_addresses.all()) == []


# --- attributes


def test_a_stopped_machine_is_made_another_type_and_the_order_tells(customer, machine):
    customer.ec2.stop_instances(InstanceIds=[machine])
    customer.until("stopped", machine)
    customer.ec2.modify_instance_attribute(InstanceId=machine, InstanceType={"Value": "gcl.2"})
    customer.ec2.start_instances(InstanceIds=[machine])
    customer.until("running", machine)
    assert customer.as_zerosix_tells() == customer.as_ec2_tells()
    assert [told.type for told in customer.as_zerosix_tells()] == ["gcl.2"]


@pytest.mark.parametrize(
    ("attribute", "change"),
    [
        ("disableApiStop", {"DisableApiStop": {"Value": True}}),
        ("disableApiTermination", {"DisableApiTermination": {"Value": True}}),
        ("instanceInitiatedShutdownBehavior", {"InstanceInitiatedShutdownBehavior": {"Value": "terminate"}}),
        ("sourceDestCheck", {"SourceDestCheck": {"Value": False}}),
    ],
)
def test_an_attribute_is_what_it_was_made(customer, machine, attribute, change):
    customer.ec2.modify_instance_attribute(InstanceId=machine, **change)
    told = customer.ec2.describe_instance_attribute(InstanceId=machine, Attribute=attribute)
    assert change.items() <= told.items()


def test_a_protected_machine_is_ended_neither_by_ec2_nor_by_completing_its_order(customer, machine):
    customer.ec2.modify_instance_attribute(InstanceId=machine, DisableApiTermination={"Value": True})
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        customer.ec2.terminate_instances(InstanceIds=[machine])
    [order] = customer.orders()
    customer.ask("DELETE", f"orders/{order['order_id']}")
    assert customer.order(order["order_id"])["order_status"] == "unlimited"
    assert customer.described(machine)[0]["State"]["Name"] == "running"


# --- regions


def test_a_machine_is_in_one_region_for_ec2_and_in_the_list_of_orders_for_zerosix(customer):
    with closing(boto3_client("ec2", customer.gateway, customer.keys, region="ams1")) as elsewhere:
        [machine] = elsewhere.run_instances(ImageId=IMAGE, InstanceType="gcl.2", MinCount=1, MaxCount=1)["Instances"]
        usable = elsewhere.describe_availability_zones(Filters=[{"Name": "state", "Values": ["available"]}])
        assert [zone["ZoneName"] for zone in usable["AvailabilityZones"]] == [machine["Placement"]["AvailabilityZone"]]
    assert customer.described() == []
    [order] = customer.orders()
    assert order["instances"][0]["ec2_instance_id"] == machine["InstanceId"]


def test_a_region_that_nobody_has_heard_of_is_the_first(customer, machine):
    with closing(boto3_client("ec2", customer.gateway, customer.keys, region="nowhere-1")) as nowhere:
        [reservation] = nowhere.describe_instances()["Reservations"]
    assert reservation["Instances"][0]["InstanceId"] == machine
    assert CATALOGUE["regions"][0]["name"] == REGION


# --- pages, waiters, dry runs


def _rent(customer):
    customer.until("running", *customer.book(6))


def _make_groups(customer):
    for name in "abcdef":
        a_group(customer, name)


def _allocate(customer):
    for _ in range(6):
        customer.ec2.allocate_address(Domain="vpc")


def _nothing(_):
    pass


@pytest.mark.parametrize(
    ("action", "expression", "arrange"),
    [
        ("describe_addresses_attribute", "Addresses[].AllocationId", _allocate),
        ("describe_instance_type_offerings", "InstanceTypeOfferings[].[InstanceType, Location]", _nothing),
        ("describe_instance_types", "InstanceTypes[].InstanceType", _nothing),
        ("describe_internet_gateways", "InternetGateways[].InternetGatewayId", _nothing),
        ("describe_network_acls", "NetworkAcls[].NetworkAclId", _nothing),
        ("describe_network_interfaces", "NetworkInterfaces[].NetworkInterfaceId", _rent),
        ("describe_route_tables", "RouteTables[].RouteTableId", _nothing),
        ("describe_security_group_rules", "SecurityGroupRules[].SecurityGroupRuleId", _make_groups),
        ("describe_security_groups", "SecurityGroups[].GroupId", _make_groups),
        ("describe_subnets", "Subnets[].SubnetId", _nothing),
        ("describe_volume_status", "VolumeStatuses[].VolumeId", _rent),
        ("describe_volumes", "Volumes[].VolumeId", _rent),
        ("describe_vpcs", "Vpcs[].VpcId", _nothing),
    ],
)
def test_pages_put_together_are_the_whole_answer(customer, action, expression, arrange):
    arrange(customer)
    paginator = customer.ec2.get_paginator(action)
    more = {"LocationType": "availability-zone"} if "offerings" in action else {}
    whole = list(paginator.paginate(**more).search(expression))
    pages = [
        jmespath.search(expression, page) or [] for page in paginator.paginate(**more, PaginationConfig={"PageSize": 5})
    ]
    assert max(map(len, pages)) <= 5
    assert len(pages) == -(-len(whole) // 5)
    assert [each for page in pages for each in page] == whole
    assert whole


@pytest.mark.parametrize(
    "waiter",
    [
        "image_available",
        "image_exists",
        "internet_gateway_exists",
        "key_pair_exists",
        "security_group_exists",
        "subnet_available",
        "volume_in_use",
        "vpc_available",
        "vpc_exists",
    ],
)
def test_waiters_find_what_has_always_been_there(customer, machine, waiter):
    customer.ec2.create_key_pair(KeyName="mine")
    wait(customer, waiter)


_CHANGES = {
    "allocate_address": {"Domain": "vpc"},
    "associate_address": {"AllocationId": "free", "InstanceId": "machine"},
    "authorize_security_group_egress": {"GroupId": "group", "IpPermissions": [a_rule(53, "udp")]},
    "authorize_security_group_ingress": {"GroupId": "group", "IpPermissions": [a_rule()]},
    "create_key_pair": {"KeyName": "mine"},
    "create_security_group": {"GroupName": "more", "Description": "more"},
    "create_tags": {"Resources": ["machine"], "Tags": [{"Key": "stage", "Value": "test"}]},
    "delete_security_group": {"GroupId": "group"},
    "delete_tags": {"Resources": ["machine"], "Tags": [{"Key": "Name"}]},
    "disassociate_address": {"AssociationId": "association"},
    "modify_instance_attribute": {"InstanceId": "machine", "DisableApiStop": {"Value": True}},
    "monitor_instances": {"InstanceIds": ["machine"]},
    "reboot_instances": {"InstanceIds": ["machine"]},
    "release_address": {"AllocationId": "free"},
    "revoke_security_group_egress": {
        "GroupId": "group",
        "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": _ANYWHERE}]}],
    },
    "start_instances": {"InstanceIds": ["machine"]},
    "stop_instances": {"InstanceIds": ["machine"]},
    "terminate_instances": {"InstanceIds": ["machine"]},
    "unmonitor_instances": {"InstanceIds": ["machine"]},
}


def test_dry_runs_change_nothing(customer, machine):
    # One test: all changes are held against the same things, and one look afterwards does for all.
    free, taken = (customer.ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(2))
    association = customer.ec2.associate_address(AllocationId=taken, InstanceId=machine)["AssociationId"]
    ids = {"association": association, "free": free, "group": a_group(customer), "machine": machine}
    before = seen(customer)
    for action, words in _CHANGES.items():
        with pytest.raises(ClientError, match="DryRunOperation") as refused:
            getattr(customer.ec2, action)(**named(words, ids), DryRun=True)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert seen(customer) == before


def named(value, ids):
    """Return the value with the ids of this customer's things in place of what they are called here."""
    if isinstance(value, dict):
        return {name: named(each, ids) for name, each in value.items()}
    if isinstance(value, list):
        return [named(each, ids) for each in value]
    return ids.get(value, value)


def seen(customer):
    """Return all that a customer has."""
    ec2 = customer.ec2
    answers = (
        ec2.describe_instances()["Reservations"],
        ec2.describe_addresses()["Addresses"],
        ec2.describe_security_groups()["SecurityGroups"],
        ec2.describe_tags()["Tags"],
        ec2.describe_key_pairs()["KeyPairs"],
    )
    return (*answers, customer.orders())
