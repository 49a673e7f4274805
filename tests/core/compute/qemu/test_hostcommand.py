import asyncio

import pytest
import uvloop

from core.compute.qemu.hostcommand import run
from core.ports import DriverCode, DriverError

LONG = "a line of a firewall\n" * 10_000


@pytest.fixture
def runner():
    """The loop that the gateway has."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as running:
        yield running


def test_a_command_is_fed_a_text_however_long(runner):
    assert runner.run(run(["cat"], LONG, package="coreutils")) == LONG


def test_a_command_may_end_without_reading_its_text(runner):
    for _ in range(20):
        assert runner.run(run(["true"], LONG, package="coreutils")) == ""


def test_what_a_command_complains_of_is_for_the_operator(runner):
    with pytest.raises(DriverError) as refused:
        runner.run(run(["sh", "-c", "cat >&2; exit 3"], "no such chain", package="dash"))
    assert refused.value.code is DriverCode.UNAVAILABLE
    assert "no such chain" in refused.value.detail
    assert "no such chain" not in str(refused.value)


def test_a_command_that_is_missing_is_told_with_its_package(runner):
    with pytest.raises(DriverError) as refused:
        runner.run(run(["no-such-command"], package="nftables"))
    assert "nftables" in refused.value.detail
