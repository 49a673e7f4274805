"""The attributes that are pictures of what a machine used."""

import base64
from datetime import timedelta

import pytest

from core.booking import House as Rules
from core.booking import PortRange
from core.ids import InstanceId
from core.limits import Limits
from core.service import Core
from core.storage.samples import SampleFile
from core.usage import Usage
from core.vault import KEY_BYTES, Vault
from protocols.ec2.extensions import GRAPHS
from tests.fleetfixture import nothing_said
from tests.protocols.ec2.gigenet_stage import DIALECTS, go, set_stage
from tests.protocols.ec2.served import served, set_botocores_clock


@pytest.fixture
async def samples(tmp_path):
    file = SampleFile(tmp_path / "samples.db")
    yield file
    await file.close()


@pytest.fixture(params=DIALECTS)
async def ec2(request, house, samples, monkeypatch):
    set_botocores_clock(monkeypatch, house)
    await set_stage(house)
    rules = Rules(PortRange(20_000, 39_999), Limits())
    vault = Vault(bytes(KEY_BYTES))
    core = Core(
        house.store, vault, house.clock, rules, wake=list, console=nothing_said, screen=nothing_said, samples=samples
    )
    async with served(house, core=core, dialect=request.param) as running:
        yield running


async def picture(ec2, name, **options):
    answer = await ec2.ask("DescribeInstanceAttribute", {"InstanceId": "1", "Attribute": name}, **options)
    assert answer.status == 200, answer.body
    return base64.b64decode(answer.root.findtext(f"{{*}}{name}/{{*}}value"), validate=True)


def test_there_is_a_graph_for_each_subject_and_span():
    assert len(GRAPHS) == 15
    assert "graph_cpu_month" in GRAPHS


@pytest.mark.parametrize("name", GRAPHS)
async def test_a_graph_is_a_picture_also_before_anything_was_sampled(ec2, name):
    assert (await picture(ec2, name)).startswith(b"\x89PNG")


async def test_a_graph_shows_what_was_sampled(ec2, samples):
    empty = await picture(ec2, "graph_cpu_hour")
    await keep(ec2, samples)
    filled = await picture(ec2, "graph_cpu_hour")
    assert len(filled) > len(empty)
    assert filled != await picture(ec2, "graph_network_hour")


async def test_a_graph_of_a_machine_of_somebody_else_is_not_shown(ec2, samples):
    await keep(ec2, samples)
    asked = {"InstanceId": "1", "Attribute": "graph_cpu_hour"}
    answer = await ec2.ask("DescribeInstanceAttribute", asked, holder=ec2.house.theirs)
    assert answer.code == "InvalidInstanceID.NotFound"


@pytest.mark.parametrize("name", ["graph_cpu", "graph_memory_hour", "graph_cpu_decade"])
async def test_there_are_no_other_graphs(ec2, name):
    answer = await ec2.ask("DescribeInstanceAttribute", {"InstanceId": "1", "Attribute": name})
    assert answer.code == "InvalidParameterValue"


async def test_a_graph_cannot_be_set(ec2):
    asked = {"InstanceId": "1", "Attribute": "graph_cpu_hour", "Value": "1"}
    assert (await ec2.ask("ModifyInstanceAttribute", asked)).status == 400


async def test_samples_that_cannot_be_read_are_told_as_trouble_of_the_house(ec2, samples, tmp_path):
    (tmp_path / "samples.db").mkdir()
    answer = await ec2.ask("DescribeInstanceAttribute", {"InstanceId": "1", "Attribute": "graph_cpu_hour"})
    assert answer.code == "Unavailable"
    assert (await go(ec2, "DescribeInstances")).status == 200


async def keep(ec2, samples):
    now = ec2.house.clock.now()
    for minute in range(60):
        at = now - (60 - minute) * timedelta(minutes=1)
        usage = Usage(InstanceId(1), at, 0.5, 512.0, 1e5, 2e5, 3e6, 4e5)
        await samples.keep([usage], 60.0, [InstanceId(1)])
