"""What a machine costs: every hour of its started terms at the price that it had when the hour began."""

from bisect import bisect_left
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter

from core.instances import Checkpoint, Instance

_HOUR = timedelta(hours=1)
_START = Checkpoint(0, Decimal())
_hours_of = attrgetter("hours")

TERMS_HOURS = (1, 730, 2190)
"""The terms that a machine can be booked by: an hour, a month, a quarter. Source: gigenet-ec2.md, BillingTerm."""


def started_hours(instance: Instance, now: datetime) -> int:
    """Return the hours for which the machine has been rented so far: every started one from launch to the end.

    A machine is rented until it is terminated: one that is stopped keeps its capacity and its disk, and is charged. One
    whose launch failed is charged nothing.
    """
    return 0 if instance.has_failed else _hours_until(instance, instance.ended_at or now)


def charged_hours(instance: Instance, now: datetime) -> int:
    """Return the hours that are charged so far: those of every started term."""
    return _of_whole_terms(instance, started_hours(instance, now))


def cost(instance: Instance, now: datetime) -> Decimal:
    """Return what the machine has cost so far, in the currency of its order."""
    if instance.has_failed:
        return Decimal()
    return _cost_of(instance, charged_hours(instance, now))


def cost_at(instance: Instance, moment: datetime) -> Decimal:
    """Return what the machine had cost at a moment that is past, as it was told then: later changes do not count."""
    if instance.has_failed or moment <= instance.launched_at:
        return Decimal()
    hours = _hours_by(instance, moment)
    base, price = _price_in(instance, hours)
    return base.cost + price * (_of_whole_terms(instance, hours) - base.hours)


def charged_hours_at(instance: Instance, moment: datetime) -> int:
    """Return the hours that had been charged at a moment that is past: those that `cost_at` is for."""
    if instance.has_failed or moment <= instance.launched_at:
        return 0
    return _of_whole_terms(instance, _hours_by(instance, moment))


def price_at(instance: Instance, moment: datetime) -> Decimal:
    """Return the price of the last hour that had begun at a moment that is past; before the launch, of the first."""
    return _price_in(instance, _hours_by(instance, moment))[1]


def repriced(instance: Instance, hourly_price: Decimal, now: datetime) -> Instance:
    """Return the machine at another price from its next hour on, also within a term; those begun stay as they were."""
    last = _last_checkpoint(instance)
    hours = max(last.hours, started_hours(instance, now))
    new = Checkpoint(hours, _cost_of(instance, hours))
    return replace(
        instance,
        hourly_price=hourly_price,
        checkpoints=instance.checkpoints if hours == last.hours else (*instance.checkpoints, new),
    )


def first_charge(hourly_price: Decimal, term_hours: int, machines: int) -> Decimal:
    """Return what so many machines cost from the moment of booking: their first term."""
    return hourly_price * term_hours * machines


def _hours_until(instance: Instance, end: datetime) -> int:
    return max(1, -((instance.launched_at - end) // _HOUR))


def _of_whole_terms(instance: Instance, hours: int) -> int:
    return -(-hours // instance.term_hours) * instance.term_hours


def _last_checkpoint(instance: Instance) -> Checkpoint:
    return instance.checkpoints[-1] if instance.checkpoints else _START


def _cost_of(instance: Instance, hours: int) -> Decimal:
    """Return what so many hours cost; if the clock was put back, what was charged before stands."""
    last = _last_checkpoint(instance)
    return last.cost + instance.hourly_price * max(0, hours - last.hours)


def _hours_by(instance: Instance, moment: datetime) -> int:
    return _hours_until(instance, min(instance.ended_at or moment, moment))


def _price_in(instance: Instance, hours: int) -> tuple[Checkpoint, Decimal]:
    """Return the last change of price before an hour (the first is 1), and what that hour costs."""
    place = bisect_left(instance.checkpoints, hours, key=_hours_of)
    base = instance.checkpoints[place - 1] if place else _START
    if place == len(instance.checkpoints):
        return base, instance.hourly_price
    following = instance.checkpoints[place]
    return base, (following.cost - base.cost) / (following.hours - base.hours)
