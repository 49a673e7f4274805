"""Verbs about machines. Those that change something do so by core's verbs, for the account that rents the machine."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from core.accounts import Caller
from core.billing import cost
from core.errors import InvalidRequest, UnknownInstances
from core.fleet import Fleet
from core.ids import AccountId, InstanceId
from core.instances import Instance, State
from core.service import Core
from core.service.transactor import Change
from core.tags import ResourceKind
from gateway.control import Arguments, Document
from gateway.office import Office, Verb
from gateway.verbs import spelling
from gateway.verbs.spelling import moment, moment_or_none
from protocols import ids

Filter = Callable[[Fleet, Instance], bool]
Move = Callable[[Core, Caller, Sequence[InstanceId]], Awaitable[Sequence[Change]]]


# --- looking


async def _list(office: Office, said: Arguments) -> Document:
    filters = _filters(said)
    found = []
    for fleet in await office.fleets(spelling.account_id_or_none(said.get("account"))):
        machines = (each for each in fleet.instances() if all(fits(fleet, each) for fits in filters))
        found += [describe(fleet, machine, office.ssh_host) for machine in machines]
    return sorted(found, key=lambda machine: int(machine["number"]))


async def _show(office: Office, said: Arguments) -> Document:
    [instance_id] = _read([said["instance"]])
    fleet = await office.fleet(await _owner(office, instance_id))
    [machine] = fleet.instances_by_id([instance_id])
    return describe(fleet, machine, office.ssh_host)


async def _console(office: Office, said: Arguments) -> Document:
    [instance_id] = _read([said["instance"]])
    caller = office.caller(await _owner(office, instance_id))
    log = await office.core.machines.console_log(caller, instance_id)
    return {"instance_id": ids.instance_id(instance_id), "number": instance_id, "text": log.decode(errors="replace")}


def describe(fleet: Fleet, machine: Instance, ssh_host: str) -> Document:
    """Return all about a machine that its account can see; `ssh_host` is where machines without addresses are met."""
    order, way_in = fleet.order(machine.order_id), fleet.way_in(machine)
    return {
        "instance_id": ids.instance_id(machine.id),
        "number": machine.id,
        "order_id": ids.reservation_id(order.id),
        "order_number": order.id,
        "account_id": ids.owner_id(machine.account_id),
        "state": machine.state.value,
        "cause": machine.cause and machine.cause.value,
        "detail": machine.detail,
        "product": fleet.product(machine.product_id).slug,
        "instance_type": fleet.product(machine.product_id).instance_type,
        "zone": fleet.zone(machine.zone_id).name,
        "image": fleet.image(machine.image_id).name,
        "hostname": machine.hostname,
        "ssh": f"ssh -p {way_in.port} {way_in.user}@{way_in.host or ssh_host}",
        "public_address": machine.public_address,
        "private_address": machine.private_address,
        "groups": [group.name for group in fleet.groups_of(machine)],
        "hourly_price": str(machine.hourly_price),
        "currency": order.currency,
        "cost": str(cost(machine, fleet.now)),
        "protocol": order.protocol.value,
        "launched_at": moment(machine.launched_at),
        "ended_at": moment_or_none(machine.ended_at),
        "tags": dict(fleet.tags(ResourceKind.INSTANCE, machine.id)),
    }


# --- what is listed


def _filters(said: Arguments) -> Sequence[Filter]:
    given: dict[str, Filter] = {}
    if wanted := said.get("state"):
        state = _state(wanted)
        given["state"] = lambda _, machine: machine.state is state
    if zone := said.get("zone"):
        given["zone"] = lambda fleet, machine: fleet.zone(machine.zone_id).name == zone
    if product := said.get("product"):
        given["product"] = lambda fleet, machine: product in _names(fleet, machine)
    return [*given.values(), *(_tagged(text) for text in said.get("tag") or ())]


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise InvalidRequest("state", text, f"one of {', '.join(State)}") from None


def _names(fleet: Fleet, machine: Instance) -> Iterable[str]:
    product = fleet.product(machine.product_id)
    return product.slug, product.instance_type


def _tagged(text: str) -> Filter:
    key, equals, value = text.partition("=")

    def fits(fleet: Fleet, machine: Instance) -> bool:
        found = fleet.tags(ResourceKind.INSTANCE, machine.id).get(key)
        return found is not None and (not equals or found == value)

    return fits


# --- their power


async def _start(office: Office, said: Arguments) -> Document:
    return await _move(office, said, Core.start)


async def _stop(office: Office, said: Arguments) -> Document:
    return await _move(office, said, partial(Core.stop, is_forced=bool(said.get("force"))))


async def _reboot(office: Office, said: Arguments) -> Document:
    return await _move(office, said, Core.reboot)


async def _terminate(office: Office, said: Arguments) -> Document:
    return await _move(office, said, Core.terminate)


async def _move(office: Office, said: Arguments, move: Move) -> Document:
    """Move machines, account by account, if all of them are there."""
    changes: list[Change] = []
    for account_id, wanted in (await _by_owner(office, _read(said["instances"]))).items():
        changes += await move(office.core, office.caller(account_id), wanted)
    return [_change(change) for change in changes]


def _change(change: Change) -> Document:
    return {
        "instance_id": ids.instance_id(change.after.id),
        "number": change.after.id,
        "account_id": ids.owner_id(change.after.account_id),
        "was": change.before.state.value,
        "state": change.after.state.value,
    }


# --- which are meant


def _read(texts: Iterable[str]) -> Sequence[InstanceId]:
    return list(dict.fromkeys(spelling.instance_id(text) for text in texts))


async def _by_owner(office: Office, wanted: Sequence[InstanceId]) -> Mapping[AccountId, Sequence[InstanceId]]:
    known = (await office.store.view()).instances
    if missing := [each for each in wanted if each not in known]:
        raise UnknownInstances(missing)
    owned: dict[AccountId, list[InstanceId]] = {}
    for each in wanted:
        owned.setdefault(known[each].account_id, []).append(each)
    return owned


async def _owner(office: Office, instance_id: InstanceId) -> AccountId:
    [account_id] = await _by_owner(office, [instance_id])
    return account_id


VERBS: Mapping[str, Verb] = {
    "instance list": _list,
    "instance show": _show,
    "instance start": _start,
    "instance stop": _stop,
    "instance reboot": _reboot,
    "instance terminate": _terminate,
    "instance console": _console,
}
