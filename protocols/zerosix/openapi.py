"""The OpenAPI 3.1 document of the front-end, made of what its routes declare."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from protocols.zerosix import schemas
from protocols.zerosix.conventions import CONVENTIONS, ENVELOPE, FIELDS, METHOD, OVERRIDE_HEADER
from protocols.zerosix.parameters import Parameter, Schema, text
from protocols.zerosix.routes import Endpoint, Route
from protocols.zerosix.settings import ZeroSixSettings

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_WITH_BODY = frozenset({"PUT", "POST"})

_ABOUT = f"""\
Rent machines: list products, place, look at and complete orders, and receive their credentials.

Every request is signed with OAuth 1.0a (one-legged, HMAC-SHA1 or HMAC-SHA256) or, over TLS, shows key and secret by
HTTP basic authentication or in the query.

The parameters of a GET may also stand in a JSON body, those of a PUT or POST in the query, in a form or in a JSON body.

Besides what is listed, every request may ask for `{FIELDS.name}` and `{ENVELOPE.name}`, which make another document of
an answer than its schema says, and a POST may mean another method by `{METHOD.name}` or by the header
{OVERRIDE_HEADER}."""

_SECURITY_SCHEMES = {
    "oauth": {
        "type": "http",
        "scheme": "oauth",
        "description": "OAuth 1.0a, one-legged. Its parameters may also stand in the query or in a form.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "Consumer key and secret; only over TLS."},
    "consumerKey": {"type": "apiKey", "in": "query", "name": "consumer_key"},
    "consumerSecret": {"type": "apiKey", "in": "query", "name": "consumer_secret", "description": "Only over TLS."},
}
_SECURITY: Sequence[Mapping[str, Sequence[str]]] = [
    {"oauth": []},
    {"basic": []},
    {"consumerKey": [], "consumerSecret": []},
]
_OTHERWISE = {
    "description": "Any other refusal: too large or too slow a body, too many requests, a fault of the server.",
    "content": {_JSON: {"schema": schemas.ERROR}},
}


def document_of(routes: Sequence[Route], describe: Endpoint, settings: ZeroSixSettings) -> Mapping[str, object]:
    """Return the document. `describe` is what answers OPTIONS on every route.

    The server is a path, so that the document holds under whatever name clients reach it.
    """
    components: dict[str, object] = {}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "ZeroSix API of Onefleet", "version": "1", "description": _ABOUT},
        "servers": [{"url": settings.path.rstrip("/") or "/"}],
        "paths": {f"/{route.template}": _path(route, describe, settings) for route in routes},
        "security": _SECURITY,
        "components": {
            "securitySchemes": _SECURITY_SCHEMES,
            "parameters": {each.name: _parameter(each, settings, "query") for each in CONVENTIONS},
        },
    }
    referring = _referring(document, components)
    assert isinstance(referring, dict)
    referring["components"]["schemas"] = dict(sorted(components.items()))
    return referring


def _path(route: Route, describe: Endpoint, settings: ZeroSixSettings) -> Mapping[str, object]:
    variable = route.variable
    operations = {
        method.lower(): _operation(method, endpoint, route, variable, settings)
        for method, endpoint in route.endpoints.items()
    }
    told = replace(describe, operation=f"{describe.operation}:{route.template}")
    anything = variable and replace(variable, kind=text(), fault=None)  # no order need be there to tell what orders are
    return {**operations, "options": _operation("OPTIONS", told, route, anything, settings)}


def _operation(
    method: str, endpoint: Endpoint, route: Route, variable: Parameter[Any] | None, settings: ZeroSixSettings
) -> Mapping[str, object]:
    takes = [parameter for parameter in endpoint.takes if parameter is not FIELDS]
    has_body = method in _WITH_BODY
    return {
        "operationId": endpoint.operation,
        "summary": endpoint.summary,
        "tags": [route.template.partition("/")[0] or "index"],
        "parameters": [
            *([_parameter(variable, settings, "path")] if variable else []),
            *[_parameter(each, settings, "query", is_optional=has_body) for each in takes],
        ],
        **({"requestBody": _body(takes, settings)} if has_body else {}),
        "responses": _responses(endpoint, variable),
        **({"security": []} if endpoint.is_public else {}),
    }


def _parameter(
    parameter: Parameter[Any], settings: ZeroSixSettings, place: str, *, is_optional: bool = False
) -> Mapping[str, object]:
    schema = _schema(parameter, settings)
    return {
        "name": parameter.name,
        "in": place,
        "description": parameter.description,
        "required": place == "path" or (parameter.is_required and not is_optional),
        **_STYLES.get((place, str(schema.get("type"))), {}),
        "schema": schema,
    }


_STYLES: Mapping[tuple[str, str], Mapping[str, object]] = {
    ("query", "array"): {"style": "form", "explode": False},
    ("query", "object"): {"style": "deepObject", "explode": True},
}


def _schema(parameter: Parameter[Any], settings: ZeroSixSettings) -> Schema:
    schema = parameter.kind.schema(settings)
    return schema if parameter.default is None else {**schema, "default": parameter.default}


def _body(takes: Iterable[Parameter[Any]], settings: ZeroSixSettings) -> Mapping[str, object]:
    takes = list(takes)
    schema = {
        "type": "object",
        "properties": {each.name: {**_schema(each, settings), "description": each.description} for each in takes},
        "required": [each.name for each in takes if each.is_required],
    }
    content = {_JSON: {"schema": schema}, _FORM: {"schema": schema}}
    return {"description": "The same parameters may stand in the query.", "content": content}


# --- answers


def _responses(endpoint: Endpoint, variable: Parameter[Any] | None) -> Mapping[str, object]:
    refusals = _by_status(endpoint, variable)
    success = _success(endpoint, refusals.pop(endpoint.gives.status, ()))
    refused = {str(status): _refusal(codes) for status, codes in sorted(refusals.items())}
    return {str(endpoint.gives.status): success, **refused, "default": _OTHERWISE}


def _by_status(endpoint: Endpoint, variable: Parameter[Any] | None) -> dict[int, Sequence[str]]:
    """Return the codes of the endpoint's refusals."""
    own = [parameter.fault for parameter in (variable, *endpoint.takes) if parameter and parameter.fault]
    codes: dict[int, dict[str, None]] = {}
    for fault in chain(own, endpoint.faults):
        codes.setdefault(fault.status, {})[fault.code] = None
    return {status: list(names) for status, names in codes.items()}


