import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from libcloud.common.types import InvalidCredsError
from libcloud.compute.drivers.ec2 import EC2NodeDriver
from libcloud.compute.types import KeyPairDoesNotExistError
from lxml import etree

from core.ids import ApiKeyId
from core.instances import Power
from core.service import Core
from protocols.ec2 import model
from protocols.ec2.app import ACTIONS
from protocols.ec2.extensions import EXTENSIONS
from protocols.ec2.model import List, Structure
from tests.clocks import ManualClock
from tests.fleetfixture import open_house
from tests.protocols.ec2 import test_signatures
from tests.protocols.ec2.oracle import service_model
from tests.protocols.ec2.served import FORM, another_core, served
from tests.protocols.ec2.stage import GIGENETS_OWN, GOOD, STS, rows, set_stage
from tests.vectors import VECTORS, need_vectors

NOT_AUTHENTICATED = {
    "AuthFailure",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "RequestExpired",
    "UnauthorizedOperation",
}

# --- real clients, on record and live


class RecordedTokens(Core):
    """A core that takes the recordings' session token for one of its own: another service issued it."""

    async def session_credential(self, access_key, token):
        assert token in RECORDED_TOKENS
        return await self.credential(access_key)


RECORDED_TOKENS = {"AQoEXAMPLEH4aoAH0gNCAPyJxz4BlCFFxWNE1OPTgk5TthT+FvwqnKw=="}
RECORDED_AT = datetime(2026, 11, 22, 11, 41, 35, tzinfo=UTC)


def recordings():
    file = VECTORS / "ec2-requests" / "client-recordings.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@asynccontextmanager
async def known_to(folder, record, now=RECORDED_AT):
    """A served house at the time of a record, in which its access key is one of ours."""
    async with open_house(folder, ManualClock(now)) as house:
        await add_key(house, record["access_key"], record["secret_key"])
        core = another_core(house, RecordedTokens)
        path = "/services/Eucalyptus" if "Eucalyptus" in record["raw_head"].split("\r\n")[0] else "/"
        async with served(house, core=core, path=path) as ec2:
            yield ec2


async def add_key(house, access_key, secret_key):
    key = replace(house.ours.key, id=ApiKeyId(99), access_key=access_key, secret_key=secret_key)
    await house.store.transact(lambda tx: tx.put(key))


def on_the_wire(record):
    return (record["raw_head"] + record["body"]).encode()


async def test_every_recorded_request_of_a_real_client_is_authenticated(tmp_path):
    need_vectors()
    records = recordings()
    codes = {}
    for path in ("/", "/services/Eucalyptus"):
        chosen = [record for record in records if record["raw_head"].split()[1].partition("?")[0] == path]
        async with known_to(tmp_path, chosen[0]) as ec2:
            for record in chosen:
                answer = await ec2.send_raw(on_the_wire(record))
                codes[record["case"]] = answer.sts_code if "-sts" in record["case"] else answer.code
                # What is not served is not looked at any closer.
                assert ec2.records[-1][0].account_id or codes[record["case"]] == "UnsupportedOperation"
    assert len(codes) == 59
    assert not NOT_AUTHENTICATED & set(codes.values())
    # Most ask for what is not here; these ask for nothing in particular.
    answered = {case.partition(":")[2] for case, code in codes.items() if not code}
    assert answered == {
        "CreateVolume",  # so the record is named; what it asks for is DescribeAvailabilityZones
        "DescribeImages",
        "DescribeInstances",
        "DescribeKeyPairs",
        "DescribeRegions_empty_list",
        "GetCallerIdentity",
        "GetSessionToken",
    }


async def test_a_recorded_request_of_which_one_letter_was_altered_is_not_authenticated(tmp_path):
    need_vectors()
    records = [
        record
        for record in recordings()
        if "Action=DescribeInstances" in record["raw_head"] + record["body"] and "Eucalyptus" not in record["raw_head"]
    ]
    assert len(records) > 10
    async with known_to(tmp_path, records[0]) as ec2:
        for record in records:
            answer = await ec2.send_raw(on_the_wire(record).replace(b"Version=20", b"Version=19", 1))
            assert answer.code == "AuthFailure"


