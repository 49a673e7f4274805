"""What the operator decides about this front-end, and what the gateway lends to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a protocol is answered, for the snippets that customers copy: "EC2" or "ZeroSix", and its path."""

    name: str
    path: str
    host: str = ""
    dialect: str = ""


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """How the console is mounted and what it calls itself.

    `path` begins and ends with a slash. `title` is the name of the service, `issuer` the lines that stand on invoices.
    `ssh_host` is where machines without a public address of their own are reached. `ranks` are the values of each
    attribute of a product that customers choose by, lowest first.
    """

    path: str = "/console/"
    title: str = "Onefleet"
    issuer: Sequence[str] = ()
    ssh_host: str = ""
    endpoints: Sequence[Endpoint] = ()
    ranks: Mapping[str, Sequence[str]] = field(default_factory=dict)
