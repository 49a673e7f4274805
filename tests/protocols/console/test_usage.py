import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.orders import Booking
from core.spending import Month, UsageLine
from core.tags import ResourceKind
from protocols.console.views.usage import positions, rows
from tests.tenants import move_in

EVIL = '=HYPERLINK("https://evil.example","<script>alert(1)</script>")'
MAY = Month(2026, 5)


@pytest.fixture
async def rented(console, house, ours):
    """Our account's two machines, rented for three hours, the first of them by an evil name."""
    await house.core.tag(ours.caller, [ours.resource(ResourceKind.INSTANCE)], {"Name": EVIL})
    house.clock.advance(timedelta(hours=2, minutes=30))
    return ours


def table(page):
    return list(csv.DictReader(io.StringIO(page.text)))


# --- now and by the month


async def test_a_newcomer_is_told_that_nothing_has_cost_anything(console):
    page = await console.get("usage")
    assert "Nothing has cost anything yet" in page.visible
    assert page.all("a[href='/console/order']")


async def test_what_runs_now_is_told_by_the_hour_and_for_the_month(console, house, rented):
    [outlook] = (await house.core.spending.running(rented.caller)).outlooks
    figures = (await console.get("usage")).texts(".figure")
    assert figures == [
        f"{outlook.per_hour:.2f} USD",
        f"{outlook.per_30_days:,.2f} USD",
        f"{outlook.spent:.2f} USD",
        f"{outlook.forecast:,.2f} USD",
    ]


async def test_each_month_since_the_first_order_is_listed_with_its_table_and_invoice(console, house, rented):
    house.clock.advance(timedelta(days=40))
    await console.sign_in("ann@example.com")
    page = await console.get("usage")
    assert page.texts("tbody th") == ["2026-06", "2026-05"]
    for path in ("usage/2026-05", "usage/2026-05.csv", "usage/2026-05/invoice"):
        assert page.all(f"a[href='/console/{path}']")
        assert (await console.get(path)).status == 200


async def test_a_month_tells_each_machine_and_the_total(console, house, rented):
    usage = await house.core.spending.usage(rented.caller, MAY)
    page = await console.get("usage/2026-05")
    assert [each.replace(" USD", "") for each in page.texts("tbody td[data-label='Amount']")] == [
        f"{line.amount:.2f}" for line in usage.lines
    ]
    assert f"{usage.totals['USD']:.2f} USD" in page.text_of("tfoot")
    assert "goes on until" in page.visible


@pytest.mark.parametrize("month", ["2026-13", "2026-06", "9999-01", "x", "2026-05.pdf", "2026-5", "%00"])
async def test_what_is_no_month_that_has_begun_is_not_found(console, rented, month):
    assert (await console.get(f"usage/{month}")).status == 404
    assert (await console.get(f"usage/{month}/invoice")).status == 404


async def test_other_accounts_see_nothing_of_it(stranger, rented):
    assert "Nothing has cost anything yet" in (await stranger.get("usage")).visible
    assert table(await stranger.get("usage/2026-05.csv")) == []
    assert "No machine was charged" in (await stranger.get("usage/2026-05/invoice")).visible


async def test_long_months_are_shown_fifty_machines_at_a_time(console, house):
    plain = await house.product("plain")
    [zone] = plain.capacity
    await house.core.book(house.caller(), Booking(plain.id, 60, 60, zone_id=zone))
    house.clock.advance(timedelta(minutes=1))
    assert len((await console.get("usage/2026-05")).all("tbody tr")) == 50
    second = await console.get("usage/2026-05?page=2")
    assert len(second.all("tbody tr")) == 10
    assert "Page 2 of 2" in second.visible
    assert len((await console.get("usage/2026-05?page=999")).all("tbody tr")) == 10
    assert "60 machines" in second.visible


# --- to be worked with


async def test_the_table_has_a_row_for_each_machine_that_adds_up_to_the_total(console, house, rented):
    page = await console.get("usage/2026-05.csv")
    assert page.headers["Content-Type"].lower() == "text/csv; charset=utf-8"
    assert page.headers["Content-Disposition"] == 'attachment; filename="usage-2026-05.csv"'
    usage = await house.core.spending.usage(rented.caller, MAY)
    found = table(page)
    assert sum(Decimal(row["amount"]) for row in found) == usage.totals["USD"]
    assert [row["instance_id"] for row in found] == [f"i-{machine:017x}" for machine in rented.ids]
    assert {row["hours"] for row in found} == {"3"}
    assert found[0]["launched_at"] == "2026-05-01T12:00:00Z"


async def test_no_name_of_a_machine_is_a_formula_to_a_spreadsheet(console, rented):
    assert table(await console.get("usage/2026-05.csv"))[0]["name"] == f"'{EVIL}"


