from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.ids import InstanceId
from protocols.metadata.tokens import Tokens
from tests.clocks import NOON

TOKENS = Tokens(b"key")
OURS, THEIRS = InstanceId(1), InstanceId(2)


@given(st.integers(1, 21_600))
def test_a_token_is_good_until_it_ends(seconds):
    token = TOKENS.issue(OURS, NOON, seconds)
    assert TOKENS.is_good(token, OURS, NOON + timedelta(seconds=seconds - 1))
    assert not TOKENS.is_good(token, OURS, NOON + timedelta(seconds=seconds))


def test_a_token_is_good_for_one_machine_and_one_process():
    token = TOKENS.issue(OURS, NOON, 60)
    assert not TOKENS.is_good(token, THEIRS, NOON)
    assert not Tokens(b"other").is_good(token, OURS, NOON)


@given(st.integers(0, 55), st.characters(codec="ascii"))
def test_a_token_cannot_be_changed(place, letter):
    token = TOKENS.issue(OURS, NOON, 60)
    forged = token[:place] + letter + token[place + 1 :]
    assert TOKENS.is_good(forged, OURS, NOON) == (forged == token)


@given(st.text())
def test_what_is_no_token_is_not_good(text):
    assert not TOKENS.is_good(text, OURS, NOON)
