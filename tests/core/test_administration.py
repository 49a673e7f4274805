import asyncio
import inspect
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.accounts import Protocol, parse_network
from core.administration import Administration, KeyHolder, MachinePolicy, NewUser
from core.errors import (
    AccountSuspended,
    AddressNotAllowed,
    EmailTaken,
    InvalidRequest,
    LastOperator,
    NotAnOperator,
    NotSignedIn,
    UnknownAccount,
    UnknownKey,
    UnknownUser,
    WrongPassword,
)
from core.ids import FIRST_ACCOUNT_ID, AccountId
from core.instances import Options, State
from core.journal import Author, DeedQuery
from core.keypairs import KeyKind
from core.orders import Booking
from core.people import new_code_secret
from core.service.people import Visitor
from core.sessions import SHORTEST_SECONDS
from tests.builders import a_user, an_account, an_api_key, an_application
from tests.clocks import NOON
from tests.contracts.store_contract import contents
from tests.fleetfixture import PASSWORD, open_house

NETWORK = parse_network("203.0.113.0/24")
HERE = Visitor("192.0.2.1")
OPERATOR = Author("op@example.com", "192.0.2.1", Protocol.CONSOLE, "r-1")


@pytest.fixture
async def suspended(house):
    """Our own account, which is suspended."""
    return (await house.administration.suspend(house.ours.account.id)).account


@pytest.fixture
async def operator(house):
    """The browser of an operator, who belongs to the other customer."""
    return await signed_in(house, "op@example.com", house.theirs, is_operator=True)


async def signed_in(house, email, holder=None, **options):
    """Return a new person of a customer, signed in."""
    await house.person(email, holder, **options)
    return await house.core.people.sign_in(email, PASSWORD, HERE)


def admit(house, credential):
    """Let in a request that was signed with the credential."""
    return house.core.admit(credential, "192.0.2.1", Protocol.EC2, "r")


async def book(house, caller):
    placed = await house.core.book(caller, Booking((await house.product("plain")).id))
    return [machine.id for machine in placed.instances]


async def test_accounts_have_twelve_digits_and_follow_one_another(house):
    added = await asyncio.gather(*(house.administration.add_account("same name") for _ in range(5)))
    first = max(house.ours.account.id, house.theirs.account.id) + 1
    assert sorted(each.id for each in added) == list(range(first, first + 5))
    assert house.ours.account.id == FIRST_ACCOUNT_ID
    assert len(str(FIRST_ACCOUNT_ID)) == 12


async def test_accounts_are_listed_oldest_first(house):
    added = await house.administration.add_account(" new ")
    assert (added.name, added.created_at) == ("new", NOON)
    assert list(await house.administration.accounts()) == [house.ours.account, house.theirs.account, added]


@pytest.mark.parametrize("name", ["", " ", "x" * 256, "two\nlines"])
async def test_unusable_names_are_refused(house, name):
    with pytest.raises(InvalidRequest):
        await house.administration.add_account(name)
    with pytest.raises(InvalidRequest):
        await house.administration.add_key(house.ours.account.id, name, ())


async def test_a_key_of_an_unknown_account_cannot_be_made(house):
    with pytest.raises(UnknownAccount):
        await house.administration.add_key(AccountId(1), "default", ())


async def test_a_new_key_can_be_used_at_once(house):
    holder = await house.administration.add_key(house.ours.account.id, "robot", ())
    credential = await house.core.credential(holder.key.access_key)
    assert (credential.secret_key, credential.application) == (holder.key.secret_key, holder.application)


async def test_an_application_is_made_once_per_account(house):
    first = await house.administration.add_key(house.ours.account.id, "robot", ())
    second = await house.administration.add_key(house.ours.account.id, " robot ", ())
    foreign = await house.administration.add_key(house.theirs.account.id, "robot", ())
    assert first.application == second.application != foreign.application
    assert first.key.access_key != second.key.access_key


async def test_networks_become_the_applications_and_none_leaves_them(house):
    await house.administration.add_key(house.ours.account.id, "robot", (NETWORK,))
    again = await house.administration.add_key(house.ours.account.id, "robot", ())
    assert again.application.networks == (NETWORK,)
    other = parse_network("198.51.100.1")
    changed = await house.administration.add_key(house.ours.account.id, "robot", (other,))
    assert changed.application.networks == (other,)


