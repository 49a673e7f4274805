"""What differs between the ways in which EC2 is spoken: AWS's, and GigeNET's. Everything that differs is here.

Both take all actions and parameters of both, in both spellings; a dialect decides how answers look, what holds where a
request says nothing, and how much of the fleet one endpoint shows. Sources: gigenet-ec2.md, ec2-wire-rules.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.catalogue import Image, Zone
from core.ids import InstanceId
from core.instances import Instance, State
from protocols.ec2 import ids
from protocols.ec2.encode import DECLARATION, SUCCESS, Envelope, aws_envelope, escaped
from protocols.ec2.model import Model

if TYPE_CHECKING:
    from protocols.ec2 import shapes

Rewrite = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def _aws_image_id(image: Image) -> str:
    return ids.image_id(image.id)


AWS_DOMAIN = "vpc"
"""What every address is for, as AWS says it."""


def _aws_domain(_: Zone) -> str:
    return AWS_DOMAIN


def _aws_events(_: Instance, __: datetime) -> "Sequence[shapes.InstanceStatusEvent]":
    return ()


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an endpoint speaks.

    `envelope` wraps the results of a service. `overlay` changes the model (`model.merged`), `rewrites` changes what
    stands in a shape, by the shape's name, and `spellings` how a text is written, by its member's name. `image_id` is
    what an image is called, `domain` what an address of a zone is said to be for, and `events` what is said to be going
    on with a machine at a moment.

    Refusals are worded by `reword` and sent with `statuses` in place of those that it has; only where it `knows_sts`
    have those of STS a form and codes of their own.

    `defaults` are the values of parameters that a request to an action leaves out, `filter_words` its own words for the
    values of filters, by the filter's name, with AWS's for them. An endpoint that `is_regionless` shows all regions
    at once, as GigeNET's does; else a request sees the region that it is signed for. Where it `gives_passwords`, every
    machine gets one at its launch, and they are told as they are; where it `counts_addresses`, each interface with a
    public address is one more. `notes` say for the reference what is different about an action.
    """

    name: str
    envelope: Callable[[Model], Envelope] = aws_envelope
    overlay: Mapping[str, Any] = field(default_factory=dict)
    rewrites: Mapping[str, Rewrite] = field(default_factory=dict)
    spellings: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    image_id: Callable[[Image], str] = _aws_image_id
    domain: Callable[[Zone], str] = _aws_domain
    events: "Callable[[Instance, datetime], Sequence[shapes.InstanceStatusEvent]]" = _aws_events
    reword: Callable[[str], str] = _as_it_is
    statuses: Mapping[int, int] = field(default_factory=dict)
    knows_sts: bool = True
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    filter_words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_regionless: bool = False
    gives_passwords: bool = False
    counts_addresses: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)

    def understood(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request with the defaults that it leaves out, and the values of its filters in AWS's spelling."""
        request = {**self.defaults.get(action, {}), **request}
        if asked := request.get("Filters"):
            return {**request, "Filters": [self._filter(each) for each in asked]}
        return request

    def _filter(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        name, values = asked.get("Name", ""), asked.get("Values") or []
        if name in _INSTANCE_FILTERS:
            return {**asked, "Values": [_aws_instance_id(value) for value in values]}
        if (words := self.filter_words.get(name)) is not None:
            return {**asked, "Values": [words.get(value, value) for value in values]}
        return asked


_INSTANCE_FILTERS = frozenset(
    {
        "attachment.instance-id",
        "instance-id",
        "network-interface.attachment.instance-id",
        "reserved-instances-id",
        "resource-id",
        "route.instance-id",
    }
)


def _aws_instance_id(text: str) -> str:
    """Return the id of an instance that may be spelled as a number; what is none stays as it is."""
    number = ids.plain_number(text)
    return text if number is None else ids.instance_id(InstanceId(number))


# --- AWS's

AWS = Dialect("aws")


# --- GigeNET's

_ELEMENT = "RequestID"
_SPELLED_ID = re.compile(r"\bi-([0-9a-f]{17})\b", re.ASCII)


class _GigenetEnvelope(Envelope):
    """Results in no namespace, with the request's id at their end."""

    __slots__ = ()

    def wrap(self, action: str, body: str | None, version: str, request_id: str) -> str:  # noqa: ARG002  the parent's
        """See `Envelope.wrap`."""
        inside = SUCCESS if body is None else body
        if self.has_result_wrapper:
            inside = f"<{action}Result>{inside}</{action}Result>"
        identity = f"<{_ELEMENT}>{escaped(request_id)}</{_ELEMENT}>"
        return f"{DECLARATION}<{action}Response>{inside}{identity}</{action}Response>"


def _envelope(model: Model) -> Envelope:
    return _GigenetEnvelope("", _ELEMENT, aws_envelope(model).has_result_wrapper)


def _numbers(text: str) -> str:
    """Return a text with the ids of instances in it as the plain numbers that they spell."""
    return _SPELLED_ID.sub(lambda match: str(int(match[1], 16)), text)


# Only 0 is documented, and 4 for a machine that has just been booked; the Ansible module waits for 0, which is EC2's
# code for one that is pending. No known client reads the others: they have the names that the waiters of AWS's SDKs
# look for, which GigeNET says work with it, and the codes of EC2, of which none is 0. Source: gigenet-ec2.md.
_STATES: Mapping[str, Mapping[str, Any]] = {
    State.RUNNING.value: {"Code": 0, "Name": "on"},
    State.PENDING.value: {"Code": 4, "Name": State.PENDING.value},
}


def _state(state: Mapping[str, Any]) -> Mapping[str, Any]:
    return _STATES.get(state["Name"], state)


def _instance(instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a machine that tells its state and address under GigeNET's names beside EC2's, which AWS's SDKs read.

    There is always a publicIpAddress, if an empty one: the Ansible module fails without it.
    """
    return {
        **instance,
        "GigenetState": instance["State"],
        "GigenetPublicIpAddress": instance.get("PublicIpAddress", ""),
        "Platform": instance.get("Platform") or instance["PlatformDetails"],
    }


def _image(image: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**image, "ImageId": image["Name"], "Platform": image.get("Platform") or image["PlatformDetails"]}


def _status(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of a machine with its summaries as lists of one."""
    return {**status, **{name: [status[name]] for name in ("InstanceStatus", "SystemStatus")}}


def _instance_type(type_: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "Name": type_["InstanceType"],
        "Cores": type_["VCpuInfo"]["DefaultVCpus"],
        "Memory": type_["MemoryInfo"]["SizeInMiB"],
        "Disk": type_["InstanceStorageInfo"]["TotalSizeInGB"],
    }


def _zone(zone: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**zone, "Messages": [message["Message"] for message in zone["Messages"]]}


def _reserved(reserved: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**reserved, "State": "on"} if reserved["State"] == "active" else reserved


def _credentials(credentials: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return credentials that hold themselves as an item too: AWS's SDKs read the ones, the Go client the other."""
    return {**credentials, "Item": credentials}


def _pending_work(instance: Instance, now: datetime) -> "Sequence[shapes.InstanceStatusEvent]":
    """Return what is being done to a machine. Only instance-modify is documented; the others are named after it."""
    works = {
        "create": instance.state is State.PENDING,
        "stop": instance.state is State.STOPPING,
        "terminate": instance.state is State.SHUTTING_DOWN,
        "reboot": instance.needs_reboot,
        "modify": instance.needs_work and instance.version != instance.applied,
        "reinstall": instance.needs_work and instance.generation != instance.built,
    }
    return [
        {"Code": f"instance-{work}", "Description": work, "NotAfter": now, "NotBefore": now}
        for work, is_pending in works.items()
        if is_pending
    ]


_OVERLAY: Mapping[str, Any] = {
    "ec2": {
        "shapes": {
            "AvailabilityZone": {"members": {"Messages": "GigenetMessages messageSet"}},
            "GigenetMessages": {"list": "string", "item": "message"},
            "GigenetStatuses": {"list": "InstanceStatusSummary", "item": "item"},
            "Instance": {
                "members": {
                    "GigenetState": "InstanceState state",
                    "GigenetPublicIpAddress": "string publicIpAddress",
                }
            },
            "InstanceStatus": {
                "members": {
                    "InstanceStatus": "GigenetStatuses instanceStatus",
                    "SystemStatus": "GigenetStatuses systemStatus",
                }
            },
            "InstanceTypeInfo": {
                "members": {
                    "Name": "string name",
                    "Cores": "integer cores",
                    "Memory": "integer memory",
                    "Disk": "integer disk",
                }
            },
            "RunInstancesRequest": {"members": {}, "required": []},
        }
    },
    "sts": {
        "shapes": {
            "Credentials": {"members": {"Item": "GigenetCredentials item"}},
            "GigenetCredentials": {
                "members": {
                    "AccessKeyId": "string",
                    "SecretAccessKey": "string",
                    "SessionToken": "string",
                    "Expiration": "timestamp",
                }
            },
        }
    },
}

GIGENET = Dialect(
    "gigenet",
    envelope=_envelope,
    overlay=_OVERLAY,
    rewrites={
        "AvailabilityZone": _zone,
        "Credentials": _credentials,
        "Image": _image,
        "Instance": _instance,
        "InstanceState": _state,
        "InstanceStatus": _status,
        "InstanceTypeInfo": _instance_type,
        "ReservedInstances": _reserved,
    },
    spellings={"InstanceId": _numbers, "ReservedInstancesId": _numbers, "ResourceId": _numbers},
    image_id=lambda image: image.name,
    domain=lambda zone: zone.name,
    events=_pending_work,
    reword=_numbers,
    # It documents 400, 401 and 500 only.
    statuses={403: 401, 404: 400, 405: 400, 408: 400, 412: 400, 413: 400, 415: 400, 503: 500},
    knows_sts=False,
    defaults={
        # A client that waits for a machine to come up looks for it here from the first.
        "DescribeInstanceStatus": {"IncludeAllInstances": True},
        "RunInstances": {"BillingTerm": 730, "MinCount": 1, "MaxCount": 1},
    },
    filter_words={
        "instance-state-code": {"0": "16", "4": "0"},
        "instance-state-name": {"on": State.RUNNING.value},
        "state": {"on": "active"},
    },
    is_regionless=True,
    gives_passwords=True,
    counts_addresses=True,
    notes={
        "AllocateAddress": "`domain` is the zone of the address.",
        "DescribeAddresses": "`domain` is the zone of the address.",
        "DescribeAvailabilityZones": "zones of all regions are available; `message` is a text.",
        "DescribeImages": "ids are the images' names; `platform` is there for every image.",
        "DescribeInstanceStatus": (
            "all machines are told of, running or not; `instanceStatus` and `systemStatus` hold an `item`; work on a "
            "machine that is not done yet is an event."
        ),
        "DescribeInstanceTypes": "each has `name`, `cores`, `memory` (MiB) and `disk` (GiB), as in DescribeVmTypes.",
        "DescribeReservedInstances": "a machine that is rented is `on`.",
        "DescribeInstances": "a machine that runs is `on`, with code 0; there is always a `publicIpAddress`.",
        "GetPasswordData": "the password is told as it is, not encrypted.",
        "GetSessionToken": "`Credentials` hold themselves once more in an `item`.",
        "RunInstances": (
            "`MinCount` and `MaxCount` are 1 and `BillingTerm` is 730 if left out; each network interface with "
            "`AssociatePublicIpAddress` is one more public address; every machine gets a root password."
        ),
    },
)

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (AWS, GIGENET)}
