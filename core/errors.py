"""Everything that core can refuse. Each front-end has one table from these classes to its own codes."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from math import ceil

from core.ids import AccountId, InstanceId, OrderId
from core.kinds import ResourceKind


class CoreError(Exception):
    """A refusal in the domain's words; its text may be shown to the caller."""


class DryRunPassed(CoreError):
    """The request would have succeeded; nothing was changed because the caller only asked."""

    def __init__(self) -> None:
        super().__init__("Request would have succeeded, but DryRun flag is set.")


class InvalidRequest(CoreError):
    """A value that can be judged without looking at any row is wrong."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: {value!r} is not valid; expected {expected}.")
        self.field, self.value, self.expected = field, value, expected


# --- who is calling


class UnknownKey(CoreError):
    """No API key of this name may be used: it never existed, was renewed or is disabled."""

    def __init__(self, access_key: str) -> None:
        super().__init__(f"The access key {access_key!r} does not exist or is not enabled.")
        self.access_key = access_key


class AddressNotAllowed(CoreError):
    """The key's application may not be used from this client address."""

    def __init__(self, address: str) -> None:
        super().__init__(f"This key may not be used from {address}; allow the address for its application.")
        self.address = address


class SessionExpired(CoreError):
    """A session token is past its end."""

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(f"The session token expired at {expired_at:%Y-%m-%dT%H:%M:%SZ}; ask for a new one.")
        self.expired_at = expired_at


class InvalidSession(CoreError):
    """A session token was not issued here, or not for this access key."""

    def __init__(self) -> None:
        super().__init__("The session token is not valid for this access key.")


class NonceUsed(CoreError):
    """A (key, time stamp, nonce) came a second time."""

    def __init__(self) -> None:
        super().__init__("The nonce has already been used with this key and time stamp.")


class AccountSuspended(CoreError):
    """The operator has suspended the account: nobody may act for it."""

    def __init__(self, account_id: AccountId) -> None:
        super().__init__(f"Account {account_id} is suspended; ask the operator of this service why.")
        self.account_id = account_id


class SpendingLimitReached(CoreError):
    """A booking would take the account over what it may spend in a month."""

    def __init__(self, limit: Decimal, spent: Decimal, more: Decimal, currency: str) -> None:
        super().__init__(
            f"This booking begins with {more:f} {currency}, and the account has spent {spent:f} of the {limit:f}"
            f" {currency} that it may spend this month. Book less, have the limit raised, or wait for the next month"
            " (UTC)."
        )
        self.limit, self.spent, self.more, self.currency = limit, spent, more, currency


class UnknownAccount(CoreError):
    """No such account."""

    def __init__(self, account_id: AccountId) -> None:
        super().__init__(f"There is no account {account_id}.")
        self.account_id = account_id


class TooManyRequests(CoreError):
    """The key asks more often than it may."""

    def __init__(self, per_second: float, wait_seconds: float) -> None:
        super().__init__(
            f"This key may make {per_second:g} requests a second; try again in {wait_seconds:.1f} seconds."
        )
        self.wait_seconds = wait_seconds


class UnknownRegion(CoreError):
    """No such region exists."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no region {name!r} here; the regions are {', '.join(known)}.")
        self.name, self.known = name, tuple(known)


class LimitReached(CoreError):
    """There would be more of a kind than may be.

    `kind` is a field of `core.limits.Limits`, or "addresses of a machine".
    """

    def __init__(self, kind: str, most: int, have: int, more: int) -> None:
        super().__init__(
            f"{more} more {kind.replace('_', ' ')} were asked for; the account has {have} and may have {most}."
        )
        self.kind, self.most, self.have, self.more = kind, most, have, more


class UnknownApplication(CoreError):
    """No such application, or it is another account's."""

    def __init__(self, name: object) -> None:
        super().__init__(f"There is no application {name}.")
        self.name = name


class ApplicationExists(CoreError):
    """The account has an application of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is an application called {name!r} already.")
        self.name = name


class ApiAccessOff(CoreError):
    """The account has not turned on API access."""

    def __init__(self) -> None:
        super().__init__("API access is off; turn it on first.")


# --- people who sign in


class PersonError(CoreError):
    """What only people who sign in, and operators, are told."""


class NotSignedIn(PersonError):
    """The browser is not signed in, or no longer."""

    def __init__(self) -> None:
        super().__init__("You are not signed in, or have been signed out.")


class WrongPassword(PersonError):
    """The e-mail address or the password is wrong; which of them is not told."""

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class WrongCode(PersonError):
    """The code of the second factor is wrong, or was used before."""

    def __init__(self) -> None:
        super().__init__("The code is wrong, or was used before; wait for the next one.")


class TooManyAttempts(PersonError):
    """There were too many failures; the next attempt is not looked at before `wait_seconds` have passed."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"There were too many wrong attempts; try again in {ceil(wait_seconds)} seconds.")
        self.wait_seconds = wait_seconds


