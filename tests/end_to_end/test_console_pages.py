"""Every page of the console in a real browser: narrow and wide, light and dark, with and without scripts."""

import pytest

from protocols.console.routes import Audience
from tests.browser import NARROW, WIDE, Person, become_operator, browser, open_to_all
from tests.showroom import PAGES, SECTIONS, filled, open_showroom

__all__ = ["browser"]

LARGEST_BYTES = 100_000
# Tests of their own see to these.
PLAIN = [each for each in PAGES if not each.template.startswith("sign-")]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with open_to_all(tmp_path_factory.mktemp("console"), **SECTIONS) as running:
        yield running


@pytest.fixture(scope="module")
def customer(browser, gateway):
    with Person(browser, gateway) as person:
        yield person.sign_up("customer@example.com")


@pytest.fixture(scope="module")
def operator(browser, gateway):
    with Person(browser, gateway) as person:
        yield become_operator(person)


@pytest.fixture
def visitor(request, route):
    return request.getfixturevalue("operator" if route.audience is Audience.OPERATORS else "customer")


@pytest.fixture(scope="module")
def names(customer):
    return open_showroom(customer).names


@pytest.mark.parametrize("route", PLAIN, ids=lambda route: route.template or "overview")
def test_a_page_is_small_readable_for_everybody_and_without_a_complaint(visitor, names, route):
    visitor.complaints.clear()
    visitor.page.set_viewport_size({"width": NARROW, "height": 700})
    visitor.page.emulate_media(color_scheme="light")
    response = visitor.go(filled(route.template, names))
    assert response.status == 200
    assert len(response.body()) <= LARGEST_BYTES
    assert visitor.page.locator("h1").count() == 1
    assert visitor.overflowing() == []
    visitor.page.set_viewport_size({"width": WIDE, "height": 900})
    assert visitor.overflowing() == []
    assert visitor.barriers() == []
    visitor.page.emulate_media(color_scheme="dark")
    assert visitor.barriers("color-contrast") == []
    assert visitor.complaints == []
