import asyncio
from dataclasses import fields, replace
from datetime import timedelta

import pytest

from core.billing import cost
from core.booking import House, PortRange
from core.errors import (
    DiskInUse,
    DoesNotFit,
    IncorrectState,
    InsufficientCapacity,
    InvalidRequest,
    LimitReached,
    NoMetadataService,
    NotOfferedInZone,
    Protected,
    TooManyGroups,
    UnfitImage,
    UnknownImage,
    UnknownInstances,
    UnknownProduct,
    UnknownResource,
)
from core.ids import ImageId, InstanceId, ProductId, SecurityGroupId
from core.instances import STANDARD_OPTIONS, MetadataService, Options, Power, ShutdownBehaviour, State
from core.limits import Limits
from core.orders import USER_DATA_LIMIT_BYTES, Booking
from core.sampling import NoSamples
from core.securitygroups import MOST_GROUPS
from core.service.machines import Machines
from core.service.transactor import Transactor
from core.tags import ResourceKind
from core.usage import Span
from tests.contracts.store_contract import contents
from tests.fleetfixture import CATALOGUE, a_ware, nothing_said, something_shown

HOUR = timedelta(hours=1)
KEPT = replace(STANDARD_OPTIONS, keeps_disk=True)
# What of its options a driver is told.
TOLD = [Options(hostname="web"), Options(is_source_checked=False), Options(metadata=MetadataService(hop_limit=2))]
NOT_TOLD = [
    Options(is_protected=True),
    Options(is_stop_protected=True),
    Options(is_monitored=True),
    Options(keeps_disk=True),
]


@pytest.fixture
def machines(house):
    return house.core.machines


@pytest.fixture
def stock(house):
    """Sells more than the fixture does, and returns the product of a name."""

    async def sell(*wares, images=()):
        catalogue = replace(CATALOGUE, products=[*CATALOGUE.products, *wares], images=[*CATALOGUE.images, *images])
        await house.administration.set_catalogue(catalogue)
        return {product.slug: product for product in (await house.store.view()).products.values()}

    return sell


def to(options):
    return lambda _: options


async def image_id(house, name):
    return next(image.id for image in (await house.store.view()).images.values() if image.name == name)


async def new_group(house, tenant, name):
    return (await house.core.groups.create(tenant.caller, name, "", {})).id


# --- options


@pytest.mark.parametrize("options", TOLD)
async def test_a_driver_is_told_of_an_option_that_concerns_it(house, ours, machines, options):
    before = await ours.machine(1)
    after = await machines.set_options(ours.caller, ours.ids[1], to(options))
    assert (after.options, after.version) == (options, before.version + 1)
    assert house.woken == [ours.ids[1]]


@pytest.mark.parametrize("options", NOT_TOLD)
async def test_a_driver_is_not_told_of_an_option_that_does_not(house, ours, machines, options):
    before = await ours.machine(1)
    after = await machines.set_options(ours.caller, ours.ids[1], to(options))
    assert (after.options, after.version) == (options, before.version)
    assert house.woken == []


def test_every_option_is_tried_here():
    changed = {
        field.name
        for options in (*TOLD, *NOT_TOLD)
        for field in fields(Options)
        if getattr(options, field.name) != getattr(STANDARD_OPTIONS, field.name)
    }
    assert changed == {field.name for field in fields(Options)}


async def test_options_that_are_so_already_are_not_written_again(house, ours, machines):
    await machines.set_options(ours.caller, ours.ids[1], to(TOLD[0]))
    revision = (await house.store.view()).revision
    await machines.set_options(ours.caller, ours.ids[1], to(TOLD[0]))
    assert (await house.store.view()).revision == revision


async def test_a_protected_machine_cannot_be_terminated_by_anyone(house, ours, machines):
    await machines.set_options(ours.caller, ours.ids[1], to(Options(is_protected=True)))
    for attempt in (
        house.core.terminate(ours.caller, ours.ids),
        house.core.complete(ours.caller, ours.order.id),
    ):
        with pytest.raises(Protected) as caught:
            await attempt
        assert (caught.value.instance_id, caught.value.verb) == (ours.ids[1], "terminate")
    assert await ours.states() == [State.RUNNING] * 2


async def test_a_machine_that_is_no_longer_protected_can_be_terminated(house, ours, machines):
    for is_protected in (True, False):
        await machines.set_options(ours.caller, ours.ids[1], to(Options(is_protected=is_protected)))
    await house.core.terminate(ours.caller, ours.ids)


