"""Where answerers find the control process: a socket in a directory that one control process holds at a time."""

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path

from node.dns import answerer_link as links
from node.dns.listen import ListenFailed

_LOCK_NAME = "lock"
_BACKLOG = 128

Met = Callable[[socket.socket, bytes, list[int]], bool]
"""Called with a connection, its first message and that one's descriptors; says whether it stays."""


class Meeting:
    """Accepts answerers of our own user. Raises ``ListenFailed`` where another control process does so."""

    def __init__(self, directory: Path, met: Met) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._met = met
        self._directory = links.Directory(directory)
        self._lock = os.open(directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._strangers: set[socket.socket] = set()
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._listener.close()
            self._directory.close()
            raise ListenFailed(
                f"{directory} is in use by another running node: stop it, or give this one another directory"
            ) from None

    def open(self) -> None:
        """Begin to accept, in the running loop."""
        path = self._directory.socket_path
        Path(path).unlink(missing_ok=True)
        self._listener.bind(path)
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept nobody any more and let the directory go."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        for link in self._strangers:
            loop.remove_reader(link)
            link.close()
        self._listener.close()
        Path(self._directory.socket_path).unlink(missing_ok=True)
        self._directory.close()
        os.close(self._lock)

    def _accept(self) -> None:
        for _ in range(_BACKLOG):
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            if links.peer(link)[1] != os.geteuid() or len(self._strangers) >= _BACKLOG:
                link.close()
                continue
            link.setblocking(False)
            self._strangers.add(link)
            asyncio.get_running_loop().add_reader(link, self._greet, link)

    def _greet(self, link: socket.socket) -> None:
        """Read the first message of a connection."""
        received = links.receive(link)
        if received is None:
            return
        message, fds = received
        asyncio.get_running_loop().remove_reader(link)
        self._strangers.discard(link)
        if self._met(link, message, fds):
            return
        with contextlib.suppress(OSError):
            link.send(links.STOP)
        link.close()
        for fd in fds:
            os.close(fd)
