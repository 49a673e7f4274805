import gzip
import json
import lzma
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.compute.qemu.building import packages
from core.compute.qemu.building.initrd import a_file, a_folder, archive, load_order
from core.compute.qemu.building.workshop import BuildFailed, appearing, demand, run
from core.compute.qemu.seed import seed
from core.compute.site import ImageFiles
from core.ports import LaunchSpec
from tests.builders import a_launch_spec
from tests.ssh import Login, new_key

PATIENCE_SECONDS = 300
PASSWORD = "it's $ecret"


# --- a folder that appears whole


def test_a_build_that_succeeds_leaves_its_folder_alone(tmp_path):
    with appearing(tmp_path / "images" / "new") as draft:
        (draft / "disk").write_text("x")
    assert [path.name for path in (tmp_path / "images").rglob("*")] == ["new", "disk"]


def test_a_build_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(BuildFailed, match="ended with 1"), appearing(tmp_path / "new") as draft:
        run(["sh", "-c", 'echo x >"$0/disk"; exit 1', draft])
    assert list(tmp_path.iterdir()) == []


def test_a_build_does_not_touch_what_machines_may_live_on(tmp_path):
    (tmp_path / "disk").write_text("x")
    with pytest.raises(BuildFailed, match="exists already"), appearing(tmp_path):
        pytest.fail("it was built")
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


def test_a_disk_that_is_full_fails_the_build(tmp_path):
    with pytest.raises(BuildFailed, match="No space left on device"), appearing(tmp_path / "new"):
        Path("/dev/full").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_missing_commands_are_told_with_what_installs_them():
    with pytest.raises(BuildFailed) as caught:
        demand({"sh": "dash", "no-such-command": "some-package", "nor-this": "some-package"})
    assert "no-such-command, nor-this must be installed" in str(caught.value)
    assert str(caught.value).endswith("sudo apt-get install some-package")


def test_the_last_words_of_a_command_that_failed_are_told():
    with pytest.raises(BuildFailed, match=r"sh ended with 3: no such luck$"):
        run(["sh", "-c", "echo no such luck >&2; exit 3"])


def test_a_package_that_apt_does_not_know_is_told_with_what_may_help(tmp_path):
    if shutil.which("apt-get") is None:
        pytest.skip("apt-get is not installed")
    with pytest.raises(BuildFailed, match=r"(?s)no-such-package-here.*sudo apt-get update$"):
        packages.fetch_packages(["no-such-package-here"], tmp_path)


# --- the archive that the kernel unpacks


def test_modules_come_after_what_they_need(tmp_path):
    for name, needs in {"net": "fail_over,ring", "fail_over": "", "ring": "virtio", "virtio": "", "other": ""}.items():
        (tmp_path / f"{name}.ko").write_bytes(b"\x7fELF\0depends=" + needs.encode() + b"\0name=x\0")
    assert list(load_order(tmp_path, ["net", "built-in", "virtio"])) == ["fail-over", "virtio", "ring", "net"]


def test_compressed_modules_are_unpacked(tmp_path):
    (tmp_path / "virtio.ko.xz").write_bytes(lzma.compress(b"\x7fELF"))
    assert load_order(tmp_path, ["virtio"]) == {"virtio": b"\x7fELF"}


def test_an_archive_is_the_same_each_time_and_ends_as_the_kernel_wants_it():
    entries = [a_folder("dev"), a_file("init", b"#!/bin/sh\n")]
    assert archive(entries) == archive(entries)
    plain = gzip.decompress(archive(entries))
    assert plain.count(b"070701") == 3
    assert b"TRAILER!!!" in plain
    assert len(plain) % 4 == 0


# --- the micro guest