async def test_a_machine_protected_from_stopping_goes_on_but_can_be_terminated(house, ours, machines):
    await machines.set_options(ours.caller, ours.ids[1], to(Options(is_stop_protected=True)))
    for is_forced in (False, True):
        with pytest.raises(Protected):
            await house.core.stop(ours.caller, ours.ids, is_forced=is_forced)
    await house.core.terminate(ours.caller, ours.ids)


async def test_an_account_may_keep_only_so_many_disks(house, ours):
    few = Machines(
        Transactor(house.store, house.clock, house.woken.extend),
        house.store,
        House(PortRange(20_000, 39_999), Limits(kept_disks=2)),
        console=house.core.machines._console,
        screen=house.core.machines._screen,
        samples=house.core.machines._samples,
    )
    await few.set_options(ours.caller, ours.ids[0], to(KEPT))  # one is kept already
    await few.set_options(ours.caller, ours.ids[0], to(replace(KEPT, is_monitored=True)))
    with pytest.raises(LimitReached) as caught:
        await few.set_options(ours.caller, ours.ids[1], to(KEPT))
    assert (caught.value.kind, caught.value.have) == ("kept_disks", 2)


async def test_machines_are_watched_all_or_none(house, ours, machines):
    changes = await machines.monitor(ours.caller, ours.ids, is_on=True)
    assert [change.after.options.is_monitored for change in changes] == [True, True]
    with pytest.raises(UnknownInstances):
        await machines.monitor(ours.caller, [ours.ids[0], InstanceId(999)], is_on=False)
    assert (await ours.machine()).options.is_monitored


async def test_a_shutdown_from_inside_means_what_was_said_last(house, ours, machines):
    await machines.set_shutdown_behaviour(ours.caller, ours.ids[0], ShutdownBehaviour.TERMINATE)
    await ours.stop()
    assert await ours.states() == [State.SHUTTING_DOWN, State.STOPPED]


async def test_nothing_can_be_set_on_a_machine_that_has_ended(house, ours, machines):
    await house.core.terminate(ours.caller, ours.ids)
    caller, target = ours.caller, ours.ids[0]
    for attempt in (
        machines.set_options(caller, target, to(TOLD[0])),
        machines.monitor(caller, [target], is_on=True),
        machines.set_shutdown_behaviour(caller, target, ShutdownBehaviour.TERMINATE),
        machines.set_groups(caller, target, [ours.group.id]),
        machines.set_user_data(caller, target, b""),
        machines.set_password(caller, target),
        machines.configure_network(caller, target),
        machines.resize(caller, target, None),
        machines.reinstall(caller, target, None),
    ):
        with pytest.raises(IncorrectState):
            await attempt


# --- groups


async def test_a_machine_is_in_the_groups_that_were_given_and_no_others(house, ours, machines):
    other = await new_group(house, ours, "other")
    await machines.set_groups(ours.caller, ours.ids[1], [other, ours.group.id, other])
    assert (await ours.machine(1)).group_ids == (other, ours.group.id)
    assert (await ours.machine(1)).needs_work
    assert house.woken == [ours.ids[1]]


async def test_the_same_groups_again_are_no_news(house, ours, machines):
    before = await ours.machine(1)
    await machines.set_groups(ours.caller, ours.ids[1], before.group_ids)
    assert await ours.machine(1) == before


async def test_a_machine_is_in_one_group_at_least(ours, machines):
    with pytest.raises(InvalidRequest):
        await machines.set_groups(ours.caller, ours.ids[1], [])


async def test_a_machine_can_be_in_only_so_many_groups(house, ours, machines):
    many = [await new_group(house, ours, str(number)) for number in range(MOST_GROUPS + 1)]
    await machines.set_groups(ours.caller, ours.ids[1], many[:-1])
    with pytest.raises(TooManyGroups):
        await machines.set_groups(ours.caller, ours.ids[1], many)


async def test_a_machine_cannot_be_put_into_a_group_that_is_not_there(house, ours, theirs, machines):
    caller = replace(ours.caller, region_id=(await house.core.region("ap-1")).id)
    elsewhere = (await house.core.groups.create(caller, "elsewhere", "", {})).id
    for group_id in (SecurityGroupId(999), theirs.group.id, elsewhere):
        with pytest.raises(UnknownResource):
            await machines.set_groups(ours.caller, ours.ids[1], [ours.group.id, group_id])


