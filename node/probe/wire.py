"""A plain TCP connection that drives an ``asyncio.Protocol`` with as little work as possible.

``loop.create_connection`` costs more than half of a whole HTTP probe: a transport with flow control,
futures and a coroutine for what a probe does once. ``node.probe.tls_wire`` speaks TLS over one.
"""

import asyncio
import errno
import os
import socket

_RECEIVE_OCTETS_MAX = 64 * 1024


class Wire(asyncio.Transport):
    """Connects, writes, reads, and tells the protocol; nothing is kept open after ``abort``."""

    def __init__(self, protocol: asyncio.Protocol, address: str, port: int) -> None:
        """Begin to connect; the protocol hears of success and failure. Raises ``OSError`` when that fails at once."""
        super().__init__()
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._unsent = b""
        self._reading = False
        self._writing = False
        self._closed = False
        self._socket = open_socket(address)
        self._descriptor = self._socket.fileno()
        """What the loop is given: it describes a socket in words each time that it does not know it yet."""
        number = self._socket.connect_ex((address, port))
        if number not in (0, errno.EINPROGRESS):
            self.abort()
            raise OSError(number, os.strerror(number))
        self._writing = True
        self._loop.add_writer(self._descriptor, self._connected)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send the octets; what does not go at once goes when there is room."""
        if self._closed:
            return
        octets = bytes(data)
        if self._unsent:
            self._unsent += octets
            return
        try:
            sent = self._socket.send(octets)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(error)
            return
        if sent < len(octets):
            self._unsent = octets[sent:]
            self._writing = True
            self._loop.add_writer(self._descriptor, self._flush)

    def abort(self) -> None:
        """Close at once and say nothing more to the protocol."""
        if self._closed:
            return
        self._closed = True
        if self._reading:
            self._loop.remove_reader(self._descriptor)
        if self._writing:
            self._loop.remove_writer(self._descriptor)
        self._socket.close()

    def _connected(self) -> None:
        self._stop_writing()
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._lose(OSError(number, os.strerror(number)))
            return
        self._protocol.connection_made(self)
        if not self._closed:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_OCTETS_MAX)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._protocol.eof_received()
            self._lose(None)

    def _flush(self) -> None:
        self._stop_writing()
        octets, self._unsent = self._unsent, b""
        self.write(octets)

    def _stop_writing(self) -> None:
        self._writing = False
        self._loop.remove_writer(self._descriptor)

    def _lose(self, error: OSError | None) -> None:
        if not self._closed:
            self.abort()
            self._protocol.connection_lost(error)


def open_socket(address: str) -> socket.socket:
    """Return a fresh TCP socket of the address' family that never blocks. Raises ``OSError``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
