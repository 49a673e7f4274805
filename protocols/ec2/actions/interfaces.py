"""Network interfaces, one a machine, and their attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from core.addresses import Address
from core.fleet import Fleet
from core.ids import InstanceId, SecurityGroupId
from core.instances import Instance, Options
from core.networks import hardware_address
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.actions.networks import LISTED, living
from protocols.ec2.encode import timestamp_text
from protocols.ec2.errors import Ec2Refusal, invalid_value, not_found, unsupported_parameter
from protocols.ec2.filters import Filters, Reader, boolean, present
from protocols.ec2.listings import Listing
from protocols.ec2.pages import Paging
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()


def interfaced(fleet: Fleet, text: str) -> Instance:
    """Return the machine of a network interface.

    Raises:
        Ec2Refusal: there is no such interface.
        MalformedId: it is not of the form.
    """
    number = InstanceId(ids.read(ResourceKind.INTERFACE, text))
    if not fleet.has(ResourceKind.INTERFACE, number):
        raise not_found(ResourceKind.INTERFACE, text)
    [machine] = fleet.instances_by_id([number])
    return machine


class _Interface:
    """The network interface of a machine, with what its filters read."""

    __slots__ = ("fleet", "machine", "tags")

    def __init__(self, fleet: Fleet, machine: Instance) -> None:
        self.fleet, self.machine = fleet, machine
        self.tags = fleet.tags(ResourceKind.INTERFACE, machine.id)

    @property
    def id(self) -> str:
        return ids.spell(ResourceKind.INTERFACE, self.machine.id)

    @property
    def attachment_id(self) -> str:
        return f"{ids.ATTACHMENT}{self.machine.id:017x}"

    @property
    def owner_id(self) -> str:
        return ids.owner_id(self.machine.account_id)

    @property
    def place_ids(self) -> tuple[str, str]:
        return render.place_ids(self.fleet, self.machine)

    @property
    def zone_name(self) -> str:
        """The name of its zone, which is the zone's id too."""
        return self.fleet.zone(self.machine.zone_id).name

    @property
    def elastic(self) -> Address | None:
        """The address that its owner bound to it."""
        return next(iter(self.fleet.bound_to(self.machine.id)), None)

    @property
    def public_address(self) -> str:
        return render.public_address(self.fleet, self.machine)

    @property
    def address_owner(self) -> str:
        """Whose its public address is; empty where it has none."""
        if self.elastic is not None:
            return self.owner_id
        return render.OPERATOR_ALIAS if self.public_address else ""


def _association(item: _Interface) -> shapes.NetworkInterfaceAssociation | None:
    if not item.public_address:
        return None
    shape: shapes.NetworkInterfaceAssociation = {
        "IpOwnerId": item.address_owner,
        "PublicDnsName": "",
        "PublicIp": item.public_address,
    }
    if (elastic := item.elastic) is not None and elastic.association_id is not None:
        shape["AllocationId"] = ids.spell(ResourceKind.ADDRESS, elastic.id)
        shape["AssociationId"] = ids.association_id(elastic.association_id)
    return shape


def _attachment(item: _Interface) -> shapes.NetworkInterfaceAttachment:
    return {
        "AttachmentId": item.attachment_id,
        "AttachTime": item.machine.launched_at,
        "DeleteOnTermination": True,
        "DeviceIndex": 0,
        "NetworkCardIndex": 0,
        "InstanceId": ids.instance_id(item.machine.id),
        "InstanceOwnerId": item.owner_id,
        "Status": "attached",
    }


