"""Documents that show every key of the configuration, and those keys."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway import config, showing
from gateway.reading import Reading, Table, Written
from tests.running import REPOSITORY, Document

HERE = Path("/etc/onefleet")
REFERENCE = (REPOSITORY / "config.toml").read_text()

EMPTY: Document = {
    "server": {"tls": {}},
    "ec2": {},
    "zerosix": {},
    "console": {},
    "regions": [{}],
    "zones": [{}],
    "images": [{}],
    "products": [{"gpu": {}}],
}
"""Every table, with nothing in it."""


def with_every_key() -> Document:
    """Return the shipped file as it is once every key that is commented out is taken in."""
    return tomllib.loads(re.sub(r"^#(?=[\[a-z])", "", REFERENCE, flags=re.MULTILINE))


def known_keys() -> set[str]:
    """Return every key that the reader looks for, as the reference writes it: products[].gpu.count."""
    reading = Reading()
    config._settings(Table("", Written(EMPTY, "config.toml"), reading), HERE, HERE)
    return {anywhere(key) for key in reading.keys}


def anywhere(path: str) -> str:
    """Return the path of a key in whichever element of a list."""
    return re.sub(r"\[\d+\]", "[]", path)


def rows_of(document: Document, environ: Mapping[str, str] | None = None) -> Sequence[Mapping[str, Any]]:
    """Return each value that a document makes, with its key and its origin."""
    return showing.as_rows(config._read(document, HERE / "config.toml", environ or {})[1])


def way(path: str) -> Sequence[str | int]:
    """Return the steps to products[0].gpu.count."""
    return [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]


def keys_in(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every key of a document, as `known_keys` has them."""
    for key, value in document.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from keys_in(value, f"{prefix}{key}.")
        elif isinstance(value, list) and any(isinstance(element, dict) for element in value):
            for element in value:
                yield from keys_in(element, f"{prefix}{key}[].")
