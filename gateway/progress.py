"""Shows how far something long has come: on a terminal in a line that is redrawn, elsewhere by a line now and then."""

import time
from collections.abc import Callable
from typing import TextIO

_MIB = 1024**2
_REDRAW_SECONDS = 0.1
_WIDTH = 79
_WORTH_TELLING_BYTES, _TELL_BYTES = 16 * _MIB, 256 * _MIB
_TENTHS = 10


class Progress:
    """Call it with how many bytes of how many are done, as often as you like; of 0 if nobody knows. Then `end` it."""

    def __init__(
        self, verb: str, name: str, out: TextIO, *, is_terminal: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._out, self._clock = f"{verb} {name}", out, clock
        self._tell = self._draw if is_terminal else self._tell_steps
        self._began, self._had = clock(), -1
        self._drawn, self._is_drawn, self._step = float("-inf"), False, 0

    def __call__(self, done: int, total: int) -> None:
        """Tell of it, if that is worth it."""
        if self._had < 0:
            self._had = done  # what an earlier attempt had fetched says nothing about the speed of this one
        self._tell(done, total)

    def end(self) -> None:
        """Leave the line as it is, and let what comes next begin on a new one. Repeating it changes nothing."""
        if self._is_drawn:
            self._is_drawn = False
            self._out.write("\n")
            self._out.flush()

    def _draw(self, done: int, total: int) -> None:
        if self._clock() - self._drawn < _REDRAW_SECONDS and done != total:
            return
        self._drawn, self._is_drawn = self._clock(), True
        self._out.write(f"\r{self._line(done, total):{_WIDTH}}")
        self._out.flush()

    def _line(self, done: int, total: int) -> str:
        rate = max(done - self._had, 0) / max(self._clock() - self._began, 0.001)
        whole = f"/{total / _MIB:.0f}" if total else ""
        share = f"{100 * done // total:3}%  " if total else ""
        left = f"  {_spelled((total - done) / rate)} left" if rate and done < total else ""
        facts = f"  {share}{done / _MIB:.0f}{whole} MiB  {rate / _MIB:.1f} MiB/s{left}"
        return f"{_shortened(self._what, _WIDTH - len(facts))}{facts}"

    def _tell_steps(self, done: int, total: int) -> None:
        step = _TENTHS * done // total if total else done // _TELL_BYTES
        if step == self._step or 0 < total < _WORTH_TELLING_BYTES:
            return
        self._step = step
        share = f"{_TENTHS * step}% of {total / _MIB:.0f} MiB" if total else f"{done / _MIB:.0f} MiB"
        self._out.write(f"{self._what}: {share}\n")
        self._out.flush()


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _spelled(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
