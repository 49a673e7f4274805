"""What is sold, as the configuration words it by now, against what runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from core.drift import Difference
from core.estate import Stock
from protocols.console.house import BrokenConfiguration, Finding
from protocols.console.routes import Audience, Pages, Visit
from protocols.console.views.backstage import behind

pages = Pages(Audience.OPERATORS)


@dataclass(frozen=True, slots=True)
class Concern:
    """A product in a zone that wants attention: `now` or only once the configuration is taken over."""

    stock: Stock
    is_now: bool


@pages.get("operator/catalogue")
async def show(visit: Visit) -> web.StreamResponse:
    """Return how the configuration differs from what is sold; if asked, what the driver finds of images, too."""
    findings = await behind(visit).look() if visit.query.get("look") else None
    try:
        configured = await behind(visit).configured()
    except BrokenConfiguration as error:
        estate = await visit.administration.estate()
        return await _page(visit, findings, problems=error.problems, concerns=_concerns(estate.stocks(), ()))
    estate = await visit.administration.estate()
    concerns = _concerns(estate.stocks(), estate.stocks_by(configured))
    return await _page(visit, findings, differences=estate.drift(configured), concerns=concerns)


async def _page(
    visit: Visit,
    findings: Sequence[Finding] | None,
    *,
    concerns: Sequence[Concern],
    problems: Sequence[str] = (),
    differences: Sequence[Difference] = (),
) -> web.StreamResponse:
    return await visit.page(
        "operator_catalogue.html",
        findings=findings,
        problems=problems,
        differences=differences,
        concerns=concerns,
    )


def _concerns(now: Sequence[Stock], then: Sequence[Stock]) -> Sequence[Concern]:
    """Return what is over-booked, or rented although it is sold no longer: now, and what will be so besides."""
    concerns = {_place(stock): Concern(stock, is_now=True) for stock in now if stock.is_overbooked}
    for stock in then:
        if stock.is_overbooked:
            concerns.setdefault(_place(stock), Concern(stock, is_now=False))
    return list(concerns.values())


def _place(stock: Stock) -> tuple[int, int]:
    return stock.product.id, stock.zone.id
