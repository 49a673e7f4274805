"""One Python session for all Python blocks of a page, told by a line on the standard input when there is the next.

Reads the block and the shell's environment from /stage; answers with the exit code on descriptor 3.
"""

import os
import sys
import traceback
from pathlib import Path

STAGE = Path("/stage")


def take_over(environ: bytes, folder: str) -> None:
    """Be where the shell is, with what it has exported."""
    os.environb.clear()
    os.environb.update(entry.split(b"=", 1) for entry in environ.split(b"\0") if entry)
    os.chdir(folder)


names = {"__name__": "__main__"}
with os.fdopen(3, "w") as answers:
    for folder in sys.stdin:
        take_over((STAGE / "environ").read_bytes(), folder.rstrip("\n"))
        code = 0
        try:
            exec(compile((STAGE / "block").read_text(), "block", "exec"), names)
        except BaseException as error:  # noqa: BLE001  whatever it is, the page goes on or not as its reader would
            traceback.print_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
            code = 1
        print(code, file=answers, flush=True)
