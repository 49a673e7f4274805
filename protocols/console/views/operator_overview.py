"""The operator's first page: what is wrong, what is full, who spends a lot, and what was done last."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from aiohttp import web

from core.accounts import Account
from core.estate import Stock
from core.journal import DeedQuery
from protocols.console.routes import Audience, Pages, Visit
from protocols.console.views.backstage import behind, in_place_of, see_hosts

pages = Pages(Audience.OPERATORS)

_LATEST_DEEDS = 8
_NEAR_SHARE = Decimal("0.8")
_FULLEST = 5


@dataclass(frozen=True, slots=True)
class Spender:
    """An account that has come near what it may spend this month in a currency."""

    account: Account
    spent: Decimal
    limit: Decimal
    currency: str


@pages.get("operator")
async def show(visit: Visit) -> web.StreamResponse:
    """Return how the whole house stands."""
    backstage = behind(visit)
    hosts = await see_hosts(visit)
    troubles = await backstage.troubles()
    spenders = await _spenders(visit)
    deeds = await visit.administration.deeds(DeedQuery(most=_LATEST_DEEDS))
    estate, backlog = await visit.administration.estate(), backstage.backlog()
    stocks = estate.stocks()
    return await visit.page(
        "operator.html",
        troubles=troubles,
        hosts=hosts,
        stages={stage.value: number for stage, number in estate.stages().items()},
        capacity=sum(stock.capacity for stock in stocks),
        taken=sum(stock.taken for stock in stocks),
        fullest=_fullest(stocks),
        waiting=len(backlog),
        failing=sum(each.failures > 0 for each in backlog),
        orphans=len(backstage.orphans()),
        accounts=len(estate.holdings()),
        spenders=spenders,
        deeds=deeds,
    )


def _fullest(stocks: Sequence[Stock]) -> Sequence[Stock]:
    """Return what is fullest of all that machines stand in."""
    used = [stock for stock in stocks if stock.taken]
    return sorted(used, key=lambda stock: stock.taken / max(stock.capacity, 1), reverse=True)[:_FULLEST]


async def _spenders(visit: Visit) -> Sequence[Spender]:
    found = []
    for account in await visit.administration.accounts():
        limit = account.most_to_spend
        if limit is None:
            continue
        allowance = await visit.core.spending.limits(in_place_of(visit, account.id))
        found += [
            Spender(account, spent, limit, currency)
            for currency, spent in allowance.spent.items()
            if spent >= limit * _NEAR_SHARE
        ]
    return found
