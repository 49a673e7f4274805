"""What `onefleet doctor` does: look at everything that could keep the gateway from working well, and say what to do."""

import ctypes
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from core.booking import PortRange
from core.storage.copies import require_sound, schema_of
from core.storage.migrate import IncompatibleDatabase, migrations
from core.storage.survey import Survey, survey
from gateway.config import Settings
from gateway.control import Refused, ask
from gateway.datadir import holder_of
from gateway.inspection import inspect
from gateway.swap import PLAN_FILE


class Grade(StrEnum):
    """How bad a finding is: only a problem keeps the gateway from its work, now or soon."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found of a part, and what to do about it; nothing is to be done where it is well."""

    part: str
    grade: Grade
    text: str
    advice: str = ""


Look = Callable[[Settings], Iterator[Diagnosis]]

_MIB, _GIB = 1024**2, 1024**3
_FULL_BYTES, _SCARCE_BYTES, _SCARCE_SHARE = 100 * _MIB, _GIB, 0.05
_LARGE_LOG_BYTES = _GIB
_AHEAD = timedelta(seconds=5)
_SOON = timedelta(days=30)
_PORTS_NAMED = 5
_OTHERS = 0o077
_LISTENING = "0A"  # Source: Linux, include/net/tcp_states.h
_UNSYNCHRONISED = 0x0040  # STA_UNSYNC. Source: adjtimex(2)
_PROC = Path("/proc")

_ADVICE: Mapping[str, str] = {
    "data": "Run onefleet as the owner of the directory, or name another one as [server] data_dir.",
    "key file": "Put the right file back from your backup, readable by its owner only.",
    "database": "Stop the gateway, and put a backup back: onefleet restore FILE --force.",
    "address": "Stop what listens there (`ss -ltnp` tells who), or change [server] listen.",
    "tls": "Name a PEM certificate chain and its unencrypted key in [server.tls].",
    "driver": "Mend that, and see docs/machines.md for what the driver needs.",
}
"""What to do about what `onefleet check` finds, by part."""


def diagnose(settings: Settings, file: Path) -> Sequence[Diagnosis]:
    """Return how every part is. Nothing is changed, whether a gateway runs or not; it may take some seconds."""
    checked = [
        Diagnosis(found.part, Grade.OK, found.text)
        if found.is_ok
        else Diagnosis(found.part, Grade.PROBLEM, found.text, _ADVICE.get(found.part, ""))
        for found in inspect(settings, file)
    ]
    found = [*checked, *(each for look in _LOOKS for each in look(settings))]
    parts = list(dict.fromkeys(each.part for each in found))
    return sorted(found, key=lambda each: parts.index(each.part))


# --- what is kept


def _data(settings: Settings) -> Iterator[Diagnosis]:
    path = settings.server.data_dir
    if path.is_dir() and (mode := path.stat().st_mode) & _OTHERS:
        text = f"{path} is open to other users (mode {mode & 0o777:04o})"
        yield Diagnosis("data", Grade.WARNING, text, f"chmod 700 {path}")
    if (path / PLAN_FILE).exists():
        advice = "Give the same `onefleet restore` again, or start the gateway: either completes it."
        yield Diagnosis("data", Grade.WARNING, "a restore was interrupted", advice)


def _database(settings: Settings) -> Iterator[Diagnosis]:
    path = settings.storage.path
    if not path.exists():
        return
    try:
        require_sound(path, is_thorough=False)
    except IncompatibleDatabase as error:
        yield Diagnosis("database", Grade.PROBLEM, str(error), _ADVICE["database"])
        return
    log = Path(f"{path.resolve()}-wal")
    log_bytes = log.stat().st_size if log.exists() else 0
    text = f"every page is sound; {path.stat().st_size / _MIB:.1f} MiB, and {log_bytes / _MIB:.1f} MiB of log"
    if log_bytes < _LARGE_LOG_BYTES:
        yield Diagnosis("database", Grade.OK, text)
    else:
        advice = f"Some program holds an old state of it open: `fuser {path}` tells which; end what is not Onefleet."
        yield Diagnosis("database", Grade.WARNING, text, advice)


