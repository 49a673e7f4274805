import asyncio
import json
import logging
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import ClientConnectionError
from botocore.session import Session
from botocore.utils import InstanceMetadataFetcher, InstanceMetadataRegionFetcher

from core.errors import StoreUnavailable
from core.instances import MetadataService
from core.tags import Resource, ResourceKind
from protocols import ids
from protocols.metadata import app
from tests.clocks import eventually
from tests.protocols.metadata.conftest import PUBLIC_KEY, USER_DATA
from tests.protocols.metadata.guests import TOKEN, TOKEN_SECONDS

INSTANCE = ids.instance_id


async def set_metadata(street, guest, **changes):
    await street.yard.core.machines.set_options(
        street.yard.caller, guest.id, lambda options: replace(options, metadata=MetadataService(**changes))
    )


async def tag(street, guest, **values):
    resource = Resource(street.yard.caller.account_id, ResourceKind.INSTANCE, guest.id)
    await street.yard.core.tag(street.yard.caller, [resource], values)


# --- what is told


async def test_curl_is_told_what_the_machine_is_called(guest):
    status, told = await guest.curl("--fail", "http://169.254.169.254/latest/meta-data/instance-id")
    assert (status, told) == (0, INSTANCE(guest.id).encode())


async def test_the_root_lists_every_version(guest):
    versions = (await guest.ask("/")).text.splitlines()
    assert versions == sorted(versions)
    assert {"1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest"} <= set(versions)
    for version in versions:
        assert (await guest.ask(f"/{version}/meta-data/instance-id")).text == INSTANCE(guest.id)


async def test_a_version_lists_its_trees_without_marks_as_ec2_does(guest):
    assert (await guest.ask("/latest/")).text == "dynamic\nmeta-data\nuser-data"


async def test_folders_in_a_listing_end_in_a_slash_and_files_do_not(guest):
    listing = (await guest.tell("")).splitlines()
    for name in listing:
        inside = await guest.ask(f"/latest/meta-data/{name}")
        assert inside.status == 200
        assert name.endswith("/") == (
            name.rstrip("/") in {"block-device-mapping", "network", "placement", "public-keys", "services"}
        )


@pytest.mark.parametrize(
    "path", ["/latest", "/latest/meta-data", "/latest/meta-data/placement", "/latest/meta-data/mac"]
)
async def test_a_slash_at_the_end_changes_nothing(guest, path):
    with_slash, without = await guest.ask(f"{path}/"), await guest.ask(path)
    assert (with_slash.status, with_slash.body) == (without.status, without.body)


async def test_every_leaf_tells_what_core_knows(street, guest):
    view = await street.yard.core.selfviews.of(guest.id)
    mac = await guest.tell("mac")
    group = ids.spell(ResourceKind.SECURITY_GROUP, view.groups[0].id)
    told = {
        "ami-id": ids.image_id(view.image.id),
        "ami-launch-index": "0",
        "ami-manifest-path": "(unknown)",
        "block-device-mapping/": "ami\nroot",
        "block-device-mapping/ami": "/dev/sda1",
        "block-device-mapping/root": "/dev/sda1",
        "hostname": f"m{guest.id}",
        "instance-action": "none",
        "instance-life-cycle": "on-demand",
        "instance-type": "small",
        "local-hostname": f"m{guest.id}",
        "local-ipv4": view.instance.private_address,
        "placement/availability-zone": "eu-1a",
        "placement/region": "eu-1",
        "profile": "default-hvm",
        "public-ipv4": "203.0.113.0",
        "public-keys/": "0=laptop",
        "public-keys/0/": "openssh-key",
        "public-keys/0/openssh-key": PUBLIC_KEY,
        "reservation-id": ids.reservation_id(view.order.id),
        "security-groups": "default",
        "services/domain": "fleet.example.com",
        "services/partition": "aws",
        "network/": "interfaces/",
        "network/interfaces/": "macs/",
        "network/interfaces/macs/": f"{mac}/",
        f"network/interfaces/macs/{mac}/device-number": "0",
        f"network/interfaces/macs/{mac}/interface-id": ids.spell(ResourceKind.INTERFACE, guest.id),
        f"network/interfaces/macs/{mac}/ipv4-associations/203.0.113.0": view.instance.private_address,
        f"network/interfaces/macs/{mac}/local-ipv4s": view.instance.private_address,
        f"network/interfaces/macs/{mac}/mac": mac,
        f"network/interfaces/macs/{mac}/owner-id": ids.owner_id(view.instance.account_id),
        f"network/interfaces/macs/{mac}/public-ipv4s": "203.0.113.0",
        f"network/interfaces/macs/{mac}/security-group-ids": group,
        f"network/interfaces/macs/{mac}/security-groups": "default",
        f"network/interfaces/macs/{mac}/subnet-id": ids.spell(ResourceKind.SUBNET, view.subnet.id),
        f"network/interfaces/macs/{mac}/subnet-ipv4-cidr-block": "10.1.0.0/16",
        f"network/interfaces/macs/{mac}/vpc-id": ids.spell(ResourceKind.NETWORK, view.network.id),
        f"network/interfaces/macs/{mac}/vpc-ipv4-cidr-block": "10.0.0.0/8",
        f"network/interfaces/macs/{mac}/vpc-ipv4-cidr-blocks": "10.0.0.0/8",
    }
    assert {path: await guest.tell(path) for path in told} == told


