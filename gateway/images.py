"""What the image commands do, beside a running gateway or without one: it looks for images whenever it needs them."""

import argparse
import errno
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from platform import machine
from typing import Any

from core.catalogue import ImageEntry
from core.clock import SystemClock
from core.compute.qemu.diskimage import (
    QCOW2,
    DiskFacts,
    Tick,
    compression_of,
    convert,
    inspect_disk,
    read_header,
    unpack,
    write_sparsely,
)
from core.compute.qemu.fetching import (
    Checksum,
    Fetched,
    WrongChecksum,
    fetched,
    file_name,
    find_checksum,
    is_url,
    read_listing,
    without_secrets,
)
from core.compute.qemu.library import DISK, FETCHING, PACKAGES, ImageExists, Library, Manifest, UnusableImage
from core.compute.site import ImageFiles, Site
from gateway import kinds
from gateway.config import Settings
from gateway.datadir import make_private
from gateway.progress import Progress
from gateway.reading import Kind
from gateway.trouble import Trouble

_GIB, _MIB = 1024**3, 1024**2
_BLOCK_BYTES = 1024**2
_LONGEST_NAME = 64

Options = argparse.Namespace
Build = Callable[[Path, Callable[[str], None]], ImageFiles]


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image that can be built here, and what it is called."""

    build: Build
    title: str


def _micro(folder: Path, say: Callable[[str], None]) -> ImageFiles:
    from core.compute.qemu.building.micro import build_micro  # noqa: PLC0415  only what is built is needed

    return build_micro(folder, say)


def _debian(folder: Path, say: Callable[[str], None]) -> ImageFiles:
    from core.compute.qemu.building.debian import build_debian  # noqa: PLC0415  the same

    return build_debian(folder, say)


RECIPES: Mapping[str, Recipe] = {
    "micro": Recipe(_micro, "Micro test image"),
    "debian": Recipe(_debian, "Debian 12"),
}
"""What `onefleet image build` can build, by name."""

# The first of these words that is in a file's name tells. It is advice only: nothing depends on it.
_USERS = {
    "debian": "debian",
    "ubuntu": "ubuntu",
    "-cloudimg-": "ubuntu",
    "fedora": "fedora",
    "rocky": "rocky",
    "almalinux": "almalinux",
    "centos": "cloud-user",
    "arch-linux": "arch",
    "archlinux": "arch",
}
_ARCHITECTURES = {
    "amd64": "x86_64",
    "x86_64": "x86_64",
    "arm64": "arm64",
    "aarch64": "arm64",
    "i386": "i386",
    "i686": "i386",
}
_DISK_SUFFIXES = {".gz", ".xz", ".bz2", ".zst", ".qcow2", ".img", ".raw", ".vmdk", ".vhdx", ".vdi"}


# --- the commands


def add(settings: Settings, options: Options) -> str:
    """Register the disk image at a URL or in a file; return what the operator should know, as TOML with comments.

    Raises:
        Trouble, CoreError: it cannot be done; nothing is registered then.
    """
    checksum = _checksum_of(options)
    name = _fit("--name", kinds.name, options.name or _guessed_name(options.source))
    with _library(settings, options, name) as library, library.drafting() as draft:
        with _disk_at(options.source, library.folder / FETCHING, draft, checksum) as disk:
            facts = _prepare(disk.path, draft)
        source, architecture = _shown(options.source), _word_in(options.source, _ARCHITECTURES)
        manifest = _manifest(name, options, facts, source=source, architecture=architecture, sha256=disk.sha256)
        library.register(draft, ImageFiles(draft / DISK), manifest, is_replacing=options.replace)
    return _advice(settings, manifest, _user_in(options.source))


def build(settings: Settings, options: Options) -> str:
    """Build an image and register it; return what the operator should know, as TOML with comments.

    Raises:
        Trouble, CoreError: it cannot be done; nothing is registered then.
    """
    recipe, name = RECIPES[options.recipe], _fit("--name", kinds.name, options.name or options.recipe)
    with _library(settings, options, name) as library, library.drafting() as draft:
        packages = library.folder / PACKAGES
        packages.mkdir(exist_ok=True)
        (draft / PACKAGES).symlink_to(packages)  # builders keep packages beside what they build
        files = recipe.build(draft / "built", _say)
        facts = inspect_disk(files.disk)
        source, architecture = f"onefleet image build {options.recipe}", _ARCHITECTURES.get(machine(), "")
        manifest = _manifest(name, options, facts, source=source, architecture=architecture, title=recipe.title)
        library.register(draft, files, manifest, is_replacing=options.replace)
    return _advice(settings, manifest, "")


def remove(settings: Settings, options: Options) -> str:
    """Remove a registered image; return what the operator should know.

    Raises:
        Trouble, CoreError: it cannot be done.
    """
    library = Library(settings.site)
    with _telling(library):
        library.remove(options.name)
    if _entry(settings, options.name) is None or options.name in settings.image_files:
        return f"removed {options.name}\n"
    return f"removed {options.name}; config.toml still names it, and machines cannot be launched from it any more\n"


VERBS: Mapping[str, Callable[[Settings, Options], str]] = {"add": add, "build": build, "remove": remove}
"""The commands that change something, by their words."""


def listed(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """Return all images that are registered or that the configuration names, by name, each with what is wrong with it.

    Sizes are in bytes; that of a disk is 0 if it is unknown.

    Raises:
        Trouble: the data directory cannot be read.
    """
    library = Library(settings.site)
    with _telling(library):
        names = {*library.names(), *(image.name for image in settings.catalogue.images)}
        return [_told(settings, library, name) for name in sorted(names)]


# --- what is added


def _checksum_of(options: Options) -> Checksum | None:
    if options.sha256 and options.sha256sums:
        raise Trouble("--sha256 and --sha256sums say the same thing: give one of them")
    if options.sha256:
        return Checksum.read(options.sha256)
    if options.sha256sums:
        return find_checksum(read_listing(options.sha256sums), file_name(options.source))
    return None


def _guessed_name(source: str) -> str:
    """Return what a file's name makes as that of an image."""
    name = Path(file_name(source))
    while name.suffix.lower() in _DISK_SUFFIXES:
        name = name.with_suffix("")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name.name).lstrip("._-")[:_LONGEST_NAME]


