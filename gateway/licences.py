"""What is inside Onefleet: every part, under which licence, and the licences' texts.

What `make dist` builds carries the list of its parts in parts.json, written by .ci/dist/parts.py; everywhere else the
list is made of what the installed packages tell about themselves.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import import_module, resources
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from itertools import chain
from pathlib import Path
from typing import Any

from gateway.trouble import Trouble

_LIST = Path(__file__).with_name("parts.json")
_OURS = "onefleet"


class Kind(StrEnum):
    """What a part is, in the order in which parts are told."""

    OURS = "this program"
    SCRIPT = "script"
    DATA = "data"
    PYTHON = "Python package"
    NATIVE = "native library"
    CRATE = "Rust crate"
    DEBIAN = "Debian package"


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is inside.

    `version` is empty where nothing tells it. `licence` is an SPDX expression, or empty where none is told. `within`
    names the part that brings this one, whose texts then hold for both if there are none of its own.
    """

    name: str
    version: str
    licence: str
    kind: Kind
    within: str = ""
    homepage: str = ""
    texts: tuple[str, ...] = ()


def parts() -> Sequence[Part]:
    """Return everything that is inside, in order.

    Raises:
        Trouble: Onefleet is neither built nor installed, so that nothing tells its parts.
    """
    return parse(_LIST.read_text(encoding="utf-8")) if _LIST.exists() else in_order(_installed())


def in_order(found: Iterable[Part]) -> Sequence[Part]:
    """Return the parts by kind, then by name."""
    kinds = list(Kind)
    return sorted(found, key=lambda part: (kinds.index(part.kind), part.name.lower(), part.within, part.version))


def document(found: Iterable[Part]) -> str:
    """Return parts as parts.json has them."""
    return json.dumps([asdict(part) for part in found], ensure_ascii=False, indent=1) + "\n"


def parse(text: str) -> Sequence[Part]:
    """Return the parts that a `document` tells."""
    return [
        Part(**{**fields, "kind": Kind(fields["kind"]), "texts": tuple(fields["texts"])}) for fields in json.loads(text)
    ]


def _installed() -> Iterator[Part]:
    try:
        needed = _needed(_OURS)
    except PackageNotFoundError:
        raise Trouble(
            "licences: the parts are told by what pip installed, and Onefleet itself is not installed here;"
            " install it (make venv, or pipx install), or ask dist/onefleet"
        ) from None
    return chain(chain.from_iterable(map(of_distribution, needed)), vendored())


def _needed(name: str) -> Sequence[Distribution]:
    """Return the distribution and all that it needs, directly or not.

    Whether a requirement's marker holds here is not computed: what it names is installed if it does. Extras are not
    ours: no requirement names one.
    """
    found = {name: distribution(name)}
    waiting = [found[name]]
    while waiting:
        for required in _required(waiting.pop()):
            if required not in found and (there := _found(required)) is not None:
                found[required] = there
                waiting.append(there)
    return list(found.values())


def _required(needy: Distribution) -> Iterator[str]:
    for requirement in needy.requires or ():
        if not re.search(r"\bextra\s*==", requirement):
            yield normal(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])