def _interface(item: _Interface) -> shapes.NetworkInterface:
    machine, (network_id, subnet_id) = item.machine, item.place_ids
    name = render.private_dns_name(machine)
    addresses: list[shapes.NetworkInterfacePrivateIpAddress] = []
    shape: shapes.NetworkInterface = {
        "NetworkInterfaceId": item.id,
        "OwnerId": item.owner_id,
        "VpcId": network_id,
        "SubnetId": subnet_id,
        "AvailabilityZone": item.zone_name,
        "AvailabilityZoneId": item.zone_name,
        "Attachment": _attachment(item),
        "Description": "",
        "Groups": render.groups(item.fleet, machine),
        "InterfaceType": "interface",
        "Ipv6Addresses": [],
        "MacAddress": hardware_address(machine.id),
        "PrivateDnsName": name,
        "PrivateIpAddress": machine.private_address,
        "PrivateIpAddresses": addresses,
        "RequesterManaged": False,
        "SourceDestCheck": machine.options.is_source_checked,
        "Status": "in-use",
        "TagSet": render.tags(item.tags),
    }
    own: shapes.NetworkInterfacePrivateIpAddress = {
        "Primary": True,
        "PrivateDnsName": name,
        "PrivateIpAddress": machine.private_address,
    }
    if (association := _association(item)) is not None:
        shape["Association"] = own["Association"] = association
    addresses.append(own)
    return shape


def _bound(part: Callable[[Address], str]) -> Reader[_Interface]:
    return lambda item: (part(item.elastic),) if item.elastic is not None else ()


_INTERFACES: Listing[_Interface] = Listing(
    Paging("DescribeNetworkInterfaces"),
    ResourceKind.INTERFACE,
    "NetworkInterfaceIds",
    "NetworkInterface",
    Filters(
        {
            "addresses.association.owner-id": lambda item: present(item.address_owner),
            "addresses.association.public-ip": lambda item: present(item.public_address),
            "addresses.primary": lambda _: boolean(value=True),
            "addresses.private-ip-address": lambda item: present(item.machine.private_address),
            "association.allocation-id": _bound(lambda address: ids.spell(ResourceKind.ADDRESS, address.id)),
            "association.association-id": _bound(
                lambda address: ids.association_id(address.association_id) if address.association_id else ""
            ),
            "association.ip-owner-id": lambda item: present(item.address_owner),
            "association.public-ip": lambda item: present(item.public_address),
            "attachment.attach-time": lambda item: (timestamp_text(item.machine.launched_at),),
            "attachment.attachment-id": lambda item: (item.attachment_id,),
            "attachment.delete-on-termination": lambda _: boolean(value=True),
            "attachment.device-index": lambda _: ("0",),
            "attachment.instance-id": lambda item: (ids.instance_id(item.machine.id),),
            "attachment.instance-owner-id": lambda item: (item.owner_id,),
            "attachment.status": lambda _: ("attached",),
            "availability-zone": lambda item: (item.zone_name,),
            "availability-zone-id": lambda item: (item.zone_name,),
            "group-id": lambda item: [group["GroupId"] for group in render.groups(item.fleet, item.machine)],
            "group-name": lambda item: [group["GroupName"] for group in render.groups(item.fleet, item.machine)],
            "interface-type": lambda _: ("interface",),
            "mac-address": lambda item: (hardware_address(item.machine.id),),
            "network-interface-id": lambda item: (item.id,),
            "owner-id": lambda item: (item.owner_id,),
            "private-dns-name": lambda item: present(render.private_dns_name(item.machine)),
            "private-ip-address": lambda item: present(item.machine.private_address),
            "requester-managed": lambda _: boolean(value=False),
            "source-dest-check": lambda item: boolean(item.machine.options.is_source_checked),
            "status": lambda _: ("in-use",),
            "subnet-id": lambda item: (item.place_ids[1],),
            "vpc-id": lambda item: (item.place_ids[0],),
        },
        action="DescribeNetworkInterfaces",
        tags=lambda item: item.tags,
    ),
    number=lambda item: item.machine.id,
    describe=_interface,
    set_name="networkInterfaceIdSet",
)


@family.action(
    "DescribeNetworkInterfaces",
    reads=("NetworkInterfaceIds", *LISTED),
    ignores={"IncludeManagedResources": "there are none"},
)
async def describe_network_interfaces(
    call: Call, request: shapes.DescribeNetworkInterfacesRequest
) -> shapes.DescribeNetworkInterfacesResult:
    """Describe the interfaces, one a machine."""
    fleet = call.fleet
    page = await _INTERFACES.page(call, request, (_Interface(fleet, machine) for machine in living(fleet)))
    result: shapes.DescribeNetworkInterfacesResult = {"NetworkInterfaces": page.items}
    return page.end(result)


