"""Installs the gateway as a service of systemd: its user, its folders, its configuration and its units.

All of it may be done again: what is there stays, what is ours and out of date is replaced, and what a person has edited
is left alone.
"""

import hashlib
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.compute.qemu.settings import QemuSettings
from gateway import config
from gateway.config import Settings
from gateway.kinds import Endpoint
from gateway.trouble import Trouble
from gateway.units import BACKUPS, CACHE, SERVICE, SOCKET, STATE, TIMER, Deployment, Way, units

UNITS = Path("/etc/systemd/system")
_PRIVATE, _OPEN = 0o700, 0o755
_MARK = "# Written by `onefleet service install`; to change it: systemctl edit. sha256:"
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  the service sees none of them
_KVM_GROUP = "kvm"
_NO_VARIABLES: Mapping[str, str] = {}
"""The service does not have those of the shell that installs it."""

_DATA_DIR = re.compile(r'^data_dir = ".*"$', re.MULTILINE)


class Outcome(StrEnum):
    """What was done about something that the service needs."""

    MADE = "made"
    REPLACED = "replaced"
    KEPT = "kept"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done about a file, a folder or a user."""

    outcome: Outcome
    what: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be installed: paths are those that the service will see, whatever `root` they are written below.

    What a person has edited is replaced if it `is_forced`.
    """

    program: Path
    config: Path
    user: str
    root: Path = Path("/")
    is_forced: bool = False

    def place(self, path: Path) -> Path:
        """Return where a path of the service lies for us."""
        return self.root / path.relative_to("/")


@dataclass(frozen=True, slots=True)
class Installation:
    """What was done, what the operator should see to, and the commands to go on with, each with what it is for."""

    deeds: Sequence[Deed]
    warnings: Sequence[str]
    next_commands: Sequence[tuple[str, str]]


def install(wish: Wish) -> Installation:
    """Install the service; nothing is started.

    Raises:
        Trouble, ConfigError: it cannot be done. What was made until then stays, and the next try goes on from there.
    """
    if wish.root == Path("/") and os.geteuid() != 0:
        raise Trouble("only root can install a service: sudo onefleet service install")
    try:
        deeds = [_configuration(wish)]
        place = _deployment(wish, config.load(wish.place(wish.config), _NO_VARIABLES))
        deeds += _users(wish, place)
        deeds += _folders(wish, place)
        deeds += [_unit(wish, name, text) for name, text in units(place).items()]
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from error
    return Installation(deeds, [*_warnings(wish, place)], _next_commands(deeds))


# --- the configuration


def _configuration(wish: Wish) -> Deed:
    file = wish.place(wish.config)
    if file.exists():
        return Deed(Outcome.KEPT, str(file))
    text, count = _DATA_DIR.subn(f'data_dir = "{STATE}"', config.reference())
    assert count == 1, "the reference names one data directory"
    _make_folders(file.parent)
    _write(file, text)
    return Deed(Outcome.MADE, str(file))


def _deployment(wish: Wish, settings: Settings) -> Deployment:
    return Deployment(
        program=wish.program,
        config=wish.config,
        data_dir=_seen_by_service(wish, settings.server.data_dir),
        database_dir=_seen_by_service(wish, settings.storage.path.parent),
        user=wish.user,
        addresses=_addresses(settings.server.listen),
        shutdown_seconds=settings.server.shutdown_seconds,
        way=_way(settings),
        machine_user=_machine_user(settings),
    )


def _seen_by_service(wish: Wish, path: Path) -> Path:
    """Return how the service will see a path; a relative one of the configuration was found below the root."""
    return Path("/") / path.relative_to(wish.root) if path.is_relative_to(wish.root) else path


def _addresses(listen: Endpoint) -> Sequence[str]:
    """Return what the service manager is to listen on. It takes no names.

    Raises:
        Trouble: the port is any free one, or nobody knows the name.
    """
    if listen.port == 0:
        raise Trouble(f"server.listen: {listen}: a service needs a port of its own: name one, such as 8080")
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Trouble(f"server.listen: {listen}: {error.strerror}: name an address") from error
    return list(dict.fromkeys(str(Endpoint(str(address[0]), listen.port)) for *_, address in found))


def _way(settings: Settings) -> Way:
    driver = settings.compute.driver_settings
    if isinstance(driver, QemuSettings):
        return Way.ROUTED if driver.network == "routed" else Way.QEMU
    return Way.SIMULATED


def _machine_user(settings: Settings) -> str:
    driver = settings.compute.driver_settings
    return driver.user if isinstance(driver, QemuSettings) else ""


# --- users and folders


def _users(wish: Wish, place: Deployment) -> Iterator[Deed]:
    """Make the system users and groups that are missing."""
    if place.way is Way.QEMU:
        yield _account(wish, "group", _KVM_GROUP)
    yield _account(wish, "user", wish.user)
    if place.way is Way.ROUTED:
        yield _account(wish, "user", place.machine_user)


