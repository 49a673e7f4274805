"""What is measured, how much of it, and what is promised."""

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from figures import Figure, Lap, Limit, Race, Share, Unmeasured
from guests import CannotRun, Yard, a_yard
from load import Answer, demand, drive, longest_wait, pace
from servers import (
    CONSOLE,
    IMAGE,
    INSTANCE_TYPE,
    MACHINE,
    RESERVATION,
    Cores,
    House,
    Server,
    await_answer,
    build_house,
    floor,
    found,
    moto,
    stop,
)
from signing import Key, booking, ec2_request, page_request, plain_request, zerosix_request

_CLIENTS, _MOTO_CLIENTS = 32, 4
"""Moto is at its fastest with four: fewer leave it idle, and more are threads that hinder one another."""

_HOLD_MS, _READY_SECONDS, _RESIDENT_MB = 20.0, 1.0, 100.0
_PAGE_MS, _PAGE_KB = 20.0, 100.0
_LAG_MS, _LAST_MS, _GATEWAY_SHARE = 250.0, 500.0, 0.10
_LAUNCHES_PER_SECOND = 100
_LOOK_SECONDS = 0.05
_MOTO_BATCH = 50
_FOLLOW_UPS = 200
"""Small requests after a large one, while the reconciler does what the large one asked for."""

_NEXT = re.compile(rb"<nextToken>([^<]+)<")


@dataclass(frozen=True, slots=True)
class Effort:
    """How many rounds of races and of what has a limit, how many requests a round, and what many and most machines are.

    Machines are launched for so many seconds. Real ones are booted, by how many there are at once, so many times.
    """

    rounds: int
    limit_rounds: int
    reads: int
    bookings: int
    many_reads: int
    moto_reads: int
    moto_bookings: int
    many: int
    most: int
    launch_seconds: float
    boots: Mapping[int, int]
    has_moto: bool = True


FULL = Effort(
    rounds=7,
    limit_rounds=7,
    reads=6000,
    bookings=1500,
    many_reads=60,
    moto_reads=150,
    moto_bookings=60,
    many=1000,
    most=10_000,
    launch_seconds=20,
    boots={1: 5, 4: 2},
)
QUICK = replace(
    FULL,
    rounds=5,
    limit_rounds=3,
    reads=1500,
    bookings=400,
    many_reads=20,
    moto_reads=40,
    moto_bookings=20,
    launch_seconds=5,
    boots={1: 3},
)
TRIAL = Effort(
    rounds=1,
    limit_rounds=1,
    reads=20,
    bookings=10,
    many_reads=2,
    moto_reads=1,
    moto_bookings=1,
    many=20,
    most=30,
    launch_seconds=0.2,
    boots={1: 1},
    has_moto=False,
)
"""Just enough to see that the benchmark works."""


@dataclass(frozen=True, slots=True)
class Question:
    """What servers are asked in a race: how to make so many requests, signed with a key, and their path."""

    make: Callable[[Key, int], Sequence[bytes]]
    path: str = "/"


BOOKING = Question(lambda key, count: [booking(key, IMAGE, INSTANCE_TYPE) for _ in range(count)])
DESCRIBING_ALL = Question(lambda key, count: [ec2_request(key, "DescribeInstances", {})] * count)


@dataclass(frozen=True, slots=True)
class Contender:
    """One side of a race. `settle` waits until what the requests have set in motion is at rest."""

    server: Server
    key: Key
    question: Question
    count: int
    clients: int = _CLIENTS
    settle: Callable[[], None] = lambda: None

    def lap(self, count: int) -> Lap:
        """Have so many requests answered."""
        requests = self.question.make(self.key, count)
        cpu_seconds = self.server.cpu_seconds()
        seconds = drive(self.server.address, requests, min(self.clients, count))
        answered = time.perf_counter()
        self.settle()
        rest_seconds = time.perf_counter() - answered
        return Lap(count / seconds, (self.server.cpu_seconds() - cpu_seconds) / count * 1e6, rest_seconds)


