"""Runs commands of the host that change its network."""

import asyncio
from collections.abc import Sequence

from core.ports import DriverCode, DriverError

_PATIENCE_SECONDS = 30.0


async def run(words: Sequence[str], text: str = "", *, package: str) -> str:
    """Return what a command prints when it is fed a text.

    Raises:
        DriverError: UNAVAILABLE, if it cannot be run or refuses; TIMEOUT. What it said is in the detail.
    """
    try:
        command = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise _refusal(f"{words[0]}: {error.strerror}; on Debian it is in the package {package}") from error
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            printed, complaint = await command.communicate(text.encode())
    except TimeoutError:
        detail = f"{words[0]} took longer than {_PATIENCE_SECONDS:g} seconds"
        raise DriverError(DriverCode.TIMEOUT, "The host takes too long to change its network.", detail=detail) from None
    finally:
        if command.returncode is None:
            command.kill()
            await asyncio.shield(command.wait())
    if command.returncode:
        raise _refusal(f"{' '.join(words)}: {' '.join(complaint.decode(errors='replace').split())}")
    return printed.decode()


def _refusal(detail: str) -> DriverError:
    return DriverError(DriverCode.UNAVAILABLE, "The host's network cannot be changed now.", detail=detail)
