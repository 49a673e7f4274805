"""What an account spends in a calendar month (UTC): months, what machines cost in one, and what more may be booked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import takewhile
from typing import Self

from core.billing import charged_hours, charged_hours_at, cost, cost_at, first_charge, price_at
from core.catalogue import Product
from core.errors import InvalidRequest, SpendingLimitReached
from core.ids import AccountId, InstanceId, OrderId
from core.instances import Instance
from core.orders import Booking
from core.state import State

HOURS_OF_30_DAYS = 30 * 24
_MONTHS_OF_A_YEAR = 12
_MOST, _LEAST = Decimal(10**12), Decimal("0.000001")
# The epoch of our rows, and the last year that has another after it.
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month (UTC), spelled 2026-11; earlier ones are less."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """Return the month that a moment is in."""
        moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the month that is spelled so.

        Raises:
            InvalidRequest: it is no month.
        """
        found = _MONTH.fullmatch(text)
        if found is None or not _FIRST_YEAR <= int(found[1]) <= _LAST_YEAR:
            raise InvalidRequest("month", text, "a year and a month, such as 2026-11")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return _start_of(self)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return _end_of(self)

    @property
    def next(self) -> Self:
        """The month after it."""
        return self._by(1)

    @property
    def previous(self) -> Self:
        """The month before it."""
        return self._by(-1)

    def _by(self, months: int) -> Self:
        years, number = divmod(self.number - 1 + months, _MONTHS_OF_A_YEAR)
        return type(self)(self.year + years, number + 1)


# Each is asked for again with every machine of a bill.
@lru_cache(maxsize=16)
def _start_of(month: Month) -> datetime:
    return datetime(month.year, month.number, 1, tzinfo=UTC)


@lru_cache(maxsize=16)
def _end_of(month: Month) -> datetime:
    return _start_of(month.next)


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What one machine costs in a month. Product and name are those that it has now, or had last.

    `hours` are those charged, a term that begins in the month whole; `amount` is below zero where a cheaper product
    made a term cheaper that an earlier month was charged for. `hourly_price` is that at the end of the month, and
    `ended_at` is None if its rental went on then.
    """

    instance_id: InstanceId
    order_id: OrderId
    product: str
    title: str
    zone: str
    name: str
    launched_at: datetime
    ended_at: datetime | None
    hours: int
    hourly_price: Decimal
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class MonthlyUsage:
    """What an account's machines cost in a month, the oldest first; `totals` by currency. It grows until `is_over`."""

    account_id: AccountId
    month: Month
    lines: Sequence[UsageLine]
    totals: Mapping[str, Decimal]
    is_over: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an account spends in one currency: in an hour, this month so far, and until its end if nothing changes."""

    currency: str
    per_hour: Decimal
    spent: Decimal
    forecast: Decimal

    @property
    def per_30_days(self) -> Decimal:
        """What it spends in thirty days if nothing changes."""
        return self.per_hour * HOURS_OF_30_DAYS


@dataclass(frozen=True, slots=True)
class Running:
    """What runs up a bill now: the outlook in each currency, and machines that are up, and stopped but charged."""

    outlooks: Sequence[Outlook]
    machines_up: int
    machines_stopped: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an account may spend in a month in each currency, and what it has spent in this one.

    `limit` and `warning` are its own, `credit_limit` its operator's, each None where there is none.
    """

    limit: Decimal | None
    warning: Decimal | None
    credit_limit: Decimal | None
    spent: Mapping[str, Decimal]

    @property
    def is_warned(self) -> bool:
        """Whether it wanted to be warned by now."""
        return self._has_come_to(self.warning)

    @property
    def is_reached(self) -> bool:
        """Whether nothing more can be booked this month that costs anything, in some currency."""
        return self._has_come_to(self.limit) or self._has_come_to(self.credit_limit)

    def _has_come_to(self, amount: Decimal | None) -> bool:
        return amount is not None and any(spent >= amount for spent in self.spent.values())


@dataclass(frozen=True, slots=True)
class Spent:
    """What an account has spent this month by currency, as counted up to its machine `newest`; 0 if it has none."""

    amounts: Mapping[str, Decimal]
    newest: InstanceId


def amount_in(instance: Instance, month: Month, now: datetime) -> Decimal:
    """Return what a machine costs in a month, as far as it has come. All its months add up to `billing.cost`."""
    if now < month.start:
        return Decimal()
    by_then = cost(instance, now) if now < month.end else cost_at(instance, month.end)
    return by_then - cost_at(instance, month.start)


def hours_in(instance: Instance, month: Month, now: datetime) -> int:
    """Return the hours that `amount_in` is for."""
    if now < month.start:
        return 0
    by_then = charged_hours(instance, now) if now < month.end else charged_hours_at(instance, month.end)
    return by_then - charged_hours_at(instance, month.start)


def forecast_in(instance: Instance, month: Month) -> Decimal:
    """Return what a machine will have cost in a month at its end, if nothing changes until then."""
    return cost_at(instance, month.end) - cost_at(instance, month.start)


def price_in(instance: Instance, month: Month, now: datetime) -> Decimal:
    """Return the hourly price of a machine at the end of a month, or now if that is earlier."""
    return instance.hourly_price if now < month.end else price_at(instance, month.end)


def check_amount(field: str, amount: Decimal | None) -> Decimal | None:
    """Return an amount that somebody set as a limit; None is none.

    Raises:
        InvalidRequest: it is below zero, no number, or not one that anybody pays.
    """
    if amount is None or (amount.is_finite() and 0 <= amount < _MOST and amount == amount.quantize(_LEAST)):
        return amount
    raise InvalidRequest(field, str(amount), "0 or more, with at most six digits after the point")


def affordable(
    state: State, account_id: AccountId, booking: Booking, product: Product, *, spent: Spent, room: int
) -> int:
    """Return how many of the machines that there is room for the account's limits allow: what begins now is counted.

    Machines that were booked after `spent` was counted count as well.

    Raises:
        SpendingLimitReached: not `booking.least`.
    """
    limit = state.accounts[account_id].most_to_spend
    each = first_charge(product.hourly_price, booking.term_hours, 1)
    if limit is None or not each:
        return room
    so_far = spent.amounts.get(product.currency, Decimal()) + _begun_since(state, account_id, spent, product.currency)
    if so_far + each * booking.least > limit:
        raise SpendingLimitReached(limit, so_far, each * booking.least, product.currency)
    return min(room, int((limit - so_far) // each))


def _begun_since(state: State, account_id: AccountId, spent: Spent, currency: str) -> Decimal:
    mine = state.instances_of.get(account_id, {})
    newer = takewhile(lambda machine: machine.id > spent.newest, reversed(mine.values()))
    return sum(
        (
            first_charge(machine.hourly_price, machine.term_hours, 1)
            for machine in newer
            if not machine.has_failed and state.orders[machine.order_id].currency == currency
        ),
        Decimal(),
    )
