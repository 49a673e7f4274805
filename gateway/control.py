"""The operator's verbs: carried out by the running gateway, which is asked over a socket, or in its absence directly.

A conversation is one line of JSON each way. Who may open the socket may do everything: it lies in the data directory,
which is closed to all but its owner.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import structlog

from core.accounts import Account, parse_network
from core.administration import DEFAULT_APPLICATION, Administration, KeyHolder
from core.clock import SystemClock
from core.errors import CoreError, InvalidRequest
from core.ids import AccountId
from gateway.config import Settings
from gateway.datadir import DataDirectory, DirectoryInUse
from gateway.trouble import Trouble

Arguments = Mapping[str, Any]
"""What a verb is told, as JSON: texts, lists of texts, or nothing."""

Document = Any
"""What a verb answers, as JSON."""

Verb = Callable[[Administration, Arguments], Awaitable[Document]]

SOCKET_FILE = "control.sock"
_LONGEST_PATH = 107  # of a Unix socket's address on Linux. Source: unix(7).
_LINE_BYTES = 64 * 1024
_ASKING_SECONDS, _WAITING_SECONDS, _PAUSE_SECONDS = 30.0, 5.0, 0.05


class Refused(Trouble):
    """A verb was not carried out; the text is for the operator."""


# --- the verbs


async def _add_account(administration: Administration, said: Arguments) -> Document:
    account = await administration.add_account(said["name"])
    return {"account_id": _spelled(account.id), "name": account.name}


async def _list_accounts(administration: Administration, _: Arguments) -> Document:
    return [_account(account) for account in await administration.accounts()]


async def _add_key(administration: Administration, said: Arguments) -> Document:
    networks = tuple(parse_network(text) for text in said.get("allow") or ())
    application = said.get("application") or DEFAULT_APPLICATION
    return _secret(await administration.add_key(_account_id(said["account"]), application, networks))


async def _list_keys(administration: Administration, said: Arguments) -> Document:
    account = said.get("account")
    return [_key(holder) for holder in await administration.keys(_account_id(account) if account else None)]


async def _renew_key(administration: Administration, said: Arguments) -> Document:
    return _secret(await administration.renew_key(said["access_key"]))


async def _disable_key(administration: Administration, said: Arguments) -> Document:
    return _key(await administration.set_key_enabled(said["access_key"], is_enabled=False))


async def _enable_key(administration: Administration, said: Arguments) -> Document:
    return _key(await administration.set_key_enabled(said["access_key"], is_enabled=True))


VERBS: Mapping[str, Verb] = {
    "account add": _add_account,
    "account list": _list_accounts,
    "key add": _add_key,
    "key list": _list_keys,
    "key renew": _renew_key,
    "key disable": _disable_key,
    "key enable": _enable_key,
}
"""Every verb by its words on the command line."""


def _spelled(account_id: AccountId) -> str:
    """Return an account id as EC2 writes owners: twelve digits, as text."""
    return f"{account_id:012d}"


def _account_id(text: object) -> AccountId:
    if not (digits := str(text)).isascii() or not digits.isdecimal():
        raise InvalidRequest("account", text, "an account's id, such as 100000000001 (see `onefleet account list`)")
    return AccountId(int(digits))


def _account(account: Account) -> Document:
    return {"account_id": _spelled(account.id), "name": account.name, "created_at": _moment(account.created_at)}


def _key(holder: KeyHolder) -> Document:
    return {
        "access_key": holder.key.access_key,
        "account_id": _spelled(holder.account.id),
        "account": holder.account.name,
        "application": holder.application.name,
        "allow": [str(network) for network in holder.application.networks],
        "is_enabled": holder.key.is_enabled and holder.application.is_enabled,
        "created_at": _moment(holder.key.created_at),
    }


def _secret(holder: KeyHolder) -> Document:
    return {"access_key": holder.key.access_key, "secret_key": holder.key.secret_key}


def _moment(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


# --- from the command line


def carry_out(settings: Settings, verb: str, arguments: Arguments) -> Document:
    """Return the verb's answer, from the gateway if it runs, else from the database itself.

    Raises:
        Refused, CoreError: it was not carried out.
        DirectoryInUse: whoever has the data directory does not answer.
        UnusableDataDirectory, IncompatibleDatabase: the data cannot be used.
    """
    folder = settings.server.data_dir
    deadline = time.monotonic() + _WAITING_SECONDS
    while True:
        try:
            with DataDirectory.open(folder, settings.storage.path) as directory:
                return asyncio.run(_alone(directory, verb, arguments))
        except DirectoryInUse:
            # Who has it may be starting or stopping, or be another of these commands.
            with suppress(FileNotFoundError, ConnectionRefusedError):
                return ask(folder, verb, arguments)
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


async def _alone(directory: DataDirectory, verb: str, arguments: Arguments) -> Document:
    from core.storage.sqlite import open_sqlite  # noqa: PLC0415  not needed to ask a running gateway

    clock = SystemClock()
    store = await open_sqlite(directory.database, directory.vault, clock)
    try:
        return await VERBS[verb](Administration(store, clock), arguments)
    finally:
        await store.close()


def ask(folder: Path, verb: str, arguments: Arguments) -> Document:
    """Return the verb's answer from the gateway that has this data directory.

    Raises:
        Refused: it was not carried out.
        FileNotFoundError, ConnectionRefusedError: no gateway listens there.
    """
    with socket.socket(socket.AF_UNIX) as connection, _address(folder) as address:
        connection.settimeout(_ASKING_SECONDS)
        connection.connect(address)
        connection.sendall(orjson.dumps({"verb": verb, "arguments": arguments}, option=orjson.OPT_APPEND_NEWLINE))
        with connection.makefile("rb") as lines:
            line = lines.readline()
    if not line:
        raise Refused("the gateway ended the conversation without an answer; its log tells why")
    reply = orjson.loads(line)
    if "refused" in reply:
        raise Refused(reply["refused"])
    return reply["answer"]


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """Yield a path for the socket that is short enough, whatever the folder's is."""
    path = str(folder / SOCKET_FILE)
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield path
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_FILE}"
    finally:
        os.close(descriptor)


# --- in the gateway


@asynccontextmanager
async def listening(folder: Path, administration: Administration) -> AsyncIterator[None]:
    """Answer what the command line asks for, until the block ends. The caller must have the data directory."""
    (folder / SOCKET_FILE).unlink(missing_ok=True)
    server = await asyncio.start_unix_server(_Conversation(administration).hold, sock=_bound(folder), limit=_LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        (folder / SOCKET_FILE).unlink(missing_ok=True)


def _bound(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(listener.fileno(), 0o600)  # before it has a name, so that there is no moment at which others may
        with _address(folder) as address:
            listener.bind(address)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class _Conversation:
    """The gateway's side of the socket."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._log = structlog.get_logger("control")

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and answer it."""
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                reply = await self._reply(await reader.readline())
                writer.write(orjson.dumps(reply, option=orjson.OPT_APPEND_NEWLINE))
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError) as error:  # ValueError: the line is over the limit
            self._log.warning("a command was not answered", error=str(error) or type(error).__name__)
        finally:
            writer.close()

    async def _reply(self, line: bytes) -> Document:
        try:
            asked = orjson.loads(line)
            name, arguments = asked["verb"], asked["arguments"]
            verb = VERBS[name]
        except (KeyError, TypeError, ValueError):
            return {"refused": "the running gateway does not know this command: it is of another version; restart it"}
        try:
            answer = await verb(self._administration, arguments)
        except CoreError as error:
            return {"refused": str(error)}
        self._log.info("command", verb=name)
        return {"answer": answer}
