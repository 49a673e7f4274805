"""Gateways whose machines are real, and the end of all that they leave running: machines outlive their gateway."""

import fcntl
import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from core.compute.qemu.building import debian, micro
from core.compute.qemu.building.debian import build_debian
from core.compute.qemu.building.kernel import image_files
from core.compute.qemu.building.micro import build_micro
from core.compute.qemu.building.workshop import BuildFailed, demand
from core.compute.qemu.driver import MACHINES
from core.compute.site import ImageFiles
from tests.end_to_end.customer import CATALOGUE, Customer, a_customer, number_of
from tests.running import REPOSITORY, RunningGateway, eventually
from tests.ssh import Login

ON_SALE = {"gcl.1": {"memory_mib": 256, "vcpus": 1}, "gcl.2": {"memory_mib": 384, "vcpus": 1}}
"""The sizes, small ones, of those of config.toml's products that can be rented in a gateway of `a_gateway`."""
ROOM = 8
"""How many machines each of the products has room for."""
ZONE = "ord1a"

_TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "socat": "socat", "ssh": "openssh-client"}
_IMAGES = REPOSITORY / ".tools" / "images"
_OLD_SECONDS = 86400
_END_SECONDS = 20.0


# --- the image


@pytest.fixture(scope="session")
def micro_image() -> ImageFiles:
    """The micro guest, built once for all tests and test runs until what builds it changes."""
    return _or_skip(micro_built, micro.TOOLS)


@pytest.fixture(scope="session")
def debian_image() -> ImageFiles:
    """Debian with cloud-init, built as seldom. To build it takes minutes, and to boot it one."""
    return _or_skip(lambda: _built("debian", debian.TOOLS, build_debian), debian.TOOLS)


def micro_built() -> ImageFiles:
    """Return the micro guest, built if need be; raise BuildFailed, which says what is missing, if it cannot be run."""
    return _built("micro", micro.TOOLS, build_micro)


def _or_skip(make: Callable[[], ImageFiles], tools: Mapping[str, str]) -> ImageFiles:
    try:
        demand({**_TOOLS, **tools})
    except BuildFailed as error:
        pytest.skip(f"{error}, as .ci/install-test-tools does")
    return make()


def _built(name: str, tools: Mapping[str, str], build: Callable[..., ImageFiles]) -> ImageFiles:
    demand({**_TOOLS, **tools})
    folder = _IMAGES / f"{name}-{_digest_of_sources()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _remove_outdated(folder.parent, name)
            return build(folder, print)
    return image_files(folder)


def _digest_of_sources() -> str:
    folder = Path(micro.__file__).parent
    sources = sorted(source for source in folder.rglob("*") if source.is_file() and source.suffix != ".pyc")
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def _remove_outdated(images: Path, name: str) -> None:
    """Remove images that no other test run can be using any more."""
    for folder in images.glob(f"{name}-*"):
        if folder.stat().st_mtime < time.time() - _OLD_SECONDS:
            shutil.rmtree(folder)


# --- the gateway


def own_host() -> str:
    """Return an address of loopback that is this test process's alone: ssh ports of two of them never meet."""
    pid = os.getpid()
    return f"127.{128 + (pid >> 16)}.{pid >> 8 & 255}.{pid & 255}"


def sections(image: ImageFiles, **compute: Any) -> Mapping[str, Any]:
    """Return the configuration of a gateway with real machines; `compute` is laid over that section."""
    files = {
        "disk": str(image.disk),
        "kernel": str(image.kernel),
        "initrd": str(image.initrd),
        "kernel_arguments": image.kernel_arguments,
    }
    qemu = {"accelerator": "tcg", "stop_seconds": 60, "reserve_disk_mib": 16} | compute.pop("qemu", {})
    driver = {"driver": "qemu", "ssh_host": own_host(), "sweep_seconds": 1, "sample_seconds": 1}
    return {
        "compute": driver | compute | {"qemu": qemu},
        "images": [each | files for each in CATALOGUE["images"]],
        "products": [
            product | ON_SALE[product["slug"]] | {"disk_gib": 1, "capacity": {ZONE: ROOM}}
            for product in CATALOGUE["products"]
            if product["slug"] in ON_SALE
        ],
    }


@contextmanager
def ending(gateway: RunningGateway) -> Iterator[RunningGateway]:
    """Yield the gateway, not started; end it and every machine of it with the block, whatever happens there."""
    try:
        yield gateway
    finally:
        gateway.__exit__()
        end_machines(gateway.data)


@contextmanager
def a_gateway(folder: Path, image: ImageFiles, **compute: Any) -> Iterator[RunningGateway]:
    """Yield a running gateway with real machines; with the block it and all of them end."""
    with ending(RunningGateway(folder, **sections(image, **compute))) as gateway:
        yield gateway.start()


# --- the way into machines


def login_to(customer: Customer, instance_id: str, key: Path, user: str = "renter") -> Login:
    """Return the way into a machine, as ZeroSix tells it."""
    told = customer.order(_order_of(customer, instance_id))["instances"]
    [line] = [each["machine"] for each in told if each["ec2_instance_id"] == instance_id]
    port, _, host = line.removeprefix("-p").partition(" ")
    return Login(host.partition("@")[2], int(port), key, user)


def _order_of(customer: Customer, instance_id: str) -> int:
    [reservation] = customer.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    return number_of(reservation["ReservationId"])


@contextmanager
def a_renter(gateway: RunningGateway) -> Iterator[Customer]:
    """Yield a new customer, all of whose machines end with the block."""
    with a_customer(gateway) as customer:
        yield customer
        living = [each["InstanceId"] for each in customer.described() if each["State"]["Name"] != "terminated"]
        if living:
            customer.ec2.terminate_instances(InstanceIds=living)
            customer.until("terminated", *living)


# --- what runs


def processes(data: Path) -> Mapping[int, Sequence[str]]:
    """Return the command of every process that works in a machine's folder, by its pid; also in one that is removed."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it has ended
                if (entry / "cwd").readlink().is_relative_to(data / MACHINES):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().decode().split("\0")
    return found


def guests(data: Path) -> Sequence[int]:
    """Return the pids of the machines that run."""
    return [pid for pid, words in processes(data).items() if any(word.startswith("guest=") for word in words)]


def folders(data: Path) -> set[str]:
    """Return the names of the machines' folders; also of what is half made."""
    return {each.name for each in (data / MACHINES).iterdir()} if (data / MACHINES).exists() else set()


def end_machines(data: Path) -> None:
    """Kill whatever still runs in machines' folders, and return once it is gone."""
    for pid in processes(data):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not processes(data), seconds=_END_SECONDS, what=f"the end of all machines in {data}")
