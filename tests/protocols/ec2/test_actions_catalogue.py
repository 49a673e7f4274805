from dataclasses import replace

import pytest

from core.limits import Limits
from tests.fleetfixture import CATALOGUE, a_ware
from tests.protocols.ec2.oracle import service_model
from tests.protocols.ec2.served import another_core, served

UBUNTU = "ami-00000000000000002"
WINDOWS = replace(CATALOGUE.images[0], name="windows-2022", title="Windows", description="", platform="windows")


def names(result, items="Images", name="Name"):
    return [item[name] for item in result[items]]


# --- images


async def test_an_image_has_its_operators_words(ours):
    image = (await ours.describe_images(ImageIds=[UBUNTU]))["Images"][0]
    assert (image["Name"], image["Description"], image["State"]) == ("ubuntu-24", "Ubuntu Server 24.04", "available")
    assert (image["OwnerId"], image["ImageOwnerAlias"], image["Public"]) == ("100000000000", "onefleet", True)
    assert (image["PlatformDetails"], "Platform" in image) == ("Linux/UNIX", False)


async def test_an_image_for_windows_says_so(ours, house):
    await house.administration.set_catalogue(replace(CATALOGUE, images=[*CATALOGUE.images, WINDOWS]))
    image = (await ours.describe_images(ImageIds=["windows-2022"]))["Images"][0]
    assert (image["Platform"], image["PlatformDetails"], image["Description"]) == ("windows", "Windows", "Windows")


@pytest.mark.parametrize("spelling", [UBUNTU, "ubuntu-24", "ami-00000002"])
async def test_an_image_is_found_by_id_and_by_name(ours, spelling):
    assert names(await ours.describe_images(ImageIds=[spelling, UBUNTU])) == ["ubuntu-24"]


@pytest.mark.parametrize(
    ("text", "code"), [("ami-0123456789abcdef0", "InvalidAMIID.NotFound"), ("no-such", "InvalidAMIID.Malformed")]
)
async def test_an_image_that_does_not_exist_is_refused(ours, text, code):
    assert (await ours.refusal("describe_images", ImageIds=[UBUNTU, text]))[:2] == (400, code)


async def test_a_retired_image_is_not_offered(ours, house):
    await house.administration.set_catalogue(
        replace(CATALOGUE, images=CATALOGUE.images[:1], products=CATALOGUE.products[:1])
    )
    assert names(await ours.describe_images()) == ["debian-12"]
    assert await ours.code("describe_images", ImageIds=[UBUNTU]) == "InvalidAMIID.NotFound"


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"Owners": ["onefleet"]}, 2),
        ({"Owners": ["100000000000"]}, 2),
        ({"Owners": ["self", "100000000000"]}, 2),
        ({"Owners": ["self"]}, 0),
        ({"Owners": ["amazon"]}, 0),
        ({"ExecutableUsers": ["all"]}, 2),
        ({"ExecutableUsers": ["self"]}, 0),
        ({"IncludeDeprecated": True, "IncludeDisabled": True}, 2),
    ],
)
async def test_images_are_the_operators_and_public(ours, asked, count):
    assert len((await ours.describe_images(**asked))["Images"]) == count


async def test_images_come_in_pages(ours):
    pages = await ours.pages("describe_images", PaginationConfig={"PageSize": 1})
    assert [names(page) for page in pages] == [["debian-12"], ["ubuntu-24"]]


async def test_image_ids_and_pages_exclude_each_other(ours):
    assert await ours.code("describe_images", ImageIds=[UBUNTU], MaxResults=5) == "InvalidParameterCombination"


async def test_boto3s_waiters_for_images_end_at_once(ours):
    await ours.wait_until("image_available", ImageIds=[UBUNTU])
    await ours.wait_until("image_exists", ImageIds=[UBUNTU])


# --- instance types


