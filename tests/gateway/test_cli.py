import os
import pty
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.instances import State
from gateway import cli, control, tables
from gateway.commands import instances
from gateway.datadir import DataDirectory
from tests.commandline import Onefleet
from tests.customers import Customer
from tests.running import REPOSITORY, Keys, RunningGateway, a_config, eventually, write_config

COMMANDS = [command.words for command in cli.COMMANDS]


# --- help and mistakes


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.run([*command.split(), "--help"])
    said = capsys.readouterr().out
    assert said.startswith(f"usage: onefleet {command}")
    assert "--config FILE" in said
    assert re.search(rf"^examples?:\n  onefleet {command}", said, re.MULTILINE)


def test_help_is_one_screen_and_lists_every_command(onefleet):
    said = onefleet("--help").stdout
    listed = set(re.findall(r"^    (\w+) ", said, re.MULTILINE))
    assert listed == {command.split()[0] for command in COMMANDS}
    assert said.count("\n") <= 45
    assert max(map(len, said.splitlines())) <= 78


def test_a_groups_help_names_its_commands(onefleet):
    for group in {words.split()[0] for words in COMMANDS if " " in words}:
        said = cli.GROUPS[group].partition(": ")[2]
        assert said.split(", ") == [words.split()[1] for words in COMMANDS if words.startswith(f"{group} ")]


def test_help_does_not_import_the_gateway(onefleet):
    said = onefleet("--help", PYTHONPROFILEIMPORTTIME="1").stderr
    assert "gateway.cli" in said
    assert not re.search(r"\| +(aiohttp|structlog|aiosqlite|core|rich|shtab|cryptography)\b", said)


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
    told = r"onefleet (\d+\.\d+\.\d+|\(not installed\)) \(commit [0-9a-f]{12}, a working tree\)\n"
    assert re.fullmatch(told, onefleet("--version").stdout)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dance"],
        ["account"],
        ["account", "add"],
        ["key", "add"],
        ["key", "renew"],
        ["image", "build", "beos"],
        ["instance", "stop"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(onefleet, words):
    assert "usage: onefleet" in onefleet(*words, code=2).stderr


def test_options_may_not_be_abbreviated(onefleet):
    onefleet("account", "list", "--js", code=2)


def test_a_missing_configuration_is_told_without_a_traceback(onefleet):
    onefleet.config.unlink()
    said = onefleet("account", "list", code=2).stderr
    assert said.startswith("onefleet: ")
    assert "there is no config.toml here" in said
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
        (["product", "show", "none"], "'none'"),
        (["order", "show", "5"], "no order '5'"),
        (["order", "show", "i-00000000000000005"], "its number or its id"),
        (["order", "list", "--account", "100000000009"], "no account 100000000009"),
        (["instance", "show", "17"], "no instances 17"),
        (["instance", "stop", "seventeen"], "such as 17 or i-00000000000000011"),
        (["instance", "console", "17"], "no instances 17"),
        (["image", "show", "none"], "no image 'none'"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_1(onefleet, words, told):
    done = onefleet(*words, code=1)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith("onefleet: ")
    assert told in done.stderr


def test_a_list_of_nothing_is_empty_in_json_and_a_head_in_text(onefleet):
    for words in (["account"], ["key"], ["product"], ["zone"], ["order"], ["instance"]):
        assert onefleet.json(*words, "list") == []
        assert onefleet(*words, "list").stdout.count("\n") == 1


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


# --- the fleet, through the running gateway and without it


@dataclass(frozen=True)
class Rented:
    """A gateway of whose account "first" two machines were booked, and of "other" one, all running."""

    gateway: RunningGateway
    other: Keys

    def numbers(self, *filters: str) -> list[int]:
        return [machine["number"] for machine in self.gateway.cli_json("instance", "list", *filters)]

    def state(self, number: int) -> str:
        return self.gateway.cli_json("instance", "show", str(number))["state"]


def book(gateway: RunningGateway, keys: Keys, count: int, name: str, product: str) -> None:
    tag = {"TagSpecification.1.ResourceType": "instance", "TagSpecification.1.Tag.1.Key": "Name"}
    with Customer(gateway.endpoint, keys) as customer:
        images = customer.ec2("DescribeImages").document["imagesSet"]
        asked = {"InstanceType": product, "ImageId": images[0]["imageId"], "MinCount": count, "MaxCount": count}
        reply = customer.ec2("RunInstances", **asked, **tag, **{"TagSpecification.1.Tag.1.Value": name})
        assert reply.status == 200, reply


@pytest.fixture(scope="module")
def rented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rented]:
    with RunningGateway(tmp_path_factory.mktemp("rented")) as gateway:
        fleet = Rented(gateway, gateway.new_keys("other"))
        book(gateway, gateway.keys, 2, "web", "gcl.1")
        book(gateway, fleet.other, 1, "[bold]db[/bold]", "gcl.2")
        eventually(lambda: fleet.numbers("--state", "running") == [1, 2, 3], what="the machines")
        yield fleet


def test_products_and_zones_tell_what_is_taken_and_free(rented):
    product = rented.gateway.cli_json("product", "show", "gcl.1")
    assert (product["taken"], product["capacity"] - product["free"]) == (2, 2)
    assert {product["product"] for product in rented.gateway.cli_json("product", "list")} >= {"gcl.1", "gcl.2"}
    zones = rented.gateway.cli_json("zone", "list")
    assert sum(stock["taken"] for zone in zones for stock in zone["products"]) == 3
    assert {zone["state"] for zone in zones} == {"open"}
    assert "1062 of 1064" in rented.gateway.cli("product", "list").stdout
    assert "998" in rented.gateway.cli("zone", "list").stdout
    assert "0.015 USD/h a machine" in rented.gateway.cli("product", "show", "gcl.1").stdout


def test_orders_are_listed_and_shown_in_both_spellings(rented):
    first, second = rented.gateway.cli_json("order", "list")
    assert (first["number"], first["order_id"], first["count"]) == (1, "r-00000000000000001", 2)
    assert (second["account_id"], second["product"]) == (rented.other.account_id, "gcl.2")
    shown = [rented.gateway.cli_json("order", "show", name) for name in ("2", "r-00000000000000002")]
    assert shown[0] == shown[1]
    assert [machine["number"] for machine in shown[0]["instances"]] == [3]
    assert [
        order["number"] for order in rented.gateway.cli_json("order", "list", "--account", rented.other.account_id)
    ] == [2]
    assert "i-00000000000000003" in rented.gateway.cli("order", "show", "2").stdout


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ([], [1, 2, 3]),
        (["--state", "running"], [1, 2, 3]),
        (["--state", "terminated"], []),
        (["--product", "gcl.2"], [3]),
        (["--zone", "ord1a", "--product", "gcl.1"], [1, 2]),
        (["--zone", "ams1a"], []),
        (["--tag", "Name=web"], [1, 2]),
        (["--tag", "Name"], [1, 2, 3]),
        (["--tag", "Name=web", "--tag", "role"], []),
        (["--account", "100000000001"], [1, 2]),
    ],
)
def test_machines_are_filtered(rented, filters, numbers):
    assert rented.numbers(*filters) == numbers


