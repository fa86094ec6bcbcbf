"""Telling systemd that the node has started, is well, and stops: sd_notify(3), one datagram each.

What the node listens on is left with systemd as well (FDSTORE), so that connections wait while it starts anew, and
comes back as sd_listen_fds(3) says. Names of descriptors hold no colon, so they are quoted. Sockets of a socket unit
come under the unit's name; what they are for is known by where they are bound.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from urllib.parse import quote, unquote

import structlog

logger = structlog.get_logger()

_VARIABLE = "NOTIFY_SOCKET"
_WATCHDOG, _WATCHED = "WATCHDOG_USEC", "WATCHDOG_PID"
_PATIENCE_S = 1.0
_TELL_S = 2.0
_FIRST_FD = 3
_KINDS = ("udp", "tcp", "tls")

Sockets = Mapping[tuple[str, str], socket.socket]
"""Listening sockets by kind (udp, tcp, tls) and address (``ip:port``)."""


class ServiceManager:
    """What started this process and wants to hear of it; nobody where ``NOTIFY_SOCKET`` is not set."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Take the address out of the environment: the answerers must not speak for the node."""
        self._address = environ.pop(_VARIABLE, "")
        patience_us, watched = environ.pop(_WATCHDOG, ""), environ.pop(_WATCHED, "")
        is_us = watched in ("", str(os.getpid()))
        self._watchdog_s = int(patience_us) / 1e6 if patience_us.isdigit() and is_us else 0.0
        self.inherited: Sockets = _inherited(environ)
        """What a predecessor has left with systemd, or a socket unit holds."""

    def started(self, status: str) -> None:
        """Say that the node serves, and what people are to read of it in ``systemctl status``."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Say that the node stops, and that this is meant."""
        self._send("STOPPING=1\nSTATUS=stopping")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the configuration is being read again, and that it was."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            self._send("READY=1")

    async def tell(self, status: Callable[[], str]) -> None:
        """Keep what ``systemctl status`` shows up to date; until cancelled."""
        told = ""
        while self._address:
            await asyncio.sleep(_TELL_S)
            line = status()
            if line != told:
                self._send(f"STATUS={line}")
                told = line

    async def watch(self, problem: Callable[[], Awaitable[str]]) -> None:
        """Say again and again that the node is well, as long as ``problem`` finds nothing; until cancelled.

        systemd's watchdog ends a node of which it does not hear, and starts it anew.
        """
        while self._watchdog_s and self._address:
            found = await problem()
            if found:
                logger.error("node.unwell", detail=found)
            else:
                self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 3)

    def keep(self, sockets: Sockets) -> None:
        """Leave copies of the sockets for a successor, in place of what a predecessor has left."""
        for key in self.inherited.keys() - sockets.keys():
            self._send(f"FDSTOREREMOVE=1\nFDNAME={_name(key)}")
        for key in sockets.keys() - self.inherited.keys():
            self._send(f"FDSTORE=1\nFDNAME={_name(key)}", sockets[key])

    def _send(self, text: str, attached: socket.socket | None = None) -> None:
        """Send one message; a manager that cannot be reached costs the node nothing."""
        if self._address[:1] not in ("/", "@"):
            return
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_PATIENCE_S)
            sender.connect(address)
            socket.send_fds(sender, [text.encode()], [] if attached is None else [attached.fileno()])


def _name(key: tuple[str, str]) -> str:
    return quote(" ".join(key), safe=" []")


def _inherited(environ: MutableMapping[str, str]) -> dict[tuple[str, str], socket.socket]:
    """Take the descriptors that are for this process; a name that is not ours is closed."""
    pid, count, names = (environ.pop(f"LISTEN_{each}", "") for each in ("PID", "FDS", "FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    found = {}
    for fd, name in zip(range(_FIRST_FD, _FIRST_FD + int(count)), names.split(":"), strict=False):
        bound = socket.socket(fileno=fd)
        kind, _, address = unquote(name).partition(" ")
        place = (kind, address) if kind in _KINDS else _place_of(bound)
        if place is not None and place not in found:
            bound.set_inheritable(False)
            bound.setblocking(False)
            found[place] = bound
        else:
            bound.close()
    return found


def _place_of(bound: socket.socket) -> tuple[str, str] | None:
    """Return what a socket of a unit is: udp, or tcp in which somebody can connect, and where; None for any other."""
    if bound.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    is_stream = bound.type == socket.SOCK_STREAM
    if is_stream and not bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return None
    host, port = bound.getsockname()[:2]
    return "tcp" if is_stream else "udp", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
