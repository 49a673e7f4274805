from dataclasses import replace
from ipaddress import ip_network

import pytest

from core.accounts import Protocol
from core.errors import ApiAccessOff

EVIL = "<script>alert(1)</script>\"'"


@pytest.fixture
async def ci_runner(console, house):
    """An application of ours without a key; returns its path."""
    application = await house.core.access.create(house.caller(), "ci-runner", ())
    return f"api/applications/{application.id}"


async def turn_off(house):
    await house.core.access.turn(house.caller(), is_on=False)


async def make_key(console, path):
    """Return the page that tells of a fresh pair in the place of none."""
    return await console.post(f"{path}/update-key", {"replaces": ""})


def told(page):
    """Return the access key and the secret that a page tells."""
    return page.texts("main section code")


# --- on and off


async def test_api_access_is_turned_on_once_it_is_said_what_it_means(console, house):
    await turn_off(house)
    assert "API access is off" in (await console.get("api")).visible
    question = await console.post("api/on")
    assert "at your account's cost" in question.visible
    assert not (await house.core.access.account(house.caller())).has_api
    assert "API access is on" in (await console.done("api/on", {"confirmed": "yes"})).message
    assert (await house.core.access.account(house.caller())).has_api


async def test_it_is_told_which_keys_stop_before_api_access_is_turned_off(console, house):
    question = await console.post("api/off")
    assert house.ours.key.access_key in question.visible
    assert house.theirs.key.access_key not in question.text
    assert (await house.core.access.account(house.caller())).has_api
    await console.done("api/off", {"confirmed": "yes"})
    assert not (await house.core.access.account(house.caller())).has_api


async def test_nothing_is_made_while_api_access_is_off(console, house, ci_runner):
    await turn_off(house)
    refused = await console.post("api/applications", {"name": "one"})
    assert (refused.status, refused.problems) == (422, [str(ApiAccessOff())])
    assert (await make_key(console, ci_runner)).problems == [str(ApiAccessOff())]
    assert "Turn it on" in (await console.get(ci_runner)).visible


# --- applications


async def test_an_application_is_made_with_the_addresses_it_may_call_from(console, house):
    typed = {"name": " web ", "networks": "203.0.113.7\r\n\r\n 2001:db8::/32 "}
    page = await console.done("api/applications", typed)
    assert "Application web is there" in page.message
    [*_, view] = await house.core.access.applications(house.caller())
    assert view.application.name == "web"
    assert view.application.networks == (ip_network("203.0.113.7/32"), ip_network("2001:db8::/32"))


async def test_each_mistake_is_told_at_its_field_and_nothing_typed_is_lost(console, house):
    typed = {"name": "", "networks": "203.0.113.0/24\n203.0.113.1/24\nhome"}
    page = await console.post("api/applications", typed)
    assert page.status == 422
    assert "name" in page.problem("name")
    assert "203.0.113.1/24" in page.problem("networks")
    assert page.value("networks").split() == typed["networks"].split()
    assert len(await house.core.access.applications(house.caller())) == 1


@pytest.mark.parametrize("name", ["default", "console"])
async def test_a_name_that_is_taken_is_refused_at_its_field(console, name):
    page = await console.post("api/applications", {"name": name, "networks": "203.0.113.7"})
    assert name in page.problem("name")
    assert page.value("networks").strip() == "203.0.113.7"


async def test_an_application_is_renamed_and_may_call_from_elsewhere(console, house, ci_runner):
    await console.done(ci_runner, {"name": "cd", "networks": "10.0.0.0/8"})
    [*_, view] = await house.core.access.applications(house.caller())
    assert (view.application.name, view.application.networks) == ("cd", (ip_network("10.0.0.0/8"),))
    page = await console.get(ci_runner)
    assert (page.value("name"), page.value("networks").strip()) == ("cd", "10.0.0.0/8")
    refused = await console.post(ci_runner, {"name": "default", "networks": "nowhere"})
    assert "nowhere" in refused.problem("networks")
    assert refused.value("name") == "default"


async def test_a_disabled_application_says_that_its_keys_do_not_work(console, house, ci_runner):
    await make_key(console, ci_runner)
    page = await console.done(f"{ci_runner}/switch", {"is_enabled": "no"})
    assert page.texts(".state") == ["disabled", "disabled"]
    [*_, view] = await house.core.access.applications(house.caller())
    assert not view.application.is_enabled
    assert (await console.done(f"{ci_runner}/switch", {"is_enabled": "yes"})).texts(".state") == ["enabled", "enabled"]


