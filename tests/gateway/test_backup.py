import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest

from gateway.swap import PLAN_FILE
from tests.commandline import Onefleet
from tests.customers import Customer, machines_in
from tests.running import DEADLINE_SECONDS, RunningGateway, eventually

MEMBERS = ["manifest.json", "manifest.sha256", "onefleet.db", "samples.db", "onefleet.key"]
_PRODUCT = "gcl.1"

KILL = """
import os, signal, sys
left = int(sys.argv.pop(1))
def watch(event, arguments):
    global left
    if event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from gateway.cli import run
sys.exit(run(sys.argv[1:]))
"""
"""Carries out a command line, and kills itself at the n-th change of a folder, if there are so many."""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Onefleet:
    """The command in another folder, where nothing is yet."""
    (tmp_path / "elsewhere").mkdir()
    return Onefleet(tmp_path / "elsewhere")


def an_account(onefleet: Onefleet, name: str) -> str:
    return onefleet.json("account", "add", name)["account_id"]


def names(onefleet: Onefleet) -> list[str]:
    return [account["name"] for account in onefleet.json("account", "list")]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `backup.tar` and `backup.tar.gz` were made, with the key, before the account "two" was."""
    onefleet = Onefleet(tmp_path_factory.mktemp("kept"))
    an_account(onefleet, "one")
    with closing(sqlite3.connect(onefleet.data / "samples.db", isolation_level=None)) as db:
        db.execute("CREATE TABLE samples (at INTEGER)")
    for name in ("backup.tar", "backup.tar.gz"):
        onefleet("backup", onefleet.folder / name, "--with-key")
    an_account(onefleet, "two")
    return onefleet.folder


@pytest.fixture
def backup(onefleet: Onefleet, kept: Path) -> Path:
    """A backup of the command's folder: the account "two" was made after it."""
    shutil.copytree(kept / "data", onefleet.data)
    return Path(shutil.copy(kept / "backup.tar", onefleet.folder))


# --- making one


def test_a_backup_tells_what_is_in_it(onefleet, tmp_path):
    an_account(onefleet, "one")
    told = onefleet.json("backup", tmp_path / "backup.tar")
    with tarfile.open(tmp_path / "backup.tar") as tar:
        assert tar.getnames() == ["manifest.json", "manifest.sha256", "onefleet.db"]
        manifest = json.load(tar.extractfile("manifest.json"))
        database = tar.extractfile("onefleet.db").read()
    assert manifest == told["manifest"]
    assert manifest["files"] == {
        "onefleet.db": {"size_bytes": len(database), "sha256": hashlib.sha256(database).hexdigest()}
    }
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["backup.tar", "config.toml", "data"]


def test_the_key_file_is_in_it_only_if_asked_for(backup):
    with tarfile.open(backup) as tar:
        assert tar.getnames() == MEMBERS


@pytest.mark.parametrize("name", ["backup.tar.gz", "backup.tgz"])
def test_its_name_tells_that_it_is_compressed(onefleet, elsewhere, tmp_path, name):
    an_account(onefleet, "one")
    onefleet("backup", tmp_path / name, "--with-key")
    assert (tmp_path / name).read_bytes()[:2] == b"\x1f\x8b"
    elsewhere("restore", tmp_path / name)
    assert names(elsewhere) == ["one"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("backup.zip", "ends in .tar, .tar.gz or .tgz"),
        ("data/backup.tar", "would be lost with the data directory"),
        ("there.tar", "there.tar exists: name another file, or give --force"),
        ("nowhere/backup.tar", "No such file or directory"),
    ],
)
def test_a_place_where_no_backup_should_be_is_refused(onefleet, tmp_path, name, told):
    an_account(onefleet, "one")
    (tmp_path / "there.tar").write_text("precious")
    assert told in onefleet("backup", tmp_path / name, code=1).stderr
    assert (tmp_path / "there.tar").read_text() == "precious"


