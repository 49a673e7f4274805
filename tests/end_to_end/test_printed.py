"""What a first start tells to paste, pasted as it is printed."""

import json
import re

import pytest

from tests.end_to_end.commands import run


@pytest.fixture
def first_start(start_gateway):
    """A gateway that was started on an empty data directory."""
    return start_gateway(compute={"simulated": {"boot_seconds": 0.1}})


def test_the_examples_of_the_welcome_rent_and_show_machines_as_they_stand(first_start):
    book_ec2, see_ec2, both_zerosix = examples(first_start.welcome)
    booked = json.loads(run(["bash", "-c", book_ec2]))
    assert f"'ReservationId': '{booked['ReservationId']}'" in run(["bash", "-c", see_ec2])

    told = run(["bash", "-c", both_zerosix])
    [order], end = json.JSONDecoder().raw_decode(told)
    orders = json.loads(told[end:])
    assert [each["ec2_reservation_id"] for each in orders] == [order["ec2_reservation_id"], booked["ReservationId"]]


def examples(welcome):
    """Return the passages of the welcome that are indented as commands; the first two such passages are the key and
    the operator."""
    passages = re.findall(r"(?:^ {4}\S.*\n(?:^ {4}.*\n)*)", welcome, re.MULTILINE)
    return passages[2:]
