"""Pages made of templates: what every page is given, and how times, money and sizes read."""

import asyncio
import gzip
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, meta
from markupsafe import Markup, escape

from core.service import Core
from core.tags import ResourceKind
from protocols import ids
from protocols.console import auth
from protocols.console.settings import ConsoleSettings

if TYPE_CHECKING:
    from protocols.console.routes import Visit

_PACKAGE = "protocols.console"
_KIB = 1024
_WORTH_COMPRESSING = 1024
_NOTHING = "-"
_CENT = Decimal("0.01")
_MIME = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", "": "text/plain"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


# --- files that never change while the gateway runs


@dataclass(frozen=True, slots=True)
class Static:
    """A file that pages need, with its digest in its address, so that browsers may keep it for ever."""

    name: str
    content: bytes
    kind: str
    address: str


class StaticFiles:
    """The stylesheet, the scripts and the icons."""

    def __init__(self, path: str) -> None:
        root = resources.files(_PACKAGE) / "static"
        self._by_name: dict[str, Static] = {}
        for folder, prefix in ((root, ""), (root / "vendor", "vendor/")):
            for file in folder.iterdir():
                if file.is_file():
                    static = _static(path, prefix + file.name, file.read_bytes())
                    self._by_name[static.name] = static
        self._by_address = {static.address: static for static in self._by_name.values()}
        self._packed = lru_cache(maxsize=None)(lambda name: gzip.compress(self._by_name[name].content, mtime=0))

    def address(self, name: str) -> str:
        """Return where a file is to be had. There must be one of the name."""
        return self._by_name[name].address

    def answer(self, request: web.Request, address: str) -> web.Response | None:
        """Return a file; None if there is none at the address."""
        static = self._by_address.get(address)
        if static is None:
            return None
        headers = {
            "Content-Type": f"{static.kind}; charset=utf-8",
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept-Encoding",
        }
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=static.content, headers=headers)
        return web.Response(body=self._packed(static.name), headers={**headers, "Content-Encoding": "gzip"})


def _static(path: str, name: str, content: bytes) -> Static:
    digest = hashlib.sha256(content).hexdigest()[:12]
    suffix = name[name.rindex(".") :] if "." in name else ""
    return Static(name, content, _MIME.get(suffix, "application/octet-stream"), f"{path}static/{digest}/{name}")


# --- pages


