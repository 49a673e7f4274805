"""What clients put into bodies and queries: their liberties, and what must be refused without harm."""

import json
import time

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.zerosix import decode
from protocols.zerosix.errors import Refusal
from tests.protocols.zerosix.served import FORM, LIMITS, basic

KINDS = ["application/json", "application/json;charset=utf-8", FORM, "text/plain", "", "application/octet-stream"]
INVALID = (400, "rest_invalid_json")


async def get(site, body, kind="application/json"):
    told = [("Authorization", basic(site.house.ours)), *([("Content-Type", kind)] if kind else [])]
    return await site.send("GET", "products", told, body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b'{"max_price": 0.01}', b' \r\n\t{"max_price": "0.01",\n}'])
async def test_what_looks_like_json_is_json_whatever_it_is_called(site, kind, body):
    assert [product["slug"] for product in (await get(site, body, kind)).json()] == ["plain"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b" [ ] "])
async def test_an_empty_body_asks_for_nothing(site, kind, body):
    assert len((await get(site, body, kind)).json()) == 5


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=utf-8", "APPLICATION/X-WWW-FORM-URLENCODED", ""])
async def test_a_form_is_read_as_one_and_so_is_what_has_no_name(site, kind):
    body = b"relation=less&attributes%5Bgpu%5D=nvidia-1070&attributes[ram]=12gb&min_price="
    assert (await get(site, body, kind)).refusal == (400, "products_invalid_prices")
    body = body.replace(b"&min_price=", b"")
    assert [product["slug"] for product in (await get(site, body, kind)).json()] == ["nvidia-1060"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[",
        b'{"a"}',
        b"{a: 1}",
        b"{'a': 1}",
        b'{"a": 1,,}',
        b'{"a": 1, ,}',
        b"{,}",
        b"[,]",
        b'{"a": [1,,]}',
        b'{"a": [ , ]}',
        b'{"a": ,}',
        b'{"a": 1},',
        b'{"a": 1} {"b": 2}',
        b'{"a": "b}',
        b'{"a": "b\\',
        b'{"a": 01}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"\xc3": 1}',
        b"[1",
        b"{" * 1000,
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"\xff\xfe{\x00}\x00",
    ],
)
async def test_malformed_json_is_refused_in_wordpresss_words(site, body):
    answer = await get(site, body)
    assert answer.refusal == INVALID
    assert answer.json()["message"] == "Invalid JSON body passed."
    assert answer.json()["data"]["json_error_message"]


@pytest.mark.parametrize("body", [b"[1]", b"[[]]", b'[{"max_price": 1}]', b"null", b"1", b'"x"', b"true"])
async def test_json_that_is_no_object_is_refused(site, body):
    assert (await get(site, body)).refusal == INVALID


@pytest.mark.parametrize("body", [b"max_price=1", b"x", b"--boundary", b"<a/>"])
@pytest.mark.parametrize("kind", ["application/json", "text/xml", "multipart/form-data; boundary=boundary"])
async def test_a_body_of_another_kind_is_no_json(site, body, kind):
    assert (await get(site, body, kind)).refusal == INVALID


@pytest.mark.parametrize("body", [b"a=%ff", b"a=\xff", b"a=%C3%28", b"%ff=a", b"&".join([b"a=1"] * 1001)])
async def test_a_form_that_cannot_be_read_is_refused(site, body):
    assert (await get(site, body, FORM)).refusal == (400, "rest_invalid_param")


@pytest.mark.parametrize("query", ["a=%ff", "a=%C3%28", "%ff=a", "&".join(["a=1"] * 1001)])
async def test_a_query_that_cannot_be_read_is_refused(site, query):
    assert (await site.ask("GET", f"products?{query}")).refusal == (400, "rest_invalid_param")


def test_a_byte_that_is_not_utf8_is_refused_where_the_http_parser_lets_it_through():
    # aiohttp's parser in C answers 400 itself; its parser in Python hands such a byte on as a lone surrogate.
    with pytest.raises(Refusal):
        decode.read_parameters("a=\udcff")


async def test_a_caller_is_turned_away_before_the_body_is_judged(site):
    assert (await site.send("GET", "products", body=b"{")).refusal == (401, "woocommerce_rest_cannot_view")


async def test_a_body_over_the_limit_is_refused_in_json(site):
    body = b'{"a": "' + b"x" * LIMITS.body_bytes + b'"}'
    assert (await get(site, body)).refusal == (413, "woocommerce_rest_request_entity_too_large")


async def test_a_body_that_does_not_come_is_refused_in_json(site):
    told = [("Authorization", basic(site.house.ours)), ("Content-Length", "10")]
    assert (await site.send("PUT", "orders", told)).refusal == (408, "onefleet_request_timeout")


async def test_a_body_may_come_in_chunks(site):
    told = [("Authorization", basic(site.house.ours)), ("Transfer-Encoding", "chunked")]
    body = b'6\r\n{"max_\r\nd\r\nprice": 0.01}\r\n0\r\n\r\n'
    assert len((await site.send("GET", "products", told, body)).json()) == 1


