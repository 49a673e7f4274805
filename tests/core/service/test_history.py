import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from core.accounts import Protocol
from core.errors import StoreUnavailable, UnknownInstances
from core.ids import InstanceId
from core.instances import VISIBLE_AFTER_END
from core.journal import Author, Deed, DeedQuery, Event
from core.keypairs import KeyKind
from core.orders import Booking
from core.ports import DriverCode
from tests.clocks import NOON
from tests.yard import DATABASE, open_yard

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def yard(tmp_path):
    async with open_yard(tmp_path) as yard:
        yield yard


async def life(yard, instance_id):
    """Return what became of a machine, the oldest first: what, why, and whether somebody wanted it."""
    told = await yard.core.history.events(yard.caller, instance_id)
    assert {each.actor for each in told} <= {"", yard.caller.access_key}
    return [(each.text, each.reason, bool(each.actor)) for each in reversed(told)]


async def write(store, *entries):
    """Write down entries, each in a transaction of its own, and return them as they are read back, the oldest first."""
    for entry in entries:
        await store.transact(lambda tx, entry=entry: tx.note(entry))


def a_deed(**changes):
    return replace(Deed(NOON, None, Author("ann@example.com"), "stop", "machine 1"), **changes)


async def found(house, **query):
    return [each.subject for each in await house.administration.deeds(DeedQuery(**query))]


# --- machines


async def test_a_machine_is_told_of_from_its_launch_to_its_end(yard):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    await yard.start(id_)
    await yard.reboot(id_)
    await yard.terminate(id_)
    assert await life(yard, id_) == [
        ("running", "", False),
        ("stopping", "", True),
        ("stopped", "user", False),
        ("pending", "", True),
        ("running", "", False),
        ("a reboot was asked for", "", True),
        ("the reboot is done", "", False),
        ("shutting-down", "", True),
        ("terminated", "user", False),
    ]


async def test_a_crash_is_told_with_its_reason(yard):
    (id_,) = await yard.launched()
    yard.driver.crash(id_)
    await yard.look_at(id_)
    (what, why, is_wanted) = (await life(yard, id_))[-1]
    assert (what, is_wanted) == ("stopped", False)
    assert why == (await yard.machine(id_)).detail != ""


async def test_a_shutdown_from_inside_is_told_as_that(yard):
    (id_,) = await yard.launched()
    yard.driver.shut_down_inside(id_)
    await yard.look_at(id_)
    assert (await life(yard, id_))[-1] == ("stopped", "guest", False)


async def test_a_machine_that_vanished_is_told_of_as_lost(yard):
    (id_,) = await yard.launched()
    yard.driver.lose(id_)
    await yard.look_at(id_)
    assert (await life(yard, id_))[-1] == ("terminated", "The machine no longer exists on its host.", False)


async def test_a_launch_that_failed_is_told_with_its_reason(yard):
    yard.driver.fail_next("ensure", DriverCode.CAPACITY)
    (id_,) = await yard.launched()
    reason = (await yard.machine(id_)).detail
    assert reason
    assert await life(yard, id_) == [("shutting-down", reason, False), ("terminated", reason, False)]


async def test_a_new_disk_is_told_of_when_it_is_asked_for_and_when_it_is_there(yard):
    (id_,) = await yard.launched()
    await yard.core.machines.reinstall(yard.caller, id_, None)
    await yard.reconciler.settle()
    assert (await life(yard, id_))[1:] == [
        ("a new disk was asked for", "", True),
        ("it has its new disk", "", False),
    ]


async def set_name(yard, id_):
    await yard.core.machines.set_options(yard.caller, id_, lambda options: replace(options, hostname="web"))


REFUSED = {
    "reboot": (lambda yard, id_: yard.core.reboot(yard.caller, [id_]), "the reboot could not be done"),
    "rebuild": (
        lambda yard, id_: yard.core.machines.reinstall(yard.caller, id_, None),
        "the change could not be made",
    ),
    "update": (set_name, "the change could not be made"),
}


@pytest.mark.parametrize("verb", REFUSED)
async def test_what_the_backend_refuses_is_told_with_its_reason(yard, verb):
    (id_,) = await yard.launched()
    ask, text = REFUSED[verb]
    yard.driver.fail_next(verb, DriverCode.INVALID)
    await ask(yard, id_)
    await yard.reconciler.settle()
    (_, *told) = await life(yard, id_)
    ((refusal, reason, _), *rest) = [each for each in told if not each[2]]
    assert (refusal, bool(reason), rest) == (text, True, [])


