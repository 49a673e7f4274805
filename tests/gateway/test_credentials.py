"""A key file that is handed to the gateway: what backups, checks and the running gateway make of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import config, inspection
from gateway.archive import open_archive
from gateway.backup import back_up, restore
from gateway.config import Settings
from gateway.control import carry_out
from gateway.datadir import KEY_FILE, UnusableDataDirectory, make_key
from gateway.trouble import Trouble


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """That of every command, which writes for its own user only."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key among the credentials of this process, in a folder that nothing should be written to."""
    file = tmp_path / "credentials" / "fleet.key"
    file.parent.mkdir()
    make_key(file)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    return file


def a_fleet(folder: Path, key_file: str) -> Settings:
    """The settings of a gateway in the folder, whose database is sealed with that key."""
    document = {"ec2": {}, "storage": {"key_file": key_file}}
    settings = config.parse(document, folder, {"CREDENTIALS_DIRECTORY": str(folder / "credentials")})
    inspection.migrate(settings)
    return settings


@pytest.fixture
def fleet(credential: Path, tmp_path: Path) -> Settings:
    return a_fleet(tmp_path, f"credential:{credential.name}")


@pytest.fixture
def backup(fleet: Settings, tmp_path: Path) -> Path:
    """A backup with the credential in it."""
    return back_up(fleet, tmp_path / "backup.tar", has_key=True, is_forced=False).path


def files_beside(credential: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in credential.parent.iterdir()}


def test_no_other_key_is_made(fleet):
    assert not (fleet.server.data_dir / KEY_FILE).exists()


def test_a_check_tells_which_key_file_it_is(fleet, credential):
    [found] = [each for each in inspection.inspect(fleet, Path("config.toml")) if each.part == "key file"]
    assert (found.is_ok, found.text) == (True, str(credential))


def test_a_check_without_the_credential_tells_that_it_is_one(fleet, credential):
    credential.unlink()
    [found] = [each for each in inspection.inspect(fleet, Path("config.toml")) if each.part == "key file"]
    assert not found.is_ok
    assert "LoadCredential=fleet.key:" in found.text


def test_a_certificate_that_is_a_missing_credential_is_called_one(credential, tmp_path):
    tls = {"certificate": "credential:tls.pem", "key": "credential:tls.key"}
    settings = config.parse(
        {"ec2": {}, "server": {"tls": tls}}, tmp_path, {"CREDENTIALS_DIRECTORY": str(credential.parent)}
    )
    [found] = [each for each in inspection.inspect(settings, Path("config.toml")) if each.part == "tls"]
    assert found.text.startswith(f"server.tls.certificate: {credential.parent}/tls.pem: it is a credential, ")


def test_a_verb_without_the_credential_tells_that_it_is_one(fleet, credential):
    credential.unlink()
    with pytest.raises(UnusableDataDirectory, match="it is a credential"):
        carry_out(fleet, "account list", {})


def test_a_backup_has_it_if_it_is_asked_for(backup, credential):
    with open_archive(backup) as archive:
        assert archive.manifest.files[KEY_FILE].size_bytes == credential.stat().st_size


def test_a_restore_leaves_a_credential_alone_that_is_the_key_of_the_backup(fleet, backup, credential):
    before = files_beside(credential)
    restored = restore(fleet, backup, is_forced=True)
    assert [path.name.partition(".replaced-")[0] for path in restored.aside] == ["onefleet.db"]
    assert files_beside(credential) == before
    assert carry_out(fleet, "account list", {}) == []


@pytest.mark.parametrize("is_there", [True, False])
def test_a_restore_does_not_replace_a_credential_by_the_key_of_the_backup(fleet, backup, credential, is_there):
    credential.unlink()
    if is_there:
        make_key(credential)
    before = files_beside(credential), fleet.storage.path.read_bytes()
    with pytest.raises(Trouble, match="is not this command's to replace") as refused:
        restore(fleet, backup, is_forced=True)
    assert f"(tar -xOf {backup} {KEY_FILE})" in str(refused.value)
    assert (files_beside(credential), fleet.storage.path.read_bytes()) == before


def test_a_restore_replaces_a_key_file_elsewhere_that_is_no_credential(backup, tmp_path):
    other = tmp_path / "other.key"
    make_key(other)
    former, folder = other.read_bytes(), tmp_path / "other"
    settings = a_fleet(folder, str(other))
    restored = restore(settings, backup, is_forced=True)
    assert former in [path.read_bytes() for path in restored.aside]
    assert carry_out(settings, "account list", {}) == []
