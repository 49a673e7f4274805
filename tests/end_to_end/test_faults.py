"""What the world does to a gateway: full disks, locks, clients that hang or leave, clocks that jump, and being stopped."""

import http.client
import os
import re
import resource
import socket
import sqlite3
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.clocks import ManualClock
from tests.customers import Customer, Reply, Request, machines_in, number_of, read_ec2, read_zerosix, spelled
from tests.hosted import HostedGateway
from tests.running import Keys, RunningGateway, eventually

HOUR = timedelta(hours=1)
MACHINE = {"ImageId": "debian-12", "InstanceType": "small", "MinCount": 1, "MaxCount": 1}
ORDER = {"product_id": 1, "instances": 1}
PATIENCE_SECONDS = 20.0
QUICK: dict[str, Any] = {
    "compute": {"simulated": {"boot_seconds": 0, "stop_seconds": 0}},
    "regions": [{"name": "east", "geo": "europe"}],
    "zones": [{"name": "east-a", "region": "east"}],
    "images": [{"name": "debian-12"}],
    "products": [
        {
            "slug": "small",
            "title": "Small",
            "price": "0.03",
            "vcpus": 1,
            "memory_mib": 1024,
            "disk_gib": 10,
            "image": "debian-12",
            "capacity": {"east-a": 10_000},
        }
    ],
}


# --- the database cannot be written

Trouble = Callable[[RunningGateway], AbstractContextManager[None]]


@contextmanager
def a_full_disk(gateway: RunningGateway) -> Iterator[None]:
    """Fill the small file system on which the data directory lies, to the last byte."""
    filler = gateway.data / "filler"
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        yield
    finally:
        filler.unlink()


