from dataclasses import replace
from decimal import Decimal

import pytest

from core.administration import MachinePolicy
from core.errors import AccountSuspended, UnknownKey
from core.instances import Power, State
from core.journal import DeedQuery
from core.orders import Booking
from tests.fleetfixture import PASSWORD

EVIL = "<script>alert('\"1')</script>"
OURS, THEIRS = "operator/accounts/100000000001", "operator/accounts/100000000002"


@pytest.fixture
async def ann(house):
    return await house.person()


async def book(house, count=1):
    """Return the ids of machines that our customer has booked."""
    product = await house.product("plain")
    placed = await house.core.book(house.caller(), Booking(product_id=product.id, least=count, most=count))
    return [machine.id for machine in placed.instances]


async def account(house):
    return await house.administration.account(house.ours.account.id)


async def last_deed(house):
    [deed] = await house.administration.deeds(DeedQuery(most=1))
    return deed


# --- all accounts


async def test_accounts_are_listed_with_people_machines_and_what_they_cost(house, operator, ann):
    await book(house, 2)
    page = await operator.get("operator/accounts")
    assert page.texts("tbody tr")[0].startswith("ours 100000000001 open ann@example.com 2 0.02 USD")
    assert page.text_of("caption") == "3 accounts"


@pytest.mark.parametrize(
    ("text", "found"), [("OUR", ["ours"]), ("000002", ["theirs"]), ("ann@", ["ours"]), ("%", []), ("nobody", [])]
)
async def test_accounts_are_found_by_name_id_and_email_address(operator, ann, text, found):
    page = await operator.get(f"operator/accounts?text={text.replace('%', '%25')}")
    assert page.texts("tbody th") == found
    assert page.value("text") == text


async def test_many_accounts_come_in_pages(house, operator):
    for number in range(50):
        await house.administration.add_account(f"customer {number}")
    first, second = (
        await operator.get("operator/accounts?text=customer"),
        await operator.get("operator/accounts?text=customer&page=2"),
    )
    assert len(first.texts("tbody th")) == len((await operator.get("operator/accounts")).texts("tbody th")) == 50
    assert not second.texts("tbody th")
    assert "begin at the first" in second.visible
    assert [link.get("href") for link in (await operator.get("operator/accounts")).all(".pager a")] == [
        "/console/operator/accounts?page=2"
    ]


@pytest.mark.parametrize("page", ["0", "-1", "x", "9" * 30, "²"])
async def test_no_page_that_is_asked_for_breaks_the_list(operator, page):
    assert (await operator.get(f"operator/accounts?page={page}")).status == 200


async def test_an_account_is_made_and_told(house, operator):
    page = await operator.done("operator/accounts", {"name": f" {EVIL} "})
    assert page.text_of("h1") == f"{EVIL} open"
    assert not page.all("main script")
    deed = await last_deed(house)
    assert (deed.verb, deed.author.actor, deed.detail) == ("make account", "op@example.com", EVIL)


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "a\x07b"])
async def test_an_unusable_name_is_told_at_its_field(operator, name):
    page = await operator.post("operator/accounts", {"name": name})
    assert page.status == 422
    assert page.problem("name")
    assert page.value("name") == name


# --- one account


@pytest.mark.parametrize("name", ["100000000999", "1", "000000000000", "x", "1000000000012", "²00000000001"])
async def test_an_account_that_is_not_there_is_no_page_on_any_route(operator, name):
    path = f"operator/accounts/{name}"
    assert (await operator.get(path)).status == 404
    for rest, fields in [
        ("limit", {"credit_limit": "1"}),
        ("suspend", {"policy": "stop", "confirmed": "yes"}),
        ("resume", {}),
        ("people", {"email": "new@example.com"}),
        ("people/1/disable", {}),
        ("keys", {"access_key": "AKOF", "enable": "no"}),
        ("applications/1", {"enable": "no"}),
    ]:
        assert (await operator.post(f"{path}/{rest}", fields)).status == 404, rest


async def test_everything_of_an_account_is_shown(house, operator, ann):
    await book(house)
    page = await operator.get(OURS)
    for told in (
        "ann@example.com",
        house.ours.key.access_key,
        "m1",
        "i-00000000000000001",
        "0.01 USD",
        "make account",
    ):
        assert told in page.visible


