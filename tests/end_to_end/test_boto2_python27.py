"""boto 2.49 on Python 2.7, for which it was written."""

import json
import subprocess

import pytest

from tests.end_to_end.commands import need_tool
from tests.end_to_end.customer import IMAGE, REGION, TYPE
from tests.running import REPOSITORY, eventually

_SCRIPT = REPOSITORY / "tests" / "end_to_end" / "boto2_calls.py"


@pytest.fixture
def python2(customer):
    """Has Python 2.7 work out a piece of Python, in which `ec2` is boto's connection; returns its value."""
    python, folder = need_tool("python2.7"), need_tool("boto2-py27")
    words = [folder, customer.gateway.endpoint, customer.keys.access_key, customer.keys.secret_key]
    command = [str(word) for word in (python, _SCRIPT, *words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:

        def value_of(code):
            process.stdin.write(code + "\n")
            answer = process.stdout.readline()
            assert answer, f"Python 2.7 ended at {code}"
            return json.loads(answer)

        yield value_of


def until(python2, state):
    eventually(lambda: python2("machine.update()") == state, what=state)


BOOK = f"machine = ec2.run_instances({IMAGE!r}, instance_type={TYPE!r}).instances[0]"


def test_a_machine_is_stopped_started_rebooted_and_terminated_and_the_order_tells(python2, customer):
    python2(BOOK)
    [order] = customer.orders()
    assert python2("machine.id") == order["instances"][0]["ec2_instance_id"]
    until(python2, "running")
    assert python2("ec2.get_all_instance_status([machine.id])[0].system_status.status") == "ok"
    python2("machine.stop()")
    until(python2, "stopped")
    assert customer.order(order["order_id"])["order_status"] == "on-hold"
    python2("machine.start()")
    until(python2, "running")
    assert python2("machine.reboot()") is True
    assert customer.order(order["order_id"])["order_status"] == "unlimited"
    python2("machine.terminate()")
    until(python2, "terminated")
    assert customer.order(order["order_id"])["order_status"] == "completed"


def test_a_machine_has_a_key_pair_tags_and_a_group(python2, customer):
    assert python2("ec2.create_key_pair('mine').material").startswith("-----BEGIN RSA PRIVATE KEY-----")
    group = python2("ec2.create_security_group('web', 'for the web').id")
    assert python2(f"ec2.authorize_security_group(None, None, None, 'tcp', 80, 80, '0.0.0.0/0', {group!r})") is True
    python2(BOOK.replace("instance_type", f"key_name='mine', security_group_ids=[{group!r}], instance_type"))
    python2("machine.add_tag('Name', 'web')")
    assert python2("[each.id for each in ec2.get_only_instances(filters={'tag:Name': 'web'})] == [machine.id]")
    [machine] = customer.described()
    assert (machine["KeyName"], machine["SecurityGroups"]) == ("mine", [{"GroupId": group, "GroupName": "web"}])
    assert len(customer.orders()) == 1


def test_a_machine_is_reached_at_an_address_of_its_own_and_the_order_tells(python2, customer):
    python2(BOOK)
    until(python2, "running")
    python2("address = ec2.allocate_address('vpc')")
    assert python2("ec2.associate_address(machine.id, allocation_id=address.allocation_id)") is True
    assert customer.hosts() == [python2("address.public_ip")]
    python2("address = ec2.get_all_addresses()[0]")
    assert python2("[address.disassociate(), address.release(), ec2.get_all_addresses()]") == [True, True, []]


def test_the_console_of_a_machine_says_something(python2):
    python2(BOOK)
    until(python2, "running")
    assert python2("bool(ec2.get_console_output(machine.id).output)") is True


def test_what_there_is_to_rent_is_called_by_its_name(python2):
    assert REGION in python2("[region.name for region in ec2.get_all_regions()]")
    assert "ord1a" in python2("[zone.name for zone in ec2.get_all_zones()]")
    assert "debian-12" in python2("[image.name for image in ec2.get_all_images()]")


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        ("ec2.get_only_instances(['i-00000000fffffffff'])", {"status": 400, "code": "InvalidInstanceID.NotFound"}),
        (BOOK.replace("instance_type", "dry_run=True, instance_type"), {"status": 412, "code": "DryRunOperation"}),
    ],
)
def test_a_refusal_is_an_error_with_its_code(python2, customer, call, refusal):
    assert python2(call) == refusal
    assert customer.orders() == []