async def test_an_applications_networks_hold_for_all_its_keys(house):
    before = await house.administration.add_key(house.ours.account.id, "robot", ())
    await house.administration.add_key(house.ours.account.id, "robot", (NETWORK,))
    credential = await house.core.credential(before.key.access_key)
    assert house.core.admit(credential, "203.0.113.7", house.caller().protocol, "r").account_id == house.ours.account.id
    with pytest.raises(AddressNotAllowed):
        house.core.admit(credential, "198.51.100.1", house.caller().protocol, "r")


async def test_keys_are_listed_for_one_account_or_all(house):
    mine = [holder.key for holder in await house.administration.keys(house.ours.account.id)]
    assert mine == [house.ours.key]
    assert [holder.key for holder in await house.administration.keys()] == [house.ours.key, house.theirs.key]
    assert list(await house.administration.keys(AccountId(1))) == []


# --- renewing and disabling


async def test_a_renewed_key_replaces_the_old_pair_at_once(house):
    old = house.ours.key
    renewed = await house.administration.renew_key(old.access_key)
    assert renewed.key.id == old.id
    assert renewed.key.access_key != old.access_key
    assert renewed.key.secret_key != old.secret_key
    assert (renewed.application, renewed.account) == (house.ours.application, house.ours.account)
    with pytest.raises(UnknownKey):
        await house.core.credential(old.access_key)
    assert (await house.core.credential(renewed.key.access_key)).secret_key == renewed.key.secret_key


async def test_a_renewal_survives_a_restart(tmp_path):
    async with open_house(tmp_path) as house:
        old = house.ours.key
        renewed = await house.administration.renew_key(old.access_key)
    async with open_house(tmp_path) as house:
        with pytest.raises(UnknownKey):
            await house.core.credential(old.access_key)
        assert (await house.core.credential(renewed.key.access_key)).secret_key == renewed.key.secret_key


async def test_of_two_renewals_at_once_one_finds_the_key_gone(house):
    attempts = [house.administration.renew_key(house.ours.key.access_key) for _ in range(2)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, UnknownKey)]
    assert len(refused) == 1
    assert len(await house.administration.keys(house.ours.account.id)) == 1


async def test_a_disabled_key_is_as_good_as_none_until_it_is_enabled(house):
    access_key = house.ours.key.access_key
    disabled = await house.administration.set_key_enabled(access_key, is_enabled=False)
    assert not disabled.key.is_enabled
    with pytest.raises(UnknownKey):
        await house.core.credential(access_key)
    await house.administration.set_key_enabled(access_key, is_enabled=True)
    await house.core.credential(access_key)


async def test_disabling_one_key_leaves_the_others(house):
    other = await house.administration.add_key(house.ours.account.id, "default", ())
    await house.administration.set_key_enabled(house.ours.key.access_key, is_enabled=False)
    await house.core.credential(other.key.access_key)


async def test_an_unknown_key_can_be_neither_renewed_nor_disabled(house):
    with pytest.raises(UnknownKey):
        await house.administration.renew_key("AKOFUNKNOWN")
    with pytest.raises(UnknownKey):
        await house.administration.set_key_enabled("AKOFUNKNOWN", is_enabled=False)


# --- suspending and resuming


@pytest.mark.usefixtures("suspended")
async def test_a_suspended_accounts_keys_are_known_and_refused_until_it_is_resumed(house):
    credential = await house.core.credential(house.ours.key.access_key)
    with pytest.raises(AccountSuspended):
        admit(house, credential)
    await house.administration.resume(house.ours.account.id)
    assert admit(house, await house.core.credential(house.ours.key.access_key)).account_id == house.ours.account.id


@pytest.mark.usefixtures("suspended")
async def test_suspending_one_account_leaves_the_others(house):
    admit(house, await house.core.credential(house.theirs.key.access_key))


async def test_a_suspended_accounts_sessions_are_refused(house):
    session = house.core.open_session(house.caller(), SHORTEST_SECONDS)
    await house.administration.suspend(house.ours.account.id)
    with pytest.raises(AccountSuspended):
        admit(house, await house.core.session_credential(session.access_key, session.token))