def test_a_machine_tells_how_to_log_in_and_what_it_costs(rented):
    machine = rented.gateway.cli_json("instance", "show", "i-00000000000000003")
    assert machine == rented.gateway.cli_json("instance", "show", "3")
    assert machine["ssh"].startswith("ssh -p ")
    assert (machine["cost"], machine["currency"], machine["order_id"]) == ("0.03", "USD", "r-00000000000000002")
    assert machine["tags"] == {"Name": "[bold]db[/bold]"}
    assert machine["ssh"] in rented.gateway.cli("instance", "show", "3").stdout


def test_the_console_is_printed_as_it_is(rented):
    assert rented.gateway.cli("instance", "console", "1").stdout.endswith("m1: running\n")


def test_machines_of_several_accounts_are_moved_by_one_command(rented):
    changes = rented.gateway.cli_json("instance", "stop", "1", "3", "--force")
    assert [(change["number"], change["was"], change["state"]) for change in changes] == [
        (1, "running", "stopping"),
        (3, "running", "stopping"),
    ]
    eventually(lambda: rented.numbers("--state", "stopped") == [1, 3], what="the stop")
    assert "was stopped and is pending" in rented.gateway.cli("instance", "start", "1", "3").stdout
    eventually(lambda: rented.numbers("--state", "running") == [1, 2, 3], what="the start")
    rented.gateway.cli("instance", "reboot", "2")


def test_nothing_is_moved_if_one_machine_is_not_there(rented):
    assert "no instances 99" in rented.gateway.cli("instance", "stop", "2", "99", code=1).stderr
    assert rented.state(2) == "running"


def test_a_machine_that_its_renter_protected_is_not_terminated(rented):
    with Customer(rented.gateway.endpoint, rented.other) as customer:
        protect = {"InstanceId": "i-00000000000000003", "DisableApiTermination.Value": "true"}
        assert customer.ec2("ModifyInstanceAttribute", **protect).status == 200
        assert "3" in rented.gateway.cli("instance", "terminate", "3", code=1).stderr
        assert (
            customer.ec2("ModifyInstanceAttribute", **{**protect, "DisableApiTermination.Value": "false"}).status == 200
        )


