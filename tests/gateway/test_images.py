"""The image commands, as they are typed: real files, the real qemu-img, a real server."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from core.compute.qemu.building.micro import TOOLS
from gateway.cli import parser, run
from gateway.config import parse
from gateway.images import RECIPES, _guessed_name
from gateway.progress import Progress
from tests.mirror import serving
from tests.running import REPOSITORY, a_config, eventually, write_config
from tests.smalldisk import mounted

MIB = 2**20

if shutil.which("qemu-img") is None:
    pytest.skip("qemu-img is not installed; .ci/install-test-tools does that", allow_module_level=True)


class Onefleet:
    """The command in a folder with a configuration that names debian-12; no gateway runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.images = folder, folder / "data" / "images"
        self.environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        self.configure()

    def configure(self, **sections):
        self.config = write_config(self.folder / "config.toml", a_config(self.folder, **sections))

    def start(self, *words):
        """Start the command in a process of its own."""
        command = [sys.executable, "-m", "gateway", *map(str, words)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=self.folder, env=self.environ)

    def __call__(self, *words, code=0):
        """Carry out the command in this process, which takes a tenth of the time; return what it says."""
        umask, out, err = os.umask(0o022), io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err), chdir(self.folder):
                ended = run([*map(str, words)])
        finally:
            os.umask(umask)
        assert ended == code, f"{words}: {ended}\n{out.getvalue()}\n{err.getvalue()}"
        return out.getvalue() if code == 0 else err.getvalue()

    def listed(self):
        return {image["name"]: image for image in json.loads(self("image", "list", "--json"))}

    def registered(self):
        return [name for name, image in self.listed().items() if image["is_registered"]]


@pytest.fixture
def onefleet(tmp_path):
    return Onefleet(tmp_path)


@pytest.fixture(scope="module")
def qcow2(tmp_path_factory):
    """A disk image of some 3 MB."""
    folder = tmp_path_factory.mktemp("disk")
    (folder / "disk.raw").write_bytes(os.urandom(3 * MIB))
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", folder / "disk.raw", folder / "small.qcow2"], check=True
    )
    return folder / "small.qcow2"


@pytest.fixture
def mirror(qcow2):
    with serving(qcow2.read_bytes()) as mirror:
        yield mirror


# --- adding


def test_an_image_is_added_from_a_file(onefleet, qcow2):
    onefleet("image", "add", qcow2)
    image = onefleet.listed()["small"]
    assert (image["is_registered"], image["disk_bytes"], image["trouble"]) == (True, 3 * MIB, "")
    assert image["sha256"] == hashlib.sha256(qcow2.read_bytes()).hexdigest()
    assert Path(image["disk"]).read_bytes() == qcow2.read_bytes()
    assert qcow2.exists()


def test_an_image_is_added_from_a_url_with_the_checksum_out_of_a_listing(onefleet, mirror, qcow2):
    mirror.texts["/images/SHA512SUMS"] = f"{hashlib.sha512(qcow2.read_bytes()).hexdigest()}  small.qcow2\n"
    url = mirror.url.replace("http://", "http://me:secret@") + "?signature=secret"
    onefleet(
        "image", "add", url, "--name", "debian-12", "--sha256sums", mirror.url.replace("small.qcow2", "SHA512SUMS")
    )
    image = onefleet.listed()["debian-12"]
    assert image["source"] == mirror.url
    assert image["sha256"] == hashlib.sha256(qcow2.read_bytes()).hexdigest()
    assert "secret" not in (onefleet.images / "debian-12" / "image.json").read_text()
    assert list((onefleet.images / ".fetching").iterdir()) == []


def test_a_compressed_image_of_another_format_is_unpacked_and_converted(onefleet, tmp_path, qcow2):
    disk = tmp_path / "appliance-amd64.vmdk"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "vmdk", qcow2, disk], check=True)
    subprocess.run(["xz", "-0", disk], check=True)
    onefleet("image", "add", f"{disk}.xz")
    found = onefleet.listed()["appliance-amd64"]["disk"]
    subprocess.run(["qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", found, qcow2], check=True, capture_output=True)


