"""Tags, and the tag specifications of actions that make things."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from core.catalogue import Image
from core.errors import UnknownImage, UnknownInstances, UnknownKeyPairs, UnknownResource
from core.fleet import Fleet
from core.ids import ImageId, InstanceId
from core.tags import Resource, ResourceKind
from protocols.ec2 import ids
from protocols.ec2.errors import Ec2Refusal, invalid_value
from protocols.ec2.filters import Filters
from protocols.ec2.pages import Paging, Place
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import extension_shapes, shapes

family = Family()

_PAGES = Paging("DescribeTags")

_KINDS = {name: kind for kind, name in ids.NAMES.items()}


def specified_tags(
    specifications: Sequence[shapes.TagSpecification], allowed: AbstractSet[ResourceKind]
) -> Mapping[ResourceKind, Mapping[str, str]]:
    """Return the tags for each kind of thing that an action makes.

    Raises:
        Ec2Refusal: the action makes no such thing, or a key is given twice or not at all.
    """
    wanted: dict[ResourceKind, dict[str, str]] = {}
    for each in specifications:
        name = each.get("ResourceType", "")
        kind = _KINDS.get(name)
        if kind is None or kind not in allowed:
            names = " or ".join(sorted(ids.NAMES[one] for one in allowed))
            raise invalid_value("TagSpecification.ResourceType", name, f"Expected {names}.")
        _add_to(wanted.setdefault(kind, {}), each.get("Tags") or [])
    return wanted


@family.action("CreateTags", reads=("Resources", "Tags"))
async def create_tags(call: Call, request: shapes.CreateTagsRequest) -> None:
    """Add or replace tags."""
    resources = _resources(call, request["Resources"])
    tags: dict[str, str] = {}
    _add_to(tags, request["Tags"])
    await call.core.tag(call.caller, resources, tags)


@family.action("DeleteTags", reads=("Resources", "Tags"))
async def delete_tags(call: Call, request: shapes.DeleteTagsRequest) -> None:
    """Remove tags: a key alone whatever its value; without any key, all."""
    wanted = request.get("Tags")
    values = None if not wanted else dict(_pairs(wanted))
    await call.core.untag(call.caller, _resources(call, request["Resources"]), values)


def _add_to(wanted: dict[str, str], tags: Sequence[shapes.Tag]) -> None:
    for key, value in _pairs(tags):
        if key in wanted:
            raise Ec2Refusal("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        wanted[key] = value or ""


def _pairs(tags: Sequence[shapes.Tag]) -> Iterable[tuple[str, str | None]]:
    for tag in tags:
        if "Key" not in tag:
            raise Ec2Refusal("MissingParameter", "The request must contain the parameter Tag.Key")
        yield tag["Key"], tag.get("Value")


def _resources(call: Call, texts: Sequence[str]) -> Sequence[Resource]:
    by_name = {image.name: ids.AnyId(ResourceKind.IMAGE, image.id) for image in call.fleet.images()}
    named = {text: by_name.get(text) or ids.read_any(text) for text in dict.fromkeys(texts)}
    for text, found in named.items():
        if found.kind is ResourceKind.ORDER or not call.fleet.has(found.kind, found.number):
            raise _missing(found, text)
    return [Resource(call.caller.account_id, found.kind, found.number) for found in named.values()]


def _missing(found: ids.AnyId, text: str) -> Exception:
    if found.kind in _MISSING:
        return _MISSING[found.kind](found, text)
    return UnknownResource(found.kind, found.number)


_MISSING: Mapping[ResourceKind, Callable[[ids.AnyId, str], Exception]] = {
    ResourceKind.INSTANCE: lambda found, _: UnknownInstances([InstanceId(found.number)]),
    ResourceKind.IMAGE: lambda _, text: UnknownImage(text),
    ResourceKind.KEY_PAIR: lambda _, text: UnknownKeyPairs([text], by_id=True),
    ResourceKind.ORDER: lambda _, text: ids.UnknownIdKind(text),
}


@dataclass(frozen=True, slots=True)
class _Described:
    """One tag of one thing, which has a name if it is an image."""

    resource: Resource
    key: str
    value: str
    image: Image | None

    @property
    def resource_id(self) -> str:
        return ids.spell(self.resource.kind, self.resource.id)

    @property
    def resource_ids(self) -> Iterable[str]:
        return (self.resource_id,) if self.image is None else (self.resource_id, self.image.name)

    @property
    def resource_type(self) -> str:
        return ids.NAMES[self.resource.kind]

    @property
    def place(self) -> Place:
        return (self.resource.kind.value, self.resource.id, self.key)


_FILTERS: Filters[_Described] = Filters(
    {
        "key": lambda item: (item.key,),
        "resource-id": lambda item: item.resource_ids,
        "resource-type": lambda item: (item.resource_type,),
        "value": lambda item: (item.value,),
    },
    action="DescribeTags",
    tags=lambda item: {item.key: item.value},
)


@family.action("DescribeTags", reads=("Resources", "Filters", "MaxResults", "NextToken"))
async def describe_tags(call: Call, request: extension_shapes.DescribeTagsRequest) -> shapes.DescribeTagsResult:
    """Describe the tags of everything, or of what is named as GigeNET's printed PHP does it, by kind, id and key."""
    asked = request.get("Resources") or []
    chosen = set(_resources(call, asked))
    described = (
        _Described(each.resource, key, each.values[key], _image(call.fleet, each.resource))
        for each in call.fleet.tag_sets()
        if each.resource.kind in ids.NAMES and (not asked or each.resource in chosen)
        for key in sorted(each.values)
    )
    wanted = request.get("Filters")
    page, next_token = _PAGES.cut(
        call,
        await _FILTERS.apply(wanted, described),
        lambda item: item.place,
        size=request.get("MaxResults"),
        token=request.get("NextToken"),
        query=(asked, wanted),
    )
    result: shapes.DescribeTagsResult = {"Tags": await call.renderer.each("TagDescription", page, partial(_tag, call))}
    if next_token is not None:
        result["NextToken"] = next_token
    return result


def _image(fleet: Fleet, resource: Resource) -> Image | None:
    return fleet.image(ImageId(resource.id)) if resource.kind is ResourceKind.IMAGE else None


def _tag(call: Call, item: _Described) -> shapes.TagDescription:
    return {
        "ResourceId": item.resource_id if item.image is None else call.dialect.image_id(item.image),
        "ResourceType": item.resource_type,
        "Key": item.key,
        "Value": item.value,
    }
