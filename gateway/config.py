"""Turns config.toml into validated settings. docs/configuration.md describes every key.

Reading is pure: no file that a key names is opened, and no address is looked up.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from importlib.resources import files
from math import ceil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from core.accounts import Network
from core.booking import PortRange
from core.catalogue import Catalogue
from core.compute.drivers import DRIVERS, DriverKind
from core.compute.site import ImageFiles, Site
from core.limits import Limits
from core.reconciler import OrphanPolicy
from gateway import kinds
from gateway.calling import called
from gateway.catalogue import RANKS, Ranks, read_shop
from gateway.credentials import credentials_folder
from gateway.datadir import KEY_FILE
from gateway.environment import overrides
from gateway.kinds import Endpoint, file_in, known, line, one_of, seconds, whole
from gateway.reading import ConfigError, Kind, Table, Values, Written, read_document, shown

__all__ = ["ConfigError", "Endpoint"]  # what callers need beside this module's own names

FILE_NAME = "config.toml"
FILE_VARIABLE = "ONEFLEET_CONFIG"

_SILENT: Mapping[str, str] = {}


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
    """The file of the SQLite database, and that of the key which opens the secrets in it."""

    path: Path
    key_file: Path


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


@dataclass(frozen=True, slots=True)
class Explained:
    """Settings, and all values that they were made of, as the file or the environment has them."""

    file: Path
    settings: Settings
    values: Values


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a file, by default the one that `locate` finds, with what the environment overrides.

    Raises:
        ConfigError: the file is missing or unreadable, or anything in it or in the environment is wrong.
    """
    return explain(path, environ).settings


def explain(path: Path | None, environ: Mapping[str, str] = os.environ) -> Explained:
    """Return the settings as `load` does, with where each value comes from.

    Raises:
        ConfigError: see `load`.
    """
    file = locate(path, environ)
    settings, values = _read(_document(file), file.absolute(), environ)
    return Explained(file, settings, values)


