"""A small scene in which one request of every action succeeds, and so does the next one in the order of `GOOD`."""

from core.disks import KeptDisk
from core.ids import ImageId, InstanceId, ZoneId
from core.instances import Power
from core.orders import Booking
from core.securitygroups import Traffic
from core.service.addresses import Wish
from core.service.groups import WantedRule
from core.tags import Resource, ResourceKind
from tests.fleetfixture import House

MACHINE, PAIR, IMAGE = "i-00000000000000001", "key-00000000000000001", "ami-00000000000000001"
NETWORK, INTERFACE, KEPT_DISK = "vpc-00000000000000001", "eni-00000000000000001", "vol-00000000000000063"
ADDRESS, GROUP = "eipalloc-00000000000000001", "sg-00000000000000002"
BOUND = "203.0.113.8"
EGRESS_RULE, INGRESS_RULE = "sgr-00000000000000004", "sgr-00000000000000005"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFrlTFuMjLGJ9l6tUoVYBUlNQgiGF14UqrI2lTqkPJxA mine"
MATERIAL = (
    "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUZybFRGdU1qTEdKOWw2dFVvVllCVWxOUWdpR0YxNFVxckkybFRxa1BKeEE="
)


def tagged(kind: str) -> dict[str, str]:
    """Return a tag for what an action makes."""
    name = "TagSpecification.1"
    return {f"{name}.ResourceType": kind, f"{name}.Tag.1.Key": "new", f"{name}.Tag.1.Value": "v"}


GOOD = {
    "RunInstances": {"ImageId": IMAGE, "InstanceType": "plain", "MinCount": "1", "MaxCount": "2", "KeyName": "mine"},
    "AllocateAddress": {"Domain": "vpc", **tagged("elastic-ip")},
    "AssociateAddress": {"AllocationId": ADDRESS, "InstanceId": MACHINE},
    "DescribeAddresses": {},
    "DescribeAddressesAttribute": {"AllocationId.1": ADDRESS, "Attribute": "domain-name"},
    "DisassociateAddress": {"PublicIp": "203.0.113.0"},
    "ReleaseAddress": {"AllocationId": ADDRESS},
    "CreateSecurityGroup": {"GroupName": "new", "GroupDescription": "a new one", **tagged("security-group")},
    "AuthorizeSecurityGroupIngress": {
        "GroupId": GROUP,
        "IpPermissions.1.IpProtocol": "tcp",
        "IpPermissions.1.FromPort": "80",
        "IpPermissions.1.ToPort": "81",
        "IpPermissions.1.IpRanges.1.CidrIp": "192.0.2.0/24",
        "IpPermissions.1.IpRanges.1.Description": "the office",
        "IpPermissions.1.Ipv6Ranges.1.CidrIpv6": "::/0",
        "IpPermissions.1.Groups.1.GroupName": "web",
        **tagged("security-group-rule"),
    },
    "AuthorizeSecurityGroupEgress": {
        "GroupId": GROUP,
        "IpPermissions.1.IpProtocol": "udp",
        "IpPermissions.1.FromPort": "53",
        "IpPermissions.1.ToPort": "53",
        "IpPermissions.1.IpRanges.1.CidrIp": "0.0.0.0/0",
    },
    "DescribeSecurityGroups": {},
    "DescribeSecurityGroupRules": {},
    "ModifySecurityGroupRules": {
        "GroupId": GROUP,
        "SecurityGroupRule.1.SecurityGroupRuleId": INGRESS_RULE,
        "SecurityGroupRule.1.SecurityGroupRule.IpProtocol": "tcp",
        "SecurityGroupRule.1.SecurityGroupRule.FromPort": "443",
        "SecurityGroupRule.1.SecurityGroupRule.ToPort": "443",
        "SecurityGroupRule.1.SecurityGroupRule.CidrIpv4": "0.0.0.0/0",
    },
    "UpdateSecurityGroupRuleDescriptionsIngress": {
        "GroupId": GROUP,
        "SecurityGroupRuleDescription.1.SecurityGroupRuleId": INGRESS_RULE,
        "SecurityGroupRuleDescription.1.Description": "the web",
    },
    "UpdateSecurityGroupRuleDescriptionsEgress": {
        "GroupId": GROUP,
        "SecurityGroupRuleDescription.1.SecurityGroupRuleId": EGRESS_RULE,
        "SecurityGroupRuleDescription.1.Description": "everything",
    },
    "RevokeSecurityGroupIngress": {"GroupId": GROUP, "SecurityGroupRuleId.1": INGRESS_RULE},
    "RevokeSecurityGroupEgress": {
        "GroupId": GROUP,
        "IpPermissions.1.IpProtocol": "-1",
        "IpPermissions.1.IpRanges.1.CidrIp": "0.0.0.0/0",
        "IpPermissions.1.Ipv6Ranges.1.CidrIpv6": "::/0",
    },
    "DeleteSecurityGroup": {"GroupId": GROUP},
    "DescribeVpcs": {},
    "DescribeVpcAttribute": {"VpcId": NETWORK, "Attribute": "enableDnsHostnames"},
    "DescribeSubnets": {},
    "DescribeRouteTables": {},
    "DescribeInternetGateways": {},
    "DescribeNetworkAcls": {},
    "DescribeNetworkInterfaces": {},
    "DescribeNetworkInterfaceAttribute": {"NetworkInterfaceId": INTERFACE, "Attribute": "groupSet"},
    "ModifyNetworkInterfaceAttribute": {"NetworkInterfaceId": INTERFACE, "SourceDestCheck.Value": "false"},
    "DescribeVolumes": {},
    "DescribeVolumeStatus": {},
    "DescribeVolumeAttribute": {"VolumeId": KEPT_DISK, "Attribute": "autoEnableIO"},
    "DeleteVolume": {"VolumeId": KEPT_DISK},
    "DescribeInstances": {},
    "DescribeInstanceStatus": {},
    "DescribeInstanceAttribute": {"InstanceId": MACHINE, "Attribute": "instanceType"},
    "ModifyInstanceAttribute": {"InstanceId": MACHINE, "InstanceInitiatedShutdownBehavior.Value": "terminate"},
    "ResetInstanceAttribute": {"InstanceId": MACHINE, "Attribute": "password"},
    "ModifyInstanceMetadataOptions": {"InstanceId": MACHINE, "HttpTokens": "required"},
    "MonitorInstances": {"InstanceId.1": MACHINE},
    "UnmonitorInstances": {"InstanceId.1": MACHINE},
    "GetConsoleOutput": {"InstanceId": MACHINE},
    "GetConsoleScreenshot": {"InstanceId": MACHINE},
    "GetPasswordData": {"InstanceId": MACHINE},
    "DescribeInstanceCreditSpecifications": {},
    "DescribeReservedInstances": {},
    "AssignPublicIpAddress": {"InstanceId": MACHINE},
    "UnassignPublicIpAddress": {"PublicIp": BOUND},
    "StartInstances": {"InstanceId.1": MACHINE},
    "RebootInstances": {"InstanceId.1": MACHINE},
    "StopInstances": {"InstanceId.1": MACHINE},
    "TerminateInstances": {"InstanceId.1": MACHINE},
    "DescribeInstanceTypes": {},
    "DescribeInstanceTypeOfferings": {},
    "DescribeVmTypes": {},
    "DescribeImages": {},
    "DescribeImageAttribute": {"ImageId": IMAGE, "Attribute": "launchPermission"},
    "DescribeRegions": {},
    "DescribeAvailabilityZones": {},
    "CreateKeyPair": {"KeyName": "new", "KeyType": "ed25519"},
    "ImportKeyPair": {"KeyName": "brought", "PublicKeyMaterial": MATERIAL},
    "DescribeKeyPairs": {},
    "DeleteKeyPair": {"KeyName": "mine"},
    "CreateTags": {"ResourceId.1": MACHINE, "Tag.1.Key": "new", "Tag.1.Value": "v"},
    "DeleteTags": {"ResourceId.1": MACHINE, "Tag.1.Key": "ours-key"},
    "DescribeTags": {},
    "DescribeAccountAttributes": {},
    "GetCallerIdentity": {},
    "GetSessionToken": {},
}
STS = {"GetCallerIdentity", "GetSessionToken"}
NEVER_GOOD = {"GetInstanceUefiData"}
"""What is always refused, by name."""

