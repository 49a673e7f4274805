"""Volumes: the disk of each machine, and those that have outlived their machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from core.disks import KeptDisk
from core.fleet import Fleet
from core.ids import InstanceId
from core.instances import Instance
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.encode import timestamp_text
from protocols.ec2.errors import invalid_value, not_found
from protocols.ec2.filters import Filters, boolean
from protocols.ec2.listings import Listing
from protocols.ec2.pages import Paging
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

R = TypeVar("R")

_MOST = 1000


class _Volume:
    """A disk with what its filters read; `machine` is None once it has outlived its own."""

    __slots__ = ("created_at", "id", "machine", "number", "owner_id", "size_gib", "tags", "zone_name")

    def __init__(self, fleet: Fleet, disk: Instance | KeptDisk) -> None:
        self.number: InstanceId = disk.id
        self.id = ids.spell(ResourceKind.DISK, disk.id)
        self.owner_id = ids.owner_id(disk.account_id)
        self.zone_name = fleet.zone(disk.zone_id).name
        self.tags = fleet.tags(ResourceKind.DISK, disk.id)
        self.machine: Instance | None = None
        self.size_gib: int
        self.created_at: datetime
        if isinstance(disk, KeptDisk):
            self.size_gib, self.created_at = disk.size_gib, disk.created_at
        else:
            self.machine = disk
            self.size_gib, self.created_at = fleet.product(disk.product_id).disk_gib, disk.launched_at

    def of_machine(self, read: Callable[[Instance], R]) -> Iterable[R]:
        """What a filter reads of the machine, if there is one."""
        return () if self.machine is None else (read(self.machine),)


def _volumes(fleet: Fleet) -> Iterable[_Volume]:
    """Return all disks by number; no machine that is still there has a kept one."""
    machines = [machine for machine in fleet.instances() if not machine.is_gone]
    disks: list[Instance | KeptDisk] = [*machines, *fleet.kept_disks()]
    return (_Volume(fleet, disk) for disk in sorted(disks, key=lambda disk: disk.id))


def _volume(item: _Volume) -> shapes.Volume:
    return {
        "VolumeId": item.id,
        "AvailabilityZone": item.zone_name,
        "AvailabilityZoneId": item.zone_name,
        "Size": item.size_gib,
        "SnapshotId": "",
        "State": _state(item),
        "CreateTime": item.created_at,
        "VolumeType": render.VOLUME_TYPE,
        "Encrypted": False,
        "MultiAttachEnabled": False,
        "Attachments": [_attachment(machine) for machine in item.of_machine(_itself)],
        "Tags": render.tags(item.tags),
    }


def _attachment(machine: Instance) -> shapes.VolumeAttachment:
    return {
        "VolumeId": ids.spell(ResourceKind.DISK, machine.id),
        "InstanceId": ids.instance_id(machine.id),
        "Device": render.ROOT_DEVICE,
        "State": "attached",
        "AttachTime": machine.launched_at,
        "DeleteOnTermination": not machine.options.keeps_disk,
    }


def _itself(machine: Instance) -> Instance:
    return machine


def _state(item: _Volume) -> str:
    return "available" if item.machine is None else "in-use"


def _number(item: _Volume) -> int:
    return item.number


_VOLUMES: Listing[_Volume] = Listing(
    Paging("DescribeVolumes", most=_MOST),
    ResourceKind.DISK,
    "VolumeIds",
    "Volume",
    Filters(
        {
            "attachment.attach-time": lambda item: item.of_machine(lambda each: timestamp_text(each.launched_at)),
            "attachment.delete-on-termination": lambda item: item.of_machine(
                lambda each: boolean(not each.options.keeps_disk)[0]
            ),
            "attachment.device": lambda item: item.of_machine(lambda _: render.ROOT_DEVICE),
            "attachment.instance-id": lambda item: item.of_machine(lambda each: ids.instance_id(each.id)),
            "attachment.status": lambda item: item.of_machine(lambda _: "attached"),
            "availability-zone": lambda item: (item.zone_name,),
            "availability-zone-id": lambda item: (item.zone_name,),
            "create-time": lambda item: (timestamp_text(item.created_at),),
            "encrypted": lambda _: boolean(value=False),
            "multi-attach-enabled": lambda _: boolean(value=False),
            "size": lambda item: (str(item.size_gib),),
            "status": lambda item: (_state(item),),
            "volume-id": lambda item: (item.id,),
            "volume-type": lambda _: (render.VOLUME_TYPE,),
        },
        action="DescribeVolumes",
        tags=lambda item: item.tags,
    ),
    number=_number,
    describe=_volume,
    set_name="volumeSet",
)

_LISTED = ("VolumeIds", "Filters", "MaxResults", "NextToken")
_IGNORED = {"IncludeManagedResources": "there are none"}


@family.action("DescribeVolumes", reads=_LISTED, ignores=_IGNORED)
async def describe_volumes(call: Call, request: shapes.DescribeVolumesRequest) -> shapes.DescribeVolumesResult:
    """Describe the disks of machines, and those that were kept."""
    page = await _VOLUMES.page(call, _capped(request), _volumes(call.fleet))
    result: shapes.DescribeVolumesResult = {"Volumes": page.items}
    return page.end(result)


def _capped(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a request for no more than a page may have: more is no mistake here. Source: DescribeVolumes, in 2021."""
    size = request.get("MaxResults")
    return {**request, "MaxResults": _MOST} if size is not None and size > _MOST else request


