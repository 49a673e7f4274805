"""Anything that customers and misfortune can do, in any order, through both protocols at once; then both are compared.

`HYPOTHESIS_PROFILE=thorough` makes it run for as long as one likes to wait. A failure prints the steps that lead to it,
and a blob to put on `Fleet` as `@reproduce_failure(...)`.
"""

import os
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.ports import DriverCode
from tests.clocks import ManualClock
from tests.customers import Customer, Reply, Request, machines_in, moment_of, number_of, spelled
from tests.fleetmodel import EC2_CODES, FleetModel, Machine, Order, Power, Refused, Ware
from tests.hosted import HostedGateway

T = TypeVar("T")

_COMMON = settings(deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
_PROFILES = {
    "quick": settings(_COMMON, max_examples=100, stateful_step_count=40, derandomize=True),
    "thorough": settings(_COMMON, max_examples=1000, stateful_step_count=60, phases=set(Phase) - {Phase.explain}),
}
PROFILE = _PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "quick")]

# All in one region: EC2 shows one at a time and ZeroSix all, so that only in one of them they show the same.
REGION = "east"
ZONES = ("east-a", "east-b", "east-c")
ROOM = {
    "small": {"east-a": 2, "east-b": 4},
    "large": {"east-c": 3},
    "anywhere": {"east-a": 3, "east-b": 2, "east-c": 5},
}
PRICES = {"small": "0.015", "large": "0.7", "anywhere": "0.333333"}
PORTS = sum(sum(rooms.values()) for rooms in ROOM.values())  # one too few as soon as one is not given back
TIMEZONE = ZoneInfo("America/New_York")
OURS, THEIRS = "ours", "theirs"
AT_ONCE = 6
SSH_HOST = "192.0.2.7"

# What passes is tried again until it works; what does not pass ends a launch. A refused port does neither.
PASSING = (DriverCode.UNAVAILABLE, DriverCode.TIMEOUT)
LASTING = tuple(code for code in DriverCode if code not in (*PASSING, DriverCode.PORT))
HARMLESS = (
    *((verb, code) for verb in ("stop", "reboot", "destroy") for code in DriverCode),
    *((verb, code) for verb in ("ensure", "start") for code in PASSING),
)

# What is drawn has the same shape whatever happened before: which of several machines fails first, or which of two
# simultaneous bookings wins, is not Hypothesis's to decide. A number stands for one of what there happens to be.
number = st.integers(0, 19)
choice = st.lists(number, min_size=1, max_size=4)
mostly = st.sampled_from((True, True, True, False))
accounts = st.sampled_from((OURS, THEIRS))
names = st.sampled_from(tuple(ROOM))
zones = st.none() | st.sampled_from(ZONES)
_ACTIONS = {
    "start": ("StartInstances", {}),
    "stop": ("StopInstances", {}),
    "force stop": ("StopInstances", {"Force": "true"}),
    "reboot": ("RebootInstances", {}),
    "terminate": ("TerminateInstances", {}),
}


def test_both_protocols_show_one_fleet_that_keeps_its_books_whatever_happens():
    run_state_machine_as_test(Fleet, settings=PROFILE)


