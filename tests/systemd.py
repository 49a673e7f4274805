"""A host with systemd, real and of a test's own: a pid namespace in which it is process 1, up in seconds.

The host's disk lies under an overlay in memory, its network is a loopback, and its cgroups have no controllers, so that
nothing bounds its services. Onefleet is not installed; /srv has `dist/onefleet` and `deploy/`.
"""

import os
import shlex
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.commands import need_command
from tests.running import REPOSITORY, eventually

_NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc", "--net")
_ENVIRONMENT = (
    "env",
    "-i",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/srv",
    "LANG=C.UTF-8",
)
_STRICT = "set -eu -o pipefail\ncd /srv\njournalctl --sync\n"  # what services have said so far is in the journal

# Its user must not see a home, so all that the program needs lies elsewhere. A user namespace, which services ask for, is
# refused where the root was only changed: it is pivoted.
_BOOT = """
set -eu
base=$1 prefix=$2 packages=$3 repository=$4
mount -t tmpfs -o mode=755 tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" overlay "$base/root"
cd "$base/root"
mkdir -p opt/python opt/packages opt/repository old srv/dist srv/deploy
mount --bind "$prefix" opt/python
mount --bind "$packages" opt/packages
mount --bind "$repository" opt/repository
cp "$repository"/deploy/* srv/deploy/
cat >srv/dist/onefleet
chmod 755 srv/dist/onefleet
rm -rf usr/local/bin/onefleet etc/onefleet var/lib/onefleet var/cache/onefleet var/backups/onefleet
rm -rf etc/systemd/system/*.wants etc/systemd/system/onefleet*
sed -i /^onefleet:/d etc/passwd etc/group etc/shadow etc/gshadow
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for each in null zero full random urandom tty; do touch "dev/$each"; mount --bind "/dev/$each" "dev/$each"; done
mkdir dev/pts dev/shm
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
ip link set lo up
pivot_root . old
cd /
umount -l /old
rmdir /old
mount --make-rshared /
exec env -i container=lxc PATH="$PATH" /lib/systemd/systemd --unit=multi-user.target
"""

_PROGRAM = """\
#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/repository:/opt/packages
exec /opt/python/bin/python{version} -c 'import sys; del sys.argv[0]; from onefleet import main; sys.exit(main())' "$0" "$@"
"""


@dataclass(frozen=True)
class Host:
    """A host that has started; `pid` is that of its process 1. Commands start in /srv, where `dist/onefleet` is."""

    pid: int

    def run(self, script: str, *, code: int = 0) -> str:
        """Return what a script of the shell prints, checked to end with the exit code."""
        words = [
            "nsenter",
            f"--target={self.pid}",
            "--all",
            "--root",
            "--wd",
            *_ENVIRONMENT,
            "bash",
            "-c",
            _STRICT + script,
        ]
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
        )
        assert done.returncode == code, f"{script}\n{done.returncode}\n{done.stdout}"
        return done.stdout


@contextmanager
def host(folder: Path, single_file: Path | None = None) -> Iterator[Host]:
    """Start a host, and end it with all that runs there; skip the test where that cannot be, telling why.

    What it has as `dist/onefleet` is the single file, or else a script that runs what is in the repository.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can make a host with systemd")
    need_command("systemctl", "systemd")
    need_command("unshare", "util-linux")
    base, version = folder / "host", f"{sys.version_info.major}.{sys.version_info.minor}"
    base.mkdir()
    words = [base, sys.base_prefix, sysconfig.get_path("purelib"), REPOSITORY]
    command = ["unshare", *_NAMESPACES, "bash", "-c", _BOOT, "boot", *map(str, words)]
    with (folder / "boot.log").open("wb") as log:
        booting = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
    try:
        assert booting.stdin is not None
        booting.stdin.write(single_file.read_bytes() if single_file else _PROGRAM.format(version=version).encode())
        booting.stdin.close()
        yield eventually(lambda: _started(booting), what=f"a start of systemd: {shlex.quote(str(log.name))}")
    finally:
        booting.send_signal(signal.SIGKILL)  # which takes its process 1 along
        booting.wait()


def _started(booting: "subprocess.Popen[bytes]") -> Host | None:
    assert booting.poll() is None, "the host ended"
    children = Path(f"/proc/{booting.pid}/task/{booting.pid}/children").read_text().split()
    if not children:
        return None
    asking = ["nsenter", f"--target={children[0]}", "--all", "--root", "--wd", "systemctl", "is-system-running"]
    told = subprocess.run(asking, capture_output=True, text=True, check=False).stdout.strip()
    return Host(int(children[0])) if told in ("running", "degraded") else None
