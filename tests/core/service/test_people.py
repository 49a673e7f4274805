import asyncio
import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from structlog.testing import capture_logs

from core.accounts import Protocol
from core.errors import (
    AccountSuspended,
    EmailTaken,
    InvalidRequest,
    NotSignedIn,
    SignUpClosed,
    TooManyAttempts,
    WrongCode,
    WrongPassword,
)
from core.ids import SignInId
from core.journal import Author, DeedQuery
from core.orders import Booking
from core.people import CODE_SECONDS, NEW_AFTER_SHARE, is_password
from core.service.people import CODE_LIFETIME, Attempts, People, PeopleSettings, Visitor
from tests.contracts.store_contract import contents
from tests.fleetfixture import PASSWORD, open_house

MOMENT = timedelta(microseconds=1)
STEP = timedelta(seconds=CODE_SECONDS)
LIFETIME = timedelta(hours=12)
OTHER = "another good password"
ANN = "ann@example.com"
HERE = Visitor("192.0.2.1", "a browser", "r-1")
FREE = 5  # attempts before anybody is slowed down


class Seconds:
    """A clock that is wound by hand, as `time.monotonic` is not."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def attempts(seconds):
    return Attempts(seconds)


@pytest.fixture
def looked_at(monkeypatch):
    """The passwords that were compared with what is kept of somebody's, each of which takes its time."""
    compared = []

    def compare(password, password_hash):
        compared.append(password)
        return is_password(password, password_hash)

    monkeypatch.setattr("core.service.people.is_password", compare)
    return compared


@pytest.fixture
def people(house, attempts):
    return People(house.store, house.clock, PeopleSettings(LIFETIME, has_sign_up=True), attempts)


@pytest.fixture
async def ann(house):
    """Somebody of ours, with a password alone."""
    return await house.person(ANN)


@pytest.fixture
async def here(people, ann):
    """The browser in which she is signed in."""
    return await people.sign_in(ann.email, PASSWORD, HERE)


@pytest.fixture
async def bob(house, people):
    """Somebody of ours who has switched on the second factor, with the secret, and the recovery codes."""
    user = await house.person("bob@example.com")
    who, secret = await people.sign_in(user.email, PASSWORD, HERE), people.propose_second_factor()
    factor = await people.turn_on_second_factor(who, secret, code_at(secret, house.clock.now()), PASSWORD, HERE)
    house.clock.advance(10 * STEP)
    return user, secret, factor.recovery_codes


def code_at(secret, moment):
    """Return the code that an authenticator app shows."""
    return TOTP(base64.b32decode(secret), 6, SHA1(), CODE_SECONDS).generate(int(moment.timestamp())).decode()


def a_wrong_code(secret, moment):
    good = {code_at(secret, moment + drift * STEP) for drift in (-1, 0, 1)}
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in good)


async def deeds(house, **query):
    """Return what was done, in words, the oldest first."""
    found = await house.administration.deeds(DeedQuery(**query))
    return [(each.author.actor, each.verb, each.subject, each.detail) for each in reversed(found)]


async def is_signed_in(people, token):
    try:
        await people.signed_in(token)
    except NotSignedIn:
        return False
    return True


async def outcomes(attempts):
    """Return how many of some attempts at once came to what, by the name of its type."""
    told = [type(each).__name__ for each in await asyncio.gather(*attempts, return_exceptions=True)]
    return {name: told.count(name) for name in told}


# --- signing in


async def test_who_knows_the_password_is_signed_in(house, people, ann):
    begun = await people.sign_in(ann.email, PASSWORD, HERE)
    who = await people.signed_in(begun.token)
    assert (who.user, who.account, who.home, who.is_acting) == (ann, house.ours.account, house.ours.account, False)
    assert (who.sign_in.address, who.sign_in.agent, who.sign_in.awaits_code) == ("192.0.2.1", "a browser", False)


async def test_the_email_address_may_be_spelled_in_any_case(people, ann):
    assert (await people.sign_in(" Ann@EXAMPLE.com ", PASSWORD, HERE)).user == ann


async def test_the_token_itself_is_kept_nowhere(house, tmp_path, here):
    assert here.token
    assert here.token not in repr(contents(await house.store.view()))
    assert here.token.encode() not in b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())


