"""The disks of machines as volumes, and those that were kept."""

from dataclasses import replace

import pytest

from core.disks import KeptDisk
from core.ids import ImageId, InstanceId, ZoneId
from core.instances import Power

MACHINE, ROOT, KEPT, NOWHERE = "i-00000000000000001", "vol-00000000000000001", "vol-00000000000000063", "vol-12345678"


@pytest.fixture
async def machine(ours):
    [machine] = await ours.run()
    return machine


@pytest.fixture
async def kept(house, machine):
    """A disk of 50 GiB that has outlived its machine."""
    disk = KeptDisk(InstanceId(99), house.ours.account.id, ZoneId(1), ImageId(1), 50, house.clock.now())
    await house.store.transact(lambda tx: tx.put(disk))


async def volumes(customer, **asked):
    return (await customer.describe_volumes(**asked))["Volumes"]


def only(name, *values):
    return {"Filters": [{"Name": name, "Values": [*values]}]}


async def test_a_machine_has_a_volume_of_its_size(ours, machine):
    [shown] = await volumes(ours)
    [mapping] = (await ours.machine(machine))["BlockDeviceMappings"]
    [attachment] = shown["Attachments"]
    assert (shown["VolumeId"], shown["Size"], shown["State"]) == (ROOT, 100, "in-use")
    assert (shown["AvailabilityZone"], shown["Encrypted"], shown["SnapshotId"]) == ("eu-1b", False, "")
    assert mapping["Ebs"]["VolumeId"] == ROOT
    assert (attachment["InstanceId"], attachment["Device"]) == (machine, mapping["DeviceName"])
    assert attachment["DeleteOnTermination"] is mapping["Ebs"]["DeleteOnTermination"] is True
    assert (attachment["State"], attachment["VolumeId"]) == ("attached", ROOT)


async def test_a_volume_says_whether_it_ends_with_its_machine(ours, house, machine):
    await house.core.machines.set_options(
        house.caller(), InstanceId(1), lambda options: replace(options, keeps_disk=True)
    )
    [shown] = await volumes(ours)
    assert shown["Attachments"][0]["DeleteOnTermination"] is False


async def test_a_volume_goes_with_its_machine(ours, house, machine):
    await ours.terminate_instances(InstanceIds=[machine])
    assert [each["VolumeId"] for each in await volumes(ours)] == [ROOT]
    await house.seen(Power.ABSENT)
    assert await volumes(ours) == []
    assert await ours.code("describe_volumes", VolumeIds=[ROOT]) == "InvalidVolume.NotFound"


async def test_a_kept_disk_is_available(ours, kept):
    [shown] = await volumes(ours, VolumeIds=[KEPT])
    assert (shown["State"], shown["Size"], shown["Attachments"]) == ("available", 50, [])


async def test_a_kept_disk_is_deleted_and_then_unknown(ours, house, kept):
    house.woken.clear()
    await ours.delete_volume(VolumeId=KEPT)
    assert house.woken == [99]
    assert await ours.code("delete_volume", VolumeId=KEPT) == "InvalidVolume.NotFound"
    assert await ours.code("describe_volumes", VolumeIds=[KEPT]) == "InvalidVolume.NotFound"
    assert [each["VolumeId"] for each in await volumes(ours)] == [ROOT]


async def test_the_disk_of_a_machine_is_not_deleted(ours, machine):
    assert await ours.code("delete_volume", VolumeId=ROOT) == "VolumeInUse"
    assert len(await volumes(ours)) == 1


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("describe_volumes", "VolumeIds"),
        ("describe_volume_status", "VolumeIds"),
        ("delete_volume", "VolumeId"),
        ("describe_volume_attribute", "VolumeId"),
    ],
)
async def test_volumes_of_others_and_of_nobody_are_unknown(ours, theirs, kept, operation, asked):
    more = {"Attribute": "autoEnableIO"} if operation == "describe_volume_attribute" else {}

    def named(text):
        return more | {asked: [text] if asked == "VolumeIds" else text}

    for text in (ROOT, KEPT):
        assert await theirs.code(operation, **named(text)) == "InvalidVolume.NotFound"
    assert await ours.code(operation, **named(NOWHERE)) == "InvalidVolume.NotFound"
    assert await ours.code(operation, **named("vol-x")) == "InvalidVolumeID.Malformed"
    assert await volumes(theirs) == []


