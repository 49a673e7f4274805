"""ZeroSix for the API explorer. See `protocols.explorable.Explorable`."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pprint import pformat
from shlex import quote as shell
from typing import Any

from protocols.explorable import (
    Extra,
    Field,
    FieldKind,
    Operation,
    Origin,
    Prepared,
    Signer,
    Spelling,
    Unfit,
    Values,
    lines,
    php_text,
    sendable,
    single,
)
from protocols.zerosix import oauth1
from protocols.zerosix.app import all_routes
from protocols.zerosix.parameters import Parameter
from protocols.zerosix.routes import Endpoint, Route
from protocols.zerosix.settings import ZeroSixSettings

_JSON = "application/json"
_WITH_BODY = frozenset({"PUT", "POST"})
_CREDENTIALS = ("oauth_", "consumer_")
_SECRET = "CONSUMER_SECRET"  # noqa: S105  a variable's name
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Served:
    """An operation, and what it is called by: `variable` is the name of the part of the path that differs."""

    operation: Operation
    method: str
    template: str
    variable: str
    types: Mapping[str, str]

    @property
    def has_body(self) -> bool:
        """Whether its parameters are sent as JSON, and not in the query."""
        return self.method in _WITH_BODY


class ZeroSixExplorable:
    """The routes for the API explorer. See `protocols.explorable.Explorable`."""

    name = "ZeroSix"
    has_regions = False

    def __init__(self, settings: ZeroSixSettings) -> None:
        self.change(settings)

    def change(self, settings: ZeroSixSettings) -> None:
        """Show what the front-end answers by these settings."""
        self._settings = settings
        self._served = {each.operation.name: each for each in _served(settings)}
        self._operations = tuple([each.operation for each in self._served.values()])

    def operations(self) -> Sequence[Operation]:
        """See `Explorable.operations`."""
        return self._operations

    def prepare(self, operation: str, values: Values, extra: Extra, *, origin: Origin, signer: Signer) -> Prepared:
        """See `Explorable.prepare`. The request is signed with OAuth 1.0a, HMAC-SHA1, in its header."""
        served = self._served[operation]
        path, pairs = self._path(served, values), _pairs(served, values, extra)
        query = () if served.has_body else pairs
        headers = [("Host", origin.host), ("Authorization", _authorization(served.method, path, query, origin, signer))]
        target = f"{path}?{_joined(query)}" if query else path
        if not served.has_body:
            return Prepared(served.method, target, headers)
        body = json.dumps(_document(served, pairs)).encode()
        return Prepared(served.method, target, [*headers, ("Content-Type", _JSON)], body)

    def spell(
        self,
        operation: str,
        values: Values,
        extra: Extra,
        *,
        origin: Origin,
        region: str,  # noqa: ARG002  the protocol's
        access_key: str,
    ) -> Sequence[Spelling]:
        """See `Explorable.spell`. curl, which cannot sign with OAuth, is left out where others could read along."""
        served = self._served[operation]
        pairs = _pairs(served, values, extra)
        asked = _Asked(served, origin, self._path(served, values), pairs, access_key)
        spelled = [Spelling("Python", _python(asked)), Spelling("PHP", _php(asked))]
        if origin.is_private:
            spelled.insert(0, Spelling("curl", _curl(asked)))
        if self._is_wordpress:
            spelled.append(Spelling("WooCommerce for Python", _woocommerce(asked, self._settings)))
        return spelled

    def _path(self, served: _Served, values: Values) -> str:
        path = self._settings.path + served.template
        if not served.variable:
            return path
        value = sendable(served.variable, single(values.get(served.variable, ())).strip())
        if value in {"", ".", ".."}:
            raise Unfit(served.variable, "this is a part of the path; fill it in.")
        return path.replace(f"{{{served.variable}}}", oauth1.encode(value))

    @property
    def _is_wordpress(self) -> bool:
        """Whether WooCommerce's clients find the routes: these are sure of the folder's name."""
        return self._settings.root.endswith("/wp-json/") and bool(self._settings.namespace)


# --- operations


def _served(settings: ZeroSixSettings) -> Iterator[_Served]:
    for route in all_routes(settings):
        for method, endpoint in route.endpoints.items():
            yield _operation(route, method, endpoint, settings)


def _operation(route: Route, method: str, endpoint: Endpoint, settings: ZeroSixSettings) -> _Served:
    variable = route.variable
    part = [Field(variable.name, FieldKind.TEXT, variable.description, is_required=True)] if variable else []
    fields = [field for parameter in endpoint.takes for field in _fields(parameter, settings)]
    operation = Operation(
        f"{method} {route.template or '/'}",
        "Index" if endpoint.is_public else route.template.partition("/")[0].capitalize(),
        endpoint.summary,
        method == "GET",
        (*part, *fields),
    )
    types = {parameter.name: str(parameter.kind.schema(settings).get("type")) for parameter in endpoint.takes}
    return _Served(operation, method, route.template, variable.name if variable else "", types)


_KINDS: Mapping[str, FieldKind] = {
    "integer": FieldKind.NUMBER,
    "number": FieldKind.NUMBER,
    "boolean": FieldKind.FLAG,
    "array": FieldKind.LIST,
}


def _fields(parameter: Parameter[Any], settings: ZeroSixSettings) -> Iterator[Field]:
    """Yield the field of a parameter; of one with members, a field for each, as `attributes[gpu]`."""
    schema: Mapping[str, Any] = parameter.kind.schema(settings)
    for name, member in schema.get("properties", {}).items():
        yield Field(f"{parameter.name}[{name}]", FieldKind.CHOICE, parameter.description, tuple(member["enum"]))
    if "properties" in schema:
        return
    choices = tuple(schema.get("enum") or schema.get("items", {}).get("enum") or ())
    kind = _KINDS.get(str(schema.get("type")), FieldKind.CHOICE if choices else FieldKind.TEXT)
    default = "" if parameter.default is None else _shown(parameter.default)
    yield Field(parameter.name, kind, parameter.description, choices, parameter.is_required, default)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- what is sent


def _pairs(served: _Served, values: Values, extra: Extra) -> Pairs:
    if own := [name for name, _ in extra if name.startswith(_CREDENTIALS)]:
        raise Unfit("extra", f"{own[0]} is the explorer's own to send; leave it out.")
    typed = [(field.name, _text(field, values.get(field.name, ()))) for field in served.operation.fields]
    told = [(name, value) for name, value in typed if value and name != served.variable]
    return [(name, sendable(name, value)) for name, value in (*told, *extra)]


def _text(field: Field, typed: Sequence[str]) -> str:
    return ",".join(lines(typed)) if field.kind is FieldKind.LIST else single(typed).strip()


def _document(served: _Served, pairs: Pairs) -> dict[str, object]:
    return {name: _VALUES.get(served.types.get(name, ""), str)(text) for name, text in pairs}


def _whole(text: str) -> int | str:
    # What is no number is sent as it is, to see it refused.
    return int(text) if _WHOLE.fullmatch(text) else text


def _flag(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)


_VALUES: Mapping[str, Callable[[str], object]] = {
    "integer": _whole,
    "boolean": _flag,
    "array": lambda text: text.split(","),
}
"""What JSON says for a text, by the schema's type; a number with a fraction stays a text, which is as good."""