def _fit(option: str, kind: Kind[str], value: str) -> str:
    """Return the value if config.toml could have it."""
    try:
        return kind(value)
    except ValueError as error:
        raise Trouble(f"{option}: {error}") from error


def _word_in(source: str, words: Mapping[str, str]) -> str:
    name = file_name(source).lower()
    return next((meaning for word, meaning in words.items() if word in name), "")


def _user_in(source: str) -> str:
    return _word_in(source, _USERS)


def _shown(source: str) -> str:
    return without_secrets(source) if is_url(source) else str(Path(source).resolve())


@contextmanager
def _library(settings: Settings, options: Options, name: str) -> Iterator[Library]:
    """Yield the library, in a data directory that is closed to others, if it may take such an image."""
    _fit("--title", kinds.line, options.title or name)
    _fit("--default-user", kinds.name, options.default_user)
    os.umask(0o022)  # images hold nothing secret, and those that are built must not have the modes of what does
    library = Library(settings.site)
    with _telling(library):
        if library.has(name) and not options.replace:
            raise ImageExists(name)
        make_private(settings.server.data_dir)
        yield library


_ADVICE = {
    errno.ENOSPC: "free some space and give the same command again; what was fetched is kept",
    errno.EACCES: "run onefleet as the owner of the data directory",
    errno.EPERM: "run onefleet as the owner of the data directory",
    errno.EINVAL: "its file system cannot exchange folders: remove the image first, then add it",
}


@contextmanager
def _telling(library: Library) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = f"; {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""
        raise Trouble(f"{error.filename or library.folder}: {error.strerror}{advice}") from error


@contextmanager
def _disk_at(source: str, folder: Path, draft: Path, checksum: Checksum | None) -> Iterator[Fetched]:
    """Yield the file that a URL or a path names, under its own name in the draft."""
    (draft / "from").mkdir()
    ours = draft / "from" / (file_name(source) or "disk")
    if is_url(source):
        with _showing("fetching", ours.name) as tick, fetched(source, folder, tick, checksum=checksum) as disk:
            tick.end()
            os.link(disk.path, ours)
            yield Fetched(ours, disk.sha256)
    else:
        with _showing("reading", ours.name) as tick:
            copy = _copied(Path(source), ours, checksum, tick)
        yield copy


def _copied(source: Path, copy: Path, checksum: Checksum | None, tick: Tick) -> Fetched:
    if not source.is_file():
        raise Trouble(f"{source}: there is no such file; a URL begins with https:// or http://")
    hashes = {name: hashlib.new(name) for name in {"sha256", checksum.algorithm if checksum else "sha256"}}
    with source.open("rb") as file, copy.open("xb") as out:
        total = source.stat().st_size
        while block := file.read(_BLOCK_BYTES):
            write_sparsely(out, block)
            for each in hashes.values():
                each.update(block)
            tick(file.tell(), total)
        out.truncate()
    if checksum is not None and (found := hashes[checksum.algorithm].hexdigest()) != checksum.digits:
        raise WrongChecksum(f"{source}: its {checksum.algorithm} is {found}, and {checksum.digits} was expected")
    return Fetched(copy, hashes["sha256"].hexdigest())


