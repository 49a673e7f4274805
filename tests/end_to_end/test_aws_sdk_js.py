"""The AWS SDK for JavaScript, version 3: commands, waiters and paginators."""

import json

import pytest

from tests.end_to_end.commands import TOOLS, need_command, need_tool, run
from tests.end_to_end.customer import IMAGE, REGION, TYPE
from tests.running import REPOSITORY

_SCRIPT = REPOSITORY / "tests" / "end_to_end" / "aws_sdk.mjs"

BOOKING = {"ImageId": IMAGE, "InstanceType": TYPE, "MinCount": 1, "MaxCount": 1}


@pytest.fixture
def sdk(customer):
    """Does one thing with the customer's client; returns what came of it."""
    need_command("node", "nodejs")
    need_tool("node_modules/@aws-sdk/client-ec2")
    keys = {"accessKeyId": customer.keys.access_key, "secretAccessKey": customer.keys.secret_key}
    options = {"region": REGION, "endpoint": customer.gateway.endpoint, "credentials": keys, "maxAttempts": 1}

    def do(kind, name, **given):
        return json.loads(run(["node", str(_SCRIPT), str(TOOLS), json.dumps(options), kind, name, json.dumps(given)]))

    return do


def test_a_machine_is_booked_waited_for_stopped_started_and_terminated_and_the_order_tells(sdk, customer):
    booked = sdk("send", "RunInstances", **BOOKING)
    [order] = customer.orders()
    assert order["ec2_reservation_id"] == booked["ReservationId"]
    machine = {"InstanceIds": [booked["Instances"][0]["InstanceId"]]}
    assert sdk("wait", "InstanceRunning", **machine)["state"] == "SUCCESS"
    assert sdk("wait", "InstanceStatusOk", **machine)["state"] == "SUCCESS"
    assert customer.order(order["order_id"])["order_status"] == "unlimited"

    sdk("send", "StopInstances", **machine)
    assert sdk("wait", "InstanceStopped", **machine)["state"] == "SUCCESS"
    assert customer.order(order["order_id"])["order_status"] == "on-hold"

    [started] = sdk("send", "StartInstances", **machine)["StartingInstances"]
    assert started["PreviousState"] == {"Code": 80, "Name": "stopped"}
    sdk("send", "TerminateInstances", **machine)
    assert sdk("wait", "InstanceTerminated", **machine)["state"] == "SUCCESS"
    assert customer.order(order["order_id"])["order_status"] == "completed"


def test_pages_put_together_are_all_machines_of_both_protocols(sdk, customer):
    customer.book(6)
    customer.ask("PUT", "orders", {"product_id": customer.product_id(), "instances": 1})
    pages = sdk("pages", "DescribeInstances", pageSize=5)
    machines = [
        machine["InstanceId"]
        for page in pages
        for reservation in page["Reservations"]
        for machine in reservation["Instances"]
    ]
    assert len(pages) > 1
    assert machines == [
        machine["ec2_instance_id"] for order in reversed(customer.orders()) for machine in order["instances"]
    ]


def test_a_machine_is_reached_at_an_address_of_its_own_and_the_order_tells(sdk, customer):
    [machine] = customer.book()
    customer.until("running", machine)
    address = sdk("send", "AllocateAddress", Domain="vpc")
    sdk("send", "AssociateAddress", AllocationId=address["AllocationId"], InstanceId=machine)
    assert customer.described(machine)[0]["PublicIpAddress"] == address["PublicIp"]
    assert customer.hosts() == [address["PublicIp"]]
    [told] = sdk("send", "DescribeAddresses")["Addresses"]
    assert (told["InstanceId"], told["PublicIp"]) == (machine, address["PublicIp"])
    sdk("send", "DisassociateAddress", AssociationId=told["AssociationId"])
    sdk("send", "ReleaseAddress", AllocationId=address["AllocationId"])
    assert sdk("send", "DescribeAddresses")["Addresses"] == []


def test_a_machine_is_booked_into_a_group_that_was_made_for_it(sdk, customer):
    group = sdk("send", "CreateSecurityGroup", GroupName="web", Description="web")["GroupId"]
    assert sdk("wait", "SecurityGroupExists", GroupIds=[group])["state"] == "SUCCESS"
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 80,
        "ToPort": 80,
        "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}],
    }
    assert sdk("send", "AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[rule])["Return"]
    booked = sdk("send", "RunInstances", **BOOKING, SecurityGroupIds=[group])
    assert booked["Instances"][0]["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    assert sdk("send", "DeleteSecurityGroup", GroupId=group) == {"code": "DependencyViolation", "status": 400}
    assert len(customer.orders()) == 1


def test_a_dry_run_is_refused_with_its_code_and_books_nothing(sdk, customer):
    assert sdk("send", "RunInstances", **BOOKING, DryRun=True) == {"code": "DryRunOperation", "status": 412}
    assert customer.orders() == []
