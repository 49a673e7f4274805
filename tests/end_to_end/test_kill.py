"""`kill -9` in the middle of a storm, again and again on the same files: nothing that was acknowledged may be lost."""

import http.client
import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.customers import Customer, Reply, machines_in, number_of, spelled
from tests.running import Keys, RunningGateway, eventually

KILLS = 20
CLIENTS = 8
SEED = 20260501
STORM_SECONDS = (0.3, 0.6)

PRODUCT = "small"
ROOM = {"east-a": 300, "east-b": 200}  # soon full, so that bookings and terminations fight for it
_CATALOGUE = {
    "regions": [{"name": "east", "geo": "europe"}],
    "zones": [{"name": zone, "region": "east"} for zone in ROOM],
    "images": [{"name": "debian-12"}],
    "products": [
        {
            "slug": PRODUCT,
            "title": "Small",
            "price": "0.25",
            "vcpus": 1,
            "memory_mib": 1024,
            "disk_gib": 10,
            "image": "debian-12",
            "capacity": ROOM,
        }
    ],
}
_TO_BE_EXPECTED = {
    "InsufficientInstanceCapacity",
    "order_not_available_resources",
    "IncorrectInstanceState",  # it still boots
}
_UNDER_WAY = ("pending", "stopping", "shutting-down")


def test_twenty_kills_in_a_storm_lose_nothing_that_was_acknowledged(tmp_path: Path, record_property):
    random = Random(SEED)
    with RunningGateway(
        tmp_path, compute={"simulated": {"boot_seconds": 0.02, "stop_seconds": 0.02}}, **_CATALOGUE
    ) as gateway:
        accounts = (gateway.keys, gateway.new_keys())
        clients = [Client(number, accounts[number % 2], Random(random.random())) for number in range(CLIENTS)]
        known: dict[int, tuple[int, ...]] = {}
        for _ in range(KILLS):
            _storm(gateway, clients, random.uniform(*STORM_SECONDS))
            gateway.start()
            eventually(lambda: _is_settled(gateway), what="every machine's finishing what it was about")
            fleets = [Fleet.of(gateway, keys) for keys in accounts]
            for fleet in fleets:
                theirs = [client for client in clients if client.keys == fleet.keys]
                _check_bookings(fleet, theirs)
                _check_changes(fleet, theirs)
                fleet.check_agreement()
            _check_nothing_vanished(known, fleets)
            _check_room(gateway, fleets)
            _check_repeating(gateway, clients)
            known = {order_id: ids for fleet in fleets for order_id, ids in fleet.orders.items()}
        assert gateway.stop() == 0
        _check_files(gateway.data, known)
    told = [each for client in clients for each in client.bookings]
    acknowledged = sum(each.order_id is not None for each in told)
    record_property("bookings acknowledged", acknowledged)
    assert acknowledged > KILLS * CLIENTS, "that was no storm"


# --- the storm


@dataclass(eq=False)
class Booking:
    """What a client asked for under a mark of its own, and what it was told, if it was."""

    mark: str
    is_ec2: bool
    quantity: int
    is_refused: bool = False
    order_id: int | None = None
    ids: tuple[int, ...] = ()


@dataclass(eq=False)
class Client:
    """One of those who storm: what it asked for, and what was acknowledged, by machine."""

    number: int
    keys: Keys
    random: Random
    bookings: list[Booking] = field(default_factory=list)
    asked: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    acknowledged: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))

    def storm(self, endpoint: str) -> None:
        """Ask for one thing after the other until nobody answers."""
        with Customer(endpoint, self.keys) as customer:
            try:
                while True:
                    self._act(customer)
            except (OSError, http.client.HTTPException):
                return

    def _act(self, customer: Customer) -> None:
        booking = self._one_that_lives()
        if booking is None or self.random.random() < 0.5:
            self._book(customer)
        elif self.random.random() < 0.4:
            self._stop(customer, booking)
        else:
            self._end(customer, booking)

    def _one_that_lives(self) -> Booking | None:
        living = [each for each in self.bookings if each.ids and not any("end" in self.asked[id_] for id_ in each.ids)]
        return self.random.choice(living) if living else None

    def _book(self, customer: Customer) -> None:
        mark = f"client{self.number}-booking{len(self.bookings)}"
        booking = Booking(mark, is_ec2=self.random.random() < 0.6, quantity=self.random.randint(1, 3))
        self.bookings.append(booking)
        send_booking(customer, booking)

    def _stop(self, customer: Customer, booking: Booking) -> None:
        self._change("stop", booking.ids)
        reply = customer.ec2("StopInstances", InstanceId=list(map(spelled, booking.ids)))
        if _is_accepted(reply):
            self._note("stop", booking.ids)

    def _end(self, customer: Customer, booking: Booking) -> None:
        if self.random.random() < 0.5:
            self._change("end", booking.ids)
            reply = customer.zerosix("DELETE", f"orders/{booking.order_id}")
            ended = booking.ids
        else:
            ended = booking.ids[: self.random.randint(1, len(booking.ids))]
            self._change("end", ended)
            reply = customer.ec2("TerminateInstances", InstanceId=list(map(spelled, ended)))
        if _is_accepted(reply):
            self._note("end", ended)

    def _change(self, verb: str, ids: Sequence[int]) -> None:
        for id_ in ids:
            self.asked[id_].add(verb)

    def _note(self, verb: str, ids: Sequence[int]) -> None:
        for id_ in ids:
            self.acknowledged[id_].add(verb)


