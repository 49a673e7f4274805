from contextlib import contextmanager
from dataclasses import replace

import pytest

from core.compute.qemu import firewall, network
from core.compute.qemu.firewall import Guarded, Outside, guarded, lets_everybody_in, lets_somebody_in, ruleset
from core.ids import InstanceId, RuleId, SecurityGroupId
from core.ports import DriverCode, DriverError
from core.securitygroups import Rule, Traffic
from tests.builders import a_launch_spec, a_security_group
from tests.netns import SHORT_SECONDS, Host, need_namespaces

ANYWHERE = "0.0.0.0/0"
PUBLIC, OTHER_PUBLIC, SHARED = "203.0.113.1", "203.0.113.2", "198.51.100.1"
WORLD, UPLINK = "192.0.2.9", "192.0.2.1"
OFFICE = "172.20.0.9"
NAME_SERVER = "172.20.0.53"


def a_group(number, *traffic):
    rules = tuple(Rule(RuleId(at), each.checked()) for at, each in enumerate(traffic, 1))
    return a_security_group(id=SecurityGroupId(number), rules=rules)


def tcp(first, last=None, block=ANYWHERE, **more):
    return Traffic(False, "tcp", first, last or first, block="" if "group_id" in more else block, **more)


def out(block=ANYWHERE, protocol="-1", first=-1, last=-1):
    return Traffic(True, protocol, first, last, block=block)


def a_machine(number, *groups, **changes):
    return replace(Guarded(InstanceId(number), f"10.1.0.{number}", 20000 + number, groups), **changes)


# --- who is let in by ssh


@pytest.mark.parametrize(
    "traffic",
    [tcp(22), tcp(1, 1000), Traffic(False, "tcp", block=ANYWHERE), Traffic(False, "-1", block=ANYWHERE)],
)
def test_everybody_is_let_in_by_a_rule_for_the_whole_world_that_has_the_port(traffic):
    assert lets_everybody_in([a_group(1), a_group(2, traffic)])


@pytest.mark.parametrize(
    "traffic",
    [
        tcp(23),
        tcp(22, block="0.0.0.0/1"),
        tcp(22, group_id=SecurityGroupId(1)),
        replace(tcp(22), is_egress=True),
        Traffic(False, "udp", 22, 22, block=ANYWHERE),
        Traffic(False, "-1", block="::/0"),
    ],
)
def test_nothing_less_lets_everybody_in(traffic):
    assert not lets_everybody_in([a_group(1, traffic)])


def test_a_rule_for_a_block_lets_somebody_in_and_one_for_a_group_lets_nobody_of_the_world_in():
    assert lets_somebody_in([a_group(1, tcp(22, block="192.0.2.0/24"))])
    assert not lets_somebody_in([a_group(1, tcp(22, group_id=SecurityGroupId(1)), tcp(22, block="2001:db8::/32"))])


# --- the text


def test_the_ruleset_is_as_reviewed(golden):
    web = a_group(
        1,
        tcp(22, block="192.0.2.0/25"),
        tcp(22, block="192.0.2.128/25"),
        tcp(80, 443),
        tcp(0, 65535, block="192.0.2.7/32"),
        tcp(5432, group_id=SecurityGroupId(2)),
        Traffic(False, "udp", 53, 53, block=ANYWHERE),
        Traffic(False, "icmp", 8, -1, block=ANYWHERE),
        Traffic(False, "icmp", 3, 4, block=ANYWHERE),
        Traffic(False, "icmp", block="192.0.2.0/24"),
        Traffic(False, "47", block="192.0.2.0/24"),
        Traffic(False, "icmpv6", block="::/0"),
        tcp(22, block="2001:db8::/32"),
        out("192.0.2.0/24", "tcp", 25, 25),
    )
    rest = a_group(2, out())
    machines = [
        a_machine(3, rest, has_wire=False),
        a_machine(2, rest, web, is_source_checked=False),
        a_machine(1, web, public_addresses=(PUBLIC, "2001:db8::1", OTHER_PUBLIC)),
    ]
    golden.check("qemu/firewall.nft", ruleset(machines, Outside(SHARED, name_servers=(NAME_SERVER,))))


