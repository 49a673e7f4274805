"""Images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from core.catalogue import Image
from core.errors import UnknownImage
from core.fleet import Fleet
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.encode import timestamp_text
from protocols.ec2.errors import invalid_combination, invalid_value
from protocols.ec2.filters import Filters, boolean, present
from protocols.ec2.pages import Paging
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

_PAGES = Paging("DescribeImages", least=1, most=1000)

# Every image is the operator's and public: "self" owns none, and none is shared with anyone in particular.
_OWNERS = {render.OPERATOR_ID, render.OPERATOR_ALIAS}
_PUBLIC = "all"


class _Described:
    """An image with what its filters read."""

    __slots__ = ("image", "tags")

    def __init__(self, fleet: Fleet, image: Image) -> None:
        self.image, self.tags = image, fleet.tags(ResourceKind.IMAGE, image.id)


_FILTERS: Filters[_Described] = Filters(
    {
        "architecture": lambda item: (item.image.architecture,),
        "block-device-mapping.delete-on-termination": lambda _: boolean(value=True),
        "block-device-mapping.device-name": lambda _: (render.ROOT_DEVICE,),
        "block-device-mapping.encrypted": lambda _: boolean(value=False),
        "block-device-mapping.volume-size": lambda item: present(str(item.image.least_disk_gib or "")),
        "block-device-mapping.volume-type": lambda _: (render.VOLUME_TYPE,),
        "boot-mode": lambda _: (render.BOOT_MODE,),
        "creation-date": lambda item: (timestamp_text(item.image.created_at),),
        "ena-support": lambda _: boolean(value=True),
        "description": lambda item: present(render.description(item.image)),
        "hypervisor": lambda _: (render.HYPERVISOR,),
        "image-id": lambda item: (ids.image_id(item.image.id), item.image.name),
        "image-type": lambda _: ("machine",),
        "is-public": lambda _: boolean(value=True),
        "manifest-location": lambda item: (f"{render.OPERATOR_ALIAS}/{item.image.name}",),
        "name": lambda item: (item.image.name,),
        "owner-alias": lambda _: (render.OPERATOR_ALIAS,),
        "owner-id": lambda _: (render.OPERATOR_ID,),
        "platform": lambda item: present(render.platform(item.image)),
        "root-device-name": lambda _: (render.ROOT_DEVICE,),
        "root-device-type": lambda _: (render.ROOT_DEVICE_TYPE,),
        "state": lambda _: ("available",),
        "virtualization-type": lambda _: (render.VIRTUALIZATION,),
    },
    tags=lambda item: item.tags,
    action="DescribeImages",
)


@family.action(
    "DescribeImages",
    reads=("ImageIds", "Owners", "ExecutableUsers", "Filters", "MaxResults", "NextToken"),
    ignores={"IncludeDeprecated": "no image is deprecated", "IncludeDisabled": "no image is disabled"},
)
async def describe_images(call: Call, request: shapes.DescribeImagesRequest) -> shapes.DescribeImagesResult:
    """Describe images."""
    asked, size = request.get("ImageIds") or [], request.get("MaxResults")
    if asked and size is not None:
        raise invalid_combination("ImageIds", "MaxResults")
    images = [image_named(call.fleet, text) for text in asked] if asked else call.fleet.images()
    if (owners := request.get("Owners")) and not _OWNERS & set(owners):
        images = []
    if (users := request.get("ExecutableUsers")) and _PUBLIC not in users:
        images = []
    wanted = request.get("Filters")
    distinct = {image.id: image for image in sorted(images, key=_number)}
    described = [_Described(call.fleet, image) for image in distinct.values()]
    page, next_token = _PAGES.cut(
        call,
        await _FILTERS.apply(wanted, described),
        lambda item: (item.image.id,),
        size=size,
        token=request.get("NextToken"),
        query=(wanted, owners, users),
    )
    result: shapes.DescribeImagesResult = {"Images": [render.image(call.fleet, item.image) for item in page]}
    if next_token is not None:
        result["NextToken"] = next_token
    return result


_ATTRIBUTES: Mapping[str, Callable[[Image], Mapping[str, Any]]] = {
    "blockDeviceMapping": lambda image: {"BlockDeviceMappings": render.image_disks(image)},
    "bootMode": lambda _: {"BootMode": {"Value": render.BOOT_MODE}},
    "deregistrationProtection": lambda _: {"DeregistrationProtection": {"Value": "disabled"}},
    "description": lambda image: {"Description": {"Value": render.description(image)}},
    "imdsSupport": lambda _: {"ImdsSupport": {}},
    "kernel": lambda _: {"KernelId": {}},
    "lastLaunchedTime": lambda _: {"LastLaunchedTime": {}},
    "launchPermission": lambda _: {"LaunchPermissions": [{"Group": _PUBLIC}]},
    "productCodes": lambda _: {"ProductCodes": []},
    "ramdisk": lambda _: {"RamdiskId": {}},
    "sriovNetSupport": lambda _: {"SriovNetSupport": {}},
    "tpmSupport": lambda _: {"TpmSupport": {}},
    "uefiData": lambda _: {"UefiData": {}},
}


@family.action("DescribeImageAttribute", reads=("ImageId", "Attribute"))
async def describe_image_attribute(call: Call, request: shapes.DescribeImageAttributeRequest) -> Mapping[str, Any]:
    """Tell one attribute of an image."""
    image, name = image_named(call.fleet, request["ImageId"]), request["Attribute"]
    if name not in _ATTRIBUTES:
        raise invalid_value("Attribute", name, f"Expected one of {', '.join(_ATTRIBUTES)}.")
    return {"ImageId": call.dialect.image_id(image), **_ATTRIBUTES[name](image)}


def image_named(fleet: Fleet, text: str) -> Image:
    """Return the image of an id, or of a name as GigeNET's clients give it.

    Raises:
        UnknownImage: there is none.
        MalformedId: it is neither a name nor an id's form.
    """
    images = fleet.images()
    found = next((image for image in images if image.name == text), None)
    if found is None:
        number = ids.read(ResourceKind.IMAGE, text)
        found = next((image for image in images if image.id == number), None)
    if found is None:
        raise UnknownImage(text)
    return found


def _number(image: Image) -> int:
    return image.id
