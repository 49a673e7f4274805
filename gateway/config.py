"""Turns config.toml into validated settings. docs/configuration.md describes every key.

Reading is pure: no file that a key names is opened, and no address is looked up.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

from core.accounts import Network
from core.booking import PortRange
from core.catalogue import Catalogue
from core.compute.drivers import DRIVERS
from core.compute.site import ImageFiles, Site
from core.limits import Limits
from core.reconciler import OrphanPolicy
from gateway import kinds
from gateway.catalogue import RANKS, Ranks, read_shop
from gateway.kinds import Endpoint, known, line, one_of, seconds, whole
from gateway.reading import ConfigError, Table, read_document, shown

__all__ = ["ConfigError", "Endpoint"]  # what callers need beside this module's own names

FILE_NAME = "config.toml"
FILE_VARIABLE = "ONEFLEET_CONFIG"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The PEM files of the gateway's certificate chain and its private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How the gateway is reached. `public_url` is empty or an origin without a slash at its end."""

    listen: Endpoint
    public_url: str
    data_dir: Path
    trusted_proxies: tuple[Network, ...]
    max_body_kib: int
    body_seconds: float
    shutdown_seconds: float
    tls: TlsSettings | None


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The file of the SQLite database."""

    path: Path


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """Where machines come from. `driver_settings` is what the driver's `read_settings` made of its own table.

    What machines use is sampled every `sample_seconds`; 0: never. `orphans` says what becomes of machines without rows.
    For machines without a way out the gateway fetches from everywhere public, and from `relay_from` besides.
    """

    driver: str
    driver_settings: object
    ports: PortRange
    ssh_host: str
    sweep_seconds: float
    launch_timeout_seconds: float
    sample_seconds: float
    orphans: OrphanPolicy
    relay_from: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Ec2Settings:
    """One endpoint of the EC2 front-end; an empty `host` stands for every name.

    `region` is where requests go that name none; empty only if there are no regions. Those that name an unknown one are
    refused if the endpoint `is_strict`.
    """

    path: str
    host: str
    dialect: str
    region: str
    is_strict: bool


@dataclass(frozen=True, slots=True)
class ZeroSixSettings:
    """The ZeroSix front-end. `path` ends in a slash; `ranks` are the values of each attribute, lowest first."""

    path: str
    timezone: ZoneInfo
    ranks: Ranks


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The web console. `path` ends in a slash; `issuer` are the lines that stand on invoices.

    A sign-in that is not used lasts for `session_hours`. Strangers may make accounts if it `has_sign_up`.
    """

    path: str
    title: str
    issuer: tuple[str, ...]
    session_hours: int
    has_sign_up: bool


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What an account may have, and how often a key may ask; 0 requests a second: as often as it likes."""

    per_account: Limits
    requests_per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class LogSettings:
    """`format` is auto, json or console; `level` is debug, info, warning or error."""

    format: str
    level: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. EC2 is off without endpoints, ZeroSix and the console if they are None; one API is on.

    `image_files` has, by name, those images of the catalogue whose files the configuration names.
    """

    server: ServerSettings
    storage: StorageSettings
    compute: ComputeSettings
    ec2: Sequence[Ec2Settings]
    zerosix: ZeroSixSettings | None
    console: ConsoleSettings | None
    limits: LimitSettings
    log: LogSettings
    catalogue: Catalogue
    image_files: Mapping[str, ImageFiles]

    @property
    def site(self) -> Site:
        """Where drivers do their work."""
        return Site(
            self.server.data_dir,
            self.compute.ssh_host,
            self.image_files,
            on_sale=[image.name for image in self.catalogue.images],
            pool=tuple(block for zone in self.catalogue.zones for block in zone.pool),
        )

    @property
    def mounts(self) -> str:
        """Which protocols are spoken where, in words."""
        told = [f"EC2 on {endpoint.host}{endpoint.path}" for endpoint in self.ec2]
        return ", ".join([*told, *([f"ZeroSix on {self.zerosix.path}"] if self.zerosix else [])])


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a file, by default the one that `locate` finds.

    Raises:
        ConfigError: the file is missing or unreadable, or anything in it is wrong.
    """
    file = locate(path, environ)
    return parse(_document(file), file.absolute().parent)


def locate(path: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path given, else the one in $ONEFLEET_CONFIG, else config.toml in the working directory."""
    return path or Path(environ.get(FILE_VARIABLE) or FILE_NAME)


