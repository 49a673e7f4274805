"""What the configuration says of machines reaches those that see to it: asked of a whole gateway."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from core.compute.machine_file import Machine, MachineFile
from core.compute.simulated import FILE_NAME
from core.ids import InstanceId
from core.instances import Power
from tests.running import RunningGateway, eventually

FOREIGN = InstanceId(999_999)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path, compute={"sweep_seconds": 0.05, "sample_seconds": 1}) as running:
        yield running


def a_foreign_machine(gateway: RunningGateway, **compute: Any) -> None:
    """Let the driver have a machine without a row, and start the gateway again."""
    gateway.stop()
    file = MachineFile(gateway.data / FILE_NAME)
    file.open()
    file.put(Machine(FOREIGN, Power.RUNNING, 20_000))
    file.close()
    gateway.configure(compute=compute)
    gateway.start()


def test_a_machine_without_a_row_is_reported_and_left_alone(gateway):
    a_foreign_machine(gateway)
    gateway.wait_for_log(event="a machine has no row; it is left alone", instance_id=FOREIGN)
    assert gateway.metric("onefleet_orphans") == 1


def test_a_machine_without_a_row_is_removed_where_that_is_the_policy(gateway):
    a_foreign_machine(gateway, orphans="remove")
    gateway.wait_for_log(event="a machine has no row; it is removed if the next sweep sees it too", instance_id=FOREIGN)
    gateway.wait_for_log(event="a machine without a row was removed", instance_id=FOREIGN)
    eventually(lambda: gateway.metric("onefleet_orphans") == 0, what="an end of the orphan")


def ec2_of(gateway: RunningGateway) -> Any:
    return boto3.client(
        "ec2",
        "sgp1",
        endpoint_url=gateway.endpoint,
        aws_access_key_id=gateway.keys.access_key,
        aws_secret_access_key=gateway.keys.secret_key,
        config=Config(retries={"total_max_attempts": 1}),
    )


def booked(ec2: Any) -> Mapping[str, Any]:
    """Return a machine of the first image and type that there are."""
    image = ec2.describe_images()["Images"][0]["ImageId"]
    kind = ec2.describe_instance_types()["InstanceTypes"][0]["InstanceType"]
    machine: Mapping[str, Any] = ec2.run_instances(ImageId=image, InstanceType=kind, MinCount=1, MaxCount=1)[
        "Instances"
    ][0]
    return machine


def test_a_screen_is_asked_of_the_driver(gateway):
    ec2 = ec2_of(gateway)
    with pytest.raises(ClientError, match=r"UnsupportedOperation.*Simulated machines have no screen"):
        ec2.get_console_screenshot(InstanceId=booked(ec2)["InstanceId"])


def test_metrics_tell_what_machines_use(gateway):
    booked(ec2_of(gateway))
    sampled = re.compile(r'^onefleet_sampled_machines\{product="(.+)"\} 1\.0$', re.MULTILINE)
    [product] = eventually(lambda: sampled.findall(gateway.get("/metrics").text), what="a second sample")
    assert gateway.metric("onefleet_used_memory_mib", product=product) > 0