def test_the_ruleset_is_the_same_in_whatever_order_machines_come():
    one, two = a_machine(1, a_group(1, tcp(22))), a_machine(2, a_group(2, tcp(80)), a_group(1, tcp(22)))
    assert ruleset([one, two]) == ruleset([two, one])


def test_machines_of_the_same_groups_share_their_rules():
    group = a_group(1, tcp(22), out())
    assert ruleset([a_machine(1, group), a_machine(2, group)]).count("tcp dport 22") == 1


def test_a_machine_that_was_not_told_of_new_rules_yet_keeps_the_old_ones():
    text = ruleset([a_machine(1, a_group(1, tcp(22))), a_machine(2, a_group(1, tcp(23)))])
    assert '"of-1" : goto in_1' in text
    assert '"of-2" : goto in_1v2' in text


def test_of_two_machines_with_one_port_the_newer_counts():
    text = ruleset([a_machine(2, a_group(2)), a_machine(1, a_group(1), ssh_port=20002)])
    assert text.count("20002 :") == 1
    assert "20002 : goto ssh_2" in text


def test_what_is_known_of_a_machine_is_what_it_is_to_be():
    spec = a_launch_spec(7, public_addresses=(PUBLIC,), is_source_checked=False, groups=(a_group(1),))
    machine = guarded(spec, has_wire=True)
    assert machine == Guarded(spec.id, spec.private_address, spec.ssh_port, spec.groups, (PUBLIC,), False, True)


# --- the kernel's judgement


class Stage:
    """A host with machines on wires, an office beside it that is the operator's own, and the world beyond."""

    def __init__(self):
        self.hosts = []
        self.host, self.world, self.office = self._new(), self._new(), self._new()
        self.host.wire("uplink", self.world, "eth0")
        self.host.wire("lan", self.office, "eth0")
        self.host.ip(f"addr add {UPLINK}/24 dev uplink", "addr add 172.20.0.1/16 dev lan")
        self.world.ip(f"addr add {WORLD}/24 dev eth0", *(f"route add {a} via {UPLINK}" for a in (PUBLIC, OTHER_PUBLIC)))
        self.world.ip(f"route add {SHARED} via {UPLINK}", "addr add 192.0.2.10/24 dev eth0")
        self.office.ip(f"addr add {OFFICE}/16 dev eth0", f"addr add {NAME_SERVER}/16 dev eth0")
        self.office.ip("route add default via 172.20.0.1")
        self.host.switch("net/ipv4/ip_forward", "1")

    def _new(self):
        self.hosts.append(Host())
        return self.hosts[-1]

    async def machine(self, number, *groups, **changes):
        """Connect a machine, which a namespace stands in for."""
        spec = a_launch_spec(number, groups=groups, **changes)
        machine, told = self._new(), network.static_address(spec)
        self.host.wire(f"of-{number}", machine, "eth0", "address", spec.hardware_address)
        machine.ip(f"addr add {told.address}/{told.prefix} dev eth0", f"route add default via {told.gateway}")
        with self.host.inside():
            await network.lay(spec)
        return machine

    async def load(self, *machines, outside=firewall.NO_WAY_OUT):
        with self.host.inside():
            await firewall.load(ruleset(machines, outside))
            await network.hold({address for machine in machines for address in machine.public_addresses})

    def close(self):
        for host in self.hosts:
            host.close()


@pytest.fixture
def stage():
    need_namespaces()
    stage = Stage()
    yield stage
    stage.close()


def caller_at(listener):
    """Return the address that somebody has called a listener from."""
    answering, (address, _) = listener.accept()
    answering.close()
    return address


WEB = a_group(1, tcp(80), out())
SHUT = a_group(9, out())


async def test_the_world_reaches_what_a_rule_lets_through_and_nothing_else(stage):
    machine = await stage.machine(5, WEB)
    await stage.load(a_machine(5, WEB, public_addresses=(PUBLIC,)))
    with machine.listening(80), machine.listening(81):
        assert stage.world.reaches(PUBLIC, 80)
        assert not stage.world.reaches(PUBLIC, 81)


