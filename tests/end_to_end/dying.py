"""`onefleet`, but it dies at a point as if by `kill -9`: python -m tests.end_to_end.dying POINT serve --config FILE.

A point is a function of the gateway and a side of it: "before" it is called, or "after" it has done its work, which a call
that fails has not; and which time that is, if not the first.
"""

import functools
import importlib
import inspect
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from onefleet import main


def deadly(function: Callable[..., Any], side: str, time: int) -> Callable[..., Any]:
    """Return the function, which the process does not outlive when it is called for the n-th time."""
    calls = count(1)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def until_the_end(*args: Any, **kwargs: Any) -> Any:
            if side == "before" and next(calls) == time:
                die()
            result = await function(*args, **kwargs)
            if side == "after" and next(calls) == time:
                die()
            return result
    else:

        @functools.wraps(function)
        def until_the_end(*args: Any, **kwargs: Any) -> Any:
            if side == "before" and next(calls) == time:
                die()
            result = function(*args, **kwargs)
            if side == "after" and next(calls) == time:
                die()
            return result

    return until_the_end


def die() -> None:
    """End now, with nothing tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str) -> None:
    """Make a function deadly. It is named as in "before core.compute.qemu.guest:Guest.start" or "after 2 MODULE:NAME"."""
    side, *time, place = point.split(" ")
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    setattr(owner, name, deadly(getattr(owner, name), side, int(*time) or 1))


if __name__ == "__main__":
    arm(sys.argv.pop(1))
    sys.exit(main())
