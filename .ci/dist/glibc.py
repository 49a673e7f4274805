"""Sees to it that a bundle runs on an old enough glibc.

python glibc.py BUNDLE SHIM
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FLOOR = (2, 35)
"""Ubuntu 22.04's. Debian 12 has 2.36."""

SUPPLIED = frozenset({"arc4random", "arc4random_buf"})
"""What the shim has in place of glibc."""

_NEEDED = re.compile(r"\(GLIBC_(\d+)\.(\d+)[.\d]*\)\s+(\w+)")


def lower_floor(bundle: Path, shim: Path) -> None:
    """Let what needs a newer glibc for functions that the shim has take them from that, which is put into the bundle.

    Exits if something needs a newer glibc for anything else.
    """
    problems: list[str] = []
    for path in sorted(bundle.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.read_bytes()[:4] != b"\x7fELF":
            continue
        too_new = dict(_too_new(path))
        problems += [f"{path.name} needs {name} of glibc {version}" for name, version in too_new.items() if name not in SUPPLIED]
        if too_new.keys() & SUPPLIED:
            _redirect(path, sorted(too_new.keys() & SUPPLIED), shim.name)
    if problems:
        sys.exit("\n".join([*problems, f"The bundle must run on glibc {FLOOR[0]}.{FLOOR[1]}: build it on Debian 12."]))
    (bundle / shim.name).write_bytes(shim.read_bytes())


def _too_new(path: Path) -> Iterator[tuple[str, str]]:
    symbols = subprocess.run(["objdump", "-T", path], capture_output=True, text=True, check=True).stdout
    for major, minor, name in _NEEDED.findall(symbols):
        if (int(major), int(minor)) > FLOOR:
            yield name, f"{major}.{minor}"


def _redirect(path: Path, names: list[str], shim: str) -> None:
    clearing = [word for name in names for word in ("--clear-symbol-version", name)]
    subprocess.run(["patchelf", *clearing, path], check=True)
    subprocess.run(["patchelf", "--add-needed", shim, path], check=True)


if __name__ == "__main__":
    lower_floor(*map(Path, sys.argv[1:]))
