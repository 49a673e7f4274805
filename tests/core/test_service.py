import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from core.accounts import Caller, Protocol, parse_network
from core.booking import House, PortRange
from core.errors import (
    AddressNotAllowed,
    CoreError,
    DryRunPassed,
    ForeignOrder,
    IncorrectState,
    InvalidKeyMaterial,
    InvalidRequest,
    InvalidTag,
    KeyPairExists,
    LimitReached,
    NonceUsed,
    OrderEnded,
    TooManyRequests,
    TooManyTags,
    UnknownImage,
    UnknownInstances,
    UnknownKeyPairs,
    UnknownOrder,
    UnknownRegion,
    UnknownResource,
)
from core.ids import InstanceId, OrderId, ProductId
from core.instances import VISIBLE_AFTER_END, Power, ShutdownBehaviour, State
from core.journal import DeedQuery, author_of
from core.keypairs import KeyKind
from core.limits import Limits, Pace
from core.orders import Booking, Status
from core.service import Core
from core.service.addresses import Addresses, Wish
from core.service.groups import SecurityGroups, WantedRule
from core.service.machines import Machines
from core.sshkeys import generate
from core.tags import MOST_TAGS, ResourceKind
from core.usage import Span
from core.vault import KEY_BYTES, Vault
from tests.contracts.store_contract import contents
from tests.fleetfixture import nothing_said
from tests.tenants import WEB, Tenant

DAY = timedelta(days=1)
LARGE = ProductId(3)  # nvidia-titanxp, which has room where tenants live
LINE = generate(KeyKind.ED25519, "somebody").public.line.encode()


async def everything(house):
    """Return all rows, to be compared."""
    return contents(await house.store.view())


