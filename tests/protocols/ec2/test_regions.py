"""Which region a request is for, what lives in one, and which endpoint answers under which name."""

import asyncio
import re
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from protocols.boundary import Boundary, Limits
from protocols.ec2.app import by_host
from protocols.ec2.settings import Ec2Settings
from tests.protocols.ec2.served import Served, Watched, instance_ids, served

ANYWHERE = {"ImageId": "debian-12", "InstanceType": "anywhere", "MinCount": 1, "MaxCount": 1}
V4 = ["v4-post", "v4-get", "v4-url-get", "v4-url-post"]
V2 = ["v2-post", "v2-get"]
EUROPE, ASIA = "i-00000000000000001", "i-00000000000000002"


@pytest.fixture
def asian(ec2):
    """Our own account as it signs for ap-1."""
    return ec2.customer(region_name="ap-1")


@pytest.fixture
async def one_in_each(ours, asian):
    """A machine in each region, EUROPE and ASIA."""
    for customer in (ours, asian):
        await customer.run_instances(**ANYWHERE)


async def seen(ec2, **asked):
    """Return the ids of the machines that a request sees, or the code with which it is refused."""
    answer = await ec2.ask("DescribeInstances", **asked)
    return answer.code or re.findall(r"<instanceId>(.*?)</instanceId>", answer.body.decode())


# --- by the signature's scope


@pytest.mark.parametrize("how", V4)
async def test_the_scope_of_the_signature_is_the_region(ec2, one_in_each, how):
    assert await seen(ec2, how=how) == [EUROPE]
    assert await seen(ec2, how=how, region="ap-1") == [ASIA]


async def test_a_machine_is_placed_in_the_region_that_is_signed_for(ours, asian, one_in_each):
    assert (await ours.machine(EUROPE))["Placement"]["AvailabilityZone"] == "eu-1a"
    assert (await asian.machine(ASIA))["Placement"]["AvailabilityZone"] == "ap-1a"


VERBS = ["describe_instances", "stop_instances", "terminate_instances", "monitor_instances"]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_machine_does_not_exist_in_another_region(ours, asian, house, one_in_each, verb):
    before = await house.machines()
    assert await asian.code(verb, InstanceIds=[EUROPE]) == "InvalidInstanceID.NotFound"
    assert await ours.code(verb, InstanceIds=[EUROPE, ASIA]) == "InvalidInstanceID.NotFound"
    assert await house.machines() == before


async def test_a_machine_of_another_region_is_neither_tagged_nor_changed(ours, asian, one_in_each):
    tags = [{"Key": "a", "Value": "b"}]
    assert await ours.code("create_tags", Resources=[ASIA], Tags=tags) == "InvalidInstanceID.NotFound"
    change = {"InstanceId": ASIA, "SourceDestCheck": {"Value": False}}
    assert await ours.code("modify_instance_attribute", **change) == "InvalidInstanceID.NotFound"
    await asian.create_tags(Resources=[ASIA], Tags=tags)
    assert (await ours.describe_tags())["Tags"] == []


async def test_tags_on_an_image_are_the_same_in_every_region(ours, asian):
    await ours.create_tags(Resources=["debian-12"], Tags=[{"Key": "a", "Value": "b"}])
    assert [each["Key"] for each in (await asian.describe_tags())["Tags"]] == ["a"]


@pytest.mark.parametrize("region", ["us-east-1", "EU-1", "eu-1a", "0", "x" * 500])
async def test_an_unknown_scope_is_the_endpoints_own_region(ec2, one_in_each, region):
    assert await seen(ec2, region=region) == [EUROPE]
    async with served(ec2.house, mount={"region": "ap-1"}) as asian:
        assert await seen(asian, region=region) == [ASIA]
        assert await seen(asian, region="eu-1") == [EUROPE]


@pytest.mark.parametrize("how", V2)
async def test_version_2_names_no_region_and_gets_the_endpoints_own(ec2, one_in_each, how):
    assert await seen(ec2, how=how) == [EUROPE]
    async with served(ec2.house, mount={"region": "ap-1"}) as asian:
        assert await seen(asian, how=how) == [ASIA]


