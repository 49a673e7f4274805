"""The benchmark itself: that it measures everything it promises, not how fast anything is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machines import processes
from tests.running import eventually

BENCH = Path(__file__).with_name("bench.py")
START_SECONDS = 60


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    file = tmp_path_factory.mktemp("bench") / "results.json"
    command = [sys.executable, str(BENCH), "--trial", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_bytes())


def test_every_promise_is_measured(trial):
    _, document = trial
    names = [measure["name"] for measure in document["measures"]]
    assert {name.partition(":")[0] for name in names if not name.startswith("first ssh")} == {
        "100 launches/s",
        "DescribeInstances of 1 / floor",
        "GET orders/{id}, OAuth1 / floor",
        "RunInstances, 32 clients / floor",
        "console, 20 machines",
        "loop held",
        "ready, 20 machines",
        "ready, 30 machines",
        "resident memory, 30 machines",
    }


def test_real_machines_are_measured_beside_bare_ones(trial):
    _, document = trial
    [measure] = [measure for measure in document["measures"] if measure["name"].startswith("first ssh")]
    if "not_measured" in measure:
        pytest.skip(measure["not_measured"])
    assert measure["name"] == "first ssh, 1 machine / bare QEMU"
    [ours], [bare] = measure["ours"], measure["peer"]
    assert ours > 1
    assert bare > 1


def test_every_measure_has_a_figure_and_a_target(trial):
    _, document = trial
    measured = [measure for measure in document["measures"] if "not_measured" not in measure]
    assert [measure["name"] for measure in measured if not {"figure", "target"} <= measure.keys()] == []


def test_the_table_fits_a_hundred_columns_and_has_a_row_for_each_measure(trial):
    table, document = trial
    lines = table.splitlines()
    assert max(map(len, lines)) <= 100
    assert [
        m["name"] for m in document["measures"] if not any(line.startswith(f"{m['name']} ") for line in lines)
    ] == []


def test_the_document_says_what_it_was_measured_with(trial):
    _, document = trial
    assert {"python", "aiohttp", "uvloop"} <= document["versions"].keys()
    assert {"server", "load"} <= document["cores"].keys()


@pytest.mark.parametrize("whose", ["real/data", "bare"])
def test_no_machine_outlives_a_benchmark_that_is_interrupted(micro_image, tmp_path, whose):
    with (tmp_path / "said").open("wb") as said:
        bench = subprocess.Popen([sys.executable, str(BENCH), "--trial"], stdout=said, stderr=said)

    def running():
        return [pid for folder in folders() for pid in processes(folder / whose)]

    def folders():
        return [*Path("/var/tmp").glob(f"onefleet-bench-{bench.pid}-*")]

    try:
        machines = eventually(running, seconds=START_SECONDS, what="a machine of the benchmark")
    finally:
        bench.terminate()
        bench.wait(START_SECONDS)
    assert [pid for pid in machines if is_alive(pid)] == []
    assert folders() == []


def is_alive(pid):
    """Whether the process lives: one that has ended, and that nobody has asked after yet, has no words."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False