# Every verb that changes something: how a caller asks for it, where it is about what a tenant has.
Verb = Callable[[Core, Caller, Tenant], Awaitable[object]]
MAKING: dict[str, Verb] = {
    "book": lambda core, caller, tenant: core.book(caller, Booking(tenant.order.product_id, user_data=b"data")),
    "create_key_pair": lambda core, caller, _: core.create_key_pair(caller, "new", KeyKind.ED25519, {"a": "b"}),
    "import_key_pair": lambda core, caller, _: core.import_key_pair(caller, "new", LINE, {"a": "b"}),
    "addresses.allocate": lambda core, caller, _: core.addresses.allocate(caller, Wish(tags=(("a", "b"),))),
    "groups.create": lambda core, caller, _: core.groups.create(caller, "new", "", {"a": "b"}),
}
OF_MACHINES: dict[str, Verb] = {
    "terminate": lambda core, caller, tenant: core.terminate(caller, tenant.ids),
    "start": lambda core, caller, tenant: core.start(caller, tenant.ids),
    "stop": lambda core, caller, tenant: core.stop(caller, tenant.ids, is_forced=False),
    "force": lambda core, caller, tenant: core.stop(caller, tenant.ids, is_forced=True),
    "reboot": lambda core, caller, tenant: core.reboot(caller, tenant.ids),
    "machines.monitor": lambda core, caller, tenant: core.machines.monitor(caller, tenant.ids, is_on=True),
}
OF_ONE_MACHINE: dict[str, Verb] = {
    "addresses.assign": lambda core, caller, tenant: core.addresses.assign(caller, tenant.ids[0]),
    "machines.set_options": lambda core, caller, tenant: core.machines.set_options(
        caller, tenant.ids[0], lambda options: replace(options, hostname="web")
    ),
    "machines.set_shutdown_behaviour": lambda core, caller, tenant: core.machines.set_shutdown_behaviour(
        caller, tenant.ids[0], ShutdownBehaviour.TERMINATE
    ),
    "machines.set_groups": lambda core, caller, tenant: core.machines.set_groups(
        caller, tenant.ids[0], [tenant.group.id]
    ),
    "machines.set_user_data": lambda core, caller, tenant: core.machines.set_user_data(caller, tenant.ids[0], b"own"),
    "machines.set_password": lambda core, caller, tenant: core.machines.set_password(caller, tenant.ids[0]),
    "machines.configure_network": lambda core, caller, tenant: core.machines.configure_network(caller, tenant.ids[0]),
    "machines.resize": lambda core, caller, tenant: core.machines.resize(caller, tenant.ids[0], LARGE),
    "machines.reinstall": lambda core, caller, tenant: core.machines.reinstall(caller, tenant.ids[0], None),
}
NEEDING_A_STOP = {"machines.set_user_data", "machines.resize", "start"}
CHANGING: dict[str, Verb] = {
    **OF_MACHINES,
    **OF_ONE_MACHINE,
    "complete": lambda core, caller, tenant: core.complete(caller, tenant.order.id),
    "delete_key_pair": lambda core, caller, tenant: core.delete_key_pair(caller, tenant.pair),
    "addresses.associate": lambda core, caller, tenant: core.addresses.associate(
        caller, tenant.address.id, tenant.ids[1], may_move=True
    ),
    "addresses.disassociate": lambda core, caller, tenant: core.addresses.disassociate(caller, tenant.address.id),
    "addresses.unassign": lambda core, caller, tenant: core.addresses.unassign(caller, tenant.address.id),
    "groups.delete": lambda core, caller, tenant: core.groups.delete(caller, tenant.group.id),
    "groups.authorize": lambda core, caller, tenant: core.groups.authorize(
        caller, tenant.group.id, [WantedRule(replace(WEB, first_port=81, last_port=81))], {"a": "b"}
    ),
    "groups.revoke": lambda core, caller, tenant: core.groups.revoke(caller, tenant.group.id, [WEB]),
    "groups.revoke_rules": lambda core, caller, tenant: core.groups.revoke_rules(
        caller, tenant.group.id, [tenant.group.rules[-1].id]
    ),
    "groups.describe_rules": lambda core, caller, tenant: core.groups.describe_rules(
        caller, tenant.group.id, {tenant.group.rules[-1].id: "http"}
    ),
    "groups.modify_rules": lambda core, caller, tenant: core.groups.modify_rules(
        caller, tenant.group.id, {tenant.group.rules[-1].id: WantedRule(replace(WEB, last_port=81))}
    ),
    "machines.delete_disk": lambda core, caller, tenant: core.machines.delete_disk(caller, tenant.disk.id),
    **{
        f"tag {kind}": lambda core, caller, tenant, kind=kind: core.tag(caller, [tenant.resource(kind)], {"a": "b"})
        for kind in ResourceKind
    },
    **{
        f"untag {kind}": lambda core, caller, tenant, kind=kind: core.untag(caller, [tenant.resource(kind)], None)
        for kind in ResourceKind
    },
    "addresses.release": lambda core, caller, tenant: core.addresses.release(caller, tenant.address.id),
}
LOOKING_AT_ORDERS: dict[str, Verb] = {
    "order": lambda core, caller, tenant: core.order(caller, tenant.order.id),
    "order_by_key": lambda core, caller, tenant: core.order_by_key(caller, tenant.order.order_key),
    "private_key": lambda core, caller, tenant: core.private_key(caller, tenant.order.order_key),
}
LOOKING: dict[str, Verb] = {
    **LOOKING_AT_ORDERS,
    "machines.user_data": lambda core, caller, tenant: core.machines.user_data(caller, tenant.ids[0]),
    "machines.password": lambda core, caller, tenant: core.machines.password(caller, tenant.ids[0]),
    "machines.usage": lambda core, caller, tenant: core.machines.usage(caller, tenant.ids[0], Span.DAY),
    "machines.console_log": lambda core, caller, tenant: core.machines.console_log(caller, tenant.ids[0]),
    "machines.screenshot": lambda core, caller, tenant: core.machines.screenshot(caller, tenant.ids[0]),
}
# An order is its account's wherever it is, and so is its end; images are the same everywhere.
IN_EVERY_REGION = {"complete", f"tag {ResourceKind.IMAGE}", f"untag {ResourceKind.IMAGE}", *LOOKING_AT_ORDERS}
REGIONAL = [verb for verb in CHANGING | LOOKING if verb not in IN_EVERY_REGION]
REFUSALS = (ForeignOrder, UnknownOrder, UnknownInstances, UnknownKeyPairs, UnknownImage, UnknownResource)


async def ask(house, caller, tenant, verb):
    """Ask for a verb about what the tenant has, which is first made ready for it."""
    if verb in NEEDING_A_STOP:
        await tenant.stop()
    if verb == "addresses.release":
        await house.core.addresses.disassociate(tenant.caller, tenant.address.id)
    house.woken.clear()
    before = await everything(house)
    try:
        return await (MAKING | CHANGING | LOOKING)[verb](house.core, caller, tenant)
    except CoreError:
        assert await everything(house) == before
        assert await house.store.transact(lambda tx: contents(tx.state)) == before
        assert house.woken == []
        raise


def test_no_verb_of_a_caller_is_forgotten_here():
    tried = {verb.split(" ")[0] for verb in MAKING | CHANGING | LOOKING} - {"force"} | {
        "orders",
        "fleet",
        "networked_fleet",
        "home",
        "open_session",
    }
    parts = {"": Core, "addresses.": Addresses, "groups.": SecurityGroups, "machines.": Machines}
    verbs = [
        (prefix + name, verb)
        for prefix, part in parts.items()
        for name, verb in inspect.getmembers(part, inspect.isfunction)
        if name[0] != "_"
    ]
    assert {name for name, verb in verbs if "caller" in inspect.signature(verb).parameters} == tried


