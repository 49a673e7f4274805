"""Elastic addresses: held by an account, and bound to its machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from core.addresses import Address
from core.catalogue import Zone
from core.errors import NoAddressLeft, UnknownZone
from core.fleet import Fleet
from core.ids import AddressId
from core.instances import Instance
from core.service.addresses import Wish
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.actions.interfaces import interfaced
from protocols.ec2.actions.tags import specified_tags
from protocols.ec2.dialects import AWS_DOMAIN, Dialect
from protocols.ec2.errors import Ec2Refusal, invalid_combination, invalid_value, missing_either, not_found
from protocols.ec2.filters import Filters, present
from protocols.ec2.listings import Listing
from protocols.ec2.pages import Paging
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

# EC2 had another word for the addresses of machines outside any network.
_DOMAINS = ("", AWS_DOMAIN, "standard")

POOL = "amazon"
"""What EC2 calls the pool of addresses that customers did not bring along themselves."""


# --- holding


@family.action(
    "AllocateAddress",
    reads=("Domain", "Address", "NetworkBorderGroup", "TagSpecifications"),
    accepts={"PublicIpv4Pool": (POOL,)},
)
async def allocate_address(call: Call, request: shapes.AllocateAddressRequest) -> shapes.AllocateAddressResult:
    """Take an address out of a pool: of a zone that is named as GigeNET's clients do, or of any."""
    tags = specified_tags(request.get("TagSpecifications") or [], {ResourceKind.ADDRESS})
    wish = Wish(address=_address_text("Address", request), tags=tuple(tags.get(ResourceKind.ADDRESS, {}).items()))
    caller = call.caller
    if (group := request.get("NetworkBorderGroup", "")) and group != (await call.home()).name:
        if not caller.sees_all_regions or (region := await call.core.find_region(group)) is None:
            raise invalid_value("NetworkBorderGroup", group, "Expected the name of the region.")
        caller = replace(caller, region_id=region.id)
    if (domain := request.get("Domain", "")) not in _DOMAINS:
        wish = replace(wish, zone_id=_zone(call, domain, group).id)
    try:
        address = await call.core.addresses.allocate(caller, wish)
    except NoAddressLeft:
        if not wish.address:
            raise
        raise _unknown_address(wish.address) from None  # it is not told whether another customer has it
    return {
        "PublicIp": address.address,
        "AllocationId": ids.spell(ResourceKind.ADDRESS, address.id),
        "PublicIpv4Pool": POOL,
        "NetworkBorderGroup": call.fleet.region_of(address.zone_id).name,
        "Domain": call.dialect.domain(call.fleet.zone(address.zone_id)),
    }


def _zone(call: Call, name: str, group: str) -> Zone:
    for zone in call.fleet.zones():
        if zone.name == name and call.caller.seen_region_id in (None, zone.region_id):
            if group and call.fleet.region_of(zone.id).name != group:
                raise invalid_combination("Domain", "NetworkBorderGroup")
            return zone
    raise UnknownZone(name)


@family.action("ReleaseAddress", reads=("AllocationId", "PublicIp", "NetworkBorderGroup"))
async def release_address(call: Call, request: shapes.ReleaseAddressRequest) -> None:
    """Give an address back that is bound to nothing."""
    address = _named(call.fleet, request)
    group = request.get("NetworkBorderGroup", "")
    if group and group != call.fleet.region_of(address.zone_id).name:
        raise invalid_value("NetworkBorderGroup", group, "Expected the name of the address's region.")
    await call.core.addresses.release(call.caller, address.id)


# --- binding


