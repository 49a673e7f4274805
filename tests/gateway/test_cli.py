import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.datadir import DataDirectory
from tests.running import REPOSITORY, RunningGateway, a_config, write_config

COMMANDS = [
    "serve",
    "check",
    "migrate",
    "account add",
    "account list",
    "key add",
    "key list",
    "key renew",
    "key disable",
    "key enable",
    "image add",
    "image build",
    "image list",
    "image remove",
]


class Onefleet:
    """The command in a folder with a configuration; no gateway runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = write_config(folder / "config.toml", a_config(folder))
        self.environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}

    def __call__(self, *words: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway", *words]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environ | environ,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: str, code: int = 0):
        return json.loads(self(*words, "--json", code=code).stdout)


@pytest.fixture
def onefleet(tmp_path: Path) -> Onefleet:
    return Onefleet(tmp_path)


# --- help and mistakes


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(onefleet, command):
    said = onefleet(*command.split(), "--help").stdout
    assert said.startswith(f"usage: onefleet {command}")
    assert "--config FILE" in said


def test_help_lists_every_group(onefleet):
    said = onefleet("--help").stdout
    assert all(word in said for word in ("serve", "check", "migrate", "account", "key", "image"))


def test_help_does_not_import_the_gateway(onefleet):
    said = onefleet("--help", PYTHONPROFILEIMPORTTIME="1").stderr
    assert "gateway.cli" in said
    assert not re.search(r"\b(aiohttp|structlog|aiosqlite|core\.service)\b", said)


def test_serving_does_not_import_what_only_tests_and_pages_need():
    code = "import sys, gateway.server; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    ).stdout.split()
    assert not {"lxml", "boto3", "botocore"} & set(modules)


def test_the_version_is_told(onefleet):
    assert re.fullmatch(r"onefleet (\d+\.\d+\.\d+|\(not installed\))\n", onefleet("--version").stdout)


@pytest.mark.parametrize(
    "words",
    [[], ["dance"], ["account"], ["account", "add"], ["key", "add"], ["key", "renew"], ["image", "build", "beos"]],
)
def test_a_wrong_command_line_is_exit_code_2(onefleet, words):
    assert "usage: onefleet" in onefleet(*words, code=2).stderr


def test_options_may_not_be_abbreviated(onefleet):
    onefleet("account", "list", "--js", code=2)


def test_a_missing_configuration_is_told_without_a_traceback(onefleet):
    onefleet.config.unlink()
    said = onefleet("account", "list", code=2).stderr
    assert said.startswith("onefleet: ")
    assert "there is no such file" in said
    assert said.count("\n") == 1


def test_every_problem_of_the_configuration_is_told_with_its_path(onefleet):
    write_config(onefleet.config, a_config(onefleet.folder, server={"lisen": "x"}, log={"level": "loud"}))
    lines = onefleet("check", code=2).stderr.splitlines()
    assert [line.split(":")[:2] for line in lines] == [["onefleet", " server.lisen"], ["onefleet", " log.level"]]


# --- which configuration


@pytest.fixture
def elsewhere(tmp_path: Path, onefleet: Onefleet) -> Path:
    """A configuration that is not in the working directory, and the one in it gone."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return onefleet.config.rename(folder / "config.toml")


@pytest.mark.parametrize(
    "words",
    [
        ["--config", "FILE", "account", "list"],
        ["account", "--config", "FILE", "list"],
        ["account", "list", "--config", "FILE"],
    ],
)
def test_the_configuration_may_be_named_anywhere(onefleet, elsewhere, words):
    onefleet(*[str(elsewhere) if word == "FILE" else word for word in words])


def test_the_configuration_may_be_named_by_the_environment(onefleet, elsewhere):
    onefleet("account", "list", ONEFLEET_CONFIG=str(elsewhere))


def test_the_command_line_wins_over_the_environment(onefleet, elsewhere):
    onefleet("account", "list", "--config", str(elsewhere), ONEFLEET_CONFIG="/nowhere.toml")


# --- accounts and keys, with no gateway running


def test_an_account_is_made_and_told_as_json(onefleet):
    assert onefleet.json("account", "add", "Example Ltd") == {"account_id": "100000000001", "name": "Example Ltd"}


def test_accounts_are_listed(onefleet):
    onefleet("account", "add", "one")
    onefleet("account", "add", "two")
    accounts = onefleet.json("account", "list")
    assert [(each["account_id"], each["name"]) for each in accounts] == [
        ("100000000001", "one"),
        ("100000000002", "two"),
    ]
    assert "100000000002" in onefleet("account", "list").stdout