def test_a_backup_is_replaced_if_forced(onefleet, elsewhere, backup):
    onefleet("backup", backup, "--with-key", "--force")
    elsewhere("restore", backup)
    assert names(elsewhere) == ["one", "two"]


def test_there_is_nothing_to_back_up_before_the_first_start(onefleet, tmp_path):
    assert "nothing to back up yet" in onefleet("backup", tmp_path / "backup.tar", code=1).stderr
    assert not onefleet.data.exists()


def test_a_damaged_database_does_not_become_a_backup(onefleet, tmp_path):
    an_account(onefleet, "one")
    with (onefleet.data / "onefleet.db").open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 3 * 4096)
    assert "damaged" in onefleet("backup", tmp_path / "backup.tar", code=1).stderr
    assert not list(tmp_path.glob("backup.tar*"))


def test_what_a_killed_backup_left_is_cleared_by_the_next(onefleet, tmp_path):
    an_account(onefleet, "one")
    (tmp_path / "backup.tar.work").mkdir()
    (tmp_path / "backup.tar.work" / "onefleet.db").write_text("half")
    (tmp_path / "backup.tar.part").write_text("half")
    onefleet("backup", tmp_path / "backup.tar")
    assert [file.name for file in tmp_path.glob("backup.tar*")] == ["backup.tar"]


# --- bringing it back


def test_a_backup_is_restored_where_nothing_is(elsewhere, backup):
    assert "All is as it was at" in elsewhere("restore", backup).stdout
    assert names(elsewhere) == ["one"]
    assert [file for file in elsewhere.data.iterdir() if file.stat().st_mode & 0o077] == []


def test_a_restore_replaces_nothing_unless_it_is_forced(onefleet, backup):
    said = onefleet("restore", backup, code=1).stderr
    assert "would be replaced: give --force" in said
    assert names(onefleet) == ["one", "two"]


def test_what_a_restore_replaces_is_kept(onefleet, backup):
    before = {name: (onefleet.data / name).read_bytes() for name in ("onefleet.db", "onefleet.key")}
    told = onefleet.json("restore", backup, "--force")
    assert names(onefleet) == ["one"]
    kept = {Path(path).name.partition(".replaced-")[0]: Path(path).read_bytes() for path in told["kept"]}
    assert {name: kept[name] for name in before} == before


def test_a_backup_without_the_key_goes_with_the_key_that_is_there(onefleet, tmp_path):
    an_account(onefleet, "one")
    onefleet("backup", tmp_path / "backup.tar")
    an_account(onefleet, "two")
    onefleet("restore", tmp_path / "backup.tar", "--force")
    assert names(onefleet) == ["one"]


def test_a_backup_without_a_key_is_refused_where_there_is_none(onefleet, elsewhere, tmp_path):
    an_account(onefleet, "one")
    onefleet("backup", tmp_path / "backup.tar")
    assert "the backup has no key file" in elsewhere("restore", tmp_path / "backup.tar", code=1).stderr
    assert contents(elsewhere) == ["lock"]


def test_a_backup_of_another_key_is_refused(onefleet, elsewhere, tmp_path):
    an_account(onefleet, "one")
    onefleet("backup", tmp_path / "backup.tar")
    an_account(elsewhere, "theirs")
    said = elsewhere("restore", tmp_path / "backup.tar", "--force", code=1).stderr
    assert "the key file is not the one that this database was made with" in said
    assert names(elsewhere) == ["theirs"]


def test_ids_that_may_have_been_given_out_since_are_skipped(onefleet, backup):
    lost = onefleet.json("account", "list")[-1]
    onefleet("restore", backup, "--force")
    assert int(an_account(onefleet, "three")) > int(lost["account_id"]) + 900_000


def test_what_is_there_may_be_damaged(onefleet, backup):
    (onefleet.data / "onefleet.db").write_bytes(b"no database any more" * 1000)
    onefleet("restore", backup, "--force")
    assert names(onefleet) == ["one"]