async def test_a_rule_for_a_block_lets_in_nobody_else(stage):
    group = a_group(1, tcp(80, block=f"{WORLD}/32"))
    machine = await stage.machine(5, group)
    await stage.load(a_machine(5, group, public_addresses=(PUBLIC,)))
    with machine.listening(80):
        assert stage.world.reaches(PUBLIC, 80, source=WORLD)
        assert not stage.world.reaches(PUBLIC, 80, source="192.0.2.10")


async def test_members_of_a_group_reach_one_another_until_the_rule_is_revoked(stage):
    group, before = a_group(1, tcp(80, group_id=SecurityGroupId(1)), out()), a_group(2, out())
    one, two, stranger = [await stage.machine(number, group) for number in (5, 6, 7)]
    await stage.load(a_machine(5, group), a_machine(6, group), a_machine(7, before))
    with two.listening(80):
        assert one.reaches("10.1.0.6", 80)
        assert not stranger.reaches("10.1.0.6", 80)
        revoked = a_group(1, out())
        await stage.load(a_machine(5, revoked), a_machine(6, revoked), a_machine(7, before))
        assert not one.reaches("10.1.0.6", 80)


async def test_a_connection_outlives_the_rule_that_let_it_in(stage):
    machine = await stage.machine(5, WEB)
    await stage.load(a_machine(5, WEB, public_addresses=(PUBLIC,)))
    with machine.listening(80) as listener, stage.world.open_socket() as caller:
        caller.connect((PUBLIC, 80))
        await stage.load(a_machine(5, SHUT, public_addresses=(PUBLIC,)))
        with listener.accept()[0] as answering:
            caller.send(b"still there?")
            assert answering.recv(100) == b"still there?"


@pytest.mark.parametrize("source", ["10.1.0.6", "192.0.2.77"])
async def test_nobody_sends_as_somebody_else(stage, source):
    open_to_all = a_group(1, Traffic(False, "-1", block=ANYWHERE), out())
    liar, _, victim = [await stage.machine(number, open_to_all) for number in (5, 6, 7)]
    await stage.load(*(a_machine(number, open_to_all) for number in (5, 6, 7)))
    assert hears(victim, liar, source="10.1.0.5")
    assert not hears(victim, liar, source=source)


async def test_a_machine_that_is_not_checked_sends_as_anybody_but_another_machine(stage):
    open_to_all = a_group(1, Traffic(False, "-1", block=ANYWHERE), out())
    router, _, victim = [await stage.machine(number, open_to_all) for number in (5, 6, 7)]
    others = [a_machine(number, open_to_all) for number in (6, 7)]
    await stage.load(a_machine(5, open_to_all, is_source_checked=False), *others)
    assert hears(victim, router, source="192.0.2.77")
    assert not hears(victim, router, source="10.1.0.6")


def hears(listener, sender, *, source, at="10.1.0.7"):
    """Whether a host hears at an address of its own what another sends as the source."""
    sender.ip(f"addr replace {source}/32 dev lo")
    with listener.open_socket((at, 99), is_udp=True) as ear, sender.open_socket((source, 0), is_udp=True) as mouth:
        mouth.sendto(b"hello", (at, 99))
        try:
            return ear.recv(100) == b"hello"
        except TimeoutError:
            return False


async def test_no_machine_draws_to_itself_what_is_sent_to_another(stage):
    thief, victim = await stage.machine(5, WEB), await stage.machine(6, WEB)
    await stage.load(a_machine(5, WEB), a_machine(6, WEB, public_addresses=(PUBLIC,)))
    thief.ip("addr add 10.1.0.6/16 dev eth0")
    with thief.listening(80), victim.listening(80) as listener:
        assert stage.world.reaches(PUBLIC, 80)
        assert caller_at(listener)


