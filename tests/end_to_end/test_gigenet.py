"""One gateway that speaks both dialects: GigeNET's under the name that its pages print, AWS's under every other."""

import base64

import pytest
from lxml import etree

from protocols import charts
from tests.end_to_end.commands import REFERENCE, need_command, printed_in, run
from tests.end_to_end.customer import TYPE, a_customer
from tests.end_to_end.test_php import filled_in
from tests.protocols.test_charts import columns_with, pixels
from tests.running import RunningGateway, eventually

_ENDPOINTS = [{"path": "/"}, {"path": "/", "host": "api.thegcloud.com", "dialect": "gigenet"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gigenet")
    with RunningGateway(folder, ec2=_ENDPOINTS, compute={"sample_seconds": 1}) as running:
        yield running


@pytest.fixture
def customer(gateway):
    with a_customer(gateway) as someone:
        yield someone


@pytest.fixture
def printed(customer):
    """Runs GigeNET's printed sample with an action and its parameters; returns the document that it fetches."""
    need_command("php", "php-cli")
    [sample] = printed_in(REFERENCE / "seed-gigenet-introduction.md", r"^```php--raw\n(.*?)^```$")

    def fetch(action, parameters=""):
        return etree.fromstring(run(["php"], stdin=filled_in(sample, customer, action, parameters)).encode())

    return fetch


def test_the_printed_sample_rents_a_machine_that_all_protocols_show(printed, customer):
    booked = printed("RunInstances", f"&ImageId=debian-12&InstanceType={TYPE}&BillingTerm=1")
    number = int(booked.findtext("instancesSet/item/instanceId"))

    def is_on():
        told = printed("DescribeInstanceStatus", f"&InstanceId={number}")
        return told.findtext("instanceStatusSet/item/instanceState/code") == "0"

    eventually(is_on, what="a machine that is on")
    assert printed("GetPasswordData", f"&InstanceId={number}").findtext("passwordData")
    [order] = customer.orders()
    assert [machine["instance_id"] for machine in order["instances"]] == [number]
    [machine] = customer.described()
    assert (machine["InstanceId"], machine["State"]["Name"]) == (f"i-{number:017x}", "running")
    customer.ask("DELETE", f"orders/{order['order_id']}")
    eventually(lambda: not is_on(), what="a machine that is not on")


def test_the_graph_of_a_machine_fills_as_it_is_sampled(printed, customer):
    [name] = customer.book()
    number = int(name.removeprefix("i-"), 16)

    def graph():
        """Return the columns of the graph in which there is a line."""
        told = printed("DescribeInstanceAttribute", f"&InstanceId={number}&Attribute=graph_cpu_hour")
        return columns_with(pixels(base64.b64decode(told.findtext("graph_cpu_hour/value"))), charts._FIRST)

    assert graph() == set()
    eventually(graph, what="a graph with something on it")
