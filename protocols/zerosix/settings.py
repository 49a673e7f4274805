"""What the operator decides about this front-end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

GEOS = ("asia-pacific", "australia", "europe", "united-states", "global")
"""The places that products are filtered by. They have no rank. Source: seed-zerosix-api.md, Product Attributes."""

_ROOT = "/wp-json/"


@dataclass(frozen=True, slots=True)
class ZeroSixSettings:
    """How the front-end is mounted and what it tells.

    `path` begins and ends with a slash. `timezone` is the site's, in which answers tell the time. `ranks` are the
    values of each attribute of a product, lowest first. `ssh_host` is where machines without a public address of their
    own are reached.
    """

    path: str
    timezone: ZoneInfo
    ranks: Mapping[str, Sequence[str]]
    ssh_host: str

    @property
    def root(self) -> str:
        """The folder that is WordPress's to clients: the path up to `wp-json`, or all of a path without one."""
        before, found, _ = self.path.partition(_ROOT)
        return f"{before}{_ROOT}" if found else self.path

    @property
    def namespace(self) -> str:
        """What WordPress calls the namespace: the rest of the path."""
        return self.path.removeprefix(self.root).strip("/")
