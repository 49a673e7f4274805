"""The kernel that images built here boot, Debian's for clouds, and the archive that it starts with."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from core.compute.qemu.building.initrd import Entry, a_file, a_folder, a_link, archive, load_order
from core.compute.qemu.building.packages import fetch_dependency, fetch_packages
from core.compute.qemu.building.workshop import run
from core.compute.site import ImageFiles

TOOLS: Mapping[str, str] = {"apt-get": "apt", "dpkg-deb": "dpkg"}
"""The commands that `unpack` needs, and the Debian packages that have them."""

KERNEL_ARGUMENTS = "root=/dev/vda rw console=tty0 console=ttyS0"
"""What the kernel is told. After a panic it stays as it is, so that the host sees the panic."""

MERGED = ("bin", "sbin", "lib", "lib64")
"""The folders that lie under /usr, and are only links in / itself."""

_KERNEL = "linux-image-cloud-amd64"
_MODULES = (
    *("pvpanic-mmio", "pvpanic-pci", "virtio-pci", "virtio-blk", "ext4", "virtio-rng", "virtio-net", "isofs", "button"),
    "evdev",
)
_LIBRARIES = ("lib/*-linux-gnu/libc.so*", "lib/*-linux-gnu/libresolv.so*", "lib/*-linux-gnu/ld-*", "lib64/*")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The content of Debian packages: the kernel's, and that of the others together."""

    kernel: Path
    others: Path

    @property
    def modules(self) -> Path:
        """The folder of the kernel's modules, named for its version."""
        return next(path for path in self.kernel.glob("**/lib/modules/*") if path.is_dir())


def unpack(names: Iterable[str], cache: Path, scratch: Path) -> Unpacked:
    """Fetch the kernel, busybox, the packages named and all that they depend on, and unpack them under `scratch`.

    Raises:
        BuildFailed: apt does not know one of them, or cannot fetch it.
    """
    unpacked = Unpacked(scratch / "kernel", scratch / "others")
    kernel = fetch_dependency(_KERNEL, r"linux-image-\d.*", cache)
    for package in fetch_packages(["busybox", *names], cache):
        run(["dpkg-deb", "-x", package, unpacked.others])
    run(["dpkg-deb", "-x", kernel, unpacked.kernel])
    return unpacked


def write_kernel(unpacked: Unpacked, folder: Path) -> None:
    """Write `vmlinuz` and `initrd`."""
    shutil.copyfile(next(unpacked.kernel.glob("boot/vmlinuz-*")), folder / "vmlinuz")
    (folder / "initrd").write_bytes(archive(_initrd(unpacked)))


def image_files(folder: Path) -> ImageFiles:
    """Return the files that a build has made in a folder."""
    return ImageFiles(folder / "disk.qcow2", folder / "vmlinuz", folder / "initrd", KERNEL_ARGUMENTS)


def under_usr(content: Path, patterns: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield the files of these patterns in packages' content, with their paths in a system where all is under `usr`."""
    for pattern in patterns:
        for top in (content, content / "usr"):
            for path in sorted(top.glob(pattern)):
                yield f"usr/{path.relative_to(top)}", path


def _initrd(unpacked: Unpacked) -> Iterator[Entry]:
    """Yield as little as opens the disk."""
    kept = dict(under_usr(unpacked.others, ("bin/busybox", *_LIBRARIES)))
    inner = {str(parent) for name in kept for parent in Path(name).parents if parent.name}
    for name in sorted({*inner, "dev", "disk", "modules", "proc", "sys", "usr/sbin"}):
        yield a_folder(name)
    for name in MERGED:
        yield a_link(name, f"usr/{name}")
    for name, path in kept.items():
        yield a_link(name, str(path.readlink())) if path.is_symlink() else a_file(name, path.read_bytes())
    modules = load_order(unpacked.modules, _MODULES)
    for name, content in modules.items():
        yield a_file(f"modules/{name}.ko", content, mode=0o644)
    yield a_file("modules/order", "".join(f"{name}.ko\n" for name in modules).encode(), mode=0o644)
    yield a_file("init", (files("core.compute.qemu.building") / "guest/initrd/init").read_bytes())