async def test_amounts_are_plain_numbers_even_below_zero(house, rented):
    usage = await house.core.spending.usage(rented.caller, MAY)
    odd = replace(usage.lines[0], amount=Decimal("-1E+2"))
    [_, row] = rows(replace(usage, lines=[odd]))
    assert "-100" in [str(cell) for cell in row]


# --- to be printed


async def test_the_invoice_of_a_month_that_goes_on_is_not_final(console, rented):
    page = await console.get("usage/2026-05/invoice")
    assert "Not final" in page.visible
    assert "2026-05-01 to 2026-05-31, UTC" in page.visible


async def test_the_invoice_of_a_month_that_is_over_tells_issuer_account_lines_and_total(console, house, rented):
    house.clock.advance(timedelta(days=31))
    await console.sign_in("ann@example.com")
    usage = await house.core.spending.usage(rented.caller, MAY)
    page = await console.get("usage/2026-05/invoice")
    assert "Not final" not in page.visible
    assert page.texts("address") == ["Example Ltd1 Road", f"oursAccount {house.ours.account.id}"]
    assert f"Invoice {house.ours.account.id}-2026-05" in page.texts("h1")
    assert len(page.all("tbody tr")) == 1
    assert page.texts("tbody td")[0] == "2"
    assert f"{usage.totals['USD']:,.2f} USD" in page.text_of("tfoot")


def a_line(**changes):
    line = UsageLine(
        1, 1, "a", "A", "z", "m", datetime(2026, 5, 1, tzinfo=UTC), None, 10, Decimal("0.5"), Decimal(5), "USD"
    )
    return replace(line, **changes)


def test_an_invoice_puts_together_what_is_alike():
    other, euro = a_line(title="B"), a_line(currency="EUR")
    told = [
        (each.title, each.currency, each.machines, each.hours, each.amount)
        for each in positions([a_line(), a_line(), other, euro])
    ]
    assert told == [("A", "EUR", 1, 10, 5), ("A", "USD", 2, 20, 10), ("B", "USD", 1, 10, 5)]


def test_a_price_that_changed_in_the_month_is_not_told_as_if_it_had_always_been():
    assert [each.price for each in positions([a_line()])] == [Decimal("0.5")]
    assert [each.price for each in positions([a_line(amount=Decimal(7))])] == [None]


# --- limits


async def test_a_limit_and_a_warning_are_set_and_taken_back(console, house):
    page = await console.done("spending", {"limit": "99,50", "warning": "80"})
    assert (page.value("limit"), page.value("warning")) == ("99.50", "80")
    account = await house.core.access.account(house.caller())
    assert (account.spending_limit, account.spending_warning) == (Decimal("99.50"), Decimal(80))
    await console.done("spending", {"limit": "", "warning": ""})
    account = await house.core.access.account(house.caller())
    assert (account.spending_limit, account.spending_warning) == (None, None)


@pytest.mark.parametrize(
    ("limit", "warning", "wrong"),
    [
        ("-1", "5", "limit"),
        ("much", "5", "limit"),
        ("NaN", "5", "limit"),
        ("10", "20", "warning"),
        ("5", "x", "warning"),
    ],
)
async def test_what_cannot_be_a_limit_is_refused_at_its_field_and_kept(console, house, limit, warning, wrong):
    page = await console.post("spending", {"limit": limit, "warning": warning})
    assert page.status == 422
    assert page.problem(wrong)
    assert (page.value("limit"), page.value("warning")) == (limit, warning)
    assert (await house.core.access.account(house.caller())).spending_limit is None


async def test_the_warning_and_then_the_reached_limit_are_told(console, rented):
    assert not (await console.get("usage")).all(".note")
    await console.done("spending", {"limit": "1000", "warning": "0.01"})
    assert "0.01 or more" in (await console.get("usage")).text_of(".note")
    await console.done("spending", {"limit": "0.02", "warning": ""})
    assert "nothing more can be booked" in (await console.get("usage")).text_of(".note.bad")


async def test_the_limit_of_the_operator_is_shown_and_not_changed(console, house):
    await house.store.transact(
        lambda tx: tx.put(replace(tx.state.accounts[house.ours.account.id], credit_limit=Decimal(250)))
    )
    page = await console.done("spending", {"limit": "900", "warning": ""})
    assert "250.00; the lower of both counts" in page.visible
    assert (await house.core.access.account(house.caller())).credit_limit == Decimal(250)


# --- what customers write


async def test_names_of_machines_run_nothing(console, rented):
    page = await console.get("usage/2026-05")
    assert EVIL in page.visible
    assert not page.all("main script")


async def test_both_accounts_are_told_their_own_machines_only(console, house, rented):
    theirs = await move_in(house, house.theirs)
    page = await console.get("usage/2026-05")
    assert len(page.all("tbody tr")) == len(rented.ids)
    assert not any(f"{number:017x}" in page.text for number in theirs.ids)
