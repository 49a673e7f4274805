import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.console.terminal import plain


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"a\r\nb\n", "a\nb\n"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;a title\x07prompt$ ", "prompt$ "),
        (b"\x1b(Bplain\x1b7\x1b8", "plain"),
        (b" 10%\r 20%\r100%\n", "100%\n"),
        (b"typo\x08\x08es", "tyes"),
        ("über\u202egnp.exe".encode(), "übergnp.exe"),
        (b"\xff\x00\x07", "\ufffd"),
    ],
)
def test_what_would_move_a_terminal_is_left_out(written, read):
    assert plain(written) == read


@given(st.binary())
def test_no_control_character_is_ever_left(written):
    assert all(each.isprintable() or each in "\t\n" or not each.isascii() for each in plain(written))
