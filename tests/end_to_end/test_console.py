"""Customers at work in the console, in real browsers, beside the programs that use both APIs."""

import csv
import re
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import expect

from tests.browser import Person, become_operator, browser, open_to_all
from tests.end_to_end.customer import IMAGE, number_of
from tests.running import Keys, eventually
from tests.showroom import SECTIONS, Clients

__all__ = ["browser"]

BOOKING = {"ImageId": IMAGE, "InstanceType": "gcl.1", "MinCount": 1, "MaxCount": 1}
PRICE = "0.015"  # of gcl.1 in config.toml


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with open_to_all(tmp_path_factory.mktemp("console"), **SECTIONS) as running:
        yield running


class Programmer(Person):
    """Somebody who has an API key, too: `api` is how their programs see the same account."""

    api: Clients


@pytest.fixture(scope="module")
def ann(browser, gateway):
    """Somebody for tests that share an account."""
    with Programmer(browser, gateway) as person:
        person.sign_up("ann@example.com", "Ann's shop")
        person.api = Clients(gateway, person.make_key())
        yield person
        assert person.complaints == []


@pytest.fixture
def newcomer(browser, gateway, request):
    with Person(browser, gateway) as person:
        yield person.sign_up(f"{request.node.name[:40]}@example.com")
        assert person.complaints == []


def stay(person):
    """Mark the open page: a reload would take the mark away."""
    person.page.evaluate("window.isTheSame = true")


def has_stayed(person):
    return person.page.evaluate("window.isTheSame === true")


def row_of(person, machine):
    return person.page.locator("#machines tbody tr", has_text=machine)


def end_all(api):
    living = [machine["InstanceId"] for machine in described(api) if machine["State"]["Name"] != "terminated"]
    if living:
        api.ec2.terminate_instances(InstanceIds=living)
        api.until("terminated", *living)


def described(api, *ids):
    told = api.ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
    return [machine for reservation in told for machine in reservation["Instances"]]


# --- the way to a first machine


def test_a_newcomer_turns_the_apis_on_and_both_take_the_key(newcomer, gateway):
    assert "You have no machines yet" in newcomer.text
    newcomer.turn_api_on()
    assert newcomer.message.startswith("API access is on")
    newcomer.fill("Name", "ci-runner")
    newcomer.fill("Addresses it may call from", "127.0.0.1\nnot-an-address")
    newcomer.press("Create application")
    assert "not-an-address" in newcomer.problem("networks")
    assert (newcomer.value("name"), newcomer.value("networks")) == ("ci-runner", "127.0.0.1\nnot-an-address")
    newcomer.fill("Addresses it may call from", "127.0.0.1")
    newcomer.press("Create application")
    newcomer.press("Update API key and hash")
    newcomer.context.grant_permissions(["clipboard-read", "clipboard-write"])
    pair = []
    for label in ("Copy key", "Copy hash"):
        newcomer.page.get_by_role("button", name=label).click()
        expect(newcomer.page.get_by_role("button", name="Copied")).to_be_visible()
        pair.append(newcomer.page.evaluate("navigator.clipboard.readText()"))
        expect(newcomer.page.get_by_role("button", name=label)).to_be_visible()
    access_key, secret_key = pair
    newcomer.follow("I have kept it")
    assert secret_key not in newcomer.page.content()

    api = Clients(gateway, Keys("", access_key, secret_key))
    [machine] = api.ec2.run_instances(**BOOKING)["Instances"]
    [order] = api.zerosix("GET", "orders")
    assert order["instances"][0]["ec2_instance_id"] == machine["InstanceId"]
    newcomer.go("api")
    used = newcomer.page.locator("tbody tr", has_text=access_key)
    expect(used).to_contain_text("127.0.0.1")


