"""The micro guest: Debian's cloud kernel with busybox and dropbear, which boots to ssh in seconds without KVM.

It reads a NoCloud seed as cloud-init does, as far as a test needs it. What it does inside lies in `guest/micro`.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from core.compute.qemu.building import filesystem, kernel
from core.compute.qemu.building.filesystem import lay, write_disk
from core.compute.qemu.building.kernel import MERGED, image_files, under_usr, unpack, write_kernel
from core.compute.qemu.building.workshop import appearing, demand
from core.compute.site import ImageFiles

TOOLS: Mapping[str, str] = {**kernel.TOOLS, **filesystem.TOOLS}
"""The commands that `build_micro` needs, and the Debian packages that have them."""

_PACKAGES = ("dropbear-bin", "e2fsprogs")
_KEPT = (
    *("bin/busybox", "bin/dropbearkey", "sbin/dropbear", "sbin/resize2fs"),
    *("lib/*-linux-gnu/*.so*", "lib64/*.so*"),
)
_MOUNTED = ("dev", "mnt", "proc", "run", "sys")
_SECRET = ("root", "root/.ssh", "home/renter", "home/renter/.ssh", "etc/dropbear", "var/lib/onefleet")
_SHARED = ("tmp", "var/tmp")
_OWNERS = dict.fromkeys(("/home/renter", "/home/renter/.ssh"), (1000, 1000))
_DISK_MIB = 48


def build_micro(folder: Path, say: Callable[[str], None]) -> ImageFiles:
    """Build the micro guest as `disk.qcow2`, `vmlinuz` and `initrd` in a new folder, and return the files.

    Packages are kept in `.packages` beside it for the next time. Each step is told to `say`.

    Raises:
        BuildFailed: something is missing or a command failed; the folder is then not there.
    """
    demand(TOOLS)
    with appearing(folder) as draft, TemporaryDirectory(prefix=".micro.", dir=folder.parent) as scratch:
        say("fetching and unpacking Debian packages, the kernel among them (30 MB at most)")
        unpacked = unpack(_PACKAGES, folder.parent / ".packages", Path(scratch))
        say("writing the kernel and its initrd")
        write_kernel(unpacked, draft)
        say("writing the disk")
        tree = Path(scratch, "tree")
        _furnish(tree, unpacked.others)
        write_disk(tree, draft / "disk.qcow2", size_mib=_DISK_MIB, owners=_OWNERS)
    return image_files(folder)


def _furnish(tree: Path, packages: Path) -> None:
    """Lay out the file system of the disk."""
    for name in (*_MOUNTED, *_SECRET, *_SHARED, "var/log", *(f"usr/{merged}" for merged in MERGED)):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name in MERGED:
        (tree / name).symlink_to(f"usr/{name}")
    for name, path in under_usr(packages, _KEPT):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, tree / name, follow_symlinks=False)
    lay("micro", tree)
    (tree / "etc" / "mtab").symlink_to("/proc/mounts")
    for folder, _, _ in os.walk(tree):
        Path(folder).chmod(0o755)
    (tree / "etc" / "shadow").chmod(0o600)
    for name in _SECRET:
        (tree / name).chmod(0o700)
    for name in _SHARED:
        (tree / name).chmod(0o1777)
