"""docs/security.md: what it says of what is kept, logged and bounded is so."""

import base64
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from math import log2
from ssl import Purpose, TLSVersion, create_default_context

import pytest

from core import people, sessions
from core.accounts import Protocol, new_secret_key
from core.errors import TooManyRequests
from core.limits import Pace
from core.service import people as signing_in
from core.storage.migrate import migrations
from core.vault import Vault
from gateway import config, server
from gateway.datadir import KEY_FILE, key_in
from protocols.console.rendering import POLICY
from protocols.ec2 import signatures
from protocols.zerosix import oauth1
from tests.end_to_end.customer import API, REGION, boto3_client
from tests.running import REPOSITORY, Keys, RunningGateway, a_config
from tests.yard import open_yard

PAGE = (REPOSITORY / "docs" / "security.md").read_text()
SAID = " ".join(PAGE.split())  # however its lines are broken
USER_DATA, TAG = "password=in-the-user-data", "written-on-a-tag"


# --- what is kept


def schema() -> set[str]:
    with closing(sqlite3.connect(":memory:")) as db:
        for step in migrations():
            db.executescript(step.sql)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            f"{table}.{column[1]}"
            for table in tables
            if not table.startswith("sqlite_")
            for column in db.execute(f"PRAGMA table_info({table})")
        }


def listed(head: str) -> list[tuple[str, str]]:
    """Return the rows of the page's table whose head begins so, cells without their dressing."""
    _, _, below = PAGE.partition(f"| {head} |")
    return [
        (first, second)
        for first, second in re.findall(r"^\| (.+?) \| (.+) \|$", below.partition("\n\n")[0], re.MULTILINE)
    ]


def columns(head: str) -> list[str]:
    return [name.strip("`") for name, _ in listed(head)]


def clear_columns() -> list[str]:
    return [f"{table.strip('`')}.{name}" for table, names in listed("table") for name in re.findall(r"`(\w+)`", names)]


SEALED, HASHED = columns("sealed with the key file"), columns("kept as a digest or hash")


def test_every_column_of_the_database_is_in_one_of_the_lists():
    named = [*SEALED, *HASHED, *clear_columns()]
    assert sorted(named) == sorted(schema())


def test_what_the_page_calls_sealed_is_what_the_code_seals():
    sources = [file.read_text() for file in (REPOSITORY / "core" / "storage").glob("*.py")]
    sealed = {purpose for text in sources for purpose in re.findall(r'sealed\(vault, "(.+?)"\)', text)}
    assert sealed | {"seals.sealed"} == set(SEALED)


# --- what is said in figures


# What the page says, what it means, and what the code has.
CLAIMS: Mapping[str, tuple[object, object]] = {
    "a secret of 238 random bits": (238, round(len(new_secret_key()) * log2(62))),
    "argon2id, 19 MiB, two passes, a salt of 16 bytes": (
        (19 * 1024, 2, 16),
        (people._MEMORY_KIB, people._ITERATIONS, people._SALT_BYTES),
    ),
    "which has 256 random bits": (256, people.TOKEN_BYTES * 8),
    "a password of 10 characters or more": (10, people.SHORTEST_PASSWORD),
    "A signature is good for 15 minutes either way": (timedelta(minutes=15), signatures._SKEW),
    "7 days at most": (7 * 86400, signatures._V4_MAX_LIFETIME_SECONDS),
    "a time stamp 15 minutes either way": (timedelta(minutes=15), oauth1.TIMESTAMP_WINDOW),
    "up to 36 hours": (36 * 3600, sessions.LONGEST_SECONDS),
    "After five failures": (5, signing_in._FREE_FAILURES),
    "a minute for the person, a quarter of an hour for the address": (
        {"email": 60, "address": 900},
        signing_in._LONGEST_WAIT_SECONDS,
    ),
    "IPv6: /64": (64, signing_in._NETWORK_BITS),
    "begins with `default-src 'none'`": ("default-src 'none'", POLICY.partition(";")[0]),
    "TLS is 1.2 or newer": (TLSVersion.TLSv1_2, create_default_context(Purpose.CLIENT_AUTH).minimum_version),
    "an idle time of 75 seconds": (75, server._IDLE_SECONDS),
}


@pytest.mark.parametrize("words", CLAIMS)
def test_what_the_page_says_in_figures_is_so(words):
    said, found = CLAIMS[words]
    assert words in SAID
    assert found == said