def _prepare(source: Path, draft: Path) -> DiskFacts:
    """Make the image's disk in the draft out of the file, which is moved away if it is fit as it is."""
    if compression_of(source):
        with _showing("unpacking", "the disk") as tick:
            unpack(source, draft / "unpacked", tick)
        source = draft / "unpacked"
    facts = inspect_disk(source)
    if facts.format == QCOW2:
        source.rename(draft / DISK)
        return facts
    with _showing("converting", f"the disk from {facts.format}") as tick:
        convert(source, facts, draft / DISK, tick)
    return inspect_disk(draft / DISK)


def _manifest(
    name: str,
    options: Options,
    facts: DiskFacts,
    *,
    source: str,
    architecture: str,
    title: str = "",
    sha256: str = "",
) -> Manifest:
    return Manifest(
        name=name,
        title=options.title or title or name,
        format=QCOW2,
        virtual_size_bytes=facts.virtual_size_bytes,
        least_disk_gib=-(-facts.virtual_size_bytes // _GIB),
        architecture=options.architecture or architecture or "x86_64",
        platform=options.platform,
        default_user=options.default_user,
        source=source,
        added_at=f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}",
        sha256=sha256,
    )


# --- what is told


@contextmanager
def _showing(verb: str, name: str) -> Iterator[Progress]:
    progress = Progress(verb, name, sys.stderr, is_terminal=sys.stderr.isatty())
    try:
        yield progress
    finally:
        progress.end()


def _say(step: str) -> None:
    sys.stderr.write(f"{step}\n")
    sys.stderr.flush()


def _entry(settings: Settings, name: str) -> ImageEntry | None:
    return next((image for image in settings.catalogue.images if image.name == name), None)


def _advice(settings: Settings, manifest: Manifest, user: str) -> str:
    """Return what to do now. All of it is TOML, so that it can be appended to the configuration as it is."""
    name, least_gib = manifest.name, manifest.least_disk_gib
    used_mib = _used_by(Library(Site(settings.server.data_dir)).files(name)) / _MIB
    lines = [f"# {name} is registered: it takes up {used_mib:.1f} MiB, for disks of {least_gib} GiB or more."]
    entry = _entry(settings, name)
    if entry is None:
        lines.append("# Put this into config.toml, name it in [[products]], and start the gateway again:")
        lines += _block(manifest)
    elif name in settings.image_files:
        lines.append(f"# config.toml gives {name} another disk, which goes before this one: take that out of there.")
    else:
        lines.append("# config.toml names it already: machines that are launched from now on are made of it.")
    if entry is not None and entry.least_disk_gib < least_gib:
        lines.append(f"# Its min_disk_gib there should be {least_gib}.")
    if user and user != manifest.default_user:
        made = f"{manifest.default_user} is made at each machine's first boot"
        lines.append(f"# Its own user is probably {user}; {made}.")
    return "".join(f"{line}\n" for line in lines)


def _block(manifest: Manifest) -> Sequence[str]:
    """Return the image as config.toml has it; what is as by default there is left out."""
    keys = {
        "architecture": (manifest.architecture, "x86_64"),
        "platform": (manifest.platform, "linux"),
        "default_user": (manifest.default_user, "renter"),
    }
    told = [f'{key} = "{value}"' for key, (value, default) in keys.items() if value != default]
    title = manifest.title.replace("\\", "\\\\").replace('"', '\\"')
    least = f"min_disk_gib = {manifest.least_disk_gib}"
    return ["", "[[images]]", f'name = "{manifest.name}"', f'title = "{title}"', *told, least]


def _told(settings: Settings, library: Library, name: str) -> Mapping[str, Any]:
    files, trouble = _files(library, name)
    manifest = None if name in settings.image_files else next((m for m in library.list() if m.name == name), None)
    return {
        "name": name,
        "is_configured": _entry(settings, name) is not None,
        "is_registered": library.has(name),
        "disk": str(files.disk) if files else "",
        "disk_bytes": read_header(files.disk).virtual_size_bytes if files else 0,
        "used_bytes": _used_by(files) if files else 0,
        "architecture": manifest.architecture if manifest else "",
        "source": manifest.source if manifest else "",
        "sha256": manifest.sha256 if manifest else "",
        "added_at": manifest.added_at if manifest else "",
        "trouble": trouble,
    }


def _files(library: Library, name: str) -> tuple[ImageFiles | None, str]:
    try:
        return library.files(name), ""
    except UnusableImage as error:
        return None, error.why


def _used_by(files: ImageFiles) -> int:
    """Return how many bytes of the host's disk the files take up, which is less than their size if they have holes."""
    return sum(file.stat().st_blocks * 512 for file in (files.disk, files.kernel, files.initrd) if file is not None)
