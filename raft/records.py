"""The octets of a journal: header, records, and what is left of a write that did not finish.

Version 1, all numbers little-endian:

    header  magic 8 | version u32 | length u32 | msgpack [cluster, node, salt 8] | crc32 of all before
    record  length u32 | type u8 | check u16 | crc32 u32 | payload

``check`` guards length and type, ``crc32`` guards those and the payload, so that damage to a length is
told from a file that ends too early. Every batch begins with a MARK, which holds the salt of the file
and says: all before me was on the medium when I was written. A bad record before a MARK is damage; one
after the last MARK may be a write the machine did not finish.
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
_SECTOR_BYTES: Final = 512
_ZERO_TAIL_BYTES: Final = 32
_ZERO_HEAD_BYTES: Final = 5
"""No record begins with so many zeros: its type is none."""
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


def encode_mark(salt: bytes) -> bytes:
    """Return the record that begins a batch."""
    return encode_record(RecordType.MARK, salt)


class Record(NamedTuple):
    """A record as read, and from where to where it goes."""

    offset: int
    end: int
    kind: RecordType
    payload: bytes


def scan(data: bytes, start: int, salt: bytes) -> Iterator[Record]:
    """Yield the records from ``start`` to where the last write was torn, or the end. Raises ``Damaged``."""
    offset = start
    while offset < len(data):
        record = _record_at(data, offset)
        if isinstance(record, str):
            if not _is_torn(data, offset, record, salt):
                raise Damaged(offset, record)
            return
        yield record
        offset = record.end


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


def _is_torn(data: bytes, offset: int, fault: str, salt: bytes) -> bool:
    """Tell an unfinished last write from damage to what was on the medium.

    A torn write leaves a file that ends early, or sectors of zeros that were never written; nothing
    that began a later batch can follow it.
    """
    if data.find(encode_mark(salt), offset + 1) >= 0:
        return False
    return fault is _SHORT or _has_unwritten_sector(data, offset)


def _has_unwritten_sector(data: bytes, offset: int) -> bool:
    boundary = min(len(data), (offset // _SECTOR_BYTES + 1) * _SECTOR_BYTES)
    if boundary - offset >= _ZERO_HEAD_BYTES and not any(memoryview(data)[offset:boundary]):
        return True
    for begin in range(boundary, len(data), _SECTOR_BYTES):
        sector = memoryview(data)[begin : begin + _SECTOR_BYTES]
        if len(sector) >= _ZERO_TAIL_BYTES and not any(sector):
            return True
    return False
