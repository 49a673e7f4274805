import json
import re
from importlib.metadata import distribution

import pytest
from packaging.licenses import canonicalize_license_expression

from gateway import licences
from gateway.cli import run
from gateway.licences import Kind, Part, document, in_order, of_distribution, parse, parts
from tests.running import REPOSITORY


def a_part(**fields) -> Part:
    return Part(
        **{"name": "libfoo", "version": "1.2", "licence": "MIT", "kind": Kind.PYTHON, "texts": ("Do.\n",), **fields}
    )


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Onefleet as `make dist` builds it: the list of its parts is in a file."""
    monkeypatch.setattr(licences, "_LIST", tmp_path / "parts.json")
    told = [a_part(), a_part(name="libbar", version="", kind=Kind.NATIVE, within="libfoo", texts=())]
    (tmp_path / "parts.json").write_text(document(told))
    return told


@pytest.fixture
def said(capsys):
    def say(*words, code=0):
        assert run(["licences", *words]) == code
        return capsys.readouterr().out

    return say


# --- what is told of an installation


def test_every_licence_is_an_spdx_expression():
    told = {part.licence for part in parts() if part.kind is not Kind.OURS}
    assert {canonicalize_license_expression(each) for each in told} == told


def test_every_python_package_has_a_version_a_homepage_and_a_text():
    packages = [part for part in parts() if part.kind is Kind.PYTHON]
    assert len(packages) > 20
    for part in packages:
        assert part.version, part.name
        assert part.homepage.startswith("http"), part.name
        assert any(len(text) > 200 for text in part.texts), part.name


def test_what_a_package_needs_is_inside_too():
    assert {"rich", "pygments", "cffi", "multidict"} <= {part.name for part in parts()}


def test_what_only_tests_need_is_not_inside():
    assert not {"pytest", "boto3", "mypy", "colorama"} & {part.name for part in parts()}


def test_the_scripts_of_the_console_are_those_that_lie_in_its_folder():
    folder = REPOSITORY / "protocols/console/static/vendor"
    told = re.findall(r"^== \S+ \S+, .+ \((.+)\)$", (folder / "LICENCES").read_text(), re.MULTILINE)
    assert {name for names in told for name in names.split(", ")} == {file.name for file in folder.glob("*.*")}
    assert len(told) == len([part for part in parts() if part.kind is Kind.SCRIPT])


def test_a_scripts_text_is_its_own_only():
    [htmx] = [part for part in parts() if part.name == "htmx.org"]
    [text] = htmx.texts
    assert text.startswith("Zero-Clause BSD\n")
    assert "xterm" not in text


def test_the_models_of_ec2_come_with_botocores_notice():
    [model] = [part for part in parts() if part.kind is Kind.DATA]
    assert model.version
    assert "Apache License" in model.texts[0]


@pytest.mark.parametrize("wheel", ["aiohttp", "cffi", "cryptography", "lxml", "uvloop"])
def test_the_libraries_inside_of_a_wheel_are_told(wheel):
    assert [part for part in of_distribution(distribution(wheel)) if part.kind is Kind.NATIVE]


def test_every_compiled_wheel_is_known_for_what_is_inside():
    """A wheel with compiled code that brings no list of its own has a line in the table, or nothing foreign inside."""
    compiled = {part.name for part in parts() if part.kind is Kind.PYTHON and _is_compiled(part.name)}
    pure = {"aiohttp", "frozenlist", "markupsafe", "multidict", "propcache", "yarl"}  # compiled from their own sources
    listed = {part.within for part in parts()}
    assert compiled <= listed | pure


def _is_compiled(name: str) -> bool:
    return any(file.suffix == ".so" for file in distribution(name).files or ())


def test_what_was_only_used_to_build_a_wheel_is_not_inside():
    assert not {"cc", "pyo3-build-config"} & {part.name for part in parts()}


# --- what is told of a build


def test_a_build_tells_the_list_that_it_was_given(built):
    assert parts() == built


def test_parts_survive_being_written_down():
    told = in_order([a_part(), a_part(name="Café", kind=Kind.DEBIAN, texts=("a\n", "b\n"))])
    assert parse(document(told)) == told


# --- the command


def test_the_table_tells_where_each_part_is(built, said):
    assert said() == (
        "NAME    VERSION  LICENCE  WHAT\n"
        "libfoo  1.2      MIT      Python package\n"
        "libbar  -        MIT      native library in libfoo\n"
    )


def test_json_leaves_texts_out_unless_they_are_asked_for(built, said):
    assert "texts" not in json.loads(said("--json"))[0]
    assert json.loads(said("--json", "--text", "libfoo"))[0]["texts"] == ["Do.\n"]


def test_texts_are_printed_in_full_under_their_parts(built, said):
    assert said("--text") == (
        "libfoo 1.2 (Python package) MIT\n===============================\n\nDo.\n\n"
        "libbar (native library in libfoo) MIT\n=====================================\n\n"
        "It comes without a text of its own, inside of libfoo: see `onefleet licences --text libfoo`.\n"
    )


def test_a_part_is_found_whatever_its_case(built, said):
    assert said("--text", "LibFoo").startswith("libfoo 1.2")


def test_an_unknown_part_is_refused_with_where_to_look(built, said, capsys):
    assert run(["licences", "--text", "nobody"]) == 1
    assert capsys.readouterr().err == (
        "onefleet: licences: no part is named 'nobody'; `onefleet licences` lists them all\n"
    )


def test_without_an_installation_the_way_out_is_told(monkeypatch, capsys):
    monkeypatch.setattr(licences, "_OURS", "onefleet-that-nobody-installed")
    assert run(["licences"]) == 1
    assert "make venv" in capsys.readouterr().err
