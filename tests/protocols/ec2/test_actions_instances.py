import asyncio
import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import WaiterError

from core.instances import Cause, Power, after_failure
from core.tags import ResourceKind
from tests.clocks import eventually
from tests.fleetfixture import CATALOGUE
from tests.protocols.ec2.served import instance_ids

STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
PLAIN = {"ImageId": "debian-12", "InstanceType": "plain", "MinCount": 1, "MaxCount": 1}
NOBODY = "i-0123456789abcdef0"


def state_of(machine):
    state = machine["State"]
    assert state["Code"] == STATE_CODES[state["Name"]]
    return state["Name"]


# --- booking


async def test_a_booking_is_a_reservation_of_pending_machines(ours, house):
    reservation = await ours.run_instances(**PLAIN | {"MinCount": 2, "MaxCount": 2})
    assert (reservation["ReservationId"], reservation["OwnerId"]) == ("r-00000000000000001", str(house.ours.account.id))
    assert [machine["InstanceId"][-2:] for machine in reservation["Instances"]] == ["01", "02"]
    assert [machine["AmiLaunchIndex"] for machine in reservation["Instances"]] == [0, 1]
    assert {state_of(machine) for machine in reservation["Instances"]} == {"pending"}
    assert house.woken == [1, 2]


async def test_what_was_booked_is_described_as_it_was_answered(ours):
    answered = await ours.run_instances(**PLAIN | {"MinCount": 3, "MaxCount": 3})
    described = await ours.describe_instances()
    del answered["ResponseMetadata"]
    assert described["Reservations"] == [answered]


