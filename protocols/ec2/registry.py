"""The table of actions: what handles each, and which of its parameters mean something here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from protocols.ec2.errors import unsupported_parameter

if TYPE_CHECKING:
    from core.accounts import Caller
    from core.fleet import Fleet
    from core.service import Core
    from protocols.boundary import Exchange
    from protocols.ec2.render import Renderer
    from protocols.ec2.settings import Ec2Settings


@dataclass(slots=True)
class Call:
    """One request's surroundings. `fleet` is what the caller's account looked like when the request came."""

    core: Core
    caller: Caller
    fleet: Fleet
    renderer: Renderer
    settings: Ec2Settings
    exchange: Exchange

    async def refreshed(self) -> Fleet:
        """Return what the account looks like now, after a verb."""
        self.fleet = await self.core.fleet(self.caller)
        return self.fleet


Handler = Callable[[Call, Any], Awaitable[Any]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Action:
    """One action that we serve.

    `reads` are the parameters that it honours. `accepts` are those that may only ask for what is so anyway, with the
    values that do; asking for anything else, like any other parameter that AWS knows, is refused by name.
    """

    name: str
    handler: Handler
    reads: frozenset[str]
    accepts: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, request: Mapping[str, Any]) -> None:
        """Return if every parameter is honoured.

        Raises:
            Ec2Refusal: one is not.
        """
        if request.keys() <= self.reads:
            return
        for name in request.keys() - self.reads:
            if name not in self.accepts:
                raise unsupported_parameter(self.name, name)
            if request[name] not in self.accepts[name]:
                values = " or ".join(map(str, self.accepts[name]))
                raise unsupported_parameter(self.name, name, f" Leave it out, or give {values}.")


class Family:
    """Actions of one module."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}

    def action(
        self, name: str, *, reads: Iterable[str] = (), accepts: Mapping[str, tuple[Any, ...]] | None = None
    ) -> Callable[[H], H]:
        """Return a decorator that puts a handler into the table. Every action reads DryRun besides."""

        def register(handler: H) -> H:
            self.actions[name] = Action(name, handler, frozenset({*reads, "DryRun"}), accepts or {})
            return handler

        return register


def registry(*families: Family) -> Mapping[str, Action]:
    """Return all actions by name."""
    return {name: action for family in families for name, action in family.actions.items()}
