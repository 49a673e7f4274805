"""The life of the process: listening, signals, the first start, and an orderly end."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import structlog
from aiohttp import hdrs, web

from gateway import config, log, systemd, welcome
from gateway.app import Gateway, at_work, mount, open_gateway
from gateway.config import Endpoint, Explained
from gateway.datadir import DataDirectory
from gateway.reload import Reloader
from gateway.tls import Tls
from gateway.trouble import Trouble

FIRST_ACCOUNT, FIRST_OPERATOR = "first", "operator@localhost"

_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_BACKLOG = 4096
"""As many as Linux keeps. Behind a service manager, whole restarts are waited for in there."""

_IDLE_SECONDS = 75.0
"""How long a connection may be idle, or take to send a request's head. Proxies that keep connections must be quicker
to drop them, as nginx is by default (60 seconds)."""

_LOOK_SECONDS, _FIRST_REQUEST_SECONDS, _GIVING_UP_SECONDS = 0.02, 2.0, 0.5
"""At the end: between two looks at what is still running; for who has just connected to send a request; for what runs
after the grace to take note."""

_MOST_REQUEST_LINE_BYTES = 64 * 1024
"""EC2 clients may send everything in the query, 16 KiB of user data included."""

_GC_THRESHOLDS = (50_000, 20, 50)
"""Rarer than Python's: a pass over all records would hold up bookings. Source: reference/performance.md."""


class CannotListen(Trouble):
    """The address to listen on cannot be had; the text says why."""