# --- strict


@pytest.mark.parametrize("how", V4)
async def test_a_strict_endpoint_refuses_an_unknown_scope_and_tells_the_regions(house, ec2, how):
    async with served(house, mount={"is_strict": True}) as strict:
        answer = await strict.ask("DescribeInstances", how=how, region="us-east-1")
        assert (answer.status, answer.code) == (401, "AuthFailure")
        assert answer.message == (
            "Credential should be scoped to a valid region, not 'us-east-1'; sign for one of eu-1, ap-1."
        )
        assert await seen(strict, how=how, region="ap-1") == []


@pytest.mark.parametrize("how", V2)
async def test_a_strict_endpoint_takes_version_2_which_has_no_scope(house, ec2, how):
    async with served(house, mount={"is_strict": True}) as strict:
        assert await seen(strict, how=how) == []


async def test_a_strict_endpoint_takes_any_scope_that_comes_by_a_regions_host(house, ec2):
    async with served(house, mount={"is_strict": True}) as strict:
        assert await seen(strict, region="us-east-1", host="ap-1.cloud.test") == []


async def test_a_strict_endpoint_tells_its_regions_to_customers_only(house, ec2):
    async with served(house, mount={"is_strict": True}) as strict:
        answer = await strict.ask("DescribeInstances", region="us-east-1", secret="wrong")
        assert answer.code == "AuthFailure"
        assert "eu-1" not in answer.message


async def test_sts_of_a_strict_endpoint_refuses_an_unknown_scope_in_its_own_form(house, ec2):
    async with served(house, mount={"is_strict": True}) as strict:
        answer = await strict.ask("GetCallerIdentity", region="us-east-1")
        assert (answer.status, answer.sts_code) == (403, "SignatureDoesNotMatch")


# --- by the host's name


@pytest.mark.parametrize("how", V4 + V2)
@pytest.mark.parametrize("host", ["ap-1.cloud.test", "ap-1.cloud.test:8080", "ap-1.localhost"])
async def test_the_name_of_the_host_is_the_region_whatever_is_signed_for(ec2, one_in_each, how, host):
    assert await seen(ec2, how=how, host=host) == [ASIA]


async def test_the_name_of_the_host_is_a_region_however_it_is_written(ec2, one_in_each):
    request = AWSRequest("GET", f"{ec2.url}?Action=DescribeInstances", {"Host": "AP-1.Cloud.Test"})
    key = ec2.house.ours.key
    SigV4Auth(Credentials(key.access_key, key.secret_key), "ec2", "eu-1").add_auth(request)
    headers = [(name, str(value)) for name, value in request.headers.items()]
    answer = await ec2.send("GET", "/?Action=DescribeInstances", headers)
    assert [node.text for node in answer.root.iter("{*}instanceId")] == [ASIA]


@pytest.mark.parametrize(
    "host", ["cloud.test", "ap-1", "ap-1x.cloud.test", "ec2.ap-1.cloud.test", ".ap-1", "192.0.2.1"]
)
async def test_another_host_leaves_the_region_to_the_scope(ec2, one_in_each, host):
    assert await seen(ec2, host=host) == [EUROPE]
    assert await seen(ec2, host=host, region="ap-1") == [ASIA]


async def test_the_name_that_counts_is_the_one_that_a_proxy_of_ours_was_called_by(ec2, house, one_in_each):
    async with served(house, proxies=[ip_network("127.0.0.0/8")]) as behind:
        send = behind.send

        async def through_proxy(method, target, headers, body):
            headers = [(name, value) for name, value in headers if name != "Host"]
            return await send(method, target, [*headers, ("X-Forwarded-Host", "ap-1.cloud.test")], body)

        behind.send = through_proxy
        assert await seen(behind, host="ap-1.cloud.test") == [ASIA]


# --- what is told of regions


