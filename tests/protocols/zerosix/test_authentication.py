"""Who is believed to be a customer, and with which words the others are turned away."""

import asyncio
from base64 import b64encode
from datetime import timedelta
from ipaddress import ip_network
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from tests.clocks import ManualClock
from tests.fleetfixture import open_house
from tests.protocols.zerosix.served import FORM, basic, serve, shown

ERROR, MISSING = "woocommerce_rest_authentication_error", "woocommerce_rest_authentication_missing_parameter"
SIGNATURE = "Invalid signature - provided signature does not match."
EVERY_ROUTE = [
    ("GET", "products"),
    ("GET", "products/1"),
    ("GET", "orders"),
    ("PUT", "orders"),
    ("POST", "orders"),
    ("GET", "orders/1"),
    ("DELETE", "orders/1"),
    ("GET", "credentials/wc_order_randomKey"),
    ("GET", "credentials/wc_order_randomKey/ssh_key"),
]
METHODS = ["HMAC-SHA1", "HMAC-SHA256"]
PLACES = ["AUTH_HEADER", "QUERY"]


def message(answer, code=ERROR):
    assert answer.refusal == (401, code)
    return answer.json()["message"]


# --- no credentials


@pytest.mark.parametrize(("method", "target"), EVERY_ROUTE)
async def test_no_route_answers_without_credentials(site, method, target):
    verb = {"GET": "view", "DELETE": "delete"}.get(method, "create")
    assert (await site.send(method, target)).refusal == (401, f"woocommerce_rest_cannot_{verb}")


@pytest.mark.parametrize("header", ["Bearer x", "AWS4-HMAC-SHA256 Credential=x", "Basicx eA==", "", "\udcff"])
async def test_credentials_of_another_kind_are_none(site, header):
    answer = await site.send("GET", "products", [("Authorization", header)])
    assert answer.refusal == (401, "woocommerce_rest_cannot_view")


async def test_a_401_challenges_for_what_would_be_accepted(house):
    async with serve(house) as site:
        assert (await site.send("GET", "orders")).headers["www-authenticate"] == (
            'OAuth realm="Onefleet", Basic realm="Onefleet"'
        )
    async with serve(house, proxies=[ip_network("127.0.0.0/8")]) as site:
        answer = await site.send("GET", "orders", [("X-Forwarded-For", "203.0.113.7")])
        assert answer.headers["www-authenticate"] == 'OAuth realm="Onefleet"'


# --- key and secret shown openly


async def test_key_and_secret_may_be_shown_in_a_basic_header(site):
    assert (await site.send("GET", "products", [("Authorization", basic(site.house.ours))])).status == 200
    assert (
        await site.send(
            "GET", "products", [("Authorization", basic(site.house.ours).lower()[:5] + basic(site.house.ours)[5:])]
        )
    ).status == 200


async def test_key_and_secret_may_be_shown_in_the_query(site):
    assert (await site.send("GET", f"products?{shown(site.house.ours)}")).status == 200


async def test_an_unknown_key_is_refused(site):
    header = f"Basic {b64encode(b'ck_unknown:x').decode()}"
    assert message(await site.send("GET", "products", [("Authorization", header)])) == "Consumer key is invalid."
    assert message(await site.send("GET", "products?consumer_key=&consumer_secret=")) == "Consumer key is invalid."


@pytest.mark.parametrize("secret", ["x", "ü", "a:b"])
async def test_a_wrong_secret_is_refused(site, secret):
    answer = await site.send("GET", "products", [("Authorization", basic(site.house.ours, secret))])
    assert message(answer) == "Consumer secret is invalid."


async def test_a_secret_that_is_missing_is_a_wrong_one(site):
    answer = await site.send("GET", f"products?consumer_key={site.house.ours.key.access_key}")
    assert message(answer) == "Consumer secret is invalid."


