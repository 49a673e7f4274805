"""The images that machines are made of, each a folder under the data directory: its disk, and a note of what it is."""

import ctypes
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp

import orjson

from core.compute.qemu.diskimage import DiskFacts, UnusableImage, inspect_disk, read_header
from core.compute.site import ImageFiles, Site
from core.errors import CoreError

__all__ = ["DiskFacts", "ImageExists", "Library", "Manifest", "UnusableImage", "inspect_disk", "read_header"]

DISK, KERNEL, INITRD, MANIFEST = "disk.qcow2", "vmlinuz", "initrd", "image.json"
PACKAGES, FETCHING = ".packages", ".fetching"
"""Folders beside those of the images: what builds keep for the next time, and what has come of downloads."""

_DRAFT_PREFIX, _LOCK, _FINISHED = ".new-", ".lock", "finished"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644
_EXCHANGE = 2  # Source: renameat2(2), RENAME_EXCHANGE.
_AT_FDCWD = -100


class ImageExists(CoreError):
    """There is an image of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is an image {name} already; give another --name, or --replace it.")
        self.name = name


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an image is and where it came from.

    `sha256` is that of the file that was fetched, before it was unpacked or converted; empty for one that was built
    here. `source` has no secrets in it. `added_at` is as in ISO 8601, in UTC. `files` are all that belong to it.
    """

    name: str
    title: str
    format: str
    virtual_size_bytes: int
    least_disk_gib: int
    architecture: str
    platform: str
    default_user: str
    source: str
    added_at: str
    sha256: str = ""
    kernel_arguments: str = ""
    files: tuple[str, ...] = ()