def test_a_machine_ordered_in_the_browser_is_the_same_in_both_apis(newcomer, gateway):
    api = Clients(gateway, newcomer.make_key())
    newcomer.go()
    newcomer.follow("Order a machine")
    newcomer.page.locator("main a[href$='/order/gcl.1']").first.click()
    newcomer.fill("Machines", "2")
    expect(newcomer.page.locator("#price")).to_contain_text("0.03 USD")
    newcomer.page.locator("input[name=name]").fill("shop")
    newcomer.fill("Tags", "project=web shop")
    newcomer.press("Review the order")
    assert "Cloud 1" in newcomer.page.locator("dl", has_text="Machines").first.inner_text()
    newcomer.press("Book now")
    order_id = int(newcomer.at.partition("/")[2])
    assert f"Order {order_id} is booked" in newcomer.message
    reservation = f"r-{order_id:017x}"
    assert reservation in newcomer.text
    shown = sorted(set(re.findall(r"i-[0-9a-f]{17}", newcomer.page.content())))

    [told] = api.ec2.describe_instances()["Reservations"]
    assert told["ReservationId"] == reservation
    assert sorted(machine["InstanceId"] for machine in told["Instances"]) == shown
    tags = {tag["Key"]: tag["Value"] for tag in told["Instances"][0]["Tags"]}
    assert (tags["Name"], tags["project"]) == ("shop", "web shop")
    [order] = api.zerosix("GET", "orders")
    assert (order["order_id"], order["ec2_reservation_id"]) == (order_id, reservation)
    assert sorted(machine["ec2_instance_id"] for machine in order["instances"]) == shown
    for machine in shown:
        api.until("running", machine)
        newcomer.go(f"machines/{machine}")
        expect(newcomer.page.locator("main .state").first).to_have_text("running")
        assert f"{PRICE} USD" in newcomer.text
    assert {machine["status"] for machine in api.zerosix("GET", f"orders/{order_id}")["instances"]} == {"wc-unlimited"}


def test_an_order_that_cannot_be_booked_says_what_to_change_and_keeps_what_was_typed(ann):
    ann.go("order/gcl.1")
    ann.fill("Machines", "99999999")
    ann.page.locator("input[name=name]").fill("kept <b>as</b> typed")
    ann.fill("User data", "#!/bin/sh\necho kept\n")
    ann.fill("File to download", "ftp://example.com/x")
    ann.press("Review the order")
    assert ann.problem("count")
    assert ann.problem("file_url")
    assert ann.value("count") == "99999999"
    assert ann.value("name") == "kept <b>as</b> typed"
    assert ann.value("user_data") == "#!/bin/sh\necho kept\n"
    ann.page.locator(".problems a").first.click()
    assert ann.page.evaluate("document.activeElement.name") == "count"


# --- live


def test_what_either_api_books_appears_in_the_open_list_and_goes_its_way_there(ann):
    end_all(ann.api)
    ann.go("machines")
    stay(ann)
    [machine] = ann.api.ec2.run_instances(**BOOKING)["Instances"]
    by_ec2 = row_of(ann, machine["InstanceId"])
    expect(by_ec2).to_be_visible()
    product = next(each["id"] for each in ann.api.zerosix("GET", "products") if each["slug"] == "gcl.2")
    [order] = ann.api.zerosix("PUT", "orders", {"product_id": product, "instances": 1})
    by_zerosix = row_of(ann, order["instances"][0]["ec2_instance_id"])
    expect(by_zerosix).to_be_visible()
    expect(by_zerosix.locator(".state")).to_have_text("running")
    assert "EC2" in by_ec2.inner_text()
    assert "ZeroSix" in by_zerosix.inner_text()
    ann.api.ec2.stop_instances(InstanceIds=[machine["InstanceId"]])
    expect(by_ec2.locator(".state")).to_have_text("stopped")
    assert has_stayed(ann)


def test_what_is_ticked_stays_ticked_while_the_list_changes(ann):
    machine = ann.order("gcl.1")
    ann.go("machines")
    stay(ann)
    row_of(ann, machine).locator("input").check()
    [other] = ann.api.ec2.run_instances(**BOOKING)["Instances"]
    expect(row_of(ann, other["InstanceId"])).to_be_visible()
    expect(row_of(ann, machine).locator("input")).to_be_checked()
    assert has_stayed(ann)


