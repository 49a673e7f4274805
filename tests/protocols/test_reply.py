import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from protocols.reply import Reply

HEADERS = {"Content-Type": "text/xml;charset=UTF-8", "x-amzn-RequestId": "0f3b", "Link": "<http://ünï.test/>"}


async def plain(_: web.Request) -> web.Response:
    return web.Response(body=b"<a/>", status=201, headers=HEADERS)


async def quick(_: web.Request) -> web.Response:
    return Reply(body=b"<a/>", status=201, headers=HEADERS)


async def empty(_: web.Request) -> web.Response:
    return Reply(headers=HEADERS)


async def large(_: web.Request) -> web.Response:
    return Reply(body=b"x" * 10_000_000, headers=HEADERS)


async def forged(_: web.Request) -> web.Response:
    return Reply(body=b"<a/>", headers={"Link": "x\r\nSet-Cookie: y"})


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    for handler in (plain, quick, empty, large, forged):
        app.router.add_route("*", f"/{handler.__name__}", handler)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


async def answer_to(server: TestServer, request: str) -> bytes:
    """The bytes of the answer, up to the end of the connection, or of a second answer that shows that it stays open."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(f"{request}\r\nHost: x\r\n\r\nGET /empty HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n".encode())
    async with asyncio.timeout(10):
        told = await reader.read()
    writer.close()
    return re.sub(rb"Date: [^\r]{29}\r", b"Date:\r", told)


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /{} HTTP/1.1",
        "POST /{} HTTP/1.1\r\nContent-Length: 0",
        "HEAD /{} HTTP/1.1",
        "GET /{} HTTP/1.1\r\nConnection: close",
        "GET /{} HTTP/1.0",
        "GET /{} HTTP/1.0\r\nConnection: keep-alive",
    ],
)
async def test_on_the_wire_it_is_the_same_as_aiohttps_own(server, request_line):
    told = await answer_to(server, request_line.format("quick"))
    assert told == await answer_to(server, request_line.format("plain"))
    assert b"Date:\r\n" in told


async def test_an_answer_without_a_body_is_aiohttps_own(server):
    assert b"Content-Length: 0\r\n" in await answer_to(server, "GET /empty HTTP/1.1")


async def test_a_large_answer_arrives_whole(server):
    told = await answer_to(server, "GET /large HTTP/1.1")
    assert told.count(b"x" * 10_000_000) == 1


async def test_a_header_with_a_line_break_is_not_sent(server):
    assert b"Set-Cookie" not in await answer_to(server, "GET /forged HTTP/1.1")