async def test_wrong_and_unknown_are_told_in_the_same_words(house, people, ann):
    await house.person("off@example.com")
    await house.administration.set_user_enabled("off@example.com", is_enabled=False)
    told = set()
    for email, password in [
        (ann.email, "wrong password"),
        ("nobody@example.com", PASSWORD),
        ("off@example.com", PASSWORD),
        ("", ""),
    ]:
        with pytest.raises(WrongPassword) as caught:
            await people.sign_in(email, password, HERE)
        told.add(str(caught.value))
    assert len(told) == 1


async def test_unknown_people_cost_as_much_as_wrong_passwords(people, ann, looked_at):
    for email in (ann.email, "nobody@example.com"):
        with pytest.raises(WrongPassword):
            await people.sign_in(email, "wrong password", HERE)
    assert looked_at == ["wrong password"] * 2


async def test_a_sign_in_that_is_refused_is_written_down(house, people, ann):
    for email in (ann.email, "Nobody@example.com"):
        with pytest.raises(WrongPassword):
            await people.sign_in(email, "wrong password", HERE)
    of_ann, of_nobody = (await house.administration.deeds(DeedQuery(verb="sign in refused")))[::-1]
    assert of_ann.author == Author(ANN, "192.0.2.1", Protocol.CONSOLE, "r-1")
    assert of_nobody.author == replace(of_ann.author, actor="nobody@example.com")
    assert (of_ann.account_id, of_nobody.account_id) == (house.ours.account.id, None)


async def test_one_who_is_switched_off_is_told_apart_in_the_log_alone(house, people, ann):
    await house.administration.set_user_enabled(ann.email, is_enabled=False)
    with pytest.raises(WrongPassword):
        await people.sign_in(ann.email, PASSWORD, HERE)
    assert (ANN, "sign in refused", "", "switched off") in await deeds(house)


@pytest.mark.parametrize("text", ["\udcff", "\x1b[2J", "a\nb", "\x00", "x" * 10_000])
async def test_whatever_a_browser_calls_itself_can_be_kept_and_shown(people, ann, text):
    begun = await people.sign_in(ann.email, PASSWORD, Visitor("192.0.2.1", text))
    agent = (await people.signed_in(begun.token)).sign_in.agent
    assert agent.isprintable()
    assert len(agent) <= 200


@pytest.mark.parametrize("text", ["\udcff", "\x1b[2J", "a\nb@c", "\x00", "x" * 10_000])
async def test_whatever_is_typed_as_an_email_address_is_refused_and_can_be_shown(house, people, text):
    with pytest.raises(WrongPassword):
        await people.sign_in(text, PASSWORD, HERE)
    (deed,) = await house.administration.deeds(DeedQuery(verb="sign in refused"))
    assert deed.author.actor.isprintable()
    assert len(deed.author.actor) <= 200


@pytest.mark.parametrize("token", ["", "x", "\ud800", "é" * 1000])
async def test_a_made_up_token_signs_nobody_in(people, here, token):
    assert not await is_signed_in(people, token)
    assert not await people.awaits_code(token)


async def test_of_the_kept_digest_nobody_is_signed_in(people, here):
    assert not await is_signed_in(people, here.sign_in.digest)


# --- fixation, and what the browser had before


async def test_each_sign_in_has_a_token_of_its_own(people, here, ann):
    assert (await people.sign_in(ann.email, PASSWORD, HERE, former=here.token)).token != here.token


async def test_the_sign_in_that_the_browser_had_ends_with_the_next(people, here, ann):
    await people.sign_in(ann.email, PASSWORD, HERE, former=here.token)
    assert not await is_signed_in(people, here.token)


async def test_a_sign_in_elsewhere_leaves_this_one(people, here, ann):
    await people.sign_in(ann.email, PASSWORD, HERE)
    assert await is_signed_in(people, here.token)


async def test_a_sign_in_that_is_refused_leaves_the_former(people, here, ann):
    with pytest.raises(WrongPassword):
        await people.sign_in(ann.email, "wrong password", HERE, former=here.token)
    assert await is_signed_in(people, here.token)


async def test_the_second_factor_changes_the_token_and_ends_the_one_before(house, people, bob):
    user, secret, _ = bob
    waiting = await people.sign_in(user.email, PASSWORD, HERE)
    begun = await people.give_code(waiting.token, code_at(secret, house.clock.now()), HERE)
    assert begun.token != waiting.token
    assert not await people.awaits_code(waiting.token)
    assert not await is_signed_in(people, waiting.token)
    assert await is_signed_in(people, begun.token)


# --- the second factor


