"""`onefleet init`, and what is said where there is no configuration."""

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import beginning, cli, config
from gateway.datadir import DataDirectory
from gateway.trouble import Trouble
from tests.running import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# --- what is made


def test_it_makes_the_reference_the_data_directory_and_a_key(folder):
    begun = beginning.begin(folder)
    assert begun == beginning.Begun(folder / "config.toml", folder / "data", folder / "data/onefleet.key")
    assert begun.config.read_text() == config.reference()
    assert len(base64.b64decode(begun.key_file.read_text())) == 32
    assert sorted(files_in(folder)) == ["config.toml", "data/onefleet.key"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_secret_is_closed_whatever_the_umask(folder, umask):
    before = os.umask(umask)
    try:
        begun = beginning.begin(folder)
    finally:
        os.umask(before)
    assert mode(begun.data) == 0o700
    assert mode(begun.key_file) == 0o600


def test_the_gateway_uses_the_key_that_was_made(folder):
    begun = beginning.begin(folder)
    key = begun.key_file.read_bytes()
    settings = config.load(begun.config, {})
    with DataDirectory.open(settings.server.data_dir, settings.storage.path, settings.storage.key_file):
        assert begun.key_file.read_bytes() == key


# --- what is there already


@pytest.mark.parametrize("taken", ["config.toml", "data/onefleet.db", "data"])
def test_nothing_is_changed_where_something_is(folder, taken):
    (folder / taken).parent.mkdir(parents=True)
    (folder / taken).write_text("mine")
    with pytest.raises(Trouble, match="nothing was changed"):
        beginning.begin(folder)
    assert files_in(folder) == {taken: b"mine"}


def test_a_second_time_is_refused(folder):
    beginning.begin(folder)
    before = files_in(folder)
    with pytest.raises(Trouble, match=re.escape(f"{folder}/config.toml exists, so nothing was changed")):
        beginning.begin(folder)
    assert files_in(folder) == before


@pytest.mark.parametrize("call", ["link", "fsync", "unlink"])
@pytest.mark.parametrize("number", [1, 2])
def test_one_that_was_interrupted_can_be_repeated(folder, monkeypatch, call, number):
    """The power goes before the first or the second time that something is done for good."""
    original, calls = getattr(os, call), iter(range(1, 100))

    def failing(*arguments, **more):
        if next(calls) == number:
            raise KeyboardInterrupt
        return original(*arguments, **more)

    with monkeypatch.context() as dying:
        dying.setattr(os, call, failing)
        try:
            beginning.begin(folder)
        except KeyboardInterrupt:
            key = folder / "data/onefleet.key"
            before = key.read_bytes() if key.exists() else None
    if not (folder / "config.toml").exists():
        begun = beginning.begin(folder)
        assert before in (None, begun.key_file.read_bytes())
    assert (folder / "config.toml").read_text() == config.reference()
    config.load(folder / "config.toml", {})


def test_a_file_is_not_taken_for_a_folder(folder):
    folder.touch()
    with pytest.raises(Trouble, match="is a file; name a folder"):
        beginning.begin(folder)


def test_a_folder_that_cannot_be_written_is_told(monkeypatch):
    with pytest.raises(Trouble, match=r"/proc/fleet.*: .*; name a folder that you may write to"):
        beginning.begin(Path("/proc/fleet"))


# --- on the command line


@dataclass
class Terminal:
    """A terminal in an empty folder, with `onefleet` on its PATH."""

    folder: Path
    program: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, line: str, *, code: int = 0) -> str:
        """Return what a command line prints, which has to end with the exit code."""
        name, *words = shlex.split(line)
        self.patch.setattr(sys, "argv", [shutil.which(name), *words])
        assert cli.run(words) == code
        printed = self.capture.readouterr()
        return printed.out + printed.err


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    here, program = tmp_path / "here", tmp_path / "programs" / "onefleet"
    for folder in (here, program.parent):
        folder.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom onefleet import main\nsys.exit(main())\n")
    program.chmod(0o755)
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.delenv("ONEFLEET_CONFIG", raising=False)
    monkeypatch.setenv("ONEFLEET_SERVER__LISTEN", "127.0.0.1:0")
    umask = os.umask(0o022)
    yield Terminal(here, program, monkeypatch, capsys)
    os.umask(umask)


def commands_in(said: str) -> list[str]:
    return [line.strip() for line in said.partition("Next:\n")[2].splitlines()]


def test_what_it_says_next_can_be_typed(terminal):
    said = commands_in(terminal("onefleet init"))
    assert said == ["onefleet check", "onefleet serve"]
    terminal(said[0])


def test_a_folder_elsewhere_is_named_in_what_it_says_next(terminal):
    check, serve = commands_in(terminal("onefleet init 'my fleet'"))
    assert check == "onefleet check --config 'my fleet/config.toml'"
    assert serve == "onefleet serve --config 'my fleet/config.toml'"
    terminal(check)


def test_here_is_named_too_if_the_environment_names_another_configuration(terminal):
    terminal.patch.setenv("ONEFLEET_CONFIG", "/etc/other.toml")
    check, _ = commands_in(terminal("onefleet init"))
    assert check == "onefleet check --config config.toml"
    terminal(check)


def test_a_program_that_is_not_on_the_path_is_called_as_it_was(terminal):
    shutil.copy(terminal.program, terminal.folder)
    terminal.patch.setenv("PATH", "/usr/bin:/bin")
    check, _ = commands_in(terminal("./onefleet init"))
    assert check == "./onefleet check"
    check, _ = commands_in(terminal(f"{terminal.program} init sub"))
    assert check == f"{terminal.program} check --config sub/config.toml"


def test_a_module_is_called_as_one(terminal):
    environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-m", "onefleet", "init"], env=environ, capture_output=True, check=True)
    check, _ = commands_in(done.stdout.decode())
    assert check == f"{sys.executable} -m onefleet check"


def test_init_takes_a_folder_and_no_configuration(terminal):
    assert "give the folder" in terminal("onefleet init --config x.toml", code=1)


def test_serving_where_nothing_is_names_two_commands_that_begin(terminal):
    said = terminal("onefleet serve", code=2)
    assert said.count("\n") == 1
    assert f"there is no config.toml here, in {terminal.folder}." in said
    first, second = re.findall("`(.*?)`", said)
    assert (first, second) == ("onefleet init", "onefleet serve")
    terminal(first)
    terminal("onefleet check")


def test_the_example_is_the_reference_byte_for_byte(terminal):
    assert terminal("onefleet config example").encode() == (REPOSITORY / "config.toml").read_bytes()


def test_what_counts_is_shown_as_a_configuration_and_for_programs(terminal):
    terminal("onefleet init")
    shown = tomllib.loads(terminal("onefleet config show"))
    assert shown["server"]["listen"] == "127.0.0.1:0"
    assert config.parse(shown, terminal.folder) == config.load(None)
    assert {"key": "log.level", "value": "info", "origin": "default"} in json.loads(
        terminal("onefleet config show --json")
    )


def test_a_broken_configuration_is_not_shown(terminal):
    terminal("onefleet init")
    terminal.patch.setenv("ONEFLEET_LOG__LEVEL", "x")
    said = terminal("onefleet config show", code=2)
    assert said == "onefleet: ONEFLEET_LOG__LEVEL: 'x' is not one of debug, info, warning, error\n"
