"""The relay: what an order's URLs lead to, fetched for machines that have no way out themselves.

A URL is the renter's, and whatever it leads to. It is asked for nothing but itself, on public addresses only, and what
comes is passed on as it comes, never kept.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
import structlog
from aiohttp import hdrs, web
from aiohttp.abc import AbstractResolver, ResolveResult

from core.accounts import Network
from core.errors import TooManyRequests
from core.ids import InstanceId
from core.limits import Pace
from protocols.metadata.guard import AddressRefused, guarded

_MIB = 1024 * 1024
_BUFFER_BYTES = 64 * 1024
_OK, _FORBIDDEN, _UNAVAILABLE, _BAD_GATEWAY = 200, 403, 503, 502
_SCHEMES = ("http://", "https://")

MOST_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """What one download may take, and how many a machine may have: under way at once, in a row, and a second.

    `silent_seconds` is how long its server may send nothing, or the machine take nothing.
    """

    bytes: int = 4096 * _MIB
    seconds: float = 3600.0
    connect_seconds: float = 10.0
    silent_seconds: float = 30.0
    at_once: int = 2
    in_a_row: int = 10
    per_second: float = 0.2


STANDARD_LIMITS = RelayLimits()


class DownloadRefused(Exception):
    """What cannot be had, in a sentence for the renter."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Relay:
    """Fetches for machines. From `allowed` it fetches although they are no public addresses."""

    def __init__(self, allowed: Sequence[Network] = (), limits: RelayLimits = STANDARD_LIMITS) -> None:
        self._limits = limits
        self._under_way: Counter[InstanceId] = Counter()
        self._pace = Pace(limits.per_second, limits.in_a_row)
        self._resolver = _Resolver()
        self._log = structlog.get_logger("downloads")
        connector = aiohttp.TCPConnector(
            limit=0,
            resolver=self._resolver,
            use_dns_cache=False,
            force_close=True,
            socket_factory=guarded(allowed),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            # Compressed, a few bytes could be as many as they like.
            auto_decompress=False,
            headers={hdrs.USER_AGENT: "onefleet", hdrs.ACCEPT_ENCODING: "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_BUFFER_BYTES,
            timeout=aiohttp.ClientTimeout(
                total=limits.seconds, sock_connect=limits.connect_seconds, sock_read=limits.silent_seconds
            ),
        )

    async def close(self) -> None:
        """Break off what is under way."""
        await self._session.close()
        self._resolver.shut_down()

    async def pass_on(
        self, request: web.BaseRequest, instance_id: InstanceId, url: str, noun: str
    ) -> web.StreamResponse:
        """Answer the machine's request with what is at the URL, which is the `noun` of its order.

        The connection is cut short where the answer cannot be finished.

        Raises:
            DownloadRefused: nothing of it could be had, or it is too much.
        """
        with self._turn(instance_id, noun):
            return await self._logged(request, instance_id, url, noun)

    async def _logged(
        self, request: web.BaseRequest, instance_id: InstanceId, url: str, noun: str
    ) -> web.StreamResponse:
        started, progress = time.perf_counter(), _Progress()
        try:
            async with self._fetched(url, noun) as source:
                return await self._stream(request, source, progress)
        except DownloadRefused as refused:
            progress.outcome = str(refused)
            raise
        finally:
            self._log.info(
                "download",
                instance_id=instance_id,
                what=noun,
                outcome=progress.outcome,
                bytes=progress.bytes,
                seconds=round(time.perf_counter() - started, 3),
            )

    @contextmanager
    def _turn(self, instance_id: InstanceId, noun: str) -> Iterator[None]:
        if self._under_way[instance_id] >= self._limits.at_once:
            raise DownloadRefused(_UNAVAILABLE, f"The {noun} was asked for too often at once; try again in a moment.")
        try:
            self._pace.take(str(instance_id))
        except TooManyRequests as refused:
            wait = f"try again in {refused.wait_seconds:.0f} seconds"
            raise DownloadRefused(_UNAVAILABLE, f"The {noun} was asked for too often; {wait}.") from refused
        self._under_way[instance_id] += 1
        try:
            yield
        finally:
            self._under_way[instance_id] -= 1
            if not self._under_way[instance_id]:
                del self._under_way[instance_id]

    @asynccontextmanager
    async def _fetched(self, url: str, noun: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the answer at the URL, whose head has come and is as it should be."""
        if not url.lower().startswith(_SCHEMES):  # aiohttp would take others for them, such as ws
            raise _refusal(aiohttp.NonHttpUrlClientError(url), noun)
        try:
            # aiohttp counts the answer that leads on as well.
            source = await self._session.get(url, max_redirects=MOST_REDIRECTS + 1)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _refusal(error, noun) from error
        async with source:
            if source.status != _OK:
                answer = f"{source.status} {source.reason}".strip()
                raise DownloadRefused(_BAD_GATEWAY, f"The server of the {noun} answered: {answer}")
            if (source.content_length or 0) > self._limits.bytes:
                raise DownloadRefused(_BAD_GATEWAY, f"The {noun} is larger than {self._limits.bytes // _MIB} MiB.")
            yield source

    async def _stream(
        self, request: web.BaseRequest, source: aiohttp.ClientResponse, progress: "_Progress"
    ) -> web.StreamResponse:
        answer = _answer_for(request, source)
        try:
            await answer.prepare(request)
            async for chunk in source.content.iter_any():
                progress.bytes += len(chunk)
                if progress.bytes > self._limits.bytes:
                    progress.outcome = "it is too large"
                    break
                async with asyncio.timeout(self._limits.silent_seconds):
                    await answer.write(chunk)
            else:
                await answer.write_eof()
                progress.outcome = "done"
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            progress.outcome = type(error).__name__
        if progress.outcome != "done" and request.transport is not None:
            request.transport.abort()  # what has been sent must not look like all of it
        return answer


@dataclass(slots=True)
class _Progress:
    """How far a download has come, for the log."""

    bytes: int = 0
    outcome: str = "the machine hung up"


def _answer_for(request: web.BaseRequest, source: aiohttp.ClientResponse) -> web.StreamResponse:
    answer = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "application/octet-stream"})
    answer.force_close()
    if source.content_length is not None:
        answer.content_length = source.content_length
    elif request.version >= aiohttp.HttpVersion11:
        answer.enable_chunked_encoding()
    if encoding := source.headers.get(hdrs.CONTENT_ENCODING):  # although we asked for none
        answer.headers[hdrs.CONTENT_ENCODING] = encoding
    return answer


# --- what went wrong, in words; the first that fits

_WORDS: Sequence[tuple[type[Exception], int, str]] = (
    (aiohttp.TooManyRedirects, _BAD_GATEWAY, f"The URL of the {{}} leads on more than {MOST_REDIRECTS} times."),
    (aiohttp.NonHttpUrlClientError, _FORBIDDEN, "The URL of the {} is, or leads to, neither http nor https."),
    (aiohttp.InvalidURL, _BAD_GATEWAY, "The URL of the {} is not a valid one, or leads to one that is not."),
    (aiohttp.ClientConnectorDNSError, _BAD_GATEWAY, "The name of the server of the {} cannot be found."),
    (aiohttp.ClientSSLError, _BAD_GATEWAY, "The server of the {} does not prove by TLS who it is."),
    (aiohttp.ClientConnectorError, _BAD_GATEWAY, "The server of the {} cannot be reached."),
    (TimeoutError, _BAD_GATEWAY, "The server of the {} did not answer in time."),
    (aiohttp.ClientError, _BAD_GATEWAY, "The server of the {} did not answer as a web server does."),
)


def _refusal(error: Exception, noun: str) -> DownloadRefused:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return DownloadRefused(
            _FORBIDDEN, f"The URL of the {noun} leads to an address that is not public; from such, nothing is fetched."
        )
    status, words = next((status, words) for kind, status, words in _WORDS if isinstance(error, kind))
    return DownloadRefused(status, words.format(noun))


# --- names


class _Resolver(AbstractResolver):
    """The system's resolver, in threads of its own: names that take their time must not keep others waiting."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8, "downloads")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._threads, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
            )
        except UnicodeError as error:  # a label that no name can have
            raise OSError(f"{host!r} is no host name") from error
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=family, proto=protocol, flags=flags)
            for family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """See `AbstractResolver.close`."""

    def shut_down(self) -> None:
        """Let go of the threads; what they still look up is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
