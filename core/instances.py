"""One machine: what its renter wants of it, what the driver last saw, and what follows from the two.

The wanted and the observed side are stored apart. A verb of a caller moves the wanted side by `after_start` and its
sisters; what a driver sees moves the observed side by `absorb`. The lifecycle state is read off both by `STATES`.
"""

import re
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from core.errors import IncorrectState, InvalidRequest, Protected
from core.ids import AccountId, ImageId, InstanceId, OrderId, ProductId, SecurityGroupId, ZoneId

VISIBLE_AFTER_END = timedelta(hours=1)
"""How long a terminated instance is still described."""


class Wanted(StrEnum):
    """What the renter asked for last."""

    RUNNING = "running"
    STOPPED = "stopped"
    TERMINATED = "terminated"


class Power(StrEnum):
    """What a driver can see of a machine."""

    ABSENT = "absent"  # the backend answered and has no such machine
    CREATING = "creating"
    STOPPED = "stopped"  # clean: the disk is kept
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    CRASHED = "crashed"  # gone without a shutdown; the disk is kept
    UNKNOWN = "unknown"  # the backend did not answer: never treated as absent or stopped


class State(StrEnum):
    """Where a machine is in its life, as every front-end tells it."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"


class Cause(StrEnum):
    """Why a machine last changed course."""

    USER = "user"  # its renter asked
    GUEST = "guest"  # its operating system shut itself down
    CRASH = "crash"
    LAUNCH_FAILED = "launch-failed"
    NO_CAPACITY = "no-capacity"
    LOST = "lost"  # it no longer exists where it stood


class ShutdownBehaviour(StrEnum):
    """What a shutdown from inside the machine means."""

    STOP = "stop"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class MetadataService:
    """How a machine may ask about itself."""

    is_enabled: bool = True
    needs_token: bool = False
    hop_limit: int = 1
    shows_tags: bool = False


STANDARD_METADATA = MetadataService()


@dataclass(frozen=True, slots=True)
class Options:
    """What a renter may set on a machine at any time. An empty host name stands for the one that it is given."""

    hostname: str = ""
    is_protected: bool = False  # from being terminated
    is_stop_protected: bool = False
    is_source_checked: bool = True
    is_monitored: bool = False
    keeps_disk: bool = False
    metadata: MetadataService = STANDARD_METADATA


STANDARD_OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the first so many hours of a rental cost; after them the price changed."""

    hours: int
    cost: Decimal


_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_LONGEST_HOSTNAME = 253


@dataclass(frozen=True, slots=True)
class Instance:
    """A rented machine.

    `observed` is None until a driver has accepted it. `ended_at` is when its rental ended, `terminated_at` when the
    driver confirmed that the machine is gone; until then it occupies its capacity, private address and ssh port.
    `detail` is a sentence for the renter that goes with `cause`.

    `version` counts the changes of what the driver was told of it, and `applied` is the last that the driver took over;
    likewise `generation` and `built` for its disk, which each reinstallation makes anew.

    It is charged by terms of `term_hours`. `checkpoints` tell what its hours had come to whenever its price changed.
    """

    id: InstanceId
    order_id: OrderId
    account_id: AccountId
    product_id: ProductId
    zone_id: ZoneId
    image_id: ImageId
    launch_index: int
    hourly_price: Decimal
    ssh_port: int
    shutdown_behaviour: ShutdownBehaviour
    launched_at: datetime
    wanted: Wanted = Wanted.RUNNING
    observed: Power | None = None
    is_forced: bool = False  # the stop that is wanted must not wait for the system inside
    needs_reboot: bool = False
    has_failed: bool = False
    cause: Cause | None = None
    detail: str = ""
    changed_at: datetime | None = None
    ended_at: datetime | None = None
    terminated_at: datetime | None = None
    private_address: str = ""
    public_address: str = ""
    group_ids: tuple[SecurityGroupId, ...] = ()
    options: Options = STANDARD_OPTIONS
    version: int = 0
    applied: int = 0
    generation: int = 0
    built: int = 0
    term_hours: int = 1
    has_user_data: bool = False  # of its own, in place of its order's
    has_password: bool = False
    checkpoints: tuple[Checkpoint, ...] = ()

    @property
    def hostname(self) -> str:
        """The name that the machine is given."""
        return self.options.hostname or f"m{self.id}"

    @property
    def state(self) -> State:
        """The lifecycle state."""
        return STATES[self.wanted, self.observed]

    @property
    def has_ended(self) -> bool:
        """Whether its rental is over, although the machine may still be shutting down."""
        return self.wanted is Wanted.TERMINATED

    @property
    def is_launching(self) -> bool:
        """Whether it has yet to be up for the first time.

        Whoever has been up comes back to starting only after a change of what is wanted (see `absorb`).
        """
        return self.wanted is Wanted.RUNNING and self.changed_at is None and self.observed is not Power.RUNNING

    @property
    def is_at_rest(self) -> bool:
        """Whether it is as its renter asked, as far as the driver was seen last."""
        return self.state in _AT_REST and not (self.needs_reboot or self.needs_work)

    @property
    def needs_work(self) -> bool:
        """Whether the driver has yet to take over a change of it; nothing is changed on what has ended."""
        is_behind = self.version != self.applied or self.generation != self.built
        return is_behind and self.wanted is not Wanted.TERMINATED

    @property
    def is_gone(self) -> bool:
        """Whether the driver has confirmed its end; what it occupied is free again."""
        return self.terminated_at is not None

    def is_visible(self, now: datetime) -> bool:
        """Whether it is still described: always while it lives, and for a while after its end."""
        return self.terminated_at is None or now < self.terminated_at + VISIBLE_AFTER_END


