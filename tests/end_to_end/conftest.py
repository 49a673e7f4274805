"""Clients of third parties, unmodified, against a running gateway.

Every test is a customer of its own, and what its client did is looked at through the other protocol as well.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.commands import need_command, run
from tests.end_to_end.customer import CATALOGUE, SITE_ZONE, Customer, a_customer
from tests.running import RunningGateway

# libcloud has a table of AWS's regions and takes no other, so one is called so here.
_AWS_REGION = {"name": "us-east-1", "geo": "united-states"}
_AWS_ZONE = {"name": "us-east-1a", "region": "us-east-1"}

_SECTIONS: dict[str, Any] = {
    # Long enough for a client to see a machine come up, and shorter than a command line takes to start.
    "compute": {"simulated": {"boot_seconds": 0.3, "stop_seconds": 0.2}},
    "zerosix": {"timezone": SITE_ZONE},
    "regions": [*CATALOGUE["regions"], _AWS_REGION],
    "zones": [*CATALOGUE["zones"], _AWS_ZONE],
}


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("gateway"), **_SECTIONS) as running:
        yield running


@pytest.fixture
def public_key_file(tmp_path: Path) -> Path:
    """The public half of a new key, as ssh-keygen leaves it: RSA, the only kind whose fingerprint libcloud works out."""
    need_command("ssh-keygen", "openssh-client")
    run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(tmp_path / "key")])
    return tmp_path / "key.pub"


@pytest.fixture(scope="session")
def tls_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway behind https, whose certificate clients have to be told to trust."""
    need_command("openssl", "openssl")
    folder = tmp_path_factory.mktemp("tls_gateway")
    certificate, key = _certificate(folder)
    tls = {"certificate": str(certificate), "key": str(key)}
    with RunningGateway(folder, **_SECTIONS, server={"tls": tls}) as running:
        yield running


@pytest.fixture
def customer(gateway: RunningGateway) -> Iterator[Customer]:
    with a_customer(gateway) as someone:
        yield someone


@pytest.fixture
def stranger(gateway: RunningGateway) -> Iterator[Customer]:
    with a_customer(gateway) as someone:
        yield someone


@pytest.fixture
def tls_customer(tls_gateway: RunningGateway) -> Iterator[Customer]:
    with a_customer(tls_gateway) as someone:
        yield someone


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=gateway"
    extension = ["-addext", "subjectAltName=IP:127.0.0.1"]
    run([*words.split(), *extension, "-keyout", str(key), "-out", str(certificate)])
    return certificate, key
