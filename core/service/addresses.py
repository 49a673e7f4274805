"""The verbs about public addresses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core import holding
from core.accounts import Caller
from core.addresses import Address, require_free
from core.booking import House
from core.catalogue import Zone
from core.errors import InvalidRequest, UnknownZone
from core.ids import AddressId, InstanceId, ZoneId
from core.instances import require_changeable
from core.ports import Transaction
from core.service.transactor import Transactor, fleet_of, home_of
from core.tags import Resource, ResourceKind, TagSet, with_tags


@dataclass(frozen=True, slots=True)
class Wish:
    """Which address is wanted: any of the caller's region, of one zone, or a certain one; with tags."""

    zone_id: ZoneId | None = None
    address: str = ""
    tags: tuple[tuple[str, str], ...] = ()


class Addresses:
    """Public addresses of accounts: held, bound to machines, released."""

    def __init__(self, transactor: Transactor, house: House) -> None:
        self._transactor, self._house = transactor, house

    async def allocate(self, caller: Caller, wish: Wish) -> Address:
        """Return an address that the account holds until it releases it.

        Raises:
            UnknownZone: there is no such zone, or it is in another region.
            NoAddressLeft: there is none left where it is wanted.
            LimitReached: the account may not have more.
            InvalidTag, TooManyTags: the tags break the rules.
        """
        now = self._transactor.now()

        def work(tx: Transaction) -> Address:
            zones, limits = self._zones(tx, caller, wish), self._house.limits
            address = holding.hold(tx, caller.account_id, zones, now=now, limits=limits, wanted=wish.address)
            if wish.tags:
                resource = Resource(caller.account_id, ResourceKind.ADDRESS, address.id)
                tx.put(with_tags(TagSet(resource, {}), dict(wish.tags)))
            return address

        return await self._transactor.transact(caller, "hold address", work, _named)

    async def associate(
        self, caller: Caller, address_id: AddressId, instance_id: InstanceId, *, may_move: bool
    ) -> Address:
        """Return the address, bound to the machine; repeating it changes nothing.

        Raises:
            UnknownResource, UnknownInstances: either is not there.
            IncorrectState: the machine has ended.
            AddressBound: another machine has it, and it may not be taken away.
            LimitReached: the machine has as many as it can.
            InvalidRequest: the address is of another region than the machine.
        """
        now = self._transactor.now()

        def work(tx: Transaction) -> tuple[Address, set[InstanceId]]:
            fleet = fleet_of(tx, caller, now)
            address, [machine] = fleet.address(address_id), fleet.instances_by_id([instance_id])
            require_changeable(machine)
            region = fleet.region_of(machine.zone_id)
            if fleet.region_of(address.zone_id) != region:
                raise InvalidRequest("address", address.address, f"one of the machine's region, {region.name}")
            touched = {machine.id} | ({address.instance_id} if address.instance_id is not None else set())
            return holding.bind(tx, address, machine, may_move=may_move), touched

        address, touched = await self._transactor.transact(
            caller, "bind address", work, lambda bound: f"{_named(bound[0])}, machine {instance_id}"
        )
        self._transactor.wake(touched)
        return address

    async def disassociate(self, caller: Caller, address_id: AddressId) -> None:
        """Take the address from whichever machine has it; the account goes on holding it.

        Raises:
            UnknownResource: it is not there.
        """
        await self._change(caller, "unbind address", address_id, holding.unbind)

    async def release(self, caller: Caller, address_id: AddressId) -> None:
        """Give the address back.

        Raises:
            UnknownResource: it is not there.
            AddressInUse: a machine has it.
        """

        def work(tx: Transaction, address: Address) -> None:
            require_free(address)
            holding.release(tx, address)

        await self._change(caller, "release address", address_id, work)

    async def assign(self, caller: Caller, instance_id: InstanceId) -> Address:
        """Return one more address of the machine's zone, bound to the machine and released together with it.

        Raises:
            UnknownInstances: the machine is not there.
            IncorrectState: it has ended.
            NoAddressLeft, LimitReached: there is none left, or none for this account or machine.
        """
        now = self._transactor.now()

        def work(tx: Transaction) -> Address:
            [machine] = fleet_of(tx, caller, now).instances_by_id([instance_id])
            require_changeable(machine)
            zones = [tx.state.zones[machine.zone_id]]
            address = holding.hold(tx, caller.account_id, zones, now=now, limits=self._house.limits)
            return holding.bind(tx, replace(address, goes_with_machine=True), machine, may_move=False)

        address = await self._transactor.transact(caller, "hold address", work, _named)
        self._transactor.wake([instance_id])
        return address

    async def unassign(self, caller: Caller, address_id: AddressId) -> None:
        """Take the address from its machine and give it back.

        Raises:
            UnknownResource: it is not there.
        """
        await self._change(caller, "release address", address_id, holding.release)

    async def _change(
        self, caller: Caller, verb: str, address_id: AddressId, change: Callable[[Transaction, Address], None]
    ) -> None:
        now = self._transactor.now()

        def work(tx: Transaction) -> Address:
            address = fleet_of(tx, caller, now).address(address_id)
            change(tx, address)
            return address

        before = await self._transactor.transact(caller, verb, work, _named)
        if before.instance_id is not None:
            self._transactor.wake([before.instance_id])

    def _zones(self, tx: Transaction, caller: Caller, wish: Wish) -> Sequence[Zone]:
        if wish.zone_id is None:
            region_id = home_of(tx.state, caller)
            return [zone for zone in tx.state.zones_in.get(region_id, {}).values() if not zone.is_retired]
        zone = tx.state.zones.get(wish.zone_id)
        if zone is None or zone.is_retired or caller.seen_region_id not in (None, zone.region_id):
            raise UnknownZone(str(wish.zone_id))
        return [zone]


def _named(address: Address) -> str:
    return f"address {address.address}"
