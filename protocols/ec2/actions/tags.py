"""Tags, and the tag specifications of actions that make things."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import UnknownImage, UnknownInstances, UnknownKeyPairs
from core.ids import InstanceId
from core.tags import Resource, ResourceKind
from protocols.ec2 import ids
from protocols.ec2.errors import Ec2Refusal, invalid_value
from protocols.ec2.filters import Filters
from protocols.ec2.pages import Paging, Place
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()

_PAGES = Paging("DescribeTags")

# Reservations cannot be tagged in EC2, so their tags have no name there.
_TYPE_NAMES = {
    ResourceKind.INSTANCE: "instance",
    ResourceKind.IMAGE: "image",
    ResourceKind.KEY_PAIR: "key-pair",
}
_KINDS = {name: kind for kind, name in _TYPE_NAMES.items()}


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
            names = " or ".join(sorted(_TYPE_NAMES[one] for one in allowed))
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
    named = {text: ids.read_any(text) for text in dict.fromkeys(texts)}
    for text, found in named.items():
        if found.kind is ResourceKind.ORDER or not call.fleet.has(found.kind, found.number):
            raise _missing(found, text)
    return [Resource(call.caller.account_id, found.kind, found.number) for found in named.values()]


def _missing(found: ids.AnyId, text: str) -> Exception:
    if found.kind is ResourceKind.INSTANCE:
        return UnknownInstances([InstanceId(found.number)])
    if found.kind is ResourceKind.IMAGE:
        return UnknownImage(text)
    return UnknownKeyPairs([text], by_id=True) if found.kind is ResourceKind.KEY_PAIR else ids.UnknownIdKind(text)


@dataclass(frozen=True, slots=True)
class _Described:
    """One tag of one thing."""

    resource: Resource
    key: str
    value: str

    @property
    def resource_id(self) -> str:
        return ids.spell(self.resource.kind, self.resource.id)

    @property
    def resource_type(self) -> str:
        return _TYPE_NAMES[self.resource.kind]

    @property
    def place(self) -> Place:
        return (self.resource.kind.value, self.resource.id, self.key)


_FILTERS: Filters[_Described] = Filters(
    {
        "key": lambda item: (item.key,),
        "resource-id": lambda item: (item.resource_id,),
        "resource-type": lambda item: (item.resource_type,),
        "value": lambda item: (item.value,),
    },
    tags=lambda item: {item.key: item.value},
)


@family.action("DescribeTags", reads=("Filters", "MaxResults", "NextToken"))
async def describe_tags(call: Call, request: shapes.DescribeTagsRequest) -> shapes.DescribeTagsResult:
    """Describe the tags of everything, by kind, id and key."""
    described = (
        _Described(each.resource, key, each.values[key])
        for each in call.fleet.tag_sets()
        if each.resource.kind in _TYPE_NAMES
        for key in sorted(each.values)
    )
    wanted = request.get("Filters")
    page, next_token = _PAGES.cut(
        call,
        await _FILTERS.apply(wanted, described),
        lambda item: item.place,
        size=request.get("MaxResults"),
        token=request.get("NextToken"),
        query=wanted,
    )
    result: shapes.DescribeTagsResult = {"Tags": await call.renderer.each("TagDescription", page, _tag)}
    if next_token is not None:
        result["NextToken"] = next_token
    return result


def _tag(item: _Described) -> shapes.TagDescription:
    return {
        "ResourceId": item.resource_id,
        "ResourceType": item.resource_type,
        "Key": item.key,
        "Value": item.value,
    }
