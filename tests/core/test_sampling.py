import asyncio
import sqlite3
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from core.errors import StoreUnavailable
from core.ids import InstanceId
from core.ports import Sample
from core.sampling import NoSamples, Sampler, usage_between
from core.storage.samples import SampleFile
from core.usage import Span, Total, Usage
from tests.clocks import NOON
from tests.yard import AT_ONCE, open_yard

ONE = InstanceId(1)


# --- counters to rates


def test_rates_are_what_was_gained_by_the_second():
    before = Sample(ONE, 10.0, 300.0, 1000, 2000, 3000, 4000)
    after = Sample(ONE, 25.0, 400.0, 1600, 2000, 9000, 4030)
    assert usage_between(before, after, 30, NOON) == Usage(ONE, NOON, 0.5, 400.0, 20, 0, 200, 1)


def test_after_a_restart_counters_are_counted_from_nothing():
    before = Sample(ONE, 10.0, 300.0, 1000, 2000, 3000, 4000)
    after = Sample(ONE, 3.0, 400.0, 600, 9000, 30, 60)
    assert usage_between(before, after, 30, NOON) == Usage(ONE, NOON, 0.1, 400.0, 20, 300, 1, 2)


def test_what_a_driver_cannot_tell_stays_unknown():
    assert usage_between(Sample(ONE, 1.0), Sample(ONE, 2.0, sent_bytes=9), 1, NOON) == Usage(ONE, NOON, 1.0)


# --- the sampler


class Kept(NoSamples):
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.rounds = []

    async def keep(self, usages, seconds, living):
        self.rounds.append((list(usages), seconds, set(living)))


@asynccontextmanager
async def sampled(folder, samples=None):
    async with open_yard(folder, AT_ONCE) as yard:
        samples = samples or Kept()
        yield yard, samples, Sampler(yard.store, yard.driver, samples, yard.clock, every_seconds=0.001)


async def settled(yard):
    await yard.reconciler.settle()


async def test_the_first_round_has_no_rates_and_the_next_has_those_of_each_machine(tmp_path):
    async with sampled(tmp_path) as (yard, samples, sampler):
        ids = await yard.book(2)
        await settled(yard)
        await sampler.take()
        await asyncio.sleep(0.02)
        await sampler.take()
    (first, _, living), (second, seconds, _) = samples.rounds
    assert (first, living) == ([], set(ids))
    assert [usage.instance_id for usage in second] == ids
    assert all(usage.cpus > 0 and usage.memory_mib > 0 for usage in second)
    assert second[0].at == yard.clock.now() - timedelta(seconds=seconds)


async def test_a_machine_that_was_away_has_no_rate_until_it_was_seen_twice(tmp_path):
    async with sampled(tmp_path) as (yard, samples, sampler):
        [machine] = await yard.book()
        await settled(yard)
        await sampler.take()
        await yard.core.stop(yard.caller, [machine], is_forced=True)
        await settled(yard)
        await sampler.take()
        await yard.core.start(yard.caller, [machine])
        await settled(yard)
        await sampler.take()
        await sampler.take()
    assert [len(usages) for usages, _, _ in samples.rounds] == [0, 0, 0, 1]


async def test_a_machine_that_is_gone_is_not_among_the_living(tmp_path):
    async with sampled(tmp_path) as (yard, samples, sampler):
        gone, left = await yard.book(2)
        await settled(yard)
        await yard.core.terminate(yard.caller, [gone])
        await settled(yard)
        await sampler.take()
    assert samples.rounds[0][2] == {left}


async def test_what_machines_used_is_summed_by_their_product(tmp_path):
    async with sampled(tmp_path) as (yard, samples, sampler):
        ids = await yard.launched(3)
        small = (await yard.machine(ids[0])).product_id
        await sampler.take()
        assert sampler.totals == {}
        await asyncio.sleep(0.02)
        await sampler.take()
    _, (usages, _, _) = samples.rounds
    assert list(sampler.totals) == [small]
    total = sampler.totals[small]
    assert total.machines == 3
    assert total.cpus == pytest.approx(sum(usage.cpus for usage in usages))
    assert total.memory_mib == pytest.approx(sum(usage.memory_mib for usage in usages))


def test_what_cannot_be_told_of_a_machine_counts_as_nothing():
    total = Total()
    total.add(Usage(ONE, NOON))
    total.add(Usage(ONE, NOON, 0.5, 400.0, 20, 30, 200, 1))
    assert total == Total(2, 0.5, 400.0, 20, 30, 200, 1)


async def test_of_a_silent_driver_nothing_is_said_to_be_used(tmp_path):
    async with sampled(tmp_path) as (yard, _, sampler):
        await yard.launched()
        await sampler.take()
        await sampler.take()
        assert sampler.totals
        yard.driver.go_silent(True)
        await sampler.take()
        assert sampler.totals == {}


class Broken(NoSamples):
    is_broken = True

    async def keep(self, *_):
        if self.is_broken:
            raise StoreUnavailable from sqlite3.OperationalError("database or disk is full")


async def test_trouble_is_told_once_and_its_end_once(tmp_path):
    async with sampled(tmp_path, Broken()) as (yard, samples, sampler):
        with capture_logs() as lines:
            for is_broken in (True, True, False, False):
                samples.is_broken = is_broken
                await sampler.take()
            yard.driver.go_silent(True)
            await sampler.take()
            await sampler.take()
            yard.driver.go_silent(False)
    told = [
        line["event"] % line.get("positional_args", ()) if "%" in line["event"] else line["event"] for line in lines
    ]
    assert told == [
        "samples cannot be kept: database or disk is full",
        "samples are taken and kept again",
        "driver: The simulated backend does not answer.",
    ]


async def test_the_loop_outlives_whatever_comes_up(tmp_path):
    class Faulty(Kept):
        async def keep(self, *args):
            await super().keep(*args)
            raise ZeroDivisionError

    async with sampled(tmp_path, Faulty()) as (_, samples, sampler):
        task = asyncio.create_task(sampler.run())
        with capture_logs() as lines:
            async with asyncio.timeout(5):
                while len(samples.rounds) < 3:  # noqa: ASYNC110  it has no event for it
                    await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(lines) == 1


async def test_what_was_sampled_can_be_asked_for_by_who_rents_the_machine(tmp_path):
    file = SampleFile(tmp_path / "samples.db")
    async with sampled(tmp_path, file) as (yard, _, sampler):
        await yard.book()
        await settled(yard)
        await sampler.take()
        await asyncio.sleep(0.02)
        await sampler.take()
        [point] = await file.usage(ONE, Span.HOUR, yard.clock.now())
        assert point.cpus > 0
        yard.clock.advance(timedelta(hours=1))
        assert await file.usage(ONE, Span.HOUR, yard.clock.now()) == []
    await file.close()
