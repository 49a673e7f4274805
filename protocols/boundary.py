"""One request, whatever the protocol: its id, its client, its limits, its one log line, and the last word on faults."""

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

import structlog
from aiohttp import web

from core.accounts import Network
from core.errors import CoreError

_LOOPBACK = frozenset({"127.0.0.1", "::1"})

_NOBODY_THERE = 499
"""For the log: the answer is not sent. Source: nginx, ngx_http_request.h, NGX_HTTP_CLIENT_CLOSED_REQUEST."""


class BodyTooLarge(Exception):
    """The request's body is over the limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request body is larger than {limit_bytes} bytes.")
        self.limit_bytes = limit_bytes


class BodyTooSlow(Exception):
    """The client did not finish sending its request in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The request body did not arrive within {seconds:g} seconds.")
        self.seconds = seconds


class BodyBroken(Exception):
    """The request's body is not what its own headers say, such as gzip that is none."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The request body cannot be read: {reason}")


class ClientWentAway(Exception):
    """The connection ended in the middle of the request: nobody is there to be told anything."""


@dataclass(slots=True)
class Exchange:
    """What is known about a request while it is answered; the front-end fills in the last three for log and metrics.

    `scheme` and `host` are the public ones, as the client should have typed them; `called_scheme` and `called_host`
    are what this request itself says, which differs where `public_url` is set and a client comes by another way.
    `is_private` means that nobody between the client and us can read along: TLS, or loopback. One that `is_long` stays
    open as long as the client likes, and is not measured.
    """

    request_id: str
    address: str
    scheme: str
    host: str
    is_private: bool
    called_scheme: str = ""
    called_host: str = ""
    action: str = "unknown"
    account_id: int | None = None
    code: str = ""
    is_long: bool = False


class FrontEnd(Protocol):
    """A protocol's side of the boundary."""

    name: str

    async def answer(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        """Return the answer; raise anything to refuse."""
        ...

    def refuse(self, error: Exception, exchange: Exchange) -> web.Response:
        """Return the protocol's own refusal for any exception, a plain server fault for one it does not know."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take."""

    body_bytes: int = 1024 * 1024
    body_seconds: float = 30.0


class Boundary:
    """Wraps front-ends into handlers.

    `record` is told the front-end's name, the exchange, the status and the seconds of every request. Forwarded headers
    are believed from `proxies`, and from this process itself, which comes by a Unix socket. `public_url` (scheme,
    host), if set, stands for whatever the client called.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        proxies: Sequence[Network],
        public_url: tuple[str, str] | None,
        record: Callable[[str, Exchange, int, float], None],
    ) -> None:
        self.limits, self._proxies, self._public_url, self._record = limits, tuple(proxies), public_url, record
        self._log = structlog.get_logger("request")

    def handler(self, front_end: FrontEnd) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return an aiohttp handler that never raises but for a client that went away."""
        log, record, name = self._log.info, self._record, front_end.name

        async def handle(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            exchange = self._exchange(request)
            try:
                response: web.StreamResponse = await front_end.answer(request, exchange)
            except ClientWentAway:
                exchange.code, response = ClientWentAway.__name__, web.Response(status=_NOBODY_THERE)
            except Exception as error:  # noqa: BLE001  the one place where every fault becomes an answer
                response = front_end.refuse(error, exchange)
                if response.status >= 500:  # noqa: PLR2004  the server's faults
                    self.report(error, exchange)
            seconds = time.perf_counter() - started
            if not exchange.is_long:
                record(name, exchange, response.status, seconds)
            log(
                "request",
                request_id=exchange.request_id,
                protocol=name,
                action=exchange.action,
                account_id=exchange.account_id,
                status=response.status,
                code=exchange.code or None,
                duration_ms=round(seconds * 1000, 3),
                address=exchange.address,
            )
            return response

        return handle

    def called_host(self, request: web.Request) -> str:
        """Return the host that the client called; see `Exchange.called_host`."""
        return self._exchange(request).called_host

    async def read_body(self, request: web.Request) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLarge, BodyTooSlow: it is over a limit.
            BodyBroken: it cannot be read.
            ClientWentAway: it will never be whole.
        """
        if not request.body_exists:
            return b""
        try:
            if request.content.is_eof():  # all of it came with the head, or has come since
                body = request.content.read_nowait()
                if len(body) > self.limits.body_bytes:
                    raise BodyTooLarge(self.limits.body_bytes)
                return body
            async with asyncio.timeout(self.limits.body_seconds):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise BodyTooLarge(self.limits.body_bytes) from None
        except TimeoutError:
            raise BodyTooSlow(self.limits.body_seconds) from None
        except ConnectionError:
            raise ClientWentAway from None
        except web.RequestPayloadError as error:
            raise BodyBroken(str(error)) from None

    def _exchange(self, request: web.Request) -> Exchange:
        address = request.remote or ""
        scheme, host = request.scheme, request.headers.get("Host", "")
        is_local = address in _LOOPBACK
        if (self._proxies and self._is_proxy(address)) or (not address and _came_inside(request)):
            # A proxy that does not tell whom it speaks for may speak for anyone.
            is_local = "X-Forwarded-For" in request.headers
            address, scheme, host = self._forwarded(request, address, scheme, host)
            is_local = is_local and address in _LOOPBACK
        public = self._public_url or (scheme, host)
        return Exchange(_new_request_id(), address, *public, scheme == "https" or is_local, scheme, host)

    def _forwarded(self, request: web.Request, address: str, scheme: str, host: str) -> tuple[str, str, str]:
        """Return the client's address, scheme and host as our own proxies tell them.

        Of the addresses the last one that is not a proxy of ours counts: those before it are the client's own words.
        """
        headers = request.headers
        hops = [hop.strip() for value in headers.getall("X-Forwarded-For", ()) for hop in value.split(",")]
        address = next((hop for hop in reversed(hops) if not self._is_proxy(hop)), hops[0] if hops else address)
        scheme = headers.get("X-Forwarded-Proto", scheme).split(",")[-1].strip().lower()
        return address, scheme, headers.get("X-Forwarded-Host", host).split(",")[-1].strip()

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)

    def report(self, error: Exception, exchange: Exchange) -> None:
        """Log what went wrong with a request, for the operator."""
        details = {"request_id": exchange.request_id, "action": exchange.action}
        if isinstance(error, CoreError):
            self._log.warning("refused", error=str(error), **details)
        else:
            self._log.error("fault", exc_info=error, **details)


def _came_inside(request: web.Request) -> bool:
    """Whether it came by a Unix socket, which only this process itself may open (gateway/innerdoor.py)."""
    transport_socket = request.get_extra_info("socket")
    return transport_socket is not None and transport_socket.family == socket.AF_UNIX


def _new_request_id() -> str:
    """Return a fresh id in the form of a version 4 UUID, as AWS writes request ids."""
    # Ids need to differ, not to be secret, and the kernel's random numbers cost a system call each.
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
