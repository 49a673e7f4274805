"""The actions that GigeNET adds to EC2's, and those of EC2's that hardly anybody but its customers calls."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from core.catalogue import Product
from core.fleet import Fleet
from core.instances import Instance
from core.orders import Order
from core.sshkeys import sealed_for
from protocols.ec2 import ids, render
from protocols.ec2.actions.addresses import held_address
from protocols.ec2.actions.gigenet_attributes import RESETTERS
from protocols.ec2.actions.instancetypes import products_named
from protocols.ec2.encode import real_text, timestamp_text
from protocols.ec2.errors import invalid_value, unsupported_parameter
from protocols.ec2.filters import Filters, present
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import extension_shapes, shapes

family = Family()


# --- what is sold


@family.action("DescribeVmTypes", reads=("InstanceTypes",))
async def describe_vm_types(
    call: Call, request: extension_shapes.DescribeVmTypesRequest
) -> extension_shapes.DescribeVmTypesResult:
    """Describe the products in few words."""
    chosen = products_named(call.fleet, request.get("InstanceTypes") or [])
    return {"InstanceTypes": [_vm_type(product) for product in chosen]}


def _vm_type(product: Product) -> extension_shapes.VmType:
    return {
        "Name": product.instance_type,
        "Cores": product.vcpus,
        "Memory": product.memory_mib,
        "Disk": product.disk_gib,
    }


# --- what is rented, and what it costs

OFFERING = "Medium Utilization"
"""Of EC2's kinds of offerings one whose price is by the hour; GigeNET calls all of them so."""

_FREQUENCIES = {730: "Monthly", 2190: "Quarterly"}
_TENANCY = "default"


class _Rental:
    """A rented machine with what its filters read."""

    __slots__ = ("fleet", "instance")

    def __init__(self, fleet: Fleet, instance: Instance) -> None:
        self.fleet, self.instance = fleet, instance

    @property
    def order(self) -> Order:
        return self.fleet.order(self.instance.order_id)

    @property
    def zone_name(self) -> str:
        return self.fleet.zone(self.instance.zone_id).name

    @property
    def instance_type(self) -> str:
        return self.fleet.product(self.instance.product_id).instance_type

    @property
    def platform(self) -> str:
        return render.platform_details(self.fleet.image(self.instance.image_id))

    @property
    def state(self) -> str:
        return "retired" if self.instance.has_ended else "active"

    @property
    def end(self) -> Iterable[str]:
        return present(timestamp_text(self.instance.ended_at) if self.instance.ended_at else "")


_FILTERS: Filters[_Rental] = Filters(
    {
        "availability-zone": lambda item: (item.zone_name,),
        "availability-zone-id": lambda item: (item.zone_name,),
        "duration": lambda item: (str(item.instance.term_hours * 3600),),
        "end": lambda item: item.end,
        "fixed-price": lambda _: ("0.0",),
        "instance-type": lambda item: (item.instance_type,),
        "product-description": lambda item: (item.platform,),
        "reserved-instances-id": lambda item: (ids.instance_id(item.instance.id),),
        "scope": lambda _: ("Availability Zone",),
        "start": lambda item: (timestamp_text(item.instance.launched_at),),
        "state": lambda item: (item.state,),
        "usage-price": lambda item: (real_text(item.instance.hourly_price),),
    },
    action="DescribeReservedInstances",
)


@family.action(
    "DescribeReservedInstances",
    reads=("ReservedInstancesIds", "Filters"),
    accepts={"OfferingType": (OFFERING,), "OfferingClass": ("standard",)},
)
async def describe_reserved_instances(
    call: Call, request: shapes.DescribeReservedInstancesRequest
) -> shapes.DescribeReservedInstancesResult:
    """Tell what each rented machine costs. It is called by the machine's id: nobody rents without a machine."""
    asked = ids.read_instances(request.get("ReservedInstancesIds") or [])
    machines = call.fleet.instances_by_id(asked) if asked else call.fleet.instances()
    rentals = await _FILTERS.apply(request.get("Filters"), [_Rental(call.fleet, machine) for machine in machines])
    return {"ReservedInstances": await call.renderer.each("ReservedInstances", rentals, _reserved)}


