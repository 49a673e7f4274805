"""The table of actions: what handles each, and which of its parameters mean something here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from protocols.ec2.errors import unsupported_parameter

if TYPE_CHECKING:
    from core.accounts import Caller
    from core.catalogue import Region
    from core.fleet import Fleet
    from core.service import Core
    from protocols.boundary import Exchange
    from protocols.ec2.dialects import Dialect
    from protocols.ec2.render import Renderer


@dataclass(slots=True)
class Call:
    """One request's surroundings.

    `fleet` is what the caller saw when the request came. `region_host` is the host's name with {} where the region's
    belongs, if the client called by such a name; else empty.
    """

    core: Core
    caller: Caller
    fleet: Fleet
    renderer: Renderer
    dialect: Dialect
    exchange: Exchange
    region_host: str = ""

    async def refreshed(self) -> Fleet:
        """Return what the account looks like now, after a verb."""
        self.fleet = await self.core.fleet(self.caller)
        return self.fleet

    async def networked(self) -> Fleet:
        """Return what the account looks like now, with its networks, which may have to be made first."""
        self.fleet = await self.core.networked_fleet(self.caller)
        return self.fleet

    async def home(self) -> Region:
        """Return the region in which what the request makes is made."""
        return await self.core.home(self.caller)


Handler = Callable[[Call, Any], Awaitable[Any]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Action:
    """One action that we serve.

    `reads` are the parameters that it honours. `ignores` are those that make no difference here, each with the reason.
    `accepts` are those that may only ask for what is so anyway, with the values that do; asking for anything else, like
    any other parameter that AWS knows, is refused by name.
    """

    name: str
    handler: Handler
    reads: frozenset[str]
    ignores: Mapping[str, str] = field(default_factory=dict)
    accepts: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, request: Mapping[str, Any]) -> None:
        """Return if every parameter is honoured.

        Raises:
            Ec2Refusal: one is not.
        """
        if request.keys() <= self.reads:
            return
        for name in request.keys() - self.reads - self.ignores.keys():
            if name not in self.accepts:
                raise unsupported_parameter(self.name, name)
            if request[name] not in self.accepts[name]:
                values = " or ".join(map(_shown, self.accepts[name]))
                raise unsupported_parameter(self.name, name, f" Leave it out, or give {values}.")


def _shown(value: object) -> str:
    """Return a value as a request has it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={_shown(inner)}" for name, inner in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


class Family:
    """Actions of one module."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}

    def action(
        self,
        name: str,
        *,
        reads: Iterable[str] = (),
        ignores: Mapping[str, str] | None = None,
        accepts: Mapping[str, tuple[Any, ...]] | None = None,
    ) -> Callable[[H], H]:
        """Return a decorator that puts a handler into the table. Every action reads DryRun besides."""

        def register(handler: H) -> H:
            self.actions[name] = Action(name, handler, frozenset({*reads, "DryRun"}), ignores or {}, accepts or {})
            return handler

        return register


def registry(*families: Family) -> Mapping[str, Action]:
    """Return all actions by name."""
    return {name: action for family in families for name, action in family.actions.items()}
