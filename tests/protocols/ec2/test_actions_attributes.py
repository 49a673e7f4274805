"""What can be set on a machine and asked about it, as boto3, boto 2 and raw requests do."""

import asyncio
import base64
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core import billing
from core.instances import Power
from core.ports import DriverCode, DriverError
from tests.fleetfixture import CATALOGUE, a_ware
from tests.protocols.ec2.oracle import service_model
from tests.protocols.ec2.served import another_core, served

NOBODY = "i-0123456789abcdef0"
DISK = "/dev/sda1"
LIMIT_BYTES = 16 * 1024

# Beside "plain", which costs 0.01 and has 4 CPUs and 100 GiB: what a machine of it may become, and what it may not.
OTHERS = [
    a_ware("big", "0.05", {"eu-1b": 1, "eu-1a": 1}, vcpus=8, disk_gib=200),
    a_ware("wide", "0.03", {"eu-1b": 9}, vcpus=8),
    a_ware("shallow", "0.01", {"eu-1b": 9}, disk_gib=99),
    a_ware("arm", "0.01", {"eu-1b": 9}, architecture="arm64", image="arm"),
    a_ware("european", "0.01", {"eu-1b": 9}, currency="EUR"),
]
ARM = replace(CATALOGUE.images[0], name="arm", architecture="arm64")


@pytest.fixture
async def others(house):
    more = replace(CATALOGUE, products=[*CATALOGUE.products, *OTHERS], images=[*CATALOGUE.images, ARM])
    await house.administration.set_catalogue(more)


@pytest.fixture
async def machine(ours, house, others):
    """A machine that runs."""
    (id_,) = await ours.run()
    await house.seen(Power.RUNNING)
    return id_


@pytest.fixture
async def stopped(ours, house, machine):
    """The same, stopped."""
    await ours.stop_instances(InstanceIds=[machine])
    await house.seen(Power.STOPPED)
    return machine


async def told(customer, id_, attribute):
    answer = await customer.describe_instance_attribute(InstanceId=id_, Attribute=attribute)
    del answer["ResponseMetadata"]
    assert answer.pop("InstanceId") == id_
    return answer


def encoded(text):
    return base64.b64encode(text.encode()).decode()


async def with_group(ours, name):
    made = await ours.create_security_group(GroupName=name, Description=name)
    return made["GroupId"]


# --- reading

AT_FIRST = {
    "disableApiStop": {"DisableApiStop": {"Value": False}},
    "disableApiTermination": {"DisableApiTermination": {"Value": False}},
    "ebsOptimized": {"EbsOptimized": {"Value": False}},
    "enaSupport": {"EnaSupport": {"Value": True}},
    "enclaveOptions": {"EnclaveOptions": {"Enabled": False}},
    "groupSet": {"Groups": [{"GroupId": "sg-00000000000000001", "GroupName": "default"}]},
    "instanceInitiatedShutdownBehavior": {"InstanceInitiatedShutdownBehavior": {"Value": "stop"}},
    "instanceType": {"InstanceType": {"Value": "plain"}},
    "kernel": {"KernelId": {}},
    "productCodes": {"ProductCodes": []},
    "ramdisk": {"RamdiskId": {}},
    "rootDeviceName": {"RootDeviceName": {"Value": DISK}},
    "sourceDestCheck": {"SourceDestCheck": {"Value": True}},
    "sriovNetSupport": {"SriovNetSupport": {}},
    "userData": {"UserData": {}},
}


@pytest.mark.parametrize("attribute", AT_FIRST)
async def test_an_attribute_is_told_alone(ours, machine, attribute):
    assert await told(ours, machine, attribute) == AT_FIRST[attribute]


def test_every_attribute_that_aws_has_is_told():
    assert {*service_model("ec2").shape_for("InstanceAttributeName").enum} == AT_FIRST.keys() | {"blockDeviceMapping"}


async def test_the_disk_is_told_as_it_is_attached(ours, machine, house):
    disk = {
        "AttachTime": house.clock.now(),
        "DeleteOnTermination": True,
        "Status": "attached",
        "VolumeId": "vol-00000000000000001",
    }
    assert await told(ours, machine, "blockDeviceMapping") == {
        "BlockDeviceMappings": [{"DeviceName": DISK, "Ebs": disk}]
    }


