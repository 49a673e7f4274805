"""Commands of ours in processes that have nothing to import any more, which is most of what a short command does.

A process that has imported the program, and done nothing else, forks itself for each command. What the import depends
on is not proven by such a command: whoever changes the environment, or starts another program, gets a process anew.
"""

import atexit
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAM = (sys.executable, "-m", "gateway")

_REPOSITORY = str(Path(__file__).resolve().parent.parent)
_ENTRY = f"{_REPOSITORY}/gateway/__main__.py"
_FORKING = get_context("forkserver")
_IMPORTED = ["onefleet", *(f"gateway.{name}" for name in ("cli", "calling", "log", "office", "verbs"))]
_FORKING.set_forkserver_preload([__name__, *_IMPORTED])


def outcome(
    command: Sequence[str], *, environ: Mapping[str, str], seconds: float, folder: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Return the outcome of a command with what it printed, run in the folder.

    Raises:
        TimeoutExpired: it took longer than so many seconds, and was killed.
    """
    if tuple(command[: len(PROGRAM)]) != PROGRAM or _told(environ) != _told(os.environ) | {"PYTHONPATH": _REPOSITORY}:
        return subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env=environ, timeout=seconds, check=False
        )
    with TemporaryDirectory() as name:
        said = Path(name)
        words = command[len(PROGRAM) :]
        process = _FORKING.Process(target=_become, args=(words, dict(environ), folder or Path.cwd(), said))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(command), seconds)
        stdout, stderr = ((said / each).read_text() for each in ("stdout", "stderr"))
        return subprocess.CompletedProcess(list(command), process.exitcode, stdout, stderr)


def _told(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what pytest writes into it for each step of a test."""
    return {name: value for name, value in environ.items() if not name.startswith("PYTEST_")}


def _become(words: Sequence[str], environ: Mapping[str, str], folder: Path, said: Path) -> None:
    """Be, until the end of the process, the command; write what it says into files in `said`."""
    for number, name in enumerate(("stdout", "stderr"), start=1):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  closed by the end of the process
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.argv = [_ENTRY, *words]
    from onefleet import main  # noqa: PLC0415  the process that forks has it already

    try:
        sys.exit(main())
    finally:
        atexit._run_exitfuncs()  # multiprocessing runs none
