from dataclasses import replace
from decimal import Decimal

import pytest

from core.catalogue import Catalogue
from core.ids import ProductId
from core.instances import Power
from core.orders import Booking
from core.ports import DriverCode
from core.usage import Total
from protocols.console.house import Finding
from tests.builders import a_launch_spec
from tests.clocks import eventually
from tests.fleetfixture import CATALOGUE, a_ware
from tests.protocols.console.served import PATH
from tests.protocols.console.stage import open_stage

EVIL = "<script>alert(1)</script>"
SECTION = [
    "operator",
    "operator/accounts",
    "operator/accounts/100000000001",
    "operator/capacity",
    "operator/reconciler",
    "operator/hosts",
    "operator/catalogue",
    "operator/audit",
    "operator/audit.csv",
]


@pytest.fixture
async def stage(house, tmp_path):
    async with open_stage(house, tmp_path) as opened:
        yield opened


@pytest.fixture
async def operator(stage):
    return await stage.site.operator()


async def book(house, slug="nvidia-titanxp", count=1, holder=None, **changes):
    """Return the ids of machines that a customer, by default our own, has booked."""
    product = await house.product(slug)
    request = Booking(product_id=product.id, least=count, most=count, **changes)
    placed = await house.core.book(house.caller(holder), request)
    return [machine.id for machine in placed.instances]


def catalogue_with(slug, **changes):
    """Return the catalogue with one product changed."""
    products = [replace(ware, **changes) if ware.slug == slug else ware for ware in CATALOGUE.products]
    return replace(CATALOGUE, products=products)


def row_of(page, name):
    """Return the words of the first row of a table that begins with a name."""
    return next(text for text in page.texts("tbody tr") if text.startswith(name))


# --- who may see it


@pytest.mark.parametrize("path", SECTION)
async def test_operators_pages_are_no_pages_for_anybody_else(stage, path):
    customer = await stage.site.signed_in(await stage.house.person())
    page = await customer.get(path)
    assert page.status == 404
    assert "There is no such page" in page.visible


@pytest.mark.parametrize("path", SECTION)
async def test_operators_see_every_page_of_their_section(operator, path):
    assert (await operator.get(path)).status == 200


async def test_the_section_is_in_an_operators_navigation_only(stage, operator):
    customer = await stage.site.signed_in(await stage.house.person())
    link = f"nav a[href='{PATH}operator']"
    assert (await operator.get()).all(link)
    assert not (await customer.get()).all(link)


# --- the overview


async def test_the_overview_tells_what_is_wrong(stage, operator):
    stage.troubles = {"store": f"the database cannot be written {EVIL}"}
    page = await operator.get("operator")
    assert "the database cannot be written <script>" in page.visible
    assert not page.all("main script")


async def test_the_overview_tells_that_the_hosts_are_silent(stage, operator):
    stage.driver.go_silent(True)
    assert any("Hosts:" in text for text in (await operator.get("operator")).texts(".note.bad"))


async def test_the_overview_counts_machines_of_all_accounts_by_state(stage, operator):
    await book(stage.house, count=2)
    await book(stage.house, holder=stage.house.theirs)
    await stage.house.seen(Power.RUNNING, [1])
    page = await operator.get("operator")
    assert page.texts(".cards .figure")[0] == "3"
    assert page.texts(".cards p")[1] == "2 pending 1 running"


async def test_the_overview_names_accounts_near_their_limit(stage, operator):
    await book(stage.house)
    account = stage.house.ours.account
    await stage.house.administration.set_credit_limit(account.id, Decimal("0.80"))
    await stage.house.administration.set_credit_limit(stage.house.theirs.account.id, Decimal(1))
    page = await operator.get("operator")
    assert page.texts("a[href$='operator/accounts/100000000001']")[0] == "ours"
    assert [text for text in page.texts("td.number") if "USD" in text] == ["0.70 USD", "0.80 USD"]


async def test_the_overview_tells_what_was_done_last(stage, operator):
    await stage.house.administration.add_account(EVIL)
    page = await operator.get("operator")
    assert any(EVIL in text for text in page.texts("tbody tr"))


# --- capacity


async def test_capacity_is_told_by_product_and_zone(stage, operator):
    await book(stage.house, count=2)
    page = await operator.get("operator/capacity")
    assert row_of(page, "nvidia-titanxp").startswith("nvidia-titanxp 2 zones 5 2 3 0.70 USD")
    assert "eu-1a 2 2 0" in page.texts("tbody tr")
    assert "eu-1b 3 0 3" in page.texts("tbody tr")


async def test_what_is_rented_but_sold_no_longer_takes_capacity_that_nobody_planned(stage, operator):
    await book(stage.house)
    without = replace(CATALOGUE, products=[each for each in CATALOGUE.products if each.slug != "nvidia-titanxp"])
    await stage.house.administration.set_catalogue(without)
    page = await operator.get("operator/capacity")
    assert row_of(page, "nvidia-titanxp").startswith("nvidia-titanxp retired eu-1a over-booked 0 1 0")


async def test_what_machines_of_a_product_use_is_told(stage, operator):
    product = await stage.house.product("plain")
    stage.totals = {ProductId(product.id): Total(machines=2, cpus=3.25, memory_mib=4096)}
    page = await operator.get("operator/capacity")
    assert "3.2 of 8 CPUs, 4.0 of 16.0 GiB" in row_of(page, "plain")


async def test_without_products_capacity_tells_how_to_sell_something(stage, operator):
    await stage.house.administration.set_catalogue(Catalogue())
    assert "Nothing is sold" in (await operator.get("operator/capacity")).visible


# --- the reconciler


