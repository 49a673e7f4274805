"""What EC2 tells of the account itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.limits import Limits
from core.networks import Network
from core.securitygroups import MOST_GROUPS
from core.tags import ResourceKind
from protocols.ec2 import ids
from protocols.ec2.errors import Ec2Refusal
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()


@family.action("DescribeAccountAttributes", reads=("AttributeNames",))
async def describe_account_attributes(
    call: Call, request: shapes.DescribeAccountAttributesRequest
) -> shapes.DescribeAccountAttributesResult:
    """Tell the limits of the account, and its default network."""
    [network, *_] = (await call.networked()).networks()
    values = _values(call.core.limits, network)
    asked = request.get("AttributeNames") or list(values)
    for name in asked:
        if name not in values:
            raise Ec2Refusal("InvalidParameterValue", f"Invalid attribute name: {name}")
    return {
        "AccountAttributes": [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": values[name]}]}
            for name in dict.fromkeys(asked)
        ]
    }


def _values(limits: Limits, network: Network) -> Mapping[str, str]:
    return {
        "supported-platforms": "VPC",
        "default-vpc": ids.spell(ResourceKind.NETWORK, network.id),
        "max-instances": str(limits.machines),
        "vpc-max-security-groups-per-interface": str(MOST_GROUPS),
        "max-elastic-ips": str(limits.addresses),
        "vpc-max-elastic-ips": str(limits.addresses),
    }