def _found(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def normal(name: str) -> str:
    """Return the one spelling of a distribution's name. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


# --- distributions, and what their wheels bring


def of_distribution(installed: Distribution) -> Iterator[Part]:
    """Yield an installed distribution, and what its wheel has inside, as far as that is known."""
    name = normal(installed.name)
    files = [file for file in installed.files or () if file.parts[0].endswith(".dist-info")]
    yield Part(
        name,
        installed.version,
        _licence(installed),
        Kind.OURS if name == _OURS else Kind.PYTHON,
        homepage=_homepage(installed),
        texts=tuple(_text(file) for file in files if _is_licence(file)),
    )
    for file in files:
        if file.parent.name == "sboms":
            yield from _of_sbom(json.loads(_text(file)), name)
    for native in _NATIVE.get(name, ()):
        yield Part(native.name, native.version(), native.licence, Kind.NATIVE, name, native.homepage)


_CLASSIFIERS: Mapping[str, str] = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
"""What a classifier means where nothing tells more. BSD-3-Clause is what Jinja2 and segno, which say no more, have."""

_IDENTIFIER = re.compile(r"(?=.*\d)[\w.-]+|MIT")


def _licence(installed: Distribution) -> str:
    """Return the SPDX expression: as told, or as an old field that is one, or what the classifiers mean."""
    told, old = _field(installed, "License-Expression"), _field(installed, "License")
    if told or _IDENTIFIER.fullmatch(old):
        return told or old
    classifiers = (line.rpartition(" :: ")[2] for line in installed.metadata.get_all("Classifier") or ())
    return " OR ".join(sorted({_CLASSIFIERS[each] for each in classifiers if each in _CLASSIFIERS}))


def _homepage(installed: Distribution) -> str:
    addresses = [line.split(", ", 1) for line in installed.metadata.get_all("Project-URL") or ()]
    by_label = {label.lower(): address for label, address in addresses}
    labels = ("homepage", "home", "source", "repository", "github", "documentation")
    return _field(installed, "Home-page") or next((by_label[label] for label in labels if label in by_label), "")


def _field(installed: Distribution, name: str) -> str:
    return next(iter(installed.metadata.get_all(name) or ()), "")


def _is_licence(file: PackagePath) -> bool:
    return "licenses" in file.parts or file.stem.upper() in {"LICENSE", "LICENCE", "COPYING", "NOTICE"}


def _text(file: PackagePath) -> str:
    return Path(file.locate()).read_text(encoding="utf-8")


_UNTOLD: Mapping[str, str] = {"openssl": "Apache-2.0"}
"""Licences of what wheels' own lists name without one."""


def _of_sbom(told: Mapping[str, Any], within: str) -> Iterator[Part]:
    """Yield what a wheel's own CycloneDX list names, but for what only built it, and for the wheel's own crates."""
    for component in told["components"]:
        purl = component.get("purl", "")
        if component.get("scope") == "excluded" or "download_url=file:" in purl:
            continue
        yield Part(
            component["name"],
            component["version"],
            component["licenses"][0]["expression"] if "licenses" in component else _UNTOLD.get(component["name"], ""),
            Kind.CRATE if purl.startswith("pkg:cargo/") else Kind.NATIVE,
            within,
            next((each["url"] for each in component.get("externalReferences", ()) if each["type"] == "website"), ""),
        )


def _untold() -> str:
    return ""


def _tuple_of_lxml(name: str) -> Callable[[], str]:
    return lambda: ".".join(map(str, getattr(import_module("lxml.etree"), name)))


def _libuv() -> str:
    number = import_module("uvloop.loop").libuv_get_version()
    return f"{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF}"


@dataclass(frozen=True, slots=True)
class _Native:
    """A library inside a wheel that brings no list of its own."""

    name: str
    licence: str
    homepage: str
    version: Callable[[], str] = _untold


_NATIVE: Mapping[str, Sequence[_Native]] = {
    "aiohttp": [_Native("llhttp", "MIT", "https://llhttp.org")],
    "cffi": [_Native("libffi", "MIT", "https://sourceware.org/libffi/")],
    "lxml": [
        _Native("libiconv", "LGPL-2.1-or-later", "https://www.gnu.org/software/libiconv/"),
        _Native("libxml2", "MIT", "https://gitlab.gnome.org/GNOME/libxml2", _tuple_of_lxml("LIBXML_VERSION")),
        _Native("libxslt", "MIT", "https://gitlab.gnome.org/GNOME/libxslt", _tuple_of_lxml("LIBXSLT_VERSION")),
        _Native("zlib", "Zlib", "https://zlib.net"),
    ],
    "pyinstaller": [_Native("zlib", "Zlib", "https://zlib.net")],
    "uvloop": [_Native("libuv", "MIT", "https://libuv.org", _libuv)],
}


# --- what lies in our own folders


_SCRIPT = re.compile(r"^== (?P<name>\S+) (?P<version>\S+), (?P<licence>.+) \(.+\)\n", re.MULTILINE)


def vendored() -> Iterator[Part]:
    """Yield what others wrote and lies in our own packages: the console's scripts, and the models of EC2 and STS."""
    yield from _scripts(_read("protocols.console", "static/vendor/LICENCES"))
    made_of = re.search(r"botocore (\d[\d.]+\d)", _read("protocols.ec2", "shapes.py"))
    version = made_of[1] if made_of else ""
    notice = _read("protocols.ec2", "NOTICE")
    yield Part(
        "botocore", version, "Apache-2.0", Kind.DATA, homepage="https://github.com/boto/botocore", texts=(notice,)
    )


def _scripts(licences: str) -> Iterator[Part]:
    found = [*_SCRIPT.finditer(licences)]
    ends = [each.start() for each in found[1:]] + [len(licences)]
    for each, end in zip(found, ends, strict=True):
        text = licences[each.end() : end].strip() + "\n"
        homepage = f"https://www.npmjs.com/package/{each['name']}"
        yield Part(each["name"], each["version"], each["licence"], Kind.SCRIPT, homepage=homepage, texts=(text,))


def _read(package: str, path: str) -> str:
    return resources.files(package).joinpath(path).read_text(encoding="utf-8")
