"""OpenSSH's own client, as customers use it."""

import asyncio
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_UNASKED = (
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"),
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes"),
    *("-F", "none"),
)
_CANNOT_CONNECT = 255
_PATIENCE_SECONDS = 120.0
_AGAIN_SECONDS = 0.25


@dataclass(frozen=True)
class Login:
    """A way into a machine; `key` is the file of a private key."""

    host: str
    port: int
    key: Path
    user: str = "renter"

    def run(self, command: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> str:
        """Return what a command prints in the machine, once that lets us in; it must succeed."""
        deadline = time.monotonic() + patience_seconds
        while True:
            done = subprocess.run(self.command(command), capture_output=True, text=True, timeout=60, check=False)
            if done.returncode != _CANNOT_CONNECT or time.monotonic() > deadline:
                break
            time.sleep(_AGAIN_SECONDS)
        assert done.returncode == 0, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    async def does(self, command: str) -> str:
        """As `run`, for tests that have an event loop."""
        return await asyncio.to_thread(self.run, command)

    def is_let_in(self) -> bool:
        """Whether it lets us in now."""
        return subprocess.run(self.command("true"), capture_output=True, timeout=60, check=False).returncode == 0

    def command(self, command: str) -> Sequence[str]:
        return ["ssh", *_UNASKED, "-i", str(self.key), "-p", str(self.port), f"{self.user}@{self.host}", command]


def new_key(file: Path) -> str:
    """Make a key pair; return the public key's line. The private one is in the file."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(file)], check=True)
    return file.with_suffix(".pub").read_text().strip()
