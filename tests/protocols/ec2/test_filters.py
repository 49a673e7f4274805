import html
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from core.instances import MetadataService, Options, Power
from core.keypairs import KeyKind
from core.orders import Booking
from core.tags import Resource, ResourceKind
from protocols.ec2.actions import gigenet, images, instances, instancetypes, keypairs, tags, zones
from protocols.ec2.app import ACTIONS
from protocols.ec2.errors import Ec2Refusal
from protocols.ec2.filters import BY_ACTION, Filters, matcher
from tests.fleetfixture import CATALOGUE, a_ware
from tests.protocols.ec2.stage import PUBLIC_KEY

FILTERS = {
    "DescribeInstances": instances._INSTANCE_FILTERS,
    "DescribeInstanceStatus": instances._STATUS_FILTERS,
    "DescribeInstanceTypes": instancetypes._FILTERS,
    "DescribeInstanceTypeOfferings": instancetypes._OFFERING_FILTERS,
    "DescribeReservedInstances": gigenet._FILTERS,
    "DescribeImages": images._FILTERS,
    "DescribeRegions": zones._REGION_FILTERS,
    "DescribeAvailabilityZones": zones._ZONE_FILTERS,
    "DescribeKeyPairs": keypairs._FILTERS,
    "DescribeTags": tags._FILTERS,
}

ALL = sorted(BY_ACTION.keys() & ACTIONS.keys())

# --- every filter of every action, on two things that differ in all that can differ

# In "wine" there is a machine with every option that its user stopped, in "beer" one that runs with none.
WINE, BEER, BOTH, NEITHER = ("wine",), ("beer",), ("wine", "beer"), ()
TAGS = {"tag-key": ("grape", WINE), "tag-value": ("riesl*", WINE), "tag:KEY": ("x", BEER)}

_OF_INTERFACES = {
    "addresses.association.allocation-id": ("eipalloc-00000000000000001", BEER),
    "addresses.association.association-id": ("eipassoc-00000000000000001", BEER),
    "addresses.association.public-ip": ("203.0.113.8", BEER),
    "addresses.primary": ("true", BOTH),
    "addresses.private-ip-address": ("10.1.0.5", WINE),
    "association.allocation-id": ("eipalloc-00000000000000001", BEER),
    "association.association-id": ("eipassoc-00000000000000001", BEER),
    "association.public-ip": ("203.0.113.8", BEER),
    "attachment.attach-time": ("2026-05-01T13:00:00.000Z", BEER),
    "attachment.attachment-id": ("eni-attach-00000000000000001", WINE),
    "attachment.delete-on-termination": ("true", BOTH),
    "attachment.device-index": ("0", BOTH),
    "attachment.instance-id": ("i-00000000000000002", BEER),
    "attachment.instance-owner-id": ("100000000001", BOTH),
    "attachment.network-card-index": ("0", BOTH),
    "attachment.status": ("attached", BOTH),
    "availability-zone": ("eu-1a", WINE),
    "group-id": ("sg-00000000000000002", WINE),
    "group-name": ("cellar", WINE),
    "mac-address": ("02:00:00:00:00:02", BEER),
    "network-interface-id": ("eni-00000000000000001", WINE),
    "owner-id": ("100000000001", BOTH),
    "private-dns-name": ("ip-10-2-0-6.internal", BEER),
    "private-ip-address": ("10.2.0.6", BEER),
    "requester-managed": ("false", BOTH),
    "source-dest-check": ("false", WINE),
    "status": ("in-use", BOTH),
    "subnet-id": ("subnet-00000000000000001", WINE),
    "vpc-id": ("vpc-00000000000000001", BOTH),
}