@pytest.mark.parametrize("address", ["10.1.0.1", UPLINK, "172.20.0.1", PUBLIC, OTHER_PUBLIC, "127.0.0.1", SHARED])
async def test_no_machine_reaches_the_host_whatever_its_rules_say(stage, address):
    machine = await stage.machine(5, WEB)
    await stage.load(a_machine(5, WEB, public_addresses=(PUBLIC,)), outside=Outside(SHARED, closed_to=()))
    stage.host.ip(f"addr add {OTHER_PUBLIC}/32 dev lo", f"addr add {SHARED}/32 dev lo")
    with stage.host.listening(80):
        assert stage.host.reaches("10.1.0.1", 80)
        assert not machine.reaches(address, 80)


async def test_the_host_reaches_a_machine_as_far_as_its_rules_let_it(stage):
    machine = await stage.machine(5, WEB)
    await stage.load(a_machine(5, WEB, public_addresses=(PUBLIC,)))
    with machine.listening(80), machine.listening(81):
        assert stage.host.reaches("10.1.0.5", 80)
        assert stage.host.reaches(PUBLIC, 80)
        assert not stage.host.reaches("10.1.0.5", 81)


async def test_a_public_address_leads_to_its_machine_and_moves_at_once(stage):
    one, two = await stage.machine(5, WEB), await stage.machine(6, WEB)
    with one.listening(80) as at_one, two.listening(80) as at_two:
        await stage.load(a_machine(5, WEB, public_addresses=(PUBLIC,)), a_machine(6, WEB))
        assert stage.world.reaches(PUBLIC, 80)
        assert caller_at(at_one)
        await stage.load(a_machine(5, WEB), a_machine(6, WEB, public_addresses=(PUBLIC,)))
        assert stage.world.reaches(PUBLIC, 80)
        assert caller_at(at_two)


async def test_a_public_address_takes_no_connection_of_its_former_machine_along(stage):
    one, _ = await stage.machine(5, WEB), await stage.machine(6, WEB)
    await stage.load(a_machine(5, WEB, public_addresses=(PUBLIC,)), a_machine(6, WEB))
    with one.listening(80) as listener, stage.world.open_socket() as caller:
        caller.connect((PUBLIC, 80))
        with listener.accept()[0] as answering:
            answering.settimeout(SHORT_SECONDS)
            await stage.load(a_machine(5, WEB), a_machine(6, WEB, public_addresses=(PUBLIC,)))
            caller.send(b"whose are you?")
            with pytest.raises(TimeoutError):
                answering.recv(100)


async def test_a_machine_is_seen_by_its_public_address_or_the_shared_one(stage):
    bound, unbound = await stage.machine(5, WEB), await stage.machine(6, WEB)
    machines = a_machine(5, WEB, public_addresses=(PUBLIC,)), a_machine(6, WEB)
    await stage.load(*machines, outside=Outside(SHARED))
    stage.host.ip(f"addr add {SHARED}/32 dev lo")
    with stage.world.listening(80) as listener:
        assert bound.reaches(WORLD, 80)
        assert caller_at(listener) == PUBLIC
        assert unbound.reaches(WORLD, 80)
        assert caller_at(listener) == SHARED


async def test_a_machine_takes_no_connection_along_when_its_public_address_leaves_it(stage):
    one, _ = await stage.machine(5, WEB), await stage.machine(6, WEB)
    await stage.load(a_machine(5, WEB, public_addresses=(PUBLIC,)), a_machine(6, WEB))
    with stage.world.listening(80) as listener, one.open_socket() as caller:
        caller.connect((WORLD, 80))
        with listener.accept()[0] as answering:
            answering.settimeout(SHORT_SECONDS)
            await stage.load(a_machine(5, WEB), a_machine(6, WEB, public_addresses=(PUBLIC,)))
            caller.send(b"from whom?")
            with pytest.raises(TimeoutError):
                answering.recv(100)


async def test_a_machine_without_any_public_address_has_no_way_out(stage):
    machine = await stage.machine(5, WEB)
    await stage.load(a_machine(5, WEB))
    assert not hears(stage.world, machine, at=WORLD, source="10.1.0.5")


