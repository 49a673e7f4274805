import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from core.people import digest_of, new_code_secret
from core.service.people import PeopleSettings
from tests.fleetfixture import PASSWORD, open_house
from tests.protocols.console.served import serve

ANN = "ann@example.com"


@pytest.fixture
async def ann(house):
    return await house.person()


async def give_second_factor(house, person):
    """Return the secret of a second factor that a person has from now on."""
    secret = new_code_secret()
    await house.store.transact(lambda tx: tx.put(replace(person, code_secret=secret)))
    return secret


def code_of(house, secret):
    """Return the code that an app shows now."""
    totp = TOTP(base64.b32decode(secret), 6, SHA1(), 30)
    return totp.generate(house.clock.now().timestamp()).decode()


async def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_back_again(site, ann):
    browser = await site.browser()
    away = (await browser.get("machines?state=running")).leads_to
    assert away == "sign-in?next=machines%3Fstate%3Drunning"
    page = await browser.get(away)
    fields = {"email": ANN, "password": PASSWORD, "next": page.value("next")}
    assert (await browser.post("sign-in", fields, token="none")).leads_to == "machines?state=running"


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "\\\\evil.example",
        "/",
        "a//b",
        "x\ny",
        "javascript:1",
        "../evil",
        "machines/../../evil",
        "%2e%2e/evil",
        ".%2e/evil",
    ],
)
async def test_the_sign_in_leads_nowhere_but_to_pages_of_ours(site, ann, target):
    browser = await site.browser()
    fields = {"email": ANN, "password": PASSWORD, "next": target}
    assert (await browser.post("sign-in", fields, token="none")).leads_to == ""


@pytest.mark.parametrize("email", [ANN, "nobody@example.com"])
async def test_a_wrong_password_keeps_the_address_and_tells_not_whether_it_is_known(site, ann, email):
    browser = await site.browser()
    page = await browser.post("sign-in", {"email": email, "password": "wrong " * 3}, token="none")
    assert (page.status, page.value("email"), page.value("password")) == (422, email, "")
    assert page.problem("password") == "The e-mail address or the password is wrong."
    assert "wrong wrong" not in page.text


async def test_each_sign_in_has_a_token_of_its_own_and_the_former_one_is_dead(site, house, ann):
    browser = await site.signed_in(ann)
    first = browser.cookies["onefleet-session"]
    await browser.sign_in(ANN)
    second = browser.cookies["onefleet-session"]
    assert first != second
    state = await house.store.view()
    assert set(state.sign_ins_by_digest) == {digest_of(second)}


async def test_a_token_that_a_stranger_has_planted_is_never_signed_in(site, ann):
    browser = await site.browser()
    browser._session.cookie_jar.update_cookies({"onefleet-session": "planted"})
    await browser.sign_in(ANN)
    assert browser.cookies["onefleet-session"] != "planted"


async def test_after_some_wrong_passwords_even_the_right_one_has_to_wait(site, ann):
    browser = await site.browser()
    for _ in range(5):
        assert (await browser.post("sign-in", {"email": ANN, "password": "wrong"}, token="none")).status == 422
    page = await browser.post("sign-in", {"email": ANN, "password": PASSWORD}, token="none")
    assert page.status == 429
    assert "try again in" in page.problems[0]
    assert page.value("email") == ANN


async def test_the_second_factor_is_asked_for_and_changes_the_token(site, house, ann):
    secret = await give_second_factor(house, ann)
    browser = await site.browser()
    page = await browser.post("sign-in", {"email": ANN, "password": PASSWORD, "next": "orders"}, token="none")
    assert page.leads_to == "sign-in/code?next=orders"
    waiting = browser.cookies["onefleet-session"]
    assert (await browser.get("machines")).leads_to.startswith("sign-in")
    wrong = await browser.post("sign-in/code", {"code": "000000"}, token="none")
    assert (wrong.status, wrong.value("code")) == (422, "")
    right = await browser.post("sign-in/code", {"code": code_of(house, secret), "next": "orders"}, token="none")
    assert right.leads_to == "orders"
    assert browser.cookies["onefleet-session"] != waiting
    assert (await browser.get("profile")).status == 200


async def test_signing_out_ends_the_sign_in_and_forgets_the_cookie(site, house, console):
    page = await console.post("sign-out")
    assert page.leads_to == "sign-in"
    assert "onefleet-session" not in console.cookies
    assert not (await house.store.view()).sign_ins
    assert (await console.get("sign-in")).message == "You are signed out."