async def test_suspending_an_account_signs_all_its_people_out_for_good_and_nobody_else(house):
    mine = [await signed_in(house, f"{name}@example.com") for name in ("ann", "bob")]
    other = await signed_in(house, "eve@example.com", house.theirs)
    await house.administration.suspend(house.ours.account.id)
    await house.administration.resume(house.ours.account.id)
    for who in mine:
        with pytest.raises(NotSignedIn):
            await house.core.people.signed_in(who.token)
    await house.core.people.signed_in(other.token)


async def test_a_suspension_survives_a_restart(tmp_path):
    async with open_house(tmp_path) as house:
        await house.administration.suspend(house.ours.account.id)
    async with open_house(tmp_path) as house:
        with pytest.raises(AccountSuspended):
            admit(house, await house.core.credential(house.ours.key.access_key))


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        (MachinePolicy.LEAVE, [State.RUNNING, State.RUNNING]),
        (MachinePolicy.STOP, [State.STOPPING, State.STOPPING]),
        (MachinePolicy.TERMINATE, [State.SHUTTING_DOWN, State.SHUTTING_DOWN]),
    ],
)
async def test_machines_go_the_way_of_the_policy(house, ours, theirs, policy, states):
    done = await house.administration.suspend(ours.caller.account_id, policy)
    touched = [] if policy is MachinePolicy.LEAVE else ours.ids
    assert (await ours.states(), done.touched, done.untouched) == (states, touched, [])
    assert house.woken == touched
    assert await theirs.states() == [State.RUNNING] * 2


@pytest.mark.parametrize("policy", [MachinePolicy.STOP, MachinePolicy.TERMINATE])
async def test_protection_is_for_the_renter_and_stays_on_the_machine(house, ours, policy):
    options = Options(is_protected=True, is_stop_protected=True)
    await house.core.machines.set_options(ours.caller, ours.ids[0], lambda _: options)
    done = await house.administration.suspend(ours.caller.account_id, policy)
    assert (done.touched, (await ours.machine()).options) == (ours.ids, options)


async def test_machines_that_are_just_starting_are_not_stopped_and_named(house, ours):
    (starting,) = await book(house, ours.caller)
    done = await house.administration.suspend(ours.caller.account_id, MachinePolicy.STOP)
    assert (done.touched, done.untouched) == (ours.ids, [starting])


async def test_machines_that_are_just_starting_can_be_ended(house, ours):
    (starting,) = await book(house, ours.caller)
    done = await house.administration.suspend(ours.caller.account_id, MachinePolicy.TERMINATE)
    assert (done.touched, done.untouched) == ([*ours.ids, starting], [])


async def test_machines_that_are_as_the_policy_wants_them_are_left_alone(house, ours):
    await house.core.stop(ours.caller, ours.ids[:1], is_forced=False)
    await house.core.terminate(ours.caller, ours.ids[1:])
    house.woken.clear()
    done = await house.administration.suspend(ours.caller.account_id, MachinePolicy.STOP)
    assert (done.touched, done.untouched, house.woken) == ([], [], [])


async def test_suspending_again_goes_further(house, ours):
    for policy in (MachinePolicy.LEAVE, MachinePolicy.STOP, MachinePolicy.TERMINATE):
        await house.administration.suspend(ours.caller.account_id, policy)
    assert await ours.states() == [State.SHUTTING_DOWN] * 2


async def test_resuming_leaves_the_machines_as_they_are(house, ours):
    await house.administration.suspend(ours.caller.account_id, MachinePolicy.STOP)
    house.woken.clear()
    await house.administration.resume(ours.caller.account_id)
    assert (await ours.states(), house.woken) == ([State.STOPPING] * 2, [])


async def test_a_renter_is_told_who_stopped_the_machine(house, ours):
    await house.administration.suspend(ours.caller.account_id, MachinePolicy.STOP, OPERATOR)
    (event,) = await house.core.history.events(ours.caller, ours.ids[0], 1)
    assert (event.text, event.actor) == ("stopping", OPERATOR.actor)


@pytest.mark.parametrize("amount", [None, Decimal(0), Decimal("99.50")])
async def test_an_account_may_be_limited_or_not(house, amount):
    account = await house.administration.set_credit_limit(house.ours.account.id, amount)
    assert account.credit_limit == amount
    assert await house.administration.account(house.ours.account.id) == account


async def test_nobody_can_be_limited_to_less_than_nothing(house):
    with pytest.raises(InvalidRequest):
        await house.administration.set_credit_limit(house.ours.account.id, Decimal("-0.01"))


