"""Booking, looking at, and switching machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from core.catalogue import Image
from core.fleet import Fleet
from core.ids import OrderId
from core.instances import Instance, State
from core.networks import hardware_address
from core.orders import Order
from core.service import Change
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.actions.booking import read_booking
from protocols.ec2.encode import Fragment, timestamp_text
from protocols.ec2.errors import invalid_combination
from protocols.ec2.filters import Filters, Reader, boolean, present
from protocols.ec2.pages import Paging, Place
from protocols.ec2.registry import Call, Family
from protocols.ec2.turns import in_turns

if TYPE_CHECKING:
    from protocols.ec2 import extension_shapes, shapes

family = Family()

# --- booking


@family.action(
    "RunInstances",
    reads=(
        "ImageId",
        "InstanceType",
        "MinCount",
        "MaxCount",
        "KeyName",
        "Placement",
        "UserData",
        "ClientToken",
        "TagSpecifications",
        "InstanceInitiatedShutdownBehavior",
        "SecurityGroupIds",
        "SecurityGroups",
        "SubnetId",
        "PrivateIpAddress",
        "NetworkInterfaces",
        "BlockDeviceMappings",
        "DisableApiTermination",
        "DisableApiStop",
        "Monitoring",
        "MetadataOptions",
        "BillingTerm",
    ),
    accepts={
        "EbsOptimized": (False,),
        "HibernationOptions": ({"Configured": False},),
        "EnclaveOptions": ({"Enabled": False},),
        "MaintenanceOptions": ({"AutoRecovery": "default"}, {"AutoRecovery": "disabled"}),
        "CapacityReservationSpecification": (
            {"CapacityReservationPreference": "open"},
            {"CapacityReservationPreference": "none"},
        ),
        "PrivateDnsNameOptions": ({"HostnameType": "ip-name"},),
    },
)
async def run_instances(call: Call, request: extension_shapes.RunInstancesRequest) -> shapes.Reservation:
    """Book machines."""
    placed = await call.core.book(call.caller, await read_booking(call, request))
    fleet = await call.refreshed()
    (reservation,) = await _reservations(call, [_Described(fleet, each) for each in fleet.machines(placed.order.id)])
    return reservation


# --- looking


class _Described:
    """A machine with what its filters read."""

    __slots__ = ("fleet", "instance", "tags")

    def __init__(self, fleet: Fleet, instance: Instance) -> None:
        self.fleet, self.instance = fleet, instance
        self.tags = fleet.tags(ResourceKind.INSTANCE, instance.id)

    @property
    def order(self) -> Order:
        return self.fleet.order(self.instance.order_id)

    @property
    def image(self) -> Image:
        return self.fleet.image(self.instance.image_id)

    @property
    def zone_name(self) -> str:
        """The name of its zone, which is the zone's id too."""
        return self.fleet.zone(self.instance.zone_id).name

    @property
    def public_address(self) -> str:
        return render.public_address(self.fleet, self.instance)

    @property
    def group_ids(self) -> Iterable[str]:
        return [group["GroupId"] for group in render.groups(self.fleet, self.instance)]

    @property
    def group_names(self) -> Iterable[str]:
        return [group["GroupName"] for group in render.groups(self.fleet, self.instance)]

    @property
    def metadata(self) -> shapes.InstanceMetadataOptionsResponse:
        return render.metadata_options(self.instance.options.metadata)

    @property
    def place(self) -> tuple[str, ...]:
        """The ids of its network and its subnet; none once it is gone."""
        return () if self.instance.is_gone else render.place_ids(self.fleet, self.instance)

    def reason(self, part: Literal["Code", "Message"]) -> Iterable[str]:
        return present((render.state_reason(self.instance) or {}).get(part, ""))


_SHARED_FILTERS: Mapping[str, Reader[_Described]] = {
    "availability-zone": lambda item: (item.zone_name,),
    "availability-zone-id": lambda item: (item.zone_name,),
    "instance-state-code": lambda item: (str(render.STATE_CODES[item.instance.state]),),
    "instance-state-name": lambda item: (item.instance.state.value,),
}


def _of_interface(read: Callable[[_Described], Iterable[str]]) -> Callable[[_Described], Iterable[str]]:
    """Return what reads something of a machine's network interface, which one that is gone has not."""
    return lambda item: () if item.instance.is_gone else read(item)


def _association(item: _Described) -> Iterable[str]:
    return [f"{ids.ASSOCIATION}{each.association_id:017x}" for each in item.fleet.bound_to(item.instance.id)]


