"""Hosts of a test's own: network namespaces, joined by wires, that nothing outside of the test can see.

A namespace lives as long as a descriptor of it. What a thread makes while it is inside one, a socket or a process, stays
in it: so a test opens the sockets of many hosts.
"""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NEW_NETWORK = 0x40000000
_C = ctypes.CDLL(None, use_errno=True)
_OWN = "/proc/thread-self/ns/net"

SHORT_SECONDS = 0.3
"""How long a test waits for what is not to come."""


def need_namespaces() -> None:
    """Skip the test where it cannot have hosts of its own, telling why; in CI a skipped test is a failure."""
    if os.geteuid() != 0:
        pytest.skip("only root can make network namespaces")
    for command, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(command) is None:
            pytest.skip(f"there is no command {command}; on Debian: apt-get install {package}")


class Host:
    """A host with a network of its own, with nothing but a loopback interface."""

    def __init__(self) -> None:
        before = os.open(_OWN, os.O_RDONLY)
        try:
            _checked(_C.unshare(_NEW_NETWORK))
            self._namespace = os.open(_OWN, os.O_RDONLY)
            self.run("link set lo up")
        finally:
            _checked(_C.setns(before, _NEW_NETWORK))
            os.close(before)

    @property
    def path(self) -> str:
        """The namespace's name for `ip`."""
        return f"/proc/{os.getpid()}/fd/{self._namespace}"

    def close(self) -> None:
        """Let go of the host; it is gone when all that is in it is."""
        os.close(self._namespace)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be on this host for the length of the block."""
        before = os.open(_OWN, os.O_RDONLY)
        try:
            _checked(_C.setns(self._namespace, _NEW_NETWORK))
            yield
        finally:
            _checked(_C.setns(before, _NEW_NETWORK))
            os.close(before)

    def ip(self, *commands: str) -> None:
        """Run commands of `ip` here."""
        with self.inside():
            self.run(*commands)

    @staticmethod
    def run(*commands: str) -> None:
        """Run commands of `ip` where the thread is."""
        subprocess.run(["ip", "-batch", "-"], input="\n".join([*commands, ""]), text=True, check=True)

    def wire(self, name: str, other: "Host", other_name: str, *options: str) -> None:
        """Lay a wire to another host; the options are those of the other's end."""
        self.ip(f"link add {name} type veth peer name {other_name} {' '.join(options)} netns {other.path}")
        self.ip(f"link set {name} up")
        other.ip(f"link set {other_name} up")

    def switch(self, name: str, value: str) -> None:
        """Set a switch of the kernel's, such as net/ipv4/ip_forward."""
        with self.inside():
            Path("/proc/sys", name).write_text(value)

    def open_socket(self, address: tuple[str, int] | None = None, *, is_udp: bool = False) -> socket.socket:
        """Return a socket of this host, which may be bound to an address."""
        with self.inside():
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM)
        made.settimeout(SHORT_SECONDS)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address is not None:
            made.bind(address)
        return made

    @contextmanager
    def listening(self, port: int, address: str = "0.0.0.0") -> Iterator[socket.socket]:
        """Listen on a TCP port."""
        with self.open_socket((address, port)) as listener:
            listener.listen()
            yield listener

    def reaches(self, address: str, port: int, *, source: str = "") -> bool:
        """Whether something listens there over TCP that lets us in."""
        with self.open_socket((source, 0) if source else None) as caller:
            try:
                caller.connect((address, port))
            except (TimeoutError, OSError):
                return False
            return True


def _checked(code: int) -> None:
    if code:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
