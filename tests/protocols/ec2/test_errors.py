import gzip
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network
from typing import Any

import pytest

from core import errors as core
from core.catalogue import RegionEntry
from core.errors import CoreError
from core.instances import Power
from core.limits import Limits as AccountLimits
from core.limits import Pace
from core.ports import DriverCode, DriverError
from core.tags import ResourceKind
from protocols.boundary import BodyBroken, BodyTooLarge, BodyTooSlow, Limits
from protocols.ec2 import ids, parameters, signatures
from protocols.ec2.errors import _MALFORMED, EC2_FAULTS, STS_FAULTS, fault_of
from tests.fleetfixture import CATALOGUE
from tests.protocols.ec2.served import FORM, Answer, Served, another_core, served
from tests.protocols.ec2.stage import GOOD, GROUP, INTERFACE, MACHINE, rows, set_stage

# --- the tables name everything that can be refused


def every(kind):
    return {kind, *(each for child in kind.__subclasses__() for each in every(child))}


NOT_FOR_EC2 = {
    **dict.fromkeys(
        every(core.PersonError), "only people sign in, and no verb that is called here has to do with them"
    ),
    core.UnknownApplication: "only the console and the operator name applications",
    core.ApplicationExists: "the same",
    core.ApiAccessOff: "only the console asks for what it says; a key of such an account is an unknown key",
    core.NonceUsed: "only OAuth has nonces",
    core.UnknownAccount: "only the operator names accounts",
    core.UnknownOrder: "EC2's callers name machines, not orders",
    core.ForeignOrder: "the same",
    core.OrderEnded: "the same: terminating what has ended succeeds",
}
BY_KIND = {core.LimitReached, core.UnknownResource}
"""What has a code for each kind of thing."""


def test_every_refusal_of_the_core_has_a_row_or_a_reason_why_it_cannot_come():
    # Those of drivers are DriverErrors, which have a row, or are told to the operator's commands only.
    refusals = {kind for kind in every(CoreError) if not kind.__module__.startswith("core.compute.")} - {CoreError}
    assert len(refusals) > 20
    assert {kind for kind in refusals if kind not in EC2_FAULTS} == NOT_FOR_EC2.keys() | BY_KIND


@pytest.mark.parametrize("kind", [*(field.name for field in fields(AccountLimits)), "addresses of a machine"])
def test_every_limit_has_a_code_and_tells_the_numbers(kind):
    error = core.LimitReached(kind, 7, 6, 2)
    fault = fault_of(error, is_sts=False)
    assert (fault.status, fault.code.endswith("LimitExceeded")) == (400, True)
    assert "limit of 7 allows: you have 6." in fault.text(error)


HAVE_THEIR_OWN = {ResourceKind.INSTANCE, ResourceKind.IMAGE, ResourceKind.KEY_PAIR, ResourceKind.ORDER}


@pytest.mark.parametrize("kind", sorted(set(ResourceKind) - HAVE_THEIR_OWN))
def test_every_kind_of_thing_has_a_code_for_one_that_is_not_there(kind):
    error = core.UnknownResource(kind, 9)
    fault = fault_of(error, is_sts=False)
    assert (fault.status, fault.code.endswith(".NotFound")) == (400, True)
    assert f"'{ids.PREFIXES[kind]}00000000000000009'" in fault.text(error)


@pytest.mark.parametrize("family", [signatures.SignatureError, parameters.BadParameter])
def test_every_refusal_of_the_codec_has_a_row(family):
    assert [kind for kind in every(family) - {family} if kind not in EC2_FAULTS] == []


def test_every_kind_of_id_has_a_code_for_a_malformed_one():
    assert _MALFORMED.keys() == ids.PREFIXES.keys()


@pytest.mark.parametrize("is_sts", [False, True])
@pytest.mark.parametrize("error", [ValueError("secret"), CoreError("secret"), KeyError("secret")])
def test_what_is_in_no_row_tells_the_caller_nothing(error, is_sts):
    fault = fault_of(error, is_sts=is_sts)
    assert (fault.status, fault.code) == (500, "InternalError")
    assert "secret" not in fault.text(error)