async def test_the_identity_document_can_be_read_by_line_and_as_json(street, guest):
    answer = await guest.ask("/latest/dynamic/instance-identity/document")
    machine = await street.yard.machine(guest.id)
    assert json.loads(answer.text) == {
        "accountId": str(street.yard.caller.account_id),
        "architecture": "x86_64",
        "availabilityZone": "eu-1a",
        "billingProducts": None,
        "devpayProductCodes": None,
        "imageId": ids.image_id(machine.image_id),
        "instanceId": INSTANCE(guest.id),
        "instanceType": "small",
        "kernelId": None,
        "marketplaceProductCodes": None,
        "pendingTime": "2026-05-01T12:00:00Z",
        "privateIp": machine.private_address,
        "ramdiskId": None,
        "region": "eu-1",
        "version": "2017-09-30",
    }
    assert '  "region" : "eu-1",\n' in answer.text


@pytest.mark.parametrize("name", ["signature", "pkcs7", "rsa2048"])
async def test_nothing_is_signed(guest, name):
    assert (await guest.ask(f"/latest/dynamic/instance-identity/{name}")).status == 404


async def test_user_data_comes_back_byte_for_byte(guest):
    answer = await guest.ask("/latest/user-data")
    assert (answer.body, answer.headers["Content-Type"]) == (USER_DATA, "application/octet-stream")


async def test_user_data_of_a_machines_own_takes_the_place_of_its_orders(street, guest):
    await street.yard.stop(guest.id)
    await street.yard.core.machines.set_user_data(street.yard.caller, guest.id, b"new")
    assert (await guest.ask("/latest/user-data")).body == b"new"
    await street.yard.core.machines.set_user_data(street.yard.caller, guest.id, b"")
    assert (await guest.ask("/latest/user-data")).status == 404


async def test_a_machine_without_a_thing_is_not_told_of_it(open_street):
    guest = await (await open_street()).guest()
    assert (await guest.ask("/latest/")).text == "dynamic\nmeta-data"
    assert {"public-keys/", "tags/"}.isdisjoint((await guest.tell("")).splitlines())
    for path in ("user-data", "meta-data/public-keys/", "meta-data/services/domain"):
        assert (await guest.ask(f"/latest/{path}")).status == 404


async def test_a_key_of_the_orders_own_is_told_under_the_orders_name(street):
    guest = await street.guest(wants_own_key=True)
    order = await street.yard.order_of(guest.id)
    assert await guest.tell("public-keys/") == f"0=order-{order.id}"
    assert await guest.tell("public-keys/0/openssh-key") == order.public_key


async def test_what_changes_is_told_at_once(street, guest):
    await street.yard.core.machines.set_options(
        street.yard.caller, guest.id, lambda options: replace(options, hostname="web.example.com")
    )
    assert await guest.tell("local-hostname") == "web.example.com"


async def test_tags_are_told_only_where_the_renter_shows_them(street, guest):
    await tag(street, guest, Name="web", **{"Cost centre": "a b", "a/b": "no path leads here", "..": "nor here"})
    assert (await guest.ask("/latest/meta-data/tags/instance/Name")).status == 404
    await set_metadata(street, guest, shows_tags=True)
    assert await guest.tell("tags/") == "instance/"
    assert await guest.tell("tags/instance/") == "Cost centre\nName"
    assert await guest.tell("tags/instance/Name") == "web"
    assert await guest.tell("tags/instance/Cost%20centre") == "a b"


