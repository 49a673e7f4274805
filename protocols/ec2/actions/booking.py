"""What RunInstances asks for, as the booking that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.catalogue import Product
from core.errors import UnknownProduct, UnknownResource, UnknownZone
from core.fleet import Fleet
from core.ids import SecurityGroupId, SubnetId, ZoneId
from core.instances import STANDARD_METADATA, STANDARD_OPTIONS, Options, ShutdownBehaviour
from core.kinds import OF_A_MACHINE
from core.orders import Booking
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.actions.attributes import read_metadata, read_user_data
from protocols.ec2.actions.images import image_named
from protocols.ec2.actions.tags import specified_tags
from protocols.ec2.errors import Ec2Refusal, invalid_combination, invalid_value, unsupported_parameter
from protocols.ec2.registry import Call

if TYPE_CHECKING:
    from protocols.ec2 import extension_shapes, shapes

_TOKEN_LENGTH = 64
_ACTION = "RunInstances"


async def read_booking(call: Call, request: extension_shapes.RunInstancesRequest) -> Booking:
    """Return the booking that a request asks for.

    Raises:
        Ec2Refusal: a value is not fit, or a parameter asks for what is not to be had here.
        UnknownProduct, UnknownZone, UnknownImage, UnknownResource: it names what is not there.
    """
    for name in ("ImageId", "InstanceType"):
        if not request.get(name):
            raise Ec2Refusal("MissingParameter", f"The request must contain the parameter {name}")
    least, most = request["MinCount"], request["MaxCount"]
    if least < 1 or most < least:
        raise invalid_value("MinCount", least, f"Expected 1 to MaxCount, which is {most}.")
    product = _product(call.fleet, request["InstanceType"])
    wire = _wire(call, request)
    if wire.private_address and most > 1:
        raise invalid_combination("PrivateIpAddress", "MaxCount")
    return Booking(
        product_id=product.id,
        least=least,
        most=most,
        zone_id=_zone_id(call.fleet, request.get("Placement", {})),
        region_id=call.caller.seen_region_id,
        subnet_id=_subnet_id(wire.subnet),
        image_id=image_named(call.fleet, request["ImageId"]).id,
        key_name=request.get("KeyName", ""),
        wants_password=call.dialect.gives_passwords,
        user_data=read_user_data(request.get("UserData", "")),
        shutdown_behaviour=_shutdown_behaviour(request.get("InstanceInitiatedShutdownBehavior", "stop")),
        group_ids=await _group_ids(call, wire),
        options=_options(request, keeps_disk=_keeps_disk(request, product)),
        extra_addresses=wire.extra_addresses,
        private_address=wire.private_address,
        term_hours=request.get("BillingTerm", 1),
        client_token=_client_token(request.get("ClientToken", "")),
        tags=specified_tags(request.get("TagSpecifications", []), OF_A_MACHINE),
    )


def _product(fleet: Fleet, name: str) -> Product:
    # Of one that is offered in another region only, core says so.
    product = next((product for product in fleet.products_anywhere() if product.instance_type == name), None)
    if product is None:
        raise UnknownProduct(name)
    return product


def _zone_id(fleet: Fleet, placement: shapes.Placement) -> ZoneId | None:
    if placement.get("Tenancy", "default") != "default":
        raise unsupported_parameter(_ACTION, "Placement.Tenancy", " Only default tenancy is.")
    for name in placement.keys() - {"AvailabilityZone", "Tenancy"}:
        if placement.get(name):
            raise unsupported_parameter(_ACTION, f"Placement.{name}")
    text = placement.get("AvailabilityZone", "")
    if not text:
        return None
    zone = next((zone for zone in fleet.zones() if zone.name == text), None)
    if zone is None or fleet.region_id not in (None, zone.region_id):
        raise UnknownZone(text)
    return zone.id


def _shutdown_behaviour(text: str) -> ShutdownBehaviour:
    try:
        return ShutdownBehaviour(text)
    except ValueError:
        raise invalid_value("InstanceInitiatedShutdownBehavior", text, "Expected stop or terminate.") from None


def _client_token(text: str) -> str:
    if len(text) > _TOKEN_LENGTH or not text.isascii():
        raise invalid_value("ClientToken", text[:_TOKEN_LENGTH], f"Expected at most {_TOKEN_LENGTH} ASCII characters.")
    return text


def _options(request: shapes.RunInstancesRequest, *, keeps_disk: bool) -> Options:
    options = Options(
        is_protected=request.get("DisableApiTermination", False),
        is_stop_protected=request.get("DisableApiStop", False),
        is_monitored=request.get("Monitoring", {}).get("Enabled", False),
        keeps_disk=keeps_disk,
        metadata=read_metadata(request.get("MetadataOptions", {}), STANDARD_METADATA),
    )
    return STANDARD_OPTIONS if options == STANDARD_OPTIONS else options


# --- its one disk


_OF_A_DISK = {"DeviceName", "Ebs"}


def _keeps_disk(request: shapes.RunInstancesRequest, product: Product) -> bool:
    """Return whether the disk is to outlive its machine; what else is asked of it must be so anyway."""
    keeps = False
    for mapping in request.get("BlockDeviceMappings", []):
        if strange := mapping.keys() - _OF_A_DISK:
            raise unsupported_parameter(_ACTION, f"BlockDeviceMapping.{min(strange)}")
        if mapping.get("DeviceName") != render.ROOT_DEVICE:
            name = f"BlockDeviceMapping.DeviceName={mapping.get('DeviceName', '')}"
            raise unsupported_parameter(_ACTION, name, f" Machines here have one disk, {render.ROOT_DEVICE}.")
        so_anyway: Mapping[str, object] = {
            "VolumeSize": product.disk_gib,
            "VolumeType": render.VOLUME_TYPE,
            "Encrypted": False,
        }
        for name, value in mapping.get("Ebs", {}).items():
            if name == "DeleteOnTermination":
                keeps = not value
            elif name not in so_anyway:
                raise unsupported_parameter(_ACTION, f"BlockDeviceMapping.Ebs.{name}")
            elif value != so_anyway[name]:
                hint = f" The disk of {product.instance_type} has {so_anyway[name]}; leave it out, or give that."
                raise unsupported_parameter(_ACTION, f"BlockDeviceMapping.Ebs.{name}", hint)
    return keeps


# --- its one network interface


@dataclass(frozen=True, slots=True)
class _Wire:
    """How a machine is to be connected, whether the request says so of the machine or of its interface."""

    subnet: str = ""
    group_ids: Sequence[str] = ()
    group_names: Sequence[str] = ()
    private_address: str = ""
    extra_addresses: int = 0


_OF_AN_INTERFACE = frozenset(
    {
        "AssociatePublicIpAddress",
        "DeleteOnTermination",
        "Description",
        "DeviceIndex",
        "Groups",
        "InterfaceType",
        "NetworkCardIndex",
        "PrivateIpAddress",
        "SubnetId",
    }
)
# What cannot be said of the machine where it is said of its interface, in EC2's words.
_AND_NOT = {
    "SubnetId": "subnet ID",
    "SecurityGroupIds": "security groups",
    "SecurityGroups": "security groups",
    "PrivateIpAddress": "private IP address",
}
_SO_ANYWAY: Mapping[str, object] = {
    "AssociatePublicIpAddress": True,  # security groups close it
    "DeleteOnTermination": True,
    "InterfaceType": "interface",
    "NetworkCardIndex": 0,
}


def _wire(call: Call, request: shapes.RunInstancesRequest) -> _Wire:
    interfaces = request.get("NetworkInterfaces", [])
    if call.dialect.counts_addresses:
        return _counted(request, interfaces)
    if not interfaces:
        return _Wire(
            request.get("SubnetId", ""),
            request.get("SecurityGroupIds", []),
            request.get("SecurityGroups", []),
            request.get("PrivateIpAddress", ""),
        )
    for name, what in _AND_NOT.items():
        if request.get(name):
            text = f"Network interfaces and an instance-level {what} may not be specified on the same request"
            raise Ec2Refusal("InvalidParameterCombination", text)
    if len(interfaces) > 1 or interfaces[0].get("DeviceIndex", 0) != 0:
        raise unsupported_parameter(_ACTION, "NetworkInterface.2", " Machines here have one network interface.")
    return _of_interface(interfaces[0])


def _of_interface(interface: Mapping[str, Any]) -> _Wire:
    for name in interface.keys() - _OF_AN_INTERFACE:
        raise unsupported_parameter(_ACTION, f"NetworkInterface.{name}")
    for name, value in _SO_ANYWAY.items():
        if interface.get(name, value) != value:
            hint = f" Leave it out, or give {str(value).lower()}."
            raise unsupported_parameter(_ACTION, f"NetworkInterface.{name}={str(interface[name]).lower()}", hint)
    return _Wire(interface.get("SubnetId", ""), interface.get("Groups", []), (), interface.get("PrivateIpAddress", ""))


def _counted(request: shapes.RunInstancesRequest, interfaces: Sequence[Mapping[str, Any]]) -> _Wire:
    """Return the connection as GigeNET words it: each interface with a public address is one more of these.

    PrivateIpAddress may be anything there: a machine has a private address in any case.
    """
    extra = sum(bool(interface.get("AssociatePublicIpAddress")) for interface in interfaces)
    groups = request.get("SecurityGroupIds", []), request.get("SecurityGroups", [])
    return _Wire(request.get("SubnetId", ""), *groups, extra_addresses=extra)


def _subnet_id(text: str) -> SubnetId | None:
    return SubnetId(ids.read(ResourceKind.SUBNET, text)) if text else None


async def _group_ids(call: Call, wire: _Wire) -> tuple[SecurityGroupId, ...]:
    numbers = [SecurityGroupId(ids.read(ResourceKind.SECURITY_GROUP, text)) for text in wire.group_ids]
    if wire.group_names:
        by_name = {group.name: group.id for group in (await call.networked()).security_groups()}
        for name in wire.group_names:
            if name not in by_name:
                raise UnknownResource(ResourceKind.SECURITY_GROUP, name)
            numbers.append(by_name[name])
    return tuple(numbers)