async def test_another_type_is_told_of(yard):
    (id_,) = await yard.launched()
    await yard.stop(id_)
    large = next(product for product in (await yard.state()).products.values() if product.slug == "large")
    await yard.core.machines.resize(yard.caller, id_, large.id)
    await yard.reconciler.settle()
    assert (await life(yard, id_))[-1] == ("its type was changed", "", True)


async def test_asking_for_what_is_so_already_is_not_told(yard):
    (id_,) = await yard.launched()
    before = await life(yard, id_)
    await yard.start(id_)
    await yard.core.machines.set_options(yard.caller, id_, lambda options: options)
    await yard.look_at(id_)
    assert await life(yard, id_) == before


async def test_completing_an_order_is_told_of_each_machine(yard):
    ids = await yard.launched(2)
    await yard.core.complete(yard.caller, (await yard.order_of(ids[0])).id)
    await yard.reconciler.settle()
    for id_ in ids:
        assert (await life(yard, id_))[-2:] == [("shutting-down", "", True), ("terminated", "user", False)]


async def test_of_a_long_life_the_last_events_are_told_newest_first(yard):
    (id_,) = await yard.launched()
    for _ in range(3):
        await yard.stop(id_)
        await yard.start(id_)
    told = await yard.core.history.events(yard.caller, id_, 2)
    assert [each.text for each in told] == ["running", "pending"]


async def test_what_became_of_machines_survives_a_restart(tmp_path):
    async with open_yard(tmp_path) as yard:
        (id_,) = await yard.launched()
    async with open_yard(tmp_path) as yard:
        assert await life(yard, id_) == [("running", "", False)]


async def test_another_accounts_machine_is_told_of_to_nobody_else(house, ours, theirs):
    for instance_id in (theirs.ids[0], InstanceId(999)):
        with pytest.raises(UnknownInstances):
            await house.core.history.events(ours.caller, instance_id)


async def test_a_machine_is_told_of_as_long_as_it_is_described(house, ours):
    await ours.be_gone()
    house.clock.advance(VISIBLE_AFTER_END - timedelta(microseconds=1))
    assert [each.text for each in await house.core.history.events(ours.caller, ours.ids[0], 1)] == ["shutting-down"]
    house.clock.advance(timedelta(microseconds=1))
    with pytest.raises(UnknownInstances):
        await house.core.history.events(ours.caller, ours.ids[0])


# --- deeds


async def test_deeds_are_read_as_they_were_written(house):
    author = Author("ann@example.com", "192.0.2.1", Protocol.CONSOLE, "r-1", "op@example.com")
    deed = a_deed(account_id=house.ours.account.id, author=author, detail="forced")
    await write(house.store, deed)
    (read, *_) = await house.administration.deeds(DeedQuery())
    assert replace(read, id=0) == deed
    assert read.id > 0


@pytest.mark.parametrize("part", ["actor", "operator", "verb", "subject", "detail", "address"])
@pytest.mark.parametrize("text", ["NeEdLe", "eedl"])
async def test_a_text_is_found_wherever_it_stands_in_either_case(house, part, text):
    marked = {part: "a needle in hay"}
    is_authors = part in ("actor", "operator", "address")
    changes = {"author": replace(Author("ann"), **marked)} if is_authors else marked
    await write(house.store, a_deed(**changes), a_deed())
    assert len(await found(house, text=text)) == 1


@pytest.mark.parametrize(("text", "subject"), [("%", "50 % off"), ("_", "a_b"), ("\\", "a\\b"), ("0 %", "50 % off")])
async def test_no_character_of_a_text_stands_for_others(house, text, subject):
    await write(house.store, *(a_deed(subject=each) for each in ("50 % off", "a_b", "a\\b", "plain")))
    assert await found(house, text=text) == [subject]


async def test_a_text_that_no_column_can_hold_is_found_nowhere(house):
    assert await found(house, text="\ud800") == []


async def test_deeds_are_found_by_verb_protocol_and_account(house):
    mine, other = house.ours.account.id, house.theirs.account.id
    await write(
        house.store,
        a_deed(subject="one", account_id=mine, author=Author("a", protocol=Protocol.ZEROSIX)),
        a_deed(subject="two", account_id=other, verb="stopover"),
        a_deed(subject="three", account_id=mine, verb="start"),
    )
    assert await found(house, verb="stop") == ["one"]
    assert await found(house, protocol=Protocol.ZEROSIX) == ["one"]
    assert (await found(house, account_id=mine))[:2] == ["three", "one"]
    assert await found(house, account_id=mine, verb="start", protocol=Protocol.ZEROSIX) == []


