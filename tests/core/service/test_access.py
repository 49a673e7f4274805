import asyncio
from dataclasses import fields, replace
from datetime import timedelta

import pytest

from core.accounts import KeyUse, Protocol, parse_network
from core.errors import (
    AddressNotAllowed,
    ApiAccessOff,
    ApplicationExists,
    InvalidRequest,
    NotInTheirPlace,
    UnknownApplication,
    UnknownKey,
)
from core.ids import ApplicationId
from core.journal import DeedQuery
from core.service.access import CONSOLE_APPLICATION, ApplicationView, KeyView
from core.service.people import Visitor
from core.sessions import SHORTEST_SECONDS
from tests.contracts.store_contract import contents
from tests.fleetfixture import PASSWORD, open_house

SECOND = timedelta(seconds=1)
OFFICE = (parse_network("203.0.113.0/24"),)


@pytest.fixture
def access(house):
    return house.core.access


@pytest.fixture
async def ann(house):
    """A person of an account that is new: its API access is off."""
    account = await house.administration.add_account("new")
    await house.person("ann@example.com", replace(house.ours, account=account))
    who = await house.core.people.sign_in("ann@example.com", PASSWORD, Visitor("192.0.2.1"))
    return await house.core.people.caller(who, Visitor("192.0.2.1"))


@pytest.fixture
async def robot(access, ann):
    """Her first application; API access is on from here."""
    await access.turn(ann, is_on=True)
    return await access.create(ann, "robot", ())


async def works(house, access_key):
    """Whether requests that are signed with the key would be let in."""
    try:
        await house.core.credential(access_key)
    except UnknownKey:
        return False
    return True


async def use(house, key, address="192.0.2.9", protocol=Protocol.EC2):
    """Let a request have been signed with the key."""
    return house.core.admit(await house.core.credential(key.access_key), address, protocol, "r")


async def only_key(access, caller):
    """Return what is shown of the only key of the only application."""
    ((key,),) = [view.keys for view in await access.applications(caller)]
    return key


# --- on and off


async def test_api_access_is_off_until_it_is_turned_on(access, ann):
    assert not (await access.account(ann)).has_api
    with pytest.raises(ApiAccessOff):
        await access.create(ann, "robot", ())
    await access.turn(ann, is_on=True)
    assert (await access.account(ann)).has_api
    await access.create(ann, "robot", ())


async def test_while_it_is_off_no_key_of_the_account_works_and_then_each_again(house, access, ann, robot):
    first = await access.update_key(ann, robot.id)
    second = await access.update_key(ann, (await access.create(ann, "other", ())).id)
    disabled = await access.update_key(ann, (await access.create(ann, "third", ())).id)
    await access.set_key_enabled(ann, disabled.access_key, is_enabled=False)
    keys = [each.access_key for each in (first, second, disabled, house.ours.key)]
    await access.turn(ann, is_on=False)
    assert [await works(house, each) for each in keys] == [False, False, False, True]
    await access.turn(ann, is_on=True)
    assert [await works(house, each) for each in keys] == [True, True, False, True]