async def test_a_password_alone_is_not_enough_with_a_second_factor(people, bob):
    user, _, _ = bob
    waiting = await people.sign_in(user.email, PASSWORD, HERE)
    assert waiting.sign_in.awaits_code
    assert await people.awaits_code(waiting.token)
    assert not await is_signed_in(people, waiting.token)


async def test_a_password_is_good_for_a_code_for_a_while(house, people, bob):
    user, secret, _ = bob
    waiting = await people.sign_in(user.email, PASSWORD, HERE)
    house.clock.advance(CODE_LIFETIME - MOMENT)
    assert await people.awaits_code(waiting.token)
    house.clock.advance(MOMENT)
    assert not await people.awaits_code(waiting.token)
    with pytest.raises(NotSignedIn):
        await people.give_code(waiting.token, code_at(secret, house.clock.now()), HERE)


async def test_a_code_without_a_password_is_nothing(house, people, bob, here):
    _, secret, _ = bob
    code = code_at(secret, house.clock.now())
    for token in ("", "made up", here.token):
        with pytest.raises(NotSignedIn):
            await people.give_code(token, code, HERE)


async def test_a_code_is_accepted_once(house, people, bob):
    user, secret, _ = bob
    code = code_at(secret, house.clock.now())
    first, second = [await people.sign_in(user.email, PASSWORD, HERE) for _ in range(2)]
    await people.give_code(first.token, code, HERE)
    with pytest.raises(WrongCode):
        await people.give_code(second.token, code, HERE)


async def test_the_code_that_switched_it_on_signs_nobody_in(house, people, here):
    secret = people.propose_second_factor()
    code = code_at(secret, house.clock.now())
    await people.turn_on_second_factor(here, secret, code, PASSWORD, HERE)
    waiting = await people.sign_in(ANN, PASSWORD, HERE)
    with pytest.raises(WrongCode):
        await people.give_code(waiting.token, code, HERE)


async def test_of_two_who_give_a_code_at_once_one_wins(house, people, bob):
    user, secret, _ = bob
    waiting = [await people.sign_in(user.email, PASSWORD, HERE) for _ in range(2)]
    code = code_at(secret, house.clock.now())
    both = [people.give_code(each.token, code, HERE) for each in waiting]
    assert await outcomes(both) == {"SignedIn": 1, "WrongCode": 1}


async def test_one_password_is_good_for_one_sign_in(house, people, bob):
    user, secret, _ = bob
    waiting, now = await people.sign_in(user.email, PASSWORD, HERE), house.clock.now()
    both = [people.give_code(waiting.token, code_at(secret, each), HERE) for each in (now, now + STEP)]
    assert (await outcomes(both))["SignedIn"] == 1


@pytest.mark.parametrize("drift", [-1, 1])
async def test_the_clock_of_an_app_may_be_half_a_minute_off(house, people, bob, drift):
    user, secret, _ = bob
    waiting = await people.sign_in(user.email, PASSWORD, HERE)
    await people.give_code(waiting.token, code_at(secret, house.clock.now() + drift * STEP), HERE)


async def test_a_recovery_code_signs_in_once_and_is_no_code_of_others(people, bob):
    user, _, (code, *rest) = bob
    waiting = [await people.sign_in(user.email, PASSWORD, HERE) for _ in range(3)]
    await people.give_code(waiting[0].token, code, HERE)
    with pytest.raises(WrongCode):
        await people.give_code(waiting[1].token, code, HERE)
    await people.give_code(waiting[2].token, rest[0], HERE)


async def test_of_two_who_give_a_recovery_code_at_once_one_wins(people, bob):
    user, _, (code, *_) = bob
    waiting = [await people.sign_in(user.email, PASSWORD, HERE) for _ in range(2)]
    assert await outcomes([people.give_code(each.token, code, HERE) for each in waiting]) == {
        "SignedIn": 1,
        "WrongCode": 1,
    }


async def test_a_wrong_code_is_written_down_and_can_be_followed_by_the_right_one(house, people, bob):
    user, secret, _ = bob
    waiting, now = await people.sign_in(user.email, PASSWORD, HERE), house.clock.now()
    with pytest.raises(WrongCode):
        await people.give_code(waiting.token, a_wrong_code(secret, now), HERE)
    await people.give_code(waiting.token, code_at(secret, now), HERE)
    assert (await deeds(house))[-2:] == [
        (user.email, "sign in refused", "", "wrong code"),
        (user.email, "sign in", "", ""),
    ]


async def test_a_password_alone_is_no_sign_in_to_the_log(house, people, bob):
    user, _, _ = bob
    before = await deeds(house)
    await people.sign_in(user.email, PASSWORD, HERE)
    assert await deeds(house) == before


