"""gRPC probes: one call of the health protocol (grpc.health.v1.Health/Check) over HTTP/2.

The call and its good answer need so little of HTTP/2 (RFC 9113) that no client is needed: the request's
header is written without compression, and the answer's is skipped, as the serving status stands in the
message itself. A server that answers without a message has no such service, or an error to tell.
"""

import asyncio
import struct

from node.health.service import Check
from node.probe.result import Failed, Progress
from node.probe.stream import Exchange, converse
from node.probe.tls_wire import Tls

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_PATH = b"/grpc.health.v1.Health/Check"
_OCTETS_MAX = 64 * 1024
_FRAME_OCTETS_MAX = 16_384
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_ACK = _END_STREAM = 0x1
_END_HEADERS, _PADDED = 0x4, 0x8
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


async def probe_grpc(check: Check, host: str, address: str, tls: Tls | None, progress: Progress) -> str:
    """Call once; SERVING is good. Returns the evidence. Raises ``Failed`` or ``OSError``."""
    call = build_call(check.grpc_service, host, is_secure=tls is not None)
    return await converse(_GrpcExchange(call, progress), address, check.port, tls)


def build_call(service: str, host: str, *, is_secure: bool) -> bytes:
    """Return the octets of a whole call: preface, settings, header, message."""
    name = service.encode()
    request = b"\x0a" + _varint(len(name)) + name if name else b""
    message = struct.pack(">BI", 0, len(request)) + request
    # RFC 7541: 0x83, 0x86, 0x87 are whole fields of the static table, the others literals never indexed
    header = (
        (b"\x83\x87" if is_secure else b"\x83\x86")
        + b"\x04" + _string(_PATH)
        + b"\x01" + _string(host.encode())
        + b"\x0f\x10" + _string(b"application/grpc")
        + b"\x00" + _string(b"te") + _string(b"trailers")
    )  # fmt: skip
    frames = _frame(_SETTINGS, 0, 0) + _frame(_HEADERS, _END_HEADERS, 1, header)
    return _PREFACE + frames + _frame(_DATA, _END_STREAM, 1, message)


class GrpcReader:
    """Reads frames until the status is known."""

    def __init__(self) -> None:
        self.replies = bytearray()
        """Frames that the server has to be sent."""
        self._buffer = bytearray()
        self._message = bytearray()
        self._octets = 0
        self._has_settings = False

    def feed(self, octets: bytes) -> str | None:
        """Take more octets; return the serving status when it is known. Raises ``Failed``."""
        self._octets += len(octets)
        if self._octets > _OCTETS_MAX:
            raise Failed("answer is longer than 64 KiB")
        self._buffer += octets
        while len(self._buffer) >= 9:
            size, kind = int.from_bytes(self._buffer[:3]), self._buffer[3]
            if size > _FRAME_OCTETS_MAX or (not self._has_settings and kind != _SETTINGS):
                raise Failed("not an HTTP/2 answer")
            if len(self._buffer) < 9 + size:
                break
            self._has_settings = True
            flags, stream = self._buffer[4], int.from_bytes(self._buffer[5:9]) & 0x7FFFFFFF
            payload = bytes(self._buffer[9 : 9 + size])
            del self._buffer[: 9 + size]
            status = self._take(kind, flags, stream, payload)
            if status is not None:
                return status
        return None

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> str | None:
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self.replies += _frame(kind, _ACK, 0, payload if kind == _PING else b"")
        elif kind == _GOAWAY and int.from_bytes(payload[:4]) & 0x7FFFFFFF == 0:
            raise Failed(f"server goes away (HTTP/2 error {int.from_bytes(payload[4:8])})")
        elif kind == _RST_STREAM and stream == 1:
            raise Failed(f"call reset (HTTP/2 error {int.from_bytes(payload[:4])})")
        elif kind == _DATA and stream == 1:
            self._message += payload[1 : len(payload) - payload[0]] if flags & _PADDED and payload else payload
            return self._read_message()
        elif kind == _HEADERS and stream == 1 and flags & _END_STREAM:
            raise Failed("no answer from a health service")
        return None

    def _read_message(self) -> str | None:
        if len(self._message) < 5:
            return None
        is_compressed, size = struct.unpack_from(">BI", self._message)
        if is_compressed or size > _FRAME_OCTETS_MAX:
            raise Failed("answer cannot be read")
        if len(self._message) < 5 + size:
            return None
        message = self._message[5 : 5 + size]
        number = message[1] if len(message) >= 2 and message[0] == 0x08 else 0
        return _STATUSES[number] if number < len(_STATUSES) else f"status {number}"


class _GrpcExchange(Exchange):
    """Sends the call and judges the status."""

    def __init__(self, call: bytes, progress: Progress) -> None:
        super().__init__(progress)
        self._call = call
        self._reader = GrpcReader()

    def begin(self, transport: asyncio.Transport) -> None:
        """Call."""
        transport.write(self._call)

    def data_received(self, data: bytes) -> None:
        """Read on, and say what HTTP/2 wants to hear."""
        if self.finished.done():
            return
        try:
            status = self._reader.feed(data)
        except Failed as failure:
            self.fail(str(failure))
            return
        if status == "SERVING":
            self.succeed(status)
        elif status is not None:
            self.fail(status)
        elif self._reader.replies and self.transport is not None:
            self.transport.write(bytes(self._reader.replies))
            self._reader.replies.clear()


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _string(octets: bytes) -> bytes:
    """Write a string without Huffman coding (RFC 7541 section 5.2)."""
    return _integer(len(octets), 7) + octets


def _integer(number: int, prefix_bits: int) -> bytes:
    """Write an integer with a prefix (RFC 7541 section 5.1)."""
    limit = (1 << prefix_bits) - 1
    return bytes((number,)) if number < limit else bytes((limit,)) + _varint(number - limit)


def _varint(number: int) -> bytes:
    """Write seven bits an octet, lowest first; the top bit says that more follow."""
    out = bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out) + bytes((number,))