# --- and everything that they name can be met

Meeting = Callable[[Served], Awaitable[Answer]]


def asking(action: str, changes: dict[str, str] | None = None, **options: object) -> Meeting:
    """Ask for what would succeed but for the changes."""
    return lambda ec2: ec2.ask(action, GOOD[action] | (changes or {}), **options)


def sending(*request: object) -> Meeting:
    return lambda ec2: ec2.send(*request)


def anew(action: str) -> dict[str, Meeting]:
    """What may be wrong with any caller of any action."""
    return {
        "unsigned": sending("GET", f"/?Action={action}"),
        "another scheme": sending("GET", f"/?Action={action}", [("Authorization", "Bearer x")]),
        "half signed": sending("GET", f"/?Action={action}&AWSAccessKeyId=x"),
        "late": after(timedelta(minutes=16), action),
        "early": after(timedelta(minutes=-16), action),
        "wrong secret": lambda ec2: ec2.ask(action, GOOD[action], secret="wrong"),
        "no such key": lambda ec2: ec2.ask(action, GOOD[action], access_key="AKOFNOBODY"),
        "no such session": lambda ec2: ec2.ask(action, GOOD[action], token="x"),
        "an old session": with_an_old_session(action),
        "from elsewhere": from_elsewhere(action),
        "disabled": with_a_disabled_key(action),
        "without API access": without_api_access(action),
        "suspended": of_a_suspended_account(action),
    }


def after(time: timedelta, action: str) -> Meeting:
    async def ask(ec2: Served) -> Answer:
        send, waited = ec2.send, []

        async def wait_and_send(*request: object) -> Answer:
            waited.append(ec2.house.clock.advance(time))
            return await send(*request)

        ec2.send = wait_and_send
        answer = await ec2.ask(action, GOOD[action])
        assert waited
        return answer

    return ask


def with_an_old_session(action: str) -> Meeting:
    async def ask(ec2: Served) -> Answer:
        session = ec2.house.core.open_session(ec2.house.caller(), 900)
        ec2.house.clock.advance(timedelta(seconds=900))
        keys = {"access_key": session.access_key, "secret": session.secret_key, "token": session.token}
        return await ec2.ask(action, GOOD[action], **keys)

    return ask


def from_elsewhere(action: str) -> Meeting:
    async def ask(ec2: Served) -> Answer:
        return await ec2.ask(action, GOOD[action], holder=await ec2.house.allow_only(ip_network("192.0.2.0/24")))

    return ask


def with_a_disabled_key(action: str) -> Meeting:
    async def ask(ec2: Served) -> Answer:
        await ec2.house.administration.set_key_enabled(ec2.house.ours.key.access_key, is_enabled=False)
        return await ec2.ask(action, GOOD[action])

    return ask


def without_api_access(action: str) -> Meeting:
    async def ask(ec2: Served) -> Answer:
        await ec2.house.core.access.turn(ec2.house.caller(), is_on=False)
        return await ec2.ask(action, GOOD[action])

    return ask


def of_a_suspended_account(action: str) -> Meeting:
    async def ask(ec2: Served) -> Answer:
        await ec2.house.administration.suspend(ec2.house.ours.account.id)
        return await ec2.ask(action, GOOD[action])

    return ask


def within(limits: Limits, request: bytes) -> Meeting:
    async def ask(ec2: Served) -> Answer:
        async with served(ec2.house, limits=limits) as small:
            answer = await small.send_raw(request)
            ec2.front_end.refused.extend(small.front_end.refused)
            return answer

    return ask


async def stopping_what_is_stopped(ec2: Served) -> Answer:
    await ec2.house.seen(Power.STOPPED)
    return await ec2.ask("RebootInstances", GOOD["RebootInstances"])


async def elsewhere(ec2: Served, asked: Sequence[str], **served_so: Any) -> Answer:
    """Ask the same house at an endpoint of its own, one action after the other."""
    async with served(ec2.house, **served_so) as other:
        for action in asked:
            answer = await other.ask(action, GOOD[action])
        ec2.front_end.refused.extend(other.front_end.refused)
        return answer


