import json
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tests.certificates import make_certificate
from tests.running import DEADLINE_SECONDS, Keys, RunningGateway, eventually

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def ec2_of(gateway: RunningGateway, keys: Keys | None = None):
    keys = keys or gateway.keys
    return boto3.client(
        "ec2",
        "sgp1",
        endpoint_url=gateway.endpoint,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        config=Config(retries={"total_max_attempts": 1}),
    )


def machines_of(ec2) -> list[dict]:
    return [each for page in ec2.describe_instances()["Reservations"] for each in page["Instances"]]


@contextmanager
def connected(gateway: RunningGateway):
    host, port = gateway.endpoint.split("//", 1)[1].split(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS) as connection:
        yield connection


# --- the first start


def test_the_first_start_prints_an_account_a_key_and_examples(gateway):
    assert gateway.keys.account_id == "100000000001"
    assert re.search(r"aws ec2 run-instances --endpoint-url http://127\.0\.0\.1:\d+ --region \w+ \\\n", gateway.welcome)
    assert f"curl -u {gateway.keys.access_key}:{gateway.keys.secret_key}" in gateway.welcome
    assert "Machines are simulated" in gateway.welcome
    assert str(gateway.data) in gateway.welcome
    assert str(gateway.config) in gateway.welcome


def test_what_the_first_start_prints_fits_a_terminal(gateway):
    lines = [line for line in gateway.welcome.splitlines() if str(gateway.folder) not in line]
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("begin", "end", "proof"),
    [
        ("export AWS_ACCESS", "See it with boto3", '"InstanceId": "i-'),
        ("python3 -c", "Rent another", "'Reservations': ["),
        ("curl -u", "Machines are", '"order_id":'),
    ],
)
def test_the_printed_examples_work_as_they_are(gateway, begin, end, proof):
    example = gateway.welcome[gateway.welcome.index(begin) : gateway.welcome.index(end)]
    path = f"{Path(sys.executable).parent}:{gateway.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", example],
        capture_output=True,
        text=True,
        env=gateway.environ | {"PATH": path, "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert proof in done.stdout


def test_a_later_start_prints_where_it_answers_and_no_key(start_gateway):
    gateway = start_gateway()
    before = (gateway.folder / "stdout").read_text()
    gateway.restart()
    printed = (gateway.folder / "stdout").read_text().removeprefix(before)
    assert printed == (
        f"Onefleet answers at {gateway.endpoint} (EC2 on /, ZeroSix on /wp-json/api/v1/)\n"
        f"The console is at {gateway.endpoint}/console/\n"
    )


def test_a_start_after_an_account_was_made_by_hand_makes_none(tmp_path):
    gateway = RunningGateway(tmp_path)
    gateway.cli("account", "add", "mine")
    with gateway:
        assert [account["name"] for account in gateway.cli_json("account", "list")] == ["mine"]


def test_the_examples_use_the_public_url_if_there_is_one(start_gateway):
    gateway = start_gateway(server={"public_url": "https://cloud.example"})
    assert "--endpoint-url https://cloud.example " in gateway.welcome


# --- what is served


def test_both_protocols_see_one_fleet(gateway):
    keys = gateway.new_keys()
    ec2 = ec2_of(gateway, keys)
    product = ec2.describe_instance_types()["InstanceTypes"][0]["InstanceType"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    booked = ec2.run_instances(InstanceType=product, ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]
    command = ["curl", "-sSu", f"{keys.access_key}:{keys.secret_key}", f"{gateway.endpoint}/wp-json/api/v1/orders"]
    [order] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert [each["ec2_instance_id"] for each in order["instances"]] == [booked["InstanceId"]]


def test_a_path_of_nobody_is_answered_with_a_pointer(gateway):
    answer = gateway.get("/nothing/here")
    assert answer.status == 404
    assert "EC2 on /, ZeroSix on /wp-json/api/v1/" in answer.text


def test_a_front_end_without_its_section_is_off(start_gateway):
    gateway = start_gateway(zerosix=None, console=None)
    assert "ZeroSix" not in gateway.welcome
    assert "onsole" not in gateway.welcome
    assert gateway.get("/console/").status == 404
    assert gateway.get("/wp-json/api/v1/products").text == (
        "Nothing answers here. This is a Onefleet gateway, with EC2 on /.\n"
    )


def test_front_ends_answer_where_they_are_put(start_gateway):
    gateway = start_gateway(ec2={"path": "/ec2/"}, zerosix={"path": "/shop/wp-json/api/v1/"})
    assert b"MissingAction" in gateway.get("/ec2/?Version=2016-11-15").body
    assert gateway.get("/shop/wp-json/api/v1/products").status in (200, 401)
    assert gateway.get("/wp-json/api/v1/products").status == 404


def test_every_request_is_one_log_line(gateway):
    keys = gateway.new_keys()
    ec2_of(gateway, keys).describe_regions()
    line = gateway.wait_for_log(event="request", action="DescribeRegions", account_id=int(keys.account_id))
    assert (line["protocol"], line["status"], line["address"]) == ("ec2", 200, "127.0.0.1")
    assert len(gateway.log(event="request", request_id=line["request_id"])) == 1


def test_every_change_of_state_is_one_log_line(gateway):
    keys = gateway.new_keys()
    ec2 = ec2_of(gateway, keys)
    product = ec2.describe_instance_types()["InstanceTypes"][0]["InstanceType"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(InstanceType=product, ImageId=image, MinCount=1, MaxCount=1)
    line = gateway.wait_for_log(event="instance running", account_id=int(keys.account_id))
    assert line["was"] == "pending"


def test_neither_keys_nor_query_strings_are_logged(gateway):
    keys = gateway.new_keys()
    gateway.get(f"/?Action=DescribeRegions&AWSAccessKeyId={keys.access_key}&Signature=c2VjcmV0")
    gateway.get(f"/wp-json/api/v1/orders?consumer_key={keys.access_key}&consumer_secret={keys.secret_key}")
    with connected(gateway) as connection:
        connection.sendall(f"GET /?Signature={keys.secret_key} HTTP/9.9.9\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.0 400")
    gateway.wait_for_log(event="malformed request")
    gateway.wait_for_log(event="request", protocol="zerosix")
    assert keys.secret_key not in gateway.stderr
    assert "c2VjcmV0" not in gateway.stderr


def test_a_body_over_the_limit_is_refused_in_the_protocols_words(start_gateway):
    gateway = start_gateway(server={"max_body_kib": 1})
    answer = gateway.request("POST", "/", body=b"Action=DescribeRegions&x=" + b"y" * 2000, headers=FORM)
    assert answer.status == 413
    assert b"<Response><Errors><Error><Code>" in answer.body


def test_a_client_that_sends_garbage_gets_an_answer_and_no_traceback_is_logged(gateway):
    with connected(gateway) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert b" 400 " in connection.recv(1000)
    assert "Traceback" not in gateway.stderr


# --- who the client is


def forwarded(gateway: RunningGateway, keys: Keys) -> int:
    """Return the status of a request that claims to come from 203.0.113.9 over TLS, where the key may be used."""
    credentials = f"{keys.access_key}:{keys.secret_key}"
    url = f"{gateway.endpoint}/wp-json/api/v1/orders"
    headers = ["-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Proto: https"]
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-u", credentials, *headers, url]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


def keys_for_one_network(gateway: RunningGateway) -> Keys:
    account = gateway.new_keys("far away").account_id
    key = gateway.cli_json("key", "add", "--account", account, "--application", "far", "--allow", "203.0.113.0/24")
    return Keys(account, **key)


def test_a_trusted_proxy_is_believed(start_gateway):
    gateway = start_gateway(server={"trusted_proxies": ["127.0.0.0/8"]})
    assert forwarded(gateway, keys_for_one_network(gateway)) == 200
    gateway.wait_for_log(event="request", address="203.0.113.9", status=200)


def test_anybody_else_is_not_believed(gateway):
    assert forwarded(gateway, keys_for_one_network(gateway)) in (401, 403)
    gateway.wait_for_log(event="request", protocol="zerosix", address="127.0.0.1", action="GET orders")


# --- how it is


def test_healthz_tells_that_the_process_turns(gateway):
    assert (gateway.get("/healthz").status, gateway.get("/healthz").text) == (200, "ok\n")


def test_readyz_tells_that_it_can_work(gateway):
    assert (gateway.get("/readyz").status, gateway.get("/readyz").json()) == (200, {"ready": True})


def test_metrics_tell_requests_machines_and_the_reconciler(gateway):
    before = gateway.metric("onefleet_requests_total", protocol="ec2", action="DescribeRegions", code="200")
    ec2_of(gateway).describe_regions()
    after = gateway.metric("onefleet_requests_total", protocol="ec2", action="DescribeRegions", code="200")
    assert after == before + 1
    text = gateway.get("/metrics").text
    for name in (
        'onefleet_request_seconds_bucket{le="0.001",protocol="ec2"}',
        'onefleet_instances{state="running"}',
        "onefleet_reconciler_lag_seconds",
        "onefleet_reconciler_queue",
        "onefleet_orphans 0.0",
        "onefleet_store_healthy 1.0",
        "process_resident_memory_bytes",
    ):
        assert f"\n{name}" in text


def test_metrics_are_in_prometheus_own_content_type(gateway):
    assert gateway.get("/metrics").headers["Content-Type"].startswith("text/plain; version=")


def test_readyz_fails_while_the_database_file_is_away_and_recovers(start_gateway):
    gateway = start_gateway()
    database = gateway.data / "onefleet.db"
    hidden = database.rename(gateway.data / "hidden.db")
    assert gateway.get("/readyz").status == 503
    assert "store" in gateway.get("/readyz").json()
    assert gateway.metric("onefleet_store_healthy") == 0
    assert gateway.get("/healthz").status == 200
    hidden.rename(database)
    gateway.wait_until_ready()


def test_readyz_fails_after_a_commit_that_another_process_blocked_and_recovers(start_gateway):
    gateway = start_gateway()
    with closing(sqlite3.connect(gateway.data / "onefleet.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert gateway.cli("account", "add", "late", code=1).stderr.startswith("onefleet: ")
        assert gateway.get("/readyz").status == 503
        other.execute("ROLLBACK")
    gateway.wait_until_ready()
    assert gateway.cli_json("account", "add", "in time")["name"] == "in time"


# --- its end, and the next start


class SlowRequest:
    """A request whose body arrives in two parts; the gateway waits for the second."""

    def __init__(self, gateway: RunningGateway) -> None:
        host, port = gateway.endpoint.split("//", 1)[1].split(":")
        self.connection = socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS)
        self.connection.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Expect: 100-continue\r\nContent-Length: 22\r\n\r\n"
        )
        assert b"100 Continue" in self.connection.recv(1000)  # so it is being handled now
        self.connection.sendall(b"Action=")

    def finish(self) -> bytes:
        self.connection.sendall(b"DescribeRegions")
        with self.connection, self.connection.makefile("rb") as answer:
            return answer.read()


def test_sigterm_lets_a_request_finish_and_takes_no_new_ones(start_gateway):
    gateway = start_gateway()
    request = SlowRequest(gateway)
    gateway.signal(signal.SIGTERM)
    eventually(lambda: gateway.get("/healthz").status == 0, what="the end of listening")
    assert gateway.is_running
    assert b"<Code>" in request.finish()
    assert gateway.wait() == 0
    assert gateway.log(event="stopped")


def test_a_request_that_does_not_finish_is_given_up_after_the_grace(start_gateway):
    gateway = start_gateway(server={"shutdown_seconds": 0.2})
    request = SlowRequest(gateway)
    assert gateway.stop() == 0
    request.connection.close()


def test_an_idle_connection_does_not_delay_the_end(start_gateway):
    gateway = start_gateway()
    with connected(gateway) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in connection.recv(1000)
        started = time.monotonic()
        assert gateway.stop() == 0
    assert time.monotonic() - started < 5


def test_a_second_signal_ends_it_at_once(start_gateway):
    gateway = start_gateway()
    request = SlowRequest(gateway)
    gateway.signal(signal.SIGINT)
    eventually(lambda: gateway.get("/healthz").status == 0, what="the end of listening")
    gateway.signal(signal.SIGINT)
    assert gateway.wait() == 128 + signal.SIGINT
    request.connection.close()


def test_an_orderly_end_leaves_no_socket_behind(start_gateway):
    gateway = start_gateway()
    gateway.stop()
    assert not (gateway.data / "control.sock").exists()


def test_what_was_booked_before_a_kill_is_there_after_it(start_gateway):
    gateway = start_gateway()
    ec2 = ec2_of(gateway)
    product = ec2.describe_instance_types()["InstanceTypes"][0]["InstanceType"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(InstanceType=product, ImageId=image, MinCount=3, MaxCount=3)
    before = {machine["InstanceId"] for machine in machines_of(ec2)}
    gateway.kill()
    gateway.start()
    assert {machine["InstanceId"] for machine in machines_of(ec2)} == before
    eventually(lambda: {machine["State"]["Name"] for machine in machines_of(ec2)} == {"running"}, what="running")


def test_the_commands_work_after_a_kill(start_gateway):
    gateway = start_gateway()
    gateway.kill()
    assert (gateway.data / "control.sock").exists()
    assert len(gateway.cli_json("account", "list")) == 1


def test_the_key_file_of_another_database_is_refused(start_gateway, tmp_path):
    one, other = start_gateway(), start_gateway()
    one.stop()
    other.stop()
    (one.data / "onefleet.key").write_bytes((other.data / "onefleet.key").read_bytes())
    said = one.cli("serve", code=1).stderr
    assert "the key file is not the one that this database was made with" in said
    assert "Traceback" not in said


def test_a_driver_that_cannot_work_is_told_in_one_line(start_gateway):
    gateway = start_gateway()
    gateway.stop()
    (gateway.data / "simulated.db").write_bytes(b"not a database" * 100)
    said = gateway.cli("serve", code=1).stderr
    assert said.startswith("onefleet: ")
    assert said.endswith("(file is not a database)\n")
    assert said.count("\n") == 1


def test_an_address_that_is_taken_is_refused_in_one_line(start_gateway):
    first, second = start_gateway(), start_gateway()
    second.stop()
    second.configure(server={"listen": first.endpoint.removeprefix("http://")})
    said = second.cli("serve", code=1).stderr.splitlines()
    [line] = [line for line in said if line.startswith("onefleet: ")]
    assert line == f"onefleet: server.listen: {first.endpoint.removeprefix('http://')}: Address already in use"


# --- TLS


@pytest.fixture
def tls_gateway(start_gateway, tmp_path) -> RunningGateway:
    return start_gateway(server={"tls": make_certificate(tmp_path, 1001)})


def serial_of(gateway: RunningGateway) -> int:
    host, port = gateway.endpoint.split("//", 1)[1].split(":")
    pem = ssl.get_server_certificate((host, int(port)))
    command = ["openssl", "x509", "-noout", "-serial"]
    said = subprocess.run(command, input=pem, capture_output=True, text=True, check=True).stdout
    return int(said.strip().split("=")[1], 16)


def test_tls_serves_the_configured_certificate(tls_gateway):
    assert tls_gateway.endpoint.startswith("https://")
    assert tls_gateway.get("/healthz").status == 200
    assert serial_of(tls_gateway) == 1001


def test_sighup_changes_the_certificate_without_dropping_a_connection(tls_gateway, tmp_path):
    host, port = tls_gateway.endpoint.split("//", 1)[1].split(":")
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host) as old:
        old.settimeout(DEADLINE_SECONDS)
        old.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in old.recv(1000)
        make_certificate(tmp_path, 1002)
        tls_gateway.signal(signal.SIGHUP)
        tls_gateway.wait_for_log(event="the configuration was read again")
        assert serial_of(tls_gateway) == 1002
        old.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in old.recv(1000)


def test_an_idle_connection_by_tls_does_not_delay_the_end_for_long(tls_gateway, tmp_path):
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with connected(tls_gateway) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in connection.recv(1000)
        started = time.monotonic()
        assert tls_gateway.stop() == 0
    assert time.monotonic() - started < 8  # and not the ten seconds that a request may take


@pytest.mark.parametrize("broken", ["key.pem", "cert.pem"])
def test_a_broken_file_leaves_the_former_certificate_in_use(tls_gateway, tmp_path, broken):
    (tmp_path / broken).write_text("not a certificate")
    tls_gateway.signal(signal.SIGHUP)
    line = eventually(lambda: tls_gateway.log(level="error"))[0]
    assert line["event"].startswith("the configuration stays as it was")
    assert serial_of(tls_gateway) == 1001


def test_a_key_of_another_certificate_leaves_the_former_in_use(tls_gateway, tmp_path):
    kept = (tmp_path / "cert.pem").read_bytes()
    make_certificate(tmp_path, 1003)
    (tmp_path / "cert.pem").write_bytes(kept)
    tls_gateway.signal(signal.SIGHUP)
    eventually(lambda: tls_gateway.log(level="error"))
    assert serial_of(tls_gateway) == 1001


def test_basic_auth_is_taken_over_tls(tls_gateway, tmp_path):
    keys = tls_gateway.keys
    url = f"{tls_gateway.endpoint}/wp-json/api/v1/orders"
    command = ["curl", "-sS", "--cacert", str(tmp_path / "cert.pem"), "-u", f"{keys.access_key}:{keys.secret_key}", url]
    assert json.loads(subprocess.run(command, capture_output=True, check=True).stdout) == []


def test_when_a_key_was_used_last_outlives_the_gateway(start_gateway):
    gateway = start_gateway()
    ec2_of(gateway, gateway.keys).describe_regions()
    gateway.stop()
    with closing(sqlite3.connect(gateway.data / "onefleet.db")) as db:
        assert db.execute("SELECT address, protocol FROM key_uses").fetchall() == [("127.0.0.1", "ec2")]


# --- many at once


def test_requests_at_the_same_time_are_all_answered(gateway):
    statuses: list[int] = []

    def ask() -> None:
        statuses.extend(gateway.get("/healthz").status for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 100
