"""The processes that are measured, all on one core, and what can be read off them from outside."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from load import Address, Answer, ask, demand, drive
from signing import Key, booking, ec2_request, form_request, page_request, plain_request

ROOT = Path(__file__).resolve().parents[2]

# moto knows this image and this type; ours are called so too, and so the very same bookings go to both.
IMAGE, INSTANCE_TYPE = "ami-12c6146b", "t2.micro"

_FRONT = """
[server]
listen = "HOST"
data_dir = "data"
[limits]
machines = 64000
[ec2]
[zerosix]
[console]
[log]
format = "json"
level = "info"
[[regions]]
name = "us-east-1"
geo = "united-states"
[[zones]]
name = "us-east-1a"
region = "us-east-1"
"""
_SIMULATED = f"""
[compute]
driver = "simulated"
ssh_ports = "1024-65535"
[compute.simulated]
boot_seconds = 0
stop_seconds = 0
[[images]]
name = "{IMAGE}"
[[products]]
slug = "{INSTANCE_TYPE}"
title = "What is booked here"
price = "0.25"
vcpus = 1
memory_mib = 1024
disk_gib = 10
image = "{IMAGE}"
capacity = {{ us-east-1a = 64000 }}
"""

MACHINE = re.compile(rb"<instanceId>(i-[0-9a-f]+)<")
RESERVATION = re.compile(rb"<reservationId>r-([0-9a-f]+)<")

CONSOLE = "/console/"
_TOKEN = re.compile(rb'name="form_token" value="([^"]+)"')

_PER_BOOKING = 10
_FILLERS = 8
_PATIENCE_SECONDS = 60.0
_LAG = re.compile(rb"^onefleet_reconciler_lag_seconds (\S+)$", re.MULTILINE)
_METRIC = re.compile(r"^onefleet_(reconciler_queue|instances\{state=\"pending\"\}) (\S+)$", re.MULTILINE)
_NOT_OURS = frozenset({"date", "server", "content-length"})


class DidNotStart(Exception):
    """A process that is to be measured ended, or did not answer in time; the text is the end of its output."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Where servers run, where the load comes from, and where both may."""

    server: frozenset[int]
    load: frozenset[int]
    usable: frozenset[int]

    def unpinned(self) -> "Cores":
        """Return the same with everything running wherever there is room."""
        return Cores(self.usable, self.usable, self.usable)


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers at an address."""

    process: subprocess.Popen[bytes]
    address: Address
    output: Path

    @property
    def host(self) -> str:
        """HOST:PORT, as in a request's Host header."""
        return f"{self.address[0]}:{self.address[1]}"

    def cpu_seconds(self) -> float:
        """Return the CPU that the process has used, all its threads together."""
        # The clock of another process. Source: Linux, include/linux/posix-timers.h, MAKE_PROCESS_CPUCLOCK.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def resident_mb(self) -> float:
        """Return the resident memory, in units of 10^6 bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


@dataclass(frozen=True, slots=True)
class House:
    """A data directory with its configuration and one account's key. Its gateway can be started again and again."""

    folder: Path
    account: str
    key: Key
    cores: Cores

    @property
    def address(self) -> Address:
        """Where its gateway listens."""
        host, _, port = self.key.host.partition(":")
        return host, int(port)

    def copied_to(self, folder: Path) -> "House":
        """Return a house with the same machines, of which only one can be served at a time."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    def start(self) -> Server:
        """Start the gateway; return it before it is ready."""
        command = [sys.executable, "-m", "gateway", "serve", "--config", str(self.folder / "config.toml")]
        return _start(command, self.address, self.folder / "log", self.cores)

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Yield the gateway once it is ready; stop it when the block ends."""
        server = self.start()
        try:
            await_answer(server, "/readyz")
            yield server
        finally:
            stop(server)

    def wait_until_settled(self) -> None:
        """Return once every machine is as its renter asked."""
        metrics = plain_request(self.key.host, "/metrics")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(float(value) for _, value in _METRIC.findall(demand(self.address, metrics).body.decode())):
            if time.monotonic() > deadline:
                raise TimeoutError("the machines do not come to rest")
            time.sleep(0.02)

    def lag_seconds(self) -> float:
        """Return for how long the machine that has waited longest has waited to be looked at."""
        return float(found(_LAG, demand(self.address, plain_request(self.key.host, "/metrics"))))

    def fill(self, machines: int) -> None:
        """Book so many machines, up to ten in a booking, and wait until they run."""
        counts = [_PER_BOOKING] * (machines // _PER_BOOKING) + [machines % _PER_BOOKING] * bool(machines % _PER_BOOKING)
        drive(self.address, [booking(self.key, IMAGE, INSTANCE_TYPE, count) for count in counts], _FILLERS)
        self.wait_until_settled()

    def ask(self, action: str, parameters: Mapping[str, str]) -> Answer:
        """Return the answer to an EC2 action."""
        return demand(self.address, ec2_request(self.key, action, parameters))

    def sign_in(self) -> str:
        """Return the cookie of somebody new who has just signed in to the console for the account."""
        email = f"{secrets.token_hex(8)}@example.com"
        given = _command(self.folder / "config.toml", "user", "add", "--account", self.account, email)["password"]
        cookie = self._signed_in(email, given)
        page = demand(self.address, page_request(self.key.host, f"{CONSOLE}profile/password", cookie, "identity"))
        changed = {"old": given, "new": f"new {given}", "again": f"new {given}", "form_token": found(_TOKEN, page)}
        ask(self.address, form_request(self.key.host, f"{CONSOLE}profile/password", changed, cookie))
        return cookie

    def _signed_in(self, email: str, password: str) -> str:
        fields = {"email": email, "password": password}
        answer = ask(self.address, form_request(self.key.host, f"{CONSOLE}sign-in", fields))
        return {name.lower(): value for name, value in answer.headers.items()}["set-cookie"].partition(";")[0]


def build_house(folder: Path, cores: Cores, backend: str = _SIMULATED) -> House:
    """Make a data directory with one account and its API key. `backend` is the part of its configuration on machines."""
    folder.mkdir()
    host = f"127.0.0.1:{_free_port()}"
    config = folder / "config.toml"
    config.write_text(_FRONT.replace("HOST", host) + backend)
    account = _command(config, "account", "add", "bench")
    secret = _command(config, "key", "add", "--account", account["account_id"])
    return House(folder, account["account_id"], Key(host, secret["access_key"], secret["secret_key"]), cores)


@contextmanager
def floor(folder: Path, path: str, answer: Answer, cores: Cores) -> Iterator[Server]:
    """Yield a bare handler that returns this answer on this path."""
    port = _free_port()
    file = folder / f"floor-{port}.json"
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_OURS}
    file.write_text(json.dumps({"path": path, "headers": headers, "body": b64encode(answer.body).decode()}))
    command = [sys.executable, str(Path(__file__).with_name("floor.py")), str(port), str(file)]
    with _running(command, port, path, folder / f"floor-{port}.log", cores) as server:
        yield server