async def test_an_attribute_of_a_plain_number_is_that_of_the_machine(ec2, machine):
    answer = await ec2.ask("DescribeInstanceAttribute", {"InstanceId": "1", "Attribute": "instanceType"})
    assert (answer.root.findtext("{*}instanceId"), answer.root.findtext("{*}instanceType/{*}value")) == (
        machine,
        "plain",
    )


async def test_the_user_data_of_a_booking_is_told_of_each_of_its_machines(ours):
    ids = await ours.run(2, UserData="#!/bin/sh\necho é")
    assert [await told(ours, id_, "userData") for id_ in ids] == [
        {"UserData": {"Value": encoded("#!/bin/sh\necho é")}}
    ] * 2


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Attribute": "no-such"}, "InvalidParameterValue"),
        ({"Attribute": ""}, "InvalidParameterValue"),
        ({"Attribute": "InstanceType"}, "InvalidParameterValue"),
        ({}, "MissingParameter"),
        ({"Attribute": "kernel", "InstanceId": NOBODY}, "InvalidInstanceID.NotFound"),
        ({"Attribute": "kernel", "InstanceId": "i-x"}, "InvalidInstanceID.Malformed"),
    ],
)
async def test_an_attribute_or_a_machine_that_is_not_there_is_refused(ec2, machine, parameters, code):
    answer = await ec2.ask("DescribeInstanceAttribute", {"InstanceId": machine} | parameters)
    assert (answer.status, answer.code) == (400, code)


# --- changing: both forms

