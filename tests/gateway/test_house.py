"""The parts of a gateway that only misbehave when something inside is broken on purpose, so in this process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.compute.simulated import SimulatedDriver, SimulatedSettings
from core.compute.site import Site
from core.ports import DriverError
from core.reconciler import Reconciler
from core.storage.sqlite import open_sqlite
from core.vault import Vault
from gateway import app, config, server
from gateway.app import Gateway, Steward, open_gateway
from gateway.datadir import DataDirectory
from tests.running import DEADLINE_SECONDS, a_config, write_config
from tests.yard import PORTS


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    settings = config.load(write_config(tmp_path / "config.toml", a_config(tmp_path)))
    with DataDirectory.open(settings.server.data_dir, settings.storage.path) as directory:
        async with open_gateway(settings, directory) as gateway:
            yield gateway


def open_files() -> set[str]:
    return {file.name for file in Path("/proc/self/fd").iterdir()}


async def until(condition) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():  # noqa: ASYNC110  health is asked for, it does not tell
            await asyncio.sleep(0.01)


async def test_a_reconciler_that_dies_is_told_and_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "_RESTART_SECONDS", 0.05)
    store = await open_sqlite(tmp_path / "onefleet.db", Vault(bytes(32)), SystemClock())
    driver = SimulatedDriver(SimulatedSettings(), Site(tmp_path))
    await driver.open()
    reconciler = Reconciler(store, driver, SystemClock(), PORTS)
    steward = Steward(store, reconciler)

    async def reason() -> str:
        return (await steward.health()).reconciler

    async def dies() -> None:
        raise ZeroDivisionError("a fault of ours")

    with monkeypatch.context() as broken:
        broken.setattr(reconciler, "_work", dies)
        async with steward.reconciling():
            await until(lambda: _is(reason(), "the reconciler ended unexpectedly"))
            broken.undo()
            await until(lambda: _is(reason(), ""))
    await driver.close()
    await store.close()


async def _is(told, expected: str) -> bool:
    text = await told
    return text.startswith(expected) if expected else not text


async def test_it_is_not_ready_before_the_machines_have_been_looked_at(tmp_path):
    store = await open_sqlite(tmp_path / "onefleet.db", Vault(bytes(32)), SystemClock())
    driver = SimulatedDriver(SimulatedSettings(), Site(tmp_path))
    steward = Steward(store, Reconciler(store, driver, SystemClock(), PORTS))
    assert (await steward.health()).reasons() == {"reconciler": "the machines have not been looked at yet"}
    await store.close()


@pytest.mark.parametrize(
    "head", [b"", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HT"]
)
async def test_a_client_that_does_not_finish_its_request_head_is_cut_off(gateway, monkeypatch, head):
    monkeypatch.setattr(server, "_IDLE_SECONDS", 0.2)
    async with server._answering(gateway, None) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await reader.read()
        writer.close()


async def test_every_socket_that_is_handed_over_is_served(gateway):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [listener.getsockname()[1] for listener in listeners]
    async with server._answering(gateway, None, listeners) as url:
        assert url == f"http://127.0.0.1:{ports[0]}"
        for port in ports:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()


async def test_a_failed_start_closes_what_was_open(tmp_path):
    settings = config.load(write_config(tmp_path / "config.toml", a_config(tmp_path)))
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "simulated.db").write_bytes(b"not a database" * 100)
    before = open_files()
    with DataDirectory.open(settings.server.data_dir, settings.storage.path) as directory, pytest.raises(DriverError):
        async with open_gateway(settings, directory):
            pass
    assert open_files() == before