# --- two accounts


@pytest.mark.parametrize("verb", CHANGING | LOOKING)
async def test_nothing_of_another_account_can_be_touched_or_looked_at(house, ours, theirs, verb):
    with pytest.raises(REFUSALS):
        await ask(house, ours.caller, theirs, verb)


@pytest.mark.parametrize("verb", REGIONAL)
async def test_nothing_of_another_region_can_be_touched_or_looked_at(house, ours, verb):
    elsewhere = (await house.core.region("ap-1")).id
    with pytest.raises(REFUSALS):
        await ask(house, replace(ours.caller, region_id=elsewhere), ours, verb)


@pytest.mark.parametrize("verb", REGIONAL)
async def test_who_sees_all_regions_can_touch_and_look_at_everything(house, ours, verb):
    elsewhere = (await house.core.region("ap-1")).id
    await ask(house, replace(ours.caller, region_id=elsewhere, sees_all_regions=True), ours, verb)


@pytest.mark.parametrize("verb", CHANGING | LOOKING)
async def test_the_same_verbs_work_on_what_is_ones_own(house, ours, verb):
    await ask(house, replace(ours.caller, region_id=ours.region_id), ours, verb)


@pytest.mark.parametrize("kind", [kind for kind in ResourceKind if kind is not ResourceKind.IMAGE])
async def test_another_accounts_things_cannot_be_tagged_as_if_they_were_ones_own(house, ours, theirs, kind):
    disguised = replace(theirs.resource(kind), account_id=ours.caller.account_id)
    before = await everything(house)
    for attempt in (
        house.core.tag(ours.caller, [disguised], {"a": "b"}),
        house.core.untag(ours.caller, [disguised], None),
    ):
        with pytest.raises(REFUSALS):
            await attempt
    assert await everything(house) == before


async def test_each_account_sees_its_own_only(house, ours, theirs):
    for tenant in (ours, theirs):
        fleet, caller = await house.core.fleet(tenant.caller), tenant.caller
        assert [machine.id for machine in fleet.instances()] == tenant.ids
        assert list(fleet.key_pairs()) == [tenant.pair]
        assert {tags.resource.account_id for tags in fleet.tag_sets()} == {caller.account_id}
        assert [view.order for view in await house.core.orders(caller)] == [tenant.order]


async def test_tags_on_a_shared_image_are_each_accounts_own(house, ours, theirs):
    image = ours.order.image_id
    for tenant in (ours, theirs):
        fleet = await house.core.fleet(tenant.caller)
        assert fleet.tags(ResourceKind.IMAGE, image) == {"owner": str(tenant.caller.account_id)}


async def test_two_accounts_may_use_the_same_key_name(ours, theirs):
    assert ours.pair.name == theirs.pair.name
    assert ours.pair.id != theirs.pair.id


# --- what is written down

# Of each verb its words and its subject. Those about tags name the kind, most others the tenant's own.
DEEDS = {
    "book": ("book", r"order \d+, machine \d+"),
    "create_key_pair": ("keep key pair", "key pair new"),
    "import_key_pair": ("keep key pair", "key pair new"),
    "delete_key_pair": ("delete key pair", "key pair laptop"),
    "addresses.allocate": ("hold address", r"address 203\.0\.113\.\d+"),
    "addresses.assign": ("hold address", r"address 203\.0\.113\.\d+"),
    "addresses.associate": ("bind address", "address {address}, machine {second}"),
    "addresses.disassociate": ("unbind address", "address {address}"),
    "addresses.release": ("release address", "address {address}"),
    "addresses.unassign": ("release address", "address {address}"),
    "groups.create": ("make security group", r"security group \d+"),
    "groups.delete": ("delete security group", "security group {group}"),
    "groups.authorize": ("change rules", "security group {group}"),
    "groups.revoke": ("change rules", "security group {group}"),
    "groups.revoke_rules": ("change rules", "security group {group}"),
    "groups.describe_rules": ("change rules", "security group {group}"),
    "groups.modify_rules": ("change rules", "security group {group}"),
    "terminate": ("terminate", "machine {first}, {second}"),
    "start": ("start", "machine {first}, {second}"),
    "stop": ("stop", "machine {first}, {second}"),
    "force": ("force stop", "machine {first}, {second}"),
    "reboot": ("reboot", "machine {first}, {second}"),
    "complete": ("complete", "order {order}"),
    "machines.monitor": ("set monitoring", "machine {first}, {second}"),
    "machines.set_options": ("set options", "machine {first}"),
    "machines.set_shutdown_behaviour": ("set shutdown behaviour", "machine {first}"),
    "machines.set_groups": ("set security groups", "machine {first}"),
    "machines.set_user_data": ("set user data", "machine {first}"),
    "machines.set_password": ("set password", "machine {first}"),
    "machines.configure_network": ("set up network", "machine {first}"),
    "machines.resize": ("change type", "machine {first}"),
    "machines.reinstall": ("reinstall", "machine {first}"),
    "machines.delete_disk": ("delete disk", "disk {disk}"),
    f"tag {ResourceKind.INSTANCE}": ("tag", "machine {first}"),
    f"untag {ResourceKind.INSTANCE}": ("untag", "machine {first}"),
    f"tag {ResourceKind.SECURITY_GROUP}": ("tag", "security group {group}"),
}