def _status(item: _Volume) -> shapes.VolumeStatusItem:
    attached: list[shapes.VolumeStatusAttachmentStatus] = [
        {"InstanceId": ids.instance_id(machine.id), "IoPerformance": _PERFORMANCE}
        for machine in item.of_machine(_itself)
    ]
    return {
        "VolumeId": item.id,
        "AvailabilityZone": item.zone_name,
        "AvailabilityZoneId": item.zone_name,
        "VolumeStatus": {
            "Status": "ok",
            "Details": [{"Name": name, "Status": status} for name, status in _DETAILS.items()],
        },
        "Events": [],
        "Actions": [],
        "AttachmentStatuses": attached,
    }


# What EC2 says of volumes that have no performance of their own to keep.
_PERFORMANCE = "not-applicable"
_DETAILS = {"io-enabled": "passed", "io-performance": _PERFORMANCE}

_STATUSES: Listing[_Volume] = Listing(
    Paging("DescribeVolumeStatus", most=_MOST),
    ResourceKind.DISK,
    "VolumeIds",
    "VolumeStatusItem",
    Filters(
        {
            "attachment-status.instance-id": lambda item: item.of_machine(lambda each: ids.instance_id(each.id)),
            "attachment-status.io-performance": lambda item: item.of_machine(lambda _: _PERFORMANCE),
            "availability-zone": lambda item: (item.zone_name,),
            "availability-zone-id": lambda item: (item.zone_name,),
            "volume-status.details-name": lambda _: _DETAILS.keys(),
            "volume-status.details-status": lambda _: _DETAILS.values(),
            "volume-status.status": lambda _: ("ok",),
        },
        action="DescribeVolumeStatus",
    ),
    number=_number,
    describe=_status,
    set_name="volumeSet",
)


@family.action("DescribeVolumeStatus", reads=_LISTED, ignores=_IGNORED)
async def describe_volume_status(
    call: Call, request: shapes.DescribeVolumeStatusRequest
) -> shapes.DescribeVolumeStatusResult:
    """Describe how disks are: well, as far as anyone here can see."""
    page = await _STATUSES.page(call, _capped(request), _volumes(call.fleet))
    result: shapes.DescribeVolumeStatusResult = {"VolumeStatuses": page.items}
    return page.end(result)


_ATTRIBUTES: Mapping[str, shapes.DescribeVolumeAttributeResult] = {
    "autoEnableIO": {"AutoEnableIO": {"Value": False}},
    "productCodes": {"ProductCodes": []},
}


@family.action("DescribeVolumeAttribute", reads=("VolumeId", "Attribute"))
async def describe_volume_attribute(
    call: Call, request: shapes.DescribeVolumeAttributeRequest
) -> shapes.DescribeVolumeAttributeResult:
    """Tell one attribute of a disk."""
    number = _named(call.fleet, request["VolumeId"])
    if (found := _ATTRIBUTES.get(request["Attribute"])) is None:
        raise invalid_value("Attribute", request["Attribute"], f"Expected one of {', '.join(_ATTRIBUTES)}.")
    return {"VolumeId": ids.spell(ResourceKind.DISK, number), **found}


@family.action("DeleteVolume", reads=("VolumeId",))
async def delete_volume(call: Call, request: shapes.DeleteVolumeRequest) -> None:
    """Remove a disk that was kept."""
    await call.core.machines.delete_disk(call.caller, _named(call.fleet, request["VolumeId"]))


def _named(fleet: Fleet, text: str) -> InstanceId:
    number = InstanceId(ids.read(ResourceKind.DISK, text))
    if not fleet.has(ResourceKind.DISK, number):
        raise not_found(ResourceKind.DISK, text)
    return number
