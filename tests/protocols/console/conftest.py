from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fleetfixture import House, open_house
from tests.protocols.console.served import Browser, Site, serve
from tests.tenants import Tenant, move_in


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def site(house: House) -> AsyncIterator[Site]:
    async with serve(house) as running:
        yield running


@pytest.fixture
async def console(site: Site) -> Browser:
    """A browser in which somebody of our account is signed in: ann@example.com."""
    return await site.signed_in(await site.house.person())


@pytest.fixture
async def stranger(site: Site) -> Browser:
    """A browser in which somebody of the other account is signed in: bob@example.com."""
    return await site.signed_in(await site.house.person("bob@example.com", site.house.theirs))


@pytest.fixture
async def operator(site: Site) -> Browser:
    """A browser in which an operator is signed in: op@example.com, of an account of its own."""
    return await site.operator()


@pytest.fixture
async def ours(house: House) -> Tenant:
    """Our account with one of everything."""
    return await move_in(house, house.ours)


@pytest.fixture
async def theirs(house: House) -> Tenant:
    """The other account with one of everything."""
    return await move_in(house, house.theirs)