def test_the_page_of_a_machine_follows_it(ann):
    machine = ann.order("gcl.1")
    ann.api.until("running", machine)
    ann.go(f"machines/{machine}")
    stay(ann)
    ann.api.ec2.stop_instances(InstanceIds=[machine])
    expect(ann.page.locator("main .state").first).to_have_text("stopped")
    expect(ann.page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    expect(ann.page.locator("tbody")).to_contain_text("stopped")
    assert has_stayed(ann)


def test_the_list_is_searched_while_one_types(ann):
    wanted, other = ann.order("gcl.1", name="needle"), ann.order("gcl.1", name="straw")
    ann.go("machines")
    stay(ann)
    ann.page.get_by_label("Find").press_sequentially("need")
    expect(row_of(ann, other)).to_have_count(0)
    expect(row_of(ann, wanted)).to_be_visible()
    assert has_stayed(ann)


def test_times_are_in_the_readers_zone_with_utc_beside(browser, ann):
    with Person(browser, ann.gateway, timezone_id="Asia/Tokyo", locale="en-GB") as reader:
        reader.sign_in(ann.email, ann.password)
        reader.go("profile")
        time = reader.page.locator("main time").first
        utc = re.fullmatch(r"\d{4}-\d\d-\d\d (\d\d):(\d\d) UTC", time.get_attribute("title"))
        assert f"{(int(utc[1]) + 9) % 24:02}:{utc[2]}" in time.inner_text()


# --- power


def test_a_machine_is_stopped_started_and_ended_in_the_browser(ann):
    machine = ann.order("gcl.1", name="short-lived")
    ann.api.until("running", machine)
    ann.go(f"machines/{machine}")
    ann.press("Stop")
    ann.api.until("stopped", machine)
    expect(ann.page.locator("main .state").first).to_have_text("stopped")
    ann.press("Start")
    ann.api.until("running", machine)
    expect(ann.page.locator("main .state").first).to_have_text("running")
    ann.press("Reboot")
    ann.press("Terminate")
    assert machine in ann.text
    assert "its disk is lost" in ann.text
    ann.follow("No, go back")
    assert ann.api.state_of(machine) == {"running"}
    ann.press("Terminate")
    ann.press("Terminate")
    ann.api.until("terminated", machine)
    assert {each["status"] for each in order_with(ann.api, machine)["instances"]} == {"wc-completed"}


def order_with(api, machine):
    return next(order for order in api.zerosix("GET", "orders") if holds(order, machine))


def holds(order, machine):
    return number_of(machine) in [each["instance_id"] for each in order["instances"]]


def test_many_machines_are_stopped_and_ended_at_once_after_all_of_them_were_named(ann):
    end_all(ann.api)
    booked = ann.api.ec2.run_instances(**BOOKING | {"MinCount": 3, "MaxCount": 3})["Instances"]
    first, second, third = (machine["InstanceId"] for machine in booked)
    ann.api.until("running", first, second, third)
    ann.go("machines")
    for machine in (first, second):
        row_of(ann, machine).locator("input").check()
    ann.press("Stop")
    assert ann.message == "2 machines are stopping."
    ann.api.until("stopped", first, second)
    assert ann.api.state_of(third) == {"running"}
    ann.page.get_by_label("All", exact=True).check()
    for machine in (first, second, third):
        expect(row_of(ann, machine).locator("input")).to_be_checked()
    ann.press("Terminate")
    assert {machine for machine in (first, second, third) if machine in ann.text} == {first, second, third}
    ann.press("Terminate")
    ann.api.until("terminated", first, second, third)


# --- what it used and what it cost


def test_graphs_show_what_a_machine_uses(ann):
    machine = ann.order("gcl.1")
    ann.api.until("running", machine)
    ann.go(f"machines/{machine}/graphs")
    graphs = ann.page.locator("main .panel")
    eventually(lambda: ann.page.reload() and "Nothing is known" not in ann.text, what="the first sample")
    assert graphs.count() == 4
    for span in ("day", "week", "month"):
        ann.follow(span)
        assert "Nothing is known" not in ann.text
        assert graphs.locator("table").count() == 4


def test_usage_invoice_and_spreadsheet_say_the_same_sum(newcomer, gateway):
    newcomer.order("gcl.1", count="3", name="=1+1")
    newcomer.go("usage")
    assert "0.045 USD" in newcomer.text
    newcomer.page.get_by_role("link", name=re.compile("^Usage of ")).click()
    assert newcomer.page.locator("tbody tr").count() == 3
    with newcomer.page.expect_download() as download:
        newcomer.page.get_by_role("link", name="Download CSV").click()
    with download.value.path().open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("0.045")
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "@"))]
    newcomer.follow("Invoice")
    assert "0.045" in newcomer.text or "0.05" in newcomer.text
    newcomer.page.emulate_media(media="print")
    assert not newcomer.page.locator(".menu").is_visible()


