"""The gateway shows its driver the door by which machines ask about themselves."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from core.compute.drivers import DRIVERS
from core.compute.simulated import SimulatedDriver
from core.ids import InstanceId
from core.ports import DriverCode, DriverError
from gateway import config
from gateway.app import open_gateway
from gateway.datadir import DataDirectory
from tests.protocols.metadata.guests import Guest
from tests.running import a_config

STRANGER = InstanceId(4711)


class Networked(SimulatedDriver):
    """One whose machines could call, if they were real."""

    door, is_closed, fails = None, False, False

    async def open(self, metadata=None):
        if self.fails:
            raise DriverError(DriverCode.UNAVAILABLE, "the host is down")
        self.door = metadata
        await super().open(metadata)

    async def close(self):
        self.is_closed = True
        await super().close()


@pytest.fixture
def made(monkeypatch):
    """The drivers that the gateway makes."""
    drivers = []

    def make(*arguments):
        drivers.append(Networked(*arguments))
        return drivers[-1]

    monkeypatch.setitem(DRIVERS, "simulated", replace(DRIVERS["simulated"], open_driver=make))
    return drivers


@asynccontextmanager
async def opened(folder):
    settings = config.parse(a_config(folder), folder)
    with DataDirectory.open(settings.server.data_dir, settings.storage.path) as directory:
        async with open_gateway(settings, directory) as gateway:
            yield gateway


async def test_who_calls_at_the_drivers_door_is_answered_until_the_gateway_closes(tmp_path, made):
    async with opened(tmp_path):
        [driver] = made
        path = tmp_path / "imds.sock"
        server = await asyncio.get_running_loop().create_unix_server(lambda: driver.door(STRANGER), path)
        assert (await Guest(STRANGER, path).ask("/latest/meta-data/")).status == 404
        reader, writer = await asyncio.open_unix_connection(path)
    assert await reader.read() == b""
    writer.close()
    server.close()


async def test_a_driver_that_does_not_open_is_closed_all_the_same(tmp_path, made, monkeypatch):
    monkeypatch.setattr(Networked, "fails", True)
    with pytest.raises(DriverError):
        async with opened(tmp_path):
            pass
    assert made[0].is_closed
