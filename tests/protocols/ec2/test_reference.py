"""docs/ec2.md says what the code does; --update-golden makes it say so."""

from pathlib import Path

from tests.protocols.ec2.reference import reference

FILE = Path(__file__).parents[3] / "docs" / "ec2.md"
MARK = "<!-- From here on this page is made from the code: pytest tests/protocols/ec2/test_reference.py --update-golden -->\n"


def test_the_reference_says_what_the_code_does(golden):
    introduction, mark, told = FILE.read_text().partition(MARK)
    assert mark
    if golden.is_updating:
        FILE.write_text(introduction + mark + reference())
    else:
        assert told == reference()
