"""Whether machines could be run on this host: what the driver needs to start, and what `onefleet check` tells."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from core.compute.qemu import accelerator, limits
from core.compute.qemu.library import Library, UnusableImage
from core.compute.qemu.network import shortcomings
from core.compute.qemu.process import user_named
from core.compute.qemu.settings import QemuSettings, require_wires
from core.compute.site import Sight, Site

OLDEST = (7, 1)
"""The first QEMU that makes PNGs of screens."""

_VERSION = re.compile(r"version (\d+)\.(\d+)")
_PATIENCE_SECONDS = 20
_Look = Callable[[QemuSettings, Site], Iterator[str]]
_HELPERS = {"qemu-img": "qemu-utils", "socat": "socat"}


def require_program(binary: str) -> str:
    """Return what QEMU is here, in words. It runs programs.

    Raises:
        ValueError: QEMU or a program that goes with it is missing, or QEMU is too old; the text says what to do.
    """
    missing = {name: package for name, package in _HELPERS.items() if shutil.which(name) is None}
    if shutil.which(binary) is None:
        missing = {binary: "qemu-system-x86", **missing}
    if missing:
        packages = " ".join(missing.values())
        raise ValueError(f"there is no {', '.join(missing)} on this host; on Debian: apt-get install {packages}")
    said = _said_by(binary)
    version = _VERSION.search(said)
    if version is None:
        raise ValueError(f"{binary} --version says {said[:80]!r}, which is not QEMU")
    if tuple(map(int, version.groups())) < OLDEST:
        raise ValueError(f"QEMU is of {version[0]}, and {OLDEST[0]}.{OLDEST[1]} is the oldest that will do: upgrade it")
    return f"QEMU {version[1]}.{version[2]}"


def require_network(settings: QemuSettings, site: Site) -> str:
    """Return how machines are connected, in words.

    Raises:
        ValueError: the host cannot do it, or what is sold cannot be had with it; the text says what to do.
    """
    require_wires(settings, site)
    if settings.network == "user":
        return "Machines are reached by ssh through ports of this host, and reach nothing"
    if missing := shortcomings():
        raise ValueError(" ".join(missing))
    return "Machines are on wires that this host routes and guards"


def look(settings: QemuSettings, site: Site) -> Sequence[Sight]:
    """Return how this host is, part by part. See `DriverKind.look`."""
    looks: Sequence[_Look] = (*_LOOKS, *(partial(_image, name) for name in site.on_sale))
    # What is wrong may be met twice: whom machines run as also counts when KVM is tried out.
    return list(dict.fromkeys(sight for each in looks for sight in _sights(each, settings, site)))


def _sights(look_at: _Look, settings: QemuSettings, site: Site) -> Iterator[Sight]:
    try:
        for text in look_at(settings, site):
            yield Sight(is_ok=True, text=text)
    except ValueError as error:
        yield Sight(is_ok=False, text=str(error))


def _program(settings: QemuSettings, _: Site) -> Iterator[str]:
    yield require_program(settings.binary)


def _user(settings: QemuSettings, _: Site) -> Iterator[str]:
    user = user_named(settings.user)
    same = ": the gateway's own, so a guest that broke out of QEMU could read its data" if user.is_ourselves else ""
    yield f"Machines run as {user.name}{same}"


def _network(settings: QemuSettings, site: Site) -> Iterator[str]:
    yield require_network(settings, site)


def _accelerator(settings: QemuSettings, site: Site) -> Iterator[str]:
    if shutil.which(settings.binary):
        sample, user = Library(site).any_with_kernel(), user_named(settings.user)
        chosen = asyncio.run(accelerator.choose(settings.binary, settings.accelerator, sample, user=user))
        if settings.accelerator == accelerator.KVM and not chosen.is_as_wished:
            raise ValueError(f"{chosen.why} Set compute.qemu.accelerator to auto, or mend that.")
        yield chosen.why


def _limits(_: QemuSettings, __: Site) -> Iterator[str]:
    yield limits.found().notice or "Machines are held to their memory and processors by cgroups"


def _image(name: str, _: QemuSettings, site: Site) -> Iterator[str]:
    try:
        yield f"Image {name}: {Library(site).files(name).disk}"
    except UnusableImage as error:
        raise ValueError(f"Image {name}: {error.detail}") from error


def _said_by(binary: str) -> str:
    try:
        return subprocess.run(  # noqa: S603  the operator's own setting
            [binary, "--version"], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{binary} --version: {error}") from error


_LOOKS: Sequence[_Look] = (
    _program,
    _user,
    _network,
    _accelerator,
    _limits,
)
