"""GigeNET's dialect on a real socket, to clients that are known to speak it, and what both dialects take of its own."""

import asyncio
import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.ids import InstanceId
from core.instances import Power, State
from protocols.ec2.dialects import GIGENET
from protocols.ec2.settings import Ec2Settings
from tests.clocks import ManualClock
from tests.fleetfixture import open_house
from tests.protocols.ec2.gigenet_stage import CATALOGUE, DIALECTS, boto2, go, php, served_twice, set_stage
from tests.protocols.ec2.served import instance_ids, served, set_botocores_clock
from tests.protocols.ec2.stage import PUBLIC_KEY

FIRST = "i-00000000000000001"


@pytest.fixture
async def stage(house, monkeypatch):
    set_botocores_clock(monkeypatch, house)
    await set_stage(house)
    return house


@pytest.fixture
async def gigenet(stage):
    async with served(stage, dialect="gigenet") as ec2:
        yield ec2


@pytest.fixture(params=DIALECTS)
async def either(request, stage):
    async with served(stage, dialect=request.param) as ec2:
        yield ec2


async def rows(house):
    return {each.id: each for each in await house.machines()}


# --- the Ansible module

# What the module does for state: present and wait_for, as it is written there.
ANSIBLE = """
zone, image, private_ip = "ord1", "centos64_6.4", True
assert any(each.name == image for each in conn.get_all_images())
assert any(each.name == zone for each in conn.get_all_zones())
booked = conn.run_instances(image_id=image, instance_type="gcl.1", placement=zone, private_ip_address=private_ip)
id = booked.instances[0].id
told = {"instance_id": id, "ip_address": booked.instances[0].publicIpAddress, "password": conn.get_password_data(id)}
conn.create_tags([id], {"DemoVM": ""})
codes = []
for _ in range(200):
    codes.append(conn.get_all_instance_status(id)[0].state_code)
    if codes[-1] == 0:
        break
    time.sleep(0.02)
conn.modify_instance_attribute(instance_id=int(id), attribute="Hostname", value="demo")
conn.reboot_instances(instance_ids=[int(id)])
conn.stop_instances(instance_ids=[int(id)])
conn.terminate_instances(instance_ids=[int(id)])
print(json.dumps({**told, "codes": codes}))
"""


async def test_the_ansible_module_books_waits_and_ends_a_machine(tmp_path):
    async with open_house(tmp_path, ManualClock(datetime.now(UTC))) as house:
        await house.administration.set_catalogue(CATALOGUE)
        async with served(house, dialect="gigenet") as ec2:
            module = await boto2(ec2, ANSIBLE)
            while not any(exchange.action == "DescribeInstanceStatus" for exchange, _ in ec2.records):
                assert module.returncode is None, await module.stderr.read()
                await asyncio.sleep(0.005)  # for the module is a process of its own
            await house.seen(Power.RUNNING)
            printed, complaints = await module.communicate()
            assert module.returncode == 0, complaints.decode()
        [machine] = await house.machines()
    told = json.loads(printed)
    assert told["instance_id"] == "1"
    assert told["ip_address"] == ""
    assert re.fullmatch(r"\w{20}", told["password"])
    assert told["codes"][0] != 0
    assert told["codes"][-1] == 0
    assert (machine.hostname, machine.term_hours, machine.has_ended) == ("demo", 730, True)


@pytest.mark.parametrize("state", State)
def test_only_a_machine_that_runs_has_the_code_that_the_ansible_module_waits_for(state):
    told = GIGENET.rewrites["InstanceState"]({"Code": 0 if state is State.PENDING else 16, "Name": state.value})
    assert (told["Code"] == 0) == (state is State.RUNNING)


# --- the Go client


