"""Chooses what runs machines: the processor itself by KVM where that works, else QEMU's own translator, TCG.

That /dev/kvm is there proves nothing: on some hosts it starts machines and then hangs them. So it is tried out.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.compute.qemu.process import User
from core.compute.site import ImageFiles

KVM, TCG = "kvm", "tcg"

_DEVICE = Path("/dev/kvm")
_START = Path("/proc/sys/kernel/random/boot_id")
_ARGUMENTS: Mapping[str, Sequence[str]] = {
    KVM: ("-accel", "kvm", "-cpu", "host"),
    # Without a bound, the translated code of each machine takes up to 1 GiB of the host's memory.
    TCG: ("-accel", "tcg,tb-size=64", "-cpu", "max"),
}
_CLOSED = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_ALONE = ("-nodefaults", "-no-user-config", "-display", "none", "-sandbox", _CLOSED, "-machine", "pc")

# mov al, 0x10; out 0xf4, al; hlt: the device at 0xf4 ends QEMU with the code 2 * 0x10 + 1.
_SECTOR = bytes.fromhex("b010e6f4f4").ljust(510, b"\0") + bytes.fromhex("55aa")
_EXIT_DEVICE = ("-device", "isa-debug-exit,iobase=0xf4,iosize=4")
_SECTOR_CODE = 33
_SIGN_OF_LIFE = b"Linux version"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What runs machines, kvm or tcg, and why that: a sentence for the operator.

    `is_as_wished` is false where the operator should see to it: machines are slower than they could be, or may hang.
    """

    name: str
    why: str
    is_as_wished: bool = True

    @property
    def arguments(self) -> Sequence[str]:
        """What QEMU is told."""
        return _ARGUMENTS[self.name]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something that is tried out may take, seconds.

    Where KVM works, the sector takes well under a second and the kernel one or two.
    """

    sector_seconds: float = 2.0
    kernel_seconds: float = 10.0


STANDARD_PATIENCE = Patience()


async def choose(
    binary: str,
    wanted: str,
    sample: ImageFiles | None = None,
    *,
    cache: Path | None = None,
    user: User | None = None,
    patience: Patience = STANDARD_PATIENCE,
) -> Accelerator:
    """Return what is to run machines, as `wanted`: kvm, tcg, or auto for KVM if it works.

    It is tried out as `user` with a few instructions of our own, and with the kernel of the `sample` image if that has
    one: which takes up to 12 seconds where it does not work. What came of it is kept in `cache` and holds until the
    host starts anew, or its QEMU, the right to use KVM or the sample change. If this is cancelled, nothing is left.
    """
    if wanted == TCG:
        return Accelerator(TCG, "Machines run by TCG, as configured.")
    fault = await _known_fault(_Trial(binary, sample, user, patience), cache)
    if wanted == KVM:
        if fault:
            return Accelerator(KVM, f"Machines run by KVM, as configured, but {fault}.", is_as_wished=False)
        return Accelerator(KVM, "Machines run by KVM, as configured; it was tried out and works.")
    if fault:
        return Accelerator(TCG, f"Machines run by TCG, which is slow: {fault}.", is_as_wished=False)
    return Accelerator(KVM, "Machines run by KVM: it was tried out and works.")


@dataclass(frozen=True, slots=True)
class _Trial:
    """KVM, to be tried out; each method returns what is wrong with it, in words, or nothing."""

    binary: str
    sample: ImageFiles | None
    user: User | None
    patience: Patience

    async def fault(self) -> str:
        return self.device_fault() or await self.sector_fault() or await self.kernel_fault()

    def device_fault(self) -> str:
        return "" if _DEVICE.exists() else f"this host has no {_DEVICE}"

    async def sector_fault(self) -> str:
        seconds = self.patience.sector_seconds
        with _open_sector() as sector:
            disk = f"file=/dev/fd/{sector},format=raw,if=floppy,readonly=on"
            words = (*_EXIT_DEVICE, "-m", "16", "-drive", disk)
            async with self._running(words, [sector]) as qemu:
                if not await _ends_within(seconds, qemu):
                    return f"KVM took longer than {seconds:g} s over a boot sector of six instructions"
                return "" if qemu.returncode == _SECTOR_CODE else f"KVM fails: {await _complaint(qemu)}"

    async def kernel_fault(self) -> str:
        if self.sample is None or self.sample.kernel is None or self.sample.initrd is None:
            return ""
        seconds = self.patience.kernel_seconds
        with ExitStack() as closing:
            kernel, initrd = (closing.enter_context(_opened(path)) for path in (self.sample.kernel, self.sample.initrd))
            append = "console=ttyS0 earlyprintk=serial panic=-1"
            words = ("-m", "256", "-kernel", f"/dev/fd/{kernel}", "-initrd", f"/dev/fd/{initrd}", "-append", append)
            async with self._running((*words, "-serial", "stdio", "-no-reboot"), [kernel, initrd]) as qemu:
                if await _says_within(seconds, qemu, _SIGN_OF_LIFE):
                    return ""
                if _is_closed(qemu) and await _ends_within(seconds, qemu):
                    return f"KVM fails at an image's kernel: {await _complaint(qemu)}"
                return f"KVM did not bring up an image's kernel within {seconds:g} s"

    @asynccontextmanager
    async def _running(self, words: Sequence[str], files: Sequence[int]) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run QEMU, and leave nothing of it behind."""
        qemu = await asyncio.create_subprocess_exec(
            *_as(self.user),
            self.binary,
            *(*_ALONE, *_ARGUMENTS[KVM], *words),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=files,
            start_new_session=True,
        )
        try:
            yield qemu
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(qemu.pid, signal.SIGKILL)
            await asyncio.shield(qemu.communicate())


