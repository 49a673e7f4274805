"""The verbs about security groups and their rules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.accounts import Caller
from core.booking import House
from core.errors import DefaultGroup, GroupExists, GroupInUse, UnknownResource
from core.ids import InstanceId, NetworkId, RuleId, SecurityGroupId
from core.instances import Instance, with_news
from core.ports import Transaction
from core.provision import new_group, new_rule, provide
from core.securitygroups import (
    Rule,
    SecurityGroup,
    Traffic,
    refers_to,
    rule_of,
    with_changed,
    with_rules,
    without_rules,
    without_traffic,
)
from core.service.transactor import Transactor, fleet_of, home_of
from core.state import State
from core.tags import Resource, ResourceKind, TagSet, with_tags

Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WantedRule:
    """A rule that is to be made."""

    traffic: Traffic
    description: str = ""


class SecurityGroups:
    """Security groups of accounts. What changes about one, the drivers of all its machines are told."""

    def __init__(self, transactor: Transactor, house: House) -> None:
        self._transactor, self._house = transactor, house

    async def create(
        self, caller: Caller, name: str, description: str, tags: Tags, network_id: NetworkId | None = None
    ) -> SecurityGroup:
        """Return a new group, in a network or in that of the caller's region.

        Raises:
            UnknownResource: there is no such network.
            GroupExists: the network has one of this name.
            LimitReached: the account may not have more.
            InvalidTag, TooManyTags: the tags break the rules.
        """
        now = self._transactor.now()

        def work(tx: Transaction) -> SecurityGroup:
            if network_id is None:
                network = provide(tx, caller.account_id, home_of(tx.state, caller), now)
            else:
                network = fleet_of(tx, caller, now).network(network_id)
            if (network.id, name) in tx.state.groups_by_name:
                raise GroupExists(name)
            have = len(tx.state.security_groups_of.get(caller.account_id, ()))
            self._house.limits.require_room("security_groups", have)
            group = new_group(tx, network, name, description, now)
            _tag(tx, caller, ResourceKind.SECURITY_GROUP, group.id, tags)
            return group

        return await self._transactor.transact(
            caller, "make security group", work, lambda group: f"security group {group.id}"
        )

    async def delete(self, caller: Caller, group_id: SecurityGroupId) -> None:
        """Remove a group with its rules and tags.

        Raises:
            UnknownResource: it is not there.
            DefaultGroup: it is the network's default group.
            GroupInUse: machines are in it, or rules of other groups name it.
        """
        now = self._transactor.now()

        def work(tx: Transaction) -> None:
            group = fleet_of(tx, caller, now).security_group(group_id)
            _require_unused(tx.state, group)
            tx.drop(group)
            _untag(tx, caller, ResourceKind.SECURITY_GROUP, [group.id])
            _untag(tx, caller, ResourceKind.RULE, [rule.id for rule in group.rules])

        await self._transactor.transact(caller, "delete security group", work, f"security group {group_id}")

    async def authorize(
        self, caller: Caller, group_id: SecurityGroupId, wanted: Sequence[WantedRule], tags: Tags
    ) -> Sequence[Rule]:
        """Return the new rules of the group; all or none are made.

        Raises:
            UnknownResource: the group, or one that a rule names, is not there.
            InvalidRule: a rule makes no sense.
            RuleExists, TooManyRules: the group has one of them, or too many.
            InvalidTag, TooManyTags: the tags break the rules.
        """
        made: list[Rule] = []

        def change(tx: Transaction, group: SecurityGroup) -> SecurityGroup:
            made[:] = [
                new_rule(tx, _known(tx.state, group, each.traffic.checked()), each.description) for each in wanted
            ]
            for rule in made:
                _tag(tx, caller, ResourceKind.RULE, rule.id, tags)
            return with_rules(group, made)

        await self._change(caller, group_id, change)
        return made

    async def revoke(self, caller: Caller, group_id: SecurityGroupId, traffic: Sequence[Traffic]) -> Sequence[Rule]:
        """Return the rules that let this through, which the group no longer has; all or none are removed.

        Raises:
            UnknownResource: the group is not there.
            UnknownRule: the group has no rule for one of them.
            InvalidRule: no rule could be for it.
        """
        return await self._remove(
            caller, group_id, lambda group: without_traffic(group, [t.checked() for t in traffic])
        )

    async def revoke_rules(self, caller: Caller, group_id: SecurityGroupId, ids: Sequence[RuleId]) -> Sequence[Rule]:
        """Return the rules of these ids, which the group no longer has; all or none are removed.

        Raises:
            UnknownResource: the group is not there.
            UnknownRule: it has no such rule.
        """
        return await self._remove(caller, group_id, lambda group: without_rules(group, ids))

    async def describe_rules(self, caller: Caller, group_id: SecurityGroupId, wanted: Mapping[RuleId, str]) -> None:
        """Give rules of the group other descriptions; all or none.

        Raises:
            UnknownResource: the group is not there.
            UnknownRule: it has no such rule.
        """

        def change(_: Transaction, group: SecurityGroup) -> SecurityGroup:
            for rule_id, description in wanted.items():
                group = with_changed(group, replace(rule_of(group, rule_id), description=description))
            return group

        await self._change(caller, group_id, change)

    async def modify_rules(
        self, caller: Caller, group_id: SecurityGroupId, wanted: Mapping[RuleId, WantedRule]
    ) -> None:
        """Put other rules in place of some of the group's, under the ids that these have; all or none.

        Raises:
            UnknownResource, UnknownRule, InvalidRule, RuleExists: see `authorize` and `revoke_rules`.
        """

        def change(tx: Transaction, group: SecurityGroup) -> SecurityGroup:
            for rule_id, each in wanted.items():
                traffic = _known(tx.state, group, each.traffic.checked())
                group = with_changed(group, Rule(rule_id, traffic, each.description))
            return group

        await self._change(caller, group_id, change)

    async def _remove(
        self,
        caller: Caller,
        group_id: SecurityGroupId,
        remove: Callable[[SecurityGroup], tuple[SecurityGroup, Sequence[Rule]]],
    ) -> Sequence[Rule]:
        gone: list[Rule] = []

        def change(tx: Transaction, group: SecurityGroup) -> SecurityGroup:
            after, gone[:] = remove(group)
            _untag(tx, caller, ResourceKind.RULE, [rule.id for rule in gone])
            return after

        await self._change(caller, group_id, change)
        return gone

    async def _change(
        self, caller: Caller, group_id: SecurityGroupId, change: Callable[[Transaction, SecurityGroup], SecurityGroup]
    ) -> None:
        """Change a group, and have the drivers of its machines told."""
        now = self._transactor.now()

        def work(tx: Transaction) -> Sequence[InstanceId]:
            before = fleet_of(tx, caller, now).security_group(group_id)
            after = change(tx, before)
            if after == before:
                return []
            tx.put(after)
            members = members_of(tx.state, after)
            for machine in members:
                tx.put(with_news(machine))
            return [machine.id for machine in members]

        self._transactor.wake(
            await self._transactor.transact(caller, "change rules", work, f"security group {group_id}")
        )


def members_of(state: State, group: SecurityGroup) -> Sequence[Instance]:
    """Return the machines in the group that have not ended."""
    mine = state.instances_of.get(group.account_id, {}).values()
    return [machine for machine in mine if group.id in machine.group_ids and not machine.has_ended]


def _require_unused(state: State, group: SecurityGroup) -> None:
    if group.is_default:
        raise DefaultGroup
    # Machines that are on their way out are behind its rules until they are gone.
    mine = state.instances_of.get(group.account_id, {}).values()
    inside = [machine for machine in mine if group.id in machine.group_ids and not machine.is_gone]
    if inside:
        raise GroupInUse(group.id, f"{len(inside)} machine{'s are' if len(inside) > 1 else ' is'} in it")
    others = state.security_groups_of.get(group.account_id, {}).values()
    naming = [other.name for other in others if other.id != group.id and refers_to(other, group.id)]
    if naming:
        raise GroupInUse(group.id, f"rules of {', '.join(naming)} name it")


def _known(state: State, group: SecurityGroup, traffic: Traffic) -> Traffic:
    if traffic.group_id is not None:
        other = state.security_groups.get(traffic.group_id)
        if other is None or other.network_id != group.network_id:
            raise UnknownResource(ResourceKind.SECURITY_GROUP, traffic.group_id)
    return traffic


def _tag(tx: Transaction, caller: Caller, kind: ResourceKind, number: int, tags: Tags) -> None:
    if tags:
        tx.put(with_tags(TagSet(Resource(caller.account_id, kind, number), {}), tags))


def _untag(tx: Transaction, caller: Caller, kind: ResourceKind, numbers: Sequence[int]) -> None:
    for number in numbers:
        tx.drop(TagSet(Resource(caller.account_id, kind, number), {}))
