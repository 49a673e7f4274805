"""The service manager that may have started the process: what it has handed over, and what it wants to be told.

It speaks systemd's protocol, which needs no library. Source: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gateway.metrics import Health
from gateway.trouble import Trouble

_FIRST_DESCRIPTOR = 3
_SENDING_SECONDS = 0.1
_STARTING_SECONDS, _LOOKING_SECONDS = 0.05, 5.0
"""Between two looks at how the gateway is."""

_MICROSECONDS = 1_000_000
_ITS_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


class UnusableSocket(Trouble):
    """A socket that the service manager has handed over cannot be served; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """Who started the process. Made by `take_over`.

    It listens on the socket at `address`, unless that is empty. It ends the process if it has not heard from it for
    `watchdog_seconds`, unless they are 0. `sockets` are open, and connections wait in them.
    """

    address: str = ""
    watchdog_seconds: float = 0.0
    sockets: tuple[socket.socket, ...] = ()

    def tell_ready(self, status: str) -> None:
        """Tell that the process does its work, after the start as well as after a reload."""
        self._tell("READY=1", _status(status))

    def tell_reloading(self) -> None:
        """Tell that the configuration is read again, until `tell_ready` is called."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def tell_stopping(self, status: str) -> None:
        """Tell that the process is about to end."""
        self._tell("STOPPING=1", _status(status))

    def tell_status(self, status: str) -> None:
        """Tell how it is: a line for whoever looks at the service."""
        self._tell(_status(status))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Tell, until the block ends, that the running loop turns: twice in the time after which it counts as hung."""
        if not self.watchdog_seconds:
            yield
            return
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None

        def feed() -> None:
            nonlocal timer
            self._tell("WATCHDOG=1")
            timer = loop.call_later(self.watchdog_seconds / 2, feed)

        feed()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()

    def _tell(self, *lines: str) -> None:
        """Send it the lines. One that cannot be told must not bring the gateway down."""
        if not self.address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.settimeout(_SENDING_SECONDS)
            speaker.sendto("\n".join(lines).encode(), _address(self.address))


class Herald:
    """Tells the service manager how the gateway is: when it is ready, and from then on whenever that changes."""

    def __init__(self, manager: ServiceManager, address: str, health: Callable[[], Awaitable[Health]]) -> None:
        self._manager, self._address, self._health = manager, address, health
        self._is_ready, self._is_reloaded, self._told = False, True, ""

    async def run(self) -> None:
        """Go on telling."""
        while self._manager.address:
            health = await self._health()
            status = self._status(health)
            if health.is_ready and not self._is_ready:
                self._is_ready = True
                self._manager.tell_ready(status)
            elif status != self._told:
                self._manager.tell_status(status)
            self._told = status
            await asyncio.sleep(_LOOKING_SECONDS if self._is_ready else _STARTING_SECONDS)

    async def reload(self, reload: Callable[[], Awaitable[bool]]) -> None:
        """Tell of a reload as well, which returns whether all went well."""
        if self._is_ready:
            self._manager.tell_reloading()
        self._is_reloaded = await reload()
        if self._is_ready:
            self._told = self._status(await self._health())
            self._manager.tell_ready(self._told)

    def _status(self, health: Health) -> str:
        troubles = " and ".join(health.reasons().values())
        if not self._is_ready and troubles:
            return f"Starting: {troubles}"
        but = f", but {troubles}" if troubles else ""
        reload = "" if self._is_reloaded else ". The last reload changed nothing; the log tells why"
        return f"Serving at {self._address}{but}{reload}"


def take_over(environ: MutableMapping[str, str] = os.environ) -> ServiceManager:
    """Return who started the process; what was handed over to it is its own from now on, and not its children's.

    Raises:
        UnusableSocket: a socket cannot be served.
    """
    found = {name: environ.pop(name, "") for name in _ITS_VARIABLES}
    own = str(os.getpid())
    watches = found["WATCHDOG_USEC"].isdecimal() and found["WATCHDOG_PID"] in ("", own)
    count = int(found["LISTEN_FDS"]) if found["LISTEN_FDS"].isdecimal() and found["LISTEN_PID"] == own else 0
    return ServiceManager(
        found["NOTIFY_SOCKET"],
        int(found["WATCHDOG_USEC"]) / _MICROSECONDS if watches else 0.0,
        tuple(_listener(_FIRST_DESCRIPTOR + number) for number in range(count)),
    )


def _listener(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        listener = socket.socket(fileno=descriptor)
        is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise UnusableSocket(f"the service manager's descriptor {descriptor} is no socket: {error.strerror}") from error
    # Whoever comes by a Unix socket is believed: it is the gateway itself, see protocols/boundary.py.
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or not is_listening:
        raise UnusableSocket(
            f"the service manager's descriptor {descriptor} is not a TCP socket that is listened on;"
            " write ListenStream=HOST:PORT or ListenStream=PORT in its .socket unit"
        )
    listener.setblocking(False)
    return listener


def _address(name: str) -> str:
    return f"\0{name[1:]}" if name.startswith("@") else name


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"
