"""The octets of a journal: header, records, and what is left of a write that did not finish.

Version 1, all numbers little-endian:

    header  magic 8 | version u32 | length u32 | msgpack [cluster, node, salt 8] | crc32 of all before
    record  length u32 | type u8 | check u16 | crc32 u32 | payload

``check`` guards length and type, ``crc32`` guards those and the payload, so that damage to a length is
told from a file that ends too early. Every batch begins with a MARK, which holds the salt of the file and, but
for those of older programs, the octets of the batch. It says: all before me was on the medium when I was
written. A bad record of a batch that anything follows is damage; in the last one it is a write the machine did
not finish. A MARK that no other record follows seals what is before it.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, NamedTuple

import msgspec

MAGIC: Final = b"RAFTLOG\n"
FORMAT_VERSION: Final = 1
SALT_BYTES: Final = 8
_START: Final = struct.Struct("<8sII")
_HEAD: Final = struct.Struct("<IBHI")
_GUARDED: Final = struct.Struct("<IB")
_CRC: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<QQ")
_NUMBER: Final = struct.Struct("<Q")
_LENGTH: Final = struct.Struct("<I")
_HEADER_BYTES_MAX: Final = 4096


class RecordType(IntEnum):
    """What a record says."""

    ENTRY = 1
    TRUNCATE = 2
    META = 3
    COMMIT = 4
    MARK = 5


class BadHeader(Exception):
    """The file does not begin like a journal this version can read; the message says why."""


class UnknownVersion(BadHeader):
    """Another version of this program wrote the file."""


class Damaged(Exception):
    """A record that was on the medium is not what was written."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"at offset {offset}: {what}")


@dataclass(frozen=True, slots=True)
class Header:
    """Whose journal it is, and the salt of its marks."""

    cluster: str
    node: str
    salt: bytes


class _HeaderBody(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    cluster: str
    node: str
    salt: bytes


class Torn(Exception):
    """The last batch was never wholly written; it begins at ``offset``."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"at offset {offset}")
        self.offset = offset


def encode_header(header: Header) -> bytes:
    """Return the octets a journal begins with."""
    body = msgspec.msgpack.encode(_HeaderBody(header.cluster, header.node, header.salt))
    begin = _START.pack(MAGIC, FORMAT_VERSION, len(body)) + body
    return begin + _CRC.pack(zlib.crc32(begin))


def decode_header(data: bytes) -> tuple[Header, int]:
    """Read the header; return it and where the records begin. Raises ``BadHeader``."""
    if len(data) < _START.size or not data.startswith(MAGIC):
        raise BadHeader("it is no journal")
    _, version, length = _START.unpack_from(data)
    if version != FORMAT_VERSION:
        raise UnknownVersion(
            f"its format is version {version}, and this program reads version {FORMAT_VERSION}"
        )
    end = _START.size + length
    if length > _HEADER_BYTES_MAX or len(data) < end + _CRC.size:
        raise BadHeader("its header is damaged")
    if _CRC.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
        raise BadHeader("its header is damaged")
    try:
        body = msgspec.msgpack.decode(data[_START.size : end], type=_HeaderBody)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadHeader(f"its header cannot be read ({error})") from error
    return Header(body.cluster, body.node, body.salt), end + _CRC.size


def encode_record(kind: RecordType, payload: bytes) -> bytes:
    """Return the octets of a record."""
    guarded = zlib.crc32(_GUARDED.pack(len(payload), kind))
    return _HEAD.pack(len(payload), kind, guarded & 0xFFFF, zlib.crc32(payload, guarded)) + payload


def encode_entry(index: int, term: int, command: bytes) -> bytes:
    """Return the record of an entry of the log."""
    return encode_record(RecordType.ENTRY, _ENTRY.pack(index, term) + command)


def decode_entry(payload: bytes) -> tuple[bytes, int, int]:
    """Return command, index and term: the order in which the library holds an entry."""
    index, term = _ENTRY.unpack_from(payload)
    return payload[_ENTRY.size :], index, term


def encode_number(kind: Literal[RecordType.TRUNCATE, RecordType.COMMIT], number: int) -> bytes:
    """Return the record of a truncation from an index on (0: of everything), or of a commit index."""
    return encode_record(kind, _NUMBER.pack(number))


def decode_number(payload: bytes) -> int:
    """Return the number of a truncation or commit."""
    number: int = _NUMBER.unpack(payload)[0]
    return number


def encode_meta(term: int, vote: str | None) -> bytes:
    """Return the record of the term and of whom this node voted for in it."""
    text = b"" if vote is None else b"v" + vote.encode()
    return encode_record(RecordType.META, _NUMBER.pack(term) + text)


def decode_meta(payload: bytes) -> tuple[int, str | None]:
    """Return term and vote."""
    text = payload[_NUMBER.size :]
    return _NUMBER.unpack_from(payload)[0], text[1:].decode() if text else None


def encode_mark(salt: bytes, batch_bytes: int = 0) -> bytes:
    """Return the record that begins a batch of so many octets, itself included; 0 for not known."""
    return encode_record(RecordType.MARK, salt + _LENGTH.pack(batch_bytes))


MARK_BYTES: Final = len(encode_mark(bytes(SALT_BYTES)))


class Record(NamedTuple):
    """A record as read, and from where to where it goes."""

    offset: int
    end: int
    kind: RecordType
    payload: bytes


def scan(data: bytes, start: int, salt: bytes) -> Iterator[Record]:
    """Yield the records from ``start`` to the end. Raises ``Torn`` where that is a write that did not finish.

    Such a write may leave any part of itself: a file that ends early, sectors that were never written, half a
    sector. What tells it from damage is that nothing was written after its batch. Raises ``Damaged``.
    """
    offset = batch_begin = start
    batch_end = 0
    while offset < len(data):
        record = _record_at(data, offset)
        if isinstance(record, str):
            was_whole = offset < batch_end < len(data) or data.find(salt, offset + _OWN_SALT_BYTES) >= 0
            raise Damaged(offset, record) if was_whole else Torn(batch_begin if offset < batch_end else offset)
        if record.kind is RecordType.MARK:
            batch_begin, batch_end = offset, offset + _batch_bytes(record.payload)
        yield record
        offset = record.end
    if offset < batch_end:
        raise Torn(batch_begin)


def _batch_bytes(payload: bytes) -> int:
    known: int = _LENGTH.unpack_from(payload, SALT_BYTES)[0] if len(payload) > SALT_BYTES else 0
    return known


_OWN_SALT_BYTES: Final = _HEAD.size + SALT_BYTES
"""The salt of a later batch is further away than this from any record."""
_SHORT: Final = "the file ends inside a record"
_KINDS: Final = {kind.value: kind for kind in RecordType}


def _record_at(data: bytes, offset: int) -> Record | str:
    """Return the record, or what is wrong with it. Raises ``Damaged`` for one that no version 1 wrote."""
    begin = offset + _HEAD.size
    if len(data) < begin:
        return _SHORT
    length, number, check, crc = _HEAD.unpack_from(data, offset)
    guarded = zlib.crc32(data[offset : offset + _GUARDED.size])
    if guarded & 0xFFFF != check:
        return "the head of a record is damaged"
    end = begin + length
    if len(data) < end:
        return _SHORT
    payload = data[begin:end]
    if zlib.crc32(payload, guarded) != crc:
        return "a record is damaged"
    kind = _KINDS.get(number)
    if kind is None:
        raise Damaged(offset, f"a record of unknown type {number}")
    return Record(offset, end, kind, payload)
