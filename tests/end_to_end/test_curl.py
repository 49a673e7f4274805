"""curl: ZeroSix's documented calls as they are printed, and EC2 signed by curl itself."""

import json
import re
import sqlite3
from contextlib import closing

import pytest
from lxml import etree

from tests.end_to_end.commands import REFERENCE, need_command, printed_in, run
from tests.end_to_end.customer import API, IMAGE, REGION, TYPE, number_of


@pytest.fixture(autouse=True)
def _curl():
    need_command("curl", "curl")


# --- ZeroSix's documentation


@pytest.fixture
def printed(customer):
    """Has bash run the printed call that contains a text, changed only in host, key and the given numbers."""
    calls = printed_in(REFERENCE / "seed-zerosix-api.md", r"^ *(curl .*?)\n\n")
    login = f"{customer.keys.access_key}:{customer.keys.secret_key}"

    def call(mark, numbers=None, *, has_key=True):
        [command] = [each for each in calls if mark in each]
        command = re.sub(r"https://(www\.)?zerosix\.ai", customer.gateway.endpoint, command)
        for theirs, ours in (numbers or {}).items():
            command = command.replace(theirs, ours)
        if "-u consumer_key:consumer_secret" in command:
            command = command.replace("consumer_key:consumer_secret", login)
        elif has_key:
            command = command.replace("curl", f"curl -u {login}", 1)
        return json.loads(run(["bash", "-c", command]))

    return call


def test_the_printed_call_lists_all_products(printed):
    assert [product["hourly-price"] for product in printed('--data "{}"')][:3] == ["0.25", "0.5", "0.7"]


def test_the_printed_filter_finds_what_is_printed_in_spite_of_its_trailing_comma(printed):
    assert [product["title"] for product in printed("relation")] == ["NVIDIA TitanXP"]


def test_the_printed_call_retrieves_a_product(printed):
    assert printed("products/1 ")["title"] == "NVIDIA 1060, 100 GB SSD"


def test_the_printed_call_books_machines_that_ec2_shows(printed, customer):
    [order] = printed("orders?", {"product_id=171": f"product_id={customer.product_id()}"})
    assert (order["file_url"], len(order["instances"])) == ("https://ww.zerosix.ai/docker.tar.gz", 3)
    assert [number_of(machine["InstanceId"]) for machine in customer.described()] == [
        machine["instance_id"] for machine in order["instances"]
    ]


def test_the_printed_call_without_a_key_books_nothing(printed, customer):
    refused = printed("orders?", {"product_id=171": f"product_id={customer.product_id()}"}, has_key=False)
    assert refused["data"]["status"] == 401
    assert customer.orders() == []


def test_the_key_that_an_order_links_to_opens_its_machines(printed, customer, tmp_path):
    [order] = printed("orders?", {"product_id=171": f"product_id={customer.product_id()}"})
    credentials = customer.ask("GET", f"credentials/{order['order_key']}").json()
    machines = [f"-p{each['ssh_port']} {each['ssh_hostname']}" for each in credentials["instances"]]
    assert machines == [each["machine"] for each in order["instances"]]

    key = tmp_path / "key.pem"
    run(["curl", "--fail", "--output", str(key), credentials["ssh_key"]])
    key.chmod(0o600)
    private_half_of = run(["ssh-keygen", "-y", "-f", str(key)]).split()[:2]
    assert private_half_of == public_key(customer, order["order_id"]).split()[:2]


def public_key(customer, order_id):
    """Return what is put into the machines of an order: only the database knows it."""
    with closing(sqlite3.connect(f"file:{customer.gateway.data}/onefleet.db?mode=ro", uri=True)) as database:
        return database.execute("SELECT public_key FROM orders WHERE id = ?", [order_id]).fetchone()[0]


def test_the_order_key_alone_downloads_nothing(customer):
    customer.ask("PUT", "orders", {"product_id": customer.product_id(), "instances": 1})
    [order] = customer.orders()
    url = f"{customer.gateway.endpoint}{API}credentials/{order['order_key']}/ssh_key"
    assert json.loads(run(["curl", url]))["data"]["status"] == 401


# --- EC2


@pytest.fixture
def signed(customer):
    """Sends a request that curl signs; returns the document that comes back."""

    def send(*words):
        login = f"{customer.keys.access_key}:{customer.keys.secret_key}"
        signing = ["--aws-sigv4", f"aws:amz:{REGION}:ec2", "--user", login]
        return etree.fromstring(run(["curl", *signing, *words]).encode())

    return send


def test_curl_books_by_post_and_sees_by_get(signed, customer):
    booking = f"Action=RunInstances&Version=2016-11-15&ImageId={IMAGE}&InstanceType={TYPE}&MinCount=1&MaxCount=1"
    booked = signed("--data", booking, f"{customer.gateway.endpoint}/").findtext("{*}reservationId")
    # Parameters in their order, because curl before 8.3 signs them as they stand.
    seen = signed(f"{customer.gateway.endpoint}/?Action=DescribeInstances&Version=2016-11-15")
    assert seen.findtext(".//{*}reservationId") == booked
    assert [order["ec2_reservation_id"] for order in customer.orders()] == [booked]