async def test_the_php_sample_works_as_printed(ec2, house):
    await add_key(house, test_signatures.KEY, test_signatures.SECRET)
    request = test_signatures.php_get({"InstanceId.1": "1 +é"}, endpoint=ec2.url.rstrip("/"), now=house.clock.now())
    answer = await ec2.send("GET", f"/?{request.raw_query}", request.headers)
    assert answer.code == "InvalidInstanceID.Malformed"
    request = test_signatures.php_get({}, endpoint=ec2.url.rstrip("/"), now=house.clock.now())
    answer = await ec2.send("GET", f"/?{request.raw_query}", request.headers)
    assert answer.root.tag == "{http://ec2.amazonaws.com/doc/2016-11-15/}DescribeInstancesResponse"


@pytest.fixture
async def now(house):
    """The house's time is the system's, by which libcloud signs."""
    house.clock.advance(datetime.now(UTC) - house.clock.now())


def libcloud(ec2, signature, secret=""):
    key, (host, _, port) = ec2.house.ours.key, ec2.host.partition(":")
    options = {"secure": False, "host": host, "port": int(port), "signature_version": signature}
    return EC2NodeDriver(key.access_key, secret or key.secret_key, **options)


@pytest.mark.parametrize("signature", ["2", "4"])
async def test_libcloud_makes_a_key_pair_and_a_machine_and_ends_them(house, now, signature):
    async with served(house) as ec2:
        driver = libcloud(ec2, signature)

        def prepare():
            pair = driver.create_key_pair("mine")
            (image,) = driver.list_images(ex_image_ids=["debian-12"])
            size = driver.list_sizes()[0]
            size.id = "plain"
            return pair, driver.create_node("one", size, image, ex_keyname="mine", ex_userdata="é")

        pair, node = await asyncio.to_thread(prepare)
        assert (node.id, node.name, node.extra["key_name"]) == ("i-00000000000000001", "one", "mine")
        await house.seen(Power.RUNNING)
        assert await asyncio.to_thread(driver.reboot_node, node)
        assert await asyncio.to_thread(driver.destroy_node, node)
        assert await asyncio.to_thread(driver.delete_key_pair, pair)


@pytest.mark.parametrize("signature", ["2", "4"])
async def test_libcloud_understands_what_it_is_refused_for(house, now, signature):
    async with served(house) as ec2:
        with pytest.raises(KeyPairDoesNotExistError, match="no-such"):
            await asyncio.to_thread(libcloud(ec2, signature).get_key_pair, "no-such")
        with pytest.raises(InvalidCredsError):
            await asyncio.to_thread(libcloud(ec2, signature, "wrong").list_key_pairs)


# --- which action it is


async def test_a_request_without_an_action_is_told_so(ec2):
    for method, target, body in (
        ("GET", "/", b""),
        ("POST", "/", b""),
        ("POST", "/", b"a=b"),
        ("GET", "/?Action=", b""),
    ):
        answer = await ec2.send(method, target, (), body)
        assert (answer.status, answer.code) == (400, "MissingAction")


async def test_an_action_that_aws_does_not_have_is_refused_in_the_words_that_terraform_knows(ec2):
    answer = await ec2.ask("DescribeAddressesAttributes")
    assert (answer.status, answer.code) == (400, "InvalidAction")
    assert answer.message == "The action DescribeAddressesAttributes is not valid for this web service."


@pytest.mark.parametrize("service", ["ec2", "sts"])
async def test_every_action_that_aws_has_and_we_do_not_is_refused_by_name(ec2, service):
    names = set(service_model(service).operation_names) - ACTIONS.keys()
    assert len(names) > 5
    for name in names:
        answer = await ec2.send("GET", f"/?Action={name}")
        code = answer.sts_code if service == "sts" else answer.code
        assert (answer.status, code) == (400, "UnsupportedOperation")
        assert f"The action {name} is not supported here" in answer.message
        assert ec2.records[-1][0].action == name


async def test_what_is_no_action_of_aws_is_not_counted_by_name(ec2):
    await ec2.ask("Whatever")
    exchange, status = ec2.records[-1]
    assert (exchange.action, exchange.code, exchange.account_id, status) == ("unknown", "InvalidAction", None, 400)


