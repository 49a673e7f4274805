"""Instance types: the products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.catalogue import Product
from core.fleet import Fleet
from protocols.ec2 import render
from protocols.ec2.errors import Ec2Refusal, invalid_combination, invalid_value
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
        "ebs-info.ebs-optimized-support": lambda _: ("unsupported",),
        "ebs-info.encryption-support": lambda _: ("unsupported",),
        "network-info.ena-support": lambda _: ("supported",),
        "network-info.ipv6-supported": lambda _: boolean(value=False),
        "network-info.maximum-network-interfaces": lambda _: ("1",),
        "supported-boot-mode": lambda _: (render.BOOT_MODE,),
        "supported-root-device-type": lambda _: (render.ROOT_DEVICE_TYPE,),
        "supported-usage-class": lambda _: ("on-demand",),
        "supported-virtualization-type": lambda _: (render.VIRTUALIZATION,),
        "vcpu-info.default-cores": lambda item: (str(item.vcpus),),
        "vcpu-info.default-threads-per-core": lambda _: ("1",),
        "vcpu-info.default-vcpus": lambda item: (str(item.vcpus),),
    },
    action="DescribeInstanceTypes",
)


@family.action("DescribeInstanceTypes", reads=("InstanceTypes", "Filters", "MaxResults", "NextToken"))
async def describe_instance_types(
    call: Call, request: shapes.DescribeInstanceTypesRequest
) -> shapes.DescribeInstanceTypesResult:
    """Describe the products."""
    asked, size = request.get("InstanceTypes") or [], request.get("MaxResults")
    if asked and size is not None:
        raise invalid_combination("InstanceTypes", "MaxResults")
    wanted = request.get("Filters")
    found = await _FILTERS.apply(wanted, products_named(call.fleet, asked))
    token = request.get("NextToken")
    page, next_token = _PAGES.cut(call, found, lambda item: (item.id,), size=size, token=token, query=wanted)
    result: shapes.DescribeInstanceTypesResult = {"InstanceTypes": [render.instance_type(item) for item in page]}
    if next_token is not None:
        result["NextToken"] = next_token
    return result


def products_named(fleet: Fleet, names: Sequence[str]) -> list[Product]:
    """Return the products of these instance types, or all if none is named, in order of id.

    Raises:
        Ec2Refusal: some are not offered. It names all of these.
    """
    by_name = {product.instance_type: product for product in fleet.products()}
    if missing := [name for name in names if name not in by_name]:
        text = f"The following supplied instance types do not exist: [{', '.join(missing)}]"
        raise Ec2Refusal("InvalidInstanceType", text)
    return sorted([by_name[name] for name in dict.fromkeys(names or by_name)], key=lambda product: product.id)


@dataclass(frozen=True, slots=True)
class _Offering:
    """A product in a place."""

    product: Product
    place: str
    kind: str


_OFFERING_PAGES = Paging("DescribeInstanceTypeOfferings")
_OFFERING_FILTERS: Filters[_Offering] = Filters(
    {"instance-type": lambda item: (item.product.instance_type,), "location": lambda item: (item.place,)},
    action="DescribeInstanceTypeOfferings",
)
# A zone's id is its name.
_PLACE_KINDS = ("region", "availability-zone", "availability-zone-id")


@family.action("DescribeInstanceTypeOfferings", reads=("LocationType", "Filters", "MaxResults", "NextToken"))
async def describe_instance_type_offerings(
    call: Call, request: shapes.DescribeInstanceTypeOfferingsRequest
) -> shapes.DescribeInstanceTypeOfferingsResult:
    """Tell which products are offered where, by region unless it is asked by zone."""
    kind = request.get("LocationType", "region")
    if kind not in _PLACE_KINDS:
        raise invalid_value("LocationType", kind, f"Expected {', '.join(_PLACE_KINDS)}.")
    wanted, fleet = request.get("Filters"), call.fleet
    offered = [
        _Offering(product, place, kind)
        for product in sorted(fleet.products(), key=lambda product: product.id)
        for place in _places(fleet, product, kind)
    ]
    found = await _OFFERING_FILTERS.apply(wanted, offered)
    page, next_token = _OFFERING_PAGES.cut(
        call,
        found,
        lambda item: (item.product.id, item.place),
        size=request.get("MaxResults"),
        token=request.get("NextToken"),
        query=(kind, wanted),
    )
    result: shapes.DescribeInstanceTypeOfferingsResult = {"InstanceTypeOfferings": [_offering(item) for item in page]}
    if next_token is not None:
        result["NextToken"] = next_token
    return result


def _places(fleet: Fleet, product: Product, kind: str) -> Sequence[str]:
    zones = [zone for zone in fleet.zones() if zone.id in product.capacity]
    here = [zone for zone in zones if fleet.region_id in (None, zone.region_id)]
    return sorted({fleet.region_of(zone.id).name if kind == "region" else zone.name for zone in here})


def _offering(item: _Offering) -> shapes.InstanceTypeOffering:
    return {"InstanceType": item.product.instance_type, "LocationType": item.kind, "Location": item.place}
