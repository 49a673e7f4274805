"""How the QEMU driver is configured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv4Network

from core.compute.settings import DURATION, Rule, check
from core.compute.site import Site

PRIVATE_BLOCKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
"""What is nobody's in the world, and so perhaps the operator's own: machines do not reach it unless told otherwise."""


@dataclass(frozen=True, slots=True)
class QemuSettings:
    """How the QEMU driver works. `user` is whom QEMU runs as; it counts only if the gateway is root.

    With the network "user" each machine is alone and has no way out. With "routed" it has a wire of its own to the
    host, which routes and guards it: it is reached by its public addresses, and reaches the world, all but `closed_to`,
    by them or else by `shared_address`.
    """

    binary: str = "qemu-system-x86_64"
    accelerator: str = "auto"
    user: str = "nobody"
    stop_seconds: float = 90.0
    network: str = "user"
    shared_address: str = ""
    name_servers: tuple[str, ...] = ()
    closed_to: tuple[str, ...] = PRIVATE_BLOCKS
    reserve_disk_mib: int = 1024
    reserve_memory_mib: int = 256


def read_settings(table: Mapping[str, object]) -> QemuSettings:
    """Return the settings of a table of config.toml; what it leaves out has its default.

    Raises:
        ValueError: a key is unknown or its value unfit. The text starts with the key.
    """
    check(table, _RULES)
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return QemuSettings(**values)  # type: ignore[arg-type]  # each value has just been judged


def require_wires(settings: QemuSettings, site: Site) -> None:
    """Return if machines can have the public addresses that are sold, if any are.

    Raises:
        ValueError: they cannot; the text says what to do.
    """
    if site.pool and settings.network == "user":
        raise ValueError(
            "zones[].addresses: machines have no public addresses with compute.qemu.network set to user;"
            " take the addresses out, or set it to routed"
        )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable() and value == value.strip()


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**30


def _is(kind: Callable[[str], object], value: object) -> bool:
    try:
        return isinstance(value, str) and kind(value) is not None
    except ValueError:
        return False


def _are(kind: Callable[[str], object], value: object) -> bool:
    return isinstance(value, list) and all(_is(kind, each) for each in value)


_SIZE = Rule(_is_size, "a whole number of MiB")
_RULES = {
    "binary": Rule(_is_text, "the name or path of a program"),
    "accelerator": Rule(lambda value: value in ("auto", "kvm", "tcg"), "one of auto, kvm, tcg"),
    "user": Rule(_is_text, "the name of a user"),
    "stop_seconds": DURATION,
    "network": Rule(lambda value: value in ("user", "routed"), "one of user, routed"),
    "shared_address": Rule(lambda value: value == "" or _is(IPv4Address, value), "an IPv4 address"),
    "name_servers": Rule(lambda value: _are(IPv4Address, value), "a list of IPv4 addresses"),
    "closed_to": Rule(lambda value: _are(IPv4Network, value), "a list of IPv4 addresses and blocks"),
    "reserve_disk_mib": _SIZE,
    "reserve_memory_mib": _SIZE,
}
assert set(_RULES) == {field.name for field in fields(QemuSettings)}