async def test_every_request_is_recorded_with_who_asked_for_what(ec2, house):
    await ec2.ask("DescribeRegions")
    await ec2.ask("DescribeRegions", {"X": ""}, holder=house.theirs)
    told = [(e.action, e.account_id, e.code, status, e.address) for e, status in ec2.records]
    assert told == [
        ("DescribeRegions", house.ours.account.id, "", 200, "127.0.0.1"),
        ("DescribeRegions", house.theirs.account.id, "UnknownParameter", 400, "127.0.0.1"),
    ]


# --- its version


@pytest.mark.parametrize("version", ["2009-03-31", "2013-10-15", "2014-10-01", "2016-11-15"])
async def test_the_version_that_is_asked_for_is_that_of_the_namespace(ec2, version):
    answer = await ask_in(ec2, [("Version", version)])
    assert answer.root.tag == f"{{http://ec2.amazonaws.com/doc/{version}/}}DescribeRegionsResponse"


async def test_without_a_version_the_answer_is_of_the_newest(ec2):
    for pairs in ([], [("Version", "")]):
        answer = await ask_in(ec2, pairs)
        assert answer.root.tag == "{http://ec2.amazonaws.com/doc/2016-11-15/}DescribeRegionsResponse"


@pytest.mark.parametrize("version", ["x", "2016-11-15/", "2016-11-1\uff15", '"><x'])
async def test_a_version_that_is_no_date_is_refused(ec2, version):
    answer = await ask_in(ec2, [("Version", version)])
    assert (answer.status, answer.code) == (400, "InvalidParameterValue")


async def test_sts_has_one_version(ec2):
    answer = await ask_in(ec2, [("Version", "2013-10-15")], "GetSessionToken")
    assert answer.root.tag == "{https://sts.amazonaws.com/doc/2011-06-15/}GetSessionTokenResponse"


async def ask_in(ec2, pairs, action="DescribeRegions"):
    """Ask in version 2 of the signature, with no version but what is in the pairs."""
    key = ec2.house.ours.key
    fields = [
        ("Action", action),
        *pairs,
        ("AWSAccessKeyId", key.access_key),
        ("SignatureVersion", "2"),
        ("SignatureMethod", "HmacSHA256"),
        ("Timestamp", f"{ec2.house.clock.now():%Y-%m-%dT%H:%M:%SZ}"),
    ]
    text = test_signatures.urlencode(sorted(fields), quote_via=test_signatures.quote)
    to_sign = f"GET\n{ec2.host}\n/\n{text}"
    digest = test_signatures.hmac.new(key.secret_key.encode(), to_sign.encode(), "sha256").digest()
    signature = test_signatures.quote(test_signatures.base64.b64encode(digest), safe="")
    return await ec2.send("GET", f"/?{text}&Signature={signature}")


# --- how it is sent


async def test_parameters_may_be_in_the_query_and_in_the_body(ec2, house):
    del house
    key = ec2.house.ours.key
    request = test_signatures.AWSRequest(
        "POST", f"{ec2.url}?Action=DescribeInstances", {"Content-Type": FORM}, "InstanceId.1=i-12345678"
    )
    credentials = test_signatures.Credentials(key.access_key, key.secret_key)
    test_signatures.SigV4Auth(credentials, "ec2", "eu-1").add_auth(request)
    headers = [(name, str(value)) for name, value in request.headers.items()]
    answer = await ec2.send("POST", "/?Action=DescribeInstances", headers, b"InstanceId.1=i-12345678")
    assert answer.code == "InvalidInstanceID.NotFound"


async def test_the_whole_url_may_be_asked_for_as_of_a_proxy(ec2):
    answer = await ec2.send("GET", f"{ec2.url}?Action=DescribeRegions")
    assert answer.code == "MissingAuthenticationToken"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD"])
async def test_another_method_is_refused(ec2, method):
    answer = await ec2.send(method, "/?Action=DescribeRegions")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    assert method == "HEAD" or answer.code == "InvalidHttpRequest"


