"""The account's own audit log."""

import pytest

from core.kinds import ResourceKind
from core.tags import Resource

EVIL = '"><script>alert(1)</script>'


async def test_what_was_done_is_told_with_who_did_it_and_how(console, ours):
    await console.done("addresses", {"zone": "eu-1a"})
    row = (await console.get("history")).text_of("tbody tr")
    assert "hold address" in row
    assert "ann@example.com" in row
    assert "console" in row


async def test_others_deeds_are_not_told(console, theirs):
    assert theirs.caller.access_key not in (await console.get("history")).text


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("text=key+pair", True),
        ("text=KEY+pair+laptop", True),
        ("text=nothing+like+it", False),
        ("protocol=ec2&text=laptop", True),
        ("protocol=zerosix", False),
        ("since=2000-01-01&until=2099-01-01&text=laptop", True),
        ("until=2000-01-01", False),
    ],
)
async def test_the_history_is_searched(console, ours, query, is_found):
    page = await console.get(f"history?{query}")
    assert page.status == 200
    assert bool(page.all("tbody tr")) is is_found


@pytest.mark.parametrize(
    ("query", "name"), [("since=yesterday", "since"), ("until=2026-13-01", "until"), ("protocol=smtp", "protocol")]
)
async def test_what_cannot_be_looked_for_is_told_at_its_field(console, query, name):
    page = await console.get(f"history?{query}")
    assert page.status == 422
    assert page.problem(name)


async def test_older_deeds_are_on_the_next_page(console, house, ours):
    resource = Resource(ours.caller.account_id, ResourceKind.INSTANCE, ours.ids[0])
    for count in range(60):
        await house.core.tag(ours.caller, [resource], {"turn": str(count)})
    first = await console.get("history?protocol=ec2")
    [older] = first.all("a[rel='next']")
    second = await console.get(older.get("href").removeprefix("/console/"))
    assert len(first.all("tbody tr")) == 50
    assert second.all("tbody tr")
    assert "protocol=ec2" in older.get("href")


async def test_what_is_told_is_only_text(console, house):
    await console.post("key-pairs/new", {"name": EVIL, "kind": "ed25519", "region": "eu-1"})
    page = await console.get("history")
    assert EVIL in page.visible
    assert "<script>alert" not in page.text


async def test_a_day_that_nothing_can_follow_is_refused_at_its_field(console):
    page = await console.get("history?until=9999-12-31")
    assert page.status == 422
    assert "Give a day" in page.problem("until")