def _allocation(item: _Described) -> Iterable[str]:
    return [ids.spell(ResourceKind.ADDRESS, each.id) for each in item.fleet.bound_to(item.instance.id)]


_INTERFACE_FILTERS: Mapping[str, Callable[[_Described], Iterable[str]]] = {
    f"network-interface.{name}": _of_interface(read)
    for name, read in {
        "addresses.association.allocation-id": _allocation,
        "addresses.association.association-id": _association,
        "addresses.association.public-ip": lambda item: present(item.public_address),
        "addresses.primary": lambda _: boolean(value=True),
        "addresses.private-ip-address": lambda item: present(item.instance.private_address),
        "association.allocation-id": _allocation,
        "association.association-id": _association,
        "association.public-ip": lambda item: present(item.public_address),
        "attachment.attach-time": lambda item: (timestamp_text(item.instance.launched_at),),
        "attachment.attachment-id": lambda item: (f"{ids.ATTACHMENT}{item.instance.id:017x}",),
        "attachment.delete-on-termination": lambda _: boolean(value=True),
        "attachment.device-index": lambda _: ("0",),
        "attachment.instance-id": lambda item: (ids.instance_id(item.instance.id),),
        "attachment.instance-owner-id": lambda item: (ids.owner_id(item.instance.account_id),),
        "attachment.network-card-index": lambda _: ("0",),
        "attachment.status": lambda _: ("attached",),
        "availability-zone": lambda item: (item.zone_name,),
        "group-id": lambda item: item.group_ids,
        "group-name": lambda item: item.group_names,
        "mac-address": lambda item: (hardware_address(item.instance.id),),
        "network-interface-id": lambda item: (ids.spell(ResourceKind.INTERFACE, item.instance.id),),
        "owner-id": lambda item: (ids.owner_id(item.instance.account_id),),
        "private-dns-name": lambda item: present(render.private_dns_name(item.instance)),
        "private-ip-address": lambda item: present(item.instance.private_address),
        "requester-managed": lambda _: boolean(value=False),
        "source-dest-check": lambda item: boolean(item.instance.options.is_source_checked),
        "status": lambda _: ("in-use",),
        "subnet-id": lambda item: item.place[1:],
        "vpc-id": lambda item: item.place[:1],
    }.items()
}

_INSTANCE_FILTERS: Filters[_Described] = Filters(
    {
        **_SHARED_FILTERS,
        "architecture": lambda item: (item.image.architecture,),
        **_INTERFACE_FILTERS,
        "block-device-mapping.attach-time": lambda item: (timestamp_text(item.instance.launched_at),),
        "block-device-mapping.delete-on-termination": lambda item: boolean(not item.instance.options.keeps_disk),
        "block-device-mapping.device-name": lambda _: (render.ROOT_DEVICE,),
        "block-device-mapping.status": lambda _: ("attached",),
        "block-device-mapping.volume-id": lambda item: (ids.spell(ResourceKind.DISK, item.instance.id),),
        "boot-mode": lambda _: (render.BOOT_MODE,),
        "client-token": lambda item: present(item.order.client_token),
        "current-instance-boot-mode": lambda _: (render.BOOT_MODE,),
        "ebs-optimized": lambda _: boolean(value=False),
        "ena-support": lambda _: boolean(value=True),
        "enclave-options.enabled": lambda _: boolean(value=False),
        "group-id": lambda item: item.group_ids,
        "group-name": lambda item: item.group_names,
        "hibernation-options.configured": lambda _: boolean(value=False),
        "hypervisor": lambda _: (render.HYPERVISOR,),
        "image-id": lambda item: (ids.image_id(item.instance.image_id), item.image.name),
        "instance-id": lambda item: (ids.instance_id(item.instance.id), str(item.instance.id)),
        "instance-type": lambda item: (item.fleet.product(item.instance.product_id).instance_type,),
        "instance.group-id": lambda item: item.group_ids,
        "instance.group-name": lambda item: item.group_names,
        "ip-address": lambda item: present(item.public_address),
        "key-name": lambda item: present(item.order.key_name),
        "launch-index": lambda item: (str(item.instance.launch_index),),
        "launch-time": lambda item: (timestamp_text(item.instance.launched_at),),
        "maintenance-options.auto-recovery": lambda _: ("disabled",),
        "metadata-options.http-endpoint": lambda item: (item.metadata["HttpEndpoint"],),
        "metadata-options.http-protocol-ipv4": lambda item: (item.metadata["HttpEndpoint"],),
        "metadata-options.http-protocol-ipv6": lambda item: (item.metadata["HttpProtocolIpv6"],),
        "metadata-options.http-put-response-hop-limit": lambda item: (str(item.metadata["HttpPutResponseHopLimit"]),),
        "metadata-options.http-tokens": lambda item: (item.metadata["HttpTokens"],),
        "metadata-options.instance-metadata-tags": lambda item: (item.metadata["InstanceMetadataTags"],),
        "metadata-options.state": lambda item: (item.metadata["State"],),
        "monitoring-state": lambda item: (render.monitoring(item.instance),),
        "owner-id": lambda item: (ids.owner_id(item.instance.account_id),),
        "platform": lambda item: present(render.platform(item.image)),
        "platform-details": lambda item: (render.platform_details(item.image),),
        "private-dns-name-options.enable-resource-name-dns-a-record": lambda _: boolean(value=False),
        "private-dns-name-options.enable-resource-name-dns-aaaa-record": lambda _: boolean(value=False),
        "private-dns-name-options.hostname-type": lambda _: ("ip-name",),
        "private-dns-name": lambda item: present(render.private_dns_name(item.instance)),
        "private-ip-address": lambda item: present(item.instance.private_address),
        "reason": lambda item: present(render.transition_reason(item.instance)),
        "reservation-id": lambda item: (ids.reservation_id(item.instance.order_id),),
        "root-device-name": lambda _: (render.ROOT_DEVICE,),
        "root-device-type": lambda _: (render.ROOT_DEVICE_TYPE,),
        "source-dest-check": lambda item: boolean(item.instance.options.is_source_checked),
        "state-reason-code": lambda item: item.reason("Code"),
        "state-reason-message": lambda item: item.reason("Message"),
        "subnet-id": lambda item: item.place[1:],
        "tenancy": lambda _: (render.TENANCY,),
        "usage-operation": lambda _: (render.USAGE_OPERATION,),
        "usage-operation-update-time": lambda item: (timestamp_text(item.instance.launched_at),),
        "virtualization-type": lambda _: (render.VIRTUALIZATION,),
        "vpc-id": lambda item: item.place[:1],
    },
    tags=lambda item: item.tags,
    action="DescribeInstances",
)