def _disk(settings: Settings) -> Iterator[Diagnosis]:
    folders = {_nearest(path) for path in (settings.server.data_dir, settings.storage.path.parent)}
    by_device = {folder.stat().st_dev: folder for folder in folders}
    for folder in by_device.values():
        usage = shutil.disk_usage(folder)
        yield judge_disk(folder, usage.free, usage.total)


def judge_disk(folder: Path, free_bytes: int, total_bytes: int) -> Diagnosis:
    """Return how a disk is that has so much free of so much."""
    text = f"{free_bytes / _GIB:.1f} of {total_bytes / _GIB:.1f} GiB are free for {folder}"
    if free_bytes < _FULL_BYTES:
        advice = "Free some space now: without it, nothing can be booked or changed."
        return Diagnosis("disk", Grade.PROBLEM, text, advice)
    if free_bytes < _SCARCE_BYTES or free_bytes < total_bytes * _SCARCE_SHARE:
        return Diagnosis("disk", Grade.WARNING, text, "Free some space, or move the data to a larger disk.")
    return Diagnosis("disk", Grade.OK, text)


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.is_dir())


# --- the time


def _clock(settings: Settings) -> Iterator[Diagnosis]:
    now = datetime.now(UTC)
    newest = _surveyed(settings.storage.path).newest
    if newest is not None and newest > now + _AHEAD:
        text = f"it is {now:%Y-%m-%d %H:%M:%S} UTC here, and the database was written at {newest:%Y-%m-%d %H:%M:%S}"
        advice = "The clock was put back: set it right before you serve, since hours are charged by it."
        yield Diagnosis("clock", Grade.PROBLEM, text, advice)
    is_synchronised = is_clock_synchronised()
    if is_synchronised is False:
        advice = (
            "Let NTP keep it (timedatectl set-ntp true): signed requests are refused once clocks differ by minutes."
        )
        yield Diagnosis("clock", Grade.WARNING, "the kernel does not know it to be synchronised", advice)
    else:
        told = "kept right by NTP" if is_synchronised else "not known to be wrong"
        yield Diagnosis("clock", Grade.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC, {told}")


def _surveyed(database: Path) -> Survey:
    """Return what the database tells, nothing if it cannot be asked: what is wrong with it was told before."""
    try:
        if database.exists() and 0 < schema_of(database) <= len(migrations()):
            return survey(database)
    except IncompatibleDatabase:
        pass
    return Survey(newest=None, ssh_ports=frozenset())


class _Timex(ctypes.Structure):
    """The beginning of the kernel's `struct timex` on 64-bit Linux, and room for the rest. Source: adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def is_clock_synchronised() -> bool | None:
    """Whether the kernel's clock is kept right by somebody; None if it does not tell."""
    timex = _Timex()
    try:
        if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    return not timex.status & _UNSYNCHRONISED


# --- who can be reached where


def _tls(settings: Settings) -> Iterator[Diagnosis]:
    if settings.server.tls is None:
        return
    try:
        chain = x509.load_pem_x509_certificates(settings.server.tls.certificate.read_bytes())
    except (OSError, ValueError):
        return  # `check` has told what is wrong with it
    yield _expiry(chain, datetime.now(UTC))
    for number, (lower, upper) in enumerate(pairwise(chain), start=1):
        if not _is_issued_by(lower, upper):
            text = f"certificate {number} of the file was not issued by the next one, so clients may not trust it"
            yield Diagnosis("tls", Grade.WARNING, text, "Put your own first, then its issuer's, and so on.")
    host = urlsplit(settings.server.public_url).hostname
    if host and not _is_for(chain[0], host):
        text = f"the certificate is not for {host}, which public_url names"
        yield Diagnosis("tls", Grade.WARNING, text, "Get one with that name, or change [server] public_url.")


def _expiry(chain: Sequence[x509.Certificate], now: datetime) -> Diagnosis:
    begins = max(each.not_valid_before_utc for each in chain)
    ends = min(each.not_valid_after_utc for each in chain)
    text = f"the certificate is good from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}"
    advice = "Put a new certificate in its place, and let the gateway read it: kill -HUP its pid."
    if not begins <= now < ends:
        return Diagnosis("tls", Grade.PROBLEM, f"{text}, and today is {now:%Y-%m-%d}", advice)
    if ends - now < _SOON:
        return Diagnosis("tls", Grade.WARNING, f"{text}: {(ends - now).days} more days", advice)
    return Diagnosis("tls", Grade.OK, text)


def _is_issued_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_for(certificate: x509.Certificate, host: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    known = {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
    return host in known or f"*.{host.partition('.')[2]}" in known


def _ssh_ports(settings: Settings) -> Iterator[Diagnosis]:
    ports = settings.compute.ports
    ours = _surveyed(settings.storage.path).ssh_ports
    problems = list(_shared_ports(ports, ours))
    yield from problems
    if not problems:
        yield Diagnosis("ssh ports", Grade.OK, f"{ports.first} to {ports.last} are nobody else's")


def _shared_ports(ports: PortRange, ours: AbstractSet[int]) -> Iterator[Diagnosis]:
    wanted = set(range(ports.first, ports.last + 1))
    if lent := sorted(wanted & _lent_ports()):
        text = (
            f"the kernel lends {len(lent)} of {ports.first} to {ports.last} to outgoing connections, such as {lent[0]}"
        )
        advice = "Move [compute] ssh_ports below net.ipv4.ip_local_port_range, or name them in ip_local_reserved_ports."
        yield Diagnosis("ssh ports", Grade.WARNING, text, advice)
    if taken := sorted((wanted & _listened_on()) - ours):
        named = ", ".join(map(str, taken[:_PORTS_NAMED])) + (", …" if len(taken) > _PORTS_NAMED else "")
        text = f"somebody else listens on {len(taken)} of them: {named}"
        advice = "Nothing breaks, since machines are given others; but move [compute] ssh_ports, or that (`ss -ltnp`)."
        yield Diagnosis("ssh ports", Grade.WARNING, text, advice)


def _lent_ports() -> AbstractSet[int]:
    """Return the ports that the kernel takes for outgoing connections as it likes."""
    settings = _PROC / "sys/net/ipv4"
    try:
        first, last = map(int, (settings / "ip_local_port_range").read_text().split())
        reserved = (settings / "ip_local_reserved_ports").read_text()
    except (OSError, ValueError):
        return frozenset()
    ranges = re.findall(r"(\d+)(?:-(\d+))?", reserved)
    kept = {port for low, high in ranges for port in range(int(low), int(high or low) + 1)}
    return set(range(first, last + 1)) - kept


def _listened_on() -> AbstractSet[int]:
    """Return the ports on which somebody on this host listens."""
    found: set[int] = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        rows = (line.split() for line in lines)
        found |= {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENING}
    return found


# --- the gateway that runs


def _gateway(settings: Settings) -> Iterator[Diagnosis]:
    folder = settings.server.data_dir
    pid = holder_of(folder)
    if not pid or pid == os.getpid():
        yield Diagnosis("gateway", Grade.OK, "does not run")
        return
    try:
        reasons = ask(folder, "health", {})
    except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
        text = f"pid {pid} has the data directory and does not answer"
        advice = "Wait if it is starting or stopping; otherwise look at its log, and start it again."
        yield Diagnosis("gateway", Grade.PROBLEM, text, advice)
    except Refused as error:
        yield Diagnosis("gateway", Grade.WARNING, str(error), "Start the gateway again, with this program.")
    else:
        for part, reason in reasons.items():
            advice = "Look at its log, and at the other findings here."
            yield Diagnosis("gateway", Grade.PROBLEM, f"pid {pid} is not ready: {part}: {reason}", advice)
        if not reasons:
            yield Diagnosis("gateway", Grade.OK, f"pid {pid} runs and is ready")


_LOOKS: Sequence[Look] = (_data, _database, _disk, _clock, _tls, _ssh_ports, _gateway)