# --- user data and passwords


async def test_user_data_of_a_machines_own_takes_the_place_of_its_orders(ours, machines):
    await ours.stop()
    await machines.set_user_data(ours.caller, ours.ids[0], b"own")
    assert await machines.user_data(ours.caller, ours.ids[0]) == b"own"
    assert await machines.user_data(ours.caller, ours.ids[1]) == b"data"


async def test_user_data_can_be_taken_away(ours, machines):
    await ours.stop()
    await machines.set_user_data(ours.caller, ours.ids[0], b"")
    assert await machines.user_data(ours.caller, ours.ids[0]) == b""


async def test_user_data_is_changed_only_while_the_machine_is_stopped(ours, machines):
    with pytest.raises(IncorrectState):
        await machines.set_user_data(ours.caller, ours.ids[0], b"own")


async def test_user_data_is_limited(ours, machines):
    await ours.stop()
    await machines.set_user_data(ours.caller, ours.ids[0], b"x" * USER_DATA_LIMIT_BYTES)
    with pytest.raises(InvalidRequest):
        await machines.set_user_data(ours.caller, ours.ids[0], b"x" * (USER_DATA_LIMIT_BYTES + 1))


async def test_each_new_password_is_another(ours, machines):
    passwords = set()
    for _ in range(3):
        await machines.set_password(ours.caller, ours.ids[0])
        passwords.add(await machines.password(ours.caller, ours.ids[0]))
    assert len(passwords) == 3
    assert await machines.password(ours.caller, ours.ids[1]) == ""


async def test_a_password_and_user_data_do_not_displace_each_other(ours, machines):
    await ours.stop()
    await machines.set_password(ours.caller, ours.ids[0])
    password = await machines.password(ours.caller, ours.ids[0])
    await machines.set_user_data(ours.caller, ours.ids[0], b"own")
    assert await machines.password(ours.caller, ours.ids[0]) == password
    await machines.set_password(ours.caller, ours.ids[0])
    assert await machines.user_data(ours.caller, ours.ids[0]) == b"own"


async def test_a_password_and_user_data_set_at_once_are_both_kept(ours, machines):
    await ours.stop()
    await asyncio.gather(
        machines.set_password(ours.caller, ours.ids[0]), machines.set_user_data(ours.caller, ours.ids[0], b"own")
    )
    assert await machines.password(ours.caller, ours.ids[0])
    assert await machines.user_data(ours.caller, ours.ids[0]) == b"own"


async def test_a_password_does_not_lie_open_in_any_file(ours, machines, tmp_path):
    await machines.set_password(ours.caller, ours.ids[0])
    password = (await machines.password(ours.caller, ours.ids[0])).encode()
    assert not any(password in file.read_bytes() for file in tmp_path.iterdir())


async def test_a_driver_is_told_of_a_password_and_of_user_data(house, ours, machines):
    await ours.stop()
    for number, attempt in enumerate(
        (
            machines.set_password(ours.caller, ours.ids[1]),
            machines.set_user_data(ours.caller, ours.ids[1], b""),
            machines.configure_network(ours.caller, ours.ids[1]),
        ),
        (await ours.machine(1)).version + 1,
    ):
        await attempt
        assert (await ours.machine(1)).version == number
    assert house.woken == [ours.ids[1]] * 3


# --- resizing


async def test_a_resized_machine_is_one_of_the_other_product_at_its_price_from_the_next_hour_on(house, ours, machines):
    large = await house.product("nvidia-titanxp")
    await ours.stop()
    house.clock.advance(HOUR / 2)
    await machines.resize(ours.caller, ours.ids[0], large.id)
    machine = await ours.machine()
    old = ours.order.hourly_price
    assert (machine.product_id, machine.hourly_price) == (large.id, large.hourly_price)
    assert cost(machine, house.clock.now()) == old
    assert cost(machine, house.clock.now() + HOUR) == old + large.hourly_price
    assert house.woken == [ours.ids[0]]


async def test_a_resized_machine_takes_room_of_its_new_product_and_leaves_that_of_the_old(house, ours, machines):
    large, plain = await house.product("nvidia-titanxp"), await house.product("plain")
    zone_id = ours.order.zone_id
    await ours.stop()
    before = {product.id: (await house.store.view()).free(product, zone_id) for product in (large, plain)}
    await machines.resize(ours.caller, ours.ids[0], large.id)
    rows = await house.store.view()
    assert rows.free(large, zone_id) == before[large.id] - 1
    assert rows.free(plain, zone_id) == before[plain.id] + 1


