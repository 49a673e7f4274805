import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.booking import House, PortRange
from core.limits import Limits, Pace
from gateway import app, config, server
from gateway.app import Gateway
from gateway.catalogue import RANKS
from gateway.datadir import DataDirectory
from gateway.reload import LIVE, Reloader
from gateway.tls import Tls
from tests.certificates import make_certificate
from tests.customers import Customer
from tests.running import REPOSITORY, Keys, a_config, write_config

BROKEN = "the configuration stays as it was: "


class Stage:
    """A gateway whose configuration can be written anew."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "config.toml"

    def write(self, **sections: Any) -> None:
        write_config(self.file, a_config(self.folder, **sections))

    def explain(self) -> config.Explained:
        return config.explain(self.file, {})

    def reloader(self, gateway: Gateway, explained: config.Explained) -> Reloader:
        tls = Tls(explained.settings.server.tls) if explained.settings.server.tls else None
        return Reloader(
            gateway.current, gateway.administration, tls, partial(config.explain, self.file, {}), explained.values
        )


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    stage.write()
    return stage


@pytest.fixture
async def gateway(stage: Stage) -> AsyncIterator[Gateway]:
    settings = stage.explain().settings
    storage = settings.storage
    with DataDirectory.open(settings.server.data_dir, storage.path, storage.key_file) as directory:
        async with app.open_gateway(settings, directory, config_file=stage.file) as gateway:
            yield gateway


@pytest.fixture
def reloader(stage: Stage, gateway: Gateway) -> Reloader:
    return stage.reloader(gateway, stage.explain())


async def said_by(reloader: Reloader) -> list[str]:
    """Return what is logged of a reload: what has been applied, or each problem, and what must wait."""
    with capture_logs() as lines:
        await reloader.reload()
    told = [str(line["event"] % line.pop("positional_args", ())) for line in lines]
    applied = [f"applied {', '.join(line['applied'])}" for line in lines if "applied" in line]
    return applied + [text for text in told if text != "the configuration was read again"]


def products(count: int) -> dict[str, Any]:
    return {"products": a_config(Path())["products"][:count]}


ZONE = {"zones": [{"name": "ord1z", "region": "ord1"}, *a_config(Path())["zones"]]}
IMAGE = {"images": [{"name": "debian-13", "disk": "debian-13.qcow2"}, *a_config(Path())["images"]]}
REGIONS = {"regions": [*reversed(a_config(Path())["regions"])]}
WAITING = "some keys take effect at the next start only: "


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ["applied "]),
        (products(2), ["applied products"]),
        (ZONE, ["applied zones"]),
        (IMAGE, ["applied images"]),
        (REGIONS, ["applied regions"]),
        ({"ec2": {"strict": True}}, ["applied ec2.strict"]),
        ({"ec2": {"region": "ams1"}}, ["applied ec2.region"]),
        ({"zerosix": {"ranks": {"ram": [*RANKS["ram"], "1tb"]}}}, ["applied zerosix.ranks"]),
        ({"limits": {"machines": 7, "requests_per_second": 3}}, ["applied limits"]),
        ({"log": {"level": "debug"}}, ["applied log.level"]),
        ({"server": {"listen": "127.0.0.1:1"}}, ["applied ", f"{WAITING}server.listen"]),
        (
            {"console": {"title": "Other"}, "limits": {"addresses": 1}, "compute": {"sweep_seconds": 3}},
            ["applied limits", f"{WAITING}compute.sweep_seconds, console.title"],
        ),
        ({"compute": {"simulated": {"boot_seconds": 9}}}, ["applied ", f"{WAITING}compute.simulated.boot_seconds"]),
        ({"console": None}, ["applied ", f"{WAITING}console"]),
        ({"server": {"tls": {"certificate": "a", "key": "b"}}}, ["applied ", f"{WAITING}server.tls"]),
        ({"ec2": [{"path": "/"}, {"path": "/two", "region": "ams1"}]}, ["applied ", f"{WAITING}ec2"]),
    ],
)
async def test_what_changes_is_applied_or_named(stage, reloader, changed, said):
    stage.write(**changed)
    assert await said_by(reloader) == said


def test_all_that_is_said_to_be_live_is_a_key(stage):
    stage.write(server={"tls": {"certificate": "a", "key": "b"}})
    values = stage.explain().values
    for name in LIVE:
        within: Any = values
        for key in name.split("."):
            within = within[key]


def test_all_that_is_live_is_documented_and_nothing_else():
    text = (REPOSITORY / "docs" / "configuration.md").read_text()
    section = text.split("## What changes without a restart\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for cell in cells for name in re.findall("`(.+?)`", cell)} == LIVE.keys()


async def test_what_waits_for_a_start_is_named_again_at_the_next_reload(stage, reloader):
    stage.write(server={"body_seconds": 3})
    await reloader.reload()
    stage.write(server={"body_seconds": 3}, limits={"addresses": 1})
    assert await said_by(reloader) == ["applied limits", f"{WAITING}server.body_seconds"]
    stage.write(limits={"addresses": 1})
    assert await said_by(reloader) == ["applied "]


async def test_what_is_applied_counts_and_what_waits_does_not(stage, gateway, reloader):
    before = gateway.settings
    stage.write(**products(2), limits={"machines": 7}, server={"body_seconds": 3})
    assert await reloader.reload()
    now = gateway.settings
    assert (len(now.catalogue.products), now.limits.per_account.machines) == (2, 7)
    assert gateway.core.limits.machines == 7
    assert now.server == before.server
    on_sale = [each.slug for each in (await gateway.store.view()).products.values() if not each.is_retired]
    assert on_sale == [each.slug for each in now.catalogue.products]


async def test_after_a_reload_the_operator_sees_no_difference_to_the_file(stage, gateway, reloader):
    stage.write(**products(2))
    backstage, estate = app._backstage(gateway), await gateway.administration.estate()
    assert estate.drift(await backstage.configured())
    await reloader.reload()
    assert not (await gateway.administration.estate()).drift(await backstage.configured())


def test_the_site_that_a_driver_looks_at_changes_with_the_settings(stage, tmp_path):
    site = stage.explain().settings.site
    stage.write(**IMAGE)
    house = House(PortRange(1, 1), Limits())
    app._keep_up(stage.explain().settings, house=house, pace=Pace(0, 1), site=site)
    assert site.images["debian-13"].disk == tmp_path / "debian-13.qcow2"
    assert site.on_sale[0] == "debian-13"


# --- what front-ends make of it


@pytest.fixture
async def customer(gateway: Gateway) -> AsyncIterator[Customer]:
    """A customer in a region that is not there, and so in the endpoint's own."""
    holder = await gateway.administration.add_account_with_key("customer")
    keys = Keys(str(holder.account.id), holder.key.access_key, holder.key.secret_key)
    async with server._answering(gateway, None) as url:
        with Customer(url, keys) as customer:
            yield customer