async def test_an_instance_type_has_its_products_measures(ours):
    (told,) = (await ours.describe_instance_types(InstanceTypes=["nvidia-titanxp"]))["InstanceTypes"]
    assert (told["VCpuInfo"]["DefaultVCpus"], told["MemoryInfo"]["SizeInMiB"]) == (4, 8192)
    assert told["InstanceStorageInfo"]["TotalSizeInGB"] == 100
    assert told["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
    assert told["GpuInfo"]["Gpus"] == [
        {"Name": "Titan Xp", "Manufacturer": "NVIDIA", "Count": 1, "MemoryInfo": {"SizeInMiB": 12288}}
    ]
    # Terraform asks for what it does not find otherwise. Source: reference/ec2-client-sequences.md.
    assert told["BurstablePerformanceSupported"] is False


async def test_every_product_that_the_region_has_is_an_instance_type(ours):
    told = await ours.describe_instance_types()
    here = [ware.instance_type for ware in CATALOGUE.products if ware.capacity.keys() - {"ap-1a"}]
    assert names(told, "InstanceTypes", "InstanceType") == here
    assert "GpuInfo" not in told["InstanceTypes"][0]


async def test_an_instance_type_that_does_not_exist_is_named(ours):
    refusal = await ours.refusal("describe_instance_types", InstanceTypes=["plain", "m1.small", "x"])
    assert refusal == (400, "InvalidInstanceType", "The following supplied instance types do not exist: [m1.small, x]")


async def test_instance_types_come_in_pages(ours, house):
    more = [a_ware(f"more-{number}", "1", {"eu-1a": 1}) for number in range(8)]
    await house.administration.set_catalogue(replace(CATALOGUE, products=[*CATALOGUE.products, *more]))
    pages = await ours.pages("describe_instance_types", PaginationConfig={"PageSize": 5})
    shown = [names(page, "InstanceTypes", "InstanceType") for page in pages]
    assert [len(page) for page in shown] == [5, 5, 2]
    assert len({name for page in shown for name in page}) == 12


async def test_instance_types_and_pages_exclude_each_other(ours):
    asked = {"InstanceTypes": ["plain"], "MaxResults": 5}
    assert await ours.code("describe_instance_types", **asked) == "InvalidParameterCombination"


# --- regions and zones


async def test_every_region_is_served_by_this_endpoint(ours, ec2):
    regions = (await ours.describe_regions())["Regions"]
    assert [(region["RegionName"], region["Endpoint"]) for region in regions] == [
        ("eu-1", ec2.host),
        ("ap-1", ec2.host),
    ]


async def test_regions_are_found_by_name(ours):
    asked = await ours.describe_regions(RegionNames=["ap-1", "eu-1", "ap-1"], AllRegions=True)
    assert names(asked, "Regions", "RegionName") == ["ap-1", "eu-1"]
    assert (await ours.refusal("describe_regions", RegionNames=["mars-1"]))[:2] == (400, "InvalidParameterValue")


async def test_zones_are_those_of_all_regions(ours):
    zones = (await ours.describe_availability_zones())["AvailabilityZones"]
    assert [(zone["ZoneName"], zone["RegionName"]) for zone in zones] == [
        ("eu-1a", "eu-1"),
        ("eu-1b", "eu-1"),
        ("ap-1a", "ap-1"),
    ]
    assert [zone["State"] for zone in zones] == ["available", "available", "unavailable"]
    elsewhere = "The zone is in another region; sign for ap-1 to use it."
    assert [zone["Messages"] for zone in zones] == [[], [], [{"Message": elsewhere}]]


@pytest.mark.parametrize("parameter", ["ZoneNames", "ZoneIds"])
async def test_zones_are_found_by_name_which_is_their_id(ours, parameter):
    asked = await ours.describe_availability_zones(**{parameter: ["ap-1a", "ap-1a"]}, AllAvailabilityZones=True)
    assert names(asked, "AvailabilityZones", "ZoneId") == ["ap-1a"]
    refusal = await ours.refusal("describe_availability_zones", **{parameter: ["mars-1a"]})
    assert refusal == (400, "InvalidParameterValue", "Invalid availability zone: [mars-1a]")


async def test_a_closed_zone_says_so(ours, house):
    closed = [replace(zone, is_available=zone.name != "eu-1b") for zone in CATALOGUE.zones]
    await house.administration.set_catalogue(replace(CATALOGUE, zones=closed))
    (zone,) = (await ours.describe_availability_zones(ZoneNames=["eu-1b"]))["AvailabilityZones"]
    assert (zone["State"], len(zone["Messages"])) == ("unavailable", 1)


async def test_what_is_retired_is_not_shown(ours, house):
    kept = replace(CATALOGUE, regions=CATALOGUE.regions[1:], zones=CATALOGUE.zones[2:], products=CATALOGUE.products[:1])
    await house.administration.set_catalogue(kept)
    assert names(await ours.describe_regions(), "Regions", "RegionName") == ["ap-1"]
    assert names(await ours.describe_availability_zones(), "AvailabilityZones", "ZoneName") == ["ap-1a"]


# --- what is offered where


def offered(result):
    return [(each["InstanceType"], each["Location"]) for each in result["InstanceTypeOfferings"]]


async def test_offerings_are_told_by_region_unless_they_are_asked_for_by_zone(ours):
    told = await ours.describe_instance_type_offerings()
    assert offered(told) == [
        ("nvidia-1080ti", "eu-1"),
        ("nvidia-titanxp", "eu-1"),
        ("anywhere", "eu-1"),
        ("plain", "eu-1"),
    ]
    assert {each["LocationType"] for each in told["InstanceTypeOfferings"]} == {"region"}


@pytest.mark.parametrize("kind", ["availability-zone", "availability-zone-id"])
async def test_offerings_by_zone_are_those_of_the_zones_of_the_region(ours, kind):
    told = await ours.describe_instance_type_offerings(LocationType=kind)
    assert offered(told) == [
        ("nvidia-1080ti", "eu-1a"),
        ("nvidia-titanxp", "eu-1a"),
        ("nvidia-titanxp", "eu-1b"),
        ("anywhere", "eu-1a"),
        ("plain", "eu-1b"),
    ]
    assert {each["LocationType"] for each in told["InstanceTypeOfferings"]} == {kind}


async def test_offerings_are_filtered_by_type_and_place(ours):
    wanted = [{"Name": "instance-type", "Values": ["nvidia-*"]}, {"Name": "location", "Values": ["eu-1b", "ap-1a"]}]
    told = await ours.describe_instance_type_offerings(LocationType="availability-zone", Filters=wanted)
    assert offered(told) == [("nvidia-titanxp", "eu-1b")]


async def test_offerings_come_in_pages(ours, house):
    more = [a_ware(f"more-{number}", "1", {"eu-1a": 1, "eu-1b": 1}) for number in range(4)]
    await house.administration.set_catalogue(replace(CATALOGUE, products=[*CATALOGUE.products, *more]))
    asked = {"LocationType": "availability-zone"}
    pages = await ours.pages("describe_instance_type_offerings", **asked, PaginationConfig={"PageSize": 5})
    assert [len(offered(page)) for page in pages] == [5, 5, 3]
    assert len({each for page in pages for each in offered(page)}) == 13


async def test_a_page_of_offerings_of_one_kind_of_place_does_not_go_on_with_another(ours, house):
    more = [a_ware(f"more-{number}", "1", {"eu-1a": 1}) for number in range(4)]
    await house.administration.set_catalogue(replace(CATALOGUE, products=[*CATALOGUE.products, *more]))
    token = (await ours.describe_instance_type_offerings(MaxResults=5))["NextToken"]
    asked = {"LocationType": "availability-zone", "MaxResults": 5, "NextToken": token}
    assert await ours.code("describe_instance_type_offerings", **asked) == "InvalidNextToken"


@pytest.mark.parametrize("kind", ["outpost", "x"])
async def test_offerings_of_another_kind_of_place_are_refused(ours, kind):
    assert await ours.code("describe_instance_type_offerings", LocationType=kind) == "InvalidParameterValue"


# --- the attributes of an image

ATTRIBUTES = {
    "blockDeviceMapping": {
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/sda1",
                "Ebs": {"DeleteOnTermination": True, "Encrypted": False, "VolumeType": "standard"},
            }
        ]
    },
    "bootMode": {"BootMode": {"Value": "legacy-bios"}},
    "deregistrationProtection": {"DeregistrationProtection": {"Value": "disabled"}},
    "description": {"Description": {"Value": "Ubuntu Server 24.04"}},
    "imdsSupport": {"ImdsSupport": {}},
    "kernel": {"KernelId": {}},
    "lastLaunchedTime": {"LastLaunchedTime": {}},
    "launchPermission": {"LaunchPermissions": [{"Group": "all"}]},
    "productCodes": {"ProductCodes": []},
    "ramdisk": {"RamdiskId": {}},
    "sriovNetSupport": {"SriovNetSupport": {}},
    "tpmSupport": {"TpmSupport": {}},
    "uefiData": {"UefiData": {}},
}


