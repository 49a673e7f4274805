"""What README and the guides have a newcomer type, on a Debian that has nothing else. The commands are the pages' own."""

import hashlib
import json
import re
import shutil
import subprocess
import time

import boto3

from tests.docs.pages import blocks
from tests.end_to_end.test_printed import examples
from tests.release.built import built
from tests.running import REPOSITORY

CHECKOUT, ALONE = "by make newcomer: checkout", "by make newcomer: debian"
UNIT_TESTS = "tests/core tests/protocols --ignore=tests/core/compute/qemu"


def of_page(name, note):
    """Return what a page has a newcomer type, in order."""
    return [block.text for block in blocks(REPOSITORY / name) if block.note == note]


def test_a_clone_in_a_fresh_debian_serves_the_printed_examples_and_passes_its_tests(debian, capsys):
    install, serve, check = of_page("README.md", CHECKOUT)
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", REPOSITORY, debian.root / "root/onefleet"], check=True)
    shared = REPOSITORY.parent / "shared"
    shutil.copytree(shared, debian.root / "root/shared")
    debian.run(install)
    began = time.monotonic()
    with debian.going_on(serve, "Stop it with Ctrl+C", folder="/root/onefleet") as printed:
        told(capsys, f"make run: {time.monotonic() - began:.0f} s until it serves")
        book_ec2, see_ec2, both_zerosix = examples(printed)
        booked = json.loads(bash(book_ec2))
        assert f"'ReservationId': '{booked['ReservationId']}'" in bash(see_ec2)
        assert booked["ReservationId"] in bash(both_zerosix)
    began = time.monotonic()
    said = debian.run(check, folder="/root/onefleet", ARGS=UNIT_TESTS)
    told(capsys, f"make test, the unit part: {time.monotonic() - began:.0f} s; {said.splitlines()[-1].strip('= ')}")
    assert re.search(r"\d+ passed", said)
    assert "failed" not in said.splitlines()[-1]


def test_the_single_file_alone_serves_in_a_fresh_debian(debian, capsys):
    [install] = of_page("docs/quickstart.md", ALONE)
    shutil.copy(built() / "onefleet", debian.root / "root/onefleet")
    debian.run(f"! command -v python3\n{install}\nmkdir fleet\ncd fleet\nonefleet init")
    began = time.monotonic()
    with debian.going_on(
        "onefleet serve", "Stop it", folder="/root/fleet", ONEFLEET_SERVER__LISTEN="127.0.0.1:0"
    ) as printed:
        told(capsys, f"onefleet serve, the first time: greeted after {time.monotonic() - began:.2f} s")
        url = re.search(r"Onefleet answers at (\S+)", printed)[1]
        access_key, secret_key = (re.search(rf"{name} key  (\S+)", printed)[1] for name in ("access", "secret"))
        ec2 = boto3.client(
            "ec2", "ord1", endpoint_url=url, aws_access_key_id=access_key, aws_secret_access_key=secret_key
        )
        image = ec2.describe_images()["Images"][0]["ImageId"]
        booked = ec2.run_instances(ImageId=image, InstanceType="gcl.1", MinCount=1, MaxCount=1)
        orders = bash(f"curl -fsS -u {access_key}:{secret_key} {url}/wp-json/api/v1/orders")
        assert [order["ec2_reservation_id"] for order in json.loads(orders)] == [booked["ReservationId"]]


def test_pipx_installs_the_wheel_and_the_source_archive(debian):
    debian.run("apt-get install -y --no-install-recommends pipx")
    for archive in [*built().glob("*.whl"), *built().glob("*.tar.gz")]:
        shutil.copy(archive, debian.root / "root")
        debian.run(f"pipx install ./{archive.name}")
        said = debian.run(
            "cd /tmp; ~/.local/bin/onefleet --version; ~/.local/bin/onefleet init fleet; cd fleet; ~/.local/bin/onefleet check"
        )
        assert re.search(r"commit [0-9a-f]{12}", said)
        debian.run("pipx uninstall onefleet")


def test_the_single_file_builds_images_in_a_fresh_debian(debian, capsys):
    shutil.copy(built() / "onefleet", debian.root / "usr/local/bin/onefleet")
    for page in ("machines", "images"):
        debian.run(f"onefleet init {page}")
        for text in of_page(f"docs/{page}.md", ALONE):
            began = time.monotonic()
            debian.run(text, folder=f"/root/{page}")
            told(capsys, f"{time.monotonic() - began:.0f} s: {text.splitlines()[0]}")
    assert images_in(debian, "machines") == {"micro"}
    assert images_in(debian, "images") == {"debian", "micro", "tiny"}


def images_in(debian, folder):
    debian.run("onefleet check", folder=f"/root/{folder}")
    listed = json.loads(debian.run("onefleet image list --json", folder=f"/root/{folder}"))
    return {image["name"] for image in listed if image["is_registered"]}


def test_two_builds_of_one_commit_are_the_same_to_the_byte(tmp_path, capsys):
    once = sums(built())
    again = tmp_path / "a folder of another name"
    subprocess.run(["git", "clone", "-q", REPOSITORY, again], check=True)
    subprocess.run(["make", "dist"], cwd=again, check=True, capture_output=True)
    assert sums(again / "dist") == once
    told(capsys, f"{len(once)} files of make dist are the same in two builds")


def sums(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def bash(script):
    return subprocess.run(["bash", "-ec", script], capture_output=True, text=True, check=True).stdout


def told(capsys, line):
    with capsys.disabled():
        print(f"\n  {line}", end=" ")  # noqa: T201  its figures are what it is run for, too
