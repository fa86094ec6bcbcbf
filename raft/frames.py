"""Frames on the wire between nodes: a length, then that many octets; and the plain values they carry.

A frame is a 32-bit big-endian length followed by its payload. Messages are msgpack maps of plain
values (text, integers, octets, lists, maps, booleans, nothing): decoding can create nothing else.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

HANDSHAKE_FRAME_BYTES_MAX: Final = 64 * 1024
"""Largest frame a stranger may send; a handshake needs less than 1 KiB."""
FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest frame a node may send once it has proved who it is."""

_LENGTH: Final = struct.Struct(">I")
LENGTH_BYTES: Final = _LENGTH.size

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(dict[str, Any])


class BadFrame(Exception):
    """The octets received are no acceptable frame or message; the message says why."""


def frame(payload: bytes) -> bytes:
    """Put the length before the payload."""
    return _LENGTH.pack(len(payload)) + payload


def encode_message(message: dict[str, Any]) -> bytes:
    """Return the message as msgpack. Raises ``TypeError`` for a value that is not plain."""
    return _encoder.encode(message)


def decode_message(payload: bytes | memoryview) -> dict[str, Any]:
    """Read a message; tuples come back as lists. Raises ``BadFrame``."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: text that is not UTF-8
        raise BadFrame(f"a message that cannot be read ({error})") from error


class FrameReader:
    """Cuts a stream of octets into frames; holds at most one unfinished frame."""

    def __init__(self) -> None:
        self.frame_bytes_max = HANDSHAKE_FRAME_BYTES_MAX
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the payloads completed by ``data``. Raises ``BadFrame`` for one above ``frame_bytes_max``.

        The limit is read anew for every frame, so it may be raised while the iterator is walked.
        """
        self._buffer += data
        start = 0
        try:
            while (payload := self._next(start)) is not None:
                start += LENGTH_BYTES + len(payload)
                yield payload
        finally:
            del self._buffer[:start]

    def _next(self, start: int) -> bytes | None:
        if len(self._buffer) - start < LENGTH_BYTES:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, start)
        if length > self.frame_bytes_max:
            raise BadFrame(f"a frame of {length} octets where at most {self.frame_bytes_max} are allowed")
        begin = start + LENGTH_BYTES
        if len(self._buffer) - begin < length:
            return None
        return bytes(memoryview(self._buffer)[begin : begin + length])