async def asking_twice_at_once(ec2: Served) -> Answer:
    paced = another_core(ec2.house, pace=Pace(1, 1, lambda: 0))
    return await elsewhere(ec2, ["DescribeRegions", "DescribeRegions"], core=paced)


def signing_for_a_region_that_is_not_there(action: str) -> Meeting:
    async def ask(ec2: Served) -> Answer:
        mars = replace(CATALOGUE, regions=[RegionEntry("mars-1", "mars")], zones=[])
        await ec2.house.administration.set_catalogue(mars)
        return await elsewhere(ec2, [action], mount={"is_strict": True})

    return ask


async def reading_a_console_that_is_out_of_reach(ec2: Served) -> Answer:
    async def console(_: int) -> bytes:
        raise DriverError(DriverCode.UNAVAILABLE, "The host does not answer.", detail="secret")

    answer = await elsewhere(ec2, ["GetConsoleOutput"], core=another_core(ec2.house, console=console))
    assert answer.message == "The host does not answer."
    return answer


def with_images(**changes: object) -> Meeting:
    """Book a machine once the images are others."""

    async def ask(ec2: Served) -> Answer:
        images = [replace(image, **changes) for image in CATALOGUE.images]
        await ec2.house.administration.set_catalogue(replace(CATALOGUE, images=images))
        return await ec2.ask("RunInstances", GOOD["RunInstances"])

    return ask


async def letting_ask_what_must_not(ec2: Served) -> Answer:
    products = [replace(product, has_metadata=False) for product in CATALOGUE.products]
    await ec2.house.administration.set_catalogue(replace(CATALOGUE, products=products))
    await ec2.ask("RunInstances", {**GOOD["RunInstances"], "ClientToken": "another"})
    asked = {"InstanceId": "i-00000000000000001", "HttpEndpoint": "disabled"}
    await ec2.ask("ModifyInstanceMetadataOptions", asked)
    return await ec2.ask("ModifyInstanceMetadataOptions", {**asked, "HttpEndpoint": "enabled"})


async def terminating_what_is_protected(ec2: Served) -> Answer:
    await ec2.ask("ModifyInstanceAttribute", {"InstanceId": MACHINE, "DisableApiTermination.Value": "true"})
    return await ec2.ask("TerminateInstances", GOOD["TerminateInstances"])


async def booking_on_a_lost_disk(ec2: Served) -> Answer:
    # The store does not write to a file that is no longer where it was.
    file = ec2.folder / "onefleet.db"
    aside = file.rename(file.with_suffix(".aside"))
    try:
        return await ec2.ask("RunInstances", GOOD["RunInstances"])
    finally:
        aside.rename(file)


async def booking_for_more_than_one_may_spend(ec2: Served) -> Answer:
    await ec2.house.core.spending.set_limits(ec2.house.caller(), Decimal("0.01"), None)
    return await ec2.ask("RunInstances", GOOD["RunInstances"])


DEFAULT_GROUP = "sg-00000000000000001"


def allowing(permission: dict[str, str]) -> Meeting:
    return asking("AuthorizeSecurityGroupIngress", {f"IpPermissions.1.{name}": permission[name] for name in permission})


async def describing_a_rule_that_is_not_there(ec2: Served) -> Answer:
    rule = {"IpProtocol": "udp", "FromPort": "1", "ToPort": "1", "IpRanges.1.CidrIp": "0.0.0.0/0"}
    asked = {"GroupId": GROUP, **{f"IpPermissions.1.{name}": rule[name] for name in rule}}
    return await ec2.ask("UpdateSecurityGroupRuleDescriptionsIngress", asked)


async def deleting_a_group_with_a_machine_in_it(ec2: Served) -> Answer:
    asked = {"NetworkInterfaceId": INTERFACE, "SecurityGroupId.1": GROUP}
    assert (await ec2.ask("ModifyNetworkInterfaceAttribute", asked)).code == ""
    return await ec2.ask("DeleteSecurityGroup", GOOD["DeleteSecurityGroup"])


