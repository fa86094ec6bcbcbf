"""A network of its own for real nodes: namespaces joined by a router, made and removed by the test.

Each node lives in a namespace with one link to the router's namespace; endpoints and name servers
have addresses on the router's loopback. A link is cut by an unreachable route, so one node can lose
one address while the others see it; packets one way are dropped by a rule of the router, silently, as
a broken line does. Nothing leaves the namespaces.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
PREFIX = "10.99"

T = TypeVar("T")


def why_not() -> str | None:
    """Return why no lab can be made on this machine, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "the program ip (iproute2) is not installed"
    probe = f"qdns-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], check=False, capture_output=True, text=True)
    if made.returncode != 0:
        return f"network namespaces cannot be made here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Lab:
    """The namespaces of one test: a router and ``nodes`` machines, numbered from 1."""

    def __init__(self, nodes: int) -> None:
        self._stem = f"qdns-{os.getpid()}-{secrets.token_hex(3)}"
        self.nodes = nodes
        self.router = f"{self._stem}-r"

    def namespace(self, number: int) -> str:
        """Return the name of a machine's namespace."""
        return f"{self._stem}-{number}"

    @staticmethod
    def address(number: int) -> str:
        """Return the address of a machine."""
        return f"{PREFIX}.{number}.2"

    @staticmethod
    def extra(number: int) -> str:
        """Return an address on the router, for endpoints and servers."""
        return f"{PREFIX}.100.{number}"

    def start(self) -> None:
        """Make the namespaces, links and routes."""
        _ip("netns", "add", self.router)
        _ip("-n", self.router, "link", "set", "lo", "up")
        for number in range(1, 10):
            _ip("-n", self.router, "addr", "add", f"{self.extra(number)}/32", "dev", "lo")
        self.inside(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
        for number in range(1, self.nodes + 1):
            self._join(number)

    def _join(self, number: int) -> None:
        name = self.namespace(number)
        inner, outer = f"v{number}", f"r{number}"
        _ip("netns", "add", name)
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", self.router, "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
        _ip("-n", self.router, "addr", "add", f"{PREFIX}.{number}.1/24", "dev", outer)
        _ip("-n", self.router, "link", "set", outer, "up")
        _ip("-n", name, "addr", "add", f"{self.address(number)}/24", "dev", inner)
        _ip("-n", name, "link", "set", inner, "up")
        _ip("-n", name, "route", "add", "default", "via", f"{PREFIX}.{number}.1")

    def stop(self) -> None:
        """Remove the namespaces; links and routes go with them."""
        for name in (self.router, *(self.namespace(number) for number in range(1, self.nodes + 1))):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def cut(self, number: int, address: str) -> None:
        """Make an address unreachable from one machine."""
        _ip("-n", self.namespace(number), "route", "add", "unreachable", f"{address}/32")

    def mend(self, number: int, address: str) -> None:
        """Undo ``cut``."""
        _ip("-n", self.namespace(number), "route", "del", "unreachable", f"{address}/32")

    def split(self, side: set[int]) -> None:
        """Let the machines of ``side`` and the others reach each other no more."""
        for one in sorted(side):
            for other in sorted(set(range(1, self.nodes + 1)) - side):
                self.cut(one, self.address(other))
                self.cut(other, self.address(one))

    def join(self, side: set[int]) -> None:
        """Undo ``split``."""
        for one in sorted(side):
            for other in sorted(set(range(1, self.nodes + 1)) - side):
                self.mend(one, self.address(other))
                self.mend(other, self.address(one))

    def drop(self, source: int, target: int) -> None:
        """Drop what one machine sends to another; nobody is told, and the other direction goes on."""
        _ip("-n", self.router, "rule", "add", *self._way(source, target))

    def carry(self, source: int, target: int) -> None:
        """Undo ``drop``."""
        _ip("-n", self.router, "rule", "del", *self._way(source, target))

    def silence(self, number: int, address: str) -> None:
        """Drop what an address of the router answers one machine: to it, nobody is there and nobody says so."""
        _ip("-n", self.router, "rule", "add", *self._reply(number, address))

    def unsilence(self, number: int, address: str) -> None:
        """Undo ``silence``."""
        _ip("-n", self.router, "rule", "del", *self._reply(number, address))

    def isolate(self, number: int) -> None:
        """Drop all between one machine and the others, silently."""
        for source, target in self._ways(number):
            self.drop(source, target)

    def rejoin(self, number: int) -> None:
        """Undo ``isolate``."""
        for source, target in self._ways(number):
            self.carry(source, target)

    def _ways(self, number: int) -> list[tuple[int, int]]:
        others = [other for other in range(1, self.nodes + 1) if other != number]
        return [(number, other) for other in others] + [(other, number) for other in others]

    def _way(self, source: int, target: int) -> tuple[str, ...]:
        return ("from", self.address(source), "to", self.address(target), "blackhole")

    def _reply(self, number: int, address: str) -> tuple[str, ...]:
        return ("from", address, "to", self.address(number), "blackhole")

    def command(self, number: int, *words: str) -> list[str]:
        """Return the words that run a program on a machine."""
        return ["ip", "netns", "exec", self.namespace(number), *words]

    def inside(self, act: Callable[[], T], namespace: str | None = None) -> T:
        """Call ``act`` with this thread in the router's namespace; its sockets stay there."""
        with self.entered(namespace):
            return act()

    @contextlib.contextmanager
    def entered(self, namespace: str | None = None) -> Iterator[None]:
        """Move this thread into the router's (or another) namespace for a while."""
        libc = ctypes.CDLL(None, use_errno=True)
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{namespace or self.router}", os.O_RDONLY)
        try:
            if libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(home)
            os.close(there)
