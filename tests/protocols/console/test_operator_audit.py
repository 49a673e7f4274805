import csv
import io
from datetime import timedelta

import pytest

from core.accounts import Protocol
from core.journal import Author, Deed
from protocols.console.spreadsheet import lines_of
from tests.clocks import NOON

ALICE = Author("alice@example.com", "203.0.113.7", Protocol.CONSOLE, "request-1", "root@example.com")
ROBOT = Author("AKOFROBOT", "198.51.100.1", Protocol.EC2, "request-2")
EVIL = "<script>alert('\"1')</script>"


async def note(house, *deeds):
    def work(tx):
        for deed in deeds:
            tx.note(deed)

    await house.store.transact(work)


@pytest.fixture
async def log(house, operator):
    """Three deeds of different days, accounts and protocols; the operator has signed in before them."""
    ours, theirs = house.ours.account.id, house.theirs.account.id
    await note(
        house,
        Deed(NOON + timedelta(days=1), ours, ALICE, "terminate", "machine 17", "at night"),
        Deed(NOON + timedelta(days=2), theirs, ROBOT, "book", "order 5"),
        Deed(NOON + timedelta(days=3), None, ROBOT, "sign in refused", "", EVIL),
    )
    return operator


def told(page):
    """Return the verb of every line."""
    return [text.split(" machine")[0].split(" order")[0].split(" (")[0] for text in page.texts("tbody th")]


async def test_a_deed_is_told_whole(log):
    page = await log.get("operator/audit?verb=terminate")
    [row] = page.texts("tbody tr")
    for text in (
        "alice@example.com by root@example.com",
        "terminate machine 17 (at night)",
        "100000000001",
        "203.0.113.7",
    ):
        assert text in row
    assert page.all("tbody time")[0].get("datetime") == "2026-05-02T12:00:00Z"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("text=MACHINE%2017", ["terminate"]),
        ("text=198.51.100.1", ["sign in refused", "book"]),
        ("text=root@", ["terminate"]),
        ("account=100000000002&protocol=ec2", ["book"]),
        ("protocol=ec2", ["sign in refused", "book"]),
        ("verb=book", ["book"]),
        ("since=2026-05-03", ["sign in refused", "book"]),
        ("since=2026-05-02&until=2026-05-02", ["terminate"]),
        ("since=2026-05-03&verb=terminate", []),
    ],
)
async def test_deeds_are_searched_by_all_that_is_asked_for(log, query, found):
    assert told(await log.get(f"operator/audit?{query}")) == found


async def test_nothing_found_is_told_with_a_way_out(log):
    page = await log.get("operator/audit?text=nothing+of+the+kind")
    assert "Nothing was found" in page.visible
    assert page.value("text") == "nothing of the kind"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("since", "yesterday"),
        ("until", "9999-12-31"),
        ("since", "0001-01-01"),
        ("account", "x"),
        ("account", "17"),
        ("protocol", "fax"),
        ("text", "a\x07b"),
    ],
)
async def test_what_cannot_be_looked_for_is_told_at_its_field(log, name, value):
    page = await log.get(f"operator/audit?{name}={value}")
    assert page.status == 422
    assert page.problem(name)
    assert not page.all("tbody")


@pytest.mark.parametrize("before", ["x", "-1", "9" * 40])
async def test_a_page_that_cannot_be_is_refused_and_nothing_breaks(log, before):
    assert (await log.get(f"operator/audit?before={before}")).status == 422


async def test_older_deeds_are_led_to_with_the_same_search(house, operator):
    await note(house, *(Deed(NOON, None, ROBOT, "book", f"order {number}") for number in range(120)))
    seen, path = [], "operator/audit?verb=book&protocol=ec2"
    for expected in (50, 50, 20):
        page = await operator.get(path)
        assert len(page.texts("tbody th")) == expected
        seen += page.texts("tbody th")
        links = page.all("a[rel='next']")
        path = links[0].get("href").removeprefix("/console/") if links else ""
    assert path == ""
    assert seen == [f"book order {number}" for number in reversed(range(120))]


async def test_what_strangers_wrote_is_text(log):
    page = await log.get("operator/audit")
    assert EVIL in page.visible
    assert not page.all("main script")


# --- as CSV


async def test_all_that_is_found_is_saved_as_csv_however_much_it_is(house, operator):
    await note(house, *(Deed(NOON, None, ROBOT, "book", f"order {number}") for number in range(2500)))
    page = await operator.get("operator/audit.csv?verb=book")
    assert page.headers["Content-Type"].startswith("text/csv")
    assert 'filename="audit.csv"' in page.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(page.text)))
    assert [row["subject"] for row in rows] == [f"order {number}" for number in reversed(range(2500))]


async def test_a_saved_deed_has_every_part(log):
    page = await log.get("operator/audit.csv?verb=terminate")
    [row] = csv.DictReader(io.StringIO(page.text))
    assert row.pop("id").isdecimal()
    assert row == {
        "at": "2026-05-02T12:00:00Z",
        "account_id": "100000000001",
        "actor": "alice@example.com",
        "operator": "root@example.com",
        "address": "203.0.113.7",
        "protocol": "console",
        "request_id": "request-1",
        "verb": "terminate",
        "subject": "machine 17",
        "detail": "at night",
    }


async def test_a_search_that_cannot_be_is_not_saved_but_shown(log):
    assert (await log.get("operator/audit.csv?since=x")).leads_to == "operator/audit?since=x"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_is_taken_for_a_formula(cell):
    [[saved, plain]] = csv.reader(io.StringIO(lines_of([(cell, "a=1")]), newline=""))
    assert (saved, plain) == (f"'{cell}", "a=1")


def test_numbers_below_zero_stay_numbers():
    assert lines_of([(-1, "a")]) == "-1,a\r\n"


async def test_asking_for_the_heads_of_the_csv_alone_sends_no_lines(log):
    async with log._session.head(log.url("operator/audit.csv")) as response:
        assert response.status == 200
        assert await response.text() == ""
