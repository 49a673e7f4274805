"""Core's records in EC2's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from core.catalogue import Image, Product, Region
from core.fleet import SSH_PORT, Fleet
from core.ids import FIRST_ACCOUNT_ID, AccountId, InstanceId
from core.instances import Cause, Instance, MetadataService, State
from core.networks import hardware_address
from core.orders import Order
from core.tags import ResourceKind
from protocols.ec2 import ids
from protocols.ec2.encode import Encoder, Fragment, timestamp_text
from protocols.ec2.turns import in_turns

if TYPE_CHECKING:
    from protocols.ec2 import shapes

T = TypeVar("T")

OPERATOR_ID = ids.owner_id(AccountId(FIRST_ACCOUNT_ID - 1))
"""The owner of images: no customer's account, since ids are counted from the next number."""

OPERATOR_ALIAS = "onefleet"

# Fixed in every answer of today's EC2, whatever the hypervisor really is. Source: DescribeInstances reference.
HYPERVISOR, VIRTUALIZATION = "xen", "hvm"
ROOT_DEVICE, ROOT_DEVICE_TYPE = ids.ROOT_DEVICE, "ebs"
VOLUME_TYPE = "standard"
"""Of EC2's kinds of disks the one that promises no speed."""

TENANCY, BOOT_MODE, USAGE_OPERATION = "default", "legacy-bios", "RunInstances"

STATE_CODES = {
    State.PENDING: 0,
    State.RUNNING: 16,
    State.SHUTTING_DOWN: 32,
    State.TERMINATED: 48,
    State.STOPPING: 64,
    State.STOPPED: 80,
}

_REASONS = {
    Cause.USER: ("Client.UserInitiatedShutdown", "User initiated shutdown"),
    Cause.GUEST: ("Client.InstanceInitiatedShutdown", "Instance initiated shutdown"),
    Cause.CRASH: ("Server.InternalError", ""),
    Cause.LAUNCH_FAILED: ("Server.InternalError", "Internal error on launch. "),
    Cause.NO_CAPACITY: ("Server.InsufficientInstanceCapacity", "Insufficient capacity to launch the instance. "),
    Cause.LOST: ("Server.InternalError", ""),
}

_MOST_FRAGMENTS = 4096
"""How many machines' XML is kept: 8 MB."""


def state(value: State) -> shapes.InstanceState:
    """Return a state with its code."""
    return {"Code": STATE_CODES[value], "Name": value.value}


SSH_TAG = "aws:onefleet:ssh"
"""A tag that machines have while they run: how to log in to them, as machines of a host are told apart by their ports,
for which EC2 has no field. Tools leave tags of this prefix alone. Source: Tag your resources, "aws:" is reserved."""


def tags(values: Mapping[str, str]) -> Sequence[shapes.Tag]:
    """Return tags as EC2 lists them."""
    return [{"Key": key, "Value": value} for key, value in values.items()]


def state_reason(instance: Instance) -> shapes.StateReason | None:
    """Return why the machine is in its state; None while all is as it was asked for."""
    if instance.state is State.PENDING:
        return {"Code": "pending", "Message": "pending"}
    if instance.cause is None or instance.state is State.RUNNING:
        return None
    code, text = _REASONS[instance.cause]
    return {"Code": code, "Message": f"{code}: {text}{instance.detail}".strip()}


def transition_reason(instance: Instance) -> str:
    """Return the reason of the last transition as EC2 words it; empty while the machine is up."""
    if instance.cause is None or instance.changed_at is None or instance.state is State.RUNNING:
        return ""
    if instance.cause is Cause.USER:
        return f"User initiated ({instance.changed_at:%Y-%m-%d %H:%M:%S} GMT)"
    return "" if instance.cause is Cause.GUEST else _REASONS[instance.cause][0]


def platform(image: Image) -> str:
    """Return "windows", or nothing: EC2 has no word for any other platform."""
    return "windows" if image.platform == "windows" else ""


def platform_details(image: Image) -> str:
    """Return the platform in the words of the billing documents."""
    return "Windows" if platform(image) else "Linux/UNIX"


def public_address(fleet: Fleet, instance: Instance) -> str:
    """Return where the machine is reached: the first address bound to it, else the one that its host gives it."""
    bound = fleet.bound_to(instance.id)
    return bound[0].address if bound else instance.public_address


def groups(fleet: Fleet, instance: Instance) -> list[shapes.GroupIdentifier]:
    """Return the security groups of a machine; none once it is gone, and its network interface with it."""
    if instance.is_gone:
        return []
    return [_group(group.id, group.name) for group in fleet.groups_of(instance)]


@lru_cache(maxsize=4096)  # many machines are in few groups
def _group(number: int, name: str) -> shapes.GroupIdentifier:
    return {"GroupId": ids.spell(ResourceKind.SECURITY_GROUP, number), "GroupName": name}


