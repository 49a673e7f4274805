"""Machines as they look out: each with a socket that leads to the metadata service, and ways to ask over it."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from core.ids import InstanceId
from protocols.metadata.app import MetadataFrontEnd
from tests.yard import Yard

_PATIENCE_SECONDS = 20
TOKEN, TOKEN_SECONDS = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"


@dataclass(frozen=True)
class Answer:
    """What a machine was told."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Guest:
    """A machine and its socket."""

    id: InstanceId
    path: Path

    async def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask as a client that knows nothing special would."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.path))) as session,
            session.request(method, f"http://169.254.169.254{path}", headers=names) as answer,
        ):
            return Answer(answer.status, answer.headers, await answer.read())

    async def tell(self, path: str) -> str:
        """Return what is at a path under the newest metadata, which must be there."""
        answer = await self.ask(f"/latest/meta-data/{path}")
        assert answer.status == 200, path
        return answer.text

    async def token(self, seconds: int = 60) -> str:
        answer = await self.ask("/latest/api/token", "PUT", **{TOKEN_SECONDS: str(seconds)})
        assert answer.status == 200
        return answer.text

    async def say(self, words: bytes, *, then_is_silent: bool = False) -> bytes:
        """Send bytes, and return all that comes back until the other side hangs up."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        writer.write(words)
        if then_is_silent:
            writer.write_eof()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            told = await reader.read()
        writer.close()
        return told

    async def curl(self, *arguments: str) -> tuple[int, bytes]:
        """Return curl's exit status and what it wrote."""
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        process = await asyncio.create_subprocess_exec(
            "curl", "--silent", "--unix-socket", str(self.path), *arguments, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(_PATIENCE_SECONDS):
            output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output

    @asynccontextmanager
    async def endpoint(self) -> AsyncIterator[str]:
        """Yield a URL that leads to the socket, for clients that speak TCP only."""

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_unix_connection(self.path)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))

        server = await asyncio.start_server(forward, "127.0.0.1")
        async with server:
            host, port = server.sockets[0].getsockname()
            yield f"http://{host}:{port}/"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()


@dataclass(frozen=True)
class Street:
    """A yard whose machines have sockets to the service."""

    yard: Yard
    metadata: MetadataFrontEnd
    folder: Path
    closing: AsyncExitStack

    async def guest(self, **booking: object) -> Guest:
        """Return a new machine that runs."""
        [instance_id] = await self.yard.launched(**booking)
        return await self.wire(instance_id)

    async def wire(self, instance_id: InstanceId) -> Guest:
        """Lay a socket for a machine, whether there is one or not."""
        path = self.folder / f"{instance_id}.sock"
        server = await asyncio.get_running_loop().create_unix_server(lambda: self.metadata.door(instance_id), path)
        self.closing.callback(server.close)
        return Guest(instance_id, path)


def free_address() -> tuple[str, int]:
    """Return an address on loopback at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()
