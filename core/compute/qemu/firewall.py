"""The firewall: what the security groups let through, as one table of nftables that is always replaced whole.

Each packet costs the same however many machines there are: it is led to its machine's rules by a look-up of the wire
it came by or goes to. Machines of the same groups share their rules.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses

from core.compute.qemu.hostcommand import run
from core.compute.qemu.settings import PRIVATE_BLOCKS
from core.ids import InstanceId, SecurityGroupId
from core.networks import BLOCK
from core.ports import LaunchSpec
from core.securitygroups import ANY_PORT, ANY_PROTOCOL, Rule, SecurityGroup, Traffic

TABLE = "onefleet"
WIRE = "of-"
"""What the names of all machines' wires begin with; nothing else on the host may be called so."""

_SSH_PORT, _LAST_PORT = 22, 65535
_ANYWHERE = "0.0.0.0/0"
_PACKAGE = "nftables"


@dataclass(frozen=True, slots=True)
class Guarded:
    """What the firewall must know of a machine.

    One that `has_wire` is held to its groups in all that it sends and is sent. Of the others only the ssh port of the
    host is guarded, which is their one door.
    """

    id: InstanceId
    private_address: str
    ssh_port: int
    groups: tuple[SecurityGroup, ...]
    public_addresses: tuple[str, ...] = ()
    is_source_checked: bool = True
    has_wire: bool = True


@dataclass(frozen=True, slots=True)
class Outside:
    """The world beyond the machines.

    Machines without a public address of their own reach it by `shared_address`, or not at all if that is empty.
    `closed_to` are blocks that none reaches, but for the name servers' answers.
    """

    shared_address: str = ""
    closed_to: tuple[str, ...] = PRIVATE_BLOCKS
    name_servers: tuple[str, ...] = ()


NO_WAY_OUT = Outside()


def guarded(spec: LaunchSpec, *, has_wire: bool) -> Guarded:
    """Return what the firewall must know of a machine that is to be so."""
    return Guarded(
        spec.id,
        spec.private_address,
        spec.ssh_port,
        spec.groups,
        spec.public_addresses,
        spec.is_source_checked,
        has_wire,
    )


def wire_name(instance_id: InstanceId) -> str:
    """Return what the host's end of a machine's wire is called."""
    return f"{WIRE}{instance_id}"


def lets_everybody_in(groups: Iterable[SecurityGroup], port: int = _SSH_PORT) -> bool:
    """Whether some rule lets the whole world reach a port over TCP."""
    return any(traffic.block == _ANYWHERE for traffic in _reaching(groups, port))


def lets_somebody_in(groups: Iterable[SecurityGroup], port: int = _SSH_PORT) -> bool:
    """Whether some rule lets an address of the world reach a port over TCP."""
    return any(traffic.block for traffic in _reaching(groups, port))


def ruleset(machines: Iterable[Guarded], outside: Outside = NO_WAY_OUT) -> str:
    """Return what `nft` is to load: it takes the place of all that was loaded before, in one transaction.

    Every machine that exists is to be told of, since a rule that names a group means the addresses of those in it.
    """
    ordered = sorted(machines, key=lambda machine: machine.id)
    wired = [machine for machine in ordered if machine.has_wire and machine.private_address]
    chains = _Chains()
    lines = [
        *_ways(wired, outside),
        *_worlds(outside),
        *_members(wired),
        *_verdicts(ordered, wired, chains),
        *chains.lines(),
        *(line for name, rules in _FIXED_CHAINS.items() for line in _block(f"chain {name}", rules)),
    ]
    # Only a table that exists can be deleted: so it is added first, whether it was there or not.
    head = [f"table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    return "\n".join([*head, *lines, "}", ""])


async def load(text: str) -> None:
    """Have the host's kernel take over a ruleset, all of it or nothing.

    Raises:
        DriverError: UNAVAILABLE, if it cannot; TIMEOUT.
    """
    await run(["nft", "-f", "-"], text, package=_PACKAGE)


