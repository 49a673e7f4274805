from datetime import timedelta

from core.ids import InstanceId
from core.usage import Span, Usage
from protocols.console.graphs import draw
from tests.clocks import NOON


def usages(*minutes_ago: int, **values: float) -> list[Usage]:
    return [Usage(InstanceId(1), NOON - timedelta(minutes=each), **values) for each in minutes_ago]


def test_shares_are_of_what_the_machine_has_and_never_more_than_all():
    processors, memory, *_ = draw(usages(3, 2, cpus=9.0, memory_mib=512.0), Span.HOUR, NOON, 4, 1024)
    assert (processors.figures[0].most, memory.figures[0].mean) == ("100 %", "50 %")


def test_points_far_apart_are_not_joined():
    processors, *_ = draw(usages(50, 49, 10, 9, cpus=1.0), Span.HOUR, NOON, 4, 1024)
    assert processors.picture.count('class="line-1"') == 2


def test_what_is_not_known_has_no_line_and_no_numbers():
    *_, network = draw(usages(3, 2, cpus=1.0), Span.DAY, NOON, 4, 1024)
    assert network.figures == []
    assert "nothing is known yet" in network.picture


def test_the_axis_of_bytes_ends_at_a_round_number():
    *_, network = draw(usages(3, 2, sent_bytes=3 * 1024 * 1024.0), Span.HOUR, NOON, 4, 1024)
    assert ">5 MiB/s<" in network.picture
    assert network.figures[0].last == "3 MiB/s"


def test_a_picture_carries_no_style_of_its_own():
    for graph in draw(usages(3, 2, cpus=1.0), Span.WEEK, NOON, 4, 1024):
        assert "style" not in graph.picture