@dataclass(frozen=True)
class Guest:
    """A machine that was started for a test, in a folder of its own."""

    folder: Path
    login: Login

    @property
    def root(self) -> Login:
        return replace(self.login, user="root")

    def console(self) -> str:
        return (self.folder / "serial.log").read_text(errors="replace")

    def until(self, condition: str) -> None:
        """Return once a shell's condition holds in the guest."""
        waits = f"for i in $(seq 50); do {condition} && echo yes && exit; sleep 0.2; done"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.login.run(waits) != "yes":
            assert time.monotonic() < deadline, f"it never held that {condition}"

    def ends(self) -> str:
        """Return the state in which QEMU holds the guest, once that runs no more."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (status := self.monitor("query-status")["status"]) == "running" and time.monotonic() < deadline:
            time.sleep(0.1)
        return status

    def monitor(self, command: str, **arguments: str) -> dict:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            with socket.socket(socket.AF_UNIX) as plug:
                plug.connect(f"/proc/self/fd/{folder}/qmp.sock")
                with plug.makefile("rw") as lines:
                    lines.readline()
                    ask(lines, "qmp_capabilities")
                    return ask(lines, command, **arguments)
        finally:
            os.close(folder)


def ask(lines, command, **arguments):
    lines.write(json.dumps({"execute": command, "arguments": arguments}))
    lines.flush()
    while "return" not in (answer := json.loads(lines.readline())):
        assert "error" not in answer, answer
    return answer["return"]


@contextmanager
def booted(image: ImageFiles, folder: Path, spec: LaunchSpec, answers: str = ""):
    """Start a machine, which hears `answers`, a shell script, at its metadata address."""
    if missing := [command for command in ("qemu-system-x86_64", "ssh", "ssh-keygen") if not shutil.which(command)]:
        pytest.skip(f"{', '.join(missing)} is not installed; .ci/install-test-tools does that")
    folder.mkdir()
    spec = replace(spec, ssh_keys=(new_key(folder / "key") + ' "of" \\ mine,', *spec.ssh_keys))
    (folder / "seed.iso").write_bytes(seed(spec, relay=True))
    (folder / "answers").write_text(answers)
    overlay = ["-f", "qcow2", "-F", "qcow2", "-b", image.disk, "disk.qcow2", f"{spec.disk_gib}G"]
    run(["qemu-img", "create", *overlay], cwd=folder)
    with subprocess.Popen([str(word) for word in command(image, spec)], cwd=folder) as qemu:
        try:
            yield Guest(folder, Login("127.0.0.1", ssh_port(folder, qemu), folder / "key"))
        finally:
            qemu.kill()


def command(image, spec):
    mac, asks = spec.hardware_address, "guestfwd=tcp:169.254.169.254:80-cmd:sh answers"
    return [
        *("qemu-system-x86_64", "-accel", "tcg,tb-size=64", "-m", f"{spec.memory_mib}M", "-nodefaults"),
        *("-no-user-config", "-display", "none", "-vga", "std", "-serial", "file:serial.log"),
        *("-kernel", image.kernel, "-initrd", image.initrd, "-append", image.kernel_arguments),
        *("-drive", "file=disk.qcow2,if=virtio", "-drive", "file=seed.iso,format=raw,if=virtio,readonly=on"),
        *("-netdev", f"user,id=n0,restrict=on,net=10.1.0.0/16,dhcpstart={spec.private_address}"),
        *("-device", f"virtio-net-pci,netdev=n0,romfile=,mac={mac}"),
        *("-netdev", f"user,id=n1,restrict=on,net=169.254.0.0/16,host=169.254.0.2,dhcpstart=169.254.0.50,{asks}"),
        *("-device", f"virtio-net-pci,netdev=n1,romfile=,mac=06{mac[2:]}", "-device", "virtio-rng-pci"),
        *("-device", "pvpanic", "-action", "shutdown=pause,panic=pause", "-qmp", "unix:qmp.sock,server=on,wait=off"),
    ]


def ssh_port(folder, qemu):
    """Let a port that the host has free lead to the guest's ssh."""
    guest = Guest(folder, Login("", 0, folder / "key"))
    while True:
        try:
            guest.monitor("human-monitor-command", **{"command-line": "hostfwd_add n0 tcp:127.0.0.1:0-:22"})
            break
        except (FileNotFoundError, ConnectionRefusedError):
            assert qemu.poll() is None, "QEMU did not start"
            time.sleep(0.01)
    shown = guest.monitor("human-monitor-command", **{"command-line": "info usernet"})
    return int(re.search(r"HOST_FORWARD\S*\s+\d+\s+127\.0\.0\.1\s+(\d+)", shown)[1])


RELAY = """
read -r method path rest
case $path in
/onefleet/file) [ -e tried ] || { : >tried; printf 'HTTP/1.0 502 Not yet\\r\\n\\r\\n'; exit; }; answer='the file' ;;
/onefleet/script) answer='#!/bin/sh
echo "the script runs for $(id -un)"; echo once >>/root/ran; sleep 1000 & exit 3' ;;
esac
printf 'HTTP/1.0 200 OK\\r\\nContent-Length: %s\\r\\n\\r\\n%s' "${#answer}" "$answer"
"""

FULL = a_launch_spec(
    5,
    hostname="web-1",
    memory_mib=256,
    disk_gib=1,
    default_user="maria",
    password=PASSWORD,
    file_url="https://example.org/some%20file",
    script_url="https://example.org/script",
    user_data=b"#!/bin/sh\ncat /root/ran >/home/renter/ran-before\n: >/home/renter/ready\n",
)
PLAIN = a_launch_spec(
    6, memory_mib=256, disk_gib=2, user_data=b"#!/bin/sh\necho boot >>/home/renter/boots\necho words of the renter\n"
)


@pytest.fixture(scope="module")
def full(micro_image, tmp_path_factory):
    """A machine that was promised all that there is, once it has got it."""
    with booted(micro_image, tmp_path_factory.mktemp("full") / "guest", FULL, RELAY) as guest:
        guest.until("[ -e ready ]")
        yield guest


@pytest.fixture(scope="module")
def plain(micro_image, tmp_path_factory):
    """A machine that was promised nothing, once it is up."""
    with booted(micro_image, tmp_path_factory.mktemp("plain") / "guest", PLAIN) as guest:
        guest.until("[ -e boots ]")
        yield guest


