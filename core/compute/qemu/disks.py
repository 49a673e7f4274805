"""The disks of machines: layers over their images, which hold only what a machine has written."""

import shutil
from pathlib import Path

from core.compute.qemu.hostcommand import run
from core.ports import DriverCode, DriverError

_MIB = 2**20
_SIZE_OFFSET = 24
_NO_SPACE = "no space left"


async def make(disk: Path, image: str, size_gib: int) -> None:
    """Make a disk that shows the image beside it, as large as told, or as the image if that is larger.

    Raises:
        DriverError: CAPACITY without room on the host; IMAGE if the image cannot be used; TIMEOUT.
    """
    # Without a size qemu-img takes that of the image.
    await _qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, str(disk))
    await grow(disk, size_gib)


async def grow(disk: Path, size_gib: int) -> None:
    """Make a disk as large as told; one that is as large already, or larger, stays so. Its machine must be down.

    Raises:
        DriverError: CAPACITY without room on the host; TIMEOUT.
    """
    try:
        await _qemu_img("resize", "-q", "-f", "qcow2", str(disk), f"{size_gib}G")
    except DriverError as error:
        if "shrink" not in error.detail:
            raise


def size_bytes(disk: Path) -> int:
    """Return how large a disk is to its machine. Source: QEMU, docs/interop/qcow2.txt, bytes 24 to 31.

    Raises:
        OSError: it cannot be read.
    """
    with disk.open("rb") as file:
        file.seek(_SIZE_OFFSET)
        return int.from_bytes(file.read(8), "big")


def require_room(folder: Path, reserve_mib: int) -> None:
    """Return if the host's disk has room for another machine, with the reserve left free.

    Raises:
        DriverError: CAPACITY.
    """
    free_mib = shutil.disk_usage(folder).free // _MIB
    if free_mib < reserve_mib:
        detail = f"{free_mib} MiB are free in {folder}, and compute.qemu.reserve_disk_mib is {reserve_mib}"
        raise DriverError(DriverCode.CAPACITY, "The host has no disk space left.", detail=detail)


def refusal(what: str, why: str) -> DriverError:
    """Return the error for what a program or the system said about a disk."""
    if _NO_SPACE in why.lower():
        return DriverError(DriverCode.CAPACITY, "The host has no disk space left.", detail=f"{what}: {why}")
    return DriverError(DriverCode.IMAGE, "The disk cannot be made of its image.", detail=f"{what}: {why}")


async def _qemu_img(*words: str) -> None:
    try:
        await run(["qemu-img", *words], package="qemu-utils", sentence="The host cannot make disks now.")
    except DriverError as error:
        raise (error if error.code is DriverCode.TIMEOUT else refusal("qemu-img", error.detail)) from error
