"""A whole gateway in a thread of this process: on real files and a real socket, its clock and its driver at hand."""

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import structlog
from aiohttp import web

from core.compute.simulated import SimulatedDriver
from gateway import app, config
from gateway.app import Gateway
from gateway.datadir import DataDirectory
from tests.clocks import ManualClock
from tests.customers import Customer
from tests.running import Document, Keys, a_config

T = TypeVar("T")

_PATIENCE_SECONDS = 20.0


class HostedGateway:
    """The gateway of a folder; it can be opened, closed and opened again. `endpoint` is where it answers meanwhile.

    `complaints` are its log lines at warning and above, and what its event loop had to complain about.
    """

    def __init__(self, folder: Path, clock: ManualClock, **sections: Any) -> None:
        self.clock = clock
        self.complaints: list[Mapping[str, Any]] = []
        self.is_silent = False
        self.data = folder / "data"
        self._folder, self._document = folder, a_config(folder, **sections)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _, context: self.complaints.append({"level": "error", **context}))
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway")
        self._closing = AsyncExitStack()
        self._gateway: Gateway | None = None
        self._listening: web.Server | None = None
        self.endpoint = ""
        self._structlog = structlog.get_config()
        structlog.configure(
            processors=[self._hear],
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            cache_logger_on_first_use=False,
        )
        self._thread.start()

    # --- its life

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.end()

    def open(self, **sections: Any) -> Self:
        """Open everything and answer requests; the configuration may be changed. Return it once it has swept."""
        self._document |= sections
        self._run(self._open())
        return self

    def close(self) -> None:
        """Let requests finish, and close everything."""
        self._run(self._closing.aclose())
        self._gateway, self.is_silent = None, False

    def end(self) -> None:
        """Close it if it is open, and end its thread."""
        try:
            if self._gateway is not None:
                self.close()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            structlog.configure(**self._structlog)

    def new_keys(self, name: str) -> Keys:
        """Return the keys of a new account."""
        administration = self.gateway.administration
        account = self._run(administration.add_account(name))
        holder = self._run(administration.add_key(account.id, "tests", ()))
        return Keys(f"{account.id:012d}", holder.key.access_key, holder.key.secret_key)

    def customer(self, keys: Keys) -> Customer:
        """Return a customer whose clock is the gateway's."""
        return Customer(self.endpoint, keys, self.clock)

    # --- its inside, to arrange things

    @property
    def is_open(self) -> bool:
        return self._gateway is not None

    @property
    def gateway(self) -> Gateway:
        assert self._gateway is not None, "the gateway is not open"
        return self._gateway

    @property
    def driver(self) -> SimulatedDriver:
        driver = self.gateway.driver
        assert isinstance(driver, SimulatedDriver)
        return driver

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self.do(lambda: len(self._server.connections))

    @property
    def requests(self) -> int:
        """How many requests have begun to be answered."""
        return self.do(lambda: self._server.requests_count)

    def do(self, deed: Callable[..., T], *values: object) -> T:
        """Return what a function returns that is called in the gateway's thread."""

        async def done() -> T:
            return deed(*values)

        return self._run(done())

    def fall_silent(self, is_silent: bool) -> None:  # noqa: FBT001  as `SimulatedDriver.go_silent`
        """Let the driver's backend stop answering, or answer again."""
        self.is_silent = is_silent
        self.do(self.driver.go_silent, is_silent)

    def sweep(self) -> None:
        """Let the reconciler look at all machines and clear away, as it does every so often."""
        reconciler = self.gateway.reconciler
        self._run(reconciler._survives(reconciler._sweep()))

    def settle(self) -> None:
        """Return once the reconciler has done all it can do, with whatever waits for a better moment tried again."""
        self._run(self._settle())

    # --- how it is done

    @property
    def _server(self) -> web.Server:
        assert self._listening is not None, "the gateway is not open"
        return self._listening

    async def _open(self) -> None:
        settings = config.parse(self._document, self._folder)
        async with AsyncExitStack() as opening:
            directory = opening.enter_context(DataDirectory.open(settings.server.data_dir, settings.storage.path))
            gateway = await opening.enter_async_context(app.open_gateway(settings, directory, self.clock))
            runner = web.AppRunner(app.mount(gateway), access_log=None)
            await runner.setup()
            opening.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not gateway.reconciler.has_swept:  # noqa: ASYNC110  it has no event for it
                    await asyncio.sleep(0.001)
            self._closing, self._gateway, self._listening = opening.pop_all(), gateway, runner.server
        host, port = runner.addresses[0][:2]
        self.endpoint = f"http://{host}:{port}"

    async def _settle(self) -> None:
        reconciler, events = self.gateway.reconciler, self.driver._events
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                while not events.empty():  # noqa: ASYNC110  the queue tells nobody that it is empty
                    await asyncio.sleep(0)
                await reconciler.settle()
                waiting = list(reconciler._timers)
                if self.is_silent or not waiting:
                    return
                reconciler.wake(waiting)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_SECONDS)

    def _hear(self, _: object, method: str, event: Document) -> Document:
        self.complaints.append({"level": method, **event, "exception": traceback.format_exc()})
        raise structlog.DropEvent