def _account(wish: Wish, kind: str, name: str) -> Deed:
    what = f"the {kind} {name}"
    file = wish.place(Path("/etc/passwd" if kind == "user" else "/etc/group"))
    if f"\n{name}:" in "\n" + (file.read_text() if file.exists() else ""):
        return Deed(Outcome.KEPT, what)
    line = f'u {name} - "Onefleet" {STATE}' if kind == "user" else f"g {name} -"
    if shutil.which("systemd-sysusers"):
        _run("systemd-sysusers", f"--root={wish.root}", "--inline", line)
    elif kind == "user":
        home = ("--home-dir", str(STATE), "--shell", "/usr/sbin/nologin")
        _run("useradd", "--prefix", str(wish.root), "--system", "--user-group", *home, name)
    else:
        _run("groupadd", "--prefix", str(wish.root), "--system", name)
    return Deed(Outcome.MADE, what)


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  no shell
    except FileNotFoundError:
        raise Trouble(f"there is no {words[0]} on this host: make the user {words[-1]} by hand") from None
    if done.returncode:
        raise Trouble(f"{' '.join(words)}: {' '.join(done.stderr.split())}")


def _folders(wish: Wish, place: Deployment) -> Iterator[Deed]:
    for path in (place.data_dir, CACHE, BACKUPS):
        folder = wish.place(path)
        if folder.exists():
            yield Deed(Outcome.KEPT, f"{folder}/")
            continue
        _make_folders(folder)
        folder.chmod(_PRIVATE)
        _give(wish, folder, place.runs_as)
        yield Deed(Outcome.MADE, f"{folder}/")


def _make_folders(path: Path) -> None:
    """Make a folder and what is missing above it, for everybody to pass."""
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(_OPEN)


def _give(wish: Wish, path: Path, user: str) -> None:
    """Give a folder to a user of the tree. Who is not root cannot, and leaves that to the service manager."""
    if os.geteuid() == 0:
        os.chown(path, *_ids(wish, user))


def _ids(wish: Wish, user: str) -> tuple[int, int]:
    if user == "root":
        return 0, 0
    if wish.root == Path("/"):
        entry = pwd.getpwnam(user)
        return entry.pw_uid, entry.pw_gid
    lines = wish.place(Path("/etc/passwd")).read_text().splitlines()
    fields = next(line.split(":") for line in lines if line.startswith(f"{user}:"))
    return int(fields[2]), int(fields[3])


# --- units


def _unit(wish: Wish, name: str, text: str) -> Deed:
    file = wish.place(UNITS / name)
    wanted = _marked(text)
    found = file.read_text() if file.exists() else None
    if found == wanted:
        return Deed(Outcome.KEPT, str(file))
    if found is not None and not _is_ours(found) and not wish.is_forced:
        return Deed(Outcome.EDITED, str(file))
    _make_folders(file.parent)
    _write(file, wanted)
    return Deed(Outcome.MADE if found is None else Outcome.REPLACED, str(file))


def _marked(text: str) -> str:
    """Return a unit's text under a line by which it is known again as long as nobody edits it."""
    return f"{_MARK}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def _is_ours(found: str) -> bool:
    return found == _marked(found.partition("\n")[2])


def _write(file: Path, text: str) -> None:
    """Write a file for everybody to read, whole or not at all."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(text)
    draft.chmod(0o644)
    draft.rename(file)


# --- what is told


def _warnings(wish: Wish, place: Deployment) -> Iterator[str]:
    for path in _needed_to_start(place):
        if hidden := _hidden(path):
            yield (
                f"{path} is below {hidden}, where the service cannot reach it: install -m 755 dist/onefleet"
                " /usr/local/bin/onefleet, and give this command again with that"
            )
    data_dir = wish.place(place.data_dir)
    if os.geteuid() == 0 and data_dir.stat().st_uid != _ids(wish, place.runs_as)[0]:
        yield f"{data_dir} is not {place.runs_as}'s, whom the service runs as: chown -R {place.runs_as}: {data_dir}"


def _needed_to_start(place: Deployment) -> Sequence[Path]:
    """Return the program, and what runs it if that is not itself."""
    is_single = getattr(sys, "frozen", False)
    return [place.program] if is_single else [place.program, Path(sys.executable).resolve()]


def _hidden(path: Path) -> str:
    """Return the folder that keeps others from a file; empty if none does."""
    for folder in reversed(path.parents):
        if str(folder) in _HIDDEN or (folder.exists() and not folder.stat().st_mode & stat.S_IXOTH):
            return str(folder)
    return ""


def _next_commands(deeds: Sequence[Deed]) -> Sequence[tuple[str, str]]:
    replaced = [Path(deed.what).name for deed in deeds if deed.outcome is Outcome.REPLACED]
    restarted = " ".join(name for name in (SOCKET, SERVICE) if name in replaced)
    return [
        ("systemctl daemon-reload", "systemd reads the units"),
        *([(f"systemctl try-restart {restarted}", "what runs takes it on")] if restarted else []),
        (f"systemctl enable --now {SOCKET} {SERVICE}", "start, now and with the host"),
        ("journalctl -u onefleet", "the first start tells the first API key here"),
        (f"systemctl enable --now {TIMER}", f"a backup every day, in {BACKUPS}"),
    ]
