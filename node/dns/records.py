"""Records of a message one by one, names and rdata expanded: what an UPDATE and an IXFR are read from. Pure; dnspython here."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from node.dns.query import HEADER_OCTETS
from node.zone.name import Name, from_wire

ANSWER, AUTHORITY, ADDITIONAL = 1, 2, 3
PREREQUISITE, UPDATE = ANSWER, AUTHORITY
"""The names of the sections in an UPDATE (RFC 2136 section 2)."""
_FIXED = struct.Struct("!HHIH")


class BadRecord(Exception):
    """A record cannot be read; the text says which."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it came; ``rdata`` is uncompressed wire octets, empty when there is none."""

    section: int
    name: Name
    type: int
    class_: int
    ttl: int
    rdata: bytes


def iter_records(packet: bytes) -> Iterator[Record]:
    """Yield the records behind the question, whose walk ``query.parse`` has found sound. Raises ``BadRecord``."""
    counts = struct.unpack_from("!4H", packet, 4)
    position = HEADER_OCTETS
    while packet[position]:
        position += 1 + packet[position]
    position += 5
    sections = [section for section in (ANSWER, AUTHORITY, ADDITIONAL) for _ in range(counts[section])]
    for number, section in enumerate(sections, start=1):
        try:
            record, position = _read(packet, position, section)
        except (dns.exception.DNSException, ValueError, struct.error) as error:
            words = str(error).rstrip(".").lower()
            raise BadRecord(f"record {number} of the message cannot be read: {words}") from None
        yield record


def read_name(packet: bytes, position: int) -> tuple[Name, int]:
    """Return the name at an octet, pointers followed, and the position after it. Raises ``BadRecord``."""
    try:
        name, octets = dns.name.from_wire(packet, position)
    except (dns.exception.DNSException, ValueError, IndexError) as error:
        raise BadRecord(f"a name cannot be read: {error}") from None
    return from_wire(name.to_wire() or b""), position + octets


def _read(packet: bytes, position: int, section: int) -> tuple[Record, int]:
    name, position = read_name(packet, position)
    type_, class_, ttl, length = _FIXED.unpack_from(packet, position)
    position += _FIXED.size
    rdata = b""
    if length and section != ADDITIONAL:
        parsed = dns.rdata.from_wire(
            dns.rdataclass.IN, dns.rdatatype.RdataType.make(type_), packet, position, length
        )
        rdata = parsed.to_wire() or b""
    return Record(section, name, type_, class_, ttl, rdata), position + length
