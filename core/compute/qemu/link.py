"""The line to a machine that is up: a connection to its monitor, made anew whenever it is lost."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from core.compute.qemu import machine
from core.compute.qemu.process import Process
from core.compute.qemu.qmp import ANSWER_SECONDS, Event, Qmp, QmpFailure, Silent
from core.ports import DriverCode, DriverError

_AGAIN_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_TRIES_UNTIL_TOLD = 9


class Link:
    """The line to one machine. `heard` is told each event, and `came_up` each time that it stands; then `is_up`."""

    def __init__(
        self, folder: Path, log: FilteringBoundLogger, heard: Callable[[Event], None], came_up: Callable[[], None]
    ) -> None:
        self._folder, self._log, self._heard, self._came_up = folder, log, heard, came_up
        self._qmp: Qmp | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.is_up = asyncio.Event()

    def keep(self, running: Process) -> None:
        """Keep it up while the process lives, from now until it is cut."""
        self.cut()
        self._keeping = asyncio.create_task(self._keep(running), name=f"qmp {running.pid}")

    def cut(self) -> None:
        """Let go of the machine."""
        if self._keeping is not None:
            self._keeping.cancel()
        self._hang_up()

    async def tell(
        self, command: str, arguments: Mapping[str, object] | None = None, *, seconds: float = ANSWER_SECONDS
    ) -> Any:
        """Return what QEMU answers to a command.

        Raises:
            DriverError: UNAVAILABLE, if it does not answer or refuses.
        """
        try:
            if self._qmp is None:
                raise Silent("its monitor is not connected")
            return await self._qmp.execute(command, arguments, seconds=seconds)
        except QmpFailure as error:
            message = "The machine does not answer its host."
            raise DriverError(DriverCode.UNAVAILABLE, message, detail=f"{command}: {error}") from error

    async def _keep(self, running: Process) -> None:
        tries = 0
        while not running.ended.is_set():
            severed = asyncio.Event()
            try:
                with machine.opened(self._folder / machine.RUN) as run:
                    monitor = Path(f"/proc/self/fd/{run}", machine.MONITOR)
                    self._qmp = await Qmp.connect(monitor, self._heard, severed.set)
            except Silent as error:
                if tries == _TRIES_UNTIL_TOLD:
                    self._log.warning("cannot talk with it: %s", error)
                await asyncio.sleep(_AGAIN_SECONDS[min(tries, len(_AGAIN_SECONDS) - 1)])
                tries += 1
                continue
            if tries > _TRIES_UNTIL_TOLD:
                self._log.info("can be talked with again")
            tries = 0
            self.is_up.set()
            self._came_up()
            await severed.wait()
            self._hang_up()

    def _hang_up(self) -> None:
        self.is_up.clear()
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
