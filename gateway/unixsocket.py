"""Sockets with a path in the data directory, that nobody but its owner may open."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_PATH = 107  # of a Unix socket's address on Linux. Source: unix(7).


@contextmanager
def short_address(file: Path) -> Iterator[str]:
    """Yield an address for the socket that is short enough, however long its path is; good within the block."""
    if len(os.fsencode(file)) <= _LONGEST_PATH:
        yield str(file)
        return
    descriptor = os.open(file.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{file.name}"
    finally:
        os.close(descriptor)


def bound(file: Path) -> socket.socket:
    """Return a socket at the path, ready to be listened on. What a former process left there is removed."""
    file.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(listener.fileno(), 0o600)  # before it has a name, so that there is no moment at which others may
        with short_address(file) as address:
            listener.bind(address)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
