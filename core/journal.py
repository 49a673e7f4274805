"""What is written down as it happens: who did what (deeds), and what became of machines, and why (events)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.accounts import Caller, Protocol
from core.ids import AccountId, InstanceId
from core.instances import Instance, Wanted

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Author:
    """Who does something: an access key, a person's e-mail address, or the command line; and from where, and how.

    `operator` is who acts in their place, if somebody does.
    """

    actor: str
    address: str = ""
    protocol: Protocol = Protocol.CLI
    request_id: str = ""
    operator: str = ""


COMMAND_LINE = Author("command line")


@dataclass(frozen=True, slots=True)
class Deed:
    """One line of the audit log: that somebody did something. What was refused is not in it, but for sign-ins.

    `verb` is a plain word or two, such as "terminate"; `subject` what it was done to, such as "machine 17"; `detail`
    what else is to be known. `account_id` is whose things were touched, or None. `id` is 0 until it is written.
    """

    at: datetime
    account_id: AccountId | None
    author: Author
    verb: str
    subject: str = ""
    detail: str = ""
    id: int = 0

    @property
    def about(self) -> str:
        """The subject without the words that the verb ends in: "hold address" is about "203.0.113.7"."""
        verb, subject = self.verb.split(), self.subject.split()
        same = next((count for count in range(len(verb), 0, -1) if verb[-count:] == subject[:count]), 0)
        return " ".join(subject[same:])


@dataclass(frozen=True, slots=True)
class DeedQuery:
    """Which deeds are looked for, newest first: those that fit everything that is not empty.

    `text` is looked for in actor, operator, verb, subject, detail and address, in either case. `before` is the id of a
    deed: only older ones are wanted.
    """

    account_id: AccountId | None = None
    text: str = ""
    verb: str = ""
    protocol: Protocol | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    most: int = 50


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became of a machine. `text` says what, `reason` why, both to its renter; `actor` who wanted it.

    An empty actor is the house itself, or the machine.
    """

    at: datetime
    instance_id: InstanceId
    text: str
    reason: str = ""
    actor: str = ""


Entry = Deed | Event


def author_of(caller: Caller) -> Author:
    """Return who a caller is to the audit log."""
    return Author(
        caller.actor or caller.access_key, caller.address, caller.protocol, caller.request_id, caller.operator
    )


def deed_of(caller: Caller, verb: str, subject: str, now: datetime, detail: str = "") -> Deed:
    """Return the deed of a caller, to their own account."""
    return Deed(now, caller.account_id, author_of(caller), verb, subject, detail)


def named(kind: str, ids: Sequence[object]) -> str:
    """Return things of a kind in words, "machine 17, 18"; of many, the first few and how many there are."""
    told = ", ".join(map(str, ids[:_MOST_NAMED]))
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return f"{kind} {told}{more}"


def _reboot_ended(before: Instance, after: Instance) -> bool:
    return before.needs_reboot and not after.needs_reboot and after.wanted is Wanted.RUNNING


def _work_of(machine: Instance) -> tuple[int, int]:
    return machine.applied, machine.built


def _went_on(name: str) -> Callable[[Instance, Instance], bool]:
    return lambda before, after: getattr(before, name) != getattr(after, name)


# What a machine's renter is told of besides its states: when, and in which words.
_NEWS: Mapping[str, Callable[[Instance, Instance], bool]] = {
    "a reboot was asked for": lambda before, after: after.needs_reboot and not before.needs_reboot,
    "a new disk was asked for": lambda before, after: after.generation > before.generation,
    "its type was changed": _went_on("product_id"),
    "its ssh port was changed": _went_on("ssh_port"),
    "its security groups were changed": _went_on("group_ids"),
    "its options were changed": _went_on("options"),
}


_DONE: Mapping[str, Callable[[Instance, Instance], bool]] = {
    "the reboot is done": _reboot_ended,
    "it has its new disk": _went_on("built"),
}
_REFUSED: Mapping[str, Callable[[Instance, Instance], bool]] = {
    "the reboot could not be done": _reboot_ended,
    "the change could not be made": lambda before, after: _work_of(before) != _work_of(after),
}


def events_between(
    before: Instance, after: Instance, now: datetime, actor: str = "", *, refusal: str = ""
) -> Sequence[Event]:
    """Return what is to be told of a machine that was changed; nothing where nobody would notice.

    `refusal` is why the backend would not do what was asked of it last; empty if it did.
    """
    if before is after:
        return ()
    told = [Event(now, after.id, text, "", actor) for text, is_news in _NEWS.items() if is_news(before, after)]
    outcomes = _REFUSED if refusal else _DONE
    told += [Event(now, after.id, text, refusal, actor) for text, is_news in outcomes.items() if is_news(before, after)]
    if before.state is not after.state:
        told.append(Event(now, after.id, after.state.value, "" if actor else _reason(after), actor))
    return told


def _reason(instance: Instance) -> str:
    return instance.detail or (instance.cause.value.replace("-", " ") if instance.cause is not None else "")


def log_change(log: Any, before: Instance | None, after: Instance, *, request_id: str = "") -> None:
    """Log that a machine went from one state to another; nothing where the state is the same."""
    was = before.state if before is not None else None
    if was is after.state:
        return
    log.info(
        "instance %s",
        after.state.value,
        instance_id=after.id,
        order_id=after.order_id,
        account_id=after.account_id,
        was=was and was.value,
        cause=after.cause and after.cause.value,
        detail=after.detail or None,
        request_id=request_id or None,
    )