async def test_the_product_of_the_order_is_what_is_meant_by_none(house, ours, machines):
    await ours.stop()
    await machines.resize(ours.caller, ours.ids[0], (await house.product("nvidia-titanxp")).id)
    await machines.resize(ours.caller, ours.ids[0], None)
    assert (await ours.machine()).product_id == ours.order.product_id


async def test_resizing_to_what_it_is_changes_nothing(house, ours, machines):
    await ours.stop()
    before = contents(await house.store.view())
    await machines.resize(ours.caller, ours.ids[0], ours.order.product_id)
    assert contents(await house.store.view()) == before


async def test_a_machine_is_resized_only_while_it_is_stopped(house, ours, machines):
    with pytest.raises(IncorrectState):
        await machines.resize(ours.caller, ours.ids[0], (await house.product("nvidia-titanxp")).id)


async def test_a_machine_cannot_become_what_is_not_there(house, ours, machines):
    await ours.stop()
    with pytest.raises(UnknownProduct):
        await machines.resize(ours.caller, ours.ids[0], ProductId(999))
    retired = (await house.product("nvidia-titanxp")).id
    await house.administration.set_catalogue(
        replace(CATALOGUE, products=[ware for ware in CATALOGUE.products if ware.slug != "nvidia-titanxp"])
    )
    with pytest.raises(UnknownProduct):
        await machines.resize(ours.caller, ours.ids[0], retired)


async def test_a_machine_cannot_become_what_its_zone_does_not_have(house, ours, machines):
    await ours.stop()
    with pytest.raises(NotOfferedInZone) as caught:
        await machines.resize(ours.caller, ours.ids[0], (await house.product("nvidia-1080ti")).id)
    assert caught.value.offered == ("eu-1a",)


async def test_a_machine_cannot_become_what_the_zone_has_no_more_of(house, ours, machines):
    large = await house.product("nvidia-titanxp")
    await ours.stop()
    await house.core.book(ours.caller, Booking(large.id, 3, 3, zone_id=ours.order.zone_id))
    with pytest.raises(InsufficientCapacity):
        await machines.resize(ours.caller, ours.ids[0], large.id)


async def test_a_disk_never_shrinks(ours, machines, stock):
    products = await stock(a_ware("slim", "0.01", {"eu-1b": 9}, disk_gib=99))
    await ours.stop()
    with pytest.raises(DoesNotFit):
        await machines.resize(ours.caller, ours.ids[0], products["slim"].id)


async def test_a_machine_cannot_become_what_its_image_does_not_run_on(ours, machines, stock):
    products = await stock(a_ware("arm", "0.01", {"eu-1b": 9}, architecture="arm64"))
    await ours.stop()
    with pytest.raises(UnfitImage):
        await machines.resize(ours.caller, ours.ids[0], products["arm"].id)


async def test_a_machine_cannot_become_what_is_priced_in_another_currency(ours, machines, stock):
    products = await stock(a_ware("foreign", "0.01", {"eu-1b": 9}, currency="EUR"))
    await ours.stop()
    with pytest.raises(InvalidRequest, match="USD"):
        await machines.resize(ours.caller, ours.ids[0], products["foreign"].id)


# --- reinstalling


async def test_a_reinstalled_machine_has_a_new_disk_to_come(house, ours, machines):
    before = await ours.machine()
    await machines.reinstall(ours.caller, ours.ids[0], None)
    after = await ours.machine()
    assert (after.generation, after.built, after.image_id) == (before.generation + 1, before.built, before.image_id)
    assert house.woken == [ours.ids[0]]


async def test_a_machine_can_be_reinstalled_with_another_image(house, ours, machines):
    wanted = await image_id(house, "debian-12")
    await machines.reinstall(ours.caller, ours.ids[0], wanted)
    assert (await ours.machine()).image_id == wanted


@pytest.mark.parametrize("power", [Power.STOPPED, Power.RUNNING])
async def test_a_machine_that_stands_can_be_reinstalled(house, ours, machines, power):
    await house.seen(power, ours.ids)
    await machines.reinstall(ours.caller, ours.ids[0], None)


