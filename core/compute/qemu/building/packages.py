"""Fetches Debian packages with what they depend on, by this host's apt but without touching what is installed."""

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from core.compute.qemu.building.workshop import BuildFailed, run

# The sandbox is of use to root only, and then cannot write where we tell apt to.
_OPTIONS = ("Debug::NoLocking=1", "APT::Sandbox::User=root", "Dir::State::status=/dev/null")
_APT_GET = ("apt-get", *(f"--option={option}" for option in _OPTIONS))
_INSTALLED = re.compile(r"^Inst (\S+) \((\S+) .*\[(\S+)\]\)", re.MULTILINE)


class _Package(NamedTuple):
    name: str
    version: str
    architecture: str

    @property
    def file_name(self) -> str:
        """The name that `apt-get download` gives its file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


def fetch_packages(names: Sequence[str], cache: Path) -> list[Path]:
    """Return the files of the packages and of all that they depend on, fetched into `cache` unless they lie there.

    Raises:
        BuildFailed: apt does not know one of them, or cannot fetch it.
    """
    return _fetch(_closure(names), cache)


def fetch_dependency(name: str, pattern: str, cache: Path) -> Path:
    """Return the file of the one package, named like `pattern`, that the package `name` depends on.

    Raises:
        BuildFailed: there is none, or apt cannot fetch it.
    """
    found = [package for package in _closure([name]) if re.fullmatch(pattern, package.name)]
    if len(found) != 1:
        raise BuildFailed(f"{name} should depend on one package like {pattern}; apt knows {len(found)}")
    return _fetch(found, cache)[0]


def _closure(names: Sequence[str]) -> list[_Package]:
    """Return what apt would install on a host that has nothing yet."""
    try:
        plan = run([*_APT_GET, "--simulate", "--no-install-recommends", "install", *names])
    except BuildFailed as error:
        raise BuildFailed(f"{error}\nIf apt does not know the packages yet: sudo apt-get update") from None
    return [_Package(*found) for found in _INSTALLED.findall(plan)]


def _fetch(packages: Sequence[_Package], cache: Path) -> list[Path]:
    cache.mkdir(parents=True, exist_ok=True)
    missing = [package for package in packages if not (cache / package.file_name).exists()]
    if missing:
        # A file takes its place when it is whole: apt would leave half of one under its own name.
        with TemporaryDirectory(dir=cache, prefix=".") as arriving:
            wanted = [f"{package.name}={package.version}" for package in missing]
            run([*_APT_GET, "download", *wanted], cwd=Path(arriving))
            for package in missing:
                (Path(arriving) / package.file_name).replace(cache / package.file_name)
    return [cache / package.file_name for package in packages]