# --- what is refused


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/2099-01-01/meta-data/",
        "/latest/meta-data/iam/security-credentials/",
        "/latest/meta-data/instance-id/more",
        "/latest/meta-data/public-keys/1/openssh-key",
        "/latest/user-data/more",
        "/onefleet",
    ],
)
async def test_what_is_not_there_is_not_found(guest, path):
    answer = await guest.ask(path)
    assert answer.status == 404
    assert "404 - Not Found" in answer.text


async def test_it_names_itself_as_ec2s_does_and_hangs_up(guest):
    for path in ("/latest/meta-data/mac", "/nothing"):
        headers = (await guest.ask(path)).headers
        assert (headers["Server"], headers["Connection"]) == ("EC2ws", "close")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_only_reading_is_allowed(guest, method):
    answer = await guest.ask("/latest/meta-data/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


async def test_head_tells_all_but_the_body(guest):
    answer = await guest.ask("/latest/meta-data/mac", "HEAD")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "17")


async def test_a_machine_that_is_gone_is_told_nothing(street, guest):
    await street.yard.terminate(guest.id)
    assert (await guest.ask("/latest/meta-data/instance-id")).status == 404


async def test_a_machine_that_never_was_is_told_nothing(street):
    stranger = await street.wire(4711)
    assert (await stranger.ask("/")).status == 404


async def test_a_stopping_machine_is_still_told_about_itself(street, guest):
    await street.yard.stop(guest.id)
    assert await guest.tell("instance-id") == INSTANCE(guest.id)


async def test_where_the_service_is_off_nothing_is_told(street, guest):
    await set_metadata(street, guest, is_enabled=False)
    for path, method in (
        ("/", "GET"),
        ("/latest/user-data", "GET"),
        ("/latest/api/token", "PUT"),
        ("/onefleet/file", "GET"),
    ):
        assert (await guest.ask(path, method, **{TOKEN_SECONDS: "60"})).status == 403


async def test_each_machine_is_told_about_itself_alone(street, guest):
    other = await street.guest(user_data=b"theirs")
    asked = [each.ask(f"/latest/{path}") for each in (guest, other) for path in ("meta-data/instance-id", "user-data")]
    told = [answer.body for answer in await asyncio.gather(*asked)]
    assert told == [INSTANCE(guest.id).encode(), USER_DATA, INSTANCE(other.id).encode(), b"theirs"]


async def test_a_database_that_cannot_be_read_is_a_reason_to_ask_again(street, guest, monkeypatch):
    async def fail(_):
        raise StoreUnavailable

    monkeypatch.setattr(street.yard.store, "material", fail)
    assert (await guest.ask("/latest/user-data")).status == 503


# --- tokens


async def test_a_token_opens_what_needs_one(street, guest):
    await set_metadata(street, guest, needs_token=True)
    assert (await guest.ask("/latest/meta-data/mac")).status == 401
    assert (await guest.ask("/latest/meta-data/mac", **{TOKEN: await guest.token()})).status == 200


async def test_a_token_comes_with_how_long_it_is_good(guest):
    answer = await guest.ask("/latest/api/token", "PUT", **{TOKEN_SECONDS: "21600"})
    assert (answer.headers[TOKEN_SECONDS], len(answer.text)) == ("21600", 56)


@pytest.mark.parametrize("seconds", ["", "0", "21601", "-1", "1.5", "ten", "٣"])
async def test_a_token_is_good_for_a_second_to_six_hours(guest, seconds):
    assert (await guest.ask("/latest/api/token", "PUT", **{TOKEN_SECONDS: seconds})).status == 400


async def test_no_token_is_given_without_saying_for_how_long(guest):
    assert (await guest.ask("/latest/api/token", "PUT")).status == 400


async def test_no_token_is_given_to_a_proxy(guest):
    headers = {TOKEN_SECONDS: "60", "X-Forwarded-For": "192.0.2.1"}
    assert (await guest.ask("/latest/api/token", "PUT", **headers)).status == 403


async def test_a_token_must_be_asked_for_by_put(guest):
    answer = await guest.ask("/latest/api/token")
    assert (answer.status, answer.headers["Allow"]) == (405, "PUT")


