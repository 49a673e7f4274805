from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest
from aiohttp import web
from lxml import etree

from gateway.innerdoor import open_inner_door
from protocols.boundary import Boundary
from protocols.console.house import House as Lent
from protocols.console.views.explorer import LONGEST_SHOWN, shown
from protocols.ec2.app import Ec2FrontEnd
from protocols.ec2.explorable import Ec2Explorable
from protocols.ec2.settings import Ec2Settings
from protocols.explorable import Answered
from protocols.zerosix.app import ZeroSixFrontEnd
from protocols.zerosix.explorable import ZeroSixExplorable
from tests.protocols.console.served import LIMITS, serve
from tests.protocols.zerosix.served import SETTINGS

EC2 = Ec2Settings()
LIMITED = ip_network("203.0.113.0/24")
EVIL = "<script>alert(1)</script>\"'"
DESCRIBE = {"protocol": "EC2", "operation": "DescribeInstances"}


@asynccontextmanager
async def apis(house, folder):
    """Serve both APIs at an inner door, and yield it."""
    boundary = Boundary(limits=LIMITS, proxies=(), public_url=None, record=lambda *_: None)
    app = web.Application(client_max_size=LIMITS.body_bytes)
    app.router.add_route("*", "/", boundary.handler(Ec2FrontEnd(house.core, boundary, EC2)))
    zerosix = ZeroSixFrontEnd(house.core, SETTINGS, boundary)
    zerosix.mount(app, boundary.handler(zerosix))
    runner = web.AppRunner(app)
    await runner.setup()
    async with open_inner_door(folder) as door, door.listening(runner):
        yield door
    await runner.cleanup()


@pytest.fixture
async def site(house, tmp_path):
    async with apis(house, tmp_path) as door:
        lent = Lent((Ec2Explorable(EC2), ZeroSixExplorable(SETTINGS)), door)
        async with serve(house, lent=lent) as running:
            yield running


@pytest.fixture
def call(console, house):
    """Fills in an operation and sends it; fields of the operation by their names, others as they are."""

    async def send(protocol, operation, fields=None, **more):
        typed = {f"field.{name}": value for name, value in (fields or {}).items()}
        form = {"protocol": protocol, "operation": operation, "key": house.ours.key.access_key, "region": "eu-1"}
        return await console.post("explorer", form | typed | more)

    return send


def answer_on(page):
    return page.text_of(".answer pre")


# --- picking


async def test_the_operations_of_both_protocols_are_offered(console):
    links = (await console.get("explorer")).texts("#operations a")
    assert {"RunInstances", "DescribeInstances", "GET products", "DELETE orders/{id}"} <= set(links)


async def test_every_operation_has_a_form_that_is_small_enough(console):
    links = [
        each.get("href").removeprefix("/console/") for each in (await console.get("explorer")).all("#operations a")
    ]
    for link in links:
        page = await console.get(link)
        assert page.status == 200, link
        assert len(page.text) < 100_000, link


async def test_operations_are_found_by_words_of_their_names_and_summaries(console):
    assert (await console.get("explorer?search=terminate+instances")).texts("#operations a") == ["TerminateInstances"]
    assert "Nothing is called so" in (await console.get("explorer?search=xyzzy")).visible
    part = await console.get("explorer?part=list&search=RunInst")
    assert part.text.count("<a ") == 1
    assert "<html" not in part.text


@pytest.mark.parametrize(
    "query", ["protocol=EC2&operation=Nothing", "protocol=X&operation=RunInstances", "operation=x"]
)
async def test_what_cannot_be_picked_is_not_found(console, query):
    assert (await console.get(f"explorer?{query}")).status == 404


async def test_where_api_access_is_off_it_is_told_where_to_turn_it_on(console, house, call):
    await house.core.access.turn(house.caller(), is_on=False)
    page = await console.get("explorer")
    assert page.all("main a[href='/console/api']")
    assert (await call("EC2", "DescribeInstances")).problems == ["API access is off; turn it on first."]