def test_every_attribute_of_an_image_that_aws_has_is_told():
    assert {*service_model("ec2").shape_for("ImageAttributeName").enum} == ATTRIBUTES.keys()


@pytest.mark.parametrize("attribute", ATTRIBUTES)
async def test_an_attribute_of_an_image_is_told_alone(ours, attribute):
    told = await ours.describe_image_attribute(ImageId=UBUNTU, Attribute=attribute)
    del told["ResponseMetadata"]
    assert told == {"ImageId": UBUNTU, **ATTRIBUTES[attribute]}


async def test_the_disk_of_an_image_is_as_big_as_it_must_be(ours, house):
    big = [replace(image, least_disk_gib=20) for image in CATALOGUE.images]
    await house.administration.set_catalogue(replace(CATALOGUE, images=big))
    told = await ours.describe_image_attribute(ImageId=UBUNTU, Attribute="blockDeviceMapping")
    assert told["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 20


@pytest.mark.parametrize(
    ("image", "attribute", "code"),
    [
        (UBUNTU, "no-such", "InvalidParameterValue"),
        ("ami-0123456789abcdef0", "kernel", "InvalidAMIID.NotFound"),
        ("no-such", "kernel", "InvalidAMIID.Malformed"),
    ],
)
async def test_an_attribute_or_an_image_that_is_not_there_is_refused(ours, image, attribute, code):
    assert await ours.code("describe_image_attribute", ImageId=image, Attribute=attribute) == code


# --- the account


async def attributes(customer, **asked):
    told = (await customer.describe_account_attributes(**asked))["AccountAttributes"]
    return {each["AttributeName"]: [value["AttributeValue"] for value in each["AttributeValues"]] for each in told}


async def test_the_account_tells_its_limits_and_its_default_network(ours, ec2):
    core = another_core(ec2.house, limits=Limits(machines=7, addresses=3))
    async with served(ec2.house, core=core) as limited:
        told = await attributes(limited.customer())
    (network,) = (await ours.describe_vpcs())["Vpcs"]
    assert told == {
        "supported-platforms": ["VPC"],
        "default-vpc": [network["VpcId"]],
        "max-instances": ["7"],
        "vpc-max-security-groups-per-interface": ["5"],
        "max-elastic-ips": ["3"],
        "vpc-max-elastic-ips": ["3"],
    }


async def test_only_the_attributes_of_the_account_that_are_asked_for_are_told(ours):
    asked = ["max-instances", "supported-platforms", "max-instances"]
    assert list(await attributes(ours, AttributeNames=asked)) == ["max-instances", "supported-platforms"]


async def test_an_attribute_that_no_account_has_is_named(ours):
    refusal = await ours.refusal("describe_account_attributes", AttributeNames=["max-instances", "max-fun"])
    assert refusal == (400, "InvalidParameterValue", "Invalid attribute name: max-fun")
