"""Where a driver does its work, as the gateway tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files that an image is made of. With a kernel, the machine boots that and not its disk's boot loader.

    `kernel_arguments` are all that the kernel is told, its root disk included.
    """

    disk: Path
    kernel: Path | None = None
    initrd: Path | None = None
    kernel_arguments: str = ""


@dataclass(slots=True)
class Site:
    """Where a driver does its work. The last three may change while it does: it looks when it needs them.

    It keeps what it must under `data_dir`. Machines are reached by ssh on `ssh_host`. `images` has the files of those
    images that the configuration gives files of; the others are sought by name where the driver keeps images. `on_sale`
    are the names of all that customers can choose, and `pool` the public addresses that they can hold.
    """

    data_dir: Path
    ssh_host: str = "127.0.0.1"
    images: Mapping[str, ImageFiles] = field(default_factory=dict)
    on_sale: Sequence[str] = ()
    pool: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """Something about a driver that its operator should know, and whether it is as it should be."""

    is_ok: bool
    text: str
