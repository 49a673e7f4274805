"""A core on a real store with something to sell and two customers: what the front-ends' tests stand on.

There is no driver and no reconciler: a machine does what a test says it was seen doing (`House.seen`).
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from core import booking
from core.accounts import Caller, Network, Protocol
from core.administration import Administration, KeyHolder
from core.booking import PortRange
from core.catalogue import Catalogue, Gpu, ImageEntry, Product, ProductEntry, RegionEntry, ZoneEntry
from core.ids import InstanceId
from core.instances import Cause, Instance, Power, absorb, after_failure
from core.limits import Limits
from core.people import User, hash_password
from core.ports import Store, Transaction
from core.service import Core
from core.service.people import new_user
from core.vault import KEY_BYTES, Vault
from tests.clocks import ManualClock
from tests.databases import open_store

PASSWORD = "correct horse battery"
"""The password of every `House.person`."""


def a_ware(slug: str, price: str, capacity: dict[str, int], **changes: object) -> ProductEntry:
    """Return a product as the configuration words it."""
    wording = {
        "slug": slug,
        "title": slug.replace("-", " ").title(),
        "description": f"A machine called {slug}",
        "instance_type": slug,
        "hourly_price": Decimal(price),
        "currency": "USD",
        "attributes": {},
        "vcpus": 4,
        "memory_mib": 8192,
        "disk_gib": 100,
        "gpu": None,
        "architecture": "x86_64",
        "image": "debian-12",
        "capacity": capacity,
    }
    return ProductEntry(**(wording | changes))


def attributes(cpu: str, gpu: str, ram: str, speed: str = "50mbps") -> dict[str, str]:
    return {"cpu": cpu, "gpu": gpu, "ram": ram, "network-speed": speed}


CATALOGUE = Catalogue(
    regions=[RegionEntry("eu-1", "europe"), RegionEntry("ap-1", "asia-pacific")],
    zones=[
        ZoneEntry("eu-1a", "eu-1", is_available=True, pool=("203.0.113.0/29",)),
        ZoneEntry("eu-1b", "eu-1", is_available=True, pool=("203.0.113.8/29",)),
        ZoneEntry("ap-1a", "ap-1", is_available=True, pool=("203.0.113.16/29",)),
    ],
    images=[
        ImageEntry("debian-12", "Debian 12", "Debian GNU/Linux 12", "x86_64", "linux", "renter"),
        ImageEntry("ubuntu-24", "Ubuntu 24.04", "Ubuntu Server 24.04", "x86_64", "linux", "ubuntu"),
    ],
    products=[
        a_ware("nvidia-1060", "0.25", {"ap-1a": 4}, attributes=attributes("intel-i3", "nvidia-1060", "8gb")),
        a_ware("nvidia-1080ti", "0.50", {"eu-1a": 5}, attributes=attributes("intel-i3", "nvidia-1080ti", "8gb")),
        a_ware(
            "nvidia-titanxp",
            "0.70",
            {"eu-1a": 2, "eu-1b": 3},
            attributes=attributes("intel-i7", "nvidia-titan-xp", "16gb"),
            gpu=Gpu("NVIDIA", "Titan Xp", 1, 12288),
        ),
        a_ware("anywhere", "1.00", {"eu-1a": 9, "ap-1a": 9}, attributes=attributes("intel-i5", "nvidia-1070", "32gb")),
        a_ware("plain", "0.01", {"eu-1b": 2000}, image="ubuntu-24"),
    ],
)


@dataclass(frozen=True)
class House:
    """The parts, two customers, and short ways to what tests need. `woken` are the machines the reconciler was told of."""

    store: Store
    clock: ManualClock
    core: Core
    administration: Administration
    ours: KeyHolder
    theirs: KeyHolder
    woken: list[InstanceId] = field(default_factory=list)

    def caller(self, holder: KeyHolder | None = None, protocol: Protocol = Protocol.EC2) -> Caller:
        """Return a customer, by default our own, as an authenticated request brings them."""
        holder = holder or self.ours
        return Caller(holder.account.id, holder.application.id, holder.key.access_key, protocol)

    async def person(
        self, email: str = "ann@example.com", holder: KeyHolder | None = None, *, is_operator: bool = False
    ) -> User:
        """Return a new person of a customer, by default of our own, who signs in with `PASSWORD`."""
        account_id, now = (holder or self.ours).account.id, self.clock.now()
        return await self.store.transact(
            lambda tx: new_user(tx, account_id, email, _password_hash(), now, is_operator=is_operator)
        )

    async def product(self, slug: str) -> Product:
        """Return a product by its name in `CATALOGUE`."""
        fleet = await self.core.fleet(self.caller())
        return next(product for product in fleet.products() if product.slug == slug)

    async def machines(self) -> list[Instance]:
        """Return all machines of every customer."""
        return list((await self.store.view()).instances.values())

    async def seen(self, power: Power, ids: Iterable[int] | None = None, **addresses: str) -> None:
        """Let the driver have seen machines at a power, by default all of them."""
        await self._change(ids, lambda machine: absorb(machine, power, self.clock.now(), **addresses))

    async def fail(self, ids: Iterable[int] | None = None) -> None:
        """Let the launch of machines be given up, by default of all."""
        detail = "The machine could not be made."
        await self._change(ids, lambda machine: after_failure(machine, self.clock.now(), Cause.LAUNCH_FAILED, detail))

    async def allow_only(self, *networks: Network) -> KeyHolder:
        """Return a key of ours that may be used from these networks only."""
        return await self.administration.add_key(self.ours.account.id, "fenced", networks)

    async def _change(self, ids, change) -> None:
        def work(tx: Transaction) -> None:
            for machine in list(tx.state.instances.values()):
                if ids is None or machine.id in ids:
                    tx.put(change(machine))

        await self.store.transact(work)


@cache
def _password_hash() -> str:
    return hash_password(PASSWORD)


async def nothing_said(_: InstanceId) -> bytes:
    """Tell of every machine that its console is empty."""
    return b""


async def something_shown(_: InstanceId) -> bytes:
    """Show of every machine the beginning of a picture."""
    return b"\x89PNG\r\n\x1a\n"


@asynccontextmanager
async def open_house(folder: Path, clock: ManualClock | None = None, **equipment: Any) -> AsyncIterator[House]:
    """Open the house in a folder, and close it again. What was there before is found again.

    The equipment is what core is given besides, or in place of a silent console and an empty screen.
    """
    clock, vault = clock or ManualClock(), Vault(bytes(KEY_BYTES))
    store = await open_store(folder / "onefleet.db", vault, clock)
    try:
        woken: list[InstanceId] = []
        house = booking.House(PortRange(20_000, 39_999), Limits())
        equipment = {"console": nothing_said, "screen": something_shown, **equipment}
        core = Core(store, vault, clock, house, wake=woken.extend, **equipment)
        administration = Administration(store, clock, wake=woken.extend)
        await administration.set_catalogue(CATALOGUE)
        if not await administration.keys():
            for name in ("ours", "theirs"):
                await administration.add_key((await administration.add_account(name)).id, "default", ())
        ours, theirs = (await administration.keys())[:2]
        yield House(store, clock, core, administration, ours, theirs, woken)
    finally:
        await store.close()
