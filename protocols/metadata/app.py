"""The metadata service of machines: EC2's, in both versions, at 169.254.169.254; and the relay of their downloads.

Each machine is led here over a socket of its own, so that the socket says who asks: nobody signs anything, and nobody
can ask about another machine.
"""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError

from core.errors import CoreError, StoreUnavailable, TooManyRequests, UnknownInstances
from core.ids import InstanceId
from core.limits import Pace
from core.service import Core, SelfView
from protocols.metadata.downloads import DownloadRefused, Relay
from protocols.metadata.tokens import Tokens
from protocols.metadata.tree import USER_DATA, Folder, find, tree_of

MOST_CONNECTIONS = 32
"""How many connections one machine may have at once."""

PER_SECOND, IN_A_ROW = 50.0, 200
"""How many requests one machine has answered: a second, and in a row after a rest. The next one waits its turn."""

_SERVER = "EC2ws"
_TOKEN_PATH = "/latest/api/token"  # noqa: S105  it is no secret
_TOKEN, _TOKEN_SECONDS = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"
_LONGEST_TOKEN_SECONDS = 21_600
_SECONDS = re.compile("[0-9]{1,5}", re.ASCII)
_READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})

_KEY_BYTES = 32
_CLOSE_SECONDS = 1.0

# A guest under emulation is slow, but it does not need longer than this for the head of a request.
_HTTP: Mapping[str, Any] = {
    "keepalive_timeout": 30.0,
    "lingering_time": 1.0,
    "tcp_keepalive": False,
    "access_log": None,
    "auto_decompress": False,
    "max_line_size": 4096,
    "max_field_size": 4096,
    "max_headers": 64,
}


class Refusal(Exception):
    """An answer that is none."""

    def __init__(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status.phrase)
        self.status, self.headers = status, headers or {}


_STATUS_OF: Mapping[type[CoreError], HTTPStatus] = {
    UnknownInstances: HTTPStatus.NOT_FOUND,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


class MetadataFrontEnd:
    """Answers machines about themselves, as `core` sees them when they ask.

    `domain` is the host name under which the house is reached; machines are told of none where it is empty. Tokens end
    with the process: a client that is told so asks for another. Make it where the event loop runs.
    """

    def __init__(self, core: Core, relay: Relay, *, domain: str = "") -> None:
        self._core, self._relay, self._domain = core, relay, domain
        self._tokens = Tokens(secrets.token_bytes(_KEY_BYTES))
        self._server = web.Server(self._handle, handler_cancellation=True)
        self._connections: Counter[InstanceId] = Counter()
        self._pace = Pace(PER_SECOND, IN_A_ROW)
        self._log = structlog.get_logger("metadata")

    def door(self, instance_id: InstanceId) -> asyncio.BaseProtocol:
        """Return what talks with the machine over a new connection of it. See `core.ports.MetadataDoor`."""
        return _Line(self._server, instance_id, self._connections)

    async def close(self) -> None:
        """Hang up on everybody, and break off their downloads."""
        await self._server.shutdown(_CLOSE_SECONDS)
        await self._relay.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        line = request.protocol
        assert isinstance(line, _Line)
        await self._wait_turn(line.instance_id)
        try:
            response = await self._answer(request, line.instance_id)
        except Refusal as refusal:
            response = _page(refusal.status, refusal.headers)
        except DownloadRefused as refused:
            response = web.Response(status=refused.status, text=f"{refused}\n")
        except tuple(_STATUS_OF) as error:
            response = _page(_STATUS_OF[type(error)], {})
        self._log.debug("asked", instance_id=line.instance_id, path=request.path, status=response.status)
        if not response.prepared:
            response.headers[hdrs.SERVER] = _SERVER
            response.force_close()  # as EC2; so nobody can ask faster than they are answered
        return response

    async def _wait_turn(self, instance_id: InstanceId) -> None:
        while True:
            try:
                self._pace.take(str(instance_id))
            except TooManyRequests as early:
                await asyncio.sleep(early.wait_seconds)
            else:
                return

    async def _answer(self, request: web.BaseRequest, instance_id: InstanceId) -> web.StreamResponse:
        view = await self._core.selfviews.of(instance_id)
        if not view.instance.options.metadata.is_enabled:
            raise Refusal(HTTPStatus.FORBIDDEN)
        return await _PLACES.get(request.path, MetadataFrontEnd._tell)(self, request, view)

    async def _give_token(self, request: web.BaseRequest, view: SelfView) -> web.StreamResponse:
        """Answer with a token, unless somebody in between asks on another's behalf."""
        _require_method(request, frozenset({hdrs.METH_PUT}))
        if hdrs.X_FORWARDED_FOR in request.headers:
            raise Refusal(HTTPStatus.FORBIDDEN)
        asked = request.headers.get(_TOKEN_SECONDS, "")
        if not _SECONDS.fullmatch(asked) or not 1 <= int(asked) <= _LONGEST_TOKEN_SECONDS:
            raise Refusal(HTTPStatus.BAD_REQUEST)
        token = self._tokens.issue(view.instance.id, self._core.now(), int(asked))
        return web.Response(text=token, headers={_TOKEN_SECONDS: str(int(asked))})

    async def _relay_file(self, request: web.BaseRequest, view: SelfView) -> web.StreamResponse:
        return await self._download(request, view, view.order.file_url, "file")

    async def _relay_script(self, request: web.BaseRequest, view: SelfView) -> web.StreamResponse:
        return await self._download(request, view, view.order.script_url, "script")

    async def _download(self, request: web.BaseRequest, view: SelfView, url: str, noun: str) -> web.StreamResponse:
        _require_method(request, frozenset({hdrs.METH_GET}))
        if not url:
            raise DownloadRefused(HTTPStatus.NOT_FOUND, f"This machine was ordered without a {noun}.")
        return await self._relay.pass_on(request, view.instance.id, url, noun)

    async def _tell(self, request: web.BaseRequest, view: SelfView) -> web.StreamResponse:
        _require_method(request, _READING)
        self._check_token(request, view)
        path = [name for name in request.path.split("/") if name]
        found = find(tree_of(view, self._domain), path)
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND)
        if path[1:] == [USER_DATA]:
            return await self._tell_user_data(view.instance.id)
        return web.Response(text=found.listing if isinstance(found, Folder) else found)

    async def _tell_user_data(self, instance_id: InstanceId) -> web.StreamResponse:
        user_data = await self._core.selfviews.user_data(instance_id)
        if not user_data:
            raise Refusal(HTTPStatus.NOT_FOUND)
        return web.Response(body=user_data)

    def _check_token(self, request: web.BaseRequest, view: SelfView) -> None:
        """Return if the request has a good token, or none where none is needed."""
        token = request.headers.get(_TOKEN)
        if token is None:
            is_welcome = not view.instance.options.metadata.needs_token
        else:
            is_welcome = self._tokens.is_good(token, view.instance.id, self._core.now())
        if not is_welcome:
            raise Refusal(HTTPStatus.UNAUTHORIZED)