async def test_every_parameter_of_a_booking_reaches_the_machine(ours, house):
    await ours.create_key_pair(KeyName="mine", KeyType="ed25519")
    tags = [{"Key": "Name", "Value": "a b&<é>"}, {"Key": "empty", "Value": ""}]
    (machine,) = (
        await ours.run_instances(
            InstanceType="nvidia-titanxp",
            ImageId="ami-00000000000000002",
            MinCount=1,
            MaxCount=1,
            KeyName="mine",
            Placement={"AvailabilityZone": "eu-1b", "Tenancy": "default"},
            UserData="#!/bin/sh\necho é",
            ClientToken="token",
            InstanceInitiatedShutdownBehavior="terminate",
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
    )["Instances"]
    assert machine["InstanceType"] == "nvidia-titanxp"
    assert machine["ImageId"] == "ami-00000000000000002"
    assert machine["KeyName"] == "mine"
    assert machine["Placement"]["AvailabilityZone"] == "eu-1b"
    assert machine["ClientToken"] == "token"
    assert machine["Tags"] == tags
    (row,) = await house.machines()
    assert row.shutdown_behaviour == "terminate"
    assert (await house.store.material(row.order_id)).user_data == "#!/bin/sh\necho é".encode()


async def test_user_data_may_be_broken_into_lines(ec2, house):
    lines = base64.encodebytes(b"x" * 200).decode()
    parameters = {name: str(value) for name, value in PLAIN.items()}
    assert (await ec2.ask("RunInstances", parameters | {"UserData": lines})).code == ""
    (row,) = await house.machines()
    assert (await house.store.material(row.order_id)).user_data == b"x" * 200


@pytest.mark.parametrize(
    "parameter",
    [
        {"EbsOptimized": False},
        {"MaintenanceOptions": {"AutoRecovery": "default"}},
        {"CapacityReservationSpecification": {"CapacityReservationPreference": "open"}},
        {"PrivateDnsNameOptions": {"HostnameType": "ip-name"}},
        {"HibernationOptions": {"Configured": False}},
        {"EnclaveOptions": {"Enabled": False}},
    ],
)
async def test_a_parameter_that_asks_for_what_is_so_anyway_is_taken(ours, parameter):
    assert await ours.run(**parameter)


async def test_a_refusal_says_which_value_would_be_taken(ours):
    wanted = {"CapacityReservationSpecification": {"CapacityReservationPreference": "capacity-reservations-only"}}
    assert (await ours.refusal("run_instances", **PLAIN, **wanted))[2] == (
        "The parameter CapacityReservationSpecification of RunInstances is not supported here. Leave it out, or give "
        "CapacityReservationPreference=open or CapacityReservationPreference=none."
    )
    assert (await ours.refusal("run_instances", **PLAIN, EbsOptimized=True))[2] == (
        "The parameter EbsOptimized of RunInstances is not supported here. Leave it out, or give false."
    )


@pytest.mark.parametrize(
    ("parameter", "named"),
    [
        ({"EbsOptimized": True}, "EbsOptimized"),
        ({"HibernationOptions": {"Configured": True}}, "HibernationOptions"),
        ({"IamInstanceProfile": {"Name": "x"}}, "IamInstanceProfile"),
        ({"LaunchTemplate": {"LaunchTemplateName": "x"}}, "LaunchTemplate"),
        ({"Placement": {"Tenancy": "dedicated"}}, "Placement.Tenancy"),
        ({"Placement": {"HostId": "h-1"}}, "Placement.HostId"),
        ({"InstanceMarketOptions": {"MarketType": "spot"}}, "InstanceMarketOptions"),
    ],
)
async def test_a_parameter_that_cannot_be_honoured_is_refused_by_name(ours, house, parameter, named):
    status, code, message = await ours.refusal("run_instances", **PLAIN, **parameter)
    assert (status, code) == (400, "UnsupportedOperation")
    assert f"parameter {named} of RunInstances" in message
    assert not await house.machines()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "no-such"}, "InvalidAMIID.Malformed"),
        ({"ImageId": "i-00000000000000001"}, "InvalidAMIID.Malformed"),
        ({"ImageId": ""}, "MissingParameter"),
        ({"InstanceType": "no-such"}, "InvalidParameterValue"),
        ({"InstanceType": ""}, "MissingParameter"),
        ({"MinCount": 0}, "InvalidParameterValue"),
        ({"MinCount": -1}, "InvalidParameterValue"),
        ({"MinCount": 2}, "InvalidParameterValue"),
        ({"MinCount": 1001, "MaxCount": 1001}, "InvalidParameterValue"),
        ({"KeyName": "no-such"}, "InvalidKeyPair.NotFound"),
        ({"Placement": {"AvailabilityZone": "no-such"}}, "InvalidParameterValue"),
        ({"Placement": {"AvailabilityZone": "ap-1a"}}, "InvalidParameterValue"),
        ({"Placement": {"AvailabilityZone": "eu-1a"}}, "Unsupported"),
        ({"ClientToken": "x" * 65}, "InvalidParameterValue"),
        ({"ClientToken": "é"}, "InvalidParameterValue"),
        ({"UserData": b"x" * 16385}, "InvalidParameterValue"),
        ({"InstanceInitiatedShutdownBehavior": "explode"}, "InvalidParameterValue"),
        ({"TagSpecifications": [{"ResourceType": "image", "Tags": []}]}, "InvalidParameterValue"),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a"}, {"Key": "a"}]}]},
            "InvalidParameterValue",
        ),
        ({"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Value": "a"}]}]}, "MissingParameter"),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "aws:x", "Value": "a"}]}]},
            "InvalidParameterValue",
        ),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": f"k{n}"} for n in range(51)]}]},
            "TagLimitExceeded",
        ),
    ],
)
async def test_a_booking_that_makes_no_sense_is_refused_and_books_nothing(ours, house, changes, code):
    status, found, _ = await ours.refusal("run_instances", **PLAIN | changes)
    assert (status, found) == (400, code)
    assert not await house.machines()


@pytest.mark.parametrize("missing", ["MinCount", "MaxCount", "ImageId", "InstanceType"])
async def test_a_booking_needs_image_type_and_counts(ec2, house, missing):
    parameters = {name: str(value) for name, value in PLAIN.items() if name != missing}
    answer = await ec2.ask("RunInstances", parameters)
    assert (answer.status, answer.code) == (400, "MissingParameter")
    assert missing in answer.message
    assert not await house.machines()


@pytest.mark.parametrize("text", ["!", "AAA", "AA AA", "é"])
async def test_user_data_that_is_not_base64_is_refused(ec2, text):
    parameters = {name: str(value) for name, value in PLAIN.items()}
    assert (await ec2.ask("RunInstances", parameters | {"UserData": text})).code == "InvalidUserData.Malformed"


async def test_as_many_machines_are_booked_as_there_is_room_for(ours):
    # Five fit into its one zone.
    wanted = {"InstanceType": "nvidia-1080ti", "ImageId": "debian-12"}
    assert len(instance_ids([await ours.run_instances(**wanted, MinCount=2, MaxCount=9)])) == 5


