"""The wheel, as pip or pipx installs it."""

import os
import subprocess
import sys
from zipfile import ZipFile

import pytest

from tests.release.built import built
from tests.running import REPOSITORY, RunningGateway


@pytest.fixture(scope="module")
def wheel():
    [found] = built().glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with what the wheel has; what it needs is the tests' own."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", folder, wheel]
    subprocess.run(command, check=True)
    return folder


def test_it_has_all_of_ours_and_nothing_of_the_tests(wheel):
    listed = ["git", "ls-files", "core", "gateway", "protocols", "onefleet.py"]
    tracked = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
    wanted = {name for name in tracked if "/scripts/" not in name} | {"gateway/build.json"}
    assert {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name} == wanted


def test_it_serves_and_knows_what_it_was_built_of(installed, tmp_path):
    gateway = RunningGateway(tmp_path)
    gateway.program = [str(installed / "bin/onefleet")]
    gateway.environ = os.environ | {"PYTHONPATH": str(installed)}
    with gateway:
        assert gateway.get("/readyz").status == 200
        assert "Sign in" in gateway.get("/console/sign-in").text
    assert gateway.cli("--version").stdout.endswith("Z)\n")


def test_the_reference_is_in_it(installed, tmp_path):
    said = subprocess.run(
        [installed / "bin/onefleet", "config", "example"],
        env=os.environ | {"PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert said.stdout == (REPOSITORY / "config.toml").read_bytes()