@pytest.mark.parametrize("encoded", ["", "x", "eA==", "/w==", "%%%", "\udcff", "ÿ"])
async def test_a_basic_header_that_cannot_be_read_is_refused(site, encoded):
    answer = await site.send("GET", "products", [("Authorization", f"Basic {encoded}")])
    assert message(answer).startswith("Malformed Authorization header")


async def test_another_customers_secret_is_a_wrong_one(site):
    answer = await site.send(
        "GET", "products", [("Authorization", basic(site.house.ours, site.house.theirs.key.secret_key))]
    )
    assert message(answer) == "Consumer secret is invalid."


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_secret_is_not_accepted_where_others_can_read_it(house, how):
    async with serve(house, proxies=[ip_network("127.0.0.0/8")]) as site:
        told = [("Authorization", basic(house.ours))] if how == "header" else []
        target = "products" if how == "header" else f"products?{shown(house.ours)}"
        far = ("X-Forwarded-For", "203.0.113.7")
        refused = await site.send("GET", target, [*told, far])
        assert "plain HTTP" in message(refused)
        assert "HTTPS" in message(refused)
        assert (await site.send("GET", target, [*told, far, ("X-Forwarded-Proto", "https")])).status == 200


async def test_a_secret_over_plain_http_is_refused_before_anybody_looks_whether_it_is_right(house):
    async with serve(house, proxies=[ip_network("127.0.0.0/8")]) as site:
        told = [("Authorization", basic(house.ours, "wrong")), ("X-Forwarded-For", "203.0.113.7")]
        assert "plain HTTP" in message(await site.send("GET", "products", told))


async def test_forwarded_headers_of_anybody_else_are_not_believed(site):
    told = [("Authorization", basic(site.house.ours)), ("X-Forwarded-For", "203.0.113.7")]
    assert (await site.send("GET", "products", told)).status == 200
    assert site.records[-1][0].address == "127.0.0.1"


# --- signatures


@pytest.mark.parametrize("signature_method", METHODS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("method", "target"), EVERY_ROUTE)
async def test_every_route_takes_a_signature_wherever_it_is(site, method, target, place, signature_method):
    answer = await site.signed(method, target, signature_type=place, signature_method=signature_method)
    assert answer.status in (200, 204, 400)
    assert site.records[-1][0].account_id == site.house.ours.account.id


@pytest.mark.parametrize("place", [*PLACES, "BODY"])
async def test_a_form_is_signed_with_the_rest(site, place):
    request = site.sign("PUT", "orders?product_id=5", "instances=2", kind=FORM, signature_type=place)
    answer = await site.send(*request)
    assert len(answer.json()[0]["instances"]) == 2
    method, target, headers, body = site.sign(
        "PUT", "orders?product_id=5", "instances=2", kind=FORM, signature_type=place
    )
    answer = await site.send(method, target, headers, body.replace(b"instances=2", b"instances=3"))
    assert message(answer) == SIGNATURE


async def test_a_json_body_goes_unsigned(site):
    answer = await site.signed("PUT", "orders", body='{"product_id": 5, "instances": 2}')
    assert len(answer.json()[0]["instances"]) == 2


async def test_an_unsigned_json_body_does_not_override_what_was_signed(site):
    # Whoever is on the path can put a body there, and nobody can see that it was not the client.
    body = '{"product_id": 3, "instances": 3, "file_url": "https://evil.example.com/x"}'
    answer = await site.signed(
        "PUT", "orders?product_id=5&instances=1&file_url=https%3A%2F%2Fexample.com%2F", body=body
    )
    (order,) = answer.json()
    assert (order["product"]["id"], len(order["instances"]), order["file_url"]) == (5, 1, "https://example.com/")