async def test_a_booking_without_a_zone_stays_in_one(ours):
    # Two fit into the one zone and three into the other.
    machines = await ours.run_instances(ImageId="debian-12", InstanceType="nvidia-titanxp", MinCount=1, MaxCount=5)
    assert {machine["Placement"]["AvailabilityZone"] for machine in machines["Instances"]} == {"eu-1b"}
    assert len(machines["Instances"]) == 3


async def test_without_room_nothing_is_booked_and_sdks_are_told_to_try_again(ours, theirs, house):
    await theirs.run(5, InstanceType="nvidia-1080ti")
    status, code, message = await ours.refusal("run_instances", **PLAIN | {"InstanceType": "nvidia-1080ti"})
    assert (status, code) == (500, "InsufficientInstanceCapacity")
    assert "nvidia-1080ti" in message
    assert len(await house.machines()) == 5


async def test_the_capacity_of_a_terminated_machine_is_free_once_it_is_gone(ours, house):
    ids = await ours.run(5, InstanceType="nvidia-1080ti")
    await ours.terminate_instances(InstanceIds=ids[:1])
    assert (
        await ours.code("run_instances", **PLAIN | {"InstanceType": "nvidia-1080ti"}) == "InsufficientInstanceCapacity"
    )
    await house.seen(Power.ABSENT, [1])
    assert await ours.run(InstanceType="nvidia-1080ti")


async def test_a_retired_product_or_image_cannot_be_booked_and_its_machines_live_on(ours, house):
    (kept,) = await ours.run()
    fewer = replace(CATALOGUE, products=CATALOGUE.products[1:3], images=CATALOGUE.images[:1])
    await house.administration.set_catalogue(fewer)
    assert await ours.code("run_instances", **PLAIN) == "InvalidParameterValue"
    assert (await ours.machine(kept))["InstanceType"] == "plain"
    gone = {"ImageId": "ami-00000000000000002", "InstanceType": "nvidia-1080ti"}
    assert await ours.code("run_instances", **PLAIN | gone) == "InvalidAMIID.NotFound"


async def test_a_booking_into_a_zone_that_takes_none_finds_no_room(ours, house):
    closed = [replace(zone, is_available=zone.name != "eu-1b") for zone in CATALOGUE.zones]
    await house.administration.set_catalogue(replace(CATALOGUE, zones=closed))
    placed = {"Placement": {"AvailabilityZone": "eu-1b"}}
    assert await ours.code("run_instances", **PLAIN, **placed) == "InsufficientInstanceCapacity"
    assert await ours.code("run_instances", **PLAIN) == "InsufficientInstanceCapacity"


# --- client tokens


async def test_the_same_client_token_is_the_same_booking(ours, house):
    first = await ours.run_instances(**PLAIN, ClientToken="t")
    await house.seen(Power.RUNNING)
    again = await ours.run_instances(**PLAIN, ClientToken="t")
    assert again["ReservationId"] == first["ReservationId"]
    assert [state_of(machine) for machine in again["Instances"]] == ["running"]
    assert len(await house.machines()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"MaxCount": 2},
        {"InstanceType": "anywhere"},
        {"ImageId": "ubuntu-24"},
        {"UserData": "x"},
        {"Placement": {"AvailabilityZone": "eu-1b"}},
        {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]},
    ],
)
async def test_a_client_token_with_other_parameters_is_refused(ours, house, change):
    await ours.run(ClientToken="t")
    assert await ours.code("run_instances", **PLAIN | change, ClientToken="t") == "IdempotentParameterMismatch"
    assert len(await house.machines()) == 1


async def test_tags_in_another_order_are_the_same_parameters(ours):
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    first, again = [
        await ours.run(ClientToken="t", TagSpecifications=[{"ResourceType": "instance", "Tags": each}])
        for each in (tags, tags[::-1])
    ]
    assert first == again


async def test_another_account_may_use_the_same_client_token(ours, theirs):
    assert await ours.run(ClientToken="t") != await theirs.run(ClientToken="t")


async def test_a_client_token_outlives_its_machines(ours, house):
    first = await ours.run(ClientToken="t")
    await ours.terminate_instances(InstanceIds=first)
    await house.seen(Power.ABSENT)
    assert await ours.run(ClientToken="t") == first


