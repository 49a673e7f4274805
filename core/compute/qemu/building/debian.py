"""Debian as its users know it, with systemd, OpenSSH and cloud-init, installed by mmdebstrap.

It boots the same kernel and initrd as the micro guest, which spares it a boot loader and a partition table.
"""

import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

from core.compute.qemu.building import filesystem, kernel
from core.compute.qemu.building.filesystem import lay, write_disk
from core.compute.qemu.building.kernel import image_files, unpack, write_kernel
from core.compute.qemu.building.workshop import BuildFailed, appearing, demand, run
from core.compute.site import ImageFiles

TOOLS: Mapping[str, str] = {"mmdebstrap": "mmdebstrap", **kernel.TOOLS, **filesystem.TOOLS}
"""The commands that `build_debian` needs, and the Debian packages that have them."""

_TOOLS_OF_OTHERS: Mapping[str, str] = {"newuidmap": "uidmap"}  # mmdebstrap needs it where it is not root

_PACKAGES = (
    *("systemd-sysv", "systemd-resolved", "systemd-timesyncd", "udev", "dbus", "libpam-systemd", "kmod"),
    *("cloud-init", "cloud-guest-utils", "netplan.io", "openssh-server", "sudo", "ca-certificates"),
    *("curl", "wget", "iproute2", "iputils-ping", "procps", "less", "nano"),
)
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_LEFT_IN = ("/usr/share/doc/*/copyright",)
# Each machine makes its own; and what mmdebstrap told apt and dpkg is not for the machine.
_REMOVED = (
    *("etc/ssh/ssh_host_*", "etc/hostname", "var/log/*.log", "var/log/apt/*"),
    *("etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"),
    # It looks for snapshots of LVM, which the image has not, half a minute long without KVM.
    "etc/systemd/system/*/e2scrub_reap.service",
)
_DEBIAN_TARGETS = ("--format", "$(ORIGIN)|$(CODENAME)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
_DISK_MIB = 2048


@dataclass(frozen=True, slots=True)
class _Suite:
    name: str
    sources: Sequence[str]


def build_debian(folder: Path, say: Callable[[str], None]) -> ImageFiles:
    """Build Debian as `disk.qcow2`, `vmlinuz` and `initrd` in a new folder, and return the files.

    It is the Debian that this host's apt has. Packages of the kernel are kept in `.packages` beside the folder for the
    next time. Each step is told to `say`; all take two minutes.

    Raises:
        BuildFailed: something is missing or a command failed; the folder is then not there.
    """
    demand(TOOLS if os.geteuid() == 0 else {**TOOLS, **_TOOLS_OF_OTHERS})
    suite = _suite()
    with appearing(folder) as draft, TemporaryDirectory(prefix=".debian.", dir=folder.parent) as scratch:
        say("fetching and unpacking the kernel (30 MB at most)")
        unpacked = unpack((), folder.parent / ".packages", Path(scratch))
        say("writing the kernel and its initrd")
        write_kernel(unpacked, draft)
        say(f"installing Debian {suite.name} (100 MB to fetch; about two minutes)")
        archive, tree = Path(scratch, "debian.tar"), Path(scratch, "tree")
        _install(suite, unpacked.modules, archive)
        say("writing the disk")
        owners = _extract(archive, tree)
        archive.unlink()
        _furnish(tree)
        write_disk(tree, draft / "disk.qcow2", size_mib=_DISK_MIB, owners=owners)
    return image_files(folder)


def _suite() -> _Suite:
    """Return the release of Debian that this host's apt installs, with its updates."""
    targets = [line.split("|") for line in run(["apt-get", "indextargets", *_DEBIAN_TARGETS]).splitlines()]
    names = [codename for origin, codename, _ in targets if origin == "Debian" and codename.isalpha()]
    if not names:
        raise BuildFailed("This host's apt has no release of Debian at hand. Perhaps: sudo apt-get update")
    return _Suite(names[0], [line for origin, codename, line in targets if _belongs(origin, codename, names[0])])


def _belongs(origin: str, codename: str, suite: str) -> bool:
    return origin == "Debian" and codename in {suite, f"{suite}-updates", f"{suite}-security"}


def _install(suite: _Suite, modules: Path, archive: Path) -> None:
    options = [
        *("--variant=apt", f"--include={','.join(_PACKAGES)}"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(f"--dpkgopt=path-include={pattern}" for pattern in _LEFT_IN),
        f"--customize-hook=copy-in {quote(str(modules.parent))} /usr/lib",
        f'--customize-hook=chroot "$1" depmod {quote(modules.name)}',
    ]
    run(["mmdebstrap", "--quiet", *options, suite.name, archive, *suite.sources])


def _extract(archive: Path, tree: Path) -> Mapping[str, tuple[int, int]]:
    """Unpack a system, but for its devices, and return those files that are not root's: only root can make them so."""
    with tarfile.open(archive) as tar:
        members = [member for member in tar if not member.isdev()]
        tar.extraction_filter = lambda member, _: member  # Python 3.11.2, which is Debian 12's, has no argument for it
        tar.extractall(tree, members)  # noqa: S202  it was written here a moment ago
    return {f"/{each.name.removeprefix('./')}": (each.uid, each.gid) for each in members if each.uid or each.gid}


def _furnish(tree: Path) -> None:
    for pattern in _REMOVED:
        for path in tree.glob(pattern):
            path.unlink()
    # The capability by which all may use it is lost: only root could unpack that.
    (tree / "usr" / "bin" / "ping").chmod(0o4755)
    lay("debian", tree)
