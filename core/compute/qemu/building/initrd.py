"""Writes the archive that a kernel unpacks first, and finds the kernel's modules that belong there."""

import gzip
import lzma
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_MODULE_SUFFIX = re.compile(r"\.ko(\.xz)?$")
_ALIGNED = 4
_ROOT, _ONE_LINK, _NO_TIME, _NO_DEVICES, _NO_SUM = (0, 0), (1,), (0,), (0, 0, 0, 0), (0,)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, a link or a folder of an archive: `mode` has its kind and its rights, as in `os.stat`."""

    name: str
    mode: int
    content: bytes = field(default=b"", repr=False)


def a_folder(name: str) -> Entry:
    """Return a folder that everybody may read."""
    return Entry(name, stat.S_IFDIR | 0o755)


def a_file(name: str, content: bytes, *, mode: int = 0o755) -> Entry:
    """Return a file."""
    return Entry(name, stat.S_IFREG | mode, content)


def a_link(name: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


def archive(entries: Iterable[Entry]) -> bytes:
    """Return the compressed archive of entries, root's all; a folder must come before what is in it.

    Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst, "newc".
    """
    written = [_record(number, entry) for number, entry in enumerate(entries, start=1)]
    return gzip.compress(b"".join([*written, _record(0, Entry("TRAILER!!!", 0))]), mtime=0)


def load_order(modules: Path, wanted: Sequence[str]) -> Mapping[str, bytes]:
    """Return the modules under a folder that are wanted, and what they depend on, each after what it needs.

    A module that is not there is built into the kernel, or the machine does without.
    """
    files = {_module_name(path.name): path for path in modules.rglob("*.ko*") if _MODULE_SUFFIX.search(path.name)}
    ordered: dict[str, bytes] = {}
    for name in wanted:
        _add_module(name, files, ordered)
    return ordered


def _add_module(name: str, files: Mapping[str, Path], ordered: dict[str, bytes]) -> None:
    if name in ordered or name not in files:
        return
    path = files[name]
    content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    for needed in _needs(content):
        _add_module(needed, files, ordered)
    ordered[name] = content


def _needs(module: bytes) -> list[str]:
    found = _DEPENDS.search(module)
    return [_module_name(name) for name in found[1].decode().split(",") if name] if found else []


def _module_name(file_name: str) -> str:
    """Return a module's name with dashes, as the kernel takes both."""
    return _MODULE_SUFFIX.sub("", file_name).replace("_", "-")


def _record(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    fields = (number, entry.mode, *_ROOT, *_ONE_LINK, *_NO_TIME, len(entry.content), *_NO_DEVICES, len(name), *_NO_SUM)
    header = b"070701" + "".join(f"{value:08x}" for value in fields).encode()
    return _aligned(header + name) + _aligned(entry.content)


def _aligned(part: bytes) -> bytes:
    return part + bytes(-len(part) % _ALIGNED)