async def endpoints(ec2, **asked):
    answer = await ec2.ask("DescribeRegions", **asked)
    items = answer.root.iterfind("{*}regionInfo/{*}item")
    return {each.findtext("{*}regionName"): each.findtext("{*}regionEndpoint") for each in items}


@pytest.mark.parametrize("port", ["", ":8080"])
async def test_whoever_calls_by_a_regions_host_is_told_the_hosts_of_all(ec2, port):
    assert await endpoints(ec2, host=f"ap-1.cloud.test{port}") == {
        "eu-1": f"eu-1.cloud.test{port}",
        "ap-1": f"ap-1.cloud.test{port}",
    }


async def test_whoever_calls_by_another_name_is_told_that_one_for_all(ec2):
    assert await endpoints(ec2, host="cloud.test") == {"eu-1": "cloud.test", "ap-1": "cloud.test"}


async def test_regions_are_found_by_their_endpoints(ec2):
    wanted = {"Filter.1.Name": "endpoint", "Filter.1.Value.1": "ap-1.*"}
    assert list(await endpoints(ec2, parameters=wanted, host="eu-1.cloud.test")) == ["ap-1"]


async def test_the_zones_of_the_region_come_first_and_those_of_others_say_where_they_are(asian):
    zones = (await asian.describe_availability_zones())["AvailabilityZones"]
    assert [(zone["ZoneName"], zone["State"]) for zone in zones] == [
        ("ap-1a", "available"),
        ("eu-1a", "unavailable"),
        ("eu-1b", "unavailable"),
    ]
    elsewhere = [{"Message": "The zone is in another region; sign for eu-1 to use it."}]
    assert [zone["Messages"] for zone in zones] == [[], elsewhere, elsewhere]


async def test_the_zones_that_can_be_used_are_found_by_their_state(ours, asian):
    available = [{"Name": "state", "Values": ["available"]}]
    for customer, names in ((ours, ["eu-1a", "eu-1b"]), (asian, ["ap-1a"])):
        zones = (await customer.describe_availability_zones(Filters=available))["AvailabilityZones"]
        assert [zone["ZoneName"] for zone in zones] == names