_Answering = Callable[[MetadataFrontEnd, web.BaseRequest, SelfView], Awaitable[web.StreamResponse]]
_PLACES: Mapping[str, _Answering] = {
    _TOKEN_PATH: MetadataFrontEnd._give_token,  # noqa: SLF001  a table of its own methods
    "/onefleet/file": MetadataFrontEnd._relay_file,  # noqa: SLF001
    "/onefleet/script": MetadataFrontEnd._relay_script,  # noqa: SLF001
}
"""What answers elsewhere than in the tree."""


def _require_method(request: web.BaseRequest, allowed: frozenset[str]) -> None:
    if request.method not in allowed:
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, {hdrs.ALLOW: ", ".join(sorted(allowed))})


def _page(status: HTTPStatus, headers: Mapping[str, str]) -> web.Response:
    title = f"{status.value} - {status.phrase}"
    text = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return web.Response(status=status, text=text, content_type="text/html", headers=headers)


class _Line(web.RequestHandler):
    """A connection of one machine. What comes over it may be anything, at any pace."""

    def __init__(self, server: web.Server, instance_id: InstanceId, connections: Counter[InstanceId]) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **_HTTP)
        self.instance_id, self._connections = instance_id, connections
        self._is_admitted = self._has_received = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the machine has too many connections."""
        if self._connections[self.instance_id] >= MOST_CONNECTIONS:
            transport.close()
            return
        self._is_admitted = True
        self._connections[self.instance_id] += 1
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and leave room for another."""
        if not self._is_admitted:
            return
        self._is_admitted = False
        self._connections[self.instance_id] -= 1
        if not self._connections[self.instance_id]:
            del self._connections[self.instance_id]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol.data_received`."""
        self._has_received = True
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # aiohttp's returns None, which asyncio reads as False
        """Whether to stay for the answer: a small client may say no more once it has asked."""
        return self._has_received

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log a fault of ours; a machine that speaks no HTTP is none."""
        if not isinstance(kw.get("exc_info"), HttpProcessingError):
            super().log_exception(*args, **kw)
