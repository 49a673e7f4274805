"""A stage for examples: a terminal on a throw-away copy of this host, in which blocks run literally as they stand.

Its disk is laid over the host's and its network has nothing but a loopback, so that port 8080 is free, and nothing that
a page has its reader write, install or start outlives the page. It needs root.
"""

import base64
import os
import re
import secrets
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest

from tests.end_to_end.commands import need_command
from tests.running import REPOSITORY

EXAMPLE_KEY, EXAMPLE_SECRET = "AKOFEXAMPLEACCESSKEY", "EXAMPLESECRETKEY"
"""What pages write where a reader has a key pair of their own; the stage puts in the newest that was printed."""

ENDED = "ended with exit code"
"""What stands last in the other terminal when what went on there has ended."""

_PACKAGE_OF = {
    "curl": "curl",
    "ip": "iproute2",
    "jq": "jq",
    "nft": "nftables",
    "openssl": "openssl",
    "qemu-img": "qemu-utils",
    "socat": "socat",
    "sysctl": "procps",
    "unshare": "util-linux",
    "xz": "xz-utils",
}
_NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_FOLDER = Path(__file__).parent / "stage"
_DEADLINE_SECONDS = 120.0
_PAIR = re.compile(r"access key  (?P<key>\w+)\n *secret key  (?P<secret>\w+)")
_STRICT = "set -eu -o pipefail"

_SHELL = f"{_STRICT}; . /stage/block </dev/null; set +eu +o pipefail; ended 0"
_SHELL_REFUSED = f"( {_STRICT}; . /stage/block ) </dev/null; ended $?"
_GOING_ON = f"( {_STRICT}; . /stage/going ); code=$?; echo {ENDED} $code; exit $code"
_SHELL_GOING_ON = (
    f"mv /stage/block /stage/going; set -m; ( {_GOING_ON} ) </dev/null >/stage/other 2>&1 & set +m; other=$!; ended 0"
)
_PYTHON = 'env -0 >/stage/environ; pwd >&"${PYTHON[1]}"; read -r code <&"${PYTHON[0]}"; ended "$code"'
_START_PYTHON = f"{{ coproc PYTHON {{ exec python3 -u {_FOLDER}/session.py 3>&1 >&4; }} 2>&4; }} 4>&1"


class Failed(AssertionError):
    """A command did not do what it should; with what it printed."""


class Stage:
    """A terminal on a copy of this host; the folder is where the copy is put together, and stays empty."""

    def __init__(self, folder: Path) -> None:
        _need_namespaces()
        self._mark = secrets.token_hex(16)
        self._pair: dict[str, str] = {}
        self._has_python = False
        opening = ["bash", str(_FOLDER / "open.sh"), str(folder), str(REPOSITORY), sys.prefix]
        self._process = subprocess.Popen(
            [*_NAMESPACES, *opening], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._tell(f"ended() {{ printf '\\n{self._mark} %s\\n' \"$1\"; }}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    # --- what is run

    def shell(self, text: str, *, is_refused: bool = False) -> str:
        """Run commands in the one shell of this stage; return what they print.

        Raises:
            Failed: one of them fails; or, if they are to be refused, the last one does not.
        """
        return self._ran(text, _SHELL_REFUSED if is_refused else _SHELL, is_refused=is_refused)

    def python(self, text: str, *, is_refused: bool = False) -> str:
        """Run statements in the one Python session of this stage, which sees what the shell exports; else as `shell`."""
        if not self._has_python:
            self._tell(_START_PYTHON)
            self._has_python = True
        return self._ran(text, _PYTHON, is_refused=is_refused)

    def go_on(self, text: str) -> None:
        """Start commands that do not end, in another terminal."""
        self._ran(text, _SHELL_GOING_ON)

    def interrupt(self) -> None:
        """Press Ctrl+C in the other terminal; what runs there has to end well."""
        self.shell('kill -INT -- "-$other"; wait "$other"')

    def other_terminal(self) -> str:
        """Return what was printed in the other terminal so far."""
        return self.shell("cat /stage/other")

    # --- how it is done

    def _ran(self, text: str, how: str, *, is_refused: bool = False) -> str:
        for example, own in self._pair.items():
            text = text.replace(example, own)
        self._tell(f"base64 -d <<<{base64.b64encode(text.encode()).decode()} >/stage/block; {how}")
        printed, code = self._until_marked()
        if (code != 0) != is_refused:
            wanted = "be refused" if is_refused else "succeed"
            raise Failed(f"it did not {wanted}; it ended with exit code {code}; it printed:\n{printed}")
        for found in _PAIR.finditer(printed):
            self._pair = {EXAMPLE_KEY: found["key"], EXAMPLE_SECRET: found["secret"]}
        return printed

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def _until_marked(self) -> tuple[str, int]:
        """Return what is printed until the mark, and the exit code told with that."""
        assert self._process.stdout is not None
        end = re.compile(rf"\n{self._mark} (\d+)\n$")
        deadline, printed = time.monotonic() + _DEADLINE_SECONDS, b""
        while not (found := end.search(printed.decode(errors="replace"))):
            is_readable, *_ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not is_readable:
                raise Failed(f"it did not end within {_DEADLINE_SECONDS:.0f} seconds; it printed:\n{printed.decode()}")
            more = os.read(self._process.stdout.fileno(), 65536)
            if not more:
                raise Failed(f"it ended with exit code {self._process.wait()}; it printed:\n{printed.decode()}")
            printed += more
        return printed.decode(errors="replace")[: found.start()], int(found[1])


def _need_namespaces() -> None:
    """Skip the test where a copy of this host cannot be made, telling why; in CI a skipped test is a failure."""
    for command, package in _PACKAGE_OF.items():
        need_command(command, package)
    if subprocess.run([*_NAMESPACES, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip(
            "a copy of this host cannot be made: only root can, and not in a container without the right to mount"
        )
