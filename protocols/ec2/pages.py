"""Pages of describe actions. A token names the last item shown, so that pages stay true while the fleet changes."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from protocols.ec2.errors import Ec2Refusal, invalid_value
from protocols.ec2.registry import Call

T = TypeVar("T")
Place = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Paging:
    """How one action pages: the bounds of MaxResults."""

    action: str
    least: int = 5
    most: int = 1000

    def cut(
        self,
        call: Call,
        items: Sequence[T],
        place: Callable[[T], Place],
        *,
        size: int | None,
        token: str | None,
        query: object = None,
    ) -> tuple[Sequence[T], str | None]:
        """Return the page that is asked for and the token of the next one, if there is one.

        Items must be sorted by their place, and no two may have the same, ever. A token is good for the same action,
        account, region and `query` (the filters) only.

        Raises:
            Ec2Refusal: the size is out of bounds, or the token is not one of ours for this request.
        """
        if size is not None and not self.least <= size <= self.most:
            raise invalid_value("MaxResults", size, f"Expected {self.least} to {self.most}.")
        if not token and (size is None or len(items) <= size):
            return items, None
        scope = f"{self.action}:{call.caller.account_id}:{call.caller.seen_region_id}:{query!r}"
        if token:
            last = _read(call, token, scope)
            items = [item for item in items if place(item) > last]
        if size is None or len(items) <= size:
            return items, None
        page = items[:size]
        return page, _write(call, place(page[-1]), scope)


def _read(call: Call, token: str, scope: str) -> Place:
    try:
        last, _, signature = base64.urlsafe_b64decode(token).decode().rpartition(".")
    except (binascii.Error, ValueError):
        last, signature = "", ""
    if not call.core.is_signed("page", f"{scope}:{last}", signature):
        raise Ec2Refusal("InvalidNextToken", "The token is not one that this action gave out for this request.")
    return tuple(json.loads(last))


def _write(call: Call, last: Place, scope: str) -> str:
    text = json.dumps(last)
    return base64.urlsafe_b64encode(f"{text}.{call.core.sign('page', f'{scope}:{text}')}".encode()).decode()