@family.action(
    "AssociateAddress",
    reads=("AllocationId", "PublicIp", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress", "AllowReassociation"),
)
async def associate_address(call: Call, request: shapes.AssociateAddressRequest) -> shapes.AssociateAddressResult:
    """Bind an address to a machine, which may still be on its way up; unless forbidden, another machine loses it."""
    address, machine = _named(call.fleet, request), _target(call.fleet, request)
    private = request.get("PrivateIpAddress", "")
    if private and private != machine.private_address:
        raise invalid_value("PrivateIpAddress", private, "Expected the private address of the instance.")
    may_move = request.get("AllowReassociation", True)
    bound = await call.core.addresses.associate(call.caller, address.id, machine.id, may_move=may_move)
    return {"AssociationId": _association_id(bound)}


def _target(fleet: Fleet, request: shapes.AssociateAddressRequest) -> Instance:
    name, interface = request.get("InstanceId", ""), request.get("NetworkInterfaceId", "")
    if name and interface:
        raise invalid_combination("InstanceId", "NetworkInterfaceId")
    if interface:
        return interfaced(fleet, interface)
    if not name:
        raise missing_either("InstanceId", "NetworkInterfaceId")
    [machine] = fleet.instances_by_id(ids.read_instances([name]))
    return machine


@family.action("DisassociateAddress", reads=("AssociationId", "PublicIp"))
async def disassociate_address(call: Call, request: shapes.DisassociateAddressRequest) -> None:
    """Take an address from its machine. By the address, repeating it is fine, as it is in EC2."""
    association = request.get("AssociationId", "")
    if association and request.get("PublicIp"):
        raise invalid_combination("AssociationId", "PublicIp")
    if association:
        address = _associated(call.fleet, association)
    elif text := _address_text("PublicIp", request):
        address = held_address(call.fleet, text)
    else:
        raise missing_either("AssociationId", "PublicIp")
    await call.core.addresses.disassociate(call.caller, address.id)


def _associated(fleet: Fleet, text: str) -> Address:
    number = ids.read_association(text)
    for address in fleet.addresses():
        if address.association_id == number:
            return address
    raise Ec2Refusal("InvalidAssociationID.NotFound", f"The association ID '{text}' does not exist")


# --- which address


def _named(fleet: Fleet, request: shapes.ReleaseAddressRequest | shapes.AssociateAddressRequest) -> Address:
    """Return the address that a request names by its id, or by what it is."""
    allocation, text = request.get("AllocationId", ""), _address_text("PublicIp", request)
    if allocation and text:
        raise invalid_combination("AllocationId", "PublicIp")
    if text:
        return held_address(fleet, text)
    if not allocation:
        raise missing_either("AllocationId", "PublicIp")
    number = AddressId(ids.read(ResourceKind.ADDRESS, allocation))
    if not fleet.has(ResourceKind.ADDRESS, number):
        raise not_found(ResourceKind.ADDRESS, allocation)
    return fleet.address(number)


def held_address(fleet: Fleet, text: str) -> Address:
    """Return the address of the account that is written so.

    Raises:
        Ec2Refusal: it holds none.
    """
    found = next((address for address in fleet.addresses() if address.address == text), None)
    if found is None:
        raise _unknown_address(text)
    return found


def _address_text(name: str, request: Mapping[str, object]) -> str:
    """Return an address as it was given, or nothing where it was not.

    Raises:
        Ec2Refusal: it is no IPv4 address.
    """
    text = str(request.get(name, ""))
    if text and not _is_address(text):
        raise invalid_value(name, text, "Expected an IPv4 address.")
    return text


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _unknown_address(text: str) -> Ec2Refusal:
    return Ec2Refusal("InvalidAddress.NotFound", f"Address '{text}' not found.")


# --- looking


class _Described:
    """An address with what its filters read."""

    __slots__ = ("address", "machine", "region_name", "tags", "zone")

    def __init__(self, fleet: Fleet, address: Address) -> None:
        self.address, self.tags = address, fleet.tags(ResourceKind.ADDRESS, address.id)
        self.region_name, self.zone = fleet.region_of(address.zone_id).name, fleet.zone(address.zone_id)
        self.machine: Instance | None = None
        if address.instance_id is not None:
            [self.machine] = fleet.instances_by_id([address.instance_id])

    @property
    def interface_id(self) -> str:
        return ids.spell(ResourceKind.INTERFACE, self.machine.id) if self.machine else ""


_FILTERS: Filters[_Described] = Filters(
    {
        "allocation-id": lambda item: (ids.spell(ResourceKind.ADDRESS, item.address.id),),
        "association-id": lambda item: present(_association_id(item.address)),
        # No longer in the reference, and what Ansible looks for addresses to use again by.
        "domain": lambda item: (AWS_DOMAIN, item.zone.name),
        "instance-id": lambda item: (ids.instance_id(item.machine.id),) if item.machine else (),
        "network-border-group": lambda item: (item.region_name,),
        "network-interface-id": lambda item: present(item.interface_id),
        "network-interface-owner-id": lambda item: (ids.owner_id(item.address.account_id),) if item.machine else (),
        "private-ip-address": lambda item: present(item.machine.private_address) if item.machine else (),
        "public-ip": lambda item: (item.address.address,),
        "public-ipv4-pool": lambda _: (POOL,),
    },
    action="DescribeAddresses",
    tags=lambda item: item.tags,
)


@family.action("DescribeAddresses", reads=("PublicIps", "AllocationIds", "Filters"))
async def describe_addresses(call: Call, request: shapes.DescribeAddressesRequest) -> shapes.DescribeAddressesResult:
    """Describe the addresses that the account holds."""
    chosen = _chosen(call.fleet, request.get("PublicIps") or [], request.get("AllocationIds") or [])
    found = await _FILTERS.apply(request.get("Filters"), [_Described(call.fleet, address) for address in chosen])
    return {"Addresses": await call.renderer.each("Address", found, partial(_address, call.dialect))}


def _chosen(fleet: Fleet, texts: Sequence[str], allocations: Sequence[str]) -> Iterable[Address]:
    held = fleet.addresses()
    if not texts and not allocations:
        return held
    wanted = {ids.read(ResourceKind.ADDRESS, text): text for text in allocations}
    known = {address.id for address in held}
    for number, text in wanted.items():
        if number not in known:
            raise not_found(ResourceKind.ADDRESS, text)
    for text in texts:
        held_address(fleet, _address_text("PublicIp", {"PublicIp": text}))
    return [address for address in held if address.id in wanted or address.address in texts]


def _address(dialect: Dialect, item: _Described) -> shapes.Address:
    shape: shapes.Address = {
        "PublicIp": item.address.address,
        "AllocationId": ids.spell(ResourceKind.ADDRESS, item.address.id),
        "Domain": dialect.domain(item.zone),
        "PublicIpv4Pool": POOL,
        "NetworkBorderGroup": item.region_name,
        "Tags": render.tags(item.tags),
    }
    if item.machine is not None:
        shape["InstanceId"] = ids.instance_id(item.machine.id)
        shape["AssociationId"] = _association_id(item.address)
        shape["NetworkInterfaceId"] = item.interface_id
        shape["NetworkInterfaceOwnerId"] = ids.owner_id(item.address.account_id)
        if item.machine.private_address:
            shape["PrivateIpAddress"] = item.machine.private_address
    return shape


def _association_id(address: Address) -> str:
    """Return the id of an address's binding; empty for none."""
    return "" if address.association_id is None else ids.association_id(address.association_id)


_NAMES: Listing[Address] = Listing(
    Paging("DescribeAddressesAttribute", least=1),
    ResourceKind.ADDRESS,
    "AllocationIds",
    "AddressAttribute",
    Filters({}),
    number=lambda address: address.id,
    describe=lambda address: {
        "PublicIp": address.address,
        "AllocationId": ids.spell(ResourceKind.ADDRESS, address.id),
    },
)


@family.action(
    "DescribeAddressesAttribute",
    reads=("AllocationIds", "MaxResults", "NextToken"),
    accepts={"Attribute": ("domain-name",)},
)
async def describe_addresses_attribute(
    call: Call, request: shapes.DescribeAddressesAttributeRequest
) -> shapes.DescribeAddressesAttributeResult:
    """Describe what names the addresses have: none has one here."""
    page = await _NAMES.page(call, request, call.fleet.addresses())
    result: shapes.DescribeAddressesAttributeResult = {"Addresses": page.items}
    return page.end(result)