_INSTANCE_PAGES = Paging("DescribeInstances")


def _described(fleet: Fleet, asked: Sequence[str]) -> list[_Described]:
    """Return the machines that are asked for, or all, by id: what the answer will tell is settled here."""
    chosen = sorted(fleet.instances_by_id(ids.read_instances(asked)), key=_number) if asked else fleet.instances()
    return [_Described(fleet, instance) for instance in chosen]


def _number(instance: Instance) -> int:
    return instance.id


def _place(item: _Described) -> Place:
    return (item.instance.id,)


@family.action("DescribeInstances", reads=("InstanceIds", "Filters", "MaxResults", "NextToken"))
async def describe_instances(call: Call, request: shapes.DescribeInstancesRequest) -> shapes.DescribeInstancesResult:
    """Describe machines, grouped by the order that booked them."""
    asked, size = request.get("InstanceIds") or [], request.get("MaxResults")
    if asked and size is not None:
        raise invalid_combination("instancesSet", "maxResults")
    wanted = request.get("Filters")
    found = await _INSTANCE_FILTERS.apply(wanted, _described(call.fleet, asked))
    token = request.get("NextToken")
    page, next_token = _INSTANCE_PAGES.cut(call, found, _place, size=size, token=token, query=wanted)
    result: shapes.DescribeInstancesResult = {"Reservations": await _reservations(call, page)}
    if next_token is not None:
        result["NextToken"] = next_token
    return result


async def _reservations(call: Call, items: Sequence[_Described]) -> Sequence[shapes.Reservation]:
    if len(items) == 1:  # as in most requests
        [item] = items
        return [render.reservation(item.order, [call.renderer.instance(item.fleet, item.instance, item.tags)])]
    orders = {item.instance.order_id: item.order for item in items}
    machines: dict[OrderId, list[Fragment]] = {order_id: [] for order_id in orders}
    async for item in in_turns(items):
        machines[item.instance.order_id].append(call.renderer.instance(item.fleet, item.instance, item.tags))
    return [render.reservation(order, machines[order_id]) for order_id, order in orders.items()]


