"""The gateway behind the proxies that deploy/ has configurations for: Debian's own, and clients from outside of them."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from aiohttp import ClientSession, CookieJar, TCPConnector, WSMsgType
from requests.adapters import HTTPAdapter
from requests_oauthlib import OAuth1

from tests.browser import PASSWORD, open_to_all
from tests.end_to_end.commands import need_command, need_tool, run
from tests.end_to_end.customer import API, IMAGE, TYPE, boto3_words
from tests.protocols.console.served import Browser
from tests.running import DEADLINE_SECONDS, REPOSITORY, Keys, RunningGateway, eventually
from tests.showroom import keys_of

DEPLOY = REPOSITORY / "deploy"
NAME = "localhost"
CLIENT, LIAR = "127.0.0.2", "198.51.100.9"
"""Where clients come from, which is not where the proxy does; and where nobody does."""

MAX_BODY_KIB = 1024
AT_ONCE_SECONDS = 5.0
A_MACHINE = "i-00000000000000001"
_NUMBERS = count(1)


@dataclass(frozen=True)
class Front:
    """A proxy that runs. `authority` is the file of whom its clients must trust."""

    url: str
    plain_url: str
    authority: Path
    gateway: RunningGateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[RunningGateway]:
    server = {"trusted_proxies": ["127.0.0.1/32"], "max_body_kib": MAX_BODY_KIB}
    with open_to_all(tmp_path_factory.mktemp("gateway"), server=server) as running:
        yield running


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(request, gateway, tmp_path_factory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp(request.param)
    authority = _certificates(folder)
    secure, plain = _free_ports(2)
    command, environ = _PROXIES[request.param](folder, secure, plain, gateway.endpoint.removeprefix("http://"))
    with _running(command, folder / "log", environ):
        front = Front(f"https://{NAME}:{secure}", f"http://{NAME}:{plain}", authority, gateway)
        eventually(lambda: _answers(front), what=f"the start of {request.param}: {folder / 'log'}")
        yield front


# --- the proxies, with the files of deploy/


def _nginx(folder: Path, secure: int, plain: int, gateway: str) -> tuple[list[str], dict[str, str]]:
    site = _adapted("nginx.conf", folder, gateway)
    site = site.replace(":443 ", f":{secure} ").replace(" 443 ", f" {secure} ")
    site = site.replace(":80;", f":{plain};").replace(" 80;", f" {plain};")
    temporary = "".join(
        f"{each}_temp_path {folder}/{each};\n" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "site.conf").write_text(site)
    user = "user root;\n" if os.geteuid() == 0 else ""  # nobody else can read what is in a test's folder
    (folder / "main.conf").write_text(
        f"{user}pid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/site.conf;\n}}\n"
    )
    run([str(_program("nginx")), "-t", "-q", "-e", "stderr", "-c", str(folder / "main.conf")])
    return [str(_program("nginx")), "-e", "stderr", "-c", str(folder / "main.conf"), "-g", "daemon off;"], {}


def _caddy(folder: Path, secure: int, plain: int, gateway: str) -> tuple[list[str], dict[str, str]]:
    (folder / "site").write_text(_adapted("Caddyfile", folder, gateway))
    (folder / "main").write_text(f"{{\nadmin off\nhttp_port {plain}\nhttps_port {secure}\n}}\nimport {folder}/site\n")
    homes = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    words = ["--config", str(folder / "main"), "--adapter", "caddyfile"]
    run([str(_program("caddy")), "validate", *words], **homes)
    return [str(_program("caddy")), "run", *words], homes


_PROXIES = {"nginx": _nginx, "caddy": _caddy}
_PROGRAMS = {"nginx": "unpacked/usr/sbin/nginx", "caddy": "unpacked/usr/bin/caddy"}


def _adapted(name: str, folder: Path, gateway: str) -> str:
    """Return a file of deploy/ as an operator adapts it: with another name, certificate and gateway."""
    text = (DEPLOY / name).read_text()
    text = text.replace("/etc/ssl/cloud.example/", f"{folder}/")
    return text.replace("cloud.example", NAME).replace("127.0.0.1:8080", gateway)


def _program(name: str) -> Path:
    return need_tool(_PROGRAMS[name])


@contextlib.contextmanager
def _running(command: list[str], log: Path, environ: dict[str, str]) -> Iterator[None]:
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environ) as process:
        try:
            yield
        finally:
            process.terminate()


def _answers(front: Front) -> bool:
    try:
        return requests.get(f"{front.url}/healthz", verify=str(front.authority), timeout=1).ok
    except requests.ConnectionError:
        return False


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody has: a proxy cannot be asked which it took."""
    with ExitStack() as closing:
        probes = [closing.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("", 0))
        return [probe.getsockname()[1] for probe in probes]