def _states() -> dict[tuple[Wanted, Power | None], State]:
    """Return the lifecycle state for every pair of wanted and observed."""
    table: dict[tuple[Wanted, Power | None], State] = {}
    for power in (None, *Power):
        table[Wanted.RUNNING, power] = State.PENDING
        table[Wanted.STOPPED, power] = State.STOPPING
        table[Wanted.TERMINATED, power] = State.SHUTTING_DOWN
    table[Wanted.RUNNING, Power.RUNNING] = State.RUNNING
    table[Wanted.STOPPED, Power.STOPPED] = State.STOPPED
    table[Wanted.STOPPED, Power.CRASHED] = State.STOPPED
    table[Wanted.TERMINATED, Power.ABSENT] = State.TERMINATED
    return table


STATES = _states()

_AT_REST = frozenset({State.RUNNING, State.STOPPED, State.TERMINATED})
_NAMES = tuple(field.name for field in fields(Instance))
_PLACES = {name: place for place, name in enumerate(_NAMES)}
_VALUES = attrgetter(*_NAMES)


def changed(instance: Instance, **changes: object) -> Instance:
    """Return the instance with some fields changed; as `dataclasses.replace`, in a third of its time."""
    values = list(_VALUES(instance))
    for name, value in changes.items():
        values[_PLACES[name]] = value
    return Instance(*values)


STARTABLE = frozenset({State.STOPPED, State.PENDING, State.RUNNING})
STOPPABLE = frozenset({State.RUNNING, State.STOPPING, State.STOPPED})
REBOOTABLE = frozenset({State.RUNNING})
CHANGEABLE = frozenset({State.PENDING, State.RUNNING, State.STOPPING, State.STOPPED})
RESIZABLE = frozenset({State.STOPPED})
REINSTALLABLE = frozenset({State.RUNNING, State.STOPPED})


def after_start(instance: Instance, now: datetime) -> Instance:
    """Return the instance once its renter asked to start it; starting what runs changes nothing.

    Raises:
        IncorrectState: it is stopping or has ended.
    """
    _require(instance, STARTABLE, "start")
    if instance.wanted is Wanted.RUNNING:
        return instance
    return changed(instance, wanted=Wanted.RUNNING, is_forced=False, cause=None, detail="", changed_at=now)


def after_stop(instance: Instance, now: datetime, *, is_forced: bool = False) -> Instance:
    """Return the instance once its renter asked to stop it; stopping what stops changes nothing but may force it.

    Raises:
        IncorrectState: it is not up yet, or has ended.
        Protected: its renter protected it from that.
    """
    _require(instance, STOPPABLE, "stop")
    if instance.options.is_stop_protected:
        raise Protected(instance.id, "stop")
    if instance.wanted is Wanted.STOPPED:
        return changed(instance, is_forced=instance.is_forced or is_forced)
    return changed(
        instance,
        wanted=Wanted.STOPPED,
        is_forced=is_forced,
        cause=Cause.USER,
        detail="",
        changed_at=now,
        needs_reboot=False,
    )