async def test_while_it_is_off_sessions_do_not_work_either(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    session = house.core.open_session(await use(house, key), SHORTEST_SECONDS)
    await access.turn(ann, is_on=False)
    with pytest.raises(UnknownKey):
        await house.core.session_credential(session.access_key, session.token)


async def test_while_it_is_off_no_key_is_made_or_told(access, ann, robot):
    key = await access.update_key(ann, robot.id)
    await access.turn(ann, is_on=False)
    with pytest.raises(ApiAccessOff):
        await access.update_key(ann, robot.id)
    with pytest.raises(ApiAccessOff):
        await access.secret(ann, key.access_key)


async def test_turning_it_on_twice_is_as_good_as_once(house, access, ann):
    await access.turn(ann, is_on=True)
    before = contents(await house.store.view())
    await access.turn(ann, is_on=True)
    assert contents(await house.store.view()) == before


# --- applications


async def test_an_application_is_listed_with_its_keys_the_oldest_first(access, ann, robot):
    key = await access.update_key(ann, robot.id)
    office = await access.create(ann, " office ", OFFICE)
    assert await access.applications(ann) == [
        ApplicationView(robot, [KeyView(key.access_key, True, key.created_at, None)]),
        ApplicationView(office, []),
    ]
    assert (office.name, office.networks, office.is_enabled) == ("office", OFFICE, True)
    assert await access.application(ann, office.id) == ApplicationView(office, [])


@pytest.mark.parametrize("name", ["", " ", "x" * 256, "two\nlines"])
async def test_an_unusable_name_is_refused(access, ann, robot, name):
    with pytest.raises(InvalidRequest):
        await access.create(ann, name, ())
    with pytest.raises(InvalidRequest):
        await access.change(ann, robot.id, name=name, networks=(), is_enabled=True)


@pytest.mark.parametrize("name", ["robot", " robot ", CONSOLE_APPLICATION])
async def test_a_name_that_is_taken_is_refused(access, ann, robot, name):
    other = await access.create(ann, "other", ())
    with pytest.raises(ApplicationExists):
        await access.create(ann, name, ())
    with pytest.raises(ApplicationExists):
        await access.change(ann, other.id, name=name, networks=(), is_enabled=True)


@pytest.mark.usefixtures("ann")
async def test_a_name_that_another_account_uses_is_free(house, access, robot):
    assert (await access.create(house.caller(), robot.name, ())).name == robot.name


async def test_of_two_applications_that_are_made_at_once_with_one_name_one_is(access, ann, robot):
    both = [access.create(ann, "new", ()) for _ in range(2)]
    told = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(each).__name__ for each in told) == ["Application", "ApplicationExists"]


