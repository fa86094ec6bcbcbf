"""One TCP or TLS conversation with an endpoint, on a fresh connection that is always torn down."""

import asyncio
import errno
import ssl
from typing import cast

from node.probe.result import Failed, Progress
from node.probe.tls import certificate_evidence
from node.probe.tls_wire import Tls, TlsWire
from node.probe.wire import Wire

_UNREACHABLE = {
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ETIMEDOUT: "connection timed out",
}
_OWN_FAULT = {
    errno.EADDRNOTAVAIL: "this node has no local address or port to connect from",
    errno.EACCES: "connecting is not permitted on this node",
    errno.EPERM: "connecting is not permitted on this node",
    errno.EMFILE: "this node has no file descriptor left",
    errno.ENFILE: "this node has no file descriptor left",
    errno.ENOBUFS: "this node has no buffers left",
    errno.ENOMEM: "this node has no memory left",
    errno.EAFNOSUPPORT: "this node does not speak this address family",
}
_REFUSED = {errno.ECONNREFUSED: "connection refused", errno.EPIPE: "connection closed"}
_RESET = "connection reset"


class Exchange(asyncio.Protocol):
    """A conversation whose subclass decides when enough has been heard.

    ``finished`` gets the evidence of success, or ``Failed``.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.finished: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.tls_name = ""
        """Whom the certificate must be for."""

    def connected(self) -> None:
        """Note that the endpoint took the connection, over which TLS is to be spoken."""
        self.progress.await_next("no TLS handshake")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take hold of the transport and let the subclass say its first words."""
        self.transport = cast("asyncio.Transport", transport)
        self.progress.await_next("no answer")
        self.greet(self.transport)
        self.begin(self.transport)

    def greet(self, transport: asyncio.Transport) -> None:
        """Look at the connection before anything is said."""

    def begin(self, transport: asyncio.Transport) -> None:
        """Say what the endpoint is asked."""
        raise NotImplementedError

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail when the connection ends before the conversation does."""
        if self.finished.done():
            return
        if isinstance(exc, OSError):
            self.finished.set_exception(failure_of(exc, self.progress, self.tls_name))
        else:
            self.fail(f"connection lost: {exc}" if exc else "connection closed")

    def succeed(self, evidence: str) -> None:
        """End the conversation well; what comes later is ignored."""
        if not self.finished.done():
            self.finished.set_result(evidence)

    def fail(self, evidence: str) -> None:
        """End the conversation badly; what comes later is ignored."""
        if not self.finished.done():
            self.finished.set_exception(Failed(evidence))


async def converse(exchange: Exchange, address: str, port: int, tls: Tls | None = None) -> str:
    """Connect, hold the conversation and return its evidence.

    Raises ``Failed`` or ``OSError``; the caller sets the deadline. The connection is aborted in every
    case: nothing waits for an endpoint to say goodbye.
    """
    try:
        if tls is None:
            exchange.transport = Wire(exchange, address, port)
        else:
            exchange.tls_name = tls.name
            exchange.transport = TlsWire(exchange, address, port, tls)
        return await exchange.finished
    finally:
        if exchange.transport is not None:
            exchange.transport.abort()
        exchange.finished.cancel()  # what a dying connection says later is nobody's business
        if not exchange.finished.cancelled():
            exchange.finished.exception()  # seen, also when the deadline came first


def explain(error: OSError, tls_name: str = "") -> str:
    """Return one short sentence for what the operating system or TLS says; ``tls_name`` is who was asked for."""
    if isinstance(error, ssl.SSLError):
        return certificate_evidence(error, tls_name)
    if isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return _RESET
    number = error.errno or 0
    known = _REFUSED.get(number) or _UNREACHABLE.get(number) or _OWN_FAULT.get(number)
    return known or f"cannot connect: {error.strerror or error}"


def failure_of(error: OSError, progress: Progress, tls_name: str = "") -> Failed:
    """Return what an error of the operating system means for the probe."""
    answered = progress.answered or is_answer(error)
    tried = isinstance(error, ssl.SSLError) or error.errno not in _OWN_FAULT  # TLS has numbers of its own
    return Failed(explain(error, tls_name), answered=answered, tried=tried)


def is_answer(error: OSError) -> bool:
    """Say whether the error came from the endpoint itself, so that the network must be alive."""
    return isinstance(error, ssl.SSLError | ConnectionResetError | ConnectionAbortedError) or (
        error.errno in _REFUSED
    )