@pytest.mark.parametrize("kind", ["application/json", "text/xml", "multipart/form-data; boundary=x", "x", ""])
async def test_a_body_that_is_no_form_is_refused(ec2, kind):
    answer = await ec2.send("POST", "/", [("Content-Type", kind)], b"Action=DescribeRegions")
    assert (answer.status, answer.code) == (415, "InvalidHttpRequest")


@pytest.mark.parametrize("kind", [FORM, "APPLICATION/X-WWW-FORM-URLENCODED", "application/x-www-form-urlencoded ;x"])
async def test_a_form_is_a_form_however_it_is_spelt(ec2, kind):
    answer = await ec2.send("POST", "/", [("Content-Type", kind)], b"Action=DescribeRegions")
    assert answer.code == "MissingAuthenticationToken"
    assert (await ec2.send("POST", "/", (), b"Action=DescribeRegions")).code == "MissingAuthenticationToken"


@pytest.mark.parametrize("raw", [b"Action=%ff", b"Action=DescribeRegions&%c3=", b"Action=\xff", b"%ed%a0%80=x"])
async def test_what_is_not_utf8_is_refused(ec2, raw):
    answer = await ec2.send("POST", "/", [("Content-Type", FORM)], raw)
    assert (answer.status, answer.code) == (404, "MalformedQueryString")
    if raw.isascii():
        answer = await ec2.send("GET", f"/?{raw.decode()}")
        assert (answer.status, answer.code) == (404, "MalformedQueryString")


async def test_a_request_has_a_limit_of_parameters(ec2):
    many = "&".join(f"Filter.{number}.Name=x" for number in range(5001))
    answer = await ec2.send("POST", "/", [("Content-Type", FORM)], f"Action=DescribeInstances&{many}".encode())
    assert (answer.status, answer.code) == (400, "InvalidParameterCombination")


async def test_headers_that_mean_nothing_to_us_pass(ec2):
    # boto3 tells each attempt apart with these. Source: reference/ec2-wire-rules.md, Requests.
    more = [("amz-sdk-invocation-id", "x"), ("amz-sdk-request", "attempt=1"), ("X-Whatever", "\xe9")]
    assert (await ec2.ask("DescribeRegions", headers=more)).code == ""


@pytest.mark.parametrize(
    "header",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature=",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f/g, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=a, Credential=b, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 " + "x" * 8000,
        "AWS4-HMAC-SHA256 \udcff",
        "AWS4-ECDSA-P256-SHA256 Credential=a/20260501/x/ec2/aws4_request, SignedHeaders=host, Signature=x",
        "AWS AKID:signature",
        "Basic dXNlcjpwYXNz",
        "OAuth oauth_consumer_key=x",
        "",
    ],
)
async def test_a_header_that_is_no_signature_is_refused(ec2, header):
    told = [("Authorization", header), ("X-Amz-Date", "20260501T120000Z")]
    answer = await ec2.send("GET", "/?Action=DescribeInstances", told)
    assert answer.code in NOT_AUTHENTICATED
    assert 400 <= answer.status < 500


# --- whatever is sent, no fault of ours


@pytest.fixture
async def stage(house):
    await set_stage(house)


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(max_size=30)
ESCAPES = st.text(st.sampled_from("%&=+.;/?0af\t é"), max_size=40)
LINE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)


# To AWS it is a fault of the server's that nothing is left of what was asked for.
FULL = {"InsufficientAddressCapacity", "InsufficientInstanceCapacity"}


def judged(ec2, answer):
    """Check that an answer is no fault of ours and, unless the HTTP parser gave it, in the form of a refusal."""
    assert answer.status < 500 or answer.code in FULL
    if answer.headers.get("content-type", "").startswith("text/xml"):
        assert etree.QName(answer.root).localname.endswith("Response")
        assert answer.body.count(b"Traceback") == 0


@FUZZ
@given(query=ESCAPES, action=st.sampled_from([*GOOD, "x", ""]))
async def test_any_query_is_answered(ec2, query, action):
    target = "".join(letter if 32 < ord(letter) < 127 else "%C3%A9" for letter in query)
    judged(ec2, await ec2.send("GET", f"/?Action={action}&{target}"))


