"""One node process taking the place of another on the same machine: the listening sockets go over, and nothing waits.

The process that runs is asked at a socket beside its answerers. It hands leadership over, closes its log, leaves its
answerers to the one that asks, and as its last act sends the sockets on which it listened. Connections that
come meanwhile wait in them.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from node.dns.answerer_link import Directory, peer

logger = structlog.get_logger()

SOCKET_NAME = "takeover.sock"
VERSION = 1
PATIENCE_S = 60.0
"""So long the process that runs may take to stop."""
_MESSAGE_OCTETS_MAX = 65_536
_SOCKETS_MAX = 128

Sockets = Mapping[tuple[str, str], socket.socket]
"""Listening sockets by kind (udp, tcp, tls) and address (``ip:port``)."""


class TakeoverFailed(Exception):
    """The running process did not give way; the message says why and what to do."""


class TakeoverPoint:
    """Where a successor asks. ``leave`` is called once, to end this process and leave the answerers running."""

    def __init__(self, folder: Path, sockets: Callable[[], Sockets], leave: Callable[[], None]) -> None:
        self._folder = folder
        self._sockets = sockets
        self._leave = leave
        self._directory: Directory | None = None
        self._listener: socket.socket | None = None
        self._successor: socket.socket | None = None
        self._given: dict[tuple[str, str], socket.socket] = {}

    def open(self) -> None:
        """Begin to listen, in the running loop; the folder is there."""
        self._directory = Directory(self._folder)
        path = self._path()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def close(self) -> None:
        """Give a successor the sockets, if there is one. To be called when all else has stopped."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._path().unlink(missing_ok=True)
        if self._successor is not None:
            names = json.dumps({"sockets": [list(key) for key in self._given]}).encode()
            with contextlib.suppress(OSError):
                socket.send_fds(self._successor, [names], [each.fileno() for each in self._given.values()])
            self._successor.close()
        for each in self._given.values():
            each.close()
        if self._directory is not None:
            self._directory.close()

    def _path(self) -> Path:
        assert self._directory is not None
        return Path(self._directory.socket_path).with_name(SOCKET_NAME)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            link, _ = self._listener.accept()
        except OSError:
            return
        pid, user = peer(link)
        if user != os.geteuid() or self._successor is not None:
            link.close()
            return
        self._given = {key: each.dup() for key, each in self._sockets().items()}
        self._successor = link
        logger.info("node.taken_over", by=pid)
        self._leave()


def take_over(folder: Path, patience_s: float = PATIENCE_S) -> Sockets:
    """Ask the process that runs to give way, and return its sockets; empty when none runs. Raises ``TakeoverFailed``."""
    try:
        directory = Directory(folder)
    except OSError:
        return {}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
            try:
                link.connect(str(Path(directory.socket_path).with_name(SOCKET_NAME)))
            except OSError:
                return {}
            return _received(link, patience_s)
    finally:
        directory.close()


def _received(link: socket.socket, patience_s: float) -> Sockets:
    seconds = int(patience_s)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))
    try:
        message, fds, _, _ = socket.recv_fds(link, _MESSAGE_OCTETS_MAX, _SOCKETS_MAX)
    except BlockingIOError:
        raise TakeoverFailed(
            f"the node that runs did not stop within {seconds} s; look at its log, or stop it and start this one"
        ) from None
    except OSError:
        message, fds = b"", []
    try:
        keys = [(str(kind), str(address)) for kind, address in json.loads(message)["sockets"]]
        found = {key: socket.socket(fileno=fd) for key, fd in zip(keys, fds, strict=True)}
    except (ValueError, KeyError, TypeError):
        for fd in fds:
            os.close(fd)
        raise TakeoverFailed(
            "the node that ran ended without handing over its sockets; start this one without --takeover"
        ) from None
    for each in found.values():
        each.setblocking(False)
    return found
