"""The samples of ZeroSix's documentation, as printed, and every kind of answer as a document."""

import asyncio
import json
import re
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from core.ids import ProductId
from core.instances import Power

# Source: seed-zerosix-api.md. Changed are the host, and that key and secret are shown, which the text demands.
# {BLANK} is a blank at the end of a line, which editors would take away.
LIST = r"""curl  --request GET "https://zerosix.ai/wp-json/api/v1/products/" \
      --header "Content-Type: application/json" \
      --data "{}"
"""
FILTER = r"""curl --request GET "https://zerosix.ai/wp-json/api/v1/products/" \
  --header "Content-Type: application/json" \
  --data "{
    \"relation\": \"greater\",
    \"attributes\":{BLANK}
    {
      \"gpu\": \"nvidia-1070\",
        \"geo\": \"europe\",
        \"ram\": \"16gb\",
    },
    \"min_price\": 0.3,
    \"max_price\": 0.8
}"
"""
RETRIEVE = r"""  curl  https://www.zerosix.ai/wp-json/api/v1/products/1  \
        -u consumer_key:consumer_secret \
        -H "Content-Type: application/json"{BLANK}
"""
BOOK = r"""curl --location --request PUT "https://zerosix.ai/wp-json/api/v1/orders?product_id=171&instances=3&file_url=https://ww.zerosix.ai/docker.tar.gz&script_url=https://ww.zerosix.ai/script.tar.gz" \
  --data ""
"""

PRODUCT = {
    "id": 1,
    "title": "NVIDIA 1060, 100 GB SSD",
    "slug": "nvidia-1060-100-gb-ssd",
    "description": "NVIDIA 1060 with 100 GB SSD ",
    "permalink": "product/nvidia-1060-100-gb-ssd/",
    "hourly-price": "0.25",
    "currency": "USD",
    "attributes": {
        "cpu": "intel-i3",
        "geo": "asia-pacific",
        "network-speed": "50-100mbps",
        "ram": "8gb",
        "gpu": "nvidia-1060",
    },
}
TIME = {"time": "2019-01-01T04:20:00", "timezone_type": 3, "timezone": "America/Los_Angeles"}
ORDER = {
    "order_id": 1,
    "order_key": "wc_order_randomKey",
    "order_status": "unlimited",
    "date_created": TIME,
    "hourly-price": "0.5",
    "currency": "USD",
    "product": {"id": 171, "name": "NVIDIA 1080ti, 100GB SSD"},
    "file_url": "https://ww.zerosix.ai/docker.tar.gz",
    "script_url": "https://ww.zerosix.ai/script.tar.gz",
    "instances": [
        {
            "instance_id": 2,
            "status": "wc-unlimited",
            "start_date": TIME,
            "end_date": "",
            "machine": "-p80 renter@127.0.0.1",
            "rented_hours": "1",
        }
    ]
    * 3,
}
CREDENTIALS = {
    "order_id": 1,
    "order_key": "wc_order_randomKey",
    "ssh_key": "SSH KEY URL HERE",
    "instances": [{"instance_id": 2, "ssh_hostname": "renter@127.0.0.1", "ssh_port": "80"}],
}


FORMS = {
    "hourly-price": r"\d+(\.\d+)?",
    "order_key": r"wc_order_[A-Za-z0-9]+",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    "status": r"wc-[a-z-]+",
    "machine": r"-p\d+ renter@127\.0\.0\.1",
    "rented_hours": r"\d+",
    "permalink": r"product/[a-z0-9-]+/",
    "ssh_hostname": r"renter@127\.0\.0\.1",
    "ssh_port": r"\d+",
}


def assert_has_shape(document, sample, name=""):
    """All that the sample has is there, in the same form; more may be."""
    assert type(document) is type(sample), name
    if isinstance(sample, dict):
        for member, value in sample.items():
            assert_has_shape(document[member], value, member)
    elif isinstance(sample, list):
        for found, value in zip(document, sample, strict=True):
            assert_has_shape(found, value, name)
    elif name in FORMS:
        for text in (document, sample):
            assert re.fullmatch(FORMS[name], text), name