EXPECTED = {
    "DescribeInstances": {
        **TAGS,
        **{f"network-interface.{name}": expected for name, expected in _OF_INTERFACES.items()},
        "architecture": ("arm64", WINE),
        "availability-zone": ("eu-1a", WINE),
        "availability-zone-id": ("eu-1b", BEER),
        "block-device-mapping.attach-time": ("2026-05-01T13:00:00.000Z", BEER),
        "block-device-mapping.delete-on-termination": ("false", WINE),
        "block-device-mapping.device-name": ("/dev/sda1", BOTH),
        "block-device-mapping.status": ("attached", BOTH),
        "block-device-mapping.volume-id": ("vol-00000000000000002", BEER),
        "boot-mode": ("legacy-bios", BOTH),
        "client-token": ("wine-token", WINE),
        "current-instance-boot-mode": ("legacy-bios", BOTH),
        "ebs-optimized": ("false", BOTH),
        "ena-support": ("true", BOTH),
        "enclave-options.enabled": ("false", BOTH),
        "group-id": ("sg-00000000000000002", WINE),
        "group-name": ("default", BEER),
        "hibernation-options.configured": ("false", BOTH),
        "hypervisor": ("xen", BOTH),
        "image-id": ("ami-00000000000000003", WINE),
        "instance-id": ("i-00000000000000002", BEER),
        "instance-state-code": ("80", WINE),
        "instance-state-name": ("running", BEER),
        "instance-type": ("wine", WINE),
        "instance.group-id": ("sg-00000000000000001", BEER),
        "instance.group-name": ("cellar", WINE),
        "ip-address": ("203.0.113.8", BEER),
        "key-name": ("wine-key", WINE),
        "launch-index": ("0", BOTH),
        "launch-time": ("2026-05-01T13:00:00.000Z", BEER),
        "maintenance-options.auto-recovery": ("disabled", BOTH),
        "metadata-options.http-endpoint": ("disabled", WINE),
        "metadata-options.http-protocol-ipv4": ("enabled", BEER),
        "metadata-options.http-protocol-ipv6": ("disabled", BOTH),
        "metadata-options.http-put-response-hop-limit": ("2", WINE),
        "metadata-options.http-tokens": ("required", WINE),
        "metadata-options.instance-metadata-tags": ("enabled", WINE),
        "metadata-options.state": ("applied", BOTH),
        "monitoring-state": ("enabled", WINE),
        "owner-id": ("100000000001", BOTH),
        "platform": ("windows", WINE),
        "platform-details": ("Linux/UNIX", BEER),
        "private-dns-name": ("ip-10-1-0-5.internal", WINE),
        "private-dns-name-options.enable-resource-name-dns-a-record": ("false", BOTH),
        "private-dns-name-options.enable-resource-name-dns-aaaa-record": ("false", BOTH),
        "private-dns-name-options.hostname-type": ("ip-name", BOTH),
        "private-ip-address": ("10.2.0.6", BEER),
        "reason": ("User initiated (2026-05-01 13:00:00 GMT)", WINE),
        "reservation-id": ("r-00000000000000002", BEER),
        "root-device-name": ("/dev/sda1", BOTH),
        "root-device-type": ("ebs", BOTH),
        "source-dest-check": ("true", BEER),
        "state-reason-code": ("Client.UserInitiatedShutdown", WINE),
        "state-reason-message": ("*: User initiated shutdown", WINE),
        "subnet-id": ("subnet-00000000000000002", BEER),
        "tenancy": ("default", BOTH),
        "usage-operation": ("RunInstances", BOTH),
        "usage-operation-update-time": ("2026-05-01T12:00:00.000Z", WINE),
        "virtualization-type": ("hvm", BOTH),
        "vpc-id": ("vpc-00000000000000001", BOTH),
    },
    "DescribeInstanceStatus": {
        **TAGS,
        "availability-zone": ("eu-1a", WINE),
        "availability-zone-id": ("eu-1b", BEER),
        "instance-state-code": ("16", BEER),
        "instance-state-name": ("stopped", WINE),
        "instance-status.reachability": ("passed", BEER),
        "instance-status.status": ("not-applicable", WINE),
        "system-status.reachability": ("passed", BEER),
        "system-status.status": ("ok", BEER),
    },
    "DescribeInstanceTypes": {
        "auto-recovery-supported": ("false", BOTH),
        "bare-metal": ("false", BOTH),
        "burstable-performance-supported": ("false", BOTH),
        "current-generation": ("true", BOTH),
        "dedicated-hosts-supported": ("false", BOTH),
        "ebs-info.ebs-optimized-support": ("unsupported", BOTH),
        "ebs-info.encryption-support": ("unsupported", BOTH),
        "free-tier-eligible": ("false", BOTH),
        "hibernation-supported": ("false", BOTH),
        "hypervisor": ("xen", BOTH),
        "instance-storage-info.total-size-in-gb": ("7", WINE),
        "instance-storage-supported": ("true", BOTH),
        "instance-type": ("beer", BEER),
        "memory-info.size-in-mib": ("512", WINE),
        "network-info.ena-support": ("supported", BOTH),
        "network-info.ipv6-supported": ("false", BOTH),
        "network-info.maximum-network-interfaces": ("1", BOTH),
        "processor-info.supported-architecture": ("x86_64", BEER),
        "supported-boot-mode": ("legacy-bios", BOTH),
        "supported-root-device-type": ("ebs", BOTH),
        "supported-usage-class": ("on-demand", BOTH),
        "supported-virtualization-type": ("hvm", BOTH),
        "vcpu-info.default-cores": ("4", BEER),
        "vcpu-info.default-threads-per-core": ("1", BOTH),
        "vcpu-info.default-vcpus": ("64", WINE),
    },
    "DescribeInstanceTypeOfferings": {"instance-type": ("wine", WINE), "location": ("eu-1", BOTH)},
    "DescribeReservedInstances": {
        "availability-zone": ("eu-1a", WINE),
        "availability-zone-id": ("eu-1b", BEER),
        "duration": ("3600", BOTH),
        "end": ("*", NEITHER),
        "fixed-price": ("0.0", BOTH),
        "instance-type": ("wine", WINE),
        "product-description": ("Windows", WINE),
        "reserved-instances-id": ("i-00000000000000002", BEER),
        "scope": ("Availability Zone", BOTH),
        "start": ("2026-05-01T13:00:00.000Z", BEER),
        "state": ("active", BOTH),
        "usage-price": ("2", WINE),
    },
    "DescribeImages": {
        **TAGS,
        "architecture": ("arm64", WINE),
        "block-device-mapping.delete-on-termination": ("true", BOTH),
        "block-device-mapping.device-name": ("/dev/sda1", BOTH),
        "block-device-mapping.encrypted": ("false", BOTH),
        "block-device-mapping.volume-size": ("7", WINE),
        "block-device-mapping.volume-type": ("standard", BOTH),
        "boot-mode": ("legacy-bios", BOTH),
        "creation-date": ("2026-05-01T*", BOTH),
        "description": ("Debian GNU/Linux *", BEER),
        "ena-support": ("true", BOTH),
        "hypervisor": ("xen", BOTH),
        "image-id": ("ami-00000000000000001", BEER),
        "image-type": ("machine", BOTH),
        "is-public": ("true", BOTH),
        "manifest-location": ("onefleet/wine", WINE),
        "name": ("w?ne", WINE),
        "owner-alias": ("onefleet", BOTH),
        "owner-id": ("100000000000", BOTH),
        "platform": ("windows", WINE),
        "root-device-name": ("/dev/sda1", BOTH),
        "root-device-type": ("ebs", BOTH),
        "state": ("available", BOTH),
        "virtualization-type": ("hvm", BOTH),
    },
    "DescribeRegions": {
        "endpoint": ("127.0.0.1:*", BOTH),
        "opt-in-status": ("opt-in-not-required", BOTH),
        "region-name": ("ap-1", WINE),
    },
    "DescribeAvailabilityZones": {
        "group-name": ("eu-1", BOTH),
        "message": ("* no new bookings.", WINE),
        "opt-in-status": ("opt-in-not-required", BOTH),
        "region-name": ("eu-1", BOTH),
        "state": ("unavailable", WINE),
        "zone-id": ("eu-1b", BEER),
        "zone-name": ("eu-1a", WINE),
        "zone-type": ("availability-zone", BOTH),
    },
    "DescribeKeyPairs": {
        **TAGS,
        "fingerprint": ("wIF/cRT5NWOI8XHTU9i8VDDSLnCcXLuwvIA4Szu9gMo=", WINE),
        "key-name": ("beer-key", BEER),
        "key-pair-id": ("key-00000000000000001", WINE),
    },
    "DescribeTags": {
        "tag-key": ("grape", WINE),
        "tag-value": ("x", BEER),
        "tag:KEY": ("x", BEER),
        "key": ("gr*", WINE),
        "resource-id": ("i-00000000000000002", BEER),
        "resource-type": ("instance", BOTH),
        "value": ("riesling", WINE),
    },
}

