"""Disk images from outside: what they are, whether they are safe to open, and the qcow2 that is made of them.

Images may be hostile. Several formats can name other files, which QEMU would open and show to a guest, and no format
may be guessed by QEMU, since a guest can write another format's header into a raw disk. So the header is judged here,
before QEMU's tools see the file, and they are then told what it is, and bounded in memory and time.
"""

import bz2
import gzip
import json
import lzma
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGXCPU
from struct import unpack_from
from tempfile import TemporaryFile
from typing import IO, Any

from core.ports import DriverCode, DriverError

Tick = Callable[[int, int], None]
"""Is told how much of how much is done; of 0 if nobody knows."""

LARGEST_BYTES = 16 * 1024**4
"""The largest virtual disk that is taken."""

QCOW2 = "qcow2"

_START_BYTES = 72 * 1024
_BLOCK_BYTES = 1024**2
_MEMORY_BYTES = 2 * 1024**3
_LOOKING_SECONDS, _WORKING_SECONDS = 30, 4 * 3600
_PACKAGES = {"qemu-img": "qemu-utils", "setpriv": "util-linux", "prlimit": "util-linux", "zstd": "zstd"}


class UnusableImage(DriverError):
    """An image is missing, unreadable or refused. The renter is told no more than that; `why` is for the operator."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(DriverCode.IMAGE, f"The image {name} cannot be used.", detail=why)
        self.name, self.why = name, why


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """What a disk image is: qcow2, raw, vmdk, vhdx or vdi, and how large the disk in it."""

    format: str
    virtual_size_bytes: int


# --- what the first bytes tell


@dataclass(frozen=True, slots=True)
class _Mark:
    """Bytes at a place by which a kind of file is known."""

    offset: int
    magic: bytes

    def is_on(self, start: bytes) -> bool:
        return start.startswith(self.magic, self.offset)


_COMPRESSED = {
    "gzip": _Mark(0, b"\x1f\x8b"),
    "bzip2": _Mark(0, b"BZh"),
    "xz": _Mark(0, b"\xfd7zXZ\0"),
    "zstd": _Mark(0, b"\x28\xb5\x2f\xfd"),
}
_NO_DISKS = {
    "a tar archive: unpack it, and add the disk that is in it": _Mark(257, b"ustar"),
    "a zip archive: unpack it, and add the disk that is in it": _Mark(0, b"PK\x03\x04"),
    "an installation CD, not a disk": _Mark(0x8001, b"CD001"),
    "encrypted": _Mark(0, b"LUKS\xba\xbe"),
    "the description of a VMDK in several files; make one of them: qemu-img convert -O qcow2": _Mark(
        0, b"# Disk DescriptorFile"
    ),
}
_FORMATS = {
    QCOW2: (_Mark(0, b"QFI\xfb"),),
    "vmdk": (_Mark(0, b"KDMV"),),
    "vhdx": (_Mark(0, b"vhdxfile"),),
    "vdi": (_Mark(0x40, b"\x7f\x10\xda\xbe"),),
    # A boot sector, or ext4, XFS or btrfs without partitions.
    "raw": (_Mark(510, b"\x55\xaa"), _Mark(0x438, b"\x53\xef"), _Mark(0, b"XFSB"), _Mark(0x10040, b"_BHRfS_M")),
}


def read_header(path: Path) -> DiskFacts:
    """Return what a qcow2 file is, by its header alone: cheap enough for every launch.

    Raises:
        UnusableImage: it is missing, no qcow2, or not fit to start machines from.
    """
    start = _start_of(path)
    if not _FORMATS[QCOW2][0].is_on(start):
        raise UnusableImage(path.name, f"it is not qcow2; `onefleet image add {path}` makes a qcow2 of it")
    _judge(path, QCOW2, start)
    return DiskFacts(QCOW2, _sized(path, unpack_from(">Q", start, 24)[0]))


def inspect_disk(path: Path) -> DiskFacts:
    """Return what a disk image is, by its header and by `qemu-img info`, which must agree that it is sound.

    Raises:
        UnusableImage: it is missing, no disk image, refers to other files, is encrypted, damaged or holds snapshots, or
            qemu-img is missing or cannot make sense of it.
    """
    start = _start_of(path)
    kind = _kind_of(path, start)
    _judge(path, kind, start)
    told = _told_by_qemu(path, kind)
    return DiskFacts(kind, _sized(path, told["virtual-size"]))


def compression_of(path: Path) -> str:
    """Return gzip, bzip2, xz or zstd, or nothing for a file that is not compressed."""
    start = _start_of(path)
    return next((name for name, mark in _COMPRESSED.items() if mark.is_on(start)), "")


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_START_BYTES)
    except OSError as error:
        raise UnusableImage(path.name, f"it cannot be read: {error.strerror}") from error


def _kind_of(path: Path, start: bytes) -> str:
    for what, mark in _NO_DISKS.items():
        if mark.is_on(start):
            raise UnusableImage(path.name, f"it is {what}")
    for kind, marks in _FORMATS.items():
        if any(mark.is_on(start) for mark in marks):
            return kind
    raise UnusableImage(
        path.name,
        f"it is no disk image: it begins with {start[:16]!r}. Known are {', '.join(_FORMATS)}, also compressed with"
        f" {', '.join(_COMPRESSED)}",
    )


def _sized(path: Path, size_bytes: int) -> int:
    if not 0 < size_bytes <= LARGEST_BYTES:
        raise UnusableImage(path.name, f"it says that its disk has {size_bytes} bytes; at most {LARGEST_BYTES} may be")
    return size_bytes


# --- what is refused: whatever makes QEMU open another file, and what nobody could start from


@dataclass(frozen=True, slots=True)
class _Qcow2:
    """The fields of the header that matter. Source: QEMU, docs/interop/qcow2.txt."""

    version: int
    backing_file_offset: int
    encryption: int
    snapshots: int
    features: int

    @classmethod
    def read(cls, start: bytes) -> "_Qcow2":
        version, backing = unpack_from(">IQ", start, 4)
        [encryption] = unpack_from(">I", start, 32)
        [snapshots] = unpack_from(">I", start, 60)
        [features] = unpack_from(">Q", start, 72) if version > 2 else (0,)  # noqa: PLR2004  version 2 has none
        return cls(version, backing, encryption, snapshots, features)


_FLATTEN = "flatten it where it was made: qemu-img convert -O qcow2 OLD NEW"
_QCOW2_FAULTS: Mapping[str, Callable[[_Qcow2], bool]] = {
    "is of a version that QEMU's qcow2 has not": lambda header: header.version not in {2, 3},
    f"has a backing file; {_FLATTEN}": lambda header: header.backing_file_offset != 0,
    f"keeps its data in another file; {_FLATTEN}": lambda header: bool(header.features & 0b100),
    "is encrypted": lambda header: header.encryption != 0,
    "is marked as damaged; fetch it again": lambda header: bool(header.features & 0b10),
    f"holds snapshots; {_FLATTEN}": lambda header: header.snapshots != 0,
}


def _qcow2_fault(start: bytes) -> str:
    header = _Qcow2.read(start)
    return next((fault for fault, is_so in _QCOW2_FAULTS.items() if is_so(header)), "")


_VMDK_TYPE = re.compile(rb'createType\s*=\s*"(?:monolithicSparse|streamOptimized)"')
_VMDK_DESCRIPTOR = slice(512, 21 * 512)


def _vmdk_fault(start: bytes) -> str:
    """Say what is wrong with a VMDK that is not whole in itself. Source: QEMU, block/vmdk.c.

    Its descriptor may name a parent and extents. QEMU reads it from the second sector; where there is no capacity, it
    believes the extents.
    """
    capacity, _, descriptor_sector = unpack_from("<QQQ", start, 12)
    descriptor = start[_VMDK_DESCRIPTOR]
    if capacity == 0 or descriptor_sector != 1 or not _VMDK_TYPE.search(descriptor):
        return f"is a VMDK that lies in several files; {_FLATTEN}"
    if b"parentfilenamehint" in descriptor.lower():
        return f"is a VMDK that builds on another; {_FLATTEN}"
    return ""


_FAULTS: Mapping[str, Callable[[bytes], str]] = {QCOW2: _qcow2_fault, "vmdk": _vmdk_fault}
_LEAST_BYTES = 512


def _judge(path: Path, kind: str, start: bytes) -> None:
    if len(start) < _LEAST_BYTES:
        raise UnusableImage(path.name, f"it is no disk image: it has {len(start)} bytes")
    if kind in _FAULTS and (fault := _FAULTS[kind](start)):
        raise UnusableImage(path.name, f"it {fault}")


_TELLTALES = ("backing-filename", "full-backing-filename", "encrypted", "snapshots", "data-file")


def _told_by_qemu(path: Path, kind: str) -> Mapping[str, Any]:
    command = ["qemu-img", "info", "--output=json", "-U", "-f", kind, str(path.absolute())]
    with _output(path, _LOOKING_SECONDS, command) as output:
        said = output.read()
    told: Mapping[str, Any] = json.loads(said)
    both = {**told.get("format-specific", {}).get("data", {}), **told}
    if found := [word for word in _TELLTALES if both.get(word)]:
        raise UnusableImage(path.name, f"it has what an image may not have: {', '.join(found)}; {_FLATTEN}")
    return told


@contextmanager
def _output(path: Path, cpu_seconds: int, command: Sequence[str]) -> Iterator[IO[bytes]]:
    """Yield what a tool says about a file that may be hostile: it has little memory and so much processor time.

    It does not outlive this process.

    Raises:
        UnusableImage: the tool is missing or fails, which is known only once the block has ended.
    """
    for tool in (command[0], "setpriv", "prlimit"):
        if shutil.which(tool) is None:
            raise UnusableImage(path.name, f"{tool} is needed and not installed: apt-get install {_PACKAGES[tool]}")
    # At the soft limit it is told to end, by the signal that says why, at the hard one it is killed.
    limits = ["prlimit", f"--as={_MEMORY_BYTES}", f"--cpu={cpu_seconds}:{cpu_seconds + 1}", "--core=0", "--"]
    with TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603  no shell, and the path is absolute
            ["setpriv", "--pdeathsig=KILL", *limits, *command],  # noqa: S607  from wherever the system has them
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
        assert process.stdout is not None
        try:
            yield process.stdout
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdout.close()
            process.wait()
        if process.returncode:
            complaints.seek(0)
            why = _why(complaints.read(), process.returncode, cpu_seconds)
            raise UnusableImage(path.name, f"{command[0]} fails: {why}")


def _why(said: bytes, code: int, cpu_seconds: int) -> str:
    if code == -SIGXCPU:
        return f"it took more than {cpu_seconds} seconds of processor time"
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with code {code}"


# --- what is made of them


def unpack(source: Path, target: Path, tick: Tick) -> None:
    """Write what is compressed in the source into the target, with holes for what is empty.

    `tick` is told of the bytes written, of which nobody knows how many there will be.

    Raises:
        UnusableImage: it is damaged, too large, or compressed with what nothing here can unpack.
        OSError: the target cannot be written.
    """
    with target.open("xb") as out, _unpacked(source) as blocks:
        for block in _blocks(source, blocks):
            if out.tell() + len(block) > LARGEST_BYTES:
                raise UnusableImage(source.name, f"it has more than {LARGEST_BYTES} bytes in it")
            write_sparsely(out, block)
            tick(out.tell(), 0)
        out.truncate()


_OPENERS: Mapping[str, Callable[[Path], Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}


@contextmanager
def _unpacked(source: Path) -> Iterator[IO[bytes]]:
    kind = compression_of(source)
    if kind in _OPENERS:
        with _OPENERS[kind](source) as blocks:
            yield blocks
    else:
        command = ["zstd", "--decompress", "--stdout", "--quiet", str(source.absolute())]
        with _output(source, _WORKING_SECONDS, command) as blocks:
            yield blocks


def _blocks(source: Path, blocks: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            block = blocks.read(_BLOCK_BYTES)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise UnusableImage(source.name, f"it is damaged: {error}") from error
        if not block:
            return
        yield block


def write_sparsely(out: IO[bytes], block: bytes) -> None:
    """Write a block, or a hole for one of zeros. After the last, the file must be truncated where it is."""
    if block.count(0) == len(block):
        out.seek(len(block), 1)
    else:
        out.write(block)


def convert(source: Path, facts: DiskFacts, target: Path, tick: Tick) -> None:
    """Make a qcow2 of an inspected disk image. `tick` is told of the bytes of the virtual disk.

    Raises:
        UnusableImage: qemu-img could not; it says why.
    """
    files = [str(source.absolute()), str(target.absolute())]
    command = ["qemu-img", "convert", "-p", "-f", facts.format, "-O", QCOW2, *files]
    with _output(source, _WORKING_SECONDS, command) as output:
        for share in _shares(output):
            tick(int(share * facts.virtual_size_bytes), facts.virtual_size_bytes)


_PERCENT = re.compile(rb"\(([0-9.]+)/100%\)")


def _shares(progress: IO[bytes]) -> Iterator[float]:
    """Yield how much is done, from 0 to 1, whenever qemu-img says so: it redraws one line."""
    said = b""
    while more := progress.read1(64):  # type: ignore[attr-defined]  # a pipe's reader is buffered
        *lines, said = (said + more).split(b"\r")
        for line in lines:
            if found := _PERCENT.search(line):
                yield float(found[1]) / 100