def arn(region: Region, account_id: AccountId, kind: ResourceKind, number: int) -> str:
    """Return the name by which AWS's services call a thing of an account among one another."""
    return f"arn:aws:ec2:{region.name}:{ids.owner_id(account_id)}:{ids.NAMES[kind]}/{ids.spell(kind, number)}"


def private_dns_name(instance: Instance) -> str:
    """Return the name that follows from the private address."""
    address = instance.private_address
    return f"ip-{address.replace('.', '-')}.internal" if address else ""


class Renderer:
    """Records as EC2's XML. Each machine is encoded once and kept until something about it changes.

    `image_id` is what an image is called; see `Dialect`. Machines without an address of their own are on `ssh_host`.
    """

    def __init__(self, encoder: Encoder, image_id: Callable[[Image], str], ssh_host: str) -> None:
        self._encoder, self._image_id, self._ssh_host = encoder, image_id, ssh_host
        self._alike = {
            **_ALIKE,
            **{name: encoder.encode_fragment(shape, value) for name, (shape, value) in _ALIKE_STRUCTURES.items()},
        }
        self._fragments: dict[InstanceId, tuple[Instance, Mapping[str, str], Image, object, Fragment]] = {}

    async def each(self, shape: str, items: Iterable[T], describe: Callable[[T], Mapping[str, Any]]) -> list[Fragment]:
        """Return items as the insides of `<item>`s of a shape. Others get their turn meanwhile."""
        return [self._encoder.encode_fragment(shape, describe(item)) async for item in in_turns(items)]

    def instance(self, fleet: Fleet, instance: Instance, values: Mapping[str, str]) -> Fragment:
        """Return a machine with its tags as the inside of an `<item>` of instancesSet."""
        image, bound = fleet.image(instance.image_id), fleet.bound_to(instance.id)
        known, own = self._fragments.get(instance.id), values
        if (
            known is not None
            and known[0] is instance
            and known[1] is values
            and known[2] is image
            and known[3] is bound
        ):
            return known[4]
        if instance.state is State.RUNNING:
            values = {**values, SSH_TAG: self._way_in(fleet, instance)}
        shape = {**self._alike, **_instance(fleet, instance, values, image), "ImageId": self._image_id(image)}
        fragment = self._encoder.encode_fragment("Instance", shape)
        if len(self._fragments) >= _MOST_FRAGMENTS:
            del self._fragments[next(iter(self._fragments))]
        self._fragments[instance.id] = (instance, own, image, bound, fragment)
        return fragment

    def _way_in(self, fleet: Fleet, instance: Instance) -> str:
        """Return what one types to log in to a machine."""
        way = fleet.way_in(instance)
        port = "" if way.port == SSH_PORT else f"-p {way.port} "
        return f"ssh {port}{way.user}@{way.host or self._ssh_host}"


def reservation(order: Order, instances: Sequence[Fragment]) -> shapes.Reservation:
    """Return an order as a reservation of these machines."""
    return {
        "OwnerId": ids.owner_id(order.account_id),
        "ReservationId": ids.reservation_id(order.id),
        "Groups": [],
        "Instances": instances,
    }


# What is the same of every machine.
_ALIKE: Mapping[str, object] = {
    "Hypervisor": HYPERVISOR,
    "VirtualizationType": VIRTUALIZATION,
    "RootDeviceName": ROOT_DEVICE,
    "RootDeviceType": ROOT_DEVICE_TYPE,
    "EbsOptimized": False,
    "PublicDnsName": "",
    "ProductCodes": [],
    "EnaSupport": True,
    "BootMode": BOOT_MODE,
    "CurrentInstanceBootMode": BOOT_MODE,
    "UsageOperation": USAGE_OPERATION,
}
_ALIKE_STRUCTURES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "HibernationOptions": ("HibernationOptions", {"Configured": False}),
    "EnclaveOptions": ("EnclaveOptions", {"Enabled": False}),
    "MaintenanceOptions": ("InstanceMaintenanceOptions", {"AutoRecovery": "disabled"}),
    "CapacityReservationSpecification": (
        "CapacityReservationSpecificationResponse",
        {"CapacityReservationPreference": "none"},
    ),
    "PrivateDnsNameOptions": (
        "PrivateDnsNameOptionsResponse",
        {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
    ),
}