# How an answer's items tell which of the two they are.
SHOWN = {
    "DescribeInstances": ">i-0000000000000000(.)<",
    "DescribeInstanceStatus": ">i-0000000000000000(.)<",
    "DescribeInstanceTypes": "<instanceType>(wine|beer)<",
    "DescribeInstanceTypeOfferings": "<instanceType>(wine|beer)<",
    "DescribeReservedInstances": "<reservedInstancesId>i-0000000000000000(.)<",
    "DescribeImages": "<imageId>ami-0000000000000000(.)<",
    "DescribeRegions": "<regionName>(..)-1<",
    "DescribeAvailabilityZones": "<zoneName>eu-1(.)<",
    "DescribeKeyPairs": "<keyName>(wine|beer)-key<",
    "DescribeTags": "<resourceId>i-0000000000000000(.)<",
}
NAMES = {"1": "wine", "2": "beer", "ap": "wine", "eu": "beer", "a": "wine", "b": "beer", "wine": "wine", "beer": "beer"}
IMAGE_NAMES = {"1": "beer", "3": "wine"}


EVERYTHING = Options(
    is_source_checked=False,
    is_monitored=True,
    keeps_disk=True,
    metadata=MetadataService(is_enabled=False, needs_token=True, hop_limit=2, shows_tags=True),
)


