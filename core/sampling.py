"""Asks the driver again and again what machines have used, and keeps what that comes to."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from core.clock import Clock
from core.errors import StoreUnavailable
from core.ids import InstanceId, ProductId
from core.ports import ComputeDriver, DriverError, Sample, SampleStore, Store
from core.usage import Span, Total, Usage

_YIELD_EVERY = 500

_COUNTERS = {
    "cpus": "cpu_seconds",
    "disk_read_bytes": "disk_read_bytes",
    "disk_written_bytes": "disk_written_bytes",
    "received_bytes": "received_bytes",
    "sent_bytes": "sent_bytes",
}
"""Which counter of a sample each rate is made of."""


def usage_between(before: Sample, after: Sample, seconds: float, at: datetime) -> Usage:
    """Return what a machine used between two samples, so many seconds apart; they began at `at`.

    If a counter has gone backwards the machine has been started anew meanwhile, and all of them from nothing.
    """
    gained = {name: _gained(before, after, counter) for name, counter in _COUNTERS.items()}
    if any(gain is not None and gain < 0 for gain in gained.values()):
        gained = {name: getattr(after, counter) for name, counter in _COUNTERS.items()}
    rates = {name: None if gain is None else gain / seconds for name, gain in gained.items()}
    return Usage(after.id, at, memory_mib=after.memory_used_mib, **rates)


def _gained(before: Sample, after: Sample, counter: str) -> float | None:
    first, second = getattr(before, counter), getattr(after, counter)
    return None if first is None or second is None else second - first


class NoSamples:
    """See `core.ports.SampleStore`: one that keeps nothing, where nothing is to be kept."""

    async def keep(self, usages: Sequence[Usage], seconds: float, living: Collection[InstanceId]) -> None:
        """See `SampleStore.keep`."""

    async def usage(self, instance_id: InstanceId, span: Span, now: datetime) -> Sequence[Usage]:  # noqa: ARG002
        """See `SampleStore.usage`."""
        return ()

    async def close(self) -> None:
        """See `SampleStore.close`."""


class Sampler:
    """Takes samples every so many seconds. What goes wrong is logged once, and again when it is well again.

    `totals` is what the machines of each product used together in the last round; empty while the driver is silent.
    """

    def __init__(
        self, store: Store, driver: ComputeDriver, samples: SampleStore, clock: Clock, *, every_seconds: float
    ) -> None:
        self._store, self._driver, self._samples, self._clock = store, driver, samples, clock
        self._every_seconds = every_seconds
        self._last: Mapping[InstanceId, Sample] = {}
        self._last_at = 0.0
        self.totals: Mapping[ProductId, Total] = {}
        self._trouble = ""
        self._log = structlog.get_logger("sampler")

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            try:
                await self.take()
            except Exception as error:  # noqa: BLE001  the loop must go on, whatever came up; the operator is told
                self._note(f"taking samples failed: {error!r}")
            await asyncio.sleep(self._every_seconds)

    async def take(self) -> None:
        """Take one sample of each machine and keep what was used since the last; of a new one there is nothing yet."""
        try:
            taken, now = await self._driver.samples(), time.monotonic()
            seconds, before = now - self._last_at, self._last
            self._last, self._last_at = {sample.id: sample for sample in taken}, now
            living = await self._living()
            await self._samples.keep(await self._usages(before, living, seconds), seconds, living)
        except DriverError as error:
            self.totals = {}
            self._note(f"driver: {error}")
        except StoreUnavailable as error:
            self._note(f"samples cannot be kept: {error.__cause__ or error}")
        else:
            self._note("")

    async def _living(self) -> Mapping[InstanceId, ProductId]:
        machines = list((await self._store.view()).instances.values())
        return {machine.id: machine.product_id for machine in machines if not machine.is_gone}

    async def _usages(
        self, before: Mapping[InstanceId, Sample], living: Mapping[InstanceId, ProductId], seconds: float
    ) -> Sequence[Usage]:
        began_at = self._clock.now() - timedelta(seconds=seconds if before else 0)
        usages, totals = [], defaultdict[ProductId, Total](Total)
        for number, (instance_id, sample) in enumerate(self._last.items()):
            if instance_id in before and instance_id in living:
                usage = usage_between(before[instance_id], sample, seconds, began_at)
                usages.append(usage)
                totals[living[instance_id]].add(usage)
            if number % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        self.totals = totals
        return usages

    def _note(self, trouble: str) -> None:
        if trouble and not self._trouble:
            self._log.warning("%s", trouble)
        elif self._trouble and not trouble:
            self._log.info("samples are taken and kept again")
        self._trouble = trouble