async def test_what_is_not_there_is_refused(house):
    unknown, administration = AccountId(1), house.administration
    before = contents(await house.store.view())
    for attempt in (
        administration.account(unknown),
        administration.suspend(unknown),
        administration.resume(unknown),
        administration.set_credit_limit(unknown, None),
        administration.add_user(unknown, "ann@example.com"),
    ):
        with pytest.raises(UnknownAccount):
            await attempt
    for attempt in (
        administration.user("nobody@example.com"),
        administration.reset_password("nobody@example.com"),
        administration.reset_second_factor("nobody@example.com"),
        administration.set_user_enabled("nobody@example.com", is_enabled=True),
        administration.set_operator("nobody@example.com", is_operator=True),
    ):
        with pytest.raises(UnknownUser):
            await attempt
    assert contents(await house.store.view()) == before


# --- people


async def test_a_new_person_signs_in_with_the_password_that_is_told_and_must_change_it(house):
    new = await house.administration.add_user(house.ours.account.id, " Ann@Example.com ")
    who = await house.core.people.sign_in("ann@example.com", new.password, HERE)
    assert (who.user, who.user.must_change, who.user.is_operator) == (new.user, True, False)
    assert (new.user.email, new.user.account_id) == ("ann@example.com", house.ours.account.id)


async def test_an_email_address_is_one_persons_in_all_accounts(house):
    await house.administration.add_user(house.ours.account.id, "ann@example.com")
    with pytest.raises(EmailTaken):
        await house.administration.add_user(house.theirs.account.id, "ANN@example.com")
    with pytest.raises(InvalidRequest):
        await house.administration.add_user(house.theirs.account.id, "ann")


async def test_people_are_listed_the_oldest_first_for_one_account_or_all(house):
    ann = await house.person("zoe@example.com")
    bob = await house.person("bob@example.com", house.theirs)
    assert list(await house.administration.users()) == [ann, bob]
    assert list(await house.administration.users(house.theirs.account.id)) == [bob]
    assert await house.administration.user(" Zoe@example.com") == ann


RESETS = {
    "reset_password": lambda administration, email: administration.reset_password(email),
    "reset_second_factor": lambda administration, email: administration.reset_second_factor(email),
    "disable": lambda administration, email: administration.set_user_enabled(email, is_enabled=False),
    "make operator": lambda administration, email: administration.set_operator(email, is_operator=True),
    "unmake operator": lambda administration, email: administration.set_operator(email, is_operator=False),
}


@pytest.mark.parametrize("reset", RESETS)
async def test_whoever_is_changed_by_the_operator_is_signed_out_and_nobody_else(house, reset):
    ann, bob = [await signed_in(house, f"{name}@example.com") for name in ("ann", "bob")]
    await RESETS[reset](house.administration, "Ann@example.com")
    with pytest.raises(NotSignedIn):
        await house.core.people.signed_in(ann.token)
    await house.core.people.signed_in(bob.token)


async def test_a_reset_password_takes_the_place_of_the_old_and_must_be_changed(house):
    await house.person("ann@example.com")
    new = await house.administration.reset_password("ann@example.com")
    with pytest.raises(WrongPassword):
        await house.core.people.sign_in("ann@example.com", PASSWORD, HERE)
    assert (await house.core.people.sign_in("ann@example.com", new.password, HERE)).user.must_change


async def test_who_has_lost_the_second_factor_signs_in_without_it_once_it_is_reset(house):
    ann = await house.person("ann@example.com")
    with_factor = replace(ann, code_secret=new_code_secret(), code_step=7, recovery=("digest",))
    await house.store.transact(lambda tx: tx.put(with_factor))
    assert await house.administration.reset_second_factor("ann@example.com") == ann
    assert not (await house.core.people.sign_in("ann@example.com", PASSWORD, HERE)).sign_in.awaits_code


# --- acting for somebody