@contextmanager
def moto(folder: Path, cores: Cores) -> Iterator[Server]:
    """Yield moto's server."""
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with _running(command, port, "/moto-api/", folder / "moto.log", cores) as server:
        yield server


def await_answer(server: Server, path: str, pause_seconds: float = 0.002) -> None:
    """Return once the server answers 200.

    Raises:
        DidNotStart: it ended, or takes too long.
    """
    request = plain_request(server.host, path)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            if ask(server.address, request).status == 200:
                return
        except OSError:
            pass
        time.sleep(pause_seconds)
    raise DidNotStart(server.output.read_text(errors="replace")[-2000:])


def found(pattern: re.Pattern[bytes], answer: Answer) -> str:
    """Return what the pattern's group matches in an answer.

    Raises:
        ValueError: it is not there.
    """
    match = pattern.search(answer.body)
    if match is None:
        raise ValueError(f"no {pattern.pattern!r} in {answer.body[:300]!r}")
    return match[1].decode()


def stop(server: Server) -> None:
    """End the process as an operator would, and wait for it."""
    server.process.terminate()
    try:
        server.process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


@contextmanager
def _running(command: Sequence[str], port: int, path: str, output: Path, cores: Cores) -> Iterator[Server]:
    server = _start(command, ("127.0.0.1", port), output, cores)
    try:
        await_answer(server, path)
        yield server
    finally:
        stop(server)


def _start(command: Sequence[str], address: Address, output: Path, cores: Cores) -> Server:
    """Start a process on the servers' core: it inherits ours, which is that for a moment."""
    os.sched_setaffinity(0, cores.server)
    try:
        with output.open("ab") as file:
            process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
    finally:
        os.sched_setaffinity(0, cores.load)
    return Server(process, address, output)


def _command(config: Path, *words: str) -> Mapping[str, str]:
    command = [sys.executable, "-m", "gateway", *words, "--config", str(config), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DidNotStart(done.stderr)
    answer: Mapping[str, str] = json.loads(done.stdout)
    return answer


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