async def set_two_things(house):
    wine = replace(
        CATALOGUE.images[0],
        name="wine",
        description="Wine",
        architecture="arm64",
        platform="windows",
        least_disk_gib=7,
    )
    products = [
        a_ware("wine", "2", {"eu-1a": 1}, vcpus=64, memory_mib=512, disk_gib=7, architecture="arm64", image="wine"),
        a_ware("beer", "1", {"eu-1b": 1}),
    ]
    sold = replace(CATALOGUE, images=[CATALOGUE.images[0], wine], zones=CATALOGUE.zones[:2], products=products)
    await house.administration.set_catalogue(sold)
    core, caller = house.core, house.caller()
    await core.import_key_pair(caller, "wine-key", PUBLIC_KEY.encode(), {"grape": "riesling"})
    await core.create_key_pair(caller, "beer-key", KeyKind.ED25519, {"KEY": "x"})
    cellar = await core.groups.create(caller, "cellar", "where it is cool", {})
    for name, values, more in (
        ("wine", {"grape": "riesling"}, {"options": EVERYTHING, "group_ids": (cellar.id,)}),
        ("beer", {"KEY": "x"}, {}),
    ):
        booked = Booking(
            (await house.product(name)).id,
            key_name=f"{name}-key",
            client_token=f"{name}-token",
            tags={ResourceKind.INSTANCE: values},
            **more,
        )
        await core.book(caller, booked)
        house.clock.advance(timedelta(hours=1))
    house.clock.advance(timedelta(hours=-1))
    for image, values in ((3, {"grape": "riesling"}), (1, {"KEY": "x"})):
        await core.tag(caller, [Resource(caller.account_id, ResourceKind.IMAGE, image)], values)
    await house.seen(Power.RUNNING)
    await core.addresses.assign(caller, 2)
    await core.stop(caller, [1], is_forced=False)
    await house.seen(Power.STOPPED, [1])
    closed = [replace(zone, is_available=zone.name != "eu-1a") for zone in sold.zones]
    await house.administration.set_catalogue(replace(sold, zones=closed))


