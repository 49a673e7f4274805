"""Terraform with its AWS provider: what it makes, changes and destroys is so for both protocols, and it sees no drift."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.commands import run, terraform_settings
from tests.end_to_end.customer import CATALOGUE, REGION
from tests.running import REPOSITORY

_MAIN = REPOSITORY / "tests" / "end_to_end" / "terraform" / "main.tf"
_NOTHING_CHANGES = 0  # what `plan -detailed-exitcode` ends with
_SECONDS = 180.0  # it waits ten of them before it looks at a machine that it booked, stopped, started or ended


@dataclass(frozen=True)
class Workspace:
    """A folder with main.tf in it, and the values of its variables."""

    folder: Path
    environ: Mapping[str, str]

    def apply(self, **variables: Any) -> dict[str, Any]:
        """Make it so; return the outputs."""
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(variables))
        self.terraform("apply", "-auto-approve", "-input=false")
        return {name: each["value"] for name, each in json.loads(self.terraform("output", "-json")).items()}

    def see_no_drift(self) -> None:
        """Return if what is there is what was applied."""
        self.terraform("plan", "-detailed-exitcode", "-input=false", code=_NOTHING_CHANGES)

    def destroy(self) -> None:
        """Take everything down again."""
        self.terraform("destroy", "-auto-approve", "-input=false")

    def terraform(self, command: str, *words: str, code: int = 0) -> str:
        """Return what a command prints."""
        words = (*words, *(() if command == "output" else ("-no-color",)))
        return run(["terraform", f"-chdir={self.folder}", command, *words], code=code, seconds=_SECONDS, **self.environ)


@pytest.fixture
def workspace(customer, tmp_path, public_key_file):
    """Terraform, told of the gateway and the customer's key."""
    workspace = Workspace(
        tmp_path,
        {
            "AWS_ACCESS_KEY_ID": customer.keys.access_key,
            "AWS_SECRET_ACCESS_KEY": customer.keys.secret_key,
            **terraform_settings(),
            "TF_VAR_endpoint": customer.gateway.endpoint,
            "TF_VAR_image": "debian-12",
            "TF_VAR_public_key": public_key_file.read_text(),
            "TF_VAR_region": REGION,
        },
    )
    shutil.copy(_MAIN, tmp_path)
    workspace.terraform("init", "-input=false")
    return workspace


def test_all_that_terraform_makes_changes_and_destroys_is_so_for_both_protocols(workspace, customer):
    # One test, because a minute's work is repeated by every further one.
    made = workspace.apply(type="gcl.1", stage="test", groups=["web"])
    [machine] = customer.described()
    [order] = customer.orders()
    assert machine["InstanceId"] == made["machine"] == order["instances"][0]["ec2_instance_id"]
    assert (machine["State"]["Name"], order["order_status"]) == ("running", "unlimited")
    assert (machine["ImageId"], machine["InstanceType"], machine["KeyName"]) == (made["image"], "gcl.1", "mine")
    assert tags(machine) == {"Name": "web", "stage": "test"}
    assert groups(machine) == [made["groups"]["web"]]
    assert customer.hosts() == [machine["PublicIpAddress"]] == [made["address"]]
    workspace.see_no_drift()

    assert workspace.apply(type="gcl.2", stage="live", groups=["web"])["machine"] == made["machine"]
    [machine] = customer.described()
    assert customer.as_zerosix_tells() == customer.as_ec2_tells()
    assert (machine["InstanceType"], machine["State"]["Name"]) == ("gcl.2", "running")
    assert tags(machine) == {"Name": "web", "stage": "live"}
    assert customer.hosts() == [made["address"]]
    workspace.see_no_drift()

    workspace.apply(type="gcl.2", stage="live", groups=["inside"])
    assert groups(customer.described()[0]) == [made["groups"]["inside"]]

    workspace.destroy()
    assert customer.described()[0]["State"]["Name"] == "terminated"
    assert customer.orders()[0]["order_status"] == "completed"
    assert customer.ec2.describe_addresses()["Addresses"] == []
    assert customer.ec2.describe_key_pairs()["KeyPairs"] == []
    assert [each["GroupName"] for each in customer.ec2.describe_security_groups()["SecurityGroups"]] == ["default"]

    [network] = customer.ec2.describe_vpcs()["Vpcs"]
    subnets = customer.ec2.describe_subnets()["Subnets"]
    assert made["account"] == customer.keys.account_id
    assert made["vpc"] == [network["VpcId"], network["CidrBlock"]]
    assert set(made["subnets"]) == {subnet["SubnetId"] for subnet in subnets}
    assert made["zones"] == [zone["name"] for zone in CATALOGUE["zones"] if zone["region"] == REGION]


def tags(machine):
    return {tag["Key"]: tag["Value"] for tag in machine["Tags"] if not tag["Key"].startswith("aws:")}


def groups(machine):
    return [group["GroupId"] for group in machine["SecurityGroups"]]