async def test_the_go_client_reads_what_it_has_types_for(gigenet):
    await go(
        gigenet, "RunInstances", "ImageId=centos64_6.4&InstanceType=gcl.1&MinCount=1&Placement_AvailabilityZone=ord1"
    )
    root = (await go(gigenet, "DescribeInstances")).root
    assert root.tag == "DescribeInstancesResponse"
    for reservation in root.iterfind("reservationSet/item"):
        assert int(reservation.findtext("ownerId")) == gigenet.house.ours.account.id
        for machine in reservation.iterfind("instancesSet/item"):
            assert datetime.fromisoformat(machine.findtext("launchTime")) == gigenet.house.clock.now()
            assert int(machine.findtext("instanceId")) > 0
            assert machine.findtext("publicIpAddress") is not None
            int(machine.findtext("state/code"))
    for size in (await go(gigenet, "DescribeInstanceTypes")).root.iterfind("instanceTypeSet/item"):
        assert all(int(size.findtext(name)) for name in ("cores", "memory", "disk"))
    [zone, closed] = (await go(gigenet, "DescribeAvailabilityZones")).root.iterfind("availabilityZoneInfo/item")
    assert zone.findtext("zoneName") == "ord1"
    assert closed.findtext("messageSet/message") == "The zone takes no new bookings."


async def test_the_go_client_opens_a_session_that_opens_the_door(gigenet):
    root = (await go(gigenet, "GetSessionToken", "DurationSeconds=900")).root
    [credentials] = root.iterfind("GetSessionTokenResult/Credentials/item")
    assert datetime.fromisoformat(credentials.findtext("Expiration")) == gigenet.house.clock.now() + timedelta(
        minutes=15
    )
    answer = await gigenet.ask(
        "DescribeInstances",
        how="v2-get",
        access_key=credentials.findtext("AccessKeyId"),
        secret=credentials.findtext("SecretAccessKey"),
        token=credentials.findtext("SessionToken"),
    )
    assert answer.status == 200


async def test_the_go_client_is_told_why_it_is_refused(gigenet):
    answer = await go(gigenet, "StartInstances", "InstanceId.1=77")
    assert (answer.status, answer.code) == (400, "InvalidInstanceID.NotFound")
    assert answer.message == "The instance ID '77' does not exist"


# --- the printed PHP


async def test_the_printed_php_sees_what_the_go_client_sees(gigenet):
    printed, other = (
        await php(gigenet, "DescribeInstances", "&InstanceId.1=1"),
        await go(gigenet, "DescribeInstances", "InstanceId.1=1"),
    )
    assert printed.status == 200
    without_id = re.compile(rb"<RequestID>.*?</RequestID>")
    assert without_id.sub(b"", printed.body) == without_id.sub(b"", other.body)


async def test_the_printed_php_asks_for_the_tags_of_one_machine(gigenet):
    await go(gigenet, "CreateTags", "ResourceId.1=2&Tag.1.Key=other&Tag.1.Value=")
    told = (await php(gigenet, "DescribeTags", "&ResourceId.1=1")).root
    assert [(each.findtext("resourceId"), each.findtext("key")) for each in told.iterfind("tagSet/item")] == [
        ("1", "testtag")
    ]
    assert (await php(gigenet, "DescribeTags", "&ResourceId.1=77")).code == "InvalidInstanceID.NotFound"


# --- boto 2, as every sample on GigeNET's pages has it

