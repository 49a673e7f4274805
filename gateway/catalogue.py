"""Reads what is sold out of the configuration: regions, zones, images, products."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from core.catalogue import Catalogue, Gpu, ImageEntry, ProductEntry, RegionEntry, ZoneEntry
from core.compute.site import ImageFiles
from core.networks import MOST_ZONES
from gateway.kinds import address_block, currency, flag, known, line, line_or_nothing, name, one_of, price, text, whole
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

KERNEL_ARGUMENTS = "root=/dev/vda ro console=tty0 console=ttyS0"
"""What an image's kernel is told unless the configuration says otherwise."""

_NEEDS = {"disk": "", "kernel": "disk", "initrd": "kernel", "kernel_arguments": "kernel"}
"""The keys of an image's files, and what each is of no use without."""

_architecture = one_of("x86_64", "arm64", "i386")  # EC2's words for them


@dataclass(frozen=True, slots=True)
class _Stock:
    """What a product may refer to. Without ranks, as with ZeroSix off, an attribute may say anything."""

    zones: Collection[str]
    images: Mapping[str, ImageEntry]
    ranks: Ranks | None


@dataclass(frozen=True, slots=True)
class Shop:
    """What is sold, and the files of those images that the configuration gives files of."""

    catalogue: Catalogue
    image_files: Mapping[str, ImageFiles]


def read_shop(top: Table, ranks: Ranks | None, base_dir: Path) -> Shop:
    """Return what is sold; attributes of products are held against the ranks, if there are any.

    Relative paths start from `base_dir`.
    """
    regions = top.sections("regions", _region)
    top.require_distinct("regions[{}].name", [region.name for region in regions])
    zones = top.sections("zones", partial(_zone, regions=[region.name for region in regions if region.name]))
    top.require_distinct("zones[{}].name", [zone.name for zone in zones])
    if len(zones) > MOST_ZONES:
        top.refuse("zones", f"there are {len(zones)}; the private addresses last for {MOST_ZONES}")
    _require_apart(top, zones)
    offers = top.sections("images", partial(_image, base_dir=base_dir))
    images = [image for image, _ in offers]
    top.require_distinct("images[{}].name", [image.name for image in images])
    stock = _Stock(
        zones=[zone.name for zone in zones if zone.name],
        images={image.name: image for image in images if image.name},
        ranks=ranks,
    )
    products = top.sections("products", partial(_product, stock=stock))
    top.require_distinct("products[{}].slug", [product.slug for product in products])
    top.require_distinct("products[{}].instance_type", [product.instance_type for product in products])
    files = {image.name: found for image, found in offers if found is not None}
    return Shop(Catalogue(regions, zones, tuple(images), products), files)


def _region(table: Table) -> RegionEntry:
    return RegionEntry(name=table.need("name", name, ""), geo=table.need("geo", one_of(*GEOS), GEOS[0]))


def _zone(table: Table, regions: Collection[str]) -> ZoneEntry:
    return ZoneEntry(
        name=table.need("name", name, ""),
        region=table.need("region", known("region", regions), ""),
        is_available=table.get("available", flag, default=True),
        pool=table.each("addresses", address_block),
    )


def _require_apart(top: Table, zones: Sequence[ZoneEntry]) -> None:
    """Note every block of addresses that shares some with an earlier one: an address is one customer's alone."""
    seen: list[tuple[str, IPv4Network]] = []
    for index, zone in enumerate(zones):
        for number, block in enumerate(zone.pool):
            place, network = f"zones[{index}].addresses[{number}]", IPv4Network(block)
            taken_by = next((other for other, known in seen if known.overlaps(network)), None)
            if taken_by is not None:
                top.refuse(place, f"{shown(block)} shares addresses with {taken_by}")
            seen.append((place, network))


