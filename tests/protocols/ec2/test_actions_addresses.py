"""Elastic addresses, as boto3 and boto 2 use them."""

import asyncio

import pytest

from core.instances import Power

POOL_A = [f"203.0.113.{number}" for number in range(8)]
POOL_B = [f"203.0.113.{number}" for number in range(8, 16)]
NOWHERE, NO_ADDRESS = "eipalloc-0123456789abcdef0", "198.51.100.1"


@pytest.fixture
async def held(ours):
    """An address that is bound to nothing."""
    return await ours.allocate_address(
        TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": [{"Key": "a", "Value": "b"}]}]
    )


@pytest.fixture
async def machine(ours):
    [machine] = await ours.run()
    return machine


async def described(customer, **asked):
    return (await customer.describe_addresses(**asked))["Addresses"]


async def found(customer, name, *values):
    return [each["PublicIp"] for each in await described(customer, Filters=[{"Name": name, "Values": [*values]}])]


# --- holding


async def test_an_address_is_held_until_it_is_released(ours):
    held = await ours.allocate_address(Domain="vpc")
    assert held["PublicIp"] == POOL_A[0]
    assert held["AllocationId"].startswith("eipalloc-")
    assert (held["Domain"], held["PublicIpv4Pool"], held["NetworkBorderGroup"]) == ("vpc", "amazon", "eu-1")
    [shown] = await described(ours)
    assert shown["AllocationId"] == held["AllocationId"]
    await ours.release_address(AllocationId=held["AllocationId"])
    assert await described(ours) == []


@pytest.mark.parametrize("domain", ["vpc", "standard", "eu-1a", ""])
async def test_a_domain_is_ec2s_word_or_a_zone(ec2, domain):
    answer = await ec2.ask("AllocateAddress", {"Domain": domain})
    assert answer.root.findtext("{*}publicIp") == POOL_A[0]
    assert answer.root.findtext("{*}domain") == "vpc"


async def test_a_zones_name_chooses_its_pool(ec2):
    assert (await ec2.ask("AllocateAddress", {"Domain": "eu-1b"})).root.findtext("{*}publicIp") == POOL_B[0]


@pytest.mark.parametrize("domain", ["nowhere", "ap-1a"])
async def test_no_other_domain_will_do(ec2, ours, domain):
    assert (await ec2.ask("AllocateAddress", {"Domain": domain})).code == "InvalidParameterValue"
    assert await described(ours) == []


