"""The limits of config.toml, met by customers of both protocols."""

import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.customer import a_customer, boto3_client
from tests.running import RunningGateway

LIMITS = {"machines": 2, "addresses": 1, "key_pairs": 1, "requests_per_second": 0.01, "burst": 12}


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    with RunningGateway(tmp_path_factory.mktemp("limited"), limits=LIMITS) as running:
        yield running


@pytest.fixture
def customer(limited):
    with a_customer(limited) as someone:
        yield someone


def test_a_machine_over_the_limit_is_refused_by_both_protocols_whichever_booked_the_first(customer):
    customer.book(1)
    order = {"product_id": customer.product_id(), "instances": 1}
    assert customer.ask("PUT", "orders", order).status == 200
    with pytest.raises(ClientError, match="InstanceLimitExceeded"):
        customer.book(1)
    answer = customer.ask("PUT", "orders", order)
    assert (answer.status, answer.json()["code"]) == (403, "onefleet_limit_reached")


def test_a_booking_of_at_least_what_is_left_gets_that(customer):
    assert len(customer.book(3, MinCount=1)) == 2


def test_a_second_key_pair_over_the_limit_is_refused(customer):
    customer.ec2.create_key_pair(KeyName="one", KeyType="ed25519")
    with pytest.raises(ClientError, match="KeyPairLimitExceeded"):
        customer.ec2.create_key_pair(KeyName="two", KeyType="ed25519")


def test_a_key_that_asks_too_often_is_slowed_down_in_both_protocols_and_no_other_is(limited, customer):
    for _ in range(12):
        customer.ec2.describe_regions()
    with pytest.raises(ClientError) as refused:
        customer.ec2.describe_regions()
    assert refused.value.response["Error"]["Code"] == "RequestLimitExceeded"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    answer = customer.ask("GET", "orders")
    assert (answer.status, answer.json()["code"]) == (429, "onefleet_too_many_requests")
    other = limited.new_keys()
    assert boto3_client("ec2", limited, other).describe_regions()["Regions"]
