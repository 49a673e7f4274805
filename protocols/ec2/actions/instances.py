"""Booking, looking at, and switching machines."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from core.catalogue import Image
from core.errors import UnknownProduct, UnknownZone
from core.fleet import Fleet
from core.ids import OrderId, ProductId, ZoneId
from core.instances import Instance, ShutdownBehaviour, State
from core.orders import Booking, Order
from core.service import Change
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.actions.images import image_named
from protocols.ec2.actions.tags import specified_tags
from protocols.ec2.encode import Fragment, timestamp_text
from protocols.ec2.errors import Ec2Refusal, invalid_combination, invalid_value, unsupported_parameter
from protocols.ec2.filters import Filters, Reader, boolean, present
from protocols.ec2.pages import Paging, Place
from protocols.ec2.registry import Call, Family
from protocols.ec2.turns import in_turns

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

_TOKEN_LENGTH = 64


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
    ),
    accepts={
        "Monitoring": ({"Enabled": False},),
        "EbsOptimized": (False,),
        "DisableApiTermination": (False,),
        "DisableApiStop": (False,),
        "SecurityGroupIds": ([],),
        "SecurityGroups": ([],),
        "BlockDeviceMappings": ([],),
        "HibernationOptions": ({"Configured": False},),
        "EnclaveOptions": ({"Enabled": False},),
    },
)
async def run_instances(call: Call, request: shapes.RunInstancesRequest) -> shapes.Reservation:
    """Book machines."""
    placed = await call.core.book(call.caller, _booking(call.fleet, request))
    fleet = await call.refreshed()
    (reservation,) = await _reservations(call, [_Described(fleet, each) for each in fleet.machines(placed.order.id)])
    return reservation


def _booking(fleet: Fleet, request: shapes.RunInstancesRequest) -> Booking:
    for name in ("ImageId", "InstanceType"):
        if not request.get(name):
            raise Ec2Refusal("MissingParameter", f"The request must contain the parameter {name}")
    least, most = request["MinCount"], request["MaxCount"]
    if least < 1 or most < least:
        raise invalid_value("MinCount", least, f"Expected 1 to MaxCount, which is {most}.")
    return Booking(
        product_id=_product_id(fleet, request["InstanceType"]),
        least=least,
        most=most,
        zone_id=_zone_id(fleet, request.get("Placement", {})),
        image_id=image_named(fleet, request["ImageId"]).id,
        key_name=request.get("KeyName", ""),
        user_data=_user_data(request.get("UserData", "")),
        shutdown_behaviour=_shutdown_behaviour(request.get("InstanceInitiatedShutdownBehavior", "stop")),
        client_token=_client_token(request.get("ClientToken", "")),
        tags=specified_tags(request.get("TagSpecifications", []), {ResourceKind.INSTANCE}),
    )


def _product_id(fleet: Fleet, name: str) -> ProductId:
    product = next((product for product in fleet.products() if product.instance_type == name), None)
    if product is None:
        raise UnknownProduct(name)
    return product.id


def _zone_id(fleet: Fleet, placement: shapes.Placement) -> ZoneId | None:
    if placement.get("Tenancy", "default") != "default":
        raise unsupported_parameter("RunInstances", "Placement.Tenancy", " Only default tenancy is.")
    for name in placement.keys() - {"AvailabilityZone", "Tenancy"}:
        if placement.get(name):
            raise unsupported_parameter("RunInstances", f"Placement.{name}")
    text = placement.get("AvailabilityZone", "")
    if not text:
        return None
    zone = next((zone for zone in fleet.zones() if zone.name == text), None)
    if zone is None:
        raise UnknownZone(text)
    return zone.id


def _user_data(text: str) -> bytes:
    try:
        # openssl and base64(1) break lines. A blank is a '+' that was not escaped, and not to be passed over.
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise Ec2Refusal("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data") from None


def _shutdown_behaviour(text: str) -> ShutdownBehaviour:
    try:
        return ShutdownBehaviour(text)
    except ValueError:
        raise invalid_value("InstanceInitiatedShutdownBehavior", text, "Expected stop or terminate.") from None


def _client_token(text: str) -> str:
    if len(text) > _TOKEN_LENGTH or not text.isascii():
        raise invalid_value("ClientToken", text[:_TOKEN_LENGTH], f"Expected at most {_TOKEN_LENGTH} ASCII characters.")
    return text


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

    def reason(self, part: Literal["Code", "Message"]) -> Iterable[str]:
        return present((render.state_reason(self.instance) or {}).get(part, ""))


_SHARED_FILTERS: Mapping[str, Reader[_Described]] = {
    "availability-zone": lambda item: (item.zone_name,),
    "availability-zone-id": lambda item: (item.zone_name,),
    "instance-state-code": lambda item: (str(render.STATE_CODES[item.instance.state]),),
    "instance-state-name": lambda item: (item.instance.state.value,),
}

_INSTANCE_FILTERS: Filters[_Described] = Filters(
    {
        **_SHARED_FILTERS,
        "architecture": lambda item: (item.image.architecture,),
        "client-token": lambda item: present(item.order.client_token),
        "ebs-optimized": lambda _: boolean(value=False),
        "hypervisor": lambda _: (render.HYPERVISOR,),
        "image-id": lambda item: (ids.image_id(item.instance.image_id),),
        "instance-id": lambda item: (ids.instance_id(item.instance.id),),
        "instance-type": lambda item: (item.fleet.product(item.instance.product_id).instance_type,),
        "ip-address": lambda item: present(item.instance.public_address),
        "key-name": lambda item: present(item.order.key_name),
        "launch-index": lambda item: (str(item.instance.launch_index),),
        "launch-time": lambda item: (timestamp_text(item.instance.launched_at),),
        "monitoring-state": lambda _: (render.MONITORING,),
        "owner-id": lambda item: (ids.owner_id(item.instance.account_id),),
        "platform": lambda item: present(render.platform(item.image)),
        "platform-details": lambda item: (render.platform_details(item.image),),
        "private-dns-name": lambda item: present(render.private_dns_name(item.instance)),
        "private-ip-address": lambda item: present(item.instance.private_address),
        "reason": lambda item: present(render.transition_reason(item.instance)),
        "reservation-id": lambda item: (ids.reservation_id(item.instance.order_id),),
        "root-device-name": lambda _: (render.ROOT_DEVICE,),
        "root-device-type": lambda _: (render.ROOT_DEVICE_TYPE,),
        "state-reason-code": lambda item: item.reason("Code"),
        "state-reason-message": lambda item: item.reason("Message"),
        "tenancy": lambda _: (render.TENANCY,),
        "virtualization-type": lambda _: (render.VIRTUALIZATION,),
    },
    tags=lambda item: item.tags,
    absent=(
        "affinity",
        "block-device-mapping.",
        "boot-mode",
        "capacity-reservation-id",
        "capacity-reservation-specification.",
        "current-instance-boot-mode",
        "dns-name",
        "ena-support",
        "enclave-options.",
        "hibernation-options.",
        "host-id",
        "iam-instance-profile.",
        "instance-lifecycle",
        "instance.",
        "ipv6-address",
        "kernel-id",
        "maintenance-options.",
        "metadata-options.",
        "network-interface.",
        "network-performance-options.",
        "operator.",
        "outpost-arn",
        "placement-group-name",
        "placement-partition-number",
        "private-dns-name-options.",
        "product-code",
        "product-code.",
        "ramdisk-id",
        "requester-id",
        "source-dest-check",
        "spot-instance-request-id",
        "subnet-id",
        "tpm-support",
        "usage-operation",
        "usage-operation-update-time",
        "vpc-id",
    ),
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
    absent=("application-status.", "attached-ebs-status.", "event.", "operator."),
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
    statuses = await call.renderer.each("InstanceStatus", page, _status)
    result: shapes.DescribeInstanceStatusResult = {"InstanceStatuses": statuses}
    if next_token is not None:
        result["NextToken"] = next_token
    return result


def _status(item: _Described) -> shapes.InstanceStatus:
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
        "Events": [],
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
