"""What the console tells customers to paste beside a fresh API key, pasted: each tool finds the gateway and is let in."""

import json
import sys
from urllib.parse import urlsplit

import pytest

from protocols.console.settings import Endpoint
from protocols.console.snippets import Pair, snippets
from protocols.explorable import Origin
from tests.end_to_end.commands import need_command, need_php_oauth, run, terraform_settings
from tests.end_to_end.customer import API, CATALOGUE, REGION

ENDPOINTS = [Endpoint("EC2", "/", dialect="aws"), Endpoint("ZeroSix", API)]
TITLES = [product["title"] for product in CATALOGUE["products"]]


@pytest.fixture
def told(customer):
    """Returns the texts of a tool's snippet, in their order."""
    return lambda title: _texts(customer, title)


def _texts(customer, title):
    origin = Origin(*urlsplit(customer.gateway.endpoint)[:2])
    pair = Pair(customer.keys.access_key, customer.keys.secret_key, REGION, origin)
    [snippet] = [each for each in snippets(pair, ENDPOINTS) if each.title == title]
    return [piece.text for piece in snippet.pieces]


@pytest.fixture
def profile(told, tmp_path):
    """The environment of somebody who has put the aws command line's files where they belong."""
    credentials, config, _ = told("aws command line")
    (tmp_path / "credentials").write_text(credentials)
    (tmp_path / "config").write_text(config)
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }


def test_the_aws_command_line_sees_a_machine_by_the_profile(told, customer, profile):
    [machine] = customer.book()
    *_, command = told("aws command line")
    answer = json.loads(run(["bash", "-c", command], **profile))
    assert [each["InstanceId"] for each in answer["Reservations"][0]["Instances"]] == [machine]


def test_boto3_sees_a_machine(told, customer):
    [machine] = customer.book()
    [script] = told("boto3")
    assert run([sys.executable, "-c", script]).split()[0] == machine


def test_terraform_sees_the_zones(told, customer, profile, tmp_path):
    [text] = told("Terraform")
    (tmp_path / "main.tf").write_text(text)
    environ = profile | terraform_settings()
    terraform = ["terraform", f"-chdir={tmp_path}"]
    run([*terraform, "fmt", "-check"], **environ)
    run([*terraform, "init", "-input=false"], seconds=180, **environ)
    run([*terraform, "apply", "-auto-approve", "-input=false"], seconds=180, **environ)
    zones = customer.ec2.describe_availability_zones()["AvailabilityZones"]
    found = json.loads(run([*terraform, "output", "-json"], **environ))
    assert sorted(found["zones"]["value"]) == sorted(zone["ZoneName"] for zone in zones)


def test_curl_lists_the_products_where_nobody_reads_along(told):
    need_command("curl", "curl")
    [command] = told("curl")
    assert [product["title"] for product in json.loads(run(["bash", "-c", command]))] == TITLES


@pytest.fixture
def zerosix(told, tmp_path):
    """Runs the script that signs with OpenSSL; returns the document that it prints, if any."""
    need_command("curl", "curl")
    need_command("openssl", "openssl")
    script, _ = told("curl with OAuth")
    (tmp_path / "zerosix.sh").write_text(script)
    return lambda *words: json.loads(run(["bash", str(tmp_path / "zerosix.sh"), *words]) or "null")


def test_the_commands_told_with_the_script_run(told, zerosix, tmp_path):
    _, commands = told("curl with OAuth")
    for command in commands.splitlines():
        _, script, *words = command.split()
        assert script == "zerosix.sh"
        assert isinstance(zerosix(*words), list)


def test_the_script_signs_whatever_is_asked(zerosix):
    found = zerosix("GET", "products", "relation=greater", "attributes[gpu]=nvidia-1080ti", "a-b=1", "a=2 & ü", "a=1")
    assert found
    assert len(found) < len(TITLES)
    assert zerosix("GET", "orders", "search='%$HOME+ ~é") == []


def test_the_script_places_and_completes_an_order(zerosix, customer):
    [order] = zerosix("PUT", "orders", f"product_id={customer.product_id()}", "instances=1")
    assert [each["order_id"] for each in customer.orders()] == [order["order_id"]]
    zerosix("DELETE", f"orders/{order['order_id']}")
    assert customer.order(order["order_id"])["order_status"] == "completed"


def test_php_lists_the_products(told):
    need_php_oauth()
    [script] = told("PHP")
    printed = run(["php"], stdin=script)
    assert all(f"[title] => {title}\n" in printed for title in TITLES)


def test_python_with_oauth_lists_the_products(told):
    [script] = told("Python with OAuth")
    printed = run([sys.executable, "-c", script])
    assert printed.startswith("200 ")
    assert all(title in printed for title in TITLES)
