import base64

import pytest

# The parameter that asks for pages is the same everywhere; what differs is how many may be asked for.
BOUNDS = {
    "DescribeInstances": (5, 1000),
    "DescribeInstanceStatus": (5, 1000),
    "DescribeInstanceTypes": (5, 100),
    "DescribeInstanceTypeOfferings": (5, 1000),
    "DescribeInstanceCreditSpecifications": (5, 1000),
    "DescribeImages": (1, 1000),
    "DescribeTags": (5, 1000),
}


async def first_page(ours, operation="describe_instances", **asked):
    ids = await ours.run(9)
    await ours.create_tags(Resources=ids, Tags=[{"Key": "a", "Value": "b"}])
    return await getattr(ours, operation)(MaxResults=5, **asked)


@pytest.mark.parametrize("action", BOUNDS)
async def test_a_page_has_a_least_and_a_greatest_size(ec2, action):
    least, most = BOUNDS[action]
    sizes = [least, most, least - 1, most + 1, 0, -1, 2**31]
    codes = [(await ec2.ask(action, {"MaxResults": str(size)})).code for size in sizes]
    assert codes == ["", "", *["InvalidParameterValue"] * 5]


@pytest.mark.parametrize("text", ["ten", "5.0", "", " 5", "\u0665", "9" * 50])
async def test_a_size_that_is_no_number_is_refused(ec2, text):
    answer = await ec2.ask("DescribeInstances", {"MaxResults": text})
    assert (answer.status, answer.code) == (400, "InvalidParameterValue")


@pytest.mark.parametrize("action", BOUNDS)
async def test_a_token_that_we_did_not_make_is_refused(ec2, action):
    made_up = base64.urlsafe_b64encode(b"[1].signature").decode()
    tokens = ["x", "é", "=", "....", made_up, "A" * 5000, base64.b64encode(b"\xff\xfe").decode(), "\x00"]
    answers = [await ec2.ask(action, {"NextToken": token}) for token in tokens]
    assert {(answer.status, answer.code) for answer in answers} == {(400, "InvalidNextToken")}


async def test_a_token_that_was_altered_is_refused(ours):
    token = (await first_page(ours))["NextToken"]
    altered = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token) - 2, 7)]
    codes = {await ours.code("describe_instances", MaxResults=5, NextToken=each) for each in altered}
    assert codes == {"InvalidNextToken"}


async def test_an_empty_token_is_none(ec2):
    assert (await ec2.ask("DescribeInstances", {"NextToken": "", "MaxResults": "5"})).code == ""


async def test_the_token_of_another_action_is_refused(ours):
    token = (await first_page(ours))["NextToken"]
    assert await ours.code("describe_instance_status", MaxResults=5, NextToken=token) == "InvalidNextToken"
    assert await ours.code("describe_tags", MaxResults=5, NextToken=token) == "InvalidNextToken"


async def test_a_token_is_for_the_filters_that_it_was_made_with(ours):
    wanted = [{"Name": "tag:a", "Values": ["b"]}]
    token = (await first_page(ours, Filters=wanted))["NextToken"]
    assert await ours.describe_instances(MaxResults=5, Filters=wanted, NextToken=token)
    assert await ours.code("describe_instances", MaxResults=5, NextToken=token) == "InvalidNextToken"


async def test_the_next_page_may_have_another_size(ours):
    token = (await first_page(ours, "describe_tags"))["NextToken"]
    assert len((await ours.describe_tags(MaxResults=1000, NextToken=token))["Tags"]) == 4


async def test_a_token_may_be_used_again(ours):
    token = (await first_page(ours, "describe_tags"))["NextToken"]
    again = [(await ours.describe_tags(MaxResults=5, NextToken=token))["Tags"] for _ in range(2)]
    assert again[0] == again[1]
