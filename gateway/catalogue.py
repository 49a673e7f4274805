"""Reads what is sold out of the configuration: regions, zones, images, products."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from core.catalogue import Catalogue, Gpu, ImageEntry, ProductEntry, RegionEntry, ZoneEntry
from gateway.kinds import currency, flag, known, line, name, one_of, price, text, whole
from gateway.reading import Table, shown

Ranks = Mapping[str, Sequence[str]]
"""The values that each attribute of a product may have, lowest first."""

GEOS = ("asia-pacific", "australia", "europe", "united-states")
RANKS: Ranks = {
    "cpu": ("intel-celeron", "amd-fx-8320", "intel-i3", "amd-ryzen-5", "intel-i5", "intel-i7", "xeon-e5-2667"),
    "gpu": (
        "nvidia-1060",
        "nvidia-1060ti",
        "nvidia-1070",
        "nvidia-1070ti",
        "nvidia-1080",
        "nvidia-1080ti",
        "nvidia-titan-xp",
        "nvidia-tesla-v",
    ),
    "network-speed": ("50mbps", "50-100mbps", "100-200mbps", "500-600mbps"),
    "ram": ("8gb", "12gb", "16gb", "32gb", "192gb"),
}
"""The ranks that ZeroSix documents."""

_architecture = one_of("x86_64", "arm64", "i386")  # EC2's words for them


@dataclass(frozen=True, slots=True)
class _Stock:
    """What a product may refer to. Without ranks, as with ZeroSix off, an attribute may say anything."""

    zones: Collection[str]
    images: Mapping[str, ImageEntry]
    ranks: Ranks | None


def read_catalogue(top: Table, ranks: Ranks | None) -> Catalogue:
    """Return the catalogue; attributes of products are held against the ranks, if there are any."""
    regions = top.sections("regions", _region)
    top.require_distinct("regions[{}].name", [region.name for region in regions])
    zones = top.sections("zones", partial(_zone, regions=[region.name for region in regions if region.name]))
    top.require_distinct("zones[{}].name", [zone.name for zone in zones])
    images = top.sections("images", _image)
    top.require_distinct("images[{}].name", [image.name for image in images])
    stock = _Stock(
        zones=[zone.name for zone in zones if zone.name],
        images={image.name: image for image in images if image.name},
        ranks=ranks,
    )
    products = top.sections("products", partial(_product, stock=stock))
    top.require_distinct("products[{}].slug", [product.slug for product in products])
    top.require_distinct("products[{}].instance_type", [product.instance_type for product in products])
    return Catalogue(regions, zones, images, products)


def _region(table: Table) -> RegionEntry:
    return RegionEntry(name=table.need("name", name, ""), geo=table.need("geo", one_of(*GEOS), GEOS[0]))


def _zone(table: Table, regions: Collection[str]) -> ZoneEntry:
    return ZoneEntry(
        name=table.need("name", name, ""),
        region=table.need("region", known("region", regions), ""),
        is_available=table.get("available", flag, default=True),
    )


def _image(table: Table) -> ImageEntry:
    image_name = table.need("name", name, "")
    return ImageEntry(
        name=image_name,
        title=table.get("title", line, image_name),
        description=table.get("description", text, ""),
        architecture=table.get("architecture", _architecture, "x86_64"),
        platform=table.get("platform", one_of("linux", "windows"), "linux"),
        default_user=table.get("default_user", name, "renter"),
    )


def _product(table: Table, stock: _Stock) -> ProductEntry:
    slug = table.need("slug", name, "")
    architecture = table.get("architecture", _architecture, "x86_64")
    return ProductEntry(
        slug=slug,
        title=table.need("title", line, ""),
        description=table.get("description", text, ""),
        instance_type=table.get("instance_type", name, slug),
        hourly_price=table.need("price", price, Decimal(0)),
        currency=table.get("currency", currency, "USD"),
        attributes=table.section("attributes", partial(_attributes, ranks=stock.ranks)),
        vcpus=table.need("vcpus", whole(1), 1),
        memory_mib=table.need("memory_mib", whole(1), 1),
        disk_gib=table.need("disk_gib", whole(1), 1),
        gpu=table.optional("gpu", _gpu),
        architecture=architecture,
        image=_image_of(table, stock, architecture),
        capacity=table.section("capacity", lambda zones: zones.entries(known("zone", stock.zones), whole(0), 0)),
    )


def _image_of(table: Table, stock: _Stock, architecture: str) -> str:
    asked = table.need("image", known("image", stock.images), "")
    if (image := stock.images.get(asked)) and image.architecture != architecture:
        table.refuse("image", f"{shown(asked)} is for {image.architecture}, the product is {architecture}")
    return asked


def _attributes(table: Table, ranks: Ranks | None) -> Mapping[str, str]:
    table.forbid("geo", "follows from the zones in capacity; leave it out")
    kinds = {attribute: one_of(*ranks[attribute]) if ranks else name for attribute in RANKS}
    values = {attribute: table.get(attribute, kind, "") for attribute, kind in kinds.items()}
    return {attribute: value for attribute, value in values.items() if value}


def _gpu(table: Table) -> Gpu:
    return Gpu(
        manufacturer=table.need("manufacturer", line, ""),
        name=table.need("name", line, ""),
        count=table.need("count", whole(1), 1),
        memory_mib=table.need("memory_mib", whole(1), 1),
    )
