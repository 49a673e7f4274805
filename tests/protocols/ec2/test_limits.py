"""What an account may have, and how often a key may ask, as EC2's clients are told."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from types import SimpleNamespace

import botocore.endpoint
import pytest
from botocore.config import Config

from core.instances import Power
from core.limits import Limits, Pace
from core.service.addresses import Wish
from tests.fleetfixture import CATALOGUE
from tests.protocols.ec2.served import another_core, served

PLAIN = {"ImageId": "debian-12", "InstanceType": "plain"}
ROOT = "/dev/sda1"


@asynccontextmanager
async def limited(house, **limits):
    """Our customer of the same house where an account may have only so many."""
    async with served(house, core=another_core(house, limits=Limits(**limits))) as ec2:
        yield ec2.customer()


@pytest.fixture(autouse=True)
def _at_the_houses_time(ec2):
    """Everybody here signs at the house's time."""


# --- what an account may have


async def test_as_many_machines_as_the_limit_can_be_booked_and_not_one_more(house):
    async with limited(house, machines=3) as ours:
        await ours.run(2)
        await ours.run()
        assert await ours.refusal("run_instances", **PLAIN, MinCount=1, MaxCount=1) == (
            400,
            "InstanceLimitExceeded",
            "You have requested more instances than your current limit of 3 allows: you have 3.",
        )
    assert len(await house.machines()) == 3


async def test_a_booking_of_at_least_what_is_left_gets_what_is_left(house):
    async with limited(house, machines=3) as ours:
        assert len((await ours.run_instances(**PLAIN, MinCount=2, MaxCount=9))["Instances"]) == 3


async def test_a_booking_of_more_than_is_left_gets_none(house):
    async with limited(house, machines=3) as ours:
        await ours.run()
        assert await ours.code("run_instances", **PLAIN, MinCount=3, MaxCount=3) == "InstanceLimitExceeded"
    assert len(await house.machines()) == 1


async def test_machines_count_in_all_regions_until_they_are_gone(house):
    async with served(house, core=another_core(house, limits=Limits(machines=1))) as ec2:
        ours, asian = ec2.customer(), ec2.customer(region_name="ap-1")
        ids = await ours.run()
        wanted = {"ImageId": "debian-12", "InstanceType": "anywhere", "MinCount": 1, "MaxCount": 1}
        assert await asian.code("run_instances", **wanted) == "InstanceLimitExceeded"
        await ours.terminate_instances(InstanceIds=ids)
        await house.seen(Power.ABSENT)
        assert await asian.run_instances(**wanted)


async def test_the_limit_of_one_account_is_not_that_of_another(house):
    async with served(house, core=another_core(house, limits=Limits(machines=1))) as ec2:
        await ec2.customer().run()
        assert await ec2.customer(house.theirs).run()


async def test_a_dry_run_over_the_limit_is_refused_as_the_booking_would_be(house):
    async with limited(house, machines=0) as ours:
        asked = PLAIN | {"MinCount": 1, "MaxCount": 1, "DryRun": True}
        assert await ours.code("run_instances", **asked) == "InstanceLimitExceeded"


async def test_a_stopped_machine_counts_and_can_be_started(house):
    async with limited(house, machines=1) as ours:
        ids = await ours.run()
        await house.seen(Power.RUNNING)
        await ours.stop_instances(InstanceIds=ids)
        await house.seen(Power.STOPPED)
        assert await ours.code("run_instances", **PLAIN, MinCount=1, MaxCount=1) == "InstanceLimitExceeded"
        assert await ours.start_instances(InstanceIds=ids)


async def test_key_pairs_are_limited_however_they_are_made(house):
    async with limited(house, key_pairs=1) as ours:
        made = {"KeyName": "one", "KeyType": "ed25519"}
        await ours.create_key_pair(**made)
        brought = {
            "KeyName": "two",
            "PublicKeyMaterial": b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFrlTFuMjLGJ9l6tUoVYBUlNQgiGF14UqrI2lTqkPJxA",
        }
        assert (await ours.refusal("import_key_pair", **brought))[:2] == (400, "KeyPairLimitExceeded")
        assert await ours.code("create_key_pair", **made | {"KeyName": "two"}) == "KeyPairLimitExceeded"
        await ours.delete_key_pair(KeyName="one")
        assert await ours.import_key_pair(**brought)


async def test_addresses_are_limited(house):
    async with limited(house, addresses=2) as ours:
        held = [await ours.allocate_address() for _ in range(2)]
        assert (await ours.refusal("allocate_address"))[:2] == (400, "AddressLimitExceeded")
        await ours.release_address(AllocationId=held[0]["AllocationId"])
        assert await ours.allocate_address()


async def test_the_default_group_is_no_group_too_many_and_a_second_of_ones_own_may_be(house):
    async with limited(house, security_groups=2) as ours:
        wanted = {"Description": "x"}
        await ours.create_security_group(GroupName="one", **wanted)
        status, code, _ = await ours.refusal("create_security_group", GroupName="two", **wanted)
        assert (status, code) == (400, "SecurityGroupLimitExceeded")


