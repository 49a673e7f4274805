"""What people type: read field by field, with every mistake told at once and at its place."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from core.errors import CoreError

T = TypeVar("T")
Pairs = Sequence[tuple[str, str]]

_LONGEST_TEXT = 255
_LONGEST_WHOLE = 15
_LONGEST_MONEY = 20
_FIRST_YEAR, _LAST_YEAR = 1970, 9998  # so that a day can be added, and a column can hold it


class FormRefused(Exception):
    """What was typed cannot be used; the form has a message for each field that is wrong."""


class Form:
    """A form that was sent, or is yet to be.

    The readers return what a field says, or a stand-in after they have noted what is wrong; `require` then raises if
    anything is. Fields whose name is in `secrets` are never shown again.
    """

    def __init__(self, pairs: Pairs = (), *, is_sent: bool = False) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)
        self.is_sent = is_sent
        self.errors: dict[str, str] = {}
        self._secrets: set[str] = set()

    # --- showing

    @property
    def is_wrong(self) -> bool:
        """Whether anything in it is."""
        return bool(self.errors)

    def value(self, name: str, default: object = "") -> str:
        """Return what a field is to show: what was typed, or else the default."""
        if name in self._secrets:
            return ""
        return self._values[name][0] if name in self._values else "" if default is None else str(default)

    def values(self, name: str, default: Sequence[str] = ()) -> Sequence[str]:
        """Return what a field of many values is to show."""
        return self._values.get(name, []) if self.is_sent else default

    def is_ticked(self, name: str, value: str = "yes", *, default: bool = False) -> bool:
        """Whether a box is to be shown ticked."""
        return value in self._values.get(name, ()) if self.is_sent else default

    def error(self, name: str) -> str:
        """Return what is wrong with a field; empty if nothing is."""
        return self.errors.get(name, "")

    # --- reading

    def text(self, name: str, *, most: int = _LONGEST_TEXT, is_required: bool = True, what: str = "this") -> str:
        """Return a line of text without blanks around it."""
        value = self._first(name).strip()
        if is_required and not value:
            self.refuse(name, f"Fill in {what}.")
        elif len(value) > most:
            self.refuse(name, f"This has {len(value)} characters; at most {most} fit.")
        elif not value.isprintable():
            self.refuse(name, "Use printable characters on one line.")
        return value

    def block(self, name: str, *, most: int) -> str:
        """Return text of many lines, as it was typed, with plain line ends."""
        value = self._first(name).replace("\r\n", "\n")
        if len(value.encode("utf-8", "surrogatepass")) > most:
            self.refuse(name, f"This is too long; at most {most} bytes fit.")
        return value

    def secret(self, name: str, *, is_required: bool = True) -> str:
        """Return a password or a code, which is not shown again."""
        self._secrets.add(name)
        value = self._first(name)
        if is_required and not value:
            self.refuse(name, "Fill in this field.")
        return value

    def whole(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """Return a whole number within bounds."""
        text = self._first(name).strip()
        if not text and default is not None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_WHOLE and least <= int(text) <= most):
            self.refuse(name, f"Give a whole number from {least} to {most}.")
            return least
        return int(text)

    def money(self, name: str) -> Decimal | None:
        """Return an amount of money, 0 or more; None if the field is empty."""
        text = self._first(name).strip().replace(",", ".")
        if not text:
            return None
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal(-1)
        if len(text) > _LONGEST_MONEY or not amount.is_finite() or amount < 0:
            self.refuse(name, "Give an amount such as 250 or 99.50, or leave this empty.")
            return None
        return amount

    def day(self, name: str) -> datetime | None:
        """Return the beginning of a day (UTC); None if the field is empty."""
        text = self._first(name).strip()
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = date.max
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            self.refuse(name, "Give a day, such as 2026-11-22.")
            return None
        return datetime.combine(day, time(), UTC)

    def choice(self, name: str, choices: Collection[str], default: str = "") -> str:
        """Return one of the choices."""
        value = self._first(name) or default
        if value not in choices:
            self.refuse(name, "Choose one of what is offered.")
        return value

    def flag(self, name: str) -> bool:
        """Whether a box was ticked."""
        return self._first(name) == "yes"

    def each(self, name: str) -> Sequence[str]:
        """Return all values of a field."""
        return self._values.get(name, [])

    def lines(self, name: str, *, most: int = 100) -> Sequence[str]:
        """Return the lines of a field that are not blank, without blanks around them."""
        found = [line.strip() for line in self._first(name).splitlines() if line.strip()]
        if len(found) > most:
            self.refuse(name, f"These are {len(found)} lines; at most {most} fit.")
        return found[:most]

    def parsed(self, name: str, parse: Callable[[str], T], value: str, otherwise: T) -> T:
        """Return what a parser makes of a value; its refusal (any `ValueError` or core's) is told at the field."""
        try:
            return parse(value)
        except (CoreError, ValueError) as error:
            self.refuse(name, str(error))
            return otherwise

    # --- refusing

    def refuse(self, name: str, message: str) -> None:
        """Note what is wrong with a field (its first mistake counts); an empty name stands for the form as a whole."""
        self.errors.setdefault(name, message)

    def require(self) -> None:
        """Return if nothing is wrong.

        Raises:
            FormRefused: something is.
        """
        if self.errors:
            raise FormRefused

    def _first(self, name: str) -> str:
        return self._values.get(name, [""])[0]