CHANGES = {
    "disableApiStop": ("DisableApiStop", "true", True),
    "disableApiTermination": ("DisableApiTermination", "true", True),
    "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", "terminate", "terminate"),
    "instanceType": ("InstanceType", "big", "big"),
    "sourceDestCheck": ("SourceDestCheck", "false", False),
    "userData": ("UserData", encoded("later"), encoded("later")),
}
FORMS = {
    "by name": lambda attribute, field, text: {"Attribute": attribute, "Value": text},
    # boto 2's, too
    "by its own parameter": lambda attribute, field, text: {f"{field}.Value": text},
    "by both": lambda attribute, field, text: {"Attribute": attribute, f"{field}.Value": text},
    "with an underscore": lambda attribute, field, text: {f"{field}_Value": text},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("attribute", CHANGES)
async def test_an_attribute_is_changed_in_every_form(ec2, ours, stopped, attribute, form):
    field, text, value = CHANGES[attribute]
    answer = await ec2.ask("ModifyInstanceAttribute", {"InstanceId": stopped} | FORMS[form](attribute, field, text))
    assert (answer.code, answer.root.findtext("{*}return")) == ("", "true")
    assert await told(ours, stopped, attribute) == {field: {"Value": value}}


@pytest.mark.parametrize(
    ("parameters", "attribute", "value"),
    [
        ({"DisableApiStop": {"Value": True}}, "disableApiStop", True),
        ({"DisableApiTermination": {"Value": True}}, "disableApiTermination", True),
        ({"SourceDestCheck": {"Value": False}}, "sourceDestCheck", False),
        ({"InstanceType": {"Value": "big"}}, "instanceType", "big"),
        ({"UserData": {"Value": b"later"}}, "userData", encoded("later")),
    ],
)
async def test_boto3_changes_an_attribute(ours, stopped, parameters, attribute, value):
    await ours.modify_instance_attribute(InstanceId=stopped, **parameters)
    (field,) = parameters
    assert await told(ours, stopped, attribute) == {field: {"Value": value}}


@pytest.mark.parametrize("named", [{}, {"Attribute": "groupSet"}])
async def test_a_machine_is_put_into_groups_and_no_others(ec2, ours, machine, named):
    groups = [await with_group(ours, name) for name in ("one", "two")]
    asked = {"GroupId.1": groups[1], "GroupId.2": groups[0], "GroupId.3": groups[1]}
    assert (await ec2.ask("ModifyInstanceAttribute", {"InstanceId": machine, **named, **asked})).code == ""
    assert (await told(ours, machine, "groupSet"))["Groups"] == [
        {"GroupId": groups[1], "GroupName": "two"},
        {"GroupId": groups[0], "GroupName": "one"},
    ]


@pytest.mark.parametrize("named", [{}, {"Attribute": "blockDeviceMapping"}])
async def test_a_disk_is_told_to_outlive_its_machine(ec2, ours, machine, named):
    def mapping(is_deleted):
        name = "BlockDeviceMapping.1"
        return {f"{name}.DeviceName": DISK, f"{name}.Ebs.DeleteOnTermination": is_deleted}

    for is_deleted in ("false", "true"):
        asked = {"InstanceId": machine, **named, **mapping(is_deleted)}
        assert (await ec2.ask("ModifyInstanceAttribute", asked)).code == ""
        (disk,) = (await told(ours, machine, "blockDeviceMapping"))["BlockDeviceMappings"]
        assert disk["Ebs"]["DeleteOnTermination"] is (is_deleted == "true")


async def test_a_change_shows_where_the_machine_is_described(ours, machine):
    group = await with_group(ours, "one")
    await ours.modify_instance_attribute(InstanceId=machine, SourceDestCheck={"Value": False})
    await ours.modify_instance_attribute(InstanceId=machine, Groups=[group])
    described = await ours.machine(machine)
    (interface,) = described["NetworkInterfaces"]
    assert [described["SourceDestCheck"], interface["SourceDestCheck"]] == [False, False]
    assert [described["SecurityGroups"], interface["Groups"]] == [[{"GroupId": group, "GroupName": "one"}]] * 2


@pytest.mark.parametrize(
    "parameters", [{"EbsOptimized": {"Value": False}}, {"EnaSupport": {"Value": True}}], ids=["ebs", "ena"]
)
async def test_what_is_so_anyway_may_be_asked_for(ours, house, machine, parameters):
    before = await house.machines()
    await ours.modify_instance_attribute(InstanceId=machine, **parameters)
    assert await house.machines() == before


@pytest.mark.parametrize(
    ("attribute", "wakes"),
    [("disableApiStop", False), ("sourceDestCheck", True), ("userData", True), ("instanceType", True)],
)
async def test_the_reconciler_is_told_of_what_the_driver_must_know(ec2, house, stopped, attribute, wakes):
    house.woken.clear()
    _, text, _ = CHANGES[attribute]
    asked = {"InstanceId": stopped, "Attribute": attribute, "Value": text}
    assert (await ec2.ask("ModifyInstanceAttribute", asked)).code == ""
    assert house.woken == ([1] if wakes else [])


async def test_user_data_of_one_machine_is_not_that_of_its_sisters(ours, house):
    first, second = await ours.run(2, UserData="from the booking")
    await house.seen(Power.RUNNING)
    await ours.stop_instances(InstanceIds=[first])
    await house.seen(Power.STOPPED, [1])
    await ours.modify_instance_attribute(InstanceId=first, UserData={"Value": b"its own"})
    assert [(await told(ours, id_, "userData"))["UserData"]["Value"] for id_ in (first, second)] == [
        encoded("its own"),
        encoded("from the booking"),
    ]


async def test_user_data_may_be_taken_away(ours, house):
    (id_,) = await ours.run(UserData="from the booking")
    await house.seen(Power.RUNNING)
    await ours.stop_instances(InstanceIds=[id_])
    await house.seen(Power.STOPPED)
    await ours.modify_instance_attribute(InstanceId=id_, UserData={"Value": b""})
    assert await told(ours, id_, "userData") == {"UserData": {}}


async def test_a_dry_run_leaves_user_data_as_it_is(ours, stopped):
    asked = {"InstanceId": stopped, "UserData": {"Value": b"later"}, "DryRun": True}
    assert await ours.code("modify_instance_attribute", **asked) == "DryRunOperation"
    assert await told(ours, stopped, "userData") == {"UserData": {}}


async def test_user_data_may_be_as_long_as_the_limit(ours, stopped):
    await ours.modify_instance_attribute(InstanceId=stopped, UserData={"Value": b"x" * LIMIT_BYTES})
    assert len((await told(ours, stopped, "userData"))["UserData"]["Value"]) == 21848


# --- changing: what is refused


async def refused(ec2, id_, parameters):
    """Return the code and text with which a change is refused; nothing may be changed by it."""
    before = await ec2.house.machines()
    answer = await ec2.ask("ModifyInstanceAttribute", {"InstanceId": id_} | parameters)
    assert answer.status == 400
    assert await ec2.house.machines() == before
    return answer.code, answer.message


SEVERAL = ("InvalidParameterCombination", "Fields for multiple attribute types specified")


@pytest.mark.parametrize(
    "parameters",
    [
        {"DisableApiStop.Value": "true", "DisableApiTermination.Value": "true"},
        {"DisableApiStop.Value": "true", "Attribute": "sourceDestCheck", "Value": "true"},
        {"DisableApiStop.Value": "true", "Attribute": "disableApiStop", "Value": "true"},
        {"DisableApiStop.Value": "true", "Attribute": "sourceDestCheck"},
        {"GroupId.1": "sg-00000000000000001", "SourceDestCheck.Value": "true"},
    ],
)
async def test_two_attributes_at_once_are_refused(ec2, machine, parameters):
    assert await refused(ec2, machine, parameters) == SEVERAL


@pytest.mark.parametrize("parameters", [{}, {"Attribute": "sourceDestCheck"}])
async def test_a_change_of_nothing_is_refused(ec2, machine, parameters):
    assert await refused(ec2, machine, parameters) == (
        "InvalidParameterCombination",
        "No attributes specified.",
    )


@pytest.mark.parametrize(
    ("parameters", "missing"),
    [
        ({"Value": "true"}, "Attribute"),
        ({"DisableApiStop.Value": "true", "Value": "true"}, "Attribute"),
        ({"InstanceId": "", "DisableApiStop.Value": "true"}, ""),
    ],
)
async def test_a_change_without_its_other_half_is_refused(ec2, machine, parameters, missing):
    code, message = await refused(ec2, machine, parameters)
    if missing:
        assert (code, message) == ("MissingParameter", f"The request must contain the parameter {missing}")
    else:
        assert code == "InvalidInstanceID.Malformed"


@pytest.mark.parametrize(
    ("parameters", "code", "text"),
    [
        ({"Attribute": "no-such", "Value": "x"}, "InvalidParameterValue", "Value (no-such) for parameter Attribute"),
        ({"Attribute": "", "Value": "x"}, "InvalidParameterValue", "for parameter Attribute"),
        ({"Attribute": "kernel", "Value": "aki-1"}, "UnsupportedOperation", "Attribute=kernel"),
        ({"Attribute": "rootDeviceName", "Value": "x"}, "UnsupportedOperation", "Attribute=rootDeviceName"),
        ({"Kernel.Value": "aki-1"}, "UnsupportedOperation", "parameter Kernel of ModifyInstanceAttribute"),
        ({"EbsOptimized.Value": "true"}, "UnsupportedOperation", "parameter EbsOptimized of"),
        ({"EnaSupport.Value": "false"}, "UnsupportedOperation", "parameter EnaSupport of"),
        ({"SriovNetSupport.Value": "simple"}, "UnsupportedOperation", "parameter SriovNetSupport of"),
        ({"Attribute": "disableApiStop", "Value": "maybe"}, "InvalidParameterValue", "Expected true or false"),
        ({"DisableApiStop.Value": "maybe"}, "InvalidParameterValue", "maybe"),
        (
            {"Attribute": "instanceInitiatedShutdownBehavior", "Value": "x"},
            "InvalidParameterValue",
            "stop or terminate",
        ),
        ({"InstanceInitiatedShutdownBehavior.Value": "x"}, "InvalidParameterValue", "stop or terminate"),
        ({"Attribute": "groupSet", "Value": "sg-00000000000000001"}, "InvalidParameterValue", "GroupId.N"),
        ({"Attribute": "blockDeviceMapping", "Value": DISK}, "InvalidParameterValue", "BlockDeviceMapping.N"),
    ],
)
async def test_a_value_that_makes_no_sense_is_refused(ec2, machine, parameters, code, text):
    found, message = await refused(ec2, machine, parameters)
    assert found == code
    assert text in message


@pytest.mark.parametrize(
    "parameters", [{"Attribute": "userData", "Value": encoded("x")}, {"InstanceType.Value": "big"}]
)
async def test_type_and_user_data_change_only_while_the_machine_is_stopped(ec2, machine, parameters):
    assert await refused(ec2, machine, parameters) == (
        "IncorrectInstanceState",
        f"The instance '{machine}' is not in the 'stopped' state. It is running.",
    )


@pytest.mark.parametrize("field", ["DisableApiStop", "DisableApiTermination", "SourceDestCheck"])
async def test_nothing_is_changed_on_what_has_ended(ec2, ours, machine, field):
    await ours.terminate_instances(InstanceIds=[machine])
    code, message = await refused(ec2, machine, {f"{field}.Value": "true"})
    assert code == "IncorrectInstanceState"
    assert message == (f"The instance '{machine}' is not in a state from which it can be changed. It is shutting-down.")


NOT_HERE = (
    "Your requested instance type ({}) is not supported in your requested Availability Zone (eu-1b). "
    "Please retry your request by choosing {}."
)


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("no-such", "InvalidInstanceAttributeValue", "Invalid value 'no-such' for InstanceType."),
        ("", "InvalidInstanceAttributeValue", "Invalid value '' for InstanceType."),
        (
            "nvidia-1080ti",
            "Unsupported",
            NOT_HERE.format("nvidia-1080ti", "eu-1a"),
        ),
        (
            "nvidia-1060",
            "Unsupported",
            NOT_HERE.format("nvidia-1060", "another instance type"),
        ),
        (
            "shallow",
            "InvalidParameterCombination",
            "shallow is too small: its disk has 99 GiB and the machine's 100.",
        ),
        (
            "arm",
            "InvalidParameterCombination",
            "The image debian-12 cannot be used: it is for x86_64 and the machine is arm64.",
        ),
        (
            "european",
            "InvalidParameterValue",
            "product: 'european' is not valid; expected one that is priced in USD, as the order is.",
        ),
    ],
)
async def test_a_type_that_the_machine_cannot_become_is_refused(ec2, stopped, name, code, text):
    assert await refused(ec2, stopped, {"InstanceType.Value": name}) == (code, text)


