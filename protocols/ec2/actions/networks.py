"""The default network of an account in a region, and its subnets: facts with ids, which nobody can change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from core.fleet import Fleet
from core.instances import Instance
from core.networks import Network, Subnet, hosts
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.errors import invalid_value, not_found
from protocols.ec2.filters import Filters, Reader, boolean
from protocols.ec2.listings import Listing
from protocols.ec2.pages import Paging
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

# What EC2 has ids for and does not tag here. Each bears the number of the network that it is of.
_DHCP_OPTIONS, _BLOCK = "dopt-", "vpc-cidr-assoc-"

LISTED = ("Filters", "MaxResults", "NextToken")
"""What every action that lists reads besides the ids."""


class OfNetwork:
    """What a network has one of, and bears its number: with what its filters read."""

    __slots__ = ("fleet", "kind", "network", "tags")

    def __init__(self, fleet: Fleet, network: Network, kind: ResourceKind) -> None:
        self.fleet, self.network, self.kind = fleet, network, kind
        self.tags = fleet.tags(kind, network.id)

    @property
    def id(self) -> str:
        """Its own id."""
        return ids.spell(self.kind, self.network.id)

    @property
    def network_id(self) -> str:
        """The id of the network."""
        return ids.spell(ResourceKind.NETWORK, self.network.id)

    @property
    def gateway_id(self) -> str:
        """The id of the network's way out."""
        return ids.spell(ResourceKind.GATEWAY, self.network.id)

    @property
    def owner_id(self) -> str:
        """The account, as EC2 numbers it."""
        return ids.owner_id(self.network.account_id)

    def subordinate(self, prefix: str) -> str:
        """The id of a part of it that has none of its own."""
        return f"{prefix}{self.network.id:017x}"

    @property
    def subnets(self) -> Sequence[Subnet]:
        """The subnets of the network."""
        return [subnet for subnet in self.fleet.subnets() if subnet.network_id == self.network.id]


def of_networks(
    action: str,
    kind: ResourceKind,
    asked: str,
    shape: str,
    *,
    readers: Mapping[str, Reader[OfNetwork]],
    describe: Callable[[OfNetwork], Mapping[str, object]],
    most: int = 1000,
) -> Listing[OfNetwork]:
    """Return the listing of what there is one of in each network."""
    filters: Filters[OfNetwork] = Filters(
        {**readers, "owner-id": lambda item: (item.owner_id,)}, action=action, tags=lambda item: item.tags
    )
    paging = Paging(action, most=most)
    return Listing(paging, kind, asked, shape, filters, number=lambda item: item.network.id, describe=describe)


async def one_of_each(call: Call, kind: ResourceKind) -> Sequence[OfNetwork]:
    """Return what each network has of a kind, in the order of their numbers."""
    fleet = await call.networked()
    return [OfNetwork(fleet, network, kind) for network in sorted(fleet.networks(), key=lambda each: each.id)]


# --- networks


def _vpc(item: OfNetwork) -> shapes.Vpc:
    block: shapes.VpcCidrBlockAssociation = {
        "AssociationId": item.subordinate(_BLOCK),
        "CidrBlock": item.network.block,
        "CidrBlockState": {"State": "associated"},
    }
    return {
        "VpcId": item.id,
        "OwnerId": item.owner_id,
        "State": "available",
        "IsDefault": True,
        "CidrBlock": item.network.block,
        "CidrBlockAssociationSet": [block],
        "Ipv6CidrBlockAssociationSet": [],
        "DhcpOptionsId": item.subordinate(_DHCP_OPTIONS),
        "InstanceTenancy": render.TENANCY,
        "Tags": render.tags(item.tags),
    }


_VPCS = of_networks(
    "DescribeVpcs",
    ResourceKind.NETWORK,
    "VpcIds",
    "Vpc",
    readers={
        "cidr": lambda item: (item.network.block,),
        "cidr-block-association.association-id": lambda item: (item.subordinate(_BLOCK),),
        "cidr-block-association.cidr-block": lambda item: (item.network.block,),
        "cidr-block-association.state": lambda _: ("associated",),
        "dhcp-options-id": lambda item: (item.subordinate(_DHCP_OPTIONS),),
        "is-default": lambda _: boolean(value=True),
        "isDefault": lambda _: boolean(value=True),  # so spelt by Terraform
        "state": lambda _: ("available",),
        "vpc-id": lambda item: (item.id,),
    },
    describe=_vpc,
)


@family.action("DescribeVpcs", reads=("VpcIds", *LISTED))
async def describe_vpcs(call: Call, request: shapes.DescribeVpcsRequest) -> shapes.DescribeVpcsResult:
    """Describe the network that the account has in the region."""
    page = await _VPCS.page(call, request, await one_of_each(call, ResourceKind.NETWORK))
    result: shapes.DescribeVpcsResult = {"Vpcs": page.items}
    return page.end(result)


# Those of AWS's default networks, which Terraform's aws_default_vpc expects.
_ATTRIBUTES: Mapping[str, shapes.DescribeVpcAttributeResult] = {
    "enableDnsSupport": {"EnableDnsSupport": {"Value": True}},
    "enableDnsHostnames": {"EnableDnsHostnames": {"Value": True}},
    "enableNetworkAddressUsageMetrics": {"EnableNetworkAddressUsageMetrics": {"Value": False}},
}


