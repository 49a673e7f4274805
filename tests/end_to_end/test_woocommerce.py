"""WooCommerce's REST clients for Python and for Node, and OAuth as requests-oauthlib signs it."""

import json
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from requests_oauthlib import OAuth1
from woocommerce import API

from tests.end_to_end.commands import need_command, run
from tests.end_to_end.customer import API as FOLDER
from tests.end_to_end.customer import certificate_of, number_of
from tests.running import REPOSITORY, Answer

_CLIENTS = REPOSITORY / ".tools"
_SCRIPT = REPOSITORY / "tests" / "end_to_end" / "woocommerce.mjs"


@dataclass
class Python:
    """The client from PyPI."""

    api: API

    def __call__(self, method, endpoint, data=None, **parameters):
        asked = {"data": data} if method in {"put", "post"} else {}
        answer = getattr(self.api, method)(endpoint, **asked, **({"params": parameters} if parameters else {}))
        return Answer(answer.status_code, answer.headers, answer.content)


@dataclass
class Node:
    """The client from npm."""

    options: dict
    environ: dict

    def __call__(self, method, endpoint, data=None, **parameters):
        told = [*([data] if method in {"put", "post"} else []), *([parameters] if parameters else [])]
        words = [str(_CLIENTS), json.dumps(self.options), method, endpoint, *map(json.dumps, told)]
        answer = json.loads(run(["node", str(_SCRIPT), *words], **self.environ))
        return Answer(answer["status"], {}, json.dumps(answer["body"]).encode())


def python_client(customer, **options):
    url, keys = customer.gateway.endpoint, (customer.keys.access_key, customer.keys.secret_key)
    return Python(API(url, *keys, wp_api=True, version="api/v1", timeout=20, **options))


def node_client(customer, **options):
    need_command("node", "nodejs")
    if not (_CLIENTS / "node_modules" / "@woocommerce").is_dir():
        pytest.skip(f"the clients from npm are not in {_CLIENTS}; run .ci/install-test-tools")
    keys = {"consumerKey": customer.keys.access_key, "consumerSecret": customer.keys.secret_key}
    options = {"url": customer.gateway.endpoint, "version": "api/v1", **keys, **options}
    trusted = certificate_of(customer.gateway)
    return Node(options, {"NODE_EXTRA_CA_CERTS": trusted} if trusted else {})


CLIENTS = pytest.mark.parametrize("make", [python_client, node_client], ids=["python", "node"])


# --- over http: OAuth 1.0a in the query


@CLIENTS
def test_products_are_listed_filtered_and_retrieved(make, customer):
    client = make(customer)
    products = client("get", "products").json()
    wanted = {"relation": "greater", "attributes[gpu]": "nvidia-1070", "attributes[ram]": "16gb", "max_price": "0.8"}
    [found] = client("get", "products", **wanted).json()
    assert (len(products), found["slug"]) == (6, "nvidia-titanxp")
    assert client("get", f"products/{found['id']}").json() == found


@CLIENTS
@pytest.mark.parametrize("method", ["put", "post"])
def test_an_order_is_a_reservation(make, method, customer):
    booking = {"product_id": customer.product_id(), "instances": 2}
    [order] = make(customer)(method, "orders", booking).json()
    assert [number_of(machine["InstanceId"]) for machine in customer.described()] == [
        machine["instance_id"] for machine in order["instances"]
    ]


@CLIENTS
def test_an_order_is_looked_at_and_completed_and_its_machines_end(make, customer):
    client = make(customer)
    [order] = client("put", "orders", {"product_id": customer.product_id(), "instances": 1}).json()
    [machine] = customer.described()
    customer.until("running", machine["InstanceId"])
    assert client("get", f"orders/{order['order_id']}").json()["order_status"] == "unlimited"
    assert [each["order_id"] for each in client("get", "orders").json()] == [order["order_id"]]
    assert client("get", f"credentials/{order['order_key']}").json()["order_id"] == order["order_id"]

    assert client("delete", f"orders/{order['order_id']}", force=True).status == 204
    customer.until("terminated", machine["InstanceId"])
    again = client("delete", f"orders/{order['order_id']}")
    assert (again.status, again.json()["code"]) == (404, "order_invalid_status")


@CLIENTS
def test_a_booking_without_room_answers_200_and_books_nothing(make, customer):
    booking = {"product_id": customer.product_id("nvidia-titanxp"), "instances": 9}
    answer = make(customer)("put", "orders", booking)
    assert (answer.status, answer.json()["code"]) == (200, "order_not_available_resources")
    assert (customer.described(), customer.orders()) == ([], [])


