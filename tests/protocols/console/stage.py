"""What is behind the console's scenes, for the operator's pages: a driver of simulated machines, and a reconciler."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.booking import PortRange
from core.catalogue import Catalogue
from core.compute.simulated import SimulatedDriver, SimulatedSettings
from core.compute.site import Site as DriverSite
from core.ids import ProductId
from core.reconciler import Reconciler
from core.usage import Total
from protocols.console.house import Backstage, BrokenConfiguration, Finding
from protocols.console.house import House as Lent
from tests.clocks import eventually
from tests.fleetfixture import CATALOGUE, House
from tests.protocols.console.served import Site, serve

PORTS = PortRange(20_000, 39_999)


@dataclass
class Stage:
    """A console whose operators see behind the scenes. The fields that can be set are what they then find there."""

    house: House
    driver: SimulatedDriver
    reconciler: Reconciler
    catalogue: Catalogue = CATALOGUE
    broken: Sequence[str] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)
    totals: Mapping[ProductId, Total] = field(default_factory=dict)
    findings: Sequence[Finding] = (Finding(is_ok=True, text="all is there"),)
    site: Site = field(init=False)

    def lent(self) -> Lent:
        async def troubles() -> Mapping[str, str]:
            return self.troubles

        async def look() -> Sequence[Finding]:
            return self.findings

        return Lent(
            backstage=Backstage(
                backlog=self.reconciler.backlog,
                orphans=lambda: self.reconciler.orphan_ids,
                hosts=self.driver.hosts,
                totals=lambda: self.totals,
                configured=self._configured,
                look=look,
                troubles=troubles,
            )
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Reconcile until the block ends; it begins once the machines were looked at."""
        task = asyncio.create_task(self.reconciler.run())
        try:
            await eventually(lambda: self.reconciler.has_swept)
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _configured(self) -> Catalogue:
        if self.broken:
            raise BrokenConfiguration(self.broken)
        return self.catalogue


@asynccontextmanager
async def open_stage(house: House, folder: Path) -> AsyncIterator[Stage]:
    """Open the driver and serve the console; nothing is reconciled before `at_work`."""
    driver = SimulatedDriver(SimulatedSettings(boot_seconds=0, stop_seconds=0), DriverSite(folder))
    await driver.open()
    stage = Stage(house, driver, Reconciler(house.store, driver, house.clock, PORTS, backoff_seconds=(3600.0,)))
    try:
        async with serve(house, lent=stage.lent()) as site:
            stage.site = site
            yield stage
    finally:
        await driver.close()