def _reserved(item: _Rental) -> shapes.ReservedInstances:
    instance = item.instance
    shape: shapes.ReservedInstances = {
        "ReservedInstancesId": ids.instance_id(instance.id),
        "InstanceType": item.instance_type,
        "AvailabilityZone": item.zone_name,
        "Scope": "Availability Zone",
        "Start": instance.launched_at,
        "Duration": instance.term_hours * 3600,
        "UsagePrice": instance.hourly_price,
        "FixedPrice": 0.0,
        "InstanceCount": 1,
        "ProductDescription": item.platform,
        "State": item.state,
        "InstanceTenancy": _TENANCY,
        "CurrencyCode": item.order.currency,
        "OfferingClass": "standard",
        "OfferingType": OFFERING,
        "RecurringCharges": _charges(item),
        # No tags: they are the machine's, and boto 2 loses its place in a list within an item that it does not know.
    }
    if instance.ended_at is not None:
        shape["End"] = instance.ended_at
    return shape


def _charges(item: _Rental) -> Sequence[extension_shapes.RecurringCharge]:
    """Return what falls due again and again: the usage price of a term longer than an hour, and further addresses."""
    charges: list[extension_shapes.RecurringCharge] = []
    hours = item.instance.term_hours
    if hours in _FREQUENCIES:
        description = f"{hours} hours at the usage price"
        amount = item.instance.hourly_price * hours
        charges.append({"Amount": amount, "Frequency": _FREQUENCIES[hours], "Desc": description})
    if bound := item.fleet.bound_to(item.instance.id):
        # There is no price for addresses; they are told, so that whoever adds the charges up misses none.
        charges.append({"Amount": 0.0, "Frequency": "Hourly", "Desc": f"{len(bound)} Additional IPs"})
    return charges


# --- addresses that belong to a machine


@family.action("AssignPublicIpAddress", reads=("InstanceId",))
async def assign_public_ip_address(
    call: Call, request: extension_shapes.AssignPublicIpAddressRequest
) -> extension_shapes.AssignPublicIpAddressResult:
    """Give a machine one more public address, which ends with it."""
    [number] = ids.read_instances([request["InstanceId"]])
    address = await call.core.addresses.assign(call.caller, number)
    return {"PublicIp": address.address, "InstanceId": ids.instance_id(number)}


@family.action("UnassignPublicIpAddress", reads=("PublicIp",))
async def unassign_public_ip_address(call: Call, request: extension_shapes.UnassignPublicIpAddressRequest) -> None:
    """Take a public address from its machine, and give it back."""
    address = held_address(call.fleet, request["PublicIp"])
    if address.instance_id is None:
        raise invalid_value("PublicIp", address.address, "It is assigned to no instance; ReleaseAddress gives it back.")
    await call.core.addresses.unassign(call.caller, address.id)


# --- passwords and attributes


@family.action("GetPasswordData", reads=("InstanceId",))
async def get_password_data(call: Call, request: shapes.GetPasswordDataRequest) -> shapes.GetPasswordDataResult:
    """Tell a machine's root password: encrypted for its key pair as AWS does, or as it is where the dialect says so.

    There is nothing to tell if it has none, or, encrypted, if its key pair is no RSA key.
    """
    [number] = ids.read_instances([request["InstanceId"]])
    [instance] = call.fleet.instances_by_id([number])
    password = await call.core.machines.password(call.caller, number)
    if password and not call.dialect.gives_passwords:
        sealed = sealed_for(call.fleet.order(instance.order_id).public_key, password.encode())
        password = base64.b64encode(sealed).decode()
    return {"InstanceId": ids.instance_id(number), "Timestamp": call.fleet.now, "PasswordData": password}


_NEVER_RESET = ("kernel", "ramdisk")


@family.action("ResetInstanceAttribute", reads=("InstanceId", "Attribute"))
async def reset_instance_attribute(call: Call, request: shapes.ResetInstanceAttributeRequest) -> None:
    """Make one attribute of a machine what it was at first; the operating system is installed anew."""
    name = request["Attribute"]
    [instance] = call.fleet.instances_by_id(ids.read_instances([request["InstanceId"]]))
    if name in _NEVER_RESET:
        raise unsupported_parameter("ResetInstanceAttribute", f"Attribute={name}")
    if name not in RESETTERS:
        raise invalid_value("Attribute", name, f"Expected one of {', '.join(RESETTERS)}.")
    await RESETTERS[name](call, instance)