def after_reboot(instance: Instance) -> Instance:
    """Return the instance once its renter asked to reboot it.

    Raises:
        IncorrectState: it does not run.
    """
    _require(instance, REBOOTABLE, "reboot")
    return changed(instance, needs_reboot=True)


def after_terminate(instance: Instance, now: datetime) -> Instance:
    """Return the instance once its renter asked to end it; ending what has ended changes nothing.

    Raises:
        Protected: its renter protected it from that.
    """
    if instance.has_ended:
        return instance
    if instance.options.is_protected:
        raise Protected(instance.id, "terminate")
    return _ended(instance, now, Cause.USER, "")


def after_setting(instance: Instance, options: Options) -> Instance:
    """Return the instance with other options.

    Raises:
        IncorrectState: it has ended.
    """
    _require(instance, CHANGEABLE, "change")
    if options == instance.options:
        return instance
    after = changed(instance, options=options)
    return with_news(after) if _told(options) != _told(instance.options) else after


def with_news(instance: Instance) -> Instance:
    """Return the instance once something has changed that its driver must know, about it or what it belongs to."""
    return changed(instance, version=instance.version + 1)


def after_moving_port(instance: Instance, ssh_port: int) -> Instance:
    """Return the instance once it is to be reached by ssh through another port."""
    return with_news(changed(instance, ssh_port=ssh_port))


def after_reinstall(instance: Instance, image_id: ImageId) -> Instance:
    """Return the instance once its renter asked for a new disk with this image; all that was on the old one is lost.

    Raises:
        IncorrectState: it is on its way up or down, or has ended.
    """
    _require(instance, REINSTALLABLE, "reinstall")
    return changed(instance, image_id=image_id, generation=instance.generation + 1)


def require_changeable(instance: Instance) -> None:
    """Return if something about the instance may be changed.

    Raises:
        IncorrectState: it has ended.
    """
    _require(instance, CHANGEABLE, "change")


def require_resizable(instance: Instance) -> None:
    """Return if the instance may become one of another product.

    Raises:
        IncorrectState: it is not stopped.
    """
    _require(instance, RESIZABLE, "change the type of")


def checked_hostname(text: str) -> str:
    """Return the text if a machine can be called so.

    Raises:
        InvalidRequest: it is no host name.
    """
    if len(text) > _LONGEST_HOSTNAME or not _HOSTNAME.fullmatch(text):
        raise InvalidRequest("hostname", text, "letters, digits and hyphens, in parts of at most 63 between dots")
    return text


def after_work(instance: Instance, version: int, generation: int) -> Instance:
    """Return the instance once the driver has taken it over as it was at this version and generation."""
    if (instance.applied, instance.built) == (version, generation):
        return instance
    return changed(instance, applied=version, built=generation)


def after_failure(instance: Instance, now: datetime, cause: Cause, detail: str) -> Instance:
    """Return the instance once starting it was given up.

    One that was being launched ends, and nothing is charged for it. One that has been up before stays stopped: its disk
    is its renter's.
    """
    if instance.is_launching:
        return changed(_ended(instance, now, cause, detail), has_failed=True)
    is_to_come_up = instance.wanted is Wanted.RUNNING and instance.observed is not Power.RUNNING
    return _stopped(instance, now, cause, detail) if is_to_come_up else instance


def after_failed_rebuild(instance: Instance, power: Power, now: datetime, cause: Cause, detail: str) -> Instance:
    """Return the instance once giving it a new disk was given up, its machine being seen at `power`.

    One that ran and was left down stays stopped: it has not shut itself down, whatever that would mean for it.
    """
    if instance.wanted is not Wanted.RUNNING or instance.observed is not Power.RUNNING or power not in _DOWN:
        return instance
    return absorb(_stopped(instance, now, cause, detail), power, now)


def after_rebooting(instance: Instance) -> Instance:
    """Return the instance once the reboot that was asked for is done, or given up."""
    return changed(instance, needs_reboot=False) if instance.needs_reboot else instance