async def test_an_application_that_is_switched_off_has_no_key_that_works(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    for is_enabled in (False, True):
        after = await access.change(ann, robot.id, name="robot", networks=OFFICE, is_enabled=is_enabled)
        assert after == replace(robot, networks=OFFICE, is_enabled=is_enabled)
        assert await works(house, key.access_key) is is_enabled


async def test_the_consoles_own_application_is_not_listed_and_cannot_be_touched(access, ann, robot):
    hidden = ann.application_id
    assert hidden not in [view.application.id for view in await access.applications(ann)]
    with pytest.raises(UnknownApplication):
        await access.application(ann, hidden)
    with pytest.raises(UnknownApplication):
        await access.change(ann, hidden, name="mine", networks=(), is_enabled=False)
    with pytest.raises(UnknownApplication):
        await access.update_key(ann, hidden)


async def test_the_operator_makes_no_key_for_the_consoles_own_application(house, ann):
    before = contents(await house.store.view())
    with pytest.raises(InvalidRequest):
        await house.administration.add_key(ann.account_id, f" {CONSOLE_APPLICATION} ", OFFICE)
    assert contents(await house.store.view()) == before
    assert ann.application_id not in [each.id for each in await house.administration.applications()]


async def test_another_accounts_applications_and_keys_are_unknown(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    before, stranger = contents(await house.store.view()), house.caller()
    for attempt in (
        access.application(stranger, robot.id),
        access.change(stranger, robot.id, name="mine", networks=(), is_enabled=False),
        access.update_key(stranger, robot.id),
    ):
        with pytest.raises(UnknownApplication):
            await attempt
    for attempt in (
        access.secret(stranger, key.access_key),
        access.set_key_enabled(stranger, key.access_key, is_enabled=False),
    ):
        with pytest.raises(UnknownKey):
            await attempt
    assert contents(await house.store.view()) == before


async def test_what_was_never_there_is_refused_in_the_same_words_as_what_is_anothers(house, access, ann, robot):
    told = []
    for application_id in (robot.id, ApplicationId(999)):
        with pytest.raises(UnknownApplication) as caught:
            await access.update_key(house.caller(), application_id)
        told.append(str(caught.value).replace(str(application_id), "N"))
    assert told[0] == told[1]


# --- keys


async def test_the_first_update_makes_a_key_and_the_next_renews_it(house, access, ann, robot):
    first = await access.update_key(ann, robot.id)
    assert await works(house, first.access_key)
    second = await access.update_key(ann, robot.id)
    assert [await works(house, each.access_key) for each in (first, second)] == [False, True]
    assert first.secret_key != second.secret_key
    assert (await only_key(access, ann)).access_key == second.access_key


async def test_an_update_renews_the_key_that_was_made_last_and_leaves_the_others(house, access, ann, robot):
    older, newer = [(await house.administration.add_key(ann.account_id, "robot", ())).key for _ in range(2)]
    await access.update_key(ann, robot.id)
    assert [await works(house, each.access_key) for each in (older, newer)] == [True, False]


async def test_a_session_ends_when_its_key_is_renewed(house, access, ann, robot):
    session = house.core.open_session(await use(house, await access.update_key(ann, robot.id)), SHORTEST_SECONDS)
    await house.core.session_credential(session.access_key, session.token)
    await access.update_key(ann, robot.id)
    with pytest.raises(UnknownKey):
        await house.core.session_credential(session.access_key, session.token)


async def test_of_updates_at_once_all_but_the_last_pair_are_dead(house, access, ann, robot):
    keys = await asyncio.gather(*(access.update_key(ann, robot.id) for _ in range(5)))
    alive = [await works(house, key.access_key) for key in keys]
    assert alive == [False] * 4 + [True]


async def test_a_key_that_is_disabled_works_again_once_it_is_enabled(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    session = house.core.open_session(await use(house, key), SHORTEST_SECONDS)
    for is_enabled in (False, True):
        await access.set_key_enabled(ann, key.access_key, is_enabled=is_enabled)
        assert await works(house, key.access_key) is is_enabled
        assert (await only_key(access, ann)).is_enabled is is_enabled
    await access.set_key_enabled(ann, key.access_key, is_enabled=False)
    with pytest.raises(UnknownKey):
        await house.core.session_credential(session.access_key, session.token)


async def test_a_key_is_told_with_its_secret_to_its_own_account_while_it_works(access, ann, robot):
    key = await access.update_key(ann, robot.id)
    assert await access.secret(ann, key.access_key) == key
    await access.set_key_enabled(ann, key.access_key, is_enabled=False)
    with pytest.raises(UnknownKey):
        await access.secret(ann, key.access_key)
    await access.set_key_enabled(ann, key.access_key, is_enabled=True)
    await access.change(ann, robot.id, name="robot", networks=(), is_enabled=False)
    with pytest.raises(UnknownKey):
        await access.secret(ann, key.access_key)


async def test_no_key_that_is_shown_holds_its_secret(access, ann, robot):
    key = await access.update_key(ann, robot.id)
    assert "secret" not in " ".join(each.name for each in fields(KeyView))
    assert key.secret_key not in repr([key, await access.applications(ann)])


# --- when keys are used


async def test_a_use_is_shown_at_once_and_written_down_when_asked(house, access, ann, robot):
    key, before = await access.update_key(ann, robot.id), (await house.store.view()).revision
    await use(house, key)
    shown = (await only_key(access, ann)).use
    assert shown == KeyUse(key.id, house.clock.now(), "192.0.2.9", Protocol.EC2)
    assert (await house.store.view()).revision == before
    await access.keep_uses()
    assert (await house.store.view()).key_uses == {key.id: shown}


async def test_of_many_uses_the_last_is_written_in_one_commit(house, access, ann, robot):
    key, before = await access.update_key(ann, robot.id), (await house.store.view()).revision
    for number in range(100):
        house.clock.advance(SECOND)
        await use(house, key, f"192.0.2.{number}", Protocol.ZEROSIX)
    await use(house, house.ours.key)
    await access.keep_uses()
    state = await house.store.view()
    assert state.revision == before + 1
    assert state.key_uses[key.id] == KeyUse(key.id, house.clock.now(), "192.0.2.99", Protocol.ZEROSIX)


async def test_where_no_key_was_used_nothing_is_written(house, access, ann, robot):
    await use(house, await access.update_key(ann, robot.id))
    await access.keep_uses()
    before = (await house.store.view()).revision
    await access.keep_uses()
    assert (await house.store.view()).revision == before


async def test_a_use_is_known_after_a_restart(tmp_path, clock):
    async with open_house(tmp_path, clock) as house:
        await use(house, house.ours.key)
        await house.core.access.keep_uses()
    async with open_house(tmp_path, clock) as house:
        key = await only_key(house.core.access, house.caller())
        assert key.use == KeyUse(house.ours.key.id, clock.now(), "192.0.2.9", Protocol.EC2)


@pytest.mark.parametrize("is_kept_before", [False, True])
async def test_a_renewed_key_has_never_been_used(house, access, ann, robot, is_kept_before):
    await use(house, await access.update_key(ann, robot.id))
    if is_kept_before:
        await access.keep_uses()
    house.clock.advance(SECOND)
    renewed = await access.update_key(ann, robot.id)
    assert (await only_key(access, ann)).use is None
    await access.keep_uses()
    assert (await only_key(access, ann)).use is None
    house.clock.advance(SECOND)
    await use(house, renewed)
    await access.keep_uses()
    assert (await only_key(access, ann)).use.at == house.clock.now()


async def test_a_use_through_a_session_is_its_keys(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    session = house.core.open_session(await use(house, key), SHORTEST_SECONDS)
    credential = await house.core.session_credential(session.access_key, session.token)
    house.core.admit(credential, "192.0.2.77", Protocol.EC2, "r")
    assert (await only_key(access, ann)).use.address == "192.0.2.77"


async def test_a_use_during_the_writing_is_not_lost(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    await use(house, key, "192.0.2.1")
    writing = asyncio.create_task(access.keep_uses())
    await asyncio.sleep(0)
    await use(house, key, "192.0.2.2")
    await writing
    assert (await only_key(access, ann)).use.address == "192.0.2.2"
    await access.keep_uses()
    assert (await house.store.view()).key_uses[key.id].address == "192.0.2.2"


async def test_uses_may_be_written_twice_at_once(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    await use(house, key)
    await asyncio.gather(access.keep_uses(), access.keep_uses())
    assert list((await house.store.view()).key_uses) == [key.id]


async def test_a_request_that_is_not_let_in_is_no_use(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    await access.change(ann, robot.id, name="robot", networks=OFFICE, is_enabled=True)
    with pytest.raises(AddressNotAllowed):
        await use(house, key)
    assert (await only_key(access, ann)).use is None


# --- what is written down


async def test_each_change_is_one_line_of_the_log_without_a_secret(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    renewed = await access.update_key(ann, robot.id)
    await access.change(ann, robot.id, name="renamed", networks=(), is_enabled=True)
    await access.set_key_enabled(ann, renewed.access_key, is_enabled=False)
    await access.set_key_enabled(ann, renewed.access_key, is_enabled=True)
    await access.turn(ann, is_on=False)
    found = [*reversed(await house.core.history.deeds(ann, DeedQuery(protocol=Protocol.CONSOLE)))]
    assert [(each.verb, each.subject) for each in found] == [
        ("sign in", ""),
        ("turn API access on", ""),
        ("make application", "application robot"),
        ("make API key", f"API key {key.access_key}"),
        ("make API key", f"API key {renewed.access_key}"),
        ("change application", "application renamed"),
        ("disable API key", f"API key {renewed.access_key}"),
        ("enable API key", f"API key {renewed.access_key}"),
        ("turn API access off", ""),
    ]
    assert {each.author.actor for each in found} == {"ann@example.com"}
    assert key.secret_key not in repr(found)
    assert renewed.secret_key not in repr(found)


async def test_looking_and_what_is_refused_is_not_written_down(house, access, ann, robot):
    key = await access.update_key(ann, robot.id)
    before = await house.administration.deeds(DeedQuery())
    await access.applications(ann)
    await access.secret(ann, key.access_key)
    with pytest.raises(ApplicationExists):
        await access.create(ann, "robot", ())
    assert await house.administration.deeds(DeedQuery()) == before


async def test_an_operator_who_acts_for_an_account_gets_none_of_its_secrets(house):
    acting = replace(house.caller(), operator="op@example.com")
    with pytest.raises(NotInTheirPlace):
        await house.core.access.secret(acting, house.ours.key.access_key)
    application = await house.core.access.create(acting, "shop", ())
    with pytest.raises(NotInTheirPlace):
        await house.core.access.update_key(acting, application.id)
