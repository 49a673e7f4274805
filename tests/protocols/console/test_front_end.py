import asyncio

import pytest

from core.errors import StoreUnavailable
from protocols.console.app import SUBJECTS
from protocols.console.routes import Audience, Table
from tests.fleetfixture import PASSWORD

EVERY = [route for route in Table(SUBJECTS).all() if "{" not in route.template]
PLAIN_POSTS = [route.template for route in EVERY if route.method == "POST" and route.audience is Audience.CUSTOMERS]


async def test_every_answer_forbids_what_no_page_of_ours_needs(site, console):
    for path in ("", "nowhere", "sign-in", "profile"):
        headers = (await console.get(path)).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


async def test_the_session_cookie_is_for_this_server_and_not_for_scripts(site, house):
    await house.person()
    browser = await site.browser()
    page = await browser.post("sign-in", {"email": "ann@example.com", "password": PASSWORD}, token="none")
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("onefleet-session=")
    assert {"HttpOnly", "Path=/console/", "SameSite=Lax"} <= set(cookie.split("; "))


@pytest.mark.parametrize("path", sorted(set(PLAIN_POSTS)))
@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("none", {}),
        ("", {"Origin": "https://evil.example"}),
        ("", {"Origin": "null"}),
    ],
)
async def test_a_form_that_is_not_ours_changes_nothing(house, console, path, token, headers):
    await console.get()  # the first page of an account may have to make something
    before = (await house.store.view()).revision
    page = await console.post(path, {"confirmed": "yes"}, token=token, headers=headers)
    assert page.status == 403
    assert (await house.store.view()).revision == before


async def test_a_form_of_another_sign_in_is_not_ours(console, stranger):
    page = await console.post("profile/sign-out-everywhere", token=await stranger.form_token())
    assert page.status == 403
    assert (await console.get("profile")).status == 200


async def test_the_sign_in_cannot_be_sent_from_another_site(site, house):
    await house.person()
    browser = await site.browser()
    fields = {"email": "ann@example.com", "password": PASSWORD}
    page = await browser.post("sign-in", fields, token="none", headers={"Origin": "https://evil.example"})
    assert page.status == 403
    assert not browser.cookies


@pytest.mark.parametrize("route", EVERY, ids=lambda route: f"{route.method} {route.template}")
async def test_nobody_sees_or_does_anything_without_signing_in(site, route):
    browser = await site.browser()
    if route.audience is Audience.ANYBODY:
        return
    ask = browser.get if route.method == "GET" else browser.post
    page = await (ask(route.template) if route.method == "GET" else browser.post(route.template, {}, token="none"))
    assert page.leads_to.startswith("sign-in")


@pytest.mark.parametrize(
    "route",
    [route for route in EVERY if route.audience is Audience.OPERATORS],
    ids=lambda route: f"{route.method} {route.template}",
)
async def test_the_operators_pages_do_not_exist_for_customers(console, route):
    page = await (console.get(route.template) if route.method == "GET" else console.post(route.template))
    assert page.status == 404


async def test_no_form_token_is_told_twice(console):
    tokens = {(await console.get("profile")).value("form_token") for _ in range(3)}
    assert len(tokens) == 3


async def test_a_page_that_is_not_there_says_so_within_the_navigation(console):
    page = await console.get("no/such/page")
    assert page.status == 404
    assert page.all("nav")


async def test_a_page_cannot_be_asked_in_a_way_that_it_does_not_know(console):
    assert (await console.post("profile")).status == 405


async def test_the_console_without_its_slash_leads_to_it(site):
    browser = await site.browser()
    async with browser._session.get(f"{site.origin}/console", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (308, "/console/")


async def test_the_stylesheet_may_be_kept_for_ever_under_its_address_and_is_found_at_no_other(site):
    browser = await site.browser()
    [link] = (await browser.get("sign-in")).all("link[rel='stylesheet']")
    async with browser._session.get(f"{site.origin}{link.get('href')}") as response:
        assert response.status == 200
        assert response.content_type == "text/css"
        assert "immutable" in response.headers["Cache-Control"]
    assert (await browser.get("static/000000000000/console.css")).status == 404
    assert (await browser.get("static/%2e%2e/app.py")).status == 404


async def test_a_form_with_too_many_fields_is_refused(site):
    browser = await site.browser()
    page = await browser.post("sign-in", {"email": ["a"] * 2100}, token="none")
    assert page.status == 400


async def test_a_form_that_is_no_form_is_an_empty_one(site):
    browser = await site.browser()
    async with browser._session.post(browser.url("sign-in"), json={"email": "a@b"}) as response:
        assert response.status == 422


async def test_when_the_database_cannot_be_written_the_page_says_so_and_nobody_is_signed_in(site, house, monkeypatch):
    await house.person()
    browser = await site.browser()

    async def full(_work):
        raise StoreUnavailable

    monkeypatch.setattr(house.store, "transact", full)
    page = await browser.post("sign-in", {"email": "ann@example.com", "password": PASSWORD}, token="none")
    assert page.status == 503
    assert "try again" in page.visible


async def test_a_sign_in_that_is_used_lasts_and_one_that_is_not_ends(site, house, console):
    lifetime = house.core.people.settings.lifetime
    for _ in range(3):
        house.clock.advance(lifetime * 0.9)
        assert (await console.get("profile")).status == 200
    house.clock.advance(lifetime)
    assert (await console.get("profile")).leads_to.startswith("sign-in")


async def test_a_suspended_account_is_signed_out(site, house, console):
    await house.administration.suspend(house.ours.account.id)
    assert (await console.get("profile")).leads_to.startswith("sign-in")
    page = await console.post("sign-in", {"email": "ann@example.com", "password": PASSWORD}, token="none")
    assert page.status == 403
    assert "suspended" in page.visible


async def test_what_a_browser_calls_itself_is_shown_as_text(site, house):
    person = await house.person()
    browser = await site.browser()
    browser._session.headers["User-Agent"] = "<script>alert(1)</script>"
    await browser.sign_in(person.email)
    assert "<script>alert" not in (await browser.get("profile")).text


async def test_a_part_of_a_page_tells_the_browser_to_reload_once_nobody_is_signed_in(site):
    browser = await site.browser()
    page = await browser.get("profile", headers={"HX-Request": "true"})
    assert (page.status, page.headers["HX-Refresh"]) == (401, "true")


async def test_pages_are_asked_for_side_by_side(console):
    pages = await asyncio.gather(*(console.get("profile") for _ in range(8)))
    assert {page.status for page in pages} == {200}


def test_two_routes_never_answer_the_same():
    seen = [
        (route.method, tuple("{}" if part.startswith("{") else part for part in route.parts))
        for route in Table(SUBJECTS).all()
    ]
    assert len(seen) == len(set(seen))


def test_every_form_that_can_be_refused_can_be_shown_again():
    for route in Table(SUBJECTS).all():
        if route.method == "POST" and route.fields:
            assert route.again is not None, route.template


async def test_asking_for_the_head_of_a_form_does_nothing(console):
    async with console._session.head(console.url("sign-out")) as response:
        assert response.status == 405
    assert (await console.get("profile")).status == 200


async def test_a_page_that_is_only_open_does_not_keep_anybody_signed_in(house, console):
    lifetime = house.core.people.settings.lifetime
    for _ in range(3):
        house.clock.advance(lifetime / 4)
        assert (await console.get("machines?part=table")).status == 200
    house.clock.advance(lifetime / 4)
    assert (await console.get("profile")).leads_to.startswith("sign-in")
