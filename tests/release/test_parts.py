"""What `make dist` tells about what is inside."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from gateway.licences import Kind, Part, parse
from tests.release.built import built
from tests.running import REPOSITORY

PYTHON = REPOSITORY / "build/dist/venv/bin/python"
BUNDLE = REPOSITORY / "build/dist/bundle/onefleet"
SBOM = REPOSITORY / "dist/onefleet.cdx.json"


@pytest.fixture(autouse=True)
def _is_built():
    built()


@pytest.fixture
def parts() -> list[Part]:
    return list(parse((BUNDLE / "_internal/gateway/parts.json").read_text()))


@pytest.fixture
def sbom() -> dict:
    return json.loads(SBOM.read_text())


def within(component: dict, *, of: str = "") -> Iterator[tuple[str, str, str]]:
    yield component["name"], component.get("version", ""), of
    for each in component.get("components", ()):
        yield from within(each, of=component["name"])


def test_the_single_file_tells_its_parts():
    said = subprocess.run([BUNDLE / "onefleet", "licences", "--json"], capture_output=True, check=True).stdout
    assert {"python3.11", "openssl", "sqlite3", "glibc", "pyinstaller"} <= {part["name"] for part in json.loads(said)}


def test_every_part_has_a_licence_and_a_text_somewhere(parts):
    carriers = {part.name for part in parts if part.texts}
    for part in parts:
        if part.kind is not Kind.OURS:
            assert part.licence, part.name
            assert part.texts or part.within in carriers, part.name


def test_nothing_is_inside_that_would_put_all_of_it_under_its_licence(parts):
    bare = {part.name for part in parts if part.licence.startswith("GPL-") and " WITH " not in part.licence}
    assert not bare


def test_the_sbom_names_each_part_once(parts, sbom):
    program = sbom["metadata"]["component"]
    told = [*within(program), *(each for component in sbom["components"] for each in within(component))]
    assert sorted(told) == sorted((part.name, part.version, part.within) for part in parts)


def test_the_sbom_names_packages_as_their_registries_do(sbom):
    purls = {component["name"]: component["purl"] for component in sbom["components"]}
    assert purls["aiohttp"].startswith("pkg:pypi/aiohttp@3.")
    assert purls["sqlite3"].startswith("pkg:deb/debian/sqlite3@3.")
    assert purls["@xterm/xterm"].startswith("pkg:npm/%40xterm/xterm@5.")


def test_a_file_that_belongs_to_no_part_is_refused(tmp_path):
    shutil.copy(BUNDLE / "onefleet", tmp_path)
    (tmp_path / "_internal/lost").mkdir(parents=True)
    shutil.copy(BUNDLE / "_internal/libz.so.1", tmp_path / "_internal")
    (tmp_path / "_internal/lost/libstranger.so.1").touch()
    words = [PYTHON, REPOSITORY / ".ci/dist/parts.py", tmp_path / "_internal", tmp_path / "parts.json"]
    refused = subprocess.run(words, capture_output=True, text=True, check=False)
    assert refused.stderr == "parts.py: lost/libstranger.so.1 belongs to no part\n"
    assert refused.returncode == 1
    assert not (tmp_path / "parts.json").exists()