async def unload() -> None:
    """Take the table away, if it is there.

    Raises:
        DriverError: UNAVAILABLE, if that cannot be done; TIMEOUT.
    """
    await load(f"table inet {TABLE}\ndelete table inet {TABLE}\n")


async def is_loaded() -> bool:
    """Whether the host has our table: who reloads the host's own rules may sweep it away, and all guard with it.

    Raises:
        DriverError: UNAVAILABLE, if that cannot be told; TIMEOUT.
    """
    return f"table inet {TABLE}" in (await run(["nft", "list", "tables"], package=_PACKAGE)).splitlines()


# --- what is looked up


def _ways(wired: Sequence[Guarded], outside: Outside) -> Iterator[str]:
    """Yield the addresses that machines may send from, and those that theirs are exchanged for."""
    own = [f'"{wire_name(machine.id)}" . {machine.private_address}' for machine in wired]
    free = [f'"{wire_name(machine.id)}"' for machine in wired if not machine.is_source_checked]
    inward = {public: machine.private_address for machine in wired for public in _public(machine)}
    outward = {machine.private_address: way for machine in wired if (way := _way_out(machine, outside))}
    pairs = dict.fromkeys([*inward.items(), *((public, private) for private, public in outward.items())])
    yield from _listed("set own_sources", "ifname . ipv4_addr", own)
    yield from _listed("set free_sources", "ifname", free)
    yield from _listed("map inward", "ipv4_addr : ipv4_addr", map(" : ".join, inward.items()))
    yield from _listed("map outward", "ipv4_addr : ipv4_addr", map(" : ".join, outward.items()))
    yield from _listed("set pairs", "ipv4_addr . ipv4_addr", map(" . ".join, pairs))
    yield from _listed("set with_way_out", "ipv4_addr", outward)


def _public(machine: Guarded) -> Sequence[str]:
    return [address for address in machine.public_addresses if ":" not in address]


def _way_out(machine: Guarded, outside: Outside) -> str:
    return next(iter(_public(machine)), outside.shared_address)


def _worlds(outside: Outside) -> Iterator[str]:
    closed = map(str, collapse_addresses(map(IPv4Network, outside.closed_to)))
    yield from _listed("set closed", "ipv4_addr; flags interval", closed)
    yield from _listed("set name_servers", "ipv4_addr", dict.fromkeys(outside.name_servers))


def _members(wired: Sequence[Guarded]) -> Iterator[str]:
    """Yield a set of addresses for each group that a rule names."""
    members: defaultdict[SecurityGroupId, list[str]] = defaultdict(list)
    for machine in wired:
        for group in machine.groups:
            members[group.id].append(machine.private_address)
    rules = (rule for machine in wired for group in machine.groups for rule in group.rules)
    for group_id in sorted({named for rule in rules if (named := rule.traffic.group_id) is not None}):
        yield from _listed(f"set members_{group_id}", "ipv4_addr", dict.fromkeys(members[group_id]))


def _verdicts(machines: Sequence[Guarded], wired: Sequence[Guarded], chains: "_Chains") -> Iterator[str]:
    """Yield what leads a packet to the rules for it, by the wire that it comes by or goes to, or by the ssh port."""
    for way in (_OUT, _IN):
        rules = [f'"{wire_name(machine.id)}" : goto {chains.name(machine.groups, way)}' for machine in wired]
        yield from _listed(f"map {way.map}", "ifname : verdict", rules)
    # Of two with one port, as an orphan may have it, the newer one counts: a table with both would be refused whole.
    doors = {machine.ssh_port: chains.name(machine.groups, _DOOR) for machine in machines}
    rules = [f"{port} : goto {chain}" for port, chain in sorted(doors.items())]
    yield from _listed(f"map {_DOOR.map}", "inet_service : verdict", rules)


def _listed(what: str, kind: str, elements: Iterable[str]) -> Iterator[str]:
    lines = [f"type {kind};"]
    if listed := ",\n\t\t\t".join(elements):
        lines.append(f"elements = {{\n\t\t\t{listed}\n\t\t}}")
    yield from _block(what, lines)


