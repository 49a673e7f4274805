"""What every store must do. A store's test module subclasses `StoreContract` and provides three fixtures.

`clock` is a `ManualClock`. `store_factory` returns an async function; each call opens a store upon the same rows, with
that clock, after the one before was closed. `outage` returns a context manager; until it ends, no commit of a store that is open can succeed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network
from typing import Any

import pytest

from core.accounts import Account, Protocol
from core.addresses import Address
from core.catalogue import Gpu
from core.errors import StoreUnavailable
from core.ids import (
    AccountId,
    AddressId,
    ApiKeyId,
    AssociationId,
    InstanceId,
    KeyPairId,
    NetworkId,
    OrderId,
    ProductId,
    RuleId,
    SecurityGroupId,
    SignInId,
    SubnetId,
    UserId,
    ZoneId,
)
from core.instances import Cause, Checkpoint, Instance, MetadataService, Options, State
from core.journal import Author, Deed, DeedQuery, Event
from core.keypairs import KeyPair
from core.orders import Order
from core.people import SignIn
from core.ports import ArchivedOrder, LaunchMaterial, MachineMaterial, Store
from core.securitygroups import Rule, SecurityGroup, Traffic
from core.state import Record
from core.state import State as Rows
from core.tags import Resource, ResourceKind, TagSet
from tests.builders import (
    ACCOUNT,
    a_kept_disk,
    a_key_pair,
    a_key_use,
    a_product,
    a_security_group,
    a_sign_in,
    a_subnet,
    a_tag_set,
    a_user,
    a_world,
    a_zone,
    an_account,
    an_address,
    an_api_key,
    an_application,
    an_image,
    an_instance,
    an_order,
)
from tests.clocks import NOON

StoreFactory = Callable[[], Awaitable[Store]]
Outage = Callable[[], AbstractContextManager[None]]

DAY = timedelta(days=1)
OTHER = AccountId(ACCOUNT + 1)


def contents(rows: Rows) -> Mapping[str, Any]:
    """Return all that a state holds and every index over it, to be compared; what is empty is as good as absent."""
    found = {name: value for name, value in vars(rows).items() if not name.startswith("_") and name != "revision"}
    found["occupied"], found["rented"] = +rows.occupied, +rows.rented
    found["tag_sets"] = {resource: tags for resource, tags in rows.tag_sets.items() if tags.values}
    return {name: _copied(value) for name, value in found.items()}


def _copied(value: Any) -> Any:
    """Return an index as it is now: a copy of it, and of what it has under each key."""
    if not isinstance(value, dict):
        return value.copy()
    return {key: dict(owned) if isinstance(owned, dict) else owned for key, owned in value.items() if owned != {}}


def fresh(records: list[Record]) -> Rows:
    """Return a state into which the records were put."""
    rows = Rows()
    for record in records:
        rows.put(record)
    return rows


def put_all(*records: Record) -> Callable[[Any], None]:
    """Return the work that puts records."""

    def work(tx):
        for record in records:
            tx.put(record)

    return work


def drop_all(*records: Record) -> Callable[[Any], None]:
    """Return the work that drops records."""

    def work(tx):
        for record in records:
            tx.drop(record)

    return work


def refuse(_: object) -> None:
    raise Refusal


class Refusal(Exception):
    """What a verb may raise."""


def a_deed(**changes: object) -> Deed:
    """Return that somebody booked something through EC2."""
    author = Author("AKOF", "192.0.2.1", Protocol.EC2, "request", "operator@example.com")
    return replace(Deed(NOON, ACCOUNT, author, "book", "order 1", "in words"), **changes)


def note_all(*entries: Deed | Event) -> Callable[[Any], None]:
    """Return the work that notes entries."""

    def work(tx):
        for entry in entries:
            tx.note(entry)

    return work


CLOSED = an_order(id=OrderId(2), order_key="wc_order_2", client_token="twice", closed_at=NOON)
CLOSED_MACHINES = tuple(
    an_instance(
        State.TERMINATED, id=InstanceId(number), order_id=CLOSED.id, launch_index=index, ssh_port=20000 + number
    )
    for index, number in enumerate((2, 3))
)
CLOSED_TAGS = (a_tag_set(ResourceKind.ORDER, 2, role="db"), a_tag_set(ResourceKind.INSTANCE, 3, role="db"))

# Every field away from its default, so that none can be forgotten on the way to a row and back.
ELABORATE = (
    an_account(
        has_api=True,
        is_suspended=True,
        spending_limit=Decimal("100.50"),
        spending_warning=Decimal(80),
        credit_limit=Decimal("0.000001"),
    ),
    a_key_use(at=NOON + DAY, address="2001:db8::1", protocol=Protocol.ZEROSIX),
    a_user(
        email="bob@example.com",
        password_hash="$argon2id$",
        is_operator=True,
        is_enabled=False,
        must_change=True,
        code_secret="S3CRET",
        code_step=7,
        recovery=("one", "two"),
    ),
    a_sign_in(digest="other", address="", agent="ü", awaits_code=True, acting_for=ACCOUNT),
    an_application(networks=(ip_network("203.0.113.0/24"), ip_network("2001:db8::/32")), is_enabled=False),
    an_api_key(secret_key="s3cret ü", is_enabled=False),
    a_product(
        attributes={"gpu": "nvidia-1080ti", "ram": "8gb"},
        gpu=Gpu("NVIDIA", "1080 Ti", 2, 11264),
        hourly_price=Decimal("0.12345"),
        capacity={ZoneId(1): 3},
        is_retired=True,
    ),
    an_order(
        key_name="laptop",
        public_key="ssh-ed25519 AAAA",
        has_own_key=True,
        file_url="https://files.example/a",
        script_url="https://files.example/b",
        client_token="token",
        request_digest="digest",
        closed_at=NOON + DAY,
    ),
    an_instance(
        State.TERMINATED,
        is_forced=True,
        needs_reboot=True,
        has_failed=True,
        cause=Cause.NO_CAPACITY,
        detail="There is no room.",
        private_address="10.0.0.1",
        public_address="203.0.113.1",
        launched_at=NOON + timedelta(microseconds=1),
        group_ids=(SecurityGroupId(2), SecurityGroupId(1)),
        options=Options("web", True, True, False, True, True, MetadataService(False, True, 2, True)),
        version=5,
        applied=4,
        generation=3,
        built=2,
        term_hours=730,
        checkpoints=(Checkpoint(10, Decimal("1.10")), Checkpoint(25, Decimal("4.123456"))),
        has_user_data=True,
        has_password=True,
    ),
    a_zone(is_available=False, is_retired=True, pool=("203.0.113.0/28", "2001:db8::1/128")),
    an_image(least_memory_mib=512, least_disk_gib=2, is_retired=True),
    a_security_group(
        name="web ü",
        rules=(
            Rule(RuleId(2), Traffic(True, "icmp", 8, -1, "2001:db8::/32"), "out ü"),
            Rule(RuleId(1), Traffic(False, "-1", group_id=SecurityGroupId(1))),
        ),
    ),
    an_address(instance_id=InstanceId(1), association_id=AssociationId(7), goes_with_machine=True),
    a_kept_disk(is_unwanted=True),
)


def rename_key(tx, rng):
    """Drop a key pair, if there is one, and make another of its name."""
    pair = rng.choice([*tx.state.key_pairs.values(), a_key_pair(name=f"key-{rng.randrange(5)}")])
    if (known := tx.state.key_pairs_by_name.get((ACCOUNT, pair.region_id, pair.name))) is not None:
        tx.drop(known)
    if rng.random() < 0.7:
        tx.put(a_key_pair(id=KeyPairId(tx.next_id(KeyPair)), name=pair.name))


def renew_api_key(tx, rng):
    """Give an API key another name, under its id."""
    old = rng.choice(list(tx.state.keys.values()))
    tx.drop(old)
    tx.put(replace(old, access_key=f"AKOF{rng.randrange(1000)}"))


def use_api_key(tx, rng):
    """Note that an API key was used, or forget that it ever was."""
    use = a_key_use(id=rng.choice(list(tx.state.keys.values())).id, at=NOON + rng.randrange(9) * DAY)
    if rng.random() < 0.8:
        tx.put(use)
    else:
        tx.drop(use)


def sign_in_or_out(tx, rng):
    """Sign the person in, in one browser more, or out of one of them; they may have another e-mail address by now."""
    tx.put(a_user(email=f"ann{rng.randrange(3)}@example.com"))
    known = list(tx.state.sign_ins.values())
    if known and rng.random() < 0.5:
        tx.drop(rng.choice(known))
    else:
        number = SignInId(tx.next_id(SignIn) + 1)
        tx.put(a_sign_in(id=number, digest=f"digest-{number}"))
        tx.note(a_deed())


def order_machines(tx, rng):
    """Make an order of a few machines, each at the lowest port that is free."""
    order_id = OrderId(tx.next_id(Order) + 1)
    tx.put(an_order(id=order_id, order_key=f"key-{order_id}", client_token=f"token-{order_id}"))
    tx.put_material(LaunchMaterial(order_id, b"data"))
    for _ in range(rng.randrange(1, 4)):
        port = next(port for port in range(20002, 30000) if port not in tx.state.ssh_ports)
        machine_id = InstanceId(tx.next_id(Instance) + 1)
        address = next(f"10.1.0.{low}" for low in range(4, 250) if f"10.1.0.{low}" not in tx.state.private_addresses)
        tx.put(an_instance(id=machine_id, order_id=order_id, ssh_port=port, private_address=address))
        tx.put(a_tag_set(id=machine_id, number=str(machine_id)))
        tx.put_machine_material(MachineMaterial(machine_id, b"data", "word"))


def end_machine(tx, rng):
    """Let a machine be gone, so that its port is free, and close its order if it was the last."""
    if not tx.state.instances:
        return
    machine = rng.choice(list(tx.state.instances.values()))
    tx.put(replace(machine, terminated_at=NOON))
    if all(each.is_gone for each in tx.state.machines_of[machine.order_id].values()):
        tx.put(replace(tx.state.orders[machine.order_id], closed_at=NOON))


def untag(tx, rng):
    tx.drop(a_tag_set(id=rng.choice([*tx.state.instances, 999])))


def rename_group(tx, rng):
    """Drop a security group, if there is one, and make another of its name; or let it have another rule."""
    name = f"group-{rng.randrange(4)}"
    known = tx.state.groups_by_name.get((NetworkId(1), name))
    if known is not None and rng.random() < 0.5:
        rule = Rule(RuleId(tx.next_id(Rule) + 1), Traffic(False, "tcp", 1, rng.randrange(1, 9), "0.0.0.0/0"))
        tx.put(replace(known, rules=(*known.rules, rule)))
        return
    if known is not None:
        tx.drop(known)
    if rng.random() < 0.7:
        tx.put(a_security_group(id=SecurityGroupId(tx.next_id(SecurityGroup) + 1), name=name))


def hand_on_address(tx, rng):
    """Release a public address, if somebody holds it, and hold it anew, bound to some machine or none."""
    text = f"203.0.113.{10 + rng.randrange(4)}"
    if (known := tx.state.addresses_taken.get(text)) is not None:
        tx.drop(known)
        tx.drop(a_tag_set(ResourceKind.ADDRESS, known.id))
    if rng.random() < 0.7:
        number = AddressId(tx.next_id(Address) + 1)
        machine = rng.choice([None, *tx.state.instances])
        binding = None if machine is None else AssociationId(number)
        tx.put(an_address(id=number, address=text, instance_id=machine, association_id=binding))
        tx.put(a_tag_set(ResourceKind.ADDRESS, number, number=str(number)))


def keep_disk(tx, rng):
    """Keep the disk of a machine that is gone, or remove it."""
    gone = [machine.id for machine in tx.state.instances.values() if machine.is_gone]
    for instance_id in gone[: rng.randrange(2)]:
        disk = a_kept_disk(id=instance_id)
        tx.put(a_tag_set(ResourceKind.DISK, instance_id, disk="kept"))
        if instance_id in tx.state.kept_disks and rng.random() < 0.5:
            tx.drop(disk)
            tx.drop(a_tag_set(ResourceKind.DISK, instance_id))
        else:
            tx.put(replace(disk, is_unwanted=rng.random() < 0.5))


VERBS = (
    rename_key,
    renew_api_key,
    use_api_key,
    sign_in_or_out,
    order_machines,
    end_machine,
    untag,
    rename_group,
    hand_on_address,
    keep_disk,
)


class StoreContract:
    """The suite."""

    @pytest.fixture
    async def store(self, store_factory: StoreFactory) -> Store:
        return await store_factory()

    @pytest.fixture
    async def world(self, store: Store) -> Store:
        """A store with one record of each kind."""
        await store.transact(put_all(*a_world()))
        return store

    # --- putting and seeing

    async def test_a_new_store_is_empty(self, store):
        assert contents(await store.view()) == contents(Rows())

    async def test_what_was_put_is_seen_with_all_its_indexes(self, world):
        assert contents(await world.view()) == contents(fresh(a_world()))

    async def test_a_verb_returns_what_its_work_returned(self, store):
        assert await store.transact(lambda _: "result") == "result"

    async def test_a_verb_sees_what_it_has_put_itself(self, store):
        def work(tx):
            tx.put(an_account())
            return tx.state.accounts[ACCOUNT]

        assert await store.transact(work) == an_account()

    @pytest.mark.parametrize(
        "work",
        [
            put_all(a_tag_set(role="db")),
            drop_all(a_key_pair()),
            lambda tx: tx.put_material(LaunchMaterial(OrderId(1), b"data")),
            lambda tx: tx.put_machine_material(MachineMaterial(InstanceId(1), b"data")),
            note_all(a_deed()),
        ],
    )
    async def test_a_verb_knows_whether_it_has_put_anything(self, world, work):
        def look(tx):
            was_empty = tx.is_empty
            work(tx)
            return was_empty, tx.is_empty

        assert await world.transact(look) == (True, False)
        assert await world.transact(lambda tx: (tx.drop(a_key_pair(id=KeyPairId(9), name="other")), tx.is_empty)[1])

    async def test_putting_again_replaces(self, world):
        stopped = an_instance(State.STOPPED)
        await world.transact(put_all(stopped))
        assert (await world.view()).instances[stopped.id] == stopped

    async def test_what_was_dropped_is_gone_with_its_indexes(self, world):
        await world.transact(drop_all(a_key_pair(), a_tag_set()))
        rest = [record for record in a_world() if not isinstance(record, KeyPair | TagSet)]
        assert contents(await world.view()) == contents(fresh(rest))

    async def test_dropping_what_is_absent_changes_nothing(self, world):
        before = contents(await world.view())
        await world.transact(drop_all(a_key_pair(id=KeyPairId(9), name="other"), a_tag_set(id=9)))
        assert contents(await world.view()) == before

    async def test_a_name_is_free_again_within_the_verb_that_drops_its_owner(self, world, store_factory):
        def work(tx):
            tx.drop(a_key_pair())
            tx.put(a_key_pair(id=KeyPairId(2)))

        await world.transact(work)
        assert await self.names_after_reopening(world, store_factory) == {"laptop": 2}

    async def test_what_is_put_and_dropped_in_one_verb_never_was(self, world, store_factory):
        def work(tx):
            tx.put(a_key_pair(id=KeyPairId(2), name="short-lived"))
            tx.drop(a_key_pair(id=KeyPairId(2), name="short-lived"))

        await world.transact(work)
        assert await self.names_after_reopening(world, store_factory) == {"laptop": 1}

    async def test_what_is_dropped_and_put_back_in_one_verb_is_still_there(self, world, store_factory):
        def work(tx):
            tx.drop(a_key_pair())
            tx.put(a_key_pair())

        await world.transact(work)
        assert await self.names_after_reopening(world, store_factory) == {"laptop": 1}

    async def test_what_became_free_can_be_had_within_the_verb_that_freed_it(self, world, store_factory):
        machine = an_instance(private_address="10.1.0.5")
        await world.transact(put_all(machine))
        heirs = (
            a_security_group(id=SecurityGroupId(2), rules=()),
            an_address(id=AddressId(2)),
            an_instance(id=InstanceId(2), private_address="10.1.0.5"),
        )

        def work(tx):
            tx.drop(a_security_group())
            tx.drop(an_address())
            tx.put(replace(machine, terminated_at=NOON, private_address=""))
            for heir in heirs:
                tx.put(heir)

        await world.transact(work)
        before = contents(await world.view())
        assert before["groups_by_name"] == {(NetworkId(1), "default"): heirs[0]}
        assert before["addresses_taken"] == {"203.0.113.1": heirs[1]}
        assert before["private_addresses"] == {"10.1.0.5"}
        await world.close()
        assert contents(await (await store_factory()).view()) == before

    async def test_an_api_key_can_take_the_place_of_another_with_its_id(self, world, store_factory):
        renewed = an_api_key(access_key="AKOFBBBBBBBBBBBBBBBB", secret_key="other")

        def work(tx):
            tx.drop(an_api_key())
            tx.put(renewed)

        await world.transact(work)
        assert (await world.view()).keys == {renewed.access_key: renewed}
        await world.close()
        assert (await (await store_factory()).view()).keys == {renewed.access_key: renewed}

    async def names_after_reopening(self, store: Store, store_factory: StoreFactory) -> Mapping[str, int]:
        """Return the ids of key pairs by name as seen before and after the store was closed and opened again."""
        before = (await store.view()).key_pairs_by_name
        await store.close()
        after = (await (await store_factory()).view()).key_pairs_by_name
        assert after == before
        return {name: pair.id for (*_, name), pair in after.items()}

    # --- refusing

    async def test_what_a_work_raises_goes_on_to_the_caller(self, store):
        with pytest.raises(Refusal):
            await store.transact(refuse)

    async def test_a_work_that_raises_leaves_nothing_behind(self, world, store_factory):
        before = contents(await world.view())

        def work(tx):
            tx.drop(an_api_key())
            tx.put(an_api_key(id=ApiKeyId(2), access_key="other"))
            tx.drop(a_key_pair())
            tx.put(a_key_pair(id=KeyPairId(2)))
            tx.put(an_instance(State.TERMINATED))
            tx.put(an_instance(id=InstanceId(2)))
            tx.put(an_order(id=OrderId(2), order_key="other", client_token="token"))
            tx.put(a_tag_set(role="db"))
            tx.put(a_tag_set(ResourceKind.ORDER, 2, role="db"))
            tx.put_material(LaunchMaterial(OrderId(1), b"user data", "PEM"))
            tx.put_machine_material(MachineMaterial(InstanceId(1), b"user data", "word"))
            tx.drop(a_security_group())
            tx.put(a_security_group(id=SecurityGroupId(2)))
            tx.drop(an_address())
            tx.put(an_address(id=AddressId(2), instance_id=InstanceId(1), association_id=AssociationId(1)))
            tx.put(a_kept_disk(is_unwanted=True))
            tx.put(a_subnet(id=SubnetId(2), zone_id=ZoneId(2)))
            tx.drop(a_sign_in())
            tx.put(a_user(email="bob@example.com"))
            tx.put(a_user(id=UserId(2)))
            tx.put(a_key_use(address="192.0.2.2"))
            tx.note(a_deed())
            raise Refusal

        with pytest.raises(Refusal):
            await world.transact(work)
        assert contents(await world.view()) == before
        assert await world.transact(lambda tx: contents(tx.state)) == before
        assert await world.material(OrderId(1)) == LaunchMaterial(OrderId(1))
        assert await world.machine_material(InstanceId(1)) == MachineMaterial(InstanceId(1))
        await world.transact(put_all(an_account(id=OTHER)))  # so that something is written for sure
        await world.transact(drop_all(an_account(id=OTHER)))
        await world.close()
        assert contents(await (await store_factory()).view()) == before

    # --- lasting

    async def test_what_was_acknowledged_is_found_again(self, world, store_factory):
        before = contents(await world.view())
        await world.close()
        assert contents(await (await store_factory()).view()) == before

    async def test_every_field_is_found_again(self, world, store_factory):
        await world.transact(put_all(*ELABORATE))
        expected = contents(fresh([*a_world(), *ELABORATE]))
        assert contents(await world.view()) == expected
        await world.close()
        assert contents(await (await store_factory()).view()) == expected

    async def test_everything_is_found_again_in_order_of_id(self, world, store_factory):
        for number in (2, 3):
            await world.transact(put_all(a_key_pair(id=KeyPairId(number), name=f"key-{number}")))
            await world.transact(put_all(an_instance(id=InstanceId(number), ssh_port=20000 + number)))
        await world.transact(put_all(an_instance(State.STOPPED), a_key_pair(fingerprint="other")))
        await self.expect_order_of_id(world)
        await world.close()
        await self.expect_order_of_id(await store_factory())

    async def expect_order_of_id(self, store: Store) -> None:
        rows = await store.view()
        assert [list(rows.key_pairs), list(rows.instances_of[ACCOUNT])] == [[1, 2, 3], [1, 2, 3]]
        assert list(rows.machines_of[OrderId(1)]) == [1, 2, 3]

    async def test_tags_that_were_removed_do_not_come_back(self, world, store_factory):
        await world.transact(put_all(a_tag_set(colour="red")))
        await world.close()
        again = await store_factory()
        assert (await again.view()).tags_of(Resource(ACCOUNT, ResourceKind.INSTANCE, 1)) == {"colour": "red"}

    async def test_a_closed_store_takes_nothing(self, store):
        await store.close()
        with pytest.raises(StoreUnavailable):
            await store.transact(put_all(an_account()))
        with pytest.raises(StoreUnavailable):
            await store.check()

    async def test_closing_finishes_what_was_asked_for_before(self, store, store_factory):
        asked = [asyncio.create_task(store.transact(put_all(an_account(id=AccountId(n))))) for n in range(1, 20)]
        await asyncio.sleep(0)  # all of them have begun
        await store.close()
        await asyncio.gather(*asked)
        assert len((await (await store_factory()).view()).accounts) == len(asked)

    async def test_a_store_may_be_closed_twice(self, store):
        await store.close()
        await store.close()

    # --- together

    async def test_verbs_that_run_at_once_do_not_overwrite_one_another(self, world):
        async def enlarge():
            def work(tx):
                product = tx.state.products[ProductId(1)]
                tx.put(replace(product, capacity={ZoneId(1): product.capacity[ZoneId(1)] + 1}))

            await world.transact(work)

        await asyncio.gather(*(enlarge() for _ in range(50)))
        assert (await world.view()).products[ProductId(1)].capacity == {ZoneId(1): 60}

    async def test_a_refused_verb_among_others_takes_none_of_them_with_it(self, store):
        verbs = [refuse if n % 3 == 0 else put_all(an_account(id=AccountId(n))) for n in range(1, 31)]
        outcomes = await asyncio.gather(*map(store.transact, verbs), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [type(None), type(None), Refusal] * 10
        assert len((await store.view()).accounts) == 20

    async def test_a_caller_who_gives_up_takes_no_other_verb_along(self, store):
        gone = asyncio.create_task(store.transact(put_all(an_account(id=AccountId(1)))))
        stays = asyncio.create_task(store.transact(put_all(an_account(id=AccountId(2)))))
        await asyncio.sleep(0)  # both have begun
        gone.cancel()
        await stays
        assert AccountId(2) in (await store.view()).accounts

    async def test_equal_revisions_show_equal_rows(self, world):
        before = (await world.view()).revision
        await world.transact(put_all(an_instance(State.STOPPED)))
        assert (await world.view()).revision > before

    # --- ids

    async def test_no_id_is_given_out_twice(self, store):
        async def take():
            return await store.transact(lambda tx: tx.next_id(Order))

        taken = await asyncio.gather(*(take() for _ in range(50)))
        assert sorted(taken) == list(range(1, 51))

    async def test_each_kind_of_record_is_counted_by_itself(self, store):
        assert await store.transact(lambda tx: (tx.next_id(Order), tx.next_id(Instance), tx.next_id(Order))) == (
            1,
            1,
            2,
        )

    async def test_the_id_of_what_was_deleted_is_not_used_again_after_a_restart(self, world, store_factory):
        def make(tx):
            pair = a_key_pair(id=KeyPairId(tx.next_id(KeyPair)), name="new")
            tx.put(pair)
            return pair

        pair = await world.transact(make)
        await world.transact(drop_all(pair))
        await world.close()
        again = await store_factory()
        assert (await again.transact(make)).id == pair.id + 1

    async def test_an_id_is_not_given_out_again_although_nothing_was_put_under_it(self, store, store_factory):
        taken = await store.transact(lambda tx: tx.next_id(Order))
        await store.close()
        assert await (await store_factory()).transact(lambda tx: tx.next_id(Order)) == taken + 1

    # --- when rows cannot be written

    async def test_in_an_outage_nothing_is_acknowledged_and_nothing_changed(self, world, outage):
        before = contents(await world.view())
        with outage():
            with pytest.raises(StoreUnavailable):
                await world.transact(put_all(an_instance(State.STOPPED), an_order(id=OrderId(2), order_key="2")))
            assert contents(await world.view()) == before
        assert await world.transact(lambda tx: contents(tx.state)) == before

    async def test_after_an_outage_names_ports_and_room_are_as_before(self, world, outage, store_factory):
        before = contents(await world.view())

        def replace_everything(tx):
            tx.put(an_instance(State.TERMINATED))
            tx.put(an_order(id=OrderId(2), order_key="2", client_token="token"))
            for number, port in ((3, an_instance().ssh_port), (2, 20002)):  # the first takes what has just become free
                tx.put(an_instance(id=InstanceId(number), order_id=OrderId(2), ssh_port=port))
            tx.drop(a_security_group())
            tx.put(a_security_group(id=SecurityGroupId(2), rules=()))
            tx.drop(an_address())
            tx.put(an_address(id=AddressId(2), instance_id=InstanceId(3), association_id=AssociationId(1)))
            tx.put(a_zone(is_available=False, pool=("203.0.113.0/24",)))
            tx.drop(a_kept_disk())
            tx.drop(a_key_pair())
            tx.put(a_key_pair(id=KeyPairId(2)))
            tx.drop(an_api_key())
            tx.put(an_api_key(access_key="renewed"))
            tx.drop(a_tag_set())
            tx.put(a_tag_set(ResourceKind.KEY_PAIR, 2, role="db"))
            tx.drop(a_key_use())
            tx.put(a_user(email="bob@example.com"))
            tx.drop(a_sign_in())
            tx.put(a_sign_in(id=SignInId(2)))

        with outage(), pytest.raises(StoreUnavailable):
            await world.transact(replace_everything)
        assert await world.transact(lambda tx: contents(tx.state)) == before
        await world.transact(replace_everything)
        after = contents(await world.view())
        assert await world.transact(lambda tx: contents(tx.state)) == after
        await world.close()
        assert contents(await (await store_factory()).view()) == after

    async def test_after_an_outage_machines_are_in_launch_order(self, world, outage):
        await world.transact(put_all(an_instance(id=InstanceId(2), ssh_port=20002)))
        with outage(), pytest.raises(StoreUnavailable):
            await world.transact(put_all(an_instance(State.STOPPED)))
        assert await world.transact(lambda tx: list(tx.state.machines_of[OrderId(1)])) == [1, 2]

    async def test_an_outage_fails_every_verb_that_saw_what_was_not_written(self, world, outage):
        def look(tx):
            return KeyPairId(1) in tx.state.key_pairs

        def refuse_for_what_is_there(tx):
            assert KeyPairId(1) in tx.state.key_pairs, "the verb before was not seen"
            raise Refusal

        verbs = [drop_all(a_key_pair()), look, put_all(a_key_pair()), refuse_for_what_is_there]
        with outage():
            outcomes = await asyncio.gather(*map(world.transact, verbs), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 4

    async def test_an_outage_shows_in_the_check_until_it_is_over(self, store, outage):
        await store.check()
        with outage():
            with pytest.raises(StoreUnavailable):
                await store.transact(put_all(an_account()))
            with pytest.raises(StoreUnavailable):
                await store.check()
        await store.check()

    async def test_ids_taken_in_an_outage_do_no_harm(self, store, outage, store_factory):
        def add(tx):
            account = an_account(id=AccountId(tx.next_id(Account)))
            tx.put(account)
            return account.id

        first = await store.transact(add)
        with outage(), pytest.raises(StoreUnavailable):
            await store.transact(add)
        second = await store.transact(add)
        await store.close()
        third = await (await store_factory()).transact(add)
        assert first < second < third

    @pytest.mark.parametrize("seed", range(5))
    async def test_after_any_history_of_verbs_refusals_outages_and_restarts_all_agree(
        self, store_factory, outage, seed
    ):
        rng = random.Random(seed)
        store = await store_factory()
        await store.transact(put_all(*a_world()))

        def verb(tx):
            for work in rng.choices(VERBS, k=rng.randrange(1, 4)):
                work(tx, rng)
            if rng.random() < 0.2:
                raise Refusal

        for _ in range(10):
            before = contents(await store.view())
            with outage() if (is_out := rng.random() < 0.3) else nullcontext():
                outcomes = await asyncio.gather(*(store.transact(verb) for _ in range(10)), return_exceptions=True)
            expected = {type(None), Refusal, StoreUnavailable} if is_out else {type(None), Refusal}
            assert {type(outcome) for outcome in outcomes} <= expected
            after = contents(await store.view())
            assert after == before or not is_out
            assert await store.transact(lambda tx: contents(tx.state)) == after
            await store.archive(NOON + DAY)
            after = contents(await store.view())
            await store.close()
            store = await store_factory()
            await store.archive(NOON + DAY)
            assert contents(await store.view()) == after

    # --- the journal

    @pytest.fixture
    async def deeds(self, store: Store) -> Store:
        """A store with one deed a day from noon on, each unlike the others."""
        others = {
            "first": a_deed(),
            "verb": a_deed(verb="sign in refused", account_id=None, detail="wrong password"),
            "author": a_deed(author=Author("Ann@example.com", "2001:db8::1", Protocol.CONSOLE)),
            "account": a_deed(account_id=OTHER, subject="100%_of machine 7"),
        }
        await store.transact(note_all(*(replace(deed, at=NOON + n * DAY) for n, deed in enumerate(others.values()))))
        return store

    async def found(self, store: Store, **wanted: object) -> list[int]:
        """Return the days of the deeds that are looked for, counted from noon."""
        return [(deed.at - NOON).days for deed in await store.deeds(DeedQuery(**wanted))]

    async def test_a_deed_is_found_again_as_it_was_noted(self, store, store_factory):
        await store.transact(note_all(a_deed()))
        await store.close()
        [found] = await (await store_factory()).deeds(DeedQuery())
        assert replace(found, id=0) == a_deed()
        assert found.id > 0

    async def test_deeds_come_newest_first_and_no_more_than_are_wanted(self, deeds):
        assert await self.found(deeds) == [3, 2, 1, 0]
        assert await self.found(deeds, most=2) == [3, 2]

    async def test_older_deeds_are_found_before_the_last_that_was_seen(self, deeds):
        seen = await deeds.deeds(DeedQuery(most=2))
        assert await self.found(deeds, before=seen[-1].id) == [1, 0]

    @pytest.mark.parametrize(
        ("wanted", "days"),
        [
            ({"account_id": OTHER}, [3]),
            ({"account_id": ACCOUNT}, [2, 0]),
            ({"verb": "sign in refused"}, [1]),
            ({"verb": "sign in"}, []),
            ({"protocol": Protocol.CONSOLE}, [2]),
            ({"since": NOON + DAY}, [3, 2, 1]),
            ({"until": NOON + DAY}, [0]),
            ({"since": NOON + DAY, "until": NOON + 2 * DAY}, [1]),
            ({"text": "ann@EXAMPLE"}, [2]),
            ({"text": "operator@"}, [3, 1, 0]),
            ({"text": "refused"}, [1]),
            ({"text": "machine 7"}, [3]),
            ({"text": "wrong"}, [1]),
            ({"text": "2001:db8"}, [2]),
            ({"text": "%_of"}, [3]),
            ({"text": "0__of"}, []),
            ({"text": "'"}, []),
            ({"text": "order 1", "account_id": ACCOUNT, "protocol": Protocol.EC2}, [0]),
        ],
    )
    async def test_deeds_are_found_by_all_that_is_asked_for_together(self, deeds, wanted, days):
        assert await self.found(deeds, **wanted) == days

    async def test_what_a_refused_verb_noted_was_not_done(self, store):
        def work(tx):
            tx.note(a_deed())
            tx.note(Event(NOON, InstanceId(1), "stopped"))
            raise Refusal

        with pytest.raises(Refusal):
            await store.transact(work)
        await store.transact(note_all(a_deed(verb="stop")))
        assert [deed.verb for deed in await store.deeds(DeedQuery())] == ["stop"]
        assert list(await store.events(InstanceId(1), 9)) == []

    async def test_what_was_noted_in_an_outage_was_not_done(self, store, outage):
        with outage(), pytest.raises(StoreUnavailable):
            await store.transact(note_all(a_deed()))
        assert list(await store.deeds(DeedQuery())) == []

    async def test_deeds_that_were_noted_at_once_are_all_there_in_their_order(self, store):
        await asyncio.gather(*(store.transact(note_all(a_deed(detail=str(number)))) for number in range(30)))
        found = await store.deeds(DeedQuery(most=99))
        assert [deed.detail for deed in found] == [str(number) for number in reversed(range(30))]

    async def test_the_last_events_of_a_machine_come_newest_first(self, store, store_factory):
        events = [Event(NOON + n * DAY, InstanceId(1), f"event {n}", "reason ü", "ann@example.com") for n in range(3)]
        await store.transact(note_all(*events, Event(NOON, InstanceId(2), "another's")))
        await store.close()
        again = await store_factory()
        assert list(await again.events(InstanceId(1), 2)) == [events[2], events[1]]
        assert list(await again.events(InstanceId(3), 2)) == []

    # --- news

    async def test_news_that_is_there_already_comes_at_once(self, world):
        revision = (await world.view()).revision
        assert await world.news(revision - 1) == revision

    async def test_news_comes_with_the_next_commit(self, world):
        revision = (await world.view()).revision
        waiting = asyncio.create_task(world.news(revision))
        await asyncio.sleep(0)  # it has begun
        assert not waiting.done()
        await world.transact(put_all(an_instance(State.STOPPED)))
        assert await waiting == (await world.view()).revision > revision

    async def test_all_who_wait_for_news_have_it(self, world):
        revision = (await world.view()).revision
        waiting = [asyncio.create_task(world.news(revision)) for _ in range(10)]
        await asyncio.sleep(0)  # they have begun
        await world.transact(put_all(an_instance(State.STOPPED)))
        assert set(await asyncio.gather(*waiting)) == {(await world.view()).revision}

    async def test_an_archiving_is_news(self, history):
        revision = (await history.view()).revision
        waiting = asyncio.create_task(history.news(revision))
        await asyncio.sleep(0)  # it has begun
        await history.archive(NOON + DAY)
        assert await waiting > revision

    # --- launch material

    async def test_the_launch_material_is_kept(self, world, store_factory):
        material = LaunchMaterial(OrderId(1), b"\x00\xffuser data", "-----BEGIN PRIVATE KEY-----")
        await world.transact(lambda tx: tx.put_material(material))
        assert await world.material(OrderId(1)) == material
        await world.close()
        assert await (await store_factory()).material(OrderId(1)) == material

    async def test_an_order_without_launch_material_has_an_empty_one(self, world):
        assert await world.material(OrderId(1)) == LaunchMaterial(OrderId(1))

    async def test_launch_material_that_is_put_again_is_replaced(self, world):
        for user_data in (b"first", b"second"):
            await world.transact(lambda tx, data=user_data: tx.put_material(LaunchMaterial(OrderId(1), data)))
        assert await world.material(OrderId(1)) == LaunchMaterial(OrderId(1), b"second")

    # --- what a machine has of its own

    async def test_what_a_machine_has_of_its_own_is_kept(self, world, store_factory):
        material = MachineMaterial(InstanceId(1), b"\x00\xffuser data", "password ü")
        await world.transact(lambda tx: tx.put_machine_material(material))
        assert await world.machine_material(InstanceId(1)) == material
        await world.close()
        assert await (await store_factory()).machine_material(InstanceId(1)) == material

    @pytest.mark.parametrize("instance_id", [1, 99, 10**30])
    async def test_a_machine_with_nothing_of_its_own_has_empty_material(self, world, instance_id):
        assert await world.machine_material(InstanceId(instance_id)) == MachineMaterial(InstanceId(instance_id))

    async def test_what_a_machine_has_of_its_own_is_replaced_whole(self, world):
        for material in (MachineMaterial(InstanceId(1), b"first", "word"), MachineMaterial(InstanceId(1), b"second")):
            await world.transact(lambda tx, material=material: tx.put_machine_material(material))
        assert await world.machine_material(InstanceId(1)) == MachineMaterial(InstanceId(1), b"second")

    async def test_of_materials_put_at_once_the_last_stays(self, world):
        puts = [MachineMaterial(InstanceId(1), b"", str(number)) for number in range(20)]
        await asyncio.gather(*(world.transact(lambda tx, put=put: tx.put_machine_material(put)) for put in puts))
        assert await world.machine_material(InstanceId(1)) == puts[-1]

    async def test_material_that_could_not_be_written_is_not_kept(self, world, outage):
        with outage(), pytest.raises(StoreUnavailable):
            await world.transact(lambda tx: tx.put_machine_material(MachineMaterial(InstanceId(1), b"x")))
        assert await world.machine_material(InstanceId(1)) == MachineMaterial(InstanceId(1))

    # --- orders that closed

    @pytest.fixture
    async def history(self, world: Store) -> Store:
        """The world, and an order of two machines with tags that closed at noon."""
        await world.transact(put_all(CLOSED, *CLOSED_MACHINES, *CLOSED_TAGS))
        return world

    async def test_an_order_that_closed_long_ago_leaves_the_state_with_its_machines_and_tags(self, history):
        assert await history.archive(NOON + DAY) == 1
        expected = contents(fresh(a_world()))
        assert contents(await history.view()) == expected
        assert await history.transact(lambda tx: contents(tx.state)) == expected

    async def test_all_tags_of_a_machine_leave_the_state_with_it_but_those_of_a_disk_that_is_kept(
        self, history, store_factory, clock
    ):
        kept = (a_kept_disk(id=InstanceId(2)), a_tag_set(ResourceKind.DISK, 2, disk="kept"))
        leaving = [a_tag_set(kind, 3, role="db") for kind in (ResourceKind.INTERFACE, ResourceKind.DISK)]
        await history.transact(put_all(*kept, *leaving, a_tag_set(ResourceKind.INTERFACE, 2, role="db")))
        await history.archive(NOON + DAY)
        expected = contents(fresh([*a_world(), *kept]))
        assert contents(await history.view()) == expected
        await history.close()
        clock.advance(2 * DAY)
        assert contents(await (await store_factory()).view()) == expected

    async def test_orders_that_are_open_or_closed_lately_stay(self, history):
        before = contents(await history.view())
        assert await history.archive(NOON) == 0
        assert contents(await history.view()) == before

    async def test_archiving_shows_in_the_revision(self, history):
        before = (await history.view()).revision
        await history.archive(NOON + DAY)
        assert (await history.view()).revision > before

    async def test_an_archived_order_is_still_answered_for(self, history, store_factory):
        await history.archive(NOON + DAY)
        await self.expect_archived(history)
        await history.close()
        await self.expect_archived(await store_factory())

    async def expect_archived(self, store: Store) -> None:
        expected = ArchivedOrder(CLOSED, CLOSED_MACHINES)
        assert await store.archived_order(CLOSED.id) == expected
        assert await store.archived_order_by_key(CLOSED.order_key) == expected
        assert list(await store.archived_orders(ACCOUNT)) == [expected]

    async def test_an_archived_order_is_not_loaded_again(self, history, store_factory, clock):
        await history.archive(NOON + DAY)
        await history.close()
        clock.advance(2 * DAY)
        assert contents(await (await store_factory()).view()) == contents(fresh(a_world()))

    async def test_the_client_token_of_an_archived_order_is_free(self, history):
        await history.archive(NOON + DAY)
        again = replace(CLOSED, id=OrderId(3), order_key="3", closed_at=None)
        await history.transact(put_all(again))
        assert (await history.view()).orders_by_token == {(ACCOUNT, "twice"): again.id}

    async def test_archived_orders_come_newest_first(self, history):
        newer = replace(CLOSED, id=OrderId(3), order_key="3", client_token="")
        await history.transact(put_all(newer))
        await history.archive(NOON + DAY)
        found = await history.archived_orders(ACCOUNT)
        assert [each.order.id for each in found] == [3, 2]

    async def test_another_accounts_archived_orders_are_not_among_ones_own(self, history):
        await history.archive(NOON + DAY)
        assert list(await history.archived_orders(OTHER)) == []

    async def test_archived_orders_that_closed_earlier_are_not_among_those_closed_since(self, history):
        await history.archive(NOON + DAY)
        assert [each.order.id for each in await history.archived_orders(ACCOUNT, NOON)] == [CLOSED.id]
        assert list(await history.archived_orders(ACCOUNT, NOON + timedelta(microseconds=1))) == []

    async def test_an_accounts_first_order_is_known_however_long_ago_it_was(self, history):
        first = replace(CLOSED, id=OrderId(3), order_key="3", client_token="", account_id=OTHER, created_at=NOON - DAY)
        await history.transact(put_all(an_account(id=OTHER), first, replace(first, id=OrderId(4), order_key="4")))
        await history.archive(NOON + DAY)
        assert await history.first_order_at(OTHER) == NOON - DAY
        assert await history.first_order_at(ACCOUNT) == NOON

    async def test_an_account_that_never_ordered_has_no_first_order(self, history):
        assert await history.first_order_at(OTHER) is None

    @pytest.mark.parametrize("order_id", [0, 99, -1, 2**63 - 1, 2**63, 10**30])
    async def test_there_is_no_archived_order_of_an_unknown_id(self, history, order_id):
        assert await history.archived_order(OrderId(order_id)) is None

    @pytest.mark.parametrize("order_key", ["", "wc_order_9", "'", "\0", "half of a pair: \ud800"])
    async def test_there_is_no_archived_order_of_an_unknown_key(self, history, order_key):
        assert await history.archived_order_by_key(order_key) is None

    async def test_an_order_that_is_being_written_to_is_whole_before_and_after(self, history, store_factory):
        tagging = asyncio.create_task(history.transact(put_all(a_tag_set(ResourceKind.ORDER, 2, role="cache"))))
        await asyncio.sleep(0)  # it has begun
        await history.archive(NOON + DAY)
        await tagging
        await history.archive(NOON + DAY)
        assert contents(await history.view()) == contents(fresh(a_world()))
        assert await history.transact(lambda tx: contents(tx.state)) == contents(fresh(a_world()))

    # --- nonces

    async def test_a_nonce_can_be_claimed_once(self, store):
        assert await store.claim_nonce("key", 1, "nonce")
        assert not await store.claim_nonce("key", 1, "nonce")

    async def test_nonces_of_other_keys_and_times_are_others(self, store):
        assert await store.claim_nonce("key", 1, "nonce")
        assert await store.claim_nonce("key", 2, "nonce")
        assert await store.claim_nonce("key", 1, "ecnon")
        assert await store.claim_nonce("other", 1, "nonce")

    async def test_a_nonce_may_be_any_text(self, store):
        for nonce in ("", "ü", "\0", "1\0x", "half of a pair: \ud800", "x" * 10_000):
            assert await store.claim_nonce("key", 1, nonce)
            assert not await store.claim_nonce("key", 1, nonce)

    async def test_a_claimed_nonce_is_remembered_across_a_restart(self, store, store_factory):
        await store.claim_nonce("key", 1, "nonce")
        await store.close()
        assert not await (await store_factory()).claim_nonce("key", 1, "nonce")

    async def test_a_claimed_nonce_is_remembered_for_an_hour_whatever_happens(self, store, store_factory, clock):
        await store.claim_nonce("key", 0, "first")
        clock.advance(timedelta(minutes=59))
        await store.claim_nonce("key", 1, "nonce")
        clock.advance(timedelta(minutes=30))
        assert not await store.claim_nonce("key", 1, "nonce")
        await store.close()
        again = await store_factory()
        clock.advance(timedelta(minutes=29))
        assert not await again.claim_nonce("key", 1, "nonce")
