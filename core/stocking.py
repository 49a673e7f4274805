"""Brings the configured catalogue into the database: same name, same id; what is missing is retired."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Generic, Protocol, TypeVar

from core.catalogue import (
    Catalogue,
    Image,
    ImageEntry,
    Product,
    ProductEntry,
    Region,
    RegionEntry,
    Zone,
    ZoneEntry,
    geo_of,
)
from core.ids import ImageId, ProductId, RegionId, ZoneId
from core.ports import Transaction
from core.provision import adopt
from core.state import Record, State

W = TypeVar("W", Region, Zone, Image, Product)


class _Rows(Protocol):
    """What of a transaction is needed here; see there."""

    @property
    def state(self) -> State: ...

    def put(self, record: Record) -> None: ...

    def next_id(self, kind: type) -> int: ...


class _Shelf(Generic[W]):
    """The rows of one kind by name, and which of them the configuration still names."""

    def __init__(self, tx: _Rows, kind: type[W], rows: Iterable[tuple[str, W]]) -> None:
        self._tx = tx
        self._kind: type[W] = kind
        self._rows: dict[str, W] = dict(rows)
        self._named: set[str] = set()

    def __getitem__(self, name: str) -> W:
        return self._rows[name]

    def find(self, name: str) -> W | None:
        """Return the row of the name, retired or not, or None."""
        return self._rows.get(name)

    def id_for(self, name: str) -> int:
        """Return the id that the name has, or a new one."""
        known = self._rows.get(name)
        return known.id if known is not None else self._tx.next_id(self._kind)

    def put(self, name: str, ware: W) -> None:
        """Write the row unless it says so already."""
        self._named.add(name)
        if self._rows.get(name) != ware:
            self._tx.put(ware)
            self._rows[name] = ware

    def retire_the_rest(self) -> None:
        """Retire every row that was not put."""
        for name, ware in self._rows.items():
            if name not in self._named and not ware.is_retired:
                self._tx.put(replace(ware, is_retired=True))


def stock_up(tx: Transaction, catalogue: Catalogue, now: datetime) -> None:
    """Make the rows say what the catalogue says. Names that it refers to must be in it."""
    _fill(tx, catalogue, now)
    adopt(tx, now)


def _fill(tx: _Rows, catalogue: Catalogue, now: datetime) -> None:
    state = tx.state
    regions = _Shelf(tx, Region, ((region.name, region) for region in state.regions.values()))
    zones = _Shelf(tx, Zone, ((zone.name, zone) for zone in state.zones.values()))
    images = _Shelf(tx, Image, ((image.name, image) for image in state.images.values()))
    products = _Shelf(tx, Product, ((product.slug, product) for product in state.products.values()))
    for region in catalogue.regions:
        regions.put(region.name, _region(region, regions))
    for zone in catalogue.zones:
        zones.put(zone.name, _zone(zone, zones, regions))
    for image in catalogue.images:
        images.put(image.name, _image(image, images, now))
    for product in catalogue.products:
        products.put(product.slug, _product(tx, product, products, zones, images))
    regions.retire_the_rest()
    zones.retire_the_rest()
    images.retire_the_rest()
    products.retire_the_rest()


def _region(entry: RegionEntry, regions: _Shelf[Region]) -> Region:
    return Region(RegionId(regions.id_for(entry.name)), entry.name, entry.geo)


def _zone(entry: ZoneEntry, zones: _Shelf[Zone], regions: _Shelf[Region]) -> Zone:
    return Zone(
        ZoneId(zones.id_for(entry.name)),
        entry.name,
        regions[entry.region].id,
        entry.is_available,
        pool=entry.pool,
    )


def _image(entry: ImageEntry, images: _Shelf[Image], now: datetime) -> Image:
    known = images.find(entry.name)
    return Image(
        id=ImageId(images.id_for(entry.name)),
        name=entry.name,
        title=entry.title,
        description=entry.description,
        architecture=entry.architecture,
        platform=entry.platform,
        default_user=entry.default_user,
        created_at=known.created_at if known is not None else now,
        least_memory_mib=entry.least_memory_mib,
        least_disk_gib=entry.least_disk_gib,
    )


def _product(
    tx: _Rows, entry: ProductEntry, products: _Shelf[Product], zones: _Shelf[Zone], images: _Shelf[Image]
) -> Product:
    capacity = {zones[name].id: count for name, count in entry.capacity.items()}
    return Product(
        id=ProductId(products.id_for(entry.slug)),
        slug=entry.slug,
        title=entry.title,
        description=entry.description,
        instance_type=entry.instance_type,
        hourly_price=entry.hourly_price,
        currency=entry.currency,
        attributes=entry.attributes,
        geo=geo_of([tx.state.regions[zones[name].region_id].geo for name in entry.capacity]),
        vcpus=entry.vcpus,
        memory_mib=entry.memory_mib,
        disk_gib=entry.disk_gib,
        gpu=entry.gpu,
        architecture=entry.architecture,
        image_id=images[entry.image].id,
        capacity=capacity,
        has_metadata=entry.has_metadata,
    )


# --- what it would be


class _Rehearsal:
    """A transaction over what is sold, of which nothing is kept."""

    def __init__(self, state: State) -> None:
        self.state = State()
        self._ids = count(-1, -1)
        for each in (state.regions, state.zones, state.images, state.products):
            for row in each.values():
                self.state.put(row)

    def put(self, record: Record) -> None:
        self.state.put(record)

    def next_id(self, _: type) -> int:
        return next(self._ids)


def rehearse(state: State, catalogue: Catalogue, now: datetime) -> State:
    """Return what would be sold by this catalogue, in a state of nothing else; what is new has ids below zero."""
    rehearsal = _Rehearsal(state)
    _fill(rehearsal, catalogue, now)
    return rehearsal.state