def _certificates(folder: Path) -> Path:
    """Make an authority, and by it the certificate and the key of the proxy; return the authority's certificate."""
    need_command("openssl", "openssl")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    authority, own = ["-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem"], f"{folder}/privkey.pem"
    run(["openssl", "req", "-x509", *curve, "-subj", "/CN=authority", *authority])
    by = ["-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key", "-addext", f"subjectAltName=DNS:{NAME}"]
    run(["openssl", "req", "-x509", *curve, "-subj", f"/CN={NAME}", *by, "-keyout", own, "-out", f"{folder}/own.pem"])
    chain = (folder / "own.pem").read_text() + (folder / "ca.pem").read_text()
    (folder / "fullchain.pem").write_text(chain)
    return folder / "ca.pem"


# --- clients


class _From(HTTPAdapter):
    """Has requests come from an address of this host."""

    def init_poolmanager(self, *words: Any, **more: Any) -> None:
        super().init_poolmanager(*words, **more, source_address=(CLIENT, 0))


@pytest.fixture
def client(front) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False  # which may name other authorities
        session.verify = str(front.authority)
        session.mount("https://", _From())
        yield session


@pytest.fixture
def ec2_of(front) -> Iterator[Callable[[Keys], Any]]:
    """Makes boto3's client for an account."""
    with ExitStack() as closing:

        def make(keys: Keys) -> Any:
            words = boto3_words(front.gateway, keys) | {"endpoint_url": front.url, "verify": str(front.authority)}
            return closing.enter_context(contextlib.closing(boto3.client("ec2", **words)))

        yield make


@pytest.fixture
async def browser(front):
    trusting = ssl.create_default_context(cafile=str(front.authority))
    connector = TCPConnector(ssl=trusting, local_addr=(CLIENT, 0), family=socket.AF_INET)
    async with ClientSession(connector=connector, cookie_jar=CookieJar()) as session:
        yield Browser(session, front.url)


async def signed_up(browser: Browser) -> str:
    """Make an account of the browser's own, signed in, and return its name."""
    name = f"{next(_NUMBERS)}@example.com"
    page = await browser.post("sign-up", {"name": name, "email": name, "password": PASSWORD}, token="none")
    assert page.status == 303, page.visible
    return name


# --- what they see


