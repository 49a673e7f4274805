"""How fast Onefleet is, beside a bare handler, moto and bare QEMU, in one run on this machine.

    .venv/bin/python tests/bench/bench.py [--quick] [--without-machines] [--json bench-results.json]

The servers run on one core and the load on another, and real machines with all that belongs to them on every core.
Everything stays on the loopback interface.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from figures import Figure, table
from measures import FULL, QUICK, TRIAL, Bench, Effort
from servers import Cores

_PACKAGES = ("aiohttp", "uvloop", "aiosqlite", "orjson", "moto")


def main() -> int:
    """Measure, print the table, and write the figures."""
    options = _options()
    if not options.trial and find_spec("moto") is None:
        sys.exit("bench.py: moto is not installed; `make bench` installs it: pip install '.[bench]'")
    effort = TRIAL if options.trial else QUICK if options.quick else FULL
    if options.without_machines:
        effort = replace(effort, boots={})
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no server is left behind
    started = time.monotonic()
    cores = usable_cores()
    # Not /tmp, which may be in memory.
    with tempfile.TemporaryDirectory(prefix=f"onefleet-bench-{os.getpid()}-", dir="/var/tmp") as folder:
        figures = list(Bench(Path(folder), effort, cores).run())
    seconds = time.monotonic() - started
    sys.stderr.write("\n")
    sys.stdout.write(f"{table(figures)}\n{_surroundings(cores, effort, seconds)}\n")
    if options.json is not None:
        options.json.write_text(json.dumps(_document(figures, cores, effort, seconds), indent=2) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Onefleet beside a bare handler, moto and bare QEMU.")
    parser.add_argument("--quick", action="store_true", help="less of everything: a minute instead of five")
    parser.add_argument("--trial", action="store_true", help="hardly anything, without moto: does the benchmark work?")
    parser.add_argument("--without-machines", action="store_true", help="boot no real machines, which takes a while")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures to this file as well")
    return parser.parse_args()


def usable_cores() -> Cores:
    """Return the first and the last core that this process may use; they are the same if it has only one."""
    usable = os.sched_getaffinity(0)
    return Cores(frozenset({min(usable)}), frozenset({max(usable)}), frozenset(usable))


def _surroundings(cores: Cores, effort: Effort, seconds: float) -> str:
    versions = " ".join(f"{name} {number}" for name, number in _versions(effort).items())
    return f"{versions}\nservers on core {min(cores.server)}, load on core {min(cores.load)}; {seconds:.0f} s in all"


def _document(figures: Sequence[Figure], cores: Cores, effort: Effort, seconds: float) -> Mapping[str, object]:
    return {
        "versions": _versions(effort),
        "cores": {"server": min(cores.server), "load": min(cores.load), "of": os.cpu_count(), "model": processor()},
        "rounds": effort.rounds,
        "seconds": seconds,
        "measures": [figure.document() for figure in figures],
    }


def _versions(effort: Effort) -> Mapping[str, str]:
    packages = [name for name in _PACKAGES if name != "moto" or effort.has_moto]
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
