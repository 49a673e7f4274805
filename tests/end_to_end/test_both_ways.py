"""One machine, both ways: what is done through one protocol is so in the other, in the very next request."""

from dataclasses import replace

import pytest

from tests.end_to_end.customer import SITE_ZONE, a_customer, name_of, number_of

_ROOM = 8  # for nvidia-titanxp, in config.toml and in Europe only; no other test rents any


def a_zerosix_order(customer, slug="gcl.1", count=1):
    [order] = customer.ask("PUT", "orders", {"product_id": customer.product_id(slug), "instances": count}).json()
    return order, [name_of("i", machine["instance_id"]) for machine in order["instances"]]


# --- booked through EC2


def test_what_is_booked_through_ec2_is_told_alike_while_it_comes_up_and_once_it_is_up(customer):
    ids = customer.book(3)
    by_ec2, by_zerosix = customer.as_ec2_tells(), customer.as_zerosix_tells()
    # They may have come up between the two requests.
    assert [replace(each, stands="") for each in by_ec2] == [replace(each, stands="") for each in by_zerosix]
    customer.until("running", *ids)
    assert customer.as_ec2_tells() == customer.as_zerosix_tells()


def test_price_and_address_are_those_of_the_machine(customer):
    [machine] = customer.book(InstanceType="gcl.2")
    customer.until("running", machine)
    [order] = customer.orders()
    [rented] = order["instances"]
    assert (order["hourly-price"], order["total_cost"], rented["rented_hours"]) == ("0.03", "0.03", "1")
    assert rented["machine"].endswith(f"@{customer.described(machine)[0]['PublicIpAddress']}")


def test_stopping_one_of_two_machines_leaves_the_order_running_and_stopping_both_holds_it(customer):
    first, second = customer.book(2)
    customer.until("running", first, second)
    [order] = customer.orders()
    customer.ec2.stop_instances(InstanceIds=[first])
    held = customer.order(order["order_id"])
    assert [machine["status"] for machine in held["instances"]] == ["wc-on-hold", "wc-unlimited"]
    assert held["order_status"] == "unlimited"
    customer.ec2.stop_instances(InstanceIds=[second])
    assert customer.order(order["order_id"])["order_status"] == "on-hold"


def test_completing_an_order_terminates_machines_that_are_stopped(customer):
    [machine] = customer.book()
    customer.until("running", machine)
    customer.ec2.stop_instances(InstanceIds=[machine])
    customer.until("stopped", machine)
    assert customer.ask("DELETE", f"orders/{customer.orders()[0]['order_id']}").status == 204
    assert customer.described(machine)[0]["State"]["Name"] in {"shutting-down", "terminated"}
    customer.until("terminated", machine)
    assert customer.as_ec2_tells() == customer.as_zerosix_tells()


# --- booked through ZeroSix


def test_what_is_booked_through_zerosix_is_a_reservation_at_once(customer):
    order, ids = a_zerosix_order(customer, count=2)
    [reservation] = customer.ec2.describe_instances()["Reservations"]
    assert reservation["ReservationId"] == order["ec2_reservation_id"]
    assert [machine["InstanceId"] for machine in reservation["Instances"]] == ids
    assert reservation["OwnerId"] == customer.keys.account_id
    customer.until("running", *ids)
    assert customer.as_ec2_tells() == customer.as_zerosix_tells()


def test_ec2_stops_starts_and_terminates_what_zerosix_booked(customer):
    order, [machine] = a_zerosix_order(customer)
    customer.until("running", machine)
    customer.ec2.stop_instances(InstanceIds=[machine])
    assert customer.order(order["order_id"])["order_status"] == "on-hold"
    customer.until("stopped", machine)
    customer.ec2.start_instances(InstanceIds=[machine])
    customer.until("running", machine)
    assert customer.order(order["order_id"])["order_status"] == "unlimited"
    customer.ec2.terminate_instances(InstanceIds=[machine])
    assert customer.order(order["order_id"])["order_status"] == "completed"


def test_terminating_the_last_machine_completes_the_order_and_no_earlier_one_does(customer):
    order, [first, last] = a_zerosix_order(customer, count=2)
    customer.until("running", first, last)
    customer.ec2.terminate_instances(InstanceIds=[first])
    assert customer.order(order["order_id"])["order_status"] == "unlimited"
    customer.ec2.terminate_instances(InstanceIds=[last])
    ended = customer.order(order["order_id"])
    assert ended["order_status"] == "completed"
    assert [machine["end_date"]["timezone"] for machine in ended["instances"]] == [SITE_ZONE] * 2
    again = customer.ask("DELETE", f"orders/{order['order_id']}")
    assert (again.status, again.json()["code"]) == (404, "order_invalid_status")


def test_tags_are_put_on_machines_that_zerosix_booked(customer):
    _, [machine] = a_zerosix_order(customer)
    customer.ec2.create_tags(Resources=[machine], Tags=[{"Key": "Name", "Value": "shop"}])
    [found] = customer.ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["shop"]}])["Reservations"]
    assert number_of(found["ReservationId"]) == customer.orders()[0]["order_id"]


# --- what there is of a product is for both


@pytest.fixture
def two_in_europe(gateway):
    with a_customer(gateway, "ams1") as one, a_customer(gateway, "ams1") as another:
        yield one, another


@pytest.mark.parametrize("end", ["TerminateInstances", "DELETE"])
def test_room_is_shared_and_comes_back_however_a_rental_ends(two_in_europe, end):
    customer, stranger = two_in_europe
    booked = customer.book(_ROOM - 1, InstanceType="gpu.titanxp")
    order, _ = a_zerosix_order(customer, "nvidia-titanxp")
    wanted = {"product_id": stranger.product_id("nvidia-titanxp"), "instances": 1}
    assert stranger.ask("PUT", "orders", wanted).json()["code"] == "order_not_available_resources"
    with pytest.raises(stranger.ec2.exceptions.ClientError, match="InsufficientInstanceCapacity"):
        stranger.book(InstanceType="gpu.titanxp")

    if end == "DELETE":
        for each in customer.orders():
            assert customer.ask("DELETE", f"orders/{each['order_id']}").status == 204
    else:
        customer.ec2.terminate_instances(InstanceIds=[*booked, name_of("i", order["instances"][0]["instance_id"])])
    customer.until("terminated", *booked)
    [taken] = stranger.ask("PUT", "orders", wanted | {"instances": _ROOM}).json()
    stranger.ask("DELETE", f"orders/{taken['order_id']}")
    stranger.until("terminated", *(name_of("i", machine["instance_id"]) for machine in taken["instances"]))
