"""The listening socket of a node: accepts a few at a time, and never closes because of what strangers do."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.identity import parse_address

_ACCEPTS_PER_TURN: Final = 8
_PAUSE_S: Final = 0.2
_LISTEN_BACKLOG: Final = 128


class Listener:
    """Hands accepted sockets, not blocking, to ``on_accept`` in the thread of the loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_accept: Callable[[socket.socket, str], None]
    ) -> None:
        self._loop = loop
        self._on_accept = on_accept
        self._socket: socket.socket | None = None

    def open(self, address: str) -> str:
        """Bind ``IP:PORT`` and listen; return the address bound. Raises ``RaftError``."""
        host, port = parse_address(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setblocking(False)
            listening.bind((host, port))
            listening.listen(_LISTEN_BACKLOG)
        except OSError as error:
            listening.close()
            raise RaftError(
                f"The node cannot listen at {address}: {error.strerror}. Free that address or correct the "
                "node's own in the configuration.",
                exit_code=EXIT_WRONG_SETUP,
            ) from error
        self._socket = listening
        self._resume()
        return socket_address(listening.getsockname())

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _resume(self) -> None:
        if self._socket is not None:
            self._loop.add_reader(self._socket, self._accept_some)

    def _accept_some(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if self._socket is None:
                return
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no file descriptor or memory is left: those who wait may wait a little longer
                self._loop.remove_reader(self._socket)
                self._loop.call_later(_PAUSE_S, self._resume)
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio forgets accepted ones
            self._on_accept(accepted, socket_address(address))


def socket_address(address: tuple[str, int]) -> str:
    """Write the first two fields of a socket's address as ``IP:PORT``; an IPv4 address mapped to IPv6 as IPv4."""
    host, port = address[:2]
    if "." in host:
        host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
