"""What is kept of each machine on disk: a folder of its own, and in it what it was told to be and how it stands.

The folder is the gateway's. Within it `RUN` is QEMU's, where it is started; what lies there may be anything, should a
guest ever break out of QEMU, and is read with care.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from core.ids import AccountId, InstanceId, NetworkId, RuleId, SecurityGroupId
from core.instances import MetadataService
from core.ports import LaunchSpec
from core.securitygroups import Rule, SecurityGroup, Traffic

RECORD, PID, QEMU_LOG, OLD_SERIAL_LOG = "machine.json", "qemu.pid", "qemu.log", "serial.old.log"

RUN = "run"
MONITOR, SERIAL, SERIAL_LOG, METADATA, SCREEN = (
    "qmp.sock",
    "serial.sock",
    "serial.log",
    "imds.sock",
    "screen.png",
)

DISK, SEED, BASE, KERNEL, INITRD = "disk.qcow2", "seed.iso", "base.qcow2", "vmlinuz", "initrd"
"""What a machine boots from: in a folder for each generation of its disk, named by the number."""

_PRIVATE = 0o600


class Phase(StrEnum):
    """What a machine was last made to do."""

    DOWN = "down"
    UP = "up"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Record:
    """How a machine stands. Its `spec` is without what only its first boot needs, which its seed holds.

    `base` are the size and the time of change of the image that its disk is a layer on: on another one, the disk would
    be garbage. Without `kernel_arguments` it boots by its disk's boot loader. One that `has_crashed` is down without
    having shut down, for the reason in `detail`. `since` is when it began to stop, seconds since the epoch; `boot`, in
    which start of the host it was last brought up.
    """

    spec: LaunchSpec
    base: tuple[int, int]
    kernel_arguments: str | None = None
    phase: Phase = Phase.DOWN
    has_crashed: bool = False
    detail: str = ""
    since: float = 0.0
    boot: str = ""


def without_secrets(spec: LaunchSpec) -> LaunchSpec:
    """Return the spec without what is for the first boot only."""
    return replace(spec, ssh_keys=(), user_data=b"", password="", file_url="", script_url="")


def read(folder: Path) -> Record:
    """Return the record in a machine's folder.

    Raises:
        OSError, ValueError: there is none, or it makes no sense.
    """
    fields = orjson.loads((folder / RECORD).read_bytes())
    try:
        read = {"spec": _spec(fields["spec"]), "base": tuple(fields["base"]), "phase": Phase(fields["phase"])}
        return Record(**{**fields, **read})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{RECORD} is not as this program writes it: {error!r}") from error


def write(folder: Path, record: Record) -> None:
    """Write a machine's record, in place of the one it has, so that it outlasts this process; not the host's power.

    Raises:
        OSError: it cannot be written; the former one is whole.
    """
    new = folder / f"{RECORD}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with open(descriptor, "wb") as file:  # noqa: PTH123  it is a descriptor, for its mode
        file.write(orjson.dumps(record, default=_no_bytes))
    new.rename(folder / RECORD)


def write_for_good(folder: Path, record: Record) -> None:
    """Write a machine's record so that it outlasts the host's power, too. See `write`.

    Raises:
        OSError: as there.
    """
    write(folder, record)
    sync(folder / RECORD, folder)


def sync(*paths: Path) -> None:
    """Have files, and the names in folders, on disk.

    Raises:
        OSError: it cannot be done.
    """
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def files_of(folder: Path, generation: int) -> Path:
    """Return the folder of what a machine boots from."""
    return folder / str(generation)


def read_of_run(folder: Path, name: str, most_bytes: int) -> bytes:
    """Return the end of a file that QEMU wrote; nothing if there is none, or if it is not a plain file.

    Raises:
        OSError: it cannot be read.
    """
    try:
        # Neither a link to a file of the host nor a pipe that never ends.
        descriptor = os.open(folder / RUN / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return b""
        raise
    with open(descriptor, "rb") as file:  # noqa: PTH123  it is a descriptor
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return b""
        file.seek(max(0, facts.st_size - most_bytes))
        return file.read(most_bytes)


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """Yield a descriptor of the folder.

    `/proc/self/fd/N/NAME` is short however long the folder's path is: a socket's path has room for 107 bytes only.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _no_bytes(value: object) -> str:
    assert value == b"", "only a spec without secrets is written"
    return ""


def _spec(fields: dict[str, Any]) -> LaunchSpec:
    del fields["user_data"]
    fields["id"] = InstanceId(fields["id"])
    fields["groups"] = tuple(_group(each) for each in fields["groups"])
    fields["metadata"] = MetadataService(**fields["metadata"])
    for name in ("ssh_keys", "public_addresses"):
        fields[name] = tuple(fields[name])
    return LaunchSpec(**fields)


def _group(fields: dict[str, Any]) -> SecurityGroup:
    return SecurityGroup(
        SecurityGroupId(fields["id"]),
        AccountId(fields["account_id"]),
        NetworkId(fields["network_id"]),
        fields["name"],
        fields["description"],
        datetime.fromisoformat(fields["created_at"]),
        tuple(Rule(RuleId(each["id"]), Traffic(**each["traffic"]), each["description"]) for each in fields["rules"]),
    )
