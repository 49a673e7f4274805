"""The serial console of a machine that is up, for people at a distance: one connection, which all who look on share.

QEMU serves one client of a console at a time; another one is connected, but hears nothing until the first is gone.
"""

import asyncio
import contextlib
import socket
import struct
from pathlib import Path
from typing import cast

from core.compute.qemu import machine
from core.compute.qemu.command import SERIAL_DEVICE
from core.compute.qemu.link import Link
from core.ports import DriverCode, DriverError

LIMIT_BYTES = 256 * 1024
"""How much is kept for somebody who does not read it: the newest."""
TYPING_SECONDS = 10.0
"""How long a machine may take no keys until whoever types is told."""

_LONGEST_UNSENT_BYTES = 16 * 1024
_BEAT_SECONDS = 0.005
_FREE_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.02
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid. Source: Linux, unix(7), SO_PEERCRED


class Serial:
    """The console of one process of QEMU. There is a connection to it while somebody looks on, and no longer."""

    def __init__(self, folder: Path, pid: int, link: Link) -> None:
        self._folder, self._pid, self._link = folder, pid, link
        self._opening = asyncio.Lock()
        self._line: _Line | None = None

    async def open(self) -> "Viewer":
        """Return somebody new who looks on. See `ComputeDriver.open_console`.

        Raises:
            DriverError: CONFLICT, if somebody on the host has the console; UNAVAILABLE.
            OSError: it cannot be reached.
        """
        async with self._opening:
            if self._line is None or self._line.is_over:
                line = self._line = _Line()
                try:
                    await self._connect(line)
                except BaseException:
                    line.hang_up()
                    raise
            return Viewer(self._line)

    def cut(self) -> None:
        """End it for all who look on."""
        if self._line is not None:
            self._line.hang_up()

    async def _connect(self, line: "_Line") -> None:
        await self._until_free()
        with machine.opened(self._folder / machine.RUN) as run, socket.socket(socket.AF_UNIX) as plug:
            plug.setblocking(False)
            plug.connect(f"/proc/self/fd/{run}/{machine.SERIAL}")  # at once: a local socket answers or refuses
            self._require_its_own(plug)
            await asyncio.get_running_loop().create_unix_connection(lambda: line, sock=plug.dup())

    def _require_its_own(self, plug: socket.socket) -> None:
        """Return if the machine's process is at the other end.

        A guest that broke out of QEMU could lay a link there, and have its renter type at another socket of the host.
        """
        pid, _, _ = _CREDENTIALS.unpack(plug.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if pid != self._pid:
            detail = f"{machine.SERIAL} leads to process {pid}, and QEMU is {self._pid}"
            raise DriverError(DriverCode.UNAVAILABLE, "The machine's serial console cannot be reached.", detail=detail)

    async def _until_free(self) -> None:
        """Return once nobody has the console: whoever has left it may have done so just now."""
        now = asyncio.get_running_loop().time
        deadline = now() + _FREE_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._link.is_up.wait()
        while not await self._is_free():
            if now() > deadline:
                message = "Somebody on the machine's host uses its serial console: try again later."
                raise DriverError(DriverCode.CONFLICT, message)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _is_free(self) -> bool:
        devices = await self._link.tell("query-chardev")
        [name] = [each["filename"] for each in devices if each["label"] == SERIAL_DEVICE]
        return str(name).startswith("disconnected:")  # Source: QEMU, chardev/char-socket.c


class _Line(asyncio.Protocol):
    """The connection to a console. What comes is for every viewer, and none of them holds it up.

    It is read in beats. QEMU sends each byte by itself, so that a machine that floods its console would else have a
    processor of the gateway to itself; as it is, it has 6 % of one, and writes 50 kB a second, five times what a line
    of 115,200 baud takes. `is_over` once it has ended, or was given up before it stood.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._viewers: set[Viewer] = set()
        self._transport: asyncio.Transport | None = None
        self._is_writable = asyncio.Event()

    def join(self, viewer: "Viewer") -> None:
        """Tell a viewer what comes from now on."""
        self._viewers.add(viewer)

    def leave(self, viewer: "Viewer") -> None:
        """Tell a viewer nothing more. With the last one the connection ends."""
        self._viewers.discard(viewer)
        if not self._viewers:
            self.hang_up()

    async def type(self, keys: bytes) -> None:
        """Send keys once those before them are sent. After the end nothing happens."""
        while not self._is_writable.is_set():
            await self._is_writable.wait()
        if self._transport is not None and not self.is_over:
            self._transport.write(keys)

    def hang_up(self) -> None:
        """End it for every viewer. What is not sent yet is lost."""
        self.is_over = True
        self._is_writable.set()
        if self._transport is not None:
            self._transport.abort()
        for viewer in self._viewers:
            viewer.end()

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_LONGEST_UNSENT_BYTES)
        self._is_writable.set()
        if self.is_over:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        assert self._transport is not None, "there is a connection"
        for viewer in self._viewers:
            viewer.show(data)
        self._transport.pause_reading()
        asyncio.get_running_loop().call_later(_BEAT_SECONDS, self._read_on, self._transport)

    @staticmethod
    def _read_on(transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            transport.resume_reading()

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._is_writable.clear()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._is_writable.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  whatever it was, it has ended
        """See `asyncio.BaseProtocol`."""
        self.hang_up()


class Viewer:
    """See `SerialConsole`."""

    def __init__(self, line: _Line) -> None:
        self._line, self._is_over = line, line.is_over
        self._unread = bytearray()
        self._news = asyncio.Event()
        line.join(self)

    async def read(self) -> bytes:
        """See `SerialConsole.read`."""
        while not self._unread and not self._is_over:
            self._news.clear()
            await self._news.wait()
        said = bytes(self._unread)
        self._unread.clear()
        return said

    async def write(self, data: bytes) -> None:
        """See `SerialConsole.write`."""
        if self._is_over:
            return
        try:
            async with asyncio.timeout(TYPING_SECONDS):
                await self._line.type(data)
        except TimeoutError:
            raise DriverError(DriverCode.TIMEOUT, "The machine takes no keys at its serial console.") from None

    async def close(self) -> None:
        """See `SerialConsole.close`."""
        self._line.leave(self)
        self._unread.clear()
        self.end()

    def show(self, data: bytes) -> None:
        """Add what the machine has written, in place of the oldest if too much of it is not read."""
        self._unread += data
        del self._unread[:-LIMIT_BYTES]
        self._news.set()

    def end(self) -> None:
        """Let what is not read yet be the last."""
        self._is_over = True
        self._news.set()
