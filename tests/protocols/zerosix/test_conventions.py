"""What WordPress lets every request ask for: fewer members, an envelope, another method, and a description."""

import pytest
from jsonschema import Draft202012Validator

from protocols.zerosix.conventions import OVERRIDE_HEADER
from tests.protocols.zerosix.served import FORM
from tests.protocols.zerosix.test_routes import ALLOWED

TIMES = {"timezone": "America/Los_Angeles"}

# --- _fields


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("_fields=order_id", {"order_id": 1}),
        ("_fields=order_id,order_status", {"order_id": 1, "order_status": "pending"}),
        ("_fields=order_id%20order_status", {"order_id": 1, "order_status": "pending"}),
        ("_fields[]=order_id&_fields[]=order_status", {"order_id": 1, "order_status": "pending"}),
        ("_fields[0]=order_id&_fields[1]=order_status", {"order_id": 1, "order_status": "pending"}),
        ("_fields=product.id", {"product": {"id": 5}}),
        ("_fields=product.id,product", {"product": {"id": 5, "name": "Plain"}}),
        ("_fields=product,product.id", {"product": {"id": 5, "name": "Plain"}}),
        ("_fields=date_created.timezone", {"date_created": TIMES}),
        ("_fields=instances.instance_id", {"instances": [{"instance_id": 1}, {"instance_id": 2}]}),
        ("_fields=instances.start_date.timezone", {"instances": [{"start_date": TIMES}] * 2}),
        ("_fields=instances.end_date.time", {"instances": [{"end_date": ""}] * 2}),
        ("_fields=order_id.x", {"order_id": 1}),
        ("_fields=unknown", {}),
        ("_fields=unknown.order_id", {}),
        (f"_fields=order_id,{'.'.join(['instances'] * 20)}", {"order_id": 1, "instances": [{}, {}]}),
    ],
)
async def test_an_answer_is_limited_to_the_members_that_are_asked_for(site, asked, told):
    await site.book(instances=2)
    assert (await site.ask("GET", f"orders/1?{asked}")).json() == told
    assert (await site.ask("GET", f"orders?{asked}")).json() == [told]


@pytest.mark.parametrize("asked", ["", "_fields=", "_fields=,"])
async def test_no_fields_are_all_fields(site, asked):
    order = await site.book()
    assert (await site.ask("GET", f"orders/1?{asked}")).json() == order


async def test_fields_may_be_asked_for_in_a_body_and_of_a_booking(site):
    await site.book()
    assert (await site.ask("GET", "orders", {"_fields": ["order_id"]})).json() == [{"order_id": 1}]
    booking = {"product_id": 5, "instances": 1}
    assert (await site.ask("PUT", "orders?_fields=order_id", booking)).json() == [{"order_id": 2}]


async def test_fields_limit_the_indexes_and_descriptions_too(site):
    assert (await site.send("GET", "/wp-json/?_fields=namespaces")).json() == {"namespaces": ["api/v1"]}
    assert (await site.send("GET", "openapi.json?_fields=openapi,info.version")).json() == {
        "openapi": "3.1.0",
        "info": {"version": "1"},
    }
    assert (await site.send("OPTIONS", "orders?_fields=methods")).json() == {"methods": ["GET", "PUT", "POST"]}


async def test_fields_do_not_limit_refusals(site):
    for target in ("orders/9?_fields=x", "orders?_fields=x&page=0"):
        assert (await site.ask("GET", target)).refusal[0] == 400
    answer = await site.ask("PUT", "orders?_fields=order_id", {"product_id": 1, "instances": 100})
    assert answer.refusal == (200, "order_not_available_resources")


async def test_what_was_answered_before_is_not_changed_by_being_limited(site):
    order = await site.book()
    await site.ask("GET", "orders?_fields=date_created.timezone")
    assert (await site.ask("GET", "orders/1")).json() == order


