import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from core.errors import CoreError
from gateway import config, verbs
from gateway.datadir import DataDirectory
from gateway.office import Office, open_office
from tests.commandline import Onefleet
from tests.running import RunningGateway

ACCOUNT = "100000000001"
ANN = "ann@example.com"


@pytest.fixture(scope="module")
def staffed_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with an account, a person and a key, to be copied: each command takes its time."""
    onefleet = Onefleet(tmp_path_factory.mktemp("staffed"))
    onefleet("account", "add", "Example Ltd")
    onefleet("user", "add", "--account", ACCOUNT, ANN)
    onefleet("key", "add", "--account", ACCOUNT, "--application", "shop", "--allow", "203.0.113.0/24")
    return onefleet.data


@pytest.fixture
def staffed(onefleet: Onefleet, staffed_data: Path) -> Onefleet:
    """An account with a person and a key; no gateway runs."""
    shutil.copytree(staffed_data, onefleet.data)
    return onefleet


# --- people


def test_a_person_is_added_with_a_password_that_is_told_once(staffed):
    said = staffed("user", "add", "--account", ACCOUNT, " Bob@Example.com ").stdout.splitlines()
    assert said[0] == "e-mail    bob@example.com"
    password = said[1].removeprefix("password  ")
    assert len(password) >= 16
    assert password not in staffed("user", "list", "--json").stdout


def test_people_are_listed_in_json_with_all_that_is_known(staffed):
    [user] = staffed.json("user", "list")
    datetime.fromisoformat(user.pop("created_at"))
    assert user == {
        "email": ANN,
        "number": 1,
        "account_id": ACCOUNT,
        "is_enabled": True,
        "is_operator": False,
        "has_second_factor": False,
        "must_change_password": True,
    }
    assert staffed("user", "list").stdout.splitlines()[0].split()[:3] == ["E-MAIL", "ACCOUNT", "STATE"]


def test_people_of_one_account_are_listed_alone(staffed):
    other = staffed.json("account", "add", "other")["account_id"]
    staffed("user", "add", "--account", other, "bob@example.com")
    assert [user["email"] for user in staffed.json("user", "list", "--account", other)] == ["bob@example.com"]


def test_a_new_password_is_another_one(staffed):
    first, second = (staffed.json("user", "password", ANN)["password"] for _ in range(2))
    assert first != second


def test_a_person_is_disabled_and_enabled(staffed):
    assert staffed("user", "disable", ANN).stdout == f"{ANN} is disabled, and was signed out everywhere\n"
    assert not staffed.json("user", "list")[0]["is_enabled"]
    assert staffed.json("user", "enable", ANN)["is_enabled"]


def test_the_last_operator_stays_one(staffed):
    staffed("user", "operator", ANN)
    assert "the last operator" in staffed("user", "operator", ANN, "--revoke", code=1).stderr
    assert "the last operator" in staffed("user", "disable", ANN, code=1).stderr
    staffed("user", "add", "--account", ACCOUNT, "--operator", "root@example.com")
    assert not staffed.json("user", "operator", ANN, "--revoke")["is_operator"]


def test_a_second_factor_is_reset(staffed):
    assert "with the password alone" in staffed("user", "reset-second-factor", ANN).stdout


# --- refusals

OF_ANN, OF_NOBODY = {"account": ACCOUNT, "email": ANN}, {"account": "100000000009"}


@pytest.fixture
async def office(staffed: Onefleet) -> AsyncIterator[Office]:
    """The verbs' office, without the command line before it."""
    settings = config.load(staffed.config)
    with DataDirectory.open(settings.server.data_dir, settings.storage.path) as directory:
        async with open_office(settings, directory) as opened:
            yield opened


@pytest.mark.parametrize(
    ("verb", "said", "told"),
    [
        ("user add", OF_ANN, "signs in as"),
        ("user add", {**OF_ANN, "email": "nobody"}, "e-mail address"),
        ("user add", {**OF_NOBODY, "email": "bob@example.com"}, "There is no account"),
        ("user list", {"account": "x"}, "onefleet account list"),
        ("user password", {"email": "bob@example.com"}, "Nobody signs in as"),
        ("app list", OF_NOBODY, "There is no account"),
        ("app show", {"application": "17"}, "There is no application 17"),
        ("app show", {"application": "x"}, "onefleet app list"),
        ("account show", OF_NOBODY, "There is no account"),
        ("account suspend", {"account": ACCOUNT, "machines": "burn"}, "leave, stop, terminate"),
        ("account limit", {"account": ACCOUNT, "amount": "much"}, "an amount such as"),
        ("account limit", {"account": ACCOUNT, "amount": "-1"}, "0 or more"),
        ("account limit", {"account": ACCOUNT, "amount": "NaN"}, "0 or more"),
        ("usage", {"month": "2026-13"}, "such as 2026-11"),
        ("usage", OF_NOBODY, "There is no account"),
        ("audit", {"since": "yesterday"}, "a day or a time"),
        ("audit", {"until": "9999-12-31"}, "a day or a time"),
        ("audit", {"protocol": "fax"}, "ec2, zerosix, console, cli"),
        ("audit", {"most": "0"}, "from 1 to 10000"),
        ("audit", {"before": "x"}, "a whole number"),
    ],
)
async def test_a_refusal_says_what_was_found_or_what_to_do(office, verb, said, told):
    with pytest.raises(CoreError, match=told):
        await verbs.carry_out(office, verb, said)