async def test_a_type_of_which_none_is_left_is_refused_and_its_place_is_free_once_it_is_given_up(ours, theirs, house):
    more = replace(CATALOGUE, products=[*CATALOGUE.products, *OTHERS[:1]])
    await house.administration.set_catalogue(more)
    ids = await ours.run(2)
    await house.seen(Power.RUNNING)
    await ours.stop_instances(InstanceIds=ids)
    await house.seen(Power.STOPPED)
    first, second = ids
    await ours.modify_instance_attribute(InstanceId=first, InstanceType={"Value": "big"})
    into_b = {"InstanceType": "big", "Placement": {"AvailabilityZone": "eu-1b"}}
    asked = {"InstanceId": second, "InstanceType": {"Value": "big"}}
    assert (await ours.refusal("modify_instance_attribute", **asked))[:2] == (500, "InsufficientInstanceCapacity")
    booking = {"ImageId": "debian-12", "MinCount": 1, "MaxCount": 1, **into_b}
    assert await theirs.code("run_instances", **booking) == "InsufficientInstanceCapacity"
    await ours.terminate_instances(InstanceIds=[first])
    await house.seen(Power.ABSENT, [1])
    await ours.modify_instance_attribute(**asked)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"UserData.Value": base64.b64encode(b"x" * (LIMIT_BYTES + 1)).decode()}, "InvalidParameterValue"),
        (
            {"Attribute": "userData", "Value": base64.b64encode(b"x" * (LIMIT_BYTES + 1)).decode()},
            "InvalidParameterValue",
        ),
        ({"Attribute": "userData", "Value": "!"}, "InvalidUserData.Malformed"),
        ({"Attribute": "userData", "Value": "AA AA"}, "InvalidUserData.Malformed"),
        ({"UserData.Value": "!"}, "InvalidParameterValue"),
    ],
)
async def test_user_data_that_is_too_long_or_no_base64_is_refused(ec2, stopped, parameters, code):
    assert (await refused(ec2, stopped, parameters))[0] == code


