"""What a machine may take of its host at most, held by the kernel: memory, processor time, processes.

Memory and processors are bounded by cgroups (version 2), where the gateway may make them: as root, or in a part of the
tree that systemd has delegated to it. Elsewhere nothing is.
"""

import contextlib
import errno
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.ids import InstanceId

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_NEEDED = ("cpu", "memory", "pids")
_SWITCH_ON = " ".join(f"+{controller}" for controller in _NEEDED)
_MIB, _GIB = 2**20, 2**30

_GATEWAY = "gateway"
_PERIOD_MICROSECONDS = 100_000
_OVERHEAD_MIB = 320
"""What QEMU needs besides its machine's memory: its own, its translator's, buffers of disks and network."""
_MOST_PROCESSES = 256
"""Threads of disks and network, and a program for each open call to the metadata address."""

_NONE = (
    "No cgroups (version 2, with cpu, memory and pids) can be made here, so that nothing bounds what machines take of "
    "the host's memory and processors but their size. Run the gateway as root, or with Delegate=yes in its unit, on a "
    "host that has them."
)


@dataclass(frozen=True, slots=True)
class Use:
    """What a machine's processes use: seconds of processor time since it started, and MiB of memory now."""

    cpu_seconds: float
    memory_mib: float


class Limits:
    """The cgroups of a gateway's machines, each a folder that is called by the prefix and the machine's number.

    `notice` says why there are none.
    """

    def __init__(self, folder: Path | None, notice: str = "", *, prefix: str = "machine-") -> None:
        self._folder, self.notice, self._prefix = folder, notice, prefix

    def place(self, pid: int, instance_id: InstanceId, vcpus: int, memory_mib: int) -> None:
        """Hold a process, and all that it starts, to what its machine may take. Repeating it sets the bounds anew.

        Raises:
            OSError: the process is gone, or the kernel refuses.
        """
        if self._folder is None:
            return
        own = self._of(instance_id)
        own.mkdir(exist_ok=True)
        for name, value in _bounds(vcpus, memory_mib).items():
            _write(own / name, value)
        _write(own / "cgroup.procs", str(pid))

    def remove(self, instance_id: InstanceId) -> None:
        """Remove a machine's cgroup, ending what is still in it. One that is not there is no error.

        What takes a moment to end keeps it for so long: `keep_only` removes it later.

        Raises:
            OSError: the kernel refuses.
        """
        if self._folder is None or not (own := self._of(instance_id)).exists():
            return
        with contextlib.suppress(FileNotFoundError):  # a kernel before 5.14 cannot end them all at once
            _write(own / "cgroup.kill", "1")
        try:
            own.rmdir()
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOENT):
                raise

    def keep_only(self, living: Collection[InstanceId]) -> None:
        """Remove the cgroups of all but these machines.

        Raises:
            OSError: the kernel refuses.
        """
        if self._folder is not None:
            endings = [each.name.removeprefix(self._prefix) for each in self._folder.glob(f"{self._prefix}*")]
            for instance_id in {InstanceId(int(ending)) for ending in endings if ending.isdecimal()} - {*living}:
                self.remove(instance_id)

    def use(self, instance_id: InstanceId) -> Use | None:
        """Return what a machine's processes use; None if that cannot be told."""
        if self._folder is None:
            return None
        own = self._of(instance_id)
        try:
            times = dict(line.split() for line in (own / "cpu.stat").read_text().splitlines())
            memory = int((own / "memory.current").read_text())
        except OSError:
            return None
        return Use(int(times["usage_usec"]) / 1e6, memory / _MIB)

    def _of(self, instance_id: InstanceId) -> Path:
        assert self._folder is not None, "only asked for where there are cgroups"
        return self._folder / f"{self._prefix}{instance_id}"


def found(root: Path = _ROOT, own: Path = _OWN, *, prefix: str = "machine-") -> Limits:
    """Return the cgroups that machines can have on this host, which are made ready; `Limits.notice` tells if none.

    Gateways of one host share a folder, and must differ in the `prefix` of their machines. In a delegated part of the
    tree the gateway moves itself into a group of its own: beside processes of the parent, a group's children cannot be
    bounded.
    """
    refusals = []
    for candidate in _candidates(root, own):
        try:
            return Limits(_ready(candidate), prefix=prefix)
        except OSError as error:
            refusals.append(f"{candidate.folder}: {error.strerror}")
    return Limits(None, f"{_NONE} ({'; '.join(refusals)})" if refusals else _NONE)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A group to have the machines' groups in, and those where children must be let bounds be set for that, in order.

    One that we are in ourselves must first be left for one inside it.
    """

    folder: Path
    switched: tuple[Path, ...]
    is_ours: bool = False


def _candidates(root: Path, own: Path) -> Iterator[_Candidate]:
    try:
        available = (root / "cgroup.controllers").read_text().split()
        entries = own.read_text().splitlines()
    except OSError:
        return  # no cgroups at all, or those of version 1
    if not set(_NEEDED) <= set(available):
        return
    if os.geteuid() == 0:
        yield _Candidate(root / "onefleet", (root, root / "onefleet"))
    if path := next((entry.removeprefix("0::/") for entry in entries if entry.startswith("0::/")), ""):
        ours = root / path
        if ours.name == _GATEWAY:  # as a former run of ours left it, or DelegateSubgroup= of systemd 254
            yield _Candidate(ours.parent, (ours.parent,))
        yield _Candidate(ours, (ours,), is_ours=True)


def _ready(candidate: _Candidate) -> Path:
    """Return the folder for the machines' groups, in which they can be bounded."""
    candidate.folder.mkdir(exist_ok=True)
    if candidate.is_ours:
        (candidate.folder / _GATEWAY).mkdir(exist_ok=True)
        _write(candidate.folder / _GATEWAY / "cgroup.procs", str(os.getpid()))
    for folder in candidate.switched:
        _write(folder / "cgroup.subtree_control", _SWITCH_ON)
    return candidate.folder


def _bounds(vcpus: int, memory_mib: int) -> Mapping[str, str]:
    return {
        "memory.max": str((memory_mib + memory_mib // 16 + _OVERHEAD_MIB) * _MIB),
        "memory.oom.group": "1",
        "cpu.max": f"{vcpus * _PERIOD_MICROSECONDS} {_PERIOD_MICROSECONDS}",
        "pids.max": str(vcpus + _MOST_PROCESSES),
    }


def _write(file: Path, value: str) -> None:
    # Not to be made: where the kernel has no such file, that is an error and not a file.
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