async def test_switching_it_on_needs_password_and_code_and_changes_nothing_without(house, people, here):
    secret, now = people.propose_second_factor(), house.clock.now()
    with pytest.raises(WrongPassword):
        await people.turn_on_second_factor(here, secret, code_at(secret, now), "wrong password", HERE)
    with pytest.raises(WrongCode):
        await people.turn_on_second_factor(here, secret, a_wrong_code(secret, now), PASSWORD, HERE)
    with pytest.raises(InvalidRequest):
        await people.turn_on_second_factor(here, "", "000000", PASSWORD, HERE)
    assert not (await people.sign_in(ANN, PASSWORD, HERE)).sign_in.awaits_code


async def test_switching_it_on_ends_all_other_sign_ins(house, people, here):
    elsewhere = await people.sign_in(ANN, PASSWORD, HERE)
    secret = people.propose_second_factor()
    await people.turn_on_second_factor(here, secret, code_at(secret, house.clock.now()), PASSWORD, HERE)
    assert not await is_signed_in(people, elsewhere.token)
    assert await is_signed_in(people, here.token)


async def test_switching_it_off_ends_all_other_sign_ins_and_those_that_await_a_code(house, people, bob):
    user, secret, _ = bob
    here, elsewhere, waiting = [await people.sign_in(user.email, PASSWORD, HERE) for _ in range(3)]
    here = await people.give_code(here.token, code_at(secret, house.clock.now()), HERE)
    elsewhere = await people.give_code(elsewhere.token, code_at(secret, house.clock.now() + STEP), HERE)
    await people.turn_off_second_factor(await people.signed_in(here.token), PASSWORD, HERE)
    assert [await is_signed_in(people, each.token) for each in (here, elsewhere)] == [True, False]
    with pytest.raises(NotSignedIn):
        await people.give_code(waiting.token, "000000", HERE)
    assert not (await people.sign_in(user.email, PASSWORD, HERE)).sign_in.awaits_code


async def test_switching_it_off_needs_the_password(people, bob, house):
    user, secret, _ = bob
    waiting = await people.sign_in(user.email, PASSWORD, HERE)
    who = await people.give_code(waiting.token, code_at(secret, house.clock.now()), HERE)
    with pytest.raises(WrongPassword):
        await people.turn_off_second_factor(who, "wrong password", HERE)
    assert (await house.administration.user(user.email)).has_second_factor


# --- how long it lasts


async def test_a_sign_in_that_is_not_used_ends_after_its_lifetime(house, people, here):
    house.clock.advance(LIFETIME)
    assert not await is_signed_in(people, here.token)


async def test_a_sign_in_lasts_until_the_last_moment_of_its_lifetime_and_then_anew(house, people, here):
    for _ in range(3):
        house.clock.advance(LIFETIME - MOMENT)
        assert await is_signed_in(people, here.token)


async def test_a_sign_in_in_constant_use_is_written_no_more_than_so_often(house, people, here):
    before = (await house.store.view()).revision
    for _ in range(12 * 60):
        house.clock.advance(timedelta(minutes=1))
        await people.signed_in(here.token)
    assert 0 < (await house.store.view()).revision - before <= NEW_AFTER_SHARE


async def test_sign_ins_that_are_over_are_forgotten_with_the_next(house, people, here, ann):
    house.clock.advance(LIFETIME)
    await people.sign_in(ann.email, PASSWORD, HERE)
    assert here.sign_in.id not in (await house.store.view()).sign_ins


async def test_of_one_person_no_more_than_fifty_sign_ins_are_kept_those_used_last(house, people, here):
    await house.person("bob@example.com")
    foreign = await people.sign_in("bob@example.com", PASSWORD, HERE)
    second = await people.sign_in(ANN, PASSWORD, HERE)
    house.clock.advance(LIFETIME / NEW_AFTER_SHARE)
    await people.signed_in(here.token)
    for _ in range(49):
        await people.sign_in(ANN, PASSWORD, HERE)
    assert [await is_signed_in(people, each.token) for each in (here, second, foreign)] == [True, False, True]
    assert len(await people.sign_ins(here)) == 50


async def test_with_a_password_alone_nobody_is_put_out_who_has_given_the_code(house, people, bob):
    user, secret, _ = bob
    waiting = await people.sign_in(user.email, PASSWORD, HERE)
    who = await people.give_code(waiting.token, code_at(secret, house.clock.now()), HERE)
    house.clock.advance(STEP)
    for _ in range(51):
        await people.sign_in(user.email, PASSWORD, HERE)
    assert await is_signed_in(people, who.token)


