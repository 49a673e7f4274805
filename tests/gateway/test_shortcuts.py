from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from gateway.server import _with_shortcuts

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
PATHS = (
    *("/", "/?a=b", "//", "/healthz", "/healthz/", "/%68ealthz", "/no", "/no/such", "/no%0Asuch", "/json", "/json/"),
    *("/json/a", "/json/a%2Fb", "/json/%0A", "/json/deep/a", "/json/deep", "/json/one/7", "/json/../healthz", "/JSON/"),
)


def named(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(headers={"X-Name": name})

    return handler


def an_application() -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/", named("root"))
    app.router.add_route("*", "/json", named("folder itself"))
    app.router.add_route("*", "/json/{rest:.*}", named("folder"))
    app.router.add_route("*", "/json/deep/{rest:(?s:.*)}", named("deep folder"))
    app.router.add_route("*", "/json/one/{number:[0-9]+}", named("one"))
    app.router.add_get("/healthz", named("health"))
    app.router.add_route("*", "/{path:.*}", named("elsewhere"))
    return app


@pytest.fixture
async def servers() -> AsyncIterator[tuple[TestServer, TestServer]]:
    """One that uses shortcuts, and one that does not."""
    plain, quick = TestServer(an_application()), TestServer(an_application())
    for server in (plain, quick):
        await server.start_server()
    assert quick.runner.server is not None
    quick.runner.server.request_handler = _with_shortcuts(quick.app, quick.runner.server.request_handler)
    yield quick, plain
    for server in (plain, quick):
        await server.close()


async def test_a_shortcut_leads_where_the_router_leads(servers):
    quick, plain = servers
    async with aiohttp.ClientSession() as client:
        for method in METHODS:
            for path in PATHS:
                told = [await _name(client, method, server, path) for server in (quick, plain)]
                assert told[0] == told[1], f"{method} {path}"


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(servers):
    async with aiohttp.ClientSession() as client:
        for server in servers:
            answer = await client.post(server.make_url("/"), data=b"body", expect100=True)
            assert answer.headers["X-Name"] == "root"


async def _name(client: aiohttp.ClientSession, method: str, server: TestServer, path: str) -> tuple[int, str | None]:
    url = URL(f"http://{server.host}:{server.port}{path}", encoded=True)
    async with client.request(method, url) as answer:
        return answer.status, answer.headers.get("X-Name")
