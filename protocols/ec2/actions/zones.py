"""Regions and availability zones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.catalogue import Region, Zone
from core.errors import UnknownZone
from core.fleet import Fleet
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
    },
    action="DescribeRegions",
)


@family.action(
    "DescribeRegions",
    reads=("RegionNames", "Filters"),
    ignores={"AllRegions": "nobody has to opt in to a region here"},
)
async def describe_regions(call: Call, request: shapes.DescribeRegionsRequest) -> shapes.DescribeRegionsResult:
    """Describe the regions; all are served by this very endpoint.

    Each has an endpoint of its own only for clients that called by one: whoever did has names for all of them.
    """
    by_name = {region.name: region for region in call.fleet.regions()}
    asked = request.get("RegionNames") or list(by_name)
    if missing := [name for name in asked if name not in by_name]:
        raise Ec2Refusal("InvalidParameterValue", f"Invalid region names: [{', '.join(missing)}]")
    host = call.region_host or call.exchange.host
    served = [_Served(by_name[name], host.replace("{}", name)) for name in dict.fromkeys(asked)]
    found = await _REGION_FILTERS.apply(request.get("Filters"), served)
    return {"Regions": [_region(item) for item in found]}


def _region(item: _Served) -> shapes.Region:
    # No geography: boto 2 would take the name in it for the region's.
    return {"RegionName": item.region.name, "Endpoint": item.endpoint, "OptInStatus": _OPT_IN}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A zone with its region. A zone's id is its name: both are the same for every account here.

    All zones are told of, also those of other regions, where a request of this one can book nothing.
    """

    zone: Zone
    region: Region
    is_here: bool

    @property
    def state(self) -> str:
        return "unavailable" if self.messages else "available"

    @property
    def messages(self) -> Sequence[str]:
        if not self.zone.is_available:
            return ("The zone takes no new bookings.",)
        return () if self.is_here else (f"The zone is in another region; sign for {self.region.name} to use it.",)


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
    action="DescribeAvailabilityZones",
)


@family.action(
    "DescribeAvailabilityZones",
    reads=("ZoneNames", "ZoneIds", "Filters"),
    ignores={"AllAvailabilityZones": "all are told of anyway"},
)
async def describe_availability_zones(
    call: Call, request: shapes.DescribeAvailabilityZonesRequest
) -> shapes.DescribeAvailabilityZonesResult:
    """Describe the zones of all regions, those of the caller's first."""
    by_name = {zone.name: zone for zone in call.fleet.zones()}
    asked = [*(request.get("ZoneNames") or []), *(request.get("ZoneIds") or [])] or list(by_name)
    for name in asked:
        if name not in by_name:
            raise UnknownZone(name)
    placed = [_placed(call.fleet, by_name[name]) for name in dict.fromkeys(asked)]
    placed.sort(key=lambda item: not item.is_here)
    found = await _ZONE_FILTERS.apply(request.get("Filters"), placed)
    return {"AvailabilityZones": [_zone(item) for item in found]}


def _placed(fleet: Fleet, zone: Zone) -> _Placed:
    return _Placed(zone, fleet.region_of(zone.id), fleet.region_id in (None, zone.region_id))


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