_STATUS_FILTERS: Filters[_Described] = Filters(
    {
        **_SHARED_FILTERS,
        "instance-status.status": lambda item: (_summary_status(item.instance),),
        "system-status.status": lambda item: (_summary_status(item.instance),),
        "instance-status.reachability": lambda item: present(_reachability(item.instance)),
        "system-status.reachability": lambda item: present(_reachability(item.instance)),
    },
    tags=lambda item: item.tags,
    action="DescribeInstanceStatus",
)

_STATUS_PAGES = Paging("DescribeInstanceStatus")


@family.action(
    "DescribeInstanceStatus",
    reads=("InstanceIds", "Filters", "MaxResults", "NextToken", "IncludeAllInstances"),
)
async def describe_instance_status(
    call: Call, request: shapes.DescribeInstanceStatusRequest
) -> shapes.DescribeInstanceStatusResult:
    """Describe how machines are; only running ones unless all are asked for."""
    asked, size = request.get("InstanceIds") or [], request.get("MaxResults")
    if asked and size is not None:
        raise invalid_combination("InstanceId", "MaxResults")
    described = _described(call.fleet, asked)
    if not request.get("IncludeAllInstances", False):
        described = [item for item in described if item.instance.state is State.RUNNING]
    wanted = request.get("Filters")
    found = await _STATUS_FILTERS.apply(wanted, described)
    token = request.get("NextToken")
    query = (wanted, request.get("IncludeAllInstances"))
    page, next_token = _STATUS_PAGES.cut(call, found, _place, size=size, token=token, query=query)
    statuses = await call.renderer.each("InstanceStatus", page, partial(_status, call))
    result: shapes.DescribeInstanceStatusResult = {"InstanceStatuses": statuses}
    if next_token is not None:
        result["NextToken"] = next_token
    return result


def _status(call: Call, item: _Described) -> shapes.InstanceStatus:
    instance = item.instance
    summary: shapes.InstanceStatusSummary = {"Status": _summary_status(instance)}
    if reachability := _reachability(instance):
        summary["Details"] = [{"Name": "reachability", "Status": reachability}]
    return {
        "AvailabilityZone": item.zone_name,
        "InstanceId": ids.instance_id(instance.id),
        "InstanceState": render.state(instance.state),
        "InstanceStatus": summary,
        "SystemStatus": summary,
        "Events": call.dialect.events(instance, call.fleet.now),
    }


def _summary_status(instance: Instance) -> str:
    return {State.RUNNING: "ok", State.PENDING: "initializing"}.get(instance.state, "not-applicable")


def _reachability(instance: Instance) -> str:
    return {State.RUNNING: "passed", State.PENDING: "initializing"}.get(instance.state, "")


# --- switching


@family.action("StartInstances", reads=("InstanceIds",))
async def start_instances(call: Call, request: shapes.StartInstancesRequest) -> shapes.StartInstancesResult:
    """Start stopped machines."""
    changes = await call.core.start(call.caller, ids.read_instances(request["InstanceIds"]))
    return {"StartingInstances": await _changes(call, changes)}


@family.action(
    "StopInstances", reads=("InstanceIds", "Force"), accepts={"Hibernate": (False,), "SkipOsShutdown": (False,)}
)
async def stop_instances(call: Call, request: shapes.StopInstancesRequest) -> shapes.StopInstancesResult:
    """Stop machines; forced, without asking their systems."""
    chosen = ids.read_instances(request["InstanceIds"])
    changes = await call.core.stop(call.caller, chosen, is_forced=request.get("Force", False))
    return {"StoppingInstances": await _changes(call, changes)}


@family.action("RebootInstances", reads=("InstanceIds",))
async def reboot_instances(call: Call, request: shapes.RebootInstancesRequest) -> None:
    """Restart the systems of running machines."""
    await call.core.reboot(call.caller, ids.read_instances(request["InstanceIds"]))


@family.action("TerminateInstances", reads=("InstanceIds",), accepts={"SkipOsShutdown": (False,), "Force": (False,)})
async def terminate_instances(call: Call, request: shapes.TerminateInstancesRequest) -> shapes.TerminateInstancesResult:
    """End the rental of machines."""
    changes = await call.core.terminate(call.caller, ids.read_instances(request["InstanceIds"]))
    return {"TerminatingInstances": await _changes(call, changes)}


async def _changes(call: Call, changes: Sequence[Change]) -> Sequence[Fragment]:
    return await call.renderer.each("InstanceStateChange", changes, _change)


def _change(change: Change) -> shapes.InstanceStateChange:
    return {
        "InstanceId": ids.instance_id(change.after.id),
        "CurrentState": render.state(change.after.state),
        "PreviousState": render.state(change.before.state),
    }