async def region_of(customer: Customer) -> str:
    """Return the region that the endpoint takes the customer to be in, or the code of the refusal."""
    reply = await asyncio.to_thread(customer.ec2, "DescribeAvailabilityZones")
    return reply.code or reply.document["availabilityZoneInfo"][0]["regionName"]


async def test_the_region_of_requests_that_name_none_follows_the_catalogue(stage, reloader, customer):
    assert await region_of(customer) == "ord1"
    stage.write(**REGIONS)
    await reloader.reload()
    assert await region_of(customer) == "sgp1"


async def test_a_region_that_goes_leaves_requests_that_name_none_with_the_first(stage, gateway, reloader, customer):
    stage.write(ec2={"region": "sgp1"})
    await reloader.reload()
    assert await region_of(customer) == "sgp1"
    left = replace(gateway.settings.catalogue, regions=gateway.settings.catalogue.regions[:1], zones=(), products=())
    await gateway.administration.set_catalogue(left)  # as between two steps of a reload
    reply = await asyncio.to_thread(customer.ec2, "DescribeRegions")
    assert [each["regionName"] for each in reply.document["regionInfo"]] == ["ord1"]


async def test_an_endpoint_becomes_strict(stage, reloader, customer):
    stage.write(ec2={"strict": True})
    await reloader.reload()
    assert await region_of(customer) == "AuthFailure"


