"""A service manager as systemd is one, as far as the gateway can tell."""

import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.running import DEADLINE_SECONDS, RunningGateway

# LISTEN_PID is known only to who becomes the gateway.
_HAND_OVER = 'from=$1; shift; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<&"$from"'


class ServiceManager:
    """It hears what a process tells it, and holds a socket for it, in which connections wait while there is none."""

    def __init__(self, folder: Path, *, is_abstract: bool = False) -> None:
        self.address = f"@{folder}/notify" if is_abstract else str(folder / "notify")
        self._ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ears.bind(self.address.replace("@", "\0"))
        self._ears.settimeout(DEADLINE_SECONDS)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ears.close()
        self.listener.close()

    @property
    def url(self) -> str:
        """Where the socket that it holds is reached."""
        return "http://{}:{}".format(*self.listener.getsockname())

    def look_after(self, gateway: RunningGateway, *, watchdog_seconds: float = 0) -> RunningGateway:
        """Return the gateway, which is this manager's from its next start on."""
        gateway.launcher = ("bash", "-c", _HAND_OVER, "bash", str(self.listener.fileno()))
        gateway.descriptors = (self.listener.fileno(),)
        gateway.environ = {**gateway.environ, "NOTIFY_SOCKET": self.address}
        if watchdog_seconds:
            gateway.environ["WATCHDOG_USEC"] = str(round(watchdog_seconds * 1_000_000))
        return gateway

    def hear(self) -> Mapping[str, str]:
        """Return what it is told next, once it is told something."""
        return dict(line.split("=", 1) for line in self._ears.recv(4096).decode().splitlines())

    def hear_of(self, key: str) -> Mapping[str, str]:
        """Return the next that it is told in which there is this key; what is told before is passed over."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while key not in (told := self.hear()):
            assert time.monotonic() < deadline, f"nothing was told of {key}"
        return told

    def heard(self) -> Sequence[Mapping[str, str]]:
        """Return all that it was told and has not heard yet."""
        self._ears.setblocking(False)
        told = []
        try:
            while True:
                told.append(self.hear())
        except BlockingIOError:
            return told
        finally:
            self._ears.settimeout(DEADLINE_SECONDS)