async def run(site, command):
    """Return what the shell prints for a documented command."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    key = site.house.ours.key
    command = command.replace("{BLANK}", " ")
    command = re.sub(r"https://(www\.)?zerosix\.ai", f"http://{site.host}", command)
    shown = f"{key.access_key}:{key.secret_key}"
    if "-u " in command:
        command = command.replace("consumer_key:consumer_secret", shown)
    else:
        command = command.replace("curl ", f"curl -u {shown} ", 1)
    shell = await asyncio.create_subprocess_exec(
        "sh", "-c", command.replace("curl ", "curl -s --fail ", 1), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await shell.communicate()
    assert shell.returncode == 0
    return json.loads(printed)


async def put_documented_product(house):
    """Sell the product of the documented order under its documented id."""
    product = replace(await house.product("nvidia-1080ti"), id=ProductId(171), slug="nvidia-171")
    await house.store.transact(lambda tx: tx.put(product))


async def test_the_documented_list_runs_as_printed(site):
    products = await run(site, LIST)
    assert [product["id"] for product in products] == [1, 2, 3, 4, 5]
    assert_has_shape(products[0], PRODUCT)


async def test_the_documented_filter_runs_as_printed_with_its_trailing_comma(site):
    (product,) = await run(site, FILTER)
    assert product["attributes"] == {
        "cpu": "intel-i7",
        "ram": "16gb",
        "gpu": "nvidia-titan-xp",
        "geo": "europe",
        "network-speed": "50mbps",
    }
    assert product["hourly-price"] == "0.7"


async def test_the_documented_retrieval_runs_as_printed(site):
    product = await run(site, RETRIEVE)
    assert (product["id"], product["hourly-price"]) == (1, "0.25")


async def test_the_documented_booking_runs_as_printed(site, house):
    await put_documented_product(house)
    order = await run(site, BOOK)
    await house.seen(Power.RUNNING)
    told = (await site.ask("GET", "orders")).json()
    for answer in (order, told):
        assert_has_shape(answer, [ORDER])
        assert answer[0]["product"]["id"] == 171
        assert answer[0]["file_url"] == ORDER["file_url"]
        assert answer[0]["script_url"] == ORDER["script_url"]
    assert told[0]["order_status"] == "unlimited"
    assert [machine["status"] for machine in told[0]["instances"]] == ["wc-unlimited"] * 3


async def test_credentials_have_the_documented_shape(site):
    order = await site.book("nvidia-1060")
    assert_has_shape((await site.ask("GET", f"credentials/{order['order_key']}")).json(), CREDENTIALS)


# --- golden files


def document_of(site, answer):
    """Return an answer as text, with what differs from run to run replaced."""
    shown = {
        name: answer.headers[name] for name in sorted(answer.headers) if name not in ("date", "server", "connection")
    }
    body = json.loads(answer.body) if "json" in shown.get("content-type", "") else None
    text = json.dumps({"status": answer.status, "headers": shown, "body": body}, indent=2, ensure_ascii=False) + "\n"
    text = text.replace(f"http://{site.host}", "http://HOST")
    text = re.sub(r'"content-length": "\d+"', '"content-length": "LENGTH"', text)
    text = re.sub(r"signature=[\w-]+", "signature=SIGNATURE", text)
    text = re.sub(r"wc_order_[A-Za-z0-9]{20,}", "wc_order_KEY", text)
    return re.sub(r'"request_id": "[0-9a-f-]+"', '"request_id": "ID"', text)


async def test_every_answer_is_as_it_was_reviewed(site, house, golden):
    async def check(name, method, target, arguments=None):
        answer = await site.ask(method, target, arguments)
        golden.check(f"zerosix/{name}.json", document_of(site, answer))
        return answer

    await check("site-index", "GET", "/wp-json/")
    await check("namespace-index", "GET", "/wp-json/api/v1")
    await check("openapi", "GET", "openapi.json")
    await check("options-orders", "OPTIONS", "orders")
    await check("products", "GET", "products")
    await check("product", "GET", "products/3")
    await check("orders-none", "GET", "orders")
    wanted = {"product_id": 3, "instances": 2, "file_url": "https://example.com/data.tar.gz"}
    order = (await check("order-created", "PUT", "orders", wanted)).json()[0]
    await house.seen(Power.RUNNING, [1], private_address="10.0.0.1")
    await house.fail([2])
    await site.book()
    house.clock.advance(timedelta(minutes=90))
    await check("order-running-and-failed", "GET", "orders/1")
    await check("credentials", "GET", f"credentials/{order['order_key']}")
    await house.core.stop(house.caller(), [1], is_forced=False)
    await check("orders", "GET", "orders")
    await check("orders-page", "GET", "orders?per_page=1&page=2&_fields=order_id,instances.status")
    await check("orders-envelope", "GET", "orders?per_page=1&_fields=order_id&_envelope")
    await check("order-deleted", "DELETE", "orders/1")
    await check("order-completed", "GET", "orders/1")


async def test_every_documented_refusal_is_as_it_was_reviewed(site, house, golden):
    order = await site.ended()
    await site.book("nvidia-1060", holder=house.theirs)
    book = {"product_id": 1, "instances": 1}
    requests = {
        "products_invalid_relation": ("GET", "products", {"relation": "x"}),
        "products_invalid_prices": ("GET", "products", {"min_price": "x"}),
        "products_invalid_prices-crossed": ("GET", "products", {"min_price": 2, "max_price": 1}),
        "products_invalid_attribute": ("GET", "products", {"attributes": {"gpu": "x"}}),
        "products_invalid_id": ("GET", "products/999", None),
        "order_invalid_product_id": ("PUT", "orders", book | {"product_id": 999}),
        "order_invalid_instances": ("PUT", "orders", book | {"instances": 0}),
        "order_invalid_file_url": ("PUT", "orders", book | {"file_url": "x"}),
        "order_invalid_script_url": ("PUT", "orders", book | {"script_url": "x"}),
        "order_not_available_resources": ("PUT", "orders", book | {"instances": 100}),
        "order_invalid_id": ("GET", "orders/999", None),
        "order_invalid_permissions": ("DELETE", "orders/2", None),
        "order_invalid_status": ("DELETE", f"orders/{order['order_id']}", None),
        "credentials_invalid_order_key": ("GET", "credentials/x", None),
        "credentials_invalid_id": ("GET", "credentials/wc_order_randomKey", None),
        "credentials_order_complete": ("GET", f"credentials/{order['order_key']}", None),
        "rest_no_route": ("GET", "tea", None),
        "rest_no_route-method": ("PATCH", "orders", None),
        "rest_invalid_json": ("GET", "products", 1),
        "rest_invalid_param": ("GET", "orders?per_page=101&page=x&order=up&after=today&status=lost", None),
        "rest_invalid_param-method": ("GET", "orders?_method=PUT", None),
    }
    for name, request in requests.items():
        answer = await site.ask(*request)
        assert answer.json()["code"] == name.partition("-")[0]
        golden.check(f"zerosix/refusals/{name}.json", document_of(site, answer))
    golden.check("zerosix/refusals/cannot_view.json", document_of(site, await site.send("GET", "orders")))