class Bench:
    """One run. Bookings are flushed to `folder`, so it should be on a real disk."""

    def __init__(self, folder: Path, effort: Effort, cores: Cores) -> None:
        self._folder, self._effort, self._cores = folder, effort, cores

    def run(self) -> Iterator[Figure]:
        """Yield each figure once it is known."""
        if self._effort.boots:
            yield from self._with_real_ones()
        yield from self._launching()
        yield from self._with_one()
        yield from self._with_many()
        yield from self._with_most()

    def _with_one(self) -> Iterator[Figure]:
        house = build_house(self._folder / "one", self._cores)
        effort = self._effort
        with house.serving() as ours:
            house.fill(1)
            described = house.ask("DescribeInstances", {})
            describing = Contender(ours, house.key, _describing(described), effort.reads)
            retrieving = Contender(ours, house.key, _retrieving(described), effort.reads)
            booking_ = Contender(ours, house.key, BOOKING, effort.bookings, settle=house.wait_until_settled)
            yield self._against_floor("DescribeInstances of 1 / floor", describing, at_least=0.40)
            yield self._against_floor("GET orders/{id}, OAuth1 / floor", retrieving, at_least=0.40)
            if effort.has_moto:
                yield from self._against_moto(describing, booking_)
            yield self._against_floor("RunInstances, 32 clients / floor", booking_, at_least=0.15)

    def _with_many(self) -> Iterator[Figure]:
        house = build_house(self._folder / "many", self._cores)
        with house.serving() as ours:
            house.fill(self._effort.many)
            if self._effort.has_moto:
                yield self._many_against_moto(Contender(ours, house.key, DESCRIBING_ALL, self._effort.many_reads))
            yield from self._pages(house, ours)
        yield self._ready(house, self._effort.many)
        yield from self._holds(house)

    def _with_most(self) -> Iterator[Figure]:
        house = build_house(self._folder / "most", self._cores)
        with house.serving():
            house.fill(self._effort.most)
        yield self._ready(house, self._effort.most)
        yield self._resident(house)

    def _launching(self) -> Iterator[Limit]:
        """Yield how long machines waited at most while they were launched in a steady stream, and until the last one ran.

        The latter counts from when the last was asked for, so that answers which came late count as well.
        """
        house = build_house(self._folder / "launched", self._cores)
        count = int(_LAUNCHES_PER_SECOND * self._effort.launch_seconds)
        _tell(f"{_LAUNCHES_PER_SECOND} launches/s")
        # The gateway ends first: should this be interrupted, nobody goes on asking it.
        with ThreadPoolExecutor(1) as beside, house.serving():
            requests = BOOKING.make(house.key, count)
            started = time.perf_counter()
            asking = beside.submit(pace, house.address, requests, _LAUNCHES_PER_SECOND)
            lags = [house.lag_seconds() * 1000]
            while not asking.done():
                time.sleep(_LOOK_SECONDS)
                lags.append(house.lag_seconds() * 1000)
            asking.result()
            house.wait_until_settled()
            late = (time.perf_counter() - started - (count - 1) / _LAUNCHES_PER_SECOND) * 1000
        name = f"{_LAUNCHES_PER_SECOND} launches/s"
        yield Limit(f"{name}: longest waiting", "ms", lags, max(lags), _LAG_MS)
        yield Limit(f"{name}: last one runs", "ms", [late], late, _LAST_MS)

    def _with_real_ones(self) -> Iterator[Share | Unmeasured]:
        try:
            with a_yard(self._folder, self._cores) as yard:
                for count, rounds in self._effort.boots.items():
                    yield self._boots(yard, count, rounds)
        except CannotRun as error:
            yield Unmeasured("first ssh command / bare QEMU", str(error))

    def _boots(self, yard: Yard, count: int, rounds: int) -> Share:
        name = f"first ssh, {count} machine{'s' * (count > 1)} / bare QEMU"
        ours, bare = [], []
        for number in range(rounds):
            _tell(f"{name}: round {number + 1}")
            ours.append(yard.ours(count))
            bare.append(yard.bare(count))
        return Share(name, ours, bare, _GATEWAY_SHARE)

    # --- races

    def _against_floor(self, name: str, ours: Contender, at_least: float) -> Race:
        sample = demand(ours.server.address, ours.question.make(ours.key, 1)[0])
        with floor(self._folder, ours.question.path, sample, self._cores) as bare:
            return self._race(name, ours, Contender(bare, ours.key, ours.question, ours.count), at_least)

    def _against_moto(self, describing: Contender, booking_: Contender) -> Iterator[Race]:
        with moto(self._folder, self._cores) as server:
            key = _key_at(server)
            booked = demand(server.address, BOOKING.make(key, 1)[0])
            peer = Contender(server, key, _describing(booked), self._effort.moto_reads, _MOTO_CLIENTS)
            yield self._race("DescribeInstances of 1 / moto", describing, peer, at_least=35)
            peer = Contender(server, key, BOOKING, self._effort.moto_bookings, _MOTO_CLIENTS)
            yield self._race("RunInstances / moto", booking_, peer, at_least=25)

    def _many_against_moto(self, ours: Contender) -> Race:
        with moto(self._folder, self._cores) as server:
            key, many = _key_at(server), self._effort.many
            requests = [booking(key, IMAGE, INSTANCE_TYPE, _MOTO_BATCH) for _ in range(many // _MOTO_BATCH)]
            drive(server.address, requests, _MOTO_CLIENTS)
            peer = Contender(server, key, DESCRIBING_ALL, 1, clients=1)
            return self._race(f"DescribeInstances of {many:,} / moto", ours, peer, at_least=150)

    def _race(self, name: str, ours: Contender, peer: Contender, at_least: float) -> Race:
        """Run the rounds, each side first in every other one, after one that does not count."""
        laps: dict[int, list[Lap]] = {id(ours): [], id(peer): []}
        for contender in (ours, peer):
            contender.lap(max(1, contender.count // 10))
        for number in range(self._effort.rounds):
            _tell(f"{name}: round {number + 1}")
            for contender in (ours, peer) if number % 2 else (peer, ours):
                laps[id(contender)].append(contender.lap(contender.count))
        return Race(name, laps[id(ours)], laps[id(peer)], at_least)

    # --- limits

    def _holds(self, house: House) -> Iterator[Limit]:
        """Yield for each large request how long the event loop was held at most while it, and what follows, was done.

        The median round counts: a server that the machine did not let run looks like one that held its loop.
        """
        values: dict[str, list[float]] = {}
        for number in range(self._effort.limit_rounds):
            _tell(f"event loop, {self._effort.many:,} machines: round {number + 1}")
            copy = house.copied_to(self._folder / f"many-{number}")
            with copy.serving() as server:
                probe = plain_request(server.host, "/healthz")
                for name, requests in _large_requests(copy):
                    values.setdefault(name, []).append(longest_wait(server.address, probe, requests) * 1000)
                    copy.wait_until_settled()
        for name, waits in values.items():
            yield Limit(f"loop held: {name}", "ms", waits, median(waits), _HOLD_MS)

    def _pages(self, house: House, server: Server) -> Iterator[Limit]:
        """Yield for pages of the console what CPU each took, packing included, and how long the list is unpacked."""
        cookie, name = house.sign_in(), f"console, {self._effort.many:,} machines"
        for words, path in {"list": "machines", "overview": "", "usage": "usage", "orders": "orders"}.items():
            requests = [page_request(server.host, f"{CONSOLE}{path}", cookie)] * self._effort.many_reads
            values = []
            for number in range(self._effort.limit_rounds + 1):  # the first one does not count: it compiles
                _tell(f"{name}: {words}: round {number}")
                cpu_seconds = server.cpu_seconds()
                drive(server.address, requests, 1)
                values.append((server.cpu_seconds() - cpu_seconds) / len(requests) * 1000)
            yield Limit(f"{name}: {words}", "ms", values[1:], median(values[1:]), _PAGE_MS)
        plain = page_request(server.host, f"{CONSOLE}machines", cookie, "identity")
        size = len(demand(server.address, plain).body) / 1000
        yield Limit(f"{name}: size", "kB", [size], size, _PAGE_KB)

    def _ready(self, house: House, machines: int) -> Limit:
        values = []
        for number in range(self._effort.limit_rounds):
            _tell(f"start with {machines:,} machines: round {number + 1}")
            started = time.perf_counter()
            server = house.start()
            try:
                await_answer(server, "/readyz")
                values.append(time.perf_counter() - started)
            finally:
                stop(server)
        return Limit(f"ready, {machines:,} machines", "s", values, median(values), _READY_SECONDS)

    def _resident(self, house: House) -> Limit:
        with house.serving() as server:
            at_start = server.resident_mb()
            list_all(house)
            values = [at_start, server.resident_mb()]
        return Limit(f"resident memory, {self._effort.most:,} machines", "MB", values, max(values), _RESIDENT_MB)


def _describing(answer: Answer) -> Question:
    """Return the question for the machine that an answer tells of."""
    machine = found(MACHINE, answer)
    return Question(lambda key, count: [ec2_request(key, "DescribeInstances", {"InstanceId.1": machine})] * count)


def _retrieving(answer: Answer) -> Question:
    """Return the question for the order that an answer tells of; each request has its own nonce."""
    path = f"/wp-json/api/v1/orders/{int(found(RESERVATION, answer), 16)}"
    return Question(lambda key, count: [zerosix_request(key, path) for _ in range(count)], path)


def _large_requests(house: House) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Yield requests that concern every machine, by name, with small ones after those that set machines in motion."""
    machines = [id_.decode() for id_ in MACHINE.findall(house.ask("DescribeInstances", {}).body)]
    chosen = {f"InstanceId.{number}": id_ for number, id_ in enumerate(machines, start=1)}
    tagged = {f"ResourceId.{number}": id_ for number, id_ in enumerate(machines, start=1)}

    def ec2(action: str, **parameters: str) -> bytes:
        return ec2_request(house.key, action, {name.replace("_", "."): value for name, value in parameters.items()})

    follow_ups = [ec2("DescribeInstances", MaxResults="5")] * _FOLLOW_UPS
    yield "small requests only", follow_ups
    yield "StopInstances", [ec2("StopInstances", **chosen), *follow_ups]
    yield "Describe, all changed", [ec2("DescribeInstances")]
    yield "Describe again", [ec2("DescribeInstances")] * 3
    yield "Describe, filtered", [ec2("DescribeInstances", Filter_1_Name="tag:a", Filter_1_Value_1="*b*")]
    yield "StartInstances", [ec2("StartInstances", **chosen), *follow_ups]
    yield "CreateTags", [ec2("CreateTags", Tag_1_Key="a", Tag_1_Value="abc", **tagged)]
    yield "DescribeTags", [ec2("DescribeTags")]
    yield "GET orders", [zerosix_request(house.key, "/wp-json/api/v1/orders")]
    yield "/metrics", [plain_request(house.key.host, "/metrics")]
    yield "RunInstances", [booking(house.key, IMAGE, INSTANCE_TYPE, len(machines)), *follow_ups]
    yield "TerminateInstances", [ec2("TerminateInstances", **chosen), *follow_ups]


def list_all(house: House) -> None:
    """Have every machine described, page by page."""
    token = ""
    while True:
        answer = house.ask("DescribeInstances", {"MaxResults": "1000", **({"NextToken": token} if token else {})})
        following = _NEXT.search(answer.body)
        if following is None:
            return
        token = following[1].decode()


def _key_at(server: Server) -> Key:
    """Return a key for a server that asks nobody for one."""
    return Key(server.host, "AKIAIOSFODNN7EXAMPLE", "secret")


def _tell(text: str) -> None:
    sys.stderr.write(f"\r\033[K{text}" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()
