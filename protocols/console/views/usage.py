"""What machines cost: now, by the month, on an invoice; and how much may be spent."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from aiohttp import web

from core.errors import InvalidRequest
from core.spending import Month, MonthlyUsage, UsageLine
from protocols import ids
from protocols.console import spreadsheet
from protocols.console.errors import PageNotFound
from protocols.console.paging import leaf
from protocols.console.routes import Pages, Visit

pages = Pages()

_HEADS = (
    "month",
    "instance_id",
    "order",
    "reservation_id",
    "name",
    "type",
    "zone",
    "launched_at",
    "ended_at",
    "hours",
    "hourly_price",
    "amount",
    "currency",
)


@dataclass(frozen=True, slots=True)
class Position:
    """A line of an invoice: all machines of one product at one price. `price` is None if it changed on the way."""

    title: str
    machines: int
    hours: int
    price: Decimal | None
    amount: Decimal
    currency: str


@pages.get("usage")
async def show(visit: Visit) -> web.StreamResponse:
    """Return what runs up now, and the months that there is usage of."""
    return await visit.page(
        "usage.html",
        running=await visit.core.spending.running(visit.calling),
        allowance=await visit.core.spending.limits(visit.calling),
        months=await visit.core.spending.months(visit.calling),
    )


@pages.get("usage/{month}")
async def show_month(visit: Visit) -> web.StreamResponse:
    """Return what each machine cost in a month; as a table to be worked with, if the path ends in .csv."""
    text, _, suffix = visit.variables["month"].partition(".")
    usage = await _usage(visit, text)
    if suffix == "csv":
        return spreadsheet.answer(f"usage-{usage.month}.csv", rows(usage))
    if suffix:
        raise PageNotFound
    months = await visit.core.spending.months(visit.calling)
    return await visit.page(
        "usage_month.html",
        usage=usage,
        leaf=leaf(usage.lines, visit.query),
        months=[month for month in (usage.month.previous, usage.month.next) if month in months],
    )


@pages.get("usage/{month}/invoice")
async def show_invoice(visit: Visit) -> web.StreamResponse:
    """Return a month's invoice, to be printed."""
    usage = await _usage(visit, visit.variables["month"])
    return await visit.page(
        "invoice.html",
        usage=usage,
        account=await visit.core.access.account(visit.calling),
        positions=positions(usage.lines),
        last_day=usage.month.end - timedelta(days=1),
    )


@pages.get("spending")
async def show_spending(visit: Visit) -> web.StreamResponse:
    """Return how much may be spent in a month, to be changed."""
    return await visit.page("spending.html", allowance=await visit.core.spending.limits(visit.calling))


@pages.post("spending", again=show_spending, fields={InvalidRequest: "warning"})
async def limit_spending(visit: Visit) -> web.StreamResponse:
    """Set the limit, and from where on to warn."""
    limit, warning = visit.form.money("limit"), visit.form.money("warning")
    if limit is not None and warning is not None and warning > limit:
        visit.form.refuse("warning", f"The warning would come after the limit; give at most {limit:f}.")
    visit.form.require()
    await visit.core.spending.set_limits(visit.calling, limit, warning)
    return visit.go("spending", "That is noted; it counts from the next booking on.")


async def _usage(visit: Visit, text: str) -> MonthlyUsage:
    """Return the usage of a month that has begun.

    Raises:
        PageNotFound: the text spells none, or one that is yet to come.
    """
    try:
        month = Month.parse(text)
    except InvalidRequest:
        raise PageNotFound from None
    if month.start > visit.now:
        raise PageNotFound
    return await visit.core.spending.usage(visit.calling, month)


def positions(lines: Sequence[UsageLine]) -> Sequence[Position]:
    """Return a month's lines put together by product and price, for an invoice that stays readable."""
    alike: dict[tuple[str, str, Decimal], list[UsageLine]] = defaultdict(list)
    for line in lines:
        alike[line.currency, line.title, line.hourly_price].append(line)
    return [_position(alike[key]) for key in sorted(alike)]


def _position(lines: Sequence[UsageLine]) -> Position:
    first, hours = lines[0], sum(line.hours for line in lines)
    amount = sum((line.amount for line in lines), Decimal())
    price = first.hourly_price if first.hourly_price * hours == amount else None
    return Position(first.title, len(lines), hours, price, amount, first.currency)


# --- the table to be worked with


def rows(usage: MonthlyUsage) -> Iterator[Sequence[object]]:
    """Yield the heads and a row for each machine: amounts are plain numbers, times ISO 8601 in UTC."""
    yield _HEADS
    for line in usage.lines:
        yield (
            str(usage.month),
            ids.instance_id(line.instance_id),
            line.order_id,
            ids.reservation_id(line.order_id),
            line.name,
            line.product,
            line.zone,
            _stamp(line.launched_at),
            _stamp(line.ended_at) if line.ended_at else "",
            line.hours,
            _plain(line.hourly_price),
            _plain(line.amount),
            line.currency,
        )


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _plain(amount: Decimal) -> Decimal:
    """Return an amount that is written without an exponent."""
    return Decimal(f"{amount:f}")