def _block(what: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"\t{what} {{"
    yield from (f"\t\t{line}" for line in lines)
    yield "\t}"


# --- what the groups let through


@dataclass(frozen=True, slots=True)
class _Way:
    """A way that groups have rules for; `map` leads to them. `verdict` is what becomes of what a rule lets through."""

    name: str
    map: str
    is_egress: bool
    verdict: str
    other_end: str


_OUT = _Way("out", "leaving", is_egress=True, verdict="goto beyond", other_end="daddr")
_IN = _Way("in", "coming", is_egress=False, verdict="accept", other_end="saddr")
_DOOR = _Way("ssh", "ssh_ports", is_egress=False, verdict="accept", other_end="saddr")


class _Chains:
    """The chains of rules, each made once: one for each set of groups that some machine is in, and one for each group.

    A group whose rules have changed stands as two for as long as not every machine in it was told.
    """

    def __init__(self) -> None:
        self._variants: dict[SecurityGroupId, list[tuple[Rule, ...]]] = {}
        self._chains: dict[str, Sequence[str]] = {}

    def name(self, groups: Iterable[SecurityGroup], way: _Way) -> str:
        """Return the name of the chain of what some groups let through together, and nothing else."""
        ordered = {self._label(group): group for group in sorted(groups, key=lambda group: group.id)}
        name = "_".join([way.name, *ordered])
        if name not in self._chains:
            allowed = _door(ordered.values()) if way is _DOOR else self._jumps(ordered, way)
            self._chains[name] = [*allowed, "drop"]
        return name

    def lines(self) -> Iterator[str]:
        """Yield the text of every chain that was named."""
        for name, rules in sorted(self._chains.items()):
            yield from _block(f"chain {name}", rules)

    def _jumps(self, groups: Mapping[str, SecurityGroup], way: _Way) -> Iterator[str]:
        for label, group in groups.items():
            name = f"group_{label}_{way.name}"
            self._chains[name] = [_rule(rule.traffic, way) for rule in group.rules if _counts(rule.traffic, way)]
            yield f"jump {name}"

    def _label(self, group: SecurityGroup) -> str:
        variants = self._variants.setdefault(group.id, [])
        if group.rules not in variants:
            variants.append(group.rules)
        number = variants.index(group.rules)
        return f"{group.id}v{number + 1}" if number else f"{group.id}"


def _door(groups: Iterable[SecurityGroup]) -> Iterator[str]:
    blocks = {IPv4Network(traffic.block) for traffic in _reaching(groups, _SSH_PORT) if traffic.block}
    if merged := ", ".join(map(str, collapse_addresses(blocks))):
        yield f"ip saddr {{ {merged} }} accept"


def _reaching(groups: Iterable[SecurityGroup], port: int) -> Iterator[Traffic]:
    """Yield the traffic by which a port is reached over TCP."""
    for group in groups:
        for rule in group.rules:
            traffic = rule.traffic
            has_port = traffic.protocol == "tcp" and traffic.first_port <= port <= traffic.last_port
            if _counts(traffic, _DOOR) and (has_port or traffic.protocol == ANY_PROTOCOL):
                yield traffic


def _counts(traffic: Traffic, way: _Way) -> bool:
    """Whether a rule is one for this way. Machines have no IPv6, so that what is let through of that is nothing."""
    return traffic.is_egress is way.is_egress and not traffic.is_ipv6 and traffic.protocol != "icmpv6"


def _rule(traffic: Traffic, way: _Way) -> str:
    return " ".join(word for word in (_other_end(traffic, way), _protocol(traffic), way.verdict) if word)


def _other_end(traffic: Traffic, way: _Way) -> str:
    if traffic.group_id is not None:
        return f"ip {way.other_end} @members_{traffic.group_id}"
    return "" if traffic.block == _ANYWHERE else f"ip {way.other_end} {traffic.block}"


def _protocol(traffic: Traffic) -> str:
    return _PROTOCOLS.get(traffic.protocol, _other_protocol)(traffic)


def _other_protocol(traffic: Traffic) -> str:
    return f"meta l4proto {traffic.protocol}"


def _with_ports(traffic: Traffic) -> str:
    first, last = traffic.first_port, traffic.last_port
    if (first, last) == (0, _LAST_PORT):
        return _other_protocol(traffic)
    return f"{traffic.protocol} dport {first}" + ("" if first == last else f"-{last}")


def _with_type(traffic: Traffic) -> str:
    if traffic.first_port == ANY_PORT:
        return _other_protocol(traffic)
    code = "" if traffic.last_port == ANY_PORT else f" icmp code {traffic.last_port}"
    return f"icmp type {traffic.first_port}{code}"


_PROTOCOLS: Mapping[str, Callable[[Traffic], str]] = {
    ANY_PROTOCOL: lambda _: "",
    "tcp": _with_ports,
    "udp": _with_ports,
    "icmp": _with_type,
}


# --- what is the same for all machines


def _hook(place: str, priority: str, *rules: str, kind: str = "filter") -> Sequence[str]:
    return [f"type {kind} hook {place} priority {priority}; policy accept;", *rules]


_FROM_MACHINE, _TO_MACHINE, _TO_WORLD = f'iifname "{WIRE}*"', f'oifname "{WIRE}*"', f'oifname != "{WIRE}*"'
_KNOWN = "ct state vmap { established : accept, related : accept, invalid : drop }"

# What says goto here ends in a verdict always: to come back to a hook would be to be let through.
_FIXED_CHAINS: Mapping[str, Sequence[str]] = {
    # A machine sends as itself, before anything else is made of the packet. One that is not checked may send as
    # anybody but another machine.
    "sources": _hook("prerouting", "raw", f"{_FROM_MACHINE} goto from_itself"),
    "from_itself": [
        "iifname . ip saddr @own_sources accept",
        f"iifname @free_sources ip saddr != {BLOCK} accept",
        "drop",
    ],
    "forwarded": _hook(
        "forward",
        "filter",
        # A public address that is another's by now takes its connections along.
        f"{_TO_MACHINE} ct direction original ct status dnat ct original ip daddr . ip daddr != @pairs drop",
        f"{_FROM_MACHINE} ct direction original ct status snat ct reply ip daddr . ip saddr != @pairs drop",
        f"{_FROM_MACHINE} goto from_machine",
        f"{_TO_MACHINE} goto to_machine",
    ),
    "from_machine": [_KNOWN, "iifname vmap @leaving", "drop"],
    "beyond": [f"{_TO_MACHINE} goto to_machine", "goto to_world"],
    "to_machine": [_KNOWN, "oifname vmap @coming", "drop"],
    "to_world": [
        "ip saddr != @with_way_out drop",
        "ip daddr @name_servers meta l4proto { tcp, udp } th dport 53 accept",
        "ip daddr @closed drop",
        "accept",
    ],
    # No machine reaches the host, whatever its groups say; the host reaches it as far as they let it.
    "to_host": _hook(
        "input",
        "filter",
        "ct state established,related accept",
        f"{_FROM_MACHINE} drop",
        'iifname "lo" accept',
        "tcp dport vmap @ssh_ports",
    ),
    "from_host": _hook("output", "filter", f"{_TO_MACHINE} goto to_machine"),
    "public_inward": _hook("prerouting", "dstnat", "dnat ip to ip daddr map @inward", kind="nat"),
    "public_from_host": _hook("output", "-100", "dnat ip to ip daddr map @inward", kind="nat"),
    "public_outward": _hook(
        "postrouting",
        "srcnat",
        f"{_TO_WORLD} snat ip to ip saddr map @outward",
        # Between machines by a public address: what is answered must come back this way, also to itself.
        f"{_FROM_MACHINE} ct status dnat snat ip to ip saddr map @outward",
        kind="nat",
    ),
}