@contextmanager
def no_file_may_grow(gateway: RunningGateway) -> Iterator[None]:
    """Let every write of the process fail, as a quota would."""
    _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def another_process_locks_the_database(gateway: RunningGateway) -> Iterator[None]:
    with closing(sqlite3.connect(gateway.data / "onefleet.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


@contextmanager
def _small_file_system(folder: Path) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _may_mount() -> bool:
    if os.geteuid():
        return False
    attempt = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0


# Where nothing can be mounted, the limit on files alone stands for a full disk.
TROUBLES: Sequence[Trouble] = (
    *((a_full_disk,) if _may_mount() else ()),
    no_file_may_grow,
    another_process_locks_the_database,
)


@pytest.fixture(params=TROUBLES, ids=lambda trouble: trouble.__name__)
def unwritable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[RunningGateway, Trouble]]:
    """A gateway with one machine, and a way to make its database unwritable for a while."""
    with ExitStack() as closing_:
        if request.param is a_full_disk:
            closing_.enter_context(_small_file_system(tmp_path / "data"))
        gateway = closing_.enter_context(RunningGateway(tmp_path, **QUICK))
        with Customer(gateway.endpoint, gateway.keys) as customer:
            assert not customer.ec2("RunInstances", **MACHINE).code
            eventually(lambda: _states(customer) == ["running"], what="the first machine's boot")
        yield gateway, request.param


CHANGES: dict[Callable[[Customer], Reply], tuple[int, str]] = {
    lambda customer: customer.ec2("RunInstances", **MACHINE): (503, "Unavailable"),
    lambda customer: customer.ec2("StopInstances", InstanceId=[spelled(1)]): (503, "Unavailable"),
    lambda customer: customer.ec2("TerminateInstances", InstanceId=[spelled(1)]): (503, "Unavailable"),
    lambda customer: customer.zerosix("PUT", "orders", ORDER): (503, "onefleet_unavailable"),
    lambda customer: customer.zerosix_basic("PUT", "orders", ORDER): (503, "onefleet_unavailable"),
    lambda customer: customer.zerosix_basic("DELETE", "orders/1"): (503, "onefleet_unavailable"),
}


def _try(gateway: RunningGateway, change: Callable[[Customer], Reply]) -> tuple[int, str]:
    with Customer(gateway.endpoint, gateway.keys) as customer:
        reply = change(customer)
    return reply.status, reply.code


def test_while_the_database_cannot_be_written_both_protocols_refuse_in_their_own_words_and_nothing_changes(unwritable):
    gateway, trouble = unwritable
    with Customer(gateway.endpoint, gateway.keys) as customer:
        before = customer.zerosix_basic("GET", "orders").document
        with trouble(gateway):
            with ThreadPoolExecutor(len(CHANGES)) as pool:
                told = list(pool.map(partial(_try, gateway), CHANGES))
            assert told == list(CHANGES.values())
            assert customer.zerosix_basic("GET", "orders").document == before
            assert _states(customer) == ["running"]
            assert _occupied(gateway) == 1
        assert customer.zerosix_basic("GET", "orders").document == before


def test_a_gateway_whose_database_cannot_be_written_lives_but_is_not_ready(unwritable):
    gateway, trouble = unwritable
    with Customer(gateway.endpoint, gateway.keys) as customer, trouble(gateway):
        assert customer.ec2("RunInstances", **MACHINE).status == 503
        assert gateway.get("/readyz").status == 503
        assert gateway.get("/healthz").status == 200
        assert gateway.metric("onefleet_ready") == 0


def test_once_the_database_can_be_written_again_all_goes_on_without_a_restart(unwritable):
    gateway, trouble = unwritable
    with Customer(gateway.endpoint, gateway.keys) as customer:
        with trouble(gateway):
            assert customer.ec2("RunInstances", ClientToken="again", **MACHINE).status == 503
        gateway.wait_until_ready()
        booked = customer.ec2("RunInstances", ClientToken="again", **MACHINE)
        ordered = customer.zerosix("PUT", "orders", ORDER)
        assert (booked.status, ordered.status) == (200, 200)
        assert not customer.ec2("TerminateInstances", InstanceId=[spelled(1)]).code
        eventually(lambda: _states(customer) == ["terminated", "running", "running"], what="the machines' being made")
        assert _occupied(gateway) == 2
        before = customer.zerosix("GET", "orders").document
    gateway.restart()
    with Customer(gateway.endpoint, gateway.keys) as customer:
        assert [each["order_id"] for each in customer.zerosix("GET", "orders").document] == [
            each["order_id"] for each in before
        ]


def test_machines_lost_with_the_drivers_file_end_and_free_their_room(tmp_path: Path):
    with RunningGateway(tmp_path, **QUICK) as gateway:
        with Customer(gateway.endpoint, gateway.keys) as customer:
            customer.ec2("RunInstances", **MACHINE)
            eventually(lambda: _states(customer) == ["running"], what="the first machine's boot")
            for file in gateway.data.glob("simulated.db*"):
                file.unlink()
            assert not customer.ec2("RunInstances", **MACHINE).code
            assert gateway.get("/readyz").status == 200
        gateway.restart()
        with Customer(gateway.endpoint, gateway.keys) as customer:
            eventually(lambda: _states(customer) == ["terminated", "terminated"], what="the loss's being noticed")
            assert _occupied(gateway) == 0
            assert not customer.ec2("RunInstances", **MACHINE).code
            eventually(lambda: _states(customer)[2:] == ["running"], what="a new machine's boot")


# --- clients that hang, and clients that leave


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[HostedGateway]:
    with HostedGateway(tmp_path, ManualClock(), **QUICK) as gateway:
        yield gateway


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[HostedGateway]:
    """A gateway that waits a tenth of a second for a body."""
    with HostedGateway(tmp_path, ManualClock(), server={"body_seconds": 0.1}, **QUICK) as gateway:
        yield gateway


def _ec2_booking(customer: Customer) -> Request:
    return customer.ec2_request("RunInstances", MACHINE)


def _zerosix_booking(customer: Customer) -> Request:
    return customer.zerosix_request("PUT", "orders", ORDER)


BOOKINGS = {"ec2": _ec2_booking, "zerosix": _zerosix_booking}


@pytest.mark.parametrize(
    ("protocol", "read", "code"),
    [("ec2", read_ec2, "RequestTimeout"), ("zerosix", read_zerosix, "onefleet_request_timeout")],
)
def test_a_client_that_stops_within_its_request_is_told_so_in_its_protocols_words(impatient, protocol, read, code):
    with impatient.customer(impatient.new_keys("slow")) as customer:
        request = BOOKINGS[protocol](customer).as_bytes()
        with _connected(impatient) as connection:
            connection.sendall(request[:-5])
            reply = _answer(connection, read)
        assert (reply.status, reply.code) == (408, code)
        assert customer.zerosix("GET", "orders").document == []
    assert not _faults(impatient)


def test_clients_that_hang_keep_nobody_else_waiting(hosted):
    with ExitStack() as hanging, hosted.customer(hosted.new_keys("quick")) as customer:
        half = _ec2_booking(customer).as_bytes()[:-5]
        connections = [hanging.enter_context(_connected(hosted)) for _ in range(100)]
        for connection in connections:
            connection.sendall(half)
        assert not customer.ec2("RunInstances", **MACHINE).code
        hosted.settle()
        assert _states(customer) == ["running"]
        for connection in connections:
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)


