"""The life of the process: listening, signals, the first start, and an orderly end."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import structlog
from aiohttp import hdrs, web

from gateway import log, welcome
from gateway.app import Gateway, mount, open_gateway
from gateway.config import Settings
from gateway.datadir import DataDirectory
from gateway.tls import Tls, UnusableCertificate
from gateway.trouble import Trouble

FIRST_ACCOUNT, FIRST_OPERATOR = "first", "operator@localhost"

_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_BACKLOG = 1024
_IDLE_SECONDS = 75.0
"""How long a connection may be idle, or take to send a request's head. Proxies that keep connections must be quicker
to drop them, as nginx is by default (60 seconds)."""

_LOOK_SECONDS, _GIVING_UP_SECONDS = 0.02, 0.5
"""At the end: between two looks at what is still running; for what runs after the grace to take note."""

_MOST_REQUEST_LINE_BYTES = 64 * 1024
"""EC2 clients may send everything in the query, 16 KiB of user data included."""

_GC_THRESHOLDS = (50_000, 20, 50)
"""Rarer than Python's: a pass over all records would hold up bookings. Source: reference/performance.md."""


class CannotListen(Trouble):
    """The address to listen on cannot be had; the text says why."""


async def serve(
    settings: Settings, directory: DataDirectory, lines: log.Buffer, config_file: Path, say: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT comes; then let requests finish. SIGHUP reads the certificate again.

    `say` is told what the person at the terminal should know.

    Raises:
        CannotListen, UnusableCertificate: see there. What `open_gateway` raises as well.
    """
    loop = asyncio.get_running_loop()
    lines.attach(loop)
    tls = Tls(settings.server.tls) if settings.server.tls else None
    stopping = _heed_signals(loop, lines, tls)
    logger = structlog.get_logger("gateway")
    async with open_gateway(settings, directory, config_file=config_file) as gateway:
        async with _answering(gateway, tls) as address:
            await _greet(gateway, address, config_file, say)
            logger.info("listening", address=address, data_dir=str(directory.path), pid=os.getpid())
            lines.flush()
            _tune_gc()
            await stopping.wait()
            logger.info("stopping", grace_seconds=settings.server.shutdown_seconds)
        logger.info("every request is answered")
    logger.info("stopped")


@asynccontextmanager
async def _answering(gateway: Gateway, tls: Tls | None) -> AsyncIterator[str]:
    """Listen until the block ends, then let running requests finish; yield the URL."""
    server = gateway.settings.server
    runner = web.AppRunner(
        mount(gateway),
        access_log=None,
        keepalive_timeout=_IDLE_SECONDS,
        max_line_size=_MOST_REQUEST_LINE_BYTES,
        shutdown_timeout=_GIVING_UP_SECONDS,
    )
    await runner.setup()
    if runner.server is not None:
        runner.server.request_handler = _with_shortcuts(runner.app, runner.server.request_handler)
    try:
        context = tls.context if tls else None
        site = web.TCPSite(runner, server.listen.host, server.listen.port, ssl_context=context, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:
            raise CannotListen(f"server.listen: {server.listen}: {os.strerror(error.errno or 0)}") from error
        async with gateway.inner_door.listening(runner):
            yield _url(runner.addresses, is_tls=tls is not None)
            await site.stop()
            gateway.stopping.set()
            await _finish(runner, server.shutdown_seconds)
    finally:
        await runner.cleanup()


def _with_shortcuts(app: web.Application, otherwise: _Handler) -> _Handler:
    """Return a handler that finds what answers a path, or a whole folder, at a glance, whatever the method.

    aiohttp's router, to which all else is left, takes a twentieth of a request's time.
    """
    paths: dict[str, _Handler | None] = {}
    folders: list[tuple[str, _Handler | None]] = []
    for route in app.router.routes():
        assert route.resource is not None
        name, pattern = route.resource.canonical, route.resource.get_info().get("pattern")
        handler = cast("_Handler", route.handler) if route.method == hdrs.METH_ANY else None
        if pattern is None:
            paths[name] = None if name in paths else handler
        else:
            folder = name.partition("{")[0]
            folders.append((folder, handler if pattern.fullmatch(f"{folder}any/thing") else None))
    folders.sort(key=lambda each: len(each[0]), reverse=True)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        handler = paths.get(path)
        if handler is None and path not in paths and "%" not in path:
            handler = next((handler for folder, handler in folders if path.startswith(folder)), None)
        if handler is None or hdrs.EXPECT in request.headers:
            return await otherwise(request)
        return await handler(request)

    return handle


async def _finish(runner: web.AppRunner, seconds: float) -> None:
    """Return once every request is answered, or the time is up; connections are closed as they fall idle.

    aiohttp's own way to stop lets a handler finish too, but takes in nothing more of a body that is on its way.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while (connections := _connections(runner)) and asyncio.get_running_loop().time() < deadline:
        for connection in connections:
            if _is_idle(connection):
                connection.force_close()
            elif _has_arrived(connection):
                connection.close()  # after its answer, however soon the next request comes
        await asyncio.sleep(_LOOK_SECONDS)


def _is_idle(connection: web.RequestHandler) -> bool:
    """Whether it waits for a request. One whose head has come is carried out, although it is not in progress yet."""
    waiter = connection._waiter  # noqa: SLF001  aiohttp tells it nowhere else
    return waiter is not None and not waiter.done()


def _has_arrived(connection: web.RequestHandler) -> bool:
    """Whether it answers a request of which nothing is still on its way."""
    request = connection._current_request  # noqa: SLF001  as above
    return request is not None and request.content.is_eof()


def _connections(runner: web.AppRunner) -> Sequence[web.RequestHandler]:
    return runner.server.connections if runner.server is not None else []


def _url(addresses: Sequence[tuple[str, int]], *, is_tls: bool) -> str:
    """Return the URL of the first address that is listened on, as a client on this machine would call it."""
    host, port = addresses[0][:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  nothing is bound here
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


async def _greet(gateway: Gateway, address: str, config_file: Path, say: Callable[[str], None]) -> None:
    """Tell where the gateway answers; on the first start, make an account with a key and tell all about it."""
    settings, administration = gateway.settings, gateway.administration
    text = welcome.greeting(address, settings)
    if not await administration.accounts():
        holder = await administration.add_account_with_key(FIRST_ACCOUNT)
        key = welcome.FirstKey(holder.account.id, holder.key.access_key, holder.key.secret_key)
        if settings.console is not None:
            person = await administration.add_user(holder.account.id, FIRST_OPERATOR, is_operator=True)
            key = replace(key, email=person.user.email, password=person.password)
        endpoint, state = settings.server.public_url or address, await gateway.store.view()
        text += welcome.welcome(endpoint, settings, state, key, notice=gateway.driver.notice, config_file=config_file)
    say(text)


def _heed_signals(loop: asyncio.AbstractEventLoop, lines: log.Buffer, tls: Tls | None) -> asyncio.Event:
    """Return the event that the first signal to stop sets; the second ends the process at once."""
    stopping = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        if stopping.is_set():
            lines.flush()
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, _reload, tls)
    return stopping


def _reload(tls: Tls | None) -> None:
    logger = structlog.get_logger("gateway")
    if tls is None:
        logger.info("SIGHUP: there is nothing to read again without [server.tls]")
        return
    try:
        tls.reload()
    except UnusableCertificate as error:
        logger.error("the former certificate stays in use: %s", error)  # noqa: TRY400  the trace tells no more
    else:
        logger.info("the certificate was read again")


def _tune_gc() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
