import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.goldenfiles import Golden
from tests.running import RunningGateway
from tests.shares import dealt

# How long an example takes says more about the machine than about the code.
settings.register_profile("onefleet", deadline=None)
settings.load_profile("onefleet")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew, to be read before commit"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares documents with files under tests/golden, or writes these with --update-golden."""
    return Golden(is_updating=request.config.getoption("--update-golden"))


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[..., RunningGateway]]:
    """Starts gateways that are a test's own; sections of the configuration may be given."""
    started: list[RunningGateway] = []

    def start(**sections: Any) -> RunningGateway:
        folder = tmp_path / f"gateway{len(started)}"
        folder.mkdir()
        gateway = RunningGateway(folder, **sections)
        started.append(gateway)
        return gateway.start()

    yield start
    for gateway in started:
        gateway.__exit__()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One gateway for all tests that only add to it. A test that needs to be alone there takes `gateway.new_keys()`."""
    with RunningGateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if (worker := getattr(config, "workerinput", None)) is not None:
        items[:] = dealt(items, worker["workercount"])


# --- in CI, a test that was skipped has failed: nobody would notice that something is no longer proven


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if skipped := _skipped(config):
        terminalreporter.section("skipped, which is a failure in CI", red=True)
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr[2]}")


def _skipped(config: pytest.Config) -> list[Any]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None or hasattr(config, "workerinput"):
        return []
    return list(reporter.stats.get("skipped", ()))