async def test_an_operator_who_acts_for_somebody_sends_nothing_in_the_name_of_their_key(operator, house):
    await operator.post("operator/act", {"account": house.ours.account.id})
    assert "Not while you act" in (await operator.get("explorer?protocol=EC2&operation=DescribeVpcs")).visible
    page = await operator.post("explorer", DESCRIBE | {"key": house.ours.key.access_key})
    assert "Not while you act" in page.visible
    assert not page.all(".answer")


async def test_without_a_key_that_works_it_is_told_where_to_make_one(console, house):
    await house.core.access.set_key_enabled(house.caller(), house.ours.key.access_key, is_enabled=False)
    page = await console.get("explorer?protocol=EC2&operation=DescribeInstances")
    assert "You have no key that works" in page.visible
    assert not page.all("main form")


# --- sending


async def test_the_answer_of_ec2_is_shown_indented(call, ours):
    page = await call("EC2", "DescribeInstances")
    assert page.text_of("#answer").startswith("Answer: 200 after ")
    document = etree.fromstring(page.all(".answer pre")[0].text_content())
    assert len(document.findall(".//{*}instanceId")) == 2
    assert "\n  <requestId>" in page.all(".answer pre")[0].text_content()


async def test_the_answer_of_zerosix_is_shown_indented(call):
    page = await call("ZeroSix", "GET products", {"per_page": "1"})
    text = page.all(".answer pre")[0].text_content()
    assert text.startswith("[\n  {\n    ")
    assert page.text_of("#answer").startswith("Answer: 200")


async def test_the_signed_request_and_other_spellings_are_shown_without_the_secret(call, house):
    page = await call("EC2", "DescribeInstances")
    assert "AWS4-HMAC-SHA256 Credential=" + house.ours.key.access_key in page.visible
    assert page.texts("main summary")[:4] == [
        "The request, as signed",
        "The same for aws CLI",
        "The same for boto3",
        "The same for curl",
    ]
    assert house.ours.key.secret_key not in page.text


async def test_a_request_is_signed_without_being_sent(call, house):
    page = await call("EC2", "RunInstances", {"InstanceType": "plain"}, do="show")
    assert not page.all(".answer")
    assert "Action=RunInstances" in page.visible
    assert await house.machines() == []


async def test_what_the_api_refuses_is_shown_as_its_answer(call):
    page = await call("EC2", "DescribeInstances", {"InstanceId": "i-1"})
    assert page.text_of("#answer").startswith("Answer: 400")
    assert "<Code>InvalidInstanceID." in answer_on(page)


async def test_a_key_that_may_not_be_used_from_here_is_refused_by_the_api(call, house):
    application = house.ours.application
    await house.store.transact(lambda tx: tx.put(replace(application, networks=(LIMITED,))))
    assert (await call("EC2", "DescribeInstances")).text_of("#answer").startswith("Answer: 4")


# --- what changes something


async def test_what_changes_something_is_asked_about_first_and_then_done(call, console, house):
    product = await house.product("plain")
    fields = {"product_id": str(product.id), "instances": "2"}
    question = await call("ZeroSix", "PUT orders", fields)
    assert "PUT orders" in question.text_of("h1")
    assert "instances: 2" in question.visible
    assert await house.machines() == []
    pairs = {each.get("name"): each.get("value") for each in question.all("main input[type='hidden']")}
    done = await console.post("explorer", pairs)
    assert done.text_of("#answer").startswith("Answer: 200")
    assert len(await house.machines()) == 2


async def test_whoever_goes_back_from_the_question_finds_what_was_typed(call, console):
    typed = {"InstanceType": "plain", "MinCount": "1", "MaxCount": "2", "SecurityGroupId": "sg-1\r\nsg-2"}
    question = await call("EC2", "RunInstances", typed, extra="Placement.AvailabilityZone=eu-1b", region="ap-1")
    [back] = [each.get("href") for each in question.all("main a") if "go back" in each.text_content()]
    page = await console.get(back.removeprefix("/console/"))
    assert page.value("field.SecurityGroupId").split() == ["sg-1", "sg-2"]
    assert (page.value("field.MaxCount"), page.value("region")) == ("2", "ap-1")
    assert page.value("extra").strip() == "Placement.AvailabilityZone=eu-1b"