BOTO2 = """
def told(call, *args, **kwargs):
    answer = getattr(conn, call)(*args, **kwargs)
    assert answer is not False, call
    return answer

told("get_instance_attribute", "2", "instanceType")
assert told("get_all_instance_status", instance_ids=["2"])[0].id == "2"
assert [each.name for each in told("get_all_instance_types")] == ["gcl.1", "gcl.2", "gcl.max.8"]
assert len(told("get_all_instances")) == 2
[machine] = told("get_only_instances", ["2"])
assert (machine.id, machine.image_id, machine.placement) == ("2", "ubuntu64_14.04.1", "ord1")
assert {each.id for each in told("get_all_reserved_instances")} == {"1", "2"}
assert len(told("get_password_data", "2")) == 20
told("modify_instance_attribute", "2", "instanceType", "gcl.max.8")
told("modify_instance_attribute", "2", "password", "this-is-ignored")
told("modify_instance_attribute", "2", "hostname", "new-hostname")
told("reset_instance_attribute", "2", "operatingSystem")
told("start_instances", instance_ids=["2"])
told("reboot_instances", instance_ids=["1"])
told("stop_instances", instance_ids=["1"])
told("run_instances", "centos64_6.4", instance_type="gcl.1")
address = told("allocate_address", domain="ord1")
assert address.domain == "ord1"
told("associate_address", instance_id="2", public_ip=address.public_ip)
[bound] = told("get_all_addresses", [address.public_ip])
assert bound.instance_id == "2"
told("disassociate_address", public_ip=address.public_ip)
told("release_address", public_ip=address.public_ip)
assert told("get_image_attribute", image_id="ubuntu64_14.04.1", attribute="description").value.startswith("Ubuntu")
assert told("get_image", "ubuntu64_14.04.1").name == "ubuntu64_14.04.1"
assert [each.name for each in told("get_all_zones", zones=["ord1"])] == ["ord1"]
assert [each.name for each in told("get_all_regions")] == ["ord1", "lax1"]
assert "PRIVATE KEY" in told("create_key_pair", "ssh-key-name").material
assert [each.name for each in told("get_all_key_pairs", ["ssh-key-name"])] == ["ssh-key-name"]
told("delete_key_pair", "ssh-key-name")
told("import_key_pair", "ssh-key-name", PUBLIC_KEY.encode())
told("create_tags", ["2"], {"MyTag": "value-is-ignored"})
assert [(each.name, each.res_id) for each in told("get_all_tags", {"resource-id": ["2"]})] == [("MyTag", "2"), ("testtag", "2")]
told("delete_tags", ["2"], {"MyTag": "value-is-ignored"})
told("terminate_instances", instance_ids=["2"])
"""


async def test_every_printed_sample_of_boto_2_works(tmp_path):
    async with open_house(tmp_path, ManualClock(datetime.now(UTC))) as house:
        await set_stage(house)
        async with served(house, dialect="gigenet") as ec2:
            samples = await boto2(ec2, f"PUBLIC_KEY = {PUBLIC_KEY!r}\n{BOTO2}")
            _, complaints = await samples.communicate()
    assert samples.returncode == 0, complaints.decode()


# --- AWS's SDKs, which GigeNET says work with it


async def test_boto3_works_with_the_dialect(gigenet):
    ours = gigenet.customer()
    [booked] = instance_ids(
        [await ours.run_instances(ImageId="centos64_6.4", InstanceType="gcl.1", MinCount=1, MaxCount=1)]
    )
    machine = await ours.machine(booked)
    assert (machine["InstanceId"], machine["ImageId"], machine["State"]) == (
        booked,
        "centos64_6.4",
        {"Code": 4, "Name": "pending"},
    )
    [image] = (await ours.describe_images(ImageIds=["centos64_6.4"]))["Images"]
    assert image["ImageId"] == image["Name"] == "centos64_6.4"
    assert await ours.code("stop_instances", InstanceIds=[booked]) == "IncorrectInstanceState"
    sts = gigenet.customer(service="sts")
    assert set((await sts.get_session_token())["Credentials"]) == {
        "AccessKeyId",
        "SecretAccessKey",
        "SessionToken",
        "Expiration",
    }


async def test_boto3_waits_until_a_machine_is_stopped_and_gone(gigenet):
    ours = gigenet.customer()
    await ours.wait_until("instance_stopped", InstanceIds=["2"])
    await ours.terminate_instances(InstanceIds=["2"])
    await gigenet.house.seen(Power.ABSENT, [2])
    await ours.wait_until("instance_terminated", InstanceIds=["2"])


