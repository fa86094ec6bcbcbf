"""TLS over a ``Wire``: a handshake on a fresh connection, with as little work around OpenSSL as possible.

asyncio's own TLS costs as much as the handshake itself: a transport, a protocol, futures and timers for what a probe
does once. When the handshake may take up an earlier session is for ``node.probe.sessions`` to say.
"""

import asyncio
import ssl
from typing import Any, NamedTuple, Protocol

from node.probe.sessions import Loan
from node.probe.wire import Wire

_READ_OCTETS_MAX = 64 * 1024


class Tls(NamedTuple):
    """How to speak TLS: the context, and the name that the certificate must be for."""

    context: ssl.SSLContext
    name: str
    loan: Loan | None = None
    """The session to take up again, and where to note what was spoken through; None: each handshake is a full one."""


class Listener(Protocol):
    """Who hears of the connection: an ``asyncio.Protocol`` that also wants to know of what goes before."""

    def connected(self) -> None:
        """The endpoint took the connection; the handshake comes next."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done and the certificate is good."""

    def data_received(self, data: bytes) -> None:
        """Octets came, out of TLS."""

    def eof_received(self) -> bool | None:
        """No more will come."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended, before the handshake too; nothing else is told after it."""


class TlsWire(asyncio.Transport, asyncio.Protocol):
    """Connects, shakes hands, then is a transport like ``Wire``: below it one, above it the listener."""

    def __init__(self, listener: Listener, address: str, port: int, tls: Tls) -> None:
        """Begin to connect. Raises ``OSError`` when that fails at once."""
        super().__init__()
        self._listener = listener
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        former = None if tls.loan is None else tls.loan.session
        self._session = tls.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=tls.name, session=former
        )
        self._loan, self._octets = tls.loan, 0
        if tls.loan is not None:
            tls.loan.spoken = self._session
        self._is_open = False
        self._is_over = False
        self._wire = Wire(self, address, port)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the TLS session as ``ssl_object``."""
        return self._session if name == "ssl_object" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send octets through TLS."""
        if self._is_over:
            return
        try:
            self._session.write(data)
        except ssl.SSLError as error:
            self.connection_lost(error)
            return
        self._flush()

    def abort(self) -> None:
        """Close at once and say nothing more to the listener."""
        self._is_over = True
        self._wire.abort()

    # --- what comes from below --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        assert transport is self._wire
        self._listener.connected()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take octets of the connection."""
        self._octets += len(data)
        self._incoming.write(data)
        self._go_on()

    def eof_received(self) -> None:
        """Hear that the endpoint says no more; in the midst of a handshake that is no good end."""
        if self._is_over:
            return
        if self._is_open:
            self._end_well()
        else:
            self.connection_lost(ConnectionResetError("closed within the handshake"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and say why."""
        if not self._is_over:
            self.abort()
            self._listener.connection_lost(exc)

    def _go_on(self) -> None:
        """Do what can be done with the octets that have come."""
        try:
            if not self._is_open:
                self._session.do_handshake()
                self._is_open = True
                if self._loan is not None:
                    self._loan.octets = self._octets
                self._listener.connection_made(self)  # what it says goes with the end of the handshake
                self._flush()
            self._read()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._flush()  # the endpoint learns what was wrong with it
            self.connection_lost(error)

    def _read(self) -> None:
        """Take what has come; to find out that nothing has would cost an exception each time."""
        while self._incoming.pending and not self._is_over:
            data = self._session.read(_READ_OCTETS_MAX)
            if not data:
                self._end_well()
                return
            self._listener.data_received(data)

    def _end_well(self) -> None:
        self._listener.eof_received()
        self.connection_lost(None)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._wire.write(self._outgoing.read())
