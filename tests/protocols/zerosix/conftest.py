from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fleetfixture import House, open_house
from tests.protocols.zerosix.served import Site, serve


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def site(house: House) -> AsyncIterator[Site]:
    async with serve(house) as running:
        yield running