def absorb(
    instance: Instance,
    power: Power,
    now: datetime,
    *,
    private_address: str = "",
    public_address: str = "",
    detail: str = "",
) -> Instance:
    """Return the instance once a driver has seen its machine at `power`; the same object if that is no news.

    A machine that was up and goes down without being asked has shut itself down or crashed: the wanted side follows, by
    its shutdown behaviour. One that crashes before it was up for the first time has failed to launch. One that has
    vanished has ended. One that is being reinstalled goes on running, to its renter. A machine keeps its private
    address; one that is down loses its public one. `Power.UNKNOWN` tells nothing and changes nothing. `detail` is a
    sentence on why it crashed, where that is known.
    """
    if instance.is_gone or power is Power.UNKNOWN:
        return instance
    if power is Power.ABSENT:
        return _vanished(instance, now)
    if instance.observed is Power.RUNNING and (power in _COMING_UP or _is_down_for_work(instance, power)):
        return instance  # it restarts: to its renter it goes on running
    seen = changed(
        instance,
        observed=power,
        private_address=instance.private_address or private_address,
        public_address=public_address or ("" if power in _DOWN else instance.public_address),
    )
    if seen == instance:
        return instance
    return _followed(instance, seen, now, detail) if seen.wanted is Wanted.RUNNING else seen


def _told(options: Options) -> tuple[object, ...]:
    """Return what of the options a driver is told."""
    return options.hostname, options.is_source_checked, options.metadata


_UP = frozenset({Power.STARTING, Power.RUNNING})
_DOWN = frozenset({Power.STOPPED, Power.CRASHED})
_GOING_DOWN = _DOWN | {Power.STOPPING}
_COMING_UP = frozenset({Power.CREATING, Power.STARTING})
_UNMADE = frozenset({None, Power.CREATING})


def _is_down_for_work(instance: Instance, power: Power) -> bool:
    """Whether a machine that is to run can be down because its disk is being made anew, and not by itself."""
    is_rebuilt = instance.generation != instance.built
    return is_rebuilt and instance.wanted is Wanted.RUNNING and power in _GOING_DOWN


def _vanished(instance: Instance, now: datetime) -> Instance:
    if instance.wanted is not Wanted.TERMINATED and instance.observed in _UNMADE:
        return instance  # it is still to be made
    if instance.is_launching:
        instance = after_failure(instance, now, Cause.LAUNCH_FAILED, "The machine vanished while it was starting.")
    elif instance.wanted is not Wanted.TERMINATED:
        instance = _ended(instance, now, Cause.LOST, "The machine no longer exists on its host.")
    return changed(instance, observed=Power.ABSENT, terminated_at=now, private_address="", public_address="")


def _followed(before: Instance, seen: Instance, now: datetime, detail: str) -> Instance:
    """Return the instance that is wanted running, with the wanted side where the machine has gone by itself."""
    if seen.observed is Power.CRASHED and before.is_launching:
        return after_failure(seen, now, Cause.LAUNCH_FAILED, detail or "The machine crashed while it was starting.")
    if before.observed not in _UP or seen.observed not in _GOING_DOWN:
        return seen
    if seen.observed is Power.CRASHED:
        return _stopped(seen, now, Cause.CRASH, detail or "The machine stopped without shutting down.")
    if seen.shutdown_behaviour is ShutdownBehaviour.TERMINATE:
        return _ended(seen, now, Cause.GUEST, "")
    return _stopped(seen, now, Cause.GUEST, "")


def _stopped(instance: Instance, now: datetime, cause: Cause, detail: str) -> Instance:
    return changed(
        instance,
        wanted=Wanted.STOPPED,
        cause=cause,
        detail=detail,
        changed_at=now,
        needs_reboot=False,
    )


def _ended(instance: Instance, now: datetime, cause: Cause, detail: str) -> Instance:
    return changed(
        instance,
        wanted=Wanted.TERMINATED,
        cause=cause,
        detail=detail,
        changed_at=now,
        ended_at=now,
        needs_reboot=False,
    )


def _require(instance: Instance, allowed: frozenset[State], verb: str) -> None:
    if instance.state not in allowed:
        raise IncorrectState(instance.id, instance.state, verb)
