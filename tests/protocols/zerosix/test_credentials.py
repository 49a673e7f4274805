"""How to log in to an order's machines, and the order's private key."""

from datetime import timedelta
from ipaddress import ip_network
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from core.instances import Power
from core.keypairs import KeyKind
from core.orders import Booking
from tests.protocols.zerosix.served import serve

MALFORMED = [
    "1",
    "wc_order_",
    "wc_order_a-b",
    "wc_order_a%20b",
    "WC_ORDER_abc",
    "wc_order_%C3%BC",
    "%ff",
    "wc_order_" + "a" * 65,
]
UNKNOWN = ["wc_order_randomKey", "wc_order_1", "wc_order_" + "a" * 64]


async def credentials(site, order, **options):
    return await site.ask("GET", f"credentials/{order['order_key']}", **options)


async def key_link(site, order):
    """Return the link to the private key, as a request target."""
    parts = urlsplit((await credentials(site, order)).json()["ssh_key"])
    assert (parts.scheme, parts.netloc) == ("http", site.host)
    return f"{parts.path}?{parts.query}"


def is_private_key(answer):
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-pem-file"
    assert answer.headers["cache-control"] == "no-store, private"
    return load_ssh_private_key(answer.body, None) is not None


async def test_credentials_tell_how_to_reach_each_machine(site):
    order = await site.book("nvidia-1080ti", 2)
    for target in (f"credentials/{order['order_key']}", f"/wp-json/api/v1//credentials/{order['order_key']}/"):
        told = (await site.ask("GET", target, [])).json()
        assert told.pop("ssh_key").startswith(f"{site.url}credentials/{order['order_key']}/ssh_key?expires=")
        assert told == {
            "order_id": 1,
            "order_key": order["order_key"],
            "instances": [
                {"instance_id": 1, "ssh_hostname": "renter@127.0.0.1", "ssh_port": "20001"},
                {"instance_id": 2, "ssh_hostname": "renter@127.0.0.1", "ssh_port": "20002"},
            ],
        }


async def test_a_machine_that_ended_is_left_out_because_its_port_is_somebody_elses_soon(site, house):
    order = await site.book(instances=2)
    await house.core.terminate(house.caller(), [1])
    assert [machine["instance_id"] for machine in (await credentials(site, order)).json()["instances"]] == [2]


async def test_a_machine_with_an_address_of_its_own_is_reached_there(site, house):
    order = await site.book()
    await house.seen(Power.RUNNING, public_address="203.0.113.7")
    (machine,) = (await credentials(site, order)).json()["instances"]
    assert machine["ssh_hostname"] == "ubuntu@203.0.113.7"


async def test_an_ec2_booking_has_the_customers_own_key_and_so_none_to_hand_out(site, house):
    await house.core.create_key_pair(house.caller(), "mine", KeyKind.ED25519, {})
    product = await house.product("plain")
    placed = await house.core.book(house.caller(), Booking(product.id, key_name="mine"))
    order = {"order_key": placed.order.order_key}
    assert (await credentials(site, order)).json()["ssh_key"] == ""
    answer = await site.ask("GET", f"credentials/{placed.order.order_key}/ssh_key")
    assert answer.refusal == (400, "credentials_invalid_id")


@pytest.mark.parametrize("rest", ["", "/ssh_key", "/ssh_key?expires=1&signature=x"])
@pytest.mark.parametrize("order_key", MALFORMED)
async def test_a_malformed_order_key_is_refused_as_documented(site, order_key, rest):
    answer = await site.ask("GET", f"credentials/{order_key}{rest}")
    assert answer.refusal == (400, "credentials_invalid_order_key")
    assert answer.json()["message"] == "Invalid Order Key."


@pytest.mark.parametrize("rest", ["", "/ssh_key"])
@pytest.mark.parametrize("order_key", UNKNOWN)
async def test_an_unknown_order_key_is_refused_as_documented(site, order_key, rest):
    answer = await site.ask("GET", f"credentials/{order_key}{rest}")
    assert answer.refusal == (400, "credentials_invalid_id")
    assert answer.json()["message"] == "Problem with order_key. Please mention valid order_key."


