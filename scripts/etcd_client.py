"""The least client of etcd's gRPC that can saturate it: one connection, a stream for each call, no library.

HTTP/2 as in RFC 9113, headers without compression (RFC 7541 section 6.2.2), protobuf by hand. It costs a
fraction of what etcd itself does for a call, so that etcd is what is measured.
"""

import asyncio
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_WINDOW_MAX = 2**31 - 1
PUT, RANGE, TXN = b"Put", b"Range", b"Txn"


class CallFailed(Exception):
    """etcd did not do it."""


class EtcdConnection(asyncio.Protocol):
    """One connection; calls may be made concurrently."""

    def __init__(self) -> None:
        self._stream = -1
        self._calls: dict[int, asyncio.Future[None]] = {}
        self._answered: set[int] = set()
        """Calls to which a message came: what came without one has failed."""
        self._buffer = bytearray()
        self._heads: dict[bytes, bytes] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello, with windows that need no care afterwards."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        settings = struct.pack(">HI", 4, _WINDOW_MAX)
        window = struct.pack(">I", _WINDOW_MAX - 65_535)
        transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW, 0, 0, window))

    def call(self, method: bytes, message: bytes) -> "asyncio.Future[None]":
        """Call a method of the KV service; the future ends when it is done."""
        assert self._transport is not None
        self._stream += 2
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls[self._stream] = future
        head = self._heads.get(method) or self._heads.setdefault(method, _head(method))
        body = b"\x00" + struct.pack(">I", len(message)) + message
        frames = [_frame(_HEADERS, _END_HEADERS, self._stream, head)]
        for begin in range(0, len(body), 16_384):
            last = begin + 16_384 >= len(body)
            frames.append(_frame(_DATA, _END_STREAM if last else 0, self._stream, body[begin : begin + 16_384]))
        self._transport.write(b"".join(frames))
        return future

    def data_received(self, data: bytes) -> None:
        """Take whole frames."""
        self._buffer += data
        begin = 0
        while len(self._buffer) - begin >= 9:
            length = int.from_bytes(self._buffer[begin : begin + 3], "big")
            end = begin + 9 + length
            if len(self._buffer) < end:
                break
            kind, flags = self._buffer[begin + 3], self._buffer[begin + 4]
            stream = int.from_bytes(self._buffer[begin + 5 : begin + 9], "big")
            self._take(kind, flags, stream, begin + 9, end)
            begin = end
        del self._buffer[:begin]

    def connection_lost(self, exc: Exception | None) -> None:
        """End what was on its way."""
        self.close()
        for future in self._calls.values():
            if not future.done():
                future.set_exception(CallFailed(f"the connection ended: {exc}"))
        self._calls.clear()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def _take(self, kind: int, flags: int, stream: int, begin: int, end: int) -> None:
        assert self._transport is not None
        if kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, bytes(self._buffer[begin:end])))
        elif kind == _DATA:
            self._answered.add(stream)
        elif kind in (_RESET, _GOAWAY) or (kind == _HEADERS and flags & _END_STREAM):
            self._end(stream)

    def _end(self, stream: int) -> None:
        future = self._calls.pop(stream, None)
        if future is None or future.done():
            return
        if stream in self._answered:
            self._answered.discard(stream)
            future.set_result(None)
        else:
            future.set_exception(CallFailed("etcd refused the call"))


async def connect(port: int) -> EtcdConnection:
    """Connect with a member on loopback."""
    _, protocol = await asyncio.get_running_loop().create_connection(EtcdConnection, "127.0.0.1", port)
    return protocol


def put(key: bytes, value: bytes) -> bytes:
    """Return a PutRequest."""
    return _field(1, key) + _field(2, value)


def linearizable_range(key: bytes) -> bytes:
    """Return a RangeRequest, which is linearizable unless it says otherwise."""
    return _field(1, key)


def txn_of_puts(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Return a TxnRequest that puts them all."""
    return b"".join(_field(2, _field(2, put(key, value))) for key, value in pairs)


def _field(number: int, octets: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(octets)) + octets


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 127:
        octets.append(number & 127 | 128)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _head(method: bytes) -> bytes:
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": b"/etcdserverpb.KV/" + method,
        b":authority": b"127.0.0.1",
        b"content-type": b"application/grpc",
        b"te": b"trailers",
    }
    return b"".join(
        b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value for name, value in fields.items()
    )