@pytest.mark.parametrize("protocol", BOOKINGS)
@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
def test_a_client_that_leaves_within_its_request_leaves_no_trace(hosted, protocol, is_reset):
    with hosted.customer(hosted.new_keys("gone")) as customer:
        half = BOOKINGS[protocol](customer).as_bytes()[:-5]
        with _connected(hosted) as connection:
            connection.sendall(half)
            eventually(lambda: hosted.requests == 1, what="the request's beginning")
            if is_reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        eventually(lambda: hosted.connections == 0, what="the end of the connection")
        assert customer.zerosix("GET", "orders").document == []
        counted = set(re.findall(r'code="(\w+)"', _metrics(customer)))
    assert counted == {"200", "ClientWentAway"}
    assert not _faults(hosted)


@pytest.mark.parametrize("protocol", BOOKINGS)
def test_a_client_that_does_not_wait_for_the_answer_has_booked_once(hosted, protocol):
    with hosted.customer(hosted.new_keys("hasty")) as customer:
        with _connected(hosted) as connection:
            connection.sendall(BOOKINGS[protocol](customer).as_bytes())
        eventually(lambda: customer.zerosix("GET", "orders").document, what="the booking")
        eventually(lambda: hosted.connections == 1, what="the end of the connection")
        hosted.settle()
        assert _states(customer) == ["running"]
    assert not _faults(hosted)


# --- a clock that jumps


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_what_was_signed_before_the_clock_jumped_is_refused_in_each_protocols_words(hosted, jump):
    with hosted.customer(hosted.new_keys("punctual")) as customer:
        describe = customer.ec2_request("DescribeInstances", {})
        listing = customer.zerosix_request("GET", "orders")
        hosted.clock.advance(jump)
        ec2, zerosix = read_ec2(*customer.send(describe)), read_zerosix(*customer.send(listing))
        assert (ec2.status, ec2.code) == (400, "RequestExpired")
        assert (zerosix.status, zerosix.code) == (401, "woocommerce_rest_authentication_error")
        assert zerosix.document["message"] == "Invalid timestamp."


def test_a_nonce_stays_used_when_the_clock_jumps_forward_and_back(hosted):
    with hosted.customer(hosted.new_keys("repetitive")) as customer:
        listing = customer.zerosix_request("GET", "orders")
        assert customer.send(listing)[0] == 200
        hosted.clock.advance(HOUR)
        assert customer.zerosix("GET", "orders").status == 200
        hosted.clock.advance(-HOUR)
        again = read_zerosix(*customer.send(listing))
        assert (again.status, again.document["message"]) == (401, "Invalid nonce - nonce has already been used.")


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_nothing_is_charged_below_one_hour_when_the_clock_jumps(hosted, jump):
    with hosted.customer(hosted.new_keys("frugal")) as customer:
        customer.ec2("RunInstances", **MACHINE)
        hosted.settle()
        hosted.clock.advance(jump)
        assert _charged(customer) == ("1", "0.03")
        customer.ec2("TerminateInstances", InstanceId=[spelled(1)])
        hosted.settle()
        assert _charged(customer) == ("1", "0.03")


