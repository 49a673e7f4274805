import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.compute.drivers import DRIVERS
from gateway.config import ConfigError
from gateway.service import UNITS, Outcome, Wish, install
from gateway.trouble import Trouble
from gateway.units import BACKUP, BACKUPS, CACHE, SERVICE, SOCKET, STATE, TIMER, Way
from tests.end_to_end.commands import need_command
from tests.running import REPOSITORY

CONFIG = Path("/etc/onefleet/config.toml")
REFERENCE = (REPOSITORY / "config.toml").read_text()
QEMU = {'driver = "simulated"': 'driver = "qemu"'}
CHANGES: Mapping[Way, Mapping[str, str]] = {
    Way.SIMULATED: {},
    Way.QEMU: QEMU,
    Way.ROUTED: {**QEMU, '#network = "user"': 'network = "routed"', '#user = "nobody"': 'user = "fleet-machines"'},
}
"""How the reference must be changed for machines to be run so."""


@pytest.fixture
def program(tmp_path) -> Path:
    """A file that systemd takes for a program."""
    file = tmp_path / "onefleet"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def wish(tmp_path, program) -> Wish:
    if os.geteuid() != 0:
        pytest.skip("only root can give files to a service's user")
    root = tmp_path / "tree"
    root.mkdir()
    return Wish(program, CONFIG, "onefleet", root)


def configure(wish: Wish, changes: Mapping[str, str]) -> None:
    """Write the reference with these texts in place of those, as an operator edits it."""
    text = REFERENCE.replace('data_dir = "data"', f'data_dir = "{STATE}"')
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    file = wish.place(wish.config)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def unit(wish: Wish, name: str) -> Path:
    return wish.place(UNITS / name)


def values(wish: Wish, name: str, key: str) -> list[str]:
    """Return what a unit says for a key, each time that it does."""
    return re.findall(rf"^{key}=(.*)$", unit(wish, name).read_text(), re.MULTILINE)


def outcomes(wish: Wish) -> dict[str, Outcome]:
    return {Path(deed.what).name: deed.outcome for deed in install(wish).deeds}


# --- what systemd says of it


@pytest.mark.parametrize("way", Way)
def test_systemd_finds_nothing_wrong_with_any_unit(wish, way):
    need_command("systemd-analyze", "systemd")
    configure(wish, CHANGES[way])
    install(wish)
    units = [str(unit(wish, name)) for name in (SOCKET, SERVICE, BACKUP, TIMER)]
    told = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout + told.stderr) == (0, "")


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("name", [SERVICE, BACKUP])
def test_the_units_are_as_closed_as_the_documentation_tells(wish, way, name):
    need_command("systemd-analyze", "systemd")
    configure(wish, CHANGES[way])
    install(wish)
    most = documented(way if name == SERVICE else "backups")
    words = ["--offline=true", "--no-pager", f"--root={wish.root}", f"--threshold={round(float(most) * 10)}", name]
    told = subprocess.run(["systemd-analyze", "security", *words], capture_output=True, text=True, check=False)
    assert told.returncode == 0, [line for line in told.stdout.splitlines() if "✓" not in line]


def documented(way: str) -> str:
    """Return the exposure that docs/service.md tells."""
    [told] = re.findall(rf"^\| {way} \|.*\| (\d+\.\d) \|$", (REPOSITORY / "docs/service.md").read_text(), re.MULTILINE)
    return told


def test_every_driver_has_a_way_in_which_its_service_is_closed():
    assert set(DRIVERS) == {"simulated", "qemu"}, "units.Way has to tell how the service of another driver is closed"


# --- what is made


def test_the_configuration_is_the_reference_with_the_services_own_data_directory(wish):
    install(wish)
    written = tomllib.loads(wish.place(CONFIG).read_text())
    assert written["server"].pop("data_dir") == str(STATE)
    reference = tomllib.loads(REFERENCE)
    del reference["server"]["data_dir"]
    assert written == reference


