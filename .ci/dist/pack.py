"""Packs a folder behind the launcher: the single file. See launcher.c for its form.

python pack.py LAUNCHER FOLDER OUT
"""

import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MAGIC = b"ONEFLEET"
_BUILD_LENGTH = 16
_LEVEL = "-12"


def pack(launcher: Path, folder: Path, out: Path) -> None:
    """Write the single file. The same folder gives the same bytes, whenever and wherever it lies."""
    records = b"".join(_records(folder))
    payload = subprocess.run(["zstd", _LEVEL, "-q", "-c"], input=records, capture_output=True, check=True).stdout
    build = hashlib.sha256(records).hexdigest()[:_BUILD_LENGTH].encode()
    front = launcher.read_bytes()
    out.write_bytes(front + payload + struct.pack("<QQ", len(front), len(payload)) + build + MAGIC)
    out.chmod(0o755)


def _records(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            content = os.readlink(path).encode()
        elif path.is_file():
            content = path.read_bytes()
        else:
            continue
        kind = 0o120000 if path.is_symlink() else 0o100000
        mode = kind | (0o700 if os.access(path, os.X_OK) else 0o600)
        yield b"%o %o %s\n" % (mode, len(content), str(path.relative_to(folder)).encode()) + content


if __name__ == "__main__":
    pack(*map(Path, sys.argv[1:]))