async def test_a_sign_in_survives_a_restart(tmp_path, clock):
    async with open_house(tmp_path, clock) as house:
        await house.person(ANN)
        token = (await house.core.people.sign_in(ANN, PASSWORD, HERE)).token
    async with open_house(tmp_path, clock) as house:
        assert (await house.core.people.signed_in(token)).user.email == ANN


# --- signing out


async def test_who_signs_out_is_signed_out_here_alone(house, people, here):
    elsewhere = await people.sign_in(ANN, PASSWORD, HERE)
    await people.sign_out(here, HERE)
    assert [await is_signed_in(people, each.token) for each in (here, elsewhere)] == [False, True]


async def test_signing_out_twice_is_as_good_as_once(house, people, here):
    for _ in range(2):
        await people.sign_out(here, HERE)
    assert len(await deeds(house, verb="sign out")) == 1


@pytest.mark.parametrize(("but_here", "left"), [(False, [False, False]), (True, [True, False])])
async def test_who_signs_out_everywhere_is_signed_out_everywhere(house, people, here, but_here, left):
    elsewhere = await people.sign_in(ANN, PASSWORD, HERE)
    await house.person("bob@example.com")
    foreign = await people.sign_in("bob@example.com", PASSWORD, HERE)
    await people.sign_out_everywhere(here, HERE, but_here=but_here)
    assert [await is_signed_in(people, each.token) for each in (here, elsewhere)] == left
    assert await is_signed_in(people, foreign.token)


async def test_where_somebody_is_signed_in_is_listed_the_last_used_first(house, people, here, bob):
    house.clock.advance(timedelta(hours=1))
    elsewhere = await people.sign_in(ANN, PASSWORD, Visitor("198.51.100.1", "another"))
    assert [each.id for each in await people.sign_ins(here)] == [elsewhere.sign_in.id, here.sign_in.id]
    house.clock.advance(LIFETIME - timedelta(minutes=1))
    assert [each.id for each in await people.sign_ins(here)] == [elsewhere.sign_in.id]


async def test_one_sign_in_of_ones_own_can_be_ended_and_nobody_elses(house, people, here):
    elsewhere = await people.sign_in(ANN, PASSWORD, HERE)
    await house.person("bob@example.com")
    foreign = await people.sign_in("bob@example.com", PASSWORD, HERE)
    for sign_in_id in (elsewhere.sign_in.id, foreign.sign_in.id, SignInId(999)):
        await people.end(here, sign_in_id, HERE)
    assert [await is_signed_in(people, each.token) for each in (here, elsewhere, foreign)] == [True, False, True]
    assert len(await deeds(house, verb="sign out")) == 1


# --- passwords


async def test_another_password_takes_the_place_of_the_old_and_ends_all_other_sign_ins(people, here):
    elsewhere = await people.sign_in(ANN, PASSWORD, HERE)
    await people.change_password(here, PASSWORD, OTHER, HERE)
    assert [await is_signed_in(people, each.token) for each in (here, elsewhere)] == [True, False]
    with pytest.raises(WrongPassword):
        await people.sign_in(ANN, PASSWORD, HERE)
    await people.sign_in(ANN, OTHER, HERE)


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ("wrong password", OTHER, WrongPassword),
        (PASSWORD, "short", InvalidRequest),
        (PASSWORD, ANN, InvalidRequest),
        (PASSWORD, PASSWORD, InvalidRequest),
    ],
)
async def test_a_password_is_not_changed_by_a_wrong_one_nor_to_a_bad_one(people, here, old, new, refusal):
    with pytest.raises(refusal) as caught:
        await people.change_password(here, old, new, HERE)
    assert new not in str(caught.value)
    await people.sign_in(ANN, PASSWORD, HERE)


async def test_a_password_that_somebody_else_has_set_is_to_be_changed_and_then_is_not(house, people):
    new = await house.administration.add_user(house.ours.account.id, ANN)
    who = await people.sign_in(ANN, new.password, HERE)
    assert who.user.must_change
    await people.change_password(who, new.password, OTHER, HERE)
    assert not (await people.signed_in(who.token)).user.must_change


async def test_of_two_who_change_a_password_at_once_the_second_has_been_signed_out(people, here):
    elsewhere = await people.sign_in(ANN, PASSWORD, HERE)
    both = [people.change_password(each, PASSWORD, f"{OTHER} {each.sign_in.id}", HERE) for each in (here, elsewhere)]
    assert await outcomes(both) == {"NoneType": 1, "NotSignedIn": 1}


