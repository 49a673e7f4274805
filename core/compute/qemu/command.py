"""The words that start QEMU for a machine.

It is started in the folder that is its own and names what it makes there relatively. All else comes as open files, so
that its user need not be able to read or reach them, and paths may be as long as they like.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.compute.qemu import machine
from core.compute.qemu.process import name_of
from core.ports import LaunchSpec

SERIAL_DEVICE = "serial"
"""What QEMU calls the connection of the serial console."""


@dataclass(frozen=True, slots=True)
class Plugged:
    """What a machine is started with.

    The disk, the seed and the files of the image are descriptors. `network` are the words for its network cards.
    """

    disk: int
    seed: int
    base: int
    kernel: int | None = None
    initrd: int | None = None
    kernel_arguments: str = ""
    network: Sequence[str] = ()

    @property
    def descriptors(self) -> Sequence[int]:
        """The open files that QEMU is handed."""
        return [each for each in (self.disk, self.seed, self.base, self.kernel, self.initrd) if each is not None]


def words(binary: str, spec: LaunchSpec, speed: Sequence[str], plugged: Plugged) -> Sequence[str]:
    """Return the whole command."""
    return (
        binary,
        *("-name", name_of(spec.id)),
        *("-nodefaults", "-no-user-config"),
        *("-sandbox", _sandbox(spec)),
        *("-machine", "pc", *speed),
        *("-smp", str(spec.vcpus), "-m", f"{spec.memory_mib}M"),
        # What shuts down or panics stays for us to ask it why, also if we are away meanwhile.
        *("-action", "shutdown=pause,panic=pause", "-device", "pvpanic"),
        *_socket("qmp", machine.MONITOR),
        *("-mon", "chardev=qmp,mode=control"),
        # The log can be cut short while it is written, being opened to append.
        *_socket(SERIAL_DEVICE, machine.SERIAL, logfile=machine.SERIAL_LOG, logappend="on"),
        *("-serial", f"chardev:{SERIAL_DEVICE}"),
        *("-display", "none", "-device", "VGA,vgamem_mb=4"),
        *("-device", "virtio-rng-pci"),
        *_disks(plugged),
        *_kernel(plugged),
        *plugged.network,
    )


def _sandbox(spec: LaunchSpec) -> str:
    # slirp starts a program for each call to the metadata address, in a session of its own.
    calls = "allow" if spec.metadata.is_enabled else "deny"
    return f"on,obsolete=deny,resourcecontrol=deny,spawn={calls},elevateprivileges={calls}"


def _socket(name: str, path: str, **more: str) -> Iterable[str]:
    options = {"id": name, "path": path, "server": "on", "wait": "off", **more}
    return "-chardev", "socket," + ",".join(f"{key}={value}" for key, value in options.items())


def _disks(plugged: Plugged) -> Iterable[str]:
    base = {"driver": "qcow2", "read-only": True, "file": _file(plugged.base)}
    disk = {"driver": "qcow2", "node-name": "disk", "discard": "unmap", "file": _file(plugged.disk), "backing": base}
    seed = {"driver": "raw", "node-name": "seed", "read-only": True, "file": _file(plugged.seed)}
    for each in (plugged.disk, plugged.seed, plugged.base):
        yield from ("-add-fd", f"fd={each},set={each}")
    yield from ("-blockdev", json.dumps(disk), "-device", "virtio-blk-pci,drive=disk,serial=disk,bootindex=1")
    yield from ("-blockdev", json.dumps(seed), "-device", "virtio-blk-pci,drive=seed,serial=seed")


def _file(descriptor: int) -> Mapping[str, object]:
    return {"driver": "file", "filename": f"/dev/fdset/{descriptor}", "discard": "unmap"}


def _kernel(plugged: Plugged) -> Iterable[str]:
    if plugged.kernel is None:
        return
    yield from ("-kernel", f"/dev/fd/{plugged.kernel}", "-append", plugged.kernel_arguments)
    if plugged.initrd is not None:
        yield from ("-initrd", f"/dev/fd/{plugged.initrd}")