async def shown(ec2, action, name, *values):
    """Return which of the two things a filter lets through, or the code with which it is refused."""
    parameters = {"Filter.1.Name": name} | {f"Filter.1.Value.{n}": value for n, value in enumerate(values, 1)}
    more = {"DescribeInstanceStatus": {"IncludeAllInstances": "true"}, "DescribeTags": {}}.get(action, {})
    answer = await ec2.ask(action, parameters | more)
    if answer.code:
        return answer.code
    found = re.findall(SHOWN[action], answer.body.decode())
    things = {(IMAGE_NAMES if action == "DescribeImages" else NAMES)[text] for text in found}
    return tuple(name for name in BOTH if name in things)


@pytest.mark.parametrize("action", FILTERS)
async def test_every_filter_lets_through_what_has_its_value_and_nothing_else(ec2, action):
    await set_two_things(ec2.house)
    expected = EXPECTED[action]
    assert sorted(expected) == sorted(FILTERS[action].names)
    assert {name: await shown(ec2, action, name, value) for name, (value, _) in expected.items()} == {
        name: things for name, (_, things) in expected.items()
    }
    assert {name: await shown(ec2, action, name, "no such value") for name in expected} == dict.fromkeys(expected, ())


@pytest.mark.parametrize("action", FILTERS)
async def test_a_filter_on_what_is_absent_matches_nothing_not_even_by_a_star(ec2, action):
    await set_two_things(ec2.house)
    names = FILTERS[action]._documented - {*FILTERS[action].names}
    assert {name: await shown(ec2, action, name, "*", "") for name in names} == dict.fromkeys(names, ())


def documented(action):
    """The names of the filters that AWS documents for an action."""
    model = Loader().load_service_model("ec2", "service-2", "2016-11-15")
    shape = model["shapes"][model["operations"][action]["input"]["shape"]]
    text = shape["members"]["Filters"]["documentation"]
    return {html.unescape(name) for name in re.findall(r"<li>\s*<p>\s*<code>([^<]*)</code>", text)}


# Of one filter the values are listed as filters are, and of another two the half of the name.
NOT_NAMES = {"informational", "low", "medium", "high", "critical", "tag"}


@pytest.mark.parametrize("action", ALL)
def test_every_filter_that_aws_documents_is_understood(action):
    names = documented(action) - NOT_NAMES
    assert names
    unknown = []
    for name in names:
        try:
            BY_ACTION[action]._test(name.replace("<key>", "k"), ["x"])
        except Ec2Refusal:
            unknown.append(name)
    assert unknown == []


# --- how several go together, and what is refused


async def test_values_are_alternatives_and_filters_are_conditions(ours):
    await ours.run(3)
    for number, values in enumerate((("a", "x"), ("b", "x"), ("a", "y")), 1):
        await ours.create_tags(
            Resources=[str(number)],
            Tags=[{"Key": key, "Value": value} for key, value in zip("pq", values, strict=True)],
        )

    async def found(**wanted):
        filters = [{"Name": f"tag:{key}", "Values": values} for key, values in wanted.items()]
        reservations = (await ours.describe_instances(Filters=filters))["Reservations"]
        return [each["InstanceId"][-1] for reservation in reservations for each in reservation["Instances"]]

    assert await found(p=["a", "b"]) == ["1", "2", "3"]
    assert await found(p=["a"], q=["x", "y"]) == ["1", "3"]
    assert await found(p=["a"], q=["x"]) == ["1"]
    assert await found(p=["A"]) == []
    assert await found(P=["a"]) == []


async def test_a_filter_and_ids_go_together(ours):
    ids = await ours.run(2)
    wanted = [{"Name": "launch-index", "Values": ["1"]}]
    found = await ours.describe_instances(InstanceIds=ids[:1], Filters=wanted)
    assert found["Reservations"] == []


async def test_filters_hold_on_every_page(ours):
    await ours.run(12)
    wanted = [{"Name": "launch-index", "Values": ["0", "2", "4", "6", "8", "10", "11"]}]
    pages = await ours.pages("describe_instances", Filters=wanted, PaginationConfig={"PageSize": 5})
    assert [[each["AmiLaunchIndex"] for each in page["Reservations"][0]["Instances"]] for page in pages] == [
        [0, 2, 4, 6, 8],
        [10, 11],
    ]


