"""PHP: GigeNET's printed sample without an SDK, run as it is printed, and ZeroSix's way with the extension OAuth."""

import base64
import hashlib
import hmac
import http.client
import json
from datetime import UTC, datetime
from urllib.parse import quote_plus, urlsplit

import pytest
from lxml import etree

from tests.end_to_end.commands import REFERENCE, need_command, need_php_oauth, printed_in, run
from tests.end_to_end.customer import API, IMAGE, TYPE, number_of
from tests.running import REPOSITORY

BOOKING = f"&ImageId={IMAGE}&InstanceType={TYPE}&MinCount=1&MaxCount=1"

_SCRIPT = REPOSITORY / "tests" / "end_to_end" / "zerosix.php"
_PRINTED_HOST = "api.thegcloud.com"


# --- the printed sample, by PHP itself


@pytest.fixture
def printed(customer):
    """Runs the printed sample with an action and its parameters; returns what the URL that it makes answers."""
    need_command("php", "php-cli")
    [sample] = printed_in(REFERENCE / "seed-gigenet-introduction.md", r"^```php--raw\n(.*?)^```$")

    def fetch(action, parameters=""):
        return run(["php"], stdin=filled_in(sample, customer, action, parameters))

    return fetch


def filled_in(sample, customer, action, parameters):
    """Return the sample with what a reader has to fill in, fetching its URL at the end.

    It leaves ports out of URLs and so can name only a server on port 80. PHP finds ours by taking it for a proxy.
    """
    values = {
        f"https://{_PRINTED_HOST}": f"http://{_PRINTED_HOST}",
        "'APIKEY'": f"'{customer.keys.access_key}'",
        "'APIHASH'": f"'{customer.keys.secret_key}'",
        "'APIACTION'": f"'{action}'",
        "'&Param1=Val&Param2=Val'": f"'{parameters}'",
    }
    for blank, value in values.items():
        assert blank in sample
        sample = sample.replace(blank, value)
    proxy = f"tcp://{urlsplit(customer.gateway.endpoint).netloc}"
    return f"{sample}\nstream_context_set_default(['http' => ['proxy' => '{proxy}']]); echo file_get_contents($url);"


def test_the_printed_sample_books_a_machine(printed, customer):
    booked = etree.fromstring(printed("RunInstances", BOOKING).encode())
    assert [order["order_id"] for order in customer.orders()] == [number_of(booked.findtext("{*}reservationId"))]


def test_the_printed_sample_sees_an_order_of_zerosix(printed, customer):
    customer.ask("PUT", "orders", {"product_id": customer.product_id(), "instances": 1})
    seen = etree.fromstring(printed("DescribeInstances").encode())
    assert [number_of(name.text) for name in seen.iterfind(".//{*}instanceId")] == [
        machine["instance_id"] for machine in customer.orders()[0]["instances"]
    ]


# --- the printed sample, by a signer of our own: it proves the same where there is no PHP


def signed_target(customer, host, action, parameters):
    """Return the target of a request as the sample makes it: its parameters unsorted, its key called AWSKeyId."""
    moment = quote_plus(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00"))
    query = (
        f"AWSKeyId={customer.keys.access_key}&Action={action}&SignatureMethod=HmacSHA256&SignatureVersion=2"
        f"&Timestamp={moment}{parameters}"
    )
    text = f"GET\n{host}\n/\n{query}"
    digest = hmac.new(customer.keys.secret_key.encode(), text.encode(), hashlib.sha256).digest()
    return f"/?{query}&Signature={quote_plus(base64.b64encode(digest))}"


@pytest.mark.parametrize("host", [_PRINTED_HOST, "127.0.0.1"])
def test_requests_signed_as_the_sample_signs_book_and_describe(customer, host):
    connection = http.client.HTTPConnection(urlsplit(customer.gateway.endpoint).netloc, timeout=20)
    for action, parameters in (("RunInstances", BOOKING), ("DescribeInstances", "")):
        target = signed_target(customer, host, action, parameters)
        connection.request("GET", target, headers={"Host": host})
        answer = connection.getresponse()
        found = etree.fromstring(answer.read()).findtext(".//{*}instanceId")
        assert (answer.status, number_of(found)) == (200, customer.orders()[0]["instances"][0]["instance_id"])
    connection.close()
    assert len(customer.orders()) == 1


# --- ZeroSix, signed by PECL's OAuth


@pytest.fixture(params=[("query", "sha1"), ("query", "sha256"), ("header", "sha1")], ids="-".join)
def zerosix(request, customer):
    """Makes a call; returns the status and the answer."""
    need_php_oauth()
    keys = {"CONSUMER_KEY": customer.keys.access_key, "CONSUMER_SECRET": customer.keys.secret_key}

    def call(method, path, document=()):
        url = f"{customer.gateway.endpoint}{API}{path}"
        told = run(["php", str(_SCRIPT), *request.param, method, url, json.dumps(document)], **keys)
        status, _, body = told.partition("\n")
        return int(status), json.loads(body) if body else None

    return call


def test_products_are_listed_and_filtered_by_a_body_of_a_get(zerosix):
    wanted = {"relation": "greater", "attributes": {"gpu": "nvidia-1070", "geo": "europe", "ram": "16gb"}}
    assert len(zerosix("GET", "products")[1]) == 6
    assert [product["slug"] for product in zerosix("GET", "products", wanted)[1]] == ["nvidia-titanxp"]


def test_an_order_goes_from_booking_to_completion_and_ec2_sees_it(zerosix, customer):
    booking = {"product_id": customer.product_id(), "instances": 2, "file_url": None, "script_url": None}
    status, [order] = zerosix("PUT", "orders", booking)
    assert (status, len(order["instances"])) == (200, 2)
    machines = [machine["InstanceId"] for machine in customer.described()]
    assert list(map(number_of, machines)) == [machine["instance_id"] for machine in order["instances"]]
    customer.until("running", *machines)

    assert zerosix("GET", "orders")[1][0]["order_status"] == "unlimited"
    assert zerosix("GET", f"orders/{order['order_id']}")[1]["order_status"] == "unlimited"
    assert len(zerosix("GET", f"credentials/{order['order_key']}")[1]["instances"]) == 2

    assert zerosix("DELETE", f"orders/{order['order_id']}") == (204, None)
    customer.until("terminated", *machines)
    assert zerosix("GET", f"credentials/{order['order_key']}")[1]["code"] == "credentials_order_complete"