async def test_a_secret_key_is_never_shown(house, operator):
    assert house.ours.key.secret_key not in (await operator.get(OURS)).text


@pytest.mark.parametrize(
    ("rest", "fields"),
    [
        ("", {"name": "mine"}),
        ("/100000000001/limit", {"credit_limit": "1"}),
        ("/100000000001/suspend", {"policy": "terminate", "confirmed": "yes"}),
        ("/100000000001/people", {"email": "mine@example.com"}),
        ("/100000000001/people/1/make-operator", {"confirmed": "yes"}),
        ("/100000000001/people/1/reset-password", {"confirmed": "yes"}),
        ("/100000000001/keys", {"access_key": "AKOF", "enable": "yes"}),
    ],
)
async def test_customers_can_do_nothing_of_it(house, stranger, ann, rest, fields):
    before = (await house.store.view()).users, await account(house)
    assert (await stranger.post(f"operator/accounts{rest}", fields)).status == 404
    assert ((await house.store.view()).users, await account(house)) == before
    assert len(await house.administration.accounts()) == 2


async def test_customers_can_act_for_nobody(house, stranger):
    assert (await stranger.post("operator/act", {"account": "100000000001"})).status == 404
    assert "theirs" in (await stranger.get()).visible


# --- limits


async def test_a_credit_limit_is_set_and_lifted(house, operator):
    page = await operator.done(f"{OURS}/limit", {"credit_limit": "250.5"})
    assert page.message == "The credit limit is 250.5 a month."
    assert page.value("credit_limit") == "250.5"
    assert (await account(house)).credit_limit == Decimal("250.5")
    await operator.done(f"{OURS}/limit", {"credit_limit": ""})
    assert (await account(house)).credit_limit is None


@pytest.mark.parametrize("amount", ["-1", "a lot", "NaN", "Infinity", "9" * 30])
async def test_an_amount_that_is_none_is_told_at_its_field(house, operator, amount):
    page = await operator.post(f"{OURS}/limit", {"credit_limit": amount})
    assert page.status == 422
    assert "Give an amount" in page.problem("credit_limit")
    assert page.value("credit_limit") == amount
    assert (await account(house)).credit_limit is None


# --- suspending


async def test_suspending_asks_first_and_names_the_machines(house, operator):
    await book(house, 2)
    page = await operator.post(f"{OURS}/suspend", {"policy": "terminate"})
    assert page.text_of("h1") == "Suspend ours?"
    assert page.texts("main li") == ["m2 (machine 2, plain in eu-1b)", "m1 (machine 1, plain in eu-1b)"]
    assert (page.value("policy"), page.value("confirmed")) == ("terminate", "yes")
    assert not (await account(house)).is_suspended


async def test_what_is_left_alone_is_not_named_as_lost(house, operator):
    await book(house)
    page = await operator.post(f"{OURS}/suspend", {"policy": "leave"})
    assert not page.texts("main li")
    assert "stay as they are" in page.visible


@pytest.mark.parametrize(
    ("policy", "state", "told"),
    [
        (MachinePolicy.LEAVE, State.RUNNING, "ours is suspended."),
        (MachinePolicy.STOP, State.STOPPING, "Machines that stop now: 2."),
        (MachinePolicy.TERMINATE, State.SHUTTING_DOWN, "Machines that end now: 2."),
    ],
)
async def test_machines_of_a_suspended_account_go_the_way_of_the_policy(house, operator, policy, state, told):
    await book(house, 2)
    await house.seen(Power.RUNNING)
    page = await operator.done(f"{OURS}/suspend", {"policy": policy.value, "confirmed": "yes"})
    assert told in page.message
    assert "suspended" in page.text_of("h1")
    assert {machine.state for machine in await house.machines()} == {state}


async def test_what_is_on_its_way_up_is_told_to_be_left(house, operator):
    await book(house)
    page = await operator.done(f"{OURS}/suspend", {"policy": "stop", "confirmed": "yes"})
    assert "cannot be stopped yet: 1" in page.message


