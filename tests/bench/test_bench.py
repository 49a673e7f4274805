"""The benchmark itself: that it measures everything it promises, not how fast anything is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).with_name("bench.py")


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
    assert {name.partition(":")[0] for name in names} == {
        "DescribeInstances of 1 / floor",
        "GET orders/{id}, OAuth1 / floor",
        "RunInstances, 32 clients / floor",
        "loop held",
        "ready, 20 machines",
        "ready, 30 machines",
        "resident memory, 30 machines",
    }


def test_every_measure_has_a_figure_and_a_target(trial):
    _, document = trial
    assert [measure["name"] for measure in document["measures"] if not measure["figure"] or not measure["target"]] == []


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