async def test_every_filter_finds_the_volume(ours, kept):
    await ours.create_tags(Resources=[ROOT], Tags=[{"Key": "a", "Value": "b"}])
    [root, _] = await volumes(ours)
    moment = root["CreateTime"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
    for name, value in {
        "attachment.attach-time": moment,
        "attachment.delete-on-termination": "true",
        "attachment.device": "/dev/sda1",
        "attachment.instance-id": MACHINE,
        "attachment.status": "attached",
        "availability-zone": "eu-1b",
        "availability-zone-id": "eu-1b",
        "size": "100",
        "status": "in-use",
        "volume-id": ROOT,
        "tag:a": "b",
        "tag-key": "a",
    }.items():
        assert await volumes(ours, **only(name, value)) == [root], name
        assert await volumes(ours, **only(name, "no-such")) == [], name
    for name, value in {
        "create-time": moment,
        "encrypted": "false",
        "multi-attach-enabled": "false",
        "volume-type": "standard",
    }.items():
        assert len(await volumes(ours, **only(name, value))) == 2, name
    for name in ("fast-restored", "operator.managed", "snapshot-id"):
        assert await volumes(ours, **only(name, "*")) == []
    assert await ours.code("describe_volumes", **only("no-such", "x")) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("operation", "shown"), [("describe_volumes", "Volumes"), ("describe_volume_status", "VolumeStatuses")]
)
async def test_volumes_come_in_pages_of_five_to_a_thousand_and_not_together_with_ids(ours, kept, operation, shown):
    await ours.run(5)
    pages = await ours.pages(operation, PaginationConfig={"PageSize": 5})
    assert [len(page[shown]) for page in pages] == [5, 2]
    assert pages[1][shown][1]["VolumeId"] == KEPT
    assert await ours.code(operation, MaxResults=4) == "InvalidParameterValue"
    assert len((await getattr(ours, operation)(MaxResults=5000))[shown]) == 7
    assert await ours.code(operation, VolumeIds=[ROOT], MaxResults=5) == "InvalidParameterCombination"


async def test_every_volume_is_well(ours, kept):
    statuses = (await ours.describe_volume_status())["VolumeStatuses"]
    assert [(each["VolumeId"], each["VolumeStatus"]["Status"]) for each in statuses] == [(ROOT, "ok"), (KEPT, "ok")]
    assert [[each["InstanceId"] for each in status["AttachmentStatuses"]] for status in statuses] == [[MACHINE], []]


async def test_every_filter_of_the_status_finds_the_volume(ours, kept):
    for name, value in {
        "attachment-status.instance-id": MACHINE,
        "attachment-status.io-performance": "not-applicable",
        "availability-zone": "eu-1b",
    }.items():
        found = (await ours.describe_volume_status(**only(name, value)))["VolumeStatuses"]
        assert [each["VolumeId"] for each in found] == [ROOT], name
    for name, value in {
        "volume-status.details-name": "io-enabled",
        "volume-status.details-status": "passed",
        "volume-status.status": "ok",
    }.items():
        assert len((await ours.describe_volume_status(**only(name, value)))["VolumeStatuses"]) == 2, name
    for name in ("action.code", "event.event-id"):
        assert (await ours.describe_volume_status(**only(name, "*")))["VolumeStatuses"] == []


@pytest.mark.parametrize(
    ("attribute", "member", "value"),
    [("autoEnableIO", "AutoEnableIO", {"Value": False}), ("productCodes", "ProductCodes", [])],
)
async def test_an_attribute_of_a_volume_is_told(ours, kept, attribute, member, value):
    told = await ours.describe_volume_attribute(VolumeId=KEPT, Attribute=attribute)
    assert (told["VolumeId"], told[member]) == (KEPT, value)


async def test_no_other_attribute_of_a_volume_is_told(ours, kept):
    code = await ours.code("describe_volume_attribute", VolumeId=KEPT, Attribute="no-such")
    assert code == "InvalidParameterValue"


@pytest.mark.parametrize("action", ["CreateVolume", "AttachVolume", "DetachVolume", "ModifyVolume"])
async def test_volumes_of_ones_own_are_refused_by_name(ec2, action):
    answer = await ec2.ask(action)
    assert (answer.code, answer.message) == ("UnsupportedOperation", f"The action {action} is not supported here.")