def test_what_is_told_after_adding_can_be_appended_to_the_configuration(onefleet, qcow2):
    words = ["--title", 'My "disk" \\ one', "--default-user", "me", "--architecture", "arm64"]
    block = onefleet("image", "add", qcow2, *words)
    document = tomllib.loads((REPOSITORY / "config.toml").read_text() + block)
    image = parse(document, onefleet.folder).catalogue.images[-1]
    assert (image.name, image.title) == ("small", 'My "disk" \\ one')
    assert (image.default_user, image.architecture, image.least_disk_gib) == ("me", "arm64", 1)


def test_an_image_that_the_configuration_names_needs_nothing_more(onefleet, qcow2):
    said = onefleet("image", "add", qcow2, "--name", "debian-12")
    assert "config.toml names it already" in said
    assert "Its min_disk_gib there should be 1." in said
    assert "[[images]]" not in said


def test_an_image_that_the_configuration_gives_another_disk_is_told_to_be_hidden(onefleet, qcow2):
    onefleet.configure(images=[{"name": "debian-12", "disk": str(qcow2)}], products=[])
    assert "gives debian-12 another disk" in onefleet("image", "add", qcow2, "--name", "debian-12")
    assert onefleet.listed()["debian-12"]["disk"] == str(qcow2)


def test_the_user_of_a_known_distribution_is_told(onefleet, qcow2, tmp_path):
    known = shutil.copy(qcow2, tmp_path / "debian-12-genericcloud-arm64.qcow2")
    said = onefleet("image", "add", known)
    assert "# Its own user is probably debian; renter is made at each machine's first boot." in said
    assert 'architecture = "arm64"' in said


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://h/a/debian-12-genericcloud-amd64.qcow2", "debian-12-genericcloud-amd64"),
        ("https://h/noble-server-cloudimg-amd64.img?x=1", "noble-server-cloudimg-amd64"),
        ("Fedora-Cloud-Base-40-1.14.x86_64.qcow2", "Fedora-Cloud-Base-40-1.14.x86_64"),
        ("disk.raw.xz", "disk"),
        ("/tmp/My disk (1).vmdk", "My-disk-1-"),
        ("x" * 100 + ".img", "x" * 64),
        ("https://h/", ""),
    ],
)
def test_a_name_is_guessed_from_the_files(source, name):
    assert _guessed_name(source) == name


# --- refusals


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing.qcow2"], "nothing.qcow2: there is no such file; a URL begins with https:// or http://"),
        (["small.qcow2", "--name", "a b"], "--name: 'a b' is not a name of 1 to 64 letters"),
        (["small.qcow2", "--title", "a\nb"], "--title: 'a\\nb' is not one line of text"),
        (["small.qcow2", "--default-user", "a b"], "--default-user: 'a b' is not a name"),
        (["small.qcow2", "--sha256", "abc"], "'abc' is no checksum"),
        (["small.qcow2", "--sha256", "0" * 64], f"{'0' * 64} was expected"),
        (["small.qcow2", "--sha256", "0" * 64, "--sha256sums", "x"], "give one of them"),
        (["small.qcow2", "--sha256sums", "nothing"], "nothing: No such file"),
        (["hostile.qcow2"], "The image hostile.qcow2 cannot be used. (it has a backing file"),
        (["config.toml"], "The image config.toml cannot be used. (it is no disk image"),
    ],
)
def test_a_refusal_is_one_line_and_nothing_is_registered(onefleet, qcow2, words, told):
    shutil.copy(qcow2, onefleet.folder / "small.qcow2")
    subprocess.run(
        [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            "/etc/hostname",
            onefleet.folder / "hostile.qcow2",
        ],
        check=True,
    )
    said = onefleet("image", "add", *words, code=1)
    assert told in said.splitlines()[-1]
    assert onefleet.registered() == []
    assert not onefleet.images.exists() or not list(onefleet.images.glob(".new-*"))


def test_a_download_that_is_not_what_it_should_be_leaves_nothing(onefleet, mirror):
    said = onefleet("image", "add", mirror.url, "--sha256", "0" * 64, code=1)
    assert "is not what it should be" in said
    assert onefleet.registered() == list((onefleet.images / ".fetching").iterdir()) == []


def test_a_name_that_is_taken_is_refused_before_anything_is_fetched(onefleet, mirror):
    onefleet("image", "add", mirror.url)
    mirror.asked.clear()
    assert "There is an image small already" in onefleet("image", "add", mirror.url, code=1)
    assert mirror.asked == []
    onefleet("image", "add", mirror.url, "--replace")