async def test_integers_of_any_size_do_no_harm(site):
    for digits in (18, 19, 20, 40, 400, 5000):
        body = b'{"product_id": %b, "instances": %b}' % (b"9" * digits, b"9" * digits)
        answer = await site.ask("PUT", "orders", body=body)
        assert answer.status == 400
        assert answer.refusal[1] in ("order_invalid_product_id", "order_invalid_instances", "rest_invalid_json")


# --- trailing commas

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4),
    max_leaves=12,
)


def with_trailing_commas(value):
    """Write JSON with a comma after everything that allows for one."""
    if isinstance(value, dict):
        members = [f"{json.dumps(name)}: {with_trailing_commas(member)} ,\n " for name, member in value.items()]
        return "{" + "".join(members) + "}"
    if isinstance(value, list):
        return "[" + "".join(f"{with_trailing_commas(item)},\t" for item in value) + " ]"
    return json.dumps(value)


@given(st.dictionaries(st.text(max_size=5), JSON.filter(lambda value: value is not None), max_size=4))
def test_commas_at_the_end_change_nothing(document):
    assert decode.read_document(with_trailing_commas(document).encode()) == document


@given(st.text(st.sampled_from('{}[]," \\a1:\n'), max_size=30).map(str.encode))
def test_what_a_comma_at_the_end_cannot_explain_is_refused(text):
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    else:
        return
    try:
        decode.read_document(text)
    except Refusal:
        return
    assert b"," in text  # it was repaired: then Python's own tolerant reading must agree that commas were all
    assert _without_last_commas(text) is not None


def _without_last_commas(text):
    """Return the value if dropping some single commas before closing brackets makes it JSON, by trying each of them."""
    places = [index for index, byte in enumerate(text) if byte == ord(b",")]
    for chosen in range(1, 2 ** len(places)):
        dropped = {place for bit, place in enumerate(places) if chosen >> bit & 1}
        if any(text[place + 1 :].lstrip()[:1] not in (b"}", b"]") for place in dropped):
            continue
        if any(text[:place].rstrip()[-1:] in (b"{", b"[", b",") for place in dropped):
            continue
        try:
            return orjson.loads(bytes(byte for index, byte in enumerate(text) if index not in dropped)) or True
        except orjson.JSONDecodeError:
            continue
    return None


@pytest.mark.parametrize(
    "text",
    [b'{"' + b'\\"' * 500_000, b'{"a":' + b" " * 1_000_000, b"{" + b"," * 1_000_000, b"[ " * 500_000, b',"' * 500_000],
)
def test_no_body_takes_longer_than_its_length(text):
    started = time.perf_counter()
    with pytest.raises(Refusal):
        decode.read_document(text)
    assert time.perf_counter() - started < 2


# --- anything at all

ROUTES = [
    "products",
    "products/1",
    "orders",
    "orders/1",
    "credentials/wc_order_x",
    "credentials/wc_order_x/ssh_key",
    "openapi.json",
    "x",
    "",
]
NAMES = st.sampled_from(
    [
        "relation",
        "attributes",
        "min_price",
        "max_price",
        "product_id",
        "instances",
        "file_url",
        "script_url",
        "expires",
        "signature",
        *("page", "per_page", "offset", "order", "orderby", "status", "after", "before"),
        *("include", "exclude", "search", "_fields", "_envelope", "_method"),
    ]
)
WORDS = st.sampled_from(
    [
        *("equal", "greater", "nvidia-1070", "europe", "gpu", "geo", "https://example.com/x", "1", "0.5", "5"),
        *("desc", "include", "pending", "2026-05-01T12:00:00", "order_id", "instances.status", "a.b,a", "DELETE"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(NAMES | WORDS | st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)
METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"])
BODIES = st.binary(max_size=60) | st.dictionaries(NAMES | st.text(max_size=5), VALUES, max_size=5).map(
    lambda document: json.dumps(document).encode()
)
QUERIES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=60) | st.lists(
    st.tuples(NAMES, st.sampled_from(["", "[]", "[gpu]", "[geo]", "[a][b]", "["]), WORDS | st.just("%00%ff")),
    max_size=5,
).map(lambda pairs: "&".join(f"{name}{index}={value}" for name, index, value in pairs))


async def test_nothing_that_a_customer_sends_is_a_fault_of_the_server(site):
    # One server for all examples: hypothesis draws, the loop of this test sends.
    drawn: list[tuple[str, str, str, bytes, str]] = []

    @settings(max_examples=300)
    @given(METHODS, st.sampled_from(ROUTES), QUERIES, BODIES, st.sampled_from(KINDS))
    def draw(method, target, query, body, kind):
        drawn.append((method, target, query, body, kind))

    draw()
    for method, target, query, body, kind in drawn:
        told = [("Authorization", basic(site.house.ours)), *([("Content-Type", kind)] if kind else [])]
        answer = await site.send(method, f"{target}?{query}", told, body)
        assert answer.status < 500, (method, target, query, body, answer.body)
        if method != "HEAD" and answer.status != 204 and "pem" not in answer.headers["content-type"]:
            answer.json()
