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

# Of the blocks that are for documentation, so that nobody's traffic can ever go there by mistake.
_ADDRESSES = {"ord1a": ["203.0.113.0/24"], "ams1a": ["198.51.100.0/24"]}

_SECTIONS: dict[str, Any] = {
    # Long enough for a client to see a machine come up, and shorter than a command line takes to start.
    "compute": {"simulated": {"boot_seconds": 0.3, "stop_seconds": 0.2}},
    "zerosix": {"timezone": SITE_ZONE},
    "zones": [zone | {"addresses": _ADDRESSES.get(zone["name"], [])} for zone in CATALOGUE["zones"]],
}

# All there is, in a region of AWS's name and no other.
_AWS_ZONE = {"name": "us-east-1a", "region": "us-east-1", "addresses": ["192.0.2.0/24"]}
_IN_AWS_REGION: dict[str, Any] = {
    "regions": [{"name": "us-east-1", "geo": "united-states"}],
    "zones": [_AWS_ZONE],
    "products": [product | {"capacity": {_AWS_ZONE["name"]: 64}} for product in CATALOGUE["products"]],
}


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("gateway"), **_SECTIONS) as running:
        yield running


@pytest.fixture(scope="session")
def quick_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose machines change at once, for clients that look once and then wait for a long time."""
    at_once = {"simulated": {"boot_seconds": 0, "stop_seconds": 0}}
    with RunningGateway(tmp_path_factory.mktemp("quick_gateway"), **_SECTIONS | {"compute": at_once}) as running:
        yield running


@pytest.fixture(scope="session")
def aws_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway for clients that have a table of AWS's regions and take no other."""
    with RunningGateway(tmp_path_factory.mktemp("aws_gateway"), **_SECTIONS | _IN_AWS_REGION) as running:
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
