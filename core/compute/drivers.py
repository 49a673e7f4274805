"""The drivers that config.toml can name. Adding one means its module and one line in `DRIVERS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from core.compute import simulated
from core.ports import ComputeDriver

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class DriverKind(Generic[S]):
    """How a driver is configured and made.

    `read_settings` turns the driver's own table of config.toml into its settings; it raises `ValueError` with the text
    "key: what is wrong". `open_driver` makes the driver of its settings, the data directory, under which it keeps what
    it must, and the host by which machines are reached; it touches nothing before its `open` is awaited.
    """

    read_settings: Callable[[Mapping[str, object]], S]
    open_driver: Callable[[S, Path, str], ComputeDriver]


DRIVERS: Mapping[str, DriverKind[Any]] = {
    "simulated": DriverKind(simulated.read_settings, simulated.SimulatedDriver),
}
"""Every driver by its name in config.toml."""
