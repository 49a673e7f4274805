"""The operator's verbs: carried out by the running gateway, which is asked over a socket, or in its absence directly.

A conversation is one line of JSON each way. Who may open the socket may do everything: it lies in the data directory,
which is closed to all but its owner.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import structlog

from core.errors import CoreError
from gateway.config import Settings
from gateway.datadir import DataDirectory, DirectoryInUse
from gateway.trouble import Trouble
from gateway.unixsocket import bound, short_address

Arguments = Mapping[str, Any]
"""What a verb is told, as JSON: texts, lists of texts, flags, or nothing."""

Document = Any
"""What a verb answers, as JSON."""

CarryOut = Callable[[str, Arguments], Awaitable[Document]]
"""Carries out the verb of these words; see `gateway.verbs`."""

SOCKET_FILE = "control.sock"
_LINE_BYTES = 64 * 1024
_ASKING_SECONDS, _WAITING_SECONDS, _PAUSE_SECONDS = 30.0, 5.0, 0.05


class Refused(Trouble):
    """A verb was not carried out; the text is for the operator."""


# --- from the command line


def carry_out(settings: Settings, verb: str, arguments: Arguments) -> Document:
    """Return the verb's answer, from the gateway if it runs, else from the database itself.

    Raises:
        Refused, CoreError, Trouble: it was not carried out.
        DirectoryInUse: whoever has the data directory does not answer.
        UnusableDataDirectory, IncompatibleDatabase: the data cannot be used.
    """
    folder = settings.server.data_dir
    deadline = time.monotonic() + _WAITING_SECONDS
    while True:
        try:
            with DataDirectory.open(folder, settings.storage.path, settings.storage.key_file) as directory:
                return asyncio.run(_alone(settings, directory, verb, arguments))
        except DirectoryInUse:
            # Who has it may be starting or stopping, or be another of these commands.
            with suppress(FileNotFoundError, ConnectionRefusedError):
                return ask(folder, verb, arguments)
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


async def _alone(settings: Settings, directory: DataDirectory, verb: str, arguments: Arguments) -> Document:
    from gateway import verbs  # noqa: PLC0415  all of core, which is not needed to ask a running gateway
    from gateway.office import open_office  # noqa: PLC0415

    async with open_office(settings, directory) as office:
        return await verbs.carry_out(office, verb, arguments)


def ask(folder: Path, verb: str, arguments: Arguments) -> Document:
    """Return the verb's answer from the gateway that has this data directory.

    Raises:
        Refused: it was not carried out.
        FileNotFoundError, ConnectionRefusedError: no gateway listens there.
    """
    with socket.socket(socket.AF_UNIX) as connection, short_address(folder / SOCKET_FILE) as address:
        connection.settimeout(_ASKING_SECONDS)
        connection.connect(address)
        connection.sendall(orjson.dumps({"verb": verb, "arguments": arguments}, option=orjson.OPT_APPEND_NEWLINE))
        with connection.makefile("rb") as lines:
            line = lines.readline()
    if not line:
        raise Refused("the gateway ended the conversation without an answer; its log tells why")
    reply = orjson.loads(line)
    if "refused" in reply:
        raise Refused(reply["refused"])
    return reply["answer"]


# --- in the gateway


@asynccontextmanager
async def listening(folder: Path, carry_out: CarryOut) -> AsyncIterator[None]:
    """Answer what the command line asks for, until the block ends. The caller must have the data directory."""
    listener = bound(folder / SOCKET_FILE)
    server = await asyncio.start_unix_server(_Conversation(carry_out).hold, sock=listener, limit=_LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        (folder / SOCKET_FILE).unlink(missing_ok=True)


class _Conversation:
    """The gateway's side of the socket."""

    def __init__(self, carry_out: CarryOut) -> None:
        self._carry_out = carry_out
        self._log = structlog.get_logger("control")

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and answer it."""
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                reply = await self._reply(await reader.readline())
                writer.write(orjson.dumps(reply, option=orjson.OPT_APPEND_NEWLINE))
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError) as error:  # ValueError: the line is over the limit
            self._log.warning("a command was not answered", error=str(error) or type(error).__name__)
        finally:
            writer.close()

    async def _reply(self, line: bytes) -> Document:
        try:
            asked = orjson.loads(line)
            verb, arguments = asked["verb"], asked["arguments"]
        except (KeyError, TypeError, ValueError):
            return {"refused": "the running gateway does not understand this command: it is of another version"}
        try:
            answer = await self._carry_out(verb, arguments)
        except (CoreError, Trouble) as error:
            return {"refused": str(error)}
        self._log.info("command", verb=verb)
        return {"answer": answer}