def _joined(pairs: Pairs) -> str:
    return "&".join([f"{oauth1.encode(name)}={oauth1.encode(value)}" for name, value in pairs])


def _authorization(method: str, path: str, query: Pairs, origin: Origin, signer: Signer) -> str:
    """Return the header that signs the request."""
    ours = {
        "oauth_consumer_key": signer.access_key,
        "oauth_nonce": signer.nonce,
        "oauth_signature_method": oauth1.SignatureMethod.HMAC_SHA1.value,
        "oauth_timestamp": str(int(signer.now.timestamp())),
        "oauth_version": "1.0",
    }
    uri = oauth1.base_string_uri(origin.scheme, origin.host, path)
    text = oauth1.join_base_string(method, uri, oauth1.normalize([*query, *ours.items()]))
    key = f"{oauth1.encode(signer.secret_key)}&"
    signed = {**ours, "oauth_signature": oauth1.sign(oauth1.SignatureMethod.HMAC_SHA1, key, text)}
    return "OAuth " + ", ".join([f'{name}="{oauth1.encode(value)}"' for name, value in signed.items()])


# --- how people write it


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked, where, and with which key."""

    served: _Served
    origin: Origin
    path: str
    pairs: Pairs
    access_key: str

    @property
    def url(self) -> str:
        """Where it is asked, without the query."""
        return self.origin.url + self.path

    @property
    def document(self) -> str:
        """The JSON body."""
        return json.dumps(_document(self.served, self.pairs))


def _curl(asked: _Asked) -> str:
    words = [f'curl --user {shell(f"{asked.access_key}:")}"${_SECRET}"']
    if asked.served.has_body:
        words += [f"-X {asked.served.method} -H 'Content-Type: {_JSON}'", f"--data {shell(asked.document)}"]
    else:
        words += [f"-X {asked.served.method}"] if asked.served.method != "GET" else []
        words += ["--get"] if asked.pairs else []
        words += [f"--data-urlencode {shell(f'{name}={value}')}" for name, value in asked.pairs]
    return " \\\n  ".join([*words, shell(asked.url)]) + "\n"


def _python(asked: _Asked) -> str:
    word, value = _arguments(asked, "json")
    told = f"    {word}={_literal(value, 5 + len(word))},\n" if value else ""
    return f"""\
