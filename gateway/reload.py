"""Reads config.toml again while the gateway runs. What can change at once does, all of it or nothing."""

import asyncio
import re
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import reduce

import structlog

from core.administration import Administration
from core.compute.drivers import DRIVERS
from core.errors import StoreUnavailable
from gateway.config import ConfigError, Explained, Settings
from gateway.current import Current
from gateway.reading import Values, Written
from gateway.tls import Tls, UnusableCertificate, load_certificate

Take = Callable[[Settings, Settings], Settings]
"""Returns the running settings, the first, with a part of those that were read, the second."""

_INDEX, _END = re.compile(r"\[[0-9]+\]"), re.compile(r"[.\[]|$")
"""Of dotted keys: the number of an element, and where the name of something ends."""


def _take_shop(running: Settings, read: Settings) -> Settings:
    return replace(running, catalogue=read.catalogue, image_files=read.image_files)


def _take_regions(running: Settings, read: Settings) -> Settings:
    found = {(each.path, each.host): each for each in read.ec2}
    anew = [(old, found.get((old.path, old.host), old)) for old in running.ec2]
    return replace(running, ec2=[replace(old, region=new.region, is_strict=new.is_strict) for old, new in anew])


def _take_ranks(running: Settings, read: Settings) -> Settings:
    if running.zerosix is None or read.zerosix is None:
        return running
    return replace(running, zerosix=replace(running.zerosix, ranks=read.zerosix.ranks))


def _take_limits(running: Settings, read: Settings) -> Settings:
    return replace(running, limits=read.limits)


def _take_level(running: Settings, read: Settings) -> Settings:
    return replace(running, log=replace(running.log, level=read.log.level))


def _take_tls(running: Settings, read: Settings) -> Settings:
    if running.server.tls is None or read.server.tls is None:
        return running
    return replace(running, server=replace(running.server, tls=read.server.tls))


LIVE: Mapping[str, Take] = {
    "regions": _take_shop,
    "zones": _take_shop,
    "images": _take_shop,
    "products": _take_shop,
    "ec2.region": _take_regions,
    "ec2.strict": _take_regions,
    "zerosix.ranks": _take_ranks,
    "limits": _take_limits,
    "log.level": _take_level,
    "server.tls.certificate": _take_tls,
    "server.tls.key": _take_tls,
}
"""The keys, with all below them, that take effect at once, and how. All others wait for the next start."""


class Reloader:
    """Lets what the configuration says by now take effect, as far as that can be without a start."""

    def __init__(
        self,
        current: Current,
        administration: Administration,
        tls: Tls | None,
        read: Callable[[], Explained],
        values: Values,
    ) -> None:
        """`read` reads the configuration again; `values` are those that the running settings were made of."""
        self._current, self._administration, self._tls, self._read = current, administration, tls, read
        self._values = dict(_flat(values))
        self._log = structlog.get_logger("gateway")

    async def reload(self) -> bool:
        """Return whether what is configured now has taken effect. The log tells what has, or why nothing has.

        Calls must not overlap.
        """
        try:
            read = await asyncio.to_thread(self._read)
            settings = reduce(lambda running, take: take(running, read.settings), LIVE.values(), self._current.settings)
            _judge(settings)
            certificate = await asyncio.to_thread(_certificate_of, settings)
            await self._administration.set_catalogue(settings.catalogue)
        except (ConfigError, UnusableCertificate, StoreUnavailable) as error:
            for problem in error.problems if isinstance(error, ConfigError) else [str(error)]:
                self._log.error("the configuration stays as it was: %s", problem)
            return False
        self._current.change(settings)
        if self._tls is not None and certificate is not None:
            self._tls.use(certificate)
        self._tell(dict(_flat(read.values)))
        return True

    def _tell(self, values: Mapping[str, object]) -> None:
        """Log what has changed. What waits for the next start goes on counting as changed."""
        changed = _highest({key for key in {*self._values, *values} if self._values.get(key) != values.get(key)})
        applied = {name for key in changed if (name := _live_name(key))}
        waiting = {key for key in changed if not _live_name(key)}
        kept = {key: value for key, value in self._values.items() if _is_within(key, waiting)}
        self._values = kept | {key: value for key, value in values.items() if not _is_within(key, waiting)}
        tls = self._current.settings.server.tls
        certificate = str(tls.certificate) if tls else None
        self._log.info("the configuration was read again", applied=sorted(applied), certificate=certificate)
        if waiting:
            self._log.warning("some keys take effect at the next start only: %s", ", ".join(sorted(waiting)))


def _judge(settings: Settings) -> None:
    """Return if the driver that runs can do with these settings; else raise a `ConfigError`."""
    compute = settings.compute
    try:
        DRIVERS[compute.driver].judge(compute.driver_settings, settings.site)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _certificate_of(settings: Settings) -> ssl.SSLContext | None:
    return load_certificate(settings.server.tls) if settings.server.tls else None


# --- keys


def _flat(values: Values, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield each value by its dotted path, and the length of each list of tables."""
    for key, each in values.items():
        if isinstance(each, Written):
            yield f"{path}{key}", each.value
        elif isinstance(each, list):
            yield f"{path}{key}", len(each)
            for index, table in enumerate(each):
                yield from _flat(table, f"{path}{key}[{index}].")
        else:
            yield from _flat(each, f"{path}{key}.")


def _highest(keys: Collection[str]) -> Collection[str]:
    """Return the keys but for those that lie within others: a section that comes or goes is told once."""
    return [key for key in keys if not any(above in keys for above in _path(key) if above != key)]


def _is_within(key: str, others: Collection[str]) -> bool:
    return any(above in others for above in _path(key))


def _path(key: str) -> Iterator[str]:
    """Yield all that the key lies within, and the key itself."""
    for end in _END.finditer(key):
        yield key[: end.start()]


def _live_name(key: str) -> str:
    """Return the key of `LIVE` that a key belongs to, or nothing."""
    return next((name for name in _path(_INDEX.sub("", key)) if name in LIVE), "")
