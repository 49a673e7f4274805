"""dist/onefleet, started as people start it: nothing of this repository or its Python is in its reach."""

import fcntl
import json
import os
import re
import shutil
import signal
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest

from tests.commandline import Onefleet
from tests.release.built import built
from tests.running import REPOSITORY, RunningGateway, eventually

PACKAGES = ("core", "gateway", "protocols")
LOADER = Path("/lib64/ld-linux-x86-64.so.2")
LIBRARIES = ("libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1", "libutil.so.1")
"""What glibc is, as far as the bundle needs it."""


@pytest.fixture(scope="module")
def program():
    return built() / "onefleet"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environ(cache):
    """A shell's environment, in which it has been unpacked before."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "ONEFLEET_UNPACK_DIR": str(cache)}


@pytest.fixture
def onefleet(program, environ, tmp_path):
    """The command in a folder with a configuration."""
    command = Onefleet(tmp_path)
    command.program = [str(program)]
    command.environ = environ
    return command


@pytest.fixture
def gateway(program, environ, tmp_path):
    running = RunningGateway(tmp_path)
    running.program = [str(program)]
    running.environ = environ
    with running:
        yield running


def told(program, *words, code=0, env=None, **settings):
    done = subprocess.run(
        [program, *words], capture_output=True, text=True, check=False, timeout=60, env=env, **settings
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def is_locked(file):
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


# --- what it is


def test_it_is_smaller_than_30_mb(program):
    assert program.stat().st_size < 30_000_000


def test_it_tells_version_commit_and_build_date(program, environ):
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=REPOSITORY, capture_output=True, check=True)
    said = told(program, "--version", env=environ)
    assert re.fullmatch(r"onefleet \d+\.\d+\.\d+ \(commit [0-9a-f]{12}, \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)\n", said)
    assert commit.stdout.decode().strip() in said


def test_every_module_and_every_file_of_ours_is_in_it(program, environ, cache):
    told(program, "--version", env=environ)
    [folder] = cache.glob("onefleet/*-*")
    script = "import sys; from PyInstaller.archive.readers import CArchiveReader as Reader; print(*Reader(sys.argv[1]).open_embedded_archive('PYZ.pyz').toc)"
    python = REPOSITORY / "build/dist/venv/bin/python"
    modules = set(told(python, "-c", script, folder / "onefleet").split())
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    missing = [
        name for name in tracked.stdout.split() if "/scripts/" not in name and not is_inside(name, modules, folder)
    ]
    assert missing == []


def is_inside(name, modules, folder):
    if name.endswith(".py"):
        return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") in modules
    return (folder / "_internal" / name).exists()


def test_time_zones_come_with_it(onefleet):
    onefleet.configure(zerosix={"timezone": "Pacific/Chatham"})
    onefleet.environ |= {"PYTHONTZPATH": ""}
    assert "Pacific/Chatham" in onefleet("config", "show").stdout


def test_it_needs_nothing_but_glibc(program, tmp_path):
    root = tmp_path / "root"
    for library in (LOADER, *(Path("/lib/x86_64-linux-gnu") / name for name in LIBRARIES)):
        place = root / str(library).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    for folder in ("proc", "tmp", "work"):
        (root / folder).mkdir()
    shutil.copy(program, root / "onefleet")
    shutil.copy(REPOSITORY / "config.toml", root / "config.toml")
    for words in ("--version", "check", "product list", "licences", "completion bash"):
        done = subprocess.run(
            [
                "unshare",
                "--map-root-user",
                "--mount",
                "--pid",
                "--fork",
                "--root",
                root,
                "--mount-proc",
                "/onefleet",
                *words.split(),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={},
        )
        assert (done.returncode, done.stderr) == (0, ""), words


# --- that it serves


def test_both_protocols_the_console_and_the_metrics_answer_from_it(gateway):
    keys = gateway.keys
    ec2 = boto3.client(
        "ec2",
        "ord1",
        endpoint_url=gateway.endpoint,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
    )
    image = ec2.describe_images()["Images"][0]["ImageId"]
    reservation = ec2.run_instances(ImageId=image, InstanceType="gcl.1", MinCount=1, MaxCount=1)["ReservationId"]
    login = subprocess.run(
        ["curl", "-s", "-u", f"{keys.access_key}:{keys.secret_key}", f"{gateway.endpoint}/wp-json/api/v1/orders"],
        capture_output=True,
        check=True,
    )
    assert [order["ec2_reservation_id"] for order in json.loads(login.stdout)] == [reservation]
    page = gateway.get("/console/sign-in").text
    [style] = re.findall(r'href="([^"]+\.css)', page)
    assert "Sign in" in page
    assert gateway.get(style).status == 200
    eventually(lambda: gateway.metric("onefleet_instances", state="running") == 1, what="the machine")


def test_the_process_that_was_started_is_the_one_that_serves_and_one_signal_stops_it(gateway):
    started = gateway.pid
    [line] = gateway.log(event="listening")
    assert line["pid"] == started
    assert gateway.stop() == 0


def test_ctrl_c_in_a_terminal_stops_it_in_order(program, environ, tmp_path):
    gateway = RunningGateway(tmp_path)
    gateway.program, gateway.environ = ["setsid", "--wait", str(program)], environ
    with gateway:
        os.killpg(gateway.log(event="listening")[0]["pid"], signal.SIGINT)
        assert gateway.wait() == 0
    assert gateway.log(event="stopped")


def test_the_operators_commands_work_beside_it_and_without_it(gateway):
    account = gateway.cli_json("account", "add", "Example Ltd")["account_id"]
    gateway.cli("backup", str(gateway.folder / "all.tar.gz"), "--with-key")
    gateway.stop()
    assert account in [each["account_id"] for each in gateway.cli_json("account", "list")]
    gateway.cli("restore", str(gateway.folder / "all.tar.gz"), "--force")
    gateway.cli("doctor", code=None)
    assert gateway.start().get("/readyz").status == 200


def test_what_it_starts_finds_the_hosts_libraries_and_not_its_own(onefleet, environ):
    qemu = onefleet.folder / "qemu"
    qemu.write_text('#!/bin/sh\nenv >>"$(dirname "$0")/environment"\necho QEMU emulator version 8.0.0\n')
    qemu.chmod(0o755)
    onefleet.environ = environ | {"LD_LIBRARY_PATH": "/opt/theirs"}
    onefleet.configure(compute={"driver": "qemu", "qemu": {"binary": str(qemu)}})
    onefleet("check", code=1)
    seen = (onefleet.folder / "environment").read_text()
    assert "LD_LIBRARY_PATH=/opt/theirs\n" in seen
    assert str(environ["ONEFLEET_UNPACK_DIR"]) + "/" not in seen


# --- how it unpacks itself


def test_it_is_unpacked_once(program, tmp_path):
    env = {"HOME": str(tmp_path)}
    told(program, "--version", env=env)
    [folder] = tmp_path.glob(".cache/onefleet/*-*")
    mark = folder / "mark"
    mark.touch()
    told(program, "--version", env=env)
    assert mark.exists()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_many_first_starts_at_once_all_work(program, tmp_path):
    env = {"HOME": str(tmp_path)}
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda _: told(program, "--version", env=env), range(4)))
    assert len(set(said)) == 1
    assert len(list(tmp_path.glob(".cache/onefleet/*-*"))) == 1


def test_a_start_that_is_killed_while_it_unpacks_leaves_nothing_that_is_taken_for_whole(program, tmp_path):
    env = {"HOME": str(tmp_path)}
    killed = subprocess.Popen([program, "--version"], env=env, stdout=subprocess.DEVNULL)
    eventually(lambda: list(tmp_path.glob(".cache/onefleet/unpacking/*")), what="the unpacking")
    killed.kill()
    killed.wait()
    assert "onefleet" in told(program, "--version", env=env)
    assert not list(tmp_path.glob(".cache/onefleet/unpacking"))


def test_a_new_build_removes_the_old_one_unless_that_runs(program, tmp_path):
    env = {"ONEFLEET_UNPACK_DIR": str(tmp_path)}
    unused, used = tmp_path / "onefleet/0123456789abcdef-0", tmp_path / "onefleet/fedcba9876543210-0"
    for folder in (unused, used):
        folder.mkdir(parents=True, mode=0o700)
        (folder / ".in-use").touch()
    (tmp_path / "onefleet").chmod(0o700)
    with subprocess.Popen(["flock", "--shared", used / ".in-use", "cat"], stdin=subprocess.PIPE) as holder:
        eventually(lambda: is_locked(used / ".in-use"), what="the lock")
        told(program, "--version", env=env)
        assert (unused.exists(), used.exists()) == (False, True)
        holder.stdin.close()


def test_a_cache_that_is_somebody_elses_or_open_to_others_is_not_used(program, tmp_path):
    shared = tmp_path / "shared"
    (shared / "onefleet").mkdir(parents=True)
    (shared / "onefleet").chmod(0o777)
    told(program, "--version", env={"ONEFLEET_UNPACK_DIR": str(shared), "HOME": str(tmp_path)})
    assert not list((shared / "onefleet").iterdir())
    assert list(tmp_path.glob(".cache/onefleet/*-*"))


def test_without_a_place_for_it_it_says_what_to_do(program, tmp_path):
    full = "".join(f"mount -t tmpfs -o size=1m none {place}; " for place in ("/var/cache", "/tmp"))
    script = f"exec 9<{program}; {full} exec /proc/self/fd/9 --version"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        env={"PATH": os.environ["PATH"], "HOME": "/proc", "ONEFLEET_UNPACK_DIR": "/proc/self/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "onefleet: there is no place to unpack itself to:" in done.stderr
    assert "/proc/self/nowhere/onefleet: No such file or directory" in done.stderr
    assert "No space left on device" in done.stderr
    assert "ONEFLEET_UNPACK_DIR=/FOLDER" in done.stderr


@pytest.mark.parametrize("how", ["cut", "changed"])
def test_a_damaged_file_says_that_it_is(program, tmp_path, how):
    damaged = tmp_path / "damaged"
    content = program.read_bytes()
    if how == "changed":
        at, _ = struct.unpack("<QQ", content[-40:-24])
        content = content[: at + 1_000_000] + bytes(1000) + content[at + 1_001_000 :]
    damaged.write_bytes(content if how == "changed" else content[:-100_000])
    damaged.chmod(0o755)
    said = told(damaged, "--version", code=1, env={"HOME": str(tmp_path)})
    assert "copy it again" in said
    assert not list(tmp_path.glob(".cache/onefleet/*-*"))