async def test_only_the_last_of_two_copies_counts_because_only_it_was_signed(site):
    method, target, headers, body = site.sign("PUT", "orders?product_id=5&instances=1")
    path, _, query = target.partition("?")
    answer = await site.send(method, f"{path}?instances=3&{query}", headers, body)
    assert len(answer.json()[0]["instances"]) == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"client_secret": "wrong"}, SIGNATURE),
        ({"signature_method": "PLAINTEXT"}, "Invalid signature - signature method is invalid."),
        ({"timestamp": "1"}, "Invalid timestamp."),
        ({"timestamp": "soon"}, "Invalid timestamp."),
        ({"nonce": "n" * 256}, "Invalid nonce - use 1 to 255 printable characters."),
    ],
)
async def test_what_is_wrong_with_a_signature_is_told_in_woocommerces_words(site, place, changed, words):
    assert message(await site.signed("GET", "orders", signature_type=place, **changed)) == words


async def test_missing_parameters_are_named(site):
    answer = await site.send("GET", "orders?oauth_consumer_key=x&oauth_nonce=n&oauth_signature_method=HMAC-SHA1")
    assert message(answer, MISSING) == "Missing OAuth parameters oauth_timestamp, oauth_signature"


async def test_an_unknown_key_cannot_sign(site, house):
    await house.administration.set_key_enabled(house.theirs.key.access_key, is_enabled=False)
    assert message(await site.signed("GET", "orders", holder=house.theirs)) == "Consumer key is invalid."


async def test_a_renewed_key_stops_at_once(site, house):
    fresh = await house.administration.renew_key(house.ours.key.access_key)
    assert message(await site.signed("GET", "orders")) == "Consumer key is invalid."
    assert (await site.signed("GET", "orders", holder=fresh)).status == 200


async def test_a_signature_does_not_fit_another_method_path_or_host(site):
    method, target, headers, body = site.sign("GET", "orders")
    for request in (
        ("PUT", target, headers, body),
        (method, target.replace("orders", "products"), headers, body),
        (method, target, [*headers, ("Host", "other.example.com")], body),
    ):
        assert message(await site.send(*request)) == SIGNATURE


async def test_a_head_request_is_signed_as_head(site):
    answer = await site.signed("HEAD", "orders")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("place", PLACES)
async def test_a_nonce_is_accepted_once(site, place):
    request = site.sign("GET", "orders", signature_type=place)
    assert (await site.send(*request)).status == 200
    assert message(await site.send(*request)) == "Invalid nonce - nonce has already been used."


