"""The order of tests that several workers share: what takes long comes first in the share of each.

xdist gives each worker an equal number of the tests, in order, and who has done all takes half of what another has left,
from its end. Short tests must be left for that: nobody can take a part of a long one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import pytest

SECONDS = {
    "tests/core/compute/qemu/test_driver.py": 500,
    "tests/core/compute/qemu/test_building.py": 290,
    "tests/end_to_end/test_machines.py": 150,
    "tests/core/compute/qemu/test_serial.py": 130,
    "tests/end_to_end/test_machine_faults.py": 130,
    "tests/end_to_end/test_terraform.py": 125,
    "tests/docs/test_examples.py": 120,
    "tests/release/test_single_file.py": 120,
    "tests/end_to_end/test_state_machine.py": 110,
    "tests/bench/test_bench.py": 70,
    "tests/end_to_end/test_kill.py": 65,
    "tests/end_to_end/test_ansible.py": 50,
    "tests/gateway/test_backup.py": 50,
    "tests/end_to_end/test_console_security.py": 40,
    "tests/end_to_end/test_console_serial.py": 20,
    "tests/end_to_end/test_snippets.py": 20,
    "tests/core/compute/qemu/test_routed.py": 20,
}
"""Roughly what the files take that take longest; what is not here takes less."""


def dealt(tests: Iterable[pytest.Item], workers: int, seconds: Mapping[str, int] = SECONDS) -> list[pytest.Item]:
    """Return the tests in the order in which xdist is to deal them out. Files stay whole, as fixtures are made by file."""
    files: dict[str, list[pytest.Item]] = defaultdict(list)
    for test in tests:
        files[test.nodeid.partition("::")[0]].append(test)
    long = sorted(files.keys() & seconds.keys(), key=lambda file: (-seconds[file], file))
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for file, share in _spread(long, seconds, workers):
        shares[share] += files.pop(file)
    return _filled(shares, [test for file in files.values() for test in file])


def _spread(files: Sequence[str], seconds: Mapping[str, int], workers: int) -> Iterable[tuple[str, int]]:
    """Yield each file with the number of the share that had least to do so far."""
    loads = [0] * workers
    for file in files:
        share = loads.index(min(loads))
        loads[share] += seconds[file]
        yield file, share


def _filled(shares: Sequence[list[pytest.Item]], short: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the shares one after the other, each with as many of the short tests as xdist's equal part has room for."""
    left, rest, order = sum(map(len, shares)) + len(short), iter(short), []
    for number, share in enumerate(shares):
        room = left // (len(shares) - number)
        left -= room
        order += [*share, *islice(rest, max(0, room - len(share)))]
    return [*order, *rest]