def test_boto3_books_and_reads_over_https_with_the_certificate_verified(front, ec2_of):
    ec2 = ec2_of(front.gateway.keys)
    booked = ec2.run_instances(ImageId=IMAGE, InstanceType=TYPE, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    assert ec2.describe_instances(InstanceIds=[booked])["Reservations"]
    ec2.terminate_instances(InstanceIds=[booked])


def test_an_oauth_signature_over_the_https_url_counts_and_one_over_another_does_not(front, client):
    auth = OAuth1(front.gateway.keys.access_key, front.gateway.keys.secret_key)
    signed = requests.Request("GET", f"{front.url}{API}products?per_page=2", auth=auth)
    assert client.send(client.prepare_request(signed), timeout=20).status_code == 200
    otherwise = requests.Request("GET", f"{front.url.replace('https', 'http')}{API}products", auth=auth)
    prepared = client.prepare_request(otherwise)
    prepared.url = f"{front.url}{API}products"
    assert client.send(prepared, timeout=20).status_code == 401


def test_curl_is_answered_by_http2_and_over_http_is_led_to_https(front):
    need_command("curl", "curl")
    words = ["curl", "-s", "--cacert", str(front.authority), "-o", "/dev/null", "-w"]
    assert run([*words, "%{http_version} %{http_code}", f"{front.url}/readyz"]) == "2 200"
    told = run([*words, "%{http_code} %{redirect_url}", f"{front.plain_url}/readyz?a=b"])
    assert re.fullmatch(r"308 https://localhost(:\d+)?/readyz\?a=b", told)


def test_the_log_tells_the_clients_address_and_not_what_the_client_says_of_it(front, client):
    lies = {"X-Forwarded-For": LIAR, "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example", "Forwarded": LIAR}
    answer = client.get(f"{front.url}{API}products/999", headers=lies, timeout=20)
    assert "evil.example" not in answer.text
    front.gateway.wait_for_log(action="GET products/{id}", address=CLIENT)
    assert not front.gateway.log(address=LIAR)


def test_nobody_is_told_the_metrics_from_outside(front, client):
    assert client.get(f"{front.url}/metrics").status_code == 404
    assert client.get(f"{front.url}/readyz").status_code == 200


def test_a_query_with_all_the_user_data_that_is_allowed_passes(front, client):
    data = "x" * 4 * (16 * 1024 // 3 + 1)
    answer = client.get(f"{front.url}/?Action=RunInstances&UserData={data}", timeout=20)
    assert "MissingAuthenticationToken" in answer.text


@pytest.mark.parametrize(("kib", "told"), [(MAX_BODY_KIB, 401), (MAX_BODY_KIB + 1, 413)])
def test_the_gateway_itself_judges_how_large_a_body_may_be(front, client, kib, told):
    answer = client.put(f"{front.url}{API}orders", data=b" " * (kib * 1024), timeout=20)
    assert answer.status_code == told
    assert answer.json()["code"]


async def test_the_console_signs_in_with_a_cookie_for_https_only(browser):
    await signed_up(browser)
    assert browser.cookies
    assert all(name.startswith("__Secure-") for name in browser.cookies)


async def test_the_consoles_headers_get_through_once(browser):
    headers = (await browser.get("sign-in")).headers
    assert [len(headers.getall(name)) for name in ("Content-Security-Policy", "X-Content-Type-Options")] == [1, 1]


async def test_an_open_page_hears_of_a_new_machine_at_once(front, browser, ec2_of):
    ec2 = ec2_of(keys_of(front.gateway, await signed_up(browser)))
    async with asyncio.timeout(DEADLINE_SECONDS), browser.open("machines/stream") as stream:
        assert stream.status == 200
        first = await stream.content.readuntil(b"\n\n")
        await asyncio.to_thread(ec2.run_instances, ImageId=IMAGE, InstanceType=TYPE, MinCount=1, MaxCount=1)
        async with asyncio.timeout(AT_ONCE_SECONDS):
            assert b"changed" in await stream.content.readuntil(b"\n\n")
        stream.connection.transport.abort()  # else its end would come after that of the test's loop
    assert b"changed" not in first


async def test_a_serial_console_gets_through(browser):
    await signed_up(browser)
    async with browser.socket(f"machines/{A_MACHINE}/serial/socket?ticket=none") as ws:
        message = await ws.receive(timeout=AT_ONCE_SECONDS)
    assert message.type is WSMsgType.CLOSE, "the gateway took it up, and says why it ends"
    assert message.extra


def test_the_gateway_may_restart_behind_it(front, client):
    assert client.get(f"{front.url}/readyz", timeout=20).ok
    front.gateway.restart()
    assert client.get(f"{front.url}/readyz", timeout=20).ok