@pytest.mark.parametrize(
    ("groups", "code", "text"),
    [
        (["sg-0123456789abcdef0"], "InvalidGroup.NotFound", "The security group 'sg-0123456789abcdef0' does not exist"),
        (["web"], "InvalidGroupId.Malformed", 'Invalid id: "web" (expecting "sg-...")'),
        ([""], "InvalidGroupId.Malformed", 'Invalid id: "" (expecting "sg-...")'),
    ],
)
async def test_groups_that_are_not_there_are_refused(ec2, machine, groups, code, text):
    asked = {f"GroupId.{number}": group for number, group in enumerate(groups, 1)}
    assert await refused(ec2, machine, asked) == (code, text)


async def test_a_group_of_others_is_none_of_ours(ec2, theirs, machine):
    foreign = await with_group(theirs, "theirs")
    assert (await refused(ec2, machine, {"GroupId.1": foreign}))[0] == "InvalidGroup.NotFound"


async def test_a_machine_is_in_at_most_five_groups(ec2, ours, machine):
    groups = [await with_group(ours, f"g{number}") for number in range(6)]
    asked = {f"GroupId.{number}": group for number, group in enumerate(groups, 1)}
    code, _ = await refused(ec2, machine, asked)
    assert code == "SecurityGroupsPerInterfaceLimitExceeded"
    del asked["GroupId.6"]
    assert (await ec2.ask("ModifyInstanceAttribute", {"InstanceId": machine} | asked)).code == ""