def test_a_new_account_comes_with_advice_that_works(onefleet):
    said = onefleet("account", "add", "one").stdout
    advice = said.splitlines()[1].split("onefleet ")[1]
    assert "access key  AKOF" in onefleet(*advice.split()).stdout


def test_a_key_is_made_and_told_as_json(onefleet):
    account = onefleet.json("account", "add", "one")["account_id"]
    key = onefleet.json("key", "add", "--account", account)
    assert set(key) == {"access_key", "secret_key"}


def test_a_keys_application_and_networks_are_kept(onefleet):
    account = onefleet.json("account", "add", "one")["account_id"]
    more = ["--application", "shop", "--allow", "203.0.113.0/24", "--allow", "2001:db8::/32"]
    key = onefleet.json("key", "add", "--account", account, *more)
    [listed] = onefleet.json("key", "list", "--account", account)
    assert listed["access_key"] == key["access_key"]
    assert (listed["application"], listed["allow"]) == ("shop", ["203.0.113.0/24", "2001:db8::/32"])


def test_a_list_of_keys_has_no_secrets(onefleet):
    account = onefleet.json("account", "add", "one")["account_id"]
    key = onefleet.json("key", "add", "--account", account)
    assert key["secret_key"] not in onefleet("key", "list", "--json").stdout + onefleet("key", "list").stdout


def test_a_list_of_one_accounts_keys_leaves_out_the_others(onefleet):
    for name in ("one", "two"):
        onefleet("key", "add", "--account", onefleet.json("account", "add", name)["account_id"])
    assert len(onefleet.json("key", "list")) == 2
    assert [key["account"] for key in onefleet.json("key", "list", "--account", "100000000002")] == ["two"]


