import tomllib

from tests.running import REPOSITORY

CONTRACTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def test_the_contract_on_cores_domain_lists_every_module_of_it():
    [listed] = [contract["source_modules"] for contract in CONTRACTS if contract["name"].startswith("core's domain")]
    files = [*(REPOSITORY / "core").glob("*.py"), REPOSITORY / "core/service"]
    assert set(listed) == {f"core.{file.stem}" for file in files if file.stem != "__init__"}
