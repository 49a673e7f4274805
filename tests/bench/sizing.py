"""What a gateway needs of its host, for docs/sizing.md: start, memory, and what each machine and order takes on disk.

    .venv/bin/python tests/bench/sizing.py [--quick] [MACHINES ...]

It prints the tables of that page. The machines are simulated: what a real one costs is measured in docs/sizing.md.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect

from bench import processor, usable_cores
from load import drive
from measures import list_all
from servers import IMAGE, INSTANCE_TYPE, Cores, House, await_answer, build_house, stop
from signing import booking

from core.ids import InstanceId
from core.storage.samples import FILE_NAME, SampleFile
from core.usage import RINGS, Usage

_FLEETS = (100, 1_000, 10_000)
_ROUNDS = 5
_ORDERS = 1_000
_SAMPLED = 20
_CLIENTS = 8


def main() -> None:
    """Measure, and print the tables."""
    options = _options()
    fleets, orders = options.machines or _FLEETS, 50 if options.quick else _ORDERS
    cores = usable_cores()
    with tempfile.TemporaryDirectory(prefix=f"onefleet-sizing-{os.getpid()}-", dir="/var/tmp") as name:
        folder = Path(name)
        rows = [_of_fleet(folder, cores, count, 1 if options.quick else _ROUNDS) for count in fleets]
        _print(("machines", "processor until ready", "memory at rest", "memory, all listed", "database"), rows)
        _print(("of one machine", "bytes on disk"), _of_one(folder, cores, orders))
    place = f"one core of {os.cpu_count()} ({processor()})"
    sys.stdout.write(f"Python {platform.python_version()}, {place}, {datetime.now(UTC):%Y-%m-%d}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what a gateway needs of its host.")
    parser.add_argument("--quick", action="store_true", help="one round, and few orders: does it work?")
    parser.add_argument("machines", nargs="*", type=int, help="sizes of fleets; without any: 100, 1,000 and 10,000")
    return parser.parse_args()


def _of_fleet(folder: Path, cores: Cores, machines: int, rounds: int) -> Sequence[str]:
    """Return the row of a gateway with so many machines, ten to an order."""
    house = build_house(folder / f"fleet-{machines}", cores)
    with house.serving():
        house.fill(machines)
    seconds = min(_start_cpu_seconds(house) for _ in range(rounds))
    with house.serving() as server:
        at_rest = server.resident_mb()
        list_all(house)
        listed = server.resident_mb()
    size_mb = _database_bytes(house) / 1e6
    return f"{machines:,}", f"{seconds:.2f} s", f"{at_rest:.0f} MB", f"{listed:.0f} MB", f"{size_mb:.1f} MB"


def _start_cpu_seconds(house: House) -> float:
    """Return what a start takes of a core: it lasts as long where nothing else runs."""
    server = house.start()
    try:
        await_answer(server, "/readyz")
        return server.cpu_seconds()
    finally:
        stop(server)


def _of_one(folder: Path, cores: Cores, orders: int) -> Iterator[tuple[str, str]]:
    """Yield what one machine takes, booked in an order of its own: in the database, the samples and the log."""
    house = build_house(folder / "orders", cores)
    with house.serving():
        house.fill(1)
    before, log_before = _database_bytes(house), _log_bytes(house)
    with house.serving():
        drive(house.address, [booking(house.key, IMAGE, INSTANCE_TYPE) for _ in range(orders)], _CLIENTS)
        house.wait_until_settled()
    booked, log_booked = _database_bytes(house), _log_bytes(house)
    with house.serving():
        _end_all(house, orders)
    ended, log_ended = _database_bytes(house), _log_bytes(house)
    yield "booked, until it runs: database", f"{(booked - before) / orders:,.0f}"
    yield "ended: database, for good", f"{(ended - before) / orders:,.0f}"
    yield "booked and ended: log", f"{(log_booked - log_before + log_ended - log_booked) / orders:,.0f}"
    yield "its graphs, once a year is full: samples", f"{_sample_bytes(folder) / _SAMPLED:,.0f}"


def _end_all(house: House, orders: int) -> None:
    for first in range(1, orders + 2, 500):
        ids = range(first, min(first + 500, orders + 2))
        house.ask("TerminateInstances", {f"InstanceId.{place}": f"i-{id_:017x}" for place, id_ in enumerate(ids, 1)})
    house.wait_until_settled()


def _database_bytes(house: House) -> int:
    """Return the size of the database at rest, packed: as a backup has it, and as it is after `VACUUM`."""
    with closing(connect(house.folder / "data" / "onefleet.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages, free, page_bytes = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int(pages - free) * int(page_bytes)


def _log_bytes(house: House) -> int:
    return (house.folder / "log").stat().st_size


def _sample_bytes(folder: Path) -> int:
    """Return the size of the samples of some machines that have run for so long that every ring is full."""
    asyncio.run(_keep_a_year(SampleFile(folder / FILE_NAME)))
    return sum(file.stat().st_size for file in folder.glob(f"{FILE_NAME}*"))


async def _keep_a_year(samples: SampleFile) -> None:
    living = [InstanceId(number) for number in range(1, _SAMPLED + 1)]
    now = datetime.now(UTC)
    for ring in RINGS.values():
        for place in range(ring.points, 0, -1):
            at = now - timedelta(seconds=place * ring.step_seconds)
            usages = [Usage(each, at, 0.123456789, 512.7, 1234.5, 6789.1, 2345.6, 7891.2) for each in living]
            await samples.keep(usages, 60.0, living)
    await samples.close()


def _print(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> None:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    sys.stdout.write("\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines, "", ""]))


if __name__ == "__main__":
    main()
