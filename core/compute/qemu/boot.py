"""What a machine boots from: a disk on its image, the image itself, and the seed of its first boot."""

import asyncio
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.compute.qemu import disks, machine
from core.compute.qemu.command import Plugged
from core.compute.qemu.machine import Record, files_of
from core.compute.qemu.network import StaticAddress
from core.compute.qemu.seed import seed
from core.compute.site import ImageFiles
from core.ports import DriverCode, DriverError, LaunchSpec

_PRIVATE = 0o600


async def make(
    files: Path, image: ImageFiles, spec: LaunchSpec, *, relay: bool, static: StaticAddress | None
) -> Record:
    """Make the folder and all that a machine boots from; return the machine's record, down. It is on disk on return.

    Raises:
        DriverError: CAPACITY without room on the host; IMAGE, if that cannot be used; UNAVAILABLE or TIMEOUT.
    """
    try:
        base = await asyncio.to_thread(_link_image, files, image)
        await disks.make(files / machine.DISK, machine.BASE, spec.disk_gib)
        await asyncio.to_thread(_write_seed, files, spec, relay=relay, static=static)
    except BaseException as error:
        shutil.rmtree(files, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise disks.refusal(str(error.filename or files), error.strerror or str(error)) from error
    kernel_arguments = image.kernel_arguments if image.kernel else None
    return Record(machine.without_secrets(spec), base, kernel_arguments)


@contextmanager
def plugged(folder: Path, record: Record) -> Iterator[Plugged]:
    """Yield what a machine boots from, open.

    Raises:
        DriverError: IMAGE, if its image is gone or has been changed. OSError: a file of its own is gone.
    """
    files, opened = files_of(folder, record.spec.generation), []

    def open_(name: str, flags: int = os.O_RDONLY) -> int:
        opened.append(os.open(files / name, flags))
        return opened[-1]

    def open_if_there(name: str) -> int | None:
        return open_(name) if (files / name).exists() else None

    try:
        yield Plugged(
            disk=open_(machine.DISK, os.O_RDWR),
            seed=open_(machine.SEED),
            base=_require_same(open_(machine.BASE), record),
            kernel=open_if_there(machine.KERNEL),
            initrd=open_if_there(machine.INITRD),
            kernel_arguments=record.kernel_arguments or "",
        )
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _link_image(files: Path, image: ImageFiles) -> tuple[int, int]:
    """Name the image's files in the machine's folder, so that it keeps them when the image is removed or replaced."""
    files.mkdir()
    for name, source in ((machine.BASE, image.disk), (machine.KERNEL, image.kernel), (machine.INITRD, image.initrd)):
        if source is not None:
            _link(source, files / name)
    return _facts((files / machine.BASE).stat())


def _link(source: Path, name: Path) -> None:
    try:
        os.link(source.resolve(), name)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        name.symlink_to(source.resolve())  # it lies on another file system: it must stay where it is


def _write_seed(files: Path, spec: LaunchSpec, *, relay: bool, static: StaticAddress | None) -> None:
    descriptor = os.open(files / machine.SEED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with open(descriptor, "wb") as file:  # noqa: PTH123  it is a descriptor, for its mode
        file.write(seed(spec, relay=relay, static=static))
    machine.sync(files / machine.SEED, files / machine.DISK, files)


def _require_same(base: int, record: Record) -> int:
    if _facts(os.fstat(base)) != record.base:
        detail = "its image's file was changed since; put the former one back, or reinstall the machine"
        raise DriverError(DriverCode.IMAGE, "The image that the machine was made of is no longer there.", detail=detail)
    return base


def _facts(file: os.stat_result) -> tuple[int, int]:
    return file.st_size, file.st_mtime_ns