class Pages:
    """Makes pages. A template is compiled when it is first needed, with all that it is made of, and not in the loop."""

    def __init__(self, core: Core, settings: ConsoleSettings) -> None:
        self._core, self._settings = core, settings
        self.files = StaticFiles(settings.path)
        self.cookies = auth.Cookies(settings.path)
        self._environment = Environment(
            loader=PackageLoader(_PACKAGE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= FILTERS
        self._environment.globals |= {"static": self.files.address, "settings": settings, "url": self._url}
        self._templates: dict[str, Template] = {}

    async def page(self, visit: "Visit", template: str, values: Mapping[str, object]) -> web.Response:
        """Return a page; the message that the last one left is shown on it, and is forgotten."""
        return await self._answer(visit, template, values)

    async def part(self, visit: "Visit", template: str, values: Mapping[str, object]) -> web.Response:
        """Return a part of a page."""
        return await self._answer(visit, template, values)

    def redirect(self, visit: "Visit", path: str, message: str) -> web.Response:
        """Return what leads the browser to a page of ours, which will show the message."""
        response = web.Response(status=303, headers={**HEADERS, "Location": self._url(path)})
        if message:
            self.cookies.give_message(response, visit.exchange, self._core, message)
        return response

    async def _answer(self, visit: "Visit", name: str, values: Mapping[str, object]) -> web.Response:
        template = await self._template(name)
        text = template.render({**self._common(visit), **values})
        response = web.Response(
            status=visit.status,
            text=text,
            content_type="text/html",
            charset="utf-8",
            headers={**HEADERS, "Vary": "Accept-Encoding", **visit.headers},
        )
        if len(text) >= _WORTH_COMPRESSING:
            response.enable_compression()
        if visit.message:
            self.cookies.give_message(response, visit.exchange, self._core, "")
        return response

    def _common(self, visit: "Visit") -> Mapping[str, object]:
        session = visit.who.sign_in.digest if visit.who is not None else ""
        return {
            "visit": visit,
            "who": visit.who,
            "form": visit.form,
            "now": visit.now,
            "message": visit.message,
            "here": visit.route.template,
            "form_token": _Once(lambda: auth.form_token(self._core, session)),
        }

    async def _template(self, name: str) -> Template:
        if name not in self._templates:
            self._templates[name] = await asyncio.to_thread(self._compiled, name)
        return self._templates[name]

    def _compiled(self, name: str) -> Template:
        """Return a template after those that it is made of, which it would otherwise compile when it is rendered."""
        source = (resources.files(_PACKAGE) / "templates" / name).read_text(encoding="utf-8")
        for part in meta.find_referenced_templates(self._environment.parse(source)):
            if part is not None and part not in self._templates:
                self._templates[part] = self._compiled(part)
        return self._environment.get_template(name)

    def _url(self, path: object = "") -> str:
        return f"{self._settings.path}{path}"


class _Once:
    """A text that is made when it is first needed."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make, self._text = make, ""

    def __str__(self) -> str:
        self._text = self._text or self._make()
        return self._text


# --- how things read


def _moment(moment: datetime | None, otherwise: str = _NOTHING) -> Markup:
    """Return a time, in UTC until the browser words it in its own zone."""
    if moment is None:
        return escape(otherwise)
    stamp, text = f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M}"
    return Markup('<time datetime="{}" title="{} UTC">{} UTC</time>').format(stamp, text, text)


def _duration(length: timedelta) -> str:
    """Return a length of time in its two largest units."""
    minutes = int(length.total_seconds()) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _money(amount: Decimal | None, currency: str = "") -> str:
    """Return an amount with at least two decimals, and as many more as it has."""
    if amount is None:
        return _NOTHING
    exact = amount.normalize()
    exponent = exact.as_tuple().exponent
    places = max(2, min(6, -exponent if isinstance(exponent, int) else 2))
    return f"{exact:,.{places}f} {currency}".rstrip()


def _cents(amount: Decimal, currency: str = "") -> str:
    """Return an amount rounded to two decimals, as sums are told: a half goes up, as people do it."""
    return f"{amount.quantize(_CENT, ROUND_HALF_UP):,} {currency}".rstrip()


def _plain(amount: Decimal | None) -> str:
    """Return an amount as it is typed into a field; empty for none."""
    return "" if amount is None else f"{amount:f}"


def _memory(mib: float) -> str:
    """Return a size that is counted in MiB."""
    return f"{mib / _KIB:g} GiB" if mib >= _KIB and mib % _KIB == 0 else f"{mib:g} MiB"


def _size(count: float) -> str:
    """Return a number of bytes."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= _KIB and len(units) > 1:
        value, units = value / _KIB, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def _count(number: int, one: str, many: str = "") -> str:
    """Return a number of things: "1 machine", "2 machines"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _spelled(number: int, kind: str) -> str:
    """Return an id as EC2 writes it."""
    return ids.spell(ResourceKind(kind), number)


_SLUG = re.compile(r"[^a-z0-9]+")


def _slug(text: object) -> str:
    """Return something that can be part of an element's id."""
    return _SLUG.sub("-", str(text).lower()).strip("-")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "moment": _moment,
    "duration": _duration,
    "money": _money,
    "cents": _cents,
    "plain": _plain,
    "memory": _memory,
    "size": _size,
    "count_of": _count,
    "spelled": _spelled,
    "owner": ids.owner_id,
    "slug": _slug,
}