# --- the explorer


def test_the_explorer_sends_a_signed_request_and_shows_the_answer(ann):
    machine = ann.order("gcl.1")
    ann.go("explorer?protocol=EC2&operation=DescribeInstances")
    ann.page.locator("[name='field.InstanceId']").fill(machine)
    ann.press("Send")
    assert "Answer: 200" in ann.text
    answer = ann.page.locator(".answer pre").inner_text()
    assert f"<instanceId>{machine}</instanceId>" in answer
    assert "aws ec2 describe-instances" in ann.page.locator("main").text_content()
    assert ann.api.keys.secret_key not in ann.page.content()


def test_the_explorer_asks_before_it_sends_what_changes_something(ann):
    machine = ann.order("gcl.1")
    ann.go("explorer?protocol=EC2&operation=TerminateInstances")
    ann.page.locator("[name='field.InstanceId']").fill(machine)
    ann.press("Send")
    assert ann.api.state_of(machine) <= {"pending", "running"}
    ann.page.locator("main form button.danger").click()
    ann.api.until("terminated", machine)


# --- without scripts


def test_without_scripts_one_orders_searches_stops_and_ends_machines(browser, ann):
    with Person(browser, ann.gateway, java_script_enabled=False) as plain:
        plain.sign_in(ann.email, ann.password)
        machine = plain.order("gcl.1", name="plain-one")
        ann.api.until("running", machine)
        plain.go("machines")
        plain.fill("Find", "plain-one")
        plain.press("Show")
        assert plain.page.locator("#machines tbody tr").count() == 1
        row_of(plain, machine).locator("input").check()
        plain.press("Stop")
        ann.api.until("stopped", machine)
        plain.go(f"machines/{machine}")
        plain.press("Terminate")
        plain.press("Terminate")
        ann.api.until("terminated", machine)
        plain.sign_out()
        assert plain.heading == "Sign in"
        assert plain.complaints == []


# --- operators


def test_an_operator_acts_for_a_customer_in_plain_sight_and_suspends_them(browser, gateway, newcomer):
    api = Clients(gateway, newcomer.make_key())
    machine = newcomer.order("gcl.1")
    with Person(browser, gateway) as operator:
        become_operator(operator)
        operator.go(f"operator/accounts?text={newcomer.email}")
        operator.page.locator("main tbody a").first.click()
        operator.press("Act for this account")
        assert newcomer.email in operator.page.locator(".acting").inner_text()
        operator.go("machines")
        assert machine in operator.text
        newcomer.go("history")
        assert operator.email in newcomer.text
        operator.press("Stop acting for them", inside=".acting")
        operator.page.locator("select[name=policy]").select_option("stop")
        operator.press("Suspend it…")
        assert f"machine {number_of(machine)}" in operator.text
        operator.page.locator("main form button.danger").click()
        newcomer.go("machines")
        assert newcomer.heading == "Sign in"
        assert "suspended" in newcomer.sign_in().text
        with pytest.raises(ClientError, match="Blocked"):
            api.ec2.describe_instances()
        assert operator.complaints == []
