"""What a machine writes to its serial console: a log that keeps the end, however much its guest writes."""

import contextlib
import os
from pathlib import Path

from core.compute.qemu import machine

LIMIT_BYTES = 64 * 1024
"""How much of the end is told."""
_LONGEST_LOG_BYTES = 2**20


def read(folder: Path) -> bytes:
    """Return the end of what the machine wrote.

    Raises:
        OSError: it cannot be read.
    """
    now = machine.read_of_run(folder, machine.SERIAL_LOG, LIMIT_BYTES)
    old = folder / machine.OLD_SERIAL_LOG
    before = old.read_bytes() if len(now) < LIMIT_BYTES and old.exists() else b""
    return (before + now)[-LIMIT_BYTES:]


def trim(folder: Path) -> None:
    """Cut the log short if it has grown long, keeping its end. Repeating it changes nothing.

    Raises:
        OSError: it cannot be done, as on a full disk.
    """
    with contextlib.suppress(FileNotFoundError):
        log = os.open(folder / machine.RUN / machine.SERIAL_LOG, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if os.fstat(log).st_size > _LONGEST_LOG_BYTES:
                (folder / machine.OLD_SERIAL_LOG).write_bytes(read(folder))
                os.ftruncate(log, 0)  # QEMU appends, and so goes on at the new end
        finally:
            os.close(log)