def test_no_key_is_held_up_unless_the_operator_wants_it(tmp_path):
    assert "**and is off by default**" in SAID
    settings = config.parse(a_config(tmp_path), tmp_path)
    assert settings.limits.requests_per_second == 0
    pace = Pace(0, 1)
    for _ in range(10_000):
        pace.take("AKOF")


async def test_the_requests_of_a_keys_sessions_count_as_its_own(tmp_path):
    async with open_yard(tmp_path) as yard:
        yard.core._pace = Pace(1, 2, clock=lambda: 0.0)
        session = yard.core.open_session(yard.caller, 900)
        key = await yard.core.credential(yard.caller.access_key)
        temporary = await yard.core.session_credential(session.access_key, session.token)
        for credential in (key, temporary):
            yard.core.admit(credential, "203.0.113.7", Protocol.EC2, "")
        with pytest.raises(TooManyRequests):
            yard.core.admit(temporary, "203.0.113.7", Protocol.EC2, "")


# --- what a gateway tells and keeps


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that tells all it can, whose first account has booked through both protocols, and erred in both."""
    with RunningGateway(tmp_path_factory.mktemp("used"), log={"level": "debug"}) as gateway:
        for keys in (gateway.keys, Keys("", gateway.keys.access_key, "wrong-secret-of-ours")):
            use_ec2(gateway, keys)
            use_zerosix(gateway, keys)
        yield gateway


def use_ec2(gateway: RunningGateway, keys: Keys) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": TAG}]}]
    with closing(boto3_client("ec2", gateway, keys, region=REGION)) as ec2:
        booking = {"ImageId": "ami-00000000000000001", "InstanceType": "gcl.1", "MinCount": 1, "MaxCount": 1}
        try:
            ec2.run_instances(UserData=USER_DATA, TagSpecifications=tags, **booking)
            ec2.create_key_pair(KeyName="one")
        except ec2.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "AuthFailure", error  # noqa: PT017  the wrong key


def use_zerosix(gateway: RunningGateway, keys: Keys) -> None:
    pair = base64.b64encode(f"{keys.access_key}:{keys.secret_key}".encode()).decode()
    gateway.request("PUT", f"{API}orders?product_id=1&instances=1", headers={"Authorization": f"Basic {pair}"})
    gateway.get(f"{API}orders?consumer_key={keys.access_key}&consumer_secret={keys.secret_key}")


def test_no_line_of_the_log_has_a_secret_or_what_a_customer_wrote(used):
    used.wait_for_log(action="RunInstances", status=200)
    used.wait_for_log(protocol="zerosix", status=401)
    lines = used.stderr
    encoded = base64.b64encode(USER_DATA.encode()).decode()
    secrets = [used.keys.secret_key, "wrong-secret-of-ours", USER_DATA, encoded, TAG, "PRIVATE KEY", "consumer_secret"]
    assert [each for each in secrets if each in lines] == []


def test_the_metrics_name_no_account_key_or_address(used):
    told = used.get("/metrics").text
    assert [each for each in (used.keys.account_id, used.keys.access_key, "127.0.0.1") if each in told] == []


def test_user_data_lies_open_in_the_database_and_no_api_secret_does(used):
    held = b"".join(file.read_bytes() for file in used.data.glob("onefleet.db*"))
    assert USER_DATA.encode() in held
    assert used.keys.secret_key.encode() not in held


def test_whoever_has_the_key_file_gets_into_an_account_whose_access_key_is_known(used):
    assert "**entry to every account whose access key is known**" in SAID
    vault = Vault(key_in((used.data / KEY_FILE).read_bytes(), used.data / KEY_FILE))
    forged = sessions.open_session(vault, used.keys.access_key, 900, datetime.now(UTC))
    with closing(boto3_client("ec2", used, Keys("", forged.access_key, forged.secret_key), region=REGION)) as ec2:
        ec2._request_signer._credentials.token = forged.token
        assert ec2.describe_instances()["Reservations"]


def test_the_audit_log_keeps_what_was_typed_as_an_address_at_a_refused_sign_in(used):
    assert "What was typed as an e-mail address at a refused sign-in is in the audit log." in SAID
    form, origin = b"email=hunter2-by-mistake&password=x", {"Origin": used.endpoint}
    used.request("POST", "/console/sign-in", body=form, headers=origin)
    told = used.cli("audit", "--what", "sign in refused").stdout
    assert "hunter2-by-mistake" in told
    assert "hunter2-by-mistake" not in used.stderr
