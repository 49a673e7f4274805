"""Holds docs/dependencies.md and constraints.txt to what is depended on."""

import json
import re
import tomllib
from collections.abc import Collection, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions

import pytest
from packaging.requirements import Requirement

from gateway.licences import Kind, normal, parts
from tests.running import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PAGE = (REPOSITORY / "docs/dependencies.md").read_text()
IN_TOOLS = {"ansible", "ansible-core", "resolvelib"}


def rows(*, under: str) -> list[list[str]]:
    """The cells of each row of the tables under a heading of the page."""
    [section] = re.findall(rf"^## {re.escape(under)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^\| (?!package )(.+) \|$", section, re.MULTILINE)
    return [[cell.strip() for cell in line.split(" |")] for line in lines]


def named(*, under: str) -> list[str]:
    return [name for name, *_ in rows(under=under)]


def names(requirements: Collection[str]) -> set[str]:
    return {Requirement(each).name for each in requirements}


# --- docs/dependencies.md


def test_what_runs_has_a_row_each_and_nothing_else_has():
    assert set(named(under="What runs")) == names(PROJECT["dependencies"])


def test_each_vendored_script_has_a_row_and_nothing_else_has():
    assert set(named(under="What comes with the console")) == {
        part.name for part in parts() if part.kind is Kind.SCRIPT
    }


def test_what_tests_need_has_a_row_each_and_nothing_else_has():
    npm = json.loads((REPOSITORY / "tests/end_to_end/package.json").read_text())["dependencies"]
    beside = {"ansible", "ansible-core", *npm}
    assert set(named(under="What tests need")) == names(EXTRAS["test"]) | beside


@pytest.mark.parametrize(("extra", "heading"), [("bench", "What the bench needs"), ("dist", "What builds")])
def test_what_other_extras_need_has_a_row_each_and_nothing_else_has(extra, heading):
    assert set(named(under=heading)) == names(EXTRAS[extra])


def test_what_is_installed_from_debian_has_a_row_each_and_nothing_else_has():
    for_tests = (REPOSITORY / ".ci/install-test-tools").read_text()
    for_dist = (REPOSITORY / ".ci/dist/install-tools").read_text()
    [listed] = re.findall(r"^for package in (.+); do$", for_dist, re.MULTILINE)
    packages = {
        *re.findall(r"^ +\[\S+\]=(\S+)$", for_tests, re.MULTILINE),
        *re.findall(r"missing\+=\(([\w-]+)\)", for_tests),
        *(name for names in re.findall(r"apt-get download -qq ([a-z -]+)", for_tests) for name in names.split()),
        *re.findall(r"apt-get install .*--no-install-recommends (\w+) (\w+)", (REPOSITORY / "Makefile").read_text())[0],
        *listed.replace('"$library"', "libpython3.11").split(),
    }
    assert set(named(under="What comes from Debian")) == packages


def test_every_extra_is_one_that_the_page_speaks_of():
    assert EXTRAS.keys() == {"test", "bench", "dist"}


def test_rows_leave_out_nothing_and_stand_in_order_once():
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    for heading in headings:
        assert len(set(named(under=heading))) == len(named(under=heading))
    for heading in headings[:-2]:  # Debian's have no date, and the last has no table
        for row in rows(under=heading):
            assert len(row) == 5
            assert all(row), row
            assert re.fullmatch(r"20\d\d-\d\d-\d\d", row[3]), row


def test_the_page_tells_the_licences_that_the_parts_tell():
    told = {part.name: part.licence for part in parts() if part.kind in {Kind.PYTHON, Kind.SCRIPT}}
    written = {
        row[0]: row[4] for heading in ("What runs", "What comes with the console") for row in rows(under=heading)
    }
    assert written == {name: told[name] for name in written}


# --- constraints.txt


def pinned() -> dict[str, str]:
    lines = re.findall(r"^([\w.-]+)==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    return {normal(name): version for name, version in lines}


def installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def closure(requirements: Collection[str]) -> set[str]:
    """What the requirements need, directly or not, as far as it is installed: `bench` and `dist` need not be."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(each) for each in requirements]
    while waiting:
        wanted = waiting.pop()
        for extra in {"", *wanted.extras}:
            key = (normal(wanted.name), extra)
            if key not in found and (there := installed(wanted.name)) is not None:
                found.add(key)
                waiting += _needs(there, extra)
    return {name for name, _ in found}


def _needs(there: Distribution, extra: str) -> Iterator[Requirement]:
    for line in there.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def test_what_runs_and_what_tests_it_is_pinned_at_the_version_that_is_installed():
    needed = closure([*PROJECT["dependencies"], *EXTRAS["test"]])
    assert {name: pinned().get(name) for name in needed} == {name: distribution(name).version for name in needed}


def test_nothing_is_pinned_that_is_installed_but_not_needed():
    needed = closure([*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)])
    there = {normal(each.name) for each in distributions()} - {"pip", "setuptools"}  # in every environment
    assert pinned().keys() & there <= needed | IN_TOOLS


def test_every_direct_dependency_is_pinned():
    direct = {normal(name) for extra in EXTRAS.values() for name in names(extra)} | IN_TOOLS
    assert direct | {normal(name) for name in names(PROJECT["dependencies"])} <= pinned().keys()
