"""Lists the parts of a bundle, for `onefleet licences` and for the SBOM. Exits if anything in it belongs to no part.

python parts.py BUNDLE OUT.json [--sbom OUT.cdx.json]: BUNDLE is PyInstaller's folder `_internal`, with the program
beside it; the Python is the one of the environment that it was made in. Whose a file is, the records of pip and of dpkg
tell.
"""

import argparse
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import distribution, distributions
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

from PyInstaller.archive.readers import CArchiveReader
from sbom import write_sbom

from gateway.licences import Kind, Part, document, in_order, normal, of_distribution, vendored

PROGRAM = "onefleet"
"""What the program beside the bundle is called, and our own distribution."""

_OURS = re.compile(r"(core|gateway|protocols)/.*|libonefleet-.*|start")
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")
_ARCHITECTURE = sysconfig.get_config_var("MULTIARCH")
_SCRIPTS = ("PyInstaller/loader", "PyInstaller/hooks/rthooks", "_pyinstaller_hooks_contrib/rthooks", _STANDARD_LIBRARY)
_MODULES = "PYZ.pyz"
_PACKAGE, _NAMESPACE = 1, 3
"""Which of the modules in there are packages, and which of those have no file. Source: PyInstaller.loader.pyimod01_archive."""

_STATIC = ("libc6-dev", "libzstd-dev")
"""Whose static libraries the launcher, which comes before the bundle, is linked with."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is inside of a source package of Debian: its licence, and which of Debian's common texts that refers to."""

    licence: str
    common: str = ""


SOURCES: Mapping[str, Source] = {
    "bzip2": Source("bzip2-1.0.6"),
    "expat": Source("MIT"),
    "gcc-12": Source("GPL-3.0-or-later WITH GCC-exception-3.1", "GPL-3"),
    "glibc": Source("LGPL-2.1-or-later", "LGPL-2.1"),
    "libffi": Source("MIT"),
    "libzstd": Source("BSD-3-Clause OR GPL-2.0-only", "GPL-2"),
    "openssl": Source("Apache-2.0", "Apache-2.0"),
    "python3.11": Source("Python-2.0.1"),
    "sqlite3": Source("blessing"),
    "util-linux": Source("BSD-3-Clause"),
    "xz-utils": Source("LicenseRef-public-domain"),
    "zlib": Source("Zlib"),
}
"""Debian's copyright files tell it in words of their own, and of everything in the source, such as its commands.

Not here, so that it is refused: readline. It is GPL-3.0-or-later, and so would all have to be that is linked with it.
"""

DISTRIBUTIONS: Mapping[str, str] = {
    "pyinstaller": "GPL-2.0-or-later WITH Bootloader-exception",
    "pyinstaller-hooks-contrib": "Apache-2.0",
}
"""Licences of what is inside of distributions whose metadata tell them in words of their own."""


Owner = tuple[Kind, str]
"""A distribution of PyPI or a package of Debian, by name."""


def list_parts(bundle: Path) -> Sequence[Part]:
    """Return the parts of a bundle and of its launcher, in order.

    Exits if something in it belongs to no part, or if a part's licence is not known, and names what.
    """
    contents = [(name, paths) for name, paths in _contents(bundle) if not _OURS.fullmatch(name)]
    owners = _told_by_pip() | _told_by_dpkg({path for _, paths in contents for path in paths if path[0] == "/"})
    found = {name: next((owners[path] for path in paths if path in owners), None) for name, paths in contents}
    _refuse([name for name, owner in found.items() if owner is None], "belongs to no part")
    parts = in_order([*_of_owners(filter(None, found.values())), *vendored()])
    unknown = [part.name for part in parts if not part.licence and part.kind is not Kind.OURS]
    _refuse(unknown, "has no known licence: look it up, and add it to SOURCES or DISTRIBUTIONS")
    return parts


def _refuse(names: Collection[str], problem: str) -> None:
    if names:
        sys.exit("\n".join(f"parts.py: {name} {problem}" for name in sorted(names)))