async def test_a_sign_in_that_is_under_way_while_the_password_is_reset_comes_to_nothing(house, people, ann):
    under_way = asyncio.create_task(people.sign_in(ann.email, PASSWORD, HERE))
    await asyncio.sleep(0)
    await house.store.transact(lambda tx: tx.put(replace(ann, password_hash="another")))
    with pytest.raises(WrongPassword):
        await under_way


async def test_a_sign_in_that_is_under_way_while_its_person_is_switched_off_comes_to_nothing(house, people, ann):
    under_way = asyncio.create_task(people.sign_in(ann.email, PASSWORD, HERE))
    await asyncio.sleep(0)
    await house.administration.set_user_enabled(ann.email, is_enabled=False)
    with pytest.raises(WrongPassword):
        await under_way


# --- who tries again and again


async def fail(people, times=1, email=ANN, address="192.0.2.1"):
    for _ in range(times):
        with pytest.raises(WrongPassword):
            await people.sign_in(email, "wrong password", Visitor(address))


async def test_a_few_wrong_passwords_slow_nobody_down(people, ann):
    await fail(people, FREE - 1)
    await people.sign_in(ann.email, PASSWORD, HERE)


async def test_after_a_few_the_right_password_has_to_wait_too(people, ann, seconds):
    await fail(people, FREE)
    with pytest.raises(TooManyAttempts) as caught:
        await people.sign_in(ann.email, PASSWORD, HERE)
    assert caught.value.wait_seconds == 1
    seconds.now += 1
    await people.sign_in(ann.email, PASSWORD, HERE)


async def test_a_person_is_slowed_down_from_wherever_it_is_tried(people, ann):
    for host in range(FREE):
        await fail(people, address=f"192.0.2.{host}")
    with pytest.raises(TooManyAttempts):
        await people.sign_in(" ANN@example.com", PASSWORD, Visitor("198.51.100.1"))


async def test_an_address_is_slowed_down_whoever_it_tries(people, ann):
    for number in range(FREE):
        await fail(people, email=f"{number}@example.com")
    with pytest.raises(TooManyAttempts):
        await people.sign_in(ann.email, PASSWORD, HERE)
    await people.sign_in(ann.email, PASSWORD, Visitor("192.0.2.2"))


async def test_what_is_refused_for_impatience_is_not_even_looked_at(people, ann, looked_at):
    await fail(people, FREE)
    with pytest.raises(TooManyAttempts):
        await people.sign_in(ann.email, PASSWORD, HERE)
    assert len(looked_at) == FREE


async def test_passwords_cannot_be_tried_faster_by_trying_many_at_once(people, ann):
    tried = await outcomes([people.sign_in(ann.email, f"wrong {number}", HERE) for number in range(50)])
    assert tried["WrongPassword"] <= FREE + 1  # two are looked at at a time
    assert set(tried) == {"WrongPassword", "TooManyAttempts"}


async def test_codes_cannot_be_tried_faster_by_trying_many_at_once(house, people, bob):
    user, secret, _ = bob
    waiting = await people.sign_in(user.email, PASSWORD, HERE)
    wrong = a_wrong_code(secret, house.clock.now())
    tried = await outcomes([people.give_code(waiting.token, wrong, HERE) for _ in range(50)])
    assert tried == {"WrongCode": FREE, "TooManyAttempts": 50 - FREE}


async def test_codes_cannot_be_tried_faster_by_giving_the_password_again(house, people, bob):
    user, secret, _ = bob
    for host in range(FREE):
        visitor = Visitor(f"198.51.100.{host}")
        waiting = await people.sign_in(user.email, PASSWORD, visitor)
        with pytest.raises(WrongCode):
            await people.give_code(waiting.token, a_wrong_code(secret, house.clock.now()), visitor)
    with pytest.raises(TooManyAttempts):
        await people.sign_in(user.email, PASSWORD, HERE)


async def test_who_is_signed_in_can_try_passwords_no_faster(people, here):
    for _ in range(FREE):
        with pytest.raises(WrongPassword):
            await people.change_password(here, "wrong password", OTHER, HERE)
    with pytest.raises(TooManyAttempts):
        await people.change_password(here, PASSWORD, OTHER, HERE)
    with pytest.raises(TooManyAttempts):
        await people.turn_off_second_factor(here, PASSWORD, HERE)