@pytest.mark.parametrize("jumps", [(HOUR, -HOUR), (-HOUR, HOUR)], ids=["forward and back", "back and forward"])
def test_machines_go_through_all_their_states_while_the_clock_jumps(hosted, jumps):
    there, back = jumps
    with hosted.customer(hosted.new_keys("steady")) as customer:
        customer.ec2("RunInstances", **MACHINE)
        for jump, action, state in (
            (there, "StopInstances", "stopped"),
            (back, "StartInstances", "running"),
            (there, "TerminateInstances", "terminated"),
        ):
            hosted.settle()
            hosted.clock.advance(jump)
            assert not customer.ec2(action, InstanceId=[spelled(1)]).code
            hosted.settle()
            assert _states(customer) == [state]
        hosted.sweep()
    assert not _faults(hosted)


# --- being stopped


def test_a_gateway_told_to_stop_in_a_storm_answers_all_that_it_has_carried_out(tmp_path: Path):
    with RunningGateway(tmp_path, **QUICK) as gateway:
        enough = Event()
        with ThreadPoolExecutor(8) as pool:
            storms = [pool.submit(_book_on, gateway.endpoint, gateway.keys, client, enough) for client in range(8)]
            assert enough.wait(PATIENCE_SECONDS)
            code = gateway.stop()
            answers = [answer for storm in storms for answer in storm.result()]
        requests = gateway.log(event="request")
        gateway.start()
        with Customer(gateway.endpoint, gateway.keys) as customer:
            orders = {each["order_id"] for each in customer.zerosix("GET", "orders").document}
    assert code == 0
    assert len(answers) == len(requests), "a request was carried out and its client was not told"
    assert {_order_id(reply) for reply in answers if not reply.code} == orders
    assert len(orders) > 8


def _book_on(endpoint: str, keys: Keys, client: int, enough: Event) -> list[Reply]:
    """Book until nobody answers any more; return all answers. Every other client uses the other protocol."""
    answers: list[Reply] = []
    with Customer(endpoint, keys) as customer:
        while True:
            try:
                if client % 2:
                    reply = customer.zerosix("PUT", "orders", ORDER)
                else:
                    reply = customer.ec2("RunInstances", **MACHINE)
            except (OSError, http.client.HTTPException):
                return answers
            answers.append(reply)
            if len(answers) == 5:
                enough.set()


# --- small change


def _order_id(reply: Reply) -> int:
    if isinstance(reply.document, list):
        return reply.document[0]["order_id"]
    return number_of(reply.document["reservationId"])


def _states(customer: Customer) -> list[str]:
    return [each["instanceState"]["name"] for each in machines_in(customer.ec2("DescribeInstances"))]


def _charged(customer: Customer) -> tuple[str, str]:
    (order,) = customer.zerosix("GET", "orders").document
    return order["instances"][0]["rented_hours"], order["total_cost"]


def _occupied(gateway: RunningGateway) -> float:
    return gateway.metric("onefleet_occupied", product="small", zone="east-a")


def _metrics(customer: Customer) -> str:
    return customer.send(Request("GET", "/metrics", {}, b""))[1].decode()


def _faults(gateway: HostedGateway) -> list[Any]:
    return [each for each in gateway.complaints if each["level"] != "warning"]


def _connected(gateway: HostedGateway) -> socket.socket:
    host, _, port = gateway.endpoint.rpartition("/")[2].partition(":")
    return socket.create_connection((host, int(port)), PATIENCE_SECONDS)


def _answer(connection: socket.socket, read: Callable[[int, bytes], Reply]) -> Reply:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return read(response.status, response.read())
