"""What is sold: regions with their zones, images, and products with a price and a capacity per zone.

The operator writes it in config.toml; the database keeps a row with a stable id for everything that ever stood there.
What disappears from the file is retired: nobody can book it, but orders made earlier keep pointing at it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.ids import ImageId, ProductId, RegionId, ZoneId

ANYWHERE = "global"
"""The geo of a product that is offered in more than one geo."""


@dataclass(frozen=True, slots=True)
class Region:
    """A place with its own endpoint name; `geo` is the part of the world that ZeroSix customers choose by."""

    id: RegionId
    name: str
    geo: str
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of a region in which machines stand. An unavailable zone takes no new bookings.

    `pool` are the blocks and single public addresses that its customers can hold.
    """

    id: ZoneId
    name: str
    region_id: RegionId
    is_available: bool = True
    is_retired: bool = False
    pool: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """A disk image to start machines from. `platform` is "linux" or "windows"; it is as old as its row.

    `least_memory_mib` and `least_disk_gib` are what a machine must have to run it.
    """

    id: ImageId
    name: str
    title: str
    description: str
    architecture: str
    platform: str
    default_user: str
    created_at: datetime
    is_retired: bool = False
    least_memory_mib: int = 0
    least_disk_gib: int = 0


@dataclass(frozen=True, slots=True)
class Gpu:
    """The accelerators of one machine."""

    manufacturer: str
    name: str
    count: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of machine that can be rented.

    `hourly_price` is per machine. `attributes` are ZeroSix's words (cpu, gpu, network-speed, ram); `geo` follows from
    the zones. `capacity` is how many machines of this product each zone holds. Unless it `has_metadata`, its machines
    cannot ask about themselves.
    """

    id: ProductId
    slug: str
    title: str
    description: str
    instance_type: str
    hourly_price: Decimal
    currency: str
    attributes: Mapping[str, str]
    geo: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    gpu: Gpu | None
    architecture: str
    image_id: ImageId
    capacity: Mapping[ZoneId, int]
    is_retired: bool = False
    has_metadata: bool = True


@dataclass(frozen=True, slots=True)
class RegionEntry:
    """A region as the configuration words it."""

    name: str
    geo: str


@dataclass(frozen=True, slots=True)
class ZoneEntry:
    """A zone as the configuration words it."""

    name: str
    region: str
    is_available: bool
    pool: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image as the configuration words it."""

    name: str
    title: str
    description: str
    architecture: str
    platform: str
    default_user: str
    least_memory_mib: int = 0
    least_disk_gib: int = 0


@dataclass(frozen=True, slots=True)
class ProductEntry:
    """A product as the configuration words it; `image` and the keys of `capacity` are names."""

    slug: str
    title: str
    description: str
    instance_type: str
    hourly_price: Decimal
    currency: str
    attributes: Mapping[str, str]
    vcpus: int
    memory_mib: int
    disk_gib: int
    gpu: Gpu | None
    architecture: str
    image: str
    capacity: Mapping[str, int]
    has_metadata: bool = True


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything on sale, as configured, in the operator's order. Names are unique per kind."""

    regions: Sequence[RegionEntry] = ()
    zones: Sequence[ZoneEntry] = ()
    images: Sequence[ImageEntry] = ()
    products: Sequence[ProductEntry] = ()


def geo_of(geos: Sequence[str]) -> str:
    """Return the one geo that a product is offered in, or `ANYWHERE` for several (or none)."""
    distinct = set(geos)
    return distinct.pop() if len(distinct) == 1 else ANYWHERE
