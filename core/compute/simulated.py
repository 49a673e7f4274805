"""A driver whose machines are rows: for trying the gateway out, for demonstrations, and for every test of the house.

All machines are in memory, and each change is written through to `MachineFile` before it shows.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from math import cos, sin

import structlog

from core.compute.machine_file import Machine, MachineFile, same
from core.compute.settings import DURATION, SHARE, check
from core.compute.site import Site
from core.ids import InstanceId
from core.instances import Power
from core.ports import (
    DriverCode,
    DriverError,
    Host,
    LaunchSpec,
    MetadataDoor,
    Observation,
    Sample,
    SerialConsole,
)
from core.securitygroups import spelled

FILE_NAME = "simulated.db"
NOTICE = "Machines are simulated: they are rows in a file, nothing runs, and nobody can ssh into them."
VERBS = ("ensure", "start", "stop", "reboot", "update", "rebuild", "destroy")

_WRITE_AGAIN_SECONDS = 1.0

_DOWN = frozenset({Power.STOPPED, Power.CRASHED})
_UP = frozenset({Power.STARTING, Power.RUNNING})
_PUBLIC = _UP | {Power.STOPPING}


@dataclass(frozen=True, slots=True)
class SimulatedSettings:
    """How the simulated machines behave.

    `failure_rate` is the share of launches that are refused, `crash_rate` that of boots that end in a crash.
    """

    boot_seconds: float = 2.0
    stop_seconds: float = 1.0
    failure_rate: float = 0.0
    crash_rate: float = 0.0


def read_settings(table: Mapping[str, object]) -> SimulatedSettings:
    """Return the settings of a table of config.toml; what it leaves out has its default.

    Raises:
        ValueError: a key is unknown or its value unfit. The text starts with the key.
    """
    check(table, _RULES)
    return SimulatedSettings(**table)  # type: ignore[arg-type]  # each value has just been judged


_RULES = {
    "boot_seconds": DURATION,
    "stop_seconds": DURATION,
    "failure_rate": SHARE,
    "crash_rate": SHARE,
}


class SimulatedDriver:
    """See `ComputeDriver`. What it adds is for tests and demonstrations: `fail_next` and the misfortunes.

    Machines tell the site's `ssh_host` as their public address, if it is an address.
    `chance` returns numbers from 0 to 1, by which launches fail and boots crash.
    """

    name = "simulated"
    notice = NOTICE

    def __init__(
        self,
        settings: SimulatedSettings,
        site: Site,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings, self._chance = settings, chance
        self._file = MachineFile(site.data_dir / FILE_NAME)
        self._public_address = site.ssh_host if _is_address(site.ssh_host) else ""
        self._passing = {Power.STARTING: settings.boot_seconds, Power.STOPPING: settings.stop_seconds}
        self._machines: dict[InstanceId, Machine] = {}
        self._disks: dict[InstanceId, Machine] = {}
        self._seen: dict[InstanceId, Observation] = {}
        self._timers: dict[InstanceId, asyncio.TimerHandle] = {}
        self._events: asyncio.Queue[InstanceId] = asyncio.Queue()
        self._planned: defaultdict[str, list[DriverCode]] = defaultdict(list)
        self._is_silent = False
        self._log = structlog.get_logger("simulated")

    # --- the port

    async def open(self, metadata: MetadataDoor | None = None) -> None:  # noqa: ARG002  nobody is there to call
        """See `ComputeDriver.open`. A machine found on its way goes on, its time beginning anew.

        Raises:
            DriverError: UNAVAILABLE, if the file cannot be used.
        """
        for machine in self._file.open():
            if machine.power is Power.ABSENT:
                self._disks[machine.id] = machine
            else:
                self._hold(machine)

    async def close(self) -> None:
        """See `ComputeDriver.close`."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._file.close()

    async def observe(self, instance_id: InstanceId) -> Observation:
        """See `ComputeDriver.observe`."""
        return Observation(instance_id, Power.UNKNOWN) if self._is_silent else self._sight(instance_id)

    async def observe_all(self) -> Mapping[InstanceId, Observation]:
        """See `ComputeDriver.observe_all`.

        Raises:
            DriverError: UNAVAILABLE, if the backend was made silent.
        """
        with self._answering("observe_all"):
            return dict(self._seen)

    async def events(self) -> AsyncIterator[InstanceId]:
        """See `ComputeDriver.events`. There is one queue: two listeners share its hints."""
        while True:
            yield await self._events.get()

    async def ensure(self, spec: LaunchSpec) -> Observation:
        """See `ComputeDriver.ensure`."""
        with self._answering("ensure"):
            if spec.id not in self._machines:
                if self._chance() < self._settings.failure_rate:
                    raise DriverError(DriverCode.INTERNAL, "The simulated backend refused this launch by chance.")
                disk = self._disks.get(spec.id)
                made = _as_told(disk or Machine(spec.id, Power.STOPPED, spec.ssh_port), spec)
                self._keep(replace(made, power=Power.STOPPED, generation=spec.generation), f"{spec.image} installed")
        return self._sight(spec.id)

    async def start(self, instance_id: InstanceId) -> Observation:
        """See `ComputeDriver.start`."""
        with self._answering("start"):
            self._move(instance_id, _DOWN, Power.STARTING)
        return self._sight(instance_id)

    async def stop(self, instance_id: InstanceId, *, force: bool) -> Observation:
        """See `ComputeDriver.stop`."""
        with self._answering("stop"):
            if force:
                self._move(instance_id, _PUBLIC, Power.STOPPED)
            else:
                self._move(instance_id, _UP, Power.STOPPING)
        return self._sight(instance_id)

    async def reboot(self, instance_id: InstanceId) -> Observation:
        """See `ComputeDriver.reboot`. The machine goes on being seen running, as EC2 shows it."""
        with self._answering("reboot"):
            machine = self._machines.get(instance_id)
            if machine is not None and machine.power is Power.RUNNING:
                self._keep(replace(machine, reboots=machine.reboots + 1), "rebooted")
        return self._sight(instance_id)

    async def update(self, spec: LaunchSpec) -> Observation:
        """See `ComputeDriver.update`."""
        with self._answering("update"):
            if (machine := self._machines.get(spec.id)) is not None:
                self._keep(_as_told(machine, spec))
        return self._sight(spec.id)

    async def rebuild(self, spec: LaunchSpec) -> Observation:
        """See `ComputeDriver.rebuild`."""
        with self._answering("rebuild"):
            machine = self._machines.get(spec.id)
            if machine is not None and machine.generation != spec.generation:
                down = _as_told(replace(machine, power=Power.STOPPED), spec)
                rebuilt, said = replace(down, generation=spec.generation), [f"{spec.image} installed anew"]
                if machine.power in _UP:
                    rebuilt = self._arrived(rebuilt, Power.STARTING)
                    said.append(rebuilt.power.value)
                self._keep(rebuilt, *said)
        return self._sight(spec.id)

    async def destroy(self, instance_id: InstanceId, *, keeps_disk: bool = False) -> Observation:
        """See `ComputeDriver.destroy`."""
        with self._answering("destroy"):
            machine = self._machines.get(instance_id)
            if not keeps_disk:
                self._remove(instance_id)
            elif machine is not None:
                self._put_away(machine)
        return self._sight(instance_id)

    async def console_log(self, instance_id: InstanceId) -> bytes:
        """See `ComputeDriver.console_log`. A simulated machine tells there what became of it."""
        with self._answering("console_log"):
            return self._file.console(instance_id).encode() if instance_id in self._machines else b""

    async def screenshot(self, instance_id: InstanceId) -> bytes:  # noqa: ARG002  none of them has one
        """See `ComputeDriver.screenshot`.

        Raises:
            DriverError: UNSUPPORTED, always.
        """
        raise DriverError(DriverCode.UNSUPPORTED, "Simulated machines have no screen.")

    async def open_console(self, instance_id: InstanceId) -> SerialConsole:  # noqa: ARG002  none of them has one
        """See `ComputeDriver.open_console`.

        Raises:
            DriverError: UNSUPPORTED, always.
        """
        raise DriverError(DriverCode.UNSUPPORTED, "Simulated machines have no serial console.")

    async def hosts(self) -> Sequence[Host]:
        """See `ComputeDriver.hosts`. There is one, which has no end of room."""
        with self._answering("hosts"):
            return [Host(self.name, machines=len(self._machines))]

    async def samples(self) -> Sequence[Sample]:
        """See `ComputeDriver.samples`. Simulated machines are busier by turns, each in its own rhythm."""
        with self._answering("samples"):
            now = time.time()
            return [_usage(machine, now) for machine in self._machines.values() if machine.power is Power.RUNNING]

    # --- for tests and demonstrations

    def machine(self, instance_id: InstanceId) -> Machine | None:
        """Return a machine as it is, silent backend or not; None if there is none."""
        return self._machines.get(instance_id)

    def disk(self, instance_id: InstanceId) -> Machine | None:
        """Return a machine of which the disk alone was kept, as it was when it ended; None if there is none."""
        return self._disks.get(instance_id)

    def fail_next(self, verb: str, code: DriverCode, *, times: int = 1) -> None:
        """Refuse the next calls of a verb. With TIMEOUT they do what was asked and only the answer is lost.

        Raises:
            ValueError: there is no such verb.
        """
        if verb not in VERBS:
            raise ValueError(f"{verb!r} is no verb of a driver; they are {', '.join(VERBS)}")
        self._planned[verb].extend([code] * times)

    def crash(self, instance_id: InstanceId) -> None:
        """Let a machine that is up end without a shutdown."""
        self._befall(instance_id, _PUBLIC, Power.CRASHED)

    def shut_down_inside(self, instance_id: InstanceId) -> None:
        """Let the system inside a machine that is up shut itself down."""
        self._befall(instance_id, _PUBLIC, Power.STOPPED)

    def lose(self, instance_id: InstanceId) -> None:
        """Let a machine vanish, disk and all."""
        self._remove(instance_id)
        self._events.put_nowait(instance_id)

    def go_silent(self, is_silent: bool) -> None:  # noqa: FBT001  it reads as a claim: go_silent(True)
        """Let the backend stop answering, or answer again. Its machines go on meanwhile."""
        self._is_silent = is_silent

    # --- how it is done

    def _sight(self, instance_id: InstanceId) -> Observation:
        return self._seen.get(instance_id) or Observation(instance_id, Power.ABSENT)

    @contextmanager
    def _answering(self, verb: str) -> Iterator[None]:
        """Refuse what is to be refused before the block, or lose the answer after it."""
        if self._is_silent:
            raise DriverError(DriverCode.UNAVAILABLE, "The simulated backend does not answer.")
        code = self._planned[verb].pop(0) if self._planned[verb] else None
        refusal = code and DriverError(code, "The simulated backend refused this.", detail=f"told to: {code}")
        if refusal and code is not DriverCode.TIMEOUT:
            raise refusal
        yield
        if refusal:
            raise refusal

    def _move(self, instance_id: InstanceId, from_: frozenset[Power], to: Power) -> None:
        """Take the machine to a power if it is in one of these; a passage that takes no time is over at once."""
        machine = self._machines.get(instance_id)
        if machine is not None and machine.power in from_:
            after = self._arrived(machine, to)
            self._keep(after, after.power.value)

    def _arrived(self, machine: Machine, to: Power) -> Machine:
        """Return the machine at a power, or where that passes to if it takes no time."""
        if self._passing.get(to) == 0:
            to = self._end_of(to)
        started_at = time.time() if to is Power.RUNNING else 0.0
        return replace(machine, power=to, started_at=started_at)

    def _end_of(self, passage: Power) -> Power:
        if passage is Power.STOPPING:
            return Power.STOPPED
        return Power.CRASHED if self._chance() < self._settings.crash_rate else Power.RUNNING

    def _befall(self, instance_id: InstanceId, from_: frozenset[Power], to: Power) -> None:
        self._move(instance_id, from_, to)
        self._events.put_nowait(instance_id)

    def _keep(self, machine: Machine, *said: str) -> None:
        """Write the machine, and what it says on its console, then hold it."""
        self._file.put(machine, "".join([_line(machine, text) for text in said]))
        self._hold(machine)

    def _hold(self, machine: Machine) -> None:
        self._machines[machine.id] = machine
        self._seen[machine.id] = Observation(
            machine.id,
            machine.power,
            private_address=machine.private_address,
            public_address=self._public_address if machine.power in _PUBLIC else "",
        )
        self._cancel_timer(machine.id)
        if (seconds := self._passing.get(machine.power)) is not None:
            self._arrive_in(seconds, machine.id)

    def _arrive_in(self, seconds: float, instance_id: InstanceId) -> None:
        self._timers[instance_id] = asyncio.get_running_loop().call_later(seconds, self._arrive, instance_id)

    def _arrive(self, instance_id: InstanceId) -> None:
        passage = self._machines[instance_id].power
        try:
            self._befall(instance_id, frozenset({passage}), self._end_of(passage))
        except DriverError as error:
            self._log.warning("%s", error, instance_id=instance_id, detail=error.detail)
            self._arrive_in(_WRITE_AGAIN_SECONDS, instance_id)

    def _put_away(self, machine: Machine) -> None:
        """Leave only the disk of a machine."""
        disk = replace(machine, power=Power.ABSENT)
        self._file.put(disk)
        self._forget(machine.id)
        self._disks[machine.id] = disk

    def _remove(self, instance_id: InstanceId) -> None:
        self._file.drop(instance_id)
        self._forget(instance_id)
        self._disks.pop(instance_id, None)

    def _forget(self, instance_id: InstanceId) -> None:
        self._cancel_timer(instance_id)
        self._machines.pop(instance_id, None)
        self._seen.pop(instance_id, None)

    def _cancel_timer(self, instance_id: InstanceId) -> None:
        if (timer := self._timers.pop(instance_id, None)) is not None:
            timer.cancel()