class Fleet(RuleBasedStateMachine):
    """A gateway, and what its two customers and fate do to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = ManualClock()
        self.prices = dict(PRICES)
        self.model = FleetModel([Ware(name, Decimal(PRICES[name]), room) for name, room in ROOM.items()], ZONES)
        self.ports: dict[int, str] = {}
        self.asked: dict[int, dict[str, Any]] = {}  # by order, what it was booked with through EC2
        self.gateway: HostedGateway | None = None
        self.customers: dict[str, Customer] = {}

    # --- its life

    @initialize(is_quick=st.booleans())
    def open(self, *, is_quick: bool) -> None:
        self.model.is_quick = is_quick
        seconds = 0 if is_quick else 3600
        self.gateway = HostedGateway(
            Path(self.folder.name),
            self.clock,
            compute={
                "sweep_seconds": 3600,
                "ssh_ports": f"20000-{20000 + PORTS - 1}",
                "ssh_host": SSH_HOST,
                "simulated": {"boot_seconds": seconds, "stop_seconds": seconds},
            },
            zerosix={"timezone": TIMEZONE.key},
            **_catalogue(self.prices),
        ).open()
        self.keys = {name: self.gateway.new_keys(name) for name in (OURS, THEIRS)}
        self._connect()
        self.product_ids = self._product_ids()
        self._book_through_zerosix(OURS, "anywhere", 2)
        asked = _run_instances("small", None, 1, 3, token="first", terminates_itself=True)
        self._book_through_ec2(THEIRS, "small", None, asked)

    @rule(
        name=names,
        price=st.none() | st.sampled_from(("0.25", "1", "0.000001")),
        chosen=choice,
        meanwhile=st.sampled_from(("nothing", "crashed", "none")),
    )
    def restart(self, *, name: str, price: str | None, chosen: list[int], meanwhile: str) -> None:
        """Close and reopen everything, perhaps with another price, and after machines went down unwatched."""
        if price is not None:
            self.prices[name] = price
            self._ware(name).price = Decimal(price)
        self._disconnect()
        self.gateway.close()
        if meanwhile != "nothing":
            self._go_down_unwatched(
                _picked([each for each in self.model.machines if each.power in _UP], chosen), meanwhile
            )
        self.gateway.open(**_catalogue(self.prices))
        self._connect()
        assert self._product_ids() == self.product_ids

    def teardown(self) -> None:
        try:
            if self.gateway is not None and self.gateway.is_open:
                if sys.exc_info()[0] is None:
                    self._end_everything()
                self._disconnect()
        finally:
            if self.gateway is not None:
                self.gateway.end()
            self.folder.cleanup()

    # --- booking

    @rule(
        account=accounts,
        name=names,
        zone=zones,
        least=st.integers(1, 3),
        more=st.integers(0, 3),
        token=st.sampled_from(("", "", "red", "blue")),
        terminates_itself=st.booleans(),
    )
    def book_through_ec2(
        self, *, account: str, name: str, zone: str | None, least: int, more: int, token: str, terminates_itself: bool
    ) -> None:
        asked = _run_instances(name, zone, least, least + more, token=token, terminates_itself=terminates_itself)
        self._book_through_ec2(account, name, zone, asked)

    @rule(account=accounts, name=names, machines=st.integers(1, 5))
    def book_through_zerosix(self, account: str, name: str, machines: int) -> None:
        self._book_through_zerosix(account, name, machines)

    @rule(callers=st.lists(accounts, min_size=2, max_size=AT_ONCE), name=names, machines=st.integers(1, 2))
    def book_at_once(self, callers: list[str], name: str, machines: int) -> None:
        """Let several customers book in the same moment, through both protocols."""
        ware = self._ware(name)
        room = sum(self.model.free(ware, zone) // machines for zone in ware.capacity)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            replies = list(pool.map(lambda each: self._try_to_book(*each, name, machines), enumerate(callers)))
        booked = [(account, reply) for account, reply in zip(callers, replies, strict=True) if not reply.code]
        refused = {reply.code for reply in replies if reply.code}
        assert len(booked) == min(room, len(callers))
        assert refused <= {"InsufficientInstanceCapacity", "order_not_available_resources"}
        for account, reply in booked:
            self._note_wherever_it_is(account, ware, reply, machines)

    # --- what customers do with machines

    @rule(chosen=choice, is_fitting=mostly)
    def start(self, *, chosen: list[int], is_fitting: bool) -> None:
        self._switch("start", self._some(chosen, ("stopped",) if is_fitting else ()))

    @rule(chosen=choice, is_fitting=mostly, is_forced=st.booleans())
    def stop(self, *, chosen: list[int], is_fitting: bool, is_forced: bool) -> None:
        machines = self._some(chosen, ("running", "stopping") if is_fitting else ())
        self._switch("force stop" if is_forced else "stop", machines)

    @rule(chosen=choice, is_fitting=mostly)
    def reboot(self, *, chosen: list[int], is_fitting: bool) -> None:
        self._switch("reboot", self._some(chosen, ("running",) if is_fitting else ()))

    @rule(chosen=choice, is_fitting=mostly)
    def terminate(self, *, chosen: list[int], is_fitting: bool) -> None:
        states = ("pending", "running", "stopping", "stopped")
        self._switch("terminate", self._some(chosen, states if is_fitting else ()))

    @rule(chosen=number)
    def complete(self, chosen: int) -> None:
        for order in _picked(self.model.orders, [chosen]):
            self._complete(order)

    @rule(chosen=number, name=names, zone=zones, machines=st.integers(1, 5))
    def change_nothing(self, chosen: int, name: str, zone: str | None, machines: int) -> None:
        """Let customers only ask, or try their hand at what is another's."""
        self._only_ask(name, zone, machines)
        for order in _picked(self.model.orders, [chosen]):
            self._trespass(order)
            self._check_login(order)

    # --- what fate does to them

    @rule(
        step=st.sampled_from(
            (
                timedelta(seconds=1),
                timedelta(minutes=59, seconds=59),
                timedelta(hours=1),
                timedelta(hours=5, microseconds=1),
                timedelta(hours=24),
                timedelta(hours=25),
            )
        )
    )
    def time_passes(self, step: timedelta) -> None:
        self.clock.advance(step)
        self.gateway.sweep()

    @rule(chosen=number, kind=st.sampled_from(("crash", "shut_down_inside")))
    def machine_goes_down(self, chosen: int, kind: str) -> None:
        for machine in _picked([each for each in self.model.machines if each.power in _UP], [chosen]):
            self.gateway.do(getattr(self.gateway.driver, kind), machine.id)
            machine.power = "crashed" if kind == "crash" else "stopped"

    @rule(chosen=number)
    def machine_vanishes(self, chosen: int) -> None:
        for machine in _picked([each for each in self.model.machines if each.power != "none"], [chosen]):
            self.gateway.do(self.gateway.driver.lose, machine.id)
            machine.power = "none"

    @precondition(lambda self: not self.model.is_quick)
    @rule(chosen=choice, is_all=st.booleans())
    def machines_arrive(self, *, chosen: list[int], is_all: bool) -> None:
        """Let slow machines have booted, or shut down."""
        passing = [each for each in self.model.machines if each.power in _ARRIVES_AT]
        self._let_arrive(passing if is_all else _picked(passing, chosen))

    @rule()
    def backend_falls_silent_or_speaks(self) -> None:
        self.gateway.fall_silent(not self.gateway.is_silent)
        if not self.gateway.is_silent:
            # Each machine's next look comes with the end of its back-off, or else with the next sweep.
            self.gateway.sweep()

    @rule(call=st.sampled_from(HARMLESS), times=st.integers(1, 3))
    def trouble_ahead(self, call: tuple[str, DriverCode], times: int) -> None:
        """Let the next calls fail in a way that must not matter in the end."""
        verb, code = call
        self.gateway.do(lambda: self.gateway.driver.fail_next(verb, code, times=times))

    @precondition(lambda self: not self.gateway.is_silent)
    @rule(
        account=accounts,
        name=names,
        machines=st.integers(1, 4),
        verb=st.sampled_from(("ensure", "start")),
        code=st.sampled_from(LASTING),
        times=st.integers(1, 4),
    )
    def book_what_cannot_be_made(
        self, *, account: str, name: str, machines: int, verb: str, code: DriverCode, times: int
    ) -> None:
        """Let some launches of an order be refused for good: so many machines have failed, and no others."""
        self._clear_plans()
        self.gateway.do(lambda: self.gateway.driver.fail_next(verb, code, times=times))
        order = self._book_through_zerosix(account, name, machines)
        self.gateway.settle()
        self._clear_plans()
        if order is None:
            return
        shown = self.customers[account].zerosix("GET", f"orders/{order.id}").document["instances"]
        failed = {each["instance_id"] for each in shown if each["status"] == "wc-failed"}
        assert len(failed) == min(times, machines)
        for machine in order.machines:
            if machine.id in failed:
                machine.fail(self.clock.now())

    @precondition(lambda self: not self.gateway.is_silent)
    @rule(chosen=number, code=st.sampled_from(LASTING))
    def start_what_does_not_start(self, chosen: int, code: DriverCode) -> None:
        """Let a stopped machine not come up again: it stays stopped, for its disk is its renter's."""
        stopped = [each for each in self.model.machines if each.state == "stopped"]
        for machine in _picked(stopped, [chosen]):
            self._clear_plans()
            self.gateway.do(lambda: self.gateway.driver.fail_next("start", code))
            self._switch("start", [machine])
            machine.want("down", self.clock.now())

    # --- what must always hold

    @invariant()
    def both_views_agree_and_the_books_are_right(self) -> None:
        self.gateway.settle()
        if not self.gateway.is_silent:
            self.model.look(self.clock.now())
        for account, customer in self.customers.items():
            described = {number_of(each["instanceId"]): each for each in machines_in(customer.ec2("DescribeInstances"))}
            listed = customer.zerosix("GET", "orders").document
            self._check_ec2(account, described)
            self._check_zerosix(account, listed)
            self._check_agreement(described, listed)
        self._check_capacity()
        self._check_machines()
        faults = [each for each in self.gateway.complaints if each["level"] != "warning"]
        assert not faults, faults  # what befalls machines is a warning

    def _check_ec2(self, account: str, described: dict[int, dict[str, Any]]) -> None:
        expected = {each.id: each for each in self.model.described(account, self.clock.now())}
        assert described.keys() == expected.keys()
        for id_, machine in expected.items():
            order, shown = machine.order, described[id_]
            state = {"code": str(EC2_CODES[machine.state]), "name": machine.state}
            assert shown["instanceState"] == state, shown
            assert shown["instanceType"] == order.ware.name
            assert shown["placement"]["availabilityZone"] == order.zone
            assert shown["clientToken"] == order.token
            assert shown["amiLaunchIndex"] == str(order.machines.index(machine))
            assert number_of(shown["reservationId"]) == order.id
            assert moment_of(shown["launchTime"]) == _to_milliseconds(order.created_at)

    def _check_zerosix(self, account: str, listed: list[dict[str, Any]]) -> None:
        expected = self.model.orders_of(account)
        now = self.clock.now()
        assert [each["order_id"] for each in listed] == sorted((each.id for each in expected), reverse=True)
        for order, shown in zip(sorted(expected, key=lambda order: -order.id), listed, strict=True):
            assert shown["order_status"] == order.status, shown
            assert shown["product"]["id"] == self.product_ids[order.ware.name]
            assert shown["date_created"] == _php(order.created_at)
            assert Decimal(shown["hourly-price"]) == order.price
            assert Decimal(shown["total_cost"]) == order.cost(now), shown
            assert Decimal(shown["total_cost"]) == sum(Decimal(each["total_cost"]) for each in shown["instances"])
            assert [each["instance_id"] for each in shown["instances"]] == [each.id for each in order.machines]
            for machine, told in zip(order.machines, shown["instances"], strict=True):
                assert told["status"] == f"wc-{machine.status}", shown
                assert told["rented_hours"] == str(machine.started_hours(now))
                assert Decimal(told["total_cost"]) == machine.cost(now)
                assert told["start_date"] == _php(order.created_at)
                assert told["end_date"] == (_php(machine.ended_at) if machine.ended_at else "")
                self._check_port(machine, told["machine"])

    def _check_port(self, machine: Machine, told: str) -> None:
        port = re.fullmatch(r"-p(\d+) renter@\S+", told)[1]
        assert self.ports.setdefault(machine.id, port) == port, "a machine's port has changed"

    def _check_agreement(self, described: dict[int, dict[str, Any]], listed: list[dict[str, Any]]) -> None:
        """Compare what the two protocols say of the same machines, with no regard to what the model thinks."""
        told = {each["instance_id"]: (order, each) for order in listed for each in order["instances"]}
        for id_, machine in described.items():
            order, instance = told[id_]
            assert instance["ec2_instance_id"] == machine["instanceId"]
            assert order["ec2_reservation_id"] == machine["reservationId"]
            assert instance["status"] in _STATUSES_OF[machine["instanceState"]["name"]]
            assert instance["start_date"] == _php(moment_of(machine["launchTime"]))
            assert instance["machine"].partition("@")[2] == machine.get("ipAddress", SSH_HOST)
        living = {id_ for id_, (_, each) in told.items() if each["status"] not in ("wc-completed", "wc-failed")}
        assert living <= described.keys()

    def _check_capacity(self) -> None:
        living = [each for each in self.model.machines if each.gone_at is None]
        assert len({self.ports[each.id] for each in living}) == len(living), "two living machines have one ssh port"
        occupied, capacity = self._metric("occupied"), self._metric("capacity")
        assert capacity == {(name, zone): room for name, rooms in ROOM.items() for zone, room in rooms.items()}
        assert {place: count for place, count in occupied.items() if count} == self.model.occupied()
        assert all(occupied[place] <= capacity[place] for place in capacity), "oversold"

    def _check_machines(self) -> None:
        """Compare the machines themselves with what was made of them: none forgotten, none come back."""
        seen = {id_: each.power.value for id_, each in self.gateway.driver._machines.items()}
        assert seen == {each.id: each.power for each in self.model.machines if each.power != "none"}

    # --- how it is done

    def _connect(self) -> None:
        self.customers = {name: self.gateway.customer(keys) for name, keys in self.keys.items()}

    def _disconnect(self) -> None:
        for customer in self.customers.values():
            customer.close()

    def _clear_plans(self) -> None:
        """Let no trouble lie ahead; what a lost answer to one verb has done would keep the next from being asked."""
        self.gateway.do(self.gateway.driver._planned.clear)

    def _go_down_unwatched(self, machines: Sequence[Machine], power: Power) -> None:
        """Let machines crash or vanish while no gateway runs."""
        with closing(sqlite3.connect(self.gateway.data / "simulated.db")) as db, db:
            for machine in machines:
                machine.power = power
                if power == "none":
                    db.execute("DELETE FROM simulated WHERE id = ?", (machine.id,))
                else:
                    changed = "json_set(document, '$.power', ?)"
                    db.execute(f"UPDATE simulated SET document = {changed} WHERE id = ?", (power, machine.id))

    def _product_ids(self) -> dict[str, int]:
        products = self.customers[OURS].zerosix("GET", "products").document
        assert {each["slug"]: Decimal(each["hourly-price"]) for each in products} == {
            ware.name: ware.price for ware in self.model.wares
        }
        return {each["slug"]: each["id"] for each in products}

    def _ware(self, name: str) -> Ware:
        return next(ware for ware in self.model.wares if ware.name == name)

    def _metric(self, name: str) -> Counter[tuple[str, str]]:
        status, body = self.customers[OURS].send(Request("GET", "/metrics", {}, b""))
        assert status == 200
        lines = re.findall(rf'^onefleet_{name}{{product="(.+)",zone="(.+)"}} (.+)$', body.decode(), re.MULTILINE)
        return Counter({(product, zone): int(float(value)) for product, zone, value in lines})

    def _some(self, chosen: list[int], states: Sequence[str] = ()) -> list[Machine]:
        """Return one customer's machines that are in these states (none named: any).

        If there are none, what is on its way arrives, or else somebody books: both are more telling than nothing.
        """
        fitting = [each for each in self.model.machines if each.state in states or not states]
        if not fitting and not self._let_arrive([each for each in self.model.machines if each.power in _ARRIVES_AT]):
            name = tuple(ROOM)[chosen[0] % len(ROOM)]
            self._book_through_zerosix((OURS, THEIRS)[chosen[-1] % 2], name, len(chosen))
        picked = _picked(fitting, chosen)
        return [each for each in picked if each.order.account == picked[0].order.account]

    def _let_arrive(self, machines: Sequence[Machine]) -> bool:
        for machine in machines:
            self.gateway.do(self.gateway.driver._arrive, machine.id)
            machine.power = _ARRIVES_AT[machine.power]
        return bool(machines)

    def _switch(self, verb: str, machines: list[Machine]) -> None:
        if not machines:
            return
        action, options = _ACTIONS[verb]
        customer = self.customers[machines[0].order.account]
        reply = customer.ec2(action, InstanceId=[spelled(each.id) for each in machines], **options)
        now, core_verb = self.clock.now(), verb.removeprefix("force ")
        if not all(each.is_described(now) for each in machines):
            _expect(reply, (400, "InvalidInstanceID.NotFound"))
        elif not self.model.may(core_verb, machines):
            _expect(reply, (400, "IncorrectInstanceState"))
        else:
            _expect(reply, (200, ""))
            self._turn(verb, core_verb, machines, reply)

    def _turn(self, verb: str, core_verb: str, machines: list[Machine], reply: Reply) -> None:
        """Note what was accepted, and check what was told of it."""
        before = [each.state for each in machines]
        if core_verb in _WANTS:
            for machine in machines:
                machine.want(_WANTS[core_verb], self.clock.now(), is_forced=verb == "force stop")
            self._check_changes(reply, machines, before)

    def _only_ask(self, name: str, zone: str | None, machines: int) -> None:
        asked = _run_instances(name, zone, machines, machines)
        reply = self.customers[OURS].ec2("RunInstances", DryRun="true", **asked)
        placed = self.model.place(self._ware(name), zone, machines, machines)
        _expect(reply, _EC2_REFUSALS[placed] if isinstance(placed, Refused) else (412, "DryRunOperation"))

    def _trespass(self, order: Order) -> None:
        stranger = self.customers[THEIRS if order.account == OURS else OURS]
        target = spelled(order.machines[0].id)
        for action in ("DescribeInstances", *{action for action, _ in _ACTIONS.values()}):
            _expect(stranger.ec2(action, InstanceId=[target]), (400, "InvalidInstanceID.NotFound"))
        for method in ("GET", "DELETE"):
            _expect(stranger.zerosix(method, f"orders/{order.id}"), (401, "order_invalid_permissions"))

    def _check_login(self, order: Order) -> None:
        customer = self.customers[order.account]
        order_key = customer.zerosix("GET", f"orders/{order.id}").document["order_key"]
        reply = customer.zerosix("GET", f"credentials/{order_key}")
        if order.has_ended:
            _expect(reply, (403, "credentials_order_complete"))
            return
        told = {each["instance_id"]: each["ssh_port"] for each in reply.document["instances"]}
        assert told == {each.id: self.ports[each.id] for each in order.machines if each.wanted != "gone"}

    def _check_changes(self, reply: Reply, machines: list[Machine], before: list[str]) -> None:
        told = [
            (number_of(each["instanceId"]), each["previousState"]["name"], each["currentState"]["name"])
            for each in reply.document["instancesSet"]
        ]
        assert told == [(each.id, was, each.state) for each, was in zip(machines, before, strict=True)]

    def _complete(self, order: Order) -> None:
        reply = self.customers[order.account].zerosix("DELETE", f"orders/{order.id}")
        if order.has_ended:
            _expect(reply, (404, "order_invalid_status"))
            return
        _expect(reply, (204, ""))
        for machine in order.machines:
            machine.want("gone", self.clock.now())

    def _book_through_ec2(self, account: str, name: str, zone: str | None, asked: dict[str, Any]) -> None:
        reply = self.customers[account].ec2("RunInstances", **asked)
        earlier = self.model.order_with(account, asked.get("ClientToken", ""), self.clock.now())
        if earlier is not None:
            self._expect_earlier(reply, earlier, is_same=self.asked[earlier.id] == asked)
            return
        placed = self.model.place(self._ware(name), zone, asked["MinCount"], asked["MaxCount"])
        if isinstance(placed, Refused):
            _expect(reply, _EC2_REFUSALS[placed])
            return
        order = self._note(account, name, placed, reply)
        order.token = asked.get("ClientToken", "")
        order.terminates_itself = "InstanceInitiatedShutdownBehavior" in asked
        self.asked[order.id] = asked

    def _book_through_zerosix(self, account: str, name: str, machines: int) -> Order | None:
        reply = self.customers[account].zerosix(
            "PUT", "orders", {"product_id": self.product_ids[name], "instances": machines}
        )
        placed = self.model.place(self._ware(name), None, machines, machines)
        if isinstance(placed, Refused):
            _expect(reply, (200, "order_not_available_resources"))
            return None
        return self._note(account, name, placed, reply)

    def _try_to_book(self, index: int, account: str, name: str, machines: int) -> Reply:
        with self.gateway.customer(self.keys[account]) as customer:
            if index % 2:
                document = {"product_id": self.product_ids[name], "instances": machines}
                return customer.zerosix("POST", "orders", document)
            return customer.ec2("RunInstances", **_run_instances(name, None, machines, machines))

    def _note(self, account: str, name: str, placed: tuple[str, int], reply: Reply) -> Order:
        """Check the answer to a booking that had to be accepted, and put it into the model."""
        _expect(reply, (200, ""))
        ware, (zone, machines) = self._ware(name), placed
        order_id, ids = _booked(reply)
        assert len(ids) == machines
        self._check_new(order_id, ids)
        order = Order(order_id, account, ware, zone, ware.price, self.clock.now())
        self.model.book(order, ids)
        return order

    def _note_wherever_it_is(self, account: str, ware: Ware, reply: Reply, machines: int) -> None:
        """Put a booking into the model that one of several zones may have got."""
        order_id, ids = _booked(reply)
        described = machines_in(
            self.customers[account].ec2("DescribeInstances", InstanceId=[spelled(id_) for id_ in ids])
        )
        (zone,) = {each["placement"]["availabilityZone"] for each in described}
        assert len(ids) == machines
        self._check_new(order_id, ids)
        order = Order(order_id, account, ware, zone, ware.price, self.clock.now())
        self.model.book(order, ids)

    def _check_new(self, order_id: int, ids: list[int]) -> None:
        assert order_id not in {order.id for order in self.model.orders}, "an order's id was given out twice"
        assert not set(ids) & {each.id for each in self.model.machines}, "a machine's id was given out twice"

    def _expect_earlier(self, reply: Reply, earlier: Order, *, is_same: bool) -> None:
        """Check the answer to a client token that came before."""
        if not is_same:
            _expect(reply, (400, "IdempotentParameterMismatch"))
            return
        _expect(reply, (200, ""))
        assert _booked(reply) == (earlier.id, [each.id for each in earlier.machines])

    def _end_everything(self) -> None:
        """Let every customer go: everything must be free again."""
        self.gateway.fall_silent(False)
        self.gateway.sweep()
        self.both_views_agree_and_the_books_are_right()
        for order in self.model.orders:
            if not order.has_ended:
                self._complete(order)
        self.both_views_agree_and_the_books_are_right()
        assert not any(self._metric("occupied").values())
        assert not self.gateway.driver._machines


