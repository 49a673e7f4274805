import pytest

from core.errors import InvalidTag, TooManyTags
from core.tags import KEY_LENGTH, MOST_TAGS, VALUE_LENGTH, with_tags, without_tags
from tests.builders import a_tag_set

FULL = a_tag_set(**{f"key-{number}": "" for number in range(MOST_TAGS)})


def test_tags_are_added_and_replaced():
    assert with_tags(a_tag_set(role="web", colour="red"), {"role": "db", "size": "l"}).values == {
        "role": "db",
        "colour": "red",
        "size": "l",
    }


@pytest.mark.parametrize(
    "key", ["k", "k" * KEY_LENGTH, "ü" * KEY_LENGTH, " ", "awsome", "x-aws:y", "a\tb", "\U0001f600"]
)
def test_these_keys_are_taken(key):
    assert with_tags(a_tag_set(), {key: "v"}).values == {key: "v"}


@pytest.mark.parametrize(
    "key", ["", "k" * (KEY_LENGTH + 1), "aws:x", "AWS:x", "Aws:", "a\0b", "\x1b[31m", "\ud800", "\uffff"]
)
def test_these_keys_are_refused(key):
    with pytest.raises(InvalidTag):
        with_tags(a_tag_set(), {key: "v"})


@pytest.mark.parametrize("value", ["", "v" * VALUE_LENGTH, "aws:fine", "two\nlines", "ü\U0001f600"])
def test_these_values_are_taken(value):
    assert with_tags(a_tag_set(), {"k": value}).values == {"k": value}


@pytest.mark.parametrize("value", ["v" * (VALUE_LENGTH + 1), "a\0b", "\x08", "\udfff", "\ufffe"])
def test_these_values_are_refused(value):
    with pytest.raises(InvalidTag):
        with_tags(a_tag_set(), {"k": value})


def test_a_resource_has_no_more_tags_than_allowed():
    assert len(with_tags(FULL, {"key-0": "replaced"}).values) == MOST_TAGS
    with pytest.raises(TooManyTags):
        with_tags(FULL, {"one-more": ""})


@pytest.mark.parametrize(
    ("removed", "left"),
    [
        ({"role": None}, {"note": ""}),
        ({"role": "web"}, {"note": ""}),
        ({"role": "db"}, {"role": "web", "note": ""}),
        ({"role": ""}, {"role": "web", "note": ""}),
        ({"note": ""}, {"role": "web"}),
        ({"note": None, "role": None}, {}),
        ({"absent": None}, {"role": "web", "note": ""}),
        ({"Role": None}, {"role": "web", "note": ""}),
        ({}, {"role": "web", "note": ""}),
    ],
)
def test_a_key_goes_whatever_its_value_unless_one_is_named(removed, left):
    assert without_tags(a_tag_set(role="web", note=""), removed).values == left