async def test_signing_out_everywhere_ends_the_other_browsers_too(site, house, console):
    other = await (await site.browser()).sign_in(ANN)
    await console.post("profile/sign-out-everywhere")
    assert (await other.get("profile")).leads_to == "sign-in?next=profile"


async def test_one_other_browser_can_be_signed_out_but_nobody_elses(site, house, console, stranger):
    state = await house.store.view()
    theirs = next(each for each in state.sign_ins.values() if state.users[each.user_id].email != ANN)
    await console.post(f"profile/sign-ins/{theirs.id}")
    assert (await stranger.get("profile")).status == 200
    other = await (await site.browser()).sign_in(ANN)
    state = await house.store.view()
    mine = max(each.id for each in state.sign_ins.values())
    await console.post(f"profile/sign-ins/{mine}")
    assert (await other.get("profile")).leads_to.startswith("sign-in")
    assert (await console.get("profile")).status == 200


async def test_there_is_no_sign_up_unless_the_operator_wants_it(site):
    browser = await site.browser()
    assert (await browser.get("sign-up")).status == 404
    assert "sign-up" not in (await browser.get("sign-in")).text
    fields = {"name": "New", "email": "new@example.com", "password": PASSWORD}
    assert (await browser.post("sign-up", fields, token="none")).status == 404


async def test_who_signs_up_is_signed_in_and_has_an_account_without_api_access(tmp_path):
    async with open_house(tmp_path, people=PeopleSettings(has_sign_up=True)) as house, serve(house) as site:
        browser = await site.browser()
        fields = {"name": "New Ltd", "email": "New@Example.com", "password": "short"}
        refused = await browser.post("sign-up", fields, token="none")
        assert (refused.status, refused.value("name"), refused.value("email")) == (422, "New Ltd", "New@Example.com")
        assert "10 to 1024 characters" in refused.problem("password")
        page = await browser.post("sign-up", {**fields, "password": PASSWORD}, token="none")
        assert page.leads_to == ""
        user = (await house.store.view()).users_by_email["new@example.com"]
        account = (await house.store.view()).accounts[user.account_id]
        assert (account.name, account.has_api, user.is_operator) == ("New Ltd", False, False)


async def test_who_has_a_made_up_password_can_do_nothing_before_changing_it(site, house):
    new = await house.administration.add_user(house.ours.account.id, "eve@example.com")
    browser = await (await site.browser()).sign_in("eve@example.com", new.password)
    assert (await browser.get("machines")).leads_to == "profile/password"
    fields = {"old": new.password, "new": PASSWORD, "again": "different " * 2}
    wrong = await browser.post("profile/password", fields)
    assert "differs" in wrong.problem("again")
    assert new.password not in wrong.text
    assert (await browser.post("profile/password", {**fields, "again": PASSWORD})).leads_to == "profile"
    assert (await browser.get("")).status == 200


async def test_a_password_change_needs_the_old_one_and_ends_the_other_sign_ins(site, console):
    other = await (await site.browser()).sign_in(ANN)
    fields = {"old": "not it at all", "new": "another password", "again": "another password"}
    assert (await console.post("profile/password", fields)).problem("old")
    assert (await console.post("profile/password", {**fields, "old": PASSWORD})).leads_to == "profile"
    assert (await console.get("profile")).status == 200
    assert (await other.get("profile")).leads_to.startswith("sign-in")


async def test_the_second_factor_is_switched_on_with_a_code_and_off_with_the_password(site, house, console):
    page = await console.get("profile/second-factor")
    secret = page.value("secret")
    assert page.all("img")[0].get("src").startswith("data:image/svg+xml")
    fields = {"secret": secret, "code": "000000", "password": PASSWORD}
    wrong = await console.post("profile/second-factor", fields)
    assert (wrong.status, wrong.value("secret"), wrong.value("password")) == (422, secret, "")
    told = await console.post("profile/second-factor", {**fields, "code": code_of(house, secret)})
    assert len(told.text_of("pre").split()) == 8
    assert "8 recovery codes left" in (await console.get("profile")).visible
    assert (await console.post("profile/second-factor/off", {"password": "wrong"})).status == 422
    assert (await console.post("profile/second-factor/off", {"password": PASSWORD})).leads_to == "profile"
    assert not (await house.store.view()).users_by_email[ANN].has_second_factor