def _instance(fleet: Fleet, instance: Instance, values: Mapping[str, str], image: Image) -> shapes.Instance:
    """Return what is a machine's own; see `_ALIKE` for the rest."""
    product, order = fleet.product(instance.product_id), fleet.order(instance.order_id)
    shape: shapes.Instance = {
        "InstanceId": ids.instance_id(instance.id),
        "InstanceType": product.instance_type,
        "AmiLaunchIndex": instance.launch_index,
        "LaunchTime": instance.launched_at,
        "State": state(instance.state),
        "StateTransitionReason": transition_reason(instance),
        "Placement": {"AvailabilityZone": fleet.zone(instance.zone_id).name, "GroupName": "", "Tenancy": TENANCY},
        "Monitoring": {"State": monitoring(instance)},
        "Architecture": image.architecture,
        "PlatformDetails": platform_details(image),
        "CpuOptions": {"CoreCount": product.vcpus, "ThreadsPerCore": 1},
        "ClientToken": order.client_token,
        "PrivateDnsName": private_dns_name(instance),
        "SecurityGroups": [],
        "SourceDestCheck": instance.options.is_source_checked,
        "MetadataOptions": metadata_options(instance.options.metadata),
        "UsageOperationUpdateTime": instance.launched_at,
        "BlockDeviceMappings": [],
        "NetworkInterfaces": [],
    }
    if not instance.is_gone:
        interface = _interface(fleet, instance)
        shape["BlockDeviceMappings"] = disks(instance)
        shape["NetworkInterfaces"] = [interface]
        shape["SecurityGroups"] = interface["Groups"]
        shape["VpcId"], shape["SubnetId"] = interface["VpcId"], interface["SubnetId"]
    if values:
        shape["Tags"] = tags(values)
    if order.key_name:
        shape["KeyName"] = order.key_name
    if instance.private_address:
        shape["PrivateIpAddress"] = instance.private_address
    if address := public_address(fleet, instance):
        shape["PublicIpAddress"] = address
    if name := platform(image):
        shape["Platform"] = name
    if (reason := state_reason(instance)) is not None:
        shape["StateReason"] = reason
    return shape


def place_ids(fleet: Fleet, instance: Instance) -> tuple[str, str]:
    """Return the ids of the network and the subnet that a machine is in."""
    subnet = fleet.subnet_in(instance.zone_id)
    return _place_ids(subnet.network_id, subnet.id)


@lru_cache(maxsize=4096)  # many machines are in few subnets
def _place_ids(network: int, subnet: int) -> tuple[str, str]:
    return ids.spell(ResourceKind.NETWORK, network), ids.spell(ResourceKind.SUBNET, subnet)


def monitoring(instance: Instance) -> str:
    """Return whether the machine is watched in detail, in EC2's word."""
    return "enabled" if instance.options.is_monitored else "disabled"


@lru_cache(maxsize=256)  # there are few ways to have it
def metadata_options(metadata: MetadataService) -> shapes.InstanceMetadataOptionsResponse:
    """Return how a machine may ask about itself. Changes apply at once, so that none is ever pending."""
    return {
        "State": "applied",
        "HttpTokens": "required" if metadata.needs_token else "optional",
        "HttpPutResponseHopLimit": metadata.hop_limit,
        "HttpEndpoint": "enabled" if metadata.is_enabled else "disabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "enabled" if metadata.shows_tags else "disabled",
    }


def disks(instance: Instance) -> Sequence[shapes.InstanceBlockDeviceMapping]:
    """Return the disks of a machine: the one that it boots from."""
    return [
        {
            "DeviceName": ROOT_DEVICE,
            "Ebs": {
                "AttachTime": instance.launched_at,
                "DeleteOnTermination": not instance.options.keeps_disk,
                "Status": "attached",
                "VolumeId": ids.spell(ResourceKind.DISK, instance.id),
            },
        }
    ]


def _interface(fleet: Fleet, instance: Instance) -> shapes.InstanceNetworkInterface:
    network_id, subnet_id = place_ids(fleet, instance)
    name = private_dns_name(instance)
    addresses: list[shapes.InstancePrivateIpAddress] = []
    shape: shapes.InstanceNetworkInterface = {
        "Attachment": {
            "AttachTime": instance.launched_at,
            "AttachmentId": f"{ids.ATTACHMENT}{instance.id:017x}",
            "DeleteOnTermination": True,
            "DeviceIndex": 0,
            "NetworkCardIndex": 0,
            "Status": "attached",
        },
        "Description": "",
        "Groups": groups(fleet, instance),
        "Ipv6Addresses": [],
        "MacAddress": hardware_address(instance.id),
        "NetworkInterfaceId": ids.spell(ResourceKind.INTERFACE, instance.id),
        "OwnerId": ids.owner_id(instance.account_id),
        "PrivateDnsName": name,
        "PrivateIpAddress": instance.private_address,
        "PrivateIpAddresses": addresses,
        "SourceDestCheck": instance.options.is_source_checked,
        "Status": "in-use",
        "SubnetId": subnet_id,
        "VpcId": network_id,
        "InterfaceType": "interface",
    }
    own: shapes.InstancePrivateIpAddress = {
        "Primary": True,
        "PrivateDnsName": name,
        "PrivateIpAddress": instance.private_address,
    }
    if address := public_address(fleet, instance):
        bound = fleet.bound_to(instance.id)
        owner = ids.owner_id(instance.account_id) if bound else OPERATOR_ALIAS
        own["Association"] = shape["Association"] = {"IpOwnerId": owner, "PublicDnsName": "", "PublicIp": address}
    addresses.append(own)
    return shape


