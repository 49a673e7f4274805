"""Log lines: JSON for machines, coloured for a terminal; written in batches, so that a request costs no system call.

Everything goes to standard error. What aiohttp, asyncio and Python's warnings say goes through the same renderer.
"""

import asyncio
import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer

Event = dict[str, Any]
Render = Callable[[Event], bytes]

_STANDARD_ERROR = 2
_FLUSH_SECONDS = 0.2
_FLUSH_BYTES = 64 * 1024
_NANOSECONDS, _MILLISECOND = 1_000_000_000, 1_000_000
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
_traceback_of = ExceptionDictTransformer(show_locals=False)


class Buffer:
    """Lines on their way to a file: they leave together a moment later, at once where they warn of something.

    Where no event loop runs in the calling thread, every line leaves at once.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._lines: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop_thread = 0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let lines that are written in this thread wait for the loop's timer."""
        self._loop, self._loop_thread = loop, threading.get_ident()

    def detach(self) -> None:
        """Write what waits, and from now on every line at once."""
        self._loop_thread = 0
        self.flush()

    def write(self, line: bytes) -> None:
        """Take a line that may wait."""
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _FLUSH_BYTES or threading.get_ident() != self._loop_thread:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(_FLUSH_SECONDS, self.flush)

    def write_now(self, line: bytes) -> None:
        """Take a line that somebody should see at once, with those before it."""
        self._lines.append(line)
        self.flush()

    def flush(self) -> None:
        """Write what waits. Lines are lost if nobody can take them: the log must not bring the gateway down."""
        if self._timer is not None and threading.get_ident() == self._loop_thread:
            self._timer.cancel()
            self._timer = None
        lines, self._lines, self._size = self._lines, [], 0
        rest = b"".join(lines)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except OSError:
                return


class _Least:
    """The rank of the least important lines that are written. It may change while loggers are in use."""

    rank = logging.INFO


class _Channel:
    """What the structlog loggers of one name write to."""

    __slots__ = ("name", "write", "write_now")

    def __init__(self, buffer: Buffer, name: str) -> None:
        self.name, self.write, self.write_now = name, buffer.write, buffer.write_now


def _logger_class(render: Render) -> type[structlog.BoundLoggerBase]:
    """Return a class of loggers without processors: a chain of them takes twice as long as all of this."""
    methods = {name: _method(name, render) for name in _LEVELS}
    return type("Logger", (structlog.BoundLoggerBase,), methods | {"exception": _exception})


def _exception(self: Any, event: str, /, *args: object, **values: object) -> None:
    """Log an error with the exception that is being handled."""
    self.error(event, *args, **{"exc_info": True} | values)


def _method(level: str, render: Render) -> Callable[..., None]:
    rank = _LEVELS[level]
    is_urgent = rank >= logging.WARNING

    def speak(self: Any, event: str, /, *args: object, **values: object) -> None:
        if rank < _Least.rank:
            return
        channel = self._logger
        text = event % args if args else event
        line = render({"level": level, "event": text, "logger": channel.name, **self._context, **values})
        (channel.write_now if is_urgent else channel.write)(line)

    return speak


class _FromStandardLibrary(logging.Handler):
    """Renders the records of the standard library's loggers as if they were ours."""

    def __init__(self, buffer: Buffer, render: Render) -> None:
        super().__init__()
        self._buffer, self._render = buffer, render

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        try:
            line = self._render(_event_of(record))
        except Exception:  # noqa: BLE001  a broken record must not break what was doing the logging
            self.handleError(record)
            return
        if record.levelno >= logging.WARNING:
            self._buffer.write_now(line)
        else:
            self._buffer.write(line)


def configure(form: str, level: str, *, file: int = _STANDARD_ERROR) -> Buffer:
    """Let every logger of the process write to the file as `[log] format` and `level` say; return its buffer.

    Loggers made before take no notice if they have been used already.
    """
    buffer = Buffer(file)
    is_console = form == "console" or (form == "auto" and os.isatty(file))
    render = _console_renderer(has_colours=os.isatty(file)) if is_console else _as_json
    structlog.configure(
        wrapper_class=_logger_class(render),
        logger_factory=lambda *names: _Channel(buffer, names[0] if names else ""),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_FromStandardLibrary(buffer, render)], force=True)
    logging.getLogger("aiosqlite").setLevel(logging.INFO)  # below that it quotes rows, user data and all
    set_level(level)
    logging.captureWarnings(capture=True)
    atexit.register(buffer.detach)
    return buffer


def set_level(level: str) -> None:
    """Let all loggers, those in use too, leave out from now on what is less important than the level."""
    _Least.rank = _LEVELS[level]
    logging.getLogger().setLevel(_Least.rank)


def _event_of(record: logging.LogRecord) -> Event:
    """Return a record as an event.

    aiohttp quotes a malformed request, query string and all, in the text of its exception; only the class is told.
    """
    event: Event = {"level": record.levelname.lower(), "logger": record.name}
    error = record.exc_info[1] if record.exc_info else None
    if record.name == "aiohttp.server" and _is_malformed_request(error):
        return event | {"event": "malformed request", "error": type(error).__name__}
    if error is not None:
        event["exc_info"] = error
    return event | {"event": record.getMessage()}


def _is_malformed_request(error: BaseException | None) -> bool:
    return any(kind.__module__ == "aiohttp.http_exceptions" for kind in type(error).__mro__)


# --- JSON


def _as_json(event: Event) -> bytes:
    """Return the event as a line that begins with its time; keys without a value are left out."""
    if "exc_info" in event:
        event["exception"] = _structured(event.pop("exc_info"))
    if None in event.values():
        event = {key: value for key, value in event.items() if value is not None}
    # The time is put before what is there: another dictionary would cost more.
    return b'{"time":"%b",%b' % (_timestamp(), orjson.dumps(event, str, _JSON_OPTIONS)[1:])


def _structured(exc_info: object) -> object:
    error = _exception_in(exc_info)
    return _traceback_of((type(error), error, error.__traceback__)) if error is not None else None


def _exception_in(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    return exc_info[1] if isinstance(exc_info, tuple) else sys.exc_info()[1]


class _Second:
    """The second that was written last, so that its text is made once."""

    number = -1
    text = b""


def _timestamp() -> bytes:
    """Return the time in UTC to the millisecond."""
    seconds, nanoseconds = divmod(time.time_ns(), _NANOSECONDS)
    if seconds != _Second.number:
        _Second.number, _Second.text = seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode()
    return b"%b.%03dZ" % (_Second.text, nanoseconds // _MILLISECOND)


# --- console


def _console_renderer(*, has_colours: bool) -> Render:
    renderer = structlog.dev.ConsoleRenderer(
        colors=has_colours, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )

    def render(event: Event) -> bytes:
        shown: Event = {key: value for key, value in event.items() if value is not None}
        shown["timestamp"] = time.strftime("%H:%M:%S")
        if (error := _exception_in(shown.get("exc_info"))) is not None:
            shown["exc_info"] = error
        return f"{renderer(None, shown['level'], shown)}\n".encode("utf-8", "backslashreplace")

    return render