# --- what is in the bundle: each with the paths that it may have come from, in site-packages or on the whole system


def _contents(bundle: Path) -> Iterator[tuple[str, Sequence[str]]]:
    for file in bundle.rglob("*"):
        name = str(file.relative_to(bundle))
        if file.suffix == ".zip":
            yield from map(_module, ZipFile(file).namelist())
        elif not file.is_dir():
            yield name, (name, f"/lib/{_ARCHITECTURE}/{name}", f"/usr/lib/{_ARCHITECTURE}/{name}", f"/usr/lib/{name}")
    program = CArchiveReader(str(bundle.parent / PROGRAM))
    for name in program.toc.keys() - {_MODULES}:
        yield name, [f"{folder}/{name}.py" for folder in _SCRIPTS]
    modules = program.open_embedded_archive(_MODULES).toc
    for module, (kind, *_) in modules.items():
        if kind != _NAMESPACE:
            yield _module(f"{module.replace('.', '/')}{'/__init__' if kind == _PACKAGE else ''}.pyc")


def _module(file: str) -> tuple[str, Sequence[str]]:
    source = f"{file.removesuffix('.pyc')}.py" if file.endswith(".pyc") else file
    return file, (source, f"{_STANDARD_LIBRARY}/{source}")


# --- whose it is


def _told_by_pip() -> Mapping[str, Owner]:
    return {str(file): (Kind.PYTHON, normal(each.name)) for each in distributions() for file in each.files or ()}


def _told_by_dpkg(paths: Collection[str]) -> dict[str, Owner]:
    # dpkg-query fails if it does not know one of them, which is for us to judge.
    command = ["dpkg-query", "--search", *sorted(paths)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"}).stdout
    lines = (line.rpartition(": ") for line in said.splitlines() if not line.startswith("diversion "))
    return {path: (Kind.DEBIAN, packages.partition(":")[0].partition(",")[0]) for packages, _, path in lines}


# --- what it is


def _of_owners(owners: Iterable[Owner]) -> Iterator[Part]:
    names: dict[Kind, set[str]] = {Kind.PYTHON: {PROGRAM}, Kind.DEBIAN: {*_STATIC}}
    for kind, name in owners:
        names[kind].add(name)
    for part in chain.from_iterable(of_distribution(distribution(name)) for name in names[Kind.PYTHON]):
        yield replace(part, licence=DISTRIBUTIONS.get(part.name, part.licence))
    yield from _of_debian(names[Kind.DEBIAN])


def _of_debian(packages: Collection[str]) -> Iterator[Part]:
    """Yield a part for each source package, since libraries of one source are one work."""
    texts: dict[tuple[str, str, str], dict[str, None]] = {}
    for package in sorted(packages):
        texts.setdefault(_source(package), {})[_read(f"/usr/share/doc/{package}/copyright")] = None
    for (name, version, homepage), copyrights in texts.items():
        source = SOURCES.get(name, Source(""))
        common = [_read(f"/usr/share/common-licenses/{source.common}")] if source.common else []
        page = homepage or f"https://tracker.debian.org/pkg/{name}"
        yield Part(name, version, source.licence, Kind.DEBIAN, homepage=page, texts=(*copyrights, *common))


def _source(package: str) -> tuple[str, str, str]:
    wanted = "${source:Package}\n${source:Version}\n${Homepage}\n\n"
    said = subprocess.run(["dpkg-query", "--show", f"--showformat={wanted}", package], capture_output=True, check=True)
    name, version, homepage, *_ = said.stdout.decode().split("\n")
    return name, version, homepage


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def main() -> None:
    """Carry out the command line."""
    parser = argparse.ArgumentParser(description="List the parts of a bundle.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sbom", type=Path)
    options = parser.parse_args()
    parts = list_parts(options.bundle)
    options.out.write_text(document(parts), encoding="utf-8")
    if options.sbom:
        write_sbom(parts, options.sbom)


if __name__ == "__main__":
    main()
