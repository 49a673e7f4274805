"""The two references of the configuration, config.toml and docs/configuration.md, held to what the reader does."""

import re
import tomllib
from dataclasses import replace

import pytest

from gateway import config
from gateway.catalogue import RANKS
from tests.running import REPOSITORY
from tests.specimens import REFERENCE, anywhere, keys_in, known_keys, rows_of, with_every_key

SHIPPED = REPOSITORY / "config.toml"
PAGE = re.sub(
    r"^## What changes without.*?(?=^## )",
    "",
    (REPOSITORY / "docs/configuration.md").read_text(),
    flags=re.MULTILINE | re.DOTALL,
)
"""But for the list of keys that is no reference of them."""

MINIMAL = {
    "ec2": {},
    "zerosix": {},
    "console": {},
    "regions": [{"name": "ord1", "geo": "europe"}],
    "zones": [{"name": "ord1a", "region": "ord1"}],
    "images": [{"name": "tiny"}],
    "products": [
        {"slug": "one", "title": "One", "price": "1", "vcpus": 1, "memory_mib": 1, "disk_gib": 1, "image": "tiny"}
    ],
}
"""Every table, with what must be in it."""

DEFAULTS = {anywhere(row["key"]): row["value"] for row in rows_of(MINIMAL) if row["origin"] == "default"}
IN_WORDS = {
    "compute.qemu.closed_to": "all that is private",
    "images[].title": "the name",
    "limits.burst": "twice the former",
    "products[].instance_type": "the slug",
    **{f"zerosix.ranks.{attribute}": "as ZeroSix documents" for attribute in RANKS},
    **{key: "none" for key, value in DEFAULTS.items() if value is None},
}
"""Defaults that are not told as TOML has them."""

UNITS = {"seconds": "seconds", "hours": "hours", "kib": "KiB", "mib": "MiB", "gib": "GiB"}
"""What a key ends in that has a unit, and what that is called."""


# --- the file that is shipped


def test_the_shipped_file_is_right():
    settings = config.load(SHIPPED, {})
    assert settings.ec2
    assert settings.zerosix is not None
    assert {"nvidia-1060-100-gb-ssd", "nvidia-1080ti-100gb-ssd", "nvidia-titanxp", "gcl.1"} <= {
        product.slug for product in settings.catalogue.products
    }


def test_the_shipped_file_is_inside_the_program():
    assert config.reference() == REFERENCE


def test_the_shipped_file_shows_every_key():
    assert known_keys() <= set(keys_in(with_every_key()))


def test_the_shipped_file_comments_out_only_defaults():
    shipped, full = config.load(SHIPPED, {}), config.parse(with_every_key(), REPOSITORY)
    assert replace(full, server=replace(full.server, tls=None)) == shipped


def test_the_shipped_file_says_nothing_but_defaults_before_the_catalogue():
    shipped = config.load(SHIPPED, {})
    plain = config.parse({"ec2": {"region": ""}, "zerosix": {}, "console": {}}, REPOSITORY)
    assert replace(shipped, catalogue=plain.catalogue, ec2=plain.ec2) == plain


def comments():
    """What the shipped file says above each key, or above the first table of what is sold."""
    found, words, table, was_comment = {}, [], "", False
    for line in REFERENCE.splitlines():
        is_comment = line.startswith("# ")
        if is_comment:
            words = [*words, line[2:]] if was_comment else [line[2:]]
        elif head := re.fullmatch(r"#?\[(\[?)([a-z0-9.]+)\]+", line):
            table = f"{head[2]}[]" if head[1] else head[2]
        elif key := re.match(r"#?([a-z_-]+) = ", line):
            found.setdefault(f"{table}.{key[1]}", " ".join(words))
        was_comment = is_comment
    return found


COMMENTS = comments()


def about(key):
    """What the shipped file says about a key; where all keys of a table are told at once, up to the next of them."""
    if "[]" not in key:
        return COMMENTS[key]
    named = re.search(rf"\b{key.rpartition('.')[2]}\b[^:]*:(.*?)(?=\b\w+(?:, \w+)*: |$)", COMMENTS[key])
    assert named, f"nothing is said about {key}"
    return named[0]


@pytest.mark.parametrize("key", sorted(COMMENTS.keys() & DEFAULTS.keys()))
def test_the_shipped_file_tells_each_default(key):
    _, word, told = re.split("([Dd]efaults?)", about(key), maxsplit=1)
    assert word
    assert IN_WORDS.get(key, as_told(DEFAULTS[key])) in told


def as_told(value):
    if value == []:
        return "none"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value).lower()


@pytest.mark.parametrize("key", sorted(key for key in COMMENTS if key.rpartition("_")[2] in UNITS))
def test_the_shipped_file_tells_each_unit(key):
    assert re.search(rf"\b{UNITS[key.rpartition('_')[2]]}\b", about(key), re.IGNORECASE)


@pytest.mark.parametrize("key", sorted(key for key in COMMENTS if not key.endswith("[].name")))
def test_the_shipped_file_explains_each_key(key):
    assert about(key)


# --- the page


def test_the_page_has_every_key_and_no_other():
    described = set(re.findall(r"^\| `([a-z0-9_\[\].-]+)` \|(?! in | absolute)", PAGE, flags=re.MULTILINE))
    assert described == known_keys() - {"server", "storage", "compute", "limits", "log"}


@pytest.mark.parametrize("key", sorted(DEFAULTS))
def test_the_page_tells_each_default(key):
    [told] = re.findall(rf"^\| `{re.escape(key)}` \| (.*?) \|", PAGE, re.MULTILINE)
    if key.startswith("zerosix.ranks."):
        assert told == f"`{DEFAULTS[key][0]}` … `{DEFAULTS[key][-1]}`"
    elif key in IN_WORDS:
        assert told == IN_WORDS[key]
    else:
        assert tomllib.loads(f"told = {told.strip('`')}")["told"] == DEFAULTS[key]
