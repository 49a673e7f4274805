"""What the gateway lends to the console beside core: the two protocols to explore, and a look behind the scenes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from core.catalogue import Catalogue
from core.ids import ProductId
from core.ports import Host
from core.reconciler import Backlog
from core.usage import Total
from protocols.console.lasting import Places
from protocols.explorable import Door, Explorable


class BrokenConfiguration(Exception):
    """The configuration that stands on disk cannot be used; `problems` says why, each in a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the driver that its operator should know, and whether it is as it should be."""

    is_ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Backstage:
    """What the operator sees of the machinery.

    `configured` reads what is to be sold off the disk, as it stands there now, and raises `BrokenConfiguration`. `look`
    examines the driver's host and the files of images, which may take some seconds. `troubles` tells what is wrong with
    the gateway, part by part; nothing where all is well.
    """

    backlog: Callable[[], Sequence[Backlog]]
    orphans: Callable[[], Sequence[int]]
    hosts: Callable[[], Awaitable[Sequence[Host]]]
    totals: Callable[[], Mapping[ProductId, Total]]
    configured: Callable[[], Awaitable[Catalogue]]
    look: Callable[[], Awaitable[Sequence[Finding]]]
    troubles: Callable[[], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class House:
    """What is lent. `stopping` is set when the gateway is to stop: what stays open for long ends then.

    `streams` and `terminals` count how many of either are open.
    """

    explorables: Sequence[Explorable] = ()
    door: Door | None = None
    backstage: Backstage | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    streams: Places = field(default_factory=lambda: Places(20, 2000, "pages that refresh themselves"))
    terminals: Places = field(default_factory=lambda: Places(5, 50, "serial consoles"))
