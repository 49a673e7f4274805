"""Which products a customer looks for: what their attributes are to be, and what they may cost."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from core.catalogue import ANYWHERE, Product

Ranks = Mapping[str, Sequence[str]]
"""What each attribute of a product may be, lowest first."""

GEO = "geo"
"""The attribute that follows from a product's zones."""


class Relation(StrEnum):
    """How the rank that a product has compares with the one that is asked for."""

    AT_LEAST = "at least"
    EXACTLY = "exactly"
    AT_MOST = "at most"


_COMPARE: Mapping[Relation, Callable[[int, int], bool]] = {
    Relation.AT_LEAST: operator.ge,
    Relation.EXACTLY: operator.eq,
    Relation.AT_MOST: operator.le,
}


@dataclass(frozen=True, slots=True)
class Demand:
    """What one attribute is to be. A place has no rank: of `GEO`, the relation does not count."""

    value: str
    relation: Relation = Relation.EXACTLY


@dataclass(frozen=True, slots=True)
class Filter:
    """Which products are wanted: by their attributes, and by their hourly price, both bounds included."""

    demands: Mapping[str, Demand] = field(default_factory=dict)
    least: Decimal | None = None
    most: Decimal | None = None

    def admits(self, product: Product, ranks: Ranks) -> bool:
        """Whether the product is wanted. Every attribute that is asked for, but for the place, must have ranks."""
        if self.least is not None and product.hourly_price < self.least:
            return False
        if self.most is not None and product.hourly_price > self.most:
            return False
        return all(_meets(product, name, demand, ranks) for name, demand in self.demands.items())


def _meets(product: Product, name: str, demand: Demand, ranks: Ranks) -> bool:
    if name == GEO:  # a place has no rank, and what is offered everywhere is in every place
        return product.geo in (demand.value, ANYWHERE)
    rank, has = ranks[name], product.attributes.get(name)
    return has in rank and _COMPARE[demand.relation](rank.index(has), rank.index(demand.value))