async def test_a_token_ends(street, guest):
    token = await guest.token(60)
    street.yard.clock.advance(timedelta(seconds=59))
    assert (await guest.ask("/latest/meta-data/mac", **{TOKEN: token})).status == 200
    street.yard.clock.advance(timedelta(seconds=1))
    assert (await guest.ask("/latest/meta-data/mac", **{TOKEN: token})).status == 401


async def test_a_token_is_of_no_use_to_another_machine(street, guest):
    other = await street.guest()
    assert (await other.ask("/latest/meta-data/mac", **{TOKEN: await guest.token()})).status == 401


@pytest.mark.parametrize("token", ["", "x", "AAAA", "A" * 56, "ÿ" * 56, "=" * 56])
async def test_a_wrong_token_is_worse_than_none(guest, token):
    assert (await guest.ask("/latest/meta-data/mac", **{TOKEN: token})).status == 401


# --- other people's clients


async def test_botocore_finds_no_credentials_and_does_not_mind(guest, caplog):
    async with guest.endpoint() as url:
        found = await asyncio.to_thread(
            InstanceMetadataFetcher(timeout=5, num_attempts=2, base_url=url).retrieve_iam_role_credentials
        )
    assert found == {}
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize("needs_token", [False, True])
async def test_botocore_finds_the_region(street, guest, needs_token, monkeypatch):
    await set_metadata(street, guest, needs_token=needs_token)
    async with guest.endpoint() as url:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        config = {"ec2_metadata_service_endpoint": Session().get_config_variable("ec2_metadata_service_endpoint")}
        fetcher = InstanceMetadataRegionFetcher(timeout=5, config=config)
        assert await asyncio.to_thread(fetcher.retrieve_region) == "eu-1"


async def test_a_client_that_says_no_more_once_it_has_asked_is_answered(guest):
    told = await guest.say(b"GET /latest/meta-data/mac HTTP/1.0\r\n\r\n", then_is_silent=True)
    assert told.endswith((await guest.tell("mac")).encode())


# --- machines that mean no good


async def test_of_requests_sent_in_a_row_only_the_first_is_answered(guest):
    told = await guest.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    assert told.count(b"HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0" * 100_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_garbage_is_told_so_and_not_worth_a_line_in_the_log(guest, words, caplog):
    caplog.set_level(logging.INFO)
    told = await guest.say(words)
    assert told.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert caplog.records == []


async def test_a_body_is_not_waited_for(guest):
    told = await guest.say(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100_000)
    assert told.startswith(b"HTTP/1.1 405")


@pytest.mark.parametrize("words", [b"", b"GET / HTTP/1.1\r\nHost: "])
async def test_a_machine_that_does_not_go_on_is_hung_up_on(guest, words, monkeypatch):
    monkeypatch.setitem(app._HTTP, "keepalive_timeout", 0.05)
    assert await guest.say(words) == b""


async def test_a_machine_has_only_so_many_connections(street, guest):
    other = await street.guest()
    held = [await asyncio.open_unix_connection(guest.path) for _ in range(app.MOST_CONNECTIONS)]
    with pytest.raises(ClientConnectionError):
        await guest.ask("/")
    assert (await other.ask("/")).status == 200
    for _, writer in held:
        writer.close()
    await eventually(lambda: not street.metadata._connections)
    assert (await guest.ask("/")).status == 200


async def test_a_machine_that_asks_too_often_waits_its_turn_and_no_other_does(open_street, monkeypatch):
    monkeypatch.setattr(app, "PER_SECOND", 10.0)
    monkeypatch.setattr(app, "IN_A_ROW", 1)
    street = await open_street()
    busy, other = await street.guest(), await street.guest()
    started = time.monotonic()
    asking = [asyncio.create_task(busy.ask("/")) for _ in range(4)]
    assert (await other.ask("/")).status == 200
    assert not all(task.done() for task in asking)
    assert {answer.status for answer in await asyncio.gather(*asking)} == {200}
    assert time.monotonic() - started >= 0.29


async def test_closing_hangs_up_on_everybody(street, guest):
    reader, writer = await asyncio.open_unix_connection(guest.path)
    writer.write(b"GET / HT")
    await eventually(lambda: bool(street.metadata._connections))
    await street.metadata.close()
    assert await reader.read() == b""
    writer.close()