class Library:
    """The images that a site has. It may be used by several processes at once.

    Nothing in it is secret: its files can be read by everybody who gets at them, since QEMU may run as another user.
    """

    def __init__(self, site: Site) -> None:
        self.folder = site.data_dir / "images"
        self._site = site

    def files(self, name: str) -> ImageFiles:
        """Return the files of an image: those that the configuration names, else those registered under the name.

        It is cheap, and yet sees that they are there, and that the disk is one to start machines from.

        Raises:
            UnusableImage: it is missing, unreadable, or no such disk.
        """
        found = self._site.images.get(name) or self._registered(name)
        for file in (found.disk, found.kernel, found.initrd):
            if file is not None and not os.access(file, os.R_OK):
                why = "cannot be read" if file.exists() else "is missing"
                raise UnusableImage(name, f"{file} {why}; {self._advice(name)}")
        try:
            read_header(found.disk)
        except UnusableImage as error:
            raise UnusableImage(name, f"{found.disk}: {error.why}") from error
        return found

    def any_with_kernel(self) -> ImageFiles | None:
        """Return the files of some image that boots a kernel of its own, if there is one."""
        for name in (*self._site.images, *self.names()):
            with suppress(UnusableImage):
                if (found := self.files(name)).kernel:
                    return found
        return None

    def names(self) -> Sequence[str]:
        """Return the names of the images that are registered, in order."""
        if not self.folder.is_dir():
            return []
        return sorted(entry.name for entry in self.folder.iterdir() if _NAME.fullmatch(entry.name) and entry.is_dir())

    def list(self) -> Sequence[Manifest]:
        """Return what is registered and can be read, by name."""
        found = []
        for name in self.names():
            with suppress(UnusableImage):
                found.append(self.manifest(name))
        return found

    def manifest(self, name: str) -> Manifest:
        """Return what a registered image is.

        Raises:
            UnusableImage: there is none of this name, or its note is damaged.
        """
        file = self._folder_of(name) / MANIFEST
        try:
            note = orjson.loads(file.read_bytes())
            return Manifest(**{**note, "files": tuple(note["files"])})
        except FileNotFoundError:
            raise UnusableImage(name, f"there is no image {name} in {self.folder}; {self._advice(name)}") from None
        except OSError as error:
            raise UnusableImage(name, f"{file}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise UnusableImage(name, f"{file} is damaged ({error}); {self._advice(name)}") from error

    def has(self, name: str) -> bool:
        """Return whether an image, usable or not, is registered under the name."""
        return self._folder_of(name).is_dir()

    # --- changing it

    @contextmanager
    def drafting(self) -> Iterator[Path]:
        """Yield a folder in which to prepare an image. It is removed in the end, by the next one after a crash.

        Raises:
            OSError: it cannot be made.
        """
        if not self.folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(_FOLDER_MODE)
        draft, descriptor = self._new_draft()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            os.close(descriptor)

    def register(self, draft: Path, files: ImageFiles, manifest: Manifest, *, is_replacing: bool = False) -> None:
        """Move the files, which are in the draft, to their place under the manifest's name: at once, or not at all.

        Machines that were made of a replaced image keep it.

        Raises:
            ImageExists: the name is taken, and it is not to be replaced.
            UnusableImage: the name or the disk is none.
            OSError: it cannot be written.
        """
        place, finished = self._folder_of(manifest.name), draft / _FINISHED
        read_header(files.disk)
        finished.mkdir(mode=_FOLDER_MODE)
        named = {DISK: files.disk, KERNEL: files.kernel, INITRD: files.initrd}
        belongings = {name: file for name, file in named.items() if file is not None}
        for name, file in belongings.items():
            file.rename(finished / name)
        note = asdict(manifest) | {"files": tuple(belongings), "kernel_arguments": files.kernel_arguments}
        (finished / MANIFEST).write_bytes(orjson.dumps(note, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        _publish(finished)
        if is_replacing and place.exists():
            _exchange(finished, place)
        else:
            _rename(finished, place, manifest.name)
        _sync(self.folder)

    def remove(self, name: str) -> None:
        """Remove a registered image. Machines that were made of it keep it.

        Raises:
            UnusableImage: there is none of this name.
            OSError: it cannot be removed.
        """
        if not self.has(name):
            raise UnusableImage(name, f"there is no image {name} in {self.folder}; `onefleet image list` shows all")
        with self.drafting() as draft:
            self._folder_of(name).rename(draft / name)
            _sync(self.folder)

    # --- how it is done

    def _registered(self, name: str) -> ImageFiles:
        manifest, folder = self.manifest(name), self._folder_of(name)
        kernel, initrd = (folder / file if file in manifest.files else None for file in (KERNEL, INITRD))
        return ImageFiles(folder / DISK, kernel, initrd, manifest.kernel_arguments)

    def _folder_of(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UnusableImage(name, f"{name!r} cannot be the name of an image: 1 to 64 letters, digits and . _ -")
        return self.folder / name

    def _advice(self, name: str) -> str:
        if name in self._site.images:
            return "put it there, or correct the image's files in config.toml"
        replacing = " --replace" if self.has(name) else ""
        return (
            f"`onefleet image add URL|FILE --name {name}{replacing}` or `onefleet image build` makes it; or name its"
            " disk in config.toml"
        )

    def _new_draft(self) -> tuple[Path, int]:
        """Return a new folder and a descriptor that holds its lock; remove those that nobody holds."""
        with (self.folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self.folder.glob(f"{_DRAFT_PREFIX}*"):
                _remove_if_abandoned(left)
            draft = Path(mkdtemp(prefix=_DRAFT_PREFIX, dir=self.folder))
            return draft, _held(draft)


def _held(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _remove_if_abandoned(draft: Path) -> None:
    with suppress(BlockingIOError, FileNotFoundError):
        descriptor = _held(draft)
        shutil.rmtree(draft, ignore_errors=True)
        os.close(descriptor)


def _publish(folder: Path) -> None:
    """Let everybody read what is in a folder, and see that it outlasts a power cut."""
    for file in folder.iterdir():
        file.chmod(_FILE_MODE)
        _sync(file)
    folder.chmod(_FOLDER_MODE)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(folder: Path, place: Path, name: str) -> None:
    try:
        folder.rename(place)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            raise ImageExists(name) from error
        raise


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places, so that at no moment one of them is missing. Python has no call for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))