def _image(table: Table, base_dir: Path) -> tuple[ImageEntry, ImageFiles | None]:
    image_name = table.need("name", name, "")
    entry = ImageEntry(
        name=image_name,
        title=table.follow("title", line, image_name),
        description=table.get("description", text, ""),
        architecture=table.get("architecture", _architecture, "x86_64"),
        platform=table.get("platform", one_of("linux", "windows"), "linux"),
        default_user=table.get("default_user", name, "renter"),
        least_memory_mib=table.get("min_memory_mib", whole(0), 0),
        least_disk_gib=table.get("min_disk_gib", whole(0), 0),
    )
    return entry, _files(table, base_dir)


def _files(table: Table, base_dir: Path) -> ImageFiles | None:
    """Return the files that are given, if any are. None of them is looked at."""
    given = {key: table.get(key, line_or_nothing, "") for key in _NEEDS}
    for key, other in _NEEDS.items():
        if given[key] and other and not given[other]:
            table.refuse(key, f"is of no use without {other}")
    if not given["disk"]:
        return None
    kernel = base_dir / given["kernel"] if given["kernel"] else None
    initrd = base_dir / given["initrd"] if given["initrd"] else None
    arguments = given["kernel_arguments"] or (KERNEL_ARGUMENTS if kernel else "")
    return ImageFiles(base_dir / given["disk"], kernel, initrd, arguments)


def _product(table: Table, stock: _Stock) -> ProductEntry:
    slug = table.need("slug", name, "")
    architecture = table.get("architecture", _architecture, "x86_64")
    product = ProductEntry(
        slug=slug,
        title=table.need("title", line, ""),
        description=table.get("description", text, ""),
        instance_type=table.follow("instance_type", name, slug),
        hourly_price=table.need("price", price, Decimal(0)),
        currency=table.get("currency", currency, "USD"),
        attributes=table.section("attributes", partial(_attributes, ranks=stock.ranks)),
        vcpus=table.need("vcpus", whole(1), 1),
        memory_mib=table.need("memory_mib", whole(1), 1),
        disk_gib=table.need("disk_gib", whole(1), 1),
        gpu=table.optional("gpu", _gpu),
        architecture=architecture,
        image=_image_of(table, stock, architecture),
        capacity=table.section("capacity", partial(_capacity, zones=stock.zones)),
        has_metadata=table.get("metadata_service", flag, default=True),
    )
    return _require_room(table, product, stock)


def _image_of(table: Table, stock: _Stock, architecture: str) -> str:
    asked = table.need("image", known("image", stock.images), "")
    if (image := stock.images.get(asked)) and image.architecture != architecture:
        table.refuse("image", f"{shown(asked)} is for {image.architecture}, the product is {architecture}")
    return asked


def _require_room(table: Table, product: ProductEntry, stock: _Stock) -> ProductEntry:
    """Note a product that is too small for its own image; return it."""
    image = stock.images.get(product.image)
    if image is not None and product.memory_mib < image.least_memory_mib:
        table.refuse("memory_mib", f"{product.memory_mib} is less than the {image.least_memory_mib} of {product.image}")
    if image is not None and product.disk_gib < image.least_disk_gib:
        table.refuse("disk_gib", f"{product.disk_gib} is less than the {image.least_disk_gib} of {product.image}")
    return product


def _attributes(table: Table, ranks: Ranks | None) -> Mapping[str, str]:
    table.forbid("geo", "follows from the zones in capacity; leave it out")
    kinds = {attribute: one_of(*ranks[attribute]) if ranks else name for attribute in RANKS}
    values = {attribute: table.maybe(attribute, kind) for attribute, kind in kinds.items()}
    return {attribute: value for attribute, value in values.items() if value is not None}


def _capacity(table: Table, zones: Collection[str]) -> Mapping[str, int]:
    return table.entries(zones, known("zone", zones), whole(0), 0)


def _gpu(table: Table) -> Gpu:
    return Gpu(
        manufacturer=table.need("manufacturer", line, ""),
        name=table.need("name", line, ""),
        count=table.need("count", whole(1), 1),
        memory_mib=table.need("memory_mib", whole(1), 1),
    )