async def joining_six_groups(ec2: Served) -> Answer:
    asked = {"NetworkInterfaceId": INTERFACE}
    for number in range(6):
        made = await ec2.ask("CreateSecurityGroup", {"GroupName": f"g{number}", "GroupDescription": "it"})
        asked[f"SecurityGroupId.{number}"] = made.root.findtext("{*}groupId")
    return await ec2.ask("ModifyNetworkInterfaceAttribute", asked)


async def holding_more_than_there_are(ec2: Served) -> Answer:
    for _ in range(16):
        answer = await ec2.ask("AllocateAddress")
    return answer


async def binding_an_address_twice(ec2: Served) -> Answer:
    assert (await ec2.ask("AssociateAddress", GOOD["AssociateAddress"])).code == ""
    await ec2.ask("RunInstances", GOOD["RunInstances"])
    other = {"InstanceId": "i-00000000000000002", "AllowReassociation": "false"}
    return await ec2.ask("AssociateAddress", GOOD["AssociateAddress"] | other)


async def releasing_a_bound_address(ec2: Served) -> Answer:
    assert (await ec2.ask("AssociateAddress", GOOD["AssociateAddress"])).code == ""
    return await ec2.ask("ReleaseAddress", GOOD["ReleaseAddress"])


HEAD = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 100\r\n\r\n".encode()
CALLER = anew("DescribeInstances")