GIGENETS_OWN = {"AssignPublicIpAddress", "DescribeVmTypes", "UnassignPublicIpAddress"}
"""Actions that AWS does not have."""


async def set_stage(house: House) -> None:
    """Let our account have a key pair, a machine that runs and is opened by it, and tags on these and on an image.

    It holds an address, and one that belongs to the machine, keeps a disk, and has a security group with one rule.
    """
    core, caller = house.core, house.caller()
    await core.import_key_pair(caller, "mine", PUBLIC_KEY.encode(), {"ours-key": "ours-value"})
    product = await house.product("plain")
    await core.book(
        caller,
        Booking(
            product.id,
            key_name="mine",
            client_token="ours-token",
            tags={ResourceKind.INSTANCE: {"ours-key": "ours-value"}},
        ),
    )
    await core.tag(caller, [Resource(caller.account_id, ResourceKind.IMAGE, 1)], {"ours-key": "ours-value"})
    await house.seen(Power.RUNNING, private_address="10.0.0.1", public_address="192.0.2.1")
    await core.addresses.allocate(caller, Wish())
    await core.addresses.assign(caller, InstanceId(1))
    group = await core.groups.create(caller, "web", "what it is for", {})
    web = Traffic(is_egress=False, protocol="tcp", first_port=80, last_port=80, block="0.0.0.0/0")
    await core.groups.authorize(caller, group.id, [WantedRule(web, "everyone")], {})
    kept = KeptDisk(InstanceId(99), caller.account_id, ZoneId(2), ImageId(1), 100, house.clock.now())
    await house.store.transact(lambda tx: tx.put(kept))


_AROUND = ("networks", "subnets", "security_groups", "addresses", "kept_disks")


async def rows(house: House) -> dict[str, object]:
    """Return every record of the house, to be compared before and after."""
    state = await house.store.view()
    tables = ("accounts", "applications", "keys", "key_pairs", "orders", "instances", "tag_sets", *_AROUND)
    return {name: dict(getattr(state, name)) for name in tables}