async def test_twenty_bookings_with_one_client_token_at_once_book_once(ec2, house):
    parameters = {name: str(value) for name, value in PLAIN.items()} | {"ClientToken": "t"}
    answers = await asyncio.gather(*(ec2.ask("RunInstances", parameters) for _ in range(20)))
    assert {answer.code for answer in answers} == {""}
    assert len(await house.machines()) == 1
    assert len({answer.root.findtext("{*}reservationId") for answer in answers}) == 1


async def test_fifty_bookings_at_once_take_no_more_than_there_is(ec2, house):
    parameters = {name: str(value) for name, value in PLAIN.items()} | {"InstanceType": "nvidia-1080ti"}
    answers = await asyncio.gather(*(ec2.ask("RunInstances", parameters) for _ in range(50)))
    codes = [answer.code for answer in answers]
    assert (codes.count(""), codes.count("InsufficientInstanceCapacity")) == (5, 45)
    assert len(await house.machines()) == 5


# --- describing


async def test_machines_are_described_by_reservation_in_order(ours):
    first, second, third = await ours.run(2), await ours.run(), await ours.run(2)
    reservations = (await ours.describe_instances())["Reservations"]
    assert [instance_ids([each]) for each in reservations] == [first, second, third]


async def test_machines_that_are_asked_for_are_described_once_each(ours):
    first, second = await ours.run(2)
    await ours.run()
    found = await ours.describe_instances(InstanceIds=[second, first, second])
    assert instance_ids(found["Reservations"]) == [first, second]


async def test_a_plain_integer_is_an_id_too(ours):
    (first,) = await ours.run()
    assert (await ours.machine("1"))["InstanceId"] == first


@pytest.mark.parametrize("operation", ["describe_instances", "describe_instance_status"])
async def test_machines_that_do_not_exist_are_named(ours, operation):
    (first,) = await ours.run()
    status, code, message = await ours.refusal(operation, InstanceIds=[first, NOBODY, "i-12345678"])
    assert (status, code) == (400, "InvalidInstanceID.NotFound")
    assert message == f"The instance IDs '{NOBODY}, i-00000000012345678' do not exist"


MALFORMED = [
    "",
    "i-",
    "i-1",
    "i-XYZ",
    "ami-12345678",
    "i-0123456789ABCDEF0",
    "0",
    "-1",
    " 1",
    "9" * 30,
    "٣",
    "i-٣٣٣٣٣٣٣٣",
]
VERBS = ["start_instances", "stop_instances", "reboot_instances", "terminate_instances"]


@pytest.mark.parametrize("operation", ["describe_instances", "describe_instance_status", *VERBS])
async def test_a_malformed_id_is_refused(ours, operation):
    refusals = [await ours.refusal(operation, InstanceIds=[text, NOBODY]) for text in MALFORMED]
    assert {refusal[:2] for refusal in refusals} == {(400, "InvalidInstanceID.Malformed")}


async def test_a_private_address_shows_to_the_end_and_a_public_one_while_the_machine_is_up(ours, house):
    def addresses(machine):
        names = ("PrivateIpAddress", "PrivateDnsName", "PublicIpAddress")
        return tuple(machine.get(name) for name in names)

    (id_,) = await ours.run()
    own = ("10.2.0.5", "ip-10-2-0-5.internal")
    assert addresses(await ours.machine(id_)) == (*own, None)
    await house.seen(Power.RUNNING, public_address="192.0.2.1")
    assert addresses(await ours.machine(id_)) == (*own, "192.0.2.1")
    await ours.stop_instances(InstanceIds=[id_])
    await house.seen(Power.STOPPED)
    assert addresses(await ours.machine(id_)) == (*own, None)
    await ours.terminate_instances(InstanceIds=[id_])
    await house.seen(Power.ABSENT)
    assert addresses(await ours.machine(id_)) == (None, "", None)


async def test_what_is_gone_has_no_network_interface_and_is_in_no_group(ours, house):
    (id_,) = await ours.run()
    assert [group["GroupName"] for group in (await ours.machine(id_))["SecurityGroups"]] == ["default"]
    await ours.terminate_instances(InstanceIds=[id_])
    await house.seen(Power.ABSENT)
    machine = await ours.machine(id_)
    assert (machine["NetworkInterfaces"], machine["SecurityGroups"], machine["BlockDeviceMappings"]) == ([], [], [])
    assert "VpcId" not in machine


