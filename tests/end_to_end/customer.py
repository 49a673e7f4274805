"""A customer of a running gateway, with a trusted client for each protocol to look at what other clients did."""

import base64
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config

from tests.running import REPOSITORY, Answer, Keys, RunningGateway, eventually

CATALOGUE = tomllib.loads((REPOSITORY / "config.toml").read_text())
SITE_ZONE = "America/Los_Angeles"  # ZeroSix's times in it differ from EC2's in every digit of the hour

API = "/wp-json/api/v1/"
REGION = "ord1"
IMAGE = "ami-00000000000000001"  # debian-12, the first in config.toml
TYPE = "gcl.1"

_TYPE_OF = {product["title"]: product.get("instance_type", product["slug"]) for product in CATALOGUE["products"]}

# What EC2 and ZeroSix call how a machine stands, as far as both tell it.
_EC2_STANDS = {
    "pending": "coming",
    "running": "up",
    "stopping": "down",
    "stopped": "down",
    "shutting-down": "gone",
    "terminated": "gone",
}
_ZEROSIX_STANDS = {
    "wc-pending": "coming",
    "wc-processing": "coming",
    "wc-unlimited": "up",
    "wc-on-hold": "down",
    "wc-completed": "gone",
}


@dataclass(frozen=True)
class Machine:
    """A machine as far as both protocols tell of it."""

    number: int
    order: int
    type: str
    stands: str
    since: datetime


@dataclass(frozen=True)
class Customer:
    """An account with an API key. `ec2` is boto3's client for it."""

    gateway: RunningGateway
    keys: Keys
    ec2: Any

    # --- through EC2

    def book(self, count: int = 1, **more: Any) -> list[str]:
        """Return the ids of new machines, which are still coming."""
        wanted = {"ImageId": IMAGE, "InstanceType": TYPE, "MinCount": count, "MaxCount": count} | more
        return [machine["InstanceId"] for machine in self.ec2.run_instances(**wanted)["Instances"]]

    def until(self, state: str, *ids: str) -> None:
        """Return once the machines are in the state."""

        def have_it() -> bool:
            return {machine["State"]["Name"] for machine in self.described(*ids)} == {state}

        eventually(have_it, what=f"{state} of {ids}")

    def described(self, *ids: str) -> list[dict[str, Any]]:
        """Return machines as EC2 describes them; all without ids."""
        answer = self.ec2.describe_instances(InstanceIds=list(ids))
        return [machine for reservation in answer["Reservations"] for machine in reservation["Instances"]]

    def as_ec2_tells(self) -> Sequence[Machine]:
        """Return all machines that EC2 tells of."""
        return [
            Machine(
                number_of(machine["InstanceId"]),
                number_of(reservation["ReservationId"]),
                machine["InstanceType"],
                _EC2_STANDS[machine["State"]["Name"]],
                machine["LaunchTime"].astimezone(UTC).replace(microsecond=0),
            )
            for reservation in self.ec2.describe_instances()["Reservations"]
            for machine in reservation["Instances"]
        ]

    # --- through ZeroSix

    def ask(self, method: str, path: str, document: object = None) -> Answer:
        """Return ZeroSix's answer."""
        pair = f"{self.keys.access_key}:{self.keys.secret_key}"
        headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        body = None if document is None else json.dumps(document).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self.gateway.request(method, API + path, body=body, headers=headers)

    def orders(self) -> list[dict[str, Any]]:
        """Return all orders, newest first."""
        orders: list[dict[str, Any]] = self.ask("GET", "orders").json()
        return orders

    def order(self, order_id: int) -> dict[str, Any]:
        """Return an order."""
        order: dict[str, Any] = self.ask("GET", f"orders/{order_id}").json()
        return order

    def hosts(self) -> list[str]:
        """Return where each machine is reached by ssh, oldest order first."""
        told = [machine["machine"] for order in reversed(self.orders()) for machine in order["instances"]]
        return [login.rpartition("@")[2] for login in told]

    def product_id(self, slug: str = TYPE) -> int:
        """Return the id of a product."""
        found = [product["id"] for product in self.ask("GET", "products").json() if product["slug"] == slug]
        return int(found[0])

    def as_zerosix_tells(self) -> Sequence[Machine]:
        """Return all machines that ZeroSix tells of."""
        return [
            Machine(
                machine["instance_id"],
                order["order_id"],
                _TYPE_OF[machine["product"]["name"]],
                _ZEROSIX_STANDS[machine["status"]],
                moment(machine["start_date"]),
            )
            for order in reversed(self.orders())
            for machine in order["instances"]
        ]


@contextmanager
def a_customer(gateway: RunningGateway, region: str = REGION) -> Iterator[Customer]:
    """Yield a new customer, who asks EC2 for what is in a region."""
    keys = gateway.new_keys()
    with closing(boto3_client("ec2", gateway, keys, region=region)) as ec2:
        yield Customer(gateway, keys, ec2)


def boto3_client(service: str, gateway: RunningGateway, keys: Keys, *, region: str = REGION, **config: Any) -> Any:
    """Return boto3's client of a service; it does not try again unless that is configured."""
    return _SESSION.client(service, **boto3_words(gateway, keys, region=region, **config))


def boto3_words(
    gateway: RunningGateway, keys: Keys, token: str | None = None, *, region: str = REGION, **config: Any
) -> Mapping[str, Any]:
    """Return what boto3 must be told of the gateway."""
    return {
        "region_name": region,
        "endpoint_url": gateway.endpoint,
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": token,
        "verify": certificate_of(gateway),
        "config": Config(**({"retries": {"total_max_attempts": 1}} | config)),
    }


def certificate_of(gateway: RunningGateway) -> str | None:
    """Return the file with the certificate that clients have to trust; None for plain http."""
    tls = tomllib.loads(gateway.config.read_text())["server"].get("tls")
    return tls and str(tls["certificate"])


_SESSION = boto3.Session()  # reads botocore's models once


def number_of(name: str) -> int:
    """Return the number that is behind an EC2 id: ZeroSix's id of the same thing."""
    return int(name.partition("-")[2], 16)


def name_of(kind: str, number: int) -> str:
    """Return the EC2 id, of kind `i` or `r`, for ZeroSix's id of the same thing."""
    return f"{kind}-{number:017x}"


def moment(told: Mapping[str, Any]) -> datetime:
    """Return a time that ZeroSix tells, which is the site's."""
    assert told["timezone_type"] == 3
    local = datetime.fromisoformat(told["time"]).replace(tzinfo=ZoneInfo(told["timezone"]))
    return local.astimezone(UTC)