@pytest.mark.parametrize("mapping", [{"DeviceName": "/dev/sdb"}, {"DeviceName": DISK, "NoDevice": ""}])
async def test_another_disk_than_the_one_it_has_is_refused(ec2, machine, mapping):
    asked = {f"BlockDeviceMapping.1.{name}": value for name, value in mapping.items()}
    code, message = await refused(ec2, machine, asked)
    assert code == "InvalidInstanceAttributeValue"
    assert "Machines here have /dev/sda1 only." in message


# --- what a type costs


async def test_a_machine_costs_its_new_price_from_its_next_hour_on(ours, house, stopped):
    (before,) = await house.machines()
    first, second, last = [before.launched_at + timedelta(hours=hours) for hours in (1.5, 2.5, 9.5)]
    assert billing.cost(before, first) == Decimal("0.02")
    house.clock.advance(first - house.clock.now())
    await ours.modify_instance_attribute(InstanceId=stopped, InstanceType={"Value": "big"})
    (after,) = await house.machines()
    assert [billing.cost(after, moment) for moment in (first, second, last)] == [
        Decimal("0.02"),
        Decimal("0.07"),
        Decimal("0.42"),
    ]


async def test_a_machine_that_becomes_another_and_comes_back_costs_what_each_did(ours, house, stopped):
    for name in ("wide", "plain"):
        await ours.modify_instance_attribute(InstanceId=stopped, InstanceType={"Value": name})
        house.clock.advance(timedelta(hours=1.5))
    (machine,) = await house.machines()
    # Its first hour had begun as a plain one, and its second as a wide one.
    assert billing.cost(machine, house.clock.now()) == Decimal("0.01") + Decimal("0.03") + Decimal("0.01")


async def test_a_machine_of_another_type_is_described_with_its_measures(ours, stopped):
    await ours.modify_instance_attribute(InstanceId=stopped, InstanceType={"Value": "big"})
    described = await ours.machine(stopped)
    assert (described["InstanceType"], described["CpuOptions"]["CoreCount"]) == ("big", 8)
    (rental,) = (await ours.describe_reserved_instances())["ReservedInstances"]
    assert (rental["InstanceType"], rental["UsagePrice"]) == ("big", 0.05)


# --- protection


@pytest.mark.parametrize(
    ("attribute", "verb"),
    [("disableApiTermination", "terminate_instances"), ("disableApiStop", "stop_instances")],
)
async def test_a_protected_machine_is_left_alone_until_that_is_switched_off(ours, house, machine, attribute, verb):
    field = attribute[0].upper() + attribute[1:]
    word = {"stop_instances": "stopped", "terminate_instances": "terminated"}[verb]
    (other,) = await ours.run()
    await house.seen(Power.RUNNING)
    await ours.modify_instance_attribute(InstanceId=machine, **{field: {"Value": True}})
    before = await house.machines()
    assert await ours.refusal(verb, InstanceIds=[other, machine]) == (
        400,
        "OperationNotPermitted",
        f"The instance '{machine}' may not be {word}. Modify its '{attribute}' instance attribute and try again.",
    )
    assert await house.machines() == before
    await ours.modify_instance_attribute(InstanceId=machine, **{field: {"Value": False}})
    await getattr(ours, verb)(InstanceIds=[other, machine])


async def test_a_machine_that_may_not_be_stopped_may_be_rebooted_and_terminated(ours, machine):
    await ours.modify_instance_attribute(InstanceId=machine, DisableApiStop={"Value": True})
    await ours.reboot_instances(InstanceIds=[machine])
    await ours.terminate_instances(InstanceIds=[machine])