class TicketUsed(PersonError):
    """A ticket for a serial console lets nobody in: it was used, is too old, or is somebody else's."""

    def __init__(self) -> None:
        super().__init__("This way to the console was used before, or is too old; open the console anew.")


class SignUpClosed(PersonError):
    """Accounts are made by the operator only."""

    def __init__(self) -> None:
        super().__init__("Sign-up is closed here; ask the operator for an account.")


class EmailTaken(PersonError):
    """Somebody signs in with this e-mail address already."""

    def __init__(self, email: str) -> None:
        super().__init__(f"Somebody signs in as {email} already.")
        self.email = email


class UnknownUser(PersonError):
    """Nobody signs in so."""

    def __init__(self, name: object) -> None:
        super().__init__(f"Nobody signs in as {name}.")
        self.name = name


class NotAnOperator(PersonError):
    """Only an operator may do this, and not while acting for somebody else."""

    def __init__(self) -> None:
        super().__init__("Only an operator may do this.")


class NotInTheirPlace(PersonError):
    """An operator who acts for an account wants one of its secrets."""

    def __init__(self) -> None:
        super().__init__(
            "You act for somebody else, and what a key does is written down as the key's own doing: only they can make"
            " or use their keys."
        )


class LastOperator(PersonError):
    """Nobody would be left to see to people and accounts."""

    def __init__(self) -> None:
        super().__init__("This would shut out the last operator who can sign in; make somebody else an operator first.")


# --- what is sold


class UnknownProduct(CoreError):
    """No such product is offered."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The product {name!r} does not exist.")
        self.name = name


class UnknownImage(CoreError):
    """No such image is offered."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The image id '[{name}]' does not exist")
        self.name = name


class UnknownZone(CoreError):
    """No such zone exists."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The zone {name!r} does not exist.")
        self.name = name


class NotOfferedInZone(CoreError):
    """The product has no capacity in the zone at all, however much is free elsewhere."""

    def __init__(self, product: str, zone: str, offered: Sequence[str]) -> None:
        elsewhere = ", ".join(offered) or "no zone"
        super().__init__(f"{product} is not offered in {zone}; it is offered in {elsewhere}.")
        self.product, self.zone, self.offered = product, zone, tuple(offered)


class NotOfferedInRegion(CoreError):
    """The product has no capacity in any zone of the region."""

    def __init__(self, product: str, region: str) -> None:
        super().__init__(f"{product} is not offered in {region}.")
        self.product, self.region = product, region


class DoesNotFit(CoreError):
    """The product is too small for the image, or for the disk that the machine has."""

    def __init__(self, product: str, reason: str) -> None:
        super().__init__(f"{product} is too small: {reason}.")
        self.product = product


class UnfitImage(CoreError):
    """The image is of another family, or for other processors, than the machine."""

    def __init__(self, image: str, reason: str) -> None:
        super().__init__(f"The image {image} cannot be used: {reason}.")
        self.image = image


class NoMetadataService(CoreError):
    """Machines of the product cannot ask about themselves, which was to be switched on for one."""

    def __init__(self, product: str) -> None:
        super().__init__(f"Machines of the product {product} have no metadata service.")
        self.product = product


class InsufficientCapacity(CoreError):
    """Fewer machines are free than were asked for."""

    def __init__(self, product: str, wanted: int, free: int) -> None:
        super().__init__(f"{wanted} of {product} were asked for and {free} are free in one zone.")
        self.product, self.wanted, self.free = product, wanted, free


# --- what is booked


class UnknownOrder(CoreError):
    """No such order, or not one that may be told apart from none."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no order {name!r}.")
        self.name = name


class ForeignOrder(CoreError):
    """The order is another account's."""

    def __init__(self, order_id: OrderId) -> None:
        super().__init__(f"Order {order_id} belongs to another account.")
        self.order_id = order_id


class OrderEnded(CoreError):
    """The order was completed before, or every machine of it has ended."""

    def __init__(self, order_id: OrderId) -> None:
        super().__init__(f"Order {order_id} is already completed.")
        self.order_id = order_id


class TokenReused(CoreError):
    """A client token came again with another request."""

    def __init__(self) -> None:
        super().__init__("The client token was used before with different parameters.")


class UnknownInstances(CoreError):
    """No such instances, or they are another account's."""

    def __init__(self, ids: Sequence[InstanceId]) -> None:
        super().__init__(f"There are no instances {', '.join(map(str, ids))}.")
        self.ids = tuple(ids)


