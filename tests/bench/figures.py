"""What was measured against what was promised: as a table for people, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from textwrap import shorten

_HEAD = ("measure", "ours", "peer", "ratio", "min..max", "CPU, µs", "target", "verdict")
_DOUBT = "? other processes used these cores as well: trust the CPU per request, not the rates\n"
_LEAST_SHARE = 0.85
_WIDTHS = (34, 9, 9, 7, 11, 10, 9, 11)


@dataclass(frozen=True, slots=True)
class Lap:
    """One side of one round: a rate, and the CPU that each request cost the server, with all that followed from it.

    `rest_seconds` is how long after the last answer the server was at rest.
    """

    per_second: float
    cpu_micros: float
    rest_seconds: float

    @property
    def share_of_core(self) -> float:
        """How busy the server was: kept busy, it is 1, unless others were given the core as well."""
        return self.per_second * self.cpu_micros / 1e6


@dataclass(frozen=True, slots=True)
class Race:
    """Requests per second, ours and a peer's, round by round. The median of the pairs' ratios counts."""

    name: str
    ours: Sequence[Lap]
    peer: Sequence[Lap]
    at_least: float

    @property
    def ratios(self) -> Sequence[float]:
        """Ours over the peer's, pair by pair."""
        return [ours.per_second / peer.per_second for ours, peer in zip(self.ours, self.peer, strict=True)]

    @property
    def missed_by(self) -> float:
        """By which share of the target it was missed; 0 if it was met."""
        return max(0.0, 1 - median(self.ratios) / self.at_least)

    @property
    def is_doubtful(self) -> bool:
        """Whether the machine was too busy with other things for the rates to mean much."""
        return any(median(lap.share_of_core for lap in laps) < _LEAST_SHARE for laps in (self.ours, self.peer))

    def row(self) -> Sequence[str]:
        """Return the row of the table; the CPU is ours/peer's."""
        ratios = self.ratios
        form, unit = (".2f", "") if self.at_least < 1 else (".0f", "x")
        return (
            self.name,
            f"{_rate(median(lap.per_second for lap in self.ours))}/s",
            f"{_rate(median(lap.per_second for lap in self.peer))}/s",
            f"{median(ratios):{form}}{unit}{'?' * self.is_doubtful}",
            f"{min(ratios):{form}}..{max(ratios):{form}}",
            f"{_cpu(self.ours)}/{_cpu(self.peer)}",
            f">= {self.at_least:{form}}{unit}",
            _verdict(self.missed_by),
        )

    def document(self) -> Mapping[str, object]:
        """Return everything, for the JSON file."""
        return {
            "name": self.name,
            "unit": "requests/s",
            "ours": [lap.per_second for lap in self.ours],
            "peer": [lap.per_second for lap in self.peer],
            "ours_cpu_micros": [lap.cpu_micros for lap in self.ours],
            "peer_cpu_micros": [lap.cpu_micros for lap in self.peer],
            "ours_rest_seconds": [lap.rest_seconds for lap in self.ours],
            "ratios": self.ratios,
            "figure": median(self.ratios),
            "target": {"at_least": self.at_least},
            "missed_by": self.missed_by,
            "is_doubtful": self.is_doubtful,
        }


@dataclass(frozen=True, slots=True)
class Limit:
    """A quantity that must stay below a limit. `figure`, one of the rounds' values or their median, counts."""

    name: str
    unit: str
    values: Sequence[float]
    figure: float
    at_most: float

    @property
    def missed_by(self) -> float:
        """By which share of the limit it was exceeded; 0 if it was kept."""
        return max(0.0, self.figure / self.at_most - 1)

    def row(self) -> Sequence[str]:
        """Return the row of the table."""
        return (
            self.name,
            f"{_short(self.figure)} {self.unit}",
            "",
            "",
            f"{_short(min(self.values))}..{_short(max(self.values))}",
            "",
            f"<={_short(self.at_most)} {self.unit}",
            _verdict(self.missed_by),
        )

    def document(self) -> Mapping[str, object]:
        """Return everything, for the JSON file."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": list(self.values),
            "figure": self.figure,
            "target": {"at_most": self.at_most},
            "missed_by": self.missed_by,
        }


@dataclass(frozen=True, slots=True)
class Share:
    """Seconds that something took us and a peer, round by round, and our share: what we took longer, of all we took.

    The median of the pairs' shares counts.
    """

    name: str
    ours: Sequence[float]
    peer: Sequence[float]
    at_most: float

    @property
    def shares(self) -> Sequence[float]:
        """Our share, pair by pair; below 0 where we were faster."""
        return [(ours - peer) / ours for ours, peer in zip(self.ours, self.peer, strict=True)]

    @property
    def missed_by(self) -> float:
        """By which share of the target it was missed; 0 if it was met."""
        return max(0.0, median(self.shares) / self.at_most - 1)

    def row(self) -> Sequence[str]:
        """Return the row of the table."""
        shares = self.shares
        return (
            self.name,
            f"{_short(median(self.ours))} s",
            f"{_short(median(self.peer))} s",
            f"{median(shares):.0%}",
            f"{min(shares):.0%}..{max(shares):.0%}",
            "",
            f"<={self.at_most:.0%}",
            _verdict(self.missed_by),
        )

    def document(self) -> Mapping[str, object]:
        """Return everything, for the JSON file."""
        return {
            "name": self.name,
            "unit": "s",
            "ours": list(self.ours),
            "peer": list(self.peer),
            "ratios": self.shares,
            "figure": median(self.shares),
            "target": {"at_most": self.at_most},
            "missed_by": self.missed_by,
        }


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """What this host does not let us measure, and why."""

    name: str
    why: str

    def row(self) -> Sequence[str]:
        """Return the row of the table: what it says goes over the other columns."""
        return (self.name, shorten(f"not measured: {self.why}", sum(_WIDTHS[1:])), *[""] * (len(_WIDTHS) - 2))

    def document(self) -> Mapping[str, object]:
        """Return everything, for the JSON file."""
        return {"name": self.name, "not_measured": self.why}


Figure = Race | Limit | Share | Unmeasured


def table(figures: Sequence[Figure]) -> str:
    """Return the table, 100 columns wide, with a word of caution if it needs one."""
    rows = [_HEAD, tuple("-" * (width - 1) for width in _WIDTHS), *(figure.row() for figure in figures)]
    lines = ("".join(cell.ljust(width) for cell, width in zip(row, _WIDTHS, strict=True)) for row in rows)
    doubt = _DOUBT if any(isinstance(figure, Race) and figure.is_doubtful for figure in figures) else ""
    return "".join(f"{line.rstrip()}\n" for line in lines) + doubt


def _verdict(missed_by: float) -> str:
    if not missed_by:
        return "met"
    return f"missed {missed_by:.0%}" if missed_by < 1 else f"missed {missed_by:.1f}x"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def _cpu(laps: Sequence[Lap]) -> str:
    micros = median(lap.cpu_micros for lap in laps)
    if micros < 1e3:
        return f"{micros:.0f}"
    return f"{micros / 1e3:.1f}k" if micros < 1e5 else f"{micros / 1e6:.1f}M"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.2g}"
