"""deploy/Containerfile, as docs/service.md has an operator build it; no registry is asked for the Debian beneath."""

import os
import shutil
import subprocess

import pytest

from tests.docs.pages import blocks
from tests.end_to_end.commands import need_command
from tests.release.built import built
from tests.running import REPOSITORY

BASE = "docker.io/library/debian:12-slim"

# Where nothing but the container is on the network. Its end is that of `podman stop`.
SERVE = """
ip link set lo up
buildah run "$MADE" -- onefleet serve &
curl --silent --fail --retry 50 --retry-delay 1 --retry-connrefused http://127.0.0.1:8080/readyz
kill "$(buildah run "$MADE" -- cat /var/lib/onefleet/lock)"
wait $!
"""


@pytest.fixture
def shell(tmp_path):
    """Runs a script in a folder with what `make dist` leaves, and images of its own."""
    for command in ("buildah", "mmdebstrap"):
        need_command(command, command)
    source = tmp_path / "source"
    shutil.copytree(REPOSITORY / "deploy", source / "deploy")
    shutil.copytree(built(), source / "dist")
    shutil.copy(REPOSITORY / "config.toml", source)
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/store"\nrunroot = "{tmp_path}/run"\n'
    )
    own = {"CONTAINERS_STORAGE_CONF": str(tmp_path / "storage.conf"), "BUILDAH_ISOLATION": "chroot"}

    def run(script, *before, **environ):
        words = [*before, "bash", "-eu", "-o", "pipefail", "-c", script]
        done = subprocess.run(
            words, cwd=source, env=os.environ | own | environ, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    yield run
    run("buildah rm --all; buildah rmi --all --force")


def test_the_container_serves_as_nobody_in_particular_and_keeps_its_data(shell, tmp_path):
    shell(f"mmdebstrap --quiet --variant=minbase bookworm {tmp_path}/debian.tar")
    debian = shell("buildah from scratch")
    shell(f"buildah add {debian} {tmp_path}/debian.tar / && buildah commit {debian} {BASE}")
    [build] = [block.text for block in blocks(REPOSITORY / "docs/service.md") if block.note.endswith(": container")]
    shell(build)
    made = shell("buildah from --pull-never localhost/onefleet")
    assert shell(f"buildah run {made} -- id -un") == "onefleet"
    first, second = (shell(SERVE, "unshare", "--net", MADE=made) for _ in range(2))
    assert "access key" in first
    assert "access key" not in second
