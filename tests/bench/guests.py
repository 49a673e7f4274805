"""Real machines, the gateway's and bare ones: how long until an ssh client has run its first command in them.

A bare machine is QEMU alone, told what the gateway tells it, on a disk and a seed that were made beforehand.
"""

import asyncio
import json
import shutil
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import DEVNULL, Popen

from load import Answer, demand
from servers import IMAGE, INSTANCE_TYPE, MACHINE, RESERVATION, ROOT, Cores, House, build_house, found
from signing import booking, zerosix_request

from core.compute.qemu import boot, machine
from core.compute.qemu.accelerator import TCG, Accelerator
from core.compute.qemu.building.workshop import BuildFailed
from core.compute.qemu.command import words
from core.compute.qemu.driver import MACHINES
from core.compute.qemu.machine import Record
from core.compute.qemu.process import user_named
from core.compute.qemu.settings import QemuSettings
from core.compute.qemu.wiring import Alone
from core.compute.site import ImageFiles
from core.ports import LaunchSpec

sys.path.append(str(ROOT))  # the tests' own modules are not installed

from tests.machines import end_machines, folders, micro_built, own_host
from tests.running import eventually
from tests.ssh import Login, new_key

_REAL = f"""
[compute]
driver = "qemu"
ssh_host = "{own_host()}"
[compute.qemu]
accelerator = "{TCG}"
reserve_disk_mib = 16
[[images]]
name = "{IMAGE}"
disk = "DISK"
kernel = "KERNEL"
initrd = "INITRD"
kernel_arguments = "ARGUMENTS"
[[products]]
slug = "{INSTANCE_TYPE}"
title = "As little as can be booked"
price = "0.25"
vcpus = 1
memory_mib = 256
disk_gib = 1
image = "{IMAGE}"
capacity = {{ us-east-1a = 16 }}
"""
_KEY_NAME = "bench"
_MOST = 4
"""How many machines a lap can have at most."""

_SETTINGS = QemuSettings()

_GREETING = b"SSH-"
_GREETING_SECONDS = 0.5
_AGAIN_SECONDS = 0.02
_PATIENCE_SECONDS = 120.0
_END_SECONDS = 20.0
_NOT_LET_IN = 255


class CannotRun(Exception):
    """This host lacks what real machines need; the text says what."""


@dataclass(frozen=True, slots=True)
class Yard:
    """A gateway with real machines, and room for bare ones beside it. A lap has the host to itself: none is left over.

    `specs` are those of the gateway's machines, and so of the bare ones. `key` is the file of the key for both.
    """

    house: House
    image: ImageFiles
    key: Path
    specs: Sequence[LaunchSpec]
    folder: Path

    def ours(self, count: int) -> float:
        """Return the seconds from asking for so many machines until each has done its first command."""
        started = time.perf_counter()
        booked = _book(self.house, count)
        asyncio.run(_let_into([_login(told, self.key) for told in _ways_in(self.house, booked)]))
        seconds = time.perf_counter() - started
        _give_back(self.house, booked)
        return seconds

    def bare(self, count: int) -> float:
        """Return the seconds from starting QEMU so many times until each has done its first command."""
        specs = self.specs[:count]
        made = [self._made(self.folder / MACHINES / str(spec.id), spec) for spec in specs]
        started = time.perf_counter()
        running = [_started(folder, record) for folder, record in made]
        asyncio.run(_let_into([Login(own_host(), spec.ssh_port, self.key, spec.default_user) for spec in specs]))
        seconds = time.perf_counter() - started
        for process in running:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)
        return seconds

    def _made(self, folder: Path, spec: LaunchSpec) -> tuple[Path, Record]:
        """Return a machine's folder and record, ready to be started."""
        run = folder / machine.RUN
        run.mkdir(parents=True)
        user_named(_SETTINGS.user).own(run)
        files = machine.files_of(folder, spec.generation)
        with_key = replace(spec, ssh_keys=(self.key.with_suffix(".pub").read_text().strip(),))
        return folder, asyncio.run(boot.make(files, self.image, with_key, relay=True, static=None))


@contextmanager
def a_yard(folder: Path, cores: Cores) -> Iterator[Yard]:
    """Yield a yard whose gateway runs. When the block ends, however it does, all its machines end.

    Raises:
        CannotRun: this host has not all that machines need.
    """
    image = _micro_image()
    house = build_house(folder / "real", cores.unpinned(), _backend(image))
    bare, data, key = folder / "bare", house.folder / "data", folder / "key"
    try:
        with house.serving():
            public = b64encode(new_key(key).encode()).decode()
            house.ask("ImportKeyPair", {"KeyName": _KEY_NAME, "PublicKeyMaterial": public})
            yield Yard(house, image, key, _specs(house), bare)
    finally:
        for each in (data, bare):
            end_machines(each)


