"""What a machine costs: every hour of its started terms at the price that it had when the hour began."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.instances import Instance

_HOUR = timedelta(hours=1)

TERMS_HOURS = (1, 730, 2190)
"""The terms that a machine can be booked by: an hour, a month, a quarter. Source: gigenet-ec2.md, BillingTerm."""


def started_hours(instance: Instance, now: datetime) -> int:
    """Return the hours for which the machine has been rented so far: every started one from launch to the end.

    A machine is rented until it is terminated: one that is stopped keeps its capacity and its disk, and is charged. One
    whose launch failed is charged nothing.
    """
    if instance.has_failed:
        return 0
    rented = (instance.ended_at or now) - instance.launched_at
    return max(1, -(-rented // _HOUR))


def charged_hours(instance: Instance, now: datetime) -> int:
    """Return the hours that are charged so far: those of every started term."""
    return -(-started_hours(instance, now) // instance.term_hours) * instance.term_hours


def cost(instance: Instance, now: datetime) -> Decimal:
    """Return what the machine has cost so far, in the currency of its order."""
    if instance.has_failed:
        return Decimal()
    return _cost_of(instance, charged_hours(instance, now))


def repriced(instance: Instance, hourly_price: Decimal, now: datetime) -> Instance:
    """Return the machine at another price from its next hour on, also within a term; those begun stay as they were."""
    hours = max(instance.earlier_hours, started_hours(instance, now))
    return replace(instance, hourly_price=hourly_price, earlier_hours=hours, earlier_cost=_cost_of(instance, hours))


def _cost_of(instance: Instance, hours: int) -> Decimal:
    """Return what so many hours cost; if the clock was put back, what was charged before stands."""
    return instance.earlier_cost + instance.hourly_price * max(0, hours - instance.earlier_hours)
