import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ipaddress import ip_network

import pytest
from aiohttp import web

from protocols.metadata.downloads import MOST_REDIRECTS, RelayLimits
from tests.protocols.metadata.guests import Guest, free_address

HERE = [ip_network("127.0.0.1/32")]
IN_A_MOMENT = RelayLimits(silent_seconds=0.2, connect_seconds=5)
MIB = 1024 * 1024

Handler = Callable[[web.BaseRequest], object]


@dataclass
class Source:
    """A web server that somebody's URL leads to. `asked` are the requests that it got."""

    port: int = 0
    asked: list[web.BaseRequest] = field(default_factory=list)

    def url(self, host: str = "127.0.0.1", path: str = "/file") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., object]]:
    """Starts servers on loopback that answer everything with one handler."""
    async with AsyncExitStack() as closing:

        async def start(handler: Handler, host: str = "127.0.0.1") -> Source:
            source = Source()

            async def answer(request: web.BaseRequest) -> web.StreamResponse:
                source.asked.append(request)
                return await handler(request)

            runner = web.ServerRunner(web.Server(answer, handler_cancellation=True), shutdown_timeout=0.1)
            await runner.setup()
            closing.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, host, 0)
            await site.start()
            source.port = runner.addresses[0][1]
            return source

        yield start


async def hello(_: web.BaseRequest) -> web.Response:
    return web.Response(body=b"\x00hello\xff")


def leading_to(url: str, **headers: str) -> Handler:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(
            status=302, headers={"Location": url, **{k.replace("_", "-"): v for k, v in headers.items()}}
        )

    return answer


@pytest.fixture
async def ordered(open_street) -> Callable[..., object]:
    """Orders machines whose file is at a URL, on a street whose relay may fetch from here."""

    async def order(url: str, *, allowed=HERE, limits: RelayLimits = RelayLimits(), noun: str = "file") -> Guest:  # noqa: B008
        return await (await open_street(allowed, limits)).guest(**{f"{noun}_url": url})

    return order


# --- what is passed on


@pytest.mark.parametrize("noun", ["file", "script"])
async def test_a_machine_gets_what_its_order_names(serve, ordered, noun):
    source = await serve(hello)
    guest = await ordered(source.url(path="/a?b=c"), noun=noun)
    answer = await guest.ask(f"/onefleet/{noun}")
    assert (answer.status, answer.body) == (200, b"\x00hello\xff")
    assert [request.path_qs for request in source.asked] == ["/a?b=c"]


async def test_a_machine_that_was_ordered_without_one_is_told_so(ordered):
    guest = await ordered("http://127.0.0.1/", noun="script")
    answer = await guest.ask("/onefleet/file")
    assert (answer.status, answer.text) == (404, "This machine was ordered without a file.\n")


async def test_only_get_is_relayed(serve, ordered):
    source = await serve(hello)
    answer = await (await ordered(source.url())).ask("/onefleet/file", "POST")
    assert (answer.status, answer.headers["Allow"], source.asked) == (405, "GET", [])


@pytest.mark.parametrize("is_length_known", [True, False])
async def test_a_large_file_arrives_whole(serve, ordered, is_length_known):
    body = bytes(range(256)) * 4096 * 30

    async def large(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        if is_length_known:
            answer.content_length = len(body)
        await answer.prepare(request)
        for start in range(0, len(body), MIB):
            await answer.write(body[start : start + MIB])
        return answer

    guest = await ordered((await serve(large)).url())
    status, told = await guest.curl("--fail", "http://169.254.169.254/onefleet/file")
    assert status == 0
    assert told == body


async def test_nothing_of_the_machines_request_reaches_the_server(serve, ordered):
    source = await serve(hello)
    guest = await ordered(source.url())
    await guest.ask("/onefleet/file", Authorization="Basic eDp5", Cookie="a=b", Range="bytes=0-1", X_Forwarded_For="x")
    [request] = source.asked
    assert set(request.headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert request.headers["User-Agent"] == "onefleet"


async def test_a_cookie_goes_no_further_than_the_answer_that_sets_it(serve, ordered):
    last = await serve(hello)
    first = await serve(leading_to(last.url(), Set_Cookie="a=b; Path=/"))
    assert (await (await ordered(first.url())).ask("/onefleet/file")).status == 200
    assert "Cookie" not in last.asked[0].headers


async def test_what_is_compressed_stays_so(serve, ordered):
    squeezed = gzip.compress(bytes(10 * MIB))

    async def bomb(_: web.BaseRequest) -> web.Response:
        return web.Response(body=squeezed, headers={"Content-Encoding": "gzip"})

    guest = await ordered((await serve(bomb)).url())
    status, told = await guest.curl("--fail", "http://169.254.169.254/onefleet/file")
    assert (status, told) == (0, squeezed)


async def test_the_log_tells_how_it_went_but_not_from_where(serve, ordered, capsys):
    guest = await ordered((await serve(hello)).url(path="/secret"))
    await guest.ask("/onefleet/file")
    [line] = [line for line in capsys.readouterr().out.splitlines() if "download" in line]
    assert "bytes=7" in line
    assert "secret" not in line


# --- where it must not lead


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0.0.0.0",
        "0",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "user:word@127.0.0.1",
        "1.1.1.1@127.0.0.1",
    ],
)
async def test_no_spelling_of_loopback_is_fetched_from(serve, ordered, host):
    source = await serve(hello, "0.0.0.0")
    answer = await (await ordered(source.url(host), allowed=())).ask("/onefleet/file")
    assert answer.status in (403, 502)
    assert source.asked == []


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "[fe80::1]", "224.0.0.1", "255.255.255.255"])
async def test_the_renter_is_told_that_the_address_is_not_public(ordered, host):
    answer = await (await ordered(f"http://{host}/", allowed=())).ask("/onefleet/file")
    sentence = "The URL of the file leads to an address that is not public; from such, nothing is fetched.\n"
    assert (answer.status, answer.text) == (403, sentence)


