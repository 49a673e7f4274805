"""How machines of the default network reach one another, and everyone else: route tables, gateways and ACLs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.networks import Subnet
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.actions.networks import LISTED, OfNetwork, of_networks, one_of_each
from protocols.ec2.filters import boolean
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

_ANYWHERE = "0.0.0.0/0"

# What EC2 has ids for and does not tag here. Each bears the number of the network, or of the subnet, that it is of.
_ROUTE_TABLE_ASSOCIATION, _ACL_ASSOCIATION = "rtbassoc-", "aclassoc-"

# --- route tables


def _route_table(item: OfNetwork) -> shapes.RouteTable:
    association: shapes.RouteTableAssociation = {
        "Main": True,
        "RouteTableAssociationId": item.subordinate(_ROUTE_TABLE_ASSOCIATION),
        "RouteTableId": item.id,
        "AssociationState": {"State": "associated"},
    }
    inside: shapes.Route = {
        "DestinationCidrBlock": item.network.block,
        "GatewayId": "local",
        "Origin": "CreateRouteTable",
        "State": "active",
    }
    outside: shapes.Route = {
        "DestinationCidrBlock": _ANYWHERE,
        "GatewayId": item.gateway_id,
        "Origin": "CreateRoute",
        "State": "active",
    }
    return {
        "RouteTableId": item.id,
        "VpcId": item.network_id,
        "OwnerId": item.owner_id,
        "Associations": [association],
        "PropagatingVgws": [],
        "Routes": [inside, outside],
        "Tags": render.tags(item.tags),
    }


_ROUTE_TABLES = of_networks(
    "DescribeRouteTables",
    ResourceKind.ROUTE_TABLE,
    "RouteTableIds",
    "RouteTable",
    readers={
        "association.main": lambda _: boolean(value=True),
        "association.route-table-association-id": lambda item: (item.subordinate(_ROUTE_TABLE_ASSOCIATION),),
        "association.route-table-id": lambda item: (item.id,),
        "route-table-id": lambda item: (item.id,),
        "route.destination-cidr-block": lambda item: (item.network.block, _ANYWHERE),
        "route.gateway-id": lambda item: ("local", item.gateway_id),
        "route.origin": lambda _: ("CreateRouteTable", "CreateRoute"),
        "route.state": lambda _: ("active",),
        "vpc-id": lambda item: (item.network_id,),
    },
    describe=_route_table,
    most=100,
)


@family.action("DescribeRouteTables", reads=("RouteTableIds", *LISTED))
async def describe_route_tables(
    call: Call, request: shapes.DescribeRouteTablesRequest
) -> shapes.DescribeRouteTablesResult:
    """Describe how machines reach one another, and everyone else."""
    page = await _ROUTE_TABLES.page(call, request, await one_of_each(call, ResourceKind.ROUTE_TABLE))
    result: shapes.DescribeRouteTablesResult = {"RouteTables": page.items}
    return page.end(result)


# --- internet gateways


def _gateway(item: OfNetwork) -> shapes.InternetGateway:
    return {
        "InternetGatewayId": item.id,
        "OwnerId": item.owner_id,
        "Attachments": [{"State": "available", "VpcId": item.network_id}],
        "Tags": render.tags(item.tags),
    }


_GATEWAYS = of_networks(
    "DescribeInternetGateways",
    ResourceKind.GATEWAY,
    "InternetGatewayIds",
    "InternetGateway",
    readers={
        "attachment.state": lambda _: ("available",),
        "attachment.vpc-id": lambda item: (item.network_id,),
        "internet-gateway-id": lambda item: (item.id,),
    },
    describe=_gateway,
)


@family.action("DescribeInternetGateways", reads=("InternetGatewayIds", *LISTED))
async def describe_internet_gateways(
    call: Call, request: shapes.DescribeInternetGatewaysRequest
) -> shapes.DescribeInternetGatewaysResult:
    """Describe what networks reach everyone else by."""
    page = await _GATEWAYS.page(call, request, await one_of_each(call, ResourceKind.GATEWAY))
    result: shapes.DescribeInternetGatewaysResult = {"InternetGateways": page.items}
    return page.end(result)


# --- network ACLs

_ENTRIES: Sequence[shapes.NetworkAclEntry] = [
    {"CidrBlock": _ANYWHERE, "Egress": is_egress, "Protocol": "-1", "RuleAction": action, "RuleNumber": number}
    for is_egress in (True, False)
    for action, number in (("allow", 100), ("deny", 32767))
]
"""The rules of AWS's default lists, which keep nothing out: security groups do."""


def _acl(item: OfNetwork) -> shapes.NetworkAcl:
    associations: list[shapes.NetworkAclAssociation] = [
        {
            "NetworkAclAssociationId": _acl_association(subnet),
            "NetworkAclId": item.id,
            "SubnetId": ids.spell(ResourceKind.SUBNET, subnet.id),
        }
        for subnet in item.subnets
    ]
    return {
        "NetworkAclId": item.id,
        "VpcId": item.network_id,
        "OwnerId": item.owner_id,
        "IsDefault": True,
        "Associations": associations,
        "Entries": _ENTRIES,
        "Tags": render.tags(item.tags),
    }


def _acl_association(subnet: Subnet) -> str:
    return f"{_ACL_ASSOCIATION}{subnet.id:017x}"


_ACLS = of_networks(
    "DescribeNetworkAcls",
    ResourceKind.ACL,
    "NetworkAclIds",
    "NetworkAcl",
    readers={
        "association.association-id": lambda item: map(_acl_association, item.subnets),
        "association.network-acl-id": lambda item: (item.id,),
        "association.subnet-id": lambda item: [ids.spell(ResourceKind.SUBNET, each.id) for each in item.subnets],
        "default": lambda _: boolean(value=True),
        "entry.cidr": lambda _: (_ANYWHERE,),
        "entry.egress": lambda _: ("true", "false"),
        "entry.protocol": lambda _: ("-1",),
        "entry.rule-action": lambda _: ("allow", "deny"),
        "entry.rule-number": lambda _: [str(entry["RuleNumber"]) for entry in _ENTRIES],
        "network-acl-id": lambda item: (item.id,),
        "vpc-id": lambda item: (item.network_id,),
    },
    describe=_acl,
)


@family.action("DescribeNetworkAcls", reads=("NetworkAclIds", *LISTED))
async def describe_network_acls(
    call: Call, request: shapes.DescribeNetworkAclsRequest
) -> shapes.DescribeNetworkAclsResult:
    """Describe what may pass between subnets: everything."""
    page = await _ACLS.page(call, request, await one_of_each(call, ResourceKind.ACL))
    result: shapes.DescribeNetworkAclsResult = {"NetworkAcls": page.items}
    return page.end(result)