async def _ends_within(seconds: float, qemu: asyncio.subprocess.Process) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await qemu.wait()
    except TimeoutError:
        return False
    return True


async def _says_within(seconds: float, qemu: asyncio.subprocess.Process, words: bytes) -> bool:
    assert qemu.stdout is not None, "it was piped"
    said = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while words not in said and (more := await qemu.stdout.read(4096)):
                said += more
    return words in said


def _is_closed(qemu: asyncio.subprocess.Process) -> bool:
    """Whether it will say no more, and so ends or has ended."""
    return qemu.stdout is not None and qemu.stdout.at_eof()


async def _complaint(qemu: asyncio.subprocess.Process) -> str:
    """Return the last line of what QEMU said before it ended, or else how it ended."""
    _, said = await qemu.communicate()
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"QEMU ended with {qemu.returncode}"


def _as(user: User | None) -> Sequence[str]:
    """Return the words before a command that have it run as the user. uvloop cannot do it: it refuses to be told."""
    if user is None or user.is_ourselves:
        return ()
    groups = f"--groups={','.join(map(str, user.groups))}" if user.groups else "--clear-groups"
    return "setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", groups, "--"


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _open_sector() -> Iterator[int]:
    descriptor = os.memfd_create("sector")
    try:
        os.write(descriptor, _SECTOR)
        yield descriptor
    finally:
        os.close(descriptor)


# --- what was found out before


async def _known_fault(trial: _Trial, cache: Path | None) -> str:
    """Return what is wrong with KVM: as written in the cache if that is about this very host, else tried out."""
    try:
        about = await asyncio.to_thread(_circumstances, trial)
    except OSError as error:
        return f"KVM cannot be tried out: {error.filename}: {error.strerror}"
    if cache is not None and (known := _read(cache)).get("about") == about:
        return str(known.get("fault"))
    try:
        fault = await trial.fault()
    except OSError as error:
        return f"KVM cannot be tried out: {error.filename}: {error.strerror}"
    if cache is not None:
        with contextlib.suppress(OSError):  # it is tried out again next time
            await asyncio.to_thread(cache.write_text, json.dumps({"about": about, "fault": fault}, indent=1))
    return fault


def _read(cache: Path) -> Mapping[str, object]:
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _circumstances(trial: _Trial) -> Mapping[str, object]:
    """Return all that what is found out hangs on."""
    files = [Path(shutil.which(trial.binary) or trial.binary), _DEVICE]
    if trial.sample is not None and trial.sample.kernel is not None:
        files.append(trial.sample.kernel)
    return {
        # A host that was too busy to pass may do better after its next start.
        "start": _START.read_text().strip(),
        "kernel": os.uname().release,
        "processor": _processor(),
        "user": trial.user.name if trial.user else "",
        "files": {str(file): _state(file) for file in files},
    }


def _state(file: Path) -> Sequence[int] | None:
    if file == _DEVICE and not file.exists():
        return None
    status = file.stat()
    # A device's time changes with each start of the host, and says nothing.
    changed = 0 if file == _DEVICE else status.st_mtime_ns
    return [status.st_mode, status.st_uid, status.st_gid, status.st_size, changed]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