_UP = ("starting", "running", "stopping")
_ARRIVES_AT = {"starting": "running", "stopping": "stopped"}
_WANTS = {"start": "up", "stop": "down", "terminate": "gone"}
_EC2_REFUSALS = {
    Refused.NOT_OFFERED: (400, "Unsupported"),
    Refused.NO_ROOM: (500, "InsufficientInstanceCapacity"),
}
_STATUSES_OF = {
    "pending": ("wc-pending", "wc-processing"),
    "running": ("wc-unlimited",),
    "stopping": ("wc-on-hold",),
    "stopped": ("wc-on-hold",),
    "shutting-down": ("wc-completed", "wc-failed"),
    "terminated": ("wc-completed", "wc-failed"),
}


def _picked(things: Sequence[T], chosen: Iterable[int]) -> list[T]:
    """Return the things that the numbers stand for, each once; none if there are none."""
    return list(dict.fromkeys(things[number % len(things)] for number in chosen)) if things else []


def _expect(reply: Reply, expected: tuple[int, str]) -> None:
    assert (reply.status, reply.code) == expected, reply.document


def _booked(reply: Reply) -> tuple[int, list[int]]:
    """Return the ids of the order and of its machines, whichever protocol tells them."""
    if isinstance(reply.document, list):
        (order,) = reply.document
        return order["order_id"], [each["instance_id"] for each in order["instances"]]
    machines = machines_in(reply)
    return number_of(reply.document["reservationId"]), [number_of(each["instanceId"]) for each in machines]


