"""The sampler beside the reconciler: it lives as long as the gateway, and disturbs nobody."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest

from core.storage.samples import FILE_NAME
from gateway import config
from gateway.app import open_gateway
from gateway.datadir import DataDirectory
from tests.running import DEADLINE_SECONDS, a_config


@asynccontextmanager
async def opened(folder, **compute):
    settings = config.parse(a_config(folder, compute=compute), folder)
    with DataDirectory.open(settings.server.data_dir, settings.storage.path) as directory:
        async with open_gateway(settings, directory) as gateway:
            yield gateway


def at_work():
    return {task.get_name() for task in asyncio.all_tasks()}


async def rounds(file):
    """Return once the sampler has kept a round in the file."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not _has_tables(file):  # noqa: ASYNC110  a file tells nobody
            await asyncio.sleep(0.01)


def _has_tables(file):
    if not file.exists():
        return False
    with closing(sqlite3.connect(file)) as db:
        return db.execute("SELECT name FROM sqlite_master WHERE name = 'points'").fetchone() is not None


async def test_the_sampler_works_as_long_as_the_gateway(tmp_path):
    async with opened(tmp_path) as gateway:
        assert "sampler" in at_work()
        await rounds(gateway.directory.path / FILE_NAME)
    assert "sampler" not in at_work()


async def test_nothing_is_sampled_where_that_is_off(tmp_path):
    async with opened(tmp_path, sample_seconds=0) as gateway:
        assert "sampler" not in at_work()
        assert not (gateway.directory.path / FILE_NAME).exists()


@pytest.mark.parametrize("spoil", ["a directory", "rubbish"])
async def test_a_gateway_whose_samples_cannot_be_kept_is_ready_all_the_same(tmp_path, spoil):
    async with opened(tmp_path, sample_seconds=0) as gateway:
        file = gateway.directory.path / FILE_NAME
    if spoil == "rubbish":
        file.write_bytes(b"no database" * 500)
    else:
        file.mkdir()
    async with opened(tmp_path) as gateway, asyncio.timeout(DEADLINE_SECONDS):
        while not (await gateway.steward.health()).is_ready:  # noqa: ASYNC110  health is asked for
            await asyncio.sleep(0.01)
        assert "sampler" in at_work()
