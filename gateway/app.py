"""The house: everything that core and the front-ends need, opened, mounted, and closed in order."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import structlog
from aiohttp import web

from core.administration import Administration
from core.booking import House
from core.catalogue import Catalogue
from core.clock import Clock, SystemClock
from core.compute.drivers import DRIVERS
from core.compute.site import Site
from core.errors import StoreUnavailable
from core.limits import Pace
from core.ports import ComputeDriver, Store
from core.reconciler import Reconciler
from core.sampling import NoSamples, Sampler
from core.service import Core
from core.service.people import PeopleSettings
from core.storage.samples import FILE_NAME as SAMPLES
from core.storage.samples import SampleFile
from core.storage.sqlite import open_sqlite
from gateway import config, control, metrics, verbs
from gateway.config import Settings, TlsSettings
from gateway.current import Current
from gateway.datadir import DataDirectory
from gateway.innerdoor import InnerDoor, open_inner_door
from gateway.metrics import Health, Metrics
from gateway.office import Office
from gateway.tls import expiry_of
from protocols.boundary import Boundary, Exchange, Limits
from protocols.console.app import ConsoleFrontEnd
from protocols.console.house import Backstage, BrokenConfiguration, Finding
from protocols.console.house import House as ConsoleHouse
from protocols.console.settings import ConsoleSettings, Endpoint
from protocols.ec2.app import Ec2FrontEnd, by_host
from protocols.ec2.explorable import Ec2Explorable
from protocols.ec2.settings import Ec2Settings
from protocols.explorable import Explorable
from protocols.metadata.app import MetadataFrontEnd
from protocols.metadata.downloads import Relay
from protocols.zerosix.app import ZeroSixFrontEnd
from protocols.zerosix.explorable import ZeroSixExplorable
from protocols.zerosix.settings import ZeroSixSettings

_KIB = 1024
_RESTART_SECONDS = 1.0
_KEEP_USES_SECONDS = 30.0

# --- what is open


class Steward:
    """Keeps the reconciler running, and knows how the parts are."""

    def __init__(self, store: Store, reconciler: Reconciler) -> None:
        self._store, self._reconciler = store, reconciler
        self._trouble = ""
        self._log = structlog.get_logger("gateway")

    @asynccontextmanager
    async def reconciling(self) -> AsyncIterator[None]:
        """Reconcile until the block ends."""
        async with at_work("reconciler", self._reconcile()):
            yield

    async def health(self) -> Health:
        """Return how the store and the reconciler are."""
        return Health(await self._store_trouble(), self._reconciler_trouble())

    async def keep_key_uses(self, core: Core) -> None:
        """Write down now and then when API keys were used, and at the end what is not written yet."""
        try:
            while True:
                await asyncio.sleep(_KEEP_USES_SECONDS)
                with suppress(StoreUnavailable):  # the store has told the log; the next time is soon
                    await core.access.keep_uses()
        finally:
            with suppress(StoreUnavailable):
                await core.access.keep_uses()

    async def _reconcile(self) -> None:
        while True:
            try:
                await self._reconciler.run()
            except Exception as error:  # noqa: BLE001  the loop must go on, whatever ended it; the operator is told
                self._trouble = f"the reconciler ended unexpectedly: {error}"
                self._log.error("the reconciler ended and is started again", exc_info=error)
            await asyncio.sleep(_RESTART_SECONDS)

    async def _store_trouble(self) -> str:
        try:
            await self._store.check()
        except StoreUnavailable:
            return "the database cannot be written; the log tells why"
        return ""

    def _reconciler_trouble(self) -> str:
        if not self._reconciler.has_swept:
            return self._trouble or "the machines have not been looked at yet"
        return ""


@asynccontextmanager
async def at_work(name: str, work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do the work beside the block, until that ends."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass(frozen=True, slots=True)
class Gateway:
    """All parts, open. Made by `open_gateway`."""

    current: Current
    directory: DataDirectory
    store: Store
    driver: ComputeDriver
    reconciler: Reconciler
    sampler: Sampler
    administration: Administration
    core: Core
    metrics: Metrics
    steward: Steward
    inner_door: InnerDoor
    config_file: Path | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def settings(self) -> Settings:
        """The settings that count now."""
        return self.current.settings


@asynccontextmanager
async def open_gateway(
    settings: Settings, directory: DataDirectory, clock: Clock | None = None, config_file: Path | None = None
) -> AsyncIterator[Gateway]:
    """Yield all parts, at work but for the listening; close them when the block ends. The clock is the machine's own.

    `config_file` is where the settings were read from, to compare what runs with what stands there by then.

    Raises:
        IncompatibleDatabase: the database cannot be used.
        DriverError: the driver cannot work at all.
    """
    compute, clock = settings.compute, clock or SystemClock()
    async with AsyncExitStack() as closing:
        store = await open_sqlite(directory.database, directory.vault, clock)
        closing.push_async_callback(store.close)
        await Administration(store, clock).set_catalogue(settings.catalogue)
        current, site = Current(settings), settings.site
        driver = DRIVERS[compute.driver].open_driver(compute.driver_settings, site)
        reconciler = Reconciler(
            store,
            driver,
            clock,
            compute.ports,
            sweep_seconds=compute.sweep_seconds,
            launch_timeout_seconds=compute.launch_timeout_seconds,
            orphan_policy=compute.orphans,
        )
        administration = Administration(store, clock, reconciler.wake)
        house = House(compute.ports, settings.limits.per_account)
        pace = Pace(settings.limits.requests_per_second, settings.limits.burst)
        current.follow(partial(_keep_up, house=house, pace=pace, site=site))
        samples = SampleFile(directory.path / SAMPLES) if compute.sample_seconds else NoSamples()
        closing.push_async_callback(samples.close)
        core = Core(
            store,
            directory.vault,
            clock,
            house,
            wake=reconciler.wake,
            console=driver.console_log,
            screen=driver.screenshot,
            pace=pace,
            samples=samples,
            people=_people(settings.console),
            serial=driver.open_console,
        )
        metadata = MetadataFrontEnd(
            core, Relay(compute.relay_from), domain=urlsplit(settings.server.public_url).hostname or ""
        )
        closing.push_async_callback(metadata.close)
        closing.push_async_callback(driver.close)  # also of one that has failed to open
        await driver.open(metadata.door)
        steward = Steward(store, reconciler)
        await closing.enter_async_context(steward.reconciling())
        await closing.enter_async_context(at_work("key uses", steward.keep_key_uses(core)))
        sampler = Sampler(store, driver, samples, clock, every_seconds=compute.sample_seconds)
        if compute.sample_seconds:
            await closing.enter_async_context(at_work("sampler", sampler.run()))
        office = Office(administration, core, store, compute.ssh_host, steward.health)
        await closing.enter_async_context(control.listening(directory.path, partial(verbs.carry_out, office)))
        inner_door = await closing.enter_async_context(open_inner_door(directory.path))
        yield Gateway(
            current,
            directory,
            store,
            driver,
            reconciler,
            sampler,
            administration,
            core,
            _metrics(directory, current),
            steward,
            inner_door,
            config_file,
        )


def _metrics(directory: DataDirectory, current: Current) -> Metrics:
    """Return metrics that tell of the disk too, and of the certificate that was read last."""
    told = Metrics()
    told.watch_disk(directory.path)

    def note(tls: TlsSettings) -> None:
        with suppress(OSError, ValueError):  # it has been judged already, where somebody can be told
            told.note_certificate(expiry_of(tls.certificate))

    current.follow_part(note, lambda settings: settings.server.tls)
    if current.settings.server.tls is not None:
        note(current.settings.server.tls)
    return told


def _keep_up(settings: Settings, *, house: House, pace: Pace, site: Site) -> None:
    house.limits = settings.limits.per_account
    pace.change(settings.limits.requests_per_second, settings.limits.burst)
    now = settings.site
    site.images, site.on_sale, site.pool = now.images, now.on_sale, now.pool


# --- what is mounted


def mount(gateway: Gateway) -> web.Application:
    """Return the application: every front-end that is on, the operator's pages, and a plain answer elsewhere."""
    settings = gateway.settings
    limits = Limits(settings.server.max_body_kib * _KIB, settings.server.body_seconds)
    boundary = Boundary(
        limits=limits,
        proxies=settings.server.trusted_proxies,
        public_url=_scheme_and_host(settings.server.public_url),
        record=gateway.metrics.record,
    )
    app = web.Application(client_max_size=limits.body_bytes)
    _mount_ec2(app, gateway, boundary)
    if (at := _zerosix(settings)) is not None:
        zerosix = ZeroSixFrontEnd(gateway.core, at, boundary)
        gateway.current.follow_part(zerosix.change, _zerosix)
        zerosix.mount(app, boundary.handler(zerosix))
    if (shown := _console(settings)) is not None:
        house = ConsoleHouse(_explorables(gateway), gateway.inner_door, _backstage(gateway), gateway.stopping)
        console = ConsoleFrontEnd(gateway.core, gateway.administration, boundary, shown, house)
        gateway.current.follow_part(console.change, _console)
        console.mount(app, boundary.handler(console))
    OperatorPages(gateway).mount(app)
    app.router.add_route("*", "/{path:.*}", boundary.handler(Elsewhere(settings)))
    return app