@family.action("DescribeVpcAttribute", reads=("VpcId", "Attribute"))
async def describe_vpc_attribute(
    call: Call, request: shapes.DescribeVpcAttributeRequest
) -> shapes.DescribeVpcAttributeResult:
    """Tell one attribute of a network."""
    fleet, text = await call.networked(), request["VpcId"]
    number = ids.read(ResourceKind.NETWORK, text)
    if not fleet.has(ResourceKind.NETWORK, number):
        raise not_found(ResourceKind.NETWORK, text)
    if (found := _ATTRIBUTES.get(request["Attribute"])) is None:
        raise invalid_value("Attribute", request["Attribute"], f"Expected one of {', '.join(_ATTRIBUTES)}.")
    return {"VpcId": ids.spell(ResourceKind.NETWORK, number), **found}


# --- subnets


class _DescribedSubnet:
    """A subnet with what its filters read."""

    __slots__ = ("fleet", "machines", "subnet", "tags")

    def __init__(self, fleet: Fleet, subnet: Subnet, machines: int) -> None:
        self.fleet, self.subnet, self.machines = fleet, subnet, machines
        self.tags = fleet.tags(ResourceKind.SUBNET, subnet.id)

    @property
    def id(self) -> str:
        return ids.spell(ResourceKind.SUBNET, self.subnet.id)

    @property
    def network_id(self) -> str:
        return ids.spell(ResourceKind.NETWORK, self.subnet.network_id)

    @property
    def owner_id(self) -> str:
        return ids.owner_id(self.subnet.account_id)

    @property
    def zone_name(self) -> str:
        """The name of its zone, which is the zone's id too."""
        return self.fleet.zone(self.subnet.zone_id).name

    @property
    def arn(self) -> str:
        region = self.fleet.region_of(self.subnet.zone_id)
        return render.arn(region, self.subnet.account_id, ResourceKind.SUBNET, self.subnet.id)

    @property
    def free(self) -> int:
        """How many addresses the account's own machines leave: how many there are of others is not told."""
        return hosts(self.subnet.block) - self.machines


def _subnet(item: _DescribedSubnet) -> shapes.Subnet:
    return {
        "SubnetId": item.id,
        "SubnetArn": item.arn,
        "VpcId": item.network_id,
        "OwnerId": item.owner_id,
        "State": "available",
        "CidrBlock": item.subnet.block,
        "AvailableIpAddressCount": item.free,
        "AvailabilityZone": item.zone_name,
        "AvailabilityZoneId": item.zone_name,
        "DefaultForAz": True,
        "MapPublicIpOnLaunch": True,
        "MapCustomerOwnedIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": False,
        "Ipv6CidrBlockAssociationSet": [],
        "Ipv6Native": False,
        "EnableDns64": False,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "Tags": render.tags(item.tags),
    }


_ON_LAUNCH = "private-dns-name-options-on-launch"

_SUBNETS: Listing[_DescribedSubnet] = Listing(
    Paging("DescribeSubnets"),
    ResourceKind.SUBNET,
    "SubnetIds",
    "Subnet",
    Filters(
        {
            "assign-ipv6-address-on-creation": lambda _: boolean(value=False),
            "availability-zone": lambda item: (item.zone_name,),
            "availability-zone-id": lambda item: (item.zone_name,),
            "available-ip-address-count": lambda item: (str(item.free),),
            "cidr-block": lambda item: (item.subnet.block,),
            "default-for-az": lambda _: boolean(value=True),
            "enable-dns64": lambda _: boolean(value=False),
            "ipv6-native": lambda _: boolean(value=False),
            "map-customer-owned-ip-on-launch": lambda _: boolean(value=False),
            "map-public-ip-on-launch": lambda _: boolean(value=True),
            "owner-id": lambda item: (item.owner_id,),
            f"{_ON_LAUNCH}.hostname-type": lambda _: ("ip-name",),
            f"{_ON_LAUNCH}.enable-resource-name-dns-a-record": lambda _: boolean(value=False),
            f"{_ON_LAUNCH}.enable-resource-name-dns-aaaa-record": lambda _: boolean(value=False),
            "state": lambda _: ("available",),
            "subnet-arn": lambda item: (item.arn,),
            "subnet-id": lambda item: (item.id,),
            "vpc-id": lambda item: (item.network_id,),
            # So spelt by Terraform's aws_subnet, and in older references.
            "availabilityZone": lambda item: (item.zone_name,),
            "availabilityZoneId": lambda item: (item.zone_name,),
            "cidr": lambda item: (item.subnet.block,),
            "cidrBlock": lambda item: (item.subnet.block,),
            "defaultForAz": lambda _: boolean(value=True),
        },
        action="DescribeSubnets",
        tags=lambda item: item.tags,
    ),
    number=lambda item: item.subnet.id,
    describe=_subnet,
)


@family.action("DescribeSubnets", reads=("SubnetIds", *LISTED))
async def describe_subnets(call: Call, request: shapes.DescribeSubnetsRequest) -> shapes.DescribeSubnetsResult:
    """Describe the subnets, one a zone."""
    fleet = await call.networked()
    machines = Counter(machine.zone_id for machine in living(fleet))
    subnets = sorted(fleet.subnets(), key=lambda subnet: subnet.id)
    items = [_DescribedSubnet(fleet, subnet, machines[subnet.zone_id]) for subnet in subnets]
    page = await _SUBNETS.page(call, request, items)
    result: shapes.DescribeSubnetsResult = {"Subnets": page.items}
    return page.end(result)


def living(fleet: Fleet) -> list[Instance]:
    """Return the machines that still have what is theirs: an interface, an address, a disk."""
    return [machine for machine in fleet.instances() if not machine.is_gone]