def test_a_data_directory_that_is_somebody_elses_is_left_alone(onefleet, qcow2):
    (onefleet.folder / "data").mkdir()
    (onefleet.folder / "data").chmod(0o755)  # whatever the umask is
    (onefleet.folder / "data" / "theirs").touch()
    assert "has files that are not Onefleet's" in onefleet("image", "add", qcow2, code=1)
    assert not onefleet.images.exists()


def test_the_data_directory_stays_closed_to_others_and_can_be_served_from(onefleet, qcow2):
    onefleet("image", "add", qcow2)
    assert (onefleet.folder / "data").stat().st_mode & 0o777 == 0o700
    onefleet("account", "add", "one")


# --- faults


def test_a_killed_command_registers_nothing_and_the_next_one_goes_on(onefleet, mirror, qcow2):
    mirror.stalls_at = MIB
    process = onefleet.start("image", "add", mirror.url)
    eventually(lambda: [part for part in onefleet.images.glob(".fetching/*.part") if part.stat().st_size == MIB])
    process.kill()
    process.communicate()
    assert onefleet.registered() == []
    mirror.stalls_at = -1
    mirror.asked.clear()
    onefleet("image", "add", mirror.url)
    assert mirror.ranges == [f"bytes={MIB}-"]
    assert Path(onefleet.listed()["small"]["disk"]).read_bytes() == qcow2.read_bytes()
    assert list(onefleet.images.glob(".new-*")) == []


def test_an_interrupted_command_ends_without_a_traceback_and_keeps_what_has_come(onefleet, mirror):
    mirror.stalls_at = MIB
    process = onefleet.start("image", "add", mirror.url)
    [part] = eventually(lambda: [*onefleet.images.glob(".fetching/*.part")])
    eventually(lambda: part.stat().st_size == MIB)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in err) == (130, False)
    assert part.stat().st_size == MIB
    assert list(onefleet.images.glob(".new-*")) == []


def test_a_full_disk_is_told_and_nothing_is_registered(onefleet, qcow2, mirror):
    with mounted(onefleet.folder / "data", "2m"):
        (onefleet.folder / "data").chmod(0o700)
        said = onefleet("image", "add", qcow2, code=1)
        assert "No space left on device; free some space and give the same command again" in said
        assert "MiB are to come, and" in onefleet("image", "add", mirror.url, code=1)
        assert onefleet.registered() == []


def test_a_running_gateway_does_not_mind(gateway, qcow2):
    gateway.cli("image", "add", str(qcow2), "--name", "beside")
    assert any(image["name"] == "beside" for image in gateway.cli_json("image", "list"))
    assert gateway.get("/readyz").status == 200
    gateway.cli("image", "remove", "beside")


# --- list and remove


def test_the_list_tells_what_the_configuration_names_and_is_not_there(onefleet, qcow2):
    onefleet("image", "add", qcow2, "--name", "debian-12")
    listed = onefleet.listed()
    assert (listed["debian-12"]["is_configured"], listed["debian-12"]["trouble"]) == (True, "")
    assert "`onefleet image add URL|FILE --name ubuntu-24.04`" in listed["ubuntu-24.04"]["trouble"]
    head, *rows = onefleet("image", "list").splitlines()
    assert head.split() == ["IMAGE", "IN", "CONFIG", "DISK", "IN", "USE", "ADDED", "FROM,", "OR", "WHAT", "IS", "WRONG"]
    assert [row.split()[0] for row in rows] == ["debian-12", "ubuntu-24.04"]


def test_a_disk_that_the_configuration_names_is_listed_as_it_is(onefleet, qcow2):
    onefleet.configure(images=[{"name": "mine", "disk": str(qcow2)}], products=[])
    mine = onefleet.listed()["mine"]
    assert (mine["disk"], mine["disk_bytes"], mine["trouble"]) == (str(qcow2), 3 * MIB, "")
    assert (mine["is_configured"], mine["is_registered"], mine["source"]) == (True, False, "")
    assert mine["used_bytes"] >= 3 * MIB


def test_listing_makes_nothing(onefleet):
    assert onefleet.registered() == []
    assert not (onefleet.folder / "data").exists()


