"""What can be set on a machine and asked about it, one attribute at a time."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.ids import SecurityGroupId
from core.instances import Instance, MetadataService, Options, ShutdownBehaviour
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.actions import gigenet_attributes
from protocols.ec2.errors import Ec2Refusal, invalid_combination, invalid_value, unsupported_parameter
from protocols.ec2.filters import Filters
from protocols.ec2.pages import Paging
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

_BOOLEANS = {"true": True, "false": False}
_BEHAVIOURS = [behaviour.value for behaviour in ShutdownBehaviour]


# --- reading one attribute

Told = Mapping[str, Any]
Reader = Callable[[Call, Instance], Awaitable[Told]]


def _telling(tell: Callable[[Call, Instance], Told]) -> Reader:
    async def read(call: Call, instance: Instance) -> Told:
        return tell(call, instance)

    return read


async def _user_data(call: Call, instance: Instance) -> Told:
    user_data = await call.core.machines.user_data(call.caller, instance.id)
    return {"UserData": {"Value": base64.b64encode(user_data).decode()} if user_data else {}}


def _instance_type(call: Call, instance: Instance) -> Told:
    return {"InstanceType": {"Value": call.fleet.product(instance.product_id).instance_type}}


READERS: dict[str, Reader] = {
    "blockDeviceMapping": _telling(lambda _, machine: {"BlockDeviceMappings": render.disks(machine)}),
    "disableApiStop": _telling(lambda _, machine: {"DisableApiStop": {"Value": machine.options.is_stop_protected}}),
    "disableApiTermination": _telling(
        lambda _, machine: {"DisableApiTermination": {"Value": machine.options.is_protected}}
    ),
    "ebsOptimized": _telling(lambda *_: {"EbsOptimized": {"Value": False}}),
    "enaSupport": _telling(lambda *_: {"EnaSupport": {"Value": True}}),
    "enclaveOptions": _telling(lambda *_: {"EnclaveOptions": {"Enabled": False}}),
    "groupSet": _telling(lambda call, machine: {"Groups": render.groups(call.fleet, machine)}),
    "instanceInitiatedShutdownBehavior": _telling(
        lambda _, machine: {"InstanceInitiatedShutdownBehavior": {"Value": machine.shutdown_behaviour.value}}
    ),
    "instanceType": _telling(_instance_type),
    "kernel": _telling(lambda *_: {"KernelId": {}}),
    "productCodes": _telling(lambda *_: {"ProductCodes": []}),
    "ramdisk": _telling(lambda *_: {"RamdiskId": {}}),
    "rootDeviceName": _telling(lambda *_: {"RootDeviceName": {"Value": render.ROOT_DEVICE}}),
    "sourceDestCheck": _telling(lambda _, machine: {"SourceDestCheck": {"Value": machine.options.is_source_checked}}),
    "sriovNetSupport": _telling(lambda *_: {"SriovNetSupport": {}}),
    "userData": _user_data,
    **gigenet_attributes.READERS,
}
"""How each attribute is read."""


@family.action("DescribeInstanceAttribute", reads=("InstanceId", "Attribute"))
async def describe_instance_attribute(call: Call, request: shapes.DescribeInstanceAttributeRequest) -> Told:
    """Tell one attribute of a machine."""
    instance, name = _machine(call, request["InstanceId"]), request["Attribute"]
    if name not in READERS:
        raise invalid_value("Attribute", name, f"Expected one of {', '.join(READERS)}.")
    return {"InstanceId": ids.instance_id(instance.id), **await READERS[name](call, instance)}


# --- changing one attribute

Setter = Callable[[Call, Instance, Any], Awaitable[object]]


def _option(change: Callable[[Options, bool], Options]) -> Setter:
    async def set_it(call: Call, instance: Instance, value: object) -> None:
        is_on = _boolean(value)
        await call.core.machines.set_options(call.caller, instance.id, lambda options: change(options, is_on))

    return set_it


async def _set_type(call: Call, instance: Instance, value: str) -> None:
    offered = call.fleet.products_anywhere()
    product = next((product for product in offered if product.instance_type == value), None)
    if product is None:
        # A code of its own for a type to change to. Source: EC2 API reference, client error codes.
        raise Ec2Refusal("InvalidInstanceAttributeValue", f"Invalid value '{value}' for InstanceType.")
    await call.core.machines.resize(call.caller, instance.id, product.id)


async def _set_user_data(call: Call, instance: Instance, value: bytes | str) -> None:
    user_data = read_user_data(value) if isinstance(value, str) else value
    await call.core.machines.set_user_data(call.caller, instance.id, user_data)


async def _set_behaviour(call: Call, instance: Instance, value: str) -> None:
    if value not in _BEHAVIOURS:
        raise invalid_value("InstanceInitiatedShutdownBehavior", value, f"Expected {' or '.join(_BEHAVIOURS)}.")
    await call.core.machines.set_shutdown_behaviour(call.caller, instance.id, ShutdownBehaviour(value))


async def _set_groups(call: Call, instance: Instance, value: Sequence[str]) -> None:
    numbers = [SecurityGroupId(ids.read(ResourceKind.SECURITY_GROUP, text)) for text in value]
    await call.core.machines.set_groups(call.caller, instance.id, numbers)


async def _set_disks(
    call: Call, instance: Instance, value: Sequence[shapes.InstanceBlockDeviceMappingSpecification]
) -> None:
    for mapping in value:
        disk = mapping.get("Ebs", {})
        if mapping.get("DeviceName", render.ROOT_DEVICE) != render.ROOT_DEVICE or "NoDevice" in mapping:
            text = f"Value ({mapping.get('DeviceName', '')}) for parameter DeviceName is invalid."
            raise Ec2Refusal("InvalidInstanceAttributeValue", f"{text} Machines here have {render.ROOT_DEVICE} only.")
        if "DeleteOnTermination" in disk:
            keeps = not disk["DeleteOnTermination"]
            await _keep_disk(call, instance, keeps=keeps)


async def _keep_disk(call: Call, instance: Instance, *, keeps: bool) -> None:
    await call.core.machines.set_options(call.caller, instance.id, lambda options: replace(options, keeps_disk=keeps))


SETTERS: dict[str, Setter] = {
    "blockDeviceMapping": _set_disks,
    "disableApiStop": _option(lambda options, is_on: replace(options, is_stop_protected=is_on)),
    "disableApiTermination": _option(lambda options, is_on: replace(options, is_protected=is_on)),
    "groupSet": _set_groups,
    "instanceInitiatedShutdownBehavior": _set_behaviour,
    "instanceType": _set_type,
    "sourceDestCheck": _option(lambda options, is_on: replace(options, is_source_checked=is_on)),
    "userData": _set_user_data,
    **gigenet_attributes.SETTERS,
}
"""How each attribute that can be changed is changed."""

FIELDS: dict[str, str] = {
    "BlockDeviceMappings": "blockDeviceMapping",
    "DisableApiStop": "disableApiStop",
    "DisableApiTermination": "disableApiTermination",
    "Groups": "groupSet",
    "InstanceInitiatedShutdownBehavior": "instanceInitiatedShutdownBehavior",
    "InstanceType": "instanceType",
    "SourceDestCheck": "sourceDestCheck",
    "UserData": "userData",
    **gigenet_attributes.FIELDS,
}
"""The parameter that carries each attribute by itself."""


_LISTS = {"blockDeviceMapping": "BlockDeviceMapping.N", "groupSet": "GroupId.N"}
"""The attributes that are more than a text, with the parameter that they need."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """Which attribute is to be changed, and to what."""

    name: str
    value: Any


@family.action(
    "ModifyInstanceAttribute",
    reads=("InstanceId", "Attribute", "Value", *FIELDS),
    accepts={"EbsOptimized": ({"Value": False},), "EnaSupport": ({"Value": True},)},
)
async def modify_instance_attribute(call: Call, request: shapes.ModifyInstanceAttributeRequest) -> None:
    """Change one attribute of a machine."""
    instance, wish = _machine(call, request["InstanceId"]), _wish(request)
    if wish is None:
        return
    if wish.name not in READERS.keys() | SETTERS.keys():
        raise invalid_value("Attribute", wish.name, f"Expected one of {', '.join(SETTERS)}.")
    if wish.name not in SETTERS:
        raise unsupported_parameter("ModifyInstanceAttribute", f"Attribute={wish.name}")
    await SETTERS[wish.name](call, instance, wish.value)


def _wish(request: Mapping[str, Any]) -> _Wish | None:
    """Return the one attribute that is to be changed; None where what is asked for is so anyway."""
    wishes = [_Wish(name, _plain(request[field])) for field, name in FIELDS.items() if field in request]
    if "Value" in request:
        wishes.append(_worded(request))
    named = {request["Attribute"]} if "Attribute" in request and wishes else set()
    if len(wishes) > 1 or len(named | {wish.name for wish in wishes}) > 1:
        raise Ec2Refusal("InvalidParameterCombination", "Fields for multiple attribute types specified")
    if wishes:
        return wishes[0]
    if "EbsOptimized" in request or "EnaSupport" in request:
        return None
    raise Ec2Refusal("InvalidParameterCombination", "No attributes specified.")


def _worded(request: Mapping[str, Any]) -> _Wish:
    """Return an attribute that is named with its value as a text."""
    if "Attribute" not in request:
        raise Ec2Refusal("MissingParameter", "The request must contain the parameter Attribute")
    name = request["Attribute"]
    if name in _LISTS:
        raise invalid_value("Attribute", name, f"Give {_LISTS[name]} in place of Value.")
    return _Wish(name, request["Value"])


def _plain(value: Any) -> Any:
    """Return the value of a parameter that holds it as `.Value`."""
    if not isinstance(value, dict):
        return value
    if "Value" not in value:
        raise Ec2Refusal("MissingParameter", "The request must contain the parameter Value")
    return value["Value"]


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _BOOLEANS:
        raise invalid_value("Value", value, "Expected true or false.")
    return _BOOLEANS[str(value).lower()]


def read_user_data(text: str) -> bytes:
    """Return the bytes of user data as clients send it.

    Raises:
        Ec2Refusal: it is not base64.
    """
    try:
        # openssl and base64(1) break lines. A blank is a '+' that was not escaped, and not to be passed over.
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError:
        raise Ec2Refusal("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data") from None


def _machine(call: Call, text: str) -> Instance:
    [number] = ids.read_instances([text])
    [instance] = call.fleet.instances_by_id([number])
    return instance


# --- the service by which a machine asks about itself

_WORDS = {"HttpEndpoint": ("disabled", "enabled"), "InstanceMetadataTags": ("disabled", "enabled")}
_TOKENS = ("optional", "required")
_HOPS = range(1, 65)


def read_metadata(options: Mapping[str, Any], before: MetadataService) -> MetadataService:
    """Return the options of the metadata service as a request changes them.

    Raises:
        Ec2Refusal: a value is none of EC2's, or not to be had here.
    """
    if options.get("HttpProtocolIpv6", "disabled") != "disabled":
        raise unsupported_parameter("metadata options", "HttpProtocolIpv6", " Leave it out, or give disabled.")
    hops = options.get("HttpPutResponseHopLimit", before.hop_limit)
    if hops not in _HOPS:
        raise invalid_value("HttpPutResponseHopLimit", hops, "Expected 1 to 64.")
    return MetadataService(
        is_enabled=_one_of(options, "HttpEndpoint", _WORDS["HttpEndpoint"], is_on=before.is_enabled),
        needs_token=_one_of(options, "HttpTokens", _TOKENS, is_on=before.needs_token),
        hop_limit=hops,
        shows_tags=_one_of(options, "InstanceMetadataTags", _WORDS["InstanceMetadataTags"], is_on=before.shows_tags),
    )


def _one_of(options: Mapping[str, Any], name: str, words: tuple[str, str], *, is_on: bool) -> bool:
    """Return whether the second of two words is chosen; where neither is, what is so already."""
    text = options.get(name)
    if text is None:
        return is_on
    if text not in words:
        raise invalid_value(name, text, f"Expected {' or '.join(words)}.")
    return bool(text == words[1])


@family.action(
    "ModifyInstanceMetadataOptions",
    reads=(
        "InstanceId",
        "HttpTokens",
        "HttpPutResponseHopLimit",
        "HttpEndpoint",
        "HttpProtocolIpv6",
        "InstanceMetadataTags",
    ),
)
async def modify_instance_metadata_options(
    call: Call, request: shapes.ModifyInstanceMetadataOptionsRequest
) -> shapes.ModifyInstanceMetadataOptionsResult:
    """Change how a machine may ask about itself."""
    [number] = ids.read_instances([request["InstanceId"]])

    def change(options: Options) -> Options:
        return replace(options, metadata=read_metadata(request, options.metadata))

    machine = await call.core.machines.set_options(call.caller, number, change)
    return {
        "InstanceId": ids.instance_id(number),
        "InstanceMetadataOptions": render.metadata_options(machine.options.metadata),
    }


# --- watching


@family.action("MonitorInstances", reads=("InstanceIds",))
async def monitor_instances(call: Call, request: shapes.MonitorInstancesRequest) -> shapes.MonitorInstancesResult:
    """Watch machines in detail."""
    return {"InstanceMonitorings": await _monitored(call, request["InstanceIds"], is_on=True)}


@family.action("UnmonitorInstances", reads=("InstanceIds",))
async def unmonitor_instances(call: Call, request: shapes.UnmonitorInstancesRequest) -> shapes.UnmonitorInstancesResult:
    """Watch machines in detail no longer."""
    return {"InstanceMonitorings": await _monitored(call, request["InstanceIds"], is_on=False)}


async def _monitored(call: Call, texts: Sequence[str], *, is_on: bool) -> Sequence[shapes.InstanceMonitoring]:
    changes = await call.core.machines.monitor(call.caller, ids.read_instances(texts), is_on=is_on)
    return [
        {"InstanceId": ids.instance_id(change.after.id), "Monitoring": {"State": render.monitoring(change.after)}}
        for change in changes
    ]


# --- what else tools ask of a machine


@family.action(
    "GetConsoleOutput",
    reads=("InstanceId",),
    ignores={"Latest": "the output is the latest anyway"},
)
async def get_console_output(call: Call, request: shapes.GetConsoleOutputRequest) -> shapes.GetConsoleOutputResult:
    """Tell the end of what a machine wrote to its console."""
    [number] = ids.read_instances([request["InstanceId"]])
    log = await call.core.machines.console_log(call.caller, number)
    return {
        "InstanceId": ids.instance_id(number),
        # A text in the model, and yet base64. Source: ec2-wire-rules.md, Success.
        "Output": base64.b64encode(log).decode(),
        "Timestamp": call.core.now(),
    }


@family.action(
    "GetConsoleScreenshot",
    reads=("InstanceId",),
    ignores={"WakeUp": "no key is pressed; the screen is shown as it is"},
)
async def get_console_screenshot(
    call: Call, request: shapes.GetConsoleScreenshotRequest
) -> shapes.GetConsoleScreenshotResult:
    """Tell what the screen of a machine that is up shows. AWS answers with a JPEG; this is a PNG."""
    [number] = ids.read_instances([request["InstanceId"]])
    picture = await call.core.machines.screenshot(call.caller, number)
    return {"ImageData": base64.b64encode(picture).decode(), "InstanceId": ids.instance_id(number)}


_CREDIT_FILTERS: Filters[Instance] = Filters({}, action="DescribeInstanceCreditSpecifications")
_CREDIT_PAGES = Paging("DescribeInstanceCreditSpecifications")


@family.action("DescribeInstanceCreditSpecifications", reads=("InstanceIds", "Filters", "MaxResults", "NextToken"))
async def describe_instance_credit_specifications(
    call: Call, request: shapes.DescribeInstanceCreditSpecificationsRequest
) -> shapes.DescribeInstanceCreditSpecificationsResult:
    """Describe the machines whose processors run on credits: there are none, whichever are asked for."""
    asked, size = request.get("InstanceIds") or [], request.get("MaxResults")
    if asked and size is not None:
        raise invalid_combination("InstanceIds", "MaxResults")
    call.fleet.instances_by_id(ids.read_instances(asked))
    none = await _CREDIT_FILTERS.apply(request.get("Filters"), [])
    _CREDIT_PAGES.cut(call, none, lambda machine: (machine.id,), size=size, token=request.get("NextToken"))
    return {"InstanceCreditSpecifications": []}


@family.action("GetInstanceUefiData", reads=("InstanceId",))
async def get_instance_uefi_data(call: Call, request: shapes.GetInstanceUefiDataRequest) -> None:
    """Refuse: machines here boot from a BIOS. Terraform asks with the id of an image, and goes on when refused."""
    text = request["InstanceId"]
    if not text.startswith(ids.PREFIXES[ResourceKind.IMAGE]):
        _machine(call, text)
    raise Ec2Refusal("UnsupportedOperation", "The instance does not boot by UEFI, so it has no UEFI data.")