def test_a_key_is_renewed_disabled_and_enabled(onefleet):
    account = onefleet.json("account", "add", "one")["account_id"]
    old = onefleet.json("key", "add", "--account", account)
    new = onefleet.json("key", "renew", old["access_key"])
    assert {old["access_key"], old["secret_key"]}.isdisjoint({new["access_key"], new["secret_key"]})
    assert onefleet("key", "disable", new["access_key"]).stdout == f"{new['access_key']} is disabled\n"
    assert not onefleet.json("key", "list")[0]["is_enabled"]
    assert onefleet.json("key", "enable", new["access_key"])["is_enabled"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["key", "add", "--account", "100000000009"], "no account 100000000009"),
        (["key", "add", "--account", "mine"], "an account's id, such as"),
        (["key", "renew", "AKOFNOBODY"], "AKOFNOBODY"),
        (["key", "disable", "AKOFNOBODY"], "AKOFNOBODY"),
        (["account", "add", " "], "printable characters"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_1(onefleet, words, told):
    done = onefleet(*words, code=1)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith("onefleet: ")
    assert told in done.stderr


def test_an_address_to_allow_must_be_one(onefleet):
    account = onefleet.json("account", "add", "one")["account_id"]
    assert "CIDR" in onefleet("key", "add", "--account", account, "--allow", "everybody", code=1).stderr
    assert onefleet.json("key", "list") == []


def test_a_directory_in_use_by_who_does_not_answer_is_told(onefleet):
    with DataDirectory.open(onefleet.folder / "data", onefleet.folder / "data" / "onefleet.db"):
        assert f"another onefleet (pid {os.getpid()})" in onefleet("account", "list", code=1).stderr


def test_what_is_logged_on_the_way_does_not_get_into_the_answer(onefleet):
    onefleet("account", "add", "one")
    with closing(sqlite3.connect(onefleet.folder / "data" / "onefleet.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = onefleet("account", "add", "two", "--json", code=1)
    assert done.stdout == ""
    assert "database is locked" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("onefleet: ")


def test_everything_that_is_written_is_for_its_owner_only(onefleet):
    elsewhere = onefleet.folder / "elsewhere.db"
    write_config(onefleet.config, a_config(onefleet.folder, storage={"url": f"sqlite:{elsewhere}"}))
    onefleet("account", "add", "one")
    assert elsewhere.stat().st_mode & 0o077 == 0
    assert [file.name for file in (onefleet.folder / "data").iterdir() if file.stat().st_mode & 0o077] == []


# --- check and migrate


def test_check_finds_nothing_wrong_before_the_first_start_and_changes_nothing(onefleet):
    findings = onefleet.json("check")
    assert all(finding["ok"] for finding in findings)
    assert [finding["part"] for finding in findings] == [
        "config",
        "data",
        "key file",
        "database",
        "address",
        "tls",
        "driver",
        "driver",
    ]
    assert not (onefleet.folder / "data").exists()


def test_check_tells_the_drivers_notice(onefleet):
    assert "simulated" in onefleet("check").stdout


def test_check_finds_a_key_file_that_others_can_read(onefleet):
    onefleet("account", "list")
    (onefleet.folder / "data" / "onefleet.key").chmod(0o644)
    assert "PROBLEM  key file" in onefleet("check", code=1).stdout


def test_check_finds_a_missing_certificate(onefleet):
    tls = {"certificate": "cert.pem", "key": "key.pem"}
    write_config(onefleet.config, a_config(onefleet.folder, server={"tls": tls}))
    [wrong] = [finding for finding in onefleet.json("check", code=1) if not finding["ok"]]
    assert wrong["part"] == "tls"
    assert "No such file" in wrong["text"]


def test_check_finds_an_address_that_is_taken(onefleet, start_gateway):
    taken = start_gateway().endpoint.removeprefix("http://")
    write_config(onefleet.config, a_config(onefleet.folder, server={"listen": taken}))
    [wrong] = [finding for finding in onefleet.json("check", code=1) if not finding["ok"]]
    assert wrong["part"] == "address"


def test_migrate_tells_what_it_applied_and_the_second_time_nothing(onefleet):
    assert onefleet.json("migrate")["applied"][0] == "0001_first_schema"
    assert onefleet.json("migrate") == {"applied": []}
    assert onefleet("migrate").stdout == "the database is up to date\n"


def test_a_newer_database_is_refused_by_every_command(onefleet):
    onefleet("account", "list")
    code = f"import sqlite3; sqlite3.connect({str(onefleet.folder / 'data' / 'onefleet.db')!r}).execute('PRAGMA user_version = 99')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "install the newer onefleet" in onefleet("account", "list", code=1).stderr
    assert "PROBLEM  database" in onefleet("check", code=1).stdout


# --- while the gateway runs


@pytest.fixture(params=["short", "long"])
def running(request, tmp_path: Path):
    """A gateway whose control socket's path is short enough for the system, and one whose is not."""
    folder = tmp_path / ("deep" * 30 if request.param == "long" else "d")
    folder.mkdir()
    with RunningGateway(folder) as gateway:
        yield gateway


def test_the_verbs_work_through_the_running_gateway(running):
    account = running.cli_json("account", "add", "Example Ltd")
    key = running.cli_json("key", "add", "--account", account["account_id"])
    assert account == {"account_id": "100000000002", "name": "Example Ltd"}
    assert set(key) == {"access_key", "secret_key"}
    assert key["access_key"] in running.cli("key", "list").stdout
    assert running.cli("key", "renew", "AKOFNOBODY", code=1).stderr.startswith("onefleet: ")


def test_the_running_gateways_socket_is_its_owners_only(gateway):
    assert (gateway.data / "control.sock").stat().st_mode & 0o777 == 0o600


def test_what_a_verb_made_is_logged_without_its_secret(gateway):
    key = gateway.cli_json("key", "add", "--account", gateway.keys.account_id)
    gateway.wait_for_log(event="command", verb="key add")
    assert key["secret_key"] not in gateway.stderr


def test_check_works_beside_the_running_gateway(gateway):
    parts = {finding["part"]: finding for finding in gateway.cli_json("check")}
    assert f"pid {gateway.pid}" in parts["data"]["text"]
    assert "is taken, and a onefleet with this data directory runs" in parts["address"]["text"]


def test_a_second_gateway_on_the_same_data_is_refused_with_a_clear_message(gateway):
    said = gateway.cli("serve", code=1).stderr
    assert said.startswith(f"onefleet: another onefleet (pid {gateway.pid}) is using the data directory")


def test_migrate_is_refused_while_the_gateway_runs(gateway):
    assert "another onefleet" in gateway.cli("migrate", code=1).stderr


# --- whose packages


def test_somebody_elses_core_is_refused(onefleet, tmp_path):
    (tmp_path / "stranger" / "core").mkdir(parents=True)
    (tmp_path / "stranger" / "core" / "__init__.py").touch()
    code = "import runpy, sys; sys.path.insert(1, sys.argv.pop(1)); runpy.run_module('gateway', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "stranger"), "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path / 'stranger'}:{REPOSITORY}"},
    )
    assert done.returncode == 1
    assert "onefleet: the package 'core' that Python finds is not Onefleet's" in done.stderr
