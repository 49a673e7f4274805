from pathlib import Path

import pytest

from core.storage.sqlite import SqliteStore
from core.vault import KEY_BYTES, Vault
from tests.clocks import ManualClock
from tests.databases import open_store
from tests.fleetfixture import open_house
from tests.tenants import move_in


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(KEY_BYTES))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is, or will be."""
    return tmp_path / "onefleet.db"


@pytest.fixture
async def store_factory(path, vault, clock):
    """Opens stores upon one database, and closes those that a test leaves open."""
    opened: list[SqliteStore] = []

    async def open_one() -> SqliteStore:
        store = await open_store(path, vault, clock)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def store(store_factory):
    """An empty store on a real file."""
    return await store_factory()


@pytest.fixture
async def house(tmp_path, clock):
    """A core on a real store with something to sell and two customers."""
    async with open_house(tmp_path, clock) as house:
        yield house


@pytest.fixture
async def ours(house):
    """A customer of the house with one of everything."""
    return await move_in(house, house.ours)


@pytest.fixture
async def theirs(house):
    """Another."""
    return await move_in(house, house.theirs)