async def deeds(house):
    return await house.administration.deeds(DeedQuery(most=1000))


@pytest.mark.parametrize("verb", MAKING | CHANGING)
async def test_each_verb_is_one_line_of_the_log(house, ours, verb):
    if verb == "addresses.release":
        await house.core.addresses.disassociate(ours.caller, ours.address.id)
    before = await deeds(house)
    caller = replace(ours.caller, request_id="r-1", address="192.0.2.1")
    await ask(house, caller, ours, verb)
    deed, *rest = await deeds(house)
    assert rest == before
    assert (deed.at, deed.account_id, deed.author) == (house.clock.now(), caller.account_id, author_of(caller))
    word, _, kind = verb.partition(" ")
    words, subject = DEEDS.get(verb, (word, rf"{kind.replace('-', ' ')} \d+"))
    values = {"first": ours.ids[0], "second": ours.ids[1], "order": ours.order.id, "disk": ours.disk.id}
    subject = subject.format(**values, group=ours.group.id, address=re.escape(ours.address.address))
    assert deed.verb == words
    assert re.fullmatch(subject, deed.subject), deed.subject


@pytest.mark.parametrize("verb", LOOKING)
async def test_looking_is_not_written_down(house, ours, verb):
    before = await deeds(house)
    await ask(house, ours.caller, ours, verb)
    assert await deeds(house) == before


@pytest.mark.parametrize("verb", CHANGING)
async def test_what_is_refused_is_not_written_down(house, ours, theirs, verb):
    before = await deeds(house)
    with pytest.raises(REFUSALS):
        await CHANGING[verb](house.core, ours.caller, theirs)
    assert await deeds(house) == before


# --- dry runs


@pytest.mark.parametrize("verb", MAKING | CHANGING)
async def test_a_dry_run_is_not_written_down(house, ours, verb):
    before = await deeds(house)
    with pytest.raises(CoreError):
        await (MAKING | CHANGING)[verb](house.core, replace(ours.caller, is_dry_run=True), ours)
    assert await deeds(house) == before


@pytest.mark.parametrize("verb", MAKING | CHANGING)
async def test_a_dry_run_changes_nothing_and_says_that_it_would(house, ours, verb):
    with pytest.raises(DryRunPassed):
        await ask(house, replace(ours.caller, is_dry_run=True), ours, verb)


@pytest.mark.parametrize("verb", CHANGING)
async def test_a_dry_run_that_would_fail_says_why(house, ours, theirs, verb):
    with pytest.raises(REFUSALS):
        await ask(house, replace(ours.caller, is_dry_run=True), theirs, verb)


# --- ending


async def test_completing_an_order_and_terminating_all_its_machines_is_the_same(house, ours, theirs):
    await house.core.complete(ours.caller, ours.order.id)
    await house.core.terminate(theirs.caller, theirs.ids)
    ended = [
        [
            replace(machine, id=0, order_id=0, account_id=0, ssh_port=0, private_address="", group_ids=())
            for machine in (await house.core.order(tenant.caller, tenant.order.id)).instances
        ]
        for tenant in (ours, theirs)
    ]
    assert ended[0] == ended[1]
    assert {machine.state for machine in ended[0]} == {State.SHUTTING_DOWN}
    for tenant in (ours, theirs):
        assert await tenant.status() is Status.COMPLETED
        with pytest.raises(OrderEnded):
            await house.core.complete(tenant.caller, tenant.order.id)


async def test_terminating_one_machine_leaves_the_order_alive(house, ours):
    await house.core.terminate(ours.caller, ours.ids[:1])
    assert await ours.status() is Status.UNLIMITED
    await house.core.complete(ours.caller, ours.order.id)
    assert await ours.states() == [State.SHUTTING_DOWN] * 2


