"""Commands and printed documents that tests try out."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.running import REPOSITORY

REFERENCE = REPOSITORY.parent / "shared" / "reference"

TOOLS = REPOSITORY / ".tools"


def need_command(command: str, package: str) -> None:
    """Skip the test where a command is missing, telling which; in CI a skipped test is a failure."""
    if shutil.which(command) is None:
        pytest.skip(f"there is no command {command}; on Debian: apt-get install {package}")


def need_php_oauth() -> None:
    """Skip the test where there is no PHP with PECL's OAuth, as `need_command` does."""
    need_command("php", "php-cli php-oauth")
    if subprocess.run(["php", "-r", "exit((int) !class_exists('OAuth'));"], check=False).returncode:
        pytest.skip("PHP has no extension OAuth; on Debian: apt-get install php-oauth")


def need_tool(name: str) -> Path:
    """Return what .ci/install-test-tools put into .tools, or skip the test, telling what is missing."""
    if not (TOOLS / name).exists():
        pytest.skip(f"there is no {TOOLS / name}; run .ci/install-test-tools, which tells why")
    return TOOLS / name


def terraform_settings() -> dict[str, str]:
    """Return the environment in which Terraform finds its AWS provider, or skip the test, as `need_command` does."""
    need_command("terraform", "terraform, from HashiCorp's own packages")
    own = os.environ.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc"
    found = next((file for file in (Path(own), TOOLS / "terraformrc") if file.is_file()), None)
    if found is None:
        pytest.skip("terraform has no AWS provider here; run .ci/install-test-tools, which tells why")
    return {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": str(found), "TF_IN_AUTOMATION": "1"}


def run(command: Sequence[str], *, code: int = 0, stdin: str = "", seconds: float = 60, **environ: str) -> str:
    """Return what a command prints, checked to end with the exit code.

    It has the commands of our own virtual environment, and of the outer world's settings none that could lead it astray.
    """
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            env=_plain(home) | environ,
        )
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + (done.stderr if code else "")


def _plain(home: str) -> dict[str, str]:
    # sys.executable is .venv/bin/python: beside it are `aws` and `python3`.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": home, "LANG": "C.UTF-8", "AWS_EC2_METADATA_DISABLED": "true"}


def printed_in(file: Path, pattern: str) -> list[str]:
    """Return the passages of a document that the group of a regular expression finds.

    Skips the test where the document is absent, telling so; in CI a skipped test is a failure.
    """
    if not file.exists():
        pytest.skip(f"there is no {file}")
    return re.findall(pattern, file.read_text(), re.MULTILINE | re.DOTALL)
