"""What `onefleet config show` prints."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config, showing
from gateway.reading import Written
from tests.specimens import HERE, known_keys, with_every_key

EMPTY = {"ec2": {}}
SEVERAL = {"ec2": [{}, {"path": "/b"}], "zerosix": {"ranks": {"cpu": ["epyc-9654"]}}}
LONG = with_every_key()
LONG["products"] = [{**LONG["products"][3], "slug": f"gcl.{number}"} for number in range(500)]


def shown(document, **environ):
    return showing.as_toml(config._read(document, HERE / "fleet.toml", environ)[1])


@pytest.mark.parametrize("document", [EMPTY, SEVERAL, with_every_key(), LONG], ids=["empty", "several", "full", "long"])
def test_what_is_shown_is_a_configuration_that_says_the_same(document):
    assert config.parse(tomllib.loads(shown(document)), HERE) == config.parse(document, HERE)


def test_each_value_is_shown_with_its_origin():
    lines = shown({"ec2": {}, "log": {"level": "error"}}, ONEFLEET_SERVER__LISTEN="[::1]:80").splitlines()
    assert 'listen = "[::1]:80"  # ONEFLEET_SERVER__LISTEN' in lines
    assert 'level = "error"  # fleet.toml' in lines
    assert 'format = "auto"  # default' in lines


def test_what_is_not_set_is_shown_too():
    lines = shown(EMPTY).splitlines()
    assert {"# console is not set", "# tls is not set", "products = []  # default"} <= set(lines)


def test_every_key_is_shown():
    names = {key.rpartition(".")[2] for key in known_keys()}
    text = shown(with_every_key())
    assert {name for name in names if f"{name} = " not in text and f"{name}]" not in text} == set()


values = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), values, max_size=4))
def test_any_value_is_shown_as_toml_reads_it(document):
    tree = {key: Written(value, "here") for key, value in document.items()}
    assert tomllib.loads(showing.as_toml({"table": tree, "tables": [tree, tree]})) == {
        "table": document,
        "tables": [document, document],
    }


def test_programs_are_told_each_value_by_its_path():
    rows = showing.as_rows(config._read({"ec2": [{}], "log": {"level": "error"}}, HERE / "fleet.toml", {})[1])
    assert {"key": "log.level", "value": "error", "origin": "fleet.toml"} in rows
    assert {"key": "ec2[0].path", "value": "/", "origin": "default"} in rows
    assert {"key": "console", "value": None, "origin": "default"} in rows
