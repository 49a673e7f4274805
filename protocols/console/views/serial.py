"""The serial console of a machine in a browser: a ticket, the page that it leads to, and the socket that uses it up."""

from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from core.errors import CoreError, IncorrectState
from core.ports import DriverCode, DriverError, SerialConsole
from protocols.console import auth
from protocols.console.errors import MethodNotAllowed
from protocols.console.lasting import while_there
from protocols.console.rendering import POLICY
from protocols.console.routes import Pages, Visit
from protocols.console.views.machine import page, show_console

pages = Pages()

_LONGEST_MESSAGE_BYTES = 64 * 1024
_WRITE_BYTES = 16 * 1024
_HEARTBEAT_SECONDS = 30.0
_LONGEST_REASON_BYTES = 120  # Source: RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the code

# xterm.js lays out its rows with style elements of its own; see vendor/LICENCES for which version it is.
_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")


@pages.post("machines/{machine}/serial", again=show_console)
async def open_console(visit: Visit) -> web.StreamResponse:
    """Lead to the console by a ticket of its own, or say why there is none."""
    try:
        ticket = await visit.core.serial.ticket(visit.calling, visit.machine_id())
    except DriverError as error:
        return await page(
            visit, "serial_none.html", "/console", text=str(error), is_none=error.code is DriverCode.UNSUPPORTED
        )
    return visit.go(f"machines/{visit.variables['machine']}/serial{visit.query_of(ticket=ticket)}")


@pages.get("machines/{machine}/serial")
async def show(visit: Visit) -> web.StreamResponse:
    """Return the page with the terminal. Without a ticket it has only the button that makes one."""
    visit.headers["Content-Security-Policy"] = _POLICY
    return await page(visit, "serial.html", "/console", ticket=visit.query.get("ticket", ""))


@pages.get("machines/{machine}/serial/socket")
async def socket(visit: Visit) -> web.StreamResponse:
    """Connect a page's terminal with the machine's console, until either side ends, or the person is signed out."""
    if not auth.is_own_socket(visit.request, visit.exchange):
        raise auth.NotFromHere
    if not web.WebSocketResponse().can_prepare(visit.request):
        raise MethodNotAllowed
    visit.exchange.is_long = True
    with visit.house.terminals.taking(visit.me.sign_in.id):
        ws = web.WebSocketResponse(
            max_msg_size=_LONGEST_MESSAGE_BYTES, heartbeat=_HEARTBEAT_SECONDS, compress=False, timeout=1.0
        )
        await ws.prepare(visit.request)
        with suppress(ConnectionError):  # the browser has left
            await _connect(visit, ws)
    return ws


async def _connect(visit: Visit, ws: web.WebSocketResponse) -> None:
    reason = "The console has ended: the machine stopped, or you were signed out."
    try:
        ticket = visit.query.get("ticket", "")
        console = await visit.core.serial.open(visit.calling, visit.machine_id(), ticket)
    except CoreError as error:
        reason = _in_words(error)
    else:
        try:
            await while_there(visit, _show(console, ws), _type(console, ws))
        except DriverError as error:
            reason = str(error)
        finally:
            await console.close()
    code = WSCloseCode.GOING_AWAY if visit.house.stopping.is_set() else WSCloseCode.OK
    await ws.close(code=code, message=_cut(reason))


def _cut(reason: str) -> bytes:
    """Return as much of a text as the end of a socket can tell, in whole characters."""
    return reason.encode()[:_LONGEST_REASON_BYTES].decode("utf-8", "ignore").encode()


def _in_words(error: CoreError) -> str:
    return "The machine does not run: start it first." if isinstance(error, IncorrectState) else str(error)


async def _show(console: SerialConsole, ws: web.WebSocketResponse) -> None:
    while written := await console.read():
        await ws.send_bytes(written)


async def _type(console: SerialConsole, ws: web.WebSocketResponse) -> None:
    async for message in ws:
        if message.type is not WSMsgType.BINARY:
            return
        for start in range(0, len(message.data), _WRITE_BYTES):
            await console.write(message.data[start : start + _WRITE_BYTES])
