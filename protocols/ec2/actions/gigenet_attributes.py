"""The attributes of machines that GigeNET adds to EC2's: how each is read, changed and reset.

A part of the tables in attributes.py, in a module of its own because AWS knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from core.instances import Instance, checked_hostname
from protocols.ec2.actions import graphs
from protocols.ec2.actions.images import image_named
from protocols.ec2.registry import Call

# --- reading


async def _hostname(_: Call, instance: Instance) -> Mapping[str, Any]:
    return {"Hostname": {"Value": instance.hostname}}


async def _operating_system(call: Call, instance: Instance) -> Mapping[str, Any]:
    return {"OperatingSystem": {"Value": call.fleet.image(instance.image_id).name}}


READERS: Mapping[str, Callable[[Call, Instance], Awaitable[Mapping[str, Any]]]] = {
    "hostname": _hostname,
    "operatingSystem": _operating_system,
    **graphs.READERS,
}


# --- changing


async def _set_hostname(call: Call, instance: Instance, value: str) -> None:
    hostname = checked_hostname(value)
    await call.core.machines.set_options(call.caller, instance.id, lambda options: replace(options, hostname=hostname))


async def _set_operating_system(call: Call, instance: Instance, value: str) -> None:
    await call.core.machines.reinstall(call.caller, instance.id, image_named(call.fleet, value).id)


async def _set_password(call: Call, instance: Instance, _: str) -> None:
    """Give the machine a new password, whatever the value says."""
    await call.core.machines.set_password(call.caller, instance.id)


SETTERS: Mapping[str, Callable[[Call, Instance, Any], Awaitable[object]]] = {
    "hostname": _set_hostname,
    "operatingSystem": _set_operating_system,
    "password": _set_password,
}

FIELDS: Mapping[str, str] = {
    "Hostname": "hostname",
    "OperatingSystem": "operatingSystem",
    "Password": "password",
}
"""The parameter that carries each attribute by itself."""


# --- resetting


async def _reset_hostname(call: Call, instance: Instance) -> None:
    await call.core.machines.set_options(call.caller, instance.id, lambda options: replace(options, hostname=""))


async def _reset_type(call: Call, instance: Instance) -> None:
    await call.core.machines.resize(call.caller, instance.id, None)


async def _reset_network(call: Call, instance: Instance) -> None:
    await call.core.machines.configure_network(call.caller, instance.id)


async def _reset_operating_system(call: Call, instance: Instance) -> None:
    await call.core.machines.reinstall(call.caller, instance.id, None)


async def _reset_password(call: Call, instance: Instance) -> None:
    await call.core.machines.set_password(call.caller, instance.id)


async def _reset_source_check(call: Call, instance: Instance) -> None:
    await call.core.machines.set_options(
        call.caller, instance.id, lambda options: replace(options, is_source_checked=True)
    )


RESETTERS: Mapping[str, Callable[[Call, Instance], Awaitable[object]]] = {
    "hostname": _reset_hostname,
    "instanceType": _reset_type,
    "networkConfig": _reset_network,
    "operatingSystem": _reset_operating_system,
    "password": _reset_password,
    "sourceDestCheck": _reset_source_check,  # AWS's own
}