def send_booking(customer: Customer, booking: Booking) -> None:
    """Ask for a booking, and note what is told."""
    if booking.is_ec2:
        count = booking.quantity
        asked = {"ImageId": "debian-12", "InstanceType": PRODUCT, "MinCount": count, "MaxCount": count}
        reply = customer.ec2("RunInstances", ClientToken=booking.mark, **asked)
    else:
        document = {"product_id": 1, "instances": booking.quantity, "file_url": f"https://example.com/{booking.mark}"}
        reply = customer.zerosix("PUT", "orders", document)
    if not _is_accepted(reply):
        booking.is_refused = True
    elif booking.is_ec2:
        booking.ids = tuple(number_of(each["instanceId"]) for each in machines_in(reply))
        booking.order_id = number_of(reply.document["reservationId"])
    else:
        (order,) = reply.document
        booking.ids = tuple(each["instance_id"] for each in order["instances"])
        booking.order_id = order["order_id"]


def _is_accepted(reply: Reply) -> bool:
    assert not reply.code or reply.code in _TO_BE_EXPECTED, reply
    return not reply.code


def _storm(gateway: RunningGateway, clients: Sequence[Client], seconds: float) -> None:
    with ThreadPoolExecutor(len(clients)) as pool:
        storms = [pool.submit(client.storm, gateway.endpoint) for client in clients]
        time.sleep(seconds)  # not for luck: the instant of the kill is to be any
        gateway.kill()
        for storm in storms:
            storm.result()


# --- what is there afterwards


@dataclass(frozen=True)
class Fleet:
    """Everything of an account as both protocols tell it: machines by id, and the ids of each order's machines."""

    keys: Keys
    orders: Mapping[int, tuple[int, ...]]
    marks: Mapping[int, str]
    instances: Mapping[int, Mapping[str, Any]]
    machines: Mapping[int, Mapping[str, Any]]

    @classmethod
    def of(cls, gateway: RunningGateway, keys: Keys) -> "Fleet":
        """Return what an account is told."""
        with Customer(gateway.endpoint, keys) as customer:
            listed = customer.zerosix("GET", "orders").document
            described = machines_in(customer.ec2("DescribeInstances"))
        tokens = {number_of(each["reservationId"]): each["clientToken"] for each in described}
        return cls(
            keys,
            {each["order_id"]: tuple(one["instance_id"] for one in each["instances"]) for each in listed},
            {each["order_id"]: each["file_url"].rpartition("/")[2] or tokens[each["order_id"]] for each in listed},
            {one["instance_id"]: one for each in listed for one in each["instances"]},
            {number_of(each["instanceId"]): each for each in described},
        )

    def state_of(self, id_: int) -> str:
        return self.machines[id_]["instanceState"]["name"]

    def living(self) -> Iterator[int]:
        return (id_ for id_ in self.machines if self.state_of(id_) != "terminated")

    def check_agreement(self) -> None:
        """Check that both protocols list the same machines of the same orders, in the same states."""
        assert self.machines.keys() == self.instances.keys()
        words = {"running": "wc-unlimited", "stopped": "wc-on-hold", "terminated": "wc-completed"}
        assert {id_: words[self.state_of(id_)] for id_ in self.machines} == {
            id_: each["status"] for id_, each in self.instances.items()
        }
        reservations = {id_: number_of(each["reservationId"]) for id_, each in self.machines.items()}
        assert reservations == {id_: order_id for order_id, ids in self.orders.items() for id_ in ids}


