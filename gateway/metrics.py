"""What Prometheus scrapes: counted as requests go by, or read off the state when somebody asks."""

import shutil
from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, GCCollector, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from core.ids import ProductId
from core.instances import State as Lifecycle
from core.reconciler import Reconciler
from core.state import State
from core.usage import Total
from protocols.boundary import Exchange

CONTENT_TYPE = CONTENT_TYPE_LATEST

_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MOST_SERIES = 2000
"""Front-ends name only actions they know; should one fail to, callers still cannot fill the memory with series."""

_USED: Mapping[str, tuple[str, str]] = {
    "sampled_machines": ("machines", "Machines that were up and sampled twice in a row."),
    "used_cpus": ("cpus", "Processors that its machines kept busy."),
    "used_memory_mib": ("memory_mib", "Memory that its machines used."),
    "used_disk_read_bytes_per_second": ("disk_read_bytes", "What its machines read from their disks."),
    "used_disk_written_bytes_per_second": ("disk_written_bytes", "What its machines wrote to their disks."),
    "used_received_bytes_per_second": ("received_bytes", "What its machines received."),
    "used_sent_bytes_per_second": ("sent_bytes", "What its machines sent."),
}
"""What is told of each product's machines, and which field of a total that is."""


@dataclass(frozen=True, slots=True)
class Health:
    """What `/readyz` would say at this moment, reason by reason; empty reasons mean that all is well."""

    store: str
    reconciler: str

    @property
    def is_ready(self) -> bool:
        """Whether requests will be served as they should."""
        return not self.store and not self.reconciler

    def reasons(self) -> Mapping[str, str]:
        """Return what is wrong, by part."""
        parts = {"store": self.store, "reconciler": self.reconciler}
        return {part: reason for part, reason in parts.items() if reason}


@dataclass(slots=True)
class Durations:
    """How long requests took: how many of them fell into each bucket, and the sum of their seconds."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS_SECONDS) + 1))
    sum: float = 0.0


class Requests(Collector):
    """Counts requests as they go by, and words the counts when somebody asks.

    The library's own counters take a lock, a clock and a dozen calls for each, three times the cost of all of this.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str | int], int] = {}
        self._durations: defaultdict[str, Durations] = defaultdict(Durations)

    def record(self, protocol: str, exchange: Exchange, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        key = protocol, exchange.action, exchange.code or status
        counts = self._counts
        if key not in counts and len(counts) >= _MOST_SERIES:
            key = protocol, "other", "other"
        counts[key] = counts.get(key, 0) + 1
        durations = self._durations[protocol]
        durations.buckets[bisect_left(_BUCKETS_SECONDS, seconds)] += 1
        durations.sum += seconds

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`."""
        counted = CounterMetricFamily(
            "onefleet_requests",
            "Requests answered; code is the protocol's error code, or else the HTTP status.",
            labels=("protocol", "action", "code"),
        )
        for (protocol, action, code), count in self._counts.items():
            counted.add_metric((protocol, action, str(code)), count)
        yield counted
        timed = HistogramMetricFamily(
            "onefleet_request_seconds", "Time from a request's head to its answer.", labels=("protocol",)
        )
        for protocol, durations in self._durations.items():
            timed.add_metric((protocol,), _cumulative(durations), durations.sum)
        yield timed


def _cumulative(durations: Durations) -> list[tuple[str, float]]:
    return list(zip([*map(str, _BUCKETS_SECONDS), "+Inf"], accumulate(durations.buckets), strict=True))


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        # Otherwise there is a second series for each, which nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it so
        registry = self._registry = CollectorRegistry()
        requests = Requests()
        registry.register(requests)
        self.record = requests.record
        self._instances = _gauge(registry, "instances", "Machines, and machines that were, of the last day.", "state")
        self._capacity = _gauge(registry, "capacity", "Machines that can stand in the zone.", "product", "zone")
        self._occupied = _gauge(registry, "occupied", "Machines that take up capacity.", "product", "zone")
        self._lag = _gauge(registry, "reconciler_lag_seconds", "For how long the machine waiting longest has waited.")
        self._queue = _gauge(registry, "reconciler_queue", "Machines that wait to be looked at.")
        self._orphans = _gauge(registry, "orphans", "Machines of the driver that no row knows of.")
        self._used = {
            part: _gauge(registry, name, f"{text} In the last round of samples.", "product")
            for name, (part, text) in _USED.items()
        }
        self._store = _gauge(registry, "store_healthy", "Whether the database can be written: 1 or 0.")
        self._ready = _gauge(registry, "ready", "Whether the gateway is ready, as /readyz tells: 1 or 0.")
        self._expiry: Gauge | None = None  # without TLS there is none to tell of
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

    def watch_disk(self, folder: Path) -> None:
        """Tell from now on how much is free where the folder lies."""
        free = _gauge(self._registry, "disk_free_bytes", "Free space where the data directory lies.")
        free.set_function(lambda: shutil.disk_usage(folder).free)

    def note_certificate(self, expires_at: datetime) -> None:
        """Tell from now on when the certificate expires that has come into use."""
        if self._expiry is None:
            text = "When the certificate in use expires, as Unix time."
            self._expiry = _gauge(self._registry, "certificate_expires_seconds", text)
        self._expiry.set(expires_at.timestamp())

    def expose(self, state: State, reconciler: Reconciler, health: Health, totals: Mapping[ProductId, Total]) -> bytes:
        """Return everything in Prometheus' text format. `totals` is what machines used, by their product."""
        self._lag.set(reconciler.lag_seconds())
        self._queue.set(reconciler.queue_length)
        self._orphans.set(reconciler.orphans)
        self._store.set(not health.store)
        self._ready.set(health.is_ready)
        by_state = Tally(machine.state for machine in state.instances.values())
        for lifecycle in Lifecycle:
            self._instances.labels(lifecycle.value).set(by_state[lifecycle])
        self._expose_capacity(state)
        self._expose_usage(state, totals)
        return generate_latest(self._registry)

    def _expose_capacity(self, state: State) -> None:
        self._capacity.clear()
        self._occupied.clear()
        for product in state.products.values():
            for zone_id, capacity in product.capacity.items():
                labels = product.slug, state.zones[zone_id].name
                self._capacity.labels(*labels).set(0 if product.is_retired else capacity)
                self._occupied.labels(*labels).set(state.occupied[product.id, zone_id])

    def _expose_usage(self, state: State, totals: Mapping[ProductId, Total]) -> None:
        for part, gauge in self._used.items():
            gauge.clear()
            for product_id, total in totals.items():
                gauge.labels(state.products[product_id].slug).set(getattr(total, part))


def _gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"onefleet_{name}", text, labels, registry=registry)