async def test_an_operator_acts_for_an_account_and_is_named_in_what_they_do(house, operator):
    await house.administration.act_for(operator, house.ours.account.id, OPERATOR)
    who = await house.core.people.signed_in(operator.token)
    assert (who.account, who.home, who.is_acting) == (house.ours.account, house.theirs.account, True)
    caller = await house.core.people.caller(who, HERE)
    assert (caller.account_id, caller.operator) == (house.ours.account.id, "op@example.com")
    await house.core.create_key_pair(caller, "theirs", KeyKind.ED25519, {})
    (deed,) = await house.core.history.deeds(house.caller(), DeedQuery(verb="keep key pair"))
    assert (deed.author.actor, deed.author.operator) == ("op@example.com", "op@example.com")


async def test_who_stops_acting_is_as_their_own_again(house, operator):
    await house.administration.act_for(operator, house.ours.account.id, OPERATOR)
    await house.administration.act_for(operator, None, OPERATOR)
    who = await house.core.people.signed_in(operator.token)
    assert (who.account, who.is_acting) == (house.theirs.account, False)
    assert (await house.core.people.caller(who, HERE)).operator == ""
    found = await house.core.history.deeds(house.caller(), DeedQuery(text="acting for account"))
    assert [(each.verb, each.subject) for each in found] == [
        ("stop acting for account", f"account {house.ours.account.id}")
    ]


async def test_acting_for_ones_own_account_is_not_acting(house, operator):
    await house.administration.act_for(operator, house.theirs.account.id, OPERATOR)
    assert not (await house.core.people.signed_in(operator.token)).is_acting
    assert await house.administration.deeds(DeedQuery(text="acting for")) == []


async def test_acting_is_for_one_browser_and_lasts_while_it_is_used(house, operator, clock):
    elsewhere = await house.core.people.sign_in("op@example.com", PASSWORD, HERE)
    await house.administration.act_for(operator, house.ours.account.id, OPERATOR)
    clock.advance(timedelta(hours=6))
    assert (await house.core.people.signed_in(operator.token)).is_acting
    assert (await house.core.people.signed_in(operator.token)).is_acting
    assert not (await house.core.people.signed_in(elsewhere.token)).is_acting


async def test_nobody_but_an_operator_acts_for_others(house):
    ann = await signed_in(house, "ann@example.com")
    for account_id in (house.theirs.account.id, None):
        with pytest.raises(NotAnOperator):
            await house.administration.act_for(ann, account_id, OPERATOR)
    assert not (await house.core.people.signed_in(ann.token)).is_acting


async def test_nobody_acts_for_an_account_that_is_not_there(house, operator):
    with pytest.raises(UnknownAccount):
        await house.administration.act_for(operator, AccountId(1), OPERATOR)


async def test_who_is_no_operator_any_more_acts_for_nobody(house, operator):
    await house.person("second@example.com", is_operator=True)
    await house.administration.act_for(operator, house.ours.account.id, OPERATOR)
    await house.administration.set_operator("op@example.com", is_operator=False)
    again = await house.core.people.sign_in("op@example.com", PASSWORD, HERE)
    assert again.account == house.theirs.account
    with pytest.raises(NotAnOperator):
        await house.administration.act_for(again, house.ours.account.id, OPERATOR)


@pytest.mark.parametrize(
    "shut_out",
    [
        lambda house, user: house.administration.set_user_enabled(user.email, is_enabled=False),
        lambda house, user: house.administration.set_operator(user.email, is_operator=False),
        lambda house, user: house.administration.suspend(user.account_id),
    ],
    ids=["disable", "unmake", "suspend"],
)
async def test_the_last_operator_who_can_sign_in_stays_one(house, shut_out):
    last = await house.person("last@example.com", is_operator=True)
    disabled = await house.person("disabled@example.com", house.theirs, is_operator=True)
    await house.administration.set_user_enabled(disabled.email, is_enabled=False)
    with pytest.raises(LastOperator):
        await shut_out(house, last)
    assert await house.administration.user(last.email) == last
    await house.administration.set_user_enabled(disabled.email, is_enabled=True)
    await shut_out(house, last)


async def test_of_two_operators_who_shut_each_other_out_at_once_one_stays(house):
    for email in ("one@example.com", "two@example.com"):
        await house.person(email, is_operator=True)
    attempts = [house.administration.set_operator(f"{name}@example.com", is_operator=False) for name in ("one", "two")]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, LastOperator) for outcome in outcomes) == 1


async def test_people_can_be_seen_to_where_there_never_was_an_operator(house):
    person = await house.person()
    assert not (await house.administration.set_user_enabled(person.email, is_enabled=False)).is_enabled