def test_data_and_backups_are_the_services_users_alone(wish):
    install(wish)
    entry = re.search(r"^onefleet:x:(\d+):(\d+):", wish.place(Path("/etc/passwd")).read_text(), re.MULTILINE)
    for path in (STATE, CACHE, BACKUPS):
        found = wish.place(path).stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (int(entry[1]), int(entry[2]), 0o700), path


def test_what_leads_to_them_is_open_to_all_however_narrow_the_umask_is(wish):
    before = os.umask(0o077)
    try:
        install(wish)
    finally:
        os.umask(before)
    for path in ("/etc", "/etc/onefleet", "/etc/systemd/system", "/var", "/var/lib", "/var/backups"):
        assert wish.place(Path(path)).stat().st_mode & 0o777 == 0o755, path


def test_the_user_is_made_without_systemd_too(wish, tmp_path, monkeypatch):
    need_command("useradd", "passwd")
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "useradd").symlink_to("/usr/sbin/useradd")
    (wish.root / "etc").mkdir()
    for name in ("passwd", "group", "shadow", "gshadow"):
        (wish.root / "etc" / name).touch()
    monkeypatch.setenv("PATH", str(commands))
    assert outcomes(wish)["the user onefleet"] is Outcome.MADE
    assert "onefleet:x:" in wish.place(Path("/etc/passwd")).read_text()


def test_machines_on_wires_need_root_and_run_as_their_own_user(wish):
    configure(wish, CHANGES[Way.ROUTED])
    assert outcomes(wish)["the user fleet-machines"] is Outcome.MADE
    assert values(wish, SERVICE, "User") == []
    assert wish.place(STATE).stat().st_uid == 0


def test_the_service_runs_as_the_user_that_is_named(wish):
    install(Wish(wish.program, wish.config, "cloud", wish.root))
    assert [values(wish, name, "User") for name in (SERVICE, BACKUP)] == [["cloud"], ["cloud"]]


def test_machines_outlive_the_service(wish):
    configure(wish, CHANGES[Way.QEMU])
    install(wish)
    assert values(wish, SERVICE, "KillMode") == ["process"]


def test_the_service_may_take_longer_to_stop_than_its_requests(wish):
    configure(wish, {"#shutdown_seconds = 10": "shutdown_seconds = 100.5"})
    install(wish)
    assert int(values(wish, SERVICE, "TimeoutStopSec")[0]) > 101


@pytest.mark.parametrize(
    ("listen", "wanted"),
    [("0.0.0.0:80", ["0.0.0.0:80"]), ("[::1]:8080", ["[::1]:8080"]), ("127.0.0.1:8443", ["127.0.0.1:8443"])],
)
def test_the_socket_is_where_the_configuration_says(wish, listen, wanted):
    configure(wish, {'127.0.0.1:8080"\n': f'{listen}"\n'})
    install(wish)
    assert values(wish, SOCKET, "ListenStream") == wanted


def test_what_the_installing_shell_overrides_is_not_the_services(wish, monkeypatch):
    monkeypatch.setenv("ONEFLEET_SERVER__LISTEN", "127.0.0.1:1")
    install(wish)
    assert values(wish, SOCKET, "ListenStream") == ["127.0.0.1:8080"]


def test_a_data_directory_elsewhere_can_be_written(wish):
    configure(wish, {f'data_dir = "{STATE}"': 'data_dir = "/srv/my fleet"'})
    install(wish)
    assert values(wish, SERVICE, "ReadWritePaths") == ['"/srv/my fleet"']
    assert wish.place(Path("/srv/my fleet")).is_dir()


def test_a_database_elsewhere_can_be_written_by_the_service_and_read_by_the_backup(wish):
    configure(wish, {'#url = "sqlite:onefleet.db"': 'url = "sqlite:/srv/fast/fleet.db"'})
    install(wish)
    assert values(wish, SERVICE, "ReadWritePaths") == ["/srv/fast"]
    assert "/srv/fast" in values(wish, BACKUP, "ReadWritePaths")


