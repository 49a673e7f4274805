"""Spending: what machines cost by the month, what runs up now, and how much an account may spend."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import chain

from core.accounts import Account, Caller
from core.errors import InvalidRequest, UnknownAccount
from core.ids import AccountId, InstanceId
from core.instances import Instance
from core.instances import State as Stage
from core.orders import Order
from core.ports import Store, Transaction
from core.service.transactor import Transactor
from core.spending import (
    Allowance,
    Month,
    MonthlyUsage,
    Outlook,
    Running,
    Spent,
    UsageLine,
    amount_in,
    check_amount,
    forecast_in,
    hours_in,
    price_in,
)
from core.state import State
from core.tags import Resource, ResourceKind

_YIELD_EVERY = 250
"""Machines whose costs are reckoned before others have their turn: some two milliseconds' worth."""

_Sums = defaultdict[str, Decimal]
_UP = frozenset({Stage.PENDING, Stage.RUNNING})


@dataclass(frozen=True, slots=True)
class _Rental:
    """A machine with its order."""

    order: Order
    machine: Instance


class Spending:
    """What accounts spend. Machines of all regions count, and those of orders that closed long ago."""

    def __init__(self, transactor: Transactor, store: Store) -> None:
        self._transactor, self._store = transactor, store

    # --- looking

    async def usage(self, caller: Caller, month: Month) -> MonthlyUsage:
        """Return what the caller's machines cost in a month.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        return await self.of_account(caller.account_id, month)

    async def of_account(self, account_id: AccountId, month: Month) -> MonthlyUsage:
        """Return what an account's machines cost in a month.

        Raises:
            UnknownAccount: there is no such account.
            StoreUnavailable: it cannot be read.
        """
        state, now = await self._store.view(), self._transactor.now()
        if account_id not in state.accounts:
            raise UnknownAccount(account_id)
        lines, totals = [], _Sums(Decimal)
        async for rental in self._rentals(account_id, month):
            line = _line(state, rental, month, now)
            if line.hours or line.amount:
                lines.append(line)
                totals[line.currency] += line.amount
        lines.sort(key=lambda line: line.instance_id)
        return MonthlyUsage(account_id, month, lines, _sorted(totals), is_over=now >= month.end)

    async def months(self, caller: Caller) -> Sequence[Month]:
        """Return the months since the account's first order, this one first; none if there never was an order.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        first = await self._store.first_order_at(caller.account_id)
        if first is None:
            return []
        month, last = Month.of(first), Month.of(self._transactor.now())
        found = [month]
        while month < last:
            found.append(month := month.next)
        return found[::-1]

    async def running(self, caller: Caller) -> Running:
        """Return what the caller's machines cost now, and what this month comes to.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        now = self._transactor.now()
        month = Month.of(now)
        per_hour, spent, forecast = _Sums(Decimal), _Sums(Decimal), _Sums(Decimal)
        up = stopped = 0
        async for rental in self._rentals(caller.account_id, month):
            currency, machine = rental.order.currency, rental.machine
            spent[currency] += amount_in(machine, month, now)
            forecast[currency] += forecast_in(machine, month)
            if not machine.has_ended:
                per_hour[currency] += machine.hourly_price
                up, stopped = (up + 1, stopped) if machine.state in _UP else (up, stopped + 1)
        outlooks = [
            Outlook(currency, per_hour[currency], spent[currency], forecast[currency]) for currency in sorted(spent)
        ]
        return Running(outlooks, up, stopped)

    # --- limits

    async def limits(self, caller: Caller) -> Allowance:
        """Return what the caller's account may spend in a month, and has spent in this one.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        account = (await self._store.view()).accounts[caller.account_id]
        spent = await self._spent(caller.account_id)
        return Allowance(account.spending_limit, account.spending_warning, account.credit_limit, spent.amounts)

    async def set_limits(self, caller: Caller, limit: Decimal | None, warning: Decimal | None) -> Account:
        """Limit what the account may spend in a month in each currency, and say when to warn it; None: not at all.

        What is rented already goes on, and may be given to a bigger product, whatever the limit.

        Raises:
            InvalidRequest: an amount is below zero, or the warning would come after the limit.
        """
        check_amount("spending limit", limit)
        check_amount("spending warning", warning)
        if limit is not None and warning is not None and warning > limit:
            raise InvalidRequest("spending warning", str(warning), f"at most the limit, {limit:f}")

        def work(tx: Transaction) -> Account:
            account = replace(tx.state.accounts[caller.account_id], spending_limit=limit, spending_warning=warning)
            tx.put(account)
            return account

        subject = f"limit {_in_words(limit)}, warning {_in_words(warning)}"
        return await self._transactor.transact(caller, "set spending limit", work, subject)

    async def counted_for_booking(self, caller: Caller) -> Spent | None:
        """Return what a booking's first charge comes on top of; None, at no cost, where there is no limit.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        account = (await self._store.view()).accounts[caller.account_id]
        return None if account.most_to_spend is None else await self._spent(caller.account_id)

    # --- how it is done

    async def _spent(self, account_id: AccountId) -> Spent:
        now = self._transactor.now()
        month, newest, amounts = Month.of(now), InstanceId(0), _Sums(Decimal)
        async for rental in self._rentals(account_id, month):
            amounts[rental.order.currency] += amount_in(rental.machine, month, now)
            newest = max(newest, rental.machine.id)
        return Spent(_sorted(amounts), newest)

    async def _rentals(self, account_id: AccountId, month: Month) -> AsyncIterator[_Rental]:
        """Give the machines that may cost something in a month or after it, as they are now; others have their turns.

        The state is seen last, so that of all machines up to its newest none is missing. It also has orders that have
        closed lately.
        """
        archived = await self._store.archived_orders(account_id, closed_since=month.start)
        state = await self._store.view()
        orders = dict(state.orders_of.get(account_id, {}))
        live = list(state.instances_of.get(account_id, {}).values())
        rentals = chain(
            (_Rental(orders[machine.order_id], machine) for machine in live),
            (
                _Rental(old.order, machine)
                for old in archived
                if old.order.id not in orders
                for machine in old.instances
            ),
        )
        for count, rental in enumerate(rentals, start=1):
            yield rental
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)


def _line(state: State, rental: _Rental, month: Month, now: datetime) -> UsageLine:
    machine, product = rental.machine, state.products[rental.machine.product_id]
    tags = state.tags_of(Resource(machine.account_id, ResourceKind.INSTANCE, machine.id))
    has_ended = machine.ended_at is not None and machine.ended_at < month.end
    return UsageLine(
        instance_id=machine.id,
        order_id=rental.order.id,
        product=product.slug,
        title=product.title,
        zone=state.zones[machine.zone_id].name,
        name=tags.get("Name") or machine.hostname,
        launched_at=machine.launched_at,
        ended_at=machine.ended_at if has_ended else None,
        hours=hours_in(machine, month, now),
        hourly_price=price_in(machine, month, now),
        amount=amount_in(machine, month, now),
        currency=rental.order.currency,
    )


def _sorted(sums: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    return dict(sorted(sums.items()))


def _in_words(amount: Decimal | None) -> str:
    return "none" if amount is None else f"{amount:f}"
