"""What can be rented: the list, its filters, and one product."""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.catalogue import ANYWHERE, Product
from protocols.zerosix import encode
from protocols.zerosix.auth import authenticated
from protocols.zerosix.decode import Arguments, whole_number
from protocols.zerosix.errors import (
    CROSSED_PRICES,
    INVALID_ATTRIBUTE,
    INVALID_PRICES,
    INVALID_RELATION,
    UNKNOWN_PRODUCT,
    Refusal,
)
from protocols.zerosix.routes import Answer, Call, Route
from protocols.zerosix.settings import GEOS

Ranks = Mapping[str, Sequence[str]]

_RELATIONS: Mapping[object, Callable[[int, int], bool]] = {
    "greater": operator.ge,
    "less": operator.le,
    "equal": operator.eq,
}
# As PHP's is_numeric, but for blanks. Exponents are short, so that comparing is cheap.
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which products are wanted. `relation` compares the rank that a product has with the one asked for."""

    relation: Callable[[int, int], bool]
    attributes: Mapping[str, str]
    least: Decimal | None
    most: Decimal | None

    def admits(self, product: Product, ranks: Ranks) -> bool:
        """Whether the product has all that is wanted, at a price within the bounds, both included."""
        if self.least is not None and product.hourly_price < self.least:
            return False
        if self.most is not None and product.hourly_price > self.most:
            return False
        return all(self._has(product, name, value, ranks) for name, value in self.attributes.items())

    def _has(self, product: Product, name: str, wanted: str, ranks: Ranks) -> bool:
        if name == "geo":  # a place has no rank, and what is offered everywhere is in every place
            return product.geo in (wanted, ANYWHERE)
        rank, has = ranks[name], product.attributes.get(name)
        return has in rank and self.relation(rank.index(has), rank.index(wanted))


def read_filter(arguments: Arguments, ranks: Ranks) -> Filter:
    """Return the filter that a request asks for.

    Raises:
        Refusal: the relation, an attribute or a price is not valid.
    """
    relation = arguments.get("relation", "equal")
    if not isinstance(relation, str) or relation not in _RELATIONS:
        raise Refusal(INVALID_RELATION)
    least, most = _price(arguments.get("min_price")), _price(arguments.get("max_price"))
    if least is not None and most is not None and least > most:
        raise Refusal(CROSSED_PRICES)
    return Filter(_RELATIONS[relation], _attributes(arguments.get("attributes", {}), ranks), least, most)


async def _list(call: Call) -> Answer:
    chosen = read_filter(call.arguments, call.settings.ranks)
    fleet = await call.core.fleet(call.caller)
    found = [product for product in fleet.products() if chosen.admits(product, call.settings.ranks)]
    return Answer([encode.product(product) for product in found])


async def _retrieve(call: Call) -> Answer:
    wanted = whole_number(call.name, otherwise=UNKNOWN_PRODUCT)
    fleet = await call.core.fleet(call.caller)
    for product in fleet.products():
        if product.id == wanted:
            return Answer(encode.product(product))
    raise Refusal(UNKNOWN_PRODUCT)


def _attributes(given: object, ranks: Ranks) -> Mapping[str, str]:
    if given == []:  # PHP's empty array
        return {}
    if not isinstance(given, dict):
        raise Refusal(INVALID_ATTRIBUTE)
    wanted = {name: value for name, value in given.items() if value is not None}
    for name, value in wanted.items():
        if value not in (GEOS if name == "geo" else ranks.get(name, ())):
            raise Refusal(INVALID_ATTRIBUTE, details={"params": {"attributes": name}})
    return wanted


def _price(given: object) -> Decimal | None:
    if given is None:
        return None
    if isinstance(given, str) and _NUMBER.fullmatch(given):
        return Decimal(given)
    if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given):
        return Decimal(str(given))
    raise Refusal(INVALID_PRICES)


ROUTES = (
    Route("products", GET=authenticated(_list)),
    Route("products/{id}", GET=authenticated(_retrieve)),
)
