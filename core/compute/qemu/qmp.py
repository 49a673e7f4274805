"""A client of QEMU's machine protocol: JSON lines over a socket. Source: QEMU, docs/interop/qmp-spec.

QEMU serves one client of a monitor at a time; another one is connected, but hears nothing until the first is gone.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import orjson

GREETING_SECONDS = 3.0
"""How long QEMU may take to greet. It greets at once, unless somebody else has its monitor."""
ANSWER_SECONDS = 10.0
_LONGEST_LINE = 4 * 1024 * 1024

Event = Mapping[str, Any]


class QmpFailure(Exception):
    """QEMU did not do as told. The text says why, for the operator."""


class Silent(QmpFailure):
    """QEMU did not answer: it is gone, it hangs, or somebody else has its monitor."""


class Qmp:
    """One connection to a monitor, made by `connect`. `heard` is called for every event, in order, and `lost` once.

    `lost` is called when the connection has ended by itself, not after `close`.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls, path: Path, heard: Callable[[Event], None], lost: Callable[[], None], seconds: float = GREETING_SECONDS
    ) -> Self:
        """Return a connection to the monitor at the path, ready for commands.

        Raises:
            Silent: there is no monitor, or it did not greet in time.
        """
        try:
            plug = socket.socket(socket.AF_UNIX)
            plug.setblocking(False)
            plug.connect(str(path))  # at once: a local socket answers or refuses
            # A connection that stays half open would keep everybody else from the monitor.
            reader, writer = await asyncio.open_unix_connection(sock=plug, limit=_LONGEST_LINE)
        except OSError as error:
            plug.close()
            raise Silent(f"its monitor cannot be reached: {error.strerror or error}") from error
        self = cls(reader, writer)
        try:
            async with asyncio.timeout(seconds):
                await self._next()
                self._listening = asyncio.create_task(self._listen(heard, lost), name="qmp")
                await self.execute("qmp_capabilities")
        except TimeoutError:
            self.close()
            raise Silent("its monitor does not greet: somebody else is connected to it") from None
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Hang up. QEMU goes on."""
        if self._listening is not None:
            self._listening.cancel()
        self._writer.close()
        self._fail_waiting()

    async def execute(
        self, command: str, arguments: Mapping[str, object] | None = None, *, seconds: float = ANSWER_SECONDS
    ) -> Any:
        """Return what QEMU answers to a command.

        Raises:
            QmpFailure: it refused. Silent: it did not answer in time, or the connection is lost.
        """
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(orjson.dumps({"execute": command, "arguments": arguments or {}, "id": number}) + b"\n")
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise Silent(f"{command}: no answer within {seconds:g} seconds") from None
        finally:
            self._waiting.pop(number, None)

    async def _listen(self, heard: Callable[[Event], None], lost: Callable[[], None]) -> None:
        with contextlib.suppress(Silent):
            while True:
                message = await self._next()
                if "event" in message:
                    heard(message)
                else:
                    self._answer(message)
        self._writer.close()
        self._fail_waiting()
        lost()

    async def _next(self) -> Mapping[str, Any]:
        try:
            line = await self._reader.readline()
            message: Mapping[str, Any] = orjson.loads(line)
        except (OSError, ValueError) as error:  # hung up in the middle; not JSON, or an endless line
            raise Silent(f"its monitor hung up: {error}") from error
        return message

    def _answer(self, message: Mapping[str, Any]) -> None:
        waiting = self._waiting.get(message.get("id", 0))
        if waiting is None or waiting.done():
            return  # it came too late
        if "error" in message:
            waiting.set_exception(QmpFailure(message["error"].get("desc", "refused")))
        else:
            waiting.set_result(message.get("return"))

    def _fail_waiting(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Silent("its monitor hung up"))
