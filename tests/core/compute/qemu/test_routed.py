"""The driver with machines on wires: a host of the test's own, with the world beyond it."""

import asyncio
from dataclasses import replace

import pytest

from core.compute.qemu import firewall, network
from core.compute.qemu.driver import QemuDriver
from core.compute.qemu.settings import QemuSettings
from core.compute.site import Site
from core.ids import InstanceId
from core.securitygroups import Rule, Traffic
from tests.builders import a_launch_spec, a_security_group
from tests.netns import Host

ONE = InstanceId(1)
SMALL = a_launch_spec(ONE, memory_mib=256, disk_gib=1, private_address="10.1.0.5")
PUBLIC, WORLD, HOST = "203.0.113.1", "192.0.2.9", "192.0.2.1"
FIRST_WORDS = f"""#!/bin/sh
nc -w 2 10.1.0.1 80 </dev/null && answer=reached || answer=refused
echo "the host $answer me" | nc {WORLD} 80
"""
BOOT_SECONDS = 90

OUT = Traffic(is_egress=True, protocol="-1", block="0.0.0.0/0")
SSH_FROM_THE_WORLD = Traffic(is_egress=False, protocol="tcp", first_port=22, last_port=22, block=f"{WORLD}/32")


@pytest.fixture
def world(host):
    """The world beyond the host that the test is on, which knows the way to its machines."""
    world = Host()
    host.wire("uplink", world, "eth0")
    host.run("addr add 192.0.2.1/24 dev uplink")
    world.ip(f"addr add {WORLD}/24 dev eth0", f"route add {PUBLIC} via 192.0.2.1")
    host.switch("net/ipv4/ip_forward", "1")
    yield world
    world.close()


@pytest.fixture
async def driver(world, micro_image, tmp_path):
    settings = QemuSettings(accelerator="tcg", network="routed")
    driver = QemuDriver(settings, Site(tmp_path, HOST, {"debian-12": micro_image}, pool=[PUBLIC]))
    await driver.open()
    yield driver
    await driver.destroy(ONE)
    await driver.close()


def a_group(*traffic):
    return a_security_group(rules=tuple(Rule(number, each) for number, each in enumerate(traffic, start=1)))


async def test_a_machine_on_a_wire_lives_with_the_world_as_its_groups_say(host, world, driver, tmp_path):
    spec = replace(
        SMALL,
        groups=(a_group(SSH_FROM_THE_WORLD, OUT),),
        public_addresses=(PUBLIC,),
        user_data=FIRST_WORDS.encode(),
    )
    await driver.ensure(spec)
    with host.listening(80), world.listening(80) as listener:
        await driver.start(ONE)
        listener.settimeout(BOOT_SECONDS)
        answering, (address, _) = await asyncio.to_thread(listener.accept)
        with answering, answering.makefile() as words:
            assert (address, words.readline()) == (PUBLIC, "the host refused me\n")
    assert world.reaches(PUBLIC, 22)
    assert world.reaches(HOST, spec.ssh_port)
    [sample] = await driver.samples()
    assert sample.sent_bytes > 0
    assert sample.received_bytes > 0

    await driver.update(replace(spec, groups=(a_group(OUT),)))
    assert not world.reaches(PUBLIC, 22)
    assert not world.reaches(HOST, spec.ssh_port)
    await driver.update(spec)
    assert world.reaches(PUBLIC, 22)

    await driver.close()
    assert world.reaches(PUBLIC, 22), "a machine must not need the gateway"
    again = QemuDriver(QemuSettings(accelerator="tcg", network="routed"), Site(tmp_path, HOST, pool=[PUBLIC]))
    await again.open()
    assert world.reaches(PUBLIC, 22)
    await again.destroy(ONE)
    await again.close()
    assert network.laid() == set()
    assert PUBLIC not in await firewall.run(["ip", "-4", "address", "show", "dev", "lo"], package="iproute2")


async def test_the_guard_that_somebody_took_away_is_back_at_the_next_look(host, driver):
    await driver.ensure(SMALL)
    await firewall.unload()
    await driver.observe_all()
    assert await firewall.is_loaded()


async def test_a_machine_holds_its_wire_while_it_is_down_or_comes_back_to_it(host, driver):
    await driver.ensure(SMALL)
    await driver.start(ONE)
    assert network.laid() == {ONE}
    await driver.stop(ONE, force=True)
    await driver.start(ONE)
    assert network.laid() == {ONE}