class IncorrectState(CoreError):
    """The instance's state does not allow the verb."""

    def __init__(self, instance_id: InstanceId, state: str, verb: str) -> None:
        super().__init__(f"Instance {instance_id} is {state}: it is not in a state in which one can {verb} it.")
        self.instance_id, self.state, self.verb = instance_id, state, verb


class Protected(CoreError):
    """The instance is protected from the verb by its renter."""

    def __init__(self, instance_id: InstanceId, verb: str) -> None:
        super().__init__(f"Instance {instance_id} is protected: nobody can {verb} it until that is switched off.")
        self.instance_id, self.verb = instance_id, verb


# --- networks, security groups, addresses, disks


class UnknownResource(CoreError):
    """No such thing of a kind, or it is another account's, or in another region."""

    def __init__(self, kind: ResourceKind, name: int | str) -> None:
        super().__init__(f"There is no {kind.value.replace('-', ' ')} {name}.")
        self.kind, self.name = kind, name


class GroupExists(CoreError):
    """The network has a security group of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The security group '{name}' already exists")
        self.name = name


class GroupInUse(CoreError):
    """Machines are in the group, or rules of others name it."""

    def __init__(self, group_id: int, reason: str) -> None:
        super().__init__(f"The security group is in use: {reason}.")
        self.group_id = group_id


class DefaultGroup(CoreError):
    """The default group cannot be deleted."""

    def __init__(self) -> None:
        super().__init__("The default security group cannot be deleted.")


class TooManyGroups(CoreError):
    """The machine would be in more groups than allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A machine can be in at most {limit} security groups.")
        self.limit = limit


class InvalidRule(CoreError):
    """A rule of a security group makes no sense."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class RuleExists(CoreError):
    """The group has this very rule."""

    def __init__(self, rule: str) -> None:
        super().__init__(f'the specified rule "{rule}" already exists')
        self.rule = rule


class UnknownRule(CoreError):
    """The group has no such rule."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"The specified rule does not exist in this security group: {rule}.")
        self.rule = rule


class TooManyRules(CoreError):
    """The group would have more rules in a direction than allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A security group can have at most {limit} rules in each direction.")
        self.limit = limit


class NoAddressLeft(CoreError):
    """Every public address of the place is taken, or it has none."""

    def __init__(self, place: str) -> None:
        super().__init__(f"There is no public address left in {place}.")
        self.place = place


class AddressBound(CoreError):
    """The address is another machine's."""

    def __init__(self, address: str, instance_id: InstanceId) -> None:
        super().__init__(f"The address {address} is bound to instance {instance_id}.")
        self.address, self.instance_id = address, instance_id


class AddressInUse(CoreError):
    """The address cannot be released while it is bound to a machine."""

    def __init__(self, address: str) -> None:
        super().__init__(f"The address {address} is bound to a machine; disassociate it first.")
        self.address = address


class PrivateAddressTaken(CoreError):
    """Another machine has the private address that was asked for."""

    def __init__(self, address: str) -> None:
        super().__init__(f"The private address {address} is another machine's.")
        self.address = address


class DiskInUse(CoreError):
    """The disk is a machine's, and ends with it."""

    def __init__(self, instance_id: InstanceId) -> None:
        super().__init__(f"Disk {instance_id} is in use by its machine.")
        self.instance_id = instance_id


# --- key pairs and tags


class UnknownKeyPairs(CoreError):
    """No such key pairs."""

    def __init__(self, names: Sequence[str], *, by_id: bool = False) -> None:
        plural = "s" if len(names) > 1 else ""
        verb = "do" if plural else "does"
        # libcloud reads the names between the quotes. Source: ec2-wire-rules.md, Errors.
        super().__init__(f"The key pair{' ID' if by_id else ''}{plural} '{', '.join(names)}' {verb} not exist")
        self.names, self.by_id = tuple(names), by_id


class KeyPairExists(CoreError):
    """The name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The keypair {name!r} already exists")
        self.name = name


class InvalidKeyMaterial(CoreError):
    """The public key cannot be read, or is of a kind that is not taken."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The public key cannot be used: {reason}.")


class TooManyTags(CoreError):
    """The resource would have more tags than allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A resource can have at most {limit} tags.")
        self.limit = limit


class InvalidTag(CoreError):
    """A tag's key or value breaks the rules."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


# --- the house itself


class StoreUnavailable(CoreError):
    """The database cannot take writes now; what was asked for did not happen."""

    def __init__(self) -> None:
        super().__init__("The request was not carried out because the database cannot be written now; try again.")