async def test_machines_reach_one_another_by_their_public_addresses_too(stage):
    one, two = await stage.machine(5, WEB), await stage.machine(6, WEB)
    await stage.load(a_machine(5, WEB, public_addresses=(PUBLIC,)), a_machine(6, WEB, public_addresses=(OTHER_PUBLIC,)))
    with two.listening(80) as listener:
        assert one.reaches(OTHER_PUBLIC, 80)
        assert caller_at(listener) == PUBLIC
        assert two.reaches(OTHER_PUBLIC, 80)


async def test_a_machine_reaches_no_more_than_its_egress_rules_let_it(stage):
    group = a_group(1, out(f"{WORLD}/32", "tcp", 80, 80))
    machine = await stage.machine(5, group)
    await stage.load(a_machine(5, group, public_addresses=(PUBLIC,)))
    with stage.world.listening(80), stage.world.listening(81):
        assert machine.reaches(WORLD, 80)
        assert not machine.reaches(WORLD, 81)
        assert not machine.reaches("192.0.2.10", 80)


async def test_the_operators_own_networks_are_closed_but_for_the_name_servers(stage):
    machine = await stage.machine(5, WEB)
    known = a_machine(5, WEB, public_addresses=(PUBLIC,))
    with stage.office.listening(80), stage.office.listening(53):
        await stage.load(known, outside=Outside(name_servers=(NAME_SERVER,)))
        assert machine.reaches(NAME_SERVER, 53)
        assert not machine.reaches(NAME_SERVER, 80)
        assert not machine.reaches(OFFICE, 53)
        await stage.load(known, outside=Outside(closed_to=()))
        assert machine.reaches(OFFICE, 53)


async def test_a_wire_that_the_firewall_was_not_told_of_is_dead(stage):
    unknown, known = await stage.machine(5, WEB), await stage.machine(6, WEB)
    await stage.load(a_machine(6, WEB, public_addresses=(PUBLIC,)))
    with unknown.listening(80), known.listening(80), stage.world.listening(80):
        assert not unknown.reaches("10.1.0.6", 80)
        assert not known.reaches("10.1.0.5", 80)
        assert not unknown.reaches(WORLD, 80)
        assert not stage.host.reaches("10.1.0.5", 80)


async def test_an_ssh_port_of_the_host_is_open_to_whom_the_rules_let_in(stage):
    near = a_group(1, tcp(22, block="192.0.2.0/29"), tcp(22, block=f"{WORLD}/32"))
    await stage.load(a_machine(5, near, has_wire=False), a_machine(6, a_group(2), has_wire=False))
    with stage.host.listening(20005), stage.host.listening(20006), stage.host.listening(20007):
        assert stage.world.reaches(UPLINK, 20005, source=WORLD)
        assert not stage.world.reaches(UPLINK, 20005, source="192.0.2.10")
        assert not stage.world.reaches(UPLINK, 20006)
        assert stage.host.reaches(UPLINK, 20006)
        assert stage.world.reaches(UPLINK, 20007)


@contextmanager
def refused(code):
    with pytest.raises(DriverError) as caught:
        yield caught
    assert caught.value.code is code


async def test_a_ruleset_is_taken_over_whole_or_not_at_all(stage):
    machine = await stage.machine(5, WEB)
    await stage.load(a_machine(5, WEB))
    broken = ruleset([a_machine(5, SHUT)]).replace("chain from_itself {", "chain from_itself { nonsense")
    with stage.host.inside(), refused(DriverCode.UNAVAILABLE) as caught:
        await firewall.load(broken)
    assert "nonsense" in caught.value.detail
    with machine.listening(80):
        assert stage.host.reaches("10.1.0.5", 80)


async def test_it_is_told_whether_the_table_is_loaded(stage):
    await stage.load()
    with stage.host.inside():
        assert await firewall.is_loaded()
        await firewall.unload()
        await firewall.unload()
        assert not await firewall.is_loaded()


async def test_a_missing_command_is_named_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused(DriverCode.UNAVAILABLE) as caught:
        await firewall.load("")
    assert "nftables" in caught.value.detail
