"""What a machine's process uses of its host, and what the host has left."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.compute.qemu.limits import Use
from core.ports import DriverCode, DriverError, Host

_MIB, _GIB = 2**20, 2**30


def require_memory(needed_mib: int) -> None:
    """Return if the host has so much memory to spare.

    Raises:
        DriverError: CAPACITY.
    """
    _, free_mib = _memory()
    if free_mib < needed_mib:
        detail = f"{needed_mib} MiB are needed, the reserve included, and {free_mib} MiB are free"
        raise DriverError(DriverCode.CAPACITY, "The host has no memory left.", detail=detail)


def host_of(folder: Path, accelerator: str) -> Host:
    """Return this host, its disk being that of the folder.

    Raises:
        OSError: it cannot be looked at.
    """
    memory_mib, memory_free_mib = _memory()
    disk = shutil.disk_usage(folder)
    return Host(
        os.uname().nodename,
        cpus=os.cpu_count(),
        memory_mib=memory_mib,
        memory_free_mib=memory_free_mib,
        disk_gib=disk.total // _GIB,
        disk_free_gib=disk.free // _GIB,
        load=os.getloadavg()[0],
        accelerator=accelerator,
    )


def disk_bytes(stats: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return how many bytes were read and written, by what QEMU answers to query-blockstats."""
    return (
        sum(each["stats"]["rd_bytes"] for each in stats),
        sum(each["stats"]["wr_bytes"] for each in stats),
    )


def of_process(pid: int) -> Use | None:
    """Return what a process has used, its own share included; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Use(seconds, pages * os.sysconf("SC_PAGE_SIZE") / _MIB)


def _memory() -> tuple[int, int]:
    """Return how much memory the host has, and how much of it can be had, MiB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(lines[name].split()[0]) // 1024 for name in ("MemTotal", "MemAvailable"))
    return total, free
