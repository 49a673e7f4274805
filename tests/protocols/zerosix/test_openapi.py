"""The OpenAPI document: that it is one, that the server keeps to it, and that it tells everything that is answered."""

import asyncio
import json
from copy import deepcopy
from http import HTTPStatus

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from requests_oauthlib import OAuth1
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from protocols.zerosix import schemas
from protocols.zerosix.app import all_routes
from tests.goldenfiles import FOLDER
from tests.protocols.zerosix.served import SETTINGS

ROUTES = all_routes(SETTINGS)
OPERATIONS = [(method, f"/{route.template}") for route in ROUTES for method in (*route.endpoints, "OPTIONS")]

load_all_checks()
REFUSING = CHECKS.get_by_names(["negative_data_rejection"])
KEPT = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)
# Of a parameter in the query and in the body only one counts, and only that one is judged.
KEPT_BY = {method: KEPT if method in ("PUT", "POST") else [*KEPT, *REFUSING] for method, _ in OPERATIONS}
# The same examples every time.
STEADY = settings(derandomize=True, database=None, suppress_health_check=list(HealthCheck))
LONGEST_TARGET = 8190  # what is longer, aiohttp refuses by itself


async def test_the_document_is_valid_and_needs_no_credentials(site):
    answer = await site.send("GET", "openapi.json")
    document = answer.json()
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/wp-json/api/v1"}]


async def test_the_document_has_every_method_of_every_route(site):
    paths = (await site.send("GET", "openapi.json")).json()["paths"]
    told = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert told == set(OPERATIONS)


# --- the server keeps to it


async def known_names(site):
    """Return names of orders that are there: one that lives, one that has ended, and somebody else's."""
    booked = [await site.book(instances=2), await site.ended(), await site.book(holder=site.house.theirs)]
    return {"id": [order["order_id"] for order in booked], "order_key": [order["order_key"] for order in booked]}


def shown_by(site):
    return (site.house.ours.key.access_key, site.house.ours.key.secret_key)


def signed_by(site):
    now = str(int(site.house.clock.now().timestamp()))
    return OAuth1(*shown_by(site), signature_method="HMAC-SHA256", timestamp=now)


def cases_of(operation, known):
    """Return requests as the document has them, some for what is there, and requests that it says are wrong."""

    def aimed(case, which):
        for name in known.keys() & (case.path_parameters or {}).keys() if which is not None else ():
            case.path_parameters[name] = type(case.path_parameters[name])(known[name][which])
            case.query = {}  # else it is mostly a link to a key that is not ours
        return case

    fitting = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return st.builds(aimed, fitting, st.sampled_from([None, 0, 1, 2])) | wrong


def operation_of(url, method, path):
    config = schemathesis.Config()
    config.projects.default.generation.update(with_security_parameters=False)
    return schemathesis.openapi.from_url(f"{url}openapi.json", config=config)[path][method]


def hold_to_document(url, operation, known, *, auth, examples):
    """Return the statuses of the answers to many requests, each of which must be as the document says."""
    statuses = set()
    checks = KEPT_BY[operation.method.upper()]
    with requests.Session() as session:

        @settings(STEADY, max_examples=examples)
        @given(cases_of(operation, known))
        def hold(case):
            assume(len(requests.Request(**case.as_transport_kwargs(base_url=url)).prepare().path_url) < LONGEST_TARGET)
            answer = case.call(auth=auth, session=session)
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=checks)

        hold()
    return statuses


async def statuses_of(site, method, path, **how):
    operation = await asyncio.to_thread(operation_of, site.url, method, path)
    return await asyncio.to_thread(hold_to_document, site.url, operation, await known_names(site), **how)


@pytest.mark.parametrize("credentials_of", [shown_by, signed_by], ids=["shown", "signed"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_whatever_is_asked_the_answer_is_as_the_document_says(site, method, path, credentials_of):
    statuses = await statuses_of(site, method, path, auth=credentials_of(site), examples=40)
    assert statuses & {HTTPStatus.OK, HTTPStatus.NO_CONTENT}, "no request was granted, so little was proven"


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_without_credentials_the_answer_is_as_the_document_says(site, method, path):
    statuses = await statuses_of(site, method, path, auth=None, examples=10)
    is_public = method == "OPTIONS" or path in ("/", "/openapi.json")
    assert (HTTPStatus.OK in statuses) == is_public


# --- it tells everything that is answered

ANSWERS = {
    "product": schemas.PRODUCT,
    "products": schemas.PRODUCTS,
    "orders": schemas.ORDERS,
    "orders-none": schemas.ORDERS,
    "order-created": schemas.PLACED,
    "order-running-and-failed": schemas.ORDER,
    "order-completed": schemas.ORDER,
    "credentials": schemas.CREDENTIALS,
    "namespace-index": schemas.NAMESPACE,
    "site-index": schemas.SITE,
    "options-orders": schemas.DESCRIPTION,
}


def closed(schema):
    """Return the schema without room for members that it does not list."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: closed(member) for name, member in schema.items()}
    return {**told, "additionalProperties": False} if "properties" in told else told


@pytest.mark.parametrize(("name", "schema"), ANSWERS.items())
def test_no_answer_has_a_member_that_its_schema_does_not_tell(name, schema):
    body = json.loads((FOLDER / "zerosix" / f"{name}.json").read_text())["body"]
    Draft202012Validator(closed(deepcopy(schema))).validate(body)


@pytest.mark.parametrize("file", sorted((FOLDER / "zerosix" / "refusals").glob("*.json")), ids=lambda file: file.stem)
def test_every_refusal_has_the_form_that_is_told(file):
    Draft202012Validator(closed(deepcopy(schemas.ERROR))).validate(json.loads(file.read_text())["body"])