def _micro_image() -> ImageFiles:
    try:
        return micro_built()
    except BuildFailed as error:
        raise CannotRun(str(error)) from None


def _backend(image: ImageFiles) -> str:
    values = {
        "DISK": image.disk,
        "KERNEL": image.kernel,
        "INITRD": image.initrd,
        "ARGUMENTS": image.kernel_arguments,
    }
    text = _REAL
    for name, value in values.items():
        text = text.replace(f'"{name}"', json.dumps(str(value)))
    return text


# --- ours


def _specs(house: House) -> Sequence[LaunchSpec]:
    """Return what machines of the gateway are told to be; they have only just started when they are given back."""
    booked = _book(house, _MOST)
    house.wait_until_settled()
    data = house.folder / "data"
    specs = [machine.read(data / MACHINES / name).spec for name in sorted(folders(data))]
    _give_back(house, booked)
    return specs


def _book(house: House, count: int) -> Answer:
    return demand(house.address, booking(house.key, IMAGE, INSTANCE_TYPE, count, KeyName=_KEY_NAME))


def _ways_in(house: House, booked: Answer) -> Sequence[str]:
    """Return how each machine of a booking is reached, as ZeroSix tells it: EC2 has no place for a port."""
    path = f"/wp-json/api/v1/orders/{int(found(RESERVATION, booked), 16)}"
    order = json.loads(demand(house.address, zerosix_request(house.key, path)).body)
    return [each["machine"] for each in order["instances"]]


def _login(told: str, key: Path) -> Login:
    """Return the way in that is told as -pPORT USER@HOST."""
    port, _, door = told.removeprefix("-p").partition(" ")
    user, _, host = door.partition("@")
    return Login(host, int(port), key, user)


def _give_back(house: House, booked: Answer) -> None:
    """Terminate the machines of a booking, and return once nothing is left of them."""
    ids = MACHINE.findall(booked.body)
    house.ask("TerminateInstances", {f"InstanceId.{number}": id_.decode() for number, id_ in enumerate(ids, start=1)})
    eventually(lambda: not folders(house.folder / "data"), seconds=_END_SECONDS, what="the end of the machines")


# --- bare ones


def _started(folder: Path, record: Record) -> Popen[bytes]:
    """Start QEMU as the gateway does: the same words, open files, user and folder."""
    spec, user = record.spec, user_named(_SETTINGS.user)
    with (
        boot.plugged(folder, record) as plugged,
        Alone(own_host()).plug(spec) as cards,
        (folder / machine.QEMU_LOG).open("wb") as log,
    ):
        speed = Accelerator(TCG, "").arguments
        return Popen(
            words(_SETTINGS.binary, spec, speed, replace(plugged, network=cards.words)),
            cwd=folder / machine.RUN,
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=plugged.descriptors,
            start_new_session=True,
            user=None if user.is_ourselves else user.uid,
            group=None if user.is_ourselves else user.gid,
            extra_groups=None if user.is_ourselves else user.groups,
        )


# --- both


async def _let_into(logins: Sequence[Login]) -> None:
    """Return once a command has run in each machine.

    Raises:
        TimeoutError: that takes too long.
    """
    async with asyncio.timeout(_PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        for login in logins:
            group.create_task(_do_something(login))


async def _do_something(login: Login) -> None:
    """Return once a command has run. The client is not asked before there is something to talk with: it is slow."""
    while not (await _greets(login) and await _runs(login)):  # noqa: ASYNC110  it is a guest, not ours
        await asyncio.sleep(_AGAIN_SECONDS)


async def _greets(login: Login) -> bool:
    try:
        async with asyncio.timeout(_GREETING_SECONDS):
            reader, writer = await asyncio.open_connection(login.host, login.port)
            try:
                return await reader.read(len(_GREETING)) == _GREETING
            finally:
                writer.close()
    except OSError:  # a timeout is one, too
        return False


async def _runs(login: Login) -> bool:
    """Whether the machine lets us in.

    Raises:
        ValueError: it does, and yet the command fails.
    """
    client = await asyncio.create_subprocess_exec(*login.command("true"), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        code = await client.wait()
    finally:
        if client.returncode is None:
            client.kill()
    if code not in (0, _NOT_LET_IN):
        raise ValueError(f"a machine on port {login.port} let us in, and the command ended with {code}")
    return code == 0
