"""An account as one finds it after some weeks: machines in several states, booked in several ways, and all around them."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests
from requests_oauthlib import OAuth1

from protocols.console.app import SUBJECTS
from protocols.console.routes import Table
from tests.browser import Person
from tests.end_to_end.customer import API, CATALOGUE, IMAGE, boto3_client
from tests.running import Keys, RunningGateway, eventually

ADDRESSES = ["203.0.113.0/24"]
# What is no page: a picture, a table for spreadsheets, a file, and what goes on for as long as somebody listens.
_NO_PAGES = (".csv", ".png", "/private-key", "/stream", "/socket")
PAGES = [each for each in Table(SUBJECTS).all() if each.method == "GET" and not each.template.endswith(_NO_PAGES)]
"""The routes of all pages."""

SECTIONS: Mapping[str, Any] = {
    "compute": {"sample_seconds": 1, "ssh_host": "192.0.2.10", "simulated": {"boot_seconds": 0, "stop_seconds": 0}},
    "zones": [zone | {"addresses": ADDRESSES} if zone["name"] == "ord1a" else zone for zone in CATALOGUE["zones"]],
}
"""What the gateway must be configured with beside what `tests.browser.open_to_all` says."""


@dataclass(frozen=True)
class Clients:
    """Both APIs as an account's programs use them: boto3, and requests with an OAuth signature."""

    gateway: RunningGateway
    keys: Keys

    @property
    def ec2(self) -> Any:
        return boto3_client("ec2", self.gateway, self.keys)

    def zerosix(self, method: str, path: str, document: object = None) -> Any:
        """Return the document of ZeroSix's answer, which must be no refusal."""
        auth = OAuth1(self.keys.access_key, self.keys.secret_key)
        answer = requests.request(method, self.gateway.endpoint + API + path, json=document, auth=auth, timeout=20)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def state_of(self, *ids: str) -> set[str]:
        """Return the states that EC2 tells of machines."""
        told = self.ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
        return {machine["State"]["Name"] for reservation in told for machine in reservation["Instances"]}

    def until(self, state: str, *ids: str) -> None:
        """Return once the machines are in the state."""
        eventually(lambda: self.state_of(*ids) == {state}, what=f"{state} of {ids}")


@dataclass(frozen=True)
class Showroom:
    """What is there to be seen; ids as EC2 spells them. `running` has an address and a group of its own.

    The order is that of the machine that was booked through ZeroSix, which has made a key for it.
    """

    clients: Clients
    running: str
    stopped: str
    ended: str
    by_zerosix: str
    order: int
    key_pair: str
    group: str
    rule: str
    address: str

    @property
    def names(self) -> Mapping[str, str]:
        """What each variable of the console's paths is here."""
        everything, account = everything_in(self.clients.gateway), int(self.clients.keys.account_id)
        person = next(row[0] for row in everything["users"] if row[1] == account)
        return {
            "account": self.clients.keys.account_id,
            "address": self.address,
            "application": str(next(row[0] for row in everything["applications"] if row[1:3] == (account, "default"))),
            "group": self.group,
            "key": self.clients.keys.access_key,
            "machine": self.running,
            "month": f"{datetime.now(UTC):%Y-%m}",
            "order": str(self.order),
            "pair": self.key_pair,
            "person": str(person),
            "rule": self.rule,
            "sign_in": str(next(row[0] for row in everything["sign_ins"] if row[1] == person)),
            "slug": "gcl.1",
            "treatment": "disable",
        }


def everything_in(gateway: RunningGateway) -> Mapping[str, Sequence[tuple[Any, ...]]]:
    """Return all rows of the database, by table."""
    with closing(sqlite3.connect(f"file:{gateway.data / 'onefleet.db'}?mode=ro", uri=True)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def filled(template: str, names: Mapping[str, str] | None = None) -> str:
    """Return a path of a template, with what is named in place of its variables, or else with something."""
    return re.sub(r"{([^}]*)}", lambda found: "1" if names is None else names[found[1]], template)


def keys_of(gateway: RunningGateway, name: str) -> Keys:
    """Return a new API key of the account with the name, made by the operator's command."""
    [account] = [each["account_id"] for each in gateway.cli_json("account", "list") if each["name"] == name]
    key = gateway.cli_json("key", "add", "--account", account)
    return Keys(account, key["access_key"], key["secret_key"])


def furnish(clients: Clients) -> Showroom:
    """Fill an account through both of its APIs."""
    ec2 = clients.ec2
    pair = ec2.create_key_pair(KeyName="laptop")["KeyPairId"]
    group = ec2.create_security_group(GroupName="web", Description="Whoever is asked from outside")["GroupId"]
    opened = [_open(22, "198.51.100.0/24"), _open(443, "0.0.0.0/0")]
    rules = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=opened)["SecurityGroupRules"]
    rule = rules[0]["SecurityGroupRuleId"]
    running, second = _book(ec2, "shop", 2, group)
    [stopped] = _book(ec2, "backup", 1, group)
    [ended] = _book(ec2, "trial", 1, group)
    product = next(each["id"] for each in clients.zerosix("GET", "products") if each["slug"] == "gcl.2")
    [order] = clients.zerosix("PUT", "orders", {"product_id": product, "instances": 1})
    by_zerosix = order["instances"][0]["ec2_instance_id"]
    clients.until("running", running, second, stopped, ended, by_zerosix)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=running)
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[ended])
    clients.until("stopped", stopped)
    clients.until("terminated", ended)
    return Showroom(clients, running, stopped, ended, by_zerosix, order["order_id"], pair, group, rule, address)


def open_showroom(person: Person) -> Showroom:
    """Fill the account of somebody who has just signed up; its name is their e-mail address."""
    return furnish(Clients(person.gateway, keys_of(person.gateway, person.email)))


def _book(ec2: Any, name: str, count: int, group: str) -> list[str]:
    tags = [{"Key": "Name", "Value": name}, {"Key": "project", "Value": "webshop"}]
    wanted = {"ImageId": IMAGE, "InstanceType": "gcl.1", "KeyName": "laptop", "SecurityGroupIds": [group]}
    specifications = [{"ResourceType": "instance", "Tags": tags}]
    booked = ec2.run_instances(**wanted, MinCount=count, MaxCount=count, TagSpecifications=specifications)
    return [machine["InstanceId"] for machine in booked["Instances"]]


def _open(port: int, block: str) -> Mapping[str, Any]:
    return {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "IpRanges": [{"CidrIp": block, "Description": f"port {port}"}],
    }
