import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.credentials import USUAL_FOLDER
from gateway.datadir import (
    KEY_FILE,
    LOCK_FILE,
    DataDirectory,
    DirectoryInUse,
    UnusableDataDirectory,
    holder_of,
    key_problem,
    make_key,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def opened(folder: Path):
    return DataDirectory.open(folder, folder / "onefleet.db")


def test_a_new_directory_is_closed_to_others(folder):
    with opened(folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_the_key_file_is_made_at_the_first_start_for_its_owner_only(folder):
    with opened(folder):
        assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
        assert len(base64.b64decode((folder / KEY_FILE).read_text())) == 32


def test_the_key_stays_the_same_at_the_next_start(folder):
    with opened(folder) as first:
        sealed = first.vault.seal("test", b"secret")
    with opened(folder) as second:
        assert second.vault.open("test", sealed) == b"secret"


def test_two_directories_have_different_keys(folder, tmp_path):
    with opened(folder), opened(tmp_path / "other"):
        assert (folder / KEY_FILE).read_bytes() != (tmp_path / "other" / KEY_FILE).read_bytes()


def test_a_draft_left_by_a_crash_does_not_keep_the_key_from_being_made(folder):
    folder.mkdir(mode=0o700)
    (folder / "onefleet.new").write_text("half")
    with opened(folder):
        assert not (folder / "onefleet.new").exists()


def test_a_second_process_is_refused_and_told_who_has_the_directory(folder):
    code = f"""
from pathlib import Path
from gateway.datadir import DataDirectory, DirectoryInUse
try:
    with DataDirectory.open(Path({str(folder)!r}), Path({str(folder / "onefleet.db")!r})):
        print("got it")
except DirectoryInUse as error:
    print(error.pid, error)
"""
    with opened(folder):
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{os.getpid()} another onefleet (pid {os.getpid()}) is using the data directory {folder};")


def test_the_directory_is_free_again_after_its_process_has_gone(folder):
    with opened(folder):
        pass
    with opened(folder):
        pass


def test_looking_tells_who_has_the_directory_without_taking_it(folder):
    assert holder_of(folder) == 0
    with opened(folder):
        assert holder_of(folder) == os.getpid()
    assert holder_of(folder) == 0


def test_a_database_without_its_key_file_is_refused_with_advice(folder):
    folder.mkdir(mode=0o700)
    (folder / "onefleet.db").touch()
    with pytest.raises(UnusableDataDirectory, match="put it back from your backup"), opened(folder):
        pass
    assert not (folder / KEY_FILE).exists()


def test_a_database_elsewhere_without_its_key_file_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere.db").touch()
    with pytest.raises(UnusableDataDirectory, match="missing"), DataDirectory.open(folder, tmp_path / "elsewhere.db"):
        pass


def test_a_key_file_that_others_can_read_is_refused_with_advice(folder):
    with opened(folder):
        pass
    (folder / KEY_FILE).chmod(0o640)
    with pytest.raises(UnusableDataDirectory, match=r"mode 0640\): chmod 600"), opened(folder):
        pass
    assert "chmod 600" in key_problem(folder, folder / "onefleet.db")


@pytest.mark.parametrize("content", ["", "not base64!", base64.b64encode(b"short").decode()])
def test_a_damaged_key_file_is_refused_and_left_as_it_is(folder, content):
    folder.mkdir(mode=0o700)
    (folder / KEY_FILE).write_text(content)
    (folder / KEY_FILE).chmod(0o600)
    with pytest.raises(UnusableDataDirectory, match="damaged"), opened(folder):
        pass
    assert (folder / KEY_FILE).read_text() == content


def test_a_directory_of_ours_that_was_opened_to_others_is_closed_again(folder):
    with opened(folder):
        pass
    folder.chmod(0o755)
    with opened(folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_an_empty_directory_is_closed_to_others(folder):
    folder.mkdir(mode=0o755)
    with opened(folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_somebody_elses_directory_is_left_alone(folder):
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "holiday.jpg").touch()
    with pytest.raises(UnusableDataDirectory, match="not Onefleet's"), opened(folder):
        pass
    assert folder.stat().st_mode & 0o777 == 0o755
    assert not (folder / LOCK_FILE).exists()


def test_a_file_in_the_directorys_place_is_refused(folder):
    folder.touch()
    with pytest.raises(UnusableDataDirectory, match="taken by a file"), opened(folder):
        pass


def test_the_lock_is_let_go_when_the_key_is_refused(folder):
    folder.mkdir(mode=0o700)
    (folder / "onefleet.db").touch()
    for _ in range(2):
        with pytest.raises(UnusableDataDirectory) as refused, opened(folder):
            pass
        assert not isinstance(refused.value, DirectoryInUse)


# --- a key file elsewhere


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key that nobody but us has made, outside of the data directory."""
    file = tmp_path / "keys" / "fleet.key"
    file.parent.mkdir()
    make_key(file)
    return file


@pytest.fixture
def credential(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(key_file.parent))
    return key_file


def opened_by(key_file: Path, folder: Path):
    return DataDirectory.open(folder, folder / "onefleet.db", key_file)


def test_a_key_file_elsewhere_opens_what_it_has_sealed_and_none_is_made(folder, key_file):
    key_file.chmod(0o400)
    with opened_by(key_file, folder) as directory:
        sealed = directory.vault.seal("test", b"secret")
    with opened_by(key_file, folder) as directory:
        assert directory.vault.open("test", sealed) == b"secret"
    assert not (folder / KEY_FILE).exists()


def test_a_key_file_elsewhere_that_is_missing_is_not_made_but_advice_is_given(folder, tmp_path):
    file = tmp_path / "fleet.key"
    with pytest.raises(UnusableDataDirectory) as refused, opened_by(file, folder):
        pass
    assert not file.exists()
    assert key_problem(folder, folder / "onefleet.db", file) == str(refused.value)
    command = str(refused.value).partition("make it yourself: ")[2]
    subprocess.run(["bash", "-c", command], check=True)
    with opened_by(file, folder):
        assert file.stat().st_mode & 0o777 == 0o600


def test_the_group_may_read_a_key_file_of_somebody_else(folder, key_file, monkeypatch):
    key_file.chmod(0o440)
    with pytest.raises(UnusableDataDirectory, match="mode 0440"), opened_by(key_file, folder):
        pass
    owner = key_file.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with opened_by(key_file, folder):
        pass


@pytest.mark.parametrize("mode", [0o444, 0o460, 0o441])
def test_nobody_beyond_that_group_may_read_it_and_nobody_else_may_change_it(folder, key_file, monkeypatch, mode):
    key_file.chmod(mode)
    owner = key_file.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(UnusableDataDirectory, match=f"mode {mode:04o}"), opened_by(key_file, folder):
        pass


def test_who_may_read_a_credential_is_left_to_who_hands_it_over(folder, credential):
    credential.chmod(0o444)
    with opened_by(credential, folder):
        pass


def test_a_credential_that_is_missing_is_called_one(folder, credential):
    credential.unlink()
    with pytest.raises(UnusableDataDirectory, match=r"unit must load it: LoadCredential=fleet\.key:"):
        opened_by(credential, folder).__enter__()
    assert not credential.exists()


def test_a_credential_without_a_service_says_where_it_was_sought(folder, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    problem = key_problem(folder, folder / "onefleet.db", USUAL_FOLDER / "absent.key")
    assert problem.startswith(f"the key file {USUAL_FOLDER}/absent.key is missing: it is a credential, ")
    assert "$CREDENTIALS_DIRECTORY" in problem


def test_a_secret_of_a_container_that_is_missing_is_called_one(folder):
    file = Path("/run/secrets/absent.key")
    assert key_problem(folder, folder / "onefleet.db", file).endswith("start that with one of the name absent.key")
