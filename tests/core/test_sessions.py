import base64
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest, InvalidSession, SessionExpired, UnknownKey
from core.sessions import LONGEST_SECONDS, SHORTEST_SECONDS, open_session, read_session
from core.vault import KEY_BYTES, Vault
from tests.builders import a_caller
from tests.clocks import NOON

VAULT = Vault(bytes(KEY_BYTES))
HOUR, MOMENT = timedelta(hours=1), timedelta(microseconds=1)
SESSION = open_session(VAULT, "AKOFPARENT", 3600, NOON)


def test_a_session_stands_for_its_parent_with_its_own_secret():
    assert read_session(VAULT, SESSION.access_key, SESSION.token, NOON) == ("AKOFPARENT", SESSION.secret_key)


def test_each_session_has_keys_of_its_own():
    sessions = [open_session(VAULT, "AKOFPARENT", 3600, NOON) for _ in range(100)]
    assert len({each.access_key for each in sessions}) == 100
    assert len({each.secret_key for each in sessions}) == 100


def test_a_session_lasts_to_its_last_moment():
    assert SESSION.expires_at == NOON + HOUR
    read_session(VAULT, SESSION.access_key, SESSION.token, NOON + HOUR - MOMENT)
    with pytest.raises(SessionExpired) as caught:
        read_session(VAULT, SESSION.access_key, SESSION.token, NOON + HOUR)
    assert caught.value.expired_at == NOON + HOUR


def test_a_token_belongs_to_its_access_key_only():
    other = open_session(VAULT, "AKOFPARENT", 3600, NOON)
    for access_key in (other.access_key, "AKOFPARENT", "", SESSION.access_key.lower()):
        with pytest.raises(InvalidSession):
            read_session(VAULT, access_key, SESSION.token, NOON)


@given(st.data())
def test_a_token_with_any_character_altered_gives_no_secret(data):
    place = data.draw(st.integers(0, len(SESSION.token) - 1))
    altered = data.draw(st.sampled_from("ABCxyz019+/=-_ \n")) + SESSION.token[place + 1 :]
    token = SESSION.token[:place] + altered
    try:
        _, secret_key = read_session(VAULT, SESSION.access_key, token, NOON)
    except InvalidSession:
        return
    assert (secret_key == SESSION.secret_key) == (token == SESSION.token)


@given(st.text(st.characters()))
def test_any_text_may_be_brought_as_a_token(token):
    with pytest.raises(InvalidSession):
        read_session(VAULT, SESSION.access_key, token, NOON)


def test_a_token_sealed_for_another_purpose_or_by_another_key_is_refused():
    foreign = open_session(Vault(b"k" * KEY_BYTES), "AKOFPARENT", 3600, NOON)
    note = VAULT.open("session", base64.b64decode(SESSION.token))
    moved = base64.b64encode(VAULT.seal("other", note)).decode()
    for access_key, token in ((foreign.access_key, foreign.token), (SESSION.access_key, moved)):
        with pytest.raises(InvalidSession):
            read_session(VAULT, access_key, token, NOON)


@pytest.mark.parametrize("seconds", [-1, 0, SHORTEST_SECONDS - 1, LONGEST_SECONDS + 1])
def test_a_duration_out_of_bounds_is_refused(seconds):
    with pytest.raises(InvalidRequest):
        open_session(VAULT, "AKOFPARENT", seconds, NOON)


@pytest.mark.parametrize("seconds", [SHORTEST_SECONDS, LONGEST_SECONDS])
def test_a_duration_within_bounds_is_taken(seconds):
    assert open_session(VAULT, "AKOFPARENT", seconds, NOON).expires_at == NOON + timedelta(seconds=seconds)


def test_a_session_ends_on_a_whole_second_and_never_later_than_asked_for():
    session = open_session(VAULT, "AKOFPARENT", 900, NOON + timedelta(microseconds=999_999))
    assert session.expires_at == NOON + timedelta(seconds=900)


def test_a_session_does_not_show_its_secrets_by_accident():
    assert SESSION.secret_key not in repr(SESSION)
    assert SESSION.token not in repr(SESSION)


# --- in the house


async def test_a_session_acts_as_its_parent(house):
    session = house.core.open_session(house.caller(), 3600)
    credential = await house.core.session_credential(session.access_key, session.token)
    assert credential.secret_key == session.secret_key
    assert credential.access_key == session.access_key
    assert credential.application == house.ours.application


async def test_a_session_cannot_open_another(house):
    session = house.core.open_session(house.caller(), 3600)
    with pytest.raises(InvalidRequest):
        house.core.open_session(a_caller(access_key=session.access_key), 3600)


async def test_a_sessions_access_key_is_no_key_by_itself(house):
    session = house.core.open_session(house.caller(), 3600)
    with pytest.raises(UnknownKey):
        await house.core.credential(session.access_key)


async def test_renewing_the_parent_ends_its_sessions_at_once(house):
    session = house.core.open_session(house.caller(), 3600)
    await house.administration.renew_key(house.ours.key.access_key)
    with pytest.raises(UnknownKey):
        await house.core.session_credential(session.access_key, session.token)


async def test_a_session_is_out_of_use_while_its_parent_is_disabled(house):
    session = house.core.open_session(house.caller(), 3600)
    await house.administration.set_key_enabled(house.ours.key.access_key, is_enabled=False)
    with pytest.raises(UnknownKey):
        await house.core.session_credential(session.access_key, session.token)
    await house.administration.set_key_enabled(house.ours.key.access_key, is_enabled=True)
    await house.core.session_credential(session.access_key, session.token)


async def test_a_session_ends_with_the_clock(house):
    session = house.core.open_session(house.caller(), 3600)
    house.clock.advance(HOUR)
    with pytest.raises(SessionExpired):
        await house.core.session_credential(session.access_key, session.token)
