"""Key pairs."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from core.errors import UnknownKeyPairs
from core.fleet import Fleet
from core.keypairs import KeyKind, KeyPair
from core.tags import ResourceKind
from protocols.ec2 import ids, render
from protocols.ec2.actions.tags import specified_tags
from protocols.ec2.errors import Ec2Refusal, invalid_value
from protocols.ec2.filters import Filters
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from protocols.ec2 import shapes

family = Family()


@family.action("CreateKeyPair", reads=("KeyName", "KeyType", "TagSpecifications"), accepts={"KeyFormat": ("pem",)})
async def create_key_pair(call: Call, request: shapes.CreateKeyPairRequest) -> shapes.KeyPair:
    """Make a key pair and show its private half, once."""
    text = request.get("KeyType", "rsa")
    try:
        kind = KeyKind(text)
    except ValueError:
        raise invalid_value("KeyType", text, "Expected rsa or ed25519.") from None
    tags = _tags(request.get("TagSpecifications") or [])
    created = await call.core.create_key_pair(call.caller, request["KeyName"], kind, tags)
    return {
        "KeyName": created.pair.name,
        "KeyPairId": ids.key_pair_id(created.pair.id),
        "KeyFingerprint": created.pair.fingerprint,
        "KeyMaterial": created.private_pem,
        "Tags": render.tags(tags),
    }


@family.action("ImportKeyPair", reads=("KeyName", "PublicKeyMaterial", "TagSpecifications"))
async def import_key_pair(call: Call, request: shapes.ImportKeyPairRequest) -> shapes.ImportKeyPairResult:
    """Keep a public key that the customer made."""
    tags = _tags(request.get("TagSpecifications") or [])
    pair = await call.core.import_key_pair(call.caller, request["KeyName"], request["PublicKeyMaterial"], tags)
    return {
        "KeyName": pair.name,
        "KeyPairId": ids.key_pair_id(pair.id),
        "KeyFingerprint": pair.fingerprint,
        "Tags": render.tags(tags),
    }


def _tags(specifications: Sequence[shapes.TagSpecification]) -> Mapping[str, str]:
    return specified_tags(specifications, {ResourceKind.KEY_PAIR}).get(ResourceKind.KEY_PAIR, {})


class _Described:
    """A key pair with what its filters read."""

    __slots__ = ("pair", "tags")

    def __init__(self, fleet: Fleet, pair: KeyPair) -> None:
        self.pair, self.tags = pair, fleet.tags(ResourceKind.KEY_PAIR, pair.id)


_FILTERS: Filters[_Described] = Filters(
    {
        "fingerprint": lambda item: (item.pair.fingerprint,),
        "key-name": lambda item: (item.pair.name,),
        "key-pair-id": lambda item: (ids.key_pair_id(item.pair.id),),
    },
    action="DescribeKeyPairs",
    tags=lambda item: item.tags,
)


@family.action("DescribeKeyPairs", reads=("KeyNames", "KeyPairIds", "Filters", "IncludePublicKey"))
async def describe_key_pairs(call: Call, request: shapes.DescribeKeyPairsRequest) -> shapes.DescribeKeyPairsResult:
    """Describe key pairs."""
    pairs = call.fleet.key_pairs()
    if names := request.get("KeyNames"):
        pairs = _chosen({pair.name: pair for pair in pairs}, names, by_id=False)
    if numbers := request.get("KeyPairIds"):
        pairs = _chosen({ids.key_pair_id(pair.id): pair for pair in pairs}, numbers, by_id=True)
    found = await _FILTERS.apply(request.get("Filters"), [_Described(call.fleet, pair) for pair in pairs])
    with_key = request.get("IncludePublicKey", False)
    return {"KeyPairs": await call.renderer.each("KeyPairInfo", found, partial(_key_pair, with_key=with_key))}


def _chosen(known: Mapping[str, KeyPair], names: Sequence[str], *, by_id: bool) -> Sequence[KeyPair]:
    if missing := [name for name in names if name not in known]:
        raise UnknownKeyPairs(missing, by_id=by_id)
    return [known[name] for name in dict.fromkeys(names)]


def _key_pair(item: _Described, *, with_key: bool) -> shapes.KeyPairInfo:
    shape: shapes.KeyPairInfo = {
        "KeyPairId": ids.key_pair_id(item.pair.id),
        "KeyName": item.pair.name,
        "KeyFingerprint": item.pair.fingerprint,
        "KeyType": item.pair.kind.value,
        "CreateTime": item.pair.created_at,
        "Tags": render.tags(item.tags),
    }
    if with_key:
        shape["PublicKey"] = item.pair.public_key
    return shape


@family.action("DeleteKeyPair", reads=("KeyName", "KeyPairId"))
async def delete_key_pair(call: Call, request: shapes.DeleteKeyPairRequest) -> shapes.DeleteKeyPairResult:
    """Forget a key pair. Deleting what is not there succeeds, as it does in EC2."""
    name, number = request.get("KeyName", ""), request.get("KeyPairId", "")
    if not name and not number:
        raise Ec2Refusal("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
    pairs = [pair for pair in call.fleet.key_pairs() if name in ("", pair.name)]
    pairs = [pair for pair in pairs if number in ("", ids.key_pair_id(pair.id))]
    if not pairs:
        return {"Return": True}
    with suppress(UnknownKeyPairs):  # another request was quicker
        await call.core.delete_key_pair(call.caller, pairs[0])
    return {"Return": True, "KeyPairId": ids.key_pair_id(pairs[0].id)}
