import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop

from protocols.metadata.app import MetadataFrontEnd
from protocols.metadata.downloads import Relay
from tests.protocols.metadata.guests import Guest, Street
from tests.yard import Yard, open_yard


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the gateway's own loop: how connections begin and end is the loop's affair."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with open_yard(tmp_path) as opened:
        yield opened


@pytest.fixture
async def open_street(yard, tmp_path) -> AsyncIterator[Callable[..., Awaitable[Street]]]:
    """Opens streets of the yard, with a relay of the test's own."""
    async with AsyncExitStack() as closing:

        async def open_one(*relay: object, domain: str = "") -> Street:
            metadata = MetadataFrontEnd(yard.core, Relay(*relay), domain=domain)
            closing.push_async_callback(metadata.close)
            return Street(yard, metadata, tmp_path, closing)

        yield open_one


@pytest.fixture
async def street(open_street) -> Street:
    return await open_street(domain="fleet.example.com")


@pytest.fixture
async def guest(street) -> Guest:
    """A machine that was booked with a key pair and user data, and has a public address."""
    await street.yard.core.import_key_pair(street.yard.caller, "laptop", PUBLIC_KEY.encode(), {})
    made = await street.guest(key_name="laptop", user_data=USER_DATA)
    await street.yard.core.addresses.assign(street.yard.caller, made.id)
    return made


PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl laptop"
USER_DATA = b"#!/bin/sh\necho \xff\x00 bytes\n"