async def test_the_application_of_the_console_itself_is_not_shown(console, house):
    await house.store.transact(
        lambda tx: tx.put(replace(tx.state.applications[house.ours.application.id], name="console"))
    )
    assert "Applications" not in (await console.get("api")).texts("h2")
    assert (await console.get(f"api/applications/{house.ours.application.id}")).status == 404


# --- keys


async def test_a_pair_is_told_once_and_works(console, house, ci_runner):
    page = await make_key(console, ci_runner)
    access_key, secret = told(page)
    assert (await house.core.access.secret(house.caller(), access_key)).secret_key == secret
    assert page.headers["Cache-Control"] == "no-store"
    assert secret not in (await console.get(ci_runner)).text
    assert access_key in (await console.get("api")).visible


async def test_a_pair_is_replaced_once_it_is_said_what_stops(console, house, ci_runner):
    former, _ = told(await make_key(console, ci_runner))
    question = await console.post(f"{ci_runner}/update-key", {"replaces": former})
    assert former in question.visible
    assert "stops working at once" in question.visible
    page = await console.post(f"{ci_runner}/update-key", {"replaces": former, "confirmed": "yes"})
    assert told(page)[0] != former
    [*_, view] = await house.core.access.applications(house.caller())
    assert [key.access_key for key in view.keys] == [told(page)[0]]


async def test_a_form_that_is_sent_again_makes_no_second_pair(console, house, ci_runner):
    first, _ = told(await make_key(console, ci_runner))
    again = await console.done(f"{ci_runner}/update-key", {"replaces": "", "confirmed": "yes"})
    assert "Nothing was done" in again.message
    [*_, view] = await house.core.access.applications(house.caller())
    assert [key.access_key for key in view.keys] == [first]


async def test_the_snippets_call_the_gateway_as_the_browser_did_in_a_region_that_there_is(console, site, ci_runner):
    page = await make_key(console, ci_runner)
    access_key, secret = told(page)
    assert page.texts("main summary") == [
        "aws command line",
        "boto3",
        "Terraform",
        "curl",
        "curl with OAuth",
        "PHP",
        "Python with OAuth",
    ]
    credentials, config, *_ = page.texts("details pre")
    assert credentials == f"[onefleet] aws_access_key_id = {access_key} aws_secret_access_key = {secret}"
    assert config == f"[profile onefleet] region = eu-1 endpoint_url = {site.origin}"


async def test_a_key_is_disabled_and_enabled_again(console, house, ci_runner):
    access_key, _ = told(await make_key(console, ci_runner))
    page = await console.done(f"{ci_runner}/keys/{access_key}", {"is_enabled": "no"})
    assert page.texts("td .state") == ["disabled"]
    page = await console.done(f"{ci_runner}/keys/{access_key}", {"is_enabled": "yes"})
    assert page.texts("td .state") == ["enabled"]
    assert (await house.core.access.secret(house.caller(), access_key)).is_enabled


async def test_it_is_told_when_from_where_and_through_which_protocol_a_key_was_used(console, house):
    assert "never" in (await console.get("api")).visible
    house.core.access.note_use(house.ours.key.id, "203.0.113.9", Protocol.ZEROSIX)
    for path in ("api", f"api/applications/{house.ours.application.id}"):
        assert "2026-05-01 12:00 UTC from 203.0.113.9 by ZeroSix" in (await console.get(path)).visible


# --- what is not theirs


@pytest.mark.parametrize("kind", ["theirs", "unknown", "huge", "no number"])
async def test_applications_of_others_are_not_found_on_any_route(console, house, kind):
    theirs = house.theirs
    number = {"theirs": theirs.application.id, "unknown": 999, "huge": "9" * 40, "no number": "x"}[kind]
    path, key = f"api/applications/{number}", theirs.key.access_key
    assert (await console.get(path)).status == 404
    fields = {"name": "mine", "networks": "", "is_enabled": "no", "replaces": key, "confirmed": "yes"}
    for each in (path, f"{path}/switch", f"{path}/update-key", f"{path}/keys/{key}"):
        assert (await console.post(each, fields)).status == 404, each
    holders = {holder.key.access_key: holder for holder in await house.administration.keys()}
    assert holders[key] == theirs


async def test_a_key_of_another_account_is_not_switched_by_way_of_our_application(console, house, ci_runner):
    key = house.theirs.key.access_key
    assert (await console.post(f"{ci_runner}/keys/{key}", {"is_enabled": "no"})).status == 404


async def test_names_are_shown_as_they_are_and_run_nothing(console, ci_runner):
    await console.done(ci_runner, {"name": EVIL, "networks": ""})
    for page in (await console.get("api"), await console.get(ci_runner), await make_key(console, ci_runner)):
        assert EVIL in page.visible
        assert not page.all("main script")
