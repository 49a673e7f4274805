from datetime import timedelta

import pytest

from tests.protocols.ec2.served import WAYS


@pytest.fixture
def sts(ec2):
    return ec2.customer(service="sts")


def with_session(ec2, credentials, service="ec2", **options):
    """Return a customer who uses the credentials of a session."""
    return ec2.customer(
        service=service,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        **options,
    )


async def test_a_caller_is_the_root_of_its_account(sts, house):
    identity = await sts.get_caller_identity()
    account = str(house.ours.account.id)
    told = [identity[name] for name in ("Account", "UserId", "Arn")]
    assert told == [account, account, f"arn:aws:iam::{account}:root"]


async def test_a_session_acts_as_the_account_that_opened_it(ec2, sts, ours):
    ids = await ours.run()
    credentials = (await sts.get_session_token())["Credentials"]
    assert await with_session(ec2, credentials).machine(ids[0])
    identity = await with_session(ec2, credentials, "sts").get_caller_identity()
    assert identity["Account"] == str(ec2.house.ours.account.id)


@pytest.mark.parametrize("signature", ["v2", "v4"])
async def test_boto3_signs_with_a_session_in_both_versions(ec2, sts, signature):
    credentials = (await sts.get_session_token())["Credentials"]
    assert await with_session(ec2, credentials, signature_version=signature).describe_regions()


@pytest.mark.parametrize(
    ("asked", "seconds"), [({}, 3600), ({"DurationSeconds": 900}, 900), ({"DurationSeconds": 129600}, 129600)]
)
async def test_a_session_ends_when_it_says(ec2, sts, asked, seconds):
    credentials = (await sts.get_session_token(**asked))["Credentials"]
    now, length = ec2.house.clock.now(), timedelta(seconds=seconds)
    assert credentials["Expiration"] == now + length
    customer = with_session(ec2, credentials)
    ec2.house.clock.advance(length - timedelta(seconds=1))
    assert await customer.describe_regions()
    ec2.house.clock.advance(timedelta(seconds=1))
    assert (await customer.refusal("describe_regions"))[:2] == (400, "RequestExpired")
    assert (await with_session(ec2, credentials, "sts").refusal("get_caller_identity"))[:2] == (403, "ExpiredToken")


@pytest.mark.parametrize("seconds", ["899", "129601", "0", "-900", "soon", "9" * 40])
async def test_a_session_is_a_quarter_of_an_hour_to_a_day_and_a_half_long(ec2, seconds):
    answer = await ec2.ask("GetSessionToken", {"DurationSeconds": seconds})
    assert (answer.status, answer.sts_code) == (400, "ValidationError")


async def test_a_session_opens_no_session(ec2, sts):
    credentials = (await sts.get_session_token())["Credentials"]
    assert (await with_session(ec2, credentials, "sts").refusal("get_session_token"))[0] == 400


@pytest.mark.parametrize("parameter", [("SerialNumber", "arn:aws:iam::1:mfa/x"), ("TokenCode", "123456")])
async def test_there_are_no_devices_for_a_second_factor(ec2, parameter):
    answer = await ec2.ask("GetSessionToken", [parameter])
    assert (answer.status, answer.sts_code) == (400, "UnsupportedOperation")


async def test_a_session_ends_with_the_key_that_opened_it(ec2, sts):
    house, customer = ec2.house, with_session(ec2, (await sts.get_session_token())["Credentials"])
    await house.administration.set_key_enabled(house.ours.key.access_key, is_enabled=False)
    assert await customer.code("describe_regions") == "AuthFailure"
    await house.administration.set_key_enabled(house.ours.key.access_key, is_enabled=True)
    assert await customer.describe_regions()
    await house.administration.renew_key(house.ours.key.access_key)
    assert await customer.code("describe_regions") == "AuthFailure"


@pytest.mark.parametrize("how", WAYS)
async def test_a_token_stands_only_for_its_own_keys(ec2, how):
    core, house = ec2.house.core, ec2.house
    session, other = [core.open_session(house.caller(holder), 900) for holder in (house.ours, house.theirs)]

    async def code(token, access_key=session.access_key, secret=session.secret_key):
        return (await ec2.ask("DescribeRegions", how=how, token=token, access_key=access_key, secret=secret)).code

    assert await code(session.token) == ""
    refused = [
        await code(None),
        await code(other.token),
        await code(session.token, secret=other.secret_key),
        await code(session.token, house.ours.key.access_key, house.ours.key.secret_key),
        await code(session.token, other.access_key, other.secret_key),
        await code(session.token[:-4] + "AAAA"),
        await code("é"),
        await code("x"),
    ]
    assert set(refused) == {"AuthFailure"}


async def test_each_session_has_keys_of_its_own(sts):
    first, second = [(await sts.get_session_token())["Credentials"] for _ in range(2)]
    assert not {*map(str, first.values())} & {*map(str, second.values())} - {str(first["Expiration"])}
