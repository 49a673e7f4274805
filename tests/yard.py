"""A whole core on real files, with no front-end: the store, the simulated driver, the reconciler and the verbs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from core.accounts import Caller, Protocol
from core.administration import Administration
from core.booking import House, PortRange
from core.catalogue import Catalogue, ImageEntry, ProductEntry, RegionEntry, ZoneEntry
from core.compute.simulated import SimulatedDriver, SimulatedSettings
from core.compute.site import Site
from core.ids import InstanceId, OrderId
from core.instances import Instance
from core.limits import Limits
from core.orders import Booking, Order, Status, order_status
from core.ports import Store
from core.reconciler import Reconciler
from core.service import Core
from core.state import State
from core.vault import KEY_BYTES, Vault
from tests.clocks import ManualClock
from tests.databases import open_store

AT_ONCE = SimulatedSettings(boot_seconds=0, stop_seconds=0)
NEVER = SimulatedSettings(boot_seconds=3600, stop_seconds=3600)

DATABASE = "onefleet.db"
IMAGE = ImageEntry("debian-12", "Debian 12", "", "x86_64", "linux", "renter")
OTHER_IMAGE = ImageEntry("ubuntu-24", "Ubuntu 24", "", "x86_64", "linux", "ubuntu")
ROOM = 20_000
PORTS = PortRange(20_000, 60_000)


def a_catalogue() -> Catalogue:
    """Return a catalogue with a small and a large product in one zone, which has a few public addresses."""
    small = ProductEntry(
        slug="small",
        title="Small",
        description="",
        instance_type="small",
        hourly_price=Decimal("0.50"),
        currency="USD",
        attributes={},
        vcpus=1,
        memory_mib=1024,
        disk_gib=10,
        gpu=None,
        architecture="x86_64",
        image="debian-12",
        capacity={"eu-1a": ROOM},
    )
    large = replace(small, slug="large", instance_type="large", vcpus=2, memory_mib=2048, disk_gib=20)
    zone = ZoneEntry("eu-1a", "eu-1", is_available=True, pool=("203.0.113.0/29",))
    return Catalogue([RegionEntry("eu-1", "europe")], [zone], [IMAGE, OTHER_IMAGE], [small, large])


@dataclass(frozen=True)
class Yard:
    """The parts, and short ways to what tests ask."""

    store: Store
    driver: SimulatedDriver
    clock: ManualClock
    reconciler: Reconciler
    core: Core
    caller: Caller
    path: Path

    async def book(self, machines: int = 1, **options: object) -> list[InstanceId]:
        """Book small machines in one order and return their ids."""
        product = next(iter((await self.state()).products))
        placed = await self.core.book(self.caller, Booking(product, machines, machines, **options))
        return [instance.id for instance in placed.instances]

    async def launched(self, machines: int = 1, **options: object) -> list[InstanceId]:
        """Book machines and return their ids once there is nothing more to do."""
        ids = await self.book(machines, **options)
        await self.reconciler.settle()
        return ids

    async def terminate(self, *ids: InstanceId) -> None:
        await self.core.terminate(self.caller, ids)
        await self.reconciler.settle()

    async def stop(self, *ids: InstanceId, is_forced: bool = False) -> None:
        await self.core.stop(self.caller, ids, is_forced=is_forced)
        await self.reconciler.settle()

    async def start(self, *ids: InstanceId) -> None:
        await self.core.start(self.caller, ids)
        await self.reconciler.settle()

    async def reboot(self, *ids: InstanceId) -> None:
        await self.core.reboot(self.caller, ids)
        await self.reconciler.settle()

    async def look_at(self, *ids: InstanceId) -> None:
        """Have machines looked at now, as an event or the end of a back-off would."""
        self.reconciler.wake(ids)
        await self.reconciler.settle()

    async def state(self) -> State:
        return await self.store.view()

    async def machine(self, instance_id: InstanceId) -> Instance:
        return (await self.state()).instances[instance_id]

    async def order_of(self, instance_id: InstanceId) -> Order:
        return (await self.state()).orders[(await self.machine(instance_id)).order_id]

    async def status_of(self, instance_id: InstanceId) -> Status:
        """Return how the machine's order stands."""
        order: OrderId = (await self.machine(instance_id)).order_id
        return order_status((await self.state()).machines_of[order].values())

    async def occupied(self) -> int:
        """Return how many machines the books say take up room, ports and all."""
        state = await self.state()
        assert sum(state.occupied.values()) == len(state.ssh_ports)
        return len(state.ssh_ports)

    @asynccontextmanager
    async def unwritable(self) -> AsyncIterator[None]:
        """Keep commits from succeeding; rows can still be read."""
        # The store refuses to write to a file that is no longer where it was.
        aside = self.path.with_suffix(".aside")
        self.path.rename(aside)
        try:
            yield
        finally:
            aside.rename(self.path)


@asynccontextmanager
async def open_yard(
    data_dir: Path,
    settings: SimulatedSettings = AT_ONCE,
    *,
    clock: ManualClock | None = None,
    driver: SimulatedDriver | None = None,
    is_running: bool = True,
    limits: Limits = Limits(),  # noqa: B008  it is frozen
    ports: PortRange = PORTS,
    **options: object,
) -> AsyncIterator[Yard]:
    """Open everything in the data directory, and close it again; the reconciler works meanwhile, unless told not to."""
    clock, driver = clock or ManualClock(), driver or SimulatedDriver(settings, Site(data_dir))
    vault = Vault(bytes(KEY_BYTES))
    await driver.open()
    store = await open_store(data_dir / DATABASE, vault, clock)
    await store.material(OrderId(0))  # a first read later would miss the file while it is `unwritable`
    house = House(ports, limits)
    reconciler = Reconciler(store, driver, clock, ports, **options)
    core = Core(store, vault, clock, house, wake=reconciler.wake, console=driver.console_log, screen=driver.screenshot)
    caller = await _caller(Administration(store, clock), a_catalogue())
    try:
        async with running(reconciler) if is_running else nullcontext():
            yield Yard(store, driver, clock, reconciler, core, caller, data_dir / DATABASE)
    finally:
        await store.close()
        await driver.close()


@asynccontextmanager
async def running(reconciler: Reconciler) -> AsyncIterator[None]:
    """Run the reconciler until the block ends."""
    loop = asyncio.create_task(reconciler.run())
    try:
        yield
    finally:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop


async def _caller(administration: Administration, catalogue: Catalogue) -> Caller:
    await administration.set_catalogue(catalogue)
    held = await administration.keys()
    if not held:
        account = await administration.add_account("tests")
        held = [await administration.add_key(account.id, "tests", ())]
    (holder,) = held
    return Caller(holder.account.id, holder.application.id, holder.key.access_key, Protocol.EC2)
