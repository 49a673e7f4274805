import asyncio

import pytest

from core.accounts import parse_network
from core.errors import AddressNotAllowed, InvalidRequest, UnknownAccount, UnknownKey
from core.ids import FIRST_ACCOUNT_ID, AccountId
from tests.clocks import NOON
from tests.fleetfixture import open_house

NETWORK = parse_network("203.0.113.0/24")


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
