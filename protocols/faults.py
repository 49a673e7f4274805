"""How exceptions become a protocol's refusals: one table per front-end, the nearest exception class wins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """What a client is told: the HTTP status, the protocol's code, and a text made from the exception."""

    status: int
    code: str
    text: Callable[[Any], str] = str


class FaultTable:
    """The refusals of one front-end. What is in no row is a fault of the server and tells the client nothing."""

    def __init__(self, rows: Mapping[type[BaseException], Fault]) -> None:
        self._rows = dict(rows)

    def __contains__(self, kind: type[BaseException]) -> bool:
        return any(base in self._rows for base in kind.__mro__)

    def find(self, error: BaseException) -> Fault | None:
        """Return the row of the exception's nearest class, or None."""
        return next((self._rows[kind] for kind in type(error).__mro__ if kind in self._rows), None)