def test_a_refusal_is_one_line_and_exit_code_1(staffed):
    said = staffed("user", "add", "--account", ACCOUNT, ANN, code=1).stderr
    assert said == f"onefleet: Somebody signs in as {ANN} already.\n"


# --- applications


def test_applications_are_listed_and_shown_with_their_keys(staffed):
    [listed] = staffed.json("app", "list")
    assert (listed["name"], listed["account_id"], listed["allow"]) == ("shop", ACCOUNT, ["203.0.113.0/24"])
    assert (listed["key_count"], listed["last_used_at"]) == (1, None)
    shown = staffed.json("app", "show", listed["number"])
    assert [key["access_key"] for key in shown["keys"]] == [key["access_key"] for key in staffed.json("key", "list")]
    assert "never" in staffed("app", "show", listed["number"]).stdout


def test_no_secret_is_told_of_an_application(staffed):
    secret = staffed.json("key", "add", "--account", ACCOUNT)["secret_key"]
    for each in staffed.json("app", "list"):
        assert secret not in staffed("app", "show", each["number"], "--json").stdout


# --- accounts


def test_an_account_is_suspended_and_resumed(staffed):
    said = staffed.json("account", "suspend", ACCOUNT, "--machines", "stop")
    assert (said["state"], said["touched"], said["untouched"]) == ("suspended", [], [])
    assert [account["state"] for account in staffed.json("account", "list")] == ["suspended"]
    assert staffed("account", "resume", ACCOUNT).stdout == f"account {ACCOUNT} (Example Ltd) is open\n"


def test_an_unknown_fate_of_machines_is_a_wrong_command_line(staffed):
    staffed("account", "suspend", ACCOUNT, "--machines", "burn", code=2)


def test_a_limit_is_set_and_lifted(staffed):
    assert staffed.json("account", "limit", ACCOUNT, "99.50")["credit_limit"] == "99.50"
    assert "credit limit  99.50" in staffed("account", "show", ACCOUNT).stdout
    assert "has no credit limit" in staffed("account", "limit", ACCOUNT, "none").stdout
    assert staffed.json("account", "show", ACCOUNT)["credit_limit"] is None


def test_an_account_is_shown_with_its_people(staffed):
    shown = staffed.json("account", "show", ACCOUNT)
    assert (shown["people"], shown["machines"], shown["spent"]) == ([ANN], 0, {})


# --- usage and the audit log


def test_usage_of_accounts_without_machines_is_nothing(staffed):
    [usage] = staffed.json("usage")
    assert (usage["machines"], usage["totals"]) == (0, {})
    assert "nothing" in staffed("usage", "--account", ACCOUNT, "--month", "2026-01").stdout


def test_all_that_was_done_is_in_the_audit_log_newest_first(staffed):
    deeds = staffed.json("audit", "--account", ACCOUNT)
    assert [deed["verb"] for deed in deeds] == ["make API key", "make user", "make account"]
    assert {(deed["actor"], deed["protocol"]) for deed in deeds} == {("command line", "cli")}
    [older] = staffed.json("audit", "--before", deeds[1]["number"])
    assert older == deeds[2]


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--what", "make user"], 1),
        (["--text", "EXAMPLE.com"], 1),
        (["--protocol", "ec2"], 0),
        (["--since", "2000-01-01", "--until", "2001-01-01T00:00:00+02:00"], 0),
        (["--most", "2"], 2),
    ],
)
def test_the_audit_log_is_searched(staffed, words, count):
    assert len(staffed.json("audit", *words)) == count


def test_a_day_that_it_is_asked_until_is_included(staffed):
    today = staffed.json("audit")[0]["at"][:10]
    assert len(staffed.json("audit", "--since", today, "--until", today)) == 3


def test_the_verbs_work_through_the_running_gateway(start_gateway):
    gateway: RunningGateway = start_gateway()
    keys = gateway.new_keys()
    gateway.cli("user", "add", "--account", keys.account_id, ANN)
    assert gateway.cli_json("user", "list", "--account", keys.account_id)[0]["email"] == ANN
    assert gateway.cli_json("audit", "--what", "make user", "--text", ANN)[0]["subject"] == f"user {ANN}"
    assert gateway.cli_json("usage", "--account", keys.account_id)[0]["instances"] == []