EC2_MEETINGS: dict[type[Exception], tuple[int, str, Meeting]] = {
    signatures.MissingSignature: (403, "MissingAuthenticationToken", CALLER["unsigned"]),
    signatures.IncompleteSignature: (400, "IncompleteSignature", CALLER["half signed"]),
    signatures.UnsupportedAlgorithm: (400, "IncompleteSignature", CALLER["another scheme"]),
    signatures.RequestExpired: (400, "RequestExpired", CALLER["late"]),
    signatures.SignatureMismatch: (401, "AuthFailure", CALLER["wrong secret"]),
    core.UnknownKey: (401, "AuthFailure", CALLER["no such key"]),
    core.InvalidSession: (401, "AuthFailure", CALLER["no such session"]),
    core.SessionExpired: (400, "RequestExpired", CALLER["an old session"]),
    core.AddressNotAllowed: (403, "UnauthorizedOperation", CALLER["from elsewhere"]),
    core.AccountSuspended: (403, "Blocked", CALLER["suspended"]),
    parameters.BadEncoding: (404, "MalformedQueryString", sending("GET", "/?Action=%ff")),
    parameters.UnknownParameter: (400, "UnknownParameter", asking("DescribeInstances", {"X": ""})),
    parameters.MissingParameter: (400, "MissingParameter", lambda ec2: ec2.ask("CreateKeyPair")),
    parameters.DuplicateParameter: (400, "InvalidParameterCombination", asking("StopInstances", {"InstanceId": "1"})),
    parameters.InvalidValue: (400, "InvalidParameterValue", asking("StopInstances", {"Force": "maybe"})),
    ids.UnknownIdKind: (400, "InvalidID", asking("CreateTags", {"ResourceId.1": "snap-1"})),
    BodyBroken: (400, "InvalidHttpRequest", sending("POST", "/", [("Content-Encoding", "gzip")], b"no gzip")),
    BodyTooLarge: (413, "RequestEntityTooLarge", within(Limits(body_bytes=99), HEAD + b"x" * 100)),
    BodyTooSlow: (408, "RequestTimeout", within(Limits(body_seconds=0.01), HEAD)),
    core.InvalidRequest: (400, "InvalidParameterValue", asking("RunInstances", {"MaxCount": "1001"})),
    core.DryRunPassed: (412, "DryRunOperation", asking("StopInstances", {"DryRun": "true"})),
    core.UnknownProduct: (400, "InvalidParameterValue", asking("RunInstances", {"InstanceType": "x"})),
    core.UnknownImage: (400, "InvalidAMIID.NotFound", asking("RunInstances", {"ImageId": "ami-12345678"})),
    core.UnknownZone: (400, "InvalidParameterValue", asking("RunInstances", {"Placement.AvailabilityZone": "x"})),
    core.NotOfferedInZone: (400, "Unsupported", asking("RunInstances", {"Placement.AvailabilityZone": "eu-1a"})),
    core.InsufficientCapacity: (
        500,
        "InsufficientInstanceCapacity",
        asking("RunInstances", {"InstanceType": "nvidia-1080ti", "MinCount": "6", "MaxCount": "6"}),
    ),
    core.SpendingLimitReached: (400, "InstanceLimitExceeded", booking_for_more_than_one_may_spend),
    core.TokenReused: (400, "IdempotentParameterMismatch", asking("RunInstances", {"ClientToken": "ours-token"})),
    core.UnknownInstances: (400, "InvalidInstanceID.NotFound", asking("StopInstances", {"InstanceId.1": "9"})),
    core.IncorrectState: (400, "IncorrectInstanceState", stopping_what_is_stopped),
    core.UnknownKeyPairs: (400, "InvalidKeyPair.NotFound", asking("RunInstances", {"KeyName": "x"})),
    core.KeyPairExists: (400, "InvalidKeyPair.Duplicate", asking("CreateKeyPair", {"KeyName": "mine"})),
    core.InvalidKeyMaterial: (400, "InvalidKey.Format", asking("ImportKeyPair", {"PublicKeyMaterial": "AAAA"})),
    core.TooManyTags: (400, "TagLimitExceeded", asking("CreateTags", {f"Tag.{n}.Key": f"{n}" for n in range(2, 60)})),
    core.InvalidTag: (400, "InvalidParameterValue", asking("CreateTags", {"Tag.1.Key": "aws:x"})),
    core.StoreUnavailable: (503, "Unavailable", booking_on_a_lost_disk),
    core.GroupExists: (400, "InvalidGroup.Duplicate", asking("CreateSecurityGroup", {"GroupName": "web"})),
    core.GroupInUse: (400, "DependencyViolation", deleting_a_group_with_a_machine_in_it),
    core.DefaultGroup: (400, "CannotDelete", asking("DeleteSecurityGroup", {"GroupId": DEFAULT_GROUP})),
    core.TooManyGroups: (400, "SecurityGroupsPerInterfaceLimitExceeded", joining_six_groups),
    core.InvalidRule: (400, "InvalidParameterValue", allowing({"IpProtocol": "x"})),
    core.RuleExists: (400, "InvalidPermission.Duplicate", allowing({"ToPort": "80", "IpRanges.1.CidrIp": "0.0.0.0/0"})),
    core.UnknownRule: (400, "InvalidPermission.NotFound", describing_a_rule_that_is_not_there),
    core.TooManyRules: (
        400,
        "RulesPerSecurityGroupLimitExceeded",
        allowing({f"IpRanges.{n}.CidrIp": f"198.51.100.{n}/32" for n in range(1, 61)}),
    ),
    core.NoAddressLeft: (500, "InsufficientAddressCapacity", holding_more_than_there_are),
    core.AddressBound: (400, "Resource.AlreadyAssociated", binding_an_address_twice),
    core.AddressInUse: (400, "InvalidIPAddress.InUse", releasing_a_bound_address),
    core.DiskInUse: (400, "VolumeInUse", asking("DeleteVolume", {"VolumeId": "vol-00000000000000001"})),
    core.TooManyRequests: (503, "RequestLimitExceeded", asking_twice_at_once),
    core.UnknownRegion: (401, "AuthFailure", signing_for_a_region_that_is_not_there("DescribeRegions")),
    core.NotOfferedInRegion: (400, "Unsupported", asking("RunInstances", {"InstanceType": "nvidia-1060"})),
    core.DoesNotFit: (400, "InvalidParameterCombination", with_images(least_disk_gib=101)),
    core.UnfitImage: (400, "InvalidParameterCombination", with_images(architecture="arm64")),
    core.NoMetadataService: (400, "UnsupportedOperation", letting_ask_what_must_not),
    core.Protected: (400, "OperationNotPermitted", terminating_what_is_protected),
    core.PrivateAddressTaken: (
        400,
        "InvalidIPAddress.InUse",
        asking("RunInstances", {"PrivateIpAddress": "10.2.0.5", "MaxCount": "1"}),
    ),
    DriverError: (503, "Unavailable", reading_a_console_that_is_out_of_reach),
}

