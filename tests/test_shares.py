from dataclasses import dataclass

from tests.running import REPOSITORY
from tests.shares import SECONDS, dealt


@dataclass(frozen=True)
class Test:
    """What of a test is looked at."""

    __test__ = False

    nodeid: str


def of(*files):
    return [Test(f"{file}::test_{number}") for file, count in files for number in range(count)]


def test_files_that_take_long_are_those_that_there_are():
    assert [file for file in SECONDS if not (REPOSITORY / file).exists()] == []


def test_every_test_is_dealt_out_once():
    tests = of(("a", 3), ("long", 2), ("b", 4), ("longer", 9))
    for workers in range(1, 6):
        order = dealt(tests, workers, {"long": 5, "longer": 9})
        assert sorted(order, key=tests.index) == tests


def test_every_share_begins_with_long_files_whole_and_ends_with_short_ones():
    tests = of(("a", 4), ("long", 1), ("b", 3), ("longest", 2), ("longer", 2))
    order = dealt(tests, 2, {"long": 4, "longest": 9, "longer": 6})
    assert [test.nodeid.partition("::")[0] for test in order] == [
        *("longest", "longest", "a", "a", "a", "a"),
        *("longer", "longer", "long", "b", "b", "b"),
    ]
