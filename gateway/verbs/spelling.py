"""How documents spell core's values, and how what was typed is read back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from core.errors import InvalidRequest
from core.ids import AccountId, ApplicationId, InstanceId, OrderId
from core.tags import ResourceKind
from protocols.ec2 import ids

# The epoch of our rows, and the last year that has another after it.
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_DAY_LENGTH = len("2026-11-22")


def moment(at: datetime) -> str:
    """Return a moment as text, to the second."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def moment_or_none(at: datetime | None) -> str | None:
    """Return a moment as text, or None for none."""
    return moment(at) if at is not None else None


def moment_of(field: str, text: str | None, *, is_end: bool = False) -> datetime | None:
    """Return the moment that is meant, in UTC unless it says otherwise; None for nothing.

    A day is its beginning, or where it `is_end` its end.

    Raises:
        InvalidRequest: no moment is written so.
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min.replace(tzinfo=UTC)
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise InvalidRequest(field, text, "a day or a time, such as 2026-11-22 or 2026-11-22T10:00:00Z")
    is_day = len(text) <= _DAY_LENGTH
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at + timedelta(days=1) if is_end and is_day else at


def whole(field: str, text: str | None, most: int) -> int:
    """Return a whole number from 1 on; 0 for nothing.

    Raises:
        InvalidRequest: it is none, or more than that.
    """
    if not text:
        return 0
    number = ids.plain_number(text)
    if number is None or not 1 <= number <= most:
        raise InvalidRequest(field, text, f"a whole number from 1 to {most}")
    return number


def amount_or_none(field: str, text: str) -> Decimal | None:
    """Return an amount of money, or None for the word "none".

    Raises:
        InvalidRequest: it is neither.
    """
    if text.strip().lower() == "none":
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidRequest(field, text, "an amount such as 250 or 99.50, or none") from None


def account_id(text: object) -> AccountId:
    """Return the account that is meant.

    Raises:
        InvalidRequest: no account's id is written so.
    """
    if not (digits := str(text)).isascii() or not digits.isdecimal():
        raise InvalidRequest("account", text, "an account's id, such as 100000000001 (see `onefleet account list`)")
    return AccountId(int(digits))


def account_id_or_none(text: object) -> AccountId | None:
    """Return the account that is meant, or None for nothing.

    Raises:
        InvalidRequest: no account's id is written so.
    """
    return account_id(text) if text else None


def instance_id(text: str) -> InstanceId:
    """Return the machine that is meant: `17` or `i-…`.

    Raises:
        InvalidRequest: no machine's id is written so.
    """
    return InstanceId(_number("instance", ResourceKind.INSTANCE, text))


def order_id(text: str) -> OrderId:
    """Return the order that is meant: `5` or `r-…`.

    Raises:
        InvalidRequest: no order's id is written so.
    """
    return OrderId(_number("order", ResourceKind.ORDER, text))


def application_id(text: str) -> ApplicationId:
    """Return the application that is meant, by its number.

    Raises:
        InvalidRequest: it is no number.
    """
    if (number := ids.plain_number(text)) is None:
        raise InvalidRequest("application", text, "its number, as `onefleet app list` tells it")
    return ApplicationId(number)


def _number(word: str, kind: ResourceKind, text: str) -> int:
    if (number := ids.plain_number(text)) is not None:
        return number
    try:
        return ids.read(kind, text)
    except ids.MalformedId:
        spelled = ids.spell(kind, 17)
        raise InvalidRequest(word, text, f"its number or its id, such as 17 or {spelled}") from None