def _mount_ec2(app: web.Application, gateway: Gateway, boundary: Boundary) -> None:
    front_ends = [Ec2FrontEnd(gateway.core, boundary, endpoint) for endpoint in _ec2(gateway.settings)]
    for path in dict.fromkeys(each.settings.path for each in front_ends):
        app.router.add_route("*", path, by_host([each for each in front_ends if each.settings.path == path], boundary))

    def keep_up(settings: Settings) -> None:
        for front_end, endpoint in zip(front_ends, _ec2(settings), strict=True):
            front_end.settings = endpoint

    gateway.current.follow(keep_up)


def _ec2(settings: Settings) -> Sequence[Ec2Settings]:
    home = settings.console.path if settings.console else ""
    return [Ec2Settings(**asdict(each), ssh_host=settings.compute.ssh_host, home=home) for each in settings.ec2]


def _zerosix(settings: Settings) -> ZeroSixSettings | None:
    own, ssh_host = settings.zerosix, settings.compute.ssh_host
    if own is None:
        return None
    return ZeroSixSettings(path=own.path, timezone=own.timezone, ranks=own.ranks, ssh_host=ssh_host)


def _console(settings: Settings) -> ConsoleSettings | None:
    console, zerosix = settings.console, settings.zerosix
    if console is None:
        return None
    endpoints = [Endpoint("EC2", each.path, each.host, each.dialect) for each in settings.ec2]
    if zerosix is not None:
        endpoints.append(Endpoint("ZeroSix", zerosix.path))
    ranks = zerosix.ranks if zerosix is not None else {}
    return ConsoleSettings(console.path, console.title, console.issuer, settings.compute.ssh_host, endpoints, ranks)


