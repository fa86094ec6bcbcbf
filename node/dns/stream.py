"""DNS over TCP and TLS (RFC 7766): frames of two octets of length and a message, many on one connection."""

import asyncio
import contextlib
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass

from node.dns.query import HEADER_OCTETS
from node.dns.respond import Transport

_FRAMES_PER_TURN = 32
"""Messages of one connection answered before others get their turn."""
_UNSENT_OCTETS_MAX = 256 * 1024
"""Answers a client may leave unread before it is read no further."""
_SWEEP_S = 1.0
_LATER_MAX = 32
"""Answers of one connection that are waited for before it is read no further."""

Messages = Generator[bytes, None, None]
Answer = Callable[[bytes, str, Transport], bytes | Awaitable[bytes | None] | Messages | None]
"""From a message, the client's IP address and the transport to the answer: now, later, in many messages, or none."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Limits on connections, over all listening addresses."""

    connections_max: int = 500
    """One more closes the one that has been idle for longest, so that nobody can fill the house."""
    idle_s: float = 10.0
    """Time without a complete message, or without a client reading its answers."""
    lifetime_s: float = 600.0
    handshake_s: float = 5.0


class StreamListeners:
    """All listening TCP sockets and the connections that came through them."""

    def __init__(self, settings: StreamSettings, answer: Answer, on_change: Callable[[int], None]) -> None:
        self.settings = settings
        self.answer = answer
        self.on_change = on_change
        """Called with +1 for a connection opened, -1 for one closed."""
        self.connections: OrderedDict[StreamConnection, None] = OrderedDict()
        """The one idle for longest first."""
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def listen(self, bound: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept connections from a listening socket."""
        transport: Transport = "tcp" if tls is None else "tls"
        handshake_s = None if tls is None else self.settings.handshake_s
        server = await asyncio.get_running_loop().create_server(
            lambda: self._begin(transport),
            sock=bound,
            ssl=tls,
            ssl_handshake_timeout=handshake_s,
        )
        self._servers.append(server)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Stop accepting and close every connection."""
        for server in self._servers:
            server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for connection in list(self.connections):
            connection.abort()

    def _begin(self, transport: Transport) -> "StreamConnection":
        """Make a connection; one that must shake hands first takes its place now (asyncio calls this in its task)."""
        connection = StreamConnection(self, transport)
        task = asyncio.current_task()
        if transport == "tls" and task is not None:
            connection.handshake = task
            task.add_done_callback(connection.handshake_done)
            self.opened(connection)
        return connection

    def opened(self, connection: "StreamConnection") -> None:
        """Admit a connection; the idlest one makes room."""
        if connection in self.connections:
            return
        self.connections[connection] = None
        self.on_change(1)
        if len(self.connections) > self.settings.connections_max:
            next(iter(self.connections)).abort()

    def closed(self, connection: "StreamConnection") -> None:
        """Forget a connection."""
        if connection in self.connections:
            del self.connections[connection]
            self.on_change(-1)

    def used(self, connection: "StreamConnection") -> None:
        """Note that a connection has brought a message, or has taken one of many."""
        if connection in self.connections:
            self.connections.move_to_end(connection)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = asyncio.get_running_loop().time()
            for connection in list(self.connections):
                if connection.is_over(now):
                    connection.abort()


class StreamConnection(asyncio.Protocol):
    """One client. Frames are cut, answered and written in turns, so that a flood of them delays nobody."""

    def __init__(self, listeners: StreamListeners, over: Transport) -> None:
        self.listeners = listeners
        self.over = over
        self.transport: asyncio.Transport | None = None
        self.handshake: asyncio.Task[object] | None = None
        """asyncio's task that makes a TLS transport."""
        self.address = ""
        self.pending = bytearray()
        self.is_answering = False
        self.is_unread = False
        self.has_ended = False
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.later: set[asyncio.Future[None]] = set()
        """Answers on their way; they overtake one another (RFC 7766 section 7)."""
        self.loop = asyncio.get_running_loop()
        self.opened_at = self.used_at = self.loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with a client (asyncio's call)."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_UNSENT_OCTETS_MAX)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        self.listeners.opened(self)

    def handshake_done(self, _: asyncio.Task[object]) -> None:
        """Forget a client that never became one."""
        self.handshake = None
        if self.transport is None:
            self.listeners.closed(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the client (asyncio's call)."""
        self.transport = None
        self.may_write.set()
        for task in self.later:
            task.cancel()
        self.listeners.closed(self)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived (asyncio's call)."""
        self.pending += data
        if not self.is_answering:
            self._answer_some()

    def eof_received(self) -> bool:
        """Answer what has been asked before the client stopped asking (asyncio's call)."""
        self.has_ended = True
        return self.is_answering or bool(self.later)

    def pause_writing(self) -> None:
        """Read no further while the client does not read (asyncio's call)."""
        self.is_unread = True
        self.may_write.clear()
        self._set_reading()

    def resume_writing(self) -> None:
        """Go on once the client has read (asyncio's call)."""
        self.is_unread = False
        self.may_write.set()
        self._set_reading()
        if not self.is_answering:
            self._answer_some()

    def is_over(self, now: float) -> bool:
        """Say whether the client has been idle or here for too long."""
        settings = self.listeners.settings
        is_old = now - self.opened_at > settings.lifetime_s and not self.later
        return now - self.used_at > settings.idle_s or is_old

    def abort(self) -> None:
        """Close at once."""
        self.listeners.closed(self)
        if self.transport is not None:
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    def _answer_some(self) -> None:
        """Answer some frames; what is left waits for its next turn, and reading waits with it."""
        self.is_answering = False
        for _ in range(_FRAMES_PER_TURN):
            if self.transport is None or self.is_unread or len(self.later) >= _LATER_MAX:
                self._set_reading()
                return
            frame = self._next_frame()
            if frame is None:
                self._close_when_done()
                self._set_reading()
                return
            self._answer(frame)
        self.is_answering = True
        self._set_reading()
        self.loop.call_soon(self._answer_some)

    def _next_frame(self) -> bytes | None:
        """Cut the next message off what has arrived, None when it is not complete."""
        if len(self.pending) < 2:
            return None
        end = 2 + int.from_bytes(self.pending[:2], "big")
        if len(self.pending) < end:
            return None
        frame = bytes(self.pending[2:end])
        del self.pending[:end]
        return frame

    def _note_use(self) -> None:
        self.used_at = self.loop.time()
        self.listeners.used(self)

    def _answer(self, frame: bytes) -> None:
        self._note_use()
        answer = self.listeners.answer(frame, self.address, self.over)
        if self.transport is None:
            return
        if isinstance(answer, bytes):
            self._write(answer)
        elif answer is not None:
            task = self.loop.create_task(
                self._write_all(answer) if isinstance(answer, Generator) else self._write_later(answer)
            )
            self.later.add(task)
            task.add_done_callback(self._finished)
        elif len(frame) < HEADER_OCTETS:
            self.transport.close()  # not DNS

    async def _write_later(self, answer: Awaitable[bytes | None]) -> None:
        packet = await answer
        if packet is not None:
            self._write(packet)

    async def _write_all(self, messages: Messages) -> None:
        """Write a transfer as the client takes it; between two messages others get their turn."""
        with contextlib.closing(messages):
            for message in messages:
                await self.may_write.wait()
                if self.transport is None:
                    return
                self._write(message)
                self._note_use()
                await asyncio.sleep(0)

    def _write(self, packet: bytes) -> None:
        if self.transport is not None:
            self.transport.write(len(packet).to_bytes(2, "big") + packet)

    def _finished(self, task: asyncio.Future[None]) -> None:
        self.later.discard(task)
        if not self.is_answering:
            self._answer_some()

    def _close_when_done(self) -> None:
        if self.has_ended and not self.later and not self.is_answering and self.transport is not None:
            self.transport.close()

    def _set_reading(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self.is_unread or self.is_answering or len(self.later) >= _LATER_MAX:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