@CLIENTS
def test_a_secret_of_somebody_else_is_refused(make, customer, stranger):
    keys = replace(customer.keys, secret_key=stranger.keys.secret_key)
    answer = make(replace(customer, keys=keys))("get", "orders")
    assert (answer.status, answer.json()["code"]) == (401, "woocommerce_rest_authentication_error")


@CLIENTS
def test_orders_are_paged_through_chosen_and_limited_to_fields(make, customer):
    client = make(customer)
    booking = {"product_id": customer.product_id(), "instances": 1}
    placed = [client("put", "orders", booking).json()[0]["order_id"] for _ in range(3)]
    customer.ask("DELETE", f"orders/{placed[1]}")

    wanted = {"per_page": 2, "order": "asc", "_fields": "order_id,product.id"}
    envelope = client("get", "orders", **wanted, _envelope=1).json()
    assert (envelope["headers"]["X-WP-Total"], envelope["headers"]["X-WP-TotalPages"]) == ("3", "2")
    pages = [client("get", "orders", **wanted, page=page).json() for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [2, 1, 0]
    expected = [{"order_id": each, "product": {"id": booking["product_id"]}} for each in placed]
    assert [order for page in pages for order in page] == expected

    ended = client("get", "orders", status="completed", _fields="order_id").json()
    chosen = client("get", "orders", **{"include[0]": placed[0], "include[1]": placed[1], "_fields": "order_id"}).json()
    assert ended == [{"order_id": placed[1]}]
    assert chosen == [{"order_id": placed[1]}, {"order_id": placed[0]}]


def test_the_python_client_is_led_from_page_to_page(customer):
    client = python_client(customer)
    booking = {"product_id": customer.product_id(), "instances": 1}
    placed = [client("put", "orders", booking).json()[0]["order_id"] for _ in range(3)]
    seen, page = [], {"per_page": "1", "_fields": "order_id"}
    while page:
        answer = client("get", "orders", **page)
        seen += [order["order_id"] for order in answer.json()]
        links = {each["rel"]: each["url"] for each in requests.utils.parse_header_links(answer.headers["Link"])}
        page = dict(parse_qsl(urlsplit(links.get("next", "")).query))
    assert seen == placed[::-1]


@CLIENTS
def test_what_does_not_fit_is_named(make, customer):
    answer = make(customer)("get", "orders", per_page=101)
    assert (answer.status, answer.json()["code"]) == (400, "rest_invalid_param")
    assert list(answer.json()["data"]["params"]) == ["per_page"]


# --- over https: the secret itself


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (python_client, {}),
        (python_client, {"query_string_auth": True}),
        (node_client, {}),
        (node_client, {"queryStringAuth": True}),
    ],
    ids=["python-basic", "python-query", "node-basic", "node-query"],
)
def test_over_tls_the_secret_itself_books(make, options, tls_customer, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate_of(tls_customer.gateway))
    client = make(tls_customer, **options)
    [order] = client("put", "orders", {"product_id": tls_customer.product_id(), "instances": 1}).json()
    assert [number_of(machine["InstanceId"]) for machine in tls_customer.described()] == [
        order["instances"][0]["instance_id"]
    ]


# --- requests-oauthlib


@pytest.mark.parametrize("hashed", ["HMAC-SHA1", "HMAC-SHA256"])
@pytest.mark.parametrize("place", ["AUTH_HEADER", "QUERY"])
def test_oauth_signs_a_filter_in_the_query(customer, hashed, place):
    auth = OAuth1(customer.keys.access_key, customer.keys.secret_key, signature_method=hashed, signature_type=place)
    url = customer.gateway.endpoint + FOLDER + "products"
    answer = requests.get(url, {"relation": "less", "attributes[gpu]": "nvidia-1060"}, auth=auth, timeout=20)
    assert [product["slug"] for product in answer.json()] == ["nvidia-1060-100-gb-ssd"]


@pytest.mark.parametrize(
    ("place", "kind"), [("AUTH_HEADER", "json"), ("AUTH_HEADER", "data"), ("QUERY", "json"), ("BODY", "data")]
)
def test_oauth_signs_an_order_in_json_and_in_a_form(customer, place, kind):
    auth = OAuth1(customer.keys.access_key, customer.keys.secret_key, signature_type=place)
    booking = {kind: {"product_id": customer.product_id(), "instances": 1}}
    [order] = requests.put(customer.gateway.endpoint + FOLDER + "orders", auth=auth, timeout=20, **booking).json()
    assert [each["order_id"] for each in customer.orders()] == [order["order_id"]]
    assert len(customer.described()) == 1
