"""boto3: client, resources, waiters, paginators, sessions, presigned URLs."""

import urllib.request
from contextlib import closing

import boto3
import jmespath
import pytest
from botocore.exceptions import ClientError, WaiterError
from lxml import etree

from tests.end_to_end.customer import IMAGE, TYPE, Customer, boto3_client, boto3_words, name_of, number_of

_QUICKLY = {"Delay": 0.05, "MaxAttempts": 200}


def wait(customer: Customer, waiter: str, *ids: str) -> None:
    customer.ec2.get_waiter(waiter).wait(InstanceIds=list(ids), WaiterConfig=_QUICKLY)


# --- booking


def test_a_booking_is_an_order_in_the_very_next_request(customer):
    booked = customer.ec2.run_instances(ImageId=IMAGE, InstanceType=TYPE, MinCount=2, MaxCount=2)
    [order] = customer.orders()
    assert order["ec2_reservation_id"] == booked["ReservationId"] == name_of("r", order["order_id"])
    assert [name_of("i", machine["instance_id"]) for machine in order["instances"]] == [
        machine["InstanceId"] for machine in booked["Instances"]
    ]


def test_both_protocols_tell_the_same_of_machines_that_are_up(customer):
    ids = [*customer.book(2), *customer.book(InstanceType="gcl.2")]
    wait(customer, "instance_running", *ids)
    assert customer.as_ec2_tells() == customer.as_zerosix_tells()
    assert len(customer.as_ec2_tells()) == 3


def test_the_same_client_token_books_once(customer):
    assert customer.book(ClientToken="once") == customer.book(ClientToken="once")
    assert len(customer.orders()) == 1


def test_a_dry_run_books_nothing(customer):
    with pytest.raises(ClientError, match="DryRunOperation"):
        customer.book(DryRun=True)
    assert customer.orders() == []


def test_a_booking_without_room_is_tried_again_as_often_as_the_client_is_told_to(customer):
    twice = {"mode": "standard", "total_max_attempts": 2}
    client = boto3_client("ec2", customer.gateway, customer.keys, region="ams1", retries=twice)
    with closing(client) as ec2, pytest.raises(ClientError) as refused:
        ec2.run_instances(ImageId=IMAGE, InstanceType="gpu.titanxp", MinCount=9, MaxCount=9)
    assert refused.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 1
    assert customer.orders() == []


def test_a_key_pair_made_here_opens_no_door_in_zerosix(customer):
    customer.ec2.create_key_pair(KeyName="mine")
    [machine] = customer.book(KeyName="mine")
    [order] = customer.orders()
    assert customer.described(machine)[0]["KeyName"] == "mine"
    assert customer.ask("GET", f"credentials/{order['order_key']}").json()["ssh_key"] == ""


# --- a machine's life


def test_waiters_follow_a_machine_through_its_life_and_so_does_its_order(customer):
    [machine] = customer.book()
    wait(customer, "instance_exists", machine)
    wait(customer, "instance_running", machine)
    [order] = customer.orders()
    assert order["order_status"] == "unlimited"
    wait(customer, "instance_status_ok", machine)
    wait(customer, "system_status_ok", machine)

    customer.ec2.stop_instances(InstanceIds=[machine])
    assert customer.order(order["order_id"])["order_status"] == "on-hold"
    wait(customer, "instance_stopped", machine)
    assert customer.order(order["order_id"])["order_status"] == "on-hold"

    customer.ec2.start_instances(InstanceIds=[machine])
    wait(customer, "instance_running", machine)
    assert customer.order(order["order_id"])["order_status"] == "unlimited"

    customer.ec2.terminate_instances(InstanceIds=[machine])
    wait(customer, "instance_terminated", machine)
    assert customer.order(order["order_id"])["order_status"] == "completed"


def test_the_waiter_for_running_gives_up_on_a_machine_whose_order_was_completed(customer):
    [machine] = customer.book()
    assert customer.ask("DELETE", f"orders/{customer.orders()[0]['order_id']}").status == 204
    with pytest.raises(WaiterError, match="terminal failure state"):
        wait(customer, "instance_running", machine)