@pytest.mark.parametrize("rest", ["", "/ssh_key"])
async def test_another_customers_order_key_is_as_good_as_unknown(site, house, rest):
    order = await site.book()
    answer = await site.ask("GET", f"credentials/{order['order_key']}{rest}", holder=house.theirs)
    assert answer.refusal == (400, "credentials_invalid_id")


@pytest.mark.parametrize("rest", ["", "/ssh_key"])
async def test_the_credentials_of_a_completed_order_are_refused_as_documented(site, rest):
    order = await site.ended()
    answer = await site.ask("GET", f"credentials/{order['order_key']}{rest}")
    assert answer.refusal == (403, "credentials_order_complete")
    assert answer.json()["message"] == "Not authorized to see order credentials. Order is completed."


# --- the private key


async def test_the_link_gives_the_private_key_to_whoever_has_it(site):
    order = await site.book()
    answer = await site.send("GET", await key_link(site, order))
    assert is_private_key(answer)
    assert answer.headers["content-disposition"] == f'attachment; filename="{order["order_key"]}.pem"'


async def test_the_owner_may_fetch_the_private_key_with_ordinary_credentials(site):
    order = await site.book()
    by_link = await site.send("GET", await key_link(site, order))
    target = f"credentials/{order['order_key']}/ssh_key"
    assert is_private_key(by_link)
    assert (await site.ask("GET", target)).body == by_link.body
    assert (await site.signed("GET", target)).body == by_link.body


async def test_nobody_gets_the_private_key_without_a_link_or_credentials(site):
    order = await site.book()
    answer = await site.send("GET", f"credentials/{order['order_key']}/ssh_key")
    assert answer.refusal == (401, "woocommerce_rest_cannot_view")


async def test_a_link_ends_after_an_hour(site, house):
    link = await key_link(site, await site.book())
    house.clock.advance(timedelta(minutes=59, seconds=59))
    assert is_private_key(await site.send("GET", link))
    house.clock.advance(timedelta(seconds=1))
    assert (await site.send("GET", link)).refusal == (400, "credentials_invalid_id")


async def test_a_link_ends_with_its_order(site):
    order = await site.book()
    link = await key_link(site, order)
    await site.ask("DELETE", f"orders/{order['order_id']}")
    assert (await site.send("GET", link)).refusal == (403, "credentials_order_complete")


async def test_a_link_is_good_for_its_own_order_only(site):
    one, other = await site.book(), await site.book()
    link = (await key_link(site, one)).replace(one["order_key"], other["order_key"])
    assert (await site.send("GET", link)).refusal == (400, "credentials_invalid_id")


@pytest.mark.parametrize(
    "query",
    [
        "expires=9999999999&signature=",
        "expires=&signature=x",
        "expires=soon&signature=x",
        "expires=%D9%A3&signature=%C3%BC",
        f"expires={'9' * 5000}&signature=x",
    ],
)
async def test_a_link_that_is_not_ours_is_refused(site, query):
    order = await site.book()
    answer = await site.send("GET", f"credentials/{order['order_key']}/ssh_key?{query}")
    assert answer.refusal == (400, "credentials_invalid_id")


async def test_a_link_cannot_be_made_to_last_longer(site):
    link = await key_link(site, await site.book())
    assert (await site.send("GET", link.replace("expires=1", "expires=2"))).refusal == (400, "credentials_invalid_id")


async def test_a_link_names_the_public_url(house):
    async with serve(house, public_url=("https", "fleet.example.com")) as site:
        order = await site.book()
        told = (await credentials(site, order)).json()
    assert told["ssh_key"].startswith(
        f"https://fleet.example.com/wp-json/api/v1/credentials/{order['order_key']}/ssh_key?"
    )


async def test_a_link_names_the_host_that_a_trusted_proxy_was_called_by(house, site):
    order = await site.book()
    async with serve(house, proxies=[ip_network("127.0.0.0/8")]) as behind:
        forwarded = [
            ("X-Forwarded-For", "203.0.113.7"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "fleet.example.com"),
        ]
        told = (await credentials(behind, order, headers=forwarded)).json()
    assert told["ssh_key"].startswith("https://fleet.example.com/wp-json/")


async def test_a_host_that_is_no_host_does_not_break_the_answer(site):
    order = await site.book()
    told = (await credentials(site, order, headers=[("Host", 'caf\udce9 "x"')])).json()
    assert told["ssh_key"].startswith("http://caf%E9%20%22x%22/wp-json/")
