"""Keeps a server busy with ready-made requests over keep-alive connections, for some 15 µs of CPU a request."""

import asyncio
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import uvloop

Address = tuple[str, int]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_OK = b"200"
_PROBE_PAUSE_SECONDS = 0.0005
_ANSWER_SECONDS = 60.0
_SHOWN_BYTES = 600


class Refused(Exception):
    """A server did not answer 200 to what it was to be measured with."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer[:_SHOWN_BYTES].decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def ask(address: Address, request: bytes) -> Answer:
    """Send one request and return its answer, whatever it says."""
    with socket.create_connection(address, timeout=_ANSWER_SECONDS) as connection:
        connection.sendall(request)
        received, length = bytearray(), None
        while length is None or len(received) < length:
            chunk = connection.recv(1 << 20)
            if not chunk:
                raise ConnectionError(f"{address} closed the connection before its answer was whole")
            received += chunk
            length = length or _length_of(received)
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return Answer(int(first.split(" ")[1]), dict(line.split(": ", 1) for line in lines), body)


def demand(address: Address, request: bytes) -> Answer:
    """Return the answer to a request that must not be refused.

    Raises:
        Refused: it was.
    """
    answer = ask(address, request)
    if answer.status != int(_OK):
        raise Refused(answer.body)
    return answer


def drive(address: Address, requests: Sequence[bytes], connections: int) -> float:
    """Send all requests, each connection one after the other; return the seconds until the last answer.

    Raises:
        Refused: an answer was not 200.
    """
    return uvloop.run(_drive(address, requests, connections))


def pace(address: Address, requests: Sequence[bytes], per_second: float) -> None:
    """Send each request when its time has come, whether those before it are answered or not; return with the last answer.

    Raises:
        Refused: an answer was not 200.
    """
    uvloop.run(_pace(address, requests, per_second))


def longest_wait(address: Address, probe: bytes, requests: Sequence[bytes]) -> float:
    """Return the longest that a second client waited for the probe's answer while the requests were answered, seconds.

    The probe costs its server next to nothing, so the wait is for what else the server's event loop did meanwhile.
    """
    return uvloop.run(_longest_wait(address, probe, requests))


async def _drive(address: Address, requests: Iterable[bytes], connections: int) -> float:
    waiting = iter(requests)
    started = time.perf_counter()
    async with asyncio.timeout(_ANSWER_SECONDS), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_keep_asking(address, waiting))
    return time.perf_counter() - started


async def _pace(address: Address, requests: Sequence[bytes], per_second: float) -> None:
    started = time.perf_counter()
    async with asyncio.timeout(_ANSWER_SECONDS), asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            await asyncio.sleep(started + number / per_second - time.perf_counter())
            group.create_task(_keep_asking(address, iter([request])))


async def _longest_wait(address: Address, probe: bytes, requests: Sequence[bytes]) -> float:
    answered: asyncio.Queue[float] = asyncio.Queue()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: _Probe(answered), *address)
    work = asyncio.create_task(_drive(address, requests, 1))
    longest = 0.0
    while not work.done():
        sent = time.perf_counter()
        transport.write(probe)
        longest = max(longest, await asyncio.wait_for(answered.get(), _ANSWER_SECONDS) - sent)
        await asyncio.sleep(_PROBE_PAUSE_SECONDS)
    transport.close()
    await work
    return longest


async def _keep_asking(address: Address, waiting: Iterator[bytes]) -> None:
    """Use up the requests; a server that closes after each answer is connected to anew."""
    loop = asyncio.get_running_loop()
    while True:
        is_done = loop.create_future()
        await loop.create_connection(lambda: _Client(waiting, is_done), *address)  # noqa: B023  it is called at once
        if await is_done:
            return


class _Client(asyncio.Protocol):
    """One connection. Its future tells, once it is over, whether no request is left."""

    def __init__(self, waiting: Iterator[bytes], is_done: asyncio.Future[bool]) -> None:
        self._waiting, self._is_done = waiting, is_done
        self._received, self._length, self._is_idle = bytearray(), 0, True

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if not self._length:
            self._length = _length_of(received) or 0
        if self._length and len(received) >= self._length:
            self._take(received)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_done.done():
            if self._is_idle and exc is None:
                self._is_done.set_result(False)
            else:
                self._is_done.set_exception(exc or ConnectionError("the server closed a connection without answering"))

    def _ask(self) -> None:
        request = next(self._waiting, None)
        self._is_idle = request is None
        if request is not None:
            self._transport.write(request)
        else:
            self._is_done.set_result(True)
            self._transport.close()

    def _take(self, received: bytearray) -> None:
        if received[9:12] != _OK:
            self._is_done.set_exception(Refused(bytes(received)))
            self._transport.abort()
            return
        will_close = _CLOSES.search(received, 0, self._head_length(received)) is not None
        self._received, self._length = bytearray(), 0
        if will_close:
            self._is_idle = True
        else:
            self._ask()

    @staticmethod
    def _head_length(received: bytearray) -> int:
        return received.find(b"\r\n\r\n") + 4


class _Probe(asyncio.Protocol):
    """Tells when each answer came; answers to probes are small enough to come in one piece."""

    def __init__(self, answered: asyncio.Queue[float]) -> None:
        self._answered = answered

    def data_received(self, data: bytes) -> None:
        if data[9:12] != _OK:
            raise Refused(data)
        self._answered.put_nowait(time.perf_counter())


def _length_of(received: bytearray) -> int | None:
    """Return the length of head and body together, or None before the head is whole."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    found = _LENGTH.search(received, 0, end)
    return end + 4 + (int(found[1]) if found else 0)
