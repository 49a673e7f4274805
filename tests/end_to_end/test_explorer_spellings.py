"""What the API explorer tells people to paste, pasted: each spelling of an operation does what the operation does."""

import base64
import json
import re
import sys
from urllib.parse import urlsplit

import pytest

from protocols.ec2.explorable import Ec2Explorable
from protocols.ec2.settings import Ec2Settings
from protocols.explorable import Origin
from protocols.zerosix.explorable import ZeroSixExplorable
from tests.end_to_end.commands import need_command, need_php_oauth, run
from tests.end_to_end.customer import IMAGE, REGION, TYPE, name_of
from tests.protocols.zerosix.served import SETTINGS

EC2, ZEROSIX = Ec2Explorable(Ec2Settings()), ZeroSixExplorable(SETTINGS)
TOOLS, LIBRARIES = ["aws CLI", "boto3", "curl"], ["curl", "Python", "PHP", "WooCommerce for Python"]
ODD = 'it\'s "$HOME" & ü\\n; `false`'
SCRIPT = f"#!/bin/sh\necho {ODD}\n"

in_every_tool = pytest.mark.parametrize("tool", TOOLS)
in_every_library = pytest.mark.parametrize("library", LIBRARIES)


@pytest.fixture
def paste(customer):
    """Runs an operation as it is told in a language; returns what is printed."""
    need_command("curl", "curl")
    origin = Origin(*urlsplit(customer.gateway.endpoint)[:2])

    def call(protocol, language, operation, values=None, extra=()):
        key, secret = customer.keys.access_key, customer.keys.secret_key
        told = protocol.spell(operation, values or {}, extra, origin=origin, region=REGION, access_key=key)
        [text] = [spelling.text for spelling in told if spelling.language == language]
        assert secret not in text
        return _pasted(language, text, {"AWS_SECRET_ACCESS_KEY": secret, "CONSUMER_SECRET": secret})

    return call


def _pasted(language, text, secrets):
    if language == "PHP":
        need_php_oauth()
        return run(["php"], stdin=text, **secrets)
    if text.startswith("import "):
        return run([sys.executable, "-c", text], **secrets)
    return run(["bash", "-c", text], **secrets)


# --- EC2


@in_every_tool
def test_regions_are_described(paste, tool):
    assert REGION in paste(EC2, tool, "DescribeRegions")


@in_every_tool
def test_of_the_regions_the_one_asked_for_is_described(paste, tool):
    told = paste(EC2, tool, "DescribeRegions", {"RegionName": ["ams1"]})
    assert "ams1" in told
    assert REGION not in re.sub(r"endpoint.*", "", told)


@in_every_tool
def test_machines_are_found_by_filters(paste, customer, tool):
    one, other = customer.book(2)
    customer.ec2.create_tags(Resources=[one], Tags=[{"Key": "Name", "Value": ODD}])
    pattern = ODD.replace("\\", "\\\\")  # which escapes in filters
    filters = [f"tag:Name={pattern}\ninstance-type={TYPE},gcl.2"]
    told = paste(EC2, tool, "DescribeInstances", {"InstanceId": [f"{one}\n{other}"], "Filter": filters})
    assert one in told
    assert other not in told


@in_every_tool
def test_machines_are_booked(paste, customer, tool):
    values = {"ImageId": [IMAGE], "InstanceType": [TYPE], "MinCount": ["2"], "MaxCount": ["2"], "UserData": [SCRIPT]}
    tag = [("TagSpecification.1.ResourceType", "instance"), ("TagSpecification.1.Tag.1.Key", "Name")]
    told = paste(EC2, tool, "RunInstances", values, [*tag, ("TagSpecification.1.Tag.1.Value", ODD)])
    machines = customer.described()
    assert len(machines) == 2
    assert all(machine["InstanceId"] in told for machine in machines)
    assert own_tags(machines[0]) == {"Name": ODD}
    assert user_data(customer, machines[0]["InstanceId"]) == SCRIPT


def user_data(customer, machine):
    answer = customer.ec2.describe_instance_attribute(InstanceId=machine, Attribute="userData")
    return base64.b64decode(answer["UserData"]["Value"]).decode()


def own_tags(machine):
    """Return a machine's tags but for those that Onefleet gives it."""
    return {tag["Key"]: tag["Value"] for tag in machine["Tags"] if not tag["Key"].startswith("aws:")}


@in_every_tool
def test_tags_are_made(paste, customer, tool):
    machines = customer.book(2)
    paste(EC2, tool, "CreateTags", {"ResourceId": machines, "Tag": [f"Name={ODD}\nempty="]})
    assert [own_tags(machine) for machine in customer.described()] == [{"Name": ODD, "empty": ""}] * 2


@in_every_tool
def test_a_public_key_is_imported(paste, customer, tool, public_key_file):
    public_key = public_key_file.read_text()
    paste(EC2, tool, "ImportKeyPair", {"KeyName": [ODD], "PublicKeyMaterial": [public_key]})
    [pair] = customer.ec2.describe_key_pairs(IncludePublicKey=True)["KeyPairs"]
    assert pair["KeyName"] == ODD
    assert pair["PublicKey"].split()[:2] == public_key.split()[:2]


@in_every_tool
def test_sts_is_asked_whose_the_key_is(paste, customer, tool):
    assert customer.keys.account_id in paste(EC2, tool, "GetCallerIdentity")


# --- ZeroSix


def document_in(printed, library):
    """Return the document of an answer; two of the libraries' spellings print the status before it."""
    return json.loads(printed.partition(" ")[2] if library not in ("curl", "PHP") else printed)


@in_every_library
def test_products_are_found_by_filters(paste, library):
    values = {"relation": ["greater"], "attributes[gpu]": ["nvidia-1080ti"], "orderby": ["price"], "order": ["desc"]}
    found = document_in(paste(ZEROSIX, library, "GET products", values), library)
    assert [product["title"] for product in found][:2] == ["NVIDIA TitanXP", "NVIDIA 1080ti, 100GB SSD"]


@in_every_library
def test_an_order_is_placed_seen_and_completed(paste, customer, library):
    values = {"product_id": [str(customer.product_id())], "instances": ["2"], "script_url": ["https://x.test/it's?a&b"]}
    [order] = document_in(paste(ZEROSIX, library, "PUT orders", values), library)
    assert [name_of("i", machine["instance_id"]) for machine in order["instances"]] == [
        machine["InstanceId"] for machine in customer.described()
    ]
    assert order["script_url"] == "https://x.test/it's?a&b"
    its = {"id": [str(order["order_id"])]}
    seen = document_in(paste(ZEROSIX, library, "GET orders/{id}", its), library)
    assert seen["order_key"] == order["order_key"]
    paste(ZEROSIX, library, "DELETE orders/{id}", its)
    assert customer.order(order["order_id"])["order_status"] == "completed"


@in_every_library
def test_what_is_searched_for_arrives_as_it_was_typed(paste, library):
    assert document_in(paste(ZEROSIX, library, "GET orders", {"search": [ODD]}), library) == []
