import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from core.journal import DeedQuery
from core.ports import DriverCode, DriverError
from tests.clocks import eventually
from tests.fleetfixture import open_house
from tests.protocols.console.test_machines import spelled


class Echo:
    """A serial console that greets, and writes what is typed in capitals. See `SerialConsole`."""

    def __init__(self) -> None:
        self._written: asyncio.Queue[bytes] = asyncio.Queue()
        self._written.put_nowait(b"login: \xff")
        self.is_closed = False

    async def read(self) -> bytes:
        return await self._written.get()

    async def write(self, data: bytes) -> None:
        self._written.put_nowait(b"" if data == b"exit" else data.upper())

    async def close(self) -> None:
        self.is_closed = True


class Consoles:
    """The consoles of all machines, and those that have been opened so far."""

    def __init__(self) -> None:
        self.opened: list[Echo] = []
        self.trouble: DriverError | None = None

    async def open(self, _) -> Echo:
        if self.trouble is not None:
            raise self.trouble
        self.opened.append(Echo())
        return self.opened[-1]


@pytest.fixture
def consoles():
    return Consoles()


@pytest.fixture
async def house(tmp_path, consoles):
    async with open_house(tmp_path, serial=consoles.open) as opened:
        yield opened


@pytest.fixture
def path(ours):
    return f"machines/{spelled(ours.ids[0])}/serial"


async def a_socket(console, path) -> str:
    """Return where the socket is that a fresh ticket opens."""
    parts = urlsplit((await console.post(path)).leads_to)
    assert parts.path == path
    return f"{path}/socket?ticket={parse_qs(parts.query)['ticket'][0]}"


async def hear(ws, wanted: bytes) -> None:
    heard = b""
    async with asyncio.timeout(10):
        while wanted not in heard:
            heard += await ws.receive_bytes()


async def farewell(ws) -> str:
    """Return why the socket was closed."""
    async with asyncio.timeout(10):
        while (message := await ws.receive()).type is WSMsgType.BINARY:
            pass
    assert message.type is WSMsgType.CLOSE
    return str(message.extra)


async def test_one_types_at_the_machine_and_reads_what_it_writes(console, path, consoles):
    async with console.socket(await a_socket(console, path)) as ws:
        await hear(ws, b"login: \xff")
        await ws.send_bytes(b"root")
        await hear(ws, b"ROOT")
    await eventually(lambda: all(each.is_closed for each in consoles.opened))


async def test_the_page_may_style_its_terminal_and_no_other_page_may(console, path):
    page = await console.get((await console.post(path)).leads_to)
    assert "style-src 'self' 'unsafe-inline'" in page.headers["Content-Security-Policy"]
    assert page.all("#serial")[0].get("data-ticket")
    assert "unsafe" not in (await console.get("machines")).headers["Content-Security-Policy"]


async def test_a_ticket_lets_in_once(console, path):
    socket = await a_socket(console, path)
    async with console.socket(socket) as ws:
        await hear(ws, b"login")
        async with console.socket(socket) as again:
            assert "used before" in await farewell(again)


async def test_a_ticket_is_void_after_half_a_minute(console, path, house):
    socket = await a_socket(console, path)
    house.clock.advance(timedelta(seconds=30))
    async with console.socket(socket) as ws:
        assert "too old" in await farewell(ws)


async def test_a_ticket_opens_no_other_machine(console, path, ours):
    socket = await a_socket(console, path)
    async with console.socket(socket.replace(spelled(ours.ids[0]), spelled(ours.ids[1]))) as ws:
        assert "used before" in await farewell(ws)


async def test_a_ticket_lets_nobody_else_in(console, site, house, path):
    socket = await a_socket(console, path)
    colleague = await site.signed_in(await house.person("eve@example.com"))
    async with colleague.socket(socket) as ws:
        assert "used before" in await farewell(ws)


async def test_a_page_of_another_site_opens_no_socket(console, path):
    socket = await a_socket(console, path)
    with pytest.raises(WSServerHandshakeError, match="403"):
        async with console.socket(socket, origin="http://evil.example"):
            pass


async def test_whoever_is_not_signed_in_opens_no_socket(site, console, path):
    socket = await a_socket(console, path)
    with pytest.raises(WSServerHandshakeError, match="200"):
        await (await site.browser()).socket(socket)  # which is led to the sign-in


async def test_the_end_of_the_console_is_told(console, path):
    async with console.socket(await a_socket(console, path)) as ws:
        await ws.send_bytes(b"exit")
        assert "has ended" in await farewell(ws)


async def test_it_ends_with_the_sign_in(console, path, site):
    async with console.socket(await a_socket(console, path)) as ws:
        await hear(ws, b"login")
        await console.post("sign-out")
        await farewell(ws)
    await eventually(lambda: site.lent.terminals.taken == 0)


async def test_it_ends_when_the_gateway_stops(console, path, site):
    async with console.socket(await a_socket(console, path)) as ws:
        await hear(ws, b"login")
        site.lent.stopping.set()
        await farewell(ws)


async def test_what_is_no_keys_ends_it(console, path):
    async with console.socket(await a_socket(console, path)) as ws:
        await ws.send_str("text")
        await farewell(ws)


async def test_more_keys_at_once_than_anybody_types_end_it(console, path):
    async with console.socket(await a_socket(console, path)) as ws:
        await ws.send_bytes(bytes(65 * 1024))
        await farewell(ws)


async def test_one_sign_in_has_five_consoles_open_and_no_more(console, path):
    sockets = [await console.socket(await a_socket(console, path)) for _ in range(5)]
    with pytest.raises(WSServerHandshakeError, match="429"):
        await console.socket(await a_socket(console, path))
    for ws in sockets:
        await ws.close()


@pytest.mark.parametrize("code", [DriverCode.UNSUPPORTED, DriverCode.CONFLICT])
async def test_a_machine_without_a_console_has_a_page_that_says_so(console, path, consoles, code):
    consoles.trouble = DriverError(code, "Not this <one>.")
    page = await console.post(path)
    assert page.status == 200
    assert "Not this <one>." in page.visible
    assert ("There is no serial console" in page.visible) == (code is DriverCode.UNSUPPORTED)


async def test_a_machine_that_is_stopped_has_none(console, path, ours):
    await ours.stop()
    page = await console.post(path)
    assert page.status == 422
    assert "stopped" in page.problems[0]


async def test_that_somebody_opened_it_is_written_down(console, path, ours, house):
    async with console.socket(await a_socket(console, path)) as ws:
        await hear(ws, b"login")
    deeds = await house.core.history.deeds(ours.caller, DeedQuery(verb="open serial console"))
    assert [(deed.author.actor, deed.subject) for deed in deeds] == [("ann@example.com", f"machine {ours.ids[0]}")]


async def test_another_accounts_console_is_not_there(stranger, path):
    assert (await stranger.post(path)).status == 404


async def test_the_other_account_gets_no_way_in_with_our_ticket(console, path, house, site, theirs):
    socket = await a_socket(console, path)
    bob = await site.signed_in(await house.person("bob@example.com", house.theirs))
    async with bob.socket(socket) as ws:
        assert "used before" in await farewell(ws)
