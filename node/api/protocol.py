"""uvicorn's HTTP protocol with the limits it leaves out: connections, header octets, and times.

A client has a time for its headers, one for the whole request, and one to take some of the answer.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from node.api.listening import UNIX, peer_user

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
)


class LimitedProtocol(HttpToolsProtocol):
    """One connection. The limits are class attributes, as uvicorn makes the instances."""

    connections_max = 512
    header_octets_max = 64 * 1024
    header_time_s = 10.0
    request_time_s = 60.0
    send_time_s = 30.0
    is_unix = False
    quiet_since_s = 0.0
    """When it was made, or its last request was complete, on the loop's clock."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_octets = 0
        self._in_header = True
        self._deadline: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection too many, or end an idle one for it; give the others a time for their headers.

        The Unix socket has a number of its own, so that strangers do not lock out administrators.

        Over the Unix socket the client is who the kernel says. A TCP connection that was reset before it was
        accepted has no address any more, only octets to read; it is nobody.
        """
        super().connection_made(transport)
        if self.client is None:
            who = peer_user(transport.get_extra_info("socket"))
            if who is None:
                transport.abort()
                return
            self.client, self.is_unix = (f"{UNIX}{who}", 0), True
        self.quiet_since_s = self.loop.time()
        if not self._has_place():
            self._refuse(_TOO_MANY)
            return
        self._deadline = self.loop.call_later(self.header_time_s, transport.close)

    def _has_place(self) -> bool:
        """Say whether there is a place for this connection, be it that of the one that is idle for longest."""
        others = [
            each
            for each in self.connections
            if isinstance(each, LimitedProtocol) and each is not self and each.is_unix == self.is_unix
        ]
        open_ = [each for each in others if not each.transport.is_closing()]
        if len(open_) < self.connections_max:
            return True
        idle = [each for each in open_ if each.is_idle]
        if idle:
            min(idle, key=lambda each: each.quiet_since_s).transport.abort()
        return bool(idle)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being served: its headers are not complete, or its answer was taken."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or (cycle.response_complete and not self.transport.get_write_buffer_size())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._end_deadline()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count octets until the headers are complete."""
        if self.transport.is_closing():
            return
        was_in_header = self._in_header
        super().data_received(data)
        if self._in_header and was_in_header:
            self._header_octets += len(data)
            if self._header_octets > self.header_octets_max:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Start a request; behind an answered one the time for its headers starts anew."""
        super().on_message_begin()
        self._in_header, self._header_octets = True, 0
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.header_time_s, self.transport.close)

    def on_headers_complete(self) -> None:
        """End the time for headers; the rest of the request has a time, too, whoever reads it."""
        self._in_header = False
        self._end_deadline()
        self._deadline = self.loop.call_later(self.request_time_s, self.transport.close)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the time for the request."""
        self._end_deadline()
        self.quiet_since_s = self.loop.time()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Watch a client that does not keep up with its answer."""
        super().pause_writing()
        if self._sending is None:
            self._watch_sending()

    def resume_writing(self) -> None:
        """Watch no longer."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        super().resume_writing()

    def _watch_sending(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._sending = self.loop.call_later(self.send_time_s, self._require_progress, left)

    def _require_progress(self, before: int) -> None:
        """Drop a client that took nothing for the time; its answer must not stay in memory for ever."""
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._watch_sending()

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, response: bytes) -> None:
        self._end_deadline()
        self.transport.write(response)
        self.transport.close()