STS_CALLER = anew("GetCallerIdentity")


async def opening_a_session_in_a_session(ec2: Served) -> Answer:
    session = ec2.house.core.open_session(ec2.house.caller(), 900)
    keys = {"access_key": session.access_key, "secret": session.secret_key, "token": session.token}
    return await ec2.ask("GetSessionToken", **keys)


STS_MEETINGS: dict[type[Exception], tuple[int, str, Meeting]] = {
    signatures.RequestExpired: (403, "SignatureDoesNotMatch", STS_CALLER["early"]),
    signatures.SignatureMismatch: (403, "SignatureDoesNotMatch", STS_CALLER["wrong secret"]),
    core.UnknownKey: (403, "InvalidClientTokenId", STS_CALLER["disabled"]),
    core.InvalidSession: (403, "InvalidClientTokenId", STS_CALLER["no such session"]),
    core.SessionExpired: (403, "ExpiredToken", STS_CALLER["an old session"]),
    core.AddressNotAllowed: (403, "AccessDenied", STS_CALLER["from elsewhere"]),
    core.UnknownRegion: (403, "SignatureDoesNotMatch", signing_for_a_region_that_is_not_there("GetCallerIdentity")),
    parameters.InvalidValue: (400, "ValidationError", asking("GetSessionToken", {"DurationSeconds": "1"})),
    core.InvalidRequest: (400, "ValidationError", opening_a_session_in_a_session),
}


@pytest.mark.parametrize("kind", EC2_MEETINGS)
async def test_a_refusal_has_its_status_and_code_in_ec2s_form_and_changes_nothing(ec2, kind):
    await set_stage(ec2.house)
    status, code, meet = EC2_MEETINGS[kind]
    answer = await meet(ec2)
    assert (answer.status, answer.code) == (status, code)
    assert isinstance(ec2.front_end.refused[-1], kind)
    assert not answer.root.xpath("//*[namespace-uri()]")
    assert (await rows(ec2.house))["instances"][1].cause in (None, "guest")


@pytest.mark.parametrize("kind", STS_MEETINGS)
async def test_a_refusal_has_its_status_and_code_in_stss_form(ec2, kind):
    status, code, meet = STS_MEETINGS[kind]
    answer = await meet(ec2)
    assert (answer.status, answer.sts_code) == (status, code)
    assert isinstance(ec2.front_end.refused[-1], kind)


def test_every_row_is_met():
    assert EC2_MEETINGS.keys() == EC2_FAULTS._rows.keys()
    assert STS_MEETINGS.keys() == STS_FAULTS._rows.keys()


# --- who asks

REFUSED_CALLERS = {
    "unsigned": (403, "MissingAuthenticationToken"),
    "another scheme": (400, "IncompleteSignature"),
    "half signed": (400, "IncompleteSignature"),
    "late": (400, "RequestExpired"),
    "early": (400, "RequestExpired"),
    "wrong secret": (401, "AuthFailure"),
    "no such key": (401, "AuthFailure"),
    "no such session": (401, "AuthFailure"),
    "an old session": (400, "RequestExpired"),
    "from elsewhere": (403, "UnauthorizedOperation"),
    "disabled": (401, "AuthFailure"),
    "without API access": (401, "AuthFailure"),
    "suspended": (403, "Blocked"),
}


@pytest.mark.parametrize("trouble", REFUSED_CALLERS)
async def test_a_caller_who_cannot_be_trusted_changes_nothing(ec2, trouble):
    await set_stage(ec2.house)
    before = (await rows(ec2.house))["instances"]
    answer = await anew("TerminateInstances")[trouble](ec2)
    assert (answer.status, answer.code) == REFUSED_CALLERS[trouble]
    assert (await rows(ec2.house))["instances"] == before


