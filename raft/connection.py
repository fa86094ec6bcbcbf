"""One connection between two nodes: octets in, checked messages out.

A connection begins as a stranger's: small frames, a deadline, nothing delivered. After the handshake it
belongs to a node. Of the two nodes the one whose name sorts first decides which of several connections is
used and says so by a ``USE`` frame; until then the other side delivers nothing from it.
"""

import asyncio
import time
from collections import deque
from typing import Any, Final, Protocol

from raft.frames import FRAME_BYTES_MAX, BadFrame, FrameReader, decode_message, frame
from raft.handshake import Established, Handshake, refusal_payload
from raft.refusal import Refusal
from raft.seal import SEAL_BYTES
from raft.tls import refusal_of

HANDSHAKE_MAX_S: Final = 3.0
BACKLOG_BYTES_MAX: Final = 64 * 1024 * 1024
"""A connection that is further behind than this ends."""
_SOCKET_BACKLOG_BYTES: Final = 256 * 1024
"""Bulk waits while more than this is on its way, so that a heartbeat never stands behind it."""

_MESSAGE: Final = b"\0"
_PING: Final = b"\1"
_USE: Final = b"\2"
_REFUSED: Final = b"\3"
_TLS_RECORD: Final = b"\x16\x03"


class Owner(Protocol):
    """What a connection needs of the transport it belongs to."""

    def handshake(self, connection: "Connection") -> Handshake:
        """Return the handshake for a connection just made. Raises ``Refusal``."""

    def handshake_done(self, connection: "Connection") -> None:
        """The node at the other side has proved who it is."""

    def use_chosen(self, connection: "Connection") -> None:
        """The other side decided to use this connection."""

    def message_received(self, connection: "Connection", message: dict[str, Any]) -> None:
        """Deliver a message of the connection in use."""

    def refused(self, connection: "Connection", refusal: Refusal) -> None:
        """The connection ends because of what the other side is, said or did."""

    def connection_closed(self, connection: "Connection") -> None:
        """The connection is gone."""


