"""How things of one kind are described: all, or those of the ids that are asked for; filtered, and in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from core.tags import ResourceKind
from protocols.ec2 import ids
from protocols.ec2.encode import Fragment
from protocols.ec2.errors import invalid_combination, not_found
from protocols.ec2.filters import Filters
from protocols.ec2.pages import Paging
from protocols.ec2.registry import Call
from protocols.ec2.turns import in_turns

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer shows, as XML, and the token of the next; empty for none."""

    items: Sequence[Fragment]
    next_token: str

    def end(self, result: R) -> R:
        """Return the result, a TypedDict with a NextToken, with the token in it if there is one."""
        if self.next_token:
            cast("dict[str, Any]", result)["NextToken"] = self.next_token
        return result


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """The one way of all actions that describe things with ids of a kind.

    `asked` is the parameter with the ids. Where it cannot be used together with MaxResults, `set_name` is what EC2
    calls it when it says so. `number` tells what an item's id spells, `describe` its content in a `shape`.
    """

    paging: Paging
    kind: ResourceKind
    asked: str
    shape: str
    filters: Filters[T]
    number: Callable[[T], int]
    describe: Callable[[T], Mapping[str, Any]]
    set_name: str = ""

    async def page(self, call: Call, request: Mapping[str, Any], items: Iterable[T]) -> Page:
        """Return the page of the items that the request asks for; they must come in the order of their numbers.

        Raises:
            Ec2Refusal: an id is not there, a filter is not understood, or the page makes no sense.
            MalformedId: an id is not of the kind's form.
        """
        asked, size = request.get(self.asked) or [], request.get("MaxResults")
        if asked and size is not None and self.set_name:
            raise invalid_combination(self.set_name, "maxResults")
        wanted, token = request.get("Filters"), request.get("NextToken")
        found = await self.filters.apply(wanted, await self._chosen(items, asked) if asked else items)
        query = (asked, wanted)
        page, next_token = self.paging.cut(call, found, self._place, size=size, token=token, query=query)
        return Page(await call.renderer.each(self.shape, page, self.describe), next_token or "")

    async def _chosen(self, items: Iterable[T], asked: Sequence[str]) -> list[T]:
        wanted = {ids.read(self.kind, text): text for text in asked}
        chosen = [item async for item in in_turns(items) if self.number(item) in wanted]
        if len(chosen) < len(wanted):
            known = {self.number(item) for item in chosen}
            raise not_found(self.kind, next(text for number, text in wanted.items() if number not in known))
        return chosen

    def _place(self, item: T) -> tuple[int]:
        return (self.number(item),)
