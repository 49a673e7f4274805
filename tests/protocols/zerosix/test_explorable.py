import json
import os
import subprocess
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oauthlib.oauth1 import Client

from protocols.explorable import FieldKind, Origin, Signer, Unfit
from protocols.zerosix.explorable import ZeroSixExplorable
from tests.clocks import NOON
from tests.protocols.zerosix.served import PATH, SETTINGS

KEY, SECRET = "AKOFEXAMPLE", "secret/+of=the key"
SIGNER = Signer(KEY, SECRET, "", NOON, "nonce")
ORIGIN = Origin("https", "cloud.example:8443")
ZEROSIX = ZeroSixExplorable(SETTINGS)
OPERATIONS = {operation.name: operation for operation in ZEROSIX.operations()}

# What a person may type, and a shell pass on. Blanks around it are not sent.
typed = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1).map(
    lambda text: f"<{text}>"
)


def prepared(operation, values=None, extra=(), origin=ORIGIN):
    return ZEROSIX.prepare(operation, values or {}, extra, origin=origin, signer=SIGNER)


def queried(operation, values=None, extra=()):
    return parse_qsl(prepared(operation, values, extra).path_and_query.partition("?")[2], keep_blank_values=True)


def document(operation, values=None, extra=()):
    return json.loads(prepared(operation, values, extra).body)


def spelled(operation, values=None, origin=ORIGIN):
    told = ZEROSIX.spell(operation, values or {}, (), origin=origin, region="", access_key=KEY)
    return {spelling.language: spelling.text for spelling in told}


# --- operations


def test_every_method_of_every_route_is_an_operation():
    assert list(OPERATIONS) == [
        "GET /",
        "GET products",
        "GET products/{id}",
        "GET orders",
        "PUT orders",
        "POST orders",
        "GET orders/{id}",
        "DELETE orders/{id}",
        "GET credentials/{order_key}",
        "GET credentials/{order_key}/ssh_key",
        "GET openapi.json",
    ]


def test_only_what_changes_nothing_is_reading():
    assert {name.partition(" ")[0] for name, operation in OPERATIONS.items() if operation.is_reading} == {"GET"}
    assert {name.partition(" ")[0] for name, operation in OPERATIONS.items() if not operation.is_reading} == {
        "DELETE",
        "POST",
        "PUT",
    }


def test_fields_are_those_that_the_routes_declare():
    fields = {field.name: field for field in OPERATIONS["GET products"].fields}
    assert fields["attributes[gpu]"].choices == SETTINGS.ranks["gpu"]
    assert fields["attributes[geo]"].kind is FieldKind.CHOICE
    assert fields["min_price"].kind is FieldKind.NUMBER
    assert fields["min_price"].description == "Minimum hourly-price per product."
    assert (fields["relation"].choices, fields["relation"].default) == (("greater", "less", "equal"), "equal")
    assert fields["include"].kind is FieldKind.LIST
    assert [field.name for field in OPERATIONS["PUT orders"].fields if field.is_required] == ["product_id", "instances"]
    assert [field.name for field in OPERATIONS["GET orders/{id}"].fields if field.is_required] == ["id"]


# --- what is sent


def test_what_a_get_asks_for_stands_in_the_query():
    values = {"attributes[gpu]": ["nvidia-1070"], "include": ["1\n2", "3"], "search": [""]}
    assert queried("GET products", values) == [("attributes[gpu]", "nvidia-1070"), ("include", "1,2,3")]
    assert prepared("GET products", values).body == b""


def test_what_a_put_asks_for_stands_in_a_document_with_json_s_own_kinds():
    values = {"product_id": ["7"], "instances": ["2"], "file_url": ["https://x.test/7"], "_fields": ["order_id"]}
    assert document("PUT orders", values) == {
        "product_id": 7,
        "instances": 2,
        "file_url": "https://x.test/7",
        "_fields": ["order_id"],
    }
    assert prepared("PUT orders", values).path_and_query == f"{PATH}orders"


