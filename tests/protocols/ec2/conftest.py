import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fleetfixture import House, open_house
from tests.protocols.ec2.served import Customer, Served, served, set_botocores_clock


@pytest.fixture(scope="session")
def empty_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a house in which nothing has happened yet; copying them saves every test its first commits."""
    folder = tmp_path_factory.mktemp("house")

    async def build() -> None:
        async with open_house(folder):
            pass

    asyncio.run(build())
    return folder


@pytest.fixture
async def house(empty_house: Path, tmp_path: Path) -> AsyncIterator[House]:
    shutil.copytree(empty_house, tmp_path, dirs_exist_ok=True)
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def ec2(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """The front-end on a socket; botocore signs at its time."""
    set_botocores_clock(monkeypatch, house)
    async with served(house) as running:
        running.folder = tmp_path
        yield running


@pytest.fixture
def ours(ec2: Served) -> Customer:
    return ec2.customer()


@pytest.fixture
def theirs(ec2: Served) -> Customer:
    return ec2.customer(ec2.house.theirs)