async def test_a_redirect_leads_no_further_than_a_url_may(serve, ordered):
    hidden = await serve(hello, "127.0.0.2")
    open_one = await serve(leading_to(hidden.url("127.0.0.2")))
    answer = await (await ordered(open_one.url())).ask("/onefleet/file")
    assert (answer.status, len(open_one.asked), hidden.asked) == (403, 1, [])


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "ws://127.0.0.1/", "//127.0.0.1/", "x"]
)
async def test_only_http_is_spoken(serve, ordered, url):
    sentence = "The URL of the file is, or leads to, neither http nor https.\n"
    answer = await (await ordered(url)).ask("/onefleet/file")
    assert (answer.status, answer.text) == (403, sentence)
    if ":" in url:
        answer = await (await ordered((await serve(leading_to(url))).url())).ask("/onefleet/file")
        assert (answer.status, answer.text) == (403, sentence)


@pytest.mark.parametrize(("redirects", "status"), [(MOST_REDIRECTS, 200), (MOST_REDIRECTS + 1, 502)])
async def test_only_so_many_redirects_are_followed(serve, ordered, redirects, status):
    async def count_down(request: web.BaseRequest) -> web.Response:
        left = int(request.path[1:])
        return await (leading_to(f"/{left - 1}") if left else hello)(request)

    guest = await ordered((await serve(count_down)).url(path=f"/{redirects}"))
    assert (await guest.ask("/onefleet/file")).status == status


# --- what goes wrong


async def broken(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"what?\r\n\r\n")
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize("status", [204, 304, 403, 404, 500])
async def test_what_the_server_refuses_is_told_with_its_status(serve, ordered, status):
    async def refuse(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, reason="Because")

    answer = await (await ordered((await serve(refuse)).url())).ask("/onefleet/file")
    assert (answer.status, answer.text) == (502, f"The server of the file answered: {status} Because\n")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://nothing.invalid/", "The name of the server of the file cannot be found."),
        (f"http://{'x' * 70}.example/", "The name of the server of the file cannot be found."),
        ("http://127.0.0.1:99999/", "The URL of the file is not a valid one, or leads to one that is not."),
        ("http://", "The URL of the file is not a valid one, or leads to one that is not."),
    ],
)
async def test_what_is_wrong_with_a_url_is_told(ordered, url, sentence):
    answer = await (await ordered(url)).ask("/onefleet/file")
    assert (answer.status, answer.text) == (502, f"{sentence}\n")


async def test_a_server_that_is_down_is_told_as_such(ordered):
    host, port = free_address()
    answer = await (await ordered(f"http://{host}:{port}/")).ask("/onefleet/file")
    assert (answer.status, answer.text) == (502, "The server of the file cannot be reached.\n")


async def test_a_server_without_tls_is_told_as_such(serve, ordered):
    source = await serve(hello)
    answer = await (await ordered(source.url().replace("http:", "https:"))).ask("/onefleet/file")
    assert (answer.status, answer.text) == (502, "The server of the file does not prove by TLS who it is.\n")