async def test_deeds_are_found_from_one_moment_up_to_another(house):
    times = [NOON + minutes * MINUTE for minutes in range(4)]
    await write(house.store, *(a_deed(at=at, subject=f"{at:%M}", verb="timed") for at in times))
    assert await found(house, verb="timed", since=times[1], until=times[3]) == ["02", "01"]


async def test_deeds_are_read_page_by_page_while_more_are_written(house):
    await write(house.store, *(a_deed(subject=str(number), verb="paged") for number in range(5)))
    pages, before = [], None
    while page := await house.administration.deeds(DeedQuery(verb="paged", before=before, most=2)):
        pages.append([each.subject for each in page])
        before = page[-1].id
        await write(house.store, a_deed(subject="late", verb="paged"))
    assert pages == [["4", "3"], ["2", "1"], ["0"]]


async def test_an_account_reads_the_deeds_to_itself_whatever_it_asks_for(house, ours, theirs):
    for query in (DeedQuery(), DeedQuery(account_id=theirs.caller.account_id)):
        told = await house.core.history.deeds(ours.caller, query)
        assert told
        assert {each.account_id for each in told} == {ours.caller.account_id}


async def test_deeds_survive_a_restart(tmp_path):
    async with open_yard(tmp_path) as yard:
        await yard.launched()
    async with open_yard(tmp_path) as yard:
        (deed,) = await yard.core.history.deeds(yard.caller, DeedQuery(verb="book"))
        assert deed.author.actor == yard.caller.access_key


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
async def test_nobody_changes_what_was_written_down(tmp_path, house, statement):
    before = await house.administration.deeds(DeedQuery())
    with (
        closing(sqlite3.connect(tmp_path / DATABASE)) as other,
        pytest.raises(sqlite3.IntegrityError, match="only ever added to"),
    ):
        other.execute(statement)
    assert await house.administration.deeds(DeedQuery()) == before != []


# --- together with what they tell of


async def test_what_could_not_be_written_left_neither_row_nor_deed_nor_event(yard):
    (id_,) = await yard.launched()
    told = await yard.core.history.deeds(yard.caller, DeedQuery()), await life(yard, id_)
    async with yard.unwritable():
        for attempt in (
            yard.core.stop(yard.caller, [id_], is_forced=False),
            yard.core.create_key_pair(yard.caller, "laptop", KeyKind.ED25519, {}),
        ):
            with pytest.raises(StoreUnavailable):
                await attempt
    assert (await yard.core.history.deeds(yard.caller, DeedQuery()), await life(yard, id_)) == told
    await yard.stop(id_)
    assert len(await yard.core.history.deeds(yard.caller, DeedQuery(verb="stop"))) == 1


async def test_what_was_noted_before_a_refusal_is_forgotten_with_it(house):
    def refuse(tx):
        tx.note(a_deed(subject="refused"))
        raise UnknownInstances([InstanceId(1)])

    with pytest.raises(UnknownInstances):
        await house.store.transact(refuse)
    assert await found(house, text="refused") == []


async def test_a_fault_of_one_verb_leaves_the_deeds_of_those_before_it_alone(house):
    def fault(tx):
        tx.note(a_deed(subject="\ud800"))

    verbs = [lambda tx: tx.note(a_deed(subject="before")), fault]
    await asyncio.gather(*map(house.store.transact, verbs), return_exceptions=True)
    assert (await found(house))[0] == "before"


async def test_a_booking_that_comes_twice_is_one_deed(house, ours):
    wish = Booking(ours.order.product_id, client_token="t-1")
    placed = [await house.core.book(ours.caller, wish) for _ in range(2)]
    assert placed[0].order == placed[1].order
    (told,) = await found(house, text=f"order {placed[0].order.id},")
    assert told == f"order {placed[0].order.id}, machine {placed[0].instances[0].id}"


async def test_news_comes_with_the_next_commit(house):
    revision = (await house.store.view()).revision
    assert await house.core.history.news(revision - 1) == revision
    waiting = asyncio.create_task(house.core.history.news(revision))
    await write(house.store, Event(NOON, InstanceId(1), "running"))
    async with asyncio.timeout(5):
        assert await waiting > revision