async def test_the_right_password_forgives_the_person_and_not_the_address(people, ann):
    await fail(people, FREE - 1)
    await people.sign_in(ann.email, PASSWORD, HERE)
    await fail(people, FREE - 1, address="198.51.100.1")
    await fail(people, address="198.51.100.2", email="nobody@example.com")
    await fail(people)
    with pytest.raises(TooManyAttempts):
        await fail(people, email="nobody@example.com")


@pytest.mark.parametrize(
    ("key", "longest"), [({"email": ANN, "address": ""}, 60), ({"email": "", "address": "192.0.2.1"}, 900)]
)
def test_however_often_it_goes_wrong_nobody_waits_for_longer(attempts, seconds, key, longest):
    spread = iter(range(10_000))
    waits = []
    for _ in range(2000):
        every = {**key, "address": key["address"] or f"10.{next(spread)}"}
        attempts.note_failure(**every)
        try:
            attempts.require_patience(**every)
        except TooManyAttempts as refusal:
            waits.append(refusal.wait_seconds)
            seconds.now += refusal.wait_seconds
        attempts.require_patience(**every)
    assert waits == sorted(waits)
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == longest


def test_failures_are_forgotten_after_an_hour(attempts, seconds):
    for _ in range(2 * FREE):
        attempts.note_failure(email=ANN, address="192.0.2.1")
    seconds.now += 3600
    for _ in range(FREE - 1):
        attempts.note_failure(email=ANN, address="192.0.2.1")
        attempts.require_patience(email=ANN, address="192.0.2.1")


def test_no_more_than_so_many_are_remembered(attempts):
    for _ in range(FREE):
        attempts.note_failure(email=ANN, address="192.0.2.1")
    for number in range(5_000):
        attempts.note_failure(email=f"{number}@example.com", address=f"x{number}")
    attempts.require_patience(email=ANN, address="192.0.2.1")


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_a_network_of_ipv6_is_slowed_down_as_one(attempts, first, second, is_one):
    for _ in range(FREE):
        attempts.note_failure(email="", address=first)
    if is_one:
        with pytest.raises(TooManyAttempts):
            attempts.require_patience(email=ANN, address=second)
    else:
        attempts.require_patience(email=ANN, address=second)


# --- people and accounts that are switched off


async def test_who_is_switched_off_is_signed_out_and_can_sign_in_once_switched_on(house, people, here):
    await house.administration.set_user_enabled(ANN, is_enabled=False)
    assert not await is_signed_in(people, here.token)
    with pytest.raises(WrongPassword):
        await people.sign_in(ANN, PASSWORD, HERE)
    await house.administration.set_user_enabled(ANN, is_enabled=True)
    assert not await is_signed_in(people, here.token)
    await people.sign_in(ANN, PASSWORD, HERE)


async def test_a_suspended_account_is_told_of_only_to_who_knows_the_password(house, people, ann):
    await house.administration.suspend(house.ours.account.id)
    with pytest.raises(WrongPassword):
        await people.sign_in(ANN, "wrong password", HERE)
    with pytest.raises(AccountSuspended):
        await people.sign_in(ANN, PASSWORD, HERE)
    await house.administration.resume(house.ours.account.id)
    await people.sign_in(ANN, PASSWORD, HERE)


# --- signing up


async def test_nobody_signs_up_unless_that_is_switched_on(house):
    before = contents(await house.store.view())
    with pytest.raises(SignUpClosed):
        await house.core.people.sign_up("New", "new@example.com", OTHER, HERE)
    assert contents(await house.store.view()) == before


async def test_who_signs_up_is_signed_in_with_an_account_of_their_own_without_api_access(house, people):
    begun = await people.sign_up(" New ", "New@example.com", OTHER, HERE)
    who = await people.signed_in(begun.token)
    assert (who.account.name, who.account.has_api, who.user.email) == ("New", False, "new@example.com")
    assert not who.user.is_operator
    assert not who.user.must_change
    assert who.account.id not in (house.ours.account.id, house.theirs.account.id)
    await people.sign_in("new@example.com", OTHER, HERE)


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        (("", "new@example.com", OTHER), InvalidRequest),
        (("New", "new", OTHER), InvalidRequest),
        (("New", "new@example.com", "short"), InvalidRequest),
        (("New", "new@example.com", "new@example.com"), InvalidRequest),
        (("New", " ANN@example.com", OTHER), EmailTaken),
    ],
)
@pytest.mark.usefixtures("ann")
async def test_a_sign_up_that_is_refused_leaves_nothing(house, people, wish, refusal):
    before = contents(await house.store.view())
    with pytest.raises(refusal):
        await people.sign_up(*wish, HERE)
    assert contents(await house.store.view()) == before


