import asyncio
import os
import signal
import socket
import time
from contextlib import closing, contextmanager
from dataclasses import replace

from core.compute.qemu import machine, serial
from core.compute.qemu.driver import MACHINES
from core.instances import Power
from core.ports import DriverCode
from tests.qemu import ONE, PATIENCE_SECONDS, pid_of, reach, refusal, up

EVERY_BYTE = bytes(range(256))


async def shown(console, sign):
    """Return what the console shows from now on until the sign is shown."""
    seen = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sign not in seen:
            more = await console.read()
            assert more, f"the console ended before {sign!r}, after {seen!r}"
            seen += more
    return seen


async def rest_of(console):
    """Return what the console still shows until it ends."""
    seen = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while more := await console.read():
            seen += more
    return seen


def run_folder(data_dir):
    return data_dir / MACHINES / str(ONE) / machine.RUN


@contextmanager
def at_the_host(data_dir):
    """Yield a connection to the machine's console, as an operator makes it with socat."""
    with machine.opened(run_folder(data_dir)) as run, socket.socket(socket.AF_UNIX) as plug:
        plug.connect(f"/proc/self/fd/{run}/{machine.SERIAL}")
        yield plug


@contextmanager
def standing_still(pid):
    """Let the process do nothing within the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# --- what is typed and shown


async def test_root_logs_in_at_the_console_and_the_log_goes_on(opened, small, root):
    driver = await opened()
    await up(driver, replace(small, password="let-me-in"))
    await root.does("until grep -q '^root:[$]' /etc/shadow; do sleep 0.1; done")
    console = await driver.open_console(ONE)
    await console.write(b"\n")
    await shown(console, b"login: ")
    await console.write(b"root\n")
    await shown(console, b"assword: ")
    await console.write(b"let-me-in\n")
    await shown(console, b"# ")
    await console.write(b"echo $((6 * 7)) is the answer\n")
    await shown(console, b"42 is the answer\r\n")
    assert b"42 is the answer" in await driver.console_log(ONE)
    await console.close()


async def test_every_byte_that_a_machine_writes_is_shown_as_it_is(opened, small, root):
    driver = await opened()
    await up(driver, small)
    octal = "".join(f"\\{byte:03o}" for byte in EVERY_BYTE)
    await root.does("stty -opost -F /dev/ttyS0")
    console = await driver.open_console(ONE)
    await root.does(f"printf '{octal}end' >/dev/ttyS0")
    assert EVERY_BYTE + b"end" in await shown(console, b"end")
    await console.close()


# --- who looks on


async def test_two_who_look_on_see_the_same_and_nothing_of_the_past(opened, small, root):
    driver = await opened()
    await up(driver, small)
    first = await driver.open_console(ONE)
    await root.does("echo one >/dev/ttyS0")
    assert b"one" in await shown(first, b"one\r\n")
    second = await driver.open_console(ONE)
    await root.does("echo two >/dev/ttyS0")
    assert b"two" in await shown(first, b"two\r\n")
    assert b"one" not in await shown(second, b"two\r\n")
    await first.close()
    await root.does("echo three >/dev/ttyS0")
    assert await shown(second, b"three\r\n")
    await second.close()


async def test_who_does_not_read_holds_up_nobody_and_misses_the_oldest(opened, small, root, monkeypatch):
    monkeypatch.setattr(serial, "LIMIT_BYTES", 4096)
    driver = await opened()
    await up(driver, small)
    await root.does("true")
    slow, quick = await driver.open_console(ONE), await driver.open_console(ONE)
    writing = asyncio.create_task(root.does("seq 10000 >/dev/ttyS0; echo the end >/dev/ttyS0"))
    await shown(quick, b"the end\r\n")
    await writing
    kept = await slow.read()
    assert len(kept) <= 4096
    assert kept.endswith(b"\r\n10000\r\nthe end\r\n")
    for console in (slow, quick):
        await console.close()


async def test_a_machine_that_takes_no_keys_is_told_of(opened, small, tmp_path, monkeypatch):
    monkeypatch.setattr(serial, "TYPING_SECONDS", 0.1)
    driver = await opened()
    await up(driver, small)
    console = await driver.open_console(ONE)

    async def type_on():
        while True:
            await console.write(b"x" * 65536)

    with standing_still(pid_of(tmp_path)):
        error = await refusal(type_on())
        await console.close()
    assert error.code is DriverCode.TIMEOUT
    assert "takes no keys" in str(error)


async def test_a_machine_that_floods_its_console_does_not_flood_the_gateway(opened, small, root):
    driver = await opened()
    await up(driver, small)
    await root.does("(cat /dev/zero >/dev/ttyS0 2>/dev/null &) >/dev/null 2>&1")
    console = await driver.open_console(ONE)
    started = time.monotonic()
    for _ in range(100):
        assert await console.read()
    assert 100 / (time.monotonic() - started) < 250  # a second; it is tens of thousands if each byte is met
    await console.close()


# --- whose console it is


async def test_a_console_can_be_opened_only_while_its_machine_is_up_and_that_is_said(opened, small):
    driver = await opened()
    await driver.ensure(small)
    error = await refusal(driver.open_console(ONE))
    assert error.code is DriverCode.CONFLICT
    assert "start it" in str(error)


async def test_a_console_shows_the_last_words_of_its_machine(opened, small, root):
    driver = await opened()
    await up(driver, small)
    await root.does("true")
    console = await driver.open_console(ONE)
    await driver.stop(ONE, force=False)
    assert b"Power down" in await rest_of(console)
    await reach(driver, Power.STOPPED)
    await driver.start(ONE)
    again = await driver.open_console(ONE)
    assert await again.read()
    await again.close()


async def test_a_console_that_somebody_on_the_host_has_is_refused_until_it_is_left(opened, small, tmp_path):
    driver = await opened()
    await up(driver, small)
    with at_the_host(tmp_path) as operator:
        await asyncio.to_thread(operator.recv, 1)  # it boots, and so the console is ours
        error = await refusal(driver.open_console(ONE))
    assert error.code is DriverCode.CONFLICT
    assert "host" in str(error)
    console = await driver.open_console(ONE)
    assert await console.read()
    await console.close()


async def test_a_console_that_is_being_opened_when_the_driver_is_closed_is_refused(opened, small, tmp_path):
    driver = await opened()
    await up(driver, small)
    with at_the_host(tmp_path) as operator:
        await asyncio.to_thread(operator.recv, 1)
        opening = asyncio.create_task(refusal(driver.open_console(ONE)))
        await asyncio.sleep(0)
        await driver.close()
        assert (await opening).code is DriverCode.UNAVAILABLE


async def test_a_console_that_was_left_just_now_can_be_opened(opened, small):
    driver = await opened()
    await up(driver, small)
    for _ in range(5):
        console = await driver.open_console(ONE)
        assert await console.read()
        await console.close()


async def test_nobody_is_led_to_a_socket_of_the_host_that_is_not_the_machines(opened, small, tmp_path):
    driver = await opened()
    await up(driver, small)
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(tmp_path / "other.sock"))
        other.listen()
        (run_folder(tmp_path) / machine.SERIAL).unlink()
        (run_folder(tmp_path) / machine.SERIAL).symlink_to(tmp_path / "other.sock")
        error = await refusal(driver.open_console(ONE))
    assert error.code is DriverCode.UNAVAILABLE
    assert f"process {os.getpid()}" in error.detail