async def test_an_operator_can_look_into_a_suspended_account_whose_people_cannot(house, operator):
    await house.administration.suspend(house.ours.account.id)
    await house.administration.act_for(operator, house.ours.account.id, OPERATOR)
    assert (await house.core.people.signed_in(operator.token)).account.is_suspended


# --- what is written down

ANN = "ann@example.com"
# Every verb that changes something, and what is written down of it: verb, subject and detail.
VERBS = {
    "add_account": (lambda do, _: do.add_account("new", OPERATOR), "make account", "account {new}", "new"),
    "add_account_with_key": (
        lambda do, _: do.add_account_with_key("new", OPERATOR),
        "make account",
        "account {new}",
        "new",
    ),
    "suspend": (
        lambda do, to: do.suspend(to.account.id, MachinePolicy.STOP, OPERATOR),
        "suspend account",
        "account {account}",
        "machines: stop",
    ),
    "resume": (lambda do, to: do.resume(to.account.id, OPERATOR), "resume account", "account {account}", ""),
    "set_credit_limit": (
        lambda do, to: do.set_credit_limit(to.account.id, Decimal("5E+2"), OPERATOR),
        "set credit limit",
        "account {account}",
        "500",
    ),
    "add_user": (
        lambda do, to: do.add_user(to.account.id, "New@example.com", is_operator=True, by=OPERATOR),
        "make user",
        "user new@example.com",
        "operator",
    ),
    "reset_password": (lambda do, _: do.reset_password(ANN, OPERATOR), "reset password", f"user {ANN}", ""),
    "reset_second_factor": (
        lambda do, _: do.reset_second_factor(ANN, OPERATOR),
        "reset second factor",
        f"user {ANN}",
        "",
    ),
    "set_user_enabled": (
        lambda do, _: do.set_user_enabled(ANN, is_enabled=False, by=OPERATOR),
        "disable user",
        f"user {ANN}",
        "",
    ),
    "set_operator": (
        lambda do, _: do.set_operator(ANN, is_operator=True, by=OPERATOR),
        "make operator",
        f"user {ANN}",
        "",
    ),
    "add_key": (lambda do, to: do.add_key(to.account.id, "x", (), OPERATOR), "make API key", "API key {new_key}", ""),
    "renew_key": (
        lambda do, to: do.renew_key(to.key.access_key, OPERATOR),
        "renew API key",
        "API key {new_key}",
        "in place of {key}",
    ),
    "set_key_enabled": (
        lambda do, to: do.set_key_enabled(to.key.access_key, is_enabled=False, by=OPERATOR),
        "disable API key",
        "API key {key}",
        "",
    ),
}


@pytest.mark.parametrize("name", VERBS)
async def test_each_verb_of_the_operator_is_one_line_of_the_log(house, name):
    await house.person(ANN)
    before, (verb, *expected) = await house.administration.deeds(DeedQuery()), VERBS[name]
    keys_before = (await house.store.view()).keys.copy()
    await verb(house.administration, house.ours)
    deed, *rest = await house.administration.deeds(DeedQuery())
    assert rest == before
    state = await house.store.view()
    new_key, new = "".join(state.keys.keys() - keys_before.keys()), max(state.accounts)
    values = {"account": house.ours.account.id, "key": house.ours.key.access_key, "new": new, "new_key": new_key}
    assert [deed.verb, deed.subject, deed.detail] == [each.format(**values) for each in expected]
    assert deed.author == OPERATOR
    assert deed.account_id == (new if name.startswith("add_account") else house.ours.account.id)
    assert not [key for key in state.keys.values() if key.secret_key in repr(deed)]


def test_no_verb_of_the_operator_is_forgotten_here():
    verbs = [name for name, verb in inspect.getmembers(Administration, inspect.isfunction) if name[0] != "_"]
    looking = {"accounts", "account", "users", "user", "applications", "keys", "deeds", "estate"}
    elsewhere = {"act_for", "set_catalogue"}  # the one is tested above, the other is not in the log
    assert set(verbs) == set(VERBS) | looking | elsewhere


def test_no_secret_is_shown_of_what_the_operator_is_told():
    told = [
        KeyHolder(an_api_key(secret_key="hush"), an_application(), an_account()),
        NewUser(a_user(password_hash="hush"), "hush"),
    ]
    assert "hush" not in repr(told)
