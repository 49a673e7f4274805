"""How the values of parameters are read, and that what is told of them is what is read."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from protocols.faults import Fault
from protocols.zerosix import parameters
from protocols.zerosix.decode import nested
from protocols.zerosix.errors import Refusal
from protocols.zerosix.parameters import NOTHING, Parameter, Parameters, Unfit
from tests.protocols.zerosix.served import SETTINGS

COUNT = Parameter("count", parameters.whole_number(1, 9), "How many.", default=3)
NAMES = Parameter("names", parameters.list_of(parameters.choice("a", "b", "c")), "Which.")
WANTED = Parameter("wanted", parameters.text(), "What.", is_required=True)
OWN = Parameter(
    "own", parameters.number(), "A price.", is_required=True, fault=Fault(400, "own_code", lambda _: "Own words.")
)


def read(kind, value):
    return kind.read(value, SETTINGS)


def refusal(arguments, *declared):
    with pytest.raises(Refusal) as raised:
        Parameters(*declared).read(arguments, SETTINGS)
    return raised.value


def test_what_is_not_given_is_the_default():
    values = Parameters(COUNT, NAMES).read({"other": "x"}, SETTINGS)
    assert values is NOTHING
    assert (values[COUNT], values.get(NAMES), COUNT in values) == (3, None, False)


def test_what_is_given_is_read():
    values = Parameters(COUNT, NAMES).read({"count": "7", "names": "c,a"}, SETTINGS)
    assert (values[COUNT], list(values[NAMES]), COUNT in values) == (7, ["c", "a"], True)


def test_what_is_missing_is_named_as_wordpress_names_it():
    error = refusal({"count": 1}, COUNT, WANTED)
    assert (error.fault.status, error.fault.code) == (400, "rest_missing_callback_param")
    assert str(error) == "Missing parameter(s): wanted"
    assert error.details == {"params": ["wanted"]}


def test_what_is_missing_or_does_not_fit_is_refused_in_its_own_words_if_it_has_some():
    assert refusal({"count": 0}, COUNT, WANTED, OWN).fault.code == "own_code"
    assert refusal({"count": 0, "own": "x"}, COUNT, OWN).fault.code == "own_code"


def test_everything_that_does_not_fit_is_told_at_once():
    error = refusal({"count": 10, "names": "d"}, COUNT, NAMES)
    assert str(error) == "Invalid parameter(s): count, names"
    assert error.details["params"] == {
        "count": "count must be between 1 (inclusive) and 9 (inclusive)",
        "names": "names is not one of a, b, and c.",
    }
    assert error.details["details"]["count"] == {
        "code": "rest_out_of_bounds",
        "message": "count must be between 1 (inclusive) and 9 (inclusive)",
        "data": None,
    }


def test_a_choice_of_two_is_told_without_a_comma():
    with pytest.raises(Unfit, match=r"is not one of asc and desc\."):
        read(parameters.choice("asc", "desc"), "up")


@pytest.mark.parametrize(
    "value", ["", "x", "1.0", "1e0", " 1", "٢", "9" * 19, "--1", True, None, 1.0, [1], {"": ["1"]}]
)
def test_what_is_not_whole_is_no_whole_number(value):
    with pytest.raises(Unfit):
        read(parameters.whole_number(0), value)


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("a,b", ["a", "b"]),
        (" a , b\tc,", ["a", "b", "c"]),
        ("", []),
        (",", []),
        ("b,a,b", ["b", "a"]),
        (["b", "a", "b"], ["b", "a"]),
        ([], []),
        ({"2": "b", "0": "a"}, ["b", "a"]),
        ({"": ["b", "a"]}, ["b", "a"]),
    ],
)
def test_a_list_may_be_written_in_every_way_that_clients_know(value, items):
    assert list(read(NAMES.kind, value).items()) == [(item, place) for place, item in enumerate(items)]


@pytest.mark.parametrize("value", ["a," * 1001, ["a"] * 1001, {"": ["a"] * 1001}])
def test_a_list_may_have_so_many_items_that_nobody_is_kept_waiting(value):
    with pytest.raises(Unfit, match=r"must contain at most 1000 items\."):
        read(NAMES.kind, value)


@pytest.mark.parametrize("value", [1, True, ["a", 1], [["a"]], {"x": "a"}, {"0": {"0": "a"}}, "a;b"])
def test_what_is_no_list_of_the_kind_is_unfit(value):
    with pytest.raises(Unfit):
        read(NAMES.kind, value)


@pytest.mark.parametrize("value", ["", "1", "true", "True", "yes", True])
def test_a_yes_is_read_as_wordpress_reads_it(value):
    assert read(parameters.flag(), value) is True


@pytest.mark.parametrize("value", ["0", "false", "FALSE", False])
def test_a_no_is_read_as_wordpress_reads_it(value):
    assert read(parameters.flag(), value) is False


def test_a_moment_without_an_offset_is_the_sites():
    kind = parameters.moment()
    assert read(kind, "2026-05-01T12:00:00z") == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert read(kind, "2026-05-01 12:00:00") == datetime(2026, 5, 1, 12, tzinfo=ZoneInfo("America/Los_Angeles"))


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_moment_that_python_writes_is_read(at):
    assert read(parameters.moment(), at.isoformat()) == at


@pytest.mark.parametrize(("kind", "found"), [(parameters.moment(), datetime), (parameters.number(), Decimal)])
@given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()))
def test_whatever_is_given_is_read_or_unfit(kind, found, value):
    with suppress(Unfit):
        assert isinstance(read(kind, value), found)


JSON = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers())


@pytest.mark.parametrize(
    "kind",
    [
        parameters.whole_number(1, 9),
        parameters.choice("a", "b"),
        parameters.text("[ab]{1,3}"),
        parameters.list_of(parameters.whole_number(1, 9)),
    ],
)
@given(JSON | st.integers(0, 10) | st.sampled_from(["a", "b", "ab", "abba"]) | st.lists(st.integers(0, 10)))
def test_json_is_accepted_if_the_schema_says_so(kind, value):
    if not Draft202012Validator(kind.schema(SETTINGS)).is_valid(value) or isinstance(value, float):
        return
    read(kind, value)


# --- groups in a query


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([("a", "1"), ("a", "2")], {"a": "2"}),
        ([("a[x]", "1"), ("a[x]", "2")], {"a": {"x": "2"}}),
        ([("a[]", "1"), ("a[]", "2")], {"a": {"": ["1", "2"]}}),
        ([("a", "1"), ("a[]", "2")], {"a": {"": ["2"]}}),
        ([("a[]", "1"), ("a", "2")], {"a": "2"}),
        ([("a[0]", "1"), ("a[]", "2")], {"a": {"0": "1", "": ["2"]}}),
        ([("a[", "1"), ("[b]", "2"), ("c]", "3")], {"a[": "1", "[b]": "2", "c]": "3"}),
        ([("a[b][c]", "1")], {"a": {"b][c": "1"}}),
    ],
)
def test_groups_are_gathered_as_php_does(pairs, found):
    assert nested(pairs) == found