@pytest.mark.parametrize("place", ["AUTH_HEADER", "QUERY"])
async def test_every_signed_copy_of_a_repeated_field_counts(site, place):
    await site.book()
    answer = await site.signed("GET", "orders/1?_fields%5B%5D=order_id&_fields%5B%5D=currency", signature_type=place)
    assert answer.json() == {"order_id": 1, "currency": "USD"}


# --- _envelope


async def test_an_envelope_holds_body_status_and_headers(site):
    order = await site.book()
    answer = await site.ask("GET", "orders?_envelope&per_page=1")
    document = answer.json()
    assert (answer.status, set(document)) == (200, {"body", "status", "headers"})
    assert (document["status"], document["body"]) == (200, [order])
    assert (document["headers"]["X-WP-Total"], document["headers"]["X-WP-TotalPages"]) == ("1", "1")


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "orders/9?_envelope=1", 400, "order_invalid_id"),
        ("GET", "products/9?_envelope=true", 404, "products_invalid_id"),
        ("GET", "tea?_envelope", 404, "rest_no_route"),
        ("PATCH", "orders?_envelope", 400, "rest_no_route"),
        ("GET", "orders?page=0&_envelope", 400, "rest_invalid_param"),
        ("PUT", "orders?product_id=1&instances=99&_envelope=", 200, "order_not_available_resources"),
    ],
)
async def test_a_refusal_comes_in_an_envelope_too(site, method, target, status, code):
    answer = await site.ask(method, target)
    document = answer.json()
    assert (answer.status, document["status"], document["body"]["code"]) == (200, status, code)
    assert site.records[-1][0].code == code


async def test_who_is_not_believed_gets_an_envelope_with_the_challenge(site):
    document = (await site.send("GET", "orders?_envelope")).json()
    assert document["status"] == 401
    assert document["headers"]["WWW-Authenticate"] == 'OAuth realm="Onefleet", Basic realm="Onefleet"'


async def test_an_answer_without_a_body_has_none_in_its_envelope(site):
    await site.book()
    document = (await site.ask("DELETE", "orders/1?_envelope")).json()
    assert (document["status"], document["body"]) == (204, None)


@pytest.mark.parametrize("no", ["0", "false", "False"])
async def test_an_envelope_may_be_declined(site, no):
    assert (await site.ask("GET", f"orders?_envelope={no}")).json() == []


async def test_a_fault_of_ours_is_never_dressed_up_as_a_success(site, house):
    await house.store.close()
    answer = await site.ask("PUT", "orders?_envelope", {"product_id": 5, "instances": 1})
    assert answer.refusal == (503, "onefleet_unavailable")


async def test_a_private_key_comes_without_an_envelope(site):
    order = await site.book()
    answer = await site.ask("GET", f"credentials/{order['order_key']}/ssh_key?_envelope")
    assert answer.body.startswith(b"-----BEGIN")


async def test_an_envelope_is_signed_with_the_rest(site):
    answer = await site.signed("GET", "orders?_envelope=1")
    assert answer.json()["body"] == []
    method, target, headers, body = site.sign("GET", "orders")
    assert (await site.send(method, f"{target}?_envelope=1", headers, body)).json()["status"] == 401


# --- another method


@pytest.mark.parametrize("how", ["query", "header", "both"])
async def test_a_post_may_mean_another_method(site, how):
    await site.book()
    query = {"query": "?_method=DELETE", "both": "?_method=delete"}.get(how, "")
    headers = {"header": [(OVERRIDE_HEADER, "delete")], "both": [(OVERRIDE_HEADER, "GET")]}.get(how, [])
    assert (await site.ask("POST", f"orders/1{query}", headers=headers)).status == 204
    assert site.records[-1][0].action == "DELETE orders/{id}"


@pytest.mark.parametrize("place", ["AUTH_HEADER", "QUERY"])
async def test_the_signature_covers_post_and_the_parameter_that_means_another_method(site, place):
    await site.book()
    answer = await site.signed("POST", "orders/1?_method=DELETE", signature_type=place)
    assert answer.status == 204
    await site.book()
    method, target, headers, body = site.sign("POST", "orders/2?_method=GET", signature_type=place)
    answer = await site.send(method, target.replace("_method=GET", "_method=DELETE"), headers, body)
    assert answer.refusal == (401, "woocommerce_rest_authentication_error")