async def test_a_change_shows_in_the_very_next_description(ours, house):
    (id_,) = await ours.run()
    await house.seen(Power.RUNNING)
    assert state_of(await ours.machine(id_)) == "running"
    await ours.create_tags(Resources=[id_], Tags=[{"Key": "a", "Value": "b"}])
    assert {"Key": "a", "Value": "b"} in (await ours.machine(id_))["Tags"]
    await ours.stop_instances(InstanceIds=[id_])
    assert state_of(await ours.machine(id_)) == "stopping"


async def test_a_machine_that_runs_tells_how_to_log_in_to_it(ours, house):
    (id_,) = await ours.run()
    assert "Tags" not in await ours.machine(id_)
    await house.seen(Power.RUNNING)
    [tag] = (await ours.machine(id_))["Tags"]
    port = (await house.store.view()).instances[1].ssh_port
    assert tag == {"Key": "aws:onefleet:ssh", "Value": f"ssh -p {port} renter@127.0.0.1"}
    await ours.stop_instances(InstanceIds=[id_])
    await house.seen(Power.STOPPED)
    assert "Tags" not in await ours.machine(id_)


async def test_a_terminated_machine_is_described_for_an_hour(ours, house):
    (id_,) = await ours.run()
    await ours.terminate_instances(InstanceIds=[id_])
    await house.seen(Power.ABSENT)
    house.clock.advance(timedelta(minutes=59, seconds=59))
    assert state_of(await ours.machine(id_)) == "terminated"
    house.clock.advance(timedelta(seconds=1))
    assert await ours.code("describe_instances", InstanceIds=[id_]) == "InvalidInstanceID.NotFound"
    assert await ours.code("terminate_instances", InstanceIds=[id_]) == "InvalidInstanceID.NotFound"
    assert (await ours.describe_instances())["Reservations"] == []


async def test_the_launch_time_does_not_change_when_a_machine_is_started_again(ours, house):
    (id_,) = await ours.run()
    before = (await ours.machine(id_))["LaunchTime"]
    await house.seen(Power.RUNNING)
    await ours.stop_instances(InstanceIds=[id_])
    await house.seen(Power.STOPPED)
    house.clock.advance(timedelta(hours=5))
    await ours.start_instances(InstanceIds=[id_])
    assert before == house.clock.now() - timedelta(hours=5)
    assert (await ours.machine(id_))["LaunchTime"] == before


# --- reasons


async def reasons_of(ours, id_="1"):
    machine = await ours.machine(id_)
    reason = machine.get("StateReason", {})
    return state_of(machine), reason.get("Code"), reason.get("Message"), machine["StateTransitionReason"]


async def test_a_machine_that_is_pending_or_runs_has_no_reason_to_tell(ours, house):
    await ours.run()
    assert await reasons_of(ours) == ("pending", "pending", "pending", "")
    await house.seen(Power.RUNNING)
    assert await reasons_of(ours) == ("running", None, None, "")


USERS = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
USERS_TIME = "User initiated (2026-05-01 12:00:00 GMT)"


async def test_a_machine_that_its_user_stopped_says_when(ours, house):
    await ours.run()
    await house.seen(Power.RUNNING)
    await ours.stop_instances(InstanceIds=["1"])
    assert await reasons_of(ours) == ("stopping", *USERS, USERS_TIME)
    house.clock.advance(timedelta(minutes=1))
    await house.seen(Power.STOPPED)
    assert await reasons_of(ours) == ("stopped", *USERS, USERS_TIME)
    await ours.start_instances(InstanceIds=["1"])
    assert await reasons_of(ours) == ("pending", "pending", "pending", "")


async def test_a_machine_that_its_user_terminated_says_when(ours, house):
    await ours.run()
    await ours.terminate_instances(InstanceIds=["1"])
    assert await reasons_of(ours) == ("shutting-down", *USERS, USERS_TIME)
    await house.seen(Power.ABSENT)
    assert await reasons_of(ours) == ("terminated", *USERS, USERS_TIME)


@pytest.mark.parametrize(("behaviour", "state"), [("stop", "stopped"), ("terminate", "shutting-down")])
async def test_a_machine_that_shut_itself_down_says_so(ours, house, behaviour, state):
    await ours.run(InstanceInitiatedShutdownBehavior=behaviour)
    await house.seen(Power.RUNNING)
    await house.seen(Power.STOPPED)
    code = "Client.InstanceInitiatedShutdown"
    assert await reasons_of(ours) == (state, code, f"{code}: Instance initiated shutdown", "")