def locate(path: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path given, else the one in $ONEFLEET_CONFIG, else config.toml in the working directory."""
    return path or Path(environ.get(FILE_VARIABLE) or FILE_NAME)


def parse(document: Mapping[str, object], base_dir: Path, environ: Mapping[str, str] = _SILENT) -> Settings:
    """Return the settings that a TOML document describes; its relative paths start from `base_dir`.

    Raises:
        ConfigError: anything is wrong; it tells all of it, each line with the dotted path or variable of the culprit.
    """
    return _read(document, base_dir / FILE_NAME, environ)[0]


def reference() -> str:
    """Return a configuration that shows every key, with its default, its unit and its meaning, and is fit to begin."""
    return (files("gateway") / FILE_NAME).read_text(encoding="utf-8")


def _read(document: Mapping[str, object], file: Path, environ: Mapping[str, str]) -> tuple[Settings, Values]:
    written = Written(document, file.name, overrides(environ))
    return read_document(written, partial(_settings, base_dir=file.parent, credentials=credentials_folder(environ)))


def _document(file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(_how_to_begin(file)) from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}: line {line} is not UTF-8") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError; Python's limits on digits and on nesting
        raise ConfigError(f"{file}: not valid TOML: {error}") from error


def _how_to_begin(file: Path) -> str:
    naming = f"by --config FILE or ${FILE_VARIABLE}"
    if file == Path(FILE_NAME):
        return (
            f"there is no {FILE_NAME} here, in {Path.cwd()}. Two commands make one and start the gateway:"
            f" `{called()} init` and `{called()} serve`. If you have one elsewhere, name it {naming}."
        )
    return f"{file}: there is no such file. `{called()} init DIR` makes a folder with one; or name another {naming}."


def _settings(top: Table, base_dir: Path, credentials: Path) -> Settings:
    server = top.section("server", partial(_server, base_dir=base_dir, credentials=credentials))
    zerosix = top.optional("zerosix", _zerosix)
    shop = read_shop(top, zerosix.ranks if zerosix else None, base_dir)
    ec2 = top.one_or_many("ec2", partial(_ec2, regions=[region.name for region in shop.catalogue.regions]))
    console = top.optional("console", _console)
    _check_front_ends(top, ec2, zerosix)
    _check_console(top, console, ec2, zerosix)
    return Settings(
        server=server,
        storage=top.section("storage", partial(_storage, data_dir=server.data_dir, credentials=credentials)),
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


def _server(table: Table, base_dir: Path, credentials: Path) -> ServerSettings:
    return ServerSettings(
        listen=table.get("listen", kinds.endpoint, "127.0.0.1:8080"),
        public_url=table.get("public_url", kinds.origin, ""),
        data_dir=base_dir / table.get("data_dir", line, "data"),
        trusted_proxies=table.each("trusted_proxies", kinds.network),
        max_body_kib=table.get("max_body_kib", whole(1, 1024 * 1024), 1024),
        body_seconds=table.get("body_seconds", seconds(0.01, 3600), 30),
        shutdown_seconds=table.get("shutdown_seconds", seconds(0, 3600), 10),
        tls=table.optional("tls", partial(_tls, file=file_in(base_dir, credentials))),
    )


def _tls(table: Table, file: Kind[Path]) -> TlsSettings:
    return TlsSettings(certificate=table.need("certificate", file, Path()), key=table.need("key", file, Path()))


def _storage(table: Table, data_dir: Path, credentials: Path) -> StorageSettings:
    return StorageSettings(
        path=data_dir / table.get("url", kinds.sqlite_file, "sqlite:onefleet.db"),
        key_file=table.get("key_file", file_in(data_dir, credentials), KEY_FILE),
    )


def _compute(table: Table) -> ComputeSettings:
    driver = table.get("driver", known("driver", DRIVERS), "simulated")
    return ComputeSettings(
        driver=driver,
        driver_settings=_driver_settings(table, driver),
        ports=table.get("ssh_ports", kinds.port_range, "20000-32767"),
        ssh_host=table.get("ssh_host", kinds.host, "127.0.0.1"),
        sweep_seconds=table.get("sweep_seconds", seconds(0.01, 3600), 30),
        launch_timeout_seconds=table.get("launch_timeout_seconds", seconds(0.01, 86400), 600),
        sample_seconds=table.get("sample_seconds", kinds.seconds_or_never(1, 3600), 60),
        orphans=OrphanPolicy(table.get("orphans", one_of(*OrphanPolicy), OrphanPolicy.REPORT.value)),
        relay_from=table.each("relay_from", kinds.network),
    )


def _driver_settings(table: Table, driver: str) -> object:
    """Return the settings of the driver. Every driver's table is read, so that changing drivers needs one line."""
    read = {name: table.section(name, partial(_own_settings, kind=kind)) for name, kind in DRIVERS.items()}
    return read[driver]


def _own_settings(table: Table, kind: DriverKind[Any]) -> object:
    """Return what the driver makes of its own table; it is asked about each value by itself."""
    standard = asdict(kind.read_settings({}))
    values = {key: table.get(key, partial(_fit, kind, key), _as_toml(value)) for key, value in standard.items()}
    return kind.read_settings(values)


def _as_toml(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _fit(kind: DriverKind[Any], key: str, value: object) -> object:
    """Return the value if the driver takes it for that key."""
    try:
        kind.read_settings({key: value})
    except ValueError as error:
        raise ValueError(str(error).removeprefix(f"{key}: ")) from None
    return value


def _ec2(table: Table, regions: Sequence[str]) -> Ec2Settings:
    default = regions[0] if regions else ""
    return Ec2Settings(
        path=table.get("path", kinds.url_path, "/"),
        host=table.get("host", _any_host, ""),
        dialect=table.get("dialect", one_of("aws", "gigenet"), "aws"),
        region=table.get("region", known("region", ("", *regions)), "") or default,
        is_strict=table.get("strict", kinds.flag, default=False),
    )


def _any_host(value: object) -> str:
    return kinds.host(value).lower() if value != "" else ""


def _zerosix(table: Table) -> ZeroSixSettings:
    return ZeroSixSettings(
        path=kinds.as_folder(table.get("path", kinds.url_path, "/wp-json/api/v1/")),
        timezone=table.get("timezone", kinds.timezone, "UTC"),
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
    per_second = table.get("requests_per_second", kinds.rate, 0)
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
