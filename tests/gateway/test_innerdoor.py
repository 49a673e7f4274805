import asyncio
import signal
import stat
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from gateway import control, innerdoor
from gateway.innerdoor import SOCKET_FILE, open_inner_door
from protocols.ec2.explorable import Ec2Explorable
from protocols.ec2.settings import Ec2Settings
from protocols.explorable import LONGEST_ANSWER_BYTES, NoAnswer, Origin, Prepared, Signer
from protocols.zerosix.explorable import ZeroSixExplorable
from tests.protocols.zerosix.served import SETTINGS
from tests.running import Keys

EC2, ZEROSIX = Ec2Explorable(Ec2Settings()), ZeroSixExplorable(SETTINGS)
DESCRIBE, ORDERS = (EC2, "DescribeInstances"), (ZEROSIX, "GET orders")
ADDRESS = "203.0.113.7"
CLOUD = Origin("https", "cloud.example")
PLAIN = Prepared("GET", "/", [("Host", "cloud.example")])


def origin_of(gateway):
    return Origin(*urlsplit(gateway.endpoint)[:2])


async def ask(gateway, asked, keys=None, *, address=ADDRESS, origin=None):
    """Return what a running gateway answers to a signed request through its door."""
    keys, origin = keys or gateway.keys, origin or origin_of(gateway)
    protocol, operation = asked
    signer = Signer(keys.access_key, keys.secret_key, "sgp1", datetime.now(UTC), token_hex(16))
    request = protocol.prepare(operation, {}, (), origin=origin, signer=signer)
    async with open_inner_door(gateway.data) as door:
        return await door.send(request, address=address, scheme=origin.scheme)


# --- a running gateway


@pytest.mark.parametrize("asked", [DESCRIBE, ORDERS])
async def test_signed_requests_are_answered(gateway, asked):
    answered = await ask(gateway, asked)
    assert (answered.status, answered.is_whole) == (200, True)
    assert answered.seconds > 0


@pytest.mark.parametrize("asked", [DESCRIBE, ORDERS])
async def test_what_was_signed_for_the_public_name_is_believed(gateway, asked):
    assert (await ask(gateway, asked, origin=CLOUD)).status == 200


@pytest.mark.parametrize("asked", [DESCRIBE, ORDERS])
async def test_a_wrong_secret_is_refused_as_anywhere(gateway, asked):
    assert (await ask(gateway, asked, replace(gateway.keys, secret_key="wrong"))).status in (401, 403)


@pytest.mark.parametrize("asked", [DESCRIBE, ORDERS])
async def test_an_allow_list_is_judged_by_the_address_that_is_told(gateway, asked):
    account = gateway.new_keys().account_id
    narrow = {"account": account, "application": "narrow", "allow": ["203.0.113.0/24"]}
    key = control.ask(gateway.data, "key add", narrow)
    keys = Keys(account, key["access_key"], key["secret_key"])
    assert (await ask(gateway, asked, keys)).status == 200
    assert (await ask(gateway, asked, keys, address="198.51.100.7")).status in (401, 403)
    assert (await ask(gateway, asked, keys, address="127.0.0.1")).status in (401, 403)


async def test_an_endpoint_with_a_host_of_its_own_is_reached(start_gateway):
    own = {"path": "/", "host": "gigenet.test", "dialect": "gigenet"}
    gateway = start_gateway(ec2=[{"path": "/"}, own])
    assert b"<requestId>" in (await ask(gateway, DESCRIBE)).body
    answered = await ask(gateway, (Ec2Explorable(Ec2Settings(**own)), "DescribeInstances"))
    assert answered.status == 200
    assert b"<RequestID>" in answered.body


async def test_the_log_tells_the_address_that_is_told(gateway):
    keys = gateway.new_keys()
    await ask(gateway, DESCRIBE, keys, address="2001:db8::7")
    line = gateway.wait_for_log(event="request", account_id=int(keys.account_id))
    assert line["address"] == "2001:db8::7"