async def test_a_server_that_speaks_no_http_is_told_as_such(serve, ordered):
    answer = await (await ordered((await serve(broken)).url())).ask("/onefleet/file")
    assert (answer.status, answer.text) == (502, "The server of the file did not answer as a web server does.\n")


async def test_a_server_that_never_answers_is_told_as_such(serve, ordered):
    async def think(_: web.BaseRequest) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    answer = await (await ordered((await serve(think)).url(), limits=IN_A_MOMENT)).ask("/onefleet/file")
    assert (answer.status, answer.text) == (502, "The server of the file did not answer in time.\n")


@pytest.mark.parametrize("is_length_known", [True, False])
async def test_half_a_file_does_not_look_like_a_whole_one(serve, ordered, is_length_known):
    async def stop(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        if is_length_known:
            answer.content_length = 1000
        await answer.prepare(request)
        await answer.write(b"half")
        await asyncio.Event().wait()
        return answer

    guest = await ordered((await serve(stop)).url(), limits=IN_A_MOMENT)
    status, _ = await guest.curl("--fail", "http://169.254.169.254/onefleet/file")
    assert status in (18, 56)  # CURLE_PARTIAL_FILE, CURLE_RECV_ERROR


async def test_a_file_that_is_announced_as_too_large_is_not_begun(serve, ordered):
    async def large(_: web.BaseRequest) -> web.Response:
        return web.Response(body=bytes(2 * MIB))

    answer = await (await ordered((await serve(large)).url(), limits=RelayLimits(bytes=MIB))).ask("/onefleet/file")
    assert (answer.status, answer.text) == (502, "The file is larger than 1 MiB.\n")


async def test_a_file_that_turns_out_too_large_is_cut_off(serve, ordered):
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(bytes(65536))

    guest = await ordered((await serve(endless)).url(), limits=RelayLimits(bytes=MIB))
    status, told = await guest.curl("--fail", "http://169.254.169.254/onefleet/file")
    assert status in (18, 56)
    assert len(told) <= MIB


# --- machines that mean no good


async def endless_until_told(request: web.BaseRequest, ended: asyncio.Event) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    try:
        while True:
            await answer.write(bytes(65536))
    finally:
        ended.set()


async def begin(guest: Guest) -> asyncio.StreamWriter:
    """Ask for the file, and read no more than the first of it."""
    reader, writer = await asyncio.open_unix_connection(guest.path, limit=1024)
    writer.write(b"GET /onefleet/file HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return writer


async def test_a_machine_that_hangs_up_ends_the_download(serve, ordered):
    ended = asyncio.Event()
    guest = await ordered((await serve(lambda request: endless_until_told(request, ended))).url())
    writer = await begin(guest)
    writer.close()
    async with asyncio.timeout(10):
        await ended.wait()


async def test_a_machine_that_stops_reading_ends_the_download(serve, ordered):
    ended = asyncio.Event()
    source = await serve(lambda request: endless_until_told(request, ended))
    writer = await begin(await ordered(source.url(), limits=IN_A_MOMENT))
    async with asyncio.timeout(10):
        await ended.wait()
    writer.close()


async def test_a_machine_has_only_so_many_downloads_at_once(serve, ordered):
    ended = asyncio.Event()
    guest = await ordered((await serve(lambda request: endless_until_told(request, ended))).url())
    held = [await begin(guest), await begin(guest)]
    answer = await guest.ask("/onefleet/file")
    assert (answer.status, answer.text) == (
        503,
        "The file was asked for too often at once; try again in a moment.\n",
    )
    for writer in held:
        writer.close()
    async with asyncio.timeout(10):
        await ended.wait()


async def test_a_machine_has_only_so_many_downloads_in_a_row(serve, ordered):
    source = await serve(hello)
    guest = await ordered(source.url(), limits=RelayLimits(in_a_row=2))
    answers = [await guest.ask("/onefleet/file") for _ in range(3)]
    assert ([answer.status for answer in answers], len(source.asked)) == ([200, 200, 503], 2)
    assert answers[-1].text == "The file was asked for too often; try again in 5 seconds.\n"


async def test_closing_breaks_off_downloads_and_leaves_no_complaint(serve, open_street, caplog):
    caplog.set_level(logging.INFO)
    ended = asyncio.Event()
    source = await serve(lambda request: endless_until_told(request, ended))
    street = await open_street(HERE)
    writer = await begin(await street.guest(file_url=source.url()))
    await street.metadata.close()
    async with asyncio.timeout(10):
        await ended.wait()
    writer.close()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