async def test_protection_ends_nothing_that_the_machine_does_by_itself(ours, house, machine):
    await ours.modify_instance_attribute(InstanceId=machine, DisableApiStop={"Value": True})
    await house.seen(Power.STOPPED)
    assert (await ours.machine(machine))["State"]["Name"] == "stopped"


# --- the service by which a machine asks about itself

STANDARD = {
    "State": "applied",
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 1,
    "HttpEndpoint": "enabled",
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}


@pytest.mark.parametrize(
    "change",
    [
        {"HttpTokens": "required"},
        {"HttpPutResponseHopLimit": 64},
        {"HttpEndpoint": "disabled"},
        {"InstanceMetadataTags": "enabled"},
        {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        {"HttpProtocolIpv6": "disabled"},
        {},
    ],
)
async def test_metadata_options_are_changed_one_by_one_and_told(ours, machine, change):
    answer = await ours.modify_instance_metadata_options(InstanceId=machine, **change)
    assert answer["InstanceId"] == machine
    assert answer["InstanceMetadataOptions"] == STANDARD | change
    assert (await ours.machine(machine))["MetadataOptions"] == STANDARD | change


async def test_metadata_options_that_are_changed_at_once_are_all_changed(ours, machine):
    changes = [{"HttpTokens": "required"}, {"HttpPutResponseHopLimit": 9}, {"InstanceMetadataTags": "enabled"}]
    await asyncio.gather(*(ours.modify_instance_metadata_options(InstanceId=machine, **each) for each in changes))
    together = {name: value for change in changes for name, value in change.items()}
    assert (await ours.machine(machine))["MetadataOptions"] == STANDARD | together


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"HttpTokens": "maybe"}, "InvalidParameterValue"),
        ({"HttpEndpoint": ""}, "InvalidParameterValue"),
        ({"InstanceMetadataTags": "yes"}, "InvalidParameterValue"),
        ({"HttpPutResponseHopLimit": "0"}, "InvalidParameterValue"),
        ({"HttpPutResponseHopLimit": "65"}, "InvalidParameterValue"),
        ({"HttpPutResponseHopLimit": "-1"}, "InvalidParameterValue"),
        ({"HttpProtocolIpv6": "enabled"}, "UnsupportedOperation"),
        ({"InstanceId": NOBODY}, "InvalidInstanceID.NotFound"),
    ],
)
async def test_metadata_options_that_make_no_sense_are_refused_and_change_nothing(ec2, house, machine, change, code):
    before = await house.machines()
    asked = {"InstanceId": machine, "HttpTokens": "required"} | change
    assert (await ec2.ask("ModifyInstanceMetadataOptions", asked)).code == code
    assert await house.machines() == before


async def test_metadata_options_of_what_has_ended_are_not_changed(ours, machine):
    await ours.terminate_instances(InstanceIds=[machine])
    asked = {"InstanceId": machine, "HttpTokens": "required"}
    assert await ours.code("modify_instance_metadata_options", **asked) == "IncorrectInstanceState"


# --- watching


def watched(answer):
    return [(each["InstanceId"], each["Monitoring"]["State"]) for each in answer["InstanceMonitorings"]]


async def test_machines_are_watched_until_they_are_not(ours):
    ids = await ours.run(2)
    assert watched(await ours.monitor_instances(InstanceIds=ids)) == [(id_, "enabled") for id_ in ids]
    assert watched(await ours.monitor_instances(InstanceIds=ids[:1])) == [(ids[0], "enabled")]
    assert (await ours.machine(ids[0]))["Monitoring"] == {"State": "enabled"}
    assert watched(await ours.unmonitor_instances(InstanceIds=ids[1:])) == [(ids[1], "disabled")]
    assert [(await ours.machine(id_))["Monitoring"]["State"] for id_ in ids] == ["enabled", "disabled"]


@pytest.mark.parametrize("verb", ["monitor_instances", "unmonitor_instances"])
async def test_watching_is_for_all_or_none(ours, house, machine, verb):
    await ours.modify_instance_attribute(InstanceId=machine, SourceDestCheck={"Value": False})
    before = await house.machines()
    assert await ours.code(verb, InstanceIds=[machine, NOBODY]) == "InvalidInstanceID.NotFound"
    assert await house.machines() == before


