"""People sign in, stay signed in and sign out, in real browsers."""

import time

import pytest

from tests.authenticator import STEP_SECONDS, code_of
from tests.browser import PASSWORD, Person, browser, open_to_all, operator_of

__all__ = ["browser"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with open_to_all(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture
def someone(browser, gateway):
    """Starts people, each with a browser of their own, who must have had nothing to complain of."""
    people = []

    def start(**context):
        people.append(Person(browser, gateway, **context))
        return people[-1]

    yield start
    for person in people:
        person.context.close()
    assert [complaint for person in people for complaint in person.complaints] == []


def await_sign_in(person):
    """Wait until the page that is open leads to the sign-in by itself, as it is live and somebody was signed out."""
    person.page.wait_for_url("**/sign-in*")
    person.complaints.clear()  # what the browser thinks of its stream's being refused
    person.go("profile")
    assert person.heading == "Sign in"


def test_the_operator_of_the_first_start_chooses_another_password_before_anything_else(someone, gateway):
    email, password = operator_of(gateway)
    operator = someone().sign_in(email, password)
    assert (operator.at, operator.heading) == ("profile/password", "Change your password")
    operator.go("")
    assert operator.at == "profile/password"

    operator.fill("The password you have", password)
    operator.fill("New password", PASSWORD)
    operator.fill("New password, once more", PASSWORD)
    operator.press("Change it")
    assert operator.message.startswith("Your password is changed")
    operator.sign_out()
    assert someone().sign_in(email, PASSWORD).at == ""


def test_whoever_is_not_signed_in_comes_back_to_the_page_that_they_wanted(someone):
    ann = someone().sign_up("back@example.com")
    ann.sign_out()
    ann.go("profile/password?from=mail")
    assert ann.heading == "Sign in"
    ann.fill("E-mail address", ann.email)
    ann.fill("Password", PASSWORD)
    ann.press("Sign in")
    assert ann.at == "profile/password?from=mail"


def test_a_wrong_password_is_told_at_its_field_and_loses_no_address(someone):
    ann = someone().sign_up("wrong@example.com")
    ann.sign_out()
    ann.sign_in(password="not this one")
    assert ann.page.locator(".problems").evaluate("each => each === document.activeElement")
    assert ann.problem("password") == ann.page.locator(".problems li").inner_text()
    assert (ann.value("email"), ann.value("password")) == (ann.email, "")


def test_signing_up_tells_every_mistake_at_once_and_keeps_what_was_typed(someone):
    ann = someone(java_script_enabled=False)
    ann.go("sign-up")
    ann.page.locator("form").evaluate("form => { form.noValidate = true; }")
    ann.fill("Name of the account", "Ann & <Sons>")
    ann.press("Make the account")
    assert len(ann.page.locator(".problems li").all()) == 2
    assert ann.problem("email")
    assert ann.value("name") == "Ann & <Sons>"
    ann.fill("E-mail address", "mistakes@example.com")
    ann.fill("Password", "short")
    ann.press("Make the account")
    assert "10 to 1024 characters" in ann.problem("password")
    assert (ann.value("email"), ann.value("password")) == ("mistakes@example.com", "")
    ann.fill("Password", PASSWORD)
    ann.press("Make the account")
    assert ann.heading == "Ann & <Sons>"


def test_with_a_second_factor_the_password_alone_opens_nothing(someone):
    ann = someone().sign_up("second@example.com")
    ann.go("profile/second-factor")
    secret = ann.value("secret")
    now = time.time()
    ann.fill("Code", "000000")
    ann.fill("Your password", PASSWORD)
    ann.press("Switch it on")
    assert ann.problem("code")
    assert ann.value("secret") == secret, "another secret than the app has just read"
    ann.fill("Code", code_of(secret, now))
    ann.fill("Your password", PASSWORD)
    ann.press("Switch it on")
    recovery = ann.page.locator("pre").inner_text().split()
    assert len(recovery) == 8

    ann.sign_out()
    ann.sign_in()
    assert ann.heading == "One more step"
    ann.go("profile")
    assert ann.heading == "Sign in"
    ann.sign_in()
    ann.fill("Code", code_of(secret, now + STEP_SECONDS))
    ann.press("Go on")
    assert ann.at == ""

    bob = someone().sign_in(ann.email)
    bob.fill("Code", recovery[0])
    bob.press("Go on")
    bob.go("profile")
    assert "7 recovery codes left" in bob.text
    again = someone().sign_in(ann.email)
    again.fill("Code", recovery[0])
    again.press("Go on")
    assert again.problem("code")


def test_whoever_begins_the_second_factor_keeps_the_page_that_they_wanted(someone):
    ann = someone().sign_up("wanted@example.com")
    ann.go("profile/second-factor")
    secret, now = ann.value("secret"), time.time()
    ann.fill("Code", code_of(secret, now))
    ann.fill("Your password", PASSWORD)
    ann.press("Switch it on")
    ann.sign_out()
    ann.go("profile/password")
    ann.fill("E-mail address", ann.email)
    ann.fill("Password", PASSWORD)
    ann.press("Sign in")
    ann.fill("Code", code_of(secret, now + STEP_SECONDS))
    ann.press("Go on")
    assert ann.at == "profile/password"


def test_signing_out_everywhere_ends_the_other_browser_and_this_one(someone):
    here = someone().sign_up("everywhere@example.com")
    there = someone().sign_in(here.email)
    here.go("profile")
    assert here.page.locator("tbody tr").count() == 2
    here.press("Sign out everywhere")
    assert here.heading == "Sign in"
    here.go("profile")
    assert here.heading == "Sign in"
    await_sign_in(there)


def test_one_other_browser_can_be_signed_out_alone(someone):
    here = someone().sign_up("another@example.com")
    there = someone().sign_in(here.email)
    here.go("profile")
    here.press("Sign out", inside="tbody")
    assert here.page.locator("tbody tr").count() == 1
    await_sign_in(there)


def test_another_password_ends_the_other_browsers_and_the_old_password(someone):
    here = someone().sign_up("changed@example.com")
    there = someone().sign_in(here.email)
    here.go("profile/password")
    here.fill("The password you have", PASSWORD)
    here.fill("New password", "battery staple horse")
    here.fill("New password, once more", "battery staple horse!")
    here.press("Change it")
    assert "differs" in here.problem("again")
    here.fill("The password you have", PASSWORD)
    here.fill("New password", "battery staple horse")
    here.fill("New password, once more", "battery staple horse")
    here.press("Change it")
    assert here.heading == "You"
    await_sign_in(there)
    assert there.sign_in().heading == "Sign in"
    assert there.sign_in(password="battery staple horse").at == ""


def test_everything_can_be_done_with_the_keyboard(someone):
    ann = someone().sign_up("keys@example.com")
    ann.sign_out()
    ann.go("sign-in")
    keyboard = ann.page.keyboard
    keyboard.press("Tab")
    assert ann.page.evaluate("document.activeElement.className") == "skip"
    keyboard.press("Enter")
    assert ann.page.evaluate("document.activeElement.id") == "content"
    keyboard.press("Tab")
    keyboard.type(ann.email)
    keyboard.press("Tab")
    keyboard.type(PASSWORD)
    with ann.page.expect_navigation():
        keyboard.press("Enter")
    assert ann.at == ""
    assert_focus_is_seen(ann)
    while ann.page.evaluate("document.activeElement.textContent") != "Machines":
        keyboard.press("Tab")
    with ann.page.expect_navigation():
        keyboard.press("Enter")
    assert ann.at == "machines"


def assert_focus_is_seen(person):
    person.page.keyboard.press("Tab")
    person.page.keyboard.press("Tab")
    assert person.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