def test_machines_are_ended_while_no_gateway_runs_and_gone_once_it_does(tmp_path):
    with RunningGateway(tmp_path) as gateway:
        book(gateway, gateway.keys, 1, "web", "gcl.1")
        eventually(lambda: gateway.cli_json("instance", "show", "1")["state"] == "running", what="the machine")
        gateway.stop()
        assert "`onefleet serve`" in gateway.cli("instance", "console", "1", code=1).stderr
        assert "is shutting-down" in gateway.cli("instance", "terminate", "1").stdout
        assert gateway.cli_json("order", "list") == []
        gateway.start()
        eventually(lambda: gateway.cli_json("instance", "show", "1")["state"] == "terminated", what="the end")
        [order] = gateway.cli_json("order", "list", "--all")
        assert order["status"] == "completed"


def test_a_command_of_another_version_is_refused(rented):
    with pytest.raises(control.Refused, match="does not know this command"):
        control.ask(rented.gateway.data, "dance", {})


def test_the_states_that_can_be_asked_for_are_those_that_there_are():
    assert list(instances.STATES) == list(State)


# --- on a terminal


def on_terminal(gateway: RunningGateway, *words: str, columns: int = 200, **environ: str) -> str:
    """Return what a command shows on a terminal of this width."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gateway", *words, "--config", str(gateway.config)]
    plain = {name: value for name, value in gateway.environ.items() if name != "NO_COLOR"}
    environ = {**plain, "COLUMNS": str(columns), "TERM": "xterm-256color", **environ}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ):
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def test_states_are_worded_and_coloured_on_a_terminal(rented):
    shown = on_terminal(rented.gateway, "instance", "list")
    assert "\x1b[32mrunning\x1b[0m" in shown
    assert "\x1b[32m" not in on_terminal(rented.gateway, "instance", "list", NO_COLOR="1")


def test_a_table_fits_the_terminal(rented):
    shown = on_terminal(rented.gateway, "instance", "list", columns=100, NO_COLOR="1")
    assert max(map(len, re.sub(r"\x1b\[\d*m", "", shown).splitlines())) <= 100
    assert "i-00000000000000001" in shown  # to be copied, so never broken


def test_a_name_that_looks_like_markup_is_shown_as_it_is(rented):
    assert "[bold]db[/bold]" in on_terminal(rented.gateway, "instance", "list")


def test_a_list_of_nothing_says_what_to_do_on_a_terminal(rented):
    assert "onefleet key add" in on_terminal(rented.gateway, "instance", "list", "--zone", "ams1a")


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07", "a\nb", "\u202edrawkcab"])
def test_what_commands_a_terminal_does_not_get_into_a_cell(text):
    assert tables.printable(text).isprintable()


# --- completion


def completed(script: str, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    typed = " ".join(f"'{word}'" for word in words)
    code = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
    code += "eval \"$(complete -p onefleet | sed 's/.*-F \\([^ ]*\\).*/\\1/')\"; printf '%s\\n' \"${COMPREPLY[@]}\""
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_bash_completes_commands_options_and_choices(onefleet):
    script = onefleet("completion", "bash").stdout
    assert completed(script, "onefleet", "acc") == ["account"]
    assert {"add", "list"} <= set(completed(script, "onefleet", "account", ""))
    assert completed(script, "onefleet", "instance", "list", "--sta") == ["--state"]
    assert completed(script, "onefleet", "instance", "list", "--state", "stopp") == ["stopping", "stopped"]
    (onefleet.folder / "backup.tar").touch()
    assert completed(script, "onefleet", "restore", f"{onefleet.folder}/back") == [f"{onefleet.folder}/backup.tar"]


@pytest.mark.parametrize("shell", ["zsh", "fish", "tcsh"])
def test_other_shells_are_told_every_command(onefleet, shell):
    said = onefleet("completion", shell).stdout
    assert all(words.split()[-1] in said for words in COMMANDS)


# --- whose packages


@pytest.mark.parametrize("name", ["core", "gateway", "protocols"])
def test_somebody_elses_package_is_refused(tmp_path, name):
    (tmp_path / "stranger" / name).mkdir(parents=True)
    (tmp_path / "stranger" / name / "__init__.py").touch()
    said = refusal(tmp_path, f"{tmp_path / 'stranger'}:{REPOSITORY}")
    assert f"onefleet: the package {name!r} that Python finds is not Onefleet's" in said
    assert str(tmp_path / "stranger" / name) in said


def test_a_package_that_was_installed_over_ours_is_refused(tmp_path):
    for name in ("core", "gateway", "protocols"):
        shutil.copytree(REPOSITORY / name, tmp_path / "site" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "onefleet.py", tmp_path / "site")
    (tmp_path / "site" / "protocols" / "__init__.py").write_text('"""Somebody else\'s."""\n')
    said = refusal(tmp_path, str(tmp_path / "site"))
    assert "the package 'protocols'" in said
    assert "another was installed over it" in said


def refusal(tmp_path, path):
    """Return what `onefleet --help` says that was started with this path for packages, as it is refused."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, onefleet; sys.exit(onefleet.main())", "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 1
    return done.stderr