async def test_a_certain_address_can_be_had_again(ours):
    assert (await ours.allocate_address(Address=POOL_B[3]))["PublicIp"] == POOL_B[3]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Address": NO_ADDRESS}, "InvalidAddress.NotFound"),
        ({"Address": POOL_A[0]}, "InvalidAddress.NotFound"),
        ({"Address": "203.0.113"}, "InvalidParameterValue"),
        ({"NetworkBorderGroup": "ap-1"}, "InvalidParameterValue"),
        ({"PublicIpv4Pool": "ipv4pool-ec2-1"}, "UnsupportedOperation"),
        ({"IpamPoolId": "ipam-pool-1"}, "UnsupportedOperation"),
        ({"TagSpecifications": [{"ResourceType": "instance", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
async def test_an_address_that_cannot_be_had_is_refused(ours, theirs, asked, code):
    await theirs.allocate_address(Address=POOL_A[0])
    assert await ours.code("allocate_address", **asked) == code
    assert await described(ours) == []


async def test_the_pools_of_a_region_run_out(ours):
    taken = {(await ours.allocate_address(NetworkBorderGroup="eu-1"))["PublicIp"] for _ in range(16)}
    assert taken == {*POOL_A, *POOL_B}
    assert (await ours.refusal("allocate_address"))[:2] == (500, "InsufficientAddressCapacity")


async def test_ten_customers_at_once_get_ten_addresses(ec2):
    answers = await asyncio.gather(*(ec2.ask("AllocateAddress") for _ in range(10)))
    assert len({answer.root.findtext("{*}publicIp") for answer in answers}) == 10


@pytest.mark.parametrize("name", ["AllocationId", "PublicIp"])
async def test_an_address_is_released_by_either_name(ours, held, name):
    await ours.release_address(**{name: held[name]})
    assert await described(ours) == []


async def test_an_address_is_released_in_its_own_group_only(ours, held):
    asked = {"AllocationId": held["AllocationId"], "NetworkBorderGroup": "ap-1"}
    assert await ours.code("release_address", **asked) == "InvalidParameterValue"
    await ours.release_address(**(asked | {"NetworkBorderGroup": "eu-1"}))


async def test_a_bound_address_is_not_released(ours, held, machine):
    await ours.associate_address(InstanceId=machine, AllocationId=held["AllocationId"])
    assert await ours.code("release_address", AllocationId=held["AllocationId"]) == "InvalidIPAddress.InUse"


# --- binding


async def test_an_address_can_be_bound_to_a_machine_that_is_still_pending(ours, held, machine):
    bound = await ours.associate_address(InstanceId=machine, AllocationId=held["AllocationId"])
    assert bound["AssociationId"].startswith("eipassoc-")
    [shown] = await described(ours)
    told = await ours.machine(machine)
    assert told["PublicIpAddress"] == held["PublicIp"]
    assert shown == {
        "PublicIp": held["PublicIp"],
        "AllocationId": held["AllocationId"],
        "AssociationId": bound["AssociationId"],
        "Domain": "vpc",
        "InstanceId": machine,
        "NetworkInterfaceId": machine.replace("i-", "eni-"),
        "NetworkInterfaceOwnerId": shown["NetworkInterfaceOwnerId"],
        "PrivateIpAddress": told["PrivateIpAddress"],
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": "eu-1",
        "Tags": [{"Key": "a", "Value": "b"}],
    }


async def test_an_address_is_bound_by_any_names(ours, held, machine):
    for asked in (
        {"InstanceId": "1", "PublicIp": held["PublicIp"]},
        {"NetworkInterfaceId": "eni-00000000000000001", "AllocationId": held["AllocationId"]},
    ):
        bound = await ours.associate_address(**asked)
        assert (await described(ours))[0]["InstanceId"] == machine
        await ours.disassociate_address(AssociationId=bound["AssociationId"])
        assert "InstanceId" not in (await described(ours))[0]


async def test_binding_answers_true_as_boto_2_needs_it(ec2, held, machine):
    asked = {"InstanceId": machine, "PublicIp": held["PublicIp"]}
    assert (await ec2.ask("AssociateAddress", asked)).root.findtext("{*}return") == "true"


async def test_binding_again_changes_nothing(ours, held, machine):
    asked = {"InstanceId": machine, "AllocationId": held["AllocationId"], "AllowReassociation": False}
    first, second = await ours.associate_address(**asked), await ours.associate_address(**asked)
    assert first["AssociationId"] == second["AssociationId"]


async def test_an_address_moves_unless_that_is_forbidden(ours, held, machine):
    [other] = await ours.run()
    first = await ours.associate_address(InstanceId=machine, AllocationId=held["AllocationId"])
    asked = {"InstanceId": other, "AllocationId": held["AllocationId"]}
    code = await ours.code("associate_address", AllowReassociation=False, **asked)
    assert code == "Resource.AlreadyAssociated"
    second = await ours.associate_address(**asked)
    assert first["AssociationId"] != second["AssociationId"]
    assert (await described(ours))[0]["InstanceId"] == other


async def test_the_private_address_may_be_given_if_it_is_the_machines(ours, held, machine):
    asked = {"InstanceId": machine, "AllocationId": held["AllocationId"]}
    private = (await ours.machine(machine))["PrivateIpAddress"]
    assert await ours.code("associate_address", PrivateIpAddress="10.9.9.9", **asked) == "InvalidParameterValue"
    assert await ours.associate_address(PrivateIpAddress=private, **asked)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"InstanceId": "i-00000000000000001"}, "MissingParameter"),
        ({"AllocationId": "HELD"}, "MissingParameter"),
        ({"AllocationId": "HELD", "PublicIp": NO_ADDRESS, "InstanceId": "1"}, "InvalidParameterCombination"),
        (
            {"AllocationId": "HELD", "NetworkInterfaceId": "eni-00000000000000001", "InstanceId": "1"},
            "InvalidParameterCombination",
        ),
        ({"AllocationId": NOWHERE, "InstanceId": "1"}, "InvalidAllocationID.NotFound"),
        ({"AllocationId": "eipalloc-x", "InstanceId": "1"}, "InvalidAllocationID.Malformed"),
        ({"PublicIp": NO_ADDRESS, "InstanceId": "1"}, "InvalidAddress.NotFound"),
        ({"PublicIp": "x", "InstanceId": "1"}, "InvalidParameterValue"),
        ({"AllocationId": "HELD", "InstanceId": "i-0123456789abcdef0"}, "InvalidInstanceID.NotFound"),
        ({"AllocationId": "HELD", "NetworkInterfaceId": "eni-12345678"}, "InvalidNetworkInterfaceID.NotFound"),
        ({"AllocationId": "HELD", "NetworkInterfaceId": "1"}, "InvalidNetworkInterfaceId.Malformed"),
    ],
)
async def test_a_binding_that_makes_no_sense_is_refused(ours, held, machine, asked, code):
    known = {name: held["AllocationId"] if value == "HELD" else value for name, value in asked.items()}
    assert await ours.code("associate_address", **known) == code
    assert "AssociationId" not in (await described(ours))[0]


async def test_nothing_is_bound_to_a_machine_that_has_ended(ours, held, machine):
    await ours.terminate_instances(InstanceIds=[machine])
    asked = {"InstanceId": machine, "AllocationId": held["AllocationId"]}
    assert await ours.code("associate_address", **asked) == "IncorrectInstanceState"


