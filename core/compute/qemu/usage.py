"""What a machine's process uses of its host, and what the host has left."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.compute.qemu.limits import Use
from core.ports import DriverCode, DriverError

_MIB = 2**20


def require_memory(needed_mib: int) -> None:
    """Return if the host has so much memory to spare.

    Raises:
        DriverError: CAPACITY.
    """
    lines = Path("/proc/meminfo").read_text().splitlines()
    free_mib = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))
    if free_mib < needed_mib:
        detail = f"{needed_mib} MiB are needed, the reserve included, and {free_mib} MiB are free"
        raise DriverError(DriverCode.CAPACITY, "The host has no memory left.", detail=detail)


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
