"""The drivers that config.toml can name. Adding one means its module and one line in `DRIVERS`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from core.compute import simulated
from core.compute.qemu.settings import QemuSettings, read_settings, require_wires
from core.compute.site import Sight, Site
from core.ports import ComputeDriver

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class DriverKind(Generic[S]):
    """How a driver is configured and made.

    `read_settings` turns the driver's own table of config.toml into its settings, a dataclass with a field a key; it
    raises `ValueError` with the text "key: what is wrong" for what is wrong whatever the other keys say.
    `open_driver` makes the driver of its settings and its site; it touches nothing before its `open` is awaited.
    `judge` returns if what the site sells can be had with the settings, and raises such a `ValueError` if not. `look`
    tells whether the driver could do its work here and now, and changes nothing; it may take some seconds.
    """

    read_settings: Callable[[Mapping[str, object]], S]
    open_driver: Callable[[S, Site], ComputeDriver]
    judge: Callable[[S, Site], None]
    look: Callable[[S, Site], Sequence[Sight]]


# What real machines need takes a tenth of a second to import: only those wait for it who have them.


def _open_qemu(settings: QemuSettings, site: Site) -> ComputeDriver:
    from core.compute.qemu.driver import QemuDriver  # noqa: PLC0415

    return QemuDriver(settings, site)


def _look_at_qemu(settings: QemuSettings, site: Site) -> Sequence[Sight]:
    from core.compute.qemu.inspection import look  # noqa: PLC0415

    return look(settings, site)


DRIVERS: Mapping[str, DriverKind[Any]] = {
    "simulated": DriverKind(
        simulated.read_settings,
        simulated.SimulatedDriver,
        lambda *_: None,
        lambda *_: [Sight(is_ok=True, text=simulated.NOTICE)],
    ),
    "qemu": DriverKind(read_settings, _open_qemu, require_wires, _look_at_qemu),
}
"""Every driver by its name in config.toml."""