async def test_an_application_that_is_not_enabled_is_unknown(ec2, house):
    off = replace(house.ours.application, is_enabled=False)
    await house.store.transact(lambda tx: tx.put(off))
    assert (await ec2.ask("DescribeInstances")).code == "AuthFailure"


async def test_a_renewed_key_is_refused_at_once_and_the_new_one_works(ec2, house):
    renewed = await house.administration.renew_key(house.ours.key.access_key)
    assert (await ec2.ask("DescribeInstances")).code == "AuthFailure"
    assert (await ec2.ask("DescribeInstances", holder=renewed)).code == ""


async def test_an_application_may_be_used_from_its_own_addresses(ec2, house):
    here = await house.allow_only(ip_network("192.0.2.0/24"), ip_network("127.0.0.0/8"))
    assert (await ec2.ask("DescribeInstances", holder=here)).code == ""


async def test_the_address_that_counts_is_the_clients_if_a_proxy_of_ours_names_it(house, ec2):
    holder = await house.allow_only(ip_network("192.0.2.0/24"))
    forwarded = [("X-Forwarded-For", "198.51.100.1, 192.0.2.7")]
    assert (await ec2.ask("DescribeInstances", holder=holder, headers=forwarded)).code == "UnauthorizedOperation"
    async with served(house, proxies=[ip_network("127.0.0.0/8")]) as behind:
        assert (await behind.ask("DescribeInstances", holder=holder, headers=forwarded)).code == ""
        assert (await behind.ask("DescribeInstances", holder=holder)).code == "UnauthorizedOperation"


async def test_the_host_that_was_signed_is_the_one_that_a_proxy_of_ours_was_called_by(house, ec2):
    del ec2
    async with served(house, proxies=[ip_network("127.0.0.0/8")]) as behind:
        send = behind.send

        async def through_proxy(method, target, headers, body):
            headers = [(name, value) for name, value in headers if name != "Host"]
            return await send(method, target, [*headers, ("X-Forwarded-Host", "cloud.test")], body)

        behind.send = through_proxy
        assert (await behind.ask("DescribeInstances", host="cloud.test")).code == ""
        assert (await behind.ask("DescribeInstances", host="other.test")).code == "AuthFailure"


async def test_the_host_that_was_signed_is_the_public_one_or_the_one_that_was_called(house, ec2):
    del ec2
    async with served(house, public_url=("https", "cloud.test")) as public:
        assert (await public.ask("DescribeInstances")).code == ""
        send = public.send

        async def called_directly(method, target, headers, body):
            headers = [(name, value) for name, value in headers if name != "Host"]
            return await send(method, target, headers, body)

        public.send = called_directly
        assert (await public.ask("DescribeInstances", host="cloud.test")).code == ""
        assert (await public.ask("DescribeInstances", host="other.test")).code == "AuthFailure"


# --- its texts


@pytest.mark.parametrize("action", ["", "x" * 60_000, "<a>&\x00", "é"])
async def test_a_text_that_repeats_what_was_sent_stays_short_and_well_formed(ec2, action):
    answer = await ec2.ask(action)
    assert answer.code in ("MissingAction", "InvalidAction")
    assert len(answer.body) < 10_000


async def test_a_body_may_be_compressed_if_that_is_what_was_signed(ec2):
    # aiohttp unpacks it; the signature covers what is unpacked.
    body = gzip.compress(b"Action=DescribeInstances")
    answer = await ec2.send("POST", "/", [("Content-Type", FORM), ("Content-Encoding", "gzip")], body)
    assert answer.code == "MissingAuthenticationToken"


async def test_the_machine_is_named_as_ec2_names_it(ec2):
    await set_stage(ec2.house)
    answer = await stopping_what_is_stopped(ec2)
    assert answer.message == (
        f"The instance '{MACHINE}' is not in a state from which it can be rebooted. It is stopped."
    )