def _check_bookings(fleet: Fleet, clients: Sequence[Client]) -> None:
    """Check that bookings exist once if acknowledged, once or not at all if not, never if refused, and never in part."""
    bookings = {booking.mark: booking for client in clients for booking in client.bookings}
    count = Counter(fleet.marks.values())
    for mark, booking in bookings.items():
        allowed = {1} if booking.order_id is not None else {0} if booking.is_refused else {0, 1}
        assert count[mark] in allowed, f"{mark} exists {count[mark]} times"
    for order_id, ids in fleet.orders.items():
        booking = bookings[fleet.marks[order_id]]
        assert len(ids) == booking.quantity, "an order lacks machines"
        assert booking.order_id in (None, order_id)
        assert booking.ids in ((), ids)


def _check_changes(fleet: Fleet, clients: Sequence[Client]) -> None:
    """Check that what was acknowledged is still so, and that nothing happened that nobody asked for."""
    asked = {id_: verbs for client in clients for id_, verbs in client.asked.items()}
    acknowledged = {id_: verbs for client in clients for id_, verbs in client.acknowledged.items()}
    for id_ in fleet.machines:
        state = fleet.state_of(id_)
        possible = {"running", *(_OUTCOMES[verb] for verb in asked.get(id_, ()))}
        for verb in acknowledged.get(id_, ()):
            possible -= {"stop": {"running"}, "end": {"running", "stopped"}}[verb]
        assert state in possible, f"machine {id_}: {asked.get(id_)} asked, {acknowledged.get(id_)} acknowledged"


_OUTCOMES = {"stop": "stopped", "end": "terminated"}


def _check_nothing_vanished(known: Mapping[int, tuple[int, ...]], fleets: Sequence[Fleet]) -> None:
    found = {order_id: ids for fleet in fleets for order_id, ids in fleet.orders.items()}
    assert sum(len(fleet.orders) for fleet in fleets) == len(found)
    assert known.items() <= found.items()
    ids = [id_ for each in found.values() for id_ in each]
    assert len(set(ids)) == len(ids), "a machine is in two orders"


def _check_room(gateway: RunningGateway, fleets: Sequence[Fleet]) -> None:
    """Check that what is occupied is what lives, and that living machines have ports of their own."""
    living = Counter(fleet.machines[id_]["placement"]["availabilityZone"] for fleet in fleets for id_ in fleet.living())
    occupied = {zone: gateway.metric("onefleet_occupied", product=PRODUCT, zone=zone) for zone in ROOM}
    assert occupied == {zone: living[zone] for zone in ROOM}
    assert all(living[zone] <= room for zone, room in ROOM.items())
    ports = [re.match(r"-p(\d+) ", fleet.instances[id_]["machine"])[1] for fleet in fleets for id_ in fleet.living()]
    assert len(set(ports)) == len(ports)


def _check_repeating(gateway: RunningGateway, clients: Sequence[Client]) -> None:
    """Check that who was not told may ask again under the same client token, and gets the same machines, not more."""
    for client in clients:
        booking = client.bookings[-1]
        if not booking.is_ec2 or booking.order_id is not None or booking.is_refused:
            continue
        with Customer(gateway.endpoint, client.keys) as customer:
            before = customer.ec2("DescribeInstances", Filter__1__Name="client-token", Filter__1__Value__1=booking.mark)
            send_booking(customer, booking)
            after = customer.ec2("DescribeInstances", Filter__1__Name="client-token", Filter__1__Value__1=booking.mark)
        there = [number_of(each["instanceId"]) for each in machines_in(before)]
        assert [number_of(each["instanceId"]) for each in machines_in(after)] == list(booking.ids)
        assert there in ([], list(booking.ids))


def _is_settled(gateway: RunningGateway) -> bool:
    return not any(gateway.metric("onefleet_instances", state=state) for state in _UNDER_WAY)


def _check_files(data: Path, known: Mapping[int, tuple[int, ...]]) -> None:
    with closing(sqlite3.connect(data / "onefleet.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        orders = {id_ for (id_,) in db.execute("SELECT id FROM orders")}
        assert known.keys() <= orders
        machines = {id_ for (id_,) in db.execute("SELECT id FROM instances")}
        assert {id_ for ids in known.values() for id_ in ids} <= machines
        assert db.execute(
            "SELECT count(*) FROM instances WHERE order_id NOT IN (SELECT id FROM orders)"
        ).fetchone() == (0,)
        living = {id_ for (id_,) in db.execute("SELECT id FROM instances WHERE terminated_at IS NULL")}
    with closing(sqlite3.connect(data / "simulated.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert {id_ for (id_,) in db.execute("SELECT id FROM simulated")} == living
