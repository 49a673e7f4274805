"""Processes that write to a store until something ends them, telling of each write once it is acknowledged.

Run by the tests as `python -m tests.core.storage.storm WHAT PATH`.
"""

import asyncio
import os
import resource
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from core.accounts import Account, Application
from core.clock import SystemClock
from core.errors import StoreUnavailable
from core.ids import AccountId, ApplicationId
from core.storage.nonces import NonceLog
from core.storage.sqlite import SqliteStore, open_sqlite
from core.vault import KEY_BYTES, Vault
from tests.builders import an_account, an_application

WRITERS = 8
NAME = "x" * 200


def tell(*words: object) -> None:
    """Write a line in one piece, so that none is ever half told."""
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


async def add_account(store: SqliteStore) -> int:
    """Add an account with an application of the same number, and return the number."""

    def work(tx):
        number = tx.next_id(Account)
        tx.put(an_account(id=AccountId(number), name=NAME))
        tx.put(an_application(id=ApplicationId(tx.next_id(Application)), account_id=AccountId(number)))
        return number

    return await store.transact(work)


async def accounts(store: SqliteStore) -> None:
    """Add accounts, several at a time, for ever."""

    async def add_for_ever():
        while True:
            tell(await add_account(store))

    await asyncio.gather(*(add_for_ever() for _ in range(WRITERS)))


async def nonces(store: SqliteStore) -> None:
    """Claim nonces for ever."""
    number = 0
    while await store.claim_nonce("key", 0, str(number)):
        tell(number)
        number += 1


def limit_files(size_bytes: int) -> None:
    """Let no file of this process grow beyond a size, as a full disk would."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


async def full_disk(store: SqliteStore) -> None:
    """Add accounts until the disk is full, and one more once there is room again."""
    limit_files(400_000)
    try:
        while True:
            tell("added", await add_account(store))
    except StoreUnavailable:
        tell("full")
    tell("seen", *(await store.view()).accounts)
    limit_files(resource.RLIM_INFINITY)
    await store.check()
    tell("added", await add_account(store))


async def full_disk_for_nonces(store: SqliteStore) -> None:
    """Claim a nonce of which there is room for a half."""
    log = NonceLog(Path(sys.argv[2]).parent, SystemClock())
    log.claim("key", 0, "whole")
    limit_files(24)
    for _ in range(2):
        try:
            log.claim("key", 0, "half")
        except StoreUnavailable:
            tell("refused")
    limit_files(resource.RLIM_INFINITY)
    tell(log.claim("key", 0, "half"), log.claim("key", 0, "half"), log.claim("key", 0, "whole"))
    log.close()


async def main(what: Callable[[SqliteStore], Awaitable[None]], path: Path) -> None:
    store = await open_sqlite(path, Vault(bytes(KEY_BYTES)), SystemClock())
    try:
        await what(store)
    finally:
        await store.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(globals()[sys.argv[1]], Path(sys.argv[2])))