async def test_the_ranks_of_attributes_change_wherever_they_are_told(stage, gateway, reloader, customer):
    async def knows_it() -> list[bool]:
        found = await asyncio.to_thread(customer.zerosix_basic, "GET", "products?attributes%5Bram%5D=1tb")
        openapi = await asyncio.to_thread(customer.zerosix_basic, "GET", "openapi.json")
        fields = [field for operation in explorable.operations() for field in operation.fields]
        return [not found.code, "1tb" in str(openapi.document), "1tb" in str(fields)]

    [explorable] = [each for each in app._explorables(gateway) if each.name == "ZeroSix"]
    assert await knows_it() == [False, False, False]
    stage.write(zerosix={"ranks": {"ram": [*RANKS["ram"], "1tb"]}})
    await reloader.reload()
    assert await knows_it() == [True, True, True]


async def test_keys_are_held_to_the_new_pace(stage, reloader, customer):
    stage.write(limits={"requests_per_second": 0.001, "burst": 2})
    await reloader.reload()
    codes = [(await asyncio.to_thread(customer.ec2, "DescribeRegions")).code for _ in range(3)]
    assert codes == ["", "", "RequestLimitExceeded"]


# --- all or nothing


async def nothing_changed(stage: Stage, gateway: Gateway, reloader: Reloader, **broken: Any) -> list[str]:
    """Return what is said of a reload of much that is right and something that is broken, once nothing has changed."""
    before, revision = gateway.settings, (await gateway.store.view()).revision
    stage.write(**{**products(2), "limits": {"machines": 7}, **broken})
    said = await said_by(reloader)
    assert gateway.settings is before
    assert (await gateway.store.view()).revision == revision
    assert gateway.core.limits.machines == 20_000
    return said


async def test_a_broken_file_changes_nothing_and_is_told_problem_by_problem(stage, gateway, reloader):
    said = await nothing_changed(stage, gateway, reloader, log={"level": "loud"}, server={"lisen": "x"})
    assert [line.split(": ")[:2] for line in said] == [
        [BROKEN.removesuffix(": "), "server.lisen"],
        [BROKEN.removesuffix(": "), "log.level"],
    ]


async def test_a_file_that_is_gone_changes_nothing(stage, gateway, reloader):
    before = gateway.settings
    stage.file.unlink()
    [line] = await said_by(reloader)
    assert line.startswith(f"{BROKEN}{stage.file}: there is no such file")
    assert gateway.settings is before


async def test_a_broken_certificate_changes_nothing(stage, gateway, tmp_path):
    tls = make_certificate(tmp_path, 1001)
    stage.write(server={"tls": tls})
    reloader = stage.reloader(gateway, stage.explain())
    gateway.current.change(stage.explain().settings)
    (tmp_path / "cert.pem").write_text("no certificate")
    [line] = await nothing_changed(stage, gateway, reloader, server={"tls": tls})
    assert line.startswith(f"{BROKEN}server.tls: {tmp_path}/cert.pem and {tmp_path}/key.pem are not a PEM")


async def test_addresses_that_the_drivers_network_cannot_have_change_nothing(stage, gateway, reloader):
    stage.write(compute={"driver": "qemu"})
    gateway.current.change(stage.explain().settings)
    zones = [{"name": "ord1a", "region": "ord1", "addresses": ["203.0.113.0/28"]}, *a_config(Path())["zones"][1:]]
    [line] = await nothing_changed(stage, gateway, reloader, zones=zones)
    assert line.startswith(f"{BROKEN}zones[].addresses: machines have no public addresses with compute.qemu.network")


async def test_a_database_that_cannot_be_written_changes_nothing(stage, gateway, reloader):
    before = gateway.settings
    await gateway.store.close()
    stage.write(**products(2), limits={"machines": 7})
    [line] = await said_by(reloader)
    assert line.startswith(BROKEN)
    assert gateway.settings is before