@pytest.mark.parametrize("action", ALL)
@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Filter.1.Name": "no-such", "Filter.1.Value.1": "x"}, "InvalidParameterValue"),
        ({"Filter.1.Name": "", "Filter.1.Value.1": "x"}, "InvalidParameterValue"),
        ({"Filter.1.Value.1": "x"}, "InvalidParameterValue"),
        ({"Filter.1.Name": "tag:x"}, "InvalidParameterValue"),
        ({"Filter": "x"}, "UnknownParameter"),
        ({"Filter.1.Bogus": "x"}, "UnknownParameter"),
        ({f"Filter.{n}.{part}": "state" for n in range(51) for part in ("Name", "Value.1")}, "FilterLimitExceeded"),
    ],
)
async def test_a_filter_that_is_not_understood_is_refused(ec2, action, parameters, code):
    answer = await ec2.ask(action, parameters)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (["x"] * 200, ""),
        (["x"] * 201, "FilterLimitExceeded"),
        (["x" * 1024], ""),
        (["x" * 1025], "FilterLimitExceeded"),
    ],
)
async def test_a_filter_has_a_limit(ec2, values, code):
    parameters = {f"Filter.1.Value.{number}": value for number, value in enumerate(values)}
    assert (await ec2.ask("DescribeInstances", parameters | {"Filter.1.Name": "key-name"})).code == code


# --- wildcards


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("", [""], ["a"]),
        ("ab", ["ab"], ["a", "abc", "AB", "xab"]),
        ("a*", ["a", "ab", "a\nb"], ["", "ba"]),
        ("*a", ["a", "ba"], ["ab"]),
        ("a*c", ["ac", "abc", "acc"], ["a", "abcd"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("*", ["", "a"], []),
        ("**", ["", "a"], []),
        ("?", ["a", "é", "\n"], ["", "ab"]),
        ("a?*", ["ab", "abc"], ["a"]),
        ("*a*b*", ["ab", "xaxbx"], ["ba"]),
        (r"a\*", ["a*"], ["ab", "a"]),
        (r"\?", ["?"], ["a"]),
        (r"\\", ["\\"], ["\\\\"]),
        (r"a\b", ["ab"], [r"a\b"]),
        ("a\\", ["a\\"], ["a"]),
        (r"\**", ["*", "*x"], ["x"]),
        ("[a].+(|)^$", ["[a].+(|)^$"], ["a"]),
        ("*[a].+*", ["x[a].+y"], ["xay"]),
    ],
)
def test_wildcards_stand_for_any_text_or_one_character(pattern, fits, does_not):
    assert {text: matcher([pattern])(text) for text in fits + does_not} == {
        **dict.fromkeys(fits, True),
        **dict.fromkeys(does_not, False),
    }


def slowly(pattern, text):
    """Whether a text fits, by trying everything."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(slowly(pattern[1:], text[start:]) for start in range(len(text) + 1))
    if pattern[0] == "?":
        return bool(text) and slowly(pattern[1:], text[1:])
    if pattern[0] == "\\" and len(pattern) > 1:
        return text[:1] == pattern[1] and slowly(pattern[2:], text[1:])
    return text[:1] == pattern[0] and slowly(pattern[1:], text[1:])


@given(patterns=st.lists(st.text("ab*?\\", max_size=7), min_size=1, max_size=3), text=st.text("ab*\\", max_size=7))
def test_a_text_fits_if_trying_everything_says_so(patterns, text):
    assert matcher(patterns)(text) == any(slowly(pattern, text) for pattern in patterns)


def test_a_hostile_pattern_is_decided_at_once():
    # Tried naively this takes longer than the sun will shine.
    assert not matcher(["*a" * 100 + "*b"])("a" * 256)


def test_a_filter_on_tags_reads_the_tags_of_the_item():
    filters = Filters({}, tags=lambda item: item)
    assert filters.names == ["tag-key", "tag-value", "tag:KEY"]
