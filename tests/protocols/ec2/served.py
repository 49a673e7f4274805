"""The EC2 front-end on a real socket over a real core, and its customers: boto3 clients, and requests byte by byte."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import boto3
import botocore.auth
import botocore.session
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from botocore.auth import SigV2Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from lxml import etree

from core import booking
from core.administration import KeyHolder
from core.booking import PortRange
from core.limits import Limits as AccountLimits
from core.service import Core
from core.vault import KEY_BYTES, Vault
from protocols.boundary import Boundary, Exchange, Limits
from protocols.ec2.app import Ec2FrontEnd, by_host
from protocols.ec2.settings import Ec2Settings
from tests.fleetfixture import House, nothing_said

REGION = "eu-1"
_DEFAULT_LIMITS = Limits()
FORM = "application/x-www-form-urlencoded; charset=utf-8"

Parameters = Mapping[str, str] | Sequence[tuple[str, str]]

# One for all: loading EC2's model takes a second.
_SESSION = boto3.Session(botocore_session=botocore.session.get_session())


@dataclass(frozen=True)
class Answer:
    """What came back, unjudged."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def root(self) -> etree._Element:
        return etree.fromstring(self.body)

    @property
    def code(self) -> str:
        """The code of a refusal in EC2's form, read as strictly as libcloud does; empty for a success."""
        if self.status == 200:
            return ""
        (error,) = self.root.findall("Errors/Error")
        code, message = list(error)
        assert (code.tag, message.tag, self.root.tag) == ("Code", "Message", "Response")
        assert self.root.findtext("RequestID") == self.headers["x-amzn-requestid"]
        return code.text

    @property
    def sts_code(self) -> str:
        """The code of a refusal in STS's form; empty for a success."""
        if self.status == 200:
            return ""
        names = {"": "https://sts.amazonaws.com/doc/2011-06-15/"}
        kind, code, _ = list(self.root.find("Error", names))
        assert kind.text == ("Sender" if self.status < 500 else "Receiver")
        assert self.root.findtext("RequestId", namespaces=names) == self.headers["x-amzn-requestid"]
        return code.text

    @property
    def message(self) -> str:
        return next(node.text or "" for node in self.root.iter() if etree.QName(node).localname == "Message")


class Customer:
    """A boto3 client whose calls are awaited. `refusal` is for those that should be refused."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, operation: str) -> Any:
        async def call(**parameters: Any) -> Any:
            return await asyncio.to_thread(getattr(self.client, operation), **parameters)

        return call

    async def refusal(self, operation: str, **parameters: Any) -> tuple[int, str, str]:
        """Return the status, code and message with which a call is refused."""
        with pytest.raises(ClientError) as refusal:
            await asyncio.to_thread(getattr(self.client, operation), **parameters)
        told = refusal.value.response
        return told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"], told["Error"]["Message"]

    async def code(self, operation: str, **parameters: Any) -> str:
        """Return the code with which a call is refused."""
        return (await self.refusal(operation, **parameters))[1]

    async def pages(self, operation: str, **parameters: Any) -> list[Any]:
        """Return all pages of boto3's own paginator."""
        paginator = self.client.get_paginator(operation)
        return await asyncio.to_thread(lambda: list(paginator.paginate(**parameters)))

    async def wait_until(self, waiter: str, **parameters: Any) -> None:
        """Wait as boto3's own waiter does, only more often."""
        often = {"Delay": 0.01, "MaxAttempts": 500}
        await asyncio.to_thread(self.client.get_waiter(waiter).wait, WaiterConfig=often, **parameters)

    async def run(self, count: int = 1, **parameters: Any) -> list[str]:
        """Book machines that there is room for, and return their ids."""
        wanted = {"ImageId": "debian-12", "InstanceType": "plain", "MinCount": count, "MaxCount": count}
        return instance_ids([await self.run_instances(**(wanted | parameters))])

    async def machine(self, instance_id: str) -> Any:
        """Return one machine as it is described."""
        (reservation,) = (await self.describe_instances(InstanceIds=[instance_id]))["Reservations"]
        (machine,) = reservation["Instances"]
        return machine


def instance_ids(reservations: Iterable[Any]) -> list[str]:
    return [machine["InstanceId"] for reservation in reservations for machine in reservation["Instances"]]