async def test_only_the_operation_is_found_again_where_a_great_deal_was_typed(call):
    question = await call("EC2", "RunInstances", {"UserData": "x" * 20_000, "MinCount": "1", "MaxCount": "1"})
    assert [len(each.get("href")) < 300 for each in question.all("main a")] == [True]


async def test_what_only_reads_is_not_asked_about(call):
    for protocol, operation in (("EC2", "DescribeVpcs"), ("ZeroSix", "GET orders")):
        assert (await call(protocol, operation)).all(".answer")


async def test_what_was_typed_stays_when_it_has_been_sent(call):
    typed = {"InstanceId": "i-1\r\ni-2", "MaxResults": "7"}
    page = await call("EC2", "DescribeInstances", typed, extra="Filter.1.Name=vpc-id")
    assert page.value("field.InstanceId").split() == ["i-1", "i-2"]
    assert page.value("field.MaxResults") == "7"
    assert page.value("key")


# --- what cannot be sent


async def test_a_field_that_cannot_be_sent_is_named_and_nothing_typed_is_lost(call):
    page = await call("EC2", "DescribeInstances", {"Filter": "no sign", "InstanceId": "i-1"})
    assert page.status == 422
    assert "name=" in page.problem("field.Filter") or "'no sign'" in page.problem("field.Filter")
    assert page.value("field.InstanceId").strip() == "i-1"


async def test_a_part_of_the_path_that_is_missing_is_named(call):
    assert (await call("ZeroSix", "GET orders/{id}")).problem("field.id")


@pytest.mark.parametrize("kind", ["theirs", "unknown", "disabled", ""])
async def test_no_key_but_a_working_one_of_our_own_signs(call, house, kind):
    await house.core.access.set_key_enabled(house.caller(), house.ours.key.access_key, is_enabled=kind != "disabled")
    key = {"theirs": house.theirs.key.access_key, "disabled": house.ours.key.access_key}.get(kind, kind)
    page = await call("EC2", "DescribeInstances", key=key)
    assert page.status == 422
    assert not page.all(".answer")
    assert house.theirs.key.secret_key not in page.text


async def test_a_region_that_there_is_not_is_refused(call):
    page = await call("EC2", "DescribeInstances", region="nowhere")
    assert "nowhere" in page.problem("region")


async def test_what_was_typed_runs_nothing(call):
    for page in (
        await call("EC2", "DescribeInstances", {"InstanceId": EVIL}, extra=f"A={EVIL}"),
        await call("EC2", "RunInstances", {"InstanceType": EVIL, "MinCount": EVIL, "MaxCount": "1"}),
        await call("ZeroSix", "GET orders", {"search": EVIL}, do="show"),
    ):
        assert page.status == 200
        assert "alert(1)" in page.visible
        assert not page.all("main script")


# --- answers of any kind


def answered(body, kind="text/xml", **changes):
    return Answered(**{"status": 200, "headers": [("Content-Type", kind)], "body": body, "seconds": 0.1} | changes)


def test_an_answer_never_reads_a_file_or_grows_by_entities():
    body = b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY b "bbbb">]><a>&f;&b;</a>'
    text = shown(answered(body)).text
    assert "root:" not in text
    assert "bbbb" not in text.partition("<a>")[2]


@pytest.mark.parametrize("kind", ["text/xml", "application/json;charset=UTF-8", "text/plain", "image/png"])
def test_an_answer_that_is_not_what_it_says_is_shown_as_it_is(kind):
    assert shown(answered(b"<half \xff", kind)).text == "<half \ufffd"


def test_a_very_long_answer_is_cut_and_says_so():
    long = shown(answered(b"x" * (LONGEST_SHOWN + 1), "text/plain"))
    assert (len(long.text), long.is_cut) == (LONGEST_SHOWN, True)
    assert not shown(answered(b"x" * LONGEST_SHOWN, "text/plain")).is_cut


def test_an_answer_of_which_only_the_beginning_came_says_so():
    assert shown(answered(b"<a>", is_whole=False)).is_cut


def test_a_nested_document_that_is_too_deep_is_shown_as_it_is():
    assert shown(answered(b"[" * 100_000, "application/json")).text.startswith("[[[")