def _as_told(machine: Machine, spec: LaunchSpec) -> Machine:
    """Return the machine as the spec says; its size only while it is down."""
    told = replace(
        machine,
        hostname=spec.hostname,
        image=spec.image,
        ssh_port=spec.ssh_port,
        private_address=spec.private_address,
        public_addresses=spec.public_addresses,
        firewall=same(tuple(spelled(rule.traffic) for group in spec.groups for rule in group.rules)),
    )
    if machine.power in _PUBLIC:
        return told
    return replace(told, vcpus=spec.vcpus, memory_mib=spec.memory_mib, disk_gib=spec.disk_gib)


def _line(machine: Machine, text: str) -> str:
    """Return what a machine writes to its console."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {machine.hostname}: {text}\r\n"


def _usage(machine: Machine, now: float) -> Sample:
    up, turns = max(0.0, now - machine.started_at), 600 + machine.id % 60
    # The integral of a load that swings between a tenth and three tenths.
    work = 0.2 * up + 0.1 * turns * (1 - cos(up / turns))
    return Sample(
        machine.id,
        cpu_seconds=work * machine.vcpus,
        memory_used_mib=machine.memory_mib * (0.4 + 0.1 * sin(up / turns)),
        disk_read_bytes=int(work * 200_000),
        disk_written_bytes=int(work * 500_000),
        received_bytes=int(work * 1_000_000),
        sent_bytes=int(work * 300_000),
    )


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(host))
    return False