class Watched(Ec2FrontEnd):
    """The front-end, which also remembers what it refused."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.refused: list[Exception] = []

    def refuse(self, error: Exception, exchange: Exchange) -> web.Response:
        self.refused.append(error)
        return super().refuse(error, exchange)


@dataclass
class Served:
    """The running front-end over a house in a folder; `records` has an exchange and a status for every request."""

    house: House
    host: str
    front_end: Watched
    records: list[tuple[Exchange, int]]
    folder: Path = Path()
    _clients: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}/"

    def customer(self, holder: KeyHolder | None = None, service: str = "ec2", **options: Any) -> Customer:
        """Return a customer, by default of our own account; options are boto3's."""
        client = _SESSION.client(service, **self._options(holder, **options))
        self._clients.append(client)
        return Customer(client)

    def resource(self) -> Any:
        """Return boto3's resource of our own account."""
        resource = _SESSION.resource("ec2", **self._options(None))
        self._clients.append(resource.meta.client)
        return resource

    def _options(self, holder: KeyHolder | None, *, signature_version: str = "v4", **options: Any) -> dict[str, Any]:
        key = (holder or self.house.ours).key
        return {
            "endpoint_url": self.url,
            "region_name": REGION,
            "aws_access_key_id": key.access_key,
            "aws_secret_access_key": key.secret_key,
            "config": Config(signature_version=signature_version, retries={"total_max_attempts": 1}),
            **options,
        }

    def close(self) -> None:
        for client in self._clients:
            client.close()

    async def send(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Answer:
        """Return the answer to a request made of just these parts; Host and Content-Length are added if missing."""
        lines = [f"{name}: {value}".encode("utf-8", "surrogateescape") for name, value in headers]
        names = {line.partition(b":")[0].lower() for line in lines}
        if b"host" not in names:
            lines.append(f"Host: {self.host}".encode())
        if body and not names & {b"content-length", b"transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}".encode())
        head = b"\r\n".join([f"{method} {target} HTTP/1.1".encode("utf-8", "surrogateescape"), *lines])
        return await self.send_raw(head + b"\r\nConnection: close\r\n\r\n" + body)

    async def send_raw(self, request: bytes) -> Answer:
        """Return the answer to these bytes."""
        name, _, port = self.host.rpartition(":")
        reader, writer = await asyncio.open_connection(name, int(port))
        try:
            writer.write(request)
            return await asyncio.wait_for(_answer(reader, has_body=not request.startswith(b"HEAD ")), 10)
        finally:
            writer.close()
            await writer.wait_closed()

    async def ask(
        self,
        action: str,
        parameters: Parameters = (),
        *,
        holder: KeyHolder | None = None,
        how: str = "v4-post",
        access_key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        host: str = "",
        region: str = REGION,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """Return the answer to a request signed by botocore in one of the `WAYS`."""
        key = (holder or self.house.ours).key
        credentials = Credentials(access_key or key.access_key, secret or key.secret_key, token)
        version = "2011-06-15" if action in ("GetCallerIdentity", "GetSessionToken") else "2016-11-15"
        items = parameters.items() if isinstance(parameters, Mapping) else parameters
        pairs = [("Action", action), ("Version", version), *items]
        sent = WAYS[how](f"http://{host or self.host}/", pairs, credentials, region).prepare()
        url = urlsplit(sent.url)
        told = [(name, value.decode() if isinstance(value, bytes) else value) for name, value in sent.headers.items()]
        body = sent.body or b""
        return await self.send(
            sent.method,
            f"{url.path}?{url.query}" if url.query else url.path,
            [("Host", url.netloc), *told, *headers],
            body if isinstance(body, bytes) else body.encode(),
        )


async def _answer(reader: asyncio.StreamReader, *, has_body: bool) -> Answer:
    head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0)) if has_body else 0
    return Answer(int(head.split()[1]), headers, await reader.readexactly(length))


def _v4_post(url, pairs, credentials, region):
    request = AWSRequest("POST", url, {"Content-Type": FORM}, urlencode(pairs))
    SigV4Auth(credentials, "ec2", region).add_auth(request)
    return request


def _v4_get(url, pairs, credentials, region):
    request = AWSRequest("GET", f"{url}?{urlencode(pairs, quote_via=quote)}")
    SigV4Auth(credentials, "ec2", region).add_auth(request)
    return request


def _v4_url(method):
    def sign(url, pairs, credentials, region):
        request = AWSRequest(method, url, params=dict(pairs))
        SigV4QueryAuth(credentials, "ec2", region, 60).add_auth(request)
        return request

    return sign


def _v2(method):
    def sign(url, pairs, credentials, _):
        parts = (
            {"data": dict(pairs), "headers": {"Content-Type": FORM}} if method == "POST" else {"params": dict(pairs)}
        )
        request = AWSRequest(method, url, **parts)
        SigV2Auth(credentials).add_auth(request)
        return request

    return sign


WAYS = {
    "v4-post": _v4_post,
    "v4-get": _v4_get,
    "v4-url-get": _v4_url("GET"),
    "v4-url-post": _v4_url("POST"),
    "v2-post": _v2("POST"),
    "v2-get": _v2("GET"),
}


def another_core(house: House, kind: type[Core] = Core, **parts: Any) -> Core:
    """Return one more core over the house's store and clock, with parts of its own: limits, pace, console."""
    rules = booking.House(PortRange(20_000, 39_999), parts.pop("limits", AccountLimits()))
    parts = {"wake": house.woken.extend, "console": nothing_said, "screen": nothing_said} | parts
    return kind(house.store, Vault(bytes(KEY_BYTES)), house.clock, rules, **parts)


@asynccontextmanager
async def served(
    house: House,
    *,
    core: Core | None = None,
    path: str = "/",
    dialect: str = "aws",
    mount: Mapping[str, Any] | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    **options: Any,
) -> AsyncIterator[Served]:
    """Serve the house's EC2, or that of another core, on a free port.

    `mount` are further settings of the endpoint, options the boundary's.
    """
    records: list[tuple[Exchange, int]] = []
    boundary = Boundary(
        limits=limits,
        record=lambda _, exchange, status, __: records.append((exchange, status)),
        **({"proxies": (), "public_url": None} | options),
    )
    front_end = Watched(core or house.core, boundary, Ec2Settings(path, dialect=dialect, **(mount or {})))
    app = web.Application(client_max_size=limits.body_bytes)
    app.router.add_route("*", path, by_host([front_end], boundary))
    server = TestServer(app)
    await server.start_server()
    running = Served(house, f"{server.host}:{server.port}", front_end, records)
    try:
        yield running
    finally:
        running.close()
        await server.close()


def set_botocores_clock(monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    """Let botocore sign at the house's time, so that hours can pass in a test."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: house.clock.now())
    clock = SimpleNamespace(strftime=time.strftime, gmtime=lambda: house.clock.now().utctimetuple())
    monkeypatch.setattr(botocore.auth, "time", clock)