async def test_an_unknown_policy_is_refused(house, operator):
    page = await operator.post(f"{OURS}/suspend", {"policy": "burn", "confirmed": "yes"})
    assert page.status == 422
    assert page.problem("policy")
    assert not (await account(house)).is_suspended


async def test_a_suspended_account_is_out_until_it_is_resumed(site, house, operator, ann):
    browser = await site.signed_in(ann)
    await operator.done(f"{OURS}/suspend", {"policy": "leave", "confirmed": "yes"})
    assert (await browser.get()).leads_to.startswith("sign-in")
    credential = await house.core.credential(house.ours.key.access_key)
    with pytest.raises(AccountSuspended):
        house.core.admit(credential, "203.0.113.7", house.caller().protocol, "r")
    page = await operator.done(f"{OURS}/resume")
    assert "goes on" in page.message
    await (await site.browser()).sign_in(ann.email)


# --- people


async def test_a_person_is_added_with_a_password_that_is_told_once(site, house, operator):
    page = await operator.post(f"{OURS}/people", {"email": " New@Example.com "})
    assert page.text_of("h1") == "new@example.com can sign in"
    password = page.text_of(".copyable code")
    browser = await (await site.browser()).sign_in("new@example.com", password)
    assert (await browser.get()).leads_to == "profile/password"
    shown = await operator.get(OURS)
    assert password not in shown.text
    assert "has yet to choose a password" in shown.visible


@pytest.mark.parametrize("email", ["", "nobody", "a b@c", "ann@example.com", "ANN@example.com", "x" * 250 + "@a.b"])
async def test_an_unusable_email_address_is_told_at_its_field(house, operator, ann, email):
    page = await operator.post(f"{OURS}/people", {"email": email})
    assert page.status == 422
    assert page.problem("email")
    assert page.value("email") == email


async def test_a_reset_password_is_asked_about_and_told_once(site, house, operator, ann):
    path = f"{OURS}/people/{ann.id}/reset-password"
    asked = await operator.post(path)
    assert "signed out everywhere" in asked.visible
    await (await site.browser()).sign_in(ann.email)
    page = await operator.post(path, {"confirmed": "yes"})
    password = page.text_of(".copyable code")
    refused = await (await site.browser()).post("sign-in", {"email": ann.email, "password": PASSWORD}, token="none")
    assert refused.status == 422
    await (await site.browser()).sign_in(ann.email, password)


async def test_a_second_factor_is_reset_once_that_is_confirmed(house, operator, ann):
    await house.store.transact(lambda tx: tx.put(replace(ann, code_secret="SECRET")))
    path = f"{OURS}/people/{ann.id}/reset-second-factor"
    assert "Reset second factor: ann@example.com" in (await operator.post(path)).visible
    assert (await house.administration.user(ann.email)).has_second_factor
    await operator.done(path, {"confirmed": "yes"})
    assert not (await house.administration.user(ann.email)).has_second_factor


async def test_a_disabled_person_is_out_at_once_until_enabled(site, operator, ann):
    browser = await site.signed_in(ann)
    await operator.done(f"{OURS}/people/{ann.id}/disable")
    assert (await browser.get()).leads_to.startswith("sign-in")
    await operator.done(f"{OURS}/people/{ann.id}/enable")
    await (await site.browser()).sign_in(ann.email)


async def test_a_person_is_made_an_operator_once_that_is_confirmed(site, house, operator, ann):
    path = f"{OURS}/people/{ann.id}/make-operator"
    assert "act in their place" in (await operator.post(path)).visible
    assert not (await house.administration.user(ann.email)).is_operator
    await operator.done(path, {"confirmed": "yes"})
    assert (await (await site.signed_in(ann)).get("operator/accounts")).status == 200
    await operator.done(f"{OURS}/people/{ann.id}/unmake-operator")
    assert (await (await site.signed_in(ann)).get("operator/accounts")).status == 404


@pytest.mark.parametrize("treatment", ["disable", "reset-password", "make-operator", "dance"])
async def test_a_person_of_another_account_is_not_found_by_id(house, operator, ann, treatment):
    before = await house.administration.user(ann.email)
    page = await operator.post(f"{THEIRS}/people/{ann.id}/{treatment}", {"confirmed": "yes"})
    assert page.status == 404
    assert await house.administration.user(ann.email) == before


