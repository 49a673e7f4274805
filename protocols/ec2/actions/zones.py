"""Regions and availability zones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.catalogue import Region, Zone
from core.errors import UnknownZone
from protocols.ec2.errors import Ec2Refusal
from protocols.ec2.filters import Filters
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

# Nobody has to opt in to a region or zone here.
_OPT_IN = "opt-in-not-required"
_ZONE_TYPE = "availability-zone"


@dataclass(frozen=True, slots=True)
class _Served:
    """A region with where it answers."""

    region: Region
    endpoint: str


_REGION_FILTERS: Filters[_Served] = Filters(
    {
        "endpoint": lambda item: (item.endpoint,),
        "opt-in-status": lambda _: (_OPT_IN,),
        "region-name": lambda item: (item.region.name,),
    }
)


@family.action(
    "DescribeRegions",
    reads=(
        "RegionNames",
        "Filters",
        "AllRegions",  # there are no others
    ),
)
async def describe_regions(call: Call, request: shapes.DescribeRegionsRequest) -> shapes.DescribeRegionsResult:
    """Describe the regions; each is served by this very endpoint."""
    by_name = {region.name: region for region in call.fleet.regions()}
    asked = request.get("RegionNames") or list(by_name)
    if missing := [name for name in asked if name not in by_name]:
        raise Ec2Refusal("InvalidParameterValue", f"Invalid region names: [{', '.join(missing)}]")
    served = [_Served(by_name[name], call.exchange.host) for name in dict.fromkeys(asked)]
    found = await _REGION_FILTERS.apply(request.get("Filters"), served)
    return {"Regions": [_region(item) for item in found]}


def _region(item: _Served) -> shapes.Region:
    # No geography: boto 2 would take the name in it for the region's.
    return {"RegionName": item.region.name, "Endpoint": item.endpoint, "OptInStatus": _OPT_IN}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A zone with its region. A zone's id is its name: both are the same for every account here."""

    zone: Zone
    region: Region

    @property
    def state(self) -> str:
        return "available" if self.zone.is_available else "unavailable"

    @property
    def messages(self) -> Sequence[str]:
        return () if self.zone.is_available else ("The zone takes no new bookings.",)


_ZONE_FILTERS: Filters[_Placed] = Filters(
    {
        "group-name": lambda item: (item.region.name,),
        "message": lambda item: item.messages,
        "opt-in-status": lambda _: (_OPT_IN,),
        "region-name": lambda item: (item.region.name,),
        "state": lambda item: (item.state,),
        "zone-id": lambda item: (item.zone.name,),
        "zone-name": lambda item: (item.zone.name,),
        "zone-type": lambda _: (_ZONE_TYPE,),
    },
    absent=("group-long-name", "parent-zone-id", "parent-zone-name"),
)


@family.action(
    "DescribeAvailabilityZones",
    reads=(
        "ZoneNames",
        "ZoneIds",
        "Filters",
        "AllAvailabilityZones",  # there are no others
    ),
)
async def describe_availability_zones(
    call: Call, request: shapes.DescribeAvailabilityZonesRequest
) -> shapes.DescribeAvailabilityZonesResult:
    """Describe the zones of all regions."""
    by_name = {zone.name: zone for zone in call.fleet.zones()}
    asked = [*(request.get("ZoneNames") or []), *(request.get("ZoneIds") or [])] or list(by_name)
    for name in asked:
        if name not in by_name:
            raise UnknownZone(name)
    placed = [_Placed(by_name[name], call.fleet.region_of(by_name[name].id)) for name in dict.fromkeys(asked)]
    found = await _ZONE_FILTERS.apply(request.get("Filters"), placed)
    return {"AvailabilityZones": [_zone(item) for item in found]}


def _zone(item: _Placed) -> shapes.AvailabilityZone:
    return {
        "State": item.state,
        "OptInStatus": _OPT_IN,
        "Messages": [{"Message": message} for message in item.messages],
        "RegionName": item.region.name,
        "ZoneName": item.zone.name,
        "ZoneId": item.zone.name,
        "GroupName": item.region.name,
        "NetworkBorderGroup": item.region.name,
        "ZoneType": _ZONE_TYPE,
    }