def parse(document: Mapping[str, object], base_dir: Path) -> Settings:
    """Return the settings that a TOML document describes; its relative paths start from `base_dir`.

    Raises:
        ConfigError: anything is wrong; it tells all of it, each line with the dotted path of the culprit.
    """
    return read_document(document, partial(_settings, base_dir=base_dir))


def _document(file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: there is no such file. Copy the config.toml that comes with Onefleet and change what you need,"
            f" or name another file by --config FILE or ${FILE_VARIABLE}."
        ) from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}: line {line} is not UTF-8") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError; Python's limits on digits and on nesting
        raise ConfigError(f"{file}: not valid TOML: {error}") from error


def _settings(top: Table, base_dir: Path) -> Settings:
    server = top.section("server", partial(_server, base_dir=base_dir))
    zerosix = top.optional("zerosix", _zerosix)
    shop = read_shop(top, zerosix.ranks if zerosix else None, base_dir)
    ec2 = top.one_or_many("ec2", partial(_ec2, regions=[region.name for region in shop.catalogue.regions]))
    console = top.optional("console", _console)
    _check_front_ends(top, ec2, zerosix)
    _check_console(top, console, ec2, zerosix)
    return Settings(
        server=server,
        storage=top.section("storage", partial(_storage, data_dir=server.data_dir)),
        compute=top.section("compute", _compute),
        ec2=ec2,
        zerosix=zerosix,
        console=console,
        limits=top.section("limits", _limits),
        log=top.section("log", _log),
        catalogue=shop.catalogue,
        image_files=shop.image_files,
    )


# --- sections


def _server(table: Table, base_dir: Path) -> ServerSettings:
    return ServerSettings(
        listen=table.get("listen", kinds.endpoint, Endpoint("127.0.0.1", 8080)),
        public_url=table.get("public_url", kinds.origin, ""),
        data_dir=base_dir / table.get("data_dir", line, "data"),
        trusted_proxies=table.each("trusted_proxies", kinds.network),
        max_body_kib=table.get("max_body_kib", whole(1, 1024 * 1024), 1024),
        body_seconds=table.get("body_seconds", seconds(0.01, 3600), 30.0),
        shutdown_seconds=table.get("shutdown_seconds", seconds(0, 3600), 10.0),
        tls=table.optional("tls", partial(_tls, base_dir=base_dir)),
    )


def _tls(table: Table, base_dir: Path) -> TlsSettings:
    return TlsSettings(
        certificate=base_dir / table.need("certificate", line, ""), key=base_dir / table.need("key", line, "")
    )


def _storage(table: Table, data_dir: Path) -> StorageSettings:
    return StorageSettings(path=data_dir / table.get("url", kinds.sqlite_file, "onefleet.db"))


def _compute(table: Table) -> ComputeSettings:
    driver = table.get("driver", known("driver", DRIVERS), "simulated")
    return ComputeSettings(
        driver=driver,
        driver_settings=_driver_settings(table, driver),
        ports=table.get("ssh_ports", kinds.port_range, PortRange(20000, 32767)),
        ssh_host=table.get("ssh_host", kinds.host, "127.0.0.1"),
        sweep_seconds=table.get("sweep_seconds", seconds(0.01, 3600), 30.0),
        launch_timeout_seconds=table.get("launch_timeout_seconds", seconds(0.01, 86400), 600.0),
        sample_seconds=table.get("sample_seconds", kinds.seconds_or_never(1, 3600), 60.0),
        orphans=OrphanPolicy(table.get("orphans", one_of(*OrphanPolicy), OrphanPolicy.REPORT.value)),
        relay_from=table.each("relay_from", kinds.network),
    )