async def test_an_unknown_treatment_is_no_page(operator, ann):
    assert (await operator.post(f"{OURS}/people/{ann.id}/dance", {"confirmed": "yes"})).status == 404


@pytest.mark.parametrize("treatment", ["disable", "unmake-operator"])
async def test_the_last_operator_cannot_be_locked_out(site, house, operator, treatment):
    me = await house.administration.user("op@example.com")
    path = f"operator/accounts/{me.account_id}"
    page = await operator.post(f"{path}/people/{me.id}/{treatment}")
    assert page.status == 422
    assert "the last" in page.problems[0]
    assert await house.administration.user(me.email) == me
    await site.operator("second@example.com")
    assert (await operator.post(f"{path}/people/{me.id}/{treatment}")).status == 303


async def test_the_last_operators_account_cannot_be_suspended(house, operator):
    me = await house.administration.user("op@example.com")
    path = f"operator/accounts/{me.account_id}"
    page = await operator.post(f"{path}/suspend", {"policy": "leave", "confirmed": "yes"})
    assert page.status == 422
    assert not (await house.administration.account(me.account_id)).is_suspended


# --- keys and applications


async def test_a_key_is_disabled_and_enabled(house, operator):
    access_key = house.ours.key.access_key
    await operator.done(f"{OURS}/keys", {"access_key": access_key, "enable": "no"})
    with pytest.raises(UnknownKey):
        await house.core.credential(access_key)
    assert (await last_deed(house)).author.actor == "op@example.com"
    await operator.done(f"{OURS}/keys", {"access_key": access_key, "enable": "yes"})
    await house.core.credential(access_key)


async def test_a_key_of_another_account_is_not_touched(house, operator):
    page = await operator.post(f"{OURS}/keys", {"access_key": house.theirs.key.access_key, "enable": "no"})
    assert page.status == 422
    await house.core.credential(house.theirs.key.access_key)


async def test_an_application_is_disabled_with_its_keys(house, operator):
    path = f"{OURS}/applications/{house.ours.application.id}"
    await operator.done(path, {"enable": "no"})
    with pytest.raises(UnknownKey):
        await house.core.credential(house.ours.key.access_key)
    await operator.done(path, {"enable": "yes"})
    await house.core.credential(house.ours.key.access_key)


@pytest.mark.parametrize("name", ["2", "99", "x", "²", "9" * 40])
async def test_an_application_of_another_account_is_no_page(house, operator, name):
    assert (await operator.post(f"{OURS}/applications/{name}", {"enable": "no"})).status == 404
    await house.core.credential(house.theirs.key.access_key)


# --- acting for somebody


async def test_acting_for_an_account_is_shown_recorded_and_ends(house, operator):
    page = await operator.done("operator/act", {"account": "100000000001"})
    assert "You act for ours" in page.text_of(".acting")
    deed = await last_deed(house)
    assert (deed.verb, deed.account_id, deed.author.actor) == (
        "act for account",
        house.ours.account.id,
        "op@example.com",
    )
    back = await operator.post("operator/act")
    assert back.leads_to == OURS
    assert not (await operator.get(OURS)).all(".acting")
    assert (await last_deed(house)).verb == "stop acting for account"


async def test_what_an_operator_does_for_an_account_is_theirs_in_the_log(house, operator):
    await operator.done("operator/act", {"account": "100000000001"})
    await operator.done(f"{OURS}/limit", {"credit_limit": "9"})
    deed = await last_deed(house)
    assert (deed.author.actor, deed.author.operator) == ("op@example.com", "op@example.com")


@pytest.mark.parametrize("name", ["100000000999", "x", "1"])
async def test_nobody_acts_for_an_account_that_is_not_there(operator, name):
    assert (await operator.post("operator/act", {"account": name})).status == 404


async def test_names_of_machines_and_applications_are_text(house, operator):
    [machine_id] = await book(house)
    await house.administration.add_key(house.ours.account.id, EVIL, ())
    await house.core.machines.set_options(house.caller(), machine_id, lambda options: replace(options, hostname="web"))
    page = await operator.get(OURS)
    assert EVIL in page.visible
    assert not page.all("main script")