# --- refusals

REFUSED = {
    "an unknown key": ("DescribeInstances", {}, {"access_key": "AKIDNOBODY"}, 401, "AuthFailure"),
    "an unknown key of STS": ("GetSessionToken", {}, {"access_key": "AKIDNOBODY"}, 401, "AuthFailure"),
    "a wrong secret of STS": ("GetSessionToken", {}, {"secret": "wrong"}, 401, "AuthFailure"),
    "a duration of STS": ("GetSessionToken", {"DurationSeconds": "1"}, {}, 400, "InvalidParameterValue"),
    "a dry run": ("DescribeInstances", {"DryRun": "true"}, {}, 400, "DryRunOperation"),
    "no capacity": (
        "RunInstances",
        {"ImageId": "centos64_6.4", "InstanceType": "gcl.1", "MinCount": "99", "MaxCount": "99"},
        {},
        500,
        "InsufficientInstanceCapacity",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_has_one_of_the_documented_statuses_and_the_one_form(gigenet, case):
    action, parameters, options, status, code = REFUSED[case]
    answer = await gigenet.ask(action, parameters, **options)
    assert (answer.status, answer.code) == (status, code)


async def test_a_request_that_is_not_signed_is_refused_with_a_documented_status(gigenet):
    answer = await gigenet.send("GET", "/?Action=DescribeInstances")
    assert (answer.status, answer.code) == (401, "MissingAuthenticationToken")


# --- what a request leaves out


async def test_a_booking_is_of_one_machine_by_the_month_unless_it_says_otherwise(gigenet):
    plain = "ImageId=centos64_6.4&InstanceType=gcl.1"
    assert (await go(gigenet, "RunInstances", plain)).status == 200
    assert (await go(gigenet, "RunInstances", f"{plain}&BillingTerm=1&MaxCount=2")).status == 200
    assert [row.term_hours for row in (await rows(gigenet.house)).values()][2:] == [730, 1, 1]


async def test_the_other_dialect_rents_by_the_hour_and_wants_counts(stage):
    async with served(stage) as aws:
        parameters = {"ImageId": "centos64_6.4", "InstanceType": "gcl.1"}
        assert (await aws.ask("RunInstances", parameters)).code == "MissingParameter"
        counted = parameters | {"MinCount": "1", "MaxCount": "1"}
        assert (await aws.ask("RunInstances", counted)).status == 200
        assert (await aws.ask("RunInstances", counted | {"BillingTerm": "2190"})).status == 200
        assert (await aws.ask("RunInstances", counted | {"BillingTerm": "24"})).code == "InvalidParameterValue"
    assert [row.term_hours for row in (await rows(stage)).values()][2:] == [1, 2190]


async def test_each_interface_with_a_public_address_is_one_more(gigenet):
    query = {"ImageId": "centos64_6.4", "InstanceType": "gcl.1", "PrivateIpAddress": "True"}
    wanted = {
        f"NetworkInterface.{index}.AssociatePublicIpAddress": word
        for index, word in ((1, "true"), (2, "false"), (3, "true"))
    }
    answer = await go(gigenet, "RunInstances", urlencode(query | wanted))
    [booked] = answer.root.iterfind("instancesSet/item")
    assert booked.findtext("publicIpAddress") == "203.0.113.3"
    bound = (await go(gigenet, "DescribeAddresses", "Filter.1.Name=instance-id&Filter.1.Value.1=3")).root
    assert [each.text for each in bound.iterfind("addressesSet/item/publicIp")] == ["203.0.113.3", "203.0.113.4"]


# --- ids and words, in both spellings

FILTERED = [
    ("DescribeInstances", "instance-id", "1", 1),
    ("DescribeInstances", "instance-id", FIRST, 1),
    ("DescribeInstances", "image-id", "ubuntu64_14.04.1", 2),
    ("DescribeInstances", "image-id", "ami-00000000000000003", 2),
    ("DescribeInstances", "instance-state-name", "running", 1),
    ("DescribeImages", "image-id", "ubuntu64_14.04.1", 1),
    ("DescribeImages", "image-id", "ami-00000000000000003", 1),
    ("DescribeTags", "resource-id", "1", 1),
    ("DescribeTags", "resource-id", FIRST, 1),
    ("DescribeAddresses", "instance-id", "1", 2),
    ("DescribeAddresses", "instance-id", FIRST, 2),
    ("DescribeAddresses", "domain", "ord1", 3),
    ("DescribeReservedInstances", "reserved-instances-id", "1", 1),
    ("DescribeReservedInstances", "reserved-instances-id", FIRST, 1),
    ("DescribeReservedInstances", "state", "active", 2),
]


@pytest.mark.parametrize(("action", "name", "value", "count"), FILTERED)
async def test_a_filter_takes_both_spellings_in_both_dialects(either, action, name, value, count):
    answer = await either.ask(action, {"Filter.1.Name": name, "Filter.1.Value.1": value})
    found = list(answer.root.iterfind("{*}*/{*}item"))
    assert len(found) == count, answer.body


@pytest.mark.parametrize(
    ("name", "value", "ids"),
    [("instance-state-name", "on", ["1"]), ("instance-state-code", "0", ["1"]), ("instance-state-code", "80", ["2"])],
)
async def test_a_filter_on_the_state_takes_the_words_that_are_told(gigenet, name, value, ids):
    answer = await go(gigenet, "DescribeInstances", urlencode({"Filter.1.Name": name, "Filter.1.Value.1": value}))
    assert [each.text for each in answer.root.iterfind(".//instancesSet/item/instanceId")] == ids


@pytest.mark.parametrize("spelling", ["1", FIRST])
async def test_an_instance_is_called_either_way_in_both_dialects(either, spelling):
    assert (await either.ask("DescribeInstances", {"InstanceId.1": spelling})).status == 200
    assert (
        await either.ask("CreateTags", {"ResourceId.1": spelling, "Tag.1.Key": "k", "Tag.1.Value": "v"})
    ).status == 200


@pytest.mark.parametrize("spelling", ["ubuntu64_14.04.1", "ami-00000000000000003"])
async def test_an_image_is_called_either_way_in_both_dialects(either, spelling):
    assert (await either.ask("DescribeImageAttribute", {"ImageId": spelling, "Attribute": "description"})).status == 200
    assert (
        await either.ask("CreateTags", {"ResourceId.1": spelling, "Tag.1.Key": "k", "Tag.1.Value": "v"})
    ).status == 200
    told = (await either.ask("DescribeTags", {"Filter.1.Name": "resource-type", "Filter.1.Value.1": "image"})).root
    is_gigenet = either.front_end.settings.dialect == "gigenet"
    assert told.findtext(".//{*}resourceId") == ("ubuntu64_14.04.1" if is_gigenet else "ami-00000000000000003")


# --- pending work


async def events(ec2):
    answer = await go(ec2, "DescribeInstanceStatus", "InstanceId=1")
    return [each.text for each in answer.root.iterfind(".//eventsSet/item/code")]


@pytest.mark.parametrize(
    ("action", "query", "expected"),
    [
        ("ModifyInstanceAttribute", "InstanceId=1&Hostname_Value=new-hostname", ["instance-modify"]),
        ("ResetInstanceAttribute", "InstanceId=1&Attribute=networkConfig", ["instance-modify"]),
        ("ResetInstanceAttribute", "InstanceId=1&Attribute=operatingSystem", ["instance-reinstall"]),
        ("RebootInstances", "InstanceId.1=1", ["instance-reboot"]),
        ("StopInstances", "InstanceId.1=1", ["instance-stop"]),
        ("TerminateInstances", "InstanceId.1=1", ["instance-terminate"]),
    ],
)
async def test_what_is_being_done_to_a_machine_is_an_event(gigenet, action, query, expected):
    await settle(gigenet.house)
    assert await events(gigenet) == []
    assert (await go(gigenet, action, query)).status == 200
    assert await events(gigenet) == expected


async def settle(house):
    """Let the driver have taken over every change."""
    for machine in await house.machines():
        done = replace(machine, applied=machine.version, built=machine.generation)
        await house.store.transact(lambda tx, done=done: tx.put(done))


# --- attributes


async def test_a_hostname_is_set_told_and_reset(either):
    assert (
        await either.ask("ModifyInstanceAttribute", {"InstanceId": "1", "Hostname.Value": "web.example"})
    ).status == 200
    assert await attribute(either, "hostname") == "web.example"
    assert (
        await either.ask("ModifyInstanceAttribute", {"InstanceId": "1", "Attribute": "hostname", "Value": "db"})
    ).status == 200
    assert await attribute(either, "hostname") == "db"
    assert (await either.ask("ResetInstanceAttribute", {"InstanceId": "1", "Attribute": "hostname"})).status == 200
    assert await attribute(either, "hostname") == "m1"


async def attribute(ec2, name):
    answer = await ec2.ask("DescribeInstanceAttribute", {"InstanceId": "1", "Attribute": name})
    return answer.root.findtext(f"{{*}}{name}/{{*}}value")


@pytest.mark.parametrize("text", ["", "-web", "web-", "a b", "a\nb", "web.", "ä", "x" * 64, "a" + ".a" * 127])
async def test_what_is_no_host_name_is_refused(either, text):
    answer = await either.ask("ModifyInstanceAttribute", {"InstanceId": "1", "Hostname.Value": text})
    assert answer.code == "InvalidParameterValue"


@pytest.mark.parametrize("spelling", ["centos64_6.4", "ami-00000000000000004"])
async def test_another_operating_system_is_installed(either, spelling):
    asked = {"InstanceId": "1", "OperatingSystem_Value": spelling}
    assert (await either.ask("ModifyInstanceAttribute", asked)).status == 200
    assert await attribute(either, "operatingSystem") == "centos64_6.4"
    assert (await rows(either.house))[1].generation == 1


async def test_a_reset_operating_system_is_installed_anew(either):
    assert (
        await either.ask("ResetInstanceAttribute", {"InstanceId": "1", "Attribute": "operatingSystem"})
    ).status == 200
    assert await attribute(either, "operatingSystem") == "ubuntu64_14.04.1"
    assert (await rows(either.house))[1].generation == 1


async def test_a_reset_type_is_the_one_that_was_booked(either):
    assert (
        await either.ask("ModifyInstanceAttribute", {"InstanceId": "2", "InstanceType_Value": "gcl.max.8"})
    ).status == 200
    too_small = await either.ask("ResetInstanceAttribute", {"InstanceId": "2", "Attribute": "instanceType"})
    assert (too_small.code, too_small.message) == (
        "InvalidParameterCombination",
        "gcl.2 is too small: its disk has 60 GiB and the machine's 180.",
    )


async def test_the_source_check_is_reset(either):
    await either.ask("ModifyInstanceAttribute", {"InstanceId": "1", "SourceDestCheck.Value": "false"})
    assert await attribute(either, "sourceDestCheck") == "false"
    assert (
        await either.ask("ResetInstanceAttribute", {"InstanceId": "1", "Attribute": "sourceDestCheck"})
    ).status == 200
    assert await attribute(either, "sourceDestCheck") == "true"


@pytest.mark.parametrize(
    ("name", "code"),
    [("kernel", "UnsupportedOperation"), ("ramdisk", "UnsupportedOperation"), ("color", "InvalidParameterValue")],
)
async def test_what_cannot_be_reset_is_refused_by_name(either, name, code):
    answer = await either.ask("ResetInstanceAttribute", {"InstanceId": "1", "Attribute": name})
    assert answer.code == code
    assert name in answer.message


# --- passwords


async def test_a_password_is_told_and_a_new_one_is_made_for_any_value(gigenet):
    first = await password(gigenet)
    assert re.fullmatch(r"\w{20}", first)
    assert (await go(gigenet, "ModifyInstanceAttribute", "InstanceId=1&Password_Value=this-is-ignored")).status == 200
    second = await password(gigenet)
    assert (await go(gigenet, "ResetInstanceAttribute", "InstanceId=1&Attribute=password")).status == 200
    assert len({first, second, await password(gigenet), "this-is-ignored"}) == 4


async def password(ec2, number=1):
    return (await ec2.ask("GetPasswordData", {"InstanceId": str(number)})).root.findtext("{*}passwordData")


async def test_a_password_is_kept_from_those_who_do_not_rent_the_machine(gigenet):
    answer = await gigenet.ask("GetPasswordData", {"InstanceId": "1"}, holder=gigenet.house.theirs)
    assert answer.code == "InvalidInstanceID.NotFound"


async def test_to_aws_clients_a_password_is_encrypted_for_the_key_pair(stage):
    async with served_twice(stage, Ec2Settings("/"), Ec2Settings("/gigenet/", dialect="gigenet")) as ec2:
        ours = ec2.customer()
        pem = (await ours.create_key_pair(KeyName="rsa"))["KeyMaterial"]
        query = "ImageId=centos64_6.4&InstanceType=gcl.1&KeyName=rsa"
        assert (await go(ec2, "RunInstances", query, path="/gigenet/")).status == 200
        plain = (await go(ec2, "GetPasswordData", "InstanceId=3", path="/gigenet/")).root.findtext("passwordData")
        told = await ours.get_password_data(InstanceId="i-00000000000000003")
    key = load_pem_private_key(pem.encode(), None)
    assert key.decrypt(base64.b64decode(told["PasswordData"]), PKCS1v15()).decode() == plain


async def test_without_an_rsa_key_or_a_password_there_is_nothing_to_tell(stage):
    async with served(stage) as aws:
        assert await password(aws) == ""  # its key is no RSA key
        [booked] = await aws.customer().run(ImageId="centos64_6.4", InstanceType="gcl.1")
        assert (await aws.customer().get_password_data(InstanceId=booked))["PasswordData"] == ""


# --- addresses of a machine's own


async def test_an_address_is_assigned_and_taken_back(either):
    assigned = (await either.ask("AssignPublicIpAddress", {"InstanceId": "2"})).root.findtext("{*}publicIp")
    assert assigned == "203.0.113.3"
    assert (await either.ask("UnassignPublicIpAddress", {"PublicIp": assigned})).status == 200
    assert (await either.ask("UnassignPublicIpAddress", {"PublicIp": assigned})).code == "InvalidAddress.NotFound"


async def test_an_address_that_is_assigned_to_nothing_is_not_taken_back(either):
    assert (await either.ask("UnassignPublicIpAddress", {"PublicIp": "203.0.113.2"})).code == "InvalidParameterValue"
    assert len((await either.ask("DescribeAddresses")).root.findall(".//{*}publicIp")) == 3


async def test_nothing_is_assigned_to_a_machine_of_somebody_else(either):
    theirs = either.house.theirs
    assert (
        await either.ask("AssignPublicIpAddress", {"InstanceId": "1"}, holder=theirs)
    ).code == "InvalidInstanceID.NotFound"
    assert (
        await either.ask("UnassignPublicIpAddress", {"PublicIp": "203.0.113.0"}, holder=theirs)
    ).code == "InvalidAddress.NotFound"


@pytest.mark.parametrize(
    "action",
    [
        "AssignPublicIpAddress",
        "UnassignPublicIpAddress",
        "ResetInstanceAttribute",
        "DescribeVmTypes",
        "GetPasswordData",
    ],
)
async def test_a_dry_run_changes_nothing(either, action):
    before = await rows(either.house), await either.house.core.fleet(either.house.caller())
    asked = {
        "AssignPublicIpAddress": {"InstanceId": "1"},
        "UnassignPublicIpAddress": {"PublicIp": "203.0.113.0"},
        "ResetInstanceAttribute": {"InstanceId": "1", "Attribute": "operatingSystem"},
        "GetPasswordData": {"InstanceId": "1"},
    }.get(action, {})
    assert (await either.ask(action, asked | {"DryRun": "true"})).code == "DryRunOperation"
    assert await rows(either.house) == before[0]
    assert (await either.house.core.fleet(either.house.caller())).addresses() == before[1].addresses()


# --- what is sold and what it costs


@pytest.mark.parametrize("asked", [{"InstanceType": "gcl.9"}, {"InstanceType.1": "gcl.1", "InstanceType.2": "gcl.9"}])
async def test_a_type_that_is_not_sold_is_not_described(either, asked):
    for action in ("DescribeVmTypes", "DescribeInstanceTypes"):
        assert (await either.ask(action, asked)).code == "InvalidInstanceType"


async def test_a_machine_by_the_hour_has_no_recurring_charge(stage):
    async with served(stage) as aws:
        [booked] = await aws.customer().run(ImageId="centos64_6.4", InstanceType="gcl.1")
        [told] = (await aws.customer().describe_reserved_instances(ReservedInstancesIds=[booked]))["ReservedInstances"]
    assert (told["UsagePrice"], told["RecurringCharges"], told["CurrencyCode"]) == (0.015, [], "USD")


async def test_a_machine_that_has_ended_is_told_as_retired(either):
    await either.ask("TerminateInstances", {"InstanceId.1": "2"})
    answer = await either.ask("DescribeReservedInstances", {"ReservedInstancesId.1": "2"})
    assert answer.root.findtext(".//{*}state") == "retired"
    assert answer.root.findtext(".//{*}end") == "2026-05-01T12:00:00.000Z"


# --- one fleet, two mounts


@pytest.mark.parametrize(
    ("aws", "gigenet", "host", "path"),
    [
        (Ec2Settings("/"), Ec2Settings("/gigenet/", dialect="gigenet"), "", "/gigenet/"),
        (Ec2Settings("/"), Ec2Settings("/", host="api.test", dialect="gigenet"), "api.test", "/"),
    ],
    ids=["two paths", "two hosts"],
)
async def test_one_fleet_that_is_mounted_twice_shows_the_same_machine_in_both(stage, aws, gigenet, host, path):
    async with served_twice(stage, aws, gigenet) as ec2:
        [booked] = await ec2.customer().run(ImageId="centos64_6.4", InstanceType="gcl.1")
        await stage.seen(Power.RUNNING, [3], public_address="198.51.100.3")
        answer = await go(ec2, "DescribeInstances", "InstanceId.1=3", path=path, host=host)
        assert (await go(ec2, "StopInstances", "InstanceId.1=3", path=path, host=host)).status == 200
        seen = await ec2.customer().machine(booked)
    [machine] = answer.root.iterfind("reservationSet/item/instancesSet/item")
    told = {name: machine.findtext(name) for name in ("instanceId", "imageId", "publicIpAddress", "state/name")}
    assert booked == "i-00000000000000003"
    assert told == {"instanceId": "3", "imageId": "centos64_6.4", "publicIpAddress": "198.51.100.3", "state/name": "on"}
    assert (seen["ImageId"], seen["State"]["Name"]) == ("ami-00000000000000004", "stopping")


async def test_a_machine_is_the_same_number_to_both_protocols(gigenet):
    root = (await go(gigenet, "DescribeInstances", "InstanceId.1=1")).root
    assert InstanceId(int(root.findtext(".//instanceId"))) in await rows(gigenet.house)