def test_an_image_is_removed_and_told_if_the_configuration_still_names_it(onefleet, qcow2):
    for name in ("debian-12", "other"):
        onefleet("image", "add", qcow2, "--name", name)
    assert onefleet("image", "remove", "other") == "removed other\n"
    assert "config.toml still names it" in onefleet("image", "remove", "debian-12")
    assert onefleet.registered() == []
    assert "there is no image other" in onefleet("image", "remove", "other", code=1)


# --- building


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_can_be_typed(recipe):
    assert parser().parse_args(["image", "build", recipe]).recipe == recipe


def test_micro_is_built_and_registered_with_the_modes_of_a_system(onefleet):
    if missing := [tool for tool in (*TOOLS, "debugfs") if shutil.which(tool) is None]:
        pytest.skip(f"{', '.join(missing)} is not installed; .ci/install-test-tools does that")
    packages = REPOSITORY / ".tools" / "images" / ".packages"
    packages.mkdir(parents=True, exist_ok=True)
    onefleet.images.mkdir(parents=True)
    (onefleet.folder / "data").chmod(0o700)
    (onefleet.images / ".packages").symlink_to(packages)  # so that they are fetched once for all test runs
    assert 'name = "micro"' in onefleet("image", "build", "micro")
    folder = onefleet.images / "micro"
    assert sorted(file.name for file in folder.iterdir()) == ["disk.qcow2", "image.json", "initrd", "vmlinuz"]
    assert "root=/dev/vda" in json.loads((folder / "image.json").read_text())["kernel_arguments"]
    assert list(packages.glob("*.deb"))
    assert list(onefleet.images.glob(".new-*")) == []
    assert "There is an image micro already" in onefleet("image", "build", "micro", code=1)
    # The command's own files are private, and a builder that inherited that would make a system nobody can use.
    raw = onefleet.folder / "micro.raw"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", folder / "disk.qcow2", raw], check=True)
    said = subprocess.run(["debugfs", "-R", "ls -l /", raw], capture_output=True, text=True, check=True).stdout
    modes = {line.split()[-1]: line.split()[1] for line in said.splitlines() if line.strip()}
    assert (modes["etc"], modes["usr"], modes["home"]) == ("40755", "40755", "40755")


# --- progress


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def shown(steps, *, is_terminal, name="debian-12-genericcloud-amd64-20260101.qcow2"):
    out, clock = io.StringIO(), Clock()
    progress = Progress("fetching", name, out, is_terminal=is_terminal, clock=clock)
    for second, (done, total) in enumerate(steps):
        clock.now = float(second)
        progress(done, total)
    progress.end()
    progress.end()
    return out.getvalue()


def test_on_a_terminal_one_line_is_redrawn_and_fits():
    said = shown([(100 * MIB, 400 * MIB), (150 * MIB, 400 * MIB), (400 * MIB, 400 * MIB)], is_terminal=True)
    first, second, last = said.removesuffix("\n").split("\r")[1:]
    assert {len(line) for line in (first, second, last)} == {79}
    assert second == "fetching debian-12-genericcloud-am...   37%  150/400 MiB  50.0 MiB/s  0:05 left"
    assert "100%  400/400 MiB" in last
    assert said.count("\n") == 1


def test_on_a_terminal_it_is_not_redrawn_more_often_than_anybody_can_see():
    out, clock = io.StringIO(), Clock()
    progress = Progress("fetching", "disk", out, is_terminal=True, clock=clock)
    for done in range(1000):
        progress(done, 1000)
    progress(1000, 1000)
    assert out.getvalue().count("\r") == 2


def test_elsewhere_there_is_a_line_every_tenth():
    steps = [(percent * MIB, 100 * MIB) for percent in range(101)]
    said = shown(steps, is_terminal=False, name="disk").splitlines()
    assert said == [f"fetching disk: {tenth}0% of 100 MiB" for tenth in range(1, 11)]


def test_what_has_no_known_size_is_told_by_what_has_come():
    assert shown([(50 * MIB, 0), (300 * MIB, 0)], is_terminal=False, name="disk") == "fetching disk: 300 MiB\n"
    assert "300 MiB  250.0 MiB/s" in shown([(50 * MIB, 0), (300 * MIB, 0)], is_terminal=True)
