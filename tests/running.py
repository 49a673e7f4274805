"""A real gateway in a process of its own, as its operator would start it: on real files, over a real socket."""

import json
import os
import signal
import ssl
import subprocess
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gateway import control
from tests import forked

REPOSITORY = Path(__file__).resolve().parent.parent
DEADLINE_SECONDS = 20.0
_PAUSE_SECONDS = 0.01

Document = dict[str, Any]


@dataclass(frozen=True)
class Keys:
    """An API key and the account that it belongs to."""

    account_id: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class Answer:
    """What came back for a request: the status is not judged."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def a_config(folder: Path, **sections: Any) -> Document:
    """Return the repository's config.toml, made quick and moved into the folder, with the given sections laid over it.

    A table is laid over the table of its name key by key; anything else replaces what was there; None removes it.
    """
    document = tomllib.loads((REPOSITORY / "config.toml").read_text())
    quick: Document = {
        "server": {"listen": "127.0.0.1:0", "data_dir": str(folder / "data")},
        "compute": {"simulated": {"boot_seconds": 0.05, "stop_seconds": 0.05}},
        "log": {"format": "json"},
    }
    return _laid_over(_laid_over(document, quick), sections)


def write_config(file: Path, document: Document) -> Path:
    """Write the document as TOML; return the file."""
    file.write_text("".join(f"{_key(name)} = {_toml(value)}\n" for name, value in document.items()))
    return file


def eventually(found: Callable[[], Any], *, seconds: float = DEADLINE_SECONDS, what: str = "it") -> Any:
    """Return the first true result of `found`, asked again and again."""
    deadline = time.monotonic() + seconds
    while True:
        if result := found():
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} seconds")
        time.sleep(_PAUSE_SECONDS)


class RunningGateway:
    """`onefleet serve` in the background, with its configuration and data in the folder.

    `endpoint` is where it answers; `keys` are those that its first start made. It keeps its port when restarted.
    `program` is the command; `launcher` are words before it, and `descriptors` open files, that a service manager starts
    it with.
    """

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.data = folder / "data"
        self.environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        self.program: Sequence[str] = forked.PROGRAM
        self.launcher: Sequence[str] = ()
        self.descriptors: Sequence[int] = ()
        self.endpoint, self.welcome = "", ""
        self._keys: Keys | None = None
        self._document = a_config(folder, **sections)
        self._process: subprocess.Popen[bytes] | None = None
        self.configure()

    # --- its life

    def configure(self, **sections: Any) -> None:
        """Change the configuration; it counts from the next start."""
        self._document = _laid_over(self._document, sections)
        write_config(self.config, self._document)

    def start(self, *, is_ready: bool = True) -> Self:
        """Start it and return once it is ready, or else once it listens."""
        log_size = self._size("stdout")
        with (self.folder / "stdout").open("ab") as out, (self.folder / "stderr").open("ab") as err:
            self._process = subprocess.Popen(
                [*self.launcher, *self._command("serve")],
                stdout=out,
                stderr=err,
                env=self.environ,
                pass_fds=self.descriptors,
            )
        text = eventually(lambda: self._greeting(log_size), what="the start of the gateway")
        self.endpoint = _after(text, " listens on " if " listens on " in text else " answers at ")
        if "access key  " in text:
            self._keys = Keys(
                _after(text, '"first" (')[:12], _after(text, "access key  "), _after(text, "secret key  ")
            )
            self.welcome = text
        self.configure(server={"listen": self.endpoint.split("//", 1)[1]})
        if is_ready:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Return once /readyz says so."""
        eventually(lambda: self.get("/readyz").status == 200, what="readiness")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._running().send_signal(number)

    def stop(self) -> int:
        """Ask it to stop, as a service manager does; return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it without a warning, as a power cut does."""
        self._running().kill()
        self.wait()

    def wait(self) -> int:
        """Return its exit code once it has ended."""
        code = self._running().wait(DEADLINE_SECONDS)
        self._process = None
        return code

    def restart(self) -> Self:
        """Stop it if it runs, and start it again."""
        if self.is_running:
            self.stop()
        return self.start()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._running().pid

    # --- its keys

    @property
    def keys(self) -> Keys:
        """The keys of the account that the first start made."""
        assert self._keys is not None, "the gateway has never been started on an empty data directory"
        return self._keys

    def new_keys(self, name: str = "customer") -> Keys:
        """Return the keys of a new account, made through the running gateway."""
        account = control.ask(self.data, "account add", {"name": name})
        key = control.ask(self.data, "key add", {"account": account["account_id"]})
        return Keys(account["account_id"], key["access_key"], key["secret_key"])

    def cli(
        self, *words: str, code: int | None = 0, timeout: float = DEADLINE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Return the outcome of a command, checked to end with the exit code unless that is None."""
        command = self._command(*words)
        done = forked.outcome(command, environ=self.environ, seconds=timeout)
        assert code is None or done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def cli_json(self, *words: str) -> Any:
        """Return what a command says with --json."""
        return json.loads(self.cli(*words, "--json").stdout)

    # --- what can be seen of it

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a GET; status 0 if nobody answers."""
        return self.request("GET", path, headers=headers)

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer to a request; status 0 if nobody answers."""
        asked = urllib.request.Request(self.endpoint + path, body, dict(headers or {}), method=method)
        try:
            with urllib.request.urlopen(asked, timeout=DEADLINE_SECONDS, context=self._tls()) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())
        except (urllib.error.URLError, ConnectionError) as error:
            return Answer(0, {}, str(error).encode())

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric; 0 if there is none with these labels."""
        told = ",".join(f'{label}="{labels[label]}"' for label in sorted(labels))
        start = f"{name}{{{told}}} " if told else f"{name} "
        lines = self.get("/metrics").text.splitlines()
        return next((float(line.removeprefix(start)) for line in lines if line.startswith(start)), 0.0)

    def log(self, **expected: Any) -> Sequence[Document]:
        """Return the log lines so far that have all of these values."""
        lines = [json.loads(line) for line in (self.folder / "stderr").read_text().splitlines() if line[:1] == "{"]
        return [
            line for line in lines if expected.items() <= {key: _plain(value) for key, value in line.items()}.items()
        ]

    def wait_for_log(self, **expected: Any) -> Document:
        """Return the first log line that has all of these values, once there is one."""
        found: Document = eventually(lambda: self.log(**expected), what=f"a log line with {expected}")[0]
        return found

    @property
    def stderr(self) -> str:
        """Everything that it has logged or complained about."""
        return (self.folder / "stderr").read_text()

    # --- how it is done

    def __enter__(self) -> Self:
        return self if self.is_running else self.start()

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            self.kill()

    def _command(self, *words: str) -> list[str]:
        return [*self.program, *words, "--config", str(self.config)]

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "the gateway does not run"
        return self._process

    def _size(self, name: str) -> int:
        file = self.folder / name
        return file.stat().st_size if file.exists() else 0

    def _greeting(self, start: int) -> str:
        code = self._running().poll()
        assert code is None, f"the gateway ended with exit code {code}:\n{self.stderr}"
        text = (self.folder / "stdout").read_bytes()[start:].decode()
        return text if "Onefleet answers at " in text else ""

    def _tls(self) -> ssl.SSLContext | None:
        tls = self._document["server"].get("tls")
        return ssl.create_default_context(cafile=tls["certificate"]) if tls else None


def _laid_over(below: Document, above: Mapping[str, Any]) -> Document:
    result = deepcopy(below)
    for name, value in above.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            before = result.get(name)
            result[name] = _laid_over(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _key(name: str) -> str:
    return json.dumps(name)


def _after(text: str, mark: str) -> str:
    return text.split(mark, 1)[1].split(maxsplit=1)[0]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)