def _success(endpoint: Endpoint, refusals: Sequence[str]) -> Mapping[str, object]:
    gives = endpoint.gives
    if gives.schema is None:
        return {"description": gives.description}
    schema = {"anyOf": [gives.schema, _error(refusals)]} if refusals else gives.schema
    headers = {name: {"description": words, "schema": schema} for name, (words, schema) in gives.headers.items()}
    return {
        "description": gives.description,
        **({"headers": headers} if headers else {}),
        "content": {gives.media_type: {"schema": schema}},
    }


def _refusal(codes: Sequence[str]) -> Mapping[str, object]:
    return {"description": ", ".join(codes), "content": {_JSON: {"schema": _error(codes)}}}


def _error(codes: Sequence[str]) -> Schema:
    return {"allOf": [schemas.ERROR, {"properties": {"code": {"enum": list(codes)}}}]}


def _referring(value: object, components: dict[str, object]) -> Any:
    """Return the value with a reference for every schema that has a title, each of which becomes a component."""
    if isinstance(value, list):
        return [_referring(item, components) for item in value]
    if not isinstance(value, Mapping):
        return value
    inner = {name: _referring(member, components) for name, member in value.items()}
    if "title" not in value or "type" not in value:
        return inner
    components[value["title"]] = inner
    return {"$ref": f"#/components/schemas/{value['title']}"}