def test_a_machine_makes_the_default_user_that_its_image_lacks_and_lets_it_in(full):
    maria = replace(full.login, user="maria")
    assert maria.run("id -un; pwd") == "maria\n/home/maria"


def test_a_file_is_in_the_home_of_the_default_user_though_it_came_late(full):
    assert full.root.run("cat '/home/maria/some file'; stat -c %U '/home/maria/some file'") == "the file" + "maria"


def test_a_script_runs_once_as_root_and_what_it_leaves_behind_keeps_nobody_waiting(full):
    assert full.root.run("cat /root/ran /var/log/onefleet-script.log") == "once\nthe script runs for root"
    assert "the script runs for root" in full.console()
    assert "onefleet: the script ended with 3" in full.console()


def test_what_was_promised_comes_before_what_the_renter_wants(full):
    assert full.login.run("cat ran-before") == "once"


def log_in(guest, password):
    """Whether root is let in by a password alone."""
    (guest.folder / "password").write_text(f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(password)}\n")
    (guest.folder / "password").chmod(0o700)
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "PreferredAuthentications=password")
    words = ["ssh", "-F", "none", *(f"-o{option}" for option in options), "-p", str(guest.login.port), "root@127.0.0.1"]
    asked = {"SSH_ASKPASS": str(guest.folder / "password"), "SSH_ASKPASS_REQUIRE": "force"}
    done = subprocess.run([*words, "true"], env=os.environ | asked, capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def test_root_is_let_in_by_its_password(full):
    assert log_in(full, PASSWORD)
    assert not log_in(full, "another")


def test_nobody_is_let_in_by_a_password_that_was_not_asked_for(plain):
    assert not log_in(plain, "")
    assert plain.root.run("grep -c ':[*]:' /etc/shadow") == "3"


def test_a_machine_has_the_name_the_size_and_the_networks_that_it_was_told(full):
    told = "hostname; /sbin/ip -4 -o address | grep -o 'inet [^ ]*'; /sbin/ip route | grep -c default; true"
    assert full.login.run(told) == "web-1\ninet 127.0.0.1/8\ninet 10.1.0.5/16\ninet 169.254.0.50/16\n0"
    assert int(full.login.run("df -m / | awk 'END { print $2 }'")) > 900


def test_host_keys_are_told_on_the_console_as_cloud_init_tells_them(plain):
    told = re.search(
        r"-----BEGIN SSH HOST KEY KEYS-----\s+ssh-ed25519 (\S+) .*\s+-----END SSH HOST KEY KEYS-----", plain.console()
    )
    command = ["ssh-keyscan", "-t", "ed25519", "-p", str(plain.login.port), "127.0.0.1"]
    assert told[1] in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_seed_is_for_root_alone(plain):
    assert plain.login.run("cat /run/onefleet/seed/user-data 2>&1 || true").endswith("Permission denied")


def test_a_machine_that_starts_again_does_not_run_its_user_data_again(plain):
    key = plain.login.run("cat /proc/sys/kernel/random/boot_id")
    plain.root.run("reboot")
    plain.until(f"[ $(cat /proc/sys/kernel/random/boot_id) != {key} ]")
    plain.until("[ -e /run/dropbear.pid ]")
    assert plain.login.run("cat boots") == "boot"
    assert plain.console().count("words of the renter") == 1
    assert plain.console().count("BEGIN SSH HOST KEY KEYS") == 1


def test_the_power_button_shuts_a_machine_down(plain):
    plain.login.run("true")
    plain.monitor("system_powerdown")
    assert plain.ends() == "shutdown"


def test_a_machine_that_panics_is_seen_by_the_host(full):
    full.root.run("(sleep 0.5; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &")
    assert full.ends() == "guest-panicked"


# --- Debian, which takes minutes


def test_a_machine_of_debian_becomes_by_cloud_init_what_it_was_told(debian_image, tmp_path):
    spec = replace(FULL, memory_mib=768, disk_gib=4)
    with booted(debian_image, tmp_path / "guest", spec, RELAY) as guest:
        guest.login.run("true", patience_seconds=PATIENCE_SECONDS)
        guest.until("[ -e ready ]")
        maria = replace(guest.login, user="maria")
        assert maria.run("sudo -n id -un; hostname; cat 'some file'") == "root\nweb-1\nthe file"
        assert guest.login.run("sudo -n cat /root/ran ran-before") == "once\nonce"
        assert "inet 10.1.0.5/16" in maria.run("ip -4 -o address")
        assert maria.run("ip route | grep -c default; true") == "0"
        assert int(maria.run("df -m / | awk 'END { print $2 }'")) > 3600
        assert maria.run("systemctl --failed --plain --no-legend") == ""
        assert "BEGIN SSH HOST KEY KEYS" in guest.console()
        assert "onefleet: the script ended with 3" in guest.console()
        assert log_in(guest, PASSWORD)
        guest.monitor("system_powerdown")
        assert guest.ends() == "shutdown"