@pytest.mark.parametrize(("power", "state"), [(Power.CRASHED, "stopped"), (Power.ABSENT, "terminated")])
async def test_a_machine_that_crashed_or_was_lost_says_that_it_was_not_its_users_doing(ours, house, power, state):
    await ours.run()
    await house.seen(Power.RUNNING)
    await house.seen(power)
    found, code, message, transition = await reasons_of(ours)
    assert (found, code, transition) == (state, "Server.InternalError", "Server.InternalError")
    assert message.startswith("Server.InternalError: The machine ")


async def test_a_machine_tells_why_it_crashed_if_its_driver_knows(ours, house):
    await ours.run()
    await house.seen(Power.RUNNING)
    await house.seen(Power.CRASHED, detail="Its system panicked.")
    code = "Server.InternalError"
    assert await reasons_of(ours) == ("stopped", code, f"{code}: Its system panicked.", code)


async def test_a_launch_tells_why_it_crashed_if_its_driver_knows(ours, house):
    await ours.run()
    await house.seen(Power.CRASHED, detail="Its process was killed.")
    code = "Server.InternalError"
    text = f"{code}: Internal error on launch. Its process was killed."
    assert await reasons_of(ours) == ("shutting-down", code, text, code)


@pytest.mark.parametrize(
    ("cause", "code", "text"),
    [
        (Cause.LAUNCH_FAILED, "Server.InternalError", "Internal error on launch. No disk."),
        (
            Cause.NO_CAPACITY,
            "Server.InsufficientInstanceCapacity",
            "Insufficient capacity to launch the instance. No disk.",
        ),
    ],
)
async def test_a_machine_that_could_not_be_made_ends_and_says_why(ours, house, cause, code, text):
    await ours.run()
    (machine,) = await house.machines()
    failed = after_failure(machine, house.clock.now(), cause, "No disk.")
    await house.store.transact(lambda tx: tx.put(failed))
    assert await reasons_of(ours) == ("shutting-down", code, f"{code}: {text}", code)
    await house.seen(Power.ABSENT)
    assert await reasons_of(ours) == ("terminated", code, f"{code}: {text}", code)


# --- switching


async def test_stop_start_and_terminate_tell_the_state_before_and_after(ours, house):
    (id_,) = await ours.run()

    async def switch(verb, answer):
        (change,) = (await getattr(ours, verb)(InstanceIds=[id_]))[answer]
        assert change["InstanceId"] == id_
        return [state_of({"State": change[key]}) for key in ("PreviousState", "CurrentState")]

    await house.seen(Power.RUNNING)
    assert await switch("start_instances", "StartingInstances") == ["running", "running"]
    assert await switch("stop_instances", "StoppingInstances") == ["running", "stopping"]
    assert await switch("stop_instances", "StoppingInstances") == ["stopping", "stopping"]
    await house.seen(Power.STOPPED)
    assert await switch("stop_instances", "StoppingInstances") == ["stopped", "stopped"]
    assert await switch("start_instances", "StartingInstances") == ["stopped", "pending"]
    assert await switch("start_instances", "StartingInstances") == ["pending", "pending"]
    assert await switch("terminate_instances", "TerminatingInstances") == ["pending", "shutting-down"]
    assert await switch("terminate_instances", "TerminatingInstances") == ["shutting-down", "shutting-down"]
    await house.seen(Power.ABSENT)
    assert await switch("terminate_instances", "TerminatingInstances") == ["terminated", "terminated"]


@pytest.mark.parametrize(
    ("verb", "power", "word"),
    [
        ("stop_instances", None, "stopped"),
        ("reboot_instances", None, "rebooted"),
        ("reboot_instances", Power.STOPPED, "rebooted"),
        ("start_instances", Power.ABSENT, "started"),
        ("stop_instances", Power.ABSENT, "stopped"),
        ("reboot_instances", Power.ABSENT, "rebooted"),
    ],
)
async def test_a_verb_that_a_state_does_not_allow_is_refused(ours, house, verb, power, word):
    (id_,) = await ours.run()
    for seen in (Power.RUNNING, power) if power else ():
        await house.seen(seen)
    status, code, message = await ours.refusal(verb, InstanceIds=[id_])
    assert (status, code) == (400, "IncorrectInstanceState")
    assert f"The instance '{id_}' is not in a state from which it can be {word}" in message


