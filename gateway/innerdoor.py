"""How the console calls the gateway's own APIs: by a socket in the data directory that is open to its owner only.

Requests go through all that others go through. Whose they are is told in forwarded headers, which the boundary believes
of whoever comes by a Unix socket.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from gateway.unixsocket import bound, short_address
from protocols.explorable import LONGEST_ANSWER_BYTES, Answered, NoAnswer, Prepared

SOCKET_FILE = "inner.sock"
_SECONDS = 30.0
_NO_HOST = "inner"
"""For a URL's sake: who is called stands in the request's own header."""

_NOT_OURS = frozenset({hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT})
"""What the client would add; the request is sent as it is shown."""


class InnerDoor:
    """See `protocols.explorable.Door`. Made by `open_inner_door`."""

    def __init__(self, socket: Path, client: aiohttp.ClientSession) -> None:
        self._socket, self._client = socket, client

    @asynccontextmanager
    async def listening(self, runner: web.AppRunner) -> AsyncIterator[Self]:
        """Let the runner's application answer until the block ends. The caller must have the data directory."""
        assert runner.server is not None, "the runner is not set up"
        server = await asyncio.get_running_loop().create_unix_server(runner.server, sock=bound(self._socket))
        try:
            yield self
        finally:
            server.close()
            self._socket.unlink(missing_ok=True)

    async def send(self, prepared: Prepared, *, address: str, scheme: str) -> Answered:
        """See `Door.send`."""
        url = URL(f"http://{_NO_HOST}{prepared.path_and_query}", encoded=True)
        told = (*prepared.headers, (hdrs.X_FORWARDED_FOR, address), (hdrs.X_FORWARDED_PROTO, scheme))
        started = time.perf_counter()
        try:
            async with self._client.request(
                prepared.method,
                url,
                headers=told,
                data=prepared.body or None,
                skip_auto_headers=_NOT_OURS,
                allow_redirects=False,
            ) as response:
                body, is_whole = await _beginning(response.content)
        except TimeoutError:
            raise NoAnswer(f"There was no answer within {_SECONDS:g} seconds.") from None
        except aiohttp.ClientError as error:
            raise NoAnswer(f"The gateway did not answer: {error}") from error
        seconds = time.perf_counter() - started
        return Answered(response.status, tuple(response.headers.items()), body, seconds, is_whole)


@asynccontextmanager
async def open_inner_door(folder: Path) -> AsyncIterator[InnerDoor]:
    """Yield the door of the data directory, through which nobody answers yet; see `InnerDoor.listening`."""
    socket = folder / SOCKET_FILE
    with short_address(socket) as path:
        # A connection for each request: one that was kept could be closed just as the next request goes out.
        connector = aiohttp.UnixConnector(path, force_close=True)
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as client:
            yield InnerDoor(socket, client)


async def _beginning(content: aiohttp.StreamReader) -> tuple[bytes, bool]:
    """Return as much of a body as is read at most, and whether that is all of it."""
    body = bytearray()
    async for chunk in content.iter_chunked(LONGEST_ANSWER_BYTES):
        body += chunk
        if len(body) > LONGEST_ANSWER_BYTES:
            return bytes(body[:LONGEST_ANSWER_BYTES]), False
    return bytes(body), True