def test_what_the_api_refuses_is_sent_all_the_same():
    assert document("PUT orders", {"instances": ["many"]}) == {"instances": "many"}


def test_the_variable_is_a_part_of_the_path():
    assert prepared("GET orders/{id}", {"id": ["7"]}).path_and_query == f"{PATH}orders/7"
    assert prepared("GET orders/{id}", {"id": ["7/../8?"]}).path_and_query == f"{PATH}orders/7%2F..%2F8%3F"


@pytest.mark.parametrize("value", ["", " ", ".", "..", "half \ud83d"])
def test_a_variable_that_is_no_part_of_a_path_is_refused(value):
    with pytest.raises(Unfit, match="id: "):
        prepared("GET orders/{id}", {"id": [value]})


@pytest.mark.parametrize("name", ["oauth_nonce", "consumer_secret"])
def test_other_credentials_cannot_be_slipped_in(name):
    with pytest.raises(Unfit, match=f"extra: {name} "):
        prepared("GET orders", {}, [(name, "1")])


def test_parameters_without_a_field_follow():
    assert queried("GET orders", {"page": ["2"]}, [("_envelope", "1")]) == [("page", "2"), ("_envelope", "1")]


# --- signatures


@given(typed)
def test_the_signature_is_the_one_that_oauthlib_makes(text):
    request = prepared("GET products", {"search": [text], "attributes[gpu]": ["nvidia-1070"]})
    moment = str(int(NOON.timestamp()))
    theirs = Client(KEY, client_secret=SECRET, nonce=SIGNER.nonce, timestamp=moment)
    _, headers, _ = theirs.sign(f"{ORIGIN.url}{request.path_and_query}")
    assert told(dict(request.headers)["Authorization"]) == told(headers["Authorization"])


def told(authorization):
    return sorted(authorization.removeprefix("OAuth ").split(", "))


async def test_our_own_front_end_believes_the_signature(site):
    key = site.house.ours.key
    signer = Signer(key.access_key, key.secret_key, "", site.house.clock.now(), "nonce")
    values = {"search": ["ü&+ /~"]}
    request = ZEROSIX.prepare("GET orders", values, (), origin=Origin("http", site.host), signer=signer)
    answer = await site.send(request.method, request.path_and_query, request.headers, request.body)
    assert (answer.status, answer.json()) == (200, [])


def test_neither_the_request_nor_a_spelling_tells_the_secret():
    assert SECRET not in repr(prepared("PUT orders"))
    assert all(SECRET not in text for text in spelled("PUT orders").values())


# --- as people write it


def test_curl_is_told_only_where_its_password_stays_private():
    languages = {"Python", "PHP", "WooCommerce for Python"}
    assert set(spelled("GET orders", origin=Origin("http", "cloud.example"))) == languages
    assert set(spelled("GET orders", origin=Origin("http", "127.0.0.1:8080"))) == {*languages, "curl"}
    assert set(spelled("GET orders")) == {*languages, "curl"}


def test_woocommerces_client_is_told_only_where_it_finds_the_routes():
    elsewhere = ZeroSixExplorable(type(SETTINGS)("/api/", SETTINGS.timezone, SETTINGS.ranks, SETTINGS.ssh_host))
    told = elsewhere.spell("GET orders", {}, (), origin=ORIGIN, region="", access_key=KEY)
    assert [spelling.language for spelling in told] == ["curl", "Python", "PHP"]


@settings(max_examples=25)
@given(typed)
def test_no_shell_reads_anything_into_what_was_typed(text):
    script = 'curl() { printf "%s\\0" "$@"; }\n' + spelled("PUT orders", {"file_url": [text]})["curl"]
    environ = {"CONSUMER_SECRET": SECRET, "PATH": os.environ["PATH"]}
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environ, check=True)
    words = done.stdout.decode().split("\0")
    assert json.loads(words[words.index("--data") + 1]) == {"file_url": text}
    assert words[words.index("--user") + 1] == f"{KEY}:{SECRET}"
