from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import pytest

from core.catalogue import Product
from core.clock import SystemClock
from core.compute.simulated import SimulatedDriver, SimulatedSettings
from core.compute.site import Site
from core.ids import AccountId, ImageId, InstanceId, OrderId, ProductId, ZoneId
from core.instances import Instance, Power, ShutdownBehaviour, Wanted
from core.reconciler import Reconciler
from core.state import State
from core.storage.sqlite import open_sqlite
from core.usage import Total
from core.vault import Vault
from gateway.metrics import Health, Metrics
from protocols.boundary import Exchange
from tests.yard import PORTS

WELL = Health("", "")
NOTHING: Mapping[ProductId, Total] = {}


@pytest.fixture
async def reconciler(tmp_path: Path) -> AsyncIterator[Reconciler]:
    clock = SystemClock()
    store = await open_sqlite(tmp_path / "onefleet.db", Vault(bytes(32)), clock)
    yield Reconciler(store, SimulatedDriver(SimulatedSettings(), Site(tmp_path)), clock, PORTS)
    await store.close()


def an_exchange(action: str = "RunInstances", code: str = "") -> Exchange:
    return Exchange("id", "127.0.0.1", "http", "localhost", is_private=True, action=action, code=code)


def a_machine(number: int, wanted: Wanted = Wanted.RUNNING, observed: Power | None = Power.RUNNING) -> Instance:
    return Instance(
        id=InstanceId(number),
        order_id=OrderId(1),
        account_id=AccountId(1),
        product_id=ProductId(1),
        zone_id=ZoneId(1),
        image_id=ImageId(1),
        launch_index=0,
        hourly_price=Decimal(1),
        ssh_port=20000 + number,
        shutdown_behaviour=ShutdownBehaviour.STOP,
        launched_at=datetime(2026, 1, 1, tzinfo=UTC),
        wanted=wanted,
        observed=observed,
    )


def lines_of(
    metrics: Metrics,
    reconciler: Reconciler,
    *,
    state: State | None = None,
    health: Health = WELL,
    totals: Mapping[ProductId, Total] = NOTHING,
) -> list[str]:
    return metrics.expose(state or State(), reconciler, health, totals).decode().splitlines()


async def test_requests_are_counted_by_protocol_action_and_code(reconciler):
    metrics = Metrics()
    for _ in range(2):
        metrics.record("ec2", an_exchange(), 200, 0.01)
    metrics.record("ec2", an_exchange(code="DryRunOperation"), 412, 0.01)
    lines = lines_of(metrics, reconciler)
    assert 'onefleet_requests_total{action="RunInstances",code="200",protocol="ec2"} 2.0' in lines
    assert 'onefleet_requests_total{action="RunInstances",code="DryRunOperation",protocol="ec2"} 1.0' in lines


async def test_the_time_of_requests_is_told_as_a_histogram(reconciler):
    metrics = Metrics()
    metrics.record("zerosix", an_exchange(), 200, 0.03)
    lines = lines_of(metrics, reconciler)
    assert 'onefleet_request_seconds_bucket{le="0.025",protocol="zerosix"} 0.0' in lines
    assert 'onefleet_request_seconds_bucket{le="0.05",protocol="zerosix"} 1.0' in lines
    assert 'onefleet_request_seconds_sum{protocol="zerosix"} 0.03' in lines


async def test_machines_are_counted_by_state_and_states_without_any_are_told(reconciler):
    state = State()
    state.put(a_machine(1))
    state.put(a_machine(2))
    state.put(a_machine(3, Wanted.STOPPED))
    lines = lines_of(Metrics(), reconciler, state=state)
    assert 'onefleet_instances{state="running"} 2.0' in lines
    assert 'onefleet_instances{state="stopping"} 1.0' in lines
    assert 'onefleet_instances{state="terminated"} 0.0' in lines


async def test_a_state_that_machines_have_left_goes_back_to_none(reconciler):
    metrics, state = Metrics(), State()
    state.put(a_machine(1))
    lines_of(metrics, reconciler, state=state)
    assert 'onefleet_instances{state="running"} 0.0' in lines_of(metrics, reconciler)


def a_product(number: int, slug: str) -> Product:
    return Product(
        id=ProductId(number),
        slug=slug,
        title=slug,
        description="",
        instance_type=slug,
        hourly_price=Decimal(1),
        currency="USD",
        attributes={},
        geo="europe",
        vcpus=1,
        memory_mib=1024,
        disk_gib=10,
        gpu=None,
        architecture="x86_64",
        image_id=ImageId(1),
        capacity={},
    )


async def test_what_machines_use_is_told_by_product(reconciler):
    metrics, state = Metrics(), State()
    state.put(a_product(7, "small"))
    totals = {ProductId(7): Total(2, 0.5, 400.0, 20, 30, 200, 1)}
    lines = lines_of(metrics, reconciler, state=state, totals=totals)
    assert [line for line in lines if 'product="small"' in line] == [
        'onefleet_sampled_machines{product="small"} 2.0',
        'onefleet_used_cpus{product="small"} 0.5',
        'onefleet_used_memory_mib{product="small"} 400.0',
        'onefleet_used_disk_read_bytes_per_second{product="small"} 20.0',
        'onefleet_used_disk_written_bytes_per_second{product="small"} 30.0',
        'onefleet_used_received_bytes_per_second{product="small"} 200.0',
        'onefleet_used_sent_bytes_per_second{product="small"} 1.0',
    ]
    assert not [line for line in lines_of(metrics, reconciler, state=state) if 'product="small"' in line]


async def test_an_unhealthy_store_is_told(reconciler):
    lines = lines_of(Metrics(), reconciler, health=Health("the disk is full", ""))
    assert "onefleet_store_healthy 0.0" in lines
    assert "onefleet_ready 0.0" in lines


async def test_callers_cannot_fill_the_memory_with_actions(reconciler):
    metrics = Metrics()
    for number in range(2500):
        metrics.record("ec2", an_exchange(action=f"Made{number}Up"), 400, 0.001)
    lines = lines_of(metrics, reconciler)
    assert sum(line.startswith("onefleet_requests_total") for line in lines) <= 2001
    assert 'onefleet_requests_total{action="other",code="other",protocol="ec2"} 500.0' in lines


async def test_two_gateways_in_one_process_count_apart(reconciler):
    first, second = Metrics(), Metrics()
    first.record("ec2", an_exchange(), 200, 0.01)
    assert not [line for line in lines_of(second, reconciler) if line.startswith("onefleet_requests_total")]


async def test_ten_thousand_machines_are_counted_without_holding_the_loop(reconciler):
    metrics, state = Metrics(), State()
    for number in range(10_000):
        state.put(a_machine(number))
    metrics.expose(state, reconciler, WELL, NOTHING)
    assert min(_milliseconds(lambda: metrics.expose(state, reconciler, WELL, NOTHING)) for _ in range(5)) < 40, (
        "measured 2 when written"
    )


def test_counting_a_request_costs_microseconds():
    metrics, exchange = Metrics(), an_exchange()

    def count() -> None:
        for _ in range(1000):
            metrics.record("ec2", exchange, 200, 0.003)

    assert min(_milliseconds(count) for _ in range(10)) < 15, "measured 1.5 µs each when written"


def _milliseconds(work) -> float:
    started = perf_counter()
    work()
    return (perf_counter() - started) * 1000