@pytest.mark.parametrize("verb", ["monitor_instances", "unmonitor_instances"])
async def test_what_has_ended_is_not_watched(ours, machine, verb):
    await ours.terminate_instances(InstanceIds=[machine])
    assert await ours.code(verb, InstanceIds=[machine]) == "IncorrectInstanceState"


# --- the console


async def test_the_end_of_the_console_is_told_as_it_was_written(house, ours, machine):
    async def console(instance_id):
        return f"machine {instance_id}\r\nlogin: ".encode() + b"\xff"

    async with served(house, core=another_core(house, console=console)) as ec2:
        raw = await ec2.ask("GetConsoleOutput", {"InstanceId": machine, "Latest": "true"})
    assert base64.b64decode(raw.root.findtext("{*}output")) == b"machine 1\r\nlogin: \xff"


async def test_boto3_reads_the_console(house, machine):
    async def console(_):
        return "é\n".encode()

    async with served(house, core=another_core(house, console=console)) as ec2:
        told = await ec2.customer().get_console_output(InstanceId=machine)
    assert (told["InstanceId"], told["Output"], told["Timestamp"]) == (machine, "é\n", house.clock.now())


async def test_boto2_asks_for_the_console_as_of_a_list(ec2, machine):
    # Source: reference/ec2-wire-rules.md, More traps, 3.
    answer = await ec2.ask("GetConsoleOutput", {"InstanceId.1": machine})
    assert (answer.code, answer.root.findtext("{*}instanceId")) == ("", machine)


async def screenless(_):
    raise DriverError(DriverCode.UNSUPPORTED, "Simulated machines have no screen.")


async def test_boto3_reads_the_screen(ours, machine):
    told = await ours.get_console_screenshot(InstanceId=machine, WakeUp=True)
    assert told["InstanceId"] == machine
    assert base64.b64decode(told["ImageData"]).startswith(b"\x89PNG")


async def test_a_machine_that_is_not_up_has_no_picture(house, ours, machine):
    await ours.stop_instances(InstanceIds=[machine])
    await house.seen(Power.STOPPED)
    async with served(house, core=another_core(house)) as ec2:
        answer = await ec2.ask("GetConsoleScreenshot", {"InstanceId": machine})
    assert answer.code == "IncorrectInstanceState"
    assert "from which it can be shown. It is stopped." in answer.message


async def test_where_machines_have_no_screens_the_picture_is_refused_for_good(house, machine):
    async with served(house, core=another_core(house, screen=screenless)) as ec2:
        answer = await ec2.ask("GetConsoleScreenshot", {"InstanceId": machine})
    assert (answer.code, answer.message) == ("UnsupportedOperation", "Simulated machines have no screen.")
    assert answer.status == 400


# --- credits and firmware, of which there are none


@pytest.mark.parametrize("asked", [{}, {"MaxResults": 5}, {"Filters": [{"Name": "instance-id", "Values": ["*"]}]}])
async def test_no_machine_has_credits(ours, machine, asked):
    told = await ours.describe_instance_credit_specifications(**asked)
    assert told["InstanceCreditSpecifications"] == []
    told = await ours.describe_instance_credit_specifications(InstanceIds=[machine])
    assert told["InstanceCreditSpecifications"] == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"InstanceIds": [NOBODY]}, "InvalidInstanceID.NotFound"),
        ({"InstanceIds": ["i-x"]}, "InvalidInstanceID.Malformed"),
        ({"InstanceIds": ["1"], "MaxResults": 5}, "InvalidParameterCombination"),
        ({"NextToken": "x"}, "InvalidNextToken"),
        ({"Filters": [{"Name": "no-such", "Values": ["x"]}]}, "InvalidParameterValue"),
    ],
)
async def test_a_question_about_credits_that_makes_no_sense_is_refused(ours, machine, asked, code):
    assert await ours.code("describe_instance_credit_specifications", **asked) == code


@pytest.mark.parametrize(
    ("id_", "code"),
    [
        ("i-00000000000000001", "UnsupportedOperation"),
        # Terraform asks so. Source: reference/ec2-client-sequences.md.
        ("ami-00000000000000001", "UnsupportedOperation"),
        (NOBODY, "InvalidInstanceID.NotFound"),
        ("x", "InvalidInstanceID.Malformed"),
    ],
)
async def test_uefi_data_is_refused_by_name(ours, machine, id_, code):
    assert (await ours.refusal("get_instance_uefi_data", InstanceId=id_))[:2] == (400, code)
