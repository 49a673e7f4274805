"""One machine of this host: its folder, the process that runs it, and the way from one to the other and back.

A machine that ends by itself is asked why before its process goes: QEMU is told to wait for that. What is learned is
written into its record, so that a gateway which was away meanwhile learns it as well.
"""

import asyncio
import contextlib
import shutil
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from core.compute.qemu import boot, console, disks, machine, process
from core.compute.qemu.accelerator import Accelerator
from core.compute.qemu.command import words
from core.compute.qemu.limits import Limits
from core.compute.qemu.link import Link
from core.compute.qemu.machine import Phase, Record
from core.compute.qemu.network import Traffic
from core.compute.qemu.process import Process, User
from core.compute.qemu.qmp import Event
from core.compute.qemu.serial import Serial
from core.compute.qemu.settings import QemuSettings
from core.compute.qemu.usage import disk_bytes, of_process, require_memory
from core.compute.qemu.wiring import Wiring
from core.ids import InstanceId
from core.instances import Power
from core.ports import DriverCode, DriverError, LaunchSpec, MetadataDoor, Observation, Sample, SerialConsole

PRESS_SECONDS = 2.0
"""How often the power button is pressed: a guest that still boots does not notice. Source: reference/compute.md."""

_START_SECONDS = 30.0
_FIND_AGAIN_SECONDS = 0.2
_QUIT_SECONDS = 3.0
_UNSTICK_SECONDS = 10.0
_LARGEST_SCREEN_BYTES = 16 * 2**20
_MIB = 2**20

_CTRL_ALT_DELETE = [{"type": "qcode", "data": key} for key in ("ctrl", "alt", "delete")]

_POWERS: Mapping[Phase, Power] = {Phase.UP: Power.RUNNING, Phase.STOPPING: Power.STOPPING, Phase.DOWN: Power.STOPPED}

_CRASHES = {
    -signal.SIGKILL: "Its process was killed on its host.",
    None: "Its process ended while nobody watched.",
}

_ENDS = {
    "shutdown": (False, ""),
    "guest-panicked": (True, "The machine's system panicked."),
    "internal-error": (True, "The machine's virtual hardware failed."),
}
"""The states in which QEMU waits with a machine that has ended: whether that is a crash, and the sentence for it."""
_EVENTS_WORTH_A_LOOK = frozenset({"SHUTDOWN", "GUEST_PANICKED", "BLOCK_IO_ERROR", "STOP"})


@dataclass(frozen=True, slots=True)
class Host:
    """What all machines of this host share.

    `address` is what machines are reached by over ssh, if it is one. `hint` is told of a machine worth looking at;
    `boot` names this start of the host.
    """

    settings: QemuSettings
    user: User
    accelerator: Accelerator
    limits: Limits
    wiring: Wiring
    address: str
    metadata: MetadataDoor | None
    hint: Callable[[InstanceId], None]
    boot: str
    reviving: asyncio.Semaphore