def _run_instances(
    name: str, zone: str | None, least: int, most: int, *, token: str = "", terminates_itself: bool = False
) -> dict[str, Any]:
    asked: dict[str, Any] = {"ImageId": "debian-12", "InstanceType": name, "MinCount": least, "MaxCount": most}
    if zone is not None:
        asked["Placement__AvailabilityZone"] = zone
    if token:
        asked["ClientToken"] = token
    if terminates_itself:
        asked["InstanceInitiatedShutdownBehavior"] = "terminate"
    return asked


def _to_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _php(moment: datetime) -> dict[str, object]:
    local = moment.astimezone(TIMEZONE)
    return {"time": f"{local:%Y-%m-%dT%H:%M:%S}", "timezone_type": 3, "timezone": TIMEZONE.key}


def _catalogue(prices: dict[str, str]) -> dict[str, Any]:
    return {
        "regions": [{"name": REGION, "geo": "europe"}],
        "zones": [{"name": zone, "region": REGION} for zone in ZONES],
        "images": [{"name": "debian-12"}],
        "products": [
            {
                "slug": name,
                "title": name.title(),
                "price": prices[name],
                "vcpus": 1,
                "memory_mib": 1024,
                "disk_gib": 10,
                "image": "debian-12",
                "capacity": room,
            }
            for name, room in ROOM.items()
        ],
    }