class Connection(asyncio.Protocol):
    """``dialled`` is the name of the node dialled, None for a connection accepted from ``address``."""

    def __init__(
        self, owner: Owner, loop: asyncio.AbstractEventLoop, *, dialled: str | None, address: str
    ) -> None:
        self.dialled = dialled
        self.address = address
        self.established: Established | None = None
        self.chosen = False
        self.closed = False
        self.heard_at = time.monotonic()
        self.transport: asyncio.Transport | None = None
        self.making: asyncio.Future[None] | None = None
        """The task that makes the transport of an accepted connection."""
        self._owner = owner
        self._loop = loop
        self._heard_nothing = True
        self._handshake: Handshake | None = None
        self._reader = FrameReader()
        self._outbox: list[bytes] = []
        self._outbox_bytes = 0
        self._bulk: deque[bytes] = deque()
        self._bulk_bytes = 0
        self._flush_planned = False
        self._deadline = loop.call_later(HANDSHAKE_MAX_S, self._too_slow)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.closed:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=_SOCKET_BACKLOG_BYTES)
        try:
            self._handshake = self._owner.handshake(self)
        except Refusal as refusal:
            self.refuse(refusal)
            return
        if self.dialled is not None:
            transport.write(frame(self._handshake.start()))

    def data_received(self, data: bytes) -> None:
        """Take octets; any that are not acceptable end the connection."""
        if self.closed:
            return
        try:
            self._check_first(data)
            for payload in self._reader.feed(data):
                self._take(payload)
        except BadFrame as error:
            self.refuse(Refusal("frame", str(error)))
        except Refusal as refusal:
            self.refuse(refusal)
        if self.established is not None:
            self.heard_at = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner; a node dialled that leaves before it said who it is has refused this one."""
        if not self.closed and self.dialled is not None and self.established is None:
            refusal = refusal_of(exc) if exc is not None else None
            self._owner.refused(self, refusal or Refusal("silent", ""))
        self._end()

    def resume_writing(self) -> None:
        """Go on with bulk that waited for the socket."""
        self._plan_flush()

    def send(self, message: bytes, *, bulk: bool = False) -> bool:
        """Send an encoded message in order; bulk ones yield to all others. False: the connection has ended."""
        if self.closed:
            return False
        if bulk:
            self._bulk.append(message)
            self._bulk_bytes += len(message)
            self._plan_flush()
        else:
            self._put(_MESSAGE + message)
        if self.backlog_bytes > BACKLOG_BYTES_MAX:
            self.refuse(Refusal("backlog", f"{self.backlog_bytes} octets wait"))
        return not self.closed

    def ping(self) -> None:
        """Show the other side that this one lives."""
        self._put(_PING)

    def choose(self) -> None:
        """Decide that this connection is the one in use, and say so."""
        self.chosen = True
        self._deadline.cancel()
        self._put(_USE)

    @property
    def backlog_bytes(self) -> int:
        """How many octets wait to be sent."""
        waiting = self.transport.get_write_buffer_size() if self.transport is not None else 0
        return waiting + self._bulk_bytes + self._outbox_bytes

    @property
    def peer(self) -> str | None:
        """The name of the node at the other side, proven or dialled."""
        return self.established.node if self.established is not None else self.dialled

    def close(self, refusal: Refusal | None = None) -> None:
        """End the connection, telling the other side why."""
        if self.transport is not None and not self.closed:
            if refusal is not None and not refusal.by_peer:
                self._tell(refusal)
            self._flush()
            if self.transport.get_write_buffer_size():
                self.transport.abort()
            else:
                self.transport.close()
        self._end()

    def refuse(self, refusal: Refusal) -> None:
        """End the connection because of what the other side is, said or did."""
        if not self.closed:
            self._owner.refused(self, refusal)
            if self.transport is None:
                self.abort()
            else:
                self.close(refusal)

    def abort(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()
        elif self.making is not None:
            self.making.cancel()
        self._end()

    def _tell(self, refusal: Refusal) -> None:
        assert self.transport is not None
        if self.established is None:
            self.transport.write(frame(refusal_payload(refusal)))
        else:
            self._put(_REFUSED + refusal.word.encode())

    def _check_first(self, data: bytes) -> None:
        if self._heard_nothing and data.startswith(_TLS_RECORD):
            raise Refusal("tls", "")
        self._heard_nothing = False

    def _take(self, payload: bytes) -> None:
        if self.closed:
            return
        if self.established is None:
            self._take_handshake(payload)
            return
        opened = self.established.receiving.apply(payload)
        kind = opened[:1]
        if kind == _MESSAGE:
            message = decode_message(memoryview(opened)[1:])
            if self.chosen:
                self._owner.message_received(self, message)
        elif opened == _USE:
            self.chosen = True
            self._deadline.cancel()
            self._owner.use_chosen(self)
        elif kind == _REFUSED:
            raise Refusal.from_peer(opened[1:])
        elif opened != _PING:
            raise BadFrame(f"a frame of unknown kind {kind.hex()}")

    def _take_handshake(self, payload: bytes) -> None:
        assert self._handshake is not None
        assert self.transport is not None
        reply = self._handshake.receive(payload)
        for answer in reply.payloads:
            self.transport.write(frame(answer))
        if reply.established is not None:
            self.established = reply.established
            self._reader.frame_bytes_max = FRAME_BYTES_MAX + SEAL_BYTES + len(_MESSAGE)
            self._owner.handshake_done(self)

    def _put(self, payload: bytes) -> None:
        assert self.established is not None
        if not self.closed:
            sealed = frame(self.established.sending.apply(payload))
            self._outbox.append(sealed)
            self._outbox_bytes += len(sealed)
            self._plan_flush()

    def _plan_flush(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._flush)

    def push(self) -> None:
        """Write what gathered by one system call, now; the loop would do so at the end of its turn."""
        if self._outbox and not self.closed and self.transport is not None:
            self.transport.write(b"".join(self._outbox))
            self._outbox.clear()
            self._outbox_bytes = 0

    def _flush(self) -> None:
        """Write what gathered in one turn of the loop, then bulk while the socket takes it."""
        self._flush_planned = False
        if self.closed or self.transport is None:
            return
        self.push()
        if self._bulk and self.transport.get_write_buffer_size() <= _SOCKET_BACKLOG_BYTES:
            message = self._bulk.popleft()
            self._bulk_bytes -= len(message)
            self._put(_MESSAGE + message)

    def _too_slow(self) -> None:
        self.refuse(Refusal("slow", f"{HANDSHAKE_MAX_S:g} s"))

    def _end(self) -> None:
        if not self.closed:
            self.closed = True
            self._deadline.cancel()
            self._owner.connection_closed(self)
