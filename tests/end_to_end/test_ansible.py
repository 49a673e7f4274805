"""Ansible's collection amazon.aws: its plays bring about what they say, and change nothing when they are played again."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.end_to_end.commands import need_tool, run
from tests.end_to_end.customer import IMAGE, REGION
from tests.running import REPOSITORY

_PLAYS = REPOSITORY / "tests" / "end_to_end" / "ansible"
_SECONDS = 120.0
_ZONE = "ord1a"


@pytest.fixture(scope="module")
def gateway(quick_gateway):
    """Ansible looks once, and then every fifteen seconds."""
    return quick_gateway


@dataclass(frozen=True)
class Ansible:
    """Ansible, told of the gateway and of a customer's key."""

    environ: Mapping[str, str]
    variables: Mapping[str, str]

    def play(self, name: str, **variables: str) -> int:
        """Play it to its end; return how many tasks changed something."""
        given = ["--extra-vars", json.dumps({**self.variables, **variables})]
        told = self._run("ansible-playbook", str(_PLAYS / name), *given)
        [(changed, failed)] = re.findall(r"changed=(\d+) .*failed=(\d+)", told)
        assert failed == "0", told
        return int(changed)

    def inventory(self):
        """Return all hosts and groups of the inventory."""
        return json.loads(self._run("ansible-inventory", "--inventory", str(_PLAYS / "site.aws_ec2.yml"), "--list"))

    def _run(self, command: str, *words: str) -> str:
        return run([str(need_tool("ansible") / "bin" / command), *words], seconds=_SECONDS, **self.environ)


@pytest.fixture
def ansible(customer, public_key_file):
    environ = {
        "ANSIBLE_COLLECTIONS_PATH": str(need_tool("collections")),
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "AWS_ACCESS_KEY_ID": customer.keys.access_key,
        "AWS_SECRET_ACCESS_KEY": customer.keys.secret_key,
        "AWS_REGION": REGION,
        "AWS_URL": customer.gateway.endpoint,
    }
    return Ansible(environ, {"image": IMAGE, "zone": _ZONE, "public_key_file": str(public_key_file)})


def test_a_site_is_brought_about_once_and_taken_down_once_and_the_order_tells(ansible, customer):
    assert ansible.play("site.yml") == 5  # key pair, group, machine, tag and address
    [machine] = customer.described()
    [order] = customer.orders()
    assert machine["InstanceId"] == order["instances"][0]["ec2_instance_id"]
    assert (machine["State"]["Name"], order["order_status"]) == ("running", "unlimited")
    tags = {tag["Key"]: tag["Value"] for tag in machine["Tags"] if not tag["Key"].startswith("aws:")}
    assert tags == {"Name": "web", "stage": "test", "tier": "front"}
    assert ([group["GroupName"] for group in machine["SecurityGroups"]], machine["KeyName"]) == (["web"], "mine")
    [address] = customer.ec2.describe_addresses()["Addresses"]
    assert customer.hosts() == [machine["PublicIpAddress"]] == [address["PublicIp"]]
    assert ansible.play("site.yml") == 0
    assert len(customer.orders()) == 1

    assert ansible.play("gone.yml") == 4  # address, machine, group and key pair
    assert customer.described()[0]["State"]["Name"] == "terminated"
    assert customer.orders()[0]["order_status"] == "completed"
    assert customer.ec2.describe_addresses()["Addresses"] == []
    assert customer.ec2.describe_key_pairs()["KeyPairs"] == []
    assert ansible.play("gone.yml") == 0


def test_a_machine_is_stopped_and_started_once_and_the_order_tells(ansible, customer):
    ansible.play("machine.yml")
    for state, status in [("stopped", "on-hold"), ("running", "unlimited")]:
        assert ansible.play("machine.yml", state=state) == 1
        assert customer.described()[0]["State"]["Name"] == state
        assert customer.orders()[0]["order_status"] == status
        assert ansible.play("machine.yml", state=state) == 0
    assert ansible.play("machine.yml", state="absent") == 1
    assert customer.orders()[0]["order_status"] == "completed"
    assert ansible.play("machine.yml", state="absent") == 0


def test_the_inventory_has_the_machines_of_both_protocols_grouped_by_tag_and_zone(ansible, customer):
    [tagged] = customer.book(
        Placement={"AvailabilityZone": _ZONE},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "stage", "Value": "test"}]}],
    )
    customer.ask("PUT", "orders", {"product_id": customer.product_id(), "instances": 1})
    ordered = customer.orders()[0]["instances"][0]["ec2_instance_id"]
    customer.until("running", tagged, ordered)
    inventory = ansible.inventory()
    assert inventory["stage_test"]["hosts"] == [tagged]
    assert sorted(inventory[f"zone_{_ZONE}"]["hosts"]) == sorted([tagged, ordered])
    [machine] = customer.described(tagged)
    assert inventory["_meta"]["hostvars"][tagged]["ansible_host"] == {"__ansible_unsafe": machine["PublicIpAddress"]}
