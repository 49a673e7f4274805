"""The QEMU driver on this host, and what tests do with it."""

import asyncio
from dataclasses import replace

import pytest

from core.compute.qemu import machine
from core.compute.qemu.driver import MACHINES, QemuDriver
from core.compute.qemu.settings import QemuSettings
from core.compute.site import Site
from core.ids import InstanceId
from core.ports import DriverError
from core.securitygroups import Rule, Traffic
from tests.builders import a_launch_spec, a_security_group
from tests.ssh import Login, new_key

ONE = InstanceId(1)

SETTINGS = QemuSettings(accelerator="tcg", stop_seconds=60)
PATIENCE_SECONDS = 90

FROM_ANYWHERE = a_security_group(
    rules=(Rule(1, Traffic(is_egress=False, protocol="tcp", first_port=22, last_port=22, block="0.0.0.0/0")),)
)


@pytest.fixture
def ssh_host(worker_id):
    """An address of this test process alone, so that the ssh ports of two of them do not meet."""
    return f"127.1.0.{1 + int(worker_id.removeprefix('gw'))}" if worker_id.startswith("gw") else "127.1.0.100"


@pytest.fixture
async def opened(tmp_path, micro_image, ssh_host):
    drivers = []

    async def open_driver(settings=SETTINGS, *, metadata=None, data_dir=tmp_path, images=None):
        driver = QemuDriver(settings, Site(data_dir, ssh_host, images or {"debian-12": micro_image}))
        drivers.append((driver, data_dir))
        await driver.open(metadata)
        return driver

    yield open_driver
    for driver, _ in drivers:
        await driver.close()
    for data_dir in {data_dir for _, data_dir in drivers}:
        last = await open_driver(data_dir=data_dir)
        for instance_id in await last.observe_all():
            await last.destroy(instance_id)
        await last.close()


@pytest.fixture
def key(tmp_path):
    """A private key's file, and the line of its public key."""
    file = tmp_path / "key"
    return file, new_key(file)


@pytest.fixture
def small(key):
    """What a small machine is made from, that the key lets into."""
    return a_launch_spec(ONE, memory_mib=256, disk_gib=1, ssh_keys=(key[1],), groups=(FROM_ANYWHERE,))


@pytest.fixture
def login(ssh_host, key, small):
    return Login(ssh_host, small.ssh_port, key[0])


@pytest.fixture
def root(login):
    return replace(login, user="root")


async def up(driver, spec):
    await driver.ensure(spec)
    await driver.start(spec.id)


async def reach(driver, power, instance_id=ONE):
    """Return the machine's observation once it is seen at the power."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (seen := await driver.observe(instance_id)).power is not power:  # noqa: ASYNC110  events may be lost
            await asyncio.sleep(0.02)
    return seen


async def refusal(work):
    with pytest.raises(DriverError) as caught:
        await work
    return caught.value


def pid_of(data_dir, instance_id=ONE):
    return int((data_dir / MACHINES / str(instance_id) / machine.PID).read_text())
