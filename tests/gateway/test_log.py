import asyncio
import json
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import NoReturn

import aiohttp
import pytest
import structlog

from gateway import log


class Lines:
    """A log in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def configure(self, form: str = "json", level: str = "info") -> log.Buffer:
        return log.configure(form, level, file=self.file)

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def documents(self) -> list[dict]:
        return [json.loads(line) for line in self.text.splitlines()]


def fail(error: Exception) -> NoReturn:
    raise error


@pytest.fixture
def lines(tmp_path) -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    lines = Lines(tmp_path / "log")
    yield lines
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    os.close(lines.file)


def test_a_line_is_json_with_time_level_and_name(lines):
    lines.configure()
    structlog.get_logger("core").info("instance %s", "running", instance_id=7)
    [line] = lines.documents
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "event": "instance running", "logger": "core", "instance_id": 7}


def test_a_percent_sign_without_arguments_is_text(lines):
    lines.configure()
    structlog.get_logger().info("100% done")
    assert lines.documents[0]["event"] == "100% done"


def test_values_that_are_none_are_left_out(lines):
    lines.configure()
    structlog.get_logger().info("request", code=None, status=200)
    assert "code" not in lines.documents[0]


def test_bound_values_are_in_every_line(lines):
    lines.configure()
    logger = structlog.get_logger("x").bind(instance_id=7)
    logger.info("one")
    logger.warning("two")
    assert [line["instance_id"] for line in lines.documents] == [7, 7]


def test_what_is_below_the_level_is_not_written(lines):
    lines.configure(level="warning")
    structlog.get_logger().info("quiet")
    logging.getLogger("asyncio").info("quiet as well")
    structlog.get_logger().warning("loud")
    logging.getLogger("asyncio").error("loud as well")
    assert [line["event"] for line in lines.documents] == ["loud", "loud as well"]


def test_values_that_json_does_not_know_are_written_as_text(lines, tmp_path):
    lines.configure()
    structlog.get_logger().info("x", path=tmp_path, keys={1: "one"})
    assert lines.documents[0]["path"] == str(tmp_path)
    assert lines.documents[0]["keys"] == {"1": "one"}


@pytest.mark.parametrize(
    "tell",
    [
        lambda logger, error: logger.error("broken", exc_info=error),
        lambda logger, error: logger.error("broken", exc_info=True),  # noqa: LOG014  called in a handler
        lambda logger, error: logger.exception("broken"),  # noqa: LOG004  the same
        lambda logger, error: logging.getLogger("asyncio").exception("broken"),  # noqa: LOG004  the same
    ],
)
def test_an_exception_is_told_frame_by_frame_without_values(lines, tell):
    lines.configure()
    secret_key = "very secret"
    try:
        fail(ValueError(len(secret_key)))
    except ValueError as error:
        tell(structlog.get_logger(), error)
    [line] = lines.documents
    [told] = line["exception"]
    assert (line["event"], line["level"]) == ("broken", "error")
    assert (told["exc_type"], told["exc_value"]) == ("ValueError", "11")
    assert told["frames"][0]["filename"] == __file__
    assert "very secret" not in lines.text


def test_the_causes_of_an_exception_are_told(lines):
    lines.configure()
    try:
        try:
            fail(OSError("disk"))
        except OSError as error:
            raise ValueError("row") from error
    except ValueError as error:
        structlog.get_logger().error("broken", exc_info=error)
    assert [told["exc_type"] for told in lines.documents[0]["exception"]] == ["ValueError", "OSError"]


def test_the_standard_library_speaks_through_the_same_renderer(lines):
    lines.configure()
    logging.getLogger("asyncio").warning("slow %s", "callback")
    [line] = lines.documents
    assert (line["event"], line["level"], line["logger"]) == ("slow callback", "warning", "asyncio")


def test_pythons_warnings_are_log_lines(lines):
    lines.configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old habits", stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "old habits" in lines.documents[0]["event"]


def test_a_malformed_request_is_not_quoted(lines):
    lines.configure()
    try:
        fail(aiohttp.http_exceptions.BadStatusLine("GET /?Signature=secret"))
    except aiohttp.http_exceptions.BadStatusLine:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "127.0.0.1")
    assert "secret" not in lines.text
    assert lines.documents[0]["error"] == "BadStatusLine"


async def test_lines_leave_together_a_moment_later(lines):
    lines.configure().attach(asyncio.get_running_loop())
    logger = structlog.get_logger()
    logger.info("one")
    logger.info("two")
    assert lines.text == ""
    async with asyncio.timeout(5):
        while not lines.text:  # noqa: ASYNC110  a file has no event
            await asyncio.sleep(0.01)
    assert [line["event"] for line in lines.documents] == ["one", "two"]


async def test_a_warning_leaves_at_once_with_the_lines_before_it(lines):
    lines.configure().attach(asyncio.get_running_loop())
    structlog.get_logger().info("one")
    structlog.get_logger().warning("two")
    assert [line["event"] for line in lines.documents] == ["one", "two"]


async def test_many_lines_do_not_wait(lines):
    lines.configure().attach(asyncio.get_running_loop())
    for number in range(200):
        structlog.get_logger().info("x" * 500, number=number)
    assert len(lines.text) > 64 * 1024


async def test_another_threads_lines_leave_at_once(lines):
    lines.configure().attach(asyncio.get_running_loop())
    thread = threading.Thread(target=structlog.get_logger().info, args=("from a thread",))
    thread.start()
    thread.join()
    assert lines.documents[0]["event"] == "from a thread"


async def test_nothing_is_left_behind_when_the_loop_ends(lines):
    buffer = lines.configure()
    buffer.attach(asyncio.get_running_loop())
    structlog.get_logger().info("last words")
    buffer.detach()
    structlog.get_logger().info("from beyond")
    assert [line["event"] for line in lines.documents] == ["last words", "from beyond"]


def test_a_log_that_nobody_can_take_does_no_harm(lines):
    reader, writer = os.pipe()
    os.close(reader)
    log.configure("json", "info", file=writer)
    structlog.get_logger().error("nobody hears this")
    os.close(writer)


def test_the_console_form_is_for_people(lines):
    lines.configure("console")
    structlog.get_logger("core").info("instance running", instance_id=7, code=None)
    assert lines.text.endswith("[info     ] instance running [core] instance_id=7\n")


def test_auto_is_json_where_no_terminal_is(lines):
    lines.configure("auto")
    structlog.get_logger().info("x")
    assert lines.documents[0]["event"] == "x"


async def test_a_request_line_costs_microseconds(lines):
    log.configure("json", "info", file=os.open(os.devnull, os.O_WRONLY)).attach(asyncio.get_running_loop())
    info = structlog.get_logger("request").info
    best = min(_microseconds_per_line(info) for _ in range(20))
    assert best < 40, "measured 4 when written, on an idle machine"


def _microseconds_per_line(info) -> float:
    started = perf_counter()
    for _ in range(500):
        info(
            "request", request_id="0f3b", protocol="ec2", action="RunInstances", status=200, code=None, duration_ms=1.2
        )
    return (perf_counter() - started) * 1e6 / 500


def test_a_level_that_is_changed_counts_for_loggers_that_are_in_use(lines):
    lines.configure(level="warning")
    ours, standard = structlog.get_logger("ours"), logging.getLogger("standard")
    write = ours.info  # as the boundary keeps it
    write("too early")
    standard.info("too early")
    log.set_level("info")
    write("in time")
    standard.info("in time")
    log.set_level("error")
    write("too late")
    standard.warning("too late")
    assert [line["event"] for line in lines.documents] == ["in time", "in time"]
