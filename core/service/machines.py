"""The verbs about single machines: what can be set on them, what they are made from, and what they can be asked."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from core.accounts import Caller
from core.billing import repriced
from core.booking import House, disks_to_keep, groups_in, require_fit
from core.errors import (
    DiskInUse,
    DoesNotFit,
    IncorrectState,
    InsufficientCapacity,
    InvalidRequest,
    NoMetadataService,
    NotOfferedInZone,
    UnfitImage,
    UnknownImage,
    UnknownProduct,
    UnknownResource,
)
from core.fleet import Fleet
from core.ids import ImageId, InstanceId, ProductId, SecurityGroupId
from core.instances import (
    Instance,
    Options,
    ShutdownBehaviour,
    after_reinstall,
    after_setting,
    require_changeable,
    require_resizable,
    with_news,
)
from core.journal import named
from core.orders import USER_DATA_LIMIT_BYTES
from core.passwords import new_password
from core.ports import MachineMaterial, SampleStore, Store, Transaction
from core.service.transactor import Change, Transactor, fleet_of, put_changed
from core.state import State
from core.tags import ResourceKind
from core.usage import Span, Usage

MachineChange = Callable[[Transaction, Instance], Instance]
Equipment = Callable[[Instance, MachineMaterial], tuple[Instance, MachineMaterial]]


class Machines:
    """Machines of accounts, one at a time. Everything raises `UnknownInstances` for what the caller cannot see."""

    def __init__(
        self,
        transactor: Transactor,
        store: Store,
        house: House,
        *,
        console: Callable[[InstanceId], Awaitable[bytes]],
        screen: Callable[[InstanceId], Awaitable[bytes]],
        samples: SampleStore,
    ) -> None:
        self._transactor, self._store, self._house = transactor, store, house
        self._console, self._screen, self._samples = console, screen, samples
        self._equipping = asyncio.Lock()

    # --- setting

    async def set_options(
        self, caller: Caller, instance_id: InstanceId, change: Callable[[Options], Options]
    ) -> Instance:
        """Return the machine with other options.

        Raises:
            IncorrectState: it has ended.
            LimitReached: its disk is to be kept, and the account keeps as many as it may.
            NoMetadataService: it is to have one, and its product has none.
        """

        def work(tx: Transaction, machine: Instance) -> Instance:
            after, product = after_setting(machine, change(machine.options)), tx.state.products[machine.product_id]
            if after.options.metadata.is_enabled and not (machine.options.metadata.is_enabled or product.has_metadata):
                raise NoMetadataService(product.slug)
            if after.options.keeps_disk and not machine.options.keeps_disk:
                self._house.limits.require_room("kept_disks", disks_to_keep(tx.state, machine.account_id))
            return after

        return await self._change(caller, "set options", instance_id, work)

    async def monitor(self, caller: Caller, ids: Sequence[InstanceId], *, is_on: bool) -> Sequence[Change]:
        """Watch machines in detail, or no longer; all or none.

        Raises:
            IncorrectState: some have ended.
        """

        def move(machine: Instance, _: datetime) -> Instance:
            return after_setting(machine, replace(machine.options, is_monitored=is_on))

        return await self._transactor.move(caller, "set monitoring", ids, move)

    async def set_shutdown_behaviour(
        self, caller: Caller, instance_id: InstanceId, behaviour: ShutdownBehaviour
    ) -> None:
        """Say what a shutdown from inside the machine means.

        Raises:
            IncorrectState: it has ended.
        """

        def work(_: Transaction, machine: Instance) -> Instance:
            require_changeable(machine)
            return replace(machine, shutdown_behaviour=behaviour)

        await self._change(caller, "set shutdown behaviour", instance_id, work)

    async def set_groups(self, caller: Caller, instance_id: InstanceId, ids: Sequence[SecurityGroupId]) -> None:
        """Put the machine into these groups and no others; at least one.

        Raises:
            IncorrectState: it has ended.
            InvalidRequest: none is given.
            UnknownResource, TooManyGroups: one is not there, or there are too many.
        """

        def work(tx: Transaction, machine: Instance) -> Instance:
            require_changeable(machine)
            network_id = tx.state.subnets_by_place[machine.account_id, machine.zone_id].network_id
            groups = groups_in(tx.state, network_id, ids)
            if not groups:
                raise InvalidRequest("security groups", "none", "at least one")
            return machine if groups == machine.group_ids else with_news(replace(machine, group_ids=groups))

        await self._change(caller, "set security groups", instance_id, work)

    async def set_user_data(self, caller: Caller, instance_id: InstanceId, user_data: bytes) -> None:
        """Give the stopped machine user data of its own, in place of its order's.

        Raises:
            IncorrectState: it is not stopped.
            InvalidRequest: it is too long.
        """
        if len(user_data) > USER_DATA_LIMIT_BYTES:
            raise InvalidRequest("user data", f"{len(user_data)} bytes", f"at most {USER_DATA_LIMIT_BYTES} bytes")

        def change(machine: Instance, kept: MachineMaterial) -> tuple[Instance, MachineMaterial]:
            require_resizable(machine)
            return replace(machine, has_user_data=True), replace(kept, user_data=user_data)

        await self._equip(caller, "set user data", instance_id, change)

    async def set_password(self, caller: Caller, instance_id: InstanceId) -> None:
        """Give the machine a new root password, which `password` then tells.

        Raises:
            IncorrectState: it has ended.
        """

        def change(machine: Instance, kept: MachineMaterial) -> tuple[Instance, MachineMaterial]:
            require_changeable(machine)
            return replace(machine, has_password=True), replace(kept, password=new_password())

        await self._equip(caller, "set password", instance_id, change)

    async def configure_network(self, caller: Caller, instance_id: InstanceId) -> None:
        """Have the machine's network set up anew, as the rows say it is.

        Raises:
            IncorrectState: it has ended.
        """

        def work(_: Transaction, machine: Instance) -> Instance:
            require_changeable(machine)
            return with_news(machine)

        await self._change(caller, "set up network", instance_id, work)

    # --- what it is

    async def resize(self, caller: Caller, instance_id: InstanceId, product_id: ProductId | None) -> None:
        """Make the stopped machine one of another product, at its price from the next hour on; None: of its order's.

        Raises:
            IncorrectState: it is not stopped.
            UnknownProduct: the product is not offered.
            NotOfferedInZone, InsufficientCapacity: it has no place in the machine's zone.
            DoesNotFit, UnfitImage: its disk would shrink, or it cannot run the machine's image.
            InvalidRequest: it is priced in another currency.
        """

        def work(tx: Transaction, machine: Instance) -> Instance:
            require_resizable(machine)
            wanted = product_id or tx.state.orders[machine.order_id].product_id
            if wanted == machine.product_id:
                return machine
            return self._resized(tx.state, machine, wanted)

        await self._change(caller, "change type", instance_id, work)

    async def reinstall(self, caller: Caller, instance_id: InstanceId, image_id: ImageId | None) -> None:
        """Give the machine a new disk with an image, or with the one that it has; everything on the old one is lost.

        Raises:
            IncorrectState: it is on its way up or down, or has ended.
            UnknownImage: the image is not offered.
            UnfitImage, DoesNotFit: it is of another family, or the machine cannot run it.
        """

        def work(tx: Transaction, machine: Instance) -> Instance:
            old, wanted = tx.state.images[machine.image_id], image_id or machine.image_id
            new = tx.state.images.get(wanted)
            if new is None or new.is_retired:
                raise UnknownImage(str(wanted))
            if new.platform != old.platform:
                raise UnfitImage(new.name, f"it is of the family {new.platform} and the machine of {old.platform}")
            require_fit(new, tx.state.products[machine.product_id])
            return after_reinstall(machine, new.id)

        await self._change(caller, "reinstall", instance_id, work)

    # --- what it can be asked

    async def user_data(self, caller: Caller, instance_id: InstanceId) -> bytes:
        """Return the user data that the machine was given, its own or its order's."""
        machine = await self._seen(caller, instance_id)
        if machine.has_user_data:
            return (await self._store.machine_material(instance_id)).user_data
        return (await self._store.material(machine.order_id)).user_data

    async def password(self, caller: Caller, instance_id: InstanceId) -> str:
        """Return the root password that the machine was given; empty for none."""
        machine = await self._seen(caller, instance_id)
        return (await self._store.machine_material(instance_id)).password if machine.has_password else ""

    async def console_log(self, caller: Caller, instance_id: InstanceId) -> bytes:
        """Return the end of what the machine wrote to its console.

        Raises:
            DriverError: its backend does not answer.
        """
        await self._seen(caller, instance_id)
        return await self._console(instance_id)

    async def screenshot(self, caller: Caller, instance_id: InstanceId) -> bytes:
        """Return what the machine's screen shows, a PNG; also while it boots.

        Raises:
            IncorrectState: it is not up.
            DriverError: its backend has no screens (UNSUPPORTED), or does not answer.
        """
        machine = await self._seen(caller, instance_id)
        if not (picture := await self._screen(instance_id)):
            raise IncorrectState(machine.id, machine.state, "take a screenshot of")
        return picture

    async def usage(self, caller: Caller, instance_id: InstanceId, span: Span) -> Sequence[Usage]:
        """Return what the machine used over a span that ends now, the oldest point first; empty if nobody looked.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        machine = await self._seen(caller, instance_id)
        return await self._samples.usage(machine.id, span, self._transactor.now())

    # --- what is left of it

    async def delete_disk(self, caller: Caller, disk_id: InstanceId) -> None:
        """Have a disk removed that was kept.

        Raises:
            UnknownResource: there is no such disk.
            DiskInUse: its machine is there.
        """
        now = self._transactor.now()

        def work(tx: Transaction) -> None:
            if not fleet_of(tx, caller, now).has(ResourceKind.DISK, disk_id):
                raise UnknownResource(ResourceKind.DISK, disk_id)
            if (disk := tx.state.kept_disks.get(disk_id)) is None:
                raise DiskInUse(disk_id)
            tx.put(replace(disk, is_unwanted=True))

        await self._transactor.transact(caller, "delete disk", work, f"disk {disk_id}")
        self._transactor.wake([disk_id])

    # --- how it is done

    async def _change(self, caller: Caller, verb: str, instance_id: InstanceId, change: MachineChange) -> Instance:
        now = self._transactor.now()

        def work(tx: Transaction) -> Instance:
            [before] = fleet_of(tx, caller, now).instances_by_id([instance_id])
            after = change(tx, before)
            put_changed(tx, caller, before, after, now)
            return after

        after = await self._transactor.transact(caller, verb, work, named("machine", [instance_id]))
        if after.needs_work:
            self._transactor.wake([instance_id])
        return after

    async def _equip(self, caller: Caller, verb: str, instance_id: InstanceId, change: Equipment) -> None:
        """Change what the machine has of its own. What is kept is read first, and nobody may write it in between."""
        async with self._equipping:
            kept = await self._store.machine_material(instance_id)

            def work(tx: Transaction, before: Instance) -> Instance:
                after, material = change(before, kept)
                tx.put_machine_material(material)
                return with_news(after)

            await self._change(caller, verb, instance_id, work)

    async def _seen(self, caller: Caller, instance_id: InstanceId) -> Instance:
        fleet = Fleet(await self._store.view(), caller.account_id, self._transactor.now(), caller.seen_region_id)
        [machine] = fleet.instances_by_id([instance_id])
        return machine

    def _resized(self, state: State, machine: Instance, product_id: ProductId) -> Instance:
        product = state.products.get(product_id)
        if product is None or product.is_retired:
            raise UnknownProduct(str(product_id))
        if product.currency != (currency := state.orders[machine.order_id].currency):
            raise InvalidRequest("product", product.instance_type, f"one that is priced in {currency}, as the order is")
        zone = state.zones[machine.zone_id]
        if zone.id not in product.capacity:
            zones = [state.zones[each] for each in product.capacity]
            offered = [each.name for each in zones if each.region_id == zone.region_id]
            raise NotOfferedInZone(product.instance_type, zone.name, offered)
        if (free := state.free(product, zone.id)) < 1:
            raise InsufficientCapacity(product.instance_type, 1, max(0, free))
        disk_gib = state.products[machine.product_id].disk_gib
        if product.disk_gib < disk_gib:
            raise DoesNotFit(product.instance_type, f"its disk has {product.disk_gib} GiB and the machine's {disk_gib}")
        require_fit(state.images[machine.image_id], product)
        return with_news(
            replace(repriced(machine, product.hourly_price, self._transactor.now()), product_id=product.id)
        )