def _driver_settings(table: Table, driver: str) -> object:
    """Take every driver's table, so that changing drivers needs one line; only the chosen one's is judged."""
    tables = {name: table.raw(name) for name in DRIVERS}
    try:
        return DRIVERS[driver].read_settings(tables[driver])
    except ValueError as error:
        key, _, problem = str(error).partition(": ")
        table.refuse(f"{driver}.{key}", problem)
        return None


def _ec2(table: Table, regions: Sequence[str]) -> Ec2Settings:
    default = regions[0] if regions else ""
    return Ec2Settings(
        path=table.get("path", kinds.url_path, "/"),
        host=table.get("host", _any_host, ""),
        dialect=table.get("dialect", one_of("aws", "gigenet"), "aws"),
        region=table.get("region", known("region", ("", *regions)), default) or default,
        is_strict=table.get("strict", kinds.flag, default=False),
    )


def _any_host(value: object) -> str:
    return kinds.host(value).lower() if value != "" else ""


def _zerosix(table: Table) -> ZeroSixSettings:
    return ZeroSixSettings(
        path=kinds.as_folder(table.get("path", kinds.url_path, "/wp-json/api/v1/")),
        timezone=table.get("timezone", kinds.timezone, ZoneInfo("UTC")),
        ranks=table.section("ranks", _ranks),
    )


def _ranks(table: Table) -> Ranks:
    ranks = {attribute: table.each(attribute, kinds.name, words) for attribute, words in RANKS.items()}
    for attribute, words in ranks.items():
        table.require_distinct(f"{attribute}[{{}}]", words)
    return ranks


def _console(table: Table) -> ConsoleSettings:
    return ConsoleSettings(
        path=kinds.as_folder(table.get("path", kinds.console_path, kinds.CONSOLE_PATH)),
        title=table.get("title", line, "Onefleet"),
        issuer=table.each("issuer", line),
        session_hours=table.get("session_hours", whole(1, 24 * 365), 12),
        has_sign_up=table.get("sign_up", kinds.flag, default=False),
    )


def _limits(table: Table) -> LimitSettings:
    standard = Limits()
    per_account = {
        field.name: table.get(field.name, whole(0), getattr(standard, field.name)) for field in fields(Limits)
    }
    per_second = table.get("requests_per_second", kinds.rate, 0.0)
    return LimitSettings(Limits(**per_account), per_second, table.get("burst", whole(1), max(1, 2 * ceil(per_second))))


def _log(table: Table) -> LogSettings:
    return LogSettings(
        format=table.get("format", one_of("auto", "json", "console"), "auto"),
        level=table.get("level", one_of("debug", "info", "warning", "error"), "info"),
    )


def _check_front_ends(top: Table, ec2: Sequence[Ec2Settings], zerosix: ZeroSixSettings | None) -> None:
    if "ec2" not in top and "zerosix" not in top:
        top.refuse("ec2", "neither [ec2] nor [zerosix] is in the file, so nothing would be served; add one or both")
    taken: dict[tuple[str, str], int] = {}
    for number, endpoint in enumerate(ec2):
        name = f"ec2[{number}]" if len(ec2) > 1 else "ec2"
        if zerosix and kinds.as_folder(endpoint.path).startswith(zerosix.path):
            problem = f"{shown(endpoint.path)} lies within zerosix.path, which is {shown(zerosix.path)}"
            top.refuse(f"{name}.path", problem)
        first = taken.setdefault((endpoint.path, endpoint.host), number)
        if first != number:
            top.refuse(f"{name}.path", f"ec2[{first}] answers on {shown(endpoint.path)} already, under the same host")


def _check_console(
    top: Table, console: ConsoleSettings | None, ec2: Sequence[Ec2Settings], zerosix: ZeroSixSettings | None
) -> None:
    if console is None:
        return
    others = [endpoint.path for endpoint in ec2] + ([zerosix.path] if zerosix else [])
    for other in map(kinds.as_folder, others):
        if other.startswith(console.path) or (console.path.startswith(other) and other != "/"):
            top.refuse("console.path", f"{shown(console.path)} and {shown(other)} lie within one another")
