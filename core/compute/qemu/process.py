"""The process of a machine: started so that it outlives the gateway, found again after that, watched, and ended.

asyncio's own subprocesses will not do: their transport kills the child when the loop closes.
"""

import asyncio
import contextlib
import fcntl
import os
import pwd
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.compute.qemu import machine
from core.ids import InstanceId
from core.ports import DriverCode, DriverError

_PRIVATE = 0o600
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class User:
    """Whom QEMU runs as, and the groups it is in besides its own."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def is_ourselves(self) -> bool:
        """Whether the gateway is that user."""
        return self.uid == os.geteuid()

    def own(self, path: Path) -> None:
        """Give a file to the user. Only root can give files away; everybody else is the user.

        Raises:
            OSError: it is not there.
        """
        if not self.is_ourselves:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def user_named(name: str) -> User:
    """Return whom QEMU is to run as: the user of that name if the gateway is root, else the gateway's own.

    Raises:
        ValueError: there is no such user, or it is root.
    """
    if os.geteuid() != 0:
        return User(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ValueError(
            f"compute.qemu.user: there is no user {name!r} on this host; make one, or name another"
        ) from None
    if entry.pw_uid == 0:
        raise ValueError(f"compute.qemu.user: {name!r} is root, which machines must not run as; name another user")
    return User(name, entry.pw_uid, entry.pw_gid, _groups())


def _groups() -> tuple[int, ...]:
    """Return the group that may use KVM, if that is a group's right at all."""
    try:
        device = Path("/dev/kvm").stat()
    except FileNotFoundError:
        return ()
    return (device.st_gid,) if device.st_mode & stat.S_IRWXG and device.st_gid else ()


_REFUSALS = (
    ("could not set up host forwarding rule", DriverCode.PORT, "The machine's ssh port is taken on its host."),
    ("cannot allocate memory", DriverCode.CAPACITY, "The host has no memory left."),
    ("cannot set up guest memory", DriverCode.CAPACITY, "The host has no memory left."),
    ("no space left", DriverCode.CAPACITY, "The host has no disk space left."),
    ('failed to get "write" lock', DriverCode.UNAVAILABLE, "The machine's disk is in use."),
)
"""What QEMU says when it ends at once, and what that means."""


class Process:
    """A living process of QEMU. `ended` is set once it is gone; `exit_code` is known of our own children only."""

    def __init__(self, pid: int, gone: Callable[[], None]) -> None:
        self.pid, self.exit_code = pid, None  # type: int, int | None
        self.ended = asyncio.Event()
        self._gone, self._descriptor = gone, os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._reap)

    def kill(self) -> None:
        """End it at once. Of one that is gone, nothing happens."""
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    async def has_ended(self, seconds: float) -> bool:
        """Whether it is gone, or goes within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        return self.ended.is_set()

    def leave(self) -> None:
        """Watch it no longer; it goes on."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _reap(self) -> None:
        self.leave()
        with contextlib.suppress(ChildProcessError):  # after a restart of the gateway it is the child of process 1
            _, status = os.waitpid(self.pid, os.WNOHANG)
            self.exit_code = os.waitstatus_to_exitcode(status)
        self.ended.set()
        self._gone()


def is_alive(folder: Path) -> bool:
    """Whether a process of the machine lives. Its lock, which QEMU inherits, tells that also before it has a pid file.

    Raises:
        OSError: the folder cannot be used.
    """
    try:
        with _locked(folder):
            return False
    except BlockingIOError:
        return True


def find(folder: Path, instance_id: InstanceId, user: User) -> int | None:
    """Return the pid of the machine's living process, or None if there is none yet, or none that is the machine's.

    Raises:
        OSError: the pid file cannot be read.
    """
    try:
        pid = int((folder / machine.PID).read_bytes())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        is_users = Path(f"/proc/{pid}").stat().st_uid == user.uid
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if is_users and name_of(instance_id).encode() in words else None


def name_of(instance_id: InstanceId) -> str:
    """Return what the process is called, by which it is known again."""
    return f"guest=i-{instance_id:017x}"


_BIRTH = 'ulimit -c 0 && ulimit -f "$1" && shift && echo $$ && exec "$@" >&2'
"""What QEMU's process does before it is QEMU: it bounds its files, leaves no core with a machine's memory in it, and
tells its pid, all of which is so however soon the gateway dies."""
_BLOCK_BYTES = 512
_SLACK = 1.1
"""How much larger than the disk a file may be: the disk's, with its tables."""


def start(folder: Path, words: Sequence[str], user: User, descriptors: Sequence[int], disk_bytes: int) -> int:
    """Start QEMU in the machine's folder and return its pid. It blocks for some milliseconds.

    Raises:
        BlockingIOError: a process of the machine lives. OSError: the program cannot be started.
    """
    with ExitStack() as closing:
        lock = closing.enter_context(_locked(folder))
        os.ftruncate(lock, 0)
        log = os.open(folder / machine.QEMU_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        closing.callback(os.close, log)
        started = subprocess.Popen(  # noqa: S603  no shell, and no word of a renter's that is not a value of its own
            ["/bin/sh", "-c", _BIRTH, "sh", str(int(disk_bytes * _SLACK / _BLOCK_BYTES)), *words],
            cwd=folder / machine.RUN,
            stdin=subprocess.DEVNULL,
            stdout=lock,
            stderr=log,
            pass_fds=(lock, *descriptors),
            start_new_session=True,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            user=None if user.is_ourselves else user.uid,
            group=None if user.is_ourselves else user.gid,
            extra_groups=None if user.is_ourselves else user.groups,
        )
        started.returncode = 0  # `Process` reaps it; else this object would complain that it lives
        pid: int = started.pid
        return pid


def complaint(folder: Path) -> str:
    """Return the end of what QEMU said before it ended, on one line; empty if it said nothing."""
    with contextlib.suppress(OSError), (folder / machine.QEMU_LOG).open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        return " ".join(file.read().decode(errors="replace").split())
    return ""


def refusal(said: str) -> DriverError:
    """Return what it means that QEMU ended at once, having said this."""
    for sign, code, message in _REFUSALS:
        if sign in said.lower():
            return DriverError(code, message, detail=said)
    return DriverError(DriverCode.INTERNAL, "The machine cannot be started on its host.", detail=said or "QEMU ended")


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Yield a descriptor that holds the machine's lock. It is let go when every process that has it has ended."""
    descriptor = os.open(folder / machine.PID, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)
