"""Key pairs: made, brought along, and deleted."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from core.accounts import Caller
from core.catalogue import Region
from core.errors import InvalidKeyMaterial, InvalidRequest, KeyPairExists, LimitReached, UnknownKeyPairs, UnknownRegion
from core.keypairs import KeyKind, KeyPair
from protocols.console.paging import leaf
from protocols.console.routes import Pages, Visit

pages = Pages()

_KINDS = [(KeyKind.ED25519.value, "ED25519: short and fast"), (KeyKind.RSA.value, "RSA: for clients that need it")]
_LONGEST_KEY = 16 * 1024
_FIELDS = {
    KeyPairExists: "name",
    InvalidRequest: "name",
    LimitReached: "name",
    InvalidKeyMaterial: "material",
    UnknownRegion: "region",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A key pair, and where it is kept."""

    pair: KeyPair
    region: Region


@pages.get("key-pairs")
async def show(visit: Visit) -> web.StreamResponse:
    """Return the account's key pairs, region by region."""
    fleet = await visit.core.fleet(visit.calling)
    pairs = [Kept(pair, fleet.region(pair.region_id)) for pair in fleet.key_pairs()]
    page = leaf(sorted(pairs, key=lambda kept: (kept.region.id, kept.pair.name)), visit.query)
    return await visit.page("key_pairs.html", leaf=page)


@pages.get("key-pairs/new")
async def show_new(visit: Visit) -> web.StreamResponse:
    """Return the form to make a key pair."""
    return await visit.page("key_pair_new.html", kinds=_KINDS, regions=await _regions(visit))


@pages.post("key-pairs/new", again=show_new, fields=_FIELDS)
async def make(visit: Visit) -> web.StreamResponse:
    """Make a key pair, and show its private half, which is not kept."""
    form = visit.form
    name = form.text("name", what="a name for the key pair")
    kind = form.choice("kind", [kind for kind, _ in _KINDS], KeyKind.ED25519)
    form.require()
    made = await visit.core.create_key_pair(await _calling_in_region(visit), name, KeyKind(kind), {})
    content = base64.b64encode(made.private_pem.encode()).decode()
    return await visit.page(
        "key_pair_made.html",
        pair=made.pair,
        pem=made.private_pem.strip(),
        file=f"{_file_name(name)}.pem",
        link=f"data:application/x-pem-file;base64,{content}",
    )


@pages.get("key-pairs/import")
async def show_import(visit: Visit) -> web.StreamResponse:
    """Return the form to bring a public key along."""
    return await visit.page("key_pair_import.html", regions=await _regions(visit))


@pages.post("key-pairs/import", again=show_import, fields=_FIELDS)
async def bring(visit: Visit) -> web.StreamResponse:
    """Keep a public key that somebody made elsewhere."""
    form = visit.form
    name, material = form.text("name", what="a name for the key pair"), form.block("material", most=_LONGEST_KEY)
    if not material.strip():
        form.refuse("material", "Paste your public key, such as the one line of id_ed25519.pub.")
    form.require()
    pair = await visit.core.import_key_pair(await _calling_in_region(visit), name, material.encode(), {})
    return visit.go("key-pairs", f"The key pair {pair.name} can be ordered with now.")


@pages.post("key-pairs/{pair}/delete")
async def delete(visit: Visit) -> web.StreamResponse:
    """Forget a key pair, once that is confirmed."""
    pair = await _pair(visit)
    if not visit.form.flag("confirmed"):
        return await visit.page(
            "confirm.html",
            title=f"Delete the key pair {pair.name}?",
            text="It can no longer be ordered with. Machines that it opens stay as they are.",
            lost=[f"{pair.name}, {pair.fingerprint}"],
            path=f"key-pairs/{visit.variables['pair']}/delete",
            values=[],
            label="Delete it",
            back="key-pairs",
        )
    await visit.core.delete_key_pair(visit.calling, pair)
    return visit.go("key-pairs", f"The key pair {pair.name} is deleted.")


async def _pair(visit: Visit) -> KeyPair:
    number = visit.number("pair", "key-")
    pairs = (await visit.core.fleet(visit.calling)).key_pairs()
    found = next((pair for pair in pairs if pair.id == number), None)
    if found is None:
        raise UnknownKeyPairs([visit.variables["pair"]], by_id=True)
    return found


async def _regions(visit: Visit) -> Sequence[tuple[str, str]]:
    fleet = await visit.core.fleet(visit.calling)
    return [(region.name, f"{region.name} ({region.geo})") for region in fleet.regions()]


async def _calling_in_region(visit: Visit) -> Caller:
    """Return the caller, in the region that the form names: what they make is made there."""
    region = await visit.core.region(visit.form.value("region"))
    return replace(visit.calling, region_id=region.id, sees_all_regions=True)


def _file_name(name: str) -> str:
    """Return a key pair's name as a file can be called."""
    return "".join(each if each.isascii() and (each.isalnum() or each in "-_.") else "_" for each in name).lstrip(".")
