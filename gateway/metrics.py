"""What Prometheus scrapes: counted as requests go by, or read off the state when somebody asks."""

from collections import Counter as Tally
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from core.instances import State as Lifecycle
from core.reconciler import Reconciler
from core.state import State
from protocols.boundary import Exchange

CONTENT_TYPE = CONTENT_TYPE_LATEST

_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MOST_SERIES = 2000
"""Front-ends name only actions they know; should one fail to, callers still cannot fill the memory with series."""


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


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        # Otherwise there is a second series for each, which nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it so
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "onefleet_requests",
            "Requests answered; code is the protocol's error code, or else the HTTP status.",
            ("protocol", "action", "code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "onefleet_request_seconds",
            "Time from a request's head to its answer.",
            ("protocol",),
            registry=registry,
            buckets=_BUCKETS_SECONDS,
        )
        self._instances = _gauge(registry, "instances", "Machines, and machines that were, of the last day.", "state")
        self._capacity = _gauge(registry, "capacity", "Machines that can stand in the zone.", "product", "zone")
        self._occupied = _gauge(registry, "occupied", "Machines that take up capacity.", "product", "zone")
        self._lag = _gauge(registry, "reconciler_lag_seconds", "For how long the machine waiting longest has waited.")
        self._queue = _gauge(registry, "reconciler_queue", "Machines that wait to be looked at.")
        self._orphans = _gauge(registry, "orphans", "Machines of the driver that no row knows of.")
        self._store = _gauge(registry, "store_healthy", "Whether the database can be written: 1 or 0.")
        self._ready = _gauge(registry, "ready", "Whether the gateway is ready, as /readyz tells: 1 or 0.")
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self._counters: dict[tuple[str, str, str | int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def record(self, protocol: str, exchange: Exchange, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        key = protocol, exchange.action, exchange.code or status
        (self._counters.get(key) or self._counter(key)).inc()
        (self._histograms.get(protocol) or self._histogram(protocol)).observe(seconds)

    def expose(self, state: State, reconciler: Reconciler, health: Health) -> bytes:
        """Return everything in Prometheus' text format."""
        self._lag.set(reconciler.lag_seconds())
        self._queue.set(reconciler.queue_length)
        self._orphans.set(reconciler.orphans)
        self._store.set(not health.store)
        self._ready.set(health.is_ready)
        by_state = Tally(machine.state for machine in state.instances.values())
        for lifecycle in Lifecycle:
            self._instances.labels(lifecycle.value).set(by_state[lifecycle])
        self._expose_capacity(state)
        return generate_latest(self._registry)

    def _counter(self, key: tuple[str, str, str | int]) -> Counter:
        if len(self._counters) >= _MOST_SERIES:
            return self._requests.labels(key[0], "other", "other")
        counter = self._counters[key] = self._requests.labels(*key)
        return counter

    def _histogram(self, protocol: str) -> Histogram:
        histogram = self._histograms[protocol] = self._seconds.labels(protocol)
        return histogram

    def _expose_capacity(self, state: State) -> None:
        self._capacity.clear()
        self._occupied.clear()
        for product in state.products.values():
            for zone_id, capacity in product.capacity.items():
                labels = product.slug, state.zones[zone_id].name
                self._capacity.labels(*labels).set(0 if product.is_retired else capacity)
                self._occupied.labels(*labels).set(state.occupied[product.id, zone_id])


def _gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"onefleet_{name}", text, labels, registry=registry)
