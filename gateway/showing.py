"""Shows the values of a configuration, each with its origin: as a TOML file that says the same, or for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence

from gateway.reading import ABSENT, BARE_KEY, Values, Written


def as_toml(values: Values) -> str:
    """Return a TOML document of the values, with the origin of each behind it; keys without a value are comments."""
    return "\n".join(_table(values, ())) + "\n"


def as_rows(values: Values) -> Sequence[Mapping[str, object]]:
    """Return a row for each value, with the dotted path of its key; that of a key without one is None."""
    return list(_rows(values, ""))


def _table(values: Values, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: its own values first, since those behind the head of another would be that one's."""
    for key, value in values.items():
        if isinstance(value, Written):
            yield _line(key, value)
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _headed("[{}]", value, (*path, key))
    for key, value in values.items():
        if isinstance(value, list):
            for each in value:
                yield from _headed("[[{}]]", each, (*path, key))


def _headed(brackets: str, values: Values, path: tuple[str, ...]) -> Iterator[str]:
    yield from ("", brackets.format(".".join(map(_key, path))))
    yield from _table(values, path)


def _line(key: str, written: Written) -> str:
    if written.value is ABSENT:
        return f"# {_key(key)} is not set"
    return f"{_key(key)} = {_toml(written.value)}  # {written.origin}"


def _rows(values: Values, prefix: str) -> Iterator[Mapping[str, object]]:
    for key, value in values.items():
        path = f"{prefix}{_key(key)}"
        if isinstance(value, Written):
            yield {"key": path, "value": None if value.value is ABSENT else value.value, "origin": value.origin}
        elif isinstance(value, dict):
            yield from _rows(value, f"{path}.")
        else:
            for index, each in enumerate(value):
                yield from _rows(each, f"{path}[{index}].")


# --- how TOML is written


def _toml(value: object) -> str:
    match value:
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case str():
            return _quoted(value)
    return json.dumps(value)  # numbers, true and false are the same in both


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # which JSON leaves as it is