@pytest.mark.parametrize("when", ["at the booking", "later"])
async def test_disks_that_outlive_their_machines_are_limited(house, when):
    async with limited(house, kept_disks=1) as ours:
        mapping = {"BlockDeviceMappings": [{"DeviceName": ROOT, "Ebs": {"DeleteOnTermination": False}}]}
        await ours.run(**mapping)
        if when == "at the booking":
            refusal = await ours.refusal("run_instances", **PLAIN, MinCount=1, MaxCount=1, **mapping)
        else:
            (other,) = await ours.run()
            refusal = await ours.refusal("modify_instance_attribute", InstanceId=other, **mapping)
        assert refusal[:2] == (400, "VolumeLimitExceeded")


async def test_a_machine_has_at_most_eight_addresses_of_its_own(house, ours):
    zones = [replace(CATALOGUE.zones[1], pool=("203.0.113.32/28",)), *CATALOGUE.zones[::2]]
    await house.administration.set_catalogue(replace(CATALOGUE, zones=zones))
    (machine,) = await ours.run()
    addresses = [await house.core.addresses.allocate(house.caller(), Wish(zone_id=2)) for _ in range(9)]
    for address in addresses[:8]:
        await ours.associate_address(PublicIp=address.address, InstanceId=machine)
    over = {"PublicIp": addresses[8].address, "InstanceId": machine}
    assert (await ours.refusal("associate_address", **over))[:2] == (400, "PrivateIpAddressLimitExceeded")


# --- how often a key may ask


class Stopwatch:
    """Seconds that go on when told to."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def watch():
    return Stopwatch()


@pytest.fixture
async def paced(house, ec2, watch):
    """The same house where a key may ask twice at once, and then once every two seconds."""
    async with served(house, core=another_core(house, pace=Pace(0.5, 2, watch))) as running:
        yield running


async def statuses(ec2, count, **asked):
    return [(await ec2.ask("DescribeRegions", **asked)).status for _ in range(count)]


async def test_a_key_that_asks_too_often_is_told_to_wait_in_ec2s_code(paced):
    assert await statuses(paced, 2) == [200, 200]
    answer = await paced.ask("DescribeRegions")
    assert (answer.status, answer.code) == (503, "RequestLimitExceeded")
    assert answer.message == "This key may make 0.5 requests a second; try again in 2.0 seconds."


async def test_the_bucket_fills_again_at_its_pace_and_no_higher_than_its_brim(paced, watch):
    assert await statuses(paced, 3) == [200, 200, 503]
    watch.seconds += 1.9
    assert await statuses(paced, 1) == [503]
    watch.seconds += 0.2
    assert await statuses(paced, 2) == [200, 503]
    watch.seconds += 3600
    assert await statuses(paced, 3) == [200, 200, 503]


async def test_another_key_is_not_slowed_down_not_even_one_of_the_same_account(paced, house):
    assert await statuses(paced, 3) == [200, 200, 503]
    second = await house.allow_only(ip_network("127.0.0.0/8"))
    assert await statuses(paced, 1, holder=second) == [200]
    assert await statuses(paced, 1, holder=house.theirs) == [200]


async def test_what_is_not_authenticated_takes_nothing_from_the_key_that_it_names(paced):
    assert await statuses(paced, 5, secret="wrong") == [401] * 5
    assert await statuses(paced, 3) == [200, 200, 503]


async def test_what_is_refused_for_its_parameters_counts_as_asking(paced):
    assert (await paced.ask("DescribeRegions", {"X": ""})).status == 400
    assert await statuses(paced, 2) == [200, 503]


async def test_a_request_too_many_changes_nothing(paced, house, ours):
    ids = await ours.run()
    before = await house.machines()
    await statuses(paced, 2)
    assert (await paced.ask("TerminateInstances", {"InstanceId.1": ids[0]})).code == "RequestLimitExceeded"
    assert await house.machines() == before


async def test_sts_says_so_in_its_own_form(paced):
    await statuses(paced, 2)
    answer = await paced.ask("GetCallerIdentity")
    assert (answer.status, answer.sts_code) == (503, "RequestLimitExceeded")


@pytest.mark.parametrize("mode", ["legacy", "standard"])
async def test_boto3_tries_again_once_the_bucket_has_filled(paced, watch, monkeypatch, mode):
    waited = []

    def wait(seconds):
        waited.append(seconds)
        watch.seconds += 2

    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=wait))
    config = Config(retries={"mode": mode, "total_max_attempts": 2})
    ours = paced.customer(config=config)
    told = [await ours.describe_regions() for _ in range(3)]
    assert [each["ResponseMetadata"]["RetryAttempts"] for each in told] == [0, 0, 1]
    assert waited


async def test_boto3_gives_up_if_the_bucket_does_not_fill(paced, monkeypatch):
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
    ours = paced.customer(config=Config(retries={"mode": "standard", "total_max_attempts": 3}))
    for _ in range(2):
        await ours.describe_regions()
    assert (await ours.refusal("describe_regions"))[:2] == (503, "RequestLimitExceeded")


async def test_twenty_requests_at_once_take_no_more_than_the_bucket_holds(paced):
    answers = await asyncio.gather(*(paced.ask("DescribeRegions") for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] * 2 + [503] * 18


async def test_without_a_pace_nobody_is_slowed_down(house, ec2):
    async with served(house, core=another_core(house, pace=Pace(0, 0))) as unpaced:
        assert await statuses(unpaced, 50) == [200] * 50
