"""Reloads and restarts while customers go on asking: nobody is refused, and what they book is booked once."""

import http.client
import secrets
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import boto3
import pytest
import urllib3
from botocore.config import Config

from tests.certificates import make_certificate
from tests.customers import PATIENCE_SECONDS, Customer, Reply, machines_in, number_of, read_zerosix
from tests.running import RunningGateway, a_config, eventually
from tests.servicemanager import ServiceManager

Ask = Callable[[], None]

PRODUCT = "gcl.1"
READ_AGAIN = "the configuration was read again"


class Crowd:
    """Threads that ask again and again. `count` is how often that went well, `troubles` what went wrong."""

    def __init__(self) -> None:
        self.count, self.troubles = 0, list[str]()
        self._are_done = threading.Event()

    @contextmanager
    def asking(self, *asks: Ask) -> Iterator[None]:
        """Let each of them ask until the block ends, and then see that there was no trouble."""
        threads = [threading.Thread(target=self._ask, args=(ask,)) for ask in asks]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._are_done.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)
        assert self.troubles == []

    def get_on(self, times: int = 10) -> None:
        """Return once they have asked so many times more."""
        goal = self.count + times
        eventually(lambda: self.count >= goal or self.troubles, what=f"{times} more answers")

    def _ask(self, ask: Ask) -> None:
        while not (self._are_done.is_set() or self.troubles):
            try:
                ask()
            except Exception as error:  # noqa: BLE001  whatever a client makes of it, it is trouble
                self.troubles.append(f"{ask.__name__}: {type(error).__name__}: {error}")
            self.count += 1


class Shopper:
    """What a customer does at a gateway. A refusal is an error; so is what cannot be of one catalogue."""

    def __init__(self, gateway: RunningGateway, certificate: str = "") -> None:
        self._gateway = gateway
        self.context = ssl.create_default_context(cafile=certificate) if certificate else None
        self._kept, self._pool = self._customer(), urllib3.PoolManager(ssl_context=self.context)
        self._ec2 = boto3.client(
            "ec2",
            "ord1",
            endpoint_url=gateway.endpoint,
            verify=certificate or None,
            aws_access_key_id=gateway.keys.access_key,
            aws_secret_access_key=gateway.keys.secret_key,
            config=Config(retries={"total_max_attempts": 5}),
        )
        with self._customer() as customer:
            sold = customer.zerosix_basic("GET", "products?per_page=100").document
        [self._product_id] = [each["id"] for each in sold if each["slug"] == PRODUCT]
        self.orders: list[int] = []
        self.tokens: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()
        self._pool.clear()
        self._ec2.close()

    def browse(self) -> None:
        """Look at what is sold, on a connection that lasts for one request."""
        with self._customer() as customer:
            _judge_offer(customer.zerosix_basic("GET", "products"))

    def browse_on(self) -> None:
        """Look at what is sold, on a connection that is kept, and that nobody may break off."""
        _judge_offer(self._kept.zerosix_basic("GET", "products"))

    def browse_again(self) -> None:
        """Look at what is sold as urllib3 does: what a kept connection breaks off is tried again."""
        request = self._kept.zerosix_request("GET", "products", is_signed=False)
        url = f"{self._gateway.endpoint}{request.target}"
        answer = self._pool.request("GET", url, headers=request.headers, retries=urllib3.Retry(1))
        _judge_offer(read_zerosix(answer.status, answer.data))

    def compare(self) -> None:
        """Look at what is sold as EC2 tells it."""
        with self._customer() as customer:
            reply = customer.ec2("DescribeInstanceTypes")
        assert not reply.code, reply
        assert len({each["memoryInfo"]["sizeInMiB"] for each in reply.document["instanceTypeSet"]}) == 1

    def book(self) -> None:
        """Book a machine, on a connection that lasts for one request; it is tried once."""
        with self._customer() as customer:
            reply = customer.zerosix_basic("PUT", "orders", {"product_id": self._product_id, "instances": 1})
        assert not reply.code, reply
        self.orders.append(reply.document[0]["order_id"])

    def book_on(self) -> None:
        """Book a machine as botocore does: on connections that are kept, and what they break off is tried again."""
        token = secrets.token_hex(8)
        image = self._ec2.describe_images()["Images"][0]["ImageId"]
        self._ec2.run_instances(InstanceType=PRODUCT, ImageId=image, MinCount=1, MaxCount=1, ClientToken=token)
        self.tokens.append(token)

    def require_all_booked_once(self) -> None:
        """See that what there is now is what was booked: nothing is lost, and nothing is there twice."""
        with self._customer() as customer:
            machines = machines_in(customer.ec2("DescribeInstances"))
        tokens = sorted(token for each in machines if (token := each.get("clientToken")))
        orders = sorted(number_of(each["reservationId"]) for each in machines if not each.get("clientToken"))
        assert (orders, tokens) == (sorted(self.orders), sorted(self.tokens))

    def _customer(self) -> Customer:
        customer = Customer(self._gateway.endpoint, self._gateway.keys)
        if self.context is not None:
            customer._connection = http.client.HTTPSConnection(
                customer.host, timeout=PATIENCE_SECONDS, context=self.context
            )
        return customer