def test_nobody_else_is_believed_who_tells_an_address(gateway):
    gateway.get("/nothing/here", headers={"X-Forwarded-For": "198.51.100.99"})
    gateway.wait_for_log(event="request", protocol="none", address="127.0.0.1")
    assert gateway.log(event="request", address="198.51.100.99") == []


def test_only_the_owner_may_open_the_socket(gateway):
    mode = (gateway.data / SOCKET_FILE).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(gateway.data.stat().st_mode) == 0o700


async def test_a_socket_that_a_killed_gateway_left_is_replaced(start_gateway):
    gateway = start_gateway()
    gateway.kill()
    assert (gateway.data / SOCKET_FILE).exists()
    gateway.start()
    assert (await ask(gateway, DESCRIBE)).status == 200


def test_the_socket_is_gone_after_an_orderly_end(start_gateway):
    gateway = start_gateway()
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() == 0
    assert not (gateway.data / SOCKET_FILE).exists()


# --- the door itself


@asynccontextmanager
async def a_door(folder, answer):
    """Yield a door behind which a handler answers everything."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        async with open_inner_door(folder) as door, door.listening(runner):
            yield door
    finally:
        await runner.cleanup()


async def nothing(_):
    return web.Response()


async def test_the_request_arrives_as_it_is_shown_but_for_whose_it_is(tmp_path):
    arrived = []

    async def answer(request):
        arrived.append((request.method, request.raw_path, list(request.headers.items()), await request.read()))
        return web.Response(status=302, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})

    shown = Prepared("PUT", "/a%2Fb/..?x=%20+&y", [("Host", "cloud.example"), ("Content-Type", "text/plain")], b"{}")
    async with a_door(tmp_path, answer) as door:
        answers = [await door.send(shown, address=ADDRESS, scheme="https") for _ in range(2)]
    assert [answered.status for answered in answers] == [302, 302]
    told = [
        ("X-Forwarded-For", ADDRESS),
        ("X-Forwarded-Proto", "https"),
        ("Content-Length", "2"),
        ("Connection", "close"),
    ]
    assert arrived == [("PUT", "/a%2Fb/..?x=%20+&y", [*shown.headers, *told], b"{}")] * 2


async def test_of_an_endless_answer_the_beginning_is_read(tmp_path):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while not request.transport.is_closing():
            await response.write(b"x" * 100_000)
        return response

    async with a_door(tmp_path, answer) as door:
        answered = await door.send(PLAIN, address=ADDRESS, scheme="http")
    assert (len(answered.body), answered.is_whole) == (LONGEST_ANSWER_BYTES, False)


async def test_an_answer_of_just_the_longest_is_whole(tmp_path):
    async def answer(_):
        return web.Response(body=b"x" * LONGEST_ANSWER_BYTES)

    async with a_door(tmp_path, answer) as door:
        answered = await door.send(PLAIN, address=ADDRESS, scheme="http")
    assert (len(answered.body), answered.is_whole) == (LONGEST_ANSWER_BYTES, True)


async def test_an_answer_that_does_not_come_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(innerdoor, "_SECONDS", 0.05)
    has_given_up = asyncio.Event()

    async def answer(_):
        await has_given_up.wait()
        return web.Response()

    async with a_door(tmp_path, answer) as door:
        with pytest.raises(NoAnswer, match=r"within 0\.05 seconds"):
            await door.send(PLAIN, address=ADDRESS, scheme="http")
        has_given_up.set()


async def test_nobody_behind_the_door_is_told(tmp_path):
    async with open_inner_door(tmp_path) as door:
        with pytest.raises(NoAnswer, match="did not answer"):
            await door.send(PLAIN, address=ADDRESS, scheme="http")


async def test_the_data_directory_may_lie_deep(tmp_path):
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    async with a_door(deep, nothing) as door:
        assert (await door.send(PLAIN, address=ADDRESS, scheme="http")).status == 200
    assert list(deep.iterdir()) == []
