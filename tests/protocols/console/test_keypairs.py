"""Key pairs: made, brought along, deleted."""

import base64

import pytest

from core import sshkeys
from core.keypairs import KeyKind
from protocols.ids import key_pair_id

EVIL = '"><script>alert(1)</script>'


async def pairs(house):
    return (await house.core.fleet(house.caller())).key_pairs()


async def test_newcomers_are_told_what_a_key_pair_is(console):
    assert "You have no key pairs yet" in (await console.get("key-pairs")).visible


async def test_the_private_half_is_shown_once_and_can_be_downloaded(console, house):
    page = await console.post("key-pairs/new", {"name": "my laptop", "kind": "ed25519", "region": "ap-1"})
    assert page.headers["Cache-Control"] == "no-store"
    pem = page.text_of("pre")
    assert pem.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    [link] = page.all("a[download]")
    assert link.get("download") == "my_laptop.pem"
    assert base64.b64decode(link.get("href").partition(",")[2]).decode().split() == pem.split()
    [pair] = await pairs(house)
    assert (await house.core.fleet(house.caller())).region(pair.region_id).name == "ap-1"
    assert "PRIVATE" not in (await console.get("key-pairs")).text


async def test_a_public_key_is_brought_along(console, house):
    line = sshkeys.generate(KeyKind.ED25519, "me@home").public.line
    page = await console.done("key-pairs/import", {"name": "home", "material": f"{line}\r\n", "region": "eu-1"})
    assert "home" in page.text_of("tbody tr")
    assert [pair.public_key for pair in await pairs(house)] == [line]


@pytest.mark.parametrize(
    ("path", "fields", "name"),
    [
        ("key-pairs/new", {"name": ""}, "name"),
        ("key-pairs/new", {"name": "laptop"}, "name"),
        ("key-pairs/new", {"name": "fine", "kind": "dsa"}, "kind"),
        ("key-pairs/new", {"name": "fine", "region": "moon"}, "region"),
        ("key-pairs/import", {"name": "fine", "material": ""}, "material"),
        ("key-pairs/import", {"name": "fine", "material": EVIL}, "material"),
        ("key-pairs/import", {"name": "fine", "material": "ssh-dss AAAA"}, "material"),
    ],
)
async def test_what_is_wrong_is_told_at_its_field(console, ours, path, fields, name):
    page = await console.post(path, {"kind": "ed25519", "region": "eu-1", **fields})
    assert page.status in (404, 422)
    assert page.problem(name)
    assert page.value("name") == fields["name"]
    assert "<script>alert" not in page.text


async def test_deleting_asks_first(console, house, ours):
    path = f"key-pairs/{key_pair_id(ours.pair.id)}/delete"
    assert "laptop" in (await console.post(path)).visible
    assert len(await pairs(house)) == 1
    assert (await console.post(path, {"confirmed": "yes"})).leads_to == "key-pairs"
    assert not await pairs(house)


async def test_anothers_key_pair_cannot_be_deleted_or_seen(console, house, theirs):
    path = f"key-pairs/{key_pair_id(theirs.pair.id)}/delete"
    assert (await console.post(path)).status == 404
    assert (await console.post(path, {"confirmed": "yes"})).status == 404
    assert "laptop" not in (await console.get("key-pairs")).visible


async def test_a_name_is_only_text(console, house):
    page = await console.post("key-pairs/new", {"name": EVIL, "kind": "ed25519", "region": "eu-1"})
    listed = await console.get("key-pairs")
    for each in (page, listed):
        assert EVIL in each.visible
        assert "<script>alert" not in each.text
    assert page.all("a[download]")[0].get("download").isascii()