@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_on_many_machines_is_for_all_or_none(ours, house, verb):
    ids = await ours.run(3)
    await house.seen(Power.RUNNING)
    before = await house.machines()
    assert await ours.code(verb, InstanceIds=[*ids, NOBODY]) == "InvalidInstanceID.NotFound"
    assert await house.machines() == before


async def test_a_machine_named_twice_changes_once(ours, house):
    (id_,) = await ours.run()
    await house.seen(Power.RUNNING)
    assert len((await ours.stop_instances(InstanceIds=[id_, "1", id_]))["StoppingInstances"]) == 1


async def test_a_forced_stop_is_forced(ours, house):
    await ours.run()
    await house.seen(Power.RUNNING)
    await ours.stop_instances(InstanceIds=["1"], Force=True)
    (machine,) = await house.machines()
    assert machine.is_forced


async def test_hibernation_is_refused(ours, house):
    await ours.run()
    await house.seen(Power.RUNNING)
    assert await ours.code("stop_instances", InstanceIds=["1"], Hibernate=True) == "UnsupportedOperation"
    assert await ours.stop_instances(InstanceIds=["1"], Hibernate=False)


async def test_a_reboot_is_asked_for_and_the_machine_goes_on_running(ours, house, ec2):
    await ours.run()
    await house.seen(Power.RUNNING)
    answer = await ec2.ask("RebootInstances", {"InstanceId.1": "1"})
    assert answer.root.findtext("{*}return") == "true"
    (machine,) = await house.machines()
    assert machine.needs_reboot
    assert state_of(await ours.machine("1")) == "running"


@pytest.mark.parametrize("verb", ["StartInstances", "StopInstances", "RebootInstances", "TerminateInstances"])
async def test_a_verb_needs_a_machine(ec2, verb):
    answer = await ec2.ask(verb)
    assert (answer.status, answer.code) == (400, "MissingParameter")


# --- status


async def test_only_running_machines_have_a_status_unless_all_are_asked_for(ours, house):
    up, starting = [await ours.run() for _ in range(2)]
    await house.seen(Power.RUNNING, [1])
    shown = (await ours.describe_instance_status())["InstanceStatuses"]
    assert [each["InstanceId"] for each in shown] == up
    assert (await ours.describe_instance_status(InstanceIds=starting))["InstanceStatuses"] == []
    shown = (await ours.describe_instance_status(IncludeAllInstances=True))["InstanceStatuses"]
    assert [each["InstanceId"] for each in shown] == up + starting


@pytest.mark.parametrize(
    ("powers", "told"),
    [
        ([], ("pending", "initializing", ["initializing"])),
        ([Power.RUNNING], ("running", "ok", ["passed"])),
        ([Power.RUNNING, Power.STOPPED], ("stopped", "not-applicable", [])),
        ([Power.RUNNING, Power.ABSENT], ("terminated", "not-applicable", [])),
    ],
)
async def test_the_checks_say_how_a_machine_is(ours, house, powers, told):
    await ours.run()
    for power in powers:
        await house.seen(power)
    (status,) = (await ours.describe_instance_status(IncludeAllInstances=True))["InstanceStatuses"]
    for check in (status["InstanceStatus"], status["SystemStatus"]):
        details = [detail["Status"] for detail in check.get("Details", [])]
        assert (state_of({"State": status["InstanceState"]}), check["Status"], details) == told


# --- waiters and resources


@pytest.mark.parametrize(
    ("waiter", "first", "then"),
    [
        ("instance_running", Power.CREATING, Power.RUNNING),
        ("instance_status_ok", Power.CREATING, Power.RUNNING),
        ("system_status_ok", Power.CREATING, Power.RUNNING),
        ("instance_stopped", Power.RUNNING, Power.STOPPED),
        ("instance_terminated", Power.RUNNING, Power.ABSENT),
    ],
)
async def test_boto3s_waiters_end_when_the_machine_is_there(ours, ec2, waiter, first, then):
    ids = await ours.run()
    await ec2.house.seen(first)
    before = len(ec2.records)
    waiting = asyncio.create_task(ours.wait_until(waiter, InstanceIds=ids))
    await eventually(lambda: len(ec2.records) > before + 1)
    assert not waiting.done()
    await ec2.house.seen(then)
    await waiting