def image(fleet: Fleet, image: Image) -> shapes.Image:
    """Return an image."""
    name = ids.image_id(image.id)
    shape: shapes.Image = {
        "ImageId": name,
        "ImageLocation": f"{OPERATOR_ALIAS}/{image.name}",
        "State": "available",
        "OwnerId": OPERATOR_ID,
        "ImageOwnerAlias": OPERATOR_ALIAS,
        # A text in the model, and yet a time. Source: DescribeImages reference, creationDate.
        "CreationDate": timestamp_text(image.created_at),
        "Public": True,
        "Architecture": image.architecture,
        "ImageType": "machine",
        "Name": image.name,
        "Description": description(image),
        "EnaSupport": True,
        "BootMode": BOOT_MODE,
        "PlatformDetails": platform_details(image),
        "RootDeviceName": ROOT_DEVICE,
        "RootDeviceType": ROOT_DEVICE_TYPE,
        "VirtualizationType": VIRTUALIZATION,
        "Hypervisor": HYPERVISOR,
        "BlockDeviceMappings": image_disks(image),
        "ProductCodes": [],
    }
    if name := platform(image):
        shape["Platform"] = name
    if values := fleet.tags(ResourceKind.IMAGE, image.id):
        shape["Tags"] = tags(values)
    return shape


def description(image: Image) -> str:
    """Return what an image is, in a sentence, or else by its title."""
    return image.description or image.title


def image_disks(image: Image) -> Sequence[shapes.BlockDeviceMapping]:
    """Return the disk that machines get from an image; its size is the product's, of which the image needs some."""
    disk: shapes.EbsBlockDevice = {"DeleteOnTermination": True, "VolumeType": VOLUME_TYPE, "Encrypted": False}
    if image.least_disk_gib:
        disk["VolumeSize"] = image.least_disk_gib
    return [{"DeviceName": ROOT_DEVICE, "Ebs": disk}]


def instance_type(product: Product) -> shapes.InstanceTypeInfo:
    """Return a product as an instance type."""
    shape: shapes.InstanceTypeInfo = {
        "InstanceType": product.instance_type,
        "CurrentGeneration": True,
        "FreeTierEligible": False,
        "SupportedUsageClasses": ["on-demand"],
        "SupportedRootDeviceTypes": [ROOT_DEVICE_TYPE],
        "SupportedVirtualizationTypes": [VIRTUALIZATION],
        "BareMetal": False,
        "Hypervisor": HYPERVISOR,
        "ProcessorInfo": {"SupportedArchitectures": [product.architecture]},
        "VCpuInfo": {
            "DefaultVCpus": product.vcpus,
            "DefaultCores": product.vcpus,
            "DefaultThreadsPerCore": 1,
        },
        "MemoryInfo": {"SizeInMiB": product.memory_mib},
        "InstanceStorageSupported": True,
        "InstanceStorageInfo": {"TotalSizeInGB": product.disk_gib},
        "HibernationSupported": False,
        "BurstablePerformanceSupported": False,
        "DedicatedHostsSupported": False,
        "AutoRecoverySupported": False,
        "SupportedBootModes": [BOOT_MODE],
        "EbsInfo": {
            "EbsOptimizedSupport": "unsupported",
            "EncryptionSupport": "unsupported",
            "NvmeSupport": "unsupported",
        },
        "NetworkInfo": {
            "MaximumNetworkInterfaces": 1,
            "MaximumNetworkCards": 1,
            "DefaultNetworkCardIndex": 0,
            "Ipv4AddressesPerInterface": 1,
            "Ipv6AddressesPerInterface": 0,
            "Ipv6Supported": False,
            "EnaSupport": "supported",
            "EfaSupported": False,
        },
        "PlacementGroupInfo": {"SupportedStrategies": []},
    }
    if product.gpu is not None:
        gpu = product.gpu
        shape["GpuInfo"] = {
            "Gpus": [
                {
                    "Name": gpu.name,
                    "Manufacturer": gpu.manufacturer,
                    "Count": gpu.count,
                    "MemoryInfo": {"SizeInMiB": gpu.memory_mib},
                }
            ],
            "TotalGpuMemoryInMiB": gpu.count * gpu.memory_mib,
        }
    return shape