async def test_a_post_may_mean_to_look(site):
    order = await site.book()
    assert (await site.ask("POST", "orders/1?_method=GET")).json() == order
    assert (await site.ask("POST", "orders/1?_method=HEAD")).status == 200
    assert (await site.send("POST", "orders/1?_method=OPTIONS")).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_no_other_request_may_mean_another_method(site, method):
    # A header is not signed, and a browser follows links with the password it knows.
    await site.book()
    for target, headers in (
        ("orders/1?_method=POST", []),
        ("orders/1", [(OVERRIDE_HEADER, "PATCH")]),
    ):
        assert (await site.ask(method, target, headers=headers)).status == 400
    assert (await site.ask("GET", "orders/1?_method=GET", headers=[(OVERRIDE_HEADER, "get")])).status == 200


async def test_a_method_that_nobody_has_is_refused_though_it_was_only_meant(site):
    answer = await site.ask("POST", "orders/1?_method=BREW")
    assert answer.refusal == (400, "rest_no_route")
    assert answer.headers["allow"] == "GET, HEAD, DELETE, OPTIONS"


async def test_a_word_in_a_form_means_no_other_method(site):
    await site.book()
    answer = await site.ask("POST", "orders/1", body=b"_method=DELETE", kind=FORM)
    assert answer.refusal == (400, "rest_no_route")


# --- OPTIONS


@pytest.mark.parametrize(("target", "allowed"), ALLOWED.items())
async def test_every_route_describes_itself_to_everybody(site, target, allowed):
    answer = await site.send("OPTIONS", target)
    assert (answer.status, answer.headers["allow"]) == (200, allowed)
    told = answer.json()
    listed = [method for method in allowed.split(", ") if method not in ("HEAD", "OPTIONS")]
    assert (told["namespace"], told["methods"]) == ("api/v1", listed)
    assert [endpoint["methods"] for endpoint in told["endpoints"]] == [[method] for method in listed]
    Draft202012Validator.check_schema(told["schema"])
    for endpoint in told["endpoints"]:
        for argument in endpoint["args"].values():
            Draft202012Validator.check_schema({name: argument[name] for name in argument if name != "required"})


async def test_a_description_is_valid_for_what_the_route_answers(site):
    await site.book()
    for target in ("orders", "orders/1", "products", "products/1"):
        schema = (await site.send("OPTIONS", target)).json()["schema"]
        answered = (await site.ask("GET", target)).json()
        for item in answered if isinstance(answered, list) else [answered]:
            Draft202012Validator(schema).validate(item)


async def test_arguments_are_told_with_their_bounds_and_defaults(site):
    told = (await site.send("OPTIONS", "orders")).json()["endpoints"]
    get, put, _ = told
    assert get["args"]["per_page"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "default": 10,
        "description": "Most items on a page.",
        "required": False,
    }
    assert put["args"]["instances"]["required"]
    assert (await site.send("GET", "/wp-json/")).json()["routes"]["/api/v1/orders"]["endpoints"] == told


async def test_the_attributes_that_are_told_are_the_operators(site):
    [get] = (await site.send("OPTIONS", "products")).json()["endpoints"]
    assert get["args"]["attributes"]["properties"]["ram"]["enum"] == ["8gb", "12gb", "16gb", "32gb", "192gb"]


async def test_an_unknown_route_describes_nothing(site):
    assert (await site.send("OPTIONS", "tea")).refusal == (404, "rest_no_route")


async def test_a_newline_in_a_path_is_answered_as_zerosix_does(site):
    assert (await site.send("GET", "credentials/a%0Ab")).refusal == (401, "woocommerce_rest_cannot_view")
    assert (await site.ask("GET", "credentials/a%0Ab")).refusal == (400, "credentials_invalid_order_key")