def _judge_offer(reply: Reply) -> None:
    """See that all products are of one catalogue."""
    assert not reply.code, reply
    assert len({each["description"] for each in reply.document}) == 1, "products of two catalogues"


def offer(name: str, memory_mib: int) -> dict[str, Any]:
    """Return a catalogue of which every product says which one it is of."""
    products = [{**each, "description": name, "memory_mib": memory_mib} for each in a_config(Path())["products"]]
    return {"products": products}


# --- reloads


def test_no_request_fails_while_the_configuration_changes_20_times(start_gateway, tmp_path):
    tls = make_certificate(tmp_path, 1)
    gateway = start_gateway(server={"tls": tls}, **offer("one", 1024))
    crowd = Crowd()
    with (
        Shopper(gateway, tls["certificate"]) as shopper,
        crowd.asking(shopper.browse, shopper.browse_on, shopper.compare, shopper.book),
    ):
        for turn in range(20):
            name, memory_mib = (("two", 2048), ("one", 1024))[turn % 2]
            shopper.context.load_verify_locations(make_certificate(tmp_path, 2 + turn)["certificate"])
            gateway.configure(limits={"machines": 10_000 + turn}, **offer(name, memory_mib))
            gateway.signal(signal.SIGHUP)
            eventually(lambda: gateway.log(event=READ_AGAIN)[turn:], what="a reload")  # noqa: B023  called at once
            crowd.get_on(5)
    assert [line["applied"] for line in gateway.log(event=READ_AGAIN)] == [["limits", "products"]] * 20
    shopper.require_all_booked_once()


def test_signals_that_come_faster_than_reloads_are_taken_together(start_gateway):
    gateway = start_gateway(**offer("one", 1024))
    crowd = Crowd()
    with Shopper(gateway) as shopper, crowd.asking(shopper.browse, shopper.browse_on):
        for turn in range(20):
            gateway.configure(limits={"machines": turn})
            gateway.signal(signal.SIGHUP)
            crowd.get_on(1)
    eventually(lambda: machines_allowed(gateway) == 19, what="the last configuration")


def machines_allowed(gateway: RunningGateway) -> int:
    with Customer(gateway.endpoint, gateway.keys) as customer:
        told = customer.ec2("DescribeAccountAttributes", AttributeName=["max-instances"]).document
    return int(told["accountAttributeSet"][0]["attributeValueSet"][0]["attributeValue"])


# --- restarts


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    with ServiceManager(tmp_path) as manager:
        yield manager


def start(manager: ServiceManager, folder: Path, **sections: Any) -> RunningGateway:
    (folder / "gateway").mkdir()
    return manager.look_after(RunningGateway(folder / "gateway", **offer("one", 1024), **sections)).start()


@pytest.fixture
def gateway(manager: ServiceManager, tmp_path: Path) -> Iterator[RunningGateway]:
    with start(manager, tmp_path) as gateway:
        yield gateway


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
def test_no_request_fails_while_the_gateway_is_restarted(manager, tmp_path, is_tls):
    tls = make_certificate(tmp_path, 1) if is_tls else {}
    crowd = Crowd()
    with (
        start(manager, tmp_path, server={"tls": tls or None}) as gateway,
        Shopper(gateway, tls.get("certificate", "")) as shopper,
    ):
        with crowd.asking(shopper.browse, shopper.browse_again, shopper.compare, shopper.book, shopper.book_on):
            for _ in range(2):
                crowd.get_on()
                assert gateway.stop() == 0
                gateway.start(is_ready=False)
            crowd.get_on()
        shopper.require_all_booked_once()


def test_connections_that_wait_while_nobody_runs_are_answered_by_the_next(gateway):
    crowd = Crowd()
    with Shopper(gateway) as shopper:
        shopper.book()
        gateway.kill()
        with crowd.asking(shopper.browse, shopper.compare, shopper.book):
            gateway.start(is_ready=False)
            crowd.get_on()
    shopper.require_all_booked_once()


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
def test_who_has_just_connected_is_answered_by_a_gateway_that_stops(start_gateway, tmp_path, is_tls):
    tls = make_certificate(tmp_path, 1) if is_tls else {}
    gateway = start_gateway(server={"tls": tls or None})
    host, port = gateway.endpoint.split("//", 1)[1].split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_SECONDS)
    connection.connect()
    assert gateway.get("/healthz").status == 200  # so the one before it has been accepted
    gateway.signal(signal.SIGTERM)
    gateway.wait_for_log(event="stopping")
    if is_tls:
        time.sleep(0.3)  # the client's own slowness: the gateway must not have gone by then
        context = ssl.create_default_context(cafile=tls["certificate"])
        connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    assert gateway.wait() == 0