def test_the_log_of_the_former_database_does_not_get_into_the_restored(onefleet, backup, tmp_path):
    with closing(sqlite3.connect(onefleet.data / "onefleet.db", isolation_level=None)) as left_open:
        left_open.execute("UPDATE accounts SET name = 'from the log'")
        assert (onefleet.data / "onefleet.db-wal").stat().st_size
        onefleet("restore", backup, "--force")
    assert names(onefleet) == ["one"]


def test_a_restore_is_refused_while_the_gateway_runs(start_gateway, backup):
    gateway = start_gateway()
    said = gateway.cli("restore", str(backup), "--force", code=1).stderr
    assert f"another onefleet (pid {gateway.pid})" in said
    assert len(gateway.cli_json("account", "list")) == 1


# --- what is not to be trusted


def contents(onefleet: Onefleet) -> list[str]:
    return sorted(file.name for file in onefleet.data.iterdir()) if onefleet.data.exists() else []


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("part", ["head", "content"])
def test_a_bit_that_was_flipped_anywhere_is_found(elsewhere, backup, member, part):
    with tarfile.open(backup) as tar:
        entry = tar.getmember(member)
    place = {"head": entry.offset + 10, "content": entry.offset_data + entry.size // 2}[part]
    with backup.open("r+b") as file:
        file.seek(place)
        flipped = file.read(1)[0] ^ 0x10
        file.seek(place)
        file.write(bytes([flipped]))
    assert "not a whole backup" in elsewhere("restore", backup, code=1).stderr
    assert contents(elsewhere) in ([], ["lock"])


@pytest.mark.parametrize("name", ["backup.tar", "backup.tar.gz"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.9])
def test_a_backup_that_was_cut_off_is_refused(kept, elsewhere, tmp_path, name, share):
    half = Path(shutil.copy(kept / name, tmp_path))
    os.truncate(half, int(half.stat().st_size * share))
    assert "not a whole backup" in elsewhere("restore", half, code=1).stderr
    assert contents(elsewhere) in ([], ["lock"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema": 9999}, "has schema 9999 and this program knows"),
        ({"format": 2}, "a newer onefleet has made this backup"),
        ({"files": {}}, "which is not what a backup has"),
        ({"files": None}, "not a whole backup"),
    ],
)
def test_a_manifest_that_this_program_cannot_go_by_is_refused(elsewhere, backup, changes, told):
    assert told in elsewhere("restore", with_manifest(backup, **changes), code=1).stderr
    assert contents(elsewhere) in ([], ["lock"])


def test_a_member_cannot_be_written_anywhere_else(elsewhere, backup):
    with tarfile.open(backup) as tar:
        files = json.load(tar.extractfile("manifest.json"))["files"]
    evil = with_manifest(backup, files={**files, "../../evil": files["onefleet.key"]})
    assert "which is not what a backup has" in elsewhere("restore", evil, code=1).stderr


def with_manifest(backup: Path, **changes: Any) -> Path:
    """Return a backup whose manifest says something else, and is consistent in itself."""
    changed = backup.with_name("changed.tar")
    with tarfile.open(backup) as old, tarfile.open(changed, "w") as new:
        for entry in old:
            content = old.extractfile(entry).read()
            if entry.name == "manifest.json":
                content = json.dumps(json.loads(content) | changes).encode()
                digest = hashlib.sha256(content).hexdigest()
            if entry.name == "manifest.sha256":
                content = f"{digest}  manifest.json\n".encode()
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))
    return changed


def test_a_file_that_is_no_backup_is_refused(elsewhere, tmp_path):
    (tmp_path / "text.tar").write_text("text")
    assert "not a whole backup" in elsewhere("restore", tmp_path / "text.tar", code=1).stderr
    assert "there is no such file" in elsewhere("restore", tmp_path / "absent.tar", code=1).stderr