import os

import requests
from requests_oauthlib import OAuth1

answer = requests.request(
    {asked.served.method!r},
    {asked.url!r},
{told}    auth=OAuth1({asked.access_key!r}, os.environ[{_SECRET!r}]),
    timeout=30,
)
print(answer.status_code, answer.text)
"""


def _woocommerce(asked: _Asked, settings: ZeroSixSettings) -> str:
    site = f"{asked.origin.url}{settings.root.removesuffix('wp-json/')}"
    route = asked.path.removeprefix(settings.path)
    word, value = _arguments(asked, "data")
    told = f", {word}={_literal(value, 4)}" if value or asked.served.has_body else ""
    return f"""\
import os

from woocommerce import API

api = API(
    url={site!r},
    consumer_key={asked.access_key!r},
    consumer_secret=os.environ[{_SECRET!r}],
    version={settings.namespace!r},
)
answer = api.{asked.served.method.lower()}({route!r}{told})
print(answer.status_code, answer.text)
"""


def _arguments(asked: _Asked, body: str) -> tuple[str, Mapping[str, object]]:
    """Return the name and the value of the argument that holds the parameters; that of a body is called `body`."""
    return (body, _document(asked.served, asked.pairs)) if asked.served.has_body else ("params", dict(asked.pairs))


def _literal(value: object, column: int) -> str:
    """Return a value as Python writes it, its further lines under its first one."""
    return pformat(value, width=100 - column, sort_dicts=False).replace("\n", "\n" + " " * column)


def _php(asked: _Asked) -> str:
    query = "" if asked.served.has_body or not asked.pairs else "?" + _joined(asked.pairs)
    body = asked.document if asked.served.has_body else ""
    return f"""\
<?php
$oauth = new OAuth({php_text(asked.access_key)}, getenv('{_SECRET}'));
$oauth->fetch(
    {php_text(asked.url + query)},
    {php_text(body)},
    OAUTH_HTTP_METHOD_{asked.served.method},
    ['Content-Type' => '{_JSON}']
);
echo $oauth->getLastResponse();
"""
