"""The ZeroSix front-end on a real socket over a real core, and requests to it that are written byte by byte."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from aiohttp import web
from aiohttp.test_utils import TestServer
from oauthlib.oauth1 import Client

from core.accounts import Network
from core.administration import KeyHolder
from protocols.boundary import Boundary, Exchange, Limits
from protocols.zerosix.app import ZeroSixFrontEnd
from protocols.zerosix.settings import ZeroSixSettings
from tests.fleetfixture import House

PATH = "/wp-json/api/v1/"
LIMITS = Limits(body_bytes=64 * 1024, body_seconds=0.2)
FORM = "application/x-www-form-urlencoded"
RANKS = {
    "cpu": ("intel-celeron", "amd-fx-8320", "intel-i3", "amd-ryzen-5", "intel-i5", "intel-i7", "xeon-e5-2667"),
    "gpu": (
        "nvidia-1060",
        "nvidia-1060ti",
        "nvidia-1070",
        "nvidia-1070ti",
        "nvidia-1080",
        "nvidia-1080ti",
        "nvidia-titan-xp",
        "nvidia-tesla-v",
    ),
    "network-speed": ("50mbps", "50-100mbps", "100-200mbps", "500-600mbps"),
    "ram": ("8gb", "12gb", "16gb", "32gb", "192gb"),
}
SETTINGS = ZeroSixSettings(PATH, ZoneInfo("America/Los_Angeles"), RANKS, "127.0.0.1")


@dataclass(frozen=True)
class Answer:
    """What came back, unjudged."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json; charset=UTF-8"
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, str]:
        """The status and the code of a refusal, which must be in WordPress's form."""
        document = self.json()
        assert set(document) == {"code", "message", "data"}
        assert document["data"]["status"] == self.status
        assert document["message"]
        return self.status, document["code"]


@dataclass
class Site:
    """The running front-end; `records` has an exchange and a status for every request."""

    house: House
    host: str
    front_end: ZeroSixFrontEnd
    records: list[tuple[Exchange, int]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}{PATH}"

    async def ask(
        self,
        method: str,
        target: str,
        arguments: object = None,
        *,
        body: bytes = b"",
        kind: str = "application/json",
        holder: KeyHolder | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Return the answer to a request of one of our customers, who shows key and secret; arguments go as JSON."""
        body = body or (json.dumps(arguments).encode() if arguments is not None else b"")
        told = [("Authorization", basic(holder or self.house.ours)), *headers]
        return await self.send(method, target, [*told, ("Content-Type", kind)] if body else told, body)

    async def signed(self, method: str, target: str, body: str = "", **options: Any) -> Answer:
        """Return the answer to a request signed by oauthlib; options are those of `sign`."""
        return await self.send(*self.sign(method, target, body, **options))

    def sign(
        self,
        method: str,
        target: str,
        body: str = "",
        *,
        kind: str = "application/json",
        holder: KeyHolder | None = None,
        url: str = "",
        headers: Sequence[tuple[str, str]] = (),
        **client: Any,
    ) -> tuple[str, str, list[tuple[str, str]], bytes]:
        """Return a signed request, to be sent as often as one likes.

        `url` is the origin as the client believes it to be; other options are oauthlib's.
        """
        key = (holder or self.house.ours).key
        now = str(int(self.house.clock.now().timestamp()))
        client = {"client_secret": key.secret_key, "signature_method": "HMAC-SHA256", "timestamp": now} | client
        is_form = client.get("signature_type") == "BODY" or (bool(body) and kind == FORM)
        signer = Client(key.access_key, **client)
        # oauthlib insists on a form, even an empty one, once it is to put its parameters there.
        to_sign = (method, (body or []) if is_form else None, {"Content-Type": FORM} if is_form else {})
        signed_url, told, form = signer.sign(f"{url or f'http://{self.host}'}{absolute(target)}", *to_sign)
        parts = urlsplit(signed_url)
        if body and not is_form:
            told = {**told, "Content-Type": kind}
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return method, target, [*told.items(), *headers], ((form or "") if is_form else body).encode()

    async def send(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Answer:
        """Return the answer to a request made of just these parts; Host and Content-Length are added if missing."""
        lines = [f"{name}: {value}".encode("utf-8", "surrogateescape") for name, value in headers]
        names = {line.partition(b":")[0].lower() for line in lines}
        if b"host" not in names:
            lines.append(f"Host: {self.host}".encode())
        if body and not names & {b"content-length", b"transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}".encode())
        head = f"{method} {absolute(target)} HTTP/1.1".encode("utf-8", "surrogateescape")
        return await self.send_raw(b"\r\n".join([head, *lines, b"Connection: close", b"", body]))

    async def send_raw(self, request: bytes) -> Answer:
        """Return the answer to these bytes."""
        name, _, port = self.host.rpartition(":")
        reader, writer = await asyncio.open_connection(name, int(port))
        try:
            writer.write(request)
            return await asyncio.wait_for(_answer(reader), 10)
        finally:
            writer.close()
            await writer.wait_closed()

    async def book(self, slug: str = "plain", instances: int = 1, **arguments: object) -> dict[str, Any]:
        """Return a new order, as `PUT orders` tells it."""
        product = await self.house.product(slug)
        holder = arguments.pop("holder", None)
        wanted = {"product_id": product.id, "instances": instances, **arguments}
        answer = await self.ask("PUT", "orders", wanted, holder=holder)
        assert answer.status == 200
        (order,) = answer.json()
        return order

    async def ended(self, **arguments: object) -> dict[str, Any]:
        """Return an order that was booked and completed, as it was told before its end."""
        order = await self.book(**arguments)
        assert (await self.ask("DELETE", f"orders/{order['order_id']}")).status == 204
        return order


def basic(holder: KeyHolder, secret: str | None = None) -> str:
    shown = f"{holder.key.access_key}:{secret or holder.key.secret_key}"
    return f"Basic {base64.b64encode(shown.encode()).decode()}"


def shown(holder: KeyHolder) -> str:
    """Return the query of clients that show their secret there."""
    return urlencode({"consumer_key": holder.key.access_key, "consumer_secret": holder.key.secret_key})


def absolute(target: str) -> str:
    return target if target.startswith(("/", "http")) else f"{PATH}{target}"


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        told = headers.get(name.lower())
        headers[name.lower()] = f"{told}, {value.strip()}" if told else value.strip()
    try:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except asyncio.IncompleteReadError as error:  # an answer to HEAD tells the length of what it leaves out
        body = error.partial
    return Answer(int(head.split()[1]), headers, body)


@asynccontextmanager
async def serve(
    house: House,
    *,
    settings: ZeroSixSettings = SETTINGS,
    proxies: Sequence[Network] = (),
    public_url: tuple[str, str] | None = None,
) -> AsyncIterator[Site]:
    """Serve the house's ZeroSix on a free port."""
    records: list[tuple[Exchange, int]] = []

    def record(_name: str, exchange: Exchange, status: int, _seconds: float) -> None:
        records.append((exchange, status))

    boundary = Boundary(limits=LIMITS, proxies=proxies, public_url=public_url, record=record)
    front_end = ZeroSixFrontEnd(house.core, settings, boundary)
    app = web.Application(client_max_size=LIMITS.body_bytes)
    front_end.mount(app, boundary.handler(front_end))
    server = TestServer(app)
    await server.start_server()
    try:
        yield Site(house, f"{server.host}:{server.port}", front_end, records)
    finally:
        await server.close()
