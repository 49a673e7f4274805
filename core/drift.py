"""How what is configured differs from what is sold: told before it is taken over."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.catalogue import Catalogue, Gpu, Product
from core.state import State
from core.stocking import rehearse


class Drift(StrEnum):
    """What becomes of something when the configuration is taken over."""

    NEW = "new"
    CHANGED = "changed"
    RETIRED = "retired"
    RETURNED = "back on sale"


@dataclass(frozen=True, slots=True)
class Rewording:
    """A value that changes, before and afterwards; empty where there is none."""

    name: str
    was: str
    will_be: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the configuration words otherwise than the rows do. `kind` is region, zone, image or product."""

    kind: str
    name: str
    drift: Drift
    changes: Sequence[Rewording] = ()


def drift(state: State, catalogue: Catalogue, now: datetime) -> Sequence[Difference]:
    """Return all that taking the catalogue over would change: regions, zones, images and products, in this order."""
    after = rehearse(state, catalogue, now)
    return [
        found for kind, shelf in _SHELVES.items() for found in _differences(kind, shelf(state), shelf(after), after)
    ]


_SHELVES: Mapping[str, Callable[[State], Mapping[Any, Any]]] = {
    "region": lambda state: state.regions,
    "zone": lambda state: state.zones,
    "image": lambda state: state.images,
    "product": lambda state: state.products,
}
_NOT_WORDED = frozenset({"id", "created_at", "is_retired", "name", "slug"})


def _differences(kind: str, before: Mapping[Any, Any], after: Mapping[Any, Any], names: State) -> Iterator[Difference]:
    for row_id, row in after.items():
        old = before.get(row_id)
        if row == old:
            continue
        name = row.slug if isinstance(row, Product) else row.name
        changes = () if old is None or row.is_retired else _changes(_worded(old, names), _worded(row, names))
        yield Difference(kind, name, _drift_of(old, row), changes)


def _drift_of(old: Any, row: Any) -> Drift:
    if old is None:
        return Drift.NEW
    if row.is_retired:
        return Drift.RETIRED
    return Drift.RETURNED if old.is_retired else Drift.CHANGED


def _changes(was: Mapping[str, str], will_be: Mapping[str, str]) -> Sequence[Rewording]:
    return tuple(
        Rewording(name, was.get(name, ""), will_be.get(name, ""))
        for name in {**was, **will_be}
        if was.get(name, "") != will_be.get(name, "")
    )


def _worded(row: Any, names: State) -> Mapping[str, str]:
    """Return what a row says, each value in words under the name that the configuration has for it, or one like it."""
    said: dict[str, str] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if field.name == "capacity":
            said |= {f"capacity in {names.zones[zone_id].name}": str(number) for zone_id, number in value.items()}
        elif field.name == "region_id":
            said["region"] = names.regions[value].name
        elif field.name == "image_id":
            said["image"] = names.images[value].name
        elif isinstance(value, Mapping):
            said |= {f"{field.name} {key}": text for key, text in value.items()}
        elif field.name not in _NOT_WORDED:
            said[field.name.replace("_", " ")] = _in_words(value)
    return said


def _in_words(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return f"{value.normalize():f}"
        case tuple():
            return ", ".join(value)
        case Gpu():
            return f"{value.count} x {value.manufacturer} {value.name}, {value.memory_mib} MiB"
    return str(value)