def test_resources_live_through_it_all(customer):
    ec2 = boto3.resource("ec2", **boto3_words(customer.gateway, customer.keys))
    with closing(ec2.meta.client):
        [machine] = ec2.create_instances(ImageId=IMAGE, InstanceType=TYPE, MinCount=1, MaxCount=1)
        assert machine.state["Name"] == "pending"
        customer.until("running", machine.id)
        machine.wait_until_running()
        machine.reload()
        assert (machine.state["Name"], machine.image.name) == ("running", "debian-12")
        machine.create_tags(Tags=[{"Key": "Name", "Value": "web"}])
        [found] = ec2.instances.filter(Filters=[{"Name": "tag:Name", "Values": ["web"]}])
        assert found == machine
        assert machine.reboot()["ResponseMetadata"]["HTTPStatusCode"] == 200
        [ended] = machine.terminate()["TerminatingInstances"]
        assert ended["PreviousState"]["Name"] == "running"
    [order] = customer.orders()
    assert (order["ec2_reservation_id"], order["order_status"]) == (name_of("r", order["order_id"]), "completed")


# --- pages


@pytest.mark.parametrize(
    ("action", "expression", "size", "more"),
    [
        ("describe_instances", "Reservations[].Instances[].InstanceId", 5, {}),
        ("describe_instance_status", "InstanceStatuses[].InstanceId", 5, {"IncludeAllInstances": True}),
        ("describe_tags", "Tags[].ResourceId", 5, {}),
        ("describe_images", "Images[].ImageId", 1, {}),
    ],
)
def test_pages_put_together_are_the_whole_answer(customer, action, expression, size, more):
    customer.book(7, TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}])
    paginator = customer.ec2.get_paginator(action)
    whole = list(paginator.paginate(**more).search(expression))
    pages = [
        jmespath.search(expression, page) or []
        for page in paginator.paginate(**more, PaginationConfig={"PageSize": size})
    ]
    assert len(pages) > 1
    assert max(map(len, pages)) <= size
    assert [each for page in pages for each in page] == whole


# --- who is calling


def test_a_session_token_books_for_the_account_that_it_is_of(customer):
    with closing(boto3_client("sts", customer.gateway, customer.keys)) as sts:
        assert sts.get_caller_identity()["Account"] == customer.keys.account_id
        session = sts.get_session_token(DurationSeconds=900)["Credentials"]
    words = boto3_words(customer.gateway, customer.keys, session["SessionToken"]) | {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
    }
    with closing(boto3.client("ec2", **words)) as ec2:
        booked = ec2.run_instances(ImageId=IMAGE, InstanceType=TYPE, MinCount=1, MaxCount=1)
    assert [order["order_id"] for order in customer.orders()] == [number_of(booked["ReservationId"])]


def test_a_presigned_url_needs_no_client(customer):
    [machine] = customer.book()
    url = customer.ec2.generate_presigned_url(
        "describe_instances", Params={"InstanceIds": [machine]}, ExpiresIn=60, HttpMethod="GET"
    )
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert etree.fromstring(answer.read()).findtext(".//{*}instanceId") == machine


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_both_signature_versions_book(customer, version):
    with closing(boto3_client("ec2", customer.gateway, customer.keys, signature_version=version)) as ec2:
        booked = ec2.run_instances(ImageId=IMAGE, InstanceType=TYPE, MinCount=1, MaxCount=1)
    assert [order["ec2_reservation_id"] for order in customer.orders()] == [booked["ReservationId"]]


def test_boto3_works_over_tls(tls_customer):
    tls_customer.book()
    assert len(tls_customer.orders()) == 1


def test_a_wrong_secret_is_refused_and_books_nothing(customer, stranger):
    words = boto3_words(customer.gateway, customer.keys) | {"aws_secret_access_key": stranger.keys.secret_key}
    with closing(boto3.client("ec2", **words)) as ec2, pytest.raises(ClientError, match="AuthFailure"):
        ec2.run_instances(ImageId=IMAGE, InstanceType=TYPE, MinCount=1, MaxCount=1)
    assert customer.orders() == []


def test_another_account_sees_and_ends_nothing(customer, stranger):
    [machine] = customer.book()
    [order] = customer.orders()
    assert (stranger.described(), stranger.orders()) == ([], [])
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        stranger.ec2.terminate_instances(InstanceIds=[machine])
    assert stranger.ask("DELETE", f"orders/{order['order_id']}").json()["code"] == "order_invalid_permissions"
    customer.until("running", machine)


def test_what_is_known_to_aws_and_not_served_is_refused_by_name(customer):
    with pytest.raises(ClientError, match=r"UnsupportedOperation.*DescribePlacementGroups"):
        customer.ec2.describe_placement_groups()
