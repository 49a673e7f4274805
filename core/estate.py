"""All that there is, of every account, as the operator sees it at one moment."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.accounts import Account
from core.catalogue import Catalogue, Product, Zone
from core.drift import Difference, drift
from core.errors import UnknownAccount
from core.ids import AccountId, InstanceId
from core.instances import Instance
from core.instances import State as Stage
from core.people import User
from core.state import State
from core.stocking import rehearse


@dataclass(frozen=True, slots=True)
class Stock:
    """How many machines of a product a zone is to hold, and how many stand there."""

    product: Product
    zone: Zone
    capacity: int
    taken: int

    @property
    def free(self) -> int:
        """How many more can be booked."""
        return max(0, self.capacity - self.taken)

    @property
    def is_overbooked(self) -> bool:
        """Whether more stand there than may; those stay until they are terminated."""
        return self.taken > self.capacity


@dataclass(frozen=True, slots=True)
class Holding:
    """An account with its people, the oldest first, and how many machines it has."""

    account: Account
    people: Sequence[User]
    machines: int


class Estate:
    """What there is. Like the state that it is read from, it holds for as long as nothing is awaited."""

    def __init__(self, state: State, now: datetime) -> None:
        self._state, self._now = state, now

    def holdings(self, text: str = "") -> Sequence[Holding]:
        """Return the accounts of whose name, id or people's e-mail addresses the text is part; the oldest first."""
        people: dict[AccountId, list[User]] = {}
        for user in self._state.users.values():
            people.setdefault(user.account_id, []).append(user)
        wanted = text.strip().lower()
        accounts = self._state.accounts.values()
        found = [Holding(each, people.get(each.id, ()), self._state.rented[each.id]) for each in accounts]
        return [each for each in found if not wanted or _has(each, wanted)]

    def holding(self, account_id: AccountId) -> Holding:
        """Return an account with what it has.

        Raises:
            UnknownAccount: there is no such account.
        """
        account = self._state.accounts.get(account_id)
        if account is None:
            raise UnknownAccount(account_id)
        people = [user for user in self._state.users.values() if user.account_id == account_id]
        return Holding(account, people, self._state.rented[account_id])

    def stages(self) -> Mapping[Stage, int]:
        """Return how many machines of all accounts are in each state; those that are gone do not count."""
        return Counter(machine.state for machine in self._state.instances.values() if not machine.is_gone)

    def machine(self, instance_id: InstanceId) -> Instance | None:
        """Return a machine, whoever rents it; None if no row knows of it."""
        return self._state.instances.get(instance_id)

    def stocks(self) -> Sequence[Stock]:
        """Return what is sold, zone by zone, and what is sold no longer but rented still."""
        return self._stocks(self._state)

    def stocks_by(self, catalogue: Catalogue) -> Sequence[Stock]:
        """Return what `stocks` would be once this catalogue is taken over."""
        return self._stocks(rehearse(self._state, catalogue, self._now))

    def drift(self, catalogue: Catalogue) -> Sequence[Difference]:
        """Return what would change if this catalogue were taken over."""
        return drift(self._state, catalogue, self._now)

    def _stocks(self, wares: State) -> Sequence[Stock]:
        found = []
        for product in wares.products.values():
            for zone in wares.zones.values():
                capacity = 0 if product.is_retired or zone.is_retired else product.capacity.get(zone.id, 0)
                taken = self._state.occupied[product.id, zone.id]
                if taken or (zone.id in product.capacity and not product.is_retired and not zone.is_retired):
                    found.append(Stock(product, zone, capacity, taken))
        return found


def _has(holding: Holding, text: str) -> bool:
    told = (holding.account.name, f"{holding.account.id:012}", *(user.email for user in holding.people))
    return any(text in each.lower() for each in told)
