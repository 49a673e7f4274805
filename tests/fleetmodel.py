"""How a fleet must look, worked out from the rules of the house alone: nothing here is the gateway's code.

A machine has two sides, what its renter wants and what has become of the machine itself; the gateway learns of the
second by looking (`FleetModel.look`), which a silent backend prevents.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import Literal

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

Wanted = Literal["up", "down", "gone"]
Power = Literal["none", "starting", "running", "stopping", "stopped", "crashed"]

EC2_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
_VERB_STATES = {
    "start": {"stopped", "pending", "running"},
    "stop": {"running", "stopping", "stopped"},
    "reboot": {"running"},
    "terminate": set(EC2_CODES),
}
# The first that any machine of an order has is the order's own.
_STATUS_ORDER = ("unlimited", "processing", "pending", "on-hold", "completed", "failed")


class Refused(Enum):
    """Why a booking must be refused."""

    NOT_OFFERED = auto()
    NO_ROOM = auto()


@dataclass
class Ware:
    """Something on sale, and how many of it stand in each zone."""

    name: str
    price: Decimal
    capacity: Mapping[str, int]


@dataclass(eq=False)
class Order:
    """A booking as it was made."""

    id: int
    account: str
    ware: Ware
    zone: str
    price: Decimal
    created_at: datetime
    token: str = ""
    terminates_itself: bool = False
    machines: list["Machine"] = field(default_factory=list)

    @property
    def status(self) -> str:
        found = {machine.status for machine in self.machines}
        return next(status for status in _STATUS_ORDER if status in found)

    @property
    def has_ended(self) -> bool:
        return all(machine.wanted == "gone" for machine in self.machines)

    def cost(self, now: datetime) -> Decimal:
        return sum((machine.cost(now) for machine in self.machines), Decimal())

    def is_forgotten(self, now: datetime) -> bool:
        """Whether it closed so long ago that its client token is free again."""
        gone = [machine.gone_at for machine in self.machines]
        return None not in gone and now - max(filter(None, gone)) > DAY


@dataclass(eq=False)
class Machine:
    """A machine; `seen` is what the gateway last saw of it, None before it was made."""

    id: int
    order: Order
    wanted: Wanted = "up"
    power: Power = "none"
    seen: Power | None = None
    has_turned: bool = False  # what is wanted of it has changed since it was booked
    is_forced: bool = False
    has_failed: bool = False
    ended_at: datetime | None = None
    gone_at: datetime | None = None

    @property
    def state(self) -> str:
        if self.wanted == "gone":
            return "terminated" if self.gone_at else "shutting-down"
        if self.wanted == "down":
            return "stopped" if self.seen in ("stopped", "crashed") else "stopping"
        return "running" if self.seen == "running" else "pending"

    @property
    def status(self) -> str:
        if self.has_failed:
            return "failed"
        if self.wanted == "gone":
            return "completed"
        if self.wanted == "down":
            return "on-hold"
        return {None: "pending", "running": "unlimited"}.get(self.seen, "processing")

    @property
    def is_launching(self) -> bool:
        return self.wanted == "up" and not self.has_turned and self.seen != "running"

    def is_described(self, now: datetime) -> bool:
        return self.gone_at is None or now - self.gone_at < HOUR

    def started_hours(self, now: datetime) -> int:
        if self.has_failed:
            return 0
        whole, rest = divmod((self.ended_at or now) - self.order.created_at, HOUR)
        return max(1, whole + bool(rest))

    def cost(self, now: datetime) -> Decimal:
        return self.order.price * self.started_hours(now)

    # --- what happens to it

    def want(self, wanted: Wanted, now: datetime, *, is_forced: bool = False) -> None:
        """Let its renter, or its own end, change what is wanted of it."""
        if self.wanted == "gone":
            return
        if wanted == self.wanted:
            self.is_forced |= is_forced
            return
        self.wanted, self.has_turned, self.is_forced = wanted, True, is_forced
        if wanted == "gone":
            self.ended_at = now

    def fail(self, now: datetime) -> None:
        """Let its launch be given up."""
        self.want("gone", now)
        self.has_failed = True


class FleetModel:
    """All orders of all accounts. With `is_quick`, machines boot and shut down in no time."""

    def __init__(self, wares: Sequence[Ware], zones: Sequence[str]) -> None:
        self.wares, self.zones = wares, zones
        self.is_quick = True
        self.orders: list[Order] = []

    # --- what there is

    @property
    def machines(self) -> list[Machine]:
        return [machine for order in self.orders for machine in order.machines]

    def orders_of(self, account: str) -> list[Order]:
        return [order for order in self.orders if order.account == account]

    def described(self, account: str, now: datetime) -> list[Machine]:
        """Return what EC2 still tells an account of."""
        return [each for order in self.orders_of(account) for each in order.machines if each.is_described(now)]

    def occupied(self) -> Counter[tuple[str, str]]:
        """Return how many machines of a ware take up room in a zone."""
        return Counter((each.order.ware.name, each.order.zone) for each in self.machines if each.gone_at is None)

    def free(self, ware: Ware, zone: str) -> int:
        return ware.capacity[zone] - self.occupied()[ware.name, zone]

    def order_with(self, account: str, token: str, now: datetime) -> Order | None:
        """Return the order that a client token still stands for."""
        found = [order for order in self.orders_of(account) if order.token == token and not order.is_forgotten(now)]
        return found[0] if found and token else None

    # --- what may be done

    def place(self, ware: Ware, zone: str | None, least: int, most: int) -> tuple[str, int] | Refused:
        """Return where a booking goes and how many machines it gets: the first zone with room for all, else the roomiest."""
        if zone is not None and zone not in ware.capacity:
            return Refused.NOT_OFFERED
        rooms = [(each, self.free(ware, each)) for each in self.zones if each in ware.capacity and zone in (None, each)]
        for each, free in rooms:
            if free >= most:
                return each, most
        best, free = max(rooms, key=lambda room: room[1])
        return (best, free) if free >= least else Refused.NO_ROOM

    def may(self, verb: str, machines: Iterable[Machine]) -> bool:
        return all(machine.state in _VERB_STATES[verb] for machine in machines)

    def book(self, order: Order, ids: Iterable[int]) -> None:
        """Note an order that was accepted with machines of these ids."""
        order.machines = [Machine(id, order) for id in ids]  # noqa: A001  it is an id
        self.orders.append(order)

    # --- what the gateway makes of what it sees

    def look(self, now: datetime) -> None:
        """Let the gateway see every machine, and do what there is to do until nothing is left to do."""
        for machine in self.machines:
            if machine.gone_at is None:
                self._look_at(machine, now)

    def _look_at(self, machine: Machine, now: datetime) -> None:
        if machine.wanted != "gone" and machine.seen is not None and machine.power == "none":
            _lost(machine, now)
        elif machine.wanted == "up" and _went_down_by_itself(machine):
            _follow(machine, now)
        if machine.wanted == "gone":
            machine.power, machine.gone_at = "none", now
        elif machine.wanted == "up":
            self._bring_up(machine)
        else:
            self._bring_down(machine)
        machine.seen = machine.power

    def _bring_up(self, machine: Machine) -> None:
        if machine.power in ("none", "stopped", "crashed"):
            machine.power = "running" if self.is_quick else "starting"

    def _bring_down(self, machine: Machine) -> None:
        if machine.power in ("starting", "running"):
            machine.power = "stopped" if self.is_quick or machine.is_forced else "stopping"
        elif machine.power == "stopping" and machine.is_forced:
            machine.power = "stopped"


def _lost(machine: Machine, now: datetime) -> None:
    if machine.is_launching:
        machine.fail(now)
    else:
        machine.want("gone", now)


def _went_down_by_itself(machine: Machine) -> bool:
    return machine.seen in ("starting", "running") and machine.power in ("stopped", "crashed")


def _follow(machine: Machine, now: datetime) -> None:
    if machine.power == "crashed" and machine.is_launching:
        machine.fail(now)
    elif machine.power == "stopped" and machine.order.terminates_itself:
        machine.want("gone", now)
    else:
        machine.want("down", now)