async def test_of_many_copies_of_a_request_at_once_one_is_accepted(site):
    request = site.sign("PUT", "orders?product_id=5&instances=1")
    answers = await asyncio.gather(*(site.send(*request) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 7


async def test_a_refused_signature_does_not_use_up_its_nonce(site):
    assert (await site.signed("GET", "orders", nonce="once", client_secret="wrong")).status == 401
    assert (await site.signed("GET", "orders", nonce="once")).status == 200


async def test_two_customers_may_use_the_same_nonce(site, house):
    assert (await site.signed("GET", "orders", nonce="once")).status == 200
    assert (await site.signed("GET", "orders", nonce="once", holder=house.theirs)).status == 200


async def test_a_nonce_is_remembered_across_a_restart(tmp_path):
    clock = ManualClock()
    async with open_house(tmp_path, clock) as house, serve(house) as site:
        host, request = site.host, site.sign("GET", "orders")
        assert (await site.send(*request)).status == 200
    clock.advance(timedelta(minutes=14))
    async with open_house(tmp_path, clock) as house, serve(house) as site:
        method, target, headers, body = request
        again = await site.send(method, target, [*headers, ("Host", host)], body)
        assert message(again) == "Invalid nonce - nonce has already been used."


# --- the URL that was signed


async def test_a_path_is_verified_as_it_came_over_the_wire(site):
    for target in ("products", "products/", "/wp-json/api/v1//products", "/wp-json/api/v1/%70roducts"):
        assert (await site.signed("GET", target)).status == 200, target


async def test_the_signed_url_is_the_public_one_or_the_one_that_was_called(house):
    async with serve(house, public_url=("https", "fleet.example.com")) as site:
        assert (await site.signed("GET", "orders", url="https://fleet.example.com")).status == 200
        assert (await site.signed("GET", "orders")).status == 200
        assert message(await site.signed("GET", "orders", url="https://other.example.com")) == SIGNATURE


async def test_a_client_is_not_taken_for_local_because_its_proxy_is(house):
    told = [("Authorization", basic(house.ours))]
    async with serve(house, proxies=[ip_network("127.0.0.0/8")]) as site:
        assert (await site.send("GET", "orders", told)).status == 401
        assert (await site.send("GET", "orders", [*told, ("X-Forwarded-For", "127.0.0.1")])).status == 200


async def test_the_signed_url_is_the_one_that_a_trusted_proxy_was_called_by(house):
    forwarded = [
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "fleet.example.com"),
    ]
    signed_for = {"url": "https://fleet.example.com", "headers": forwarded}
    async with serve(house, proxies=[ip_network("127.0.0.0/8")]) as site:
        assert (await site.signed("GET", "orders", **signed_for)).status == 200
        assert site.records[-1][0].address == "203.0.113.7"
    async with serve(house) as site:
        assert message(await site.signed("GET", "orders", **signed_for)) == SIGNATURE


async def test_a_client_that_takes_us_for_a_proxy_is_understood(site):
    method, target, headers, body = site.sign("GET", "orders")
    assert (await site.send(method, f"http://{site.host}{target}", headers, body)).status == 200


# --- where a key may be used from


async def test_a_key_is_refused_from_an_address_that_its_application_does_not_allow(site, house):
    fenced = await house.allow_only(ip_network("203.0.113.0/24"))
    for answer in (await site.ask("GET", "orders", holder=fenced), await site.signed("GET", "orders", holder=fenced)):
        assert "127.0.0.1" in message(answer)


async def test_a_key_is_accepted_from_an_address_that_its_application_allows(house):
    fenced = await house.allow_only(ip_network("203.0.113.0/24"))
    async with serve(house, proxies=[ip_network("127.0.0.0/8")], public_url=("http", "x.example.com")) as site:
        for address, status in (("203.0.113.9", 200), ("198.51.100.1", 401)):
            forwarded = [("X-Forwarded-For", address)]
            answer = await site.signed("GET", "orders", holder=fenced, url="http://x.example.com", headers=forwarded)
            assert answer.status == status


# --- ZeroSix's own PHP client


async def test_a_php_client_that_copies_the_header_into_the_query_is_understood(site):
    # It signs "…/products?", takes PECL's header apart and appends its still encoded parts. Source: zerosix-json.md
    method, target, headers, _ = site.sign("GET", "products")
    parts = dict(headers)["Authorization"].removeprefix("OAuth ").split(", ")
    query = "&".join(part.replace('"', "") for part in parts)
    told = [("Content-Type", "application/json")]
    assert (await site.send(method, f"{target}?{query}", told, b"[]")).status == 200


async def test_a_php_client_that_encodes_the_signature_twice_is_understood(site):
    method, target, headers, _ = site.sign("GET", "products")
    parts = dict(headers)["Authorization"].removeprefix("OAuth ").replace('"', "").split(", ")
    query = urlencode(dict(part.split("=", 1) for part in parts))
    assert "%253D" in query
    assert (await site.send(method, f"{target}?{query}")).status == 200


async def test_the_php_clients_booking_is_understood(site):
    body = '{"product_id":5,"instances":3,"file_url":null,"script_url":null}'
    answer = await site.signed("PUT", "orders", body=body, kind="application/json")
    assert len(answer.json()[0]["instances"]) == 3
    for method in ("GET", "DELETE"):
        assert (await site.signed(method, "orders/1", body="[]")).status in (200, 204)


async def test_the_query_of_the_official_clients_has_every_parameter_twice(site):
    method, target, headers, body = site.sign("PUT", "orders?product_id=5&instances=1", signature_type="QUERY")
    answer = await site.send(method, f"{target}&product_id=5&instances=1", headers, body)
    assert answer.status == 200
    assert dict(parse_qsl(target))["oauth_nonce"]
    assert quote("=") in target