def _people(console: config.ConsoleSettings | None) -> PeopleSettings:
    if console is None:
        return PeopleSettings()
    return PeopleSettings(timedelta(hours=console.session_hours), console.has_sign_up)


def _explorables(gateway: Gateway) -> Sequence[Explorable]:
    """Return what can be explored: of endpoints that are called the same, the first."""
    found: dict[str, Explorable] = {}
    for endpoint in _ec2(gateway.settings):
        ec2 = Ec2Explorable(endpoint)
        found.setdefault(ec2.name, ec2)
    if (at := _zerosix(gateway.settings)) is not None:
        zerosix = ZeroSixExplorable(at)
        gateway.current.follow_part(zerosix.change, _zerosix)
        found[zerosix.name] = zerosix
    return list(found.values())


def _backstage(gateway: Gateway) -> Backstage:
    async def troubles() -> Mapping[str, str]:
        return (await gateway.steward.health()).reasons()

    reconciler = gateway.reconciler
    return Backstage(
        backlog=reconciler.backlog,
        orphans=lambda: reconciler.orphan_ids,
        hosts=gateway.driver.hosts,
        totals=lambda: gateway.sampler.totals,
        configured=partial(_configured, gateway),
        look=partial(_look_at_driver, gateway.current),
        troubles=troubles,
    )


async def _configured(gateway: Gateway) -> Catalogue:
    if gateway.config_file is None:
        return gateway.settings.catalogue
    try:
        return (await asyncio.to_thread(config.load, gateway.config_file)).catalogue
    except config.ConfigError as error:
        raise BrokenConfiguration(error.problems) from error


async def _look_at_driver(current: Current) -> Sequence[Finding]:
    compute, site = current.settings.compute, current.settings.site
    sights = await asyncio.to_thread(DRIVERS[compute.driver].look, compute.driver_settings, site)
    return [Finding(sight.is_ok, sight.text) for sight in sights]


def _scheme_and_host(public_url: str) -> tuple[str, str] | None:
    parts = urlsplit(public_url)
    return (parts.scheme, parts.netloc) if public_url else None


class OperatorPages:
    """How the process is, for those who watch it. Not logged: they ask every few seconds."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def mount(self, app: web.Application) -> None:
        """Answer on `/healthz`, `/readyz` and `/metrics`."""
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        health = await self._gateway.steward.health()
        body = orjson.dumps({"ready": health.is_ready, **health.reasons()}, option=orjson.OPT_APPEND_NEWLINE)
        return web.Response(status=200 if health.is_ready else 503, body=body, content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        gateway, health = self._gateway, await self._gateway.steward.health()
        text = gateway.metrics.expose(await gateway.store.view(), gateway.reconciler, health, gateway.sampler.totals)
        return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})


class Elsewhere:
    """What is told to requests that no front-end answers. See `protocols.boundary.FrontEnd`."""

    name = "none"

    def __init__(self, settings: Settings) -> None:
        self._home = settings.console.path if settings.console else ""
        console = f", and its console on {self._home}" if self._home else ""
        self._text = f"Nothing answers here. This is a Onefleet gateway, with {settings.mounts}{console}.\n"

    async def answer(self, request: web.Request, exchange: Exchange) -> web.Response:
        """Return a pointer to the front-ends; from the root, lead to the console."""
        if self._home and request.method == "GET" and request.raw_path == "/":
            return web.Response(status=302, headers={"Location": self._home})
        exchange.code = "NotFound"
        return web.Response(status=404, text=self._text)

    def refuse(self, error: Exception, exchange: Exchange) -> web.Response:  # noqa: ARG002  the protocol's
        """Return a plain server fault."""
        return web.Response(status=500, text="Something went wrong.\n")
