"""A fresh Debian in a folder, in which a newcomer's commands are run as root. It has the host's network."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from tests.running import eventually

_SUITE = "bookworm"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OF_THE_NETWORK = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/pip.conf",
    "/etc/npmrc",
    "/etc/ssl/certs/ca-certificates.crt",
    "/root/.npmrc",
    "/root/.config/pip/pip.conf",
)
"""How this host reaches Debian's packages, PyPI and npm: what a newcomer's own network needs no telling."""

_VARIABLES = re.compile(r"(PIP|NPM_CONFIG|npm_config)_\w+|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|\w+_(proxy|PROXY)")
_MINUTES = 60.0


def debootstrap(root: Path) -> Path:
    """Make Debian's smallest system that has apt, with the lists of packages that an installation leaves."""
    include = "--include=ca-certificates"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", include, "--skip=cleanup/apt", _SUITE, root]
    subprocess.run(command, check=True)
    return root


class FreshDebian:
    """A copy of a system of its own, as if just installed; its processes end with it."""

    def __init__(self, pristine: Path, root: Path) -> None:
        self.root = root
        self._pristine = pristine
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        subprocess.run(["cp", "-a", "--reflink=auto", self._pristine, self.root], check=True)
        for name in filter(os.path.exists, _OF_THE_NETWORK):
            place = self.root / name.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, place)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.root)

    def run(self, script: str, *, folder: str = "/root", **environ: str) -> str:
        """Run a script that has to end well; return what it prints."""
        with self._started(script, folder, environ) as process:
            said, _ = process.communicate(timeout=30 * _MINUTES)
        assert process.returncode == 0, f"{script}\n{said[-6000:]}"
        return said

    @contextmanager
    def going_on(self, script: str, until: str, *, folder: str = "/root", **environ: str) -> Iterator[str]:
        """Run a script that goes on, in the background; yield what it prints until it has said so. Ctrl+C ends it."""
        out = self.root.parent / "output"
        with out.open("w") as file, self._started(script, folder, environ, file) as process:
            eventually(
                lambda: until in out.read_text() or process.poll() is not None, seconds=10 * _MINUTES, what=until
            )
            assert process.poll() is None, out.read_text()
            yield out.read_text()
            _interrupt(process.pid)
            process.wait(30)
            assert re.search(r"\bstopped\b", out.read_text()), out.read_text()

    @contextmanager
    def _started(
        self, script: str, folder: str, environ: Mapping[str, str], out: object = subprocess.PIPE
    ) -> Iterator["subprocess.Popen[str]"]:
        mounts = [
            "mount --rbind /dev dev",
            "mount -t proc proc proc",
            "mount -t sysfs sysfs sys",
            "mount -t tmpfs tmpfs tmp",
        ]
        mounts += [f"mkdir -p .{place} && mount --bind {place} .{place}" for place in _shelves()]
        known = {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}
        shell = {
            "HOME": "/root",
            "PATH": _PATH,
            "TERM": "dumb",
            "DEBIAN_FRONTEND": "noninteractive",
            **known,
            **environ,
        }
        command = ["unshare", "--mount", "sh", "-ec"]
        inside = f"cd {self.root}; {'; '.join(mounts)}; exec chroot . sh -ec 'cd {folder}; exec sh -e -c \"$SCRIPT\"'"
        process = subprocess.Popen(
            [*command, inside],
            env=shell | {"SCRIPT": script},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        yield process


def _shelves() -> Sequence[str]:
    """Return the folders that pip is told to take packages from on this host."""
    said = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    named = re.findall(r"(?:file://)?(/[\w./-]+)", said)
    return sorted(
        {str(Path(name).parent) if name.endswith("/simple") else name for name in named if Path(name).is_dir()}
    )


def _interrupt(pid: int) -> None:
    """Do what Ctrl+C in its terminal does."""
    os.killpg(pid, signal.SIGINT)