# --- killed


def killed(onefleet: Onefleet, step: int, *words: object) -> "subprocess.CompletedProcess[str]":
    """Return the outcome of a command that was killed at a step, or of all of it if it has fewer."""
    return subprocess.run(
        [sys.executable, "-c", KILL, str(step), *map(str, words), "--config", str(onefleet.config)],
        capture_output=True,
        text=True,
        env=onefleet.environ,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def test_a_restore_that_is_killed_anywhere_leaves_the_old_or_the_new_and_is_completed_by_the_next(onefleet, backup):
    before, seen = Path(shutil.copytree(onefleet.data, onefleet.folder / "before")), set()
    for step in count(1):
        shutil.rmtree(onefleet.data)
        shutil.copytree(before, onefleet.data)
        if killed(onefleet, step, "restore", backup, "--force").returncode == 0:
            break
        is_begun = (onefleet.data / PLAN_FILE).exists()
        found = names(onefleet)
        seen.add((is_begun, *found))
        onefleet("restore", backup, "--force")
        assert names_in(onefleet.data / "onefleet.db") == ["one"], step
        assert not {PLAN_FILE, "restoring"} & set(contents(onefleet)), step
    assert seen == {(False, "one", "two"), (True, "one"), (False, "one")}


def test_an_interrupted_restore_into_nothing_is_completed_by_the_same_command(elsewhere, backup):
    step = next(step for step in count(1) if is_interrupted_at(elsewhere, step, backup))
    assert step > 1
    elsewhere("restore", backup)
    assert names(elsewhere) == ["one"]


def is_interrupted_at(onefleet: Onefleet, step: int, backup: Path) -> bool:
    """Whether a restore that is killed at the step has begun to replace files."""
    assert killed(onefleet, step, "restore", backup).returncode == -signal.SIGKILL
    return (onefleet.data / PLAN_FILE).exists()


def names_in(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        return [name for (name,) in db.execute("SELECT name FROM accounts ORDER BY id")]


# --- beside a gateway that books


class Storm:
    """Customers who book pairs of machines until they are told to stop; `booked` are the orders that were answered."""

    def __init__(self, gateway: RunningGateway, customers: int) -> None:
        self.booked: list[str] = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._book, args=(gateway,)) for _ in range(customers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _book(self, gateway: RunningGateway) -> None:
        with Customer(gateway.endpoint, gateway.keys) as customer:
            while not self._stopping.is_set():
                reply = customer.ec2("RunInstances", InstanceType=_PRODUCT, ImageId=IMAGE, MinCount=2, MaxCount=2)
                assert reply.status == 200, reply
                self.booked.append(reply.document["reservationId"])


IMAGE = "ami-00000000000000001"


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[RunningGateway]:
    (tmp_path / "busy").mkdir()
    plenty = {"slug": _PRODUCT, "title": "one", "price": 0.01, "vcpus": 1, "memory_mib": 512, "disk_gib": 10}
    catalogue = {
        "regions": [{"name": "eu-1", "geo": "europe"}],
        "zones": [{"name": "eu-1a", "region": "eu-1"}],
        "images": [{"name": "debian-12"}],
        "products": [{**plenty, "image": "debian-12", "capacity": {"eu-1a": 12_000}}],
    }
    with RunningGateway(tmp_path / "busy", **catalogue) as gateway:
        yield gateway


def test_a_backup_in_a_storm_of_bookings_has_all_that_were_answered_before_it(busy, elsewhere, tmp_path):
    with Storm(busy, customers=3) as storm:
        eventually(lambda: len(storm.booked) > 50, what="the storm")
        before = list(storm.booked)
        busy.cli("backup", str(tmp_path / "storm.tar.gz"), "--with-key")
        eventually(lambda: len(storm.booked) > len(before) + 50, what="the end of the storm")
    assert not busy.log(level="error")
    elsewhere("restore", tmp_path / "storm.tar.gz")
    restored = {order["order_id"]: order for order in elsewhere.json("order", "list", "--all")}
    assert set(before) <= set(restored) <= set(storm.booked)
    assert {order["count"] for order in restored.values()} == {2}


def test_a_gateway_starts_on_what_was_restored_and_serves_its_customers(busy, tmp_path):
    with Customer(busy.endpoint, busy.keys) as customer:
        booked = customer.ec2("RunInstances", InstanceType=_PRODUCT, ImageId=IMAGE, MinCount=2, MaxCount=2)
        busy.cli("backup", str(tmp_path / "backup.tar"))
        later = customer.ec2("RunInstances", InstanceType=_PRODUCT, ImageId=IMAGE, MinCount=1, MaxCount=1)
        busy.stop()
        busy.cli("restore", str(tmp_path / "backup.tar"), "--force")
        busy.start()
        customer.close()
        found = {machine["instanceId"] for machine in machines_in(customer.ec2("DescribeInstances"))}
        assert found == {machine["instanceId"] for machine in machines_in(booked)}
        eventually(lambda: busy.metric("onefleet_orphans") == 1, what="the report of the machine that is newer")
        again = customer.ec2("RunInstances", InstanceType=_PRODUCT, ImageId=IMAGE, MinCount=1, MaxCount=1)
        assert machines_in(again)[0]["instanceId"] != machines_in(later)[0]["instanceId"]


# --- a folder of them


def test_in_a_folder_a_backup_is_called_by_its_time_and_so_many_are_kept(onefleet, tmp_path):
    folder = a_folder(
        onefleet, tmp_path, "20240101T000000.000000Z", "20240102T000000.000000Z", "20240103T000000.000000Z"
    )
    told = onefleet.json("backup", folder, "--keep", "2")
    assert told["removed"] == [
        str(folder / named(day)) for day in ("20240102T000000.000000Z", "20240101T000000.000000Z")
    ]
    assert sorted(folder.iterdir()) == [folder / named("20240103T000000.000000Z"), Path(told["file"])]


def test_backups_of_one_second_are_all_made(onefleet, tmp_path):
    folder = a_folder(onefleet, tmp_path)
    for _ in range(4):  # a command takes less than half a second
        onefleet("backup", folder, "--keep", "9")
    assert len(list(folder.iterdir())) == 4


def test_the_backup_that_was_just_made_stays_although_the_clock_was_ahead_once(onefleet, tmp_path):
    folder = a_folder(onefleet, tmp_path, "20990101T000000.000000Z", "20990102T000000.000000Z")
    told = onefleet.json("backup", folder, "--keep", "1")
    assert list(folder.iterdir()) == [Path(told["file"])]


def test_what_is_called_otherwise_is_not_removed(onefleet, tmp_path):
    folder = a_folder(onefleet, tmp_path, "20240101T000000.000000Z")
    others = [
        folder / "before-the-upgrade.tar.gz",
        folder / "onefleet.key",
        folder / f"{named('20240101T000000.000000Z')}.part",
    ]
    for other in others:
        other.touch()
    onefleet("backup", folder, "--keep", "1")
    assert all(other.exists() for other in others)


def test_backups_are_kept_in_a_folder_only(onefleet, tmp_path):
    said = onefleet("backup", tmp_path / "one.tar.gz", "--keep", "1", code=1).stderr
    assert "--keep is for a folder" in said
    assert "1 or more" in onefleet("backup", tmp_path, "--keep", "0", code=2).stderr


def a_folder(onefleet: Onefleet, tmp_path: Path, *times: str) -> Path:
    """Return a folder with a backup of each time, beside data to make another of."""
    an_account(onefleet, "one")
    folder = tmp_path / "backups"
    folder.mkdir()
    for time in times:
        (folder / named(time)).touch()
    return folder


def named(time: str) -> str:
    return f"onefleet-{time}.tar.gz"
