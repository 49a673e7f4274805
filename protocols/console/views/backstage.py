"""What the operator's pages share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.accounts import Caller
from core.errors import UnknownAccount
from core.ids import AccountId, ApplicationId
from core.ports import DriverError, Host
from protocols.console.errors import PageNotFound
from protocols.console.house import Backstage
from protocols.console.routes import Visit

ACCOUNT_DIGITS = 12


@dataclass(frozen=True, slots=True)
class HostsSeen:
    """What machines stand on, or why that cannot be told."""

    hosts: Sequence[Host] = ()
    trouble: str = ""


def behind(visit: Visit) -> Backstage:
    """Return the look behind the scenes.

    Raises:
        PageNotFound: the gateway lends none.
    """
    if visit.house.backstage is None:
        raise PageNotFound
    backstage: Backstage = visit.house.backstage
    return backstage


def in_place_of(visit: Visit, account_id: AccountId) -> Caller:
    """Return the operator as the caller of core's verbs for an account. What they do is noted in their own name."""
    return replace(visit.calling, account_id=account_id, application_id=ApplicationId(0))


def account_id_of(text: str) -> AccountId:
    """Return the account that is spelled so.

    Raises:
        UnknownAccount: no account's id is.
    """
    if not (text.isascii() and text.isdecimal() and len(text) == ACCOUNT_DIGITS):
        raise UnknownAccount(AccountId(0))
    return AccountId(int(text))


async def see_hosts(visit: Visit) -> HostsSeen:
    """Return what the driver tells of its hosts, or its refusal in words."""
    try:
        return HostsSeen(await behind(visit).hosts())
    except DriverError as error:
        return HostsSeen(trouble=f"{error} ({error.detail})" if error.detail else str(error))
