"""What the operator sees of the machinery: capacity, the reconciler's work, and what machines stand on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from core.catalogue import Product
from core.estate import Stock
from core.ids import InstanceId, ProductId
from core.instances import Instance
from core.reconciler import Backlog
from core.usage import Total
from protocols.console.routes import Audience, Pages, Visit
from protocols.console.views.backstage import behind, see_hosts

pages = Pages(Audience.OPERATORS)

_NOTHING_USED = Total()


@dataclass(frozen=True, slots=True)
class ProductRoom:
    """A product with its zones, and what its machines use together."""

    product: Product
    stocks: Sequence[Stock]
    used: Total

    @property
    def capacity(self) -> int:
        """How many machines of it there can be."""
        return sum(stock.capacity for stock in self.stocks)

    @property
    def taken(self) -> int:
        """How many there are."""
        return sum(stock.taken for stock in self.stocks)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A machine that the reconciler has not dealt with. `machine` is None if no row knows of it any more."""

    instance_id: InstanceId
    machine: Instance | None
    since: timedelta
    failures: int
    trouble: str


@pages.get("operator/capacity")
async def show_capacity(visit: Visit) -> web.StreamResponse:
    """Return how much there is of each product in each zone, and how much of it is taken."""
    totals = behind(visit).totals()
    stocks = (await visit.administration.estate()).stocks()
    return await visit.page("operator_capacity.html", rooms=_rooms(stocks, totals))


def _rooms(stocks: Sequence[Stock], totals: Mapping[ProductId, Total]) -> Sequence[ProductRoom]:
    of_product: dict[ProductId, list[Stock]] = {}
    for stock in stocks:
        of_product.setdefault(stock.product.id, []).append(stock)
    return [ProductRoom(own[0].product, own, totals.get(each, _NOTHING_USED)) for each, own in of_product.items()]


@pages.get("operator/reconciler")
async def show_reconciler(visit: Visit) -> web.StreamResponse:
    """Return what waits to be done to machines, what fails, and which machines nobody knows of."""
    backstage = behind(visit)
    backlog, orphans = backstage.backlog(), backstage.orphans()
    estate = await visit.administration.estate()
    waiting = [_waiting(each, estate.machine(each.instance_id)) for each in backlog]
    values = {"waiting": waiting, "orphans": orphans}
    if visit.query.get("part"):
        return await visit.part("operator_reconciler_part.html", **values)
    return await visit.page("operator_reconciler.html", **values)


def _waiting(entry: Backlog, machine: Instance | None) -> Waiting:
    since = timedelta(seconds=entry.waits_seconds)
    return Waiting(entry.instance_id, machine, since, entry.failures, entry.trouble)


@pages.get("operator/hosts")
async def show_hosts(visit: Visit) -> web.StreamResponse:
    """Return what machines stand on; if asked, what the driver finds when it examines its host."""
    findings = await behind(visit).look() if visit.query.get("look") else None
    return await visit.page("operator_hosts.html", seen=await see_hosts(visit), findings=findings)
