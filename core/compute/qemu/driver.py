"""The driver whose machines are virtual machines of this host, each a process of QEMU."""

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import structlog

from core.compute.qemu import accelerator, boot, disks, limits, machine, usage
from core.compute.qemu.guest import Guest, Host
from core.compute.qemu.inspection import require_network, require_program
from core.compute.qemu.library import Library
from core.compute.qemu.machine import Record
from core.compute.qemu.process import User, user_named
from core.compute.qemu.settings import QemuSettings
from core.compute.qemu.wiring import Alone, Routed, Wiring
from core.compute.site import Site
from core.ids import InstanceId
from core.instances import Power
from core.ports import DriverCode, DriverError, LaunchSpec, MetadataDoor, Observation, Sample, SerialConsole
from core.ports import Host as MachineHost

MACHINES, DISKS = "machines", "disks"
_NEW, _GONE = ".new-", ".gone-"
_PASSABLE = 0o711
_PRIVATE = 0o700
_TRIM_SECONDS = 5.0
_ADOPTED_AT_ONCE, _REVIVED_AT_ONCE, _SAMPLED_AT_ONCE = 32, 4, 32
_ARCHITECTURE = "x86_64"


class QemuDriver:
    """See `ComputeDriver`. Everything about a machine is in its folder, and its process outlives the gateway."""

    name = "qemu"

    def __init__(self, settings: QemuSettings, site: Site) -> None:
        self._settings, self._site = settings, site
        self._library = Library(site)
        self._machines, self._disks = site.data_dir / MACHINES, site.data_dir / DISKS
        self._guests: dict[InstanceId, Guest] = {}
        self._making: dict[InstanceId, asyncio.Lock] = {}
        self._events: asyncio.Queue[InstanceId] = asyncio.Queue()
        self._host: Host | None = None
        self._trimming: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("qemu")

    @property
    def notice(self) -> str:
        """See `ComputeDriver.notice`."""
        if self._host is None or self._host.accelerator.name == "kvm":
            return ""
        return self._host.accelerator.why

    # --- its life

    async def open(self, metadata: MetadataDoor | None = None) -> None:
        """See `ComputeDriver.open`.

        Raises:
            DriverError: UNAVAILABLE, if machines cannot be run here at all; the detail says what to do.
        """
        with _refusing("The host cannot run machines."):
            await asyncio.to_thread(require_program, self._settings.binary)
            require_network(self._settings, self._site)
            user = user_named(self._settings.user)
            for folder, mode in ((self._machines, _PASSABLE), (self._disks, _PRIVATE)):
                folder.mkdir(exist_ok=True)
                folder.chmod(mode)
            self._host = await self._get_ready(user, metadata)
            self._host.wiring.open()
            await self._adopt_all()
            await self._host.wiring.refresh()  # not before: machines without rules are cut off
            await asyncio.to_thread(self._host.limits.keep_only, [*self._guests])
        self._trimming = asyncio.create_task(self._trim_logs(), name="serial logs")

    async def close(self) -> None:
        """See `ComputeDriver.close`."""
        if self._trimming is not None:
            self._trimming.cancel()
        for guest in self._guests.values():
            guest.detach()
        self._guests.clear()

    async def _get_ready(self, user: User, metadata: MetadataDoor | None) -> Host:
        sample = await asyncio.to_thread(self._library.any_with_kernel)
        chosen = await accelerator.choose(
            self._settings.binary,
            self._settings.accelerator,
            sample,
            cache=self._site.data_dir / "accelerator.json",
            user=user,
        )
        self._log.info("%s", chosen.why, accelerator=chosen.name, user=user.name)
        # Other gateways of this host have machines of the same numbers.
        whose = sha256(bytes(self._site.data_dir.resolve())).hexdigest()[:8]
        bounds = await asyncio.to_thread(limits.found, prefix=f"{whose}-")
        if bounds.notice:
            self._log.warning("%s", bounds.notice)
        return Host(
            settings=self._settings,
            user=user,
            accelerator=chosen,
            limits=bounds,
            wiring=self._wiring(),
            address=_address(self._site.ssh_host),
            metadata=metadata,
            hint=self._events.put_nowait,
            boot=_boot(),
            reviving=asyncio.Semaphore(_REVIVED_AT_ONCE),
        )

    def _wiring(self) -> Wiring:
        if self._settings.network == "user":
            return Alone(self._site.ssh_host)
        return Routed(self._settings, self._site.ssh_host, self._specs)

    def _specs(self) -> Collection[LaunchSpec]:
        return [guest.record.spec for guest in self._guests.values()]

    async def _adopt_all(self) -> None:
        """Take on every machine that has a folder, and clear away what was never whole or half removed."""
        for folder in await asyncio.to_thread(lambda: list(self._machines.iterdir())):
            if folder.name.startswith((_NEW, _GONE)):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            elif folder.name.isdecimal():
                await self._adopt(folder)

    async def _adopt(self, folder: Path) -> None:
        try:
            record = await asyncio.to_thread(machine.read, folder)
            guest = self._guests[record.spec.id] = Guest(self._opened, folder, record)
            await guest.adopt()
        except (OSError, ValueError) as error:
            self._log.error("a machine's folder cannot be used; it is left alone: %s", error, folder=folder.name)

    @property
    def _opened(self) -> Host:
        assert self._host is not None, "the driver is not open"
        return self._host

    # --- looking

    async def observe(self, instance_id: InstanceId) -> Observation:
        """See `ComputeDriver.observe`."""
        guest = self._guests.get(instance_id)
        return Observation(instance_id, Power.ABSENT) if guest is None else guest.observation()

    async def observe_all(self) -> Mapping[InstanceId, Observation]:
        """See `ComputeDriver.observe_all`. A machine whose folder was removed by hand is gone."""
        await self._opened.wiring.mend()
        there = await asyncio.to_thread(lambda: {entry.name for entry in os.scandir(self._machines)})
        for guest in [guest for guest in self._guests.values() if str(guest.id) not in there]:
            self._log.error("a machine's folder has vanished", instance_id=guest.id)
            await guest.end()
            self._guests.pop(guest.id, None)
            await self._opened.wiring.cut(guest.id)
        return {guest.id: guest.observation() for guest in self._guests.values()}

    async def events(self) -> AsyncIterator[InstanceId]:
        """See `ComputeDriver.events`. There is one queue: two listeners share its hints."""
        while True:
            yield await self._events.get()

    async def console_log(self, instance_id: InstanceId) -> bytes:
        """See `ComputeDriver.console_log`."""
        guest = self._guests.get(instance_id)
        with _refusing("The machine's console cannot be read now."):
            return b"" if guest is None else await asyncio.to_thread(guest.console)

    async def screenshot(self, instance_id: InstanceId) -> bytes:
        """See `ComputeDriver.screenshot`."""
        guest = self._guests.get(instance_id)
        with _refusing("The machine's screen cannot be read now."):
            return b"" if guest is None else await guest.screenshot()

    async def open_console(self, instance_id: InstanceId) -> SerialConsole:
        """See `ComputeDriver.open_console`."""
        guest = self._guests.get(instance_id)
        if guest is None:
            raise DriverError(DriverCode.CONFLICT, "There is no such machine any more.")
        with _refusing("The machine's serial console cannot be reached now."):
            return await guest.open_console()

    async def hosts(self) -> Sequence[MachineHost]:
        """See `ComputeDriver.hosts`. There is one: this host."""
        with _refusing("The host cannot be looked at now."):
            return [await asyncio.to_thread(self._look_at_host)]

    def _look_at_host(self) -> MachineHost:
        host = usage.host_of(self._machines, self._opened.accelerator.name)
        return replace(host, machines=len(self._guests), detail=" ".join(self._shortcomings()))

    def _shortcomings(self) -> Iterator[str]:
        """Yield what is not as it should be on this host, in sentences for the operator."""
        if not self._opened.accelerator.is_as_wished:
            yield self._opened.accelerator.why
        if self._opened.limits.notice:
            yield self._opened.limits.notice
        try:
            disks.require_room(self._machines, self._settings.reserve_disk_mib)
            usage.require_memory(self._settings.reserve_memory_mib)
        except DriverError as error:
            yield f"{error} {error.detail}."

    async def samples(self) -> Sequence[Sample]:
        """See `ComputeDriver.samples`. The processor's time and the memory are those of the machine's process."""
        at_once, traffic = asyncio.Semaphore(_SAMPLED_AT_ONCE), self._opened.wiring.traffic()

        async def sample(guest: Guest) -> Sample | None:
            async with at_once:
                return await guest.sample(traffic.get(guest.id))

        taken = await asyncio.gather(*(sample(guest) for guest in self._guests.values()))
        return [each for each in taken if each is not None]

    # --- changing

    async def ensure(self, spec: LaunchSpec) -> Observation:
        """See `ComputeDriver.ensure`."""
        async with self._making.setdefault(spec.id, asyncio.Lock()):
            if spec.id not in self._guests:
                await self._make(spec)
        self._making.pop(spec.id, None)
        return await self.observe(spec.id)

    async def start(self, instance_id: InstanceId) -> Observation:
        """See `ComputeDriver.start`."""
        if (guest := self._guests.get(instance_id)) is not None:
            await guest.start()
        return await self.observe(instance_id)

    async def stop(self, instance_id: InstanceId, *, force: bool) -> Observation:
        """See `ComputeDriver.stop`."""
        if (guest := self._guests.get(instance_id)) is not None:
            await guest.stop(force=force)
        return await self.observe(instance_id)

    async def reboot(self, instance_id: InstanceId) -> Observation:
        """See `ComputeDriver.reboot`."""
        if (guest := self._guests.get(instance_id)) is not None:
            await guest.reboot()
        return await self.observe(instance_id)

    async def update(self, spec: LaunchSpec) -> Observation:
        """See `ComputeDriver.update`. Password and keys are for the first boot: they are not changed after it."""
        if (guest := self._guests.get(spec.id)) is not None:
            await guest.update(spec)
        return await self.observe(spec.id)

    async def rebuild(self, spec: LaunchSpec) -> Observation:
        """See `ComputeDriver.rebuild`."""
        if (guest := self._guests.get(spec.id)) is not None:
            with _refusing("The machine's disk cannot be made."):
                await guest.rebuild(spec, lambda files: self._make_boot(files, spec))
        return await self.observe(spec.id)

    async def destroy(self, instance_id: InstanceId, *, keeps_disk: bool = False) -> Observation:
        """See `ComputeDriver.destroy`."""
        guest = self._guests.get(instance_id)
        with _refusing("The machine's files cannot be removed."):
            if guest is not None:
                await guest.end()
                await asyncio.to_thread(self._remove, guest.record, keeps_disk=keeps_disk)
                self._guests.pop(instance_id, None)
                await self._opened.wiring.cut(instance_id)
            if not keeps_disk:
                await asyncio.to_thread(self._kept(instance_id).unlink, missing_ok=True)
        return await self.observe(instance_id)

    # --- how it is done

    async def _make(self, spec: LaunchSpec) -> None:
        """Make a machine's folder aside, and give it its name when it is whole."""
        _require_fit(spec)
        new = self._machines / f"{_NEW}{spec.id}"
        with _refusing("The machine cannot be made."):
            await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
            disks.require_room(self._machines, self._settings.reserve_disk_mib)
            try:
                new.mkdir()
                record = await self._make_boot(machine.files_of(new, spec.generation), spec)
                folder = self._machines / str(spec.id)
                await asyncio.to_thread(self._settle, new, folder, record)
            except BaseException:
                await asyncio.shield(asyncio.to_thread(shutil.rmtree, new, ignore_errors=True))
                raise
        self._guests[spec.id] = Guest(self._opened, folder, record)

    async def _make_boot(self, files: Path, spec: LaunchSpec) -> Record:
        image = await asyncio.to_thread(self._library.files, spec.image)
        wiring = self._opened.wiring
        return await boot.make(files, image, spec, relay=wiring.needs_relay, static=wiring.static_address(spec))

    def _settle(self, new: Path, folder: Path, record: Record) -> None:
        (new / machine.RUN).mkdir(mode=_PRIVATE)
        self._opened.user.own(new / machine.RUN)
        machine.write_for_good(new, record)
        new.chmod(_PASSABLE)
        new.rename(folder)
        machine.sync(self._machines)

    def _remove(self, record: Record, *, keeps_disk: bool) -> None:
        folder, gone = self._machines / str(record.spec.id), self._machines / f"{_GONE}{record.spec.id}"
        shutil.rmtree(gone, ignore_errors=True)
        if keeps_disk:
            disk = machine.files_of(folder, record.spec.generation) / machine.DISK
            with contextlib.suppress(FileNotFoundError):
                disk.rename(self._kept(record.spec.id))
        with contextlib.suppress(FileNotFoundError):
            folder.rename(gone)
            machine.sync(self._machines)
        shutil.rmtree(gone, ignore_errors=True)

    def _kept(self, instance_id: InstanceId) -> Path:
        return self._disks / f"{instance_id}.qcow2"

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(_TRIM_SECONDS)
            for guest in list(self._guests.values()):
                if guest.pid is not None:
                    with contextlib.suppress(OSError):  # a full disk; the console goes on growing until it has room
                        await asyncio.to_thread(guest.trim)


def _require_fit(spec: LaunchSpec) -> None:
    """Return if this host can run such a machine.

    Raises:
        DriverError: INVALID.
    """
    if spec.architecture != _ARCHITECTURE:
        raise DriverError(DriverCode.INVALID, f"This host runs {_ARCHITECTURE} machines, not {spec.architecture}.")
    if spec.gpus:
        raise DriverError(DriverCode.INVALID, "This host has no GPU to give to a machine.")


@contextmanager
def _refusing(message: str) -> Iterator[None]:
    """Turn what the system or a setting is to blame for into the driver's refusal."""
    try:
        yield
    except OSError as error:
        detail = f"{error.filename or 'the system'}: {error.strerror or error}"
        code = DriverCode.CAPACITY if error.errno == errno.ENOSPC else DriverCode.UNAVAILABLE
        raise DriverError(code, message, detail=detail) from error
    except ValueError as error:
        raise DriverError(DriverCode.UNAVAILABLE, message, detail=str(error)) from error


def _boot() -> str:
    """Return what names this start of the host. Source: Linux, random(4)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _address(host: str) -> str:
    with contextlib.suppress(ValueError):
        return str(ip_address(host))
    return ""