async def test_of_two_who_sign_up_with_one_email_address_one_does(people):
    both = [people.sign_up("New", "new@example.com", OTHER, HERE) for _ in range(2)]
    assert await outcomes(both) == {"SignedIn": 1, "EmailTaken": 1}


async def test_accounts_cannot_be_had_by_the_dozen_from_one_address(people):
    many = [people.sign_up("New", f"{number}@example.com", OTHER, HERE) for number in range(12)]
    assert await outcomes(many) == {"SignedIn": FREE, "TooManyAttempts": 12 - FREE}
    await people.sign_up("New", "other@example.com", OTHER, Visitor("192.0.2.2"))


# --- people as callers


async def test_a_person_calls_for_their_account_and_is_named_in_what_they_do(house, people, here):
    caller = await people.caller(here, HERE)
    assert (caller.account_id, caller.access_key, caller.protocol) == (house.ours.account.id, "", Protocol.CONSOLE)
    assert (caller.user_id, caller.address, caller.operator) == (here.user.id, "192.0.2.1", "")
    await house.core.book(caller, Booking((await house.product("plain")).id))
    (deed,) = await house.administration.deeds(DeedQuery(verb="book"))
    assert deed.author == Author(ANN, "192.0.2.1", Protocol.CONSOLE, "r-1")


async def test_people_of_an_account_share_one_application_for_what_they_book(house, people, here):
    await house.person("bob@example.com")
    bob = await people.sign_in("bob@example.com", PASSWORD, HERE)
    callers = await asyncio.gather(*(people.caller(who, HERE) for who in (here, bob, here)))
    assert len({each.application_id for each in callers}) == 1


# --- what is written down, and what is not


async def test_each_thing_that_somebody_does_about_themselves_is_one_line_of_the_log(house, people, here):
    secret = people.propose_second_factor()
    await people.turn_on_second_factor(here, secret, code_at(secret, house.clock.now()), PASSWORD, HERE)
    await people.turn_off_second_factor(here, PASSWORD, HERE)
    await people.change_password(here, PASSWORD, OTHER, HERE)
    await people.sign_out_everywhere(here, HERE, but_here=True)
    await people.sign_out(here, HERE)
    await people.sign_up("New", "new@example.com", OTHER, HERE)
    new = max((await house.store.view()).accounts)
    assert await deeds(house, protocol=Protocol.CONSOLE) == [
        (ANN, "sign in", "", ""),
        (ANN, "turn on second factor", "", ""),
        (ANN, "turn off second factor", "", ""),
        (ANN, "change password", "", ""),
        (ANN, "sign out everywhere", "", ""),
        (ANN, "sign out", "", ""),
        ("new@example.com", "sign up", f"account {new}", ""),
        ("new@example.com", "sign in", "", ""),
    ]


async def test_no_secret_of_a_person_is_told_to_the_log_or_shown(house, people):
    with capture_logs() as lines:
        new = await house.administration.add_user(house.ours.account.id, ANN)
        begun = await people.sign_in(ANN, new.password, HERE)
        await people.change_password(begun, new.password, OTHER, HERE)
        secret = people.propose_second_factor()
        codes = [code_at(secret, house.clock.now() + drift * STEP) for drift in (0, 1)]
        here = await people.signed_in(begun.token)
        factor = await people.turn_on_second_factor(here, secret, codes[0], OTHER, HERE)
        waiting = await people.sign_in(ANN, OTHER, HERE)
        who = await people.give_code(waiting.token, codes[1], HERE)
        with pytest.raises(WrongPassword):
            await people.sign_in(ANN, "a wrong secret", HERE)
    rows = await house.store.view()
    told = [lines, await house.administration.deeds(DeedQuery()), new, begun, factor, waiting, who]
    told += [*rows.users.values(), *rows.sign_ins.values()]
    secrets = [new.password, OTHER, secret, *codes, *factor.recovery_codes, "a wrong secret"]
    secrets += [begun.token, waiting.token, who.token, who.user.password_hash, who.sign_in.digest]
    assert [each for each in secrets if each in repr(told)] == []


async def test_the_secret_of_the_second_factor_lies_open_in_no_file(tmp_path, bob):
    _, secret, codes = bob
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert [each for each in (secret, PASSWORD, *codes) if each.encode() in stored] == []