@FUZZ
@given(
    body=st.binary(max_size=60), action=st.sampled_from([b"", b"Action=DescribeInstances&", b"Action=RunInstances&"])
)
async def test_any_body_is_answered(ec2, body, action):
    judged(ec2, await ec2.send("POST", "/", [("Content-Type", FORM)], action + body))


HEADERS = [
    "Authorization",
    "Content-Type",
    "X-Amz-Date",
    "Date",
    "X-Amz-Security-Token",
    "X-Forwarded-For",
    "Accept",
    "Cookie",
]


@FUZZ
@given(headers=st.dictionaries(st.sampled_from(HEADERS), LINE), scheme=st.sampled_from(["", "AWS4-HMAC-SHA256 "]))
async def test_any_headers_are_answered(ec2, headers, scheme):
    told = [(name, (scheme if name == "Authorization" else "") + value) for name, value in headers.items()]
    judged(ec2, await ec2.send("POST", "/?Action=DescribeInstances", told, b"Version=2016-11-15"))


@FUZZ
@given(raw=st.binary(max_size=80))
async def test_any_bytes_are_answered_or_the_connection_ends(ec2, raw):
    with suppress(asyncio.IncompleteReadError):
        judged(ec2, await ec2.send_raw(b"GET /" + raw.replace(b"\r\n\r\n", b"") + b" HTTP/1.1\r\nHost: x\r\n\r\n"))


NAMES = {
    action: sorted(
        {
            (member.serialization.get("name") or name)[:1].upper() + (member.serialization.get("name") or name)[1:]
            for name, member in service_model("sts" if action in STS else "ec2")
            .operation_model(action)
            .input_shape.members.items()
        }
    )
    for action in GOOD.keys() - GIGENETS_OWN
} | {action: ["InstanceId", "InstanceType", "PublicIp"] for action in GIGENETS_OWN}
ENDINGS = st.sampled_from(["", ".1", ".0", ".1.Name", ".1.Value.1", ".1.Key", ".x", ".1.1", ".member.1", ".Enabled"])
VALUES = st.sampled_from(
    ["", "true", "1", "-1", "99999999999", "i-00000000000000001", "1", "mine", "ami-1", "AAAA", "*"]
)


@FUZZ
@given(data=st.data(), action=st.sampled_from(sorted(GOOD)))
async def test_any_signed_parameters_are_answered(ec2, stage, data, action):
    name = st.builds("".join, st.tuples(st.sampled_from(NAMES[action] or ["X"]), ENDINGS))
    parameters = data.draw(st.dictionaries(name, VALUES | TEXT, max_size=4))
    kept = {} if data.draw(st.booleans()) else GOOD[action]
    judged(ec2, await ec2.ask(action, kept | parameters))


def leaves(shapes, name, path, depth=5):
    """Yield the name of every parameter within a shape of a request, as it is sent."""
    shape = shapes[name]
    if isinstance(shape, List):
        yield from leaves(shapes, shape.item, f"{path}.1", depth)
    elif not isinstance(shape, Structure):
        yield path
    elif depth:
        for member in shape.members:
            yield from leaves(shapes, member.shape, f"{path}.{member.wire}".lstrip("."), depth - 1)


def inner_names(action):
    service = next(service for service in model.load(EXTENSIONS).values() if action in service.actions)
    request = service.actions[action].request
    return sorted(leaves(service.shapes, request, "")) if request else []


INNER = {action: names for action in GOOD if (names := inner_names(action))}


@FUZZ
@given(data=st.data(), action=st.sampled_from(sorted(INNER)))
async def test_any_parameter_that_aws_knows_is_answered_whatever_its_value(ec2, stage, data, action):
    parameters = data.draw(st.dictionaries(st.sampled_from(INNER[action]), VALUES | TEXT, max_size=3))
    judged(ec2, await ec2.ask(action, GOOD[action] | parameters))


async def test_nothing_is_left_behind_by_what_was_refused(ec2, stage, house):
    before = await rows(house)
    for action, parameters in GOOD.items():
        await ec2.ask(action, parameters, secret="wrong")
        await ec2.send("POST", "/", [("Content-Type", FORM)], urlencode({"Action": action, **parameters}).encode())
    assert await rows(house) == before
