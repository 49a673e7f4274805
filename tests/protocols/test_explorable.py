import pytest

from protocols.explorable import Signer, Unfit, lines, parse_extra, sendable
from tests.clocks import NOON


def test_a_list_is_typed_in_lines_or_in_several_fields():
    assert lines(["i-1\r\n\r\n i-2 ", "i-3"]) == ["i-1", "i-2", "i-3"]


def test_further_parameters_are_lines_of_name_and_value():
    typed = "Placement.AvailabilityZone = sgp1a\r\n\nTag.1.Value=a=b\nattributes[gpu]="
    assert list(parse_extra(typed)) == [
        ("Placement.AvailabilityZone", "sgp1a"),
        ("Tag.1.Value", "a=b"),
        ("attributes[gpu]", ""),
    ]


@pytest.mark.parametrize("line", ["no value", "=value", "two words=value", "a&b=c", "@file=x", "x" * 300 + "=1"])
def test_a_line_that_is_no_parameter_is_refused_by_name(line):
    with pytest.raises(Unfit, match="extra: ") as refusal:
        list(parse_extra(line))
    assert refusal.value.field == "extra"


@pytest.mark.parametrize("text", ["half a pair \ud83d", "nul \0"])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(Unfit, match="UserData: "):
        sendable("UserData", text)


def test_lines_that_a_form_sends_end_as_in_unix():
    assert sendable("UserData", "#!/bin/sh\r\ntrue\r\n") == "#!/bin/sh\ntrue\n"


def test_the_secret_is_not_shown_with_the_signer():
    assert "hidden" not in repr(Signer("AKOF", "hidden", "sgp1", NOON, "1"))
