"""How the pages tell what is printed."""

import pytest

from tests.docs.printed import is_as_told


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("done\n", "done\n"),
        ("\ndone  \n\n\n", "\ndone\n"),
        ("i-0000000000000002a is 3 s old\n", "i-00000000000000001 is 0.5 s old\n"),
        ("at 2026-11-23T03:22:55.120Z\n", "at 2027-01-02T00:00:00Z\n"),
        ("access key  AKOFA\nsecret key  b\n", "access key  AKOFEXAMPLEACCESSKEY\nsecret key  EXAMPLESECRETKEY\n"),
        ("NUMBER   NAME\n1        web\n", "NUMBER  NAME\n1       web\n"),
        ("answers at http://127.0.0.1:8080 (EC2, ZeroSix)\n", "answers at http://127.0.0.1:8080 (…)\n"),
        ("one\ntwo\nthree\nfour\n", "one\n…\nfour\n"),
        ("one\nfour\n", "one\n…\nfour\n"),
    ],
)
def test_what_differs_for_every_reader_may_differ(printed, told):
    assert is_as_told(printed, told)


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("done\n", "done.\n"),
        ("done\nand more\n", "done\n"),
        ("more\ndone\n", "done\n"),
        ("r-00000000000000001\n", "i-00000000000000001\n"),
        ("127.0.0.2\n", "127.0.0.1\n"),
        ("a\nb\n", "a…b\n"),
        ("axb\n", "a.b\n"),
    ],
)
def test_all_else_may_not(printed, told):
    assert not is_as_told(printed, told)