async def test_an_address_outlives_its_machine(ours, house, held, machine):
    await ours.associate_address(InstanceId=machine, AllocationId=held["AllocationId"])
    await ours.terminate_instances(InstanceIds=[machine])
    assert [each["PublicIp"] for each in await described(ours)] == [held["PublicIp"]]


async def test_an_address_is_taken_from_its_machine_by_what_it_is_as_often_as_one_likes(ours, house, held, machine):
    await house.seen(Power.RUNNING, public_address="192.0.2.1")
    await ours.associate_address(InstanceId=machine, AllocationId=held["AllocationId"])
    for _ in range(2):
        await ours.disassociate_address(PublicIp=held["PublicIp"])
    assert (await ours.machine(machine))["PublicIpAddress"] == "192.0.2.1"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"PublicIp": NO_ADDRESS}, "InvalidAddress.NotFound"),
        ({"AssociationId": "eipassoc-0123456789abcdef0"}, "InvalidAssociationID.NotFound"),
        ({"AssociationId": "eipassoc-00000000000000000"}, "InvalidAssociationID.NotFound"),
        ({"AssociationId": "eipassoc-1", "PublicIp": NO_ADDRESS}, "InvalidParameterCombination"),
    ],
)
async def test_a_binding_that_is_not_there_is_not_undone(ours, held, asked, code):
    assert await ours.code("disassociate_address", **asked) == code


async def test_a_binding_ends_once(ours, held, machine):
    bound = await ours.associate_address(InstanceId=machine, AllocationId=held["AllocationId"])
    await ours.disassociate_address(AssociationId=bound["AssociationId"])
    assert await ours.code("disassociate_address", AssociationId=bound["AssociationId"]) == (
        "InvalidAssociationID.NotFound"
    )


@pytest.mark.parametrize(("operation", "name"), [("release_address", "AllocationId"), ("release_address", "PublicIp")])
async def test_what_others_hold_is_unknown_here(theirs, held, operation, name):
    code = {"AllocationId": "InvalidAllocationID.NotFound", "PublicIp": "InvalidAddress.NotFound"}[name]
    assert (await theirs.refusal(operation, **{name: held[name]}))[:2] == (400, code)


# --- looking


async def test_addresses_are_described_by_either_name_once_each_and_in_order(ours):
    one, two, three = [await ours.allocate_address() for _ in range(3)]
    shown = await described(ours, PublicIps=[three["PublicIp"], one["PublicIp"]], AllocationIds=[one["AllocationId"]])
    assert [each["AllocationId"] for each in shown] == [one["AllocationId"], three["AllocationId"]]
    assert len(await described(ours)) == 3
    assert two["PublicIp"] == POOL_A[1]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"PublicIps": [NO_ADDRESS]}, "InvalidAddress.NotFound"),
        ({"PublicIps": ["x"]}, "InvalidParameterValue"),
        ({"AllocationIds": [NOWHERE]}, "InvalidAllocationID.NotFound"),
        ({"AllocationIds": ["203.0.113.0"]}, "InvalidAllocationID.Malformed"),
        ({"Filters": [{"Name": "no-such", "Values": ["x"]}]}, "InvalidParameterValue"),
    ],
)
async def test_looking_for_what_is_not_there_is_refused(ours, held, asked, code):
    assert await ours.code("describe_addresses", **asked) == code


async def test_every_filter_finds_what_is_bound(ours, held, machine):
    await ours.allocate_address()
    await ours.associate_address(InstanceId=machine, AllocationId=held["AllocationId"])
    [shown] = await described(ours, AllocationIds=[held["AllocationId"]])
    for name, value in {
        "allocation-id": shown["AllocationId"],
        "association-id": shown["AssociationId"],
        "instance-id": machine,
        "network-interface-id": shown["NetworkInterfaceId"],
        "network-interface-owner-id": shown["NetworkInterfaceOwnerId"],
        "private-ip-address": shown["PrivateIpAddress"],
        "public-ip": shown["PublicIp"],
        "tag:a": "b",
        "tag-key": "a",
    }.items():
        assert await found(ours, name, value) == [held["PublicIp"]], name
        assert await found(ours, name, "no-such") == [], name
    for name, value in {"domain": "vpc", "network-border-group": "eu-1"}.items():
        assert len(await found(ours, name, value)) == 2, name


async def test_addresses_have_no_names(ours, held):
    asked = {"AllocationIds": [held["AllocationId"]], "Attribute": "domain-name"}
    assert (await ours.describe_addresses_attribute(**asked))["Addresses"] == [
        {"PublicIp": held["PublicIp"], "AllocationId": held["AllocationId"]}
    ]
    assert await ours.code("describe_addresses_attribute", AllocationIds=[NOWHERE]) == "InvalidAllocationID.NotFound"


async def test_the_names_of_addresses_come_in_pages(ours):
    for _ in range(3):
        await ours.allocate_address()
    pages = await ours.pages("describe_addresses_attribute", Attribute="domain-name", PaginationConfig={"PageSize": 2})
    assert [len(page["Addresses"]) for page in pages] == [2, 1]
