"""Public addresses: held, bound to machines, given back."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from core.addresses import Address
from core.catalogue import Region, Zone
from core.errors import (
    AddressBound,
    AddressInUse,
    IncorrectState,
    InvalidRequest,
    LimitReached,
    NoAddressLeft,
    UnknownInstances,
    UnknownZone,
)
from core.fleet import Fleet
from core.ids import AddressId
from core.instances import Instance
from core.kinds import ResourceKind
from core.service.addresses import Wish
from protocols import ids
from protocols.console.listing import named
from protocols.console.paging import leaf
from protocols.console.routes import Pages, Visit

pages = Pages()

_MOST_OFFERED = 200


@dataclass(frozen=True, slots=True)
class Held:
    """An address, where it is, and the machine that has it, with its name."""

    address: Address
    zone: Zone
    region: Region
    machine_name: str


@pages.get("addresses")
async def show(visit: Visit) -> web.StreamResponse:
    """Return the addresses that the account holds."""
    fleet = await visit.core.fleet(visit.calling)
    page = leaf(fleet.addresses(), visit.query)
    zones = [zone for zone in fleet.zones() if zone.pool]
    return await visit.page(
        "addresses.html",
        leaf=page,
        held=[_held(fleet, address) for address in page.items],
        zones=[(zone.name, f"{zone.name} ({fleet.region(zone.region_id).geo})") for zone in zones],
    )


@pages.post("addresses", again=show, fields={NoAddressLeft: "zone", LimitReached: "zone", UnknownZone: "zone"})
async def hold(visit: Visit) -> web.StreamResponse:
    """Hold one more address."""
    fleet = await visit.core.fleet(visit.calling)
    zones = {zone.name: zone.id for zone in fleet.zones() if zone.pool}
    zone = visit.form.choice("zone", zones)
    visit.form.require()
    address = await visit.core.addresses.allocate(visit.calling, Wish(zone_id=zones[zone]))
    return visit.go("addresses", f"{address.address} is yours; bind it to a machine.")


@pages.get("addresses/{address}/bind")
async def show_bind(visit: Visit) -> web.StreamResponse:
    """Return the form to bind an address to a machine."""
    fleet = await visit.core.fleet(visit.calling)
    held = _held(fleet, _address(visit, fleet))
    machines = _fitting(fleet, held.region)
    return await visit.page(
        "address_bind.html",
        held=held,
        machines=[(ids.instance_id(each.id), named(fleet, each)) for each in machines[:_MOST_OFFERED]],
    )


@pages.post(
    "addresses/{address}/bind",
    again=show_bind,
    fields={
        AddressBound: "machine",
        IncorrectState: "machine",
        InvalidRequest: "machine",
        LimitReached: "machine",
        UnknownInstances: "machine",
    },
)
async def bind(visit: Visit) -> web.StreamResponse:
    """Bind an address to a machine."""
    fleet = await visit.core.fleet(visit.calling)
    held, called = _held(fleet, _address(visit, fleet)), visit.form.text("machine", what="a machine's id or name")
    found = [each for each in _fitting(fleet, held.region) if called in _names(fleet, each)]
    if not visit.form.is_wrong and len(found) != 1:
        visit.form.refuse("machine", _REFUSALS[bool(found)].format(called, held.region.name))
    visit.form.require()
    await visit.core.addresses.associate(visit.calling, held.address.id, found[0].id, may_move=False)
    return visit.go("addresses", f"{held.address.address} leads to {named(fleet, found[0])} now.")


@pages.post("addresses/{address}/unbind")
async def unbind(visit: Visit) -> web.StreamResponse:
    """Take an address from its machine."""
    address = _address(visit, await visit.core.fleet(visit.calling))
    await visit.core.addresses.disassociate(visit.calling, address.id)
    return visit.go("addresses", f"{address.address} leads to no machine now, and stays yours.")


@pages.post("addresses/{address}/release", again=show, fields={AddressInUse: ""})
async def release(visit: Visit) -> web.StreamResponse:
    """Give an address back, once that is confirmed."""
    address = _address(visit, await visit.core.fleet(visit.calling))
    if not visit.form.flag("confirmed"):
        return await visit.page(
            "confirm.html",
            title=f"Give {address.address} back?",
            text="Somebody else may get it at once, and nobody can promise that you get it again.",
            lost=[address.address],
            path=f"addresses/{visit.variables['address']}/release",
            values=[],
            label="Give it back",
            back="addresses",
        )
    await visit.core.addresses.release(visit.calling, address.id)
    return visit.go("addresses", f"{address.address} is given back.")


_REFUSALS = {
    False: "None of your machines in {1} is called {0!r}; give the id or the name of one.",
    True: "Several of your machines are called {0!r}; give the id of one.",
}


def _address(visit: Visit, fleet: Fleet) -> Address:
    return fleet.address(AddressId(visit.number("address", "eipalloc-")))


def _held(fleet: Fleet, address: Address) -> Held:
    name = ""
    if address.instance_id is not None and fleet.has(ResourceKind.INSTANCE, address.instance_id):
        name = named(fleet, fleet.instances_by_id([address.instance_id])[0])
    return Held(address, fleet.zone(address.zone_id), fleet.region_of(address.zone_id), name)


def _fitting(fleet: Fleet, region: Region) -> Sequence[Instance]:
    """Return the machines that an address of a region can be bound to."""
    living = (each for each in fleet.instances() if not each.has_ended)
    return [each for each in living if fleet.region_of(each.zone_id).id == region.id]


def _names(fleet: Fleet, machine: Instance) -> frozenset[str]:
    """Return everything that a machine can be called by."""
    return frozenset({ids.instance_id(machine.id), str(machine.id), machine.hostname, named(fleet, machine)})
