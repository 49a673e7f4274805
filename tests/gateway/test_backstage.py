from pathlib import Path

import pytest

from gateway import app, config
from gateway.datadir import DataDirectory
from protocols.console.house import Backstage, BrokenConfiguration, Finding
from tests.running import a_config, write_config


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    write_config(file, a_config(tmp_path))
    return file


@pytest.fixture
async def backstage(config_file: Path):
    """What the operator sees of a gateway that runs."""
    settings = config.load(config_file)
    with DataDirectory.open(settings.server.data_dir, settings.storage.path) as directory:
        async with app.open_gateway(settings, directory, config_file=config_file) as gateway:
            yield app._backstage(gateway)


async def test_what_is_configured_is_what_stands_on_disk_now(backstage: Backstage, config_file: Path, tmp_path: Path):
    before = await backstage.configured()
    document = a_config(tmp_path)
    document["products"] = document["products"][:1]
    write_config(config_file, document)
    after = await backstage.configured()
    assert len(before.products) > len(after.products) == 1


async def test_a_broken_file_is_told_line_by_line(backstage: Backstage, config_file: Path, tmp_path: Path):
    write_config(config_file, a_config(tmp_path, server={"lisen": "x"}, log={"level": "loud"}))
    with pytest.raises(BrokenConfiguration) as refused:
        await backstage.configured()
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["server.lisen", "log.level"]


@pytest.fixture
def lost_file(backstage: Backstage, config_file: Path) -> None:
    config_file.unlink()


@pytest.mark.usefixtures("lost_file")
async def test_a_file_that_is_gone_is_told(backstage: Backstage):
    with pytest.raises(BrokenConfiguration, match="there is no such file"):
        await backstage.configured()


async def test_the_driver_tells_what_it_finds(backstage: Backstage):
    [found] = await backstage.look()
    assert isinstance(found, Finding)
    assert found.is_ok
    assert "simulated" in found.text