async def test_boto3s_waiter_for_a_running_machine_gives_up_on_one_that_failed(ours, house):
    ids = await ours.run()
    await house.fail()
    with pytest.raises(WaiterError, match="terminal failure state"):
        await ours.wait_until("instance_running", InstanceIds=ids)


async def test_the_machine_of_boto3s_resource_can_be_booked_tagged_and_terminated(ec2, house):
    resource = ec2.resource()

    def live():
        (machine,) = resource.create_instances(**PLAIN)
        machine.create_tags(Tags=[{"Key": "Name", "Value": "one"}])
        machine.reload()
        tags = machine.tags
        machine.terminate()
        machine.reload()
        return machine.id, tags, machine.state["Name"], [each.id for each in resource.instances.all()]

    id_, tags, state, listed = await asyncio.to_thread(live)
    assert (tags, state) == ([{"Key": "Name", "Value": "one"}], "shutting-down")
    assert listed == [id_]


# --- pages


async def test_pages_hold_every_machine_once_and_in_order(ours):
    ids = [id_ for count in (4, 3, 5, 1) for id_ in await ours.run(count)]
    pages = await ours.pages("describe_instances", PaginationConfig={"PageSize": 5})
    assert [len(instance_ids(page["Reservations"])) for page in pages] == [5, 5, 3]
    assert [id_ for page in pages for id_ in instance_ids(page["Reservations"])] == ids


async def test_a_reservation_may_be_split_between_pages(ours):
    await ours.run(7)
    first, second = await ours.pages("describe_instances", PaginationConfig={"PageSize": 5})
    assert first["Reservations"][0]["ReservationId"] == second["Reservations"][0]["ReservationId"]


async def test_a_page_that_is_exactly_full_is_the_last(ours):
    await ours.run(10)
    assert len(await ours.pages("describe_instances", PaginationConfig={"PageSize": 5})) == 2


async def test_status_comes_in_pages_too(ours, house):
    ids = await ours.run(7)
    await house.seen(Power.RUNNING)
    pages = await ours.pages("describe_instance_status", PaginationConfig={"PageSize": 5})
    assert [each["InstanceId"] for page in pages for each in page["InstanceStatuses"]] == ids


@pytest.mark.parametrize("operation", ["describe_instances", "describe_instance_status"])
async def test_ids_and_pages_exclude_each_other(ours, operation):
    ids = await ours.run()
    assert await ours.code(operation, InstanceIds=ids, MaxResults=5) == "InvalidParameterCombination"


async def test_whoever_appears_or_disappears_between_pages_neither_doubles_nor_hides_the_others(ours, house):
    ids = await ours.run(9)
    first = await ours.describe_instances(MaxResults=5)
    await ours.terminate_instances(InstanceIds=ids[:6])
    await house.seen(Power.ABSENT, range(1, 7))
    house.clock.advance(timedelta(hours=2))
    late = await ours.run()
    second = await ours.describe_instances(MaxResults=5, NextToken=first["NextToken"])
    assert instance_ids(second["Reservations"]) == ids[6:] + late
    assert "NextToken" not in second


async def test_a_booking_that_is_described_while_it_is_paged_can_be_read_to_its_end_without_a_page_size(ours):
    await ours.run(9)
    first = await ours.describe_instances(MaxResults=5)
    rest = await ours.describe_instances(NextToken=first["NextToken"])
    assert len(instance_ids(rest["Reservations"])) == 4


async def test_tags_of_a_booking_are_on_every_machine_and_on_no_other(ours, house):
    tags = {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]}
    await ours.run(2, **tags)
    await ours.run()
    fleet = await house.core.fleet(house.caller())
    assert [dict(fleet.tags(ResourceKind.INSTANCE, number)) for number in (1, 2, 3)] == [{"a": "b"}, {"a": "b"}, {}]


async def test_a_thousand_machines_can_be_booked_described_and_terminated(ours, house):
    ids = await ours.run(1000)
    assert len(set(ids)) == 1000
    assert instance_ids((await ours.describe_instances())["Reservations"]) == ids
    assert len((await ours.terminate_instances(InstanceIds=ids))["TerminatingInstances"]) == 1000
