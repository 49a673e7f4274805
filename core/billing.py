"""What a machine costs: started hours times the hourly price it was booked at, never less than one hour."""

from datetime import datetime, timedelta
from decimal import Decimal

from core.instances import Instance

_HOUR = timedelta(hours=1)


def started_hours(instance: Instance, now: datetime) -> int:
    """Return the hours that are charged so far: every started one from launch to the end of the rental.

    A machine is rented until it is terminated: one that is stopped keeps its capacity and its disk, and is charged. One
    whose launch failed is charged nothing.
    """
    if instance.has_failed:
        return 0
    rented = (instance.ended_at or now) - instance.launched_at
    return max(1, -(-rented // _HOUR))


def cost(instance: Instance, now: datetime) -> Decimal:
    """Return what the machine has cost so far, in the currency of its order."""
    return instance.hourly_price * started_hours(instance, now)