# --- doing it again


def test_doing_it_again_changes_nothing(wish):
    assert set(outcomes(wish).values()) == {Outcome.MADE}
    assert set(outcomes(wish).values()) == {Outcome.KEPT}


def test_a_unit_is_replaced_when_the_configuration_asks_for_another(wish):
    install(wish)
    configure(wish, CHANGES[Way.QEMU])
    done = install(wish)
    assert [Path(deed.what).name for deed in done.deeds if deed.outcome is Outcome.REPLACED] == [SERVICE]
    assert ("systemctl try-restart onefleet.service", "what runs takes it on") in done.next_commands


def test_a_unit_that_somebody_has_edited_is_left_alone_unless_it_is_forced(wish):
    install(wish)
    edited = unit(wish, SERVICE).read_text() + "Nice=5\n"
    unit(wish, SERVICE).write_text(edited)
    assert outcomes(wish)[SERVICE] is Outcome.EDITED
    assert unit(wish, SERVICE).read_text() == edited
    assert outcomes(Wish(**{**fields(wish), "is_forced": True}))[SERVICE] is Outcome.REPLACED


def fields(wish: Wish) -> dict[str, object]:
    return {name: getattr(wish, name) for name in ("program", "config", "user", "root", "is_forced")}


def test_a_configuration_that_is_there_is_kept(wish):
    configure(wish, {'level = "info"': 'level = "warning"'})
    before = wish.place(CONFIG).read_text()
    assert outcomes(wish)["config.toml"] is Outcome.KEPT
    assert wish.place(CONFIG).read_text() == before


# --- what cannot be done


def test_only_root_installs_into_the_host(monkeypatch, program):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Trouble, match="sudo onefleet service install"):
        install(Wish(program, CONFIG, "onefleet"))


def test_a_service_needs_a_port_of_its_own(wish):
    configure(wish, {'127.0.0.1:8080"\n': '127.0.0.1:0"\n'})
    with pytest.raises(Trouble, match="a port of its own"):
        install(wish)


def test_a_wrong_configuration_is_told_and_no_unit_is_written(wish):
    configure(wish, {'driver = "simulated"': 'driver = "magic"'})
    with pytest.raises(ConfigError, match=r"compute\.driver"):
        install(wish)
    assert not unit(wish, SERVICE).exists()


def test_a_program_where_the_service_cannot_reach_it_is_told(wish):
    assert any(str(wish.program) in text for text in install(wish).warnings)


def test_data_of_somebody_else_is_told(wish):
    wish.place(STATE).mkdir(parents=True)
    assert any("chown -R onefleet:" in text for text in install(wish).warnings)


def test_the_command_tells_what_it_did_and_what_to_do_next(onefleet, wish):
    said = onefleet("service", "install", "--root", wish.root, "--config", CONFIG).stdout
    assert f"made      {unit(wish, SERVICE)}\n" in said
    assert "\n  systemctl daemon-reload " in said
    assert set(outcomes_told(onefleet, wish).values()) == {"kept"}


def outcomes_told(onefleet, wish: Wish) -> dict[str, str]:
    told = onefleet.json("service", "install", "--root", wish.root, "--config", CONFIG)
    return {deed["what"]: deed["outcome"] for deed in told["deeds"]}


def test_the_backups_command_is_one_that_the_program_takes(wish, onefleet, tmp_path):
    install(wish)
    [line] = values(wish, BACKUP, "ExecStart")
    _, *words = shlex.split(line)
    (tmp_path / "backups").mkdir()
    onefleet("account", "add", "one")
    here = {str(BACKUPS): tmp_path / "backups", str(CONFIG): onefleet.config}
    onefleet(*(here.get(word, word) for word in words))
    assert len(list((tmp_path / "backups").iterdir())) == 1