class Guest:
    """A machine that has a folder. Verbs of one machine wait for one another; each may be repeated."""

    def __init__(self, host: Host, folder: Path, record: Record) -> None:
        self._host, self._folder, self.record = host, folder, record
        self._verb = asyncio.Lock()
        self._process: Process | None = None
        self._is_reviving = self._is_lost = False
        self._resets = 0
        self._end: tuple[bool, str] | None = None  # crashed, and why: of an end that we know the reason of
        self._tasks: set[asyncio.Task[None]] = set()
        self._metadata: asyncio.Server | None = None
        self._serial: Serial | None = None
        self._log = structlog.get_logger("qemu").bind(instance_id=record.spec.id)
        self._link = Link(folder, self._log, self._heard, lambda: self._spawn(self._look))

    @property
    def id(self) -> InstanceId:
        """The machine's id."""
        return self.record.spec.id

    @property
    def pid(self) -> int | None:
        """The process of a machine that is up."""
        return self._process.pid if self._process else None

    def observation(self) -> Observation:
        """Return how it stands."""
        record = self.record
        power = _POWERS[record.phase]
        if self._is_lost:
            power = Power.UNKNOWN
        elif self._is_reviving:
            power = Power.STARTING
        elif record.phase is Phase.DOWN and record.has_crashed:
            power = Power.CRASHED
        return Observation(
            self.id,
            power,
            private_address=record.spec.private_address,
            public_address="" if record.phase is Phase.DOWN else self._host.address,
            detail=record.detail,
        )

    # --- its life with the gateway's

    async def adopt(self) -> None:
        """Take on a machine as it is found: one that runs goes on, one that has ended meanwhile is known to have.

        One that ran when its host went down is brought up again.

        Raises:
            OSError: its folder cannot be used.
        """
        await asyncio.to_thread(self._clear_away)
        if process.is_alive(self._folder):
            await self._take_on()
        elif self.record.phase is Phase.UP and self.record.boot != self._host.boot:
            self._is_reviving = True
            self._spawn(self._revive)
        elif self.record.phase is not Phase.DOWN:
            has_crashed = self.record.phase is Phase.UP
            self._write(phase=Phase.DOWN, has_crashed=has_crashed, detail=_CRASHES[None] if has_crashed else "")

    def detach(self) -> None:
        """Let go of the machine, which goes on."""
        for task in self._tasks:
            task.cancel()
        self._link.cut()
        if self._metadata is not None:
            self._metadata.close()
        if self._serial is not None:
            self._serial.cut()
        if self._process is not None:
            self._process.leave()

    # --- verbs

    async def start(self) -> None:
        """Bring it up. See `ComputeDriver.start`."""
        async with self._verb:
            if self.record.phase is Phase.DOWN:
                await self._bring_up()

    async def stop(self, *, force: bool) -> None:
        """Shut it down. See `ComputeDriver.stop`."""
        async with self._verb:
            if self.record.phase is Phase.DOWN:
                return
            if force:
                await self._turn_off()
            elif self.record.phase is Phase.UP:
                self._write(phase=Phase.STOPPING, since=time.time())
                self._spawn(self._shut_down)

    async def reboot(self) -> None:
        """Restart its system. See `ComputeDriver.reboot`: by Ctrl+Alt+Delete, and by reset if that does not help."""
        async with self._verb:
            if self.record.phase is Phase.UP:
                resets = self._resets
                await self._link.tell("send-key", {"keys": _CTRL_ALT_DELETE})
                self._spawn(partial(self._reset_unless_it_did, resets))

    async def update(self, spec: LaunchSpec) -> None:
        """Make it as the spec says. See `ComputeDriver.update`.

        Raises:
            DriverError: as there.
        """
        async with self._verb:
            await self._take_over(spec)

    async def rebuild(self, spec: LaunchSpec, make: Callable[[Path], Awaitable[Record]]) -> None:
        """Give it what `make` makes in a folder to boot from. See `ComputeDriver.rebuild`.

        Raises:
            DriverError: as there.
        """
        async with self._verb:
            if self.record.spec.generation == spec.generation:
                await self._take_over(spec)
                return
            new = machine.files_of(self._folder, spec.generation)
            await asyncio.to_thread(self._clear_away)  # of a time before that was cut short
            try:
                made = await make(new)
            except BaseException:
                await asyncio.shield(asyncio.to_thread(self._clear_away))
                raise
            was_up = self.record.phase is Phase.UP
            if self.record.phase is not Phase.DOWN:
                await self._turn_off()
            await asyncio.to_thread(machine.write_for_good, self._folder, made)
            self.record = made
            await asyncio.to_thread(self._clear_away)
            await self._host.wiring.lay(made.spec)
            if was_up:
                await self._bring_up()

    async def end(self) -> None:
        """Turn it off for good; its folder is then the caller's to remove."""
        async with self._verb:
            if self.record.phase is not Phase.DOWN:
                await self._turn_off()
            self.detach()

    # --- what can be asked of it

    def console(self) -> bytes:
        """Return the end of what it wrote to its serial console. It reads files. See `console.read`."""
        return console.read(self._folder)

    async def open_console(self) -> SerialConsole:
        """Return a connection with its serial console. See `ComputeDriver.open_console`.

        Raises:
            DriverError: as there. OSError: it cannot be reached.
        """
        if self._serial is None:
            raise DriverError(DriverCode.CONFLICT, "The machine is not up: start it to use its serial console.")
        return await self._serial.open()

    def trim(self) -> None:
        """Cut its serial log short if it has grown long. It reads and writes files. See `console.trim`."""
        console.trim(self._folder)

    async def screenshot(self) -> bytes:
        """Return its screen as a PNG; nothing if it is down.

        Raises:
            DriverError: UNAVAILABLE, if QEMU does not answer.
        """
        if self.record.phase is Phase.DOWN:
            return b""
        await self._link.tell("screendump", {"filename": machine.SCREEN, "format": "png"})
        return await asyncio.to_thread(machine.read_of_run, self._folder, machine.SCREEN, _LARGEST_SCREEN_BYTES)

    async def sample(self, traffic: Traffic | None) -> Sample | None:
        """Return what it has used, given what its wire has counted; None if it is down, or ends at this moment."""
        if self._process is None:
            return None
        used = self._host.limits.use(self.id) or of_process(self._process.pid)
        with contextlib.suppress(DriverError):
            read, written = disk_bytes(await self._link.tell("query-blockstats"))
            return Sample(
                self.id,
                cpu_seconds=used.cpu_seconds if used else None,
                memory_used_mib=used.memory_mib if used else None,
                disk_read_bytes=read,
                disk_written_bytes=written,
                received_bytes=traffic.received_bytes if traffic else None,
                sent_bytes=traffic.sent_bytes if traffic else None,
            )
        return None

    # --- up

    async def _bring_up(self) -> None:
        """Start its process, and return once that is in order.

        Raises:
            DriverError: it is not; nothing of it is left.
        """
        require_memory(self.record.spec.memory_mib + self._host.settings.reserve_memory_mib)
        await self._host.wiring.lay(self.record.spec)
        try:
            pid = await asyncio.to_thread(self._launch)
        except BlockingIOError:  # it lives, of a start that was cut short
            await self._take_on()
            return
        except OSError as error:
            raise DriverError(
                DriverCode.IMAGE if isinstance(error, FileNotFoundError) else DriverCode.UNAVAILABLE,
                "The machine cannot be started on its host.",
                detail=f"{error.filename or self._host.settings.binary}: {error.strerror or error}",
            ) from error
        await self._attend(pid)
        await self._until_linked()
        self._write(phase=Phase.UP, has_crashed=False, detail="", boot=self._host.boot)
        self._spawn(self._look)  # it may have met its end before it counted as up

    def _launch(self) -> int:
        """Start QEMU. It reads files and forks, and so is for a thread."""
        host, spec = self._host, self.record.spec
        size_bytes = disks.size_bytes(machine.files_of(self._folder, spec.generation) / machine.DISK)
        with boot.plugged(self._folder, self.record) as plugged, host.wiring.plug(spec) as cards:
            with_cards = replace(plugged, network=cards.words)
            command = words(host.settings.binary, spec, host.accelerator.arguments, with_cards)
            descriptors = [*plugged.descriptors, *cards.descriptors]
            return process.start(self._folder, command, host.user, descriptors, size_bytes)

    async def _attend(self, pid: int) -> None:
        """Watch a process of ours, and talk with it."""
        self._end = None
        self._process = Process(pid, self._gone)
        self._serial = Serial(self._folder, pid, self._link)
        self._bound(pid)
        await self._answer_about_itself()
        self._link.keep(self._process)

    def _bound(self, pid: int) -> None:
        """Hold its process to what its renter pays for."""
        spec = self.record.spec
        try:
            self._host.limits.place(pid, self.id, spec.vcpus, spec.memory_mib)
        except OSError as error:  # it has ended already, or runs without bounds: it need not end for that
            self._log.warning("its process cannot be bounded: %s", error.strerror or error)

    async def _until_linked(self) -> None:
        running = self._process
        assert running is not None, "it was just started"
        linked, ended = asyncio.create_task(self._link.is_up.wait()), asyncio.create_task(running.ended.wait())
        try:
            await asyncio.wait((linked, ended), timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            linked.cancel()
            ended.cancel()
        if running.ended.is_set():
            raise process.refusal(await asyncio.to_thread(process.complaint, self._folder))
        if not self._link.is_up.is_set():
            await self._turn_off()
            detail = f"QEMU did not answer within {_START_SECONDS:g} seconds"
            raise DriverError(DriverCode.TIMEOUT, "The machine's host takes too long to start it.", detail=detail)

    async def _take_on(self) -> None:
        """Find the process of a machine that lives."""
        pid = await asyncio.to_thread(process.find, self._folder, self.id, self._host.user)
        if pid is None:
            # Started a moment before the gateway was killed, it may not have said its pid yet.
            self._is_lost = True
            self._spawn(self._find_again)
            return
        self._is_lost = False
        if self.record.phase is Phase.DOWN:
            self._write(phase=Phase.UP, has_crashed=False, detail="", boot=self._host.boot)
        try:
            await self._attend(pid)
        except ProcessLookupError:  # it ended at this moment
            await self.adopt()
            return
        if self.record.phase is Phase.STOPPING:
            self._spawn(self._shut_down)

    async def _find_again(self) -> None:
        await asyncio.sleep(_FIND_AGAIN_SECONDS)
        await self.adopt()
        self._host.hint(self.id)

    async def _revive(self) -> None:
        """Bring up again what ran when the host went down."""
        async with self._verb, self._host.reviving:
            try:
                self._write(phase=Phase.DOWN)
                await self._bring_up()
                self._log.info("brought up again after a restart of the host")
            except DriverError as error:
                self._log.warning("cannot be brought up after a restart of the host: %s", error, detail=error.detail)
                self._write(has_crashed=True, detail="Its host was restarted.")
            finally:
                self._is_reviving = False
                self._host.hint(self.id)

    # --- what it says

    def _heard(self, event: Event) -> None:
        if event["event"] == "RESET":
            self._resets += 1
        elif event["event"] in _EVENTS_WORTH_A_LOOK:
            self._spawn(self._look)

    async def _look(self) -> None:
        """See whether it has ended by itself, or stands still, and do what follows."""
        with contextlib.suppress(DriverError):
            status = (await self._link.tell("query-status"))["status"]
            if status == "io-error":
                await self._unstick()
            elif status in _ENDS:
                async with self._verb:
                    if self._process is not None:
                        await self._turn_off(*_ENDS[status])

    async def _unstick(self) -> None:
        """Let it go on that waits because its disk could not be written, as on a full host: QEMU then tries again."""
        free_mib = shutil.disk_usage(self._folder).free // _MIB
        self._log.warning("its disk cannot be written; it waits until that works again", free_mib=free_mib)
        await asyncio.sleep(_UNSTICK_SECONDS)
        await self._link.tell("cont")

    async def _answer_about_itself(self) -> None:
        """Answer where its calls to the metadata address are led."""
        if self._host.metadata is None:
            return
        try:
            await self._open_door(partial(self._host.metadata, self.id))
        except OSError as error:  # as on a full disk: it need not end for that
            self._log.warning("it cannot ask about itself: %s", error.strerror or error)

    async def _open_door(self, answering: Callable[[], asyncio.BaseProtocol]) -> None:
        with machine.opened(self._folder / machine.RUN) as run, socket.socket(socket.AF_UNIX) as door:
            path = Path(f"/proc/self/fd/{run}", machine.METADATA)
            path.unlink(missing_ok=True)  # noqa: ASYNC240  a name in a folder: microseconds
            door.bind(str(path))
            self._host.user.own(path)
            loop = asyncio.get_running_loop()
            self._metadata = await loop.create_unix_server(answering, sock=door.dup())

    # --- down

    async def _turn_off(self, has_crashed: bool = False, detail: str = "") -> None:  # noqa: FBT001, FBT002  from a table
        """End its process and return once it is gone.

        Raises:
            DriverError: TIMEOUT, if it does not go.
        """
        running = self._process
        if running is None:
            raise DriverError(DriverCode.UNAVAILABLE, "The machine's process has not been found yet.")
        self._end = has_crashed, detail
        with contextlib.suppress(DriverError):
            await self._link.tell("quit", seconds=_QUIT_SECONDS)
            await running.has_ended(_QUIT_SECONDS)
        running.kill()
        if not await running.has_ended(_START_SECONDS):
            detail = f"process {running.pid} does not end"
            raise DriverError(DriverCode.TIMEOUT, "The machine does not end.", detail=detail)

    def _gone(self) -> None:
        """Take note that its process has ended."""
        ended, self._process = self._process, None
        self._link.cut()
        self._serial = None  # who looks on reads its last words, and then the end
        if self._metadata is not None:
            self._metadata.close()
            self._metadata = None
        with contextlib.suppress(OSError):  # what it started may take a moment to end; the next start finds it there
            self._host.limits.remove(self.id)
        if self.record.phase is Phase.DOWN:
            return  # it did not get so far as to be up
        has_crashed, detail = self._end or self._fate(ended)
        self._write(phase=Phase.DOWN, has_crashed=has_crashed, detail=detail)
        self._host.hint(self.id)

    def _fate(self, ended: Process | None) -> tuple[bool, str]:
        """Return whether a machine whose process ended by itself has crashed, and why."""
        if self.record.phase is Phase.STOPPING:
            return False, ""
        self._log.warning("its process ended by itself", said=process.complaint(self._folder) or None)
        return True, _CRASHES.get(ended.exit_code if ended else None, "Its process ended unexpectedly on its host.")

    async def _shut_down(self) -> None:
        """Press its power button until it is down, and turn it off when the grace is over."""
        grace = self._host.settings.stop_seconds
        deadline = time.monotonic() + min(grace, max(0.0, self.record.since + grace - time.time()))
        while (left := deadline - time.monotonic()) > 0 and (running := self._process) is not None:
            with contextlib.suppress(DriverError):
                await self._link.tell("system_powerdown")
            await running.has_ended(min(PRESS_SECONDS, left))
        async with self._verb:
            if self.record.phase is Phase.STOPPING and self._process is not None:
                self._log.info("did not shut down in time and is turned off", grace_seconds=grace)
                await self._turn_off()

    async def _reset_unless_it_did(self, resets: int) -> None:
        running = self._process
        if running is None or await running.has_ended(self._host.settings.stop_seconds):
            return
        if self._resets == resets:
            self._log.info("did not restart when asked and is reset")
            with contextlib.suppress(DriverError):
                await self._link.tell("system_reset")

    # --- its record

    async def _take_over(self, spec: LaunchSpec) -> None:
        now, told = self.record.spec, machine.without_secrets(spec)
        told = replace(told, generation=now.generation, image=now.image)
        if self.record.phase is not Phase.DOWN:
            told = replace(told, vcpus=now.vcpus, memory_mib=now.memory_mib, disk_gib=now.disk_gib)
            await self._move_forward(self._host.wiring.forward(now), self._host.wiring.forward(told))
        elif told.disk_gib > now.disk_gib:
            await disks.grow(machine.files_of(self._folder, now.generation) / machine.DISK, told.disk_gib)
        self._write(spec=told)
        await self._host.wiring.lay(told)

    async def _move_forward(self, old: str, new: str) -> None:
        """Let ssh in by another port, or no longer, while it runs."""
        if old == new:
            return
        if old:
            await self._link.tell("human-monitor-command", {"command-line": f"hostfwd_remove {old}"})
        if new:
            said = await self._link.tell("human-monitor-command", {"command-line": f"hostfwd_add {new}-:22"})
            if said:
                raise process.refusal(said)

    def _clear_away(self) -> None:
        """Remove what disks it has beside its own: one that was replaced, or never finished. It removes files."""
        own = machine.files_of(self._folder, self.record.spec.generation)
        for files in self._folder.iterdir():
            if files.name.isdecimal() and files != own:
                shutil.rmtree(files, ignore_errors=True)

    def _write(self, **changes: object) -> None:
        """Change its record. A host whose disk is full must not keep a machine from ending: memory knows, then."""
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]  # by the record's own names
        try:
            machine.write(self._folder, self.record)
        except OSError as error:
            self._log.warning("its record cannot be written: %s", error.strerror or error)

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something beside the verbs, until it is done or we let go of the machine."""
        task = asyncio.create_task(self._survive(work), name=f"guest {self.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _survive(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except DriverError as error:
            self._log.warning("%s", error, detail=error.detail or None)