async def test_the_zones_of_a_region_are_found_by_its_name(ours):
    wanted = [{"Name": "region-name", "Values": ["ap-1"]}]
    zones = (await ours.describe_availability_zones(Filters=wanted))["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in zones] == ["ap-1a"]


# --- what is sold in a region


async def types(customer):
    return {each["InstanceType"] for each in (await customer.describe_instance_types())["InstanceTypes"]}


async def test_the_types_of_a_region_are_those_that_a_zone_of_it_has(ours, asian):
    assert await types(ours) == {"nvidia-1080ti", "nvidia-titanxp", "anywhere", "plain"}
    assert await types(asian) == {"nvidia-1060", "anywhere"}


async def test_a_type_that_the_region_lacks_is_refused_by_name(ours, asian, house):
    wanted = ANYWHERE | {"InstanceType": "nvidia-1060"}
    assert await ours.refusal("run_instances", **wanted) == (
        400,
        "Unsupported",
        "nvidia-1060 is not offered in eu-1.",
    )
    assert not await house.machines()
    assert await asian.run_instances(**wanted)


async def test_a_type_that_the_region_lacks_is_not_offered_in_its_zones_either(ours):
    wanted = ANYWHERE | {"InstanceType": "nvidia-1060", "Placement": {"AvailabilityZone": "eu-1a"}}
    code, text = (await ours.refusal("run_instances", **wanted))[1:]
    assert code == "Unsupported"
    assert text.endswith("(eu-1a). Please retry your request by choosing another instance type.")


async def test_a_zone_of_another_region_is_none(ours):
    wanted = ANYWHERE | {"Placement": {"AvailabilityZone": "ap-1a"}}
    assert await ours.refusal("run_instances", **wanted) == (
        400,
        "InvalidParameterValue",
        "Invalid availability zone: [ap-1a]",
    )


async def test_a_full_region_does_not_spill_into_another(ours, asian):
    await ours.run_instances(**ANYWHERE | {"MinCount": 9, "MaxCount": 9})
    assert await ours.code("run_instances", **ANYWHERE) == "InsufficientInstanceCapacity"
    assert await asian.run_instances(**ANYWHERE)


# --- what lives in a region


async def test_key_pairs_of_one_name_live_in_each_region(ours, asian):
    pairs = [await customer.create_key_pair(KeyName="mine", KeyType="ed25519") for customer in (ours, asian)]
    shown = [(await customer.describe_key_pairs())["KeyPairs"] for customer in (ours, asian)]
    assert [[each["KeyFingerprint"] for each in pair] for pair in shown] == [[pair["KeyFingerprint"]] for pair in pairs]
    assert await asian.code("create_key_pair", KeyName="mine") == "InvalidKeyPair.Duplicate"


async def test_a_key_pair_is_deleted_in_its_own_region_only(ours, asian):
    for customer in (ours, asian):
        await customer.create_key_pair(KeyName="mine", KeyType="ed25519")
    await asian.delete_key_pair(KeyName="mine")
    assert (await asian.describe_key_pairs())["KeyPairs"] == []
    assert len((await ours.describe_key_pairs())["KeyPairs"]) == 1


async def test_a_key_pair_opens_machines_of_its_own_region_only(ours, asian, house):
    await asian.create_key_pair(KeyName="mine", KeyType="ed25519")
    wanted = ANYWHERE | {"KeyName": "mine"}
    assert await ours.code("run_instances", **wanted) == "InvalidKeyPair.NotFound"
    assert not await house.machines()
    assert await asian.run_instances(**wanted)


async def test_each_region_has_a_default_network_of_its_own(ours, asian):
    networks = [(await customer.describe_vpcs())["Vpcs"] for customer in (ours, asian)]
    assert [len(each) for each in networks] == [1, 1]
    assert networks[0][0]["VpcId"] != networks[1][0]["VpcId"]
    zones = [
        [each["AvailabilityZone"] for each in (await customer.describe_subnets())["Subnets"]]
        for customer in (ours, asian)
    ]
    assert zones == [["eu-1a", "eu-1b"], ["ap-1a"]]


async def test_groups_and_subnets_of_another_region_are_not_there(ours, asian):
    group = (await asian.create_security_group(GroupName="web", Description="web"))["GroupId"]
    (subnet,) = (await asian.describe_subnets())["Subnets"]
    assert await ours.code("run_instances", **ANYWHERE, SecurityGroupIds=[group]) == "InvalidGroup.NotFound"
    assert await ours.code("run_instances", **ANYWHERE, SecurityGroups=["web"]) == "InvalidGroup.NotFound"
    assert await ours.code("run_instances", **ANYWHERE, SubnetId=subnet["SubnetId"]) == "InvalidSubnetID.NotFound"
    assert await ours.code("describe_security_groups", GroupIds=[group]) == "InvalidGroup.NotFound"


async def test_an_address_is_of_its_regions_pool_and_binds_to_its_machines(ours, asian, one_in_each):
    held = await asian.allocate_address()
    assert (held["PublicIp"], held["NetworkBorderGroup"]) == ("203.0.113.16", "ap-1")
    bound = {"AllocationId": held["AllocationId"]}
    assert await ours.code("associate_address", **bound, InstanceId=EUROPE) == "InvalidAllocationID.NotFound"
    assert await asian.code("associate_address", **bound, InstanceId=EUROPE) == "InvalidInstanceID.NotFound"
    assert await asian.associate_address(**bound, InstanceId=ASIA)


async def test_the_token_of_a_page_is_nothing_in_another_region(ours, asian):
    for customer in (ours, asian):
        await customer.run_instances(**ANYWHERE | {"MinCount": 6, "MaxCount": 6})
    token = (await ours.describe_instances(MaxResults=5))["NextToken"]
    assert await asian.code("describe_instances", MaxResults=5, NextToken=token) == "InvalidNextToken"
    assert len(instance_ids((await ours.describe_instances(MaxResults=5, NextToken=token))["Reservations"])) == 1


async def test_boto3s_presigned_urls_are_for_the_region_that_they_were_signed_for(ec2, asian, one_in_each):
    url = await asyncio.to_thread(asian.client.generate_presigned_url, "describe_instances", HttpMethod="GET")
    answer = await ec2.send("GET", url.removeprefix(ec2.url.rstrip("/")))
    assert [node.text for node in answer.root.iter("{*}instanceId")] == [ASIA]


# --- several endpoints on one path


@asynccontextmanager
async def sharing(house, *mounts, proxies=()):
    """Serve several endpoints on one path, told apart by their hosts."""
    boundary = Boundary(limits=Limits(), proxies=proxies, public_url=None, record=lambda *_: None)
    front_ends = [Watched(house.core, boundary, Ec2Settings(**mount)) for mount in mounts]
    app = web.Application()
    app.router.add_route("*", "/", by_host(front_ends, boundary))
    server = TestServer(app)
    await server.start_server()
    try:
        yield Served(house, f"{server.host}:{server.port}", front_ends[0], [])
    finally:
        await server.close()


async def dialect_at(ec2, host, *headers):
    """Return the dialect of whoever answers: GigeNET has another status for who is nobody."""
    answer = await ec2.send("GET", "/?Action=DescribeRegions", [("Host", host), *headers])
    return {403: "aws", 401: "gigenet"}[answer.status]


AWS, GIGENET = {"host": "aws.test"}, {"host": "gigenet.test", "dialect": "gigenet"}


@pytest.mark.parametrize(
    ("host", "dialect"),
    [
        ("aws.test", "aws"),
        ("gigenet.test", "gigenet"),
        ("gigenet.test:8080", "gigenet"),
        ("GigeNET.Test", "gigenet"),
        ("eu-1.gigenet.test", "gigenet"),
        ("eu-1.aws.test", "aws"),
        ("notgigenet.test", "aws"),
        ("elsewhere.test", "aws"),
    ],
)
async def test_each_endpoint_answers_under_its_own_name_and_its_regions_and_the_first_under_others(
    house, ec2, host, dialect
):
    async with sharing(house, AWS, GIGENET) as both:
        assert await dialect_at(both, host) == dialect


@pytest.mark.parametrize(("host", "dialect"), [("aws.test", "aws"), ("x.test", "gigenet"), ("192.0.2.1", "gigenet")])
async def test_the_endpoint_without_a_name_answers_under_all_others(house, ec2, host, dialect):
    async with sharing(house, AWS, {"dialect": "gigenet"}) as both:
        assert await dialect_at(both, host) == dialect


@pytest.mark.parametrize("order", [1, -1])
async def test_of_names_that_end_alike_the_longest_is_called(house, ec2, order):
    mounts = [{"host": "cloud.test"}, {"host": "gige.cloud.test", "dialect": "gigenet"}]
    async with sharing(house, *mounts[::order]) as both:
        assert await dialect_at(both, "gige.cloud.test") == "gigenet"
        assert await dialect_at(both, "eu-1.cloud.test") == "aws"


async def test_a_proxy_of_ours_tells_by_which_name_it_was_called(house, ec2):
    called = ("X-Forwarded-Host", "gigenet.test")
    async with sharing(house, AWS, GIGENET, proxies=[ip_network("127.0.0.0/8")]) as behind:
        assert await dialect_at(behind, "10.0.0.1", called) == "gigenet"
    async with sharing(house, AWS, GIGENET) as open_to_all:
        assert await dialect_at(open_to_all, "10.0.0.1", called) == "aws"


async def test_endpoints_that_share_a_path_have_regions_of_their_own(house, ec2, one_in_each):
    here, there = {"host": "here.test", "region": "eu-1"}, {"host": "there.test", "region": "ap-1"}
    async with sharing(house, here, there) as both:
        assert await seen(both, how="v2-get", host="here.test") == [EUROPE]
        assert await seen(both, how="v2-get", host="there.test") == [ASIA]
