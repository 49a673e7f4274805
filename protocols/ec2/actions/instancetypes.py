"""Instance types: the products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.catalogue import Product
from protocols.ec2 import render
from protocols.ec2.errors import Ec2Refusal, invalid_combination
from protocols.ec2.filters import Filters, boolean
from protocols.ec2.pages import Paging
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

_PAGES = Paging("DescribeInstanceTypes", least=5, most=100)

_FILTERS: Filters[Product] = Filters(
    {
        "auto-recovery-supported": lambda _: boolean(value=False),
        "bare-metal": lambda _: boolean(value=False),
        "burstable-performance-supported": lambda _: boolean(value=False),
        "current-generation": lambda _: boolean(value=True),
        "dedicated-hosts-supported": lambda _: boolean(value=False),
        "free-tier-eligible": lambda _: boolean(value=False),
        "hibernation-supported": lambda _: boolean(value=False),
        "hypervisor": lambda _: (render.HYPERVISOR,),
        "instance-storage-info.total-size-in-gb": lambda item: (str(item.disk_gib),),
        "instance-storage-supported": lambda _: boolean(value=True),
        "instance-type": lambda item: (item.instance_type,),
        "memory-info.size-in-mib": lambda item: (str(item.memory_mib),),
        "processor-info.supported-architecture": lambda item: (item.architecture,),
        "supported-root-device-type": lambda _: (render.ROOT_DEVICE_TYPE,),
        "supported-usage-class": lambda _: ("on-demand",),
        "supported-virtualization-type": lambda _: (render.VIRTUALIZATION,),
        "vcpu-info.default-cores": lambda item: (str(item.vcpus),),
        "vcpu-info.default-threads-per-core": lambda _: ("1",),
        "vcpu-info.default-vcpus": lambda item: (str(item.vcpus),),
    },
    absent=(
        "ebs-info.",
        "instance-storage-info.",
        "network-info.",
        "nitro-enclaves-support",
        "nitro-tpm-info.",
        "nitro-tpm-support",
        "processor-info.",
        "reboot-migration-support",
        "supported-boot-mode",
        "vcpu-info.",
    ),
)


@family.action("DescribeInstanceTypes", reads=("InstanceTypes", "Filters", "MaxResults", "NextToken"))
async def describe_instance_types(
    call: Call, request: shapes.DescribeInstanceTypesRequest
) -> shapes.DescribeInstanceTypesResult:
    """Describe the products."""
    asked, size = request.get("InstanceTypes") or [], request.get("MaxResults")
    if asked and size is not None:
        raise invalid_combination("InstanceTypes", "MaxResults")
    by_name: Mapping[str, Product] = {product.instance_type: product for product in call.fleet.products()}
    if missing := [name for name in asked if name not in by_name]:
        names = ", ".join(missing)
        raise Ec2Refusal("InvalidInstanceType", f"The following supplied instance types do not exist: [{names}]")
    chosen = sorted([by_name[name] for name in dict.fromkeys(asked or by_name)], key=lambda product: product.id)
    wanted = request.get("Filters")
    found = await _FILTERS.apply(wanted, chosen)
    token = request.get("NextToken")
    page, next_token = _PAGES.cut(call, found, lambda item: (item.id,), size=size, token=token, query=wanted)
    result: shapes.DescribeInstanceTypesResult = {"InstanceTypes": [render.instance_type(item) for item in page]}
    if next_token is not None:
        result["NextToken"] = next_token
    return result
