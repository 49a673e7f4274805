"""The pages, one module a subject."""

from collections.abc import Sequence

from protocols.console.routes import Pages
from protocols.console.views import (
    access,
    addresses,
    explorer,
    groups,
    history,
    keypairs,
    machine,
    machine_settings,
    machines,
    operator_accounts,
    operator_audit,
    operator_catalogue,
    operator_machinery,
    operator_overview,
    operator_people,
    order,
    orders,
    overview,
    profile,
    serial,
    signin,
    usage,
)

VIEWS: Sequence[Pages] = (
    overview.pages,
    machines.pages,
    machine.pages,
    machine_settings.pages,
    serial.pages,
    signin.pages,
    profile.pages,
    access.pages,
    explorer.pages,
    usage.pages,
    operator_overview.pages,
    operator_accounts.pages,
    operator_people.pages,
    operator_machinery.pages,
    operator_catalogue.pages,
    operator_audit.pages,
    order.pages,
    orders.pages,
    keypairs.pages,
    addresses.pages,
    groups.pages,
    history.pages,
)
"""All that there is. A new subject is one line."""
