import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.metrics import Health
from gateway.systemd import Herald, ServiceManager, take_over
from tests import servicemanager
from tests.running import REPOSITORY, RunningGateway, eventually

WELL = Health("", "")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[servicemanager.ServiceManager]:
    with servicemanager.ServiceManager(tmp_path) as manager:
        yield manager


def told_to(manager: servicemanager.ServiceManager, **more: float) -> ServiceManager:
    return ServiceManager(manager.address, **more)


# --- what is handed over


def test_without_a_service_manager_nothing_is_told():
    assert take_over({}) == ServiceManager()
    ServiceManager().tell_ready("to nobody")


def test_what_is_handed_over_is_not_handed_on_to_children():
    environ = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "LISTEN_FDS": "2",
        "LISTEN_PID": "1",
        "LISTEN_FDNAMES": "a:b",
        "PATH": "/bin",
    }
    assert take_over(environ) == ServiceManager("/run/notify", 3.0)
    assert environ == {"PATH": "/bin"}


def test_the_watchdog_and_the_sockets_of_another_process_are_left_alone():
    others = {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1", "LISTEN_FDS": "1", "LISTEN_PID": "1"}
    assert take_over(others) == ServiceManager()


def outcome_with(descriptor: int, script: str) -> "subprocess.CompletedProcess[str]":
    """Return what comes of a script that is handed over the descriptor as the service manager does it."""
    hand_over = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<&' + str(descriptor)
    command = ["bash", "-c", hand_over, "bash", sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(
        command, pass_fds=(descriptor,), capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=False
    )


def test_a_socket_that_was_handed_over_is_not_handed_on_to_children():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = outcome_with(
            listener.fileno(),
            """
            import subprocess
            from gateway.systemd import take_over
            print(len(take_over().sockets), flush=True)
            subprocess.run("[ -e /proc/self/fd/3 ] && echo leaked; env | grep LISTEN", shell=True, close_fds=False)
            """,
        )
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize(
    ("family", "kind"),
    [(socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)],
    ids=["unix", "not listened on", "datagrams"],
)
def test_a_socket_that_cannot_be_served_is_refused_with_advice(family, kind):
    with socket.socket(family, kind) as other:
        done = outcome_with(other.fileno(), "from gateway.systemd import take_over; take_over()")
    assert "the service manager's descriptor 3 is not a TCP socket that is listened on; write Listen" in done.stderr


# --- what is told


def test_a_status_is_one_line(manager):
    told_to(manager).tell_ready("all\nis   well")
    assert manager.hear() == {"READY": "1", "STATUS": "all is well"}


def test_a_reload_tells_when_it_began(manager):
    before = time.monotonic_ns() // 1000
    told_to(manager).tell_reloading()
    told = manager.hear()
    assert told["RELOADING"] == "1"
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000


def test_a_name_without_a_file_is_called_too(tmp_path):
    with servicemanager.ServiceManager(tmp_path, is_abstract=True) as manager:
        told_to(manager).tell_stopping("bye")
        assert manager.hear() == {"STOPPING": "1", "STATUS": "bye"}


def test_a_service_manager_that_is_gone_does_no_harm(tmp_path):
    ServiceManager(str(tmp_path / "gone")).tell_status("alone")


async def test_the_watchdog_is_fed_while_the_loop_turns_and_not_while_it_hangs(manager):
    with told_to(manager, watchdog_seconds=0.1).watching():
        fed = 0
        while fed < 3:
            await asyncio.sleep(0.01)
            fed += len(manager.heard())
        time.sleep(0.2)  # noqa: ASYNC251  this is how a loop hangs
        assert manager.heard() == []
    await asyncio.sleep(0.1)
    assert manager.heard() == []


# --- what the gateway tells


async def test_ready_is_told_once_and_not_before_all_is_well(manager):
    state = Health("", "the machines have not been looked at yet")

    async def health() -> Health:
        return state

    herald = asyncio.create_task(Herald(told_to(manager), "http://a:1", health).run())
    assert await asyncio.to_thread(manager.hear) == {"STATUS": "Starting: the machines have not been looked at yet"}
    state = WELL
    assert await asyncio.to_thread(manager.hear) == {"READY": "1", "STATUS": "Serving at http://a:1"}
    herald.cancel()
    assert manager.heard() == []


async def test_a_reload_that_was_refused_is_in_the_status_until_one_succeeds(manager):
    async def health() -> Health:
        return WELL

    async def refused() -> bool:
        return False

    async def carried_out() -> bool:
        return True

    herald = Herald(told_to(manager), "http://a:1", health)
    running = asyncio.create_task(herald.run())
    await asyncio.to_thread(manager.hear_of, "READY")
    await herald.reload(refused)
    await herald.reload(carried_out)
    running.cancel()
    heard = manager.heard()
    assert ["RELOADING" in told for told in heard] == [True, False, True, False]
    assert heard[1]["STATUS"] == "Serving at http://a:1. The last reload changed nothing; the log tells why"
    assert heard[3] == {"READY": "1", "STATUS": "Serving at http://a:1"}


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[servicemanager.ServiceManager]:
    with servicemanager.ServiceManager(tmp_path_factory.mktemp("manager")) as manager:
        yield manager


@pytest.fixture(scope="module")
def looked_after(house, tmp_path_factory) -> Iterator[RunningGateway]:
    gateway = RunningGateway(tmp_path_factory.mktemp("gateway"), server={"listen": "127.0.0.1:1"})
    with house.look_after(gateway, watchdog_seconds=0.2):
        yield gateway


def test_the_service_managers_socket_is_served_in_place_of_the_configured_address(house, looked_after):
    assert looked_after.endpoint == house.url
    looked_after.wait_for_log(event="the service manager's sockets are served, and not server.listen", sockets=1)


def test_the_service_manager_is_told_where_the_gateway_serves_once_it_is_ready(house, looked_after):
    assert house.hear_of("READY")["STATUS"] == f"Serving at {looked_after.endpoint}"
    assert looked_after.get("/readyz").status == 200


def test_the_watchdog_of_the_service_manager_is_fed(house, looked_after):
    assert looked_after.is_running
    assert house.hear_of("WATCHDOG") == {"WATCHDOG": "1"}


def test_a_reload_is_told_with_its_end(house, looked_after):
    looked_after.signal(signal.SIGHUP)
    assert house.hear_of("RELOADING")
    assert house.hear_of("READY")


def test_the_end_is_told(house, looked_after):
    looked_after.signal(signal.SIGTERM)
    assert house.hear_of("STOPPING")["STATUS"] == "Stopping: requests may take 10 seconds to finish"
    assert looked_after.wait() == 0
    eventually(lambda: looked_after.log(event="stopped"))
