import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.vault import KEY_BYTES, BrokenSeal, Vault

VAULT, OTHER = Vault(bytes(KEY_BYTES)), Vault(b"k" * KEY_BYTES)
ANY_TEXT = st.text(st.characters())


@given(st.text(), st.binary())
def test_what_was_sealed_can_be_opened(purpose, clear):
    assert VAULT.open(purpose, VAULT.seal(purpose, clear)) == clear


def test_sealing_twice_gives_two_results():
    assert VAULT.seal("p", b"clear") != VAULT.seal("p", b"clear")


def test_a_seal_opens_for_its_purpose_only():
    with pytest.raises(BrokenSeal):
        VAULT.open("other", VAULT.seal("purpose", b"clear"))


def test_a_seal_opens_with_its_key_only():
    with pytest.raises(BrokenSeal):
        OTHER.open("purpose", VAULT.seal("purpose", b"clear"))


@given(st.binary(max_size=64))
def test_what_was_never_sealed_does_not_open(sealed):
    with pytest.raises(BrokenSeal):
        VAULT.open("purpose", sealed)


@given(st.data())
def test_a_seal_with_any_byte_altered_or_cut_off_does_not_open(data):
    sealed = bytearray(VAULT.seal("purpose", b"clear"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    for broken in (bytes(sealed), bytes(sealed[:place])):
        with pytest.raises(BrokenSeal):
            VAULT.open("purpose", broken)


@given(ANY_TEXT)
def test_a_signature_is_the_same_each_time_and_safe_in_a_url(text):
    signature = VAULT.sign("purpose", text)
    assert VAULT.is_signed("purpose", text, signature)
    assert set(signature) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(ANY_TEXT, ANY_TEXT)
def test_no_other_text_purpose_or_key_has_the_signature(text, other):
    signature = VAULT.sign("purpose", text)
    assert VAULT.is_signed("purpose", other, signature) == (text == other)
    assert not VAULT.is_signed("other", text, signature)
    assert not OTHER.is_signed("purpose", text, signature)


@given(ANY_TEXT)
def test_any_text_may_be_brought_as_a_signature(signature):
    assert not VAULT.is_signed("purpose", "text", signature)


@pytest.mark.parametrize("size", [0, 16, KEY_BYTES - 1, KEY_BYTES + 1])
def test_a_key_of_another_size_is_refused(size):
    with pytest.raises(ValueError, match=f"{size} bytes"):
        Vault(bytes(size))
