"""Runs commands of the host that change its network, or make disks."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from core.ports import DriverCode, DriverError

_PATIENCE_SECONDS = 60.0
_NETWORK = "The host's network cannot be changed now."


async def run(words: Sequence[str], text: str = "", *, package: str, sentence: str = _NETWORK) -> str:
    """Return what a command prints when it is fed a text. The sentence is what renters are told if it fails.

    Raises:
        DriverError: UNAVAILABLE, if it cannot be run or refuses; TIMEOUT. What it said is in the detail.
    """
    try:
        with _holding(text) as stdin:
            command = await asyncio.create_subprocess_exec(
                *words, stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
    except OSError as error:
        detail = f"{words[0]}: {error.strerror}; on Debian it is in the package {package}"
        raise DriverError(DriverCode.UNAVAILABLE, sentence, detail=detail) from error
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            printed, complaint = await command.communicate()
    except TimeoutError:
        detail = f"{words[0]} took longer than {_PATIENCE_SECONDS:g} seconds"
        raise DriverError(DriverCode.TIMEOUT, sentence, detail=detail) from None
    finally:
        if command.returncode is None:
            command.kill()
            await asyncio.shield(command.wait())
    if command.returncode:
        detail = f"{' '.join(words)}: {' '.join(complaint.decode(errors='replace').split())}"
        raise DriverError(DriverCode.UNAVAILABLE, sentence, detail=detail)
    return printed.decode()


@contextmanager
def _holding(text: str) -> Iterator[int]:
    """Yield a file that a command reads the text from. A pipe would not do: uvloop fails if its reader ends at once."""
    descriptor = os.memfd_create("stdin")
    try:
        os.write(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