async def test_what_waits_is_told_with_its_account(stage, operator):
    ids = await book(stage.house, count=2)
    stage.reconciler.wake(ids)
    page = await operator.get("operator/reconciler")
    assert len(page.all("tbody tr")) == 2
    assert "i-00000000000000001 100000000001 pending 0 seconds 0 -" in page.texts("tbody tr")


async def test_what_fails_is_told_with_the_reason(stage, operator):
    await book(stage.house)
    stage.driver.fail_next("ensure", DriverCode.UNAVAILABLE, times=99)
    async with stage.at_work():
        await eventually(lambda: any(each.failures for each in stage.reconciler.backlog()))
        page = await operator.get("operator/reconciler")
        overview = await operator.get("operator")
    assert page.texts("tbody tr")[0].endswith("The simulated backend refused this. (told to: unavailable)")
    assert "1 of them failing" in overview.visible


async def test_orphans_are_told_with_what_to_do(stage, operator):
    await stage.driver.ensure(a_launch_spec(77))
    async with stage.at_work():
        page = await operator.get("operator/reconciler")
        overview = await operator.get("operator")
    assert "i-0000000000000004d" in page.visible
    assert 'orphans = "remove"' in page.visible
    assert "1 orphan" in overview.visible


async def test_nothing_waits_where_all_is_well(stage, operator):
    page = await operator.get("operator/reconciler")
    assert "Nothing waits" in page.visible
    assert "no machine that no row knows of" in page.visible


async def test_the_reconcilers_part_alone_can_be_asked_for(stage, operator):
    page = await operator.get("operator/reconciler")
    [part] = page.all("[hx-get]")
    assert part.get("hx-trigger") == "every 5s"
    again = await operator.get(part.get("hx-get").removeprefix(PATH))
    assert again.status == 200
    assert "Nothing waits" in again.text
    assert "<html" not in again.text


# --- hosts


async def test_hosts_are_told_and_what_the_driver_cannot_tell_is_a_dash(stage, operator):
    assert (await operator.get("operator/hosts")).texts("tbody tr") == ["simulated up 0 - - - - -"]


async def test_a_driver_that_does_not_answer_is_told_in_words(stage, operator):
    stage.driver.go_silent(True)
    page = await operator.get("operator/hosts")
    assert page.status == 200
    assert "cannot tell about its hosts" in page.visible


async def test_the_driver_examines_its_host_only_if_asked(stage, operator):
    stage.findings = [Finding(is_ok=False, text=f"Image debian-12 is missing {EVIL}")]
    assert not (await operator.get("operator/hosts")).all(".findings")
    page = await operator.get("operator/hosts?look=yes")
    assert page.texts(".findings li") == [f"problem Image debian-12 is missing {EVIL}"]


# --- the catalogue


async def test_a_configuration_that_says_what_is_sold_differs_in_nothing(operator):
    page = await operator.get("operator/catalogue")
    assert "nothing to take over" in page.visible
    assert not page.all("tbody tr")


async def test_each_difference_is_told_field_by_field(stage, operator):
    stage.catalogue = catalogue_with("plain", hourly_price=Decimal("0.02"), title=EVIL)
    page = await operator.get("operator/catalogue")
    assert page.texts("tbody tr > *")[:3] == ["product", "plain", "changed"]
    assert page.texts("tbody dt") == ["title", "hourly price"]
    assert page.texts("tbody dd") == [f"Plain → {EVIL}", "0.01 → 0.02"]
    assert (
        "1 difference. Let the gateway reload its configuration to take it over: systemctl reload onefleet, or SIGHUP."
        in page.visible
    )


async def test_what_is_new_and_what_is_retired_is_told(stage, operator):
    kept = [ware for ware in CATALOGUE.products if ware.slug != "plain"]
    stage.catalogue = replace(CATALOGUE, products=[*kept, a_ware("fresh", "0.01", {"eu-1b": 1})])
    rows = (await operator.get("operator/catalogue")).texts("tbody tr")
    assert [row.split()[1:3] for row in rows] == [["plain", "retired"], ["fresh", "new"]]


async def test_what_will_be_overbooked_is_told_before_the_restart(stage, operator):
    await book(stage.house, "nvidia-1080ti", 3)
    stage.catalogue = catalogue_with("nvidia-1080ti", capacity={"eu-1a": 2})
    page = await operator.get("operator/catalogue")
    assert any(
        text.startswith("nvidia-1080ti eu-1a 3 2 After the reload: over-booked") for text in page.texts("tbody tr")
    )


async def test_what_is_retired_but_rented_is_told(stage, operator):
    await book(stage.house, "nvidia-1080ti")
    kept = [ware for ware in CATALOGUE.products if ware.slug != "nvidia-1080ti"]
    stage.catalogue = replace(CATALOGUE, products=kept)
    await stage.house.administration.set_catalogue(stage.catalogue)
    page = await operator.get("operator/catalogue")
    assert page.texts("tbody tr") == ["nvidia-1080ti eu-1a 1 0 retired, but rented still"]


async def test_a_broken_configuration_is_told_in_words(stage, operator):
    await book(stage.house, "nvidia-1080ti", 3)
    await stage.house.administration.set_catalogue(catalogue_with("nvidia-1080ti", capacity={"eu-1a": 2}))
    stage.broken = ["server.lisen: unknown key; did you mean listen?", f"log.level: {EVIL}"]
    page = await operator.get("operator/catalogue")
    assert page.status == 200
    assert page.texts(".note.bad li") == list(stage.broken)
    assert page.texts("tbody th") == ["nvidia-1080ti"]


async def test_a_gateway_that_lends_nothing_has_no_machinery_to_show(site):
    operator = await site.operator()
    assert (await operator.get("operator/capacity")).status == 404