async def test_completing_does_not_move_the_end_of_what_had_ended(house, ours):
    await house.core.terminate(ours.caller, ours.ids[:1])
    ended_at = house.clock.now()
    house.clock.advance(timedelta(minutes=5))
    await house.core.complete(ours.caller, ours.order.id)
    first, second = (await house.core.order(ours.caller, ours.order.id)).instances
    assert (first.ended_at, second.ended_at) == (ended_at, house.clock.now())


async def test_of_many_completions_at_once_one_succeeds(house, ours):
    attempts = [house.core.complete(ours.caller, ours.order.id) for _ in range(10)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["OrderEnded"] * 9


async def test_an_unknown_order_cannot_be_completed(house, ours):
    for order_id in (0, 999, 2**63, 10**30):
        with pytest.raises(UnknownOrder):
            await house.core.complete(ours.caller, OrderId(order_id))


async def test_terminating_again_reports_what_was_so_before(house, ours):
    (first,) = await house.core.terminate(ours.caller, ours.ids[:1])
    (again,) = await house.core.terminate(ours.caller, ours.ids[:1])
    assert (first.before.state, first.after.state) == (State.RUNNING, State.SHUTTING_DOWN)
    assert (again.before, again.after) == (first.after, first.after)


# --- all or none


@pytest.mark.parametrize("verb", OF_MACHINES)
async def test_one_unknown_machine_among_others_refuses_all_of_them(house, ours, theirs, verb):
    before = await everything(house)
    strange = [theirs.ids[0], InstanceId(999)]
    with pytest.raises(UnknownInstances) as caught:
        await OF_MACHINES[verb](house.core, ours.caller, replace(ours, ids=[*ours.ids, *strange]))
    assert list(caught.value.ids) == strange
    assert await everything(house) == before


async def test_one_machine_in_the_wrong_state_refuses_all_of_them(house, ours):
    await house.core.terminate(ours.caller, ours.ids[1:])
    before = await everything(house)
    for verb in ("stop", "start", "reboot", "machines.monitor"):
        with pytest.raises(IncorrectState) as caught:
            await OF_MACHINES[verb](house.core, ours.caller, ours)
        assert caught.value.instance_id == ours.ids[1]
    assert await everything(house) == before


async def test_changes_come_in_the_order_asked_for_and_wake_the_reconciler(house, ours):
    house.woken.clear()
    ids = list(reversed(ours.ids))
    changes = await house.core.stop(ours.caller, ids, is_forced=False)
    assert [change.after.id for change in changes] == house.woken == ids
    assert {(change.before.state, change.after.state) for change in changes} == {(State.RUNNING, State.STOPPING)}


async def test_what_is_so_already_is_not_written_again(house, ours):
    await house.core.stop(ours.caller, ours.ids, is_forced=True)
    revision = (await house.store.view()).revision
    await house.core.stop(ours.caller, ours.ids, is_forced=True)
    assert (await house.store.view()).revision == revision


async def test_a_machine_is_gone_from_sight_an_hour_after_its_end(house, ours):
    await house.core.terminate(ours.caller, ours.ids)
    await house.seen(Power.ABSENT)
    house.clock.advance(VISIBLE_AFTER_END - timedelta(seconds=1))
    assert len(await house.core.terminate(ours.caller, ours.ids)) == 2
    house.clock.advance(timedelta(seconds=1))
    with pytest.raises(UnknownInstances):
        await house.core.terminate(ours.caller, ours.ids)
    assert list((await house.core.fleet(ours.caller)).instances()) == []


# --- orders


async def close(house, tenant):
    """End an order, as the reconciler does once its machines are gone, and let it leave the state."""
    await house.core.complete(tenant.caller, tenant.order.id)
    await house.seen(Power.ABSENT, tenant.ids)
    closed = replace(tenant.order, closed_at=house.clock.now())
    await house.store.transact(lambda tx: tx.put(closed))
    house.clock.advance(2 * DAY)
    assert await house.store.archive(house.clock.now() - DAY) == 1
    return closed


async def test_an_order_is_found_however_long_ago_it_closed(house, ours):
    closed = await close(house, ours)
    view = await house.core.order(ours.caller, closed.id)
    assert (view.order, [machine.id for machine in view.instances]) == (closed, ours.ids)
    assert (await house.core.order_by_key(ours.caller, closed.order_key)).order == closed
    with pytest.raises(OrderEnded):
        await house.core.complete(ours.caller, closed.id)
    with pytest.raises(OrderEnded):
        await house.core.private_key(ours.caller, closed.order_key)


async def test_an_archived_order_is_still_its_accounts_own(house, ours, theirs):
    closed = await close(house, theirs)
    with pytest.raises(ForeignOrder):
        await house.core.order(ours.caller, closed.id)
    with pytest.raises(UnknownOrder):
        await house.core.order_by_key(ours.caller, closed.order_key)
    assert [view.order for view in await house.core.orders(ours.caller)] == [ours.order]


async def test_orders_come_newest_first_archived_or_not_and_each_once(house, ours):
    caller, product = ours.caller, await house.product("plain")
    await close(house, ours)
    second = (await house.core.book(caller, Booking(product.id))).order
    third = (await house.core.book(caller, Booking(product.id))).order
    await house.store.transact(lambda tx: tx.put(replace(second, closed_at=house.clock.now())))
    assert [view.order.id for view in await house.core.orders(caller)] == [third.id, second.id, ours.order.id]


async def test_the_private_key_of_an_order_is_given_until_it_ends(house, ours):
    pem = await house.core.private_key(ours.caller, ours.order.order_key)
    assert pem.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    await house.core.complete(ours.caller, ours.order.id)
    with pytest.raises(OrderEnded):
        await house.core.private_key(ours.caller, ours.order.order_key)


async def test_an_order_without_a_key_of_its_own_gives_none(house, ours):
    placed = await house.core.book(ours.caller, Booking(ours.order.product_id, key_name="laptop"))
    with pytest.raises(UnknownOrder):
        await house.core.private_key(ours.caller, placed.order.order_key)


# --- the link to a private key


def link_of(house, order):
    query = parse_qs(urlsplit(f"?{house.core.key_link_query(order)}").query)
    return query["expires"][0], query["signature"][0]


async def test_a_link_gives_the_key_for_an_hour(house, ours):
    expires, signature = link_of(house, ours.order)
    key = ours.order.order_key
    assert await house.core.private_key_by_link(key, expires, signature) == await house.core.private_key(
        ours.caller, key
    )
    house.clock.advance(timedelta(hours=1))
    with pytest.raises(UnknownOrder):
        await house.core.private_key_by_link(key, expires, signature)


async def test_a_link_is_for_its_order_and_its_time(house, ours, theirs):
    expires, signature = link_of(house, ours.order)
    key = ours.order.order_key
    forged = [
        (theirs.order.order_key, expires, signature),
        (key, str(int(expires) + 1), signature),
        (key, expires, signature[:-1]),
        (key, expires, ""),
        (key, "", signature),
        (key, "9" * 5000, signature),
        ("half of a pair: \ud800", expires, signature),
        (key, expires, "\ud800"),
    ]
    for order_key, time, signed in forged:
        with pytest.raises(UnknownOrder):
            await house.core.private_key_by_link(order_key, time, signed)


# --- key pairs


async def test_a_key_name_can_be_had_once(house, ours):
    with pytest.raises(KeyPairExists):
        await house.core.create_key_pair(ours.caller, "laptop", KeyKind.ED25519, {})
    with pytest.raises(KeyPairExists):
        await house.core.import_key_pair(ours.caller, " laptop ", LINE, {})


async def test_of_many_key_pairs_of_one_name_at_once_one_is_made(house, ours):
    attempts = [house.core.import_key_pair(ours.caller, "new", LINE, {}) for _ in range(10)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["KeyPair"] + ["KeyPairExists"] * 9


async def test_a_deleted_key_pair_is_gone_with_its_tags_and_its_name_is_free(house, ours):
    await house.core.delete_key_pair(ours.caller, ours.pair)
    rows = await house.store.view()
    assert (rows.key_pairs, rows.tags_of(ours.resource(ResourceKind.KEY_PAIR))) == ({}, {})
    with pytest.raises(UnknownKeyPairs):
        await house.core.delete_key_pair(ours.caller, ours.pair)
    again = await house.core.import_key_pair(ours.caller, "laptop", LINE, {})
    assert again.id > ours.pair.id


async def test_a_name_is_kept_without_the_blanks_around_it(house, ours):
    assert (await house.core.import_key_pair(ours.caller, "  other  ", LINE, {})).name == "other"
    assert (await house.core.create_key_pair(ours.caller, " third ", KeyKind.RSA, {})).pair.name == "third"


@pytest.mark.parametrize("name", ["", " ", "x" * 256, "a\0b"])
async def test_an_unusable_key_name_is_refused(house, ours, name):
    with pytest.raises(InvalidRequest):
        await house.core.create_key_pair(ours.caller, name, KeyKind.ED25519, {})
    with pytest.raises(InvalidRequest):
        await house.core.import_key_pair(ours.caller, name, LINE, {})


async def test_a_key_pair_with_wrong_tags_or_material_is_not_kept(house, ours):
    before = await everything(house)
    with pytest.raises(InvalidTag):
        await house.core.import_key_pair(ours.caller, "new", LINE, {"aws:x": ""})
    with pytest.raises(InvalidKeyMaterial):
        await house.core.import_key_pair(ours.caller, "new", b"nonsense", {})
    assert await everything(house) == before


async def test_the_private_half_of_a_key_pair_is_not_kept(house, ours, tmp_path):
    created = await house.core.create_key_pair(ours.caller, "new", KeyKind.ED25519, {})
    secret = created.private_pem.splitlines()[1].encode()
    assert not any(secret in file.read_bytes() for file in tmp_path.iterdir())


# --- tags


async def tags_on(house, tenant, kind):
    return (await house.core.fleet(tenant.caller)).tags(kind, tenant.numbers[kind])


async def test_tags_are_put_on_all_resources_or_none(house, ours):
    machine, order = ours.resource(ResourceKind.INSTANCE), ours.resource(ResourceKind.ORDER)
    await house.core.tag(ours.caller, [machine], {f"key-{number}": "" for number in range(MOST_TAGS - 1)})
    before = await everything(house)
    with pytest.raises(TooManyTags):
        await house.core.tag(ours.caller, [order, machine], {"one-more": ""})
    with pytest.raises(UnknownInstances):
        await house.core.tag(ours.caller, [order, replace(machine, id=999)], {"a": "b"})
    assert await everything(house) == before


@pytest.mark.parametrize(
    ("removed", "left"),
    [
        (None, {}),
        ({}, {"owner": "x", "role": "web"}),
        ({"role": None}, {"owner": "x"}),
        ({"role": "db"}, {"owner": "x", "role": "web"}),
        ({"role": "web", "owner": None}, {}),
        ({"absent": None}, {"owner": "x", "role": "web"}),
    ],
)
async def test_untagging_takes_what_it_names_and_all_where_it_names_nothing(house, ours, removed, left):
    machine = ours.resource(ResourceKind.INSTANCE)
    await house.core.tag(ours.caller, [machine], {"owner": "x", "role": "web"})
    await house.core.untag(ours.caller, [machine], removed)
    assert await tags_on(house, ours, ResourceKind.INSTANCE) == left
    await house.core.untag(ours.caller, [machine], removed)
    assert await tags_on(house, ours, ResourceKind.INSTANCE) == left


async def test_a_thing_without_tags_leaves_no_trace_among_them(house, ours):
    machine = ours.resource(ResourceKind.INSTANCE)
    await house.core.untag(ours.caller, [machine], {"owner": None})
    assert machine not in (await house.store.view()).tag_sets


async def test_tags_are_listed_by_kind_and_id_for_what_can_be_seen(house, ours):
    assert [tags.resource.kind for tags in (await house.core.fleet(ours.caller)).tag_sets()] == sorted(ResourceKind)
    await house.core.terminate(ours.caller, ours.ids)
    await house.seen(Power.ABSENT)
    house.clock.advance(VISIBLE_AFTER_END)
    listed = (await house.core.fleet(ours.caller)).tag_sets()
    assert ResourceKind.INSTANCE not in {tags.resource.kind for tags in listed}
    with pytest.raises(UnknownInstances):
        await house.core.tag(ours.caller, [ours.resource(ResourceKind.INSTANCE)], {"a": "b"})


async def test_what_two_callers_tag_at_once_is_all_kept(house, ours):
    machine = ours.resource(ResourceKind.INSTANCE)
    await asyncio.gather(*(house.core.tag(ours.caller, [machine], {f"key-{n}": ""}) for n in range(20)))
    assert len(await tags_on(house, ours, ResourceKind.INSTANCE)) == 21


# --- seeing


@pytest.mark.parametrize("kind", ResourceKind)
async def test_a_thing_is_there_for_its_account_only(house, ours, theirs, kind):
    number = theirs.numbers[kind]
    assert (await house.core.fleet(theirs.caller)).has(kind, number)
    assert (await house.core.fleet(ours.caller)).has(kind, number) is (kind is ResourceKind.IMAGE)
    assert not (await house.core.fleet(theirs.caller)).has(kind, 999)


async def test_machines_are_found_in_the_order_asked_for(house, ours, theirs):
    fleet = await house.core.fleet(ours.caller)
    ids = list(reversed(ours.ids))
    assert [machine.id for machine in fleet.instances_by_id(ids)] == ids
    with pytest.raises(UnknownInstances) as caught:
        fleet.instances_by_id([ours.ids[0], theirs.ids[0], InstanceId(10**30)])
    assert list(caught.value.ids) == [theirs.ids[0], 10**30]


async def test_a_nonce_is_taken_once(house):
    await house.core.claim_nonce("key", 1, "nonce")
    with pytest.raises(NonceUsed):
        await house.core.claim_nonce("key", 1, "nonce")


async def test_a_signature_is_good_for_its_purpose_and_text(house):
    signature = house.core.sign("page", "text")
    assert house.core.is_signed("page", "text", signature)
    assert not house.core.is_signed("page", "other", signature)
    assert not house.core.is_signed("other", "text", signature)


async def test_the_caller_says_how_it_came(house):
    credential = await house.core.credential(house.ours.key.access_key)
    caller = house.core.admit(credential, "203.0.113.7", Protocol.ZEROSIX, "request")
    assert (caller.account_id, caller.application_id) == (house.ours.account.id, house.ours.application.id)
    assert (caller.access_key, caller.protocol, caller.request_id, caller.is_dry_run) == (
        house.ours.key.access_key,
        Protocol.ZEROSIX,
        "request",
        False,
    )


# --- limits


def with_limits(house, pace=None, **most):
    """Return a core upon the same store in which customers may have less."""
    bounds = House(PortRange(20_000, 39_999), Limits(**most))
    vault = Vault(bytes(KEY_BYTES))
    return Core(
        house.store,
        vault,
        house.clock,
        bounds,
        wake=house.woken.extend,
        console=nothing_said,
        screen=nothing_said,
        pace=pace,
    )


async def test_an_account_may_have_only_so_many_key_pairs(house, ours, theirs):
    core = with_limits(house, key_pairs=2)
    await core.import_key_pair(ours.caller, "second", LINE, {})
    for attempt in (
        core.import_key_pair(ours.caller, "third", LINE, {}),
        core.create_key_pair(ours.caller, "third", KeyKind.ED25519, {}),
    ):
        with pytest.raises(LimitReached) as caught:
            await attempt
        assert (caught.value.kind, caught.value.most, caught.value.have) == ("key_pairs", 2, 2)
    await core.import_key_pair(theirs.caller, "second", LINE, {})


async def test_key_pairs_of_all_regions_count_together(house, ours):
    core = with_limits(house, key_pairs=1)
    elsewhere = (await core.region("ap-1")).id
    with pytest.raises(LimitReached):
        await core.import_key_pair(replace(ours.caller, region_id=elsewhere), "second", LINE, {})


async def test_a_key_that_asks_too_often_is_not_admitted(house):
    core = with_limits(house, pace=Pace(1, 2, lambda: 0.0))
    credential = await core.credential(house.ours.key.access_key)
    for _ in range(2):
        core.admit(credential, "203.0.113.7", Protocol.EC2, "")
    with pytest.raises(TooManyRequests):
        core.admit(credential, "203.0.113.7", Protocol.EC2, "")


async def test_the_pace_of_one_key_is_not_anothers(house):
    core = with_limits(house, pace=Pace(1, 1, lambda: 0.0))
    for holder in (house.ours, house.theirs):
        core.admit(await core.credential(holder.key.access_key), "203.0.113.7", Protocol.EC2, "")


async def test_who_may_not_ask_from_an_address_loses_no_turn_by_it(house):
    core = with_limits(house, pace=Pace(1, 1, lambda: 0.0))
    holder = await house.allow_only(parse_network("203.0.113.7"))
    credential = await core.credential(holder.key.access_key)
    with pytest.raises(AddressNotAllowed):
        core.admit(credential, "203.0.113.8", Protocol.EC2, "")
    core.admit(credential, "203.0.113.7", Protocol.EC2, "")


# --- key pairs of regions


async def test_each_region_may_have_a_key_pair_of_the_name(house, ours):
    elsewhere = replace(ours.caller, region_id=(await house.core.region("ap-1")).id)
    pair = await house.core.import_key_pair(elsewhere, "laptop", LINE, {})
    assert pair.region_id == elsewhere.region_id
    with pytest.raises(KeyPairExists):
        await house.core.import_key_pair(elsewhere, "laptop", LINE, {})


async def test_a_deleted_key_pair_leaves_that_of_its_name_in_another_region(house, ours):
    elsewhere = replace(ours.caller, region_id=(await house.core.region("ap-1")).id)
    pair = await house.core.import_key_pair(elsewhere, "laptop", LINE, {"a": "b"})
    await house.core.delete_key_pair(ours.caller, ours.pair)
    assert (await house.core.fleet(ours.caller)).key_pairs() == [pair]


async def test_an_unknown_region_is_refused_with_those_that_there_are(house):
    with pytest.raises(UnknownRegion) as caught:
        await house.core.region("mars-1")
    assert caught.value.known == ("eu-1", "ap-1")
