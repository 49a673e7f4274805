"""Makes what every account has: in each region that it uses a network, with its default group and its subnets.

It is made when it is first needed, and completed when the operator adds a zone.
"""

from dataclasses import replace
from datetime import datetime

from core.ids import AccountId, NetworkId, RegionId, RuleId, SecurityGroupId, SubnetId, ZoneId
from core.instances import with_news
from core.networks import BLOCK, Network, Subnet, block_of, free_address
from core.ports import Transaction
from core.securitygroups import DEFAULT_NAME, Rule, SecurityGroup, Traffic, initial_traffic
from core.state import State


def is_provided(state: State, account_id: AccountId, region_id: RegionId) -> bool:
    """Whether `provide` would change nothing."""
    return (account_id, region_id) in state.networks_by_place and all(
        (account_id, zone.id) in state.subnets_by_place
        for zone in state.zones_in.get(region_id, {}).values()
        if not zone.is_retired
    )


def provide(tx: Transaction, account_id: AccountId, region_id: RegionId, now: datetime) -> Network:
    """Return the account's network in the region, complete. Repeating it changes nothing."""
    state = tx.state
    network = state.networks_by_place.get((account_id, region_id))
    if network is None:
        network = Network(NetworkId(tx.next_id(Network)), account_id, region_id, BLOCK, now)
        tx.put(network)
        new_group(tx, network, DEFAULT_NAME, "default VPC security group", now)
    for zone in state.zones_in.get(region_id, {}).values():
        if not zone.is_retired:
            _provide_subnet(tx, network, zone.id)
    return network


def new_group(tx: Transaction, network: Network, name: str, description: str, now: datetime) -> SecurityGroup:
    """Return a new group with the rules that every new one has."""
    group_id = SecurityGroupId(tx.next_id(SecurityGroup))
    rules = tuple(
        new_rule(tx, traffic, words) for traffic, words in initial_traffic(group_id, is_default=name == DEFAULT_NAME)
    )
    group = SecurityGroup(group_id, network.account_id, network.id, name, description, now, rules)
    tx.put(group)
    return group


def new_rule(tx: Transaction, traffic: Traffic, description: str) -> Rule:
    """Return a new rule, which is in no group yet."""
    return Rule(RuleId(tx.next_id(Rule)), traffic, description)


def default_group(state: State, network: Network) -> SecurityGroup:
    """Return the group of machines that are booked without naming any."""
    return state.groups_by_name[network.id, DEFAULT_NAME]


def adopt(tx: Transaction, now: datetime) -> None:
    """Put living machines that are in no group, as those from before there were any, into their default groups.

    Their zone may be retired by now; it has a subnet none the less, as theirs. Those that no driver has given a private
    address get one of it.
    """
    for machine in list(tx.state.instances.values()):
        if not machine.group_ids and not machine.is_gone:
            network = provide(tx, machine.account_id, tx.state.zones[machine.zone_id].region_id, now)
            _provide_subnet(tx, network, machine.zone_id)
            address = machine.private_address or free_address(machine.zone_id, machine.id, tx.state.private_addresses)
            group_ids = (default_group(tx.state, network).id,)
            tx.put(with_news(replace(machine, group_ids=group_ids, private_address=address or "")))


def _provide_subnet(tx: Transaction, network: Network, zone_id: ZoneId) -> None:
    if (network.account_id, zone_id) not in tx.state.subnets_by_place:
        tx.put(Subnet(SubnetId(tx.next_id(Subnet)), network.account_id, network.id, zone_id, block_of(zone_id)))