async def test_a_machine_on_its_way_cannot_be_reinstalled(house, ours, machines):
    await house.core.stop(ours.caller, ours.ids, is_forced=False)
    with pytest.raises(IncorrectState):
        await machines.reinstall(ours.caller, ours.ids[0], None)


async def test_an_image_that_is_not_there_cannot_be_installed(house, ours, machines):
    with pytest.raises(UnknownImage):
        await machines.reinstall(ours.caller, ours.ids[0], ImageId(999))
    retired = await image_id(house, "ubuntu-24")
    await house.administration.set_catalogue(
        replace(CATALOGUE, images=CATALOGUE.images[:1], products=CATALOGUE.products[:-1])
    )
    for image in (retired, None):
        with pytest.raises(UnknownImage):
            await machines.reinstall(ours.caller, ours.ids[0], image)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"platform": "windows"}, UnfitImage),
        ({"architecture": "arm64"}, UnfitImage),
        ({"least_memory_mib": 10**6}, DoesNotFit),
        ({"least_disk_gib": 10**6}, DoesNotFit),
    ],
)
async def test_an_image_that_the_machine_cannot_run_is_not_installed(house, ours, machines, stock, changes, refusal):  # noqa: PLR0917  fixtures
    await stock(images=[replace(CATALOGUE.images[0], name="other", **changes)])
    before = await ours.machine()
    with pytest.raises(refusal):
        await machines.reinstall(ours.caller, ours.ids[0], await image_id(house, "other"))
    assert await ours.machine() == before


# --- asking about itself


async def test_a_machine_of_a_product_without_metadata_service_can_never_ask_about_itself(house, ours, machines, stock):
    products = await stock(a_ware("mute", "0.01", {"eu-1b": 9}, has_metadata=False))
    placed = await house.core.book(ours.caller, Booking(products["mute"].id, 1, 1))
    [machine] = placed.instances
    assert not machine.options.metadata.is_enabled
    await machines.set_options(ours.caller, machine.id, to(replace(machine.options, is_monitored=True)))
    with pytest.raises(NoMetadataService):
        await machines.set_options(ours.caller, machine.id, to(STANDARD_OPTIONS))


# --- asking


async def test_a_console_that_says_nothing_is_empty(ours, machines):
    assert await machines.console_log(ours.caller, ours.ids[0]) == b""


async def test_the_screen_of_a_machine_is_shown(ours, machines):
    assert await machines.screenshot(ours.caller, ours.ids[0]) == await something_shown(ours.ids[0])


async def test_a_machine_without_a_picture_is_not_up(house, ours):
    blind = Machines(
        Transactor(house.store, house.clock, house.woken.extend),
        house.store,
        House(PortRange(20_000, 39_999), Limits()),
        console=nothing_said,
        screen=nothing_said,
        samples=NoSamples(),
    )
    with pytest.raises(IncorrectState, match="take a screenshot of it"):
        await blind.screenshot(ours.caller, ours.ids[0])


async def test_where_nobody_looks_nothing_is_known_of_use(ours, machines):
    assert await machines.usage(ours.caller, ours.ids[0], Span.HOUR) == ()


# --- disks


async def test_a_disk_that_is_deleted_is_no_longer_seen_and_the_reconciler_is_told(house, ours, machines):
    await machines.delete_disk(ours.caller, ours.disk.id)
    fleet = await house.core.fleet(ours.caller)
    assert fleet.kept_disks() == []
    assert not fleet.has(ResourceKind.DISK, ours.disk.id)
    assert house.woken == [ours.disk.id]


async def test_a_disk_cannot_be_deleted_twice(ours, machines):
    await machines.delete_disk(ours.caller, ours.disk.id)
    with pytest.raises(UnknownResource):
        await machines.delete_disk(ours.caller, ours.disk.id)


async def test_the_disk_of_a_machine_that_is_there_cannot_be_deleted(house, ours, machines):
    with pytest.raises(DiskInUse):
        await machines.delete_disk(ours.caller, ours.ids[0])
    await house.core.terminate(ours.caller, ours.ids)
    with pytest.raises(DiskInUse):
        await machines.delete_disk(ours.caller, ours.ids[0])


async def test_the_disk_of_a_machine_that_is_gone_is_not_there(ours, machines):
    await ours.be_gone()
    with pytest.raises(UnknownResource):
        await machines.delete_disk(ours.caller, ours.ids[0])