# --- attributes

_ATTRIBUTES: Mapping[str, Callable[[_Interface], shapes.DescribeNetworkInterfaceAttributeResult]] = {
    "associatePublicIpAddress": lambda item: {"AssociatePublicIpAddress": bool(item.public_address)},
    "attachment": lambda item: {"Attachment": _attachment(item)},
    "description": lambda _: {"Description": {"Value": ""}},
    "groupSet": lambda item: {"Groups": render.groups(item.fleet, item.machine)},
    "sourceDestCheck": lambda item: {"SourceDestCheck": {"Value": item.machine.options.is_source_checked}},
}


@family.action("DescribeNetworkInterfaceAttribute", reads=("NetworkInterfaceId", "Attribute"))
async def describe_network_interface_attribute(
    call: Call, request: shapes.DescribeNetworkInterfaceAttributeRequest
) -> shapes.DescribeNetworkInterfaceAttributeResult:
    """Tell one attribute of an interface."""
    item = _Interface(call.fleet, interfaced(call.fleet, request["NetworkInterfaceId"]))
    if not (name := request.get("Attribute", "")):
        raise Ec2Refusal("InvalidParameterCombination", "No attributes specified.")
    if (read := _ATTRIBUTES.get(name)) is None:
        raise invalid_value("Attribute", name, f"Expected one of {', '.join(_ATTRIBUTES)}.")
    return {"NetworkInterfaceId": item.id, **read(item)}


_SETTABLE = ("Groups", "SourceDestCheck", "Attachment", "Description")


@family.action("ModifyNetworkInterfaceAttribute", reads=("NetworkInterfaceId", *_SETTABLE))
async def modify_network_interface_attribute(
    call: Call, request: shapes.ModifyNetworkInterfaceAttributeRequest
) -> None:
    """Set one attribute of an interface."""
    machine = interfaced(call.fleet, request["NetworkInterfaceId"])
    given = [name for name in _SETTABLE if name in request]
    if not given:
        raise Ec2Refusal("InvalidParameterCombination", "No attributes specified.")
    if len(given) > 1:
        raise Ec2Refusal("InvalidParameterCombination", "Only one attribute can be specified at a time.")
    if "Groups" in request:
        numbers = [SecurityGroupId(ids.read(ResourceKind.SECURITY_GROUP, text)) for text in request["Groups"]]
        await call.core.machines.set_groups(call.caller, machine.id, numbers)
    elif "SourceDestCheck" in request:
        is_checked = request["SourceDestCheck"].get("Value", True)

        def change(options: Options) -> Options:
            return replace(options, is_source_checked=is_checked)

        await call.core.machines.set_options(call.caller, machine.id, change)
    else:
        _require_unchanged(call.fleet, machine, request)


def _require_unchanged(fleet: Fleet, machine: Instance, request: shapes.ModifyNetworkInterfaceAttributeRequest) -> None:
    """Return if the request asks for what is so anyway of what cannot be set."""
    if request.get("Description", {}).get("Value"):
        raise unsupported_parameter("ModifyNetworkInterfaceAttribute", "Description")
    attachment, item = request.get("Attachment", {}), _Interface(fleet, machine)
    if attachment.get("AttachmentId", item.attachment_id) != item.attachment_id:
        name = attachment["AttachmentId"]
        raise Ec2Refusal("InvalidAttachmentID.NotFound", f"The attachment '{name}' does not exist")
    if not attachment.get("DeleteOnTermination", True):
        raise unsupported_parameter("ModifyNetworkInterfaceAttribute", "Attachment.DeleteOnTermination")
    for name in attachment.keys() - {"AttachmentId", "DeleteOnTermination"}:
        raise unsupported_parameter("ModifyNetworkInterfaceAttribute", f"Attachment.{name}")