async def serve(explained: Explained, directory: DataDirectory, lines: log.Buffer, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT comes; then let requests finish. SIGHUP reads the configuration again.

    `say` is told what the person at the terminal should know; the service manager, if there is one, what concerns it.

    Raises:
        CannotListen, UnusableCertificate, UnusableSocket: see there. What `open_gateway` raises as well.
    """
    manager, settings, file = systemd.take_over(), explained.settings, explained.file.absolute()
    loop = asyncio.get_running_loop()
    lines.attach(loop)
    tls = Tls(settings.server.tls) if settings.server.tls else None
    signals = _heed_signals(loop, lines)
    logger = structlog.get_logger("gateway")
    with manager.watching():
        async with open_gateway(settings, directory, config_file=file) as gateway:
            gateway.current.follow(lambda changed: log.set_level(changed.log.level))
            reloader = Reloader(
                gateway.current, gateway.administration, tls, partial(config.explain, file), explained.values
            )
            async with _answering(gateway, tls, manager.sockets) as address:
                await _greet(gateway, address, file, say)
                _log_start(gateway, address, manager)
                lines.flush()
                _tune_gc()
                herald = systemd.Herald(manager, address, gateway.steward.health)
                async with at_work("herald", herald.run()), at_work("reloads", _reloads(signals, herald, reloader)):
                    await signals.stopping.wait()
                grace = settings.server.shutdown_seconds
                manager.tell_stopping(f"Stopping: requests may take {grace:g} seconds to finish")
                logger.info("stopping", grace_seconds=grace)
            logger.info("every request is answered")
        logger.info("stopped")


@dataclass(frozen=True, slots=True)
class _Signals:
    """What the process was told by signals."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    reloading: asyncio.Event = field(default_factory=asyncio.Event)


async def _reloads(signals: _Signals, herald: systemd.Herald, reloader: Reloader) -> None:
    """Reload whenever that is asked for; what is asked for meanwhile, once more after it.

    Each reload is a task of its own: a fault in one is told to the log, and spoils neither the next nor an orderly end.
    """
    while True:
        await signals.reloading.wait()
        signals.reloading.clear()
        reload = asyncio.create_task(herald.reload(reloader.reload), name="reload")
        try:
            await asyncio.wait([reload])
        finally:
            reload.cancel()


@asynccontextmanager
async def _answering(gateway: Gateway, tls: Tls | None, inherited: Sequence[socket.socket] = ()) -> AsyncIterator[str]:
    """Listen until the block ends, then let running requests finish; yield the URL.

    The sockets that are inherited are listened on in place of the configured address. What they have not been asked for
    by the end stays in them, for the next process.
    """
    server = gateway.settings.server
    runner = web.AppRunner(
        mount(gateway),
        access_log=None,
        keepalive_timeout=_IDLE_SECONDS,
        max_line_size=_MOST_REQUEST_LINE_BYTES,
        shutdown_timeout=_GIVING_UP_SECONDS,
    )
    await runner.setup()
    assert runner.server is not None
    runner.server.request_handler = _with_shortcuts(runner.app, runner.server.request_handler)
    listeners: list[asyncio.Server] = []
    try:
        listeners += [await _listen(runner.server, where, tls) for where in inherited or (server.listen,)]
        async with gateway.inner_door.listening(runner):
            yield _url(listeners[0].sockets[0].getsockname(), is_tls=tls is not None)
            unfinished = asyncio.gather(*(each.wait_closed() for each in listeners))
            await asyncio.sleep(0)  # it must wait before they close: of those that are closed it returns at once
            for each in listeners:
                each.close()
            gateway.stopping.set()
            await _finish(runner, unfinished, server.shutdown_seconds)
    finally:
        for each in listeners:
            each.close()
        await runner.cleanup()


async def _listen(server: web.Server, where: socket.socket | Endpoint, tls: Tls | None) -> asyncio.Server:
    loop, context = asyncio.get_running_loop(), tls.context if tls else None
    if isinstance(where, socket.socket):
        return await loop.create_server(server, sock=where, ssl=context, backlog=_BACKLOG)
    try:
        return await loop.create_server(server, where.host, where.port, ssl=context, backlog=_BACKLOG)
    except OSError as error:
        raise CannotListen(f"server.listen: {where}: {os.strerror(error.errno or 0)}") from error


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


async def _finish(runner: web.AppRunner, unfinished: asyncio.Future[list[None]], seconds: float) -> None:
    """Return once every request is answered, or the time is up; connections are closed as they fall idle.

    aiohttp's own way to stop lets a handler finish too, but takes in nothing more of a body that is on its way.
    `unfinished` is done when the last connection is gone; it knows also of those that TLS is still beginning or ending.
    """
    now = asyncio.get_running_loop().time
    deadline, first_deadline = now() + seconds, now() + min(seconds, _FIRST_REQUEST_SECONDS)
    while now() < deadline:
        connections = [each for each in _connections(runner) if not _is_over(each)]
        may_begin = now() < first_deadline
        if not connections and (unfinished.done() or not may_begin):
            break
        for connection in connections:
            if _is_new(connection) and may_begin:
                continue
            if _is_idle(connection):
                connection.force_close()
            elif _has_arrived(connection):
                connection.close()  # after its answer, however soon the next request comes
        await asyncio.sleep(_LOOK_SECONDS)
    unfinished.cancel()


def _is_new(connection: web.RequestHandler) -> bool:
    """Whether it has not sent any request yet. Who has just connected would be told of nothing but a broken pipe."""
    return connection._request_count == 0  # noqa: SLF001  as below


def _is_over(connection: web.RequestHandler) -> bool:
    """Whether nothing is left but that the client agrees to its end, as TLS wants it; some never do."""
    return connection.transport is None or connection._task_handler is None  # noqa: SLF001  as below


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


def _url(address: tuple[Any, ...], *, is_tls: bool) -> str:
    """Return the URL of a socket that is listened on, as a client on this machine would call it."""
    host, port = address[:2]
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


def _log_start(gateway: Gateway, address: str, manager: systemd.ServiceManager) -> None:
    logger = structlog.get_logger("gateway")
    if manager.sockets:
        logger.info("the service manager's sockets are served, and not server.listen", sockets=len(manager.sockets))
    logger.info("listening", address=address, data_dir=str(gateway.directory.path), pid=os.getpid())


def _heed_signals(loop: asyncio.AbstractEventLoop, lines: log.Buffer) -> _Signals:
    """Return what signals will tell. The second one to stop ends the process at once."""
    signals = _Signals()

    def stop(number: signal.Signals) -> None:
        if signals.stopping.is_set():
            lines.flush()
            os._exit(128 + number)
        signals.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, signals.reloading.set)
    return signals


def _tune_gc() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
